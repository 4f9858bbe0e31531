//! Direct preference optimisation on the policy's own responses (Guo et al. 2024, arXiv 2402.04792).
//!
//!   c, r = the responses of a group with the highest and the lowest reward
//!   Δ    = log πθ(y_c)/πref(y_c) − log πθ(y_r)/πref(y_r)                sums over counted response tokens, or their means
//!   L(θ) = mean over groups of − log σ(β Δ)
//!
//! A group whose responses all got the same reward gives no pair; of equal rewards the earlier row is taken. All rows of an
//! update are one optimiser step, since a pair is not split.

use super::rollouts;
use super::{Algorithm, Columns, Loss, Measured, Needs, Regime};
use crate::data::Kind;
use crate::error::Result;
use crate::math;
use crate::model::Scores;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind as Dtype, Tensor};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Optimiser steps on the pairs of one update. Raising it uses them better and drifts further.
    #[schemars(range(min = 1, max = 1000))]
    pub epochs: u32,
    /// τ, the sampler's temperature, applied to every log-probability of the update.
    #[schemars(range(min = 0.01, max = 100.0))]
    pub temperature: f64,
    /// What a pair's log-ratios become. Default: the paper's sigmoid.
    pub loss: PairLoss,
    /// β, temperature of the preference loss. Raising it keeps the policy nearer to the reference. Default: the paper's.
    #[schemars(range(min = 0.0001, max = 1000.0))]
    pub beta: f64,
    /// Whether a response's log-ratio is the sum over its tokens or their mean. IPO's authors: sequence_mean.
    pub ratio: PairRatio,
    /// Subtracted from the reward of a rollout that did not end by itself.
    #[schemars(range(min = 0.0, max = 1.0e6))]
    pub missing_eos_penalty: f64,
    /// w, one weight for each reward of a response: so many numbers a row stand in the column `reward`.
    #[schemars(length(min = 1, max = 64), inner(range(min = -1.0e6, max = 1.0e6)))]
    pub reward_weights: Vec<f64>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            epochs: 1,
            temperature: 1.0,
            loss: PairLoss::Sigmoid,
            beta: 0.1,
            ratio: PairRatio::SequenceSum,
            missing_eos_penalty: 0.0,
            reward_weights: vec![1.0],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairLoss {
    /// −log σ(βΔ) (Rafailov 2023).
    Sigmoid,
    /// (Δ − 1/2β)² (Azar 2023).
    Ipo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairRatio {
    SequenceSum,
    SequenceMean,
}

pub struct OnlineDpo {
    config: Config,
}

impl OnlineDpo {
    pub fn new(config: Config) -> Self {
        OnlineDpo { config }
    }
}

impl Algorithm for OnlineDpo {
    fn kind(&self) -> Kind {
        Kind::Rollouts
    }

    fn regime(&self) -> Regime {
        Regime::OnPolicy { epochs: self.config.epochs.into(), minibatches: 1 }
    }

    fn needs(&self) -> Needs {
        Needs { reference: true, rewards: self.config.reward_weights.len(), group_size: 2, ..Needs::default() }
    }

    fn temperature(&self) -> f64 {
        self.config.temperature
    }

    fn prepare(&mut self, columns: &mut Columns) -> Result<Vec<Measured>> {
        let rewards = math::weighted_rewards(columns.get("rewards")?, &self.config.reward_weights); // [B]
        let scores = &rewards - (1.0 - columns.get("finished")?) * self.config.missing_eos_penalty; // [B]
        let first = |scores: &Tensor, groups| math::group_rank(scores, groups).eq(0).to_kind(Dtype::Float);
        let groups = columns.get("groups")?;
        let signs = first(&scores, groups) - first(&-&scores, groups); // [B]
        let paired = math::group_contrast(&signs, &signs, groups).gt(0.0).to_kind(Dtype::Float); // [B]
        let mut metrics = rollouts::measured(columns, &rewards)?;
        metrics.push(("reward/shaped", scores.mean(None)));
        metrics.push(("group/equal_fraction", 1.0 - paired.mean(None)));
        columns.insert("signs", signs);
        Ok(metrics)
    }

    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let (signs, groups) = (columns.get("signs")?, columns.get("groups")?); // [B]
        let over_row = match self.config.ratio {
            PairRatio::SequenceSum => math::row_sum,
            PairRatio::SequenceMean => math::row_mean,
        };
        let gained = over_row(&(&scores.log_probs - columns.get("reference_log_probs")?), &scores.mask); // [B]
        let margin = math::group_contrast(&gained, signs, groups); // [B]
        let losses = match self.config.loss {
            PairLoss::Sigmoid => math::dpo_loss(&margin, self.config.beta),
            PairLoss::Ipo => math::ipo_loss(&margin, self.config.beta),
        }; // [B]
        let (chosen, rejected) = (signs.gt(0.0), signs.lt(0.0)); // [B]
        let total = math::masked_mean(&losses, &chosen);
        let (margin, gained) = (margin.detach(), gained.detach() * self.config.beta);
        let log_probs = math::row_sum(&scores.log_probs.detach(), &scores.mask); // [B]
        let right = margin.gt(0.0).to_kind(Dtype::Float);
        let trained = scores.mask.logical_and(&signs.not_equal(0.0).unsqueeze(1)); // [B, T]
        let metrics = vec![
            ("loss/total", total.detach()),
            ("loss/preference", total.detach()),
            ("preference/accuracy", math::observed_mean(&right, &chosen)),
            ("preference/margin", math::observed_mean(&margin, &chosen) * self.config.beta),
            ("reward/chosen", math::observed_mean(&gained, &chosen)),
            ("reward/rejected", math::observed_mean(&gained, &rejected)),
            ("log_probs/chosen", math::observed_mean(&log_probs, &chosen)),
            ("log_probs/rejected", math::observed_mean(&log_probs, &rejected)),
            ("entropy/token", math::masked_mean(&scores.entropies.detach(), &scores.mask)),
            ("tokens/trained", trained.sum(Dtype::Float)),
        ];
        Ok(Loss { total, metrics })
    }

    fn configure(&mut self, config: &super::Config) {
        if let super::Config::OnlineDpo(config) = config {
            self.config = config.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups {0, 2} and {1, 3, 4} of one-token responses that gained 0, 1, 2, 3, 4 nats on the reference.
    fn loss(config: Config, rewards: &[f32; 5], finished: &[f32; 5]) -> (f64, f64) {
        let mut columns = Columns::new(5);
        let mask = Tensor::from_slice(&[true; 5]).reshape([5, 1]);
        let reference = Tensor::from_slice(&[-9f32; 5]).reshape([5, 1]);
        columns.insert("mask", mask.shallow_clone());
        columns.insert("rewards", Tensor::from_slice(rewards).reshape([5, 1]));
        columns.insert("finished", Tensor::from_slice(finished));
        columns.insert("groups", Tensor::from_slice(&[0i64, 1, 0, 1, 1]));
        let log_probs = &reference + Tensor::from_slice(&[0f32, 1.0, 2.0, 3.0, 4.0]).reshape([5, 1]);
        columns.insert("reference_log_probs", reference);
        let scores = Scores::of(&log_probs, &mask);
        let mut method = OnlineDpo::new(config);
        method.prepare(&mut columns).unwrap();
        let Loss { total, metrics } = method.loss(&scores, &columns).unwrap();
        (total.double_value(&[]), metrics[9].1.double_value(&[]))
    }

    fn near(found: (f64, f64), loss: f64, tokens: f64) -> bool {
        (found.0 - loss).abs() < 1e-6 && found.1 == tokens
    }

    #[test]
    fn the_best_is_preferred_to_the_worst() {
        let sigmoid = |x: f64| (1.0 + (-x).exp()).ln();
        let config = Config { beta: 0.5, ..Config::default() };
        let found = loss(config.clone(), &[0.0, 7.0, 1.0, 3.0, 5.0], &[1.0; 5]);
        assert!(near(found, (sigmoid(1.0) + sigmoid(-1.0)) / 2.0, 4.0), "{found:?}");
        let found = loss(config.clone(), &[1.0, 7.0, 1.0, 3.0, 5.0], &[1.0; 5]);
        assert!(near(found, sigmoid(-1.0), 2.0), "a tie gives no pair: {found:?}");
        let found = loss(Config { loss: PairLoss::Ipo, ..config }, &[1.0, 7.0, 1.0, 3.0, 5.0], &[1.0; 5]);
        assert!(near(found, 9.0, 2.0), "(−2 − 1)²: {found:?}");
    }

    #[test]
    fn unfinished_responses_lose_the_penalty() {
        let config = Config { missing_eos_penalty: 2.0, beta: 1.0, ..Config::default() };
        let found = loss(config, &[0.0, 1.0, 1.0, 1.0, 1.0], &[1.0, 1.0, 0.0, 1.0, 1.0]);
        assert!(near(found, (1.0 + 2f64.exp()).ln(), 2.0), "the finished one is chosen: {found:?}");
    }

    #[test]
    fn ties_everywhere_give_no_loss() {
        assert_eq!(loss(Config::default(), &[1.0; 5], &[1.0; 5]), (0.0, 0.0));
    }
}

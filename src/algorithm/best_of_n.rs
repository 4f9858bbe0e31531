//! Rejection-sampling fine-tuning: maximum likelihood of the best of the policy's own responses (Nakano et al. 2021, arXiv
//! 2112.09332; Touvron et al. 2023, arXiv 2307.09288, section 3.2.3; with a least reward, RAFT, arXiv 2304.06767).
//!
//!   K_g  = the k responses of group g with the highest R, as far as R ≥ R_min
//!   L(θ) = − Σ_{i ∈ K} Σₜ log πθ(yᵢₜ) / Σ_{i ∈ K} |yᵢ|
//!
//! The mean is over the counted tokens of all kept responses of the minibatch; of equal rewards the earlier row is kept. No
//! reference: what holds the policy back is that it learns from itself.

use super::rollouts;
use super::{Algorithm, Columns, Loss, Measured, Needs, Regime};
use crate::data::Kind;
use crate::error::Result;
use crate::math;
use crate::model::Scores;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Kind as Dtype;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Passes over the kept responses of one update. Raising it learns them by heart.
    #[schemars(range(min = 1, max = 1000))]
    pub epochs: u32,
    /// Optimiser steps of one pass.
    #[schemars(range(min = 1, max = 65536))]
    pub minibatches: u32,
    /// τ, the sampler's temperature, applied to every log-probability of the update.
    #[schemars(range(min = 0.01, max = 100.0))]
    pub temperature: f64,
    /// k, responses of each group that are learned. Raising it learns from worse ones too. Default: the best alone.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub keep: u32,
    /// R_min, the least reward of a response that is learned; null = none.
    #[schemars(range(min = -1.0e9, max = 1.0e9))]
    pub min_reward: Option<f64>,
    /// w, one weight for each reward of a response: so many numbers a row stand in the column `reward`.
    #[schemars(length(min = 1, max = 64), inner(range(min = -1.0e6, max = 1.0e6)))]
    pub reward_weights: Vec<f64>,
}

impl Default for Config {
    fn default() -> Self {
        Config { epochs: 1, minibatches: 1, temperature: 1.0, keep: 1, min_reward: None, reward_weights: vec![1.0] }
    }
}

pub struct BestOfN {
    config: Config,
}

impl BestOfN {
    pub fn new(config: Config) -> Self {
        BestOfN { config }
    }
}

impl Algorithm for BestOfN {
    fn kind(&self) -> Kind {
        Kind::Rollouts
    }

    fn regime(&self) -> Regime {
        Regime::OnPolicy { epochs: self.config.epochs.into(), minibatches: self.config.minibatches as usize }
    }

    fn needs(&self) -> Needs {
        Needs { rewards: self.config.reward_weights.len(), group_size: 1, ..Needs::default() }
    }

    fn temperature(&self) -> f64 {
        self.config.temperature
    }

    fn prepare(&mut self, columns: &mut Columns) -> Result<Vec<Measured>> {
        let mask = columns.get("mask")?.shallow_clone(); // [B, T]
        let rewards = math::weighted_rewards(columns.get("rewards")?, &self.config.reward_weights); // [B]
        let best = math::group_rank(&rewards, columns.get("groups")?).lt(i64::from(self.config.keep));
        let kept = match self.config.min_reward {
            Some(least) => best.logical_and(&rewards.ge(least)),
            None => best,
        }; // [B]
        let mut metrics = rollouts::measured(columns, &rewards)?;
        metrics.push(("group/kept_fraction", kept.to_kind(Dtype::Float).mean(None)));
        metrics.push(("reward/kept", math::observed_mean(&rewards, &kept)));
        columns.insert("kept", mask.logical_and(&kept.unsqueeze(1))); // [B, T]
        Ok(metrics)
    }

    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let kept = columns.get("kept")?; // [B, T]
        let total = math::negative_log_likelihood(&scores.log_probs, kept);
        let metrics = vec![
            ("loss/total", total.detach()),
            ("loss/nll", total.detach()),
            ("entropy/token", math::masked_mean(&scores.entropies.detach(), kept)),
            ("tokens/trained", kept.sum(Dtype::Float)),
        ];
        Ok(Loss { total, metrics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    /// Two groups of two and three responses of one token each, of likelihood −1, −2, …
    fn loss(config: Config, rewards: &[f32]) -> (f64, f64) {
        let mut columns = Columns::new(5);
        let mask = Tensor::from_slice(&[true; 5]).reshape([5, 1]);
        columns.insert("mask", mask.shallow_clone());
        columns.insert("rewards", Tensor::from_slice(rewards).reshape([5, -1]));
        columns.insert("finished", Tensor::from_slice(&[1f32; 5]));
        columns.insert("groups", Tensor::from_slice(&[0i64, 1, 0, 1, 1]));
        let log_probs = Tensor::from_slice(&[-1f32, -2.0, -3.0, -4.0, -5.0]).reshape([5, 1]);
        let scores = Scores::of(&log_probs, &mask);
        let mut method = BestOfN::new(config);
        method.prepare(&mut columns).unwrap();
        let Loss { total, metrics } = method.loss(&scores, &columns).unwrap();
        (total.double_value(&[]), metrics[3].1.double_value(&[]))
    }

    #[test]
    fn the_best_of_each_group_are_learned() {
        let rewards = [0.0, 1.0, 3.0, 2.0, 2.0];
        assert_eq!(loss(Config::default(), &rewards), (3.5, 2.0));
        assert_eq!(loss(Config { keep: 2, ..Config::default() }, &rewards), (13.0 / 4.0, 4.0));
        assert_eq!(loss(Config { min_reward: Some(2.5), ..Config::default() }, &rewards), (3.0, 1.0));
        assert_eq!(loss(Config { min_reward: Some(9.0), ..Config::default() }, &rewards), (0.0, 0.0));
    }

    #[test]
    fn several_rewards_are_weighed() {
        let config = Config { reward_weights: vec![1.0, -2.0], ..Config::default() };
        let rewards = [1.0, 0.0, 5.0, 0.0, 9.0, 5.0, 2.0, 3.0, 2.0, 4.0];
        assert_eq!(loss(config, &rewards), (1.5, 2.0));
    }
}

//! Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290, equation 7), with a likelihood anchor.
//!
//!   Δᵢ   = [log πθ(yᶜᵢ) − log πref(yᶜᵢ)] − [log πθ(yʳᵢ) − log πref(yʳᵢ)]      sums over counted response tokens
//!   L(θ) = meanᵢ − log σ(β Δᵢ)  +  α · NLL(yᶜ)
//!
//! The first mean is over pairs, the NLL over the counted tokens of all chosen responses (Pang et al. 2024, RPO). Without
//! the anchor the chosen likelihood may fall while the accuracy rises (likelihood displacement).

use super::{Algorithm, Columns, Loss, Needs, Regime};
use crate::data::Kind;
use crate::error::Result;
use crate::math::{dpo_loss, masked_mean, negative_log_likelihood, preference_accuracy, preference_log_ratio, row_sum};
use crate::model::Scores;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Pairs of one optimiser step.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub batch_size: u32,
    /// Passes over the pushed pairs; 0 = without end.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub epochs: u32,
    /// Whether each pass visits the rows in a seeded random order.
    pub shuffle: bool,
    /// Whether text responses get the model's end token appended.
    pub append_eos: bool,
    /// β, temperature of the preference loss. Raising it keeps the policy nearer to the reference. Default: the paper's.
    #[schemars(range(min = 0.0001, max = 1000.0))]
    pub beta: f64,
    /// α, weight of the chosen response's negative log-likelihood. Raising it keeps the samples fluent. Default: the
    /// paper's (none).
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub nll_coef: f64,
}

impl Default for Config {
    fn default() -> Self {
        Config { batch_size: 32, epochs: 1, shuffle: true, append_eos: true, beta: 0.1, nll_coef: 0.0 }
    }
}

pub struct Dpo {
    config: Config,
}

impl Dpo {
    pub fn new(config: Config) -> Self {
        Dpo { config }
    }
}

impl Algorithm for Dpo {
    fn kind(&self) -> Kind {
        Kind::Preferences
    }

    fn regime(&self) -> Regime {
        Regime::Offline {
            batch_size: self.config.batch_size as usize,
            epochs: self.config.epochs.into(),
            shuffle: self.config.shuffle,
        }
    }

    fn needs(&self) -> Needs {
        Needs { reference: true, ..Needs::default() }
    }

    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let pairs = columns.rows();
        let policy = row_sum(&scores.log_probs, &scores.mask); // [2B]
        let reference = row_sum(columns.get("reference_log_probs")?, &scores.mask); // [2B]
        let (chosen, rejected) = (policy.narrow(0, 0, pairs), policy.narrow(0, pairs, pairs)); // [B]
        let (reference_chosen, reference_rejected) = (reference.narrow(0, 0, pairs), reference.narrow(0, pairs, pairs));
        let log_ratio = preference_log_ratio(&chosen, &rejected, &reference_chosen, &reference_rejected); // [B]
        let preference = dpo_loss(&log_ratio, self.config.beta).mean(None);
        let chosen_mask = scores.mask.narrow(0, 0, pairs); // [B, T]
        let nll = negative_log_likelihood(&scores.log_probs.narrow(0, 0, pairs), &chosen_mask);
        let total = &preference + &nll * self.config.nll_coef;
        let reward_chosen = (&chosen - &reference_chosen).detach() * self.config.beta; // [B]
        let reward_rejected = (&rejected - &reference_rejected).detach() * self.config.beta; // [B]
        let metrics = vec![
            ("loss/total", total.detach()),
            ("loss/preference", preference.detach()),
            ("loss/nll", nll.detach()),
            ("preference/accuracy", preference_accuracy(&log_ratio.detach())),
            ("preference/margin", (&reward_chosen - &reward_rejected).mean(None)),
            ("reward/chosen", reward_chosen.mean(None)),
            ("reward/rejected", reward_rejected.mean(None)),
            ("log_probs/chosen", chosen.detach().mean(None)),
            ("log_probs/rejected", rejected.detach().mean(None)),
            ("entropy/token", masked_mean(&scores.entropies.detach(), &scores.mask)),
            ("tokens/trained", scores.mask.sum(tch::Kind::Float)),
        ];
        Ok(Loss { total, metrics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    /// One pair whose chosen response gained 2 nats on the reference and whose rejected one lost 1.
    fn pair() -> (Scores, Columns) {
        let log_probs = Tensor::from_slice(&[-1f32, -2.0, -3.0, -9.0]).reshape([2, 2]);
        let mask = Tensor::from_slice(&[true, true, true, false]).reshape([2, 2]);
        let scores = Scores { entropies: log_probs.zeros_like(), values: None, log_probs, mask };
        let mut columns = Columns::new(1);
        columns.insert("reference_log_probs", Tensor::from_slice(&[-2f32, -3.0, -2.0, -7.0]).reshape([2, 2]));
        (scores, columns)
    }

    fn metric(loss: &Loss, name: &str) -> f64 {
        loss.metrics.iter().find(|(known, _)| *known == name).unwrap().1.double_value(&[])
    }

    #[test]
    fn loss_equals_the_value_worked_by_hand() {
        let (scores, columns) = pair();
        let loss = Dpo::new(Config::default()).loss(&scores, &columns).unwrap();
        assert!((loss.total.double_value(&[]) - 0.554355).abs() < 1e-6);
        assert_eq!(metric(&loss, "preference/accuracy"), 1.0);
        assert!((metric(&loss, "preference/margin") - 0.3).abs() < 1e-6);
    }

    #[test]
    fn anchor_adds_the_token_mean_of_the_chosen_response() {
        let (scores, columns) = pair();
        let loss = Dpo::new(Config { nll_coef: 2.0, ..Config::default() }).loss(&scores, &columns).unwrap();
        assert!((loss.total.double_value(&[]) - (0.554355 + 2.0 * 1.5)).abs() < 1e-6);
    }

    #[test]
    fn loss_at_the_reference_is_log_two() {
        let (scores, mut columns) = pair();
        columns.insert("reference_log_probs", scores.log_probs.copy());
        let loss = Dpo::new(Config::default()).loss(&scores, &columns).unwrap();
        assert!((loss.total.double_value(&[]) - std::f64::consts::LN_2).abs() < 1e-6);
    }
}

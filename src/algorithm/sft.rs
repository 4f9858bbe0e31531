//! Supervised fine-tuning: maximum likelihood of demonstrated responses.
//!
//!   L(θ) = − Σᵢ Σₜ wᵢ mᵢₜ log πθ(yᵢₜ | xᵢ, yᵢ,₍<ₜ₎) / Σᵢ Σₜ wᵢ mᵢₜ
//!
//! The expectation is over the counted response tokens of the whole batch (token mean, one global denominator): the
//! turn-ending EOS counts, prompt tokens do not. w is the host's weight of a row, 1 without one.

use super::{Algorithm, Columns, Loss, Needs, Regime};
use crate::data::Kind;
use crate::error::Result;
use crate::math::{masked_mean, weighted_mean};
use crate::model::Scores;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Demonstrations of one optimiser step. Raising it lowers the noise of the gradient and the number of steps.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub batch_size: u32,
    /// Passes over the pushed demonstrations; 0 = without end.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub epochs: u32,
    /// Whether each pass visits the rows in a seeded random order.
    pub shuffle: bool,
    /// Whether text responses get the model's end token appended, so that the policy learns to stop.
    pub append_eos: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config { batch_size: 32, epochs: 1, shuffle: true, append_eos: true }
    }
}

pub struct Sft {
    config: Config,
}

impl Sft {
    pub fn new(config: Config) -> Self {
        Sft { config }
    }
}

impl Algorithm for Sft {
    fn kind(&self) -> Kind {
        Kind::Demonstrations
    }

    fn regime(&self) -> Regime {
        Regime::Offline {
            batch_size: self.config.batch_size as usize,
            epochs: self.config.epochs.into(),
            shuffle: self.config.shuffle,
        }
    }

    fn needs(&self) -> Needs {
        Needs { columns: &[("weight", 1.0)], ..Needs::default() }
    }

    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let total = -weighted_mean(&scores.log_probs, &scores.mask, columns.get("weight")?);
        let entropy = masked_mean(&scores.entropies.detach(), &scores.mask);
        let metrics = vec![
            ("loss/total", total.detach()),
            ("loss/nll", total.detach()),
            ("entropy/token", entropy),
            ("tokens/trained", scores.mask.sum(tch::Kind::Float)),
        ];
        Ok(Loss { total, metrics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    fn scores(log_probs: &[f32], mask: &[bool], rows: i64) -> Scores {
        let shape = [rows, -1];
        let log_probs = Tensor::from_slice(log_probs).reshape(shape);
        let mask = Tensor::from_slice(mask).reshape(shape);
        Scores::of(&log_probs, &mask)
    }

    fn loss(scores: &Scores, weights: &[f32]) -> f64 {
        let mut columns = Columns::new(weights.len() as i64);
        columns.insert("weight", Tensor::from_slice(weights));
        Sft::new(Config::default()).loss(scores, &columns).unwrap().total.double_value(&[])
    }

    #[test]
    fn loss_is_the_mean_over_all_counted_tokens() {
        let scores = scores(&[-1.0, -2.0, -6.0, -100.0], &[true, true, true, false], 2);
        assert!((loss(&scores, &[1.0, 1.0]) - 3.0).abs() < 1e-6);
    }

    #[test]
    fn a_row_counts_as_much_as_it_weighs() {
        let scores = scores(&[-1.0, -2.0, -6.0, -100.0], &[true, true, true, false], 2);
        assert!((loss(&scores, &[0.5, 2.0]) - 13.5 / 3.0).abs() < 1e-6);
        assert!((loss(&scores, &[0.5, 0.0]) - 1.5).abs() < 1e-6);
        assert_eq!(loss(&scores, &[0.0, 0.0]), 0.0);
    }

    #[test]
    fn loss_of_a_batch_without_counted_tokens_is_zero() {
        let scores = scores(&[-1.0, -2.0], &[false, false], 1);
        assert_eq!(loss(&scores, &[1.0]), 0.0);
    }
}

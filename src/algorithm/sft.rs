//! Supervised fine-tuning: maximum likelihood of demonstrated responses.
//!
//!   L(θ) = − Σᵢ Σₜ wᵢ mᵢₜ log πθ(yᵢₜ | xᵢ, yᵢ,₍<ₜ₎) / Σᵢ Σₜ wᵢ mᵢₜ
//!
//! The expectation is over the counted response tokens of the whole batch (token mean, one global denominator): the
//! turn-ending EOS counts, prompt tokens do not. w is the host's weight of a row, 1 without one. With `dft` each token's term
//! is multiplied by its own probability, taken as a constant (Wu et al. 2025, arXiv 2508.05629).

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
    /// What a token's log-probability becomes.
    pub loss: TokenLoss,
    /// α of NEFTune: uniform noise of ± α / √(L d) on the embeddings of a sequence of L tokens, in training alone; 0 = off.
    /// Raising it forgets the wording of the demonstrations. Jain 2023: 5.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub embedding_noise: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenLoss {
    /// − log π.
    Nll,
    /// − π log π, with the first π a constant: what the policy finds impossible does not pull it about.
    Dft,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            batch_size: 32,
            epochs: 1,
            shuffle: true,
            append_eos: true,
            loss: TokenLoss::Nll,
            embedding_noise: 0.0,
        }
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

    fn embedding_noise(&self) -> f64 {
        self.config.embedding_noise
    }

    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let terms = match self.config.loss {
            TokenLoss::Nll => scores.log_probs.shallow_clone(),
            TokenLoss::Dft => scores.log_probs.detach().exp() * &scores.log_probs,
        }; // [B, T]
        let weights = columns.get("weight")?; // [B]
        let total = -weighted_mean(&terms, &scores.mask, weights);
        let entropy = masked_mean(&scores.entropies.detach(), &scores.mask);
        let metrics = vec![
            ("loss/total", total.detach()),
            ("loss/nll", -weighted_mean(&scores.log_probs.detach(), &scores.mask, weights)),
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
    fn dft_weighs_each_token_by_its_own_probability() {
        let scores = scores(&[-1.0, -2.0], &[true, true], 1);
        let log_probs = scores.log_probs.set_requires_grad(true);
        let scores = Scores::of(&log_probs, &scores.mask);
        let mut columns = Columns::new(1);
        columns.insert("weight", Tensor::from_slice(&[1f32]));
        let sft = Sft::new(Config { loss: TokenLoss::Dft, ..Config::default() });
        let loss = sft.loss(&scores, &columns).unwrap();
        let (first, second) = ((-1f64).exp(), (-2f64).exp());
        assert!((loss.total.double_value(&[]) - (first + 2.0 * second) / 2.0).abs() < 1e-6);
        loss.total.backward();
        let gradient = Vec::<f64>::try_from(log_probs.grad().to_kind(tch::Kind::Double).reshape([-1])).unwrap();
        assert!((gradient[0] + first / 2.0).abs() < 1e-6 && (gradient[1] + second / 2.0).abs() < 1e-6, "{gradient:?}");
    }

    #[test]
    fn loss_of_a_batch_without_counted_tokens_is_zero() {
        let scores = scores(&[-1.0, -2.0], &[false, false], 1);
        assert_eq!(loss(&scores, &[1.0]), 0.0);
    }
}

//! Kahneman–Tversky optimisation on responses that were called good or bad (Ethayarajh et al. 2024, arXiv 2402.01306).
//!
//!   rᵢ   = log πθ(yᵢ | xᵢ) − log πref(yᵢ | xᵢ)                sums over counted response tokens
//!   z    = max(0, meanᵢ [log πθ(yᵢ₋₁ | xᵢ) − log πref(yᵢ₋₁ | xᵢ)])         no gradient
//!   L(θ) = meanᵢ λ_D (1 − σ(β(rᵢ − z))) if yᵢ is good, else λ_U (1 − σ(β(z − rᵢ)))
//!
//! The response yᵢ₋₁ is that of the row before in the same optimiser step (of the first row, that of the last), so each
//! row's second sequence is its prompt with another row's response. A step of one row has no other: there z is 0.

use super::{Algorithm, Columns, Loss, Needs, Regime};
use crate::data::Kind;
use crate::error::Result;
use crate::math::{kto_loss, masked_mean, reference_point, row_sum};
use crate::model::Scores;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind as Dtype, Tensor};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Responses of one optimiser step. Raising it steadies z.
    #[schemars(range(min = 2, max = 1_048_576))]
    pub batch_size: u32,
    /// Passes over the pushed responses; 0 = without end.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub epochs: u32,
    /// Whether each pass visits the rows in a seeded random order.
    pub shuffle: bool,
    /// Whether text responses get the model's end token appended.
    pub append_eos: bool,
    /// β. Raising it keeps the policy nearer to the reference. Default: the paper's.
    #[schemars(range(min = 0.0001, max = 1000.0))]
    pub beta: f64,
    /// λ_D, weight of good responses. Choose λ_D n_D / (λ_U n_U) between 1 and 4/3 (the paper, section 4.2).
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub desirable_weight: f64,
    /// λ_U, weight of bad responses.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub undesirable_weight: f64,
    /// Whether gains are measured against z; without it against 0 (APO zero, unpaired: D'Oosterlinck 2024).
    pub reference_point: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            batch_size: 32,
            epochs: 1,
            shuffle: true,
            append_eos: true,
            beta: 0.1,
            desirable_weight: 1.0,
            undesirable_weight: 1.0,
            reference_point: true,
        }
    }
}

pub struct Kto {
    config: Config,
}

impl Kto {
    pub fn new(config: Config) -> Self {
        Kto { config }
    }
}

impl Algorithm for Kto {
    fn kind(&self) -> Kind {
        Kind::Feedback
    }

    fn regime(&self) -> Regime {
        Regime::Offline {
            batch_size: self.config.batch_size as usize,
            epochs: self.config.epochs.into(),
            shuffle: self.config.shuffle,
        }
    }

    fn needs(&self) -> Needs {
        Needs { reference: true, mismatched: true, columns: &[("label", 0.0)], ..Needs::default() }
    }

    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let rows = columns.rows();
        let reference = row_sum(columns.get("reference_log_probs")?, &scores.mask); // [2B]
        let policy = row_sum(&scores.log_probs, &scores.mask); // [2B]
        let log_ratio = &policy - reference; // [2B]
        let own = log_ratio.narrow(0, 0, rows); // [B]
        let point = match self.config.reference_point && rows > 1 {
            true => reference_point(&log_ratio.narrow(0, rows, rows)),
            false => Tensor::zeros_like(&own.sum(own.kind()).detach()),
        };
        let desirable = columns.get("label")?.gt(0.0); // [B]
        let Config { beta, desirable_weight, undesirable_weight, .. } = self.config;
        let loss = kto_loss(&own, &desirable, &point, beta, desirable_weight, undesirable_weight).mean(None);
        let rewards = (own * beta).detach().unsqueeze(1); // [B, 1]
        let mask = scores.mask.narrow(0, 0, rows); // [B, T]
        let (good, bad) = (desirable.unsqueeze(1), desirable.logical_not().unsqueeze(1)); // [B, 1]
        let right = rewards.gt(0.0).eq_tensor(&good).to_kind(Dtype::Float);
        let metrics = vec![
            ("loss/total", loss.detach()),
            ("loss/preference", loss.detach()),
            ("feedback/reference_point", point),
            ("preference/accuracy", right.mean(None)),
            ("reward/chosen", masked_mean(&rewards, &good)),
            ("reward/rejected", masked_mean(&rewards, &bad)),
            ("entropy/token", masked_mean(&scores.entropies.narrow(0, 0, rows).detach(), &mask)),
            ("tokens/trained", mask.sum(Dtype::Float)),
        ];
        Ok(Loss { total: loss, metrics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows with r = 2 (good) and r = −1 (bad); their mismatched responses gained 0.3 and 0.5.
    fn rows() -> (Scores, Columns) {
        let log_probs = Tensor::from_slice(&[-1f32, -3.0, -1.0, -1.0]).reshape([4, 1]);
        let mask = Tensor::from_slice(&[true; 4]).reshape([4, 1]);
        let mut columns = Columns::new(2);
        columns.insert("reference_log_probs", Tensor::from_slice(&[-3f32, -2.0, -1.3, -1.5]).reshape([4, 1]));
        columns.insert("label", Tensor::from_slice(&[1f32, 0.0]));
        (Scores::of(&log_probs, &mask), columns)
    }

    #[test]
    fn loss_equals_the_values_worked_by_hand() {
        let (scores, columns) = rows();
        let loss = |config: Config| Kto::new(config).loss(&scores, &columns).unwrap().total.double_value(&[]);
        assert!((loss(Config::default()) - (0.460085 + 0.465057) / 2.0).abs() < 1e-5, "z = 0.4");
        let weighted = Config { desirable_weight: 2.0, undesirable_weight: 0.0, ..Config::default() };
        assert!((loss(weighted) - 0.460085).abs() < 1e-5);
        let anchored = Config { reference_point: false, ..Config::default() };
        assert!((loss(anchored) - (1.0 - 0.549834 + 1.0 - 0.524979) / 2.0).abs() < 1e-5, "z = 0");
    }
}

//! Kahneman–Tversky optimisation on responses that were called good or bad (Ethayarajh et al. 2024, arXiv 2402.01306),
//! and its family.
//!
//!   rᵢ   = log πθ(yᵢ | xᵢ) − log πref(yᵢ | xᵢ)                sums over counted response tokens
//!   z    = max(0, meanᵢ [log πθ(yᵢ₋₁ | xᵢ) − log πref(yᵢ₋₁ | xᵢ)])         no gradient
//!   L(θ) = meanᵢ λ_D (1 − σ(β(rᵢ − z))) if yᵢ is good, else λ_U (1 − σ(β(z − rᵢ)))
//!
//! The response yᵢ₋₁ is that of the row before in the same optimiser step (of the first row, that of the last), so each
//! row's second sequence is its prompt with another row's response. A step of one row has no other: there z is 0. APO zero
//! (D'Oosterlinck et al. 2024, arXiv 2408.06266) has z = 0; BCO (Jung et al. 2024, arXiv 2404.04656) takes the running mean
//! of r over the steps before, and −log σ in the place of 1 − σ.

use super::{Algorithm, Columns, Loss, Needs, ReferenceLogProbs, ReferenceUpdate, Regime};
use crate::data::Kind;
use crate::error::{Error, Result};
use crate::math::{self, masked_mean, row_sum};
use crate::model::Scores;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
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
    /// What a response's gain becomes. Default: the paper's.
    pub loss: FeedbackLoss,
    /// β. Raising it keeps the policy nearer to the reference. Default: the paper's.
    #[schemars(range(min = 0.0001, max = 1000.0))]
    pub beta: f64,
    /// λ_D, weight of good responses. Choose λ_D n_D / (λ_U n_U) between 1 and 4/3 (the paper, section 4.2).
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub desirable_weight: f64,
    /// λ_U, weight of bad responses.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub undesirable_weight: f64,
    /// μ of bco, what stays of the running mean of gains at each step. Raising it steadies what gains are measured against.
    #[schemars(range(min = 0.0, max = 0.999999))]
    pub momentum: f64,
    /// Whether the reference is asked at every pass over a row or once. Kto asks it at every pass, since a row's other
    /// response changes.
    pub reference_log_probs: ReferenceLogProbs,
    /// How the reference follows the policy (Gorbatovski 2024, TR-DPO); null: it stays where it is.
    pub reference_update: Option<ReferenceUpdate>,
}

/// r is a response's log-ratio to the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackLoss {
    /// 1 − σ(±β(r − z)): gains and losses against the divergence of the policy (Ethayarajh 2024).
    Kto,
    /// 1 − σ(±βr): against 0 (D'Oosterlinck 2024).
    ApoZero,
    /// −log σ(±β(r − δ)): a classifier of good and bad, δ the running mean of r (Jung 2024).
    Bco,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            batch_size: 32,
            epochs: 1,
            shuffle: true,
            append_eos: true,
            loss: FeedbackLoss::Kto,
            beta: 0.1,
            desirable_weight: 1.0,
            undesirable_weight: 1.0,
            momentum: 0.9,
            reference_log_probs: ReferenceLogProbs::Compute,
            reference_update: None,
        }
    }
}

impl Config {
    pub fn check(&self) -> Result<()> {
        match (self.loss, self.reference_log_probs) {
            (FeedbackLoss::Kto, ReferenceLogProbs::Cache) => Err(Error::config(
                "/algorithm/reference_log_probs: expected compute for the loss kto, whose rows have another second \
                 response at each pass, got cache",
            )),
            _ => Ok(()),
        }
    }
}

pub struct Kto {
    config: Config,
    /// Running mean of r over the steps before; bco's δ.
    gain: f64,
}

impl Kto {
    pub fn new(config: Config) -> Self {
        Kto { config, gain: 0.0 }
    }

    /// What gains are measured against, from the log-ratios of all sequences; a scalar.
    fn point(&self, log_ratio: &Tensor, rows: i64) -> Tensor {
        let constant = |value: f64| log_ratio.detach().sum(log_ratio.kind()).full_like(value);
        match self.config.loss {
            FeedbackLoss::Kto if rows > 1 => math::reference_point(&log_ratio.narrow(0, rows, rows)),
            FeedbackLoss::Kto | FeedbackLoss::ApoZero => constant(0.0),
            FeedbackLoss::Bco => constant(self.gain),
        }
    }

    /// The loss of each response, [B].
    fn losses(&self, log_ratio: &Tensor, desirable: &Tensor, point: &Tensor) -> Tensor {
        let Config { beta, desirable_weight: good, undesirable_weight: bad, .. } = self.config;
        match self.config.loss {
            FeedbackLoss::Kto | FeedbackLoss::ApoZero => math::kto_loss(log_ratio, desirable, point, beta, good, bad),
            FeedbackLoss::Bco => math::bco_loss(log_ratio, desirable, point, beta, good, bad),
        }
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
        let mismatched = self.config.loss == FeedbackLoss::Kto;
        let reference_kept = self.config.reference_log_probs == ReferenceLogProbs::Cache;
        Needs { reference: true, reference_kept, mismatched, columns: &[("label", 0.0)], ..Needs::default() }
    }

    fn reference_update(&self) -> Option<ReferenceUpdate> {
        self.config.reference_update
    }

    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let rows = columns.rows();
        let reference = row_sum(columns.get("reference_log_probs")?, &scores.mask); // [S]
        let log_ratio = math::response_log_ratio(&row_sum(&scores.log_probs, &scores.mask), &reference); // [S]
        let own = log_ratio.narrow(0, 0, rows); // [B]
        let point = self.point(&log_ratio, rows);
        let desirable = columns.get("label")?.gt(0.0); // [B]
        let loss = self.losses(&own, &desirable, &point).mean(None);
        let gain = own.detach().mean(None);
        let rewards = (own * self.config.beta).detach().unsqueeze(1); // [B, 1]
        let mask = scores.mask.narrow(0, 0, rows); // [B, T]
        let (good, bad) = (desirable.unsqueeze(1), desirable.logical_not().unsqueeze(1)); // [B, 1]
        let right = rewards.gt(0.0).eq_tensor(&good).logical_and(&rewards.ne(0.0)).to_kind(Dtype::Float);
        let metrics = vec![
            ("loss/total", loss.detach()),
            ("loss/preference", loss.detach()),
            ("feedback/reference_point", point),
            ("feedback/gain", gain),
            ("preference/accuracy", right.mean(None)),
            ("reward/chosen", math::observed_mean(&rewards, &good)),
            ("reward/rejected", math::observed_mean(&rewards, &bad)),
            ("entropy/token", masked_mean(&scores.entropies.narrow(0, 0, rows).detach(), &mask)),
            ("tokens/trained", mask.sum(Dtype::Float)),
        ];
        Ok(Loss { total: loss, metrics })
    }

    fn finish(&mut self, metric: &dyn Fn(&str) -> Option<f64>, _rows: usize) {
        let Config { loss, momentum, .. } = self.config;
        if let (FeedbackLoss::Bco, Some(gain)) = (loss, metric("feedback/gain")) {
            self.gain = momentum * self.gain + (1.0 - momentum) * gain;
        }
    }

    fn state(&self) -> Value {
        json!({ "gain": self.gain })
    }

    fn set_state(&mut self, state: &Value) -> Result<()> {
        let missing = || Error::data("checkpoint: the state of kto lacks gain, a number");
        self.gain = state["gain"].as_f64().ok_or_else(missing)?;
        Ok(())
    }

    fn configure(&mut self, config: &super::Config) {
        if let super::Config::Kto(config) = config {
            self.config = config.clone();
        }
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
        let anchored = Config { loss: FeedbackLoss::ApoZero, ..Config::default() };
        assert!((loss(anchored) - (1.0 - 0.549834 + 1.0 - 0.524979) / 2.0).abs() < 1e-5, "z = 0");
        let classified = Config { loss: FeedbackLoss::Bco, ..Config::default() };
        assert!((loss(classified) - (0.598139 + 0.644397) / 2.0).abs() < 1e-5, "δ = 0: −log σ(0.2), −log σ(0.1)");
    }

    #[test]
    fn bco_measures_against_what_responses_gained_before_and_remembers_it() {
        let (scores, columns) = rows();
        let settings = Config { loss: FeedbackLoss::Bco, momentum: 0.5, ..Config::default() };
        let mut bco = Kto::new(settings.clone());
        assert!(!bco.needs().mismatched);
        bco.finish(&|name| (name == "feedback/gain").then_some(3.0), 2);
        bco.finish(&|name| (name == "feedback/gain").then_some(-0.5), 2);
        // δ = (3 / 2 − 0.5) / 2 = 0.5: −log σ(0.15), −log σ(0.15)
        let found = bco.loss(&scores, &columns).unwrap().total.double_value(&[]);
        assert!((found - 0.620957).abs() < 1e-5, "{found}");
        let mut restored = Kto::new(settings);
        restored.set_state(&bco.state()).unwrap();
        assert_eq!(restored.loss(&scores, &columns).unwrap().total.double_value(&[]), found);
        assert!(restored.set_state(&Value::Null).unwrap_err().message.contains("gain"));
    }
}

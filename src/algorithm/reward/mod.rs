//! Reward models: scores of responses that explain what was preferred (Ouyang et al. 2022, arXiv 2203.02155, equation 1;
//! Stiennon et al. 2020, arXiv 2009.01325).
//!
//!   x    = s(yᶜ) − s(yʳ) − μ
//!   L(θ) = Σ w [ −p log σ(x) − (1 − p) log σ(−x) + λ (s(yᶜ) + s(yʳ))² ] / Σ w
//!
//! The sums are over pairs and scores. A score is read at the last token of prompt and response. Of a ranked list every
//! pair counts, weighted so that every prompt weighs the same. Steps are judged one by one: cross-entropy of σ(s), read at
//! each counted token, with its label.

mod config;

pub use config::Config;

use super::{Algorithm, Columns, Loss, Measured, Needs, Regime};
use crate::data::Kind;
use crate::error::{Error, Result};
use crate::math;
use crate::model::Scores;
use config::Learns;
use tch::{Kind as Dtype, Tensor};

pub struct Reward {
    config: Config,
}

/// Scores of P pairs and what the host says of them; [P, K] each.
struct Pairs {
    chosen: Tensor,
    rejected: Tensor,
    margin: Tensor,
    probability: Tensor,
    weight: Tensor,
}

impl Reward {
    pub fn new(config: Config) -> Self {
        Reward { config }
    }

    fn pairs(&self, judged: &Tensor, columns: &Columns) -> Result<Pairs> {
        if self.config.learns == Learns::Rankings {
            let (better, worse, weight) = math::ranked_pairs(columns.get("rank")?, columns.get("groups")?); // [P]
            let chosen = judged.index_select(0, &better); // [P, 1]
            return Ok(Pairs {
                rejected: judged.index_select(0, &worse),
                margin: chosen.zeros_like(),
                probability: chosen.ones_like(),
                weight: weight.unsqueeze(1),
                chosen,
            });
        }
        let column = |name: &str| columns.get(name).map(Tensor::shallow_clone);
        Ok(Pairs {
            chosen: judged.narrow(0, 0, columns.rows()),
            rejected: judged.narrow(0, columns.rows(), columns.rows()),
            margin: column("margin")?,
            probability: column("probability")?,
            weight: column("weight")?,
        })
    }

    fn preference_loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let judged = scores.scores.as_ref().ok_or_else(|| Error::state("reward: the model has no scores"))?; // [S, K]
        let pairs = self.pairs(judged, columns)?;
        let Pairs { chosen, rejected, margin, probability, weight } = &pairs;
        let preference = math::average(&math::bradley_terry_loss(chosen, rejected, margin, probability), weight);
        let centering = math::average(&math::centering_penalty(chosen, rejected), weight);
        let total = &preference + centering * self.config.center_coef;
        let difference = (chosen - rejected).detach(); // [P, K]
        let right = difference.gt(0.0).eq_tensor(&probability.gt(0.5)).logical_and(&difference.ne(0.0));
        let told = weight * probability.ne(0.5); // [P, K]
        let both = |one: &Tensor, other: &Tensor| Tensor::cat(&[one, other], 0); // [2P, K]
        let calibration = math::calibration_error(
            &both(&difference, &-&difference),
            &both(probability, &(1.0 - probability)),
            &both(weight, weight),
        );
        let mut metrics = vec![
            ("loss/total", total.detach()),
            ("loss/preference", preference.detach()),
            ("preference/accuracy", math::observed_mean(&right.to_kind(Dtype::Float), &told)),
            ("preference/margin", math::observed_mean(&difference, weight)),
            ("preference/calibration_error", calibration),
        ];
        metrics.extend(distribution(judged, &scores.mask));
        Ok(Loss { total, metrics })
    }

    fn step_loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let logits = scores.values.as_ref().ok_or_else(|| Error::state("reward: the model has no scores"))?; // [B, T]
        let labels = columns.get("step_labels")?; // [B, T]
        let zero = logits.zeros_like();
        let losses = math::bradley_terry_loss(logits, &zero, &zero, labels); // [B, T]
        let total = math::masked_mean(&losses, &scores.mask);
        let judged = logits.detach();
        let right = judged.gt(0.0).eq_tensor(&labels.gt(0.5)).logical_and(&judged.ne(0.0)).to_kind(Dtype::Float);
        let counted = scores.mask.to_kind(Dtype::Float);
        let metrics = vec![
            ("loss/total", total.detach()),
            ("loss/preference", total.detach()),
            ("preference/accuracy", math::masked_mean(&right, &scores.mask)),
            ("preference/calibration_error", math::calibration_error(logits, labels, &counted)),
            ("tokens/trained", counted.sum(Dtype::Float)),
        ];
        Ok(Loss { total, metrics })
    }
}

/// How the scores of S texts lie, the first score's correlation with the length of the response among it.
fn distribution(judged: &Tensor, mask: &Tensor) -> Vec<Measured> {
    let judged = judged.detach();
    let lengths = mask.sum_dim_intlist([1i64].as_slice(), false, judged.kind()); // [S]
    vec![
        ("score/mean", judged.mean(None)),
        ("score/std", judged.var(judged.numel() > 1).sqrt()),
        ("score/length_correlation", math::correlation(&judged.select(1, 0), &lengths)),
    ]
}

impl Algorithm for Reward {
    fn kind(&self) -> Kind {
        match self.config.learns {
            Learns::Pairs => Kind::Preferences,
            Learns::Rankings => Kind::Rankings,
            Learns::Steps => Kind::Demonstrations,
        }
    }

    fn regime(&self) -> Regime {
        Regime::Offline {
            batch_size: self.config.batch_size as usize,
            epochs: self.config.epochs.into(),
            shuffle: self.config.shuffle,
        }
    }

    fn needs(&self) -> Needs {
        let scores = self.config.scores.len();
        match self.config.learns {
            Learns::Pairs => {
                let columns = &[("margin", 0.0), ("probability", 1.0), ("weight", 1.0)];
                Needs { scores, columns, ..Needs::default() }
            }
            Learns::Rankings => Needs { columns: &[("rank", 1.0)], group_size: 1, ..Needs::default() },
            Learns::Steps => Needs { token_columns: &[("step_labels", f32::NAN)], ..Needs::default() },
        }
    }

    fn scores(&self) -> &[String] {
        &self.config.scores
    }

    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        match self.config.learns {
            Learns::Steps => self.step_loss(scores, columns),
            Learns::Pairs | Learns::Rankings => self.preference_loss(scores, columns),
        }
    }
}

#[cfg(test)]
mod tests;

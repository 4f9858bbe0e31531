//! Rollouts that another policy sampled than the one the update starts from: whose log-probabilities are the old ones, and
//! what weighs the difference.
//!
//!   wₜ = sg( πold(yₜ) / μ(yₜ) ),   L(θ) = E[ wₜ · Lₜ(πθ / πold) ]            decoupled: the clip knows nothing of μ
//!
//! With the recorded log-probabilities as the old ones, πold is μ and the clip already corrects; a weight would correct twice.

use super::{Columns, Measured};
use crate::error::{Error, Result};
use crate::math;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OldLogProbs {
    /// A pass over the rollouts with the current policy, before its first step.
    Recompute,
    /// The rollouts' own `rollout_log_probs`: one pass less, but in PPO, whose values need it.
    Recorded,
}

impl OldLogProbs {
    /// log πold, [B, T].
    pub fn of(self, columns: &Columns) -> Result<Tensor> {
        let name = match self {
            OldLogProbs::Recompute => "policy_log_probs",
            OldLogProbs::Recorded => "rollout_log_probs",
        };
        Ok(columns.get(name)?.shallow_clone())
    }
}

/// How much a rollout counts by how likely the policy is to have sampled it itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Importance {
    /// What has a weight, and what a bound does to it.
    #[serde(rename = "type")]
    pub weight: Weight,
    /// The smallest weight. Raising it lets unlikely tokens count more (truncated) or not at all (masked).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub low: f64,
    /// The largest weight. Raising it lowers the bias and raises the variance. Default: TRL.
    #[schemars(range(min = 1.0, max = 1.0e6))]
    pub high: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Nothing: every rollout counts in full.
    None,
    /// Each token, its weight brought into the bounds (Yao 2025, TIS).
    TokenTruncate,
    /// Each token, and 0 outside of the bounds (Ring Team 2025, IcePop).
    TokenMask,
    /// The whole response, a product over its tokens, brought into the bounds.
    SequenceTruncate,
    /// The whole response, a product over its tokens, and 0 outside of the bounds.
    SequenceMask,
    /// The whole response, the geometric mean of its tokens, and 0 outside of the bounds: as strict at every length.
    SequenceMeanMask,
}

impl Default for Importance {
    fn default() -> Self {
        Importance { weight: Weight::None, low: 0.0, high: 3.0 }
    }
}

impl Importance {
    /// Refuses to correct twice.
    pub fn check(&self, old: OldLogProbs) -> Result<()> {
        if self.weight != Weight::None && old == OldLogProbs::Recorded {
            let message = "/algorithm/importance/type: expected \"none\" with old_log_probs recorded, whose ratio \
                           corrects for the sampler already; set old_log_probs to recompute";
            return Err(Error::config(message));
        }
        if self.weight == Weight::None && *self != Importance::default() {
            let message = "/algorithm/importance/type: expected one beside \"none\", which has no bounds";
            return Err(Error::config(message));
        }
        Ok(())
    }

    /// w, [B, T], as the column `importance`, and what was measured of it; nothing where all rollouts count in full.
    pub fn prepare(&self, columns: &mut Columns, old: &Tensor, mask: &Tensor) -> Result<Vec<Measured>> {
        let rollout = columns.get("rollout_log_probs")?; // [B, T]
        let over_row = |weights: Tensor| weights.unsqueeze(1).expand_as(old).contiguous(); // [B, T]
        let raw = match self.weight {
            Weight::None => return Ok(Vec::new()),
            Weight::TokenTruncate | Weight::TokenMask => math::ratio(old, rollout, mask),
            Weight::SequenceTruncate | Weight::SequenceMask => over_row(math::sequence_ratio(old, rollout, mask)),
            Weight::SequenceMeanMask => over_row(math::sequence_mean_ratio(old, rollout, mask)),
        }; // [B, T]
        let weights = match self.weight {
            Weight::TokenTruncate | Weight::SequenceTruncate => math::truncated(&raw, self.low, self.high),
            _ => math::within(&raw, self.low, self.high),
        }; // [B, T]
        let stayed = raw.ge(self.low).logical_and(&raw.le(self.high)).to_kind(raw.kind());
        let (short, long) = math::stayed_by_length(&stayed, mask);
        let metrics = vec![
            ("importance/mean", math::masked_mean(&weights, mask)),
            ("importance/within_short", short),
            ("importance/within_long", long),
        ];
        columns.insert("importance", weights);
        Ok(metrics)
    }

    /// The losses of tokens, each as much as its rollout counts, and 0 for those that `threshold` finds too far from their
    /// sampler; [B, T].
    pub fn weighed(
        &self,
        losses: Tensor,
        log_probs: &Tensor,
        columns: &Columns,
        threshold: Option<f64>,
    ) -> Result<Tensor> {
        let weighted = match self.weight {
            Weight::None => losses,
            _ => losses * columns.get("importance")?,
        };
        let Some(threshold) = threshold else { return Ok(weighted) };
        let (rollout, advantages) = (columns.get("rollout_log_probs")?, columns.get("advantages")?); // [B, T]
        Ok(weighted * math::tolerable_tokens(log_probs, rollout, advantages, columns.get("mask")?, threshold))
    }
}

//! What every method on rewarded rollouts measures and names alike.

use super::{Columns, Measured};
use crate::error::Result;
use crate::math;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind as Dtype, Tensor};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KlPlace {
    /// Taken from the reward: k1 there has the gradient of the divergence (Ziegler 2019).
    Reward,
    /// Added to the loss: k2 there has the gradient of the divergence on policy; k1 has none.
    Loss,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Σ / counted tokens of the minibatch: every token weighs the same.
    TokenMean,
    /// The mean over responses of each one's mean: every response weighs the same.
    SequenceMeanTokenMean,
    /// The mean over responses of each one's sum.
    SequenceMeanTokenSum,
}

impl Reduction {
    pub fn of(self, losses: &Tensor, mask: &Tensor) -> Tensor {
        match self {
            Reduction::TokenMean => math::token_mean(losses, mask),
            Reduction::SequenceMeanTokenMean => math::sequence_mean_token_mean(losses, mask),
            Reduction::SequenceMeanTokenSum => math::sequence_mean_token_sum(losses, mask),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalisation {
    /// Mean 0, unbiased variance 1 over all counted tokens of the batch.
    Whiten,
    /// Mean 0; the scale of the rewards stays.
    Center,
    /// Untouched.
    Raw,
}

impl Normalisation {
    pub fn of(self, advantages: &Tensor, mask: &Tensor) -> Tensor {
        match self {
            Normalisation::Whiten => math::whitened(advantages, mask),
            Normalisation::Center => math::centered(advantages, mask),
            Normalisation::Raw => advantages.shallow_clone(),
        }
    }
}

/// The surrogate of a minibatch as its metrics see it; [B, T] each.
pub struct Step<'a> {
    /// log πθ.
    pub log_probs: &'a Tensor,
    /// log πθ as the clip compares it.
    pub compared: &'a Tensor,
    pub old: &'a Tensor,
    pub advantages: &'a Tensor,
    pub mask: &'a Tensor,
    /// (ε below 1, ε above 1).
    pub clip_range: (f64, f64),
}

impl Step<'_> {
    /// How far the policy went and where it was clipped.
    pub fn measured(&self) -> Vec<Measured> {
        let Step { old, advantages, mask, clip_range: (low, high), .. } = *self;
        let (log_probs, compared) = (self.log_probs.detach(), self.compared.detach());
        let ratio = math::ratio(&log_probs, old, mask); // [B, T]
        vec![
            ("policy/approx_kl", math::approximate_kl(&log_probs, old, mask)),
            ("policy/clip_fraction", math::clip_fraction(&compared, old, advantages, mask, low, high)),
            ("policy/ratio_mean", math::masked_mean(&ratio, mask)),
            ("policy/ratio_std", math::masked_variance(&ratio, mask).sqrt()),
            ("policy/ratio_max_log", ((&log_probs - old) * mask).abs().max()),
            ("tokens/trained", mask.sum(Dtype::Float)),
        ]
    }
}

/// What the rollouts of an update were like; `rewards` [B], as the host gave them.
pub fn measured(columns: &Columns, rewards: &Tensor) -> Result<Vec<Measured>> {
    Ok(vec![
        ("reward/mean", rewards.mean(None)),
        ("reward/std", rewards.var(columns.rows() > 1).sqrt()),
        ("rollout/length", lengths(columns.get("mask")?).mean(None)),
        ("rollout/eos_fraction", columns.get("finished")?.mean(None)),
    ])
}

/// How far the old log-probabilities are from the recorded ones, in the mean over counted tokens.
pub fn drift(columns: &Columns, old: &Tensor) -> Result<Measured> {
    let distance = (old - columns.get("rollout_log_probs")?).abs(); // [B, T]
    Ok(("rollout/log_prob_drift", math::masked_mean(&distance, columns.get("mask")?)))
}

/// Counted tokens of each response, [B].
pub fn lengths(mask: &Tensor) -> Tensor {
    mask.sum_dim_intlist([1i64].as_slice(), false, Dtype::Float)
}

//! The settings of PPO: symbol, range, effect, and the source of each default.

use crate::error::{Error, Result};
use crate::math;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Passes over the rollouts of one update. Raising it uses data better and drifts further. Default: Ziegler 2019.
    #[schemars(range(min = 1, max = 1000))]
    pub epochs: u32,
    /// Optimiser steps of one pass. Default: Ziegler 2019.
    #[schemars(range(min = 1, max = 65536))]
    pub minibatches: u32,
    /// τ, the sampler's temperature, applied to every log-probability of the update.
    #[schemars(range(min = 0.01, max = 100.0))]
    pub temperature: f64,
    /// The penalty on divergence from the reference, β.
    pub kl: Kl,
    /// The estimator of each token's KL in the reward: k1 = ℓ (unbiased), k2 = ℓ²/2, k3 = e^−ℓ − 1 + ℓ.
    pub kl_estimator: KlEstimator,
    /// γ, per token. Default: 1, since a response is one short episode.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub discount: f64,
    /// λ of generalised advantage estimation. Raising it trades bias for variance. Default: Ziegler 2019.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub gae_lambda: f64,
    /// What is done to the advantages of the whole batch before the loss.
    pub advantages: Normalisation,
    /// λ of the returns, the targets of the values; null = `gae_lambda`. Yue 2025 (VC-PPO): 1, unbiased targets.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub returns_lambda: Option<f64>,
    /// ε of the probability ratio. Default: Schulman 2017.
    #[schemars(range(min = 0.0001, max = 100.0))]
    pub clip_range: f64,
    /// ε above 1 alone; null = `clip_range`. Yu 2025 (DAPO): 0.28 beside 0.2, so that unlikely tokens may grow.
    #[schemars(range(min = 0.0001, max = 100.0))]
    pub clip_range_high: Option<f64>,
    /// How the losses of a minibatch's tokens become one number.
    pub reduction: Reduction,
    /// ε of the values around their old ones; 0 = off. Default: Ziegler 2019.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub value_clip_range: f64,
    /// Weight of the value loss. Default: Ziegler 2019, one optimiser for both.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub value_coef: f64,
    /// Weight of the entropy bonus. Default: none, as everywhere in language-model PPO.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub entropy_coef: f64,
    /// c of the dual clip, the bound on the loss of a negative advantage; 0 = off, else above 1 (Ye 2020: 3).
    #[schemars(range(min = 0.0, max = 100.0))]
    pub dual_clip: f64,
    /// The update stops before a step whose approximate KL exceeds 1.5 × this; 0 = off. Nats per token.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub target_kl: f64,
    /// Subtracted from the reward of a rollout that did not end by itself.
    #[schemars(range(min = 0.0, max = 1.0e6))]
    pub missing_eos_penalty: f64,
    /// Rewards are clipped to ± this; 0 = off.
    #[schemars(range(min = 0.0, max = 1.0e9))]
    pub reward_clip: f64,
    /// Whether shaped rewards are divided by their standard deviation (mean kept). Ziegler 2019: true; TRL: false.
    pub whiten_rewards: bool,
    /// First updates that train the value head alone.
    pub value_warmup: ValueWarmup,
    /// Where the old log-probabilities come from.
    pub old_log_probs: OldLogProbs,
}

impl Config {
    pub fn check(&self) -> Result<()> {
        if self.dual_clip > 0.0 && self.dual_clip <= 1.0 {
            let message = format!("/algorithm/dual_clip: expected 0 or a number above 1, got {}", self.dual_clip);
            return Err(Error::config(message));
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            epochs: 4,
            minibatches: 1,
            temperature: 1.0,
            kl: Kl::default(),
            kl_estimator: KlEstimator::K1,
            discount: 1.0,
            gae_lambda: 0.95,
            returns_lambda: None,
            advantages: Normalisation::Whiten,
            clip_range: 0.2,
            clip_range_high: None,
            reduction: Reduction::TokenMean,
            value_clip_range: 0.2,
            value_coef: 0.1,
            entropy_coef: 0.0,
            dual_clip: 0.0,
            target_kl: 0.0,
            missing_eos_penalty: 0.0,
            reward_clip: 0.0,
            whiten_rewards: false,
            value_warmup: ValueWarmup::default(),
            old_log_probs: OldLogProbs::Recompute,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Kl {
    /// β stays.
    Fixed(FixedKl),
    /// β follows a target (Ziegler 2019, §2.2).
    Adaptive(AdaptiveKl),
    /// β doubles above 1.5 × the target and halves below the target / 1.5 (Schulman 2017, §4).
    Doubling(DoublingKl),
}

impl Default for Kl {
    fn default() -> Self {
        Kl::Fixed(FixedKl::default())
    }
}

impl Kl {
    /// β of the first update.
    pub fn initial(&self) -> f64 {
        match self {
            Kl::Fixed(kl) => kl.coef,
            Kl::Adaptive(kl) => kl.coef,
            Kl::Doubling(kl) => kl.coef,
        }
    }

    /// β of the next update, after one of `rows` rollouts whose KL was `measured`.
    pub fn next(&self, coef: f64, measured: impl Fn(KlUnit) -> Option<f64>, rows: usize) -> f64 {
        let next = match self {
            Kl::Fixed(_) => None,
            Kl::Adaptive(kl) => {
                measured(kl.unit).map(|now| math::adaptive_kl_coef(coef, now, kl.target, kl.horizon, rows as f64))
            }
            Kl::Doubling(kl) => measured(kl.unit).map(|now| math::doubling_kl_coef(coef, now, kl.target)),
        };
        next.filter(|next| next.is_finite()).unwrap_or(coef)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FixedKl {
    /// β. Raising it holds the policy nearer to the reference. Default: TRL.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub coef: f64,
}

impl Default for FixedKl {
    fn default() -> Self {
        FixedKl { coef: 0.05 }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdaptiveKl {
    /// β of the first update. Default: Ziegler 2019.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub coef: f64,
    /// The KL that β steers to, in nats per `unit`. Default: Ziegler 2019.
    #[schemars(range(min = 0.0001, max = 100000.0))]
    pub target: f64,
    /// Rows over which β may grow or shrink by the clipped error. Default: Ziegler 2019.
    #[schemars(range(min = 1.0, max = 1.0e12))]
    pub horizon: f64,
    /// Whether the KL is counted per sequence (summed) or per token (mean).
    pub unit: KlUnit,
}

impl Default for AdaptiveKl {
    fn default() -> Self {
        AdaptiveKl { coef: 0.2, target: 6.0, horizon: 10000.0, unit: KlUnit::Sequence }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DoublingKl {
    /// β of the first update. Default: Schulman 2017, where it matters little.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub coef: f64,
    /// The KL that β steers to, in nats per `unit`. Default: Ziegler 2019.
    #[schemars(range(min = 0.0001, max = 100000.0))]
    pub target: f64,
    /// Whether the KL is counted per sequence (summed) or per token (mean).
    pub unit: KlUnit,
}

impl Default for DoublingKl {
    fn default() -> Self {
        DoublingKl { coef: 0.2, target: 6.0, unit: KlUnit::Sequence }
    }
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KlUnit {
    Sequence,
    Token,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KlEstimator {
    K1,
    K2,
    K3,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OldLogProbs {
    /// A pass over the rollouts with the current policy, before its first step.
    Recompute,
    /// The rollouts' own `rollout_log_probs`: one pass less.
    Recorded,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ValueWarmup {
    /// How many updates; 0 = none.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub updates: u32,
    /// The learning rate of the value head in these updates (constant).
    #[schemars(range(min = 0.0, max = 10.0))]
    pub learning_rate: f64,
}

impl Default for ValueWarmup {
    fn default() -> Self {
        ValueWarmup { updates: 0, learning_rate: 1e-3 }
    }
}

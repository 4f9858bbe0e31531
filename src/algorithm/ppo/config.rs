//! The settings of PPO: symbol, range, effect, and the source of each default.

use super::kl::{Kl, KlEstimator};
use crate::algorithm::off_policy::{Importance, OldLogProbs};
use crate::algorithm::rollouts::{KlPlace, Normalisation, Reduction};
use crate::error::{Error, Result};
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
    /// w, one weight for each reward of a response: so many numbers a row stand in the column `reward`.
    #[schemars(length(min = 1, max = 64), inner(range(min = -1.0e6, max = 1.0e6)))]
    pub reward_weights: Vec<f64>,
    /// The penalty on divergence from the reference, β.
    pub kl: Kl,
    /// The estimator of each token's KL in the reward: k1 = ℓ (unbiased), k2 = ℓ²/2, k3 = e^−ℓ − 1 + ℓ.
    pub kl_estimator: KlEstimator,
    /// Whether the divergence is taken from the rewards or added to the loss.
    pub kl_in: KlPlace,
    /// γ, per token. Default: 1, since a response is one short episode.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub discount: f64,
    /// λ of generalised advantage estimation. Raising it trades bias for variance. Default: Ziegler 2019.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub gae_lambda: f64,
    /// α: λ of a response of n tokens is 1 − 1 / (α n), within 0 and 1, instead of `gae_lambda`; 0 = off. Yue 2025 (VAPO):
    /// 0.05.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub gae_length_coef: f64,
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
    /// H, the entropy that the weight of the bonus steers to: it grows by `entropy_rate` after an update below H, shrinks by
    /// it after one above, where there is no bonus; 0 = off, the weight stays. Nats per token.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub entropy_target: f64,
    /// δ, by how much the weight of the entropy bonus moves.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub entropy_rate: f64,
    /// c of the dual clip, the bound on the loss of a negative advantage; 0 = off, else above 1 (Ye 2020: 3).
    #[schemars(range(min = 0.0, max = 100.0))]
    pub dual_clip: f64,
    /// The update stops before a step whose approximate KL exceeds 1.5 × this; 0 = off. Nats per token.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub target_kl: f64,
    /// Subtracted from the reward of a rollout that did not end by itself.
    #[schemars(range(min = 0.0, max = 1.0e6))]
    pub missing_eos_penalty: f64,
    /// What scores are measured with before anything else is done to them.
    pub reward_normalization: RewardNormalization,
    /// Rewards are clipped to ± this; 0 = off.
    #[schemars(range(min = 0.0, max = 1.0e9))]
    pub reward_clip: f64,
    /// Whether shaped rewards are divided by their standard deviation (mean kept). Ziegler 2019: true; TRL: false.
    pub whiten_rewards: bool,
    /// Where the reward of a whole response lies.
    pub reward_position: RewardPosition,
    /// With `after_last`, responses of so many tokens have no state behind them; 0 = all have that ended by themselves.
    #[schemars(range(min = 0, max = 1_073_741_824))]
    pub max_length: u32,
    /// Demonstrations that the policy goes on learning from (Ouyang 2022, PPO-ptx).
    pub demonstrations: Demonstrations,
    /// First updates that train the value head alone.
    pub value_warmup: ValueWarmup,
    /// Where the old log-probabilities come from.
    pub old_log_probs: OldLogProbs,
    /// How rollouts of another sampler are weighted, in the policy term.
    pub importance: Importance,
    /// δ, nats per token: tokens with a negative advantage teach the policy nothing once it is further from the sampler of
    /// their response; null = off. DeepSeek-AI 2025.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub off_policy_mask_threshold: Option<f64>,
    /// Rollouts whose `policy_version` is more publications ago are dropped; null = none.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub max_staleness: Option<u32>,
}

impl Config {
    pub fn check(&self) -> Result<()> {
        if self.dual_clip > 0.0 && self.dual_clip <= 1.0 {
            let message = format!("/algorithm/dual_clip: expected 0 or a number above 1, got {}", self.dual_clip);
            return Err(Error::config(message));
        }
        if self.kl_in == KlPlace::Loss && self.kl_estimator == KlEstimator::K1 {
            let message =
                "/algorithm/kl_estimator: expected k2 or k3 with kl_in loss, where the expected gradient of k1 is 0";
            return Err(Error::config(message));
        }
        if self.value_warmup.updates == 0 && self.value_warmup.explained_variance.is_some() {
            let message =
                "/algorithm/value_warmup/updates: expected how many at most, where explained_variance may end \
                           them early, got 0";
            return Err(Error::config(message));
        }
        let Demonstrations { coef, batch_size, .. } = self.demonstrations;
        let drawn = u64::from(batch_size) * u64::from(self.epochs) * u64::from(self.minibatches);
        if coef > 0.0 && drawn > 1 << 24 {
            let message = format!(
                "/algorithm/demonstrations/batch_size: expected at most 16777216 demonstrations an update, over epochs and \
                 minibatches, got {drawn}"
            );
            return Err(Error::config(message));
        }
        self.importance.check(self.old_log_probs)
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            epochs: 4,
            minibatches: 1,
            temperature: 1.0,
            reward_weights: vec![1.0],
            kl: Kl::default(),
            kl_estimator: KlEstimator::K1,
            kl_in: KlPlace::Reward,
            discount: 1.0,
            gae_lambda: 0.95,
            returns_lambda: None,
            gae_length_coef: 0.0,
            advantages: Normalisation::Whiten,
            clip_range: 0.2,
            clip_range_high: None,
            reduction: Reduction::TokenMean,
            value_clip_range: 0.2,
            value_coef: 0.1,
            entropy_coef: 0.0,
            entropy_target: 0.0,
            entropy_rate: 1e-4,
            dual_clip: 0.0,
            target_kl: 0.0,
            missing_eos_penalty: 0.0,
            reward_normalization: RewardNormalization::None,
            reward_clip: 0.0,
            whiten_rewards: false,
            reward_position: RewardPosition::LastToken,
            max_length: 0,
            demonstrations: Demonstrations::default(),
            value_warmup: ValueWarmup::default(),
            old_log_probs: OldLogProbs::Recompute,
            importance: Importance::default(),
            off_policy_mask_threshold: None,
            max_staleness: None,
        }
    }
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
    /// They end early once the values explain so much of the variance of the returns; null = never.
    #[schemars(range(min = -1.0, max = 1.0))]
    pub explained_variance: Option<f64>,
}

impl Default for ValueWarmup {
    fn default() -> Self {
        ValueWarmup { updates: 0, learning_rate: 1e-3, explained_variance: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RewardNormalization {
    /// Nothing.
    None,
    /// Mean 0, deviation 1 over the first update's rollouts, samples of the policy as it started (Ziegler 2019).
    FirstUpdate,
    /// Divided by the deviation over all rollouts so far.
    Running,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RewardPosition {
    /// On the last counted token.
    LastToken,
    /// On the state behind the last token of a response that ended by itself, which has a value too (TRL).
    AfterLast,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Demonstrations {
    /// γ, weight of their negative log-likelihood; 0 = none are used. Ouyang 2022: 27.8, where losses are sums.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub coef: f64,
    /// Demonstrations of one optimiser step, of a seeded shuffle without end.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub batch_size: u32,
    /// How their gradient meets the policy's.
    pub mix: Mix,
}

impl Default for Demonstrations {
    fn default() -> Self {
        Demonstrations { coef: 0.0, batch_size: 16, mix: Mix::Joint }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mix {
    /// In one optimiser step.
    Joint,
    /// In a step of its own after each of the policy's (DeepSpeed-Chat).
    Alternating,
}

//! The settings of REINFORCE: symbol, range, effect, and the source of each default.

use crate::algorithm::off_policy::{Importance, OldLogProbs};
use crate::algorithm::rollouts::{KlPlace, Normalisation, Reduction};
use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Passes over the rollouts of one update. Raising it uses data better and drifts further. Default: Hu 2025.
    #[schemars(range(min = 1, max = 1000))]
    pub epochs: u32,
    /// Optimiser steps of one pass.
    #[schemars(range(min = 1, max = 65536))]
    pub minibatches: u32,
    /// τ, the sampler's temperature, applied to every log-probability of the update.
    #[schemars(range(min = 0.01, max = 100.0))]
    pub temperature: f64,
    /// w, one weight for each reward of a response: so many numbers a row stand in the column `reward`.
    #[schemars(length(min = 1, max = 64), inner(range(min = -1.0e6, max = 1.0e6)))]
    pub reward_weights: Vec<f64>,
    /// b, what a reward is compared with.
    pub baseline: Baseline,
    /// γ, per token. Default: 1, since a response is one short episode.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub discount: f64,
    /// What is done to the advantages of the whole batch before the loss. Default: Hu 2025; Li 2023 (ReMax): raw.
    pub advantages: Normalisation,
    /// ε of the probability ratio. Default: Hu 2025.
    #[schemars(range(min = 0.00001, max = 100.0))]
    pub clip_range: f64,
    /// ε above 1 alone; null = `clip_range`.
    #[schemars(range(min = 0.00001, max = 100.0))]
    pub clip_range_high: Option<f64>,
    /// How the losses of a minibatch's tokens become one number.
    pub reduction: Reduction,
    /// β, weight of the divergence from the reference; 0 needs no reference. Default: OpenRLHF.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub kl_coef: f64,
    /// Whether the divergence is taken from the reward of each token (k1) or in the loss (k2). Hu 2025 with the group as
    /// the baseline: loss.
    pub kl_in: KlPlace,
    /// Weight of the entropy bonus. Default: none.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub entropy_coef: f64,
    /// Where the old log-probabilities come from.
    pub old_log_probs: OldLogProbs,
    /// How rollouts of another sampler are weighted.
    pub importance: Importance,
    /// δ, nats per token: tokens with a negative advantage teach nothing once the policy is further from the sampler of their
    /// response; null = off. DeepSeek-AI 2025.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub off_policy_mask_threshold: Option<f64>,
    /// Rollouts whose `policy_version` is more publications ago are dropped; null = none.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub max_staleness: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            epochs: 1,
            minibatches: 1,
            temperature: 1.0,
            reward_weights: vec![1.0],
            baseline: Baseline::None,
            discount: 1.0,
            advantages: Normalisation::Whiten,
            clip_range: 0.2,
            clip_range_high: None,
            reduction: Reduction::TokenMean,
            kl_coef: 0.01,
            kl_in: KlPlace::Reward,
            entropy_coef: 0.0,
            old_log_probs: OldLogProbs::Recompute,
            importance: Importance::default(),
            off_policy_mask_threshold: None,
            max_staleness: None,
        }
    }
}

impl Config {
    pub fn check(&self) -> Result<()> {
        self.importance.check(self.old_log_probs)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// 0: the normalisation of the batch centres.
    None,
    /// The mean of the responses to the same prompt, at least two (Hu 2025, REINFORCE++-baseline).
    Group,
    /// The reward of the greedy response to the same prompt, the column `baseline` (Li 2023, ReMax).
    Greedy,
}

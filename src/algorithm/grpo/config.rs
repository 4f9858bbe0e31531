//! The settings of the group family: symbol, range, effect, and the source of each default.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Passes over the rollouts of one update, μ. Raising it uses data better and drifts further. Default: Shao 2024.
    #[schemars(range(min = 1, max = 1000))]
    pub epochs: u32,
    /// Optimiser steps of one pass.
    #[schemars(range(min = 1, max = 65536))]
    pub minibatches: u32,
    /// τ, the sampler's temperature, applied to every log-probability of the update.
    #[schemars(range(min = 0.01, max = 100.0))]
    pub temperature: f64,
    /// What a reward is compared with.
    pub baseline: Baseline,
    /// What the difference is divided by. Dr. GRPO: none, since a group's σ favours prompts that are too easy or too hard.
    pub scale: Scale,
    /// Whether a prompt with a single response is taken, with an advantage of 0; refused otherwise.
    pub allow_singletons: bool,
    /// What the clipped ratio multiplies.
    pub objective: Objective,
    /// Whether tokens or whole responses have a probability ratio. Zheng 2025 (GSPO): sequence_mean, with clips of 3e-4.
    pub ratio: Ratio,
    /// ε of the probability ratio. Default: Shao 2024.
    #[schemars(range(min = 0.00001, max = 100.0))]
    pub clip_range: f64,
    /// ε above 1 alone; null = `clip_range`. Yu 2025 (DAPO): 0.28, so that unlikely tokens may grow. With the objective
    /// `weighted`, the largest weight less 1 (MiniMax 2025).
    #[schemars(range(min = 0.00001, max = 100.0))]
    pub clip_range_high: Option<f64>,
    /// How the losses of a minibatch's tokens become one number.
    pub reduction: Reduction,
    /// L, tokens of the longest response allowed: what `sum_over_constant` divides by and `overlong_buffer` ends at.
    #[schemars(range(min = 0, max = 1_073_741_824))]
    pub max_length: u32,
    /// Tokens before `max_length` over which the reward falls to − `overlong_penalty`; 0 = off. Yu 2025 (DAPO).
    #[schemars(range(min = 0, max = 1_073_741_824))]
    pub overlong_buffer: u32,
    /// What a response of `max_length` loses.
    #[schemars(range(min = 0.0, max = 1.0e6))]
    pub overlong_penalty: f64,
    /// Whether responses that did not end by themselves teach nothing. Yu 2025 (DAPO). Their rewards still count in their
    /// groups.
    pub mask_truncated: bool,
    /// β, weight of the divergence from the reference; 0 needs no reference. Default: none, as TRL.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub kl_coef: f64,
    /// Whether the divergence is in the loss (k3) or taken from the reward (k1, summed over the response).
    pub kl_in: KlPlace,
    /// Whether k3 in the loss is multiplied by the probability ratio, which makes its gradient right off policy.
    pub kl_bias_correction: bool,
    /// Weight of the entropy bonus. Default: none.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub entropy_coef: f64,
    /// Where the old log-probabilities come from.
    pub old_log_probs: OldLogProbs,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            epochs: 1,
            minibatches: 1,
            temperature: 1.0,
            baseline: Baseline::Group,
            scale: Scale::Group,
            allow_singletons: false,
            objective: Objective::Clipped,
            ratio: Ratio::Token,
            clip_range: 0.2,
            clip_range_high: None,
            reduction: Reduction::SequenceMeanTokenMean,
            max_length: 0,
            overlong_buffer: 0,
            overlong_penalty: 1.0,
            mask_truncated: false,
            kl_coef: 0.0,
            kl_in: KlPlace::Loss,
            kl_bias_correction: true,
            entropy_coef: 0.0,
            old_log_probs: OldLogProbs::Recompute,
        }
    }
}

impl Config {
    pub fn check(&self) -> Result<()> {
        let needs_length = self.reduction == Reduction::SumOverConstant || self.overlong_buffer > 0;
        if needs_length && self.max_length == 0 {
            let message = "/algorithm/max_length: expected the longest response in tokens, which the reduction \
                           sum_over_constant and an overlong_buffer need, got 0";
            return Err(Error::config(message));
        }
        if self.overlong_buffer > self.max_length {
            let message = format!(
                "/algorithm/overlong_buffer: expected at most max_length, {}, got {}",
                self.max_length, self.overlong_buffer
            );
            return Err(Error::config(message));
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The mean of the group, the response itself included (Shao 2024).
    Group,
    /// The mean of the other responses (Ahmadian 2024, RLOO).
    LeaveOneOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// The deviation of the group's rewards.
    Group,
    /// The deviation of all rewards of the update.
    Batch,
    /// Nothing: the scale of the rewards stays.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// The advantage, and the smaller of clipped and free counts (Schulman 2017).
    Clipped,
    /// The advantage times the log-probability, and no token loses its gradient (MiniMax 2025, CISPO).
    Weighted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ratio {
    /// Of each token.
    Token,
    /// Of the response, its logarithm a mean over its tokens (Zheng 2025, GSPO).
    SequenceMean,
    /// Of the response as it is, its logarithm a sum (Ahmadian 2024, RLOO).
    SequenceSum,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// The mean over responses of each one's mean (Shao 2024).
    SequenceMeanTokenMean,
    /// Σ / counted tokens of the minibatch: every token weighs the same (Yu 2025, DAPO).
    TokenMean,
    /// Σ / (responses · max_length): no response's length changes a token's weight (Liu 2025, Dr. GRPO).
    SumOverConstant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KlPlace {
    Loss,
    Reward,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OldLogProbs {
    /// A pass over the rollouts with the current policy, before its first step.
    Recompute,
    /// The rollouts' own `rollout_log_probs`: one pass less.
    Recorded,
}

//! The settings of the group family: symbol, range, effect, and the source of each default.

use crate::algorithm::admission::EqualGroups;
use crate::algorithm::off_policy::{Importance, OldLogProbs};
use crate::algorithm::rollouts::KlPlace;
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
    /// w, one weight for each reward of a response: so many numbers a row stand in the column `reward`.
    #[schemars(length(min = 1, max = 64), inner(range(min = -1.0e6, max = 1.0e6)))]
    pub reward_weights: Vec<f64>,
    /// How several rewards become one advantage.
    pub multi_reward: MultiReward,
    /// What a reward is compared with.
    pub baseline: Baseline,
    /// What the difference is divided by. Dr. GRPO: none, since a group's σ favours prompts that are too easy or too hard.
    pub scale: Scale,
    /// Whether a prompt with a single response is taken, with an advantage of 0; refused otherwise.
    pub allow_singletons: bool,
    /// What becomes of groups whose responses all got the same rewards. Yu 2025 (DAPO): drop.
    pub equal_groups: EqualGroups,
    /// The update waits for so many groups that it trains on. Raise it with `equal_groups` = drop.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub min_groups: u32,
    /// What the clipped ratio multiplies.
    pub objective: Objective,
    /// Whether tokens or whole responses have a probability ratio. Zheng 2025 (GSPO): sequence_mean, with clips of 3e-4.
    pub ratio: Ratio,
    /// ε of the probability ratio. Default: Shao 2024.
    #[schemars(range(min = 0.00001, max = 100.0))]
    pub clip_range: f64,
    /// ε above 1 alone; null = `clip_range`. Yu 2025 (DAPO): 0.28, so that unlikely tokens may grow. With the objective
    /// `weighted`, the largest weight less 1 (MiniMax 2025). The objective `geometric` has `clip_range` alone, in nats (Zhao
    /// 2025: 0.4); `gated` and `variational` have none.
    #[schemars(range(min = 0.00001, max = 100.0))]
    pub clip_range_high: Option<f64>,
    /// δ, the largest ratio of the objective `clipped`, so that a negative advantage is bounded too; null = none. Prime
    /// Intellect 2025: 4.
    #[schemars(range(min = 1.0, max = 1.0e6))]
    pub ratio_cap: Option<f64>,
    /// The share of a minibatch's tokens that the policy term learns from, those of the highest entropy. Wang 2025: 0.2.
    #[schemars(range(min = 0.0001, max = 1.0))]
    pub entropy_quantile: f64,
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
    /// How rollouts of another sampler are weighted.
    pub importance: Importance,
    /// δ, nats per token: a response with a negative advantage teaches nothing once the policy is further from its sampler;
    /// null = off. DeepSeek-AI 2025.
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
            multi_reward: MultiReward::Sum,
            baseline: Baseline::Group,
            scale: Scale::Group,
            allow_singletons: false,
            equal_groups: EqualGroups::Keep,
            min_groups: 1,
            objective: Objective::Clipped,
            ratio: Ratio::Token,
            clip_range: 0.2,
            clip_range_high: None,
            ratio_cap: None,
            entropy_quantile: 1.0,
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
            importance: Importance::default(),
            off_policy_mask_threshold: None,
            max_staleness: None,
        }
    }
}

impl Config {
    pub fn check(&self) -> Result<()> {
        self.check_lengths()?;
        self.check_objective()?;
        let shaped = self.overlong_buffer > 0 || (self.kl_coef > 0.0 && self.kl_in == KlPlace::Reward);
        if shaped && self.multi_reward == MultiReward::NormalizeEach {
            let message =
                "/algorithm/multi_reward: expected \"sum\" with an overlong_buffer or kl_in reward, which change \
                           the sum of the rewards, got \"normalize_each\"";
            return Err(Error::config(message));
        }
        self.importance.check(self.old_log_probs)
    }

    fn check_lengths(&self) -> Result<()> {
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

    fn check_objective(&self) -> Result<()> {
        let (_, high) = self.clip_ranges();
        if let Some(cap) = self.ratio_cap.filter(|cap| self.objective != Objective::Clipped || *cap <= 1.0 + high) {
            let message = format!(
                "/algorithm/ratio_cap: expected null, or with the objective clipped more than 1 + the upper clip_range, {}, \
                 got {cap}",
                1.0 + high
            );
            return Err(Error::config(message));
        }
        let own_ratio = [Objective::Weighted, Objective::Geometric, Objective::Variational].contains(&self.objective);
        if own_ratio && self.ratio != Ratio::Token {
            let message =
                "/algorithm/ratio: expected \"token\" with the objectives weighted, geometric and variational, which form \
                 their own ratios";
            return Err(Error::config(message));
        }
        Ok(())
    }

    /// (ε below 1, ε above 1).
    pub fn clip_ranges(&self) -> (f64, f64) {
        (self.clip_range, self.clip_range_high.unwrap_or(self.clip_range))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MultiReward {
    /// Their weighted sum is the reward.
    Sum,
    /// Each is compared and scaled in its group, then their weighted sum is brought to mean 0 and deviation 1 over the
    /// update, so that a reward of small spread is heard (Liu 2026, GDPO).
    NormalizeEach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The mean of the group, the response itself included (Shao 2024).
    Group,
    /// The mean of the other responses (Ahmadian 2024, RLOO).
    LeaveOneOut,
    /// The mean of the group in which a response weighs as much as it is long (Hao 2025, OPO).
    LengthWeighted,
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
    /// The advantage times a sigmoid of the ratio, which fades instead of clipping (Gao 2025, SAPO).
    Gated,
    /// The advantage times the geometric mean of the response's bounded ratios (Zhao 2025, GMPO).
    Geometric,
    /// The advantage times the log-probability, with a smooth weight of the whole response (Shen 2026, VESPO).
    Variational,
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
    /// The mean over responses of each one's sum; with the ratio `sequence_mean`, LUSPO (Liu 2026).
    SequenceMeanTokenSum,
}

//! Soft actor-critic of a control policy with continuous actions (Haarnoja et al. 2018, arXiv 1812.05905).
//!
//!   y    = r + γ (1 − d) (minᵢ Q̄ᵢ(o′, a′) − α log π(a′|o′)),   a′ ~ π(·|o′)
//!   L(Q) = Σᵢ E[ ½ (Qᵢ(o, a) − y)² ]
//!   L(π) = E[ α log π(ã|o) − minᵢ Qᵢ(o, ã) ],   ã ~ π(·|o), through which the gradient goes
//!   L(α) = −log α · E[ log π(ã|o) + H̄ ]
//!   Q̄ᵢ  ← (1 − τ) Q̄ᵢ + τ Qᵢ
//!
//! E is the mean over a batch that is drawn from the replay with replacement; d is 1 behind a terminated step, and o′ of a
//! truncated one is its final observation. π is a squashed normal whose deviation is an output of the network; its
//! log-probability is that of the action between its bounds. Q reads the action between −1 and 1.

use super::{Learner, Loss};
use crate::error::{Error, Result};
use crate::math;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Finished steps of all slots together that an update waits for; it takes all there are.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub rollout_steps: u32,
    /// Steps before the first optimiser step; until the first update has ended, recorded actions are drawn evenly between
    /// their bounds. 0 = the policy acts from the start. Default: Stable-Baselines3.
    #[schemars(range(min = 0, max = 16_777_216))]
    pub learning_starts: u32,
    /// Optimiser steps for each step behind `learning_starts`. Raising it learns more from less. Default: Haarnoja 2018.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1000.0))]
    pub update_to_data: f64,
    /// Steps of one optimiser step, drawn from the replay. Default: Haarnoja 2018.
    #[schemars(range(min = 1, max = 65536))]
    pub batch_size: u32,
    /// Most steps that the replay holds; then the oldest go. Default: Haarnoja 2018.
    #[schemars(range(min = 1, max = 268_435_456))]
    pub replay_capacity: u32,
    /// Most memory of the replay, in bytes; whichever bound is reached first holds.
    #[schemars(range(min = 1, max = 1_099_511_627_776u64))]
    pub replay_bytes: u64,
    /// γ, per step. Raising it looks further ahead. Default: Haarnoja 2018.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub discount: f64,
    /// τ, the share of the critics that their targets take after each optimiser step. Default: Haarnoja 2018.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0))]
    pub target_rate: f64,
    /// Widths of the hidden layers of each critic; null = those of the policy.
    #[schemars(extend("maxItems" = 8, "items" = { "type": "integer", "minimum": 1, "maximum": 4096 }))]
    pub critic_hidden: Option<Vec<u32>>,
    /// Learning rate of the critics; null = that of the optimiser. The optimiser's schedule holds for all.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0))]
    pub critic_learning_rate: Option<f64>,
    /// α before training. Raising it keeps the policy trying.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0e6))]
    pub temperature: f64,
    /// Whether α is learned; else it stays.
    pub learn_temperature: bool,
    /// Learning rate of log α; null = that of the optimiser.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0))]
    pub temperature_learning_rate: Option<f64>,
    /// H̄, nats: the entropy that α is led to; null = −1 for each dimension of the action. Default: Haarnoja 2018.
    #[schemars(range(min = -1.0e6, max = 1.0e6))]
    pub target_entropy: Option<f64>,
    /// What computes the update.
    pub learner: Learner,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            rollout_steps: 1,
            learning_starts: 100,
            update_to_data: 1.0,
            batch_size: 256,
            replay_capacity: 1_000_000,
            replay_bytes: 1 << 30,
            discount: 0.99,
            target_rate: 0.005,
            critic_hidden: None,
            critic_learning_rate: None,
            temperature: 1.0,
            learn_temperature: true,
            temperature_learning_rate: None,
            target_entropy: None,
            learner: Learner::Auto,
        }
    }
}

impl Config {
    /// What the ranges of single settings cannot say.
    pub fn check(&self) -> Result<()> {
        if !self.learn_temperature && (self.temperature_learning_rate.is_some() || self.target_entropy.is_some()) {
            let message =
                "/algorithm/learn_temperature: expected true where temperature_learning_rate or target_entropy \
                           is given, which lead the temperature";
            return Err(Error::config(message));
        }
        Ok(())
    }
}

pub struct Sac {
    config: Config,
}

/// A batch's rewards, r, and ends, d, [B] each.
pub struct Outcomes {
    pub rewards: Tensor,
    pub terminated: Tensor,
}

impl Sac {
    pub fn new(config: Config) -> Self {
        Sac { config }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Optimiser steps that so many steps of the slots are worth.
    pub fn worth(&self, steps: u64) -> u64 {
        let counted = steps.saturating_sub(self.config.learning_starts.into());
        (counted as f64 * self.config.update_to_data) as u64
    }

    /// H̄ for so many dimensions.
    pub fn target_entropy(&self, dimensions: usize) -> f64 {
        self.config.target_entropy.unwrap_or(-(dimensions as f64))
    }

    /// y, [B], from what the target critics say of the next actions, [B] each, and the log-probabilities of these, [B].
    pub fn targets(&self, outcomes: &Outcomes, next: &[Tensor; 2], log_probs: &Tensor, temperature: f64) -> Tensor {
        let values = next[0].minimum(&next[1]);
        let Outcomes { rewards, terminated } = outcomes;
        math::soft_target(rewards, terminated, &values, log_probs, self.config.discount, temperature)
    }

    /// L(Q); `values` carry gradient, `targets` do not; [B] each.
    pub fn critic_loss(&self, values: &[Tensor; 2], targets: &Tensor) -> Loss {
        let error = |values: &Tensor| math::value_loss(values, targets, targets, 0.0).mean(None);
        let total = error(&values[0]) + error(&values[1]);
        let metrics = vec![("loss/value", total.detach()), ("value/mean", values[0].detach().mean(None))];
        Loss { total, metrics }
    }

    /// L(π); `values` of the drawn actions and their `log_probs` carry gradient, [B] each.
    pub fn policy_loss(&self, values: &[Tensor; 2], log_probs: &Tensor, temperature: f64) -> Loss {
        let total = math::soft_policy_loss(&values[0].minimum(&values[1]), log_probs, temperature).mean(None);
        let metrics = vec![("loss/policy", total.detach()), ("entropy/action", -log_probs.detach().mean(None))];
        Loss { total, metrics }
    }

    /// dL(α)/d log α from the mean of −log π.
    pub fn temperature_slope(&self, entropy: f64, dimensions: usize) -> f64 {
        entropy - self.target_entropy(dimensions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_worth_what_the_ratio_says() {
        let worth = |update_to_data, steps| {
            Sac::new(Config { learning_starts: 10, update_to_data, ..Config::default() }).worth(steps)
        };
        assert_eq!([worth(1.0, 3), worth(1.0, 10), worth(1.0, 11), worth(1.0, 25)], [0, 0, 1, 15]);
        assert_eq!([worth(0.25, 13), worth(0.25, 14), worth(3.0, 12)], [0, 1, 6]);
    }

    #[test]
    fn targets_and_losses_by_hand() {
        let sac = Sac::new(Config { discount: 0.5, ..Config::default() });
        let row = |numbers: &[f64]| Tensor::from_slice(numbers);
        let outcomes = Outcomes { rewards: row(&[1.0, 1.0]), terminated: row(&[0.0, 1.0]) };
        let targets = sac.targets(&outcomes, &[row(&[4.0, 9.0]), row(&[6.0, 8.0])], &row(&[-2.0, 3.0]), 0.1);
        assert_eq!(Vec::<f64>::try_from(&targets).unwrap(), [1.0 + 0.5 * (4.0 + 0.2), 1.0]);
        let loss = sac.critic_loss(&[row(&[3.1, 2.0]), row(&[3.1, 3.0])], &targets).total.double_value(&[]);
        assert!((loss - (0.25 + 1.0)).abs() < 1e-12, "½ mean of (0, 1) and ½ mean of (0, 4): {loss}");
        let loss = sac.policy_loss(&[row(&[3.0, 1.0]), row(&[2.0, 5.0])], &row(&[-1.0, 2.0]), 0.5).total;
        assert!((loss.double_value(&[]) - 0.5 * ((-0.5 - 2.0) + (1.0 - 1.0))).abs() < 1e-12);
        assert_eq!(sac.temperature_slope(-0.5, 2), 1.5);
    }
}

//! The settings of control PPO: symbol, range, effect, and the source of each default.

use super::rate::AdaptiveRate;
use crate::algorithm::Learner;
use crate::config::{Optimizer, Preset, Schedule};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whose settings, those of the optimiser among them, stand where nothing is said; what is resolved has the numbers
    /// instead.
    #[serde(skip_serializing)]
    #[schemars(extend("default" = null))]
    pub preset: Option<Preset>,
    /// Finished steps of all slots together that an update waits for; it takes all there are. Default: Schulman 2017.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub rollout_steps: u32,
    /// Passes over the steps of one update. Default: Schulman 2017.
    #[schemars(range(min = 1, max = 1000))]
    pub epochs: u32,
    /// Optimiser steps of one pass. Default: minibatches of 64 steps (Schulman 2017).
    #[schemars(range(min = 1, max = 65536))]
    pub minibatches: u32,
    /// Longest sequence that the gradient of a recurrent policy runs back through, from the recorded state before it; a
    /// minibatch is a set of sequences. Raising it learns to remember longer. null = 16, between rl_games's 4 and
    /// CleanRL's 128; other policies have none.
    #[schemars(range(min = 1, max = 65536))]
    pub sequence_length: Option<u32>,
    /// γ, per step. Raising it looks further ahead. Default: Schulman 2017.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub discount: f64,
    /// λ of generalised advantage estimation. Raising it trades bias for variance. Default: Schulman 2017.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub gae_lambda: f64,
    /// What stands behind a truncated step.
    pub truncation: Truncation,
    /// ε of the probability ratio. Default: Schulman 2017.
    #[schemars(range(min = 0.0001, max = 100.0))]
    pub clip_range: f64,
    /// ε above 1 alone; null = `clip_range`.
    #[schemars(range(min = 0.0001, max = 100.0))]
    pub clip_range_high: Option<f64>,
    /// How ε moves, as a part of itself; its numbers count updates. Stable-Baselines3's zoo: linear to 0.
    pub clip_schedule: Schedule,
    /// Which advantages are brought to mean 0 and variance 1 together.
    pub advantages: Scope,
    /// ε of the values around their old ones, in reward units; 0 = off.
    #[schemars(range(min = 0.0, max = 1.0e6))]
    pub value_clip_range: f64,
    /// Which error a clipped value is charged.
    pub value_clip: ValueClip,
    /// c_V. Default: 1 with the ½ in the loss, which is Stable-Baselines3's 0.5 without.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub value_coef: f64,
    /// c_H. Raising it keeps the policy trying.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub entropy_coef: f64,
    /// How c_H moves, as a part of itself; its numbers count updates. ML-Agents: linear.
    pub entropy_schedule: Schedule,
    /// Weight of how far means lie beyond their bounds: Σ max(|u| − 1.1, 0)² over the continuous dimensions, with u the mean
    /// and ±1 its bounds. It keeps a policy whose actions are clipped from drifting off. Default: none; rl_games: 1e-4.
    #[schemars(range(min = 0.0, max = 1.0e6))]
    pub bound_coef: f64,
    /// The update stops before a step whose approximate KL exceeds 1.5 × this; 0 = off. Nats per action.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub target_kl: f64,
    /// The learning rate follows how far the policy moves; null = `optimizer.schedule`.
    pub adaptive_rate: Option<AdaptiveRate>,
    /// Which gradients share the norm that `optimizer.max_grad_norm` limits.
    pub gradient_clip: GradientClip,
    /// Whether rewards are divided by the deviation of their discounted sum so far.
    pub normalize_rewards: bool,
    /// Whether values are learned at mean 0 and deviation 1 of the values and returns so far, at most 5 of them away
    /// (rl_games); `value_clip_range` counts them too.
    pub normalize_values: bool,
    /// Largest magnitude of a normalised reward. Default: Stable-Baselines3.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0e6))]
    pub reward_clip: f64,
    /// Steps that were taken more publications of the policy ago are dropped, those of a recurrent policy by the oldest step of
    /// their sequence; null = none.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub max_staleness: Option<u32>,
    /// Demonstrations that are imitated beside; null = none.
    pub cloning: Option<Imitation>,
    /// How the rewards of a reward model, where the session has one, are brought to mean 0 and deviation 1.
    pub learned_reward: LearnedScope,
    /// How much of the host's reward is added to that of a reward model. Default: none.
    #[schemars(range(min = 0.0, max = 1.0e6))]
    pub host_reward_coef: f64,
    /// What computes the update.
    pub learner: Learner,
    /// Whether the steps of an update on a CUDA device are replayed from CUDA graphs; the CPU has none.
    pub graph: Graph,
}

/// c · E[−log π(a|o)] on pushed demonstrations, added to the loss of each optimiser step; c falls on a straight line to 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Imitation {
    /// c in the first update. Raising it holds the policy to the expert.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub coef: f64,
    /// Updates after which c is 0.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub decay_updates: u32,
    /// Demonstrations of one optimiser step, drawn by the seed with replacement.
    #[schemars(range(min = 1, max = 65536))]
    pub batch_size: u32,
}

impl Default for Imitation {
    fn default() -> Self {
        Imitation { coef: 0.1, decay_updates: 100, batch_size: 64 }
    }
}

impl Imitation {
    /// c in an update, the first of which is 0.
    pub fn coef(&self, update: u64) -> f64 {
        self.coef * (1.0 - update as f64 / f64::from(self.decay_updates)).max(0.0)
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            preset: None,
            rollout_steps: 2048,
            epochs: 10,
            minibatches: 32,
            sequence_length: None,
            discount: 0.99,
            gae_lambda: 0.95,
            truncation: Truncation::Exact,
            clip_range: 0.2,
            clip_range_high: None,
            clip_schedule: Schedule::default(),
            advantages: Scope::Minibatch,
            value_clip_range: 0.0,
            value_clip: ValueClip::Maximum,
            value_coef: 1.0,
            entropy_coef: 0.0,
            entropy_schedule: Schedule::default(),
            bound_coef: 0.0,
            target_kl: 0.0,
            adaptive_rate: None,
            gradient_clip: GradientClip::Whole,
            normalize_rewards: false,
            normalize_values: false,
            reward_clip: 10.0,
            max_staleness: None,
            cloning: None,
            learned_reward: LearnedScope::Running,
            host_reward_coef: 0.0,
            learner: Learner::Auto,
            graph: Graph::Auto,
        }
    }
}

impl Config {
    /// Steps of the longest sequence.
    pub fn sequence_length(&self) -> u32 {
        self.sequence_length.unwrap_or(16)
    }

    /// Refuses settings that do not go with a policy that is recurrent, or is not.
    pub fn check_policy(&self, recurrent: bool) -> Result<()> {
        match (recurrent, self.sequence_length) {
            (false, Some(length)) => Err(Error::config(format!(
                "/algorithm/sequence_length: expected none, since the policy has no core, got {length}"
            ))),
            (true, _) if self.adaptive_rate.is_some() => Err(Error::config(
                "/algorithm/adaptive_rate: expected none for a recurrent policy, whose rate does not follow it yet",
            )),
            _ => Ok(()),
        }
    }

    /// What the ranges of single settings cannot say.
    pub fn check(&self) -> Result<()> {
        self.adaptive_rate.as_ref().map_or(Ok(()), AdaptiveRate::check)
    }

    /// Refuses an optimiser that contradicts it.
    pub fn check_optimizer(&self, optimizer: &Optimizer) -> Result<()> {
        if self.gradient_clip == GradientClip::Separate && optimizer.max_grad_norm == 0.0 {
            let message =
                "/algorithm/gradient_clip: expected \"whole\" where /optimizer/max_grad_norm is 0, got \"separate\"";
            return Err(Error::config(message));
        }
        self.adaptive_rate.as_ref().map_or(Ok(()), |adaptive| adaptive.check_optimizer(optimizer))
    }

    /// The settings of an update, the first of which is 0: as they are, with what moves where it has come to.
    pub fn at(&self, update: u64) -> Config {
        let clip = self.clip_schedule.factor(update);
        Config {
            clip_range: self.clip_range * clip,
            clip_range_high: self.clip_range_high.map(|high| high * clip),
            entropy_coef: self.entropy_coef * self.entropy_schedule.factor(update),
            ..self.clone()
        }
    }
}

/// Vₜ₊₁ of a truncated step; nothing is carried over from the next episode in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Truncation {
    /// The value of the final observation (Pardo 2018; Stable-Baselines3).
    Exact,
    /// The value of the step's own observation (rsl_rl, rl_games).
    Current,
    /// None: the step is not learned from, and the one before it ends at the value of its observation (Brax, RLtools).
    Drop,
    /// 0, as if it had terminated (CleanRL, the first published code).
    Ignore,
    /// As `exact`: the critic completes the return of whatever a host calls truncated (Unreal's completion modes).
    Completion,
}

impl Truncation {
    /// Vₜ₊₁ from the values of the step's own and of the final observation.
    pub fn next_value(self, current: f32, last: f32) -> f32 {
        match self {
            Truncation::Exact | Truncation::Completion => last,
            Truncation::Current => current,
            Truncation::Drop | Truncation::Ignore => 0.0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Those of a minibatch (the first published code, CleanRL, Stable-Baselines3).
    Minibatch,
    /// Those of the update (rsl_rl, rl_games).
    Batch,
    /// None: they stay as they are.
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValueClip {
    /// The larger of the clipped and the free one (the first published code).
    Maximum,
    /// The clipped one (Stable-Baselines3).
    Clipped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LearnedScope {
    /// By all that this reward model said so far (Christiano 2017).
    Running,
    /// By what it said of the steps of the update.
    Rollout,
    /// Not at all.
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Graph {
    /// After the first steps, where it can be; an event says where it cannot.
    Auto,
    /// Never: each operation is launched by itself.
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GradientClip {
    /// All of them (CleanRL, Stable-Baselines3, rl_games).
    Whole,
    /// Those of the value's own layers, and all others, each by itself (rsl_rl).
    Separate,
}

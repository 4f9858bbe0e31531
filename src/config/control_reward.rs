//! A reward network: what of a step it reads, how it is built, how many there are of it.

use super::control::{Action, Activation, Observation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An ensemble of networks from observation and action to reward, as the `config` of a model that is created, with
/// `"model_type": "control_reward"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ControlReward {
    /// Tells it from a policy.
    pub model_type: ControlRewardType,
    /// What is observed, as the policy's; masks are not read.
    #[schemars(extend("minItems" = 1, "maxItems" = 64))]
    pub observations: Vec<Observation>,
    /// What is done, as the policy's: a choice is read as one of its choices, a number as it is handed out, scaled from its
    /// bounds to −1 … 1 where it has both.
    #[schemars(extend("minItems" = 1, "maxItems" = 64))]
    pub actions: Vec<Action>,
    /// Widths of the hidden layers. Default: Christiano 2017.
    #[serde(default = "hidden")]
    #[schemars(extend("maxItems" = 8, "items" = { "type": "integer", "minimum": 1, "maximum": 4096 }))]
    pub hidden: Vec<u32>,
    /// Behind each hidden layer.
    #[serde(default)]
    pub activation: Activation,
    /// K, networks whose mean is the reward; where they disagree, a label tells most. Default: Christiano 2017.
    #[serde(default = "ensemble")]
    #[schemars(range(min = 1, max = 64))]
    pub ensemble: u32,
    /// Gain of the orthogonal draw of hidden layers. Default: √2 (Engstrom 2020).
    #[serde(default = "hidden_gain")]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub hidden_gain: f64,
    /// Gain of the layer that tells rewards.
    #[serde(default = "reward_gain")]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub reward_gain: f64,
    /// Whether observations are brought to mean 0 and deviation 1 by what was seen in training, before the network.
    #[serde(default)]
    pub normalize_observations: bool,
    /// Largest magnitude of a normalised observation. Default: Stable-Baselines3.
    #[serde(default = "observation_clip")]
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0e6))]
    pub observation_clip: f32,
}

/// The one value of `model_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ControlRewardType {
    #[default]
    ControlReward,
}

fn hidden() -> Vec<u32> {
    vec![64, 64]
}

fn ensemble() -> u32 {
    3
}

fn hidden_gain() -> f64 {
    std::f64::consts::SQRT_2
}

fn reward_gain() -> f64 {
    1.0
}

fn observation_clip() -> f32 {
    10.0
}

//! Presets: one word for the settings that a library of control policies publishes for continuous actions.
//!
//! A preset fills in what a configuration leaves out; what is written beside it stays. What is resolved has the numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whose settings stand where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// CleanRL, `ppo_continuous_action.py`: one environment, a million steps.
    Cleanrl,
    /// Stable-Baselines3, the defaults of `PPO("MlpPolicy", …)`.
    StableBaselines3,
    /// rl_games, `configs/mujoco/halfcheetah_envpool.yaml`: 64 environments.
    RlGames,
    /// rsl_rl, `config/example_config.yaml`: 24 steps of 4 096 environments.
    RslRl,
}

impl Preset {
    /// The one that a configuration's key `preset` names.
    pub fn of(config: &Value) -> Option<Preset> {
        serde_json::from_value(config["preset"].clone()).ok()
    }

    /// Settings of a session, as JSON.
    pub fn session(self) -> &'static str {
        match self {
            Preset::Cleanrl => {
                r#"{
                "algorithm": {
                    "rollout_steps": 2048, "epochs": 10, "minibatches": 32, "discount": 0.99, "gae_lambda": 0.95,
                    "truncation": "ignore", "clip_range": 0.2, "advantages": "minibatch", "value_clip_range": 0.2,
                    "value_clip": "maximum", "value_coef": 0.5, "entropy_coef": 0.0, "gradient_clip": "whole",
                    "normalize_rewards": true, "reward_clip": 10.0
                },
                "optimizer": {
                    "learning_rate": 3e-4, "epsilon": 1e-5, "max_grad_norm": 0.5,
                    "schedule": {"type": "linear", "total_steps": 488, "final_ratio": 0.0}, "schedule_unit": "update"
                }}"#
            }
            Preset::StableBaselines3 => {
                r#"{
                "algorithm": {
                    "rollout_steps": 2048, "epochs": 10, "minibatches": 32, "discount": 0.99, "gae_lambda": 0.95,
                    "truncation": "exact", "clip_range": 0.2, "advantages": "minibatch", "value_clip_range": 0.0,
                    "value_clip": "clipped", "value_coef": 1.0, "entropy_coef": 0.0, "gradient_clip": "whole"
                },
                "optimizer": {"learning_rate": 3e-4, "epsilon": 1e-5, "max_grad_norm": 0.5}}"#
            }
            Preset::RlGames => {
                r#"{
                "algorithm": {
                    "rollout_steps": 16384, "epochs": 5, "minibatches": 8, "discount": 0.99, "gae_lambda": 0.95,
                    "truncation": "current", "clip_range": 0.2, "advantages": "batch", "value_clip_range": 0.0,
                    "value_clip": "maximum", "value_coef": 4.0, "entropy_coef": 0.0, "bound_coef": 0.0,
                    "gradient_clip": "whole", "normalize_values": true,
                    "adaptive_rate": {
                        "law": "after_step", "target_kl": 0.008, "factor": 1.5, "minimum": 1e-6, "maximum": 1e-2,
                        "refresh": true
                    }
                },
                "optimizer": {"learning_rate": 5e-4, "epsilon": 1e-8, "max_grad_norm": 1.0}}"#
            }
            Preset::RslRl => {
                r#"{
                "algorithm": {
                    "rollout_steps": 98304, "epochs": 5, "minibatches": 4, "discount": 0.99, "gae_lambda": 0.95,
                    "truncation": "current", "clip_range": 0.2, "advantages": "batch", "value_clip_range": 0.2,
                    "value_clip": "maximum", "value_coef": 2.0, "entropy_coef": 0.01, "gradient_clip": "separate",
                    "adaptive_rate": {
                        "law": "before_step", "target_kl": 0.01, "factor": 1.5, "minimum": 1e-5, "maximum": 1e-2,
                        "refresh": false
                    }
                },
                "optimizer": {"learning_rate": 1e-3, "epsilon": 1e-8, "max_grad_norm": 1.0}}"#
            }
        }
    }

    /// Settings of a network, as JSON.
    pub fn network(self) -> &'static str {
        match self {
            Preset::Cleanrl => {
                r#"{
                "hidden": [64, 64], "activation": "tanh", "value": "separate", "initialization": "orthogonal",
                "hidden_gain": 1.4142135623730951, "policy_gain": 0.01, "value_gain": 1.0, "initial_deviation": 1.0,
                "normalize_observations": true, "observation_clip": 10.0}"#
            }
            Preset::StableBaselines3 => {
                r#"{
                "hidden": [64, 64], "activation": "tanh", "value": "separate", "initialization": "orthogonal",
                "hidden_gain": 1.4142135623730951, "policy_gain": 0.01, "value_gain": 1.0, "initial_deviation": 1.0,
                "normalize_observations": false}"#
            }
            Preset::RlGames => {
                r#"{
                "hidden": [128, 64, 32], "activation": "elu", "value": "shared", "initialization": "fan_in",
                "hidden_gain": 1.4142135623730951, "policy_gain": 1.4142135623730951, "value_gain": 1.4142135623730951,
                "initial_deviation": 1.0, "normalize_observations": true, "observation_clip": 5.0}"#
            }
            Preset::RslRl => {
                r#"{
                "hidden": [256, 256, 256], "activation": "elu", "value": "separate", "initialization": "fan_in",
                "hidden_gain": 0.5773502691896258, "policy_gain": 0.5773502691896258, "value_gain": 0.5773502691896258,
                "initial_deviation": 1.0, "normalize_observations": false}"#
            }
        }
    }
}

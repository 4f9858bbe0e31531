//! The methods, one file each and all of one shape: head, `Config`, `prepare`, `loss`, metrics, tests.
//!
//! An algorithm names its terms and calls [`crate::math`]; it sees tensors only, keeps none between updates, and knows
//! neither rows nor micro-batches nor the optimiser. The session gathers the [`Columns`] it asks for, hands them to
//! `prepare` once per batch without gradient, then calls `loss` once per minibatch.

mod admission;
mod best_of_n;
pub mod cloning;
mod columns;
pub mod control_ppo;
pub mod control_reward;
mod cpo;
mod dpo;
mod grpo;
mod kto;
mod learner;
mod live;
mod off_policy;
mod online_dpo;
mod ppo;
mod reference;
mod reinforce;
mod reward;
mod rollouts;
pub mod sac;
mod sft;

pub use admission::{Admission, EqualGroups};
pub use best_of_n::BestOfN;
pub use columns::Columns;
pub use control_ppo::ControlPpo;
pub use control_reward::ControlReward;
pub use cpo::Cpo;
pub use dpo::Dpo;
pub use grpo::Grpo;
pub use kto::Kto;
pub use learner::Learner;
pub use online_dpo::OnlineDpo;
pub use ppo::Ppo;
pub use reference::{ReferenceLogProbs, ReferenceUpdate};
pub use reinforce::Reinforce;
pub use reward::Reward;
pub use sac::Sac;
pub use sft::Sft;

use crate::data::Kind;
use crate::error::{Error, Result, Status};
use crate::model::Scores;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// The method of a session and its settings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Config {
    /// Supervised fine-tuning on demonstrations.
    Sft(sft::Config),
    /// Direct preference optimisation on chosen and rejected responses.
    Dpo(dpo::Config),
    /// Preference optimisation on the same pairs without a reference.
    Cpo(cpo::Config),
    /// Kahneman–Tversky optimisation on responses that were called good or bad.
    Kto(kto::Config),
    /// Policy gradients on the policy's own rewarded rollouts, several to a prompt.
    Grpo(grpo::Config),
    /// Reward models from pairs, ranked lists or judged steps.
    Reward(reward::Config),
    /// Proximal policy optimisation on the policy's own rewarded rollouts.
    Ppo(ppo::Config),
    /// Policy gradients on the policy's own rewarded rollouts, each token by what it led to.
    Reinforce(reinforce::Config),
    /// Direct preference optimisation on the best and the worst of the policy's own rewarded rollouts to each prompt.
    OnlineDpo(online_dpo::Config),
    /// Supervised fine-tuning on the best of the policy's own rewarded rollouts to each prompt.
    BestOfN(best_of_n::Config),
    /// Proximal policy optimisation of a control policy on what its actors did.
    ControlPpo(control_ppo::Config),
    /// Behaviour cloning of a control policy from demonstrations.
    Cloning(cloning::Config),
    /// Soft actor-critic of a control policy with continuous actions, on a replay of what its actors did.
    Sac(sac::Config),
    /// A reward model of control from preferred segments of trajectories.
    ControlReward(control_reward::Config),
}

impl Default for Config {
    fn default() -> Self {
        Config::Sft(sft::Config::default())
    }
}

impl Config {
    /// What the ranges of single settings cannot say.
    pub fn check(&self) -> Result<()> {
        match self {
            Config::Grpo(config) => config.check(),
            Config::Ppo(config) => config.check(),
            Config::Reinforce(config) => config.check(),
            Config::Dpo(config) => config.check(),
            Config::Cpo(config) => config.check(),
            Config::Reward(config) => config.check(),
            Config::Kto(config) => config.check(),
            Config::Sac(config) => config.check(),
            Config::Sft(_)
            | Config::OnlineDpo(_)
            | Config::BestOfN(_)
            | Config::Cloning(_)
            | Config::ControlReward(_) => Ok(()),
            Config::ControlPpo(config) => config.check(),
        }
    }

    /// The algorithm with its initial state, if it is one of language models.
    pub fn build(&self) -> Result<Box<dyn Algorithm>> {
        Ok(match self {
            Config::Sft(config) => Box::new(Sft::new(config.clone())),
            Config::Dpo(config) => Box::new(Dpo::new(config.clone())),
            Config::Cpo(config) => Box::new(Cpo::new(config.clone())),
            Config::Kto(config) => Box::new(Kto::new(config.clone())),
            Config::Grpo(config) => Box::new(Grpo::new(config.clone())),
            Config::Reward(config) => Box::new(Reward::new(config.clone())),
            Config::Ppo(config) => Box::new(Ppo::new(config.clone())),
            Config::Reinforce(config) => Box::new(Reinforce::new(config.clone())),
            Config::OnlineDpo(config) => Box::new(OnlineDpo::new(config.clone())),
            Config::BestOfN(config) => Box::new(BestOfN::new(config.clone())),
            Config::ControlPpo(_) | Config::Sac(_) | Config::Cloning(_) | Config::ControlReward(_) => {
                return Err(Error::state("algorithm: expected one that trains a language model"))
            }
        })
    }

    /// Whether it trains a control network.
    pub fn is_control(&self) -> bool {
        matches!(self, Config::ControlPpo(_) | Config::Sac(_) | Config::Cloning(_) | Config::ControlReward(_))
    }
}

/// How rows become updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regime {
    /// Rows stay; one update is one optimiser step on the next `batch_size` rows of a seeded shuffle, until every row
    /// was used `epochs` times (0 = without end).
    Offline { batch_size: usize, epochs: u64, shuffle: bool },
    /// One update takes all pushed rollouts, makes `epochs` passes of `minibatches` optimiser steps, and drops them.
    OnPolicy { epochs: u64, minibatches: usize },
}

/// What the session computes without gradient before `prepare`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Needs {
    /// `policy_log_probs` [S, T], and `values` [S, T] where there is a value head.
    pub policy: bool,
    /// `reference_log_probs` [S, T].
    pub reference: bool,
    /// Whether those of a row are kept for its next pass, as long as the reference is the same.
    pub reference_kept: bool,
    /// For each row a second sequence: its prompt with the response of the row before.
    pub mismatched: bool,
    /// `Scores::sharpened` of the policy.
    pub sharpened: bool,
    /// Values of states, of a head on the policy's trunk unless the session has a value model.
    pub values: bool,
    /// Values also of the states after the responses, and `ends` [B, T]: the slot behind each response.
    pub value_after: bool,
    /// So many rewards of each row: `rewards` [B, K], with `finished` [B] and `rollout_log_probs` [B, T]; 0 = none.
    pub rewards: usize,
    /// `groups` [B], and at least so many responses to each prompt; 0 = no groups.
    pub group_size: usize,
    /// The host's columns of numbers that `loss` reads, each under its own name as [B], and what stands where the host
    /// gave none; NaN where it must.
    pub columns: &'static [(&'static str, f32)],
    /// The host's columns of one number a response token that `prepare` or `loss` reads, [B, T], and what stands where
    /// there are none; NaN where there must be.
    pub token_columns: &'static [(&'static str, f32)],
    /// Numbers a row of each of these columns, which are then [B, K]; 0 = one, [B].
    pub scores: usize,
}

/// Demonstrations that a method on rollouts goes on learning from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mixed {
    /// Demonstrations of one optimiser step.
    pub batch_size: usize,
    pub step: MixedStep,
}

/// Which optimiser step their gradient goes into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MixedStep {
    /// The one of the rollouts.
    Joint,
    /// One of their own, after it.
    Own,
}

/// The loss of one minibatch: a scalar that carries the gradient, and what it was made of.
pub struct Loss {
    pub total: Tensor,
    pub metrics: Vec<Measured>,
}

/// A metric's name (telemetry's table) and its scalar tensor.
pub type Measured = (&'static str, Tensor);

/// One method. The same order everywhere: what it trains on, what it needs, `prepare`, `loss`, what it keeps.
pub trait Algorithm: Send {
    /// The kind of batch it trains on.
    fn kind(&self) -> Kind;

    fn regime(&self) -> Regime;

    fn needs(&self) -> Needs;

    /// The names of the scores of the reward model that it trains; none where it trains a policy.
    fn scores(&self) -> &[String] {
        &[]
    }

    /// Which waiting rollouts an update trains on.
    fn admission(&self) -> Admission {
        Admission::default()
    }

    /// Softmax temperature of every log-probability, sampling included.
    fn temperature(&self) -> f64 {
        1.0
    }

    /// Whether this update trains the value head alone, and at which learning rate.
    fn value_warmup(&self) -> Option<f64> {
        None
    }

    /// Whether and how the reference follows the policy.
    fn reference_update(&self) -> Option<ReferenceUpdate> {
        None
    }

    /// Adds to `columns` what `loss` needs and returns what was measured; once per batch, no gradient.
    fn prepare(&mut self, _columns: &mut Columns) -> Result<Vec<Measured>> {
        Ok(Vec::new())
    }

    /// The loss of one minibatch. `scores` carries gradient; `columns` does not.
    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss>;

    /// α of the noise on the embeddings in training; 0 = none.
    fn embedding_noise(&self) -> f64 {
        0.0
    }

    /// The demonstrations that it mixes in, if any.
    fn mixed(&self) -> Option<Mixed> {
        None
    }

    /// The loss of demonstrations that are mixed in.
    fn mixed_loss(&self, _scores: &Scores, _columns: &Columns) -> Result<Loss> {
        Err(Error::new(Status::Internal, "this method mixes in no demonstrations"))
    }

    /// Whether what `loss` measured says that this update should stop before the step.
    fn stops(&self, _metric: &dyn Fn(&str) -> Option<f64>) -> bool {
        false
    }

    /// Called once after an update with its averaged metrics and its number of rows.
    fn finish(&mut self, _metric: &dyn Fn(&str) -> Option<f64>, _rows: usize) {}

    /// Takes settings of which none but those that are live differ; a coefficient that it has moved begins anew where its
    /// own setting has changed.
    fn configure(&mut self, _config: &Config) {}

    /// What must survive save and restore.
    fn state(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    fn set_state(&mut self, _state: &serde_json::Value) -> Result<()> {
        Ok(())
    }
}

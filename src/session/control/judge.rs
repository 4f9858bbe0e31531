//! The reward model that judges what actors do, in the place of the host's rewards.

use super::course::Saved;
use super::rollout::Rollout;
use super::{ControlSession, Method};
use crate::algorithm::control_ppo::{Config, LearnedScope};
use crate::error::{Error, Result, Status};
use crate::kernel;
use crate::model::control::{as_format, RewardModel, RewardSpec, Spec, Statistics};
use crate::model::AnyModel;
use crate::session::Role;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// A snapshot that its owner's later publications do not touch.
pub(super) struct Judge {
    pub model: Arc<RewardModel>,
    /// Of its rewards, as of the last finished update.
    pub statistics: Statistics,
}

impl ControlSession {
    /// Lets a reward model judge what actors do from now on.
    pub(super) fn set_judge(&self, role: Role, model: AnyModel) -> Result<()> {
        let (Role::Reward, AnyModel::Reward(model), Method::Ppo(algorithm)) = (role, model, &self.method) else {
            let message =
                "model: expected a control network for the role policy, or a reward network of control for the \
                           role reward in a session that trains a policy";
            return Err(Error::state(message));
        };
        if algorithm.config().normalize_rewards {
            let message = "model: expected normalize_rewards off beside a reward model, whose rewards learned_reward \
                           normalises";
            return Err(Error::state(message));
        }
        let policy = self.policy()?;
        self.while_idle("set_model", || {
            let judge = Judge::of(&model, policy.spec())?;
            self.core.lock().ppo()?.judge = Some(judge);
            Ok(())
        })
    }
}

/// What a checkpoint says of it beside the tensor.
#[derive(Serialize, Deserialize)]
pub(super) struct JudgeState {
    config: Value,
    observed: Statistics,
    statistics: Statistics,
}

/// The tensor that holds its weights.
const WEIGHTS: &str = "reward.parameters";

impl Judge {
    /// Refuses a model that does not read the policy's steps.
    pub fn of(model: &RewardModel, policy: &Spec) -> Result<Judge> {
        model.spec().check_reads(policy)?;
        Ok(Judge { model: Arc::new(model.frozen()), statistics: Statistics::new(1) })
    }

    /// Puts its rewards in the place of the host's, of which `host_reward_coef` parts stay; merges what it said into
    /// `statistics`. Before the observations are normalised.
    pub fn rewards(
        &self,
        rollout: &mut Rollout,
        policy: &Spec,
        statistics: &mut Statistics,
        config: &Config,
    ) -> Result<()> {
        let rows = rollout.rows();
        let mut actions = rollout.actions.clone();
        policy.hand_out(&mut actions);
        let observations = rollout.observations.to_host()?;
        let mut told = self.model.rewards(&observations[..rows * policy.inputs], &actions)?;
        if let Some(reward) = told.iter().find(|reward| !reward.is_finite()) {
            let message = format!("reward model: expected finite rewards, got {reward}");
            return Err(Error::new(Status::NonFinite, message));
        }
        match config.learned_reward {
            LearnedScope::Running => {
                statistics.merge(told.chunks_exact(1));
                let (mean, scale) = (statistics.means[0], statistics.scale(0));
                told.iter_mut().for_each(|reward| *reward = ((f64::from(*reward) - mean) * scale) as f32);
            }
            LearnedScope::Rollout => kernel::whiten(&mut told),
            LearnedScope::Off => {}
        }
        let coef = config.host_reward_coef;
        for (reward, told) in rollout.rewards.iter_mut().zip(told) {
            *reward = (f64::from(told) + if coef > 0.0 { coef * f64::from(*reward) } else { 0.0 }) as f32;
        }
        Ok(())
    }

    pub fn save(&self, saved: &mut Saved) -> JudgeState {
        let published = self.model.published();
        saved.tensors.insert(WEIGHTS.to_string(), published.weights.clone());
        JudgeState {
            config: Value::from(self.model.spec().as_ref()),
            observed: published.statistics.clone(),
            statistics: self.statistics.clone(),
        }
    }

    /// What `save` put, for this policy.
    pub fn restore(state: &JudgeState, saved: &Saved, policy: &Spec) -> Result<Judge> {
        let spec = RewardSpec::parse(&state.config).map_err(as_format)?;
        let model = RewardModel::assemble(spec, saved.tensor(WEIGHTS)?.clone(), state.observed.clone())?;
        saved.sound(state.statistics.sound(1))?;
        model.spec().check_reads(policy)?;
        Ok(Judge { model: Arc::new(model), statistics: state.statistics.clone() })
    }
}

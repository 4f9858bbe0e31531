//! What proximal policy optimisation keeps between the updates of a control session.

use super::course::{Course, Saved};
use super::recording::Recording;
use super::rollout::Rollout;
use super::trainee::Trainee;
use super::update::Update;
use super::{ControlSession, Shared};
use crate::algorithm::ControlPpo;
use crate::error::Result;
use crate::model::control::{Policy, Statistics};
use crate::session::plan::Plan;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub(super) struct Ppo {
    pub trainee: Trainee,
    /// Of observations and of discounted rewards, as of the last finished update.
    pub statistics: Statistics,
    pub reward_statistics: Statistics,
}

/// What a checkpoint says beside the tensors.
#[derive(Serialize, Deserialize)]
struct State {
    steps: u64,
    statistics: Statistics,
    reward_statistics: Statistics,
}

impl Ppo {
    pub fn new(policy: &Arc<Policy>, algorithm: &ControlPpo) -> Result<Ppo> {
        algorithm.config().check_policy(policy.spec().state > 0)?;
        Ok(Ppo {
            trainee: Trainee::new(policy, algorithm.config().learner)?,
            statistics: policy.published().statistics.clone(),
            reward_statistics: Statistics::new(1),
        })
    }

    /// An update on all finished steps; `None` while there are too few.
    pub fn plan(
        session: &Arc<ControlSession>,
        algorithm: &Arc<ControlPpo>,
        updates: u64,
        recordings: &[Shared],
    ) -> Option<Box<dyn Plan>> {
        let config = algorithm.config();
        let rollout = Rollout::gather(recordings, config.rollout_steps as usize, config.truncation)?;
        Some(Box::new(Update::new(session, algorithm, updates, rollout)))
    }
}

impl Course for Ppo {
    fn publish(&mut self) -> Result<u64> {
        let weights = self.trainee.arena.weights()?;
        Ok(self.trainee.policy.publish(weights, self.statistics.clone()))
    }

    fn save(&mut self) -> Result<Saved> {
        let mut saved = Saved::default();
        let steps = saved.put("policy", self.trainee.arena.moments()?);
        let (statistics, reward_statistics) = (self.statistics.clone(), self.reward_statistics.clone());
        saved.tell(&State { steps, statistics, reward_statistics })?;
        Ok(saved)
    }

    fn check(&self, saved: &Saved) -> Result<()> {
        let state: State = saved.told()?;
        let sound = state.statistics.sound(self.trainee.policy.spec().inputs) && state.reward_statistics.sound(1);
        saved.sound(sound && self.trainee.arena.fits(&saved.moments("policy", state.steps)?))
    }

    fn load(&mut self, saved: &Saved) -> Result<()> {
        let state: State = saved.told()?;
        self.trainee.arena.set_moments(&saved.moments("policy", state.steps)?)?;
        (self.statistics, self.reward_statistics) = (state.statistics, state.reward_statistics);
        Ok(())
    }

    fn accepts(&self, recording: &Recording) -> bool {
        recording.sound(self.trainee.policy.spec())
    }
}

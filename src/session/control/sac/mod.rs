//! What soft actor-critic keeps between the updates of a control session: networks, replay, how far it has come.
//!
//! A call of `update` moves finished steps from the actors' recordings into the replay, whose rows stay until newer ones need
//! their room; so an update that ends early loses none.

mod networks;
mod replay;
mod stepping;
#[cfg(test)]
mod tests;
mod update;

use super::course::{Course, Saved};
use super::ended::Ended;
use super::recording::{Episode, Recording};
use super::rollout::in_turn;
use super::seat::Shared;
use super::{without_core, ControlSession};
use crate::algorithm::{self, Sac};
use crate::config::{Deviation, Distribution};
use crate::error::{Error, Result, Status};
use crate::model::control::{Branch, Policy, Statistics};
use crate::session::plan::Plan;
use networks::{Measured, Networks};
pub(super) use replay::drawn;
use replay::{Batch, Replay, Transition};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use stepping::Stepping;
use update::Update;

pub(super) struct ActorCritic {
    policy: Arc<Policy>,
    algorithm: Arc<Sac>,
    networks: Networks,
    replay: Replay,
    /// Of observations, those in the replay among them.
    statistics: Statistics,
    tally: Tally,
    /// What the last optimiser step was drawn on, as the networks read it, and the noise of its actions.
    batch: Batch,
    noise: Vec<f32>,
    /// The optimiser step whose critics were stepped on `batch`; the policy follows.
    stepping: Option<Stepping>,
    /// What the last one measured that is complete, until the update that it is of has counted it.
    stepped: Option<Measured>,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    /// Steps that were moved into the replay.
    taken: u64,
    /// How many of them there were when the last update was complete.
    settled: u64,
    /// Optimiser steps that steps were worth which a clear dropped.
    forgiven: u64,
    /// Episodes that ended since the last update was complete.
    ended: Ended,
}

/// What a checkpoint says beside the tensors.
#[derive(Serialize, Deserialize)]
struct State {
    steps: [u64; 3],
    statistics: Statistics,
    tally: Tally,
}

const REPLAY: &str = "replay";
/// Counters of a file are below this.
const MOST_COUNTED: u64 = 1 << 62;

impl ActorCritic {
    /// Refuses a policy whose actions are not drawn from squashed normals whose deviation the state decides.
    pub fn new(policy: &Arc<Policy>, algorithm: &Arc<Sac>, seed: u64) -> Result<ActorCritic> {
        let (spec, config) = (policy.spec(), algorithm.config());
        for (index, branch) in spec.branches.iter().enumerate() {
            let found = match branch {
                Branch::Discrete { .. } => "a discrete one".to_string(),
                Branch::Continuous(own) => match (own.distribution, own.deviation) {
                    (Distribution::Squashed, Deviation::State) => continue,
                    (distribution, deviation) => format!("{distribution:?} with {deviation:?}").to_lowercase(),
                },
            };
            return Err(Error::config(format!(
                "/actions/{index}: expected continuous actions with \"distribution\": \"squashed\" and \"deviation\": \"state\" \
                 in a policy that sac trains, got {found}"
            )));
        }
        without_core(spec, "sac")?;
        if spec.is_scripted() {
            return Err(Error::config("/script: expected none in a policy that sac trains"));
        }
        let capacity = config.replay_capacity as usize;
        Ok(ActorCritic {
            networks: Networks::new(policy, algorithm, seed)?,
            replay: Replay::new(spec.inputs, spec.actions, capacity, config.replay_bytes),
            statistics: policy.published().statistics.clone(),
            tally: Tally::default(),
            batch: Batch::default(),
            noise: Vec::new(),
            stepping: None,
            stepped: None,
            policy: policy.clone(),
            algorithm: algorithm.clone(),
        })
    }

    /// Takes over the replay of the policy before it.
    pub fn follow(&mut self, before: &mut ActorCritic) {
        self.statistics = self.policy.inherited(&before.statistics);
        std::mem::swap(&mut self.replay, &mut before.replay);
        self.tally = before.tally;
    }

    /// Takes settings of which none but those that are live differ.
    fn configure(&mut self, config: &algorithm::Config) {
        if let algorithm::Config::Sac(config) = config {
            self.algorithm = Arc::new(Sac::new(config.clone()));
            self.networks.configure(&self.algorithm);
        }
    }

    /// An update on what was recorded since the last; `None` while that is too little. `made` counts optimiser steps so far.
    pub fn plan(&mut self, session: &Arc<ControlSession>, made: u64) -> Result<Option<Box<dyn Plan>>> {
        let recordings = session.all_recordings();
        let waiting: usize = recordings.iter().map(|recording| recording.lock().finished).sum();
        let taken = self.tally.taken + waiting as u64;
        let due = self.algorithm.worth(taken).saturating_sub(self.tally.forgiven).saturating_sub(made);
        if taken - self.tally.settled < u64::from(self.algorithm.config().rollout_steps) || due == 0 {
            return Ok(None);
        }
        self.take(&recordings)?;
        self.stepped = None;
        Ok((self.replay.len() > 0).then(|| Box::new(Update::new(session, due)) as Box<dyn Plan>))
    }

    /// Moves the finished steps of all recordings into the replay, in the order of turns; those of an abandoned episode's end
    /// are dropped.
    fn take(&mut self, recordings: &[Shared]) -> Result<()> {
        let spec = self.policy.spec().clone();
        let (mut fresh, mut slots) = (Replay::new(spec.inputs, spec.actions, usize::MAX, u64::MAX), Vec::new());
        for recording in recordings {
            self.read(&mut recording.lock(), &mut fresh, &mut slots)?;
        }
        let order = in_turn(&slots);
        if spec.config.normalize_observations {
            self.statistics.merge(order.iter().map(|row| fresh.observation(*row)));
        }
        order.iter().for_each(|row| self.replay.put(&fresh.transition(*row)));
        self.tally.taken += order.len() as u64;
        Ok(())
    }

    /// Moves the finished steps of a recording to `fresh`, and whose they are.
    fn read(&mut self, recording: &mut Recording, fresh: &mut Replay, slots: &mut Vec<u32>) -> Result<()> {
        let used: Vec<bool> = (0..recording.len()).map(|step| recording.is_finished(step)).collect();
        let finals: HashMap<usize, &[f32]> = recording.finals().collect();
        let mut action = vec![0.0; self.policy.spec().actions];
        for step in (0..recording.len()).filter(|step| recording.is_learned(*step)) {
            let next = match recording.episodes[step] {
                Episode::Terminated => None,
                Episode::Truncated => finals.get(&step).copied(),
                _ => recording.next(step).map(|next| recording.observation(next)),
            };
            for (action, drawn) in action.iter_mut().zip(recording.action(step)) {
                *action = drawn.tanh();
            }
            let (observation, reward) = (recording.observation(step), recording.rewards[step]);
            fresh.put(&Transition { observation, action: &action, reward, next });
            slots.push(recording.slot_of[step]);
        }
        let (ended, open) = (recording.ended, recording.open());
        self.tally.ended.add(ended);
        recording.forget(&used, ended, &open)
    }

    fn is_sound(&self, state: &State) -> bool {
        let tally = state.tally;
        let counters = [tally.taken, tally.forgiven, tally.ended.episodes, tally.ended.lengths];
        counters.into_iter().all(|counter| counter < MOST_COUNTED)
            && tally.settled <= tally.taken
            && tally.ended.returns.is_finite()
            && state.statistics.sound(self.policy.spec().inputs)
    }
}

impl Course for ActorCritic {
    fn settle(&mut self, writing: &AtomicBool) -> Result<bool> {
        self.step_policy(writing).inspect_err(|error| {
            if error.status != Status::OutOfMemory {
                // trying again would give the same
                self.stepping = None;
            }
        })
    }

    fn publish(&mut self) -> Result<u64> {
        Ok(self.policy.publish(self.networks.weights()?, self.statistics.clone()))
    }

    fn clear(&mut self, made: u64) {
        self.replay.clear();
        self.stepping = None;
        self.tally.settled = self.tally.taken;
        self.tally.forgiven = self.algorithm.worth(self.tally.taken).saturating_sub(made);
    }

    fn save(&mut self) -> Result<Saved> {
        let mut saved = Saved::default();
        let steps = self.networks.save(&mut saved)?;
        saved.tensors.insert(REPLAY.to_string(), self.replay.unrolled());
        saved.tell(&State { steps, statistics: self.statistics.clone(), tally: self.tally })?;
        Ok(saved)
    }

    fn check(&self, saved: &Saved) -> Result<()> {
        let state: State = saved.told()?;
        let replay = self.replay.fits(saved.tensor(REPLAY)?);
        saved.sound(replay && self.is_sound(&state) && self.networks.fits(saved, state.steps)?)
    }

    fn load(&mut self, saved: &Saved) -> Result<()> {
        let state: State = saved.told()?;
        self.networks.load(saved, state.steps)?;
        self.replay.load(saved.tensor(REPLAY)?);
        (self.statistics, self.tally, self.stepping) = (state.statistics, state.tally, None);
        Ok(())
    }

    fn keep(&mut self) -> Result<Saved> {
        let mut saved = Saved::default();
        self.networks.save(&mut saved)?;
        saved.tell(&self.statistics)?;
        Ok(saved.without_moments())
    }

    fn go_back(&mut self, kept: &Saved) -> Result<()> {
        (self.statistics, self.stepping) = (kept.told()?, None);
        self.networks.load(kept, [0; 3])
    }

    fn accepts(&self, recording: &Recording) -> bool {
        recording.sound(self.policy.spec())
    }
}

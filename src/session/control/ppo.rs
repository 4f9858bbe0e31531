//! What proximal policy optimisation keeps between the updates of a control session.

use super::course::{Course, Saved};
use super::demonstrations::Demonstrations;
use super::judge::{Judge, JudgeState};
use super::recording::Recording;
use super::rollout::Rollout;
use super::trainee::Trainee;
use super::update::Update;
use super::{without_core, ControlSession};
use crate::algorithm::ControlPpo;
use crate::error::Result;
use crate::model::control::{Policy, Statistics};
use crate::session::plan::Plan;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tch::Device;

pub(super) struct Ppo {
    pub trainee: Trainee,
    /// Of observations and of discounted rewards, as of the last finished update.
    pub statistics: Statistics,
    pub reward_statistics: Statistics,
    /// What it imitates beside, where its settings say so.
    pub shown: Option<Demonstrations>,
    pushed: u64,
    /// What judges the steps, unless the host's rewards count.
    pub judge: Option<Judge>,
    /// Of values and returns, as of the last update that made a step.
    pub value_statistics: Statistics,
    /// The learning rate that an adaptive one has come to.
    pub rate: Option<f64>,
    /// Steps that were too old for an update, since the last one.
    pub stale: u64,
}

/// What a checkpoint says beside the tensors.
#[derive(Serialize, Deserialize)]
struct State {
    steps: u64,
    statistics: Statistics,
    reward_statistics: Statistics,
    pushed: u64,
    #[serde(default)]
    judge: Option<JudgeState>,
    value_statistics: Statistics,
    rate: Option<f64>,
}

impl Ppo {
    pub fn new(policy: &Arc<Policy>, algorithm: &ControlPpo, device: Device) -> Result<Ppo> {
        algorithm.config().check_policy(policy.spec().state > 0)?;
        if algorithm.config().cloning.is_some() {
            without_core(policy.spec(), "cloning")?;
        }
        Ok(Ppo {
            trainee: match device.is_cuda() {
                true => Trainee::on(device, policy, algorithm.config())?,
                false => Trainee::new(policy, algorithm.config().learner)?.with(algorithm.config())?,
            },
            statistics: policy.published().statistics.clone(),
            reward_statistics: Statistics::new(1),
            shown: algorithm.config().cloning.as_ref().map(|_| Demonstrations::default()),
            pushed: 0,
            judge: None,
            value_statistics: Statistics::new(1),
            rate: None,
            stale: 0,
        })
    }

    /// An update on all finished steps; `None` while there are too few.
    pub fn plan(
        &mut self,
        session: &Arc<ControlSession>,
        algorithm: &Arc<ControlPpo>,
        updates: u64,
    ) -> Result<Option<Box<dyn Plan>>> {
        let (config, recordings) = (algorithm.config(), session.all_recordings());
        if let Some(most) = config.max_staleness {
            let version = self.trainee.policy.version();
            for recording in &recordings {
                self.stale += recording.lock().drop_stale(most.into(), version)?;
            }
        }
        let rollout = Rollout::gather(&recordings, config.rollout_steps as usize, config.truncation)?;
        let shown = self.shown.as_ref().map_or(0, Demonstrations::rows);
        let stale = self.stale;
        let plan = |rollout| {
            let update = Update::new(session, algorithm, updates, rollout).beside(shown).without(stale);
            Box::new(update) as Box<dyn Plan>
        };
        Ok(rollout.map(plan))
    }
}

impl Ppo {
    /// Takes over what the policy before it leaves: demonstrations, its judge, the scale of the rewards.
    pub fn follow(&mut self, before: &mut Ppo) {
        self.statistics = self.trainee.policy.inherited(&before.statistics);
        (self.shown, self.pushed, self.judge) = (before.shown.take(), before.pushed, before.judge.take());
        (self.reward_statistics, self.stale) = (before.reward_statistics.clone(), before.stale);
    }

    fn judge_of(&self, state: &State, saved: &Saved) -> Result<Option<Judge>> {
        let policy = self.trainee.policy.spec();
        state.judge.as_ref().map(|judge| Judge::restore(judge, saved, policy)).transpose()
    }
}

impl Course for Ppo {
    fn publish(&mut self) -> Result<u64> {
        let weights = self.trainee.arena.weights()?;
        Ok(self.trainee.policy.publish(weights, self.statistics.clone()))
    }

    fn show(&mut self, shown: Demonstrations) {
        self.pushed += shown.rows() as u64;
        if let Some(all) = &mut self.shown {
            all.extend(shown);
        }
    }

    fn shown(&self) -> (usize, u64) {
        (self.shown.as_ref().map_or(0, Demonstrations::rows), self.pushed)
    }

    fn clear(&mut self, _made: u64) {
        if let Some(shown) = &mut self.shown {
            shown.clear();
        }
    }

    fn save(&mut self) -> Result<Saved> {
        let mut saved = Saved::default();
        let steps = saved.put("policy", self.trainee.arena.moments()?);
        if let Some(shown) = &self.shown {
            shown.save(&mut saved);
        }
        let judge = self.judge.as_ref().map(|judge| judge.save(&mut saved));
        saved.tell(&State {
            steps,
            statistics: self.statistics.clone(),
            reward_statistics: self.reward_statistics.clone(),
            value_statistics: self.value_statistics.clone(),
            pushed: self.pushed,
            rate: self.rate,
            judge,
        })?;
        Ok(saved)
    }

    fn check(&self, saved: &Saved) -> Result<()> {
        let state: State = saved.told()?;
        let shown = self.shown.is_none() || Demonstrations::saved(saved, self.trainee.policy.spec())?.is_some();
        let sound = shown
            && state.pushed < 1 << 62
            && state.statistics.sound(self.trainee.policy.spec().vectors)
            && state.reward_statistics.sound(1)
            && state.value_statistics.sound(1)
            && state.rate.is_none_or(|rate| rate > 0.0 && rate <= 1.0);
        self.judge_of(&state, saved)?;
        saved.sound(sound && self.trainee.arena.fits(&saved.moments("policy", state.steps)?))
    }

    fn load(&mut self, saved: &Saved) -> Result<()> {
        let state: State = saved.told()?;
        self.trainee.arena.set_moments(&saved.moments("policy", state.steps)?)?;
        if let Some(shown) = &mut self.shown {
            *shown = Demonstrations::saved(saved, self.trainee.policy.spec())?.unwrap_or_default();
        }
        self.judge = self.judge_of(&state, saved)?;
        (self.statistics, self.reward_statistics) = (state.statistics, state.reward_statistics);
        self.pushed = state.pushed;
        (self.value_statistics, self.rate) = (state.value_statistics, state.rate);
        Ok(())
    }

    fn keep(&mut self) -> Result<Saved> {
        let mut saved = Saved::default();
        saved.put("policy", self.trainee.arena.moments()?);
        saved.tell(&(&self.statistics, &self.reward_statistics, &self.value_statistics))?;
        Ok(saved.without_moments())
    }

    fn go_back(&mut self, kept: &Saved) -> Result<()> {
        (self.statistics, self.reward_statistics, self.value_statistics) = kept.told()?;
        self.rate = None;
        self.trainee.arena.set_moments(&kept.moments("policy", 0)?)
    }

    fn accepts(&self, recording: &Recording) -> bool {
        recording.sound(self.trainee.policy.spec())
    }
}

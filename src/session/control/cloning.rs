//! What behaviour cloning keeps between the updates of a control session, and its update: one step on the next demonstrations.

use super::course::{Course, Saved};
use super::demonstrations::{Demonstrations, Passes};
use super::recording::Recording;
use super::trainee::Trainee;
use super::{without_core, ControlSession, Core};
use crate::algorithm::cloning::Config;
use crate::error::{Error, Result, Status};
use crate::model::control::{Policy, Statistics};
use crate::session::plan::{Ending, Output, Plan};
use crate::session::record::Measurements;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use std::sync::Arc;

pub(super) struct Imitator {
    config: Config,
    seed: u64,
    trainee: Trainee,
    /// Of the observations of all demonstrations.
    statistics: Statistics,
    shown: Demonstrations,
    passes: Passes,
    next_id: u64,
}

/// What a checkpoint says beside the tensors.
#[derive(Serialize, Deserialize)]
struct State {
    steps: u64,
    statistics: Statistics,
    passes: Passes,
    next_id: u64,
}

impl Imitator {
    pub fn new(policy: &Arc<Policy>, config: &Config, seed: u64) -> Result<Imitator> {
        without_core(policy.spec(), "cloning")?;
        Ok(Imitator {
            config: config.clone(),
            seed,
            trainee: Trainee::new(policy, config.learner)?,
            statistics: policy.published().statistics.clone(),
            shown: Demonstrations::default(),
            passes: Passes::default(),
            next_id: 0,
        })
    }

    /// Takes over the demonstrations of the policy before it.
    pub fn follow(&mut self, before: &mut Imitator) {
        self.statistics = self.trainee.policy.inherited(&before.statistics);
        (self.shown, self.passes) = (std::mem::take(&mut before.shown), std::mem::take(&mut before.passes));
        self.next_id = before.next_id;
    }

    /// An update on the next demonstrations; `None` when each was visited as often as it should.
    pub fn plan(&mut self, session: &Arc<ControlSession>) -> Option<Box<dyn Plan>> {
        let Config { batch_size, epochs, shuffle, .. } = self.config;
        let rows = self.passes.next(batch_size as usize, epochs.into(), shuffle.then_some(self.seed))?;
        let normalizer = self.trainee.policy.normalizer(&self.statistics);
        let batch = self.trainee.shown(&self.shown, rows.into_iter(), &normalizer);
        Some(Box::new(Update { session: session.clone(), batch, measured: Measurements::default(), stepped: false }))
    }
}

impl Course for Imitator {
    fn publish(&mut self) -> Result<u64> {
        Ok(self.trainee.policy.publish(self.trainee.arena.weights()?, self.statistics.clone()))
    }

    fn show(&mut self, shown: Demonstrations) {
        let spec = self.trainee.policy.spec();
        if spec.config.normalize_observations {
            self.statistics.merge(shown.observations.chunks_exact(spec.inputs));
        }
        self.passes.join(shown.rows() as u64);
        self.next_id += shown.rows() as u64;
        self.shown.extend(shown);
    }

    fn shown(&self) -> (usize, u64) {
        (self.shown.rows(), self.next_id)
    }

    fn clear(&mut self, _made: u64) {
        self.shown.clear();
        self.passes = Passes::default();
    }

    fn save(&mut self) -> Result<Saved> {
        let mut saved = Saved::default();
        let steps = saved.put("policy", self.trainee.arena.moments()?);
        self.shown.save(&mut saved);
        let (statistics, passes) = (self.statistics.clone(), self.passes.clone());
        saved.tell(&State { steps, statistics, passes, next_id: self.next_id })?;
        Ok(saved)
    }

    fn check(&self, saved: &Saved) -> Result<()> {
        let (state, spec): (State, _) = (saved.told()?, self.trainee.policy.spec());
        let shown = Demonstrations::saved(saved, spec)?;
        let sound = shown.is_some_and(|shown| state.passes.sound(shown.rows()))
            && state.statistics.sound(spec.inputs)
            && state.next_id < 1 << 62;
        saved.sound(sound && self.trainee.arena.fits(&saved.moments("policy", state.steps)?))
    }

    fn load(&mut self, saved: &Saved) -> Result<()> {
        let state: State = saved.told()?;
        self.shown = Demonstrations::saved(saved, self.trainee.policy.spec())?.unwrap_or_default();
        self.trainee.arena.set_moments(&saved.moments("policy", state.steps)?)?;
        (self.statistics, self.passes, self.next_id) = (state.statistics, state.passes, state.next_id);
        Ok(())
    }

    fn keep(&mut self) -> Result<Saved> {
        let mut saved = Saved::default();
        saved.put("policy", self.trainee.arena.moments()?);
        saved.tell(&self.statistics)?;
        Ok(saved.without_moments())
    }

    fn go_back(&mut self, kept: &Saved) -> Result<()> {
        self.statistics = kept.told()?;
        self.trainee.arena.set_moments(&kept.moments("policy", 0)?)
    }

    fn accepts(&self, recording: &Recording) -> bool {
        recording.sound(self.trainee.policy.spec())
    }
}

struct Update {
    session: Arc<ControlSession>,
    batch: Demonstrations,
    measured: Measurements,
    stepped: bool,
}

impl Update {
    fn step(&mut self, core: &mut Core) -> Result<()> {
        let session = self.session.clone();
        let (updates, steps) = (core.updates, core.optimizer_steps);
        let trainee = &mut core.imitator()?.trainee;
        trainee.arena.zero_gradients()?;
        let [loss, entropy] = trainee.imitate(&self.batch, 1.0)?;
        if !loss.is_finite() {
            let message = format!("optimiser step {steps}: the loss is {loss}; the step was not applied");
            return Err(Error::new(Status::NonFinite, message));
        }
        let optimizer = &session.config().optimizer;
        let stepped = trainee.arena.step(optimizer, optimizer.rate(steps, updates), session.writing())?;
        core.optimizer_steps += 1;
        self.stepped = true;
        for (name, value) in [
            ("loss/total", loss),
            ("entropy/action", entropy),
            ("gradient/norm", stepped.gradient_norm),
            ("optimizer/learning_rate", stepped.learning_rate),
            ("steps/trained", self.batch.rows() as f64),
        ] {
            self.measured.note(name, value);
        }
        Ok(())
    }
}

impl Plan for Update {
    fn slice(&mut self) -> Result<bool> {
        let session = self.session.clone();
        session.check_poisoned()?;
        let mut core = session.core.lock();
        let stepped = self.step(&mut core);
        if stepped.is_err() && session.writing().load(Ordering::SeqCst) {
            session.poison();
        }
        stepped.map(|()| true)
    }

    fn work(&self) -> &'static str {
        "update"
    }

    fn next(&self) -> &'static str {
        if self.stepped {
            "end"
        } else {
            "step"
        }
    }

    fn progress(&self) -> f32 {
        if self.stepped {
            1.0
        } else {
            0.0
        }
    }

    fn finish(&mut self, ending: Ending) -> Result<Output> {
        let session = self.session.clone();
        let mut core = session.core.lock();
        if self.stepped && session.check_poisoned().is_ok() {
            core.imitator()?.passes.visit(self.batch.rows());
            let version = session.publish_from(&mut core)?;
            if let Ending::Complete = ending {
                core.updates += 1;
                self.measured.note("policy/version", version as f64);
                session.record(core.updates, core.optimizer_steps, self.measured.values());
            }
        }
        Ok(Output::default())
    }

    fn optimizer_steps(&self) -> u64 {
        u64::from(self.stepped)
    }

    fn threads(&self) -> usize {
        self.session.config().threads()
    }

    fn panicked(&self) {
        if self.session.writing().load(Ordering::SeqCst) {
            self.session.poison();
        }
    }
}

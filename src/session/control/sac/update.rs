//! An update of soft actor-critic as a plan: each optimiser step is a slice for the critics and one for the policy.

use super::networks::{Measured, Step};
use super::replay::drawn;
use super::ActorCritic;
use crate::error::{Error, Result};
use crate::kernel::Key;
use crate::model::control::Normalizer;
use crate::session::control::{ControlSession, Core};
use crate::session::plan::{Ending, Output, Plan};
use crate::session::record::Measurements;
use crate::session::Config;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// Apart from the streams of all actors.
const NOISE: u64 = 1 << 62;

/// Whose noise is drawn.
#[derive(Clone, Copy)]
enum Drawn {
    Next = 0,
    Own = 1,
}

pub(super) struct Update {
    session: Arc<ControlSession>,
    /// What holds for the optimiser step in progress.
    config: Arc<Config>,
    /// Optimiser steps to make, and those that were made.
    due: u64,
    done: u64,
    normalizer: Option<Normalizer>,
    noise: Vec<f32>,
    /// Whether the policy's slice is next.
    judged: bool,
    measured: Measurements,
}

impl Update {
    /// The whole plan; nothing is computed yet.
    pub fn new(session: &Arc<ControlSession>, due: u64) -> Update {
        Update {
            session: session.clone(),
            config: session.config(),
            due,
            done: 0,
            normalizer: None,
            noise: Vec::new(),
            judged: false,
            measured: Measurements::default(),
        }
    }

    /// Draws the batch of an optimiser step, as the networks read it.
    fn gather(&mut self, course: &mut ActorCritic, step: u64) {
        let (count, seed) = (course.algorithm.config().batch_size as usize, self.session.seed);
        course.replay.gather(&drawn(seed, step, count, course.replay.len()), &mut course.batch);
        let normalizer = self.normalizer.get_or_insert_with(|| course.policy.normalizer(&course.statistics));
        let width = course.policy.spec().inputs;
        normalizer.apply(&mut course.batch.observations, width);
        normalizer.apply(&mut course.batch.nexts, width);
    }

    /// Standard normal numbers [B, A], a function of the session's seed and the optimiser step.
    fn draw(&mut self, course: &ActorCritic, step: u64, whose: Drawn) {
        let actions = course.policy.spec().actions;
        self.noise.resize(course.batch.rewards.len() * actions, 0.0);
        let (seed, whose) = (self.session.seed, (whose as u64) << 61);
        for (row, numbers) in self.noise.chunks_exact_mut(actions).enumerate() {
            Key { seed, stream: NOISE | whose | row as u64, counter: step }.normals(numbers);
        }
    }

    fn step(&mut self, core: &mut Core) -> Result<()> {
        let session = self.session.clone();
        let (steps, updates) = (core.optimizer_steps, core.updates);
        let course = core.sac()?;
        if !course.judged {
            self.config = session.config();
            course.configure(&self.config.algorithm);
        }
        let config = self.config.clone();
        let optimizer = &config.optimizer;
        let step = Step { optimizer, rate: optimizer.rate(steps, updates), writing: session.writing() };
        let within = |error: Error| error.within(format_args!("optimiser step {steps}"));
        let judged = course.judged;
        if judged {
            self.draw(course, steps, Drawn::Own);
            self.note(course.networks.step_policy(&course.batch, &self.noise, &step).map_err(within)?);
        } else {
            self.gather(course, steps);
            self.draw(course, steps, Drawn::Next);
            self.note(course.networks.step_critics(&course.batch, &self.noise, &step).map_err(within)?);
        }
        course.judged = !judged;
        core.optimizer_steps += u64::from(judged);
        self.done += u64::from(judged);
        self.judged = !judged;
        Ok(())
    }

    fn note(&mut self, measured: Measured) {
        measured.into_iter().for_each(|(name, value)| self.measured.note(name, value));
    }

    fn complete(&mut self, core: &mut Core) -> Result<()> {
        let version = self.session.publish_from(core)?;
        core.updates += 1;
        let course = core.sac()?;
        self.measured.note("policy/version", version as f64);
        self.measured.note("steps/trained", (course.tally.taken - course.tally.settled) as f64);
        self.measured.note("replay/steps", course.replay.len() as f64);
        std::mem::take(&mut course.tally.ended).note(&mut self.measured);
        course.tally.settled = course.tally.taken;
        self.session.explores.store(false, Ordering::Release);
        self.session.record(core.updates, core.optimizer_steps, self.measured.values());
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
        stepped?;
        Ok(self.done >= self.due)
    }

    fn work(&self) -> &'static str {
        "update"
    }

    fn next(&self) -> &'static str {
        match self.judged {
            _ if self.done >= self.due => "end",
            true => "policy",
            false => "critics",
        }
    }

    fn progress(&self) -> f32 {
        (2 * self.done + u64::from(self.judged)) as f32 / (2 * self.due) as f32
    }

    fn finish(&mut self, ending: Ending) -> Result<Output> {
        let session = self.session.clone();
        let mut core = session.core.lock();
        match ending {
            Ending::Complete => self.complete(&mut core)?,
            Ending::Cancelled | Ending::Failed if self.done > 0 && session.check_poisoned().is_ok() => {
                session.publish_from(&mut core)?;
            }
            Ending::Cancelled | Ending::Failed => {}
        }
        Ok(Output::default())
    }

    fn optimizer_steps(&self) -> u64 {
        self.done
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

//! An update of soft actor-critic as a plan: each optimiser step is a slice for the critics and one for the policy.

use super::networks::Measured;
use super::stepping::Stepping;
use crate::error::Result;
use crate::model::control::Normalizer;
use crate::session::control::{ControlSession, Core};
use crate::session::plan::{Ending, Output, Plan};
use crate::session::record::Measurements;
use std::sync::atomic::Ordering;
use std::sync::Arc;

pub(super) struct Update {
    session: Arc<ControlSession>,
    /// Optimiser steps to make, and those that were made.
    due: u64,
    done: u64,
    normalizer: Option<Normalizer>,
    /// Whether the critics' half of an optimiser step was made, which the policy's then follows.
    judged: bool,
    measured: Measurements,
}

impl Update {
    /// The whole plan; nothing is computed yet.
    pub fn new(session: &Arc<ControlSession>, due: u64) -> Update {
        Update {
            session: session.clone(),
            due,
            done: 0,
            normalizer: None,
            judged: false,
            measured: Measurements::default(),
        }
    }

    fn step(&mut self, core: &mut Core) -> Result<()> {
        let session = self.session.clone();
        let course = core.sac()?;
        if course.stepping.is_some() || course.stepped.is_some() {
            core.settle(session.writing())?;
            self.stepped(core)?;
        } else {
            let (number, config) = (core.optimizer_steps, session.config());
            let rate = config.optimizer.rate(number, core.updates);
            let course = core.sac()?;
            let normalizer = self.normalizer.get_or_insert_with(|| course.policy.normalizer(&course.statistics));
            let stepping = Stepping { number, rate, seed: session.seed, config };
            let measured = course.step_critics(stepping, normalizer, session.writing())?;
            self.note(measured);
        }
        self.judged = core.sac()?.stepping.is_some();
        Ok(())
    }

    /// Notes the optimiser step that is complete, if there is one.
    fn stepped(&mut self, core: &mut Core) -> Result<()> {
        if let Some(measured) = core.sac()?.stepped.take() {
            self.done += 1;
            self.note(measured);
        }
        Ok(())
    }

    /// Leaves the state of an optimiser-step boundary, and publishes what was stepped. A policy's half for which memory was
    /// missing is what the next update begins with.
    fn break_off(&mut self, core: &mut Core, ending: Ending) -> Result<()> {
        let session = self.session.clone();
        let settled = match ending {
            Ending::Failed => Ok(()),
            _ => core.settle(session.writing()),
        };
        self.stepped(core)?;
        if self.done > 0 && session.check_whole().is_ok() {
            session.publish_stepped(core)?;
        }
        settled
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
        let mut core = session.core.lock();
        session.check_whole()?;
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
            Ending::Cancelled | Ending::Failed if session.check_whole().is_ok() => {
                self.break_off(&mut core, ending)?;
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

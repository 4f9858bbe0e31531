//! What a host changes of a control session that lives: settings, what is published, where it goes on from.

use super::course::Saved;
use super::trained::Trained;
use super::{AnyCourse, ControlSession, Core};
use crate::algorithm::{self, ControlPpo};
use crate::config::Optimizer;
use crate::error::{Error, Result, Status};
use crate::session::plan::Output;
use crate::session::snapshot::Snapshots;
use crate::session::{Config, Job};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

impl ControlSession {
    /// Plans a change of settings: it holds from the next optimiser step that begins.
    pub(super) fn plan_change(self: &Arc<Self>, text: Option<&[u8]>) -> Result<Arc<Job>> {
        self.method.check(&self.changed(text)?)?;
        let (session, text) = (self.clone(), text.map(<[u8]>::to_vec));
        let work = move || {
            let mut core = session.core.lock();
            let config = session.changed(text.as_deref())?;
            session.method.check(&config)?;
            core.begin_rate(&session.config().optimizer, &config.optimizer);
            session.set_config(config);
            Ok(())
        };
        Ok(self.whole("configure", work, |()| Ok(Output::default())))
    }

    /// Plans to publish what was learned; nothing where that is published already.
    pub(super) fn plan_publication(self: &Arc<Self>) -> Result<Arc<Job>> {
        self.check_poisoned()?;
        self.trained()?;
        let session = self.clone();
        let publish = move |()| {
            let mut core = session.core.lock();
            session.check_whole()?;
            if core.optimizer_steps != core.published {
                session.publish_from(&mut core)?;
            }
            Ok(Output::default())
        };
        Ok(self.whole("publish", || Ok(()), publish))
    }

    /// Plans to go on from the weights of a version that is kept, with an optimiser that begins anew.
    pub(super) fn plan_return(self: &Arc<Self>, version: u64) -> Result<Arc<Job>> {
        self.check_poisoned()?;
        self.trained()?;
        self.while_idle("roll_back", || self.core.lock().kept.find(version).map(|_| ()))?;
        let session = self.clone();
        let publish = move |()| {
            session.while_idle("roll_back", || {
                let mut core = session.core.lock();
                session.check_whole()?;
                core.roll_back(version)?;
                session.publish_from(&mut core).map(|_| Output::default())
            })
        };
        Ok(self.whole("roll_back", || Ok(()), publish))
    }

    /// Puts a model in training where there was none, or in the place of the one `before`: steps, demonstrations and slots in
    /// mid-episode stay.
    pub(super) fn install(&self, trained: Trained, course: AnyCourse, before: Option<Trained>) -> Result<()> {
        let mut core = self.core.lock();
        core.kept = Snapshots::default();
        if core.course.is_some() {
            self.collect(&mut core)?;
        }
        let replaced = core.course.replace(course);
        match (before, replaced) {
            (Some(before), Some(mut replaced)) => {
                trained.raise_version(before.version());
                core.follow(&mut replaced);
                self.publish_from(&mut core)?;
                before.release();
            }
            _ => self.keep(&mut core, trained.version())?,
        }
        *self.trained.lock() = Some(trained);
        self.swaps.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Makes what was learned what every reader sees, and keeps it where versions are kept; returns its version.
    pub(super) fn publish_from(&self, core: &mut Core) -> Result<u64> {
        core.settle(self.writing())?;
        self.publish_stepped(core)
    }

    /// The same of whole optimiser steps alone: one that has begun is left as it stands.
    pub(super) fn publish_stepped(&self, core: &mut Core) -> Result<u64> {
        let version = core.course()?.publish()?;
        core.published = core.optimizer_steps;
        self.keep(core, version)?;
        Ok(version)
    }

    /// Keeps the weights in training as this version, where versions are kept.
    pub(super) fn keep(&self, core: &mut Core, version: u64) -> Result<()> {
        let most = self.config().kept_versions as usize;
        let snapshot = if most > 0 { Some(core.course()?.keep()?) } else { None };
        core.kept.keep(most, version, snapshot);
        Ok(())
    }

    /// The method in an update, the first of which is 0, by the settings that hold now.
    pub(super) fn ppo_at(config: &Config, update: u64) -> Result<Arc<ControlPpo>> {
        match &config.algorithm {
            algorithm::Config::ControlPpo(config) => Ok(Arc::new(ControlPpo::new(config.at(update)))),
            _ => Err(Error::new(Status::Internal, "session: its course is another method's")),
        }
    }
}

impl Core {
    /// Leaves the state of an optimiser-step boundary: completes a step that has begun to write.
    pub(super) fn settle(&mut self, writing: &AtomicBool) -> Result<()> {
        if self.course()?.settle(writing)? {
            self.optimizer_steps += 1;
        }
        Ok(())
    }

    /// A learning rate that follows the policy begins at the configured one, where that has changed.
    fn begin_rate(&mut self, before: &Optimizer, after: &Optimizer) {
        if let (Some(AnyCourse::Ppo(ppo)), true) = (&mut self.course, before.learning_rate != after.learning_rate) {
            ppo.rate = None;
        }
    }

    /// The course takes over what the one before it leaves.
    fn follow(&mut self, before: &mut AnyCourse) {
        match (&mut self.course, before) {
            (Some(AnyCourse::Ppo(course)), AnyCourse::Ppo(before)) => course.follow(before),
            (Some(AnyCourse::Sac(course)), AnyCourse::Sac(before)) => course.follow(before),
            (Some(AnyCourse::Cloning(course)), AnyCourse::Cloning(before)) => course.follow(before),
            _ => {}
        }
    }

    fn roll_back(&mut self, version: u64) -> Result<()> {
        let kept: Saved = self.kept.find(version)?.with_new_moments();
        self.course()?.go_back(&kept)
    }
}

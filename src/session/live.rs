//! What a host changes of a session that lives: settings, what is published, where it goes on from.

use super::core::Core;
use super::plan::Output;
use super::trainee::host_copy;
use super::{Config, Job, Session};
use crate::error::{Error, Result};
use std::sync::Arc;
use tch::Tensor;

impl Session {
    /// Plans a change of settings: it holds from the next optimiser step that begins.
    pub fn configure(self: &Arc<Self>, text: Option<&[u8]>) -> Result<Arc<Job>> {
        self.check_change(&self.changed(text)?)?;
        let (session, text) = (self.clone(), text.map(<[u8]>::to_vec));
        let work = move || {
            let updating = session.updating.lock();
            let idle = super::shell::check_unfinished(&updating, "configure").is_ok();
            let mut core = session.core.lock();
            let config = session.changed(text.as_deref())?;
            session.check_change(&config)?;
            core.change(&session.config().algorithm, &config.algorithm);
            if idle {
                core.renew();
            }
            session.set_config(config);
            Ok(())
        };
        Ok(self.whole("configure", work, |()| Ok(Output::default())))
    }

    /// Plans to publish what was learned; nothing where that is published already.
    pub fn publish(self: &Arc<Self>) -> Result<Arc<Job>> {
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
    pub fn roll_back(self: &Arc<Self>, version: u64) -> Result<Arc<Job>> {
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

    /// Makes what was learned what every reader sees, and keeps it where versions are kept; returns its version.
    pub(super) fn publish_from(&self, core: &mut Core) -> Result<u64> {
        core.settle(self.writing())?;
        let version = core.trainee()?.publish()?;
        core.published = core.optimizer_steps;
        self.keep(core, version)?;
        Ok(version)
    }

    /// Keeps the weights in training as this version, where versions are kept.
    pub(super) fn keep(&self, core: &mut Core, version: u64) -> Result<()> {
        let most = self.config().kept_versions as usize;
        let snapshot = if most > 0 { Some(host_copy(&core.trainee()?.parameters)?) } else { None };
        core.kept.keep(most, version, snapshot);
        Ok(())
    }

    /// Refuses settings with which the session would need other models or rows than it has.
    fn check_change(&self, config: &Config) -> Result<()> {
        let changed = config.algorithm.build()?;
        match changed.needs() == self.needs {
            true => Ok(()),
            false => Err(Error::config(
                "/algorithm: expected weights that are 0 where they are 0 and not where they are not, since the session \
                 was made for the models that those need",
            )),
        }
    }
}

impl Core {
    /// Lets a change of the method's settings wait for `renew`.
    fn change(&mut self, before: &crate::algorithm::Config, after: &crate::algorithm::Config) {
        let before = self.next.take().map_or_else(|| before.clone(), |[before, _]| before);
        self.next = Some([before, after.clone()]);
    }

    /// An optimiser step begins, or none is in progress: the settings that wait hold from now on.
    pub fn renew(&mut self) {
        if let Some([_, after]) = self.next.take() {
            self.algorithm.configure(&after);
        }
    }

    /// What survives of the method, as it stands when the settings that wait hold.
    pub fn method_state(&self) -> Result<serde_json::Value> {
        let Some([before, after]) = &self.next else { return Ok(self.algorithm.state()) };
        let mut renewed = before.build()?;
        renewed.set_state(&self.algorithm.state())?;
        renewed.configure(after);
        Ok(renewed.state())
    }

    fn roll_back(&mut self, version: u64) -> Result<()> {
        let parameters = self.kept.find(version)?.shallow_clone();
        let trainee = self.trainee_mut()?;
        let segments = trainee.segments.len() as i64;
        let zeros = |length: i64| Tensor::f_zeros([length], (parameters.kind(), parameters.device()));
        trainee.set_tensors(&|name| match name {
            "policy.parameters" => Ok(parameters.shallow_clone()),
            "policy.steps" => Ok(zeros(segments)?),
            _ => Ok(zeros(parameters.numel() as i64)?),
        })
    }
}

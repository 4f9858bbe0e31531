//! Sessions that train control policies: actors record what slots do, updates learn from it.
//!
//! Data goes one way: `actor` → `recording` → `rollout` → `update` → the published policy, which actors read.

mod actor;
mod arena;
pub(super) mod checkpoint;
mod cloning;
mod course;
mod demonstrations;
mod ended;
mod ppo;
mod recording;
mod rollout;
mod sac;
mod seat;
mod sequence;
mod states;
#[cfg(test)]
mod tests;
mod trainee;
mod update;

pub use actor::{Act, Actor};
pub use recording::Episode;

use super::plan::{Output, Plan, Whole};
use super::shell::{check_unfinished, Shell};
use super::{Config, Job, Learner, Role, Runtime};
use crate::algorithm::control_ppo::Truncation;
use crate::algorithm::{self, ControlPpo, Sac};
use crate::data::Batch;
use crate::error::{Error, Result, Status};
use crate::model::control::{Policy, Spec};
use crate::model::AnyModel;
use cloning::Imitator;
use course::Course;
use parking_lot::Mutex;
use ppo::Ppo;
use sac::ActorCritic;
use seat::Shared;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

/// The method that the configuration names.
enum Method {
    Ppo(Arc<ControlPpo>),
    Sac(Arc<Sac>),
    Cloning(Arc<algorithm::cloning::Config>),
}

impl Method {
    fn of(config: &algorithm::Config) -> Option<Method> {
        match config {
            algorithm::Config::ControlPpo(config) => Some(Method::Ppo(Arc::new(ControlPpo::new(config.clone())))),
            algorithm::Config::Sac(config) => Some(Method::Sac(Arc::new(Sac::new(config.clone())))),
            algorithm::Config::Cloning(config) => Some(Method::Cloning(Arc::new(config.clone()))),
            _ => None,
        }
    }

    /// γ.
    fn discount(&self) -> f64 {
        match self {
            Method::Ppo(algorithm) => algorithm.config().discount,
            Method::Sac(algorithm) => algorithm.config().discount,
            Method::Cloning(_) => 1.0,
        }
    }

    fn truncation(&self) -> Truncation {
        match self {
            Method::Ppo(algorithm) => algorithm.config().truncation,
            Method::Sac(_) => Truncation::Exact,
            Method::Cloning(_) => Truncation::Ignore,
        }
    }

    /// Whether actors draw evenly between the bounds of their actions until the first update is complete.
    fn explores(&self) -> bool {
        match self {
            Method::Ppo(_) | Method::Cloning(_) => false,
            Method::Sac(algorithm) => algorithm.config().learning_starts > 0,
        }
    }

    /// Steps of the longest sequence that a recurrent policy learns from.
    fn sequence_length(&self) -> u32 {
        match self {
            Method::Ppo(algorithm) => algorithm.config().sequence_length(),
            Method::Sac(_) | Method::Cloning(_) => u32::MAX,
        }
    }

    /// What it keeps from now on.
    fn course(&self, policy: &Arc<Policy>, seed: u64) -> Result<AnyCourse> {
        match self {
            Method::Ppo(algorithm) => Ok(AnyCourse::Ppo(Ppo::new(policy, algorithm)?)),
            Method::Sac(algorithm) => Ok(AnyCourse::Sac(ActorCritic::new(policy, algorithm, seed)?)),
            Method::Cloning(config) => Ok(AnyCourse::Cloning(Imitator::new(policy, config, seed)?)),
        }
    }

    /// The next update; `None` while it lacks data.
    fn plan(&self, session: &Arc<ControlSession>, core: &mut Core) -> Result<Option<Box<dyn Plan>>> {
        match self {
            Method::Ppo(algorithm) => {
                let updates = core.updates;
                Ok(core.ppo()?.plan(session, algorithm, updates))
            }
            Method::Sac(_) => {
                let made = core.optimizer_steps;
                Ok(core.sac()?.plan(session, made))
            }
            Method::Cloning(_) => Ok(core.imitator()?.plan(session)),
        }
    }
}

/// What the session's method keeps.
enum AnyCourse {
    Ppo(Ppo),
    Sac(ActorCritic),
    Cloning(Imitator),
}

/// The learner's state.
#[derive(Default)]
struct Core {
    course: Option<AnyCourse>,
    updates: u64,
    optimizer_steps: u64,
}

impl Core {
    fn course(&mut self) -> Result<&mut dyn Course> {
        match self.course.as_mut().ok_or_else(no_policy)? {
            AnyCourse::Ppo(course) => Ok(course),
            AnyCourse::Sac(course) => Ok(course),
            AnyCourse::Cloning(course) => Ok(course),
        }
    }

    fn ppo(&mut self) -> Result<&mut Ppo> {
        match self.course.as_mut().ok_or_else(no_policy)? {
            AnyCourse::Ppo(course) => Ok(course),
            _ => Err(another_method()),
        }
    }

    fn sac(&mut self) -> Result<&mut ActorCritic> {
        match self.course.as_mut().ok_or_else(no_policy)? {
            AnyCourse::Sac(course) => Ok(course),
            _ => Err(another_method()),
        }
    }

    fn imitator(&mut self) -> Result<&mut Imitator> {
        match self.course.as_mut().ok_or_else(no_policy)? {
            AnyCourse::Cloning(course) => Ok(course),
            _ => Err(another_method()),
        }
    }
}

fn no_policy() -> Error {
    Error::state("session: it has no policy yet; set one for the role policy")
}

fn another_method() -> Error {
    Error::new(Status::Internal, "session: its course is another method's")
}

/// Refuses recurrent policies where a method learns from single steps.
fn without_core(spec: &Spec, method: &str) -> Result<()> {
    match spec.state {
        0 => Ok(()),
        _ => Err(Error::config(format!(
            "/core: expected none, since {method} learns from single steps, got a recurrent policy"
        ))),
    }
}

pub struct ControlSession {
    shell: Shell,
    method: Method,
    core: Mutex<Core>,
    policy: Mutex<Option<Arc<Policy>>>,
    /// Whether actors draw evenly between the bounds of their actions.
    explores: AtomicBool,
    /// One for each actor that there was, with what that actor holds while it lives; an actor that goes leaves its own to the
    /// next one that comes.
    recordings: Mutex<Vec<(Shared, Weak<()>)>>,
}

impl Deref for ControlSession {
    type Target = Shell;

    fn deref(&self) -> &Shell {
        &self.shell
    }
}

impl ControlSession {
    pub fn create(runtime: &Arc<Runtime>, config: Config) -> Result<Arc<ControlSession>> {
        let Some(method) = Method::of(&config.algorithm) else {
            return Err(Error::state("algorithm: expected one that trains a control policy"));
        };
        if config.micro_batch_tokens != Config::default().micro_batch_tokens
            || config.logit_bytes != Config::default().logit_bytes
        {
            let message = "/micro_batch_tokens, /logit_bytes: control policies read no tokens; leave them out";
            return Err(Error::config(message));
        }
        let shell = Shell::new(runtime, config)?;
        if shell.device.is_cuda() {
            return Err(Error::new(Status::Unsupported, "/device: expected cpu, where control policies are trained"));
        }
        Ok(Arc::new(ControlSession {
            shell,
            explores: AtomicBool::new(method.explores()),
            method,
            core: Mutex::default(),
            policy: Mutex::default(),
            recordings: Mutex::default(),
        }))
    }

    /// The policy in training.
    fn policy(&self) -> Result<Arc<Policy>> {
        self.policy.lock().clone().ok_or_else(no_policy)
    }
}

impl Learner for ControlSession {
    fn shell(&self) -> &Shell {
        &self.shell
    }

    fn set_model(&self, role: Role, model: AnyModel) -> Result<()> {
        let (Role::Policy, AnyModel::Control(policy)) = (role, model) else {
            return Err(Error::state("model: expected a control network for the role policy in this session"));
        };
        self.while_idle("set_model", || {
            if self.policy.lock().is_some() {
                return Err(Error::state("model: the session has its policy already"));
            }
            policy.acquire_trainer()?;
            let course = self.method.course(&policy, self.config.seed).inspect_err(|_| policy.release_trainer())?;
            self.core.lock().course = Some(course);
            *self.policy.lock() = Some(policy);
            Ok(())
        })
    }

    fn model(&self, role: Role) -> Option<AnyModel> {
        let policy = self.policy.lock().clone().filter(|_| role == Role::Policy);
        policy.map(AnyModel::Control)
    }

    fn metrics_json(&self) -> String {
        self.measured_json(self.policy.lock().as_ref().map_or(0, |policy| policy.version()))
    }

    fn layout_json(&self) -> Result<String> {
        Ok(self.policy()?.spec().layout().to_string())
    }

    fn push(&self, batch: &Batch) -> Result<u64> {
        self.core.lock().course()?.push(batch)
    }

    fn clear(&self) -> Result<()> {
        self.while_idle("clear", || {
            for (recording, _) in self.recordings.lock().iter() {
                let mut recording = recording.lock();
                let used: Vec<bool> = (0..recording.len()).map(|step| recording.is_finished(step)).collect();
                let (ended, open) = (recording.ended, recording.open());
                recording.forget(&used, ended, &open);
            }
            let mut core = self.core.lock();
            let made = core.optimizer_steps;
            if let Ok(course) = core.course() {
                course.clear(made);
            }
            Ok(())
        })
    }

    fn update(self: Arc<Self>) -> Result<Option<Arc<Job>>> {
        self.check_poisoned()?;
        let mut updating = self.updating.lock();
        check_unfinished(&updating, "update")?;
        let mut core = self.core.lock();
        core.course()?;
        let Some(plan) = self.method.plan(&self, &mut core)? else { return Ok(None) };
        let job = Job::new(&self.runtime, plan);
        *updating = Arc::downgrade(&job);
        Ok(Some(job))
    }

    fn save(self: Arc<Self>, path: PathBuf) -> Result<Arc<Job>> {
        self.check_poisoned()?;
        let session = self.clone();
        let work = move || checkpoint::write(&session, &path);
        let publish = |()| Ok(Output::default());
        Ok(Job::new(&self.runtime, Box::new(Whole::new("save", self.config.threads(), work, publish))))
    }

    fn restore(self: Arc<Self>, path: PathBuf) -> Result<Arc<Job>> {
        self.check_idle("restore")?;
        let session = self.clone();
        let work = move || checkpoint::read(&path).map(|checkpoint| (path, checkpoint));
        let publish = move |(path, checkpoint): (PathBuf, checkpoint::Checkpoint)| {
            session
                .while_idle("restore", || checkpoint.apply(&session).map_err(|error| error.within(path.display())))?;
            Ok(Output::default())
        };
        Ok(Job::new(&self.runtime, Box::new(Whole::new("restore", self.config.threads(), work, publish))))
    }

    fn export(&self) -> Result<Vec<u8>> {
        self.check_poisoned()?;
        checkpoint::to_bytes(self)
    }

    fn import(&self, bytes: &[u8]) -> Result<()> {
        let checkpoint = checkpoint::Checkpoint::parse(bytes)?;
        self.while_idle("import", || checkpoint.apply(self))
    }

    fn state_hash(&self) -> Result<u64> {
        checkpoint::state_hash(self)
    }
}

impl ControlSession {
    /// A saved session with its policy, as a new session.
    pub(super) fn open(runtime: &Arc<Runtime>, checkpoint: checkpoint::Checkpoint) -> Result<Arc<ControlSession>> {
        let session = ControlSession::create(runtime, checkpoint.config())?;
        session.set_model(Role::Policy, AnyModel::Control(Arc::new(checkpoint.policy()?)))?;
        checkpoint.apply(&session)?;
        Ok(session)
    }
}

impl Drop for ControlSession {
    fn drop(&mut self) {
        if let Some(policy) = self.policy.get_mut().take() {
            policy.release_trainer();
        }
    }
}

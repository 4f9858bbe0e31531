//! Sessions that train control policies: actors record what slots do, updates learn from it.
//!
//! Data goes one way: `actor` → `recording` → `rollout` → `update` → the published policy, which actors read.

mod actor;
mod arena;
pub(super) mod checkpoint;
mod course;
mod ppo;
mod recording;
mod rollout;
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
use crate::algorithm::{self, ControlPpo};
use crate::data::Batch;
use crate::error::{Error, Result, Status};
use crate::model::control::{Policy, Spec};
use crate::model::AnyModel;
use course::Course;
use parking_lot::Mutex;
use ppo::Ppo;
use recording::Recording;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

/// The method that the configuration names.
enum Method {
    Ppo(Arc<ControlPpo>),
}

impl Method {
    fn of(config: &algorithm::Config) -> Option<Method> {
        match config {
            algorithm::Config::ControlPpo(config) => Some(Method::Ppo(Arc::new(ControlPpo::new(config.clone())))),
            _ => None,
        }
    }

    /// γ.
    fn discount(&self) -> f64 {
        match self {
            Method::Ppo(algorithm) => algorithm.config().discount,
        }
    }

    fn truncation(&self) -> Truncation {
        match self {
            Method::Ppo(algorithm) => algorithm.config().truncation,
        }
    }

    /// Steps of the longest sequence that a recurrent policy learns from.
    fn sequence_length(&self) -> u32 {
        match self {
            Method::Ppo(algorithm) => algorithm.config().sequence_length(),
        }
    }

    /// What it keeps from now on.
    fn course(&self, policy: &Arc<Policy>) -> Result<AnyCourse> {
        match self {
            Method::Ppo(algorithm) => Ok(AnyCourse::Ppo(Ppo::new(policy, algorithm)?)),
        }
    }

    /// The next update; `None` while it lacks data.
    fn plan(&self, session: &Arc<ControlSession>, updates: u64) -> Option<Box<dyn Plan>> {
        match self {
            Method::Ppo(algorithm) => Ppo::plan(session, algorithm, updates, &session.all_recordings()),
        }
    }
}

/// What the session's method keeps.
enum AnyCourse {
    Ppo(Ppo),
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
        }
    }

    fn ppo(&mut self) -> Result<&mut Ppo> {
        match self.course.as_mut().ok_or_else(no_policy)? {
            AnyCourse::Ppo(course) => Ok(course),
        }
    }
}

fn no_policy() -> Error {
    Error::state("session: it has no policy yet; set one for the role policy")
}

/// A recording that an actor writes and updates read.
type Shared = Arc<Mutex<Recording>>;

/// What an actor holds of its session.
struct Seat {
    recording: Shared,
    /// Among those of the session: what the draws are numbered by.
    place: u64,
    _held: Arc<()>,
}

impl Seat {
    /// The place of all seats that are not the session's.
    const APART: u64 = (1 << 31) - 1;

    fn is_apart(&self) -> bool {
        self.place == Seat::APART
    }
}

pub struct ControlSession {
    shell: Shell,
    method: Method,
    core: Mutex<Core>,
    policy: Mutex<Option<Arc<Policy>>>,
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

    fn all_recordings(&self) -> Vec<Shared> {
        self.recordings.lock().iter().map(|(recording, _)| recording.clone()).collect()
    }

    /// A seat beside those that the session has: what is done there stays there.
    fn seat_apart(&self, spec: &Spec) -> Seat {
        let recording = Arc::new(Mutex::new(Recording::new(spec)));
        Seat { recording, place: Seat::APART, _held: Arc::default() }
    }

    /// A seat for a new actor: the first that nobody holds, or a new one.
    fn seat(&self, spec: &Spec) -> Seat {
        let mut all = self.recordings.lock();
        let free = all.iter().position(|(_, holder)| holder.strong_count() == 0);
        let place = free.unwrap_or(all.len());
        if place == all.len() {
            all.push((Arc::new(Mutex::new(Recording::new(spec))), Weak::new()));
        }
        let held = Arc::new(());
        all[place].1 = Arc::downgrade(&held);
        Seat { recording: all[place].0.clone(), place: place as u64, _held: held }
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
            let course = self.method.course(&policy).inspect_err(|_| policy.release_trainer())?;
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

    fn push(&self, _batch: &Batch) -> Result<u64> {
        Err(Error::state(
            "push: expected a session whose method learns from batches; this one learns from what actors do",
        ))
    }

    fn clear(&self) -> Result<()> {
        self.while_idle("clear", || {
            for (recording, _) in self.recordings.lock().iter() {
                let mut recording = recording.lock();
                let used: Vec<bool> = (0..recording.len()).map(|step| recording.is_finished(step)).collect();
                let (ended, open) = (recording.ended, recording.open());
                recording.forget(&used, ended, &open);
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
        let Some(plan) = self.method.plan(&self, core.updates) else { return Ok(None) };
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

//! Sessions that train control policies: actors record what slots do, updates learn from it.
//!
//! Data goes one way: `actor` → `recording` → `rollout` → `update` → the published policy, which actors read.

mod actor;
mod arena;
pub(super) mod checkpoint;
mod cloning;
mod course;
mod demonstrations;
mod desk;
mod ended;
mod inbox;
mod judge;
mod judging;
mod live;
mod measures;
mod method;
mod observations;
mod pace;
mod pairs;
mod ppo;
mod preference;
mod recording;
mod rollout;
mod sac;
mod scale;
mod seat;
mod sequence;
mod staged;
mod states;
mod tensors;
#[cfg(test)]
mod tests;
mod trained;
mod trainee;
mod update;

pub use actor::{Act, Actor};
pub use recording::Episode;
pub use tensors::Tensors;

use super::plan::Output;
use super::shell::{check_unfinished, Shell};
use super::snapshot::Snapshots;
use super::{Config, Job, Learner, Role, Runtime};
use crate::data::Batch;
use crate::error::{Error, Result, Status};
use crate::model::control::{check_allowed, Policy, Spec};
use crate::model::AnyModel;
use cloning::Imitator;
use course::{Course, Saved};
use inbox::Inbox;
use judging::Judging;
use method::Method;
use pairs::Pairs;
use parking_lot::Mutex;
use ppo::Ppo;
use preference::PreferenceEvaluation;
use sac::ActorCritic;
use seat::Shared;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Weak};
use tch::Device;
use trained::Trained;

/// What the session's method keeps.
enum AnyCourse {
    Ppo(Box<Ppo>),
    Sac(Box<ActorCritic>),
    Cloning(Box<Imitator>),
    Judging(Judging),
}

/// The learner's state.
#[derive(Default)]
struct Core {
    course: Option<AnyCourse>,
    updates: u64,
    optimizer_steps: u64,
    /// How many of them were made when the model was published last.
    published: u64,
    /// The versions that are kept.
    kept: Snapshots<Saved>,
}

impl Core {
    fn course(&mut self) -> Result<&mut dyn Course> {
        match self.course.as_mut().ok_or_else(no_policy)? {
            AnyCourse::Ppo(course) => Ok(course.as_mut()),
            AnyCourse::Sac(course) => Ok(course.as_mut()),
            AnyCourse::Cloning(course) => Ok(course.as_mut()),
            AnyCourse::Judging(course) => Ok(course),
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

    fn judging(&mut self) -> Result<&mut Judging> {
        match self.course.as_mut().ok_or_else(no_model)? {
            AnyCourse::Judging(course) => Ok(course),
            _ => Err(another_method()),
        }
    }
}

fn no_policy() -> Error {
    Error::state("session: it has no policy yet; set one for the role policy")
}

fn no_model() -> Error {
    Error::state("session: it has no reward model yet; set one for the role reward")
}

fn another_method() -> Error {
    Error::new(Status::Internal, "session: its course is another method's")
}

/// Refuses recurrent policies where a method learns from single steps.
fn without_core(spec: &Spec, method: &str) -> Result<()> {
    match spec.state {
        0 if spec.is_encoded() => {
            let message =
                format!("/observations: expected vectors and masks, since {method} reads no images and no sets");
            Err(Error::config(message))
        }
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
    inbox: Mutex<Inbox>,
    trained: Mutex<Option<Trained>>,
    /// Whether actors draw evenly between the bounds of their actions.
    explores: AtomicBool,
    /// Where the policy acts on tensors that lie there, and their observations stay; none: all come to the host.
    acts_on: Option<Device>,
    /// How often another policy took the place of the one in training.
    swaps: AtomicU64,
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
        method.check(&shell.config())?;
        if shell.device.is_cuda() {
            method.check_device()?;
        }
        Ok(Arc::new(ControlSession {
            acts_on: shell.device.is_cuda().then_some(shell.device),
            shell,
            explores: AtomicBool::new(method.explores()),
            swaps: AtomicU64::new(0),
            method,
            core: Mutex::default(),
            inbox: Mutex::default(),
            trained: Mutex::default(),
            recordings: Mutex::default(),
        }))
    }

    /// The policy in training.
    fn policy(&self) -> Result<Arc<Policy>> {
        match (self.trained.lock().as_ref(), self.method.role()) {
            (Some(Trained::Policy(policy)), _) => Ok(policy.clone()),
            (_, Role::Policy) => Err(no_policy()),
            _ => Err(Error::state("session: expected one that trains a policy; this one trains a reward model")),
        }
    }

    /// The model in training.
    fn trained(&self) -> Result<Trained> {
        let missing = || if self.method.role() == Role::Policy { no_policy() } else { no_model() };
        self.trained.lock().clone().ok_or_else(missing)
    }

    /// The pairs that were pushed, where the method learns from them.
    fn pairs(&self) -> Option<&Mutex<Pairs>> {
        match &self.method {
            Method::Reward(_, pairs) => Some(pairs),
            _ => None,
        }
    }
}

impl Learner for ControlSession {
    fn shell(&self) -> &Shell {
        &self.shell
    }

    fn set_model(&self, role: Role, model: AnyModel) -> Result<()> {
        if role != self.method.role() {
            return self.set_judge(role, model);
        }
        let trained = Trained::new(role, model)?;
        check_allowed(self.runtime.allows_torchscript() || trained.script().is_none())?;
        self.while_idle("set_model", || {
            let before = self.trained.lock().clone();
            before.iter().try_for_each(|before| before.check_successor(&trained))?;
            trained.acquire()?;
            let (seed, device) = (self.seed, self.device);
            let course = self.method.course(&trained, seed, device).inspect_err(|_| trained.release())?;
            self.install(trained, course, before)
        })
    }

    fn model(&self, role: Role) -> Option<AnyModel> {
        if role == self.method.role() {
            return self.trained.lock().as_ref().map(Trained::model);
        }
        let mut core = self.core.lock();
        let judge = core.ppo().ok()?.judge.as_ref().filter(|_| role == Role::Reward);
        judge.map(|judge| AnyModel::Reward(judge.model.clone()))
    }

    fn metrics_json(&self) -> String {
        self.measured_json(self.trained.lock().as_ref().map_or(0, Trained::version))
    }

    fn layout_json(&self) -> Result<String> {
        Ok(self.policy()?.spec().layout().to_string())
    }

    fn push(&self, batch: &Batch) -> Result<u64> {
        if let Some(pairs) = self.pairs() {
            let Trained::Reward(model) = self.trained()? else { return Err(no_model()) };
            return pairs.lock().push(batch, model.spec(), &self.rows);
        }
        self.push_demonstrations(batch)
    }

    fn clear(&self) -> Result<()> {
        self.while_idle("clear", || {
            self.pairs().into_iter().for_each(|pairs| pairs.lock().clear());
            for recording in self.all_recordings() {
                let mut recording = recording.lock();
                let used: Vec<bool> = (0..recording.len()).map(|step| recording.is_finished(step)).collect();
                let (ended, open) = (recording.ended, recording.open());
                recording.forget(&used, ended, &open)?;
            }
            let mut core = self.core.lock();
            let made = core.optimizer_steps;
            if core.course.is_some() {
                self.collect(&mut core)?;
                core.course()?.clear(made);
                self.recount(&mut core)?;
            }
            Ok(())
        })
    }

    fn update(self: Arc<Self>) -> Result<Option<Arc<Job>>> {
        self.check_poisoned()?;
        let mut updating = self.updating.lock();
        check_unfinished(&updating, "update")?;
        let mut core = self.core.lock();
        self.trained()?;
        self.collect(&mut core)?;
        let Some(plan) = self.method.plan(&self, &mut core)? else { return Ok(None) };
        let job = self.job(plan);
        *updating = Arc::downgrade(&job);
        Ok(Some(job))
    }

    fn configure(self: Arc<Self>, text: Option<&[u8]>) -> Result<Arc<Job>> {
        self.plan_change(text)
    }

    fn publish(self: Arc<Self>) -> Result<Arc<Job>> {
        self.plan_publication()
    }

    fn roll_back(self: Arc<Self>, version: u64) -> Result<Arc<Job>> {
        self.plan_return(version)
    }

    fn evaluate(self: Arc<Self>) -> Result<Option<Arc<Job>>> {
        let Method::Reward(algorithm, pairs) = &self.method else {
            return Err(Error::state("evaluate: expected a session whose method learns from batches"));
        };
        self.trained()?;
        let rows = pairs.lock().evaluation();
        let plan = || PreferenceEvaluation::new(&self, algorithm, rows.clone());
        Ok((!rows.is_empty()).then(|| self.job(Box::new(plan()))))
    }

    fn save(self: Arc<Self>, path: PathBuf) -> Result<Arc<Job>> {
        self.check_poisoned()?;
        let session = self.clone();
        let work = move || checkpoint::write(&session, &path);
        Ok(self.whole("save", work, |()| Ok(Output::default())))
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
        Ok(self.whole("restore", work, publish))
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
    /// A saved session with its models, as a new session.
    pub(super) fn open(runtime: &Arc<Runtime>, checkpoint: checkpoint::Checkpoint) -> Result<Arc<ControlSession>> {
        let session = ControlSession::create(runtime, checkpoint.config())?;
        let trained = checkpoint.trained(runtime.allows_torchscript())?;
        session.set_model(trained.role(), trained.model())?;
        checkpoint.apply(&session)?;
        Ok(session)
    }
}

impl Drop for ControlSession {
    fn drop(&mut self) {
        if let Some(trained) = self.trained.get_mut().take() {
            trained.release();
        }
    }
}

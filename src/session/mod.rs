//! A session owns everything that changes: the policy in training, its optimiser, the rows to train on, what was
//! measured.
//!
//! Long work is a [`Job`] over a plan of slices. The learner's state (`Core`) is locked for one slice at a time by
//! whoever drives; rows, metrics and callbacks lie beside it, so that pushing and reading never wait for the learner.

mod admission;
mod buffer;
mod callback;
mod checkpoint;
mod config;
pub mod control;
mod core;
mod evaluation;
mod forecast;
mod gather;
mod intake;
mod job;
mod learner;
mod live;
mod minibatch;
mod models;
mod optimize;
mod pause;
mod plan;
#[cfg(feature = "races")]
mod planted;
mod query;
mod queue;
mod record;
mod reference;
mod runtime;
mod sampler;
mod scoring;
mod shell;
mod snapshot;
mod stream;
#[cfg(test)]
mod tests;
mod threads;
mod trainee;
mod update;

pub use self::core::Role;
pub use callback::RewardCallback;
pub use config::Config;
pub use job::{Job, Report, State};
pub use learner::{AnySession, Learner};
pub use plan::Stage;
pub use runtime::Runtime;
pub use threads::ThreadStarter;

use self::core::Core;
use crate::algorithm::Needs;
use crate::config as settings;
use crate::data::{Batch, Column, Kind, Values as Numbers};
use crate::error::{Error, Result};
use crate::model::Model;
use buffer::Buffer;
use callback::{Callback, Lent};
use intake::Intake;
use minibatch::Minibatch;
use parking_lot::Mutex;
use sampler::rollout_batch;
use shell::Shell;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

pub struct Session {
    shell: Shell,
    temperature: f64,
    kind: Kind,
    needs: Needs,
    /// Whether it takes demonstrations beside rollouts.
    mixes: bool,
    /// The names of the scores of the reward model in training; none where a policy is.
    scores: Vec<String>,
    core: Mutex<Core>,
    buffer: Mutex<Buffer>,
    trained: Mutex<Option<Arc<Model>>>,
    reward_callback: Arc<Callback>,
}

impl Deref for Session {
    type Target = Shell;

    fn deref(&self) -> &Shell {
        &self.shell
    }
}

impl Session {
    pub fn create(runtime: &Arc<Runtime>, config: Config) -> Result<Arc<Session>> {
        let shell = Shell::new(runtime, config)?;
        let algorithm = shell.config().algorithm.build()?;
        Ok(Arc::new(Session {
            temperature: algorithm.temperature(),
            kind: algorithm.kind(),
            needs: algorithm.needs(),
            mixes: algorithm.mixed().is_some(),
            scores: algorithm.scores().to_vec(),
            core: Mutex::new(Core::new(algorithm)),
            buffer: Mutex::default(),
            trained: Mutex::default(),
            reward_callback: Arc::default(),
            shell,
        }))
    }

    /// What the last update and the last evaluation measured; names, units and meanings stand in docs/metrics.md.
    pub fn metrics_json(&self) -> String {
        let version = self.trained.lock().as_ref().map_or(0, |model| model.weights().version);
        self.measured_json(version)
    }

    /// Takes all rows of the batch or none; returns the id of the first. Ids are consecutive.
    pub fn push(&self, batch: &Batch) -> Result<u64> {
        let mixed = self.mixes && batch.kind() == Kind::Demonstrations;
        if batch.kind() != self.kind && !mixed {
            let message = format!("batch: expected {:?} for this algorithm, got {:?}", self.kind, batch.kind());
            return Err(Error::data(message));
        }
        if batch.kind() == Kind::Rollouts && batch.column("rollout_log_probs").is_none() {
            let message =
                "rollout_log_probs: the column is missing; rollouts must be sampled at the session's temperature \
                           without top_k, top_p or min_new_tokens, or carry the log-probabilities of their sampler";
            return Err(Error::data(message));
        }
        let model = self.trained()?;
        let end = model.end_tokens().first().copied().filter(|_| mixed || self.config().append_eos());
        let needs = if mixed { Needs::default() } else { self.needs };
        let rows = Intake { model: &model, batch, end, needs: &needs, mixed }.rows()?;
        let mut buffer = self.buffer.lock();
        self.rows.check(buffer.rows.len(), rows.len(), "rows", "update or clear first")?;
        Ok(buffer.push(rows))
    }

    /// Sets the rewards of pushed rollouts, one a row; all or none.
    pub fn reward(&self, ids: &[u64], rewards: &[f32]) -> Result<()> {
        self.check_rewards(ids, rewards)?;
        self.buffer.lock().reward(ids, rewards)
    }

    fn check_rewards(&self, ids: &[u64], rewards: &[f32]) -> Result<()> {
        if self.kind != Kind::Rollouts {
            return Err(Error::state("reward: this session's algorithm takes no rewards"));
        }
        let expected = ids.len() * self.needs.rewards;
        if expected != rewards.len() {
            let message =
                format!("rewards: expected {expected} numbers, {} an id, got {}", self.needs.rewards, rewards.len());
            return Err(Error::shape(message));
        }
        Ok(())
    }

    /// Hands the host, by `issue`, the rollouts whose rewards it has neither told nor been asked for, as a batch with their
    /// `id`s; what could not be issued was not asked.
    pub fn take_queries<T>(&self, issue: impl FnOnce(Batch) -> Result<T>) -> Result<Option<T>> {
        if self.kind != Kind::Rollouts {
            return Err(Error::state("take_queries: this session's algorithm asks for nothing"));
        }
        let mut buffer = self.buffer.lock();
        let rows = buffer.unasked();
        if rows.is_empty() {
            return Ok(None);
        }
        let mut queries = rollout_batch(rows.iter().map(|row| &row.sequences[0]))?;
        queries.set("id", Column::flat(Numbers::U64(rows.iter().map(|row| row.id).collect())))?;
        let issued = issue(queries)?;
        buffer.ask(&rows);
        Ok(Some(issued))
    }

    /// The rewards of rollouts that were asked for; all or none.
    pub fn answer(&self, ids: &[u64], rewards: &[f32]) -> Result<()> {
        self.check_rewards(ids, rewards)?;
        self.buffer.lock().answer(ids, rewards)
    }

    /// Drops every row that no update has taken.
    pub fn clear(&self) -> Result<()> {
        self.while_idle("clear", || {
            self.buffer.lock().clear();
            Ok(())
        })
    }

    /// Waits for calls of the old callback on other threads.
    pub fn set_reward_callback(&self, callback: Option<RewardCallback>) {
        self.reward_callback.set(callback);
    }

    /// Plans the next update; `None` means that more rows or rewards are needed.
    pub fn update(self: &Arc<Self>) -> Result<Option<Arc<Job>>> {
        self.check_poisoned()?;
        let mut updating = self.updating.lock();
        shell::check_unfinished(&updating, "update")?;
        let core = self.core.lock();
        let version = core.trainee()?.model.weights().version;
        let mut buffer = self.buffer.lock();
        if let Some(most) = core.algorithm.admission().max_staleness {
            buffer.drop_stale(most, version);
        }
        let Some(mut selection) = buffer.select(core.algorithm.regime(), self.seed) else { return Ok(None) };
        if let Some(mixed) = core.algorithm.mixed().filter(|_| core.algorithm.value_warmup().is_none()) {
            let steps = Minibatch::steps(core.algorithm.regime(), selection.rows.len());
            let drawn = buffer.mix(selection, steps, mixed.batch_size, self.seed);
            let Some(drawn) = drawn else { return Ok(None) };
            selection = drawn;
        }
        let rewarded = selection.rows.iter().all(|row| row.reward.is_some());
        let judged = core.reward.is_some() || self.reward_callback.is_set();
        if self.needs.rewards > 0 && !rewarded && !judged {
            return Ok(None);
        }
        let taken = selection.rows.iter().map(|row| row.id).collect();
        let Some(update) = update::Update::new(self, &core, selection)? else { return Ok(None) };
        buffer.taken = taken;
        let job = self.job(Box::new(update));
        *updating = Arc::downgrade(&job);
        Ok(Some(job))
    }

    /// Plans a generation from the policy's published snapshot.
    pub fn generate(self: &Arc<Self>, prompts: &Batch, config: settings::Generate) -> Result<Arc<Job>> {
        Ok(self.job(Box::new(sampler::Sampler::new(self, prompts, &config)?)))
    }

    /// Plans an evaluation of the rows marked for it; `None` means that there are none.
    pub fn evaluate(self: &Arc<Self>) -> Result<Option<Arc<Job>>> {
        let rows = self.buffer.lock().evaluation();
        if rows.is_empty() {
            return Ok(None);
        }
        let plan = evaluation::Evaluation::new(self, &self.core.lock(), rows)?;
        Ok(Some(self.job(Box::new(plan))))
    }

    /// Plans the writing of a checkpoint: the state after the last optimiser step, replaced atomically.
    pub fn save(self: &Arc<Self>, path: PathBuf) -> Result<Arc<Job>> {
        self.check_poisoned()?;
        let session = self.clone();
        let work = move || checkpoint::write(&session, &path);
        Ok(self.whole("save", work, |()| Ok(plan::Output::default())))
    }

    /// Plans the reading of a checkpoint into this session; a bad file changes nothing.
    pub fn restore(self: &Arc<Self>, path: PathBuf) -> Result<Arc<Job>> {
        self.check_idle("restore")?;
        let session = self.clone();
        let work = move || checkpoint::read(&path).map(|checkpoint| (path, checkpoint));
        let publish = move |(path, checkpoint): (PathBuf, checkpoint::Checkpoint)| {
            session
                .while_idle("restore", || checkpoint.apply(&session).map_err(|error| error.within(path.display())))?;
            Ok(plan::Output::default())
        };
        Ok(self.whole("restore", work, publish))
    }

    /// A saved session with its models, as a new session.
    pub fn open(runtime: &Arc<Runtime>, path: &std::path::Path) -> Result<Arc<Session>> {
        let bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
        checkpoint::open(runtime, path, &bytes)
    }

    /// The checkpoint as bytes.
    pub fn export(&self) -> Result<Vec<u8>> {
        self.check_poisoned()?;
        checkpoint::to_bytes(self)
    }

    /// Takes an exported checkpoint; bad bytes change nothing.
    pub fn import(&self, bytes: &[u8]) -> Result<()> {
        let checkpoint = checkpoint::Checkpoint::parse(bytes)?;
        self.while_idle("import", || checkpoint.apply(self))
    }

    /// A hash of everything that decides the session's future, beside its configuration: equal states hash equally.
    pub fn state_hash(&self) -> Result<u64> {
        checkpoint::state_hash(self)
    }

    fn core(&self) -> &Mutex<Core> {
        &self.core
    }

    fn buffer(&self) -> &Mutex<Buffer> {
        &self.buffer
    }

    fn temperature(&self) -> f64 {
        self.temperature
    }

    fn reward_callback(&self) -> Option<Lent> {
        self.reward_callback.lend()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for model in [self.trained.get_mut().take(), self.core.get_mut().value.take()].into_iter().flatten() {
            model.release_trainer();
        }
    }
}

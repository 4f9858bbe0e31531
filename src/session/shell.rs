//! What stands around every learner: its configuration, its place in the runtime, what it measured, whether it is sound.

use super::pause::Pause;
use super::plan::{Output, Plan, Whole};
use super::queue::Queue;
use super::record::{Record, Values};
use super::{Config, Job, Runtime};
use crate::config as settings;
use crate::error::{Error, Result, Status};
use crate::telemetry::Event;
use parking_lot::Mutex;
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use tch::Device;

/// Rows that a session holds at most, and steps of an actor, where the host says nothing: memory does not end before it is told.
const MOST_ROWS: u64 = 1 << 26;
const MOST_STEPS: u64 = 1 << 22;

pub struct Shell {
    source: AtomicU64,
    pub(super) runtime: Arc<Runtime>,
    /// What holds from now on: some settings may change.
    config: Mutex<Arc<Config>>,
    pub(super) seed: u64,
    pub(super) device: Device,
    pause: Arc<Pause>,
    /// Bounds on the rows that the session holds, and on the recorded steps of an actor.
    pub(super) rows: Queue,
    pub(super) steps: Queue,
    pub(super) record: Mutex<Record>,
    pub(super) updating: Mutex<Weak<Job>>,
    writing: AtomicBool,
    pub(super) poisoned: AtomicBool,
}

impl Shell {
    /// Refuses settings that contradict one another, and devices that are not there.
    pub(super) fn new(runtime: &Arc<Runtime>, config: Config) -> Result<Shell> {
        let device = runtime.check_device(settings::device(&config.device)?)?;
        config.algorithm.check()?;
        let config = Config { threads: config.resolved_threads(), ..config };
        Ok(Shell {
            source: AtomicU64::new(0),
            runtime: runtime.clone(),
            seed: config.seed,
            rows: Queue::new(config.queue_capacity.map_or(MOST_ROWS, u64::from)),
            steps: Queue::new(config.queue_capacity.map_or(MOST_STEPS, u64::from)),
            config: Mutex::new(Arc::new(config)),
            device,
            pause: Arc::default(),
            record: Mutex::default(),
            updating: Mutex::default(),
            writing: AtomicBool::new(false),
            poisoned: AtomicBool::new(false),
        })
    }

    /// The source of the session's events: its handle.
    pub fn set_source(&self, source: u64) {
        self.source.store(source, Ordering::Relaxed);
        self.runtime.events().open(source);
    }

    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    pub fn config(&self) -> Arc<Config> {
        self.config.lock().clone()
    }

    /// The configuration with the changes in `text`; refuses those of settings that stay.
    pub(super) fn changed(&self, text: Option<&[u8]>) -> Result<Config> {
        let config = self.config();
        let changed: Config = settings::change(text, config.as_ref(), &config.live())?;
        changed.algorithm.check()?;
        Ok(changed)
    }

    pub(super) fn set_config(&self, config: Config) {
        *self.config.lock() = Arc::new(config);
    }

    /// A job that waits between its slices while the session is paused.
    pub(super) fn job(&self, plan: Box<dyn Plan>) -> Arc<Job> {
        Job::paused_by(&self.runtime, plan, &self.pause)
    }

    /// A job of one slice, which no pause holds back.
    pub(super) fn whole<T: Send + 'static>(
        &self,
        kind: &'static str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
        publish: impl Fn(T) -> Result<Output> + Send + 'static,
    ) -> Arc<Job> {
        Job::new(&self.runtime, Box::new(Whole::new(kind, self.config().threads(), work, publish)))
    }

    /// Lets updates, generations and evaluations wait behind the slices that run.
    pub fn pause(&self) {
        self.pause.set(true);
    }

    /// Lets them go on.
    pub fn resume(&self) {
        self.pause.set(false);
    }

    /// Refuses while the session is paused.
    pub fn check_unpaused(&self, what: &str) -> Result<()> {
        match self.pause.is_on() {
            true => Err(Error::state(format!("{what}: the session is paused; resume it first"))),
            false => Ok(()),
        }
    }

    /// The fully resolved configuration.
    pub fn config_json(&self) -> String {
        serde_json::to_string_pretty(self.config().as_ref()).unwrap_or_default()
    }

    /// What was measured last, beside the version of the policy and what full queues refused.
    pub(super) fn measured_json(&self, version: u64) -> String {
        let record = self.record.lock();
        json!({
            "updates": record.updates,
            "optimizer_steps": record.optimizer_steps,
            "policy_version": version,
            "refused": {"rows": self.rows.refused(), "steps": self.steps.refused()},
            "values": record.values,
        })
        .to_string()
    }

    pub(super) fn device(&self) -> Device {
        self.device
    }

    pub(super) fn writing(&self) -> &AtomicBool {
        &self.writing
    }

    pub(super) fn poison(&self) {
        self.poisoned.store(true, Ordering::SeqCst);
    }

    /// For who holds the core's lock: nobody steps, so `writing` is up only where a step broke off.
    pub(super) fn check_whole(&self) -> Result<()> {
        if self.writing.load(Ordering::SeqCst) {
            self.poison();
        }
        self.check_poisoned()
    }

    pub(super) fn check_poisoned(&self) -> Result<()> {
        if self.poisoned.load(Ordering::SeqCst) {
            let message = "session: an optimiser step broke off between its writes; restore a checkpoint to go on";
            return Err(Error::new(Status::Poisoned, message));
        }
        Ok(())
    }

    /// Keeps what was measured and tells the host.
    pub(super) fn record(&self, updates: u64, optimizer_steps: u64, values: Values) {
        let mut record = self.record.lock();
        (record.updates, record.optimizer_steps) = (updates, optimizer_steps);
        let evaluated = |name: &String| name.starts_with("evaluation/");
        let evaluation = values.keys().any(evaluated);
        record.values.retain(|name, _| evaluated(name) != evaluation);
        record.values.extend(values.clone());
        let event = Event::Metrics { update: updates, optimizer_steps, values };
        self.runtime.events().push(self.source.load(Ordering::Relaxed), event);
    }

    /// Tells the host what it ought to know.
    pub(super) fn warn(&self, message: String) {
        self.runtime.events().push(self.source.load(Ordering::Relaxed), Event::Warning { message });
    }

    pub(super) fn check_idle(&self, what: &str) -> Result<()> {
        check_unfinished(&self.updating.lock(), what)
    }

    /// Does `change` while no update can be planned; refuses while one is unfinished.
    pub(super) fn while_idle<T>(&self, what: &str, change: impl FnOnce() -> Result<T>) -> Result<T> {
        let updating = self.updating.lock();
        check_unfinished(&updating, what)?;
        change()
    }
}

pub(super) fn check_unfinished(updating: &Weak<Job>, what: &str) -> Result<()> {
    match updating.upgrade() {
        Some(job) if job.unfinished() => {
            let message = format!("{what}: an update of this session is unfinished; finish or cancel its job first");
            Err(Error::new(Status::InUse, message))
        }
        _ => Ok(()),
    }
}

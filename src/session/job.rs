//! The one noun of long work: a plan, who drives it, and how it ended.
//!
//! One driver at a time; a second one gets `Concurrent` and nothing happens. A failure stays on the job. What a plan
//! publishes, it publishes in `settle`, which runs only inside a call that the host makes.

use super::plan::{Ending, Output, Plan, Whole};
use super::Runtime;
use crate::config;
use crate::data::Batch;
use crate::error::{Error, Result, Status};
use crate::model::{Model, Tokenizer};
use crate::telemetry::Event;
use crate::torch::ThreadScope;
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Pending,
    Done,
    Cancelled,
    Failed,
}

/// What a driver or a poll reports. Times in microseconds, of this call; counts and progress of the whole job.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub state: State,
    pub slices: u64,
    pub elapsed_us: u64,
    pub longest_slice_us: u64,
    pub optimizer_steps: u64,
    pub progress: f32,
}

/// The end of a job's slices, before and after it was settled.
enum Stage {
    Working,
    /// The slices ended on keel's thread; the next call of the host settles them.
    Ended(Result<bool>),
    Settled(Result<State>),
}

struct Driver {
    plan: Box<dyn Plan>,
    output: Output,
    stage: Stage,
    durations: HashMap<&'static str, Duration>,
}

pub struct Job {
    source: AtomicU64,
    runtime: Arc<Runtime>,
    calls_host: bool,
    driving: AtomicBool,
    cancelled: AtomicBool,
    unfinished: AtomicBool,
    driver: Mutex<Driver>,
    progress: Mutex<Report>,
    ended: (Mutex<bool>, Condvar),
}

impl Job {
    pub(super) fn new(runtime: &Arc<Runtime>, plan: Box<dyn Plan>) -> Arc<Job> {
        let report = Report {
            state: State::Pending,
            slices: 0,
            elapsed_us: 0,
            longest_slice_us: 0,
            optimizer_steps: 0,
            progress: 0.0,
        };
        Arc::new(Job {
            source: AtomicU64::new(0),
            runtime: runtime.clone(),
            calls_host: plan.calls_host(),
            driving: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            unfinished: AtomicBool::new(true),
            driver: Mutex::new(Driver {
                plan,
                output: Output::default(),
                stage: Stage::Working,
                durations: HashMap::new(),
            }),
            progress: Mutex::new(report),
            ended: (Mutex::new(false), Condvar::new()),
        })
    }

    /// Reads a model directory; the model is on the finished job.
    pub fn load(runtime: &Arc<Runtime>, path: PathBuf, config: config::Load) -> Result<Arc<Job>> {
        runtime.check_device(config::device(&config.device)?)?;
        let publish = |model| Ok(Output { model: Some(Arc::new(model)), ..Output::default() });
        Ok(Job::new(runtime, Box::new(Whole::new("load", 1, move || Model::load(&path, &config), publish))))
    }

    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// The source of the job's events: its handle.
    pub fn set_source(&self, source: u64) {
        self.source.store(source, Ordering::Relaxed);
        self.runtime.events().open(source);
    }

    pub fn unfinished(&self) -> bool {
        self.unfinished.load(Ordering::SeqCst)
    }

    /// Drives the job to its end on the calling thread.
    pub fn run(&self) -> Result<Report> {
        self.drive(None)
    }

    /// Drives the job on the calling thread for about `budget`: those slices that fit by their own measurements, at
    /// least one.
    pub fn pump(&self, budget: Duration) -> Result<Report> {
        self.drive(Some(budget))
    }

    /// Hands the job to a thread of keel's own. What it publishes appears with the next `poll` or `wait`.
    pub fn start(self: &Arc<Self>) -> Result<()> {
        if self.calls_host {
            let message =
                "start: this job calls the host back, which only the host's own thread may do; use run or pump";
            return Err(Error::state(message));
        }
        self.take_wheel()?;
        let job = self.clone();
        let spawned = self.runtime.spawn(move || {
            let mut driver = job.driver.lock();
            let started = Instant::now();
            if matches!(driver.stage, Stage::Working) {
                let ended = job.slices(&mut driver, started, None);
                if !matches!(ended, Ok(None)) {
                    driver.stage = Stage::Ended(ended.map(|complete| complete.unwrap_or(false)));
                }
            }
            drop(driver);
            job.leave_wheel();
            *job.ended.0.lock() = true;
            job.ended.1.notify_all();
        });
        if spawned.is_err() {
            self.leave_wheel();
        }
        spawned
    }

    /// Where the job stands; settles it if its slices ended on keel's thread. Never waits for a slice.
    pub fn poll(&self) -> Result<Report> {
        if let Some(mut driver) = self.driver.try_lock() {
            self.settle(&mut driver)?;
        }
        Ok(*self.progress.lock())
    }

    /// Waits until the job's thread is done, at most `timeout`; a report that is still pending means it is not.
    pub fn wait(&self, timeout: Duration) -> Result<Report> {
        let deadline = Instant::now().checked_add(timeout);
        let mut ended = self.ended.0.lock();
        while self.driving.load(Ordering::SeqCst) && !*ended {
            match deadline {
                Some(deadline) if self.ended.1.wait_until(&mut ended, deadline).timed_out() => break,
                Some(_) => {}
                None => self.ended.1.wait(&mut ended),
            }
        }
        drop(ended);
        self.poll()
    }

    /// Ends the job before its next slice. What was applied stays; what was pushed is kept.
    pub fn cancel(&self) -> Result<()> {
        self.cancelled.store(true, Ordering::SeqCst);
        if !self.driving.load(Ordering::SeqCst) {
            if let Some(mut driver) = self.driver.try_lock() {
                if matches!(driver.stage, Stage::Working) {
                    driver.stage = Stage::Ended(Ok(false));
                }
                return match self.settle(&mut driver) {
                    Err(error) if error.status != Status::Cancelled => Err(error),
                    _ => Ok(()),
                };
            }
        }
        Ok(())
    }

    /// Where the job stands, also when it failed.
    pub fn report(&self) -> Report {
        *self.progress.lock()
    }

    /// The error that ended the job.
    pub fn error(&self) -> Option<Error> {
        match self.driver.try_lock().as_deref() {
            Some(Driver { stage: Stage::Settled(Err(error)) | Stage::Ended(Err(error)), .. }) => Some(error.clone()),
            _ => None,
        }
    }

    pub fn batch(&self) -> Result<Batch> {
        self.finished(|output| output.batch.clone(), "batch")
    }

    /// What decodes the tokens of the job's batch.
    pub fn tokenizer(&self) -> Option<Arc<Tokenizer>> {
        self.finished(|output| output.tokenizer.clone(), "tokenizer").ok()
    }

    pub fn model(&self) -> Result<Arc<Model>> {
        self.finished(|output| output.model.clone(), "model")
    }

    fn finished<T>(&self, take: impl Fn(&Output) -> Option<T>, what: &str) -> Result<T> {
        let unfinished =
            || Error::state(format!("job: expected a finished job, which alone has a {what}; this one still runs"));
        let mut driver = self.driver.try_lock().ok_or_else(unfinished)?;
        self.settle(&mut driver)?;
        match &driver.stage {
            Stage::Settled(Ok(_)) => {
                take(&driver.output).ok_or_else(|| Error::state(format!("job: this kind of job has no {what}")))
            }
            Stage::Settled(Err(error)) => Err(error.clone()),
            _ => Err(unfinished()),
        }
    }

    fn take_wheel(&self) -> Result<()> {
        if self.driving.swap(true, Ordering::SeqCst) {
            return Err(Error::new(Status::Concurrent, "job: another thread drives it; one driver at a time"));
        }
        Ok(())
    }

    fn leave_wheel(&self) {
        self.driving.store(false, Ordering::SeqCst);
    }

    fn drive(&self, budget: Option<Duration>) -> Result<Report> {
        self.take_wheel()?;
        let started = Instant::now();
        let mut driver = self.driver.lock();
        self.progress.lock().longest_slice_us = 0;
        if matches!(driver.stage, Stage::Working) {
            match self.slices(&mut driver, started, budget) {
                Ok(None) => {}
                ended => driver.stage = Stage::Ended(ended.map(|complete| complete.unwrap_or(false))),
            }
        }
        let settled = self.settle(&mut driver);
        drop(driver);
        self.leave_wheel();
        let mut report = self.progress.lock();
        report.elapsed_us = started.elapsed().as_micros() as u64;
        settled.map(|()| *report)
    }

    /// Runs slices until the plan or the budget ends. `None`: there are more; `Some(true)`: complete; `Some(false)`:
    /// cancelled.
    fn slices(&self, driver: &mut Driver, started: Instant, budget: Option<Duration>) -> Result<Option<bool>> {
        let _threads = ThreadScope::new(driver.plan.threads());
        let mut first = true;
        loop {
            if self.cancelled.load(Ordering::SeqCst) || self.runtime.stopping() {
                return Ok(Some(false));
            }
            let kind = driver.plan.next();
            if let Some(budget) = budget {
                let expected = driver.durations.get(kind).copied().unwrap_or_default();
                if !first && started.elapsed() + expected > budget {
                    return Ok(None);
                }
            }
            first = false;
            let began = Instant::now();
            let caught = tch::with_grad(|| catch_unwind(AssertUnwindSafe(|| driver.plan.slice())));
            let last = caught.unwrap_or_else(|panic| {
                driver.plan.panicked();
                Err(Error::new(Status::Panic, format!("{kind}: {}", panic_text(panic.as_ref()))))
            });
            let took = began.elapsed();
            driver.durations.insert(kind, took);
            self.note(driver.plan.as_ref(), took, started.elapsed());
            if last? {
                return Ok(Some(true));
            }
        }
    }

    fn note(&self, plan: &dyn Plan, took: Duration, elapsed: Duration) {
        let mut report = self.progress.lock();
        report.slices += 1;
        report.elapsed_us = elapsed.as_micros() as u64;
        report.longest_slice_us = report.longest_slice_us.max(took.as_micros() as u64);
        report.optimizer_steps = plan.optimizer_steps();
        report.progress = plan.progress();
    }

    /// Lets the plan publish what its slices ended with, once; afterwards its error is the job's.
    fn settle(&self, driver: &mut Driver) -> Result<()> {
        match std::mem::replace(&mut driver.stage, Stage::Working) {
            Stage::Ended(ended) => {
                let settled = self.conclude(driver, ended);
                let mut report = self.progress.lock();
                report.state = *settled.as_ref().unwrap_or(&State::Failed);
                report.optimizer_steps = driver.plan.optimizer_steps();
                driver.stage = Stage::Settled(settled);
                drop(report);
                self.unfinished.store(false, Ordering::SeqCst);
                self.announce(driver);
            }
            other => driver.stage = other,
        }
        self.stage_error(driver).map_or(Ok(()), Err)
    }

    fn announce(&self, driver: &Driver) {
        let job = self.source.load(Ordering::Relaxed);
        let report = self.progress.lock();
        let event = Event::JobFinished {
            job,
            work: driver.plan.work(),
            optimizer_steps: report.optimizer_steps,
            elapsed_us: report.elapsed_us,
            error: self.stage_error(driver),
        };
        drop(report);
        self.runtime.events().push(job, event);
    }

    fn conclude(&self, driver: &mut Driver, ended: Result<bool>) -> Result<State> {
        let ending = match &ended {
            Ok(true) => Ending::Complete,
            Ok(false) => Ending::Cancelled,
            Err(_) => Ending::Failed,
        };
        let output = driver.plan.finish(ending);
        let steps = driver.plan.optimizer_steps();
        match (ended, output) {
            (Ok(complete), Ok(output)) => {
                driver.output = output;
                Ok(if complete { State::Done } else { State::Cancelled })
            }
            (Err(mut error), _) if steps > 0 => {
                error.message = format!("{} ({steps} optimiser steps of this update were applied)", error.message);
                Err(error)
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    fn stage_error(&self, driver: &Driver) -> Option<Error> {
        match &driver.stage {
            Stage::Settled(Err(error)) => Some(error.clone()),
            Stage::Settled(Ok(State::Cancelled)) => Some(Error::new(Status::Cancelled, "job: it was cancelled")),
            _ => None,
        }
    }
}

/// The text of a caught panic.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").split("\nException raised").next().unwrap_or_default().to_string()
}

//! The one noun of long work: a plan, who drives it, and how it ended.
//!
//! One driver at a time; a second one gets `Concurrent` and nothing happens. A failure stays on the job. What a plan
//! publishes, it publishes in `settle`, which runs only inside a call that the host makes.

use super::forecast::Forecast;
use super::pause::{rest, wake, Pause};
use super::plan::{Ending, Output, Plan, Stage, Whole};
use super::Runtime;
use crate::config;
use crate::data::Batch;
use crate::error::{Error, Result, Status};
use crate::model::{AnyModel, Tokenizer};
use crate::telemetry::Event;
use crate::torch::{self, ThreadScope};
use parking_lot::{Condvar, Mutex};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Pending,
    /// It ended before its work began: more rows are needed.
    NeedsData,
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

/// A plan while it is worked on. Locked by whoever drives, or by who holds the wheel's mutex while nobody does.
struct Work {
    plan: Box<dyn Plan>,
    /// How the slices ended, until a call of the host settles it: `false` is cancelled.
    ended: Option<Result<bool>>,
    forecast: Forecast,
    worked: Duration,
}

/// What everybody may look at, at any time.
struct Standing {
    report: Report,
    stage: Stage,
    outcome: Option<Result<Output>>,
}

pub struct Job {
    source: AtomicU64,
    runtime: Arc<Runtime>,
    calls_host: bool,
    pause: Arc<Pause>,
    cancelled: AtomicBool,
    /// Whether somebody drives.
    wheel: Mutex<bool>,
    free: Condvar,
    /// `None` once the job is settled: it keeps nothing alive but its output.
    work: Mutex<Option<Work>>,
    standing: Mutex<Standing>,
}

/// The right to drive a job, until it is dropped.
struct Wheel(Arc<Job>);

impl Drop for Wheel {
    fn drop(&mut self) {
        *self.0.wheel.lock() = false;
        self.0.free.notify_all();
    }
}

impl Job {
    /// A job that no pause holds back.
    pub(super) fn new(runtime: &Arc<Runtime>, plan: Box<dyn Plan>) -> Arc<Job> {
        Job::paused_by(runtime, plan, &Arc::default())
    }

    /// A job that does no slice during this pause: on keel's thread it waits, other drivers leave it pending.
    pub(super) fn paused_by(runtime: &Arc<Runtime>, plan: Box<dyn Plan>, pause: &Arc<Pause>) -> Arc<Job> {
        let report = Report {
            state: State::Pending,
            slices: 0,
            elapsed_us: 0,
            longest_slice_us: 0,
            optimizer_steps: 0,
            progress: 0.0,
        };
        let stage = plan.stage();
        Arc::new(Job {
            source: AtomicU64::new(0),
            runtime: runtime.clone(),
            calls_host: plan.calls_host(),
            pause: pause.clone(),
            cancelled: AtomicBool::new(false),
            wheel: Mutex::new(false),
            free: Condvar::new(),
            work: Mutex::new(Some(Work { plan, ended: None, forecast: Forecast::default(), worked: Duration::ZERO })),
            standing: Mutex::new(Standing { report, stage, outcome: None }),
        })
    }

    /// Reads a model directory; the model is on the finished job.
    pub fn load(runtime: &Arc<Runtime>, path: PathBuf, config: config::Load) -> Result<Arc<Job>> {
        runtime.check_device(config::device(&config.device)?)?;
        let config = config::Load { allow_torchscript: runtime.allows_torchscript(), ..config };
        let publish = |model| Ok(Output { model: Some(model), ..Output::default() });
        Ok(Job::new(runtime, Box::new(Whole::new("load", 1, move || AnyModel::load(&path, &config), publish))))
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
        self.standing.lock().outcome.is_none()
    }

    /// Drives the job to its end on the calling thread; a report that is still pending means that its session is paused.
    pub fn run(self: &Arc<Self>) -> Result<Report> {
        self.drive(None)
    }

    /// Drives the job on the calling thread for about `budget`: those slices that fit by their own measurements, at
    /// least one. A kind of slice that was never measured counts as the whole budget: it is done first or not at all.
    pub fn pump(self: &Arc<Self>, budget: Duration) -> Result<Report> {
        self.drive(Some(budget))
    }

    /// Hands the job to a thread of keel's own, or to the line for one. What it publishes appears with the next `poll` or
    /// `wait`.
    pub fn start(self: &Arc<Self>) -> Result<()> {
        if self.calls_host {
            return Err(Error::state("start: this job calls the host back, on whose own thread only run and pump are"));
        }
        let wheel = self.take_wheel()?;
        torch::warm_up()?;
        let share = self.runtime.threads().share();
        self.runtime.threads().start(self.key(), move || {
            if let Some(work) = wheel.0.work.lock().as_mut() {
                let stopping = || wheel.0.runtime.threads().stopping();
                let over = || wheel.0.cancelled.load(Ordering::SeqCst) || stopping();
                while work.ended.is_none() {
                    wheel.0.pause.sleep(over);
                    let began = Instant::now();
                    wheel.0.slices(work, began, share.burst(), &stopping);
                    rest(share.rest(began.elapsed()), || work.ended.is_some() || over());
                }
            }
        })
    }

    /// Where the job stands; settles it if its slices ended on keel's thread. Never waits for a slice of this job.
    pub fn poll(&self) -> Result<Report> {
        #[cfg(feature = "races")]
        super::planted::race();
        self.settle_idle();
        self.result()
    }

    /// Waits while somebody drives the job, at most `timeout`; a report that is still pending means it is not done.
    pub fn wait(&self, timeout: Duration) -> Result<Report> {
        let deadline = Instant::now().checked_add(timeout);
        let mut driving = self.wheel.lock();
        while *driving {
            match deadline {
                Some(deadline) if self.free.wait_until(&mut driving, deadline).timed_out() => break,
                Some(_) => {}
                None => self.free.wait(&mut driving),
            }
        }
        drop(driving);
        self.poll()
    }

    /// Ends the job before its next slice, or where it waits for a thread. What was applied stays; what was pushed is kept.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        wake();
        drop(self.runtime.threads().withdraw(self.key()));
        self.settle_idle();
    }

    /// The last handle is gone. A driven job goes on to its end, any other ends here; the host's next call settles it.
    pub fn abandon(self: &Arc<Self>) {
        if !*self.wheel.lock() {
            self.cancelled.store(true, Ordering::SeqCst);
        }
        if self.unfinished() {
            self.runtime.adopt(self.clone());
        }
    }

    /// Where the job stands, also when it failed.
    pub fn report(&self) -> Report {
        self.standing.lock().report
    }

    /// What the job is at, or was when it ended.
    pub fn stage(&self) -> Stage {
        self.standing.lock().stage
    }

    /// The error that ended the job; cancelled counts.
    pub fn error(&self) -> Option<Error> {
        self.settle_idle();
        self.standing.lock().outcome.as_ref().and_then(|outcome| outcome.as_ref().err().cloned())
    }

    pub fn batch(&self) -> Result<Batch> {
        self.finished(|output| output.batch.clone(), "batch")
    }

    /// What decodes the tokens of the job's batch.
    pub fn tokenizer(&self) -> Option<Arc<Tokenizer>> {
        self.finished(|output| output.tokenizer.clone(), "tokenizer").ok()
    }

    pub fn model(&self) -> Result<AnyModel> {
        self.finished(|output| output.model.clone(), "model")
    }

    /// What tells this job from others that wait for a thread.
    fn key(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    fn finished<T>(&self, take: impl Fn(&Output) -> Option<T>, what: &str) -> Result<T> {
        self.settle_idle();
        match &self.standing.lock().outcome {
            Some(Ok(output)) => {
                take(output).ok_or_else(|| Error::state(format!("job: this kind of job has no {what}")))
            }
            Some(Err(error)) => Err(error.clone()),
            None => Err(Error::state(format!(
                "job: expected a finished job, which alone has a {what}; this one still runs"
            ))),
        }
    }

    fn result(&self) -> Result<Report> {
        let standing = self.standing.lock();
        match &standing.outcome {
            Some(Err(error)) => Err(error.clone()),
            _ => Ok(standing.report),
        }
    }

    fn take_wheel(self: &Arc<Self>) -> Result<Wheel> {
        if std::mem::replace(&mut *self.wheel.lock(), true) {
            return Err(Error::new(Status::Concurrent, "job: another thread drives it; one driver at a time"));
        }
        Ok(Wheel(self.clone()))
    }

    fn drive(self: &Arc<Self>, budget: Option<Duration>) -> Result<Report> {
        let wheel = self.take_wheel()?;
        let started = Instant::now();
        let mut work = self.work.lock();
        self.standing.lock().report.longest_slice_us = 0;
        if let Some(work) = work.as_mut() {
            self.slices(work, started, budget, &Runtime::exiting);
        }
        self.settle(&mut work);
        drop(work);
        drop(wheel);
        self.standing.lock().report.elapsed_us = microseconds(started.elapsed());
        self.result()
    }

    /// Runs slices until the plan or the budget ends, a pause begins, or it is told to stop.
    fn slices(&self, work: &mut Work, started: Instant, budget: Option<Duration>, stopping: &dyn Fn() -> bool) {
        let _threads = ThreadScope::new(work.plan.threads());
        let mut first = true;
        while work.ended.is_none() {
            if self.cancelled.load(Ordering::SeqCst) || stopping() {
                work.ended = Some(Ok(false));
                break;
            }
            if self.pause.is_on() {
                break;
            }
            let kind = work.plan.next();
            let amount = work.plan.amount();
            let expected = work.forecast.expect(kind, amount);
            let fits = |budget| expected.is_some_and(|expected| started.elapsed() + expected <= budget);
            if budget.is_some_and(|budget| !first && !fits(budget)) {
                break;
            }
            first = false;
            let began = Instant::now();
            let caught = tch::with_grad(|| catch_unwind(AssertUnwindSafe(|| work.plan.slice())));
            let last = caught.unwrap_or_else(|panic| {
                work.plan.panicked();
                Err(Error::from_panic(panic.as_ref()).within(kind))
            });
            let took = began.elapsed();
            work.forecast.learn(kind, amount, took);
            work.worked += took;
            self.note(work.plan.as_ref(), took, work.worked);
            let source = self.source.load(Ordering::Relaxed);
            work.plan.events(source).into_iter().for_each(|event| self.runtime.events().push(source, event));
            work.ended = match last {
                Ok(false) => None,
                Ok(true) => Some(Ok(true)),
                Err(error) => Some(Err(error)),
            };
        }
    }

    fn note(&self, plan: &dyn Plan, took: Duration, worked: Duration) {
        let mut standing = self.standing.lock();
        standing.stage = plan.stage();
        let report = &mut standing.report;
        report.slices += 1;
        report.elapsed_us = microseconds(worked);
        report.longest_slice_us = report.longest_slice_us.max(microseconds(took));
        report.optimizer_steps = plan.optimizer_steps();
        report.progress = report.progress.max(plan.progress());
    }

    /// Settles the job unless somebody drives it.
    fn settle_idle(&self) {
        let driving = self.wheel.lock();
        if *driving {
            return;
        }
        let mut work = self.work.lock();
        if let Some(Work { ended: ended @ None, .. }) = work.as_mut() {
            *ended = self.cancelled.load(Ordering::SeqCst).then_some(Ok(false));
        }
        self.settle(&mut work);
    }

    /// Lets the plan publish what its slices ended with, once, and lets go of it.
    fn settle(&self, slot: &mut Option<Work>) {
        let Some(ended) = slot.as_mut().and_then(|work| work.ended.take()) else { return };
        let Some(mut work) = slot.take() else { return };
        let _silence = torch::Silence::new();
        let caught = catch_unwind(AssertUnwindSafe(|| conclude(work.plan.as_mut(), ended)));
        let settled = caught.unwrap_or_else(|panic| Err(Error::from_panic(panic.as_ref())));
        let (state, outcome) = match settled {
            Ok((true, output)) if output.needs_data => (State::NeedsData, Ok(output)),
            Ok((true, output)) => (State::Done, Ok(output)),
            Ok((false, _)) => (State::Cancelled, Err(Error::new(Status::Cancelled, "job: it was cancelled"))),
            Err(error) => (State::Failed, Err(error)),
        };
        let error = outcome.as_ref().err().cloned();
        let optimizer_steps = work.plan.optimizer_steps();
        let mut standing = self.standing.lock();
        standing.report.state = state;
        standing.report.optimizer_steps = optimizer_steps;
        standing.outcome = Some(outcome);
        drop(standing);
        let source = self.source.load(Ordering::Relaxed);
        let elapsed_us = microseconds(work.worked);
        let event = Event::JobFinished { job: source, work: work.plan.work(), optimizer_steps, elapsed_us, error };
        self.runtime.events().push(source, event);
    }
}

/// What the plan leaves, and whether it came to its end.
fn conclude(plan: &mut dyn Plan, ended: Result<bool>) -> Result<(bool, Output)> {
    let ending = match &ended {
        Ok(true) => Ending::Complete,
        Ok(false) => Ending::Cancelled,
        Err(_) => Ending::Failed,
    };
    let output = plan.finish(ending);
    let steps = plan.optimizer_steps();
    match (ended, output) {
        (Ok(complete), Ok(output)) => Ok((complete, output)),
        (Err(mut error), _) if steps > 0 => {
            error.message = format!("{} ({steps} optimiser steps of this update were applied)", error.message);
            Err(error)
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

fn microseconds(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

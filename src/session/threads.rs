//! keel's own threads: how many run, what they are like, the jobs that wait for one, their end.
//!
//! A thread is made when a job is started and fewer than `count` run; it takes the waiting jobs in their order and ends when
//! none is left. A host may provide the threads instead. Nothing here knows what a job does.

use super::pause::wake;
use crate::config::{self, LearnerThreads};
use crate::error::{Error, Result, Status};
use crate::torch::{Cpus, Priority};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How many threads work for keel, over all runtimes of the process.
static PROCESS: Process = Process { running: Mutex::new(0), ended: Condvar::new(), exiting: AtomicBool::new(false) };

struct Process {
    running: Mutex<usize>,
    ended: Condvar,
    exiting: AtomicBool,
}

/// Raised when the process ends: the running slice finishes, no further one begins.
pub(super) extern "C" fn stop_for_exit() {
    let mut running = PROCESS.running.lock();
    PROCESS.exiting.store(true, Ordering::SeqCst);
    wake();
    while *running > 0 {
        PROCESS.ended.wait(&mut running);
    }
}

/// Whether the process ends, so that no job goes on.
pub(super) fn exiting() -> bool {
    PROCESS.exiting.load(Ordering::SeqCst)
}

/// What a job that rests works at a time, if its slices are shorter: a small part of a frame.
const BURST: Duration = Duration::from_micros(500);

type Work = Box<dyn FnOnce() + Send>;

/// The host's way to have work done on a thread of its own.
pub type ThreadStarter = Arc<dyn Fn(Work) -> Result<()> + Send + Sync>;

pub(super) struct Threads {
    settings: LearnerThreads,
    cpus: Option<Cpus>,
    state: Mutex<State>,
    ended: Condvar,
    stopping: AtomicBool,
}

/// How much of its time a started job works.
#[derive(Clone, Copy)]
pub(super) struct Share(f64);

impl Share {
    /// How long it works at a time; without limit where it never rests.
    pub fn burst(self) -> Option<Duration> {
        (self.0 < 1.0).then_some(BURST)
    }

    /// How long it rests after having worked for this long.
    pub fn rest(self, worked: Duration) -> Duration {
        worked.mul_f64(1.0 / self.0 - 1.0)
    }
}

#[derive(Default)]
struct State {
    running: usize,
    waiting: VecDeque<(usize, Work)>,
    starter: Option<ThreadStarter>,
    /// keel's own threads, which a shutdown waits for.
    made: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Tries the settings on a thread that does nothing else: what cannot be had is an error here and not in mid-game.
    pub fn new(settings: &LearnerThreads) -> Result<Arc<Threads>> {
        settings.check()?;
        let chosen = (!settings.affinity.is_empty()).then(|| Cpus::numbered(&settings.affinity));
        let threads = Arc::new(Threads {
            settings: settings.clone(),
            cpus: chosen.or_else(Cpus::of_this_thread),
            state: Mutex::default(),
            ended: Condvar::new(),
            stopping: AtomicBool::new(false),
        });
        let tried = threads.clone();
        let trial = threads.spawn(move || tried.settle_in())?;
        let outcome = trial.join().map_err(|panic| Error::from_panic(panic.as_ref()))?;
        outcome.map_err(|error| error.within("/learner_threads/affinity"))?;
        Ok(threads)
    }

    /// Whether jobs on these threads should end at the next slice.
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst) || exiting()
    }

    pub fn share(&self) -> Share {
        Share(self.settings.share)
    }

    /// Sets, or removes, what provides the threads that are needed from now on.
    pub fn set_starter(&self, starter: Option<ThreadStarter>) {
        self.state.lock().starter = starter;
    }

    /// Has the work done on a thread, now or when one is free. `key` tells it from the others that wait.
    pub fn start(self: &Arc<Self>, key: usize, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let mut state = self.state.lock();
        let mut running = PROCESS.running.lock();
        if self.stopping() {
            return Err(Error::state("start: the runtime was shut down"));
        }
        state.waiting.push_back((key, Box::new(work)));
        if state.running == self.settings.count as usize {
            return Ok(());
        }
        (state.running, *running) = (state.running + 1, *running + 1);
        let starter = state.starter.clone();
        drop((state, running));
        self.launch(starter).or_else(|error| match self.give_up(key) {
            true => Err(error),
            false => Ok(()),
        })
    }

    /// After a thread that could not be had. Whether the work still waited; jobs that none of the others will take are left
    /// where nobody drives them, to be started again.
    fn give_up(&self, key: usize) -> bool {
        let withdrawn = self.withdraw(key);
        let mut state = self.state.lock();
        self.leave(&mut state.running);
        let left = if state.running == 0 { std::mem::take(&mut state.waiting) } else { VecDeque::new() };
        drop(state);
        drop(left);
        withdrawn.is_some()
    }

    /// Takes back work that still waits.
    pub fn withdraw(&self, key: usize) -> Option<Work> {
        let mut state = self.state.lock();
        let place = state.waiting.iter().position(|(waiting, _)| *waiting == key)?;
        state.waiting.remove(place).map(|(_, work)| work)
    }

    /// Ends all work at its next slice and waits for the threads; afterwards none of them runs.
    pub fn shutdown(&self, timeout: Duration) -> Result<()> {
        let mut state = self.state.lock();
        self.stopping.store(true, Ordering::SeqCst);
        wake();
        let deadline = Instant::now().checked_add(timeout);
        while state.running > 0 {
            let expired = match deadline {
                Some(deadline) => self.ended.wait_until(&mut state, deadline).timed_out(),
                None => {
                    self.ended.wait(&mut state);
                    false
                }
            };
            if expired && state.running > 0 {
                let message =
                    format!("timeout_us: {} keel threads still finish their slice; call again", state.running);
                return Err(Error::new(Status::Timeout, message));
            }
        }
        let made = std::mem::take(&mut state.made);
        drop(state);
        // they catch every panic
        made.into_iter().for_each(|thread| _ = thread.join());
        Ok(())
    }

    fn launch(self: &Arc<Self>, starter: Option<ThreadStarter>) -> Result<()> {
        let threads = self.clone();
        if let Some(starter) = starter {
            return starter(Box::new(move || threads.work_off()));
        }
        let thread = self.spawn(move || {
            // tried when the runtime was made; a CPU that was taken away since then leaves the others
            let _ = threads.settle_in();
            threads.work_off();
        })?;
        let mut state = self.state.lock();
        state.made.retain(|thread| !thread.is_finished());
        state.made.push(thread);
        Ok(())
    }

    fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
        let spawned = std::thread::Builder::new().name(self.settings.name.clone()).spawn(work);
        spawned.map_err(|error| Error::new(Status::OutOfMemory, format!("start: no thread could be made: {error}")))
    }

    /// Makes the calling thread what the settings say, before it works: threads that it makes inherit it.
    fn settle_in(&self) -> Result<()> {
        match self.settings.priority {
            config::Priority::Normal => Priority::Normal,
            config::Priority::Low => Priority::Batch { nice: 10 },
            config::Priority::Idle => Priority::Idle,
        }
        .lower();
        self.cpus.map_or(Ok(()), |cpus| cpus.bind())
    }

    /// Does what waits, first come first served, until nothing does.
    fn work_off(&self) {
        while let Some(work) = self.next() {
            // a job keeps what its slices panicked with
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
    }

    /// What waits longest; where there is nothing the calling thread no longer counts.
    fn next(&self) -> Option<Work> {
        let mut state = self.state.lock();
        let next = state.waiting.pop_front();
        if next.is_none() {
            self.leave(&mut state.running);
        }
        next.map(|(_, work)| work)
    }

    /// Counts a thread out.
    fn leave(&self, running: &mut usize) {
        *running -= 1;
        self.ended.notify_all();
        *PROCESS.running.lock() -= 1;
        PROCESS.ended.notify_all();
    }
}

//! The process-wide part: the decision about CUDA, keel's own threads and their end, the queue of events.

use super::Job;
use crate::config::{self, CudaPolicy, DeviceName};
use crate::error::{Error, Result, Status};
use crate::telemetry::Events;
use crate::torch;
use parking_lot::{Condvar, Mutex};
use serde_json::{json, Value};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tch::Device;

/// How many of keel's threads are inside a job, over all runtimes of the process.
static THREADS: Threads = Threads { running: Mutex::new(0), ended: Condvar::new(), exiting: AtomicBool::new(false) };
static CUDA: Mutex<Option<bool>> = Mutex::new(None);

struct Threads {
    running: Mutex<usize>,
    ended: Condvar,
    exiting: AtomicBool,
}

/// Raised when the process ends: the running slice finishes, no further one begins.
extern "C" fn stop_for_exit() {
    let mut running = THREADS.running.lock();
    THREADS.exiting.store(true, Ordering::SeqCst);
    while *running > 0 {
        THREADS.ended.wait(&mut running);
    }
}

pub struct Runtime {
    events: Arc<Events>,
    threads: Mutex<usize>,
    ended: Condvar,
    stopping: AtomicBool,
    cuda: bool,
    allow_torchscript: bool,
    /// Jobs whose handles were destroyed before they were settled.
    orphans: Mutex<Vec<Arc<Job>>>,
}

impl Runtime {
    /// Decides about CUDA before anything else touches libtorch: it cannot be added to a process later.
    pub fn create(config: &config::Runtime) -> Result<Arc<Runtime>> {
        torch::initialise();
        let cuda = decide_cuda(config.cuda)?;
        if config.allow_torchscript {
            torch::warm_up_script()?;
        }
        torch::on_exit(stop_for_exit);
        Ok(Arc::new(Runtime {
            events: Arc::new(Events::new(config.event_capacity as usize)),
            threads: Mutex::new(0),
            ended: Condvar::new(),
            stopping: AtomicBool::new(false),
            cuda,
            allow_torchscript: config.allow_torchscript,
            orphans: Mutex::default(),
        }))
    }

    pub fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// Stops every job that runs on keel's threads; afterwards no keel thread of this runtime runs.
    pub fn shutdown(&self, timeout: Duration) -> Result<()> {
        let mut threads = self.threads.lock();
        self.stopping.store(true, Ordering::SeqCst);
        let deadline = Instant::now().checked_add(timeout);
        while *threads > 0 {
            let expired = match deadline {
                Some(deadline) => self.ended.wait_until(&mut threads, deadline).timed_out(),
                None => {
                    self.ended.wait(&mut threads);
                    false
                }
            };
            if expired && *threads > 0 {
                let message = format!("timeout_us: {} keel threads still finish their slice; call again", *threads);
                return Err(Error::new(Status::Timeout, message));
            }
        }
        Ok(())
    }

    /// Whether jobs on keel's threads should end at the next slice.
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst) || Runtime::exiting()
    }

    /// Whether the process ends, so that no job goes on.
    pub fn exiting() -> bool {
        THREADS.exiting.load(Ordering::SeqCst)
    }

    /// Keeps a job that no handle leads to until it is settled.
    pub(super) fn adopt(&self, job: Arc<Job>) {
        self.orphans.lock().push(job);
    }

    /// Settles the jobs that lost their handles and have ended. For calls that the host makes.
    pub fn settle_orphans(&self) {
        let orphans = std::mem::take(&mut *self.orphans.lock());
        for job in orphans {
            // what a job without a handle ended with, nobody asks
            let _ = job.poll();
            if job.unfinished() {
                self.adopt(job);
            }
        }
    }

    /// Runs `work` on a thread of keel's own.
    pub(super) fn spawn(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) -> Result<()> {
        torch::warm_up()?;
        let mut threads = self.threads.lock();
        let mut running = THREADS.running.lock();
        if self.stopping() {
            return Err(Error::state("start: the runtime was shut down"));
        }
        (*threads, *running) = (*threads + 1, *running + 1);
        drop((threads, running));
        let runtime = self.clone();
        let spawned = std::thread::Builder::new().name("keel-job".to_string()).spawn(move || {
            let leave = Leave(runtime);
            work();
            drop(leave);
        });
        if let Err(error) = spawned {
            Leave(self.clone());
            return Err(Error::new(Status::OutOfMemory, format!("start: no thread could be made: {error}")));
        }
        Ok(())
    }

    /// The libtorch device behind a configured name; it must exist and be allowed by the runtime's policy.
    pub fn check_device(&self, name: DeviceName) -> Result<Device> {
        let DeviceName::Cuda(index) = name else { return Ok(Device::Cpu) };
        if !self.cuda {
            let message =
                "CUDA is not loaded in this process; create the first runtime with {\"cuda\": \"auto\"} on a \
                           machine with an NVIDIA driver";
            return Err(Error::new(
                Status::Device,
                format!("device: expected \"cpu\", got \"cuda:{index}\": {message}"),
            ));
        }
        let count = torch::cuda::device_count();
        if index as i64 >= count {
            let message = format!("device: expected one of {count} CUDA devices, got \"cuda:{index}\"");
            return Err(Error::new(Status::Device, message));
        }
        Ok(Device::Cuda(index))
    }

    /// Whether control networks may be TorchScript modules.
    pub fn allows_torchscript(&self) -> bool {
        self.allow_torchscript
    }

    pub fn devices(&self) -> Value {
        let count = if self.cuda { torch::cuda::device_count() } else { 0 };
        let names = (0..count).map(|index| format!("cuda:{index}"));
        json!(std::iter::once("cpu".to_string()).chain(names).collect::<Vec<_>>())
    }

    /// Resident bytes of the process, as the kernel counts them.
    pub fn memory(&self) -> Value {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        json!({ "resident_bytes": kilobytes.unwrap_or(0) * 1024 })
    }
}

/// Counts a thread out, however its work ended.
struct Leave(Arc<Runtime>);

impl Drop for Leave {
    fn drop(&mut self) {
        *self.0.threads.lock() -= 1;
        self.0.ended.notify_all();
        *THREADS.running.lock() -= 1;
        THREADS.ended.notify_all();
    }
}

fn decide_cuda(policy: CudaPolicy) -> Result<bool> {
    let mut decided = CUDA.lock();
    let available = match (*decided, policy) {
        (Some(available), _) => available,
        (None, CudaPolicy::Cpu) => false,
        (None, CudaPolicy::Auto) => torch::cuda::load().is_ok() && torch::cuda::available(),
        (None, CudaPolicy::Cuda) => {
            torch::cuda::load()?;
            torch::cuda::available()
        }
    };
    *decided = Some(available);
    if policy == CudaPolicy::Cuda && !available {
        let message =
            "cuda: expected a usable CUDA device, found none; CUDA is decided once per process, by the first \
                       keel_runtime_create, and needs libtorch's CUDA libraries and a driver";
        return Err(Error::new(Status::Device, message));
    }
    Ok(available && policy != CudaPolicy::Cpu)
}

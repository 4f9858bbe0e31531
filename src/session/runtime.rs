//! The process-wide part: the decision about CUDA, the caps on memory, the queue of events; keel's own threads are `threads`.

use super::threads::{exiting, stop_for_exit, ThreadStarter, Threads};
use super::Job;
use crate::config::{self, CudaPolicy, DeviceName};
use crate::error::{Error, Result, Status};
use crate::telemetry::Events;
use crate::torch;
use parking_lot::Mutex;
use serde_json::{json, Value};
use std::sync::Arc;
use std::time::Duration;
use tch::Device;

static CUDA: Mutex<Option<bool>> = Mutex::new(None);

pub struct Runtime {
    events: Arc<Events>,
    threads: Arc<Threads>,
    cuda: bool,
    allow_torchscript: bool,
    /// Jobs whose handles were destroyed before they were settled.
    orphans: Mutex<Vec<Arc<Job>>>,
}

impl Runtime {
    /// Decides about CUDA before anything else touches libtorch: it cannot be added to a process later.
    pub fn create(config: &config::Runtime) -> Result<Arc<Runtime>> {
        torch::initialise();
        let threads = Threads::new(&config.learner_threads)?;
        let cuda = decide_cuda(config.cuda)?;
        cap_memory(&config.memory, if cuda { torch::cuda::device_count() } else { 0 })?;
        if config.allow_torchscript {
            torch::warm_up_script()?;
        }
        torch::on_exit(stop_for_exit);
        Ok(Arc::new(Runtime {
            events: Arc::new(Events::new(config.event_capacity as usize)),
            threads,
            cuda,
            allow_torchscript: config.allow_torchscript,
            orphans: Mutex::default(),
        }))
    }

    pub fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// Stops every job that runs on keel's threads; afterwards no keel thread of this runtime runs, and no job that lost its
    /// handle keeps anything.
    pub fn shutdown(&self, timeout: Duration) -> Result<()> {
        self.threads.shutdown(timeout)?;
        self.settle_orphans();
        Ok(())
    }

    /// Whether the process ends, so that no job goes on.
    pub fn exiting() -> bool {
        exiting()
    }

    /// Has the host provide the threads of jobs that are started from now on; `None`: keel's own.
    pub fn set_thread_starter(&self, starter: Option<ThreadStarter>) {
        self.threads.set_starter(starter);
    }

    pub(super) fn threads(&self) -> &Arc<Threads> {
        &self.threads
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
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kilobytes.unwrap_or(0) * 1024
    }
}

/// Sets the process's caps, all or none; `null` leaves one as it is, 0 takes it away.
fn cap_memory(caps: &config::Memory, devices: i64) -> Result<()> {
    if let Some(bytes) = caps.device_bytes {
        (0..devices).try_for_each(|device| torch::cuda::cap_memory(device as usize, bytes))?;
    }
    caps.host_bytes.map_or(Ok(()), torch::cap_host_memory)
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

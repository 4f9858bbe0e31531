//! The configuration of a runtime: CUDA, keel's own threads, caps on memory, events.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of a runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Runtime {
    /// Whether libtorch's CUDA library is loaded. It cannot be added later in a process.
    pub cuda: CudaPolicy,
    /// Events kept per source until the host polls them; the oldest are dropped and counted beyond it.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub event_capacity: u32,
    /// keel's own threads, on which started jobs run.
    pub learner_threads: LearnerThreads,
    /// Caps on memory. They are the process's, as libtorch is: the runtime that was made last with a cap decides it.
    pub memory: Memory,
    /// Whether control networks may be TorchScript modules. Such a file is code that runs in this process, so allow it only
    /// where all of them are your own.
    pub allow_torchscript: bool,
}

impl Default for Runtime {
    fn default() -> Self {
        Runtime {
            cuda: CudaPolicy::Auto,
            event_capacity: 1024,
            learner_threads: LearnerThreads::default(),
            memory: Memory::default(),
            allow_torchscript: false,
        }
    }
}

/// keel's own threads: made when a job is started, gone when none waits. Not those of a host's thread starter, but for
/// `count` and `share`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LearnerThreads {
    /// Started jobs that run at once; the others wait, and begin in the order in which they were started.
    #[schemars(range(min = 1, max = 256))]
    pub count: u32,
    /// What debuggers and profilers show, 1 to 15 bytes; libtorch's threads that work for them have the name too.
    #[schemars(length(min = 1))]
    pub name: String,
    /// When they run beside the host's threads.
    pub priority: Priority,
    /// The CPUs they may use, by number; empty: those of the thread that creates the runtime.
    #[schemars(inner(range(min = 0, max = 1023)))]
    pub affinity: Vec<u32>,
    /// The part of its time that a started job works: it rests after every half millisecond, or longer slice, in proportion.
    /// Less leaves more of a core to the host, where both of its hardware threads are busy.
    #[schemars(range(min = 0.01, max = 1.0))]
    pub share: f64,
}

impl Default for LearnerThreads {
    fn default() -> Self {
        LearnerThreads {
            count: 4,
            name: "keel-job".to_string(),
            priority: Priority::default(),
            affinity: Vec::new(),
            share: 1.0,
        }
    }
}

impl LearnerThreads {
    /// What the schema cannot say.
    pub fn check(&self) -> Result<()> {
        let (length, nul) = (self.name.len(), self.name.contains('\0'));
        match (1..=15).contains(&length) && !nul {
            true => Ok(()),
            false => Err(Error::config(format!(
                "/learner_threads/name: expected 1 to 15 bytes and no NUL, got {length} bytes"
            ))),
        }
    }
}

/// When learner threads run beside the host's. It only lowers: a thread that starts from less keeps less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Like any thread of the process that is not real-time.
    Normal,
    /// A tenth of a normal thread's share where they compete, and never at once when one of them wakes (SCHED_BATCH, nice 10).
    #[default]
    Low,
    /// What the host leaves over (SCHED_IDLE). On a machine without idle time an update hardly moves.
    Idle,
}

/// Caps on memory; null leaves a cap as it is, 0 takes it away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// Bytes of all tensors of the process in host memory: weights, optimiser state, activations, caches of generation. Not the
    /// host's rows and recordings, which their own settings bound.
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub host_bytes: Option<u64>,
    /// Bytes that libtorch takes from each CUDA device. Needs libkeel_cuda.so beside libkeel where there is a device.
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub device_bytes: Option<u64>,
}

/// Whether CUDA is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CudaPolicy {
    /// CUDA where a driver and the library are found, otherwise the CPU.
    #[default]
    Auto,
    /// Never CUDA.
    Cpu,
    /// CUDA, and an error where it cannot be had.
    Cuda,
}

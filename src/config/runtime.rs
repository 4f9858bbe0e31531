//! The configuration of a runtime: what is decided once per process.

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
    /// Whether control networks may be TorchScript modules. Such a file is code that runs in this process, so allow it only
    /// where all of them are your own.
    pub allow_torchscript: bool,
}

impl Default for Runtime {
    fn default() -> Self {
        Runtime { cuda: CudaPolicy::Auto, event_capacity: 1024, allow_torchscript: false }
    }
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

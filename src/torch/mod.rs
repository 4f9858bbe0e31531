//! What tch lacks, behind a safe Rust face: a C++ shim over libtorch and what belongs to the whole process.
//!
//! Owns the optimiser step, gradient clipping and aliasing on flat tensors, the chunked language-model head, decode
//! attention, generators with state, TorchScript modules, the counted memory of tensors, tensors over foreign memory, DLPack, host
//! callbacks, the loading of CUDA, threads and their priority, warnings and the exit handler. Knows nothing of models, sessions
//! or the C ABI. Every C++ entry ends in `catch(...)`.

mod attention;
pub mod callback;
pub mod cuda;
pub mod dlpack;
mod exit;
mod external;
mod floats;
mod foreign;
mod generator;
mod gradient;
mod head;
mod linear;
mod log_probs;
mod memory;
mod optimizer;
mod process;
mod scheduling;
mod script;
mod threads;
mod warnings;

pub use attention::decode_attention;
pub use exit::{on_exit, warm_up};
pub use external::external;
pub use floats::floats;
pub use generator::Generator;
pub use gradient::{add_squares, backward, clip_gradient, clip_scale, set_gradient, SQUARES_BLOCK};
pub use head::Head;
pub use linear::linear;
pub use log_probs::token_log_probs;
pub use memory::{cap_host_memory, host_memory, set_allocator, Allocate, HostMemory, Release};
pub use optimizer::{adamw_at, fused_adamw, AdamW};
pub use process::{initialise, library_directory, version};
pub use scheduling::{Cpus, Priority};
pub use script::{warm_up_script, Held, Script};
pub use threads::ThreadScope;
pub use warnings::Silence;

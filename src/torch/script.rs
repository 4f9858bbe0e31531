//! TorchScript modules: code of a host's own with tensors of its own.
//!
//! Owns loading, the module's tensors and the call of `forward`; what its numbers mean is the caller's. A module always
//! stands in evaluation mode. Whatever code a file brings runs in this process: who may load one is decided above.

use super::foreign::{self, check, CScript};
use crate::error::{Error, Result, Status};
use libc::{c_char, c_void};
use std::ffi::CStr;
use tch::Tensor;
use torch_sys::C_tensor;

/// What a zip archive, and so every module, begins with.
const ARCHIVE: &[u8] = b"PK\x03\x04";

/// A module, for one thread at a time.
pub struct Script {
    raw: *mut CScript,
}

/// A tensor of a module, shared with it: what is set on the one is set on the other.
#[derive(Debug)]
pub struct Held {
    /// As in the module: `policy.0.weight`.
    pub name: String,
    pub tensor: Tensor,
    /// Whether it is a parameter, rather than a buffer or an attribute.
    pub parameter: bool,
}

// SAFETY: a module is a reference-counted object that is bound to no thread, and this is its only handle.
unsafe impl Send for Script {}

impl Script {
    /// The module of a `.pt` file, on the CPU. `Format`: bytes that are none, or a module whose `forward` does not take a
    /// tensor and give two.
    pub fn load(bytes: &[u8]) -> Result<Script> {
        if !bytes.starts_with(ARCHIVE) {
            return Err(Error::new(Status::Format, "no TorchScript module: expected what torch.jit.save writes"));
        }
        let mut raw = std::ptr::null_mut();
        // SAFETY: the bytes outlive the call; on success the shim writes a new module.
        check(|failure| unsafe {
            foreign::shim_script_load(bytes.as_ptr().cast::<c_char>(), bytes.len(), &mut raw, failure)
        })
        .map_err(|error| told(error, Status::Format).within("no TorchScript module that keel can use"))?;
        Ok(Script { raw })
    }

    /// Its parameters in their order, then its buffers and what else in it is a tensor.
    pub fn tensors(&self) -> Result<Vec<Held>> {
        let mut all: Vec<Held> = Vec::new();
        let context = (&raw mut all).cast::<c_void>();
        // SAFETY: the module is alive for the call, and `collect` gets the list that `context` points to.
        check(|failure| unsafe { foreign::shim_script_tensors(self.raw, context, collect, failure) })?;
        Ok(all)
    }

    /// The two tensors of `forward(observations)`. `Callback`: the script threw.
    pub fn forward(&self, observations: &Tensor) -> Result<[Tensor; 2]> {
        let (mut outputs, mut values) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: module and tensor are alive for the call, which no other thread runs: a pointer is not Sync.
        check(|failure| unsafe {
            foreign::shim_script_forward(self.raw, observations.as_ptr(), &mut outputs, &mut values, failure)
        })
        .map_err(|error| told(error, Status::Callback))?;
        // SAFETY: on success the shim writes two new at::Tensor that nobody else owns.
        Ok(unsafe { [Tensor::from_ptr(outputs), Tensor::from_ptr(values)] })
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // SAFETY: made by `shim_script_load`, destroyed here only.
        unsafe { foreign::shim_script_destroy(self.raw) }
    }
}

/// Makes what libtorch makes when a script first runs. Before the exit handler is registered, so that it outlives it.
pub fn warm_up_script() -> Result<()> {
    // SAFETY: takes nothing and leaves nothing.
    check(|failure| unsafe { foreign::shim_script_warm_up(failure) })
}

extern "C" fn collect(context: *mut c_void, name: *const c_char, tensor: *mut C_tensor, parameter: i32) {
    // SAFETY: `tensors` passes its list, the shim a text that ends in NUL and a tensor that is nobody's.
    let (all, name, tensor) =
        unsafe { (&mut *context.cast::<Vec<Held>>(), CStr::from_ptr(name), Tensor::from_ptr(tensor)) };
    all.push(Held { name: name.to_string_lossy().into_owned(), tensor, parameter: parameter != 0 });
}

/// What libtorch calls an error of its own is one of the script; the last line of it counts.
fn told(error: Error, status: Status) -> Error {
    let sentence = error.message.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let status = if error.status == Status::OutOfMemory { Status::OutOfMemory } else { status };
    Error::new(status, sentence)
}

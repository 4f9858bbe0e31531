//! The memory of tensors on the host: counted, capped, and where a host wants that, its own.

use super::foreign::{self, check};
use crate::error::{Error, Result, Status};
use libc::c_void;

/// What tensors hold in host memory, in bytes, over the whole process. `cap` 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct HostMemory {
    pub allocated: u64,
    pub peak_allocated: u64,
    pub cap: u64,
}

/// A host's memory: `size` bytes aligned to `alignment`, or null.
pub type Allocate = unsafe extern "C" fn(size: usize, alignment: usize, user_data: *mut c_void) -> *mut c_void;

/// Takes back what an [`Allocate`] gave, with its size.
pub type Release = unsafe extern "C" fn(memory: *mut c_void, size: usize, user_data: *mut c_void);

/// What tensors hold; `None` where the process had an allocator of its own for libtorch, which counts for itself.
pub fn host_memory() -> Option<HostMemory> {
    let mut memory = HostMemory::default();
    // SAFETY: the shim writes one HostMemory.
    (unsafe { foreign::shim_host_memory(&mut memory) } != 0).then_some(memory)
}

/// Refuses tensors beyond `bytes` from now on; 0: no more. What is there already stays.
pub fn cap_host_memory(bytes: u64) -> Result<()> {
    // SAFETY: a plain value.
    let capped = check(|failure| unsafe { foreign::shim_cap_host_memory(bytes, failure) });
    capped.map_err(|error| Error::new(Status::Unsupported, format!("/memory/host_bytes: {}", error.message)))
}

/// Has libtorch's tensors on the host live in the host's memory. Before the first tensor of keel's, once.
///
/// # Safety
/// Both functions must do what their types say on any thread, as long as the process lives.
pub unsafe fn set_allocator(allocate: Allocate, release: Release, user_data: *mut c_void) -> Result<()> {
    // SAFETY: the caller vouches for the functions.
    let set = check(|failure| unsafe { foreign::shim_set_allocator(allocate, release, user_data, failure) });
    set.map_err(|error| Error::state(error.message))
}

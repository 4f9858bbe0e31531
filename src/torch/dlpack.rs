//! DLPack, the exchange format for tensors in somebody else's memory, version 1 (`DLManagedTensorVersioned`), CPU.
//! Import owns what it is given in every outcome and calls its deleter exactly once; export gives that duty away.

use super::external::{contiguous, strided};
use super::foreign::{self, check};
use crate::error::{Error, Result, Status};
use libc::c_void;
use tch::{Kind, Tensor};

/// The host's tensor. The layout is that of dlpack.h 1.x.
#[repr(C)]
pub struct DLManagedTensorVersioned {
    pub major: u32,
    pub minor: u32,
    pub manager_context: *mut c_void,
    pub deleter: Option<unsafe extern "C" fn(*mut DLManagedTensorVersioned)>,
    pub flags: u64,
    pub tensor: DLTensor,
}

#[repr(C)]
pub struct DLTensor {
    pub data: *mut c_void,
    pub device_type: i32,
    pub device_id: i32,
    pub dimensions: i32,
    pub code: u8,
    pub bits: u8,
    pub lanes: u16,
    pub shape: *mut i64,
    pub strides: *mut i64,
    pub byte_offset: u64,
}

const CPU: i32 = 1;
const PINNED: i32 = 3;
const READ_ONLY: u64 = 1;
const MOST_DIMENSIONS: i32 = 64;

struct Managed(*mut DLManagedTensorVersioned);

// SAFETY: DLPack lets the consumer call the deleter from any thread.
unsafe impl Send for Managed {}

impl Drop for Managed {
    fn drop(&mut self) {
        // SAFETY: `import` was given ownership, and this runs once; the shim keeps exceptions of the deleter in.
        let _ = check(|failure| unsafe { foreign::shim_dlpack_release(self.0, failure) });
    }
}

/// A tensor over the host's memory, which lives until the last view of it dies; read-only memory is copied instead.
///
/// Errors: another major version, a device other than the CPU, a type without a counterpart, negative extents or
/// strides, data not aligned to the element. Whatever happens, `managed` is the library's and its deleter is called
/// exactly once.
///
/// # Safety
/// `managed` must be null or a valid DLPack tensor that the caller gives away; its memory must stay valid until the
/// deleter is called, and nobody may write it while a tensor over it is read.
pub unsafe fn import(managed: *mut DLManagedTensorVersioned) -> Result<Tensor> {
    if managed.is_null() {
        return Err(Error::new(Status::NullPointer, "tensor: expected a DLManagedTensorVersioned, got NULL"));
    }
    let owner = Managed(managed);
    // SAFETY: valid by the caller's promise; the version comes first and tells the rest.
    let (major, flags) = unsafe { ((*managed).major, (*managed).flags) };
    if major != 1 {
        return Err(Error::new(Status::Version, format!("tensor: expected DLPack version 1, got {major}")));
    }
    // SAFETY: version 1, so the layout is the one above.
    let tensor = unsafe { &(*managed).tensor };
    let (shape, strides, kind) = describe(tensor)?;
    let start = tensor.data.cast::<u8>().wrapping_add(tensor.byte_offset as usize);
    // SAFETY: the caller vouches for the memory, the owner keeps it until the last view dies.
    let view = unsafe { strided(start, &shape, &strides, kind, Box::new(owner)) }?;
    Ok(if flags & READ_ONLY != 0 { view.f_detach_copy()? } else { view })
}

/// The tensor as DLPack, detached and without a copy. The memory lives until the receiver calls the deleter.
pub fn export(tensor: &Tensor) -> Result<*mut DLManagedTensorVersioned> {
    let mut managed = std::ptr::null_mut();
    // SAFETY: the tensor is alive for the call; on success the shim writes a new managed tensor.
    check(|failure| unsafe { foreign::shim_dlpack_export(tensor.as_ptr(), &mut managed, failure) })?;
    Ok(managed)
}

fn describe(tensor: &DLTensor) -> Result<(Vec<i64>, Vec<i64>, Kind)> {
    if tensor.device_type != CPU && tensor.device_type != PINNED {
        let message = format!("tensor: expected CPU memory, got DLPack device {}", tensor.device_type);
        return Err(Error::new(Status::Device, message));
    }
    let count = tensor.dimensions;
    if !(0..=MOST_DIMENSIONS).contains(&count) || (count > 0 && tensor.shape.is_null()) {
        return Err(Error::shape(format!("tensor: expected a shape of 0 to {MOST_DIMENSIONS} axes, got {count}")));
    }
    let list = |pointer: *const i64| match count {
        0 => Vec::new(),
        // SAFETY: not null, and DLPack promises `dimensions` values.
        _ => unsafe { std::slice::from_raw_parts(pointer, count as usize) }.to_vec(),
    };
    let shape = list(tensor.shape);
    if shape.iter().any(|&extent| extent < 0) {
        return Err(Error::shape(format!("tensor: negative extent in {shape:?}")));
    }
    let strides = if tensor.strides.is_null() { contiguous(&shape) } else { list(tensor.strides) };
    if strides.iter().any(|&stride| stride < 0) {
        return Err(Error::shape(format!("tensor: negative stride in {strides:?}")));
    }
    Ok((shape, strides, kind(tensor)?))
}

fn kind(tensor: &DLTensor) -> Result<Kind> {
    Ok(match (tensor.code, tensor.bits, tensor.lanes) {
        (0, 8, 1) => Kind::Int8,
        (0, 16, 1) => Kind::Int16,
        (0, 32, 1) => Kind::Int,
        (0, 64, 1) => Kind::Int64,
        (1, 8, 1) => Kind::Uint8,
        (2, 16, 1) => Kind::Half,
        (2, 32, 1) => Kind::Float,
        (2, 64, 1) => Kind::Double,
        (4, 16, 1) => Kind::BFloat16,
        (6, 8, 1) => Kind::Bool,
        (code, bits, lanes) => {
            return Err(Error::argument(format!("tensor: no counterpart of DLPack type {code}, {bits} bits × {lanes}")))
        }
    })
}

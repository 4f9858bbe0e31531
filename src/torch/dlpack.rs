//! DLPack, the exchange format for tensors in somebody else's memory, version 1 (`DLManagedTensorVersioned`), CPU and CUDA.
//! Import owns what it is given in every outcome and calls its deleter exactly once; export gives that duty away.

use super::cuda;
use super::external::{contiguous, strided};
use super::foreign::{self, check};
use crate::error::{Error, Result, Status};
use libc::c_void;
use tch::{Device, Kind, Tensor};

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
const CUDA: i32 = 2;
const PINNED: i32 = 3;
const READ_ONLY: u64 = 1;
const MOST_DIMENSIONS: i32 = 64;

struct Managed(*mut DLManagedTensorVersioned);

// SAFETY: DLPack lets the consumer call the deleter from any thread.
unsafe impl Send for Managed {}

impl Drop for Managed {
    fn drop(&mut self) {
        // SAFETY: ownership was given to us, and this runs once; the shim keeps exceptions of the deleter in.
        let _ = check(|failure| unsafe { foreign::shim_dlpack_release(self.0, failure) });
    }
}

/// A tensor that a host gave away and nobody has looked at: whatever becomes of it, its deleter is called exactly once.
pub struct Given(Managed);

impl Given {
    /// Takes the tensor over; `None` for null.
    ///
    /// # Safety
    /// As [`import`].
    pub unsafe fn take(managed: *mut DLManagedTensorVersioned) -> Option<Given> {
        (!managed.is_null()).then(|| Given(Managed(managed)))
    }

    /// Whether the host says that nobody may write it.
    pub fn is_read_only(&self) -> Result<bool> {
        Ok(self.described()?.1 & READ_ONLY != 0)
    }

    /// The tensor over the host's memory, on the CPU or a CUDA device, read-only or not; the deleter is called when its last
    /// view dies. Errors as those of [`import`].
    pub fn view(self) -> Result<Tensor> {
        let tensor = self.described()?.0;
        let device = match tensor.device_type {
            CPU | PINNED => Device::Cpu,
            CUDA if (0..256).contains(&tensor.device_id) => Device::Cuda(tensor.device_id as usize),
            other => {
                let message = format!("tensor: expected CPU or CUDA memory, got DLPack device {other}");
                return Err(Error::new(Status::Device, message));
            }
        };
        if device != Device::Cpu && !cuda::available() {
            return Err(Error::new(Status::Device, "tensor: in CUDA memory, and this process has not loaded CUDA"));
        }
        let (shape, strides, kind) = describe(tensor)?;
        let start = tensor.data.cast::<u8>().wrapping_add(tensor.byte_offset as usize);
        // SAFETY: who gave it vouches for the memory; the owner keeps it until the last view dies.
        unsafe { strided(start, &shape, &strides, kind, device, Box::new(self.0)) }
    }

    /// What it says of itself, and its flags.
    fn described(&self) -> Result<(&DLTensor, u64)> {
        let managed = self.0 .0;
        // SAFETY: valid by the promise of who gave it; the version comes first and tells the rest.
        let (major, flags) = unsafe { ((*managed).major, (*managed).flags) };
        if major != 1 {
            return Err(Error::new(Status::Version, format!("tensor: expected DLPack version 1, got {major}")));
        }
        // SAFETY: version 1, so the layout is the one above; it lives as long as this owner.
        Ok((unsafe { &(*managed).tensor }, flags))
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
    // SAFETY: the caller's promise is passed on.
    let Some(given) = (unsafe { Given::take(managed) }) else {
        return Err(Error::new(Status::NullPointer, "tensor: expected a DLManagedTensorVersioned, got NULL"));
    };
    let device = given.described()?.0.device_type;
    if device != CPU && device != PINNED {
        return Err(Error::new(Status::Device, format!("tensor: expected CPU memory, got DLPack device {device}")));
    }
    let read_only = given.is_read_only()?;
    let view = given.view()?;
    Ok(if read_only { view.f_detach_copy()? } else { view })
}

/// The tensor as DLPack, detached and without a copy. The memory lives until the receiver calls the deleter.
pub fn export(tensor: &Tensor) -> Result<*mut DLManagedTensorVersioned> {
    let mut managed = std::ptr::null_mut();
    // SAFETY: the tensor is alive for the call; on success the shim writes a new managed tensor.
    check(|failure| unsafe { foreign::shim_dlpack_export(tensor.as_ptr(), &mut managed, failure) })?;
    Ok(managed)
}

fn describe(tensor: &DLTensor) -> Result<(Vec<i64>, Vec<i64>, Kind)> {
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

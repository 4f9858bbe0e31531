//! DLPack across the boundary: a tensor in becomes a column, a column becomes a tensor out.

use crate::data::{Column, Values};
use crate::error::{Error, Result, Status};
use crate::torch::dlpack;
use std::ffi::c_void;
use tch::{Kind, Tensor};

pub use crate::torch::dlpack::DLManagedTensorVersioned;

/// Takes a host's tensor over. Whatever the outcome, its deleter is called once.
///
/// # Safety
/// `tensor` is NULL or a DLPack tensor whose memory is valid until its deleter is called; nobody else owns it any more.
pub(super) unsafe fn take(tensor: *mut DLManagedTensorVersioned, stream: *mut c_void) -> Result<Tensor> {
    // SAFETY: the caller's promise is passed on.
    let tensor = unsafe { dlpack::import(tensor)? };
    if !stream.is_null() {
        let message = "stream: expected NULL, since only tensors in host memory are taken today";
        return Err(Error::new(Status::Unsupported, message));
    }
    Ok(tensor)
}

/// The values of a tensor [rows] or [rows, width] as a column.
pub(super) fn column(name: &str, tensor: &Tensor, rows: u64) -> Result<Column> {
    let shape = tensor.size();
    if !matches!(shape.as_slice(), [first] | [first, _] if u64::try_from(*first) == Ok(rows)) {
        let message = format!("tensor: expected the shape [{rows}] or [{rows}, width] for {name}, got {shape:?}");
        return Err(Error::shape(message));
    }
    let flat = tensor.f_contiguous()?.f_view([-1])?;
    let values = match flat.kind() {
        Kind::Int => Values::I32(Vec::try_from(&flat)?),
        Kind::Int64 => Values::I64(Vec::try_from(&flat)?),
        Kind::Float => Values::F32(Vec::try_from(&flat)?),
        Kind::Uint8 => Values::U8(Vec::try_from(&flat)?),
        other => {
            let message = format!("tensor: expected int32, int64, float32 or uint8 for {name}, got {other:?}");
            return Err(Error::new(Status::Unsupported, message));
        }
    };
    Ok(Column { values, offsets: None })
}

/// A copy of a column's values as a DLPack tensor of the receiver's own.
pub(super) fn export(name: &str, column: &Column) -> Result<*mut DLManagedTensorVersioned> {
    let copy = match &column.values {
        Values::I32(values) => Tensor::f_from_slice(values)?,
        Values::I64(values) => Tensor::f_from_slice(values)?,
        Values::F32(values) => Tensor::f_from_slice(values)?,
        Values::U8(values) => Tensor::f_from_slice(values)?,
        Values::U64(_) | Values::Utf8(_) => {
            let message = format!("column: expected one of numbers other than uint64 for a tensor, {name} is none");
            return Err(Error::new(Status::Unsupported, message));
        }
    };
    dlpack::export(&copy)
}

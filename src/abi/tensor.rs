//! DLPack across the boundary: a tensor in becomes a column, a column becomes a tensor out.

use super::text;
use crate::data::{Column, Values};
use crate::error::{Error, Result, Status};
use crate::torch::dlpack::{self, Given};
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

/// Takes a tensor over that has its own argument.
///
/// # Safety
/// As [`take`].
pub(super) unsafe fn take_one(argument: &str, tensor: *mut DLManagedTensorVersioned) -> Result<Given> {
    let missing =
        || Error::new(Status::NullPointer, format!("{argument}: expected a DLManagedTensorVersioned, got NULL"));
    // SAFETY: the caller's promise is passed on.
    unsafe { Given::take(tensor) }.ok_or_else(missing)
}

/// Takes several tensors over. Where one is missing or there twice, all of them are let go, each once.
///
/// # Safety
/// `tensors` is NULL or points to `count` pointers, each as for [`take`].
pub(super) unsafe fn take_all(
    argument: &str,
    tensors: *const *mut DLManagedTensorVersioned,
    count: usize,
) -> Result<Vec<Given>> {
    // SAFETY: the caller's promise is passed on.
    let listed = unsafe { text::slice(argument, tensors, count)? };
    let mut distinct = listed.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    // SAFETY: as above, and each is taken once.
    let taken = |tensor: &*mut DLManagedTensorVersioned| unsafe { Given::take(*tensor) };
    if distinct.len() < listed.len() || distinct.first().is_some_and(|first| first.is_null()) {
        distinct.iter().filter_map(taken).for_each(drop);
        return match listed.iter().position(|tensor| tensor.is_null()) {
            Some(place) => Err(Error::new(Status::NullPointer, format!("{argument}: tensor {place} is NULL"))),
            None => Err(Error::argument(format!("{argument}: expected distinct tensors, got one twice"))),
        };
    }
    Ok(listed.iter().filter_map(taken).collect())
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

/// A copy of a column's values as a DLPack tensor of this shape, the receiver's own.
pub(super) fn export(name: &str, column: &Column, shape: &[i64]) -> Result<*mut DLManagedTensorVersioned> {
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
    dlpack::export(&copy.f_view(shape)?)
}

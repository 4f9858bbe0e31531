//! Columns across the boundary: pointer, type and offsets into a column, a column out as a view.

use super::batch::Batch;
use super::text;
use crate::data::{Column, Spec, Type, Values};
use crate::error::{Error, Result};
use crate::model::Tokenizer;
use std::ffi::c_void;

/// int32_t.
pub const KEEL_TYPE_I32: i32 = 1;
/// int64_t.
pub const KEEL_TYPE_I64: i32 = 2;
/// uint64_t.
pub const KEEL_TYPE_U64: i32 = 3;
/// float.
pub const KEEL_TYPE_F32: i32 = 4;
/// uint8_t.
pub const KEEL_TYPE_U8: i32 = 5;
/// char: UTF-8 text, count in bytes.
pub const KEEL_TYPE_UTF8: i32 = 6;

/// Where a column's values lie. It is valid until the batch is changed or destroyed.
pub(super) struct View {
    pub r#type: Type,
    pub values: *const c_void,
    pub count: usize,
    pub offsets: *const u64,
}

impl View {
    fn of(column: &Column) -> View {
        let (values, count) = match &column.values {
            Values::I32(values) => (values.as_ptr().cast(), values.len()),
            Values::I64(values) => (values.as_ptr().cast(), values.len()),
            Values::U64(values) => (values.as_ptr().cast(), values.len()),
            Values::F32(values) => (values.as_ptr().cast(), values.len()),
            Values::U8(values) | Values::Utf8(values) => (values.as_ptr().cast(), values.len()),
        };
        let offsets = column.offsets.as_ref().map_or(std::ptr::null(), |offsets| offsets.as_ptr());
        View { r#type: column.values.kind(), values, count, offsets }
    }
}

impl Batch {
    /// A view of a column as `wanted`, a KEEL_TYPE_… or 0 for the stored type.
    pub fn view(&self, name: &str, wanted: i32) -> Result<View> {
        let rows = self.read()?;
        let column = super::batch::column(&rows, name)?;
        let stored = column.values.kind();
        if wanted == 0 || wanted == stored as i32 {
            return Ok(View::of(column));
        }
        match (Type::try_from(wanted)?, stored) {
            (Type::Utf8, Type::I32) if Spec::of(rows.kind(), name).is_some_and(Spec::holds_text) => {
                Ok(View::of(self.decoded(name, &rows)?.as_ref()))
            }
            (wanted, stored) => {
                let (stored, wanted) = (stored.name(), wanted.name());
                Err(Error::argument(format!("type: {name} holds {stored}, expected that or 0, got {wanted}")))
            }
        }
    }
}

/// Every row of a token column as text, without special tokens.
pub(super) fn decode(column: &Column, rows: u64, tokenizer: &Tokenizer) -> Result<Column> {
    let texts = (0..rows as usize).map(|row| tokenizer.decode(column.row_i32(row), true));
    Ok(Column::texts(&texts.collect::<Result<Vec<String>>>()?))
}

/// A column from the host's memory, copied. Offsets are looked at before values, so that a count that is wrong is found
/// before it is believed.
///
/// # Safety
/// `values` points to `count` elements of the type, `offsets` is NULL or points to `rows + 1`.
pub(super) unsafe fn column(
    name: &str,
    r#type: i32,
    values: *const c_void,
    count: usize,
    offsets: *const u64,
    rows: u64,
) -> Result<Column> {
    let r#type = Type::try_from(r#type)?;
    // SAFETY: the caller's promise is passed on.
    unsafe {
        let offsets = match offsets.is_null() {
            true => None,
            false => Some(bounds(name, offsets, rows, count)?),
        };
        let values = match r#type {
            Type::I32 => Values::I32(owned(values, count)?),
            Type::I64 => Values::I64(owned(values, count)?),
            Type::U64 => Values::U64(owned(values, count)?),
            Type::F32 => Values::F32(owned(values, count)?),
            Type::U8 => Values::U8(owned(values, count)?),
            Type::Utf8 => Values::Utf8(owned(values, count)?),
        };
        Ok(Column { values, offsets })
    }
}

/// # Safety
/// `offsets` points to `rows + 1` elements.
unsafe fn bounds(name: &str, offsets: *const u64, rows: u64, count: usize) -> Result<Vec<u64>> {
    let length = usize::try_from(rows).ok().and_then(|rows| rows.checked_add(1));
    // SAFETY: the caller's promise is passed on.
    let offsets = unsafe { text::slice("offsets", offsets, length.unwrap_or(usize::MAX))? };
    match offsets.last() {
        Some(&last) if last == count as u64 => copied(offsets),
        last => {
            let found = last.copied().unwrap_or_default();
            Err(Error::shape(format!("offsets: expected the last of {name} to be the count, {count}, got {found}")))
        }
    }
}

/// # Safety
/// `values` points to `count` elements.
unsafe fn owned<T: Copy>(values: *const c_void, count: usize) -> Result<Vec<T>> {
    // SAFETY: the caller's promise is passed on.
    copied(unsafe { text::slice("values", values.cast::<T>(), count)? })
}

/// A copy; memory that is not there is an error, not the end of the process.
fn copied<T: Copy>(values: &[T]) -> Result<Vec<T>> {
    let mut all = Vec::new();
    all.try_reserve_exact(values.len()).map_err(|_| {
        let message = format!("values: no memory for a copy of {} bytes", size_of_val(values));
        Error::new(crate::error::Status::OutOfMemory, message)
    })?;
    all.extend_from_slice(values);
    Ok(all)
}

//! The C noun `batch`: rows of named columns, in and out.

use super::handle::{self, Noun, Type};
use super::runtime::keel_runtime;
use super::status::{keel_error, keel_status};
use super::tensor::{self, DLManagedTensorVersioned};
use super::text::{self, Out};
use crate::data::{self, Column, Kind};
use crate::error::{Error, Result, Status};
use crate::model::Tokenizer;
use crate::session::Runtime;
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::collections::HashMap;
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// Rows of named columns. Made by keel_batch_create and keel_job_batch.
pub type keel_batch = u64;

/// Prompts to generate from.
pub const KEEL_BATCH_PROMPTS: i32 = 1;
/// Prompts with the responses to learn.
pub const KEEL_BATCH_DEMONSTRATIONS: i32 = 2;
/// Prompts with a chosen and a rejected response.
pub const KEEL_BATCH_PREFERENCES: i32 = 3;
/// Prompts with sampled responses, what was recorded when they were sampled, and their rewards.
pub const KEEL_BATCH_ROLLOUTS: i32 = 4;
/// Prompts with responses, each called good or bad.
pub const KEEL_BATCH_FEEDBACK: i32 = 5;
/// Prompts with responses, each with its rank among those to the same prompt.
pub const KEEL_BATCH_RANKINGS: i32 = 6;

/// Column finish_reason: the model ended its response.
pub const KEEL_FINISH_EOS: i32 = 1;
/// Column finish_reason: a stop token or stop text was met.
pub const KEEL_FINISH_STOP: i32 = 2;
/// Column finish_reason: max_new_tokens was reached.
pub const KEEL_FINISH_LENGTH: i32 = 3;
/// Column finish_reason: the host ended it.
pub const KEEL_FINISH_HOST: i32 = 4;

/// Column split: rows to learn from.
pub const KEEL_SPLIT_TRAINING: i32 = 0;
/// Column split: rows for keel_session_evaluate.
pub const KEEL_SPLIT_EVALUATION: i32 = 1;

/// A batch, what decodes its tokens, and the texts decoded so far (views of them are with the host).
pub(super) struct Batch {
    /// How many rows there are, for ever.
    count: u64,
    rows: RwLock<data::Batch>,
    tokenizer: Option<Arc<Tokenizer>>,
    decoded: Mutex<HashMap<String, Arc<Column>>>,
}

impl Noun for Batch {
    const TYPE: Type = Type::Batch;
}

impl Batch {
    pub fn new(rows: data::Batch, tokenizer: Option<Arc<Tokenizer>>) -> Batch {
        Batch { count: rows.rows(), rows: RwLock::new(rows), tokenizer, decoded: Mutex::default() }
    }

    /// The rows, for reading; while another thread changes them, this is a bug of the host.
    pub fn read(&self) -> Result<RwLockReadGuard<'_, data::Batch>> {
        self.rows.try_read().ok_or_else(concurrent)
    }

    fn change(&self) -> Result<RwLockWriteGuard<'_, data::Batch>> {
        self.rows.try_write().ok_or_else(concurrent)
    }

    fn set(&self, name: &str, column: Column) -> Result<()> {
        let mut rows = self.change()?;
        rows.set(name, column)?;
        // while nobody reads: else a reader could decode the old tokens in between and leave their text here
        self.decoded.lock().remove(name);
        Ok(())
    }

    /// The tokens of a column as text, decoded once and kept for as long as the column stays.
    pub fn decoded(&self, name: &str, rows: &data::Batch) -> Result<Arc<Column>> {
        if let Some(text) = self.decoded.lock().get(name) {
            return Ok(text.clone());
        }
        let missing =
            || Error::state(format!("{name}: it holds tokens, and a batch that the host made has no tokenizer"));
        let tokenizer = self.tokenizer.as_deref().ok_or_else(missing)?;
        let column = column(rows, name)?;
        let text = Arc::new(super::view::decode(column, rows.rows(), tokenizer)?);
        Ok(self.decoded.lock().entry(name.to_string()).or_insert(text).clone())
    }
}

fn concurrent() -> Error {
    Error::new(Status::Concurrent, "batch: another thread is inside a call that changes this batch")
}

pub(super) fn column<'a>(rows: &'a data::Batch, name: &str) -> Result<&'a Column> {
    rows.column(name).ok_or_else(|| Error::data(format!("{name}: the batch has no such column")))
}

/// Makes an empty batch; fill it with keel_batch_set.
///
/// runtime: borrowed. kind: KEEL_BATCH_…. rows: how many each column will have. batch: out, the caller ends it with
/// keel_batch_destroy. error: nullable. Threads: any. Status: no others. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_batch_create(
    runtime: keel_runtime,
    kind: i32,
    rows: u64,
    batch: *mut keel_batch,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let batch = Out::required("batch", batch)?;
        handle::get::<Runtime>("runtime", runtime)?;
        let rows = data::Batch::new(Kind::try_from(kind)?, rows)?;
        batch.write(handle::insert(Arc::new(Batch::new(rows, None)))?);
        Ok(())
    })
}

/// Sets a column, or replaces it whole. Views of the batch end.
///
/// batch: changed. column: its name, UTF-8 (the table: keel_config_schema "columns"). type: KEEL_TYPE_…, what values
/// holds. values: count of them, copied. offsets: NULL if each row has count / rows values, at least one; else rows + 1
/// of them, copied, the first 0, the last count, and row r is values[offsets[r]] up to values[offsets[r + 1]].
/// error: nullable. Threads: any, but no other call on this batch meanwhile. Status: KEEL_E_DATA, KEEL_E_SHAPE,
/// KEEL_E_NON_FINITE, KEEL_E_INVALID_TEXT, KEEL_E_CONCURRENT. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_batch_set(
    batch: keel_batch,
    column: *const c_char,
    column_length: usize,
    r#type: i32,
    values: *const c_void,
    count: usize,
    offsets: *const u64,
    error: *mut keel_error,
) -> keel_status {
    guard!(plain error, {
        let batch = handle::get::<Batch>("batch", batch)?;
        let name = text::utf8("column", column, column_length)?;
        let rows = batch.count;
        batch.set(name, super::view::column(name, r#type, values, count, offsets, rows)?)
    })
}

/// A view of a column.
///
/// batch: borrowed; the view is valid until it is changed or destroyed. column: its name, UTF-8. type: in and out: the
/// wanted KEEL_TYPE_…, or 0 for the stored one; then that of values. KEEL_TYPE_UTF8 of tokens that
/// keel_session_generate made decodes them, without special tokens. values: out, *count of them. count: out. offsets:
/// out, nullable; rows + 1 of them, or NULL if each row has count / rows values. error: nullable. Threads: any.
/// Status: KEEL_E_DATA: no such column; KEEL_E_INVALID_ARGUMENT: it holds another type, or numbers that are no tokens;
/// KEEL_E_STATE: tokens without a tokenizer; KEEL_E_CONCURRENT. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_batch_get(
    batch: keel_batch,
    column: *const c_char,
    column_length: usize,
    r#type: *mut i32,
    values: *mut *const c_void,
    count: *mut usize,
    offsets: *mut *const u64,
    error: *mut keel_error,
) -> keel_status {
    guard!(plain error, {
        let outs = (Out::required("type", r#type)?, Out::required("values", values)?, Out::required("count", count)?);
        let batch = handle::get::<Batch>("batch", batch)?;
        let view = batch.view(text::utf8("column", column, column_length)?, r#type.read_unaligned())?;
        outs.0.write(view.r#type as i32);
        outs.1.write(view.values);
        outs.2.write(view.count);
        Out::optional(offsets).write(view.offsets);
        Ok(())
    })
}

/// Sets a column from a DLPack tensor [rows] or [rows, width] of int32, int64, float32 or uint8.
///
/// batch: changed; its views end. column: its name, UTF-8. tensor: keel owns it from here on, whatever the status: its
/// deleter is called exactly once. stream: NULL, since only host memory is taken today. error: nullable. Threads: any,
/// but no other call on this batch meanwhile. Status: as keel_batch_set; KEEL_E_UNSUPPORTED: another type or layout.
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_batch_set_dlpack(
    batch: keel_batch,
    column: *const c_char,
    column_length: usize,
    tensor: *mut DLManagedTensorVersioned,
    stream: *mut c_void,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let tensor = tensor::take(tensor, stream);
        let batch = handle::get::<Batch>("batch", batch)?;
        let name = text::utf8("column", column, column_length)?;
        let rows = batch.count;
        batch.set(name, tensor::column(name, &tensor?, rows)?)
    })
}

/// A copy of a column as a DLPack tensor in host memory: [rows], or [count] if it is ragged, of logits
/// [response tokens, vocabulary].
///
/// batch: borrowed. column: its name, UTF-8. tensor: out, the caller calls its deleter. error: nullable.
/// Threads: any. Status: KEEL_E_DATA: no such column; KEEL_E_UNSUPPORTED: it holds text or uint64; KEEL_E_CONCURRENT.
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_batch_get_dlpack(
    batch: keel_batch,
    column: *const c_char,
    column_length: usize,
    tensor: *mut *mut DLManagedTensorVersioned,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let tensor = Out::required("tensor", tensor)?;
        let batch = handle::get::<Batch>("batch", batch)?;
        let name = text::utf8("column", column, column_length)?;
        let rows = batch.read()?;
        tensor.write(tensor::export(name, self::column(&rows, name)?, &rows.shape(name))?);
        Ok(())
    })
}

/// How many rows the batch has.
///
/// batch: borrowed. rows: out. error: nullable. Threads: any. Status: no others. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_batch_rows(batch: keel_batch, rows: *mut u64, error: *mut keel_error) -> keel_status {
    guard!(plain error, {
        let rows = Out::required("rows", rows)?;
        rows.write(handle::get::<Batch>("batch", batch)?.count);
        Ok(())
    })
}

/// Ends the handle and its views. What was pushed was copied.
///
/// batch: 0 and what was destroyed before are ignored. Threads: any; never waits. Status: none, cannot fail. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_batch_destroy(batch: keel_batch) {
    guard!(or(), { handle::retire::<Batch>(batch) })
}

//! What a session keeps: checkpoints in files and in memory, and a number that says whether two states are the same.

use super::{find, keel_session};
use crate::abi::blob::{keel_blob, Blob};
use crate::abi::handle;
use crate::abi::job::keel_job;
use crate::abi::status::{keel_error, keel_status};
use crate::abi::text::{self, Out};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// Makes a job that writes the whole session, as of the last optimiser step, to one file: models, optimiser, rows,
/// random streams. A file that is there is replaced whole or not at all.
///
/// session: borrowed. path: UTF-8, copied. job: out, the caller ends it with keel_job_destroy. error: nullable.
/// Threads: any. Status: KEEL_E_STATE, KEEL_E_POISONED; the job fails with KEEL_E_FILE. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_save(
    session: keel_session,
    path: *const c_char,
    path_length: usize,
    job: *mut keel_job,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let job = Out::required("job", job)?;
        let session = find(session)?;
        job.write(handle::insert(session.save(text::path(path, path_length)?.to_path_buf())?)?);
        Ok(())
    })
}

/// Makes a job that puts the session into the state of a file of keel_session_save. All handles stay; a poisoned
/// session is sound again.
///
/// session: changed by the job. path: UTF-8, copied. job: out, the caller ends it with keel_job_destroy. error:
/// nullable. Threads: any. Status: KEEL_E_IN_USE, KEEL_E_STATE; the job fails with KEEL_E_FILE, KEEL_E_FORMAT.
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_restore(
    session: keel_session,
    path: *const c_char,
    path_length: usize,
    job: *mut keel_job,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let job = Out::required("job", job)?;
        let session = find(session)?;
        job.write(handle::insert(session.restore(text::path(path, path_length)?.to_path_buf())?)?);
        Ok(())
    })
}

/// What keel_session_save would write, in memory.
///
/// session: borrowed. blob: out, the caller ends it with keel_blob_destroy. error: nullable. Threads: any; waits for the
/// slice that a job of the session runs. Status: KEEL_E_STATE, KEEL_E_POISONED. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_export(
    session: keel_session,
    blob: *mut keel_blob,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let blob = Out::required("blob", blob)?;
        let bytes = find(session)?.export()?;
        blob.write(handle::insert(Arc::new(Blob(bytes)))?);
        Ok(())
    })
}

/// Puts the session into the state that keel_session_export gave.
///
/// session: changed. bytes: size of them, borrowed. error: nullable. Threads: any.
/// Status: KEEL_E_FORMAT, KEEL_E_IN_USE, KEEL_E_STATE. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_import(
    session: keel_session,
    bytes: *const c_void,
    size: usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let session = find(session)?;
        session.import(text::slice("bytes", bytes.cast(), size)?)
    })
}

/// A number that is equal for equal states: weights, optimiser, rows, random streams.
///
/// session: borrowed. hash: out. error: nullable. Threads: any; waits for the slice that a job of the session runs.
/// Status: KEEL_E_STATE. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_state_hash(
    session: keel_session,
    hash: *mut u64,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let hash = Out::required("hash", hash)?;
        hash.write(find(session)?.state_hash()?);
        Ok(())
    })
}

//! What the host asks a session for: updates, rollouts, an evaluation, its numbers.

use super::{find, find_one, keel_session};
use crate::abi::batch::{keel_batch, Batch};
use crate::abi::handle;
use crate::abi::job::keel_job;
use crate::abi::report::{keel_report, ReportOut};
use crate::abi::status::{keel_error, keel_status, KEEL_NEED_DATA, KEEL_OK};
use crate::abi::text::{self, Out};
use crate::config;
use crate::error::Result;
use crate::session::{Job, Session};
use std::ffi::c_char;
use std::sync::Arc;

/// Makes a job that updates the policy from the rows that were pushed, or from what actors did.
///
/// session: borrowed. job: out, the caller ends it with keel_job_destroy; 0 with KEEL_NEED_DATA. error: nullable.
/// Threads: any; waits for the slice that another job of the session runs. Status: KEEL_NEED_DATA: push or reward rows
/// first; KEEL_E_IN_USE: an update is unfinished; KEEL_E_STATE, KEEL_E_POISONED. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_update(
    session: keel_session,
    job: *mut keel_job,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let job = Out::required("job", job)?;
        write(&job, find(session)?.update()?)
    })
}

/// Makes a job that samples responses; the finished job has the rollouts, keel_job_batch, ready to be rewarded and
/// pushed. With {"logits": true} they also have the column logits: for each response token the model's logits over
/// the vocabulary, before the temperature and any filter.
///
/// session: borrowed. prompts: a batch of kind KEEL_BATCH_PROMPTS, copied. json: the configuration "generate", copied;
/// NULL with length 0 for the defaults. job: out, the caller ends it with keel_job_destroy. error: nullable.
/// Threads: any. Status: KEEL_E_CONFIG, KEEL_E_DATA, KEEL_E_STATE, KEEL_E_CONCURRENT: the batch is being changed;
/// KEEL_E_OUT_OF_MEMORY: the logits would not fit. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_generate(
    session: keel_session,
    prompts: keel_batch,
    json: *const c_char,
    json_length: usize,
    job: *mut keel_job,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let job = Out::required("job", job)?;
        let session = find_one::<Session>(session)?;
        let prompts = handle::get::<Batch>("prompts", prompts)?;
        let config = config::parse(text::json(json, json_length)?)?;
        let made = session.generate(&*prompts.read()?, config)?;
        write(&job, Some(made)).map(|_| ())
    })
}

/// Makes a job that measures the model in training on the rows of split KEEL_SPLIT_EVALUATION; its numbers appear in
/// keel_session_metrics and as an event. Of a reward model of control the finished job has a batch, keel_job_batch: in
/// the column probability, for each row in the order of pushing, how probable each member calls the preference.
///
/// session: borrowed. job: out, the caller ends it with keel_job_destroy; 0 with KEEL_NEED_DATA. error: nullable.
/// Threads: any; waits for the slice that another job of the session runs. Status: KEEL_NEED_DATA: no such rows;
/// KEEL_E_STATE. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_evaluate(
    session: keel_session,
    job: *mut keel_job,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let job = Out::required("job", job)?;
        write(&job, find(session)?.evaluate()?)
    })
}

/// keel_session_update and keel_job_run in one, for hosts that may block.
///
/// session: changed. report: out, nullable, written also on failure. error: nullable. Threads: any.
/// Status: KEEL_NEED_DATA: push or reward rows first; KEEL_E_STATE: the session is paused; KEEL_E_CANCELLED: it was paused
/// meanwhile; those of keel_session_update and keel_job_run. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_step(
    session: keel_session,
    report: *mut keel_report,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let report = ReportOut::new(report)?;
        let session = find(session)?;
        session.shell().check_unpaused("step")?;
        match session.update()? {
            Some(job) => {
                let ended = job.run();
                job.cancel();
                report.write(ended.and_then(|_| job.poll()), &job)
            }
            None => Ok(report.needs_data()),
        }
    })
}

/// The numbers of the last finished update and evaluation, as JSON; names, units and meanings: docs/metrics.md.
/// "refused" counts the "rows" and "steps" that keel_session_push and keel_actor_act ever refused with KEEL_FULL.
///
/// session: borrowed. buffer: room for capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without
/// a NUL, nullable. error: nullable. Threads: any, also while a job runs. Status: KEEL_E_CAPACITY. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_metrics(
    session: keel_session,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let metrics = find(session)?.metrics_json();
        text::write(&metrics, buffer, capacity, needed)
    })
}

/// Hands a new job out, or says that there is nothing to do yet.
///
/// # Safety
/// `target` is writable.
unsafe fn write(target: &Out<keel_job>, made: Option<Arc<Job>>) -> Result<keel_status> {
    let (handle, status) = match made {
        Some(made) => (handle::insert(made)?, KEEL_OK),
        None => (0, KEEL_NEED_DATA),
    };
    // SAFETY: the caller's promise.
    unsafe { target.write(handle) };
    Ok(status)
}

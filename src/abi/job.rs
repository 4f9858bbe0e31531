//! The C noun `job`: long work, driven here, on keel's thread, or in pieces.

use super::batch::{keel_batch, Batch};
use super::handle::{self, Noun, Type};
use super::model::keel_model;
use super::report::{keel_report, ReportOut};
use super::status::{keel_error, keel_status};
use super::text::{self, Out};
use crate::session::Job;
use std::ffi::c_char;
use std::sync::Arc;
use std::time::Duration;

/// Long work as a plan of slices: loading, generating, updating, saving. Made by the calls that begin such work.
pub type keel_job = u64;

impl Noun for Job {
    const TYPE: Type = Type::Job;

    fn issued(&self, handle: u64) {
        self.set_source(handle);
    }

    fn retired(self: Arc<Self>, handle: u64) {
        self.runtime().events().close(handle);
        self.abandon();
    }
}

/// Drives the job to its end on the calling thread, or to where its session is paused.
///
/// job: borrowed. report: out, nullable, written also on failure. error: nullable. Threads: any, one driver at a time.
/// Status: KEEL_PENDING: the session is paused, call again when it is resumed; KEEL_NEED_DATA: an update for which the host's rewards left too few rows, which all stay; KEEL_E_CONCURRENT,
/// KEEL_E_CANCELLED, or the job's own error, again and again. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_job_run(job: keel_job, report: *mut keel_report, error: *mut keel_error) -> keel_status {
    guard!(error, {
        let report = ReportOut::new(report)?;
        let job = handle::get::<Job>("job", job)?;
        report.write(job.run(), &job)
    })
}

/// Hands the job to a thread of keel's, or of keel_runtime_set_thread_starter. What it publishes appears with the next
/// keel_job_poll or keel_job_wait. Where as many jobs run as "learner_threads" allows, it waits for those started before.
///
/// job: borrowed. error: nullable. Threads: any. Status: KEEL_E_CONCURRENT, KEEL_E_STATE: it would call the host back,
/// or the runtime was shut down; KEEL_E_CALLBACK: the host's starter refused. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_job_start(job: keel_job, error: *mut keel_error) -> keel_status {
    guard!(error, { handle::get::<Job>("job", job)?.start() })
}

/// Drives the job on the calling thread for about budget_us microseconds: those slices that are expected to fit by what
/// slices of their kind took before, at least one unless its session is paused. A kind that was never measured counts as
/// the whole budget, so it begins a call. A slice of a language model is one block of one micro-batch, one tile of the
/// head, a part of the optimiser step or a token of every row; {"micro_batch_tokens": 1} makes every sequence a micro-batch
/// of its own, for the shortest slices.
///
/// job: borrowed. budget_us: 0 for a single slice. report: out, nullable, written also on failure. error: nullable.
/// Threads: any, one driver at a time. Status: KEEL_PENDING: call again; KEEL_NEED_DATA as in keel_job_run;
/// KEEL_E_CONCURRENT, KEEL_E_CANCELLED, or the job's own error. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_job_pump(
    job: keel_job,
    budget_us: u64,
    report: *mut keel_report,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let report = ReportOut::new(report)?;
        let job = handle::get::<Job>("job", job)?;
        report.write(job.pump(Duration::from_micros(budget_us)), &job)
    })
}

/// Where the job stands. Does no slice and waits for none of this job.
///
/// job: borrowed. report: out, nullable, written also on failure. error: nullable. Threads: any.
/// Status: KEEL_PENDING, KEEL_E_CANCELLED, or the job's own error. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_job_poll(job: keel_job, report: *mut keel_report, error: *mut keel_error) -> keel_status {
    guard!(plain error, {
        let report = ReportOut::new(report)?;
        let job = handle::get::<Job>("job", job)?;
        report.write(job.poll(), &job)
    })
}

/// Waits for a started job.
///
/// job: borrowed. timeout_us: how long at most. report: out, nullable, written also on failure. error: nullable.
/// Threads: any. Status: KEEL_PENDING: not done yet, or nobody drives it; KEEL_E_CANCELLED, or the job's own error.
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_job_wait(
    job: keel_job,
    timeout_us: u64,
    report: *mut keel_report,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let report = ReportOut::new(report)?;
        let job = handle::get::<Job>("job", job)?;
        report.write(job.wait(Duration::from_micros(timeout_us)), &job)
    })
}

/// How far the job is and what it is at: a share of its slices in [0, 1], and a few words, such as "score reference 3/8".
///
/// job: borrowed. progress: out, nullable. buffer, capacity: where the words go. needed: their bytes, nullable.
/// error: nullable. Threads: any; waits for no slice. Status: KEEL_E_CAPACITY: the words are longer. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_job_progress(
    job: keel_job,
    progress: *mut f32,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(plain error, {
        let job = handle::get::<Job>("job", job)?;
        text::write(&job.stage().to_string(), buffer, capacity, needed)?;
        Out::optional(progress).write(job.report().progress);
        Ok(())
    })
}

/// Ends the job before its next slice. Optimiser steps that were applied stay; rows that were pushed stay.
///
/// job: borrowed; a finished one is left as it is. error: nullable. Threads: any; waits for no slice of this job.
/// Status: no others. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_job_cancel(job: keel_job, error: *mut keel_error) -> keel_status {
    guard!(error, {
        handle::get::<Job>("job", job)?.cancel();
        Ok(())
    })
}

/// The error that ended the job, as the status of this call and in `error`.
///
/// job: borrowed. error: nullable. Threads: any. Status: KEEL_OK: it has not failed; else the job's own. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_job_error(job: keel_job, error: *mut keel_error) -> keel_status {
    guard!(error, { handle::get::<Job>("job", job)?.error().map_or(Ok(()), Err) })
}

/// The rows that a finished job made: the rollouts of keel_session_generate.
///
/// job: borrowed. batch: out, a batch of the caller's own, who ends it with keel_batch_destroy. error: nullable.
/// Threads: any. Status: KEEL_E_STATE: it still runs, or makes none; or the job's own error. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_job_batch(job: keel_job, batch: *mut keel_batch, error: *mut keel_error) -> keel_status {
    guard!(error, {
        let batch = Out::required("batch", batch)?;
        let job = handle::get::<Job>("job", job)?;
        batch.write(handle::insert(Arc::new(Batch::new(job.batch()?, job.tokenizer())))?);
        Ok(())
    })
}

/// The model that a finished keel_model_load read.
///
/// job: borrowed. model: out, the caller ends it with keel_model_destroy. error: nullable.
/// Threads: any. Status: KEEL_E_STATE: it still runs, or reads none; or the job's own error. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_job_model(job: keel_job, model: *mut keel_model, error: *mut keel_error) -> keel_status {
    guard!(error, {
        let model = Out::required("model", model)?;
        model.write(super::model::insert(handle::get::<Job>("job", job)?.model()?)?);
        Ok(())
    })
}

/// Ends the handle; events that were not read are gone. A job that runs on keel's thread goes on to its end; cancel it
/// first if it should not.
///
/// job: 0 and what was destroyed before are ignored. Threads: any; never waits. Status: none, cannot fail. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_job_destroy(job: keel_job) {
    guard!(or(), { handle::retire::<Job>(job) })
}

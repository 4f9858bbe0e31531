//! The struct that says how far a job is: checked before the work, filled after it.

use super::status::{keel_status, KEEL_NEED_DATA, KEEL_OK, KEEL_PENDING};
use crate::error::{Error, Result};
use crate::session::{Job, Report, State};

/// keel_report.state: the job has more to do.
pub const KEEL_JOB_PENDING: i32 = 1;
/// keel_report.state: there is nothing to do until more rows, rewards or answers are there; make another job then.
pub const KEEL_JOB_NEED_DATA: i32 = 2;
/// keel_report.state: the job is complete.
pub const KEEL_JOB_DONE: i32 = 3;
/// keel_report.state: the job was cancelled.
pub const KEEL_JOB_CANCELLED: i32 = 4;
/// keel_report.state: the job failed; keel_job_error says why.
pub const KEEL_JOB_FAILED: i32 = 5;

/// How far a job is. The caller owns it; initialise it with KEEL_REPORT_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct keel_report {
    /// sizeof(struct keel_report) of the caller.
    pub struct_size: u32,
    /// KEEL_JOB_PENDING, KEEL_JOB_NEED_DATA, KEEL_JOB_DONE, KEEL_JOB_CANCELLED or KEEL_JOB_FAILED.
    pub state: i32,
    /// Slices that the job has run.
    pub slices: u64,
    /// Microseconds that this call worked.
    pub elapsed_us: u64,
    /// Microseconds of the longest slice of this call.
    pub longest_slice_us: u64,
    /// Optimiser steps that the job has applied.
    pub optimizer_steps: u64,
    /// Share of the job that is done, from 0 to 1.
    pub progress: f32,
    /// 0.
    pub reserved: u32,
}

/// More than any struct of any version of keel is long; a larger `struct_size` was never set.
const LARGEST: usize = 4096;

const NOTHING: keel_report = keel_report {
    struct_size: size_of::<keel_report>() as u32,
    state: 0,
    slices: 0,
    elapsed_us: 0,
    longest_slice_us: 0,
    optimizer_steps: 0,
    progress: 0.0,
    reserved: 0,
};

/// A caller's report, nullable.
pub(super) struct ReportOut {
    target: *mut keel_report,
    size: usize,
}

impl ReportOut {
    /// # Safety
    /// `target` is NULL or points to `struct_size` bytes that may be read and written.
    pub unsafe fn new(target: *mut keel_report) -> Result<ReportOut> {
        if target.is_null() {
            return Ok(ReportOut { target, size: 0 });
        }
        // SAFETY: the caller's promise.
        let size = unsafe { (&raw const (*target).struct_size).read_unaligned() } as usize;
        if !(size_of::<u32>()..=LARGEST).contains(&size) {
            let message = format!("report: expected a struct_size set by KEEL_REPORT_INIT, got {size}");
            return Err(Error::argument(message));
        }
        let known = size_of::<keel_report>();
        for at in known..size {
            // SAFETY: the caller's promise: `struct_size` bytes may be read.
            if unsafe { target.cast::<u8>().add(at).read() } != 0 {
                let message = format!("report: byte {at} is not 0, but this library knows only the first {known}");
                return Err(Error::argument(message));
            }
        }
        Ok(ReportOut { target, size: size.min(known) })
    }

    /// Fills the report with what a call on the job left, and says its state as a status; a failure is passed on.
    pub fn write(&self, driven: Result<Report>, job: &Job) -> Result<keel_status> {
        let report = *driven.as_ref().unwrap_or(&job.report());
        self.fill(&keel_report::from(&report));
        driven.map(|report| match report.state {
            State::Pending => KEEL_PENDING,
            State::NeedsData => KEEL_NEED_DATA,
            _ => KEEL_OK,
        })
    }

    /// Says that there is nothing to drive yet.
    pub fn needs_data(&self) -> keel_status {
        self.fill(&keel_report { state: KEEL_JOB_NEED_DATA, ..NOTHING });
        KEEL_NEED_DATA
    }

    fn fill(&self, report: &keel_report) {
        let header = size_of::<u32>();
        if self.size <= header {
            return;
        }
        // SAFETY: `new` was promised `struct_size` writable bytes, and `size` is at most that and at most a report's.
        unsafe {
            let source = (&raw const *report).cast::<u8>().add(header);
            self.target.cast::<u8>().add(header).copy_from_nonoverlapping(source, self.size - header);
        }
    }
}

impl From<&Report> for keel_report {
    fn from(report: &Report) -> keel_report {
        keel_report {
            state: match report.state {
                State::Pending => KEEL_JOB_PENDING,
                State::NeedsData => KEEL_JOB_NEED_DATA,
                State::Done => KEEL_JOB_DONE,
                State::Cancelled => KEEL_JOB_CANCELLED,
                State::Failed => KEEL_JOB_FAILED,
            },
            slices: report.slices,
            elapsed_us: report.elapsed_us,
            longest_slice_us: report.longest_slice_us,
            optimizer_steps: report.optimizer_steps,
            progress: report.progress,
            ..NOTHING
        }
    }
}

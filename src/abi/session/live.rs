//! What a host changes of a session that lives: settings, what is published, what it goes on from, whether its work waits.

use super::{find, keel_session};
use crate::abi::handle;
use crate::abi::job::keel_job;
use crate::abi::status::{keel_error, keel_status};
use crate::abi::text::{self, Out};
use std::ffi::c_char;

/// Makes a job that changes settings of the session, also while an update runs: they hold from the next optimiser step that
/// begins, whoever drives. Learning rate, its schedule, max_grad_norm, weight_decay, kept_versions, and of the algorithm
/// what changes no shape and nothing that was stored, such as clip_range, kl_coef, entropy_coef; another setting may be
/// there with the value that it has. Then keel_session_config tells the new values, and keel_session_save keeps them.
///
/// session: changed by the job. json: some of the keys of the configuration "session", copied; what is left out stays. job:
/// out, the caller ends it with keel_job_destroy. error: nullable. Threads: any; the job waits for the slice that another
/// job of the session runs, and for no pause. Status: KEEL_E_CONFIG: a setting that stays, which the message tells beside
/// those that may change. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_configure(
    session: keel_session,
    json: *const c_char,
    json_length: usize,
    job: *mut keel_job,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let job = Out::required("job", job)?;
        let session = find(session)?;
        job.write(handle::insert(session.configure(text::json(json, json_length)?)?)?);
        Ok(())
    })
}

/// Makes a job that publishes what was learned up to the last optimiser step, also while an update runs; nothing where that
/// is published already. Actors, generations and exports read it from then on, under a version that is higher by one.
///
/// session: changed by the call that ends the job. job: out, the caller ends it with keel_job_destroy. error: nullable.
/// Threads: any; the call that ends the job waits for the slice that another job of the session runs. No pause holds it
/// back. Status: KEEL_E_STATE: no model; KEEL_E_POISONED. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_publish(
    session: keel_session,
    job: *mut keel_job,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let job = Out::required("job", job)?;
        job.write(handle::insert(find(session)?.publish()?)?);
        Ok(())
    })
}

/// Makes a job that lets training go on from a version that was published: weights and normaliser statistics are those of
/// that version, in training and published, the latter under a new version. The optimiser begins anew; counters, rows and
/// steps that wait, and schedules stay. The setting kept_versions says how many versions are kept; checkpoints hold none.
///
/// session: changed by the call that ends the job. version: of the metric policy/version. job: out, the caller ends it with
/// keel_job_destroy. error: nullable. Threads: any. Status: KEEL_E_INVALID_ARGUMENT: a version that is not kept, the message
/// tells which are; KEEL_E_IN_USE: an update is unfinished, also as an error of the job; KEEL_E_STATE, KEEL_E_POISONED.
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_roll_back(
    session: keel_session,
    version: u64,
    job: *mut keel_job,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let job = Out::required("job", job)?;
        job.write(handle::insert(find(session)?.roll_back(version)?)?);
        Ok(())
    })
}

/// Lets the updates, generations and evaluations of the session do no further slice until keel_session_resume; the slices
/// that run come to their end. Those on keel's thread sleep, keel_job_run and keel_job_pump return KEEL_PENDING. Acting,
/// pushing, saving, restoring, publishing, rolling back and configuring go on; jobs may be cancelled, the session destroyed,
/// which ends the pause, and the runtime shut down. Pausing twice is pausing once.
///
/// session: changed. error: nullable. Threads: any; waits for nothing. Status: no others. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_pause(session: keel_session, error: *mut keel_error) -> keel_status {
    guard!(error, {
        find(session)?.shell().pause();
        Ok(())
    })
}

/// Lets the jobs of the session go on; of one that is not paused nothing changes.
///
/// session: changed. error: nullable. Threads: any; waits for nothing. Status: no others. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_resume(session: keel_session, error: *mut keel_error) -> keel_status {
    guard!(error, {
        find(session)?.shell().resume();
        Ok(())
    })
}

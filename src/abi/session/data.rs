//! What the host brings to a session: rows and rewards.

use super::{find, find_one, keel_session};
use crate::abi::batch::{keel_batch, Batch};
use crate::abi::handle;
use crate::abi::status::{keel_error, keel_status, KEEL_EMPTY, KEEL_OK};
use crate::abi::text::{self, Out};
use crate::session::Session;
use std::sync::Arc;

/// Adds the rows of a batch: all of them or none. Rows pushed while an update runs belong to the next one.
///
/// session: changed. batch: borrowed; its rows are copied. first_id: out, nullable; the id of the first row, the others
/// follow one by one. error: nullable. Threads: any, also while a job runs. Status: KEEL_E_DATA, KEEL_E_SHAPE,
/// KEEL_E_STATE, KEEL_E_CONCURRENT: the batch is being changed; KEEL_FULL: the session would hold more rows than queue_capacity,
/// and took none. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_push(
    session: keel_session,
    batch: keel_batch,
    first_id: *mut u64,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let session = find(session)?;
        let batch = handle::get::<Batch>("batch", batch)?;
        let first = session.push(&*batch.read()?)?;
        Out::optional(first_id).write(first);
        Ok(())
    })
}

/// Sets the rewards of rows that wait for an update, also of those that have some.
///
/// session: changed. ids: ids_count of them, from keel_session_push, copied. rewards: for each id as many as the
/// algorithm has rewards, one unless configured, copied; rewards_count says how many in all. error: nullable.
/// Threads: any, also while a job runs. Status: KEEL_E_SHAPE, KEEL_E_NON_FINITE, KEEL_E_STATE: the algorithm takes no
/// rewards; KEEL_E_DATA: an id that is not waiting, or twice. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_reward(
    session: keel_session,
    ids: *const u64,
    ids_count: usize,
    rewards: *const f32,
    rewards_count: usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let session = find_one::<Session>(session)?;
        session.reward(text::slice("ids", ids, ids_count)?, text::slice("rewards", rewards, rewards_count)?)
    })
}

/// What the session needs from the host: a batch of rollouts that wait for their rewards, each with its id in the column
/// id. A rollout is asked about once, by a restored session again, and not while an update that runs has it.
///
/// session: changed. queries: out, the caller ends it with keel_batch_destroy; 0 where there are none. error: nullable.
/// Threads: any, also while a job runs. Status: KEEL_EMPTY: nothing is needed; KEEL_E_STATE: the algorithm takes no
/// rewards. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_take_queries(
    session: keel_session,
    queries: *mut keel_batch,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let queries = Out::required("queries", queries)?;
        let session = find_one::<Session>(session)?;
        let tokenizer = session.tokenizer();
        let issued = session.take_queries(|batch| handle::insert(Arc::new(Batch::new(batch, tokenizer))))?;
        let (handle, status) = issued.map_or((0, KEEL_EMPTY), |handle| (handle, KEEL_OK));
        queries.write(handle);
        Ok(status)
    })
}

/// Answers queries: the rewards of the rollouts.
///
/// session: changed. ids: ids_count of them, from the column id of queries, copied. rewards: for each id as many as the
/// algorithm has rewards, copied; rewards_count says how many in all. error: nullable. Threads: any, also while a job
/// runs. Status: KEEL_E_SHAPE, KEEL_E_NON_FINITE, KEEL_E_STATE: the algorithm takes no rewards; KEEL_E_DATA: an id that
/// was not asked about, or twice. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_answer(
    session: keel_session,
    ids: *const u64,
    ids_count: usize,
    rewards: *const f32,
    rewards_count: usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let session = find_one::<Session>(session)?;
        session.answer(text::slice("ids", ids, ids_count)?, text::slice("rewards", rewards, rewards_count)?)
    })
}

/// Drops all rows that no update has taken; in a session of a control policy the finished steps, and episodes go on.
///
/// session: changed. error: nullable. Threads: any. Status: no others. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_clear(session: keel_session, error: *mut keel_error) -> keel_status {
    guard!(error, { find(session)?.clear() })
}

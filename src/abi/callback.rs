//! The host's callbacks: always through the C++ shim, so that an exception of the host becomes a status.

use super::batch::{keel_batch, Batch};
use super::handle;
use crate::session::RewardCallback;
use crate::torch;
use std::ffi::c_void;
use std::sync::Arc;

/// Scores rollouts: writes one reward per row and returns 0, or another number to fail the update.
///
/// rollouts: a batch of kind KEEL_BATCH_ROLLOUTS, borrowed until the callback returns. rewards: count of them, to be
/// written. user_data: as it was given to keel_session_set_callback. It may call keel, but not drive the job that calls
/// it. A C++ exception that leaves it ends the update with KEEL_E_CALLBACK.
pub type keel_reward_callback =
    Option<unsafe extern "C" fn(rollouts: keel_batch, rewards: *mut f32, count: usize, user_data: *mut c_void) -> i32>;

/// What the host gave with its callback; keel only hands it back.
struct UserData(*mut c_void);

// SAFETY: the C doc of keel_session_set_callback asks that the pointer be valid on every thread that drives the
// session.
unsafe impl Send for UserData {}
// SAFETY: as above; keel never reads what it points to.
unsafe impl Sync for UserData {}

impl UserData {
    fn pointer(&self) -> *mut c_void {
        self.0
    }
}

/// A handle that lives as long as the callback that it is given to.
struct Lent(keel_batch);

impl Drop for Lent {
    fn drop(&mut self) {
        handle::retire::<Batch>(self.0);
    }
}

pub(super) fn reward(function: torch::callback::Reward, user_data: *mut c_void) -> RewardCallback {
    let user_data = UserData(user_data);
    Arc::new(move |rollouts, tokenizer, rewards| {
        let lent = Lent(handle::insert(Arc::new(Batch::new(rollouts, tokenizer)))?);
        // SAFETY: the C doc of keel_session_set_callback asks for a function that takes these on the driving thread.
        unsafe { torch::callback::reward(function, lent.0, rewards, user_data.pointer()) }
    })
}

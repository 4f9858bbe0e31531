//! The host's callbacks: always through the C++ shim, so that an exception of the host becomes a status.

use super::batch::{keel_batch, Batch};
use super::handle;
use crate::error::{Error, Result, Status};
use crate::session::{RewardCallback, ThreadStarter};
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

/// What a thread of the host's is to call once, with the argument that came with it. It returns when no started job waits.
pub type keel_thread_work = Option<unsafe extern "C" fn(argument: *mut c_void)>;

/// Has a thread of the host's call work(argument) soon, and returns 0 at once; or returns another number, and the job is not
/// started (KEEL_E_CALLBACK).
///
/// work: called once, on a thread that libtorch's operators may use for long; a second call does nothing. argument: only
/// to be passed on. user_data: as it was given to keel_runtime_set_thread_starter. keel_runtime_shutdown and the end of
/// the process wait for work that was taken. A C++ exception that leaves the starter counts as a refusal.
pub type keel_thread_starter =
    Option<unsafe extern "C" fn(work: keel_thread_work, argument: *mut c_void, user_data: *mut c_void) -> i32>;

/// Memory of the host's for a tensor.
///
/// size: bytes, above 0. alignment: a power of two, 64. user_data: as it was given to keel_process_set_allocator. Returns
/// NULL where there is none, which is KEEL_E_OUT_OF_MEMORY for the job, as a C++ exception that leaves it is.
pub type keel_allocate =
    Option<unsafe extern "C" fn(size: usize, alignment: usize, user_data: *mut c_void) -> *mut c_void>;

/// Takes back what a keel_allocate gave: memory, with the size that was asked for.
pub type keel_release = Option<unsafe extern "C" fn(memory: *mut c_void, size: usize, user_data: *mut c_void)>;

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

pub(super) fn thread_starter(function: torch::callback::StartThread, user_data: *mut c_void) -> ThreadStarter {
    let user_data = UserData(user_data);
    Arc::new(move |work| {
        // SAFETY: the C doc of keel_runtime_set_thread_starter asks for a function that takes these on any thread.
        unsafe { torch::callback::start_thread(function, user_data.pointer(), work) }
    })
}

pub(super) fn allocator(allocate: keel_allocate, release: keel_release, user_data: *mut c_void) -> Result<()> {
    let null = |name: &str| Error::new(Status::NullPointer, format!("{name}: expected a function, got NULL"));
    let (allocate, release) = (allocate.ok_or_else(|| null("allocate"))?, release.ok_or_else(|| null("release"))?);
    // SAFETY: the C doc of keel_process_set_allocator asks for functions that do this on any thread.
    unsafe { torch::set_allocator(allocate, release, user_data) }
}

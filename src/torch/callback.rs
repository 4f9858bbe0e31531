//! Host callbacks, called through C++ so that an exception of the host ends as a status instead of passing silently
//! through Rust.

use super::foreign::{self, check};
use crate::error::{Error, Result, Status};
use libc::c_void;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A host's judge: reads a batch of rollouts, writes `count` rewards, returns 0, or anything else to give up.
pub type Reward = unsafe extern "C" fn(rollouts: u64, rewards: *mut f32, count: usize, user_data: *mut c_void) -> i32;

/// Calls the host's judge once. A C++ exception or an answer other than 0 is [`Status::Callback`].
///
/// # Safety
/// `function` must accept these arguments on this thread; `user_data` is passed as it is.
pub unsafe fn reward(function: Reward, rollouts: u64, rewards: &mut [f32], user_data: *mut c_void) -> Result<()> {
    let mut answer = 0;
    let (values, count) = (rewards.as_mut_ptr(), rewards.len());
    // SAFETY: the caller vouches for the function; `rewards` is writable for `count` values.
    let called = check(|failure| unsafe {
        foreign::shim_reward(function, rollouts, values, count, user_data, &mut answer, failure)
    });
    match called {
        Err(error) => Err(Error::new(Status::Callback, format!("reward callback: it threw: {error}"))),
        Ok(()) if answer != 0 => Err(Error::new(Status::Callback, format!("reward callback: it returned {answer}"))),
        Ok(()) => Ok(()),
    }
}

/// What a host's thread is to call, once, with the argument that came with it.
pub type Work = unsafe extern "C" fn(argument: *mut c_void);

/// A host's starter: has a thread of its own call `work(argument)`, returns 0, or anything else where it will not.
pub type StartThread = unsafe extern "C" fn(work: Option<Work>, argument: *mut c_void, user_data: *mut c_void) -> i32;

type Given = Box<dyn FnOnce() + Send>;

/// Work that was given to a host and has not begun, by the number that is its argument.
static GIVEN: Mutex<BTreeMap<usize, Given>> = Mutex::new(BTreeMap::new());

/// Gives work to the host's starter. After an error the work does not begin, whatever the host does.
///
/// # Safety
/// `function` must accept these arguments on this thread; `user_data` is passed as it is.
pub unsafe fn start_thread(function: StartThread, user_data: *mut c_void, work: Given) -> Result<()> {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    GIVEN.lock().insert(number, work);
    let mut answer = 0;
    // SAFETY: the caller vouches for the function; `perform` takes any argument.
    let called = check(|failure| unsafe {
        let argument = std::ptr::without_provenance_mut(number);
        foreign::shim_start_thread(function, Some(perform), argument, user_data, &mut answer, failure)
    });
    let refused = match called {
        Err(error) => format!("it threw: {error}"),
        Ok(()) if answer != 0 => format!("it returned {answer}"),
        Ok(()) => return Ok(()),
    };
    let taken_back = GIVEN.lock().remove(&number);
    match taken_back {
        Some(_) => Err(Error::new(Status::Callback, format!("thread starter: {refused}"))),
        None => Ok(()),
    }
}

/// Does the work of that number, once; another call of the host's finds nothing to do.
extern "C" fn perform(argument: *mut c_void) {
    let given = GIVEN.lock().remove(&argument.addr());
    if let Some(work) = given {
        // what panics here keeps it to itself: the frames above are the host's
        let _ = catch_unwind(AssertUnwindSafe(work));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[link(name = "keel_throwing", kind = "static")]
    extern "C" {
        fn throwing_reward_exception(rollouts: u64, rewards: *mut f32, count: usize, user_data: *mut c_void) -> i32;
        fn throwing_reward_integer(rollouts: u64, rewards: *mut f32, count: usize, user_data: *mut c_void) -> i32;
        fn throwing_starter(work: Option<Work>, argument: *mut c_void, user_data: *mut c_void) -> i32;
    }

    /// A job system that calls the work it is given as often as `user_data` says, then answers the number behind it.
    ///
    /// # Safety
    /// `user_data` is two i32.
    unsafe extern "C" fn run_now(work: Option<Work>, argument: *mut c_void, user_data: *mut c_void) -> i32 {
        // SAFETY: the tests pass two i32.
        let [times, answer] = unsafe { *user_data.cast::<[i32; 2]>() };
        for _ in 0..times {
            // SAFETY: the argument came with the work.
            unsafe { work.unwrap()(argument) };
        }
        answer
    }

    /// How often the work was done, and what became of the start.
    fn started(function: StartThread, [times, answer]: [i32; 2]) -> (usize, Result<()>) {
        let (done, mut wanted) = (std::sync::Arc::new(AtomicUsize::new(0)), [times, answer]);
        let count = done.clone();
        let work = Box::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            panic!("stays inside");
        });
        // SAFETY: the starters here accept any arguments; `wanted` outlives the call.
        let result = unsafe { start_thread(function, (&raw mut wanted).cast(), work) };
        (done.load(Ordering::SeqCst), result)
    }

    #[test]
    fn a_host_thread_does_its_work_once() {
        assert_eq!(started(run_now, [1, 0]), (1, Ok(())));
        assert_eq!(started(run_now, [3, 0]), (1, Ok(())), "a second call does nothing");
        assert_eq!(started(run_now, [1, 7]), (1, Ok(())), "work that was done was not refused");
    }

    #[test]
    fn work_that_a_host_refuses_is_never_done() {
        let refused = |(done, result): (usize, Result<()>)| {
            let error = result.unwrap_err();
            assert_eq!((done, error.status), (0, Status::Callback));
            assert!(GIVEN.lock().is_empty(), "it is still there");
            error.message
        };
        assert_eq!(refused(started(run_now, [0, 7])), "thread starter: it returned 7");
        assert_eq!(refused(started(throwing_starter, [0, 0])), "thread starter: it threw: no thread today");
    }

    /// Writes 10 × handle + index, and returns what `user_data` points to.
    ///
    /// # Safety
    /// `rewards` holds `count` values and `user_data` is an i32.
    unsafe extern "C" fn judge(rollouts: u64, rewards: *mut f32, count: usize, user_data: *mut c_void) -> i32 {
        for index in 0..count {
            // SAFETY: `reward` promises `count` values.
            unsafe { *rewards.add(index) = (10 * rollouts) as f32 + index as f32 };
        }
        // SAFETY: the tests pass an i32.
        unsafe { *user_data.cast::<i32>() }
    }

    fn call(function: Reward, answer: i32) -> (Result<()>, [f32; 3]) {
        let (mut rewards, mut answer) = ([0.0; 3], answer);
        // SAFETY: all judges here accept any arguments; `answer` outlives the call.
        let result = unsafe { reward(function, 7, &mut rewards, (&raw mut answer).cast()) };
        (result, rewards)
    }

    #[test]
    fn arguments_and_rewards_pass_through() {
        assert_eq!(call(judge, 0), (Ok(()), [70.0, 71.0, 72.0]));
    }

    #[test]
    fn an_answer_other_than_zero_is_a_callback_error() {
        let error = call(judge, -3).0.unwrap_err();
        assert_eq!((error.status, error.message.as_str()), (Status::Callback, "reward callback: it returned -3"));
    }

    #[test]
    fn exceptions_become_callback_errors() {
        let error = call(throwing_reward_exception, 0).0.unwrap_err();
        assert_eq!(error.status, Status::Callback);
        assert_eq!(error.message, "reward callback: it threw: no score today");
        let error = call(throwing_reward_integer, 0).0.unwrap_err();
        assert_eq!(error.status, Status::Callback);
        assert_eq!(error.message, "reward callback: it threw: an exception that is no std::exception");
    }
}

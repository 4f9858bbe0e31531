//! Host callbacks, called through C++ so that an exception of the host ends as a status instead of passing silently
//! through Rust.

use super::foreign::{self, check};
use crate::error::{Error, Result, Status};
use libc::c_void;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[link(name = "keel_throwing", kind = "static")]
    extern "C" {
        fn throwing_reward_exception(rollouts: u64, rewards: *mut f32, count: usize, user_data: *mut c_void) -> i32;
        fn throwing_reward_integer(rollouts: u64, rewards: *mut f32, count: usize, user_data: *mut c_void) -> i32;
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

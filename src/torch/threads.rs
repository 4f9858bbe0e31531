//! The number of intra-op threads of the calling thread, for the length of a scope.

use super::foreign::{self, check};
use std::marker::PhantomData;

/// While alive, libtorch's operators on this thread use `threads` threads; dropping it restores what was there.
pub struct ThreadScope {
    previous: i32,
    thread_bound: PhantomData<*const ()>,
}

impl ThreadScope {
    /// `threads` = 0 leaves the number as it is.
    pub fn new(threads: usize) -> Self {
        let mut previous = 0;
        // SAFETY: the shim writes one i32.
        let known = check(|failure| unsafe { foreign::shim_threads(&mut previous, failure) });
        let wanted = i32::try_from(threads).unwrap_or(i32::MAX);
        if known.is_err() || wanted == 0 || wanted == previous {
            previous = 0;
        } else {
            set(wanted);
        }
        ThreadScope { previous, thread_bound: PhantomData }
    }
}

impl Drop for ThreadScope {
    fn drop(&mut self) {
        if self.previous > 0 {
            set(self.previous);
        }
    }
}

fn set(threads: i32) {
    // SAFETY: plain value; a failure leaves the number as it was.
    let _ = check(|failure| unsafe { foreign::shim_set_threads(threads, failure) });
}

//! The number of intra-op threads of the calling thread, and its silence, for the length of a scope.

use super::foreign::{self, check};
use super::warnings::Silence;

/// While alive, libtorch's operators on this thread use `threads` threads and drop their warnings; afterwards all is as
/// it was.
pub struct ThreadScope {
    previous: i32,
    _silence: Silence,
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
        ThreadScope { previous, _silence: Silence::new() }
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

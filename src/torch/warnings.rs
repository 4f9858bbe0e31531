//! libtorch's warnings, which it writes where only the host may write.

use super::foreign;
use libc::c_void;

/// While alive, warnings on this thread are dropped; afterwards they go where they went before. libtorch keeps their
/// receiver per thread, so that what the host does with libtorch on its own stays as it is.
pub struct Silence {
    previous: *mut c_void,
}

impl Silence {
    #[allow(clippy::new_without_default, reason = "a scope that is made by its name")]
    pub fn new() -> Silence {
        // SAFETY: sets a pointer of this thread to an object that lives as long as the library.
        Silence { previous: unsafe { foreign::shim_silence() } }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // SAFETY: the pointer is the one that stood there; the type is bound to its thread by its raw pointer.
        unsafe { foreign::shim_speak(self.previous) }
    }
}

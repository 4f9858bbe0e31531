//! What stands around every exported function: panics become statuses, errors become what the host's `keel_error`
//! holds.
//!
//! The body of each export is one `guard!` call. A panic never reaches the host, nor does its message reach stderr: the
//! hook set here keeps it for the error. libtorch's warnings do not either. Owns no state between calls.

use super::status::{self, keel_error, keel_status, KEEL_OK};
use crate::error::{Error, Result, Status};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{catch_unwind, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

/// `guard!(error, { … })` is the whole body of a function that returns `keel_status`: the block gives a `Result` of
/// `()` or of a status that is no error. `guard!(or value, { … })` is that of a function that cannot fail: `value` is
/// what a panic turns into. `plain` before either says that the block calls no operator of libtorch, so that there are no
/// warnings to drop: a call that a host may make many times a frame.
macro_rules! guard {
    (plain or $fallback:expr, $body:block) => {
        $crate::abi::guard::infallible($fallback, || {
            #[allow(unused_unsafe)]
            // SAFETY: the exported function is unsafe itself; its C doc says what the host promises of each argument.
            let value = unsafe { $body };
            value
        })
    };
    (or $fallback:expr, $body:block) => {
        guard!(plain or $fallback, {
            let _silence = $crate::torch::Silence::new();
            $body
        })
    };
    (plain $error:expr, $body:block) => {
        // SAFETY: the C doc of every function asks that `error` be NULL or point to a writable keel_error.
        unsafe {
            $crate::abi::guard::fallible($error, || {
                #[allow(unused_unsafe)]
                // SAFETY: the exported function is unsafe itself; its C doc says what the host promises of each
                // argument.
                let value = unsafe { $body };
                value
            })
        }
    };
    ($error:expr, $body:block) => {
        guard!(plain $error, {
            let _silence = $crate::torch::Silence::new();
            $body
        })
    };
}

/// What a successful body says: nothing, or a status above zero.
pub(super) trait Outcome {
    fn status(self) -> keel_status;
}

impl Outcome for () {
    fn status(self) -> keel_status {
        KEEL_OK
    }
}

impl Outcome for keel_status {
    fn status(self) -> keel_status {
        self
    }
}

/// Runs the body of a fallible export.
///
/// # Safety
/// `error` is NULL or points to a writable `keel_error` whose `struct_size` is set.
#[inline]
pub(super) unsafe fn fallible<T: Outcome>(error: *mut keel_error, body: impl FnOnce() -> Result<T>) -> keel_status {
    // SAFETY: the caller's promise on `error` is passed on.
    let fail = |failure: Error| unsafe { status::write(error, failure.status as keel_status, &failure.message) };
    let ended = contain(|| match body() {
        // SAFETY: as above.
        Ok(outcome) => unsafe { status::write(error, outcome.status(), "") },
        Err(failure) => fail(failure),
    });
    ended.unwrap_or_else(fail)
}

/// Runs the body of an export that cannot fail.
#[inline]
pub(super) fn infallible<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    contain(body).unwrap_or(fallback)
}

/// The body's value, or its panic as an error.
#[inline]
fn contain<T>(body: impl FnOnce() -> T) -> std::result::Result<T, Error> {
    static HOOK: Once = Once::new();
    HOOK.call_once(keep_panics_quiet);
    GUARDED.set(GUARDED.get() + 1);
    let ended = catch_unwind(AssertUnwindSafe(body));
    GUARDED.set(GUARDED.get() - 1);
    ended.map_err(from_panic)
}

thread_local! {
    static GUARDED: Cell<u32> = const { Cell::new(0) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Inside a guard and on keel's own threads a panic prints nothing; anywhere else the hook found here goes on.
fn keep_panics_quiet() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo| {
        let own_thread = std::thread::current().name().is_some_and(|name| name.starts_with("keel"));
        if GUARDED.get() > 0 {
            PLACE.set(info.location().map(ToString::to_string).unwrap_or_default());
        } else if !own_thread {
            previous(info);
        }
    }));
}

#[cold]
fn from_panic(payload: Box<dyn Any + Send>) -> Error {
    match Error::from_panic(payload.as_ref()) {
        error if error.status == Status::Panic => error.within(format!("keel panicked at {}", PLACE.take())),
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn call(body: impl FnOnce() -> Result<keel_status>) -> (keel_status, String) {
        let mut error = keel_error::default();
        // SAFETY: `error` is a valid keel_error of this frame.
        let returned = unsafe { fallible(&mut error, body) };
        assert_eq!(returned, error.status);
        // SAFETY: the library ends every message with a NUL.
        let message = unsafe { CStr::from_ptr(error.message.as_ptr()) };
        (returned, message.to_str().unwrap().to_string())
    }

    #[test]
    fn a_panic_becomes_a_status_and_names_its_place() {
        let (returned, message) = call(|| panic!("the sky fell"));
        assert_eq!(returned, -901);
        assert!(message.starts_with("keel panicked at src/abi/guard.rs:"), "{message}");
        assert!(message.ends_with(": the sky fell"), "{message}");
    }

    #[test]
    fn a_panic_of_an_allocator_is_out_of_memory() {
        let (returned, message) =
            call(|| panic!("[enforce fail] DefaultCPUAllocator: not enough memory\nException raised from x"));
        assert_eq!((returned, message.as_str()), (-401, "[enforce fail] DefaultCPUAllocator: not enough memory"));
    }

    #[test]
    fn errors_and_states_come_through_unchanged() {
        assert_eq!(call(|| Ok(2)), (2, String::new()));
        assert_eq!(call(|| Err(Error::config("/seed: no"))), (-200, "/seed: no".to_string()));
    }

    #[test]
    fn a_function_that_cannot_fail_has_a_fallback() {
        assert_eq!(infallible(7, || 3), 3);
        assert_eq!(infallible(7, || -> i32 { panic!("quiet") }), 7);
    }
}

//! What is set up once per process: short error texts; which libtorch it is, and where it lies.

use super::foreign::{self, check};
use std::ffi::CStr;
use std::path::PathBuf;
use std::sync::Once;

/// Stops libtorch from collecting a symbolised backtrace for every error (milliseconds and kilobytes each). Cheap and
/// idempotent: every entry into the library may call it.
pub fn initialise() {
    static ONCE: Once = Once::new();
    // SAFETY: installs a C++ function without captures; a failure leaves long error texts.
    ONCE.call_once(|| _ = check(|failure| unsafe { foreign::shim_initialise(failure) }));
}

/// The version of libtorch that this was compiled against.
pub fn version() -> &'static str {
    // SAFETY: the shim returns a constant text.
    unsafe { CStr::from_ptr(foreign::shim_version()) }.to_str().unwrap_or_default()
}

/// The directory of the libtorch_cpu that this process has loaded, symbolic links resolved.
pub fn library_directory() -> Option<PathBuf> {
    let mut path = [0; 4096];
    // SAFETY: the shim writes at most `len` bytes, NUL included.
    check(|failure| unsafe { foreign::shim_library_path(path.as_mut_ptr(), path.len(), failure) }).ok()?;
    // SAFETY: the call succeeded, so the text is NUL-terminated.
    let name = unsafe { CStr::from_ptr(path.as_ptr()) }.to_str().ok()?;
    Some(std::fs::canonicalize(name).ok()?.parent()?.to_path_buf())
}

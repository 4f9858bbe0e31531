//! Statuses and the error struct, as C sees them. The values are those of [`crate::error::Status`]; the table says
//! their names once.

use crate::error::Status;
use std::ffi::{c_char, CStr};

/// What every fallible function returns: 0 is success, above 0 a state that is no error, below 0 an error.
pub type keel_status = i32;

/// Done.
pub const KEEL_OK: i32 = 0;
/// The job has more to do.
pub const KEEL_PENDING: i32 = 1;
/// Rows, rewards or answers are missing; nothing was done.
pub const KEEL_NEED_DATA: i32 = 2;
/// There is nothing to take.
pub const KEEL_EMPTY: i32 = 3;
/// A bounded queue is full: what came was counted (keel_session_metrics, refused) and nothing was done. The message says which and
/// what helps.
pub const KEEL_FULL: i32 = 4;

/// An argument has a value that the function does not take.
pub const KEEL_E_INVALID_ARGUMENT: i32 = -100;
/// A handle is 0, was destroyed, is of another type, or never came from this library.
pub const KEEL_E_INVALID_HANDLE: i32 = -101;
/// A pointer that must not be NULL is NULL.
pub const KEEL_E_NULL_POINTER: i32 = -102;
/// A text is not UTF-8, or a path contains a NUL.
pub const KEEL_E_INVALID_TEXT: i32 = -103;
/// The caller's buffer is too small; *needed says how large it must be; nothing was consumed.
pub const KEEL_E_CAPACITY: i32 = -104;
/// Another thread is inside a call on the same object that admits one at a time; nothing was done.
pub const KEEL_E_CONCURRENT: i32 = -105;
/// The object is in use: an unfinished update, or a model that another session trains.
pub const KEEL_E_IN_USE: i32 = -106;
/// The object is not in the state that the call needs.
pub const KEEL_E_STATE: i32 = -107;
/// The header and the library do not fit.
pub const KEEL_E_VERSION: i32 = -108;
/// The job was cancelled.
pub const KEEL_E_CANCELLED: i32 = -109;
/// The time given was not enough.
pub const KEEL_E_TIMEOUT: i32 = -110;
/// keel does not do this (yet).
pub const KEEL_E_UNSUPPORTED: i32 = -111;
/// A configuration is not valid; the message begins with the JSON pointer of the value at fault.
pub const KEEL_E_CONFIG: i32 = -200;
/// A number is NaN or infinite where it must be finite.
pub const KEEL_E_NON_FINITE: i32 = -300;
/// A length, shape or offset does not fit the others.
pub const KEEL_E_SHAPE: i32 = -301;
/// The device does not exist or failed.
pub const KEEL_E_DEVICE: i32 = -400;
/// Memory ran out, on the host or on the device.
pub const KEEL_E_OUT_OF_MEMORY: i32 = -401;
/// A file or directory could not be read or written.
pub const KEEL_E_FILE: i32 = -500;
/// A file was read but is not what it should be.
pub const KEEL_E_FORMAT: i32 = -501;
/// Rows are missing a column, or a column holds what it must not.
pub const KEEL_E_DATA: i32 = -600;
/// libtorch or keel failed in a way that is a bug of keel's.
pub const KEEL_E_INTERNAL: i32 = -900;
/// keel panicked; the panic was contained, but it is a bug of keel's.
pub const KEEL_E_PANIC: i32 = -901;
/// A panic in mid-step left the session's weights in doubt; restore it.
pub const KEEL_E_POISONED: i32 = -902;
/// The host's callback threw or returned non-zero, or the script of its network threw.
pub const KEEL_E_CALLBACK: i32 = -903;

/// Where a failed call says what went wrong. The caller owns it; initialise it with KEEL_ERROR_INIT and use it for as
/// many calls as you like: each call that gets it writes it.
#[repr(C)]
pub struct keel_error {
    /// sizeof(struct keel_error) of the caller; with 0, nothing is written.
    pub struct_size: u32,
    /// The status that the call returned.
    pub status: i32,
    /// The sentence: UTF-8, ends with a NUL, empty unless the call failed or its queue is full.
    pub message: [c_char; 1016],
}

impl Default for keel_error {
    fn default() -> Self {
        keel_error { struct_size: size_of::<keel_error>() as u32, status: KEEL_OK, message: [0; 1016] }
    }
}

const STATES: [(keel_status, &CStr); 5] = [
    (KEEL_OK, c"KEEL_OK"),
    (KEEL_PENDING, c"KEEL_PENDING"),
    (KEEL_NEED_DATA, c"KEEL_NEED_DATA"),
    (KEEL_EMPTY, c"KEEL_EMPTY"),
    (KEEL_FULL, c"KEEL_FULL"),
];

const ERRORS: [(keel_status, &CStr, Status); 24] = [
    (KEEL_E_INVALID_ARGUMENT, c"KEEL_E_INVALID_ARGUMENT", Status::InvalidArgument),
    (KEEL_E_INVALID_HANDLE, c"KEEL_E_INVALID_HANDLE", Status::InvalidHandle),
    (KEEL_E_NULL_POINTER, c"KEEL_E_NULL_POINTER", Status::NullPointer),
    (KEEL_E_INVALID_TEXT, c"KEEL_E_INVALID_TEXT", Status::InvalidText),
    (KEEL_E_CAPACITY, c"KEEL_E_CAPACITY", Status::Capacity),
    (KEEL_E_CONCURRENT, c"KEEL_E_CONCURRENT", Status::Concurrent),
    (KEEL_E_IN_USE, c"KEEL_E_IN_USE", Status::InUse),
    (KEEL_E_STATE, c"KEEL_E_STATE", Status::State),
    (KEEL_E_VERSION, c"KEEL_E_VERSION", Status::Version),
    (KEEL_E_CANCELLED, c"KEEL_E_CANCELLED", Status::Cancelled),
    (KEEL_E_TIMEOUT, c"KEEL_E_TIMEOUT", Status::Timeout),
    (KEEL_E_UNSUPPORTED, c"KEEL_E_UNSUPPORTED", Status::Unsupported),
    (KEEL_E_CONFIG, c"KEEL_E_CONFIG", Status::Config),
    (KEEL_E_NON_FINITE, c"KEEL_E_NON_FINITE", Status::NonFinite),
    (KEEL_E_SHAPE, c"KEEL_E_SHAPE", Status::Shape),
    (KEEL_E_DEVICE, c"KEEL_E_DEVICE", Status::Device),
    (KEEL_E_OUT_OF_MEMORY, c"KEEL_E_OUT_OF_MEMORY", Status::OutOfMemory),
    (KEEL_E_FILE, c"KEEL_E_FILE", Status::File),
    (KEEL_E_FORMAT, c"KEEL_E_FORMAT", Status::Format),
    (KEEL_E_DATA, c"KEEL_E_DATA", Status::Data),
    (KEEL_E_INTERNAL, c"KEEL_E_INTERNAL", Status::Internal),
    (KEEL_E_PANIC, c"KEEL_E_PANIC", Status::Panic),
    (KEEL_E_POISONED, c"KEEL_E_POISONED", Status::Poisoned),
    (KEEL_E_CALLBACK, c"KEEL_E_CALLBACK", Status::Callback),
];

/// The name of a status, e.g. "KEEL_E_CONFIG"; "KEEL_E_UNKNOWN" for a number that is none.
///
/// status: any number. The result is a constant of the library: never NULL, not to be freed.
/// Threads: any. Status: none, cannot fail. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_status_name(status: keel_status) -> *const c_char {
    guard!(or c"KEEL_E_UNKNOWN".as_ptr(), { name(status).as_ptr() })
}

fn name(status: keel_status) -> &'static CStr {
    let errors = ERRORS.iter().map(|(value, name, _)| (*value, *name));
    STATES.into_iter().chain(errors).find(|(value, _)| *value == status).map_or(c"KEEL_E_UNKNOWN", |(_, name)| name)
}

/// Writes what a call ended with and returns its status. A message that is too long ends at a character's boundary.
///
/// # Safety
/// `error` is NULL or points to a writable `keel_error` of `struct_size` bytes.
pub(super) unsafe fn write(error: *mut keel_error, status: keel_status, message: &str) -> keel_status {
    if error.is_null() {
        return status;
    }
    // SAFETY: the caller's promise: `struct_size` bytes from `error` on are writable; nothing beyond them is touched.
    unsafe {
        let size = (&raw const (*error).struct_size).read_unaligned() as usize;
        if size < size_of::<u32>() + size_of::<i32>() {
            return status;
        }
        (&raw mut (*error).status).write_unaligned(status);
        let room = size.min(size_of::<keel_error>()).saturating_sub(std::mem::offset_of!(keel_error, message) + 1);
        if size > std::mem::offset_of!(keel_error, message) {
            let length = message.floor_char_boundary(room);
            let target = (&raw mut (*error).message).cast::<u8>();
            target.copy_from_nonoverlapping(message.as_ptr(), length);
            target.add(length).write(0);
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_the_library_has_its_constant_and_name() {
        assert_eq!(ERRORS.len(), Status::ALL.len());
        for (row, status) in ERRORS.iter().zip(Status::ALL) {
            assert_eq!((row.0, row.2), (status as i32, status));
            let spelled = row.1.to_str().unwrap().trim_start_matches("KEEL_E_").replace('_', "").to_lowercase();
            assert_eq!(spelled, format!("{status:?}").to_lowercase());
        }
        assert_eq!(Status::Full as i32, KEEL_FULL);
        assert_eq!(name(-101), c"KEEL_E_INVALID_HANDLE");
        assert_eq!(name(1), c"KEEL_PENDING");
        assert_eq!(name(-7), c"KEEL_E_UNKNOWN");
    }

    #[test]
    fn a_message_that_is_too_long_ends_before_the_character_that_would_be_cut() {
        let mut error = keel_error::default();
        let long = "é".repeat(600);
        // SAFETY: `error` is a valid keel_error of this frame.
        assert_eq!(unsafe { write(&mut error, -200, &long) }, -200);
        // SAFETY: the library ends every message with a NUL.
        let text = unsafe { CStr::from_ptr(error.message.as_ptr()) }.to_str().unwrap();
        assert_eq!(text, "é".repeat(507));
    }

    #[test]
    fn nothing_beyond_struct_size_is_written() {
        for (size, expected) in [(0, None), (7, None), (8, Some("")), (9, Some("")), (12, Some("abc"))] {
            let mut error = keel_error { struct_size: size, status: 77, message: [b'#' as c_char; 1016] };
            // SAFETY: `error` is a valid keel_error of this frame.
            unsafe { write(&mut error, -1, "abcdef") };
            assert_eq!(error.status, if expected.is_some() { -1 } else { 77 });
            let beyond = (size as usize).saturating_sub(8);
            assert!(error.message[beyond..].iter().all(|&byte| byte == b'#' as c_char), "size {size}");
            let text: Vec<u8> = error.message[..beyond].iter().map(|&byte| byte as u8).collect();
            assert_eq!(text, if beyond == 0 { vec![] } else { [expected.unwrap().as_bytes(), &[0]].concat() });
        }
    }
}

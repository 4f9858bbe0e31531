//! Strings and arrays across the boundary: pointer and length in, the caller's buffer out.
//!
//! In: NULL stands for nothing and needs a length of 0; text must be UTF-8. Out: `capacity` elements of the caller's,
//! `*needed` says how many there are; too few is `Capacity`, and nothing is written but `*needed`.

use crate::error::{Error, Result, Status};
use std::ffi::{c_char, c_void};
use std::path::Path;

/// Borrows `count` elements.
///
/// # Safety
/// `pointer` is NULL or points to `count` readable elements that nobody writes while the result is used.
pub(super) unsafe fn slice<'a, T>(argument: &str, pointer: *const T, count: usize) -> Result<&'a [T]> {
    if pointer.is_null() {
        return match count {
            0 => Ok(&[]),
            _ => Err(Error::new(Status::NullPointer, format!("{argument}: expected {count} elements, got NULL"))),
        };
    }
    fits::<T>(argument, count)?;
    if !pointer.is_aligned() {
        let message = format!("{argument}: expected a pointer aligned to {} bytes, got {pointer:p}", align_of::<T>());
        return Err(Error::argument(message));
    }
    // SAFETY: not NULL, aligned, no longer than an allocation can be; that it is readable is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// Borrows `count` elements to write.
///
/// # Safety
/// `pointer` is NULL or points to `count` elements that nobody else reads or writes while the result is used.
pub(super) unsafe fn slice_mut<'a, T>(argument: &str, pointer: *mut T, count: usize) -> Result<&'a mut [T]> {
    // SAFETY: the caller's promise is stronger than the one passed on.
    let checked = unsafe { slice(argument, pointer.cast_const(), count) }?.len();
    match checked {
        0 => Ok(&mut []),
        // SAFETY: not NULL, aligned, no longer than an allocation can be; that nobody else uses it is the caller's promise.
        _ => Ok(unsafe { std::slice::from_raw_parts_mut(pointer, count) }),
    }
}

/// Refuses an array that is written and shares bytes with one that is read.
pub(super) fn check_apart(
    argument: &str,
    written: *const c_void,
    bytes: usize,
    other: &str,
    read: &[u8],
) -> Result<()> {
    let (start, first) = (written as usize, read.as_ptr() as usize);
    match start < first + read.len() && first < start.saturating_add(bytes) {
        true => Err(Error::argument(format!("{argument}: expected memory of its own, got some of {other}"))),
        false => Ok(()),
    }
}

/// Refuses a count that no allocation can have: a length that was never set, or a negative number.
fn fits<T>(argument: &str, count: usize) -> Result<()> {
    match count.checked_mul(size_of::<T>()) {
        Some(bytes) if bytes <= isize::MAX as usize => Ok(()),
        _ => Err(Error::argument(format!("{argument}: a length of {count} is more than memory can hold"))),
    }
}

/// Borrows a UTF-8 text; NULL of length 0 is the empty one.
///
/// # Safety
/// As [`slice`].
pub(super) unsafe fn utf8<'a>(argument: &str, pointer: *const c_char, length: usize) -> Result<&'a str> {
    // SAFETY: the caller's promise is passed on.
    let bytes = unsafe { slice(argument, pointer.cast::<u8>(), length)? };
    std::str::from_utf8(bytes).map_err(|error| {
        let message = format!("{argument}: expected UTF-8, got something else at byte {}", error.valid_up_to());
        Error::new(Status::InvalidText, message)
    })
}

/// Borrows a path: UTF-8, not empty, without a NUL.
///
/// # Safety
/// As [`slice`].
pub(super) unsafe fn path<'a>(pointer: *const c_char, length: usize) -> Result<&'a Path> {
    // SAFETY: the caller's promise is passed on.
    let text = unsafe { utf8("path", pointer, length)? };
    if text.is_empty() {
        return Err(Error::argument("path: expected a path, got an empty one"));
    }
    match text.find('\0') {
        Some(at) => Err(Error::new(Status::InvalidText, format!("path: expected no NUL, got one at byte {at}"))),
        None => Ok(Path::new(text)),
    }
}

/// Borrows a configuration; NULL means none was given.
///
/// # Safety
/// As [`slice`].
pub(super) unsafe fn json<'a>(pointer: *const c_char, length: usize) -> Result<Option<&'a [u8]>> {
    // SAFETY: the caller's promise is passed on.
    let bytes = unsafe { slice("json", pointer.cast::<u8>(), length)? };
    Ok((!pointer.is_null()).then_some(bytes))
}

/// Hands a text out. A NUL follows it if there is room; `*needed` does not count it.
///
/// # Safety
/// `buffer` is NULL or has room for `capacity` bytes; `needed` is NULL or writable.
pub(super) unsafe fn write(text: &str, buffer: *mut c_char, capacity: usize, needed: *mut usize) -> Result<()> {
    // SAFETY: the caller's promise is passed on; the NUL lies inside `capacity`.
    unsafe {
        copy(text.as_bytes(), "buffer", buffer.cast(), capacity, needed)?;
        if text.len() < capacity {
            buffer.add(text.len()).write(0);
        }
    }
    Ok(())
}

/// Hands tokens out.
///
/// # Safety
/// `tokens` is NULL or has room for `capacity` of them; `needed` is NULL or writable.
pub(super) unsafe fn write_tokens(all: &[i32], tokens: *mut i32, capacity: usize, needed: *mut usize) -> Result<()> {
    // SAFETY: the caller's promise is passed on.
    unsafe { copy(all, "tokens", tokens, capacity, needed) }
}

/// # Safety
/// `room` is NULL or has room for `capacity` elements; `needed` is NULL or writable.
unsafe fn copy<T>(all: &[T], argument: &str, room: *mut T, capacity: usize, needed: *mut usize) -> Result<()> {
    if room.is_null() && capacity > 0 {
        return Err(Error::new(Status::NullPointer, format!("{argument}: expected room for {capacity}, got NULL")));
    }
    // SAFETY: the caller's promise; the copy is no longer than `capacity`, and keel's memory is not the caller's.
    unsafe {
        Out::optional(needed).write(all.len());
        if all.len() > capacity {
            let message = format!("{argument}: expected room for {}, got {capacity}", all.len());
            return Err(Error::new(Status::Capacity, message));
        }
        if capacity > 0 {
            room.cast::<u8>().copy_from_nonoverlapping(all.as_ptr().cast(), size_of_val(all));
        }
    }
    Ok(())
}

/// Where a result goes: checked before the work, written after it, so that a failed call writes nothing.
pub(super) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// An out-parameter that must not be NULL.
    pub fn required(argument: &str, pointer: *mut T) -> Result<Out<T>> {
        if pointer.is_null() {
            return Err(Error::new(Status::NullPointer, format!("{argument}: expected where to write, got NULL")));
        }
        Ok(Out(pointer))
    }

    /// An out-parameter that may be NULL.
    pub fn optional(pointer: *mut T) -> Out<T> {
        Out(pointer)
    }

    /// # Safety
    /// The pointer is NULL or writable.
    pub unsafe fn write(&self, value: T) {
        if !self.0.is_null() {
            // SAFETY: the caller's promise.
            unsafe { self.0.write_unaligned(value) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T: std::fmt::Debug>(result: Result<T>) -> (Status, String) {
        let error = result.unwrap_err();
        (error.status, error.message)
    }

    #[test]
    fn null_is_nothing_only_with_length_zero() {
        // SAFETY: NULL is allowed.
        unsafe {
            assert_eq!(slice::<u64>("ids", std::ptr::null(), 0).unwrap(), &[] as &[u64]);
            assert_eq!(utf8("column", std::ptr::null(), 0).unwrap(), "");
            assert_eq!(json(std::ptr::null(), 0).unwrap(), None);
            let (status, text) = message(slice::<u64>("ids", std::ptr::null(), 3));
            assert_eq!((status, text.as_str()), (Status::NullPointer, "ids: expected 3 elements, got NULL"));
            assert_eq!(message(path(std::ptr::null(), 0)).1, "path: expected a path, got an empty one");
        }
    }

    #[test]
    fn lengths_and_pointers_that_cannot_be_are_refused() {
        let bytes = [0u64; 2];
        // SAFETY: refused before anything is read.
        unsafe {
            let (status, text) = message(slice("ids", bytes.as_ptr(), usize::MAX));
            assert_eq!(status, Status::InvalidArgument);
            assert_eq!(text, format!("ids: a length of {} is more than memory can hold", usize::MAX));
            let odd = bytes.as_ptr().cast::<u8>().add(1).cast::<u64>();
            assert!(message(slice("ids", odd, 1)).1.starts_with("ids: expected a pointer aligned to 8 bytes, got 0x"));
        }
    }

    #[test]
    fn text_is_utf8_and_a_path_has_no_nul() {
        // SAFETY: the literals are as long as said.
        unsafe {
            let (status, text) = message(utf8("column", c"ab\xff".as_ptr(), 3));
            assert_eq!(
                (status, text.as_str()),
                (Status::InvalidText, "column: expected UTF-8, got something else at byte 2")
            );
            let (status, text) = message(path("a\0b".as_ptr().cast(), 3));
            assert_eq!((status, text.as_str()), (Status::InvalidText, "path: expected no NUL, got one at byte 1"));
            assert_eq!(path(c"a/b".as_ptr(), 3).unwrap(), Path::new("a/b"));
        }
    }

    #[test]
    fn a_text_needs_its_bytes_and_gets_a_nul_if_there_is_room() {
        let mut buffer = [b'#' as c_char; 8];
        let mut needed = 0;
        // SAFETY: `buffer` has 8 bytes.
        unsafe {
            let (status, text) = message(write("four", buffer.as_mut_ptr(), 3, &mut needed));
            assert_eq!((status, text.as_str(), needed), (Status::Capacity, "buffer: expected room for 4, got 3", 4));
            assert_eq!(buffer, [b'#' as c_char; 8]);
            write("four", buffer.as_mut_ptr(), 4, std::ptr::null_mut()).unwrap();
            assert_eq!(buffer.map(|byte| byte as u8), *b"four####");
            write("six", buffer.as_mut_ptr(), 8, &mut needed).unwrap();
            assert_eq!((buffer.map(|byte| byte as u8), needed), (*b"six\0####", 3));
            write("", std::ptr::null_mut(), 0, &mut needed).unwrap();
            assert_eq!(message(write("", std::ptr::null_mut(), 1, &mut needed)).0, Status::NullPointer);
        }
    }
}

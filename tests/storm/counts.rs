//! The counts of `Arc`, as ThreadSanitizer understands them. Who drops the last of them is ordered behind the others by a
//! fence, which it does not follow; a std that is instrumented loads the count instead, and so does this one, to which
//! tools/races links every `fetch_sub`.

use std::sync::atomic::{AtomicU64, Ordering};

const RELEASE: i32 = 3;

extern "C" {
    fn __real___tsan_atomic64_fetch_sub(count: *mut u64, by: u64, order: i32) -> u64;
}

#[no_mangle]
unsafe extern "C" fn __wrap___tsan_atomic64_fetch_sub(count: *mut u64, by: u64, order: i32) -> u64 {
    // SAFETY: the arguments are the caller's.
    let before = unsafe { __real___tsan_atomic64_fetch_sub(count, by, order) };
    if (before, by, order) == (1, 1, RELEASE) {
        // SAFETY: what held the last count frees it after this.
        unsafe { AtomicU64::from_ptr(count) }.load(Ordering::Acquire);
    }
    before
}

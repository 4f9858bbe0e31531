//! A race that tools/races must find, in builds that are made for it alone.

/// Threads that write the same number.
#[inline(never)]
pub(super) fn race() {
    static mut WRITTEN: u64 = 0;
    // SAFETY: none; this is the race.
    unsafe { std::ptr::addr_of_mut!(WRITTEN).write(std::hint::black_box(1)) };
}

//! A race that tools/races must find, in builds that are made for it alone.

/// Threads that count the same thing, where KEEL_PLANTED_RACE is set.
#[inline(never)]
pub(super) fn race() {
    static mut COUNTED: u64 = 0;
    if std::env::var_os("KEEL_PLANTED_RACE").is_none() {
        return;
    }
    let counted = std::ptr::addr_of_mut!(COUNTED);
    // SAFETY: none; this is the race.
    unsafe { counted.write_volatile(counted.read_volatile() + 1) };
}

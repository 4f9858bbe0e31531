//! Whether the work of a session waits, and for how long a learner thread rests. What waits on keel's threads sleeps until
//! something has changed.

use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Where paused threads of all sessions sleep.
static SLEEP: Mutex<()> = Mutex::new(());
static CHANGED: Condvar = Condvar::new();

#[derive(Default)]
pub(super) struct Pause(AtomicBool);

impl Pause {
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::SeqCst);
        wake();
    }

    /// Sleeps while the pause is on, unless `ended`.
    pub fn sleep(&self, ended: impl Fn() -> bool) {
        let mut sleep = SLEEP.lock();
        while self.is_on() && !ended() {
            CHANGED.wait(&mut sleep);
        }
    }
}

/// Sleeps for this long, unless `ended`.
pub(super) fn rest(time: Duration, ended: impl Fn() -> bool) {
    let Some(until) = Instant::now().checked_add(time).filter(|_| !time.is_zero()) else { return };
    let mut sleep = SLEEP.lock();
    while !ended() && !CHANGED.wait_until(&mut sleep, until).timed_out() {}
}

/// Lets all that sleep look again: a pause, or what ends one, has changed.
pub(super) fn wake() {
    drop(SLEEP.lock());
    CHANGED.notify_all();
}

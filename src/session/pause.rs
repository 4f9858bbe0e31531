//! Whether the work of a session waits. What waits on keel's threads sleeps until something has changed.

use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Lets all that sleep look again: a pause, or what ends one, has changed.
pub(super) fn wake() {
    drop(SLEEP.lock());
    CHANGED.notify_all();
}

//! A bound on what waits for a learner: what comes on top of it is refused and counted, and nothing grows.

use crate::error::{Error, Result, Status};
use std::sync::atomic::{AtomicU64, Ordering};

pub struct Queue {
    capacity: u64,
    refused: AtomicU64,
}

impl Queue {
    pub(super) fn new(capacity: u64) -> Queue {
        Queue { capacity, refused: AtomicU64::new(0) }
    }

    /// Refuses `more` on top of what is `held` where that is too many; `what` they are, and what the host can do.
    pub(super) fn check(&self, held: usize, more: usize, what: &str, remedy: &str) -> Result<()> {
        if held as u64 + more as u64 <= self.capacity {
            return Ok(());
        }
        self.refused.fetch_add(more as u64, Ordering::Relaxed);
        let capacity = self.capacity;
        let message = format!("{what}: expected {capacity} at most, got {more} on top of {held}; {remedy}");
        Err(Error::new(Status::Full, message))
    }

    /// How many it refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

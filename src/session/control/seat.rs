//! Where actors sit: each has a recording of its own, which it leaves to the next one that comes.

use super::recording::Recording;
use super::ControlSession;
use crate::model::control::Spec;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// A recording that an actor writes and updates read.
pub(super) type Shared = Arc<Mutex<Recording>>;

/// What an actor holds of its session.
pub(super) struct Seat {
    pub recording: Shared,
    /// Among those of the session: what the draws are numbered by.
    pub place: u64,
    _held: Arc<()>,
}

impl Seat {
    /// The place of all seats that are not the session's.
    const APART: u64 = (1 << 31) - 1;

    pub fn is_apart(&self) -> bool {
        self.place == Seat::APART
    }
}

impl ControlSession {
    pub(super) fn all_recordings(&self) -> Vec<Shared> {
        self.recordings.lock().iter().map(|(recording, _)| recording.clone()).collect()
    }

    /// A seat beside those that the session has: what is done there stays there.
    pub(super) fn seat_apart(&self, spec: &Spec) -> Seat {
        let recording = Arc::new(Mutex::new(Recording::new(spec)));
        Seat { recording, place: Seat::APART, _held: Arc::default() }
    }

    /// A seat for a new actor: the first that nobody holds, or a new one.
    pub(super) fn seat(&self, spec: &Spec) -> Seat {
        let mut all = self.recordings.lock();
        let free = all.iter().position(|(_, holder)| holder.strong_count() == 0);
        let place = free.unwrap_or(all.len());
        if place == all.len() {
            all.push((Arc::new(Mutex::new(Recording::new(spec))), Weak::new()));
        }
        let held = Arc::new(());
        all[place].1 = Arc::downgrade(&held);
        Seat { recording: all[place].0.clone(), place: place as u64, _held: held }
    }
}

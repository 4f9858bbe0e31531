//! Where actors sit: each has a recording of its own, which it leaves to the next one that comes, and slots that are no other's.

use super::recording::Recording;
use super::ControlSession;
use crate::error::{Error, Result, Status};
use crate::model::control::Spec;
use parking_lot::{Mutex, MutexGuard};
use std::sync::{Arc, Weak};

/// A recording that an actor writes and updates read.
pub(super) type Shared = Arc<Mutex<Recording>>;

/// What an actor holds of its session.
pub(super) struct Seat {
    pub recording: Shared,
    /// Whether it is none of the session's.
    apart: bool,
    _held: Arc<()>,
}

impl Seat {
    pub fn is_apart(&self) -> bool {
        self.apart
    }

    /// The recording, once these slots are its own; refuses those that another actor acts for.
    ///
    /// A slot that nobody acts for any more begins a new episode here, and draws on where it stopped.
    pub fn claim<'a>(
        &'a self,
        recording: MutexGuard<'a, Recording>,
        session: &ControlSession,
        slots: &[u32],
    ) -> Result<MutexGuard<'a, Recording>> {
        if self.apart || slots.iter().all(|slot| recording.is_claimed(*slot)) {
            return Ok(recording);
        }
        let wanted: Vec<u32> = slots.iter().filter(|slot| !recording.is_claimed(**slot)).copied().collect();
        drop(recording);
        // who waits for all recordings holds none
        let all = session.recordings.lock();
        let others = || all.iter().map(|(other, _)| other).filter(|other| !Arc::ptr_eq(other, &self.recording));
        if let Some(slot) = wanted.iter().find(|slot| others().any(|other| other.lock().is_claimed(**slot))) {
            let message = format!("slots: slot {slot} is another actor's of this session");
            return Err(Error::new(Status::InUse, message));
        }
        for slot in wanted.into_iter().map(|slot| slot as usize) {
            let draws = others().map(|other| other.lock().leave(slot)).max();
            self.recording.lock().claim(slot, draws.unwrap_or(0));
        }
        Ok(self.recording.lock())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.recording.lock().vacate();
    }
}

impl ControlSession {
    pub(super) fn all_recordings(&self) -> Vec<Shared> {
        self.recordings.lock().iter().map(|(recording, _)| recording.clone()).collect()
    }

    /// A seat beside those that the session has: what is done there stays there.
    pub(super) fn seat_apart(&self, spec: &Spec) -> Seat {
        let recording = Arc::new(Mutex::new(Recording::new(spec)));
        Seat { recording, apart: true, _held: Arc::default() }
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
        Seat { recording: all[place].0.clone(), apart: false, _held: held }
    }
}

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
    pub fn claim(&self, session: &ControlSession, slots: &[u32]) -> Result<MutexGuard<'_, Recording>> {
        let recording = self.recording.lock();
        let foreign = |slot: &&u32| !recording.slots.get(**slot as usize).is_some_and(|slot| slot.claimed);
        if self.apart || !slots.iter().any(|slot| foreign(&slot)) {
            return Ok(recording);
        }
        let wanted: Vec<u32> = slots.iter().filter(foreign).copied().collect();
        drop(recording);
        // who waits for all recordings holds none
        let all = session.recordings.lock();
        let others = || all.iter().map(|(other, _)| other).filter(|other| !Arc::ptr_eq(other, &self.recording));
        for (slot, other) in wanted.iter().flat_map(|slot| others().map(move |other| (slot, other))) {
            if other.lock().slots.get(*slot as usize).is_some_and(|slot| slot.claimed) {
                let message = format!("slots: slot {slot} is another actor's of this session");
                return Err(Error::new(Status::InUse, message));
            }
        }
        for slot in wanted {
            let place = slot as usize;
            let leave = |other: &Shared| {
                let mut other = other.lock();
                if place < other.slots.len() {
                    other.leave(place)
                } else {
                    0
                }
            };
            let draws = others().map(leave).max().unwrap_or(0);
            let mut recording = self.recording.lock();
            recording.reach(place);
            let own = &mut recording.slots[place];
            (own.claimed, own.draws) = (true, own.draws.max(draws));
        }
        Ok(self.recording.lock())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.recording.lock().slots.iter_mut().for_each(|slot| slot.claimed = false);
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

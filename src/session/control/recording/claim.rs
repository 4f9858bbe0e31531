//! Whose a slot is: claimed by the actor that acts for it, left when that is gone or another one takes it over.

use super::{Episode, Recording};

impl Recording {
    pub fn is_claimed(&self, slot: u32) -> bool {
        self.claimed.get(slot as usize).is_some_and(|claimed| *claimed)
    }

    /// An actor acts for a slot from now on, which drew so often elsewhere.
    pub fn claim(&mut self, slot: usize, draws: u64) {
        self.claimed.resize(self.claimed.len().max(slot + 1), false);
        self.claimed[slot] = true;
        if draws > 0 {
            self.reach(slot);
            self.slots[slot].draws = self.slots[slot].draws.max(draws);
        }
    }

    /// The actor that acted for these slots is gone.
    pub fn vacate(&mut self) {
        self.claimed.clear();
    }

    /// Gives a slot away, to whoever acts for it elsewhere: its episode here is abandoned. Returns how often it drew.
    pub fn leave(&mut self, slot: usize) -> u64 {
        if slot >= self.slots.len() {
            return 0;
        }
        if let Some(step) = self.slots[slot].step() {
            self.episodes[step] = Episode::Abandoned;
        }
        self.end(slot);
        std::mem::take(&mut self.slots[slot].draws)
    }
}

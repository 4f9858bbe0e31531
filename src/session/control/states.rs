//! What recurrent policies remember of the slots of one actor, and the states that sequences of recorded steps begin with.
//!
//! A sequence begins with an episode, after so many steps of the last one, and with the first step behind an update; what
//! its other steps remembered is computed anew from there. Without recurrence everything here is empty.

use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct States {
    /// S, the numbers of a state.
    width: usize,
    /// Of each slot, [slots, S]: before its next step, and before its last.
    now: Vec<f32>,
    before: Vec<f32>,
    /// Steps of each slot's sequence so far; 0: its next step begins one.
    lengths: Vec<u32>,
    /// Recorded steps that begin a sequence, and the state before each, [begins, S].
    begins: Vec<u32>,
    starts: Vec<f32>,
}

/// Steps that may have to begin a sequence, once those before them are gone, with the states before them.
pub(super) type Begins = Vec<(u32, Vec<f32>)>;

impl States {
    pub fn new(width: usize) -> States {
        States { width, ..States::default() }
    }

    /// Room for so many slots, each new one with a state of zeros.
    pub fn reach(&mut self, slots: usize) {
        if self.width > 0 && slots > self.lengths.len() {
            self.now.resize(slots * self.width, 0.0);
            self.before.resize(slots * self.width, 0.0);
            self.lengths.resize(slots, 0);
        }
    }

    /// Before the next step of a slot; none where it has not acted yet: then it is zero.
    pub fn now(&self, slot: usize) -> Option<&[f32]> {
        self.now.get(slot * self.width..(slot + 1) * self.width)
    }

    /// What a slot remembers after a step that is recorded as `step`, in sequences of `longest` steps at most.
    pub fn record(&mut self, slot: usize, after: &[f32], step: usize, longest: u32) {
        if self.width == 0 {
            return;
        }
        let own = slot * self.width..(slot + 1) * self.width;
        if self.lengths[slot] == 0 {
            self.begins.push(step as u32);
            self.starts.extend_from_slice(&self.now[own.clone()]);
        }
        self.lengths[slot] = (self.lengths[slot] + 1) % longest;
        self.before[own.clone()].copy_from_slice(&self.now[own]);
        self.pass(slot, after);
    }

    /// What a slot remembers after a step of which nothing else is kept.
    pub fn pass(&mut self, slot: usize, after: &[f32]) {
        self.now[slot * self.width..(slot + 1) * self.width].copy_from_slice(after);
    }

    /// A slot's episode is over.
    pub fn end(&mut self, slot: usize) {
        if self.width > 0 {
            self.now[slot * self.width..(slot + 1) * self.width].fill(0.0);
            self.lengths[slot] = 0;
        }
    }

    /// The states that sequences begin with, by their first steps.
    pub fn starts(&self) -> HashMap<usize, &[f32]> {
        let states = self.starts.chunks_exact(self.width.max(1));
        self.begins.iter().map(|step| *step as usize).zip(states).collect()
    }

    /// The states before the last steps `open` of the slots.
    pub fn open(&self, open: impl Iterator<Item = Option<usize>>) -> Begins {
        let states = self.before.chunks_exact(self.width.max(1));
        states.zip(open).filter_map(|(state, step)| Some((step? as u32, state.to_vec()))).collect()
    }

    /// Steps move to other places, or go. Those of `open` that stay begin sequences, and so does every slot's next step.
    pub fn forget(&mut self, open: &Begins, moved: impl Fn(u32) -> Option<u32>) {
        let begun: HashSet<u32> = self.begins.iter().copied().collect();
        for (step, state) in open {
            if !begun.contains(step) {
                self.begins.push(*step);
                self.starts.extend_from_slice(state);
            }
        }
        let mut kept = 0;
        for place in 0..self.begins.len() {
            if let Some(step) = moved(self.begins[place]) {
                self.begins[kept] = step;
                self.starts.copy_within(place * self.width..(place + 1) * self.width, kept * self.width);
                kept += 1;
            }
        }
        self.begins.truncate(kept);
        self.starts.truncate(kept * self.width);
        self.lengths.fill(0);
    }

    /// Whether these are states of so many slots and steps, with a start for each of `heads`.
    pub fn sound(&self, width: usize, slots: usize, steps: usize, mut heads: impl Iterator<Item = usize>) -> bool {
        let slots = if width > 0 { slots } else { 0 };
        let starts = self.starts();
        let finite = |numbers: &[f32]| numbers.iter().all(|number| number.is_finite());
        self.width == width
            && [self.now.len(), self.before.len()] == [slots * width; 2]
            && self.lengths.len() == slots
            && self.starts.len() == self.begins.len() * width
            && self.begins.iter().all(|step| (*step as usize) < steps)
            && starts.len() == self.begins.len()
            && (width == 0 || heads.all(|step| starts.contains_key(&step)))
            && finite(&self.now)
            && finite(&self.before)
            && finite(&self.starts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_begin_with_episodes_and_after_so_many_steps() {
        let mut states = States::new(1);
        states.reach(2);
        for step in 0..3 {
            states.record(1, &[1.0 + step as f32], step, 2);
        }
        assert_eq!((states.begins.as_slice(), states.starts.as_slice()), (&[0, 2][..], &[0.0, 2.0][..]));
        assert_eq!((states.now(1), states.now(0), states.now(2)), (Some(&[3.0][..]), Some(&[0.0][..]), None));
        states.end(1);
        states.record(1, &[9.0], 3, 2);
        assert_eq!((states.begins.as_slice(), states.starts.as_slice()), (&[0, 2, 3][..], &[0.0, 2.0, 0.0][..]));
    }

    #[test]
    fn an_open_step_begins_a_sequence_when_those_before_it_go() {
        let mut states = States::new(1);
        states.reach(1);
        states.record(0, &[1.0], 0, 9);
        states.record(0, &[2.0], 1, 9);
        let open = states.open([Some(1)].into_iter());
        assert_eq!(open, [(1, vec![1.0])]);
        states.record(0, &[3.0], 2, 9);
        states.forget(&open, |step| step.checked_sub(1));
        states.record(0, &[4.0], 2, 9);
        assert_eq!((states.begins.as_slice(), states.starts.as_slice()), (&[0, 2][..], &[1.0, 3.0][..]));
        assert!(states.sound(1, 1, 3, [0].into_iter()) && !states.sound(1, 1, 3, [1].into_iter()));
        assert!(!states.sound(1, 2, 3, [0].into_iter()) && !states.sound(1, 1, 2, [0].into_iter()));
    }
}

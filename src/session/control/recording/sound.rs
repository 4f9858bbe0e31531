//! Whether a recording of a file is one that actors can have made.

use super::{Episode, Recording, MOST_COUNTED, MOST_SLOTS, NONE};
use crate::model::control::Spec;

impl Recording {
    /// Whether a checkpoint's recording is one that a policy of this spec can have made.
    pub fn sound(&self, spec: &Spec) -> bool {
        let (steps, fresh) = (self.len(), Recording::new(spec));
        let widths = (self.inputs, self.actions_width, self.choices);
        let within = |step: u32| step == NONE || (step as usize) < steps;
        let finite = |numbers: &[f32]| numbers.iter().all(|number| number.is_finite());
        widths == (fresh.inputs, fresh.actions_width, fresh.choices)
            && self.observations.host().len() == steps * self.inputs
            && self.slot_of.len() == steps
            && self.slot_of.iter().all(|slot| (*slot as usize) < self.slots.len())
            && self.legal.len() == steps * self.choices
            && self.actions.len() == steps * self.actions_width
            && self.versions.len() == steps
            && [self.log_probs.len(), self.discounted.len(), self.episodes.len(), self.next.len()] == [steps; 4]
            && self.next.iter().enumerate().all(|(step, next)| within(*next) && *next as usize > step)
            && self.slots.iter().all(|slot| within(slot.open) && slot.is_sound())
            && self.slots.len() <= MOST_SLOTS as usize
            && self.is_linked()
            && self.states.sound(spec.state, self.slots.len(), steps, self.heads().into_iter())
            && self.legal.iter().all(|legal| *legal <= 1)
            && (0..steps).all(|step| spec.is_action(self.action(step), self.legal(step)))
            && self.ended.episodes.max(self.ended.lengths) < MOST_COUNTED
            && self.ended.returns.is_finite()
            && [self.observations.host(), &self.finals]
                .into_iter()
                .all(|all| all.chunks(self.inputs).all(|row| spec.is_observation(row)))
            && [&self.actions, &self.log_probs, &self.rewards, &self.discounted].into_iter().all(|all| finite(all))
    }

    /// Steps that are the next of none.
    fn heads(&self) -> Vec<usize> {
        let mut follows = vec![false; self.len()];
        let followed = self.next.iter().filter(|step| **step != NONE);
        followed.for_each(|step| follows[*step as usize] = true);
        (0..self.len()).filter(|step| !follows[*step]).collect()
    }

    /// Whether each step is the next of one at most, each open one a slot's and not finished, and none but truncated ones
    /// have a final observation.
    fn is_linked(&self) -> bool {
        let mut owners = vec![0; self.len()];
        let own = |owners: &mut Vec<i32>, step: u32| {
            if step != NONE {
                owners[step as usize] += 1
            }
        };
        self.next.iter().for_each(|step| own(&mut owners, *step));
        let chained = owners.iter().all(|owners| *owners <= 1);
        let mut open = vec![0; self.len()];
        self.slots.iter().for_each(|slot| own(&mut open, slot.open));
        let owned = (0..self.len()).all(|step| open[step] == i32::from(!self.is_finished(step)));
        let mut cut = vec![0; self.len()];
        let within = self.final_of.iter().all(|step| (*step as usize) < self.len());
        if within {
            self.final_of.iter().for_each(|step| own(&mut cut, *step));
        }
        let ended = |step: usize| self.episodes[step] != Episode::Running;
        let finals = (0..self.len()).all(|step| cut[step] <= i32::from(self.episodes[step] == Episode::Truncated));
        let last = (0..self.len()).all(|step| !ended(step) || self.next[step] == NONE);
        let whole = self.finals.len() == self.final_of.len() * self.inputs;
        chained && owned && within && finals && last && whole
    }
}

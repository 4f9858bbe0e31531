//! How old recorded steps are, in publications of the policy.

use super::{Ended, Recording};
use crate::error::Result;
use std::collections::HashMap;

impl Recording {
    /// The versions of steps as so many publications before `version`, and back: what a restore publishes makes no step
    /// older.
    pub fn count_from(&mut self, version: u64) {
        self.versions.iter_mut().for_each(|acted| *acted = version.saturating_sub(*acted));
    }

    /// The same for a method that takes steps of any age.
    pub fn without_versions(mut self) -> Recording {
        self.versions.clear();
        self
    }

    /// Drops finished steps that were taken more than `most` publications before `version`, in sequences of a recurrent
    /// policy all whose first step was; returns how many there were to learn from.
    pub fn drop_stale(&mut self, most: u64, version: u64) -> Result<u64> {
        let oldest = self.oldest();
        let stale = |step: usize| self.is_finished(step) && oldest[step].saturating_add(most) < version;
        let used: Vec<bool> = (0..self.len()).map(stale).collect();
        if !used.contains(&true) {
            return Ok(0);
        }
        let (finished, open) = (self.finished, self.open());
        self.forget(&used, Ended::default(), &open)?;
        Ok((finished - self.finished) as u64)
    }

    /// The version of the first step of each step's sequence; without recurrence its own.
    fn oldest(&self) -> Vec<u64> {
        let mut oldest = self.versions.clone();
        let begins: HashMap<usize, &[f32]> = self.states.starts();
        if begins.is_empty() {
            return oldest;
        }
        for step in 0..self.len() {
            if let Some(next) = self.next(step).filter(|next| !begins.contains_key(next)) {
                oldest[next] = oldest[step];
            }
        }
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::super::Episode;
    use super::*;
    use crate::session::control::states::States;

    /// One slot that acts once under each version; the last step is open.
    fn recording(versions: &[u64], width: usize, longest: u32) -> Recording {
        let mut all = Recording { inputs: 1, actions_width: 1, states: States::new(width), ..Recording::default() };
        all.reach(0);
        for version in versions {
            all.observations.push(&[*version as f32]);
            let step = all.act(0, &[], &[0.0], -1.0, *version);
            all.states.record(0, &vec![1.0; width], step, longest);
            all.observe(0, 0.0, Episode::Running, None, 1.0);
        }
        all
    }

    fn left(all: &Recording) -> Vec<f32> {
        all.observations.host().to_vec()
    }

    #[test]
    fn steps_that_are_too_old_go_and_open_ones_stay() {
        let mut all = recording(&[1, 2, 3, 4, 1], 0, 9);
        assert_eq!((all.drop_stale(2, 5).unwrap(), left(&all)), (2, vec![3.0, 4.0, 1.0]));
        assert_eq!((all.drop_stale(0, 5).unwrap(), left(&all)), (2, vec![1.0]));
        assert_eq!((all.drop_stale(0, 5).unwrap(), all.finished), (0, 0));
    }

    #[test]
    fn a_sequence_is_as_old_as_its_first_step() {
        let mut all = recording(&[1, 5, 5, 5, 5], 1, 2);
        assert_eq!((all.drop_stale(3, 5).unwrap(), left(&all)), (2, vec![5.0, 5.0, 5.0]));
        assert_eq!(all.states.starts().len(), 2, "the third step and the open one begin sequences");
    }

    #[test]
    fn versions_are_kept_as_ages() {
        let mut all = recording(&[3, 7], 0, 9);
        all.count_from(8);
        assert_eq!(all.versions, [5, 1]);
        all.count_from(20);
        assert_eq!(all.versions, [15, 19]);
    }
}

//! What the slots of one actor did, step by step, until an update has used it.
//!
//! Steps lie in the order in which they were taken; each knows the next one of its slot. A step is finished when what
//! followed it is known: the slot's next step, or how its episode ended.

mod age;
mod claim;
mod sound;

use super::ended::Ended;
use super::observations::Observations;
use super::states::{Begins, States};
use crate::error::{Error, Result, Status};
use crate::model::control::Spec;
use serde::{Deserialize, Serialize};

/// No step.
const NONE: u32 = u32::MAX;
/// A step that was not recorded.
const PASSED: u32 = u32::MAX - 1;
/// Slots are numbered below this.
pub(super) const MOST_SLOTS: u32 = 1 << 20;
/// Counters of a file are below this.
const MOST_COUNTED: u64 = 1 << 62;

/// How an episode stands after a step. The codes are those of keel.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(i32)]
pub enum Episode {
    Running = 0,
    /// It ended; nothing follows.
    Terminated = 1,
    /// It was cut off; it would have gone on.
    Truncated = 2,
    /// Nobody knows how it would have gone on: its last step is not learned from.
    Abandoned = 3,
}

impl TryFrom<i32> for Episode {
    type Error = Error;

    fn try_from(code: i32) -> Result<Episode> {
        match code {
            0 => Ok(Episode::Running),
            1 => Ok(Episode::Terminated),
            2 => Ok(Episode::Truncated),
            3 => Ok(Episode::Abandoned),
            _ => Err(Error::argument(format!(
                "status: expected 0 (running), 1 (terminated), 2 (truncated) or 3 (abandoned), got {code}"
            ))),
        }
    }
}

/// Where a slot stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Slot {
    /// Its last step, while the episode runs.
    pub open: u32,
    /// Whether that step was observed.
    pub observed: bool,
    /// Actions drawn so far: what the next draw is numbered.
    pub draws: u64,
    /// Undiscounted sum of rewards and number of steps of the running episode.
    pub episode_return: f64,
    pub episode_length: u64,
    /// Σ γ-discounted rewards of the running episode, newest weighing most.
    pub discounted: f64,
}

impl Default for Slot {
    fn default() -> Self {
        Slot { open: NONE, observed: false, draws: 0, episode_return: 0.0, episode_length: 0, discounted: 0.0 }
    }
}

impl Slot {
    /// The index of its last step, while the episode runs.
    pub fn step(&self) -> Option<usize> {
        (self.open != NONE).then_some(self.open as usize)
    }

    fn is_sound(&self) -> bool {
        let sums = self.episode_return.is_finite() && self.discounted.is_finite();
        sums && self.draws.max(self.episode_length) < MOST_COUNTED
    }
}

/// Columns of steps; row i of each is step i.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Recording {
    /// Numbers of an observation, of an action, of a mask.
    inputs: usize,
    actions_width: usize,
    choices: usize,
    pub slots: Vec<Slot>,
    /// Whether an actor that lives acts for a slot here.
    #[serde(skip)]
    claimed: Vec<bool>,
    /// Whose each step is.
    pub slot_of: Vec<u32>,
    pub observations: Observations,
    pub legal: Vec<u8>,
    pub actions: Vec<f32>,
    pub log_probs: Vec<f32>,
    /// The version of the policy that acted, or that knew the probability of what was given.
    versions: Vec<u64>,
    pub rewards: Vec<f32>,
    /// The slot's discounted reward sum after the step.
    pub discounted: Vec<f32>,
    pub episodes: Vec<Episode>,
    next: Vec<u32>,
    /// Final observations of truncated steps, and whose they are; the step's own stands for one that was not told.
    finals: Vec<f32>,
    final_of: Vec<u32>,
    /// Steps that can be learned from.
    #[serde(skip)]
    pub finished: usize,
    /// Episodes that ended since the last update, the sums of their returns and lengths.
    pub ended: Ended,
    /// What a recurrent policy remembers.
    #[serde(default)]
    pub states: States,
}

impl Recording {
    pub fn new(spec: &Spec) -> Recording {
        let choices = if spec.masked { spec.choices } else { 0 };
        let states = States::new(spec.state);
        Recording { inputs: spec.inputs, actions_width: spec.actions, choices, states, ..Recording::default() }
    }

    pub fn len(&self) -> usize {
        self.rewards.len()
    }

    /// Room for slots up to and with `slot`.
    pub fn reach(&mut self, slot: usize) {
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, Slot::default);
            self.states.reach(slot + 1);
        }
    }

    /// A new step of a slot whose last one was observed, or which has none; that one is finished by it. Its observation has
    /// been added by itself; a policy of this version chose. Returns its place.
    pub fn act(&mut self, slot: usize, legal: &[u8], action: &[f32], log_prob: f32, version: u64) -> usize {
        let step = self.len() as u32;
        self.slot_of.push(slot as u32);
        self.legal.extend_from_slice(&legal[..self.choices]);
        self.actions.extend_from_slice(action);
        self.log_probs.push(log_prob);
        self.versions.push(version);
        self.rewards.push(0.0);
        self.discounted.push(0.0);
        self.episodes.push(Episode::Running);
        self.next.push(NONE);
        self.make_room();
        let state = &mut self.slots[slot];
        if let Some(before) = state.step() {
            self.next[before] = step;
            self.finished += 1;
        }
        state.open = step;
        state.observed = false;
        step as usize
    }

    /// Room for a final observation of each step that there is room for: however many are cut off at once, no memory is taken for
    /// them.
    fn make_room(&mut self) {
        let (most, told) = (self.rewards.capacity(), self.final_of.len());
        if self.final_of.capacity() < most {
            self.final_of.reserve_exact(most - told);
            self.finals.reserve_exact((most - told) * self.inputs);
        }
    }

    /// Refuses a reward of a slot that has not acted, and one with which its sums are no numbers any more.
    pub fn check_reward(&self, slot: u32, reward: f32) -> Result<()> {
        let acted = self.slots.get(slot as usize).and_then(|state| Some((state, state.step()?)));
        let Some((state, step)) = acted else {
            let message = format!("slots: slot {slot} has not acted since its episode began; nothing was observed");
            return Err(Error::state(message));
        };
        let before = self.rewards.get(step).copied().unwrap_or(0.0);
        let sums = [before + reward, (state.discounted + f64::from(reward)) as f32];
        match sums.iter().all(|sum| sum.is_finite()) {
            true => Ok(()),
            false => {
                let message = format!("rewards: slot {slot}: expected a sum that is a number, got {reward} too much");
                Err(Error::new(Status::NonFinite, message))
            }
        }
    }

    /// What the host saw after the last step of a slot; `last` is the final observation where it was truncated and told.
    pub fn observe(&mut self, slot: usize, reward: f32, episode: Episode, last: Option<&[f32]>, discount: f64) {
        let state = &mut self.slots[slot];
        let step = state.open as usize;
        self.rewards[step] += reward;
        state.episode_return += f64::from(reward);
        if !state.observed {
            state.episode_length += 1;
            state.discounted *= discount;
        }
        state.discounted += f64::from(reward);
        self.discounted[step] = state.discounted as f32;
        state.observed = true;
        if episode == Episode::Running {
            return;
        }
        self.episodes[step] = episode;
        if let (Episode::Truncated, Some(last)) = (episode, last) {
            self.finals.extend_from_slice(last);
            self.final_of.push(step as u32);
        }
        if episode != Episode::Abandoned {
            self.finished += 1;
            self.ended.episodes += 1;
            self.ended.returns += state.episode_return;
            self.ended.lengths += state.episode_length;
        }
        self.end(slot);
    }

    /// The next step of a slot begins an episode.
    fn end(&mut self, slot: usize) {
        self.slots[slot] = Slot { draws: self.slots[slot].draws, ..Slot::default() };
        self.states.end(slot);
    }

    /// A step of a slot that is not recorded: the slot alone knows of it, and what is remembered `after` it.
    pub fn pass(&mut self, slot: usize, after: &[f32]) {
        self.states.pass(slot, after);
        (self.slots[slot].open, self.slots[slot].observed) = (PASSED, false);
    }

    /// What the host saw after a step that was not recorded.
    pub fn pass_by(&mut self, slot: usize, episode: Episode) {
        match episode {
            Episode::Running => self.slots[slot].observed = true,
            _ => self.end(slot),
        }
    }

    /// The last steps of running episodes with what their slots remembered before them.
    pub fn open(&self) -> Begins {
        self.states.open(self.slots.iter().map(Slot::step))
    }

    /// The slot's next step behind this one.
    pub fn next(&self, step: usize) -> Option<usize> {
        (self.next[step] != NONE).then_some(self.next[step] as usize)
    }

    /// Whether what followed a step is known.
    pub fn is_finished(&self, step: usize) -> bool {
        self.next[step] != NONE || self.episodes[step] != Episode::Running
    }

    /// Numbers of an observation.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Where observations lie on the host alone.
    pub fn observation(&self, step: usize) -> &[f32] {
        &self.observations.host()[step * self.inputs..(step + 1) * self.inputs]
    }

    pub fn legal(&self, step: usize) -> &[u8] {
        &self.legal[step * self.choices..(step + 1) * self.choices]
    }

    pub fn action(&self, step: usize) -> &[f32] {
        &self.actions[step * self.actions_width..(step + 1) * self.actions_width]
    }

    /// Truncated steps with the observations after them that were told.
    pub fn finals(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.final_of.iter().map(|step| *step as usize).zip(self.finals.chunks_exact(self.inputs))
    }

    /// Forgets the steps that are `used` and the episodes that were told of; what is left keeps its order and its memory.
    /// `open` as it was when they were chosen.
    pub fn forget(&mut self, used: &[bool], told: Ended, open: &Begins) -> Result<()> {
        let kept: Vec<usize> = (0..self.len()).filter(|step| !used.get(*step).copied().unwrap_or(false)).collect();
        self.observations.keep(&kept, self.inputs)?;
        let mut places = vec![NONE; self.len()];
        kept.iter().enumerate().for_each(|(place, step)| places[*step] = place as u32);
        let moved = |step: u32| if step == NONE { NONE } else { places[step as usize] };
        let finals: Vec<usize> = (0..self.final_of.len()).filter(|i| moved(self.final_of[*i]) != NONE).collect();
        keep(&mut self.finals, self.inputs, &finals);
        keep(&mut self.final_of, 1, &finals);
        self.final_of.iter_mut().for_each(|step| *step = moved(*step));
        keep(&mut self.slot_of, 1, &kept);
        keep(&mut self.legal, self.choices, &kept);
        keep(&mut self.actions, self.actions_width, &kept);
        keep(&mut self.log_probs, 1, &kept);
        keep(&mut self.versions, 1, &kept);
        keep(&mut self.rewards, 1, &kept);
        keep(&mut self.discounted, 1, &kept);
        keep(&mut self.episodes, 1, &kept);
        keep(&mut self.next, 1, &kept);
        self.next.iter_mut().for_each(|step| *step = moved(*step));
        self.slots.iter_mut().for_each(|slot| slot.open = moved(slot.open));
        self.states.forget(open, |step| Some(moved(step)).filter(|step| *step != NONE));
        self.count();
        self.ended.episodes -= told.episodes;
        self.ended.returns -= told.returns;
        self.ended.lengths -= told.lengths;
        Ok(())
    }

    /// Counts the finished steps anew.
    pub fn count(&mut self) {
        self.finished = (0..self.len()).filter(|step| self.is_learned(*step)).count();
    }

    /// Whether a step can be learned from.
    pub fn is_learned(&self, step: usize) -> bool {
        self.is_finished(step) && self.episodes[step] != Episode::Abandoned
    }
}

/// Keeps some rows of `width` values, in ascending order.
fn keep<T: Copy>(column: &mut Vec<T>, width: usize, rows: &[usize]) {
    for (place, row) in rows.iter().enumerate() {
        column.copy_within(row * width..(row + 1) * width, place * width);
    }
    column.truncate(rows.len() * width);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> Recording {
        Recording { inputs: 1, actions_width: 1, ..Recording::default() }
    }

    fn act(recording: &mut Recording, slot: usize, observation: f32) {
        recording.reach(slot);
        recording.observations.push(&[observation]);
        recording.act(slot, &[], &[0.0], -1.0, 0);
    }

    #[test]
    fn a_step_is_finished_by_what_follows() {
        let mut all = recording();
        act(&mut all, 1, 10.0);
        act(&mut all, 0, 20.0);
        all.observe(1, 1.0, Episode::Running, None, 0.5);
        all.observe(1, 2.0, Episode::Running, None, 0.5);
        assert_eq!((all.finished, all.rewards[0]), (0, 3.0));
        act(&mut all, 1, 11.0);
        assert_eq!((all.finished, all.next(0), all.next(1)), (1, Some(2), None));
        all.observe(1, 4.0, Episode::Truncated, Some(&[12.0]), 0.5);
        assert_eq!((all.finished, all.finals().next()), (2, Some((2, &[12.0f32][..]))));
        assert_eq!(all.discounted, [3.0, 0.0, 5.5]);
        assert_eq!(all.ended, Ended { episodes: 1, returns: 7.0, lengths: 2 });
        assert_eq!(all.slots[1], Slot::default());
    }

    #[test]
    fn what_is_used_goes_and_links_move() {
        let mut all = recording();
        act(&mut all, 0, 1.0);
        act(&mut all, 1, 2.0);
        all.observe(0, 0.0, Episode::Running, None, 1.0);
        act(&mut all, 0, 3.0);
        let used: Vec<bool> = (0..all.len()).map(|step| all.is_finished(step)).collect();
        assert_eq!(used, [true, false, false]);
        all.observe(1, 5.0, Episode::Running, None, 1.0);
        act(&mut all, 1, 4.0);
        all.observe(0, 6.0, Episode::Truncated, Some(&[9.0]), 1.0);
        let open = all.open();
        all.forget(&used, Ended::default(), &open).unwrap();
        assert_eq!(all.observations.host(), [2.0, 3.0, 4.0]);
        assert_eq!((all.next(0), all.next(1), all.next(2)), (Some(2), None, None));
        assert_eq!((all.slots[0].step(), all.slots[1].step()), (None, Some(2)));
        assert_eq!((all.finals().next(), all.finished), (Some((1, &[9.0f32][..])), 2));
    }
}

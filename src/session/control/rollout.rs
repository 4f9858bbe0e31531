//! The steps of one update, gathered from the recordings of all actors.

use super::ended::Ended;
use super::observations::Observations;
use super::recording::{Episode, Recording};
use super::sequence::Sequences;
use super::states::Begins;
use crate::algorithm::control_ppo::{self, Truncation};
use crate::error::Result;
use crate::kernel::{self, Follow};
use crate::model::control::{Normalizer, Statistics};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// What stands behind a step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    /// The slot's next step, a row of the rollout.
    Row(usize),
    /// An observation that is no row: an extra one.
    Extra(usize),
    /// The episode's end.
    End,
    /// The observation at which it was cut off, an extra one.
    Cut(usize),
}

/// Which steps of a recording were taken, and the episodes that had ended.
pub(super) struct Taken {
    pub recording: Arc<Mutex<Recording>>,
    used: Vec<bool>,
    ended: Ended,
    open: Begins,
}

impl Taken {
    /// Drops the steps from their recording.
    pub fn forget(&self) -> Result<()> {
        self.recording.lock().forget(&self.used, self.ended, &self.open)
    }
}

/// B steps; observations as the network reads them, settled. Behind their rows stand the extra ones, whose values alone
/// count.
#[derive(Default)]
pub(super) struct Rollout {
    pub observations: Observations,
    /// Numbers of an observation.
    pub width: usize,
    pub legal: Vec<u8>,
    pub actions: Vec<f32>,
    pub log_probs: Vec<f32>,
    pub rewards: Vec<f32>,
    discounted: Vec<f32>,
    /// Whose each row is.
    slots: Vec<u32>,
    after: Vec<After>,
    extras: usize,
    pub sequences: Sequences,
    pub taken: Vec<Taken>,
    pub ended: Ended,
}

impl Rollout {
    /// All finished steps; `None` if there are fewer than `least`.
    pub fn gather(
        recordings: &[Arc<Mutex<Recording>>],
        least: usize,
        truncation: Truncation,
    ) -> Result<Option<Rollout>> {
        let finished: usize = recordings.iter().map(|recording| recording.lock().finished).sum();
        if finished < least.max(1) {
            return Ok(None);
        }
        let mut all = Rollout::default();
        let mut extras = Observations::default();
        for recording in recordings {
            let mut source = recording.lock();
            all.take(&mut source, &mut extras, truncation)?;
            let used = (0..source.len()).map(|step| source.is_finished(step)).collect();
            all.taken.push(Taken { recording: recording.clone(), used, ended: source.ended, open: source.open() });
        }
        all.arrange()?;
        all.observations.append(extras)?;
        all.observations.settle()?;
        Ok((all.rows() > 0).then_some(all))
    }

    /// B.
    pub fn rows(&self) -> usize {
        self.rewards.len()
    }

    fn take(&mut self, source: &mut Recording, extras: &mut Observations, truncation: Truncation) -> Result<()> {
        let dropped = |step: usize| truncation == Truncation::Drop && source.episodes[step] == Episode::Truncated;
        let learned = |step: usize| source.is_learned(step) && !dropped(step);
        let finals: HashMap<usize, &[f32]> = source.finals().collect();
        let steps: Vec<usize> = (0..source.len()).filter(|step| learned(*step)).collect();
        let mut place = vec![None; source.len()];
        steps.iter().zip(self.rows()..).for_each(|(step, row)| place[*step] = Some(row));
        let (first, mut shown, mut cut, mut lasts) = (self.extras, Vec::new(), Vec::new(), Vec::new());
        for step in &steps {
            let mut extra = |shows: usize| {
                shown.push(shows);
                first + shown.len() - 1
            };
            let after = match (source.episodes[*step], source.next(*step)) {
                (Episode::Terminated, _) => After::End,
                (Episode::Truncated, _) => {
                    let extra = extra(*step);
                    if let Some(last) = finals.get(step) {
                        cut.push(extra);
                        lasts.extend_from_slice(last);
                    }
                    After::Cut(extra)
                }
                (_, Some(next)) => place[next].map_or_else(|| After::Extra(extra(next)), After::Row),
                (_, None) => After::End,
            };
            self.after.push(after);
            self.legal.extend_from_slice(source.legal(*step));
            self.actions.extend_from_slice(source.action(*step));
            self.log_probs.push(source.log_probs[*step]);
            self.rewards.push(source.rewards[*step]);
            self.discounted.push(source.discounted[*step]);
            self.slots.push(source.slot_of[*step]);
        }
        self.ended.add(source.ended);
        self.string(source, &place);
        self.extras += shown.len();
        self.width = source.inputs();
        self.observations.extend(&mut source.observations, &steps, self.width)?;
        extras.extend(&mut source.observations, &shown, self.width)?;
        extras.replace(&cut, &lasts, self.width)
    }

    /// Puts the rows in the order of turns, however slots are split among actors: the first step of each slot, in the order of
    /// the slots, then the second ones, ….
    fn arrange(&mut self) -> Result<()> {
        let order = in_turn(&self.slots);
        if order.is_sorted() {
            return Ok(());
        }
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, row)| places[*row] = place);
        let (legal, actions) = (self.legal.len() / order.len(), self.actions.len() / order.len());
        pick(&mut self.legal, legal, &order);
        pick(&mut self.actions, actions, &order);
        [&mut self.log_probs, &mut self.rewards, &mut self.discounted].into_iter().for_each(|all| pick(all, 1, &order));
        pick(&mut self.slots, 1, &order);
        pick(&mut self.after, 1, &order);
        for after in &mut self.after {
            if let After::Row(row) = after {
                *row = places[*row];
            }
        }
        self.sequences.arrange(&places);
        let mut observations = std::mem::take(&mut self.observations);
        self.observations.extend(&mut observations, &order, self.width)
    }

    /// Strings the rows of a recurrent policy into sequences, each from a state that was recorded.
    fn string(&mut self, source: &Recording, place: &[Option<usize>]) {
        let starts = source.states.starts();
        let mut sequences = vec![None; source.len()];
        for (step, row) in place.iter().enumerate().filter_map(|(step, row)| Some((step, (*row)?))) {
            let sequence = match (starts.get(&step), sequences[step]) {
                (Some(state), _) => self.sequences.begin(row, state),
                (None, Some(sequence)) => {
                    self.sequences.extend(sequence, row);
                    sequence
                }
                (None, None) => continue,
            };
            match (self.after[row], source.next(step)) {
                (After::Extra(extra) | After::Cut(extra), _) => self.sequences.end(sequence, extra),
                (_, Some(next)) => sequences[next] = Some(sequence),
                (_, None) => {}
            }
        }
    }

    /// Merges what was observed into `statistics`, then brings it to what the network reads.
    pub fn normalize(&mut self, statistics: &mut Statistics, normalizer: &Normalizer) -> Result<()> {
        let (vectors, rows) = (statistics.means.len(), self.rows());
        let Some(all) = self.observations.placed() else {
            let all = self.observations.host_mut();
            statistics.merge(all.chunks_exact(self.width).take(rows).map(|row| &row[..vectors]));
            normalizer.apply(all, self.width);
            return Ok(());
        };
        let mut read = all.f_narrow(1, 0, vectors as i64)?; // [states, vectors]
        statistics.merge_at(&read.f_narrow(0, 0, rows as i64)?)?;
        if let Some(normalizer) = normalizer.on(all.device())? {
            read.f_copy_(&normalizer.apply(&read)?)?;
        }
        Ok(())
    }

    /// Divides the rewards by the deviation of their discounted sums, this rollout's among them.
    pub fn scale_rewards(&mut self, statistics: &mut Statistics, clip: f64) {
        statistics.merge(self.discounted.chunks_exact(1));
        let scale = statistics.scale(0);
        for reward in &mut self.rewards {
            *reward = (f64::from(*reward) * scale).clamp(-clip, clip) as f32;
        }
    }

    /// Advantages and returns, [B] each, from the values of all states.
    pub fn advantages(&self, values: &[f32], config: &control_ppo::Config) -> (Vec<f32>, Vec<f32>) {
        let rows = self.rows();
        let follow = |(row, after): (usize, &After)| match *after {
            After::Row(next) => Follow::Step(next),
            After::Extra(extra) => Follow::Value(values[rows + extra]),
            After::End => Follow::Value(0.0),
            After::Cut(extra) => Follow::Value(config.truncation.next_value(values[row], values[rows + extra])),
        };
        let follows: Vec<Follow> = self.after.iter().enumerate().map(follow).collect();
        let mut advantages = vec![0.0; rows];
        let (discount, lambda) = (config.discount, config.gae_lambda);
        kernel::advantages(&self.rewards, &values[..rows], &follows, discount, lambda, &mut advantages);
        let returns = advantages.iter().zip(values).map(|(advantage, value)| advantage + value).collect();
        (advantages, returns)
    }
}

/// The order of turns of rows whose slots these are, each slot's rows as they come.
pub(super) fn in_turn(slots: &[u32]) -> Vec<usize> {
    let mut turns: HashMap<u32, usize> = HashMap::new();
    let mut turn = |slot: u32| {
        let turn = turns.entry(slot).or_default();
        *turn += 1;
        *turn
    };
    let mut order: Vec<(usize, u32, usize)> =
        slots.iter().enumerate().map(|(row, slot)| (turn(*slot), *slot, row)).collect();
    order.sort_unstable();
    order.into_iter().map(|(.., row)| row).collect()
}

/// Rows of `width` values in another order.
fn pick<T: Copy>(column: &mut Vec<T>, width: usize, order: &[usize]) {
    *column = order.iter().flat_map(|row| &column[row * width..(row + 1) * width]).copied().collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_the_same_however_slots_are_split() {
        assert_eq!(in_turn(&[0, 1, 2, 0, 1, 2]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(in_turn(&[2, 2, 0, 0, 0, 1]), [2, 5, 0, 3, 1, 4]);
        let mut column = vec![1, 2, 3, 4];
        pick(&mut column, 2, &[1, 0]);
        assert_eq!(column, [3, 4, 1, 2]);
    }
}

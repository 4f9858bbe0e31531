//! The steps of one update, gathered from the recordings of all actors.

use super::ended::Ended;
use super::recording::{Episode, Recording};
use super::sequence::Sequences;
use super::states::Begins;
use crate::algorithm::control_ppo::{self, Truncation};
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
    pub fn forget(&self) {
        self.recording.lock().forget(&self.used, self.ended, &self.open);
    }
}

/// B steps; observations as the network reads them. Behind their rows stand the extra ones, whose values alone count.
#[derive(Default)]
pub(super) struct Rollout {
    pub observations: Vec<f32>,
    pub legal: Vec<u8>,
    pub actions: Vec<f32>,
    pub log_probs: Vec<f32>,
    pub rewards: Vec<f32>,
    discounted: Vec<f32>,
    after: Vec<After>,
    extras: usize,
    pub sequences: Sequences,
    pub taken: Vec<Taken>,
    pub ended: Ended,
}

impl Rollout {
    /// All finished steps; `None` if there are fewer than `least`.
    pub fn gather(recordings: &[Arc<Mutex<Recording>>], least: usize, truncation: Truncation) -> Option<Rollout> {
        let finished: usize = recordings.iter().map(|recording| recording.lock().finished).sum();
        if finished < least.max(1) {
            return None;
        }
        let mut all = Rollout::default();
        let mut extras = Vec::new();
        for recording in recordings {
            let source = recording.lock();
            all.take(&source, &mut extras, truncation);
            let used = (0..source.len()).map(|step| source.is_finished(step)).collect();
            all.taken.push(Taken { recording: recording.clone(), used, ended: source.ended, open: source.open() });
        }
        all.observations.extend(extras);
        (all.rows() > 0).then_some(all)
    }

    /// B.
    pub fn rows(&self) -> usize {
        self.rewards.len()
    }

    /// Observations, the extra ones among them.
    pub fn states(&self) -> usize {
        self.rows() + self.extras
    }

    fn take(&mut self, source: &Recording, extras: &mut Vec<f32>, truncation: Truncation) {
        let dropped = |step: usize| truncation == Truncation::Drop && source.episodes[step] == Episode::Truncated;
        let learned = |step: usize| source.is_learned(step) && !dropped(step);
        let finals: HashMap<usize, &[f32]> = source.finals().collect();
        let steps: Vec<usize> = (0..source.len()).filter(|step| learned(*step)).collect();
        let mut place = vec![None; source.len()];
        steps.iter().zip(self.rows()..).for_each(|(step, row)| place[*step] = Some(row));
        for step in steps {
            let mut extra = |observation: &[f32]| {
                extras.extend_from_slice(observation);
                self.extras += 1;
                self.extras - 1
            };
            let after = match (source.episodes[step], source.next(step)) {
                (Episode::Terminated, _) => After::End,
                (Episode::Truncated, _) => finals.get(&step).map_or(After::End, |last| After::Cut(extra(last))),
                (_, Some(next)) => match place[next] {
                    Some(row) => After::Row(row),
                    None => After::Extra(extra(source.observation(next))),
                },
                (_, None) => After::End,
            };
            self.after.push(after);
            self.observations.extend_from_slice(source.observation(step));
            self.legal.extend_from_slice(source.legal(step));
            self.actions.extend_from_slice(source.action(step));
            self.log_probs.push(source.log_probs[step]);
            self.rewards.push(source.rewards[step]);
            self.discounted.push(source.discounted[step]);
        }
        self.ended.add(source.ended);
        self.string(source, &place);
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
    pub fn normalize(&mut self, statistics: &mut Statistics, normalizer: &Normalizer) {
        let (vectors, width) = (statistics.means.len(), self.observations.len() / self.states().max(1));
        let rows = self.observations.chunks_exact(width).take(self.rows());
        statistics.merge(rows.map(|row| &row[..vectors]));
        normalizer.apply(&mut self.observations, width);
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

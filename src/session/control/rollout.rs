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
        }
        self.ended.add(source.ended);
        self.string(source, &place);
        self.extras += shown.len();
        self.width = source.inputs();
        self.observations.extend(&mut source.observations, &steps, self.width)?;
        extras.extend(&mut source.observations, &shown, self.width)?;
        extras.replace(&cut, &lasts, self.width)
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

//! The pairs of segments that a reward model learns from: what was pushed, what each was used for, which come next.
//!
//! A pair enters whole, checked against the widths of the network, and is dropped after its last pass. Nothing is consumed
//! by an update that fails.

use super::course::Saved;
use crate::algorithm::Regime;
use crate::data::{Batch, Column, Kind};
use crate::error::{Error, Result, Status};
use crate::model::control::RewardSpec;
use crate::session::buffer::{shuffle, Cursor};
use crate::session::queue::Queue;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// Steps of a trajectory: observations [T, O] and actions [T, A] as they were handed out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Segment {
    pub observations: Vec<f32>,
    pub actions: Vec<f32>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pair {
    pub id: u64,
    /// The chosen one, then the rejected one.
    pub segments: [Segment; 2],
    pub probability: f32,
    pub weight: f32,
    pub evaluation: bool,
    pub passes: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    next_id: u64,
    rows: Vec<Arc<Pair>>,
    cursor: Cursor,
}

/// What an update is made of, and the cursor as it will stand once the update is done.
pub(super) struct Selection {
    pub rows: Vec<Arc<Pair>>,
    cursor: Cursor,
}

/// What a checkpoint says of pairs beside their numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct PairsState {
    next_id: u64,
    cursor: Cursor,
    /// Id, steps of either segment, evaluation, passes.
    rows: Vec<(u64, [usize; 2], bool, u64)>,
}

/// The tensor that holds the numbers of all pairs.
const NUMBERS: &str = "pairs.numbers";

impl Pairs {
    /// Takes all pairs of a batch or none; returns the id of the first.
    pub fn push(&mut self, batch: &Batch, spec: &RewardSpec, most: &Queue) -> Result<u64> {
        let rows = read(batch, spec)?;
        most.check(self.rows.len(), rows.len(), "pairs", "update or clear first")?;
        let first = self.next_id;
        self.next_id += rows.len() as u64;
        self.rows.extend((first..).zip(rows).map(|(id, row)| Arc::new(Pair { id, ..row })));
        Ok(first)
    }

    pub fn clear(&mut self) {
        self.rows.clear();
        self.cursor.pending.clear();
    }

    pub fn evaluation(&self) -> Vec<Arc<Pair>> {
        self.rows.iter().filter(|row| row.evaluation).cloned().collect()
    }

    /// The pairs of the next update; `None` when more are needed.
    pub fn select(&self, regime: Regime, seed: u64) -> Option<Selection> {
        let Regime::Offline { batch_size, epochs, shuffle: shuffled } = regime else { return None };
        let mut cursor = self.cursor.clone();
        if cursor.pending.is_empty() {
            let due = |row: &&Arc<Pair>| !row.evaluation && (epochs == 0 || row.passes < epochs);
            cursor.pending = self.rows.iter().filter(due).map(|row| row.id).collect();
            if shuffled {
                shuffle(&mut cursor.pending, seed, cursor.pass);
            }
            cursor.pass += 1;
        }
        let places: HashMap<u64, &Arc<Pair>> = self.rows.iter().map(|row| (row.id, row)).collect();
        let taken = cursor.pending.drain(..batch_size.min(cursor.pending.len()));
        let rows: Vec<_> = taken.filter_map(|id| places.get(&id).map(|row| (*row).clone())).collect();
        (!rows.is_empty()).then_some(Selection { rows, cursor })
    }

    /// Books an update that is done.
    pub fn consume(&mut self, selection: &Selection, regime: Regime) {
        let Regime::Offline { epochs, .. } = regime else { return };
        let used: HashSet<u64> = selection.rows.iter().map(|row| row.id).collect();
        for row in self.rows.iter_mut().filter(|row| used.contains(&row.id)) {
            Arc::make_mut(row).passes += 1;
        }
        self.rows.retain(|row| row.evaluation || epochs == 0 || row.passes < epochs);
        self.cursor = selection.cursor.clone();
    }

    /// Puts the numbers among the tensors; returns the rest.
    pub fn save(&self, saved: &mut Saved) -> PairsState {
        let mut numbers = Vec::new();
        let mut rows = Vec::new();
        for row in &self.rows {
            numbers.extend([row.probability, row.weight]);
            for segment in &row.segments {
                numbers.extend_from_slice(&segment.observations);
                numbers.extend_from_slice(&segment.actions);
            }
            // lengths in numbers of either segment, which with the widths make steps
            let lengths = row.segments.each_ref().map(|segment| segment.observations.len() + segment.actions.len());
            rows.push((row.id, lengths, row.evaluation, row.passes));
        }
        saved.tensors.insert(NUMBERS.to_string(), numbers);
        PairsState { next_id: self.next_id, cursor: self.cursor.clone(), rows }
    }

    /// What `save` put; refuses what no push can have made.
    pub fn restore(state: &PairsState, saved: &Saved, spec: &RewardSpec) -> Result<Pairs> {
        let damaged = || Error::new(Status::Format, "checkpoint: its pairs are damaged");
        let (mut numbers, width) = (saved.tensor(NUMBERS)?.as_slice(), spec.inputs() + spec.actions());
        let mut take = |count: usize| {
            let (taken, rest) = numbers.split_at_checked(count)?;
            numbers = rest;
            Some(taken.to_vec())
        };
        let mut rows = Vec::new();
        for (id, lengths, evaluation, passes) in &state.rows {
            let said = take(2).ok_or_else(damaged)?;
            let mut segment = |length: usize| {
                let steps = length / width;
                let observations = take(steps * spec.inputs())?;
                Some(Segment { observations, actions: take(steps * spec.actions())? })
                    .filter(|_| length == steps * width)
            };
            let (chosen, rejected) = (segment(lengths[0]), segment(lengths[1]));
            let segments = [chosen.ok_or_else(damaged)?, rejected.ok_or_else(damaged)?];
            let (evaluation, passes) = (*evaluation, *passes);
            rows.push(Pair { id: *id, segments, probability: said[0], weight: said[1], evaluation, passes });
        }
        let ids: HashSet<u64> = rows.iter().map(|row| row.id).collect();
        let known = state.cursor.pending.iter().all(|id| ids.contains(id));
        let counted = [state.next_id, state.cursor.pass].into_iter().chain(rows.iter().map(|row| row.passes));
        let counted = counted.into_iter().all(|count| count < u64::MAX / 2);
        let distinct = ids.len() == rows.len() && ids.iter().all(|id| *id < state.next_id);
        if !known || !counted || !distinct || !numbers.is_empty() || !rows.iter().all(|row| sound(row, spec)) {
            return Err(damaged());
        }
        let rows = rows.into_iter().map(Arc::new).collect();
        Ok(Pairs { next_id: state.next_id, rows, cursor: state.cursor.clone() })
    }
}

fn sound(pair: &Pair, spec: &RewardSpec) -> bool {
    let whole = |segment: &Segment| {
        !segment.actions.is_empty()
            && segment.observations.iter().all(|number| number.is_finite())
            && segment.actions.chunks_exact(spec.actions()).all(|action| spec.is_action(action))
    };
    pair.segments.iter().all(whole)
        && (0.0..=1.0).contains(&pair.probability)
        && pair.weight >= 0.0
        && pair.weight.is_finite()
}

/// Every row of the batch, or the first error with its row and column.
fn read(batch: &Batch, spec: &RewardSpec) -> Result<Vec<Pair>> {
    if batch.kind() != Kind::Preferences {
        let message = format!("batch: expected preferences for this algorithm, got {}", batch.kind().name());
        return Err(Error::data(message));
    }
    batch.check_control()?;
    for name in ["margin", "group"] {
        if batch.column(name).is_some() {
            return Err(Error::data(format!("{name}: this session's algorithm reads no such column")));
        }
    }
    for name in ["probability", "weight"] {
        let found = batch.column(name).map_or(1, |column| column.values.len() / batch.rows() as usize);
        if found != 1 {
            return Err(Error::shape(format!("{name}: expected 1 number a row, got {found}")));
        }
    }
    (0..batch.rows() as usize).map(|row| pair(batch, row, spec)).collect()
}

fn pair(batch: &Batch, row: usize, spec: &RewardSpec) -> Result<Pair> {
    let number = |name: &str| batch.column(name).map_or(1.0, |column| column.row_f32(row)[0]);
    Ok(Pair {
        id: 0,
        segments: [segment(batch, row, "chosen", spec)?, segment(batch, row, "rejected", spec)?],
        probability: number("probability"),
        weight: number("weight"),
        evaluation: batch.column("split").is_some_and(|column| column.row_i32(row)[0] == 1),
        passes: 0,
    })
}

fn segment(batch: &Batch, row: usize, which: &str, spec: &RewardSpec) -> Result<Segment> {
    let numbers =
        |name: &str| batch.column(name).map(|column: &Column| column.row_f32(row).to_vec()).unwrap_or_default();
    let names = [format!("{which}_observation"), format!("{which}_action")];
    let (observations, actions) = (numbers(&names[0]), numbers(&names[1]));
    let steps = steps(&observations, spec.inputs(), row, &names[0])?;
    let acted = self::steps(&actions, spec.actions(), row, &names[1])?;
    if steps != acted {
        let message = format!("{}: expected {steps} steps in row {row}, as {} has, got {acted}", names[1], names[0]);
        return Err(Error::shape(message));
    }
    let illegal = |range: &Range<usize>| !spec.is_action(&actions[range.clone()]);
    let mut ranges = (0..steps).map(|step| step * spec.actions()..(step + 1) * spec.actions());
    if let Some(step) = ranges.position(|range| illegal(&range)) {
        let message =
            format!("{}: expected an action in step {step} of row {row}: choices are whole numbers", names[1]);
        return Err(Error::data(format!("{message} from 0, below how many there are")));
    }
    Ok(Segment { observations, actions })
}

/// How many steps of `width` numbers a row has, at least one.
fn steps(numbers: &[f32], width: usize, row: usize, name: &str) -> Result<usize> {
    match numbers.len() {
        count if count > 0 && count.is_multiple_of(width) => Ok(count / width),
        count => {
            let message = format!("{name}: expected steps of {width} numbers in row {row}, at least one, got {count}");
            Err(Error::shape(message))
        }
    }
}

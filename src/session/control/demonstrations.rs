//! Pushed demonstrations of a control policy: what was observed, and what an expert did.

use super::course::Saved;
use crate::data::{Batch, Column, Kind};
use crate::error::{Error, Result};
use crate::model::control::Spec;
use serde::{Deserialize, Serialize};

/// Demonstrations that a session holds at most.
const MOST: usize = 1 << 26;

/// B demonstrations, each column row-major: some that were gathered, or all that a session holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Demonstrations {
    /// [B, O], as they were pushed or as the network reads them.
    pub observations: Vec<f32>,
    /// [B, choices] where there are masks.
    pub legal: Vec<u8>,
    /// [B, A], as they are recorded.
    pub actions: Vec<f32>,
    pub weights: Vec<f32>,
}

/// The columns that are read.
const COLUMNS: [&str; 4] = ["observation", "action", "mask", "weight"];

impl Demonstrations {
    pub fn rows(&self) -> usize {
        self.weights.len()
    }

    /// All rows of a batch; refuses it where one of them is none.
    pub fn read(spec: &Spec, batch: &Batch) -> Result<Demonstrations> {
        if batch.kind() != Kind::Demonstrations {
            let found = batch.kind().name();
            return Err(Error::state(format!("push: expected a batch of demonstrations, got one of {found}")));
        }
        batch.check_control()?;
        if spec.is_encoded() {
            return Err(Error::state("push: expected a policy of vectors; no images and no sets are demonstrated"));
        }
        if let Some((name, _)) = batch.columns().find(|(name, _)| !COLUMNS.contains(name)) {
            return Err(Error::data(format!("{name}: no column of demonstrations for a control policy")));
        }
        let mut added = Demonstrations::default();
        for row in 0..batch.rows() as usize {
            added.take(spec, batch, row).map_err(|error| error.within(format_args!("row {row}")))?;
        }
        Ok(added)
    }

    /// Adds rows behind those that are there.
    pub fn extend(&mut self, added: Demonstrations) {
        self.observations.extend(added.observations);
        self.legal.extend(added.legal);
        self.actions.extend(added.actions);
        self.weights.extend(added.weights);
    }

    fn take(&mut self, spec: &Spec, batch: &Batch, row: usize) -> Result<()> {
        let numbers = |name: &str, expected: usize| {
            let found = batch.column(name).map_or(&[][..], |column: &Column| column.row_f32(row));
            match found.len() == expected {
                true => Ok(found),
                false => Err(Error::shape(format!("{name}: expected {expected} numbers a row, got {}", found.len()))),
            }
        };
        self.observations.extend_from_slice(numbers("observation", spec.inputs)?);
        let mut legal = vec![1; spec.choices];
        if let Some(column) = batch.column("mask") {
            let found = column.row_u8(row);
            if !spec.masked || found.len() != spec.choices {
                let expected = if spec.masked { spec.choices } else { 0 };
                return Err(Error::shape(format!("mask: expected {expected} numbers a row, got {}", found.len())));
            }
            legal.copy_from_slice(found);
        }
        let mut action = vec![0.0; spec.actions];
        spec.record_action(numbers("action", spec.actions)?, &legal, &mut action)?;
        self.actions.extend(action);
        if spec.masked {
            self.legal.extend(legal);
        }
        self.weights.push(match batch.column("weight") {
            Some(_) => numbers("weight", 1)?[0],
            None => 1.0,
        });
        Ok(())
    }

    /// Makes this what these rows of `all` are.
    pub fn gather(&mut self, all: &Demonstrations, rows: impl Iterator<Item = usize> + Clone) {
        fill(&mut self.observations, &all.observations, all.rows(), rows.clone());
        fill(&mut self.legal, &all.legal, all.rows(), rows.clone());
        fill(&mut self.actions, &all.actions, all.rows(), rows.clone());
        fill(&mut self.weights, &all.weights, all.rows(), rows);
    }

    pub fn clear(&mut self) {
        *self = Demonstrations::default();
    }

    /// Adds them to a checkpoint.
    pub fn save(&self, saved: &mut Saved) {
        let legal = self.legal.iter().map(|legal| f32::from(*legal)).collect();
        let columns = [self.observations.clone(), self.actions.clone(), legal, self.weights.clone()];
        saved.tensors.extend(COLUMNS.iter().zip(columns).map(|(name, column)| (tensor(name), column)));
    }

    /// Those of a checkpoint; `None` if no policy of this spec can have learned from them.
    pub fn saved(saved: &Saved, spec: &Spec) -> Result<Option<Demonstrations>> {
        let column = |name: &str| saved.tensor(&tensor(name)).cloned();
        let legal = column("mask")?;
        let flags = legal.iter().all(|legal| *legal == 0.0 || *legal == 1.0);
        let all = Demonstrations {
            observations: column("observation")?,
            actions: column("action")?,
            legal: legal.iter().map(|legal| *legal as u8).collect(),
            weights: column("weight")?,
        };
        Ok((flags && all.sound(spec)).then_some(all))
    }

    fn sound(&self, spec: &Spec) -> bool {
        let (rows, choices) = (self.rows(), if spec.masked { spec.choices } else { 0 });
        let lengths = [self.observations.len(), self.actions.len(), self.legal.len()];
        let legal = |row: usize| &self.legal[row * choices..][..choices];
        rows <= MOST
            && lengths == [rows * spec.inputs, rows * spec.actions, rows * choices]
            && self.observations.iter().chain(&self.weights).all(|number| number.is_finite())
            && self.weights.iter().all(|weight| *weight >= 0.0)
            && (0..rows).all(|row| spec.is_action(&self.actions[row * spec.actions..][..spec.actions], legal(row)))
    }
}

fn tensor(column: &str) -> String {
    format!("demonstrations.{column}")
}

/// Rows of a column of `count` rows, one behind the other.
fn fill<T: Copy>(target: &mut Vec<T>, column: &[T], count: usize, rows: impl Iterator<Item = usize>) {
    let width = column.len() / count.max(1);
    target.clear();
    rows.for_each(|row| target.extend_from_slice(&column[row * width..(row + 1) * width]));
}

/// Where the passes over rows that come in pushes stand; a row joins in the pass after the one that runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Passes {
    /// So many rows join in that pass.
    joined: Vec<(u64, u64)>,
    pass: u64,
    /// Rows of the pass that were visited, and whether any was given out.
    visited: u64,
    begun: bool,
    /// The order of the pass, once it is known.
    #[serde(skip)]
    order: Vec<usize>,
}

impl Passes {
    pub fn join(&mut self, rows: u64) {
        if !self.begun {
            self.order.clear();
        }
        self.joined.push((rows, self.pass + u64::from(self.begun)));
    }

    /// The next rows, `count` at most; `None` when each was visited `epochs` times, 0 for no end. In the order of the
    /// seed, or in their own.
    pub fn next(&mut self, count: usize, epochs: u64, seed: Option<u64>) -> Option<Vec<usize>> {
        if self.visited > 0 && self.visited >= self.order(epochs, seed).len() as u64 {
            (self.pass, self.visited, self.begun) = (self.pass + 1, 0, false);
            self.order.clear();
        }
        let visited = self.visited as usize;
        let order = self.order(epochs, seed);
        let rows = order[visited..order.len().min(visited + count)].to_vec();
        self.begun |= !rows.is_empty();
        (!rows.is_empty()).then_some(rows)
    }

    /// Marks rows that `next` gave as visited.
    pub fn visit(&mut self, rows: usize) {
        self.visited += rows as u64;
    }

    fn order(&mut self, epochs: u64, seed: Option<u64>) -> &[usize] {
        if self.order.is_empty() {
            let mut first = 0;
            for (rows, since) in &self.joined {
                let due = *since <= self.pass && (epochs == 0 || self.pass - since < epochs);
                self.order.extend((first..first + rows).filter(|_| due).map(|row| row as usize));
                first += rows;
            }
            if let Some(seed) = seed {
                crate::session::buffer::shuffle(&mut self.order, seed, self.pass);
            }
        }
        &self.order
    }

    /// Whether a checkpoint's passes are over so many rows.
    pub fn sound(&self, rows: usize) -> bool {
        let total = self.joined.iter().try_fold(0u64, |sum, (rows, _)| sum.checked_add(*rows));
        let within = self.joined.iter().all(|(_, since)| *since <= self.pass + 1);
        self.pass < 1 << 62 && within && total == Some(rows as u64) && self.visited <= rows as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visited(passes: &mut Passes, count: usize, epochs: u64, seed: Option<u64>) -> Option<Vec<usize>> {
        let rows = passes.next(count, epochs, seed)?;
        passes.visit(rows.len());
        Some(rows)
    }

    #[test]
    fn each_row_is_visited_as_often_as_is_asked() {
        let mut passes = Passes::default();
        passes.join(3);
        assert_eq!(passes.next(2, 2, None), Some(vec![0, 1]));
        passes.join(2);
        assert_eq!(visited(&mut passes, 2, 2, None), Some(vec![0, 1]), "as long as they were not visited");
        let rest: Vec<Vec<usize>> = std::iter::from_fn(|| visited(&mut passes, 2, 2, None)).collect();
        assert_eq!(rest, [vec![2], vec![0, 1], vec![2, 3], vec![4], vec![3, 4]]);
        passes.join(1);
        assert_eq!(visited(&mut passes, 9, 2, None), Some(vec![5]));
        assert!(passes.sound(6) && !passes.sound(5));
    }

    #[test]
    fn a_pass_is_shuffled_by_seed_and_number_and_survives_its_file() {
        let mut passes = Passes::default();
        passes.join(50);
        let mut all = visited(&mut passes, 30, 0, Some(7)).unwrap();
        let mut copy: Passes = serde_json::from_value(serde_json::to_value(&passes).unwrap()).unwrap();
        let rest = visited(&mut passes, 30, 0, Some(7)).unwrap();
        assert_eq!(visited(&mut copy, 30, 0, Some(7)).unwrap(), rest);
        assert_eq!(visited(&mut copy, 50, 0, Some(7)), visited(&mut passes, 50, 0, Some(7)));
        all.extend(rest);
        assert_ne!(all, (0..50).collect::<Vec<_>>());
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
    }
}

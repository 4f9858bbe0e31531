//! The rows a session trains on: what was pushed, what each row has been used for, which rows come next.
//!
//! Rows enter whole and are never re-tokenised. On-policy rows are taken by one update and dropped when it ends; offline
//! rows are visited in seeded passes and dropped after their last one. Nothing is consumed by an update that fails.

use crate::algorithm::Regime;
use crate::model::{Architecture, Sequence};
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// One pushed row: its sequences (one response, or chosen then rejected) and what is known of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Row {
    pub id: u64,
    pub sequences: Vec<Sequence>,
    pub evaluation: bool,
    /// A demonstration beside rollouts.
    pub mixed: bool,
    /// What the host's columns of numbers say of it, one or several numbers each.
    pub numbers: BTreeMap<String, Vec<f32>>,
    /// One number for each of the method's rewards.
    pub reward: Option<Vec<f32>>,
    /// The row's group: the first row in it. Until it is pushed, counted within its batch.
    pub group: u64,
    /// The host's columns of one number a response token.
    pub tokens: BTreeMap<String, Vec<f32>>,
    /// The version of the weights that sampled the response, where the host says it.
    pub policy_version: Option<u64>,
    /// Whether the rollout ended by itself (end token or stop), rather than by length or by the host.
    pub finished: bool,
    /// Passes made over this row.
    pub passes: u64,
}

/// Rows of the pass in progress that are still to come, and how many passes there were.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub pass: u64,
    pub pending: Vec<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Buffer {
    pub next_id: u64,
    pub rows: Vec<Arc<Row>>,
    pub cursor: Cursor,
    /// Where the demonstrations stand that are mixed in.
    pub mixed: Cursor,
    /// Rows whose rewards the host was asked for and has not told yet; a restored session asks again.
    #[serde(skip)]
    pub asked: HashSet<u64>,
    /// Rows of the update that runs.
    #[serde(skip)]
    pub taken: HashSet<u64>,
    /// Rows that were too old for an update, since the last one.
    #[serde(skip)]
    stale: usize,
}

/// What an update is made of, and the cursor as it will stand once the update is done.
pub(super) struct Selection {
    pub rows: Vec<Arc<Row>>,
    pub cursor: Cursor,
    /// Demonstrations for each optimiser step, and their cursor.
    pub mixed: Vec<Vec<Arc<Row>>>,
    pub mixed_cursor: Cursor,
    /// How many rows were too old for it.
    pub stale: usize,
}

impl Buffer {
    /// Takes all rows and gives them consecutive ids; returns the first.
    pub fn push(&mut self, rows: Vec<Row>) -> u64 {
        let first = self.next_id;
        for mut row in rows {
            row.id = self.next_id;
            row.group += first;
            self.next_id += 1;
            self.rows.push(Arc::new(row));
        }
        first
    }

    /// Whether rows that were read from a file could have been pushed: `sequences` and `rewards` a row, all within the
    /// model.
    pub fn sound(&self, sequences: usize, rewards: usize, architecture: &Architecture) -> bool {
        let ids = self.ids();
        let distinct = ids.len() == self.rows.len() && ids.iter().all(|id| *id < self.next_id);
        let known = self.cursor.pending.iter().chain(&self.mixed.pending).all(|id| ids.contains(id));
        let row = |row: &Row| {
            let mut tokens = row.tokens.values();
            row.sequences.len() == sequences
                && row.sequences.iter().all(|sequence| sequence.sound(architecture))
                && tokens.all(|numbers| numbers.len() == row.sequences[0].response_length())
                && row.tokens.values().flatten().all(|number| number.is_finite())
                && row.numbers.values().flatten().chain(row.reward.iter().flatten()).all(|number| number.is_finite())
                && row.reward.as_ref().is_none_or(|reward| reward.len() == rewards)
        };
        let counted = |count: u64| count < u64::MAX / 2;
        let counters = counted(self.next_id) && counted(self.cursor.pass) && counted(self.mixed.pass);
        distinct && known && counters && self.rows.iter().all(|each| counted(each.passes) && row(each))
    }

    pub fn ids(&self) -> HashSet<u64> {
        self.rows.iter().map(|row| row.id).collect()
    }

    /// The policy versions of rows as so many publications before `version`, and back: what a restore publishes makes no
    /// row older.
    pub fn count_from(&mut self, version: u64) {
        for row in self.rows.iter_mut().filter(|row| row.policy_version.is_some()) {
            let row = Arc::make_mut(row);
            row.policy_version = row.policy_version.map(|sampled| version.saturating_sub(sampled));
        }
    }

    pub fn clear(&mut self) {
        self.rows.clear();
        self.asked.clear();
        self.stale = 0;
        self.cursor.pending.clear();
        self.mixed.pending.clear();
    }

    pub fn evaluation(&self) -> Vec<Arc<Row>> {
        self.rows.iter().filter(|row| row.evaluation && !row.mixed).cloned().collect()
    }

    /// Drops rollouts that were sampled more than `most` publications before `version`; those that do not say stay.
    pub fn drop_stale(&mut self, most: u64, version: u64) {
        let before = self.rows.len();
        let young = |row: &Row| row.policy_version.is_none_or(|sampled| sampled.saturating_add(most) >= version);
        self.rows.retain(|row| row.evaluation || young(row));
        self.stale += before - self.rows.len();
        let ids = self.ids();
        self.asked.retain(|id| ids.contains(id));
    }

    /// The rows of the next update; `None` when more data is needed.
    pub fn select(&self, regime: Regime, seed: u64) -> Option<Selection> {
        match regime {
            Regime::OnPolicy { .. } => {
                let rows: Vec<_> = self.rows.iter().filter(|row| !row.evaluation && !row.mixed).cloned().collect();
                (!rows.is_empty()).then(|| self.selection(rows, self.cursor.clone()))
            }
            Regime::Offline { batch_size, epochs, shuffle } => {
                let mut cursor = self.cursor.clone();
                if cursor.pending.is_empty() {
                    let due = |row: &Row| epochs == 0 || row.passes < epochs;
                    cursor.pending = self.pass(due, shuffle.then_some(seed), cursor.pass);
                    cursor.pass += 1;
                }
                let taken: Vec<u64> = cursor.pending.drain(..self.next(&cursor.pending, batch_size)).collect();
                let places: HashMap<u64, &Arc<Row>> = self.rows.iter().map(|row| (row.id, row)).collect();
                let rows: Vec<_> = taken.iter().filter_map(|id| places.get(id).map(|row| (*row).clone())).collect();
                (!rows.is_empty()).then(|| self.selection(rows, cursor))
            }
        }
    }

    fn selection(&self, rows: Vec<Arc<Row>>, cursor: Cursor) -> Selection {
        Selection { rows, cursor, mixed: Vec::new(), mixed_cursor: self.mixed.clone(), stale: self.stale }
    }

    /// Draws `count` demonstrations for each of `steps` from a seeded shuffle without end; `None` where there are none.
    pub fn mix(&self, selection: Selection, steps: usize, count: usize, seed: u64) -> Option<Selection> {
        let places: HashMap<u64, &Arc<Row>> = self.rows.iter().map(|row| (row.id, row)).collect();
        let mut cursor = self.mixed.clone();
        let mut drawn = Vec::new();
        while drawn.len() < steps * count {
            if cursor.pending.is_empty() {
                cursor.pending = self.pass(|row| row.mixed, Some(seed), cursor.pass);
                cursor.pass += 1;
            }
            let wanted = (steps * count - drawn.len()).min(cursor.pending.len());
            let taken = cursor.pending.drain(..wanted).filter_map(|id| places.get(&id).map(|row| (*row).clone()));
            drawn.extend(taken.collect::<Vec<_>>());
            if wanted == 0 {
                return None;
            }
        }
        let mixed = drawn.chunks(count).map(<[_]>::to_vec).collect();
        Some(Selection { mixed, mixed_cursor: cursor, ..selection })
    }

    /// The ids of one pass, in order or in the seed's order for that pass; those of a group stay together.
    fn pass(&self, due: impl Fn(&Row) -> bool, seed: Option<u64>, pass: u64) -> Vec<u64> {
        let mut groups: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| !row.evaluation && due(row)) {
            groups.entry(row.group).or_default().push(row.id);
        }
        let mut groups: Vec<Vec<u64>> = groups.into_values().collect();
        if let Some(seed) = seed {
            shuffle(&mut groups, seed, pass);
        }
        groups.concat()
    }

    /// The next `count` ids of a pass, and more where the last of them would leave others of its group behind.
    fn next(&self, pending: &[u64], count: usize) -> usize {
        let groups: HashMap<u64, u64> = self.rows.iter().map(|row| (row.id, row.group)).collect();
        let group = |place: usize| pending.get(place).and_then(|id| groups.get(id));
        let mut end = count.min(pending.len());
        while end > 0 && end < pending.len() && group(end).is_some() && group(end) == group(end - 1) {
            end += 1;
        }
        end
    }

    /// Marks an update as done: on-policy rows go, offline rows have one pass more and go after their last. Of the
    /// demonstrations those of `mixed_steps` are used; the others come next.
    pub fn consume(&mut self, selection: &Selection, regime: Regime, mixed_steps: usize) {
        let used: HashSet<u64> = selection.rows.iter().map(|row| row.id).collect();
        self.mixed = selection.mixed_cursor.clone();
        let unused = selection.mixed.iter().skip(mixed_steps).flatten().map(|row| row.id);
        self.mixed.pending.splice(0..0, unused);
        self.stale -= selection.stale;
        self.asked.retain(|id| !used.contains(id));
        match regime {
            Regime::OnPolicy { .. } => self.rows.retain(|row| !used.contains(&row.id)),
            Regime::Offline { epochs, .. } => {
                for row in self.rows.iter_mut().filter(|row| used.contains(&row.id)) {
                    Arc::make_mut(row).passes += 1;
                }
                self.rows.retain(|row| row.evaluation || epochs == 0 || row.passes < epochs);
                self.cursor = selection.cursor.clone();
            }
        }
    }
}

/// Shuffles `items` by the stream (`seed`, `stream`): the same arguments give the same order on every machine.
pub(super) fn shuffle<T>(items: &mut [T], seed: u64, stream: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream);
    for last in (1..items.len()).rev() {
        let chosen = (u128::from(random.next_u64()) * (last as u128 + 1)) >> 64;
        items.swap(last, chosen as usize);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn buffer(rows: usize) -> Buffer {
        let row = Row {
            id: 0,
            sequences: vec![Sequence { tokens: vec![1, 2], prompt_length: 1, mask: None }],
            evaluation: false,
            mixed: false,
            numbers: BTreeMap::new(),
            reward: None,
            group: 0,
            tokens: BTreeMap::new(),
            policy_version: None,
            finished: true,
            passes: 0,
        };
        let mut buffer = Buffer::default();
        let numbered = |(place, row)| Row { group: place, ..row };
        buffer.push((0..).zip(vec![row; rows]).map(numbered).collect());
        buffer
    }

    fn next(buffer: &mut Buffer, regime: Regime) -> Option<Vec<u64>> {
        let selection = buffer.select(regime, 7)?;
        buffer.consume(&selection, regime, 0);
        Some(selection.rows.iter().map(|row| row.id).collect())
    }

    #[test]
    fn offline_passes_visit_every_row_once_and_end() {
        let regime = Regime::Offline { batch_size: 2, epochs: 2, shuffle: true };
        let mut buffer = buffer(5);
        let passes: Vec<Vec<u64>> = std::iter::from_fn(|| next(&mut buffer, regime)).collect();
        assert_eq!(passes.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1, 2, 2, 1]);
        for pass in passes.chunks(3) {
            let mut ids = pass.concat();
            ids.sort_unstable();
            assert_eq!(ids, [0, 1, 2, 3, 4]);
        }
        assert_ne!(passes[..3].concat(), passes[3..].concat());
        assert!(buffer.rows.is_empty());
    }

    #[test]
    fn rows_pushed_after_the_last_pass_get_passes_of_their_own() {
        let regime = Regime::Offline { batch_size: 2, epochs: 1, shuffle: false };
        let mut buffer = buffer(2);
        assert_eq!(next(&mut buffer, regime), Some(vec![0, 1]));
        assert_eq!(next(&mut buffer, regime), None);
        let row = Row { id: 0, ..self::buffer(1).rows[0].as_ref().clone() };
        buffer.push(vec![row]);
        assert_eq!(next(&mut buffer, regime), Some(vec![2]));
    }

    #[test]
    fn on_policy_rows_are_used_once_and_kept_until_then() {
        let regime = Regime::OnPolicy { epochs: 4, minibatches: 2 };
        let mut buffer = buffer(3);
        assert_eq!(buffer.select(regime, 0).unwrap().rows.len(), 3);
        assert_eq!(next(&mut buffer, regime), Some(vec![0, 1, 2]));
        assert_eq!(next(&mut buffer, regime), None);
    }

    #[test]
    fn rows_that_are_too_old_go_and_those_that_do_not_say_stay() {
        for (most, stay, stale) in [(2, vec![0, 1, 2, 4, 5], 1), (0, vec![0, 4, 5], 3)] {
            let mut buffer = buffer(6);
            let versions = [Some(5), Some(4), Some(3), Some(2), None, Some(u64::MAX)];
            for (row, version) in buffer.rows.iter_mut().zip(versions) {
                Arc::make_mut(row).policy_version = version;
            }
            buffer.drop_stale(most, 5);
            assert_eq!(buffer.rows.iter().map(|row| row.id).collect::<Vec<_>>(), stay);
            let regime = Regime::OnPolicy { epochs: 1, minibatches: 1 };
            let selection = buffer.select(regime, 0).unwrap();
            assert_eq!(selection.stale, stale);
            buffer.consume(&selection, regime, 0);
            assert_eq!(buffer.stale, 0, "they were counted once");
        }
    }
}

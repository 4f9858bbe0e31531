//! What slots did, kept to be learned from again and again: a ring of transitions in one flat buffer.
//!
//! Rows are numbered from the oldest on, so that where the ring begins changes nothing.

use crate::kernel::random::philox;
use crate::kernel::SoftBatch;

/// Names the draws of rows among everything that is drawn by the session's seed.
const ROWS: u32 = 0x5ac0_0001;
/// Rows for which memory is taken at least, and at most at once.
const GROWTH: (usize, usize) = (1 << 10, 1 << 17);

/// B gathered transitions, each column row-major.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Batch {
    /// [B, O], as they were observed.
    pub observations: Vec<f32>,
    /// [B, A], between −1 and 1.
    pub actions: Vec<f32>,
    /// [B, O], what came next; behind a terminated step the step's own.
    pub nexts: Vec<f32>,
    pub rewards: Vec<f32>,
    /// 1 where nothing followed.
    pub terminated: Vec<f32>,
}

impl Batch {
    /// With standard normal noise [B, A], as the fused learner takes it.
    pub fn with<'a>(&'a self, noise: &'a [f32]) -> SoftBatch<'a> {
        let Batch { observations, actions, nexts, rewards, terminated } = self;
        SoftBatch { observations, actions, nexts, rewards, terminated, noise }
    }
}

/// What a slot did and what came of it.
pub(super) struct Transition<'a> {
    pub observation: &'a [f32],
    /// [A], between −1 and 1.
    pub action: &'a [f32],
    pub reward: f32,
    /// `None` where nothing followed.
    pub next: Option<&'a [f32]>,
}

pub(super) struct Replay {
    inputs: usize,
    actions: usize,
    /// Most rows.
    capacity: usize,
    /// The oldest row, once all are taken.
    first: usize,
    rows: Vec<f32>,
}

impl Replay {
    /// Room for `capacity` rows, or as many as `bytes` hold, one at least; memory is taken as they come.
    pub fn new(inputs: usize, actions: usize, capacity: usize, bytes: u64) -> Replay {
        let width = 2 * inputs + actions + 2;
        let held = (bytes / (4 * width as u64)).clamp(1, capacity as u64) as usize;
        Replay { inputs, actions, capacity: held, first: 0, rows: Vec::new() }
    }

    fn width(&self) -> usize {
        2 * self.inputs + self.actions + 2
    }

    pub fn len(&self) -> usize {
        self.rows.len() / self.width()
    }

    /// Adds a transition; the oldest goes if there is no room.
    pub fn put(&mut self, transition: &Transition<'_>) {
        let (width, count) = (self.width(), self.len());
        let place = match count < self.capacity {
            true => {
                if self.rows.len() == self.rows.capacity() {
                    let more = count.clamp(GROWTH.0, GROWTH.1).min(self.capacity - count);
                    self.rows.reserve_exact(more * width);
                }
                self.rows.resize((count + 1) * width, 0.0);
                count
            }
            false => {
                let oldest = self.first;
                self.first = (oldest + 1) % self.capacity;
                oldest
            }
        };
        let row = &mut self.rows[place * width..][..width];
        let (observation, rest) = row.split_at_mut(self.inputs);
        let (action, rest) = rest.split_at_mut(self.actions);
        let (next, rest) = rest.split_at_mut(self.inputs);
        observation.copy_from_slice(transition.observation);
        action.copy_from_slice(transition.action);
        next.copy_from_slice(transition.next.unwrap_or(transition.observation));
        rest.copy_from_slice(&[transition.reward, if transition.next.is_none() { 1.0 } else { 0.0 }]);
    }

    /// A row, 0 the oldest, of a ring that is not full.
    pub fn transition(&self, row: usize) -> Transition<'_> {
        let row = &self.rows[row * self.width()..][..self.width()];
        let (observation, rest) = row.split_at(self.inputs);
        let (action, rest) = rest.split_at(self.actions);
        let (next, rest) = rest.split_at(self.inputs);
        Transition { observation, action, reward: rest[0], next: (rest[1] == 0.0).then_some(next) }
    }

    pub fn observation(&self, row: usize) -> &[f32] {
        &self.rows[row * self.width()..][..self.inputs]
    }

    /// Fills `batch` with these rows, 0 the oldest.
    pub fn gather(&self, rows: &[usize], batch: &mut Batch) {
        let Batch { observations, actions, nexts, rewards, terminated } = batch;
        [&mut *observations, &mut *actions, &mut *nexts, &mut *rewards, &mut *terminated]
            .into_iter()
            .for_each(Vec::clear);
        let (width, count) = (self.width(), self.len());
        for row in rows {
            let row = &self.rows[(self.first + row) % count * width..][..width];
            let (observation, rest) = row.split_at(self.inputs);
            let (action, rest) = rest.split_at(self.actions);
            let (next, rest) = rest.split_at(self.inputs);
            observations.extend_from_slice(observation);
            actions.extend_from_slice(action);
            nexts.extend_from_slice(next);
            rewards.push(rest[0]);
            terminated.push(rest[1]);
        }
    }

    pub fn clear(&mut self) {
        self.rows.clear();
        self.first = 0;
    }

    /// All rows from the oldest on, flat.
    pub fn unrolled(&self) -> Vec<f32> {
        let (newer, older) = self.rows.split_at(self.first * self.width());
        [older, newer].concat()
    }

    /// Whether numbers are what `unrolled` gives of such a replay.
    pub fn fits(&self, rows: &[f32]) -> bool {
        let width = self.width();
        let whole = rows.len().is_multiple_of(width) && rows.iter().all(|number| number.is_finite());
        let within = |action: &[f32]| action.iter().all(|number| number.abs() <= 1.0);
        whole
            && rows.chunks_exact(width).all(|row| {
                let ended = row[width - 1];
                within(&row[self.inputs..][..self.actions]) && (ended == 0.0 || ended == 1.0)
            })
    }

    /// Takes what `unrolled` gave, the newest rows if it cannot hold all.
    pub fn load(&mut self, rows: &[f32]) {
        let most = self.capacity * self.width();
        self.rows = rows[rows.len().saturating_sub(most)..].to_vec();
        self.first = 0;
    }
}

/// `count` rows among the `held` of an optimiser step, drawn evenly with replacement; a function of its arguments.
pub(in crate::session::control) fn drawn(seed: u64, step: u64, count: usize, held: usize) -> Vec<usize> {
    let words =
        |block: u32| philox([block, step as u32, (step >> 32) as u32, ROWS], [seed as u32, (seed >> 32) as u32]);
    let row = |word: u32| ((u64::from(word) * held as u64) >> 32) as usize;
    (0..count.div_ceil(4) as u32).flat_map(words).take(count).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(replay: &mut Replay, number: f32) {
        let next = [number + 1.0];
        let next = (number as usize % 3 != 2).then_some(&next[..]);
        replay.put(&Transition { observation: &[number], action: &[number / 100.0], reward: -number, next });
    }

    fn gathered(replay: &Replay) -> Batch {
        let mut batch = Batch::default();
        replay.gather(&(0..replay.len()).collect::<Vec<_>>(), &mut batch);
        batch
    }

    #[test]
    fn the_oldest_go_first() {
        let mut replay = Replay::new(1, 1, 4, 1 << 20);
        (0..6).for_each(|number| put(&mut replay, number as f32));
        let batch = gathered(&replay);
        assert_eq!(batch.observations, [2.0, 3.0, 4.0, 5.0]);
        assert_eq!(batch.rewards, [-2.0, -3.0, -4.0, -5.0]);
        assert_eq!(batch.terminated, [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(batch.nexts, [2.0, 4.0, 5.0, 5.0]);
        assert_eq!(batch.actions, [0.02, 0.03, 0.04, 0.05]);
    }

    #[test]
    fn what_is_saved_is_what_is_loaded_and_goes_on_alike() {
        let mut replay = Replay::new(1, 1, 4, 1 << 20);
        (0..6).for_each(|number| put(&mut replay, number as f32));
        let mut loaded = Replay::new(1, 1, 4, 1 << 20);
        assert!(loaded.fits(&replay.unrolled()) && !loaded.fits(&replay.unrolled()[1..]));
        loaded.load(&replay.unrolled());
        let mut small = Replay::new(1, 1, 2, 1 << 20);
        small.load(&replay.unrolled());
        assert_eq!(gathered(&small).observations, [4.0, 5.0]);
        for number in 6..9 {
            put(&mut replay, number as f32);
            put(&mut loaded, number as f32);
            assert_eq!(gathered(&replay), gathered(&loaded));
        }
        let mut wrong = replay.unrolled();
        wrong[1] = 1.5;
        assert!(!replay.fits(&wrong), "an action beyond its bounds");
    }

    #[test]
    fn memory_is_bounded_and_never_taken_beyond_what_is_held() {
        let mut replay = Replay::new(3, 1, 1_000_000, 9 * 4 * 2500);
        for _ in 0..5000 {
            replay.put(&Transition { observation: &[0.0; 3], action: &[0.0], reward: 0.0, next: None });
            assert!(replay.rows.capacity() * 4 <= 9 * 4 * 2500);
        }
        assert_eq!(replay.len(), 2500);
        assert_eq!(Replay::new(3, 1, 10, 1).capacity, 1, "one at least");
    }

    #[test]
    fn rows_are_drawn_evenly_by_seed_and_step() {
        let mut counts = [0; 7];
        (0..1000).for_each(|step| drawn(3, step, 70, 7).into_iter().for_each(|row| counts[row] += 1));
        assert!(counts.iter().all(|count| (*count - 10_000i32).abs() < 400), "{counts:?}");
        assert_eq!(drawn(3, 5, 9, 100), drawn(3, 5, 9, 100));
        assert!(drawn(3, 5, 9, 100) != drawn(3, 6, 9, 100) && drawn(3, 5, 9, 100) != drawn(4, 5, 9, 100));
        assert_eq!((drawn(3, 5, 9, 100).len(), drawn(0, 0, 3, 1)), (9, vec![0; 3]));
    }
}

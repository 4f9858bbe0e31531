//! Rows of a rollout as the sequences that a recurrent network learns from.

/// Rows that follow one another in one slot.
#[derive(Clone, Debug, PartialEq)]
struct Sequence {
    rows: Vec<usize>,
    /// The extra row that shows what came behind the last one, if it counts.
    behind: Option<usize>,
}

/// The sequences of a rollout; none without recurrence.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    all: Vec<Sequence>,
    /// The state before the first row of each, S numbers.
    states: Vec<f32>,
}

/// Rows of some sequences, all first ones, then all second ones, …, the longest sequence first: nothing is padded.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Packed {
    pub rows: Vec<usize>,
    /// How many sequences reach each step.
    pub counts: Vec<usize>,
    /// The state before the first row of each, S numbers.
    pub states: Vec<f32>,
}

impl Sequences {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// A new sequence that begins with `row`; returns its place.
    pub fn begin(&mut self, row: usize, state: &[f32]) -> usize {
        self.all.push(Sequence { rows: vec![row], behind: None });
        self.states.extend_from_slice(state);
        self.len() - 1
    }

    pub fn extend(&mut self, place: usize, row: usize) {
        self.all[place].rows.push(row);
    }

    pub fn end(&mut self, place: usize, behind: usize) {
        self.all[place].behind = Some(behind);
    }

    /// The rows moved to other places; sequences lie in the order of their first ones.
    pub fn arrange(&mut self, places: &[usize]) {
        let width = self.states.len() / self.len().max(1);
        let states: Vec<Vec<f32>> = self.states.chunks_exact(width.max(1)).map(<[f32]>::to_vec).collect();
        let mut all: Vec<(Sequence, Vec<f32>)> = std::mem::take(&mut self.all).into_iter().zip(states).collect();
        all.iter_mut().flat_map(|(sequence, _)| &mut sequence.rows).for_each(|row| *row = places[*row]);
        all.sort_by_key(|(sequence, _)| sequence.rows[0]);
        self.states = all.iter().flat_map(|(_, state)| state).copied().collect();
        self.all = all.into_iter().map(|(sequence, _)| sequence).collect();
    }

    /// The rows of the sequences `chosen`.
    pub fn packed(&self, chosen: &[usize]) -> Packed {
        self.pack(chosen.iter().map(|place| (*place, self.all[*place].rows.clone())).collect())
    }

    /// All rows, with those behind the last ones, `extra` from the first extra row on.
    pub fn whole(&self, first_extra: usize) -> Packed {
        let rows = self.all.iter().map(|sequence| {
            let behind = sequence.behind.map(|extra| first_extra + extra);
            sequence.rows.iter().copied().chain(behind).collect()
        });
        self.pack(rows.enumerate().collect())
    }

    fn pack(&self, mut chosen: Vec<(usize, Vec<usize>)>) -> Packed {
        chosen.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.len()));
        let width = self.states.len() / self.len().max(1);
        let mut packed = Packed::default();
        for (place, _) in &chosen {
            packed.states.extend_from_slice(&self.states[place * width..(place + 1) * width]);
        }
        for step in 0..chosen.first().map_or(0, |(_, rows)| rows.len()) {
            let before = packed.rows.len();
            packed.rows.extend(chosen.iter().map_while(|(_, rows)| rows.get(step)));
            packed.counts.push(packed.rows.len() - before);
        }
        packed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_lie_side_by_side_the_longest_first() {
        let mut all = Sequences::default();
        let first = all.begin(0, &[0.5]);
        let second = all.begin(1, &[1.5]);
        [2, 4].into_iter().for_each(|row| all.extend(second, row));
        all.extend(first, 3);
        all.end(first, 0);
        let expected = Packed { rows: vec![1, 0, 2, 3, 4], counts: vec![2, 2, 1], states: vec![1.5, 0.5] };
        assert_eq!(all.packed(&[first, second]), expected);
        let expected = Packed { rows: vec![0, 1, 3, 2, 5, 4], counts: vec![2, 2, 2], states: vec![0.5, 1.5] };
        assert_eq!(all.whole(5), expected);
        assert_eq!(all.packed(&[first]).counts, [1, 1]);
    }
}

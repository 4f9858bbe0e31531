//! A core along sequences of a tile: the way forth that keeps what the gradient needs, and the way back through time.
//!
//!   GRU:   dn = dh'(1 − z)(1 − n²),   dz = dh'(h − n)z(1 − z),   dr = dn(hU + c)ₙ r(1 − r),   dh = dh' z + (dr, dz, dn r)Uᵀ
//!   LSTM:  dc' += dh' o(1 − tanh² c'),   do = dh' tanh c' o(1 − o),   di = dc' g i(1 − i),   df = dc' c f(1 − f),
//!          dg = dc' i(1 − g²),   dc = dc' f,   dh = (di, df, dg, do)Uᵀ
//!
//! all gates' slopes being those before their functions. The gradient ends where sequences begin. Rows lie step by step, in
//! each the sequences side by side, so that those that reach a step are the first ones of the step before.

use super::super::activation::tanh;
use super::super::backward::{learn_layer, transpose, Kept};
use super::super::buffer::Buffer;
use super::super::network::{apply, Activation, Layer, TILE};
use super::super::product::{Product, Start};
use super::super::simd::{Routine, Vector};
use super::{put, take, Cell, Core};

/// The sequences of a tile.
#[derive(Clone, Copy)]
pub(in super::super) struct Along<'a> {
    /// How many reach each step; never rises.
    pub steps: &'a [usize],
    /// `[steps[0], state]`: what all cores remember before the first step.
    pub states: &'a [f32],
}

/// What a core keeps of a tile.
pub(in super::super) struct Recall {
    core: Core,
    /// U and c.
    own: [Layer; 1],
    /// hU + c, `[rows, gates · size]`, and Uᵀ.
    kept: Vec<Kept>,
    /// h, and c of an LSTM, before each row's step, `[rows, size]`.
    before: Vec<Buffer>,
    /// The same after it.
    after: Vec<Buffer>,
    /// d(loss)/dc of the steps behind, `[TILE, size]`, of an LSTM.
    cells: Buffer,
}

impl Core {
    /// W and b as a layer.
    pub(in super::super) fn reading(&self) -> Layer {
        self.layer(self.inputs, self.input_weight, self.input_bias)
    }

    fn layer(&self, inputs: usize, weight: usize, bias: usize) -> Layer {
        Layer { inputs, outputs: self.columns(), weight, bias, activation: Activation::Identity }
    }
}

impl Recall {
    pub fn new(core: &Core) -> Recall {
        let own = [core.layer(core.size, core.hidden_weight, core.hidden_bias)];
        let parts = || vec![Buffer::new(TILE * core.size); core.numbers() / core.size];
        Recall {
            kept: Kept::chain(&own, true),
            own,
            before: parts(),
            after: parts(),
            cells: Buffer::new(if core.cell == Cell::Lstm { TILE * core.size } else { 0 }),
            core: core.clone(),
        }
    }

    /// Makes room for `rows` rows.
    pub fn reach(&mut self, rows: usize) {
        Kept::reach(&self.own, &mut self.kept, rows);
        self.before.iter_mut().chain(&mut self.after).for_each(|part| part.reach(rows * self.core.size));
    }

    #[inline(always)]
    pub fn transpose(&mut self, weights: &[f32]) {
        transpose(&self.own, &mut self.kept, weights);
    }

    /// h' of each row, `[rows, size]`.
    #[inline(always)]
    pub fn results(&self) -> &[f32] {
        &self.after[0]
    }

    /// h and c before the first step.
    #[inline(always)]
    fn begin(&mut self, along: Along<'_>) {
        let (size, count) = (self.core.size, along.steps[0]);
        for (sequence, state) in along.states.chunks_exact(along.states.len() / count).enumerate() {
            let parts = state[self.core.state..][..self.core.numbers()].chunks_exact(size);
            for (part, before) in parts.zip(&mut self.before) {
                before[sequence * size..][..size].copy_from_slice(part);
            }
        }
    }
}

/// All steps forth.
pub(in super::super) struct Forth<'a> {
    pub recall: &'a mut Recall,
    pub weights: &'a [f32],
    /// xW + b, `[rows, gates · size]`; the gates take its place.
    pub read: &'a mut [f32],
    pub along: Along<'a>,
}

impl Routine for Forth<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Forth { recall, weights, read, along } = self;
        recall.begin(along);
        let Recall { core, own: [own], kept, before, after, .. } = recall;
        let (size, columns, kept) = (core.size, core.columns(), &mut kept[0].results);
        let mut start = 0;
        for (step, count) in along.steps.iter().copied().enumerate() {
            let rows = start * size..(start + count) * size;
            let kept = &mut kept[start * columns..][..count * columns];
            apply::<V>(own, weights, &before[0][rows.clone()], count, kept);
            for (after, before) in after.iter_mut().zip(&*before) {
                after[rows.clone()].copy_from_slice(&before[rows.clone()]);
            }
            let (h, c) = after.split_at_mut(1);
            for row in 0..count {
                let place = (start + row) * size..(start + row + 1) * size;
                let read = &mut read[(start + row) * columns..][..columns];
                let c = c.first_mut().map_or(&mut [][..], |c| &mut c[place.clone()]);
                core.step::<V>(read, &kept[row * columns..][..columns], &mut h[0][place], c);
            }
            let going = along.steps.get(step + 1).map_or(0, |count| count * size);
            for (after, before) in after.iter().zip(&mut *before) {
                before[rows.end..][..going].copy_from_slice(&after[rows.start..][..going]);
            }
            start += count;
        }
    }
}

/// All steps back.
pub(in super::super) struct Back<'a> {
    pub recall: &'a mut Recall,
    /// The gates that [`Forth`] left.
    pub gates: &'a [f32],
    pub steps: &'a [usize],
    /// d(loss)/dh' of each row, `[rows, size]`, but for what later steps make of it; overwritten.
    pub slopes: &'a mut [f32],
    /// d(loss)/d(xW + b), `[rows, gates · size]`, overwritten.
    pub onward: &'a mut [f32],
    /// Those of U and c are added to.
    pub gradients: &'a mut [f32],
}

impl Routine for Back<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Back { recall, gates, steps, slopes, onward, gradients } = self;
        let Recall { core, own: [own], kept: all, before, after, cells } = recall;
        let (Kept { results: kept, transposed, .. }, gru) = (&mut all[0], core.cell == Cell::Gru);
        let (size, columns, rows) = (core.size, core.columns(), steps.iter().sum());
        cells.fill(0.0);
        let mut start = rows;
        for (step, count) in steps.iter().copied().enumerate().rev() {
            start -= count;
            let (earlier, slopes) = slopes[..(start + count) * size].split_at_mut(start * size);
            for (row, slopes) in slopes.chunks_exact_mut(size).enumerate() {
                let (place, wide) = ((start + row) * size, (start + row) * columns);
                let (gates, onward) = (&gates[wide..][..columns], &mut onward[wide..][..columns]);
                let before = |part: usize| &before[part][place..][..size];
                match core.cell {
                    Cell::Gru => gru_slopes::<V>(gates, &mut kept[wide..][..columns], before(0), slopes, onward),
                    Cell::Lstm => {
                        let cells = &mut cells[row * size..][..size];
                        lstm_slopes::<V>(gates, [before(1), &after[1][place..][..size]], slopes, cells, onward);
                    }
                }
            }
            let Some(wider) = step.checked_sub(1).map(|step| steps[step]) else { break };
            let earlier = &mut earlier[(start - wider) * size..][..count * size];
            if gru {
                earlier.iter_mut().zip(&*slopes).for_each(|(earlier, slope)| *earlier += slope);
            }
            Product {
                a: &(if gru { &**kept } else { &*onward })[start * columns..],
                a_row: columns,
                a_column: 1,
                b: transposed,
                c: earlier,
                start: Start::Sum,
                rows: count,
                depth: columns,
                columns: size,
            }
            .compute::<V>();
        }
        learn_layer::<V>(own, &before[0], if gru { kept } else { onward }, rows, gradients);
    }
}

/// From the slopes at h' of one row to those at xW + b; those at hU + c take its place in `kept`, and what goes to h around
/// the gates that of `slopes`.
#[inline(always)]
fn gru_slopes<V: Vector>(gates: &[f32], kept: &mut [f32], h: &[f32], slopes: &mut [f32], onward: &mut [f32]) {
    let (size, one) = (h.len(), V::splat(1.0));
    for place in (0..size).step_by(V::LANES) {
        let count = V::LANES.min(size - place);
        let gate = |gate: usize| gate * size + place..gate * size + place + count;
        let (reset, update) = (take::<V>(&gates[gate(0)]), take::<V>(&gates[gate(1)]));
        let new = take::<V>(&gates[gate(2)]);
        let (slope, old) = (take::<V>(&slopes[gate(0)]), take::<V>(&h[gate(0)]));
        let new_slope = slope * (one - update) * (one - new * new);
        let update_slope = slope * (old - new) * (update * (one - update));
        let reset_slope = new_slope * take(&kept[gate(2)]) * (reset * (one - reset));
        put(slope * update, &mut slopes[gate(0)]);
        put(reset_slope, &mut onward[gate(0)]);
        put(update_slope, &mut onward[gate(1)]);
        put(new_slope, &mut onward[gate(2)]);
        put(reset_slope, &mut kept[gate(0)]);
        put(update_slope, &mut kept[gate(1)]);
        put(new_slope * reset, &mut kept[gate(2)]);
    }
}

/// From the slopes at h' of one row, and those at c' in `cells`, to those at xW + b, which are those at hU + c too; those at c
/// take the place of those at c'.
#[inline(always)]
fn lstm_slopes<V: Vector>(gates: &[f32], c: [&[f32]; 2], slopes: &[f32], cells: &mut [f32], onward: &mut [f32]) {
    let (size, one) = (slopes.len(), V::splat(1.0));
    for place in (0..size).step_by(V::LANES) {
        let count = V::LANES.min(size - place);
        let gate = |gate: usize| gate * size + place..gate * size + place + count;
        let (input, forget) = (take::<V>(&gates[gate(0)]), take::<V>(&gates[gate(1)]));
        let (new, shown) = (take::<V>(&gates[gate(2)]), take::<V>(&gates[gate(3)]));
        let (slope, told) = (take::<V>(&slopes[gate(0)]), tanh(take::<V>(&c[1][gate(0)])));
        let cell = take::<V>(&cells[gate(0)]) + slope * shown * (one - told * told);
        put(cell * new * (input * (one - input)), &mut onward[gate(0)]);
        put(cell * take(&c[0][gate(0)]) * (forget * (one - forget)), &mut onward[gate(1)]);
        put(cell * input * (one - new * new), &mut onward[gate(2)]);
        put(slope * told * (shown * (one - shown)), &mut onward[gate(3)]);
        put(cell * forget, &mut cells[gate(0)]);
    }
}

#[cfg(test)]
mod tests;

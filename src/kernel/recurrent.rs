//! Recurrent cores: one step of a gated recurrent unit (Cho 2014) or a long short-term memory (Hochreiter and Schmidhuber
//! 1997) for each row, in torch's form.
//!
//!   GRU:   r, z = σ(xW + b + hU + c)ᵣ,ᵤ,   n = tanh((xW + b)ₙ + r ⊙ (hU + c)ₙ),   h' = n + z ⊙ (h − n)
//!   LSTM:  i, f, g, o of xW + b + hU + c,   c' = σ(f) ⊙ c + σ(i) ⊙ tanh g,   h' = σ(o) ⊙ tanh c'
//!
//! A core stands behind the trunk, or behind the hidden layers of the policy or the value model. A row's bits depend on
//! that row and the weights alone. How a core learns is in `through_time`.

use super::activation::{sigmoid, tanh, Activate};
use super::buffer::Buffer;
use super::network::{apply, Layer, Network, Scratch, TILE};
use super::product::{Product, Start};
use super::simd::{dispatch, Routine, Vector};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Gates r, z, n.
    Gru,
    /// Gates i, f, g, o.
    Lstm,
}

/// A core and where its parameters begin in the flat weights: W `[inputs, gates · size]`, U `[size, gates · size]`, row-major,
/// a gate's columns side by side, and their biases.
#[derive(Clone, Debug, PartialEq)]
pub struct Core {
    pub cell: Cell,
    pub inputs: usize,
    /// Numbers of h.
    pub size: usize,
    pub input_weight: usize,
    pub input_bias: usize,
    pub hidden_weight: usize,
    pub hidden_bias: usize,
    /// Where h begins in a row's state; c of an LSTM follows.
    pub state: usize,
}

/// The cores of a network: behind the trunk, and before the last layers of the policy and of the value model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cores {
    pub trunk: Option<Core>,
    pub policy: Option<Core>,
    pub value: Option<Core>,
}

/// Where one step of a recurrent network goes.
pub struct Steps<'a> {
    /// `[rows, state]`: before the step; overwritten by those after it.
    pub states: &'a mut [f32],
    /// `[rows, width]`, logits and means, overwritten.
    pub outputs: &'a mut [f32],
    /// `[rows]`, overwritten; or empty, where nobody asks.
    pub values: &'a mut [f32],
}

impl Core {
    fn columns(&self) -> usize {
        self.size * if self.cell == Cell::Gru { 3 } else { 4 }
    }

    fn numbers(&self) -> usize {
        self.size * if self.cell == Cell::Gru { 1 } else { 2 }
    }
}

impl Cores {
    fn all(&self) -> impl Iterator<Item = &Core> {
        [&self.trunk, &self.policy, &self.value].into_iter().flatten()
    }

    /// S, the numbers of a row's state.
    pub fn state(&self) -> usize {
        self.all().map(Core::numbers).sum()
    }

    /// Whether parameters and states lie where there is room for them.
    pub(super) fn fit(&self, weights: usize) -> bool {
        let inside = |core: &Core| {
            let columns = core.columns();
            core.size > 0
                && core.inputs > 0
                && core.input_weight + core.inputs * columns <= weights
                && core.hidden_weight + core.size * columns <= weights
                && core.input_bias.max(core.hidden_bias) + columns <= weights
        };
        let mut next = 0;
        let apart = |core: &Core| std::mem::replace(&mut next, core.state + core.numbers()) == core.state;
        self.all().all(inside) && self.all().all(apart)
    }
}

/// Memory of a tile for the cores; none without them.
pub(super) struct Remembering {
    /// xW + b and hU + c, `[TILE, gates · size]` each.
    gates: [Buffer; 2],
    /// h', `[TILE, size]`.
    recalled: Buffer,
    /// What leaves the trunk.
    common: Buffer,
}

impl Remembering {
    pub fn new(network: &Network) -> Remembering {
        let widest = |of: fn(&Core) -> usize| network.cores.all().map(of).max().unwrap_or(0);
        let common = network.trunk.last().map_or(0, |layer| layer.outputs).max(widest(|core| core.size));
        let gates = || Buffer::new(TILE * widest(Core::columns));
        Remembering {
            gates: [gates(), gates()],
            recalled: Buffer::new(TILE * widest(|core| core.size)),
            common: Buffer::new(if network.cores.state() > 0 { TILE * common } else { 0 }),
        }
    }
}

impl Network {
    /// One step of a recurrent network: moves the states, gives the policy's outputs there, and values where they are asked
    /// for.
    ///
    /// * `observations`: `[rows, inputs]`, any number of rows.
    pub fn advance(&self, weights: &[f32], observations: &[f32], scratch: &mut Scratch, steps: Steps<'_>) {
        let rows = observations.len() / self.inputs;
        assert_eq!(
            [steps.states.len(), steps.outputs.len()],
            [rows * self.cores.state(), rows * self.width()],
            "states and outputs of as many rows as observations"
        );
        assert!(steps.values.is_empty() || steps.values.len() == rows, "as many values as observations");
        dispatch(Advance { network: self, weights, observations, scratch, steps });
    }
}

struct Advance<'a> {
    network: &'a Network,
    weights: &'a [f32],
    observations: &'a [f32],
    scratch: &'a mut Scratch,
    steps: Steps<'a>,
}

impl Routine for Advance<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Advance { network, weights, observations, scratch, steps } = self;
        let (state, width) = (network.cores.state(), network.width());
        let rows = observations.len() / network.inputs;
        for start in (0..rows).step_by(TILE) {
            let count = TILE.min(rows - start);
            let observations = &observations[start * network.inputs..][..count * network.inputs];
            let states = &mut steps.states[start * state..][..count * state];
            let outputs = &mut steps.outputs[start * width..][..count * width];
            let values = match steps.values.is_empty() {
                true => &mut [][..],
                false => &mut steps.values[start..][..count],
            };
            tile::<V>(network, weights, observations, scratch, states, (outputs, values));
        }
    }
}

/// One tile of rows through all chains.
#[inline(always)]
fn tile<V: Vector>(
    network: &Network,
    weights: &[f32],
    observations: &[f32],
    scratch: &mut Scratch,
    states: &mut [f32],
    (outputs, values): (&mut [f32], &mut [f32]),
) {
    let (Network { cores, trunk, .. }, rows) = (network, observations.len() / network.inputs);
    let Scratch { hidden, recall: Remembering { gates, recalled, common }, .. } = scratch;
    let common = &mut **common;
    let mut lead = observations;
    if !trunk.is_empty() || cores.trunk.is_some() {
        lead = through::<V>(trunk, weights, lead, rows, hidden);
        if let Some(core) = &cores.trunk {
            remember::<V>(core, weights, lead, rows, gates, states, recalled);
            lead = &recalled[..rows * core.size];
        }
        common[..lead.len()].copy_from_slice(lead);
        lead = &common[..lead.len()];
    }
    for (own, core, results) in [(&network.policy, &cores.policy, outputs), (&network.value, &cores.value, values)] {
        let Some((last, own)) = own.split_last() else { continue };
        if core.is_none() && results.is_empty() {
            continue;
        }
        let mut x = through::<V>(own, weights, lead, rows, hidden);
        if let Some(core) = core {
            remember::<V>(core, weights, x, rows, gates, states, recalled);
            x = &recalled[..rows * core.size];
        }
        if !results.is_empty() {
            apply::<V>(last, weights, x, rows, results);
        }
    }
}

/// One tile of rows through layers; what leaves the last one.
#[inline(always)]
fn through<'a, V: Vector>(
    layers: &[Layer],
    weights: &[f32],
    input: &'a [f32],
    rows: usize,
    hidden: &'a mut [Buffer; 2],
) -> &'a [f32] {
    let [before, after] = hidden;
    let (mut before, mut after) = (before, after);
    for (place, layer) in layers.iter().enumerate() {
        let from = if place == 0 { input } else { &before[..rows * layer.inputs] };
        let to = &mut after[..rows * layer.outputs];
        apply::<V>(layer, weights, from, rows, to);
        V::enter(Activate(layer.activation, to));
        std::mem::swap(&mut before, &mut after);
    }
    layers.last().map_or(input, |layer| &before[..rows * layer.outputs])
}

/// One step of a core for a tile of rows: moves their states and copies h' to `recalled`.
#[inline(always)]
fn remember<V: Vector>(
    core: &Core,
    weights: &[f32],
    input: &[f32],
    rows: usize,
    gates: &mut [Buffer; 2],
    states: &mut [f32],
    recalled: &mut [f32],
) {
    let (columns, size, width) = (core.columns(), core.size, states.len() / rows.max(1));
    let [read, kept] = gates;
    let product = |a, a_row, depth, weight: usize, bias: usize, c| Product {
        a,
        a_row,
        a_column: 1,
        b: &weights[weight..][..depth * columns],
        c,
        start: Start::Bias(&weights[bias..][..columns]),
        rows,
        depth,
        columns,
    };
    product(input, core.inputs, core.inputs, core.input_weight, core.input_bias, &mut read[..rows * columns])
        .compute::<V>();
    product(&states[core.state..], width, size, core.hidden_weight, core.hidden_bias, &mut kept[..rows * columns])
        .compute::<V>();
    for row in 0..rows {
        let own = &mut states[row * width + core.state..][..core.numbers()];
        let (read, kept) = (&mut read[row * columns..][..columns], &kept[row * columns..][..columns]);
        let (h, c) = own.split_at_mut(size);
        core.step::<V>(read, kept, h, c);
        recalled[row * size..][..size].copy_from_slice(h);
    }
}

impl Core {
    /// h ← h' and c ← c' of one row, c being empty but for an LSTM; leaves the gates where xW + b stood.
    #[inline(always)]
    fn step<V: Vector>(&self, read: &mut [f32], kept: &[f32], h: &mut [f32], c: &mut [f32]) {
        match self.cell {
            Cell::Gru => gru::<V>(read, kept, h),
            Cell::Lstm => lstm::<V>(read, kept, h, c),
        }
    }
}

#[inline(always)]
fn gru<V: Vector>(read: &mut [f32], kept: &[f32], h: &mut [f32]) {
    let size = h.len();
    for place in (0..size).step_by(V::LANES) {
        let count = V::LANES.min(size - place);
        let gate = |gate: usize| gate * size + place..gate * size + place + count;
        let reset = sigmoid(take::<V>(&read[gate(0)]) + take(&kept[gate(0)]));
        let update = sigmoid(take::<V>(&read[gate(1)]) + take(&kept[gate(1)]));
        let new = tanh(take::<V>(&read[gate(2)]) + reset * take(&kept[gate(2)]));
        let old = take::<V>(&h[gate(0)]);
        put(new + update * (old - new), &mut h[gate(0)]);
        put(reset, &mut read[gate(0)]);
        put(update, &mut read[gate(1)]);
        put(new, &mut read[gate(2)]);
    }
}

#[inline(always)]
fn lstm<V: Vector>(read: &mut [f32], kept: &[f32], h: &mut [f32], c: &mut [f32]) {
    let size = h.len();
    for place in (0..size).step_by(V::LANES) {
        let count = V::LANES.min(size - place);
        let gate = |gate: usize| gate * size + place..gate * size + place + count;
        let input = sigmoid(take::<V>(&read[gate(0)]) + take(&kept[gate(0)]));
        let forget = sigmoid(take::<V>(&read[gate(1)]) + take(&kept[gate(1)]));
        let new = tanh(take::<V>(&read[gate(2)]) + take(&kept[gate(2)]));
        let shown = sigmoid(take::<V>(&read[gate(3)]) + take(&kept[gate(3)]));
        let cell = forget * take(&c[gate(0)]) + input * new;
        put(cell, &mut c[gate(0)]);
        put(shown * tanh(cell), &mut h[gate(0)]);
        put(input, &mut read[gate(0)]);
        put(forget, &mut read[gate(1)]);
        put(new, &mut read[gate(2)]);
        put(shown, &mut read[gate(3)]);
    }
}

/// At most LANES floats as a vector.
#[inline(always)]
fn take<V: Vector>(from: &[f32]) -> V {
    assert!(from.len() <= V::LANES);
    // SAFETY: `from` has as many floats as are read.
    unsafe {
        match from.len() == V::LANES {
            true => V::load(from.as_ptr()),
            false => V::load_first(from.as_ptr(), from.len()),
        }
    }
}

/// As many lanes of a vector as there is room for, at most LANES.
#[inline(always)]
fn put<V: Vector>(vector: V, to: &mut [f32]) {
    assert!(to.len() <= V::LANES);
    // SAFETY: `to` has room for as many floats as are written.
    unsafe {
        match to.len() == V::LANES {
            true => vector.store(to.as_mut_ptr()),
            false => vector.store_first(to.as_mut_ptr(), to.len()),
        }
    }
}

#[cfg(test)]
mod tests;
pub(super) mod through_time;

//! The network: a policy and a value model of a few small layers over flat weights, and their forward passes.
//!
//! Owns the shapes and where each parameter lies. Refuses convolutions and normalisation of observations; what a recurrent
//! core makes of a pass is in [`super::recurrent`]. Rows pass in tiles, so that the scratch memory does not grow with them.

use super::activation::Activate;
pub use super::activation::Activation;
use super::buffer::Buffer;
use super::family::{Dimensions, Family, Memory};
use super::product::{Product, Start};
use super::recurrent::{Core, Cores, Remembering};
use super::simd::{dispatch, Routine, Vector};
use super::softmax::Softmax;

/// Rows that pass through the layers together.
pub(super) const TILE: usize = 64;

/// y = f(x·W + b), with W `[inputs, outputs]` row-major and b `[outputs]` somewhere in the flat weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    pub inputs: usize,
    pub outputs: usize,
    /// Where W begins.
    pub weight: usize,
    /// Where b begins.
    pub bias: usize,
    pub activation: Activation,
}

/// A part of the action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Head {
    /// One branch: the index of one of several choices, from their logits.
    Categorical { choices: usize },
    /// Independent dimensions, from their means; the log deviations are parameters, the same in every state.
    Gaussian { size: usize },
    /// Independent dimensions of another family.
    Dimensions { size: usize, family: Family },
}

/// A policy and a value model, with or without common layers. Offsets and sizes count floats.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    pub inputs: usize,
    /// Common hidden layers, perhaps none.
    pub trunk: Vec<Layer>,
    /// The policy's own hidden layers, then its output layer, [`Network::width`] wide, without activation.
    pub policy: Vec<Layer>,
    /// The value model's own hidden layers, then an output layer of 1, without activation.
    pub value: Vec<Layer>,
    /// Recurrent cores, perhaps none.
    pub cores: Cores,
    /// In the order of the action record; several are a multi-discrete or hybrid action, their sum in log-probability.
    pub heads: Vec<Head>,
    /// Where the log deviations begin that are parameters, one for each such dimension in head order.
    pub log_deviation: usize,
}

impl Network {
    /// Outputs of the policy per row: logits, means and what else describes a distribution, in head order.
    pub fn width(&self) -> usize {
        self.heads.iter().map(|head| head.outputs()).sum()
    }

    /// Numbers in an action: one per branch, one per dimension.
    pub fn actions(&self) -> usize {
        self.heads.iter().map(|head| head.actions()).sum()
    }

    /// Bytes in a row's mask: one per choice of every branch.
    pub fn choices(&self) -> usize {
        self.heads.iter().map(|head| head.choices()).sum()
    }

    /// Log deviations among the weights.
    pub fn deviations(&self) -> usize {
        self.heads.iter().map(|head| head.deviations()).sum()
    }

    /// Whether it has no layers, and so no pass: its heads read the outputs of another network.
    fn is_heads_alone(&self) -> bool {
        self.trunk.is_empty() && self.policy.is_empty() && self.value.is_empty()
    }

    /// What is wrong with the shapes for flat weights of so many floats; the passes below panic on it.
    pub fn check(&self, weights: usize) -> Result<(), &'static str> {
        let layers = || self.trunk.iter().chain(&self.policy).chain(&self.value);
        let inside = |layer: &Layer| {
            layer.weight + layer.inputs * layer.outputs <= weights && layer.bias + layer.outputs <= weights
        };
        let linked = |own: &[Layer], core: &Option<Core>| {
            let through = |layer: &Layer| (layer.inputs, layer.outputs);
            let remember = |core: &Option<Core>| core.as_ref().map(|core| (core.inputs, core.size));
            let (hidden, last) = own.split_at(own.len().saturating_sub(1));
            let mut shapes: Vec<_> = self.trunk.iter().map(through).collect();
            shapes.extend(remember(&self.cores.trunk));
            shapes.extend(hidden.iter().map(through).chain(remember(core)).chain(last.iter().map(through)));
            let before = std::iter::once(self.inputs).chain(shapes.iter().map(|(_, outputs)| *outputs));
            shapes.iter().zip(before).all(|((inputs, _), before)| *inputs == before)
        };
        let ends = |own: &[Layer], width| {
            own.last().is_some_and(|layer| layer.outputs == width && layer.activation == Activation::Identity)
        };
        let log_deviations = self.log_deviation + self.deviations();
        match () {
            () if self.heads.is_empty() || self.heads.iter().any(|head| head.outputs() == 0) => Err("an empty head"),
            () if layers().any(|layer| layer.inputs == 0 || layer.outputs == 0) => Err("an empty layer"),
            () if !layers().all(inside) || log_deviations > weights => Err("a parameter outside the weights"),
            () if !self.cores.fit(weights) => Err("a core outside the weights or its state"),
            () if self.is_heads_alone() => Ok(()),
            () if !linked(&self.policy, &self.cores.policy) || !linked(&self.value, &self.cores.value) => {
                Err("a layer that does not fit the one before it")
            }
            () if !ends(&self.policy, self.width()) => Err("a policy whose last layer does not fit its heads"),
            () if !ends(&self.value, 1) => Err("a value model whose last layer is not one number"),
            () => Ok(()),
        }
    }

    /// The policy's outputs: logits and means.
    ///
    /// * `observations`: `[rows, inputs]`, any number of rows; `outputs`: `[rows, width]`, overwritten.
    ///
    /// A row's bits depend on that row and the weights alone. A recurrent network takes [`Network::advance`] instead.
    pub fn policy(&self, weights: &[f32], observations: &[f32], scratch: &mut Scratch, outputs: &mut [f32]) {
        dispatch(Forward { network: self, own: &self.policy, weights, observations, scratch, outputs });
    }

    /// The values of states, in the unit of the returns that they were learnt from.
    ///
    /// * `observations`: `[rows, inputs]`, any number of rows; `values`: `[rows]`, overwritten.
    pub fn values(&self, weights: &[f32], observations: &[f32], scratch: &mut Scratch, values: &mut [f32]) {
        dispatch(Forward { network: self, own: &self.value, weights, observations, scratch, outputs: values });
    }
}

/// A head and where its numbers begin in a row's outputs, actions and mask, and among the log deviations.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub head: Head,
    pub output: usize,
    pub action: usize,
    pub choice: usize,
    pub deviation: usize,
}

impl Part {
    /// The head's own outputs of a row.
    #[inline(always)]
    pub fn outputs(self, outputs: &[f32]) -> &[f32] {
        &outputs[self.output..][..self.head.outputs()]
    }

    /// A head of a family, with its outputs of a row and its parameters.
    #[inline(always)]
    pub fn dimensions<'a>(
        self,
        (size, family): (usize, Family),
        network: &Network,
        weights: &'a [f32],
        outputs: &'a [f32],
    ) -> Dimensions<'a> {
        let parameters = &weights[network.log_deviation + self.deviation..][..self.head.deviations()];
        Dimensions { family, size, action: self.action, outputs, parameters }
    }

    /// The head's own bytes of a row's mask.
    #[inline(always)]
    pub fn legal(self, mask: Option<&[u8]>) -> Option<&[u8]> {
        mask.map(|mask| &mask[self.choice..][..self.head.choices()])
    }
}

impl Network {
    /// The heads in their places.
    #[inline(always)]
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let mut next = (0, 0, 0, 0);
        self.heads.iter().map(move |head| {
            let (output, action, choice, deviation) = next;
            next = (
                output + head.outputs(),
                action + head.actions(),
                choice + head.choices(),
                deviation + head.deviations(),
            );
            Part { head: *head, output, action, choice, deviation }
        })
    }
}

impl Head {
    pub(super) fn outputs(self) -> usize {
        match self {
            Head::Categorical { choices } => choices,
            Head::Gaussian { size } => size,
            Head::Dimensions { size, family } => size * family.outputs(),
        }
    }

    pub(super) fn actions(self) -> usize {
        match self {
            Head::Categorical { .. } => 1,
            Head::Gaussian { size } | Head::Dimensions { size, .. } => size,
        }
    }

    pub(super) fn choices(self) -> usize {
        match self {
            Head::Categorical { choices } => choices,
            Head::Gaussian { .. } | Head::Dimensions { .. } => 0,
        }
    }

    pub(super) fn deviations(self) -> usize {
        match self {
            Head::Gaussian { size } => size,
            Head::Dimensions { size, family } if family.has_parameters() => size,
            Head::Categorical { .. } | Head::Dimensions { .. } => 0,
        }
    }

    /// Whether its numbers are drawn with normal ones.
    fn is_noisy(self) -> bool {
        !matches!(self, Head::Categorical { .. } | Head::Dimensions { family: Family::Beta { .. }, .. })
    }
}

/// Memory for the forward passes of one network on one thread; all of it is taken at construction.
pub struct Scratch {
    pub(super) hidden: [Buffer; 2],
    /// The policy's outputs of a tile, for acting.
    pub(super) outputs: Buffer,
    pub(super) recall: Remembering,
    pub(super) row: Row,
}

/// Memory for the heads of one row.
pub(super) struct Row {
    /// Of the choices of all branches: probabilities before the division by their sum.
    pub weights: Buffer,
    /// One per head; of a Gaussian head unused.
    pub softmaxes: Vec<Softmax>,
    /// Of all dimensions whose log deviation is a parameter.
    pub deviations: Buffer,
    /// Their reciprocals.
    pub precisions: Buffer,
    /// Whether any head is drawn with normal numbers.
    pub noisy: bool,
    pub families: Memory,
}

impl Scratch {
    pub fn new(network: &Network) -> Scratch {
        let layers = network.trunk.iter().chain(&network.policy).chain(&network.value);
        let widest = layers.map(|layer| layer.outputs).max().unwrap_or(0);
        Scratch {
            hidden: [Buffer::new(TILE * widest), Buffer::new(TILE * widest)],
            outputs: Buffer::new(TILE * network.width()),
            recall: Remembering::new(network),
            row: Row::new(network),
        }
    }
}

impl Row {
    pub fn new(network: &Network) -> Row {
        let deviations = network.deviations();
        Row {
            weights: Buffer::new(network.choices()),
            softmaxes: vec![Softmax::default(); network.heads.len()],
            deviations: Buffer::new(deviations),
            precisions: Buffer::new(deviations),
            noisy: network.heads.iter().any(|head| head.is_noisy()),
            families: Memory::new(network),
        }
    }
}

struct Forward<'a> {
    network: &'a Network,
    /// The layers after the trunk.
    own: &'a [Layer],
    weights: &'a [f32],
    observations: &'a [f32],
    scratch: &'a mut Scratch,
    outputs: &'a mut [f32],
}

impl Routine for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Forward { network, own, weights, observations, scratch, outputs } = self;
        assert!(network.cores.state() == 0, "a recurrent network advances");
        let width = own.last().map_or(1, |layer| layer.outputs);
        assert_eq!(outputs.len() / width * network.inputs, observations.len(), "as many outputs as observations");
        let tiles = observations.chunks(TILE * network.inputs).zip(outputs.chunks_mut(TILE * width));
        for (observations, outputs) in tiles {
            forward::<V>(network, own, weights, observations, &mut scratch.hidden, outputs);
        }
    }
}

/// One tile of rows through the trunk and the layers after it.
#[inline(always)]
pub(super) fn forward<V: Vector>(
    network: &Network,
    own: &[Layer],
    weights: &[f32],
    observations: &[f32],
    hidden: &mut [Buffer; 2],
    outputs: &mut [f32],
) {
    let rows = observations.len() / network.inputs;
    let depth = network.trunk.len() + own.len();
    let [before, after] = hidden;
    let (mut before, mut after) = (before, after);
    for (place, layer) in network.trunk.iter().chain(own).enumerate() {
        let input = if place == 0 { observations } else { &before[..rows * layer.inputs] };
        let output = if place + 1 == depth { &mut *outputs } else { &mut after[..rows * layer.outputs] };
        apply::<V>(layer, weights, input, rows, output);
        V::enter(Activate(layer.activation, output));
        std::mem::swap(&mut before, &mut after);
    }
}

/// output ← x·W + b, before the activation.
#[inline(always)]
pub(super) fn apply<V: Vector>(layer: &Layer, weights: &[f32], input: &[f32], rows: usize, output: &mut [f32]) {
    let (inputs, outputs) = (layer.inputs, layer.outputs);
    Product {
        a: input,
        a_row: inputs,
        a_column: 1,
        b: &weights[layer.weight..][..inputs * outputs],
        c: output,
        start: Start::Bias(&weights[layer.bias..][..outputs]),
        rows,
        depth: inputs,
        columns: outputs,
    }
    .compute::<V>();
}

impl Scratch {
    /// The hidden tiles, the tile of outputs and the row's memory, side by side.
    pub(super) fn parts(&mut self) -> (&mut [Buffer; 2], &mut Buffer, &mut Row) {
        (&mut self.hidden, &mut self.outputs, &mut self.row)
    }
}

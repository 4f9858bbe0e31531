//! The layers with memory: a forward pass that keeps what the gradient needs, and the way back.
//!
//! dW += Xᵀ·dY, db += Σ dY, dX = dY·Wᵀ ⊙ f'. One tile of rows at a time, TILE of them or as many as there is memory for;
//! W is transposed once per batch.

use super::activation::{Activate, Slope};
use super::buffer::Buffer;
use super::network::{apply, Layer, TILE};
use super::product::{Product, Start};
use super::simd::Vector;

/// What one layer keeps of a tile.
pub(super) struct Kept {
    /// f(x·W + b), `[rows, outputs]`.
    pub results: Buffer,
    /// x·W + b, `[rows, outputs]`, or empty where f's slope is computed from its result.
    inputs: Buffer,
    /// Wᵀ, `[outputs, inputs]`, or empty where no layer before it learns.
    pub transposed: Buffer,
}

impl Kept {
    /// Memory for a chain of layers; `leads`: whether layers that learn stand before the first.
    pub fn chain(layers: &[Layer], leads: bool) -> Vec<Kept> {
        let kept = layers.iter().enumerate().map(|(place, layer)| Kept {
            results: Buffer::new(TILE * layer.outputs),
            inputs: Buffer::new(if layer.activation.needs_input() { TILE * layer.outputs } else { 0 }),
            transposed: Buffer::new(if leads || place > 0 { layer.inputs * layer.outputs } else { 0 }),
        });
        kept.collect()
    }

    /// Makes room for `rows` rows in each layer of a chain.
    pub fn reach(layers: &[Layer], kept: &mut [Kept], rows: usize) {
        for (layer, kept) in layers.iter().zip(kept) {
            kept.results.reach(rows * layer.outputs);
            if layer.activation.needs_input() {
                kept.inputs.reach(rows * layer.outputs);
            }
        }
    }
}

/// Transposes the weights that the way back needs.
#[inline(always)]
pub(super) fn transpose(layers: &[Layer], kept: &mut [Kept], weights: &[f32]) {
    for (layer, kept) in layers.iter().zip(kept).filter(|(_, kept)| !kept.transposed.is_empty()) {
        let matrix = &weights[layer.weight..][..layer.inputs * layer.outputs];
        let mut rows = matrix.chunks_exact(SQUARE * layer.outputs);
        for (place, rows) in (&mut rows).enumerate() {
            transpose_band(rows, layer.outputs, &mut kept.transposed[place * SQUARE..], layer.inputs);
        }
        let done = layer.inputs - layer.inputs % SQUARE;
        for (i, row) in rows.remainder().chunks_exact(layer.outputs).enumerate() {
            for (weight, to) in row.iter().zip(kept.transposed[done + i..].iter_mut().step_by(layer.inputs)) {
                *to = *weight;
            }
        }
    }
}

/// The side of the squares that are transposed at once: one fills a cache line with each of its rows.
const SQUARE: usize = 16;

/// Writes `SQUARE` rows of `width` floats as columns, `stride` floats from row to row.
#[inline(always)]
fn transpose_band(rows: &[f32], width: usize, to: &mut [f32], stride: usize) {
    for column in (0..width).step_by(SQUARE) {
        for j in column..width.min(column + SQUARE) {
            let line = &mut to[j * stride..][..SQUARE];
            for (i, place) in line.iter_mut().enumerate() {
                *place = rows[i * width + j];
            }
        }
    }
}

/// One tile through a chain of layers; every layer keeps its results.
#[inline(always)]
pub(super) fn forward<V: Vector>(layers: &[Layer], kept: &mut [Kept], weights: &[f32], input: &[f32], rows: usize) {
    for (place, layer) in layers.iter().enumerate() {
        let (before, own) = kept.split_at_mut(place);
        let (input, own) = (before.last().map_or(input, |before| &before.results), &mut own[0]);
        let results = &mut own.results[..rows * layer.outputs];
        apply::<V>(layer, weights, &input[..rows * layer.inputs], rows, results);
        if layer.activation.needs_input() {
            own.inputs[..rows * layer.outputs].copy_from_slice(results);
        }
        V::enter(Activate(layer.activation, results));
    }
}

/// Where the gradient at a chain's first input goes, `[rows, inputs]`, and whether it is added to what is there.
pub(super) struct Onward<'a> {
    pub to: &'a mut [f32],
    pub start: Start<'a>,
}

/// One tile back through a chain of layers: adds to `gradients`.
///
/// * `input`: what went into the first layer, `[rows, inputs]`.
/// * `slopes`: d(loss) at the last layer's results, `[rows, outputs]`, multiplied by its f' already; overwritten.
/// * `spare`: memory as wide; overwritten.
#[inline(always)]
pub(super) fn backward<V: Vector>(
    (layers, kept): (&[Layer], &[Kept]),
    input: &[f32],
    rows: usize,
    slopes: &mut [f32],
    spare: &mut [f32],
    gradients: &mut [f32],
    mut onward: Option<Onward<'_>>,
) {
    let (mut slopes, mut spare) = (slopes, spare);
    for (place, layer) in layers.iter().enumerate().rev() {
        let from = if place == 0 { input } else { &kept[place - 1].results };
        learn_layer::<V>(layer, from, slopes, rows, gradients);
        let (to, start) = match (place, onward.take()) {
            (0, None) => break,
            (0, Some(onward)) => (onward.to, onward.start),
            (_, last) => {
                onward = last;
                (&mut *spare, Start::Zero)
            }
        };
        let to = &mut to[..rows * layer.inputs];
        Product {
            a: slopes,
            a_row: layer.outputs,
            a_column: 1,
            b: &kept[place].transposed,
            c: to,
            start,
            rows,
            depth: layer.outputs,
            columns: layer.inputs,
        }
        .compute::<V>();
        if place > 0 {
            through_activation::<V>(&layers[place - 1], &kept[place - 1], rows, to);
            std::mem::swap(&mut slopes, &mut spare);
        }
    }
}

/// One tile back through a chain whose weights stay: writes the gradient at its first input, `[rows, inputs]`, to `to`.
///
/// * `slopes`, `spare`: as for [`backward`].
#[inline(always)]
pub(super) fn inward<V: Vector>(
    (layers, kept): (&[Layer], &[Kept]),
    rows: usize,
    slopes: &mut [f32],
    spare: &mut [f32],
    to: &mut [f32],
) {
    let (mut slopes, mut spare) = (slopes, spare);
    for (place, layer) in layers.iter().enumerate().rev() {
        let next = if place == 0 { &mut *to } else { &mut *spare };
        let next = &mut next[..rows * layer.inputs];
        Product {
            a: slopes,
            a_row: layer.outputs,
            a_column: 1,
            b: &kept[place].transposed,
            c: next,
            start: Start::Zero,
            rows,
            depth: layer.outputs,
            columns: layer.inputs,
        }
        .compute::<V>();
        if place > 0 {
            through_activation::<V>(&layers[place - 1], &kept[place - 1], rows, next);
            std::mem::swap(&mut slopes, &mut spare);
        }
    }
}

/// slopes ← slopes · f' of the layer whose results they stand at.
#[inline(always)]
pub(super) fn through_activation<V: Vector>(layer: &Layer, kept: &Kept, rows: usize, slopes: &mut [f32]) {
    let count = rows * layer.outputs;
    let inputs = if layer.activation.needs_input() { &kept.inputs[..count] } else { &[] };
    let (gradient, results) = (&mut slopes[..count], &kept.results[..count]);
    V::enter(Slope { activation: layer.activation, gradient, results, inputs });
}

/// dW += Xᵀ·dY and db += Σ dY.
#[inline(always)]
pub(super) fn learn_layer<V: Vector>(layer: &Layer, input: &[f32], slopes: &[f32], rows: usize, gradients: &mut [f32]) {
    Product {
        a: input,
        a_row: 1,
        a_column: layer.inputs,
        b: slopes,
        c: &mut gradients[layer.weight..][..layer.inputs * layer.outputs],
        start: Start::Sum,
        rows: layer.inputs,
        depth: rows,
        columns: layer.outputs,
    }
    .compute::<V>();
    Product {
        a: &[1.0],
        a_row: 0,
        a_column: 0,
        b: slopes,
        c: &mut gradients[layer.bias..][..layer.outputs],
        start: Start::Sum,
        rows: 1,
        depth: rows,
        columns: layer.outputs,
    }
    .compute::<V>();
}

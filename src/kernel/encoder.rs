//! From images and sets of entities to features of a fixed number: convolutions, and pooling by attention.
//!
//! Owns the forward pass over flat weights; gradients are not taken here. Refuses what does not fit by panicking, as the
//! network does. Vectors come first and pass as they are; each row is encoded by itself.

use super::activation::{Activate, Activation};
use super::buffer::Buffer;
use super::network::{apply, Layer, TILE};
use super::product::{Product, Start};
use super::simd::{dispatch, Routine, Vector};
use super::softmax::softmax;

/// A convolution without padding, then max(x, 0). W is `[kernel, kernel, inputs, outputs]` row-major, b `[outputs]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    /// Rows, columns and channels of what goes in, `[height, width, channels]`.
    pub from: [usize; 3],
    /// Rows, columns and channels of what comes out.
    pub to: [usize; 3],
    pub kernel: usize,
    pub stride: usize,
    pub weight: usize,
    pub bias: usize,
}

/// What becomes features; `input` is where it begins in a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Encoding {
    /// An image `[height, width, channels]` through convolutions.
    Image { input: usize, layers: Vec<Convolution> },
    /// A count, then entities `[capacity, size]`, of which the first `count` are there: h = f(e·W + b), and for each head
    /// Σ softmax(h·S) h; then count / capacity. An empty set gives zeros.
    Set { input: usize, capacity: usize, embed: Layer, scores: usize, heads: usize },
}

impl Encoding {
    fn features(&self) -> usize {
        match self {
            Encoding::Image { layers, .. } => layers.last().map_or(0, |last| last.to.iter().product()),
            Encoding::Set { embed, heads, .. } => heads * embed.outputs + 1,
        }
    }
}

/// Rows `[inputs]` to features `[features]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoder {
    pub inputs: usize,
    /// The first inputs, which pass.
    pub vectors: usize,
    pub parts: Vec<Encoding>,
}

/// Memory of one encoder on one thread; all of it is taken at construction.
pub struct EncoderScratch {
    patches: Buffer,
    maps: [Buffer; 2],
    embedded: Buffer,
    scores: Buffer,
    column: Buffer,
    shares: Buffer,
}

impl EncoderScratch {
    pub fn new(encoder: &Encoder) -> EncoderScratch {
        let (mut depth, mut map, mut embedded, mut scored, mut entities) = (0, 0, 0, 0, 0);
        for part in &encoder.parts {
            match part {
                Encoding::Image { layers, .. } => {
                    let deepest = layers.iter().map(|layer| layer.kernel * layer.kernel * layer.from[2]).max();
                    depth = depth.max(deepest.unwrap_or(0));
                    map = map.max(layers.iter().map(|layer| layer.to.iter().product()).max().unwrap_or(0));
                }
                Encoding::Set { capacity, embed, heads, .. } => {
                    embedded = embedded.max(capacity * embed.outputs);
                    scored = scored.max(capacity * heads);
                    entities = entities.max(*capacity);
                }
            }
        }
        EncoderScratch {
            patches: Buffer::new(TILE * depth),
            maps: [Buffer::new(map), Buffer::new(map)],
            embedded: Buffer::new(embedded),
            scores: Buffer::new(scored),
            column: Buffer::new(entities),
            shares: Buffer::new(entities),
        }
    }
}

impl Encoder {
    /// Features of a row.
    pub fn features(&self) -> usize {
        self.vectors + self.parts.iter().map(Encoding::features).sum::<usize>()
    }

    /// `rows`: `[rows, inputs]`, normalised; `features`: `[rows, features]`, overwritten.
    pub fn encode(&self, weights: &[f32], rows: &[f32], scratch: &mut EncoderScratch, features: &mut [f32]) {
        assert_eq!(rows.len() / self.inputs * self.features(), features.len(), "features for each row");
        dispatch(Encode { encoder: self, weights, rows, scratch, features });
    }
}

struct Encode<'a> {
    encoder: &'a Encoder,
    weights: &'a [f32],
    rows: &'a [f32],
    scratch: &'a mut EncoderScratch,
    features: &'a mut [f32],
}

impl Routine for Encode<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Encode { encoder, weights, rows, scratch, features } = self;
        let width = encoder.features();
        for (row, features) in rows.chunks_exact(encoder.inputs).zip(features.chunks_exact_mut(width)) {
            let (vectors, mut features) = features.split_at_mut(encoder.vectors);
            vectors.copy_from_slice(&row[..encoder.vectors]);
            for part in &encoder.parts {
                let (own, rest) = features.split_at_mut(part.features());
                features = rest;
                match part {
                    Encoding::Image { input, layers } => image::<V>(layers, weights, &row[*input..], scratch, own),
                    Encoding::Set { input, capacity, embed, scores, heads } => {
                        let count = (row[*input] as usize).min(*capacity);
                        let scores = &weights[*scores..][..embed.outputs * heads];
                        pool::<V>((embed, scores), weights, &row[input + 1..][..count * embed.inputs], scratch, own);
                        own[heads * embed.outputs] = count as f32 / *capacity as f32;
                    }
                }
            }
        }
    }
}

/// An image through its convolutions.
#[inline(always)]
fn image<V: Vector>(
    layers: &[Convolution],
    weights: &[f32],
    pixels: &[f32],
    scratch: &mut EncoderScratch,
    features: &mut [f32],
) {
    let [before, after] = &mut scratch.maps;
    let (mut before, mut after) = (before, after);
    for (place, layer) in layers.iter().enumerate() {
        let from: &[f32] = if place == 0 { pixels } else { before };
        let count = layer.to.iter().product();
        let to = if place + 1 == layers.len() { &mut *features } else { &mut after[..count] };
        convolve::<V>(layer, weights, from, &mut scratch.patches, to);
        V::enter(Activate(Activation::Relu, to));
        std::mem::swap(&mut before, &mut after);
    }
}

/// One convolution: patches side by side, some places at once, times W.
#[inline(always)]
fn convolve<V: Vector>(layer: &Convolution, weights: &[f32], from: &[f32], patches: &mut Buffer, to: &mut [f32]) {
    let ([_, width, channels], [_, columns, outputs]) = (layer.from, layer.to);
    let line = layer.kernel * channels;
    let depth = layer.kernel * line;
    for (tile, to) in to.chunks_mut(TILE * outputs).enumerate() {
        let count = to.len() / outputs;
        for (place, patch) in (tile * TILE..).zip(patches.chunks_exact_mut(depth)).take(count) {
            let (y, x) = (place / columns * layer.stride, place % columns * layer.stride);
            for (row, target) in patch.chunks_exact_mut(line).enumerate() {
                target.copy_from_slice(&from[((y + row) * width + x) * channels..][..line]);
            }
        }
        Product {
            a: &patches[..count * depth],
            a_row: depth,
            a_column: 1,
            b: &weights[layer.weight..][..depth * outputs],
            c: to,
            start: Start::Bias(&weights[layer.bias..][..outputs]),
            rows: count,
            depth,
            columns: outputs,
        }
        .compute::<V>();
    }
}

/// The entities of one set, pooled by each head.
#[inline(always)]
fn pool<V: Vector>(
    (embed, scores): (&Layer, &[f32]),
    weights: &[f32],
    entities: &[f32],
    scratch: &mut EncoderScratch,
    features: &mut [f32],
) {
    let (count, width) = (entities.len() / embed.inputs, embed.outputs);
    let heads = scores.len() / width;
    features[..heads * width].fill(0.0);
    if count == 0 {
        return;
    }
    let embedded = &mut scratch.embedded[..count * width];
    apply::<V>(embed, weights, entities, count, embedded);
    V::enter(Activate(embed.activation, embedded));
    let scored = &mut scratch.scores[..count * heads];
    Product {
        a: embedded,
        a_row: width,
        a_column: 1,
        b: scores,
        c: scored,
        start: Start::Zero,
        rows: count,
        depth: width,
        columns: heads,
    }
    .compute::<V>();
    let (column, shares) = (&mut scratch.column[..count], &mut scratch.shares[..count]);
    for (head, features) in features.chunks_exact_mut(width).take(heads).enumerate() {
        for (score, of_entity) in column.iter_mut().zip(scored.chunks_exact(heads)) {
            *score = of_entity[head];
        }
        let all = softmax::<V>(column, None, shares);
        shares.iter_mut().for_each(|share| *share = all.probability(*share));
        Product {
            a: shares,
            a_row: count,
            a_column: 1,
            b: embedded,
            c: features,
            start: Start::Zero,
            rows: 1,
            depth: count,
            columns: width,
        }
        .compute::<V>();
    }
}

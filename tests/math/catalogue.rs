//! Every function of the room that takes a mask, on one batch of data, for the properties they all share.

use keel::math::*;
use tch::{Kind, Tensor};

/// Three tensors `[B, T]` in whatever role a function has for them, one number per row, and the mask.
pub struct Batch {
    pub x: Tensor,
    pub y: Tensor,
    pub z: Tensor,
    pub scores: Tensor,
    pub mask: Tensor,
}

pub const ROWS: i64 = 4;
pub const TOKENS: i64 = 7;

/// Counted tokens per row of [`Batch::new`]: the same in each, at different places.
pub const COUNTED: i64 = 4;

impl Batch {
    pub fn new(kind: Kind) -> Batch {
        let wave = |step: f64, height: f64| {
            let angle = Tensor::arange(ROWS * TOKENS, (Kind::Double, tch::Device::Cpu)) * step + 0.4;
            (angle.sin() * height).to_kind(kind).view([ROWS, TOKENS])
        };
        let rows: [[i64; TOKENS as usize]; ROWS as usize] =
            [[1, 1, 1, 1, 0, 0, 0], [0, 1, 0, 1, 1, 0, 1], [0, 0, 0, 1, 1, 1, 1], [1, 0, 1, 0, 1, 0, 1]];
        let mask = Tensor::from_slice2(&rows).to_kind(Kind::Bool);
        let scores = Tensor::from_slice(&[1.5, -0.5, 0.25, -2.0]).to_kind(kind);
        Batch { x: wave(1.7, 0.9) - 1.0, y: wave(2.3, 0.7) - 1.0, z: wave(0.9, 1.3), scores, mask }
    }

    /// The same functions on other data: each tensor `[B, T]` through `tokens`, the scores through `rows`.
    pub fn map(&self, tokens: impl Fn(&Tensor) -> Tensor, rows: impl Fn(&Tensor) -> Tensor) -> Batch {
        let (x, y, z) = (tokens(&self.x), tokens(&self.y), tokens(&self.z));
        Batch { x, y, z, scores: rows(&self.scores), mask: tokens(&self.mask) }
    }

    pub fn with_x(&self, x: &Tensor) -> Batch {
        Batch { x: x.shallow_clone(), ..self.map(Tensor::shallow_clone, Tensor::shallow_clone) }
    }
}

pub struct Entry {
    pub name: &'static str,
    pub function: fn(&Batch) -> Tensor,
    /// What stands in a masked slot of a result `[B, T]`.
    pub masked_slot: f64,
}

fn entry(name: &'static str, function: fn(&Batch) -> Tensor) -> Entry {
    Entry { name, function, masked_slot: 0.0 }
}

/// Each function, its result `[B, T]`, `[B]` or scalar.
pub fn catalogue() -> Vec<Entry> {
    vec![
        entry("masked_sum", |b| masked_sum(&b.x, &b.mask)),
        entry("masked_mean", |b| masked_mean(&b.x, &b.mask)),
        entry("weighted_mean", |b| weighted_mean(&b.x, &b.mask, &b.scores.square())),
        entry("masked_variance", |b| masked_variance(&b.x, &b.mask)),
        entry("row_sum", |b| row_sum(&b.x, &b.mask)),
        entry("row_mean", |b| row_mean(&b.x, &b.mask)),
        entry("centered", |b| centered(&b.x, &b.mask)),
        entry("whitened", |b| whitened(&b.x, &b.mask)),
        entry("scaled", |b| scaled(&b.x, &b.mask)),
        entry("shaped_rewards", |b| shaped_rewards(&b.x, &b.scores, 0.3, &b.mask)),
        entry("advantages", |b| generalized_advantage(&b.x, &b.y, &b.mask, 0.97, &Tensor::from(0.9)).0),
        entry("returns", |b| generalized_advantage(&b.x, &b.y, &b.mask, 0.97, &Tensor::from(0.9)).1),
        entry("explained_variance", |b| Tensor::from(explained_variance(&b.x, &b.y, &b.mask)).to_kind(b.x.kind())),
        Entry { name: "ratio", function: |b| ratio(&b.x, &b.y, &b.mask), masked_slot: 1.0 },
        entry("policy_loss", |b| policy_loss(&b.x, &b.y, &b.z, &b.mask, 0.2, 0.28, None)),
        entry("policy_loss, dual clip", |b| policy_loss(&b.x, &b.y, &b.z, &b.mask, 0.2, 0.2, Some(1.5))),
        entry("weighted_policy_loss", |b| weighted_policy_loss(&b.x, &b.y, &b.z, &b.mask, 1.2)),
        entry("capped", |b| capped(&b.x, &b.y, &b.mask, 1.3)),
        entry("gated_policy_loss", |b| gated_policy_loss(&b.x, &b.y, &b.z, &b.mask, (1.0, 1.05))),
        entry("geometric_policy_loss", |b| geometric_policy_loss(&b.x, &b.y, &b.z, &b.mask, 0.4)),
        entry("variational_policy_loss", |b| {
            variational_policy_loss(&b.x, &b.y, &b.z, &b.mask, (2.0, 3.0), (3.0, 2.0))
        }),
        entry("uncertain_tokens", |b| uncertain_tokens(&b.x, &b.mask, 0.4).to_kind(b.x.kind())),
        entry("tolerable_tokens", |b| tolerable_tokens(&b.x, &b.y, &b.z, &b.mask, 0.01).to_kind(b.x.kind())),
        Entry { name: "sequence_ratio", function: |b| sequence_ratio(&b.x, &b.y, &b.mask), masked_slot: 1.0 },
        Entry { name: "sequence_mean_ratio", function: |b| sequence_mean_ratio(&b.x, &b.y, &b.mask), masked_slot: 1.0 },
        entry("discounted_returns", |b| discounted_returns(&b.x, &b.mask, 0.9)),
        entry("clip_fraction", |b| clip_fraction(&b.x, &b.y, &b.z, &b.mask, 0.2, 0.2)),
        entry("value_clip_fraction", |b| value_clip_fraction(&b.x, &b.y, &b.z, 0.2, &b.mask)),
        entry("approximate_kl", |b| approximate_kl(&b.x, &b.y, &b.mask)),
        entry("negative_log_likelihood", |b| negative_log_likelihood(&b.x, &b.mask)),
        entry("token_mean", |b| token_mean(&b.x, &b.mask)),
        entry("sequence_mean_token_mean", |b| sequence_mean_token_mean(&b.x, &b.mask)),
        entry("sequence_mean_token_sum", |b| sequence_mean_token_sum(&b.x, &b.mask)),
        entry("sum_over_constant", |b| sum_over_constant(&b.x, &b.mask, 11)),
    ]
}

//! The key-value cache of a generation: static, one row per response, and attention over it.
//!
//! Prefill runs the kernels of scoring and leaves its keys and values here; decoding adds one token per live row. The
//! last row is scratch for the padding that fills row counts up to a multiple of four.

use crate::error::Result;
use crate::model::language::packed::{heads_of, PackedAttention, Run};
use crate::model::language::transformer::Attention;
use crate::model::language::Architecture;
use crate::torch;
use tch::{Device, Kind, Tensor};

/// Keys and values per layer, [rows + 1, key_value_heads, positions, D] each.
pub(super) struct Cache {
    keys: Vec<Tensor>,
    values: Vec<Tensor>,
}

impl Cache {
    pub fn new(a: &Architecture, rows: usize, positions: usize, kind: Kind, device: Device) -> Result<Cache> {
        let shape = [rows as i64 + 1, a.key_value_heads, positions as i64, a.head_dim];
        let layers =
            || -> Result<Vec<Tensor>> { (0..a.layers).map(|_| Ok(Tensor::f_zeros(shape, (kind, device))?)).collect() };
        Ok(Cache { keys: layers()?, values: layers()? })
    }
}

/// Attention of whole prompts that fills the cache on the way.
pub(super) struct Prefill<'a> {
    pub runs: &'a [Run],
    pub cache: &'a mut Cache,
    /// The cache row of the first response of each packed prompt; its other samples follow.
    pub first_rows: &'a [i64],
    pub samples: i64,
}

impl Prefill<'_> {
    /// The cache rows of the responses to the packed prompt `member`.
    fn rows_of(&self, member: usize) -> std::ops::Range<i64> {
        self.first_rows[member]..self.first_rows[member] + self.samples
    }
}

impl Attention for Prefill<'_> {
    fn attend(&mut self, layer: usize, query: &Tensor, key: &Tensor, value: &Tensor, scale: f64) -> Result<Tensor> {
        for run in self.runs.iter().filter(|run| !run.members.is_empty()) {
            let rows: Vec<i64> = run.members.iter().flat_map(|member| self.rows_of(*member)).collect();
            let rows = Tensor::f_from_slice(&rows)?.f_to_device(query.device())?;
            for (cache, part) in [(&self.cache.keys[layer], key), (&self.cache.values[layer], value)] {
                let part = heads_of(run, &part.f_narrow(0, run.start, run.count * run.length)?)?; // [count, heads, length, D]
                let shape = part.size();
                let repeated =
                    part.f_unsqueeze(1)?.f_expand([shape[0], self.samples, shape[1], shape[2], shape[3]], false)?;
                let _ = cache.f_narrow(2, 0, run.length)?.f_index_copy_(0, &rows, &repeated.f_flatten(0, 1)?)?;
            }
        }
        PackedAttention { runs: self.runs }.attend(layer, query, key, value, scale)
    }
}

/// Attention of one new token per row to its cached predecessors and itself.
pub(super) struct Decode<'a> {
    pub cache: &'a mut Cache,
    /// [R] i64, the cache row of each token
    pub rows: &'a Tensor,
    /// [R] i64, where in its row each token goes
    pub positions: &'a Tensor,
    /// [R] i64, how many keys of its row count then
    pub lengths: &'a Tensor,
}

impl Attention for Decode<'_> {
    fn attend(&mut self, layer: usize, query: &Tensor, key: &Tensor, value: &Tensor, scale: f64) -> Result<Tensor> {
        let places = [Some(self.rows), None, Some(self.positions)];
        let (keys, values) = (&mut self.cache.keys[layer], &mut self.cache.values[layer]);
        let _ = keys.f_index_put_(&places, key, false)?;
        let _ = values.f_index_put_(&places, value, false)?;
        let mixed = torch::decode_attention(query, keys, values, self.rows, self.lengths, scale)?; // [R, H, D]
        Ok(mixed.f_flatten(1, 2)?)
    }
}

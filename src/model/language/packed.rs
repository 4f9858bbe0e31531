//! Ragged sequences packed into rows: one row a token, no padding between sequences.
//!
//! Owns the order of the rows: sequences sorted by length, so that those of equal length share one attention call, and
//! a tail of up to three rows that makes the count a multiple of four. With that the matrix kernels give a row the same
//! bits whatever else is packed with it.

use crate::error::{Error, Result, Status};
use crate::model::language::transformer::Attention;
use crate::model::language::Architecture;
use crate::torch;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use tch::{Device, Kind, Tensor};

/// The rows of a matrix product come in multiples of this.
pub(super) const ROW_MULTIPLE: usize = 4;

/// A prompt and its response as the tokens that the model read and wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    pub tokens: Vec<i32>,
    /// How many of `tokens` are the prompt: at least one.
    pub prompt_length: usize,
    /// Per response token, true = it counts; `None` = all count.
    pub mask: Option<Vec<bool>>,
}

impl Sequence {
    /// How many tokens the response has.
    pub fn response_length(&self) -> usize {
        self.tokens.len().saturating_sub(self.prompt_length)
    }

    /// Whether response token `token` counts.
    pub fn counts(&self, token: usize) -> bool {
        token < self.response_length() && self.mask.as_ref().is_none_or(|mask| mask[token])
    }

    /// How many response tokens count.
    pub fn counted(&self) -> usize {
        (0..self.response_length()).filter(|token| self.counts(*token)).count()
    }

    /// Its last `positions` tokens: what is cut away is the prompt's beginning, and then the response's.
    pub fn tail(&self, positions: usize) -> Cow<'_, Sequence> {
        let cut = self.tokens.len().saturating_sub(positions.max(2));
        if cut == 0 {
            return Cow::Borrowed(self);
        }
        let lost = (cut + 1).saturating_sub(self.prompt_length);
        Cow::Owned(Sequence {
            tokens: self.tokens[cut..].to_vec(),
            prompt_length: self.prompt_length.saturating_sub(cut).max(1),
            mask: self.mask.as_ref().map(|mask| mask[lost..].to_vec()),
        })
    }

    /// Whether a model of this architecture can score it.
    pub fn sound(&self, architecture: &Architecture) -> bool {
        let known = |token: &i32| (0..architecture.vocabulary).contains(&i64::from(*token));
        self.check().is_ok()
            && self.response_length() > 0
            && self.tokens.len() as i64 <= architecture.positions
            && self.tokens.iter().all(known)
    }

    /// Refuses an empty prompt and a mask that is not one flag per response token.
    pub fn check(&self) -> Result<()> {
        if self.prompt_length == 0 || self.prompt_length > self.tokens.len() {
            return Err(Error::data(format!(
                "prompt: expected 1 to {} tokens, got {}",
                self.tokens.len(),
                self.prompt_length
            )));
        }
        match &self.mask {
            Some(mask) if mask.len() != self.response_length() => Err(Error::data(format!(
                "response_mask: expected {} flags, one per response token, got {}",
                self.response_length(),
                mask.len()
            ))),
            _ => Ok(()),
        }
    }
}

/// What a forward pass reads of its rows: a token and its position each.
pub(super) struct Rows {
    /// [N] i64
    pub tokens: Tensor,
    /// [N] i64
    pub positions: Tensor,
    pub last_position: i64,
    pub largest_token: i32,
    pub smallest_token: i32,
    /// What is added to the embeddings, [N, d].
    pub noise: Option<Tensor>,
}

impl Rows {
    /// The embeddings [N, d] of the tokens, with their noise.
    pub fn embed(&self, embedding: &Tensor) -> Result<Tensor> {
        let embedded = Tensor::f_embedding(embedding, &self.tokens, -1, false, false)?;
        match &self.noise {
            Some(noise) => Ok(embedded.f_add(noise)?),
            None => Ok(embedded),
        }
    }

    pub fn new(tokens: &[i32], positions: &[i64], device: Device) -> Result<Rows> {
        let wide: Vec<i64> = tokens.iter().map(|token| i64::from(*token)).collect();
        Ok(Rows {
            tokens: Tensor::f_from_slice(&wide)?.f_to_device(device)?,
            positions: Tensor::f_from_slice(positions)?.f_to_device(device)?,
            last_position: positions.iter().copied().max().unwrap_or(0),
            largest_token: tokens.iter().copied().max().unwrap_or(0),
            smallest_token: tokens.iter().copied().min().unwrap_or(0),
            noise: None,
        })
    }
}

/// Neighbouring sequences of one length.
pub(super) struct Run {
    pub start: i64,
    pub count: i64,
    pub length: i64,
    /// Which of the packed sequences these are; empty for the padding at the end.
    pub members: Vec<usize>,
}

/// Sequences in the form that [`Transformer::hidden`](super::Transformer::hidden) reads.
pub struct Packed {
    pub(super) rows: Rows,
    pub(super) runs: Vec<Run>,
    starts: Vec<i64>,
    count: i64,
}

impl Packed {
    /// Packs whole sequences, prompt and response.
    pub fn new(sequences: &[&Sequence], device: Device) -> Result<Packed> {
        let tokens: Vec<&[i32]> = sequences.iter().map(|sequence| sequence.tokens.as_slice()).collect();
        Packed::from_tokens(&tokens, device)
    }

    /// Packs token sequences; `Data` if there is none or one is empty.
    pub fn from_tokens(sequences: &[&[i32]], device: Device) -> Result<Packed> {
        if sequences.is_empty() {
            return Err(Error::data("expected at least one sequence, got none"));
        }
        if let Some(empty) = sequences.iter().position(|tokens| tokens.is_empty()) {
            return Err(Error::data(format!("sequence {empty}: expected at least one token, got none")));
        }
        let mut order: Vec<usize> = (0..sequences.len()).collect();
        order.sort_by_key(|sequence| sequences[*sequence].len());
        let total: usize = sequences.iter().map(|tokens| tokens.len()).sum();
        let padding = (ROW_MULTIPLE - total % ROW_MULTIPLE) % ROW_MULTIPLE;
        let mut tokens = Vec::with_capacity(total + padding);
        let mut positions = Vec::with_capacity(total + padding);
        let mut starts = vec![0; sequences.len()];
        let mut runs: Vec<Run> = Vec::new();
        for &sequence in &order {
            let (start, length) = (tokens.len() as i64, sequences[sequence].len() as i64);
            starts[sequence] = start;
            tokens.extend_from_slice(sequences[sequence]);
            positions.extend(0..length);
            match runs.last_mut() {
                Some(run) if run.length == length => {
                    run.count += 1;
                    run.members.push(sequence);
                }
                _ => runs.push(Run { start, count: 1, length, members: vec![sequence] }),
            }
        }
        if padding > 0 {
            runs.push(Run { start: total as i64, count: 1, length: padding as i64, members: Vec::new() });
            tokens.resize(total + padding, 0);
            positions.extend(0..padding as i64);
        }
        let count = tokens.len() as i64;
        Ok(Packed { rows: Rows::new(&tokens, &positions, device)?, runs, starts, count })
    }

    /// Adds uniform noise of ± α / √(L d) to the embeddings of each sequence of L tokens, in `d` features: a function of
    /// `seed` and the sequence alone, whatever it is packed with.
    pub(super) fn disturb(&mut self, sequences: &[&[i32]], alpha: f64, seed: u64, d: i64) -> Result<()> {
        let device = self.rows.tokens.device();
        let noise = Tensor::f_zeros([self.count, d], (Kind::Float, Device::Cpu))?;
        for (index, tokens) in sequences.iter().enumerate() {
            let mixed = tokens.iter().fold(seed, |mixed, token| (mixed ^ *token as u64).wrapping_mul(0x0100_0000_01b3));
            let size = alpha / ((tokens.len() as i64 * d) as f64).sqrt();
            let part = noise.f_narrow(0, self.start(index), tokens.len() as i64)?;
            torch::Generator::new(mixed)?.uniform(&part, -size, size)?;
        }
        self.rows.noise = Some(noise.f_to_device(device)?);
        Ok(())
    }

    /// The number of rows N, padding included.
    pub fn row_count(&self) -> i64 {
        self.count
    }

    /// The row of the first token of `sequence`; its other tokens follow.
    pub fn start(&self, sequence: usize) -> i64 {
        self.starts[sequence]
    }
}

/// Attention of each sequence to itself, causal.
pub(super) struct PackedAttention<'a> {
    pub runs: &'a [Run],
}

impl Attention for PackedAttention<'_> {
    fn attend(&mut self, _layer: usize, query: &Tensor, key: &Tensor, value: &Tensor, scale: f64) -> Result<Tensor> {
        let sizes: Vec<i64> = self.runs.iter().map(|run| run.count * run.length).collect();
        // a split has one backward for all parts, narrow one of full size for each
        let parts = |rows: &Tensor| rows.f_split_with_sizes(sizes.as_slice(), 0);
        let rows = parts(query)?.into_iter().zip(parts(key)?).zip(parts(value)?);
        let attended = |(run, ((query, key), value))| attend_run(run, &query, &key, &value, scale);
        let results: Vec<Tensor> = self.runs.iter().zip(rows).map(attended).collect::<Result<_>>()?;
        match results.as_slice() {
            [] => Err(Error::new(Status::Internal, "attention over no rows")),
            [single] => Ok(single.shallow_clone()),
            several => Ok(Tensor::f_cat(several, 0)?),
        }
    }
}

/// A run's rows in the form of attention kernels, [count, heads, length, D].
pub(super) fn heads_of(run: &Run, rows: &Tensor) -> Result<Tensor> {
    let shape = rows.size();
    Ok(rows.f_view([run.count, run.length, shape[1], shape[2]])?.f_transpose(1, 2)?)
}

fn attend_run(run: &Run, query: &Tensor, key: &Tensor, value: &Tensor, scale: f64) -> Result<Tensor> {
    let grouped = query.size()[1] != key.size()[1];
    let (query, key, value) = (heads_of(run, query)?, heads_of(run, key)?, heads_of(run, value)?);
    let mask: Option<Tensor> = None;
    let mixed = Tensor::f_scaled_dot_product_attention(&query, &key, &value, mask, 0.0, true, scale, grouped)?;
    let rows = run.count * run.length;
    Ok(mixed.f_transpose(1, 2)?.f_reshape([rows, mixed.size()[1] * mixed.size()[3]])?)
    // [count * length, heads * D]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(packed: &Packed) -> Vec<i64> {
        Vec::try_from(&packed.rows.tokens).unwrap()
    }

    #[test]
    fn equal_lengths_become_neighbours_and_the_tail_fills_up_to_four_rows() {
        let packed = Packed::from_tokens(&[&[5, 6, 7], &[8], &[9, 10, 11]], Device::Cpu).unwrap();
        assert_eq!(tokens(&packed), [8, 5, 6, 7, 9, 10, 11, 0]);
        assert_eq!(Vec::<i64>::try_from(&packed.rows.positions).unwrap(), [0, 0, 1, 2, 0, 1, 2, 0]);
        let runs: Vec<_> = packed.runs.iter().map(|run| (run.start, run.count, run.length)).collect();
        assert_eq!(runs, [(0, 1, 1), (1, 2, 3), (7, 1, 1)]);
        assert_eq!((packed.start(0), packed.start(1), packed.start(2)), (1, 0, 4));
        assert_eq!((packed.rows.last_position, packed.rows.largest_token), (2, 11));
    }

    #[test]
    fn nothing_to_pack_is_refused() {
        assert_eq!(Packed::from_tokens(&[], Device::Cpu).err().unwrap().status, Status::Data);
        let error = Packed::from_tokens(&[&[1], &[]], Device::Cpu).err().unwrap();
        assert_eq!(error.message, "sequence 1: expected at least one token, got none");
    }
}

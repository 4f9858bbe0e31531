//! Rows into the tensors that an algorithm sees: chunks of sequences for the model, columns for the mathematics.

use super::buffer::Row;
use crate::error::Result;
use crate::model::{response_mask, Sequence};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// The sequences of some rows, the first response of every row first, and their common width T.
pub(super) struct Gathered {
    pub rows: Vec<Arc<Row>>,
    pub responses: usize,
    pub width: i64,
}

impl Gathered {
    pub fn new(rows: Vec<Arc<Row>>) -> Self {
        let responses = rows.first().map_or(1, |row| row.sequences.len());
        let longest = rows.iter().flat_map(|row| &row.sequences).map(Sequence::response_length).max();
        Gathered { responses, width: longest.unwrap_or(1).max(1) as i64, rows }
    }

    /// The rows each with a second sequence: its prompt and the response of the row before, cut to `positions`.
    pub fn mismatched(rows: Vec<Arc<Row>>, positions: usize) -> Self {
        let other = |index: usize| &rows[(index + rows.len() - 1) % rows.len()].sequences[0];
        let joined = |(index, row): (usize, &Arc<Row>)| {
            let (own, other) = (&row.sequences[0], other(index));
            let mut tokens = [&own.tokens[..own.prompt_length], &other.tokens[other.prompt_length..]].concat();
            tokens.truncate(positions);
            let length = tokens.len() - own.prompt_length;
            let mask = other.mask.as_ref().map(|mask| mask[..length].to_vec());
            let second = Sequence { tokens, prompt_length: own.prompt_length, mask };
            Arc::new(Row { sequences: vec![own.clone(), second], ..row.as_ref().clone() })
        };
        Gathered::new(rows.iter().enumerate().map(joined).collect())
    }

    /// S = k·B.
    pub fn sequence_count(&self) -> usize {
        self.responses * self.rows.len()
    }

    pub fn sequence(&self, index: usize) -> &Sequence {
        let (response, row) = (index / self.rows.len(), index % self.rows.len());
        &self.rows[row].sequences[response]
    }

    pub fn sequences(&self, indices: &[usize]) -> Vec<&Sequence> {
        indices.iter().map(|index| self.sequence(*index)).collect()
    }

    /// The sequences of chosen rows, in the order that `Columns::select` gives their entries.
    pub fn of_rows(&self, rows: &[usize]) -> Vec<usize> {
        (0..self.responses).flat_map(|response| rows.iter().map(move |row| response * self.rows.len() + row)).collect()
    }

    /// Consecutive ranges of `indices` of at most `tokens` tokens each (0 = no bound), at least one sequence.
    pub fn chunks(&self, indices: &[usize], tokens: usize) -> Vec<Range<usize>> {
        let mut chunks = Vec::new();
        let (mut start, mut sum) = (0, 0);
        for (place, index) in indices.iter().enumerate() {
            let length = self.sequence(*index).tokens.len();
            if tokens > 0 && place > start && sum + length > tokens {
                chunks.push(start..place);
                (start, sum) = (place, 0);
            }
            sum += length;
        }
        if start < indices.len() {
            chunks.push(start..indices.len());
        }
        chunks
    }

    pub fn mask(&self, device: Device) -> Tensor {
        let all: Vec<usize> = (0..self.sequence_count()).collect();
        response_mask(&self.sequences(&all), self.width, device)
    }

    /// The slot behind each response, [S, T] bool; T has room for it.
    pub fn ends(&self, device: Device) -> Result<Tensor> {
        let lengths: Vec<i64> =
            (0..self.sequence_count()).map(|index| self.sequence(index).response_length() as i64).collect();
        let lengths = Tensor::f_from_slice(&lengths)?.f_unsqueeze(1)?; // [S, 1]
        let slots = Tensor::f_arange(self.width, (Kind::Int64, Device::Cpu))?; // [T]
        Ok(slots.f_eq_tensor(&lengths)?.f_to_device(device)?)
    }

    /// One number a row as [B].
    pub fn per_row(&self, device: Device, value: impl Fn(&Row) -> f32) -> Result<Tensor> {
        let values: Vec<f32> = self.rows.iter().map(|row| value(row)).collect();
        Ok(Tensor::f_from_slice(&values)?.f_to_device(device)?)
    }

    /// What a column of the host says of each row, [B], or with `scores` > 0 [B, K]: one number stands for all K.
    pub fn numbers(&self, device: Device, name: &str, absent: f32, scores: usize) -> Result<Tensor> {
        let width = scores.max(1);
        let all = self.rows.iter().flat_map(|row| match row.numbers.get(name).map(Vec::as_slice) {
            None => vec![absent; width],
            Some(&[number]) => vec![number; width],
            Some(numbers) => numbers.to_vec(),
        });
        let flat = Tensor::f_from_slice(&all.collect::<Vec<f32>>())?.f_to_device(device)?;
        Ok(if scores == 0 { flat } else { flat.f_reshape([-1, scores as i64])? })
    }

    /// The rewards of each row, [B, K]; NaN where a row has none.
    pub fn rewards(&self, device: Device, count: usize) -> Result<Tensor> {
        let of = |row: &Arc<Row>| row.reward.clone().unwrap_or_else(|| vec![f32::NAN; count]);
        let flat: Vec<f32> = self.rows.iter().flat_map(of).collect();
        Ok(Tensor::f_from_slice(&flat)?.f_reshape([-1, count as i64])?.f_to_device(device)?)
    }

    /// The place of the first row of each row's group, as i64 [B].
    pub fn groups(&self, device: Device) -> Result<Tensor> {
        let mut places: HashMap<u64, i64> = HashMap::new();
        let place = |(index, row): (usize, &Arc<Row>)| *places.entry(row.group).or_insert(index as i64);
        let groups: Vec<i64> = self.rows.iter().enumerate().map(place).collect();
        Ok(Tensor::f_from_slice(&groups)?.f_to_device(device)?)
    }

    /// A column of one number a response token as [S, T]: 0 where there is none, and where a token does not count.
    pub fn token_numbers(&self, device: Device, name: &str) -> Result<Tensor> {
        let width = self.width as usize;
        let mut flat = vec![0f32; self.rows.len() * width];
        for (row, line) in self.rows.iter().zip(flat.chunks_mut(width)) {
            let numbers = row.tokens.get(name).map(Vec::as_slice).unwrap_or_default();
            line[..numbers.len()].copy_from_slice(numbers);
        }
        let tensor = Tensor::f_from_slice(&flat)?.f_reshape([self.rows.len() as i64, self.width])?; // [S, T]
        Ok((tensor * self.mask(Device::Cpu)).f_to_kind(Kind::Float)?.f_to_device(device)?)
    }
}

//! The logits behind the tokens of a generation, for a host that asks for them.
//!
//! Owns their memory, on the host and taken whole before the first token: a generation whose logits would not fit is
//! refused before it has done anything, and none ends for their sake in the middle.

use crate::error::{Error, Result, Status};
use tch::{Device, Kind, Tensor};

/// Room for the logits of every token that may be sampled.
pub(super) struct Logits {
    /// [rows · most, V] f32
    values: Tensor,
    /// Most tokens of a response.
    most: usize,
}

impl Logits {
    /// Room for `rows` responses of at most `most` tokens; `OutOfMemory` where it is not there or capped.
    pub fn new(rows: usize, most: usize, vocabulary: i64) -> Result<Logits> {
        let room = Tensor::f_empty([(rows * most) as i64, vocabulary], (Kind::Float, Device::Cpu));
        let named =
            |error| Error::from(error).within(format!("logits: {vocabulary} for each of {rows} × {most} tokens"));
        Ok(Logits { values: room.map_err(named)?, most })
    }

    /// Keeps some rows of `logits` [R, V]; each of `kept` is such a row, a response and the place of a token in it.
    pub fn keep(&mut self, logits: &Tensor, kept: impl Iterator<Item = (usize, usize, usize)>) -> Result<()> {
        let (sources, places): (Vec<i64>, Vec<i64>) =
            kept.map(|(source, row, token)| (source as i64, (row * self.most + token) as i64)).unzip();
        let sources = Tensor::f_from_slice(&sources)?.f_to_device(logits.device())?;
        let logits = logits.f_index_select(0, &sources)?.f_to_device(Device::Cpu)?;
        let _ = self.values.f_index_copy_(0, &Tensor::f_from_slice(&places)?, &logits)?;
        Ok(())
    }

    /// Those of responses of these lengths, row after row, [Σ T, V].
    pub fn read(&self, lengths: &[usize]) -> Result<Vec<f32>> {
        let width = self.values.size()[1] as usize;
        let count = lengths.iter().sum::<usize>() * width;
        let mut flat = Vec::new();
        flat.try_reserve_exact(count)
            .map_err(|_| Error::new(Status::OutOfMemory, format!("logits: no memory for {count} numbers")))?;
        flat.resize(count, 0.0);
        let mut rest = flat.as_mut_slice();
        for (row, length) in lengths.iter().enumerate() {
            let (own, others) = rest.split_at_mut(length * width);
            self.values.f_narrow(0, (row * self.most) as i64, *length as i64)?.f_copy_data(own, length * width)?;
            rest = others;
        }
        Ok(flat)
    }
}

//! Named tensors of one batch: what is known of its rows before the loss.
//!
//! A column is [B, …] (one entry per row) or [S, T] (one per response token), where S = k·B for k responses a row, the
//! first response of every row first. Nothing here carries gradient.

use crate::error::{Error, Result, Status};
use std::collections::BTreeMap;
use tch::Tensor;

#[derive(Debug)]
pub struct Columns {
    rows: i64,
    map: BTreeMap<&'static str, Tensor>,
}

impl Columns {
    /// No columns yet for a batch of `rows` rows.
    pub fn new(rows: i64) -> Self {
        Columns { rows, map: BTreeMap::new() }
    }

    pub fn rows(&self) -> i64 {
        self.rows
    }

    pub fn insert(&mut self, name: &'static str, tensor: Tensor) {
        self.map.insert(name, tensor);
    }

    /// The column `name`; absent is an internal error, since the session gathers what `needs` asked for.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.map
            .get(name)
            .ok_or_else(|| Error::new(Status::Internal, format!("column {name} was not gathered for this algorithm")))
    }

    /// The columns of some rows: a [B, …] column keeps those rows, an [S, T] column all their responses.
    pub fn select(&self, rows: &Tensor) -> Result<Columns> {
        let count = rows.size1()?;
        let mut selected = Columns::new(count);
        for (name, tensor) in &self.map {
            let responses = (tensor.size()[0] / self.rows.max(1)).max(1);
            let indices: Vec<Tensor> = (0..responses).map(|response| rows + response * self.rows).collect();
            let index = Tensor::f_cat(&indices, 0)?.f_to_device(tensor.device())?;
            selected.insert(name, tensor.f_index_select(0, &index)?);
        }
        Ok(selected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn select_keeps_every_response_of_a_row() {
        let mut columns = Columns::new(3);
        columns.insert("rewards", Tensor::from_slice(&[10f32, 11.0, 12.0]));
        columns.insert("mask", Tensor::from_slice(&[0i64, 1, 2, 3, 4, 5]).reshape([6, 1]));
        let selected = columns.select(&Tensor::from_slice(&[2i64, 0])).unwrap();
        assert_eq!(selected.rows(), 2);
        assert_eq!(Vec::<f32>::try_from(selected.get("rewards").unwrap()).unwrap(), [12.0, 10.0]);
        assert_eq!(Vec::<i64>::try_from(selected.get("mask").unwrap().reshape([-1])).unwrap(), [2, 0, 5, 3]);
        assert_eq!(selected.get("values").unwrap_err().status, Status::Internal);
    }
}

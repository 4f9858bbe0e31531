//! The reference: a frozen model of the session's own, and what it said of rows that come again.

use super::gather::Gathered;
use crate::error::Result;
use crate::model::{Model, Transformer, Weights};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use tch::{no_grad_guard, Device, Kind, Tensor};

/// A frozen model: a snapshot that its owner's later publications do not touch.
pub(super) struct Reference {
    pub model: Arc<Model>,
    pub weights: Arc<Weights>,
    pub network: Transformer,
    /// Which state of which reference this is; no two are alike in a process.
    pub state: u64,
    /// Log-probabilities of the tokens of each response, by row.
    remembered: HashMap<u64, Vec<Vec<f32>>>,
}

fn new_state() -> u64 {
    static STATES: AtomicU64 = AtomicU64::new(0);
    STATES.fetch_add(1, Ordering::Relaxed)
}

impl Reference {
    pub fn of(model: &Model) -> Result<Reference> {
        let model = Arc::new(model.frozen());
        let weights = model.weights();
        let network = Transformer::read(model.architecture(), &weights)?;
        Ok(Reference { model, weights, network, state: new_state(), remembered: HashMap::new() })
    }

    /// Moves to (1 − mix) of its own weights and `mix` of a policy of its layout; the model that it was taken from stays.
    pub fn follow(&mut self, policy: &Tensor, mix: f64) -> Result<()> {
        let _no_grad = no_grad_guard();
        let own = self.weights.data().f_to_kind(Kind::Float)?;
        let policy = policy.f_narrow(0, 0, own.size()[0])?;
        self.model.publish(&own.f_lerp(&policy, mix)?)?;
        self.weights = self.model.weights();
        self.network = Transformer::read(self.model.architecture(), &self.weights)?;
        self.state = new_state();
        self.remembered.clear();
        Ok(())
    }

    /// Keeps what it said of these rows, [S, T].
    pub fn remember(&mut self, gathered: &Gathered, log_probs: &Tensor) -> Result<()> {
        let flat = Vec::<f32>::try_from(log_probs.f_reshape([-1])?.f_to_device(Device::Cpu)?)?;
        let (rows, width) = (gathered.rows.len(), gathered.width as usize);
        for (place, row) in gathered.rows.iter().enumerate() {
            let response = |index: usize| {
                let start = (index * rows + place) * width;
                flat[start..start + row.sequences[index].response_length()].to_vec()
            };
            self.remembered.insert(row.id, (0..gathered.responses).map(response).collect());
        }
        Ok(())
    }

    /// What it said of these rows, [S, T], 0 past each response; `None` unless every one is remembered.
    pub fn recall(&self, gathered: &Gathered, device: Device) -> Result<Option<Tensor>> {
        let (rows, width) = (gathered.rows.len(), gathered.width as usize);
        let mut flat = vec![0f32; gathered.sequence_count() * width];
        for (place, row) in gathered.rows.iter().enumerate() {
            let Some(responses) = self.remembered.get(&row.id) else { return Ok(None) };
            let lengths = row.sequences.iter().map(|sequence| sequence.response_length());
            if !responses.iter().map(Vec::len).eq(lengths) {
                return Ok(None);
            }
            for (index, log_probs) in responses.iter().enumerate() {
                let start = (index * rows + place) * width;
                flat[start..start + log_probs.len()].copy_from_slice(log_probs);
            }
        }
        let recalled = Tensor::f_from_slice(&flat)?.f_reshape([gathered.sequence_count() as i64, gathered.width])?; // [S, T]
        Ok(Some(recalled.f_to_device(device)?))
    }

    /// Forgets every other row.
    pub fn forget_others(&mut self, rows: &HashSet<u64>) {
        self.remembered.retain(|row, _| rows.contains(row));
    }
}

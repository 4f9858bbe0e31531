//! A host's own network that acts: over a copy of its own of what is published.
//!
//! Each actor has a module by itself. A script may keep what it likes between its calls, and libtorch does not say that one
//! module can run on two threads; so none ever does, and no act waits for another actor or for the learner.

use super::policy::{Policy, Published};
use super::script::Bound;
use crate::error::Result;
use crate::torch::ThreadScope;
use tch::{no_grad_guard, Device, Kind, Tensor};

/// Rows pass in multiples of so many, so that libtorch's products treat each as it treats any other.
const ROWS: i64 = 4;

/// A module over weights that nobody else reads or writes.
pub struct Reader {
    bound: Bound,
    weights: Tensor,
    /// Of the publication that the weights are.
    version: Option<u64>,
    inputs: i64,
}

impl Reader {
    /// What acts for this policy, where its network is a script.
    pub fn new(policy: &Policy) -> Result<Option<Reader>> {
        let Some(source) = &policy.spec().source else { return Ok(None) };
        let weights = Tensor::f_zeros([policy.layout().len], (Kind::Float, Device::Cpu))?;
        let bound = source.bind(policy.layout(), &weights, None)?;
        Ok(Some(Reader { bound, weights, version: None, inputs: policy.spec().inputs as i64 }))
    }

    /// The policy's outputs, `[rows, W]`, overwritten, at normalised `observations`, `[rows, O]`, by what is published. On one
    /// thread. `Callback`: the script threw; `Shape`: it did not give what it should.
    pub fn outputs(&mut self, published: &Published, observations: &[f32], outputs: &mut [f32]) -> Result<()> {
        if observations.is_empty() {
            return Ok(());
        }
        let (_no_grad, _threads) = (no_grad_guard(), ThreadScope::new(1));
        if self.version != Some(published.version) {
            self.weights.f_copy_(&Tensor::f_from_slice(&published.weights)?)?;
            self.version = Some(published.version);
        }
        let seen = Tensor::f_from_slice(observations)?.f_view([-1, self.inputs])?; // [rows, O]
        let rows = seen.size()[0];
        let more = seen.f_narrow(0, 0, 1)?.f_expand([(-rows).rem_euclid(ROWS), self.inputs], false)?;
        let (said, _) = self.bound.forward(&Tensor::f_cat(&[seen, more], 0)?)?;
        said.f_narrow(0, 0, rows)?.f_contiguous()?.f_copy_data(outputs, outputs.len())?;
        Ok(())
    }
}

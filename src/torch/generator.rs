//! Random numbers with a state of their own, on the CPU: equal seeds give equal streams, whatever else the process
//! draws, and a saved state continues where it was.

use super::foreign::{self, check, CGenerator};
use crate::error::{Error, Result};
use tch::Tensor;

/// A Mersenne twister that nobody else draws from.
pub struct Generator {
    raw: *mut CGenerator,
}

// SAFETY: at::Generator is a reference-counted handle with a mutex of its own; it is bound to no thread.
unsafe impl Send for Generator {}

impl Generator {
    pub fn new(seed: u64) -> Result<Self> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: on success the shim writes a new generator.
        check(|failure| unsafe { foreign::shim_generator_create(seed, &mut raw, failure) })?;
        Ok(Generator { raw })
    }

    /// Fills a CPU tensor in place from N(mean, deviation²), without gradient.
    pub fn normal(&mut self, tensor: &Tensor, mean: f64, deviation: f64) -> Result<()> {
        // SAFETY: generator and tensor are alive for the call; `&mut self` keeps others out.
        check(|failure| unsafe { foreign::shim_generator_normal(self.raw, tensor.as_ptr(), mean, deviation, failure) })
    }

    /// Fills a CPU tensor in place from the uniform distribution on [low, high), without gradient.
    pub fn uniform(&mut self, tensor: &Tensor, low: f64, high: f64) -> Result<()> {
        // SAFETY: generator and tensor are alive for the call; `&mut self` keeps others out.
        check(|failure| unsafe { foreign::shim_generator_uniform(self.raw, tensor.as_ptr(), low, high, failure) })
    }

    /// The whole state, for a checkpoint: 5056 bytes with libtorch 2.11.
    pub fn state(&self) -> Result<Vec<u8>> {
        // SAFETY: the generator is alive for the call.
        let state =
            foreign::tensor(|output, failure| unsafe { foreign::shim_generator_state(self.raw, output, failure) })?;
        Ok(Vec::<u8>::try_from(&state)?)
    }

    /// Continues from a state that [`Generator::state`] returned; refuses any other bytes and then changes nothing.
    pub fn set_state(&mut self, state: &[u8]) -> Result<()> {
        let expected = self.state()?.len();
        if state.len() != expected {
            return Err(Error::data(format!("generator state: expected {expected} bytes, got {}", state.len())));
        }
        let state = Tensor::f_from_slice(state)?;
        // SAFETY: generator and tensor are alive for the call; libtorch checks the state before it takes it.
        check(|failure| unsafe { foreign::shim_generator_set_state(self.raw, state.as_ptr(), failure) })
            .map_err(|error| Error::data(format!("generator state: {error}")))
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // SAFETY: made by `shim_generator_create`, destroyed here only.
        unsafe { foreign::shim_generator_destroy(self.raw) }
    }
}

//! The language model's head in pieces, one tile of the vocabulary each: forward, and the way back.

use super::foreign::{self, check, CHead};
use crate::error::Result;
use tch::Tensor;

/// What [`token_log_probs`](super::token_log_probs) does, with its bits, one tile of the head a call; no graph is made.
///
/// First every tile is read, in order; then there are results. After `turn` every tile is walked back, in order; then
/// there is the gradient of the hidden states.
pub struct Head {
    pass: *mut CHead,
    tiles: usize,
}

// SAFETY: the pass holds tensors and numbers, which any thread may use, one at a time.
unsafe impl Send for Head {}

impl Drop for Head {
    fn drop(&mut self) {
        // SAFETY: made by `shim_head_create`, destroyed once.
        unsafe { foreign::shim_head_destroy(self.pass) }
    }
}

impl Head {
    /// Arguments and errors as of [`token_log_probs`](super::token_log_probs).
    pub fn new(hidden: &Tensor, head: &Tensor, targets: &Tensor, temperature: f64, tile_bytes: usize) -> Result<Head> {
        let (mut pass, mut tiles) = (std::ptr::null_mut(), 0);
        // SAFETY: the inputs are alive for the call; on success both out-pointers are written.
        check(|failure| unsafe {
            foreign::shim_head_create(
                hidden.as_ptr(),
                head.as_ptr(),
                targets.as_ptr(),
                temperature,
                tile_bytes,
                &mut pass,
                &mut tiles,
                failure,
            )
        })?;
        Ok(Head { pass, tiles })
    }

    /// How many tiles there are, at least one.
    pub fn tiles(&self) -> usize {
        self.tiles
    }

    /// Reads one tile.
    pub fn read(&mut self, tile: usize) -> Result<()> {
        // SAFETY: the pass is alive and nobody else's.
        check(|failure| unsafe { foreign::shim_head_read(self.pass, tile, failure) })
    }

    /// Log-probabilities and entropies `[N]`, once every tile was read.
    pub fn results(&mut self) -> Result<(Tensor, Tensor)> {
        let mut entropies = std::ptr::null_mut();
        // SAFETY: the pass is alive; on success both out-pointers hold new tensors.
        let log_probs = foreign::tensor(|log_probs, failure| unsafe {
            foreign::shim_head_results(self.pass, log_probs, &mut entropies, failure)
        })?;
        // SAFETY: the call succeeded, so `entropies` is a new at::Tensor that nobody else owns.
        Ok((log_probs, unsafe { Tensor::from_ptr(entropies) }))
    }

    /// Begins the way back with the gradients `[N]` of the results; `None` is zero.
    pub fn turn(&mut self, log_probs: Option<&Tensor>, entropies: Option<&Tensor>) -> Result<()> {
        let pointer = |gradient: Option<&Tensor>| gradient.map_or(std::ptr::null(), |gradient| gradient.as_ptr());
        let (log_probs, entropies) = (pointer(log_probs), pointer(entropies));
        // SAFETY: the pass and the tensors are alive for the call; null means none.
        check(|failure| unsafe { foreign::shim_head_turn(self.pass, log_probs, entropies, failure) })
    }

    /// Walks one tile back, and adds to that tile's rows of `head_gradient` `[V, d]` where it is wanted.
    pub fn walk(&mut self, tile: usize, head_gradient: Option<&Tensor>) -> Result<()> {
        let gradient = head_gradient.map_or(std::ptr::null(), |gradient| gradient.as_ptr());
        // SAFETY: the pass and the gradient are alive for the call; null means none.
        check(|failure| unsafe { foreign::shim_head_walk(self.pass, tile, gradient, failure) })
    }

    /// The gradient of the hidden states `[N, d]`, once every tile was walked back.
    pub fn hidden_gradient(&self) -> Result<Tensor> {
        // SAFETY: the pass is alive for the call.
        foreign::tensor(|gradient, failure| unsafe { foreign::shim_head_hidden_gradient(self.pass, gradient, failure) })
    }
}

//! Gradients as views of one flat buffer: aliasing before the backward pass, clipping after it.

use super::foreign::{self, check};
use crate::error::Result;
use tch::Tensor;

/// The 2-norm of a flat `gradient` before clipping.
///
/// Where it exceeds `max_norm`, the gradient is scaled in place by `max_norm / (norm + 1e-6)`. `max_norm <= 0` only
/// measures; a norm that is not finite leaves the gradient as it is. On the CPU the norm is summed in double precision
/// in blocks of fixed size, so it does not depend on the number of threads.
pub fn clip_gradient(gradient: &Tensor, max_norm: f64) -> Result<f64> {
    let mut norm = 0.0;
    // SAFETY: the tensor is alive for the call; the shim writes one f64.
    check(|failure| unsafe { foreign::shim_clip_gradient(gradient.as_ptr(), max_norm, &mut norm, failure) })?;
    Ok(norm)
}

/// Makes `gradient` the gradient of `parameter`, a leaf of the same shape, type and device: backward adds into it in
/// place, so it stays an alias of whatever buffer it is a view of.
pub fn set_gradient(parameter: &Tensor, gradient: &Tensor) -> Result<()> {
    // SAFETY: both tensors are alive for the call; the shim keeps a reference of its own.
    check(|failure| unsafe { foreign::shim_set_gradient(parameter.as_ptr(), gradient.as_ptr(), failure) })
}

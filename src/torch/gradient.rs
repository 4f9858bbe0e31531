//! Gradients as views of one flat buffer: aliasing before the backward pass, clipping after it.

use super::foreign::{self, check};
use crate::error::Result;
use tch::Tensor;

/// The elements that a sum of squares takes in one block.
pub const SQUARES_BLOCK: i64 = 16_384;

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

/// Adds the squares of a `part` of a flat gradient to `squares`. On the CPU parts that begin at multiples of
/// [`SQUARES_BLOCK`] elements, added in order, have together the bits of the whole's norm in [`clip_gradient`].
pub fn add_squares(part: &Tensor, squares: &mut f64) -> Result<()> {
    // SAFETY: the tensor is alive for the call; the shim reads and writes one f64.
    check(|failure| unsafe { foreign::shim_add_squares(part.as_ptr(), squares, failure) })
}

/// The scale by which [`clip_gradient`] clips a gradient of this norm; 1 = not at all.
pub fn clip_scale(norm: f64, max_norm: f64) -> f64 {
    let scale = max_norm / (norm + 1e-6);
    if max_norm > 0.0 && scale < 1.0 {
        scale
    } else {
        1.0
    }
}

/// Walks the gradients of outputs back through their graph, which it uses up, into the leaves' own.
pub fn backward(pairs: &[(&Tensor, &Tensor)]) -> Result<()> {
    let (outputs, gradients): (Vec<_>, Vec<_>) =
        pairs.iter().map(|(output, gradient)| (output.as_ptr(), gradient.as_ptr())).unzip();
    // SAFETY: all tensors are alive for the call, and both arrays have as many pointers as the shim is told.
    check(|failure| unsafe { foreign::shim_backward(outputs.as_ptr(), gradients.as_ptr(), pairs.len(), failure) })
}

/// Makes `gradient` the gradient of `parameter`, a leaf of the same shape, type and device: backward adds into it in
/// place, so it stays an alias of whatever buffer it is a view of.
pub fn set_gradient(parameter: &Tensor, gradient: &Tensor) -> Result<()> {
    // SAFETY: both tensors are alive for the call; the shim keeps a reference of its own.
    check(|failure| unsafe { foreign::shim_set_gradient(parameter.as_ptr(), gradient.as_ptr(), failure) })
}

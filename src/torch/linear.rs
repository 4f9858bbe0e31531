//! The matrix product of a layer, with rows that do not see each other.

use super::foreign;
use crate::error::Result;
use tch::Tensor;
use torch_sys::C_tensor;

extern "C" {
    fn shim_linear(
        x: *const C_tensor,
        weight: *const C_tensor,
        bias: *const C_tensor,
        output: *mut *mut C_tensor,
        failure: *mut foreign::Failure,
    ) -> i32;
}

/// `y = x Wᵀ + b`, `[N, out]`, differentiable once in all three.
///
/// * `x` `[N, in]`, any N.
/// * `weight` `[out, in]`, of any strides.
/// * `bias` `[out]`.
///
/// On the CPU in float32 a row's bits depend neither on N nor on the number of threads.
/// Errors: shapes or types that do not fit, memory.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let bias = bias.map_or(std::ptr::null(), |bias| bias.as_ptr());
    // SAFETY: the inputs are alive for the call; a null bias means none.
    foreign::tensor(|output, failure| unsafe { shim_linear(x.as_ptr(), weight.as_ptr(), bias, output, failure) })
}

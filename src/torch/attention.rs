//! Attention of one new token per row over a key/value cache, the inner loop of generation.

use super::foreign;
use crate::error::Result;
use tch::Tensor;

/// `softmax(scale · q Kᵀ) V` for one query token per row, `[R, H, D]`, without gradient.
///
/// * `query` `[R, H, D]`; head h reads key head `h / (H / K)` (grouped queries).
/// * `keys`, `values` `[B, K, T, D]`: the caches, of any strides whose last one is 1.
/// * `rows` `[R]` int64: the cache row of each query. `lengths` `[R]` int64: how many of its first keys count, 1 to T.
///
/// On the CPU in float32 a row's bits depend on no other row and not on the number of threads.
/// Errors: shapes or types that do not fit, a row or length out of range (CPU).
pub fn decode_attention(
    query: &Tensor,
    keys: &Tensor,
    values: &Tensor,
    rows: &Tensor,
    lengths: &Tensor,
    scale: f64,
) -> Result<Tensor> {
    // SAFETY: the inputs are alive for the call; the shim checks shapes, types and ranges before it reads.
    foreign::tensor(|output, failure| unsafe {
        foreign::shim_decode_attention(
            query.as_ptr(),
            keys.as_ptr(),
            values.as_ptr(),
            rows.as_ptr(),
            lengths.as_ptr(),
            scale,
            output,
            failure,
        )
    })
}

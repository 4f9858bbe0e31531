//! The ways to turn a loss per token into one number, by name.
//!
//! Owns the reductions that differ in how they weigh long rows. Refuses a default: the algorithm names the one it means.
//! Each divides by what this call sees; an optimiser batch split into micro-batches divides `masked::masked_sum` by its
//! global denominator instead.

use tch::Tensor;

use super::masked::{masked_mean, masked_sum, row_mean, row_sum};

/// Mean over all counted tokens: every token weighs the same.
///
/// ```text
/// L = Σ_{b,t} m_{b,t} · x_{b,t} / max(Σ_{b,t} m_{b,t}, 1)
/// ```
///
/// * `x`: `[B, T]`, any unit; carries the gradient.
/// * `mask`: bool `[B, T]`.
///
/// Returns a scalar in the unit of `x` (**mean over counted tokens**).
///
/// Degenerate: all masked gives 0 with zero gradient; a non-finite counted value passes on.
///
/// Source: Yu et al. 2025 (DAPO, arXiv 2503.14476), equation 8.
pub fn token_mean(x: &Tensor, mask: &Tensor) -> Tensor {
    masked_mean(x, mask)
}

/// Mean over rows of the mean over their counted tokens: every row weighs the same, tokens of long rows less.
///
/// ```text
/// L = (1/B) · Σ_b (Σ_t m_{b,t} · x_{b,t} / max(Σ_t m_{b,t}, 1))
/// ```
///
/// * `x`: `[B, T]`, any unit; carries the gradient.
/// * `mask`: bool `[B, T]`.
///
/// Returns a scalar in the unit of `x` (**mean over rows of the mean over tokens**).
///
/// Degenerate: an all-masked row adds 0 and still counts in B; a non-finite counted value passes on; B = 0 gives NaN.
///
/// Source: Shao et al. 2024 (GRPO, arXiv 2402.03300), equation 3.
pub fn sequence_mean_token_mean(x: &Tensor, mask: &Tensor) -> Tensor {
    row_mean(x, mask).mean(x.kind())
}

/// Mean over rows of the sum over their counted tokens: the log-likelihood of a sequence weighs in full.
///
/// ```text
/// L = (1/B) · Σ_b Σ_t m_{b,t} · x_{b,t}
/// ```
///
/// * `x`: `[B, T]`, any unit; carries the gradient.
/// * `mask`: bool `[B, T]`.
///
/// Returns a scalar in the unit of `x` (**mean over rows of the sum over tokens**).
///
/// Degenerate: an all-masked row adds 0 and still counts in B; a non-finite counted value passes on; B = 0 gives NaN.
///
/// Source: policy gradient of whole sequences, Williams 1992 (REINFORCE).
pub fn sequence_mean_token_sum(x: &Tensor, mask: &Tensor) -> Tensor {
    row_sum(x, mask).mean(x.kind())
}

/// Sum over all counted tokens over a constant: no row's length changes the weight of any token.
///
/// ```text
/// L = Σ_{b,t} m_{b,t} · x_{b,t} / (B · T_max)
/// ```
///
/// * `x`: `[B, T]`, any unit; carries the gradient.
/// * `mask`: bool `[B, T]`.
/// * `max_length`: T_max > 0, tokens: the longest response allowed, not the longest present.
///
/// Returns a scalar in the unit of `x` (**sum over counted tokens ÷ constant**).
///
/// Degenerate: all masked gives 0 with zero gradient; a non-finite counted value passes on; B = 0 gives NaN.
///
/// Source: Liu et al. 2025 (Dr. GRPO, arXiv 2503.20783), section 3.2.
pub fn sum_over_constant(x: &Tensor, mask: &Tensor, max_length: i64) -> Tensor {
    masked_sum(x, mask) / (x.size()[0] * max_length)
}

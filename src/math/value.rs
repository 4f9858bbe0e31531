//! The loss of the value model.
//!
//! Owns the clipped squared error per token. Refuses to reduce it or to weigh it against the policy loss: both are the
//! algorithm's, with the denominator of the policy loss.

use tch::Tensor;

use super::masked::masked_mean;

/// The clipped squared error of the values per token.
///
/// ```text
/// L_t = ½ · max((V_t − R_t)², (clip(V_t, V_old,t − ε, V_old,t + ε) − R_t)²)
/// ```
///
/// * `values`: V, `[B, T]`, reward units; carries the gradient.
/// * `old_values`: V_old, `[B, T]`, reward units, as at the start of the update; a constant.
/// * `returns`: R, `[B, T]`, reward units; a constant.
/// * `value_clip_range`: ε ≥ 0, reward units; 0 = no clipping: L_t = ½ (V_t − R_t)².
///
/// Returns L, `[B, T]`, squared reward units (**no reduction, no mask**: what stands in a masked slot is to be masked by
/// the reduction).
///
/// Degenerate: V = R = V_old gives 0 with zero gradient; a non-finite value passes on in its slot only.
///
/// Source: Schulman et al. 2017 (arXiv 1707.06347), published code; Ziegler et al. 2019 (arXiv 1909.08593).
pub fn value_loss(values: &Tensor, old_values: &Tensor, returns: &Tensor, value_clip_range: f64) -> Tensor {
    let (old_values, returns) = (old_values.detach(), returns.detach());
    let squared_error = (values - &returns).square() * 0.5; // [B, T]
    if value_clip_range == 0.0 {
        return squared_error;
    }
    let (low, high) = (&old_values - value_clip_range, &old_values + value_clip_range);
    let clipped = values.clamp_tensor(Some(low), Some(high));
    squared_error.maximum(&((clipped - returns).square() * 0.5))
}

/// The share of counted states whose value loss is the clipped one.
///
/// ```text
/// f = Σ m_t · 1[(clip(V_t, V_old,t − ε, V_old,t + ε) − R_t)² > (V_t − R_t)²] / Σ m_t
/// ```
///
/// * `values`, `old_values`, `returns`: V, V_old and R, `[B, T]`, reward units; constants here.
/// * `value_clip_range`: ε ≥ 0, reward units; 0 = no clipping.
/// * `mask`: bool `[B, T]`.
///
/// Returns a scalar tensor in [0, 1] without gradient (**mean over counted states**).
///
/// Degenerate: all masked, or no clipping, gives 0.
///
/// Source: Ziegler et al. 2019 (arXiv 1909.08593), published code.
pub fn value_clip_fraction(
    values: &Tensor,
    old_values: &Tensor,
    returns: &Tensor,
    value_clip_range: f64,
    mask: &Tensor,
) -> Tensor {
    let values = values.detach();
    let loss = value_loss(&values, old_values, returns, value_clip_range);
    let clipped = loss.gt_tensor(&value_loss(&values, old_values, returns, 0.0)); // [B, T]
    masked_mean(&clipped.to_kind(values.kind()), mask)
}

//! Sums, moments and normalisations over the tokens that count.
//!
//! Owns the one place where a mask meets a number; every other file of the room reduces through it. Refuses to choose a
//! reduction for a loss (`reduction` names those). The lowest layer of the room.

use tch::{Kind, Tensor};

/// Added to a variance before its inverse square root.
const VARIANCE_FLOOR: f64 = 1e-8;

/// `x` with 0 in every masked slot; no gradient passes there.
pub(super) fn kept(x: &Tensor, mask: &Tensor) -> Tensor {
    x.masked_fill(&mask.logical_not(), 0.0)
}

/// The number of counted tokens n = Σ m, a scalar i64.
fn count(mask: &Tensor) -> Tensor {
    mask.sum(Kind::Int64)
}

/// Σ m·x, a scalar f64: equal values have exactly their own mean, whatever their kind.
fn total(x: &Tensor, mask: &Tensor) -> Tensor {
    kept(x, mask).sum(Kind::Double)
}

/// Sum over the counted tokens.
///
/// ```text
/// S = Σ_{b,t} m_{b,t} · x_{b,t}
/// ```
///
/// * `x`: any shape, any unit; gradient passes where the mask is true.
/// * `mask`: bool, the shape of `x`.
///
/// Returns a scalar in the unit of `x` (**sum**).
///
/// Degenerate: all masked gives 0 with zero gradient; a non-finite counted value passes on.
///
/// Source: definition.
pub fn masked_sum(x: &Tensor, mask: &Tensor) -> Tensor {
    total(x, mask).to_kind(x.kind())
}

/// Mean over the counted tokens, each weighing what its row weighs.
///
/// ```text
/// μ = Σ_{b,t} w_b · m_{b,t} · x_{b,t} / Σ_{b,t} w_b · m_{b,t}
/// ```
///
/// * `x`: `[B, T]`, any unit; gradient passes where the mask is true.
/// * `mask`: bool `[B, T]`.
/// * `weights`: w, `[B]`, without unit, ≥ 0; a constant.
///
/// Returns a scalar in the unit of `x` (**weighted mean over counted tokens**); with equal weights, `masked_mean`.
///
/// Degenerate: all masked, or all weights 0, gives 0 with zero gradient; a non-finite counted value passes on.
///
/// Source: definition.
pub fn weighted_mean(x: &Tensor, mask: &Tensor, weights: &Tensor) -> Tensor {
    let weights = weights.detach().to_kind(Kind::Double).unsqueeze(1) * mask; // [B, T]
    let weight = weights.sum(Kind::Double);
    let sum = (kept(x, mask) * weights).sum(Kind::Double);
    (sum / weight.where_self(&weight.gt(0.0), &weight.ones_like())).to_kind(x.kind())
}

/// Mean of what there is, by weights, and no number where there is nothing.
///
/// ```text
/// μ = Σ_i w_i · x_i / Σ_i w_i
/// ```
///
/// * `x`: any shape, any unit; a constant.
/// * `weights`: w, the shape of `x` or one that expands to it, bool or without unit, ≥ 0; a constant.
///
/// Returns a scalar in the unit of `x`, without gradient (**weighted mean**).
///
/// Degenerate: no weight at all gives NaN, which is no measurement; NaN passes on where its weight is not 0.
///
/// Source: definition.
pub fn observed_mean(x: &Tensor, weights: &Tensor) -> Tensor {
    let weights = weights.detach().to_kind(Kind::Double).expand_as(x);
    let kept = x.detach().masked_fill(&weights.eq(0.0), 0.0);
    ((kept * &weights).sum(Kind::Double) / weights.sum(Kind::Double)).to_kind(x.kind())
}

/// Mean over the counted tokens.
///
/// ```text
/// μ = Σ_{b,t} m_{b,t} · x_{b,t} / max(Σ_{b,t} m_{b,t}, 1)
/// ```
///
/// * `x`: any shape, any unit; gradient passes where the mask is true.
/// * `mask`: bool, the shape of `x`.
///
/// Returns a scalar in the unit of `x` (**mean over counted tokens**, long rows weigh more).
///
/// Degenerate: all masked gives 0 with zero gradient; a non-finite counted value passes on.
///
/// Source: definition.
pub fn masked_mean(x: &Tensor, mask: &Tensor) -> Tensor {
    (total(x, mask) / count(mask).clamp_min(1)).to_kind(x.kind())
}

/// Sum over the counted tokens of each row.
///
/// ```text
/// S_b = Σ_t m_{b,t} · x_{b,t}
/// ```
///
/// * `x`: `[B, T]`, any unit; gradient passes where the mask is true.
/// * `mask`: bool `[B, T]`.
///
/// Returns `[B]` in the unit of `x` (**sum over tokens, no reduction over rows**).
///
/// Degenerate: an all-masked row gives 0 with zero gradient; a non-finite counted value passes on.
///
/// Source: definition.
pub fn row_sum(x: &Tensor, mask: &Tensor) -> Tensor {
    kept(x, mask).sum_dim_intlist(1, false, x.kind())
}

/// Mean over the counted tokens of each row.
///
/// ```text
/// μ_b = Σ_t m_{b,t} · x_{b,t} / max(Σ_t m_{b,t}, 1)
/// ```
///
/// * `x`: `[B, T]`, any unit; gradient passes where the mask is true.
/// * `mask`: bool `[B, T]`.
///
/// Returns `[B]` in the unit of `x` (**mean over tokens, no reduction over rows**).
///
/// Degenerate: an all-masked row gives 0 with zero gradient; a non-finite counted value passes on.
///
/// Source: definition.
pub fn row_mean(x: &Tensor, mask: &Tensor) -> Tensor {
    row_sum(x, mask) / mask.sum_dim_intlist(1, false, Kind::Int64).clamp_min(1)
}

/// Unbiased variance of the counted tokens.
///
/// ```text
/// σ² = Σ_{b,t} m_{b,t} · (x_{b,t} − μ)² / (n − 1),   n = Σ m,   μ = Σ m·x / n
/// ```
///
/// * `x`: any shape, any unit; gradient passes where the mask is true.
/// * `mask`: bool, the shape of `x`.
///
/// Returns a scalar in the squared unit of `x` (over **all counted tokens**, n − 1 in the denominator).
///
/// Degenerate: n ≤ 1 gives 0; a non-finite counted value gives NaN.
///
/// Source: Bessel's correction.
pub fn masked_variance(x: &Tensor, mask: &Tensor) -> Tensor {
    masked_sum(&centered(x, mask).square(), mask) / (count(mask) - 1).clamp_min(1)
}

/// Values less their mean over the counted tokens.
///
/// ```text
/// y_{b,t} = m_{b,t} · (x_{b,t} − μ)
/// ```
///
/// * `x`: any shape, any unit; gradient passes where the mask is true.
/// * `mask`: bool, the shape of `x`.
///
/// Returns the shape and unit of `x`, 0 where masked (**no reduction**; μ is over all counted tokens).
///
/// Degenerate: one counted token gives 0; all masked gives zeros; a non-finite counted value spreads to every counted one.
///
/// Source: definition.
pub fn centered(x: &Tensor, mask: &Tensor) -> Tensor {
    kept(&(x - masked_mean(x, mask)), mask)
}

/// Values brought to mean 0 and variance 1 over the counted tokens.
///
/// ```text
/// y_{b,t} = m_{b,t} · (x_{b,t} − μ) / √(σ² + 10⁻⁸)
/// ```
///
/// * `x`: any shape, any unit; gradient passes where the mask is true (advantages carry none).
/// * `mask`: bool, the shape of `x`.
///
/// Returns the shape of `x`, without unit, 0 where masked (**no reduction**; μ and σ² are over all counted tokens).
///
/// Degenerate: n ≤ 1 counted tokens are left as they are; zero variance gives zeros; a non-finite counted value spreads
/// to every counted one. The standard deviation is the unbiased one (n − 1).
///
/// Source: Ziegler et al. 2019 (arXiv 1909.08593), advantage whitening of the published code.
pub fn whitened(x: &Tensor, mask: &Tensor) -> Tensor {
    let unit = centered(x, mask) * (masked_variance(x, mask) + VARIANCE_FLOOR).rsqrt();
    unit.where_self(&count(mask).gt(1), &kept(x, mask))
}

/// Values brought to variance 1 over the counted tokens with their mean kept (reward whitening).
///
/// ```text
/// y_{b,t} = m_{b,t} · (μ + (x_{b,t} − μ) / √(σ² + 10⁻⁸))
/// ```
///
/// * `x`: any shape, any unit; gradient passes where the mask is true (rewards carry none).
/// * `mask`: bool, the shape of `x`.
///
/// Returns the shape of `x`, 0 where masked (**no reduction**; μ and σ² are over all counted tokens).
///
/// Degenerate: n ≤ 1 counted tokens are left as they are; zero variance gives μ everywhere; a non-finite counted value
/// spreads to every counted one. The standard deviation is the unbiased one (n − 1).
///
/// Source: Ziegler et al. 2019 (arXiv 1909.08593), `whiten_rewards` of the published code (`shift_mean=False`).
pub fn scaled(x: &Tensor, mask: &Tensor) -> Tensor {
    let unit = whitened(x, mask) + masked_mean(x, mask);
    kept(&unit.where_self(&count(mask).gt(1), x), mask)
}

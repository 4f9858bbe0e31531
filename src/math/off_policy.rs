//! Weights for rollouts that another policy sampled than the one the update starts from.
//!
//! Owns the ratio of whole responses, the two ways to bound a weight, and how much survives at which length. Refuses to
//! multiply a loss: the algorithm does, with weights that are constants. The weight of single tokens is `policy::ratio` of
//! the old log-probabilities to the recorded ones. Three policies meet here: μ sampled, π_old starts the update, π_θ trains.

use tch::{Kind, Tensor};

use super::kl::clamped;
use super::masked::{masked_mean, row_mean, row_sum};

/// The probability of a whole response under one policy over that under another.
///
/// ```text
/// w_b = exp(clamp(Σ_t m_{b,t} · (log π_old − log μ)(y_{b,t}), ±20))
/// ```
///
/// * `old_log_probs`: log π_old, `[B, T]`, nats, ≤ 0; taken as a constant.
/// * `rollout_log_probs`: log μ, `[B, T]`, nats, ≤ 0; taken as a constant.
/// * `mask`: bool `[B, T]`.
///
/// Returns w, `[B]`, without unit, in [e⁻²⁰, e²⁰], without gradient (**product over tokens**: its spread grows with the
/// length, so a bound on it drops long responses first).
///
/// Degenerate: an all-masked row gives 1; a counted NaN passes on.
///
/// Source: importance sampling of trajectories, Precup et al. 2000 (Eligibility traces for off-policy evaluation).
pub fn sequence_ratio(old_log_probs: &Tensor, rollout_log_probs: &Tensor, mask: &Tensor) -> Tensor {
    clamped(&row_sum(&(old_log_probs - rollout_log_probs), mask)).exp().detach()
}

/// The geometric mean of the token ratios of a response.
///
/// ```text
/// w_b = exp(clamp(Σ_t m_{b,t} · (log π_old − log μ)(y_{b,t}) / Σ_t m_{b,t}, ±20))
/// ```
///
/// * `old_log_probs`: log π_old, `[B, T]`, nats, ≤ 0; taken as a constant.
/// * `rollout_log_probs`: log μ, `[B, T]`, nats, ≤ 0; taken as a constant.
/// * `mask`: bool `[B, T]`.
///
/// Returns w, `[B]`, without unit, in [e⁻²⁰, e²⁰], without gradient (**geometric mean over tokens**: one bound for all
/// lengths).
///
/// Degenerate: an all-masked row gives 1; a counted NaN passes on.
///
/// Source: Zheng et al. 2025 (GSPO, arXiv 2507.18071), there of π_θ to π_old.
pub fn sequence_mean_ratio(old_log_probs: &Tensor, rollout_log_probs: &Tensor, mask: &Tensor) -> Tensor {
    clamped(&row_mean(&(old_log_probs - rollout_log_probs), mask)).exp().detach()
}

/// Weights brought into their bounds.
///
/// ```text
/// w'_i = min(max(w_i, low), high)
/// ```
///
/// * `weights`: w, any shape, without unit, ≥ 0; a constant.
/// * `low`, `high`: 0 ≤ low ≤ high.
///
/// Returns the shape of w, in [low, high] (**no reduction**).
///
/// Degenerate: an infinite weight gives `high`; NaN passes on.
///
/// Source: Ionides 2008 (Truncated importance sampling); of sampler and trainer: Yao et al. 2025 (TIS).
pub fn truncated(weights: &Tensor, low: f64, high: f64) -> Tensor {
    weights.clamp(low, high)
}

/// Weights as they are within their bounds and 0 outside.
///
/// ```text
/// w'_i = w_i · 1[low ≤ w_i ≤ high]
/// ```
///
/// * `weights`: w, any shape, without unit, ≥ 0; a constant.
/// * `low`, `high`: 0 ≤ low ≤ high.
///
/// Returns the shape of w, 0 or in [low, high] (**no reduction**).
///
/// Degenerate: an infinite weight and NaN give 0.
///
/// Source: Ring Team 2025 (IcePop; Every step evolves, arXiv 2510.18855).
pub fn within(weights: &Tensor, low: f64, high: f64) -> Tensor {
    weights.masked_fill(&weights.ge(low).logical_and(&weights.le(high)).logical_not(), 0.0)
}

/// The share of tokens that stayed, among the responses shorter than the mean and among the longer: where a bound deletes
/// long responses, the second falls first.
///
/// ```text
/// f_h = Σ_{b ∈ h} Σ_t m_{b,t} · s_{b,t} / Σ_{b ∈ h} Σ_t m_{b,t},   b ∈ shorter: len_b ≤ mean length, else longer
/// ```
///
/// * `stayed`: s, `[B, T]`, 0 or 1; a constant.
/// * `mask`: bool `[B, T]`.
///
/// Returns (shorter, longer), scalars in [0, 1] (**mean over the counted tokens of each part**).
///
/// Degenerate: a part without tokens gives 1, as the longer one where all are equally long.
///
/// Source: definition.
pub fn stayed_by_length(stayed: &Tensor, mask: &Tensor) -> (Tensor, Tensor) {
    let lengths = mask.sum_dim_intlist(1, true, Kind::Double); // [B, 1]
    let short = lengths.le_tensor(&lengths.mean(Kind::Double));
    let share = |rows: Tensor| {
        let counted = mask.logical_and(&rows);
        masked_mean(stayed, &counted) + counted.any().logical_not().to_kind(stayed.kind())
    };
    (share(short.shallow_clone()), share(short.logical_not()))
}

//! The clipped policy objective and what one watches beside it.
//!
//! Owns the probability ratio, the PPO loss per token with dual clip, and its two diagnostics. Refuses to reduce the loss:
//! the algorithm divides by the count of its whole optimiser batch (`reduction`, `masked::masked_sum`).
//! Three policies meet here: π_θ in training, π_old the constant it started the update from, and none other.

use tch::Tensor;

use super::kl::{clamped, kl_k2};
use super::masked::{kept, masked_mean};

/// The probability ratio of the policy in training to the one the update started from.
///
/// ```text
/// ρ_t = exp(clamp(log π_θ(y_t) − log π_old(y_t), ±20))
/// ```
///
/// * `policy_log_probs`: log π_θ, `[B, T]`, nats, ≤ 0; carries the gradient (zero beyond ±20).
/// * `old_log_probs`: log π_old, `[B, T]`, nats, ≤ 0; a constant.
/// * `mask`: bool `[B, T]`.
///
/// Returns ρ, `[B, T]`, without unit, in [e⁻²⁰, e²⁰], 1 where masked (**no reduction**).
///
/// Degenerate: an all-masked row gives ones with zero gradient; a counted NaN passes on.
///
/// Source: Schulman et al. 2017 (arXiv 1707.06347), section 3.
pub fn ratio(policy_log_probs: &Tensor, old_log_probs: &Tensor, mask: &Tensor) -> Tensor {
    clamped(&kept(&(policy_log_probs - old_log_probs), mask)).exp()
}

/// The clipped policy loss per token, with optional dual clip.
///
/// ```text
/// L_t = max(−Â_t · ρ_t, −Â_t · clip(ρ_t, 1 − ε_low, 1 + ε_high))
/// dual clip, where Â_t < 0:  L_t ← min(L_t, −Â_t · c)
/// ```
///
/// * `policy_log_probs`: log π_θ, `[B, T]`, nats, ≤ 0; carries the gradient.
/// * `old_log_probs`: log π_old, `[B, T]`, nats, ≤ 0; a constant.
/// * `advantages`: Â, `[B, T]`, a constant.
/// * `mask`: bool `[B, T]`.
/// * `clip_range_low`, `clip_range_high`: ε_low in [0, 1], ε_high ≥ 0.
/// * `dual_clip`: c > 1, or none.
///
/// Returns L, `[B, T]`, in the unit of Â, 0 where masked (**no reduction**).
///
/// Degenerate: an all-masked row gives zeros with zero gradient; at θ = old L_t = −Â_t with the policy gradient;
/// a counted NaN passes on.
///
/// Source: Schulman et al. 2017 (arXiv 1707.06347), equation 7; dual clip: Ye et al. 2020 (arXiv 1912.09729), equation 5.
pub fn policy_loss(
    policy_log_probs: &Tensor,
    old_log_probs: &Tensor,
    advantages: &Tensor,
    mask: &Tensor,
    clip_range_low: f64,
    clip_range_high: f64,
    dual_clip: Option<f64>,
) -> Tensor {
    let advantages = kept(&advantages.detach(), mask);
    let ratio = ratio(policy_log_probs, &old_log_probs.detach(), mask);
    let clipped_ratio = ratio.clamp(1.0 - clip_range_low, 1.0 + clip_range_high);
    let loss = (-&advantages * ratio).maximum(&(-&advantages * clipped_ratio)); // [B, T]
    match dual_clip {
        Some(bound) => loss.minimum(&(&advantages * -bound)).where_self(&advantages.lt(0.0), &loss),
        None => loss,
    }
}

/// The loss per token whose clipped ratio is a weight, so that no token loses its gradient.
///
/// ```text
/// L_t = −sg(min(ρ_t, c)) · Â_t · log π_θ(y_t)
/// ```
///
/// * `policy_log_probs`: log π_θ, `[B, T]`, nats, ≤ 0; carries the gradient.
/// * `old_log_probs`: log π_old, `[B, T]`, nats, ≤ 0; a constant.
/// * `advantages`: Â, `[B, T]`, a constant.
/// * `mask`: bool `[B, T]`.
/// * `cap`: c > 0, the largest weight.
///
/// Returns L, `[B, T]`, in the unit of Â times nats, 0 where masked (**no reduction**).
///
/// Degenerate: an all-masked row gives zeros with zero gradient; a counted NaN passes on.
///
/// Source: MiniMax 2025 (CISPO, arXiv 2506.13585), equation 4.
pub fn weighted_policy_loss(
    policy_log_probs: &Tensor,
    old_log_probs: &Tensor,
    advantages: &Tensor,
    mask: &Tensor,
    cap: f64,
) -> Tensor {
    let weights = ratio(&policy_log_probs.detach(), &old_log_probs.detach(), mask).clamp_max(cap);
    -weights * kept(&advantages.detach(), mask) * kept(policy_log_probs, mask)
}

/// The share of counted tokens whose loss is the clipped one.
///
/// ```text
/// f = Σ m_t · 1[−Â_t · clip(ρ_t, 1 − ε_low, 1 + ε_high) > −Â_t · ρ_t] / Σ m_t
/// ```
///
/// * `policy_log_probs`, `old_log_probs`: `[B, T]`, nats, ≤ 0; constants here.
/// * `advantages`: Â, `[B, T]`, a constant.
/// * `mask`: bool `[B, T]`.
/// * `clip_range_low`, `clip_range_high`: ε_low in [0, 1], ε_high ≥ 0.
///
/// Returns a scalar tensor in [0, 1] without gradient (**mean over counted tokens**); the dual clip is not counted.
///
/// Degenerate: all masked gives 0; Â = 0 counts as not clipped.
///
/// Source: Schulman et al. 2017 (arXiv 1707.06347), diagnostic of the published code.
pub fn clip_fraction(
    policy_log_probs: &Tensor,
    old_log_probs: &Tensor,
    advantages: &Tensor,
    mask: &Tensor,
    clip_range_low: f64,
    clip_range_high: f64,
) -> Tensor {
    let ratio = ratio(policy_log_probs, old_log_probs, mask);
    let clipped_ratio = ratio.clamp(1.0 - clip_range_low, 1.0 + clip_range_high);
    let clipped = (advantages * clipped_ratio).lt_tensor(&(advantages * &ratio));
    masked_mean(&clipped.to_kind(ratio.kind()), mask)
}

/// How far the policy has moved since the update began.
///
/// ```text
/// KL ≈ Σ m_t · (log π_θ(y_t) − log π_old(y_t))² / 2 / Σ m_t
/// ```
///
/// * `policy_log_probs`, `old_log_probs`: `[B, T]`, nats, ≤ 0; constants here.
/// * `mask`: bool `[B, T]`.
///
/// Returns a scalar tensor, nats per token, in [0, 200], without gradient (**mean over counted tokens**).
///
/// Degenerate: all masked gives 0; a counted NaN passes on.
/// KL estimator: k2 of KL(π_old ‖ π_θ), log-ratio clamped to ±20.
///
/// Source: Schulman 2020, "Approximating KL divergence", joschu.net/blog/kl-approx.html.
pub fn approximate_kl(policy_log_probs: &Tensor, old_log_probs: &Tensor, mask: &Tensor) -> Tensor {
    masked_mean(&kl_k2(&(policy_log_probs.detach() - old_log_probs)), mask)
}

//! The objectives that take the place of the clipped one: softer, of whole responses, or weighted.
//!
//! Owns what SAPO, GMPO and VESPO put where PPO clips, and the cap above a ratio. Refuses to reduce: each gives a loss per
//! token, and what is one number a response stands at each of its tokens, so that the mean over tokens is that number.

use tch::Tensor;

use super::kl::clamped;
use super::masked::{kept, row_mean, row_sum};
use super::policy::ratio;

/// The log-probability whose ratio to the old one is at most a cap, so that no ratio is unbounded where the advantage is
/// negative.
///
/// ```text
/// log π'_t = min(log π_θ(y_t), log π_old(y_t) + log δ)
/// ```
///
/// * `policy_log_probs`: log π_θ, `[B, T]`, nats, ≤ 0; carries the gradient (zero above the cap).
/// * `old_log_probs`: log π_old, `[B, T]`, nats, ≤ 0; a constant.
/// * `mask`: bool `[B, T]`.
/// * `cap`: δ > 1, without unit; above 1 + ε, or the clip of the objective is never reached.
///
/// Returns `[B, T]`, nats, 0 where masked (**no reduction**).
///
/// Degenerate: an all-masked row gives zeros with zero gradient; a counted NaN passes on.
///
/// Source: Prime Intellect 2025 (INTELLECT-2, arXiv 2505.07291), two-sided clipping.
pub fn capped(policy_log_probs: &Tensor, old_log_probs: &Tensor, mask: &Tensor, cap: f64) -> Tensor {
    kept(&policy_log_probs.minimum(&(old_log_probs.detach() + cap.ln())), mask)
}

/// The policy loss whose clip is a sigmoid gate: the gradient of a token fades as its ratio leaves 1.
///
/// ```text
/// L_t = −(4/τ_t) · σ(τ_t · (ρ_t − 1)) · Â_t,   τ_t = τ⁺ where Â_t > 0, else τ⁻
/// ```
///
/// * `policy_log_probs`: log π_θ, `[B, T]`, nats, ≤ 0; carries the gradient.
/// * `old_log_probs`: log π_old, `[B, T]`, nats, ≤ 0; a constant.
/// * `advantages`: Â, `[B, T]`, a constant.
/// * `mask`: bool `[B, T]`.
/// * `temperatures`: (τ⁺, τ⁻), both > 0: how fast the gate closes.
///
/// Returns L, `[B, T]`, in the unit of Â, 0 where masked (**no reduction**).
///
/// Degenerate: an all-masked row gives zeros with zero gradient; at θ = old L_t = −2Â_t/τ_t with the policy gradient;
/// a counted NaN passes on.
///
/// Source: Gao et al. 2025 (SAPO, arXiv 2511.20347).
pub fn gated_policy_loss(
    policy_log_probs: &Tensor,
    old_log_probs: &Tensor,
    advantages: &Tensor,
    mask: &Tensor,
    temperatures: (f64, f64),
) -> Tensor {
    let advantages = kept(&advantages.detach(), mask);
    let (positive, other) = (advantages.full_like(temperatures.0), advantages.full_like(temperatures.1));
    let temperature = positive.where_self(&advantages.gt(0.0), &other); // [B, T]
    let ratio = ratio(policy_log_probs, &old_log_probs.detach(), mask);
    let gate = ((ratio - 1.0) * &temperature).sigmoid() * 4.0 / temperature;
    -gate * advantages
}

/// The policy loss of the geometric mean of a response's ratios, each bounded where it moves with the advantage.
///
/// ```text
/// ℓ_t = s_t · min(s_t · (log π_θ(y_t) − log π_old(y_t)), ε),   s_t = sign Â_t
/// L_t = −Â_t · exp(Σ_u m_u · ℓ_u / Σ_u m_u)
/// ```
///
/// * `policy_log_probs`: log π_θ, `[B, T]`, nats, ≤ 0; carries the gradient.
/// * `old_log_probs`: log π_old, `[B, T]`, nats, ≤ 0; a constant.
/// * `advantages`: Â, `[B, T]`, a constant, of one sign within a row.
/// * `mask`: bool `[B, T]`.
/// * `clip_range`: ε > 0, nats.
///
/// Returns L, `[B, T]`, in the unit of Â, 0 where masked (**no reduction**; equal at the tokens of a row whose Â is).
///
/// Degenerate: an all-masked row gives zeros with zero gradient; Â = 0 gives 0; a counted NaN passes on.
///
/// Source: Zhao et al. 2025 (GMPO, arXiv 2507.20673), with the clip of its published code.
pub fn geometric_policy_loss(
    policy_log_probs: &Tensor,
    old_log_probs: &Tensor,
    advantages: &Tensor,
    mask: &Tensor,
    clip_range: f64,
) -> Tensor {
    let advantages = kept(&advantages.detach(), mask);
    let sign = advantages.sign();
    let log_ratio = clamped(&kept(&(policy_log_probs - old_log_probs.detach()), mask));
    let bounded = (log_ratio * &sign).clamp_max(clip_range) * sign; // [B, T]
    -advantages * row_mean(&bounded, mask).exp().unsqueeze(1)
}

/// The policy loss weighted by a smooth function of the response's whole ratio, at its highest where that is k/λ.
///
/// ```text
/// L_t = −sg(φ) · Â_t · log π_θ(y_t),   φ = exp(λ + k · log w − λ · w),   w = exp(Σ_u m_u · (log π_θ − log π_old)(y_u))
/// ```
///
/// * `policy_log_probs`: log π_θ, `[B, T]`, nats, ≤ 0; carries the gradient.
/// * `old_log_probs`: log π_old, `[B, T]`, nats, ≤ 0; a constant.
/// * `advantages`: Â, `[B, T]`, a constant.
/// * `mask`: bool `[B, T]`.
/// * `positive`: (k, λ) where Â ≥ 0, both ≥ 0; 2 and 3 in the paper. `negative`: where Â < 0; 3 and 2.
///
/// Returns L, `[B, T]`, in the unit of Â times nats, 0 where masked (**no reduction**; log w is a sum over the row, clamped
/// to ±20).
///
/// Degenerate: an all-masked row gives zeros with zero gradient; w = 1 gives φ = 1; a counted NaN passes on.
///
/// Source: Shen et al. 2026 (VESPO, arXiv 2602.10693).
pub fn variational_policy_loss(
    policy_log_probs: &Tensor,
    old_log_probs: &Tensor,
    advantages: &Tensor,
    mask: &Tensor,
    positive: (f64, f64),
    negative: (f64, f64),
) -> Tensor {
    let advantages = kept(&advantages.detach(), mask);
    let log_weight = clamped(&row_sum(&(policy_log_probs - old_log_probs).detach(), mask)).unsqueeze(1); // [B, 1]
    let of = |(k, lambda): (f64, f64)| (&log_weight * k + lambda - log_weight.exp() * lambda).exp();
    let weights = of(positive).where_self(&advantages.ge(0.0), &of(negative)); // [B, T]
    -weights * advantages * kept(policy_log_probs, mask)
}

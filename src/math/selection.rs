//! Which tokens count in the policy term beside those of the response mask.
//!
//! Owns the choices that depend on the policy itself: by its entropy, and by how far it is from the sampler. Refuses to
//! change a denominator: a token left out adds 0, and the reduction still counts it.

use tch::Tensor;

use super::masked::{kept, row_mean};

/// The tokens where the policy was least certain.
///
/// ```text
/// c_{b,t} = m_{b,t} · 1[H_{b,t} ≥ Q_{1−q}(H)],   Q over all counted tokens, between two neighbours on a straight line
/// ```
///
/// * `entropies`: H, `[B, T]`, nats; a constant here.
/// * `mask`: bool `[B, T]`.
/// * `share`: q in (0, 1], of the counted tokens; 0.2 in the paper.
///
/// Returns bool `[B, T]` (**no reduction**; the quantile is over all counted tokens).
///
/// Degenerate: q = 1 gives the mask; all masked gives none; equal entropies keep every token; a counted NaN keeps none.
///
/// Source: Wang et al. 2025 (arXiv 2506.01939).
pub fn uncertain_tokens(entropies: &Tensor, mask: &Tensor, share: f64) -> Tensor {
    let counted = entropies.detach().masked_select(mask);
    if counted.numel() == 0 {
        return mask.shallow_clone();
    }
    let threshold = counted.quantile_scalar(1.0 - share, None, false, "linear");
    entropies.ge_tensor(&threshold).logical_and(mask)
}

/// The tokens that an update may still learn from although another policy sampled them: all of a praised response, and
/// those of a blamed one only while the policy is near its sampler.
///
/// ```text
/// c_{b,t} = m_{b,t} · 1[Â_{b,t} ≥ 0  or  Σ_u m_{b,u} · (log μ − log π_θ)(y_{b,u}) / Σ_u m_{b,u} ≤ δ]
/// ```
///
/// * `policy_log_probs`: log π_θ, `[B, T]`, nats, ≤ 0; a constant here.
/// * `rollout_log_probs`: log μ, `[B, T]`, nats, ≤ 0, of the policy that sampled; a constant.
/// * `advantages`: Â, `[B, T]`, a constant.
/// * `mask`: bool `[B, T]`.
/// * `threshold`: δ, nats per token.
///
/// Returns bool `[B, T]` (**no reduction**; the divergence is a mean over the tokens of a row).
///
/// Degenerate: an all-masked row gives none; a counted NaN leaves the blamed tokens of its row out.
/// KL estimator: k1 of KL(μ ‖ π_θ), one response each.
///
/// Source: DeepSeek-AI 2025 (DeepSeek-V3.2, arXiv 2512.02556), off-policy sequence masking.
pub fn tolerable_tokens(
    policy_log_probs: &Tensor,
    rollout_log_probs: &Tensor,
    advantages: &Tensor,
    mask: &Tensor,
    threshold: f64,
) -> Tensor {
    let distance = row_mean(&(rollout_log_probs - policy_log_probs.detach()), mask).unsqueeze(1); // [B, 1]
    let praised = kept(&advantages.detach(), mask).ge(0.0);
    praised.logical_or(&distance.le(threshold)).logical_and(mask)
}

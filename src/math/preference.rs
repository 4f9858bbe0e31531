//! Losses on pairs of responses to one prompt.
//!
//! Owns the log-ratio difference of a pair and direct preference optimisation on it. Refuses tokens: it takes one summed
//! log-probability per response (`masked::row_sum` over the response mask, the final EOS included).

use tch::Tensor;

/// How much more the policy prefers the chosen response than the reference does.
///
/// ```text
/// Δ_b = (log π(y_c) − log π(y_r)) − (log π_ref(y_c) − log π_ref(y_r)),   log π(y) = Σ_t m_t · log π(y_t)
/// ```
///
/// * `policy_chosen`, `policy_rejected`: `[B]`, nats, ≤ 0, summed over the response; carry the gradient.
/// * `reference_chosen`, `reference_rejected`: `[B]`, nats, ≤ 0, summed over the response; constants.
///
/// Returns Δ, `[B]`, nats (**no reduction over pairs, sum over tokens**).
///
/// Degenerate: policy = reference gives 0; a response without counted tokens enters as 0; non-finite values pass on.
///
/// Source: Rafailov et al. 2023 (arXiv 2305.18290), equation 7, the bracket without β.
pub fn preference_log_ratio(
    policy_chosen: &Tensor,
    policy_rejected: &Tensor,
    reference_chosen: &Tensor,
    reference_rejected: &Tensor,
) -> Tensor {
    (policy_chosen - policy_rejected) - (reference_chosen - reference_rejected).detach()
}

/// Direct preference optimisation, sigmoid loss per pair.
///
/// ```text
/// L_b = −log σ(β · Δ_b)
/// ```
///
/// * `log_ratio`: Δ, `[B]`, nats, of `preference_log_ratio`; carries the gradient.
/// * `beta`: β > 0, per nat: how hard the pair pulls away from the reference.
///
/// Returns L, `[B]`, nats, > 0 (**no reduction**; the objective is the mean over pairs).
///
/// Degenerate: Δ = 0 gives ln 2; large |β·Δ| stays finite (L → −β·Δ as Δ → −∞); NaN passes on.
///
/// Source: Rafailov et al. 2023 (arXiv 2305.18290), equation 7.
pub fn dpo_loss(log_ratio: &Tensor, beta: f64) -> Tensor {
    -(log_ratio * beta).log_sigmoid()
}

/// The share of pairs whose implicit reward ranks the chosen response above the rejected one.
///
/// ```text
/// f = Σ_b 1[Δ_b > 0] / B
/// ```
///
/// * `log_ratio`: Δ, `[B]`, nats, of `preference_log_ratio`; a constant here.
///
/// Returns a scalar tensor in [0, 1] without gradient (**mean over pairs**).
///
/// Degenerate: a tie and NaN count as wrong; no pairs give 0.
///
/// Source: Rafailov et al. 2023 (arXiv 2305.18290), section 6, with r̂ = β·Δ.
pub fn preference_accuracy(log_ratio: &Tensor) -> Tensor {
    let pairs = log_ratio.numel().max(1) as f64;
    log_ratio.gt(0.0).sum(log_ratio.kind()) / pairs
}

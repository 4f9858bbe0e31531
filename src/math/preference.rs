//! Losses on pairs of responses to one prompt.
//!
//! Owns direct preference optimisation on the margin of a pair, Δ = r_c − r_r, where r is a response's log-ratio to the
//! reference (`response::response_log_ratio`) or what stands for it. Refuses tokens.

use tch::Tensor;

/// Direct preference optimisation, sigmoid loss per pair.
///
/// ```text
/// L_b = −log σ(β · Δ_b)
/// ```
///
/// * `log_ratio`: Δ, `[B]`, nats, the chosen response's log-ratio less the rejected one's; carries the gradient.
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
/// * `log_ratio`: Δ, `[B]`, nats, the chosen response's log-ratio less the rejected one's; a constant here.
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

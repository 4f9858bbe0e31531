//! Losses on single responses that were called good or bad.
//!
//! Owns the divergence estimate that such a response is measured against, and Kahneman–Tversky optimisation on it.
//! Refuses tokens: it takes one log-ratio per response, summed over its tokens.

use tch::{Kind, Tensor};

/// How far the policy is from the reference, seen on responses that do not belong to their prompts.
///
/// ```text
/// z = max(0, Σ_b ℓ_b / B),   ℓ_b = log π(y'_b | x_b) − log π_ref(y'_b | x_b)
/// ```
///
/// * `log_ratio`: ℓ, `[B]`, nats, of mismatched responses y'; a constant here.
///
/// Returns z, a scalar tensor, nats, ≥ 0, without gradient (**mean over responses**).
///
/// Degenerate: no responses give 0; NaN passes on.
/// KL estimator: k1 of KL(π ‖ π_ref) on samples of another prompt, biased, cut at 0.
///
/// Source: Ethayarajh et al. 2024 (KTO, arXiv 2402.01306), section 4.1.
pub fn reference_point(log_ratio: &Tensor) -> Tensor {
    let mean = log_ratio.detach().sum(Kind::Double) / (log_ratio.numel().max(1) as f64);
    mean.clamp_min(0.0).to_kind(log_ratio.kind())
}

/// Kahneman–Tversky optimisation: what a response gained, as people value gains and losses.
///
/// ```text
/// L_b = λ_D · (1 − σ(β (r_b − z)))   where the response is desirable
/// L_b = λ_U · (1 − σ(β (z − r_b)))   where it is not
/// ```
///
/// * `log_ratio`: r, `[B]`, nats, log π − log π_ref of each response; carries the gradient.
/// * `desirable`: bool `[B]`.
/// * `reference_point`: z, a scalar, nats, ≥ 0; a constant.
/// * `beta`: β > 0, per nat: how soon a gain saturates.
/// * `desirable_weight`, `undesirable_weight`: λ_D and λ_U, ≥ 0.
///
/// Returns L, `[B]`, without unit, in [0, max(λ_D, λ_U)] (**no reduction**; the objective is the mean over responses).
///
/// Degenerate: r = z gives half the weight; far from z the gradient vanishes; NaN passes on.
///
/// Source: Ethayarajh et al. 2024 (KTO, arXiv 2402.01306), equation 8.
pub fn kto_loss(
    log_ratio: &Tensor,
    desirable: &Tensor,
    reference_point: &Tensor,
    beta: f64,
    desirable_weight: f64,
    undesirable_weight: f64,
) -> Tensor {
    let gain = (log_ratio - reference_point.detach()) * beta;
    let good = (-gain.sigmoid() + 1.0) * desirable_weight;
    let bad = (-(-gain).sigmoid() + 1.0) * undesirable_weight;
    good.where_self(desirable, &bad)
}

/// Binary classification of responses by what they gained, against what responses gain on the average.
///
/// ```text
/// L_b = −λ_D · log σ(β (r_b − δ))   where the response is desirable
/// L_b = −λ_U · log σ(β (δ − r_b))   where it is not
/// ```
///
/// * `log_ratio`: r, `[B]`, nats, log π − log π_ref of each response; carries the gradient.
/// * `desirable`: bool `[B]`.
/// * `reference_point`: δ, a scalar, nats: what responses gained of late; a constant.
/// * `beta`: β > 0, per nat.
/// * `desirable_weight`, `undesirable_weight`: λ_D and λ_U, ≥ 0.
///
/// Returns L, `[B]`, nats, ≥ 0 (**no reduction**; the objective is the mean over responses).
///
/// Degenerate: r = δ gives the weight times ln 2; large |β (r − δ)| stays finite; NaN passes on.
///
/// Source: Jung et al. 2024 (BCO, arXiv 2404.04656), equation 8, without density ratios.
pub fn bco_loss(
    log_ratio: &Tensor,
    desirable: &Tensor,
    reference_point: &Tensor,
    beta: f64,
    desirable_weight: f64,
    undesirable_weight: f64,
) -> Tensor {
    let gain = (log_ratio - reference_point.detach()) * beta;
    let good = -gain.log_sigmoid() * desirable_weight;
    let bad = -(-gain).log_sigmoid() * undesirable_weight;
    good.where_self(desirable, &bad)
}

//! Estimators of the divergence between two policies from sampled tokens, and the controller of its price.
//!
//! Owns k1, k2, k3 and the adaptive coefficient. Refuses to say where the estimate goes: into the reward
//! (`advantage::shaped_rewards`) or into a loss, and which of the two is unbiased there, the algorithm says.
//! Every estimator takes ℓ_t = log π(y_t) − log π_ref(y_t) with y_t sampled from π, and estimates KL(π ‖ π_ref).

use tch::Tensor;

/// Log-ratios beyond ± this many nats are clamped, so that their exponential stays finite and squares stay small.
const LOG_RATIO_LIMIT: f64 = 20.0;

/// ℓ clamped to ±20 nats; zero gradient outside.
pub(super) fn clamped(log_ratio: &Tensor) -> Tensor {
    log_ratio.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
}

/// The log-ratio as estimate of the divergence per token.
///
/// ```text
/// k1_t = ℓ_t,   ℓ_t = log π(y_t) − log π_ref(y_t),   clamped to ±20
/// ```
///
/// * `log_ratio`: ℓ, any shape, nats; gradient passes inside ±20 (its expected gradient as a loss is zero).
///
/// Returns the shape of ℓ, nats, either sign (**no reduction**).
///
/// Degenerate: ℓ = 0 gives 0; infinite ℓ gives ±20; NaN passes on.
/// KL estimator: k1, unbiased for KL(π ‖ π_ref), high variance.
///
/// Source: Schulman 2020, "Approximating KL divergence", joschu.net/blog/kl-approx.html.
pub fn kl_k1(log_ratio: &Tensor) -> Tensor {
    clamped(log_ratio)
}

/// Half the squared log-ratio as estimate of the divergence per token.
///
/// ```text
/// k2_t = ℓ_t² / 2,   ℓ_t = log π(y_t) − log π_ref(y_t),   clamped to ±20
/// ```
///
/// * `log_ratio`: ℓ, any shape, nats; gradient passes inside ±20 (on policy it is the gradient of the divergence).
///
/// Returns the shape of ℓ, nats, in [0, 200] (**no reduction**).
///
/// Degenerate: ℓ = 0 gives 0; infinite ℓ gives 200; NaN passes on.
/// KL estimator: k2, biased, low variance.
///
/// Source: Schulman 2020, "Approximating KL divergence", joschu.net/blog/kl-approx.html.
pub fn kl_k2(log_ratio: &Tensor) -> Tensor {
    clamped(log_ratio).square() * 0.5
}

/// The non-negative unbiased estimate of the divergence per token.
///
/// ```text
/// k3_t = exp(−ℓ_t) − 1 + ℓ_t,   ℓ_t = log π(y_t) − log π_ref(y_t),   clamped to ±20
/// ```
///
/// * `log_ratio`: ℓ, any shape, nats; gradient passes inside ±20 (as a loss it is biased, of low variance).
///
/// Returns the shape of ℓ, nats, in [0, e²⁰ − 21] (**no reduction**).
///
/// Degenerate: ℓ = 0 gives 0; infinite ℓ gives the value at ±20; NaN passes on.
/// KL estimator: k3, unbiased for KL(π ‖ π_ref) as a value, low variance near π = π_ref.
///
/// Source: Schulman 2020, "Approximating KL divergence", joschu.net/blog/kl-approx.html.
pub fn kl_k3(log_ratio: &Tensor) -> Tensor {
    let log_ratio = clamped(log_ratio);
    (-&log_ratio).expm1() + log_ratio
}

/// The next KL coefficient of the proportional controller.
///
/// ```text
/// e = clip(KL / target − 1, −0.2, 0.2)
/// β' = β · (1 + max(e · samples / horizon, −1/2))
/// ```
///
/// * `coef`: β, the coefficient that produced `kl`, ≥ 0.
/// * `kl`: observed divergence, nats, in the unit of `target` (mean over sequences of the summed token divergence).
/// * `target`: the divergence to settle at, nats, > 0.
/// * `horizon`: samples over which the coefficient moves by at most a fifth, > 0.
/// * `samples`: sequences in this step, ≥ 0.
///
/// Returns β' ≥ 0 (a number, **no reduction**): one step at most halves β, which else turned negative where `samples`
/// exceed 5 · `horizon`.
///
/// Degenerate: β = 0 stays 0; no samples leave β; a non-finite `kl` gives NaN or the limit of the clip.
/// KL estimator: whichever made `kl`.
///
/// Source: Ziegler et al. 2019 (arXiv 1909.08593), section 2.2.
pub fn adaptive_kl_coef(coef: f64, kl: f64, target: f64, horizon: f64, samples: f64) -> f64 {
    let error = (kl / target - 1.0).clamp(-0.2, 0.2);
    coef * (1.0 + (error * samples / horizon).max(-0.5))
}

/// The next KL coefficient of the rule that doubles and halves.
///
/// ```text
/// β' = 2 β  where KL > 1.5 · target,   β / 2  where KL < target / 1.5,   else β
/// ```
///
/// * `coef`: β, the coefficient that produced `kl`, ≥ 0.
/// * `kl`: observed divergence, nats, in the unit of `target`.
/// * `target`: the divergence to settle at, nats, > 0.
///
/// Returns β' ≥ 0, within [1e-8, 1e8] once it moves (a number, **no reduction**).
///
/// Degenerate: β = 0 stays 0; a non-finite `kl` leaves β or doubles it.
/// KL estimator: whichever made `kl`.
///
/// Source: Schulman et al. 2017 (arXiv 1707.06347), section 4.
pub fn doubling_kl_coef(coef: f64, kl: f64, target: f64) -> f64 {
    if coef == 0.0 {
        coef
    } else if kl > 1.5 * target {
        (coef * 2.0).min(1e8)
    } else if kl < target / 1.5 {
        (coef / 2.0).max(1e-8)
    } else {
        coef
    }
}

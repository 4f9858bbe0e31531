//! What stands for a response where responses are compared: how likely it became, measured in one of several ways.
//!
//! Owns the log-ratio to the reference, its generalisations to other divergences, the odds, how much a response is the policy's own,
//! and what its tokens count by the lengths of a pair. Refuses to compare: `preference`, `pair` and `feedback` do.

use tch::{Kind, Tensor};

use super::masked::row_mean;

/// The largest exponent that is taken; e⁸⁰ is finite in f32.
pub(super) const EXPONENT_LIMIT: f64 = 80.0;

/// The largest log-probability that has odds here: a probability that rounds to 1 has none.
const LOG_PROB_LIMIT: f64 = -1e-6;

/// How much more likely the policy makes a response than the reference does.
///
/// ```text
/// r_b = log π(y_b) − log π_ref(y_b)
/// ```
///
/// * `policy`: log π(y), `[B]`, nats, ≤ 0, summed or averaged over the response; carries the gradient.
/// * `reference`: log π_ref(y), `[B]`, nats, ≤ 0, summed or averaged alike; a constant.
///
/// Returns r, `[B]`, nats (**no reduction over responses**).
///
/// Degenerate: policy = reference gives 0 exactly; non-finite values pass on.
///
/// Source: Rafailov et al. 2023 (arXiv 2305.18290), equation 7, the implicit reward without β.
pub fn response_log_ratio(policy: &Tensor, reference: &Tensor) -> Tensor {
    policy - reference.detach()
}

/// A power of a probability, or of a ratio of two, on a scale where the power 0 is the logarithm.
///
/// ```text
/// f_s(x) = (e^{s·x} − 1) / s,   f_0(x) = x
/// ```
///
/// * `x`: a log-probability or a log-ratio, any shape, nats; carries the gradient.
/// * `exponent`: s. Of a log-ratio to the reference, −1 is the reward whose regulariser is the forward KL divergence, and
///   α − 1 that of an α-divergence; of a log-probability, −α is the reward of AlphaPO.
///
/// Returns f, the shape of `x` (**no reduction**), rising in x, with f(0) = 0 and f′(0) = 1 for every s.
///
/// Degenerate: s·x beyond 80 is held there and has no gradient; NaN passes on.
///
/// Source: Box and Cox 1964; Wang et al. 2023 (f-DPO, arXiv 2309.16240), section 4, up to constants that cancel in a pair;
/// Gupta et al. 2025 (AlphaPO, arXiv 2501.03884).
pub fn power_reward(x: &Tensor, exponent: f64) -> Tensor {
    match exponent {
        0.0 => x.shallow_clone(),
        _ => (x * exponent).clamp_max(EXPONENT_LIMIT).expm1() / exponent,
    }
}

/// The reward whose regulariser is the Jensen–Shannon divergence from the reference.
///
/// ```text
/// f(r) = log σ(r) + log 2
/// ```
///
/// * `log_ratio`: r, any shape, nats, of `response_log_ratio`; carries the gradient.
///
/// Returns f, the shape of `log_ratio` (**no reduction**), rising in r, at most log 2, with f(0) = 0.
///
/// Degenerate: r → −∞ gives r + log 2; NaN passes on.
///
/// Source: Wang et al. 2023 (f-DPO, arXiv 2309.16240), section 4.
pub fn jensen_shannon_reward(log_ratio: &Tensor) -> Tensor {
    log_ratio.log_sigmoid() + std::f64::consts::LN_2
}

/// The logarithm of the odds of a probability.
///
/// ```text
/// o(x) = log(p / (1 − p)) = x − log(1 − e^x),   x = log p
/// ```
///
/// * `log_probs`: x, any shape, nats, ≤ 0; carries the gradient.
///
/// Returns o, the shape of `log_probs` (**no reduction**).
///
/// Degenerate: x above −10⁻⁶, where p rounds to 1 (and of a response without counted tokens), is held there and has no
/// gradient; x → −∞ gives x; NaN passes on.
///
/// Source: Hong et al. 2024 (ORPO, arXiv 2403.07691), equation 4; log(1 − e^x) by Mächler 2012, equation 7.
pub fn log_odds(log_probs: &Tensor) -> Tensor {
    let x = log_probs.clamp_max(LOG_PROB_LIMIT);
    let small = x.lt(-std::f64::consts::LN_2);
    let of_small = (-x.exp()).log1p();
    let of_large = (-x.clamp_min(-1.0).expm1()).log();
    &x - of_small.where_self(&small, &of_large)
}

/// Log-probabilities of pairs in which what the longer response has beyond the shorter one counts for less.
///
/// ```text
/// x′_{b,t} = x_{b,t} for the first n_b counted tokens of each response, α · x_{b,t} after,
/// n_b = min(n_chosen, n_rejected) of its pair
/// ```
///
/// * `log_probs`: x, `[2B, T]`, nats: the chosen response of every pair, then the rejected ones; carries the gradient.
/// * `mask`: bool `[2B, T]`.
/// * `excess`: α in [0, 1]; 1 leaves the lengths as they are.
///
/// Returns x′, `[2B, T]`, nats (**no reduction**); what stands in a masked slot means nothing.
///
/// Degenerate: beside an all-masked response every token counts α; a non-finite counted value passes on.
///
/// Source: Liu et al. 2024 (LD-DPO, arXiv 2409.06411), equation 9.
pub fn length_desensitized(log_probs: &Tensor, mask: &Tensor, excess: f64) -> Tensor {
    let place = mask.cumsum(1, Kind::Int64); // [2B, T]
    let counts = mask.sum_dim_intlist(1, true, Kind::Int64); // [2B, 1]
    let shorter = counts.minimum(&counts.roll(counts.size()[0] / 2, 0)); // [2B, 1]
    log_probs.where_self(&place.le_tensor(&shorter), &(log_probs * excess)) // [2B, T]
}

/// How likely a response is beside what the policy would say itself.
///
/// ```text
/// w_b = exp(Σ_t m_{b,t} · (log p(y_{b,t}) − log Σ_v p_v²) / max(Σ_t m_{b,t}, 1)),   log Σ_v p_v² = 2 log p(y) − log p′(y)
/// ```
///
/// where p′ is the distribution of a token at half the temperature of p.
///
/// * `log_probs`: log p(y), `[B, T]`, nats, ≤ 0; a constant here.
/// * `sharpened`: log p′(y), `[B, T]`, nats, ≤ 0; a constant.
/// * `mask`: bool `[B, T]`.
///
/// Returns w, `[B]`, without unit, > 0, without gradient (**mean over tokens inside, no reduction over responses**);
/// below 1 for a response that the policy would hardly give.
///
/// Degenerate: an all-masked row gives 1; a counted non-finite value passes on.
///
/// Source: Zhou et al. 2024 (WPO, arXiv 2406.11827), equation 4, sampled alignment.
pub fn policy_weight(log_probs: &Tensor, sharpened: &Tensor, mask: &Tensor) -> Tensor {
    row_mean(&(sharpened - log_probs).detach(), mask).exp()
}

//! The losses of the preference family beside the sigmoid: what they make of a pair's margin, or of both its rewards.
//!
//! Owns one function a loss, as its paper writes it. Refuses tokens and references: it takes log-ratios of responses
//! (`preference`), summed over tokens or averaged, as the method says.

use tch::Tensor;

use super::preference::dpo_loss;
use super::response::{log_odds, EXPONENT_LIMIT};

/// Direct preference optimisation of pairs that may be the wrong way round, with a known chance.
///
/// ```text
/// L_b = −(1 − ε_b) · log σ(β · Δ_b) − ε_b · log σ(−β · Δ_b)
/// ```
///
/// * `log_ratio`: Δ, `[B]`, nats; carries the gradient.
/// * `beta`: β > 0, per nat.
/// * `smoothing`: ε, `[B]` or a scalar, in [0, 1]: the chance that the rejected response is the better one; constant.
///
/// Returns L, `[B]`, nats, > 0 (**no reduction**).
///
/// Degenerate: ε = 0 is `dpo_loss`; ε = ½ pulls Δ to 0; large |β·Δ| stays finite; NaN passes on.
///
/// Source: Mitchell 2023, "A note on DPO with noisy preferences"; 1 − ε as a soft label: Bai et al. 2022 (2212.08073).
pub fn conservative_dpo_loss(log_ratio: &Tensor, beta: f64, smoothing: &Tensor) -> Tensor {
    let right = dpo_loss(log_ratio, beta);
    let wrong = dpo_loss(&-log_ratio, beta);
    (1.0 - smoothing) * right + smoothing * wrong
}

/// Direct preference optimisation whose mean over noisy pairs is that over clean ones.
///
/// ```text
/// L_b = (−(1 − ε) · log σ(β · Δ_b) + ε · log σ(−β · Δ_b)) / (1 − 2 ε)
/// ```
///
/// * `log_ratio`: Δ, `[B]`, nats; carries the gradient.
/// * `beta`: β > 0, per nat.
/// * `smoothing`: ε in [0, ½): the chance that a pair is the wrong way round.
///
/// Returns L, `[B]`, nats, either sign (**no reduction**).
///
/// Degenerate: ε = 0 is `dpo_loss`; Δ = 0 gives ln 2; NaN passes on.
///
/// Source: Chowdhury et al. 2024 (rDPO, arXiv 2403.00409).
pub fn robust_dpo_loss(log_ratio: &Tensor, beta: f64, smoothing: f64) -> Tensor {
    let (right, wrong) = (dpo_loss(log_ratio, beta), dpo_loss(&-log_ratio, beta));
    (right * (1.0 - smoothing) - wrong * smoothing) / (1.0 - 2.0 * smoothing)
}

/// The hinge on the margin of implicit rewards.
///
/// ```text
/// L_b = max(0, 1 − β · Δ_b)
/// ```
///
/// * `log_ratio`: Δ, `[B]`, nats; carries the gradient.
/// * `beta`: β > 0, per nat.
///
/// Returns L, `[B]`, without unit, ≥ 0 (**no reduction**).
///
/// Degenerate: a margin beyond 1 has no gradient; NaN passes on.
///
/// Source: Zhao et al. 2023 (SLiC, arXiv 2305.10425); on ratios: Liu et al. 2024 (RSO, arXiv 2309.06657).
pub fn hinge_preference_loss(log_ratio: &Tensor, beta: f64) -> Tensor {
    (-log_ratio * beta + 1.0).relu()
}

/// Identity preference optimisation: the margin is pulled to a fixed one, not to infinity.
///
/// ```text
/// L_b = (Δ_b − 1 / (2 β))²
/// ```
///
/// * `log_ratio`: Δ, `[B]`, nats; carries the gradient. The authors average each response over its tokens first.
/// * `beta`: β > 0, per nat.
///
/// Returns L, `[B]`, nats², ≥ 0 (**no reduction**).
///
/// Degenerate: Δ = 0 gives 1 / (4 β²); NaN passes on.
///
/// Source: Azar et al. 2023 (arXiv 2310.12036), equation 17.
pub fn ipo_loss(log_ratio: &Tensor, beta: f64) -> Tensor {
    (log_ratio - 1.0 / (2.0 * beta)).square()
}

/// The reverse KL divergence between the preference that the policy implies and the smoothed label.
///
/// ```text
/// q_b = σ(β · Δ_b)
/// L_b = q_b · (log q_b − log(1 − ε)) + (1 − q_b) · (log(1 − q_b) − log ε)
/// ```
///
/// * `log_ratio`: Δ, `[B]`, nats; carries the gradient.
/// * `beta`: β > 0, per nat.
/// * `smoothing`: ε in (0, 1).
///
/// Returns L, `[B]`, nats, ≥ 0 (**no reduction**).
///
/// Degenerate: q = 1 − ε gives 0; ε → 0 diverges; NaN passes on.
///
/// Source: Ji et al. 2024 (EXO, arXiv 2402.00856).
pub fn exo_pair_loss(log_ratio: &Tensor, beta: f64, smoothing: f64) -> Tensor {
    let logits = log_ratio * beta;
    let (right, wrong) = (logits.log_sigmoid(), (-&logits).log_sigmoid());
    right.exp() * (&right - (1.0 - smoothing).ln()) + wrong.exp() * (&wrong - smoothing.ln())
}

/// Noise contrastive alignment of a pair: absolute rewards, so that the chosen likelihood does not fall.
///
/// ```text
/// L_b = −log σ(β r_c) − ½ log σ(−β r_c) − ½ log σ(−β r_r)
/// ```
///
/// * `chosen`, `rejected`: r_c and r_r, log π − log π_ref of each response, `[B]`, nats; carry the gradient.
/// * `beta`: β > 0, per nat.
///
/// Returns L, `[B]`, nats, > 0 (**no reduction**).
///
/// Degenerate: zero ratios give 2 ln 2; NaN passes on.
///
/// Source: Chen et al. 2024 (NCA, arXiv 2402.05369).
pub fn nca_pair_loss(chosen: &Tensor, rejected: &Tensor, beta: f64) -> Tensor {
    let (chosen, rejected) = (chosen * beta, rejected * beta);
    -chosen.log_sigmoid() - (-&chosen).log_sigmoid() * 0.5 - (-rejected).log_sigmoid() * 0.5
}

/// Binary classification of both responses.
///
/// ```text
/// L_b = −log σ(β r_c) − log σ(−β r_r)
/// ```
///
/// * `chosen`, `rejected`: r_c and r_r, log π − log π_ref of each response, `[B]`, nats; carry the gradient.
/// * `beta`: β > 0, per nat.
///
/// Returns L, `[B]`, nats, > 0 (**no reduction**).
///
/// Degenerate: zero ratios give 2 ln 2; NaN passes on.
///
/// Source: Jung et al. 2024 (BCO, arXiv 2404.04656), with δ = 0.
pub fn bco_pair_loss(chosen: &Tensor, rejected: &Tensor, beta: f64) -> Tensor {
    -(chosen * beta).log_sigmoid() - (rejected * -beta).log_sigmoid()
}

/// Self-play preference optimisation with certain preferences.
///
/// ```text
/// L_b = (r_c − 1 / (2 β))² + (r_r + 1 / (2 β))²
/// ```
///
/// * `chosen`, `rejected`: r_c and r_r, log π − log π_ref of each response, `[B]`, nats; carry the gradient.
/// * `beta`: β > 0, per nat.
///
/// Returns L, `[B]`, nats², ≥ 0 (**no reduction**).
///
/// Degenerate: zero ratios give 1 / (2 β²); NaN passes on.
///
/// Source: Wu et al. 2024 (SPPO, arXiv 2405.00675).
pub fn sppo_hard_loss(chosen: &Tensor, rejected: &Tensor, beta: f64) -> Tensor {
    (chosen - 0.5 / beta).square() + (rejected + 0.5 / beta).square()
}

/// Anchored preference optimisation that raises the chosen and lowers the rejected likelihood.
///
/// ```text
/// L_b = 1 − σ(β r_c) + σ(β r_r)
/// ```
///
/// * `chosen`, `rejected`: r_c and r_r, log π − log π_ref of each response, `[B]`, nats; carry the gradient.
/// * `beta`: β > 0, per nat.
///
/// Returns L, `[B]`, without unit, in [0, 2] (**no reduction**).
///
/// Degenerate: zero ratios give 1; NaN passes on.
///
/// Source: D'Oosterlinck et al. 2024 (APO, arXiv 2408.06266).
pub fn apo_zero_loss(chosen: &Tensor, rejected: &Tensor, beta: f64) -> Tensor {
    1.0 - (chosen * beta).sigmoid() + (rejected * beta).sigmoid()
}

/// Anchored preference optimisation that lowers both likelihoods, the rejected one more.
///
/// ```text
/// L_b = σ(β r_c) + 1 − σ(β (r_c − r_r))
/// ```
///
/// * `chosen`, `rejected`: r_c and r_r, log π − log π_ref of each response, `[B]`, nats; carry the gradient.
/// * `beta`: β > 0, per nat.
///
/// Returns L, `[B]`, without unit, in [0, 2] (**no reduction**).
///
/// Degenerate: zero ratios give 1; NaN passes on.
///
/// Source: D'Oosterlinck et al. 2024 (APO, arXiv 2408.06266).
pub fn apo_down_loss(chosen: &Tensor, rejected: &Tensor, beta: f64) -> Tensor {
    (chosen * beta).sigmoid() + 1.0 - ((chosen - rejected) * beta).sigmoid()
}

/// The loss that a language model discovered: logistic where the margin is small, exponential where it is large.
///
/// ```text
/// x_b = β · Δ_b,   g_b = σ(x_b / τ)
/// L_b = −log σ(x_b) · (1 − g_b) + e^(−x_b) · g_b
/// ```
///
/// * `log_ratio`: Δ, `[B]`, nats; carries the gradient.
/// * `beta`: β > 0, per nat.
/// * `temperature`: τ > 0 of the mixture.
///
/// Returns L, `[B]`, nats (**no reduction**), > 0.
///
/// Degenerate: Δ = 0 gives ½ (ln 2 + 1); x → −∞ is logistic alone where τ is small; e^(−x) stops growing at e⁸⁰; NaN
/// passes on.
///
/// Source: Lu et al. 2024 (DiscoPOP, arXiv 2406.08414).
pub fn discopop_loss(log_ratio: &Tensor, beta: f64, temperature: f64) -> Tensor {
    let logits = log_ratio * beta;
    let gate = (&logits / temperature).sigmoid();
    -logits.log_sigmoid() * (1.0 - &gate) + (-&logits).clamp_max(EXPONENT_LIMIT).exp() * gate
}

/// Alignment by optimal transport: the sorted margins of the policy against those of the reference.
///
/// ```text
/// u = sort(log π(y_c) − log π(y_r)),   v = sort(log π_ref(y_c) − log π_ref(y_r))
/// L_b = −(1 − ε) · log σ(β (u_b − v_b)) − ε · log σ(−β (u_b − v_b))
/// ```
///
/// * `policy`: log π(y_c) − log π(y_r), `[B]`, nats; carries the gradient.
/// * `reference`: log π_ref(y_c) − log π_ref(y_r), `[B]`, nats; a constant. With r_c and r_r in their places it is the
///   unpaired form.
/// * `beta`: β > 0, per nat.
/// * `smoothing`: ε in [0, 1].
///
/// Returns L, `[B]`, nats, by rank (**no reduction**); it depends on the whole batch.
///
/// Degenerate: one pair is `conservative_dpo_loss`; NaN passes on.
///
/// Source: Melnyk et al. 2024 (AOT, arXiv 2406.05882).
pub fn aot_loss(policy: &Tensor, reference: &Tensor, beta: f64, smoothing: f64) -> Tensor {
    let difference = policy.sort(0, false).0 - reference.sort(0, false).0;
    conservative_dpo_loss(&difference, beta, &difference.full_like(smoothing))
}

/// Simple preference optimisation: the chosen response shall lead by a given margin, and no reference is asked.
///
/// ```text
/// x_b = β · Δ_b − γ
/// L_b = −(1 − ε) · log σ(x_b) − ε · log σ(−x_b)
/// ```
///
/// * `margin`: Δ, the chosen response's mean log-probability less the rejected one's, `[B]`, nats per token; carries the
///   gradient.
/// * `beta`: β > 0, per nat.
/// * `target`: γ ≥ 0, by how much the chosen reward shall lead.
/// * `smoothing`: ε in [0, 1], the chance that a pair is the wrong way round.
///
/// Returns L, `[B]`, nats, > 0 (**no reduction**).
///
/// Degenerate: γ = 0 is `conservative_dpo_loss`; large |β·Δ| stays finite; NaN passes on.
///
/// Source: Meng et al. 2024 (SimPO, arXiv 2405.14734), equation 6.
pub fn simpo_loss(margin: &Tensor, beta: f64, target: f64, smoothing: f64) -> Tensor {
    conservative_dpo_loss(&(margin - target / beta), beta, &margin.full_like(smoothing))
}

/// Preference by the ratio of the odds of both responses.
///
/// ```text
/// L_b = −β · log σ(o(x_c) − o(x_r)),   o(x) = x − log(1 − e^x)
/// ```
///
/// * `chosen`, `rejected`: x_c and x_r, mean log-probability of each response, `[B]`, nats per token, ≤ 0; carry the
///   gradient.
/// * `beta`: β ≥ 0, the weight of the term (λ in the paper).
///
/// Returns L, `[B]`, nats, > 0 (**no reduction**).
///
/// Degenerate: equal responses give β ln 2; a probability that rounds to 1 stays finite; NaN passes on.
///
/// Source: Hong et al. 2024 (ORPO, arXiv 2403.07691), equation 7.
pub fn odds_ratio_loss(chosen: &Tensor, rejected: &Tensor, beta: f64) -> Tensor {
    -(log_odds(chosen) - log_odds(rejected)).log_sigmoid() * beta
}

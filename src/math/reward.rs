//! The losses of reward models, and what one watches while they learn.
//!
//! Owns the Bradley–Terry loss of pairs, how ranked lists become pairs, and the diagnostics of scores. Refuses responses and
//! tokens: it takes scores. Every function works score by score where there are K of them.

use tch::{Kind, Tensor};

/// Bins of predicted probability of [`calibration_error`].
const BINS: i64 = 10;

/// The cross-entropy of pairs under the Bradley–Terry model.
///
/// ```text
/// x_b = s_c,b − s_r,b − μ_b
/// L_b = −p_b · log σ(x_b) − (1 − p_b) · log σ(−x_b)
/// ```
///
/// * `chosen`, `rejected`: s_c and s_r, `[B]` or `[B, K]`, reward units; carry the gradient.
/// * `margin`: μ, the same shape, by how much the chosen response should score higher; constant.
/// * `probability`: p, the same shape, in [0, 1]: how surely the chosen response is the better one; constant.
///
/// Returns L, the shape of the scores, nats, ≥ 0 (**no reduction**).
///
/// Degenerate: equal scores without margin give ln 2; large differences stay finite; NaN passes on.
///
/// Source: Bradley and Terry 1952; Stiennon et al. 2020 (arXiv 2009.01325), section 3.4; margin: Touvron et al. 2023
/// (arXiv 2307.09288), equation 2.
pub fn bradley_terry_loss(chosen: &Tensor, rejected: &Tensor, margin: &Tensor, probability: &Tensor) -> Tensor {
    let logits = chosen - rejected - margin.detach();
    let probability = probability.detach();
    let (right, wrong) = (-logits.log_sigmoid(), -(-&logits).log_sigmoid());
    &probability * right + (1.0 - &probability) * wrong
}

/// The cross-entropy of pairs whose labels are given by chance now and then.
///
/// ```text
/// P_b = (1 − ε) · σ(x_b) + ε / 2
/// L_b = −p_b · log P_b − (1 − p_b) · log(1 − P_b)
/// ```
///
/// * `difference`: x, `[B]` or `[B, K]`, reward units, that of the preferred one less that of the other; carries the
///   gradient.
/// * `probability`: p, of a shape that broadcasts to it, in [0, 1]: how surely the preferred one is better; constant.
/// * `noise`: ε in [0, 1): the share of labels that say nothing.
///
/// Returns L, the shape of x, nats, > 0 (**no reduction**).
///
/// Degenerate: x = 0 gives ln 2 for any ε; ε = 0 is `bradley_terry_loss` without margin; ε > 0 bounds L by
/// −log(ε / 2); large |x| stays finite; NaN passes on.
///
/// Source: Christiano et al. 2017 (arXiv 1706.03741), section 2.2.3, with its 10 % of random responses.
pub fn noisy_preference_loss(difference: &Tensor, probability: &Tensor, noise: f64) -> Tensor {
    let chance = |x: &Tensor| match noise > 0.0 {
        true => {
            let sure = x.log_sigmoid() + (1.0 - noise).ln();
            sure.logaddexp(&sure.full_like((0.5 * noise).ln()))
        }
        false => x.log_sigmoid(),
    };
    let probability = probability.detach();
    -(&probability * chance(difference)) - (1.0 - &probability) * chance(&-difference)
}

/// The price of scores whose origin drifts, which pairs alone leave free.
///
/// ```text
/// C_b = (s_c,b + s_r,b)²
/// ```
///
/// * `chosen`, `rejected`: s_c and s_r, `[B]` or `[B, K]`, reward units; carry the gradient.
///
/// Returns C, the shape of the scores, reward units², ≥ 0 (**no reduction**).
///
/// Degenerate: scores around 0 give 0; NaN passes on.
///
/// Source: Eisenstein et al. 2023 (arXiv 2312.09244), equation 4.
pub fn centering_penalty(chosen: &Tensor, rejected: &Tensor) -> Tensor {
    (chosen + rejected).square()
}

/// All pairs of differently ranked responses to one prompt.
///
/// ```text
/// P = {(i, j) : group(i) = group(j), rank(i) < rank(j)},   w_ij = 1 / |{pairs of group(i)}|
/// ```
///
/// * `ranks`: `[B]`, 1 is the best; equal ranks are ties and make no pair.
/// * `groups`: i64 `[B]`, equal numbers belong together, each in [0, B).
///
/// Returns i, j (i64 `[P]` each) and w (`[P]`, without unit), in the order of i: every prompt weighs the same.
///
/// Degenerate: a group of one, or of ties alone, makes no pair; no pairs give empty tensors.
///
/// Source: Ouyang et al. 2022 (InstructGPT, arXiv 2203.02155), equation 1.
pub fn ranked_pairs(ranks: &Tensor, groups: &Tensor) -> (Tensor, Tensor, Tensor) {
    let together = groups.unsqueeze(1).eq_tensor(&groups.unsqueeze(0)); // [B, B]
    let pairs = ranks.unsqueeze(1).lt_tensor(&ranks.unsqueeze(0)).logical_and(&together).nonzero(); // [P, 2]
    let (better, worse) = (pairs.select(1, 0), pairs.select(1, 1));
    let group = groups.index_select(0, &better);
    let counts = Tensor::zeros([groups.size()[0]], (Kind::Double, groups.device()));
    let counts = counts.index_add(0, &group, &group.ones_like().to_kind(Kind::Double));
    (better, worse, counts.index_select(0, &group).reciprocal().to_kind(ranks.kind()))
}

/// The mean of numbers that weigh differently.
///
/// ```text
/// μ = Σ_i w_i · x_i / Σ_i w_i
/// ```
///
/// * `x`: any shape, any unit; carries the gradient where w > 0.
/// * `weights`: w, the shape of `x`, without unit, ≥ 0; constant.
///
/// Returns a scalar in the unit of `x` (**weighted mean**).
///
/// Degenerate: no numbers, or no weight at all, gives 0 with zero gradient; NaN passes on where its weight is not 0.
///
/// Source: definition.
pub fn average(x: &Tensor, weights: &Tensor) -> Tensor {
    let weights = weights.detach().to_kind(Kind::Double);
    let weight = weights.sum(Kind::Double);
    let kept = x.masked_fill(&weights.eq(0.0), 0.0);
    let sum = (kept * weights).sum(Kind::Double);
    (sum / weight.where_self(&weight.gt(0.0), &weight.ones_like())).to_kind(x.kind())
}

/// How far predicted preferences are from what came true, in ten bins of probability.
///
/// ```text
/// E = Σ_bins |Σ_{i ∈ bin} w_i (q_i − y_i)| / Σ_i w_i,   q_i = σ(x_i)
/// ```
///
/// * `logits`: x, any shape, the difference of two scores; a constant here.
/// * `outcomes`: y, the same shape, in [0, 1]: the share that came true.
/// * `weights`: w, the same shape, ≥ 0.
///
/// Returns a scalar tensor in [0, 1] without gradient (**mean over pairs**); bins are equally wide.
///
/// Degenerate: no pairs give 0; right predictions of certainty give 0; NaN predicts ½.
///
/// Source: Guo et al. 2017 (arXiv 1706.04599), equation 3.
pub fn calibration_error(logits: &Tensor, outcomes: &Tensor, weights: &Tensor) -> Tensor {
    let predicted = logits.detach().sigmoid().nan_to_num(0.5, 1.0, 0.0).flatten(0, -1).to_kind(Kind::Double);
    let weights = weights.flatten(0, -1).to_kind(Kind::Double);
    let gaps = (&predicted - outcomes.flatten(0, -1)) * &weights;
    let bins = (predicted * BINS as f64).floor().clamp(0.0, BINS as f64 - 1.0).to_kind(Kind::Int64);
    let sums = Tensor::zeros([BINS], (Kind::Double, gaps.device())).index_add(0, &bins, &gaps);
    (sums.abs().sum(Kind::Double) / weights.sum(Kind::Double).clamp_min(f64::MIN_POSITIVE)).to_kind(logits.kind())
}

/// The correlation of two numbers over rows.
///
/// ```text
/// ρ = Σ_b (x_b − x̄)(y_b − ȳ) / √(Σ_b (x_b − x̄)² · Σ_b (y_b − ȳ)²)
/// ```
///
/// * `x`, `y`: `[B]`, any units; constants here.
///
/// Returns a scalar tensor in [−1, 1] without gradient.
///
/// Degenerate: fewer than two rows, or one of them without variance, gives 0.
///
/// Source: Pearson 1895.
pub fn correlation(x: &Tensor, y: &Tensor) -> Tensor {
    let centred = |z: &Tensor| {
        let z = z.detach().to_kind(Kind::Double);
        &z - z.sum(Kind::Double) / z.numel().max(1) as f64
    };
    let (left, right) = (centred(x), centred(y));
    let scale = (left.square().sum(Kind::Double) * right.square().sum(Kind::Double)).sqrt();
    let covariance = (left * right).sum(Kind::Double);
    (covariance / scale.where_self(&scale.gt(0.0), &scale.ones_like())).to_kind(x.kind())
}

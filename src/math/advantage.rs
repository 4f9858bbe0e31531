//! From scores to per-token rewards, advantages and returns.
//!
//! Owns reward placement, generalized advantage estimation over masked tokens, and the quality of the value estimate.
//! Refuses to normalise (`masked::whitened` and its kin do). Runs once per batch, before any gradient: every result is a
//! constant of the losses in `policy` and `value`.

use tch::{Kind, Tensor};

use super::masked::{kept, masked_mean, masked_variance};

/// Several rewards of a response as one.
///
/// ```text
/// R_b = Σ_k w_k · r_{b,k}
/// ```
///
/// * `rewards`: r, `[B, K]`, any units; a constant.
/// * `weights`: w, K of them, in R's unit over that of r_k.
///
/// Returns `[B]` (**weighted sum over rewards**).
///
/// Degenerate: K = 1 with w = 1 gives the reward itself; a non-finite reward passes on.
///
/// Source: definition.
pub fn weighted_rewards(rewards: &Tensor, weights: &[f64]) -> Tensor {
    let terms = rewards.unbind(1).into_iter().zip(weights).map(|(reward, weight)| reward * *weight);
    terms.reduce(|sum, term| sum + term).unwrap_or_else(|| rewards.sum_dim_intlist(1, false, rewards.kind()))
}

/// Per-token rewards: the divergence's price at every counted token, the score at the last one.
///
/// ```text
/// r_{b,t} = −β · k_{b,t} · m_{b,t} + s_b · 1[t = max{u : m_{b,u}}]
/// ```
///
/// * `kl`: k, `[B, T]`, nats per token, from one of the estimators of `kl`; taken as a constant.
/// * `scores`: s, `[B]`, reward units, one per response; taken as a constant.
/// * `coef`: β, reward units per nat, ≥ 0.
/// * `mask`: bool `[B, T]`.
///
/// Returns `[B, T]`, reward units, 0 where masked, without gradient (**no reduction**).
///
/// Degenerate: an all-masked row gives zeros, its score is lost; non-finite scores pass on.
/// KL estimator: whichever made `kl`; k1 here gives the unbiased gradient of the sequence divergence, k3 a biased one.
///
/// Source: Ziegler et al. 2019 (arXiv 1909.08593), equation 2; Ouyang et al. 2022 (arXiv 2203.02155), section 3.5.
pub fn shaped_rewards(kl: &Tensor, scores: &Tensor, coef: f64, mask: &Tensor) -> Tensor {
    let counted_from_here = mask.flip([1]).cumsum(1, Kind::Int64).flip([1]); // [B, T]
    let last = counted_from_here.eq(1).logical_and(mask);
    let priced = kept(&(kl * -coef), mask);
    (priced + kept(&scores.unsqueeze(1).expand_as(kl), &last)).detach() // [B, T]
}

/// Generalized advantages and the returns that the value model learns, over counted tokens only.
///
/// ```text
/// δ_t = r_t + γ · V_{t'} − V_t,   Â_t = δ_t + γ·λ · Â_{t'},   R_t = Â_t + V_t
/// ```
///
/// where t' is the next counted token of the row, and V_{t'} = Â_{t'} = 0 after the last one (a true end). A masked token
/// passes both on unchanged, so the result is that of the row with its masked tokens deleted.
///
/// * `rewards`: r, `[B, T]`, reward units; taken as a constant; rewards on masked tokens are ignored.
/// * `values`: V, `[B, T]`, reward units, V_t the value of the state before token t; taken as a constant.
/// * `mask`: bool `[B, T]`.
/// * `discount`: γ in [0, 1].
/// * `gae_lambda`: λ in [0, 1], `[B]` or a scalar tensor.
///
/// Returns (Â, R), both `[B, T]`, reward units, 0 where masked, without gradient (**no reduction**, not whitened).
///
/// Degenerate: an all-masked row gives zeros; one counted token gives Â = r − V and R = r; T = 0 gives empty tensors;
/// a non-finite counted value passes to the counted tokens before it in its row.
///
/// Source: Schulman et al. 2015 (arXiv 1506.02438), equation 16.
pub fn generalized_advantage(
    rewards: &Tensor,
    values: &Tensor,
    mask: &Tensor,
    discount: f64,
    gae_lambda: &Tensor,
) -> (Tensor, Tensor) {
    let (rewards, values) = (rewards.detach(), values.detach());
    let advantages = values.zeros_like(); // [B, T]
    let decay = (gae_lambda.detach() * discount).to_kind(values.kind());
    let mut next_value = values.new_zeros([values.size()[0]], (values.kind(), values.device())); // [B]
    let mut carried = next_value.zeros_like(); // [B]
    for t in (0..values.size()[1]).rev() {
        let (reward, value, counts) = (rewards.select(1, t), values.select(1, t), mask.select(1, t));
        let delta = reward + &next_value * discount - &value;
        carried = (delta + &carried * &decay).where_self(&counts, &carried);
        next_value = value.where_self(&counts, &next_value);
        advantages.select(1, t).copy_(&carried);
    }
    let returns = &advantages + values;
    (kept(&advantages, mask), kept(&returns, mask))
}

/// λ of each response, the larger the longer it is, so that the last reward reaches the first token.
///
/// ```text
/// λ_b = clip(1 − 1 / (α · n_b), 0, 1),   n_b = Σ_t m_{b,t}
/// ```
///
/// * `mask`: bool `[B, T]`.
/// * `coef`: α > 0, without unit.
///
/// Returns λ, `[B]` f64, in [0, 1], without gradient.
///
/// Degenerate: an all-masked row, or one of at most 1 / α tokens, gives 0.
///
/// Source: Yue et al. 2025 (VAPO, arXiv 2504.05118), equation 11.
pub fn length_adaptive_lambda(mask: &Tensor, coef: f64) -> Tensor {
    let lengths = mask.sum_dim_intlist(1, false, Kind::Double);
    ((lengths * coef).reciprocal() * -1.0 + 1.0).clamp(0.0, 1.0)
}

/// What each counted token led to: the discounted sum of the rewards from it on, over counted tokens only.
///
/// ```text
/// R_t = r_t + γ · R_{t'}
/// ```
///
/// where t' is the next counted token of the row, and R_{t'} = 0 after the last one. A masked token passes R on unchanged,
/// so the result is that of the row with its masked tokens deleted.
///
/// * `rewards`: r, `[B, T]`, reward units; taken as a constant; rewards on masked tokens are ignored.
/// * `mask`: bool `[B, T]`.
/// * `discount`: γ in [0, 1].
///
/// Returns `[B, T]`, reward units, 0 where masked, without gradient (**no reduction**).
///
/// Degenerate: an all-masked row gives zeros; T = 0 gives an empty tensor; a non-finite counted reward passes to the counted
/// tokens before it in its row.
///
/// Source: Williams 1992 (REINFORCE); of tokens with their divergence: Hu 2025 (REINFORCE++, arXiv 2501.03262).
pub fn discounted_returns(rewards: &Tensor, mask: &Tensor, discount: f64) -> Tensor {
    generalized_advantage(
        rewards,
        &rewards.zeros_like(),
        mask,
        discount,
        &rewards.new_ones([1], (Kind::Double, rewards.device())),
    )
    .0
}

/// The share of the variance of the returns that the values explain.
///
/// ```text
/// EV = 1 − Var(R − V) / Var(R)
/// ```
///
/// * `returns`: R, `[B, T]`, reward units; taken as a constant.
/// * `values`: V, `[B, T]`, reward units; taken as a constant.
/// * `mask`: bool `[B, T]`.
///
/// Returns a number ≤ 1: 1 = the values are the returns up to a constant, 0 = no better than one, negative = worse
/// (both variances unbiased, over **all counted tokens**, in f64).
///
/// Degenerate: returns without variance (σ² ≤ 2⁻⁵² · mean R²: equal up to rounding, one counted token, all masked) give 0;
/// a non-finite counted value gives NaN.
///
/// Source: coefficient of determination; reported by Schulman et al. 2017 (arXiv 1707.06347), published code.
pub fn explained_variance(returns: &Tensor, values: &Tensor, mask: &Tensor) -> f64 {
    let returns = kept(&returns.detach().to_kind(Kind::Double), mask);
    let residual = masked_variance(&(&returns - values.detach()), mask).double_value(&[]);
    let total = masked_variance(&returns, mask).double_value(&[]);
    let rounding = f64::EPSILON * masked_mean(&returns.square(), mask).double_value(&[]);
    if total <= rounding {
        return 0.0;
    }
    1.0 - residual / total
}

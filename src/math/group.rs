//! What a response was worth beside the other responses to its prompt.
//!
//! Owns the baselines and scales of the group family: one number a row in, one a row out. Refuses to spread it over
//! tokens (the algorithm does) and to say which rows belong together (`groups` says it: equal numbers, 0 .. B − 1).

use tch::{Kind, Tensor};

/// Sum over each row's group, at every row of it.
fn group_sum(x: &Tensor, groups: &Tensor) -> Tensor {
    let rows = x.size()[0];
    let sums = Tensor::zeros([rows], (Kind::Double, x.device()));
    sums.index_add(0, groups, &x.to_kind(Kind::Double)).index_select(0, groups)
}

/// How many rows each row's group has, at every row of it.
fn group_size(groups: &Tensor) -> Tensor {
    group_sum(&groups.ones_like(), groups)
}

/// The mean reward of each row's group.
///
/// ```text
/// μ_i = Σ_{j ∈ group(i)} r_j / |group(i)|
/// ```
///
/// * `rewards`: r, `[B]`, any unit; a constant.
/// * `groups`: i64 `[B]`, equal numbers belong together, each in [0, B).
///
/// Returns `[B]` in the unit of r (**mean over the group**).
///
/// Degenerate: a group of one gives the reward itself; a non-finite reward spoils its own group.
///
/// Source: Shao et al. 2024 (GRPO, arXiv 2402.03300), section 4.1.1.
pub fn group_mean(rewards: &Tensor, groups: &Tensor) -> Tensor {
    (group_sum(rewards, groups) / group_size(groups)).to_kind(rewards.kind())
}

/// The deviation of the rewards of each row's group.
///
/// ```text
/// σ_i = √( Σ_{j ∈ group(i)} (r_j − μ_i)² / (|group(i)| − 1) )
/// ```
///
/// * `rewards`: r, `[B]`, any unit; a constant.
/// * `groups`: i64 `[B]`, equal numbers belong together, each in [0, B).
///
/// Returns `[B]` in the unit of r, ≥ 0 (n − 1 in the denominator).
///
/// Degenerate: a group of one, or of equal rewards, gives 0; a non-finite reward spoils its own group.
///
/// Source: Bessel's correction.
pub fn group_deviation(rewards: &Tensor, groups: &Tensor) -> Tensor {
    let centred = rewards.to_kind(Kind::Double) - group_sum(rewards, groups) / group_size(groups);
    let variance = group_sum(&centred.square(), groups) / (group_size(groups) - 1.0).clamp_min(1.0);
    variance.sqrt().to_kind(rewards.kind())
}

/// The reward less the mean of the other responses to its prompt.
///
/// ```text
/// A_i = r_i − Σ_{j ∈ group(i), j ≠ i} r_j / (|group(i)| − 1)
/// ```
///
/// * `rewards`: r, `[B]`, any unit; a constant.
/// * `groups`: i64 `[B]`, equal numbers belong together, each in [0, B).
///
/// Returns `[B]` in the unit of r (**no reduction**).
///
/// Degenerate: a group of one gives 0; a non-finite reward spoils its own group.
///
/// Source: Ahmadian et al. 2024 (RLOO, arXiv 2402.14740), equation 8.
pub fn leave_one_out(rewards: &Tensor, groups: &Tensor) -> Tensor {
    let (sum, size) = (group_sum(rewards, groups), group_size(groups));
    let others = (sum - rewards) / (&size - 1.0).clamp_min(1.0);
    (rewards - others).masked_fill(&size.eq(1.0), 0.0).to_kind(rewards.kind())
}

/// The mean reward of each row's group in which a response weighs as much as it is long.
///
/// ```text
/// μ_i = Σ_{j ∈ group(i)} l_j · r_j / Σ_{j ∈ group(i)} l_j
/// ```
///
/// * `rewards`: r, `[B]`, any unit; a constant.
/// * `lengths`: l, `[B]`, tokens, ≥ 0; a constant.
/// * `groups`: i64 `[B]`, equal numbers belong together, each in [0, B).
///
/// Returns `[B]` in the unit of r (**weighted mean over the group**): the baseline of least variance where the gradient of
/// a response grows with its length.
///
/// Degenerate: a group of one gives the reward itself; a group without tokens gives 0; a non-finite reward spoils its own
/// group.
///
/// Source: Hao et al. 2025 (OPO, arXiv 2505.23585).
pub fn length_weighted_mean(rewards: &Tensor, lengths: &Tensor, groups: &Tensor) -> Tensor {
    let total = group_sum(lengths, groups);
    let weighted = group_sum(&(rewards.to_kind(Kind::Double) * lengths), groups);
    (weighted / total.where_self(&total.gt(0.0), &total.ones_like())).to_kind(rewards.kind())
}

/// How many responses of each row's group are better.
///
/// ```text
/// n_i = |{j ∈ group(i) : r_j > r_i,  or r_j = r_i and j < i}|
/// ```
///
/// * `rewards`: r, `[B]`, any unit; a constant.
/// * `groups`: i64 `[B]`, equal numbers belong together, each in [0, B).
///
/// Returns i64 `[B]` in [0, |group|), each number once in a group; of equal rewards the first row is the better.
///
/// Degenerate: a group of one gives 0; a NaN is better and worse than nothing.
///
/// Source: definition.
pub fn group_rank(rewards: &Tensor, groups: &Tensor) -> Tensor {
    let (other, own) = (rewards.unsqueeze(0), rewards.unsqueeze(1)); // [1, B], [B, 1]
    let earlier = rewards.ones_like().expand([rewards.size()[0]; 2], false).tril(-1).gt(0.0); // [B, B]
    let better = other.gt_tensor(&own).logical_or(&other.eq_tensor(&own).logical_and(&earlier));
    better.logical_and(&groups.unsqueeze(0).eq_tensor(&groups.unsqueeze(1))).sum_dim_intlist(1, false, Kind::Int64)
}

/// What belongs to a group, summed with signs, at every row of it.
///
/// ```text
/// c_i = Σ_{j ∈ group(i)} s_j · x_j
/// ```
///
/// * `x`: `[B]`, any unit; carries the gradient.
/// * `signs`: s, `[B]`; a constant: 1 at the chosen row of a group, −1 at the rejected one, 0 elsewhere.
/// * `groups`: i64 `[B]`, equal numbers belong together, each in [0, B).
///
/// Returns `[B]` in the unit of x (**signed sum over the group**): of log-ratios, what the chosen one leads by.
///
/// Degenerate: a group of zeros gives 0; a non-finite x spoils its own group.
///
/// Source: definition.
pub fn group_contrast(x: &Tensor, signs: &Tensor, groups: &Tensor) -> Tensor {
    group_sum(&(x * signs.detach()), groups).to_kind(x.kind())
}

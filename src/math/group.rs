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

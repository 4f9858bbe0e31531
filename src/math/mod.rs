//! The equations: tensors in, tensors out, each function as its paper writes it.
//!
//! Owns every loss, estimator and statistic of alignment. Refuses sessions, models, files, devices, random numbers and
//! arguments that change: what goes in comes out untouched. On the path, `algorithm` calls it with what `model` returned;
//! shapes and values were checked at the boundary, so that plain operators stand here and read like the paper.
//!
//! Conventions. B rows, T response tokens. A mask is a bool tensor of the shape of its data, **true = this token counts**;
//! where a function takes one, what stands in a masked slot, NaN included, reaches neither its result nor its gradient.
//! Log-probabilities are nats of the sampled token. f32 and f64 tensors alike; a result has the kind of its data.

pub mod advantage;
pub mod feedback;
pub mod group;
pub mod kl;
pub mod likelihood;
pub mod masked;
pub mod moments;
pub mod off_policy;
pub mod pair;
pub mod policy;
pub mod preference;
pub mod reduction;
pub mod response;
pub mod reward;
pub mod selection;
pub mod soft;
pub mod surrogate;
pub mod value;

pub use advantage::{
    discounted_returns, explained_variance, generalized_advantage, length_adaptive_lambda, shaped_rewards,
    weighted_rewards,
};
pub use feedback::{bco_loss, kto_loss, reference_point};
pub use group::{group_contrast, group_deviation, group_mean, group_rank, leave_one_out, length_weighted_mean};
pub use kl::{adaptive_kl_coef, doubling_kl_coef, kl_k1, kl_k2, kl_k3};
pub use likelihood::negative_log_likelihood;
pub use masked::{
    centered, masked_mean, masked_sum, masked_variance, observed_mean, row_mean, row_sum, scaled, weighted_mean,
    whitened,
};
pub use moments::Moments;
pub use off_policy::{sequence_mean_ratio, sequence_ratio, stayed_by_length, truncated, within};
pub use pair::{
    aot_loss, apo_down_loss, apo_zero_loss, bco_pair_loss, conservative_dpo_loss, discopop_loss, exo_pair_loss,
    hinge_preference_loss, ipo_loss, nca_pair_loss, odds_ratio_loss, robust_dpo_loss, simpo_loss, sppo_hard_loss,
};
pub use policy::{approximate_kl, clip_fraction, policy_loss, ratio, weighted_policy_loss};
pub use preference::{dpo_loss, preference_accuracy};
pub use reduction::{sequence_mean_token_mean, sequence_mean_token_sum, sum_over_constant, token_mean};
pub use response::{
    jensen_shannon_reward, length_desensitized, log_odds, policy_weight, power_reward, response_log_ratio,
};
pub use reward::{
    average, bradley_terry_loss, calibration_error, centering_penalty, correlation, noisy_preference_loss, ranked_pairs,
};
pub use selection::{tolerable_tokens, uncertain_tokens};
pub use soft::{soft_policy_loss, soft_target};
pub use surrogate::{capped, gated_policy_loss, geometric_policy_loss, variational_policy_loss};
pub use value::{value_clip_fraction, value_loss};

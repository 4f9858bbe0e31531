//! Policy gradients with the other responses to a prompt as the baseline (GRPO, Shao et al. 2024, arXiv 2402.03300, and
//! its family: Dr. GRPO 2503.20783, DAPO 2503.14476, RLOO 2402.14740, GSPO 2507.18071, CISPO 2506.13585, OPO 2505.23585,
//! SAPO 2511.20347, GMPO 2507.20673, VESPO 2602.10693, LUSPO, GDPO 2601.05242).
//!
//!   Âᵢ   = (Rᵢ − μ_group(i)) / (σ_group(i) + 10⁻⁴)                 one number for all tokens of a response
//!   L(θ) = E[ max(−ρₜÂᵢ, −clip(ρₜ, 1−ε, 1+ε)Âᵢ) + β ρₜ k3ₜ ] − c_H E[Hₜ]
//!
//! E is the mean over responses of each one's mean over counted tokens, unless `reduction` says otherwise; ρ is a token's
//! ratio unless `ratio` says otherwise. k3 estimates KL(πθ ‖ πref) on the sampled token. Advantages are computed over
//! the whole update, before it is split. Other objectives take the place of the clipped one, without changing what it is
//! multiplied with: the weight of a rollout from another sampler, and which tokens count in it.

mod config;

pub use config::Config;

use super::admission::Admission;
use super::off_policy::OldLogProbs;
use super::rollouts::{self, lengths, KlPlace, Step};
use super::{Algorithm, Columns, Loss, Measured, Needs, Regime};
use crate::data::Kind;
use crate::error::Result;
use crate::math;
use crate::model::Scores;
use config::{Baseline, MultiReward, Objective, Ratio, Reduction, Scale};
use tch::{Kind as Dtype, Tensor};

/// Added to a deviation before it divides (TRL).
const DEVIATION_FLOOR: f64 = 1e-4;

/// How fast the gate of SAPO closes where the advantage is positive, and else (Gao 2025).
const GATE_TEMPERATURES: (f64, f64) = (1.0, 1.05);

/// (k, λ) of VESPO's weight where the advantage is not negative, and where it is (Shen 2026).
const VARIATIONAL_SHAPES: [(f64, f64); 2] = [(2.0, 3.0), (3.0, 2.0)];

pub struct Grpo {
    config: Config,
}

impl Grpo {
    pub fn new(config: Config) -> Self {
        Grpo { config }
    }

    /// What each response is worth: its weighted rewards less the overlong penalty and, where it belongs there, the KL; [B].
    fn scores(&self, rewards: &Tensor, mask: &Tensor, sequence_kl: Option<&Tensor>) -> Tensor {
        let scores = match self.config.overlong_buffer {
            0 => rewards.shallow_clone(),
            buffer => {
                let free = f64::from(self.config.max_length) - f64::from(buffer);
                let over = (lengths(mask) - free).clamp(0.0, buffer.into()); // [B]
                rewards - over * (self.config.overlong_penalty / f64::from(buffer))
            }
        };
        match (self.config.kl_in, sequence_kl) {
            (KlPlace::Reward, Some(kl)) => scores - kl * self.config.kl_coef,
            _ => scores,
        }
    }

    /// What each response was worth beside the others to its prompt, [B].
    fn relative(&self, scores: &Tensor, mask: &Tensor, groups: &Tensor) -> Tensor {
        let centred = match self.config.baseline {
            Baseline::Group => scores - math::group_mean(scores, groups),
            Baseline::LeaveOneOut => math::leave_one_out(scores, groups),
            Baseline::LengthWeighted => scores - math::length_weighted_mean(scores, &lengths(mask), groups),
        };
        match self.config.scale {
            Scale::Group => centred / (math::group_deviation(scores, groups) + DEVIATION_FLOOR),
            Scale::Batch => centred / (math::group_deviation(scores, &groups.zeros_like()) + DEVIATION_FLOOR),
            Scale::None => centred,
        }
    }

    /// Âᵢ, [B].
    fn advantages(&self, columns: &Columns, scores: &Tensor, groups: &Tensor) -> Result<Tensor> {
        let (mask, all) = (columns.get("mask")?, groups.zeros_like());
        if self.config.multi_reward == MultiReward::Sum {
            return Ok(self.relative(scores, mask, groups));
        }
        let each: Vec<Tensor> =
            columns.get("rewards")?.unbind(1).iter().map(|reward| self.relative(reward, mask, groups)).collect();
        let joined = math::weighted_rewards(&Tensor::stack(&each, 1), &self.config.reward_weights); // [B]
        let centred = &joined - math::group_mean(&joined, &all);
        Ok(centred / (math::group_deviation(&joined, &all) + DEVIATION_FLOOR))
    }

    /// Whether nothing tells a response from the others to its prompt, [B].
    fn equal(&self, columns: &Columns, deviation: &Tensor, groups: &Tensor) -> Result<Tensor> {
        if self.config.multi_reward == MultiReward::Sum {
            return Ok(deviation.eq(0.0));
        }
        let rewards = columns.get("rewards")?.unbind(1);
        let equal = rewards.iter().map(|reward| math::group_deviation(reward, groups).eq(0.0));
        Ok(equal.fold(groups.ge(0), |all, one| all.logical_and(&one)))
    }

    fn reduced(&self, losses: &Tensor, mask: &Tensor) -> Tensor {
        match self.config.reduction {
            Reduction::SequenceMeanTokenMean => math::sequence_mean_token_mean(losses, mask),
            Reduction::TokenMean => math::token_mean(losses, mask),
            Reduction::SumOverConstant => math::sum_over_constant(losses, mask, self.config.max_length.into()),
            Reduction::SequenceMeanTokenSum => math::sequence_mean_token_sum(losses, mask),
        }
    }

    /// log πθ whose difference from log πold is the log-ratio that `ratio` names; [B, T].
    fn compared(&self, log_probs: &Tensor, old: &Tensor, mask: &Tensor) -> Tensor {
        let over_row = |of: fn(&Tensor, &Tensor) -> Tensor| old + of(&(log_probs - old), mask).unsqueeze(1);
        match self.config.ratio {
            Ratio::Token => log_probs.shallow_clone(),
            Ratio::SequenceMean => over_row(math::row_mean),
            Ratio::SequenceSum => over_row(math::row_sum),
        }
    }

    /// The policy term of each token, [B, T].
    fn surrogate(&self, log_probs: &Tensor, compared: &Tensor, columns: &Columns) -> Result<Tensor> {
        let (old, advantages, mask) =
            (columns.get("old_log_probs")?, columns.get("advantages")?, columns.get("counted")?);
        let (low, high) = self.config.clip_ranges();
        Ok(match self.config.objective {
            Objective::Clipped => {
                let capped = self.config.ratio_cap.map(|cap| math::capped(compared, old, mask, cap));
                math::policy_loss(capped.as_ref().unwrap_or(compared), old, advantages, mask, low, high, None)
            }
            Objective::Weighted => math::weighted_policy_loss(log_probs, old, advantages, mask, 1.0 + high),
            Objective::Gated => math::gated_policy_loss(compared, old, advantages, mask, GATE_TEMPERATURES),
            Objective::Geometric => math::geometric_policy_loss(log_probs, old, advantages, mask, low),
            Objective::Variational => {
                let [positive, negative] = VARIATIONAL_SHAPES;
                math::variational_policy_loss(log_probs, old, advantages, mask, positive, negative)
            }
        })
    }
}

impl Algorithm for Grpo {
    fn kind(&self) -> Kind {
        Kind::Rollouts
    }

    fn regime(&self) -> Regime {
        Regime::OnPolicy { epochs: self.config.epochs.into(), minibatches: self.config.minibatches as usize }
    }

    fn needs(&self) -> Needs {
        let policy = self.config.old_log_probs == OldLogProbs::Recompute;
        let groups = if self.config.allow_singletons { 1 } else { 2 };
        let reference = self.config.kl_coef > 0.0;
        let rewards = self.config.reward_weights.len();
        Needs { policy, reference, rewards, group_size: groups, ..Needs::default() }
    }

    fn admission(&self) -> Admission {
        Admission {
            equal_groups: self.config.equal_groups,
            min_groups: self.config.min_groups as usize,
            max_staleness: self.config.max_staleness.map(u64::from),
        }
    }

    fn temperature(&self) -> f64 {
        self.config.temperature
    }

    fn prepare(&mut self, columns: &mut Columns) -> Result<Vec<Measured>> {
        let mask = columns.get("mask")?.shallow_clone(); // [B, T]
        let old = self.config.old_log_probs.of(columns)?; // [B, T]
        let sequence_kl = match self.needs().reference {
            true => Some(math::row_sum(&(&old - columns.get("reference_log_probs")?), &mask)), // [B]
            false => None,
        };
        let groups = columns.get("groups")?.shallow_clone(); // [B]
        let rewards = math::weighted_rewards(columns.get("rewards")?, &self.config.reward_weights); // [B]
        let scores = self.scores(&rewards, &mask, sequence_kl.as_ref()); // [B]
        let advantages = self.advantages(columns, &scores, &groups)?; // [B]
        let deviation = math::group_deviation(&scores, &groups); // [B]
        let mut metrics = rollouts::measured(columns, &rewards)?;
        metrics.extend([
            ("reward/shaped", scores.mean(None)),
            ("group/reward_std", deviation.mean(None)),
            ("group/equal_fraction", self.equal(columns, &deviation, &groups)?.to_kind(Dtype::Float).mean(None)),
            rollouts::drift(columns, &old)?,
        ]);
        metrics.extend(sequence_kl.map(|kl| ("kl/sequence", kl.mean(None))));
        metrics.extend(self.config.importance.prepare(columns, &old, &mask)?);
        let counted = match self.config.mask_truncated {
            true => columns.get("finished")?.gt(0.0),
            false => columns.get("finished")?.ge(0.0),
        };
        columns.insert("counted", mask.logical_and(&counted.unsqueeze(1))); // [B, T]
        columns.insert("advantages", advantages.unsqueeze(1).expand_as(&mask).contiguous()); // [B, T]
        columns.insert("old_log_probs", old);
        Ok(metrics)
    }

    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let (config, mask) = (&self.config, columns.get("counted")?); // [B, T]
        let (old, log_probs) = (columns.get("old_log_probs")?, &scores.log_probs); // [B, T]
        let compared = self.compared(log_probs, old, mask); // [B, T]
        let free = self.surrogate(log_probs, &compared, columns)?; // [B, T]
        let threshold = config.off_policy_mask_threshold;
        let weighed = config.importance.weighed(free, log_probs, columns, threshold)?; // [B, T]
        let surrogate = match config.entropy_quantile {
            share if share < 1.0 => weighed * math::uncertain_tokens(&scores.entropies, mask, share),
            _ => weighed,
        }; // [B, T]
        let kl = match self.needs().reference {
            true => Some(math::kl_k3(&(log_probs - columns.get("reference_log_probs")?))), // [B, T]
            false => None,
        };
        let losses = match (&kl, config.kl_in) {
            (Some(kl), KlPlace::Loss) if config.kl_bias_correction => {
                &surrogate + kl * math::ratio(&compared, old, mask) * config.kl_coef
            }
            (Some(kl), KlPlace::Loss) => &surrogate + kl * config.kl_coef,
            _ => surrogate.shallow_clone(),
        }; // [B, T]
        let entropy = math::masked_mean(&scores.entropies, mask);
        let total = self.reduced(&losses, mask) - &entropy * config.entropy_coef;
        let mut metrics = vec![
            ("loss/total", total.detach()),
            ("loss/policy", self.reduced(&surrogate.detach(), mask)),
            ("entropy/token", entropy.detach()),
        ];
        let (advantages, clip_range) = (columns.get("advantages")?, config.clip_ranges());
        metrics.extend(Step { log_probs, compared: &compared, old, advantages, mask, clip_range }.measured());
        metrics.extend(kl.map(|kl| ("kl/token", math::masked_mean(&kl.detach(), mask))));
        Ok(Loss { total, metrics })
    }

    fn configure(&mut self, config: &super::Config) {
        if let super::Config::Grpo(config) = config {
            self.config = config.clone();
        }
    }
}

#[cfg(test)]
mod tests;

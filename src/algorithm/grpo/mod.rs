//! Policy gradients with the other responses to a prompt as the baseline (GRPO, Shao et al. 2024, arXiv 2402.03300, and
//! its family: Dr. GRPO 2503.20783, DAPO 2503.14476, RLOO 2402.14740, GSPO 2507.18071, CISPO 2506.13585).
//!
//!   Âᵢ   = (Rᵢ − μ_group(i)) / (σ_group(i) + 10⁻⁴)                 one number for all tokens of a response
//!   L(θ) = E[ max(−ρₜÂᵢ, −clip(ρₜ, 1−ε, 1+ε)Âᵢ) + β ρₜ k3ₜ ] − c_H E[Hₜ]
//!
//! E is the mean over responses of each one's mean over counted tokens, unless `reduction` says otherwise; ρ is a token's
//! ratio unless `ratio` says otherwise. k3 estimates KL(πθ ‖ πref) on the sampled token. Advantages are computed over
//! the whole update, before it is split.

mod config;

pub use config::Config;

use super::{Algorithm, Columns, Loss, Measured, Needs, Regime};
use crate::data::Kind;
use crate::error::Result;
use crate::math;
use crate::model::Scores;
use config::{Baseline, KlPlace, Objective, OldLogProbs, Ratio, Reduction, Scale};
use tch::{Kind as Dtype, Tensor};

/// Added to a deviation before it divides (TRL).
const DEVIATION_FLOOR: f64 = 1e-4;

pub struct Grpo {
    config: Config,
}

impl Grpo {
    pub fn new(config: Config) -> Self {
        Grpo { config }
    }

    /// What each response is worth: the host's reward less the overlong penalty and, where it belongs there, the KL; [B].
    fn scores(&self, columns: &Columns, sequence_kl: Option<&Tensor>) -> Result<Tensor> {
        let rewards = columns.get("rewards")?.squeeze_dim(1); // [B]
        let scores = match self.config.overlong_buffer {
            0 => rewards.shallow_clone(),
            buffer => {
                let free = f64::from(self.config.max_length) - f64::from(buffer);
                let over = (lengths(columns.get("mask")?) - free).clamp(0.0, buffer.into()); // [B]
                rewards - over * (self.config.overlong_penalty / f64::from(buffer))
            }
        };
        Ok(match (self.config.kl_in, sequence_kl) {
            (KlPlace::Reward, Some(kl)) => scores - kl * self.config.kl_coef,
            _ => scores,
        })
    }

    /// Âᵢ, [B].
    fn advantages(&self, scores: &Tensor, groups: &Tensor) -> Tensor {
        let centred = match self.config.baseline {
            Baseline::Group => scores - math::group_mean(scores, groups),
            Baseline::LeaveOneOut => math::leave_one_out(scores, groups),
        };
        match self.config.scale {
            Scale::Group => centred / (math::group_deviation(scores, groups) + DEVIATION_FLOOR),
            Scale::Batch => centred / (math::group_deviation(scores, &groups.zeros_like()) + DEVIATION_FLOOR),
            Scale::None => centred,
        }
    }

    fn reduced(&self, losses: &Tensor, mask: &Tensor) -> Tensor {
        match self.config.reduction {
            Reduction::SequenceMeanTokenMean => math::sequence_mean_token_mean(losses, mask),
            Reduction::TokenMean => math::token_mean(losses, mask),
            Reduction::SumOverConstant => math::sum_over_constant(losses, mask, self.config.max_length.into()),
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
}

impl Algorithm for Grpo {
    fn kind(&self) -> Kind {
        Kind::Rollouts
    }

    fn regime(&self) -> Regime {
        Regime::OnPolicy { epochs: self.config.epochs.into(), minibatches: self.config.minibatches as usize }
    }

    fn needs(&self) -> Needs {
        let groups = if self.config.allow_singletons { 1 } else { 2 };
        let reference = self.config.kl_coef > 0.0;
        Needs { policy: true, reference, rewards: 1, group_size: groups, ..Needs::default() }
    }

    fn temperature(&self) -> f64 {
        self.config.temperature
    }

    fn prepare(&mut self, columns: &mut Columns) -> Result<Vec<Measured>> {
        let mask = columns.get("mask")?.shallow_clone(); // [B, T]
        let old = match self.config.old_log_probs {
            OldLogProbs::Recompute => columns.get("policy_log_probs")?.shallow_clone(),
            OldLogProbs::Recorded => columns.get("rollout_log_probs")?.shallow_clone(),
        }; // [B, T]
        let drift = math::masked_mean(&(&old - columns.get("rollout_log_probs")?).abs(), &mask);
        let sequence_kl = match self.needs().reference {
            true => Some(math::row_sum(&(&old - columns.get("reference_log_probs")?), &mask)), // [B]
            false => None,
        };
        let groups = columns.get("groups")?.shallow_clone(); // [B]
        let scores = self.scores(columns, sequence_kl.as_ref())?; // [B]
        let advantages = self.advantages(&scores, &groups); // [B]
        let rewards = columns.get("rewards")?; // [B]
        let deviation = math::group_deviation(&scores, &groups); // [B]
        let mut metrics = vec![
            ("reward/mean", rewards.mean(None)),
            ("reward/std", rewards.var(columns.rows() > 1).sqrt()),
            ("reward/shaped", scores.mean(None)),
            ("group/reward_std", deviation.mean(None)),
            ("group/equal_fraction", deviation.eq(0.0).to_kind(Dtype::Float).mean(None)),
            ("rollout/length", lengths(&mask).mean(None)),
            ("rollout/eos_fraction", columns.get("finished")?.mean(None)),
            ("rollout/log_prob_drift", drift),
        ];
        metrics.extend(sequence_kl.map(|kl| ("kl/sequence", kl.mean(None))));
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
        let (old, advantages) = (columns.get("old_log_probs")?, columns.get("advantages")?); // [B, T]
        let (low, high) = (config.clip_range, config.clip_range_high.unwrap_or(config.clip_range));
        let compared = self.compared(&scores.log_probs, old, mask); // [B, T]
        let surrogate = match config.objective {
            Objective::Clipped => math::policy_loss(&compared, old, advantages, mask, low, high, None),
            Objective::Weighted => math::weighted_policy_loss(&scores.log_probs, old, advantages, mask, 1.0 + high),
        }; // [B, T]
        let kl = match self.needs().reference {
            true => Some(math::kl_k3(&(&scores.log_probs - columns.get("reference_log_probs")?))), // [B, T]
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
        let log_probs = scores.log_probs.detach();
        let ratio = math::ratio(&log_probs, old, mask); // [B, T]
        let mut metrics = vec![
            ("loss/total", total.detach()),
            ("loss/policy", self.reduced(&surrogate.detach(), mask)),
            ("entropy/token", entropy.detach()),
            ("policy/approx_kl", math::approximate_kl(&log_probs, old, mask)),
            ("policy/clip_fraction", math::clip_fraction(&compared.detach(), old, advantages, mask, low, high)),
            ("policy/ratio_mean", math::masked_mean(&ratio, mask)),
            ("policy/ratio_std", math::masked_variance(&ratio, mask).sqrt()),
            ("policy/ratio_max_log", ((&log_probs - old) * mask).abs().max()),
            ("tokens/trained", mask.sum(Dtype::Float)),
        ];
        metrics.extend(kl.map(|kl| ("kl/token", math::masked_mean(&kl.detach(), mask))));
        Ok(Loss { total, metrics })
    }
}

/// Counted tokens of each response, [B].
fn lengths(mask: &Tensor) -> Tensor {
    mask.sum_dim_intlist([1i64].as_slice(), false, Dtype::Float)
}

#[cfg(test)]
mod tests;

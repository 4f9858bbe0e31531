//! REINFORCE on single tokens (Williams 1992) with what language models add to it: REINFORCE++ (Hu 2025, arXiv
//! 2501.03262), REINFORCE++-baseline, ReMax (Li et al. 2023, arXiv 2310.10505).
//!
//!   rₜ   = −β k1ₜ + [t last] (R − b)               k1ₜ = log πold − log πref on the sampled token
//!   Âₜ   = Σ_{s ≥ t} γˢ⁻ᵗ rₛ                       over counted tokens, then normalised over all of them
//!   L(θ) = E[ max(−ρₜÂₜ, −clip(ρₜ, 1−ε, 1+ε)Âₜ) + β k2ₜ ] − c_H E[Hₜ]
//!
//! β is in the reward or in the loss, as `kl_in` says: k2 of πθ to πref there, whose gradient on policy is that of the
//! divergence. E is the mean over all counted tokens of the minibatch, unless `reduction` says otherwise. There is no value
//! model: b is 0, the mean of the group, or the reward of the greedy response.

mod config;

pub use config::Config;

use super::admission::Admission;
use super::off_policy::OldLogProbs;
use super::rollouts::{self, KlPlace, Step};
use super::{Algorithm, Columns, Loss, Measured, Needs, Regime};
use crate::data::Kind;
use crate::error::Result;
use crate::math;
use crate::model::Scores;
use config::Baseline;
use tch::Tensor;

pub struct Reinforce {
    config: Config,
}

impl Reinforce {
    pub fn new(config: Config) -> Self {
        Reinforce { config }
    }

    /// R − b, [B].
    fn scores(&self, columns: &Columns, rewards: &Tensor) -> Result<Tensor> {
        Ok(match self.config.baseline {
            Baseline::None => rewards.shallow_clone(),
            Baseline::Group => rewards - math::group_mean(rewards, columns.get("groups")?),
            Baseline::Greedy => rewards - columns.get("baseline")?,
        })
    }

    /// β in the reward.
    fn reward_coef(&self) -> f64 {
        match self.config.kl_in {
            KlPlace::Reward => self.config.kl_coef,
            KlPlace::Loss => 0.0,
        }
    }
}

impl Algorithm for Reinforce {
    fn kind(&self) -> Kind {
        Kind::Rollouts
    }

    fn regime(&self) -> Regime {
        Regime::OnPolicy { epochs: self.config.epochs.into(), minibatches: self.config.minibatches as usize }
    }

    fn needs(&self) -> Needs {
        let policy = self.config.old_log_probs == OldLogProbs::Recompute;
        let columns: &[(&str, f32)] = match self.config.baseline {
            Baseline::Greedy => &[("baseline", f32::NAN)],
            _ => &[],
        };
        Needs {
            policy,
            reference: self.config.kl_coef > 0.0,
            rewards: self.config.reward_weights.len(),
            group_size: if self.config.baseline == Baseline::Group { 2 } else { 0 },
            columns,
            ..Needs::default()
        }
    }

    fn admission(&self) -> Admission {
        Admission { max_staleness: self.config.max_staleness.map(u64::from), ..Admission::default() }
    }

    fn temperature(&self) -> f64 {
        self.config.temperature
    }

    fn prepare(&mut self, columns: &mut Columns) -> Result<Vec<Measured>> {
        let mask = columns.get("mask")?.shallow_clone(); // [B, T]
        let old = self.config.old_log_probs.of(columns)?; // [B, T]
        let log_ratio = match self.needs().reference {
            true => Some(&old - columns.get("reference_log_probs")?), // [B, T]
            false => None,
        };
        let rewards = math::weighted_rewards(columns.get("rewards")?, &self.config.reward_weights); // [B]
        let scores = self.scores(columns, &rewards)?; // [B]
        let kl = log_ratio.as_ref().map_or(old.zeros_like(), math::kl_k1); // [B, T]
        let token_rewards = math::shaped_rewards(&kl, &scores, self.reward_coef(), &mask); // [B, T]
        let returns = math::discounted_returns(&token_rewards, &mask, self.config.discount); // [B, T]
        let mut metrics = rollouts::measured(columns, &rewards)?;
        metrics.extend([
            ("reward/shaped", math::row_sum(&token_rewards, &mask).mean(None)),
            ("advantage/mean", math::masked_mean(&returns, &mask)),
            ("advantage/std", math::masked_variance(&returns, &mask).sqrt()),
            rollouts::drift(columns, &old)?,
        ]);
        metrics.extend(log_ratio.map(|ratio| ("kl/sequence", math::row_sum(&ratio, &mask).mean(None))));
        metrics.extend(self.config.importance.prepare(columns, &old, &mask)?);
        columns.insert("advantages", self.config.advantages.of(&returns, &mask));
        columns.insert("old_log_probs", old);
        Ok(metrics)
    }

    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let (mask, config, log_probs) = (&scores.mask, &self.config, &scores.log_probs);
        let (old, advantages) = (columns.get("old_log_probs")?, columns.get("advantages")?); // [B, T]
        let (low, high) = (config.clip_range, config.clip_range_high.unwrap_or(config.clip_range));
        let free = math::policy_loss(log_probs, old, advantages, mask, low, high, None); // [B, T]
        let surrogate = config.importance.weighed(free, log_probs, columns, config.off_policy_mask_threshold)?; // [B, T]
        let kl = match (self.needs().reference, config.kl_in) {
            (true, KlPlace::Loss) => Some(math::kl_k2(&(log_probs - columns.get("reference_log_probs")?))), // [B, T]
            _ => None,
        };
        let losses = match &kl {
            Some(kl) => &surrogate + kl * math::ratio(&log_probs.detach(), old, mask) * config.kl_coef,
            None => surrogate.shallow_clone(),
        }; // [B, T]
        let entropy = math::masked_mean(&scores.entropies, mask);
        let total = config.reduction.of(&losses, mask) - &entropy * config.entropy_coef;
        let mut metrics = vec![
            ("loss/total", total.detach()),
            ("loss/policy", config.reduction.of(&surrogate.detach(), mask)),
            ("entropy/token", entropy.detach()),
        ];
        let clip_range = (low, high);
        metrics.extend(Step { log_probs, compared: log_probs, old, advantages, mask, clip_range }.measured());
        metrics.extend(kl.map(|kl| ("kl/token", math::masked_mean(&kl.detach(), mask))));
        Ok(Loss { total, metrics })
    }

    fn configure(&mut self, config: &super::Config) {
        if let super::Config::Reinforce(config) = config {
            self.config = config.clone();
        }
    }
}

#[cfg(test)]
mod tests;

//! Proximal policy optimisation of a language model (Schulman et al. 2017, arXiv 1707.06347; Ziegler et al. 2019,
//! arXiv 1909.08593; Stiennon et al. 2020).
//!
//!   rₜ   = −β kₜ + [t last] s                      kₜ estimates KL(πθ_old ‖ πref) on the sampled token
//!   δₜ   = rₜ + γ Vₜ₊₁ − Vₜ,   Âₜ = Σₗ (γλ)ˡ δₜ₊ₗ,   R̂ₜ = Âₜ + Vₜ
//!   L(θ) = E[ max(−ρₜÂₜ, −clip(ρₜ, 1−ε, 1+ε)Âₜ) ] + c_V E[ ½ max((Vₜ−R̂ₜ)², (clip(Vₜ)−R̂ₜ)²) ] − c_H E[Hₜ]
//!
//! E is the mean over all counted tokens of the minibatch (token mean), unless `reduction` says otherwise. A response
//! token's value is read before the token. Advantages are normalised over the whole batch, before it is split. The reward
//! sits on the last counted token, unless `reward_position` says otherwise. Demonstrations may be mixed in (Ouyang et al.
//! 2022, PPO-ptx): + γ_ptx · NLL.

mod config;
mod kl;
mod shaping;

pub use config::Config;

use super::admission::Admission;
use super::rollouts::{self, KlPlace, Step};
use super::{Algorithm, Columns, Loss, Measured, Mixed, MixedStep, Needs, Regime};
use crate::data::Kind;
use crate::error::{Error, Result};
use crate::math;
use crate::model::Scores;
use config::{Mix, RewardPosition};
use kl::{KlEstimator, KlUnit};
use serde_json::{json, Value};
use shaping::Shaping;
use tch::Tensor;

pub struct Ppo {
    config: Config,
    kl_coef: f64,
    entropy_coef: f64,
    shaping: Shaping,
    updates: u64,
    /// Whether the values explain enough of the returns for the policy to move.
    warm: bool,
}

impl Ppo {
    pub fn new(config: Config) -> Self {
        let (kl_coef, entropy_coef) = (config.kl.initial(), config.entropy_coef);
        Ppo { kl_coef, entropy_coef, shaping: Shaping::default(), updates: 0, warm: false, config }
    }

    fn token_kl(&self, log_ratio: &Tensor) -> Tensor {
        match self.config.kl_estimator {
            KlEstimator::K1 => math::kl_k1(log_ratio),
            KlEstimator::K2 => math::kl_k2(log_ratio),
            KlEstimator::K3 => math::kl_k3(log_ratio),
        }
    }

    /// Advantages, not normalised, and returns; [B, T] each.
    fn estimates(&self, rewards: &Tensor, values: &Tensor, mask: &Tensor) -> (Tensor, Tensor) {
        let estimate =
            |lambda: &Tensor| math::generalized_advantage(rewards, values, mask, self.config.discount, lambda);
        let own = Tensor::from(self.config.gae_lambda).to_device(mask.device());
        let lambda = match self.config.gae_length_coef {
            coef if coef > 0.0 => math::length_adaptive_lambda(mask, coef),
            _ => own.shallow_clone(),
        };
        let (advantages, returns) = estimate(&lambda);
        match self.config.returns_lambda {
            Some(of_returns) => (advantages, estimate(&own.full_like(of_returns)).1),
            None => (advantages, returns),
        }
    }

    /// The weight of the entropy bonus while the policy's entropy is `entropy`.
    fn bonus(&self, entropy: &Tensor) -> Tensor {
        let target = self.config.entropy_target;
        let limit = if target > 0.0 { target } else { f64::INFINITY };
        entropy.detach().le(limit).to_kind(entropy.kind()) * self.entropy_coef
    }
}

impl Algorithm for Ppo {
    fn kind(&self) -> Kind {
        Kind::Rollouts
    }

    fn regime(&self) -> Regime {
        Regime::OnPolicy { epochs: self.config.epochs.into(), minibatches: self.config.minibatches as usize }
    }

    fn needs(&self) -> Needs {
        let value_after = self.config.reward_position == RewardPosition::AfterLast;
        let token_columns = &[("token_reward", 0.0)];
        Needs {
            policy: true,
            reference: true,
            values: true,
            value_after,
            rewards: self.config.reward_weights.len(),
            token_columns,
            ..Needs::default()
        }
    }

    fn admission(&self) -> Admission {
        Admission { max_staleness: self.config.max_staleness.map(u64::from), ..Admission::default() }
    }

    fn temperature(&self) -> f64 {
        self.config.temperature
    }

    fn value_warmup(&self) -> Option<f64> {
        let warmup = &self.config.value_warmup;
        (self.updates < warmup.updates.into() && !self.warm).then_some(warmup.learning_rate)
    }

    fn mixed(&self) -> Option<Mixed> {
        let demonstrations = &self.config.demonstrations;
        let step = match demonstrations.mix {
            Mix::Joint => MixedStep::Joint,
            Mix::Alternating => MixedStep::Own,
        };
        (demonstrations.coef > 0.0).then_some(Mixed { batch_size: demonstrations.batch_size as usize, step })
    }

    fn mixed_loss(&self, scores: &Scores, _columns: &Columns) -> Result<Loss> {
        let nll = math::negative_log_likelihood(&scores.log_probs, &scores.mask);
        let total = &nll * self.config.demonstrations.coef;
        Ok(Loss { total, metrics: vec![("loss/demonstrations", nll.detach())] })
    }

    fn prepare(&mut self, columns: &mut Columns) -> Result<Vec<Measured>> {
        let mask = columns.get("mask")?.shallow_clone(); // [B, T]
        let value_mask = shaping::value_mask(&self.config, columns)?; // [B, T]
        let old = self.config.old_log_probs.of(columns)?; // [B, T]
        let values = columns.get("values")?.shallow_clone(); // [B, T]
        let log_ratio = (&old - columns.get("reference_log_probs")?) * &mask; // [B, T]
        let given = math::weighted_rewards(columns.get("rewards")?, &self.config.reward_weights); // [B]
        let scores = self.shaping.scores(&self.config, columns, &given)?; // [B]
        let coef = if self.config.kl_in == KlPlace::Reward { self.kl_coef } else { 0.0 };
        let mut rewards = shaping::shaped(&self.token_kl(&log_ratio), &scores, coef, columns, &value_mask)?; // [B, T]
        let shaped = math::row_sum(&rewards, &value_mask).mean(None);
        if self.config.whiten_rewards {
            rewards = math::scaled(&rewards, &value_mask);
        }
        let (raw_advantages, returns) = self.estimates(&rewards, &values, &value_mask);
        let advantages = self.config.advantages.of(&raw_advantages, &mask);
        let sequence_kl = math::row_sum(&log_ratio, &mask); // [B]
        let mut metrics = rollouts::measured(columns, &given)?;
        metrics.extend([
            ("kl/sequence", sequence_kl.mean(None)),
            ("kl/token", math::masked_mean(&log_ratio, &mask)),
            ("kl/coef", Tensor::from(self.kl_coef)),
            ("reward/shaped", shaped),
            ("advantage/mean", math::masked_mean(&raw_advantages, &mask)),
            ("advantage/std", math::masked_variance(&raw_advantages, &mask).sqrt()),
            ("value/mean", math::masked_mean(&values, &value_mask)),
            ("returns/mean", math::masked_mean(&returns, &value_mask)),
            ("value/explained_variance", Tensor::from(math::explained_variance(&returns, &values, &value_mask))),
            rollouts::drift(columns, &old)?,
        ]);
        metrics.extend(self.config.importance.prepare(columns, &old, &mask)?);
        columns.insert("old_log_probs", old);
        columns.insert("advantages", advantages);
        columns.insert("returns", returns);
        columns.insert("value_mask", value_mask);
        Ok(metrics)
    }

    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let (mask, value_mask, config) = (&scores.mask, columns.get("value_mask")?, &self.config);
        let (old, advantages) = (columns.get("old_log_probs")?, columns.get("advantages")?); // [B, T]
        let (returns, old_values) = (columns.get("returns")?, columns.get("values")?); // [B, T]
        let values = scores.values.as_ref().ok_or_else(|| Error::state("ppo: the policy has no values"))?; // [B, T]
        let dual_clip = (config.dual_clip > 0.0).then_some(config.dual_clip);
        let (low, high) = (config.clip_range, config.clip_range_high.unwrap_or(config.clip_range));
        let log_probs = &scores.log_probs; // [B, T]
        let free = math::policy_loss(log_probs, old, advantages, mask, low, high, dual_clip); // [B, T]
        let policy_losses = config.importance.weighed(free, log_probs, columns, config.off_policy_mask_threshold)?; // [B, T]
        let policy = config.reduction.of(&policy_losses, mask);
        let value_losses = math::value_loss(values, old_values, returns, config.value_clip_range); // [B, T]
        let value = config.reduction.of(&value_losses, value_mask);
        let entropy = math::masked_mean(&scores.entropies, mask);
        let mut policy_terms = &policy - &entropy * self.bonus(&entropy);
        if config.kl_in == KlPlace::Loss {
            let kl = self.token_kl(&(&scores.log_probs - columns.get("reference_log_probs")?)); // [B, T]
            let weight = math::ratio(&scores.log_probs.detach(), old, mask); // [B, T]
            policy_terms += config.reduction.of(&(kl * weight), mask) * self.kl_coef;
        }
        let total = match self.value_warmup() {
            Some(_) => &value * config.value_coef,
            None => policy_terms + &value * config.value_coef,
        };
        let clipped_values =
            math::value_clip_fraction(values, old_values, returns, config.value_clip_range, value_mask);
        let mut metrics = vec![
            ("loss/total", total.detach()),
            ("loss/policy", policy.detach()),
            ("loss/value", value.detach()),
            ("entropy/token", entropy.detach()),
            ("value/clip_fraction", clipped_values),
        ];
        let clip_range = (low, high);
        metrics.extend(Step { log_probs, compared: log_probs, old, advantages, mask, clip_range }.measured());
        Ok(Loss { total, metrics })
    }

    fn stops(&self, metric: &dyn Fn(&str) -> Option<f64>) -> bool {
        let target = self.config.target_kl;
        target > 0.0 && metric("policy/approx_kl").is_some_and(|kl| kl > 1.5 * target)
    }

    fn finish(&mut self, metric: &dyn Fn(&str) -> Option<f64>, rows: usize) {
        let warming = self.value_warmup().is_some();
        self.updates += 1;
        self.shaping.commit();
        let explained = metric("value/explained_variance").unwrap_or(f64::NEG_INFINITY);
        self.warm |= self.config.value_warmup.explained_variance.is_some_and(|enough| explained >= enough);
        if warming {
            // the policy did not move, so neither does what answers to its moves
            return;
        }
        let measured = |unit| metric(if unit == KlUnit::Sequence { "kl/sequence" } else { "kl/token" });
        self.kl_coef = self.config.kl.next(self.kl_coef, measured, rows);
        if self.config.entropy_target > 0.0 {
            let below = metric("entropy/token").is_some_and(|entropy| entropy < self.config.entropy_target);
            let change = if below { self.config.entropy_rate } else { -self.config.entropy_rate };
            self.entropy_coef = (self.entropy_coef + change).clamp(0.0, 100.0);
        }
    }

    fn configure(&mut self, config: &super::Config) {
        let super::Config::Ppo(config) = config else { return };
        if config.kl.initial() != self.config.kl.initial() {
            self.kl_coef = config.kl.initial();
        }
        if config.entropy_coef != self.config.entropy_coef {
            self.entropy_coef = config.entropy_coef;
        }
        self.config = config.clone();
    }

    fn state(&self) -> Value {
        json!({ "kl_coef": self.kl_coef, "entropy_coef": self.entropy_coef, "updates": self.updates, "warm": self.warm,
                "rewards": self.shaping.state() })
    }

    fn set_state(&mut self, state: &Value) -> Result<()> {
        let missing = || {
            let message =
                "checkpoint: the state of ppo lacks kl_coef (at least 0), entropy_coef (at least 0), updates or warm";
            Error::data(message)
        };
        let coef = |name: &str| state[name].as_f64().filter(|coef| *coef >= 0.0).ok_or_else(missing);
        (self.kl_coef, self.entropy_coef) = (coef("kl_coef")?, coef("entropy_coef")?);
        self.updates = state["updates"].as_u64().ok_or_else(missing)?;
        self.warm = state["warm"].as_bool().ok_or_else(missing)?;
        self.shaping.set_state(&state["rewards"])
    }
}

#[cfg(test)]
mod tests;

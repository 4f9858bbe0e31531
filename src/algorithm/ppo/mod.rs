//! Proximal policy optimisation of a language model (Schulman et al. 2017, arXiv 1707.06347; Ziegler et al. 2019,
//! arXiv 1909.08593; Stiennon et al. 2020).
//!
//!   rₜ   = −β kₜ + [t last] s                      kₜ estimates KL(πθ_old ‖ πref) on the sampled token
//!   δₜ   = rₜ + γ Vₜ₊₁ − Vₜ,   Âₜ = Σₗ (γλ)ˡ δₜ₊ₗ,   R̂ₜ = Âₜ + Vₜ
//!   L(θ) = E[ max(−ρₜÂₜ, −clip(ρₜ, 1−ε, 1+ε)Âₜ) ] + c_V E[ ½ max((Vₜ−R̂ₜ)², (clip(Vₜ)−R̂ₜ)²) ] − c_H E[Hₜ]
//!
//! E is the mean over all counted tokens of the minibatch (token mean), unless `reduction` says otherwise. A response
//! token's value is read before the token, from the same hidden state as its log-probability. Advantages are normalised
//! over the whole batch, before it is split. The reward sits on the last counted token.

mod config;

pub use config::Config;

use super::{Algorithm, Columns, Loss, Measured, Needs, Regime};
use crate::data::Kind;
use crate::error::{Error, Result};
use crate::math;
use crate::model::Scores;
use config::{KlEstimator, KlUnit, Normalisation, OldLogProbs, Reduction};
use serde_json::{json, Value};
use tch::{Kind as Dtype, Tensor};

pub struct Ppo {
    config: Config,
    kl_coef: f64,
    updates: u64,
}

impl Ppo {
    pub fn new(config: Config) -> Self {
        Ppo { kl_coef: config.kl.initial(), config, updates: 0 }
    }

    fn token_kl(&self, log_ratio: &Tensor) -> Tensor {
        match self.config.kl_estimator {
            KlEstimator::K1 => math::kl_k1(log_ratio),
            KlEstimator::K2 => math::kl_k2(log_ratio),
            KlEstimator::K3 => math::kl_k3(log_ratio),
        }
    }

    /// The host's rewards, clipped, less the penalty of an unfinished rollout; [B].
    fn scores(&self, columns: &Columns) -> Result<Tensor> {
        let rewards = columns.get("rewards")?.squeeze_dim(1); // [B]
        let clipped = match self.config.reward_clip {
            clip if clip > 0.0 => rewards.clamp(-clip, clip),
            _ => rewards.shallow_clone(),
        };
        Ok(clipped - (1.0 - columns.get("finished")?) * self.config.missing_eos_penalty)
    }

    fn reduced(&self, losses: &Tensor, mask: &Tensor) -> Tensor {
        match self.config.reduction {
            Reduction::TokenMean => math::token_mean(losses, mask),
            Reduction::SequenceMeanTokenMean => math::sequence_mean_token_mean(losses, mask),
            Reduction::SequenceMeanTokenSum => math::sequence_mean_token_sum(losses, mask),
        }
    }

    fn normalised(&self, advantages: &Tensor, mask: &Tensor) -> Tensor {
        match self.config.advantages {
            Normalisation::Whiten => math::whitened(advantages, mask),
            Normalisation::Center => math::centered(advantages, mask),
            Normalisation::Raw => advantages.shallow_clone(),
        }
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
        Needs { policy: true, reference: true, value_head: true, rewards: 1, ..Needs::default() }
    }

    fn temperature(&self) -> f64 {
        self.config.temperature
    }

    fn value_warmup(&self) -> Option<f64> {
        let warmup = &self.config.value_warmup;
        (self.updates < warmup.updates.into()).then_some(warmup.learning_rate)
    }

    fn prepare(&mut self, columns: &mut Columns) -> Result<Vec<Measured>> {
        let mask = columns.get("mask")?.shallow_clone(); // [B, T]
        let old = match self.config.old_log_probs {
            OldLogProbs::Recompute => columns.get("policy_log_probs")?.shallow_clone(),
            OldLogProbs::Recorded => columns.get("rollout_log_probs")?.shallow_clone(),
        }; // [B, T]
        let values = columns.get("values")?.shallow_clone(); // [B, T]
        let log_ratio = &old - columns.get("reference_log_probs")?; // [B, T]
        let scores = self.scores(columns)?; // [B]
        let mut rewards = math::shaped_rewards(&self.token_kl(&log_ratio), &scores, self.kl_coef, &mask); // [B, T]
        if self.config.whiten_rewards {
            rewards = math::scaled(&rewards, &mask);
        }
        let estimate = |lambda| math::generalized_advantage(&rewards, &values, &mask, self.config.discount, lambda);
        let (raw_advantages, mut returns) = estimate(self.config.gae_lambda);
        if let Some(lambda) = self.config.returns_lambda {
            returns = estimate(lambda).1;
        }
        let advantages = self.normalised(&raw_advantages, &mask);
        let sequence_kl = math::row_sum(&log_ratio, &mask); // [B]
        let drift = math::masked_mean(&(&old - columns.get("rollout_log_probs")?).abs(), &mask);
        let metrics = vec![
            ("kl/sequence", sequence_kl.mean(None)),
            ("kl/token", math::masked_mean(&log_ratio, &mask)),
            ("kl/coef", Tensor::from(self.kl_coef)),
            ("reward/mean", columns.get("rewards")?.mean(None)),
            ("reward/std", columns.get("rewards")?.var(columns.rows() > 1).sqrt()),
            ("reward/shaped", (&scores - sequence_kl * self.kl_coef).mean(None)),
            ("advantage/mean", math::masked_mean(&raw_advantages, &mask)),
            ("advantage/std", math::masked_variance(&raw_advantages, &mask).sqrt()),
            ("value/mean", math::masked_mean(&values, &mask)),
            ("returns/mean", math::masked_mean(&returns, &mask)),
            ("value/explained_variance", Tensor::from(math::explained_variance(&returns, &values, &mask))),
            ("rollout/length", mask.sum_dim_intlist([1i64].as_slice(), false, Dtype::Float).mean(None)),
            ("rollout/eos_fraction", columns.get("finished")?.mean(None)),
            ("rollout/log_prob_drift", drift),
        ];
        columns.insert("old_log_probs", old);
        columns.insert("advantages", advantages);
        columns.insert("returns", returns);
        Ok(metrics)
    }

    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let (mask, config) = (&scores.mask, &self.config);
        let (old, advantages) = (columns.get("old_log_probs")?, columns.get("advantages")?); // [B, T]
        let (returns, old_values) = (columns.get("returns")?, columns.get("values")?); // [B, T]
        let values = scores.values.as_ref().ok_or_else(|| Error::state("ppo: the policy has no value head"))?;
        let dual_clip = (config.dual_clip > 0.0).then_some(config.dual_clip);
        let (low, high) = (config.clip_range, config.clip_range_high.unwrap_or(config.clip_range));
        let policy_losses = math::policy_loss(&scores.log_probs, old, advantages, mask, low, high, dual_clip); // [B, T]
        let policy = self.reduced(&policy_losses, mask);
        let value_losses = math::value_loss(values, old_values, returns, config.value_clip_range); // [B, T]
        let value = self.reduced(&value_losses, mask);
        let entropy = math::masked_mean(&scores.entropies, mask);
        let policy_terms = &policy - &entropy * config.entropy_coef;
        let total = match self.value_warmup() {
            Some(_) => &value * config.value_coef,
            None => policy_terms + &value * config.value_coef,
        };
        let log_probs = scores.log_probs.detach();
        let log_ratio = (&log_probs - old) * mask; // [B, T]
        let ratio = math::ratio(&log_probs, old, mask); // [B, T]
        let value_moved = (values.detach() - old_values).abs().gt(config.value_clip_range); // [B, T]
        let value_clipped = (config.value_clip_range > 0.0).then(|| value_moved.to_kind(Dtype::Float));
        let metrics = vec![
            ("loss/total", total.detach()),
            ("loss/policy", policy.detach()),
            ("loss/value", value.detach()),
            ("entropy/token", entropy.detach()),
            ("policy/approx_kl", math::approximate_kl(&log_probs, old, mask)),
            ("policy/clip_fraction", math::clip_fraction(&log_probs, old, advantages, mask, low, high)),
            ("policy/ratio_mean", math::masked_mean(&ratio, mask)),
            ("policy/ratio_std", math::masked_variance(&ratio, mask).sqrt()),
            ("policy/ratio_max_log", log_ratio.abs().max()),
            ("value/clip_fraction", value_clipped.map_or(Tensor::from(0.0), |moved| math::masked_mean(&moved, mask))),
            ("tokens/trained", mask.sum(Dtype::Float)),
        ];
        Ok(Loss { total, metrics })
    }

    fn stops(&self, metric: &dyn Fn(&str) -> Option<f64>) -> bool {
        let target = self.config.target_kl;
        target > 0.0 && metric("policy/approx_kl").is_some_and(|kl| kl > 1.5 * target)
    }

    fn finish(&mut self, metric: &dyn Fn(&str) -> Option<f64>, rows: usize) {
        self.updates += 1;
        let measured = |unit| metric(if unit == KlUnit::Sequence { "kl/sequence" } else { "kl/token" });
        self.kl_coef = self.config.kl.next(self.kl_coef, measured, rows);
    }

    fn state(&self) -> Value {
        json!({ "kl_coef": self.kl_coef, "updates": self.updates })
    }

    fn set_state(&mut self, state: &Value) -> Result<()> {
        let missing = || Error::data("checkpoint: the state of ppo lacks kl_coef (at least 0) or updates");
        self.kl_coef = state["kl_coef"].as_f64().filter(|coef| *coef >= 0.0).ok_or_else(missing)?;
        self.updates = state["updates"].as_u64().ok_or_else(missing)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! Proximal policy optimisation of a control policy (Schulman et al. 2017, arXiv 1707.06347; the details of Huang et al.
//! 2022, "The 37 implementation details of PPO").
//!
//!   δₜ   = rₜ + γ Vₜ₊₁ − Vₜ,   Âₜ = Σₗ (γλ)ˡ δₜ₊ₗ,   R̂ₜ = Âₜ + Vₜ
//!   L(θ) = E[ max(−ρₜÂₜ, −clip(ρₜ, 1−ε, 1+ε)Âₜ) ] + c_V E[ ½ (Vₜ−R̂ₜ)² ] − c_H E[Hₜ]
//!
//! plus c_B times how far the means lie beyond the bounds of the action. E is the mean over the steps of a minibatch. Vₜ₊₁ is 0
//! behind a terminated step, and what `truncation` says behind a truncated one; behind a slot's last step it is the value of the observation that came next.

mod config;
mod rate;

pub use config::{Config, GradientClip, Graph, LearnedScope, Scope, Truncation, ValueClip};
pub use rate::{AdaptiveRate, Law};

use super::{Columns, Loss};
use crate::error::{Error, Result};
use crate::math;
use crate::model::control::Evaluated;
use tch::{Kind, Tensor};

pub struct ControlPpo {
    config: Config,
}

impl ControlPpo {
    pub fn new(config: Config) -> Self {
        ControlPpo { config }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The method in an update, the first of which is 0.
    pub fn at(&self, update: u64) -> ControlPpo {
        ControlPpo::new(self.config.at(update))
    }

    /// The loss of one minibatch. `said` carries gradient; of `columns` `old_log_probs`, `advantages`, `returns` and
    /// `old_values` are read, [B] each.
    pub fn loss(&self, said: &Evaluated, columns: &Columns) -> Result<Loss> {
        let config = &self.config;
        let column = |name: &str| Ok::<Tensor, Error>(columns.get(name)?.unsqueeze(1)); // [B, 1]
        let (old, advantages) = (column("old_log_probs")?, column("advantages")?);
        let (old_values, returns) = (column("old_values")?, column("returns")?);
        let (log_probs, values) = (said.log_probs.unsqueeze(1), said.values.unsqueeze(1)); // [B, 1]
        let mask = log_probs.ones_like().to_kind(Kind::Bool); // [B, 1]
        let (low, high) = (config.clip_range, config.clip_range_high.unwrap_or(config.clip_range));
        let policy = math::policy_loss(&log_probs, &old, &advantages, &mask, low, high, None).mean(None);
        let compared = match config.value_clip {
            ValueClip::Clipped if config.value_clip_range > 0.0 => {
                let (below, above) = (&old_values - config.value_clip_range, &old_values + config.value_clip_range);
                values.clamp_tensor(Some(below), Some(above)) // [B, 1]
            }
            _ => values.shallow_clone(),
        };
        let range = if config.value_clip == ValueClip::Maximum { config.value_clip_range } else { 0.0 };
        let value = math::value_loss(&compared, &old_values, &returns, range).mean(None);
        let entropy = said.entropies.mean(None);
        let mut total = &policy + &value * config.value_coef - &entropy * config.entropy_coef;
        let ratio = math::ratio(&log_probs.detach(), &old, &mask); // [B, 1]
        let outside = ratio.gt(1.0 + high).logical_or(&ratio.lt(1.0 - low)).to_kind(Kind::Float).mean(None);
        let log_ratio = log_probs.detach() - &old; // [B, 1]
        let mut metrics = Vec::new();
        if let Some(beyond) = &said.beyond {
            let beyond = beyond.mean(None);
            total += &beyond * config.bound_coef;
            metrics.push(("policy/beyond_bounds", beyond.detach()));
        }
        metrics.extend([
            ("loss/total", total.detach()),
            ("loss/policy", policy.detach()),
            ("loss/value", value.detach()),
            ("entropy/action", entropy.detach()),
            ("policy/approx_kl", math::kl_k3(&-&log_ratio).mean(None)),
            ("policy/clip_fraction", outside),
            ("policy/ratio_max_log", log_ratio.abs().max()),
        ]);
        Ok(Loss { total, metrics })
    }

    /// Whether an update with this approximate KL should stop before the step.
    pub fn stops(&self, approximate_kl: f64) -> bool {
        self.config.target_kl > 0.0 && approximate_kl > 1.5 * self.config.target_kl
    }
}

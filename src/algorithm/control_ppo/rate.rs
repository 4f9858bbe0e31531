//! Learning rates that follow how far the policy moves: the laws of rsl_rl and rl_games.

use crate::config::{Optimizer, Schedule};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A divergence, in nats, that rounding alone can make.
const ROUNDING: f64 = 1e-10;

/// The learning rate, which starts at `optimizer.learning_rate`, is divided by `factor` where the KL divergence of a
/// minibatch's policy is above 2 × `target_kl`, and multiplied by it where it is below ½ × `target_kl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdaptiveRate {
    /// Which divergence, and when it counts.
    pub law: Law,
    /// KL that is aimed at, nats per action. Default: rsl_rl; rl_games: 0.008.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1000.0))]
    pub target_kl: f64,
    /// By how much the rate changes at once. Default: both.
    #[schemars(range(min = 1.0, max = 1000.0))]
    pub factor: f64,
    /// Smallest rate. Default: rsl_rl; rl_games: 1e-6.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0))]
    pub minimum: f64,
    /// Largest rate. Default: both.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0))]
    pub maximum: f64,
    /// Whether the old policy of a step is, from the second pass on, what the pass before said (rl_games), rather than what
    /// the update started from.
    pub refresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Law {
    /// KL(old ‖ new) of each minibatch, before its step; none at all changes nothing (rsl_rl).
    BeforeStep,
    /// KL(new ‖ old) of each minibatch as it was before its step, after the step (rl_games, `legacy`).
    AfterStep,
    /// The mean of these over a pass, after the pass (rl_games, `standard`).
    AfterEpoch,
}

impl Default for AdaptiveRate {
    fn default() -> Self {
        AdaptiveRate {
            law: Law::BeforeStep,
            target_kl: 0.01,
            factor: 1.5,
            minimum: 1e-5,
            maximum: 1e-2,
            refresh: false,
        }
    }
}

impl AdaptiveRate {
    /// The rate behind one of `rate` and a divergence, nats; a divergence that is no number leaves it.
    pub fn next(&self, rate: f64, divergence: f64) -> f64 {
        let counts = self.law != Law::BeforeStep || divergence > ROUNDING;
        if divergence > 2.0 * self.target_kl {
            (rate / self.factor).max(self.minimum)
        } else if divergence < 0.5 * self.target_kl && counts {
            (rate * self.factor).min(self.maximum)
        } else {
            rate
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let AdaptiveRate { minimum, maximum, .. } = *self;
        if minimum <= maximum {
            return Ok(());
        }
        let place = "/algorithm/adaptive_rate/minimum";
        Err(Error::config(format!("{place}: expected at most maximum ({maximum}), got {minimum}")))
    }

    pub(super) fn check_optimizer(&self, optimizer: &Optimizer) -> Result<()> {
        if optimizer.schedule != Schedule::default() {
            let message =
                "/optimizer/schedule: expected a constant one without a rise, since /algorithm/adaptive_rate moves \
                           the learning rate; leave one of them out";
            return Err(Error::config(message));
        }
        let (rate, AdaptiveRate { minimum, maximum, .. }) = (optimizer.learning_rate, *self);
        if (minimum..=maximum).contains(&rate) {
            return Ok(());
        }
        let bounds = format!("from {minimum} to {maximum}, the bounds of /algorithm/adaptive_rate");
        Err(Error::config(format!("/optimizer/learning_rate: expected {bounds}, got {rate}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(adaptive: &AdaptiveRate, start: f64, divergences: &[f64]) -> Vec<f64> {
        let walk = divergences.iter().scan(start, |rate, divergence| {
            *rate = adaptive.next(*rate, *divergence);
            Some(*rate)
        });
        walk.collect()
    }

    #[test]
    fn rates_move_by_the_factor_between_their_bounds() {
        let rsl = AdaptiveRate::default();
        let near = |found: Vec<f64>, expected: &[f64]| {
            let close = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
            assert!(close && found.len() == expected.len(), "{found:?} {expected:?}");
        };
        // 0 leaves it, below ½ × 0.01 raises, between leaves, above 2 × 0.01 lowers, NaN leaves
        let walk = course(&rsl, 1e-3, &[0.0, 0.004, 0.005, 0.02, 0.021, f64::NAN, 0.0]);
        near(walk, &[1e-3, 1.5e-3, 1.5e-3, 1.5e-3, 1e-3, 1e-3, 1e-3]);
        near(course(&rsl, 8e-3, &[0.001, 0.001, 1.0]), &[1e-2, 1e-2, 1e-2 / 1.5]);
        near(course(&rsl, 1.2e-5, &[1.0, 1.0, 1.0]), &[1e-5, 1e-5, 1e-5]);
        let games = AdaptiveRate { law: Law::AfterStep, target_kl: 0.008, minimum: 1e-6, ..rsl };
        near(course(&games, 2e-6, &[0.0, 0.017, 0.017, 0.017, 0.0]), &[3e-6, 2e-6, 2e-6 / 1.5, 1e-6, 1.5e-6]);
    }
}

//! AdamW and the schedule of its learning rate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the optimiser: AdamW (Loshchilov & Hutter 2019) behind a clip of the gradient's norm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Optimizer {
    /// Peak of the learning rate.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0))]
    pub learning_rate: f64,
    /// Decay of the running means of the gradient and of its square, per step.
    #[schemars(extend("items" = { "type": "number", "minimum": 0.0, "exclusiveMaximum": 1.0 }))]
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0))]
    pub epsilon: f64,
    /// Decoupled decay of matrices and embeddings, per step and unit of learning rate; biases and norms never decay.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub weight_decay: f64,
    /// Largest norm of the whole gradient; 0 leaves it as it is.
    #[schemars(range(min = 0.0))]
    pub max_grad_norm: f64,
    /// How the learning rate moves over the optimiser steps.
    pub schedule: Schedule,
    /// What the numbers of `schedule` count: optimiser steps, or updates, which on rollouts make several.
    pub schedule_unit: ScheduleUnit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleUnit {
    Step,
    Update,
}

impl Default for Optimizer {
    fn default() -> Self {
        Optimizer {
            learning_rate: 1e-5,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
            schedule: Schedule::default(),
            schedule_unit: ScheduleUnit::Step,
        }
    }
}

impl Optimizer {
    /// The learning rate of an optimiser step, the first of which is step 0 of update 0.
    pub fn rate(&self, step: u64, update: u64) -> f64 {
        let count = match self.schedule_unit {
            ScheduleUnit::Step => step,
            ScheduleUnit::Update => update,
        };
        self.learning_rate * self.schedule.factor(count)
    }
}

/// The course of the learning rate: a linear rise from 0 over `warmup_steps`, then as the type says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Stays at the peak.
    Constant {
        /// Optimiser steps of the rise.
        #[serde(default)]
        warmup_steps: u64,
    },
    /// Falls on a straight line to `final_ratio` of the peak.
    Linear {
        /// Optimiser steps of the rise.
        #[serde(default)]
        warmup_steps: u64,
        /// Optimiser step at which the fall ends, counted from the start of the rise.
        #[schemars(range(min = 1))]
        total_steps: u64,
        /// The end of the fall, as a part of the peak.
        #[serde(default)]
        #[schemars(range(min = 0.0, max = 1.0))]
        final_ratio: f64,
    },
    /// Falls on half a cosine to `final_ratio` of the peak.
    Cosine {
        /// Optimiser steps of the rise.
        #[serde(default)]
        warmup_steps: u64,
        /// Optimiser step at which the fall ends, counted from the start of the rise.
        #[schemars(range(min = 1))]
        total_steps: u64,
        /// The end of the fall, as a part of the peak.
        #[serde(default)]
        #[schemars(range(min = 0.0, max = 1.0))]
        final_ratio: f64,
    },
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule::Constant { warmup_steps: 0 }
    }
}

impl Schedule {
    /// The part of the peak that holds at a step.
    pub fn factor(&self, step: u64) -> f64 {
        let (warmup, total, end) = match *self {
            Schedule::Constant { warmup_steps } => (warmup_steps, u64::MAX, 1.0),
            Schedule::Linear { warmup_steps, total_steps, final_ratio } => (warmup_steps, total_steps, final_ratio),
            Schedule::Cosine { warmup_steps, total_steps, final_ratio } => (warmup_steps, total_steps, final_ratio),
        };
        if step < warmup {
            return step as f64 / warmup as f64;
        }
        let span = total.saturating_sub(warmup).max(1) as f64;
        let progress = ((step - warmup) as f64 / span).min(1.0);
        let left = match self {
            Schedule::Cosine { .. } => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            _ => 1.0 - progress,
        };
        end + (1.0 - end) * left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: Schedule, steps: &[u64]) -> Vec<f64> {
        let optimizer = Optimizer { learning_rate: 0.01, schedule, ..Optimizer::default() };
        steps.iter().map(|&step| optimizer.rate(step, 0)).collect()
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        let close = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-15);
        assert!(close && found.len() == expected.len(), "{found:?} {expected:?}");
    }

    #[test]
    fn the_rate_rises_from_zero_and_stays() {
        let schedule = Schedule::Constant { warmup_steps: 4 };
        assert_close(&rates(schedule, &[0, 1, 3, 4, 1_000_000]), &[0.0, 0.0025, 0.0075, 0.01, 0.01]);
        assert_close(&rates(Schedule::default(), &[0, 7]), &[0.01, 0.01]);
    }

    #[test]
    fn the_rate_falls_on_a_line() {
        let schedule = Schedule::Linear { warmup_steps: 2, total_steps: 10, final_ratio: 0.2 };
        assert_close(&rates(schedule, &[0, 1, 2, 6, 10, 11]), &[0.0, 0.005, 0.01, 0.006, 0.002, 0.002]);
    }

    #[test]
    fn the_rate_falls_on_half_a_cosine() {
        let schedule = Schedule::Cosine { warmup_steps: 0, total_steps: 6, final_ratio: 0.0 };
        assert_close(&rates(schedule, &[0, 2, 3, 4, 6, 9]), &[0.01, 0.0075, 0.005, 0.0025, 0.0, 0.0]);
    }

    #[test]
    fn a_rise_longer_than_the_whole_ends_at_once() {
        let schedule = Schedule::Linear { warmup_steps: 10, total_steps: 5, final_ratio: 0.5 };
        assert_close(&rates(schedule, &[9, 10, 11]), &[0.009, 0.01, 0.005]);
    }
}

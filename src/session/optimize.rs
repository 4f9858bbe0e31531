//! clip → check → step, once, for all algorithms.
//!
//! The gradient in the arena is the whole minibatch's. A gradient that is not finite is never applied: the step is
//! refused in a sentence and the parameters stay as they were.

use super::trainee::Trainee;
use crate::config::Optimizer;
use crate::error::{Error, Result, Status};
use crate::torch::clip_gradient;
use std::sync::atomic::{AtomicBool, Ordering};
use tch::no_grad_guard;

pub(super) struct Optimization<'a> {
    pub optimizer: &'a Optimizer,
    /// Optimiser steps that this session made before.
    pub step: u64,
    /// Updates that it finished before.
    pub update: u64,
    /// The value head alone, at this learning rate.
    pub value_warmup: Option<f64>,
    /// Whether the values have a gradient.
    pub values: bool,
    /// Raised between the first and the last write.
    pub writing: &'a AtomicBool,
}

/// What one step measured.
pub(super) struct Stepped {
    pub gradient_norm: f64,
    pub learning_rate: f64,
}

impl Optimization<'_> {
    pub fn apply(&self, trainee: &mut Trainee) -> Result<Stepped> {
        let _no_grad = no_grad_guard();
        #[cfg(test)]
        super::tests::spoil(&trainee.gradients);
        let gradient_norm = clip_gradient(&trainee.gradients, self.optimizer.max_grad_norm)?;
        if !gradient_norm.is_finite() {
            let message =
                format!("optimiser step {}: the gradient norm is {gradient_norm}; the step was not applied", self.step);
            return Err(Error::new(Status::NonFinite, message));
        }
        let learning_rate = self.value_warmup.unwrap_or_else(|| self.optimizer.rate(self.step, self.update));
        self.writing.store(true, Ordering::SeqCst);
        let stepped = trainee.step(self.optimizer, learning_rate, |of_values| match of_values {
            true => self.values,
            false => self.value_warmup.is_none(),
        });
        if stepped.is_ok() {
            self.writing.store(false, Ordering::SeqCst);
        }
        stepped.map(|()| Stepped { gradient_norm, learning_rate })
    }
}

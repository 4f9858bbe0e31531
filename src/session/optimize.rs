//! norm → check → clip and step, part by part, once, for all algorithms.
//!
//! The gradient in the arena is the whole minibatch's. A gradient that is not finite is never applied: the step is
//! refused in a sentence and the parameters stay as they were. A step that has begun to write is always completed.

use super::trainee::Trainee;
use crate::config::Optimizer;
use crate::error::{Error, Result, Status};
use crate::torch::{add_squares, clip_scale, SQUARES_BLOCK};
use std::sync::atomic::{AtomicBool, Ordering};
use tch::no_grad_guard;

/// The most elements of the arena that one part works on: some milliseconds.
pub(super) const PART: i64 = 64 * SQUARES_BLOCK;

/// Which of the parameters a step changes, and how fast.
#[derive(Clone, Copy)]
pub(super) struct Aim {
    pub learning_rate: f64,
    /// Whether the model's.
    pub model: bool,
    /// Whether those of the values.
    pub values: bool,
}

/// What one step measured.
pub(super) struct Stepped {
    pub gradient_norm: f64,
    pub learning_rate: f64,
}

/// One optimiser step, as far as it got.
pub(super) struct Stepping {
    optimizer: Optimizer,
    /// Optimiser steps that this session made before.
    step: u64,
    aim: Aim,
    squares: f64,
    /// Elements whose squares were added.
    measured: i64,
    /// Parts that were written.
    written: usize,
}

impl Stepping {
    pub fn new(optimizer: &Optimizer, step: u64, aim: Aim) -> Stepping {
        Stepping { optimizer: optimizer.clone(), step, aim, squares: 0.0, measured: 0, written: 0 }
    }

    /// Whether the parameters are between two steps.
    pub fn torn(&self) -> bool {
        self.written > 0
    }

    /// Does the next part; what the step measured, once it was the last. `writing` is up while a part writes, and stays up
    /// where that breaks off.
    pub fn advance(&mut self, trainee: &mut Trainee, writing: &AtomicBool) -> Result<Option<Stepped>> {
        let _no_grad = no_grad_guard();
        let length = trainee.gradients.size()[0];
        if self.measured < length {
            #[cfg(test)]
            super::tests::spoil(&trainee.gradients);
            let part = trainee.part_length().min(length - self.measured);
            add_squares(&trainee.gradients.f_narrow(0, self.measured, part)?, &mut self.squares)?;
            self.measured += part;
            return if self.measured == length { self.check().map(|()| None) } else { Ok(None) };
        }
        let parts = trainee.parts(|of_values| if of_values { self.aim.values } else { self.aim.model });
        let stepped = Stepped { gradient_norm: self.squares.sqrt(), learning_rate: self.aim.learning_rate };
        if let Some(part) = parts.get(self.written) {
            let scale = clip_scale(stepped.gradient_norm, self.optimizer.max_grad_norm);
            writing.store(true, Ordering::SeqCst);
            trainee.step(part, &self.optimizer, self.aim.learning_rate, scale)?;
            writing.store(false, Ordering::SeqCst);
            self.written += 1;
        }
        Ok((self.written >= parts.len()).then_some(stepped))
    }

    fn check(&self) -> Result<()> {
        let norm = self.squares.sqrt();
        if norm.is_finite() {
            return Ok(());
        }
        let message = format!("optimiser step {}: the gradient norm is {norm}; the step was not applied", self.step);
        Err(Error::new(Status::NonFinite, message))
    }
}

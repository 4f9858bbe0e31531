//! Flat parameters in training: their gradients, their moments, and one step of the optimiser over all of them.

use crate::config::Optimizer;
use crate::error::{Error, Result, Status};
use crate::kernel;
use crate::model::Layout;
use crate::torch::{adamw_at, clip_gradient, floats, fused_adamw, AdamW};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use tch::{no_grad_guard, Device, Kind, Tensor};

/// Who clips and steps; both on the same flat memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Kernel,
    Libtorch,
}

/// What a step of the optimiser measured.
pub(super) struct Stepped {
    pub gradient_norm: f64,
    /// Of each part that is clipped by itself.
    pub part_norms: Vec<f64>,
    pub learning_rate: f64,
}

pub(super) struct Arena {
    layout: Arc<Layout>,
    arithmetic: Arithmetic,
    pub parameters: Tensor,
    pub gradients: Tensor,
    first_moments: Tensor,
    second_moments: Tensor,
    /// Optimiser steps so far.
    steps: u64,
    /// Gradients that are clipped by themselves: where each part lies. None: all together.
    parts: Vec<Vec<Range<usize>>>,
}

/// Parameters, first and second moments, and the optimiser steps so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Moments {
    pub parts: [Vec<f32>; 3],
    pub steps: u64,
}

impl Arena {
    /// A copy of `weights` in memory of its own, with nothing learned yet.
    pub fn new(layout: &Arc<Layout>, weights: &[f32], arithmetic: Arithmetic) -> Result<Arena> {
        Arena::on(Device::Cpu, layout, weights, arithmetic)
    }

    /// As `new`, on a device; libtorch's arithmetic alone works beside the CPU.
    pub fn on(device: Device, layout: &Arc<Layout>, weights: &[f32], arithmetic: Arithmetic) -> Result<Arena> {
        let zeros = || Tensor::f_zeros([layout.len], (Kind::Float, device));
        let mut parameters = zeros()?;
        put(&mut parameters, weights)?;
        Ok(Arena {
            layout: layout.clone(),
            arithmetic,
            parameters,
            gradients: zeros()?,
            first_moments: zeros()?,
            second_moments: zeros()?,
            steps: 0,
            parts: Vec::new(),
        })
    }

    /// Clips from now on the gradients of the parameters that `is_first` names, and those of the others, by themselves.
    pub fn clip_apart(&mut self, is_first: impl Fn(&str) -> bool) {
        self.parts = vec![Vec::new(); 2];
        for slot in &self.layout.slots {
            let start = slot.offset as usize;
            self.parts[usize::from(!is_first(&slot.name))].push(start..start + slot.count() as usize);
        }
    }

    /// The parameters to read, the gradients to add to.
    pub fn slices(&mut self) -> Result<(&[f32], &mut [f32])> {
        Ok((floats(&mut self.parameters)?, floats(&mut self.gradients)?))
    }

    pub fn zero_gradients(&mut self) -> Result<()> {
        floats(&mut self.gradients)?.fill(0.0);
        Ok(())
    }

    /// clip → check → step. `writing` is raised between the first and the last write.
    pub fn step(&mut self, optimizer: &Optimizer, rate: f64, writing: &AtomicBool) -> Result<Stepped> {
        let _no_grad = no_grad_guard();
        let part_norms = self.clip_parts(optimizer.max_grad_norm)?;
        let gradient_norm = match self.arithmetic {
            _ if !part_norms.is_empty() => root_of_squares(&part_norms),
            Arithmetic::Libtorch => clip_gradient(&self.gradients, optimizer.max_grad_norm)?,
            Arithmetic::Kernel => kernel::clip(floats(&mut self.gradients)?, optimizer.max_grad_norm),
        };
        self.check_norm(gradient_norm)?;
        writing.store(true, Ordering::SeqCst);
        let (decayed, length) = (self.layout.decayed, self.layout.len);
        for (start, end, weight_decay) in [(0, decayed, optimizer.weight_decay), (decayed, length, 0.0)] {
            self.step_part(start, end, optimizer, rate, weight_decay)?;
        }
        self.steps += 1;
        writing.store(false, Ordering::SeqCst);
        Ok(Stepped { gradient_norm, part_norms, learning_rate: rate })
    }

    /// Clips each part that is clipped by itself; the norms they had.
    fn clip_parts(&mut self, most: f64) -> Result<Vec<f64>> {
        let gradients = floats(&mut self.gradients)?;
        let mut norms = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let own: Vec<f64> = part.iter().map(|range| kernel::norm(&gradients[range.clone()])).collect();
            let norm = root_of_squares(&own);
            if let Some(factor) = kernel::clipped_scale(norm, most) {
                part.iter().for_each(|range| kernel::scale(&mut gradients[range.clone()], factor));
            }
            norms.push(norm);
        }
        Ok(norms)
    }

    /// clip → step as work on the arena's device alone, which a CUDA graph can replay: the gradient's `norm` [] f64, the `rate`
    /// and the number of this step, `count`, [1] f32 each, lie there. `check_norm` comes before, `count_step` after.
    pub fn step_at(&self, optimizer: &Optimizer, norm: &Tensor, rate: &Tensor, count: &Tensor) -> Result<()> {
        let _no_grad = no_grad_guard();
        if optimizer.max_grad_norm > 0.0 {
            let factor = ((norm + 1e-6).reciprocal() * optimizer.max_grad_norm).clamp_max(1.0); // []
            let _ = self.gradients.shallow_clone().f_mul_(&factor)?;
        }
        let ([beta1, beta2], epsilon) = (optimizer.betas, optimizer.epsilon);
        let (decayed, length) = (self.layout.decayed, self.layout.len);
        for (start, end, weight_decay) in [(0, decayed, optimizer.weight_decay), (decayed, length, 0.0)] {
            let part = |tensor: &Tensor| tensor.f_narrow(0, start, end - start);
            let rule = AdamW { learning_rate: optimizer.learning_rate, beta1, beta2, weight_decay, epsilon };
            let [parameters, gradients] = [part(&self.parameters)?, part(&self.gradients)?];
            let [first, second] = [part(&self.first_moments)?, part(&self.second_moments)?];
            adamw_at(&rule, rate, [&parameters, &gradients, &first, &second], count)?;
        }
        Ok(())
    }

    /// Refuses a gradient that is not finite.
    pub fn check_norm(&self, gradient_norm: f64) -> Result<()> {
        if gradient_norm.is_finite() {
            return Ok(());
        }
        let message =
            format!("optimiser step {}: the gradient norm is {gradient_norm}; the step was not applied", self.steps);
        Err(Error::new(Status::NonFinite, message))
    }

    pub fn steps(&self) -> u64 {
        self.steps
    }

    pub fn count_step(&mut self) {
        self.steps += 1;
    }

    fn step_part(&mut self, start: i64, end: i64, optimizer: &Optimizer, rate: f64, weight_decay: f64) -> Result<()> {
        let [beta1, beta2] = optimizer.betas;
        let epsilon = optimizer.epsilon;
        if self.arithmetic == Arithmetic::Kernel {
            let part = start as usize..end as usize;
            let rule = kernel::Adam { learning_rate: rate, beta1, beta2, epsilon, weight_decay };
            kernel::adam(
                &rule,
                &mut floats(&mut self.parameters)?[part.clone()],
                &floats(&mut self.gradients)?[part.clone()],
                &mut floats(&mut self.first_moments)?[part.clone()],
                &mut floats(&mut self.second_moments)?[part],
                self.steps + 1,
            );
            return Ok(());
        }
        let part = |tensor: &Tensor| tensor.f_narrow(0, start, end - start);
        fused_adamw(
            &AdamW { learning_rate: rate, beta1, beta2, weight_decay, epsilon },
            &part(&self.parameters)?,
            &part(&self.gradients)?,
            &part(&self.first_moments)?,
            &part(&self.second_moments)?,
            &Tensor::from(self.steps as f32),
        )
    }

    /// The trained weights.
    pub fn weights(&mut self) -> Result<Vec<f32>> {
        copy(&self.parameters)
    }

    pub fn moments(&mut self) -> Result<Moments> {
        let parts = [copy(&self.parameters)?, copy(&self.first_moments)?, copy(&self.second_moments)?];
        Ok(Moments { parts, steps: self.steps })
    }

    /// Whether `moments` are what parameters of this layout can have.
    pub fn fits(&self, moments: &Moments) -> bool {
        let whole = |part: &Vec<f32>| part.len() == self.layout.len as usize && part.iter().all(|n| n.is_finite());
        moments.parts.iter().all(whole) && moments.parts[2].iter().all(|square| *square >= 0.0)
    }

    /// Takes what `moments` gave and `fits` approved.
    pub fn set_moments(&mut self, moments: &Moments) -> Result<()> {
        let targets = [&mut self.parameters, &mut self.first_moments, &mut self.second_moments];
        for (target, part) in targets.into_iter().zip(&moments.parts) {
            put(target, part)?;
        }
        self.steps = moments.steps;
        Ok(())
    }
}

fn root_of_squares(norms: &[f64]) -> f64 {
    norms.iter().map(|norm| norm * norm).sum::<f64>().sqrt()
}

/// The numbers of a flat tensor on any device.
fn copy(tensor: &Tensor) -> Result<Vec<f32>> {
    let mut numbers = vec![0.0; tensor.numel()];
    tensor.f_copy_data(&mut numbers, tensor.numel())?;
    Ok(numbers)
}

/// Writes all numbers of a flat tensor on any device.
fn put(tensor: &mut Tensor, numbers: &[f32]) -> Result<()> {
    let _no_grad = no_grad_guard();
    Ok(tensor.f_copy_(&Tensor::f_from_slice(numbers)?)?)
}

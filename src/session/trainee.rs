//! The policy in training: one flat buffer of parameters, one of gradients, two of moments, and the network bound to them.
//!
//! The first segment holds matrices and embeddings (decayed), the second biases and norms, the third the value head where
//! there is one. A segment is what the optimiser updates in one fused call.

use crate::config::Optimizer;
use crate::error::{Error, Result};
use crate::model::{Model, Transformer, ValueHead};
use crate::torch::{fused_adamw, set_gradient, AdamW};
use std::sync::Arc;
use tch::{no_grad, Kind, Tensor};

/// Elements between two parameters' starts are a multiple of this: 64 bytes of f32.
const ALIGNMENT: i64 = 16;

/// A range of the arena with settings of its own.
pub(super) struct Segment {
    pub start: i64,
    pub length: i64,
    pub decays: bool,
    pub value_head: bool,
    /// Optimiser steps of this segment, a f32 scalar beside the parameters, as the fused kernel wants it.
    pub step: Tensor,
}

pub(super) struct Trainee {
    pub model: Arc<Model>,
    pub parameters: Tensor,
    pub gradients: Tensor,
    pub first_moments: Tensor,
    pub second_moments: Tensor,
    pub segments: Vec<Segment>,
    pub network: Transformer,
    pub value_head: Option<ValueHead>,
}

impl Trainee {
    /// Copies the model's published weights into an arena of the session's own, with a zero value head if wanted.
    pub fn new(model: &Arc<Model>, value_head: bool) -> Result<Trainee> {
        let layout = model.layout();
        let width = model.architecture().hidden;
        let body = round_up(layout.len);
        let length = if value_head { body + round_up(width) + ALIGNMENT } else { body };
        let published = model.weights().data();
        if published.kind() != Kind::Float {
            let message =
                "policy: expected float32 weights, which training needs; load the model with {\"dtype\": \"float32\"}";
            return Err(Error::state(message));
        }
        let options = (Kind::Float, model.device());
        let parameters = Tensor::f_zeros([length], options)?;
        no_grad(|| parameters.narrow(0, 0, layout.len).f_copy_(&published.narrow(0, 0, layout.len)))?;
        let gradients = Tensor::f_zeros([length], options)?;
        let network = Transformer::bind_trainable(model.architecture(), layout, &parameters, &gradients)?;
        let head = if value_head { Some(bind_value_head(&parameters, &gradients, body, width)?) } else { None };
        let segment = |start, length, decays, value_head| {
            let step = Tensor::f_zeros([0i64; 0].as_slice(), options)?;
            Ok::<_, Error>(Segment { start, length, decays, value_head, step })
        };
        let mut segments = vec![
            segment(0, layout.decayed, true, false)?,
            segment(layout.decayed, body - layout.decayed, false, false)?,
        ];
        if value_head {
            segments.push(segment(body, length - body, false, true)?);
        }
        segments.retain(|segment| segment.length > 0);
        Ok(Trainee {
            model: model.clone(),
            first_moments: Tensor::f_zeros([length], options)?,
            second_moments: Tensor::f_zeros([length], options)?,
            parameters,
            gradients,
            segments,
            network,
            value_head: head,
        })
    }

    /// One optimiser step of the chosen segments at this learning rate. The gradients are final: clipped and finite.
    pub fn step(&mut self, optimizer: &Optimizer, learning_rate: f64, value_head_only: bool) -> Result<()> {
        for segment in self.segments.iter().filter(|segment| segment.value_head || !value_head_only) {
            let rule = AdamW {
                learning_rate,
                beta1: optimizer.betas[0],
                beta2: optimizer.betas[1],
                epsilon: optimizer.epsilon,
                weight_decay: if segment.decays { optimizer.weight_decay } else { 0.0 },
            };
            let part = |tensor: &Tensor| tensor.f_narrow(0, segment.start, segment.length);
            fused_adamw(
                &rule,
                &part(&self.parameters)?,
                &part(&self.gradients)?,
                &part(&self.first_moments)?,
                &part(&self.second_moments)?,
                &segment.step,
            )?;
            #[cfg(test)]
            super::tests::fault();
        }
        Ok(())
    }

    pub fn zero_gradients(&mut self) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        let _ = self.gradients.f_zero_()?;
        Ok(())
    }

    /// Makes the trained weights what every reader sees; returns the new policy version.
    pub fn publish(&self) -> Result<u64> {
        self.model.publish(&self.parameters)
    }

    /// The tensors that a checkpoint holds, by name.
    pub fn tensors(&self) -> Result<Vec<(&'static str, Tensor)>> {
        let steps: Vec<f32> = self.segments.iter().map(|segment| segment.step.double_value(&[]) as f32).collect();
        Ok(vec![
            ("policy.parameters", host_copy(&self.parameters)?),
            ("policy.first_moments", host_copy(&self.first_moments)?),
            ("policy.second_moments", host_copy(&self.second_moments)?),
            ("policy.steps", Tensor::from_slice(&steps)),
        ])
    }

    /// Takes a checkpoint's tensors; every shape is checked before anything is written.
    pub fn set_tensors(&mut self, find: &dyn Fn(&str) -> Result<Tensor>) -> Result<()> {
        let names = ["policy.parameters", "policy.first_moments", "policy.second_moments", "policy.steps"];
        let found = names.iter().map(|name| find(name)).collect::<Result<Vec<_>>>()?;
        let lengths = [
            self.parameters.size()[0],
            self.parameters.size()[0],
            self.parameters.size()[0],
            self.segments.len() as i64,
        ];
        for ((name, tensor), length) in names.iter().zip(&found).zip(lengths) {
            if tensor.kind() != Kind::Float || tensor.size() != [length] {
                let message =
                    format!("checkpoint: {name}: expected {length} f32, found {:?} {:?}", tensor.size(), tensor.kind());
                return Err(Error::shape(message));
            }
        }
        let _no_grad = tch::no_grad_guard();
        self.parameters.f_copy_(&found[0])?;
        self.first_moments.f_copy_(&found[1])?;
        self.second_moments.f_copy_(&found[2])?;
        for (segment, index) in self.segments.iter_mut().zip(0..) {
            segment.step.f_copy_(&found[3].f_get(index)?)?;
        }
        let _ = self.gradients.f_zero_()?;
        Ok(())
    }
}

/// A copy in host memory that later steps do not touch.
fn host_copy(tensor: &Tensor) -> Result<Tensor> {
    let _no_grad = tch::no_grad_guard();
    let mut copy = Tensor::f_empty(tensor.size(), (tensor.kind(), tch::Device::Cpu))?;
    copy.f_copy_(tensor)?;
    Ok(copy)
}

fn round_up(elements: i64) -> i64 {
    (elements + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT
}

/// Weight [1, d] and bias [1] as views behind the model's own parameters, with gradients in the arena.
fn bind_value_head(parameters: &Tensor, gradients: &Tensor, start: i64, width: i64) -> Result<ValueHead> {
    let leaf = |start: i64, shape: &[i64]| -> Result<Tensor> {
        let length = shape.iter().product();
        let view = no_grad(|| parameters.f_narrow(0, start, length)?.f_view(shape))?.detach().set_requires_grad(true);
        set_gradient(&view, &no_grad(|| gradients.f_narrow(0, start, length)?.f_view(shape))?)?;
        Ok(view)
    };
    Ok(ValueHead { weight: leaf(start, &[1, width])?, bias: leaf(start + round_up(width), &[1])? })
}

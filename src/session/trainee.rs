//! The model in training: one flat buffer of parameters, one of gradients, two of moments, and the networks bound to them.
//!
//! Segments hold the model's matrices and embeddings (decayed), its biases and norms, and the same of what tells state values,
//! a head or a network beside it, where there is one. The optimiser updates a segment in fused calls, each of
//! a bounded part of it.

use super::optimize::PART;
use crate::config::Optimizer;
use crate::error::{Error, Result};
use crate::model::{Model, Transformer, ValueHead, ValueModel};
use crate::torch::{fused_adamw, set_gradient, AdamW};
use std::sync::Arc;
use tch::{no_grad, Device, Kind, Tensor};

/// Elements between two parameters' starts are a multiple of this: 64 bytes of f32.
const ALIGNMENT: i64 = 16;

/// A range of the arena with settings of its own.
pub(super) struct Segment {
    pub start: i64,
    pub length: i64,
    pub decays: bool,
    /// Of the values, not of the model.
    pub values: bool,
    /// Optimiser steps of this segment, a f32 scalar beside the parameters, as the fused kernel wants it.
    pub step: Tensor,
}

/// Elements of one segment that are updated in one call.
pub(super) struct Part {
    pub segment: usize,
    pub start: i64,
    pub length: i64,
}

pub(super) struct Trainee {
    pub model: Arc<Model>,
    pub parameters: Tensor,
    pub gradients: Tensor,
    pub first_moments: Tensor,
    pub second_moments: Tensor,
    pub segments: Vec<Segment>,
    pub network: Transformer,
    pub value_model: Option<ValueModel>,
    /// The model whose network tells the values, and where it starts.
    value: Option<(Arc<Model>, i64)>,
}

impl Trainee {
    /// Copies the published weights into an arena of the session's own; with `values`, those of the value model or a zero
    /// head.
    pub fn new(model: &Arc<Model>, values: bool, value: Option<&Arc<Model>>) -> Result<Trainee> {
        let body = round_up(model.layout().len);
        let beside = match value {
            Some(value) => round_up(value.layout().len),
            None if values => round_up(model.architecture().hidden) + ALIGNMENT,
            None => 0,
        };
        let options = (Kind::Float, model.device());
        let parameters = Tensor::f_zeros([body + beside], options)?;
        let gradients = Tensor::f_zeros([body + beside], options)?;
        let network = bind(model, &parameters, &gradients, 0)?;
        let value_model = match value {
            Some(value) => Some(ValueModel::Network(Box::new(bind(value, &parameters, &gradients, body)?))),
            None if values => {
                Some(ValueModel::Head(bind_head(&parameters, &gradients, body, model.architecture().hidden)?))
            }
            None => None,
        };
        let decayed = model.layout().decayed;
        let decayed_beside = value.map_or(0, |value| value.layout().decayed);
        let mut segments = Vec::new();
        for (start, length, decays, values) in [
            (0, decayed, true, false),
            (decayed, body - decayed, false, false),
            (body, decayed_beside, true, true),
            (body + decayed_beside, beside - decayed_beside, false, true),
        ] {
            if length > 0 {
                let step = Tensor::f_zeros([0i64; 0].as_slice(), options)?;
                segments.push(Segment { start, length, decays, values, step });
            }
        }
        Ok(Trainee {
            model: model.clone(),
            first_moments: Tensor::f_zeros([body + beside], options)?,
            second_moments: Tensor::f_zeros([body + beside], options)?,
            parameters,
            gradients,
            segments,
            network,
            value_model,
            value: value.map(|value| (value.clone(), body)),
        })
    }

    /// The most elements that one part of a step works on; a device does all at once.
    pub fn part_length(&self) -> i64 {
        match self.model.device() {
            Device::Cpu => PART,
            _ => self.parameters.size()[0].max(1),
        }
    }

    /// The parts of the segments that are `chosen`, of the values or of the model, in the order in which they are written.
    pub fn parts(&self, chosen: impl Fn(bool) -> bool) -> Vec<Part> {
        let most = self.part_length();
        let of = |(index, segment): (usize, &Segment)| {
            let (first, end) = (segment.start, segment.start + segment.length);
            let part = move |start| Part { segment: index, start, length: most.min(end - start) };
            (first..end).step_by(most as usize).map(part).collect::<Vec<_>>()
        };
        self.segments.iter().enumerate().filter(|(_, segment)| chosen(segment.values)).flat_map(of).collect()
    }

    /// One part of an optimiser step at this learning rate, of gradients that are finite and times `scale` clipped. The
    /// last part of a segment counts its step.
    pub fn step(&mut self, part: &Part, optimizer: &Optimizer, learning_rate: f64, scale: f64) -> Result<()> {
        let segment = &self.segments[part.segment];
        let rule = AdamW {
            learning_rate,
            beta1: optimizer.betas[0],
            beta2: optimizer.betas[1],
            epsilon: optimizer.epsilon,
            weight_decay: if segment.decays { optimizer.weight_decay } else { 0.0 },
        };
        let of = |tensor: &Tensor| tensor.f_narrow(0, part.start, part.length);
        let mut gradient = of(&self.gradients)?;
        if scale < 1.0 {
            let _ = gradient.f_mul_scalar_(scale)?;
        }
        let last = part.start + part.length == segment.start + segment.length;
        let step = if last { segment.step.shallow_clone() } else { segment.step.copy() };
        let [parameters, first, second] = [&self.parameters, &self.first_moments, &self.second_moments].map(of);
        fused_adamw(&rule, &parameters?, &gradient, &first?, &second?, &step)?;
        #[cfg(test)]
        super::tests::fault();
        Ok(())
    }

    /// Clears the gradients of one part of the arena, from element `start` on; the next one's start, if there is one.
    pub fn zero_gradients(&mut self, start: i64) -> Result<Option<i64>> {
        let _no_grad = tch::no_grad_guard();
        let length = self.gradients.size()[0];
        let end = (start + self.part_length()).min(length);
        let _ = self.gradients.f_narrow(0, start, end - start)?.f_zero_()?;
        Ok(Some(end).filter(|end| *end < length))
    }

    /// Makes the trained weights what every reader sees; returns the new version of the model.
    pub fn publish(&self) -> Result<u64> {
        if let Some((value, start)) = &self.value {
            value.publish(&self.parameters.f_narrow(0, *start, self.parameters.size()[0] - start)?)?;
        }
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
pub(super) fn host_copy(tensor: &Tensor) -> Result<Tensor> {
    let _no_grad = tch::no_grad_guard();
    let mut copy = Tensor::f_empty(tensor.size(), (tensor.kind(), tch::Device::Cpu))?;
    copy.f_copy_(tensor)?;
    Ok(copy)
}

fn round_up(elements: i64) -> i64 {
    (elements + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT
}

/// A model's published weights, copied into the arena from `start` on, as a network whose gradients go to the same place.
fn bind(model: &Model, parameters: &Tensor, gradients: &Tensor, start: i64) -> Result<Transformer> {
    let (layout, published) = (model.layout(), model.weights().data());
    if published.kind() != Kind::Float {
        let message =
            "model: expected float32 weights, which training needs; load the model with {\"dtype\": \"float32\"}";
        return Err(Error::state(message));
    }
    let part = |arena: &Tensor| no_grad(|| arena.f_narrow(0, start, layout.len));
    let parameters = part(parameters)?;
    no_grad(|| parameters.shallow_clone().f_copy_(&published.narrow(0, 0, layout.len)))?;
    Transformer::bind_trainable(model.architecture(), layout, &parameters, &part(gradients)?)
}

/// Weight [1, d] and bias [1] from `start` on, with gradients in the same place.
fn bind_head(parameters: &Tensor, gradients: &Tensor, start: i64, width: i64) -> Result<ValueHead> {
    let leaf = |start: i64, shape: &[i64]| -> Result<Tensor> {
        let length = shape.iter().product();
        let view = no_grad(|| parameters.f_narrow(0, start, length)?.f_view(shape))?.detach().set_requires_grad(true);
        set_gradient(&view, &no_grad(|| gradients.f_narrow(0, start, length)?.f_view(shape))?)?;
        Ok(view)
    };
    Ok(ValueHead { weight: leaf(start, &[1, width])?, bias: leaf(start + round_up(width), &[1])? })
}

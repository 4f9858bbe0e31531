//! Two critics of actions: networks from an observation and an action to a value, over flat parameters of their own.
//!
//! They are no part of a policy and no host sees them; a method that needs them lays them out and keeps their parameters.

use super::network::{activate, Dense};
use super::policy::orthogonal;
use super::spec::Spec;
use crate::config::Activation;
use crate::error::{Error, Result, Status};
use crate::kernel::{self, Family, Head};
use crate::model::arena::{Layout, Parameter, Part};
use crate::torch;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// Twins: the smaller of their values is the one to believe (Fujimoto 2018).
const TWINS: usize = 2;

/// The shape of both critics.
#[derive(Clone, Debug)]
pub struct Critics {
    layout: Arc<Layout>,
    /// (inputs, outputs) of the layers of each.
    layers: Vec<(usize, usize)>,
    activation: Activation,
    gains: [f64; 2],
}

/// Critics over flat parameters.
pub struct Twins {
    layers: [Vec<Dense>; TWINS],
    activation: Activation,
}

impl Critics {
    /// Critics of a policy's observations and actions, with its activation and gains and hidden layers of these widths.
    pub fn new(spec: &Spec, hidden: &[u32]) -> Critics {
        let mut widths = vec![spec.inputs + spec.actions];
        widths.extend(hidden.iter().map(|width| *width as usize));
        widths.push(1);
        let layers: Vec<(usize, usize)> = widths.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let mut parameters = Vec::new();
        for twin in 0..TWINS {
            for (index, (inputs, outputs)) in layers.iter().enumerate() {
                let (inputs, outputs) = (*inputs as i64, *outputs as i64);
                let part = Part::Linear { fan_in: inputs };
                parameters.push(Parameter::new(name(twin, index, "weight"), &[inputs, outputs], part));
                parameters.push(Parameter::new(name(twin, index, "bias"), &[outputs], Part::Bias));
            }
        }
        let gains = [spec.config.hidden_gain, spec.config.value_gain];
        Critics { layout: Arc::new(Layout::new(&parameters)), layers, activation: spec.config.activation, gains }
    }

    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Orthogonal weights and biases of 0, another draw for each.
    pub fn draw(&self, seed: u64) -> Result<Vec<f32>> {
        let data = Tensor::f_zeros([self.layout.len], (Kind::Float, Device::Cpu))?;
        let mut generator = torch::Generator::new(seed)?;
        for twin in 0..TWINS {
            for index in 0..self.layers.len() {
                let gain = self.gains[usize::from(index + 1 == self.layers.len())];
                orthogonal(&self.view(&data, &name(twin, index, "weight"))?, gain, &mut generator)?;
            }
        }
        let mut weights = vec![0.0; data.numel()];
        data.f_copy_data(&mut weights, data.numel())?;
        Ok(weights)
    }

    /// Critics over flat `data`; with `gradients` they are leaves whose gradients are views of these, else constants.
    pub fn bind(&self, data: &Tensor, gradients: Option<&Tensor>) -> Result<Twins> {
        self.layout.check(data)?;
        let leaf = |name: String| -> Result<Tensor> {
            let leaf = self.view(data, &name)?.f_detach()?;
            let Some(gradients) = gradients else { return Ok(leaf) };
            let leaf = leaf.f_set_requires_grad(true)?;
            torch::set_gradient(&leaf, &self.view(gradients, &name)?)?;
            Ok(leaf)
        };
        let own = |twin: usize| -> Result<Vec<Dense>> {
            let dense = |index| {
                Ok(Dense { weight: leaf(name(twin, index, "weight"))?, bias: leaf(name(twin, index, "bias"))? })
            };
            (0..self.layers.len()).map(dense).collect()
        };
        Ok(Twins { layers: [own(0)?, own(1)?], activation: self.activation })
    }

    /// Their form in plain Rust beside that of the policy, over the same flat parameters.
    pub fn flat(&self, policy: &kernel::Network) -> Result<kernel::SoftNetworks> {
        let active = match self.activation {
            Activation::Tanh => kernel::Activation::Tanh,
            Activation::Relu => kernel::Activation::Relu,
            Activation::Elu => kernel::Activation::Elu,
            Activation::Silu => kernel::Activation::Silu,
        };
        let offset = |name: &str| self.layout.find(name).map_or(0, |slot| self.layout.slots[slot].offset as usize);
        let critic = |twin: usize| {
            let layer = |(index, (inputs, outputs)): (usize, &(usize, usize))| kernel::Layer {
                inputs: *inputs,
                outputs: *outputs,
                weight: offset(&name(twin, index, "weight")),
                bias: offset(&name(twin, index, "bias")),
                activation: if index + 1 == self.layers.len() { kernel::Activation::Identity } else { active },
            };
            self.layers.iter().enumerate().map(layer).collect::<Vec<_>>()
        };
        let head = |head: &Head| match head {
            Head::Dimensions { size, family: Family::Squashed { state: true, log_scale } } => Ok((*size, *log_scale)),
            _ => Err(Error::new(Status::Internal, "critics: expected a squashed policy")),
        };
        Ok(kernel::SoftNetworks {
            actor: policy.trunk.iter().chain(&policy.policy).cloned().collect(),
            critics: [critic(0), critic(1)],
            heads: policy.heads.iter().map(head).collect::<Result<_>>()?,
        })
    }

    fn view(&self, data: &Tensor, name: &str) -> Result<Tensor> {
        let slot = self.layout.find(name);
        let slot = slot.ok_or_else(|| Error::new(Status::Internal, format!("{name}: not in the layout")))?;
        Ok(self.layout.view(data, slot))
    }
}

impl Twins {
    /// Values [B] by each, of normalised observations [B, O] and actions [B, A] between −1 and 1.
    pub fn values(&self, observations: &Tensor, actions: &Tensor) -> Result<[Tensor; TWINS]> {
        let both = Tensor::f_cat(&[observations, actions], 1)?; // [B, O + A]
        let value = |layers: &[Dense]| -> Result<Tensor> {
            let mut x = both.shallow_clone();
            for (index, layer) in layers.iter().enumerate() {
                x = layer.bias.f_addmm(&x, &layer.weight)?; // [B, out]
                x = if index + 1 < layers.len() { activate(&x, self.activation)? } else { x };
            }
            Ok(x.f_squeeze_dim(1)?)
        };
        Ok([value(&self.layers[0])?, value(&self.layers[1])?])
    }
}

fn name(twin: usize, index: usize, part: &str) -> String {
    format!("critic.{twin}.{index}.{part}")
}

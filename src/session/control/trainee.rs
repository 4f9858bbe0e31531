//! A control policy in training: flat parameters, gradients and moments, and the two ways to learn from a minibatch.

use crate::algorithm::{control_ppo, Columns, ControlPpo};
use crate::config::Optimizer;
use crate::error::{Error, Result, Status};
use crate::kernel;
use crate::model::control::{Evaluated, Network, Policy};
use crate::torch::{clip_gradient, floats, fused_adamw, AdamW};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use tch::{no_grad_guard, Device, Kind, Tensor};

/// The widest layer that the fused learner takes by itself.
const FUSED_WIDTH: usize = 512;

/// What a step of the optimiser measured.
pub(super) struct Stepped {
    pub gradient_norm: f64,
    pub learning_rate: f64,
}

/// B gathered steps; what stands in each is in `Rollout`.
#[derive(Default)]
pub(super) struct Minibatch {
    pub observations: Vec<f32>,
    pub legal: Vec<u8>,
    pub actions: Vec<f32>,
    pub log_probs: Vec<f32>,
    pub advantages: Vec<f32>,
    pub values: Vec<f32>,
    pub returns: Vec<f32>,
}

pub(super) struct Trainee {
    pub policy: Arc<Policy>,
    parameters: Tensor,
    gradients: Tensor,
    first_moments: Tensor,
    second_moments: Tensor,
    /// Optimiser steps so far.
    steps: u64,
    /// The network in libtorch, unless the fused learner learns.
    network: Option<Network>,
    scratch: kernel::Scratch,
    tape: kernel::Tape,
}

impl Trainee {
    /// Copies the published weights into an arena of the session's own.
    pub fn new(policy: &Arc<Policy>, learner: control_ppo::Learner) -> Result<Trainee> {
        let length = policy.layout().len;
        let zeros = || Tensor::f_zeros([length], (Kind::Float, Device::Cpu));
        let (mut parameters, gradients) = (zeros()?, zeros()?);
        floats(&mut parameters)?.copy_from_slice(&policy.published().weights);
        let widest = policy.spec().config.hidden.iter().map(|width| *width as usize).max().unwrap_or(0);
        let fused = match learner {
            control_ppo::Learner::Auto => widest.max(policy.spec().inputs) <= FUSED_WIDTH,
            control_ppo::Learner::Fused => true,
            control_ppo::Learner::Libtorch => false,
        };
        let bind = || Network::bind_trainable(policy.spec(), policy.layout(), &parameters, &gradients);
        Ok(Trainee {
            network: (!fused).then(bind).transpose()?,
            policy: policy.clone(),
            first_moments: zeros()?,
            second_moments: zeros()?,
            steps: 0,
            scratch: kernel::Scratch::new(policy.network()),
            tape: kernel::Tape::new(policy.network()),
            parameters,
            gradients,
        })
    }

    /// Values of normalised observations, one each.
    pub fn values(&mut self, observations: &[f32]) -> Result<Vec<f32>> {
        let width = self.policy.spec().inputs;
        let rows = observations.len() / width;
        let mut values = vec![0.0; rows];
        match &self.network {
            Some(network) => {
                let _no_grad = no_grad_guard();
                let (_, said) = network.forward(&matrix(observations, width)?)?;
                said.f_copy_data(&mut values, rows)?;
            }
            None => {
                let (network, weights) = (self.policy.network(), floats(&mut self.parameters)?);
                network.values(weights, observations, &mut self.scratch, &mut values);
            }
        }
        Ok(values)
    }

    /// Leaves the gradient of a minibatch's loss in the arena; returns what was measured.
    pub fn learn(&mut self, batch: &Minibatch, algorithm: &ControlPpo) -> Result<Vec<(&'static str, f64)>> {
        floats(&mut self.gradients)?.fill(0.0);
        match &self.network {
            Some(network) => through_libtorch(network, &self.policy, batch, algorithm),
            None => {
                let (network, weights) = (self.policy.network(), floats(&mut self.parameters)?);
                let gradients = floats(&mut self.gradients)?;
                let steps = kernel::Batch {
                    observations: &batch.observations,
                    masks: (!batch.legal.is_empty()).then_some(batch.legal.as_slice()),
                    actions: &batch.actions,
                    log_probs: &batch.log_probs,
                    advantages: &batch.advantages,
                    values: &batch.values,
                    returns: &batch.returns,
                };
                let measured = network.learn(weights, gradients, &steps, &rule(algorithm.config()), &mut self.tape);
                Ok(vec![
                    ("loss/total", measured.total),
                    ("loss/policy", measured.policy_loss),
                    ("loss/value", 0.5 * measured.value_loss),
                    ("entropy/action", measured.entropy),
                    ("policy/approx_kl", measured.kl),
                    ("policy/clip_fraction", measured.clip_fraction),
                    ("policy/ratio_max_log", measured.ratio_max_log),
                ])
            }
        }
    }

    /// clip → check → step. `writing` is raised between the first and the last write.
    pub fn step(&mut self, optimizer: &Optimizer, rate: f64, writing: &AtomicBool) -> Result<Stepped> {
        let _no_grad = no_grad_guard();
        let gradient_norm = match self.network {
            Some(_) => clip_gradient(&self.gradients, optimizer.max_grad_norm)?,
            None => kernel::clip(floats(&mut self.gradients)?, optimizer.max_grad_norm),
        };
        if !gradient_norm.is_finite() {
            let message = format!(
                "optimiser step {}: the gradient norm is {gradient_norm}; the step was not applied",
                self.steps
            );
            return Err(Error::new(Status::NonFinite, message));
        }
        writing.store(true, Ordering::SeqCst);
        let (decayed, length) = (self.policy.layout().decayed, self.policy.layout().len);
        for (start, end, weight_decay) in [(0, decayed, optimizer.weight_decay), (decayed, length, 0.0)] {
            self.step_part(start, end, optimizer, rate, weight_decay)?;
        }
        self.steps += 1;
        writing.store(false, Ordering::SeqCst);
        Ok(Stepped { gradient_norm, learning_rate: rate })
    }

    fn step_part(&mut self, start: i64, end: i64, optimizer: &Optimizer, rate: f64, weight_decay: f64) -> Result<()> {
        let [beta1, beta2] = optimizer.betas;
        let epsilon = optimizer.epsilon;
        if self.network.is_none() {
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
        Ok(floats(&mut self.parameters)?.to_vec())
    }

    /// Parameters and both moments, and the optimiser steps so far.
    pub fn state(&mut self) -> Result<([Vec<f32>; 3], u64)> {
        let copy = |tensor: &mut Tensor| floats(tensor).map(|all| all.to_vec());
        let all = [copy(&mut self.parameters)?, copy(&mut self.first_moments)?, copy(&mut self.second_moments)?];
        Ok((all, self.steps))
    }

    /// Takes what `state` gave; the lengths were checked.
    pub fn set_state(&mut self, parts: &[Vec<f32>; 3], steps: u64) -> Result<()> {
        let targets = [&mut self.parameters, &mut self.first_moments, &mut self.second_moments];
        for (target, part) in targets.into_iter().zip(parts) {
            floats(target)?.copy_from_slice(part);
        }
        self.steps = steps;
        Ok(())
    }
}

fn through_libtorch(
    network: &Network,
    policy: &Policy,
    batch: &Minibatch,
    algorithm: &ControlPpo,
) -> Result<Vec<(&'static str, f64)>> {
    let spec = policy.spec();
    let legal = match batch.legal.is_empty() {
        true => None,
        false => Some(Tensor::f_from_slice(&batch.legal)?.f_view([-1, spec.choices as i64])?.f_to_kind(Kind::Bool)?),
    };
    let (observations, actions) = (matrix(&batch.observations, spec.inputs)?, matrix(&batch.actions, spec.actions)?);
    let said: Evaluated = network.evaluate(&observations, &actions, legal.as_ref())?;
    let mut columns = Columns::new(batch.log_probs.len() as i64);
    for (name, column) in [
        ("old_log_probs", &batch.log_probs),
        ("advantages", &batch.advantages),
        ("old_values", &batch.values),
        ("returns", &batch.returns),
    ] {
        columns.insert(name, Tensor::f_from_slice(column)?);
    }
    let loss = algorithm.loss(&said, &columns)?;
    loss.total.f_backward()?;
    loss.metrics.into_iter().map(|(name, scalar)| Ok((name, scalar.f_double_value(&[])?))).collect()
}

/// The loss as the fused learner takes it.
fn rule(config: &control_ppo::Config) -> kernel::Rule {
    let range = config.value_clip_range;
    kernel::Rule {
        clip_low: config.clip_range,
        clip_high: config.clip_range_high.unwrap_or(config.clip_range),
        value_clip: match config.value_clip {
            _ if range == 0.0 => kernel::ValueClip::None,
            control_ppo::ValueClip::Maximum => kernel::ValueClip::Maximum(range),
            control_ppo::ValueClip::Clipped => kernel::ValueClip::Clipped(range),
        },
        value_coef: config.value_coef,
        value_factor: 0.5,
        entropy_coef: config.entropy_coef,
    }
}

fn matrix(numbers: &[f32], width: usize) -> Result<Tensor> {
    Ok(Tensor::f_from_slice(numbers)?.f_view([-1, width as i64])?)
}

//! The networks of soft actor-critic in training: the policy, two critics with their targets, and the temperature.

use super::super::arena::{Arena, Arithmetic, Stepped};
use super::super::course::Saved;
use super::replay::Batch;
use crate::algorithm::sac::Outcomes;
use crate::algorithm::{Loss, Sac};
use crate::config::Optimizer;
use crate::error::{Error, Result, Status};
use crate::kernel;
use crate::model::control::{Critics, Network, Policy, Twins};
use crate::model::{Layout, Parameter, Part};
use crate::torch::floats;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use tch::{no_grad_guard, Tensor};

/// What was measured, by the names of telemetry's table.
pub(super) type Measured = Vec<(&'static str, f64)>;

/// How the optimiser steps are made.
pub(super) struct Step<'a> {
    pub optimizer: &'a Optimizer,
    /// Learning rate of the policy; the others follow from it.
    pub rate: f64,
    /// Raised between the first and the last write.
    pub writing: &'a AtomicBool,
}

impl Step<'_> {
    /// The rate of what has a learning rate of its own.
    fn own(&self, learning_rate: Option<f64>) -> f64 {
        learning_rate.map_or(self.rate, |own| own * self.rate / self.optimizer.learning_rate)
    }
}

pub(super) struct Networks {
    algorithm: Arc<Sac>,
    actions: usize,
    actor: Arena,
    critics: Arena,
    targets: Tensor,
    /// log α.
    temperature: Arena,
    way: Way,
}

/// What computes losses and gradients.
enum Way {
    Fused {
        shape: kernel::SoftNetworks,
        tape: Box<kernel::SoftTape>,
    },
    /// The policy, and the critics as leaves, as constants, and their targets.
    Libtorch {
        policy: Box<Network>,
        twins: Twins,
        judges: Twins,
        target_twins: Twins,
    },
}

/// The names of the arenas in a checkpoint, and of the targets.
const ARENAS: [&str; 3] = ["policy", "critics", "temperature"];
const TARGETS: &str = "targets";

impl Networks {
    /// Copies the published weights; the critics are drawn by `seed`.
    pub fn new(policy: &Arc<Policy>, algorithm: &Arc<Sac>, seed: u64) -> Result<Networks> {
        let (spec, config) = (policy.spec(), algorithm.config());
        let shape = Critics::new(spec, config.critic_hidden.as_ref().unwrap_or(&spec.config.hidden));
        let weights = shape.draw(seed)?;
        let actor = Arena::new(policy.layout(), &policy.published().weights, Arithmetic::Kernel)?;
        let critics = Arena::new(shape.layout(), &weights, Arithmetic::Kernel)?;
        let alone = Arc::new(Layout::new(&[Parameter::new("log_temperature", &[1], Part::Bias)]));
        let mut logarithm = vec![0.0; alone.len as usize];
        logarithm[0] = config.temperature.ln() as f32;
        let targets = Tensor::f_from_slice(&weights)?;
        let hidden = spec.config.hidden.iter().chain(config.critic_hidden.iter().flatten());
        let widest = hidden.map(|width| *width as usize).chain([spec.inputs + spec.actions]).max().unwrap_or(0);
        let way = match config.learner.is_fused(widest) {
            true => {
                let shape = shape.flat(policy.network())?;
                let tape = Box::new(kernel::SoftTape::new(&shape));
                Way::Fused { shape, tape }
            }
            false => Way::Libtorch {
                policy: Box::new(Network::bind_trainable(spec, policy.layout(), &actor.parameters, &actor.gradients)?),
                twins: shape.bind(&critics.parameters, Some(&critics.gradients))?,
                judges: shape.bind(&critics.parameters, None)?,
                target_twins: shape.bind(&targets, None)?,
            },
        };
        Ok(Networks {
            algorithm: algorithm.clone(),
            actions: spec.actions,
            temperature: Arena::new(&alone, &logarithm, Arithmetic::Kernel)?,
            actor,
            critics,
            targets,
            way,
        })
    }

    /// Takes other settings of the losses.
    pub fn configure(&mut self, algorithm: &Arc<Sac>) {
        self.algorithm = algorithm.clone();
    }

    /// α.
    pub fn temperature(&mut self) -> Result<f64> {
        Ok(f64::from(floats(&mut self.temperature.parameters)?[0]).exp())
    }

    /// The policy's trained weights.
    pub fn weights(&mut self) -> Result<Vec<f32>> {
        self.actor.weights()
    }

    /// One step of both critics on `batch`, whose observations are normalised; the next actions are drawn with standard
    /// normal `noise` [B, A].
    pub fn step_critics(&mut self, batch: &Batch, noise: &[f32], step: &Step<'_>) -> Result<Measured> {
        let (algorithm, temperature) = (self.algorithm.clone(), self.temperature()?);
        self.critics.zero_gradients()?;
        let mut measured = match &mut self.way {
            Way::Fused { shape, tape } => {
                let rule = kernel::SoftRule { discount: algorithm.config().discount, temperature };
                let rows = batch.with(noise);
                let mut targets = vec![0.0; batch.rewards.len()];
                let weights = (&*floats(&mut self.actor.parameters)?, &*floats(&mut self.targets)?);
                shape.targets(weights, &rows, rule, tape, &mut targets);
                let (weights, gradients) = self.critics.slices()?;
                let [loss, value] = shape.learn_critics(weights, gradients, &rows, &targets, tape);
                vec![("loss/value", loss), ("value/mean", value)]
            }
            Way::Libtorch { policy, twins, target_twins, .. } => {
                let rows = batch.rewards.len();
                let targets = targets((policy, target_twins), &algorithm, batch, noise, temperature)?;
                let values = twins.values(&matrix(&batch.observations, rows)?, &matrix(&batch.actions, rows)?)?;
                descend(algorithm.critic_loss(&values, &targets))?
            }
        };
        check_finite(&measured)?;
        let rate = step.own(algorithm.config().critic_learning_rate);
        let Stepped { gradient_norm, .. } = self.critics.step(step.optimizer, rate, step.writing)?;
        measured.push(("gradient/critic_norm", gradient_norm));
        Ok(measured)
    }

    /// One step of the policy against the critics as they stand, one of the temperature, and the targets' way; actions are
    /// drawn with standard normal `noise` [B, A].
    pub fn step_policy(&mut self, batch: &Batch, noise: &[f32], step: &Step<'_>) -> Result<Measured> {
        let (algorithm, temperature) = (self.algorithm.clone(), self.temperature()?);
        self.actor.zero_gradients()?;
        let mut measured = match &mut self.way {
            Way::Fused { shape, tape } => {
                let critics = &*floats(&mut self.critics.parameters)?;
                let (weights, gradients) = self.actor.slices()?;
                let rows = batch.with(noise);
                let [loss, entropy] = shape.learn_actor((weights, critics), gradients, &rows, temperature, tape);
                vec![("loss/policy", loss), ("entropy/action", entropy)]
            }
            Way::Libtorch { policy, judges, .. } => {
                let rows = batch.rewards.len();
                let observations = matrix(&batch.observations, rows)?;
                let (drawn, log_probs) = policy.sample(&observations, &matrix(noise, rows)?)?;
                let values = judges.values(&observations, &drawn.f_tanh()?)?;
                descend(algorithm.policy_loss(&values, &log_probs, temperature))?
            }
        };
        check_finite(&measured)?;
        let entropy = measured[1].1;
        let Stepped { gradient_norm, learning_rate, .. } = self.actor.step(step.optimizer, step.rate, step.writing)?;
        self.lead_temperature(entropy, step)?;
        self.lead_targets()?;
        let temperature = ("policy/temperature", self.temperature()?);
        measured.extend([("gradient/norm", gradient_norm), ("optimizer/learning_rate", learning_rate), temperature]);
        Ok(measured)
    }

    fn lead_temperature(&mut self, entropy: f64, step: &Step<'_>) -> Result<()> {
        let config = self.algorithm.config();
        if !config.learn_temperature {
            return Ok(());
        }
        // its gradient is one number: a bound on its norm would only hide how far the entropy is off
        let optimizer = Optimizer { max_grad_norm: 0.0, ..step.optimizer.clone() };
        let slope = self.algorithm.temperature_slope(entropy, self.actions);
        floats(&mut self.temperature.gradients)?[0] = slope as f32;
        self.temperature.step(&optimizer, step.own(config.temperature_learning_rate), step.writing)?;
        Ok(())
    }

    fn lead_targets(&mut self) -> Result<()> {
        let share = self.algorithm.config().target_rate as f32;
        let sources = floats(&mut self.critics.parameters)?;
        for (target, source) in floats(&mut self.targets)?.iter_mut().zip(sources) {
            *target += share * (*source - *target);
        }
        Ok(())
    }

    fn arenas(&mut self) -> [&mut Arena; 3] {
        [&mut self.actor, &mut self.critics, &mut self.temperature]
    }

    /// Adds all of it to a checkpoint; returns the optimiser steps of each arena.
    pub fn save(&mut self, saved: &mut Saved) -> Result<[u64; 3]> {
        let mut steps = [0; 3];
        for ((arena, name), steps) in self.arenas().into_iter().zip(ARENAS).zip(&mut steps) {
            *steps = saved.put(name, arena.moments()?);
        }
        saved.tensors.insert(TARGETS.to_string(), floats(&mut self.targets)?.to_vec());
        Ok(steps)
    }

    /// Whether a checkpoint has what these networks can take.
    pub fn fits(&self, saved: &Saved, steps: [u64; 3]) -> Result<bool> {
        let targets = saved.tensor(TARGETS)?;
        let mut fits = targets.len() == self.targets.numel() && targets.iter().all(|number| number.is_finite());
        for ((arena, name), steps) in [&self.actor, &self.critics, &self.temperature].into_iter().zip(ARENAS).zip(steps)
        {
            fits &= arena.fits(&saved.moments(name, steps)?);
        }
        Ok(fits)
    }

    /// Takes what `save` gave and `fits` approved.
    pub fn load(&mut self, saved: &Saved, steps: [u64; 3]) -> Result<()> {
        for ((arena, name), steps) in self.arenas().into_iter().zip(ARENAS).zip(steps) {
            arena.set_moments(&saved.moments(name, steps)?)?;
        }
        floats(&mut self.targets)?.copy_from_slice(saved.tensor(TARGETS)?);
        Ok(())
    }

    #[cfg(test)]
    pub fn parts(&mut self) -> [Vec<f32>; 4] {
        let whole = |tensor: &mut Tensor| floats(tensor).unwrap().to_vec();
        let targets = whole(&mut self.targets);
        let [actor, critics, temperature] = self.arenas().map(|arena| arena.weights().unwrap());
        [actor, critics, targets, temperature]
    }

    #[cfg(test)]
    pub fn set_parts(&mut self, [actor, critics, targets, temperature]: &[Vec<f32>; 4]) {
        floats(&mut self.targets).unwrap().copy_from_slice(targets);
        for (arena, part) in self.arenas().into_iter().zip([actor, critics, temperature]) {
            floats(&mut arena.parameters).unwrap().copy_from_slice(part);
        }
    }
}

/// y of a batch, without gradient.
fn targets(
    (policy, critics): (&Network, &Twins),
    algorithm: &Sac,
    batch: &Batch,
    noise: &[f32],
    temperature: f64,
) -> Result<Tensor> {
    let _no_grad = no_grad_guard();
    let rows = batch.rewards.len();
    let nexts = matrix(&batch.nexts, rows)?;
    let (drawn, log_probs) = policy.sample(&nexts, &matrix(noise, rows)?)?;
    let next = critics.values(&nexts, &drawn.f_tanh()?)?;
    let outcomes = Outcomes {
        rewards: Tensor::f_from_slice(&batch.rewards)?,
        terminated: Tensor::f_from_slice(&batch.terminated)?,
    };
    Ok(algorithm.targets(&outcomes, &next, &log_probs, temperature))
}

/// Walks a loss back; returns what was measured.
fn descend(loss: Loss) -> Result<Measured> {
    loss.total.f_backward()?;
    loss.metrics.iter().map(|(name, scalar)| Ok((*name, scalar.f_double_value(&[])?))).collect()
}

fn check_finite(measured: &Measured) -> Result<()> {
    // moments are f32: what they could not hold is no number to learn from
    match measured.iter().find(|(_, value)| !(*value as f32).is_finite()) {
        None => Ok(()),
        Some((name, value)) => {
            let message =
                format!("{name} is {value}; the step was not applied (clear drops the steps that it was drawn from)");
            Err(Error::new(Status::NonFinite, message))
        }
    }
}

fn matrix(numbers: &[f32], rows: usize) -> Result<Tensor> {
    Ok(Tensor::f_from_slice(numbers)?.f_view([rows as i64, -1])?)
}

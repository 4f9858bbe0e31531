//! A control policy in training: flat parameters, gradients and moments, and the ways to learn from a minibatch.

mod imitation;

use super::arena::{Arena, Arithmetic, Stepped};
use super::demonstrations::Demonstrations;
use super::observations::Observations;
use super::sequence::Packed;
use super::staged::{Staged, Steps};
use crate::algorithm::control_ppo::{self, GradientClip};
use crate::algorithm::{cloning, Columns, ControlPpo, Learner};
use crate::config::Optimizer;
use crate::error::{Error, Result, Status};
use crate::kernel;
use crate::model::control::{Evaluated, Network, Normalizer, Policy, Unroll};
use crate::torch::floats;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use tch::{no_grad_guard, Device, Kind, Tensor};

/// Rows of encoded observations that pass at once: what convolutions keep of one is large.
const ENCODED_ROWS: usize = 256;

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
    /// Of a recurrent policy, how many sequences reach each step, and the states before them.
    pub counts: Vec<usize>,
    pub states: Vec<f32>,
}

pub(super) struct Trainee {
    pub policy: Arc<Policy>,
    pub arena: Arena,
    /// The outputs that are charged beyond their bounds.
    bounds: Vec<kernel::Bound>,
    /// The network in libtorch, where it learns on the CPU.
    network: Option<Network>,
    /// The learner of a CUDA device.
    staged: Option<Staged>,
    scratch: kernel::Scratch,
    tape: kernel::Tape,
}

impl Trainee {
    /// Copies the published weights into an arena of the session's own.
    pub fn new(policy: &Arc<Policy>, learner: Learner) -> Result<Trainee> {
        let spec = policy.spec();
        let hidden = spec.config.hidden.iter().map(|width| *width as usize);
        let widest = hidden.chain(spec.cores.iter().flatten().map(|core| core.size)).fold(spec.features, usize::max);
        let foreign = spec.is_encoded() || spec.is_scripted();
        if learner == Learner::Fused && foreign {
            let message =
                "/algorithm/learner: expected auto or libtorch, since fused learns no images, no sets and no scripts";
            return Err(Error::config(message));
        }
        let fused = learner.is_fused(widest) && !foreign;
        let arithmetic = if fused { Arithmetic::Kernel } else { Arithmetic::Libtorch };
        let arena = Arena::new(policy.layout(), &policy.published().weights, arithmetic)?;
        let bind = || Network::bind_trainable(policy.spec(), policy.layout(), &arena.parameters, &arena.gradients);
        Ok(Trainee {
            network: (!fused).then(bind).transpose()?,
            staged: None,
            policy: policy.clone(),
            bounds: Vec::new(),
            scratch: kernel::Scratch::new(policy.network()),
            tape: kernel::Tape::new(policy.network()),
            arena,
        })
    }

    /// The same with what these settings ask of its gradients.
    pub fn with(mut self, config: &control_ppo::Config) -> Result<Trainee> {
        self.bounds = bounds(&self.policy, config)?;
        if config.gradient_clip == GradientClip::Separate {
            if self.policy.spec().is_scripted() {
                let message =
                    "/algorithm/gradient_clip: expected whole, since a script does not say which parameters are \
                               the value's own";
                return Err(Error::config(message));
            }
            self.arena.clip_apart(|parameter| !parameter.starts_with("value."));
        }
        Ok(self)
    }

    /// As a device learns, in two pieces of work on buffers that stay where they are; on the CPU for tests.
    pub fn on(device: Device, policy: &Arc<Policy>, config: &control_ppo::Config) -> Result<Trainee> {
        let arena = Arena::on(device, policy.layout(), &policy.published().weights, Arithmetic::Libtorch)?;
        Ok(Trainee {
            network: None,
            staged: Some(Staged::new(policy, &arena, config)?),
            policy: policy.clone(),
            bounds: Vec::new(),
            scratch: kernel::Scratch::new(policy.network()),
            tape: kernel::Tape::new(policy.network()),
            arena,
        })
    }

    /// Whether it learns on a device, from `load` and `learn_at` rather than from gathered minibatches.
    pub fn is_staged(&self) -> bool {
        self.staged.is_some()
    }

    /// Takes the steps of an update to the device.
    pub fn load(&mut self, steps: &Steps) -> Result<()> {
        self.staged.as_mut().ok_or_else(not_staged)?.load(steps, &self.arena)
    }

    /// As `learn`, from a minibatch of what was loaded.
    pub fn learn_at(&mut self, place: usize, algorithm: &ControlPpo) -> Result<Vec<(&'static str, f64)>> {
        self.staged.as_mut().ok_or_else(not_staged)?.learn(place, &self.arena, algorithm)
    }

    /// clip → check → step. `writing` is raised between the first and the last write.
    pub fn step(&mut self, optimizer: &Optimizer, rate: f64, writing: &AtomicBool) -> Result<Stepped> {
        let Some(staged) = &mut self.staged else { return self.arena.step(optimizer, rate, writing) };
        staged.step(&mut self.arena, optimizer, rate, writing)
    }

    /// Whether the last minibatch was replayed from CUDA graphs, 0 or 1, where they are wanted.
    pub fn replayed(&self) -> Option<f64> {
        self.staged.as_ref()?.replayed()
    }

    #[cfg(test)]
    pub fn staged_for_test(&self) -> &Staged {
        self.staged.as_ref().unwrap()
    }

    /// Why the device's work could not be recorded as a graph; told once.
    pub fn refused(&mut self) -> Option<Error> {
        self.staged.as_mut()?.refused.take()
    }

    /// Values of normalised observations, one each.
    pub fn values(&mut self, observations: &Observations) -> Result<Vec<f32>> {
        if let Some(staged) = &mut self.staged {
            return staged.values(observations);
        }
        let observations = observations.host();
        let width = self.policy.spec().inputs;
        let rows = observations.len() / width;
        let mut values = vec![0.0; rows];
        match &self.network {
            Some(network) => {
                let _no_grad = no_grad_guard();
                let some = if self.policy.spec().is_encoded() { ENCODED_ROWS } else { rows };
                for (observations, values) in observations.chunks(some * width).zip(values.chunks_mut(some)) {
                    let (_, said) = network.forward(&matrix(observations, width)?, None)?;
                    said.f_copy_data(values, values.len())?;
                }
            }
            None => {
                let (network, weights) = (self.policy.network(), floats(&mut self.arena.parameters)?);
                network.values(weights, observations, &mut self.scratch, &mut values);
            }
        }
        Ok(values)
    }

    /// Values along sequences of normalised observations, one for each of their rows.
    pub fn values_along(&mut self, observations: &[f32], packed: &Packed) -> Result<Vec<f32>> {
        let width = self.policy.spec().inputs;
        let row = |row: &usize| &observations[row * width..(row + 1) * width];
        let rows: Vec<f32> = packed.rows.iter().flat_map(row).copied().collect();
        let mut in_order = vec![0.0; packed.rows.len()];
        match &self.network {
            Some(network) => {
                let _no_grad = no_grad_guard();
                let unroll = Unroll::new(&packed.counts, &packed.states, self.policy.spec().state)?;
                let (_, said) = network.forward(&matrix(&rows, width)?, Some(&unroll))?;
                said.f_copy_data(&mut in_order, packed.rows.len())?;
            }
            None => self.advance(&rows, packed, &mut in_order)?,
        }
        let mut values = vec![0.0; observations.len() / width];
        packed.rows.iter().zip(in_order).for_each(|(row, value)| values[*row] = value);
        Ok(values)
    }

    /// Values of the rows of sequences, step by step.
    fn advance(&mut self, observations: &[f32], packed: &Packed, values: &mut [f32]) -> Result<()> {
        let (network, weights) = (self.policy.network(), floats(&mut self.arena.parameters)?);
        let (mut states, state, mut first) = (packed.states.clone(), self.policy.spec().state, 0);
        let mut outputs = vec![0.0; packed.counts.first().map_or(0, |count| count * network.width())];
        for count in packed.counts.iter().copied() {
            let steps = kernel::Steps {
                states: &mut states[..count * state],
                outputs: &mut outputs[..count * network.width()],
                values: &mut values[first..first + count],
            };
            let rows = &observations[first * network.inputs..][..count * network.inputs];
            network.advance(weights, rows, &mut self.scratch, steps);
            first += count;
        }
        Ok(())
    }

    /// What the policy says of normalised observations: rows of its distributions, as `kernel` lays them.
    pub fn distributions(&mut self, observations: &[f32]) -> Result<Vec<f32>> {
        let (network, width) = (self.policy.network().clone(), self.policy.spec().inputs);
        let rows = observations.len() / width;
        let mut outputs = vec![0.0; rows * network.width()];
        if let Some(network) = &self.network {
            let _no_grad = no_grad_guard();
            let (said, _) = network.forward(&matrix(observations, width)?, None)?;
            said.f_contiguous()?.f_copy_data(&mut outputs, said.numel())?;
        }
        let weights = floats(&mut self.arena.parameters)?;
        if self.network.is_none() {
            network.policy(weights, observations, &mut self.scratch, &mut outputs);
        }
        let mut distributions = vec![0.0; rows * network.distribution_width()];
        network.distributions(weights, &outputs, &mut distributions);
        Ok(distributions)
    }

    /// Leaves the gradient of a minibatch's loss in the arena; returns what was measured.
    pub fn learn(&mut self, batch: &Minibatch, algorithm: &ControlPpo) -> Result<Vec<(&'static str, f64)>> {
        self.arena.zero_gradients()?;
        match &self.network {
            Some(network) => through_libtorch(network, &self.policy, batch, algorithm),
            None => {
                let network = self.policy.network();
                let (weights, gradients) = self.arena.slices()?;
                let steps = kernel::Batch {
                    observations: &batch.observations,
                    masks: (!batch.legal.is_empty()).then_some(batch.legal.as_slice()),
                    actions: &batch.actions,
                    log_probs: &batch.log_probs,
                    advantages: &batch.advantages,
                    values: &batch.values,
                    returns: &batch.returns,
                    bounds: &self.bounds,
                    sequences: (!batch.counts.is_empty())
                        .then_some(kernel::Sequences { counts: &batch.counts, states: &batch.states }),
                };
                let measured = network.learn(weights, gradients, &steps, &rule(algorithm.config()), &mut self.tape);
                let beyond = (!self.bounds.is_empty()).then_some(("policy/beyond_bounds", measured.beyond));
                let learned = [
                    ("loss/total", measured.total),
                    ("loss/policy", measured.policy_loss),
                    ("loss/value", 0.5 * measured.value_loss),
                    ("entropy/action", measured.entropy),
                    ("policy/approx_kl", measured.kl),
                    ("policy/clip_fraction", measured.clip_fraction),
                    ("policy/ratio_max_log", measured.ratio_max_log),
                ];
                Ok(learned.into_iter().chain(beyond).collect())
            }
        }
    }
}

/// The outputs that the loss charges beyond their bounds; refuses a policy that has none.
fn bounds(policy: &Policy, config: &control_ppo::Config) -> Result<Vec<kernel::Bound>> {
    if config.bound_coef == 0.0 {
        return Ok(Vec::new());
    }
    let all = policy.spec().bounds();
    if all.is_empty() {
        let message = "model: expected a policy with a continuous action between low and high, since \
                       /algorithm/bound_coef charges means beyond them";
        return Err(Error::config(message));
    }
    Ok(all.into_iter().map(|(output, low, high)| kernel::Bound { output, low, high }).collect())
}

fn not_staged() -> Error {
    Error::new(Status::Internal, "trainee: it does not learn on a device")
}

fn through_libtorch(
    network: &Network,
    policy: &Policy,
    batch: &Minibatch,
    algorithm: &ControlPpo,
) -> Result<Vec<(&'static str, f64)>> {
    let spec = policy.spec();
    let legal = mask(&batch.legal, spec.choices)?;
    let (observations, actions) = (matrix(&batch.observations, spec.inputs)?, matrix(&batch.actions, spec.actions)?);
    let recurrent = !batch.counts.is_empty();
    let unroll = recurrent.then(|| Unroll::new(&batch.counts, &batch.states, spec.state)).transpose()?;
    let bounded = algorithm.config().bound_coef > 0.0;
    let said: Evaluated = network.evaluate(&observations, &actions, legal.as_ref(), unroll.as_ref(), bounded)?;
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
        bound_coef: config.bound_coef,
    }
}

/// Legal choices, bool [B, choices], where there are masks.
fn mask(legal: &[u8], choices: usize) -> Result<Option<Tensor>> {
    match legal.is_empty() {
        true => Ok(None),
        false => Ok(Some(Tensor::f_from_slice(legal)?.f_view([-1, choices as i64])?.f_to_kind(Kind::Bool)?)),
    }
}

fn matrix(numbers: &[f32], width: usize) -> Result<Tensor> {
    Ok(Tensor::f_from_slice(numbers)?.f_view([-1, width as i64])?)
}

//! Learning on a device: columns, minibatch and what it measures lie in buffers that stay where they are.
//!
//! A minibatch is two pieces of work. The first gathers its rows by an index and leaves gradients, their norm and what was
//! measured; the second clips and steps. Between them the host reads those numbers, once, and decides whether the step is
//! taken. Both are recorded as CUDA graphs once they are warm; on the CPU and where that fails they run as they are.

use super::arena::{Arena, Stepped};
use super::observations::Observations;
use crate::algorithm::control_ppo::{self, Scope};
use crate::algorithm::{Columns, ControlPpo};
use crate::config::Optimizer;
use crate::error::{Error, Result, Status};
use crate::model::control::{Network, Policy, Spec};
use crate::torch::cuda::{Graph, Stage};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use tch::{no_grad_guard, Device, Kind, Tensor};

/// Numbers that the first piece of work leaves: the gradient's norm and what the loss measured.
const NUMBERS: i64 = 32;
/// Sizes of minibatches that are recorded; others run as they are.
const MOST_SIZES: usize = 8;
/// Columns grow in steps of so many rows.
const ROWS: usize = 1024;
/// Added to the deviation of advantages, as by `kernel::whiten`.
const FLOOR: f64 = 1e-8;

/// The steps of an update, all but observations on the host; rows of `observations` beyond the others are not learned from.
pub(super) struct Steps<'a> {
    pub observations: &'a Observations,
    pub legal: &'a [u8],
    pub actions: &'a [f32],
    pub log_probs: &'a [f32],
    pub advantages: &'a [f32],
    pub values: &'a [f32],
    pub returns: &'a [f32],
    /// The rows of each minibatch.
    pub orders: &'a [Vec<usize>],
}

/// Columns with room for `rows` steps and observations of `states`.
struct Table {
    rows: usize,
    states: usize,
    observations: Tensor,
    legal: Tensor,
    actions: Tensor,
    log_probs: Tensor,
    advantages: Tensor,
    values: Tensor,
    returns: Tensor,
}

/// The rows of minibatches of one size, and the work on them.
struct Sized {
    index: Tensor,
    learn: Stage,
}

pub(super) struct Staged {
    spec: Arc<Spec>,
    device: Device,
    graphs: bool,
    network: Network,
    table: Table,
    /// Whether the table has the observations of the update that begins.
    observed: bool,
    order: Tensor,
    places: Vec<(i64, i64)>,
    sizes: HashMap<i64, Sized>,
    step: Stage,
    /// f64 [NUMBERS]; the norm first.
    numbers: Tensor,
    names: Vec<&'static str>,
    rate: Tensor,
    steps: Tensor,
    norm: f64,
    /// Whether the gradient of the last minibatch was replayed.
    replayed: bool,
    /// Why a piece of work could not be recorded.
    pub refused: Option<Error>,
}

impl Staged {
    /// Binds the network to the arena, which lies on the device.
    pub fn new(policy: &Policy, arena: &Arena, config: &control_ppo::Config) -> Result<Staged> {
        let spec = policy.spec();
        if spec.state > 0 || spec.is_encoded() || spec.is_scripted() {
            let message =
                "model: expected a network of vectors without a core and without a script, since others learn on \
                           the CPU alone";
            return Err(Error::new(Status::Unsupported, message));
        }
        let device = arena.parameters.device();
        let scalar = || Tensor::f_zeros([1], (Kind::Float, device));
        let mut staged = Staged {
            spec: policy.spec().clone(),
            device,
            graphs: device.is_cuda() && config.graph == control_ppo::Graph::Auto,
            network: Network::bind_trainable(policy.spec(), policy.layout(), &arena.parameters, &arena.gradients)?,
            table: Table::new(policy.spec(), 0, 0, device)?,
            observed: false,
            order: Tensor::f_zeros([0], (Kind::Int64, device))?,
            places: Vec::new(),
            sizes: HashMap::new(),
            step: Stage::Plain,
            numbers: Tensor::f_zeros([NUMBERS], (Kind::Double, device))?,
            names: Vec::new(),
            rate: scalar()?,
            steps: scalar()?,
            norm: 0.0,
            replayed: false,
            refused: None,
        };
        staged.step = staged.stage();
        Ok(staged)
    }

    /// Values of normalised observations, one each; the table keeps the observations for the update that they begin.
    pub fn values(&mut self, observations: &Observations) -> Result<Vec<f32>> {
        let states = observations.rows(self.spec.inputs);
        self.observe(observations, 0)?;
        let _no_grad = no_grad_guard();
        let seen = self.table.observations.f_narrow(0, 0, states as i64)?;
        let (_, said) = self.network.forward(&seen, None)?;
        Ok(Vec::try_from(said.f_to_device(Device::Cpu)?.f_contiguous()?)?)
    }

    /// Takes the steps of an update to the device.
    pub fn load(&mut self, steps: &Steps, arena: &Arena) -> Result<()> {
        let rows = steps.log_probs.len();
        if !self.observed || self.table.rows < rows {
            self.observe(steps.observations, rows)?;
        }
        self.observed = false;
        let table = &self.table;
        put(&table.legal, steps.legal)?;
        put(&table.actions, steps.actions)?;
        put(&table.log_probs, steps.log_probs)?;
        put(&table.advantages, steps.advantages)?;
        put(&table.values, steps.values)?;
        put(&table.returns, steps.returns)?;
        let flat: Vec<i64> = steps.orders.iter().flatten().map(|row| *row as i64).collect();
        self.order = Tensor::f_from_slice(&flat)?.f_to_device(self.device)?;
        let mut start = 0;
        let place = |order: &Vec<usize>| {
            start += order.len() as i64;
            (start - order.len() as i64, order.len() as i64)
        };
        self.places = steps.orders.iter().map(place).collect();
        let _ = self.steps.f_fill_(arena.steps() as f64)?;
        Ok(())
    }

    /// Leaves the gradient of a minibatch's loss in the arena; returns what was measured, read in one copy.
    pub fn learn(&mut self, place: usize, arena: &Arena, algorithm: &ControlPpo) -> Result<Vec<(&'static str, f64)>> {
        let (start, size) = self.places[place];
        let mut sized = match self.sizes.remove(&size) {
            Some(sized) => sized,
            None => {
                let learn = if self.sizes.len() < MOST_SIZES { self.stage() } else { Stage::Plain };
                Sized { index: Tensor::f_zeros([size], (Kind::Int64, self.device))?, learn }
            }
        };
        sized.index.f_copy_(&self.order.f_narrow(0, start, size)?)?;
        let Staged { spec, network, table, numbers, names, refused, .. } = self;
        let work = || {
            *names = descend(spec, network, table, &sized.index, arena, algorithm, numbers)?;
            Ok(())
        };
        let done = sized.learn.run(work, refused);
        self.replayed = sized.learn.is_recorded();
        self.sizes.insert(size, sized);
        done?;
        let read = Vec::<f64>::try_from(self.numbers.f_to_device(Device::Cpu)?)?;
        self.norm = read[0];
        Ok(self.names.iter().copied().zip(read[1..].iter().copied()).collect())
    }

    /// clip → step, by the gradient's norm that `learn` read; one that is not finite is refused.
    pub fn step(
        &mut self,
        arena: &mut Arena,
        optimizer: &Optimizer,
        rate: f64,
        writing: &AtomicBool,
    ) -> Result<Stepped> {
        let norm = self.norm;
        arena.check_norm(norm)?;
        writing.store(true, Ordering::SeqCst);
        let _ = self.rate.f_fill_(rate)?;
        let _ = self.steps.f_add_scalar_(1.0)?;
        let Staged { step, numbers, rate: on_device, steps, refused, .. } = self;
        let shared: &Arena = arena;
        step.run(|| shared.step_at(optimizer, &numbers.f_get(0)?, on_device, steps), refused)?;
        arena.count_step();
        writing.store(false, Ordering::SeqCst);
        Ok(Stepped { gradient_norm: norm, part_norms: Vec::new(), learning_rate: rate })
    }

    /// Whether both pieces of the last minibatch's work were replayed, 0 or 1, where graphs are wanted.
    pub fn replayed(&self) -> Option<f64> {
        self.graphs.then(|| f64::from(self.replayed && self.step.is_recorded()))
    }

    /// Room for the rows and the observations; work that was recorded on smaller columns is recorded anew.
    fn observe(&mut self, observations: &Observations, rows: usize) -> Result<()> {
        let states = observations.rows(self.spec.inputs);
        if self.table.rows < rows.max(1) || self.table.states < states {
            self.sizes.clear();
            let (rows, states) = (rows.max(states).max(self.table.rows), states.max(self.table.states));
            self.table = Table::new(&self.spec, rows, states, self.device)?;
        }
        self.observed = true;
        match observations.placed() {
            Some(all) => Ok(self.table.observations.f_narrow(0, 0, states as i64)?.f_copy_(&all)?),
            None => put(&self.table.observations, observations.host()),
        }
    }

    /// A piece of work that is to be recorded, where graphs can be had.
    fn stage(&mut self) -> Stage {
        let Device::Cuda(device) = self.device else { return Stage::Plain };
        if !self.graphs {
            return Stage::Plain;
        }
        match Graph::new(device) {
            Ok(graph) => Stage::warming(graph),
            Err(error) => {
                self.refused = Some(error);
                Stage::Plain
            }
        }
    }
}

impl Table {
    fn new(spec: &Spec, rows: usize, states: usize, device: Device) -> Result<Table> {
        let (rows, states) = (rows.next_multiple_of(ROWS), states.next_multiple_of(ROWS));
        let scalar = || Tensor::f_zeros([rows as i64], (Kind::Float, device));
        let wide = |rows: usize, width: usize, kind| Tensor::f_zeros([rows as i64, width as i64], (kind, device));
        Ok(Table {
            rows,
            states,
            observations: wide(states, spec.inputs, Kind::Float)?,
            legal: wide(rows, if spec.masked { spec.choices } else { 0 }, Kind::Uint8)?,
            actions: wide(rows, spec.actions, Kind::Float)?,
            log_probs: scalar()?,
            advantages: scalar()?,
            values: scalar()?,
            returns: scalar()?,
        })
    }
}

/// Writes numbers into the first rows of a column.
fn put<T: tch::kind::Element>(column: &Tensor, numbers: &[T]) -> Result<()> {
    if !numbers.is_empty() {
        let target = column.f_view([-1])?.f_narrow(0, 0, numbers.len() as i64)?;
        target.shallow_clone().f_copy_(&Tensor::f_from_slice(numbers)?)?;
    }
    Ok(())
}

/// The first piece of work: gather → loss → backward → norm, into `numbers`; returns the names of those behind the first.
fn descend(
    spec: &Spec,
    network: &Network,
    table: &Table,
    index: &Tensor,
    arena: &Arena,
    algorithm: &ControlPpo,
    numbers: &Tensor,
) -> Result<Vec<&'static str>> {
    let _ = arena.gradients.shallow_clone().f_zero_()?;
    let picked = |column: &Tensor| column.f_index_select(0, index);
    let (observations, actions) = (picked(&table.observations)?, picked(&table.actions)?); // [B, O], [B, A]
    let allowed = || picked(&table.legal)?.f_to_kind(Kind::Bool);
    let legal = spec.masked.then(allowed).transpose()?; // [B, choices]
    let mut advantages = picked(&table.advantages)?; // [B]
    if algorithm.config().advantages == Scope::Minibatch {
        advantages = whiten(&advantages)?;
    }
    let said = network.evaluate(&observations, &actions, legal.as_ref(), None, false)?;
    let mut columns = Columns::new(index.size1()?);
    columns.insert("old_log_probs", picked(&table.log_probs)?);
    columns.insert("advantages", advantages);
    columns.insert("old_values", picked(&table.values)?);
    columns.insert("returns", picked(&table.returns)?);
    let loss = algorithm.loss(&said, &columns)?;
    loss.total.f_backward()?;
    let _no_grad = no_grad_guard();
    let norm = arena.gradients.f_to_kind(Kind::Double)?.f_norm()?;
    let (names, scalars): (Vec<_>, Vec<_>) = loss.metrics.into_iter().unzip();
    let all = [norm].into_iter().chain(scalars).map(|scalar| scalar.f_detach()?.f_to_kind(Kind::Double));
    let all = Tensor::f_stack(&all.collect::<std::result::Result<Vec<_>, _>>()?, 0)?;
    let count = all.size1()?;
    if count > NUMBERS {
        return Err(Error::new(Status::Internal, format!("a minibatch measured {count} numbers")));
    }
    numbers.f_narrow(0, 0, count)?.f_copy_(&all)?;
    Ok(names)
}

/// As `kernel::whiten`: fewer than two stay as they are.
fn whiten(advantages: &Tensor) -> Result<Tensor> {
    if advantages.numel() < 2 {
        return Ok(advantages.shallow_clone());
    }
    let wide = advantages.f_to_kind(Kind::Double)?;
    let centred = &wide - wide.f_mean(None::<Kind>)?;
    Ok((centred / (wide.f_std(true)? + FLOOR)).f_to_kind(Kind::Float)?)
}

#[cfg(test)]
mod tests;

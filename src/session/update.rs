//! An update as a plan: rewards → scoring passes → prepare → for each minibatch forward, loss, backward, step.
//!
//! The loss sees the outputs of the whole minibatch as leaves, so no algorithm knows of micro-batches: its gradient with
//! respect to the outputs is walked back through the model chunk by chunk. One chunk keeps its graph; several are run
//! forward again, which bounds memory by one chunk and changes no number. What a network does is cut into pieces of one
//! block or one tile of the head, what happens to the arena into parts: each is a slice of its own.

use super::admission::{admit, Admitted};
use super::buffer::Selection;
use super::core::Core;
use super::gather::Gathered;
use super::minibatch::Minibatch;
use super::optimize::{Aim, Stepping};
use super::plan::{Ending, Output, Plan, Stage};
use super::record::Measurements;
use super::sampler::rollout_batch;
use super::scoring::{score_options, Scored, Scoring};
use super::{Config, Session};
use crate::algorithm::{Columns, MixedStep, Regime};
use crate::error::{Error, Result, Status};
use crate::model::Pass;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use tch::no_grad_guard;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slice {
    Rewards,
    Score(Scored, usize),
    Prepare,
    Forward(usize, usize),
    Loss(usize),
    /// Clears the gradients from an element on.
    Zero(i64),
    Backward(usize, usize),
    /// A part of an optimiser step; of the values too, unless the gradient is of demonstrations alone.
    Step {
        values: bool,
    },
}

pub(super) struct Update {
    session: Arc<Session>,
    /// What holds for the optimiser step in progress.
    config: Arc<Config>,
    selection: Selection,
    regime: Regime,
    gathered: Arc<Gathered>,
    scoring: Scoring,
    columns: Option<Columns>,
    minibatches: Vec<Minibatch>,
    slices: VecDeque<Slice>,
    total: usize,
    calls_host: bool,
    steps: u64,
    /// Whether an optimiser step was begun.
    stepping: bool,
    /// Optimiser steps for which demonstrations were mixed in.
    mixed_steps: usize,
    /// Whether the host's rewards left too few rows.
    needs_data: bool,
    measured: Measurements,
}

impl Update {
    /// The whole plan; nothing is computed yet. `None` where the method waits for more rows that it trains on.
    pub fn new(session: &Arc<Session>, core: &Core, selection: Selection) -> Result<Option<Self>> {
        let Some(admitted) = admit(&selection.rows, &core.algorithm.admission()) else { return Ok(None) };
        let gathered = Arc::new(core.gathered(Vec::new()));
        let mut update = Update {
            session: session.clone(),
            config: session.config(),
            regime: core.algorithm.regime(),
            scoring: Scoring::new(session, core, &gathered)?,
            gathered,
            columns: None,
            minibatches: Vec::new(),
            slices: VecDeque::new(),
            total: 0,
            calls_host: false,
            steps: 0,
            stepping: false,
            mixed_steps: 0,
            needs_data: false,
            measured: Measurements::default(),
            selection,
        };
        update.plan(core, admitted)?;
        Ok(Some(update))
    }

    /// The slices on the rows that are trained on.
    fn plan(&mut self, core: &Core, admitted: Admitted) -> Result<()> {
        let (needs, session) = (core.algorithm.needs(), &self.session);
        self.gathered = Arc::new(core.gathered(admitted.rows));
        self.scoring = Scoring::new(session, core, &self.gathered)?;
        let orders = Minibatch::orders(self.regime, self.gathered.rows.len(), session.seed, core.updates);
        let tokens = session.config().micro_batch_tokens as usize;
        self.minibatches = orders.into_iter().map(|rows| Minibatch::new(&self.gathered, rows, tokens)).collect();
        let unrewarded = needs.rewards > 0 && self.gathered.rows.iter().any(|row| row.reward.is_none());
        let asked = unrewarded && (core.reward.is_none() || session.reward_callback.is_set());
        self.calls_host |= asked;
        self.slices.clear();
        self.slices.extend(asked.then_some(Slice::Rewards));
        let judged = unrewarded && !asked;
        let asks = self.scoring.asks_reference(needs);
        let passes = [(needs.policy, Scored::Policy), (asks, Scored::Reference), (judged, Scored::Reward)];
        for (_, whose) in passes.into_iter().filter(|(needed, _)| *needed) {
            self.slices.extend((0..self.scoring.chunk_count()).map(|chunk| Slice::Score(whose, chunk)));
        }
        self.slices.push_back(Slice::Prepare);
        let own = self.minibatches.len();
        self.minibatches.extend(self.selection.mixed.iter().map(|rows| Minibatch::mixed(rows.clone(), tokens)));
        let joint = core.algorithm.mixed().is_some_and(|mixed| mixed.step == MixedStep::Joint);
        for index in 0..own {
            self.slices.push_back(Slice::Zero(0));
            self.slices.extend(passes_of(&self.minibatches, index));
            let mixed = own + index < self.minibatches.len();
            if mixed {
                let own_step = [Slice::Step { values: true }, Slice::Zero(0)];
                self.slices.extend((!joint).then_some(own_step).into_iter().flatten());
                self.slices.extend(passes_of(&self.minibatches, own + index));
            }
            self.slices.push_back(Slice::Step { values: joint || !mixed });
        }
        self.total = self.slices.len();
        if let Some(count) = admitted.equal_groups.filter(|_| !asked) {
            self.measured.note("group/equal_dropped", count as f64);
        }
        if core.algorithm.admission().max_staleness.is_some() && !asked {
            self.measured.note("rollout/stale_dropped", self.selection.stale as f64);
        }
        Ok(())
    }

    /// Does a slice; what is left of it.
    fn execute(&mut self, slice: Slice) -> Result<Option<Slice>> {
        if slice == Slice::Rewards {
            return self.ask_rewards().map(|()| None);
        }
        let session = self.session.clone();
        let mut core = session.core().lock();
        session.check_whole()?;
        let within = matches!(slice, Slice::Forward(..) | Slice::Loss(_) | Slice::Backward(..) | Slice::Step { .. });
        if !within {
            core.renew();
            self.config = session.config();
        }
        let finished = match slice {
            Slice::Rewards => true,
            Slice::Score(whose, chunk) => {
                let options = score_options(&session, &core, self.gathered.width);
                self.scoring.score(core.network(whose)?, &options, &self.gathered, whose, chunk)?
            }
            Slice::Prepare => self.prepare(&mut core).map(|()| true)?,
            Slice::Forward(index, chunk) => self.minibatches[index].forward(&session, &core, chunk)?,
            Slice::Loss(index) => self.loss(&core, index).map(|()| true)?,
            Slice::Zero(start) => return Ok(core.trainee_mut()?.zero_gradients(start)?.map(Slice::Zero)),
            Slice::Backward(index, chunk) => self.minibatches[index].backward(&session, &core, chunk)?,
            Slice::Step { values } => self.step(&mut core, values)?,
        };
        Ok(Some(slice).filter(|_| !finished))
    }

    /// The pass that the next slice goes on with.
    fn pass(&self) -> Option<&Pass> {
        match self.slices.front()? {
            Slice::Score(..) => self.scoring.pass(),
            Slice::Forward(index, _) | Slice::Backward(index, _) => self.minibatches[*index].pass(),
            _ => None,
        }
    }

    /// Asks the host for the missing rewards through its callback, on the thread that drives.
    fn ask_rewards(&mut self) -> Result<()> {
        let callback = self.session.reward_callback();
        let callback = callback.ok_or_else(|| Error::state("reward: rollouts lack rewards and no callback is set"))?;
        let missing: Vec<_> = self.gathered.rows.iter().filter(|row| row.reward.is_none()).cloned().collect();
        let batch = rollout_batch(missing.iter().map(|row| &row.sequences[0]))?;
        let width = self.session.needs.rewards;
        let mut rewards = vec![f32::NAN; missing.len() * width];
        callback(batch, self.session.tokenizer(), &mut rewards)?;
        let ids: Vec<u64> = missing.iter().map(|row| row.id).collect();
        self.session.reward(&ids, &rewards)?;
        let answers: HashMap<u64, &[f32]> = ids.into_iter().zip(rewards.chunks(width)).collect();
        for row in &mut self.selection.rows {
            if let Some(answer) = answers.get(&row.id) {
                Arc::make_mut(row).reward = Some(answer.to_vec());
            }
        }
        let session = self.session.clone();
        let core = session.core().lock();
        match admit(&self.selection.rows, &core.algorithm.admission()) {
            Some(admitted) => self.plan(&core, admitted),
            None => {
                self.needs_data = true;
                self.slices.clear();
                Ok(())
            }
        }
    }

    fn prepare(&mut self, core: &mut Core) -> Result<()> {
        let _no_grad = no_grad_guard();
        let needs = core.algorithm.needs();
        let mut columns = self.scoring.columns(&self.session, &self.gathered, needs)?;
        if self.scoring.asks_reference(needs) {
            core.remember(&self.gathered, &columns)?;
        }
        let measured = core.algorithm.prepare(&mut columns)?;
        self.measured.add(measured)?;
        self.columns = Some(columns);
        Ok(())
    }

    fn loss(&mut self, core: &Core, index: usize) -> Result<()> {
        let columns =
            self.columns.as_ref().ok_or_else(|| Error::new(Status::Internal, "update: loss before prepare"))?;
        let measured = self.minibatches[index].loss(core, columns)?;
        self.mixed_steps += usize::from(self.minibatches[index].mixed);
        let read = self.measured.add(measured)?;
        let losses = ["loss/total", "loss/demonstrations"].iter().filter_map(|name| read.get(name));
        if let Some(loss) = losses.copied().find(|loss| !loss.is_finite()) {
            let message =
                format!("optimiser step {}: the loss is {loss}; the step was not applied", core.optimizer_steps);
            return Err(Error::new(Status::NonFinite, message));
        }
        if core.algorithm.stops(&|name| self.measured.last(name)) {
            self.slices.clear();
        }
        if read.get("tokens/trained") == Some(&0.0) {
            let step = self.slices.iter().position(|slice| matches!(slice, Slice::Step { .. }));
            self.slices.drain(..step.map_or(0, |step| step + 1));
        }
        Ok(())
    }

    /// The next part of an optimiser step; whether it was the last.
    fn step(&mut self, core: &mut Core, values: bool) -> Result<bool> {
        if !self.stepping {
            let (optimizer, warmup) = (&self.config.optimizer, core.algorithm.value_warmup());
            let learning_rate = warmup.unwrap_or_else(|| optimizer.rate(core.optimizer_steps, core.updates));
            let aim = Aim { learning_rate, model: warmup.is_none(), values };
            core.stepping = Some(Stepping::new(optimizer, core.optimizer_steps, aim));
            self.stepping = true;
        }
        core.step(self.session.writing())?;
        Ok(self.stepped(core))
    }

    /// Notes the optimiser step that was begun, if it is made; whether it is.
    fn stepped(&mut self, core: &mut Core) -> bool {
        let Some(stepped) = core.stepped.take().filter(|_| self.stepping) else { return false };
        self.stepping = false;
        self.steps += 1;
        self.measured.note("gradient/norm", stepped.gradient_norm);
        self.measured.note("optimizer/learning_rate", stepped.learning_rate);
        true
    }

    /// Leaves the state of an optimiser-step boundary, and publishes what was stepped.
    fn break_off(&mut self, core: &mut Core) -> Result<()> {
        let session = self.session.clone();
        let settled = core.settle(session.writing());
        if settled.is_err() && session.writing().load(Ordering::SeqCst) {
            session.poison();
        }
        settled?;
        core.stepping = None;
        self.stepped(core);
        if self.steps > 0 {
            session.publish_from(core)?;
        }
        Ok(())
    }

    fn complete(&mut self, core: &mut Core) -> Result<()> {
        let version = self.session.publish_from(core)?;
        self.measured.note("policy/version", version as f64);
        let values = self.measured.values();
        core.algorithm.finish(&|name| values.get(name).copied(), self.gathered.rows.len());
        core.updates += 1;
        let mut buffer = self.session.buffer().lock();
        buffer.consume(&self.selection, self.regime, self.mixed_steps);
        if let Some(reference) = &mut core.reference {
            reference.forget_others(&buffer.ids());
        }
        drop(buffer);
        self.session.record(core.updates, core.optimizer_steps, values);
        Ok(())
    }
}

/// Forward, loss and backward of one minibatch.
fn passes_of(minibatches: &[Minibatch], index: usize) -> impl Iterator<Item = Slice> {
    let chunks = 0..minibatches[index].chunk_count();
    let forward = chunks.clone().map(move |chunk| Slice::Forward(index, chunk));
    let backward = chunks.map(move |chunk| Slice::Backward(index, chunk));
    forward.chain([Slice::Loss(index)]).chain(backward)
}

impl Plan for Update {
    fn slice(&mut self) -> Result<bool> {
        self.session.check_poisoned()?;
        if let Some(slice) = self.slices.pop_front() {
            let executed = self.execute(slice);
            if executed.is_err() && self.session.writing().load(Ordering::SeqCst) {
                self.session.poison();
            }
            if let Some(rest) = executed? {
                self.slices.push_front(rest);
            }
        }
        Ok(self.slices.is_empty())
    }

    fn work(&self) -> &'static str {
        "update"
    }

    fn next(&self) -> &'static str {
        match self.slices.front() {
            Some(Slice::Rewards) => "rewards",
            Some(Slice::Score(..) | Slice::Forward(..) | Slice::Backward(..)) => {
                self.pass().map_or("embedding", Pass::next)
            }
            Some(Slice::Prepare) => "prepare",
            Some(Slice::Loss(_)) => "loss",
            Some(Slice::Zero(_)) => "clear",
            Some(Slice::Step { .. }) => "step",
            None => "end",
        }
    }

    fn amount(&self) -> u64 {
        self.pass().map_or(1, Pass::amount)
    }

    fn stage(&self) -> Stage {
        let chunks = self.scoring.chunk_count();
        let Some(slice) = self.slices.front() else { return Stage::of("end") };
        match *slice {
            Slice::Score(whose, chunk) => Stage { what: whose.scoring(), at: chunk + 1, of: chunks },
            Slice::Rewards | Slice::Prepare => Stage::of(self.next()),
            _ => {
                let left = self.slices.iter().filter(|slice| matches!(slice, Slice::Step { .. })).count();
                let made = self.steps as usize;
                Stage { what: "optimiser step", at: made + 1, of: made + left }
            }
        }
    }

    fn progress(&self) -> f32 {
        let begun = self.pass().map_or(0.0, Pass::progress);
        1.0 - (self.slices.len() as f32 - begun).max(0.0) / self.total as f32
    }

    fn finish(&mut self, ending: Ending) -> Result<Output> {
        let session = self.session.clone();
        let mut core = session.core().lock();
        session.buffer().lock().taken.clear();
        core.renew();
        match ending {
            Ending::Complete if self.needs_data => return Ok(Output { needs_data: true, ..Output::default() }),
            Ending::Complete => self.complete(&mut core)?,
            Ending::Cancelled | Ending::Failed if session.check_whole().is_ok() => self.break_off(&mut core)?,
            Ending::Cancelled | Ending::Failed => {}
        }
        Ok(Output::default())
    }

    fn optimizer_steps(&self) -> u64 {
        self.steps
    }

    fn threads(&self) -> usize {
        self.session.config().threads()
    }

    fn calls_host(&self) -> bool {
        self.calls_host
    }

    fn panicked(&self) {
        if self.session.writing().load(Ordering::SeqCst) {
            self.session.poison();
        }
    }
}

//! An optimiser step of a reward model on preferred segments as a plan, and its evaluation.

use super::judging::{check_finite, columns, returns};
use super::pairs::{Pair, Selection};
use super::{ControlSession, Core};
use crate::algorithm::ControlReward;
use crate::data::{Batch, Column, Kind, Values};
use crate::error::Result;
use crate::model::control::{RewardNetwork, Statistics};
use crate::session::plan::{Ending, Output, Plan};
use crate::session::record::Measurements;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use tch::{no_grad_guard, Tensor};

/// Forward, loss, backward and step on the next pairs: one slice.
pub(super) struct PreferenceUpdate {
    session: Arc<ControlSession>,
    algorithm: Arc<ControlReward>,
    selection: Selection,
    statistics: Option<Statistics>,
    measured: Measurements,
}

impl PreferenceUpdate {
    pub fn new(session: &Arc<ControlSession>, algorithm: &Arc<ControlReward>, selection: Selection) -> Self {
        let (session, algorithm) = (session.clone(), algorithm.clone());
        PreferenceUpdate { session, algorithm, selection, statistics: None, measured: Measurements::default() }
    }

    fn step(&mut self, core: &mut Core) -> Result<()> {
        let config = self.session.config();
        let (updates, steps) = (core.updates, core.optimizer_steps);
        let judging = core.judging()?;
        let mut statistics = judging.statistics.clone();
        if judging.model.spec().config.normalize_observations {
            // each pair is counted once, in its first pass
            let new = self.selection.rows.iter().filter(|pair| pair.passes == 0);
            let width = judging.model.spec().inputs();
            let rows = new.flat_map(|pair| &pair.segments).flat_map(|segment| segment.observations.chunks_exact(width));
            statistics.merge(rows);
        }
        judging.arena.zero_gradients()?;
        let seed = self.algorithm.config().bootstrap.then_some(config.seed);
        let (loss, count) = judging.loss(&self.selection.rows, &statistics, &self.algorithm, seed)?;
        check_finite(loss.total.f_double_value(&[])?, steps)?;
        loss.total.f_backward()?;
        self.measured.add(loss.metrics)?;
        let optimizer = &config.optimizer;
        let stepped = judging.arena.step(optimizer, optimizer.rate(steps, updates), self.session.writing())?;
        core.optimizer_steps += 1;
        self.measured.note("gradient/norm", stepped.gradient_norm);
        self.measured.note("optimizer/learning_rate", stepped.learning_rate);
        self.measured.note("steps/trained", count as f64);
        self.statistics = Some(statistics);
        Ok(())
    }
}

impl Plan for PreferenceUpdate {
    fn slice(&mut self) -> Result<bool> {
        let session = self.session.clone();
        session.check_poisoned()?;
        let stepped = self.step(&mut session.core.lock());
        if stepped.is_err() && session.writing().load(Ordering::SeqCst) {
            session.poison();
        }
        stepped.map(|()| true)
    }

    fn work(&self) -> &'static str {
        "update"
    }

    fn next(&self) -> &'static str {
        "step"
    }

    fn progress(&self) -> f32 {
        if self.statistics.is_some() {
            1.0
        } else {
            0.0
        }
    }

    fn finish(&mut self, _ending: Ending) -> Result<Output> {
        let Some(statistics) = self.statistics.clone() else { return Ok(Output::default()) };
        let session = self.session.clone();
        let mut core = session.core.lock();
        core.judging()?.statistics = statistics;
        session.publish_from(&mut core)?;
        core.updates += 1;
        if let Some(pairs) = session.pairs() {
            pairs.lock().consume(&self.selection, self.algorithm.regime());
        }
        session.record(core.updates, core.optimizer_steps, self.measured.values());
        Ok(Output::default())
    }

    fn optimizer_steps(&self) -> u64 {
        u64::from(self.progress() > 0.0)
    }

    fn threads(&self) -> usize {
        self.session.config().threads()
    }

    fn panicked(&self) {
        if self.session.writing().load(Ordering::SeqCst) {
            self.session.poison();
        }
    }
}

/// Measures what is published on the pairs that are marked for it; what each member says of each is left as a batch.
pub(super) struct PreferenceEvaluation {
    session: Arc<ControlSession>,
    algorithm: Arc<ControlReward>,
    rows: Vec<Arc<Pair>>,
    measured: Measurements,
    beliefs: Option<Batch>,
}

impl PreferenceEvaluation {
    pub fn new(session: &Arc<ControlSession>, algorithm: &Arc<ControlReward>, rows: Vec<Arc<Pair>>) -> Self {
        let (session, algorithm) = (session.clone(), algorithm.clone());
        PreferenceEvaluation { session, algorithm, rows, measured: Measurements::default(), beliefs: None }
    }
}

impl Plan for PreferenceEvaluation {
    fn slice(&mut self) -> Result<bool> {
        let model = self.session.core.lock().judging()?.model.clone();
        let _no_grad = no_grad_guard();
        let published = model.published();
        let data = Tensor::f_from_slice(&published.weights)?;
        let network = RewardNetwork::bind(model.spec(), model.layout(), &data)?;
        let (returns, _) = returns(&model, &network, &published.statistics, &self.rows)?; // [2B, K]
        let columns = columns(&self.rows, model.spec().members(), None)?;
        self.measured.add(self.algorithm.loss(&returns, &columns)?.metrics)?;
        let rows = self.rows.len() as i64;
        let believed = (returns.f_narrow(0, 0, rows)? - returns.f_narrow(0, rows, rows)?).f_sigmoid()?; // [B, K]
        let mut batch = Batch::new(Kind::Preferences, rows as u64)?;
        batch.set("probability", Column::flat(Values::F32(Vec::try_from(believed.f_reshape([-1])?)?)))?;
        self.beliefs = Some(batch);
        Ok(true)
    }

    fn work(&self) -> &'static str {
        "evaluate"
    }

    fn next(&self) -> &'static str {
        "measure"
    }

    fn progress(&self) -> f32 {
        if self.beliefs.is_some() {
            1.0
        } else {
            0.0
        }
    }

    fn finish(&mut self, ending: Ending) -> Result<Output> {
        if matches!(ending, Ending::Complete) {
            let renamed = |(name, value): (String, f64)| (format!("evaluation/{}", name.replace('/', "_")), value);
            let values = self.measured.values().into_iter().map(renamed);
            let core = self.session.core.lock();
            self.session.record(core.updates, core.optimizer_steps, values.collect());
        }
        Ok(Output { batch: self.beliefs.take(), ..Output::default() })
    }

    fn threads(&self) -> usize {
        self.session.config().threads()
    }
}

//! An evaluation as a plan: the algorithm's own loss and metrics on the rows marked `split = evaluation`, no gradient.

use super::buffer::Row;
use super::core::Core;
use super::gather::Gathered;
use super::plan::{Ending, Output, Plan, Stage};
use super::record::Measurements;
use super::scoring::{score_options, Scored, Scoring};
use super::Session;
use crate::error::{Error, Result, Status};
use crate::model::{Pass, Transformer};
use std::collections::VecDeque;
use std::sync::Arc;
use tch::no_grad_guard;

#[derive(Clone, Copy)]
enum Slice {
    Score(Scored, usize),
    Measure,
}

pub(super) struct Evaluation {
    session: Arc<Session>,
    /// On the snapshot that was published when the evaluation was planned.
    network: Transformer,
    gathered: Gathered,
    /// The reference as it was when the evaluation was planned: what another says is not remembered.
    reference: Option<u64>,
    scoring: Scoring,
    slices: VecDeque<Slice>,
    total: usize,
    measured: Measurements,
}

impl Evaluation {
    pub fn new(session: &Arc<Session>, core: &Core, rows: Vec<Arc<Row>>) -> Result<Self> {
        let model = &core.trainee()?.model;
        let network = Transformer::read(model.architecture(), &model.weights())?;
        let gathered = core.gathered(rows);
        let scoring = Scoring::new(session, core, &gathered)?;
        let chunks = 0..scoring.chunk_count();
        let mut slices: VecDeque<Slice> = chunks.clone().map(|chunk| Slice::Score(Scored::Policy, chunk)).collect();
        if scoring.asks_reference(core.algorithm.needs()) {
            slices.extend(chunks.map(|chunk| Slice::Score(Scored::Reference, chunk)));
        }
        slices.push_back(Slice::Measure);
        let total = slices.len();
        let measured = Measurements::default();
        let reference = core.reference.as_ref().map(|reference| reference.state);
        Ok(Evaluation { session: session.clone(), network, gathered, reference, scoring, slices, total, measured })
    }
}

impl Plan for Evaluation {
    fn slice(&mut self) -> Result<bool> {
        let session = self.session.clone();
        let mut core = session.core().lock();
        match self.slices.pop_front() {
            Some(slice @ Slice::Score(whose, chunk)) => {
                let own = (&self.network, None);
                let network = if whose == Scored::Policy { own } else { core.network(whose)? };
                let options = score_options(&session, &core, self.gathered.width);
                if !self.scoring.score(network, &options, &self.gathered, whose, chunk)? {
                    self.slices.push_front(slice);
                }
            }
            Some(Slice::Measure) => {
                let _no_grad = no_grad_guard();
                let needs = core.algorithm.needs();
                let columns = self.scoring.columns(&session, &self.gathered, needs)?;
                let same = core.reference.as_ref().map(|reference| reference.state) == self.reference;
                if same && self.scoring.asks_reference(needs) {
                    core.remember(&self.gathered, &columns)?;
                }
                let scores = self.scoring.joined(Scored::Policy)?;
                let scores = scores.ok_or_else(|| Error::new(Status::Internal, "evaluate: measured before scored"))?;
                let loss = core.algorithm.loss(&scores, &columns)?;
                self.measured.add(loss.metrics)?;
            }
            None => {}
        }
        Ok(self.slices.is_empty())
    }

    fn work(&self) -> &'static str {
        "evaluate"
    }

    fn next(&self) -> &'static str {
        match self.slices.front() {
            Some(Slice::Score(..)) => self.scoring.pass().map_or("embedding", Pass::next),
            _ => "measure",
        }
    }

    fn amount(&self) -> u64 {
        self.scoring.pass().map_or(1, Pass::amount)
    }

    fn stage(&self) -> Stage {
        match self.slices.front() {
            Some(Slice::Score(whose, chunk)) => {
                Stage { what: whose.scoring(), at: chunk + 1, of: self.scoring.chunk_count() }
            }
            _ => Stage::of("measure"),
        }
    }

    fn progress(&self) -> f32 {
        let begun = self.scoring.pass().map_or(0.0, Pass::progress);
        1.0 - (self.slices.len() as f32 - begun).max(0.0) / self.total as f32
    }

    fn finish(&mut self, ending: Ending) -> Result<Output> {
        if matches!(ending, Ending::Complete) {
            let renamed = |(name, value): (String, f64)| (format!("evaluation/{}", name.replace('/', "_")), value);
            let values = self.measured.values().into_iter().map(renamed);
            let core = self.session.core().lock();
            self.session.record(core.updates, core.optimizer_steps, values.collect());
        }
        Ok(Output::default())
    }

    fn threads(&self) -> usize {
        self.session.config().threads()
    }
}

//! One optimiser step's share of a batch: its rows, their chunks, the outputs, and the way back through the model.

use super::buffer::{shuffle, Row};
use super::core::Core;
use super::gather::Gathered;
use super::scoring::{joined_scores, score_options};
use super::Session;
use crate::algorithm::{Algorithm, Columns, Measured, Regime};
use crate::error::{Error, Result, Status};
use crate::model::{score, ScoreOptions, Scores};
use std::ops::Range;
use std::sync::Arc;
use tch::{no_grad_guard, Kind, Tensor};

pub(super) struct Minibatch {
    gathered: Arc<Gathered>,
    rows: Vec<usize>,
    sequences: Vec<usize>,
    chunks: Vec<Range<usize>>,
    /// Outputs of the chunks; with a graph only if there is one chunk.
    outputs: Vec<Scores>,
    /// dL/d(output), in the order of `Scores::outputs`; `None` where the loss does not depend on it.
    gradients: Option<[Option<Tensor>; 4]>,
    /// Demonstrations that are mixed in, rather than the batch's own rows.
    pub mixed: bool,
}

impl Minibatch {
    pub fn new(gathered: &Arc<Gathered>, rows: Vec<usize>, tokens: usize) -> Self {
        let sequences = gathered.of_rows(&rows);
        let chunks = gathered.chunks(&sequences, tokens);
        let gathered = gathered.clone();
        Minibatch { gathered, rows, sequences, chunks, outputs: Vec::new(), gradients: None, mixed: false }
    }

    /// Demonstrations that are mixed in.
    pub fn mixed(rows: Vec<Arc<Row>>, tokens: usize) -> Self {
        let all = (0..rows.len()).collect();
        Minibatch { mixed: true, ..Minibatch::new(&Arc::new(Gathered::new(rows)), all, tokens) }
    }

    /// The rows of each optimiser step: all at once, or `epochs` seeded passes in `minibatches` even parts.
    pub fn orders(regime: Regime, rows: usize, seed: u64, update: u64) -> Vec<Vec<usize>> {
        let Regime::OnPolicy { epochs, minibatches } = regime else { return vec![(0..rows).collect()] };
        let parts = minibatches.clamp(1, rows.max(1));
        let pass = |epoch: u64| {
            let mut order: Vec<usize> = (0..rows).collect();
            shuffle(&mut order, seed, update.wrapping_mul(epochs).wrapping_add(epoch));
            (0..parts).map(|part| order[part * rows / parts..(part + 1) * rows / parts].to_vec()).collect::<Vec<_>>()
        };
        (0..epochs).flat_map(pass).collect()
    }

    /// How many optimiser steps `orders` makes.
    pub fn steps(regime: Regime, rows: usize) -> usize {
        match regime {
            Regime::OnPolicy { epochs, minibatches } => epochs as usize * minibatches.clamp(1, rows.max(1)),
            Regime::Offline { .. } => 1,
        }
    }

    pub fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    fn keeps_graph(&self) -> bool {
        self.chunks.len() == 1
    }

    fn run(&self, session: &Session, core: &Core, chunk: usize) -> Result<Scores> {
        let trainee = core.trainee()?;
        let sequences = self.gathered.sequences(&self.sequences[self.chunks[chunk].clone()]);
        let options = ScoreOptions {
            noise: core.algorithm.embedding_noise(),
            noise_seed: session.seed ^ core.optimizer_steps.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            ..score_options(session, core, self.gathered.width)
        };
        let value_model = trainee.value_model.as_ref().filter(|_| !self.mixed);
        score(&trainee.network, value_model, &sequences, &options)
    }

    pub fn forward(&mut self, session: &Session, core: &Core, chunk: usize) -> Result<()> {
        let _no_grad = (!self.keeps_graph()).then(no_grad_guard);
        let scores = self.run(session, core, chunk)?;
        self.outputs.push(scores);
        Ok(())
    }

    /// The loss of the whole minibatch on its outputs as leaves; keeps their gradients.
    pub fn loss(&mut self, algorithm: &dyn Algorithm, columns: &Columns) -> Result<Vec<Measured>> {
        let whole = joined_scores(&self.outputs)?;
        let scores = whole.map(|output| output.detach().set_requires_grad(true));
        let loss = if self.mixed {
            algorithm.mixed_loss(&scores, &Columns::new(self.rows.len() as i64))?
        } else {
            let rows: Vec<i64> = self.rows.iter().map(|row| *row as i64).collect();
            algorithm.loss(&scores, &columns.select(&Tensor::from_slice(&rows))?)?
        };
        if loss.total.requires_grad() {
            loss.total.f_backward()?;
        }
        let gradient = |tensor: &Tensor| Some(tensor.grad()).filter(Tensor::defined);
        self.gradients = Some(scores.outputs().map(|output| output.and_then(gradient)));
        Ok(loss.metrics)
    }

    /// Walks the outputs' gradients of one chunk back into the arena.
    pub fn backward(&mut self, session: &Session, core: &Core, chunk: usize) -> Result<()> {
        let scores = if self.keeps_graph() {
            self.outputs.pop().ok_or_else(|| Error::new(Status::Internal, "minibatch: backward before forward"))?
        } else {
            self.run(session, core, chunk)?
        };
        let range = self.chunks[chunk].clone();
        let gradients =
            self.gradients.as_ref().ok_or_else(|| Error::new(Status::Internal, "minibatch: backward before loss"))?;
        let mut terms = Vec::new();
        for (gradient, output) in gradients.iter().zip(scores.outputs()) {
            let (Some(gradient), Some(output)) = (gradient, output.filter(|output| output.requires_grad())) else {
                continue;
            };
            let rows = gradient.f_narrow(0, range.start as i64, range.len() as i64)?; // [chunk, T] or [chunk, K]
            terms.push((output * rows).f_sum(Kind::Float)?);
        }
        if let Some(sum) = terms.into_iter().reduce(|sum, term| sum + term) {
            sum.f_backward()?;
        }
        if chunk + 1 == self.chunks.len() {
            self.outputs.clear();
            self.gradients = None;
        }
        Ok(())
    }
}

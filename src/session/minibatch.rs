//! One optimiser step's share of a batch: its rows, their chunks, the outputs, and the way back through the model.

use super::buffer::{shuffle, Row};
use super::core::Core;
use super::gather::Gathered;
use super::scoring::{joined_scores, score_options};
use super::Session;
use crate::algorithm::{Columns, Measured, Regime};
use crate::error::{Error, Result, Status};
use crate::model::{Networks, Pass, ScoreOptions, Scores};
use std::ops::Range;
use std::sync::Arc;
use tch::Tensor;

pub(super) struct Minibatch {
    gathered: Arc<Gathered>,
    rows: Vec<usize>,
    sequences: Vec<usize>,
    chunks: Vec<Range<usize>>,
    /// The pass of the chunk that is worked on; of a single chunk it is kept from forward to backward.
    pass: Option<Pass>,
    /// Whether that pass is on its way back.
    turned: bool,
    /// Outputs of the chunks.
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
        Minibatch {
            gathered: gathered.clone(),
            rows,
            sequences,
            chunks,
            pass: None,
            turned: false,
            outputs: Vec::new(),
            gradients: None,
            mixed: false,
        }
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

    fn begin(&self, session: &Session, core: &Core, chunk: usize, graph: bool) -> Result<Pass> {
        let sequences = self.gathered.sequences(&self.sequences[self.chunks[chunk].clone()]);
        let options = ScoreOptions {
            noise: core.algorithm.embedding_noise(),
            noise_seed: session.seed ^ core.optimizer_steps.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            ..score_options(session, core, self.gathered.width)
        };
        Pass::new(self.networks(core)?, &sequences, &options, graph)
    }

    /// What is trained on these rows.
    pub fn networks<'a>(&self, core: &'a Core) -> Result<Networks<'a>> {
        let trainee = core.trainee()?;
        Ok((&trainee.network, trainee.value_model.as_ref().filter(|_| !self.mixed)))
    }

    /// The pass of the chunk that is worked on.
    pub fn pass(&self) -> Option<&Pass> {
        self.pass.as_ref()
    }

    /// The next piece of a chunk's forward; whether it was the last.
    pub fn forward(&mut self, session: &Session, core: &Core, chunk: usize) -> Result<bool> {
        let mut pass = match self.pass.take() {
            Some(pass) => pass,
            None => self.begin(session, core, chunk, self.keeps_graph())?,
        };
        let more = pass.advance(self.networks(core)?)?;
        if !more {
            self.outputs.push(pass.scores()?);
        }
        self.pass = Some(pass).filter(|_| more || self.keeps_graph());
        Ok(!more)
    }

    /// The loss of the whole minibatch on its outputs as leaves; keeps their gradients.
    pub fn loss(&mut self, core: &Core, columns: &Columns) -> Result<Vec<Measured>> {
        let algorithm = &core.algorithm;
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
        if let Some(mut pass) = self.pass.take() {
            pass.turn(self.networks(core)?, self.gradients_of(0)?)?;
            (self.pass, self.turned) = (Some(pass), true);
        }
        Ok(loss.metrics)
    }

    /// The next piece of the way of the outputs' gradients of one chunk back into the arena, at first the chunk's forward
    /// where no graph was kept; whether it was the last.
    pub fn backward(&mut self, session: &Session, core: &Core, chunk: usize) -> Result<bool> {
        let networks = self.networks(core)?;
        let mut pass = match self.pass.take() {
            Some(pass) => pass,
            None => self.begin(session, core, chunk, true)?,
        };
        let more = pass.advance(networks)?;
        if !more && self.turned {
            self.turned = false;
            if chunk + 1 == self.chunks.len() {
                self.outputs.clear();
                self.gradients = None;
            }
            return Ok(true);
        }
        if !more {
            pass.turn(networks, self.gradients_of(chunk)?)?;
            self.turned = true;
        }
        self.pass = Some(pass);
        Ok(false)
    }

    /// The outputs' gradients of one chunk.
    fn gradients_of(&self, chunk: usize) -> Result<[Option<Tensor>; 4]> {
        let early = || Error::new(Status::Internal, "minibatch: backward before loss");
        let range = &self.chunks[chunk];
        let mut parts = [const { None }; 4];
        for (part, whole) in parts.iter_mut().zip(self.gradients.as_ref().ok_or_else(early)?) {
            let narrow = |whole: &Tensor| whole.f_narrow(0, range.start as i64, range.len() as i64);
            *part = whole.as_ref().map(narrow).transpose()?; // [chunk, T] or [chunk, K]
        }
        Ok(parts)
    }
}

//! An optimiser step of soft actor-critic in two halves: the critics', then the policy's, the temperature's and the targets'.
//!
//! Who saves, publishes or cancels between them makes the second one first: a step is seen whole or not at all.

use super::networks::{Measured, Step};
use super::replay::drawn;
use super::ActorCritic;
use crate::error::{Error, Result};
use crate::kernel::Key;
use crate::model::control::Normalizer;
use crate::session::Config;
use crate::torch::ThreadScope;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

/// Apart from the streams of all actors.
const NOISE: u64 = 1 << 62;

/// Whose noise is drawn.
#[derive(Clone, Copy)]
enum Drawn {
    Next = 0,
    Own = 1,
}

/// How an optimiser step is made.
#[derive(Clone)]
pub(super) struct Stepping {
    /// Optimiser steps before it.
    pub number: u64,
    /// Learning rate of the policy.
    pub rate: f64,
    pub seed: u64,
    /// What holds for it.
    pub config: Arc<Config>,
}

impl Stepping {
    fn step<'a>(&'a self, writing: &'a AtomicBool) -> Step<'a> {
        Step { optimizer: &self.config.optimizer, rate: self.rate, writing }
    }

    fn within(&self, error: Error) -> Error {
        error.within(format_args!("optimiser step {}", self.number))
    }
}

impl ActorCritic {
    /// The critics' half, on rows that are drawn here; what it measured.
    pub(super) fn step_critics(
        &mut self,
        stepping: Stepping,
        normalizer: &Normalizer,
        writing: &AtomicBool,
    ) -> Result<Measured> {
        self.configure(&stepping.config.algorithm);
        self.gather(&stepping, normalizer);
        self.draw(&stepping, Drawn::Next);
        let made = self.networks.step_critics(&self.batch, &self.noise, &stepping.step(writing));
        let measured = made.map_err(|error| stepping.within(error))?;
        self.stepping = Some(stepping);
        Ok(measured)
    }

    /// The policy's half of the step that has begun; whether there was one.
    pub(super) fn step_policy(&mut self, writing: &AtomicBool) -> Result<bool> {
        let Some(stepping) = self.stepping.clone() else { return Ok(false) };
        let _threads = ThreadScope::new(stepping.config.threads());
        self.draw(&stepping, Drawn::Own);
        let step = || self.networks.step_policy(&self.batch, &self.noise, &stepping.step(writing));
        let measured = tch::with_grad(step).map_err(|error| stepping.within(error))?;
        (self.stepping, self.stepped) = (None, Some(measured));
        Ok(true)
    }

    /// Draws the rows of an optimiser step, as the networks read them.
    fn gather(&mut self, stepping: &Stepping, normalizer: &Normalizer) {
        let count = self.algorithm.config().batch_size as usize;
        let rows = drawn(stepping.seed, stepping.number, count, self.replay.len());
        self.replay.gather(&rows, &mut self.batch);
        let width = self.policy.spec().inputs;
        normalizer.apply(&mut self.batch.observations, width);
        normalizer.apply(&mut self.batch.nexts, width);
    }

    /// Standard normal numbers [B, A], a function of the session's seed and the optimiser step.
    fn draw(&mut self, stepping: &Stepping, whose: Drawn) {
        let actions = self.policy.spec().actions;
        self.noise.resize(self.batch.rewards.len() * actions, 0.0);
        let (seed, whose) = (stepping.seed, (whose as u64) << 61);
        for (row, numbers) in self.noise.chunks_exact_mut(actions).enumerate() {
            Key { seed, stream: NOISE | whose | row as u64, counter: stepping.number }.normals(numbers);
        }
    }
}

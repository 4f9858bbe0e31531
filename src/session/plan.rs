//! Long work as a plan of slices: what `run`, `start` and `pump` drive, always the same slices in the same order.

use crate::data::Batch;
use crate::error::Result;
use crate::model::{AnyModel, Tokenizer};
use crate::telemetry::Event;
use std::fmt::{Display, Formatter};
use std::sync::Arc;

/// What a finished plan leaves on its job.
#[derive(Default)]
pub(super) struct Output {
    pub batch: Option<Batch>,
    pub tokenizer: Option<Arc<Tokenizer>>,
    pub model: Option<AnyModel>,
    /// Whether more rows are needed before the work can begin.
    pub needs_data: bool,
}

/// What a job is at: `what`, the `at`th of `of`; of 0 things it is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    pub what: &'static str,
    pub at: usize,
    pub of: usize,
}

impl Stage {
    pub fn of(what: &'static str) -> Stage {
        Stage { what, at: 0, of: 0 }
    }
}

impl Display for Stage {
    fn fmt(&self, out: &mut Formatter) -> std::fmt::Result {
        match self.of {
            0 => out.write_str(self.what),
            of => write!(out, "{} {}/{of}", self.what, self.at),
        }
    }
}

/// How a plan's slices ended.
pub(super) enum Ending {
    Complete,
    Cancelled,
    Failed,
}

/// A plan of slices. A slice is the quantum of work; between two of them the job may be cancelled, pumped or left.
pub(super) trait Plan: Send {
    /// Runs the next slice; true when it was the last.
    fn slice(&mut self) -> Result<bool>;

    /// What the job does, one word.
    fn work(&self) -> &'static str;

    /// What kind of slice comes next; slices of one kind take time by their amounts.
    fn next(&self) -> &'static str;

    /// How much the next slice has to do, in a unit of its kind.
    fn amount(&self) -> u64 {
        1
    }

    /// What the job is at.
    fn stage(&self) -> Stage {
        Stage::of(self.next())
    }

    /// What the last slice has to tell the host of this job.
    fn events(&mut self, _job: u64) -> Vec<Event> {
        Vec::new()
    }

    /// Share of the slices that were run, in [0, 1].
    fn progress(&self) -> f32;

    /// Called once after the last slice, inside a call that the host makes: only here may published state change.
    fn finish(&mut self, ending: Ending) -> Result<Output>;

    /// Optimiser steps applied so far.
    fn optimizer_steps(&self) -> u64 {
        0
    }

    /// Intra-op threads of every slice.
    fn threads(&self) -> usize;

    /// Whether the plan calls the host back, so that only the host's own thread may drive it.
    fn calls_host(&self) -> bool {
        false
    }

    /// What a panic inside a slice leaves behind.
    fn panicked(&self) {}
}

/// A plan of one slice: `work` has no natural pieces (reading or writing a file), `publish` does with its result what
/// only a call of the host may.
pub(super) struct Whole<F, T, P> {
    kind: &'static str,
    threads: usize,
    work: Option<F>,
    result: Option<T>,
    publish: P,
}

impl<F, T, P> Whole<F, T, P>
where
    F: FnOnce() -> Result<T> + Send,
    T: Send,
    P: Fn(T) -> Result<Output> + Send,
{
    pub fn new(kind: &'static str, threads: usize, work: F, publish: P) -> Self {
        Whole { kind, threads, work: Some(work), result: None, publish }
    }
}

impl<F, T, P> Plan for Whole<F, T, P>
where
    F: FnOnce() -> Result<T> + Send,
    T: Send,
    P: Fn(T) -> Result<Output> + Send,
{
    fn slice(&mut self) -> Result<bool> {
        if let Some(work) = self.work.take() {
            self.result = Some(work()?);
        }
        Ok(true)
    }

    fn work(&self) -> &'static str {
        self.kind
    }

    fn next(&self) -> &'static str {
        self.kind
    }

    fn progress(&self) -> f32 {
        if self.work.is_none() {
            1.0
        } else {
            0.0
        }
    }

    fn finish(&mut self, _ending: Ending) -> Result<Output> {
        self.result.take().map_or_else(|| Ok(Output::default()), &self.publish)
    }

    fn threads(&self) -> usize {
        self.threads
    }
}

//! Passes over all sequences of a batch without gradient, in chunks that fit memory, and the columns they become.

use super::core::Core;
use super::gather::Gathered;
use super::Session;
use crate::algorithm::{Columns, Needs};
use crate::error::Result;
use crate::model::{score, ScoreOptions, Scores, Transformer, ValueHead};
use std::ops::Range;
use tch::{no_grad_guard, Tensor};

/// Whose log-probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scored {
    Policy,
    Reference,
}

/// The passes that an algorithm needs before `prepare`, as far as they got.
pub(super) struct Scoring {
    indices: Vec<usize>,
    chunks: Vec<Range<usize>>,
    policy: Vec<Scores>,
    reference: Vec<Scores>,
}

impl Scoring {
    pub fn new(session: &Session, gathered: &Gathered) -> Self {
        let indices: Vec<usize> = (0..gathered.sequence_count()).collect();
        let chunks = gathered.chunks(&indices, session.config().micro_batch_tokens as usize);
        Scoring { indices, chunks, policy: Vec::new(), reference: Vec::new() }
    }

    pub fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    /// One chunk through a network, `whose` it is said to be.
    pub fn score(
        &mut self,
        (network, value_head): (&Transformer, Option<&ValueHead>),
        options: &ScoreOptions,
        gathered: &Gathered,
        whose: Scored,
        chunk: usize,
    ) -> Result<()> {
        let _no_grad = no_grad_guard();
        let sequences = gathered.sequences(&self.indices[self.chunks[chunk].clone()]);
        let scores = score(network, value_head, &sequences, options)?;
        match whose {
            Scored::Policy => self.policy.push(scores),
            Scored::Reference => self.reference.push(scores),
        }
        Ok(())
    }

    /// What is known of the batch before `prepare`.
    pub fn columns(&self, session: &Session, gathered: &Gathered, needs: Needs) -> Result<Columns> {
        let device = session.device();
        let mut columns = Columns::new(gathered.rows.len() as i64);
        columns.insert("mask", gathered.mask(device));
        if !self.policy.is_empty() {
            columns.insert("policy_log_probs", joined(&self.policy, |scores| &scores.log_probs)?);
            if self.policy.iter().all(|scores| scores.values.is_some()) {
                let values: Vec<&Tensor> = self.policy.iter().filter_map(|scores| scores.values.as_ref()).collect();
                columns.insert("values", Tensor::f_cat(&values, 0)?);
            }
        }
        if !self.reference.is_empty() {
            columns.insert("reference_log_probs", joined(&self.reference, |scores| &scores.log_probs)?);
        }
        for (name, absent) in needs.columns {
            columns.insert(name, gathered.numbers(device, name, *absent, needs.scores)?);
        }
        if needs.group_size > 0 {
            columns.insert("groups", gathered.groups(device)?);
        }
        if needs.rewards > 0 {
            columns.insert("rewards", gathered.rewards(device, needs.rewards)?);
            columns.insert("finished", gathered.per_row(device, |row| f32::from(u8::from(row.finished)))?);
            columns.insert("rollout_log_probs", gathered.rollout_log_probs(device)?);
        }
        Ok(columns)
    }

    /// The policy's pass as one set of scores.
    pub fn policy_scores(&self) -> Result<Scores> {
        joined_scores(&self.policy)
    }
}

pub(super) fn score_options(session: &Session, core: &Core, width: i64) -> ScoreOptions {
    ScoreOptions {
        temperature: core.algorithm.temperature(),
        tile_bytes: session.config().logit_bytes as usize,
        width,
        detach_trunk: core.algorithm.value_warmup().is_some(),
    }
}

fn joined(parts: &[Scores], field: impl Fn(&Scores) -> &Tensor) -> Result<Tensor> {
    let tensors: Vec<&Tensor> = parts.iter().map(field).collect();
    Ok(Tensor::f_cat(&tensors, 0)?)
}

/// Scores of consecutive chunks as one; [S, T] each.
pub(super) fn joined_scores(parts: &[Scores]) -> Result<Scores> {
    let values: Option<Vec<&Tensor>> = parts.iter().map(|scores| scores.values.as_ref()).collect();
    Ok(Scores {
        log_probs: joined(parts, |scores| &scores.log_probs)?,
        entropies: joined(parts, |scores| &scores.entropies)?,
        values: values.map(|values| Tensor::f_cat(&values, 0)).transpose()?,
        mask: joined(parts, |scores| &scores.mask)?,
    })
}

//! Passes over all sequences of a batch without gradient, in chunks that fit memory, and the columns they become.

use super::core::Core;
use super::gather::Gathered;
use super::Session;
use crate::algorithm::{Columns, Needs};
use crate::error::Result;
use crate::model::{Networks, Pass, ScoreOptions, Scores, Sequence};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use tch::Tensor;

/// Whose log-probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scored {
    Policy,
    Reference,
    Reward,
}

impl Scored {
    /// What a pass of this network is called.
    pub fn scoring(self) -> &'static str {
        match self {
            Scored::Policy => "score policy",
            Scored::Reference => "score reference",
            Scored::Reward => "score reward",
        }
    }
}

/// The passes that an algorithm needs before `prepare`, as far as they got.
pub(super) struct Scoring {
    indices: Vec<usize>,
    chunks: Vec<Range<usize>>,
    /// What each network said, chunk by chunk.
    said: BTreeMap<Scored, Vec<Scores>>,
    /// What the reference said of all these rows before.
    recalled: Option<Tensor>,
    /// The pass of the chunk that is scored now.
    pass: Option<Pass>,
}

impl Scoring {
    pub fn new(session: &Session, core: &Core, gathered: &Gathered) -> Result<Self> {
        let indices: Vec<usize> = (0..gathered.sequence_count()).collect();
        let chunks = gathered.chunks(&indices, session.config().micro_batch_tokens as usize);
        let recalled = core.recall(gathered, session.device())?;
        Ok(Scoring { indices, chunks, said: BTreeMap::new(), recalled, pass: None })
    }

    pub fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    /// Whether a pass of the reference is to be made.
    pub fn asks_reference(&self, needs: Needs) -> bool {
        needs.reference && self.recalled.is_none()
    }

    /// The pass of the chunk that is scored now.
    pub fn pass(&self) -> Option<&Pass> {
        self.pass.as_ref()
    }

    /// The next piece of a chunk through networks, `whose` it is said to be. Whether it was the last.
    pub fn score(
        &mut self,
        networks: Networks,
        options: &ScoreOptions,
        gathered: &Gathered,
        whose: Scored,
        chunk: usize,
    ) -> Result<bool> {
        let mut pass = match self.pass.take() {
            Some(pass) => pass,
            None => self.begin(networks, options, gathered, whose, chunk)?,
        };
        if pass.advance(networks)? {
            self.pass = Some(pass);
            return Ok(false);
        }
        self.said.entry(whose).or_default().push(pass.scores()?);
        Ok(true)
    }

    fn begin(
        &self,
        networks: Networks,
        options: &ScoreOptions,
        gathered: &Gathered,
        whose: Scored,
        chunk: usize,
    ) -> Result<Pass> {
        let sequences = gathered.sequences(&self.indices[self.chunks[chunk].clone()]);
        let positions = networks.0.architecture().positions as usize;
        let read: Vec<_> = sequences.iter().map(|sequence| sequence.tail(positions)).collect();
        let read: Vec<&Sequence> = read.iter().map(Cow::as_ref).collect();
        let sequences = if whose == Scored::Reward { read } else { sequences };
        let options = ScoreOptions { sharpened: options.sharpened && whose == Scored::Policy, ..*options };
        Pass::new(networks, &sequences, &options, false)
    }

    /// What is known of the batch before `prepare`.
    pub fn columns(&self, session: &Session, gathered: &Gathered, needs: Needs) -> Result<Columns> {
        let device = session.device();
        let mut columns = Columns::new(gathered.rows.len() as i64);
        columns.insert("mask", gathered.mask(device));
        if let Some(policy) = self.joined(Scored::Policy)? {
            columns.insert("policy_log_probs", policy.log_probs);
            policy.values.into_iter().for_each(|values| columns.insert("values", values));
        }
        let reference = match &self.recalled {
            Some(recalled) => Some(recalled.shallow_clone()),
            None => self.joined(Scored::Reference)?.map(|reference| reference.log_probs),
        };
        if let Some(reference) = reference {
            columns.insert("reference_log_probs", reference);
        }
        for (name, absent) in needs.columns {
            columns.insert(name, gathered.numbers(device, name, *absent, needs.scores)?);
        }
        if needs.group_size > 0 {
            columns.insert("groups", gathered.groups(device)?);
        }
        if needs.value_after {
            columns.insert("ends", gathered.ends(device)?);
        }
        for (name, _) in needs.token_columns {
            columns.insert(name, gathered.token_numbers(device, name)?);
        }
        if needs.rewards > 0 {
            let given = gathered.rewards(device, needs.rewards)?; // [B, K]
            let judged = self.joined(Scored::Reward)?.and_then(|judged| judged.scores); // [B, K]
            let rewards = judged.map(|judged| judged.where_self(&given.isnan(), &given));
            columns.insert("rewards", rewards.unwrap_or(given));
            columns.insert("finished", gathered.per_row(device, |row| f32::from(u8::from(row.finished)))?);
            columns.insert("rollout_log_probs", gathered.token_numbers(device, "rollout_log_probs")?);
        }
        Ok(columns)
    }

    /// What one network said of all sequences, if it was asked.
    pub fn joined(&self, whose: Scored) -> Result<Option<Scores>> {
        self.said.get(&whose).map(|parts| joined_scores(parts)).transpose()
    }
}

pub(super) fn score_options(session: &Session, core: &Core, width: i64) -> ScoreOptions {
    ScoreOptions {
        temperature: core.algorithm.temperature(),
        tile_bytes: session.config().logit_bytes as usize,
        width,
        detach_trunk: core.algorithm.value_warmup().is_some(),
        value_after: core.algorithm.needs().value_after,
        sharpened: core.algorithm.needs().sharpened,
        ..ScoreOptions::default()
    }
}

fn joined(parts: &[Scores], field: impl Fn(&Scores) -> &Tensor) -> Result<Tensor> {
    let tensors: Vec<&Tensor> = parts.iter().map(field).collect();
    Ok(Tensor::f_cat(&tensors, 0)?)
}

/// Scores of consecutive chunks as one; [S, T] each.
pub(super) fn joined_scores(parts: &[Scores]) -> Result<Scores> {
    let whole = |of: fn(&Scores) -> Option<&Tensor>| -> Result<Option<Tensor>> {
        let tensors: Option<Vec<&Tensor>> = parts.iter().map(of).collect();
        Ok(tensors.map(|tensors| Tensor::f_cat(&tensors, 0)).transpose()?)
    };
    Ok(Scores {
        log_probs: joined(parts, |scores| &scores.log_probs)?,
        entropies: joined(parts, |scores| &scores.entropies)?,
        values: whole(|scores| scores.values.as_ref())?,
        scores: whole(|scores| scores.scores.as_ref())?,
        sharpened: whole(|scores| scores.sharpened.as_ref())?,
        mask: joined(parts, |scores| &scores.mask)?,
    })
}

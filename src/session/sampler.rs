//! Generation as a plan: one block of the prompts or one token of every live row a slice, from the policy's published
//! snapshot.
//!
//! It touches nothing that an update writes, so a host may generate while one runs.

use super::intake::Intake;
use super::plan::{Ending, Output, Plan, Stage};
use super::stream::Stream;
use super::Session;
use crate::algorithm::Needs;
use crate::config;
use crate::data::{Batch, Column, Kind, Values};
use crate::error::{Error, Result, Status};
use crate::model::{Generation, Model, Rollout, Sequence};
use crate::telemetry::Event;
use std::sync::Arc;

pub(super) struct Sampler {
    model: Arc<Model>,
    generation: Option<Generation>,
    progress: f32,
    /// The kind of the next slice.
    next: &'static str,
    stream: Option<Stream>,
    version: u64,
    samples: usize,
    /// Whether the recorded log-probabilities are those of the distribution that the session trains.
    faithful: bool,
    threads: usize,
}

impl Sampler {
    pub fn new(session: &Session, prompts: &Batch, config: &config::Generate) -> Result<Self> {
        let model = session.model(super::Role::Policy);
        let model = model.ok_or_else(|| Error::state("generate: the session has no policy; call set_model first"))?;
        let prompts =
            Intake { model: &model, batch: prompts, end: None, needs: &Needs::default(), mixed: false }.prompts()?;
        let temperature = session.temperature();
        let plain = config.top_k == 0 && config.top_p >= 1.0 && config.min_new_tokens == 0;
        let generation = Generation::new(&model, prompts, config)?;
        Ok(Sampler {
            version: generation.version(),
            generation: Some(generation),
            stream: config.stream.then(|| Stream::new(model.tokenizer().cloned())),
            model,
            progress: 0.0,
            next: "embedding",
            samples: config.samples.max(1) as usize,
            faithful: plain && (config.temperature - temperature).abs() < 1e-9,
            threads: session.config().threads(),
        })
    }

    fn batch(&self, rollouts: &[Rollout], logits: Option<Vec<f32>>) -> Result<Batch> {
        let sequences: Vec<Sequence> = rollouts
            .iter()
            .map(|rollout| Sequence {
                tokens: [rollout.prompt.as_slice(), &rollout.response].concat(),
                prompt_length: rollout.prompt.len(),
                mask: None,
            })
            .collect();
        let mut batch = rollout_batch(sequences.iter())?;
        if self.faithful {
            let log_probs = ragged(rollouts.iter().map(|rollout| rollout.log_probs.as_slice()));
            batch.set("rollout_log_probs", Column { values: Values::F32(log_probs.0), offsets: Some(log_probs.1) })?;
        }
        if let Some(logits) = logits {
            let width = self.model.architecture().vocabulary as u64;
            let ends = ragged(rollouts.iter().map(|rollout| rollout.response.as_slice())).1;
            let offsets = ends.into_iter().map(|end| end * width).collect();
            batch.set("logits", Column { values: Values::F32(logits), offsets: Some(offsets) })?;
        }
        let reasons = rollouts.iter().map(|rollout| rollout.finish as i32).collect();
        batch.set("finish_reason", Column { values: Values::I32(reasons), offsets: None })?;
        let versions = vec![self.version; rollouts.len()];
        batch.set("policy_version", Column { values: Values::U64(versions), offsets: None })?;
        let groups = (0..rollouts.len()).map(|row| (row / self.samples) as u64).collect();
        batch.set("group", Column { values: Values::U64(groups), offsets: None })?;
        Ok(batch)
    }
}

impl Plan for Sampler {
    fn slice(&mut self) -> Result<bool> {
        let generation = self.generation.as_mut();
        let generation = generation.ok_or_else(|| Error::new(Status::Internal, "generate: a slice after the last"))?;
        let _no_grad = tch::no_grad_guard();
        let finished = generation.step()?;
        (self.progress, self.next) = (generation.progress(), generation.next());
        if let Some(stream) = &mut self.stream {
            stream.hear(generation.responses())?;
        }
        Ok(finished)
    }

    fn work(&self) -> &'static str {
        "generate"
    }

    fn next(&self) -> &'static str {
        self.next
    }

    fn stage(&self) -> Stage {
        Stage::of(if self.next == "token" { "sample" } else { "read prompts" })
    }

    fn events(&mut self, job: u64) -> Vec<Event> {
        self.stream.as_mut().map_or_else(Vec::new, |stream| stream.tell(job))
    }

    fn progress(&self) -> f32 {
        self.progress
    }

    fn finish(&mut self, ending: Ending) -> Result<Output> {
        let (logits, rollouts) = match (ending, self.generation.take()) {
            (Ending::Complete, Some(generation)) => (generation.logits()?, generation.finish()),
            _ => return Ok(Output::default()),
        };
        let batch = Some(self.batch(&rollouts, logits)?);
        Ok(Output { batch, tokenizer: self.model.tokenizer().cloned(), ..Output::default() })
    }

    fn threads(&self) -> usize {
        self.threads
    }
}

/// A batch of rollouts that holds the prompt and response tokens of these sequences.
pub(super) fn rollout_batch<'a>(sequences: impl Iterator<Item = &'a Sequence> + Clone) -> Result<Batch> {
    let mut batch = Batch::new(Kind::Rollouts, sequences.clone().count() as u64)?;
    let prompts = ragged(sequences.clone().map(|sequence| &sequence.tokens[..sequence.prompt_length]));
    batch.set("prompt", Column { values: Values::I32(prompts.0), offsets: Some(prompts.1) })?;
    let responses = ragged(sequences.map(|sequence| &sequence.tokens[sequence.prompt_length..]));
    batch.set("response", Column { values: Values::I32(responses.0), offsets: Some(responses.1) })?;
    Ok(batch)
}

/// One flat array and `rows + 1` offsets.
fn ragged<'a, T: Copy + 'a>(rows: impl Iterator<Item = &'a [T]>) -> (Vec<T>, Vec<u64>) {
    let (mut flat, mut offsets) = (Vec::new(), vec![0]);
    for row in rows {
        flat.extend_from_slice(row);
        offsets.push(flat.len() as u64);
    }
    (flat, offsets)
}

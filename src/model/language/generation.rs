//! Generation of a batch of responses, one token of every live row per step.
//!
//! Owns the cache, the random streams and the rules by which a response ends. Reads one published snapshot of the
//! weights from beginning to end. A row's text depends on the weights, the settings, the seed and its prompt, not on the
//! rest of the batch.

use crate::config;
use crate::error::{Error, Result, Status};
use crate::model::language::cache::{Cache, Decode, Prefill};
use crate::model::language::logits::Logits;
use crate::model::language::packed::{Packed, Rows, ROW_MULTIPLE};
use crate::model::language::request::{check_config, check_prompts};
use crate::model::language::sampling::{choose, likeliest, Filter, Stream};
use crate::model::language::transformer::Flow;
use crate::model::language::{Tokenizer, Transformer};
use crate::model::Model;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use tch::{Device, Tensor};

/// A slice of prefill takes about this many prompt tokens.
const PREFILL_TOKENS: usize = 4096;

/// Responses of one generation: a bound on what a host's numbers may allocate before any of them is looked at.
const MOST_ROWS: usize = 1 << 20;

/// Why a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum FinishReason {
    /// The model's own end token.
    Eos = 1,
    /// A stop token or a stop string of the configuration.
    Stop = 2,
    /// `max_new_tokens`.
    Length = 3,
    /// The host cancelled.
    Host = 4,
}

/// A response and what was recorded while it was sampled.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    pub prompt: Vec<i32>,
    /// Includes the end token that it emitted.
    pub response: Vec<i32>,
    /// Nats, per response token: the softmax of logits / temperature before any filter (temperature 1 when greedy).
    pub log_probs: Vec<f32>,
    pub finish: FinishReason,
}

struct Row {
    prompt: usize,
    response: Vec<i32>,
    log_probs: Vec<f32>,
    stream: Stream,
    finish: Option<FinishReason>,
}

/// A batched generation that is driven step by step.
pub struct Generation {
    transformer: Transformer,
    version: u64,
    tokenizer: Option<Arc<Tokenizer>>,
    config: config::Generate,
    /// Tokens that end a response as `Eos`.
    end_tokens: Vec<i32>,
    device: Device,
    prompts: Vec<Vec<i32>>,
    next_prompt: usize,
    rows: Vec<Row>,
    cache: Cache,
    filling: Option<Filling>,
    /// Where the configuration wants them.
    logits: Option<Logits>,
}

/// Prompts on their way through the blocks.
struct Filling {
    packed: Packed,
    prompts: Range<usize>,
    flow: Flow,
    /// The next block.
    layer: usize,
}

impl Generation {
    /// Prepares `config.samples` responses to each prompt on the snapshot that is published now.
    ///
    /// `Data` names an empty prompt, an unknown token, a prompt too long for the model with `max_new_tokens` after it;
    /// `Config` a setting that this model cannot follow; `OutOfMemory` what does not fit.
    pub fn new(model: &Model, prompts: Vec<Vec<i32>>, config: &config::Generate) -> Result<Generation> {
        check_config(model, config)?;
        check_prompts(model, &prompts, config)?;
        let weights = model.weights();
        let transformer = Transformer::read(model.architecture(), &weights)?;
        let rows = rows(&prompts, config)?;
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
        // the last token is never fed back
        let positions = (longest + config.max_new_tokens as usize - 1).max(1);
        let most = config.max_new_tokens as usize;
        let recorded = |_| Logits::new(rows.len(), most, model.architecture().vocabulary);
        let logits = config.logits.then_some(()).map(recorded).transpose()?;
        let cache = Cache::new(model.architecture(), rows.len(), positions, model.kind(), model.device())?;
        Ok(Generation {
            transformer,
            version: weights.version,
            tokenizer: model.tokenizer().cloned(),
            config: config.clone(),
            end_tokens: if config.ignore_eos { Vec::new() } else { model.end_tokens().to_vec() },
            device: model.device(),
            prompts,
            next_prompt: 0,
            rows,
            cache,
            filling: None,
            logits,
        })
    }

    /// The version of the weights that sample.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// One slice of work: first the prompts (about 4096 of their tokens through one block; then the first token of each of
    /// their responses), then one token of every live row. True when all responses have ended.
    pub fn step(&mut self) -> Result<bool> {
        let _no_grad = tch::no_grad_guard();
        if self.next_prompt < self.prompts.len() {
            self.prefill()?;
        } else {
            let live: Vec<usize> = (0..self.rows.len()).filter(|row| self.rows[*row].finish.is_none()).collect();
            if !live.is_empty() {
                self.decode(&live)?;
            }
        }
        Ok(self.next_prompt == self.prompts.len() && self.rows.iter().all(|row| row.finish.is_some()))
    }

    /// What kind of slice comes next.
    pub fn next(&self) -> &'static str {
        match &self.filling {
            _ if self.next_prompt == self.prompts.len() => "token",
            None => "embedding",
            Some(filling) if filling.layer < self.transformer.blocks() => "block",
            Some(_) => "first token",
        }
    }

    /// The responses as they stand: row after row, what it has said and whether it has ended.
    pub fn responses(&self) -> impl Iterator<Item = (&[i32], bool)> {
        self.rows.iter().map(|row| (row.response.as_slice(), row.finish.is_some()))
    }

    /// The share of the work that is done, 0 to 1; a row that ended early counts whole.
    pub fn progress(&self) -> f32 {
        let share = |row: &Row| match row.finish {
            Some(_) => 1.0,
            None => row.response.len() as f32 / self.config.max_new_tokens as f32,
        };
        match self.rows.len() {
            0 => 1.0,
            count => self.rows.iter().map(share).sum::<f32>() / count as f32,
        }
    }

    /// The responses, samples of a prompt adjacent; those that have not ended say `Host`.
    pub fn finish(self) -> Vec<Rollout> {
        let prompts = self.prompts;
        let rollout = |row: Row| Rollout {
            prompt: prompts[row.prompt].clone(),
            response: row.response,
            log_probs: row.log_probs,
            finish: row.finish.unwrap_or(FinishReason::Host),
        };
        self.rows.into_iter().map(rollout).collect()
    }

    /// The logits of every response token so far, row after row, [Σ T, V]: before the temperature and any filter. None
    /// unless the configuration wants them.
    pub fn logits(&self) -> Result<Option<Vec<f32>>> {
        let lengths: Vec<usize> = self.rows.iter().map(|row| row.response.len()).collect();
        self.logits.as_ref().map(|logits| logits.read(&lengths)).transpose()
    }

    fn prefill(&mut self) -> Result<()> {
        let Some(mut filling) = self.filling.take() else {
            self.filling = Some(self.begin_filling()?);
            return Ok(());
        };
        let (samples, Range { start: first, end: last }) = (self.config.samples as usize, filling.prompts.clone());
        if filling.layer < self.transformer.blocks() {
            let first_rows: Vec<i64> = (first..last).map(|prompt| (prompt * samples) as i64).collect();
            let (runs, samples) = (&filling.packed.runs, samples as i64);
            let mut attention = Prefill { runs, cache: &mut self.cache, first_rows: &first_rows, samples };
            filling.flow.hidden = self.transformer.block(filling.layer, &filling.flow, &mut attention)?;
            filling.layer += 1;
            self.filling = Some(filling);
            return Ok(());
        }
        let hidden = self.transformer.normalize(&filling.flow.hidden)?;
        let end = |prompt: usize| filling.packed.start(prompt - first) + self.prompts[prompt].len() as i64 - 1;
        let mut ends: Vec<i64> = (first..last).map(end).collect();
        ends.resize(ends.len().next_multiple_of(ROW_MULTIPLE), 0);
        let hidden = hidden.f_index_select(0, &Tensor::f_from_slice(&ends)?.f_to_device(self.device)?)?;
        self.next_prompt = last;
        let pairs: Vec<(usize, usize)> =
            (first * samples..last * samples).map(|row| (row / samples - first, row)).collect();
        self.sample(&hidden, &pairs)
    }

    fn begin_filling(&self) -> Result<Filling> {
        let (first, mut last, mut tokens) = (self.next_prompt, self.next_prompt, 0);
        while last < self.prompts.len() && (last == first || tokens + self.prompts[last].len() <= PREFILL_TOKENS) {
            tokens += self.prompts[last].len();
            last += 1;
        }
        let prompts: Vec<&[i32]> = self.prompts[first..last].iter().map(Vec::as_slice).collect();
        let packed = Packed::from_tokens(&prompts, self.device)?;
        let flow = self.transformer.embed(&packed.rows)?;
        Ok(Filling { packed, prompts: first..last, flow, layer: 0 })
    }

    fn decode(&mut self, live: &[usize]) -> Result<()> {
        let scratch = self.rows.len() as i64;
        let padding = live.len().next_multiple_of(ROW_MULTIPLE) - live.len();
        let mut tokens: Vec<i32> = live.iter().filter_map(|row| self.rows[*row].response.last().copied()).collect();
        let mut positions: Vec<i64> = live.iter().map(|row| self.length(*row) - 1).collect();
        let mut places: Vec<i64> = live.iter().map(|row| *row as i64).collect();
        tokens.extend(vec![0; padding]);
        positions.extend(vec![0; padding]);
        places.extend(vec![scratch; padding]);
        let lengths: Vec<i64> = positions.iter().map(|position| position + 1).collect();
        let rows = Rows::new(&tokens, &positions, self.device)?;
        let places = Tensor::f_from_slice(&places)?.f_to_device(self.device)?;
        let lengths = Tensor::f_from_slice(&lengths)?.f_to_device(self.device)?;
        let mut attention =
            Decode { cache: &mut self.cache, rows: &places, positions: &rows.positions, lengths: &lengths };
        let hidden = self.transformer.forward(&rows, &mut attention)?;
        let pairs: Vec<(usize, usize)> = live.iter().copied().enumerate().collect();
        self.sample(&hidden, &pairs)
    }

    fn length(&self, row: usize) -> i64 {
        let row = &self.rows[row];
        (self.prompts[row.prompt].len() + row.response.len()) as i64
    }

    /// Adds a token to each row of `pairs` (row of `hidden`, row of the batch).
    fn sample(&mut self, hidden: &Tensor, pairs: &[(usize, usize)]) -> Result<()> {
        let greedy = self.config.temperature == 0.0;
        let logits = self.transformer.project(hidden)?; // [R, V]
        if let Some(kept) = &mut self.logits {
            kept.keep(&logits, pairs.iter().map(|&(source, row)| (source, row, self.rows[row].response.len())))?;
        }
        let scaled = if greedy { logits } else { logits.f_div_scalar(self.config.temperature)? };
        let forbidden = self.forbidden(pairs);
        let probabilities = scaled.f_softmax(-1, None)?;
        let weights = match greedy {
            true => host_values(&scaled)?,
            false if forbidden.is_empty() => host_values(&probabilities)?,
            false => host_values(&self.without(&scaled, &forbidden)?.f_softmax(-1, None)?)?,
        };
        let width = self.transformer.architecture().vocabulary as usize;
        let mut places = Vec::with_capacity(pairs.len());
        for &(source, index) in pairs {
            let weights = &weights[source * width..(source + 1) * width];
            let token = self.next_token(index, weights, &forbidden, greedy)?;
            places.push((source * width + token) as i64);
            self.rows[index].response.push(token as i32);
        }
        let places = Tensor::f_from_slice(&places)?.f_to_device(self.device)?;
        let chosen = |source: &Tensor| host_values(&source.f_view([-1])?.f_index_select(0, &places)?);
        let log_probs: Vec<f32> = match forbidden.is_empty() {
            true => chosen(&probabilities)?.into_iter().map(|p| f64::from(p).ln() as f32).collect(),
            // a token that the filter made likely may have a probability that rounds to nothing
            false => chosen(&scaled.f_log_softmax(-1, None)?)?,
        };
        for (&(_, index), log_prob) in pairs.iter().zip(log_probs) {
            self.rows[index].log_probs.push(log_prob);
            self.rows[index].finish = self.ended(index)?;
        }
        Ok(())
    }

    fn next_token(&mut self, row: usize, weights: &[f32], forbidden: &[i32], greedy: bool) -> Result<usize> {
        if greedy {
            return likeliest(weights, forbidden);
        }
        let filter = Filter { top_k: self.config.top_k as usize, top_p: self.config.top_p };
        choose(weights, forbidden, filter, self.rows[row].stream.uniform())
    }

    /// The tokens that may not come next: all that would end a response before `min_new_tokens`. The rows of a step have
    /// equally many tokens.
    fn forbidden(&self, pairs: &[(usize, usize)]) -> Vec<i32> {
        match pairs.iter().any(|(_, row)| self.rows[*row].response.len() < self.fewest_tokens()) {
            true => self.end_tokens.iter().chain(&self.config.stop_tokens).copied().collect(),
            false => Vec::new(),
        }
    }

    /// The logits with −∞ for forbidden tokens, so that the softmax shares everything among the others: removed from
    /// its result, a likely token would leave them what was rounded to nothing.
    fn without(&self, logits: &Tensor, forbidden: &[i32]) -> Result<Tensor> {
        let vocabulary = self.transformer.architecture().vocabulary;
        let known: Vec<i64> = forbidden.iter().map(|token| i64::from(*token)).filter(|id| *id < vocabulary).collect();
        let known = Tensor::f_from_slice(&known)?.f_to_device(self.device)?;
        Ok(logits.f_index_fill(-1, &known, f64::NEG_INFINITY)?)
    }

    fn fewest_tokens(&self) -> usize {
        self.config.min_new_tokens.min(self.config.max_new_tokens) as usize
    }

    fn ended(&self, row: usize) -> Result<Option<FinishReason>> {
        let response = &self.rows[row].response;
        let last = response.last().copied().unwrap_or(-1);
        if self.end_tokens.contains(&last) {
            return Ok(Some(FinishReason::Eos));
        }
        if self.config.stop_tokens.contains(&last) || self.says_stop(response)? {
            return Ok(Some(FinishReason::Stop));
        }
        Ok((response.len() >= self.config.max_new_tokens as usize).then_some(FinishReason::Length))
    }

    fn says_stop(&self, response: &[i32]) -> Result<bool> {
        let Some(tokenizer) = self.tokenizer.as_ref().filter(|_| !self.config.stop.is_empty()) else {
            return Ok(false);
        };
        if response.len() < self.fewest_tokens() {
            return Ok(false);
        }
        let text = tokenizer.decode(response, false)?;
        Ok(self.config.stop.iter().any(|stop| text.contains(stop.as_str())))
    }
}

fn rows(prompts: &[Vec<i32>], config: &config::Generate) -> Result<Vec<Row>> {
    let samples = config.samples as usize;
    let count = prompts.len().checked_mul(samples).filter(|count| *count <= MOST_ROWS).ok_or_else(|| {
        let prompts = prompts.len();
        Error::config(format!("/samples: expected at most {MOST_ROWS} responses, got {prompts} prompts × {samples}"))
    })?;
    let mut rows = Vec::new();
    rows.try_reserve_exact(count)
        .map_err(|_| Error::new(Status::OutOfMemory, format!("generate: no memory for {count} responses")))?;
    let mut seen: HashMap<&[i32], u64> = HashMap::new();
    for (index, prompt) in prompts.iter().enumerate() {
        let occurrences = seen.entry(prompt.as_slice()).or_default();
        for _ in 0..config.samples {
            let stream = Stream::new(config.seed, prompt, *occurrences);
            *occurrences += 1;
            rows.push(Row { prompt: index, response: Vec::new(), log_probs: Vec::new(), stream, finish: None });
        }
    }
    Ok(rows)
}

/// A float tensor's elements, row after row.
fn host_values(tensor: &Tensor) -> Result<Vec<f32>> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut values = vec![0f32; tensor.numel()];
    tensor.f_copy_data(&mut values, tensor.numel())?;
    Ok(values)
}

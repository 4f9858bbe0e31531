//! Log-probabilities, entropies and values of given responses, as rectangles [S, T] with their mask.
//!
//! The log-probability and the value of response token t come from the hidden state of the token before it. Only
//! response tokens that count pass the head, so no tensor grows with prompt length times vocabulary.

use crate::error::{Error, Result};
use crate::model::language::judge::judge;
use crate::model::language::{Packed, Sequence, Transformer, ValueModel};
use crate::torch;
use tch::{Device, Kind, Tensor};

/// How to score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreOptions {
    /// What the logits are divided by: the sampler's temperature, positive.
    pub temperature: f64,
    /// The most bytes of logits held at once.
    pub tile_bytes: usize,
    /// T of the result; 0 = the longest response here.
    pub width: i64,
    /// Gradients reach the value model only, and of a head nothing below it.
    pub detach_trunk: bool,
    /// Values also of the state after each response's last token, in the slot behind it; the width has room for it.
    pub value_after: bool,
    /// Whether the log-probabilities at half the temperature are wanted too, for another pass through the head.
    pub sharpened: bool,
    /// α of uniform noise on the embeddings; 0 = none.
    pub noise: f64,
    /// Which noise: the same seed and sequence, the same noise.
    pub noise_seed: u64,
}

impl Default for ScoreOptions {
    fn default() -> Self {
        ScoreOptions {
            temperature: 1.0,
            tile_bytes: 32 << 20,
            width: 0,
            detach_trunk: false,
            value_after: false,
            sharpened: false,
            noise: 0.0,
            noise_seed: 0,
        }
    }
}

/// What [`score`] returns; slots that are masked or absent hold 0.
pub struct Scores {
    /// [S, T] f32, nats
    pub log_probs: Tensor,
    /// [S, T] f32, nats
    pub entropies: Tensor,
    /// [S, T] f32, with a value head: V of the state before each token; of a reward model: the first score after it
    pub values: Option<Tensor>,
    /// [S, K] f32, of a reward model
    pub scores: Option<Tensor>,
    /// [S, T] f32, nats, if asked for: log-probabilities at half the temperature, a constant
    pub sharpened: Option<Tensor>,
    /// [S, T] bool, true = this token counts
    pub mask: Tensor,
}

impl Scores {
    /// Log-probabilities under their mask, and nothing else: entropies of 0.
    pub fn of(log_probs: &Tensor, mask: &Tensor) -> Scores {
        let (log_probs, mask) = (log_probs.shallow_clone(), mask.shallow_clone());
        Scores { entropies: log_probs.zeros_like(), log_probs, values: None, scores: None, sharpened: None, mask }
    }

    /// The same with every output replaced that a loss may depend on.
    pub fn map(&self, change: impl Fn(&Tensor) -> Tensor) -> Scores {
        Scores {
            log_probs: change(&self.log_probs),
            entropies: change(&self.entropies),
            values: self.values.as_ref().map(&change),
            scores: self.scores.as_ref().map(&change),
            sharpened: self.sharpened.as_ref().map(Tensor::shallow_clone),
            mask: self.mask.shallow_clone(),
        }
    }

    /// Every output that a loss may depend on.
    pub fn outputs(&self) -> [Option<&Tensor>; 4] {
        [Some(&self.log_probs), Some(&self.entropies), self.values.as_ref(), self.scores.as_ref()]
    }
}

/// States that something is read at: the row of each in a packing, and its slot in the flattened [S, T].
struct States {
    rows: Vec<i64>,
    slots: Vec<i64>,
}

/// The response tokens that count, and the states that predict them.
struct Targets {
    states: States,
    tokens: Vec<i64>,
}

/// Scores the responses of `sequences`; differentiable where the parameters are. A reward model judges them.
///
/// `Data` for an empty prompt, a mask of the wrong length, a response longer than the width, an unknown token.
pub fn score(
    transformer: &Transformer,
    value_model: Option<&ValueModel>,
    sequences: &[&Sequence],
    options: &ScoreOptions,
) -> Result<Scores> {
    if transformer.architecture().scores() > 0 {
        return judge(transformer, sequences, options);
    }
    let width = result_width(sequences, options.width)?;
    let count = sequences.len() as i64;
    let device = transformer.head().device();
    // the last token predicts nothing, and only a value after it reads it
    let unread = if options.value_after { 0 } else { 1 };
    let inputs: Vec<&[i32]> =
        sequences.iter().map(|sequence| &sequence.tokens[..(sequence.tokens.len() - unread).max(1)]).collect();
    let mut packed = Packed::from_tokens(&inputs, device)?;
    if options.noise > 0.0 {
        packed.disturb(&inputs, options.noise, options.noise_seed, transformer.architecture().hidden)?;
    }
    let targets = Targets::find(sequences, &packed, width);
    check_targets(transformer, &targets)?;
    let hidden = match options.detach_trunk {
        true => {
            let _no_grad = tch::no_grad_guard();
            transformer.hidden(&packed)?
        }
        false => transformer.hidden(&packed)?,
    };
    let values = match value_model {
        Some(model) => {
            let states = targets.states.with_ends(sequences, &packed, width, options);
            let values = model.read(&packed, &hidden, &states.rows(device)?)?; // [M]
            Some(place(&values, &states.slots, count, width)?)
        }
        None => None,
    };
    let hidden = hidden.f_index_select(0, &targets.states.rows(device)?)?; // [M, d]
    let (log_probs, entropies) = match options.detach_trunk {
        true => {
            let _no_grad = tch::no_grad_guard();
            token_log_probs(transformer, &hidden, &targets, options)?
        }
        false => token_log_probs(transformer, &hidden, &targets, options)?,
    };
    let place = |values: &Tensor| place(values, &targets.states.slots, count, width);
    let mask = response_mask(sequences, width, device);
    let sharpened = match options.sharpened {
        true => Some(place(&sharpened(transformer, &hidden, &targets, options)?)?),
        false => None,
    };
    let (log_probs, entropies) = (place(&log_probs)?, place(&entropies)?);
    Ok(Scores { log_probs, entropies, values, scores: None, sharpened, mask })
}

/// The mask of the response tokens that count, [S, T] bool.
pub fn response_mask(sequences: &[&Sequence], width: i64, device: Device) -> Tensor {
    let counts = |sequence: &&Sequence| (0..width as usize).map(|token| sequence.counts(token)).collect::<Vec<_>>();
    let flags: Vec<bool> = sequences.iter().flat_map(counts).collect();
    Tensor::from_slice(&flags).view([sequences.len() as i64, width]).to_device(device)
}

impl Targets {
    fn find(sequences: &[&Sequence], packed: &Packed, width: i64) -> Targets {
        let mut targets = Targets { states: States { rows: Vec::new(), slots: Vec::new() }, tokens: Vec::new() };
        for (index, sequence) in sequences.iter().enumerate() {
            let before = packed.start(index) + sequence.prompt_length as i64 - 1;
            for token in (0..sequence.response_length()).filter(|token| sequence.counts(*token)) {
                targets.states.rows.push(before + token as i64);
                targets.states.slots.push(index as i64 * width + token as i64);
                targets.tokens.push(i64::from(sequence.tokens[sequence.prompt_length + token]));
            }
        }
        targets
    }
}

impl States {
    fn rows(&self, device: Device) -> Result<Tensor> {
        Ok(Tensor::f_from_slice(&self.rows)?.f_to_device(device)?)
    }

    /// These, and where the options want them the states after the last tokens.
    fn with_ends(&self, sequences: &[&Sequence], packed: &Packed, width: i64, options: &ScoreOptions) -> States {
        let mut states = States { rows: self.rows.clone(), slots: self.slots.clone() };
        let ended = |sequence: &&Sequence| options.value_after && (sequence.response_length() as i64) < width;
        for (index, sequence) in sequences.iter().enumerate().filter(|(_, sequence)| ended(sequence)) {
            states.rows.push(packed.start(index) + sequence.tokens.len() as i64 - 1);
            states.slots.push(index as i64 * width + sequence.response_length() as i64);
        }
        states
    }
}

pub(super) fn result_width(sequences: &[&Sequence], width: i64) -> Result<i64> {
    for (index, sequence) in sequences.iter().enumerate() {
        sequence.check().map_err(|error| error.within(format!("sequence {index}")))?;
    }
    let longest = sequences.iter().map(|sequence| sequence.response_length() as i64).max().unwrap_or(0);
    match width {
        0 => Ok(longest),
        width if width >= longest => Ok(width),
        width => Err(Error::data(format!("response: expected at most {width} tokens, got {longest}"))),
    }
}

fn check_targets(transformer: &Transformer, targets: &Targets) -> Result<()> {
    let vocabulary = transformer.architecture().vocabulary;
    match targets.tokens.iter().find(|token| **token < 0 || **token >= vocabulary) {
        Some(token) => Err(Error::data(format!("response: expected ids from 0 to {}, got {token}", vocabulary - 1))),
        None => Ok(()),
    }
}

fn token_log_probs(
    transformer: &Transformer,
    hidden: &Tensor,
    targets: &Targets,
    options: &ScoreOptions,
) -> Result<(Tensor, Tensor)> {
    if targets.tokens.is_empty() {
        // keeps the graph, so that a loss over nothing still has gradients: zeros
        let nothing = hidden.f_sum_dim_intlist([-1i64].as_slice(), false, Kind::Float)?;
        return Ok((nothing.shallow_clone(), nothing));
    }
    let tokens = Tensor::f_from_slice(&targets.tokens)?.f_to_device(hidden.device())?;
    torch::token_log_probs(hidden, transformer.head(), &tokens, options.temperature, options.tile_bytes)
}

/// Log-probabilities at half the temperature, without gradient.
fn sharpened(transformer: &Transformer, hidden: &Tensor, targets: &Targets, options: &ScoreOptions) -> Result<Tensor> {
    let _no_grad = tch::no_grad_guard();
    let options = ScoreOptions { temperature: options.temperature / 2.0, ..*options };
    Ok(token_log_probs(transformer, hidden, targets, &options)?.0)
}

/// values [M] into their slots of a zero [S, T].
pub(super) fn place(values: &Tensor, slots: &[i64], count: i64, width: i64) -> Result<Tensor> {
    let empty = Tensor::f_zeros([count * width], (Kind::Float, values.device()))?;
    let slots = Tensor::f_from_slice(slots)?.f_to_device(values.device())?;
    Ok(empty.f_index_copy(0, &slots, values)?.f_view([count, width])?) // [S, T]
}

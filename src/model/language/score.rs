//! Log-probabilities, entropies and values of given responses, as rectangles [S, T] with their mask.
//!
//! The log-probability and the value of response token t come from the hidden state of the token before it. Only
//! response tokens that count pass the head, so no tensor grows with prompt length times vocabulary.

use crate::error::{Error, Result};
use crate::model::language::{Packed, Pass, Sequence, Transformer, ValueModel};
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

/// What a pass returns; slots that are masked or absent hold 0.
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
pub(super) struct States {
    pub rows: Vec<i64>,
    pub slots: Vec<i64>,
}

/// The response tokens that count, and the states that predict them.
pub(super) struct Targets {
    pub states: States,
    pub tokens: Vec<i64>,
}

/// Scores the responses of `sequences`; no gradient is kept, [`Pass`] has those. A reward model judges them.
///
/// `Data` for an empty prompt, a mask of the wrong length, a response longer than the width, an unknown token.
pub fn score(
    transformer: &Transformer,
    value_model: Option<&ValueModel>,
    sequences: &[&Sequence],
    options: &ScoreOptions,
) -> Result<Scores> {
    let mut pass = Pass::new((transformer, value_model), sequences, options, false)?;
    while pass.advance((transformer, value_model))? {}
    pass.scores()
}

/// The mask of the response tokens that count, [S, T] bool.
pub fn response_mask(sequences: &[&Sequence], width: i64, device: Device) -> Tensor {
    let counts = |sequence: &&Sequence| (0..width as usize).map(|token| sequence.counts(token)).collect::<Vec<_>>();
    let flags: Vec<bool> = sequences.iter().flat_map(counts).collect();
    Tensor::from_slice(&flags).view([sequences.len() as i64, width]).to_device(device)
}

impl Targets {
    pub fn find(sequences: &[&Sequence], packed: &Packed, width: i64) -> Targets {
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

    /// Refuses a token that the model has not.
    pub fn check(&self, transformer: &Transformer) -> Result<()> {
        let vocabulary = transformer.architecture().vocabulary;
        match self.tokens.iter().find(|token| **token < 0 || **token >= vocabulary) {
            Some(token) => {
                Err(Error::data(format!("response: expected ids from 0 to {}, got {token}", vocabulary - 1)))
            }
            None => Ok(()),
        }
    }
}

impl States {
    pub fn rows(&self, device: Device) -> Result<Tensor> {
        Ok(Tensor::f_from_slice(&self.rows)?.f_to_device(device)?)
    }

    /// values [M] into their slots of a zero [S, T].
    pub fn place(&self, values: &Tensor, count: i64, width: i64) -> Result<Tensor> {
        let empty = Tensor::f_zeros([count * width], (Kind::Float, values.device()))?;
        let slots = Tensor::f_from_slice(&self.slots)?.f_to_device(values.device())?;
        Ok(empty.f_index_copy(0, &slots, values)?.f_view([count, width])?) // [S, T]
    }

    /// The values [M] in their slots of `placed` [S, T].
    pub fn gather(&self, placed: &Tensor) -> Result<Tensor> {
        let slots = Tensor::f_from_slice(&self.slots)?.f_to_device(placed.device())?;
        Ok(placed.f_reshape([-1])?.f_index_select(0, &slots)?)
    }

    /// These, and where the options want them the states after the last tokens.
    pub fn with_ends(&self, sequences: &[&Sequence], packed: &Packed, width: i64, options: &ScoreOptions) -> States {
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

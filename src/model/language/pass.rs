//! A scoring pass in pieces, forward and then back: embedding, one block, the read-outs, one tile of the head each.
//!
//! It holds what lies between two pieces and borrows the networks for each. How it is cut changes no number.

use crate::error::{Error, Result, Status};
use crate::model::language::judge::Judged;
use crate::model::language::score::{response_mask, result_width, States, Targets};
use crate::model::language::trunk::Trunk;
use crate::model::language::{Packed, ScoreOptions, Scores, Sequence, Transformer, ValueModel};
use crate::torch::{self, Head};
use std::collections::VecDeque;
use tch::{no_grad_guard, Kind, Tensor};

/// A network, and what tells values beside it.
pub type Networks<'a> = (&'a Transformer, Option<&'a ValueModel>);

#[derive(Clone, Copy)]
enum Piece {
    Trunk,
    /// A segment of the value network.
    Beside,
    Read,
    Head(usize),
    /// The head once more, at half the temperature.
    Sharp(usize),
    HeadBack(usize),
    ReadBack,
    BesideBack,
    TrunkBack,
}

/// What the head reads.
enum Reading {
    Language { targets: Targets, values: States },
    Judge(Judged),
}

/// What was read of the final hidden states; with graphs where the pass has them.
#[derive(Default)]
struct Read {
    /// [M, d], what passes the head
    states: Option<Tensor>,
    /// [M]
    values: Option<Tensor>,
    /// [S, K]
    scores: Option<Tensor>,
}

/// A pass over some sequences, as far as it got.
pub struct Pass {
    options: ScoreOptions,
    graph: bool,
    count: i64,
    width: i64,
    mask: Tensor,
    packed: Packed,
    /// Matrix elements of a block: of the network, and of the value network.
    block_sizes: [i64; 2],
    reading: Reading,
    pieces: VecDeque<Piece>,
    total: usize,
    trunk: Trunk,
    beside: Trunk,
    read: Read,
    head: Option<Head>,
    sharp: Option<Head>,
    log_probs: Option<(Tensor, Tensor)>,
    sharpened: Option<Tensor>,
    gradients: [Option<Tensor>; 4],
}

impl Pass {
    /// Nothing is computed yet; with `graph` it can be turned back. Errors as of [`score`](super::score).
    pub fn new(networks: Networks, sequences: &[&Sequence], options: &ScoreOptions, graph: bool) -> Result<Pass> {
        let (transformer, value_model) = networks;
        let judges = transformer.architecture().scores() > 0;
        let width = result_width(sequences, options.width)?;
        let device = transformer.head().device();
        // the last token predicts nothing, and only a value after it or a judge reads it
        let unread = if options.value_after || judges { 0 } else { 1 };
        let inputs: Vec<&[i32]> =
            sequences.iter().map(|sequence| &sequence.tokens[..(sequence.tokens.len() - unread).max(1)]).collect();
        let mut packed = Packed::from_tokens(&inputs, device)?;
        if options.noise > 0.0 && !judges {
            packed.disturb(&inputs, options.noise, options.noise_seed, transformer.architecture().hidden)?;
        }
        let reading = match judges {
            true => Reading::Judge(Judged::find(sequences, &packed, width)),
            false => {
                let targets = Targets::find(sequences, &packed, width);
                targets.check(transformer)?;
                let values = targets.states.with_ends(sequences, &packed, width, options);
                Reading::Language { targets, values }
            }
        };
        let beside = value_model.and_then(ValueModel::network).map_or(0, Trunk::segments);
        let mut pieces = VecDeque::from(vec![Piece::Trunk; Trunk::segments(transformer)]);
        pieces.extend(vec![Piece::Beside; beside]);
        pieces.push_back(Piece::Read);
        Ok(Pass {
            options: *options,
            graph,
            count: sequences.len() as i64,
            width,
            mask: response_mask(sequences, width, device),
            total: pieces.len(),
            trunk: Trunk::new(graph && !options.detach_trunk),
            beside: Trunk::new(graph),
            packed,
            block_sizes: [Some(transformer), value_model.and_then(ValueModel::network)].map(block_size),
            reading,
            pieces,
            read: Read::default(),
            head: None,
            sharp: None,
            log_probs: None,
            sharpened: None,
            gradients: [const { None }; 4],
        })
    }

    /// What kind of piece comes next.
    pub fn next(&self) -> &'static str {
        match self.pieces.front() {
            Some(Piece::Trunk | Piece::Beside) if self.total == self.pieces.len() => "embedding",
            Some(Piece::Trunk | Piece::Beside) => "block",
            Some(Piece::Read) => "read-out",
            Some(Piece::Head(_) | Piece::Sharp(_)) => "head",
            Some(Piece::HeadBack(_)) => "head backward",
            Some(Piece::ReadBack) => "read-out backward",
            Some(Piece::BesideBack | Piece::TrunkBack) => "block backward",
            None => "end",
        }
    }

    /// How large the next piece is, in multiplications or so.
    pub fn amount(&self) -> u64 {
        let rows = self.packed.row_count();
        let amount = match self.pieces.front() {
            Some(Piece::Beside | Piece::BesideBack) => rows * self.block_sizes[1],
            Some(Piece::Trunk | Piece::TrunkBack) => rows * self.block_sizes[0],
            Some(Piece::Read | Piece::ReadBack) | None => rows,
            Some(_) => self.read.states.as_ref().map_or(0, |states| states.numel() as i64),
        };
        amount.max(1) as u64
    }

    /// The share of the pieces in this direction that were done.
    pub fn progress(&self) -> f32 {
        1.0 - self.pieces.len() as f32 / self.total.max(1) as f32
    }

    /// Does the next piece; whether there is another one in this direction.
    pub fn advance(&mut self, networks: Networks) -> Result<bool> {
        let _no_grad = (!self.graph).then(no_grad_guard);
        let (transformer, value_model) = networks;
        let network = value_model.and_then(ValueModel::network);
        match self.pieces.pop_front() {
            Some(Piece::Trunk) => self.trunk.advance(transformer, &self.packed)?,
            Some(Piece::Beside) => self.beside.advance(network.unwrap_or(transformer), &self.packed)?,
            Some(Piece::Read) => self.read(networks)?,
            Some(Piece::Head(tile)) => self.read_head(tile)?,
            Some(Piece::Sharp(tile)) => self.read_sharp(tile)?,
            Some(Piece::HeadBack(tile)) => {
                let head = transformer.head();
                let gradient = head.requires_grad().then(|| head.grad()).filter(Tensor::defined);
                self.head.as_mut().ok_or_else(early)?.walk(tile, gradient.as_ref())?;
            }
            Some(Piece::ReadBack) => self.read_back()?,
            Some(Piece::BesideBack) => self.beside.retreat()?,
            Some(Piece::TrunkBack) => self.trunk.retreat()?,
            None => {}
        }
        Ok(!self.pieces.is_empty())
    }

    /// What the pass says, once nothing is left of it.
    pub fn scores(&self) -> Result<Scores> {
        let place = |states: &States, values: &Tensor| states.place(&values.detach(), self.count, self.width);
        let nothing = self.mask.f_zeros_like()?.f_to_kind(Kind::Float)?;
        let values = match &self.reading {
            Reading::Language { values, .. } => values,
            Reading::Judge(judged) => &judged.tokens,
        };
        let values = self.read.values.as_ref().map(|read| place(values, read)).transpose()?;
        let scores = self.read.scores.as_ref().map(Tensor::detach);
        let whole = Scores { values, scores, ..Scores::of(&nothing, &self.mask) };
        let (Reading::Language { targets, .. }, Some((log_probs, entropies))) = (&self.reading, &self.log_probs) else {
            let sharpened = self.options.sharpened.then_some(nothing);
            return Ok(Scores { sharpened, ..whole });
        };
        Ok(Scores {
            log_probs: place(&targets.states, log_probs)?,
            entropies: place(&targets.states, entropies)?,
            sharpened: self.sharpened.as_ref().map(|read| place(&targets.states, read)).transpose()?,
            ..whole
        })
    }

    /// Begins the way back, from the gradients of `Scores::outputs` in their order; `None` is zero. What is walked back
    /// adds to the gradients of the networks.
    pub fn turn(&mut self, networks: Networks, gradients: [Option<Tensor>; 4]) -> Result<()> {
        let (transformer, value_model) = networks;
        self.gradients = gradients;
        self.pieces.clear();
        let detached = self.options.detach_trunk;
        if let (Reading::Language { targets, .. }, Some(head), false) = (&self.reading, &mut self.head, detached) {
            let gather = |placed: &Option<Tensor>| placed.as_ref().map(|g| targets.states.gather(g)).transpose();
            let (log_probs, entropies) = (gather(&self.gradients[0])?, gather(&self.gradients[1])?);
            if log_probs.is_some() || entropies.is_some() {
                head.turn(log_probs.as_ref(), entropies.as_ref())?;
                self.pieces.extend((0..head.tiles()).map(Piece::HeadBack));
            }
        }
        self.pieces.push_back(Piece::ReadBack);
        let beside = value_model.and_then(ValueModel::network).map_or(0, Trunk::segments);
        self.pieces.extend(vec![Piece::BesideBack; beside]);
        self.pieces.extend(vec![Piece::TrunkBack; if detached { 0 } else { Trunk::segments(transformer) }]);
        self.total = self.pieces.len();
        Ok(())
    }

    fn read(&mut self, (transformer, value_model): Networks) -> Result<()> {
        let hidden = {
            let _no_grad = self.options.detach_trunk.then(no_grad_guard);
            transformer.normalize(self.trunk.hidden()?)? // [N, d]
        };
        let device = hidden.device();
        let (targets, values) = match &self.reading {
            Reading::Judge(judged) => {
                let (scores, values) = judged.read(transformer, &hidden)?;
                self.read = Read { states: None, values: Some(values), scores: Some(scores) };
                return Ok(());
            }
            Reading::Language { targets, values } => (targets, values),
        };
        if let Some(model) = value_model {
            let own = model.network().map(|network| network.normalize(self.beside.hidden()?)).transpose()?;
            self.read.values = Some(model.read(own.as_ref().unwrap_or(&hidden), &values.rows(device)?)?);
        }
        if targets.tokens.is_empty() {
            return Ok(());
        }
        let states = hidden.f_index_select(0, &targets.states.rows(device)?)?; // [M, d]
        let tokens = Tensor::f_from_slice(&targets.tokens)?.f_to_device(device)?;
        let (temperature, bytes) = (self.options.temperature, self.options.tile_bytes);
        let head = Head::new(&states, transformer.head(), &tokens, temperature, bytes)?;
        self.pieces.extend((0..head.tiles()).map(Piece::Head));
        if self.options.sharpened {
            let sharp = Head::new(&states, transformer.head(), &tokens, temperature / 2.0, bytes)?;
            self.pieces.extend((0..sharp.tiles()).map(Piece::Sharp));
            self.sharp = Some(sharp);
        }
        self.total += self.pieces.len();
        (self.head, self.read.states) = (Some(head), Some(states));
        Ok(())
    }

    fn read_head(&mut self, tile: usize) -> Result<()> {
        let head = self.head.as_mut().ok_or_else(early)?;
        head.read(tile)?;
        if tile + 1 == head.tiles() {
            self.log_probs = Some(head.results()?);
        }
        Ok(())
    }

    fn read_sharp(&mut self, tile: usize) -> Result<()> {
        let head = self.sharp.as_mut().ok_or_else(early)?;
        head.read(tile)?;
        if tile + 1 == head.tiles() {
            self.sharpened = Some(head.results()?.0);
            self.sharp = None;
        }
        Ok(())
    }

    /// Walks what was read back to where the trunks end.
    fn read_back(&mut self) -> Result<()> {
        let [log_probs, entropies, values, scores] = std::mem::take(&mut self.gradients);
        let read = std::mem::take(&mut self.read);
        let told = match &self.reading {
            Reading::Language { values, .. } => values,
            Reading::Judge(judged) => &judged.tokens,
        };
        let states = match self.head.take().filter(|_| log_probs.is_some() || entropies.is_some()) {
            Some(head) if !self.options.detach_trunk => Some(head.hidden_gradient()?),
            _ => None,
        };
        let values = values.map(|placed| told.gather(&placed)).transpose()?;
        let outputs = [read.states, read.values, read.scores].into_iter();
        let given = |(output, gradient): (Option<Tensor>, Option<Tensor>)| output.zip(gradient);
        let pairs: Vec<(Tensor, Tensor)> = outputs
            .zip([states, values, scores])
            .filter_map(given)
            .filter(|(output, _)| output.requires_grad())
            .collect();
        if pairs.is_empty() {
            return Ok(());
        }
        torch::backward(&pairs.iter().map(|(output, gradient)| (output, gradient)).collect::<Vec<_>>())
    }
}

fn block_size(network: Option<&Transformer>) -> i64 {
    let size = |network: &Transformer| {
        let a = network.architecture();
        a.hidden * (4 * a.hidden + 3 * a.intermediate)
    };
    network.map_or(0, size)
}

fn early() -> Error {
    Error::new(Status::Internal, "pass: the head before what it reads")
}

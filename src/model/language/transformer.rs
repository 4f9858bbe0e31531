//! A causal transformer: an architecture bound to views of its parameters.
//!
//! Owns the forward pass over packed rows. Attention is a seam ([`Attention`]): per sequence in training and scoring,
//! over a cache in generation; everything else is the same code, so sampler and trainer agree.

use crate::error::{Error, Result, Status};
use crate::model::arena::{Layout, Weights};
use crate::model::language::architecture::{Head, SCORE};
use crate::model::language::gpt2::Gpt2;
use crate::model::language::llama::Llama;
use crate::model::language::packed::{Packed, PackedAttention, Rows};
use crate::model::language::rotary::Angles;
use crate::model::language::{Architecture, Family};
use crate::torch;
use std::sync::Arc;
use tch::{Kind, Tensor};

/// How the rows of a layer look at each other.
pub(super) trait Attention {
    /// `query` [N, H, D], `key` and `value` [N, Hkv, D] of `layer` → [N, H · D].
    fn attend(&mut self, layer: usize, query: &Tensor, key: &Tensor, value: &Tensor, scale: f64) -> Result<Tensor>;
}

/// Rows on their way through the blocks.
pub(super) struct Flow {
    /// [N, d]
    pub hidden: Tensor,
    /// What the positions turn queries and keys by, where the family does.
    pub angles: Option<Angles>,
}

enum Body {
    Llama(Llama),
    Gpt2(Gpt2),
}

/// An architecture and the parameters that it computes with.
pub struct Transformer {
    architecture: Arc<Architecture>,
    body: Body,
    head: Tensor,
    _snapshot: Option<Arc<Weights>>,
}

impl Transformer {
    /// Binds views of the flat buffer `data`, without gradients.
    pub fn bind(architecture: &Arc<Architecture>, layout: &Layout, data: &Tensor) -> Result<Transformer> {
        layout.check(data)?;
        Transformer::assemble(architecture, layout, None, |slot| Ok(layout.view(data, slot).f_detach()?))
    }

    /// Binds leaves over `data` whose gradients accumulate in the same places of `gradients`.
    pub fn bind_trainable(
        architecture: &Arc<Architecture>,
        layout: &Layout,
        data: &Tensor,
        gradients: &Tensor,
    ) -> Result<Transformer> {
        layout.check(data)?;
        layout.check(gradients)?;
        Transformer::assemble(architecture, layout, None, |slot| {
            let leaf = layout.view(data, slot).f_detach()?.f_set_requires_grad(true)?;
            torch::set_gradient(&leaf, &layout.view(gradients, slot))?;
            Ok(leaf)
        })
    }

    /// Binds a published snapshot and keeps it, so that a later publication may reuse its memory once this is dropped.
    pub fn read(architecture: &Arc<Architecture>, snapshot: &Arc<Weights>) -> Result<Transformer> {
        let (layout, data) = (&snapshot.layout, snapshot.borrow());
        Transformer::assemble(architecture, layout, Some(snapshot.clone()), |slot| Ok(layout.view(&data, slot)))
    }

    fn assemble(
        architecture: &Arc<Architecture>,
        layout: &Layout,
        snapshot: Option<Arc<Weights>>,
        mut tensor: impl FnMut(usize) -> Result<Tensor>,
    ) -> Result<Transformer> {
        let mut take = |name: &str| match layout.find(name) {
            Some(slot) => tensor(slot),
            None => Err(Error::new(Status::Internal, format!("{name}: not in the layout"))),
        };
        let body = match architecture.family {
            Family::Llama => Body::Llama(Llama::bind(architecture, &mut take)?),
            Family::Gpt2 => Body::Gpt2(Gpt2::bind(architecture, &mut take)?),
        };
        let head = match architecture.head {
            Head::Language if architecture.tied => match &body {
                Body::Llama(llama) => llama.embedding.shallow_clone(),
                Body::Gpt2(gpt2) => gpt2.embedding.shallow_clone(),
            },
            Head::Language => take("lm_head.weight")?,
            Head::Scores(_) => take(SCORE)?,
        };
        Ok(Transformer { architecture: architecture.clone(), body, head, _snapshot: snapshot })
    }

    pub fn architecture(&self) -> &Arc<Architecture> {
        &self.architecture
    }

    /// The hidden state of each row after the final norm, [N, d]; `Data` for a token or a length the model has not.
    pub fn hidden(&self, packed: &Packed) -> Result<Tensor> {
        self.forward(&packed.rows, &mut PackedAttention { runs: &packed.runs })
    }

    /// The output embedding, [V, d], or of a reward model its read-outs, [K, d].
    pub fn head(&self) -> &Tensor {
        &self.head
    }

    /// The logits of each row, [N, V] f32. For tests and small models: training never makes this tensor.
    pub fn logits(&self, packed: &Packed) -> Result<Tensor> {
        self.project(&self.hidden(packed)?)
    }

    /// hidden [N, d] → logits [N, V] f32.
    pub(super) fn project(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(torch::linear(hidden, &self.head, None)?.f_to_kind(Kind::Float)?)
    }

    pub(super) fn forward(&self, rows: &Rows, attention: &mut dyn Attention) -> Result<Tensor> {
        let mut flow = self.embed(rows)?;
        for layer in 0..self.blocks() {
            flow.hidden = self.block(layer, &flow, attention)?;
        }
        self.normalize(&flow.hidden)
    }

    /// How many blocks there are between the embedding and the final norm.
    pub(super) fn blocks(&self) -> usize {
        self.architecture.layers as usize
    }

    /// The rows before the first block; `Data` for a token or a length the model has not.
    pub(super) fn embed(&self, rows: &Rows) -> Result<Flow> {
        self.check(rows)?;
        match &self.body {
            Body::Llama(llama) => llama.embed(rows).map(|(hidden, angles)| Flow { hidden, angles: Some(angles) }),
            Body::Gpt2(gpt2) => gpt2.embed(rows).map(|hidden| Flow { hidden, angles: None }),
        }
    }

    /// The hidden states behind one block, [N, d].
    pub(super) fn block(&self, layer: usize, flow: &Flow, attention: &mut dyn Attention) -> Result<Tensor> {
        match (&self.body, &flow.angles) {
            (Body::Llama(llama), Some(angles)) => {
                llama.block(&self.architecture, layer, &flow.hidden, angles, attention)
            }
            (Body::Gpt2(gpt2), _) => gpt2.block(&self.architecture, layer, &flow.hidden, attention),
            (Body::Llama(_), None) => Err(Error::new(Status::Internal, "block: rows of another family")),
        }
    }

    /// The final norm, [N, d].
    pub(super) fn normalize(&self, hidden: &Tensor) -> Result<Tensor> {
        match &self.body {
            Body::Llama(llama) => llama.normalize(&self.architecture, hidden),
            Body::Gpt2(gpt2) => gpt2.normalize(&self.architecture, hidden),
        }
    }

    fn check(&self, rows: &Rows) -> Result<()> {
        let vocabulary = self.architecture.vocabulary;
        if rows.smallest_token < 0 || i64::from(rows.largest_token) >= vocabulary {
            let token = if rows.smallest_token < 0 { rows.smallest_token } else { rows.largest_token };
            return Err(Error::data(format!("tokens: expected ids from 0 to {}, got {token}", vocabulary - 1)));
        }
        if rows.last_position >= self.architecture.positions {
            return Err(Error::data(format!(
                "tokens: the model reads at most {} tokens, got a sequence of {}",
                self.architecture.positions,
                rows.last_position + 1
            )));
        }
        Ok(())
    }
}

//! A transformer's way through packed rows in segments, the embedding and each block, and back through their graphs.
//!
//! The seams between segments are detached: each segment has a graph of its own, walked back by itself, so that a slice of
//! work is one segment.

use crate::error::{Error, Result, Status};
use crate::model::language::packed::{Packed, PackedAttention};
use crate::model::language::transformer::Flow;
use crate::model::language::Transformer;
use crate::torch;
use tch::Tensor;

/// Where a segment ends: what it said, and the same as a leaf that the next one reads.
struct Seam {
    said: Tensor,
    leaf: Tensor,
}

/// A forward pass, as far as it got.
pub(super) struct Trunk {
    graph: bool,
    flow: Option<Flow>,
    passed: usize,
    seams: Vec<Seam>,
}

impl Trunk {
    /// Nothing is computed yet; with `graph` it can be walked back.
    pub fn new(graph: bool) -> Trunk {
        Trunk { graph, flow: None, passed: 0, seams: Vec::new() }
    }

    /// How many segments a transformer has.
    pub fn segments(transformer: &Transformer) -> usize {
        transformer.blocks() + 1
    }

    /// Passes the next segment.
    pub fn advance(&mut self, transformer: &Transformer, packed: &Packed) -> Result<()> {
        let _no_grad = (!self.graph).then(tch::no_grad_guard);
        let flow = match &self.flow {
            None => transformer.embed(&packed.rows)?,
            Some(flow) => {
                let mut attention = PackedAttention { runs: &packed.runs };
                let hidden = transformer.block(self.passed - 1, flow, &mut attention)?;
                Flow { hidden, angles: self.flow.take().and_then(|flow| flow.angles) }
            }
        };
        self.passed += 1;
        self.flow = Some(match self.graph {
            true => {
                let leaf = flow.hidden.f_detach()?.f_set_requires_grad(true)?;
                self.seams.push(Seam { said: flow.hidden, leaf: leaf.shallow_clone() });
                Flow { hidden: leaf, ..flow }
            }
            false => flow,
        });
        Ok(())
    }

    /// The hidden states behind the last segment that was passed, [N, d]: a leaf where there is a graph.
    pub fn hidden(&self) -> Result<&Tensor> {
        let flow = self.flow.as_ref();
        flow.map(|flow| &flow.hidden).ok_or_else(|| Error::new(Status::Internal, "trunk: read before it was passed"))
    }

    /// Walks the last segment back, and lets go of it. No gradient ends the way.
    pub fn retreat(&mut self) -> Result<()> {
        self.flow = None;
        let Some(Seam { said, leaf }) = self.seams.pop() else { return Ok(()) };
        match Some(leaf.f_grad()?).filter(Tensor::defined) {
            Some(gradient) => torch::backward(&[(&said, &gradient)]),
            None => {
                self.seams.clear();
                Ok(())
            }
        }
    }
}

//! The arena: all parameters of a model in one flat buffer, each a view of it.
//!
//! Owns the layout (which parameter lies where) and the published snapshot of the weights. Knows neither files nor
//! arithmetic. Clipping is one norm over the buffer, the optimiser one call, a published snapshot one copy.

use crate::error::{Error, Result};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use tch::{Kind, Tensor};

/// Every slot starts on a multiple of this many elements: 64 bytes in the narrowest kind of weights (bf16).
const ALIGNMENT: i64 = 32;

/// What a parameter is, which decides its first value and whether weight decay touches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Embedding,
    /// A matrix that reads `fan_in` features.
    Linear {
        fan_in: i64,
    },
    /// A matrix whose result is added to the residual stream.
    Residual {
        fan_in: i64,
    },
    /// The gain of a norm.
    Gain,
    Bias,
}

/// A parameter before it has a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub shape: Vec<i64>,
    pub part: Part,
}

impl Parameter {
    pub fn new(name: impl Into<String>, shape: &[i64], part: Part) -> Parameter {
        Parameter { name: name.into(), shape: shape.to_vec(), part }
    }

    /// Whether weight decay applies: matrices and embeddings, not biases and norms.
    pub fn decay(&self) -> bool {
        !matches!(self.part, Part::Gain | Part::Bias)
    }
}

/// A parameter in its place; `offset` counts elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub name: String,
    pub shape: Vec<i64>,
    pub offset: i64,
    pub decay: bool,
}

impl Slot {
    /// The number of elements.
    pub fn count(&self) -> i64 {
        self.shape.iter().product()
    }
}

/// Where each parameter lies: first those that decay, `decayed` elements, then biases and norms, `len` in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub slots: Vec<Slot>,
    pub decayed: i64,
    pub len: i64,
    places: HashMap<String, usize>,
}

impl Layout {
    /// Lays the parameters out in their order, decayed ones first. The gaps that alignment leaves hold zeros for ever.
    pub fn new(parameters: &[Parameter]) -> Layout {
        let mut slots = Vec::with_capacity(parameters.len());
        let (mut offset, mut decayed) = (0, 0);
        for decay in [true, false] {
            for parameter in parameters.iter().filter(|parameter| parameter.decay() == decay) {
                let slot = Slot { name: parameter.name.clone(), shape: parameter.shape.clone(), offset, decay };
                offset += (slot.count() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
                slots.push(slot);
            }
            if decay {
                decayed = offset;
            }
        }
        let places = slots.iter().enumerate().map(|(place, slot)| (slot.name.clone(), place)).collect();
        Layout { slots, decayed, len: offset, places }
    }

    /// The slot of the parameter called `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// The parameter in `slot` as a view of the flat `data`, in its own shape.
    pub fn view(&self, data: &Tensor, slot: usize) -> Tensor {
        let slot = &self.slots[slot];
        data.narrow(0, slot.offset, slot.count()).view(slot.shape.as_slice())
    }

    /// Refuses a buffer that cannot hold this layout: flat, at least `len` elements, floating point.
    pub fn check(&self, data: &Tensor) -> Result<()> {
        let size = data.size();
        let kind = data.f_kind()?;
        if size.len() != 1 || size[0] < self.len || !matches!(kind, Kind::Float | Kind::BFloat16 | Kind::Double) {
            return Err(Error::shape(format!(
                "weights: expected a flat float buffer of at least {} elements, got {kind:?} {size:?}",
                self.len
            )));
        }
        Ok(())
    }
}

/// An immutable published snapshot of a model's weights.
pub struct Weights {
    pub layout: Arc<Layout>,
    pub version: u64,
    data: Mutex<Tensor>,
    escaped: AtomicBool,
}

impl Weights {
    pub(super) fn new(layout: Arc<Layout>, version: u64, data: Tensor) -> Weights {
        Weights { layout, version, data: Mutex::new(data), escaped: AtomicBool::new(false) }
    }

    /// The flat buffer. Whoever holds it keeps this snapshot's memory from being written again.
    pub fn data(&self) -> Tensor {
        self.escaped.store(true, Ordering::Release);
        self.borrow()
    }

    /// The flat buffer, for readers that hold the `Arc` of this snapshot as long as the tensor or a view of it.
    pub(super) fn borrow(&self) -> Tensor {
        self.data.lock().shallow_clone()
    }

    /// The buffer, to be written again: only if nobody else can still read it. Exclusive access to the snapshot rules out
    /// readers that hold it; `escaped` tells of those that took the bare tensor.
    pub(super) fn borrow_idle(&mut self) -> Option<Tensor> {
        (!self.escaped.load(Ordering::Acquire)).then(|| self.borrow())
    }
}

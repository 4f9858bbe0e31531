//! State values: a linear read-out of a hidden state, of the policy's own trunk or of a network beside it.

use crate::error::Result;
use crate::model::language::Transformer;
use tch::{Kind, Tensor};

/// Where the values of states come from.
pub enum ValueModel {
    /// A read-out of the policy's trunk.
    Head(ValueHead),
    /// A network of its own, whose first score is the value.
    Network(Box<Transformer>),
}

/// A linear read-out of the final hidden state.
pub struct ValueHead {
    /// [1, d]
    pub weight: Tensor,
    /// [1]
    pub bias: Tensor,
}

impl ValueModel {
    /// The network of its own, where it is one.
    pub(super) fn network(&self) -> Option<&Transformer> {
        match self {
            ValueModel::Head(_) => None,
            ValueModel::Network(network) => Some(network),
        }
    }

    /// The values [M] f32 of the states after `rows` i64 [M]. `hidden` [N, d] are the final hidden states of the network
    /// that it reads: its own, or the policy's.
    pub(super) fn read(&self, hidden: &Tensor, rows: &Tensor) -> Result<Tensor> {
        let chosen = hidden.f_index_select(0, rows)?; // [M, d]
        match self {
            ValueModel::Head(head) => Ok(read(&chosen, &head.weight)?.f_add(&head.bias)?),
            ValueModel::Network(network) => read(&chosen, &network.head().f_narrow(0, 0, 1)?),
        }
    }
}

/// hidden [M, d] → [M] f32. A sum per row, not a matrix product: its bits do not depend on M.
fn read(hidden: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let products = hidden.f_to_kind(Kind::Float)?.f_mul(weight)?;
    Ok(products.f_sum_dim_intlist([-1i64].as_slice(), false, Kind::Float)?)
}

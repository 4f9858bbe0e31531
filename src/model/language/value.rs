//! State values: a linear read-out of a hidden state, of the policy's own trunk or of a network beside it.

use crate::error::Result;
use crate::model::language::{Packed, Transformer};
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
    /// The values [M] f32 of the states after `rows` i64 [M] of `packed`, whose final hidden states in the policy are
    /// `hidden` [N, d].
    pub(super) fn read(&self, packed: &Packed, hidden: &Tensor, rows: &Tensor) -> Result<Tensor> {
        match self {
            ValueModel::Head(head) => Ok(read(&hidden.f_index_select(0, rows)?, &head.weight)?.f_add(&head.bias)?),
            ValueModel::Network(network) => {
                read(&network.hidden(packed)?.f_index_select(0, rows)?, &network.head().f_narrow(0, 0, 1)?)
            }
        }
    }
}

/// hidden [M, d] → [M] f32. A sum per row, not a matrix product: its bits do not depend on M.
fn read(hidden: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let products = hidden.f_to_kind(Kind::Float)?.f_mul(weight)?;
    Ok(products.f_sum_dim_intlist([-1i64].as_slice(), false, Kind::Float)?)
}

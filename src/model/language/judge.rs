//! Scores of whole texts: a reward model's read-outs of the final hidden states.
//!
//! The scores of a text are read at its last token, so it is given with its end token where it has one. The first score is
//! read at every response token that counts too: what a model of processes says after each step.

use crate::error::Result;
use crate::model::language::score::States;
use crate::model::language::{Packed, Sequence, Transformer};
use tch::{Kind, Tensor};

/// Where the texts of a packing are judged.
pub(super) struct Judged {
    /// The row of the last token of each text.
    ends: Vec<i64>,
    /// The states after the response tokens that count.
    pub tokens: States,
}

impl Judged {
    pub fn find(sequences: &[&Sequence], packed: &Packed, width: i64) -> Judged {
        let end = |(index, sequence): (usize, &&Sequence)| packed.start(index) + sequence.tokens.len() as i64 - 1;
        let ends = sequences.iter().enumerate().map(end).collect();
        let mut tokens = States { rows: Vec::new(), slots: Vec::new() };
        for (index, sequence) in sequences.iter().enumerate() {
            for token in (0..sequence.response_length()).filter(|token| sequence.counts(*token)) {
                tokens.rows.push(packed.start(index) + (sequence.prompt_length + token) as i64);
                tokens.slots.push(index as i64 * width + token as i64);
            }
        }
        Judged { ends, tokens }
    }

    /// The scores [S, K] of the texts and the first score [M] after each token, from final hidden states [N, d];
    /// differentiable where the parameters are.
    pub fn read(&self, transformer: &Transformer, hidden: &Tensor) -> Result<(Tensor, Tensor)> {
        let head = transformer.head();
        let scores = read(hidden, &self.ends, head)?; // [S, K]
        let after = read(hidden, &self.tokens.rows, &head.f_narrow(0, 0, 1)?)?.f_select(1, 0)?; // [M]
        Ok((scores, after))
    }
}

/// hidden [N, d] at M rows × head [K, d] → [M, K]. A sum per row, not a matrix product: its bits do not depend on M.
fn read(hidden: &Tensor, rows: &[i64], head: &Tensor) -> Result<Tensor> {
    let rows = Tensor::f_from_slice(rows)?.f_to_device(hidden.device())?;
    let chosen = hidden.f_index_select(0, &rows)?; // [M, d]
    let products = chosen.f_to_kind(Kind::Float)?.f_unsqueeze(1)?.f_mul(&head.f_to_kind(Kind::Float)?)?;
    Ok(products.f_sum_dim_intlist([-1i64].as_slice(), false, Kind::Float)?) // [M, K]
}

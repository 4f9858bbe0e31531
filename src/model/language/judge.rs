//! Scores of whole texts: a reward model's read-outs of the final hidden states.
//!
//! The scores of a text are read at its last token, so it is given with its end token where it has one. The first score is
//! read at every response token that counts too: what a model of processes says after each step.

use crate::error::Result;
use crate::model::language::score::{place, response_mask, result_width};
use crate::model::language::{Packed, ScoreOptions, Scores, Sequence, Transformer};
use tch::{Kind, Tensor};

/// Scores the texts `sequences`; differentiable where the parameters are. There are no log-probabilities: zeros stand for
/// them. `Data` as in [`score`](super::score).
pub(super) fn judge(transformer: &Transformer, sequences: &[&Sequence], options: &ScoreOptions) -> Result<Scores> {
    let width = result_width(sequences, options.width)?;
    let device = transformer.head().device();
    let texts: Vec<&[i32]> = sequences.iter().map(|sequence| sequence.tokens.as_slice()).collect();
    let packed = Packed::from_tokens(&texts, device)?;
    let hidden = transformer.hidden(&packed)?; // [N, d]
    let read = |rows: Vec<i64>, head: &Tensor| -> Result<Tensor> {
        let chosen = hidden.f_index_select(0, &Tensor::f_from_slice(&rows)?.f_to_device(device)?)?; // [M, d]
        let products = chosen.f_to_kind(Kind::Float)?.f_unsqueeze(1)?.f_mul(&head.f_to_kind(Kind::Float)?)?;
        // a sum per row, not a matrix product: its bits do not depend on M
        Ok(products.f_sum_dim_intlist([-1i64].as_slice(), false, Kind::Float)?) // [M, K]
    };
    let ends = (0..).zip(&texts).map(|(index, text)| packed.start(index) + text.len() as i64 - 1);
    let scores = read(ends.collect(), transformer.head())?; // [S, K]
    let (mut rows, mut slots) = (Vec::new(), Vec::new());
    for (index, sequence) in sequences.iter().enumerate() {
        for token in (0..sequence.response_length()).filter(|token| sequence.counts(*token)) {
            rows.push(packed.start(index) + (sequence.prompt_length + token) as i64);
            slots.push(index as i64 * width + token as i64);
        }
    }
    let token_scores = place(
        &read(rows, &transformer.head().f_narrow(0, 0, 1)?)?.f_select(1, 0)?,
        &slots,
        sequences.len() as i64,
        width,
    )?; // [S, T]
    let mask = response_mask(sequences, width, device); // [S, T]
    Ok(Scores {
        values: Some(token_scores),
        scores: Some(scores),
        ..Scores::of(&mask.f_zeros_like()?.f_to_kind(Kind::Float)?, &mask)
    })
}

//! What a network's outputs say of actions: log-probabilities and entropies, in libtorch. Their form in plain Rust is in
//! `kernel`.
//!
//! An action's log-probability is the sum over its branches: of the chosen index among the legal ones, and of each
//! continuous dimension as drawn, N(μ, σ²), before any bound.

use super::spec::{Branch, Spec};
use crate::error::Result;
use std::f64::consts::PI;
use tch::{Kind, Tensor};

/// Stands for the logit of an illegal choice: its probability is exactly 0 and its gradient too.
const NEVER: f64 = -1e30;

/// What a network says of observations and the actions that were taken there; [B] each, nats, nats, reward units.
#[derive(Debug)]
pub struct Evaluated {
    pub log_probs: Tensor,
    pub entropies: Tensor,
    pub values: Tensor,
}

/// Log-probabilities and entropies, [B] each, of `actions` [B, A] under `outputs` [B, W]; `legal` bool [B, choices] where
/// there are masks, `log_deviation` log σ, [dimensions]. Carries gradient.
pub(super) fn judge(
    spec: &Spec,
    outputs: &Tensor,
    log_deviation: Option<&Tensor>,
    actions: &Tensor,
    legal: Option<&Tensor>,
) -> Result<(Tensor, Tensor)> {
    let mut sums: Option<(Tensor, Tensor)> = None;
    let (mut output, mut number, mut choice, mut dimension) = (0, 0, 0, 0);
    for branch in &spec.branches {
        let (width, numbers) = (branch.outputs() as i64, branch.numbers() as i64);
        let parameters = outputs.f_narrow(1, output, width)?; // [B, W']
        let chosen = actions.f_narrow(1, number, numbers)?; // [B, A']
        let (log_probs, entropies) = match branch {
            Branch::Discrete { .. } => {
                let legal = legal.map(|legal| legal.f_narrow(1, choice, width)).transpose()?;
                choice += width;
                categorical(&parameters, &chosen, legal.as_ref())?
            }
            Branch::Continuous { .. } => {
                let log_deviation = log_deviation.map(|all| all.f_narrow(0, dimension, width)).transpose()?;
                dimension += width;
                normal(&parameters, &log_deviation.unwrap_or_else(|| parameters.zeros_like()), &chosen)?
            }
        };
        sums = Some(match sums {
            None => (log_probs, entropies),
            Some((all, entropy)) => (all + log_probs, entropy + entropies),
        });
        (output, number) = (output + width, number + numbers);
    }
    Ok(sums.unwrap_or_else(|| (outputs.sum_dim_intlist(1, false, None), outputs.sum_dim_intlist(1, false, None))))
}

/// log p(a) and −Σ p log p of a softmax over the legal choices, [B] each.
fn categorical(logits: &Tensor, chosen: &Tensor, legal: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
    let logits = match legal {
        Some(legal) => logits.f_masked_fill(&legal.logical_not(), NEVER)?,
        None => logits.shallow_clone(),
    };
    let log_probs = logits.f_log_softmax(1, None)?; // [B, C]
    let taken = log_probs.f_gather(1, &chosen.to_kind(Kind::Int64), false)?.f_squeeze_dim(1)?; // [B]
    let entropies = (log_probs.exp() * &log_probs).f_sum_dim_intlist(1, false, None)?.neg(); // [B]
    Ok((taken, entropies))
}

/// Σ log N(a; μ, σ²) and Σ (½ + ½ log 2π + log σ), [B] each.
fn normal(means: &Tensor, log_deviation: &Tensor, chosen: &Tensor) -> Result<(Tensor, Tensor)> {
    let half = 0.5 * (2.0 * PI).ln();
    let standard = (chosen - means) * log_deviation.neg().exp(); // [B, A']
    let log_probs = standard.square() * -0.5 - log_deviation - half; // [B, A']
    let entropy = (log_deviation + (0.5 + half)).expand_as(means); // [B, A']
    Ok((log_probs.f_sum_dim_intlist(1, false, None)?, entropy.f_sum_dim_intlist(1, false, None)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f64]) -> Tensor {
        Tensor::from_slice(values).view([1, -1])
    }

    #[test]
    fn illegal_choices_have_no_share() {
        let logits = row(&[0.0, 0.0, 50.0]).set_requires_grad(true);
        let legal = Tensor::from_slice(&[true, true, false]).view([1, 3]);
        let (log_prob, entropy) = categorical(&logits, &row(&[1.0]), Some(&legal)).unwrap();
        assert!((log_prob.double_value(&[0]) + 2f64.ln()).abs() < 1e-12);
        assert!((entropy.double_value(&[0]) - 2f64.ln()).abs() < 1e-12);
        (log_prob + entropy).backward();
        assert_eq!(logits.grad().double_value(&[0, 2]), 0.0);
    }

    #[test]
    fn a_normal_by_hand() {
        let log_deviation = Tensor::from_slice(&[0.0, 2f64.ln()]);
        let (log_prob, entropy) = normal(&row(&[1.0, -1.0]), &log_deviation, &row(&[2.0, 3.0])).unwrap();
        let half = 0.5 * (2.0 * PI).ln();
        assert!((log_prob.double_value(&[0]) - (-0.5 - half - 2.0 - 2f64.ln() - half)).abs() < 1e-12);
        assert!((entropy.double_value(&[0]) - (1.0 + 2.0 * half + 2f64.ln())).abs() < 1e-12);
    }
}

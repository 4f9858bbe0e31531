//! What a network's outputs say of actions: log-probabilities and entropies, in libtorch. Their form in plain Rust is in
//! `kernel`.
//!
//! An action's log-probability is the sum over its branches: of the chosen index among the legal ones, and of each
//! continuous dimension as drawn, before any bound; of a squashed or Beta one as handed out.

use super::spec::{Branch, Continuous, Spec};
use crate::config::Distribution;
use crate::error::{Error, Result, Status};
use crate::kernel::LOG_DEVIATIONS;
use std::f64::consts::PI;
use tch::{Kind, Tensor};

/// Stands for the logit of an illegal choice: its probability is exactly 0 and its gradient too.
const NEVER: f64 = -1e30;

/// Points of the quadrature of a squashed entropy, evenly within so many deviations of the mean.
const POINTS: i64 = 32;
const REACH: f64 = 5.0;

/// Beyond so many half widths from the middle a mean is charged (rl_games).
const SOFT_BOUND: f64 = 1.1;

/// What a network says of observations and the actions that were taken there; [B] each, nats, nats, reward units.
#[derive(Debug)]
pub struct Evaluated {
    pub log_probs: Tensor,
    pub entropies: Tensor,
    pub values: Tensor,
    /// Σ max(|u| − 1.1, 0)² over the means with two bounds, which are u = ±1; where it was asked for.
    pub beyond: Option<Tensor>,
}

/// How far the means of `outputs` [B, W] lie beyond their bounds, [B]; nothing where none is bounded. Carries gradient.
pub(super) fn beyond(spec: &Spec, outputs: &Tensor) -> Result<Option<Tensor>> {
    let bounds = spec.bounds();
    if bounds.is_empty() {
        return Ok(None);
    }
    let places: Vec<i64> = bounds.iter().map(|(place, ..)| *place as i64).collect();
    let middles: Vec<f32> = bounds.iter().map(|(_, low, high)| 0.5 * (low + high)).collect();
    let halves: Vec<f32> = bounds.iter().map(|(_, low, high)| 0.5 * (high - low)).collect();
    let means = outputs.f_index_select(1, &Tensor::f_from_slice(&places)?)?; // [B, M]
    let scaled = (means - Tensor::f_from_slice(&middles)?) / Tensor::f_from_slice(&halves)?; // [B, M]
    let over = (scaled.abs() - SOFT_BOUND).f_clamp_min(0.0)?; // [B, M]
    Ok(Some(over.square().f_sum_dim_intlist(1, false, None)?))
}

/// A branch with its columns of `outputs` [B, W].
struct Part<'a> {
    branch: &'a Branch,
    parameters: Tensor,
    /// log σ, [A'], where it is a parameter.
    log_deviation: Option<Tensor>,
    /// Where its numbers begin in an action, and its choices among all.
    number: i64,
    choice: i64,
}

/// The branches in their places; `log_deviation` log σ, [dimensions], where any is a parameter.
fn parts<'a>(spec: &'a Spec, outputs: &Tensor, log_deviation: Option<&Tensor>) -> Result<Vec<Part<'a>>> {
    let (mut output, mut number, mut choice, mut dimension) = (0, 0, 0, 0);
    let mut parts = Vec::with_capacity(spec.branches.len());
    for branch in &spec.branches {
        let width = branch.outputs() as i64;
        let (choices, own) = match branch {
            Branch::Discrete { choices } => (*choices as i64, 0),
            Branch::Continuous(continuous) => (0, continuous.parameters() as i64),
        };
        let log_deviation = log_deviation.filter(|_| own > 0).map(|all| all.f_narrow(0, dimension, own)).transpose()?;
        parts.push(Part { branch, parameters: outputs.f_narrow(1, output, width)?, log_deviation, number, choice });
        (output, number) = (output + width, number + branch.numbers() as i64);
        (choice, dimension) = (choice + choices, dimension + own);
    }
    Ok(parts)
}

impl Part<'_> {
    /// Its columns of actions [B, A].
    fn of(&self, actions: &Tensor) -> Result<Tensor> {
        Ok(actions.f_narrow(1, self.number, self.branch.numbers() as i64)?)
    }

    /// μ [B, A'] and log σ, [A'] or [B, A'], of a normal or squashed branch.
    fn moments(&self) -> Result<(Tensor, Tensor)> {
        if let Some(log_deviation) = &self.log_deviation {
            return Ok((self.parameters.shallow_clone(), log_deviation.shallow_clone()));
        }
        let size = self.branch.numbers() as i64;
        let [low, high] = LOG_DEVIATIONS.map(f64::from);
        Ok((self.parameters.f_narrow(1, 0, size)?, self.parameters.f_narrow(1, size, size)?.f_clamp(low, high)?))
    }
}

/// Log-probabilities and entropies, [B] each, of `actions` [B, A] under `outputs` [B, W]; `legal` bool [B, choices] where
/// there are masks, `log_deviation` log σ, [dimensions], where any is a parameter. Carries gradient.
pub(super) fn judge(
    spec: &Spec,
    outputs: &Tensor,
    log_deviation: Option<&Tensor>,
    actions: &Tensor,
    legal: Option<&Tensor>,
) -> Result<(Tensor, Tensor)> {
    let mut sums: Option<(Tensor, Tensor)> = None;
    for part in parts(spec, outputs, log_deviation)? {
        let chosen = part.of(actions)?; // [B, A']
        let (log_probs, entropies) = match part.branch {
            Branch::Discrete { choices } => {
                let legal = legal.map(|legal| legal.f_narrow(1, part.choice, *choices as i64)).transpose()?;
                categorical(&part.parameters, &chosen, legal.as_ref())?
            }
            Branch::Continuous(own) => match own.distribution {
                Distribution::Beta => beta(&part.parameters, own, &chosen)?,
                Distribution::Normal => {
                    let (means, log_deviation) = part.moments()?;
                    normal(&means, &log_deviation, &chosen)?
                }
                Distribution::Squashed => {
                    let (means, log_deviation) = part.moments()?;
                    let (log_probs, entropies) = normal(&means, &log_deviation, &chosen)?;
                    let stretch = own.size as f64 * own.scale().ln();
                    let expected = expected_log_slope(&means, &log_deviation)?;
                    (
                        log_probs - log_slope(&chosen)?.f_sum_dim_intlist(1, false, None)? - stretch,
                        entropies + expected + stretch,
                    )
                }
            },
        };
        sums = Some(match sums {
            None => (log_probs, entropies),
            Some((all, entropy)) => (all + log_probs, entropy + entropies),
        });
    }
    Ok(sums.unwrap_or_else(|| (outputs.sum_dim_intlist(1, false, None), outputs.sum_dim_intlist(1, false, None))))
}

/// Actions x = μ + σ·ε [B, A] as they are recorded, and their log-probabilities [B], from standard normal `noise` [B, A]; both
/// carry gradient. Refuses what is not normal or squashed.
pub(super) fn reparameterized(
    spec: &Spec,
    outputs: &Tensor,
    log_deviation: Option<&Tensor>,
    noise: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let (mut actions, mut log_probs) = (Vec::new(), Vec::new());
    for part in parts(spec, outputs, log_deviation)? {
        let own = match part.branch {
            Branch::Continuous(own) if own.distribution != Distribution::Beta => own,
            _ => return Err(Error::new(Status::Unsupported, "sample: expected normal or squashed actions alone")),
        };
        let (means, log_deviation) = part.moments()?;
        let noise = part.of(noise)?;
        let chosen = means + log_deviation.exp() * &noise; // [B, A']
        let mut each = noise.square() * -0.5 - log_deviation - 0.5 * (2.0 * PI).ln();
        if own.distribution == Distribution::Squashed {
            each = each - log_slope(&chosen)? - own.scale().ln();
        }
        actions.push(chosen);
        log_probs.push(each.f_sum_dim_intlist(1, false, None)?);
    }
    Ok((Tensor::f_cat(&actions, 1)?, Tensor::f_stack(&log_probs, 1)?.f_sum_dim_intlist(1, false, None)?))
}

/// What hosts get for recorded actions [B, A]: within bounds, squashed and scaled where they are. Carries gradient.
pub(super) fn handed_out(spec: &Spec, actions: &Tensor) -> Result<Tensor> {
    let (mut all, mut number) = (Vec::new(), 0);
    for branch in &spec.branches {
        let own = actions.f_narrow(1, number, branch.numbers() as i64)?;
        number += branch.numbers() as i64;
        all.push(match branch {
            Branch::Discrete { .. } => own,
            Branch::Continuous(continuous) => match continuous.distribution {
                Distribution::Normal => own.f_clamp(f64::from(continuous.low), f64::from(continuous.high))?,
                Distribution::Squashed => own.f_tanh()? * continuous.scale() + continuous.middle(),
                Distribution::Beta => own * (2.0 * continuous.scale()) + f64::from(continuous.low),
            },
        });
    }
    Ok(Tensor::f_cat(&all, 1)?)
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

/// log |d tanh x / dx| = 2(log 2 − x − softplus(−2x)), element by element.
fn log_slope(x: &Tensor) -> Result<Tensor> {
    Ok(((x * -2.0).f_softplus()?.neg() - x + 2f64.ln()) * 2.0)
}

/// Σ E log |d tanh x / dx| over the dimensions, [B], by the quadrature of the kernel.
fn expected_log_slope(means: &Tensor, log_deviation: &Tensor) -> Result<Tensor> {
    let places = Tensor::f_linspace(-REACH, REACH, POINTS, (means.kind(), means.device()))?;
    let weights = (places.square() * -0.5).f_softmax(0, None)?;
    let x = means.f_unsqueeze(-1)? + log_deviation.exp().f_unsqueeze(-1)? * places; // [B, A', POINTS]
    Ok(log_slope(&x)?.f_matmul(&weights)?.f_sum_dim_intlist(1, false, None)?)
}

/// Σ log p(y) and Σ H of Beta distributions, [B] each, of what is handed out for y in (0, 1); in float64.
fn beta(parameters: &Tensor, own: &Continuous, chosen: &Tensor) -> Result<(Tensor, Tensor)> {
    let shapes = parameters.f_to_kind(Kind::Double)?.f_softplus()? + 1.0; // [B, 2A']
    let size = own.size as i64;
    let (alpha, beta, y) =
        (shapes.f_narrow(1, 0, size)?, shapes.f_narrow(1, size, size)?, chosen.f_to_kind(Kind::Double)?);
    let (both, width) = (&alpha + &beta, (2.0 * own.scale()).ln());
    let normalizer = alpha.f_lgamma()? + beta.f_lgamma()? - both.f_lgamma()?;
    let log_probs = (&alpha - 1.0) * y.f_log()? + (&beta - 1.0) * y.neg().f_log1p()? - &normalizer - width;
    let entropies = normalizer - (&alpha - 1.0) * alpha.f_digamma()? - (&beta - 1.0) * beta.f_digamma()?
        + (&both - 2.0) * both.f_digamma()?
        + width;
    let sum =
        |each: Tensor| -> Result<Tensor> { Ok(each.f_sum_dim_intlist(1, false, None)?.f_to_kind(parameters.kind())?) };
    Ok((sum(log_probs)?, sum(entropies)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Likelihoods, Scratch};
    use crate::model::arena::Layout;
    use serde_json::{json, Value};

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

    fn numbers(case: &Value, name: &str) -> Vec<f64> {
        case[name].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    }

    fn close(found: &[f32], expected: &[f64], near: f64, what: &str) {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (found, expected) in found.iter().zip(expected) {
            let error = (f64::from(*found) - expected).abs() / expected.abs().max(1.0);
            assert!(error <= near, "{what}: {found} for {expected}");
        }
    }

    /// tests/golden/make/gen_control.py, by both twins, and the slopes by autograd.
    #[test]
    fn distributions_are_those_of_the_peer() {
        let text =
            std::fs::read_to_string(format!("{}/tests/golden/control/distributions.json", env!("CARGO_MANIFEST_DIR")));
        let cases: Value = serde_json::from_str(&text.unwrap()).unwrap();
        for case in cases.as_array().unwrap() {
            let mut action = json!({"type": "continuous", "name": "a"});
            for name in ["distribution", "deviation", "low", "high", "size"] {
                action[name] = case[name].clone();
            }
            let what = format!("{} {}", action["distribution"], action["deviation"]);
            let config = json!({"model_type": "control", "observations": [{"type": "vector", "name": "o", "size": 1}],
                                "actions": [action]});
            let (spec, rows) = (Spec::parse(&config).unwrap(), 6);
            let [outputs, log_deviation, recorded] =
                ["outputs", "log_deviation", "recorded"].map(|name| numbers(case, name));
            let wide = |numbers: &[f64]| Tensor::from_slice(numbers).view([rows, -1]);
            let (leaf, free) = (wide(&outputs), Tensor::from_slice(&log_deviation));
            let (leaf, free) = (leaf.set_requires_grad(true), free.set_requires_grad(true));
            let parameters = (spec.dimensions > 0).then_some(&free);
            let (log_probs, entropies) = judge(&spec, &leaf, parameters, &wide(&recorded), None).unwrap();
            (log_probs.sum(Kind::Double) + entropies.sum(Kind::Double) * 0.3).backward();
            let floats =
                |tensor: &Tensor| Vec::<f32>::try_from(tensor.detach().to_kind(Kind::Float).view([-1])).unwrap();
            let [expected, spread] = ["log_probs", "entropies"].map(|name| numbers(case, name));
            close(&floats(&log_probs), &expected, 1e-6, &what);
            close(&floats(&entropies), &spread, 1e-5, &what);
            close(&floats(&leaf.grad()), &numbers(case, "output_slopes"), 1e-5, &what);
            if spec.dimensions > 0 {
                close(&floats(&free.grad()), &numbers(case, "deviation_slopes"), 1e-5, &what);
            }

            let layout = Layout::new(&spec.parameters());
            let network = super::super::flat::network(&spec, &layout);
            let narrow = |numbers: &[f64]| numbers.iter().map(|number| *number as f32).collect::<Vec<f32>>();
            let mut weights = vec![0.0; layout.len as usize];
            weights[network.log_deviation..][..log_deviation.len()].copy_from_slice(&narrow(&log_deviation));
            let (mut log_probs, mut entropies) = (vec![0.0; 6], vec![0.0; 6]);
            let likelihoods = Likelihoods { log_probs: &mut log_probs, entropies: &mut entropies };
            let scratch = &mut Scratch::new(&network);
            network.evaluate(&weights, &narrow(&outputs), None, &narrow(&recorded), scratch, likelihoods);
            close(&log_probs, &expected, 2e-6, &format!("{what} by the kernel"));
            close(&entropies, &spread, 1e-5, &format!("{what} by the kernel"));
        }
    }

    #[test]
    fn reparameterised_actions_have_the_log_probabilities_that_judging_gives_them() {
        let config = json!({"model_type": "control", "observations": [{"type": "vector", "name": "o", "size": 1}], "actions": [
            {"type": "continuous", "name": "a", "size": 2, "low": -3, "high": 1, "distribution": "squashed", "deviation": "state"},
            {"type": "continuous", "name": "b", "size": 1, "low": 0, "high": 1},
        ]});
        let spec = Spec::parse(&config).unwrap();
        let outputs = row(&[0.3, -0.8, -1.0, 0.5, 0.9]).set_requires_grad(true);
        let log_deviation = Tensor::from_slice(&[-0.2]);
        let noise = row(&[1.0, -0.5, 2.0]);
        let (actions, log_probs) = reparameterized(&spec, &outputs, Some(&log_deviation), &noise).unwrap();
        let (judged, _) = judge(&spec, &outputs.detach(), Some(&log_deviation), &actions.detach(), None).unwrap();
        assert!((log_probs.double_value(&[0]) - judged.double_value(&[0])).abs() < 1e-8);
        let given = Vec::<f64>::try_from(handed_out(&spec, &actions).unwrap().detach().view([-1])).unwrap();
        let x = [0.3 + (-1f64).exp(), -0.8 - 0.5 * 0.5f64.exp()];
        for (given, expected) in given.iter().zip([-1.0 + 2.0 * x[0].tanh(), -1.0 + 2.0 * x[1].tanh(), 1.0]) {
            assert!((given - expected).abs() < 1e-12, "{given} for {expected}");
        }
        // log π of x = μ + σε depends on μ by the slope of the tanh alone: 2 tanh x
        log_probs.backward();
        for (place, expected) in [2.0 * x[0].tanh(), 2.0 * x[1].tanh()].into_iter().enumerate() {
            assert!((outputs.grad().double_value(&[0, place as i64]) - expected).abs() < 1e-8);
        }
        let beta = json!([{"type": "continuous", "name": "a", "size": 1, "low": 0, "high": 1, "distribution": "beta"}]);
        let spec =
            Spec::parse(&json!({"actions": beta, "model_type": "control", "observations": config["observations"]}))
                .unwrap();
        let error = reparameterized(&spec, &row(&[0.0, 0.0]), None, &row(&[0.0])).unwrap_err();
        assert_eq!(error.status, Status::Unsupported);
    }
}

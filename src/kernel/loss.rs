//! The loss of one row and its slopes: the clipped surrogate, the entropy, the clipped squared error of the value.
//!
//! The twin of `math::policy` and `math::value`, with the gradient written out. Scalars are float64.

use super::distribution::evaluate;
use super::network::{Head, Network, Row};
use super::simd::Vector;
use super::softmax::index;

/// Beyond this log-ratio, in nats, the ratio stays and its slope is 0.
const LOG_RATIO_LIMIT: f64 = 20.0;

/// Beyond so many half widths from the middle an output is charged.
const SOFT_BOUND: f64 = 1.1;

/// An output of the policy, and the bounds of what it is the mean of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    pub output: usize,
    pub low: f32,
    /// > low; both are finite.
    pub high: f32,
}

/// How far a new value may leave the old one before it stops to count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueClip {
    /// E = (V − R)²
    None,
    /// E = max((V − R)², (V_old + clip(V − V_old, ±c) − R)²)
    Maximum(f64),
    /// E = (V_old + clip(V − V_old, ±c) − R)², as Stable-Baselines3 has it
    Clipped(f64),
}

/// What is minimised: the mean over the rows of
///
/// ```text
/// max(−Âρ, −Â·clip(ρ, 1 − ε_low, 1 + ε_high)) − c_H·H + c_V·f·E + c_B·O,   ρ = exp(clamp(log π − log π_old, ±20))
/// O = Σ max(|u| − 1.1, 0)² over the bounded outputs, u = (output − middle) / half width
/// ```
///
/// Source: Schulman et al. 2017 (arXiv 1707.06347), equations 7 and 9.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// ε_low, in [0, 1].
    pub clip_low: f64,
    /// ε_high, ≥ 0.
    pub clip_high: f64,
    pub value_clip: ValueClip,
    /// c_V, ≥ 0.
    pub value_coef: f64,
    /// f, ½ or 1.
    pub value_factor: f64,
    /// c_H, ≥ 0.
    pub entropy_coef: f64,
    /// c_B, ≥ 0.
    pub bound_coef: f64,
}

/// Means over a batch, without gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// The clipped surrogate, in the unit of the advantages.
    pub policy_loss: f64,
    /// E, squared units of the returns, neither factor nor coefficient applied.
    pub value_loss: f64,
    /// H, nats, summed over the heads.
    pub entropy: f64,
    /// O, without unit.
    pub beyond: f64,
    /// What is minimised.
    pub total: f64,
    /// k3 = (ρ − 1) − log ρ, nats.
    pub kl: f64,
    /// The share of rows with ρ outside [1 − ε_low, 1 + ε_high].
    pub clip_fraction: f64,
    /// The largest |log π − log π_old|, nats, before the clamp (**maximum**).
    pub ratio_max_log: f64,
}

/// What a row's policy loss is computed from besides the outputs.
#[derive(Clone, Copy)]
pub(super) struct PolicyRow<'a> {
    pub mask: Option<&'a [u8]>,
    pub actions: &'a [f32],
    /// log π_old.
    pub log_prob: f32,
    pub advantage: f32,
    /// 1 / B.
    pub share: f64,
}

/// The larger of two; NaN if either is.
#[inline(always)]
fn larger(first: f64, second: f64) -> f64 {
    if first >= second || first.is_nan() {
        first
    } else {
        second
    }
}

/// −Â·ρ clipped, added to `measured` with its diagnostics; returns d/d(log π).
#[inline(always)]
fn surrogate(rule: &Rule, log_prob: f32, row: PolicyRow<'_>, measured: &mut Measured) -> f64 {
    let (advantage, free) = (f64::from(row.advantage), f64::from(log_prob) - f64::from(row.log_prob));
    let log_ratio = free.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
    let less_one = log_ratio.exp_m1();
    let ratio = less_one + 1.0;
    let (low, high) = (1.0 - rule.clip_low, 1.0 + rule.clip_high);
    let (plain, clipped) = (-advantage * ratio, -advantage * ratio.clamp(low, high));
    measured.policy_loss += larger(plain, clipped);
    measured.kl += less_one - log_ratio;
    measured.clip_fraction += if ratio < low || ratio > high { 1.0 } else { 0.0 };
    measured.ratio_max_log = larger(measured.ratio_max_log, free.abs());
    if clipped > plain || free.abs() > LOG_RATIO_LIMIT {
        0.0
    } else {
        plain
    }
}

/// One row of the policy: adds its loss to `measured`, writes d(loss)/d(outputs) and adds d(loss)/d(log deviations).
///
/// * `outputs`, `slopes`: `[width]`; `deviation_slopes`: one per log deviation among the weights.
#[inline(always)]
pub(super) fn policy_row<V: Vector>(
    (network, weights, rule): (&Network, &[f32], &Rule),
    memory: &mut Row,
    outputs: &[f32],
    row: PolicyRow<'_>,
    slopes: &mut [f32],
    deviation_slopes: &mut [f32],
    measured: &mut Measured,
) {
    let (log_prob, entropy) = evaluate::<V>(network, weights, memory, outputs, row.mask, row.actions);
    measured.entropy += f64::from(entropy);
    let along = (surrogate(rule, log_prob, row, measured) * row.share) as f32;
    let spread = (rule.entropy_coef * row.share) as f32;
    for (part, softmax) in network.parts().zip(&memory.softmaxes) {
        let (outputs, actions) = (part.outputs(outputs), &row.actions[part.action..]);
        let slopes = &mut slopes[part.output..][..outputs.len()];
        match part.head {
            Head::Categorical { choices } => {
                let legal = part.legal(row.mask);
                let weights = &memory.weights[part.choice..][..choices];
                let (chosen, entropy) = (index(actions[0], choices), softmax.entropy(outputs, weights));
                for (j, slope) in slopes.iter_mut().enumerate() {
                    let p = softmax.probability(weights[j]);
                    let taken = if chosen == Some(j) { 1.0 } else { 0.0 };
                    let surprise = if p == 0.0 { 0.0 } else { p * (softmax.log_prob(outputs[j]) + entropy) };
                    let possible = legal.is_none_or(|legal| legal[j] != 0);
                    *slope = if possible { along * (taken - p) + spread * surprise } else { 0.0 };
                }
            }
            Head::Gaussian { size } => {
                let dimensions = part.deviation..part.deviation + size;
                for (k, (precision, slope)) in
                    memory.precisions[dimensions.clone()].iter().zip(&mut deviation_slopes[dimensions]).enumerate()
                {
                    let z = (actions[k] - outputs[k]) * precision;
                    slopes[k] = along * z * precision;
                    *slope += along * (z * z - 1.0) - spread;
                }
            }
            Head::Dimensions { size, family } => {
                let deviations = &mut deviation_slopes[part.deviation..][..part.head.deviations()];
                let head = part.dimensions((size, family), network, weights, outputs);
                head.slope(&memory.families, actions, (along, spread), slopes, deviations);
            }
        }
    }
}

/// Outputs of one row beyond their bounds: adds O to `measured` and d(loss)/d(outputs) to `slopes`.
#[inline(always)]
pub(super) fn bound_row(
    rule: &Rule,
    bounds: &[Bound],
    outputs: &[f32],
    share: f64,
    slopes: &mut [f32],
    measured: &mut Measured,
) {
    for bound in bounds {
        let (low, high) = (f64::from(bound.low), f64::from(bound.high));
        let (middle, half) = (0.5 * (low + high), 0.5 * (high - low));
        let scaled = (f64::from(outputs[bound.output]) - middle) / half;
        let over = scaled - scaled.clamp(-SOFT_BOUND, SOFT_BOUND);
        measured.beyond += over * over;
        slopes[bound.output] += (rule.bound_coef * share * 2.0 * over / half) as f32;
    }
}

/// One row of the value model: adds E to `measured` and returns d(loss)/dV.
#[inline(always)]
pub(super) fn value_row(
    rule: &Rule,
    (value, old, expected): (f32, f32, f32),
    share: f64,
    measured: &mut Measured,
) -> f32 {
    let (value, old, expected) = (f64::from(value), f64::from(old), f64::from(expected));
    let error = value - expected;
    let clipped = |limit: f64| {
        let error = old + (value - old).clamp(-limit, limit) - expected;
        (error * error, if (value - old).abs() > limit { 0.0 } else { 2.0 * error })
    };
    let (squared, slope) = match rule.value_clip {
        ValueClip::None => (error * error, 2.0 * error),
        ValueClip::Clipped(limit) => clipped(limit),
        ValueClip::Maximum(limit) => {
            let (other, slope) = clipped(limit);
            let squared = larger(error * error, other);
            (squared, if other > error * error { slope } else { 2.0 * error })
        }
    };
    measured.value_loss += squared;
    (rule.value_coef * rule.value_factor * share * slope) as f32
}

impl Measured {
    /// From sums over `rows` rows to means.
    pub(super) fn mean(mut self, rule: &Rule, rows: usize) -> Measured {
        let losses = [&mut self.policy_loss, &mut self.value_loss, &mut self.entropy, &mut self.beyond];
        for sum in losses.into_iter().chain([&mut self.kl, &mut self.clip_fraction]) {
            *sum /= rows as f64;
        }
        let value = rule.value_coef * rule.value_factor * self.value_loss;
        self.total = self.policy_loss - rule.entropy_coef * self.entropy + value + rule.bound_coef * self.beyond;
        self
    }
}

//! The two families of action distributions, one row at a time: what acting and learning have in common, so that both
//! give a log-probability with the same bits.

use super::activation::{log, map, Exp};
use super::simd::Vector;

/// ½ log 2π.
const HALF_LOG_TAU: f32 = 0.918_938_5;

/// A categorical distribution: where its logits' normaliser lies.
#[derive(Clone, Copy, Default)]
pub(super) struct Softmax {
    pub max: f32,
    /// Σ_j exp(l_j − max).
    pub sum: f32,
    pub log_sum: f32,
}

/// The distribution of a branch, and p_j · `sum` of every choice in `weights`: exactly 0 where it is not legal.
///
/// * `logits`: `[choices]`; `legal`: `[choices]`, 0 = not legal, none = all legal.
///
/// Without a legal choice, or with a NaN logit on one, all that is computed from it is NaN.
#[inline(always)]
pub(super) fn softmax<V: Vector>(logits: &[f32], legal: Option<&[u8]>, weights: &mut [f32]) -> Softmax {
    assert_eq!(logits.len(), weights.len());
    match legal {
        Some(legal) => {
            for ((weight, logit), legal) in weights.iter_mut().zip(logits).zip(legal) {
                *weight = if *legal != 0 { *logit } else { f32::NEG_INFINITY };
            }
        }
        None => weights.copy_from_slice(logits),
    }
    let max = weights.iter().fold(f32::NEG_INFINITY, |max, logit| if *logit > max { *logit } else { max });
    for weight in weights.iter_mut() {
        *weight -= max;
    }
    map::<V, Exp>(weights);
    let sum = weights.iter().sum();
    Softmax { max, sum, log_sum: log(sum) }
}

impl Softmax {
    /// log p of a choice with this logit.
    #[inline(always)]
    pub fn log_prob(self, logit: f32) -> f32 {
        (logit - self.max) - self.log_sum
    }

    /// p of a choice with this weight.
    #[inline(always)]
    pub fn probability(self, weight: f32) -> f32 {
        weight / self.sum
    }

    /// H = −Σ p log p over the choices of positive probability.
    #[inline(always)]
    pub fn entropy(self, logits: &[f32], weights: &[f32]) -> f32 {
        let mut mean = 0.0;
        for (logit, weight) in logits.iter().zip(weights) {
            if *weight != 0.0 {
                mean += weight * (logit - self.max);
            }
        }
        self.log_sum - mean / self.sum
    }
}

/// The log-probability of a branch's recorded choice; −∞ where it is not legal, NaN where it is no choice.
#[inline(always)]
pub(super) fn choice_log_prob(softmax: Softmax, logits: &[f32], legal: Option<&[u8]>, action: f32) -> f32 {
    match index(action, logits.len()) {
        Some(choice) if legal.is_none_or(|legal| legal[choice] != 0) => softmax.log_prob(logits[choice]),
        Some(_) => f32::NEG_INFINITY + softmax.log_sum * 0.0,
        None => f32::NAN,
    }
}

/// The choice that an action names, if it is one of so many.
#[inline(always)]
pub(super) fn index(action: f32, choices: usize) -> Option<usize> {
    (action >= 0.0 && action < choices as f32).then_some(action as usize)
}

/// log N(action; mean, deviation) with precision = 1 / deviation.
#[inline(always)]
pub(super) fn normal_log_prob(action: f32, mean: f32, precision: f32, log_deviation: f32) -> f32 {
    let z = (action - mean) * precision;
    -0.5 * z * z - log_deviation - HALF_LOG_TAU
}

/// The entropy of one Gaussian dimension, ½ + ½ log 2π + log σ, nats.
#[inline(always)]
pub(super) fn normal_entropy(log_deviation: f32) -> f32 {
    0.5 + HALF_LOG_TAU + log_deviation
}

//! Continuous distributions beside the normal one of one deviation for all states: their draws, log-probabilities, entropies
//! and slopes, one row at a time.
//!
//! A head of `size` dimensions reads its means and then, where the deviation is the state's, as many log deviations; Beta
//! reads as many numbers twice. Acting and learning take log-probabilities from the same arithmetic, to the bit.

mod beta;
#[cfg(test)]
pub(super) mod tests;

pub(super) use beta::divergence as beta_divergence;

use super::activation::{exp, log, map, Exp, Function};
use super::buffer::Buffer;
use super::network::{Head, Network};
use super::random::Key;
use super::simd::Vector;
use super::softmax::{normal_entropy, normal_log_prob};

/// Log deviations that are outputs stay within this; beyond, their slope is 0. Source: Haarnoja 2018, the authors' code.
pub const LOG_DEVIATIONS: [f32; 2] = [-20.0, 2.0];
/// Recorded Beta numbers keep this distance from 0 and 1.
pub const EDGE: f32 = 1e-6;
/// Points of the quadrature of a squashed entropy.
const POINTS: usize = 32;
/// The points lie evenly within so many deviations of the mean.
const REACH: f64 = 5.0;

/// What the numbers of an action are drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Family {
    /// N(μ, σ²) with log σ an output.
    Normal,
    /// x of N(μ, σ²), handed out as tanh x on a scale; of what is handed out are the probabilities.
    Squashed {
        /// Whether log σ is an output, rather than a parameter.
        state: bool,
        /// log of half the width of the bounds.
        log_scale: f32,
    },
    /// y of Beta(α, β), α and β 1 + softplus of two outputs, handed out on a scale; of what is handed out are the
    /// probabilities.
    Beta {
        /// log of the width of the bounds.
        log_width: f32,
    },
}

impl Family {
    /// Outputs of the network for each dimension.
    pub(super) fn outputs(self) -> usize {
        match self {
            Family::Squashed { state: false, .. } => 1,
            _ => 2,
        }
    }

    /// Whether log deviations are parameters.
    pub(super) fn has_parameters(self) -> bool {
        matches!(self, Family::Squashed { state: false, .. })
    }
}

/// log |d tanh x / dx| = 2(log 2 − |x| − log(1 + e^(−2|x|))), the last exponential given.
#[inline(always)]
fn log_slope(x: f32, exponential: f32) -> f32 {
    2.0 * (std::f32::consts::LN_2 - x.abs() - log(1.0 + exponential))
}

/// e^(−2|x|)
struct Decay;

impl Function for Decay {
    #[inline(always)]
    fn at<V: Vector>(x: V) -> V {
        exp(x.abs() * V::splat(-2.0))
    }
}

/// E log |d tanh x / dx| under a normal distribution, and its slopes by μ and by log σ.
#[derive(Clone, Copy, Default)]
struct Expected {
    value: f32,
    by_mean: f32,
    by_log_deviation: f32,
}

/// Memory for the families of one row; each array is as long as the action, or empty where there is none.
pub(super) struct Memory {
    log_deviations: Buffer,
    deviations: Buffer,
    precisions: Buffer,
    exponentials: Buffer,
    expected: Vec<Expected>,
    /// Places in deviations from the mean, and what each weighs.
    points: Buffer,
    weights: Buffer,
    at: Buffer,
    decayed: Buffer,
}

impl Memory {
    pub fn new(network: &Network) -> Memory {
        let any = network.heads.iter().any(|head| matches!(head, Head::Dimensions { .. }));
        let (size, count) = if any { (network.actions(), POINTS) } else { (0, 0) };
        let (mut points, mut weights) = (Buffer::new(count), Buffer::new(count));
        let place = |i: usize| (2.0 * i as f64 / (POINTS - 1) as f64 - 1.0) * REACH;
        let sum: f64 = (0..POINTS).map(|i| (-0.5 * place(i).powi(2)).exp()).sum();
        for (i, (point, weight)) in points.iter_mut().zip(weights.iter_mut()).enumerate() {
            (*point, *weight) = (place(i) as f32, ((-0.5 * place(i).powi(2)).exp() / sum) as f32);
        }
        Memory {
            log_deviations: Buffer::new(size),
            deviations: Buffer::new(size),
            precisions: Buffer::new(size),
            exponentials: Buffer::new(size),
            expected: vec![Expected::default(); size],
            points,
            weights,
            at: Buffer::new(count),
            decayed: Buffer::new(count),
        }
    }

    /// The trapezoidal rule on 32 points within 5 deviations, weights of sum 1. Off by less than 1e-5 for σ ≤ 2, 2e-3 for
    /// σ ≤ 5 and 1e-2 for σ ≤ e².
    #[inline(always)]
    fn expect<V: Vector>(&mut self, mean: f32, deviation: f32) -> Expected {
        for (x, point) in self.at.iter_mut().zip(self.points.iter()) {
            *x = mean + deviation * point;
        }
        self.decayed.copy_from_slice(&self.at);
        map::<V, Decay>(&mut self.decayed);
        let mut all = Expected::default();
        let places = self.at.iter().zip(self.decayed.iter()).zip(self.points.iter().zip(self.weights.iter()));
        for ((x, decayed), (point, weight)) in places {
            let slope = weight * -2.0 * ((1.0 - decayed) / (1.0 + decayed)).copysign(*x);
            all.value += weight * log_slope(*x, *decayed);
            all.by_mean += slope;
            all.by_log_deviation += slope * deviation * point;
        }
        all
    }
}

/// One head of one row: its family and what its numbers are computed from.
pub(super) struct Dimensions<'a> {
    pub family: Family,
    pub size: usize,
    /// Where its numbers stand in the action.
    pub action: usize,
    pub outputs: &'a [f32],
    /// The log deviations that are parameters, perhaps none.
    pub parameters: &'a [f32],
}

impl Dimensions<'_> {
    /// Log deviations, deviations and their reciprocals into the memory.
    #[inline(always)]
    fn spread<V: Vector>(&self, memory: &mut Memory) {
        let place = self.action..self.action + self.size;
        let logs = &mut memory.log_deviations[place.clone()];
        match self.family.has_parameters() {
            true => logs.copy_from_slice(self.parameters),
            false => {
                let [low, high] = LOG_DEVIATIONS;
                logs.iter_mut()
                    .zip(&self.outputs[self.size..])
                    .for_each(|(log, output)| *log = output.clamp(low, high));
            }
        }
        memory.deviations[place.clone()].copy_from_slice(logs);
        memory.precisions[place.clone()].iter_mut().zip(&*logs).for_each(|(precision, log)| *precision = -log);
        map::<V, Exp>(&mut memory.deviations[place.clone()]);
        map::<V, Exp>(&mut memory.precisions[place]);
    }

    /// The head's numbers, where standard normal ones stand in `actions` unless there is no key: then the mean. Returns
    /// their log-probability.
    #[inline(always)]
    pub fn draw<V: Vector>(&self, memory: &mut Memory, key: Option<Key>, actions: &mut [f32]) -> f32 {
        let actions = &mut actions[..self.size];
        if let Family::Beta { log_width } = self.family {
            let key = key.map(Key::derived);
            return beta::draw(self.outputs, key, self.action, actions) - self.size as f32 * log_width;
        }
        self.spread::<V>(memory);
        for (k, (mean, action)) in self.outputs.iter().zip(actions.iter_mut()).enumerate() {
            let noise = if key.is_some() { memory.deviations[self.action + k] * *action } else { 0.0 };
            *action = mean + noise;
        }
        self.log_prob::<V>(memory, actions)
    }

    /// Of numbers of a normal or squashed head, whose deviations are in the memory.
    #[inline(always)]
    fn log_prob<V: Vector>(&self, memory: &mut Memory, actions: &[f32]) -> f32 {
        let mut sum = 0.0;
        for (k, (mean, action)) in self.outputs.iter().zip(actions).enumerate() {
            let place = self.action + k;
            sum += normal_log_prob(*action, *mean, memory.precisions[place], memory.log_deviations[place]);
        }
        if let Family::Squashed { log_scale, .. } = self.family {
            let exponentials = &mut memory.exponentials[self.action..self.action + self.size];
            exponentials.copy_from_slice(actions);
            map::<V, Decay>(exponentials);
            for (action, exponential) in actions.iter().zip(&*exponentials) {
                sum -= log_slope(*action, *exponential) + log_scale;
            }
        }
        sum
    }

    /// Log-probability and entropy of recorded numbers; what [`Dimensions::slope`] reads is left in the memory.
    #[inline(always)]
    pub fn evaluate<V: Vector>(&self, memory: &mut Memory, actions: &[f32]) -> (f32, f32) {
        let actions = &actions[..self.size];
        if let Family::Beta { log_width } = self.family {
            let (log_prob, entropy) = beta::evaluate(self.outputs, actions);
            let width = self.size as f32 * log_width;
            return (log_prob - width, entropy + width);
        }
        self.spread::<V>(memory);
        let log_prob = self.log_prob::<V>(memory, actions);
        let mut entropy = 0.0;
        for k in 0..self.size {
            let place = self.action + k;
            entropy += normal_entropy(memory.log_deviations[place]);
            if let Family::Squashed { log_scale, .. } = self.family {
                let expected = memory.expect::<V>(self.outputs[k], memory.deviations[place]);
                memory.expected[place] = expected;
                entropy += expected.value + log_scale;
            }
        }
        (log_prob, entropy)
    }

    /// Behind `evaluate`: the slopes of `along` · log π − `spread` · H at the outputs, and added at the parameters.
    #[inline(always)]
    pub fn slope(
        &self,
        memory: &Memory,
        actions: &[f32],
        (along, spread): (f32, f32),
        slopes: &mut [f32],
        parameter_slopes: &mut [f32],
    ) {
        if let Family::Beta { .. } = self.family {
            return beta::slope(self.outputs, &actions[..self.size], (along, spread), slopes);
        }
        let squashed = matches!(self.family, Family::Squashed { .. });
        for k in 0..self.size {
            let place = self.action + k;
            let precision = memory.precisions[place];
            let z = (actions[k] - self.outputs[k]) * precision;
            let expected = if squashed { memory.expected[place] } else { Expected::default() };
            slopes[k] = along * z * precision - spread * expected.by_mean;
            let by_log_deviation = along * (z * z - 1.0) - spread * (1.0 + expected.by_log_deviation);
            match parameter_slopes.get_mut(k) {
                Some(slope) => *slope += by_log_deviation,
                None => {
                    let [low, high] = LOG_DEVIATIONS;
                    let output = self.outputs[self.size + k];
                    let stuck = output < low || output > high;
                    slopes[self.size + k] = if stuck { 0.0 } else { by_log_deviation };
                }
            }
        }
    }
}

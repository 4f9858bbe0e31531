//! Beta distributions on (0, 1): α = 1 + softplus(u), β = 1 + softplus(v), so that there is one peak and no pole.
//!
//! Source: Chou, Maturana and Scherer 2017. Scalars are float64; the functions below are for arguments of at least 1.

use super::super::random::Key;
use super::EDGE;

/// Attempts at one gamma number: each fails less often than one in twenty.
const ATTEMPTS: usize = 64;
/// ½ log 2π.
const HALF_LOG_TAU: f64 = 0.918_938_533_204_672_8;
/// Below this, arguments are shifted up before the asymptotic series.
const FAR: f64 = 8.0;

/// log Γ(x) by Stirling's series, to 1e-12.
fn log_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0);
    while x < FAR {
        (product, x) = (product * x, x + 1.0);
    }
    let r = (x * x).recip();
    let tail = (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r * (1.0 / 1680.0 - r / 1188.0)))) / x;
    (x - 0.5) * x.ln() - x + HALF_LOG_TAU + tail - product.ln()
}

/// ψ(x), the slope of log Γ.
fn digamma(x: f64) -> f64 {
    let (mut x, mut sum) = (x, 0.0);
    while x < FAR {
        (sum, x) = (sum + x.recip(), x + 1.0);
    }
    let r = (x * x).recip();
    let tail = r * (1.0 / 12.0 - r * (1.0 / 120.0 - r * (1.0 / 252.0 - r * (1.0 / 240.0 - r / 132.0))));
    x.ln() - 0.5 / x - tail - sum
}

/// ψ′(x).
fn trigamma(x: f64) -> f64 {
    let (mut x, mut sum) = (x, 0.0);
    while x < FAR {
        (sum, x) = (sum + (x * x).recip(), x + 1.0);
    }
    let r = (x * x).recip();
    let tail = (1.0 / 6.0 - r * (1.0 / 30.0 - r * (1.0 / 42.0 - r * (1.0 / 30.0 - r * 5.0 / 66.0)))) / x;
    x.recip() + 0.5 * r + r * tail + sum
}

fn softplus(x: f64) -> f64 {
    if x > 30.0 {
        x
    } else {
        x.exp().ln_1p()
    }
}

/// (α, β) of dimension k of a head whose outputs these are.
fn shape(outputs: &[f32], k: usize) -> (f64, f64) {
    let of = |place: usize| 1.0 + softplus(f64::from(outputs[place]));
    (of(k), of(outputs.len() / 2 + k))
}

/// log p(y).
fn log_prob((alpha, beta): (f64, f64), y: f64) -> f64 {
    let normalizer = log_gamma(alpha) + log_gamma(beta) - log_gamma(alpha + beta);
    (alpha - 1.0) * y.ln() + (beta - 1.0) * (-y).ln_1p() - normalizer
}

/// KL(p ‖ q), nats, summed over the dimensions of a head with these outputs; exactly 0 where both are the same.
pub fn divergence(p: &[f32], q: &[f32]) -> f64 {
    let log_normalizer = |(alpha, beta): (f64, f64)| log_gamma(alpha) + log_gamma(beta) - log_gamma(alpha + beta);
    let dimension = |k: usize| {
        let (p, q) = (shape(p, k), shape(q, k));
        let (by_alpha, by_beta) = (p.0 - q.0, p.1 - q.1);
        let mean = by_alpha * digamma(p.0) + by_beta * digamma(p.1) - (by_alpha + by_beta) * digamma(p.0 + p.1);
        log_normalizer(q) - log_normalizer(p) + mean
    };
    (0..p.len() / 2).map(dimension).sum()
}

fn entropy((alpha, beta): (f64, f64)) -> f64 {
    let both = alpha + beta;
    let normalizer = log_gamma(alpha) + log_gamma(beta) - log_gamma(both);
    normalizer - (alpha - 1.0) * digamma(alpha) - (beta - 1.0) * digamma(beta) + (both - 2.0) * digamma(both)
}

/// A number of Gamma(shape, 1), shape ≥ 1. Source: Marsaglia and Tsang 2000.
fn gamma(key: Key, shape: f64) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = (9.0 * d).sqrt().recip();
    for attempt in 0..ATTEMPTS {
        let (x, uniform) = key.trial(attempt);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && uniform.ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
            return d * v;
        }
    }
    d
}

/// Draws y for each dimension, its mean without a key; returns the log-probability. `first` numbers the dimensions.
pub(super) fn draw(outputs: &[f32], key: Option<Key>, first: usize, actions: &mut [f32]) -> f32 {
    let mut sum = 0.0;
    for (k, action) in actions.iter_mut().enumerate() {
        let (alpha, beta) = shape(outputs, k);
        let [x, y] = match key {
            Some(key) => {
                let of = |which: u64| Key { counter: 2 * (first + k) as u64 + which, ..key };
                [gamma(of(0), alpha), gamma(of(1), beta)]
            }
            None => [alpha, beta],
        };
        *action = ((x / (x + y)) as f32).clamp(EDGE, 1.0 - EDGE);
        sum += log_prob((alpha, beta), f64::from(*action)) as f32;
    }
    sum
}

/// Log-probability and entropy of recorded numbers.
pub(super) fn evaluate(outputs: &[f32], actions: &[f32]) -> (f32, f32) {
    let (mut sum, mut spread) = (0.0, 0.0);
    for (k, action) in actions.iter().enumerate() {
        let shape = shape(outputs, k);
        sum += log_prob(shape, f64::from(*action)) as f32;
        spread += entropy(shape) as f32;
    }
    (sum, spread)
}

/// The slopes of `along` · log π − `spread` · H at the outputs.
pub(super) fn slope(outputs: &[f32], actions: &[f32], (along, spread): (f32, f32), slopes: &mut [f32]) {
    let size = actions.len();
    let (along, spread) = (f64::from(along), f64::from(spread));
    for (k, action) in actions.iter().enumerate() {
        let (alpha, beta) = shape(outputs, k);
        let (both, y) = (alpha + beta, f64::from(*action));
        let common = (both - 2.0) * trigamma(both);
        for (place, own, logarithm) in [(k, alpha, y.ln()), (size + k, beta, (-y).ln_1p())] {
            let log_prob = logarithm - digamma(own) + digamma(both);
            let entropy = common - (own - 1.0) * trigamma(own);
            let sigmoid = (1.0 + (-f64::from(outputs[place])).exp()).recip();
            slopes[place] = ((along * log_prob - spread * entropy) * sigmoid) as f32;
        }
    }
}

//! The families against equations in float64 and the distributions that they claim to be.

use super::super::distribution::{Decisions, Draw, Likelihoods};
use super::super::network::{Activation, Head, Layer, Network, Scratch};
use super::super::random::Key;
use super::super::tests::{compare, network, RULE};
use super::*;
use std::slice::Iter;

const LOG_SCALE: f32 = 0.4;
const NORMAL: Family = Family::Normal;
const SQUASHED: [Family; 2] =
    [Family::Squashed { state: false, log_scale: LOG_SCALE }, Family::Squashed { state: true, log_scale: LOG_SCALE }];
const BETA: Family = Family::Beta { log_width: LOG_SCALE };

/// log p and entropy of one head in float64, by the densities themselves; integrals are sums over fine grids.
pub fn twin(
    size: usize,
    family: Family,
    outputs: &mut Iter<'_, f64>,
    actions: &mut Iter<'_, f32>,
    log_deviations: &mut Iter<'_, f64>,
) -> (f64, f64) {
    let mut next = || outputs.by_ref().take(size).copied().collect::<Vec<f64>>();
    let first = next();
    let second = if family.has_parameters() { log_deviations.take(size).copied().collect() } else { next() };
    let (mut log_prob, mut entropy) = (0.0, 0.0);
    for ((first, second), action) in first.into_iter().zip(second).zip(actions) {
        let action = f64::from(*action);
        let (own, spread) = match family {
            Family::Beta { log_width } => {
                let shape = [first, second].map(|output| 1.0 + output.exp().ln_1p());
                let (own, spread) = beta(shape, action);
                (own - f64::from(log_width), spread + f64::from(log_width))
            }
            _ => normal(family, first, second.clamp(-20.0, 2.0).exp(), action),
        };
        (log_prob, entropy) = (log_prob + own, entropy + spread);
    }
    (log_prob, entropy)
}

/// y = 1 / (1 + e^(−s)): dy = y(1 − y) ds, so that the grid needs no ends.
fn beta([alpha, beta]: [f64; 2], y: f64) -> (f64, f64) {
    let places = (-600..=600).map(|i| f64::from(i) * 0.05);
    let logs = places.map(|s| (-(-s).exp().ln_1p(), -s.exp().ln_1p())).collect::<Vec<_>>();
    let mass = |(y, rest): &(f64, f64)| (alpha * y + beta * rest).exp() * 0.05;
    let log_normalizer = logs.iter().map(mass).sum::<f64>().ln();
    let density = |y: f64, rest: f64| (alpha - 1.0) * y + (beta - 1.0) * rest - log_normalizer;
    let surprise = |place: &(f64, f64)| mass(place) * -density(place.0, place.1);
    let entropy = logs.iter().map(surprise).sum::<f64>() / log_normalizer.exp();
    (density(y.ln(), (1.0 - y).ln()), entropy)
}

fn normal(family: Family, mean: f64, deviation: f64, x: f64) -> (f64, f64) {
    let tau = std::f64::consts::TAU;
    let log_prob = ((-(x - mean).powi(2) / (2.0 * deviation.powi(2))).exp() / (tau.sqrt() * deviation)).ln();
    let entropy = 0.5 * (tau * std::f64::consts::E * deviation * deviation).ln();
    let Family::Squashed { log_scale, .. } = family else { return (log_prob, entropy) };
    let log_scale = f64::from(log_scale);
    let log_slope = |x: f64| (1.0 / x.cosh().powi(2)).ln();
    let weight = |t: f64| (-0.5 * t * t).exp() / tau.sqrt() * 0.02;
    let places = (-400..=400).map(|i| f64::from(i) * 0.02);
    let expected: f64 = places.map(|t| weight(t) * log_slope(mean + deviation * t)).sum();
    (log_prob - log_slope(x) - log_scale, entropy + expected + log_scale)
}

#[test]
fn gradients_are_the_differences_of_the_loss_for_every_family() {
    for family in [NORMAL, SQUASHED[0], SQUASHED[1], BETA] {
        let head = Head::Dimensions { size: 2, family };
        let both: [&[Head]; 2] = [&[head], &[head, Head::Categorical { choices: 3 }, Head::Gaussian { size: 1 }, head]];
        for heads in both {
            let (network, weights) = network(3, [&[5], &[4], &[]], Activation::Tanh, heads);
            compare(&network, &weights, &RULE, 9, false);
        }
    }
}

/// A network of this head alone.
fn alone(family: Family, size: usize) -> Network {
    let head = Head::Dimensions { size, family };
    let layer = |outputs| Layer { inputs: 1, outputs, weight: 0, bias: 0, activation: Activation::Identity };
    let (policy, value) = (vec![layer(head.outputs())], vec![layer(1)]);
    Network { inputs: 1, policy, value, heads: vec![head], ..Network::default() }
}

fn draw(network: &Network, weights: &[f32], outputs: &[f32], rows: usize, greedy: bool) -> [Vec<f32>; 2] {
    let keys: Vec<Key> = (0..rows as u64).map(|row| Key { seed: 4, stream: row % 7, counter: row / 7 }).collect();
    let (mut actions, mut log_probs) = (vec![0.0; rows * network.actions()], vec![0.0; rows]);
    let decisions = Decisions { actions: &mut actions, log_probs: &mut log_probs };
    let how = if greedy { Draw::Greedy } else { Draw::Sampled(&keys) };
    network.sample(weights, &outputs.repeat(rows), None, how, &mut Scratch::new(network), decisions);
    [actions, log_probs]
}

fn moments(numbers: impl Iterator<Item = f32> + Clone) -> (f64, f64) {
    let count = numbers.clone().count() as f64;
    let mean = numbers.clone().map(f64::from).sum::<f64>() / count;
    (mean, numbers.map(|x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count)
}

#[test]
fn draws_have_the_moments_of_their_distribution() {
    let rows = 100_000;
    let outputs = [0.7, -1.5, -0.9, 0.3]; // means and log deviations, or u and v
    for (family, weights, outputs) in
        [(NORMAL, &[][..], &outputs[..]), (SQUASHED[1], &[], &outputs), (SQUASHED[0], &[-0.9, 0.3], &outputs[..2])]
    {
        let network = alone(family, 2);
        let [actions, _] = draw(&network, weights, outputs, rows, false);
        for (d, (mean, log_deviation)) in [(0.7, -0.9f64), (-1.5, 0.3)].into_iter().enumerate() {
            let (found, variance) = moments(actions.iter().skip(d).step_by(2).copied());
            let deviation = log_deviation.exp();
            assert!((found - mean).abs() < 0.015 * deviation, "{family:?}: {found}");
            assert!((variance.sqrt() / deviation - 1.0).abs() < 0.01, "{family:?}: {variance}");
        }
        assert_eq!(draw(&network, weights, outputs, 1, true)[0], [0.7, -1.5], "the mean");
    }
    for pair in [[0.0f32, 0.0], [3.0, -4.0], [-9.0, 6.0]] {
        let [alpha, beta] = pair.map(|output| 1.0 + f64::from(output).exp().ln_1p());
        let both = alpha + beta;
        let (mean, variance) = (alpha / both, alpha * beta / (both * both * (both + 1.0)));
        let network = alone(BETA, 1);
        let [actions, _] = draw(&network, &[], &pair, rows, false);
        let found = moments(actions.iter().copied());
        assert!((found.0 - mean).abs() < 0.015 * variance.sqrt(), "{pair:?}: {found:?} for {mean}");
        assert!((found.1 / variance - 1.0).abs() < 0.02, "{pair:?}: {found:?} for {variance}");
        // two numbers side by side have nothing in common
        let [pairs, _] = draw(&alone(BETA, 2), &[], &[pair[0], pair[0], pair[1], pair[1]], rows, false);
        let product = pairs.chunks(2).map(|y| (f64::from(y[0]) - mean) * (f64::from(y[1]) - mean)).sum::<f64>();
        assert!((product / rows as f64).abs() < 0.015 * variance, "{product}");
        assert!((f64::from(draw(&network, &[], &pair, 1, true)[0][0]) - mean).abs() < 1e-6, "the mean");
    }
}

#[test]
fn learning_sees_the_log_probability_of_acting() {
    for family in [NORMAL, SQUASHED[0], SQUASHED[1], BETA] {
        let network = alone(family, 3);
        let weights = [-0.5f32, 0.25, 0.0];
        let outputs = [0.3f32, -2.0, 0.1, -0.2, 0.4, 1.9];
        let outputs = &outputs[..network.width()];
        let [actions, expected] = draw(&network, &weights, outputs, 50, false);
        let (mut log_probs, mut entropies) = (vec![0.0; 50], vec![0.0; 50]);
        let likelihoods = Likelihoods { log_probs: &mut log_probs, entropies: &mut entropies };
        let scratch = &mut Scratch::new(&network);
        network.evaluate(&weights, &outputs.repeat(50), None, &actions, scratch, likelihoods);
        assert_eq!(log_probs, expected, "{family:?}");
    }
}

#[test]
fn extreme_outputs_give_numbers_in_range_or_say_that_they_are_none() {
    let network = alone(BETA, 1);
    for pair in [[1e30f32, -1e30], [-200.0, 200.0], [1e8, 1e8], [-1e30, -1e30]] {
        let [actions, _] = draw(&network, &[], &pair, 200, false);
        assert!(actions.iter().all(|y| *y >= EDGE && *y <= 1.0 - EDGE), "{pair:?}");
    }
    for family in [NORMAL, SQUASHED[0], SQUASHED[1], BETA] {
        let network = alone(family, 1);
        for outputs in [[f32::NAN, 0.0], [f32::INFINITY, 0.0], [0.0, f32::NAN]] {
            let [_, log_probs] = draw(&network, &[f32::NAN], &outputs[..network.width()], 3, false);
            assert!(log_probs.iter().all(|log_prob| !log_prob.is_finite()), "{family:?} {outputs:?}: {log_probs:?}");
        }
    }
    // log deviations that are outputs stop at their limits
    let [far, _] = draw(&alone(NORMAL, 1), &[], &[0.0, 50.0], 10, false);
    let [limit, _] = draw(&alone(NORMAL, 1), &[], &[0.0, 2.0], 10, false);
    assert_eq!(far, limit);
}

/// Against the closed forms at large deviations and none.
#[test]
fn a_squashed_entropy_is_the_integral() {
    let network = alone(SQUASHED[1], 1);
    for (log_deviation, near) in [(-9.0f32, 3e-6), (-0.5, 3e-6), (0.69, 2e-5), (1.6, 2e-3), (2.0, 1e-2)] {
        for mean in [0.0f32, 0.31, -1.7, 4.0] {
            let outputs = [mean, log_deviation];
            let wide = outputs.map(f64::from);
            let expected = twin(1, SQUASHED[1], &mut wide.iter(), &mut [0.1].iter(), &mut [].iter()).1;
            let (mut log_prob, mut entropy) = ([0.0], [0.0]);
            let likelihoods = Likelihoods { log_probs: &mut log_prob, entropies: &mut entropy };
            network.evaluate(&[], &outputs, None, &[0.1], &mut Scratch::new(&network), likelihoods);
            let error = (f64::from(entropy[0]) - expected).abs();
            assert!(error < near, "{outputs:?}: {} for {expected}", entropy[0]);
        }
    }
}

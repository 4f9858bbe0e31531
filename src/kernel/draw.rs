//! One row's action, drawn from its distributions or taken greedily.
//!
//! A choice that is not legal is never taken: not by rounding, not from logits that are no numbers.

use super::network::{Head, Network, Row};
use super::random::Key;
use super::simd::Vector;
use super::softmax::{choice_log_prob, normal_log_prob, softmax, Softmax};

/// Draws one row's action; greedy without a key. Returns its log-probability.
#[inline(always)]
pub(super) fn draw_row<V: Vector>(
    network: &Network,
    weights: &[f32],
    row: &mut Row,
    outputs: &[f32],
    mask: Option<&[u8]>,
    key: Option<Key>,
    actions: &mut [f32],
) -> f32 {
    let (mut log_prob, mut uniforms) = (0.0, 0);
    if let (Some(key), true) = (key, row.noisy) {
        key.normals(actions);
    }
    for part in network.parts() {
        let (outputs, actions) = (part.outputs(outputs), &mut actions[part.action..]);
        match part.head {
            Head::Categorical { choices } => {
                let legal = part.legal(mask);
                let weights = &mut row.weights[..choices];
                let softmax = softmax::<V>(outputs, legal, weights);
                let chosen = match key {
                    Some(key) => drawn(softmax, weights, legal, key.uniform(uniforms)),
                    None => largest(outputs, legal),
                };
                actions[0] = chosen.map_or(f32::NAN, |chosen| chosen as f32);
                log_prob += choice_log_prob(softmax, outputs, legal, actions[0]);
                uniforms += 1;
            }
            Head::Gaussian { size } => {
                for (d, (mean, action)) in (part.deviation..part.deviation + size).zip(outputs.iter().zip(actions)) {
                    let noise = if key.is_some() { row.deviations[d] * *action } else { 0.0 };
                    *action = mean + noise;
                    let log_deviation = weights[network.log_deviation + d];
                    log_prob += normal_log_prob(*action, *mean, row.precisions[d], log_deviation);
                }
            }
            Head::Dimensions { size, family } => {
                let head = part.dimensions((size, family), network, weights, outputs);
                log_prob += head.draw::<V>(&mut row.families, key, actions);
            }
        }
    }
    log_prob
}

/// The choice in whose part of [0, `sum`) the number `uniform` · `sum` lies; where rounding leaves none, the last that has
/// a part, or else the last legal.
#[inline(always)]
fn drawn(softmax: Softmax, weights: &[f32], legal: Option<&[u8]>, uniform: f32) -> Option<usize> {
    let (mark, mut sum, mut last, mut possible) = (uniform * softmax.sum, 0.0, None, None);
    for (choice, weight) in weights.iter().enumerate() {
        if legal.is_some_and(|legal| legal[choice] == 0) {
            continue;
        }
        last = Some(choice);
        if *weight > 0.0 {
            possible = last;
            sum += weight;
            if sum > mark {
                break;
            }
        }
    }
    possible.or(last)
}

/// The legal choice of the largest logit, the first of equals.
#[inline(always)]
fn largest(logits: &[f32], legal: Option<&[u8]>) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (choice, logit) in logits.iter().enumerate() {
        if legal.is_none_or(|legal| legal[choice] != 0) && best.is_none_or(|best| *logit > logits[best]) {
            best = Some(choice);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::super::distribution::{Decisions, Draw};
    use super::super::network::{Activation, Layer, Scratch};
    use super::super::simd::forced;
    use super::*;

    /// A network whose heads alone matter.
    fn heads(heads: &[Head]) -> Network {
        let layer = |outputs| Layer { inputs: 1, outputs, weight: 0, bias: 0, activation: Activation::Identity };
        let width = heads.iter().map(|head| head.outputs()).sum();
        let (policy, value) = (vec![layer(width)], vec![layer(1)]);
        Network { inputs: 1, policy, value, heads: heads.to_vec(), ..Network::default() }
    }

    fn keys(rows: usize, seed: u64) -> Vec<Key> {
        (0..rows as u64).map(|row| Key { seed, stream: row % 64, counter: row / 64 }).collect()
    }

    /// Actions and log-probabilities of `rows` rows, all with these outputs and this mask.
    fn draw(network: &Network, weights: &[f32], outputs: &[f32], mask: Option<&[u8]>, draw: Draw<'_>) -> [Vec<f32>; 2] {
        let rows = if let Draw::Sampled(keys) = draw { keys.len() } else { 1 };
        let masks = mask.map(|mask| mask.repeat(rows));
        let (mut actions, mut log_probs) = (vec![0.0; rows * network.actions()], vec![0.0; rows]);
        let decisions = Decisions { actions: &mut actions, log_probs: &mut log_probs };
        let scratch = &mut Scratch::new(network);
        network.sample(weights, &outputs.repeat(rows), masks.as_deref(), draw, scratch, decisions);
        [actions, log_probs]
    }

    #[test]
    fn choices_come_as_often_as_their_probability_says() {
        let network = heads(&[Head::Categorical { choices: 5 }]);
        let (logits, mask) = ([0.3f32, -1.0, 4.0, 1.5, 0.0], [1, 1, 0, 1, 1]);
        let parts = [0, 1, 3, 4].map(|choice| (choice, f64::from(logits[choice]).exp()));
        let sum: f64 = parts.iter().map(|(_, part)| part).sum();
        let rows = 200_000;
        let [actions, log_probs] = draw(&network, &[], &logits, Some(&mask), Draw::Sampled(&keys(rows, 5)));
        let mut chi_square = 0.0;
        for (choice, part) in parts {
            let expected = rows as f64 * part / sum;
            let count = actions.iter().filter(|action| **action == choice as f32).count() as f64;
            chi_square += (count - expected).powi(2) / expected;
        }
        assert!(chi_square < 16.3, "three degrees of freedom, one in a thousand: {chi_square}");
        for (action, log_prob) in actions.iter().zip(&log_probs) {
            assert!((f64::from(*log_prob) - (f64::from(logits[*action as usize]) - sum.ln())).abs() < 1e-6);
        }
    }

    #[test]
    fn no_choice_that_is_not_legal_in_a_million() {
        let network = heads(&[Head::Categorical { choices: 6 }, Head::Categorical { choices: 18 }]);
        let big = [1e30, -1e30, 0.0, f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 90.0, -1e-30, 1.0];
        let mut drawn = 0;
        forced::each(|level| {
            for trial in 0..1000 {
                let key = Key { seed: 99, stream: trial, counter: 0 };
                let logits: Vec<f32> = (0..24).map(|i| big[(key.uniform(i) * 11.0) as usize]).collect();
                let mut mask: Vec<u8> = (24..48).map(|i| u8::from(key.uniform(i) < 0.2) * 255).collect();
                mask[(key.uniform(48) * 6.0) as usize] = 1;
                mask[6 + (key.uniform(49) * 18.0) as usize] = 1;
                let [actions, _] = draw(&network, &[], &logits, Some(&mask), Draw::Sampled(&keys(500, trial)));
                let [greedy, _] = draw(&network, &[], &logits, Some(&mask), Draw::Greedy);
                for pair in actions.chunks(2).chain([greedy.as_slice()]) {
                    assert!(mask[pair[0] as usize] != 0 && mask[6 + pair[1] as usize] != 0, "{level:?}: {logits:?}");
                    assert!(pair[0] < 6.0 && pair[1] < 18.0);
                    drawn += 2;
                }
            }
        });
        assert!(drawn > 1_000_000 * forced::each(|_| ()).len());
    }

    /// The cumulative sum misses a mark that rounds up to the whole: the last choice that is possible is taken.
    #[test]
    fn rounding_falls_back_to_the_last_possible_choice() {
        let softmax = Softmax { sum: 3.0, ..Softmax::default() };
        assert_eq!(drawn(softmax, &[1.0, 1.0, 0.5, 0.0], Some(&[1, 1, 1, 1]), 1.0), Some(2));
        assert_eq!(drawn(softmax, &[1.0, 1.0, 9.0, 0.0], Some(&[1, 1, 0, 1]), 1.0), Some(1));
        assert_eq!(drawn(softmax, &[0.0, 0.0], Some(&[1, 0]), 0.5), Some(0));
        assert_eq!(drawn(softmax, &[0.0, 0.0], Some(&[0, 0]), 0.5), None);
    }

    #[test]
    fn one_legal_choice_is_certain_and_none_is_no_number() {
        let network = heads(&[Head::Categorical { choices: 3 }]);
        let key = [Key { seed: 0, stream: 0, counter: 0 }];
        for logits in [[1e30, -1e30, 1e30], [0.0, 0.0, 0.0], [f32::NAN, 5.0, f32::INFINITY]] {
            let [actions, log_probs] = draw(&network, &[], &logits, Some(&[0, 1, 0]), Draw::Sampled(&key));
            assert_eq!((actions[0], log_probs[0]), (1.0, 0.0));
        }
        let [actions, log_probs] = draw(&network, &[], &[1.0, 2.0, 3.0], Some(&[0, 0, 0]), Draw::Sampled(&key));
        assert!(actions[0].is_nan() && log_probs[0].is_nan());
        let [actions, log_probs] = draw(&network, &[], &[1.0, f32::NAN, 3.0], None, Draw::Sampled(&key));
        assert!((0.0..3.0).contains(&actions[0]) && log_probs[0].is_nan());
    }

    #[test]
    fn gaussian_actions_have_the_moments_of_their_distribution() {
        let network = heads(&[Head::Categorical { choices: 2 }, Head::Gaussian { size: 2 }]);
        let (log_deviations, outputs, rows) = ([-0.7f32, 0.4], [0.0, 0.0, 3.0, -2.0], 100_000);
        let [actions, _] = draw(&network, &log_deviations, &outputs, None, Draw::Sampled(&keys(rows, 8)));
        for d in 0..2 {
            let of: Vec<f64> = actions.chunks(3).map(|action| f64::from(action[1 + d])).collect();
            let mean = of.iter().sum::<f64>() / rows as f64;
            let variance = of.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / rows as f64;
            let deviation = f64::from(log_deviations[d]).exp();
            assert!((mean - f64::from(outputs[2 + d])).abs() < 0.015 * deviation, "{mean}");
            assert!((variance.sqrt() / deviation - 1.0).abs() < 0.01, "{variance}");
        }
        let [greedy, log_prob] = draw(&network, &log_deviations, &outputs, None, Draw::Greedy);
        assert_eq!(greedy, [0.0, 3.0, -2.0]);
        let expected = -(2f64.ln()) + 0.7f64 - 0.4 - std::f64::consts::TAU.ln();
        assert!((f64::from(log_prob[0]) - expected).abs() < 1e-6);
    }
}

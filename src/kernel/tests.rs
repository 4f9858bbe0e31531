//! The network and the learner against a twin in float64 that is written from the equations, one row and one weight at a
//! time, and shares nothing with the kernel but the shapes.

use super::distribution::{Decisions, Draw, Likelihoods};
use super::learner::{Batch, Bound, Rule, Tape, ValueClip};
use super::network::{Activation, Head, Layer, Network, Scratch};
use super::random::Key;
use super::simd::forced;

pub(super) mod twin;

pub(super) const RULE: Rule = Rule {
    clip_low: 0.2,
    clip_high: 0.28,
    value_clip: ValueClip::None,
    value_coef: 0.7,
    value_factor: 0.5,
    entropy_coef: 0.01,
    bound_coef: 0.3,
};

/// Numbers of a test, in [−1, 1).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 += 1;
        Key { seed: 7, stream: 11, counter: self.0 }.uniform(0) * 2.0 - 1.0
    }

    fn many(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// A network with hidden layers of these widths, and weights of the size that keeps activations of order one.
pub(super) fn network(
    inputs: usize,
    hidden: [&[usize]; 3],
    activation: Activation,
    heads: &[Head],
) -> (Network, Vec<f32>) {
    let (mut place, mut numbers, mut weights) = (3, Numbers(1000), vec![0.0; 3]);
    let mut chain = |inputs: usize, widths: &[usize], end: Option<usize>| {
        let mut inputs = inputs;
        let widths = widths.iter().map(|width| (*width, activation));
        let layers = widths.chain(end.map(|width| (width, Activation::Identity))).map(|(outputs, activation)| {
            let layer = Layer { inputs, outputs, weight: place, bias: place + inputs * outputs, activation };
            let gain = 1.6 / (inputs as f32).sqrt();
            weights.extend((0..(inputs + 1) * outputs).map(|_| numbers.next() * gain));
            (place, inputs) = (place + (inputs + 1) * outputs, outputs);
            layer
        });
        layers.collect::<Vec<_>>()
    };
    let trunk = chain(inputs, hidden[0], None);
    let (inner, width) = (hidden[0].last().copied().unwrap_or(inputs), heads.iter().map(|head| head.outputs()).sum());
    let (policy, value) = (chain(inner, hidden[1], Some(width)), chain(inner, hidden[2], Some(1)));
    let network =
        Network { inputs, trunk, policy, value, heads: heads.to_vec(), log_deviation: place, ..Network::default() };
    weights.extend((0..network.deviations()).map(|_| numbers.next() * 0.5));
    assert_eq!(network.check(weights.len()), Ok(()));
    (network, weights)
}

const CHOICE: Head = Head::Categorical { choices: 5 };
const PAIR: Head = Head::Categorical { choices: 2 };
const MANY: Head = Head::Categorical { choices: 19 };
const MOTION: Head = Head::Gaussian { size: 3 };

struct Columns {
    observations: Vec<f32>,
    masks: Option<Vec<u8>>,
    actions: Vec<f32>,
    log_probs: Vec<f32>,
    rest: [Vec<f32>; 3],
}

impl Columns {
    /// Transitions of a policy near this one; masks leave about two choices of three.
    fn new(network: &Network, weights: &[f32], rows: usize, masked: bool) -> Columns {
        let mut numbers = Numbers(5);
        let observations = numbers.many(rows * network.inputs);
        let masks = masked.then(|| {
            let mut masks: Vec<u8> = (0..rows * network.choices()).map(|_| u8::from(numbers.next() > -0.33)).collect();
            for row in masks.chunks_mut(network.choices()) {
                network.parts().filter(|part| part.head.choices() > 0).for_each(|part| row[part.choice] = 1);
            }
            masks
        });
        let (mut actions, mut log_probs) = (vec![0.0; rows * network.actions()], vec![0.0; rows]);
        let keys: Vec<Key> = (0..rows).map(|r| Key { seed: 3, stream: r as u64, counter: 0 }).collect();
        let decisions = Decisions { actions: &mut actions, log_probs: &mut log_probs };
        let scratch = &mut Scratch::new(network);
        network.act(weights, &observations, masks.as_deref(), Draw::Sampled(&keys), scratch, decisions);
        log_probs.iter_mut().for_each(|log_prob| *log_prob += numbers.next() * 0.5);
        let rest = [numbers.many(rows), numbers.many(rows), numbers.many(rows)];
        Columns { observations, masks, actions, log_probs, rest }
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            observations: &self.observations,
            masks: self.masks.as_deref(),
            actions: &self.actions,
            log_probs: &self.log_probs,
            advantages: &self.rest[0],
            values: &self.rest[1],
            returns: &self.rest[2],
            bounds: &[Bound { output: 0, low: -0.1, high: 0.3 }],
            sequences: None,
        }
    }
}

/// The kernel's loss and gradient against the twin's loss and its central differences.
pub(super) fn compare(network: &Network, weights: &[f32], rule: &Rule, rows: usize, masked: bool) {
    let columns = Columns::new(network, weights, rows, masked);
    let mut wide: Vec<f64> = weights.iter().map(|w| f64::from(*w)).collect();
    let (expected, step) = (twin::loss(network, &wide, &columns.batch(), rule), 1e-6);
    let differences: Vec<f64> = (0..wide.len())
        .map(|i| {
            let weight = wide[i];
            let mut at = |x: f64| {
                wide[i] = x;
                twin::loss(network, &wide, &columns.batch(), rule)
            };
            let slope = (at(weight + step) - at(weight - step)) / (2.0 * step);
            at(weight);
            slope
        })
        .collect();
    let size = (differences.iter().map(|d| d * d).sum::<f64>() / differences.len() as f64).sqrt();
    forced::each(|level| {
        let mut gradients = vec![0.0; weights.len()];
        let measured = network.learn(weights, &mut gradients, &columns.batch(), rule, &mut Tape::new(network));
        assert!((measured.total - expected).abs() < 2e-6, "{level:?}: {} for {expected}", measured.total);
        for (i, (gradient, difference)) in gradients.iter().zip(&differences).enumerate() {
            let error = (f64::from(*gradient) - difference).abs();
            assert!(error < 2e-5 * (difference.abs() + size), "{level:?} {i}: {gradient} for {difference}, {size}");
        }
    });
}

#[test]
fn gradients_are_the_differences_of_the_loss_for_every_head() {
    let heads: [(&[Head], bool); 6] = [
        (&[CHOICE], false),
        (&[MOTION], false),
        (&[CHOICE, PAIR, MANY], true),
        (&[PAIR, MOTION, CHOICE], true),
        (&[MOTION, CHOICE, Head::Gaussian { size: 1 }], false),
        (&[MANY], true),
    ];
    for (heads, masked) in heads {
        for hidden in [[&[][..], &[9, 8], &[7]], [&[18, 6], &[5], &[]], [&[4], &[], &[33]], [&[], &[], &[]]] {
            let (network, weights) = network(5, hidden, Activation::Tanh, heads);
            compare(&network, &weights, &RULE, 11, masked);
        }
    }
}

#[test]
fn gradients_are_the_differences_of_the_loss_for_every_activation() {
    for activation in [Activation::Tanh, Activation::Relu, Activation::Elu, Activation::Silu, Activation::Identity] {
        let (network, weights) = network(4, [&[6, 17], &[5], &[20, 3]], activation, &[CHOICE, MOTION]);
        compare(&network, &weights, &RULE, 70, true);
    }
}

#[test]
fn gradients_are_the_differences_of_the_loss_for_every_value_clip() {
    for value_clip in [ValueClip::None, ValueClip::Maximum(0.3), ValueClip::Clipped(0.3)] {
        for value_factor in [0.5, 1.0] {
            let (network, weights) = network(4, [&[], &[6], &[20, 3]], Activation::Tanh, &[CHOICE]);
            compare(&network, &weights, &Rule { value_clip, value_factor, ..RULE }, 65, false);
        }
    }
}

#[test]
fn outputs_are_those_of_the_twin_on_every_path() {
    for (inputs, hidden, heads) in [
        (17, [&[][..], &[64, 64], &[64, 64]], Head::Gaussian { size: 6 }),
        (4, [&[64], &[64], &[64]], PAIR),
        (33, [&[128, 100], &[180], &[300]], MANY),
    ] {
        let (network, weights) = network(inputs, hidden, Activation::Tanh, &[heads]);
        let (observations, rows) = (Numbers(9).many(71 * inputs), 71);
        let wide: Vec<f64> = weights.iter().map(|w| f64::from(*w)).collect();
        let near = if inputs == 33 { 3e-6 } else { 1e-6 };
        forced::each(|level| {
            let (mut outputs, mut values) = (vec![f32::NAN; rows * network.width()], vec![f32::NAN; rows]);
            let scratch = &mut Scratch::new(&network);
            network.policy(&weights, &observations, scratch, &mut outputs);
            network.values(&weights, &observations, scratch, &mut values);
            for (r, observation) in observations.chunks(inputs).enumerate() {
                let policy = twin::forward(network.trunk.iter().chain(&network.policy), &wide, observation);
                let value = twin::forward(network.trunk.iter().chain(&network.value), &wide, observation);
                for (got, expected) in outputs[r * network.width()..].iter().zip(&policy) {
                    assert!((f64::from(*got) - expected).abs() < near, "{level:?}: {got} for {expected}");
                }
                assert!((f64::from(values[r]) - value[0]).abs() < near, "{level:?}: {} for {}", values[r], value[0]);
            }
        });
    }
}

#[test]
fn a_row_has_the_same_bits_in_any_company() {
    let (network, weights) = network(7, [&[48], &[150, 70], &[64, 33]], Activation::Tanh, &[CHOICE, MOTION, PAIR]);
    let (rows, width) = (149, network.width());
    let observations = Numbers(2).many(rows * 7);
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    forced::each(|level| {
        let run = |order: &[usize], split: usize| {
            let gathered: Vec<f32> = order.iter().flat_map(|r| observations[r * 7..][..7].to_vec()).collect();
            let mut results = vec![Vec::new(); rows];
            for (order, observations) in order.chunks(split).zip(gathered.chunks(split * 7)) {
                let count = order.len();
                let (mut outputs, mut values) = (vec![0.0; count * width], vec![0.0; count]);
                let (mut actions, mut log_probs) = (vec![0.0; count * network.actions()], vec![0.0; count]);
                let scratch = &mut Scratch::new(&network);
                network.policy(&weights, observations, scratch, &mut outputs);
                network.values(&weights, observations, scratch, &mut values);
                let keys: Vec<Key> = order.iter().map(|r| Key { seed: 1, stream: *r as u64, counter: 4 }).collect();
                let decisions = Decisions { actions: &mut actions, log_probs: &mut log_probs };
                network.act(&weights, observations, None, Draw::Sampled(&keys), scratch, decisions);
                for (i, r) in order.iter().enumerate() {
                    let actions = &actions[i * network.actions()..][..network.actions()];
                    let row = [&outputs[i * width..][..width], &values[i..=i], actions, &log_probs[i..=i]].concat();
                    results[*r] = bits(&row);
                }
            }
            results
        };
        let order: Vec<usize> = (0..rows).collect();
        let backwards: Vec<usize> = (0..rows).rev().collect();
        let shuffled: Vec<usize> = (0..rows).map(|r| r * 31 % rows).collect();
        let expected = run(&order, rows);
        for (order, split) in
            [(&order, 1), (&backwards, 64), (&shuffled, 2), (&shuffled, 3), (&order, 7), (&backwards, 149)]
        {
            assert!(run(order, split) == expected, "{level:?}: rows in groups of {split} differ");
        }
    });
}

#[test]
fn learning_starts_at_a_ratio_of_exactly_one() {
    let (network, weights) = network(7, [&[], &[64, 20], &[64, 33]], Activation::Tanh, &[CHOICE, MOTION, PAIR]);
    let mut columns = Columns::new(&network, &weights, 100, true);
    let (mut outputs, mut entropies) = (vec![0.0; 100 * network.width()], vec![0.0; 100]);
    let scratch = &mut Scratch::new(&network);
    network.policy(&weights, &columns.observations, scratch, &mut outputs);
    let likelihoods = Likelihoods { log_probs: &mut columns.log_probs, entropies: &mut entropies };
    network.evaluate(&weights, &outputs, columns.masks.as_deref(), &columns.actions, scratch, likelihoods);
    let mut gradients = vec![0.0; weights.len()];
    let measured = network.learn(&weights, &mut gradients, &columns.batch(), &RULE, &mut Tape::new(&network));
    assert_eq!((measured.kl, measured.clip_fraction, measured.ratio_max_log), (0.0, 0.0, 0.0));
    let entropy = entropies.iter().map(|entropy| f64::from(*entropy)).sum::<f64>() / 100.0;
    assert!((measured.entropy - entropy).abs() < 1e-9);
}

#[test]
fn gradients_are_added_and_repeat_to_the_bit() {
    let (network, weights) = network(6, [&[20], &[30], &[30]], Activation::Elu, &[MOTION, PAIR]);
    let columns = Columns::new(&network, &weights, 200, false);
    let (mut once, mut again) = (vec![0.0f32; weights.len()], vec![0.0f32; weights.len()]);
    let tape = &mut Tape::new(&network);
    let first = network.learn(&weights, &mut once, &columns.batch(), &RULE, tape);
    let second = network.learn(&weights, &mut again, &columns.batch(), &RULE, tape);
    assert!(once == again && first == second);
    network.learn(&weights, &mut again, &columns.batch(), &RULE, tape);
    for (twice, once) in again.iter().zip(&once) {
        assert!((twice - 2.0 * once).abs() <= 1e-5 * once.abs() + 1e-7, "{twice} for twice {once}");
    }
}

#[test]
fn nothing_hides_a_number_that_is_none() {
    let (network, weights) = network(3, [&[], &[8], &[8]], Activation::Relu, &[CHOICE, MOTION]);
    let columns = Columns::new(&network, &weights, 9, false);
    let learn = |batch: &Batch<'_>, weights: &[f32]| {
        let mut gradients = vec![0.0; weights.len()];
        let rule = Rule { value_clip: ValueClip::Maximum(0.2), ..RULE };
        let measured = network.learn(weights, &mut gradients, batch, &rule, &mut Tape::new(&network));
        assert!(measured.ratio_max_log.is_nan() || !measured.kl.is_nan(), "{measured:?}");
        (measured.total.is_nan(), gradients.iter().any(|gradient| gradient.is_nan()))
    };
    let batch = columns.batch();
    assert_eq!(learn(&batch, &weights), (false, false));
    let spoiled = |values: &[f32]| [&values[..4], &[f32::NAN], &values[5..]].concat();
    let (observations, actions) = (spoiled(batch.observations), spoiled(batch.actions));
    assert_eq!(learn(&Batch { observations: &observations, ..batch }, &weights), (true, true));
    assert_eq!(learn(&Batch { actions: &actions, ..batch }, &weights), (true, true));
    let (old, advantages) = (spoiled(batch.log_probs), spoiled(batch.advantages));
    assert_eq!(learn(&Batch { log_probs: &old, ..batch }, &weights), (true, true));
    assert_eq!(learn(&Batch { advantages: &advantages, ..batch }, &weights), (true, true));
    let (values, returns) = (spoiled(batch.values), spoiled(batch.returns));
    assert!(learn(&Batch { values: &values, ..batch }, &weights).0);
    assert_eq!(learn(&Batch { returns: &returns, ..batch }, &weights), (true, true));
    let weights: Vec<f32> = weights.iter().map(|weight| weight * f32::NAN).collect();
    assert_eq!(learn(&batch, &weights), (true, true));
}

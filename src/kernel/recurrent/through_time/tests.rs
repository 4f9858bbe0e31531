//! The learner along sequences against the twin in float64 and its central differences, and against acting step by step.

use super::super::super::distribution::Likelihoods;
use super::super::super::learner::{Batch, Bound, Rule, Sequences, Tape, ValueClip};
use super::super::super::network::{Head, Network, Scratch};
use super::super::super::random::Key;
use super::super::super::simd::forced;
use super::super::super::tests::{twin as plain, RULE};
use super::super::tests::{network_of, twin};
use super::super::Steps;
use super::*;

const CHOICES: [Head; 2] = [Head::Categorical { choices: 5 }, Head::Categorical { choices: 2 }];
const MOTION: [Head; 1] = [Head::Gaussian { size: 3 }];
const BOTH: [Head; 2] = [Head::Gaussian { size: 2 }, Head::Categorical { choices: 3 }];

/// The transitions of some sequences.
struct Columns {
    counts: Vec<usize>,
    states: Vec<f32>,
    observations: Vec<f32>,
    masks: Option<Vec<u8>>,
    actions: Vec<f32>,
    log_probs: Vec<f32>,
    rest: [Vec<f32>; 3],
}

impl Columns {
    /// Those of a policy near this one; masks leave about two choices of three.
    fn new(network: &Network, weights: &[f32], counts: &[usize], masked: bool) -> Columns {
        let mut counter = 0;
        let mut next = || {
            counter += 1;
            Key { seed: 9, stream: 1, counter }.uniform(0) * 2.0 - 1.0
        };
        let rows = counts.iter().sum();
        let mut many = |count: usize| (0..count).map(|_| next()).collect::<Vec<f32>>();
        let (states, observations) = (many(counts[0] * network.cores.state()), many(rows * network.inputs));
        let (rest, noise) = ([many(rows), many(rows), many(rows)], many(rows));
        let mut masks: Vec<u8> = many(rows * network.choices()).iter().map(|x| u8::from(*x > -0.33)).collect();
        let mut actions = many(rows * network.actions());
        for row in 0..rows {
            for part in network.parts().filter(|part| part.head.choices() > 0) {
                let action = &mut actions[row * network.actions() + part.action];
                *action = ((*action + 1.0) * 0.49 * part.head.choices() as f32).floor();
                masks[row * network.choices() + part.choice + *action as usize] = 1;
            }
        }
        let (counts, masks) = (counts.to_vec(), masked.then_some(masks));
        let mut columns = Columns { counts, states, observations, masks, actions, log_probs: noise, rest };
        let wide = wide(weights);
        for (row, (outputs, _)) in columns.said(network, &wide).iter().enumerate() {
            let batch = columns.batch();
            let mask = batch.masks.map(|masks| &masks[row * network.choices()..][..network.choices()]);
            let actions = &batch.actions[row * network.actions()..][..network.actions()];
            let (log_prob, _) = plain::likelihood(network, &wide, outputs, mask, actions);
            columns.log_probs[row] = log_prob as f32 + 0.5 * columns.log_probs[row];
        }
        columns
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
            sequences: Some(Sequences { counts: &self.counts, states: &self.states }),
        }
    }

    /// Outputs and value of each row by the twin, sequence by sequence.
    fn said(&self, network: &Network, weights: &[f64]) -> Vec<(Vec<f64>, f64)> {
        let (mut said, state) = (vec![(Vec::new(), 0.0); self.rest[0].len()], network.cores.state());
        for sequence in 0..self.counts[0] {
            let (mut own, mut first) = (wide(&self.states[sequence * state..][..state]), 0);
            for count in self.counts.iter().take_while(|count| **count > sequence) {
                let observation = &self.observations[(first + sequence) * network.inputs..][..network.inputs];
                said[first + sequence] = twin::advance(network, weights, observation, &mut own);
                first += count;
            }
        }
        said
    }

    fn loss(&self, network: &Network, weights: &[f64], rule: &Rule) -> f64 {
        let said = self.said(network, weights);
        let row = |row: usize| plain::row_loss(network, weights, (&said[row].0, said[row].1), &self.batch(), rule, row);
        (0..said.len()).map(row).sum::<f64>() / said.len() as f64
    }
}

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|number| f64::from(*number)).collect()
}

/// The kernel's loss and gradient against the twin's loss and its central differences.
fn compare((network, weights): (Network, Vec<f32>), counts: &[usize], rule: &Rule, masked: bool) {
    let columns = Columns::new(&network, &weights, counts, masked);
    let (mut exact, step) = (wide(&weights), 1e-6);
    let expected = columns.loss(&network, &exact, rule);
    let difference = |place: usize| {
        let weight = exact[place];
        let mut at = |x: f64| {
            exact[place] = x;
            columns.loss(&network, &exact, rule)
        };
        let slope = (at(weight + step) - at(weight - step)) / (2.0 * step);
        at(weight);
        slope
    };
    let differences: Vec<f64> = (0..weights.len()).map(difference).collect();
    let size = (differences.iter().map(|d| d * d).sum::<f64>() / differences.len() as f64).sqrt();
    forced::each(|level| {
        let mut gradients = vec![0.0; weights.len()];
        let measured = network.learn(&weights, &mut gradients, &columns.batch(), rule, &mut Tape::new(&network));
        let near = 1e-6 * expected.abs().max(2.0);
        assert!((measured.total - expected).abs() < near, "{level:?}: {} for {expected}", measured.total);
        for (i, (gradient, difference)) in gradients.iter().zip(&differences).enumerate() {
            let error = (f64::from(*gradient) - difference).abs();
            assert!(error < 2e-5 * (difference.abs() + size), "{level:?} {i}: {gradient} for {difference}, {size}");
        }
    });
}

#[test]
fn gradients_are_the_differences_of_the_loss_along_sequences() {
    let heads: [(&[Head], bool); 3] = [(&CHOICES, true), (&MOTION, false), (&BOTH, true)];
    for cell in [Cell::Gru, Cell::Lstm] {
        for shared in [false, true] {
            for (heads, masked) in heads {
                compare(network_of(cell, 6, shared, heads), &[4, 3, 3, 1, 1], &RULE, masked);
            }
        }
    }
}

#[test]
fn gradients_are_the_differences_of_the_loss_over_several_tiles() {
    let rule = Rule { value_clip: ValueClip::Maximum(0.3), ..RULE };
    for (cell, shared) in [(Cell::Gru, true), (Cell::Lstm, false)] {
        compare(network_of(cell, 3, shared, &CHOICES[1..]), &[70, 66, 3], &rule, false);
    }
}

#[test]
fn learning_starts_at_a_ratio_of_exactly_one_in_any_company() {
    for (cell, shared) in [(Cell::Gru, false), (Cell::Gru, true), (Cell::Lstm, false), (Cell::Lstm, true)] {
        let (network, weights) = network_of(cell, 37, shared, &BOTH);
        let mut columns = Columns::new(&network, &weights, &[149, 100, 64, 3, 1], true);
        forced::each(|level| {
            let (mut states, mut first) = (columns.states.clone(), 0);
            let (width, scratch) = (network.width(), &mut Scratch::new(&network));
            let rows = columns.rest[0].len();
            let (mut outputs, mut entropies) = (vec![0.0; rows * width], vec![0.0; rows]);
            for count in &columns.counts {
                let steps = Steps {
                    states: &mut states[..count * network.cores.state()],
                    outputs: &mut outputs[first * width..][..count * width],
                    values: &mut [],
                };
                let observations = &columns.observations[first * network.inputs..][..count * network.inputs];
                network.advance(&weights, observations, scratch, steps);
                first += count;
            }
            let likelihoods = Likelihoods { log_probs: &mut columns.log_probs, entropies: &mut entropies };
            let masks = columns.masks.as_deref();
            network.evaluate(&weights, &outputs, masks, &columns.actions, scratch, likelihoods);
            let (batch, mut gradients) = (columns.batch(), vec![0.0; weights.len()]);
            let measured = network.learn(&weights, &mut gradients, &batch, &RULE, &mut Tape::new(&network));
            assert_eq!((measured.kl, measured.ratio_max_log), (0.0, 0.0), "{level:?} {cell:?}");
        });
    }
}

#[test]
fn gradients_repeat_to_the_bit_whatever_was_learned_before() {
    for cell in [Cell::Gru, Cell::Lstm] {
        let (network, weights) = network_of(cell, 20, false, &MOTION);
        let all = [&[9, 5, 5, 2][..], &[70, 70, 1, 1, 1, 1]].map(|of| Columns::new(&network, &weights, of, false));
        let learn = |columns: &Columns, tape: &mut Tape| {
            let mut gradients = vec![0.0f32; weights.len()];
            network.learn(&weights, &mut gradients, &columns.batch(), &RULE, tape);
            gradients
        };
        let expected = all.each_ref().map(|columns| learn(columns, &mut Tape::new(&network)));
        let tape = &mut Tape::new(&network);
        for place in [0, 1, 0, 1] {
            assert!(learn(&all[place], tape) == expected[place], "{cell:?}");
        }
    }
}

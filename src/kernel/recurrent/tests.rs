//! Recurrent networks against a twin in float64 that is written from the equations, one row and one weight at a time.

use super::super::network::{Activation, Head, Layer, Network, Scratch};
use super::super::random::Key;
use super::super::simd::forced;
use super::*;

/// A network of one hidden layer before each core, with weights that keep its numbers of order one.
fn network(cell: Cell, size: usize, shared: bool) -> (Network, Vec<f32>) {
    network_of(cell, size, shared, &[Head::Categorical { choices: 4 }])
}

/// The same with heads of the caller's.
pub(super) fn network_of(cell: Cell, size: usize, shared: bool, heads: &[Head]) -> (Network, Vec<f32>) {
    let width = heads.iter().map(|head| head.outputs()).sum();
    let (inputs, hidden, mut weights, mut counter) = (5, 9, Vec::new(), 0);
    let mut drawn = |reads: usize, columns: usize| {
        let place = weights.len();
        weights.extend((0..reads * columns).map(|_| {
            counter += 1;
            (Key { seed: 4, stream: 2, counter }.uniform(0) * 2.0 - 1.0) * 2.0 / (reads as f32).sqrt()
        }));
        place
    };
    let mut layer = |inputs: usize, outputs: usize, activation| {
        let (weight, bias) = (drawn(inputs, outputs), drawn(1, outputs));
        Layer { inputs, outputs, weight, bias, activation }
    };
    let (first, second) = (layer(inputs, hidden, Activation::Tanh), layer(inputs, hidden, Activation::Tanh));
    let lasts = [layer(size, width, Activation::Identity), layer(size, 1, Activation::Identity)];
    let mut core = |state| {
        let columns = size * if cell == Cell::Gru { 3 } else { 4 };
        let [input_weight, hidden_weight] = [hidden, size].map(|reads| drawn(reads, columns));
        let [input_bias, hidden_bias] = [1, 1].map(|reads| drawn(reads, columns));
        Some(Core { cell, inputs: hidden, size, input_weight, input_bias, hidden_weight, hidden_bias, state })
    };
    let ([policy, value], heads) = (lasts, heads.to_vec());
    let mut network = if shared {
        let cores = Cores { trunk: core(0), ..Cores::default() };
        let (policy, value) = (vec![policy], vec![value]);
        Network { inputs, trunk: vec![first], policy, value, cores, heads, ..Network::default() }
    } else {
        let numbers = size * if cell == Cell::Gru { 1 } else { 2 };
        let cores = Cores { trunk: None, policy: core(0), value: core(numbers) };
        let (policy, value) = (vec![first, policy], vec![second, value]);
        Network { inputs, policy, value, cores, heads, ..Network::default() }
    };
    network.log_deviation = drawn(1, network.deviations());
    assert_eq!(network.check(weights.len()), Ok(()));
    (network, weights)
}

pub(super) mod twin {
    use super::*;

    fn product(x: &[f64], weights: &[f64], weight: usize, bias: usize, columns: usize) -> Vec<f64> {
        let term = |i: usize, j: usize| x[i] * weights[weight + i * columns + j];
        (0..columns).map(|j| weights[bias + j] + (0..x.len()).map(|i| term(i, j)).sum::<f64>()).collect()
    }

    fn layer(layer: &Layer, weights: &[f64], x: &[f64]) -> Vec<f64> {
        let y = product(x, weights, layer.weight, layer.bias, layer.outputs);
        y.into_iter().map(|y| if layer.activation == Activation::Tanh { y.tanh() } else { y }).collect()
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    /// h of one step; moves the state.
    fn step(core: &Core, weights: &[f64], x: &[f64], state: &mut [f64]) -> Vec<f64> {
        let (size, h) = (core.size, state[core.state..core.state + core.size].to_vec());
        let columns = size * if core.cell == Cell::Gru { 3 } else { 4 };
        let a = product(x, weights, core.input_weight, core.input_bias, columns);
        let b = product(&h, weights, core.hidden_weight, core.hidden_bias, columns);
        for i in 0..size {
            let sum = |gate: usize| a[gate * size + i] + b[gate * size + i];
            match core.cell {
                Cell::Gru => {
                    let (r, z) = (sigmoid(sum(0)), sigmoid(sum(1)));
                    let n = (a[2 * size + i] + r * b[2 * size + i]).tanh();
                    state[core.state + i] = (1.0 - z) * n + z * h[i];
                }
                Cell::Lstm => {
                    let c = &mut state[core.state + size + i];
                    *c = sigmoid(sum(1)) * *c + sigmoid(sum(0)) * sum(2).tanh();
                    let c = *c;
                    state[core.state + i] = sigmoid(sum(3)) * c.tanh();
                }
            }
        }
        state[core.state..core.state + size].to_vec()
    }

    /// Outputs and value of one step; moves the state.
    pub fn advance(network: &Network, weights: &[f64], x: &[f32], state: &mut [f64]) -> (Vec<f64>, f64) {
        let x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        let lead = network.trunk.iter().fold(x, |x, of| layer(of, weights, &x));
        let lead = match &network.cores.trunk {
            Some(core) => step(core, weights, &lead, state),
            None => lead,
        };
        let mut own = |layers: &[Layer], core: &Option<Core>| {
            let (last, hidden) = layers.split_last().unwrap();
            let x = hidden.iter().fold(lead.clone(), |x, of| layer(of, weights, &x));
            let x = core.as_ref().map_or(x.clone(), |core| step(core, weights, &x, state));
            layer(last, weights, &x)
        };
        let outputs = own(&network.policy, &network.cores.policy);
        (outputs, own(&network.value, &network.cores.value)[0])
    }
}

fn observations(rows: usize, time: usize) -> Vec<f32> {
    (0..rows * 5).map(|i| ((i * 7 + time * 13) as f32).sin() * 2.0).collect()
}

#[test]
fn fifty_steps_are_those_of_the_twin_on_every_path() {
    for (cell, size, shared) in
        [(Cell::Gru, 6, false), (Cell::Gru, 64, true), (Cell::Lstm, 33, false), (Cell::Lstm, 16, true)]
    {
        let (network, weights) = network(cell, size, shared);
        let (rows, width) = (3, network.cores.state());
        let exact: Vec<f64> = weights.iter().map(|weight| f64::from(*weight)).collect();
        forced::each(|level| {
            let scratch = &mut Scratch::new(&network);
            let (mut states, mut wide) = (vec![0.0f32; rows * width], vec![0.0f64; rows * width]);
            let (mut outputs, mut values) = (vec![f32::NAN; rows * 4], vec![f32::NAN; rows]);
            for time in 0..50 {
                let observations = observations(rows, time);
                let steps = Steps { states: &mut states, outputs: &mut outputs, values: &mut values };
                network.advance(&weights, &observations, scratch, steps);
                for row in 0..rows {
                    let own = &mut wide[row * width..(row + 1) * width];
                    let (expected, value) = twin::advance(&network, &exact, &observations[row * 5..][..5], own);
                    let found = outputs[row * 4..][..4].iter().chain(&values[row..=row]);
                    for (found, expected) in found.zip(expected.iter().chain([&value])) {
                        let error = (f64::from(*found) - expected).abs() / expected.abs().max(1.0);
                        assert!(error < 1e-6, "{level:?} {cell:?} step {time}: {found}, not {expected}");
                    }
                }
                for (found, expected) in states.iter().zip(&wide) {
                    let error = (f64::from(*found) - expected).abs() / expected.abs().max(1.0);
                    assert!(error < 1e-6, "{level:?} {cell:?} step {time}: {found}, not {expected}");
                }
            }
        });
    }
}

#[test]
fn a_row_has_the_same_bits_in_any_company() {
    for cell in [Cell::Gru, Cell::Lstm] {
        let (network, weights) = network(cell, 37, false);
        let (rows, width) = (149, network.cores.state());
        let all = observations(rows, 3);
        forced::each(|level| {
            let run = |split: usize| {
                let scratch = &mut Scratch::new(&network);
                let mut states: Vec<f32> = (0..rows * width).map(|i| (i as f32).cos()).collect();
                let mut outputs = vec![0.0; rows * 4];
                let parts = states.chunks_mut(split * width).zip(outputs.chunks_mut(split * 4));
                for ((states, outputs), observations) in parts.zip(all.chunks(split * 5)) {
                    let steps = Steps { states, outputs, values: &mut [] };
                    network.advance(&weights, observations, scratch, steps);
                }
                states.iter().chain(&outputs).map(|number| number.to_bits()).collect::<Vec<_>>()
            };
            let expected = run(rows);
            for split in [1, 2, 7, 64, 100] {
                assert!(run(split) == expected, "{level:?} {cell:?}: rows in groups of {split} differ");
            }
        });
    }
}

#[test]
fn values_that_nobody_asks_for_change_nothing() {
    let (network, weights) = network(Cell::Gru, 8, false);
    let (rows, observations) = (70, observations(70, 0));
    let run = |values: &mut [f32]| {
        let (mut states, mut outputs) = (vec![0.5; rows * 16], vec![0.0; rows * 4]);
        let steps = Steps { states: &mut states, outputs: &mut outputs, values };
        network.advance(&weights, &observations, &mut Scratch::new(&network), steps);
        (states, outputs)
    };
    let mut values = vec![f32::NAN; rows];
    assert_eq!(run(&mut values), run(&mut []));
    assert!(values.iter().all(|value| value.is_finite()));
}

#[test]
fn cores_that_do_not_fit_are_refused() {
    let (good, weights) = network(Cell::Lstm, 8, false);
    let with = |change: fn(&mut Core)| {
        let mut network = good.clone();
        network.cores.value.iter_mut().for_each(change);
        network.check(weights.len())
    };
    assert_eq!(with(|_| {}), Ok(()));
    assert!(with(|core| core.state -= 1).is_err());
    assert!(with(|core| core.inputs += 1).is_err());
    assert!(with(|core| core.hidden_weight += 1_000_000).is_err());
    assert!(with(|core| core.size = 0).is_err());
}

//! The recurrent core of a chain: its shape, its parameters and its form in libtorch.
//!
//! A core stands behind the hidden layers of its chain and before the layer that decides or tells values. Its form in plain
//! Rust is in `kernel`; both follow libtorch's equations and order of gates.

use crate::config::{self, Control, ValueNetwork};
use crate::error::Result;
use crate::model::arena::{Parameter, Part};
use tch::{Kind, Tensor};

/// The chains of layers: what both share, the policy's own, the value's own.
pub(super) const CHAINS: [&str; 3] = ["trunk", "policy", "value"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Gru,
    Lstm,
}

/// A recurrent core in its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Core {
    pub cell: Cell,
    pub inputs: usize,
    /// Numbers of its output, h.
    pub size: usize,
    /// Where its own numbers begin in a slot's state: h, then c of an LSTM.
    pub state: usize,
}

impl Core {
    /// The cores of a spec's chains, and the numbers of their states together.
    pub(super) fn of(config: &Control, inputs: usize) -> ([Option<Core>; 3], usize) {
        let (cell, size) = match config.core {
            None => return ([None; 3], 0),
            Some(config::Core::Gru { size }) => (Cell::Gru, size as usize),
            Some(config::Core::Lstm { size }) => (Cell::Lstm, size as usize),
        };
        let inputs = config.hidden.last().map_or(inputs, |width| *width as usize);
        let first = Core { cell, inputs, size, state: 0 };
        let second = Core { state: first.numbers(), ..first };
        match config.value {
            ValueNetwork::Shared => ([Some(first), None, None], second.state),
            ValueNetwork::Separate => ([None, Some(first), Some(second)], second.state + second.numbers()),
        }
    }

    /// Matrices of `size` columns side by side in each of its weights.
    pub fn gates(&self) -> usize {
        match self.cell {
            Cell::Gru => 3,
            Cell::Lstm => 4,
        }
    }

    /// Numbers of its state.
    pub fn numbers(&self) -> usize {
        match self.cell {
            Cell::Gru => self.size,
            Cell::Lstm => 2 * self.size,
        }
    }

    /// The weight and the bias that read the input, then those that read h; a weight is [numbers read, gates · size].
    pub(super) fn parameters(&self, chain: &str) -> [Parameter; 4] {
        let width = (self.gates() * self.size) as i64;
        let weight = |name: &str, reads: usize| {
            let shape = [reads as i64, width];
            Parameter::new(format!("{chain}.core.{name}_weight"), &shape, Part::Linear { fan_in: reads as i64 })
        };
        let bias = |name: &str| Parameter::new(format!("{chain}.core.{name}_bias"), &[width], Part::Bias);
        [weight("input", self.inputs), bias("input"), weight("hidden", self.size), bias("hidden")]
    }
}

/// Rows as steps of sequences: the first steps of all of them, then the second ones, and so on, the longest sequence first.
#[derive(Debug)]
pub struct Unroll {
    /// How many sequences reach each step, int64, [steps]; never rises.
    counts: Tensor,
    /// The state at the first step of each sequence, [N, S].
    states: Tensor,
}

impl Unroll {
    /// `counts` as above, `states` [counts[0], `width`].
    pub fn new(counts: &[usize], states: &[f32], width: usize) -> Result<Unroll> {
        let states = Tensor::f_from_slice(states)?.f_view([-1, width as i64])?;
        let counts: Vec<i64> = counts.iter().map(|count| *count as i64).collect();
        Ok(Unroll { counts: Tensor::f_from_slice(&counts)?, states })
    }
}

/// A core bound to its weights.
pub(super) struct BoundCore {
    core: Core,
    /// In libtorch's order and orientation: both weights, [gates · size, numbers read], then both biases.
    parameters: [Tensor; 4],
}

impl BoundCore {
    /// `leaf` gives the parameter of a name.
    pub fn bind(core: Core, chain: &str, leaf: &impl Fn(&str) -> Result<Tensor>) -> Result<BoundCore> {
        let [input_weight, input_bias, hidden_weight, hidden_bias] = core.parameters(chain);
        let transposed =
            |parameter: &Parameter| Ok::<_, crate::error::Error>(leaf(&parameter.name)?.f_transpose(0, 1)?);
        let parameters = [
            transposed(&input_weight)?,
            transposed(&hidden_weight)?,
            leaf(&input_bias.name)?,
            leaf(&hidden_bias.name)?,
        ];
        Ok(BoundCore { core, parameters })
    }

    /// h after each row's step, [B, size], of inputs [B, inputs].
    pub fn through(&self, inputs: &Tensor, unroll: &Unroll) -> Result<Tensor> {
        let Core { size, state, .. } = self.core;
        let part = |place: usize| -> Result<Tensor> {
            let (from, size) = ((state + place * size) as i64, size as i64);
            Ok(unroll.states.f_narrow(1, from, size)?.f_contiguous()?.f_unsqueeze(0)?)
            // [1, N, size]
        };
        let (data, counts, all) = (inputs, &unroll.counts, &self.parameters);
        debug_assert_eq!(counts.kind(), Kind::Int64);
        Ok(match self.core.cell {
            Cell::Gru => Tensor::f_gru_data(data, counts, &part(0)?, all, true, 1, 0.0, true, false)?.0,
            Cell::Lstm => Tensor::f_lstm_data(data, counts, &[part(0)?, part(1)?], all, true, 1, 0.0, true, false)?.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Network, Policy, Spec};
    use super::*;
    use crate::config::Create;
    use crate::kernel::{Scratch, Steps};
    use serde_json::{json, Value};
    use tch::Device;

    fn config(core: Value, value: &str) -> Value {
        json!({
            "model_type": "control", "hidden": [16], "core": core, "value": value, "policy_gain": 1.0,
            "observations": [{"type": "vector", "name": "o", "size": 5}],
            "actions": [{"type": "discrete", "name": "a", "choices": 3}, {"type": "continuous", "name": "b", "size": 2}],
        })
    }

    fn policy(core: Value, value: &str) -> Policy {
        Policy::create(&Create { config: config(core, value), seed: 3, ..Create::default() }).unwrap()
    }

    fn cases() -> [(Value, &'static str); 4] {
        let gru = json!({"type": "gru", "size": 64});
        let lstm = json!({"type": "lstm", "size": 33});
        [(gru.clone(), "separate"), (gru, "shared"), (lstm.clone(), "separate"), (lstm, "shared")]
    }

    /// The network in libtorch, and the flat gradients of its parameters.
    fn bound(policy: &Policy) -> (Network, Tensor) {
        // biases count too
        let weights: Vec<f32> =
            policy.published().weights.iter().enumerate().map(|(i, w)| w + 0.1 * (i as f32).sin()).collect();
        let data = Tensor::from_slice(&weights);
        let gradients = data.zeros_like();
        (Network::bind_trainable(policy.spec(), policy.layout(), &data, &gradients).unwrap(), gradients)
    }

    fn random(rows: usize, width: usize, seed: usize) -> Vec<f32> {
        (0..rows * width).map(|i| ((i * 31 + seed * 17) as f32).sin()).collect()
    }

    fn floats(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.detach().contiguous().view([-1])).unwrap()
    }

    fn worst(found: &[f32], expected: &[f32]) -> f32 {
        assert_eq!(found.len(), expected.len());
        found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn fifty_steps_of_the_kernel_are_those_of_libtorch() {
        for (core, value) in cases() {
            let policy = policy(core.clone(), value);
            let (spec, weights) = (policy.spec(), policy.published().weights.clone());
            let data = Tensor::from_slice(&weights);
            let network = Network::bind_trainable(spec, policy.layout(), &data, &data.zeros_like()).unwrap();
            let (rows, steps) = (7, 50);
            let starts = random(rows, spec.state, 1);
            let observations = random(rows * steps, 5, 2);
            let unroll = Unroll::new(&vec![rows; steps], &starts, spec.state).unwrap();
            let all = Tensor::from_slice(&observations).view([-1, 5]);
            let (outputs, values) = network.forward(&all, Some(&unroll)).unwrap();
            let (expected, expected_values) = (floats(&outputs), floats(&values));
            let (mut states, mut found) = (starts, vec![0.0; rows * spec.outputs]);
            let (mut values, scratch) = (vec![0.0; rows], &mut Scratch::new(policy.network()));
            for step in 0..steps {
                let own = &observations[step * rows * 5..][..rows * 5];
                let steps = Steps { states: &mut states, outputs: &mut found, values: &mut values };
                policy.network().advance(&weights, own, scratch, steps);
                let off = worst(&found, &expected[step * found.len()..][..found.len()])
                    .max(worst(&values, &expected_values[step * rows..][..rows]));
                assert!(off <= 1e-6, "{core} {value}, step {step}: off by {off}");
            }
        }
    }

    #[test]
    fn sequences_side_by_side_are_each_alone() {
        for (core, value) in cases() {
            let policy = policy(core.clone(), value);
            let width = policy.spec().state;
            let (lengths, starts) = ([5usize, 3, 3, 1], random(4, width, 5));
            let rows: Vec<Vec<f32>> = (0..4).map(|place| random(lengths[place], 5, place)).collect();
            let counts = [4, 3, 3, 1, 1];
            let mut packed: Vec<f32> = Vec::new();
            for (step, count) in counts.iter().enumerate() {
                (0..*count).for_each(|place| packed.extend(&rows[place][step * 5..][..5]));
            }
            let sum = |outputs: &Tensor, values: &Tensor| outputs.square().sum(None) + values.square().sum(None);
            let (network, gradients) = bound(&policy);
            let unroll = Unroll::new(&counts, &starts, width).unwrap();
            let all = Tensor::from_slice(&packed).view([-1, 5]);
            let (outputs, values) = network.forward(&all, Some(&unroll)).unwrap();
            sum(&outputs, &values).backward();
            let (alone, alone_gradients) = bound(&policy);
            let mut offset = [0usize; 5];
            (1..5).for_each(|step| offset[step] = offset[step - 1] + counts[step - 1]);
            for place in 0..4 {
                let ones = vec![1; lengths[place]];
                let unroll = Unroll::new(&ones, &starts[place * width..][..width], width).unwrap();
                let own = Tensor::from_slice(&rows[place]).view([-1, 5]);
                let (expected, expected_values) = alone.forward(&own, Some(&unroll)).unwrap();
                sum(&expected, &expected_values).backward();
                for (step, first) in offset.iter().enumerate().take(lengths[place]) {
                    let row = (first + place) as i64;
                    let off = (outputs.get(row) - expected.get(step as i64)).abs().max().double_value(&[]);
                    let off = off.max((values.get(row) - expected_values.get(step as i64)).abs().double_value(&[]));
                    assert!(off <= 1e-6, "{core} {value}, sequence {place}, step {step}: off by {off}");
                }
            }
            let off = (gradients - &alone_gradients).abs().max() / alone_gradients.abs().max();
            assert!(off.double_value(&[]) < 1e-6, "{core} {value}: gradient off by {off:?}");
        }
    }

    #[test]
    fn each_gate_begins_orthogonal_and_biases_zero() {
        let policy = policy(json!({"type": "lstm", "size": 12}), "separate");
        let data = Tensor::from_slice(&policy.published().weights);
        let mut seen = 0;
        for (place, slot) in policy.layout().slots.iter().enumerate().filter(|(_, slot)| slot.name.contains(".core.")) {
            let view = policy.layout().view(&data, place);
            if slot.name.ends_with("bias") {
                assert_eq!(view.abs().max().double_value(&[]), 0.0);
                continue;
            }
            for gate in view.split(12, 1) {
                let square = gate.transpose(0, 1).matmul(&gate);
                let off = square - Tensor::eye(12, (Kind::Float, Device::Cpu));
                assert!(off.abs().max().double_value(&[]) < 1e-5, "{}", slot.name);
                seen += 1;
            }
        }
        assert_eq!(seen, 16);
    }

    #[test]
    fn a_spec_names_its_core() {
        let spec = |core: Value| Spec::parse(&config(core, "separate"));
        let found = spec(json!({"type": "lstm", "size": 7})).unwrap();
        assert_eq!((found.state, Value::from(&found)["core"]["size"].as_u64()), (28, Some(7)));
        assert!(Value::from(&policy(json!(null), "shared").spec().as_ref().clone()).get("core").is_none());
        for (core, says) in [
            (json!({"type": "gru", "size": 0}), "/core"),
            (json!({"type": "elman", "size": 4}), "/core"),
            (json!({"type": "gru"}), "/core"),
            (json!({"type": "gru", "size": 4, "layers": 2}), "/core"),
        ] {
            let error = spec(core).unwrap_err();
            assert!(error.message.contains(says), "{error}");
        }
    }
}

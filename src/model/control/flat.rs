//! The network's form in plain Rust, over the same flat weights.

use super::recurrence::{Cell, CHAINS};
use super::spec::{Branch, Continuous, Spec};
use crate::config::{Activation, Deviation, Distribution};
use crate::kernel;
use crate::model::arena::Layout;

/// The layers of a spec in the places of its layout.
pub(super) fn network(spec: &Spec, layout: &Layout) -> kernel::Network {
    let offset = |name: &str| layout.find(name).map_or(0, |slot| layout.slots[slot].offset as usize);
    let active = match spec.config.activation {
        Activation::Tanh => kernel::Activation::Tanh,
        Activation::Relu => kernel::Activation::Relu,
        Activation::Elu => kernel::Activation::Elu,
        Activation::Silu => kernel::Activation::Silu,
    };
    let [trunk, policy, value] = spec.chains().map(|(chain, layers)| {
        let count = layers.len();
        let layer = |(index, (inputs, outputs)): (usize, (usize, usize))| kernel::Layer {
            inputs,
            outputs,
            weight: offset(&format!("{chain}.{index}.weight")),
            bias: offset(&format!("{chain}.{index}.bias")),
            activation: if chain != "trunk" && index + 1 == count { kernel::Activation::Identity } else { active },
        };
        layers.into_iter().enumerate().map(layer).collect::<Vec<_>>()
    });
    let [first, second, third] = std::array::from_fn(|place| {
        let part = |name: &str| offset(&format!("{}.core.{name}", CHAINS[place]));
        spec.cores[place].map(|core| kernel::Core {
            cell: match core.cell {
                Cell::Gru => kernel::Cell::Gru,
                Cell::Lstm => kernel::Cell::Lstm,
            },
            inputs: core.inputs,
            size: core.size,
            input_weight: part("input_weight"),
            input_bias: part("input_bias"),
            hidden_weight: part("hidden_weight"),
            hidden_bias: part("hidden_bias"),
            state: core.state,
        })
    });
    let cores = kernel::Cores { trunk: first, policy: second, value: third };
    let head = |branch: &Branch| match branch {
        Branch::Discrete { choices } => kernel::Head::Categorical { choices: *choices },
        Branch::Continuous(own) => continuous(own),
    };
    let heads = spec.branches.iter().map(head).collect();
    kernel::Network { inputs: spec.inputs, trunk, policy, value, cores, heads, log_deviation: offset("log_deviation") }
}

fn continuous(own: &Continuous) -> kernel::Head {
    let (size, state) = (own.size, own.deviation == Deviation::State);
    let log_scale = own.scale().ln() as f32;
    let family = match own.distribution {
        Distribution::Normal if state => kernel::Family::Normal,
        Distribution::Normal => return kernel::Head::Gaussian { size },
        Distribution::Squashed => kernel::Family::Squashed { state, log_scale },
        Distribution::Beta => kernel::Family::Beta { log_width: (2.0 * own.scale()).ln() as f32 },
    };
    kernel::Head::Dimensions { size, family }
}

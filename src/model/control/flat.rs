//! The network's form in plain Rust, over the same flat weights.

use super::groups::{Group, Window};
use super::recurrence::{Cell, CHAINS};
use super::spec::{Branch, Continuous, Spec};
use crate::config::{Activation, Deviation, Distribution};
use crate::kernel;
use crate::model::arena::Layout;

/// The layers of a spec in the places of its layout.
pub(super) fn network(spec: &Spec, layout: &Layout) -> kernel::Network {
    let offset = |name: &str| layout.find(name).map_or(0, |slot| layout.slots[slot].offset as usize);
    let active = active(spec);
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
    kernel::Network {
        inputs: spec.features,
        trunk,
        policy,
        value,
        cores,
        heads,
        log_deviation: offset("log_deviation"),
    }
}

fn active(spec: &Spec) -> kernel::Activation {
    match spec.config.activation {
        Activation::Tanh => kernel::Activation::Tanh,
        Activation::Relu => kernel::Activation::Relu,
        Activation::Elu => kernel::Activation::Elu,
        Activation::Silu => kernel::Activation::Silu,
    }
}

/// The encoders of a spec in the places of its layout; none where there are vectors alone.
pub(super) fn encoder(spec: &Spec, layout: &Layout) -> Option<kernel::Encoder> {
    let mut parts = Vec::new();
    for (index, group) in spec.groups.iter().enumerate() {
        let offset = |name: &str| {
            layout.find(&format!("encoder.{index}.{name}")).map_or(0, |slot| layout.slots[slot].offset as usize)
        };
        match group {
            Group::Vector { .. } | Group::Mask { .. } => {}
            Group::Image { input, layers, .. } => {
                let of = |(place, window): (usize, &Window)| kernel::Convolution {
                    from: window.from,
                    to: window.to,
                    kernel: window.kernel,
                    stride: window.stride,
                    weight: offset(&format!("{place}.weight")),
                    bias: offset(&format!("{place}.bias")),
                };
                let layers = layers.iter().enumerate().map(of).collect();
                parts.push(kernel::Encoding::Image { input: *input, layers });
            }
            Group::Set { input, set, .. } => {
                let (weight, bias) = (offset("embed.weight"), offset("embed.bias"));
                let (inputs, outputs, activation) = (set.size, set.width, active(spec));
                let embed = kernel::Layer { inputs, outputs, weight, bias, activation };
                let (scores, heads, capacity) = (offset("scores.weight"), set.heads, set.capacity);
                parts.push(kernel::Encoding::Set { input: *input, capacity, embed, scores, heads });
            }
        }
    }
    (!parts.is_empty()).then_some(kernel::Encoder { inputs: spec.inputs, vectors: spec.vectors, parts })
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

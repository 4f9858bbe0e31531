//! The twin of the network, its distributions and the loss in float64, from the equations, one number at a time.

use super::super::family;
use super::super::learner::{Batch, Rule, ValueClip};
use super::super::network::{Activation, Head, Layer, Network};

pub fn activation(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Tanh => x.tanh(),
        Activation::Relu => x.max(0.0),
        Activation::Elu if x > 0.0 => x,
        Activation::Elu => x.exp_m1(),
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Identity => x,
    }
}

pub fn forward<'a>(layers: impl Iterator<Item = &'a Layer>, weights: &[f64], input: &[f32]) -> Vec<f64> {
    layers.fold(input.iter().map(|x| f64::from(*x)).collect(), |x: Vec<f64>, layer| {
        let output = |j: usize| {
            let terms = x.iter().enumerate().map(|(i, x)| x * weights[layer.weight + i * layer.outputs + j]);
            activation(layer.activation, terms.sum::<f64>() + weights[layer.bias + j])
        };
        (0..layer.outputs).map(output).collect()
    })
}

/// Log-probability and entropy of one row.
pub fn likelihood(
    network: &Network,
    weights: &[f64],
    outputs: &[f64],
    mask: Option<&[u8]>,
    actions: &[f32],
) -> (f64, f64) {
    let (mut outputs, mut actions, mut log_prob, mut entropy) = (outputs.iter(), actions.iter(), 0.0, 0.0);
    let (mut mask, mut log_deviations) = (mask.map(|mask| mask.iter()), weights[network.log_deviation..].iter());
    for head in &network.heads {
        match *head {
            Head::Categorical { choices } => {
                let logits: Vec<f64> = outputs.by_ref().take(choices).copied().collect();
                let mut legal = || mask.as_mut().map_or(1, |mask| *mask.next().unwrap());
                let parts: Vec<f64> = logits.iter().map(|l| if legal() == 0 { 0.0 } else { l.exp() }).collect();
                let p: Vec<f64> = parts.iter().map(|part| part / parts.iter().sum::<f64>()).collect();
                log_prob += p[*actions.next().unwrap() as usize].ln();
                entropy -= p.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>();
            }
            Head::Gaussian { size } => {
                for _ in 0..size {
                    let (mean, action) = (*outputs.next().unwrap(), f64::from(*actions.next().unwrap()));
                    let deviation = log_deviations.next().unwrap().exp();
                    let tau = std::f64::consts::TAU;
                    let density =
                        (-(action - mean).powi(2) / (2.0 * deviation.powi(2))).exp() / (tau.sqrt() * deviation);
                    log_prob += density.ln();
                    entropy += 0.5 * (tau * std::f64::consts::E * deviation * deviation).ln();
                }
            }
            Head::Dimensions { size, family } => {
                let own = family::tests::twin(size, family, &mut outputs, &mut actions, &mut log_deviations);
                (log_prob, entropy) = (log_prob + own.0, entropy + own.1);
            }
        }
    }
    (log_prob, entropy)
}

/// The loss of a batch.
pub fn loss(network: &Network, weights: &[f64], batch: &Batch<'_>, rule: &Rule) -> f64 {
    let rows = batch.returns.len();
    let row = |r: usize| {
        let observation = &batch.observations[r * network.inputs..][..network.inputs];
        let outputs = forward(network.trunk.iter().chain(&network.policy), weights, observation);
        let value = forward(network.trunk.iter().chain(&network.value), weights, observation)[0];
        row_loss(network, weights, (&outputs, value), batch, rule, r)
    };
    (0..rows).map(row).sum::<f64>() / rows as f64
}

/// The loss of row `r` of a batch, of which the network says these outputs and this value.
pub fn row_loss(
    network: &Network,
    weights: &[f64],
    (outputs, value): (&[f64], f64),
    batch: &Batch<'_>,
    rule: &Rule,
    r: usize,
) -> f64 {
    let mask = batch.masks.map(|masks| &masks[r * network.choices()..][..network.choices()]);
    let actions = &batch.actions[r * network.actions()..][..network.actions()];
    let (log_prob, entropy) = likelihood(network, weights, outputs, mask, actions);
    let ratio = (log_prob - f64::from(batch.log_probs[r])).clamp(-20.0, 20.0).exp();
    let advantage = f64::from(batch.advantages[r]);
    let bounded = ratio.min(1.0 + rule.clip_high).max(1.0 - rule.clip_low);
    let policy = -(advantage * ratio).min(advantage * bounded);
    let (old, expected) = (f64::from(batch.values[r]), f64::from(batch.returns[r]));
    let near = |c: f64| (old + (value - old).min(c).max(-c) - expected).powi(2);
    let error = match rule.value_clip {
        ValueClip::None => (value - expected).powi(2),
        ValueClip::Maximum(c) => (value - expected).powi(2).max(near(c)),
        ValueClip::Clipped(c) => near(c),
    };
    let beyond = rule.bound_coef * (((outputs[0] - 0.1) / 0.2).abs() - 1.1).max(0.0).powi(2);
    policy - rule.entropy_coef * entropy + rule.value_coef * rule.value_factor * error + beyond
}

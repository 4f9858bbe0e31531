//! What the fused learner makes of sequences against libtorch's modules and autograd: loss, measurements and gradient.

use super::super::trainee::Minibatch;
use super::*;
use crate::algorithm::Learner;
use crate::config::Create;
use crate::kernel::{Scratch, Steps};
use crate::model::control::Policy;

/// Sequences of five lengths, more than a tile of them.
const COUNTS: [usize; 5] = [70, 41, 41, 6, 1];

fn policy(core: &Value, value: &str, actions: &Value) -> Arc<Policy> {
    let masked = actions[0]["type"] == "discrete";
    let mut observations = json!([{"type": "vector", "name": "o", "size": 5}]);
    if masked {
        observations.as_array_mut().unwrap().push(json!({"type": "mask", "action": "a"}));
    }
    let config = json!({
        "model_type": "control", "hidden": [12, 16], "activation": if core["type"] == "lstm" { "silu" } else { "tanh" },
        "core": core, "value": value, "policy_gain": 1.0,
        "observations": observations, "actions": actions,
    });
    let policy = Policy::create(&Create { config, seed: 3, ..Create::default() }).unwrap();
    // biases count too
    let weights = policy.published().weights.iter().enumerate().map(|(i, w)| w + 0.1 * (i as f32).sin()).collect();
    Arc::new(Policy::assemble(policy.spec().as_ref().clone(), weights, policy.published().statistics.clone()).unwrap())
}

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 31 + seed * 17 + i * i % 7) as f32).sin()).collect()
}

/// Steps as this policy might have taken them, and other numbers of order one.
fn minibatch(policy: &Policy) -> Minibatch {
    let (spec, network, rows) = (policy.spec(), policy.network(), COUNTS.iter().sum());
    let discrete = spec.choices;
    let mut batch = Minibatch {
        observations: numbers(rows * spec.inputs, 1),
        actions: numbers(rows * spec.actions, 2),
        legal: numbers(rows * discrete, 3).iter().map(|number| u8::from(*number > -0.4)).collect(),
        log_probs: vec![0.0; rows],
        advantages: numbers(rows, 4),
        values: numbers(rows, 5),
        returns: numbers(rows, 6),
        counts: COUNTS.to_vec(),
        states: numbers(COUNTS[0] * spec.state, 7),
    };
    for row in (0..rows).filter(|_| discrete > 0) {
        batch.actions[row * spec.actions] = (row % discrete) as f32;
        batch.legal[row * discrete + row % discrete] = 1;
    }
    let (mut states, mut outputs, mut first) = (batch.states.clone(), vec![0.0; rows * spec.outputs], 0);
    let (weights, scratch) = (&policy.published().weights, &mut Scratch::new(network));
    for count in COUNTS {
        let steps = Steps {
            states: &mut states[..count * spec.state],
            outputs: &mut outputs[first * spec.outputs..][..count * spec.outputs],
            values: &mut [],
        };
        network.advance(weights, &batch.observations[first * spec.inputs..][..count * spec.inputs], scratch, steps);
        first += count;
    }
    let masks = (discrete > 0).then_some(batch.legal.as_slice());
    let (log_probs, entropies) = (&mut batch.log_probs[..], &mut vec![0.0; rows][..]);
    network.evaluate(weights, &outputs, masks, &batch.actions, scratch, Likelihoods { log_probs, entropies });
    batch.log_probs.iter_mut().zip(numbers(rows, 8)).for_each(|(log_prob, noise)| *log_prob += 0.4 * noise);
    batch
}

/// What a learner measures, and the gradient that it leaves.
fn learned(policy: &Arc<Policy>, learner: Learner, config: &Value) -> (Vec<(&'static str, f64)>, Vec<f32>) {
    let config: crate::algorithm::control_ppo::Config = serde_json::from_value(config.clone()).unwrap();
    let mut trainee = Trainee::new(policy, learner).unwrap().with(&config).unwrap();
    let measured = trainee.learn(&minibatch(policy), &ControlPpo::new(config)).unwrap();
    (measured, Vec::try_from(&trainee.arena.gradients).unwrap())
}

#[test]
fn losses_and_gradients_along_sequences_are_those_of_autograd() {
    let motion = json!([{"type": "continuous", "name": "b", "size": 2, "low": -0.5, "high": 0.5}]);
    let choice = json!([{"type": "discrete", "name": "a", "choices": 4}]);
    let both = json!([choice[0], {"type": "continuous", "name": "b", "size": 2, "distribution": "squashed",
                                  "low": -2.0, "high": 1.0}]);
    let plain = json!({"entropy_coef": 0.01, "value_coef": 0.7, "clip_range": 0.2});
    let mut bounded = plain.clone();
    (bounded["bound_coef"], bounded["value_clip_range"]) = (json!(0.1), json!(0.2));
    for core in [json!({"type": "gru", "size": 33}), json!({"type": "lstm", "size": 24})] {
        for (value, actions, config) in [
            ("separate", &choice, &plain),
            ("shared", &choice, &plain),
            ("separate", &motion, &bounded),
            ("shared", &motion, &bounded),
            ("separate", &both, &plain),
            ("shared", &both, &plain),
        ] {
            let (policy, what) = (policy(&core, value, actions), format!("{core}, {value}, {actions}"));
            let (found, gradient) = learned(&policy, Learner::Fused, config);
            let (expected, autograd) = learned(&policy, Learner::Libtorch, config);
            for (name, expected) in &expected {
                let found = found.iter().find(|(own, _)| own == name).unwrap().1;
                assert!((found - expected).abs() <= 1e-5 * expected.abs(), "{what}: {name}: {found}, not {expected}");
            }
            assert_eq!(found.len(), expected.len(), "{what}");
            for slot in &policy.layout().slots {
                let place = slot.offset as usize..(slot.offset + slot.count()) as usize;
                let (found, expected) = (&gradient[place.clone()], &autograd[place]);
                let size = expected.iter().fold(0.0f32, |most, slope| most.max(slope.abs()));
                let off = found.iter().zip(expected).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
                assert!(size > 0.0 && off <= 1e-5 * size, "{what}: {}: off by {off} of {size}", slot.name);
            }
        }
    }
}

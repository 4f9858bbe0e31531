//! Each setting does what it says.

use crate::hosts::*;
use keel::model::AnyModel;
use keel::session::control::{Actor, Episode};
use keel::session::{Learner, Role};
use serde_json::{json, Value};

/// The hash of a session of these settings after one update on carts, and its optimiser steps.
fn learned(more: Value) -> (u64, u64) {
    let mut settings = json!({"rollout_steps": 64, "epochs": 2, "minibatches": 4});
    more.as_object().unwrap().iter().for_each(|(key, value)| settings[key] = value.clone());
    let session = session(settings, cart_config(json!({})));
    let actor = Actor::create(&session).unwrap();
    Carts::new(4).learn(&session, &actor);
    let metrics: Value = serde_json::from_str(&session.metrics_json()).unwrap();
    (session.state_hash().unwrap(), metrics["optimizer_steps"].as_u64().unwrap())
}

#[test]
fn the_scope_of_advantages_and_the_decay_of_weights_count() {
    let hashes = [
        learned(json!({})).0,
        learned(json!({"advantages": "batch"})).0,
        learned(json!({"advantages": "off"})).0,
        learned(json!({"optimizer": {"weight_decay": 0.5}})).0,
    ];
    for (place, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..place].contains(hash), "{place}: {hashes:?}");
    }
}

#[test]
fn an_update_stops_before_the_step_that_goes_too_far() {
    assert_eq!(learned(json!({})).1, 8);
    assert_eq!(learned(json!({"target_kl": 1e-12})).1, 1, "the first minibatch has moved nothing yet");
}

#[test]
fn a_slot_draws_anew_at_each_act_and_in_each_episode() {
    let session = session(json!({}), cart_config(json!({})));
    let actor = Actor::create(&session).unwrap();
    for ending in [Episode::Running, Episode::Terminated] {
        let drawn: Vec<i32> = (0..64)
            .map(|_| {
                let choice = act(&actor, &[0], &[0.0; 4], RECORDED)[0];
                actor.observe(&[0], &[0.0], &[ending], &[]).unwrap();
                choice
            })
            .collect();
        let ones = drawn.iter().sum::<i32>();
        assert!((8..57).contains(&ones), "{ending:?}: {drawn:?}");
    }
}

#[test]
fn continuous_actions_stay_within_their_bounds() {
    let network = json!({
        "model_type": "control", "initial_deviation": 5.0,
        "observations": [{"type": "vector", "name": "o", "size": 1}],
        "actions": [{"type": "continuous", "name": "a", "size": 1, "low": -0.5, "high": 2.0}],
    });
    let session = session(json!({}), network);
    let actor = Actor::create(&session).unwrap();
    let mut least_and_most = (f32::MAX, f32::MIN);
    for _ in 0..200 {
        let mut record = [0u8; 4];
        let drawn = keel::session::control::Act { unrecorded: true, ..RECORDED };
        actor.act(&[0], &bytes(&[1.0]), &mut record, drawn, None).unwrap();
        let action = f32::from_ne_bytes(record);
        least_and_most = (least_and_most.0.min(action), least_and_most.1.max(action));
    }
    assert_eq!(least_and_most, (-0.5, 2.0));
}

#[test]
fn statistics_are_published_with_the_weights() {
    let session = session(
        json!({"rollout_steps": 8, "epochs": 1, "minibatches": 1}),
        cart_config(json!({"normalize_observations": true})),
    );
    let actor = Actor::create(&session).unwrap();
    for step in 0..8 {
        act(&actor, &[0], &[100.0 + step as f32, 0.0, 0.0, 0.0], RECORDED);
        actor.observe(&[0], &[1.0], &[Episode::Terminated], &[]).unwrap();
    }
    session.clone().update().unwrap().unwrap().run().unwrap();
    let Some(AnyModel::Control(policy)) = session.model(Role::Policy) else { panic!("a policy") };
    let statistics = policy.published().statistics.clone();
    assert_eq!((statistics.count, statistics.means[0]), (8, 103.5));
    assert!((statistics.variance(0) - 5.25).abs() < 1e-12);
}

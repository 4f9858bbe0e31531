//! Behaviour cloning: alone, and as PPO's warm start.

use crate::cartpole::CartPole;
use crate::hosts::*;
use keel::data::{Batch, Column, Kind, Values};
use keel::error::Status;
use keel::session::control::{Actor, ControlSession, Episode};
use keel::session::{AnySession, Learner, Role};
use serde_json::{json, Value};
use std::sync::Arc;

/// Holds a pole up for as long as one likes.
fn expert(observation: [f32; 4]) -> f32 {
    let [place, speed, angle, turn] = observation;
    if angle + 0.25 * turn + 0.05 * place + 0.1 * speed > 0.0 {
        1.0
    } else {
        0.0
    }
}

/// What the expert saw and did in so many steps.
fn shown(steps: usize) -> (Vec<f32>, Vec<f32>) {
    let mut cart = CartPole::new(77);
    let (mut observations, mut actions) = (Vec::new(), Vec::new());
    for _ in 0..steps {
        observations.extend(cart.observation());
        actions.push(expert(cart.observation()));
        if cart.step(expert(cart.observation()) as i32) != Episode::Running {
            cart.reset();
        }
    }
    (observations, actions)
}

fn batch(observations: Vec<f32>, actions: Vec<f32>) -> Batch {
    let mut batch = Batch::new(Kind::Demonstrations, (observations.len() / 4) as u64).unwrap();
    batch.set("observation", Column::flat(Values::F32(observations))).unwrap();
    batch.set("action", Column::flat(Values::F32(actions))).unwrap();
    batch
}

pub fn demonstrations(steps: usize) -> Batch {
    let (observations, actions) = shown(steps);
    batch(observations, actions)
}

pub fn cloning(more: Value, network: Value) -> Arc<ControlSession> {
    let mut settings = json!({"type": "cloning", "optimizer": {"learning_rate": 3e-3}});
    more.as_object().unwrap().iter().for_each(|(key, value)| settings[key] = value.clone());
    session(settings, network)
}

/// Updates until there is nothing more to learn; how many.
fn exhaust(session: &Arc<ControlSession>) -> usize {
    let mut updates = 0;
    while let Some(job) = session.clone().update().unwrap() {
        job.run().unwrap();
        updates += 1;
    }
    updates
}

#[test]
fn the_expert_is_imitated_and_ppo_goes_on_from_there() {
    let session = cloning(json!({"epochs": 12}), cart_config(json!({})));
    session.push(&demonstrations(2000)).unwrap();
    assert_eq!(exhaust(&session), 12 * 32);
    let cloned = evaluate(&Actor::create(&session).unwrap(), 10);
    assert!(cloned > 300.0, "{cloned}");
    let model = session.model(Role::Policy).unwrap();
    drop(session);

    let settings = json!({"rollout_steps": 256, "epochs": 4, "minibatches": 4,
                          "cloning": {"coef": 0.1, "decay_updates": 6, "batch_size": 64}});
    let next = bare(settings);
    next.set_model(Role::Policy, model).unwrap();
    next.push(&demonstrations(500)).unwrap();
    let actor = Actor::create(&next).unwrap();
    let mut carts = Carts::new(4);
    (0..8).for_each(|_| carts.learn(&next, &actor));
    let after = evaluate(&actor, 10);
    assert!(after > 300.0, "{cloned} → {after}");
}

#[test]
fn both_learners_learn_the_same() {
    let network = json!({
        "model_type": "control", "hidden": [16, 8], "activation": "silu", "value": "shared",
        "observations": [{"type": "mask", "action": "b"}, {"type": "vector", "name": "o", "size": 3}],
        "actions": [{"type": "continuous", "name": "c", "size": 2}, {"type": "discrete", "name": "b", "choices": 3},
                    {"type": "continuous", "name": "s", "size": 1, "low": -1.0, "high": 3.0, "distribution": "squashed",
                     "deviation": "state"}],
    });
    let learned = |learner: &str| {
        let session = cloning(json!({"learner": learner, "batch_size": 16, "epochs": 3}), network.clone());
        let rows = 40;
        let number = |i: usize| ((i * 37) % 23) as f32 / 11.5 - 1.0;
        let mut batch = Batch::new(Kind::Demonstrations, rows as u64).unwrap();
        let action = |row: usize| [number(row), number(row + 5), (row % 2) as f32 * 2.0, 1.0 + 1.9 * number(row + 9)];
        let column = |numbers: Vec<f32>| Column::flat(Values::F32(numbers));
        batch.set("observation", column((0..3 * rows).map(number).collect())).unwrap();
        batch.set("action", column((0..rows).flat_map(action).collect())).unwrap();
        batch.set("mask", Column::flat(Values::U8([1, 0, 1].repeat(rows)))).unwrap();
        batch.set("weight", column((0..rows).map(|row| (row % 3) as f32).collect())).unwrap();
        session.push(&batch).unwrap();
        exhaust(&session);
        let Some(keel::model::AnyModel::Control(policy)) = session.model(Role::Policy) else { panic!("a policy") };
        (policy.published().weights.clone(), metric(&session, "loss/total"))
    };
    let ((fused, loss), (libtorch, other)) = (learned("fused"), learned("libtorch"));
    let worst = fused.iter().zip(&libtorch).map(|(fused, torch)| (fused - torch).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5 && (loss - other).abs() < 1e-5, "off by {worst}; {loss}, {other}");
}

#[test]
fn settings_and_seeds_count() {
    let learned = |more: Value| {
        let session = cloning(more, cart_config(json!({})));
        session.push(&demonstrations(100)).unwrap();
        let updates = exhaust(&session);
        (updates, session.state_hash().unwrap())
    };
    let usual = learned(json!({}));
    assert_eq!((usual.0, usual), (2, learned(json!({}))));
    assert_eq!(learned(json!({"batch_size": 30})).0, 4);
    assert_eq!(learned(json!({"epochs": 3})).0, 6);
    assert_ne!(learned(json!({"shuffle": false})).1, usual.1);
    assert_ne!(learned(json!({"seed": 5})).1, usual.1);
}

#[test]
fn a_session_saved_in_mid_pass_has_the_same_future() {
    let network = cart_config(json!({"normalize_observations": true}));
    let first = cloning(json!({"epochs": 2}), network.clone());
    assert_eq!(first.push(&demonstrations(150)).unwrap(), 0);
    first.clone().update().unwrap().unwrap().run().unwrap();
    assert_eq!(first.push(&demonstrations(20)).unwrap(), 150);
    let (bytes, hash) = (first.export().unwrap(), first.state_hash().unwrap());
    exhaust(&first);
    let expected = first.state_hash().unwrap();
    let second = cloning(json!({"epochs": 2}), network);
    second.import(&bytes).unwrap();
    assert_eq!(second.state_hash().unwrap(), hash);
    exhaust(&second);
    assert_eq!(second.state_hash().unwrap(), expected);
    assert!(second.import(&bytes[..bytes.len() - 8]).is_err());
    second.clear().unwrap();
    assert!(second.clone().update().unwrap().is_none());
}

#[test]
fn bad_demonstrations_change_nothing() {
    let session = cloning(json!({}), cart_config(json!({})));
    let hash = session.state_hash().unwrap();
    let refused = |batch: &Batch, status: Status, says: &str| {
        let error = session.push(batch).unwrap_err();
        assert!(error.status == status && error.message.contains(says), "{error}, not {says}");
    };
    let mut bare = Batch::new(Kind::Demonstrations, 2).unwrap();
    refused(&bare, Status::Data, "observation: required in a batch of demonstrations");
    bare.set("observation", Column::flat(Values::F32(vec![0.0; 6]))).unwrap();
    bare.set("action", Column::flat(Values::F32(vec![0.0; 2]))).unwrap();
    refused(&bare, Status::Shape, "row 0: observation: expected 4 numbers a row, got 3");
    refused(&batch(vec![0.0; 8], vec![1.0, 2.0]), Status::Data, "row 1: action: push: expected a legal choice below 2");
    refused(&batch(vec![0.0; 8], vec![0.5, 1.0]), Status::Data, "row 0: action: push: expected a legal choice");
    let mut masked = batch(vec![0.0; 4], vec![1.0]);
    masked.set("mask", Column::flat(Values::U8(vec![1, 1]))).unwrap();
    refused(&masked, Status::Shape, "mask: expected 0 numbers a row, got 2");
    let mut split = batch(vec![0.0; 4], vec![1.0]);
    split.set("split", Column::flat(Values::I32(vec![1]))).unwrap();
    refused(&split, Status::Data, "split: no column of demonstrations for a control policy");
    refused(
        &Batch::new(Kind::Prompts, 1).unwrap(),
        Status::State,
        "expected a batch of demonstrations, got one of prompts",
    );
    assert_eq!(session.state_hash().unwrap(), hash);
    let other = self::session(json!({}), cart_config(json!({})));
    assert_eq!(other.push(&demonstrations(3)).unwrap_err().status, Status::State);
    assert!(AnySession::create(&runtime(), other.config().as_ref().clone()).is_ok());
}

#[test]
fn ppo_imitates_until_the_weight_is_gone() {
    let run = |coef: f64| {
        let settings = json!({"rollout_steps": 64, "epochs": 1, "minibatches": 2,
                              "cloning": {"coef": coef, "decay_updates": 2, "batch_size": 32}});
        let session = session(settings, cart_config(json!({})));
        session.push(&demonstrations(200)).unwrap();
        let actor = Actor::create(&session).unwrap();
        let mut carts = Carts::new(4);
        let imitated: Vec<bool> = (0..3)
            .map(|_| {
                carts.learn(&session, &actor);
                session.metrics_json().contains("loss/demonstrations")
            })
            .collect();
        let bytes = session.export().unwrap();
        let hash = session.state_hash().unwrap();
        session.import(&bytes).unwrap();
        assert_eq!(session.state_hash().unwrap(), hash, "demonstrations are kept");
        (imitated, hash)
    };
    let (imitated, hash) = run(1.0);
    assert_eq!(imitated, [true, true, false]);
    assert_ne!(hash, run(0.5).1);
}

//! Soft actor-critic from the host's side.

use crate::hosts::*;
use crate::pendulum::*;
use keel::error::Status;
use keel::session::control::{Act, Actor, ControlSession, Episode};
use keel::session::{AnySession, Learner};
use serde_json::{json, Value};
use std::sync::Arc;
use std::time::Duration;

/// A network that it trains, with what `more` says.
pub fn squashed(more: Value) -> Value {
    let mut config = pendulum_config(json!({"hidden": [32, 32], "activation": "relu"}));
    config["actions"][0]["distribution"] = json!("squashed");
    config["actions"][0]["deviation"] = json!("state");
    more.as_object().unwrap().iter().for_each(|(key, value)| config[key] = value.clone());
    config
}

fn settings(more: Value) -> Value {
    let mut settings =
        json!({"type": "sac", "learning_starts": 30, "batch_size": 16, "optimizer": {"learning_rate": 1e-3}});
    more.as_object().unwrap().iter().for_each(|(key, value)| settings[key] = value.clone());
    settings
}

fn small(more: Value) -> Arc<ControlSession> {
    session(settings(more), squashed(json!({})))
}

fn counters(session: &ControlSession) -> (u64, u64) {
    let metrics: Value = serde_json::from_str(&session.metrics_json()).unwrap();
    (metrics["updates"].as_u64().unwrap(), metrics["optimizer_steps"].as_u64().unwrap())
}

#[test]
fn the_pendulum_learns_to_swing_up() {
    let session = small(json!({"learning_starts": 100, "batch_size": 128, "discount": 0.95, "seed": 1}));
    let actor = Actor::create(&session).unwrap();
    let before = swing(&actor, 10);
    let mut pendulums = Pendulums::new(1, 1);
    while counters(&session).1 < 4000 {
        pendulums.learn(&session, &actor);
    }
    let after = swing(&actor, 10);
    assert!(before < -800.0 && after > -450.0, "{before} → {after}");
}

#[test]
fn a_session_saved_in_mid_episode_has_the_same_future() {
    let path = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sac.keel");
    let network = squashed(json!({"normalize_observations": true}));
    let first = session(settings(json!({"replay_capacity": 40})), network.clone());
    let actor = Actor::create(&first).unwrap();
    let mut pendulums = Pendulums::new(2, 5);
    let future = |session: &Arc<ControlSession>, actor: &Actor, pendulums: &Pendulums| {
        let mut pendulums = Pendulums(pendulums.0.clone());
        (0..12).for_each(|_| pendulums.learn(session, actor));
        session.state_hash().unwrap()
    };
    // before the first update, when actions are not yet the policy's, and once the ring has gone round
    for updates in [0, 25] {
        (0..updates).for_each(|_| pendulums.learn(&first, &actor));
        (0..5).for_each(|_| pendulums.turn(&actor));
        first.clone().save(path.clone()).unwrap().run().unwrap();
        let (hash, bytes) = (first.state_hash().unwrap(), first.export().unwrap());
        let expected = future(&first, &actor, &pendulums);
        first.import(&bytes).unwrap();
        assert_eq!(first.state_hash().unwrap(), hash);
        assert_eq!(future(&first, &actor, &pendulums), expected, "the same session");
        let AnySession::Control(opened) = AnySession::open(&runtime(), &path).unwrap() else { panic!("control") };
        assert_eq!(future(&opened, &Actor::create(&opened).unwrap(), &pendulums), expected, "another session");
        first.import(&bytes).unwrap();
    }
    let mut damaged = first.export().unwrap();
    let (hash, count) = (first.state_hash().unwrap(), damaged.len());
    damaged.truncate(count - 4);
    assert!(first.import(&damaged).is_err());
    let other = session(settings(json!({"critic_hidden": [8]})), network);
    let error = other.import(&first.export().unwrap()).unwrap_err();
    assert!(error.message.contains("damaged"), "critics of another shape: {error}");
    assert_eq!(first.state_hash().unwrap(), hash);
}

#[test]
fn a_cancelled_update_loses_nothing() {
    let (whole, broken) = (small(json!({"rollout_steps": 20})), small(json!({"rollout_steps": 20})));
    for session in [&whole, &broken] {
        let actor = Actor::create(session).unwrap();
        let mut pendulums = Pendulums::new(1, 3);
        (0..45).for_each(|_| pendulums.turn(&actor));
        let job = session.clone().update().unwrap().unwrap();
        if Arc::ptr_eq(session, &broken) {
            (0..6).for_each(|_| _ = job.pump(Duration::ZERO).unwrap());
            job.cancel();
            assert!(job.run().is_err(), "cancelled after three optimiser steps");
            session.clone().update().unwrap().unwrap().run().unwrap();
        } else {
            job.run().unwrap();
        }
    }
    assert_eq!(
        (counters(&whole), counters(&broken)),
        ((1, 14), (1, 14)),
        "44 finished steps, 30 before learning starts"
    );
    assert_eq!(whole.state_hash().unwrap(), broken.state_hash().unwrap(), "it went on where it was cancelled");
    assert_eq!((metric(&whole, "steps/trained"), metric(&broken, "steps/trained")), (44.0, 44.0));
}

#[test]
fn updates_wait_for_steps_and_make_what_they_are_worth() {
    for (more, due, made) in [
        (json!({"rollout_steps": 1}), 32, 1),
        (json!({"rollout_steps": 1, "update_to_data": 2.5}), 32, 2),
        (json!({"rollout_steps": 1, "update_to_data": 0.25}), 35, 1),
        (json!({"rollout_steps": 50}), 51, 20),
        (json!({"rollout_steps": 1, "learning_starts": 0}), 2, 1),
    ] {
        let session = small(more.clone());
        let actor = Actor::create(&session).unwrap();
        let mut pendulums = Pendulums::new(1, 3);
        let mut acts = 0;
        while counters(&session).0 == 0 {
            pendulums.turn(&actor);
            acts += 1;
            session.clone().update().unwrap().map(|job| job.run().unwrap());
        }
        assert_eq!((acts, counters(&session).1), (due, made), "{more}");
    }
}

#[test]
fn actions_are_even_until_the_first_update_is_complete() {
    let session = small(json!({"learning_starts": 2000}));
    let actor = Actor::create(&session).unwrap();
    let drawn = |how: Act| torques(&actor, &[0], &[1.0, 0.0, 0.0], how)[0];
    let mut counts = [0; 4];
    let mut log_probs = 0;
    for _ in 0..2000 {
        let torque = drawn(RECORDED);
        assert!(torque.abs() <= 2.0);
        counts[(torque + 2.0).min(3.999) as usize] += 1;
        log_probs += 1;
        actor.observe(&[0], &[0.0], &[Episode::Running], &[]).unwrap();
    }
    assert_eq!(log_probs, 2000);
    assert!(counts.iter().all(|count| (400..600).contains(count)), "{counts:?}");
    let greedy = drawn(GREEDY);
    assert!(greedy.abs() < 0.5 && greedy == drawn(GREEDY), "the policy's own mean: {greedy}");
    (0..3).for_each(|_| {
        drawn(RECORDED);
        actor.observe(&[0], &[0.0], &[Episode::Running], &[]).unwrap();
    });
    session.clone().update().unwrap().unwrap().run().unwrap();
    let spread = |torques: &[f32]| torques.iter().map(|torque| torque.abs()).sum::<f32>() / torques.len() as f32;
    let own: Vec<f32> = (0..200).map(|_| drawn(Act { unrecorded: true, ..RECORDED })).collect();
    assert!(own.iter().all(|torque| torque.abs() <= 2.0) && spread(&own) > 0.1, "{own:?}");
}

#[test]
fn memory_is_bounded_and_clear_empties_it() {
    let session = small(json!({"replay_bytes": 9 * 4 * 12, "rollout_steps": 40}));
    let actor = Actor::create(&session).unwrap();
    let mut pendulums = Pendulums::new(1, 3);
    pendulums.learn(&session, &actor);
    assert_eq!(metric(&session, "replay/steps"), 12.0);
    (0..20).for_each(|_| pendulums.turn(&actor));
    session.clear().unwrap();
    assert!(session.clone().update().unwrap().is_none());
    pendulums.learn(&session, &actor);
    assert_eq!((metric(&session, "replay/steps"), metric(&session, "steps/trained")), (12.0, 40.0));
}

#[test]
fn each_setting_counts() {
    let learned = |more: Value| {
        let session = small(more);
        let actor = Actor::create(&session).unwrap();
        let mut pendulums = Pendulums::new(2, 3);
        (0..4).for_each(|_| pendulums.learn(&session, &actor));
        session.state_hash().unwrap()
    };
    let mut hashes = vec![learned(json!({})), learned(json!({}))];
    assert_eq!(hashes[0], hashes[1]);
    for more in [
        json!({"discount": 0.5}),
        json!({"target_rate": 0.5}),
        json!({"critic_hidden": [8]}),
        json!({"critic_learning_rate": 1e-4}),
        json!({"temperature": 0.1}),
        json!({"learn_temperature": false}),
        json!({"temperature_learning_rate": 1e-4}),
        json!({"target_entropy": -3.0}),
        json!({"batch_size": 17}),
        json!({"replay_capacity": 20}),
        json!({"seed": 1}),
        json!({"optimizer": {"learning_rate": 1e-4}}),
        json!({"optimizer": {"learning_rate": 1e-3, "max_grad_norm": 1e-3}}),
    ] {
        let hash = learned(more.clone());
        assert!(!hashes[1..].contains(&hash), "{more}");
        hashes.push(hash);
    }
}

#[test]
fn what_it_cannot_train_is_refused() {
    let refused = |config: Value, says: &str| {
        let session = bare(settings(json!({})));
        let error = session.set_model(keel::session::Role::Policy, policy(config, 0)).unwrap_err();
        assert!(error.status == Status::Config && error.message.contains(says), "{error}");
    };
    refused(cart_config(json!({})), "/actions/0: expected continuous actions");
    refused(pendulum_config(json!({})), "got normal with parameter");
    refused(squashed(json!({"core": {"type": "gru", "size": 8}})), "/core: expected none");
    let mut other = squashed(json!({}));
    other["actions"][0]["deviation"] = json!("parameter");
    refused(other, "got squashed with parameter");
    let text = json!({"algorithm": {"type": "sac", "learn_temperature": false, "target_entropy": -1.0}}).to_string();
    let config = keel::session::Config::parse(Some(text.as_bytes())).unwrap();
    let error = AnySession::create(&runtime(), config).map(|_| ()).unwrap_err();
    assert!(error.message.contains("/algorithm/learn_temperature: expected true"), "{error}");
    for text in [r#"{"algorithm": {"type": "sac", "batch_size": 0}}"#, r#"{"algorithm": {"type": "sac", "tau": 1}}"#] {
        assert!(keel::session::Config::parse(Some(text.as_bytes())).is_err(), "{text}");
    }
}

#[test]
fn numbers_that_break_it_are_refused_and_cleared() {
    let session = small(json!({}));
    let actor = Actor::create(&session).unwrap();
    for _ in 0..40 {
        torques(&actor, &[0], &[1.0, 0.0, 0.0], RECORDED);
        actor.observe(&[0], &[f32::MAX], &[Episode::Terminated], &[]).unwrap();
    }
    let error = session.clone().update().unwrap().unwrap().run().unwrap_err();
    assert!(error.status == Status::NonFinite && error.message.contains("optimiser step 0: loss/value is"), "{error}");
    session.clear().unwrap();
    Pendulums::new(1, 1).learn(&session, &actor);
}

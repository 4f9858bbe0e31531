//! What recurrent policies remember: by slot, within an episode, across updates and checkpoints.

use crate::hosts::*;
use crate::recall::{recall_config, Recall};
use keel::config::Load;
use keel::error::Status;
use keel::model::AnyModel;
use keel::session::control::{Act, Actor, ControlSession, Episode};
use keel::session::{AnySession, Learner, Role};
use serde_json::{json, Value};
use std::sync::Arc;

const LEARNERS: [&str; 2] = ["fused", "libtorch"];

/// The likeliest action, and the slot moves on; on an actor that records it would be learned from.
const LIKELIEST: Act = Act { greedy: true, unrecorded: false, given: false };

pub fn cores() -> [Value; 3] {
    [
        json!({"core": {"type": "gru", "size": 12}}),
        json!({"core": {"type": "lstm", "size": 12}}),
        json!({"core": {"type": "lstm", "size": 12}, "value": "shared"}),
    ]
}

/// A session whose mean actions show what is remembered.
fn shown(core: Value, algorithm: Value) -> Arc<ControlSession> {
    let mut network = json!({
        "model_type": "control", "hidden": [8], "policy_gain": 1.0,
        "observations": [{"type": "vector", "name": "o", "size": 2}],
        "actions": [{"type": "continuous", "name": "a", "size": 1}],
    });
    core.as_object().unwrap().iter().for_each(|(key, value)| network[key] = value.clone());
    session(algorithm, network)
}

fn number(actor: &Actor, slot: u32, observation: [f32; 2], how: Act) -> f32 {
    let mut record = [0u8; 4];
    actor.act(&[slot], &bytes(&observation), &mut record, how, None).unwrap();
    f32::from_ne_bytes(record)
}

/// What it would do next; leaves no trace.
fn probe(actor: &Actor, slot: u32) -> f32 {
    number(actor, slot, [0.3, -0.7], GREEDY)
}

#[test]
fn a_slot_remembers_its_episode_and_nothing_else() {
    for core in cores() {
        let session = shown(core, json!({}));
        let watcher = Actor::create_unrecorded(&session).unwrap();
        for (actor, how) in [(Actor::create(&session).unwrap(), RECORDED), (watcher, LIKELIEST)] {
            let blank = probe(&actor, 3);
            assert_eq!(probe(&actor, 3), blank, "an unrecorded act leaves what is remembered");
            let mut seen = vec![blank];
            for step in 0..3 {
                number(&actor, 3, [1.0, step as f32], how);
                seen.push(probe(&actor, 3));
                actor.observe(&[3], &[1.0], &[Episode::Running], &[]).unwrap();
                assert_eq!(probe(&actor, 3), seen[step + 1], "observing moves nothing");
            }
            assert!((1..4).all(|step| !seen[..step].contains(&seen[step])), "{seen:?}");
            assert_eq!(probe(&actor, 2), blank, "another slot has seen nothing");
            number(&actor, 3, [1.0, 9.0], how);
            actor.observe(&[3], &[1.0], &[Episode::Abandoned], &[]).unwrap();
            assert_eq!(probe(&actor, 3), blank, "the next episode begins");
        }
    }
}

#[test]
fn an_actor_that_does_not_record_leaves_no_trace() {
    let session = session(json!({"rollout_steps": 1}), recall_config(cores()[0].clone()));
    let (actor, watcher) = (Actor::create(&session).unwrap(), Actor::create_unrecorded(&session).unwrap());
    let mut recall = Recall::new(3, 5);
    (0..4).for_each(|_| _ = recall.turn(&actor, RECORDED));
    let (hash, exported) = (session.state_hash().unwrap(), session.export().unwrap());
    let mut other = Recall::new(7, 6);
    (0..30).for_each(|turn| _ = other.turn(&watcher, if turn % 2 == 0 { LIKELIEST } else { RECORDED }));
    assert_eq!(session.state_hash().unwrap(), hash);
    assert_eq!(session.export().unwrap(), exported);
    act(&watcher, &[9], &[0.0; 2], RECORDED);
    let error = watcher.act(&[9], &bytes(&[0.0; 2]), &mut [0; 4], RECORDED, None).unwrap_err();
    assert!(error.status == Status::State && error.message.contains("was not observed"), "{error}");
    let error = watcher.observe(&[1 << 10], &[0.0], &[Episode::Running], &[]).unwrap_err();
    assert!(error.status == Status::State && error.message.contains("has not acted"), "{error}");
    watcher.observe(&[9], &[f32::MAX], &[Episode::Terminated], &[]).unwrap();
    session.clone().update().unwrap().expect("what the other actor did").run().unwrap();
    assert_eq!(metric(&session, "steps/trained"), 9.0);
}

#[test]
fn sampler_and_learner_agree_along_sequences() {
    for (core, learner) in cores().iter().flat_map(|core| LEARNERS.map(|learner| (core, learner))) {
        let settings =
            json!({"rollout_steps": 60, "epochs": 1, "minibatches": 1, "sequence_length": 5, "learner": learner});
        let session = session(settings, recall_config(core.clone()));
        let actor = Actor::create(&session).unwrap();
        let mut recall = Recall::new(4, 2);
        recall.learn(&session, &actor);
        let off = metric(&session, "policy/ratio_max_log");
        assert!(off < if learner == "fused" { f64::MIN_POSITIVE } else { 1e-5 }, "{learner}: {off}");
        assert_eq!(metric(&session, "steps/trained"), 60.0);
    }
}

#[test]
fn both_learners_learn_the_same_along_sequences() {
    for core in cores() {
        let learned = |learner: &str| {
            let settings = json!({
                "rollout_steps": 96, "epochs": 2, "minibatches": 3, "sequence_length": 5, "learner": learner,
                "gradient_clip": "separate", "normalize_values": true, "normalize_rewards": true, "bound_coef": 0.1,
                "value_clip_range": 0.2, "entropy_coef": 0.01, "optimizer": {"learning_rate": 1e-3},
            });
            let bounded = json!([{"type": "continuous", "name": "a", "size": 1, "low": -0.1, "high": 0.1}]);
            let mut network = core.clone();
            (network["actions"], network["normalize_observations"]) = (bounded, json!(true));
            let session = shown(network, settings);
            let actor = Actor::create(&session).unwrap();
            for step in 0..99 {
                number(&actor, step % 3, [(step as f32).sin(), (step as f32).cos()], RECORDED);
                let episode = if step % 17 == 0 { Episode::Terminated } else { Episode::Running };
                actor.observe(&[step % 3], &[(step as f32 * 0.7).sin()], &[episode], &[]).unwrap();
            }
            session.clone().update().unwrap().unwrap().run().unwrap();
            let Some(AnyModel::Control(policy)) = session.model(Role::Policy) else { panic!("a policy") };
            let names = ["loss/total", "policy/beyond_bounds", "gradient/policy_norm", "gradient/value_norm"];
            (policy.published().weights.clone(), names.map(|name| metric(&session, name)))
        };
        let [(fused, measured), (libtorch, expected)] = LEARNERS.map(learned);
        let off = fused.iter().zip(&libtorch).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 2e-5 && fused != libtorch, "{core}: weights off by {off}");
        for (found, expected) in measured.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-4 * expected.abs(), "{core}: {found}, not {expected}");
        }
    }
}

#[test]
fn new_weights_leave_what_slots_remember() {
    for core in cores() {
        let settings =
            json!({"rollout_steps": 2, "epochs": 1, "minibatches": 1, "optimizer": {"learning_rate": 1e-12}});
        let session = shown(core, settings);
        let actor = Actor::create(&session).unwrap();
        let blank = probe(&actor, 0);
        for step in 0..3 {
            number(&actor, 0, [2.0, step as f32], RECORDED);
            actor.observe(&[0], &[1.0], &[Episode::Running], &[]).unwrap();
        }
        let before = probe(&actor, 0);
        session.clone().update().unwrap().unwrap().run().unwrap();
        let after = probe(&actor, 0);
        assert!((after - before).abs() < 1e-5 && (before - blank).abs() > 1e-3, "{blank} {before} {after}");
        // the step that was open begins a sequence from what was remembered before it
        number(&actor, 0, [2.0, 3.0], RECORDED);
        actor.observe(&[0], &[1.0], &[Episode::Terminated], &[]).unwrap();
        session.clone().update().unwrap().unwrap().run().unwrap();
        assert!(metric(&session, "policy/ratio_max_log") < 1e-5);
    }
}

fn small() -> Value {
    json!({"rollout_steps": 64, "epochs": 2, "minibatches": 4, "sequence_length": 4})
}

#[test]
fn a_session_saved_in_mid_episode_has_the_same_future() {
    for core in cores() {
        let first = session(small(), recall_config(core.clone()));
        let actor = Actor::create(&first).unwrap();
        let mut recall = Recall::new(5, 4);
        recall.learn(&first, &actor);
        (0..7).for_each(|_| _ = recall.turn(&actor, RECORDED));
        let (hash, bytes) = (first.state_hash().unwrap(), first.export().unwrap());
        let future = |session: &Arc<ControlSession>, actor: &Actor| {
            let mut recall = recall.clone();
            (0..2).for_each(|_| recall.learn(session, actor));
            session.state_hash().unwrap()
        };
        let expected = future(&first, &actor);
        first.import(&bytes).unwrap();
        assert_eq!(first.state_hash().unwrap(), hash);
        assert_eq!(future(&first, &actor), expected, "the same session and actor");
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("recurrent.keel");
        std::fs::write(&path, &bytes).unwrap();
        let AnySession::Control(opened) = AnySession::open(&runtime(), &path).unwrap() else {
            panic!("a control session")
        };
        assert_eq!(opened.state_hash().unwrap(), hash);
        assert_eq!(future(&opened, &Actor::create(&opened).unwrap()), expected, "another session");
    }
}

#[test]
fn a_policy_on_disk_remembers_as_it_did() {
    for (place, core) in cores().into_iter().enumerate() {
        let first = shown(core, json!({}));
        let Some(AnyModel::Control(policy)) = first.model(Role::Policy) else { panic!("a policy") };
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("recurrent-{place}"));
        policy.save(&folder).unwrap();
        let second = bare(json!({}));
        second.set_model(Role::Policy, AnyModel::load(&folder, &Load::default()).unwrap()).unwrap();
        let actors = [first, second].map(|session| Actor::create_unrecorded(&session).unwrap());
        for step in 0..5 {
            let [one, other] = actors.each_ref().map(|actor| number(actor, 0, [1.0, step as f32], LIKELIEST));
            assert_eq!(one, other, "step {step}");
            actors.iter().for_each(|actor| actor.observe(&[0], &[0.0], &[Episode::Running], &[]).unwrap());
        }
    }
}

#[test]
fn an_update_that_is_cancelled_changes_nothing() {
    let session = session(small(), recall_config(cores()[1].clone()));
    let actor = Actor::create(&session).unwrap();
    let mut recall = Recall::new(5, 9);
    let job = loop {
        recall.turn(&actor, RECORDED);
        if let Some(job) = session.clone().update().unwrap() {
            break job;
        }
    };
    let hash = session.state_hash().unwrap();
    job.cancel();
    assert_eq!(session.state_hash().unwrap(), hash);
    session.clear().unwrap();
    recall.learn(&session, &actor);
    assert!(metric(&session, "policy/ratio_max_log").is_finite());
}

#[test]
fn settings_that_do_not_go_with_the_policy_are_refused() {
    let refused = |settings: Value, network: Value, says: &str| {
        let error = bare(settings).set_model(Role::Policy, policy(network, 0)).unwrap_err();
        assert!(error.status == Status::Config && error.message.contains(says), "{error}");
    };
    for learner in LEARNERS {
        let adaptive = json!({"learner": learner, "adaptive_rate": {}});
        let says = "/algorithm/adaptive_rate: expected none for a recurrent policy";
        refused(adaptive, recall_config(cores()[0].clone()), says);
    }
    let length = json!({"sequence_length": 16});
    refused(
        length,
        recall_config(json!({})),
        "/algorithm/sequence_length: expected none, since the policy has no core, got 16",
    );
}

#[test]
fn the_length_of_sequences_counts() {
    let hash = |length: u32| {
        let mut settings = small();
        settings["sequence_length"] = json!(length);
        let session = session(settings, recall_config(cores()[0].clone()));
        let actor = Actor::create(&session).unwrap();
        Recall::new(5, 8).learn(&session, &actor);
        session.state_hash().unwrap()
    };
    assert_ne!(hash(2), hash(5));
}

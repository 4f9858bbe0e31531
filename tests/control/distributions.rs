//! Continuous actions of every distribution: what hosts get, what is recorded, what is learned.

use crate::hosts::*;
use keel::model::AnyModel;
use keel::session::control::{Act, Actor, Episode};
use keel::session::{Learner, Role};
use serde_json::{json, Value};

/// A network with one action of size 2 between −0.5 and 3.
fn network(more: Value) -> Value {
    let mut action = json!({"type": "continuous", "name": "a", "size": 2, "low": -0.5, "high": 3.0});
    more.as_object().unwrap().iter().for_each(|(key, value)| action[key] = value.clone());
    json!({"model_type": "control", "observations": [{"type": "vector", "name": "o", "size": 1}], "actions": [action],
           "hidden": [16]})
}

fn kinds() -> [Value; 4] {
    [
        json!({"deviation": "state"}),
        json!({"distribution": "squashed"}),
        json!({"distribution": "squashed", "deviation": "state"}),
        json!({"distribution": "beta"}),
    ]
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_ne_bytes([four[0], four[1], four[2], four[3]])).collect()
}

/// The actions of `slots`, all at this observation.
fn acts(actor: &Actor, slots: &[u32], observation: f32, how: Act) -> Vec<f32> {
    let mut actions = vec![0u8; 8 * slots.len()];
    actor.act(slots, &bytes(&vec![observation; slots.len()]), &mut actions, how, None).unwrap();
    numbers(&actions)
}

#[test]
fn actions_stay_between_their_bounds_and_reach_far() {
    for kind in kinds() {
        let mut config = network(kind.clone());
        if kind["distribution"] != "beta" {
            config["initial_deviation"] = json!(7.0);
        }
        let session = session(json!({}), config);
        let actor = Actor::create(&session).unwrap();
        let slots: Vec<u32> = (0..5000).collect();
        let drawn = acts(&actor, &slots, 1.0, Act { unrecorded: true, ..Act::default() });
        assert!(drawn.iter().all(|action| (-0.5..=3.0).contains(action)), "{kind}");
        assert!(drawn.iter().any(|action| *action < -0.3) && drawn.iter().any(|action| *action > 2.8), "{kind}");
        let greedy = acts(&actor, &[0], 0.0, GREEDY);
        let middle = if kind["distribution"].is_null() { 0.0 } else { 1.25 };
        assert!(greedy.iter().all(|action| (action - middle).abs() < 0.1), "{kind}: {greedy:?}");
    }
}

/// The first deviation is the one that the spec says, wherever it comes from.
#[test]
fn the_first_deviation_is_the_specs() {
    for deviation in ["parameter", "state"] {
        let mut config = network(json!({"deviation": deviation, "low": null, "high": null}));
        config["initial_deviation"] = json!(0.25);
        let session = session(json!({}), config);
        let actor = Actor::create(&session).unwrap();
        let slots: Vec<u32> = (0..4000).collect();
        let drawn = acts(&actor, &slots, 0.0, Act { unrecorded: true, ..Act::default() });
        let variance = drawn.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / drawn.len() as f64;
        assert!((variance.sqrt() - 0.25).abs() < 0.01, "{deviation}: {variance}");
    }
}

/// A reward for nearness to a number that the observation names, by each learner: both learn it, and agree at first.
#[test]
fn each_distribution_is_learned_by_both_learners() {
    for kind in kinds() {
        let mut first = Vec::new();
        for learner in ["fused", "libtorch"] {
            let settings = json!({"rollout_steps": 256, "epochs": 6, "minibatches": 4, "discount": 0.5, "learner": learner,
                                  "entropy_coef": 0.001, "optimizer": {"learning_rate": 5e-3}});
            let session = session(settings, network(kind.clone()));
            let actor = Actor::create(&session).unwrap();
            let slots: Vec<u32> = (0..64).collect();
            for turn in 0..100 {
                let target = if turn % 2 == 0 { 0.25 } else { 2.25 };
                let actions = acts(&actor, &slots, target - 1.25, RECORDED);
                let near = |action: &[f32]| -action.iter().map(|a| (a - target).powi(2)).sum::<f32>();
                let rewards: Vec<f32> = actions.chunks(2).map(near).collect();
                actor.observe(&slots, &rewards, &vec![Episode::Terminated; 64], &[]).unwrap();
                if let Some(job) = session.clone().update().unwrap() {
                    job.run().unwrap();
                    if turn < 4 {
                        first.push(["loss/total", "entropy/action"].map(|name| metric(&session, name)));
                    }
                }
            }
            let reached = acts(&actor, &[0], -1.0, GREEDY);
            assert!(reached.iter().all(|action| (action - 0.25).abs() < 0.35), "{kind} {learner}: {reached:?}");
        }
        for (fused, libtorch) in first[0].iter().zip(&first[1]) {
            assert!((fused - libtorch).abs() < 1e-4 * fused.abs().max(1.0), "{kind}: {first:?}");
        }
    }
}

#[test]
fn what_a_host_chose_is_learned_from_as_if_it_had_been_drawn() {
    for kind in kinds() {
        let session = session(json!({"rollout_steps": 3, "epochs": 1, "minibatches": 1}), network(kind.clone()));
        let actor = Actor::create(&session).unwrap();
        // within the bounds, at them and beyond
        let mut record = bytes(&[0.5, 2.0, -0.5, 3.0, -90.0, 90.0]);
        let how = Act { given: true, ..RECORDED };
        actor.act(&[0, 1, 2], &bytes(&[0.0; 3]), &mut record, how, None).unwrap();
        let saved = session.export().unwrap();
        session.import(&saved).unwrap();
        actor.observe(&[0, 1, 2], &[1.0; 3], &[Episode::Terminated; 3], &[]).unwrap();
        session.clone().update().unwrap().unwrap().run().unwrap();
        assert!(metric(&session, "policy/ratio_max_log") < 1e-5, "{kind}");
        let mut spoiled = bytes(&[0.5, f32::NAN]);
        assert!(actor.act(&[0], &bytes(&[0.0]), &mut spoiled, how, None).is_err());
    }
}

#[test]
fn a_policy_of_each_kind_acts_from_disk_as_it_did() {
    for (index, kind) in kinds().into_iter().enumerate() {
        let session = session(json!({}), network(kind));
        let path = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("control-distribution-{index}"));
        let Some(AnyModel::Control(policy)) = session.model(Role::Policy) else { panic!("a policy") };
        policy.save(&path).unwrap();
        let loaded = AnyModel::load(&path, &keel::config::Load::default()).unwrap();
        let other = bare(json!({}));
        other.set_model(Role::Policy, loaded).unwrap();
        let both = [&session, &other].map(|session| {
            let actor = Actor::create(session).unwrap();
            acts(&actor, &[0, 1], 0.4, Act { unrecorded: true, ..Act::default() })
        });
        assert_eq!(both[0], both[1]);
    }
}

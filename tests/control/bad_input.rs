//! Bad input gets its status and a sentence, and the session is as it was.

use crate::hosts::*;
use keel::error::{Error, Status};
use keel::session::control::Episode::{self, *};
use keel::session::control::{Act, Actor};
use keel::session::Learner;
use serde_json::json;

/// A refusal is this status and says this.
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, status: Status, says: &str) {
    let error = result.unwrap_err();
    assert!(
        error.status == status && error.message.contains(says),
        "{:?}: {error}, not {status:?}: {says}",
        error.status
    );
}

#[test]
fn each_is_refused_and_nothing_moves() {
    let session = session(json!({}), cart_config(json!({})));
    let actor = Actor::create(&session).unwrap();
    let good = bytes(&[0.0; 4]);
    act(&actor, &[0, 1], &[0.0; 8], RECORDED);
    actor.observe(&[1], &[1.0], &[Terminated], &[]).unwrap();
    let hash = session.state_hash().unwrap();
    let mut record = [0u8; 4];
    let mut act = |slots: &[u32], observations: &[u8]| actor.act(slots, observations, &mut record, RECORDED, None);
    refused(act(&[2], &good[..12]), Status::Shape, "observations: expected 1 records of 16 bytes, got 12 bytes");
    refused(act(&[2, 3], &good), Status::Shape, "expected 2 records of 16 bytes, got 16 bytes");
    let spoiled = bytes(&[0.0, f32::NAN, 0.0, 0.0]);
    refused(
        act(&[2], &spoiled),
        Status::NonFinite,
        "slot 2: observations: state[1]: expected a finite number, got NaN",
    );
    refused(act(&[0], &good), Status::State, "slot 0 has acted and was not observed");
    refused(act(&[1 << 20], &good), Status::InvalidArgument, "below 1048576");
    let mut two = [0u8; 8];
    let twice = actor.act(&[4, 4], &[&good[..], &good].concat(), &mut two, RECORDED, None);
    refused(twice, Status::InvalidArgument, "got 4 twice");
    let short = actor.act(&[4, 5], &[&good[..], &good].concat(), &mut two[..4], RECORDED, None);
    refused(short, Status::Shape, "actions: expected 2 records of 4 bytes, got 4 bytes");
    let mut given = 2i32.to_ne_bytes();
    let how = Act { given: true, ..RECORDED };
    refused(
        actor.act(&[2], &good, &mut given, how, None),
        Status::Data,
        "push: expected a legal choice below 2, got 2",
    );

    let observe = |slots: &[u32], rewards: &[f32], episodes: &[Episode]| actor.observe(slots, rewards, episodes, &[]);
    refused(observe(&[9], &[1.0], &[Running]), Status::State, "slot 9 has not acted");
    refused(observe(&[1], &[1.0], &[Running]), Status::State, "slot 1 has not acted since its episode began");
    refused(observe(&[0, 9], &[1.0; 2], &[Running; 2]), Status::State, "slot 9 has not acted");
    refused(observe(&[0], &[f32::NAN], &[Running]), Status::NonFinite, "rewards: expected finite numbers, got NaN");
    refused(observe(&[0], &[], &[Running]), Status::Shape, "rewards: expected 1");
    refused(observe(&[0], &[1.0], &[]), Status::Shape, "status: expected 1");
    refused(
        observe(&[0], &[1.0], &[Truncated]),
        Status::Shape,
        "final_observations: expected 1 records of 16 bytes, got 0",
    );
    let spoiled = actor.observe(&[0], &[1.0], &[Truncated], &spoiled);
    refused(spoiled, Status::NonFinite, "final_observations: observations: state[1]");
    refused(observe(&[0, 0], &[1.0; 2], &[Running; 2]), Status::InvalidArgument, "got 0 twice");
    let both = Act { given: true, greedy: true, unrecorded: false };
    refused(actor.act(&[2], &good, &mut given, both, None), Status::InvalidArgument, "got both");
    let far = actor.act(&[500_000, 0], &[&good[..], &good].concat(), &mut two, RECORDED, None);
    refused(far, Status::State, "slot 0 has acted and was not observed");
    assert_eq!(session.state_hash().unwrap(), hash);
    observe(&[0], &[3e38], &[Running]).unwrap();
    let hash = session.state_hash().unwrap();
    refused(observe(&[0], &[3e38], &[Running]), Status::NonFinite, "slot 0: expected a sum that is a number");
    assert_eq!(session.state_hash().unwrap(), hash);
}

#[test]
fn specs_that_cannot_be_are_refused() {
    for (network, says) in [
        (json!({"hidden": [0]}), "/hidden/0"),
        (json!({"observations": []}), "/observations"),
        (json!({"actions": []}), "/actions"),
        (json!({"activation": "tan"}), "/activation"),
        (json!({"actions": [{"type": "discrete", "name": "a", "choices": 0}]}), "/actions/0/choices"),
        (
            json!({"actions": [{"type": "discrete", "name": "a", "choices": 2}, {"type": "discrete", "name": "a", "choices": 2}]}),
            "/actions/1/name: \"a\" appears twice",
        ),
        (
            json!({"actions": [{"type": "continuous", "name": "a", "size": 1, "low": 1.0, "high": 1.0}]}),
            "/actions/0/low",
        ),
        (
            json!({"actions": [{"type": "continuous", "name": "a", "size": 1, "high": 1.0, "distribution": "squashed"}]}),
            "/actions/0/low: expected a number, since Squashed lies between bounds, got none",
        ),
        (
            json!({"actions": [{"type": "continuous", "name": "a", "size": 1, "low": 0.0, "distribution": "beta"}]}),
            "/actions/0/high: expected a number, since Beta lies between bounds, got none",
        ),
        (
            json!({"actions": [{"type": "continuous", "name": "a", "size": 1, "low": -3e38, "high": 3e38, "distribution": "beta"}]}),
            "/actions/0/high: expected a finite distance",
        ),
        (
            json!({"actions": [{"type": "continuous", "name": "a", "size": 1, "low": 0.0, "high": 1.0, "distribution": "beta",
                                "deviation": "state"}]}),
            "/actions/0/deviation: expected none, since Beta has none",
        ),
        (
            json!({"actions": [{"type": "continuous", "name": "a", "size": 1, "deviation": "state"}], "initial_deviation": 8.0}),
            "/actions/0/deviation: expected an initial_deviation of at most 7.389",
        ),
        (json!({"observations": [{"type": "mask", "action": "push"}]}), "/observations: expected a vector"),
        (
            json!({"observations": [{"type": "image", "name": "i", "height": 2, "width": 9, "channels": 1}]}),
            "/observations/0/filters/0: expected a kernel within 2×9, got 3×3",
        ),
        (
            json!({"observations": [{"type": "image", "name": "i", "height": 9, "width": 0, "channels": 1}]}),
            "/observations/0/width",
        ),
        (
            json!({"observations": [{"type": "image", "name": "i", "height": 9, "width": 9, "channels": 1, "filters": []}]}),
            "/observations/0/filters",
        ),
        (
            json!({"observations": [{"type": "image", "name": "i", "height": 1024, "width": 1024, "channels": 64}]}),
            "/observations/0/filters/0: expected at most 16777216 numbers",
        ),
        (json!({"observations": [{"type": "set", "name": "s", "capacity": 0, "size": 1}]}), "/observations/0/capacity"),
        (
            json!({"observations": [{"type": "vector", "name": "o", "size": 1},
                                    {"type": "set", "name": "o", "capacity": 1, "size": 1}]}),
            "/observations/1/name: \"o\" appears twice",
        ),
        (
            json!({"observations": [{"type": "vector", "name": "o", "size": 1}, {"type": "mask", "action": "pull"}]}),
            "/observations/1/action: expected a discrete action, got \"pull\"",
        ),
        (json!({"observations": [{"type": "vector", "name": "o", "size": 65536}], "hidden": [4096]}), "parameters"),
        (json!({"wings": 2}), "/wings"),
    ] {
        let create = keel::config::Create { config: cart_config(network), ..keel::config::Create::default() };
        let error = keel::model::AnyModel::create(&create).err().expect(says);
        assert!(error.status == Status::Config && error.message.contains(says), "{error}, not {says}");
    }
}

#[test]
fn roles_and_kinds_that_do_not_fit_are_refused() {
    use keel::session::{AnySession, Config, Role};
    let session = session(json!({}), cart_config(json!({})));
    let other = || policy(cart_config(json!({})), 0);
    refused(session.set_model(Role::Value, other()), Status::State, "for the role policy");
    let trained = session.model(Role::Policy).unwrap();
    refused(bare(json!({})).set_model(Role::Policy, trained), Status::InUse, "another session trains it");
    refused(Actor::create(&bare(json!({}))).map(|_| ()), Status::State, "no policy yet");
    let language = AnySession::create(&runtime(), Config::default()).unwrap().learner();
    refused(language.set_model(Role::Policy, other()), Status::State, "expected a language model");
    refused(language.layout_json(), Status::State, "expected a session that trains a control policy");
}

#[test]
fn a_choice_that_is_masked_is_never_taken() {
    let network = json!({
        "model_type": "control",
        "observations": [{"type": "vector", "name": "o", "size": 2}, {"type": "mask", "action": "a"}],
        "actions": [{"type": "discrete", "name": "a", "choices": 5}, {"type": "continuous", "name": "b", "size": 1}],
        "policy_gain": 1000.0,
    });
    let session = session(json!({}), network);
    let actor = Actor::create(&session).unwrap();
    let slots: Vec<u32> = (0..256).collect();
    let mut random = 7u64;
    let (mut observations, mut actions) = (Vec::new(), vec![0u8; 8 * slots.len()]);
    let free = Act { unrecorded: true, ..Act::default() };
    for _ in 0..40_000 {
        observations.clear();
        for _ in &slots {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            observations.extend(bytes(&[(random >> 40) as f32 - 8e6, (random >> 20 & 0xffff) as f32 - 3e4]));
            let mask = (random >> 33) % 31 + 1;
            observations.extend((0..5).map(|bit| (mask >> bit & 1) as u8));
            observations.extend([0u8; 3]);
        }
        actor.act(&slots, &observations, &mut actions, free, None).unwrap();
        for (record, action) in observations.chunks_exact(16).zip(actions.chunks_exact(8)) {
            let choice = i32::from_ne_bytes([action[0], action[1], action[2], action[3]]);
            assert_eq!(record[8 + choice as usize], 1, "{record:?} {choice}");
        }
    }
    let none = [&observations[..8], &[0; 8]].concat();
    refused(actor.act(&[0], &none, &mut [0; 8], free, None), Status::Data, "expected at least one legal choice");
    let no_mask = [&observations[..8], &[2; 8]].concat();
    refused(
        actor.act(&[0], &no_mask, &mut [0; 8], free, None),
        Status::Data,
        "expected 0 (illegal) or 1 (legal), got 2",
    );
}

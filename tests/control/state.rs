//! What is kept: checkpoints in mid-episode, policies on disk, statistics.

use crate::hosts::*;
use keel::config;
use keel::model::AnyModel;
use keel::session::control::{Act, Actor, ControlSession};
use keel::session::{AnySession, Learner, Role};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

fn small() -> serde_json::Value {
    json!({"rollout_steps": 64, "epochs": 2, "minibatches": 4, "normalize_rewards": true})
}

fn network() -> serde_json::Value {
    cart_config(json!({"normalize_observations": true, "hidden": [16]}))
}

/// An empty folder of the test's own.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("control").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Three more updates and what the session is then.
fn future(session: &Arc<ControlSession>, actor: &Actor, mut carts: Carts) -> u64 {
    (0..3).for_each(|_| carts.learn(session, actor));
    session.state_hash().unwrap()
}

#[test]
fn a_session_saved_in_mid_episode_has_the_same_future() {
    let path = folder("mid-episode").join("session.keel");
    let first = session(small(), network());
    let actor = Actor::create(&first).unwrap();
    let mut carts = Carts::new(4);
    (0..2).for_each(|_| carts.learn(&first, &actor));
    (0..7).for_each(|_| carts.turn(&actor));
    first.clone().save(path.clone()).unwrap().run().unwrap();
    let (hash, bytes) = (first.state_hash().unwrap(), first.export().unwrap());
    let expected = future(&first, &actor, carts.clone());
    assert_ne!(hash, expected);

    first.clone().restore(path.clone()).unwrap().run().unwrap();
    assert_eq!(first.state_hash().unwrap(), hash, "restored over its own future");
    assert_eq!(future(&first, &actor, carts.clone()), expected, "the same session and actor");

    let AnySession::Control(opened) = AnySession::open(&runtime(), &path).unwrap() else { panic!("a control session") };
    assert_eq!(opened.state_hash().unwrap(), hash);
    let heir = Actor::create(&opened).unwrap();
    assert_eq!(future(&opened, &heir, carts.clone()), expected, "another session");

    let imported = session(small(), network());
    imported.import(&bytes).unwrap();
    let heir = Actor::create(&imported).unwrap();
    assert_eq!(future(&imported, &heir, carts), expected, "from memory");
}

#[test]
fn damaged_checkpoints_change_nothing() {
    let session = session(small(), network());
    let actor = Actor::create(&session).unwrap();
    Carts::new(4).learn(&session, &actor);
    let (bytes, hash) = (session.export().unwrap(), session.state_hash().unwrap());
    for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(session.import(&bytes[..length]).is_err());
    }
    let other = self::session(small(), cart_config(json!({"hidden": [8]}))).export().unwrap();
    let error = session.import(&other).unwrap_err();
    assert!(error.message.contains("another spec"), "{error}");
    assert_eq!(session.state_hash().unwrap(), hash);
}

#[test]
fn an_actor_that_goes_leaves_its_slots_to_the_next() {
    let run = |heirs: bool| {
        let session = session(small(), network());
        let mut actor = Actor::create(&session).unwrap();
        let mut carts = Carts::new(4);
        for _ in 0..40 {
            carts.turn(&actor);
            if heirs {
                drop(actor);
                actor = Actor::create(&session).unwrap();
            }
            if let Some(job) = session.clone().update().unwrap() {
                job.run().unwrap();
            }
        }
        session.state_hash().unwrap()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn an_update_that_is_cancelled_loses_no_step() {
    let session = session(small(), network());
    let actor = Actor::create(&session).unwrap();
    let mut carts = Carts::new(4);
    let job = loop {
        carts.turn(&actor);
        if let Some(job) = session.clone().update().unwrap() {
            break job;
        }
    };
    let hash = session.state_hash().unwrap();
    job.cancel();
    assert_eq!(session.state_hash().unwrap(), hash);
    session.clone().update().unwrap().expect("the steps are still there").run().unwrap();
    assert_ne!(session.state_hash().unwrap(), hash);
    session.clear().unwrap();
    assert!(session.clone().update().unwrap().is_none());
    carts.learn(&session, &actor);
}

#[test]
fn a_policy_on_disk_acts_as_it_did() {
    let folder = folder("policy");
    let first = session(small(), network());
    let actor = Actor::create(&first).unwrap();
    let mut carts = Carts::new(4);
    (0..2).for_each(|_| carts.learn(&first, &actor));
    let Some(AnyModel::Control(policy)) = first.model(Role::Policy) else { panic!("a policy") };
    policy.save(&folder).unwrap();
    let loaded = AnyModel::load(&folder, &config::Load::default()).unwrap();
    let second = bare(small());
    second.set_model(Role::Policy, loaded).unwrap();
    let heir = Actor::create(&second).unwrap();
    for turn in 0..20 {
        let observations: Vec<f32> = (0..16).map(|i| ((turn * 16 + i) as f32).sin()).collect();
        let slots = [0, 1, 2, 3];
        assert_eq!(act(&actor, &slots, &observations, GREEDY), act(&heir, &slots, &observations, GREEDY));
    }
}

#[test]
fn acting_greedily_and_unrecorded_leaves_no_trace() {
    let session = session(small(), network());
    let actor = Actor::create(&session).unwrap();
    let mut carts = Carts::new(4);
    carts.learn(&session, &actor);
    let hash = session.state_hash().unwrap();
    evaluate(&actor, 2);
    let drawn = Act { unrecorded: true, ..RECORDED };
    act(&actor, &[0, 77], &[0.0; 8], drawn);
    let other = Actor::create(&session).unwrap();
    act(&other, &[3], &[0.0; 4], drawn);
    assert_eq!(session.state_hash().unwrap(), hash);
    carts.learn(&session, &actor);
}

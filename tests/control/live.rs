//! A session that is changed while it lives: settings, publications, versions to go back to, pauses, another policy.

use crate::drive::{finish, to_step, DRIVERS};
use crate::hosts::*;
use keel::error::{Error, Status};
use keel::model::AnyModel;
use keel::session::control::{Actor, ControlSession};
use keel::session::{AnySession, Job, Learner, Role, State};
use serde_json::{json, Value};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

fn small(more: Value) -> Value {
    let mut config = json!({"rollout_steps": 64, "epochs": 2, "minibatches": 4});
    more.as_object().unwrap().iter().for_each(|(key, value)| config[key] = value.clone());
    config
}

fn network() -> Value {
    cart_config(json!({"normalize_observations": true, "hidden": [16]}))
}

/// A session with `kept` versions, its actor, and an update that is due.
fn due(kept: u64, algorithm: Value) -> (Arc<ControlSession>, Arc<Actor>, Carts, Arc<Job>) {
    let session = session(small(algorithm), network());
    configure(&session, json!({"kept_versions": kept}));
    let actor = Actor::create(&session).unwrap();
    let mut carts = Carts::new(4);
    carts.learn(&session, &actor);
    let job = planned(&session, &actor, &mut carts);
    (session, actor, carts, job)
}

fn planned(session: &Arc<ControlSession>, actor: &Actor, carts: &mut Carts) -> Arc<Job> {
    loop {
        carts.turn(actor);
        if let Some(job) = session.clone().update().unwrap() {
            return job;
        }
    }
}

fn configure(session: &Arc<ControlSession>, changes: Value) {
    session.clone().configure(Some(changes.to_string().as_bytes())).unwrap().run().unwrap();
}

fn publish(session: &Arc<ControlSession>) -> u64 {
    session.clone().publish().unwrap().run().unwrap();
    version(session)
}

fn version(session: &ControlSession) -> u64 {
    serde_json::from_str::<Value>(&session.metrics_json()).unwrap()["policy_version"].as_u64().unwrap()
}

fn refused<T>(result: Result<T, Error>, status: Status, says: &str) {
    let error = result.err().expect("a refusal");
    assert!(error.status == status && error.message.contains(says), "{:?}: {error}", error.status);
}

fn changes() -> Value {
    json!({"optimizer": {"learning_rate": 0.01, "max_grad_norm": 0.1}, "algorithm": {"clip_range": 0.05, "entropy_coef": 0.1}})
}

#[test]
fn a_change_holds_from_the_next_step_whoever_drives() {
    let after = |changed: Option<Value>, drive: fn(&Arc<Job>)| {
        let (session, _, _, job) = due(0, json!({}));
        to_step(&job, 3);
        changed.into_iter().for_each(|changes| configure(&session, changes));
        drive(&job);
        (session.state_hash().unwrap(), metric(&session, "optimizer/learning_rate"))
    };
    let (untouched, rate) = after(None, DRIVERS[0]);
    assert_eq!(rate, 3e-4);
    let changed = DRIVERS.map(|drive| after(Some(changes()), drive));
    assert!(changed.iter().all(|other| *other == changed[0]) && changed[0].1 == 0.01);
    assert_ne!(changed[0].0, untouched);
    for one in [
        json!({"optimizer": {"max_grad_norm": 0.1}}),
        json!({"algorithm": {"clip_range": 1e-4}}),
        json!({"algorithm": {"entropy_coef": 0.1}}),
    ] {
        assert_ne!(after(Some(one.clone()), DRIVERS[0]).0, untouched, "{one}");
    }
}

#[test]
fn changed_settings_are_told_and_kept_in_checkpoints() {
    let (session, actor, mut carts, job) = due(0, json!({"adaptive_rate": {"law": "after_step"}}));
    to_step(&job, 3);
    configure(&session, json!({"optimizer": {"learning_rate": 1e-3}, "algorithm": {"entropy_coef": 0.25}}));
    let config: Value = serde_json::from_str(&session.config_json()).unwrap();
    assert_eq!(
        (&config["optimizer"]["learning_rate"], &config["algorithm"]["entropy_coef"]),
        (&json!(1e-3), &json!(0.25))
    );
    job.cancel();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("live.keel");
    session.clone().save(path.clone()).unwrap().run().unwrap();
    let AnySession::Control(opened) = AnySession::open(&runtime(), &path).unwrap() else { panic!("a control session") };
    assert_eq!(opened.state_hash().unwrap(), session.state_hash().unwrap());
    let mut twins = carts.clone();
    let heir = Actor::create(&opened).unwrap();
    carts.learn(&session, &actor);
    twins.learn(&opened, &heir);
    assert_eq!(opened.state_hash().unwrap(), session.state_hash().unwrap(), "the same future");
    assert_eq!(opened.config_json(), session.config_json());
}

#[test]
fn settings_that_stay_are_refused_and_nothing_changes() {
    let (session, _, _, job) = due(0, json!({}));
    let (config, hash) = (session.config_json(), session.state_hash().unwrap());
    for (changes, says) in [
        (
            r#"{"seed": 1}"#,
            "/seed: expected 0, since it stays as the session was created; what may change: /optimizer/",
        ),
        (r#"{"algorithm": {"discount": 0.5}}"#, "/algorithm/discount: expected 0.99"),
        (r#"{"algorithm": {"type": "sac"}}"#, "/algorithm"),
        (r#"{"algorithm": {"preset": "rsl_rl"}}"#, "/algorithm/preset: expected null"),
        (r#"{"algorithm": {"clip_rang": 0.1}}"#, "did you mean \"clip_range\"?"),
        (r#"{"optimizer": {"learning_rate": -1}}"#, "/optimizer/learning_rate: expected"),
        (r#"{"optimizer": {"learning_rate": 0.1}, "threads": 7}"#, "/threads"),
        ("{", "not JSON"),
    ] {
        refused(session.clone().configure(Some(changes.as_bytes())), Status::Config, says);
    }
    session.clone().configure(None).unwrap().run().unwrap();
    session.clone().configure(Some(config.as_bytes())).unwrap().run().unwrap();
    let cancelled = session.clone().configure(Some(br#"{"optimizer": {"learning_rate": 0.1}}"#)).unwrap();
    cancelled.cancel();
    assert_eq!((session.config_json(), session.state_hash().unwrap()), (config, hash));
    job.run().unwrap();
}

#[test]
fn what_was_learned_is_published_in_mid_update_and_changes_no_number() {
    let end = |publishes: bool| {
        let (session, _, _, job) = due(0, json!({}));
        let before = (version(&session), weights(&session));
        if publishes {
            assert_eq!(publish(&session), before.0, "nothing is new");
            to_step(&job, 3);
            let started = session.clone().publish().unwrap();
            started.start().unwrap();
            while weights(&session) == before.1 && version(&session) == before.0 {
                started.poll().unwrap();
            }
            assert_eq!(version(&session), before.0 + 1);
            assert_ne!(weights(&session), before.1);
            assert_eq!(publish(&session), before.0 + 1, "nothing is new");
        }
        job.run().unwrap();
        assert_eq!(version(&session), before.0 + 1 + u64::from(publishes));
        weights(&session)
    };
    assert_eq!(end(true), end(false));
}

#[test]
fn a_session_goes_back_to_a_version_that_is_kept() {
    let (session, actor, mut carts, job) = due(2, json!({}));
    let first = (version(&session), weights(&session));
    refused(session.clone().roll_back(first.0), Status::InUse, "roll_back: an update of this session is unfinished");
    job.run().unwrap();
    let second = weights(&session);
    assert_ne!(second, first.1);
    let says = format!("version: expected one of [{}, {}], which are kept, got 77", first.0, first.0 + 1);
    refused(session.clone().roll_back(77), Status::InvalidArgument, &says);
    session.clone().roll_back(first.0).unwrap().run().unwrap();
    assert_eq!((version(&session), weights(&session)), (first.0 + 2, first.1.clone()));
    refused(session.clone().roll_back(first.0), Status::InvalidArgument, "which are kept");
    assert_eq!(publish(&session), first.0 + 2, "nothing is new");
    let planned = session.clone().roll_back(first.0 + 1).unwrap();
    carts.learn(&session, &actor);
    assert_ne!(weights(&session), first.1, "it learns on");
    refused(planned.run(), Status::InvalidArgument, "which are kept");
}

#[test]
fn every_method_goes_back() {
    let squashed = json!([{"type": "continuous", "name": "push", "size": 1, "low": -1.0, "high": 1.0,
                           "distribution": "squashed", "deviation": "state"}]);
    let session = session(
        json!({"type": "sac", "learning_starts": 8, "rollout_steps": 8, "batch_size": 8}),
        cart_config(json!({"hidden": [8], "actions": squashed})),
    );
    configure(&session, json!({"kept_versions": 3, "algorithm": {"target_rate": 0.5}}));
    let actor = Actor::create(&session).unwrap();
    let learn = || loop {
        let mut action = bytes(&[0.0]);
        actor.act(&[0], &bytes(&[0.1, 0.2, 0.3, 0.4]), &mut action, RECORDED, None).unwrap();
        actor.observe(&[0], &[1.0], &[keel::session::control::Episode::Running], &[]).unwrap();
        if let Some(job) = session.clone().update().unwrap() {
            break job.run().unwrap();
        }
    };
    learn();
    let (kept, told) = (version(&session), weights(&session));
    learn();
    assert_ne!(weights(&session), told);
    session.clone().roll_back(kept).unwrap().run().unwrap();
    assert_eq!(weights(&session), told);
    learn();
}

#[test]
fn a_paused_session_works_no_slice_and_loses_none() {
    let untouched = {
        let (session, _, _, job) = due(0, json!({}));
        job.run().unwrap();
        session.state_hash().unwrap()
    };
    let (session, actor, mut carts, job) = due(0, json!({}));
    to_step(&job, 2);
    session.pause();
    session.pause();
    let slices = job.report().slices;
    for driven in [job.run(), job.pump(Duration::from_secs(60)), job.poll()] {
        let report = driven.unwrap();
        assert_eq!((report.state, report.slices), (State::Pending, slices));
    }
    job.start().unwrap();
    assert_eq!(job.wait(Duration::from_millis(30)).unwrap().slices, slices);
    assert_eq!(publish(&session), 2, "what was learned before the pause");
    carts.clone().turn(&actor);
    session.resume();
    finish(&job);
    let (twin, _, mut others, again) = due(0, json!({}));
    again.run().unwrap();
    assert_eq!(twin.state_hash().unwrap(), untouched);
    let heir = Actor::create_unrecorded(&twin).unwrap();
    drop(heir);
    others.turn(&Actor::create(&twin).unwrap());
    carts.turn(&Actor::create_unrecorded(&session).unwrap());
    assert_eq!(weights(&session), weights(&twin));
}

#[test]
fn a_paused_job_is_cancelled_and_its_runtime_shut_down() {
    let (session, _, _, job) = due(0, json!({}));
    session.pause();
    job.start().unwrap();
    job.cancel();
    while let Ok(report) = job.wait(Duration::from_secs(60)) {
        assert_eq!(report.state, State::Pending);
    }
    assert_eq!(job.error().unwrap().status, Status::Cancelled);
    let next = session.clone().update().unwrap().unwrap();
    next.start().unwrap();
    session.runtime().shutdown(Duration::from_secs(60)).unwrap();
    refused(next.poll(), Status::Cancelled, "cancelled");
}

/// The policy of a session, as another model with the same weights.
fn copy(session: &ControlSession) -> AnyModel {
    let Some(AnyModel::Control(policy)) = session.model(Role::Policy) else { panic!("a policy") };
    let folder =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("live-policy-{:?}", std::thread::current().id()));
    policy.save(&folder).unwrap();
    AnyModel::load(&folder, &Default::default()).unwrap()
}

#[test]
fn an_actor_that_has_acted_turns_to_the_policy_that_takes_over() {
    let network = cart_config(json!({"hidden": [8], "policy_gain": 2.0}));
    let said = |actor: &Actor| {
        let observations: Vec<f32> = (0..64).map(|place| (place as f32).sin()).collect();
        act(actor, &(0..16).collect::<Vec<_>>(), &observations, GREEDY)
    };
    let session = session(small(json!({})), network.clone());
    let actor = Actor::create(&session).unwrap();
    let before = said(&actor);
    session.set_model(Role::Policy, policy(network.clone(), 9)).unwrap();
    let other = crate::hosts::session(small(json!({"seed": 9})), network);
    assert_eq!(said(&actor), said(&Actor::create(&other).unwrap()));
    assert_ne!(said(&actor), before);
}

#[test]
fn another_policy_takes_over_in_mid_episode_with_what_slots_remember() {
    let recurrent =
        json!({"hidden": [8], "core": {"type": "gru", "size": 6}, "normalize_observations": true, "policy_gain": 2.0});
    let (mut sessions, mut roads) = (Vec::new(), Vec::new());
    for swapped in [false, true] {
        let session = session(small(json!({})), cart_config(recurrent.clone()));
        let actor = Actor::create(&session).unwrap();
        let mut carts = Carts::new(4);
        (0..7).for_each(|_| carts.turn(&actor));
        if swapped {
            let before = version(&session);
            session.set_model(Role::Policy, copy(&session)).unwrap();
            assert_eq!(version(&session), before + 1);
        }
        (0..7).for_each(|_| carts.turn(&actor));
        roads.push(carts.observations());
        carts.learn(&session, &actor);
        assert_eq!(metric(&session, "steps/trained"), 64.0, "those of the policy before, too");
        roads.push(weights(&session));
        sessions.push((session, actor, carts));
    }
    assert_eq!((&roads[0], &roads[1]), (&roads[2], &roads[3]), "the same weights act and learn the same");

    let (session, actor, mut carts) = sessions.pop().unwrap();
    let hash = session.state_hash().unwrap();
    let wrong = |more: Value, says: &str| {
        let mut config = recurrent.clone();
        more.as_object().unwrap().iter().for_each(|(key, value)| config[key] = value.clone());
        refused(session.set_model(Role::Policy, policy(cart_config(config), 3)), Status::Shape, says);
    };
    wrong(json!({"core": {"type": "gru", "size": 5}}), "model: expected the core of the policy whose place it takes");
    wrong(json!({"core": {"type": "lstm", "size": 3}}), "expected the core");
    wrong(json!({"observations": [{"type": "vector", "name": "state", "size": 5}]}), "expected the observations");
    wrong(json!({"actions": [{"type": "discrete", "name": "push", "choices": 3}]}), "expected the actions");
    assert_eq!(session.state_hash().unwrap(), hash);
    let mut wider = recurrent.clone();
    wider["hidden"] = json!([32, 16]);
    session.set_model(Role::Policy, policy(cart_config(wider), 4)).unwrap();
    carts.learn(&session, &actor);
    let job = planned(&session, &actor, &mut carts);
    refused(session.set_model(Role::Policy, copy(&session)), Status::InUse, "set_model: an update");
    job.run().unwrap();
}

#[test]
fn steps_that_are_too_old_are_dropped_and_counted() {
    let dropped = |most: Value| {
        let session = session(small(json!({"max_staleness": most})), network());
        let actor = Actor::create(&session).unwrap();
        let mut carts = Carts::new(4);
        (0..3).for_each(|_| carts.turn(&actor));
        (0..2).for_each(|_| session.set_model(Role::Policy, copy(&session)).unwrap());
        carts.learn(&session, &actor);
        assert!((64.0..68.0).contains(&metric(&session, "steps/trained")));
        metric(&session, "steps/stale_dropped")
    };
    assert_eq!((dropped(json!(2)), dropped(json!(1))), (0.0, 12.0));
}

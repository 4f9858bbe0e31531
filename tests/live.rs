//! A language session that is changed while it lives: settings, publications, versions to go back to, pauses, another policy.

mod support;

use keel::error::{Error, Status};
use keel::session::{AnySession, Job, Role, Session, State};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use support::drive::{finish, slices, to_step, DRIVERS};
use support::*;

const PPO: &str = r#"{"algorithm": {"type": "ppo", "epochs": 2, "minibatches": 2}, "optimizer": {"learning_rate": 0.01},
                      "threads": 1, "micro_batch_tokens": 32, "kept_versions": 2}"#;
const GRPO: &str = r#"{"algorithm": {"type": "grpo"}, "threads": 1}"#;

fn due() -> (Arc<Session>, Arc<Job>) {
    let session = session(PPO, &tiny_model(1));
    session.push(&rollouts(&session, 8, 0)).unwrap();
    let job = session.update().unwrap().unwrap();
    (session, job)
}

fn configure(session: &Arc<Session>, changes: &str) {
    session.configure(Some(changes.as_bytes())).unwrap().run().unwrap();
}

fn version(session: &Session) -> u64 {
    session.model(Role::Policy).unwrap().weights().version
}

fn weights(session: &Session) -> Vec<f32> {
    Vec::try_from(session.model(Role::Policy).unwrap().weights().data()).unwrap()
}

fn refused<T>(result: Result<T, Error>, status: Status, says: &str) {
    let error = result.err().expect("a refusal");
    assert!(error.status == status && error.message.contains(says), "{:?}: {error}", error.status);
}

/// Pumps to the first slice behind so many steps, and `more` slices further.
fn pump(job: &Arc<Job>, steps: u64, more: u64) {
    to_step(job, steps);
    slices(job, more);
}

const CHANGES: &str = r#"{"optimizer": {"learning_rate": 0.001},
                          "algorithm": {"clip_range": 0.01, "value_coef": 0.5, "kl": {"coef": 0.5}}}"#;

#[test]
fn a_change_waits_for_the_next_step_and_holds_whoever_drives() {
    let after = |more: u64, changes: &str, drive: fn(&Arc<Job>)| {
        let (session, job) = due();
        pump(&job, 1, more);
        configure(&session, changes);
        drive(&job);
        (session.state_hash().unwrap(), metric(&session, "optimizer/learning_rate"))
    };
    let expected = after(0, CHANGES, DRIVERS[0]);
    assert_eq!(expected.1, 0.001);
    DRIVERS.iter().skip(1).for_each(|drive| assert_eq!(after(0, CHANGES, *drive), expected));
    assert_ne!(after(0, "{}", DRIVERS[0]).0, expected.0);
    let (_, job) = due();
    pump(&job, 1, 0);
    let mut inside = 0;
    while job.pump(Duration::ZERO).unwrap().optimizer_steps < 2 {
        inside += 1;
    }
    let next = {
        let (session, job) = due();
        pump(&job, 2, 0);
        configure(&session, CHANGES);
        job.run().unwrap();
        session.state_hash().unwrap()
    };
    assert!(inside > 4, "a step has several slices");
    for more in [1, 2, inside] {
        assert_eq!(after(more, CHANGES, DRIVERS[0]).0, next, "{more} slices into the step");
    }
}

#[test]
fn a_coefficient_that_moved_begins_anew_and_is_kept_in_checkpoints() {
    let (session, job) = due();
    pump(&job, 1, 2);
    configure(&session, r#"{"algorithm": {"kl": {"coef": 0.5}, "entropy_coef": 0.125}}"#);
    let config: Value = serde_json::from_str(&session.config_json()).unwrap();
    assert_eq!(
        (&config["algorithm"]["kl"]["coef"], &config["algorithm"]["entropy_coef"]),
        (&0.5.into(), &0.125.into())
    );
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("live-language.keel");
    session.save(path.clone()).unwrap().run().unwrap();
    let hash = session.state_hash().unwrap();
    job.cancel();
    let AnySession::Language(opened) = AnySession::open(&runtime(), &path).unwrap() else {
        panic!("a language session")
    };
    assert_eq!(opened.state_hash().unwrap(), hash);
    for session in [&session, &opened] {
        step(session).unwrap();
        assert_eq!(metric(session, "kl/coef"), 0.5);
    }
    assert_eq!(opened.state_hash().unwrap(), session.state_hash().unwrap(), "the same future");
}

#[test]
fn settings_that_stay_are_refused() {
    let (session, job) = due();
    let config = session.config_json();
    for (changes, says) in [
        (r#"{"algorithm": {"temperature": 0.5}}"#, "/algorithm/temperature: expected 1"),
        (r#"{"algorithm": {"kl": {"type": "adaptive"}}}"#, "/algorithm/kl/type: expected \"fixed\""),
        (r#"{"micro_batch_tokens": 7}"#, "/micro_batch_tokens: expected 32"),
        (r#"{"optimizer": {"betas": [0.1, 0.2]}}"#, "/optimizer/betas"),
        (r#"{"optimizer": {"learning_rates": 1}}"#, "did you mean \"learning_rate\"?"),
    ] {
        refused(session.configure(Some(changes.as_bytes())), Status::Config, says);
    }
    assert_eq!(session.config_json(), config);
    job.run().unwrap();
    let grpo = self::session(GRPO, &tiny_model(1));
    refused(
        grpo.configure(Some(br#"{"algorithm": {"kl_coef": 0.1}}"#)),
        Status::Config,
        "expected weights that are 0 where",
    );
    grpo.configure(Some(br#"{"algorithm": {"clip_range_high": 0.28}}"#)).unwrap().run().unwrap();
}

#[test]
fn what_was_learned_is_published_in_mid_update_and_kept() {
    let (session, job) = due();
    let (first, before) = (version(&session), weights(&session));
    session.publish().unwrap().run().unwrap();
    assert_eq!(version(&session), first, "nothing is new");
    pump(&job, 2, 1);
    let published = session.publish().unwrap();
    assert_eq!(weights(&session), before, "in a call of the host alone");
    published.run().unwrap();
    assert_eq!(version(&session), first + 1);
    let middle = weights(&session);
    refused(session.roll_back(first), Status::InUse, "roll_back: an update of this session is unfinished");
    job.run().unwrap();
    let (twin, whole) = due();
    whole.run().unwrap();
    assert_eq!(weights(&session), weights(&twin), "publishing changes no number");
    let says = format!("version: expected one of [{}, {}], which are kept, got {first}", first + 1, first + 2);
    refused(session.roll_back(first), Status::InvalidArgument, &says);
    session.roll_back(first + 1).unwrap().run().unwrap();
    assert_eq!((version(&session), weights(&session)), (first + 3, middle.clone()));
    session.push(&rollouts(&session, 8, 1)).unwrap();
    step(&session).unwrap();
    assert_ne!(weights(&session), middle);
}

#[test]
fn a_paused_session_works_no_slice_and_loses_none() {
    let (session, job) = due();
    pump(&job, 1, 1);
    session.pause();
    let slices = job.report().slices;
    for driven in [job.run(), job.pump(Duration::from_secs(60)), job.poll()] {
        let report = driven.unwrap();
        assert_eq!((report.state, report.slices), (State::Pending, slices));
    }
    job.start().unwrap();
    assert_eq!(job.wait(Duration::from_millis(30)).unwrap().slices, slices);
    session.resume();
    finish(&job);
    let (twin, whole) = due();
    whole.run().unwrap();
    assert_eq!(weights(&session), weights(&twin));
}

#[test]
fn another_policy_of_the_same_architecture_takes_over() {
    let (session, job) = due();
    let next = tiny_model(2);
    refused(session.set_model(Role::Policy, next.clone()), Status::InUse, "set_model: an update");
    job.cancel();
    let (before, old) = (version(&session), session.model(Role::Policy).unwrap());
    session.set_model(Role::Policy, next.clone()).unwrap();
    assert!(version(&session) > before);
    assert_eq!(weights(&session), Vec::<f32>::try_from(tiny_model(2).weights().data()).unwrap());
    refused(session.roll_back(before), Status::InvalidArgument, "which are kept");
    step(&session).unwrap();
    self::session(PPO, &old);
    refused(session.set_model(Role::Policy, golden_model("gpt2")), Status::Shape, "");
}

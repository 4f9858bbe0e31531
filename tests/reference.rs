//! A reference that follows the policy: when it moves, how far, what it leaves alone.

mod support;

use keel::config as settings;
use keel::data::Kind;
use keel::error::Status;
use keel::model::Model;
use keel::session::{Role, Session};
use std::sync::Arc;
use support::*;
use tch::Tensor;

fn text(kind: &str, rule: &str) -> String {
    format!(
        r#"{{"algorithm": {{"type": "{kind}", "batch_size": 8, "epochs": 0, "reference_update": {rule}}},
            "optimizer": {{"learning_rate": 0.01}}, "threads": 1}}"#
    )
}

fn toy(rule: &str) -> Arc<Session> {
    let session = session(&text("dpo", rule), &tiny_model(2));
    let answers = |first: i32| (0..8).map(|row| vec![first, first + row % 4, 2]).collect();
    let columns = [("prompt", prompts(8)), ("chosen", answers(4)), ("rejected", answers(12))];
    session.push(&batch(Kind::Preferences, &columns)).unwrap();
    session
}

fn weights(model: &Model) -> Tensor {
    model.weights().data().copy()
}

fn distance(left: &Tensor, right: &Tensor) -> f64 {
    (left - right).abs().max().double_value(&[])
}

#[test]
fn it_becomes_the_policy_after_so_many_steps() {
    let session = toy(r#"{"every": 3, "mix": 1}"#);
    let margins: Vec<f64> = (0..8)
        .map(|_| {
            step(&session).unwrap();
            metric(&session, "preference/margin")
        })
        .collect();
    for (index, margin) in margins.iter().enumerate() {
        assert_eq!(*margin == 0.0, index % 3 == 0, "{margins:?}");
    }
}

#[test]
fn it_goes_part_of_the_way_and_leaves_the_model_of_the_host_alone() {
    let session = toy(r#"{"every": 2, "mix": 0.25}"#);
    let host = tiny_model(3);
    session.set_model(Role::Reference, host.clone()).unwrap();
    let before = weights(&host);
    step(&session).unwrap();
    assert_eq!(distance(&weights(&session.model(Role::Reference).unwrap()), &before), 0.0, "one step is none of two");
    step(&session).unwrap();
    let policy = weights(&session.model(Role::Policy).unwrap());
    let expected = &before * 0.75 + policy * 0.25;
    let found = weights(&session.model(Role::Reference).unwrap());
    assert!(distance(&found, &expected) < 1e-6 && distance(&found, &before) > 1e-3);
    assert_eq!(distance(&weights(&host), &before), 0.0);
}

#[test]
fn without_the_setting_it_stays() {
    let session = toy("null");
    let before = weights(&session.model(Role::Reference).unwrap());
    step(&session).unwrap();
    assert_eq!(distance(&weights(&session.model(Role::Reference).unwrap()), &before), 0.0);
}

#[test]
fn a_restored_session_goes_on_bit_for_bit() {
    let session = toy(r#"{"every": 2, "mix": 0.5}"#);
    for _ in 0..3 {
        step(&session).unwrap();
    }
    let saved = session.export().unwrap();
    let go_on = |session: &Arc<Session>| {
        for _ in 0..3 {
            step(session).unwrap();
        }
        session.state_hash().unwrap()
    };
    let expected = go_on(&session);
    let restored = toy(r#"{"every": 2, "mix": 0.5}"#);
    restored.import(&saved).unwrap();
    assert_eq!(go_on(&restored), expected);
}

#[test]
fn models_of_other_parameters_cannot_follow_each_other() {
    let other = r#"{"config": {"model_type": "llama", "vocab_size": 24, "hidden_size": 16, "intermediate_size": 48,
        "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}}"#;
    let other = Arc::new(Model::create(&settings::parse(Some(other.as_bytes())).unwrap()).unwrap());
    for kind in ["dpo", "kto"] {
        let session = session(&text(kind, r#"{"every": 2}"#), &tiny_model(2));
        let error = session.set_model(Role::Reference, other.clone()).unwrap_err();
        assert_eq!(error.status, Status::Shape);
        assert!(error.message.contains("reference_update"), "{error}");
        let session = Session::create(&runtime(), config(&text(kind, r#"{"every": 2}"#))).unwrap();
        session.set_model(Role::Reference, other.clone()).unwrap();
        session.set_model(Role::Policy, tiny_model(2)).unwrap_err();
    }
}

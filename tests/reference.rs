//! The reference: when it follows the policy, how far, what it leaves alone; what is kept of what it said.

mod support;

use keel::config as settings;
use keel::data::{Batch, Column, Kind, Values};
use keel::error::Status;
use keel::model::Model;
use keel::session::{Role, Session};
use std::sync::Arc;
use support::*;
use tch::Tensor;

fn text(kind: &str, rule: &str) -> String {
    with(kind, &format!(r#""batch_size": 8, "reference_update": {rule}"#))
}

fn with(kind: &str, settings: &str) -> String {
    format!(
        r#"{{"algorithm": {{"type": "{kind}", "epochs": 0, {settings}}}, "optimizer": {{"learning_rate": 0.01}},
            "threads": 1}}"#
    )
}

fn toy(rule: &str) -> Arc<Session> {
    let session = session(&text("dpo", rule), &tiny_model(2));
    session.push(&pairs(0)).unwrap();
    session
}

/// Eight pairs of uneven responses, for the evaluation (1) or for training (0).
fn pairs(split: i32) -> Batch {
    let answers = |first: i32| (0..8).map(|row| vec![first + row % 4; 2 + row as usize % 3]).collect();
    let columns = [("prompt", prompts(8)), ("chosen", answers(4)), ("rejected", answers(12))];
    let mut pairs = batch(Kind::Preferences, &columns);
    pairs.set("split", Column::flat(Values::I32(vec![split; 8]))).unwrap();
    pairs
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

#[test]
fn a_model_that_is_replaced_binds_no_other() {
    let other = Arc::new(small());
    let session = Session::create(&runtime(), config(&text("dpo", "null"))).unwrap();
    session.set_model(Role::Reference, tiny_model(3)).unwrap();
    session.set_model(Role::Reference, other.clone()).unwrap();
    let error = session.set_model(Role::Policy, tiny_model(2)).unwrap_err();
    assert_eq!(error.message, "model: expected a vocabulary of 16, as the session's other model, got 24");
    session.set_model(Role::Policy, other).unwrap();
    let session = Session::create(&runtime(), config(r#"{"algorithm": {"type": "ppo"}, "threads": 1}"#)).unwrap();
    let judge = tiny_model(3).with_scores(&["reward".to_string()], 0).unwrap();
    session.set_model(Role::Reward, Arc::new(judge)).unwrap();
    let error = session.set_model(Role::Policy, Arc::new(small())).unwrap_err();
    assert_eq!(error.message, "model: expected a vocabulary of 24, as the session's other model, got 16");
}

/// A model of another vocabulary.
fn small() -> Model {
    let text = r#"{"config": {"model_type": "llama", "vocab_size": 16, "hidden_size": 16, "intermediate_size": 48,
        "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}}"#;
    Model::create(&settings::parse(Some(text.as_bytes())).unwrap()).unwrap()
}

/// A session that takes half of its pairs at each step, with some for the evaluation.
fn asking(how: &str, settings: &str) -> Arc<Session> {
    let settings = format!(r#""batch_size": 4, "reference_log_probs": "{how}"{settings}"#);
    let session = session(&with("dpo", &settings), &tiny_model(2));
    session.push(&pairs(0)).unwrap();
    session.push(&pairs(1)).unwrap();
    session
}

/// The slices of one pass over one chunk of the tiny model: its embedding, two blocks, the read-out, one tile of the head.
const PASS: u64 = 5;

/// What each of six steps and an evaluation after it measured, and the slices that they took.
fn six_steps(session: &Arc<Session>) -> (Vec<f64>, Vec<u64>) {
    let names = ["loss/total", "preference/margin", "gradient/norm", "evaluation/loss_total"];
    let run = |_| {
        let slices = step(session).unwrap().slices;
        let evaluated = session.evaluate().unwrap().unwrap().run().unwrap().slices;
        (names.map(|name| metric(session, name)), [slices, evaluated])
    };
    let (measured, slices): (Vec<_>, Vec<_>) = (0..6).map(run).unzip();
    (measured.concat(), slices.concat())
}

#[test]
fn what_is_kept_of_its_passes_changes_no_number_and_saves_them() {
    for rule in ["", r#", "reference_update": {"every": 4, "mix": 0.5}"#] {
        let (computing, keeping) = (asking("compute", rule), asking("cache", rule));
        let ((expected, all), (found, fewer)) = (six_steps(&computing), six_steps(&keeping));
        assert_eq!(found, expected, "{rule}");
        assert_eq!(keeping.state_hash().unwrap(), computing.state_hash().unwrap());
        let saved: Vec<u64> = all.iter().zip(&fewer).map(|(all, fewer)| (all - fewer) / PASS).collect();
        // each row is asked once, and once more after the reference moved; the evaluation's at its first turn
        let moved = u64::from(rule.is_empty());
        assert_eq!(saved, [0, 0, 0, 1, 1, 1, 1, moved, moved, 1, moved, 1], "{rule}: a step, an evaluation, a step, …");
    }
}

#[test]
fn another_reference_is_asked_anew() {
    let slices = |change: &dyn Fn(&Arc<Session>)| {
        let session = asking("cache", "");
        six_steps(&session);
        change(&session);
        step(&session).unwrap().slices
    };
    let kept = slices(&|_| ());
    assert_eq!(slices(&|session| session.set_model(Role::Reference, tiny_model(3)).unwrap()), kept + PASS);
    assert_eq!(slices(&|session| session.import(&session.export().unwrap()).unwrap()), kept + PASS);
}

#[test]
fn kto_cannot_keep_what_changes_at_each_pass() {
    let config = config(&with("kto", r#""reference_log_probs": "cache""#));
    let error = Session::create(&runtime(), config).err().unwrap();
    assert!(error.message.starts_with("/algorithm/reference_log_probs: expected compute"), "{error}");
    let config = self::config(&with("kto", r#""loss": "apo_zero", "reference_log_probs": "cache""#));
    Session::create(&runtime(), config).unwrap();
}

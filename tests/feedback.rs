//! Kahneman–Tversky optimisation in training: it learns its toy, and a lone response has no reference point.

mod support;

use keel::data::{Batch, Column, Kind, Values};
use keel::session::Session;
use std::sync::Arc;
use support::*;

/// `rows` responses, good ones beginning with 4, bad ones with 12.
fn feedback(rows: usize) -> Batch {
    let label = |row: usize| (row % 2) as i32;
    let response = |row: usize| vec![if label(row) == 1 { 4 } else { 12 }, 5 + (row % 4) as i32, 2];
    let columns = [("prompt", prompts(rows)), ("response", (0..rows).map(response).collect())];
    let mut batch = batch(Kind::Feedback, &columns);
    let labels = (0..rows).map(label).collect();
    batch.set("label", Column { values: Values::I32(labels), offsets: None }).unwrap();
    batch
}

fn toy(settings: &str, rows: usize) -> Arc<Session> {
    let text = format!(
        r#"{{"algorithm": {{"type": "kto", "batch_size": 8, "epochs": 0, "beta": 0.5{settings}}},
            "optimizer": {{"learning_rate": 0.01}}, "threads": 1}}"#
    );
    let session = session(&text, &tiny_model(2));
    if rows > 0 {
        session.push(&feedback(rows)).unwrap();
    }
    session
}

#[test]
fn good_responses_gain_and_bad_ones_lose() {
    let at_first = [("", 0.5), (r#", "loss": "apo_zero""#, 0.5), (r#", "loss": "bco""#, 2f64.ln())];
    for (settings, loss) in at_first {
        let session = toy(settings, 16);
        step(&session).unwrap();
        let first = metric(&session, "loss/preference");
        assert!((first - loss).abs() < 1e-7, "{settings}: policy and reference agree at first, {first}");
        assert_eq!(metric(&session, "feedback/reference_point"), 0.0);
        for _ in 0..30 {
            step(&session).unwrap();
        }
        assert_eq!(metric(&session, "preference/accuracy"), 1.0);
        assert!(metric(&session, "reward/chosen") > 0.5 && metric(&session, "reward/rejected") < -0.5);
    }
}

#[test]
fn a_class_that_is_not_there_has_no_reward() {
    for (rows, absent) in [(vec![1, 3, 5], "reward/rejected"), (vec![0, 2, 4], "reward/chosen")] {
        let session = toy("", 0);
        session.push(&picked(&feedback(6), &rows)).unwrap();
        step(&session).unwrap();
        assert!(!session.metrics_json().contains(absent), "{}", session.metrics_json());
    }
    let session = toy(r#", "shuffle": false"#, 0);
    session.push(&picked(&feedback(16), &[0, 1, 3, 5, 7, 9, 11, 13, 1, 3, 5, 7, 9, 11, 13, 15])).unwrap();
    step(&session).unwrap();
    assert_eq!(metric(&session, "reward/rejected"), 0.0);
    step(&session).unwrap();
    assert!(!session.metrics_json().contains("reward/rejected"), "what the step before measured is not this one's");
}

#[test]
fn a_lone_response_has_no_reference_point() {
    let session = toy("", 1);
    for _ in 0..3 {
        step(&session).unwrap();
        assert_eq!(metric(&session, "feedback/reference_point"), 0.0);
    }
    assert!(metric(&session, "loss/preference") < 0.5, "a bad response loses all the same");
}

#[test]
fn what_bco_measures_against_is_remembered() {
    let settings = r#", "loss": "bco", "momentum": 0.5"#;
    let session = toy(settings, 16);
    for _ in 0..3 {
        step(&session).unwrap();
    }
    let saved = session.export().unwrap();
    step(&session).unwrap();
    let point = metric(&session, "feedback/reference_point");
    assert!(point.abs() > 1e-4, "{point}");
    let restored = toy(settings, 0);
    restored.import(&saved).unwrap();
    step(&restored).unwrap();
    assert_eq!(metric(&restored, "feedback/reference_point"), point);
    assert_eq!(restored.state_hash().unwrap(), session.state_hash().unwrap());
}

#[test]
fn chunks_of_any_size_give_the_same_numbers() {
    let numbers = |settings: &str| {
        let text = format!(
            r#"{{"algorithm": {{"type": "kto", "batch_size": 8, "epochs": 0}}, {settings} "threads": 1,
                "optimizer": {{"learning_rate": 0.01}}}}"#
        );
        let session = session(&text, &tiny_model(2));
        session.push(&feedback(8)).unwrap();
        for _ in 0..3 {
            step(&session).unwrap();
        }
        ["loss/total", "gradient/norm", "feedback/reference_point"].map(|name| metric(&session, name))
    };
    let whole = numbers("");
    for tokens in [1, 20] {
        let split = numbers(&format!("\"micro_batch_tokens\": {tokens},"));
        for (left, right) in whole.iter().zip(&split) {
            assert!((left - right).abs() <= 1e-5 * left.abs().max(1.0), "{whole:?} {split:?}");
        }
    }
}

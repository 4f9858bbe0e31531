//! The preference family in training: each loss learns its toy, and starts where it should.

mod support;

use keel::data::{Batch, Column, Kind, Values};
use keel::error::Status;
use keel::session::Session;
use std::sync::Arc;
use support::*;

/// Eight pairs whose chosen responses begin with 4, the rejected ones, of other lengths, with 12.
fn pairs() -> Batch {
    let answers = |first: i32| (0..8).map(|row| vec![first, first + row % 4, 2]).collect();
    let longer = |first: i32| (0..8).map(|row| vec![first + row % 4; 2 + row as usize % 3]).collect();
    batch(Kind::Preferences, &[("prompt", prompts(8)), ("chosen", answers(4)), ("rejected", longer(12))])
}

/// A session on those pairs.
fn toy(settings: &str) -> Arc<Session> {
    trained_on(&pairs(), r#""type": "dpo""#, settings)
}

fn trained_on(pairs: &Batch, kind: &str, settings: &str) -> Arc<Session> {
    let text = format!(
        r#"{{"algorithm": {{{kind}, "batch_size": 8, "epochs": 0, "beta": 0.5, {settings}}},
            "optimizer": {{"learning_rate": 0.01}}, "threads": 1}}"#
    );
    let session = session(&text, &tiny_model(2));
    session.push(pairs).unwrap();
    session
}

#[test]
fn a_pair_is_trusted_as_far_as_its_probability() {
    let margin = |probability: Option<f32>| {
        let mut pairs = pairs();
        if let Some(probability) = probability {
            pairs.set("probability", Column::flat(Values::F32(vec![probability; 8]))).unwrap();
        }
        let session = trained_on(&pairs, r#""type": "dpo""#, r#""loss": "sigmoid""#);
        for _ in 0..10 {
            step(&session).unwrap();
        }
        metric(&session, "preference/margin")
    };
    assert_eq!(margin(None), margin(Some(1.0)));
    assert_eq!(margin(Some(0.5)), 0.0, "nobody knows which is better, so nothing moves");
    assert!(margin(Some(0.8)) < margin(Some(1.0)) && margin(Some(0.8)) > 0.0);
    assert!(margin(Some(0.0)) < 0.0, "the rejected response is the better one");
}

#[test]
fn a_sorted_loss_takes_no_probabilities() {
    let mut pairs = pairs();
    pairs.set("probability", Column::flat(Values::F32(vec![0.5; 8]))).unwrap();
    let text = r#"{"algorithm": {"type": "dpo", "loss": "aot"}, "threads": 1}"#;
    let error = session(text, &tiny_model(2)).push(&pairs).unwrap_err();
    assert_eq!(error.message, "probability: this session's algorithm reads no such column");
}

#[test]
fn the_anchor_keeps_the_chosen_likelihood_up() {
    let chosen = |settings: &str| {
        let session = toy(settings);
        for _ in 0..20 {
            step(&session).unwrap();
        }
        metric(&session, "reward/chosen")
    };
    let (free, anchored) = (chosen(r#""loss": "apo_down""#), chosen(r#""loss": "apo_down", "nll_coef": 1"#));
    assert!(anchored > free, "{anchored} with the likelihood, {free} without");
}

#[test]
fn numbers_that_the_method_does_not_read_are_refused() {
    let session = toy(r#""loss": "sigmoid""#);
    let hash = session.state_hash().unwrap();
    let answers = |first: i32| (0..2).map(|row| vec![first, first + row, 2]).collect();
    let columns = [("prompt", prompts(2)), ("chosen", answers(4)), ("rejected", answers(12))];
    let mut pairs = batch(Kind::Preferences, &columns);
    pairs.set("margin", Column::flat(Values::F32(vec![0.5, 1.0]))).unwrap();
    let error = session.push(&pairs).unwrap_err();
    assert_eq!(error.status, Status::Data);
    assert_eq!(error.message, "margin: this session's algorithm reads no such column");
    assert_eq!(session.state_hash().unwrap(), hash);
}

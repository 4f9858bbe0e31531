//! The preference family in training: each loss learns its toy, and starts where it should.

mod support;

use keel::data::{Column, Kind, Values};
use keel::error::Status;
use support::*;

/// A session on pairs whose chosen responses begin with 4, the rejected ones with 12.
fn toy(settings: &str) -> std::sync::Arc<keel::session::Session> {
    let text = format!(
        r#"{{"algorithm": {{"type": "dpo", "batch_size": 8, "epochs": 0, "beta": 0.5, {settings}}},
            "optimizer": {{"learning_rate": 0.01}}, "threads": 1}}"#
    );
    let session = session(&text, &tiny_model(2));
    let answers = |first: i32| (0..8).map(|row| vec![first, first + row % 4, 2]).collect();
    let columns = [("prompt", prompts(8)), ("chosen", answers(4)), ("rejected", answers(12))];
    session.push(&batch(Kind::Preferences, &columns)).unwrap();
    session
}

#[test]
fn every_loss_of_the_family_learns_to_tell_its_pairs_apart() {
    let plain =
        ["sigmoid", "hinge", "ipo", "nca_pair", "bco_pair", "sppo_hard", "apo_zero", "apo_down", "discopop", "aot"];
    let smoothed = ["sigmoid", "robust", "exo_pair", "aot_unpaired"].map(|loss| (loss, r#", "label_smoothing": 0.1"#));
    let members = plain.map(|loss| (loss, "")).into_iter().chain(smoothed);
    let anchored = [("sigmoid", r#", "positive_coef": 2"#), ("ipo", r#", "ratio": "sequence_mean""#)];
    for (loss, settings) in members.chain(anchored) {
        let session = toy(&format!(r#""loss": "{loss}"{settings}"#));
        step(&session).unwrap();
        let name = format!("{loss}{settings}");
        let first = metric(&session, "loss/preference");
        assert_eq!(metric(&session, "preference/margin"), 0.0, "{name}: policy and reference agree at first");
        for _ in 0..20 {
            step(&session).unwrap();
        }
        let (accuracy, last) = (metric(&session, "preference/accuracy"), metric(&session, "loss/preference"));
        assert!(accuracy > 0.8 && last < first, "{name}: accuracy {accuracy}, loss {first} → {last}");
    }
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

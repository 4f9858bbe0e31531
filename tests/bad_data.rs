//! Rows and rewards that cannot be: each gets its status and a sentence, and the session is as it was.

mod support;

use keel::data::{Batch, Column, Kind, Values};
use keel::error::{Result, Status};
use keel::session::{Role, Session};
use std::sync::Arc;
use support::*;

const GRPO: &str = r#"{"algorithm": {"type": "grpo"}, "optimizer": {"learning_rate": 0.003}, "threads": 1}"#;

/// Tries it, sees the refusal, and that nothing changed: neither the state, nor what the next update computes.
fn refused(session: &Arc<Session>, what: impl FnOnce() -> Result<()>, status: Status, sentence: &str) {
    let before = session.state_hash().unwrap();
    let error = what().unwrap_err();
    assert_eq!((error.status, error.message.as_str()), (status, sentence));
    assert_eq!(session.state_hash().unwrap(), before, "{sentence}");
}

fn push(session: &Arc<Session>, rows: &Batch, status: Status, sentence: &str) {
    refused(session, || session.push(rows).map(drop), status, sentence);
}

fn flat(values: Vec<f32>) -> Column {
    Column { values: Values::F32(values), offsets: None }
}

fn still_trains(session: &Arc<Session>) {
    session.push(&rollouts_in_groups(session, 2, 0)).unwrap();
    step(session).unwrap();
}

#[test]
fn empty_responses_and_rows_of_which_nothing_counts() {
    let session = session(GRPO, &tiny_model(1));
    let mut rows = rollouts_in_groups(&session, 1, 0);
    let error = rows.set("response", ragged(&[vec![4], vec![], vec![5], vec![6]])).unwrap_err();
    assert_eq!(
        (error.status, error.message.as_str()),
        (Status::Data, "response: expected at least one token in each row, got none in row 1")
    );
    let response = rows.column("response").unwrap().clone();
    let offsets = response.offsets.clone().unwrap();
    let flags = (0..offsets[4]).map(|token| u8::from(token < offsets[2] || token >= offsets[3])).collect();
    rows.set("response_mask", Column { values: Values::U8(flags), offsets: Some(offsets) }).unwrap();
    push(&session, &rows, Status::Data, "row 2: response_mask: expected a token that counts, got none");
    still_trains(&session);
}

#[test]
fn rewards_twice_for_nobody_or_no_number() {
    let session = session(GRPO, &tiny_model(1));
    let sampled = rollouts_in_groups(&session, 1, 0);
    let mut bare = without(&sampled, "reward");
    let first = session.push(&bare).unwrap();
    let reward = |ids: &[u64], rewards: &[f32]| session.reward(ids, rewards);
    let twice = format!("ids: expected distinct rows, got {first} twice");
    refused(&session, || reward(&[first, first + 1, first], &[1.0; 3]), Status::Data, &twice);
    let unknown = format!("ids: expected rows that wait for an update, got {}, which is none", first + 99);
    refused(&session, || reward(&[first, first + 99], &[1.0; 2]), Status::Data, &unknown);
    let nan = format!("rewards: expected finite numbers, got NaN for row {}", first + 1);
    refused(&session, || reward(&[first, first + 1], &[1.0, f32::NAN]), Status::NonFinite, &nan);
    refused(&session, || reward(&[first], &[1.0; 2]), Status::Shape, "rewards: expected 1 numbers, 1 an id, got 2");
    let unasked = format!("ids: expected rows of queries without an answer, got {first}, which is none");
    refused(&session, || session.answer(&[first], &[1.0]), Status::Data, &unasked);
    let error = bare.set("reward", flat(vec![0.0, f32::INFINITY, 0.0, 0.0])).unwrap_err();
    assert_eq!(
        (error.status, error.message.as_str()),
        (Status::NonFinite, "reward: expected finite numbers, got inf in row 1")
    );
    reward(&[first, first + 1, first + 2, first + 3], &[1.0, 0.0, 0.0, 0.0]).unwrap();
    step(&session).unwrap();
}

#[test]
fn groups_of_one_and_groups_of_two_prompts() {
    let session = session(GRPO, &tiny_model(1));
    let mut rows = rollouts_in_groups(&session, 2, 0);
    let group = |numbers: [u64; 8]| Column { values: Values::U64(numbers.to_vec()), offsets: None };
    rows.set("group", group([0, 0, 0, 7, 1, 1, 1, 1])).unwrap();
    push(&session, &rows, Status::Data, "row 3: group: expected at least 2 responses to a prompt in one batch, got 1");
    rows.set("group", group([0, 0, 0, 0, 0, 1, 1, 1])).unwrap();
    push(&session, &rows, Status::Data, "row 4: group: expected the prompt of row 0, which has the same number");
    still_trains(&session);
}

#[test]
fn tokens_that_the_model_does_not_know_and_texts_too_long_for_it() {
    let text = r#"{"algorithm": {"type": "dpo", "batch_size": 2}, "threads": 1}"#;
    let session = session(text, &tiny_model(1));
    let pairs = |chosen: Vec<i32>| {
        let columns = [("prompt", prompts(1)), ("chosen", vec![chosen]), ("rejected", vec![vec![3]])];
        batch(Kind::Preferences, &columns)
    };
    push(&session, &pairs(vec![3, 24]), Status::Data, "row 0: chosen: expected tokens of a vocabulary of 24, got 24");
    let sentence = "row 0: chosen: expected at most 64 tokens with its prompt, got 72";
    push(&session, &pairs(vec![3; 70]), Status::Data, sentence);
    let rollouts = batch(Kind::Rollouts, &[("prompt", prompts(1)), ("response", prompts(1))]);
    push(&session, &rollouts, Status::Data, "batch: expected Preferences for this algorithm, got Rollouts");
}

#[test]
fn steps_without_labels_and_groups_on_both_sides_of_the_split() {
    let judge = |learns: &str| {
        let text = format!(r#"{{"algorithm": {{"type": "reward", "learns": "{learns}"}}, "threads": 1}}"#);
        let session = Session::create(&runtime(), config(&text)).unwrap();
        session.set_model(Role::Reward, tiny_model(1)).unwrap();
        session
    };
    let rows = batch(Kind::Demonstrations, &[("prompt", prompts(2)), ("response", prompts(2))]);
    let sentence = "step_labels: the column is missing, and this session's algorithm reads it";
    push(&judge("steps"), &rows, Status::Data, sentence);
    let prompt = vec![vec![3, 4]; 2];
    let mut ranked = batch(Kind::Rankings, &[("prompt", prompt), ("response", vec![vec![4], vec![5]])]);
    let whole = |numbers: [i32; 2]| Column { values: Values::I32(numbers.to_vec()), offsets: None };
    ranked.set("rank", whole([1, 2])).unwrap();
    ranked.set("split", whole([0, 1])).unwrap();
    let sentence = "row 0: split: expected one for all rows of a group, got both";
    push(&judge("rankings"), &ranked, Status::Data, sentence);
}

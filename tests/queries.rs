//! What a session asks its host: which rollouts, when, and how often.

mod support;

use keel::data::Batch;
use keel::error::Error;
use keel::session::{Role, Session};
use std::sync::Arc;
use support::*;

const NOBODY: [u64; 0] = [];

const PPO: &str = r#"{"algorithm": {"type": "ppo", "epochs": 1}, "threads": 1}"#;

/// The rows that the session asks about.
fn asked(session: &Arc<Session>) -> Vec<u64> {
    let queries = session.take_queries(Ok).unwrap();
    let ids =
        |batch: &Batch| (0..batch.rows() as usize).map(|row| batch.column("id").unwrap().row_u64(row)[0]).collect();
    queries.as_ref().map(ids).unwrap_or_default()
}

fn bare(session: &Arc<Session>, rows: usize) -> Batch {
    without(&rollouts(session, rows, 0), "reward")
}

#[test]
fn each_rollout_is_asked_about_once_and_none_that_has_its_reward() {
    let session = session(PPO, &tiny_model(1));
    assert_eq!(asked(&session), NOBODY);
    session.push(&bare(&session, 3)).unwrap();
    session.reward(&[1], &[0.5]).unwrap();
    assert_eq!(asked(&session), [0, 2]);
    assert_eq!(asked(&session), NOBODY);
    session.push(&bare(&session, 1)).unwrap();
    assert_eq!(asked(&session), [3]);
    let error = session.answer(&[1], &[0.0]).unwrap_err();
    assert!(error.message.starts_with("ids: expected rows of queries without an answer, got 1"), "{error}");
    session.answer(&[0, 2, 3], &[0.0, 1.0, 0.5]).unwrap();
    session.answer(&[0], &[0.0]).unwrap_err();
    step(&session).unwrap();
    assert_eq!(metric(&session, "reward/mean"), 0.5);
}

#[test]
fn a_query_that_did_not_reach_the_host_is_asked_again() {
    let session = session(PPO, &tiny_model(1));
    session.push(&bare(&session, 2)).unwrap();
    let error = session.take_queries(|_| Err::<(), _>(Error::state("no room"))).unwrap_err();
    assert_eq!(error.message, "no room");
    assert_eq!(asked(&session), [0, 1]);
}

#[test]
fn nobody_is_asked_about_rollouts_that_a_reward_model_judges_now() {
    let session = session(PPO, &tiny_model(1));
    let judge = Arc::new(tiny_model(2).with_scores(&["reward".to_string()], 0).unwrap());
    session.set_model(Role::Reward, judge).unwrap();
    session.push(&bare(&session, 2)).unwrap();
    let job = session.update().unwrap().unwrap();
    session.push(&bare(&session, 1)).unwrap();
    assert_eq!(asked(&session), [2], "the update has the others");
    job.cancel();
    assert_eq!(asked(&session), [0, 1], "it gave them back");
    step(&session).unwrap();
    assert_eq!(asked(&session), NOBODY);
}

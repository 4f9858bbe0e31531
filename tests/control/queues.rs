//! Full queues of control sessions: what comes on top is refused, counted and lost on nobody.

use crate::hosts::*;
use keel::config;
use keel::data::{Batch, Column, Kind, Values};
use keel::error::{Error, Status};
use keel::session::control::{Actor, ControlSession, Episode};
use keel::session::{Learner, Role};
use serde_json::{json, Value};
use std::sync::Arc;

/// What was refused so far: rows and steps.
fn refused(session: &ControlSession) -> (u64, u64) {
    let metrics: Value = serde_json::from_str(&session.metrics_json()).unwrap();
    (metrics["refused"]["rows"].as_u64().unwrap(), metrics["refused"]["steps"].as_u64().unwrap())
}

fn turn(actor: &Actor, slots: &[u32]) -> Result<(), Error> {
    let observations = bytes(&vec![0.25; 4 * slots.len()]);
    actor.act(slots, &observations, &mut vec![0; 4 * slots.len()], RECORDED, None)?;
    actor.observe(slots, &vec![1.0; slots.len()], &vec![Episode::Running; slots.len()], &[])
}

fn full(outcome: Result<impl Sized, Error>, message: &str) {
    let error = outcome.err().expect("the queue is full");
    assert_eq!((error.status, error.message.as_str()), (Status::Full, message));
}

#[test]
fn an_actor_whose_steps_nobody_takes_is_told_so_and_goes_on_after_an_update() {
    let settings = json!({"rollout_steps": 6, "minibatches": 1, "epochs": 1, "queue_capacity": 8});
    let session = session(settings, cart_config(json!({})));
    let (actor, other) = (Actor::create(&session).unwrap(), Actor::create(&session).unwrap());
    (0..4).for_each(|_| turn(&actor, &[0, 1]).unwrap());
    let before = session.state_hash().unwrap();
    let message = |more| {
        format!("steps that wait for an update: expected 8 at most, got {more} on top of 8; update, clear, or act unrecorded")
    };
    full(turn(&actor, &[0]), &message(1));
    full(turn(&actor, &[1, 0]), &message(2));
    assert_eq!(
        (session.state_hash().unwrap(), refused(&session)),
        (before, (0, 3)),
        "nothing moved and all is counted"
    );
    act(&actor, &[0], &[0.25; 4], GREEDY);
    turn(&other, &[5, 6, 7]).unwrap();
    turn(&Actor::create_unrecorded(&session).unwrap(), &(0..20).collect::<Vec<_>>()).unwrap();
    session.clone().update().unwrap().expect("6 steps are finished").run().unwrap();
    turn(&actor, &[0, 1]).unwrap();
    assert_eq!(refused(&session), (0, 3));
}

fn demonstrations(rows: usize) -> Batch {
    let mut batch = Batch::new(Kind::Demonstrations, rows as u64).unwrap();
    batch.set("observation", Column::flat(Values::F32(vec![0.5; 4 * rows]))).unwrap();
    batch.set("action", Column::flat(Values::F32(vec![1.0; rows]))).unwrap();
    batch
}

#[test]
fn demonstrations_beyond_the_queue_are_refused_whole() {
    let session = session(json!({"type": "cloning", "batch_size": 4, "queue_capacity": 10}), cart_config(json!({})));
    assert_eq!(session.push(&demonstrations(8)).unwrap(), 0);
    full(session.push(&demonstrations(3)), "demonstrations: expected 10 at most, got 3 on top of 8; clear first");
    session.clone().update().unwrap().unwrap().run().unwrap();
    full(session.push(&demonstrations(3)), "demonstrations: expected 10 at most, got 3 on top of 8; clear first");
    assert_eq!(session.push(&demonstrations(2)).unwrap(), 8);
    assert_eq!(refused(&session), (6, 0));
    session.clear().unwrap();
    assert_eq!(session.push(&demonstrations(10)).unwrap(), 10);
}

fn pairs(rows: usize) -> Batch {
    let mut batch = Batch::new(Kind::Preferences, rows as u64).unwrap();
    for (name, width) in [("observation", 4), ("action", 1)] {
        for side in ["chosen", "rejected"] {
            batch.set(&format!("{side}_{name}"), Column::ragged_f32(&vec![vec![1.0; width]; rows])).unwrap();
        }
    }
    batch
}

#[test]
fn pairs_beyond_the_queue_are_refused_whole() {
    let session: Arc<ControlSession> =
        bare(json!({"type": "control_reward", "batch_size": 4, "epochs": 1, "queue_capacity": 6}));
    session.set_model(Role::Reward, policy(cart_config(json!({"model_type": "control_reward"})), 1)).unwrap();
    session.push(&pairs(5)).unwrap();
    full(session.push(&pairs(2)), "pairs: expected 6 at most, got 2 on top of 5; update or clear first");
    session.clone().update().unwrap().unwrap().run().unwrap();
    session.push(&pairs(2)).unwrap();
    assert_eq!(refused(&session), (2, 0));
}

#[test]
fn a_capacity_out_of_range_is_refused() {
    let text = r#"{"queue_capacity": 0}"#;
    let error = config::parse::<keel::session::Config>(Some(text.as_bytes())).unwrap_err();
    assert_eq!(error.message, "/queue_capacity: expected an integer in [1, 67108864] or null, got 0");
}

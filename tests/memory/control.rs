//! Control sessions at the cap: what is refused loses nothing, and goes on where there is room again.

use crate::hosts::*;
use crate::{allocated, alone};
use keel::data::{Batch, Column, Kind, Values};
use keel::error::{Error, Result, Status};
use keel::model::AnyModel;
use keel::session::control::{Actor, ControlSession, Episode};
use keel::session::{Learner, Role, State};
use keel::torch::cap_host_memory;
use serde_json::{json, Value};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

/// Tries under caps that rise by `rise` bytes until one suffices; how many did not, and what came of it. Of each that did not
/// `unchanged` is asked.
fn climb<T>(rise: u64, mut attempt: impl FnMut() -> Result<T>, mut unchanged: impl FnMut(&Error)) -> (usize, T) {
    let mut refused = 0;
    loop {
        cap_host_memory((allocated() + refused as u64 * rise).max(1)).unwrap();
        // a panic of a tensor operation is what the guard of every export makes of it
        let outcome = catch_unwind(AssertUnwindSafe(&mut attempt));
        let outcome = outcome.unwrap_or_else(|panic| Err(Error::from_panic(panic.as_ref())));
        cap_host_memory(0).unwrap();
        match outcome {
            Ok(made) => return (refused, made),
            Err(error) => {
                assert_eq!(error.status, Status::OutOfMemory, "{error}");
                assert!(error.message.contains("the cap on tensors in host memory is"), "{error}");
                unchanged(&error);
                refused += 1;
            }
        }
    }
}

/// A session with what it needs for an update of one optimiser step.
type Make = fn() -> Arc<ControlSession>;

fn acted(settings: Value, network: Value) -> Arc<ControlSession> {
    let session = session(settings, network);
    let actor = Actor::create(&session).unwrap();
    let mut carts = Carts::new(4);
    (0..20).for_each(|_| carts.turn(&actor));
    session
}

fn whole(more: Value) -> Value {
    let mut settings = json!({"rollout_steps": 64, "epochs": 1, "minibatches": 1});
    more.as_object().unwrap().iter().for_each(|(key, value)| settings[key] = value.clone());
    settings
}

fn fused() -> Arc<ControlSession> {
    acted(whole(json!({"normalize_rewards": true})), cart_config(json!({"normalize_observations": true})))
}

fn libtorch() -> Arc<ControlSession> {
    let network = cart_config(json!({"normalize_observations": true, "hidden": [16]}));
    acted(whole(json!({"learner": "libtorch", "normalize_values": true})), network)
}

fn remembering() -> Arc<ControlSession> {
    let network = cart_config(json!({"core": {"type": "gru", "size": 8}}));
    acted(whole(json!({"learner": "libtorch", "sequence_length": 4})), network)
}

fn soft() -> Arc<ControlSession> {
    soft_after(10)
}

fn soft_after(turns: usize) -> Arc<ControlSession> {
    let torque = json!({"type": "continuous", "name": "torque", "size": 1, "low": -2.0, "high": 2.0,
                        "distribution": "squashed", "deviation": "state"});
    let network = cart_config(json!({"hidden": [8], "normalize_observations": true, "actions": [torque]}));
    let settings =
        json!({"type": "sac", "learning_starts": 8, "batch_size": 4, "rollout_steps": 1, "learner": "libtorch"});
    let session = session(settings, network);
    let actor = Actor::create(&session).unwrap();
    for turn in 0..turns {
        actor.act(&[0], &bytes(&numbers(4 + turn)[turn..]), &mut [0; 4], RECORDED, None).unwrap();
        actor.observe(&[0], &[turn as f32], &[Episode::Running], &[]).unwrap();
    }
    session
}

fn cloning() -> Arc<ControlSession> {
    let session = session(
        json!({"type": "cloning", "batch_size": 8, "epochs": 1, "learner": "libtorch"}),
        cart_config(json!({})),
    );
    session.push(&demonstrations()).unwrap();
    session
}

fn judging() -> Arc<ControlSession> {
    let session = bare(json!({"type": "control_reward", "batch_size": 4}));
    let model = policy(cart_config(json!({"model_type": "control_reward", "hidden": [8]})), 1);
    session.set_model(Role::Reward, model).unwrap();
    session.push(&pairs()).unwrap();
    session
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|place| ((place * 37) % 19) as f32 / 9.0 - 1.0).collect()
}

fn demonstrations() -> Batch {
    let mut batch = Batch::new(Kind::Demonstrations, 16).unwrap();
    batch.set("observation", Column::flat(Values::F32(numbers(64)))).unwrap();
    batch.set("action", Column::flat(Values::F32((0..16).map(|row| (row % 2) as f32).collect()))).unwrap();
    batch
}

fn pairs() -> Batch {
    let mut batch = Batch::new(Kind::Preferences, 8).unwrap();
    for (name, width) in
        [("chosen_observation", 4), ("rejected_observation", 4), ("chosen_action", 1), ("rejected_action", 1)]
    {
        let row = |row: usize| match width {
            1 => vec![(row % 2) as f32; 3],
            _ => numbers(12 + row)[row..].to_vec(),
        };
        batch.set(name, Column::ragged_f32(&(0..8).map(row).collect::<Vec<_>>())).unwrap();
    }
    batch
}

#[test]
fn an_update_that_meets_the_cap_loses_nothing_whatever_the_method() {
    let _alone = alone();
    let methods: [(&str, Make, u64); 6] = [
        ("fused", fused, 64),
        ("libtorch", libtorch, 64),
        ("remembering", remembering, 256),
        ("soft", soft, 64),
        ("cloning", cloning, 64),
        ("judging", judging, 64),
    ];
    for (name, make, rise) in methods {
        let (session, free) = (make(), make());
        let hash = || session.state_hash().unwrap();
        // what was pushed and recorded is taken in when an update is planned
        session.clone().update().unwrap().unwrap().cancel();
        let before = hash();
        let update = || {
            let job = session.clone().update()?.expect("enough for an update");
            let report = job.run()?;
            assert_eq!(report.state, State::Done);
            Ok(job.report().optimizer_steps)
        };
        // SAC's critics learn before its policy: where that is refused the next update goes on
        let kept = |error: &Error| assert!(name == "soft" || hash() == before, "{name}: {error}");
        let (refused, steps) = climb(rise, update, kept);
        // the fused learner takes no tensors
        assert!(refused > 10 || name == "fused" && refused == 0, "{name}: {refused}");
        assert_eq!(steps, 1, "{name}");
        free.clone().update().unwrap().unwrap().run().unwrap();
        assert_eq!(hash(), free.state_hash().unwrap(), "{name}");
    }
}

/// A session of SAC whose update met the cap in the second half of its second optimiser step.
fn half_stepped() -> Arc<ControlSession> {
    let session = soft_after(14);
    let job = session.clone().update().unwrap().unwrap();
    (0..3).for_each(|_| assert_eq!(job.pump(Duration::ZERO).unwrap().state, State::Pending));
    cap_host_memory(1).unwrap();
    let refused = job.run().unwrap_err();
    cap_host_memory(0).unwrap();
    assert_eq!(refused.status, Status::OutOfMemory);
    assert!(refused.message.contains("(1 optimiser steps of this update were applied)"), "{refused}");
    session
}

#[test]
fn what_was_stepped_before_the_cap_is_published() {
    let _alone = alone();
    let session = half_stepped();
    let AnyModel::Control(policy) = session.model(Role::Policy).unwrap() else { unreachable!() };
    assert_eq!(policy.version(), 1);
}

#[test]
fn who_looks_at_a_half_step_changes_nothing_that_follows() {
    let _alone = alone();
    let ends = [[false; 2], [true, false], [false, true]].map(|[before, beside]| {
        let session = half_stepped();
        let look = |at: bool| at.then(|| session.state_hash().unwrap());
        look(before);
        let job = session.clone().update().unwrap().unwrap();
        look(beside);
        job.run().unwrap();
        let total: Value = serde_json::from_str(&session.metrics_json()).unwrap();
        (total["optimizer_steps"].clone(), session.state_hash().unwrap())
    });
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
}

#[test]
fn what_is_made_at_the_cap_is_made_whole_or_not_at_all() {
    let _alone = alone();
    let network = cart_config(json!({"normalize_observations": true}));
    let create = || AnyModel::create(&keel::config::Create { config: network.clone(), seed: 1, ..Default::default() });
    let before = allocated();
    let (refused, model) = climb(509, create, |_| assert_eq!(allocated(), before));
    assert!(refused > 0);
    for session in [bare(json!({"learner": "libtorch"})), bare(json!({}))] {
        let before = allocated();
        let put = || session.set_model(Role::Policy, model.clone());
        let (refused, ()) = climb(509, put, |_| {
            assert_eq!(allocated(), before);
            assert!(session.model(Role::Policy).is_none() && Actor::create(&session).is_err());
        });
        assert!(refused > 0);
        Carts::new(2).turn(&Actor::create(&session).unwrap());
        drop(session);
    }
    drop(model);
    assert_eq!(allocated(), before);
}

#[test]
fn acting_and_recording_go_on_at_the_cap() {
    let _alone = alone();
    let session = session(whole(json!({"learner": "libtorch"})), cart_config(json!({})));
    let actor = Actor::create(&session).unwrap();
    let mut carts = Carts::new(4);
    cap_host_memory(1).unwrap();
    (0..17).for_each(|_| carts.turn(&actor));
    let refused = session.clone().update().and_then(|job| job.expect("64 steps").run()).unwrap_err();
    assert_eq!(refused.status, Status::OutOfMemory);
    (0..4).for_each(|_| carts.turn(&actor));
    cap_host_memory(0).unwrap();
    session.clone().update().unwrap().unwrap().run().unwrap();
    assert!(metric(&session, "steps/trained") >= 72.0, "all that was recorded at the cap is learned from");
}

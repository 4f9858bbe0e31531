//! Images and sets of entities: what records say, what is kept, what is learned from them.

use crate::hosts::*;
use keel::error::Status;
use keel::model::AnyModel;
use keel::session::control::{Act, Actor, ControlSession, Episode};
use keel::session::{Learner, Role};
use serde_json::{json, Value};
use std::sync::Arc;

const CAPACITY: usize = 6;

/// The network, and one update of 256 steps in a session of it.
fn learner(observations: Value, choices: u32, more: Value) -> Arc<ControlSession> {
    let settings = json!({"rollout_steps": 256, "epochs": 6, "minibatches": 4, "optimizer": {"learning_rate": 2e-3}});
    let mut network = json!({"model_type": "control", "observations": observations, "hidden": [32], "value": "shared",
                             "actions": [{"type": "discrete", "name": "a", "choices": choices}]});
    more.as_object().unwrap().iter().for_each(|(key, value)| network[key] = value.clone());
    session(settings, network)
}

fn choices(actor: &Actor, slots: &[u32], records: &[u8], how: Act) -> Vec<i32> {
    let mut actions = vec![0u8; 4 * slots.len()];
    actor.act(slots, records, &mut actions, how, None).unwrap();
    actions.chunks_exact(4).map(|bytes| i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect()
}

/// Numbers that look random, below a limit.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Plays single-step episodes with 64 slots until it has learned `updates` times, then tells how often it is right.
fn play(session: &Arc<ControlSession>, updates: usize, mut draw: impl FnMut(&mut Dice) -> (Vec<u8>, i32)) -> f64 {
    let (actor, mut dice, mut learned) = (Actor::create(session).unwrap(), Dice(3), 0);
    let slots: Vec<u32> = (0..64).collect();
    while learned < updates {
        let (records, right): (Vec<_>, Vec<_>) = slots.iter().map(|_| draw(&mut dice)).unzip();
        let chosen = choices(&actor, &slots, &records.concat(), RECORDED);
        let rewards: Vec<f32> = chosen.iter().zip(&right).map(|(chosen, right)| f32::from(chosen == right)).collect();
        actor.observe(&slots, &rewards, &vec![Episode::Terminated; 64], &[]).unwrap();
        if let Some(job) = session.clone().update().unwrap() {
            job.run().unwrap();
            learned += 1;
        }
    }
    let (records, right): (Vec<_>, Vec<_>) = (0..300).map(|_| draw(&mut dice)).unzip();
    let slots: Vec<u32> = (0..300).collect();
    let chosen = choices(&actor, &slots, &records.concat(), GREEDY);
    chosen.iter().zip(&right).filter(|(chosen, right)| chosen == right).count() as f64 / 300.0
}

/// One pixel of 5×5 is lit; its column is the right choice.
fn lit(dice: &mut Dice) -> (Vec<u8>, i32) {
    let (row, column) = (dice.below(5) as usize, dice.below(5) as usize);
    let mut image = vec![0u8; 25];
    image[5 * row + column] = 255;
    (image, column as i32)
}

fn image() -> Value {
    json!([{"type": "image", "name": "screen", "height": 5, "width": 5, "channels": 1}])
}

/// Some entities of a size and a side, in any order; behind them anything. The side of the largest is the right choice.
fn crowd(dice: &mut Dice) -> (Vec<u8>, i32) {
    let count = 1 + dice.below(CAPACITY as u64) as usize;
    let mut record = (count as u32).to_ne_bytes().to_vec();
    let (mut largest, mut right) = (-1.0f32, 0);
    for place in 0..CAPACITY {
        let (size, side) = (dice.below(1000) as f32 / 500.0, dice.below(2) as i32);
        if place < count {
            record.extend(bytes(&[size, side as f32 * 2.0 - 1.0]));
            if size > largest {
                (largest, right) = (size, side);
            }
        } else {
            record.extend([0xFF; 8]); // not a number
        }
    }
    (record, right)
}

fn set() -> Value {
    json!([{"type": "set", "name": "crowd", "capacity": CAPACITY, "size": 2, "width": 32, "heads": 2}])
}

#[test]
fn the_lit_pixel_is_found() {
    let right = play(&learner(image(), 5, json!({})), 40, lit);
    assert!(right > 0.95, "{right}");
}

#[test]
fn the_largest_of_a_crowd_decides() {
    let right = play(&learner(set(), 2, json!({})), 120, crowd);
    assert!(right > 0.88, "{right}");
}

/// A vector, an image, a mask and a set, so that each stands where alignment puts it.
fn mixed() -> Value {
    json!([
        {"type": "image", "name": "screen", "height": 3, "width": 3, "channels": 1},
        {"type": "set", "name": "crowd", "capacity": 2, "size": 1},
        {"type": "mask", "action": "a"},
        {"type": "vector", "name": "own", "size": 2},
    ])
}

fn mixed_record(count: u32, entities: [f32; 2], own: [f32; 2]) -> Vec<u8> {
    let image = [0u8, 255, 51, 0, 0, 0, 0, 0, 0, 77, 77, 77]; // three bytes of padding
    let padding = [1u8, 1, 1, 99];
    [&image[..], &count.to_ne_bytes(), &bytes(&entities), &padding, &bytes(&own)].concat()
}

#[test]
fn a_record_lies_as_its_layout_says() {
    let session = learner(mixed(), 3, json!({}));
    let layout: Value = serde_json::from_str(&session.layout_json().unwrap()).unwrap();
    let expected = json!({"bytes": 36, "groups": [
        {"name": "screen", "type": "u8", "count": 9, "offset": 0, "shape": [3, 3, 1]},
        {"name": "crowd", "type": "u32", "count": 1, "offset": 12,
         "entities": {"type": "f32", "capacity": 2, "size": 1, "offset": 16}},
        {"name": "a", "type": "u8", "count": 3, "offset": 24, "mask": true},
        {"name": "own", "type": "f32", "count": 2, "offset": 28},
    ]});
    assert_eq!(layout["observation"], expected);
}

#[test]
fn what_stands_behind_the_entities_does_not_count_and_too_many_are_refused() {
    let hashes = [5.0, f32::NAN].map(|behind| {
        let session = learner(mixed(), 3, json!({}));
        let actor = Actor::create(&session).unwrap();
        choices(&actor, &[0], &mixed_record(1, [2.0, behind], [0.5, 1.0]), RECORDED);
        choices(&actor, &[1], &mixed_record(0, [behind; 2], [0.5, 1.0]), RECORDED);
        let hash = session.state_hash().unwrap();
        for (record, status, says) in [
            (mixed_record(3, [0.0; 2], [0.0; 2]), Status::Data, "crowd: expected at most 2 entities, got 3"),
            (mixed_record(u32::MAX, [0.0; 2], [0.0; 2]), Status::Data, "got 4294967295"),
            (mixed_record(2, [0.0, f32::NAN], [0.0; 2]), Status::NonFinite, "crowd[1]: expected a finite number"),
            (mixed_record(2, [0.0; 2], [0.0, f32::NAN]), Status::NonFinite, "own[1]: expected a finite number"),
        ] {
            let error = actor.act(&[2], &record, &mut [0u8; 4], RECORDED, None).unwrap_err();
            assert!(error.status == status && error.message.contains(says), "{error}, not {says}");
        }
        assert_eq!(session.state_hash().unwrap(), hash);
        hash
    });
    assert_eq!(hashes[0], hashes[1]);
}

#[test]
fn vectors_alone_are_normalised() {
    let session = learner(mixed(), 3, json!({"normalize_observations": true}));
    let mut dice = Dice(1);
    play(&session, 2, |_| (mixed_record(1, [900.0, 0.0], [40.0 + dice.below(9) as f32, -7.0]), 1));
    let Some(AnyModel::Control(policy)) = session.model(Role::Policy) else { panic!("a policy") };
    let statistics = &policy.published().statistics;
    assert_eq!((statistics.count, statistics.means.len()), (512, 2));
    assert!((statistics.means[0] - 44.0).abs() < 1.0 && statistics.means[1] == -7.0, "{statistics:?}");
}

#[test]
fn a_session_saved_in_mid_episode_goes_on_the_same() {
    let first = learner(mixed(), 3, json!({"normalize_observations": true}));
    let turn = |session: &Arc<ControlSession>, episode: Episode| {
        let actor = Actor::create(session).unwrap();
        let slots: Vec<u32> = (0..256).collect();
        let record = |slot: &u32| mixed_record(slot % 3, [*slot as f32 / 99.0, 1.0], [1.0, *slot as f32]);
        let records: Vec<u8> = slots.iter().flat_map(record).collect();
        choices(&actor, &slots, &records, RECORDED);
        let finals = if episode == Episode::Truncated { records } else { Vec::new() };
        actor.observe(&slots, &[0.5; 256], &[episode; 256], &finals).unwrap();
    };
    turn(&first, Episode::Truncated);
    turn(&first, Episode::Running);
    let saved = first.export().unwrap();
    let second = learner(mixed(), 3, json!({"normalize_observations": true}));
    second.import(&saved).unwrap();
    let futures = [&first, &second].map(|session| {
        turn(session, Episode::Terminated);
        session.clone().update().unwrap().unwrap().run().unwrap();
        session.state_hash().unwrap()
    });
    assert_eq!(futures[0], futures[1]);
}

#[test]
fn the_fused_learner_refuses_what_it_cannot_learn() {
    for observations in [image(), set()] {
        let session = bare(json!({"learner": "fused"}));
        let network = json!({"model_type": "control", "observations": observations,
                             "actions": [{"type": "discrete", "name": "a", "choices": 2}]});
        let error = session.set_model(Role::Policy, policy(network.clone(), 0)).unwrap_err();
        assert!(error.status == Status::Config && error.message.contains("/algorithm/learner"), "{error}");
        for method in ["sac", "cloning"] {
            let mut network = network.clone();
            network["actions"] = json!([{"type": "continuous", "name": "a", "size": 1, "low": -1, "high": 1,
                                         "distribution": "squashed", "deviation": "state"}]);
            let error = bare(json!({"type": method})).set_model(Role::Policy, policy(network, 0)).unwrap_err();
            assert!(error.message.contains("/observations: expected vectors and masks"), "{method}: {error}");
        }
    }
}

/// Behind a core, acting and learning still see the same probabilities.
#[test]
fn images_and_sets_stand_before_a_memory_too() {
    let session = learner(mixed(), 3, json!({"core": {"type": "gru", "size": 16}, "value": "separate"}));
    let mut dice = Dice(9);
    play(&session, 1, |_| (mixed_record(dice.below(3) as u32, [0.5, -2.0], [dice.below(9) as f32, -7.0]), 1));
    let before: f64 = metric(&session, "policy/ratio_max_log");
    assert!(before.is_finite());
    let actor = Actor::create(&session).unwrap();
    let slots: Vec<u32> = (0..256).collect();
    let records: Vec<u8> =
        slots.iter().flat_map(|slot| mixed_record(slot % 3, [1.0, 2.0], [*slot as f32, 0.5])).collect();
    choices(&actor, &slots, &records, RECORDED);
    actor.observe(&slots, &[0.5; 256], &[Episode::Terminated; 256], &[]).unwrap();
    session.clone().update().unwrap().unwrap().run().unwrap();
    assert_eq!(metric(&session, "steps/trained"), 256.0);
}

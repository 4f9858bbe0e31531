//! Preferences of segments: what is pushed and refused, what is learned, what a policy is rewarded by, what is kept.

use crate::hosts::*;
use keel::data::{Batch, Column, Kind, Values};
use keel::error::Status;
use keel::model::control::RewardModel;
use keel::model::AnyModel;
use keel::session::control::{Actor, ControlSession};
use keel::session::{AnySession, Learner, Role};
use serde_json::{json, Value};
use std::path::PathBuf;
use std::sync::Arc;

/// A reward network of the cart's records.
fn network(more: Value) -> Value {
    let mut config = cart_config(json!({"model_type": "control_reward", "hidden": [16], "ensemble": 2}));
    more.as_object().unwrap().iter().for_each(|(key, value)| config[key] = value.clone());
    config
}

pub fn judging(more: Value) -> Arc<ControlSession> {
    let mut algorithm =
        json!({"type": "control_reward", "batch_size": 8, "epochs": 20, "optimizer": {"learning_rate": 3e-3}});
    more.as_object().unwrap().iter().for_each(|(key, value)| algorithm[key] = value.clone());
    let session = bare(algorithm);
    session.set_model(Role::Reward, policy(network(json!({"normalize_observations": true})), 3)).unwrap();
    session
}

/// Pairs of segments of one to four steps; the one with more pushes to the right is preferred.
pub fn pairs(count: usize, first: usize) -> Batch {
    let number = |pair: usize, place: usize| ((pair * 37 + place * 11) % 19) as f32 / 9.0 - 1.0;
    let mut columns: [Vec<Vec<f32>>; 4] = Default::default();
    for pair in first..first + count {
        let steps = pair % 4 + 1;
        let observations = |shift: usize| (0..4 * steps).map(|place| number(pair + shift, place)).collect::<Vec<f32>>();
        let pushed: Vec<f32> =
            (0..steps).map(|step| if step > 0 && (pair + step) % 3 == 0 { 0.0 } else { 1.0 }).collect();
        columns[0].push(observations(0));
        columns[1].push(pushed);
        columns[2].push(observations(7));
        columns[3].push(vec![0.0; steps]);
    }
    let mut batch = Batch::new(Kind::Preferences, count as u64).unwrap();
    let names = ["chosen_observation", "chosen_action", "rejected_observation", "rejected_action"];
    for (name, rows) in names.into_iter().zip(&columns) {
        batch.set(name, Column::ragged_f32(rows)).unwrap();
    }
    batch
}

/// Updates until there is nothing left to learn; how many there were.
fn learn(session: &Arc<ControlSession>) -> u64 {
    let mut updates = 0;
    while let Some(job) = session.clone().update().unwrap() {
        job.run().unwrap();
        updates += 1;
    }
    updates
}

fn value(session: &ControlSession, name: &str) -> f64 {
    let metrics: Value = serde_json::from_str(&session.metrics_json()).unwrap();
    metrics["values"][name].as_f64().unwrap_or(f64::NAN)
}

fn reward_model(session: &ControlSession) -> Arc<RewardModel> {
    let Some(AnyModel::Reward(model)) = session.model(Role::Reward) else { panic!("a reward model") };
    model
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("preferences").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn what_was_preferred_is_rewarded() {
    let session = judging(json!({}));
    assert_eq!(session.push(&pairs(24, 0)).unwrap(), 0);
    assert_eq!(session.push(&pairs(8, 24)).unwrap(), 24);
    let mut held_out = pairs(40, 100);
    held_out.set("split", Column::flat(Values::I32(vec![1; 40]))).unwrap();
    session.push(&held_out).unwrap();
    assert_eq!(learn(&session), 32 / 8 * 20, "each pair is used so often");
    let told = reward_model(&session).rewards(&[0.1, 0.2, -0.3, 0.4, 0.1, 0.2, -0.3, 0.4], &[1.0, 0.0]).unwrap();
    assert!(told[0] > told[1] + 0.5, "{told:?}");
    assert!(value(&session, "loss/preference") < 0.5 && value(&session, "gradient/norm") > 0.0);

    let job = session.clone().evaluate().unwrap().unwrap();
    job.run().unwrap();
    let beliefs = job.batch().unwrap();
    let beliefs = beliefs.column("probability").unwrap();
    assert_eq!(beliefs.values.len(), 40 * 2, "of each member for each row");
    assert!(beliefs.row_f32(3).iter().all(|belief| *belief > 0.5), "{:?}", beliefs.row_f32(3));
    assert!(value(&session, "evaluation/preference_accuracy") > 0.9);
    assert!(value(&session, "evaluation/reward_model_disagreement") > 0.0);
    session.clear().unwrap();
    assert!(session.clone().evaluate().unwrap().is_none() && session.clone().update().unwrap().is_none());
}

#[test]
fn what_is_no_pair_is_refused_and_changes_nothing() {
    let session = judging(json!({}));
    session.push(&pairs(4, 0)).unwrap();
    let before = session.state_hash().unwrap();
    let segment = |steps: usize, width: usize| Column::ragged_f32(&vec![vec![0.5f32; steps * width]; 2]);
    let cases: Vec<(&str, Column, Status, &str)> = vec![
        (
            "chosen_observation",
            Column::ragged_f32(&[vec![0.0; 4], vec![0.0; 5]]),
            Status::Shape,
            "steps of 4 numbers in row 1",
        ),
        ("rejected_observation", Column::ragged_f32(&[vec![], vec![0.0f32; 4]]), Status::Shape, "at least one, got 0"),
        ("chosen_action", Column::ragged_f32(&[[1.0f32, 1.0], [0.0, 0.0]]), Status::Shape, "expected 1 steps in row 0"),
        ("chosen_action", segment(1, 1), Status::Data, "expected an action in step 0 of row 0"),
        ("rejected_action", Column::ragged_f32(&[[1.0f32], [2.0]]), Status::Data, "step 0 of row 1"),
        ("margin", Column::flat(Values::F32(vec![0.0; 2])), Status::Data, "margin: this session"),
        ("weight", Column::flat(Values::F32(vec![1.0; 4])), Status::Shape, "weight: expected 1 number a row"),
        ("prompt", Column::texts(&["a", "b"]), Status::Data, "sessions of control networks read no such column"),
    ];
    for (name, column, status, part) in cases {
        let mut batch = pairs(2, 0);
        for (name, width) in [("chosen", 4), ("rejected", 4)] {
            batch.set(&format!("{name}_observation"), segment(1, width)).unwrap();
            batch.set(&format!("{name}_action"), Column::ragged_f32(&[[1.0f32], [0.0]])).unwrap();
        }
        batch.set(name, column).unwrap();
        let error = session.push(&batch).unwrap_err();
        assert!(error.status == status && error.message.contains(part), "{name}: {error}");
    }
    let error = session.push(&Batch::new(Kind::Preferences, 1).unwrap()).unwrap_err();
    assert!(error.message.starts_with("chosen_observation: required in a batch of preferences"), "{error}");
    assert!(session.push(&Batch::new(Kind::Demonstrations, 1).unwrap()).is_err());
    assert!(Actor::create(&session).err().unwrap().message.contains("trains a policy"));
    assert!(session.set_model(Role::Policy, policy(cart_config(json!({})), 0)).is_err());
    assert_eq!(session.state_hash().unwrap(), before);
    assert_eq!(session.push(&pairs(1, 9)).unwrap(), 4, "no id was used up");
}

#[test]
fn the_same_seed_learns_the_same_and_a_saved_session_goes_on_the_same() {
    let (first, second) = (judging(json!({"seed": 5})), judging(json!({"seed": 5})));
    for session in [&first, &second] {
        session.push(&pairs(20, 0)).unwrap();
    }
    let path = folder("judging").join("session.keel");
    (0..7).for_each(|_| _ = first.clone().update().unwrap().unwrap().run().unwrap());
    for _ in 0..7 {
        let job = second.clone().update().unwrap().unwrap();
        job.start().unwrap();
        job.wait(std::time::Duration::MAX).unwrap();
    }
    assert_eq!(first.state_hash().unwrap(), second.state_hash().unwrap());
    let other = judging(json!({"seed": 6}));
    other.push(&pairs(20, 0)).unwrap();
    (0..7).for_each(|_| _ = other.clone().update().unwrap().unwrap().run().unwrap());
    assert_ne!(first.state_hash().unwrap(), other.state_hash().unwrap());

    first.clone().save(path.clone()).unwrap().run().unwrap();
    let AnySession::Control(opened) = AnySession::open(&runtime(), &path).unwrap() else { panic!("a control session") };
    assert_eq!(opened.state_hash().unwrap(), first.state_hash().unwrap());
    assert_eq!((learn(&first), learn(&opened)), (53, 53), "20 passes of 3 steps, less 7");
    assert_eq!(opened.state_hash().unwrap(), first.state_hash().unwrap());
    second.import(&first.export().unwrap()).unwrap();
    assert_eq!(opened.state_hash().unwrap(), second.state_hash().unwrap());
    let bytes = first.export().unwrap();
    for length in [0, 100, bytes.len() - 1] {
        assert!(second.import(&bytes[..length]).is_err());
    }

    let model = reward_model(&first);
    let place = folder("model");
    model.save(&place).unwrap();
    let AnyModel::Reward(loaded) = AnyModel::load(&place, &keel::config::Load::default()).unwrap() else {
        panic!("kind")
    };
    let (observations, actions) = ([0.3f32, -1.0, 2.0, 0.0], [1.0f32]);
    assert_eq!(loaded.rewards(&observations, &actions).unwrap(), model.rewards(&observations, &actions).unwrap());
    assert_eq!(loaded.info()["config"], model.info()["config"]);
}

/// A policy's session that the model judges.
fn judged(algorithm: Value, model: &AnyModel) -> Arc<ControlSession> {
    let session = session(algorithm, cart_config(json!({"hidden": [16]})));
    session.set_model(Role::Reward, model.clone()).unwrap();
    session
}

#[test]
fn a_policy_is_rewarded_by_its_judge() {
    let teacher = judging(json!({}));
    teacher.push(&pairs(32, 0)).unwrap();
    learn(&teacher);
    let model = teacher.model(Role::Reward).unwrap();
    let small = json!({"rollout_steps": 64, "epochs": 2, "minibatches": 4, "learned_reward": "off"});
    let session = judged(small.clone(), &model);
    let actor = Actor::create(&session).unwrap();
    let mut carts = Carts::new(4);
    carts.learn(&session, &actor);
    let mean = value(&session, "reward/mean");
    assert!(mean.is_finite() && (mean - 1.0).abs() > 1e-3, "a cart's own reward is 1: {mean}");

    // what each choice is worth by the judge is what is learned: it pushes to the right ever more often
    let eager = judged(json!({"rollout_steps": 256, "optimizer": {"learning_rate": 3e-3}}), &model);
    let actor = Actor::create(&eager).unwrap();
    let mut carts = Carts::new(4);
    (0..12).for_each(|_| carts.learn(&eager, &actor));
    let pushes = act(&actor, &[100, 101], &[0.0, 0.0, 0.0, 0.0, 0.1, 0.3, 0.05, -0.2], GREEDY);
    assert_eq!(pushes, [1, 1]);
    assert!(value(&eager, "reward/mean").abs() < 1.0, "normalised");
    assert!(value(&eager, "episode/return") > 5.0, "episodes are told as the host rewards them");

    let mixed =
        json!({"rollout_steps": 64, "epochs": 2, "minibatches": 4, "learned_reward": "off", "host_reward_coef": 2.0});
    let mixed = judged(mixed, &model);
    let actor = Actor::create(&mixed).unwrap();
    Carts::new(4).learn(&mixed, &actor);
    assert!((value(&mixed, "reward/mean") - mean - 2.0).abs() < 1e-4, "{} {mean}", value(&mixed, "reward/mean"));
}

#[test]
fn a_judge_is_a_snapshot_that_can_be_replaced_and_is_kept_in_checkpoints() {
    let teacher = judging(json!({"epochs": 0}));
    teacher.push(&pairs(32, 0)).unwrap();
    let model = teacher.model(Role::Reward).unwrap();
    let small = || json!({"rollout_steps": 64, "epochs": 2, "minibatches": 4});
    let session = judged(small(), &model);
    let actor = Actor::create(&session).unwrap();
    let mut carts = Carts::new(4);
    carts.learn(&session, &actor);
    let bytes = session.export().unwrap();
    let path = folder("judged").join("session.keel");
    session.clone().save(path.clone()).unwrap().run().unwrap();
    (0..5).for_each(|_| _ = teacher.clone().update().unwrap().unwrap().run().unwrap());
    let later = carts.clone();
    let future = |session: &Arc<ControlSession>, actor: &Actor, mut carts: Carts| {
        (0..2).for_each(|_| carts.learn(session, actor));
        session.state_hash().unwrap()
    };
    let expected = future(&session, &actor, later.clone());

    let AnySession::Control(opened) = AnySession::open(&runtime(), &path).unwrap() else { panic!("a control session") };
    let heir = Actor::create(&opened).unwrap();
    assert_eq!(future(&opened, &heir, later.clone()), expected, "what the teacher learned since does not count");
    let plain = self::session(small(), cart_config(json!({"hidden": [16]})));
    plain.import(&bytes).unwrap();
    assert!(plain.model(Role::Reward).is_some());
    let heir = Actor::create(&plain).unwrap();
    assert_eq!(future(&plain, &heir, later.clone()), expected);
    plain.import(&bytes).unwrap();
    plain.set_model(Role::Reward, model.clone()).unwrap();
    assert_ne!(future(&plain, &heir, later), expected, "the newer one judges otherwise");

    let narrow = network(json!({"observations": [{"type": "vector", "name": "state", "size": 3}]}));
    let error = session.set_model(Role::Reward, policy(narrow, 0)).unwrap_err();
    assert!(error.status == Status::Shape && error.message.contains("the policy's observations"), "{error}");
    assert!(session.set_model(Role::Reference, model.clone()).is_err());
    let scaled = self::session(json!({"normalize_rewards": true}), cart_config(json!({})));
    assert!(scaled.set_model(Role::Reward, model.clone()).unwrap_err().message.contains("normalize_rewards"));
    assert!(bare(json!({})).set_model(Role::Reward, model).is_err(), "the policy comes first");
}

//! Ten updates of PPO with a reward and a value model against those of an independent implementation.

mod support;

use keel::config::Load;
use keel::data::{Batch, Column, Kind, Values};
use keel::model::Model;
use keel::session::{Role, Session};
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use support::*;
use tch::Tensor;

const ROWS: usize = 8;
const END: i64 = 2;

/// For each row, whether it is in the first half of the first epoch and of the second.
type Halves = [(bool, bool); ROWS];

fn halves(first: &[usize], second: &[usize]) -> Halves {
    std::array::from_fn(|row| (first[..ROWS / 2].contains(&row), second[..ROWS / 2].contains(&row)))
}

/// The order in which keel visits rows (session/buffer.rs).
fn visits(seed: u64, stream: u64) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream);
    let mut order: Vec<usize> = (0..ROWS).collect();
    for last in (1..ROWS).rev() {
        let chosen = (u128::from(random.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, chosen as usize);
    }
    order
}

fn own_halves(seed: u64, update: u64) -> Halves {
    halves(&visits(seed, 2 * update), &visits(seed, 2 * update + 1))
}

/// The peer's halves of an update.
fn peer_halves(rollouts: &BTreeMap<String, Tensor>, update: u64) -> Halves {
    let order = |epoch: u64| -> Vec<usize> {
        let order = Vec::<i64>::try_from(&rollouts[&format!("{update}.perm.{epoch}")]).unwrap();
        order.into_iter().map(|row| row as usize).collect()
    };
    halves(&order(0), &order(1))
}

fn counts(halves: &Halves) -> Vec<(bool, bool)> {
    let mut sorted = halves.to_vec();
    sorted.sort_unstable();
    sorted
}

/// A seed under which as many rows stay together in both epochs of every update as with the peer.
fn matching_seed(rollouts: &BTreeMap<String, Tensor>) -> u64 {
    let wanted: Vec<_> = (0..10).map(|update| counts(&peer_halves(rollouts, update))).collect();
    let fits = |seed: &u64| (0..10).all(|update| counts(&own_halves(*seed, update)) == wanted[update as usize]);
    (0..10_000_000).find(fits).expect("a seed")
}

/// The peer's row for each of keel's, so that both split an update into the same minibatches.
fn arrangement(rollouts: &BTreeMap<String, Tensor>, seed: u64, update: u64) -> Vec<i64> {
    let (own, peer) = (own_halves(seed, update), peer_halves(rollouts, update));
    let mut left: Vec<usize> = (0..ROWS).collect();
    let matched = |class: &(bool, bool)| {
        let place = left.iter().position(|row| peer[*row] == *class).unwrap();
        left.remove(place) as i64
    };
    own.iter().map(matched).collect()
}

fn tokens(padded: &Tensor, row: i64) -> Vec<i32> {
    let all = Vec::<i64>::try_from(padded.get(row)).unwrap();
    all.into_iter().filter(|token| *token != 0).map(|token| token as i32).collect()
}

fn recorded(rollouts: &BTreeMap<String, Tensor>, update: u64, order: &[i64]) -> Batch {
    let of = |name: &str| &rollouts[&format!("{update}.{name}")];
    let rows = |name: &str| order.iter().map(|row| tokens(of(name), *row)).collect::<Vec<_>>();
    let responses = rows("responses");
    let mut batch = batch(Kind::Rollouts, &[("prompt", rows("queries")), ("response", responses.clone())]);
    let reasons = responses.iter().map(|response| if response.contains(&(END as i32)) { 1 } else { 3 }).collect();
    batch.set("finish_reason", Column { values: Values::I32(reasons), offsets: None }).unwrap();
    let offsets = batch.column("response").unwrap().offsets.clone();
    let unknown = vec![0f32; responses.iter().map(Vec::len).sum()];
    batch.set("rollout_log_probs", Column { values: Values::F32(unknown), offsets }).unwrap();
    batch
}

fn largest_difference(model: &Model, prefix: &str, expected: &BTreeMap<String, Tensor>) -> f64 {
    let weights = model.weights();
    let data = weights.data();
    let of = |(name, expected): (&String, &Tensor)| {
        let slot = weights.layout.find(name.strip_prefix(prefix)?).unwrap();
        Some((weights.layout.view(&data, slot) - expected).abs().max().double_value(&[]))
    };
    let differences: Vec<f64> = expected.iter().filter_map(of).collect();
    assert_eq!(differences.len(), weights.layout.slots.len());
    differences.into_iter().fold(0.0, f64::max)
}

#[test]
fn ppo_follows_the_reference_trajectory() {
    let rollouts = tensors("train/ppo/rollouts.safetensors");
    let record: Value = json("train/ppo/run.json");
    let seed = matching_seed(&rollouts);
    let text = format!(
        r#"{{"algorithm": {{"type": "ppo", "epochs": 2, "minibatches": 2, "missing_eos_penalty": 1.0, "max_length": 20,
                            "reward_position": "after_last"}},
             "optimizer": {{"learning_rate": 5e-4, "max_grad_norm": 0.0, "schedule_unit": "update",
                            "schedule": {{"type": "linear", "total_steps": 10}}}},
             "seed": {seed}, "threads": 1}}"#
    );
    let load = |path: &str| Arc::new(Model::load(&golden(path), &Load::default()).unwrap());
    let (policy, value) = (load("models/llama"), load("extras/reward_llama"));
    let session = Session::create(&runtime(), config(&text)).unwrap();
    session.set_model(Role::Reward, load("extras/reward_llama")).unwrap();
    session.set_model(Role::Value, value.clone()).unwrap();
    session.set_model(Role::Policy, policy.clone()).unwrap();
    let mut worst = 0f64;
    let updates = record["updates"].as_array().unwrap();
    assert_eq!(updates.len(), 10);
    for (update, expected) in (0..).zip(updates) {
        session.push(&recorded(&rollouts, update, &arrangement(&rollouts, seed, update))).unwrap();
        step(&session).unwrap();
        let expected = |name: &str| expected[name].as_f64().unwrap();
        let shaped = expected("objective/scores") - 0.05 * expected("objective/kl");
        for (name, expected) in [
            ("kl/sequence", expected("objective/kl")),
            ("reward/shaped", shaped),
            ("loss/policy", expected("loss/policy_avg")),
            ("loss/value", expected("loss/value_avg")),
            ("policy/clip_fraction", expected("policy/clipfrac_avg")),
            ("value/clip_fraction", expected("val/clipfrac_avg")),
        ] {
            let difference = (metric(&session, name) - expected).abs();
            worst = worst.max(difference);
        }
    }
    let expected = tensors("train/ppo/final.safetensors");
    let (of_policy, of_value) =
        (largest_difference(&policy, "policy.", &expected), largest_difference(&value, "value_model.", &expected));
    println!("ppo: metrics {worst:.1e}, policy {of_policy:.1e}, value model {of_value:.1e}");
    assert!(worst < 1e-4 && of_policy < 1e-4 && of_value < 1e-4, "{worst} {of_policy} {of_value}");
}

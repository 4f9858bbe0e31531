//! What changes no step of any method: how its rows are split, ordered and pushed, and tokens that do not count; and from
//! where each starts.

#[macro_use]
mod methods;
mod support;

use keel::data::{Batch, Column, Kind, Values};
use keel::session::{Role, Session};
use methods::Toy;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use support::*;
use tch::Tensor;

macro_rules! invariant {
    ($kind:ident: $($name:ident = $settings:expr;)+) => {
        $(
            #[test]
            fn $name() {
                let toy = in_order(methods::$kind($settings));
                starts_at_its_reference_and_its_sampler(&toy);
                takes_the_same_steps(&toy);
            }
        )+
    };
}

methods!(invariant);

/// The toy without chance or ties, and with a reference where the method may have one.
fn in_order(mut toy: Toy) -> Toy {
    let method = toy.algorithm["type"].as_str().unwrap().to_string();
    if toy.rows.kind() != Kind::Rollouts {
        toy.algorithm["shuffle"] = json!(false);
        return toy;
    }
    match method.as_str() {
        "grpo" | "reinforce" => toy.algorithm["kl_coef"] = json!(0.1),
        "best_of_n" => toy.algorithm["minibatches"] = json!(1),
        _ => {}
    }
    let rewards = even_tokens(&toy.rows).into_iter().zip(0u8..).map(|(reward, row)| reward + f32::from(row) * 1e-3);
    let rewards = Column::flat(Values::F32(rewards.collect()));
    toy.rows.set("reward", rewards).unwrap();
    toy
}

/// Every number that the last update measured.
type Numbers = BTreeMap<String, f64>;

fn numbers(session: &Session) -> Numbers {
    let metrics: Value = serde_json::from_str(&session.metrics_json()).unwrap();
    serde_json::from_value(metrics["values"].clone()).unwrap()
}

fn starts_at_its_reference_and_its_sampler(toy: &Toy) {
    let mut toy = toy.clone();
    let olds: &[&str] = match toy.algorithm["type"].as_str().unwrap() {
        "grpo" | "reinforce" if toy.algorithm.get("importance").is_some() => &["recompute"],
        "ppo" | "grpo" | "reinforce" => &["recompute", "recorded"],
        _ => &[""],
    };
    if toy.rows.kind() == Kind::Rollouts {
        toy.algorithm["epochs"] = json!(1);
    }
    for old in olds {
        if !old.is_empty() {
            toy.algorithm["old_log_probs"] = json!(old);
        }
        let session = toy.session(json!({}));
        session.push(&toy.rows).unwrap();
        step(&session).unwrap();
        let (found, rounding) = (numbers(&session), if *old == "recorded" { 1e-4 } else { 0.0 });
        let zero = |name: &str| found.get(name).map(|value| assert!(value.abs() <= rounding, "{old} {name}: {value}"));
        let ratio = zero("policy/ratio_max_log");
        assert_eq!(ratio.is_some(), !old.is_empty(), "a ratio where there are old log-probabilities");
        assert!(found.get("rollout/log_prob_drift").is_none_or(|drift| *drift < 1e-5));
        if session.model(Role::Reference).is_some() {
            let divergences = ["kl/sequence", "kl/token", "preference/margin", "feedback/gain"].map(zero);
            assert!(divergences.iter().any(Option::is_some), "no divergence in {found:?}");
        }
    }
}

/// What some updates measured, and how far they moved the parameters.
type Steps = (Vec<Numbers>, Tensor);

/// Two optimiser steps on all rows of some pushes.
fn steps(toy: &Toy, micro_batch_tokens: u32, pushes: &[Batch]) -> Steps {
    // with such an epsilon parameters move by g / (|g| + 1), so that they show their gradients
    let optimizer = json!({ "learning_rate": 0.1, "epsilon": 1.0 });
    let session = toy.session(json!({ "optimizer": optimizer, "micro_batch_tokens": micro_batch_tokens }));
    if session.model(Role::Reference).is_some() {
        session.set_model(Role::Reference, tiny_model(9)).unwrap();
    }
    let weights = || session.model(toy.trains.0).unwrap().weights().data().copy();
    let before = weights();
    for rows in pushes {
        session.push(rows).unwrap();
    }
    let updates = if toy.rows.kind() == Kind::Rollouts { 1 } else { 2 };
    let update = |_| {
        step(&session).unwrap();
        numbers(&session)
    };
    ((0..updates).map(update).collect(), weights() - before)
}

fn takes_the_same_steps(toy: &Toy) {
    let mut toy = toy.clone();
    if toy.rows.kind() == Kind::Rollouts {
        toy.algorithm["epochs"] = json!(2);
    }
    let (count, half) = (toy.rows.rows() as usize, toy.rows.rows() as usize / 2);
    let rows = |range: Range<usize>| picked(&toy.rows, &range.map(|row| row % count).collect::<Vec<_>>());
    let all = [rows(0..count)];
    let whole = steps(&toy, 0, &all);
    assert!(whole.1.abs().max().double_value(&[]) > 1e-3, "nothing moved");
    same("one sequence at a time", &whole, &steps(&toy, 1, &all));
    same("a few sequences at a time", &whole, &steps(&toy, 30, &all));
    if toy.algorithm.get("embedding_noise").is_some() {
        return; // a row's noise is that of its place
    }
    same("rows in another order", &whole, &steps(&toy, 0, &[rows(3..count + 3)]));
    same("groups pushed in another order", &whole, &steps(&toy, 0, &[rows(half..count), rows(0..half)]));
    let masks = [Kind::Demonstrations, Kind::Rollouts, Kind::Feedback].contains(&toy.rows.kind());
    if masks && toy.algorithm["reward_position"] != "after_last" {
        same("a token more that does not count", &whole, &steps(&toy, 0, &[lengthened(&toy.rows)]));
    }
}

fn same(what: &str, (numbers, moved): &Steps, (other_numbers, other_moved): &Steps) {
    for (numbers, others) in numbers.iter().zip(other_numbers) {
        assert!(numbers.keys().eq(others.keys()), "{what}: {numbers:?} {others:?}");
        for (name, value) in numbers {
            let difference = (value - others[name]).abs();
            assert!(difference <= 1e-4 * value.abs().max(0.1), "{what}: {name}: {value} {}", others[name]);
        }
    }
    let largest = |x: &Tensor| x.abs().max().double_value(&[]);
    let (difference, distance) = (largest(&(moved - other_moved)), largest(moved));
    assert!(difference <= 1e-4 * distance, "{what}: parameters that moved by {distance} differ by {difference}");
}

/// The same rows, each response with a token behind it that does not count.
fn lengthened(rows: &Batch) -> Batch {
    let mut longer = without(rows, "response_mask");
    let response = rows.column("response").unwrap();
    let every = 0..rows.rows() as usize;
    let tokens = every.clone().map(|row| [response.row_i32(row), &[7]].concat()).collect::<Vec<_>>();
    longer.set("response", Column::ragged_i32(&tokens)).unwrap();
    let counts = |row: usize| match rows.column("response_mask") {
        Some(mask) => mask.row_u8(row).to_vec(),
        None => vec![1; response.row_i32(row).len()],
    };
    let flags = every.clone().map(|row| [counts(row), vec![0]].concat()).collect::<Vec<_>>();
    longer.set("response_mask", Column::ragged_u8(&flags)).unwrap();
    for name in ["rollout_log_probs", "step_labels"] {
        if let Some(column) = rows.column(name) {
            let numbers = every.clone().map(|row| [column.row_f32(row), &[1.0]].concat()).collect::<Vec<_>>();
            longer.set(name, Column::ragged_f32(&numbers)).unwrap();
        }
    }
    longer
}

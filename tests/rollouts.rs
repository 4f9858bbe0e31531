//! Methods on the policy's own rewarded rollouts: each learns its toy, waits for what it needs, leaves out what it should.

mod support;

use keel::data::{Batch, Column, Values};
use keel::error::Status;
use keel::session::{Session, State};
use std::sync::Arc;
use support::*;

fn settings(algorithm: &str) -> String {
    format!(r#"{{"algorithm": {{{algorithm}}}, "optimizer": {{"learning_rate": 0.003}}, "threads": 1}}"#)
}

fn numbers(values: Vec<f32>) -> Column {
    Column { values: Values::F32(values), offsets: None }
}

#[test]
fn the_first_step_starts_from_the_sampler_and_the_reference() {
    for kl_in in ["reward", "loss"] {
        let text = settings(&format!(r#""type": "reinforce", "kl_coef": 0.1, "kl_in": "{kl_in}""#));
        let session = session(&text, &tiny_model(1));
        session.push(&rollouts(&session, 6, 0)).unwrap();
        step(&session).unwrap();
        assert_eq!((metric(&session, "policy/ratio_max_log"), metric(&session, "kl/sequence")), (0.0, 0.0));
    }
    let session = session(&settings(r#""type": "online_dpo""#), &tiny_model(1));
    session.push(&rollouts_in_groups(&session, 6, 0)).unwrap();
    step(&session).unwrap();
    assert_eq!(metric(&session, "preference/margin"), 0.0);
    assert!((metric(&session, "loss/preference") - std::f64::consts::LN_2).abs() < 1e-6);
}

#[test]
fn memory_settings_and_the_order_of_rows_change_nothing_beyond_rounding() {
    let methods = [
        r#""type": "reinforce", "kl_coef": 0.05, "discount": 0.9"#,
        r#""type": "reinforce", "baseline": "group", "kl_in": "loss", "importance": {"type": "sequence_mask"}"#,
        r#""type": "grpo", "entropy_quantile": 0.3, "importance": {"type": "token_mask", "low": 0.5}"#,
        r#""type": "grpo", "objective": "geometric", "baseline": "length_weighted", "equal_groups": "drop""#,
        r#""type": "online_dpo""#,
        r#""type": "best_of_n", "keep": 2"#,
    ];
    for method in methods {
        let after = |memory: &str, reversed: bool| {
            let policy = tiny_model(1);
            let session = session(&settings(method).replace("\"threads\"", &format!("{memory}\"threads\"")), &policy);
            let mut sampled = rollouts_in_groups(&session, 5, 0);
            let distinct = (0u8..).zip(even_tokens(&sampled)).map(|(row, reward)| reward + f32::from(row) * 1e-3);
            sampled.set("reward", numbers(distinct.collect())).unwrap();
            session.push(&if reversed { backwards(&sampled) } else { sampled }).unwrap();
            step(&session).unwrap();
            let names = ["loss/total", "gradient/norm", "reward/mean"];
            (names.map(|name| metric(&session, name)), policy.weights().data().copy())
        };
        let (whole, parameters) = after("", false);
        for (memory, reversed) in [("\"micro_batch_tokens\": 30, ", false), ("", true)] {
            let (other, other_parameters) = after(memory, reversed);
            for (left, right) in whole.iter().zip(&other) {
                assert!((left - right).abs() <= 1e-5 * left.abs().max(1.0), "{method}: {whole:?} {other:?}");
            }
            assert!((&parameters - other_parameters).abs().max().double_value(&[]) < 1e-4, "{method} {reversed}");
        }
    }
}

const DROPPING: &str = r#""type": "grpo", "equal_groups": "drop", "min_groups": 2"#;

/// One group of these rewards.
fn group(session: &Arc<Session>, rewards: [f32; 4]) -> Batch {
    let mut sampled = rollouts_in_groups(session, 1, 0);
    sampled.set("reward", numbers(rewards.to_vec())).unwrap();
    sampled
}

#[test]
fn groups_without_signal_are_dropped_and_the_update_waits_for_others() {
    let session = session(&settings(DROPPING), &tiny_model(1));
    session.push(&group(&session, [1.0, 0.0, 0.0, 0.0])).unwrap();
    session.push(&group(&session, [1.0; 4])).unwrap();
    assert!(session.update().unwrap().is_none(), "one group has a signal");
    session.push(&group(&session, [0.0, 0.0, 2.0, 0.0])).unwrap();
    step(&session).unwrap();
    assert_eq!((metric(&session, "group/equal_dropped"), metric(&session, "group/equal_fraction")), (1.0, 0.0));
    assert_eq!(metric(&session, "reward/mean"), 3.0 / 8.0);
    assert!(session.update().unwrap().is_none());
    session.push(&group(&session, [0.0, 1.0, 0.0, 0.0])).unwrap();
    assert!(session.update().unwrap().is_none(), "the equal group went with the update");
}

#[test]
fn rewards_from_a_callback_are_held_against_the_same_rule() {
    let session = session(&settings(DROPPING), &tiny_model(1));
    let bare = |seed| {
        let sampled = rollouts_in_groups(&session, 2, seed);
        without(&sampled, "reward")
    };
    session.set_reward_callback(Some(Arc::new(|_: Batch, _, rewards: &mut [f32]| {
        rewards.fill(1.0);
        rewards[0] = 0.0;
        Ok(())
    })));
    session.push(&bare(0)).unwrap();
    let before = (session.config_json(), session.metrics_json());
    let report = step(&session).unwrap();
    assert_eq!((report.state, report.optimizer_steps), (State::NeedsData, 0));
    assert_eq!((session.config_json(), session.metrics_json()), before, "it was no update");
    assert!(session.update().unwrap().is_none(), "the rewards are known now, and a group is lacking");
    session.push(&bare(1)).unwrap();
    step(&session).unwrap();
    assert_eq!((metric(&session, "group/equal_dropped"), metric(&session, "reward/mean")), (2.0, 0.75));
}

#[test]
fn stale_rollouts_are_dropped_and_counted() {
    let text = r#""type": "reinforce", "max_staleness": 1, "kl_coef": 0"#;
    let session = session(&settings(text), &tiny_model(1));
    let old = rollouts(&session, 4, 0);
    for expected in [0.0, 0.0] {
        session.push(&rollouts(&session, 4, 1)).unwrap();
        step(&session).unwrap();
        assert_eq!(metric(&session, "rollout/stale_dropped"), expected);
    }
    session.push(&old).unwrap();
    assert!(session.update().unwrap().is_none(), "nothing is left");
    session.push(&rollouts(&session, 4, 2)).unwrap();
    step(&session).unwrap();
    assert_eq!(metric(&session, "rollout/stale_dropped"), 4.0);
    assert!(session.update().unwrap().is_none(), "the stale went with the update");
}

#[test]
fn rollouts_that_are_too_old_are_gone_and_keep_no_others_waiting() {
    let session = session(&settings(r#""type": "reinforce", "max_staleness": 0, "kl_coef": 0"#), &tiny_model(1));
    let old = without(&rollouts(&session, 4, 0), "reward");
    session.push(&rollouts(&session, 4, 1)).unwrap();
    step(&session).unwrap();
    let first = session.push(&old).unwrap();
    session.push(&rollouts(&session, 4, 2)).unwrap();
    step(&session).unwrap();
    assert_eq!(metric(&session, "rollout/stale_dropped"), 4.0, "nobody waited for their rewards");
    let second = session.push(&old).unwrap();
    assert!(session.update().unwrap().is_none());
    for id in [first, second] {
        let error = session.reward(&[id], &[1.0]).unwrap_err();
        assert!(error.message.starts_with("ids: expected rows that wait"), "{error}");
    }
}

#[test]
fn best_of_n_makes_no_step_on_what_it_does_not_learn() {
    let text = r#""type": "best_of_n", "min_reward": 0.9, "minibatches": 8"#;
    let session = session(&settings(text), &tiny_model(1));
    let mut sampled = rollouts_in_groups(&session, 2, 0);
    sampled.set("reward", numbers(vec![0.0, 0.5, 0.95, 1.0, 0.8, 0.0, 0.1, 0.0])).unwrap();
    session.push(&sampled).unwrap();
    assert_eq!(step(&session).unwrap().optimizer_steps, 1);
    assert_eq!((metric(&session, "group/kept_fraction"), metric(&session, "reward/kept")), (0.125, 1.0));
    sampled.set("reward", numbers(vec![0.5; 8])).unwrap();
    session.push(&sampled).unwrap();
    assert_eq!(step(&session).unwrap().optimizer_steps, 0);
    assert!(!session.metrics_json().contains("reward/kept"), "none was kept");
}

#[test]
fn a_greedy_baseline_is_required_where_it_is_read_and_refused_elsewhere() {
    let with = session(&settings(r#""type": "reinforce", "baseline": "greedy""#), &tiny_model(1));
    let without = session(&settings(r#""type": "reinforce""#), &tiny_model(1));
    let mut sampled = rollouts(&with, 3, 0);
    let error = with.push(&sampled).unwrap_err();
    let expected = "baseline: the column is missing, and this session's algorithm reads it";
    assert_eq!((error.status, error.message.as_str()), (Status::Data, expected));
    sampled.set("baseline", numbers(vec![0.25; 3])).unwrap();
    with.push(&sampled).unwrap();
    let error = without.push(&sampled).unwrap_err();
    assert_eq!(error.message, "baseline: this session's algorithm reads no such column");
}

#[test]
fn several_rewards_are_weighed_or_normalised_each() {
    let sampled = |session: &Arc<Session>, scale: f32| {
        let mut sampled = rollouts_in_groups(session, 4, 0);
        let evens = even_tokens(&sampled);
        let response = sampled.column("response").unwrap();
        let low = |row| response.row_i32(row).iter().filter(|token| **token < 12).count() as f32 * scale;
        let rewards = evens.iter().enumerate().flat_map(|(row, even)| [*even, low(row)]).collect();
        sampled.set("reward", numbers(rewards)).unwrap();
        sampled
    };
    let loss_norm = |method: &str, scale: f32| {
        let session = session(&settings(&format!(r#"{method}, "reward_weights": [1.0, 0.5]"#)), &tiny_model(1));
        session.push(&sampled(&session, scale)).unwrap();
        step(&session).unwrap();
        metric(&session, "gradient/norm")
    };
    for method in [r#""type": "reinforce""#, r#""type": "ppo""#, r#""type": "online_dpo""#, r#""type": "best_of_n""#] {
        assert!(loss_norm(method, 1.0) > 0.0, "{method}");
    }
    let each = r#""type": "grpo", "multi_reward": "normalize_each""#;
    let (small, large) = (loss_norm(each, 1.0), loss_norm(each, 100.0));
    assert!((small - large).abs() < 1e-2 * small, "the spread of one reward changes nothing: {small} {large}");
    let spread = |scale: f32| {
        let session = session(&settings(r#""type": "grpo", "reward_weights": [1.0, 0.5]"#), &tiny_model(1));
        session.push(&sampled(&session, scale)).unwrap();
        step(&session).unwrap();
        metric(&session, "group/reward_std")
    };
    assert!(spread(100.0) > 50.0 * spread(0.01), "a sum is led by the larger");
    let single = session(&settings(r#""type": "grpo""#), &tiny_model(1));
    let message = single.push(&sampled(&single, 1.0)).unwrap_err().message;
    assert_eq!(message, "reward: expected 1 numbers a row, got 2");
}

#[test]
fn rollouts_of_another_sampler_weigh_what_they_should() {
    let weighed = |importance: &str, shift: f32| {
        let text = format!(r#""type": "reinforce", "kl_coef": 0, "importance": {importance}"#);
        let session = session(&settings(&text), &tiny_model(1));
        let mut sampled = rollouts(&session, 32, 0);
        let column = sampled.column("rollout_log_probs").unwrap().clone();
        let Values::F32(log_probs) = &column.values else { unreachable!() };
        let shifted = log_probs.iter().map(|log_prob| log_prob - shift).collect();
        sampled.set("rollout_log_probs", Column { values: Values::F32(shifted), ..column.clone() }).unwrap();
        session.push(&sampled).unwrap();
        step(&session).unwrap();
        let names = ["importance/mean", "importance/within_short", "importance/within_long", "gradient/norm"];
        names.map(|name| metric(&session, name))
    };
    let near = |found: f64, expected: f64| (found - expected).abs() < 1e-4;
    let [mean, short, long, norm] = weighed(r#"{"type": "token_truncate", "high": 2}"#, 0.5);
    assert!(near(mean, 0.5f64.exp()) && near(short, 1.0) && near(long, 1.0), "{mean} {short} {long}");
    let [mean, short, long, _] = weighed(r#"{"type": "token_truncate", "high": 2}"#, 1.0);
    assert!(near(mean, 2.0) && near(short, 0.0) && near(long, 0.0), "{mean} {short} {long}");
    let [_, _, _, none] = weighed(r#"{"type": "token_mask", "high": 2}"#, 1.0);
    assert!(norm > 0.0 && none == 0.0, "{norm} {none}");
    let [mean, short, ..] = weighed(r#"{"type": "sequence_mean_mask", "high": 2}"#, 0.5);
    assert!(near(mean, 0.5f64.exp()) && near(short, 1.0), "{mean} {short}");
    let [_, _, long, _] = weighed(r#"{"type": "sequence_mask", "high": 20}"#, 0.5);
    assert!(near(long, 0.0), "eight tokens of e^0.5 are e^4: {long}");
}

#[test]
fn a_blamed_response_far_from_its_sampler_teaches_nothing() {
    let norm = |threshold: &str, shift: f32| {
        let text = format!(r#""type": "grpo", "off_policy_mask_threshold": {threshold}"#);
        let session = session(&settings(&text), &tiny_model(1));
        let mut sampled = group(&session, [1.0, 0.0, 0.0, 0.0]);
        let column = sampled.column("rollout_log_probs").unwrap().clone();
        let Values::F32(log_probs) = &column.values else { unreachable!() };
        let shifted = log_probs.iter().map(|log_prob| log_prob + shift).collect();
        sampled.set("rollout_log_probs", Column { values: Values::F32(shifted), ..column.clone() }).unwrap();
        session.push(&sampled).unwrap();
        step(&session).unwrap();
        metric(&session, "loss/policy")
    };
    assert!(norm("null", 0.5).abs() < 1e-6 && norm("0.6", 0.5).abs() < 1e-6);
    assert!(norm("0.4", 0.5) < -0.1, "only the praised one is left");
}

#[test]
fn settings_out_of_their_ranges_are_refused_where_they_stand() {
    let refusals = [
        (r#""type": "reinforce", "reward_weights": []"#, "/algorithm/reward_weights: "),
        (r#""type": "reinforce", "reward_weights": [1, "2"]"#, "/algorithm/reward_weights/1: "),
        (r#""type": "reinforce", "baseline": "best""#, "/algorithm/baseline: "),
        (r#""type": "reinforce", "importance": {"type": "tokens"}"#, "/algorithm/importance/type: "),
        (r#""type": "grpo", "importance": {"type": "token_mask", "high": 0.5}"#, "/algorithm/importance/high: "),
        (r#""type": "grpo", "importance": {"kind": "token_mask"}"#, "/algorithm/importance/kind: unknown key"),
        (r#""type": "grpo", "entropy_quantile": 0"#, "/algorithm/entropy_quantile: "),
        (r#""type": "grpo", "min_groups": 0"#, "/algorithm/min_groups: "),
        (r#""type": "ppo", "max_staleness": -1"#, "/algorithm/max_staleness: "),
        (r#""type": "online_dpo", "minibatches": 2"#, "/algorithm/minibatches: unknown key"),
        (r#""type": "best_of_n", "keep": 0"#, "/algorithm/keep: "),
    ];
    for (algorithm, expected) in refusals {
        let error = keel::config::parse::<keel::session::Config>(Some(settings(algorithm).as_bytes())).unwrap_err();
        assert_eq!(error.status, Status::Config);
        assert!(error.message.starts_with(expected), "{algorithm}: {}", error.message);
    }
}

#[test]
fn rollouts_with_logits_are_learned_from_like_those_without() {
    let learned = |logits: bool| {
        let session = session(&settings(r#""type": "reinforce""#), &tiny_model(1));
        let generate = keel::config::Generate { max_new_tokens: 8, samples: 2, logits, ..Default::default() };
        let asked = batch(keel::data::Kind::Prompts, &[("prompt", prompts(3))]);
        let job = session.generate(&asked, generate).unwrap();
        job.run().unwrap();
        let mut sampled = job.batch().unwrap();
        assert_eq!(sampled.column("logits").is_some(), logits);
        if let Some(column) = sampled.column("logits") {
            let ends = sampled.column("response").unwrap().offsets.as_ref().unwrap();
            assert_eq!(column.offsets, Some(ends.iter().map(|end| end * 24).collect()));
            assert_eq!(sampled.shape("logits"), [ends[6] as i64, 24]);
        }
        sampled.set("reward", numbers(even_tokens(&sampled))).unwrap();
        session.push(&sampled).unwrap();
        step(&session).unwrap();
        session.state_hash().unwrap()
    };
    assert_eq!(learned(true), learned(false));
}

#[test]
fn rollouts_beyond_the_queue_are_refused_whole_and_counted() {
    let text = r#"{"algorithm": {"type": "reinforce"}, "threads": 1, "queue_capacity": 6}"#;
    let session = session(text, &tiny_model(1));
    let refused = || {
        let metrics: serde_json::Value = serde_json::from_str(&session.metrics_json()).unwrap();
        metrics["refused"]["rows"].as_u64().unwrap()
    };
    session.push(&rollouts(&session, 4, 0)).unwrap();
    let before = session.state_hash().unwrap();
    let error = session.push(&rollouts(&session, 3, 1)).unwrap_err();
    let message = "rows: expected 6 at most, got 3 on top of 4; update or clear first";
    assert_eq!((error.status, error.message.as_str()), (Status::Full, message));
    assert_eq!((session.state_hash().unwrap(), refused()), (before, 3));
    step(&session).unwrap();
    assert_eq!(session.push(&rollouts(&session, 6, 1)).unwrap(), 4, "no id was lost");
}

#[test]
fn rollouts_that_waited_through_a_restore_are_not_stale() {
    let text = settings(r#""type": "reinforce", "max_staleness": 0"#);
    let session = session(&text, &tiny_model(1));
    session.push(&rollouts(&session, 4, 0)).unwrap();
    let saved = session.export().unwrap();
    session.import(&saved).unwrap();
    step(&session).unwrap();
    assert_eq!(metric(&session, "rollout/stale_dropped"), 0.0);
}

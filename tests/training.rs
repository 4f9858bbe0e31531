//! What must never change a number in training, and what an update does with its rows.

mod support;

use keel::data::{Column, Kind, Values};
use keel::error::Status;
use keel::session::{Job, Role, Session, State};
use std::sync::Arc;
use std::time::Duration;
use support::*;
use tch::Tensor;

const PPO: &str = r#"{"algorithm": {"type": "ppo", "epochs": 2, "minibatches": 2}, "optimizer": {"learning_rate": 0.01},
                      "seed": 3, "threads": 1}"#;

#[test]
fn first_ppo_minibatch_has_ratio_one_and_kl_zero_at_every_temperature() {
    for temperature in [0.5, 0.7, 1.0, 1.3] {
        for old in ["recompute", "recorded"] {
            let text = format!(
                r#"{{"algorithm": {{"type": "ppo", "temperature": {temperature}, "old_log_probs": "{old}"}}, "threads": 1}}"#
            );
            let session = session(&text, &tiny_model(1));
            session.push(&rollouts(&session, 9, 5)).unwrap();
            step(&session).unwrap();
            let (ratio, kl) = (metric(&session, "policy/ratio_max_log"), metric(&session, "kl/sequence"));
            let drift = metric(&session, "rollout/log_prob_drift");
            assert!(drift < 1e-5, "temperature {temperature}: the sampler's log-probabilities differ by {drift}");
            if old == "recompute" {
                assert_eq!((ratio, kl), (0.0, 0.0), "temperature {temperature}");
            } else {
                assert!(ratio < 1e-5 && kl.abs() < 1e-4, "temperature {temperature}: {ratio} {kl}");
            }
        }
    }
}

/// The session after three PPO updates on its own rollouts.
fn trained(text: &str, drive: impl Fn(&Arc<Job>)) -> u64 {
    let session = session(text, &tiny_model(1));
    for update in 0..3 {
        session.push(&rollouts(&session, 8, update)).unwrap();
        drive(&session.update().unwrap().unwrap());
    }
    session.state_hash().unwrap()
}

fn run(job: &Arc<Job>) {
    assert_eq!(job.run().unwrap().state, State::Done);
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_does_not() {
    assert_eq!(trained(PPO, run), trained(PPO, run));
    assert_ne!(trained(PPO, run), trained(&PPO.replace("\"seed\": 3", "\"seed\": 4"), run));
}

#[test]
fn run_and_pump_give_the_same_bits() {
    let pump = |job: &Arc<Job>| {
        while job.pump(Duration::from_micros(1)).unwrap().state == State::Pending {}
    };
    assert_eq!(trained(PPO, run), trained(PPO, pump));
}

#[test]
fn a_started_job_gives_the_same_bits_and_publishes_only_in_the_hosts_call() {
    let session = session(PPO, &tiny_model(1));
    for update in 0..3 {
        session.push(&rollouts(&session, 8, update)).unwrap();
        let version = session.model(Role::Policy).unwrap().weights().version;
        let job = session.update().unwrap().unwrap();
        job.start().unwrap();
        while job.wait(Duration::from_millis(5)).unwrap().state == State::Pending {
            assert_eq!(session.model(Role::Policy).unwrap().weights().version, version);
        }
        assert_eq!(session.model(Role::Policy).unwrap().weights().version, version + 1);
    }
    assert_eq!(session.state_hash().unwrap(), trained(PPO, run));
}

/// Metrics of one update on the same rollouts under other settings of memory.
fn losses(micro_batch_tokens: u32) -> (Vec<f64>, Tensor) {
    let policy = tiny_model(1);
    let text = PPO.replace("\"seed\": 3", &format!("\"seed\": 3, \"micro_batch_tokens\": {micro_batch_tokens}"));
    let session = session(&text, &policy);
    session.push(&rollouts(&session, 12, 0)).unwrap();
    step(&session).unwrap();
    let names = ["loss/policy", "loss/value", "gradient/norm", "kl/sequence", "entropy/token"];
    (names.map(|name| metric(&session, name)).to_vec(), policy.weights().data())
}

#[test]
fn micro_batches_change_nothing_beyond_rounding() {
    let (whole, parameters) = losses(0);
    for tokens in [1, 30, 100] {
        let (split, split_parameters) = losses(tokens);
        for (left, right) in whole.iter().zip(&split) {
            assert!((left - right).abs() <= 1e-6 * left.abs().max(1.0), "{tokens}: {whole:?} {split:?}");
        }
        let difference = (&parameters - split_parameters).abs().max().double_value(&[]);
        assert!(difference < 1e-4, "{tokens} tokens a micro-batch move the parameters by {difference}");
    }
}

#[test]
fn a_loss_that_is_not_finite_is_not_applied() {
    let session = session(PPO, &tiny_model(1));
    let mut batch = rollouts(&session, 4, 0);
    batch.set("reward", Column { values: Values::F32(vec![3e38; 4]), offsets: None }).unwrap();
    session.push(&batch).unwrap();
    let before = session.state_hash().unwrap();
    let error = step(&session).unwrap_err();
    assert_eq!(error.status, Status::NonFinite, "{error}");
    assert!(error.message.contains("not applied"), "{error}");
    assert_eq!(session.state_hash().unwrap(), before);
    session.clear().unwrap();
    session.push(&rollouts(&session, 4, 0)).unwrap();
    step(&session).unwrap();
}

fn published(session: &Session) -> u64 {
    session.model(Role::Policy).unwrap().weights().version
}

#[test]
fn a_cancelled_update_keeps_its_rows_and_what_was_applied() {
    let session = session(PPO, &tiny_model(1));
    session.push(&rollouts(&session, 8, 0)).unwrap();
    let job = session.update().unwrap().unwrap();
    let steps = std::iter::repeat_with(|| job.pump(Duration::ZERO).unwrap()).find(|report| report.optimizer_steps == 1);
    assert_eq!(steps.unwrap().state, State::Pending);
    assert_eq!(session.update().err().unwrap().status, Status::InUse);
    let (before, weights) = (published(&session), session.model(Role::Policy).unwrap().weights().data().copy());
    job.cancel();
    assert_eq!(job.poll().unwrap_err().status, Status::Cancelled);
    assert_eq!(published(&session), before + 1);
    assert!(!session.model(Role::Policy).unwrap().weights().data().equal(&weights), "the applied step is published");
    let again = session.update().unwrap().unwrap();
    assert_eq!(again.run().unwrap().optimizer_steps, 4);
    assert!(session.update().unwrap().is_none(), "the rows of a finished update are dropped");
}

#[test]
fn an_update_without_rewards_needs_data() {
    let session = session(PPO, &tiny_model(1));
    assert!(session.update().unwrap().is_none());
    let rewarded = rollouts(&session, 2, 0);
    let bare = without(&rewarded, "reward");
    let first = session.push(&bare).unwrap();
    assert!(session.update().unwrap().is_none());
    session.reward(&[first, first + 1], &[0.5, 1.0]).unwrap();
    step(&session).unwrap();
    assert_eq!(metric(&session, "reward/mean"), 0.75);
}

#[test]
fn a_second_trainer_of_one_model_is_refused_until_the_first_is_gone() {
    let policy = tiny_model(1);
    let first = session(PPO, &policy);
    let second = keel::session::Session::create(&runtime(), config(PPO)).unwrap();
    assert_eq!(second.set_model(Role::Policy, policy.clone()).unwrap_err().status, Status::InUse);
    drop(first);
    second.set_model(Role::Policy, policy).unwrap();
}

#[test]
fn dpo_starts_at_log_two_and_learns_its_pairs() {
    let text = r#"{"algorithm": {"type": "dpo", "batch_size": 4, "epochs": 0, "beta": 0.5},
                   "optimizer": {"learning_rate": 0.01}, "threads": 1}"#;
    let session = session(text, &tiny_model(2));
    let answers = |first: i32| (0..4).map(|row| vec![first, first + row, 2]).collect();
    let columns = [("prompt", prompts(4)), ("chosen", answers(4)), ("rejected", answers(12))];
    session.push(&batch(Kind::Preferences, &columns)).unwrap();
    step(&session).unwrap();
    assert!((metric(&session, "loss/total") - std::f64::consts::LN_2).abs() < 1e-6);
    for _ in 0..10 {
        step(&session).unwrap();
    }
    assert_eq!(metric(&session, "preference/accuracy"), 1.0);
    assert!(metric(&session, "loss/total") < 0.1, "{}", metric(&session, "loss/total"));
}

#[test]
fn ppo_raises_the_reward_of_its_toy() {
    let text = r#"{"algorithm": {"type": "ppo", "epochs": 2, "minibatches": 2, "gae_lambda": 1.0, "advantages": "center",
                   "kl": {"type": "fixed", "coef": 0.01}}, "optimizer": {"learning_rate": 0.003}, "threads": 1}"#;
    let session = session(text, &tiny_model(1));
    let mut rewards = Vec::new();
    for update in 0..15 {
        session.push(&rollouts(&session, 48, update)).unwrap();
        step(&session).unwrap();
        rewards.push(metric(&session, "reward/mean"));
    }
    let (first, last) = (rewards[0], rewards[rewards.len() - 1]);
    assert!(last > first + 0.25, "{rewards:?}");
}

#[test]
fn a_warm_up_trains_the_value_head_alone() {
    let text = PPO.replace("\"epochs\"", "\"value_warmup\": {\"updates\": 1}, \"epochs\"");
    let policy = tiny_model(1);
    let session = session(&text, &policy);
    let before = policy.weights().data().copy();
    session.push(&rollouts(&session, 8, 0)).unwrap();
    step(&session).unwrap();
    assert!(policy.weights().data().equal(&before));
    session.push(&rollouts(&session, 8, 1)).unwrap();
    step(&session).unwrap();
    assert!(metric(&session, "value/mean") != 0.0, "the head has learned");
    assert!(!policy.weights().data().equal(&before));
}

#[test]
fn an_update_stops_before_the_step_that_drifts_too_far() {
    let text = PPO.replace("\"epochs\"", "\"target_kl\": 1e-9, \"epochs\"");
    let session = session(&text, &tiny_model(1));
    session.push(&rollouts(&session, 8, 0)).unwrap();
    assert_eq!(step(&session).unwrap().optimizer_steps, 1, "the first step meets no drift, the second does");
}

#[test]
fn a_pass_has_as_many_steps_as_it_was_told() {
    for (rows, minibatches) in [(5, 4), (9, 8), (7, 7), (3, 5)] {
        let text = PPO.replace("\"minibatches\": 2", &format!("\"minibatches\": {minibatches}"));
        let session = session(&text, &tiny_model(1));
        session.push(&rollouts(&session, rows, 0)).unwrap();
        assert_eq!(step(&session).unwrap().optimizer_steps, 2 * minibatches.min(rows as u64));
    }
}

#[test]
fn a_rollout_whose_reward_would_fall_on_no_token_is_refused() {
    let session = session(PPO, &tiny_model(1));
    let mut batch = rollouts(&session, 2, 0);
    let response = batch.column("response").unwrap().clone();
    let offsets = response.offsets.clone().unwrap();
    let flags = (0..offsets[2]).map(|token| u8::from(token >= offsets[1])).collect();
    batch.set("response_mask", Column { values: Values::U8(flags), offsets: Some(offsets) }).unwrap();
    let error = session.push(&batch).unwrap_err();
    assert_eq!(error.status, Status::Data);
    assert!(error.message.starts_with("row 0: response_mask"), "{error}");
}

#[test]
fn evaluation_rows_are_scored_and_never_trained_on() {
    let text = r#"{"algorithm": {"type": "sft", "batch_size": 2, "epochs": 1}, "threads": 1}"#;
    let session = session(text, &tiny_model(2));
    assert!(session.evaluate().unwrap().is_none());
    let mut rows = batch(Kind::Demonstrations, &[("prompt", prompts(3)), ("response", prompts(3))]);
    rows.set("split", Column { values: Values::I32(vec![0, 1, 0]), offsets: None }).unwrap();
    session.push(&rows).unwrap();
    step(&session).unwrap();
    assert!(session.update().unwrap().is_none());
    session.evaluate().unwrap().unwrap().run().unwrap();
    assert_eq!(metric(&session, "evaluation/tokens_trained"), 3.0);
    assert!(metric(&session, "evaluation/loss_nll") > 0.0);
}

const MIXING: &str = r#"{"algorithm": {"type": "ppo", "epochs": 1, "minibatches": 2,
                         "demonstrations": {"coef": 1.0, "batch_size": 4, "mix": "joint"}},
                         "optimizer": {"learning_rate": 0.003}, "seed": 3, "threads": 1}"#;

#[test]
fn demonstrations_are_learned_beside_rollouts_jointly_and_in_turns() {
    for (mix, steps) in [("joint", 2), ("alternating", 4)] {
        let session = session(&MIXING.replace("joint", mix), &tiny_model(1));
        session.push(&rollouts(&session, 8, 0)).unwrap();
        assert!(session.update().unwrap().is_none(), "no demonstrations yet");
        let rows = batch(Kind::Demonstrations, &[("prompt", prompts(6)), ("response", vec![vec![5, 6, 7, 2]; 6])]);
        session.push(&rows).unwrap();
        assert_eq!(step(&session).unwrap().optimizer_steps, steps, "{mix}");
        let first = metric(&session, "loss/demonstrations");
        for update in 1..12 {
            session.push(&rollouts(&session, 8, update)).unwrap();
            step(&session).unwrap();
        }
        let last = metric(&session, "loss/demonstrations");
        assert!(last < 0.7 * first, "{mix}: {first} → {last}");
    }
}

#[test]
fn demonstrations_beside_rollouts_survive_a_checkpoint_and_any_chunk_size() {
    let numbers = |memory: &str, interrupted: bool| {
        let text = MIXING.replace("\"threads\"", &format!("{memory} \"threads\""));
        let session = session(&text, &tiny_model(1));
        session.push(&batch(Kind::Demonstrations, &[("prompt", prompts(6)), ("response", prompts(6))])).unwrap();
        session.push(&rollouts(&session, 8, 0)).unwrap();
        step(&session).unwrap();
        let rows = rollouts(&session, 8, 1);
        if interrupted {
            let saved = session.export().unwrap();
            session.push(&rows).unwrap();
            step(&session).unwrap();
            session.import(&saved).unwrap();
        }
        session.push(&rows).unwrap();
        step(&session).unwrap();
        let norm = metric(&session, "gradient/norm");
        (metric(&session, "loss/demonstrations"), norm, session.state_hash().unwrap())
    };
    let whole = numbers("", false);
    let again = numbers("", true);
    assert_eq!((whole.0, whole.1), (again.0, again.1));
    let chunked = numbers("\"micro_batch_tokens\": 12,", false);
    assert!(
        (whole.0 - chunked.0).abs() < 1e-4 && (whole.1 - chunked.1).abs() < 1e-4 * whole.1,
        "{whole:?} {chunked:?}"
    );
}

#[test]
fn a_value_model_of_its_own_learns_beside_the_policy_and_is_restored() {
    let text = PPO.replace("\"epochs\"", "\"value_warmup\": {\"updates\": 1, \"learning_rate\": 0.01}, \"epochs\"");
    let (policy, value) = (tiny_model(1), Arc::new(tiny_model(4).with_scores(&["value".to_string()], 0).unwrap()));
    let session = Session::create(&runtime(), config(&text)).unwrap();
    session.set_model(Role::Value, value.clone()).unwrap();
    session.set_model(Role::Policy, policy.clone()).unwrap();
    assert_eq!(session.set_model(Role::Value, value.clone()).unwrap_err().status, Status::State);
    let (policy_before, value_before) = (policy.weights().data().copy(), value.weights().data().copy());
    session.push(&rollouts(&session, 8, 0)).unwrap();
    step(&session).unwrap();
    assert!(policy.weights().data().equal(&policy_before), "the policy waits");
    assert!(!value.weights().data().equal(&value_before), "the value model has learned");
    let (saved, hash) = (session.export().unwrap(), session.state_hash().unwrap());
    let path = std::env::temp_dir().join(format!("keel-value-{}.keel", std::process::id()));
    std::fs::write(&path, &saved).unwrap();
    let opened = Session::open(&runtime(), &path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(opened.state_hash().unwrap(), hash);
    for session in [&session, &opened] {
        session.push(&rollouts(session, 8, 1)).unwrap();
        step(session).unwrap();
    }
    assert_eq!(opened.state_hash().unwrap(), session.state_hash().unwrap());
    assert!(!policy.weights().data().equal(&policy_before));
}

#[test]
fn token_rewards_stand_in_for_a_reward_and_need_a_counted_token() {
    let session = session(PPO, &tiny_model(1));
    let rows = rollouts(&session, 2, 0);
    let response = rows.column("response").unwrap().clone();
    let offsets = response.offsets.clone().unwrap();
    let make = |first_counts: bool| {
        let mut bare = without(&rows, "reward");
        let count = offsets[2] as usize;
        let rewards = (0..count).map(|token| if token == 0 { 1.0 } else { 0.0 }).collect();
        bare.set("token_reward", Column { values: Values::F32(rewards), offsets: Some(offsets.clone()) }).unwrap();
        let flags = (0..count).map(|token| u8::from(token > 0 || first_counts)).collect();
        bare.set("response_mask", Column { values: Values::U8(flags), offsets: Some(offsets.clone()) }).unwrap();
        bare
    };
    let error = session.push(&make(false)).unwrap_err();
    assert_eq!((error.status, &error.message[..20]), (Status::Data, "row 0: token_reward:"));
    session.push(&make(true)).unwrap();
    step(&session).unwrap();
    assert!(metric(&session, "returns/mean") > 0.0);
}

#[test]
fn noise_on_the_embeddings_is_the_seed_s_and_no_chunk_s() {
    let numbers = |alpha: f64, memory: &str, seed: u64| {
        let text = format!(
            r#"{{"algorithm": {{"type": "sft", "batch_size": 6, "epochs": 0, "embedding_noise": {alpha}}}, {memory}
                "optimizer": {{"learning_rate": 0.003}}, "seed": {seed}, "threads": 1}}"#
        );
        let session = session(&text, &tiny_model(1));
        session.push(&batch(Kind::Demonstrations, &[("prompt", prompts(6)), ("response", prompts(6))])).unwrap();
        step(&session).unwrap();
        let first = metric(&session, "loss/nll");
        for _ in 0..20 {
            step(&session).unwrap();
        }
        (first, metric(&session, "loss/nll"), metric(&session, "gradient/norm"))
    };
    let (plain, noisy) = (numbers(0.0, "", 0), numbers(5.0, "", 0));
    assert_ne!(plain.0, noisy.0);
    assert_eq!(noisy, numbers(5.0, "", 0));
    assert_ne!(noisy.0, numbers(5.0, "", 1).0);
    let chunked = numbers(5.0, "\"micro_batch_tokens\": 9,", 0);
    assert!((noisy.0 - chunked.0).abs() < 1e-5, "{noisy:?} {chunked:?}");
    assert!(noisy.1 < 0.9 * noisy.0, "it learns all the same: {noisy:?}");
}

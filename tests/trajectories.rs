//! Twenty optimiser steps against those of an independent implementation.

mod support;

use keel::data::{Batch, Column, Kind, Values};
use keel::model::Model;
use keel::session::{Role, Session};
use std::collections::BTreeMap;
use std::sync::Arc;
use support::*;
use tch::Tensor;

/// A row of a right-padded [B, S] tensor, cut to its attended tokens.
fn attended(ids: &Tensor, mask: &Tensor, row: i64) -> Vec<i32> {
    let length = mask.get(row).sum(tch::Kind::Int64).int64_value(&[]);
    let tokens = Vec::<i64>::try_from(ids.get(row).narrow(0, 0, length)).unwrap();
    tokens.into_iter().map(|token| token as i32).collect()
}

fn optimizer(run: &serde_json::Value) -> String {
    let args = &run["args"];
    format!(
        r#"{{"learning_rate": {}, "weight_decay": {}, "max_grad_norm": {}, "betas": [{}, {}], "epsilon": {},
            "schedule": {{"type": "linear", "warmup_steps": {}, "total_steps": {}}}}}"#,
        args["learning_rate"],
        args["weight_decay"],
        args["max_grad_norm"],
        args["adam_beta1"],
        args["adam_beta2"],
        args["adam_epsilon"],
        args["warmup_steps"],
        args["max_steps"]
    )
}

/// Largest differences over 20 steps: loss and relative gradient norm; then of the final parameters.
fn follow(run: &str, algorithm: &str, push: impl Fn(&keel::session::Session, usize)) -> (f64, f64, f64) {
    follow_model(run, algorithm, (&golden_model("llama"), Role::Policy), push)
}

fn follow_model(
    run: &str,
    algorithm: &str,
    (model, role): (&Arc<Model>, Role),
    push: impl Fn(&keel::session::Session, usize),
) -> (f64, f64, f64) {
    let record = json(&format!("train/{run}/run.json"));
    let text = format!(r#"{{"algorithm": {algorithm}, "optimizer": {}, "threads": 1}}"#, optimizer(&record));
    let session = Session::create(&runtime(), config(&text)).unwrap();
    session.set_model(role, model.clone()).unwrap();
    let (mut loss, mut norm) = (0f64, 0f64);
    let steps = record["micro_losses"].as_array().unwrap();
    assert_eq!(steps.len(), 20);
    for (index, expected) in steps.iter().enumerate() {
        push(&session, index);
        step(&session).unwrap();
        loss = loss.max((metric(&session, "loss/total") - expected.as_f64().unwrap()).abs());
        let expected_norm = record["steps"][index]["grad_norm"].as_f64().unwrap();
        norm = norm.max((metric(&session, "gradient/norm") - expected_norm).abs() / expected_norm);
    }
    let weights = model.weights();
    let mut parameters = 0f64;
    for (name, expected) in tensors(&format!("train/{run}/final.safetensors")) {
        let slot = weights.layout.find(&name).unwrap();
        let difference = (weights.layout.view(&weights.data(), slot) - expected).abs().max().double_value(&[]);
        parameters = parameters.max(difference);
    }
    (loss, norm, parameters)
}

#[test]
fn sft_follows_the_reference_trajectory() {
    let batches = tensors("train/sft/batches.safetensors");
    let push = |session: &keel::session::Session, index: usize| {
        let (ids, mask) = (&batches[&format!("{index:03}.input_ids")], &batches[&format!("{index:03}.attention_mask")]);
        let rows = (0..ids.size()[0]).map(|row| attended(ids, mask, row)).collect();
        session.push(&batch(Kind::Demonstrations, &[("response", rows)])).unwrap();
    };
    let (loss, norm, parameters) = follow("sft", r#"{"type": "sft", "batch_size": 4, "shuffle": false}"#, push);
    println!("sft: loss {loss:.1e}, gradient norm {norm:.1e} relative, parameters {parameters:.1e}");
    assert!(loss < 1e-4 && norm < 1e-4 && parameters < 1e-4, "{loss} {norm} {parameters}");
}

#[test]
fn dpo_follows_the_reference_trajectory() {
    let batches = tensors("train/dpo/batches.safetensors");
    let push = |session: &keel::session::Session, index: usize| {
        let find = |name: &str| &batches[&format!("{index:03}.{name}")];
        let (ids, mask, completion) = (find("input_ids"), find("attention_mask"), find("completion_mask"));
        let pairs = ids.size()[0] / 2;
        let split = |row: i64| {
            let tokens = attended(ids, mask, row);
            let prompt = tokens.len() - completion.get(row).sum(tch::Kind::Int64).int64_value(&[]) as usize;
            (tokens[..prompt].to_vec(), tokens[prompt..].to_vec())
        };
        let (prompts, chosen): (Vec<_>, Vec<_>) = (0..pairs).map(split).unzip();
        let (_, rejected): (Vec<_>, Vec<_>) = (pairs..2 * pairs).map(split).unzip();
        let columns = [("prompt", prompts), ("chosen", chosen), ("rejected", rejected)];
        session.push(&batch(Kind::Preferences, &columns)).unwrap();
    };
    let algorithm = r#"{"type": "dpo", "beta": 0.1, "batch_size": 4, "shuffle": false}"#;
    let (loss, norm, parameters) = follow("dpo", algorithm, push);
    println!("dpo: loss {loss:.1e}, gradient norm {norm:.1e} relative, parameters {parameters:.1e}");
    assert!(loss < 1e-4 && norm < 1e-4 && parameters < 1e-4, "{loss} {norm} {parameters}");
}

/// A row of a padded [B, T] tensor where its mask is 1.
fn masked(values: &Tensor, mask: &Tensor, row: i64) -> Tensor {
    values.get(row).masked_select(&mask.get(row).to_kind(tch::Kind::Bool))
}

fn tokens(values: &Tensor, mask: &Tensor, row: i64) -> Vec<i32> {
    let tokens = Vec::<i64>::try_from(masked(values, mask, row)).unwrap();
    tokens.into_iter().map(|token| token as i32).collect()
}

/// The rollouts of one recorded step, in the order of the peer's shuffle; their advantages stand in for rewards.
fn recorded(batches: &BTreeMap<String, Tensor>, index: usize) -> Batch {
    let find = |name: &str| &batches[&format!("{index:03}.{name}")];
    let (ids, mask) = (find("completion_ids"), find("completion_mask"));
    let rows = ids.size()[0];
    let prompts = (0..rows).map(|row| tokens(find("prompt_ids"), find("prompt_mask"), row)).collect();
    let responses = (0..rows).map(|row| tokens(ids, mask, row)).collect();
    let mut rollouts = batch(Kind::Rollouts, &[("prompt", prompts), ("response", responses)]);
    let old: Vec<Vec<f32>> =
        (0..rows).map(|row| Vec::try_from(masked(find("old_per_token_logps"), mask, row)).unwrap()).collect();
    let offsets = rollouts.column("response").unwrap().offsets.clone();
    rollouts.set("rollout_log_probs", Column { values: Values::F32(old.concat()), offsets }).unwrap();
    let rewards = Vec::<f32>::try_from(find("advantages")).unwrap();
    rollouts.set("reward", Column { values: Values::F32(rewards), offsets: None }).unwrap();
    rollouts
}

#[test]
fn grpo_follows_the_reference_trajectory() {
    let batches = tensors("train/grpo/batches.safetensors");
    let push = |session: &keel::session::Session, index: usize| {
        session.push(&recorded(&batches, index)).unwrap();
    };
    let algorithm = r#"{"type": "grpo", "scale": "none", "kl_coef": 0.04, "old_log_probs": "recorded"}"#;
    let (loss, norm, parameters) = follow("grpo", algorithm, push);
    println!("grpo: loss {loss:.1e}, gradient norm {norm:.1e} relative, parameters {parameters:.1e}");
    assert!(loss < 1e-4 && norm < 1e-4 && parameters < 1e-4, "{loss} {norm} {parameters}");
}

#[test]
fn kto_follows_the_reference_trajectory() {
    let batches = tensors("train/kto/batches.safetensors");
    let push = |session: &keel::session::Session, index: usize| {
        let find = |name: &str| &batches[&format!("{index:03}.{name}")];
        let (ids, mask, completion) = (find("input_ids"), find("attention_mask"), find("completion_mask"));
        let split = |row: i64| {
            let tokens = attended(ids, mask, row);
            let prompt = tokens.len() - completion.get(row).sum(tch::Kind::Int64).int64_value(&[]) as usize;
            (tokens[..prompt].to_vec(), tokens[prompt..].to_vec())
        };
        let (prompts, responses): (Vec<_>, Vec<_>) = (0..ids.size()[0]).map(split).unzip();
        let mut rows = batch(Kind::Feedback, &[("prompt", prompts), ("response", responses)]);
        let labels = Vec::<i64>::try_from(find("label")).unwrap().into_iter().map(|label| label as i32).collect();
        rows.set("label", Column { values: Values::I32(labels), offsets: None }).unwrap();
        session.push(&rows).unwrap();
    };
    let algorithm = r#"{"type": "kto", "batch_size": 4, "shuffle": false, "undesirable_weight": 1.2}"#;
    let (loss, norm, parameters) = follow("kto", algorithm, push);
    println!("kto: loss {loss:.1e}, gradient norm {norm:.1e} relative, parameters {parameters:.1e}");
    assert!(loss < 1e-4 && norm < 1e-4 && parameters < 1e-4, "{loss} {norm} {parameters}");
}

#[test]
fn reward_model_follows_the_reference_trajectory() {
    let batches = tensors("train/reward/batches.safetensors");
    let push = |session: &Session, index: usize| {
        let find = |name: &str| &batches[&format!("{index:03}.{name}")];
        let (ids, mask) = (find("input_ids"), find("attention_mask"));
        let pairs = ids.size()[0] / 2;
        // where the prompt ends is not recorded, and does not matter to a score of the whole text
        let texts = |rows: std::ops::Range<i64>| rows.map(|row| attended(ids, mask, row)).collect::<Vec<_>>();
        let rest = |texts: Vec<Vec<i32>>| texts.into_iter().map(|text| text[1..].to_vec()).collect::<Vec<_>>();
        let prompts = texts(0..pairs).into_iter().map(|text| text[..1].to_vec()).collect();
        let columns =
            [("prompt", prompts), ("chosen", rest(texts(0..pairs))), ("rejected", rest(texts(pairs..2 * pairs)))];
        let mut rows = batch(Kind::Preferences, &columns);
        let margins = Vec::<f32>::try_from(find("margin")).unwrap();
        rows.set("margin", Column { values: Values::F32(margins), offsets: None }).unwrap();
        session.push(&rows).unwrap();
    };
    let algorithm = r#"{"type": "reward", "batch_size": 4, "shuffle": false, "center_coef": 0.01}"#;
    let path = golden("extras/reward_llama");
    let model = Arc::new(Model::load(&path, &keel::config::Load::default()).unwrap());
    let (loss, norm, parameters) = follow_model("reward", algorithm, (&model, Role::Reward), push);
    println!("reward: loss {loss:.1e}, gradient norm {norm:.1e} relative, parameters {parameters:.1e}");
    assert!(loss < 1e-4 && norm < 1e-4 && parameters < 1e-4, "{loss} {norm} {parameters}");
}

//! What the integration tests share: golden files, tiny models, sessions, batches.
#![allow(dead_code)]

pub mod drive;

use keel::config as settings;
use keel::data::{Batch, Column, Kind, Values};
use keel::model::Model;
use keel::session::{Config, Job, Report, Role, Runtime, Session};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

pub fn golden(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)
}

pub fn json(path: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(golden(path)).unwrap()).unwrap()
}

/// The tensors of a golden file by name.
pub fn tensors(path: &str) -> std::collections::BTreeMap<String, tch::Tensor> {
    let bytes = std::fs::read(golden(path)).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let kind = |dtype| match dtype {
        safetensors::Dtype::F32 => tch::Kind::Float,
        safetensors::Dtype::F64 => tch::Kind::Double,
        safetensors::Dtype::I64 => tch::Kind::Int64,
        other => panic!("golden tensors are f32, f64 or i64, found {other:?}"),
    };
    let tensor = |view: safetensors::tensor::TensorView| {
        let shape: Vec<i64> = view.shape().iter().map(|length| *length as i64).collect();
        tch::Tensor::from_data_size(view.data(), &shape, kind(view.dtype()))
    };
    file.tensors().into_iter().map(|(name, view)| (name, tensor(view))).collect()
}

pub fn runtime() -> Arc<Runtime> {
    Runtime::create(&settings::Runtime { cuda: settings::CudaPolicy::Cpu, ..Default::default() }).unwrap()
}

pub fn golden_model(name: &str) -> Arc<Model> {
    Arc::new(Model::load(&golden(&format!("models/{name}")), &settings::Load::default()).unwrap())
}

/// A llama of a few thousand random parameters.
pub fn tiny_model(seed: u64) -> Arc<Model> {
    let text = format!(
        r#"{{"config": {{"model_type": "llama", "vocab_size": 24, "hidden_size": 32, "intermediate_size": 48,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
            "eos_token_id": 2}}, "initialization": "fan_in", "seed": {seed}}}"#
    );
    Arc::new(Model::create(&settings::parse(Some(text.as_bytes())).unwrap()).unwrap())
}

pub fn config(text: &str) -> Config {
    settings::parse(Some(text.as_bytes())).unwrap()
}

pub fn session(text: &str, policy: &Arc<Model>) -> Arc<Session> {
    let session = Session::create(&runtime(), config(text)).unwrap();
    session.set_model(Role::Policy, policy.clone()).unwrap();
    session
}

pub fn ragged(rows: &[Vec<i32>]) -> Column {
    let mut offsets = vec![0u64];
    offsets.extend(rows.iter().scan(0, |sum, row| {
        *sum += row.len() as u64;
        Some(*sum)
    }));
    Column { values: Values::I32(rows.concat()), offsets: Some(offsets) }
}

pub fn batch(kind: Kind, columns: &[(&str, Vec<Vec<i32>>)]) -> Batch {
    let mut batch = Batch::new(kind, columns[0].1.len() as u64).unwrap();
    for (name, rows) in columns {
        batch.set(name, ragged(rows)).unwrap();
    }
    batch
}

/// `update` + `run`, as `keel_session_step` does.
pub fn step(session: &Arc<Session>) -> keel::error::Result<Report> {
    session.update()?.expect("an update: rows and rewards are there").run()
}

pub fn metric(session: &Session, name: &str) -> f64 {
    let metrics: serde_json::Value = serde_json::from_str(&session.metrics_json()).unwrap();
    metrics["values"][name].as_f64().unwrap_or_else(|| panic!("no metric {name} in {metrics}"))
}

/// Prompts of varied lengths over the tiny model's vocabulary.
pub fn prompts(rows: usize) -> Vec<Vec<i32>> {
    (0..rows).map(|row| (0..2 + row % 4).map(|place| 3 + ((row * 7 + place * 5) % 20) as i32).collect()).collect()
}

/// Rollouts sampled from the session's policy, with a reward that depends on their tokens.
pub fn rollouts(session: &Arc<Session>, rows: usize, seed: u64) -> Batch {
    let generate =
        settings::Generate { max_new_tokens: 8, seed, temperature: temperature(session), ..Default::default() };
    let job = session.generate(&batch(Kind::Prompts, &[("prompt", prompts(rows))]), generate).unwrap();
    job.run().unwrap();
    let mut batch = Job::batch(&job).unwrap();
    let response = batch.column("response").unwrap();
    let reward = |row| response.row_i32(row).iter().filter(|token| **token % 2 == 0).count() as f32 / 8.0;
    let rewards = (0..rows).map(reward).collect();
    batch.set("reward", Column { values: Values::F32(rewards), offsets: None }).unwrap();
    batch
}

/// `groups` prompts of the tiny model with four sampled responses each, rewarded.
pub fn rollouts_in_groups(session: &Arc<Session>, groups: usize, seed: u64) -> Batch {
    let generate = settings::Generate { max_new_tokens: 8, samples: 4, seed, ..Default::default() };
    let job = session.generate(&batch(Kind::Prompts, &[("prompt", prompts(groups))]), generate).unwrap();
    job.run().unwrap();
    let mut batch = job.batch().unwrap();
    let rewards = even_tokens(&batch);
    batch.set("reward", Column { values: Values::F32(rewards), offsets: None }).unwrap();
    batch
}

/// The share of even tokens in eight, of each response.
pub fn even_tokens(batch: &Batch) -> Vec<f32> {
    let response = batch.column("response").unwrap();
    let reward = |row| response.row_i32(row).iter().filter(|token| **token % 2 == 0).count() as f32 / 8.0;
    (0..batch.rows() as usize).map(reward).collect()
}

/// These rows of a batch, in this order.
pub fn picked(rows: &Batch, order: &[usize]) -> Batch {
    let mut batch = Batch::new(rows.kind(), order.len() as u64).unwrap();
    for (name, column) in rows.columns() {
        let count = column.values.len() / rows.rows() as usize;
        let span = |row: &usize| column.offsets.as_ref().map_or(row * count..(row + 1) * count, |_| column.span(*row));
        let spans: Vec<Range<usize>> = order.iter().map(span).collect();
        batch
            .set(
                name,
                Column {
                    values: of_spans(&column.values, &spans),
                    offsets: column.offsets.as_ref().map(|_| offsets(&spans)),
                },
            )
            .unwrap();
    }
    batch
}

fn offsets(spans: &[Range<usize>]) -> Vec<u64> {
    let ends = spans.iter().scan(0, |end, span| {
        *end += span.len() as u64;
        Some(*end)
    });
    std::iter::once(0).chain(ends).collect()
}

fn of_spans(values: &Values, spans: &[Range<usize>]) -> Values {
    fn of<T: Copy>(values: &[T], spans: &[Range<usize>]) -> Vec<T> {
        spans.iter().flat_map(|span| values[span.clone()].to_vec()).collect()
    }
    match values {
        Values::I32(values) => Values::I32(of(values, spans)),
        Values::I64(values) => Values::I64(of(values, spans)),
        Values::U64(values) => Values::U64(of(values, spans)),
        Values::F32(values) => Values::F32(of(values, spans)),
        Values::U8(values) => Values::U8(of(values, spans)),
        Values::Utf8(values) => Values::Utf8(of(values, spans)),
    }
}

/// The same rows, the last first.
pub fn backwards(rows: &Batch) -> Batch {
    picked(rows, &(0..rows.rows() as usize).rev().collect::<Vec<_>>())
}

/// The same rows without one of their columns.
pub fn without(rows: &Batch, column: &str) -> Batch {
    let mut bare = Batch::new(rows.kind(), rows.rows()).unwrap();
    for (name, column) in rows.columns().filter(|(name, _)| *name != column) {
        bare.set(name, column.clone()).unwrap();
    }
    bare
}

fn temperature(session: &Session) -> f64 {
    match &session.config().algorithm {
        keel::algorithm::Config::Ppo(config) => config.temperature,
        _ => 1.0,
    }
}

/// Pairs whose chosen responses begin with 4, the rejected ones with 12.
pub fn pairs(rows: usize) -> Batch {
    let answers = |first: i32| (0..rows).map(|row| vec![first, first + (row % 4) as i32, 2]).collect();
    batch(Kind::Preferences, &[("prompt", prompts(rows)), ("chosen", answers(4)), ("rejected", answers(12))])
}

/// Lists of three responses to each prompt, the best begins with 4, the next with 9, the worst with 12.
pub fn rankings(lists: usize) -> Batch {
    let first = |row: usize| [4, 9, 12][row % 3];
    let prompts: Vec<Vec<i32>> = prompts(lists).into_iter().flat_map(|prompt| vec![prompt; 3]).collect();
    let responses = (0..3 * lists).map(|row| vec![first(row), first(row) + (row % 2) as i32, 2]).collect();
    let mut rows = batch(Kind::Rankings, &[("prompt", prompts), ("response", responses)]);
    let ranks = (0..3 * lists).map(|row| 1 + (row % 3) as i32).collect();
    rows.set("rank", Column { values: Values::I32(ranks), offsets: None }).unwrap();
    let groups = (0..3 * lists as u64).map(|row| row / 3).collect();
    rows.set("group", Column { values: Values::U64(groups), offsets: None }).unwrap();
    rows
}

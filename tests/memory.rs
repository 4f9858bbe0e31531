//! The cap on tensors in host memory, which is the process's: one test at a time.

#[path = "control/cartpole.rs"]
mod cartpole;
#[path = "memory/control.rs"]
mod control;
#[path = "control/hosts.rs"]
#[allow(dead_code)]
mod hosts;
mod support;

use keel::config as settings;
use keel::error::{Result, Status};
use keel::model::AnyModel;
use keel::session::{Job, Runtime, Session, State};
use keel::torch::{cap_host_memory, fused_adamw, host_memory, AdamW};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use support::*;

static ALONE: Mutex<()> = Mutex::new(());

/// Takes the cap away at the end, however the test ends.
struct Alone {
    _guard: MutexGuard<'static, ()>,
}

impl Drop for Alone {
    fn drop(&mut self) {
        cap_host_memory(0).unwrap();
    }
}

fn alone() -> Alone {
    keel::torch::initialise();
    Alone { _guard: ALONE.lock().unwrap_or_else(PoisonError::into_inner) }
}

fn allocated() -> u64 {
    host_memory().unwrap().allocated
}

const SFT: &str = r#"{"algorithm": {"type": "sft", "batch_size": 4, "epochs": 0}, "optimizer": {"learning_rate": 0.01},
                      "micro_batch_tokens": 16, "threads": 1}"#;
const PPO: &str = r#"{"algorithm": {"type": "ppo", "epochs": 2, "minibatches": 2}, "optimizer": {"learning_rate": 0.01},
                      "threads": 1}"#;

fn sft() -> Arc<Session> {
    let session = session(SFT, &tiny_model(1));
    session
        .push(&batch(keel::data::Kind::Demonstrations, &[("prompt", prompts(8)), ("response", prompts(8))]))
        .unwrap();
    session
}

fn ppo() -> Arc<Session> {
    let session = session(PPO, &tiny_model(1));
    session.push(&rollouts(&session, 8, 0)).unwrap();
    session
}

/// Updates under caps that rise by `rise` bytes until one suffices; how many did not, each with its optimiser steps.
fn climb(session: &Arc<Session>, rise: u64) -> Vec<u64> {
    let mut refused = Vec::new();
    loop {
        cap_host_memory(allocated() + refused.len() as u64 * rise).unwrap();
        let job = session.update().unwrap().unwrap();
        let outcome = job.run();
        cap_host_memory(0).unwrap();
        match outcome {
            Ok(report) => {
                assert_eq!(report.state, State::Done);
                return refused;
            }
            Err(error) => {
                assert_eq!(error.status, Status::OutOfMemory, "{error}");
                assert!(error.message.contains("the cap on tensors in host memory is"), "{error}");
                refused.push(job.report().optimizer_steps);
            }
        }
    }
}

#[test]
fn an_update_that_meets_the_cap_loses_nothing_at_whatever_allocation() {
    let _alone = alone();
    let (session, free) = (sft(), sft());
    assert_eq!(session.state_hash().unwrap(), free.state_hash().unwrap());
    let refused = climb(&session, 512);
    assert!(refused.len() > 20 && refused.iter().all(|steps| *steps == 0), "{refused:?}");
    step(&free).unwrap();
    assert_eq!(session.state_hash().unwrap(), free.state_hash().unwrap());
    step(&session).unwrap();
    step(&free).unwrap();
    assert_eq!(session.state_hash().unwrap(), free.state_hash().unwrap());
}

#[test]
fn steps_before_the_cap_stay_and_the_rows_are_kept() {
    let _alone = alone();
    let session = ppo();
    let refused = climb(&session, 4096);
    assert!(!refused.is_empty());
    assert!(session.update().unwrap().is_none(), "the update that succeeded took the rows");
}

#[test]
fn a_cap_does_not_break_off_a_step() {
    let _alone = alone();
    let tensor = |value: f64| tch::Tensor::full([8], value, (tch::Kind::Float, tch::Device::Cpu));
    let (parameter, gradient, first, second) = (tensor(1.0), tensor(1.0), tensor(0.0), tensor(0.0));
    let step = tch::Tensor::zeros([], (tch::Kind::Float, tch::Device::Cpu));
    let rule = AdamW { learning_rate: 0.5, beta1: 0.9, beta2: 0.999, weight_decay: 0.0, epsilon: 0.0 };
    cap_host_memory(allocated()).unwrap();
    assert!(parameter.f_add(&gradient).is_err(), "the cap holds");
    fused_adamw(&rule, &parameter, &gradient, &first, &second, &step).unwrap();
    assert!(parameter.f_add(&gradient).is_err(), "and goes on");
    cap_host_memory(0).unwrap();
    assert!((parameter.double_value(&[0]) - 0.5).abs() < 1e-6);
}

#[test]
fn a_generation_and_a_load_beyond_the_cap_are_refused_and_succeed_later() {
    let _alone = alone();
    let (session, model) = (sft(), tiny_model(3));
    let folder = std::env::temp_dir().join(format!("keel-memory-{}", std::process::id()));
    model.save(&folder).unwrap();
    let load = |runtime: &Arc<Runtime>| -> Result<AnyModel> {
        let job = Job::load(runtime, folder.clone(), settings::Load::default())?;
        job.run()?;
        job.model()
    };
    let generate = || -> Result<()> {
        let prompts = batch(keel::data::Kind::Prompts, &[("prompt", prompts(4))]);
        session.generate(&prompts, settings::Generate { max_new_tokens: 8, ..Default::default() })?.run()?;
        Ok(())
    };
    cap_host_memory(allocated() + 1000).unwrap();
    assert_eq!(load(session.runtime()).err().unwrap().status, Status::OutOfMemory);
    assert_eq!(generate().unwrap_err().status, Status::OutOfMemory);
    let used = allocated();
    let text = format!(r#"{{"cuda": "cpu", "memory": {{"host_bytes": {}}}}}"#, used + (64 << 20));
    let raised = Runtime::create(&settings::parse(Some(text.as_bytes())).unwrap()).unwrap();
    assert_eq!(host_memory().unwrap().cap, used + (64 << 20));
    let loaded = load(&raised).unwrap();
    assert!(allocated() > used, "the loaded model counts");
    generate().unwrap();
    drop(loaded);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn logits_that_would_not_fit_are_refused_before_the_first_token() {
    let _alone = alone();
    let session = sft();
    let generate = |logits: bool| {
        let prompts = batch(keel::data::Kind::Prompts, &[("prompt", prompts(4))]);
        session.generate(&prompts, settings::Generate { max_new_tokens: 50, samples: 90, logits, ..Default::default() })
    };
    cap_host_memory(allocated() + (1 << 20)).unwrap();
    let refused = generate(true).err().unwrap();
    assert_eq!(refused.status, Status::OutOfMemory);
    let needed = 360 * 50 * 24 * 4;
    assert!(refused.message.starts_with("logits: 24 for each of 360 × 50 tokens: out of memory: the cap"), "{refused}");
    assert!(refused.message.ends_with(&format!("and {needed} more were needed")), "{refused}");
    cap_host_memory(allocated() + (64 << 20)).unwrap();
    let before = allocated();
    let job = generate(true).unwrap();
    assert!(allocated() >= before + needed, "taken at the beginning");
    job.run().unwrap();
    assert!(job.batch().unwrap().column("logits").is_some());
    drop(job);
    assert_eq!(allocated(), before);
}

#[test]
fn a_runtime_without_a_cap_leaves_the_one_there_is_and_zero_takes_it_away() {
    let _alone = alone();
    let make = |text: &str| Runtime::create(&settings::parse(Some(text.as_bytes())).unwrap()).unwrap();
    make(r#"{"cuda": "cpu", "memory": {"host_bytes": 123456789}}"#);
    make(r#"{"cuda": "cpu"}"#);
    assert_eq!(host_memory().unwrap().cap, 123_456_789);
    make(r#"{"cuda": "cpu", "memory": {"host_bytes": 0, "device_bytes": 1}}"#);
    assert_eq!(host_memory().unwrap().cap, 0);
}

#[test]
fn what_is_freed_no_longer_counts() {
    let _alone = alone();
    let before = allocated();
    let tensor = tch::Tensor::zeros([1000, 25], (tch::Kind::Float, tch::Device::Cpu));
    assert_eq!(allocated() - before, 100_000);
    assert!(host_memory().unwrap().peak_allocated >= before + 100_000);
    assert_eq!(tensor.data_ptr() as usize % 64, 0, "aligned as libtorch's own");
    let view = tensor.narrow(0, 0, 1);
    drop(tensor);
    assert_eq!(allocated() - before, 100_000);
    drop(view);
    assert_eq!(allocated(), before);
}

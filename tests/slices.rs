//! One plan, three drivers: the same bits however a job is cut into calls, and the stated state wherever it ends.

mod support;

use keel::data::{Batch, Kind};
use keel::session::{Job, Role, Session, State};
use std::sync::Arc;
use std::time::Duration;
use support::*;

const OPTIMIZER: &str = r#""optimizer": {"learning_rate": 0.01}, "micro_batch_tokens": 20, "threads": 1}"#;

const METHODS: [(&str, &str); 4] = [
    ("sft", r#"{"algorithm": {"type": "sft", "batch_size": 3, "epochs": 0},"#),
    ("dpo", r#"{"algorithm": {"type": "dpo", "batch_size": 2, "epochs": 0},"#),
    ("ppo", r#"{"algorithm": {"type": "ppo", "epochs": 1, "minibatches": 2},"#),
    ("grpo", r#"{"algorithm": {"type": "grpo"},"#),
];

fn learner(algorithm: &str) -> Arc<Session> {
    session(&format!("{algorithm} {OPTIMIZER}"), &tiny_model(1))
}

/// Rows for one update of a method.
fn rows(session: &Arc<Session>, method: &str, update: u64) -> Batch {
    match method {
        "sft" => batch(Kind::Demonstrations, &[("prompt", prompts(3)), ("response", prompts(3))]),
        "dpo" => pairs(2),
        "ppo" => rollouts(session, 4, update),
        _ => rollouts_in_groups(session, 2, update),
    }
}

/// A number below `most`, from a stream of its own.
fn drawn(state: &mut u64, most: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % most
}

fn run(job: &Arc<Job>, _: &mut dyn FnMut()) {
    job.run().unwrap();
}

fn start(job: &Arc<Job>, between: &mut dyn FnMut()) {
    job.start().unwrap();
    between();
    while job.wait(Duration::from_millis(50)).unwrap().state == State::Pending {}
}

fn pump(job: &Arc<Job>, between: &mut dyn FnMut()) {
    let mut dice = 7;
    let mut calls = 0;
    while job.pump(Duration::from_micros(drawn(&mut dice, 400))).unwrap().state == State::Pending {
        calls += 1;
        if calls % 5 == 0 {
            between();
        }
    }
}

/// The state after 50 updates; what is pushed beside one of them is trained on, in the same order, by later ones.
fn trained(method: &str, algorithm: &str, drive: fn(&Arc<Job>, &mut dyn FnMut())) -> u64 {
    let session = learner(algorithm);
    let mut next = rows(&session, method, 0);
    for update in 1..=50 {
        session.push(&next).unwrap();
        next = rows(&session, method, update);
        let job = session.update().unwrap().unwrap();
        // an evaluation row changes no update
        let beside = Kind::Demonstrations;
        let mut pushed = false;
        drive(&job, &mut || {
            if method == "sft" && !pushed {
                session.push(&batch(beside, &[("prompt", prompts(1)), ("response", prompts(1))])).unwrap();
                pushed = true;
            }
        });
        if method == "sft" && !pushed {
            session.push(&batch(beside, &[("prompt", prompts(1)), ("response", prompts(1))])).unwrap();
        }
    }
    session.state_hash().unwrap()
}

#[test]
fn run_start_and_pump_give_the_same_bits() {
    for (method, algorithm) in METHODS {
        let whole = trained(method, algorithm, run);
        assert_eq!(trained(method, algorithm, start), whole, "{method}: start");
        assert_eq!(trained(method, algorithm, pump), whole, "{method}: pump");
    }
}

#[test]
fn cancelled_at_any_slice_an_update_leaves_whole_steps_and_its_rows() {
    let session = learner(METHODS[2].1);
    session.push(&rows(&session, "ppo", 0)).unwrap();
    let start = session.export().unwrap();
    let slices = session.update().unwrap().unwrap().run().unwrap().slices;
    // what a session is in that made exactly so many steps
    let stated = [0, 1].map(|steps| {
        session.import(&start).unwrap();
        let job = session.update().unwrap().unwrap();
        while job.report().optimizer_steps < steps {
            job.pump(Duration::ZERO).unwrap();
        }
        job.cancel();
        session.state_hash().unwrap()
    });
    let mut seen = [0, 0];
    for index in 0..slices {
        session.import(&start).unwrap();
        let job = session.update().unwrap().unwrap();
        (0..index).for_each(|_| assert_eq!(job.pump(Duration::ZERO).unwrap().state, State::Pending));
        job.cancel();
        let steps = job.report().optimizer_steps as usize;
        if steps < 2 {
            assert_eq!(session.state_hash().unwrap(), stated[steps], "after {index} slices, {steps} steps");
            seen[steps] += 1;
        }
        if index % 16 == 0 {
            assert_eq!(step(&session).unwrap().optimizer_steps, 2, "the rows are kept");
        }
    }
    assert!(slices > 60 && seen.iter().all(|seen| *seen > 10), "{slices} slices: {seen:?}");
}

#[test]
fn a_job_says_what_it_is_at() {
    let session = learner(METHODS[2].1);
    session.push(&rows(&session, "ppo", 0)).unwrap();
    let job = session.update().unwrap().unwrap();
    let (mut stages, mut progress) = (vec![job.stage().to_string()], 0.0);
    while job.pump(Duration::ZERO).unwrap().state == State::Pending {
        let (stage, now) = (job.stage().to_string(), job.report().progress);
        assert!(now >= progress, "{stage}: {progress} → {now}");
        progress = now;
        if stages.last() != Some(&stage) {
            stages.push(stage);
        }
    }
    let told = |text: &str| assert!(stages.iter().any(|stage| stage == text), "{text}: {stages:?}");
    ["score policy 1/4", "score reference 4/4", "prepare", "optimiser step 1/2", "optimiser step 2/2"]
        .into_iter()
        .for_each(told);
}

#[test]
fn a_kind_that_was_never_measured_begins_a_call() {
    let session = learner(METHODS[2].1);
    session.push(&rows(&session, "ppo", 0)).unwrap();
    let job = session.update().unwrap().unwrap();
    let whole = Duration::from_secs(3600);
    let mut calls = vec![];
    loop {
        let before = job.report().slices;
        let report = job.pump(whole).unwrap();
        calls.push(report.slices - before);
        if report.state != State::Pending {
            break;
        }
    }
    assert!((4..=12).contains(&calls.len()), "one call for each kind of slice: {calls:?}");
    assert!(calls.iter().sum::<u64>() > 4 * calls.len() as u64, "{calls:?}");
}

/// What the `tokens` events of a source say, row by row.
fn streamed(session: &Session, source: u64, rows: usize) -> (Vec<String>, Vec<Vec<i32>>) {
    let (mut texts, mut tokens) = (vec![String::new(); rows], vec![Vec::new(); rows]);
    while let Some(event) = session.runtime().events().next(source) {
        let event: serde_json::Value = serde_json::from_str(&event).unwrap();
        if event["event"] == "tokens" {
            assert_eq!((&event["job"], &event["dropped"]), (&source.into(), &0.into()));
            let row = event["row"].as_u64().unwrap() as usize;
            texts[row] += event["text"].as_str().unwrap();
            tokens[row].extend(event["tokens"].as_array().unwrap().iter().map(|token| token.as_i64().unwrap() as i32));
        }
    }
    (texts, tokens)
}

#[test]
fn streamed_texts_joined_are_the_responses() {
    let model = golden_model("gpt2");
    let tokenizer = model.tokenizer().unwrap().clone();
    let session = session(r#"{"algorithm": {"type": "sft"}, "threads": 1}"#, &model);
    let prompts = batch(Kind::Prompts, &[("prompt", (0..6).map(|row| vec![5 + row, 9]).collect())]);
    let config = keel::config::Generate { max_new_tokens: 12, temperature: 3.0, stream: true, ..Default::default() };
    let job = session.generate(&prompts, config).unwrap();
    job.set_source(41);
    job.run().unwrap();
    let (texts, tokens) = streamed(&session, 41, 6);
    let found = job.batch().unwrap();
    let response = found.column("response").unwrap();
    let split = |text: &String| text.contains(|c: char| !c.is_ascii());
    for row in 0..6 {
        assert_eq!(tokens[row], response.row_i32(row));
        assert_eq!(texts[row], tokenizer.decode(response.row_i32(row), true).unwrap());
    }
    assert!(texts.iter().any(split), "{texts:?}");
    assert!(session.model(Role::Policy).is_some());
}

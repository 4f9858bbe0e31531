//! One plan, three drivers: the same bits however a job is cut into calls and whatever is pushed beside it, and the stated
//! state wherever it ends.

mod support;

use keel::data::{Batch, Column, Kind, Values};
use keel::session::{Role, Session, State};
use std::sync::Arc;
use std::time::Duration;
use support::drive::{pump, run, start, to_step, Driver, Moments};
use support::*;

const OPTIMIZER: &str = r#""optimizer": {"learning_rate": 0.01}, "micro_batch_tokens": 20, "threads": 1}"#;

const METHODS: [(&str, &str); 5] = [
    ("sft", r#"{"algorithm": {"type": "sft", "batch_size": 3, "epochs": 0},"#),
    ("dpo", r#"{"algorithm": {"type": "dpo", "batch_size": 2, "epochs": 0},"#),
    ("reward", r#"{"algorithm": {"type": "reward", "batch_size": 2, "epochs": 0},"#),
    ("ppo", PPO),
    ("grpo", r#"{"algorithm": {"type": "grpo"},"#),
];
const PPO: &str = r#"{"algorithm": {"type": "ppo", "epochs": 1, "minibatches": 2},"#;

fn learner(method: &str, algorithm: &str) -> Arc<Session> {
    let session = Session::create(&runtime(), config(&format!("{algorithm} {OPTIMIZER}"))).unwrap();
    let role = if method == "reward" { Role::Reward } else { Role::Policy };
    session.set_model(role, tiny_model(1)).unwrap();
    session
}

/// Rows for one update of a method, in pieces of which every one is enough.
fn rows(session: &Arc<Session>, method: &str, update: u64) -> Vec<Batch> {
    match method {
        "sft" => vec![demonstrations(2), evaluation(demonstrations(1)), demonstrations(1)],
        "dpo" | "reward" => vec![pairs(1), evaluation(pairs(2)), pairs(1)],
        "ppo" => {
            let all = rollouts(session, 4, update);
            vec![picked(&all, &[0]), picked(&all, &[1, 2]), picked(&all, &[3])]
        }
        _ => {
            let all = rollouts_in_groups(session, 2, update);
            vec![picked(&all, &[0, 1, 2, 3]), picked(&all, &[4, 5, 6, 7])]
        }
    }
}

fn demonstrations(rows: usize) -> Batch {
    batch(Kind::Demonstrations, &[("prompt", prompts(rows)), ("response", prompts(rows))])
}

/// The same rows, which change no update.
fn evaluation(mut rows: Batch) -> Batch {
    let split = vec![1; rows.rows() as usize];
    rows.set("split", Column { values: Values::I32(split), offsets: None }).unwrap();
    rows
}

/// The state after each of 50 updates; what is pushed beside one of them is trained on by later ones.
fn trained(method: &str, algorithm: &str, drive: Driver, moments: &mut Moments) -> Vec<u64> {
    moments.again();
    let session = learner(method, algorithm);
    let push = |rows: Option<Batch>| rows.map(|rows| session.push(&rows).unwrap());
    rows(&session, method, 0).into_iter().for_each(|rows| _ = push(Some(rows)));
    let after = |update| {
        let mut next = rows(&session, method, update).into_iter();
        let job = session.update().unwrap().unwrap();
        drive(&job, moments, &mut || _ = push(next.next()));
        let hash = session.state_hash().unwrap();
        next.for_each(|rows| _ = push(Some(rows)));
        hash
    };
    (1..=50).map(after).collect()
}

#[test]
fn run_start_and_pump_give_the_same_bits() {
    for (method, algorithm) in METHODS {
        let mut moments = Moments::default();
        let pumped = trained(method, algorithm, pump, &mut moments);
        assert!(moments.total() > 10, "{method}: {moments:?}");
        for (name, drive) in [("run", run as Driver), ("start", start)] {
            assert_eq!(trained(method, algorithm, drive, &mut moments), pumped, "{method}: {name}: {moments:?}");
        }
    }
}

#[test]
fn cancelled_at_any_slice_an_update_leaves_whole_steps_and_its_rows() {
    let session = learner("ppo", PPO);
    session.push(&rollouts(&session, 4, 0)).unwrap();
    let start = session.export().unwrap();
    let slices = session.update().unwrap().unwrap().run().unwrap().slices;
    // what a session is in that made exactly so many steps
    let stated = [0, 1].map(|steps| {
        session.import(&start).unwrap();
        let job = session.update().unwrap().unwrap();
        to_step(&job, steps);
        job.cancel();
        session.state_hash().unwrap()
    });
    let mut seen = [0, 0];
    for index in 0..slices {
        session.import(&start).unwrap();
        let job = session.update().unwrap().unwrap();
        drive::slices(&job, index);
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
    let session = learner("ppo", PPO);
    session.push(&rollouts(&session, 4, 0)).unwrap();
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
    let session = learner("ppo", PPO);
    session.push(&rollouts(&session, 4, 0)).unwrap();
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

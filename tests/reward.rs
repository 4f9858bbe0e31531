//! Reward models in training and at work: pairs, ranked lists, several scores, steps; a session that they judge.

mod support;

use keel::config::Load;
use keel::data::{Column, Kind, Values};
use keel::error::Status;
use keel::model::{score, Model, ScoreOptions, Sequence, Transformer};
use keel::session::{Role, Session};
use std::sync::Arc;
use support::*;

/// A session that trains a reward model on the tiny language model's trunk.
fn judge(settings: &str) -> Arc<Session> {
    let text = format!(
        r#"{{"algorithm": {{"type": "reward", "batch_size": 8, "epochs": 0{settings}}},
            "optimizer": {{"learning_rate": 0.003}}, "threads": 1}}"#
    );
    let session = Session::create(&runtime(), config(&text)).unwrap();
    session.set_model(Role::Reward, tiny_model(2)).unwrap();
    session
}

fn flat(values: Vec<f32>) -> Column {
    Column { values: Values::F32(values), offsets: None }
}

fn train(session: &Arc<Session>, steps: usize) {
    for _ in 0..steps {
        step(session).unwrap();
    }
}

#[test]
fn scores_learn_from_margins_probabilities_and_weights_of_their_own() {
    let session = judge(r#", "scores": ["helpful", "safe"]"#);
    let mut rows = pairs(8);
    // the second score prefers what the first rejects; the third pair is nobody's business
    rows.set("probability", flat([1.0, 0.0].repeat(8))).unwrap();
    rows.set("weight", flat((0..16).map(|place| if place / 2 == 2 { 0.0 } else { 1.0 }).collect())).unwrap();
    session.push(&rows).unwrap();
    train(&session, 40);
    assert_eq!(metric(&session, "preference/accuracy"), 1.0);
    let model = session.model(Role::Reward).unwrap();
    assert_eq!(model.score_names(), ["helpful", "safe"]);
    let mut wrong = pairs(2);
    wrong.set("margin", flat(vec![0.0; 6])).unwrap();
    let error = session.push(&wrong).unwrap_err();
    assert_eq!((error.status, error.message.as_str()), (Status::Shape, "margin: expected 1 or 2 numbers a row, got 3"));
}

#[test]
fn a_list_is_never_divided_and_its_order_and_chunks_change_nothing() {
    let numbers = |settings: &str, reversed: bool| {
        let text = format!(
            r#"{{"algorithm": {{"type": "reward", "learns": "rankings", "batch_size": 4, "shuffle": false}}, {settings}
                "threads": 1}}"#
        );
        let session = Session::create(&runtime(), config(&text)).unwrap();
        session.set_model(Role::Reward, tiny_model(2)).unwrap();
        let rows = rankings(2);
        session.push(&if reversed { backwards(&rows) } else { rows }).unwrap();
        step(&session).unwrap();
        assert!(session.update().unwrap().is_none(), "four rows became two whole lists");
        ["loss/preference", "gradient/norm", "score/mean"].map(|name| metric(&session, name))
    };
    let whole = numbers("", false);
    for (settings, reversed) in [("\"micro_batch_tokens\": 7,", false), ("", true)] {
        for (left, right) in whole.iter().zip(numbers(settings, reversed)) {
            assert!((left - right).abs() <= 1e-5 * left.abs().max(1.0), "{settings}{reversed}: {left} {right}");
        }
    }
}

#[test]
fn a_reward_model_judges_the_rollouts_that_nobody_rewarded() {
    let trainer = judge("");
    trainer.push(&pairs(8)).unwrap();
    train(&trainer, 20);
    let model = trainer.model(Role::Reward).unwrap();
    let text = r#"{"algorithm": {"type": "ppo", "epochs": 1}, "threads": 1}"#;
    let session = session(text, &tiny_model(1));
    let mut rows = rollouts(&session, 4, 0);
    let bare = without(&rows, "reward");
    session.push(&bare).unwrap();
    assert!(session.update().unwrap().is_none(), "no rewards, no judge");
    session.set_model(Role::Reward, model).unwrap();
    step(&session).unwrap();
    let judged = metric(&session, "reward/mean");
    rows.set("reward", flat(vec![7.0; 4])).unwrap();
    session.push(&rows).unwrap();
    step(&session).unwrap();
    assert_eq!(metric(&session, "reward/mean"), 7.0, "the host's rewards come first");
    assert!(judged.is_finite() && judged != 0.0);
    let first = session.push(&bare).unwrap();
    session.reward(&[first, first + 1, first + 2], &[100.0; 3]).unwrap();
    step(&session).unwrap();
    let mixed = metric(&session, "reward/mean");
    assert!(mixed > 70.0 && mixed != 75.0, "three are the host's, the fourth is judged: {mixed}");
}

#[test]
fn a_reward_model_is_saved_loaded_and_restored() {
    let session = judge("");
    session.push(&pairs(8)).unwrap();
    train(&session, 3);
    let folder = std::env::temp_dir().join(format!("keel-reward-{}", std::process::id()));
    session.model(Role::Reward).unwrap().save(&folder).unwrap();
    let loaded = Model::load(&folder, &Load::default()).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(loaded.weights().data().equal(&session.model(Role::Reward).unwrap().weights().data()));
    assert_eq!(loaded.score_names(), ["reward"]);
    let (saved, hash) = (session.export().unwrap(), session.state_hash().unwrap());
    train(&session, 2);
    let later = session.state_hash().unwrap();
    session.import(&saved).unwrap();
    assert_eq!(session.state_hash().unwrap(), hash);
    train(&session, 2);
    assert_eq!(session.state_hash().unwrap(), later);
}

#[test]
fn new_scores_are_about_as_large_as_one_and_steps_are_read_at_their_own_tokens() {
    let names: Vec<String> = (0..200).map(|score| format!("score {score}")).collect();
    let model = tiny_model(2).with_scores(&names, 5).unwrap();
    let network = Transformer::read(model.architecture(), &model.weights()).unwrap();
    let told = |tokens: &[i32]| {
        let sequence = Sequence { tokens: tokens.to_vec(), prompt_length: 2, mask: None };
        let options = ScoreOptions { width: 4, ..ScoreOptions::default() };
        tch::no_grad(|| score(&network, None, &[&sequence], &options).unwrap())
    };
    let whole = told(&[3, 9, 4, 5, 12, 7]);
    let deviation = whole.scores.as_ref().unwrap().std(true).double_value(&[]);
    assert!((0.7..1.4).contains(&deviation), "{deviation}");
    for last in 0..4 {
        let cut = told(&[3, 9, 4, 5, 12, 7][..3 + last]).scores.unwrap().double_value(&[0, 0]);
        let step = whole.values.as_ref().unwrap().double_value(&[0, last as i64]);
        assert!((cut - step).abs() < 1e-5, "after token {last}: {step}, of the text that ends there {cut}");
    }
}

#[test]
fn roles_that_do_not_fit_are_refused() {
    let judge = judge("");
    let refuse = |session: &Session, role: Role, model: &Arc<Model>, status: Status, words: &str| {
        let error = session.set_model(role, model.clone()).unwrap_err();
        assert!(error.status == status && error.message.contains(words), "{error}");
    };
    refuse(&judge, Role::Policy, &tiny_model(1), Status::State, "set it with the role reward");
    refuse(&judge, Role::Reward, &tiny_model(1), Status::State, "in training already");
    let reward = judge.model(Role::Reward).unwrap();
    let ppo = Session::create(&runtime(), config(r#"{"algorithm": {"type": "ppo"}, "threads": 1}"#)).unwrap();
    refuse(&ppo, Role::Policy, &reward, Status::Shape, "expected a language model for the role policy");
    refuse(&ppo, Role::Reference, &reward, Status::Shape, "expected a language model for the role reference");
    refuse(&ppo, Role::Reward, &tiny_model(1), Status::Shape, "expected 1 scores");
    let prompts = batch(Kind::Prompts, &[("prompt", prompts(1))]);
    let error = judge.generate(&prompts, Default::default()).err().unwrap();
    assert_eq!(error.status, Status::State);
}

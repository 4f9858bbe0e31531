//! Every method improves a toy: one test for each loss, so that breaking one fails its own.

#[macro_use]
mod methods;
mod support;

use keel::session::{Role, Session};
use methods::Toy;
use serde_json::{json, Value};
use std::sync::Arc;
use support::*;

macro_rules! learns {
    ($kind:ident: $($name:ident = $settings:expr;)+) => {
        $(
            #[test]
            fn $name() {
                $kind(stringify!($name), methods::$kind($settings));
            }
        )+
    };
}

methods!(learns);

fn learning_rate(rate: f64) -> Value {
    json!({ "optimizer": { "learning_rate": rate } })
}

fn steps(session: &Arc<Session>, count: usize) {
    for _ in 0..count {
        step(session).unwrap();
    }
}

fn imitates(name: &str, toy: Toy) {
    let session = toy.session(learning_rate(0.01));
    session.push(&toy.rows).unwrap();
    step(&session).unwrap();
    let first = metric(&session, "loss/nll");
    steps(&session, 30);
    let last = metric(&session, "loss/nll");
    assert!(last < 0.5 * first, "{name}: {first} → {last}");
}

fn judges(name: &str, toy: Toy) {
    let session = toy.session(learning_rate(0.003));
    session.push(&toy.rows).unwrap();
    steps(&session, 30);
    assert_eq!(metric(&session, "preference/accuracy"), 1.0, "{name}");
}

fn raises(name: &str, toy: Toy) {
    let session = toy.session(learning_rate(0.003));
    let settings = toy.algorithm.to_string();
    let mut rewards = Vec::new();
    for update in 0..25 {
        session.push(&methods::rewarded(&session, &settings, update)).unwrap();
        // dynamic sampling waits where the toy is learned and all responses are equally good
        let Some(job) = session.update().unwrap() else { continue };
        job.run().unwrap();
        rewards.push(metric(&session, "reward/mean"));
    }
    assert!(rewards.len() == 25 || (rewards.len() > 15 && settings.contains("drop")), "{name}: {rewards:?}");
    let (first, last) = (rewards[0], rewards[rewards.len() - 5..].iter().sum::<f64>() / 5.0);
    assert!(last > first + 0.15, "{name}: {rewards:?}");
}

fn prefers(name: &str, toy: Toy) {
    let session = toy.session(learning_rate(0.01));
    session.push(&toy.rows).unwrap();
    step(&session).unwrap();
    let first = metric(&session, "loss/total");
    if session.model(Role::Reference).is_some() {
        assert_eq!(metric(&session, "preference/margin"), 0.0, "{name}: policy and reference agree at first");
    }
    steps(&session, 30);
    let (accuracy, last) = (metric(&session, "preference/accuracy"), metric(&session, "loss/total"));
    assert!(accuracy > 0.8 && last < first, "{name}: accuracy {accuracy}, loss {first} → {last}");
}

fn sorts(name: &str, mut toy: Toy) {
    toy.algorithm["batch_size"] = json!(8);
    let session = toy.session(learning_rate(0.01));
    session.push(&toy.rows).unwrap();
    steps(&session, 31);
    assert_eq!(metric(&session, "preference/accuracy"), 1.0, "{name}");
    let (good, bad) = (metric(&session, "reward/chosen"), metric(&session, "reward/rejected"));
    assert!(good > 0.5 && bad < -0.5, "{name}: {good} {bad}");
}

//! The group family in training: the trajectory of an independent implementation, its invariances, its refusals.

mod support;

use keel::data::{Batch, Column, Kind, Values};
use keel::error::Status;
use support::*;

const GRPO: &str = r#"{"algorithm": {"type": "grpo"}, "optimizer": {"learning_rate": 0.003}, "threads": 1}"#;

#[test]
fn the_first_step_has_ratio_one_and_no_divergence() {
    let text = GRPO.replace("\"grpo\"", "\"grpo\", \"kl_coef\": 0.1");
    let session = session(&text, &tiny_model(1));
    session.push(&rollouts_in_groups(&session, 3, 0)).unwrap();
    step(&session).unwrap();
    assert_eq!(metric(&session, "policy/ratio_max_log"), 0.0);
    assert_eq!((metric(&session, "kl/sequence"), metric(&session, "kl/token")), (0.0, 0.0));
}

#[test]
fn memory_settings_and_the_order_of_rows_change_nothing_beyond_rounding() {
    let numbers = |settings: &str, reversed: bool| {
        let policy = tiny_model(1);
        let session = session(&GRPO.replace("\"threads\"", &format!("{settings}\"threads\"")), &policy);
        let sampled = rollouts_in_groups(&session, 5, 0);
        session.push(&if reversed { backwards(&sampled) } else { sampled }).unwrap();
        step(&session).unwrap();
        let names = ["loss/policy", "gradient/norm", "group/reward_std", "reward/mean"];
        (names.map(|name| metric(&session, name)), policy.weights().data().copy())
    };
    let (whole, parameters) = numbers("", false);
    for (settings, reversed) in [("\"micro_batch_tokens\": 30, ", false), ("", true)] {
        let (other, other_parameters) = numbers(settings, reversed);
        for (left, right) in whole.iter().zip(&other) {
            assert!((left - right).abs() <= 1e-5 * left.abs().max(1.0), "{settings}{reversed}: {whole:?} {other:?}");
        }
        assert!((&parameters - other_parameters).abs().max().double_value(&[]) < 1e-4, "{settings}{reversed}");
    }
}

#[test]
fn a_prompt_with_a_single_response_is_refused_unless_allowed() {
    let allowing = GRPO.replace("\"grpo\"", "\"grpo\", \"allow_singletons\": true");
    let (strict, open) = (session(GRPO, &tiny_model(1)), session(&allowing, &tiny_model(1)));
    let alone = rollouts(&strict, 3, 0);
    let hash = strict.state_hash().unwrap();
    let error = strict.push(&alone).unwrap_err();
    assert_eq!(error.status, Status::Data);
    assert_eq!(error.message, "row 0: group: expected at least 2 responses to a prompt in one batch, got 1");
    assert_eq!(strict.state_hash().unwrap(), hash);
    open.push(&alone).unwrap();
    step(&open).unwrap();
    assert_eq!(metric(&open, "group/equal_fraction"), 1.0);
    assert_eq!(metric(&open, "loss/policy"), 0.0);
}

#[test]
fn groups_of_two_batches_are_not_mixed() {
    let session = session(GRPO, &tiny_model(1));
    let mut first = rollouts_in_groups(&session, 1, 0);
    let mut second = rollouts_in_groups(&session, 1, 1);
    for (batch, reward) in [(&mut first, 1.0), (&mut second, 5.0)] {
        batch.set("reward", Column { values: Values::F32(vec![reward; 4]), offsets: None }).unwrap();
        session.push(batch).unwrap();
    }
    step(&session).unwrap();
    assert_eq!(metric(&session, "group/equal_fraction"), 1.0, "both number their group 0");
}

#[test]
fn responses_without_group_numbers_are_joined_by_their_prompts() {
    let session = session(GRPO, &tiny_model(1));
    let sampled = rollouts_in_groups(&session, 3, 0);
    let mut bare = Batch::new(Kind::Rollouts, sampled.rows()).unwrap();
    for (name, column) in sampled.columns().filter(|(name, _)| *name != "group") {
        bare.set(name, column.clone()).unwrap();
    }
    session.push(&bare).unwrap();
    step(&session).unwrap();
    assert!(metric(&session, "group/reward_std") > 0.0);
}

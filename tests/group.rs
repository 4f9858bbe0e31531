//! The group family in training: the trajectory of an independent implementation, its invariances, its refusals.

mod support;

use keel::data::{Column, Values};
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
    let bare = without(&sampled, "group");
    session.push(&bare).unwrap();
    step(&session).unwrap();
    assert!(metric(&session, "group/reward_std") > 0.0);
}

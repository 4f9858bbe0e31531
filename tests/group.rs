//! The group family in training: the trajectory of an independent implementation, its invariances, its refusals.

mod support;

use keel::data::{Batch, Column, Kind, Values};
use keel::error::Status;
use support::*;

const GRPO: &str = r#"{"algorithm": {"type": "grpo"}, "optimizer": {"learning_rate": 0.003}, "threads": 1}"#;

#[test]
fn every_member_of_the_family_raises_the_reward_of_its_toy() {
    let members = [
        ("GRPO", r#""kl_coef": 0.01"#),
        ("Dr. GRPO", r#""scale": "none", "reduction": "sum_over_constant", "max_length": 8"#),
        ("DAPO", r#""clip_range_high": 0.28, "reduction": "token_mean", "max_length": 9, "overlong_buffer": 2"#),
        (
            "RLOO",
            r#""baseline": "leave_one_out", "scale": "none", "ratio": "sequence_sum", "kl_coef": 0.01, "kl_in": "reward""#,
        ),
        ("GSPO", r#""ratio": "sequence_mean", "clip_range": 0.0003, "clip_range_high": 0.0004"#),
        ("CISPO", r#""objective": "weighted", "clip_range_high": 2, "reduction": "token_mean""#),
        ("SAPO", r#""objective": "gated", "epochs": 2"#),
        ("GMPO", r#""objective": "geometric", "clip_range": 0.4, "epochs": 2"#),
        ("VESPO", r#""objective": "variational", "reduction": "token_mean""#),
        ("LUSPO", r#""ratio": "sequence_mean", "reduction": "sequence_mean_token_sum""#),
        ("OPO", r#""baseline": "length_weighted", "scale": "none""#),
        ("two-sided clip", r#""ratio_cap": 4, "epochs": 2"#),
        ("entropy quantile", r#""entropy_quantile": 0.4"#),
        ("dynamic sampling", r#""equal_groups": "drop", "min_groups": 2"#),
        (
            "token importance",
            r#""importance": {"type": "token_truncate", "high": 2}, "off_policy_mask_threshold": 0.5"#,
        ),
    ];
    for (name, settings) in members {
        let text = GRPO.replace("\"grpo\"", &format!("\"grpo\", {settings}"));
        let session = session(&text, &tiny_model(1));
        let mut rewards = Vec::new();
        for update in 0..25 {
            session.push(&rollouts_in_groups(&session, 12, update)).unwrap();
            // dynamic sampling waits where the toy is learned and all responses are equally good
            let Some(job) = session.update().unwrap() else { continue };
            job.run().unwrap();
            rewards.push(metric(&session, "reward/mean"));
        }
        assert!(rewards.len() == 25 || (rewards.len() > 15 && name == "dynamic sampling"), "{name}: {rewards:?}");
        let (first, last) = (rewards[0], rewards[rewards.len() - 5..].iter().sum::<f64>() / 5.0);
        assert!(last > first + 0.15, "{name}: {rewards:?}");
    }
}

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

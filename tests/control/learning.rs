//! What sessions learn, and what must not change it.

use crate::hosts::*;
use keel::session::control::Actor;
use keel::session::Learner;
use serde_json::json;

/// Settings that solve the cart soon: those of the zoo of Stable-Baselines3 with a constant rate.
fn quick() -> serde_json::Value {
    json!({"rollout_steps": 256, "epochs": 20, "minibatches": 1, "discount": 0.98, "gae_lambda": 0.8,
           "optimizer": {"learning_rate": 1e-3}})
}

#[test]
fn the_cart_stays_up() {
    for learner in ["fused", "libtorch"] {
        let mut settings = quick();
        settings["learner"] = json!(learner);
        let session = session(settings, cart_config(json!({})));
        let actor = Actor::create(&session).unwrap();
        let before = evaluate(&actor, 10);
        let after = Carts::new(8).best(&session, &actor, 160);
        assert!(before < 60.0 && after > 400.0, "{learner}: {before} → {after}");
    }
}

#[test]
fn normalised_observations_and_rewards_learn_too() {
    let mut settings = quick();
    settings["normalize_rewards"] = json!(true);
    let session = session(settings, cart_config(json!({"normalize_observations": true, "value": "shared"})));
    let actor = Actor::create(&session).unwrap();
    let after = Carts::new(8).best(&session, &actor, 160);
    assert!(after > 400.0, "{after}");
}

#[test]
fn steps_of_slots_that_pause_and_end_when_they_like_are_all_learned_from() {
    let session = session(json!({"rollout_steps": 5, "epochs": 1, "minibatches": 1}), cart_config(json!({})));
    let actor = Actor::create(&session).unwrap();
    let observation = [0.1f32, 0.0, 0.0, 0.0];
    use keel::session::control::Episode::*;
    act(&actor, &[7, 3], &[observation, observation].concat(), RECORDED);
    actor.observe(&[3], &[1.0], &[Running], &[]).unwrap();
    act(&actor, &[3], &observation, RECORDED);
    actor.observe(&[3], &[1.0], &[Truncated], &bytes(&observation)).unwrap();
    assert!(session.clone().update().unwrap().is_none(), "two steps are finished");
    actor.observe(&[7], &[2.0], &[Abandoned], &[]).unwrap();
    for _ in 0..3 {
        act(&actor, &[3], &observation, RECORDED);
        actor.observe(&[3], &[1.0], &[Terminated], &[]).unwrap();
    }
    session.clone().update().unwrap().unwrap().run().unwrap();
    assert_eq!(metric(&session, "steps/trained"), 5.0, "all but the abandoned one");
    assert_eq!((metric(&session, "episode/count"), metric(&session, "episode/return")), (4.0, 1.25));
    assert_eq!(metric(&session, "policy/ratio_max_log"), 0.0, "sampler and learner agree");
}

#[test]
fn truncation_rules_by_hand() {
    // one slot, one step that is cut off: Â = r + γ·next − V, and its return is Â + V
    let returned = |rule: &str| {
        let settings = json!({"rollout_steps": 1, "epochs": 1, "minibatches": 1, "discount": 0.5, "truncation": rule,
                              "advantages": "off", "optimizer": {"learning_rate": 1e-12}});
        let session = session(settings, cart_config(json!({"hidden": []})));
        let actor = Actor::create(&session).unwrap();
        act(&actor, &[0], &[1.0, 0.0, 0.0, 0.0], RECORDED);
        let last = bytes(&[2.0, 0.0, 0.0, 0.0]);
        actor.observe(&[0], &[3.0], &[keel::session::control::Episode::Truncated], &last).unwrap();
        session.clone().update().unwrap().unwrap().run().unwrap();
        (metric(&session, "returns/mean"), metric(&session, "value/mean"))
    };
    // a linear network without bias: the value of the final observation is twice that of the step's own
    let value = returned("ignore").1;
    assert!(value.abs() > 1e-3);
    for (rule, expected) in [
        ("exact", 3.0 + 0.5 * 2.0 * value),
        ("completion", 3.0 + 0.5 * 2.0 * value),
        ("current", 3.0 + 0.5 * value),
        ("ignore", 3.0),
    ] {
        let found = returned(rule).0;
        assert!((found - expected).abs() < 1e-6, "{rule}: {found}, not {expected}");
    }
}

#[test]
fn a_dropped_step_ends_the_one_before_it_at_its_value() {
    use keel::session::control::Episode::*;
    let settings = json!({"rollout_steps": 2, "epochs": 1, "minibatches": 1, "discount": 0.5, "truncation": "drop",
                          "gae_lambda": 1.0, "advantages": "off", "optimizer": {"learning_rate": 1e-12}});
    let session = session(settings, cart_config(json!({"hidden": []})));
    let actor = Actor::create(&session).unwrap();
    act(&actor, &[0], &[1.0, 0.0, 0.0, 0.0], RECORDED);
    actor.observe(&[0], &[3.0], &[Running], &[]).unwrap();
    act(&actor, &[0], &[2.0, 0.0, 0.0, 0.0], RECORDED);
    actor.observe(&[0], &[100.0], &[Truncated], &[]).unwrap();
    session.clone().update().unwrap().unwrap().run().unwrap();
    assert_eq!(metric(&session, "steps/trained"), 1.0);
    let (found, value) = (metric(&session, "returns/mean"), metric(&session, "value/mean"));
    assert!((found - (3.0 + 0.5 * 2.0 * value)).abs() < 1e-6, "{found} {value}");
}

/// A session of masks, two branches and a continuous action that has learned once from 64 random steps.
fn mixed(learner: &str) -> (Vec<f32>, f64) {
    let network = json!({
        "model_type": "control", "hidden": [16, 8], "activation": "silu", "value": "shared", "policy_gain": 1.0,
        "observations": [{"type": "mask", "action": "b"}, {"type": "vector", "name": "o", "size": 3}],
        "actions": [{"type": "discrete", "name": "a", "choices": 2}, {"type": "continuous", "name": "c", "size": 2},
                    {"type": "discrete", "name": "b", "choices": 3}],
    });
    let session = session(
        json!({"rollout_steps": 64, "epochs": 3, "minibatches": 4, "entropy_coef": 0.1, "value_clip_range": 0.2,
               "learner": learner, "optimizer": {"learning_rate": 3e-3}}),
        network,
    );
    let actor = Actor::create(&session).unwrap();
    let slots: Vec<u32> = (0..8).collect();
    for step in 0..9 {
        let mut records = Vec::new();
        for slot in 0..8 {
            let mask = [[1, 0, 1], [0, 1, 0], [1, 1, 1]][(step + slot) % 3];
            records.extend([&mask[..], &[0]].concat());
            records.extend(bytes(&[(step as f32).sin(), (slot as f32).cos(), (step * slot) as f32 % 3.0 - 1.0]));
        }
        let mut actions = vec![0u8; 16 * 8];
        actor.act(&slots, &records, &mut actions, RECORDED, None).unwrap();
        let rewards: Vec<f32> =
            actions.chunks_exact(16).map(|action| f32::from(action[0]) - f32::from(action[12])).collect();
        let ended = if step % 4 == 3 {
            keel::session::control::Episode::Terminated
        } else {
            keel::session::control::Episode::Running
        };
        actor.observe(&slots, &rewards, &[ended; 8], &[]).unwrap();
    }
    session.clone().update().unwrap().unwrap().run().unwrap();
    let Some(keel::model::AnyModel::Control(policy)) = session.model(keel::session::Role::Policy) else {
        panic!("a policy")
    };
    (policy.published().weights.clone(), metric(&session, "policy/approx_kl"))
}

#[test]
fn both_learners_learn_the_same_from_masked_and_mixed_actions() {
    let ((fused, kl), (libtorch, _)) = (mixed("fused"), mixed("libtorch"));
    assert!(kl > 1e-6, "the policy moved: {kl}");
    let worst = fused.iter().zip(&libtorch).map(|(fused, torch)| (fused - torch).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "off by {worst}");
}

//! Variants of PPO do what they say, are kept in checkpoints, and refuse what contradicts them.

use crate::hosts::*;
use crate::pendulum::{pendulum_config, Pendulums};
use keel::error::Status;
use keel::session::control::{Actor, ControlSession};
use keel::session::{AnySession, Config, Learner, Role};
use serde_json::{json, Value};
use std::sync::Arc;

/// Two updates of a session of these settings on carts: the hash behind each.
fn twice(more: Value) -> [u64; 2] {
    let (session, actor) = small(more);
    let mut carts = Carts::new(4);
    [(); 2].map(|()| {
        carts.learn(&session, &actor);
        session.state_hash().unwrap()
    })
}

fn small(more: Value) -> (Arc<ControlSession>, Arc<Actor>) {
    let mut settings = json!({"rollout_steps": 64, "epochs": 2, "minibatches": 4, "entropy_coef": 0.01});
    more.as_object().unwrap().iter().for_each(|(key, value)| settings[key] = value.clone());
    let session = session(settings, cart_config(json!({})));
    let actor = Actor::create(&session).unwrap();
    (session, actor)
}

#[test]
fn schedules_leave_the_first_update_and_change_the_next() {
    let quick = json!({"clip_range": 0.02, "optimizer": {"learning_rate": 3e-3}});
    let plain = twice(quick.clone());
    for name in ["clip_schedule", "entropy_schedule"] {
        let mut falling = quick.clone();
        falling[name] = json!({"type": "linear", "total_steps": 2});
        let found = twice(falling);
        assert!(found[0] == plain[0] && found[1] != plain[1], "{name}: {found:?} {plain:?}");
    }
    // at ε = 0 every ratio but 1 is outside
    let (session, actor) = small(json!({"clip_schedule": {"type": "linear", "total_steps": 1}}));
    let mut carts = Carts::new(4);
    carts.learn(&session, &actor);
    let before = metric(&session, "policy/clip_fraction");
    carts.learn(&session, &actor);
    let after = metric(&session, "policy/clip_fraction");
    assert!(before < 0.5 && after > 0.5, "{before} {after}");
}

#[test]
fn clips_and_scales_of_the_value_are_its_own() {
    let plain = twice(json!({}));
    for more in [json!({"gradient_clip": "separate"}), json!({"normalize_values": true})] {
        assert_ne!(twice(more.clone())[0], plain[0], "{more}");
    }
    // far beyond the five deviations that the network itself can say
    let (session, actor) = small(json!({"normalize_values": true, "rollout_steps": 512, "epochs": 20,
                                        "optimizer": {"learning_rate": 3e-3}}));
    let mut carts = Carts::new(4);
    (0..5).for_each(|_| carts.learn(&session, &actor));
    let found = metric(&session, "value/mean");
    assert!(found > 8.0, "{found}");
}

#[test]
fn the_learning_rate_follows_the_policy_and_is_kept() {
    for law in ["before_step", "after_step", "after_epoch"] {
        let adaptive = json!({"law": law, "target_kl": 1e-5, "minimum": 1e-6, "refresh": true});
        let (session, actor) = small(json!({ "adaptive_rate": adaptive, "optimizer": {"learning_rate": 1e-3} }));
        let mut carts = Carts::new(4);
        (0..3).for_each(|_| carts.learn(&session, &actor));
        let (rate, moved) = (metric(&session, "optimizer/learning_rate"), metric(&session, "policy/kl"));
        assert!((1e-6..1e-3).contains(&rate) && moved > 0.0, "{law}: {rate} {moved}");
        let bytes = session.export().unwrap();
        let (other, heir) = small(json!({ "adaptive_rate": adaptive, "optimizer": {"learning_rate": 1e-3} }));
        other.import(&bytes).unwrap();
        assert_eq!(session.state_hash().unwrap(), other.state_hash().unwrap());
        let mut again = carts.clone();
        carts.learn(&session, &actor);
        again.learn(&other, &heir);
        assert_eq!(session.state_hash().unwrap(), other.state_hash().unwrap(), "{law}");
    }
}

#[test]
fn means_beyond_their_bounds_are_drawn_back() {
    let beyond = |coef: f64| {
        let settings = json!({"rollout_steps": 512, "bound_coef": coef, "epochs": 5, "minibatches": 8});
        let session = session(settings, pendulum_config(json!({"policy_gain": 20.0})));
        let actor = Actor::create(&session).unwrap();
        let mut pendulums = Pendulums::new(4, 1);
        (0..4).for_each(|_| pendulums.learn(&session, &actor));
        metric(&session, "policy/beyond_bounds")
    };
    let (free, drawn) = (beyond(1e-9), beyond(10.0));
    assert!(drawn < 0.5 * free && free > 0.01, "{free} → {drawn}");
}

#[test]
fn contradictions_are_refused() {
    for (algorithm, optimizer, says) in [
        (
            json!({"adaptive_rate": {}}),
            json!({"schedule": {"type": "linear", "total_steps": 9}}),
            "/optimizer/schedule: expected a constant one",
        ),
        (
            json!({"adaptive_rate": {}}),
            json!({"learning_rate": 0.1}),
            "/optimizer/learning_rate: expected from 0.00001 to 0.01",
        ),
        (
            json!({"adaptive_rate": {"minimum": 0.1}}),
            json!({}),
            "/algorithm/adaptive_rate/minimum: expected at most maximum",
        ),
        (
            json!({"gradient_clip": "separate"}),
            json!({"max_grad_norm": 0}),
            "/algorithm/gradient_clip: expected \"whole\"",
        ),
        (json!({"adaptive_rate": {"law": "never"}}), json!({}), "/algorithm/adaptive_rate/law"),
    ] {
        let mut text = json!({"algorithm": {"type": "control_ppo"}, "optimizer": optimizer});
        algorithm.as_object().unwrap().iter().for_each(|(key, value)| text["algorithm"][key] = value.clone());
        let created = Config::parse(Some(text.to_string().as_bytes()))
            .and_then(|config| AnySession::create(&runtime(), config).map(|_| ()));
        let error = created.expect_err(says);
        assert!(error.status == Status::Config && error.message.contains(says), "{error}, not {says}");
    }
    let error =
        bare(json!({"bound_coef": 1.0})).set_model(Role::Policy, policy(cart_config(json!({})), 0)).unwrap_err();
    assert!(error.message.contains("a continuous action between low and high"), "{error}");
}

//! PPO against values worked by hand, and its degenerate batches.

use super::config::Kl;
use super::*;

/// Two rollouts of two tokens (the second has one), values zero, reference equal to the policy.
fn columns(rewards: [f32; 2]) -> Columns {
    let log_probs = Tensor::from_slice(&[-1f32, -2.0, -3.0, 0.0]).reshape([2, 2]);
    let mut columns = Columns::new(2);
    columns.insert("mask", Tensor::from_slice(&[true, true, true, false]).reshape([2, 2]));
    columns.insert("policy_log_probs", log_probs.copy());
    columns.insert("rollout_log_probs", log_probs.copy());
    columns.insert("reference_log_probs", log_probs.copy());
    columns.insert("values", log_probs.zeros_like());
    columns.insert("rewards", Tensor::from_slice(&rewards).unsqueeze(1));
    columns.insert("finished", Tensor::from_slice(&[1f32, 0.0]));
    columns
}

fn named(metrics: &[Measured], name: &str) -> f64 {
    metrics.iter().find(|(known, _)| *known == name).unwrap().1.double_value(&[])
}

fn raw() -> Config {
    Config { advantages: Normalisation::Raw, gae_lambda: 1.0, ..Config::default() }
}

#[test]
fn advantages_of_zero_values_are_the_rewards_to_go() {
    let mut columns = columns([1.0, -2.0]);
    Ppo::new(raw()).prepare(&mut columns).unwrap();
    let advantages = Vec::<f32>::try_from(columns.get("advantages").unwrap().reshape([-1])).unwrap();
    assert_eq!(advantages, [1.0, 1.0, -2.0, 0.0]);
}

#[test]
fn missing_eos_penalty_meets_the_unfinished_rollout_only() {
    let mut columns = columns([1.0, 1.0]);
    let config = Config { missing_eos_penalty: 0.5, ..raw() };
    Ppo::new(config).prepare(&mut columns).unwrap();
    let advantages = Vec::<f32>::try_from(columns.get("advantages").unwrap().reshape([-1])).unwrap();
    assert_eq!(advantages, [1.0, 1.0, 0.5, 0.0]);
}

#[test]
fn kl_is_zero_where_policy_and_reference_agree() {
    let metrics = Ppo::new(raw()).prepare(&mut columns([1.0, 0.0])).unwrap();
    assert_eq!(named(&metrics, "kl/sequence"), 0.0);
}

#[test]
fn kl_penalty_lowers_the_reward_of_each_token() {
    let mut columns = columns([0.0, 0.0]);
    columns.insert("reference_log_probs", Tensor::from_slice(&[-1.5f32, -2.0, -3.0, 0.0]).reshape([2, 2]));
    let config = Config { kl: Kl::Fixed(config::FixedKl { coef: 0.2 }), ..raw() };
    let metrics = Ppo::new(config).prepare(&mut columns).unwrap();
    let advantages = Vec::<f32>::try_from(columns.get("advantages").unwrap().reshape([-1])).unwrap();
    assert!((advantages[0] + 0.1).abs() < 1e-7 && advantages[1] == 0.0, "{advantages:?}");
    assert!((named(&metrics, "kl/sequence") - 0.25).abs() < 1e-7);
}

#[test]
fn loss_equals_the_clipped_objective_worked_by_hand() {
    let mut columns = columns([1.0, 0.0]);
    let ppo = Ppo::new(Config { value_coef: 1.0, ..raw() });
    let mut ppo_state = Ppo::new(Config { value_coef: 1.0, ..raw() });
    ppo_state.prepare(&mut columns).unwrap();
    let log_probs = Tensor::from_slice(&[-1f32 + 1.5f32.ln(), -2.0, -3.0, 0.0]).reshape([2, 2]);
    let values = Some(log_probs.zeros_like());
    let scores = Scores { values, ..Scores::of(&log_probs, columns.get("mask").unwrap()) };
    let loss = ppo.loss(&scores, &columns).unwrap();
    let policy = (-1.2 - 1.0 - 0.0) / 3.0;
    let value = 0.5 * (1.0 + 1.0) / 3.0;
    assert!((named(&loss.metrics, "loss/policy") - policy).abs() < 1e-6);
    assert!((loss.total.double_value(&[]) - policy - value).abs() < 1e-6);
    assert!((named(&loss.metrics, "policy/clip_fraction") - 1.0 / 3.0).abs() < 1e-6);
}

#[test]
fn warmup_trains_the_value_head_alone_and_ends() {
    let config = Config { value_warmup: config::ValueWarmup { updates: 1, learning_rate: 0.01 }, ..raw() };
    let mut ppo = Ppo::new(config);
    assert_eq!(ppo.value_warmup(), Some(0.01));
    ppo.finish(&|_| None, 2);
    assert_eq!(ppo.value_warmup(), None);
}

#[test]
fn adaptive_coefficient_follows_its_target_and_survives_a_checkpoint() {
    let config = Config { kl: Kl::Adaptive(config::AdaptiveKl::default()), ..raw() };
    let mut ppo = Ppo::new(config.clone());
    ppo.finish(&|name| (name == "kl/sequence").then_some(9.0), 64);
    assert!((ppo.kl_coef - 0.200256).abs() < 1e-9);
    let mut other = Ppo::new(config);
    other.set_state(&ppo.state()).unwrap();
    assert_eq!((other.kl_coef, other.updates), (ppo.kl_coef, 1));
}

#[test]
fn update_stops_at_one_and_a_half_times_the_target() {
    let ppo = Ppo::new(Config { target_kl: 0.1, ..raw() });
    assert!(!ppo.stops(&|_| Some(0.149)) && ppo.stops(&|_| Some(0.151)));
    assert!(!Ppo::new(raw()).stops(&|_| Some(1e9)));
}

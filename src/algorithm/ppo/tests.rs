//! PPO against values worked by hand, and its degenerate batches.

use super::config::RewardNormalization;
use super::kl::{FixedKl, Kl};
use super::*;
use crate::algorithm::rollouts::Normalisation;
use tch::Kind as Dtype;

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
    columns.insert("token_reward", log_probs.zeros_like());
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
    let config = Config { kl: Kl::Fixed(FixedKl { coef: 0.2 }), ..raw() };
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
    let config = Config { value_warmup: config::ValueWarmup { updates: 1, ..config::ValueWarmup::default() }, ..raw() };
    let mut ppo = Ppo::new(config);
    assert_eq!(ppo.value_warmup(), Some(1e-3));
    ppo.finish(&|_| None, 2);
    assert_eq!(ppo.value_warmup(), None);
}

#[test]
fn adaptive_coefficient_follows_its_target_and_survives_a_checkpoint() {
    let config = Config { kl: Kl::Adaptive(super::kl::AdaptiveKl::default()), ..raw() };
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

#[test]
fn a_warmup_ends_early_once_the_values_explain_the_returns() {
    let warmup = config::ValueWarmup { updates: 9, explained_variance: Some(0.5), ..Default::default() };
    let mut ppo = Ppo::new(Config { value_warmup: warmup, ..raw() });
    for (explained, warming) in [(0.4, true), (0.6, false), (0.1, false)] {
        ppo.finish(&|name| (name == "value/explained_variance").then_some(explained), 2);
        assert_eq!(ppo.value_warmup().is_some(), warming, "{explained}");
    }
}

#[test]
fn tokens_have_rewards_of_their_own() {
    let mut columns = columns([1.0, 0.0]);
    columns.insert("token_reward", Tensor::from_slice(&[0.25f32, 0.0, -2.0, 0.0]).reshape([2, 2]));
    Ppo::new(raw()).prepare(&mut columns).unwrap();
    let advantages = Vec::<f32>::try_from(columns.get("advantages").unwrap().reshape([-1])).unwrap();
    assert_eq!(advantages, [1.25, 1.0, -2.0, 0.0]);
}

#[test]
fn scores_are_measured_with_those_of_the_first_update_or_of_all() {
    let scores = |normalization: RewardNormalization| {
        let mut ppo = Ppo::new(Config { reward_normalization: normalization, ..raw() });
        ppo.prepare(&mut columns([7.0, 9.0])).unwrap();
        ppo.prepare(&mut columns([1.0, 3.0])).unwrap(); // the update before failed and left nothing
        ppo.finish(&|_| None, 2);
        let state = ppo.state();
        ppo.set_state(&state).unwrap();
        let mut columns = columns([5.0, 5.0]);
        ppo.prepare(&mut columns).unwrap();
        columns.get("advantages").unwrap().double_value(&[0, 0])
    };
    let deviation = 2f64.sqrt();
    assert!((scores(RewardNormalization::FirstUpdate) - 3.0 / deviation).abs() < 1e-6, "(5 − 2) / √2");
    let running = (11.0f64 / 3.0).sqrt(); // of 1, 3, 5, 5
    assert!((scores(RewardNormalization::Running) - 5.0 / running).abs() < 1e-6);
}

#[test]
fn the_state_behind_a_finished_response_takes_the_reward() {
    let mut columns = columns([1.0, 1.0]);
    let widened = |tensor: &Tensor| tensor.constant_pad_nd([0, 1]);
    for name in ["policy_log_probs", "rollout_log_probs", "reference_log_probs", "token_reward"] {
        let wide = widened(columns.get(name).unwrap());
        columns.insert(name, wide);
    }
    let mask = columns.get("mask").unwrap().to_kind(Dtype::Int64).constant_pad_nd([0, 1]).to_kind(Dtype::Bool);
    columns.insert("mask", mask);
    columns.insert("values", Tensor::from_slice(&[0.1f32, 0.2, 0.7, 0.3, 0.0, 0.0]).reshape([2, 3]));
    columns.insert("ends", Tensor::from_slice(&[false, false, true, false, true, false]).reshape([2, 3]));
    let config = Config { reward_position: RewardPosition::AfterLast, ..raw() };
    Ppo::new(config).prepare(&mut columns).unwrap();
    let flat =
        |name: &str| Vec::<f64>::try_from(columns.get(name).unwrap().to_kind(Dtype::Double).reshape([-1])).unwrap();
    let near = |found: Vec<f64>, expected: [f64; 6]| found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-6);
    assert!(near(flat("returns"), [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]), "the unfinished one has its reward on its token");
    assert!(near(flat("value_mask"), [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]));
    assert!(
        near(flat("advantages"), [0.9, 0.8, 0.3, 0.7, 0.0, 0.0]),
        "of the state behind too, which no policy loss counts"
    );
}

#[test]
fn the_weight_of_the_entropy_bonus_follows_its_target() {
    let mut ppo = Ppo::new(Config { entropy_coef: 0.5, entropy_target: 2.0, entropy_rate: 0.125, ..raw() });
    let bonus = |ppo: &Ppo, entropy: f64| ppo.bonus(&Tensor::from(entropy)).double_value(&[]);
    assert_eq!((bonus(&ppo, 1.9), bonus(&ppo, 2.1)), (0.5, 0.0));
    for (entropy, coef) in [(1.0, 0.625), (3.0, 0.5), (3.0, 0.375)] {
        ppo.finish(&|name| (name == "entropy/token").then_some(entropy), 2);
        assert_eq!(bonus(&ppo, 1.0), coef);
    }
    let fixed = Ppo::new(Config { entropy_coef: 0.5, ..raw() });
    assert_eq!(bonus(&fixed, 9.0), 0.5, "without a target there is none to be above");
}

#[test]
fn equal_scores_are_not_divided_by_nothing() {
    for normalization in [RewardNormalization::FirstUpdate, RewardNormalization::Running] {
        let mut ppo = Ppo::new(Config { reward_normalization: normalization, ..raw() });
        ppo.prepare(&mut columns([0.0, 0.0])).unwrap();
        ppo.finish(&|_| None, 2);
        let mut columns = columns([1.0, 0.0]);
        ppo.prepare(&mut columns).unwrap();
        assert!(columns.get("advantages").unwrap().double_value(&[0, 0]) < 10.0, "{normalization:?}");
    }
}

#[test]
fn what_answers_to_the_policy_s_moves_waits_while_it_is_warmed_up() {
    let warmup = config::ValueWarmup { updates: 2, ..Default::default() };
    let kl = Kl::Doubling(super::kl::DoublingKl::default());
    let mut ppo = Ppo::new(Config { value_warmup: warmup, kl, ..raw() });
    for coef in [0.2, 0.2, 0.1] {
        ppo.finish(&|name| (name == "kl/sequence").then_some(0.0), 2);
        assert_eq!(ppo.state()["kl_coef"], coef);
    }
}

/// Advantages of two rollouts, values zero, and their returns.
fn estimated(config: Config, mut columns: Columns) -> (Vec<f32>, Vec<f32>) {
    Ppo::new(config).prepare(&mut columns).unwrap();
    let flat = |name: &str| Vec::try_from(columns.get(name).unwrap().reshape([-1])).unwrap();
    (flat("advantages"), flat("returns"))
}

#[test]
fn long_responses_and_returns_have_a_lambda_of_their_own() {
    let by_length = Config { gae_length_coef: 2.0, ..raw() };
    assert_eq!(
        estimated(by_length, columns([1.0, -2.0])).0,
        [0.75, 1.0, -2.0, 0.0],
        "λ = 1 − 1 / (2 · 2) of two tokens"
    );
    let of_returns = Config { returns_lambda: Some(0.5), ..raw() };
    let expected = (vec![1.0, 1.0, -2.0, 0.0], vec![0.5, 1.0, -2.0, 0.0]);
    assert_eq!(estimated(of_returns, columns([1.0, -2.0])), expected);
}

#[test]
fn rewards_are_clipped_on_both_sides_and_whitened_around_their_mean() {
    let clipped = Config { reward_clip: 2.0, ..raw() };
    assert_eq!(estimated(clipped, columns([7.0, -9.0])).0, [2.0, 2.0, -2.0, 0.0]);
    let found = estimated(Config { whiten_rewards: true, ..raw() }, columns([3.0, -1.0])).0;
    let deviation = (13f32 / 3.0).sqrt(); // of the tokens' 0, 3, −1, whose mean is 2/3
    let of = |reward: f32| 2.0 / 3.0 + (reward - 2.0 / 3.0) / deviation;
    let expected = [of(0.0) + of(3.0), of(3.0), of(-1.0), 0.0];
    assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-5), "{found:?}");
}

#[test]
fn divergence_in_the_loss_is_weighed_by_the_ratio_and_priced_once() {
    let mut columns = columns([0.0, 0.0]);
    columns.insert("reference_log_probs", Tensor::from_slice(&[-1.5f32, -2.0, -3.0, 0.0]).reshape([2, 2]));
    let kl = Kl::Fixed(FixedKl { coef: 0.2 });
    let mut ppo = Ppo::new(Config { kl, kl_in: KlPlace::Loss, kl_estimator: KlEstimator::K2, ..raw() });
    ppo.prepare(&mut columns).unwrap();
    assert_eq!(columns.get("advantages").unwrap().abs().max().double_value(&[]), 0.0, "no reward pays for it");
    let log_probs = Tensor::from_slice(&[-1f32 + 1.5f32.ln(), -2.0, -3.0, 0.0]).reshape([2, 2]);
    let scores =
        Scores { values: Some(log_probs.zeros_like()), ..Scores::of(&log_probs, columns.get("mask").unwrap()) };
    let divergence = 1.5 * (0.5 + 1.5f64.ln()).powi(2) / 2.0 / 3.0;
    assert!((ppo.loss(&scores, &columns).unwrap().total.double_value(&[]) - 0.2 * divergence).abs() < 1e-6);
}

#[test]
fn demonstrations_weigh_what_they_should() {
    let demonstrations = config::Demonstrations { coef: 2.5, ..Default::default() };
    let columns = columns([0.0, 0.0]);
    let scores = Scores::of(columns.get("policy_log_probs").unwrap(), columns.get("mask").unwrap());
    let loss = Ppo::new(Config { demonstrations, ..raw() }).mixed_loss(&scores, &columns).unwrap();
    assert_eq!((loss.total.double_value(&[]), named(&loss.metrics, "loss/demonstrations")), (5.0, 2.0));
}

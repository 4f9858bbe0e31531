//! REINFORCE against values worked by hand, and its degenerate batches.

use super::*;
use crate::algorithm::off_policy::{Importance, OldLogProbs, Weight};
use crate::algorithm::rollouts::Normalisation;
use tch::Kind as Dtype;

/// Two responses to one prompt, the first with a masked token; 0.5 nats above the reference at each token.
fn columns(rewards: [f32; 2]) -> Columns {
    let log_probs = Tensor::full([2, 3], -1.0, (Dtype::Float, tch::Device::Cpu));
    let mut columns = Columns::new(2);
    columns.insert("mask", Tensor::from_slice(&[true, false, true, true, true, true]).reshape([2, 3]));
    columns.insert("policy_log_probs", log_probs.copy());
    columns.insert("rollout_log_probs", log_probs.copy());
    columns.insert("reference_log_probs", &log_probs - 0.5);
    columns.insert("rewards", Tensor::from_slice(&rewards).unsqueeze(1));
    columns.insert("finished", Tensor::from_slice(&[1f32, 1.0]));
    columns.insert("groups", Tensor::from_slice(&[0i64, 0]));
    columns.insert("baseline", Tensor::from_slice(&[1f32, 1.0]));
    columns
}

fn raw() -> Config {
    Config { advantages: Normalisation::Raw, kl_coef: 0.2, ..Config::default() }
}

fn advantages(config: Config, rewards: [f32; 2]) -> Vec<f32> {
    let mut columns = columns(rewards);
    Reinforce::new(config).prepare(&mut columns).unwrap();
    Vec::try_from(columns.get("advantages").unwrap().reshape([-1])).unwrap()
}

fn near(found: &[f32], expected: [f32; 6]) {
    let close = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-5);
    assert!(close && found.len() == 6, "{found:?} is not {expected:?}");
}

#[test]
fn each_token_gets_what_it_led_to() {
    near(&advantages(raw(), [3.0, -1.0]), [2.8, 0.0, 2.9, -1.3, -1.2, -1.1]);
    near(&advantages(Config { discount: 0.5, ..raw() }, [3.0, -1.0]), [1.35, 0.0, 2.9, -0.425, -0.65, -1.1]);
    near(&advantages(Config { kl_in: KlPlace::Loss, ..raw() }, [3.0, -1.0]), [3.0, 0.0, 3.0, -1.0, -1.0, -1.0]);
}

#[test]
fn baselines_are_taken_from_the_reward() {
    let free = Config { kl_coef: 0.0, ..raw() };
    let group = Config { baseline: Baseline::Group, ..free.clone() };
    near(&advantages(group, [3.0, -1.0]), [2.0, 0.0, 2.0, -2.0, -2.0, -2.0]);
    let greedy = Config { baseline: Baseline::Greedy, ..free };
    near(&advantages(greedy.clone(), [3.0, -1.0]), [2.0, 0.0, 2.0, -2.0, -2.0, -2.0]);
    assert!(Reinforce::new(greedy).needs().columns[0].1.is_nan(), "the host must give it");
}

#[test]
fn advantages_are_normalised_over_all_counted_tokens() {
    let found = advantages(Config { kl_coef: 0.0, ..Config::default() }, [1.0, 0.0]);
    let (mean, deviation) = (0.4f32, 0.3f32.sqrt());
    let (good, bad) = ((1.0 - mean) / deviation, -mean / deviation);
    near(&found, [good, 0.0, good, bad, bad, bad]);
    near(&advantages(Config { kl_coef: 0.0, ..Config::default() }, [2.0, 2.0]), [0.0; 6]);
}

#[test]
fn divergence_in_the_loss_is_half_its_square() {
    let loss = |kl_in, moved: f64| {
        let mut columns = columns([0.0, 0.0]);
        let mut method = Reinforce::new(Config { kl_in, ..raw() });
        method.prepare(&mut columns).unwrap();
        columns.insert("advantages", columns.get("policy_log_probs").unwrap().zeros_like());
        let log_probs = columns.get("policy_log_probs").unwrap() + moved;
        let mask = columns.get("mask").unwrap().shallow_clone();
        let scores = Scores::of(&log_probs, &mask);
        method.loss(&scores, &columns).unwrap().total.double_value(&[])
    };
    assert_eq!(loss(KlPlace::Reward, 0.0), 0.0);
    assert!((loss(KlPlace::Loss, 0.0) - 0.2 * 0.125).abs() < 1e-6);
    let weighed = 0.1f64.exp() * 0.6f64.powi(2) / 2.0;
    assert!((loss(KlPlace::Loss, 0.1) - 0.2 * weighed).abs() < 1e-6, "by the ratio to the rollouts' policy");
}

#[test]
fn a_ratio_to_the_sampler_is_not_corrected_twice() {
    let importance = Importance { weight: Weight::TokenMask, ..Importance::default() };
    let config = Config { importance, old_log_probs: OldLogProbs::Recorded, ..Config::default() };
    assert!(config.check().unwrap_err().message.starts_with("/algorithm/importance/type: expected \"none\""));
}

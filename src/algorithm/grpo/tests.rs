//! The group family against values worked by hand (alignment's tables), and its degenerate batches.

use super::*;
use crate::algorithm::off_policy::{Importance, OldLogProbs, Weight};

/// Eight responses of one or two tokens to two prompts; policy, rollouts and reference agree.
fn columns(rewards: &[f32]) -> Columns {
    let rows = rewards.len() as i64;
    let log_probs = Tensor::full([rows, 2], -1.0, (Dtype::Float, tch::Device::Cpu));
    let mut columns = Columns::new(rows);
    columns.insert("mask", Tensor::from_slice(&[true, true]).expand([rows, 2], false).contiguous());
    for name in ["policy_log_probs", "rollout_log_probs", "reference_log_probs"] {
        columns.insert(name, log_probs.copy());
    }
    columns.insert("rewards", Tensor::from_slice(rewards).unsqueeze(1));
    columns.insert("finished", Tensor::ones([rows], (Dtype::Float, tch::Device::Cpu)));
    columns.insert("groups", Tensor::zeros([rows], (Dtype::Int64, tch::Device::Cpu)));
    columns
}

const REWARDS: [f32; 8] = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0];

fn advantages(config: Config, columns: &mut Columns) -> Vec<f32> {
    Grpo::new(config).prepare(columns).unwrap();
    Vec::try_from(columns.get("advantages").unwrap().select(1, 0).contiguous()).unwrap()
}

fn near(found: f32, expected: f32) -> bool {
    (found - expected).abs() < 1e-5
}

#[test]
fn several_rewards_normalised_each_leave_no_group_equal_that_one_of_them_tells_apart() {
    let fraction = |multi_reward| {
        let mut columns = columns(&[0.0; 4]);
        columns.insert("groups", Tensor::from_slice(&[0i64, 0, 2, 2]));
        columns.insert("rewards", Tensor::from_slice(&[1f32, 0.0, 0.0, 1.0, 0.5, 0.5, 0.5, 0.5]).reshape([4, 2]));
        let config = Config { multi_reward, reward_weights: vec![1.0, 1.0], ..Config::default() };
        let metrics = Grpo::new(config).prepare(&mut columns).unwrap();
        metrics.iter().find(|(name, _)| *name == "group/equal_fraction").unwrap().1.double_value(&[])
    };
    assert_eq!((fraction(MultiReward::Sum), fraction(MultiReward::NormalizeEach)), (1.0, 0.5));
}

#[test]
fn advantages_are_what_the_papers_say() {
    let found = advantages(Config::default(), &mut columns(&REWARDS));
    assert!(near(found[0], 1.207381) && near(found[1], -0.724429), "{found:?}");
    let config = Config { baseline: Baseline::LeaveOneOut, scale: Scale::None, ..Config::default() };
    let found = advantages(config, &mut columns(&REWARDS));
    assert!(near(found[0], 0.714286) && near(found[1], -0.428571), "{found:?}");
    let found = advantages(Config { scale: Scale::None, ..Config::default() }, &mut columns(&REWARDS));
    assert!(near(found[0], 0.625) && near(found[1], -0.375), "{found:?}");
}

#[test]
fn groups_are_compared_within_themselves() {
    let mut columns = columns(&[1.0, 3.0, 10.0, 10.0, 5.0]);
    columns.insert("groups", Tensor::from_slice(&[0i64, 0, 2, 2, 4]));
    let found = advantages(Config { scale: Scale::None, ..Config::default() }, &mut columns);
    assert_eq!(found, [-1.0, 1.0, 0.0, 0.0, 0.0]);
    let found = advantages(Config::default(), &mut columns);
    assert!(near(found[1], 1.0 / (2f32.sqrt() + 1e-4)) && found[2] == 0.0 && found[4] == 0.0, "{found:?}");
}

#[test]
fn long_responses_weigh_more_in_the_baseline_of_least_variance() {
    let mut columns = columns(&[3.0, 0.0]);
    columns.insert("mask", Tensor::from_slice(&[true, true, true, false]).view([2, 2]));
    let config = Config { baseline: Baseline::LengthWeighted, scale: Scale::None, ..Config::default() };
    assert_eq!(advantages(config, &mut columns), [1.0, -2.0]);
}

#[test]
fn several_rewards_are_summed_or_normalised_each() {
    let mut columns = columns(&[0.0; 4]);
    let rewards = [[1f32, 100.0], [0.0, 100.0], [1.0, 0.0], [0.0, 0.0]];
    columns.insert("rewards", Tensor::from_slice2(&rewards));
    let config = Config { reward_weights: vec![1.0, 0.5], scale: Scale::None, ..Config::default() };
    assert_eq!(advantages(config.clone(), &mut columns), [25.5, 24.5, -24.5, -25.5]);
    let each = Config { multi_reward: MultiReward::NormalizeEach, scale: Scale::Group, ..config };
    let unit = 3f32.sqrt() / 2.0;
    let parts = [unit * 1.5, -unit * 0.5, unit * 0.5, -unit * 1.5];
    let deviation = (parts.iter().map(|part| part * part).sum::<f32>() / 3.0).sqrt();
    let found = advantages(each, &mut columns);
    assert!(found.iter().zip(parts).all(|(found, part)| (found - part / deviation).abs() < 1e-3), "{found:?}");
}

/// The loss after `prepare`, the policy having moved by these log-ratios.
fn loss(config: Config, rewards: &[f32], moved: &[f32], entropies: &[f32]) -> f64 {
    let mut columns = columns(rewards);
    let mut method = Grpo::new(config);
    method.prepare(&mut columns).unwrap();
    let shape = [rewards.len() as i64, 2];
    let log_probs = columns.get("old_log_probs").unwrap() + Tensor::from_slice(moved).view(shape);
    let mask = columns.get("mask").unwrap();
    let scores = Scores { entropies: Tensor::from_slice(entropies).view(shape), ..Scores::of(&log_probs, mask) };
    method.loss(&scores, &columns).unwrap().total.double_value(&[])
}

#[test]
fn each_objective_is_its_own() {
    let of =
        |config: Config| loss(Config { scale: Scale::None, ..config }, &[1.0, -1.0], &[0.5, 0.1, 0.5, 0.1], &[0.0; 4]);
    let e = f64::exp;
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
    close(of(Config::default()), (e(0.5) - 1.2) / 4.0);
    close(of(Config { ratio_cap: Some(1.5), ..Config::default() }), (1.5 - 1.2) / 4.0);
    let gate = |ratio: f64, tau: f64| 4.0 / tau / (1.0 + e(-tau * (ratio - 1.0)));
    let gated = |ratio: f64| gate(ratio, 1.05) - gate(ratio, 1.0);
    close(of(Config { objective: Objective::Gated, ..Config::default() }), (gated(e(0.5)) + gated(e(0.1))) / 4.0);
    let geometric = Config { objective: Objective::Geometric, clip_range: 0.4, ..Config::default() };
    close(of(geometric), (e(0.3) - e(0.25)) / 2.0);
    let weight = |k: f64, lambda: f64| e(lambda + 0.6 * k - lambda * e(0.6));
    let variational = Config { objective: Objective::Variational, ..Config::default() };
    close(of(variational), (weight(2.0, 3.0) - weight(3.0, 2.0)) * 1.4 / 4.0);
    let summed = Config {
        ratio: Ratio::SequenceMean,
        reduction: Reduction::SequenceMeanTokenSum,
        clip_range: 0.5,
        scale: Scale::None,
        ..Config::default()
    };
    close(loss(summed, &[1.0, -1.0], &[0.5, 0.1, 0.1, 0.1], &[1.0; 4]), e(0.1) - e(0.3));
}

#[test]
fn only_uncertain_tokens_teach() {
    let entropies = [0.1, 0.9, 0.2, 0.8];
    let half = Config { entropy_quantile: 0.5, scale: Scale::None, ..Config::default() };
    let found = loss(half, &[1.0, -1.0], &[0.1, 0.0, 0.1, 0.1], &entropies);
    assert!((found - (0.1f64.exp() - 1.0) / 4.0).abs() < 1e-6, "{found}");
}

#[test]
fn overlong_responses_lose_up_to_the_penalty() {
    let mut columns = columns(&[1.0, 1.0]);
    columns.insert("mask", Tensor::from_slice(&[true, false, true, true]).view([2, 2]));
    let config =
        Config { max_length: 2, overlong_buffer: 1, overlong_penalty: 0.5, scale: Scale::None, ..Config::default() };
    config.check().unwrap();
    assert_eq!(advantages(config, &mut columns), [0.25, -0.25]);
}

#[test]
fn truncated_responses_teach_nothing_where_told() {
    let mut columns = columns(&[1.0, 0.0]);
    columns.insert("finished", Tensor::from_slice(&[1f32, 0.0]));
    Grpo::new(Config { mask_truncated: true, ..Config::default() }).prepare(&mut columns).unwrap();
    let counted = columns.get("counted").unwrap().to_kind(Dtype::Int64).reshape([-1]);
    assert_eq!(Vec::<i64>::try_from(counted).unwrap(), [1, 1, 0, 0]);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let lacking = Config { reduction: Reduction::SumOverConstant, ..Config::default() };
    assert!(lacking.check().unwrap_err().message.starts_with("/algorithm/max_length: expected"));
    let refusal = |config: Config| config.check().unwrap_err().message;
    let low = Config { ratio_cap: Some(1.2), ..Config::default() };
    assert!(refusal(low).starts_with("/algorithm/ratio_cap: expected null, or with the objective clipped more than"));
    let other = Config { ratio_cap: Some(4.0), objective: Objective::Gated, ..Config::default() };
    assert!(refusal(other).starts_with("/algorithm/ratio_cap: expected"));
    let joined = Config { objective: Objective::Geometric, ratio: Ratio::SequenceMean, ..Config::default() };
    assert!(refusal(joined).starts_with("/algorithm/ratio: expected \"token\""));
    let shaped =
        Config { multi_reward: MultiReward::NormalizeEach, max_length: 4, overlong_buffer: 1, ..Config::default() };
    assert!(refusal(shaped).starts_with("/algorithm/multi_reward: expected \"sum\""));
    let importance = Importance { weight: Weight::TokenMask, ..Importance::default() };
    let twice = Config { importance, old_log_probs: OldLogProbs::Recorded, ..Config::default() };
    assert!(refusal(twice).starts_with("/algorithm/importance/type: expected \"none\""));
    let long = Config { max_length: 4, overlong_buffer: 5, ..Config::default() };
    assert!(long.check().unwrap_err().message.starts_with("/algorithm/overlong_buffer: expected"));
}

#[test]
fn the_deviation_of_all_rewards_may_scale() {
    let mut columns = columns(&[1.0, 0.0, 3.0, 0.0]);
    columns.insert("groups", Tensor::from_slice(&[0i64, 0, 2, 2]));
    let found = advantages(Config { scale: Scale::Batch, ..Config::default() }, &mut columns);
    let unit = 2f32.sqrt() + 1e-4;
    assert!(near(found[0], 0.5 / unit) && near(found[2], 1.5 / unit), "{found:?}");
}

#[test]
fn rewards_normalised_each_are_centred_whatever_their_baseline() {
    let mut columns = columns(&[3.0, 0.0]);
    columns.insert("mask", Tensor::from_slice(&[true, true, true, false]).view([2, 2]));
    let config = Config {
        baseline: Baseline::LengthWeighted,
        multi_reward: MultiReward::NormalizeEach,
        scale: Scale::None,
        ..Config::default()
    };
    let found = advantages(config, &mut columns);
    assert!(near(found[0] + found[1], 0.0) && found[0] > 0.5, "{found:?}");
}

#[test]
fn entropy_lowers_the_loss() {
    let config = Config { entropy_coef: 0.5, scale: Scale::None, ..Config::default() };
    let found = loss(config, &[1.0, -1.0], &[0.0; 4], &[0.1, 0.9, 0.2, 0.8]);
    assert!((found + 0.25).abs() < 1e-6, "{found}");
}

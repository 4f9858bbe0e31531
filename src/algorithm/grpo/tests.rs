//! The group family against values worked by hand (alignment's tables), and its degenerate batches.

use super::*;

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
    let long = Config { max_length: 4, overlong_buffer: 5, ..Config::default() };
    assert!(long.check().unwrap_err().message.starts_with("/algorithm/overlong_buffer: expected"));
}

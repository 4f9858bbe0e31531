//! Nothing counted, one token, no variance, ratios beyond any float, no tokens at all.

use keel::math::*;
use tch::{Device, Kind, Tensor};

use crate::catalogue::{catalogue, Batch};
use crate::{assert_close, assert_near, gradient, scalar};

/// Those that stop the gradient: constants of the losses, and diagnostics.
const CONSTANTS: [&str; 12] = [
    "shaped_rewards",
    "advantages",
    "returns",
    "explained_variance",
    "clip_fraction",
    "value_clip_fraction",
    "approximate_kl",
    "uncertain_tokens",
    "tolerable_tokens",
    "sequence_ratio",
    "sequence_mean_ratio",
    "discounted_returns",
];

fn carries_gradient(name: &str) -> bool {
    !CONSTANTS.contains(&name)
}

#[test]
fn all_masked_gives_zero_with_zero_gradient() {
    for kind in [Kind::Double, Kind::Float] {
        let full = Batch::new(kind);
        let batch = Batch {
            mask: full.mask.zeros_like(),
            ..full.map(|x| x.to_kind(kind).full_like(f64::NAN), Tensor::shallow_clone)
        };
        for entry in catalogue() {
            let result = (entry.function)(&batch);
            assert_close(&result, &result.full_like(entry.masked_slot), 0.0, entry.name);
            if carries_gradient(entry.name) {
                let found = gradient(&batch.x, |x| (entry.function)(&batch.with_x(x)).sum(kind));
                assert_close(&found, &found.zeros_like(), 0.0, &format!("gradient of {}", entry.name));
            }
        }
    }
}

#[test]
fn masked_rows_get_no_gradient_and_leave_the_others_theirs() {
    let batch = Batch::new(Kind::Double);
    let rows = Tensor::from_slice(&[1i64, 0, 1, 0]).to_kind(Kind::Bool).unsqueeze(1);
    let mask = batch.mask.logical_and(&rows);
    let poisoned = Batch {
        mask: mask.shallow_clone(),
        ..batch.map(|x| x.to_kind(Kind::Double).masked_fill(&mask.logical_not(), f64::NAN), Tensor::shallow_clone)
    };
    for entry in catalogue().iter().filter(|entry| carries_gradient(entry.name)) {
        // a sum of squares: the sum alone has no gradient where a function takes the mean away
        let square = |x: &Tensor| (entry.function)(&poisoned.with_x(x)).square().sum(Kind::Double);
        let found = gradient(&poisoned.x, square);
        let outside = found.masked_select(&mask.logical_not());
        assert_close(&outside, &outside.zeros_like(), 0.0, &format!("{} outside the mask", entry.name));
        let inside = scalar(&found.masked_select(&mask).abs().max());
        assert!(inside.is_finite(), "{} inside the mask: {inside}", entry.name);
        assert!(inside > 0.0 || entry.name == "whitened", "{} inside the mask: no gradient", entry.name);
    }
}

#[test]
fn constants_carry_no_gradient() {
    let batch = Batch::new(Kind::Double);
    let batch = batch.with_x(&batch.x.copy().set_requires_grad(true));
    for entry in catalogue() {
        let result = (entry.function)(&batch);
        assert_eq!(result.requires_grad(), carries_gradient(entry.name), "{}", entry.name);
    }
}

#[test]
fn old_values_advantages_and_references_are_constants() {
    let leaf = |x: &Tensor| x.copy().set_requires_grad(true);
    let b = Batch::new(Kind::Double);
    assert!(!policy_loss(&b.x, &leaf(&b.y), &leaf(&b.z), &b.mask, 0.2, 0.2, Some(3.0)).requires_grad());
    assert!(!gated_policy_loss(&b.x, &leaf(&b.y), &leaf(&b.z), &b.mask, (1.0, 1.05)).requires_grad());
    assert!(!geometric_policy_loss(&b.x, &leaf(&b.y), &leaf(&b.z), &b.mask, 0.4).requires_grad());
    let shapes = ((2.0, 3.0), (3.0, 2.0));
    assert!(!variational_policy_loss(&b.x, &leaf(&b.y), &leaf(&b.z), &b.mask, shapes.0, shapes.1).requires_grad());
    assert!(!value_loss(&b.x, &leaf(&b.y), &leaf(&b.z), 0.2).requires_grad());
    let (policy, reference) = (&b.scores, leaf(&b.scores));
    assert!(!response_log_ratio(policy, &reference).requires_grad());
    assert!(!policy_weight(&leaf(&b.x), &leaf(&b.y), &b.mask).requires_grad());
    let nothing = policy_weight(&b.x, &b.y, &b.mask.zeros_like());
    assert_close(&nothing, &nothing.ones_like(), 0.0, "a response without tokens");
}

#[test]
fn one_token_is_left_as_it_is() {
    let x = Tensor::from_slice(&[3.0, 9.0]).unsqueeze(0);
    let one = Tensor::from_slice(&[1i64, 0]).to_kind(Kind::Bool).unsqueeze(0);
    let kept = Tensor::from_slice(&[3.0, 0.0]).unsqueeze(0);
    assert_close(&whitened(&x, &one), &kept, 0.0, "whitened");
    assert_close(&scaled(&x, &one), &kept, 0.0, "scaled");
    assert_near(scalar(&masked_variance(&x, &one)), 0.0, 0.0, "variance");
    assert_near(explained_variance(&x, &x, &one), 0.0, 0.0, "explained variance");
    let (advantages, returns) = generalized_advantage(&x, &(&x * 2.0), &one, 0.9, &Tensor::from(0.9));
    assert_close(&advantages, &Tensor::from_slice(&[-3.0, 0.0]).unsqueeze(0), 0.0, "r − V");
    assert_close(&returns, &kept, 0.0, "r");
}

#[test]
fn no_variance_stays_finite() {
    let all = Tensor::ones([10, 100], (Kind::Bool, Device::Cpu));
    for value in [0.0, 0.1, -7.3, 1.1e6] {
        for kind in [Kind::Double, Kind::Float] {
            let x = Tensor::full([10, 100], value, (kind, Device::Cpu));
            assert_close(&whitened(&x, &all), &x.zeros_like(), 1e-6, "whitened");
            assert_close(&scaled(&x, &all), &x, 1e-6 * value.abs(), "scaled keeps the mean");
            let values = Tensor::arange(1000, (kind, Device::Cpu)).view([10, 100]);
            assert_near(explained_variance(&x, &values, &all), 0.0, 0.0, "explained variance");
        }
    }
}

#[test]
fn explained_variance_does_not_hide_nan() {
    let all = Tensor::ones([1, 2], (Kind::Bool, Device::Cpu));
    let (good, bad) = (Tensor::from_slice(&[1.0, 2.0]), Tensor::from_slice(&[1.0, f64::NAN]));
    assert!(explained_variance(&good.unsqueeze(0), &bad.unsqueeze(0), &all).is_nan());
    assert!(explained_variance(&bad.unsqueeze(0), &good.unsqueeze(0), &all).is_nan());
}

#[test]
fn extreme_ratios_stay_finite() {
    for kind in [Kind::Double, Kind::Float] {
        let log_probs = Tensor::from_slice(&[-500.0, 500.0, -500.0, 500.0]).to_kind(kind).unsqueeze(0);
        let advantages = Tensor::from_slice(&[1.0, 1.0, -1.0, -1.0]).to_kind(kind).unsqueeze(0);
        let (old, all) = (log_probs.zeros_like(), log_probs.ones_like().to_kind(Kind::Bool));
        let limit = 20f64.exp();
        let expected = Tensor::from_slice(&[-1.0 / limit, -1.2, 0.8, limit]).unsqueeze(0);
        let loss = policy_loss(&log_probs, &old, &advantages, &all, 0.2, 0.2, None);
        assert_close(&(loss / &expected), &expected.ones_like(), 1e-5, "loss at ±20 nats");
        let tokens = |x: &Tensor| policy_loss(x, &old, &advantages, &all, 0.2, 0.2, None).sum(kind);
        assert_close(&gradient(&log_probs, tokens), &old, 0.0, "no gradient beyond ±20 nats");

        let log_ratio = Tensor::from_slice(&[1e6, -1e6]).to_kind(kind);
        let loss = dpo_loss(&log_ratio, 0.1);
        assert_close(&loss, &Tensor::from_slice(&[0.0, 1e5]), 0.1, "−log σ(±10⁵)");
        let found = gradient(&log_ratio, |x| dpo_loss(x, 0.1).sum(kind));
        assert_close(&found, &Tensor::from_slice(&[0.0, -0.1]), 1e-6, "gradient of −log σ(±10⁵)");
    }
}

#[test]
fn no_tokens_and_no_pairs() {
    let empty = Tensor::zeros([2, 0], (Kind::Float, Device::Cpu));
    let mask = Tensor::zeros([2, 0], (Kind::Bool, Device::Cpu));
    let (advantages, returns) = generalized_advantage(&empty, &empty, &mask, 1.0, &Tensor::from(0.95));
    assert_eq!((advantages.size(), returns.size()), (vec![2, 0], vec![2, 0]));
    assert_near(scalar(&masked_mean(&empty, &mask)), 0.0, 0.0, "mean");
    assert_near(explained_variance(&empty, &empty, &mask), 0.0, 0.0, "explained variance");
    let scores = Tensor::zeros([2], (Kind::Float, Device::Cpu));
    assert_eq!(shaped_rewards(&empty, &scores, 0.1, &mask).size(), [2, 0]);
    assert_near(scalar(&preference_accuracy(&scores.narrow(0, 0, 0))), 0.0, 0.0, "no pairs");
}

#[test]
fn groups_of_one_of_equals_and_of_nothing() {
    let groups = Tensor::from_slice(&[0i64, 1, 1, 3]);
    let (rewards, lengths) = (Tensor::from_slice(&[2.0, 0.5, 0.5, 4.0]), Tensor::from_slice(&[3.0, 1.0, 5.0, 0.0]));
    let expected = Tensor::from_slice(&[2.0, 0.5, 0.5, 0.0]);
    assert_close(&length_weighted_mean(&rewards, &lengths, &groups), &expected, 1e-12, "weighted mean");
    assert_close(&group_rank(&rewards, &groups), &Tensor::from_slice(&[0i64, 0, 1, 0]), 0.0, "ties by place");
    let spoiled = Tensor::from_slice(&[2.0, f64::NAN, 0.5, 4.0]);
    let found = length_weighted_mean(&spoiled, &lengths, &groups);
    assert_close(&found.index_select(0, &Tensor::from_slice(&[0i64, 3])), &Tensor::from_slice(&[2.0, 0.0]), 0.0, "NaN");
    assert_close(&group_rank(&spoiled, &groups), &Tensor::from_slice(&[0i64; 4]), 0.0, "NaN beats nothing");
    assert_eq!(group_rank(&rewards.narrow(0, 0, 0), &groups.narrow(0, 0, 0)).size(), [0]);
}

#[test]
fn weights_that_are_no_numbers() {
    let weights = Tensor::from_slice(&[f64::INFINITY, f64::NAN, 0.0]);
    assert_close(&within(&weights, 0.5, 2.0), &Tensor::from_slice(&[0.0; 3]), 0.0, "within");
    let found = truncated(&weights, 0.5, 2.0);
    assert!(found.double_value(&[0]) == 2.0 && found.double_value(&[1]).is_nan() && found.double_value(&[2]) == 0.5);
}

#[test]
fn responses_beyond_any_measure_stay_finite() {
    for kind in [Kind::Double, Kind::Float] {
        let point = Tensor::from_slice(&[-1e6, -200.0, -1.0, -1e-9, 0.0, 200.0, 1e6]).to_kind(kind);
        type Function = fn(&Tensor) -> Tensor;
        let functions: [(&str, Function); 7] = [
            ("forward KL", |x| power_reward(x, -1.0)),
            ("α 2", |x| power_reward(x, 1.0)),
            ("Jensen–Shannon", jensen_shannon_reward),
            ("odds", log_odds),
            ("discopop", |x| discopop_loss(x, 0.1, 0.05)),
            ("simpo", |x| simpo_loss(x, 2.5, 1.0, 0.1)),
            ("bco", |x| bco_loss(x, &x.gt(0.0), &Tensor::from(0.5), 0.1, 1.0, 1.0)),
        ];
        for (name, function) in functions {
            let finite = |x: &Tensor| x.isfinite().all().int64_value(&[]) == 1;
            assert!(finite(&function(&point)), "{name}: {}", function(&point));
            assert!(finite(&gradient(&point, |x| function(x).sum(kind))), "gradient of {name}");
        }
        let zero = point.narrow(0, 4, 1);
        for reward in [power_reward(&zero, -1.0), power_reward(&zero, 0.7), jensen_shannon_reward(&zero)] {
            assert_close(&reward, &zero, 1e-7, "nothing gained, nothing rewarded");
        }
    }
}

#[test]
fn a_response_without_tokens_beside_one_with_some() {
    let x = Tensor::from_slice(&[-1.0, -2.0, f64::NAN, -4.0]).view([2, 2]);
    let mask = Tensor::from_slice(&[1i64, 1, 0, 0]).to_kind(Kind::Bool).view([2, 2]);
    let counted = |x: &Tensor| row_sum(&length_desensitized(x, &mask, 0.25), &mask);
    assert_close(&counted(&x), &Tensor::from_slice(&[-0.75, 0.0]), 0.0, "every token beyond none");
    let found = gradient(&x, |x| counted(x).sum(Kind::Double));
    assert_close(&found, &Tensor::from_slice(&[0.25, 0.25, 0.0, 0.0]).view([2, 2]), 0.0, "gradient");
    assert_close(
        &length_desensitized(&x.nan_to_num(0.0, 0.0, 0.0), &mask, 1.0),
        &x.nan_to_num(0.0, 0.0, 0.0),
        0.0,
        "off",
    );
}

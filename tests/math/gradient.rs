//! Derivatives against central differences in f64, away from the kinks of a maximum.

use keel::math::*;
use tch::{Kind, Tensor};

use crate::catalogue::{Batch, ROWS};
use crate::{assert_close, gradient, scalar};

const STEP: f64 = 1e-6;
const TOLERANCE: f64 = 1e-7;

fn assert_gradient(point: &Tensor, what: &str, function: impl Fn(&Tensor) -> Tensor) {
    let differences: Vec<f64> = (0..point.numel() as i64)
        .map(|i| {
            let step = Tensor::zeros([point.numel() as i64], (Kind::Double, point.device()));
            let _ = step.get(i).fill_(STEP);
            let step = step.view_as(point);
            (scalar(&function(&(point + &step))) - scalar(&function(&(point - &step)))) / (2.0 * STEP)
        })
        .collect();
    let expected = Tensor::from_slice(&differences).view_as(point);
    assert!(scalar(&expected.abs().max()) > 1e-3, "{what}: the function is flat");
    assert_close(&gradient(point, function), &expected, TOLERANCE, what);
}

/// Tokens of the batch on both sides of a bound, none within reach of a step.
fn assert_both_sides(distance: &Tensor, mask: &Tensor, what: &str) {
    let distance = distance.masked_select(mask);
    assert!(scalar(&distance.min()) < 0.0 && scalar(&distance.max()) > 0.0, "{what}: one side only");
    assert!(scalar(&distance.abs().min()) > 1e-4, "{what}: on the kink");
}

#[test]
fn policy_loss_with_and_without_dual_clip() {
    let b = Batch::new(Kind::Double);
    let ratio = ratio(&b.x, &b.y, &b.mask);
    assert_both_sides(&(&ratio - 0.8), &b.mask, "lower clip");
    assert_both_sides(&(&ratio - 1.2), &b.mask, "upper clip");
    assert_both_sides(&b.z, &b.mask, "sign of the advantage");
    let negative = b.mask.logical_and(&b.z.lt(0.0));
    assert_both_sides(&(&ratio - 1.5), &negative, "dual clip");
    for dual_clip in [None, Some(1.5)] {
        let loss = |x: &Tensor| policy_loss(x, &b.y, &b.z, &b.mask, 0.2, 0.2, dual_clip).sum(Kind::Double);
        assert_gradient(&b.x, &format!("policy_loss, dual clip {dual_clip:?}"), loss);
    }
}

#[test]
fn objectives_in_place_of_the_clipped_one() {
    let b = Batch::new(Kind::Double);
    let log_ratio = &b.x - &b.y;
    assert_both_sides(&(&log_ratio - 1.3f64.ln()), &b.mask, "cap");
    assert_both_sides(&(&log_ratio * b.z.sign() - 0.4), &b.mask, "geometric clip");
    type Function = fn(&Batch) -> Tensor;
    let functions: [(&str, Function); 3] = [
        ("capped", |b| policy_loss(&capped(&b.x, &b.y, &b.mask, 1.3), &b.y, &b.z, &b.mask, 0.2, 0.2, None)),
        ("gated", |b| gated_policy_loss(&b.x, &b.y, &b.z, &b.mask, (1.0, 1.05))),
        ("geometric", |b| geometric_policy_loss(&b.x, &b.y, &b.z, &b.mask, 0.4)),
    ];
    for (name, function) in functions {
        assert_gradient(&b.x, name, |x| sequence_mean_token_mean(&function(&b.with_x(x)), &b.mask));
    }
}

#[test]
fn the_weight_of_a_response_is_a_constant() {
    let b = Batch::new(Kind::Double);
    let weighted = |x: &Tensor| variational_policy_loss(x, &b.y, &b.z, &b.mask, (2.0, 3.0), (3.0, 2.0));
    let weights = (weighted(&b.x) / (&b.x * &b.z)).masked_fill(&b.mask.logical_not(), 0.0);
    let expected = weights * &b.z;
    assert_close(&gradient(&b.x, |x| weighted(x).sum(Kind::Double)), &expected, TOLERANCE, "−φ·Â");
}

#[test]
fn signed_sums_of_groups() {
    let b = Batch::new(Kind::Double);
    let (signs, groups) = (Tensor::from_slice(&[1.0, -1.0, 1.0, -1.0]), Tensor::from_slice(&[0i64, 2, 2, 0]));
    let of = |x: &Tensor| dpo_loss(&group_contrast(&row_sum(x, &b.mask), &signs, &groups), 0.3).mean(Kind::Double);
    assert_gradient(&b.x, "group_contrast", of);
}

#[test]
fn value_loss_with_and_without_clip() {
    let b = Batch::new(Kind::Double);
    let move_ = (&b.x - &b.y).abs();
    assert_both_sides(&(move_ - 0.2), &b.mask, "clip");
    for range in [0.0, 0.2] {
        let loss = |x: &Tensor| masked_sum(&value_loss(x, &b.y, &b.z, range), &b.mask);
        assert_gradient(&b.x, &format!("value_loss, range {range}"), loss);
    }
}

#[test]
fn dpo_loss_from_token_log_probs() {
    let b = Batch::new(Kind::Double);
    for beta in [0.1, 2.0] {
        let loss = |x: &Tensor| {
            let (policy, reference) = (row_sum(x, &b.mask), row_sum(&b.y, &b.mask));
            let half = |x: &Tensor, start: i64| x.narrow(0, start, ROWS / 2);
            let log_ratio = response_log_ratio(&policy, &reference); // [2B]
            let log_ratio = half(&log_ratio, 0) - half(&log_ratio, ROWS / 2); // [B]
            dpo_loss(&log_ratio, beta).mean(Kind::Double)
        };
        assert_gradient(&b.x, &format!("dpo_loss, β {beta}"), loss);
    }
}

#[test]
fn estimators_reductions_and_moments() {
    let b = Batch::new(Kind::Double);
    type Function = fn(&Batch) -> Tensor;
    let functions: [(&str, Function); 8] = [
        ("k1", |b| token_mean(&kl_k1(&(&b.x - &b.y)), &b.mask)),
        ("k2", |b| token_mean(&kl_k2(&(&b.x - &b.y)), &b.mask)),
        ("k3", |b| token_mean(&kl_k3(&(&b.x - &b.y)), &b.mask)),
        ("sequence_mean_token_mean", |b| sequence_mean_token_mean(&b.x, &b.mask)),
        ("sequence_mean_token_sum", |b| sequence_mean_token_sum(&b.x, &b.mask)),
        ("sum_over_constant", |b| sum_over_constant(&b.x, &b.mask, 3)),
        ("negative_log_likelihood", |b| negative_log_likelihood(&b.x, &b.mask)),
        ("masked_variance", |b| masked_variance(&b.x, &b.mask)),
    ];
    for (name, function) in functions {
        assert_gradient(&b.x, name, |x| function(&b.with_x(x)));
    }
}

#[test]
fn what_stands_for_a_response() {
    let b = Batch::new(Kind::Double);
    type Function = fn(&Tensor) -> Tensor;
    let functions: [(&str, Function); 5] = [
        ("power_reward, forward KL", |x| power_reward(x, -1.0)),
        ("power_reward, α 0.5", |x| power_reward(x, -0.5)),
        ("power_reward, α 2", |x| power_reward(x, 1.0)),
        ("jensen_shannon_reward", jensen_shannon_reward),
        ("log_odds", log_odds),
    ];
    let below_zero = &b.x - 0.2;
    assert_both_sides(&(&below_zero + std::f64::consts::LN_2), &b.mask, "branch of log_odds");
    for (name, function) in functions {
        assert_gradient(&below_zero, name, |x| masked_sum(&function(x).square(), &b.mask));
    }
    let weighed = |x: &Tensor| masked_sum(&length_desensitized(x, &uneven(&b), 0.3).square(), &uneven(&b));
    assert_gradient(&b.x, "length_desensitized", weighed);
}

/// The mask of the batch with one token less in its first row.
fn uneven(batch: &Batch) -> Tensor {
    let mask = batch.mask.copy();
    let _ = mask.get(0).get(3).fill_(0);
    mask
}

#[test]
fn losses_of_whole_responses() {
    let b = Batch::new(Kind::Double);
    let half = |x: &Tensor, start: i64| x.narrow(0, start, ROWS / 2);
    type Function = fn(&Tensor, &Tensor) -> Tensor;
    let functions: [(&str, Function); 3] = [
        ("simpo_loss", |chosen, rejected| simpo_loss(&(chosen - rejected), 2.0, 0.7, 0.1)),
        ("odds_ratio_loss", |chosen, rejected| odds_ratio_loss(chosen, rejected, 0.5)),
        ("bco_loss", |chosen, rejected| {
            let (rows, point) = (Tensor::cat(&[chosen, rejected], 0), Tensor::from(-0.8));
            let desirable = rows.gt(-1.0).detach();
            bco_loss(&rows, &desirable, &point, 0.5, 1.3, 0.7)
        }),
    ];
    for (name, function) in functions {
        let loss = |x: &Tensor| {
            let means = row_mean(x, &b.mask);
            function(&half(&means, 0), &half(&means, ROWS / 2)).mean(Kind::Double)
        };
        assert_gradient(&(&b.x - 0.2), name, loss);
    }
}

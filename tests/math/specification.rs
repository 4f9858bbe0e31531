//! Values worked out by hand or in double precision outside this project.

use keel::math::*;
use tch::{Kind, Tensor};

use crate::{assert_close, assert_near, scalar};

const TOLERANCE: f64 = 1e-6;

fn row(values: &[f64]) -> Tensor {
    Tensor::from_slice(values).unsqueeze(0)
}

fn mask(values: &[i64]) -> Tensor {
    Tensor::from_slice(values).to_kind(Kind::Bool).unsqueeze(0)
}

#[test]
fn dpo_sigmoid() {
    // log-ratios to the reference: chosen 2, rejected −1
    let of = |value: f64| Tensor::from_slice(&[value]);
    let log_ratio = response_log_ratio(&of(-3.0), &of(-5.0)) - response_log_ratio(&of(-9.0), &of(-8.0));
    assert_close(&log_ratio, &of(3.0), TOLERANCE, "log-ratio");
    assert_close(&dpo_loss(&log_ratio, 0.1), &of(0.554355), TOLERANCE, "−log σ(0.3)");
    assert_close(&dpo_loss(&of(0.5), 1.0), &of(0.474077), TOLERANCE, "−log σ(0.5)");
    assert_close(&dpo_loss(&of(0.0), 0.1), &of(std::f64::consts::LN_2), TOLERANCE, "ln 2");
}

#[test]
fn pairs_without_a_reference() {
    let of = |value: f64| Tensor::from_slice(&[value]);
    let (chosen, rejected) = (of(-0.5), of(-1.2));
    assert_close(&simpo_loss(&(&chosen - &rejected), 2.5, 1.375, 0.0), &of(0.523123), TOLERANCE, "SimPO");
    assert_close(&(log_odds(&chosen) - log_odds(&rejected)), &of(1.274370), TOLERANCE, "log-odds ratio");
    assert_close(&odds_ratio_loss(&chosen, &rejected, 0.1), &of(0.0246553), TOLERANCE, "ORPO");
    // (1 − p^(−α)) / α with p = ¼ and α = ½
    assert_close(&power_reward(&of(0.25f64.ln()), -0.5), &of(-2.0), TOLERANCE, "AlphaPO");
}

#[test]
fn preference_accuracy_counts_ties_as_wrong() {
    let log_ratio = Tensor::from_slice(&[0.5, -0.5, 0.0, 1e-9, f64::NAN]);
    assert_near(scalar(&preference_accuracy(&log_ratio)), 0.4, TOLERANCE, "two of five");
}

#[test]
fn kl_estimators() {
    let log_ratio = Tensor::from_slice(&[0.3, -0.3]);
    assert_close(&kl_k1(&log_ratio), &Tensor::from_slice(&[0.3, -0.3]), TOLERANCE, "k1");
    assert_close(&kl_k2(&log_ratio), &Tensor::from_slice(&[0.045, 0.045]), TOLERANCE, "k2");
    assert_close(&kl_k3(&log_ratio), &Tensor::from_slice(&[0.0408182, 0.0498588]), TOLERANCE, "k3");
}

#[test]
fn kl_estimators_clamp_at_twenty_nats() {
    let log_ratio = Tensor::from_slice(&[1e3, -1e3, f64::INFINITY, f64::NEG_INFINITY]);
    let (low, high) = (20f64.exp() - 21.0, (-20f64).exp() + 19.0);
    assert_close(&kl_k1(&log_ratio), &Tensor::from_slice(&[20.0, -20.0, 20.0, -20.0]), TOLERANCE, "k1");
    assert_close(&kl_k2(&log_ratio), &Tensor::from_slice(&[200.0; 4]), TOLERANCE, "k2");
    assert_close(&kl_k3(&log_ratio), &Tensor::from_slice(&[high, low, high, low]), TOLERANCE, "k3");
}

#[test]
fn k3_keeps_its_digits_near_zero() {
    let log_ratio = Tensor::from_slice(&[1e-3f32]);
    let expected = 4.9983337e-7;
    assert_near(kl_k3(&log_ratio).double_value(&[0]), expected, 1e-3 * expected, "ℓ²/2 − ℓ³/6 in f32");
}

#[test]
fn adaptive_coefficient() {
    assert_near(adaptive_kl_coef(0.2, 9.0, 6.0, 10000.0, 64.0), 0.200256, TOLERANCE, "above, clipped");
    assert_near(adaptive_kl_coef(0.2, 5.7, 6.0, 10000.0, 64.0), 0.199936, TOLERANCE, "below, proportional");
    assert_near(adaptive_kl_coef(0.2, -3.0, 6.0, 10000.0, 64.0), 0.199744, TOLERANCE, "below, clipped");
}

#[test]
fn rewards_lie_on_the_last_counted_token() {
    let kl = Tensor::from_slice(&[0.1, 0.2, 7.0, 0.4, 7.0, 7.0, 0.5, 7.0]).view([2, 4]);
    let mask = Tensor::from_slice(&[1i64, 1, 0, 1, 0, 0, 1, 0]).to_kind(Kind::Bool).view([2, 4]);
    let rewards = shaped_rewards(&kl, &Tensor::from_slice(&[1.0, -2.0]), 0.5, &mask);
    let expected = Tensor::from_slice(&[-0.05, -0.1, 0.0, 0.8, 0.0, 0.0, -2.25, 0.0]).view([2, 4]);
    assert_close(&rewards, &expected, TOLERANCE, "rewards");
}

#[test]
fn advantages_pass_over_a_masked_token() {
    let (rewards, values) = (row(&[-0.01, 0.02, 9.0, -0.03, 1.0]), row(&[0.5, 0.4, 7.0, 0.3, 0.2]));
    let (advantages, returns) =
        generalized_advantage(&rewards, &values, &mask(&[1, 1, 0, 1, 1]), 1.0, &Tensor::from(0.95));
    assert_close(&advantages, &row(&[0.382575, 0.5185, 0.0, 0.63, 0.8]), TOLERANCE, "advantages");
    assert_close(&returns, &row(&[0.882575, 0.9185, 0.0, 0.93, 1.0]), TOLERANCE, "returns");

    let (rewards, values) = (row(&[-0.01, 0.02, -0.03, 1.0]), row(&[0.5, 0.4, 0.3, 0.2]));
    let (advantages, returns) =
        generalized_advantage(&rewards, &values, &mask(&[1, 1, 1, 1]), 1.0, &Tensor::from(0.95));
    assert_close(&advantages, &row(&[0.382575, 0.5185, 0.63, 0.8]), TOLERANCE, "advantages, token deleted");
    assert_close(&returns, &row(&[0.882575, 0.9185, 0.93, 1.0]), TOLERANCE, "returns, token deleted");
}

#[test]
fn policy_loss_clips_and_clips_again() {
    let advantages = row(&[1.0, 1.0, -1.0, -1.0, -1.0]);
    let log_probs = row(&[1.5, 0.5, 1.5, 0.5, 5.0]).log();
    let (old, all) = (log_probs.zeros_like(), mask(&[1; 5]));
    let loss = policy_loss(&log_probs, &old, &advantages, &all, 0.2, 0.2, Some(3.0));
    assert_close(&loss, &row(&[-1.2, -0.5, 1.5, 0.8, 3.0]), TOLERANCE, "dual clip");
    let loss = policy_loss(&log_probs, &old, &advantages, &all, 0.2, 0.2, None);
    assert_close(&loss, &row(&[-1.2, -0.5, 1.5, 0.8, 5.0]), TOLERANCE, "no dual clip");
    let loss = policy_loss(&log_probs, &old, &advantages, &all, 0.6, 0.28, None);
    assert_close(&loss, &row(&[-1.28, -0.5, 1.5, 0.5, 5.0]), TOLERANCE, "two ranges");
    let fraction = clip_fraction(&log_probs, &old, &advantages, &all, 0.2, 0.2);
    assert_near(scalar(&fraction), 0.4, TOLERANCE, "(1, 1.5) and (−1, 0.5)");
    assert_close(&ratio(&log_probs, &old, &all), &row(&[1.5, 0.5, 1.5, 0.5, 5.0]), TOLERANCE, "ratio");
}

#[test]
fn a_cap_bounds_what_the_clip_does_not() {
    let (log_probs, advantages) = (row(&[5.0, 1.1, 5.0]).log(), row(&[-1.0, -1.0, 1.0]));
    let (old, all) = (log_probs.zeros_like(), mask(&[1; 3]));
    let loss = policy_loss(&capped(&log_probs, &old, &all, 2.0), &old, &advantages, &all, 0.2, 0.2, None);
    assert_close(&loss, &row(&[2.0, 1.1, -1.2]), TOLERANCE, "−Â·min(ρ, 2)");
}

#[test]
fn gates_fade_and_weights_peak() {
    let (one, all) = (row(&[1.0]), mask(&[1]));
    let old = row(&[0.0]);
    let gate = |ratio: f64, advantage: f64| {
        -scalar(
            &gated_policy_loss(&row(&[ratio]).log(), &old, &(&one * advantage), &all, (1.0, 1.05)).sum(Kind::Double),
        )
    };
    assert_near(gate(1.5, 1.0), 2.489837, TOLERANCE, "4·σ(0.5)");
    assert_near(gate(1.0, -1.0), -2.0 / 1.05, TOLERANCE, "at θ = old");
    let weight = |advantage: f64| {
        let log_probs = row(&[2.0]).log();
        let loss = variational_policy_loss(&log_probs, &old, &(&one * advantage), &all, (2.0, 3.0), (3.0, 2.0));
        -scalar(&(loss / log_probs).sum(Kind::Double)) / advantage
    };
    assert_near(weight(1.0), 0.199148, TOLERANCE, "e³·2²·e⁻⁶");
    assert_near(weight(-1.0), 1.082682, TOLERANCE, "e²·2³·e⁻⁴");
}

#[test]
fn geometric_means_bound_what_moves_with_the_advantage() {
    let log_probs = Tensor::from_slice(&[0.9, -0.9, 0.1, 0.5, -0.3, -0.9]).view([2, 3]);
    let advantages = Tensor::from_slice(&[2.0, 2.0, 2.0, -1.0, -1.0, -1.0]).view([2, 3]);
    let counted = Tensor::from_slice(&[1i64, 1, 0, 1, 1, 1]).to_kind(Kind::Bool).view([2, 3]);
    let loss = geometric_policy_loss(&log_probs, &log_probs.zeros_like(), &advantages, &counted, 0.4);
    let (first, second) = (-2.0 * ((0.4 - 0.9) / 2f64).exp(), ((0.5 - 0.3 - 0.4) / 3f64).exp());
    let expected = Tensor::from_slice(&[first, first, 0.0, second, second, second]).view([2, 3]);
    assert_close(&loss, &expected, TOLERANCE, "−Â·exp(mean)");
}

#[test]
fn baselines_and_ranks_of_a_group() {
    let (rewards, groups) = (Tensor::from_slice(&[1.0, 4.0, 4.0, -1.0]), Tensor::from_slice(&[0i64, 0, 0, 3]));
    let lengths = Tensor::from_slice(&[2.0, 1.0, 1.0, 7.0]);
    let expected = Tensor::from_slice(&[2.5, 2.5, 2.5, -1.0]);
    assert_close(&length_weighted_mean(&rewards, &lengths, &groups), &expected, TOLERANCE, "(2 + 4 + 4) / 4");
    assert_close(&group_rank(&rewards, &groups), &Tensor::from_slice(&[2i64, 0, 1, 0]), 0.0, "best first");
    assert_close(&group_rank(&-&rewards, &groups), &Tensor::from_slice(&[0i64, 1, 2, 0]), 0.0, "worst first");
    let signs = Tensor::from_slice(&[-1.0, 1.0, 0.0, 0.0]);
    let expected = Tensor::from_slice(&[3.0, 3.0, 3.0, 0.0]);
    assert_close(&group_contrast(&rewards, &signs, &groups), &expected, TOLERANCE, "best less worst");
}

#[test]
fn returns_are_discounted_over_counted_tokens() {
    let returns = discounted_returns(&row(&[1.0, 9.0, -2.0, 4.0]), &mask(&[1, 0, 1, 1]), 0.5);
    assert_close(&returns, &row(&[1.0, 0.0, 0.0, 4.0]), TOLERANCE, "1 + ½·(−2 + ½·4)");
}

#[test]
fn weights_of_rollouts_from_elsewhere() {
    let old = Tensor::from_slice(&[-1.0, -1.0, 9.0, -0.5, -0.5, -0.5]).view([2, 3]);
    let rollout = Tensor::from_slice(&[-1.4, -1.2, 0.0, -0.2, -0.8, -1.1]).view([2, 3]);
    let counted = Tensor::from_slice(&[1i64, 1, 0, 1, 1, 1]).to_kind(Kind::Bool).view([2, 3]);
    let of = |values: [f64; 2]| Tensor::from_slice(&values);
    assert_close(&sequence_ratio(&old, &rollout, &counted), &of([0.6, 0.6]).exp(), TOLERANCE, "sums");
    assert_close(&sequence_mean_ratio(&old, &rollout, &counted), &of([0.3, 0.2]).exp(), TOLERANCE, "means");
    let weights = row(&[0.2, 0.5, 1.0, 3.0]);
    assert_close(&truncated(&weights, 0.5, 2.0), &row(&[0.5, 0.5, 1.0, 2.0]), TOLERANCE, "truncated");
    assert_close(&within(&weights, 0.5, 2.0), &row(&[0.0, 0.5, 1.0, 0.0]), TOLERANCE, "within");
    let stayed = Tensor::from_slice(&[1.0, 0.0, 1.0, 0.0, 0.0, 1.0]).view([2, 3]);
    let (short, long) = stayed_by_length(&stayed, &counted);
    assert_near(scalar(&short), 0.5, TOLERANCE, "of two tokens");
    assert_near(scalar(&long), 1.0 / 3.0, TOLERANCE, "of three");
    assert_near(scalar(&stayed_by_length(&stayed, &counted.ones_like()).1), 1.0, 0.0, "none is longer");
}

#[test]
fn tokens_chosen_by_entropy_and_by_distance() {
    let entropies = row(&[0.1, 9.0, 0.4, 0.2, 0.3]);
    let found = uncertain_tokens(&entropies, &mask(&[1, 0, 1, 1, 1]), 0.5);
    assert_close(&found, &mask(&[0, 0, 1, 0, 1]), 0.0, "above the median 0.25");
    let (policy, rollout) = (row(&[-1.0, -1.0, -9.0]), row(&[-0.2, -1.0, -0.1]));
    let (counted, blamed) = (mask(&[1, 1, 0]), row(&[-1.0, 1.0, -1.0]));
    let found = |threshold| tolerable_tokens(&policy, &rollout, &blamed, &counted, threshold);
    assert_close(&found(0.39), &mask(&[0, 1, 0]), 0.0, "the mean is 0.4");
    assert_close(&found(0.41), &mask(&[1, 1, 0]), 0.0, "near enough");
}

#[test]
fn value_loss_takes_the_larger_error() {
    let (values, old, returns) = (row(&[1.0, 1.0, 0.1, 3.0]), row(&[0.5, 0.5, 0.0, 0.0]), row(&[1.0, 0.0, 0.0, 4.0]));
    let clipped = value_loss(&values, &old, &returns, 0.2);
    assert_close(&clipped, &row(&[0.045, 0.5, 0.005, 7.22]), TOLERANCE, "clipped at 0.2");
    let free = value_loss(&values, &old, &returns, 0.0);
    assert_close(&free, &row(&[0.0, 0.5, 0.005, 0.5]), TOLERANCE, "0 is off");
}

#[test]
fn moments_and_reductions() {
    let x = Tensor::from_slice(&[1.0, 2.0, 90.0, 6.0, 90.0, 90.0]).view([2, 3]);
    let mask = Tensor::from_slice(&[1i64, 1, 0, 1, 0, 0]).to_kind(Kind::Bool).view([2, 3]);
    assert_near(scalar(&masked_sum(&x, &mask)), 9.0, TOLERANCE, "sum");
    assert_near(scalar(&masked_mean(&x, &mask)), 3.0, TOLERANCE, "mean");
    assert_near(scalar(&masked_variance(&x, &mask)), 7.0, TOLERANCE, "(4 + 1 + 9) / 2");
    assert_close(&row_sum(&x, &mask), &Tensor::from_slice(&[3.0, 6.0]), TOLERANCE, "row sum");
    assert_close(&row_mean(&x, &mask), &Tensor::from_slice(&[1.5, 6.0]), TOLERANCE, "row mean");
    let centred = Tensor::from_slice(&[-2.0, -1.0, 0.0, 3.0, 0.0, 0.0]).view([2, 3]);
    assert_close(&centered(&x, &mask), &centred, TOLERANCE, "centered");
    assert_near(scalar(&token_mean(&x, &mask)), 3.0, TOLERANCE, "token mean");
    assert_near(scalar(&sequence_mean_token_mean(&x, &mask)), 3.75, TOLERANCE, "sequence mean of token means");
    assert_near(scalar(&sequence_mean_token_sum(&x, &mask)), 4.5, TOLERANCE, "sequence mean of token sums");
    assert_near(scalar(&sum_over_constant(&x, &mask, 9)), 0.5, TOLERANCE, "9 / (2 · 9)");
    assert_near(scalar(&negative_log_likelihood(&-x, &mask)), 3.0, TOLERANCE, "likelihood");
}

#[test]
fn explained_variance_of_good_and_bad_values() {
    let (returns, all) = (row(&[1.0, 2.0, 3.0, 4.0]), mask(&[1; 4]));
    assert_near(explained_variance(&returns, &(&returns + 5.0), &all), 1.0, TOLERANCE, "up to a constant");
    assert_near(explained_variance(&returns, &row(&[7.0; 4]), &all), 0.0, TOLERANCE, "a constant");
    assert_near(explained_variance(&returns, &row(&[0.5, 1.0, 1.5, 2.0]), &all), 0.75, TOLERANCE, "half");
    assert_near(explained_variance(&returns, &row(&[-1.0, -2.0, -3.0, -4.0]), &all), -3.0, TOLERANCE, "opposite");
}

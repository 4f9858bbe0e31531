//! What other libraries compute from the same inputs (tests/golden/losses; its README says which and how).

use keel::math::*;
use serde_json::Value;
use tch::{Kind, Tensor};

use crate::golden::{number, Golden};
use crate::{assert_close, assert_near, gradient, scalar};

/// Both kinds and what each may differ by.
const KINDS: [(Kind, f64); 2] = [(Kind::Double, 1e-9), (Kind::Float, 1e-5)];

/// The peer divides n by n − 1 in single precision.
const BESSEL: f64 = 1e-6;

/// The peers report these metrics in single precision.
const METRIC: f64 = 1e-6;

fn log_ratio(log_probs: &Tensor, reference: &Tensor, mask: &Tensor) -> Tensor {
    let (policy, reference) = (row_sum(log_probs, mask), row_sum(reference, mask));
    let half = |x: &Tensor, which: usize| x.chunk(2, 0).swap_remove(which);
    let log_ratio = response_log_ratio(&policy, &reference); // [2B]
    half(&log_ratio, 0) - half(&log_ratio, 1)
}

#[test]
fn dpo_sigmoid_on_normal_and_extreme_pairs() {
    for (kind, tolerance) in KINDS {
        let golden = Golden::load("dpo", kind);
        for case in golden.cases() {
            let (data, beta) = (case["data"].as_str().unwrap(), number(case, "beta"));
            let of = |name: &str| golden.tensor(&format!("{data}.{name}"));
            let delta = |x: &Tensor| log_ratio(x, of("reference_log_probs"), of("mask"));
            let loss = |x: &Tensor| dpo_loss(&delta(x), beta).mean(kind);
            let log_probs = of("log_probs");
            assert_near(scalar(&loss(log_probs)), number(case, "loss"), tolerance, "loss");
            // the peer sums padded positions too, where its inputs are 0
            let expected = of(&format!("{beta}.gradient")).masked_fill(&of("mask").logical_not(), 0.0);
            assert_close(&gradient(log_probs, loss), &expected, tolerance, "gradient");
            assert_near(scalar(&preference_accuracy(&delta(log_probs))), number(case, "accuracy"), METRIC, "accuracy");
            let margin = beta * scalar(&delta(log_probs).mean(kind));
            assert_near(margin, number(case, "margin"), tolerance.max(METRIC), "margin");
        }
    }
}

#[test]
fn likelihood_of_chosen_responses() {
    for (kind, tolerance) in KINDS {
        let golden = Golden::load("dpo", kind);
        let (log_probs, mask) = (golden.tensor("likelihood.log_probs"), golden.tensor("likelihood.mask"));
        let loss = scalar(&negative_log_likelihood(log_probs, mask));
        assert_near(loss, number(&golden.facts["likelihood"], "loss"), tolerance, "loss");
    }
}

fn reduced(case: &Value, loss: &Tensor, mask: &Tensor) -> Tensor {
    match case["reduction"].as_str().unwrap() {
        "grpo" => sequence_mean_token_mean(loss, mask),
        "bnpo" | "dapo" => token_mean(loss, mask),
        "dr_grpo" => sum_over_constant(loss, mask, 16),
        other => panic!("no reduction for {other}"),
    }
}

#[test]
fn policy_loss_under_every_reduction() {
    for (kind, tolerance) in KINDS {
        let golden = Golden::load("policy", kind);
        let (log_probs, mask) = (golden.tensor("log_probs"), golden.tensor("mask"));
        let advantages = golden.tensor("advantages").unsqueeze(1).expand_as(log_probs);
        for (i, case) in golden.cases().iter().enumerate() {
            let (low, high) = (number(case, "clip_range_low"), number(case, "clip_range_high"));
            let on_policy = case["on_policy"].as_bool().unwrap();
            let old = if on_policy { log_probs } else { golden.tensor("old_log_probs") };
            let tokens = |x: &Tensor| policy_loss(x, old, &advantages, mask, low, high, None);
            let loss = |x: &Tensor| reduced(case, &tokens(x), mask);
            assert_near(scalar(&loss(log_probs)), number(case, "loss"), tolerance, "loss");
            let expected = golden.tensor(&format!("{i}.gradient"));
            assert_close(&gradient(log_probs, loss), expected, tolerance, "gradient");
            let clipped = scalar(&clip_fraction(log_probs, old, &advantages, mask, low, high));
            assert_near(clipped, number(case, "clip_fraction"), METRIC, "clip fraction");
            if case["reduction"] == "dr_grpo" {
                let sum = scalar(&sequence_mean_token_sum(&tokens(log_probs), mask));
                assert_near(sum, 16.0 * number(case, "loss"), 16.0 * tolerance, "sum per sequence");
            }
        }
    }
}

struct Ppo {
    golden: Golden,
    tolerance: f64,
}

impl Ppo {
    /// Every case of the peer that means what this project means, in both kinds.
    fn each(check: impl Fn(&Ppo, usize, &Value)) {
        for (kind, tolerance) in KINDS {
            let ppo = Ppo { golden: Golden::load("ppo", kind), tolerance };
            for (i, case) in ppo.golden.cases().iter().enumerate() {
                check(&ppo, i, case);
            }
        }
    }

    fn tensor(&self, name: &str) -> &Tensor {
        self.golden.tensor(name)
    }

    fn expected(&self, case: usize, name: &str) -> &Tensor {
        self.golden.tensor(&format!("{case}.{name}"))
    }

    fn mask(&self) -> &Tensor {
        self.tensor("mask")
    }

    /// The peer computes padded positions too.
    fn counted(&self, x: &Tensor) -> Tensor {
        x.masked_fill(&self.mask().logical_not(), 0.0)
    }
}

/// The peer adds the mean of the whitened rewards to padded positions too, from where it reaches every shorter row.
fn whitens_rewards(case: &Value) -> bool {
    case["whiten_rewards"].as_bool().unwrap()
}

#[test]
fn ppo_rewards() {
    Ppo::each(|ppo, i, case| {
        let log_ratio = ppo.tensor("old_log_probs") - ppo.tensor("reference_log_probs");
        let kl = match case["kl_penalty"].as_str().unwrap() {
            "kl" => kl_k1(&log_ratio),
            "mse" => kl_k2(&log_ratio),
            "abs" => kl_k1(&log_ratio).abs(),
            other => panic!("no estimator for {other}"),
        };
        let rewards = shaped_rewards(&kl, ppo.tensor("scores"), number(case, "kl_coef"), ppo.mask());
        assert_close(&rewards, &ppo.counted(ppo.expected(i, "rewards")), ppo.tolerance, "rewards");
    });
}

#[test]
fn ppo_advantages_and_returns() {
    Ppo::each(|ppo, i, case| {
        let (discount, gae_lambda) = (number(case, "gamma"), number(case, "lam"));
        let rewards = ppo.expected(i, "rewards");
        let estimate = |rewards: &Tensor| {
            generalized_advantage(rewards, ppo.tensor("old_values"), ppo.mask(), discount, &Tensor::from(gae_lambda))
        };
        if whitens_rewards(case) {
            let (_, returns) = estimate(&scaled(rewards, ppo.mask()));
            let (found, expected) = (returns.get(0), ppo.expected(i, "returns").get(0));
            assert_close(&found, &expected, ppo.tolerance.max(BESSEL), "returns of the full row");
            return;
        }
        let (advantages, returns) = estimate(rewards);
        let (found, expected) = (whitened(&advantages, ppo.mask()), ppo.counted(ppo.expected(i, "advantages")));
        assert_close(&found, &expected, ppo.tolerance.max(BESSEL), "whitened advantages");
        assert_close(&returns, &ppo.counted(ppo.expected(i, "returns")), ppo.tolerance, "returns");
    });
}

#[test]
fn ppo_losses_and_gradients() {
    Ppo::each(|ppo, i, case| {
        let (clip, value_clip) = (number(case, "cliprange"), number(case, "cliprange_value"));
        let (mask, advantages, old) = (ppo.mask(), ppo.expected(i, "advantages"), ppo.tensor("old_log_probs"));
        let log_probs = ppo.tensor("log_probs");
        let loss = |x: &Tensor| token_mean(&policy_loss(x, old, advantages, mask, clip, clip, None), mask);
        assert_near(scalar(&loss(log_probs)), number(case, "policy_loss"), ppo.tolerance, "policy loss");
        assert_close(&gradient(log_probs, loss), ppo.expected(i, "gradient"), ppo.tolerance, "policy gradient");

        let (old_values, returns) = (ppo.tensor("old_values"), ppo.expected(i, "returns"));
        let loss = |x: &Tensor| token_mean(&value_loss(x, old_values, returns, value_clip), mask);
        let values = ppo.tensor("values");
        assert_near(scalar(&loss(values)), number(case, "value_loss"), ppo.tolerance, "value loss");
        assert_close(&gradient(values, loss), ppo.expected(i, "value_gradient"), ppo.tolerance, "value gradient");

        let clipped = scalar(&clip_fraction(log_probs, old, advantages, mask, clip, clip));
        assert_near(clipped, number(case, "clip_fraction"), METRIC, "clip fraction");
        let kl = scalar(&approximate_kl(log_probs, old, mask));
        assert_near(kl, number(case, "approximate_kl"), METRIC, "approximate KL");
    });
}

#[test]
fn ppo_dual_clip() {
    for (kind, tolerance) in KINDS {
        let golden = Golden::load("ppo", kind);
        let (log_ratio, mask) = (golden.tensor("dual.ratio").log(), golden.tensor("mask"));
        let old = log_ratio.zeros_like();
        let loss = policy_loss(&log_ratio, &old, golden.tensor("0.advantages"), mask, 0.2, 0.2, Some(3.0));
        let expected = golden.tensor("dual.per_token").masked_fill(&mask.logical_not(), 0.0);
        assert_close(&loss, &expected, tolerance, "per token");
        let free = policy_loss(&log_ratio, &old, golden.tensor("0.advantages"), mask, 0.2, 0.2, None);
        assert!(!free.equal(&loss), "the data reach the second clip");
    }
}

#[test]
fn whitening() {
    for (kind, tolerance) in KINDS {
        let golden = Golden::load("ppo", kind);
        let (x, mask) = (golden.tensor("whiten.x"), golden.tensor("whiten.mask"));
        let counted = |name: &str| golden.tensor(name).masked_fill(&mask.logical_not(), 0.0);
        assert_close(&whitened(x, mask), &counted("whiten.whitened"), tolerance.max(BESSEL), "whitened");
        assert_close(&scaled(x, mask), &counted("whiten.scaled"), tolerance.max(BESSEL), "scaled");
    }
}

#[test]
fn divergence_estimators() {
    for (kind, tolerance) in KINDS {
        let golden = Golden::load("ppo", kind);
        let log_ratio = golden.tensor("old_log_probs") - golden.tensor("reference_log_probs");
        assert_close(&kl_k1(&log_ratio), golden.tensor("kl.k1"), tolerance, "k1");
        assert_close(&kl_k2(&log_ratio), golden.tensor("kl.k2"), tolerance, "k2");
        assert_close(&kl_k3(&log_ratio), golden.tensor("kl.k3"), tolerance, "k3");
    }
}

#[test]
fn adaptive_coefficient_follows_the_peer() {
    let golden = Golden::load("ppo", Kind::Double);
    let facts = &golden.facts["adaptive_kl"];
    let (target, horizon) = (number(facts, "target"), number(facts, "horizon"));
    let observed = facts["observed"].as_array().unwrap();
    let mut coef = number(facts, "coef");
    for (step, expected) in observed.iter().zip(facts["trajectory"].as_array().unwrap()) {
        coef = adaptive_kl_coef(coef, step[0].as_f64().unwrap(), target, horizon, step[1].as_f64().unwrap());
        assert_near(coef, expected.as_f64().unwrap(), 1e-12, "coefficient");
    }
    assert_eq!(observed.len(), 8);
}

#[test]
fn advantages_of_complete_episodes() {
    for (kind, tolerance) in KINDS {
        let golden = Golden::load("ppo", kind);
        let (rewards, values) = (golden.tensor("episodes.rewards"), golden.tensor("episodes.values"));
        for (discount, gae_lambda) in [("0.99", "0.95"), ("1.0", "1.0"), ("0.9", "0.0")] {
            let expected = golden.tensor(&format!("episodes.{discount}.{gae_lambda}.advantages"));
            let (discount, gae_lambda): (f64, f64) = (discount.parse().unwrap(), gae_lambda.parse().unwrap());
            let mask = golden.tensor("episodes.mask");
            let (advantages, returns) =
                generalized_advantage(rewards, values, mask, discount, &Tensor::from(gae_lambda));
            assert_close(&advantages, expected, tolerance, "advantages");
            assert_close(&returns, &(expected + values), tolerance, "returns");
        }
    }
}

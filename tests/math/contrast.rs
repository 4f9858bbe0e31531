//! Losses without a reference against their peer (tests/golden/losses/cpo): losses and gradients.

use keel::math::*;
use serde_json::Value;
use tch::{Kind, Tensor};

use crate::golden::{number, Golden};
use crate::{assert_close, assert_near, gradient, scalar};

const KINDS: [(Kind, f64); 2] = [(Kind::Double, 1e-9), (Kind::Float, 2e-5)];

/// The mean preference loss of a case's pairs.
fn preference(case: &Value, log_probs: &Tensor, mask: &Tensor) -> Tensor {
    let (parameters, mean) = (&case["params"], case["average_log_prob"].as_bool().unwrap_or(true));
    let beta = number(parameters, "beta");
    let likelihood = if mean { row_mean(log_probs, mask) } else { row_sum(log_probs, mask) };
    let half = |whole: &Tensor, which: usize| whole.chunk(2, 0).swap_remove(which);
    if case["id"].as_str().unwrap().starts_with("orpo") {
        return odds_ratio_loss(&half(&likelihood, 0), &half(&likelihood, 1), beta).mean(log_probs.kind());
    }
    let rewards = power_reward(&likelihood, -number(parameters, "alpha"));
    let (margin, smoothing) = (half(&rewards, 0) - half(&rewards, 1), number(parameters, "label_smoothing"));
    let losses = match parameters["loss_type"].as_str().unwrap() {
        "sigmoid" => conservative_dpo_loss(&margin, beta, &margin.full_like(smoothing)),
        "hinge" => hinge_preference_loss(&margin, beta),
        "ipo" => ipo_loss(&margin, beta),
        "simpo" => simpo_loss(&margin, beta, number(parameters, "simpo_gamma"), smoothing),
        other => panic!("no loss for {other}"),
    };
    losses.mean(log_probs.kind())
}

#[test]
fn losses_and_gradients_without_a_reference() {
    for (kind, tolerance) in KINDS {
        let golden = Golden::load("cpo", kind);
        let (log_probs, mask) = (golden.tensor("log_probs"), golden.tensor("mask"));
        for case in golden.cases() {
            let id = case["id"].as_str().unwrap();
            let nll_coef = case["params"]["cpo_alpha"].as_f64().unwrap_or(1.0);
            let loss = |x: &Tensor| {
                let nll = negative_log_likelihood(&x.chunk(2, 0)[0], &mask.chunk(2, 0)[0]);
                preference(case, x, mask) + nll * nll_coef
            };
            assert_near(scalar(&loss(log_probs)), number(case, "loss"), tolerance, &format!("loss of case {id}"));
            let expected = golden.tensor(&format!("{id}.grad")).masked_fill(&mask.logical_not(), 0.0);
            assert_close(&gradient(log_probs, loss), &expected, tolerance, &format!("gradient of case {id}"));
        }
        assert_eq!(golden.cases().len(), 11);
    }
}

//! The preference family against its peer (tests/golden/losses/pair): losses and gradients.

use keel::math::*;
use serde_json::Value;
use tch::{Kind, Tensor};

use crate::golden::{number, Golden};
use crate::{assert_close, assert_near, gradient, scalar};

/// The peer's losses reach thousands on extreme pairs: what may differ is relative to the loss there.
const KINDS: [(Kind, f64); 2] = [(Kind::Double, 1e-9), (Kind::Float, 2e-5)];

/// The peer takes the logarithm of exo_pair's ε in single precision.
const SMOOTHING: f64 = 1e-7;

/// The peer takes α-divergences in single precision.
const SINGLE: f64 = 2e-5;

/// One response of each pair: its log-probability, the reference's, and its reward without β; [B] each.
struct Response {
    policy: Tensor,
    reference: Tensor,
    reward: Tensor,
}

/// What the case's divergence makes of a log-ratio.
fn reward(parameters: &Value, log_ratio: &Tensor) -> Tensor {
    match parameters["f_divergence_type"].as_str() {
        None => log_ratio.shallow_clone(),
        Some("forward_kl") => power_reward(log_ratio, -1.0),
        Some("js_divergence") => jensen_shannon_reward(log_ratio),
        Some("alpha_divergence") => power_reward(log_ratio, number(parameters, "f_alpha_divergence_coef") - 1.0),
        Some(other) => panic!("no divergence {other}"),
    }
}

/// The losses of a case's pairs, by one of its names.
fn losses(name: &str, parameters: &Value, chosen: &Response, rejected: &Response) -> Tensor {
    let (beta, margin) = (number(parameters, "beta"), &chosen.reward - &rejected.reward);
    let smoothing = parameters["label_smoothing"].as_f64().unwrap_or(0.0);
    match name {
        "sigmoid" | "sigmoid_norm" => dpo_loss(&margin, beta),
        "cdpo" => conservative_dpo_loss(&margin, beta, &margin.full_like(smoothing)),
        "robust" => robust_dpo_loss(&margin, beta, smoothing),
        "hinge" => hinge_preference_loss(&margin, beta),
        "ipo" => ipo_loss(&margin, beta),
        "exo_pair" => exo_pair_loss(&margin, beta, smoothing),
        "nca_pair" => nca_pair_loss(&chosen.reward, &rejected.reward, beta),
        "bco_pair" => bco_pair_loss(&chosen.reward, &rejected.reward, beta),
        "sppo_hard" => sppo_hard_loss(&chosen.reward, &rejected.reward, beta),
        "apo_zero" => apo_zero_loss(&chosen.reward, &rejected.reward, beta),
        "apo_down" => apo_down_loss(&chosen.reward, &rejected.reward, beta),
        "discopop" => discopop_loss(&margin, beta, parameters["discopop_tau"].as_f64().unwrap_or(0.05)),
        "aot" => {
            let reference = &chosen.reference - &rejected.reference;
            aot_loss(&(&chosen.policy - &rejected.policy), &reference, beta, smoothing)
        }
        "aot_unpaired" => aot_loss(&chosen.reward, &rejected.reward, beta, smoothing),
        other => panic!("no loss for {other}"),
    }
}

/// A case's losses by their weights, mean over its pairs.
fn loss(golden: &Golden, case: &Value, log_probs: &Tensor) -> Tensor {
    let (data, parameters) = (case["data"].as_str().unwrap(), &case["params"]);
    let of = |name: &str| golden.tensor(&format!("{data}.{name}"));
    let mask = of("mask");
    let excess = parameters["ld_alpha"].as_f64().unwrap_or(1.0);
    let names = parameters["loss_type"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let terms = names.enumerate().map(|(term, name)| {
        let mean = ["ipo", "sigmoid_norm"].contains(&name);
        let over_row = |x: &Tensor| {
            let x = length_desensitized(x, mask, excess);
            if mean {
                row_mean(&x, mask)
            } else {
                row_sum(&x, mask)
            }
        };
        let (policy, reference) = (over_row(log_probs), over_row(of("reference_log_probs")));
        let [chosen, rejected] = [0, 1].map(|which| {
            let half = |whole: &Tensor| whole.chunk(2, 0).swap_remove(which);
            let (policy, reference) = (half(&policy), half(&reference));
            let reward = reward(parameters, &response_log_ratio(&policy, &reference));
            Response { policy, reference, reward }
        });
        let weights = match parameters["use_weighting"].as_bool() {
            // the peer was told that log Σ p² is −½ for every token
            Some(true) => {
                policy_weight(log_probs, &(log_probs * 2.0 + 0.5), mask).view([2, -1]).prod_dim_int(0, false, None)
            }
            _ => chosen.policy.ones_like(),
        };
        let loss = match name {
            "sft" => negative_log_likelihood(&log_probs.chunk(2, 0)[0], &mask.chunk(2, 0)[0]),
            name => (losses(name, parameters, &chosen, &rejected) * weights).mean(log_probs.kind()),
        };
        loss * parameters["loss_weights"][term].as_f64().unwrap_or(1.0)
    });
    terms.reduce(|sum, term| sum + term).unwrap()
}

/// What a result may be off by: the peer has no double precision for some cases.
fn tolerance(case: &Value, tolerance: f64) -> f64 {
    match (case["dtype"].as_str(), case["id"].as_str().unwrap().starts_with("16")) {
        (Some("float32"), _) => tolerance.max(SINGLE),
        (_, true) => tolerance.max(SMOOTHING),
        _ => tolerance,
    }
}

#[test]
fn losses_and_gradients_of_the_family() {
    for (kind, tolerance) in KINDS {
        let golden = Golden::load("pair", kind);
        let mut compared = 0;
        for case in golden.cases() {
            let (id, data) = (case["id"].as_str().unwrap(), case["data"].as_str().unwrap());
            let log_probs = golden.tensor(&format!("{data}.log_probs"));
            let (of, expected) = (|x: &Tensor| loss(&golden, case, x), number(case, "loss"));
            let tolerance = self::tolerance(case, tolerance) * expected.abs().max(1.0);
            assert_near(scalar(&of(log_probs)), expected, tolerance, &format!("loss of case {id}"));
            // the peer sums padded positions too, where its inputs are 0
            let mask = golden.tensor(&format!("{data}.mask"));
            let expected = golden.tensor(&format!("{id}.grad")).masked_fill(&mask.logical_not(), 0.0);
            assert_close(&gradient(log_probs, of), &expected, tolerance, &format!("gradient of case {id}"));
            compared += 1;
        }
        assert_eq!(compared, 74);
    }
}

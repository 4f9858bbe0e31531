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

/// The mean loss of a case's pairs.
fn loss(golden: &Golden, case: &Value, log_probs: &Tensor) -> Tensor {
    let (data, parameters) = (case["data"].as_str().unwrap(), &case["params"]);
    let of = |name: &str| golden.tensor(&format!("{data}.{name}"));
    let (name, beta) = (parameters["loss_type"][0].as_str().unwrap(), number(parameters, "beta"));
    let smoothing = parameters["label_smoothing"].as_f64().unwrap_or(0.0);
    let over_row = if name == "ipo" { row_mean } else { row_sum };
    let (policy, reference) = (over_row(log_probs, of("mask")), over_row(of("reference_log_probs"), of("mask")));
    let half = |whole: &Tensor, which: usize| whole.chunk(2, 0).swap_remove(which);
    let (chosen, rejected) = (half(&(&policy - &reference), 0), half(&(&policy - &reference), 1));
    let margin = preference_log_ratio(&half(&policy, 0), &half(&policy, 1), &half(&reference, 0), &half(&reference, 1));
    let losses = match name {
        "sigmoid" => dpo_loss(&margin, beta),
        "cdpo" => conservative_dpo_loss(&margin, beta, &margin.full_like(smoothing)),
        "robust" => robust_dpo_loss(&margin, beta, smoothing),
        "hinge" => hinge_preference_loss(&margin, beta),
        "ipo" => ipo_loss(&margin, beta),
        "exo_pair" => exo_pair_loss(&margin, beta, smoothing),
        "nca_pair" => nca_pair_loss(&chosen, &rejected, beta),
        "bco_pair" => bco_pair_loss(&chosen, &rejected, beta),
        "sppo_hard" => sppo_hard_loss(&chosen, &rejected, beta),
        "apo_zero" => apo_zero_loss(&chosen, &rejected, beta),
        "apo_down" => apo_down_loss(&chosen, &rejected, beta),
        "discopop" => discopop_loss(&margin, beta, parameters["discopop_tau"].as_f64().unwrap_or(0.05)),
        "aot" => {
            let of_policy = half(&policy, 0) - half(&policy, 1);
            aot_loss(&of_policy, &(half(&reference, 0) - half(&reference, 1)), beta, smoothing)
        }
        "aot_unpaired" => aot_loss(&chosen, &rejected, beta, smoothing),
        other => panic!("no loss for {other}"),
    };
    losses.mean(log_probs.kind())
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
            let tolerance = if id.starts_with("16") { tolerance.max(SMOOTHING) } else { tolerance };
            let tolerance = tolerance * expected.abs().max(1.0);
            assert_near(scalar(&of(log_probs)), expected, tolerance, &format!("loss of case {id}"));
            // the peer sums padded positions too, where its inputs are 0
            let mask = golden.tensor(&format!("{data}.mask"));
            let expected = golden.tensor(&format!("{id}.grad")).masked_fill(&mask.logical_not(), 0.0);
            assert_close(&gradient(log_probs, of), &expected, tolerance, &format!("gradient of case {id}"));
            compared += 1;
        }
        assert_eq!(compared, 44);
    }
}

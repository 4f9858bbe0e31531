//! Kahneman–Tversky optimisation against its peer (tests/golden/losses/feedback): loss, divergence and gradient.

use keel::math::*;
use tch::{Kind, Tensor};

use crate::golden::{number, Golden};
use crate::{assert_close, assert_near, gradient, scalar};

const KINDS: [(Kind, f64); 2] = [(Kind::Double, 1e-9), (Kind::Float, 1e-5)];

#[test]
fn losses_and_gradients_on_good_and_bad_responses() {
    for (kind, tolerance) in KINDS {
        let golden = Golden::load("feedback", kind);
        let of = |name: &str| golden.tensor(name);
        let mismatched =
            row_sum(&(of("mismatched_log_probs") - of("mismatched_reference_log_probs")), of("mismatched_mask"));
        for case in golden.cases() {
            let (id, parameters) = (case["id"].as_str().unwrap(), &case["params"]);
            let labels: Vec<bool> =
                case["label"].as_array().unwrap().iter().map(|label| label.as_bool().unwrap()).collect();
            let labels = Tensor::from_slice(&labels);
            let point = match parameters["loss_type"].as_str().unwrap() {
                "kto" => reference_point(&mismatched),
                _ => reference_point(&mismatched).zeros_like(),
            };
            assert_near(scalar(&point), number(&case["metrics"], "kl"), tolerance.max(1e-6), "divergence");
            let weight = |name: &str| parameters[name].as_f64().unwrap_or(1.0);
            let loss = |x: &Tensor| {
                let log_ratio = row_sum(&(x - of("reference_log_probs")), of("mask"));
                let (good, bad) = (weight("desirable_weight"), weight("undesirable_weight"));
                kto_loss(&log_ratio, &labels, &point, number(parameters, "beta"), good, bad).mean(kind)
            };
            let log_probs = of("log_probs");
            assert_near(scalar(&loss(log_probs)), number(case, "loss"), tolerance, &format!("loss of case {id}"));
            let expected = of(&format!("{id}.grad")).masked_fill(&of("mask").logical_not(), 0.0);
            assert_close(&gradient(log_probs, loss), &expected, tolerance, &format!("gradient of case {id}"));
        }
        assert_eq!(golden.cases().len(), 6);
    }
}

//! The losses of reward models: the peer's (tests/golden/losses/reward), values worked by hand, degenerate inputs.

use keel::math::*;
use tch::{Kind, Tensor};

use crate::golden::{number, Golden};
use crate::{assert_close, assert_near, gradient, scalar};

const KINDS: [(Kind, f64); 2] = [(Kind::Double, 1e-9), (Kind::Float, 1e-5)];
const TOLERANCE: f64 = 1e-6;

fn of(values: &[f64]) -> Tensor {
    Tensor::from_slice(values)
}

#[test]
fn what_is_not_there_is_no_measurement() {
    let x = Tensor::from_slice(&[1.0, f64::NAN, 4.0]);
    assert_near(scalar(&observed_mean(&x, &Tensor::from_slice(&[true, false, true]))), 2.5, 1e-12, "by mask");
    assert_near(scalar(&observed_mean(&x, &Tensor::from_slice(&[3.0, 0.0, 1.0]))), 1.75, 1e-12, "by weights");
    assert!(scalar(&observed_mean(&x, &Tensor::from_slice(&[false; 3]))).is_nan());
}

#[test]
fn losses_and_gradients_with_margin_and_centering() {
    for (kind, tolerance) in KINDS {
        let golden = Golden::load("reward", kind);
        for case in golden.cases() {
            let (id, parameters) = (case["id"].as_str().unwrap(), &case["params"]);
            let given = golden.tensor("margin");
            let margin =
                if parameters["margin"].as_bool().unwrap() { given.shallow_clone() } else { given.zeros_like() };
            let center = parameters["center_rewards_coefficient"].as_f64().unwrap_or(0.0);
            let loss = |scores: &Tensor| {
                let (chosen, rejected) = (scores.narrow(0, 0, 8), scores.narrow(0, 8, 8));
                let pairs = bradley_terry_loss(&chosen, &rejected, &margin, &margin.ones_like());
                average(&(pairs + centering_penalty(&chosen, &rejected) * center), &margin.ones_like())
            };
            let scores = golden.tensor("rewards");
            assert_near(scalar(&loss(scores)), number(case, "loss"), tolerance, &format!("loss of case {id}"));
            let expected = golden.tensor(&format!("{id}.grad"));
            // the centred gradient of scores of 40 is itself in the tens
            assert_close(&gradient(scores, loss), expected, tolerance * 10.0, &format!("gradient of case {id}"));
        }
        assert_eq!(golden.cases().len(), 4);
    }
}

#[test]
fn pairs_worked_by_hand() {
    let loss = |margin: f64, probability: f64| {
        scalar(&bradley_terry_loss(&of(&[1.2]), &of(&[0.7]), &of(&[margin]), &of(&[probability])).sum(Kind::Double))
    };
    assert_near(loss(0.0, 1.0), 0.474077, TOLERANCE, "−log σ(0.5)");
    assert_near(loss(1.0, 1.0), 0.974077, TOLERANCE, "margin 1");
    assert_near(loss(0.0, 0.0), 0.974077, TOLERANCE, "the other way round");
    assert_near(loss(0.0, 0.5), (0.474077 + 0.974077) / 2.0, TOLERANCE, "nobody knows");
    let extreme = bradley_terry_loss(&of(&[1e4, -1e4]), &of(&[0.0; 2]), &of(&[0.0; 2]), &of(&[1.0; 2]));
    assert_close(&extreme, &of(&[0.0, 1e4]), TOLERANCE, "large differences");
}

#[test]
fn ranked_lists_become_pairs_of_equal_weight_a_prompt() {
    let ranks = of(&[2.0, 1.0, 3.0, 1.0, 1.0, 7.0]);
    let groups = Tensor::from_slice(&[0i64, 0, 0, 3, 3, 5]);
    let (better, worse, weights) = ranked_pairs(&ranks, &groups);
    assert_eq!(Vec::<i64>::try_from(&better).unwrap(), [0, 1, 1]);
    assert_eq!(Vec::<i64>::try_from(&worse).unwrap(), [2, 0, 2]);
    assert_close(&weights, &of(&[1.0 / 3.0; 3]), TOLERANCE, "three pairs of one prompt");
    let (none, _, weights) = ranked_pairs(&of(&[1.0, 1.0]), &Tensor::from_slice(&[0i64, 0]));
    assert_eq!((none.numel(), weights.numel()), (0, 0), "ties make no pairs");
    assert_near(scalar(&average(&weights, &weights)), 0.0, 0.0, "the average of nothing");
}

#[test]
fn weights_of_zero_hide_what_is_no_number() {
    let x = of(&[1.0, f64::NAN, 4.0]);
    assert_near(scalar(&average(&x, &of(&[1.0, 0.0, 2.0]))), 3.0, TOLERANCE, "(1 + 8) / 3");
    let found = gradient(&x, |x| average(x, &of(&[1.0, 0.0, 2.0])));
    assert_close(&found, &of(&[1.0 / 3.0, 0.0, 2.0 / 3.0]), TOLERANCE, "gradient");
    assert!(scalar(&average(&x, &of(&[1.0; 3]))).is_nan());
}

#[test]
fn calibration_and_correlation_worked_by_hand() {
    let logits = of(&[3f64.ln(), 3f64.ln(), 0.0, f64::INFINITY]); // 0.75, 0.75, 0.5, 1
    let (came_true, weights) = (of(&[1.0, 0.0, 1.0, 1.0]), of(&[1.0; 4]));
    let expected = ((0.75 - 1.0 + 0.75f64).abs() + 0.5) / 4.0;
    assert_near(scalar(&calibration_error(&logits, &came_true, &weights)), expected, TOLERANCE, "two bins are off");
    assert_near(scalar(&calibration_error(&of(&[]), &of(&[]), &of(&[]))), 0.0, 0.0, "nothing");
    assert_near(scalar(&correlation(&of(&[1.0, 2.0, 4.0]), &of(&[2.0, 1.0, 5.0]))), 0.838_628, TOLERANCE, "by hand");
    assert_near(scalar(&correlation(&of(&[1.0, 2.0]), &of(&[7.0, 5.0]))), -1.0, TOLERANCE, "opposite");
    assert_near(scalar(&correlation(&of(&[1.0, 1.0]), &of(&[7.0, 5.0]))), 0.0, 0.0, "no variance");
}

#[test]
fn derivatives_equal_central_differences() {
    let scores = of(&[0.3, -1.2, 2.0, 0.7, 0.1, -0.4]);
    let loss = |scores: &Tensor| {
        let (chosen, rejected) = (scores.narrow(0, 0, 3), scores.narrow(0, 3, 3));
        let (margin, probability, weights) = (of(&[0.0, 0.5, -0.2]), of(&[1.0, 0.3, 0.9]), of(&[1.0, 2.0, 0.5]));
        let pairs = bradley_terry_loss(&chosen, &rejected, &margin, &probability);
        average(&(pairs + centering_penalty(&chosen, &rejected) * 0.1), &weights)
    };
    let found = gradient(&scores, loss);
    for index in 0..6 {
        let step = Tensor::zeros([6], (Kind::Double, tch::Device::Cpu));
        let _ = step.get(index).fill_(1e-6);
        let difference = (scalar(&loss(&(&scores + &step))) - scalar(&loss(&(&scores - &step)))) / 2e-6;
        assert_near(found.double_value(&[index]), difference, 1e-8, &format!("score {index}"));
    }
}

//! The fused step, clipping, gradients by alias.

use super::*;
use keel::error::Status;
use keel::torch::{clip_gradient, fused_adamw, set_gradient, AdamW, ThreadScope};
use tch::nn::OptimizerConfig;

const RULE: AdamW = AdamW { learning_rate: 0.1, beta1: 0.9, beta2: 0.99, weight_decay: 0.1, epsilon: 1e-8 };

#[test]
fn two_steps_by_hand() {
    let [parameter, first, second] = [1.0f32, 0.0, 0.0].map(|value| Tensor::from_slice(&[value]));
    let step = Tensor::zeros([1], FLOAT);
    for gradient in [0.5f32, -1.0] {
        fused_adamw(&RULE, &parameter, &Tensor::from_slice(&[gradient]), &first, &second, &step).unwrap();
    }
    // 1 → 0.89 (decay 0.99, update 0.1) → 0.89 · 0.99 + 0.1 · (0.055 / 0.19) / √(0.012475 / 0.0199)
    let close = |tensor: &Tensor, expected: f64| assert!((values(tensor)[0] - expected).abs() < 2e-7, "{tensor:?}");
    close(&parameter, 0.917660773);
    close(&first, -0.055);
    close(&second, 0.012475);
    close(&step, 2.0);
}

#[test]
fn twenty_steps_equal_those_of_nn_adamw() {
    let start = normal(1, &[1003], 1.0);
    let store = tch::nn::VarStore::new(Device::Cpu);
    let theirs = store.root().var_copy("parameter", &start);
    let mut peer = tch::nn::adamw(0.9, 0.99, 0.1).build(&store, 0.01).unwrap();
    let rule = AdamW { learning_rate: 0.01, ..RULE };
    let [ours, first, second] = [start.copy(), start.zeros_like(), start.zeros_like()];
    let step = Tensor::zeros([1], FLOAT);
    for seed in 0..20 {
        let gradient = normal(100 + seed, &[1003], 3.0);
        peer.backward_step(&(&theirs * &gradient).sum(Kind::Float));
        fused_adamw(&rule, &ours, &gradient, &first, &second, &step).unwrap();
    }
    assert!(distance(&ours, &start) > 0.05);
    assert!(distance(&ours, &theirs) < 1e-6, "{}", distance(&ours, &theirs));
}

#[test]
fn a_step_refuses_tensors_that_do_not_fit_and_changes_nothing() {
    let [parameter, gradient, first] = [1, 2, 3].map(|seed| normal(seed, &[8], 1.0));
    let (before, step) = (parameter.copy(), Tensor::zeros([1], FLOAT));
    let shorter = first.narrow(0, 0, 7);
    let wrong = fused_adamw(&RULE, &parameter, &gradient, &first, &shorter, &step).unwrap_err();
    assert_eq!(wrong.status, Status::Shape);
    assert!(wrong.message.starts_with("second_moment: expected Float [8], got"), "{wrong}");
    let double = gradient.to_kind(Kind::Double);
    assert_eq!(fused_adamw(&RULE, &parameter, &double, &first, &first, &step).unwrap_err().status, Status::Shape);
    let count = Tensor::zeros([1], (Kind::Int64, Device::Cpu));
    assert_eq!(fused_adamw(&RULE, &parameter, &gradient, &first, &first, &count).unwrap_err().status, Status::Shape);
    assert_eq!((distance(&parameter, &before), values(&step)[0]), (0.0, 0.0));
}

#[test]
fn clipping_measures_then_scales_only_what_is_too_large() {
    let gradient = Tensor::from_slice(&[3.0f32, -4.0]);
    for bound in [0.0, -1.0, 5.1] {
        assert_eq!(clip_gradient(&gradient, bound).unwrap(), 5.0);
        assert_eq!(values(&gradient), [3.0, -4.0]);
    }
    assert_eq!(clip_gradient(&gradient, 1.0).unwrap(), 5.0);
    let expected = [3.0 / 5.000001, -4.0 / 5.000001];
    for (value, expected) in values(&gradient).iter().zip(expected) {
        assert!((value - expected).abs() < 1e-7, "{value} {expected}");
    }
    let double = Tensor::from_slice(&[3.0f64, -4.0]);
    assert_eq!(clip_gradient(&double, 2.5).unwrap(), 5.0);
    assert!((values(&double)[1] + 4.0 * 2.5 / 5.000001).abs() < 1e-15);
    assert_eq!(clip_gradient(&Tensor::zeros([0], FLOAT), 1.0).unwrap(), 0.0);
}

#[test]
fn a_norm_that_is_not_finite_leaves_the_gradient_alone() {
    for bad in [f32::NAN, f32::INFINITY] {
        let gradient = Tensor::from_slice(&[1.0, bad, 2.0]);
        let before = bits(&gradient);
        assert!(!clip_gradient(&gradient, 1.0).unwrap().is_finite());
        assert_eq!(bits(&gradient), before);
    }
    let large = Tensor::from_slice(&[3e30f32, 4e30]);
    assert!((clip_gradient(&large, 1.0).unwrap() / 5e30 - 1.0).abs() < 1e-6);
}

#[test]
fn a_large_norm_is_exact_and_does_not_depend_on_threads() {
    let gradient = normal(5, &[300_007], 1.0);
    let expected = gradient.to_kind(Kind::Double).norm().double_value(&[]);
    let norms = [1, 2].map(|threads| {
        let _scope = ThreadScope::new(threads);
        clip_gradient(&gradient, 0.0).unwrap()
    });
    assert_eq!(norms[0], norms[1]);
    assert!((norms[0] / expected - 1.0).abs() < 1e-12, "{norms:?} {expected}");
}

#[test]
fn backward_adds_into_the_aliased_buffer() {
    let buffer = Tensor::zeros([10], FLOAT);
    let parameter = normal(6, &[2, 3], 1.0).set_requires_grad(true);
    set_gradient(&parameter, &buffer.narrow(0, 4, 6).view([2, 3])).unwrap();
    let weight = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]).view([2, 3]);
    for pass in 1..=2 {
        (&parameter * &weight).sum(Kind::Float).backward();
        let expected: Vec<f64> = (0..10).map(|i| if i < 4 { 0.0 } else { f64::from(pass * (i - 3)) }).collect();
        assert_eq!(values(&buffer), expected);
    }
    let _ = buffer.shallow_clone().zero_();
    assert_eq!(parameter.grad().abs().max().double_value(&[]), 0.0);
    assert_eq!(parameter.grad().data_ptr(), buffer.narrow(0, 4, 6).data_ptr());
}

#[test]
fn a_gradient_must_fit_its_leaf() {
    let gradient = Tensor::zeros([3], FLOAT);
    assert!(set_gradient(&Tensor::zeros([3], FLOAT), &gradient).is_err());
    let parameter = Tensor::zeros([3], FLOAT).set_requires_grad(true);
    assert!(set_gradient(&(&parameter * 2.0), &gradient).is_err());
    let wrong = set_gradient(&parameter, &Tensor::zeros([4], FLOAT)).unwrap_err();
    assert!(wrong.message.contains("[4]") && wrong.message.contains("[3]"), "{wrong}");
    assert!(set_gradient(&parameter, &Tensor::zeros([3], (Kind::Double, Device::Cpu))).is_err());
    assert!(set_gradient(&parameter, &gradient).is_ok());
}

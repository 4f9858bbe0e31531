//! Generators: whose numbers, where they continue.

use super::*;
use keel::error::Status;
use keel::torch::Generator;

fn draw(generator: &mut Generator, count: i64) -> Vec<u32> {
    let tensor = Tensor::zeros([count], FLOAT);
    generator.normal(&tensor, 0.0, 1.0).unwrap();
    bits(&tensor)
}

#[test]
fn the_streams_are_those_that_torch_prints() {
    let tensor = Tensor::zeros([3], FLOAT);
    Generator::new(0).unwrap().uniform(&tensor, 0.0, 1.0).unwrap();
    for (value, expected) in values(&tensor).iter().zip([0.4963, 0.7682, 0.0885]) {
        assert!((value - expected).abs() < 5.1e-5, "{value} {expected}");
    }
    Generator::new(0).unwrap().normal(&tensor, 0.0, 1.0).unwrap();
    for (value, expected) in values(&tensor).iter().zip([1.5410, -0.2934, -2.1788]) {
        assert!((value - expected).abs() < 5.1e-5, "{value} {expected}");
    }
}

#[test]
fn a_seed_is_a_stream_of_its_own() {
    let [mut first, mut again, mut other] = [3, 3, 4].map(|seed| Generator::new(seed).unwrap());
    let start = draw(&mut first, 100);
    tch::manual_seed(1);
    let _ = Tensor::randn([100], FLOAT);
    assert_eq!(draw(&mut again, 100), start);
    assert_ne!(draw(&mut other, 100), start);
    assert_ne!(draw(&mut first, 100), start);
}

#[test]
fn a_saved_state_continues_in_mid_stream() {
    let mut generator = Generator::new(9).unwrap();
    draw(&mut generator, 37);
    let state = generator.state().unwrap();
    assert_eq!(state.len(), 5056);
    let expected = draw(&mut generator, 1000);
    let mut restored = Generator::new(0).unwrap();
    restored.set_state(&state).unwrap();
    assert_eq!(draw(&mut restored, 1000), expected);
    generator.set_state(&state).unwrap();
    assert_eq!(draw(&mut generator, 1000), expected);
}

#[test]
fn a_state_that_is_none_is_refused_and_changes_nothing() {
    let mut generator = Generator::new(9).unwrap();
    let expected = draw(&mut Generator::new(9).unwrap(), 10);
    for bad in [vec![0u8; 3], vec![0xff; 5056]] {
        let error = generator.set_state(&bad).unwrap_err();
        assert_eq!(error.status, Status::Data);
        assert!(error.message.starts_with("generator state: "), "{error}");
    }
    assert_eq!(draw(&mut generator, 10), expected);
}

#[test]
fn parameters_of_the_distributions_count() {
    let mut generator = Generator::new(2).unwrap();
    let tensor = Tensor::zeros([200, 500], FLOAT);
    generator.normal(&tensor, 3.0, 0.5).unwrap();
    let (mean, deviation) = (tensor.mean(Kind::Double).double_value(&[]), tensor.std(true).double_value(&[]));
    assert!((mean - 3.0).abs() < 0.008 && (deviation - 0.5).abs() < 0.006, "{mean} {deviation}");
    generator.uniform(&tensor, -2.0, 6.0).unwrap();
    assert!(tensor.min().double_value(&[]) >= -2.0 && tensor.max().double_value(&[]) < 6.0);
    assert!((tensor.mean(Kind::Double).double_value(&[]) - 2.0).abs() < 0.04);
    let leaf = Tensor::zeros([4], FLOAT).set_requires_grad(true);
    generator.normal(&leaf, 0.0, 1.0).unwrap();
    assert!(leaf.is_leaf() && leaf.abs().min().double_value(&[]) > 0.0);
}

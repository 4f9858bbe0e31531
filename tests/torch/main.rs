//! The room `torch` against hand arithmetic, libtorch's own operators and values that Python's torch prints.

mod attention;
mod dlpack;
mod generator;
mod log_probs;
mod optimizer;
mod process;

use tch::{Device, Kind, Tensor};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

/// The values as float64, in row-major order.
fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(tensor.to_kind(Kind::Double).contiguous().view(-1)).unwrap()
}

/// The bits of a float32 tensor, in row-major order.
fn bits(tensor: &Tensor) -> Vec<u32> {
    Vec::<f32>::try_from(tensor.contiguous().view(-1)).unwrap().into_iter().map(f32::to_bits).collect()
}

/// The largest absolute difference.
fn distance(left: &Tensor, right: &Tensor) -> f64 {
    assert_eq!(left.size(), right.size());
    (left.to_kind(Kind::Double) - right.to_kind(Kind::Double)).abs().max().double_value(&[])
}

/// N(0, deviation²) values of a seed, so that a failure repeats.
fn normal(seed: u64, shape: &[i64], deviation: f64) -> Tensor {
    let tensor = Tensor::zeros(shape, FLOAT);
    keel::torch::Generator::new(seed).unwrap().normal(&tensor, 0.0, deviation).unwrap();
    tensor
}

/// Integers in [0, bound) of a seed.
fn integers(seed: u64, count: i64, bound: i64) -> Tensor {
    let tensor = Tensor::zeros([count], (Kind::Double, Device::Cpu));
    keel::torch::Generator::new(seed).unwrap().uniform(&tensor, 0.0, bound as f64).unwrap();
    tensor.floor().to_kind(Kind::Int64).clamp_max(bound - 1)
}

//! The room `math` against independent values, degenerate inputs, finite differences and invariances.

mod catalogue;
mod contrast;
mod degenerate;
mod feedback;
mod golden;
mod gradient;
mod group;
mod invariance;
mod pair;
mod peers;
mod reward;
mod specification;

use tch::{Kind, Tensor};

/// Fails unless both tensors have one shape and differ by at most `tolerance` everywhere; NaN differs from everything.
#[track_caller]
pub fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(found.size(), expected.size(), "{what}: shape");
    let distance = (found.to_kind(Kind::Double) - expected.to_kind(Kind::Double)).abs();
    let close = distance.le(tolerance).all().int64_value(&[]) == 1;
    let worst = if distance.numel() == 0 { 0.0 } else { distance.max().double_value(&[]) };
    assert!(close, "{what}: off by {worst}, expected\n{expected}\nfound\n{found}");
}

/// Fails unless the number lies within `tolerance` of the expected one.
#[track_caller]
pub fn assert_near(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() <= tolerance, "{what}: expected {expected}, found {found}");
}

pub fn scalar(tensor: &Tensor) -> f64 {
    assert_eq!(tensor.dim(), 0, "a scalar");
    tensor.double_value(&[])
}

/// The gradient of a scalar function at `point`.
pub fn gradient(point: &Tensor, function: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let point = point.detach().copy().set_requires_grad(true);
    function(&point).backward();
    point.grad()
}

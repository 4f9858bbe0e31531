//! AdamW on flat tensors: one fused call updates a whole segment of an arena.

use super::foreign::{self, check, Rule};
use crate::error::{Error, Result};
use tch::{Kind, Tensor};

/// The rule of one step (Loshchilov & Hutter, 2019): `weight_decay` is decoupled, `epsilon` stands outside the root.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub weight_decay: f64,
    pub epsilon: f64,
}

/// One AdamW step in place: `parameter`, `first_moment` and `second_moment` change, `step` counts up by one.
///
/// The four tensors have one shape, type and device; `step` is a float32 scalar, the number of steps taken before.
pub fn fused_adamw(
    rule: &AdamW,
    parameter: &Tensor,
    gradient: &Tensor,
    first_moment: &Tensor,
    second_moment: &Tensor,
    step: &Tensor,
) -> Result<()> {
    let (shape, kind) = (parameter.size(), parameter.kind());
    for (name, tensor) in [("gradient", gradient), ("first_moment", first_moment), ("second_moment", second_moment)] {
        if tensor.size() != shape || tensor.kind() != kind || tensor.device() != parameter.device() {
            return Err(Error::shape(format!("{name}: expected {kind:?} {shape:?}, got {tensor:?}")));
        }
    }
    if step.numel() != 1 || step.kind() != Kind::Float {
        return Err(Error::shape(format!("step: expected one float, got {step:?}")));
    }
    let AdamW { learning_rate, beta1, beta2, weight_decay, epsilon } = *rule;
    let rule = Rule { learning_rate, beta1, beta2, weight_decay, epsilon };
    // SAFETY: all tensors are alive for the call and of one shape, type and device, as checked above.
    check(|failure| unsafe {
        foreign::shim_fused_adamw(
            &rule,
            parameter.as_ptr(),
            gradient.as_ptr(),
            first_moment.as_ptr(),
            second_moment.as_ptr(),
            step.as_ptr(),
            failure,
        )
    })
}

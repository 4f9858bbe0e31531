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

impl AdamW {
    fn rule(&self) -> Rule {
        let AdamW { learning_rate, beta1, beta2, weight_decay, epsilon } = *self;
        Rule { learning_rate, beta1, beta2, weight_decay, epsilon }
    }
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
    let four = [parameter, gradient, first_moment, second_moment];
    check_alike(four)?;
    check_scalar("step", step)?;
    // SAFETY: all tensors are alive for the call and of one shape, type and device, as checked above.
    check(|failure| unsafe {
        let [parameter, gradient, first_moment, second_moment] = four.map(Tensor::as_ptr);
        let (rule, step) = (rule.rule(), step.as_ptr());
        foreign::shim_fused_adamw(&rule, parameter, gradient, first_moment, second_moment, step, failure)
    })
}

/// As [`fused_adamw`], with all that changes from step to step on the device, so that a CUDA graph can replay it: `rate`, a
/// float32 scalar, stands for the rule's, and `step` is the number of this step, which the caller counts.
pub fn adamw_at(rule: &AdamW, rate: &Tensor, four: [&Tensor; 4], step: &Tensor) -> Result<()> {
    check_alike(four)?;
    check_scalar("step", step)?;
    check_scalar("rate", rate)?;
    // SAFETY: as in `fused_adamw`; the shim checks where the scalars are.
    check(|failure| unsafe {
        let [parameter, gradient, first_moment, second_moment] = four.map(Tensor::as_ptr);
        let (rule, rate, step) = (rule.rule(), rate.as_ptr(), step.as_ptr());
        foreign::shim_adamw_at(&rule, rate, parameter, gradient, first_moment, second_moment, step, failure)
    })
}

fn check_alike([parameter, gradient, first_moment, second_moment]: [&Tensor; 4]) -> Result<()> {
    let (shape, kind) = (parameter.size(), parameter.kind());
    for (name, tensor) in [("gradient", gradient), ("first_moment", first_moment), ("second_moment", second_moment)] {
        if tensor.size() != shape || tensor.kind() != kind || tensor.device() != parameter.device() {
            return Err(Error::shape(format!("{name}: expected {kind:?} {shape:?}, got {tensor:?}")));
        }
    }
    Ok(())
}

fn check_scalar(name: &str, scalar: &Tensor) -> Result<()> {
    match scalar.numel() == 1 && scalar.kind() == Kind::Float {
        true => Ok(()),
        false => Err(Error::shape(format!("{name}: expected one float, got {scalar:?}"))),
    }
}

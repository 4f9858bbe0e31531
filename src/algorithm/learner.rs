//! What computes an update of a control policy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The widest layer that is fused without being asked for.
const FUSED_WIDTH: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Learner {
    /// The fused one on the CPU where no hidden layer, no core and no observation is wider than 512 and there is no image and no
    /// set, else libtorch.
    Auto,
    /// Forward, loss, backward and optimiser in plain Rust.
    Fused,
    /// libtorch's operators and its autograd.
    Libtorch,
}

impl Learner {
    /// Whether it is the fused one, for networks of which so wide is the widest layer.
    pub fn is_fused(self, widest: usize) -> bool {
        match self {
            Learner::Auto => widest <= FUSED_WIDTH,
            Learner::Fused => true,
            Learner::Libtorch => false,
        }
    }
}

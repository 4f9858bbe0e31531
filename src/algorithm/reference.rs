//! A reference that follows the policy: symbol, range, effect, and the source of each default.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every so many optimiser steps, πref ← α πθ + (1 − α) πref, parameter by parameter (Gorbatovski 2024, TR-DPO, arXiv
/// 2404.09656).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReferenceUpdate {
    /// τ, optimiser steps from one move of the reference to the next. Raising it keeps the policy nearer to where it began.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub every: u32,
    /// α, how far the reference moves to the policy; 1 makes it the policy. Default: the paper's soft update.
    #[schemars(range(min = 0.000001, max = 1.0))]
    pub mix: f64,
}

impl Default for ReferenceUpdate {
    fn default() -> Self {
        ReferenceUpdate { every: 512, mix: 0.6 }
    }
}

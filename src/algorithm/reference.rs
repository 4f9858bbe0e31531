//! The settings of a reference: symbol, range, effect, and the source of each default.

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceLogProbs {
    /// A pass of the reference over the rows of each step.
    Compute,
    /// One pass over each row, kept while the row waits for its next one: 4 bytes a token, and no pass from the second
    /// epoch on. The numbers are the same.
    Cache,
}

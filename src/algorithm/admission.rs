//! Which of the rollouts that wait an update trains on.
//!
//! A method states the rules; the session holds its rows against them before it plans, and drops what they leave out
//! together with the rows that were used.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of a group whose responses all got the same rewards, and so teach nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EqualGroups {
    /// They are trained on as all others, and count in every mean.
    #[default]
    Keep,
    /// They are left out, and the update waits until enough other groups are there (Yu 2025, DAPO).
    Drop,
}

/// The rules of a method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    pub equal_groups: EqualGroups,
    /// The update waits for so many groups that it trains on; 0 = for one row.
    pub min_groups: usize,
    /// Rollouts sampled more than so many publications of the weights ago are left out; those that do not say stay.
    pub max_staleness: Option<u64>,
}

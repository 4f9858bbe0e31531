//! How an actor is made: whether what its slots do is recorded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of an actor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Actor {
    /// Whether updates and checkpoints have what its slots do. Not recorded: the slots are the actor's own, act and are
    /// observed in turn, and leave nothing; for evaluation, and for playing without learning.
    pub recorded: bool,
}

impl Default for Actor {
    fn default() -> Self {
        Actor { recorded: true }
    }
}

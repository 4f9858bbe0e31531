//! The settings of reward models: symbol, range, effect, and the source of each default.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Rows of one optimiser step; a group of rows is never divided, so that a step may have more.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub batch_size: u32,
    /// Passes over the pushed rows; 0 = without end. Default: Ouyang 2022, more overfits.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub epochs: u32,
    /// Whether each pass visits the rows, or groups of rows, in a seeded random order.
    pub shuffle: bool,
    /// Whether text responses get the model's end token appended, at which the scores are read.
    pub append_eos: bool,
    /// What the model learns from.
    pub learns: Learns,
    /// The names of the scores, one read-out each on one trunk.
    pub scores: Vec<String>,
    /// λ, weight of the penalty on scores whose sum is not 0. Raising it keeps the scores of all prompts around one
    /// origin. Default: none; Eisenstein 2023: 0.01.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub center_coef: f64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            batch_size: 32,
            epochs: 1,
            shuffle: true,
            append_eos: true,
            learns: Learns::Pairs,
            scores: vec!["reward".to_string()],
            center_coef: 0.0,
        }
    }
}

impl Config {
    pub fn check(&self) -> Result<()> {
        let mut names = self.scores.clone();
        names.sort_unstable();
        names.dedup();
        let named = names.first().is_some_and(|name| !name.is_empty());
        if !named || names.len() != self.scores.len() || names.len() > 1024 {
            let message = format!("/algorithm/scores: expected 1 to 1024 distinct names, got {:?}", self.scores);
            return Err(Error::config(message));
        }
        if self.learns != Learns::Pairs && self.scores.len() > 1 {
            let message = format!(
                "/algorithm/scores: expected one where pairs are not what is learned from, got {:?}",
                self.scores
            );
            return Err(Error::config(message));
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Learns {
    /// Preferences: a chosen and a rejected response, each score with a margin, a probability and a weight of its own.
    Pairs,
    /// Rankings: several responses to a prompt with their ranks; every pair of them counts, every prompt the same.
    Rankings,
    /// Demonstrations with `step_labels`: whether the step that a token ends is right (Lightman 2023).
    Steps,
}

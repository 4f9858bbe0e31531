//! How responses are sampled and when they end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of a generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Generate {
    /// Most tokens of a response.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub max_new_tokens: u32,
    /// Fewest tokens of a response: no end token is sampled before. More than `max_new_tokens` counts as that.
    #[schemars(range(max = 1_048_576))]
    pub min_new_tokens: u32,
    /// Divides the logits before sampling; 0 takes the likeliest token.
    #[schemars(range(min = 0.0))]
    pub temperature: f64,
    /// Samples among the k likeliest tokens; 0 among all.
    pub top_k: u32,
    /// Samples among the likeliest tokens whose probabilities sum to this; 1 among all.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0))]
    pub top_p: f64,
    /// Responses per prompt; they follow each other in the result.
    #[schemars(range(min = 1, max = 65_536))]
    pub samples: u32,
    /// Seed of the sampling; the same seed, prompts and weights give the same responses.
    pub seed: u64,
    /// Tokens that end a response besides the model's own end tokens.
    #[schemars(inner(range(min = 0)))]
    pub stop_tokens: Vec<i32>,
    /// Texts that end a response when it contains one of them.
    #[schemars(inner(length(min = 1)))]
    pub stop: Vec<String>,
    /// Whether the model's own end tokens are treated as ordinary tokens.
    pub ignore_eos: bool,
    /// Whether the rollouts carry the column `logits`: of each response token the model's logits over the vocabulary,
    /// before the temperature and any filter. 4 bytes each, for `max_new_tokens` of every response, are taken when
    /// the generation is made, and again for the column.
    pub logits: bool,
    /// Whether each row's tokens are told as they come, as `tokens` events of the job.
    pub stream: bool,
}

impl Default for Generate {
    fn default() -> Self {
        Generate {
            max_new_tokens: 64,
            min_new_tokens: 0,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            samples: 1,
            seed: 0,
            stop_tokens: Vec::new(),
            stop: Vec::new(),
            ignore_eos: false,
            logits: false,
            stream: false,
        }
    }
}

//! A model made of random weights: its architecture, its tokenizer, its initialisation.

use super::Dtype;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Settings of a model that is created with random weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The architecture, as a Hugging Face `config.json`.
    #[schemars(with = "Map<String, Value>")]
    pub config: Value,
    /// The tokenizer, as a Hugging Face `tokenizer.json`; without one the model takes and gives tokens only.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub tokenizer: Option<Value>,
    /// How the weights are drawn.
    #[serde(default)]
    pub initialization: Initialization,
    /// Seed of the draw.
    #[serde(default)]
    pub seed: u64,
    /// The type in which the weights are held.
    #[serde(default)]
    pub dtype: Dtype,
    /// Where the weights lie: `cpu`, `cuda` or `cuda:N`.
    #[serde(default = "cpu")]
    #[schemars(schema_with = "super::device_schema")]
    pub device: String,
    /// Whether the model may be a TorchScript module; no setting of its own, but what the runtime's configuration says.
    #[serde(skip)]
    pub allow_torchscript: bool,
}

impl Default for Create {
    fn default() -> Self {
        Create {
            config: Value::Object(Map::new()),
            tokenizer: None,
            initialization: Initialization::default(),
            seed: 0,
            dtype: Dtype::default(),
            device: cpu(),
            allow_torchscript: false,
        }
    }
}

fn cpu() -> String {
    "cpu".into()
}

/// How random weights are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Initialization {
    /// Normal with the standard deviation that the architecture names (`initializer_range`).
    #[default]
    Config,
    /// Normal with standard deviation 1/√(inputs) per matrix: learns much sooner in small models.
    FanIn,
}

//! How a model directory is read: the type of its numbers and where they lie.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of a model that is loaded from a directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    /// The type in which the weights are held.
    pub dtype: Dtype,
    /// Where the weights lie: `cpu`, `cuda` or `cuda:N`.
    #[schemars(schema_with = "super::device_schema")]
    pub device: String,
    /// Whether the model may be a TorchScript module; no setting of its own, but what the runtime's configuration says.
    #[serde(skip)]
    pub allow_torchscript: bool,
}

impl Default for Load {
    fn default() -> Self {
        Load { dtype: Dtype::Float32, device: "cpu".into(), allow_torchscript: false }
    }
}

/// The type of a model's weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// 32-bit floating point.
    #[default]
    Float32,
    /// 16-bit floating point with the exponent of float32.
    Bfloat16,
    /// As the model's own files say.
    Auto,
}

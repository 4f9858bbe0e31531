//! A control network: what it observes, what it decides, how it is built.

use super::preset::Preset;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A network from observations to actions and state values, as the `config` of a model that is created, with
/// `"model_type": "control"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Tells it from a language model.
    pub model_type: ControlType,
    /// Whose settings stand where nothing is said below; what is resolved has the numbers instead.
    #[serde(default, skip_serializing)]
    #[schemars(extend("default" = null))]
    pub preset: Option<Preset>,
    /// What is observed, in the order of the observation record.
    #[schemars(extend("minItems" = 1, "maxItems" = 64))]
    pub observations: Vec<Observation>,
    /// What is decided, in the order of the action record.
    #[schemars(extend("minItems" = 1, "maxItems" = 64))]
    pub actions: Vec<Action>,
    /// A network of the host's own, which takes the place of keel's layers and of all settings that describe them. Absent:
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
    /// Widths of the hidden layers. Default: Schulman 2017.
    #[serde(default = "hidden")]
    #[schemars(extend("maxItems" = 8, "items" = { "type": "integer", "minimum": 1, "maximum": 4096 }))]
    pub hidden: Vec<u32>,
    /// Behind each hidden layer.
    #[serde(default)]
    pub activation: Activation,
    /// A recurrent core behind the hidden layers, which remembers within an episode. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core: Option<Core>,
    /// Whether values have hidden layers, and a core, of their own.
    #[serde(default)]
    pub value: ValueNetwork,
    /// How weights are drawn before training; biases are 0.
    #[serde(default)]
    pub initialization: Draw,
    /// Gain of the draw of hidden layers. Default: √2 (Engstrom 2020).
    #[serde(default = "hidden_gain")]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub hidden_gain: f64,
    /// Gain of the layer that decides; small, so that the first policy is even. Default: Engstrom 2020.
    #[serde(default = "policy_gain")]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub policy_gain: f64,
    /// Gain of the layer that tells values.
    #[serde(default = "value_gain")]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub value_gain: f64,
    /// Standard deviation σ of normal actions before training, in units of the action, and of squashed ones before the tanh;
    /// at most e² where the state decides it. Beta has none.
    #[serde(default = "initial_deviation")]
    #[schemars(range(min = 1.0e-6, max = 1000.0))]
    pub initial_deviation: f64,
    /// Whether vectors are brought to mean 0 and deviation 1 by what was seen in training, before the network.
    #[serde(default)]
    pub normalize_observations: bool,
    /// Largest magnitude of a normalised observation. Default: Stable-Baselines3.
    #[serde(default = "observation_clip")]
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0e6))]
    pub observation_clip: f32,
}

/// The one value of `model_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ControlType {
    #[default]
    Control,
}

/// A TorchScript module, as `torch.jit.save` writes it; the runtime's configuration must have `allow_torchscript`.
///
/// Its `forward` takes observations, float32 [B, O], normalised where `normalize_observations` says so, for any B, and gives a
/// pair: outputs, float32 [B, W], and values, float32 [B]. Outputs are those of the actions one behind the other: the logits
/// of a discrete one; the means of a continuous one, then, with `"deviation": "state"`, its log σ; of Beta what becomes α, then
/// what becomes β. Deviations that are parameters are keel's own. A row of the result depends on that row of the observations
/// and on the parameters alone. Parameters with `requires_grad`, float32, are trained; all else stays as it is. The module
/// runs in evaluation mode, also while it learns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The file. What is resolved has its name in the directory of a saved model: `network.pt`.
    #[schemars(length(min = 1))]
    pub path: String,
}

/// A group of the observation record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Observation {
    /// So many f32, any finite numbers.
    Vector {
        #[schemars(length(min = 1))]
        name: String,
        #[schemars(range(min = 1, max = 65536))]
        size: u32,
    },
    /// height · width · channels u8, row by row, channels last; divided by 255, then through convolutions with a ReLU behind
    /// each.
    Image {
        #[schemars(length(min = 1))]
        name: String,
        #[schemars(range(min = 1, max = 1024))]
        height: u32,
        #[schemars(range(min = 1, max = 1024))]
        width: u32,
        #[schemars(range(min = 1, max = 64))]
        channels: u32,
        /// The convolutions, first to last. Absent: those of Mnih 2015 where both sides have 36 pixels, otherwise the one of
        /// Young 2019.
        #[serde(default)]
        #[schemars(extend("minItems" = 1, "maxItems" = 8))]
        filters: Option<Vec<Filter>>,
    },
    /// A uint32_t, how many entities are there, then room for `capacity` entities of `size` f32 each; what stands behind
    /// those that are there is not read. Their order does not count: they are pooled by attention.
    Set {
        #[schemars(length(min = 1))]
        name: String,
        #[schemars(range(min = 1, max = 4096))]
        capacity: u32,
        #[schemars(range(min = 1, max = 4096))]
        size: u32,
        /// Width of an entity's embedding, one layer with the network's activation.
        #[serde(default = "set_width")]
        #[schemars(range(min = 1, max = 1024))]
        width: u32,
        /// Means of all embeddings, each weighted by a softmax of its own.
        #[serde(default = "set_heads")]
        #[schemars(range(min = 1, max = 64))]
        heads: u32,
    },
    /// One u8 for each choice of a discrete action: 1 = legal, 0 = never taken.
    Mask {
        /// Name of the action.
        #[schemars(length(min = 1))]
        action: String,
    },
}

impl Observation {
    /// Its own name, or that of the action which it masks.
    pub fn name(&self) -> &str {
        match self {
            Observation::Vector { name, .. } | Observation::Image { name, .. } | Observation::Set { name, .. } => name,
            Observation::Mask { action } => action,
        }
    }
}

/// A convolution without padding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Channels of its result.
    #[schemars(range(min = 1, max = 1024))]
    pub channels: u32,
    /// Its height and width, in pixels.
    #[schemars(range(min = 1, max = 16))]
    pub kernel: u32,
    /// Pixels from place to place.
    #[schemars(range(min = 1, max = 16))]
    pub stride: u32,
}

/// A part of the action record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// One i32, from 0 to choices − 1.
    Discrete {
        #[schemars(length(min = 1))]
        name: String,
        #[schemars(range(min = 1, max = 4096))]
        choices: u32,
    },
    /// So many f32.
    Continuous {
        #[schemars(length(min = 1))]
        name: String,
        #[schemars(range(min = 1, max = 4096))]
        size: u32,
        /// What is handed out is at least this. Absent: no bound, which only a normal distribution allows.
        #[serde(default)]
        low: Option<f32>,
        /// What is handed out is at most this. Absent: no bound, which only a normal distribution allows.
        #[serde(default)]
        high: Option<f32>,
        /// What they are drawn from.
        #[serde(default)]
        distribution: Distribution,
        /// What decides the standard deviation σ of a normal and of a squashed distribution. Default: parameter. Beta has none.
        #[serde(default)]
        deviation: Option<Deviation>,
    },
}

/// What the numbers of a continuous action are drawn from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// N(μ, σ²); learned from is what was drawn, handed out is what the bounds leave of it.
    #[default]
    Normal,
    /// x of N(μ, σ²), handed out as tanh x between the bounds; probabilities are those of what is handed out (Haarnoja 2018).
    Squashed,
    /// Beta(α, β) between the bounds, α and β 1 + softplus of two outputs (Chou 2017).
    Beta,
}

/// What decides the standard deviation of a continuous action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deviation {
    /// A parameter of each dimension, the same at every observation.
    #[default]
    Parameter,
    /// The network: log σ is an output, within [−20, 2] (Haarnoja 2018).
    State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    #[default]
    Tanh,
    Relu,
    Elu,
    Silu,
}

/// A recurrent core: its state is zero where an episode begins, and moves with each step. Orthogonal weights of gain 1 for
/// each gate, biases 0 (CleanRL).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Core {
    /// Gated recurrent unit (Cho 2014), as libtorch computes it: gates r, z, n.
    Gru {
        /// Numbers of its state.
        #[schemars(range(min = 1, max = 4096))]
        size: u32,
    },
    /// Long short-term memory (Hochreiter and Schmidhuber 1997), as libtorch computes it: gates i, f, g, o.
    Lstm {
        /// Numbers of its output; its state has twice as many.
        #[schemars(range(min = 1, max = 4096))]
        size: u32,
    },
}

/// How the matrices of a control network are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Draw {
    /// Orthonormal rows or columns, whichever are fewer, times the gain (Saxe 2014).
    #[default]
    Orthogonal,
    /// Normal, with the deviation gain / √inputs: that of torch's own linear layers at a gain of 1/√3.
    FanIn,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValueNetwork {
    /// Hidden layers, and a core, of its own, as wide as the policy's.
    #[default]
    Separate,
    /// The policy's hidden layers and core.
    Shared,
}

fn hidden() -> Vec<u32> {
    vec![64, 64]
}

fn hidden_gain() -> f64 {
    std::f64::consts::SQRT_2
}

fn policy_gain() -> f64 {
    0.01
}

fn value_gain() -> f64 {
    1.0
}

fn initial_deviation() -> f64 {
    1.0
}

fn set_width() -> u32 {
    64
}

fn set_heads() -> u32 {
    4
}

fn observation_clip() -> f32 {
    10.0
}

//! Models: what the host calls a model, its weights in one arena, and the arithmetic over them.
//!
//! Owns the published snapshot that everybody but the trainer reads, and the one right to train. On the path of data
//! between `session`, which asks for scores and rollouts, and tch. Knows no algorithm and no loss; files are touched in
//! `weights` only.

pub mod arena;
pub mod control;
pub mod device;
mod format;
mod judge;
pub mod language;
mod weights;

pub use arena::{Layout, Parameter, Part, Slot, Weights};
pub use language::{
    response_mask, score, Architecture, FinishReason, Generation, Networks, Packed, Pass, Rollout, ScoreOptions,
    Scores, Sequence, Tokenizer, Transformer, ValueHead, ValueModel,
};
pub use weights::Parts;

use crate::config::{self, Dtype, Initialization};
use crate::error::{Error, Result, Status};
use crate::torch;
use parking_lot::Mutex;
use serde_json::{json, Value};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// A model of any kind, as a host holds it.
#[derive(Clone)]
pub enum AnyModel {
    Language(Arc<Model>),
    Control(Arc<control::Policy>),
    Reward(Arc<control::RewardModel>),
}

impl AnyModel {
    /// Loads a directory: of a control network if its config says so, else of a language model.
    pub fn load(path: &Path, config: &config::Load) -> Result<AnyModel> {
        let described = weights::config(path)?;
        Ok(match control::Spec::is_one(&described) {
            true => AnyModel::Control(Arc::new(control::Policy::load(path, config)?)),
            false if control::RewardSpec::is_one(&described) => {
                AnyModel::Reward(Arc::new(control::RewardModel::load(path, config)?))
            }
            false => AnyModel::Language(Arc::new(Model::load(path, config)?)),
        })
    }

    /// A model with seeded random weights: of a control network if its config says so, else a language model.
    pub fn create(config: &config::Create) -> Result<AnyModel> {
        Ok(match control::Spec::is_one(&config.config) {
            true => AnyModel::Control(Arc::new(control::Policy::create(config)?)),
            false if control::RewardSpec::is_one(&config.config) => {
                AnyModel::Reward(Arc::new(control::RewardModel::create(config)?))
            }
            false => AnyModel::Language(Arc::new(Model::create(config)?)),
        })
    }
}

/// A causal language model: configuration, tokenizer and the published snapshot of its weights.
pub struct Model {
    parts: Parts,
    architecture: Arc<Architecture>,
    layout: Arc<Layout>,
    tokenizer: Option<Arc<Tokenizer>>,
    end_tokens: Vec<i32>,
    device: Device,
    kind: Kind,
    weights: Mutex<Arc<Weights>>,
    /// What the next version exceeds, beside the current one.
    version_floor: AtomicU64,
    trained: AtomicBool,
}

impl Model {
    /// Loads a Hugging Face directory. `File` and `Format` name the file and the tensor at fault, `Unsupported` what keel
    /// does not compute, `Device` a device that is not there.
    pub fn load(path: &Path, config: &config::Load) -> Result<Model> {
        let device = device::resolve(&config.device)?;
        let directory = weights::read(path, config.dtype)?;
        let data = directory.data.f_to_device(device)?;
        let layout = Arc::new(directory.layout);
        Model::assemble(directory.parts, directory.architecture, layout, data, device)
            .map_err(|error| error.within(path.display()))
    }

    /// A model with seeded random weights from a Hugging Face config.
    pub fn create(config: &config::Create) -> Result<Model> {
        let device = device::resolve(&config.device)?;
        let architecture = Architecture::parse(&config.config).map_err(|error| error.within("config"))?;
        let parameters = architecture.parameters();
        let layout = Arc::new(Layout::new(&parameters));
        let kind = if config.dtype == Dtype::Bfloat16 { Kind::BFloat16 } else { Kind::Float };
        let data = Tensor::f_zeros([layout.len], (Kind::Float, Device::Cpu))?;
        let mut generator = torch::Generator::new(config.seed)?;
        for parameter in &parameters {
            let slot = layout.find(&parameter.name).expect("the layout is made of these parameters");
            initialize(&architecture, config.initialization, parameter, &layout.view(&data, slot), &mut generator)?;
        }
        let tokenizer = config.tokenizer.as_ref().map(|value| value.to_string().into_bytes());
        let parts = Parts { config: complete(&config.config, &architecture), tokenizer, ..Parts::default() };
        let data = data.f_to_kind(kind)?.f_to_device(device)?;
        Model::assemble(parts, architecture, layout, data, device)
    }

    /// The model that [`Model::to_parts`] and its flat weights describe; `data` is copied to `device`.
    pub fn from_parts(parts: Parts, data: &Tensor, device: Device) -> Result<Model> {
        let architecture = Architecture::parse(&parts.config)?;
        let layout = Arc::new(Layout::new(&architecture.parameters()));
        layout.check(data)?;
        let mut copy = Tensor::f_empty([layout.len], (data.f_kind()?, device))?;
        copy.f_copy_(&data.f_narrow(0, 0, layout.len)?.f_detach()?)?;
        Model::assemble(parts, architecture, layout, copy, device)
    }

    /// A model of the snapshot that is published now; what this one publishes later does not touch it.
    pub fn frozen(&self) -> Model {
        let weights = self.weights();
        Model {
            parts: self.parts.clone(),
            architecture: self.architecture.clone(),
            layout: self.layout.clone(),
            tokenizer: self.tokenizer.clone(),
            end_tokens: self.end_tokens.clone(),
            device: self.device,
            kind: self.kind,
            version_floor: AtomicU64::new(weights.version),
            weights: Mutex::new(weights),
            trained: AtomicBool::new(false),
        }
    }

    /// Everything of the model but its weights.
    pub fn to_parts(&self) -> Parts {
        self.parts.clone()
    }

    /// Writes a directory that transformers loads, from the published snapshot; each file whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let snapshot = self.weights();
        let mut parts = self.parts.clone();
        note_dtype(&mut parts.config, self.kind);
        if parts.generation.is_none() {
            parts.generation = Some(self.default_generation());
        }
        if let (None, Some(tokenizer)) = (&parts.tokenizer_config, &self.tokenizer) {
            parts.tokenizer_config = Some(self.default_tokenizer_config(tokenizer));
        }
        weights::write(path, &parts, &self.layout, &snapshot.borrow())
    }

    /// What the model is, for hosts.
    pub fn info(&self) -> Value {
        let a = &self.architecture;
        let parameters: i64 = self.layout.slots.iter().map(Slot::count).sum();
        json!({
            "model_type": self.parts.config["model_type"],
            "parameters": parameters,
            "vocabulary": a.vocabulary,
            "positions": a.positions,
            "hidden": a.hidden,
            "layers": a.layers,
            "heads": a.heads,
            "key_value_heads": a.key_value_heads,
            "head_dim": a.head_dim,
            "intermediate": a.intermediate,
            "tied": a.tied,
            "dtype": dtype_name(self.kind),
            "device": device::name(self.device),
            "end_tokens": self.end_tokens,
            "scores": self.score_names(),
            "tokenizer": self.tokenizer.is_some(),
            "version": self.weights().version,
        })
    }

    pub fn architecture(&self) -> &Arc<Architecture> {
        &self.architecture
    }

    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub fn device(&self) -> Device {
        self.device
    }

    /// The kind of the weights: `Float` or `BFloat16`.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn tokenizer(&self) -> Option<&Arc<Tokenizer>> {
        self.tokenizer.as_ref()
    }

    /// The tokens that end a response: those of generation_config.json, else of config.json.
    pub fn end_tokens(&self) -> &[i32] {
        &self.end_tokens
    }

    /// The published snapshot.
    pub fn weights(&self) -> Arc<Weights> {
        self.weights.lock().clone()
    }

    /// Publishes a copy of the first `layout.len` elements of `data` and returns its version.
    pub fn publish(&self, data: &Tensor) -> Result<u64> {
        self.layout.check(data)?;
        let source = data.f_narrow(0, 0, self.layout.len)?.f_detach()?;
        let mut current = self.weights.lock();
        let version = current.version.max(self.version_floor.load(Ordering::Acquire)) + 1;
        let idle = Arc::get_mut(&mut current).and_then(Weights::borrow_idle);
        let mut target = match idle {
            Some(buffer) => buffer,
            None => Tensor::f_empty([self.layout.len], (self.kind, self.device))?,
        };
        let _no_grad = tch::no_grad_guard();
        target.f_copy_(&source)?;
        *current = Arc::new(Weights::new(self.layout.clone(), version, target));
        Ok(version)
    }

    /// Makes the next publication's version exceed `version`, so that a restored run goes on counting.
    pub fn raise_version(&self, version: u64) {
        self.version_floor.fetch_max(version, Ordering::AcqRel);
    }

    /// Takes the one right to train this model; `InUse` if a session has it.
    pub fn acquire_trainer(&self) -> Result<()> {
        match self.trained.swap(true, Ordering::AcqRel) {
            true => Err(Error::new(Status::InUse, "model: another session trains it")),
            false => Ok(()),
        }
    }

    pub fn release_trainer(&self) {
        self.trained.store(false, Ordering::Release);
    }

    fn assemble(
        parts: Parts,
        architecture: Architecture,
        layout: Arc<Layout>,
        data: Tensor,
        device: Device,
    ) -> Result<Model> {
        let tokenizer = match &parts.tokenizer {
            Some(bytes) => Some(Arc::new(Tokenizer::from_bytes(bytes)?)),
            None => None,
        };
        let end_tokens = end_tokens(&parts, &architecture)?;
        let kind = data.f_kind()?;
        let weights = Mutex::new(Arc::new(Weights::new(layout.clone(), 0, data)));
        let (architecture, trained) = (Arc::new(architecture), AtomicBool::new(false));
        let version_floor = AtomicU64::new(0);
        Ok(Model { parts, architecture, layout, tokenizer, end_tokens, device, kind, weights, version_floor, trained })
    }

    fn default_generation(&self) -> Value {
        let mut map = serde_json::Map::new();
        for key in ["bos_token_id", "eos_token_id", "pad_token_id"] {
            if let Some(value) = self.parts.config.get(key).filter(|value| !value.is_null()) {
                map.insert(key.into(), value.clone());
            }
        }
        Value::Object(map)
    }

    fn default_tokenizer_config(&self, tokenizer: &Tokenizer) -> Value {
        let mut map = serde_json::Map::new();
        map.insert("tokenizer_class".into(), "PreTrainedTokenizerFast".into());
        map.insert("clean_up_tokenization_spaces".into(), false.into());
        map.insert("model_max_length".into(), self.architecture.positions.into());
        for key in ["bos_token", "eos_token", "pad_token"] {
            let id = self.parts.config.get(format!("{key}_id")).and_then(Value::as_i64);
            let text = id.and_then(|id| i32::try_from(id).ok()).and_then(|id| tokenizer.token(id));
            if let Some(text) = text {
                map.insert(key.into(), text.into());
            }
        }
        Value::Object(map)
    }
}

/// Draws one parameter. `config`: N(0, initializer_range), GPT-2's residual projections / √(2L). `fan_in`: matrices
/// N(0, 1 / √fan_in), residual ones / √(2L), embeddings N(0, 0.05). Gains are 1, biases 0.
fn initialize(
    a: &Architecture,
    way: Initialization,
    parameter: &Parameter,
    view: &Tensor,
    generator: &mut torch::Generator,
) -> Result<()> {
    let residual = (2.0 * a.layers as f64).powf(-0.5);
    let from_range = way == Initialization::Config;
    let fan = |fan_in: i64| if from_range { a.initializer_range } else { (fan_in as f64).powf(-0.5) };
    let deviation = match parameter.part {
        Part::Bias => return Ok(()),
        Part::Gain => {
            view.shallow_clone().f_copy_(&view.f_ones_like()?)?;
            return Ok(());
        }
        Part::Embedding if from_range => a.initializer_range,
        Part::Embedding => 0.05,
        Part::Linear { fan_in } => fan(fan_in),
        Part::Residual { fan_in } if from_range && a.family == language::Family::Llama => fan(fan_in),
        Part::Residual { fan_in } => fan(fan_in) * residual,
    };
    generator.normal(view, 0.0, deviation)
}

/// The config with what transformers needs to find the class of the model.
fn complete(config: &Value, architecture: &Architecture) -> Value {
    let class = match architecture.family {
        language::Family::Llama => "LlamaForCausalLM",
        language::Family::Gpt2 => "GPT2LMHeadModel",
    };
    let mut config = config.clone();
    if config["architectures"].is_null() {
        config["architectures"] = json!([class]);
    }
    config
}

fn note_dtype(config: &mut Value, kind: Kind) {
    let key = if config.get("dtype").is_some() { "dtype" } else { "torch_dtype" };
    config[key] = dtype_name(kind).into();
}

fn dtype_name(kind: Kind) -> &'static str {
    match kind {
        Kind::BFloat16 => "bfloat16",
        _ => "float32",
    }
}

fn end_tokens(parts: &Parts, architecture: &Architecture) -> Result<Vec<i32>> {
    let generation = parts.generation.as_ref().and_then(|generation| generation.get("eos_token_id"));
    let found = generation.filter(|value| !value.is_null()).or_else(|| parts.config.get("eos_token_id"));
    let values = match found {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(values)) => values.clone(),
        Some(value) => vec![value.clone()],
    };
    let token = |value: &Value| match value.as_i64() {
        Some(id) if id >= 0 && id < architecture.vocabulary => Ok(id as i32),
        _ => Err(Error::new(
            Status::Format,
            format!("eos_token_id: expected ids from 0 to {}, got {value}", architecture.vocabulary - 1),
        )),
    };
    values.iter().map(token).collect()
}

//! A control policy: its spec and the weights and statistics that are published.

use super::recurrence::CHAINS;
use super::script::{self, check_allowed};
use super::spec::{as_format, Branch, Spec};
use super::statistics::{Normalizer, Statistics};
use crate::config::{self, Deviation, Draw};
use crate::error::{Error, Result, Status};
use crate::kernel;
use crate::model::arena::{Layout, Part};
use crate::model::weights::{self, Parts};
use crate::torch;
use parking_lot::Mutex;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// What actors read; never changed once it is published.
pub struct Published {
    pub version: u64,
    /// The flat weights, in the order of the layout.
    pub weights: Vec<f32>,
    pub statistics: Statistics,
    pub normalizer: Normalizer,
}

/// A control network with weights.
pub struct Policy {
    spec: Arc<Spec>,
    layout: Arc<Layout>,
    network: Arc<kernel::Network>,
    encoder: Option<kernel::Encoder>,
    published: Mutex<Arc<Published>>,
    /// The version of what is published, for those who only want to know whether it is theirs.
    version: AtomicU64,
    trained: AtomicBool,
}

impl Policy {
    /// A policy with weights drawn as its spec says, biases 0 and the deviation that the spec says.
    pub fn create(config: &config::Create) -> Result<Policy> {
        let spec = Spec::parse(&config.config).map_err(|error| error.within("config"))?;
        check_created(config)?;
        let path = spec.config.script.as_ref().map(|script| PathBuf::from(&script.path));
        let spec = with_script(spec, path, config.allow_torchscript)?;
        let parameters = spec.parameters();
        let layout = Layout::new(&parameters);
        let data = Tensor::f_zeros([layout.len], (Kind::Float, Device::Cpu))?;
        let mut generator = torch::Generator::new(config.seed)?;
        for parameter in &parameters {
            let view =
                layout.view(&data, layout.find(&parameter.name).expect("the layout is made of these parameters"));
            match parameter.part {
                Part::Linear { .. } if !spec.is_scripted() => draw(&spec, &parameter.name, &view, &mut generator)?,
                _ if parameter.name == "log_deviation" => {
                    let _ = view.shallow_clone().f_fill_(spec.config.initial_deviation.ln())?;
                }
                _ => {}
            }
        }
        match &spec.source {
            Some(source) => source.fill(&layout, &data)?,
            None => spread(&spec, &layout, &data)?,
        }
        let statistics = Statistics::new(spec.vectors);
        Policy::assemble(spec, floats(&data)?, statistics)
    }

    /// Loads what `save` wrote.
    pub fn load(path: &Path, config: &config::Load) -> Result<Policy> {
        check_loaded(config)?;
        let mut description = weights::config(path)?;
        let place = path.join("config.json");
        let statistics = description.as_object_mut().and_then(|map| map.remove("statistics"));
        let spec = Spec::parse(&description).map_err(|error| as_format(error).within(place.display()))?;
        let spec = with_script(spec, Some(path.join(script::FILE)), config.allow_torchscript)?;
        let statistics = match statistics {
            Some(value) => serde_json::from_value(value).map_err(|error| Error::format(&place, error))?,
            None => Statistics::new(spec.vectors),
        };
        let data = weights::read_flat(path, &Layout::new(&spec.parameters()))?;
        Policy::assemble(spec, floats(&data)?, statistics).map_err(|error| error.within(path.display()))
    }

    /// Writes a directory that `load` reads, from what is published; each file whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let published = self.published();
        let mut description = Value::from(self.spec.as_ref());
        description["statistics"] = serde_json::to_value(&published.statistics).unwrap_or_default();
        let script = self.spec.script().map(<[u8]>::to_vec);
        let parts = Parts { config: description, script, ..Parts::default() };
        weights::write(path, &parts, &self.layout, &Tensor::f_from_slice(&published.weights)?)
    }

    /// A policy of this spec, with these flat weights and statistics.
    pub fn assemble(spec: Spec, weights: Vec<f32>, statistics: Statistics) -> Result<Policy> {
        let layout = Layout::new(&spec.parameters());
        if weights.len() as i64 != layout.len || !statistics.sound(spec.vectors) {
            return Err(Error::new(Status::Format, "the weights or the statistics of the observations are damaged"));
        }
        check_weights(&layout, &weights)?;
        let network = Arc::new(super::flat::network(&spec, &layout));
        network
            .check(weights.len())
            .map_err(|what| Error::new(Status::Internal, format!("control network: {what}")))?;
        let encoder = super::flat::encoder(&spec, &layout);
        let normalizer = normalizer(&spec, &statistics);
        let published = Arc::new(Published { version: 0, weights, statistics, normalizer });
        Ok(Policy {
            spec: Arc::new(spec),
            layout: Arc::new(layout),
            network,
            encoder,
            published: Mutex::new(published),
            version: AtomicU64::new(0),
            trained: AtomicBool::new(false),
        })
    }

    pub fn spec(&self) -> &Arc<Spec> {
        &self.spec
    }

    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Its form in plain Rust, over flat weights.
    pub fn network(&self) -> &Arc<kernel::Network> {
        &self.network
    }

    /// What brings observations to the features that the network reads, where images or sets are among them.
    pub fn encoder(&self) -> Option<&kernel::Encoder> {
        self.encoder.as_ref()
    }

    pub fn published(&self) -> Arc<Published> {
        self.published.lock().clone()
    }

    /// What these statistics make of observations, if the spec asks for it.
    pub fn normalizer(&self, statistics: &Statistics) -> Normalizer {
        normalizer(&self.spec, statistics)
    }

    /// The statistics that training begins with: its own, or those of the policy before it where it has seen nothing.
    pub fn inherited(&self, before: &Statistics) -> Statistics {
        let own = &self.published().statistics;
        if own.count == 0 {
            before.clone()
        } else {
            own.clone()
        }
    }

    /// The version of what is published.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Publishes flat weights and statistics; returns their version.
    pub fn publish(&self, weights: Vec<f32>, statistics: Statistics) -> u64 {
        let normalizer = normalizer(&self.spec, &statistics);
        let mut current = self.published.lock();
        let version = self.version.load(Ordering::Acquire).max(current.version) + 1;
        *current = Arc::new(Published { version, weights, statistics, normalizer });
        self.version.store(version, Ordering::Release);
        version
    }

    /// Makes the next publication's version exceed `version`, so that a restored run goes on counting.
    pub fn raise_version(&self, version: u64) {
        self.version.fetch_max(version, Ordering::AcqRel);
    }

    /// Takes the one right to train this policy; `InUse` if a session has it.
    pub fn acquire_trainer(&self) -> Result<()> {
        match self.trained.swap(true, Ordering::AcqRel) {
            true => Err(Error::new(Status::InUse, "model: another session trains it")),
            false => Ok(()),
        }
    }

    pub fn release_trainer(&self) {
        self.trained.store(false, Ordering::Release);
    }

    /// What the model is, for hosts.
    pub fn info(&self) -> Value {
        let parameters: i64 = self.layout.slots.iter().map(|slot| slot.count()).sum();
        json!({
            "model_type": "control",
            "parameters": parameters,
            "config": Value::from(self.spec.as_ref()),
            "layout": self.spec.layout(),
            "dtype": "float32",
            "device": "cpu",
            "version": self.published().version,
        })
    }
}

/// The spec with the script that it names, read from `path`, where scripts are allowed.
fn with_script(spec: Spec, path: Option<PathBuf>, allowed: bool) -> Result<Spec> {
    let Some(path) = path.filter(|_| spec.is_scripted()) else { return Ok(spec) };
    check_allowed(allowed)?;
    let bytes = weights::read_script(&path)?;
    spec.with_script(&bytes).map_err(|error| error.within(path.display()))
}

fn normalizer(spec: &Spec, statistics: &Statistics) -> Normalizer {
    match spec.config.normalize_observations {
        true => Normalizer::new(statistics, spec.config.observation_clip),
        false => Normalizer::default(),
    }
}

/// Draws a matrix: a layer's as a whole, a core's gate by gate with gain 1.
fn draw(spec: &Spec, name: &str, matrix: &Tensor, generator: &mut torch::Generator) -> Result<()> {
    let chain = name.split_once(".core.").and_then(|(chain, _)| CHAINS.iter().position(|other| *other == chain));
    let Some(core) = chain.and_then(|chain| spec.cores[chain]) else {
        let gain = gain(spec, name);
        return match spec.config.initialization {
            Draw::Orthogonal => orthogonal(matrix, gain, generator),
            Draw::FanIn => generator.normal(matrix, 0.0, gain / (matrix.size()[0] as f64).sqrt()),
        };
    };
    let size = core.size as i64;
    (0..core.gates() as i64).try_for_each(|gate| orthogonal(&matrix.f_narrow(1, gate * size, size)?, 1.0, generator))
}

/// The gain of a layer's draw: of the last one of its chain, or of a hidden one.
fn gain(spec: &Spec, name: &str) -> f64 {
    let last = |chain: usize| spec.chains()[chain].1.len() - 1;
    match name {
        _ if name == format!("policy.{}.weight", last(1)) => spec.config.policy_gain,
        _ if name == format!("value.{}.weight", last(2)) => spec.config.value_gain,
        _ => spec.config.hidden_gain,
    }
}

/// Where the state decides deviations, gives the biases of their outputs the log of the first one.
fn spread(spec: &Spec, layout: &Layout, data: &Tensor) -> Result<()> {
    let name = format!("policy.{}.bias", spec.chains()[1].1.len() - 1);
    let Some(slot) = layout.find(&name) else { return Ok(()) };
    let mut output = 0;
    for branch in &spec.branches {
        match branch {
            Branch::Continuous(own) if own.deviation == Deviation::State => {
                let size = own.size as i64;
                let _ = layout
                    .view(data, slot)
                    .f_narrow(0, output + size, size)?
                    .f_fill_(spec.config.initial_deviation.ln())?;
            }
            _ => {}
        }
        output += branch.outputs() as i64;
    }
    Ok(())
}

/// Refuses what no control network can be created with.
pub(super) fn check_created(config: &config::Create) -> Result<()> {
    if config.tokenizer.is_some() {
        return Err(Error::config("/tokenizer: expected none, since a control network reads no text"));
    }
    if config.dtype != config::Dtype::Float32 {
        return Err(Error::config("/dtype: expected float32, the only one of control networks"));
    }
    if config.initialization != config::Initialization::default() {
        return Err(Error::config("/initialization: expected none, since the gains of a control network decide"));
    }
    check_device(&config.device)
}

/// Refuses what no control network can be loaded as.
pub(super) fn check_loaded(config: &config::Load) -> Result<()> {
    if config.dtype == config::Dtype::Bfloat16 {
        return Err(Error::config("/dtype: expected float32 or auto, since a control network has no other"));
    }
    check_device(&config.device)
}

fn check_device(device: &str) -> Result<()> {
    match device {
        "cpu" => Ok(()),
        _ => Err(Error::new(Status::Unsupported, "/device: expected cpu, where control networks lie")),
    }
}

/// Refuses flat weights that a layout has no place for, or that are no numbers.
pub(super) fn check_weights(layout: &Layout, weights: &[f32]) -> Result<()> {
    if weights.len() as i64 != layout.len {
        return Err(Error::new(Status::Format, "the weights are damaged"));
    }
    match weights.iter().position(|weight| !weight.is_finite()) {
        Some(place) => {
            let slot = layout.slots.iter().rev().find(|slot| slot.offset as usize <= place);
            let (name, found) = (slot.map_or("", |slot| slot.name.as_str()), weights[place]);
            Err(Error::new(Status::Format, format!("tensor \"{name}\": expected finite numbers, got {found}")))
        }
        None => Ok(()),
    }
}

/// Fills a matrix with orthonormal rows or columns, whichever are fewer, times `gain`.
pub(super) fn orthogonal(matrix: &Tensor, gain: f64, generator: &mut torch::Generator) -> Result<()> {
    let (rows, columns) = matrix.size2()?;
    let (long, short) = (rows.max(columns), rows.min(columns));
    let drawn = Tensor::f_zeros([long, short], (Kind::Float, Device::Cpu))?;
    generator.normal(&drawn, 0.0, 1.0)?;
    let (q, r) = Tensor::f_linalg_qr(&drawn, "reduced")?;
    let signed = q.f_mul(&r.f_diagonal(0, 0, 1)?.f_sign()?)?.f_mul_scalar(gain)?;
    let fitting = if rows >= columns { signed } else { signed.f_transpose(0, 1)? };
    matrix.shallow_clone().f_copy_(&fitting)?;
    Ok(())
}

pub(super) fn floats(data: &Tensor) -> Result<Vec<f32>> {
    let mut weights = vec![0f32; data.numel()];
    data.f_copy_data(&mut weights, data.numel())?;
    Ok(weights)
}

//! A reward model of control: its spec and the weights and statistics that are published.

use super::policy::{check_created, check_loaded, check_weights, floats, orthogonal};
use super::reward_network::RewardNetwork;
use super::reward_spec::RewardSpec;
use super::spec::as_format;
use super::statistics::{Normalizer, Statistics};
use crate::config;
use crate::error::{Error, Result, Status};
use crate::model::arena::{Layout, Part};
use crate::model::weights::{self, Parts};
use crate::torch;
use parking_lot::Mutex;
use serde_json::{json, Value};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use tch::{no_grad_guard, Device, Kind, Tensor};

/// What readers of a reward model read; never changed once it is published.
pub struct Rewarding {
    pub version: u64,
    /// The flat weights, in the order of the layout.
    pub weights: Vec<f32>,
    pub statistics: Statistics,
    pub normalizer: Normalizer,
}

/// An ensemble of reward networks with weights.
pub struct RewardModel {
    spec: Arc<RewardSpec>,
    layout: Arc<Layout>,
    published: Mutex<Arc<Rewarding>>,
    trained: AtomicBool,
}

impl RewardModel {
    /// Orthogonal weights of the gains of its spec (Saxe 2014), other ones for each member, and biases 0.
    pub fn create(config: &config::Create) -> Result<RewardModel> {
        let spec = RewardSpec::parse(&config.config).map_err(|error| error.within("config"))?;
        check_created(config)?;
        let parameters = spec.parameters();
        let layout = Layout::new(&parameters);
        let data = Tensor::f_zeros([layout.len], (Kind::Float, Device::Cpu))?;
        let mut generator = torch::Generator::new(config.seed)?;
        let last = format!(".{}.weight", spec.layers().len() - 1);
        for parameter in parameters.iter().filter(|parameter| matches!(parameter.part, Part::Linear { .. })) {
            let gain = match parameter.name.ends_with(&last) {
                true => spec.config.reward_gain,
                false => spec.config.hidden_gain,
            };
            let slot = layout.find(&parameter.name).expect("the layout is made of these parameters");
            orthogonal(&layout.view(&data, slot), gain, &mut generator)?;
        }
        let statistics = Statistics::new(spec.inputs());
        RewardModel::assemble(spec, floats(&data)?, statistics)
    }

    /// Loads what `save` wrote.
    pub fn load(path: &Path, config: &config::Load) -> Result<RewardModel> {
        check_loaded(config)?;
        let mut description = weights::config(path)?;
        let place = path.join("config.json");
        let statistics = description.as_object_mut().and_then(|map| map.remove("statistics"));
        let spec = RewardSpec::parse(&description).map_err(|error| as_format(error).within(place.display()))?;
        let statistics = match statistics {
            Some(value) => serde_json::from_value(value).map_err(|error| Error::format(&place, error))?,
            None => Statistics::new(spec.inputs()),
        };
        let data = weights::read_flat(path, &Layout::new(&spec.parameters()))?;
        RewardModel::assemble(spec, floats(&data)?, statistics).map_err(|error| error.within(path.display()))
    }

    /// Writes a directory that `load` reads, from what is published; each file whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let published = self.published();
        let mut description = Value::from(self.spec.as_ref());
        description["statistics"] = serde_json::to_value(&published.statistics).unwrap_or_default();
        let parts = Parts { config: description, ..Parts::default() };
        weights::write(path, &parts, &self.layout, &Tensor::f_from_slice(&published.weights)?)
    }

    /// A reward model of this spec, with these flat weights and statistics of observations.
    pub fn assemble(spec: RewardSpec, weights: Vec<f32>, statistics: Statistics) -> Result<RewardModel> {
        let layout = Layout::new(&spec.parameters());
        check_weights(&layout, &weights)?;
        if !statistics.sound(spec.inputs()) {
            return Err(Error::new(Status::Format, "the statistics of the observations are damaged"));
        }
        let normalizer = normalizer(&spec, &statistics);
        let published = Arc::new(Rewarding { version: 0, weights, statistics, normalizer });
        let (spec, layout) = (Arc::new(spec), Arc::new(layout));
        Ok(RewardModel { spec, layout, published: Mutex::new(published), trained: AtomicBool::new(false) })
    }

    /// A model of what is published now; what this one publishes later does not touch it.
    pub fn frozen(&self) -> RewardModel {
        RewardModel {
            spec: self.spec.clone(),
            layout: self.layout.clone(),
            published: Mutex::new(self.published()),
            trained: AtomicBool::new(false),
        }
    }

    pub fn spec(&self) -> &Arc<RewardSpec> {
        &self.spec
    }

    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub fn published(&self) -> Arc<Rewarding> {
        self.published.lock().clone()
    }

    /// Publishes flat weights and statistics; returns their version.
    pub fn publish(&self, weights: Vec<f32>, statistics: Statistics) -> u64 {
        let normalizer = normalizer(&self.spec, &statistics);
        let mut current = self.published.lock();
        let version = current.version + 1;
        *current = Arc::new(Rewarding { version, weights, statistics, normalizer });
        version
    }

    /// Makes the next publication's version exceed `version`, so that a restored run goes on counting.
    pub fn raise_version(&self, version: u64) {
        let mut current = self.published.lock();
        if version > current.version {
            let Rewarding { weights, statistics, normalizer, .. } = current.as_ref();
            let (weights, statistics, normalizer) = (weights.clone(), statistics.clone(), normalizer.clone());
            *current = Arc::new(Rewarding { version, weights, statistics, normalizer });
        }
    }

    /// Rewards of steps by the mean of the members, [N]: observations [N, O] and actions [N, A] as they are handed out.
    pub fn rewards(&self, observations: &[f32], actions: &[f32]) -> Result<Vec<f32>> {
        let published = self.published();
        let features = self.spec.encode(&published.normalizer, observations, actions);
        if features.is_empty() {
            return Ok(Vec::new());
        }
        let _no_grad = no_grad_guard();
        let data = Tensor::f_from_slice(&published.weights)?;
        let network = RewardNetwork::bind(&self.spec, &self.layout, &data)?;
        let features = Tensor::f_from_slice(&features)?.f_view([-1, self.spec.features as i64])?;
        let told = network.forward(&features)?; // [N, K]
        floats(&told.f_mean_dim([1i64].as_slice(), false, Kind::Float)?)
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

    /// What the model is, for hosts.
    pub fn info(&self) -> Value {
        let parameters: i64 = self.layout.slots.iter().map(|slot| slot.count()).sum();
        json!({
            "model_type": "control_reward",
            "parameters": parameters,
            "config": Value::from(self.spec.as_ref()),
            "observation": self.spec.inputs(),
            "action": self.spec.actions(),
            "dtype": "float32",
            "device": "cpu",
            "version": self.published().version,
        })
    }
}

fn normalizer(spec: &RewardSpec, statistics: &Statistics) -> Normalizer {
    match spec.config.normalize_observations {
        true => Normalizer::new(statistics, spec.config.observation_clip),
        false => Normalizer::default(),
    }
}

//! A session as one file: safetensors, with the JSON state as its metadata.
//!
//! The file is written under another name, synced and renamed, so a crash leaves the old checkpoint or the new one. A
//! checkpoint is read whole and checked against the session before anything is changed.

use super::buffer::Buffer;
use super::record::Values;
use super::reference::Reference;
use super::{Role, Session};
use crate::config as settings;
use crate::data::Kind as Rows;
use crate::error::{Error, Result, Status};
use crate::model::{Architecture, Layout, Model, Parts};
use parking_lot::Mutex;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// The version of the format. A reader refuses a newer one.
const FORMAT: u32 = 2;

#[derive(Serialize, Deserialize)]
struct State {
    format: u32,
    keel: String,
    config: super::Config,
    algorithm: Value,
    updates: u64,
    optimizer_steps: u64,
    policy_version: u64,
    metrics: Values,
    layout: Vec<(String, Vec<i64>)>,
    policy: Parts,
    reference: Option<Parts>,
    reward: Option<Parts>,
    /// The value model, whose parameters lie behind the policy's.
    value: Option<Parts>,
}

/// A checkpoint in memory: what is written, and what was read.
pub(super) struct Checkpoint {
    state: State,
    tensors: BTreeMap<String, Tensor>,
    bytes: BTreeMap<String, Vec<u8>>,
}

impl Checkpoint {
    fn of(session: &Session) -> Result<Checkpoint> {
        let mut core = session.core().lock();
        session.check_whole()?;
        core.settle(session.writing())?;
        let trainee = core.trainee()?;
        let mut buffer = session.buffer().lock().clone();
        buffer.count_from(trainee.model.weights().version);
        let mut tensors: BTreeMap<String, Tensor> =
            trainee.tensors()?.into_iter().map(|(name, tensor)| (name.to_string(), tensor)).collect();
        let mut bytes = BTreeMap::new();
        bytes
            .insert("buffer".to_string(), serde_json::to_vec(&buffer).map_err(|error| Error::data(error.to_string()))?);
        let policy = trainee.model.to_parts();
        bytes.extend(policy.tokenizer.clone().map(|text| ("policy.tokenizer".to_string(), text)));
        let mut frozen = |role: &str, model: &Option<Reference>| -> Result<Option<Parts>> {
            let Some(frozen) = model else { return Ok(None) };
            let parts = frozen.model.to_parts();
            tensors.insert(format!("{role}.parameters"), frozen.weights.data().f_to_device(Device::Cpu)?);
            bytes.extend(parts.tokenizer.clone().map(|text| (format!("{role}.tokenizer"), text)));
            Ok(Some(parts))
        };
        let (reference, reward) = (frozen("reference", &core.reference)?, frozen("reward", &core.reward)?);
        let value = core.value.as_ref().map(|model| model.to_parts());
        if let Some(Parts { tokenizer: Some(text), .. }) = &value {
            bytes.insert("value.tokenizer".to_string(), text.clone());
        }
        let state = State {
            format: FORMAT,
            keel: env!("CARGO_PKG_VERSION").to_string(),
            config: session.config().as_ref().clone(),
            algorithm: core.method_state()?,
            updates: core.updates,
            optimizer_steps: core.optimizer_steps,
            policy_version: trainee.model.weights().version,
            metrics: finite(&session.record.lock().values),
            layout: layout(&trainee.model),
            policy,
            reference,
            reward,
            value,
        };
        Ok(Checkpoint { state, tensors, bytes })
    }

    /// Hands the views that safetensors writes to `write`.
    fn serialized<T>(
        &self,
        write: impl FnOnce(Vec<(String, TensorView)>, HashMap<String, String>) -> Result<T>,
    ) -> Result<T> {
        let parts = |(name, tensor)| Ok((name, dtype(tensor), shape(tensor), raw(tensor)?));
        let tensors: Vec<(&String, Dtype, Vec<usize>, Vec<u8>)> =
            self.tensors.iter().map(parts).collect::<Result<_>>()?;
        let views =
            tensors.iter().map(|(name, dtype, shape, raw)| (*name, TensorView::new(*dtype, shape.clone(), raw)));
        let texts = self.bytes.iter().map(|(name, raw)| (name, TensorView::new(Dtype::U8, vec![raw.len()], raw)));
        let views = views
            .chain(texts)
            .map(|(name, view)| Ok((name.clone(), view.map_err(|error| Error::data(error.to_string()))?)))
            .collect::<Result<Vec<_>>>()?;
        let state = serde_json::to_string(&self.state).map_err(|error| Error::data(error.to_string()))?;
        write(views, HashMap::from([("keel".to_string(), state)]))
    }

    pub fn parse(bytes: &[u8]) -> Result<Checkpoint> {
        let invalid = |error: String| Error::new(Status::Format, format!("not a checkpoint of keel: {error}"));
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| invalid(error.to_string()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| invalid(error.to_string()))?;
        let text = header.metadata().as_ref().and_then(|metadata| metadata.get("keel"));
        let text = text.ok_or_else(|| invalid("its metadata has no entry \"keel\"".to_string()))?;
        let state: Value = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let format = state["format"].as_u64();
        if format != Some(FORMAT.into()) {
            return Err(invalid(format!(
                "expected format {FORMAT}, found {format:?}; a newer keel may have written it"
            )));
        }
        // strictly, with every range: a file is no safer than a host's configuration
        settings::parse::<super::Config>(Some(state["config"].to_string().as_bytes()))
            .map_err(|error| invalid(error.message))?;
        let state: State = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        if state.updates.max(state.optimizer_steps).max(state.policy_version) >= u64::MAX / 2 {
            return Err(invalid("its counters are out of range".to_string()));
        }
        let (mut tensors, mut raw) = (BTreeMap::new(), BTreeMap::new());
        for (name, view) in file.tensors() {
            let kind = match view.dtype() {
                Dtype::U8 => {
                    raw.insert(name, view.data().to_vec());
                    continue;
                }
                Dtype::F32 => Kind::Float,
                Dtype::BF16 => Kind::BFloat16,
                other => return Err(invalid(format!("tensor {name}: expected f32, bf16 or u8, found {other:?}"))),
            };
            let shape: Vec<i64> = view.shape().iter().map(|length| *length as i64).collect();
            tensors.insert(name, Tensor::f_from_data_size(view.data(), &shape, kind)?);
        }
        Ok(Checkpoint { state, tensors, bytes: raw })
    }

    fn tensor(&self, name: &str) -> Result<Tensor> {
        let found = self.tensors.get(name).map(Tensor::shallow_clone);
        found.ok_or_else(|| Error::new(Status::Format, format!("checkpoint: tensor {name} is missing")))
    }

    fn buffer(&self, session: &Session, architecture: &Architecture) -> Result<Buffer> {
        let damaged = || Error::new(Status::Format, "checkpoint: the rows (buffer) are missing or damaged");
        let bytes = self.bytes.get("buffer").ok_or_else(damaged)?;
        let buffer: Buffer = serde_json::from_slice(bytes).map_err(|_| damaged())?;
        let sequences = if session.kind == Rows::Preferences { 2 } else { 1 };
        match buffer.sound(sequences, session.needs.rewards, architecture) {
            true => Ok(buffer),
            false => Err(damaged()),
        }
    }

    fn frozen(&self, parts: &Option<Parts>, role: &str, device: Device) -> Result<Option<Reference>> {
        let Some(parts) = parts else { return Ok(None) };
        Reference::of(&self.model(parts, role, device)?).map(Some)
    }

    fn model(&self, parts: &Parts, role: &str, device: Device) -> Result<Model> {
        let tokenizer = self.bytes.get(&format!("{role}.tokenizer")).cloned();
        let parts = Parts { tokenizer, ..parts.clone() };
        Model::from_parts(parts, &self.tensor(&format!("{role}.parameters"))?, device)
    }

    fn value_model(&self, parts: &Parts, device: Device) -> Result<Model> {
        let length = Architecture::parse(&parts.config).map(|a| Layout::new(&a.parameters()).len)?;
        let parameters = self.tensor("policy.parameters")?;
        let start = parameters.numel() as i64 - length;
        let tokenizer = self.bytes.get("value.tokenizer").cloned();
        let parts = Parts { tokenizer, ..parts.clone() };
        Model::from_parts(parts, &parameters.f_narrow(0, start.max(0), length)?, device)
    }

    /// Writes the checkpoint into the session; everything that can be wrong is found before the first write.
    pub fn apply(&self, session: &Session) -> Result<()> {
        let core = &mut *session.core().lock();
        let own = serde_json::to_value(&session.config().algorithm).unwrap_or_default();
        let saved = serde_json::to_value(&self.state.config.algorithm).unwrap_or_default();
        if own["type"] != saved["type"] {
            let message = format!("checkpoint: expected the algorithm {}, found {}", own["type"], saved["type"]);
            return Err(Error::data(message));
        }
        let model = core.trainee()?.model.clone();
        let same = layout(&model) == self.state.layout
            && Architecture::parse(&self.state.policy.config)? == **model.architecture();
        if !same {
            return Err(Error::shape("checkpoint: its policy has another architecture than the session's"));
        }
        let value = self.state.value.as_ref().map(|parts| Architecture::parse(&parts.config)).transpose()?;
        if value.as_ref() != core.value.as_ref().map(|model| model.architecture().as_ref()) {
            return Err(Error::shape("checkpoint: its value model has another architecture than the session's"));
        }
        let mut buffer = self.buffer(session, model.architecture())?;
        let reference = self.frozen(&self.state.reference, "reference", session.device())?;
        let reward = self.frozen(&self.state.reward, "reward", session.device())?;
        reference.iter().try_for_each(|reference| session.check_reference(core, &reference.model))?;
        reward.iter().try_for_each(|reward| session.check_judge(core, &reward.model))?;
        if session.needs.reference && reference.is_none() {
            return Err(Error::shape(
                "checkpoint: expected a reference, which this session's algorithm needs, found none",
            ));
        }
        let mut algorithm = session.config().algorithm.build()?;
        algorithm.set_state(&self.state.algorithm)?;
        core.trainee_mut()?.set_tensors(&|name| self.tensor(name))?;
        (core.algorithm, core.next, core.stepping) = (algorithm, None, None);
        (core.reference, core.reward) = (reference, reward);
        (core.updates, core.optimizer_steps) = (self.state.updates, self.state.optimizer_steps);
        model.raise_version(self.state.policy_version);
        let version = session.publish_from(core)?;
        buffer.count_from(version);
        *session.buffer().lock() = buffer;
        let mut record = session.record.lock();
        record.values = self.state.metrics.clone();
        (record.updates, record.optimizer_steps) = (core.updates, core.optimizer_steps);
        session.writing().store(false, Ordering::SeqCst);
        session.poisoned.store(false, Ordering::SeqCst);
        Ok(())
    }
}

pub(super) fn to_bytes(session: &Session) -> Result<Vec<u8>> {
    let written = |error: safetensors::SafeTensorError| Error::data(format!("export: {error}"));
    Checkpoint::of(session)?
        .serialized(|views, metadata| safetensors::serialize(views, Some(metadata)).map_err(written))
}

pub(super) fn write(session: &Session, path: &Path) -> Result<()> {
    session.check_poisoned()?;
    write_whole(path, &to_bytes(session)?)
}

/// Puts `bytes` in the place of the file, whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().ok_or_else(|| Error::file(path, "expected the path of a file"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // one name for all writers: what a killed process leaves behind is overwritten by the next save
    let temporary = folder.join(format!(".{}.tmp", name.to_string_lossy()));
    static WRITER: Mutex<()> = Mutex::new(());
    let writing = WRITER.lock();
    let replaced = replace(&temporary, path, folder, bytes);
    if replaced.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    drop(writing);
    replaced.map_err(|error| Error::file(path, format!("could not be written: {error}")))
}

fn replace(temporary: &Path, path: &Path, folder: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::create(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(temporary, path)?;
    std::fs::File::open(folder)?.sync_all()
}

pub(super) fn read(path: &Path) -> Result<Checkpoint> {
    let bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
    Checkpoint::parse(&bytes).map_err(|error| error.within(path.display()))
}

pub(super) fn open(runtime: &Arc<super::Runtime>, path: &Path, bytes: &[u8]) -> Result<Arc<Session>> {
    let checkpoint = Checkpoint::parse(bytes).map_err(|error| error.within(path.display()))?;
    let opened = || -> Result<Arc<Session>> {
        let device = runtime.check_device(settings::device(&checkpoint.state.config.device)?)?;
        let session = Session::create(runtime, checkpoint.state.config.clone())?;
        if let Some(parts) = &checkpoint.state.value {
            session.set_model(Role::Value, Arc::new(checkpoint.value_model(parts, device)?))?;
        }
        let policy = checkpoint.model(&checkpoint.state.policy, "policy", device)?;
        session.set_model(session.trained_role(), Arc::new(policy))?;
        checkpoint.apply(&session)?;
        Ok(session)
    };
    opened().map_err(|error| error.within(path.display()))
}

/// FNV-1a over the tensors, the rows and the counters; what only reports (metrics, versions) does not count.
pub(super) fn state_hash(session: &Session) -> Result<u64> {
    let checkpoint = Checkpoint::of(session)?;
    let state = &checkpoint.state;
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (name, tensor) in &checkpoint.tensors {
        add(name.as_bytes());
        add(format!("{:?}", tensor.kind()).as_bytes());
        add(&raw(tensor)?);
    }
    for (name, bytes) in &checkpoint.bytes {
        add(name.as_bytes());
        add(bytes);
    }
    add(state.algorithm.to_string().as_bytes());
    add(&state.updates.to_le_bytes());
    add(&state.optimizer_steps.to_le_bytes());
    Ok(hash)
}

fn layout(model: &Model) -> Vec<(String, Vec<i64>)> {
    model.layout().slots.iter().map(|slot| (slot.name.clone(), slot.shape.clone())).collect()
}

fn shape(tensor: &Tensor) -> Vec<usize> {
    tensor.size().iter().map(|length| *length as usize).collect()
}

fn dtype(tensor: &Tensor) -> Dtype {
    match tensor.kind() {
        Kind::BFloat16 => Dtype::BF16,
        _ => Dtype::F32,
    }
}

/// The tensor's values as little-endian bytes.
fn raw(tensor: &Tensor) -> Result<Vec<u8>> {
    let flat = tensor.f_contiguous()?;
    let mut bytes = vec![0u8; flat.numel() * flat.kind().elt_size_in_bytes()];
    flat.f_copy_data_u8(&mut bytes, flat.numel())?;
    Ok(bytes)
}

/// JSON has no number that is not finite.
pub(super) fn finite(values: &Values) -> Values {
    values.iter().filter(|(_, value)| value.is_finite()).map(|(name, value)| (name.clone(), *value)).collect()
}

//! A control session as one file: safetensors, with the JSON state as its metadata.
//!
//! Read whole and checked against the session before anything is changed; slots go on in mid-episode.

use super::course::Saved;
use super::recording::Recording;
use super::trained::Trained;
use super::ControlSession;
use crate::algorithm;
use crate::config as settings;
use crate::error::{Error, Result, Status};
use crate::model::control::{check_allowed, Spec};
use crate::session::checkpoint::{finite, write_whole};
use crate::session::record::Values;
use crate::session::Config;
use parking_lot::Mutex;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// The version of the format. A reader refuses any other.
const FORMAT: u32 = 3;
const RECORDINGS: &str = "recordings";
const SCRIPT: &str = "script";

#[derive(Serialize, Deserialize)]
struct State {
    format: u32,
    keel: String,
    config: Config,
    policy: Value,
    updates: u64,
    optimizer_steps: u64,
    policy_version: u64,
    metrics: Values,
    /// What its method keeps beside tensors.
    course: Value,
}

/// A checkpoint in memory: what is written, and what was read.
pub struct Checkpoint {
    state: State,
    saved: Saved,
    recordings: Vec<Recording>,
    /// The policy's script, where its network is the host's own.
    script: Option<Vec<u8>>,
}

impl Checkpoint {
    fn of(session: &ControlSession) -> Result<Checkpoint> {
        let mut core = session.core.lock();
        session.check_whole()?;
        core.settle(session.writing())?;
        session.collect(&mut core)?;
        let all = session.all_recordings();
        let mut recordings: Vec<Recording> = all.iter().map(|recording| recording.lock().clone()).collect();
        let (updates, optimizer_steps) = (core.updates, core.optimizer_steps);
        let trained = session.trained()?;
        recordings.iter_mut().for_each(|recording| recording.count_from(trained.version()));
        let saved = core.course()?.save()?;
        let state = State {
            format: FORMAT,
            keel: env!("CARGO_PKG_VERSION").to_string(),
            config: session.config().as_ref().clone(),
            policy: trained.description(),
            updates,
            optimizer_steps,
            policy_version: trained.version(),
            metrics: finite(&session.record.lock().values),
            course: saved.state.clone(),
        };
        let script = trained.script().map(<[u8]>::to_vec);
        Ok(Checkpoint { state, saved, recordings: without_empty(recordings), script })
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        let failed = |error: String| Error::data(format!("export: {error}"));
        let raw = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
        let tensors: Vec<(&String, Vec<u8>)> =
            self.saved.tensors.iter().map(|(name, numbers)| (name, raw(numbers))).collect();
        let recordings = serde_json::to_vec(&self.recordings).map_err(|error| failed(error.to_string()))?;
        let state = serde_json::to_string(&self.state).map_err(|error| failed(error.to_string()))?;
        let mut views = Vec::new();
        for (name, bytes) in &tensors {
            let view = TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes);
            views.push((name.to_string(), view.map_err(|error| failed(error.to_string()))?));
        }
        for (name, bytes) in [(RECORDINGS, Some(&recordings)), (SCRIPT, self.script.as_ref())] {
            let Some(bytes) = bytes else { continue };
            let view = TensorView::new(Dtype::U8, vec![bytes.len()], bytes);
            views.push((name.to_string(), view.map_err(|error| failed(error.to_string()))?));
        }
        let metadata = Some(HashMap::from([("keel".to_string(), state)]));
        safetensors::serialize(views, metadata).map_err(|error| failed(error.to_string()))
    }

    pub fn parse(bytes: &[u8]) -> Result<Checkpoint> {
        let invalid =
            |error: String| Error::new(Status::Format, format!("not a checkpoint of keel's control sessions: {error}"));
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| invalid(error.to_string()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| invalid(error.to_string()))?;
        let text = header.metadata().as_ref().and_then(|metadata| metadata.get("keel"));
        let text = text.ok_or_else(|| invalid("its metadata has no entry \"keel\"".to_string()))?;
        let state: Value = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        if state["format"].as_u64() != Some(FORMAT.into()) {
            return Err(invalid(format!("expected format {FORMAT}, found {}", state["format"])));
        }
        // strictly, with every range: a file is no safer than a host's configuration
        settings::parse::<Config>(Some(state["config"].to_string().as_bytes()))
            .map_err(|error| invalid(error.message))?;
        let state: State = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let counters = [state.updates, state.optimizer_steps, state.policy_version];
        if counters.into_iter().any(|counter| counter >= u64::MAX / 2) {
            return Err(invalid("its counters are out of range".to_string()));
        }
        let mut saved = Saved { state: state.course.clone(), ..Saved::default() };
        let (mut recordings, mut script) = (None, None);
        for (name, view) in file.tensors() {
            let number = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            match view.dtype() {
                Dtype::F32 => _ = saved.tensors.insert(name, view.data().chunks_exact(4).map(number).collect()),
                Dtype::U8 if name == RECORDINGS => recordings = Some(serde_json::from_slice(view.data())),
                Dtype::U8 if name == SCRIPT => script = Some(view.data().to_vec()),
                other => return Err(invalid(format!("tensor {name}: expected F32, found {other:?}"))),
            }
        }
        let recordings = recordings.ok_or_else(|| invalid(format!("tensor {RECORDINGS} is missing")))?;
        let recordings = recordings.map_err(|error| invalid(format!("the recordings are damaged: {error}")))?;
        Ok(Checkpoint { state, saved, recordings, script })
    }

    /// The configuration of the session that was saved.
    pub fn config(&self) -> Config {
        self.state.config.clone()
    }

    /// The model that was saved, as it stood in training; `apply` brings its statistics. `scripts`: whether it may be one.
    pub(super) fn trained(&self, scripts: bool) -> Result<Trained> {
        check_allowed(scripts || self.script.is_none())?;
        let weights = |name: &str| self.saved.tensor(&format!("{name}.parameters")).cloned();
        Trained::assemble(&self.state.policy, self.script.as_deref(), weights)
    }

    /// Writes the checkpoint into the session; everything that can be wrong is found before the first write.
    pub fn apply(&self, session: &ControlSession) -> Result<()> {
        let mut core = session.core.lock();
        let trained = session.trained()?;
        if trained.description() != self.state.policy {
            return Err(Error::shape("checkpoint: its model has another spec than the session's"));
        }
        if trained.script() != self.script.as_deref() {
            return Err(Error::shape("checkpoint: its model has another script than the session's"));
        }
        let course = core.course()?;
        course.check(&self.saved)?;
        if !self.recordings.iter().all(|recording| course.accepts(recording)) {
            return Err(Error::new(Status::Format, "checkpoint: its recordings are damaged"));
        }
        course.load(&self.saved)?;
        session.recount(&mut core)?;
        trained.raise_version(self.state.policy_version);
        (core.updates, core.optimizer_steps) = (self.state.updates, self.state.optimizer_steps);
        let version = session.publish_from(&mut core)?;
        session.explores.store(session.method.explores() && core.updates == 0, Ordering::Release);
        if let Trained::Policy(policy) = &trained {
            self.apply_recordings(session, policy.spec(), version);
        }
        let mut record = session.record.lock();
        record.values = self.state.metrics.clone();
        (record.updates, record.optimizer_steps) = (core.updates, core.optimizer_steps);
        session.writing().store(false, Ordering::SeqCst);
        session.poisoned.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn apply_recordings(&self, session: &ControlSession, spec: &Spec, version: u64) {
        let mut all = session.recordings.lock();
        while all.len() < self.recordings.len() {
            all.push((Arc::new(Mutex::new(Recording::new(spec))), Weak::new()));
        }
        for (place, (recording, _)) in all.iter().enumerate() {
            let mut recording = recording.lock();
            *recording = self.recordings.get(place).cloned().unwrap_or_else(|| Recording::new(spec));
            recording.count_from(version);
            recording.count();
        }
    }
}

/// What lies behind the last recording that anything happened in says nothing.
fn without_empty(mut recordings: Vec<Recording>) -> Vec<Recording> {
    let kept = recordings.iter().rposition(|recording| !recording.slots.is_empty()).map_or(0, |last| last + 1);
    recordings.truncate(kept);
    recordings
}

pub(super) fn to_bytes(session: &ControlSession) -> Result<Vec<u8>> {
    Checkpoint::of(session)?.to_bytes()
}

pub(super) fn write(session: &ControlSession, path: &Path) -> Result<()> {
    session.check_poisoned()?;
    write_whole(path, &to_bytes(session)?)
}

pub(super) fn read(path: &Path) -> Result<Checkpoint> {
    let bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
    Checkpoint::parse(&bytes).map_err(|error| error.within(path.display()))
}

/// FNV-1a over all that decides the session's future, beside its configuration; what only reports does not count.
pub(super) fn state_hash(session: &ControlSession) -> Result<u64> {
    let Checkpoint { state, saved, recordings, .. } = Checkpoint::of(session)?;
    let recordings: Vec<Recording> = match &state.config.algorithm {
        algorithm::Config::ControlPpo(config) if config.max_staleness.is_some() => recordings,
        _ => recordings.into_iter().map(Recording::without_versions).collect(),
    };
    let rest = serde_json::to_vec(&(&saved.state, &recordings, state.updates, state.optimizer_steps))
        .map_err(|error| Error::data(error.to_string()))?;
    let numbers = saved.tensors.values().flatten().flat_map(|number| number.to_le_bytes());
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    Ok(numbers.chain(rest).fold(0xcbf2_9ce4_8422_2325, step))
}

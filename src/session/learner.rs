//! What every session does, whatever it trains: the two kinds behind one face.

use super::control::checkpoint as control_checkpoint;
use super::control::ControlSession;
use super::shell::Shell;
use super::{checkpoint, Config, Job, Role, Runtime, Session};
use crate::data::Batch;
use crate::error::{Error, Result};
use crate::model::AnyModel;
use safetensors::SafeTensors;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A session of either kind; the meaning of each verb stands at the C function of its name.
pub trait Learner: Send + Sync {
    fn shell(&self) -> &Shell;

    fn set_model(&self, role: Role, model: AnyModel) -> Result<()>;

    fn model(&self, role: Role) -> Option<AnyModel>;

    fn metrics_json(&self) -> String;

    /// Where each group of the records lies.
    fn layout_json(&self) -> Result<String> {
        Err(Error::state("layout: expected a session that trains a control policy, which alone has records"))
    }

    /// Takes all rows of the batch or none; returns the id of the first. Ids are consecutive.
    fn push(&self, batch: &Batch) -> Result<u64>;

    fn clear(&self) -> Result<()>;

    /// Plans the next update; `None` means that more data is needed.
    fn update(self: Arc<Self>) -> Result<Option<Arc<Job>>>;

    /// Plans an evaluation of the rows marked for it; `None` means that there are none.
    fn evaluate(self: Arc<Self>) -> Result<Option<Arc<Job>>>;

    fn save(self: Arc<Self>, path: PathBuf) -> Result<Arc<Job>>;

    fn restore(self: Arc<Self>, path: PathBuf) -> Result<Arc<Job>>;

    /// Plans a change of settings.
    fn configure(self: Arc<Self>, text: Option<&[u8]>) -> Result<Arc<Job>>;

    /// Plans to publish what was learned.
    fn publish(self: Arc<Self>) -> Result<Arc<Job>>;

    /// Plans to go on from a version that is kept.
    fn roll_back(self: Arc<Self>, version: u64) -> Result<Arc<Job>>;

    fn export(&self) -> Result<Vec<u8>>;

    fn import(&self, bytes: &[u8]) -> Result<()>;

    fn state_hash(&self) -> Result<u64>;
}

/// A session of either kind, as a host holds it.
#[derive(Clone)]
pub enum AnySession {
    Language(Arc<Session>),
    Control(Arc<ControlSession>),
}

impl AnySession {
    /// The session that the configuration's algorithm asks for.
    pub fn create(runtime: &Arc<Runtime>, config: Config) -> Result<AnySession> {
        Ok(match config.algorithm.is_control() {
            true => AnySession::Control(ControlSession::create(runtime, config)?),
            false => AnySession::Language(Session::create(runtime, config)?),
        })
    }

    /// A saved session with its models.
    pub fn open(runtime: &Arc<Runtime>, path: &Path) -> Result<AnySession> {
        let bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
        Ok(match trains_control(&bytes) {
            true => {
                let opened = control_checkpoint::Checkpoint::parse(&bytes)
                    .and_then(|checkpoint| ControlSession::open(runtime, checkpoint));
                AnySession::Control(opened.map_err(|error| error.within(path.display()))?)
            }
            false => AnySession::Language(checkpoint::open(runtime, path, &bytes)?),
        })
    }

    pub fn learner(&self) -> Arc<dyn Learner> {
        match self {
            AnySession::Language(session) => session.clone(),
            AnySession::Control(session) => session.clone(),
        }
    }
}

/// Whether a checkpoint is that of a control session: it alone has a course.
fn trains_control(bytes: &[u8]) -> bool {
    let header = SafeTensors::read_metadata(bytes).ok().map(|(_, header)| header);
    let text = header.and_then(|header| header.metadata().as_ref()?.get("keel").cloned());
    let state: Option<Value> = text.and_then(|text| serde_json::from_str(&text).ok());
    state.is_some_and(|state| state.get("course").is_some())
}

impl Learner for Session {
    fn shell(&self) -> &Shell {
        self
    }

    fn set_model(&self, role: Role, model: AnyModel) -> Result<()> {
        match model {
            AnyModel::Language(model) => Session::set_model(self, role, model),
            AnyModel::Control(_) | AnyModel::Reward(_) => {
                Err(Error::state("model: expected a language model in this session"))
            }
        }
    }

    fn model(&self, role: Role) -> Option<AnyModel> {
        Session::model(self, role).map(AnyModel::Language)
    }

    fn metrics_json(&self) -> String {
        Session::metrics_json(self)
    }

    fn push(&self, batch: &Batch) -> Result<u64> {
        Session::push(self, batch)
    }

    fn clear(&self) -> Result<()> {
        Session::clear(self)
    }

    fn update(self: Arc<Self>) -> Result<Option<Arc<Job>>> {
        Session::update(&self)
    }

    fn evaluate(self: Arc<Self>) -> Result<Option<Arc<Job>>> {
        Session::evaluate(&self)
    }

    fn save(self: Arc<Self>, path: PathBuf) -> Result<Arc<Job>> {
        Session::save(&self, path)
    }

    fn restore(self: Arc<Self>, path: PathBuf) -> Result<Arc<Job>> {
        Session::restore(&self, path)
    }

    fn configure(self: Arc<Self>, text: Option<&[u8]>) -> Result<Arc<Job>> {
        Session::configure(&self, text)
    }

    fn publish(self: Arc<Self>) -> Result<Arc<Job>> {
        Session::publish(&self)
    }

    fn roll_back(self: Arc<Self>, version: u64) -> Result<Arc<Job>> {
        Session::roll_back(&self, version)
    }

    fn export(&self) -> Result<Vec<u8>> {
        Session::export(self)
    }

    fn import(&self, bytes: &[u8]) -> Result<()> {
        Session::import(self, bytes)
    }

    fn state_hash(&self) -> Result<u64> {
        Session::state_hash(self)
    }
}

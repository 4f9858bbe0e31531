//! The C noun `session`: one policy being aligned. Here its making, its models, its configuration and its end; `data`
//! has what the host brings, `work` what it asks for, `state` what it keeps.

use super::callback::{self, keel_reward_callback};
use super::handle::{self, Either, Noun, Type};
use super::model::{self, keel_model};
use super::runtime::keel_runtime;
use super::status::{keel_error, keel_status};
use super::text::{self, Out};
use crate::error::{Error, Result};
use crate::session::control::ControlSession;
use crate::session::{AnySession, Config, Learner, Role, Runtime, Session};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// One policy being aligned: its method, its rows, its optimiser. Made by keel_session_create and keel_session_open.
pub type keel_session = u64;

/// The model in training.
pub const KEEL_ROLE_POLICY: i32 = 1;
/// The model that the policy is held close to, a frozen copy of the one that is set, which follows the policy only where
/// the algorithm says so; without one, a copy of the policy as it was set. keel_session_model gives a copy of it.
pub const KEEL_ROLE_REFERENCE: i32 = 2;
/// The model that scores rollouts which the host does not reward; in a session that trains a reward model, that model.
pub const KEEL_ROLE_REWARD: i32 = 3;
/// A model of one score that tells the values of states, trained with the policy and set before it; without one, a head
/// on the policy's trunk does.
pub const KEEL_ROLE_VALUE: i32 = 4;

/// keel_session_set_callback: a keel_reward_callback.
pub const KEEL_CALLBACK_REWARD: i32 = 1;

impl Noun for Session {
    const TYPE: Type = Type::Session;
    const KIND: &'static str = "a session that trains a language model";

    fn issued(&self, handle: u64) {
        self.set_source(handle);
    }

    fn retired(self: Arc<Self>, handle: u64) {
        self.resume();
        self.runtime().events().close(handle);
    }
}

impl Noun for ControlSession {
    const TYPE: Type = Type::Session;
    const KIND: &'static str = "a session that trains a control policy";

    fn issued(&self, handle: u64) {
        self.set_source(handle);
    }

    fn retired(self: Arc<Self>, handle: u64) {
        self.resume();
        self.runtime().events().close(handle);
    }
}

/// The session behind its handle. Jobs that the host left behind are settled first: this is a call of its own.
fn find(session: keel_session) -> Result<Arc<dyn Learner>> {
    let found = match handle::either::<Session, ControlSession>("session", session)? {
        Either::First(session) => AnySession::Language(session),
        Either::Second(session) => AnySession::Control(session),
    };
    let learner = found.learner();
    learner.shell().runtime().settle_orphans();
    Ok(learner)
}

/// The same of one kind.
pub(super) fn find_one<T: Noun>(session: keel_session) -> Result<Arc<T>> {
    find(session)?;
    handle::get::<T>("session", session).map(|found| found.clone())
}

/// A new handle for a session of either kind.
fn insert(session: AnySession) -> Result<keel_session> {
    match session {
        AnySession::Language(session) => handle::insert(session),
        AnySession::Control(session) => handle::insert(session),
    }
}

/// Makes a session; give it its policy with keel_session_set_model.
///
/// runtime: borrowed. json: the configuration "session", copied; it names the algorithm, {"algorithm": {"type":
/// "sft"}}. session: out, the caller ends it with keel_session_destroy. error: nullable. Threads: any.
/// Status: KEEL_E_CONFIG, KEEL_E_DEVICE. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_create(
    runtime: keel_runtime,
    json: *const c_char,
    json_length: usize,
    session: *mut keel_session,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let session = Out::required("session", session)?;
        let runtime = handle::get::<Runtime>("runtime", runtime)?;
        let config = Config::parse(text::json(json, json_length)?)?;
        session.write(insert(AnySession::create(&runtime, config)?)?);
        Ok(())
    })
}

/// Makes a session from a checkpoint, with its models, its optimiser and its rows, as keel_session_save left them.
///
/// runtime: borrowed. path: UTF-8, copied. session: out, the caller ends it with keel_session_destroy. error: nullable.
/// Threads: any; reads the file before it returns. Status: KEEL_E_FILE, KEEL_E_FORMAT, KEEL_E_DEVICE;
/// KEEL_E_UNSUPPORTED: a network's script, and the runtime allows none. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_open(
    runtime: keel_runtime,
    path: *const c_char,
    path_length: usize,
    session: *mut keel_session,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let session = Out::required("session", session)?;
        let runtime = handle::get::<Runtime>("runtime", runtime)?;
        session.write(insert(AnySession::open(&runtime, text::path(path, path_length)?)?)?);
        Ok(())
    })
}

/// Gives the session a model for a role. The weights of the model in training belong to the session from then on; every
/// other use of that model reads the last published ones. A policy may take the place of the one in training, of the same
/// architecture, or in control of the same observations, actions and core: slots stay in their episodes with what they
/// remember, rows and steps that wait stay with the probabilities that were recorded, the optimiser begins anew, and what is
/// kept of earlier versions goes. A language model that is set as the reward model in training
/// stays as it is: a new reward model on a copy of it is trained, which keel_session_model gives.
///
/// session: changed. role: KEEL_ROLE_…. name: UTF-8, must be empty. model: kept alive by the session. error: nullable.
/// Threads: any. Status: KEEL_E_IN_USE: another session trains it, or an update is unfinished; KEEL_E_STATE, KEEL_E_SHAPE, KEEL_E_DEVICE.
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_set_model(
    session: keel_session,
    role: i32,
    name: *const c_char,
    name_length: usize,
    model: keel_model,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let session = find(session)?;
        let role = unnamed(role, text::utf8("name", name, name_length)?)?;
        session.set_model(role, model::find(model)?)
    })
}

/// The model of a role.
///
/// session: borrowed. role: KEEL_ROLE_…. name: UTF-8, must be empty. model: out, the caller ends it with
/// keel_model_destroy. error: nullable. Threads: any. Status: KEEL_E_STATE: the role has none. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_model(
    session: keel_session,
    role: i32,
    name: *const c_char,
    name_length: usize,
    model: *mut keel_model,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let model = Out::required("model", model)?;
        let session = find(session)?;
        let role = unnamed(role, text::utf8("name", name, name_length)?)?;
        let found = session.model(role).ok_or_else(|| Error::state("role: the session has no model for it"))?;
        model.write(model::insert(found)?);
        Ok(())
    })
}

/// The whole configuration of the session as JSON, with every default filled in.
///
/// session: borrowed. buffer: room for capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without
/// a NUL, nullable. error: nullable. Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_config(
    session: keel_session,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let config = find(session)?.shell().config_json();
        text::write(&config, buffer, capacity, needed)
    })
}

/// Where each group of an observation record and of an action record lies, as JSON, so that a host can assert its structs:
/// {"observation": {"bytes": …, "groups": [{"name", "type", "count", "offset"}, …]}, "action": …}. A record is as a C
/// compiler lays out a struct of these members, f32 first to last as the model's config says, a mask as u8.
///
/// session: borrowed; of a control policy, which is set. buffer: room for capacity bytes, NULL with capacity 0 to ask for
/// the size. needed: bytes without a NUL, nullable. error: nullable. Threads: any. Status: KEEL_E_CAPACITY, KEEL_E_STATE:
/// no policy, or no session of a control policy. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_layout(
    session: keel_session,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let layout = find(session)?.layout_json()?;
        text::write(&layout, buffer, capacity, needed)
    })
}

/// Sets, or with NULL removes, what the session calls when it needs something from the host. Returns when no other
/// thread is inside a call of the callback before, so that its user_data may then be freed.
///
/// session: changed. kind: KEEL_CALLBACK_REWARD. callback: called in keel_job_run, keel_job_pump and keel_session_step,
/// on their thread; nullable. user_data: given to callback as it is, must stay valid until this function has replaced
/// the callback. error: nullable. Threads: any; waits for a call of the old callback on another thread, so hold no lock
/// that the callback takes. From inside the callback it does not wait for that call, whose user_data must then outlive
/// it. Status: no others. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_set_callback(
    session: keel_session,
    kind: i32,
    callback: keel_reward_callback,
    user_data: *mut c_void,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let session = find_one::<Session>(session)?;
        if kind != KEEL_CALLBACK_REWARD {
            return Err(Error::argument(format!("kind: expected {KEEL_CALLBACK_REWARD}, got {kind}")));
        }
        session.set_reward_callback(callback.map(|function| callback::reward(function, user_data)));
        Ok(())
    })
}

/// Ends the handle; events that were not read are gone. A job of the session that is still driven goes on to its end
/// and may call the callback: remove it first.
///
/// session: 0 and what was destroyed before are ignored. Threads: any; never waits. Status: none, cannot fail.
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_session_destroy(session: keel_session) {
    guard!(or(), { handle::retire_either::<Session, ControlSession>(session) })
}

/// The role, of which there is one model today.
fn unnamed(role: i32, name: &str) -> Result<Role> {
    if !name.is_empty() {
        return Err(Error::argument(format!("name: expected an empty one, since a role has one model, got {name:?}")));
    }
    match role {
        KEEL_ROLE_POLICY => Ok(Role::Policy),
        KEEL_ROLE_REFERENCE => Ok(Role::Reference),
        KEEL_ROLE_REWARD => Ok(Role::Reward),
        KEEL_ROLE_VALUE => Ok(Role::Value),
        other => Err(Error::argument(format!(
            "role: expected 1 (policy), 2 (reference), 3 (reward) or 4 (value), got {other}"
        ))),
    }
}

// Here and not above: the header has the functions in the order of the source.
pub mod data;
pub mod live;
pub mod state;
pub mod work;

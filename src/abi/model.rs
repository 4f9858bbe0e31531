//! The C noun `model`: weights with their tokenizer.

use super::handle::{self, Either, Noun, Type};
use super::job::keel_job;
use super::runtime::keel_runtime;
use super::status::{keel_error, keel_status};
use super::text::{self, Out};
use crate::config;
use crate::error::{Error, Result};
use crate::model::control::{Policy, RewardModel};
use crate::model::{AnyModel, Model, Tokenizer};
use crate::session::{Job, Runtime};
use std::ffi::c_char;
use std::sync::Arc;

/// A model: weights, architecture and tokenizer. Made by keel_model_create, keel_job_model, keel_session_model.
pub type keel_model = u64;

/// keel_model_encode: put the tokenizer's special tokens (begin of text …) where it would put them itself.
pub const KEEL_ENCODE_SPECIAL: u32 = 1;
/// keel_model_decode: leave special tokens out of the text.
pub const KEEL_DECODE_SKIP_SPECIAL: u32 = 1;

impl Noun for Model {
    const TYPE: Type = Type::Model;
    const KIND: &'static str = "a language model";
}

impl Noun for Policy {
    const TYPE: Type = Type::Model;
    const KIND: &'static str = "a control network";
}

impl Noun for RewardModel {
    const TYPE: Type = Type::Model;
    const KIND: &'static str = "a reward network of control";
}

/// The model of any kind behind its handle.
pub(super) fn find(model: keel_model) -> Result<AnyModel> {
    if let Ok(reward) = handle::get::<RewardModel>("model", model) {
        return Ok(AnyModel::Reward(reward.clone()));
    }
    Ok(match handle::either::<Model, Policy>("model", model)? {
        Either::First(model) => AnyModel::Language(model),
        Either::Second(policy) => AnyModel::Control(policy),
    })
}

/// A new handle for a model of any kind.
pub(super) fn insert(model: AnyModel) -> Result<keel_model> {
    match model {
        AnyModel::Language(model) => handle::insert(model),
        AnyModel::Control(policy) => handle::insert(policy),
        AnyModel::Reward(reward) => handle::insert(reward),
    }
}

/// Makes a job that loads a directory in the Hugging Face layout (config.json, *.safetensors, tokenizer.json); the
/// finished job has the model, keel_job_model.
///
/// runtime: borrowed. path: UTF-8, copied. json: the configuration "load", copied; NULL with length 0 for the defaults.
/// job: out, the caller ends it with keel_job_destroy. error: nullable. Threads: any. Status: KEEL_E_CONFIG,
/// KEEL_E_DEVICE; files that are missing or wrong fail the job with KEEL_E_FILE, KEEL_E_FORMAT, a script where the runtime
/// allows none with KEEL_E_UNSUPPORTED. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_model_load(
    runtime: keel_runtime,
    path: *const c_char,
    path_length: usize,
    json: *const c_char,
    json_length: usize,
    job: *mut keel_job,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let job = Out::required("job", job)?;
        let runtime = handle::get::<Runtime>("runtime", runtime)?;
        let path = text::path(path, path_length)?;
        let config = config::parse(text::json(json, json_length)?)?;
        job.write(handle::insert(Job::load(&runtime, path.to_path_buf(), config)?)?);
        Ok(())
    })
}

/// Makes a model with random weights from a configuration: a language model, or with "model_type": "control" in its
/// config a control network.
///
/// runtime: borrowed. json: the configuration "create", copied. model: out, the caller ends it with keel_model_destroy.
/// error: nullable. Threads: any. Status: KEEL_E_CONFIG, KEEL_E_DEVICE, KEEL_E_UNSUPPORTED; of a network's script KEEL_E_FILE,
/// KEEL_E_FORMAT, KEEL_E_SHAPE, KEEL_E_CALLBACK, and KEEL_E_UNSUPPORTED where the runtime allows none. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_model_create(
    runtime: keel_runtime,
    json: *const c_char,
    json_length: usize,
    model: *mut keel_model,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let model = Out::required("model", model)?;
        let runtime = handle::get::<Runtime>("runtime", runtime)?;
        let mut config = config::parse::<config::Create>(text::json(json, json_length)?)?;
        config.allow_torchscript = runtime.allows_torchscript();
        runtime.check_device(config::device(&config.device)?)?;
        model.write(insert(AnyModel::create(&config)?)?);
        Ok(())
    })
}

/// Writes the last published weights as a directory that keel_model_load reads, and transformers that of a language
/// model. A file that is there is replaced whole or
/// not at all.
///
/// model: borrowed. path: UTF-8, copied; the directory is made if it is missing. error: nullable.
/// Threads: any. Status: KEEL_E_FILE. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_model_save(
    model: keel_model,
    path: *const c_char,
    path_length: usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let path = text::path(path, path_length)?;
        match find(model)? {
            AnyModel::Language(model) => model.save(path),
            AnyModel::Control(policy) => policy.save(path),
            AnyModel::Reward(reward) => reward.save(path),
        }
    })
}

/// What the model is, as JSON: architecture, sizes, dtype, device, version of its weights, special tokens.
///
/// model: borrowed. buffer: room for capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without a
/// NUL, nullable. error: nullable. Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_model_info(
    model: keel_model,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let info = match find(model)? {
            AnyModel::Language(model) => model.info(),
            AnyModel::Control(policy) => policy.info(),
            AnyModel::Reward(reward) => reward.info(),
        };
        text::write(&info.to_string(), buffer, capacity, needed)
    })
}

/// Turns text into tokens.
///
/// model: borrowed. text: UTF-8, borrowed. flags: 0 or KEEL_ENCODE_SPECIAL. tokens: room for capacity tokens, NULL with
/// capacity 0 to ask for the count. needed: the count, nullable. error: nullable.
/// Threads: any. Status: KEEL_E_CAPACITY, KEEL_E_STATE: the model has no tokenizer. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_model_encode(
    model: keel_model,
    text: *const c_char,
    text_length: usize,
    flags: u32,
    tokens: *mut i32,
    capacity: usize,
    needed: *mut usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let model = handle::get::<Model>("model", model)?;
        let special = flag("flags", flags, KEEL_ENCODE_SPECIAL)?;
        let encoded = tokenizer(&model)?.encode(text::utf8("text", text, text_length)?, special)?;
        text::write_tokens(&encoded, tokens, capacity, needed)
    })
}

/// Turns tokens into text.
///
/// model: borrowed. tokens: count of them, borrowed. flags: 0 or KEEL_DECODE_SKIP_SPECIAL. buffer: room for capacity
/// bytes, NULL with capacity 0 to ask for the size. needed: bytes without a NUL, nullable. error: nullable.
/// Threads: any. Status: KEEL_E_CAPACITY, KEEL_E_STATE: the model has no tokenizer. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_model_decode(
    model: keel_model,
    tokens: *const i32,
    count: usize,
    flags: u32,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let model = handle::get::<Model>("model", model)?;
        let skip_special = flag("flags", flags, KEEL_DECODE_SKIP_SPECIAL)?;
        let decoded = tokenizer(&model)?.decode(text::slice("tokens", tokens, count)?, skip_special)?;
        text::write(&decoded, buffer, capacity, needed)
    })
}

/// Ends the handle. Sessions that use the model keep it alive.
///
/// model: 0 and what was destroyed before are ignored. Threads: any; never waits. Status: none, cannot fail. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_model_destroy(model: keel_model) {
    guard!(or(), { handle::retire_either::<Model, Policy>(model) })
}

fn tokenizer(model: &Model) -> Result<&Arc<Tokenizer>> {
    model.tokenizer().ok_or_else(|| Error::state("model: it was made without a tokenizer"))
}

fn flag(argument: &str, flags: u32, known: u32) -> Result<bool> {
    match flags {
        0 => Ok(false),
        flags if flags == known => Ok(true),
        other => Err(Error::argument(format!("{argument}: expected 0 or {known}, got {other}"))),
    }
}

//! A host of the C functions: each returns the status, made things are 0 where they could not be made.

use keel::abi::session::{data::*, live::*, state::*, work::*, *};
use keel::abi::{actor::*, batch::*, blob::*, job::*, model::*, runtime::*, version::*, view::*};
use std::ffi::{c_char, c_void};
use std::ptr::{null, null_mut};

pub const OBSERVATION: usize = 3;

/// Numbers by chance (xorshift).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}

/// A call that makes something: its status, and what it made.
macro_rules! made {
    ($function:ident($($argument:expr),*)) => {{
        let mut made = 0u64;
        // SAFETY: texts and arrays are given with their lengths, and outlive the call.
        let status = unsafe { $function($($argument,)* &mut made, null_mut()) };
        (status, made)
    }};
}

/// A call whose status is all it says.
macro_rules! said {
    ($function:ident($($argument:expr),*)) => {
        // SAFETY: texts and arrays are given with their lengths, and outlive the call.
        unsafe { $function($($argument),*) }
    };
}

fn text(text: &str) -> (*const c_char, usize) {
    (text.as_ptr().cast(), text.len())
}

pub fn create_runtime() -> u64 {
    let (json, length) = text(r#"{"cuda": "cpu"}"#);
    let (status, runtime) = made!(keel_runtime_create(KEEL_ABI_VERSION, json, length));
    assert_eq!(status, 0);
    runtime
}

const CONTROL: [&str; 2] = [
    r#"{"algorithm": {"type": "control_ppo", "rollout_steps": 32, "epochs": 2, "minibatches": 2}}"#,
    r#"{"algorithm": {"type": "sac", "learning_starts": 16, "batch_size": 8}}"#,
];
const LANGUAGE: [&str; 2] = [
    r#"{"algorithm": {"type": "sft", "batch_size": 2}, "threads": 1}"#,
    r#"{"algorithm": {"type": "sft", "batch_size": 3}, "threads": 1, "micro_batch_tokens": 16}"#,
];
const POLICY: &str = r#"{"config": {"model_type": "control", "hidden": [8],
    "observations": [{"type": "vector", "name": "seen", "size": 3}],
    "actions": [{"type": "continuous", "name": "push", "size": 1, "low": -1, "high": 1, "distribution": "squashed",
        "deviation": "state"}]}}"#;
const WRITER: &str = r#"{"config": {"model_type": "llama", "vocab_size": 24, "hidden_size": 16, "intermediate_size": 24,
    "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32,
    "eos_token_id": 2}, "initialization": "fan_in"}"#;

/// A session of the kind of its place: control by PPO and SAC, or language by SFT.
pub fn create_session(runtime: u64, place: usize) -> u64 {
    let (settings, model) = match place {
        0 | 1 => (CONTROL[place], POLICY),
        _ => (LANGUAGE[place % 2], WRITER),
    };
    let (settings, model) = (text(settings), text(model));
    let (status, session) = made!(keel_session_create(runtime, settings.0, settings.1));
    assert_eq!(status, 0);
    let (status, model) = made!(keel_model_create(runtime, model.0, model.1));
    assert_eq!(status, 0);
    assert_eq!(said!(keel_session_set_model(session, KEEL_ROLE_POLICY, null(), 0, model, null_mut())), 0);
    said!(keel_model_destroy(model));
    session
}

pub fn create_actor(session: u64) -> (i32, u64) {
    made!(keel_actor_create(session, null(), 0))
}

pub fn act(actor: u64, slots: &[u32], observations: &[f32]) -> i32 {
    let mut actions = vec![0f32; slots.len()];
    let (seen, chosen) = (observations.as_ptr().cast::<c_void>(), actions.as_mut_ptr().cast::<c_void>());
    let (count, bytes) = (slots.len(), 4 * slots.len());
    let seen_bytes = 4 * observations.len();
    said!(keel_actor_act(actor, slots.as_ptr(), count, seen, seen_bytes, chosen, bytes, 0, null_mut(), null_mut()))
}

pub fn observe(actor: u64, slots: &[u32], rewards: &[f32], episodes: &[i32]) -> i32 {
    let (count, rewards_count) = (slots.len(), rewards.len());
    said!(keel_actor_observe(
        actor,
        slots.as_ptr(),
        count,
        rewards.as_ptr(),
        rewards_count,
        episodes.as_ptr(),
        null(),
        0,
        null_mut()
    ))
}

pub fn push_demonstrations(runtime: u64, session: u64, rows: &[Vec<i32>]) -> i32 {
    let (status, batch) = made!(keel_batch_create(runtime, KEEL_BATCH_DEMONSTRATIONS, rows.len() as u64));
    assert_eq!(status, 0);
    let flat: Vec<i32> = rows.concat();
    let ends = rows.iter().scan(0, |end, row| {
        *end += row.len() as u64;
        Some(*end)
    });
    let offsets: Vec<u64> = std::iter::once(0).chain(ends).collect();
    set_tokens(batch, "prompt", &flat, &offsets);
    set_tokens(batch, "response", &flat, &offsets);
    let status = said!(keel_session_push(session, batch, null_mut(), null_mut()));
    said!(keel_batch_destroy(batch));
    status
}

fn set_tokens(batch: u64, column: &str, tokens: &[i32], offsets: &[u64]) {
    let ((name, length), count) = (text(column), tokens.len());
    let values = tokens.as_ptr().cast::<c_void>();
    let status = said!(keel_batch_set(batch, name, length, KEEL_TYPE_I32, values, count, offsets.as_ptr(), null_mut()));
    assert_eq!(status, 0);
}

pub fn update(session: u64) -> (i32, u64) {
    made!(keel_session_update(session))
}

pub fn generate(runtime: u64, session: u64) -> (i32, u64) {
    let (status, batch) = made!(keel_batch_create(runtime, KEEL_BATCH_PROMPTS, 1));
    assert_eq!(status, 0);
    set_tokens(batch, "prompt", &[5, 6, 7], &[0, 3]);
    let (json, length) = text(r#"{"max_new_tokens": 6}"#);
    let made = made!(keel_session_generate(session, batch, json, length));
    said!(keel_batch_destroy(batch));
    made
}

pub fn start(job: u64) -> i32 {
    said!(keel_job_start(job, null_mut()))
}

pub fn pump(job: u64, budget_us: u64) -> i32 {
    said!(keel_job_pump(job, budget_us, null_mut(), null_mut()))
}

pub fn poll(job: u64) -> i32 {
    said!(keel_job_poll(job, null_mut(), null_mut()))
}

pub fn wait(job: u64, timeout_us: u64) -> i32 {
    said!(keel_job_wait(job, timeout_us, null_mut(), null_mut()))
}

pub fn cancel(job: u64) -> i32 {
    said!(keel_job_cancel(job, null_mut()))
}

pub fn destroy_job(job: u64) {
    said!(keel_job_destroy(job))
}

pub fn destroy_actor(actor: u64) {
    said!(keel_actor_destroy(actor))
}

pub fn destroy_session(session: u64) {
    said!(keel_session_destroy(session))
}

pub fn next_event(runtime: u64) -> i32 {
    let (mut buffer, mut needed) = ([0 as c_char; 4096], 0);
    said!(keel_runtime_next_event(runtime, 0, buffer.as_mut_ptr(), buffer.len(), &mut needed, null_mut()))
}

/// The getters of a session.
pub fn read(session: u64) -> i32 {
    let (mut buffer, mut needed) = ([0 as c_char; 16384], 0);
    let metrics = said!(keel_session_metrics(session, buffer.as_mut_ptr(), buffer.len(), &mut needed, null_mut()));
    let config = said!(keel_session_config(session, buffer.as_mut_ptr(), buffer.len(), &mut needed, null_mut()));
    let mut hash = 0;
    said!(keel_session_state_hash(session, &mut hash, null_mut())).min(metrics).min(config)
}

pub fn export(session: u64) -> i32 {
    let (status, blob) = made!(keel_session_export(session));
    said!(keel_blob_destroy(blob));
    status
}

/// Back to the state of a moment ago, where no update is under way.
pub fn export_and_import(session: u64) -> i32 {
    let (status, blob) = made!(keel_session_export(session));
    if status < 0 {
        return status;
    }
    let (mut bytes, mut size) = (null(), 0);
    assert_eq!(said!(keel_blob_data(blob, &mut bytes, &mut size, null_mut())), 0);
    let status = said!(keel_session_import(session, bytes.cast(), size, null_mut()));
    said!(keel_blob_destroy(blob));
    status
}

pub fn configure(session: u64) -> (i32, u64) {
    let (json, length) = text(r#"{"optimizer": {"learning_rate": 0.001}}"#);
    made!(keel_session_configure(session, json, length))
}

pub fn publish(session: u64) -> (i32, u64) {
    made!(keel_session_publish(session))
}

pub fn pause(session: u64) -> i32 {
    let paused = said!(keel_session_pause(session, null_mut()));
    std::thread::yield_now();
    said!(keel_session_resume(session, null_mut())).min(paused)
}

pub fn clear(session: u64) -> i32 {
    said!(keel_session_clear(session, null_mut()))
}

pub fn shutdown(runtime: u64) {
    assert_eq!(said!(keel_runtime_shutdown(runtime, 60_000_000, null_mut())), 0);
}

pub fn destroy_runtime(runtime: u64) {
    said!(keel_runtime_destroy(runtime))
}

pub fn live_handles() -> u64 {
    said!(keel_live_handles())
}

//! The C noun `runtime`: what a process needs once, and the schema of every configuration.

use super::callback::{self, keel_allocate, keel_release, keel_thread_starter};
use super::handle::{self, Noun, Type};
use super::status::{keel_error, keel_status, KEEL_EMPTY, KEEL_OK};
use super::text::{self, Out};
use super::version;
use crate::error::{Error, Result};
use crate::session::{self, Runtime};
use crate::torch::{self, cuda};
use crate::{config, data};
use serde_json::{json, Value};
use std::ffi::{c_char, c_void};
use std::time::Duration;

/// A runtime: the devices, keel's own threads, the events. Made by keel_runtime_create.
pub type keel_runtime = u64;

impl Noun for Runtime {
    const TYPE: Type = Type::Runtime;
}

/// Makes a runtime. The first one of a process decides whether CUDA is loaded; a process needs only one.
///
/// header_abi: KEEL_ABI_VERSION of the header that the host was compiled against. json: the configuration "runtime",
/// copied; NULL with length 0 for the defaults. runtime: out, the caller ends it with keel_runtime_destroy. error:
/// nullable. Threads: any. Status: KEEL_E_VERSION, KEEL_E_CONFIG, KEEL_E_DEVICE; KEEL_E_UNSUPPORTED: a cap on memory that
/// cannot be kept in this process. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_runtime_create(
    header_abi: u32,
    json: *const c_char,
    json_length: usize,
    runtime: *mut keel_runtime,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        version::handshake(header_abi)?;
        let runtime = Out::required("runtime", runtime)?;
        let config = config::parse(text::json(json, json_length)?)?;
        runtime.write(handle::insert(Runtime::create(&config)?)?);
        Ok(())
    })
}

/// Stops the jobs that run on keel's threads at their next slice, and those that wait for one, and waits for the threads;
/// afterwards none runs. Of a host's threads, it waits until they have returned to the host.
///
/// runtime: stays valid, but no job can be started on a thread again. timeout_us: how long to wait at most. error:
/// nullable. Threads: any. Status: KEEL_E_TIMEOUT: a slice still runs, call again. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_runtime_shutdown(
    runtime: keel_runtime,
    timeout_us: u64,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, { handle::get::<Runtime>("runtime", runtime)?.shutdown(Duration::from_micros(timeout_us)) })
}

/// Sets, or with NULL removes, the host's way to provide the threads on which jobs run that are started from now on.
/// "learner_threads" of the configuration then says only how many jobs run at once; name, priority and CPUs are the
/// host's.
///
/// runtime: changed. starter: called in keel_job_start, on its thread; nullable. user_data: given to starter as it is; a
/// started thread no longer needs it. error: nullable. Threads: any; a starter that another thread is calling may go on.
/// Status: no others. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_runtime_set_thread_starter(
    runtime: keel_runtime,
    starter: keel_thread_starter,
    user_data: *mut c_void,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let starter = starter.map(|starter| callback::thread_starter(starter, user_data));
        handle::get::<Runtime>("runtime", runtime)?.set_thread_starter(starter);
        Ok(())
    })
}

/// Has all tensors of the process in host memory live in the host's memory: libtorch asks these functions from then on.
/// Once, before the first keel_runtime_create. Not what keel's own code and libraries under libtorch allocate beside
/// tensors, nor files that are mapped.
///
/// allocate: size bytes aligned to alignment, or NULL; each keeps its address and is called by any thread at any time, as
/// release is. release: takes back what allocate gave, with its size. Neither calls keel; the process may keep tensors to
/// its end. user_data: given to both as it is, valid as long. error: nullable. Threads: any. Status: KEEL_E_STATE: there
/// is a runtime already, or another allocator. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_process_set_allocator(
    allocate: keel_allocate,
    release: keel_release,
    user_data: *mut c_void,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, { callback::allocator(allocate, release, user_data) })
}

/// Takes the oldest event, as JSON.
///
/// runtime: borrowed. source: the handle of the session or job whose events are wanted, 0 for any. buffer: room for
/// capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without a NUL, nullable. error: nullable.
/// Threads: any; it waits for none. Status: KEEL_EMPTY: there is none, or another thread is at the queues this moment;
/// KEEL_E_CAPACITY: it stays the oldest. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_runtime_next_event(
    runtime: keel_runtime,
    source: u64,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(plain error, {
        let runtime = handle::get::<Runtime>("runtime", runtime)?;
        let taken = runtime.events().take(source, |event| text::write(event, buffer, capacity, needed))?;
        Ok(if taken { KEEL_OK } else { KEEL_EMPTY })
    })
}

/// The devices that a configuration may name, as a JSON array: ["cpu", "cuda:0"].
///
/// runtime: borrowed. buffer: room for capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without
/// a NUL, nullable. error: nullable. Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_runtime_devices(
    runtime: keel_runtime,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let devices = handle::get::<Runtime>("runtime", runtime)?.devices();
        text::write(&devices.to_string(), buffer, capacity, needed)
    })
}

/// What memory the process uses, as JSON, in bytes: resident_bytes; under "host" what tensors hold and the most they held
/// (allocated_bytes, peak_allocated_bytes) and the cap_bytes of the runtime configuration, null without one, or null
/// where the process has an allocator of its own for libtorch; and under "devices" a list of the CUDA devices, each with
/// the same numbers and more where libkeel_cuda.so lies beside libkeel.
///
/// runtime: borrowed. buffer: room for capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without
/// a NUL, nullable. error: nullable. Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_runtime_memory(
    runtime: keel_runtime,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let memory = memory(&*handle::get::<Runtime>("runtime", runtime)?);
        text::write(&memory.to_string(), buffer, capacity, needed)
    })
}

/// Ends the handle. What was made from the runtime goes on; its memory is freed with the last of it.
///
/// runtime: 0 and what was destroyed before are ignored. Threads: any; never waits. Status: none, cannot fail.
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_runtime_destroy(runtime: keel_runtime) {
    guard!(or(), { handle::retire::<Runtime>(runtime) })
}

/// How many handles were made and not yet destroyed, of all types.
///
/// Threads: any. Status: none, cannot fail. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_live_handles() -> u64 {
    guard!(plain or 0, { handle::live() })
}

/// The JSON Schema of a configuration: names, types, ranges, defaults, meanings.
///
/// kind: "runtime", "load", "create", "control" for the config of a control network, "control_reward" for that of a
/// reward network of control, "generate", "session", or "columns" for the table of columns of a batch. buffer:
/// room for capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without a NUL, nullable. error:
/// nullable. Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_config_schema(
    kind: *const c_char,
    kind_length: usize,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let schema = schema(text::utf8("kind", kind, kind_length)?)?;
        text::write(&schema.to_string(), buffer, capacity, needed)
    })
}

fn memory(runtime: &Runtime) -> Value {
    let devices = runtime.devices();
    let names = devices.as_array().into_iter().flatten().filter(|name| **name != "cpu");
    let devices: Vec<Value> = names.enumerate().map(|(index, name)| device_memory(index, name)).collect();
    json!({ "resident_bytes": runtime.resident_bytes(), "host": host_memory(), "devices": devices })
}

fn host_memory() -> Option<Value> {
    let memory = torch::host_memory()?;
    Some(json!({
        "allocated_bytes": memory.allocated,
        "peak_allocated_bytes": memory.peak_allocated,
        "cap_bytes": cap(memory.cap),
    }))
}

fn device_memory(index: usize, name: &Value) -> Value {
    let Some(memory) = cuda::memory(index) else { return json!({ "device": name }) };
    json!({
        "device": name,
        "free_bytes": memory.free,
        "total_bytes": memory.total,
        "allocated_bytes": memory.allocated,
        "peak_allocated_bytes": memory.peak_allocated,
        "reserved_bytes": memory.reserved,
        "peak_reserved_bytes": memory.peak_reserved,
        "failed_allocations": memory.failed_allocations,
        "cap_bytes": cap(memory.cap),
    })
}

fn cap(bytes: u64) -> Option<u64> {
    (bytes > 0).then_some(bytes)
}

fn schema(kind: &str) -> Result<Value> {
    match kind {
        "runtime" => Ok(config::schema::<config::Runtime>()),
        "load" => Ok(config::schema::<config::Load>()),
        "create" => Ok(config::schema::<config::Create>()),
        "control" => Ok(config::schema::<config::Control>()),
        "control_reward" => Ok(config::schema::<config::ControlReward>()),
        "generate" => Ok(config::schema::<config::Generate>()),
        "session" => Ok(config::schema::<session::Config>()),
        "columns" => Ok(data::columns_schema()),
        other => Err(Error::argument(format!(
            "kind: expected runtime, load, create, control, control_reward, generate, session or columns, got {other:?}"
        ))),
    }
}

//! The C side of the shim (`shim/shim.h`), declared once, and its failures as errors.

use super::callback::{Reward, StartThread, Work};
use super::dlpack::DLManagedTensorVersioned;
use super::memory::{Allocate, HostMemory, Release};
use crate::error::{Error, Result, Status};
use libc::{c_char, c_void};
use std::ffi::CStr;
use std::mem::MaybeUninit;
use tch::Tensor;
use torch_sys::C_tensor;

/// The sentence of a failed call, written by the shim.
#[repr(C)]
pub struct Failure {
    message: [c_char; 1000],
}

#[repr(C)]
pub struct Rule {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub weight_decay: f64,
    pub epsilon: f64,
}

/// An at::Generator.
#[repr(C)]
pub struct CGenerator {
    _private: [u8; 0],
}

/// The head on its way through its tiles.
#[repr(C)]
pub struct CHead {
    _private: [u8; 0],
}

/// A torch::jit::Module.
#[repr(C)]
pub struct CScript {
    _private: [u8; 0],
}

/// What is told each tensor of a module: its name, the tensor, which becomes the callee's, whether it is a parameter.
pub type Each = extern "C" fn(context: *mut c_void, name: *const c_char, tensor: *mut C_tensor, parameter: i32);

extern "C" {
    pub fn shim_initialise(failure: *mut Failure) -> i32;
    pub fn shim_version() -> *const c_char;
    pub fn shim_silence() -> *mut c_void;
    pub fn shim_speak(previous: *mut c_void);
    pub fn shim_library_path(path: *mut c_char, capacity: usize, failure: *mut Failure) -> i32;
    pub fn shim_threads(threads: *mut i32, failure: *mut Failure) -> i32;
    pub fn shim_set_threads(threads: i32, failure: *mut Failure) -> i32;
    pub fn shim_fused_adamw(
        rule: *const Rule,
        parameter: *const C_tensor,
        gradient: *const C_tensor,
        first_moment: *const C_tensor,
        second_moment: *const C_tensor,
        step: *const C_tensor,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_adamw_at(
        rule: *const Rule,
        rate: *const C_tensor,
        parameter: *const C_tensor,
        gradient: *const C_tensor,
        first_moment: *const C_tensor,
        second_moment: *const C_tensor,
        step: *const C_tensor,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_clip_gradient(gradient: *const C_tensor, max_norm: f64, norm: *mut f64, failure: *mut Failure) -> i32;
    pub fn shim_add_squares(part: *const C_tensor, squares: *mut f64, failure: *mut Failure) -> i32;
    pub fn shim_backward(
        outputs: *const *const C_tensor,
        gradients: *const *const C_tensor,
        count: usize,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_set_gradient(parameter: *const C_tensor, gradient: *const C_tensor, failure: *mut Failure) -> i32;
    pub fn shim_token_log_probs(
        hidden: *const C_tensor,
        head: *const C_tensor,
        targets: *const C_tensor,
        temperature: f64,
        tile_bytes: usize,
        log_probs: *mut *mut C_tensor,
        entropies: *mut *mut C_tensor,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_head_create(
        hidden: *const C_tensor,
        head: *const C_tensor,
        targets: *const C_tensor,
        temperature: f64,
        tile_bytes: usize,
        pass: *mut *mut CHead,
        tiles: *mut usize,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_head_destroy(pass: *mut CHead);
    pub fn shim_head_read(pass: *mut CHead, tile: usize, failure: *mut Failure) -> i32;
    pub fn shim_head_results(
        pass: *mut CHead,
        log_probs: *mut *mut C_tensor,
        entropies: *mut *mut C_tensor,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_head_turn(
        pass: *mut CHead,
        log_probs: *const C_tensor,
        entropies: *const C_tensor,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_head_walk(pass: *mut CHead, tile: usize, head_gradient: *const C_tensor, failure: *mut Failure) -> i32;
    pub fn shim_head_hidden_gradient(pass: *const CHead, gradient: *mut *mut C_tensor, failure: *mut Failure) -> i32;
    pub fn shim_decode_attention(
        query: *const C_tensor,
        keys: *const C_tensor,
        values: *const C_tensor,
        rows: *const C_tensor,
        lengths: *const C_tensor,
        scale: f64,
        output: *mut *mut C_tensor,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_at_exit(handler: extern "C" fn(), failure: *mut Failure) -> i32;
    pub fn shim_reward(
        function: Reward,
        rollouts: u64,
        rewards: *mut f32,
        count: usize,
        user_data: *mut c_void,
        answer: *mut i32,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_start_thread(
        starter: StartThread,
        work: Option<Work>,
        argument: *mut c_void,
        user_data: *mut c_void,
        answer: *mut i32,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_host_memory(memory: *mut HostMemory) -> i32;
    pub fn shim_cap_host_memory(bytes: u64, failure: *mut Failure) -> i32;
    pub fn shim_set_allocator(
        allocate: Allocate,
        release: Release,
        user_data: *mut c_void,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_external(
        data: *mut c_void,
        sizes: *const i64,
        strides: *const i64,
        dimensions: usize,
        kind: i32,
        cuda: i32,
        owner: *mut c_void,
        release: extern "C" fn(*mut c_void),
        output: *mut *mut C_tensor,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_dlpack_export(
        tensor: *const C_tensor,
        output: *mut *mut DLManagedTensorVersioned,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_dlpack_release(managed: *mut DLManagedTensorVersioned, failure: *mut Failure) -> i32;
    pub fn shim_generator_create(seed: u64, output: *mut *mut CGenerator, failure: *mut Failure) -> i32;
    pub fn shim_generator_destroy(generator: *mut CGenerator);
    pub fn shim_generator_normal(
        generator: *mut CGenerator,
        tensor: *const C_tensor,
        mean: f64,
        deviation: f64,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_generator_uniform(
        generator: *mut CGenerator,
        tensor: *const C_tensor,
        low: f64,
        high: f64,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_generator_state(generator: *const CGenerator, output: *mut *mut C_tensor, failure: *mut Failure)
        -> i32;
    pub fn shim_generator_set_state(generator: *mut CGenerator, state: *const C_tensor, failure: *mut Failure) -> i32;
    pub fn shim_script_load(bytes: *const c_char, size: usize, output: *mut *mut CScript, failure: *mut Failure)
        -> i32;
    pub fn shim_script_destroy(script: *mut CScript);
    pub fn shim_script_tensors(script: *const CScript, context: *mut c_void, each: Each, failure: *mut Failure) -> i32;
    pub fn shim_script_forward(
        script: *mut CScript,
        observations: *const C_tensor,
        outputs: *mut *mut C_tensor,
        values: *mut *mut C_tensor,
        failure: *mut Failure,
    ) -> i32;
    pub fn shim_script_warm_up(failure: *mut Failure) -> i32;
}

/// Runs one call of the shim and turns its outcome into a result.
pub fn check(call: impl FnOnce(*mut Failure) -> i32) -> Result<()> {
    let mut failure = MaybeUninit::<Failure>::uninit();
    let outcome = call(failure.as_mut_ptr());
    if outcome == 0 {
        return Ok(());
    }
    // SAFETY: the shim writes a NUL-terminated message before it returns anything but 0.
    let message = unsafe { CStr::from_ptr((*failure.as_ptr()).message.as_ptr()) }.to_string_lossy();
    let sentence = message.split("\nException raised").next().unwrap_or_default().trim();
    let status = match outcome {
        2 => Status::OutOfMemory,
        3 => Status::Callback,
        _ if sentence.contains("DefaultCPUAllocator") || sentence.contains("out of memory") => Status::OutOfMemory,
        _ => Status::Internal,
    };
    Err(Error::new(status, sentence))
}

/// Runs a call that returns a new tensor through its out-pointer.
pub fn tensor(call: impl FnOnce(*mut *mut C_tensor, *mut Failure) -> i32) -> Result<Tensor> {
    let mut result = std::ptr::null_mut();
    check(|failure| call(&mut result, failure))?;
    // SAFETY: on success the shim returns a new at::Tensor that nobody else owns.
    Ok(unsafe { Tensor::from_ptr(result) })
}

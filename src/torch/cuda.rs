//! CUDA as a decision at run time: libtorch_cuda is loaded once per process, before the first backward pass, or never.
//!
//! libtorch looks for CUDA once and remembers the answer, so nothing here asks it before [`load`] has succeeded.

mod companion;
mod graph;

pub use companion::Memory;
pub use graph::{Graph, Stage};

use super::process::library_directory;
use crate::error::{Error, Result, Status};
use companion::Companion;
use libc::c_void;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;

static LOADED: AtomicBool = AtomicBool::new(false);
static TOO_LATE: AtomicBool = AtomicBool::new(false);
static COMPANION: OnceLock<Companion> = OnceLock::new();

/// Loads CUDA into this process, or says why not: no driver, no libtorch_cuda beside libtorch_cpu, or training on the
/// CPU has begun. The first answer stands for the life of the process.
pub fn load() -> Result<()> {
    static ANSWER: OnceLock<Result<()>> = OnceLock::new();
    ANSWER.get_or_init(attempt).clone()
}

/// Whether a CUDA device can be used. `false` until [`load`] has succeeded.
pub fn available() -> bool {
    LOADED.load(Ordering::Acquire) && tch::Cuda::is_available()
}

/// How many CUDA devices there are. 0 until [`load`] has succeeded.
pub fn device_count() -> i64 {
    if available() {
        tch::Cuda::device_count()
    } else {
        0
    }
}

/// The memory of a device, where libkeel_cuda.so lies beside libkeel and answers.
pub fn memory(device: usize) -> Option<Memory> {
    COMPANION.get()?.memory(i32::try_from(device).ok()?).ok()
}

/// Has libtorch take at most `bytes` of a device from now on; 0: all it wants.
pub fn cap_memory(device: usize, bytes: u64) -> Result<()> {
    let missing = || Error::new(Status::Unsupported, "/memory/device_bytes: needs libkeel_cuda.so beside libkeel");
    let companion = COMPANION.get().ok_or_else(missing)?;
    companion.cap_memory(i32::try_from(device).unwrap_or(-1), bytes)
}

/// A `cudaStream_t` of the host's; null is the one that libtorch uses anyway.
#[derive(Clone, Copy)]
pub struct Stream(pub *mut c_void);

impl Stream {
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }
}

/// What this thread gives to a device from now on waits for what `stream` was given before.
pub fn wait_for(device: usize, Stream(stream): Stream) -> Result<()> {
    let missing = || Error::new(Status::Unsupported, "stream: needs libkeel_cuda.so beside libkeel");
    let device = i32::try_from(device).map_err(|_| Error::argument(format!("device: no CUDA device {device}")))?;
    COMPANION.get().ok_or_else(missing)?.wait_for(device, stream)
}

/// Waits until a device has done what it was given; nothing on the CPU.
pub fn finish(device: tch::Device) {
    if let tch::Device::Cuda(index) = device {
        tch::Cuda::synchronize(index as i64);
    }
}

/// The optional parts that this process has loaded.
pub fn parts() -> Vec<&'static str> {
    let loaded = LOADED.load(Ordering::Acquire).then_some("cuda");
    let own: &[&str] = if COMPANION.get().is_some() { &["cuda_memory", "cuda_graphs"] } else { &[] };
    loaded.into_iter().chain(own.iter().copied()).collect()
}

/// From here on libtorch has looked for CUDA and will not look again.
pub(super) fn close() {
    TOO_LATE.store(true, Ordering::Release);
}

fn attempt() -> Result<()> {
    if TOO_LATE.load(Ordering::Acquire) {
        return Err(Error::state("cuda: cannot be added after work on the CPU has begun; decide before the first job"));
    }
    open(Path::new("libcuda.so.1")).map_err(|text| device(format!("no NVIDIA driver: {text}")))?;
    let directory = library_directory().ok_or_else(|| device("libtorch was not found in this process".into()))?;
    open(&directory.join("libtorch_cuda.so")).map_err(device)?;
    let own = beside(c"libkeel_cuda.so").and_then(|path| open(&path).ok());
    if let Some(companion) = own.and_then(Companion::of) {
        COMPANION.get_or_init(|| companion);
    }
    LOADED.store(true, Ordering::Release);
    Ok(())
}

fn device(text: String) -> Error {
    Error::new(Status::Device, format!("cuda: {text}"))
}

fn open(path: &Path) -> std::result::Result<*mut c_void, String> {
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| "a path with a NUL".to_string())?;
    // SAFETY: runs the initialisers of libraries that this process is meant to load; the handle is kept for ever.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if !handle.is_null() {
        return Ok(handle);
    }
    // SAFETY: dlerror returns null or a NUL-terminated text of this thread.
    let text = unsafe {
        let text = libc::dlerror();
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    };
    Err(text.unwrap_or_else(|| format!("{} could not be loaded", path.display())))
}

/// The file of that name in the directory of the library or program that holds this code, if it is there.
fn beside(name: &CStr) -> Option<PathBuf> {
    // SAFETY: zero is a valid Dl_info, dladdr only fills it; on success dli_fname is a NUL-terminated path.
    let here = unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(load as *const () as *const c_void, &mut info) == 0 || info.dli_fname.is_null() {
            return None;
        }
        CStr::from_ptr(info.dli_fname).to_str().ok()?
    };
    let path = Path::new(here).parent()?.join(name.to_str().ok()?);
    path.exists().then_some(path)
}

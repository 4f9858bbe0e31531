//! libkeel_cuda.so, the part of keel that is linked to libtorch_cuda: looked up, never needed.
//!
//! A library of another interface is left alone, as if it were not there.

use crate::error::{Error, Result, Status};
use libc::c_void;
use std::ffi::{c_char, CStr};

/// `keel_cuda_interface` of the library that this file was written for.
const INTERFACE: u32 = 3;

/// What is known of a device's memory. `free` and `total` are the device's, the rest is this process's allocator's; `cap` 0:
/// none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Memory {
    pub free: u64,
    pub total: u64,
    pub allocated: u64,
    pub peak_allocated: u64,
    pub reserved: u64,
    pub peak_reserved: u64,
    pub failed_allocations: u64,
    pub cap: u64,
}

/// A recorded piece of work, which the library keeps.
#[repr(C)]
pub(super) struct CGraph {
    _private: [u8; 0],
}

type Interface = unsafe extern "C" fn() -> u32;
type ReadMemory = unsafe extern "C" fn(i32, *mut Memory, *mut c_char, usize) -> i32;
type CapMemory = unsafe extern "C" fn(i32, u64, *mut c_char, usize) -> i32;
type WaitFor = unsafe extern "C" fn(i32, *mut c_void, *mut c_char, usize) -> i32;
type CreateGraph = unsafe extern "C" fn(i32, *mut *mut CGraph, *mut c_char, usize) -> i32;
type OnGraph = unsafe extern "C" fn(*mut CGraph, *mut c_char, usize) -> i32;
type EndGraph = unsafe extern "C" fn(*mut CGraph);

pub(super) struct Companion {
    read_memory: ReadMemory,
    cap_memory: CapMemory,
    wait_for: WaitFor,
    pub create_graph: CreateGraph,
    pub enter: OnGraph,
    pub leave: OnGraph,
    pub begin: OnGraph,
    pub end: OnGraph,
    pub replay: OnGraph,
    pub destroy: EndGraph,
}

/// The entry of that name, as a function of the type that the interface gives it.
macro_rules! entry {
    ($library:expr, $name:literal, $kind:ty) => {{
        let found = symbol($library, $name)?;
        // SAFETY: in the interface of the library, the entry has this type.
        unsafe { std::mem::transmute::<*mut c_void, $kind>(found) }
    }};
}

impl Companion {
    /// The entries of a library that was opened; `None` if it is not the one this file was written for.
    pub fn of(library: *mut c_void) -> Option<Companion> {
        let interface = entry!(library, c"keel_cuda_interface", Interface);
        // SAFETY: this entry has had this type in every version of the library.
        if unsafe { interface() } != INTERFACE {
            return None;
        }
        Some(Companion {
            read_memory: entry!(library, c"keel_cuda_read_memory", ReadMemory),
            cap_memory: entry!(library, c"keel_cuda_cap_memory", CapMemory),
            wait_for: entry!(library, c"keel_cuda_wait_for", WaitFor),
            create_graph: entry!(library, c"keel_cuda_graph_create", CreateGraph),
            enter: entry!(library, c"keel_cuda_graph_enter", OnGraph),
            leave: entry!(library, c"keel_cuda_graph_leave", OnGraph),
            begin: entry!(library, c"keel_cuda_graph_begin", OnGraph),
            end: entry!(library, c"keel_cuda_graph_end", OnGraph),
            replay: entry!(library, c"keel_cuda_graph_replay", OnGraph),
            destroy: entry!(library, c"keel_cuda_graph_destroy", EndGraph),
        })
    }

    pub fn memory(&self, device: i32) -> Result<Memory> {
        let mut memory = Memory::default();
        // SAFETY: the entry writes one Memory.
        told(device, |message, room| unsafe { (self.read_memory)(device, &mut memory, message, room) })?;
        Ok(memory)
    }

    pub fn cap_memory(&self, device: i32, bytes: u64) -> Result<()> {
        // SAFETY: plain values.
        told(device, |message, room| unsafe { (self.cap_memory)(device, bytes, message, room) })
    }

    /// What this thread gives to the device from now on waits for what the host's stream was given before.
    pub fn wait_for(&self, device: i32, stream: *mut c_void) -> Result<()> {
        // SAFETY: a stream that is none is CUDA's to refuse.
        told(device, |message, room| unsafe { (self.wait_for)(device, stream, message, room) })
    }
}

/// Runs an entry, which writes the sentence of its failure.
pub(super) fn told(device: i32, entry: impl FnOnce(*mut c_char, usize) -> i32) -> Result<()> {
    let mut message = [0; 512];
    let status = match entry(message.as_mut_ptr(), message.len()) {
        0 => return Ok(()),
        2 => Status::OutOfMemory,
        _ => Status::Device,
    };
    // SAFETY: a failed entry ends its sentence with a NUL within the room, and the buffer was all NUL before.
    let sentence = unsafe { CStr::from_ptr(message.as_ptr()) }.to_string_lossy();
    Err(Error::new(status, format!("cuda:{device}: {sentence}")))
}

fn symbol(library: *mut c_void, name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the library stays open for the life of the process.
    let found = unsafe { libc::dlsym(library, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::process::Command;

    /// What a library has beside what a test tells of: graphs that count what they are asked, in `keel_cuda_calls`.
    const REST: &str = r#"
        #include <stddef.h>
        #include <stdint.h>
        #include <stdio.h>
        #include <string.h>
        #define ENTRY(name) int32_t keel_cuda_graph_##name(void *graph, char *message, size_t capacity) { \
            char *const calls = graph; \
            strcat(calls, #name " "); \
            return strcmp(FAILING, #name) ? 0 : (snprintf(message, capacity, "no %s today", #name), 1); }
        uint32_t keel_cuda_interface(void) { return INTERFACE; }
        int32_t keel_cuda_read_memory(int32_t device, uint64_t *memory, char *message, size_t capacity) {
            if (device > 0) return snprintf(message, capacity, "no such device"), 1;
            for (int i = 0; i < 8; ++i) memory[i] = 10 + i;
            return 0;
        }
        int32_t keel_cuda_cap_memory(int32_t device, uint64_t bytes, char *message, size_t capacity) {
            return bytes < 99 ? 0 : (snprintf(message, capacity, "%llu on %d", (unsigned long long)bytes, device), 2);
        }
        int32_t keel_cuda_wait_for(int32_t device, void *stream, char *message, size_t capacity) {
            return stream ? 0 : (snprintf(message, capacity, "no stream on %d", device), 2);
        }
        char keel_cuda_calls[999];
        int32_t keel_cuda_graph_create(int32_t device, void **graph, char *message, size_t capacity) {
            if (device > 0) return snprintf(message, capacity, "no such device"), 1;
            keel_cuda_calls[0] = 0;
            *graph = keel_cuda_calls;
            return 0;
        }
        void keel_cuda_graph_destroy(void *graph) { strcat(graph, "destroy "); }
        ENTRY(enter) ENTRY(leave) ENTRY(begin) ENTRY(end) ENTRY(replay)"#;

    /// A library of this C source, opened.
    fn library(name: &str, source: &str) -> *mut c_void {
        let folder = std::env::temp_dir().join(format!("keel-companion-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (code, made) = (folder.join("library.c"), folder.join("library.so"));
        std::fs::write(&code, source).unwrap();
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&made, &code]).status().unwrap();
        assert!(compiled.success());
        let library = super::super::open(&made).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        library
    }

    /// A library without a device, whose graphs fail at one entry, and what they were asked.
    pub fn imitation(name: &str, failing: &str) -> (&'static Companion, impl Fn() -> String) {
        let library = library(name, &format!("#define FAILING \"{failing}\"\n#define INTERFACE 3\n{REST}"));
        let calls = symbol(library, c"keel_cuda_calls").unwrap();
        // SAFETY: the library holds a NUL-terminated text there, and stays open.
        let calls = move || unsafe { CStr::from_ptr(calls.cast()) }.to_str().unwrap().trim().to_string();
        (Box::leak(Box::new(Companion::of(library).unwrap())), calls)
    }

    #[test]
    fn a_library_of_the_interface_is_asked_for_memory() {
        let (companion, _) = imitation("right", "");
        let memory = companion.memory(0).unwrap();
        assert_eq!((memory.free, memory.total, memory.peak_allocated, memory.failed_allocations), (10, 11, 13, 16));
        assert_eq!(memory.cap, 17);
        companion.cap_memory(1, 98).unwrap();
        assert_eq!(companion.cap_memory(1, 99).unwrap_err().message, "cuda:1: 99 on 1");
        let error = companion.memory(1).unwrap_err();
        assert_eq!((error.status, error.message.as_str()), (Status::Device, "cuda:1: no such device"));
    }

    #[test]
    fn a_failure_keeps_its_kind() {
        let (companion, _) = imitation("stream", "");
        companion.wait_for(0, std::ptr::dangling_mut()).unwrap();
        let error = companion.wait_for(3, std::ptr::null_mut()).unwrap_err();
        assert_eq!((error.status, error.message.as_str()), (Status::OutOfMemory, "cuda:3: no stream on 3"));
    }

    #[test]
    fn a_library_of_another_interface_is_left_alone() {
        let stale = format!("#define FAILING \"\"\n#define INTERFACE 2\n{REST}");
        assert!(Companion::of(library("stale", &stale)).is_none());
        assert!(Companion::of(library("strange", "int keel_cuda_read_memory(void) { return 0; }")).is_none());
        assert!(Companion::of(library("half", "unsigned keel_cuda_interface(void) { return 3; }")).is_none());
    }
}

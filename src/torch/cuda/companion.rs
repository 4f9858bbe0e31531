//! libkeel_cuda.so, the part of keel that is linked to libtorch_cuda: looked up, never needed.
//!
//! A library of another interface is left alone, as if it were not there.

use crate::error::{Error, Result, Status};
use libc::c_void;
use std::ffi::{c_char, CStr};

/// `keel_cuda_interface` of the library that this file was written for.
const INTERFACE: u32 = 1;

/// What is known of a device's memory. `free` and `total` are the device's, the rest is this process's allocator's.
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
}

type Interface = unsafe extern "C" fn() -> u32;
type ReadMemory = unsafe extern "C" fn(i32, *mut Memory, *mut c_char, usize) -> i32;

pub(super) struct Companion {
    read_memory: ReadMemory,
}

impl Companion {
    /// The entries of a library that was opened; `None` if it is not the one this file was written for.
    pub fn of(library: *mut c_void) -> Option<Companion> {
        let interface = symbol(library, c"keel_cuda_interface")?;
        // SAFETY: this entry has had this type in every version of the library.
        let found = unsafe { std::mem::transmute::<*mut c_void, Interface>(interface)() };
        if found != INTERFACE {
            return None;
        }
        let read_memory = symbol(library, c"keel_cuda_read_memory")?;
        // SAFETY: in the interface that was just verified, the entry has this type.
        let read_memory = unsafe { std::mem::transmute::<*mut c_void, ReadMemory>(read_memory) };
        Some(Companion { read_memory })
    }

    pub fn memory(&self, device: i32) -> Result<Memory> {
        let (mut memory, mut message) = (Memory::default(), [0; 512]);
        // SAFETY: the entry writes one Memory and at most as many characters as there is room for, NUL included.
        let outcome = unsafe { (self.read_memory)(device, &mut memory, message.as_mut_ptr(), message.len()) };
        if outcome == 0 {
            return Ok(memory);
        }
        // SAFETY: a failed entry ends its sentence with a NUL, and the buffer was all NUL before.
        let sentence = unsafe { CStr::from_ptr(message.as_ptr()) }.to_string_lossy();
        Err(Error::new(Status::Device, format!("cuda:{device}: {sentence}")))
    }
}

fn symbol(library: *mut c_void, name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the library stays open for the life of the process.
    let found = unsafe { libc::dlsym(library, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

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

    #[test]
    fn a_library_of_the_interface_is_asked_for_memory() {
        let source = r#"
            #include <stdint.h>
            #include <stdio.h>
            uint32_t keel_cuda_interface(void) { return 1; }
            int32_t keel_cuda_read_memory(int32_t device, uint64_t *memory, char *message, size_t capacity) {
                if (device > 0) return snprintf(message, capacity, "no such device"), 1;
                for (int i = 0; i < 7; ++i) memory[i] = 10 + i;
                return 0;
            }"#;
        let companion = Companion::of(library("right", source)).unwrap();
        let memory = companion.memory(0).unwrap();
        assert_eq!((memory.free, memory.total, memory.peak_allocated, memory.failed_allocations), (10, 11, 13, 16));
        let error = companion.memory(1).unwrap_err();
        assert_eq!((error.status, error.message.as_str()), (Status::Device, "cuda:1: no such device"));
    }

    #[test]
    fn a_library_of_another_interface_is_left_alone() {
        let memory = "int keel_cuda_read_memory(void) { return 0; }";
        let stale = format!("unsigned keel_cuda_interface(void) {{ return 2; }} {memory}");
        assert!(Companion::of(library("stale", &stale)).is_none());
        assert!(Companion::of(library("strange", memory)).is_none());
        assert!(Companion::of(library("half", "unsigned keel_cuda_interface(void) { return 1; }")).is_none());
    }
}

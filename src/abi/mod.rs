//! The boundary: the only `extern "C"` and the only raw pointers of hosts.
//!
//! One file per C noun (`runtime`, `model`, `batch`, `session`, `job`, `actor`, `blob`) over a small kit: `guard` contains every
//! call, `handle` turns ids into objects, `slots` keeps them, `text` moves strings and arrays, `view` columns, `status` and
//! `report` fill structs, `tensor` speaks DLPack, `callback` reaches the host, `version` says what was loaded. A function
//! here checks its arguments once, calls one room and hands the result back: no arithmetic, no default, no unwrap.
//! `include/keel/keel.h` is generated from these files.

#![deny(unsafe_op_in_unsafe_fn)]
#![allow(non_camel_case_types, reason = "the types carry their C names, so that the header is generated from them")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the doc of a function is its C doc, which says what each pointer must be"
)]
#![allow(clippy::too_many_arguments, reason = "a C signature passes pointer, length and error one by one")]

#[macro_use]
mod guard;
mod handle;
mod slots;
mod text;

pub mod actor;
pub mod batch;
pub mod blob;
pub mod callback;
pub mod job;
pub mod model;
pub mod report;
pub mod runtime;
pub mod session;
pub mod status;
pub mod tensor;
pub mod version;
pub mod view;

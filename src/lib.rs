//! keel: an embeddable alignment-training runtime, one shared library and one C header.
//!
//! The path of data: a host calls [`abi`], which checks its arguments once and hands them to a [`session`]; the session
//! turns an update into a plan of slices, asks an [`algorithm`] for its loss, which calls [`math`] on what the [`model`]
//! returned, and optimises. Batches of named columns ([`data`]) come in, metrics and events ([`telemetry`]) go out.
//! [`config`] reads every JSON configuration; [`torch`] holds what tch lacks. `tests/architecture.rs` keeps the rooms apart.

// shapes stand in square brackets, [B, T], which rustdoc takes for links
#![allow(rustdoc::broken_intra_doc_links)]

pub mod abi;
pub mod algorithm;
pub mod config;
pub mod data;
pub mod error;
pub mod kernel;
pub mod math;
pub mod model;
pub mod session;
pub mod telemetry;
pub mod torch;

//! Every JSON configuration of keel: its types, its strict reader, its schema.
//!
//! A host hands a configuration over as UTF-8 JSON; [`parse`] reads it strictly and checks it against the JSON Schema that
//! is made from the Rust types here, so that the ranges, the descriptions and the messages have one source. Defaults live
//! in the `Default` of each type and nowhere else. This room knows no tensor and no other room; what a setting does is
//! decided by whoever receives the parsed type.

mod create;
mod device;
mod expect;
mod generate;
mod load;
mod optimizer;
mod pointer;
mod runtime;
mod strict;
mod validate;

pub use create::{Create, Initialization};
pub use device::{device, device_schema, DeviceName};
pub use generate::Generate;
pub use load::{Dtype, Load};
pub use optimizer::{Optimizer, Schedule};
pub use runtime::{CudaPolicy, Runtime};

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

/// A configuration read from JSON; no text, or an empty one, means `{}`: all defaults.
///
/// Errors are [`Status::Config`](crate::error::Status::Config) and begin with the JSON pointer of the value at fault.
pub fn parse<T: DeserializeOwned + JsonSchema>(text: Option<&[u8]>) -> Result<T> {
    let value = strict::read(text.filter(|text| !text.is_empty()).unwrap_or(b"{}"))?;
    validate::check(&schema::<T>(), &value)?;
    serde_json::from_value(value).map_err(|error| Error::config(format!("the configuration: {error}")))
}

/// The JSON Schema (draft 2020-12) of a configuration, made from its Rust type.
pub fn schema<T: JsonSchema>() -> serde_json::Value {
    schemars::schema_for!(T).to_value()
}

#[cfg(test)]
mod tests;

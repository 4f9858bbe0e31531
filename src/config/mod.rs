//! Every JSON configuration of keel: its types, its strict reader, its schema.
//!
//! A host hands a configuration over as UTF-8 JSON; [`parse`] reads it strictly and checks it against the JSON Schema that
//! is made from the Rust types here, so that the ranges, the descriptions and the messages have one source. Defaults live
//! in the `Default` of each type and nowhere else. This room knows no tensor and no other room; what a setting does is
//! decided by whoever receives the parsed type.

mod actor;
mod control;
mod control_reward;
mod create;
mod device;
mod expect;
mod generate;
mod live;
mod load;
mod optimizer;
mod pointer;
mod preset;
mod runtime;
mod strict;
mod validate;

pub use actor::Actor;
pub use control::{
    Action, Activation, Control, Core, Deviation, Distribution, Draw, Filter, Observation, Script, ValueNetwork,
};
pub use control_reward::ControlReward;
pub use create::{Create, Initialization};
pub use device::{device, device_schema, DeviceName};
pub use generate::Generate;
pub use live::change;
pub use load::{Dtype, Load};
pub use optimizer::{Optimizer, Schedule};
pub use preset::Preset;
pub use runtime::{CudaPolicy, LearnerThreads, Memory, Priority, Runtime};

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A configuration read from JSON; no text, or an empty one, means `{}`: all defaults.
///
/// Errors are [`Status::Config`](crate::error::Status::Config) and begin with the JSON pointer of the value at fault.
pub fn parse<T: DeserializeOwned + JsonSchema>(text: Option<&[u8]>) -> Result<T> {
    parse_over(text, |_| "{}")
}

/// The same where what the text leaves out is found in another JSON object, which the text decides on.
pub fn parse_over<T: DeserializeOwned + JsonSchema>(
    text: Option<&[u8]>,
    defaults: impl FnOnce(&Value) -> &'static str,
) -> Result<T> {
    let mut value = strict::read(text.filter(|text| !text.is_empty()).unwrap_or(b"{}"))?;
    let defaults = strict::read(defaults(&value).as_bytes())?;
    fill_in(&mut value, &defaults);
    validate::check(&schema::<T>(), &value)?;
    serde_json::from_value(value).map_err(|error| Error::config(format!("the configuration: {error}")))
}

/// Adds to an object, and to the objects in it, what it lacks; anything else, and what is of another `type`, stays as it is.
fn fill_in(value: &mut Value, defaults: &Value) {
    let (Some(own), Some(defaults)) = (value.as_object_mut(), defaults.as_object()) else { return };
    if own.get("type").is_some_and(|kind| defaults.get("type").is_some_and(|other| kind != other)) {
        return;
    }
    for (key, default) in defaults {
        match own.get_mut(key) {
            Some(found) => fill_in(found, default),
            None => _ = own.insert(key.clone(), default.clone()),
        }
    }
}

/// The JSON Schema (draft 2020-12) of a configuration, made from its Rust type.
pub fn schema<T: JsonSchema>() -> serde_json::Value {
    schemars::schema_for!(T).to_value()
}

#[cfg(test)]
mod tests;

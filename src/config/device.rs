//! The name of a device: `cpu`, `cuda` or `cuda:N`.

use crate::error::{Error, Result};
use schemars::{json_schema, Schema, SchemaGenerator};

/// A device as a configuration names it; whether it exists is for the runtime to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceName {
    Cpu,
    Cuda(usize),
}

/// The device that a text names; `cuda` is the first one.
pub fn device(text: &str) -> Result<DeviceName> {
    let index = match text {
        "cpu" => return Ok(DeviceName::Cpu),
        "cuda" => return Ok(DeviceName::Cuda(0)),
        other => other.strip_prefix("cuda:").filter(|index| index.bytes().all(|byte| byte.is_ascii_digit())),
    };
    let index = index.and_then(|index| index.parse::<u8>().ok());
    let index = index.ok_or_else(|| {
        Error::config(format!("expected a device, \"cpu\", \"cuda\" or \"cuda:0\" to \"cuda:255\", got {text:?}"))
    })?;
    Ok(DeviceName::Cuda(index.into()))
}

/// The schema of a field that holds the name of a device.
pub fn device_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "device", "pattern": "^(cpu|cuda|cuda:[0-9]{1,3})$" })
}

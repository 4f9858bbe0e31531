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
    json_schema!({ "type": "string", "format": "device" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_the_cpu_or_a_numbered_gpu() {
        assert_eq!(device("cpu"), Ok(DeviceName::Cpu));
        assert_eq!(device("cuda"), Ok(DeviceName::Cuda(0)));
        assert_eq!(device("cuda:17"), Ok(DeviceName::Cuda(17)));
        for text in ["", "CPU", "cuda:", "cuda:-1", "cuda:+1", "cuda:256", "cuda: 1", "cuda:٣", "mps", "cpu:0"] {
            assert!(device(text).is_err(), "{text}");
        }
    }
}

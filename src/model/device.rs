//! Where tensors live: the name in a configuration turned into a device that exists.

use crate::config::{self, DeviceName};
use crate::error::{Error, Result, Status};
use crate::torch;
use tch::Device;

/// `"cpu"` or `"cuda:N"` as a device; `Device` if this process has no such one.
pub fn resolve(text: &str) -> Result<Device> {
    match config::device(text)? {
        DeviceName::Cpu => Ok(Device::Cpu),
        DeviceName::Cuda(index) if !torch::cuda::available() => Err(Error::new(
            Status::Device,
            format!("device: \"cuda:{index}\" needs CUDA, which this process has not loaded or finds no driver for"),
        )),
        DeviceName::Cuda(index) if index as i64 >= torch::cuda::device_count() => Err(Error::new(
            Status::Device,
            format!("device: \"cuda:{index}\" is not one of the {} found", torch::cuda::device_count()),
        )),
        DeviceName::Cuda(index) => Ok(Device::Cuda(index)),
    }
}

/// The name of a device in configurations.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_string(),
    }
}

//! DLPack across the boundary: a tensor in becomes a column, a column becomes a tensor out.

use crate::data::{Column, Values};
use crate::error::{Error, Result, Status};
use crate::torch::dlpack;
use std::ffi::c_void;
use tch::{Device, Kind, Tensor};

pub use crate::torch::dlpack::DLManagedTensorVersioned;

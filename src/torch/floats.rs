//! The numbers of a tensor as a slice, for arithmetic that is not libtorch's.

use crate::error::{Error, Result};
use tch::{Device, Kind, Tensor};

/// The elements of a contiguous f32 tensor on the CPU, to read and write. The borrow keeps the tensor from being used
/// meanwhile; views of its storage are the caller's to leave alone.
pub fn floats(tensor: &mut Tensor) -> Result<&mut [f32]> {
    if tensor.f_kind()? != Kind::Float || tensor.device() != Device::Cpu || !tensor.is_contiguous() {
        return Err(Error::shape(format!("tensor: expected contiguous f32 on the CPU, got {tensor:?}")));
    }
    let count = tensor.numel();
    if count == 0 {
        return Ok(&mut []);
    }
    // SAFETY: the storage holds `count` f32 in a row from data_ptr on, aligned by libtorch's allocator, and lives as long as
    // the tensor that is borrowed.
    Ok(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), count) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_in_the_tensor() {
        let mut tensor = Tensor::zeros([2, 2], (Kind::Float, Device::Cpu));
        floats(&mut tensor).unwrap()[3] = 7.0;
        assert_eq!(tensor.double_value(&[1, 1]), 7.0);
        assert!(floats(&mut tensor.transpose(0, 1)).is_err());
        assert!(floats(&mut tensor.to_kind(Kind::Double)).is_err());
    }
}

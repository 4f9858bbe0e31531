//! Tensors over memory that belongs to somebody else: a mapped file, a host's buffer. Zero-copy; the owner lives as
//! long as the last view.

use super::foreign;
use crate::error::{Error, Result};
use libc::c_void;
use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};
use tch::{Device, Kind, Tensor};

/// A tensor of `shape` over the contiguous elements at `pointer`; `owner` is dropped, on whatever thread that happens,
/// when the last tensor over this memory dies, or before this call fails.
///
/// Errors: a type without a place in memory here, a negative extent, a size beyond the address space, a pointer not
/// aligned to the element.
///
/// # Safety
/// `pointer` must address the elements of `shape` for as long as `owner` lives, and nobody may write them while a
/// tensor over them is read. If a tensor over them is written, they must be writable.
pub unsafe fn external(pointer: *mut u8, shape: &[i64], kind: Kind, owner: Box<dyn Any + Send>) -> Result<Tensor> {
    // SAFETY: the caller's promise; these strides are the contiguous ones.
    unsafe { strided(pointer, shape, &contiguous(shape), kind, Device::Cpu, owner) }
}

/// The strides, in elements, of a contiguous tensor.
pub(super) fn contiguous(shape: &[i64]) -> Vec<i64> {
    let mut strides = vec![1i64; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis].max(1));
    }
    strides
}

/// As [`external`], with a stride in elements for each axis, on the CPU or a CUDA device.
///
/// # Safety
/// As [`external`], for every element that the strides reach.
pub(super) unsafe fn strided(
    pointer: *mut u8,
    shape: &[i64],
    strides: &[i64],
    kind: Kind,
    device: Device,
    owner: Box<dyn Any + Send>,
) -> Result<Tensor> {
    let size = kind.elt_size_in_bytes() as i64;
    let Some(elements) = reach(shape, strides).filter(|&reach| reach.checked_mul(size).is_some()) else {
        return Err(Error::shape(format!("memory of shape {shape:?} with strides {strides:?} cannot exist")));
    };
    if elements > 0 && (pointer.is_null() || !(pointer as usize).is_multiple_of(size as usize)) {
        return Err(Error::argument(format!("data: expected memory aligned to {size} bytes, got {pointer:?}")));
    }
    let code = type_code(kind)?;
    let cuda = if let Device::Cuda(index) = device { index as i32 } else { -1 };
    let owner = Box::into_raw(Box::new(owner)).cast::<c_void>();
    // SAFETY: the caller vouches for the memory; the shim owns `owner` from here on and releases it exactly once.
    foreign::tensor(|output, failure| unsafe {
        let (sizes, steps) = (shape.as_ptr(), strides.as_ptr());
        foreign::shim_external(pointer.cast(), sizes, steps, shape.len(), code, cuda, owner, release, output, failure)
    })
}

/// How many elements lie between the first and the last one of such a tensor, if they can exist at all. libtorch ends
/// the process where this overflows, so it is settled before.
fn reach(shape: &[i64], strides: &[i64]) -> Option<i64> {
    if shape.len() != strides.len() || shape.iter().chain(strides).any(|&value| value < 0) {
        return None;
    }
    shape.iter().try_fold(1i64, |total, &extent| total.checked_mul(extent.max(1)))?;
    if shape.contains(&0) {
        return Some(0);
    }
    let steps = shape.iter().zip(strides);
    steps.map(|(extent, stride)| (extent - 1).checked_mul(*stride)).try_fold(1i64, |last, step| last.checked_add(step?))
}

/// Drops the owner. A panic of its destructor ends here: the caller is a C++ destructor.
extern "C" fn release(owner: *mut c_void) {
    // SAFETY: made by `Box::into_raw` in `strided`, and the shim calls this once.
    let owner = unsafe { Box::from_raw(owner.cast::<Box<dyn Any + Send>>()) };
    let _ = catch_unwind(AssertUnwindSafe(move || drop(owner)));
}

/// The number of libtorch's ScalarType.
fn type_code(kind: Kind) -> Result<i32> {
    Ok(match kind {
        Kind::Uint8 => 0,
        Kind::Int8 => 1,
        Kind::Int16 => 2,
        Kind::Int => 3,
        Kind::Int64 => 4,
        Kind::Half => 5,
        Kind::Float => 6,
        Kind::Double => 7,
        Kind::Bool => 11,
        Kind::BFloat16 => 15,
        other => return Err(Error::argument(format!("type: {other:?} has no place in foreign memory"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Status;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;

    struct Owner(Arc<AtomicUsize>, Vec<f32>);

    impl Drop for Owner {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn owned(values: Vec<f32>) -> (Arc<AtomicUsize>, *mut u8, Box<Owner>) {
        let drops = Arc::new(AtomicUsize::new(0));
        let mut owner = Box::new(Owner(drops.clone(), values));
        let pointer = owner.1.as_mut_ptr().cast();
        (drops, pointer, owner)
    }

    #[test]
    fn the_owner_dies_with_the_last_view_and_once() {
        let (drops, pointer, owner) = owned(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        // SAFETY: the owner holds these six floats.
        let tensor = unsafe { external(pointer, &[2, 3], Kind::Float, owner) }.unwrap();
        assert_eq!(tensor.data_ptr().cast::<u8>(), pointer);
        assert_eq!(tensor.double_value(&[1, 0]), 4.0);
        let view = tensor.select(0, 1).view([3, 1]);
        drop(tensor);
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        assert_eq!(view.double_value(&[2, 0]), 6.0);
        drop(view);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn nothing_of_it_is_nothing_but_still_owned() {
        let (drops, _, owner) = owned(vec![]);
        // SAFETY: no element is read.
        let tensor = unsafe { external(std::ptr::null_mut(), &[0, 3], Kind::Float, owner) }.unwrap();
        assert_eq!(tensor.size(), [0, 3]);
        drop(tensor);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_refused_call_drops_the_owner_once() {
        let cases: [(usize, &[i64], Kind, Status); 5] = [
            (0, &[-1], Kind::Float, Status::Shape),
            (0, &[i64::MAX, 2], Kind::Float, Status::Shape),
            (0, &[i64::MAX / 4], Kind::Double, Status::Shape),
            (1, &[2], Kind::Float, Status::InvalidArgument),
            (0, &[1], Kind::ComplexFloat, Status::InvalidArgument),
        ];
        for (shift, shape, kind, status) in cases {
            let (drops, pointer, owner) = owned(vec![0.0; 4]);
            // SAFETY: refused before a byte is read.
            let refused = unsafe { external(pointer.wrapping_add(shift), shape, kind, owner) };
            assert_eq!(refused.unwrap_err().status, status, "{shape:?}");
            assert_eq!(drops.load(Ordering::SeqCst), 1, "{shape:?}");
        }
    }

    #[test]
    fn strides_that_no_memory_holds_are_refused_before_libtorch_sees_them() {
        let cases: [(&[i64], &[i64]); 5] =
            [(&[2], &[-1]), (&[3], &[i64::MAX]), (&[2, 2], &[i64::MAX, 2]), (&[3], &[i64::MAX / 4]), (&[2], &[1, 1])];
        for (shape, strides) in cases {
            let (drops, pointer, owner) = owned(vec![0.0; 4]);
            // SAFETY: refused before a byte is read.
            let refused = unsafe { strided(pointer, shape, strides, Kind::Float, Device::Cpu, owner) };
            assert_eq!(refused.unwrap_err().status, Status::Shape, "{shape:?} {strides:?}");
            assert_eq!(drops.load(Ordering::SeqCst), 1);
        }
        assert_eq!(reach(&[2, 3], &[3, 1]), Some(6));
        assert_eq!(reach(&[2, 3], &[10, 2]), Some(15));
        assert_eq!(reach(&[5], &[0]), Some(1));
    }

    #[test]
    fn a_panicking_owner_does_not_cross_into_libtorch() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("owner");
            }
        }
        let mut value = 1.0f32;
        // SAFETY: `value` outlives the tensor.
        drop(unsafe { external((&raw mut value).cast(), &[1], Kind::Float, Box::new(Bomb)) }.unwrap());
    }
}

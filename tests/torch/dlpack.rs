//! DLPack: nothing is copied, and the deleter is called exactly once whatever happens.

use super::*;
use keel::error::Status;
use keel::torch::dlpack::{export, import, DLManagedTensorVersioned, DLTensor};
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A host's tensor: two rows of three floats, and how often its deleter was called.
struct Host {
    data: [f32; 6],
    shape: [i64; 2],
    strides: [i64; 2],
    deleted: AtomicUsize,
}

unsafe extern "C" fn count_deletion(managed: *mut DLManagedTensorVersioned) {
    // SAFETY: the tests keep host and tensor alive beyond every deletion.
    unsafe { (*(*managed).manager_context.cast::<Host>()).deleted.fetch_add(1, Ordering::SeqCst) };
}

impl Host {
    fn new() -> Box<Host> {
        let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        Box::new(Host { data, shape: [2, 3], strides: [3, 1], deleted: AtomicUsize::new(0) })
    }

    fn managed(&mut self) -> DLManagedTensorVersioned {
        let tensor = DLTensor {
            data: self.data.as_mut_ptr().cast(),
            device_type: 1,
            device_id: 0,
            dimensions: 2,
            code: 2,
            bits: 32,
            lanes: 1,
            shape: self.shape.as_mut_ptr(),
            strides: self.strides.as_mut_ptr(),
            byte_offset: 0,
        };
        let manager_context = std::ptr::from_mut(self).cast::<c_void>();
        DLManagedTensorVersioned {
            major: 1,
            minor: 0,
            manager_context,
            deleter: Some(count_deletion),
            flags: 0,
            tensor,
        }
    }

    fn deleted(&self) -> usize {
        self.deleted.load(Ordering::SeqCst)
    }
}

#[test]
fn a_tensor_goes_out_and_comes_back_without_a_copy() {
    let source = normal(1, &[4, 6], 1.0).set_requires_grad(true);
    let part = source.narrow(1, 2, 3);
    let expected = bits(&part);
    let managed = export(&part).unwrap();
    let pointer = part.data_ptr();
    drop((part, source));
    // SAFETY: just exported, given away here.
    let back = unsafe { import(managed) }.unwrap();
    assert_eq!((back.data_ptr(), back.size(), back.requires_grad()), (pointer, vec![4, 3], false));
    assert_eq!(bits(&back), expected);
}

#[test]
fn the_deleter_waits_for_the_last_view() {
    let mut host = Host::new();
    let mut managed = host.managed();
    managed.tensor.byte_offset = 4;
    host.shape = [2, 2];
    // SAFETY: host and tensor outlive every view.
    let tensor = unsafe { import(&mut managed) }.unwrap();
    let column = tensor.select(1, 1);
    assert_eq!(values(&tensor), [2.0, 3.0, 5.0, 6.0]);
    drop(tensor);
    assert_eq!(host.deleted(), 0);
    assert_eq!(values(&column), [3.0, 6.0]);
    drop(column);
    assert_eq!(host.deleted(), 1);
}

#[test]
fn no_strides_mean_contiguous_and_no_deleter_is_no_duty() {
    let mut host = Host::new();
    let mut managed = host.managed();
    (managed.tensor.strides, managed.deleter) = (std::ptr::null_mut(), None);
    // SAFETY: host and tensor outlive every view.
    let tensor = unsafe { import(&mut managed) }.unwrap();
    assert_eq!(tensor.stride(), [3, 1]);
    assert_eq!(values(&tensor.get(1)), [4.0, 5.0, 6.0]);
}

#[test]
fn read_only_memory_is_copied_and_let_go() {
    let mut host = Host::new();
    let mut managed = host.managed();
    managed.flags = 1;
    // SAFETY: host and tensor outlive the call, and nothing of them is used after it.
    let tensor = unsafe { import(&mut managed) }.unwrap();
    assert_eq!(host.deleted(), 1);
    let _ = tensor.shallow_clone().zero_();
    assert_eq!(host.data, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}

#[test]
fn every_refusal_calls_the_deleter_once() {
    type Spoil = fn(&mut DLManagedTensorVersioned, &mut Host);
    let refusals: [(Spoil, Status, &str); 12] = [
        (|managed, _| managed.major = 2, Status::Version, "expected DLPack version 1, got 2"),
        (|managed, _| managed.tensor.device_type = 2, Status::Device, "expected CPU memory, got DLPack device 2"),
        (|managed, _| managed.tensor.bits = 24, Status::InvalidArgument, "DLPack type 2, 24 bits"),
        (|managed, _| managed.tensor.lanes = 4, Status::InvalidArgument, "32 bits × 4"),
        (|managed, _| managed.tensor.dimensions = -1, Status::Shape, "0 to 64 axes, got -1"),
        (|managed, _| managed.tensor.dimensions = 65, Status::Shape, "0 to 64 axes, got 65"),
        (|managed, _| managed.tensor.shape = std::ptr::null_mut(), Status::Shape, "expected a shape"),
        (|_, host| host.shape[0] = -2, Status::Shape, "negative extent in [-2, 3]"),
        (|_, host| host.strides[1] = -1, Status::Shape, "negative stride in [3, -1]"),
        (|_, host| host.strides[0] = i64::MAX / 2, Status::Shape, "cannot exist"),
        (|managed, _| managed.tensor.byte_offset = 2, Status::InvalidArgument, "aligned to 4 bytes"),
        (|managed, _| managed.tensor.data = std::ptr::null_mut(), Status::InvalidArgument, "aligned to 4 bytes"),
    ];
    for (spoil, status, sentence) in refusals {
        let mut host = Host::new();
        let mut managed = host.managed();
        spoil(&mut managed, &mut host);
        // SAFETY: refused before an element is read.
        let error = unsafe { import(&mut managed) }.unwrap_err();
        assert!(error.status == status && error.message.contains(sentence), "{error:?}");
        assert_eq!(host.deleted(), 1, "{sentence}");
    }
    // SAFETY: null is refused.
    assert_eq!(unsafe { import(std::ptr::null_mut()) }.unwrap_err().status, Status::NullPointer);
}

#[test]
fn every_type_keeps_its_name() {
    let kinds = [
        Kind::Uint8,
        Kind::Int8,
        Kind::Int16,
        Kind::Int,
        Kind::Int64,
        Kind::Half,
        Kind::Float,
        Kind::Double,
        Kind::BFloat16,
        Kind::Bool,
    ];
    for kind in kinds {
        let source = Tensor::from_slice(&[0i64, 1, 3]).to_kind(kind);
        // SAFETY: just exported, given away here.
        let back = unsafe { import(export(&source).unwrap()) }.unwrap();
        assert_eq!((back.kind(), back.data_ptr()), (kind, source.data_ptr()));
        assert_eq!(values(&back), values(&source));
    }
}

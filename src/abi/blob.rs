//! The C noun `blob`: a large result, read through a view.

use super::handle::{self, Noun, Type};
use super::status::{keel_error, keel_status};
use super::text::Out;

/// Bytes that keel made. Made by keel_session_export.
pub type keel_blob = u64;

pub(super) struct Blob(pub Vec<u8>);

impl Noun for Blob {
    const TYPE: Type = Type::Blob;
}

/// A view of the bytes.
///
/// blob: borrowed; the view is valid until it is destroyed. data: out, *size bytes. size: out. error: nullable.
/// Threads: any. Status: no others. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_blob_data(
    blob: keel_blob,
    data: *mut *const u8,
    size: *mut usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let (data, size) = (Out::required("data", data)?, Out::required("size", size)?);
        let blob = handle::get::<Blob>("blob", blob)?;
        data.write(blob.0.as_ptr());
        size.write(blob.0.len());
        Ok(())
    })
}

/// Ends the handle and its view.
///
/// blob: 0 and what was destroyed before are ignored. Threads: any; never waits. Status: none, cannot fail. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_blob_destroy(blob: keel_blob) {
    guard!(or(), { handle::retire::<Blob>(blob) })
}

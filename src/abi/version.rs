//! What was loaded: the version of the ABI and of the library, where they lie, and the handshake with the host's
//! header.

use super::status::{keel_error, keel_status};
use super::text;
use crate::error::{Error, Result, Status};
use crate::torch;
use serde_json::{json, Value};
use std::ffi::{c_char, c_void, CStr, OsStr};
use std::os::unix::ffi::OsStrExt;

/// The ABI that this header describes: major << 16 | minor. Give it to keel_runtime_create.
pub const KEEL_ABI_VERSION: u32 = 1;

/// The ABI that the loaded library speaks: major << 16 | minor.
///
/// Threads: any. Status: none, cannot fail. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_abi_version() -> u32 {
    guard!(or KEEL_ABI_VERSION, { KEEL_ABI_VERSION })
}

/// The version of the loaded library, e.g. "0.1.0".
///
/// The result is a constant of the library: never NULL, not to be freed. Threads: any. Status: none, cannot fail.
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_version() -> *const c_char {
    guard!(or c"".as_ptr(), { VERSION.as_ptr().cast() })
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// What was loaded, as JSON: versions of keel, of its ABI and of the libtorch that it was compiled against, the build's
/// profile, the optional parts and the devices that the process has loaded, and the absolute paths of the libraries.
///
/// buffer: room for capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without a NUL, nullable.
/// error: nullable. Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_build_info(
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, { text::write(&build_info().to_string(), buffer, capacity, needed) })
}

fn build_info() -> Value {
    let keel = library_of(build_info as *const c_void);
    let cuda = (0..torch::cuda::device_count()).map(|index| format!("cuda:{index}"));
    let devices: Vec<String> = std::iter::once("cpu".to_string()).chain(cuda).collect();
    let libtorch = torch::library_directory().map(|path| path.display().to_string());
    json!({
        "keel": env!("CARGO_PKG_VERSION"),
        "abi": format!("{}.{}", KEEL_ABI_VERSION >> 16, KEEL_ABI_VERSION & 0xffff),
        "libtorch": torch::version(),
        "profile": if cfg!(debug_assertions) { "dev" } else { "release" },
        "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        "features": torch::cuda::parts(),
        "devices": devices,
        "library": keel,
        "libtorch_directory": libtorch,
    })
}

/// The absolute path of the shared library, or program, that holds an address.
fn library_of(address: *const c_void) -> Option<String> {
    // SAFETY: Dl_info is plain data; dladdr only looks the address up and fills it.
    let name = unsafe {
        let mut found: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(address, &mut found) == 0 || found.dli_fname.is_null() {
            return None;
        }
        CStr::from_ptr(found.dli_fname)
    };
    let path = std::path::Path::new(OsStr::from_bytes(name.to_bytes()));
    Some(path.canonicalize().unwrap_or_else(|_| path.to_path_buf()).display().to_string())
}

/// Refuses a host whose header describes another ABI: until 1.0 any other, from then on another major or a newer minor.
pub(super) fn handshake(header: u32) -> Result<()> {
    let (major, minor) = (header >> 16, header & 0xffff);
    let (own_major, own_minor) = (KEEL_ABI_VERSION >> 16, KEEL_ABI_VERSION & 0xffff);
    if major == own_major && (minor == own_minor || major > 0 && minor < own_minor) {
        return Ok(());
    }
    let message = format!(
        "header_abi: the host was compiled against keel.h with ABI {major}.{minor}, this library speaks \
         {own_major}.{own_minor}; compile the host against this library's header"
    );
    Err(Error::new(Status::Version, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_header_is_accepted_before_one() {
        assert_eq!(handshake(KEEL_ABI_VERSION), Ok(()));
        let error = handshake(2 << 16 | 7).unwrap_err();
        assert_eq!(error.status, Status::Version);
        assert!(error
            .message
            .starts_with("header_abi: the host was compiled against keel.h with ABI 2.7, this library speaks 0.1;"));
        assert!(handshake(0).is_err());
        assert!(handshake(2).is_err());
    }

    #[test]
    fn the_paths_of_what_is_loaded_are_absolute() {
        let info = build_info();
        assert!(info["library"].as_str().unwrap().starts_with('/'));
        assert_eq!(info["keel"], "0.1.0");
        assert!(info["libtorch"].as_str().unwrap().starts_with("2."), "{info}");
        assert_eq!((&info["devices"][0], info["features"].is_array()), (&json!("cpu"), true));
    }
}

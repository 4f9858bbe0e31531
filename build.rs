//! Link arguments of libkeel and of everything else that cargo links here.
//!
//! The arguments are chosen so that a host finds libtorch beside libkeel without an environment variable, sees only
//! `keel_*`, and cannot unload what libtorch's threads still run. It refuses to choose a libtorch: `tools/setup` does.

use std::path::{Path, PathBuf};

const SONAME: &str = "libkeel.so.0";
const BESIDE_THE_LIBRARY: &str = "$ORIGIN:$ORIGIN/torch/lib:$ORIGIN/../torch/lib";
const IN_THE_CHECKOUT: &str = "$ORIGIN/../libtorch/torch/lib:$ORIGIN/../../libtorch/torch/lib";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    link_arguments();
    link_soname();
}

/// SONAME and RUNPATH of the library, its exports held to `keel_*`, and a RUNPATH for tests, examples and benchmarks.
fn link_arguments() {
    for argument in [
        &format!("-Wl,-soname,{SONAME}"),
        &format!("-Wl,-rpath,{BESIDE_THE_LIBRARY}"),
        "-Wl,--exclude-libs,ALL",
        "-Wl,-z,nodelete",
        "-Wl,-z,defs",
    ] {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
    // Not `-tests`: that leaves out the unit tests of the library.
    println!("cargo:rustc-link-arg=-Wl,-rpath,{IN_THE_CHECKOUT}");
    println!("cargo:rustc-link-arg=-Wl,--enable-new-dtags");
    println!("cargo:rustc-link-arg=-Wl,--as-needed");
}

/// A host is linked to the plain name and looks for the SONAME when it runs, so both lie in the build directory.
fn link_soname() {
    let directory = profile_directory().expect("OUT_DIR lies in a directory named after the profile");
    let link = directory.join(SONAME);
    if !link.is_symlink() {
        std::os::unix::fs::symlink("libkeel.so", link).expect("the build directory is writable");
    }
}

fn profile_directory() -> Option<PathBuf> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR")?);
    let profile = std::env::var("PROFILE").ok()?;
    out.ancestors().find(|directory| directory.ends_with(&profile)).map(Path::to_path_buf)
}

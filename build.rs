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
    compile_shim();
}

/// SONAME and RUNPATH of the library, its exports held to `keel_*`, and a RUNPATH for tests, examples and benchmarks.
fn link_arguments() {
    for argument in [
        &format!("-Wl,-soname,{SONAME}"),
        &format!("-Wl,-rpath,{BESIDE_THE_LIBRARY}"),
        "-Wl,--exclude-libs,ALL",
        "-Wl,-z,nodelete",
    ] {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
    // a sanitizer's functions are the program's
    if std::env::var_os("KEEL_SHIM_FLAGS").is_none() {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,defs");
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

/// The C++ side of `src/torch`, as a static library; torch-sys says where libtorch lies.
fn compile_shim() {
    println!("cargo:rerun-if-changed=src/torch/shim");
    let library = PathBuf::from(std::env::var_os("DEP_TCH_LIBTORCH_LIB").expect("torch-sys names libtorch"));
    let include = library.parent().expect("libtorch has a parent directory").join("include");
    let source = |name: &str| format!("src/torch/shim/{name}.cpp");
    let compiler = || {
        let mut build = cc::Build::new();
        build
            .cpp(true)
            .std("c++17")
            .opt_level(3)
            .pic(true)
            .warnings(false)
            .flag("-fvisibility=hidden")
            .flag("-fopenmp");
        // tools/races instruments the shim too
        println!("cargo:rerun-if-env-changed=KEEL_SHIM_FLAGS");
        if let Ok(flags) = std::env::var("KEEL_SHIM_FLAGS") {
            build.flag(flags);
        }
        build.flag_if_supported("-Wno-psabi").flag_if_supported("-mprefer-vector-width=512");
        build.define("_GLIBCXX_USE_CXX11_ABI", "1").include(&include).include(include.join("torch/csrc/api/include"));
        build
    };
    compiler().file(source("all")).compile("keel_shim");
    compiler().file(source("throwing")).cargo_metadata(false).compile("keel_throwing");
    println!("cargo:rustc-link-search=native={}", library.display());
    println!("cargo:rustc-link-lib=dylib:+verbatim=libgomp.so.1");
}

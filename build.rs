use std::path::PathBuf;

fn main() {
    compile_shim();
}

/// The C++ side of `src/torch`, as a static library; torch-sys says where libtorch lies.
fn compile_shim() {
    println!("cargo:rerun-if-changed=build.rs");
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
        build.flag_if_supported("-Wno-psabi").flag_if_supported("-mprefer-vector-width=512");
        build.define("_GLIBCXX_USE_CXX11_ABI", "1").include(&include).include(include.join("torch/csrc/api/include"));
        build
    };
    let files = ["attention", "generator", "log_probs", "log_probs_tile", "memory", "optimizer", "process"];
    compiler().files(files.map(source)).compile("keel_shim");
    compiler().file(source("throwing")).cargo_metadata(false).compile("keel_throwing");
    println!("cargo:rustc-link-search=native={}", library.display());
    println!("cargo:rustc-link-lib=dylib:+verbatim=libgomp.so.1");
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../../libtorch/torch/lib");
}

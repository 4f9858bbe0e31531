//! The boundary's own law: every export is guarded, the header says what the library exports, and nothing but plain
//! scalars and pointers crosses. `KEEL_BLESS=1 cargo test --test abi` writes the header anew.

#[path = "abi/header.rs"]
mod header;
#[path = "abi/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_header_is_what_the_source_says() {
    let generated = header::generate(root());
    let committed = root().join("include/keel/keel.h");
    if std::env::var_os("KEEL_BLESS").is_some() {
        std::fs::write(&committed, &generated).unwrap();
    }
    let found = std::fs::read_to_string(&committed).unwrap();
    assert!(
        found == generated,
        "include/keel/keel.h is not what src/abi says; KEEL_BLESS=1 cargo test --test abi writes it"
    );
}

#[test]
fn every_export_is_one_guard() {
    let exports = source::exports(root());
    assert!(exports.len() >= 58, "only {} exports were found", exports.len());
    for export in &exports {
        assert_eq!(source::fault(&export.function), None, "{} in {}", export.name, export.file);
    }
}

#[test]
fn a_wrong_export_is_seen() {
    let cases = [
        ("pub unsafe extern \"C\" fn keel_x() -> u32 { guard!(or 0, { 1 }) }", "without #[no_mangle]"),
        ("#[no_mangle] pub extern \"C\" fn keel_x() -> u32 { guard!(or 0, { 1 }) }", "not `pub unsafe extern \"C\"`"),
        ("#[no_mangle] pub unsafe extern \"C\" fn keel_x() -> u32 { 1 }", "its body is not one guard!"),
        (
            "#[no_mangle] pub unsafe extern \"C\" fn keel_x() -> u32 { f(); guard!(or 0, { 1 }) }",
            "its body is not one guard!",
        ),
        (
            "#[no_mangle] pub unsafe extern \"C\" fn keel_x() -> u32 { guard!(or 0, { 1 }); 2 }",
            "its body is not one guard!",
        ),
        ("#[no_mangle] pub unsafe extern \"C\" fn keel_x(a: bool) { guard!(or (), {}) }", "`bool` crosses"),
        ("#[no_mangle] pub unsafe extern \"C\" fn keel_x(a: Role) { guard!(or (), {}) }", "`Role` crosses"),
        ("#[no_mangle] pub unsafe extern \"C\" fn keel_x(a: &u32) { guard!(or (), {}) }", "`& u32` crosses"),
        (
            "#[no_mangle] pub unsafe extern \"C\" fn keel_x(a: keel_report) { guard!(or (), {}) }",
            "`keel_report` crosses",
        ),
        ("#[no_mangle] pub unsafe extern \"C\" fn keel_x(a: *const bool) { guard!(or (), {}) }", "`* bool` crosses"),
        (
            "#[no_mangle] pub unsafe extern \"C\" fn keel_x(a: *mut *mut Role) { guard!(or (), {}) }",
            "`* * Role` crosses",
        ),
        ("#[no_mangle] pub unsafe extern \"C\" fn keel_x(a: c_char) { guard!(or (), {}) }", "`c_char` crosses"),
    ];
    for (text, expected) in cases {
        let function: syn::ItemFn = syn::parse_str(text).unwrap();
        assert_eq!(source::fault(&function).as_deref(), Some(expected), "{text}");
    }
    let right =
        "#[no_mangle] pub unsafe extern \"C\" fn keel_x(a: keel_job, b: *mut *const c_void, c: *mut keel_error) \
                 -> keel_status { guard!(e, {}) }";
    assert_eq!(source::fault(&syn::parse_str(right).unwrap()), None);
}

#[test]
fn every_struct_is_plain() {
    let structs = source::structs(root());
    assert!(structs.len() >= 2, "only {} structs were found", structs.len());
    for one in &structs {
        assert_eq!(source::struct_fault(one), None, "{}", one.ident);
    }
}

#[test]
fn a_wrong_struct_is_seen() {
    let cases = [
        ("pub struct keel_x { pub struct_size: u32 }", "without #[repr(C)]"),
        ("#[repr(transparent)] pub struct keel_x { pub struct_size: u32 }", "without #[repr(C)]"),
        ("#[repr(C)] pub struct keel_x { pub size: u32 }", "its first member is not struct_size"),
        ("#[repr(C)] pub struct keel_x { pub struct_size: u32, pub n: usize }", "`usize` is a member"),
        ("#[repr(C)] pub struct keel_x { pub struct_size: u32, pub p: *const f32 }", "`* f32` is a member"),
        ("#[repr(C)] pub struct keel_x { pub struct_size: u32, pub b: [bool; 4] }", "`something else` is a member"),
    ];
    for (text, expected) in cases {
        assert_eq!(source::struct_fault(&syn::parse_str(text).unwrap()).as_deref(), Some(expected), "{text}");
    }
    let right = "#[repr(C)] pub struct keel_x { pub struct_size: u32, pub text: [c_char; 8], pub share: f32 }";
    assert_eq!(source::struct_fault(&syn::parse_str(right).unwrap()), None);
}

#[test]
fn source_header_and_library_export_the_same() {
    let source: BTreeSet<String> = source::exports(root()).into_iter().map(|export| export.name).collect();
    assert_eq!(source, header::functions(root()), "source and header");
    assert_eq!(source, symbols(&library()), "source and library");
}

#[test]
fn every_function_is_documented_whole() {
    for export in source::exports(root()) {
        let doc = source::documentation(&export.function);
        for word in ["Threads: ", "Status: ", "Since 0."] {
            assert!(doc.contains(word), "{}: no {word:?} in its doc", export.name);
        }
        for parameter in source::parameters(&export.function) {
            assert!(doc.contains(&parameter), "{}: its doc does not name {parameter}", export.name);
        }
    }
}

#[test]
fn exports_stand_nowhere_but_in_the_boundary() {
    for file in source::files(&root().join("src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let inside = file.starts_with(root().join("src/abi"));
        assert!(inside || !text.contains("no_mangle") && !text.contains("export_name"), "{}", file.display());
    }
}

/// The newest libkeel.so beside this test.
fn library() -> PathBuf {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_path_buf();
    let candidates = [deps.join("libkeel.so"), deps.parent().unwrap().join("libkeel.so")];
    let built = candidates.into_iter().filter(|path| path.exists());
    built.max_by_key(|path| path.metadata().unwrap().modified().unwrap()).expect("libkeel.so was not built")
}

fn symbols(library: &Path) -> BTreeSet<String> {
    let output = Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(library).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_string).collect()
}

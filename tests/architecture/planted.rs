//! Each rule shown a text that breaks it and one that does not.

use super::source::Source;
use super::{rooms, sizes, texts, words};

/// Asserts that a rule finds exactly so many violations in a text at a path.
#[track_caller]
fn finds(rule: fn(&Source) -> Vec<String>, path: &str, text: &str, count: usize) {
    let violations = rule(&Source::new(path, text));
    assert_eq!(violations.len(), count, "{text}\n{violations:?}");
}

#[test]
fn a_room_that_may_not_be_used_is_found() {
    let rule = rooms::violations;
    let math = "src/math/loss.rs";
    finds(rule, math, "use crate::session::Session;", 1);
    finds(rule, math, "use crate::{math::gae, model::{Model, Weights}, abi};", 3);
    finds(rule, math, "fn f() { let x = crate::config::schema(); }", 1);
    finds(rule, math, "fn f() { call!(1, crate::error::Error); }", 1);
    finds(rule, math, "use super::super::session::Session;", 1);
    finds(rule, math, "mod inner { use super::super::super::model::Model; use super::super::gae; }", 1);
    finds(rule, math, "use crate::*;", 1);
    finds(rule, math, "use crate::math::gae; use super::gae; use self::inner::f; use tch::Tensor;", 0);
    finds(rule, math, "#[cfg(test)]\nmod tests { use crate::model::Model; }", 0);
    finds(rule, math, "#[cfg(test)]\nuse x::y;\nmod inner { use crate::model::Model; }", 1);
    finds(rule, "src/math/tests.rs", "use crate::model::Model;", 0);
    finds(rule, "src/session/job.rs", "use crate::math::gae;", 1);
    finds(rule, "src/session/job.rs", "use crate::abi::handle;", 1);
    finds(rule, "src/session/job.rs", "use crate::{error::Result, model::Model, torch};", 0);
    finds(rule, "src/abi/job.rs", "use crate::session::Job; use crate::math::gae; use crate::algorithm::ppo;", 2);
    finds(rule, "src/torch/mod.rs", "use crate::model::Model;", 1);
    finds(rule, "src/data/mod.rs", "use crate::config::parse;", 1);
    finds(rule, "src/model/mod.rs", "use crate::algorithm::ppo; use crate::data::Batch; use crate::session::Job;", 3);
    finds(rule, "src/unheard/mod.rs", "", 1);
    finds(rule, "src/lib.rs", "pub use crate::session::Session;", 0);
}

#[test]
fn a_method_that_uses_another_is_found() {
    let sources = [
        Source::new(
            "src/algorithm/ppo.rs",
            "pub struct Config; use super::dpo::loss; use crate::algorithm::{rows, dpo, ppo};",
        ),
        Source::new("src/algorithm/dpo.rs", "pub struct Config; use super::rows; use super::Method;"),
        Source::new("src/algorithm/rows.rs", "pub struct Rows;"),
        Source::new("src/algorithm/mod.rs", "pub struct Config; pub use self::ppo::Config;"),
    ];
    let methods = rooms::methods(&sources);
    assert_eq!(methods, ["ppo", "dpo"]);
    let counts = sources.each_ref().map(|source| rooms::between_methods(source, &methods).len());
    assert_eq!(counts, [2, 0, 0, 0]);
}

#[test]
fn a_forbidden_word_is_found() {
    let rule = words::violations;
    let anywhere = [
        "println!(\"x\");",
        "eprintln!();",
        "dbg!(x);",
        "std::process::exit(1);",
        "std::process::abort();",
        "use std::io::stdout;",
        "todo!()",
        "std::env::set_var(a, b);",
    ];
    for body in anywhere {
        finds(rule, "src/torch/mod.rs", &format!("fn f() {{ {body} }}"), 1);
        finds(rule, "src/torch/mod.rs", &format!("#[cfg(test)] mod tests {{ fn f() {{ {body} }} }}"), 1);
    }
    finds(
        rule,
        "src/torch/mod.rs",
        "//! println! abort\nfn f() { let x = \"abort println!\"; unsafe { fs::read() } }",
        0,
    );
    let cases = [
        ("math", "fn f() { let x = Tensor::randn(a, b); }"),
        ("math", "fn f(device: tch::Device) {}"),
        ("math", "fn f() { unsafe { g() } }"),
        ("math", "fn f() { std::fs::read(p); }"),
        ("algorithm", "fn f() { loss.backward(); }"),
        ("algorithm", "fn f(p: *mut c_void) {}"),
        ("data", "use std::fs::File;"),
        ("model", "use memmap2::MmapOptions;"),
        ("model", "fn f() { x.cross_entropy_loss(y); }"),
        ("session", "fn f(p: *const c_char) {}"),
        ("abi", "fn f() { x.unwrap() }"),
        ("abi", "fn f() { x.expect(\"y\") }"),
        ("kernel", "use tch::Tensor;"),
        ("telemetry", "use tch::Tensor;"),
        ("config", "use tch::Tensor;"),
        ("config", "extern \"C\" fn f() {}"),
    ];
    for (room, text) in cases {
        let path = format!("src/{room}/part.rs");
        assert!(!rule(&Source::new(&path, text)).is_empty(), "{room}: {text}");
        finds(rule, &path, &format!("#[cfg(test)]\nmod tests {{ {text} }}"), 0);
        finds(rule, "src/torch/part.rs", text, 0);
    }
    finds(rule, "src/model/weights.rs", "use std::fs::File;", 0);
    finds(rule, "src/abi/job.rs", "fn f() { x.unwrap_or(0); }", 0);
}

#[test]
fn a_shim_that_prints_or_ends_is_found() {
    for line in ["std::cerr << 1;", "printf(\"x\");", "std::abort();", "exit(1);", "std::terminate();"] {
        assert_eq!(words::in_cpp("a.cpp", line).len(), 1, "{line}");
    }
    assert_eq!(
        words::in_cpp("a.cpp", "snprintf(b, n, \"no exit\"); std::atexit(f); // exit\nstd::exception e;"),
        Vec::<String>::new()
    );
}

#[test]
fn a_changed_argument_is_found_in_mathematics() {
    let rule = words::mutable_arguments;
    finds(rule, "src/math/a.rs", "fn f(x: &mut Tensor) {}", 1);
    finds(rule, "src/math/a.rs", "impl A { fn f(&mut self) {} fn g<'a>(x: &'a mut f64) {} }", 2);
    finds(rule, "src/math/a.rs", "fn f(mut x: f64, y: &f64) -> f64 { let z = &mut x; *z }", 0);
    finds(rule, "src/math/a.rs", "#[cfg(test)] mod tests { fn f(x: &mut f64) {} }", 0);
    finds(rule, "src/model/a.rs", "fn f(x: &mut Tensor) {}", 0);
}

#[test]
fn a_name_that_says_nothing_is_found() {
    finds(words::names, "src/model/utils.rs", "", 1);
    finds(words::names, "src/common/mod.rs", "", 1);
    finds(words::names, "src/model/io_helpers.rs", "", 1);
    finds(words::names, "src/model/a.rs", "mod helper {} struct JobManager; enum BaseKind {} type Misc = u8;", 4);
    finds(words::names, "src/model/a.rs", "struct Database; fn base_rate() {} mod commons {}", 0);
}

#[test]
fn an_unguarded_export_is_found() {
    let rule = words::exports;
    let abi = "src/abi/job.rs";
    finds(rule, abi, "#[no_mangle] pub unsafe extern \"C\" fn keel_f() -> i32 { 0 }", 1);
    finds(rule, abi, "#[unsafe(no_mangle)] pub extern \"C\" fn keel_f() -> i32 { let a = 1; guard!(a) }", 1);
    finds(rule, abi, "#[export_name = \"x\"] pub extern \"C\" fn keel_f() { other!(a) }", 1);
    finds(rule, abi, "#[no_mangle] pub extern \"C\" fn keel_f() -> i32 { guard!(error, { f() }) }", 0);
    finds(rule, abi, "#[no_mangle] pub extern \"C\" fn keel_f() { guard! { f() } }", 0);
    finds(rule, "src/torch/mod.rs", "#[no_mangle] pub extern \"C\" fn keel_f() -> i32 { guard!(f()) }", 1);
    finds(rule, "src/torch/mod.rs", "extern \"C\" fn hook() {}", 0);
}

#[test]
fn what_is_too_long_is_found() {
    let lines = |count: usize| "    f();\n".repeat(count);
    let function = |count| format!("fn f() {{\n{}}}\n", lines(count));
    finds(sizes::violations, "src/model/a.rs", &function(59), 1);
    finds(sizes::violations, "src/model/a.rs", &function(58), 0);
    finds(sizes::violations, "src/model/a.rs", &format!("/// Long\n/// docs\nimpl A {{ {} }}", function(59)), 1);
    finds(sizes::violations, "src/model/a.rs", &format!("trait A {{ {} }}", function(59)), 1);
    finds(sizes::violations, "src/math/a.rs", &function(16), 1);
    finds(sizes::violations, "src/math/a.rs", &function(15), 0);
    finds(sizes::violations, "src/math/a.rs", &format!("#[cfg(test)]\nmod tests {{ {} }}", function(16)), 0);
    finds(sizes::violations, "src/model/a.rs", &"// x\n".repeat(401), 1);
    finds(sizes::violations, "src/model/a.rs", &"// x\n".repeat(400), 0);
    assert_eq!(sizes::long_median(vec![1, 151, 900]), Some(151));
    assert_eq!(sizes::long_median(vec![1, 150, 900]), None);
    assert_eq!(sizes::long_median(vec![]), None);
}

#[test]
fn a_missing_head_is_found() {
    finds(texts::head, "src/model/a.rs", "use x::y;", 1);
    finds(texts::head, "src/model/a.rs", "//! model\nuse x::y;", 1);
    finds(texts::head, "src/model/a.rs", "// The weights of a model and all that reads or writes them.\nuse x::y;", 1);
    finds(texts::head, "src/model/a.rs", "//! The weights of a model and all that reads or writes them.\nuse x::y;", 0);
}

#[test]
fn code_and_banners_in_comments_are_found() {
    for comment in ["// let x = 1;", "// fn f() {", "    // }", "// ---------", "// ==== Tests ===="] {
        finds(texts::comments, "src/model/a.rs", comment, 1);
    }
    for comment in
        ["// [B, T]", "// SAFETY: the caller keeps it alive.", "/// let x = 1;", "//! ----", "// Δ = r_c − r_r"]
    {
        finds(texts::comments, "src/model/a.rs", &format!("{comment}\nfn f() {{}}"), 0);
    }
}

#[test]
fn an_unsafe_without_a_promise_is_found() {
    let rule = texts::promises;
    let bad = [
        "fn f() { unsafe { g() } }",
        "// SAFETY: elsewhere.\nfn f() {\n    unsafe { g() }\n}",
        "fn f() {\n    // Quick.\n    unsafe { g() }\n}",
        "// SAFETY: far.\n\nunsafe impl Send for A {}",
        "/// Docs.\npub unsafe fn f() {}",
        "fn f() { m!(unsafe { g() }) }",
        "unsafe extern \"C\" { fn f(); }",
    ];
    for text in bad {
        finds(rule, "src/torch/a.rs", text, 1);
    }
    let good = [
        "fn f() {\n    // SAFETY: g has no promise.\n    unsafe { g() }\n}",
        "fn f() {\n    // SAFETY: two\n    // lines.\n    let x =\n        unsafe { g() };\n}",
        "// SAFETY: shared behind a lock.\nunsafe impl Send for A {}",
        "/// Docs.\n///\n/// # Safety\n/// The pointer lives.\n#[inline]\npub unsafe fn f() {}",
        "type Hook = unsafe extern \"C\" fn(u64) -> i32; type Plain = unsafe fn();",
        "#[unsafe(no_mangle)]\nextern \"C\" fn f() {}",
        "fn f() { let x = \"unsafe\"; }",
    ];
    for text in good {
        finds(rule, "src/torch/a.rs", text, 0);
    }
    let export = "#[no_mangle]\npub unsafe extern \"C\" fn keel_f() {}";
    finds(rule, "src/abi/a.rs", export, 0);
    finds(rule, "src/torch/a.rs", export, 1);
}

#[test]
fn a_pointer_that_a_c_doc_leaves_out_is_found() {
    let signature = "#[no_mangle]\npub unsafe extern \"C\" fn keel_f(r#type: *mut i32, rows: u64, error: *mut u8) {}";
    finds(texts::c_docs, "src/abi/a.rs", signature, 2);
    finds(texts::c_docs, "src/abi/a.rs", &format!("/// A terror: rows. type: out.\n{signature}"), 1);
    finds(texts::c_docs, "src/abi/a.rs", &format!("/// Reads.\n///\n/// type: out. error: nullable.\n{signature}"), 0);
    finds(texts::c_docs, "src/abi/a.rs", "unsafe extern \"C\" fn f(error: *mut u8) {}", 0);
}

#[test]
fn an_equation_without_a_source_is_found() {
    let rule = texts::equations;
    finds(rule, "src/math/a.rs", "/// Advantages.\npub fn f() {}", 1);
    finds(rule, "src/math/a.rs", "impl A { pub fn f() {} fn g() {} }", 1);
    finds(
        rule,
        "src/math/a.rs",
        "/// Advantages.\n///\n/// Source: Schulman et al. 2016, eq. 16.\npub fn f() {}\nfn g() {}",
        0,
    );
    finds(rule, "src/math/a.rs", "#[cfg(test)] mod tests { pub fn f() {} }", 0);
    finds(rule, "src/model/a.rs", "pub fn f() {}", 0);
}

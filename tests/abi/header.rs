//! The header, generated from `src/abi`, and read back.

use std::collections::BTreeSet;
use std::path::Path;

/// In this order the nouns stand in the header.
const FILES: [&str; 13] = [
    "status.rs",
    "version.rs",
    "runtime.rs",
    "model.rs",
    "view.rs",
    "batch.rs",
    "tensor.rs",
    "callback.rs",
    // cbindgen follows its modules
    "session/mod.rs",
    "report.rs",
    "job.rs",
    "actor.rs",
    "blob.rs",
];

pub fn generate(root: &Path) -> String {
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in FILES {
        builder = builder.with_src(root.join("src/abi").join(file));
    }
    let mut text = Vec::new();
    builder.generate().unwrap().write(&mut text);
    conventions(&String::from_utf8(text).unwrap())
}

/// What cbindgen cannot: KEEL_CALL before the name of each function and function pointer, prototypes that fill their
/// lines, parentheses around negative constants.
fn conventions(text: &str) -> String {
    let text = text.replace("(*keel_", "(KEEL_CALL *keel_");
    let mut all = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut whole = line.trim_end().to_string();
        if whole.starts_with("KEEL_API") {
            while !whole.ends_with(';') {
                whole = format!("{whole} {}", lines.next().unwrap_or(";").trim());
            }
            whole = prototype(&whole);
        }
        if let Some((name, value)) = whole.strip_prefix("#define ").and_then(|define| define.split_once(" -")) {
            whole = format!("#define {name} (-{value})");
        }
        if !(whole.is_empty() && all.ends_with("\n\n")) {
            all.push_str(&whole);
            all.push('\n');
        }
    }
    all.trim_start().to_string()
}

fn prototype(line: &str) -> String {
    let open = line.find('(').unwrap();
    let name = line[..open].rfind("keel_").unwrap();
    let mut all = format!("{}KEEL_CALL {}", &line[..name], &line[name..=open]);
    let mut width = all.len();
    for parameter in line[open + 1..].split_inclusive(", ") {
        if width + parameter.trim_end().len() > 120 {
            all = format!("{}\n    ", all.trim_end());
            width = 4;
        }
        all.push_str(parameter);
        width += parameter.len();
    }
    all
}

/// The functions that the committed header declares, each once.
pub fn functions(root: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root.join("include/keel/keel.h")).unwrap();
    let calls = text.split("KEEL_CALL keel_").skip(1).filter_map(|rest| rest.split_once('('));
    let mut all = BTreeSet::new();
    for (name, _) in calls {
        assert!(all.insert(format!("keel_{name}")), "the header declares keel_{name} twice");
    }
    all
}

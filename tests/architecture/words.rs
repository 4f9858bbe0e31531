//! Words that may not occur: in any room, in some rooms, in names; and the form of exported functions.

use super::source::Source;
use syn::visit::{self, Visit};

/// Sequences of words that no file has, tests included; `.` and `!` are words.
const NOWHERE: [&[&str]; 21] = [
    &["println", "!"],
    &["eprintln", "!"],
    &["print", "!"],
    &["eprint", "!"],
    &["dbg", "!"],
    &["todo", "!"],
    &["unimplemented", "!"],
    &["stdout"],
    &["stderr"],
    &["abort"],
    &["process", "::", "exit"],
    &["libc", "::", "exit"],
    &["libc", "::", "_exit"],
    &["libc", "::", "printf"],
    &["libc", "::", "signal"],
    &["libc", "::", "sigaction"],
    &["set_var"],
    &["remove_var"],
    &["setenv"],
    &["set_current_dir"],
    &["env_logger"],
];

const FILES: [&[&str]; 5] = [&["fs"], &["File"], &["OpenOptions"], &["memmap2"], &["Mmap"]];
const C_TYPES: [&[&str]; 6] = [&["c_void"], &["c_char"], &["c_int"], &["CStr"], &["CString"], &["libc"]];
const FOREIGN: [&[&str]; 3] = [&["unsafe"], &["extern", "\"C\""], &["torch_sys"]];
const TENSORS: [&[&str]; 2] = [&["tch"], &["torch_sys"]];
const RANDOM: [&[&str]; 8] = [
    &["rand_chacha"],
    &["randn"],
    &["rand"],
    &["randint"],
    &["multinomial"],
    &["bernoulli"],
    &["manual_seed"],
    &["randperm"],
];
const DEVICES: [&[&str]; 3] = [&["Device"], &["to_device"], &["Cuda"]];
const OPTIMIZER: [&[&str]; 6] =
    [&["fused_adamw"], &["clip_gradient"], &["set_gradient"], &["backward"], &["run_backward"], &["zero_grad"]];
const LOSSES: [&[&str]; 4] = [&["cross_entropy_loss"], &["nll_loss"], &["mse_loss"], &["kl_div"]];
const SURPRISES: [&[&str]; 3] = [&[".", "unwrap", "("], &[".", "expect", "("], &["unwrap_unchecked"]];

/// What a room's files do not have outside their tests.
fn forbidden(room: &str, stem: &str) -> Vec<&'static [&'static str]> {
    let lists: Vec<&[&'static [&'static str]]> = match room {
        "math" => vec![&FILES, &C_TYPES, &FOREIGN, &RANDOM, &DEVICES],
        "algorithm" => vec![&FILES, &C_TYPES, &FOREIGN, &OPTIMIZER],
        "data" => vec![&FILES, &C_TYPES, &FOREIGN],
        "model" if stem == "weights" => vec![&LOSSES],
        "model" => vec![&FILES, &LOSSES],
        "session" => vec![&C_TYPES],
        "abi" => vec![&SURPRISES],
        "kernel" => vec![&TENSORS],
        "telemetry" => vec![&TENSORS, &C_TYPES],
        "config" => vec![&FILES, &C_TYPES, &FOREIGN, &TENSORS],
        _ => Vec::new(),
    };
    lists.concat()
}

/// Forbidden words in a file.
pub fn violations(source: &Source) -> Vec<String> {
    let here = forbidden(source.room(), source.stem());
    let mut found = Vec::new();
    for (i, word) in source.words.iter().enumerate() {
        let local = here.iter().filter(|_| !word.test);
        if let Some(sequence) = NOWHERE.iter().chain(local).find(|sequence| source.reads(i, sequence)) {
            found.push(
                source.at(word.line, format_args!("`{}` may not occur in `{}`", sequence.concat(), source.room())),
            );
        }
    }
    found
}

/// Words in a C++ file that print, end the process or change its environment.
pub fn in_cpp(path: &str, text: &str) -> Vec<String> {
    let forbidden = [
        "cout",
        "cerr",
        "clog",
        "printf",
        "puts",
        "fprintf",
        "abort",
        "exit",
        "_exit",
        "terminate",
        "setenv",
        "signal",
    ];
    let word = |line: &str| {
        let outside_texts: String = line.split('"').step_by(2).collect::<Vec<_>>().join(" ");
        let code = outside_texts.split("//").next().unwrap_or_default();
        let mut words = code.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_');
        words.find(|word| forbidden.contains(word)).map(String::from)
    };
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(i, line)| Some(format!("{path}:{}: `{}` may not occur in the shim", i + 1, word(line)?)))
        .collect()
}

/// Functions of mathematics that take something to change.
pub fn mutable_arguments(source: &Source) -> Vec<String> {
    if source.room() != "math" || source.is_test() {
        return Vec::new();
    }
    let starts = (0..source.words.len()).filter(|i| !source.words[*i].test && source.words[*i].text == "fn");
    let mut found = Vec::new();
    for start in starts {
        let end = source.words[start..].iter().position(|word| word.text == "{" || word.text == ";").unwrap_or(0);
        let mutable = |i: usize| {
            source.reads(i, &["&", "mut"]) || (source.reads(i, &["&", "'"]) && source.reads(i + 3, &["mut"]))
        };
        if (start..start + end).any(mutable) {
            found.push(source.at(source.words[start].line, "a function of `math` takes `&mut`"));
        }
    }
    found
}

/// Modules and types whose names say nothing.
pub fn names(source: &Source) -> Vec<String> {
    let mut found: Vec<String> =
        source.path.split('/').filter_map(|part| empty_word(part.trim_end_matches(".rs"))).collect();
    let kinds = ["mod", "struct", "enum", "trait", "type"];
    for pair in source.words.windows(2).filter(|pair| kinds.contains(&pair[0].text.as_str())) {
        found.extend(empty_word(&pair[1].text));
    }
    found.iter().map(|word| source.at(1, format_args!("a name with `{word}` says nothing"))).collect()
}

/// The word of a snake or camel case name that says nothing.
fn empty_word(name: &str) -> Option<String> {
    let spaced: String =
        name.chars().flat_map(|sign| if sign.is_uppercase() { vec!['_', sign] } else { vec![sign] }).collect();
    let words = spaced.to_lowercase();
    let empty = ["util", "utils", "common", "helper", "helpers", "manager", "managers", "base", "misc"];
    let found = words.split('_').find(|word| empty.contains(word)).map(String::from);
    found
}

/// Exported functions outside the boundary, or whose body is not one call of the guard.
pub fn exports(source: &Source) -> Vec<String> {
    struct Exports<'a>(&'a Source, Vec<String>);
    impl<'ast> Visit<'ast> for Exports<'_> {
        fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
            let name = &item.sig.ident;
            let line = name.span().start().line;
            if item.attrs.iter().any(exports_a_symbol) {
                if self.0.room() != "abi" {
                    self.1.push(self.0.at(line, format_args!("`{name}` is exported outside the boundary")));
                } else if !is_guarded(&item.block) {
                    self.1.push(self.0.at(line, format_args!("the body of `{name}` is not one guard!(…)")));
                }
            }
            visit::visit_item_fn(self, item);
        }
    }
    let mut exports = Exports(source, Vec::new());
    exports.visit_file(&source.file);
    exports.1
}

/// Whether an attribute gives a function a symbol of its own.
pub fn exports_a_symbol(attribute: &syn::Attribute) -> bool {
    let inside = attribute.meta.require_list().map(|list| list.tokens.to_string()).unwrap_or_default();
    let named = |word: &str| {
        attribute.path().is_ident(word) || (attribute.path().is_ident("unsafe") && inside.starts_with(word))
    };
    named("no_mangle") || named("export_name")
}

fn is_guarded(block: &syn::Block) -> bool {
    let path = match block.stmts.as_slice() {
        [syn::Stmt::Macro(call)] => &call.mac.path,
        [syn::Stmt::Expr(syn::Expr::Macro(call), _)] => &call.mac.path,
        _ => return false,
    };
    path.segments.last().is_some_and(|segment| segment.ident.to_string().starts_with("guard"))
}

//! Source files as the rules see them: text, syntax tree, and a flat list of words with their line and module.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// One Rust file.
pub struct Source {
    /// From the root of the crate, with forward slashes: `src/math/mod.rs`.
    pub path: String,
    pub text: String,
    pub file: syn::File,
    pub words: Vec<Word>,
}

/// One identifier, literal, bracket or sign; `::` is one.
pub struct Word {
    pub text: String,
    pub line: usize,
    /// The module it stands in, from the root of the crate.
    pub module: Rc<Vec<String>>,
    pub test: bool,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut words = Vec::new();
        flatten(tokens, &Rc::new(module(path)), is_test(path), &mut words);
        Source { path: path.into(), text: text.into(), file, words }
    }

    /// The directory under `src`, or the file's own name at the top.
    pub fn room(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
    }

    /// The file's name without `.rs`.
    pub fn stem(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path).trim_end_matches(".rs")
    }

    /// Whether the whole file is compiled for tests only.
    pub fn is_test(&self) -> bool {
        is_test(&self.path)
    }

    /// A violation at a line.
    pub fn at(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// Whether the words from a position on are these.
    pub fn reads(&self, position: usize, sequence: &[&str]) -> bool {
        let words = self.words[position..].iter().map(|word| word.text.as_str());
        words.take(sequence.len()).eq(sequence.iter().copied())
    }
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn module(path: &str) -> Vec<String> {
    let inside = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    inside.split('/').filter(|part| !["mod", "lib"].contains(part)).map(String::from).collect()
}

fn flatten(tokens: TokenStream, module: &Rc<Vec<String>>, test: bool, words: &mut Vec<Word>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut gated = false;
    let mut name = None;
    for (i, token) in tokens.iter().enumerate() {
        let line = token.span().start().line;
        let mut push = |text: &str, line| words.push(Word { text: text.into(), line, module: module.clone(), test });
        match token {
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                push(open, line);
                let attribute = group.delimiter() == Delimiter::Bracket;
                gated |= attribute && group.to_string().replace(' ', "") == "[cfg(test)]";
                let entered = name.take().filter(|_| group.delimiter() == Delimiter::Brace);
                let inner = entered.map_or(module.clone(), |name| Rc::new([module.as_slice(), &[name]].concat()));
                flatten(group.stream(), &inner, test || (gated && !attribute), words);
                let end = group.span_close().end().line;
                words.push(Word { text: close.into(), line: end, module: module.clone(), test });
                gated &= group.delimiter() != Delimiter::Brace;
            }
            TokenTree::Punct(sign) if sign.as_char() == ':' && follows_colon(&tokens, i) => {
                if let Some(last) = words.last_mut() {
                    last.text.push(':');
                }
            }
            TokenTree::Punct(sign) => {
                gated &= sign.as_char() != ';';
                push(&sign.as_char().to_string(), line);
            }
            other => {
                let is_module = i > 0 && matches!(&tokens[i - 1], TokenTree::Ident(word) if word == "mod");
                name = is_module.then(|| other.to_string());
                push(&other.to_string(), line);
            }
        }
    }
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

fn follows_colon(tokens: &[TokenTree], i: usize) -> bool {
    let Some(TokenTree::Punct(before)) = i.checked_sub(1).map(|before| &tokens[before]) else { return false };
    before.as_char() == ':' && before.spacing() == proc_macro2::Spacing::Joint
}

/// Every Rust file under `src`, in order.
pub fn rust() -> Vec<Source> {
    files(&["rs"]).iter().map(|(path, text)| Source::new(path, text)).collect()
}

/// Every C++ file under `src`, in order.
pub fn cpp() -> Vec<(String, String)> {
    files(&["cpp", "h", "hpp", "cu"])
}

fn files(endings: &[&str]) -> Vec<(String, String)> {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs this test"));
    let mut found = Vec::new();
    collect(&root.join("src"), &mut found);
    found.sort();
    let wanted = |path: &&PathBuf| path.extension().is_some_and(|end| endings.iter().any(|known| end == *known));
    let read = |path: &PathBuf| {
        let inside = path.strip_prefix(&root).expect("files lie under the root");
        (inside.to_string_lossy().replace('\\', "/"), std::fs::read_to_string(path).expect("a readable source"))
    };
    found.iter().filter(wanted).map(read).collect()
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a readable directory") {
        let path = entry.expect("a readable directory").path();
        match path.is_dir() {
            true => collect(&path, found),
            false => found.push(path),
        }
    }
}

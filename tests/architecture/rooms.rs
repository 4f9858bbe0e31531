//! Which room may use which: paths from `crate`, `super` and `self`, resolved and held against one table.

use super::source::{Source, Word};

/// Each room and the others that it may name. `error` is what a room may always return, except in mathematics.
const ROOMS: [(&str, &[&str]); 12] = [
    ("abi", &["session", "model", "data", "config", "telemetry", "torch", "error"]),
    ("algorithm", &["math", "data", "model", "config", "error"]),
    ("config", &["error"]),
    ("data", &["error"]),
    ("error", &[]),
    ("kernel", &["error"]),
    (
        "lib",
        &["abi", "algorithm", "config", "data", "error", "kernel", "math", "model", "session", "telemetry", "torch"],
    ),
    ("math", &[]),
    ("model", &["torch", "kernel", "config", "error"]),
    ("session", &["algorithm", "model", "kernel", "torch", "data", "config", "telemetry", "error"]),
    ("telemetry", &["config", "error"]),
    ("torch", &["error"]),
];

/// Rooms that a file names and may not; tests may look anywhere.
pub fn violations(source: &Source) -> Vec<String> {
    let Some((room, allowed)) = ROOMS.iter().find(|(room, _)| *room == source.room()) else {
        return vec![source.at(1, format_args!("the table of rooms does not know `{}`", source.room()))];
    };
    let outside = |path: &(Vec<String>, usize)| {
        let used = path.0.first().map_or("*", String::as_str);
        (used != *room && !allowed.contains(&used))
            .then(|| source.at(path.1, format_args!("`{room}` may not use `{used}`")))
    };
    paths(source).iter().filter_map(outside).collect()
}

/// The methods: files of `algorithm` that have a `Config` of their own.
pub fn methods(sources: &[Source]) -> Vec<String> {
    let has_config = |source: &&Source| (0..source.words.len()).any(|i| source.reads(i, &["struct", "Config"]));
    let files = sources.iter().filter(|source| source.room() == "algorithm" && source.stem() != "mod");
    files.filter(has_config).map(|source| source.stem().to_string()).collect()
}

/// Methods that a method's file names besides itself.
pub fn between_methods(source: &Source, methods: &[String]) -> Vec<String> {
    let own = source.stem();
    if source.room() != "algorithm" || !methods.iter().any(|method| method == own) {
        return Vec::new();
    }
    let other = |path: &(Vec<String>, usize)| {
        let used = path.0.get(1).filter(|used| path.0[0] == "algorithm" && **used != own && methods.contains(used))?;
        Some(source.at(path.1, format_args!("the method `{own}` may not use the method `{used}`")))
    };
    paths(source).iter().filter_map(other).collect()
}

/// Every path that begins at the root of the crate, outside tests, with its line.
fn paths(source: &Source) -> Vec<(Vec<String>, usize)> {
    let words = &source.words;
    let mut found = Vec::new();
    for (i, word) in words.iter().enumerate().filter(|(_, word)| !word.test) {
        let continued = i > 0 && words[i - 1].text == "::";
        if continued || words.get(i + 1).is_none_or(|next| next.text != "::") {
            continue;
        }
        let Some((start, base)) = root(words, i) else { continue };
        let mut branches = Vec::new();
        expand(words, start, base, &mut branches);
        found.extend(branches.into_iter().map(|path| (path, word.line)));
    }
    found
}

/// Where a path goes on after its first words, and the module that these name.
fn root(words: &[Word], i: usize) -> Option<(usize, Vec<String>)> {
    let module = words[i].module.as_slice();
    match words[i].text.as_str() {
        "crate" => Some((i + 2, Vec::new())),
        "self" => Some((i + 2, module.to_vec())),
        "super" => {
            let ups = words[i..]
                .chunks(2)
                .take_while(|pair| pair[0].text == "super" && pair[1..].iter().all(|sign| sign.text == "::"))
                .count();
            Some((i + 2 * ups, module[..module.len().saturating_sub(ups)].to_vec()))
        }
        _ => None,
    }
}

/// The paths of a use tree; returns the position after it.
fn expand(words: &[Word], mut i: usize, mut path: Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let text = |i: usize| words.get(i).map_or("", |word| word.text.as_str());
    if text(i) == "{" {
        i += 1;
        while !["}", ""].contains(&text(i)) {
            i = match text(i) {
                "," => i + 1,
                _ => expand(words, i, path.clone(), found).max(i + 1),
            };
        }
        return i + 1;
    }
    if text(i) != "self" {
        path.push(text(i).to_string());
    }
    if text(i + 1) == "::" {
        return expand(words, i + 2, path, found);
    }
    found.push(path);
    i + 1
}

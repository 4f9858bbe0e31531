//! The rules of the house, held against every source file.
//!
//! Each rule is a function from a source text to its violations, so that each is also shown a text that breaks it
//! (`planted.rs`): a rule that finds nothing must be one that could have found something. What the rules are and why is in
//! docs/architecture.md; the table of rooms is in `rooms.rs`.

#[path = "architecture/planted.rs"]
mod planted;
#[path = "architecture/rooms.rs"]
mod rooms;
#[path = "architecture/sizes.rs"]
mod sizes;
#[path = "architecture/source.rs"]
mod source;
#[path = "architecture/texts.rs"]
mod texts;
#[path = "architecture/words.rs"]
mod words;

use source::Source;

/// All violations of a rule in all Rust sources; the rule must have had something to look at.
fn holds(rule: fn(&Source) -> Vec<String>) {
    let sources = source::rust();
    assert!(sources.len() >= 25, "only {} Rust files found under src", sources.len());
    let violations: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn rooms_use_only_the_rooms_that_they_may() {
    holds(rooms::violations);
}

#[test]
fn methods_do_not_use_each_other() {
    let sources = source::rust();
    let methods = rooms::methods(&sources);
    let violations: Vec<String> = sources.iter().flat_map(|source| rooms::between_methods(source, &methods)).collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn forbidden_words_do_not_occur() {
    holds(words::violations);
}

#[test]
fn the_shim_neither_prints_nor_ends_the_process() {
    let violations: Vec<String> = source::cpp().iter().flat_map(|(path, text)| words::in_cpp(path, text)).collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn mathematics_changes_no_argument() {
    holds(words::mutable_arguments);
}

#[test]
fn names_say_what_a_thing_is() {
    holds(words::names);
}

#[test]
fn exports_are_guarded_and_in_the_boundary() {
    holds(words::exports);
}

#[test]
fn files_and_functions_are_short() {
    holds(sizes::violations);
    let cpp: Vec<String> = source::cpp().iter().filter_map(|(path, text)| sizes::long_file(path, text)).collect();
    assert!(cpp.is_empty(), "{}", cpp.join("\n"));
    let lines = source::rust().iter().map(|source| source.text.lines().count()).collect();
    assert_eq!(sizes::long_median(lines), None);
}

#[test]
fn files_begin_with_what_they_own() {
    holds(texts::head);
}

#[test]
fn comments_are_neither_code_nor_banners() {
    holds(texts::comments);
}

#[test]
fn each_unsafe_names_the_promise() {
    holds(texts::promises);
}

#[test]
fn c_docs_name_each_pointer() {
    holds(texts::c_docs);
}

#[test]
fn equations_name_their_source() {
    holds(texts::equations);
}

//! What must be written: the head of a file, the promise of an `unsafe`, the source of an equation; and what must not be.

use super::source::Source;
use syn::visit::{self, Visit};

/// Files that do not begin by saying what they own.
pub fn head(source: &Source) -> Vec<String> {
    let head: String = source.text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let enough = if source.file.items.is_empty() { 1 } else { 40 };
    match head.trim().chars().count() >= enough {
        true => Vec::new(),
        false => vec![source.at(1, "does not begin with `//!` and what the file owns")],
    }
}

/// Comments that are code or decoration.
pub fn comments(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (i, line) in source.text.lines().enumerate() {
        let Some(comment) = line.trim_start().strip_prefix("//") else { continue };
        if comment.starts_with(['/', '!']) {
            continue;
        }
        let comment = comment.trim();
        if comment.ends_with([';', '{']) || comment == "}" {
            found.push(source.at(i + 1, "code in a comment"));
        }
        if comment.len() > 3 && comment.chars().take(4).all(|sign| "-=*#~_+/".contains(sign)) {
            found.push(source.at(i + 1, "a banner"));
        }
    }
    found
}

/// Each `unsafe` without a `SAFETY:` that names the promise.
pub fn promises(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut found = Vec::new();
    for (i, word) in source.words.iter().enumerate().filter(|(_, word)| word.text == "unsafe") {
        let after: Vec<&str> = source.words[i + 1..].iter().take(4).map(|word| word.text.as_str()).collect();
        let promised = match after.as_slice() {
            ["(", ..] | ["fn", "(", ..] | ["extern", _, "fn", "("] => true,
            ["fn", ..] | ["extern", _, "fn", ..] => declared(source, &lines, word.line),
            _ => commented(&lines, word.line),
        };
        if !promised {
            found.push(source.at(word.line, "`unsafe` without a SAFETY: that names the promise"));
        }
    }
    found
}

/// Whether the comments and attributes directly above a declaration hold its promise; for exports see [`c_docs`].
fn declared(source: &Source, lines: &[&str], line: usize) -> bool {
    let export = source.room() == "abi" && above(lines, line).any(|text| text.contains("no_mangle"));
    export || above(lines, line).any(|text| text.contains("SAFETY:") || text.contains("# Safety"))
}

/// Exported functions whose C doc leaves a pointer out: it is there that a caller reads what to promise.
pub fn c_docs(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for item in &source.file.items {
        let syn::Item::Fn(function) = item else { continue };
        if !function.attrs.iter().any(super::words::exports_a_symbol) {
            continue;
        }
        let (docs, line) = (docs(&function.attrs), function.sig.fn_token.span.start().line);
        for argument in &function.sig.inputs {
            let syn::FnArg::Typed(syn::PatType { pat, ty, .. }) = argument else { continue };
            let (syn::Pat::Ident(name), syn::Type::Ptr(_)) = (&**pat, &**ty) else { continue };
            let name = name.ident.to_string().trim_start_matches("r#").trim_matches('_').to_string();
            let mut words = docs.split(|sign: char| !sign.is_alphanumeric() && sign != '_');
            if !words.any(|word| word == name) {
                let function = &function.sig.ident;
                found.push(
                    source.at(line, format_args!("the C doc of `{function}` does not say what `{name}` must be")),
                );
            }
        }
    }
    found
}

fn above<'a>(lines: &'a [&'a str], line: usize) -> impl Iterator<Item = &'a str> {
    let before = lines[..line - 1].iter().rev().map(|text| text.trim());
    let belongs = |text: &&str| (text.starts_with("//") && !text.starts_with("//!")) || text.starts_with("#[");
    before.take_while(belongs)
}

/// Whether the comment on the line, or above the statement that it belongs to, holds a promise.
fn commented(lines: &[&str], line: usize) -> bool {
    if lines[line - 1].contains("SAFETY:") {
        return true;
    }
    for (i, text) in lines[..line - 1].iter().enumerate().rev() {
        let text = text.trim();
        if text.starts_with("//") {
            return text.contains("SAFETY:") || above(lines, i + 1).any(|text| text.contains("SAFETY:"));
        }
        if text.is_empty() || text.ends_with([';', '{', '}']) {
            return false;
        }
    }
    false
}

/// Public functions of mathematics whose docs name no source.
pub fn equations(source: &Source) -> Vec<String> {
    struct Public<'a>(&'a Source, Vec<String>);
    impl Public<'_> {
        fn look(&mut self, visibility: &syn::Visibility, signature: &syn::Signature, attributes: &[syn::Attribute]) {
            if matches!(visibility, syn::Visibility::Public(_)) && !docs(attributes).contains("Source:") {
                let line = signature.ident.span().start().line;
                self.1.push(self.0.at(line, format_args!("the docs of `{}` have no `Source:`", signature.ident)));
            }
        }
    }
    impl<'ast> Visit<'ast> for Public<'_> {
        fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
            if !is_for_tests(&item.attrs) {
                visit::visit_item_mod(self, item);
            }
        }

        fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
            self.look(&item.vis, &item.sig, &item.attrs);
        }

        fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
            self.look(&item.vis, &item.sig, &item.attrs);
        }
    }
    let mut public = Public(source, Vec::new());
    if source.room() == "math" && !source.is_test() {
        public.visit_file(&source.file);
    }
    public.1
}

/// Whether attributes hold `#[cfg(test)]`.
pub fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    let listed = |attribute: &syn::Attribute| attribute.meta.require_list().map(|list| list.tokens.to_string());
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("cfg") && listed(attribute).is_ok_and(|inside| inside == "test"))
}

fn docs(attributes: &[syn::Attribute]) -> String {
    let lines = attributes.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let text = lines.filter_map(|attribute| match &attribute.meta.require_name_value().ok()?.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    });
    text.collect::<Vec<_>>().join("\n")
}

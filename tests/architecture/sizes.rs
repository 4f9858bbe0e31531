//! How long files, functions and equations may be.

use super::source::Source;
use syn::visit::{self, Visit};

const FILE: usize = 400;
const MEDIAN: usize = 150;
const FUNCTION: usize = 60;
const EQUATION: usize = 15;

/// A file that is too long.
pub fn long_file(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > FILE).then(|| format!("{path}: {lines} lines, more than {FILE}"))
}

/// The median length of files where it is too long.
pub fn long_median(mut lines: Vec<usize>) -> Option<usize> {
    lines.sort_unstable();
    lines.get(lines.len() / 2).copied().filter(|median| *median > MEDIAN)
}

/// Files and functions that are too long.
pub fn violations(source: &Source) -> Vec<String> {
    let mut functions = Functions { source, test: source.is_test(), found: Vec::new() };
    functions.visit_file(&source.file);
    long_file(&source.path, &source.text).into_iter().chain(functions.found).collect()
}

struct Functions<'a> {
    source: &'a Source,
    test: bool,
    found: Vec<String>,
}

impl Functions<'_> {
    fn measure(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (name, start) = (&signature.ident, signature.fn_token.span.start().line);
        let (open, close) = (block.brace_token.span.open().start().line, block.brace_token.span.close().end().line);
        let lines = close - start + 1;
        if lines > FUNCTION {
            self.found.push(self.source.at(start, format_args!("`{name}` has {lines} lines, more than {FUNCTION}")));
        }
        let body = (close - open).saturating_sub(1);
        if body > EQUATION && self.source.room() == "math" && !self.test {
            self.found.push(
                self.source.at(start, format_args!("the body of `{name}` has {body} lines, more than {EQUATION}")),
            );
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let before = self.test;
        self.test |= super::texts::is_for_tests(&item.attrs);
        visit::visit_item_mod(self, item);
        self.test = before;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.measure(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

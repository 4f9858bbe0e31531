//! The boundary's source, parsed: its exports and what is wrong with one.

use std::path::{Path, PathBuf};
use syn::{Attribute, Expr, FnArg, Item, ItemFn, ItemStruct, Lit, Meta, Pat, ReturnType, Stmt, Type, Visibility};

/// What may cross by value, next to pointers.
const SCALARS: [&str; 20] = [
    "i32",
    "u32",
    "i64",
    "u64",
    "u8",
    "f32",
    "f64",
    "usize",
    "keel_status",
    "keel_runtime",
    "keel_model",
    "keel_batch",
    "keel_session",
    "keel_job",
    "keel_actor",
    "keel_blob",
    "keel_reward_callback",
    "keel_thread_starter",
    "keel_allocate",
    "keel_release",
];

/// What may lie behind a pointer, next to scalars.
const BEHIND: [&str; 5] = ["c_char", "c_void", "keel_error", "keel_report", "DLManagedTensorVersioned"];

/// What a struct that crosses may be made of; an array of them too.
const MEMBERS: [&str; 8] = ["i32", "u32", "i64", "u64", "u8", "f32", "f64", "c_char"];

pub struct Export {
    pub name: String,
    pub file: String,
    pub function: ItemFn,
}

pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false if path.extension().is_some_and(|extension| extension == "rs") => all.push(path),
            false => {}
        }
    }
    all
}

/// Every function of `src/abi` that is exported or looks as if it should be.
pub fn exports(root: &Path) -> Vec<Export> {
    let mut all = Vec::new();
    for path in files(&root.join("src/abi")) {
        let parsed = syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for item in parsed.items {
            let Item::Fn(function) = item else { continue };
            let name = function.sig.ident.to_string();
            if function.sig.abi.is_some() || name.starts_with("keel_") || has(&function.attrs, "no_mangle") {
                let file = path.display().to_string();
                all.push(Export { name, file, function });
            }
        }
    }
    all
}

/// What is wrong with an export, if anything.
pub fn fault(function: &ItemFn) -> Option<String> {
    if !has(&function.attrs, "no_mangle") {
        return Some("without #[no_mangle]".to_string());
    }
    let c = function.sig.abi.as_ref().and_then(|abi| abi.name.as_ref()).is_some_and(|name| name.value() == "C");
    if !c || function.sig.unsafety.is_none() || !matches!(function.vis, Visibility::Public(_)) {
        return Some("not `pub unsafe extern \"C\"`".to_string());
    }
    if !guarded(function) {
        return Some("its body is not one guard!".to_string());
    }
    let inputs = function.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed.ty.as_ref()),
        FnArg::Receiver(_) => None,
    });
    let output = match &function.sig.output {
        ReturnType::Type(_, output) => Some(output.as_ref()),
        ReturnType::Default => None,
    };
    inputs.chain(output).find(|one| !crosses(one)).map(|one| format!("`{}` crosses", spelled(one)))
}

fn guarded(function: &ItemFn) -> bool {
    let is_guard = |path: &syn::Path| path.is_ident("guard");
    match function.block.stmts.as_slice() {
        [Stmt::Macro(only)] => is_guard(&only.mac.path) && only.semi_token.is_none(),
        [Stmt::Expr(Expr::Macro(only), None)] => is_guard(&only.mac.path),
        _ => false,
    }
}

fn crosses(one: &Type) -> bool {
    match one {
        Type::Ptr(pointer) => lies_behind(&pointer.elem),
        other => is_one_of(other, &SCALARS),
    }
}

fn lies_behind(one: &Type) -> bool {
    match one {
        Type::Ptr(pointer) => lies_behind(&pointer.elem),
        other => is_one_of(other, &SCALARS) || is_one_of(other, &BEHIND),
    }
}

fn is_one_of(one: &Type, names: &[&str]) -> bool {
    let Type::Path(path) = one else { return false };
    path.path.get_ident().is_some_and(|name| names.contains(&name.to_string().as_str()))
}

/// Every struct of `src/abi` with a C name.
pub fn structs(root: &Path) -> Vec<ItemStruct> {
    let mut all = Vec::new();
    for path in files(&root.join("src/abi")) {
        let parsed = syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap();
        all.extend(parsed.items.into_iter().filter_map(|item| match item {
            Item::Struct(one) if one.ident.to_string().starts_with("keel_") => Some(one),
            _ => None,
        }));
    }
    all
}

/// What is wrong with a struct that crosses, if anything.
pub fn struct_fault(one: &ItemStruct) -> Option<String> {
    let layout = one.attrs.iter().find(|attribute| attribute.path().is_ident("repr"));
    if !layout.is_some_and(|attribute| attribute.parse_args::<syn::Ident>().is_ok_and(|way| way == "C")) {
        return Some("without #[repr(C)]".to_string());
    }
    if one.fields.iter().next().and_then(|field| field.ident.as_ref()).is_none_or(|name| name != "struct_size") {
        return Some("its first member is not struct_size".to_string());
    }
    let stands = |one: &Type| match one {
        Type::Array(array) => is_one_of(&array.elem, &MEMBERS),
        other => is_one_of(other, &MEMBERS),
    };
    one.fields
        .iter()
        .map(|field| &field.ty)
        .find(|one| !stands(one))
        .map(|one| format!("`{}` is a member", spelled(one)))
}

fn spelled(one: &Type) -> String {
    match one {
        Type::Path(path) => {
            path.path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>().join("::")
        }
        Type::Reference(reference) => format!("& {}", spelled(&reference.elem)),
        Type::Ptr(pointer) => format!("* {}", spelled(&pointer.elem)),
        _ => "something else".to_string(),
    }
}

fn has(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident(name))
}

pub fn documentation(function: &ItemFn) -> String {
    let mut text = String::new();
    for attribute in function.attrs.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        let Meta::NameValue(pair) = &attribute.meta else { continue };
        let Expr::Lit(literal) = &pair.value else { continue };
        let Lit::Str(line) = &literal.lit else { continue };
        text.push_str(&line.value());
        text.push('\n');
    }
    text
}

/// The names that a doc must explain; a length goes with its pointer.
pub fn parameters(function: &ItemFn) -> Vec<String> {
    let names = function.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => match typed.pat.as_ref() {
            Pat::Ident(name) => Some(name.ident.to_string().trim_start_matches("r#").to_string()),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    });
    names.filter(|name| !name.ends_with("_length")).collect()
}

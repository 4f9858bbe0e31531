//! A JSON value held against the JSON Schema of its type.
//!
//! The walk knows the part of JSON Schema that schemars writes for keel's types, and says so where a schema asks for more.
//! The first fault is reported: in an object unknown keys, then missing ones, then the values, each in order.

use super::expect::{choice, found, has_format, hint, integer_range, kinds, noun};
use super::pointer::Pointer;
use crate::error::{Error, Result, Status};
use serde_json::{Map, Number, Value};
use std::cmp::Ordering;

const CHECKED: [&str; 18] = [
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "oneOf",
    "properties",
    "required",
    "type",
];
const ANNOTATIONS: [&str; 7] = ["$defs", "$schema", "default", "deprecated", "description", "title", "writeOnly"];

/// Checks a value against a schema; the error begins with the JSON pointer of what is wrong.
pub fn check(schema: &Value, value: &Value) -> Result<()> {
    Walk { root: schema }.value(schema, value, &Pointer::root())
}

struct Walk<'s> {
    root: &'s Value,
}

impl<'s> Walk<'s> {
    fn value(&self, schema: &'s Value, value: &Value, place: &Pointer) -> Result<()> {
        let schema = self.resolve(schema)?;
        if let Some(branches) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
            return self.alternatives(branches, value, place);
        }
        if schema["enum"].as_array().is_some_and(|allowed| allowed.contains(value)) {
            return Ok(());
        }
        if let Some(names) = names(std::slice::from_ref(schema)) {
            return one_of(&names, value, place);
        }
        let kinds = kinds(schema);
        if !kinds.is_empty() && !kinds.iter().any(|kind| is_kind(value, kind)) {
            return Err(wrong(place, &noun(schema), value));
        }
        match value {
            Value::Number(number) => in_range(schema, number, place),
            Value::String(text) => text_fits(schema, text, place),
            Value::Array(array) => self.array(schema, array, place),
            Value::Object(object) => self.object(schema, object, place),
            _ => Ok(()),
        }
    }

    /// The schema that a reference names, or the schema itself.
    fn resolve(&self, schema: &'s Value) -> Result<&'s Value> {
        if let Some(word) = schema.as_object().and_then(|schema| schema.keys().find(|word| !known(word))) {
            return Err(Error::new(Status::Internal, format!("the schema keyword {word:?} is not checked by keel")));
        }
        let Some(reference) = schema["$ref"].as_str() else { return Ok(schema) };
        let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        let target = target.ok_or_else(|| Error::new(Status::Internal, format!("the schema has no {reference}")))?;
        self.resolve(target)
    }

    fn array(&self, schema: &'s Value, array: &[Value], place: &Pointer) -> Result<()> {
        let (least, most) = (schema["minItems"].as_u64().unwrap_or(0), schema["maxItems"].as_u64());
        let length = array.len() as u64;
        if length < least || most.is_some_and(|most| length > most) {
            return Err(wrong(place, &noun(schema), &Value::from(array)));
        }
        match schema.get("items") {
            Some(items) => {
                array.iter().enumerate().try_for_each(|(i, value)| self.value(items, value, &place.index(i)))
            }
            None => Ok(()),
        }
    }

    fn object(&self, schema: &'s Value, object: &Map<String, Value>, place: &Pointer) -> Result<()> {
        let none = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        let said = schema.get("additionalProperties");
        let others = said.filter(|others| **others != Value::Bool(false));
        let closed = others.is_none() && said.or(schema.get("properties")).is_some();
        if let Some(key) = object.keys().find(|key| closed && !properties.contains_key(*key)) {
            let names: Vec<&str> = properties.keys().map(String::as_str).collect();
            return Err(Error::config(format!("{}: unknown key; {}", place.key(key), hint(key, &names))));
        }
        let mut required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if let Some(key) = required.find(|key| !object.contains_key(*key)) {
            let expected = schema["properties"].get(key).map_or("a value".into(), |schema| self.expected(schema));
            return Err(Error::config(format!("{}: required and missing; expected {expected}", place.key(key))));
        }
        for (key, value) in object {
            if let Some(schema) = schema["properties"].get(key).or(others) {
                self.value(schema, value, &place.key(key))?;
            }
        }
        Ok(())
    }

    /// Names to choose from, objects told apart by a tag, or one type and null.
    fn alternatives(&self, branches: &'s [Value], value: &Value, place: &Pointer) -> Result<()> {
        if let Some(names) = names(branches) {
            return one_of(&names, value, place);
        }
        if let Some(tag) = tag(branches) {
            return self.tagged(tag, branches, value, place);
        }
        let branches = branches.iter().map(|branch| self.resolve(branch)).collect::<Result<Vec<_>>>()?;
        let errors = branches.iter().map(|branch| (*branch, self.value(branch, value, place)));
        let mut nearest = None;
        for (branch, outcome) in errors {
            let Err(error) = outcome else { return Ok(()) };
            let tagged = branch["oneOf"].as_array().is_some_and(|branches| tag(branches).is_some());
            let same_kind = kinds(branch).iter().any(|kind| is_kind(value, kind)) || (tagged && value.is_object());
            nearest = nearest.or(same_kind.then_some(error));
        }
        let nouns: Vec<String> = branches.iter().map(|branch| self.expected(branch)).collect();
        Err(nearest.unwrap_or_else(|| wrong(place, &nouns.join(" or "), value)))
    }

    fn tagged(&self, tag: &str, branches: &'s [Value], value: &Value, place: &Pointer) -> Result<()> {
        let object = value.as_object().ok_or_else(|| wrong(place, "an object", value))?;
        let names: Vec<&str> =
            branches.iter().filter_map(|branch| branch["properties"][tag]["const"].as_str()).collect();
        let name = object.get(tag).ok_or_else(|| {
            Error::config(format!("{}: required and missing; expected {}", place.key(tag), choice(&names)))
        })?;
        one_of(&names, name, &place.key(tag))?;
        let branch = branches.iter().find(|branch| branch["properties"][tag]["const"] == *name);
        branch.map_or(Ok(()), |branch| self.value(branch, value, place))
    }

    fn expected(&self, schema: &'s Value) -> String {
        let Ok(schema) = self.resolve(schema) else { return "a value".into() };
        let branches = schema["oneOf"].as_array().map_or(std::slice::from_ref(schema), Vec::as_slice);
        match (names(branches), tag(branches)) {
            (Some(names), _) => choice(&names),
            (None, Some(_)) => "an object".into(),
            (None, None) => noun(schema),
        }
    }
}

fn known(word: &str) -> bool {
    CHECKED.contains(&word) || ANNOTATIONS.contains(&word)
}

/// All texts that a choice between names offers, or `None` if it is another kind of choice.
fn names(branches: &[Value]) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    for branch in branches {
        match (branch["const"].as_str(), branch["enum"].as_array()) {
            (Some(name), _) => names.push(name),
            (None, Some(several)) => names.extend(several.iter().filter_map(Value::as_str)),
            (None, None) => return None,
        }
    }
    Some(names)
}

/// The key by whose value the branches are told apart.
fn tag(branches: &[Value]) -> Option<&str> {
    let (first, _) = branches.split_first()?;
    let is_tag = |key: &&String| branches.iter().all(|branch| branch["properties"][key.as_str()]["const"].is_string());
    first["properties"].as_object()?.keys().find(is_tag).map(String::as_str)
}

fn one_of(names: &[&str], value: &Value, place: &Pointer) -> Result<()> {
    match value.as_str() {
        Some(name) if names.contains(&name) => Ok(()),
        Some(name) if hint(name, names).starts_with("did") => {
            let expected = choice(names);
            Err(Error::config(format!("{place}: expected {expected}, got {name:?}; {}", hint(name, names))))
        }
        _ => Err(wrong(place, &choice(names), value)),
    }
}

fn wrong(place: &Pointer, expected: &str, value: &Value) -> Error {
    Error::config(format!("{place}: expected {expected}, got {}", found(value)))
}

fn is_kind(value: &Value, kind: &str) -> bool {
    match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::Number(number) => kind == "number" || (kind == "integer" && !number.is_f64()),
        Value::String(_) => kind == "string",
        Value::Array(_) => kind == "array",
        Value::Object(_) => kind == "object",
    }
}

fn in_range(schema: &Value, number: &Number, place: &Pointer) -> Result<()> {
    let against = |key: &str| schema[key].as_number().map(|bound| compare(number, bound));
    let fits = against("minimum").is_none_or(Ordering::is_ge)
        && against("maximum").is_none_or(Ordering::is_le)
        && against("exclusiveMinimum").is_none_or(Ordering::is_gt)
        && against("exclusiveMaximum").is_none_or(Ordering::is_lt);
    let range = schema["format"].as_str().and_then(integer_range);
    let held = range.is_none_or(|(low, high)| number.as_i128().is_some_and(|value| (low..=high).contains(&value)));
    match fits && held {
        true => Ok(()),
        false => Err(wrong(place, &noun(schema), &Value::Number(number.clone()))),
    }
}

fn compare(value: &Number, bound: &Number) -> Ordering {
    match (value.as_i128(), bound.as_i128()) {
        (Some(value), Some(bound)) => value.cmp(&bound),
        _ => value.as_f64().partial_cmp(&bound.as_f64()).unwrap_or(Ordering::Less),
    }
}

fn text_fits(schema: &Value, text: &str, place: &Pointer) -> Result<()> {
    let long_enough = text.chars().count() as u64 >= schema["minLength"].as_u64().unwrap_or(0);
    match long_enough && schema["format"].as_str().is_none_or(|format| has_format(format, text)) {
        true => Ok(()),
        false => Err(wrong(place, &noun(schema), &Value::from(text))),
    }
}

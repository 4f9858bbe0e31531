//! JSON text to a JSON value, refusing what a lenient reader lets pass.
//!
//! Invalid UTF-8, a key that appears twice, nesting beyond [`DEPTH`] and text after the value are errors; the first in the
//! order of the text is the one reported. What the keys and values mean is not looked at here.

use super::pointer::Pointer;
use crate::error::{Error, Result};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Objects and arrays that may lie within each other.
const DEPTH: usize = 64;

/// The value that a text holds.
pub fn read(text: &[u8]) -> Result<Value> {
    let text = std::str::from_utf8(text).map_err(|error| {
        Error::config(format!("the configuration is not UTF-8: byte {} begins no character", error.valid_up_to()))
    })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict(&Pointer::root()).deserialize(&mut reader).map_err(explain)?;
    reader.end().map_err(explain)?;
    Ok(value)
}

fn explain(error: serde_json::Error) -> Error {
    match error.is_data() {
        true => Error::config(error.to_string()),
        false => Error::config(format!("the configuration is not JSON: {error}")),
    }
}

/// Reads the value at a place.
struct Strict<'a>(&'a Pointer<'a>);

impl<'a> Strict<'a> {
    fn enter<E: de::Error>(&self) -> std::result::Result<(), E> {
        match self.0.depth() < DEPTH {
            true => Ok(()),
            false => Err(E::custom(format!("{}: nested deeper than {DEPTH} levels", self.0))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> std::result::Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> std::result::Result<Value, A::Error> {
        self.enter()?;
        let mut array = Vec::new();
        while let Some(value) = elements.next_element_seed(Strict(&self.0.index(array.len())))? {
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Value, A::Error> {
        self.enter()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let place = self.0.key(&key);
            if object.contains_key(&key) {
                return Err(de::Error::custom(format!("{place}: the key appears twice")));
            }
            let value = members.next_value_seed(Strict(&place))?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Status;
    use serde_json::json;

    fn refusal(text: &[u8]) -> String {
        let error = read(text).unwrap_err();
        assert_eq!(error.status, Status::Config);
        error.message
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let text = r#"{"a": [1, -2, 2.5, 18446744073709551615], "b": {"c": null, "d": true}, "e": "\u00e9\n"}"#;
        let expected =
            json!({"a": [1, -2, 2.5, 18446744073709551615u64], "b": {"c": null, "d": true}, "e": "\u{e9}\n"});
        assert_eq!(read(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn a_key_that_appears_twice_is_refused_where_it_stands() {
        assert_eq!(refusal(br#"{"seed": 1, "seed": 1}"#), "/seed: the key appears twice at line 1 column 18");
        assert_eq!(
            refusal(b"{\"a\": [0, {\"b\": 1,\n\"\\u0062\": 2}]}"),
            "/a/1/b: the key appears twice at line 2 column 8"
        );
    }

    #[test]
    fn text_that_is_not_json_is_refused() {
        assert_eq!(refusal(b"{\"a\": \xff}"), "the configuration is not UTF-8: byte 6 begins no character");
        assert_eq!(refusal(b"{\"a\": 1} x"), "the configuration is not JSON: trailing characters at line 1 column 10");
        for text in ["{", "{\"a\": 1,}", "{a: 1}", "[1 2]", "nan", "1e999", "\"\\ud800\"", " ", "{} {}", "// c\n{}"] {
            assert!(refusal(text.as_bytes()).starts_with("the configuration is not JSON: "), "{text}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(read(nested(DEPTH).as_bytes()).is_ok());
        let message = refusal(nested(DEPTH + 1).as_bytes());
        assert!(message.starts_with("/0/0/0/") && message.contains("nested deeper than 64 levels"), "{message}");
        assert!(refusal(nested(100_000).as_bytes()).contains("nested deeper"));
        assert!(refusal("{\"a\":".repeat(1000).as_bytes()).contains("nested deeper"));
    }
}

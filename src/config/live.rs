//! Changes of a configuration that is in use: what they leave out stays, what may not change is refused.

use super::pointer::Pointer;
use super::{fill_in, schema, strict, validate};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::{Map, Value};

/// `current` with the changes in `text`, an object with some of its keys; of those that are not `live`, JSON pointers, the
/// values must be the ones that stand.
pub fn change<T: Serialize + DeserializeOwned + JsonSchema>(
    text: Option<&[u8]>,
    current: &T,
    live: &[String],
) -> Result<T> {
    let broken = |error: serde_json::Error| Error::config(format!("the configuration: {error}"));
    let before = serde_json::to_value(current).map_err(broken)?;
    let mut after = strict::read(text.filter(|text| !text.is_empty()).unwrap_or(b"{}"))?;
    fill_in(&mut after, &before);
    validate::check(&schema::<T>(), &after)?;
    check_live(&before, &after, live, &Pointer::root())?;
    serde_json::from_value(after).map_err(broken)
}

/// Refuses the first difference that lies in no pointer of `live`.
fn check_live(before: &Value, after: &Value, live: &[String], place: &Pointer) -> Result<()> {
    let pointer = place.to_string();
    if same(before, after) || live.contains(&pointer) {
        return Ok(());
    }
    let within = before.is_object() && after.is_object();
    if !within {
        let found = super::expect::found(before);
        return Err(Error::config(format!(
            "{pointer}: expected {found}, since it stays as the session was created; what may change: {}",
            live.join(", ")
        )));
    }
    let empty = Map::new();
    let (before, after) = (before.as_object().unwrap_or(&empty), after.as_object().unwrap_or(&empty));
    let keys = after.keys().chain(before.keys().filter(|key| !after.contains_key(*key)));
    let at = |object: &Map<String, Value>, key: &String| object.get(key).cloned().unwrap_or(Value::Null);
    keys.into_iter().try_for_each(|key| check_live(&at(before, key), &at(after, key), live, &place.key(key)))
}

/// Whether two values are the same, numbers by what they count.
fn same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Optimizer, Schedule};

    fn changed(text: &str) -> Result<Optimizer> {
        let live = ["/learning_rate", "/schedule"].map(str::to_string);
        change(Some(text.as_bytes()), &Optimizer { weight_decay: 0.5, ..Optimizer::default() }, &live)
    }

    #[test]
    fn what_is_left_out_stays() {
        let all = changed(r#"{"learning_rate": 1e-3, "schedule": {"type": "linear", "total_steps": 9}}"#).unwrap();
        assert_eq!((all.learning_rate, all.weight_decay), (1e-3, 0.5));
        assert_eq!(all.schedule, Schedule::Linear { warmup_steps: 0, total_steps: 9, final_ratio: 0.0 });
        assert_eq!(changed("{}").unwrap().weight_decay, 0.5);
        assert_eq!(changed(r#"{"weight_decay": 5e-1, "betas": [0.9, 0.999]}"#).unwrap().weight_decay, 0.5);
    }

    #[test]
    fn what_may_not_change_is_refused_where_it_stands() {
        for (text, says) in [
            (
                r#"{"weight_decay": 0.25}"#,
                "/weight_decay: expected 0.5, since it stays as the session was created; what may change: \
                 /learning_rate, /schedule",
            ),
            (r#"{"betas": [0.9, 0.99]}"#, "/betas: expected an array"),
            (r#"{"learning_rat": 1}"#, "/learning_rat: unknown key; did you mean \"learning_rate\"?"),
            (r#"{"learning_rate": 2}"#, "/learning_rate: expected a number"),
            (r#"{"learning_rate": 0.1, "learning_rate": 0.1}"#, "/learning_rate: the key appears twice"),
            ("[]", "expected an object"),
            ("{", "the configuration is not JSON"),
        ] {
            let error = changed(text).unwrap_err();
            assert!(error.message.contains(says), "{text}: {error}");
        }
    }
}

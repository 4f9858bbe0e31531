//! What a schema expects, in words: types, ranges, the names to choose from, the nearest known name.

use super::device;
use serde_json::{Number, Value};

/// Characters of a text that a message repeats.
const LONGEST: usize = 40;

/// The range of an integer format; `None` for a format that is no integer's.
pub fn integer_range(format: &str) -> Option<(i128, i128)> {
    Some(match format {
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "int64" => (i64::MIN.into(), i64::MAX.into()),
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        "uint" | "uint64" => (0, u64::MAX.into()),
        _ => return None,
    })
}

/// Whether a text is one of a format, where the format is one of ours.
pub fn has_format(format: &str, text: &str) -> bool {
    format != "device" || device(text).is_ok()
}

/// A value of a schema without alternatives, as a noun phrase: `a number in (0, 1]`.
pub fn noun(schema: &Value) -> String {
    let kinds: Vec<String> = kinds(schema).iter().map(|kind| kind_noun(schema, kind)).collect();
    match kinds.is_empty() {
        true => "a value".into(),
        false => kinds.join(" or "),
    }
}

/// The JSON types that a schema allows; none means any.
pub fn kinds(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn kind_noun(schema: &Value, kind: &str) -> String {
    match kind {
        "number" => format!("a number{}", range(schema)),
        "integer" => format!("an integer{}", range(schema)),
        "string" if schema["format"] == "device" => "a device, \"cpu\", \"cuda\" or \"cuda:0\" to \"cuda:255\"".into(),
        "string" if schema["minLength"].as_u64().is_some_and(|least| least > 0) => "a text that is not empty".into(),
        "string" => "a text".into(),
        "boolean" => "true or false".into(),
        "object" => "an object".into(),
        "array" => array(schema),
        other => other.into(),
    }
}

fn array(schema: &Value) -> String {
    match (schema["minItems"].as_u64(), schema["maxItems"].as_u64()) {
        (None, None) => "an array".into(),
        (Some(least), Some(most)) if least == most => format!("an array of {least} values"),
        (least, Some(most)) => format!("an array of {} to {most} values", least.unwrap_or(0)),
        (Some(least), None) => format!("an array of at least {least} values"),
    }
}

/// The bounds of a number as an interval, with a word before it; empty where there is none.
fn range(schema: &Value) -> String {
    let (low, high) = schema["format"]
        .as_str()
        .and_then(integer_range)
        .map_or((None, None), |(low, high)| (Some(format!("[{low}")), Some(format!("{high}]"))));
    let bound = |key: &str| schema[key].as_number().map(number);
    let exclusive_low = bound("exclusiveMinimum").map(|bound| format!("({bound}"));
    let exclusive_high = bound("exclusiveMaximum").map(|bound| format!("{bound})"));
    let low = exclusive_low.or(bound("minimum").map(|bound| format!("[{bound}"))).or(low);
    let high = exclusive_high.or(bound("maximum").map(|bound| format!("{bound}]"))).or(high);
    match (low, high) {
        (None, None) => String::new(),
        (low, high) => format!(" in {}, {}", low.unwrap_or("(-∞".into()), high.unwrap_or("∞)".into())),
    }
}

/// What was found, short enough for a message.
pub fn found(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".into(),
        Value::Array(array) => format!("an array of {} values", array.len()),
        Value::String(text) if text.chars().count() > LONGEST => {
            let (start, rest) = text.split_at(text.char_indices().nth(LONGEST).map_or(0, |(position, _)| position));
            format!("{start:?} and {} more bytes", rest.len())
        }
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

/// A number without a needless `.0`.
fn number(value: &Number) -> String {
    match value.as_f64() {
        Some(real) if value.is_f64() && real.fract() == 0.0 && real.abs() < 1e15 => format!("{real:.0}"),
        _ => value.to_string(),
    }
}

/// `"a", "b" or "c"`.
pub fn choice(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    match quoted.split_last() {
        None => "nothing".into(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

/// A hint at the known name that was probably meant, or at all of them.
pub fn hint(name: &str, known: &[&str]) -> String {
    let length = name.chars().count();
    let near = |candidate: &&&str| length <= 64 && distance(name, candidate) <= length.clamp(2, 6) / 2;
    match known.iter().filter(near).min_by_key(|candidate| distance(name, candidate)) {
        Some(nearest) => format!("did you mean {nearest:?}?"),
        None => format!("known here: {}", choice(known)),
    }
}

/// Letters to insert, remove, replace or swap with the next one to come from one word to another.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let swapped = match i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                true => rows[i - 2][j - 2] + 1,
                false => usize::MAX,
            };
            row.push(replaced.min(swapped).min(rows[i - 1][j] + 1).min(row[j - 1] + 1));
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn distances_count_edits() {
        for (from, to, edits) in [
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("algorthm", "algorithm", 1),
            ("sedd", "seed", 1),
            ("sft", "dpo", 3),
            ("ab", "ba", 1),
        ] {
            assert_eq!(distance(from, to), edits, "{from} {to}");
        }
    }

    #[test]
    fn a_hint_is_the_nearest_name_or_all_names() {
        let known = ["seed", "samples", "stop", "top_p"];
        assert_eq!(hint("sede", &known), "did you mean \"seed\"?");
        assert_eq!(hint("quality", &known), "known here: \"seed\", \"samples\", \"stop\" or \"top_p\"");
        assert_eq!(hint("", &[]), "known here: nothing");
    }

    #[test]
    fn ranges_are_intervals() {
        let nouns = [
            (json!({"type": "number", "exclusiveMinimum": 0.0, "maximum": 1.0}), "a number in (0, 1]"),
            (json!({"type": "number", "minimum": 0.5}), "a number in [0.5, ∞)"),
            (json!({"type": "number", "exclusiveMaximum": 1}), "a number in (-∞, 1)"),
            (json!({"type": ["integer", "null"], "format": "uint8", "minimum": 1}), "an integer in [1, 255] or null"),
            (json!({"type": "integer", "format": "int32"}), "an integer in [-2147483648, 2147483647]"),
            (json!({"type": "array", "minItems": 2, "maxItems": 2}), "an array of 2 values"),
            (json!({}), "a value"),
        ];
        for (schema, expected) in nouns {
            assert_eq!(noun(&schema), expected);
        }
    }

    #[test]
    fn what_was_found_stays_short() {
        assert_eq!(found(&json!("é".repeat(50))), format!("{:?} and 20 more bytes", "é".repeat(40)));
        assert_eq!(found(&json!(-1.0)), "-1.0");
        assert_eq!(found(&json!(1e300)), "1e+300");
        assert_eq!(found(&json!([1, 2])), "an array of 2 values");
    }
}

//! The safetensors format: bytes to a checked table of tensors, and back to a header.
//!
//! Touches no file. Refuses every header that lies: about its own length, about offsets, shapes, kinds or names, each in
//! a sentence that names the tensor. Allocates nothing by a length that the bytes do not bear out.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{json, Map, Value};
use std::collections::HashSet;
use tch::Kind;

/// Longer headers are refused, as the reference implementation does.
const LONGEST_HEADER: u64 = 100_000_000;

/// One tensor of a file; `begin..end` are byte offsets in the file's data section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    /// The kind as the file spells it.
    pub dtype: String,
    pub shape: Vec<i64>,
    pub begin: usize,
    pub end: usize,
}

impl Entry {
    /// The kind in tensors, if weights may have it.
    pub fn kind(&self) -> Option<Kind> {
        match self.dtype.as_str() {
            "F32" => Some(Kind::Float),
            "BF16" => Some(Kind::BFloat16),
            "F16" => Some(Kind::Half),
            _ => None,
        }
    }
}

/// The tensors of a file and where its data section starts; the error is a sentence without the file's name.
pub(super) fn parse(bytes: &[u8]) -> Result<(Vec<Entry>, usize), String> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(format!("expected a safetensors file, got {} bytes", bytes.len()));
    };
    let length = u64::from_le_bytes(*length);
    if length > LONGEST_HEADER || length > rest.len() as u64 {
        return Err(format!(
            "the header claims {length} bytes, but {} follow (truncated, or not safetensors)",
            rest.len()
        ));
    }
    let (header, data) = rest.split_at(length as usize);
    let header: Header = serde_json::from_slice(header).map_err(|error| format!("the header is no JSON: {error}"))?;
    let mut names = HashSet::new();
    let mut entries = Vec::with_capacity(header.0.len());
    for (name, value) in header.0.iter().filter(|(name, _)| name != "__metadata__") {
        if !names.insert(name.as_str()) {
            return Err(format!("tensor \"{name}\": appears twice in the header"));
        }
        entries.push(entry(name, value, data.len()).map_err(|sentence| format!("tensor \"{name}\": {sentence}"))?);
    }
    check_coverage(&mut entries, data.len())?;
    Ok((entries, 8 + length as usize))
}

/// The length and header of a file that holds `tensors` (name, dtype, shape, bytes) in this order.
pub(super) fn header(tensors: &[(String, &str, Vec<i64>, usize)]) -> Vec<u8> {
    let mut map = Map::new();
    map.insert("__metadata__".into(), json!({"format": "pt"}));
    let mut begin = 0;
    for (name, dtype, shape, size) in tensors {
        map.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + size]}));
        begin += size;
    }
    let mut text = Value::Object(map).to_string().into_bytes();
    // the data section starts aligned, so that a reader may map it in place
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut text);
    bytes
}

fn entry(name: &str, value: &Value, available: usize) -> Result<Entry, String> {
    let dtype = value["dtype"].as_str().ok_or("has no dtype")?;
    let width = width(dtype).ok_or_else(|| format!("unknown dtype {}", shortened(dtype)))?;
    let shape = sizes(&value["shape"]).ok_or("its shape is not a list of sizes")?;
    let offsets = sizes(&value["data_offsets"]).ok_or("its data_offsets are not two offsets")?;
    let &[begin, end] = offsets.as_slice() else {
        return Err("its data_offsets are not two offsets".into());
    };
    if begin > end || end as u64 > available as u64 {
        return Err(format!("its offsets {begin}..{end} lie outside the {available} bytes of data (truncated?)"));
    }
    let bytes = shape.iter().try_fold(width, |product, size| product.checked_mul(*size));
    if bytes != Some(end - begin) {
        return Err(format!("{dtype} of shape {shape:?} does not fill its offsets {begin}..{end}"));
    }
    let (begin, end) = (begin as usize, end as usize);
    Ok(Entry { name: name.to_string(), dtype: dtype.to_string(), shape, begin, end })
}

/// Each byte of the data section belongs to exactly one tensor.
fn check_coverage(entries: &mut [Entry], available: usize) -> Result<(), String> {
    entries.sort_by_key(|entry| (entry.begin, entry.end));
    let mut covered = 0;
    for entry in entries.iter() {
        if entry.begin < covered {
            return Err(format!("tensor \"{}\": its offsets overlap those of another tensor", entry.name));
        }
        if entry.begin > covered {
            return Err(format!(
                "tensor \"{}\": the bytes {covered}..{} before it are nobody's",
                entry.name, entry.begin
            ));
        }
        covered = entry.end;
    }
    match covered == available {
        true => Ok(()),
        false => Err(format!("the tensors take {covered} bytes, but {available} follow the header")),
    }
}

fn width(dtype: &str) -> Option<i64> {
    match dtype {
        "BOOL" | "U8" | "I8" | "F8_E4M3" | "F8_E5M2" => Some(1),
        "I16" | "U16" | "F16" | "BF16" => Some(2),
        "I32" | "U32" | "F32" => Some(4),
        "I64" | "U64" | "F64" => Some(8),
        _ => None,
    }
}

fn sizes(value: &Value) -> Option<Vec<i64>> {
    value.as_array()?.iter().map(|size| size.as_i64().filter(|size| *size >= 0)).collect()
}

fn shortened(text: &str) -> String {
    text.chars().take(32).collect()
}

/// A JSON object whose keys are kept in order, twice if they are there twice.
struct Header(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Header, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Header;

            fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
                formatter.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Header(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let written = header(&[("a".into(), "F32", vec![2, 3], 24), ("b".into(), "BF16", vec![4], 8)]);
        let mut bytes = written.clone();
        bytes.resize(written.len() + 32, 0);
        let (entries, start) = parse(&bytes).unwrap();
        assert_eq!((start, start % 8), (written.len(), 0));
        let table: Vec<_> =
            entries.iter().map(|e| (e.name.as_str(), e.kind(), e.shape.clone(), e.begin, e.end)).collect();
        assert_eq!(table[0], ("a", Some(Kind::Float), vec![2, 3], 0, 24));
        assert_eq!(table[1], ("b", Some(Kind::BFloat16), vec![4], 24, 32));
    }

    #[test]
    fn lies_are_named() {
        let one = |shape: &str, offsets: &str| {
            format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
        };
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (vec![1, 2, 3], "got 3 bytes"),
            ((1u64 << 63).to_le_bytes().to_vec(), "claims 9223372036854775808 bytes"),
            (file("{", 0), "no JSON"),
            (file("[]", 0), "no JSON"),
            (file(&one("[2]", "[0,8]"), 7), "lie outside the 7 bytes"),
            (file(&one("[2]", "[8,0]"), 8), "lie outside"),
            (file(&one("[3]", "[0,8]"), 8), "does not fill"),
            (file(&one("[4611686018427387904,4]", "[0,8]"), 8), "does not fill"),
            (file(&one("[-2]", "[0,8]"), 8), "not a list of sizes"),
            (file(&one("[2]", "[0]"), 8), "not two offsets"),
            (file(&one("[2]", "[4,12]"), 12), "are nobody's"),
            (file(&one("[2]", "[0,8]"), 12), "but 12 follow"),
            (file(r#"{"w":{"dtype":"Q9","shape":[2],"data_offsets":[0,8]}}"#, 8), "unknown dtype Q9"),
            (file(r#"{"w":7}"#, 0), "has no dtype"),
            (
                file(
                    r#"{"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"w":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}"#,
                    4,
                ),
                "twice",
            ),
            (
                file(
                    r#"{"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"v":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
                    3,
                ),
                "overlap",
            ),
        ];
        for (bytes, expected) in cases {
            let sentence = parse(&bytes).unwrap_err();
            assert!(sentence.contains(expected), "{sentence} / {expected}");
        }
    }
}

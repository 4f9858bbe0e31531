//! Directories that are empty, half-written or lie: a status and a sentence that names the file and the tensor.

use crate::golden::*;
use keel::config::{Create, Load};
use keel::error::Status;
use keel::model::Model;
use serde_json::{json, Value};
use std::fs;
use std::path::Path;

type Damage = Box<dyn Fn(&Path)>;

fn tiny(path: &Path, tied: bool) {
    let config = json!({"model_type": "llama", "vocab_size": 8, "hidden_size": 4, "num_hidden_layers": 1,
        "num_attention_heads": 1, "intermediate_size": 4, "max_position_embeddings": 16, "tie_word_embeddings": tied});
    Model::create(&Create { config, ..Create::default() }).unwrap().save(path).unwrap();
}

/// Rewrites the header of model.safetensors; `data` is what follows it.
fn header(path: &Path, change: impl Fn(&mut Value, &mut Vec<u8>)) {
    let file = path.join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut data = bytes[8 + length..].to_vec();
    change(&mut header, &mut data);
    let text = header.to_string();
    let mut changed = (text.len() as u64).to_le_bytes().to_vec();
    changed.extend(text.as_bytes());
    changed.extend(data);
    fs::write(file, changed).unwrap();
}

fn config(key: &'static str, value: Value) -> Damage {
    Box::new(move |path| {
        let mut config: Value = serde_json::from_slice(&fs::read(path.join("config.json")).unwrap()).unwrap();
        config[key] = value.clone();
        fs::write(path.join("config.json"), config.to_string()).unwrap();
    })
}

fn write(file: &'static str, content: &'static [u8]) -> Damage {
    Box::new(move |path| fs::write(path.join(file), content).unwrap())
}

fn remove(file: &'static str) -> Damage {
    Box::new(move |path| fs::remove_file(path.join(file)).unwrap())
}

fn edit(change: impl Fn(&mut Value, &mut Vec<u8>) + 'static) -> Damage {
    Box::new(move |path| header(path, &change))
}

fn cut(keep: fn(usize) -> usize) -> Damage {
    Box::new(move |path| {
        let file = path.join("model.safetensors");
        let bytes = fs::read(&file).unwrap();
        fs::write(file, &bytes[..keep(bytes.len())]).unwrap();
    })
}

/// Moves the single file to the name of a shard and writes an index.
fn index(map: impl Fn(&str) -> Option<Value> + 'static, extra: Option<(&'static str, &'static str)>) -> Damage {
    Box::new(move |path| {
        let mut names = Vec::new();
        let bytes = fs::read(path.join("model.safetensors")).unwrap();
        names.extend(safetensors::SafeTensors::deserialize(&bytes).unwrap().names().iter().map(|n| n.to_string()));
        let mut weight_map: serde_json::Map<String, Value> =
            names.iter().filter_map(|name| Some((name.clone(), map(name)?))).collect();
        if let Some((name, file)) = extra {
            weight_map.insert(name.into(), file.into());
        }
        fs::rename(path.join("model.safetensors"), path.join("one.safetensors")).unwrap();
        fs::write(path.join("model.safetensors.index.json"), json!({"weight_map": weight_map}).to_string()).unwrap();
    })
}

const NORM: &str = "model.norm.weight";

fn weights() -> Vec<(Damage, Status, &'static str)> {
    let rename = |from: &'static str, to: &'static str| {
        edit(move |header, _| {
            let entry = header.as_object_mut().unwrap().remove(from).unwrap();
            header[to] = entry;
        })
    };
    vec![
        (remove("model.safetensors"), Status::File, "model.safetensors: missing, and so is"),
        (
            write("model.safetensors", b""),
            Status::Format,
            "model.safetensors: expected a safetensors file, got 0 bytes",
        ),
        (write("model.safetensors", &[255; 8]), Status::Format, "claims 18446744073709551615 bytes"),
        (
            write("model.safetensors", &[0, 0, 0, 0, 0, 0, 0, 128, 1]),
            Status::Format,
            "claims 9223372036854775808 bytes",
        ),
        (write("model.safetensors", b"\x10\0\0\0\0\0\0\0{\"a\":"), Status::Format, "claims 16 bytes, but 5 follow"),
        (write("model.safetensors", b"\x02\0\0\0\0\0\0\0{]"), Status::Format, "the header is no JSON"),
        (cut(|length| length - 1), Status::Format, "lie outside"),
        (cut(|length| length / 2), Status::Format, "(truncated"),
        (edit(|_, data| data.push(0)), Status::Format, "follow the header"),
        (
            edit(|header, _| header[NORM]["shape"] = json!([5])),
            Status::Format,
            "tensor \"model.norm.weight\": F32 of shape [5]",
        ),
        (
            edit(|header, _| header[NORM]["shape"] = json!([2, 2])),
            Status::Format,
            "\"model.norm.weight\": expected shape [4], got [2, 2]",
        ),
        (edit(|header, _| header[NORM]["shape"] = json!([1i64 << 62, 1i64 << 62])), Status::Format, "does not fill"),
        (
            edit(|header, _| header[NORM]["dtype"] = json!("I32")),
            Status::Format,
            "\"model.norm.weight\": expected F32, BF16 or F16, got I32",
        ),
        (edit(|header, _| header[NORM]["dtype"] = json!("F99")), Status::Format, "unknown dtype F99"),
        (edit(|header, _| header[NORM]["data_offsets"] = json!([0, 16])), Status::Format, "overlap"),
        (
            edit(|header, _| header[NORM]["data_offsets"] = json!([1e300, 16])),
            Status::Format,
            "data_offsets are not two offsets",
        ),
        (
            rename(NORM, "model.norm.gain"),
            Status::Format,
            "tensor \"model.norm.gain\": this Llama has no such parameter",
        ),
        (rename("lm_head.weight", "model.rotary_emb.inv_freq"), Status::Format, "tensor \"lm_head.weight\": missing"),
        (
            config("num_hidden_layers", json!(2)),
            Status::Format,
            "tensor \"model.layers.1.self_attn.q_proj.weight\": missing, and 8 more",
        ),
        (
            config("intermediate_size", json!(6)),
            Status::Format,
            "\"model.layers.0.mlp.gate_proj.weight\": expected shape [6, 4], got [4, 4]",
        ),
        (config("vocab_size", json!(1i64 << 30)), Status::Format, "expected shape [1073741824, 4], got [8, 4]"),
        (
            index(|_| Some("one.safetensors".into()), Some(("ghost", "one.safetensors"))),
            Status::Format,
            "one.safetensors: tensor \"ghost\": missing, the index",
        ),
        (index(|_| Some("two.safetensors".into()), None), Status::File, "two.safetensors: No such file"),
        (
            index(|name| (name != NORM).then(|| "one.safetensors".into()), None),
            Status::Format,
            "tensor \"model.norm.weight\": the index does not name it",
        ),
        (
            index(|_| Some("../one.safetensors".into()), None),
            Status::Format,
            "expected a file in this directory, got \"../one.safetensors\"",
        ),
        (index(|_| Some(json!(7)), None), Status::Format, "expected a file name"),
    ]
}

fn documents() -> Vec<(Damage, Status, &'static str)> {
    vec![
        (remove("config.json"), Status::File, "config.json: missing"),
        (write("config.json", b""), Status::Format, "config.json: EOF"),
        (write("config.json", b"{\"model_type\": \"llama\""), Status::Format, "config.json: EOF"),
        (write("config.json", b"[]"), Status::Format, "config.json: expected a JSON object"),
        (write("config.json", b"\xff\xfe"), Status::Format, "config.json: "),
        (write("config.json", b"{}"), Status::Format, "config.json: model_type: missing"),
        (
            config("model_type", json!("mamba")),
            Status::Unsupported,
            "model_type: keel computes \"llama\" or \"gpt2\", got \"mamba\"",
        ),
        (config("hidden_act", json!("quick_gelu")), Status::Unsupported, "hidden_act"),
        (config("rope_scaling", json!({"type": "yarn", "factor": 2})), Status::Unsupported, "rope_type"),
        (config("rope_scaling", json!({"rope_type": "linear"})), Status::Format, "rope_scaling: factor: missing"),
        (
            config("hidden_size", json!(-4)),
            Status::Format,
            "hidden_size: expected a positive integer below 2^31, got -4",
        ),
        (config("hidden_size", json!("4")), Status::Format, "hidden_size: expected a positive integer"),
        (config("hidden_size", Value::Null), Status::Format, "hidden_size: missing"),
        (config("num_hidden_layers", json!(1i64 << 30)), Status::Format, "num_hidden_layers: expected 1 to 4096"),
        (config("num_attention_heads", json!(3)), Status::Format, "hidden_size: expected a multiple"),
        (config("head_dim", json!(3)), Status::Format, "head_dim: expected an even number"),
        (config("num_key_value_heads", json!(2)), Status::Format, "num_key_value_heads: expected a divisor"),
        (config("rms_norm_eps", json!(0)), Status::Format, "rms_norm_eps: expected a positive number, got 0"),
        (config("vocab_size", json!((1i64 << 31) - 1)), Status::Format, "expected shape"),
        (config("eos_token_id", json!(8)), Status::Format, "eos_token_id: expected ids from 0 to 7, got 8"),
        (config("eos_token_id", json!([1, -1])), Status::Format, "eos_token_id"),
        (write("tokenizer.json", b"{}"), Status::Format, "tokenizer.json: "),
        (write("generation_config.json", b"nonsense"), Status::Format, "generation_config.json: "),
        (write("chat_template.jinja", b"\xff"), Status::Format, "chat_template.jinja: not UTF-8"),
    ]
}

fn check(cases: Vec<(Damage, Status, &str)>, name: &str) {
    for (damage, status, sentence) in cases {
        let directory = Folder::new(name);
        tiny(&directory.0, false);
        Model::load(&directory.0, &Load::default()).unwrap();
        damage(&directory.0);
        let error = Model::load(&directory.0, &Load::default()).err().unwrap_or_else(|| panic!("{sentence}: loads"));
        assert!(error.message.contains(sentence), "{} / {sentence}", error.message);
        assert!(error.message.contains(directory.0.to_str().unwrap()), "{}", error.message);
        assert_eq!(error.status, status, "{}", error.message);
    }
}

#[test]
fn weights_that_lie_are_refused() {
    check(weights(), "weights");
}

#[test]
fn documents_that_lie_are_refused() {
    check(documents(), "documents");
}

#[test]
fn a_directory_must_be_one() {
    let error = |path: &str| Model::load(Path::new(path), &Load::default()).err().unwrap();
    assert_eq!(error("/nowhere/at/all").status, Status::File);
    let file = folder("models/llama/config.json");
    assert!(error(file.to_str().unwrap()).message.ends_with("expected a model directory, found none"));
    let empty = Folder::new("empty");
    assert!(error(empty.0.to_str().unwrap()).message.contains("config.json: missing"));
}

#[test]
fn every_truncation_of_a_file_is_refused() {
    let directory = Folder::new("truncations");
    tiny(&directory.0, true);
    let file = directory.0.join("model.safetensors");
    let whole = fs::read(&file).unwrap();
    for length in (0..whole.len()).step_by(7) {
        fs::write(&file, &whole[..length]).unwrap();
        let error = Model::load(&directory.0, &Load::default()).err().expect("half a file loads");
        assert_eq!(error.status, Status::Format, "{}", error.message);
    }
}

#[test]
fn a_tied_head_may_be_repeated_but_not_differ() {
    let directory = Folder::new("tied");
    tiny(&directory.0, true);
    let add_head = |change: u8| {
        header(&directory.0, move |header, data| {
            let end = data.len();
            let embedding: Vec<usize> =
                serde_json::from_value(header["model.embed_tokens.weight"]["data_offsets"].clone()).unwrap();
            let mut head = data[embedding[0]..embedding[1]].to_vec();
            head[2] ^= change;
            header["lm_head.weight"] =
                json!({"dtype": "F32", "shape": [8, 4], "data_offsets": [end, end + head.len()]});
            data.extend(head);
        });
    };
    add_head(0);
    assert!(Model::load(&directory.0, &Load::default()).is_ok());
    tiny(&directory.0, true);
    add_head(1);
    let error = Model::load(&directory.0, &Load::default()).err().unwrap();
    assert!(error.message.contains("tensor \"lm_head.weight\": differs from the embedding"), "{}", error.message);
}

#[test]
fn names_may_lack_the_prefix_and_buffers_are_passed_over() {
    let source = folder("models/gpt2");
    let directory = Folder::new("bare");
    for file in ["config.json", "model.safetensors"] {
        fs::copy(source.join(file), directory.0.join(file)).unwrap();
    }
    header(&directory.0, |header, data| {
        let object = std::mem::take(header.as_object_mut().unwrap());
        let bare = |name: String| name.trim_start_matches("transformer.").to_string();
        let mut renamed: serde_json::Map<String, Value> =
            object.into_iter().map(|(name, entry)| (bare(name), entry)).collect();
        for (name, dtype, size) in [("h.0.attn.bias", "BOOL", 4), ("h.0.attn.masked_bias", "F32", 4)] {
            let shape = if dtype == "BOOL" { json!([1, 1, 2, 2]) } else { json!([]) };
            renamed.insert(
                name.into(),
                json!({"dtype": dtype, "shape": shape, "data_offsets": [data.len(), data.len() + size]}),
            );
            data.extend(vec![0; size]);
        }
        *header = Value::Object(renamed);
    });
    let bare = Model::load(&directory.0, &Load::default()).unwrap();
    assert!(bare.weights().data().equal(&load("models/gpt2").weights().data()));
}

//! What hosts get for right and wrong configurations, and that the schemas say enough.

use super::*;
use crate::error::Status;
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use std::collections::BTreeMap;

/// A configuration with every shape that the rooms use.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Whole {
    /// A choice between objects.
    algorithm: Option<Method>,
    /// An object.
    optimizer: Optimizer,
    /// An object that may be absent.
    sampling: Option<Generate>,
    /// A choice between names that may be absent.
    dtype: Option<Dtype>,
    /// Small and signed.
    level: i8,
    /// Named numbers.
    weights: BTreeMap<String, u32>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Method {
    Sft(Sft),
    Ppo { clip_range: f64 },
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Sft {
    #[schemars(range(min = 1))]
    batch_size: u32,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Empty {}

fn refusal<T: DeserializeOwned + JsonSchema>(text: &str) -> String {
    let error = parse::<T>(Some(text.as_bytes())).err().expect("a refusal");
    assert_eq!(error.status, Status::Config, "{}", error.message);
    error.message
}

#[test]
fn no_text_means_all_defaults() {
    let runtime: Runtime = parse(None).unwrap();
    assert_eq!((runtime.cuda, runtime.event_capacity, runtime.memory.host_bytes), (CudaPolicy::Auto, 1024, None));
    assert_eq!((runtime.learner_threads.count, runtime.learner_threads.priority), (4, Priority::Low));
    assert!(!runtime.allow_torchscript);
    assert_eq!(parse::<Generate>(Some(b"")).unwrap(), Generate::default());
    assert_eq!(parse::<Optimizer>(Some(b"{}")).unwrap().betas, [0.9, 0.999]);
    assert_eq!(parse::<Load>(None).unwrap(), Load { dtype: Dtype::Float32, ..Load::default() });
}

#[test]
fn what_is_written_out_reads_back_the_same() {
    let text = r#"{"algorithm": {"type": "sft", "batch_size": 4}, "level": -3, "weights": {"a": 1}, "dtype": "auto",
        "optimizer": {"learning_rate": 1, "schedule": {"type": "cosine", "total_steps": 10}}, "sampling": {"seed": 18446744073709551615}}"#;
    let whole: Whole = parse(Some(text.as_bytes())).unwrap();
    assert_eq!(whole.algorithm, Some(Method::Sft(Sft { batch_size: 4 })));
    assert_eq!(whole.sampling.as_ref().unwrap().seed, u64::MAX);
    let schedule = Schedule::Cosine { warmup_steps: 0, total_steps: 10, final_ratio: 0.0 };
    assert_eq!(whole.optimizer.schedule, schedule);
    assert_eq!(parse::<Whole>(Some(&serde_json::to_vec(&whole).unwrap())).unwrap(), whole);
    let nothing = r#"{"algorithm": null, "sampling": null, "dtype": null}"#;
    assert_eq!(parse::<Whole>(Some(nothing.as_bytes())).unwrap(), Whole::default());
}

#[test]
fn a_key_that_nobody_knows_is_refused_with_the_nearest_one() {
    assert_eq!(refusal::<Whole>(r#"{"algorthm": 1}"#), r#"/algorthm: unknown key; did you mean "algorithm"?"#);
    assert_eq!(
        refusal::<Whole>(r#"{"optimizer": {"schedule": {"type": "constant", "total_steps": 3}}}"#),
        r#"/optimizer/schedule/total_steps: unknown key; known here: "type" or "warmup_steps""#
    );
    assert_eq!(
        refusal::<Whole>(r#"{"algorithm": {"type": "ppo", "clip_rage": 1}}"#).split(':').next(),
        Some("/algorithm/clip_rage")
    );
    assert_eq!(refusal::<Empty>(r#"{"x": 1}"#), "/x: unknown key; known here: nothing");
    assert_eq!(refusal::<Load>(r#"{"x": 1}"#), r#"/x: unknown key; known here: "dtype" or "device""#);
}

#[test]
fn a_value_out_of_range_is_refused_with_the_range() {
    let cases = [
        (r#"{"optimizer": {"learning_rate": -1}}"#, "/optimizer/learning_rate: expected a number in (0, 1], got -1"),
        (r#"{"optimizer": {"learning_rate": 0}}"#, "/optimizer/learning_rate: expected a number in (0, 1], got 0"),
        (r#"{"optimizer": {"betas": [0.9, 1.0]}}"#, "/optimizer/betas/1: expected a number in [0, 1), got 1.0"),
        (
            r#"{"optimizer": {"betas": [0.9]}}"#,
            "/optimizer/betas: expected an array of 2 values, got an array of 1 values",
        ),
        (
            r#"{"sampling": {"max_new_tokens": 0}}"#,
            "/sampling/max_new_tokens: expected an integer in [1, 1048576], got 0",
        ),
        (
            r#"{"sampling": {"stop_tokens": [2147483648]}}"#,
            "/sampling/stop_tokens/0: expected an integer in [0, 2147483647], got 2147483648",
        ),
        (r#"{"sampling": {"stop": ["a", ""]}}"#, "/sampling/stop/1: expected a text that is not empty, got \"\""),
        (r#"{"level": -129}"#, "/level: expected an integer in [-128, 127], got -129"),
        (r#"{"weights": {"a/b": -1}}"#, "/weights/a~1b: expected an integer in [0, 4294967295], got -1"),
        (
            r#"{"sampling": {"seed": 18446744073709551616}}"#,
            "/sampling/seed: expected an integer in [0, 18446744073709551615], got 1.8446744073709552e+19",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal::<Whole>(text), expected);
    }
    assert!(parse::<Generate>(Some(br#"{"temperature": -0.0, "top_p": 1}"#)).is_ok());
}

#[test]
fn a_value_of_another_type_is_refused_with_the_type() {
    let cases = [
        ("[]", "the configuration: expected an object, got an array of 0 values"),
        (r#"{"optimizer": null}"#, "/optimizer: expected an object, got null"),
        (r#"{"sampling": {"seed": 1.0}}"#, "/sampling/seed: expected an integer in [0, 18446744073709551615], got 1.0"),
        (r#"{"sampling": 3}"#, "/sampling: expected an object or null, got 3"),
        (r#"{"sampling": {"ignore_eos": "yes"}}"#, "/sampling/ignore_eos: expected true or false, got \"yes\""),
        (r#"{"sampling": {"stop": "a"}}"#, "/sampling/stop: expected an array, got \"a\""),
        (r#"{"dtype": "float23"}"#, r#"/dtype: expected "float32", "bfloat16" or "auto" or null, got "float23""#),
        (r#"{"weights": []}"#, "/weights: expected an object, got an array of 0 values"),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal::<Whole>(text), expected);
    }
    let expected = r#"/dtype: expected "float32", "bfloat16" or "auto", got "float23"; did you mean "float32"?"#;
    assert_eq!(refusal::<Load>(r#"{"dtype": "float23"}"#), expected);
    assert_eq!(
        refusal::<Load>(r#"{"device": "gpu"}"#),
        r#"/device: expected a device, "cpu", "cuda" or "cuda:0" to "cuda:255", got "gpu""#
    );
}

#[test]
fn a_choice_between_objects_goes_by_its_type() {
    let cases = [
        (r#"{"algorithm": {}}"#, r#"/algorithm/type: required and missing; expected "sft" or "ppo""#),
        (
            r#"{"algorithm": {"type": "pppo"}}"#,
            r#"/algorithm/type: expected "sft" or "ppo", got "pppo"; did you mean "ppo"?"#,
        ),
        (r#"{"algorithm": {"type": 1}}"#, r#"/algorithm/type: expected "sft" or "ppo", got 1"#),
        (r#"{"algorithm": {"type": "ppo"}}"#, "/algorithm/clip_range: required and missing; expected a number"),
        (
            r#"{"algorithm": {"type": "sft", "batch_size": 0}}"#,
            "/algorithm/batch_size: expected an integer in [1, 4294967295], got 0",
        ),
        (r#"{"algorithm": "sft"}"#, "/algorithm: expected an object or null, got \"sft\""),
        (r#"{"optimizer": {"schedule": "linear"}}"#, "/optimizer/schedule: expected an object, got \"linear\""),
        (
            r#"{"optimizer": {"schedule": {"type": "linear"}}}"#,
            "/optimizer/schedule/total_steps: required and missing; expected an integer in [1, 18446744073709551615]",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal::<Whole>(text), expected);
    }
}

#[test]
fn a_model_is_made_of_an_architecture() {
    assert_eq!(refusal::<Create>(""), "/config: required and missing; expected an object");
    let text =
        r#"{"config": {"model_type": "llama", "nested": {"any": [1]}}, "tokenizer": null, "initialization": "fan_in"}"#;
    let create: Create = parse(Some(text.as_bytes())).unwrap();
    assert_eq!(create.config["nested"], json!({"any": [1]}));
    assert_eq!((create.seed, create.initialization, create.device.as_str()), (0, Initialization::FanIn, "cpu"));
    let twice = r#"{"config": {"layers": 1, "layers": 2}}"#;
    assert!(refusal::<Create>(twice).starts_with("/config/layers: the key appears twice"));
}

#[test]
fn of_several_faults_always_the_same_is_reported() {
    let text = r#"{"level": 900, "optimizer": {"epsilon": 7}, "levle": 1, "x": 2}"#;
    assert_eq!(refusal::<Whole>(text), r#"/levle: unknown key; did you mean "level"?"#);
    let text = r#"{"optimizer": {"weight_decay": 9, "epsilon": 7}, "level": 900}"#;
    assert!(refusal::<Whole>(text).starts_with("/optimizer/weight_decay: "));
}

/// A keyword that the walk does not know must not pass unnoticed.
#[test]
fn a_schema_that_asks_for_more_than_is_checked_is_an_internal_error() {
    let error = validate::check(&json!({"type": "string", "pattern": "^a"}), &json!("b")).unwrap_err();
    assert_eq!(error.status, Status::Internal);
    let error = validate::check(&json!({"$ref": "#/$defs/Gone"}), &json!("b")).unwrap_err();
    assert_eq!((error.status, error.message.as_str()), (Status::Internal, "the schema has no #/$defs/Gone"));
}

fn properties<'s>(schema: &'s Value, found: &mut Vec<(&'s String, &'s Value)>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                found.extend(properties);
            }
            members.values().for_each(|value| properties(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| properties(value, found)),
        _ => {}
    }
}

#[test]
fn every_setting_is_described_and_has_a_default_or_is_required() {
    let schemas =
        [schema::<Runtime>(), schema::<Load>(), schema::<Create>(), schema::<Generate>(), schema::<Optimizer>()];
    let mut found = Vec::new();
    schemas.iter().for_each(|schema| properties(schema, &mut found));
    assert!(found.len() >= 30, "{}", found.len());
    for (name, property) in found {
        let described = property["description"].as_str().is_some_and(|text| text.len() > 10);
        assert!(described || property["const"].is_string(), "{name}: {property}");
        let settled = property.get("default").is_some() || ["type", "config", "total_steps"].contains(&name.as_str());
        assert!(settled, "{name}: {property}");
    }
    for schema in schemas {
        let defaults: serde_json::Map<String, Value> = schema["properties"]
            .as_object()
            .unwrap()
            .iter()
            .filter_map(|(key, property)| Some((key.clone(), property.get("default")?.clone())))
            .chain((schema["title"] == "Create").then(|| ("config".to_string(), json!({}))))
            .collect();
        validate::check(&schema, &Value::Object(defaults)).unwrap();
    }
}

//! Each preset is what docs/algorithms.md says that its library publishes.

use crate::hosts::*;
use keel::model::AnyModel;
use keel::session::Config;
use serde_json::{json, Value};

/// The table of presets in the documentation: for each library, its settings and their numbers.
fn table() -> Vec<(String, Vec<(String, String)>)> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/algorithms.md")).unwrap();
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_string()).collect()
    };
    let mut lines = text.lines().skip_while(|line| !line.starts_with("| preset |"));
    let head = cells(lines.next().expect("the table of presets"));
    let rows: Vec<Vec<String>> = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells).collect();
    let column = |place: usize| rows.iter().map(|row| (row[0].clone(), row[place].clone())).collect();
    (1..head.len()).map(|place| (head[place].clone(), column(place))).collect()
}

/// A session's resolved configuration beside its network's.
fn resolved(preset: &str, algorithm: Value, network: Value) -> Value {
    let mut text = json!({"algorithm": {"type": "control_ppo", "preset": preset}});
    algorithm.as_object().unwrap().iter().for_each(|(key, value)| match key.as_str() {
        "optimizer" => text[key] = value.clone(),
        _ => text["algorithm"][key] = value.clone(),
    });
    let config = Config::parse(Some(text.to_string().as_bytes())).unwrap();
    let mut all = serde_json::to_value(&config).unwrap();
    let mut spec = cart_config(json!({"preset": preset}));
    network.as_object().unwrap().iter().for_each(|(key, value)| spec[key] = value.clone());
    let AnyModel::Control(policy) = policy(spec, 0) else { panic!("a control network") };
    all["network"] = Value::from(policy.spec().as_ref());
    all
}

/// Whether a cell of the table says this value.
fn says(cell: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => cell == text,
        _ => serde_json::from_str::<Value>(cell).is_ok_and(|said| match (said.as_f64(), value.as_f64()) {
            (Some(said), Some(value)) => (said - value).abs() <= 1e-4 * value.abs(),
            _ => said == *value,
        }),
    }
}

#[test]
fn presets_are_the_published_settings() {
    let table = table();
    assert_eq!(table.len(), 4);
    for (preset, rows) in table {
        assert!(rows.len() >= 30, "{preset}");
        let all = resolved(&preset, json!({}), json!({}));
        for (setting, cell) in rows {
            let value = &all[setting.split('.').next().unwrap()];
            let value = setting.split('.').skip(1).fold(value, |value, key| &value[key]);
            assert!(says(&cell, value), "{preset}: {setting}: {value}, not {cell}");
        }
        assert_eq!(all["algorithm"].get("preset"), None, "what is resolved has numbers");
    }
}

#[test]
fn what_is_written_beside_a_preset_stays() {
    let algorithm = json!({"epochs": 3, "adaptive_rate": null, "optimizer": {"schedule": {"type": "constant"}}});
    let found = resolved("cleanrl", algorithm.clone(), json!({"hidden": [8]}));
    assert_eq!((&found["algorithm"]["epochs"], &found["algorithm"]["value_coef"]), (&json!(3), &json!(0.5)));
    assert_eq!(found["optimizer"]["schedule"], json!({"type": "constant", "warmup_steps": 0}));
    assert_eq!((&found["network"]["hidden"], &found["network"]["normalize_observations"]), (&json!([8]), &json!(true)));
    let found = resolved("rsl_rl", algorithm, json!({}));
    assert_eq!(found["algorithm"]["adaptive_rate"], Value::Null);
    let part = json!({"adaptive_rate": {"target_kl": 0.02}});
    assert_eq!(resolved("rl_games", part, json!({}))["algorithm"]["adaptive_rate"]["minimum"], 1e-6);
}

#[test]
fn a_preset_that_is_none_is_refused() {
    for text in [
        r#"{"algorithm": {"type": "control_ppo", "preset": "tianshou"}}"#,
        r#"{"algorithm": {"type": "control_ppo", "preset": 3}}"#,
    ] {
        let error = Config::parse(Some(text.as_bytes())).expect_err(text);
        assert!(error.message.starts_with("/algorithm/preset: expected"), "{error}");
    }
}

#[test]
fn sessions_of_each_preset_learn() {
    for preset in ["cleanrl", "stable_baselines3", "rl_games", "rsl_rl"] {
        let session = session(json!({"preset": preset, "rollout_steps": 256}), cart_config(json!({"preset": preset})));
        let actor = keel::session::control::Actor::create(&session).unwrap();
        Carts::new(8).learn(&session, &actor);
        assert!((256.0..=264.0).contains(&metric(&session, "steps/trained")), "{preset}");
    }
}

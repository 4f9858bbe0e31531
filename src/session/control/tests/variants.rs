//! Variants of the same update against torch.autograd and torch.distributions (tests/golden/make/gen_variants.py).

use super::*;

fn read() -> (Value, HashMap<String, Tensor>) {
    let folder = format!("{}/tests/golden/variants", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(format!("{folder}/vectors.json")).unwrap();
    let tensors = Tensor::read_safetensors(format!("{folder}/vectors.safetensors")).unwrap().into_iter().collect();
    (serde_json::from_str(&text).unwrap(), tensors)
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// A session of the variant, before its update.
fn session(golden: &Golden, variant: &Value, learner: &str) -> Arc<ControlSession> {
    let mut config = golden.config(3, 4, learner);
    config["optimizer"]["learning_rate"] = variant["learning_rate"].clone();
    for (key, value) in variant["algorithm"].as_object().unwrap() {
        config["algorithm"][key] = value.clone();
    }
    config["algorithm"]["value_clip"] = json!("maximum");
    let mut spec = golden.spec().config;
    for action in &mut spec.actions {
        if let settings::Action::Continuous { low, high, .. } = action {
            let bound = |name: &str| variant[name].as_f64().map(|number| number as f32);
            (*low, *high) = (bound("low"), bound("high"));
        }
    }
    golden.session_of(Spec::new(spec).unwrap(), config)
}

#[test]
fn each_variant_is_what_autograd_and_the_published_law_make_of_it() {
    let (variants, tensors) = read();
    for (name, variant) in variants.as_object().unwrap() {
        let mut golden = Golden::read(variant["case"].as_str().unwrap());
        golden.tensors.extend(tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())));
        for learner in ["libtorch", "fused"] {
            let what = format!("{name} by {learner}");
            let session = session(&golden, variant, learner);
            golden.update(&session, golden.orders());
            let record = session.record.lock().values.clone();
            let near = |metric: &str, expected: f64| {
                let found = record.get(metric).copied().unwrap_or(0.0);
                assert!((found - expected).abs() <= 1e-4 * expected.abs(), "{what}: {metric}: {found}, not {expected}");
            };
            near("optimizer/learning_rate", *numbers(&variant["rate"]).last().unwrap());
            if variant["algorithm"]["adaptive_rate"].is_object() {
                near("policy/kl", mean(&numbers(&variant["kl"])));
            }
            near("policy/beyond_bounds", mean(&numbers(&variant["beyond"])));
            if variant["algorithm"]["gradient_clip"] == "separate" {
                let norms: Vec<_> = variant["norms"].as_array().unwrap().iter().map(numbers).collect();
                let of = |part: usize| norms.iter().map(|both| both[part]).collect::<Vec<_>>();
                near("gradient/policy_norm", mean(&of(0)));
                near("gradient/value_norm", mean(&of(1)));
            }
            let policy = session.policy().unwrap();
            assert_close(&policy.published().weights, &golden.weights(name, policy.layout()), 2e-5, &what);
        }
    }
}

//! What no script may be, and where none is allowed.

use super::*;

#[test]
fn scripts_are_refused_where_nothing_allows_them() {
    let config = cart_config(json!({"script": {"path": script("tanh")}}));
    let create = config::Create { config, ..config::Create::default() };
    refused(AnyModel::create(&create), Status::Unsupported, "{\"allow_torchscript\": true}");
    let unwilling = Runtime::create(&config::Runtime::default()).unwrap();
    refused(session_of(&unwilling, json!({}), &cart("tanh")), Status::Unsupported, "{\"allow_torchscript\": true}");
    assert!(config::parse::<config::Create>(Some(br#"{"config": {}, "allow_torchscript": true}"#)).is_err());
}

/// What a host gets that creates the script, then loads it from a folder, through the C functions.
fn through_the_boundary(runtime: &str, folder: &Path) -> [i32; 2] {
    use keel::abi::{job::*, model::*, runtime::*, status::keel_error, version::KEEL_ABI_VERSION};
    let config = json!({"config": cart_config(json!({"script": {"path": script("tanh")}}))}).to_string();
    let (folder, error) = (folder.to_str().unwrap(), &mut keel_error::default());
    let text = |text: &str| (text.as_ptr().cast(), text.len());
    let (mut made, mut model, mut job) = (0, 0, 0);
    // SAFETY: the texts and the handles' places outlive the calls.
    unsafe {
        let (json, length) = text(runtime);
        assert_eq!(keel_runtime_create(KEEL_ABI_VERSION, json, length, &mut made, error), 0);
        let (json, length) = text(&config);
        let created = keel_model_create(made, json, length, &mut model, error);
        let (path, length) = text(folder);
        assert_eq!(keel_model_load(made, path, length, std::ptr::null(), 0, &mut job, error), 0);
        let loaded = keel_job_run(job, std::ptr::null_mut(), error);
        keel_job_destroy(job);
        keel_model_destroy(model);
        keel_runtime_destroy(made);
        [created, loaded]
    }
}

#[test]
fn the_runtime_decides_for_what_hosts_create_and_load() {
    let folder = std::env::temp_dir().join(format!("keel-script-boundary-{}", std::process::id()));
    cart("tanh").save(&folder).unwrap();
    let unsupported = Status::Unsupported as i32;
    assert_eq!(through_the_boundary("{}", &folder), [unsupported; 2]);
    assert_eq!(through_the_boundary(r#"{"allow_torchscript": true}"#, &folder), [0; 2]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn modules_that_are_no_network_of_a_policy_are_refused() {
    for (name, status, says) in [
        ("alone", Status::Format, "expected (Tensor observation) -> (Tensor outputs, Tensor values)"),
        ("no_forward", Status::Format, "expected a method forward"),
        ("wide", Status::Shape, "outputs: expected float32 [1, 2], got Float [1, 3]"),
        ("column", Status::Shape, "values: expected float32 [1], got Float [1, 1]"),
        ("squeezed", Status::Shape, "values: expected float32 [1], got Float []"),
        ("double", Status::Shape, "outputs: expected float32 [1, 2], got Double"),
        ("double_weights", Status::Format, "parameter \"more\": expected dense float32, got Double"),
        ("frozen", Status::Format, "expected parameters with requires_grad"),
        ("detached", Status::Format, "outputs: expected some that the trained parameters decide"),
        ("random", Status::Format, "expected the same for the same observations"),
        ("infinite", Status::Format, "expected finite numbers"),
        ("batched", Status::Format, "expected rows by themselves"),
        ("counting", Status::Format, "expected one that changes no buffer"),
        ("tied", Status::Format, "expected memory of its own"),
        ("throwing", Status::Callback, "not today"),
        ("deep", Status::Callback, "mat1 and mat2 shapes cannot be multiplied (1x8 and 9x3)"),
    ] {
        let found = create(cart_config(json!({})), &script(&format!("refused/{name}")));
        let path = script(&format!("refused/{name}"));
        refused(
            found.map_err(|error| Error { message: format!("{}: {}", name, error.message), ..error }),
            status,
            says,
        );
        let error = create(cart_config(json!({})), &path).err().unwrap();
        assert!(error.message.starts_with(&path.display().to_string()), "{error}");
    }
    refused(create(cart_config(json!({})), Path::new("/nowhere/network.pt")), Status::File, "missing");
    refused(create(cart_config(json!({})), &std::env::temp_dir()), Status::File, "directory");
}

#[test]
fn settings_of_keels_layers_are_refused_beside_a_script() {
    let image = json!([{"type": "image", "name": "i", "height": 8, "width": 8, "channels": 1}]);
    for (more, says) in [
        (json!({"hidden": [32]}), "/hidden: expected none beside a script"),
        (json!({"activation": "relu"}), "/activation: expected none"),
        (json!({"value": "shared"}), "/value: expected none"),
        (json!({"policy_gain": 1.0}), "/policy_gain: expected none"),
        (json!({"core": {"type": "gru", "size": 4}}), "/core: expected none"),
        (json!({"observations": image}), "/observations: expected vectors and masks beside a script"),
    ] {
        refused(create(cart_config(more), &script("tanh")), Status::Config, says);
    }
}

#[test]
fn damaged_files_are_refused_and_crash_nothing() {
    let whole = std::fs::read(script("tanh")).unwrap();
    let spec = Spec::parse(&cart_config(json!({"script": {"path": "any"}}))).unwrap();
    for length in (0..whole.len()).step_by(61) {
        assert!(spec.clone().with_script(&whole[..length]).is_err(), "{length} bytes");
    }
    let mut random = 1u64;
    for _ in 0..400 {
        let mut spoiled = whole.clone();
        for _ in 0..1 + random % 4 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = (random >> 33) as usize % spoiled.len();
            spoiled[place] ^= 1 << ((random >> 20) % 8);
        }
        // a bit of a weight is no damage that anybody could see
        let _ = spec.clone().with_script(&spoiled);
    }
    assert!(spec.clone().with_script(b"PK\x03\x04 and nothing else").is_err());
    assert!(spec.with_script(&whole).is_ok());
}

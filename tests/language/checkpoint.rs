//! Models made, saved, loaded, published: the same bits everywhere, in files that transformers reads.

use crate::golden::*;
use keel::config::{Create, Dtype, Initialization, Load};
use keel::error::Status;
use keel::model::{Model, Transformer};
use safetensors::SafeTensors;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use tch::Kind;

fn tensors(path: &std::path::Path) -> BTreeMap<String, (String, Vec<usize>, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let entry = |view: safetensors::tensor::TensorView| {
        (format!("{:?}", view.dtype()), view.shape().to_vec(), view.data().to_vec())
    };
    file.tensors().into_iter().map(|(name, view)| (name, entry(view))).collect()
}

fn read(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_saved_model_holds_the_tensors_and_the_files_it_was_loaded_from() {
    for (name, dtype) in [
        ("models/llama", Dtype::Float32),
        ("models/gpt2", Dtype::Float32),
        ("models/llama_tied", Dtype::Float32),
        ("models/llama3_rope", Dtype::Auto),
        ("extras/llama_bf16", Dtype::Auto),
    ] {
        let target = Folder::new("saved");
        let model = Model::load(&folder(name), &Load { dtype, ..Load::default() }).unwrap();
        model.save(&target.0).unwrap();
        assert_eq!(tensors(&target.0.join("model.safetensors")), tensors(&folder(name).join("model.safetensors")));
        assert_eq!(read(&target.0.join("config.json")), json_file(&format!("{name}/config.json")));
        for file in ["generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
            let (ours, source) = (target.0.join(file), folder(name).join(file));
            assert_eq!(ours.exists(), source.exists(), "{file}");
            if file.ends_with("json") && source.exists() {
                assert_eq!(read(&ours), read(&source), "{file}");
            }
        }
        let files = std::fs::read_dir(&target.0).unwrap().count();
        assert_eq!(files, std::fs::read_dir(&target.0).unwrap().filter(|f| !is_temporary(f)).count());
        let again = Model::load(&target.0, &Load { dtype: Dtype::Auto, ..Load::default() }).unwrap();
        assert!(again.weights().data().equal(&model.weights().data()));
        model.save(&target.0).unwrap();
    }
}

#[test]
fn a_save_leaves_nothing_of_the_model_that_was_there() {
    let target = Folder::new("replaced");
    for name in ["models/llama", "extras/llama_sharded"] {
        for file in std::fs::read_dir(folder(name)).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), target.0.join(file.file_name())).unwrap();
        }
    }
    std::fs::write(target.0.join("notes.txt"), "the host's own").unwrap();
    std::fs::write(target.0.join("chat_template.jinja"), "{{ messages }}").unwrap();
    let config = json_file("models/llama/config.json");
    let model = Model::create(&Create { config, ..Create::default() }).unwrap();
    model.save(&target.0).unwrap();
    let again = Model::load(&target.0, &Load::default()).unwrap();
    assert!(again.tokenizer().is_none() && again.weights().data().equal(&model.weights().data()));
    for file in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors.index.json"] {
        assert!(!target.0.join(file).exists(), "{file}");
    }
    let mut names = std::fs::read_dir(&target.0).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.find(|name| name.contains("-of-")), None);
    assert!(target.0.join("notes.txt").exists());
    let written = |name: &str| target.0.join(name).metadata().unwrap().modified().unwrap();
    assert!(written("config.json") >= written("model.safetensors"));
}

fn is_temporary(file: &std::io::Result<std::fs::DirEntry>) -> bool {
    file.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp")
}

#[test]
fn bf16_loaded_as_fp32_is_saved_as_fp32() {
    let target = Folder::new("upcast");
    load("extras/llama_bf16").save(&target.0).unwrap();
    assert_eq!(read(&target.0.join("config.json"))["dtype"], "float32");
    assert!(tensors(&target.0.join("model.safetensors")).values().all(|(dtype, _, _)| dtype == "F32"));
}

#[test]
fn parts_and_data_make_the_model_again() {
    let model = load("models/gpt2");
    let data = model.weights().data();
    let copy = Model::from_parts(model.to_parts(), &data, model.device()).unwrap();
    assert!(copy.weights().data().equal(&data));
    assert_ne!(copy.weights().data().data_ptr(), data.data_ptr());
    assert_eq!(copy.info(), model.info());
    assert_eq!(copy.to_parts().tokenizer, model.to_parts().tokenizer);
    let short = data.narrow(0, 0, 100);
    assert_eq!(Model::from_parts(model.to_parts(), &short, model.device()).err().unwrap().status, Status::Shape);
}

#[test]
fn the_layout_keeps_decayed_parameters_first_and_each_aligned() {
    for name in MODELS {
        let model = load(&format!("models/{name}"));
        let layout = model.layout();
        let data = model.weights().data();
        let mut end = 0;
        for (index, slot) in layout.slots.iter().enumerate() {
            assert!(slot.offset >= end && slot.offset - end < 32 && slot.offset % 32 == 0, "{}", slot.name);
            assert_eq!(slot.decay, slot.offset < layout.decayed, "{}", slot.name);
            assert_eq!(slot.decay, slot.shape.len() == 2, "{}", slot.name);
            assert_eq!(layout.view(&data, index).size(), slot.shape);
            assert_eq!(data.narrow(0, end, slot.offset - end).abs().sum(Kind::Float).double_value(&[]), 0.0);
            end = slot.offset + slot.count();
        }
        assert!(layout.len >= end && layout.len - end < 32);
        assert_eq!(data.size(), [layout.len]);
    }
}

#[test]
fn publication_counts_and_spares_what_is_being_read() {
    let model = odd_llama(1);
    let first = model.weights();
    let transformer = Transformer::read(model.architecture(), &first).unwrap();
    let old = first.data().copy();
    assert_eq!(first.version, 0);
    let longer = tch::Tensor::cat(&[&old * 2.0, old.ones_like()], 0);
    assert_eq!(model.publish(&longer).unwrap(), 1);
    assert!(first.data().equal(&old), "a reader's snapshot stays");
    assert!(model.weights().data().equal(&(&old * 2.0)));
    drop((transformer, first));
    assert_eq!(model.publish(&old).unwrap(), 2);
    assert!(model.weights().data().equal(&old));
    assert_eq!(model.publish(&old.narrow(0, 0, 10)).unwrap_err().status, Status::Shape);
    assert_eq!(model.weights().version, 2);
}

#[test]
fn a_publication_reuses_memory_that_nobody_reads() {
    let model = odd_llama(1);
    let data = load("models/llama").weights().data().zeros_like();
    let place = |model: &Model| Transformer::read(model.architecture(), &model.weights()).unwrap().head().data_ptr();
    let before = place(&model);
    model.publish(&data).unwrap();
    assert_eq!(place(&model), before);
    let held = model.weights();
    model.publish(&data).unwrap();
    assert_ne!(place(&model), before);
    drop(held);
}

#[test]
fn one_session_trains_a_model() {
    let model = odd_llama(1);
    model.acquire_trainer().unwrap();
    assert_eq!(model.acquire_trainer().unwrap_err().status, Status::InUse);
    model.release_trainer();
    model.acquire_trainer().unwrap();
}

#[test]
fn models_and_snapshots_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let model = Arc::new(odd_llama(1));
    shared(&model);
    shared(&model.weights());
    let seen: Vec<u64> = std::thread::scope(|scope| {
        let read = || (0..50).map(|_| model.weights().version).collect::<Vec<_>>();
        let reader = scope.spawn(read);
        for _ in 0..50 {
            model.publish(&model.weights().data()).unwrap();
        }
        reader.join().unwrap()
    });
    assert!(seen.windows(2).all(|pair| pair[0] <= pair[1]));
    assert_eq!(model.weights().version, 50);
}

fn created(model_type: &str, initialization: Initialization, seed: u64) -> Model {
    let config = match model_type {
        "llama" => json!({"model_type": "llama", "vocab_size": 400, "hidden_size": 96, "num_hidden_layers": 3,
            "num_attention_heads": 4, "intermediate_size": 256, "initializer_range": 0.03}),
        _ => {
            json!({"model_type": "gpt2", "vocab_size": 400, "n_embd": 96, "n_head": 4, "n_layer": 3, "n_positions": 64,
            "initializer_range": 0.03, "bos_token_id": 1, "eos_token_id": 2})
        }
    };
    Model::create(&Create { config, initialization, seed, ..Create::default() }).unwrap()
}

#[test]
fn random_weights_follow_their_seed_and_their_initialisation() {
    let root = |x: f64| x.powf(-0.5);
    let residual = root(6.0);
    let cases = [
        ("llama", Initialization::Config, "model.layers.1.mlp.down_proj.weight", 0.03),
        ("llama", Initialization::Config, "model.embed_tokens.weight", 0.03),
        ("llama", Initialization::FanIn, "model.layers.1.mlp.down_proj.weight", root(256.0) * residual),
        ("llama", Initialization::FanIn, "model.layers.2.self_attn.o_proj.weight", root(96.0) * residual),
        ("llama", Initialization::FanIn, "model.layers.0.self_attn.q_proj.weight", root(96.0)),
        ("llama", Initialization::FanIn, "model.embed_tokens.weight", 0.05),
        ("llama", Initialization::FanIn, "lm_head.weight", root(96.0)),
        ("gpt2", Initialization::Config, "transformer.h.2.attn.c_proj.weight", 0.03 * residual),
        ("gpt2", Initialization::Config, "transformer.h.2.attn.c_attn.weight", 0.03),
        ("gpt2", Initialization::FanIn, "transformer.h.0.mlp.c_proj.weight", root(384.0) * residual),
        ("gpt2", Initialization::FanIn, "transformer.h.0.mlp.c_fc.weight", root(96.0)),
    ];
    for (family, way, name, deviation) in cases {
        let model = created(family, way, 7);
        let data = model.weights().data();
        let view = model.layout().view(&data, model.layout().find(name).unwrap());
        let (mean, found) = (view.mean(Kind::Float).double_value(&[]), view.std(true).double_value(&[]));
        assert!((found / deviation - 1.0).abs() < 0.05 && mean.abs() < 0.05 * deviation, "{name}: {found} {deviation}");
        assert!(created(family, way, 7).weights().data().equal(&data));
        assert!(!created(family, way, 8).weights().data().equal(&data));
    }
    let model = created("gpt2", Initialization::FanIn, 1);
    let data = model.weights().data();
    let sum = |name: &str| {
        let slot = model.layout().find(name).unwrap();
        model.layout().view(&data, slot).sum(Kind::Float).double_value(&[])
    };
    assert_eq!((sum("transformer.ln_f.weight"), sum("transformer.ln_f.bias")), (96.0, 0.0));
    assert_eq!(sum("transformer.h.1.attn.c_attn.bias"), 0.0);
}

#[test]
fn a_created_model_is_saved_for_transformers() {
    let tokenizer: Value = json_file("tokenizers/bytelevel/tokenizer.json");
    let mut config = json_file("models/llama/config.json");
    config.as_object_mut().unwrap().remove("architectures");
    let model = Model::create(&Create { config, tokenizer: Some(tokenizer), ..Create::default() }).unwrap();
    let target = Folder::new("created");
    model.save(&target.0.join("deeper/still")).unwrap();
    let path = target.0.join("deeper/still");
    assert_eq!(read(&path.join("config.json"))["architectures"], json!(["LlamaForCausalLM"]));
    let expected = json!({"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0});
    assert_eq!(read(&path.join("generation_config.json")), expected);
    let settings = read(&path.join("tokenizer_config.json"));
    assert_eq!(settings["tokenizer_class"], "PreTrainedTokenizerFast");
    assert_eq!([&settings["bos_token"], &settings["eos_token"], &settings["pad_token"]], ["<bos>", "<eos>", "<pad>"]);
    let again = Model::load(&path, &Load::default()).unwrap();
    assert!(again.weights().data().equal(&model.weights().data()));
    assert_eq!(again.end_tokens(), [2]);
    let text = "The keel is the lowest part.";
    let tokens = again.tokenizer().unwrap().encode(text, true).unwrap();
    assert_eq!(again.tokenizer().unwrap().decode(&tokens, true).unwrap(), text);
}

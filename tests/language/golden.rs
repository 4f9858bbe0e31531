//! Reading the reference values, and small models to test with.

use keel::config;
use keel::model::{Model, Sequence, Transformer};
use safetensors::SafeTensors;
use serde_json::{json, Value};
use std::collections::HashMap;
use std::path::PathBuf;
use tch::{Kind, Tensor};

pub const MODELS: [&str; 4] = ["llama", "gpt2", "llama_tied", "llama3_rope"];

pub fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

pub fn json_file(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder(name)).unwrap()).unwrap()
}

pub struct Vectors(HashMap<String, Tensor>);

impl Vectors {
    pub fn open(name: &str) -> Vectors {
        let bytes = std::fs::read(folder(name).join("vectors.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = |view: &safetensors::tensor::TensorView| {
            let shape: Vec<i64> = view.shape().iter().map(|size| *size as i64).collect();
            let kind = match view.dtype() {
                safetensors::Dtype::F32 => Kind::Float,
                safetensors::Dtype::I64 => Kind::Int64,
                other => panic!("{other:?}"),
            };
            Tensor::from_data_size(view.data(), &shape, kind)
        };
        Vectors(file.tensors().iter().map(|(name, view)| (name.clone(), tensor(view))).collect())
    }

    pub fn get(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("{name} is not among the reference values"))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The attended tokens of each row of `CASE.input_ids`.
    pub fn tokens(&self, case: &str) -> Vec<Vec<i32>> {
        let ids = rows(self.get(&format!("{case}.input_ids")));
        match self.0.get(&format!("{case}.attention_mask")) {
            None => ids,
            Some(mask) => ids
                .iter()
                .zip(rows(mask))
                .map(|(ids, mask)| ids.iter().zip(mask).filter(|(_, real)| *real == 1).map(|(id, _)| *id).collect())
                .collect(),
        }
    }
}

pub fn rows(ids: &Tensor) -> Vec<Vec<i32>> {
    let row = |index| Vec::<i64>::try_from(ids.get(index)).unwrap().iter().map(|id| *id as i32).collect();
    (0..ids.size()[0]).map(row).collect()
}

pub fn load(name: &str) -> Model {
    Model::load(&folder(name), &config::Load::default()).unwrap()
}

pub fn reader(model: &Model) -> Transformer {
    Transformer::read(model.architecture(), &model.weights()).unwrap()
}

pub fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max().double_value(&[])
}

/// Sequences whose first token is the prompt.
pub fn responses(tokens: &[Vec<i32>]) -> Vec<Sequence> {
    tokens.iter().map(|tokens| Sequence { tokens: tokens.clone(), prompt_length: 1, mask: None }).collect()
}

/// A small Llama with random weights whose sizes fit no vector register.
pub fn odd_llama(seed: u64) -> Model {
    create(
        json!({
            "model_type": "llama", "vocab_size": 211, "hidden_size": 60, "num_hidden_layers": 2,
            "num_attention_heads": 6, "num_key_value_heads": 3, "intermediate_size": 100,
            "max_position_embeddings": 128, "attention_bias": true, "mlp_bias": true, "eos_token_id": [2, 3],
        }),
        seed,
    )
}

pub fn small_gpt2(seed: u64) -> Model {
    create(
        json!({
            "model_type": "gpt2", "vocab_size": 131, "n_embd": 48, "n_layer": 2, "n_head": 3, "n_positions": 96,
            "scale_attn_by_inverse_layer_idx": true, "eos_token_id": 2,
        }),
        seed,
    )
}

fn create(config: Value, seed: u64) -> Model {
    let initialization = config::Initialization::FanIn;
    Model::create(&config::Create { config, initialization, seed, ..config::Create::default() }).unwrap()
}

/// Token sequences of `count` lengths between 2 and `longest`, the same every time.
pub fn sequences(count: usize, longest: usize, vocabulary: i32) -> Vec<Sequence> {
    let mut state = 12345u64;
    let mut next = move |bound: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % bound
    };
    let mut sequence = || {
        let length = 2 + next(longest as u64 - 1) as usize;
        let tokens = (0..length).map(|_| next(vocabulary as u64) as i32).collect();
        Sequence { tokens, prompt_length: 1 + next(length as u64 - 1) as usize, mask: None }
    };
    (0..count).map(|_| sequence()).collect()
}

/// A folder of this test's own, empty at first and gone with the value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

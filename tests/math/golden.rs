//! Reads tests/golden/losses: a safetensors file of tensors and a JSON file of everything else.

use std::collections::HashMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use tch::{Kind, Tensor};

pub struct Golden {
    tensors: HashMap<String, Tensor>,
    pub facts: Value,
}

impl Golden {
    /// The floating-point tensors come in `kind`, masks as bool.
    pub fn load(name: &str, kind: Kind) -> Golden {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/losses");
        let bytes = std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
        let facts = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = tensors.iter().map(|(name, view)| {
            let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
            let tensor = match view.dtype() {
                Dtype::BOOL => Tensor::from_data_size(view.data(), &shape, Kind::Bool),
                Dtype::F64 => Tensor::from_data_size(view.data(), &shape, Kind::Double).to_kind(kind),
                other => panic!("{name}: unexpected {other:?}"),
            };
            (name.to_string(), tensor)
        });
        Golden { tensors: tensors.collect(), facts: serde_json::from_slice(&facts).unwrap() }
    }

    #[track_caller]
    pub fn tensor(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// The list `cases`, which is never empty.
    pub fn cases(&self) -> &[Value] {
        let cases = self.facts["cases"].as_array().unwrap();
        assert!(!cases.is_empty());
        cases
    }
}

/// A number of a case.
#[track_caller]
pub fn number(case: &Value, name: &str) -> f64 {
    case[name].as_f64().unwrap_or_else(|| panic!("{name} is {}", case[name]))
}

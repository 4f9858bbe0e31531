//! A model as a judge: the names of its scores, and how a language model becomes one.

use super::language::{Family, SCORE};
use super::{Architecture, Layout, Model, Parts};
use crate::error::{Error, Result};
use crate::torch;
use serde_json::{json, Value};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

impl Model {
    /// What each of its scores is called, in their order; none for a language model.
    pub fn score_names(&self) -> Vec<String> {
        let named = |index: usize| {
            let label = &self.parts.config["id2label"][index.to_string()];
            label.as_str().map_or_else(|| format!("LABEL_{index}"), str::to_string)
        };
        (0..self.architecture.scores()).map(named).collect()
    }

    /// A reward model on a copy of this language model's trunk, as it is published now: a new read-out without bias for
    /// each of `names`, drawn from N(0, 1 / √(d + 1)) (Stiennon et al. 2020, arXiv 2009.01325).
    pub fn with_scores(&self, names: &[String], seed: u64) -> Result<Model> {
        if self.architecture.scores() > 0 {
            return Err(Error::state("model: expected a language model, got a reward model"));
        }
        let config = judging(&self.parts.config, self.architecture.family, names);
        let architecture = Architecture::parse(&config)?;
        let layout = Arc::new(Layout::new(&architecture.parameters()));
        let data = Tensor::f_zeros([layout.len], (Kind::Float, Device::Cpu))?;
        let published = self.weights();
        let trunk = published.borrow().f_to_device(Device::Cpu)?;
        for (place, slot) in layout.slots.iter().enumerate() {
            let mut target = layout.view(&data, place);
            match self.layout.find(&slot.name) {
                Some(source) => target.f_copy_(&self.layout.view(&trunk, source))?,
                None => {
                    debug_assert_eq!(slot.name, SCORE);
                    let deviation = (self.architecture.hidden as f64 + 1.0).powf(-0.5);
                    torch::Generator::new(seed)?.normal(&target, 0.0, deviation)?;
                }
            }
        }
        let data = data.f_to_kind(self.kind)?.f_to_device(self.device)?;
        Model::assemble(Parts { config, ..self.parts.clone() }, architecture, layout, data, self.device)
    }
}

/// The config under which transformers finds the class of a reward model and the names of its scores.
fn judging(config: &Value, family: Family, names: &[String]) -> Value {
    let class = match family {
        Family::Llama => "LlamaForSequenceClassification",
        Family::Gpt2 => "GPT2ForSequenceClassification",
    };
    let mut config = config.clone();
    config["architectures"] = json!([class]);
    config["num_labels"] = names.len().into();
    let named = |(index, name): (usize, &String)| (index.to_string(), json!(name));
    let numbered = |(index, name): (usize, &String)| (name.clone(), json!(index));
    config["id2label"] = names.iter().enumerate().map(named).collect();
    config["label2id"] = names.iter().enumerate().map(numbered).collect();
    config
}

//! Encoders of images and sets in libtorch; their form in plain Rust is in `kernel`.

use super::groups::{Group, Set, Window};
use super::network::{activate, Dense};
use super::spec::Spec;
use crate::config::Activation;
use crate::error::Result;
use tch::Tensor;

/// Stands for the score of an entity that is not there: its share is exactly 0.
const NEVER: f64 = -1e30;

enum Part {
    Image { input: i64, layers: Vec<(Window, Dense)> },
    Set { input: i64, set: Set, embed: Dense, scores: Tensor },
}

/// What brings observations [B, O] to features [B, F].
pub(super) struct Encoder {
    vectors: i64,
    parts: Vec<Part>,
    activation: Activation,
}

impl Encoder {
    /// The encoders of a spec, whose parameters `leaf` gives by name; none where there are vectors alone.
    pub fn bind(spec: &Spec, leaf: &dyn Fn(&str) -> Result<Tensor>) -> Result<Option<Encoder>> {
        let mut parts = Vec::new();
        for (index, group) in spec.groups.iter().enumerate() {
            let weight = |name: &str| leaf(&format!("encoder.{index}.{name}.weight"));
            let dense = |name: &str| -> Result<Dense> {
                Ok(Dense { weight: weight(name)?, bias: leaf(&format!("encoder.{index}.{name}.bias"))? })
            };
            match group {
                Group::Vector { .. } | Group::Mask { .. } => {}
                Group::Image { input, layers, .. } => {
                    let bound = |(place, window): (usize, &Window)| Ok((*window, dense(&place.to_string())?));
                    let layers = layers.iter().enumerate().map(bound).collect::<Result<_>>()?;
                    parts.push(Part::Image { input: *input as i64, layers });
                }
                Group::Set { input, set, .. } => {
                    let (embed, scores) = (dense("embed")?, weight("scores")?);
                    parts.push(Part::Set { input: *input as i64, set: *set, embed, scores });
                }
            }
        }
        let (vectors, activation) = (spec.vectors as i64, spec.config.activation);
        Ok((!parts.is_empty()).then_some(Encoder { vectors, parts, activation }))
    }

    /// Features [B, F] of normalised observations [B, O].
    pub fn encode(&self, observations: &Tensor) -> Result<Tensor> {
        let mut features = vec![observations.f_narrow(1, 0, self.vectors)?];
        for part in &self.parts {
            features.push(match part {
                Part::Image { input, layers } => image(observations, *input, layers)?,
                Part::Set { input, set, embed, scores } => self.pool(observations, *input, set, (embed, scores))?,
            });
        }
        Ok(Tensor::f_cat(&features, 1)?)
    }

    /// Σ softmax(h·S) h of each head over the entities that are there, h = f(e·W + b), and their share of the capacity.
    fn pool(&self, observations: &Tensor, input: i64, set: &Set, (embed, scores): (&Dense, &Tensor)) -> Result<Tensor> {
        let [capacity, size] = [set.capacity, set.size].map(|number| number as i64);
        let counts = observations.f_narrow(1, input, 1)?; // [B, 1]
        let entities = observations.f_narrow(1, input + 1, capacity * size)?.f_reshape([-1, capacity, size])?;
        let places = Tensor::f_arange(capacity, (observations.kind(), observations.device()))?;
        let present = places.f_unsqueeze(0)?.f_lt_tensor(&counts)?.f_unsqueeze(2)?; // [B, capacity, 1]
        let embedded = activate(&(entities.f_matmul(&embed.weight)? + &embed.bias), self.activation)?;
        let scores = embedded.f_matmul(scores)?.f_masked_fill(&present.logical_not(), NEVER)?; // [B, capacity, heads]
        let shares = scores.f_softmax(1, None)? * present.f_to_kind(observations.kind())?;
        let pooled = shares.f_transpose(1, 2)?.f_matmul(&embedded)?; // [B, heads, width]
        Ok(Tensor::f_cat(&[pooled.f_flatten(1, 2)?, counts / capacity as f64], 1)?)
    }
}

/// An image [height, width, channels] through its convolutions, flat in the same order.
fn image(observations: &Tensor, input: i64, layers: &[(Window, Dense)]) -> Result<Tensor> {
    let [height, width, channels] = layers[0].0.from.map(|side| side as i64);
    let pixels = observations.f_narrow(1, input, height * width * channels)?;
    let mut x = pixels.f_reshape([-1, height, width, channels])?.f_permute([0, 3, 1, 2])?;
    for (window, dense) in layers {
        let (kernel, stride) = (window.kernel as i64, window.stride as i64);
        let shape = [kernel, kernel, window.from[2] as i64, window.to[2] as i64];
        let weight = dense.weight.f_view(shape)?.f_permute([3, 2, 0, 1])?;
        x = x.f_conv2d(&weight, Some(&dense.bias), [stride; 2], [0; 2], [1; 2], 1)?.f_relu()?;
    }
    Ok(x.f_permute([0, 2, 3, 1])?.f_flatten(1, 3)?)
}

#[cfg(test)]
mod tests {
    use super::super::{Network, Policy, Spec};
    use super::*;
    use crate::config::Create;
    use crate::kernel::EncoderScratch;
    use crate::model::arena::Layout;
    use serde_json::{json, Value};

    fn parse(observations: Value, more: Value) -> Value {
        let mut config = json!({"model_type": "control", "observations": observations,
                                "actions": [{"type": "discrete", "name": "a", "choices": 2}], "hidden": [8]});
        more.as_object().unwrap().iter().for_each(|(key, value)| config[key] = value.clone());
        config
    }

    fn floats(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.detach().contiguous().view([-1])).unwrap()
    }

    fn numbers(value: &Value) -> Vec<f32> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
    }

    fn close(found: &[f32], expected: &[f32], near: f32, what: &str) {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert!(
                (found - expected).abs() <= near * expected.abs().max(1.0),
                "{what} {place}: {found} for {expected}"
            );
        }
    }

    /// Features by libtorch and by the kernel.
    fn both(
        spec: &Spec,
        layout: &Layout,
        data: &Tensor,
        gradients: &Tensor,
        observations: &[f32],
    ) -> (Tensor, Vec<f32>) {
        let spec = std::sync::Arc::new(spec.clone());
        let network = Network::bind_trainable(&spec, layout, data, gradients).unwrap();
        let rows = observations.len() / spec.inputs;
        let all = Tensor::from_slice(observations).view([rows as i64, -1]);
        let encoder = super::super::flat::encoder(&spec, layout).unwrap();
        assert_eq!(encoder.features(), spec.features);
        let mut features = vec![f32::NAN; rows * spec.features];
        encoder.encode(&floats(data), observations, &mut EncoderScratch::new(&encoder), &mut features);
        (network.encode(&all).unwrap(), features)
    }

    /// tests/golden/make/gen_control.py, by both, and the slopes by autograd.
    #[test]
    fn features_are_those_of_the_peer() {
        let text =
            std::fs::read_to_string(format!("{}/tests/golden/control/encoders.json", env!("CARGO_MANIFEST_DIR")));
        let golden: Value = serde_json::from_str(&text.unwrap()).unwrap();
        let filters = json!([{"channels": 3, "kernel": 3, "stride": 2}, {"channels": 4, "kernel": 2, "stride": 1}]);
        let observations = json!([
            {"type": "vector", "name": "v", "size": 2},
            {"type": "image", "name": "i", "height": 9, "width": 7, "channels": 2, "filters": filters},
            {"type": "set", "name": "s", "capacity": 4, "size": 3, "width": 5, "heads": 2},
        ]);
        let spec = Spec::parse(&parse(observations, json!({}))).unwrap();
        let layout = Layout::new(&spec.parameters());
        let data = Tensor::zeros([layout.len], (tch::Kind::Float, tch::Device::Cpu));
        for (name, values) in golden["parameters"].as_object().unwrap() {
            let view = layout.view(&data, layout.find(name).unwrap());
            view.view([-1]).copy_(&Tensor::from_slice(&numbers(values)));
        }
        let gradients = data.zeros_like();
        let (torch, kernel) = both(&spec, &layout, &data, &gradients, &numbers(&golden["observations"]));
        torch.square().sum(tch::Kind::Float).backward();
        let expected = numbers(&golden["features"]);
        close(&floats(&torch), &expected, 1e-6, "libtorch");
        close(&kernel, &expected, 1e-6, "kernel");
        for (name, values) in golden["slopes"].as_object().unwrap() {
            close(&floats(&layout.view(&gradients, layout.find(name).unwrap())), &numbers(values), 1e-5, name);
        }
    }

    /// Observations as records give them, made of numbers that look random.
    fn observed(spec: &Spec, rows: usize) -> Vec<f32> {
        let mut all = Vec::new();
        for row in 0..rows {
            let mut record = vec![0u8; spec.observation_bytes];
            let byte = |i: usize| ((i * 7919 + row * 104_729) % 251) as u8;
            for group in &spec.groups {
                match group {
                    Group::Image { offset, .. } => (0..group.inputs()).for_each(|i| record[offset + i] = byte(i)),
                    Group::Set { offset, set, .. } => {
                        let count = (row % (set.capacity + 1)) as u32;
                        record[*offset..][..4].copy_from_slice(&count.to_ne_bytes());
                        for i in 0..set.capacity * set.size {
                            let number = (byte(i + 3) as f32 - 125.0) / 60.0;
                            record[offset + 4 + 4 * i..][..4].copy_from_slice(&number.to_ne_bytes());
                        }
                    }
                    _ => {}
                }
            }
            let mut inputs = vec![f32::NAN; spec.inputs];
            spec.read_observation(&record, &mut inputs, None).unwrap();
            assert!(spec.is_observation(&inputs));
            all.extend(inputs);
        }
        all
    }

    #[test]
    fn the_kernel_encodes_as_libtorch_does() {
        let image = |side: u32, filters: Value| json!({"type": "image", "name": "i", "height": side, "width": side + 3, "channels": 3, "filters": filters});
        let set = |capacity: u32| json!({"type": "set", "name": "s", "capacity": capacity, "size": 5});
        for (observations, activation) in [
            (json!([image(36, json!(null))]), "tanh"),
            (json!([set(33), image(11, json!(null))]), "silu"),
            (json!([set(1), image(20, json!([{"channels": 70, "kernel": 5, "stride": 3}]))]), "elu"),
            (json!([set(7)]), "relu"),
        ] {
            let config = parse(observations.clone(), json!({"activation": activation}));
            let policy = Policy::create(&Create { config, seed: 5, ..Create::default() }).unwrap();
            let weights: Vec<f32> =
                policy.published().weights.iter().enumerate().map(|(i, w)| w + 0.05 * (i as f32).sin()).collect();
            let data = Tensor::from_slice(&weights);
            let all = observed(policy.spec(), 9);
            let (torch, kernel) = both(policy.spec(), policy.layout(), &data, &data.zeros_like(), &all);
            close(&kernel, &floats(&torch), 2e-6, &observations.to_string());
        }
    }

    #[test]
    fn the_order_of_entities_does_not_count_and_nothing_stands_behind_them() {
        let observations = json!([{"type": "set", "name": "s", "capacity": 5, "size": 2}]);
        let policy = Policy::create(&Create { config: parse(observations, json!({})), ..Create::default() }).unwrap();
        let data = Tensor::from_slice(&policy.published().weights);
        let features = |numbers: &[f32]| {
            let (torch, kernel) = both(policy.spec(), policy.layout(), &data, &data.zeros_like(), numbers);
            close(&kernel, &floats(&torch), 2e-6, "both");
            kernel
        };
        let one = features(&[3.0, 1.0, 2.0, -3.0, 4.0, 0.5, 0.25, 0.0, 0.0, 0.0, 0.0]);
        close(&features(&[3.0, 0.5, 0.25, 1.0, 2.0, -3.0, 4.0, 0.0, 0.0, 0.0, 0.0]), &one, 1e-6, "another order");
        assert_eq!(features(&[3.0, 1.0, 2.0, -3.0, 4.0, 0.5, 0.25, 9.0, 9.0, 9.0, 9.0]), one);
        assert!(features(&[2.0, 1.0, 2.0, -3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]) != one);
        assert!(features(&[0.0; 11]).iter().all(|feature| *feature == 0.0));
    }
}

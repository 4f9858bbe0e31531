//! What an update measured: scalars folded over its minibatches.

use crate::algorithm::Measured;
use crate::error::Result;
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

pub(super) type Values = BTreeMap<String, f64>;

/// What was measured last, by name.
#[derive(Default)]
pub(super) struct Record {
    pub updates: u64,
    pub optimizer_steps: u64,
    pub values: Values,
}

#[derive(Default)]
pub(super) struct Measurements {
    folded: BTreeMap<&'static str, Fold>,
}

#[derive(Clone, Copy)]
struct Fold {
    first: f64,
    last: f64,
    sum: f64,
    count: f64,
}

impl Measurements {
    /// Reads the scalars in one copy from the device and folds them in, but those that are no number: there was nothing to
    /// measure. Returns what was read.
    pub fn add(&mut self, measured: Vec<Measured>) -> Result<BTreeMap<&'static str, f64>> {
        if measured.is_empty() {
            return Ok(BTreeMap::new());
        }
        let device = measured.iter().map(|(_, scalar)| scalar.device()).find(|device| device.is_cuda());
        let device = device.unwrap_or(tch::Device::Cpu);
        let scalars: Vec<Tensor> = measured
            .iter()
            .map(|(_, scalar)| scalar.detach().reshape([1]).to_kind(Kind::Double).to_device(device))
            .collect();
        let values = Vec::<f64>::try_from(Tensor::f_cat(&scalars, 0)?.to_device(tch::Device::Cpu))?;
        let read: BTreeMap<_, _> = measured.iter().map(|(name, _)| *name).zip(values).collect();
        for (name, value) in read.iter().filter(|(_, value)| !value.is_nan()) {
            self.note(name, *value);
        }
        Ok(read)
    }

    pub fn note(&mut self, name: &'static str, value: f64) {
        let fold = self.folded.entry(name).or_insert(Fold { first: value, last: value, sum: 0.0, count: 0.0 });
        (fold.last, fold.sum, fold.count) = (value, fold.sum + value, fold.count + 1.0);
    }

    /// The newest value of a metric.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.folded.get(name).map(|fold| fold.last)
    }

    /// The mean over minibatches; a count is summed, and the sampler–trainer ratio is the first minibatch's.
    pub fn values(&self) -> Values {
        let folded = |(name, fold): (&&'static str, &Fold)| {
            let value = match *name {
                "tokens/trained" => fold.sum,
                "policy/ratio_max_log" => fold.first,
                "optimizer/learning_rate" => fold.last,
                _ => fold.sum / fold.count,
            };
            (name.to_string(), value)
        };
        self.folded.iter().map(folded).collect()
    }
}

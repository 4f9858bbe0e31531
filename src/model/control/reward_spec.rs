//! What a reward network reads of a step, and the parameters of its ensemble.

use super::spec::{Branch, Spec, MOST_PARAMETERS};
use super::statistics::Normalizer;
use crate::config::{Control, ControlReward};
use crate::error::{Error, Result};
use crate::model::arena::{Parameter, Part};
use serde_json::{json, Value};

/// A reward network before it has weights.
#[derive(Clone, Debug, PartialEq)]
pub struct RewardSpec {
    pub config: ControlReward,
    /// The records that it reads, as those of a policy.
    records: Spec,
    /// F: observations, then actions.
    pub features: usize,
}

impl RewardSpec {
    /// Checks what the ranges of single settings cannot say.
    pub fn new(config: ControlReward) -> Result<RewardSpec> {
        let records = json!({
            "model_type": "control", "observations": config.observations, "actions": config.actions, "hidden": [],
        });
        let records: Control =
            serde_json::from_value(records).map_err(|error| Error::config(format!("the configuration: {error}")))?;
        let records = Spec::new(records)?;
        if records.is_encoded() {
            return Err(Error::config("/observations: expected vectors, which alone a reward network reads"));
        }
        let numbers = |branch: &Branch| match branch {
            Branch::Discrete { choices } => *choices,
            Branch::Continuous(own) => own.size,
        };
        let features = records.inputs + records.branches.iter().map(numbers).sum::<usize>();
        let spec = RewardSpec { config, records, features };
        let elements: i64 = spec.parameters().iter().map(|parameter| parameter.shape.iter().product::<i64>()).sum();
        if elements > MOST_PARAMETERS {
            let message = format!("/hidden: expected at most {MOST_PARAMETERS} parameters, got {elements}");
            return Err(Error::config(message));
        }
        Ok(spec)
    }

    /// The spec of a `config.json`.
    pub fn parse(config: &Value) -> Result<RewardSpec> {
        RewardSpec::new(crate::config::parse(Some(config.to_string().as_bytes()))?)
    }

    /// Whether a config is that of a reward network.
    pub fn is_one(config: &Value) -> bool {
        config["model_type"] == "control_reward"
    }

    /// O, numbers of an observation.
    pub fn inputs(&self) -> usize {
        self.records.inputs
    }

    /// A, numbers of an action.
    pub fn actions(&self) -> usize {
        self.records.actions
    }

    /// K.
    pub fn members(&self) -> usize {
        self.config.ensemble as usize
    }

    /// The layers of a member as (inputs, outputs).
    pub fn layers(&self) -> Vec<(usize, usize)> {
        let mut widths = vec![self.features];
        widths.extend(self.config.hidden.iter().map(|width| *width as usize));
        widths.push(1);
        widths.windows(2).map(|pair| (pair[0], pair[1])).collect()
    }

    /// Every parameter; a matrix is [inputs, outputs], so that y = xW + b.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = Vec::new();
        for member in 0..self.members() {
            for (index, (inputs, outputs)) in self.layers().into_iter().enumerate() {
                let (inputs, outputs) = (inputs as i64, outputs as i64);
                let part = Part::Linear { fan_in: inputs };
                parameters.push(Parameter::new(format!("member.{member}.{index}.weight"), &[inputs, outputs], part));
                parameters.push(Parameter::new(format!("member.{member}.{index}.bias"), &[outputs], Part::Bias));
            }
        }
        parameters
    }

    /// Refuses a policy whose steps it does not read.
    pub fn check_reads(&self, policy: &Spec) -> Result<()> {
        let width = |branch: &Branch| match branch {
            Branch::Discrete { choices } => (true, *choices),
            Branch::Continuous(own) => (false, own.size),
        };
        let shape = |spec: &Spec| (spec.inputs, spec.branches.iter().map(width).collect::<Vec<_>>());
        match shape(&self.records) == shape(policy) {
            true => Ok(()),
            false => Err(Error::shape("model: expected a reward network of the policy's observations and actions")),
        }
    }

    /// Whether numbers [A] are an action: whole choices within theirs, finite numbers.
    pub fn is_action(&self, action: &[f32]) -> bool {
        let mut numbers = action.iter();
        action.len() == self.actions()
            && self.records.branches.iter().all(|branch| match branch {
                Branch::Discrete { choices } => numbers
                    .next()
                    .is_some_and(|choice| *choice >= 0.0 && choice.fract() == 0.0 && *choice < *choices as f32),
                Branch::Continuous(own) => numbers.by_ref().take(own.size).all(|number| number.is_finite()),
            })
    }

    /// Steps as the network reads them, [N, F]: observations [N, O] and actions [N, A] as they are handed out.
    pub fn encode(&self, normalizer: &Normalizer, observations: &[f32], actions: &[f32]) -> Vec<f32> {
        let mut read = observations.to_vec();
        normalizer.apply(&mut read, self.inputs());
        let steps = read.chunks_exact(self.inputs()).zip(actions.chunks_exact(self.actions()));
        let mut features = Vec::with_capacity(observations.len() / self.inputs().max(1) * self.features);
        for (observation, action) in steps {
            features.extend_from_slice(observation);
            let mut numbers = action.iter();
            for branch in &self.records.branches {
                match branch {
                    Branch::Discrete { choices } => {
                        let chosen = numbers.next().copied().unwrap_or(-1.0);
                        features.extend((0..*choices).map(|choice| f32::from(u8::from(choice as f32 == chosen))));
                    }
                    Branch::Continuous(own) => features.extend(numbers.by_ref().take(own.size).map(|number| {
                        let within = number.clamp(own.low, own.high);
                        match own.low.is_finite() && own.high.is_finite() {
                            true => ((f64::from(within) - own.middle()) / own.scale()) as f32,
                            false => within,
                        }
                    })),
                }
            }
        }
        features
    }
}

impl From<&RewardSpec> for Value {
    fn from(spec: &RewardSpec) -> Value {
        serde_json::to_value(&spec.config).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::control::Statistics;

    fn spec() -> RewardSpec {
        RewardSpec::parse(&json!({
            "model_type": "control_reward",
            "observations": [{"type": "vector", "name": "o", "size": 2}],
            "actions": [
                {"type": "discrete", "name": "d", "choices": 3},
                {"type": "continuous", "name": "c", "size": 2, "low": -1.0, "high": 3.0},
                {"type": "continuous", "name": "u", "size": 1},
            ],
            "hidden": [4], "ensemble": 2,
        }))
        .unwrap()
    }

    #[test]
    fn choices_are_read_one_by_one_and_numbers_from_their_bounds() {
        let spec = spec();
        assert_eq!((spec.inputs(), spec.actions(), spec.features), (2, 4, 8));
        assert_eq!(spec.layers(), [(8, 4), (4, 1)]);
        let features = spec.encode(&Normalizer::default(), &[0.5, -7.0], &[1.0, 2.0, 9.0, 40.0]);
        assert_eq!(features, [0.5, -7.0, 0.0, 1.0, 0.0, 0.5, 1.0, 40.0]);
        let mut statistics = Statistics::new(2);
        statistics.merge([[1.0f32, 0.0].as_slice(), &[5.0, 2.0]].into_iter());
        let normalizer = Normalizer::new(&statistics, 10.0);
        assert_eq!(spec.encode(&normalizer, &[5.0, 1.0], &[0.0, 1.0, -1.0, 0.0])[..2], [1.0, 0.0]);
    }

    #[test]
    fn what_is_no_action_is_told() {
        let spec = spec();
        assert!(spec.is_action(&[2.0, 9.0, -9.0, 0.0]));
        for wrong in [&[3.0, 0.0, 0.0, 0.0][..], &[-1.0, 0.0, 0.0, 0.0], &[0.5, 0.0, 0.0, 0.0], &[0.0, 0.0, 0.0]] {
            assert!(!spec.is_action(wrong), "{wrong:?}");
        }
    }
}

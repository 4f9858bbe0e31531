//! What a control network reads and writes: its spec, checked, with everything that follows from it.

use super::groups::{described, groups, Group, GroupPlace};
use super::recurrence::{Core, CHAINS};
use super::script::{self, Source};
use crate::config::{parse_over, Action, Control, Deviation, Distribution, Observation, Preset, Script, ValueNetwork};
use crate::error::{Error, Result, Status};
use crate::kernel;
use crate::model::arena::{Parameter, Part};
use serde_json::{json, Value};
use std::collections::HashSet;
use std::sync::Arc;

/// Larger networks are refused: what one number of a spec asks for is bounded.
pub(super) const MOST_PARAMETERS: i64 = 1 << 28;

/// A part of the action: a discrete branch or some continuous dimensions.
#[derive(Clone, Debug, PartialEq)]
pub enum Branch {
    Discrete { choices: usize },
    Continuous(Continuous),
}

/// Some continuous dimensions; without a bound, low or high is infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Continuous {
    pub size: usize,
    pub low: f32,
    pub high: f32,
    pub distribution: Distribution,
    pub deviation: Deviation,
}

impl Continuous {
    /// Log deviations that are parameters.
    pub fn parameters(&self) -> usize {
        match (self.distribution, self.deviation) {
            (Distribution::Normal | Distribution::Squashed, Deviation::Parameter) => self.size,
            _ => 0,
        }
    }

    /// Half the distance of its bounds.
    pub fn scale(&self) -> f64 {
        0.5 * (f64::from(self.high) - f64::from(self.low))
    }

    /// The middle of its bounds.
    pub fn middle(&self) -> f64 {
        0.5 * (f64::from(self.high) + f64::from(self.low))
    }
}

impl Branch {
    /// Numbers of the action, each an index or a dimension.
    pub fn numbers(&self) -> usize {
        match self {
            Branch::Discrete { .. } => 1,
            Branch::Continuous(continuous) => continuous.size,
        }
    }

    /// Outputs of the network: logits, or means and what else describes the distribution.
    pub fn outputs(&self) -> usize {
        match self {
            Branch::Discrete { choices } => *choices,
            Branch::Continuous(continuous) if continuous.parameters() > 0 => continuous.size,
            Branch::Continuous(continuous) => 2 * continuous.size,
        }
    }
}

/// A control network before it has weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub config: Control,
    pub branches: Vec<Branch>,
    pub(super) groups: Vec<Group>,
    /// Bytes of an observation record and of an action record.
    pub observation_bytes: usize,
    pub action_bytes: usize,
    /// O, the numbers that are kept of an observation.
    pub inputs: usize,
    /// Those of vectors, which come first.
    pub vectors: usize,
    /// The numbers that the first layer reads: O, unless there are images or sets.
    pub features: usize,
    /// A, the numbers of an action.
    pub actions: usize,
    /// Logits, means and what else describes distributions.
    pub outputs: usize,
    /// Choices of all discrete branches.
    pub choices: usize,
    /// Log deviations that are parameters.
    pub dimensions: usize,
    /// Whether any choice may be illegal.
    pub masked: bool,
    /// The recurrent core of each chain that has one, in the order of [`Spec::chains`].
    pub cores: [Option<Core>; 3],
    /// S, the numbers of the state of all cores.
    pub state: usize,
    /// The host's own network, where the config names one and it was read.
    pub(super) source: Option<Arc<Source>>,
}

impl Spec {
    /// Checks what the ranges of single settings cannot say.
    pub fn new(config: Control) -> Result<Spec> {
        script::check(&config)?;
        let branches = branches(&config)?;
        let (groups, observation_bytes) = groups(&config, &branches)?;
        let total = |of: fn(&Branch) -> usize| branches.iter().map(of).sum::<usize>();
        let actions = total(Branch::numbers);
        let masked = groups.iter().any(|group| matches!(group, Group::Mask { .. }));
        let vectors = groups.iter().map(|group| if let Group::Vector { count, .. } = group { *count } else { 0 }).sum();
        let features = groups.iter().map(Group::features).sum();
        let (cores, state) = Core::of(&config, features);
        let spec = Spec {
            cores,
            state,
            observation_bytes,
            action_bytes: 4 * actions,
            inputs: groups.iter().map(Group::inputs).sum(),
            vectors,
            features,
            actions,
            outputs: total(Branch::outputs),
            choices: total(|branch| if let Branch::Discrete { choices } = branch { *choices } else { 0 }),
            dimensions: total(|branch| if let Branch::Continuous(own) = branch { own.parameters() } else { 0 }),
            masked,
            branches,
            groups,
            config,
            source: None,
        };
        if spec.features == 0 {
            return Err(Error::config("/observations: expected a vector, an image or a set, got masks alone"));
        }
        let elements = spec.elements();
        if elements > MOST_PARAMETERS {
            let message = format!("/hidden: expected at most {MOST_PARAMETERS} parameters, got {elements}");
            return Err(Error::config(message));
        }
        Ok(spec)
    }

    /// The same with the host's own network, from the bytes of the file that its config names.
    pub fn with_script(mut self, bytes: &[u8]) -> Result<Spec> {
        let source = Source::new(bytes, &self)?;
        self.config.script = Some(Script { path: script::FILE.to_string() });
        self.source = Some(Arc::new(source));
        let elements = self.elements();
        if elements > MOST_PARAMETERS {
            let message = format!("expected at most {MOST_PARAMETERS} parameters, got {elements}");
            return Err(Error::new(Status::Format, message));
        }
        Ok(self)
    }

    /// The bytes of the host's own network.
    pub fn script(&self) -> Option<&[u8]> {
        self.source.as_ref().map(|source| source.bytes())
    }

    /// Whether the host's own network takes the place of layers.
    pub fn is_scripted(&self) -> bool {
        self.config.script.is_some()
    }

    fn elements(&self) -> i64 {
        self.parameters().iter().map(|parameter| parameter.shape.iter().product::<i64>()).sum()
    }

    /// The layers of each chain as (inputs, outputs): the shared ones, the policy's, the value's. None beside a script.
    pub fn chains(&self) -> [(&'static str, Vec<(usize, usize)>); 3] {
        if self.is_scripted() {
            return CHAINS.map(|chain| (chain, Vec::new()));
        }
        let mut widths = vec![self.features];
        widths.extend(self.config.hidden.iter().map(|width| *width as usize));
        let core = self.cores.iter().flatten().next().map(|core| core.size);
        let last = core.unwrap_or(widths[widths.len() - 1]);
        let hidden: Vec<(usize, usize)> = widths.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let ending = |outputs: usize, own: &[(usize, usize)]| [own, &[(last, outputs)]].concat();
        let (trunk, own) = match self.config.value {
            ValueNetwork::Separate => (Vec::new(), hidden),
            ValueNetwork::Shared => (hidden, Vec::new()),
        };
        let [first, second, third] = CHAINS;
        [(first, trunk), (second, ending(self.outputs, &own)), (third, ending(1, &own))]
    }

    /// Every parameter; a matrix is [inputs, outputs], so that y = xW + b.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = self.encoded();
        parameters.extend(self.source.iter().flat_map(|source| source.parameters()).cloned());
        for ((chain, layers), core) in self.chains().into_iter().zip(&self.cores) {
            for (index, (inputs, outputs)) in layers.into_iter().enumerate() {
                let (inputs, outputs) = (inputs as i64, outputs as i64);
                let part = Part::Linear { fan_in: inputs };
                parameters.push(Parameter::new(format!("{chain}.{index}.weight"), &[inputs, outputs], part));
                parameters.push(Parameter::new(format!("{chain}.{index}.bias"), &[outputs], Part::Bias));
            }
            parameters.extend(core.iter().flat_map(|core| core.parameters(chain)));
        }
        if self.dimensions > 0 {
            parameters.push(Parameter::new("log_deviation", &[self.dimensions as i64], Part::Bias));
        }
        parameters
    }

    /// The parameters that encode images and sets.
    fn encoded(&self) -> Vec<Parameter> {
        self.groups.iter().enumerate().flat_map(|(index, group)| group.parameters(index)).collect()
    }

    /// The groups of the observation record, in order.
    pub fn observation_groups(&self) -> impl Iterator<Item = GroupPlace<'_>> {
        self.config.observations.iter().zip(&self.groups).map(|(observation, group)| {
            let name = match observation {
                Observation::Vector { name, .. } | Observation::Image { name, .. } | Observation::Set { name, .. } => {
                    name
                }
                Observation::Mask { action } => action,
            };
            match group {
                Group::Vector { offset, count, .. } => {
                    GroupPlace { name, offset: *offset, count: *count, octets: false }
                }
                Group::Mask { offset, count, .. } => GroupPlace { name, offset: *offset, count: *count, octets: true },
                Group::Image { offset, .. } => {
                    GroupPlace { name, offset: *offset, count: group.inputs(), octets: true }
                }
                Group::Set { offset, .. } => {
                    GroupPlace { name, offset: *offset, count: 4 * group.inputs(), octets: true }
                }
            }
        })
    }

    /// Whether images or sets are encoded.
    pub fn is_encoded(&self) -> bool {
        self.groups.iter().any(Group::is_encoded)
    }

    /// The outputs that are means of normal actions with two bounds: place, low, high.
    pub fn bounds(&self) -> Vec<(usize, f32, f32)> {
        let (mut place, mut bounds) = (0, Vec::new());
        for branch in &self.branches {
            if let Branch::Continuous(Continuous { size, low, high, distribution: Distribution::Normal, .. }) = *branch
            {
                if low.is_finite() && high.is_finite() {
                    bounds.extend((place..place + size).map(|output| (output, low, high)));
                }
            }
            place += branch.outputs();
        }
        bounds
    }

    /// Where each group of a record lies, for hosts that assert their structs.
    pub fn layout(&self) -> Value {
        let pairs = self.config.observations.iter().zip(&self.groups);
        let observations: Vec<Value> = pairs.map(|(observation, group)| described(observation, group)).collect();
        let mut offset = 0;
        let actions = self.config.actions.iter().zip(&self.branches).map(|(action, branch)| {
            let (name, kind) = match action {
                Action::Discrete { name, .. } => (name, "i32"),
                Action::Continuous { name, .. } => (name, "f32"),
            };
            let entry = json!({"name": name, "type": kind, "count": branch.numbers(), "offset": offset});
            offset += 4 * branch.numbers();
            entry
        });
        let actions: Vec<Value> = actions.collect();
        json!({
            "observation": {"bytes": self.observation_bytes, "groups": observations},
            "action": {"bytes": self.action_bytes, "groups": actions},
        })
    }

    /// The spec of a `config.json`.
    pub fn parse(config: &Value) -> Result<Spec> {
        let preset = |value: &Value| Preset::of(value).map_or("{}", Preset::network);
        Spec::new(parse_over(Some(config.to_string().as_bytes()), preset)?)
    }

    /// Whether a config is that of a control network.
    pub fn is_one(config: &Value) -> bool {
        config["model_type"] == "control"
    }
}

fn branches(config: &Control) -> Result<Vec<Branch>> {
    let mut branches = Vec::new();
    let mut names = HashSet::new();
    for (index, action) in config.actions.iter().enumerate() {
        let (name, branch) = match action {
            Action::Discrete { name, choices } => (name, Branch::Discrete { choices: *choices as usize }),
            Action::Continuous { name, .. } => {
                let own =
                    continuous(action, config).map_err(|what| Error::config(format!("/actions/{index}{what}")))?;
                (name, Branch::Continuous(own))
            }
        };
        if !names.insert(name) {
            return Err(Error::config(format!("/actions/{index}/name: {name:?} appears twice")));
        }
        branches.push(branch);
    }
    Ok(branches)
}

/// A continuous action, checked; or what is wrong with it.
fn continuous(action: &Action, config: &Control) -> std::result::Result<Continuous, String> {
    let Action::Continuous { size, low, high, distribution, deviation, .. } = action else {
        return Err(": expected a continuous action".to_string());
    };
    let bounded = *distribution != Distribution::Normal;
    for (name, bound) in [("low", low), ("high", high)] {
        if bounded && bound.is_none() {
            return Err(format!("/{name}: expected a number, since {distribution:?} lies between bounds, got none"));
        }
    }
    let (low, high) = (low.unwrap_or(f32::NEG_INFINITY), high.unwrap_or(f32::INFINITY));
    if low >= high || low.is_nan() || high.is_nan() {
        return Err(format!("/low: expected less than high ({high}), got {low}"));
    }
    if bounded && !(high - low).is_finite() {
        return Err(format!("/high: expected a finite distance from low ({low}), got {high}"));
    }
    if *distribution == Distribution::Beta && deviation.is_some() {
        return Err("/deviation: expected none, since Beta has none".to_string());
    }
    let deviation = deviation.unwrap_or_default();
    let most = f64::from(kernel::LOG_DEVIATIONS[1]).exp();
    if deviation == Deviation::State && config.initial_deviation > most {
        let found = config.initial_deviation;
        return Err(format!(
            "/deviation: expected an initial_deviation of at most {most:.3} beside state, got {found}"
        ));
    }
    Ok(Continuous { size: *size as usize, low, high, distribution: *distribution, deviation })
}

impl From<&Spec> for Value {
    fn from(spec: &Spec) -> Value {
        serde_json::to_value(&spec.config).unwrap_or_default()
    }
}

/// What a wrong spec is called in a file.
pub fn as_format(mut error: Error) -> Error {
    if error.status == Status::Config {
        error.status = Status::Format;
    }
    error
}

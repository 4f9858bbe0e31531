//! The groups of an observation record: where each lies, which inputs it becomes, and the parameters that encode it.
//!
//! Inputs are the numbers of a record as they are kept: vectors first, then images and sets. Features are what the first
//! layer reads: vectors as they are, then what the encoders make of the others.

use super::spec::Branch;
use crate::config::{Action, Control, Filter, Observation};
use crate::error::{Error, Result};
use crate::model::arena::{Parameter, Part};
use serde_json::{json, Value};
use std::collections::HashSet;

/// Numbers of one image, of one set, and behind any filter.
const MOST_NUMBERS: usize = 1 << 24;
/// The smallest side of an image that Mnih's filters fit.
const LARGE: u32 = 36;

/// A group of the observation record, and where it lies.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Group {
    /// `count` f32 from byte `offset` on, which are inputs from `input` on.
    Vector { offset: usize, count: usize, input: usize },
    /// `count` u8 from byte `offset` on, the legal choices from `choice` on.
    Mask { offset: usize, count: usize, choice: usize },
    /// Bytes from `offset` on, which are inputs from `input` on, each between 0 and 1.
    Image { offset: usize, input: usize, layers: Vec<Window> },
    /// A count, then entities, from byte `offset` on; 1 + capacity · size inputs from `input` on.
    Set { offset: usize, input: usize, set: Set },
}

/// A group of the observation record by itself, as numbers of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupPlace<'a> {
    pub name: &'a str,
    /// Where it begins in the record, in bytes.
    pub offset: usize,
    /// How many numbers it has; of a set its bytes.
    pub count: usize,
    /// Whether they are u8, rather than f32.
    pub octets: bool,
}

/// A convolution's shapes: `[height, width, channels]` in and out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub from: [usize; 3],
    pub to: [usize; 3],
    pub kernel: usize,
    pub stride: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set {
    pub capacity: usize,
    pub size: usize,
    /// Of an entity's embedding.
    pub width: usize,
    pub heads: usize,
}

impl Group {
    /// Numbers that are kept of it.
    pub fn inputs(&self) -> usize {
        match self {
            Group::Vector { count, .. } => *count,
            Group::Mask { .. } => 0,
            Group::Image { layers, .. } => layers[0].from.iter().product(),
            Group::Set { set, .. } => 1 + set.capacity * set.size,
        }
    }

    /// Numbers that the first layer reads of it.
    pub fn features(&self) -> usize {
        match self {
            Group::Vector { count, .. } => *count,
            Group::Mask { .. } => 0,
            Group::Image { layers, .. } => layers[layers.len() - 1].to.iter().product(),
            Group::Set { set, .. } => set.heads * set.width + 1,
        }
    }

    /// Whether parameters encode it.
    pub fn is_encoded(&self) -> bool {
        matches!(self, Group::Image { .. } | Group::Set { .. })
    }

    /// The parameters that encode the group of this index.
    pub fn parameters(&self, index: usize) -> Vec<Parameter> {
        let matrix = |name: String, inputs: usize, outputs: usize| {
            let part = Part::Linear { fan_in: inputs as i64 };
            Parameter::new(format!("encoder.{index}.{name}.weight"), &[inputs as i64, outputs as i64], part)
        };
        let bias = |name: String, outputs: usize| {
            Parameter::new(format!("encoder.{index}.{name}.bias"), &[outputs as i64], Part::Bias)
        };
        match self {
            Group::Vector { .. } | Group::Mask { .. } => Vec::new(),
            Group::Image { layers, .. } => {
                let of = |(place, window): (usize, &Window)| {
                    let inputs = window.kernel * window.kernel * window.from[2];
                    [matrix(place.to_string(), inputs, window.to[2]), bias(place.to_string(), window.to[2])]
                };
                layers.iter().enumerate().flat_map(of).collect()
            }
            Group::Set { set, .. } => vec![
                matrix("embed".to_string(), set.size, set.width),
                bias("embed".to_string(), set.width),
                matrix("scores".to_string(), set.width, set.heads),
            ],
        }
    }

    /// Whether numbers [inputs of the group] can have been read from a record.
    fn holds(&self, numbers: &[f32]) -> bool {
        match self {
            Group::Image { .. } => numbers.iter().all(|number| (0.0..=1.0).contains(number)),
            Group::Set { set, .. } => (0..=set.capacity).any(|count| numbers[0] == count as f32),
            _ => true,
        }
    }

    /// Whether its part of an observation [O] can have been read from a record.
    pub fn is_sound(&self, observation: &[f32]) -> bool {
        match self {
            Group::Image { input, .. } | Group::Set { input, .. } => {
                self.holds(&observation[*input..*input + self.inputs()])
            }
            _ => true,
        }
    }
}

/// The groups in their places, each at its natural alignment, and the size of the whole record.
pub(super) fn groups(config: &Control, branches: &[Branch]) -> Result<(Vec<Group>, usize)> {
    let (mut names, mut groups) = (HashSet::new(), Vec::new());
    let vector = |observation: &Observation| {
        if let Observation::Vector { size, .. } = observation {
            *size as usize
        } else {
            0
        }
    };
    let (mut vectors, mut others) = (0, config.observations.iter().map(vector).sum());
    let (mut offset, mut alignment) = (0usize, 1);
    for (index, observation) in config.observations.iter().enumerate() {
        let place = |what: String| Error::config(format!("/observations/{index}{what}"));
        let kind = if matches!(observation, Observation::Mask { .. }) { "mask" } else { "group" };
        if !names.insert((kind, observation.name())) {
            let name = observation.name();
            return Err(match kind {
                "mask" => place(format!("/action: {name:?} has two masks")),
                _ => place(format!("/name: {name:?} appears twice")),
            });
        }
        let (bytes, own) = match observation {
            Observation::Vector { size, .. } => (4 * *size as usize, 4),
            Observation::Image { height, width, channels, .. } => ((height * width * channels) as usize, 1),
            Observation::Set { capacity, size, .. } => (4 + 4 * *capacity as usize * *size as usize, 4),
            Observation::Mask { action } => {
                let expected = || place(format!("/action: expected a discrete action, got {action:?}"));
                (choices_of(config, branches, action).ok_or_else(expected)?.1, 1)
            }
        };
        (offset, alignment) = (offset.next_multiple_of(own), alignment.max(own));
        let input = if vector(observation) > 0 { vectors } else { others };
        let group = match observation {
            Observation::Vector { size, .. } => Group::Vector { offset, count: *size as usize, input },
            Observation::Mask { action } => {
                let (choice, count) = choices_of(config, branches, action).unwrap_or_default();
                Group::Mask { offset, count, choice }
            }
            Observation::Image { .. } => Group::Image { offset, input, layers: windows(observation).map_err(place)? },
            Observation::Set { .. } => Group::Set { offset, input, set: set(observation).map_err(place)? },
        };
        match &group {
            Group::Vector { count, .. } => vectors += count,
            _ => others += group.inputs(),
        }
        offset += bytes;
        groups.push(group);
    }
    Ok((groups, offset.next_multiple_of(alignment)))
}

/// The first choice of a discrete action among those of all, and how many it has.
fn choices_of(config: &Control, branches: &[Branch], wanted: &str) -> Option<(usize, usize)> {
    let mut first = 0;
    for (action, branch) in config.actions.iter().zip(branches) {
        if let (Action::Discrete { name, .. }, Branch::Discrete { choices }) = (action, branch) {
            if name == wanted {
                return Some((first, *choices));
            }
            first += choices;
        }
    }
    None
}

/// The convolutions of an image; or what is wrong with it.
fn windows(observation: &Observation) -> std::result::Result<Vec<Window>, String> {
    let Observation::Image { height, width, channels, filters, .. } = observation else { return Ok(Vec::new()) };
    let of = |channels, kernel, stride| Filter { channels, kernel, stride };
    let filters = match filters {
        Some(filters) => filters.clone(),
        None if *height.min(width) >= LARGE => vec![of(32, 8, 4), of(64, 4, 2), of(64, 3, 1)],
        None => vec![of(16, 3, 1)],
    };
    let mut from = [*height as usize, *width as usize, *channels as usize];
    let mut layers = Vec::new();
    for (place, filter) in filters.iter().enumerate() {
        let (kernel, stride) = (filter.kernel as usize, filter.stride as usize);
        let side = |length: usize| length.checked_sub(kernel).map(|rest| rest / stride + 1);
        let (Some(rows), Some(columns)) = (side(from[0]), side(from[1])) else {
            let [rows, columns, _] = from;
            return Err(format!("/filters/{place}: expected a kernel within {rows}×{columns}, got {kernel}×{kernel}"));
        };
        let to = [rows, columns, filter.channels as usize];
        if [from, to].iter().any(|map| map.iter().product::<usize>() > MOST_NUMBERS) {
            return Err(format!("/filters/{place}: expected at most {MOST_NUMBERS} numbers before and behind it"));
        }
        layers.push(Window { from, to, kernel, stride });
        from = to;
    }
    Ok(layers)
}

/// The shapes of a set; or what is wrong with it.
fn set(observation: &Observation) -> std::result::Result<Set, String> {
    let Observation::Set { capacity, size, width, heads, .. } = observation else { return Err(String::new()) };
    let [capacity, size, width, heads] = [*capacity, *size, *width, *heads].map(|number| number as usize);
    match capacity * size.max(width) <= MOST_NUMBERS {
        true => Ok(Set { capacity, size, width, heads }),
        false => Err(format!("/capacity: expected at most {MOST_NUMBERS} numbers of all entities")),
    }
}

/// Where a group lies, for hosts.
pub(super) fn described(observation: &Observation, group: &Group) -> Value {
    let name = observation.name();
    match group {
        Group::Vector { offset, count, .. } => json!({"name": name, "type": "f32", "count": count, "offset": offset}),
        Group::Mask { offset, count, .. } => {
            json!({"name": name, "type": "u8", "count": count, "offset": offset, "mask": true})
        }
        Group::Image { offset, layers, .. } => {
            let shape = layers[0].from;
            json!({"name": name, "type": "u8", "count": group.inputs(), "offset": offset, "shape": shape})
        }
        Group::Set { offset, set, .. } => {
            let entities = json!({"type": "f32", "capacity": set.capacity, "size": set.size, "offset": offset + 4});
            json!({"name": name, "type": "u32", "count": 1, "offset": offset, "entities": entities})
        }
    }
}

//! A host's own network: a TorchScript module in the place of keel's layers.
//!
//! Its parameters lie in the policy's flat weights as those of any network do, so that whoever clips, steps, publishes and
//! saves them need not know. What it must be is found out before it is used: by its tensors and by trial runs.

use super::spec::Spec;
use crate::config::{Control, Observation};
use crate::error::{Error, Result, Status};
use crate::model::arena::{Layout, Parameter, Part};
use crate::torch::{self, Held};
use serde_json::json;
use tch::{no_grad_guard, with_grad, Device, Kind, Tensor};

/// Its file in the directory of a model.
pub(super) const FILE: &str = "network.pt";
/// What its parameters are called in front of their own names.
const PREFIX: &str = "network.";
/// Rows of the trial runs: updates bring any number, the last one of a pass perhaps one.
const TRIALS: [i64; 3] = [1, 4, 7];
/// What another row may do to a row, by rounding.
const ROUNDING: f64 = 1e-4;

/// The module as its file has it.
#[derive(Debug, PartialEq)]
pub struct Source {
    bytes: Vec<u8>,
    parameters: Vec<Parameter>,
    outputs: i64,
}

/// A module whose trained parameters are views of flat weights. For one thread at a time.
pub struct Bound {
    module: torch::Script,
    outputs: i64,
}

impl Source {
    /// Reads a module and tries it with what `spec` asks of it. `Format`, `Shape` and `Callback` say what is wrong with it.
    pub fn new(bytes: &[u8], spec: &Spec) -> Result<Source> {
        let module = torch::Script::load(bytes)?;
        let tensors = module.tensors()?;
        check_tensors(&tensors)?;
        let parameters = tensors.iter().filter(|held| is_trained(held)).map(parameter).collect();
        let bound = Bound { module, outputs: spec.outputs as i64 };
        bound.try_out(&tensors, spec.inputs as i64)?;
        Ok(Source { bytes: bytes.to_vec(), parameters, outputs: bound.outputs })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The parameters that are trained, in the module's order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Writes the parameters of the file into flat `data`.
    pub fn fill(&self, layout: &Layout, data: &Tensor) -> Result<()> {
        let _no_grad = no_grad_guard();
        for held in torch::Script::load(&self.bytes)?.tensors()?.iter().filter(|held| is_trained(held)) {
            layout.view(data, place(layout, &held.name)?).f_copy_(&held.tensor)?;
        }
        Ok(())
    }

    /// A module whose trained parameters are views of flat `data`, and whose gradients are views of flat `gradients`.
    pub fn bind(&self, layout: &Layout, data: &Tensor, gradients: Option<&Tensor>) -> Result<Bound> {
        let module = torch::Script::load(&self.bytes)?;
        for mut held in module.tensors()?.into_iter().filter(is_trained) {
            let place = place(layout, &held.name)?;
            held.tensor.f_set_data(&layout.view(data, place).f_detach()?)?;
            gradients.map_or(Ok(()), |gradients| torch::set_gradient(&held.tensor, &layout.view(gradients, place)))?;
        }
        Ok(Bound { module, outputs: self.outputs })
    }
}

impl Bound {
    /// Outputs [B, W] and values [B] of normalised observations [B, O].
    pub fn forward(&self, observations: &Tensor) -> Result<(Tensor, Tensor)> {
        let [outputs, values] =
            self.module.forward(observations).map_err(|error| error.within("the network's script"))?;
        let rows = observations.size()[0];
        expect("outputs", &outputs, &[rows, self.outputs])?;
        expect("values", &values, &[rows])?;
        Ok((outputs, values))
    }

    /// Refuses a module that is no function of each observation by itself, or that learns nothing.
    fn try_out(&self, tensors: &[Held], inputs: i64) -> Result<()> {
        let before = copies(tensors)?;
        for rows in TRIALS {
            let seen =
                Tensor::f_linspace(-1.0, 1.0, rows * inputs, (Kind::Float, Device::Cpu))?.f_view([rows, inputs])?;
            let once = with_grad(|| self.forward(&seen))?;
            if !once.0.requires_grad() {
                return Err(refused("outputs: expected some that the trained parameters decide, got none"));
            }
            let _no_grad = no_grad_guard();
            let twice = self.forward(&seen)?;
            if !same(&once, &twice, 0.0)? {
                return Err(refused("forward: expected the same for the same observations, got something else"));
            }
            if !(finite(&once.0)? && finite(&once.1)?) {
                return Err(refused("forward: expected finite numbers, got others"));
            }
            let others = Tensor::f_cat(&[seen.f_narrow(0, 0, 1)?, seen.f_narrow(0, 1, rows - 1)? * -2.0 + 0.25], 0)?;
            let (first, beside) = (row(&once)?, row(&self.forward(&others)?)?);
            if !same(&first, &beside, ROUNDING)? {
                return Err(refused("forward: expected rows by themselves, got some that others change"));
            }
        }
        let unchanged = tensors.iter().zip(&before).all(|(held, before)| held.tensor.f_equal(before).unwrap_or(false));
        match unchanged {
            true => Ok(()),
            false => Err(refused("forward: expected one that changes no buffer, got one that does")),
        }
    }
}

/// Refuses scripts where they were not allowed.
pub fn check_allowed(allowed: bool) -> Result<()> {
    match allowed {
        true => Ok(()),
        false => Err(Error::new(
            Status::Unsupported,
            "script: a TorchScript module is code that runs in this process; to allow it, create the runtime with \
             {\"allow_torchscript\": true}",
        )),
    }
}

/// Refuses beside a script what describes keel's own layers.
pub(super) fn check(config: &Control) -> Result<()> {
    if config.script.is_none() {
        return Ok(());
    }
    let read = |group: &Observation| matches!(group, Observation::Vector { .. } | Observation::Mask { .. });
    if !config.observations.iter().all(read) {
        return Err(Error::config(
            "/observations: expected vectors and masks beside a script, which no encoder serves",
        ));
    }
    let bare = json!({"model_type": "control", "observations": config.observations, "actions": config.actions});
    let bare: Control = serde_json::from_value(bare).map_err(|error| Error::config(error.to_string()))?;
    let described = [
        ("hidden", config.hidden != bare.hidden),
        ("activation", config.activation != bare.activation),
        ("core", config.core != bare.core),
        ("value", config.value != bare.value),
        ("initialization", config.initialization != bare.initialization),
        ("hidden_gain", config.hidden_gain != bare.hidden_gain),
        ("policy_gain", config.policy_gain != bare.policy_gain),
        ("value_gain", config.value_gain != bare.value_gain),
    ];
    match described.iter().find(|(_, found)| *found) {
        Some((name, _)) => {
            Err(Error::config(format!("/{name}: expected none beside a script, which has its own layers")))
        }
        None => Ok(()),
    }
}

fn refused(what: &str) -> Error {
    Error::new(Status::Format, what)
}

fn is_trained(held: &Held) -> bool {
    held.parameter && held.tensor.requires_grad()
}

fn parameter(held: &Held) -> Parameter {
    let shape = held.tensor.size();
    let part = match shape.len() {
        0 | 1 => Part::Bias,
        _ => Part::Linear { fan_in: shape[1..].iter().product() },
    };
    Parameter::new(format!("{PREFIX}{}", held.name), &shape, part)
}

fn place(layout: &Layout, name: &str) -> Result<usize> {
    let name = format!("{PREFIX}{name}");
    layout.find(&name).ok_or_else(|| Error::new(Status::Internal, format!("{name}: not in the layout")))
}

/// Refuses parameters that cannot lie in flat weights.
fn check_tensors(tensors: &[Held]) -> Result<()> {
    let trained: Vec<&Held> = tensors.iter().filter(|held| is_trained(held)).collect();
    if trained.is_empty() {
        return Err(refused(
            "expected parameters with requires_grad, got none (a frozen module has constants instead)",
        ));
    }
    for (index, held) in trained.iter().enumerate() {
        let (name, kind) = (&held.name, held.tensor.f_kind()?);
        if kind != Kind::Float || held.tensor.is_sparse() {
            return Err(refused(&format!("parameter \"{name}\": expected dense float32, got {kind:?}")));
        }
        if held.tensor.numel() == 0 {
            return Err(refused(&format!("parameter \"{name}\": expected numbers, got none")));
        }
        if let Some(other) = trained[..index].iter().find(|other| held.tensor.data_ptr() == other.tensor.data_ptr()) {
            let other = &other.name;
            return Err(refused(&format!("parameter \"{name}\": expected memory of its own, got that of \"{other}\"")));
        }
    }
    Ok(())
}

fn expect(what: &str, found: &Tensor, shape: &[i64]) -> Result<()> {
    let (kind, size) = (found.f_kind()?, found.size());
    match kind == Kind::Float && size == shape && found.device() == Device::Cpu {
        true => Ok(()),
        false => Err(Error::shape(format!("{what}: expected float32 {shape:?}, got {kind:?} {size:?}"))),
    }
}

fn copies(tensors: &[Held]) -> Result<Vec<Tensor>> {
    tensors.iter().map(|held| Ok(held.tensor.f_detach()?.copy())).collect()
}

fn finite(tensor: &Tensor) -> Result<bool> {
    Ok(tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? == 1)
}

/// The first row of outputs and values.
fn row(said: &(Tensor, Tensor)) -> Result<(Tensor, Tensor)> {
    Ok((said.0.f_narrow(0, 0, 1)?, said.1.f_narrow(0, 0, 1)?))
}

/// Whether both pairs are equal, up to a distance; what is no number equals itself.
fn same(one: &(Tensor, Tensor), other: &(Tensor, Tensor), distance: f64) -> Result<bool> {
    let near = |one: &Tensor, other: &Tensor| one.f_allclose(other, distance, distance, true);
    Ok(near(&one.0, &other.0)? && near(&one.1, &other.1)?)
}

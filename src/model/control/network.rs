//! A control network in libtorch: the form that any device, any loss and every parity test can use.

use super::distribution::{beyond, handed_out, judge, reparameterized, Evaluated};
use super::encoder::Encoder;
use super::recurrence::{BoundCore, Unroll, CHAINS};
use super::script::Bound;
use super::spec::Spec;
use crate::config::Activation;
use crate::error::{Error, Result, Status};
use crate::model::arena::Layout;
use crate::torch;
use std::sync::Arc;
use tch::Tensor;

/// y = xW + b.
pub(super) struct Dense {
    pub weight: Tensor,
    pub bias: Tensor,
}

/// The layers of a policy and its values, bound to flat weights.
pub struct Network {
    spec: Arc<Spec>,
    encoder: Option<Encoder>,
    trunk: Vec<Dense>,
    policy: Vec<Dense>,
    value: Vec<Dense>,
    /// The core of each chain that has one.
    cores: [Option<BoundCore>; 3],
    log_deviation: Option<Tensor>,
    /// The host's own network, in the place of all layers.
    script: Option<Bound>,
}

impl Network {
    /// Leaves over flat `data` whose gradients are views of flat `gradients`.
    pub fn bind_trainable(spec: &Arc<Spec>, layout: &Layout, data: &Tensor, gradients: &Tensor) -> Result<Network> {
        layout.check(data)?;
        layout.check(gradients)?;
        let script = spec.source.as_ref().map(|source| source.bind(layout, data, Some(gradients))).transpose()?;
        Network::bind_by(spec, script, |name| {
            let slot = slot(layout, name)?;
            let leaf = layout.view(data, slot).f_detach()?.f_set_requires_grad(true)?;
            torch::set_gradient(&leaf, &layout.view(gradients, slot))?;
            Ok(leaf)
        })
    }

    /// Views of flat `data`, which nobody trains.
    pub fn bind_frozen(spec: &Arc<Spec>, layout: &Layout, data: &Tensor) -> Result<Network> {
        layout.check(data)?;
        let script = spec.source.as_ref().map(|source| source.bind(layout, data, None)).transpose()?;
        Network::bind_by(spec, script, |name| Ok(layout.view(data, slot(layout, name)?)))
    }

    fn bind_by(spec: &Arc<Spec>, script: Option<Bound>, leaf: impl Fn(&str) -> Result<Tensor>) -> Result<Network> {
        let [trunk, policy, value] = spec.chains().map(|(chain, layers)| {
            let dense = |index: usize| -> Result<Dense> {
                Ok(Dense {
                    weight: leaf(&format!("{chain}.{index}.weight"))?,
                    bias: leaf(&format!("{chain}.{index}.bias"))?,
                })
            };
            (0..layers.len()).map(dense).collect::<Result<Vec<_>>>()
        });
        let log_deviation = (spec.dimensions > 0).then(|| leaf("log_deviation")).transpose()?;
        let mut cores = [const { None }; 3];
        for ((bound, core), chain) in cores.iter_mut().zip(spec.cores).zip(CHAINS) {
            *bound = core.map(|core| BoundCore::bind(core, chain, &leaf)).transpose()?;
        }
        let (encoder, spec) = (Encoder::bind(spec, &leaf)?, spec.clone());
        Ok(Network { spec, encoder, trunk: trunk?, policy: policy?, value: value?, cores, log_deviation, script })
    }

    /// Outputs [B, W] alone, of normalised observations [B, O]; not of a recurrent network.
    pub fn outputs(&self, observations: &Tensor) -> Result<Tensor> {
        if let Some(script) = &self.script {
            return Ok(script.forward(observations)?.0);
        }
        let hidden = self.chain(&self.trunk, self.encode(observations)?, self.trunk.len(), None)?;
        self.chain(&self.policy, hidden, self.policy.len() - 1, None) // [B, W]
    }

    /// Outputs [B, W] and values [B] of normalised observations [B, O]; of a recurrent network the rows are what `unroll`
    /// says, and gradient runs back through the steps of each sequence.
    pub fn forward(&self, observations: &Tensor, unroll: Option<&Unroll>) -> Result<(Tensor, Tensor)> {
        if unroll.is_some() != (self.spec.state > 0) {
            return Err(Error::new(
                Status::Internal,
                "network: expected sequences where there is a core, and nowhere else",
            ));
        }
        if let Some(script) = &self.script {
            return script.forward(observations);
        }
        let [trunk, policy, value] = &self.cores;
        let features = self.encode(observations)?;
        let hidden = self.chain(&self.trunk, features, self.trunk.len(), trunk.as_ref().zip(unroll))?;
        let own = |layers: &[Dense], core: &Option<BoundCore>| {
            self.chain(layers, hidden.shallow_clone(), layers.len() - 1, core.as_ref().zip(unroll))
        };
        Ok((own(&self.policy, policy)?, own(&self.value, value)?.f_squeeze_dim(1)?))
    }

    /// Features [B, F], which the first layer reads: vectors as they are, images and sets encoded.
    pub fn encode(&self, observations: &Tensor) -> Result<Tensor> {
        match &self.encoder {
            Some(encoder) => encoder.encode(observations),
            None => Ok(observations.shallow_clone()),
        }
    }

    /// What it says of `observations` [B, O] and `actions` [B, A]; `legal` bool [B, choices] where there are masks,
    /// `unroll` where it is recurrent. `bounded` asks how far means lie beyond their bounds.
    pub fn evaluate(
        &self,
        observations: &Tensor,
        actions: &Tensor,
        legal: Option<&Tensor>,
        unroll: Option<&Unroll>,
        bounded: bool,
    ) -> Result<Evaluated> {
        let (outputs, values) = self.forward(observations, unroll)?;
        let (log_probs, entropies) = judge(&self.spec, &outputs, self.log_deviation.as_ref(), actions, legal)?;
        let beyond = if bounded { beyond(&self.spec, &outputs)? } else { None };
        Ok(Evaluated { log_probs, entropies, values, beyond })
    }

    /// Reparameterised actions x = μ + σ·ε [B, A], as they are recorded, and their log-probabilities [B], at `observations`
    /// [B, O] with standard normal `noise` ε [B, A]; both carry gradient. Normal and squashed actions alone.
    pub fn sample(&self, observations: &Tensor, noise: &Tensor) -> Result<(Tensor, Tensor)> {
        let (outputs, _) = self.forward(observations, None)?;
        reparameterized(&self.spec, &outputs, self.log_deviation.as_ref(), noise)
    }

    /// What hosts get for recorded actions [B, A]: within bounds, squashed and scaled where they are. Carries gradient.
    pub fn handed_out(&self, actions: &Tensor) -> Result<Tensor> {
        handed_out(&self.spec, actions)
    }

    /// Through all layers, the first `active` of which end in the activation; the core stands behind these.
    fn chain(
        &self,
        layers: &[Dense],
        mut x: Tensor,
        active: usize,
        core: Option<(&BoundCore, &Unroll)>,
    ) -> Result<Tensor> {
        let recall = |x: Tensor| core.map_or(Ok(x.shallow_clone()), |(core, unroll)| core.through(&x, unroll));
        for (index, layer) in layers.iter().enumerate() {
            x = if index == active { recall(x)? } else { x };
            x = layer.bias.f_addmm(&x, &layer.weight)?; // [B, out]
            if index < active {
                x = activate(&x, self.spec.config.activation)?;
            }
        }
        match layers.len() == active {
            true => recall(x), // [B, size]
            false => Ok(x),
        }
    }
}

fn slot(layout: &Layout, name: &str) -> Result<usize> {
    layout.find(name).ok_or_else(|| Error::new(Status::Internal, format!("{name}: not in the layout")))
}

/// What stands behind a hidden layer, element by element.
pub(super) fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    Ok(match activation {
        Activation::Tanh => x.f_tanh()?,
        Activation::Relu => x.f_relu()?,
        Activation::Elu => x.f_elu()?,
        Activation::Silu => x.f_silu()?,
    })
}

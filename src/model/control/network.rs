//! A control network in libtorch: the form that any device, any loss and every parity test can use.

use super::distribution::{handed_out, judge, reparameterized, Evaluated};
use super::spec::Spec;
use crate::config::Activation;
use crate::error::{Error, Result, Status};
use crate::model::arena::Layout;
use crate::torch;
use std::sync::Arc;
use tch::Tensor;

/// y = xW + b.
struct Dense {
    weight: Tensor,
    bias: Tensor,
}

/// The layers of a policy and its values, bound to flat weights.
pub struct Network {
    spec: Arc<Spec>,
    trunk: Vec<Dense>,
    policy: Vec<Dense>,
    value: Vec<Dense>,
    log_deviation: Option<Tensor>,
}

impl Network {
    /// Leaves over flat `data` whose gradients are views of flat `gradients`.
    pub fn bind_trainable(spec: &Arc<Spec>, layout: &Layout, data: &Tensor, gradients: &Tensor) -> Result<Network> {
        layout.check(data)?;
        layout.check(gradients)?;
        let leaf = |name: &str| -> Result<Tensor> {
            let slot =
                layout.find(name).ok_or_else(|| Error::new(Status::Internal, format!("{name}: not in the layout")))?;
            let leaf = layout.view(data, slot).f_detach()?.f_set_requires_grad(true)?;
            torch::set_gradient(&leaf, &layout.view(gradients, slot))?;
            Ok(leaf)
        };
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
        Ok(Network { spec: spec.clone(), trunk: trunk?, policy: policy?, value: value?, log_deviation })
    }

    /// Outputs [B, W] and values [B] of normalised observations [B, O].
    pub fn forward(&self, observations: &Tensor) -> Result<(Tensor, Tensor)> {
        let hidden = self.chain(&self.trunk, observations.shallow_clone(), self.trunk.len())?;
        let outputs = self.chain(&self.policy, hidden.shallow_clone(), self.policy.len() - 1)?;
        let values = self.chain(&self.value, hidden, self.value.len() - 1)?;
        Ok((outputs, values.f_squeeze_dim(1)?))
    }

    /// What it says of `observations` [B, O] and `actions` [B, A]; `legal` bool [B, choices] where there are masks.
    pub fn evaluate(&self, observations: &Tensor, actions: &Tensor, legal: Option<&Tensor>) -> Result<Evaluated> {
        let (outputs, values) = self.forward(observations)?;
        let (log_probs, entropies) = judge(&self.spec, &outputs, self.log_deviation.as_ref(), actions, legal)?;
        Ok(Evaluated { log_probs, entropies, values })
    }

    /// Reparameterised actions x = μ + σ·ε [B, A], as they are recorded, and their log-probabilities [B], at `observations`
    /// [B, O] with standard normal `noise` ε [B, A]; both carry gradient. Normal and squashed actions alone.
    pub fn sample(&self, observations: &Tensor, noise: &Tensor) -> Result<(Tensor, Tensor)> {
        let (outputs, _) = self.forward(observations)?;
        reparameterized(&self.spec, &outputs, self.log_deviation.as_ref(), noise)
    }

    /// What hosts get for recorded actions [B, A]: within bounds, squashed and scaled where they are. Carries gradient.
    pub fn handed_out(&self, actions: &Tensor) -> Result<Tensor> {
        handed_out(&self.spec, actions)
    }

    /// Through all layers, the first `active` of which end in the activation.
    fn chain(&self, layers: &[Dense], mut x: Tensor, active: usize) -> Result<Tensor> {
        for (index, layer) in layers.iter().enumerate() {
            x = layer.bias.f_addmm(&x, &layer.weight)?; // [B, out]
            if index < active {
                x = match self.spec.config.activation {
                    Activation::Tanh => x.f_tanh()?,
                    Activation::Relu => x.f_relu()?,
                    Activation::Elu => x.f_elu()?,
                    Activation::Silu => x.f_silu()?,
                };
            }
        }
        Ok(x)
    }
}

//! The ensemble of a reward network in libtorch, over flat weights.

use super::network::activate;
use super::reward_spec::RewardSpec;
use crate::config::Activation;
use crate::error::{Error, Result, Status};
use crate::model::arena::Layout;
use crate::torch;
use tch::Tensor;

/// Members, each its layers as (weight, bias), bound to flat weights.
pub struct RewardNetwork {
    members: Vec<Vec<(Tensor, Tensor)>>,
    activation: Activation,
}

impl RewardNetwork {
    /// Views of flat `data`.
    pub fn bind(spec: &RewardSpec, layout: &Layout, data: &Tensor) -> Result<RewardNetwork> {
        layout.check(data)?;
        RewardNetwork::of(spec, layout, |slot| Ok(layout.view(data, slot)))
    }

    /// Leaves over flat `data` whose gradients are views of flat `gradients`.
    pub fn bind_trainable(
        spec: &RewardSpec,
        layout: &Layout,
        data: &Tensor,
        gradients: &Tensor,
    ) -> Result<RewardNetwork> {
        layout.check(data)?;
        layout.check(gradients)?;
        RewardNetwork::of(spec, layout, |slot| {
            let leaf = layout.view(data, slot).f_detach()?.f_set_requires_grad(true)?;
            torch::set_gradient(&leaf, &layout.view(gradients, slot))?;
            Ok(leaf)
        })
    }

    fn of(spec: &RewardSpec, layout: &Layout, take: impl Fn(usize) -> Result<Tensor>) -> Result<RewardNetwork> {
        let find = |name: String| {
            let slot = layout.find(&name);
            take(slot.ok_or_else(|| Error::new(Status::Internal, format!("{name}: not in the layout")))?)
        };
        let dense = |member: usize, index: usize| {
            Ok((find(format!("member.{member}.{index}.weight"))?, find(format!("member.{member}.{index}.bias"))?))
        };
        let layers = spec.layers().len();
        let member = |member| (0..layers).map(|index| dense(member, index)).collect::<Result<Vec<_>>>();
        let members = (0..spec.members()).map(member).collect::<Result<Vec<_>>>()?;
        Ok(RewardNetwork { members, activation: spec.config.activation })
    }

    /// r̂ of each step by each member, [N, K], of `features` [N, F].
    pub fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let told = self.members.iter().map(|layers| self.member(layers, features));
        Ok(Tensor::f_cat(&told.collect::<Result<Vec<_>>>()?, 1)?)
    }

    fn member(&self, layers: &[(Tensor, Tensor)], features: &Tensor) -> Result<Tensor> {
        let mut x = features.shallow_clone();
        for (index, (weight, bias)) in layers.iter().enumerate() {
            x = bias.f_addmm(&x, weight)?; // [N, out]
            if index + 1 < layers.len() {
                x = activate(&x, self.activation)?;
            }
        }
        Ok(x)
    }
}

//! What a control session trains: a policy, or a reward model.

use crate::error::{Error, Result, Status};
use crate::model::control::{as_format, Policy, RewardModel, RewardSpec, Spec, Statistics};
use crate::model::AnyModel;
use crate::session::Role;
use serde_json::Value;
use std::sync::Arc;

#[derive(Clone)]
pub(super) enum Trained {
    Policy(Arc<Policy>),
    Reward(Arc<RewardModel>),
}

impl Trained {
    /// The model for a role; refuses another kind of it.
    pub fn new(role: Role, model: AnyModel) -> Result<Trained> {
        match (role, model) {
            (Role::Policy, AnyModel::Control(policy)) => Ok(Trained::Policy(policy)),
            (Role::Reward, AnyModel::Reward(model)) => Ok(Trained::Reward(model)),
            (Role::Reward, _) => {
                Err(Error::state("model: expected a reward network of control for the role reward in this session"))
            }
            _ => Err(Error::state("model: expected a control network for the role policy in this session")),
        }
    }

    pub fn role(&self) -> Role {
        match self {
            Trained::Policy(_) => Role::Policy,
            Trained::Reward(_) => Role::Reward,
        }
    }

    pub fn model(&self) -> AnyModel {
        match self {
            Trained::Policy(policy) => AnyModel::Control(policy.clone()),
            Trained::Reward(model) => AnyModel::Reward(model.clone()),
        }
    }

    pub fn version(&self) -> u64 {
        match self {
            Trained::Policy(policy) => policy.version(),
            Trained::Reward(model) => model.published().version,
        }
    }

    pub fn raise_version(&self, version: u64) {
        match self {
            Trained::Policy(policy) => policy.raise_version(version),
            Trained::Reward(model) => model.raise_version(version),
        }
    }

    /// Refuses what cannot take its place: a policy of other observations, actions or states, and any reward model.
    pub fn check_successor(&self, next: &Trained) -> Result<()> {
        let (Trained::Policy(own), Trained::Policy(next)) = (self, next) else {
            return Err(Error::state("model: the session has its reward model in training already"));
        };
        let (own, next) = (own.spec(), next.spec());
        let shape =
            |what: &str| Err(Error::shape(format!("model: expected the {what} of the policy whose place it takes")));
        match () {
            () if own.config.observations != next.config.observations => shape("observations"),
            () if own.config.actions != next.config.actions => shape("actions"),
            () if own.config.core != next.config.core || own.state != next.state => shape("core"),
            () => Ok(()),
        }
    }

    /// Its config.
    pub fn description(&self) -> Value {
        match self {
            Trained::Policy(policy) => Value::from(policy.spec().as_ref()),
            Trained::Reward(model) => Value::from(model.spec().as_ref()),
        }
    }

    pub fn acquire(&self) -> Result<()> {
        match self {
            Trained::Policy(policy) => policy.acquire_trainer(),
            Trained::Reward(model) => model.acquire_trainer(),
        }
    }

    pub fn release(&self) {
        match self {
            Trained::Policy(policy) => policy.release_trainer(),
            Trained::Reward(model) => model.release_trainer(),
        }
    }

    /// The script of a network that is the host's own.
    pub fn script(&self) -> Option<&[u8]> {
        match self {
            Trained::Policy(policy) => policy.spec().script(),
            Trained::Reward(_) => None,
        }
    }

    /// A model of this config, and of this script where it has one, with these weights, and nothing observed yet.
    pub fn assemble(
        description: &Value,
        script: Option<&[u8]>,
        weights: impl Fn(&str) -> Result<Vec<f32>>,
    ) -> Result<Trained> {
        Ok(match RewardSpec::is_one(description) {
            true => {
                let spec = RewardSpec::parse(description).map_err(as_format)?;
                let statistics = Statistics::new(spec.inputs());
                Trained::Reward(Arc::new(RewardModel::assemble(spec, weights("reward")?, statistics)?))
            }
            false => {
                let mut spec = Spec::parse(description).map_err(as_format)?;
                if spec.is_scripted() {
                    let missing = || Error::new(Status::Format, "the network's script is missing");
                    spec = spec.with_script(script.ok_or_else(missing)?)?;
                }
                let statistics = Statistics::new(spec.vectors);
                Trained::Policy(Arc::new(Policy::assemble(spec, weights("policy")?, statistics)?))
            }
        })
    }
}

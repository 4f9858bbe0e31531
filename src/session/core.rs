//! The learner's state and the roles of its models.

use super::trainee::Trainee;
use crate::algorithm::Algorithm;
use crate::error::{Error, Result};
use crate::model::{Model, Transformer, Weights};
use std::sync::Arc;

/// What a model is to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Role {
    Policy = 1,
    Reference = 2,
}

/// A frozen model: a snapshot that its owner's later publications do not touch.
pub(super) struct Reference {
    pub model: Arc<Model>,
    pub weights: Arc<Weights>,
    pub network: Transformer,
}

impl Reference {
    pub fn of(model: &Arc<Model>, weights: Arc<Weights>) -> Result<Reference> {
        let network = Transformer::bind(model.architecture(), &weights.layout, &weights.data())?;
        Ok(Reference { model: model.clone(), weights, network })
    }
}

/// The learner's state.
pub(super) struct Core {
    pub algorithm: Box<dyn Algorithm>,
    pub policy: Option<Trainee>,
    pub reference: Option<Reference>,
    pub updates: u64,
    pub optimizer_steps: u64,
}

impl Core {
    pub fn trainee(&self) -> Result<&Trainee> {
        self.policy.as_ref().ok_or_else(no_policy)
    }

    pub fn trainee_mut(&mut self) -> Result<&mut Trainee> {
        self.policy.as_mut().ok_or_else(no_policy)
    }
}

pub(super) fn no_policy() -> Error {
    Error::state("session: it has no policy; call set_model with the role policy first")
}

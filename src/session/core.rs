//! The learner's state and the roles of its models.

use super::buffer::Row;
use super::gather::Gathered;
use super::scoring::Scored;
use super::trainee::Trainee;
use crate::algorithm::Algorithm;
use crate::error::{Error, Result};
use crate::model::{Model, Transformer, ValueHead, Weights};
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
    pub fn of(model: &Model) -> Result<Reference> {
        let model = Arc::new(model.frozen());
        let weights = model.weights();
        let network = Transformer::read(model.architecture(), &weights)?;
        Ok(Reference { model, weights, network })
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
    /// Rows as the algorithm sees them.
    pub fn gathered(&self, rows: Vec<Arc<Row>>) -> Gathered {
        match (&self.policy, self.algorithm.needs().mismatched) {
            (Some(trainee), true) => Gathered::mismatched(rows, trainee.model.architecture().positions as usize),
            _ => Gathered::new(rows),
        }
    }

    /// Whose network, and the value head on it.
    pub fn network(&self, whose: Scored) -> Result<(&Transformer, Option<&ValueHead>)> {
        match whose {
            Scored::Policy => self.trainee().map(|trainee| (&trainee.network, trainee.value_head.as_ref())),
            Scored::Reference => {
                let reference = self.reference.as_ref();
                let reference = reference.ok_or_else(|| Error::state("reference: the session has none"))?;
                Ok((&reference.network, None))
            }
        }
    }

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

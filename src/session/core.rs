//! The learner's state and the roles of its models.

use super::buffer::Row;
use super::gather::Gathered;
use super::optimize::{Stepped, Stepping};
use super::reference::Reference;
use super::scoring::Scored;
use super::snapshot::Snapshots;
use super::trainee::Trainee;
use crate::algorithm::{Algorithm, Columns, Config};
use crate::error::{Error, Result};
use crate::model::{Model, Networks};
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use tch::{Device, Tensor};

/// What a model is to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Role {
    Policy = 1,
    Reference = 2,
    Reward = 3,
    Value = 4,
}

/// The learner's state.
pub(super) struct Core {
    pub algorithm: Box<dyn Algorithm>,
    /// The model in training: the policy, or a reward model.
    pub trainee: Option<Trainee>,
    pub reference: Option<Reference>,
    /// The model that judges rollouts.
    pub reward: Option<Reference>,
    /// The network of its own that state values come from, trained with the policy.
    pub value: Option<Arc<Model>>,
    pub updates: u64,
    pub optimizer_steps: u64,
    /// The optimiser step that is being made.
    pub stepping: Option<Stepping>,
    /// What the last one measured.
    pub stepped: Option<Stepped>,
    /// How many of them were made when the model was published last.
    pub published: u64,
    /// Parameters of the versions that are kept, in host memory.
    pub kept: Snapshots<Tensor>,
    /// Settings of the method before and after a change that waits for the next optimiser step.
    pub next: Option<[Config; 2]>,
}

impl Core {
    pub fn new(algorithm: Box<dyn Algorithm>) -> Self {
        Core {
            algorithm,
            trainee: None,
            reference: None,
            reward: None,
            value: None,
            updates: 0,
            optimizer_steps: 0,
            stepping: None,
            stepped: None,
            published: 0,
            kept: Snapshots::default(),
            next: None,
        }
    }

    /// Rows as the algorithm sees them.
    pub fn gathered(&self, rows: Vec<Arc<Row>>) -> Gathered {
        let needs = self.algorithm.needs();
        let gathered = match (&self.trainee, needs.mismatched) {
            (Some(trainee), true) => Gathered::mismatched(rows, trainee.model.architecture().positions as usize),
            _ => Gathered::new(rows),
        };
        let room = i64::from(needs.value_after);
        Gathered { width: gathered.width + room, ..gathered }
    }

    /// Does the next part of the optimiser step that is being made, and what belongs to its end.
    pub fn step(&mut self, writing: &AtomicBool) -> Result<()> {
        let (Some(stepping), Some(trainee)) = (&mut self.stepping, &mut self.trainee) else { return Ok(()) };
        let stepped = stepping.advance(trainee, writing)?;
        if stepped.is_some() {
            (self.stepping, self.stepped) = (None, stepped);
            self.optimizer_steps += 1;
            self.follow()?;
        }
        Ok(())
    }

    /// Leaves the state of an optimiser-step boundary: completes a step that has begun to write.
    pub fn settle(&mut self, writing: &AtomicBool) -> Result<()> {
        while self.stepping.as_ref().is_some_and(Stepping::torn) {
            self.step(writing)?;
        }
        Ok(())
    }

    /// Lets the reference follow the policy where this optimiser step is one at which it does.
    pub fn follow(&mut self) -> Result<()> {
        match (self.algorithm.reference_update(), &self.trainee, &mut self.reference) {
            (Some(rule), Some(trainee), Some(reference)) if self.optimizer_steps.is_multiple_of(rule.every.into()) => {
                reference.follow(&trainee.parameters, rule.mix)
            }
            _ => Ok(()),
        }
    }

    /// What the reference said of these rows before, [S, T], where the method lets it be kept.
    pub fn recall(&self, gathered: &Gathered, device: Device) -> Result<Option<Tensor>> {
        match &self.reference {
            Some(reference) if self.algorithm.needs().reference_kept => reference.recall(gathered, device),
            _ => Ok(None),
        }
    }

    /// Keeps what the reference says of these rows, where the method lets it be kept.
    pub fn remember(&mut self, gathered: &Gathered, columns: &Columns) -> Result<()> {
        match &mut self.reference {
            Some(reference) if self.algorithm.needs().reference_kept => {
                reference.remember(gathered, columns.get("reference_log_probs")?)
            }
            _ => Ok(()),
        }
    }

    /// Whose network, and what tells values beside it.
    pub fn network(&self, whose: Scored) -> Result<Networks<'_>> {
        match whose {
            Scored::Policy => self.trainee().map(|trainee| (&trainee.network, trainee.value_model.as_ref())),
            Scored::Reference => frozen(&self.reference, "reference"),
            Scored::Reward => frozen(&self.reward, "reward"),
        }
    }

    pub fn trainee(&self) -> Result<&Trainee> {
        self.trainee.as_ref().ok_or_else(no_model)
    }

    pub fn trainee_mut(&mut self) -> Result<&mut Trainee> {
        self.trainee.as_mut().ok_or_else(no_model)
    }
}

fn frozen<'a>(model: &'a Option<Reference>, role: &str) -> Result<Networks<'a>> {
    let model = model.as_ref().ok_or_else(|| Error::state(format!("{role}: the session has no model for it")))?;
    Ok((&model.network, None))
}

pub(super) fn no_model() -> Error {
    let message = "session: it has no model to train; call set_model first, with the role policy, or reward where the \
                   algorithm trains a reward model";
    Error::state(message)
}

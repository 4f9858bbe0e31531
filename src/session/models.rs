//! The models of a session: which roles they may take, and what each must be.

use super::core::{no_model, Core};
use super::reference::Reference;
use super::snapshot::Snapshots;
use super::trainee::Trainee;
use super::{Role, Session};
use crate::error::{Error, Result, Status};
use crate::model::{Model, Tokenizer};
use std::sync::Arc;
use tch::Kind;

impl Session {
    /// Gives a model its role. The weights of the model in training belong to this session from then on; a language model
    /// that is given as the reward model in training lends its trunk to a new one. Where the algorithm needs a reference
    /// and none is set, it is a frozen copy of the policy as it is now.
    pub fn set_model(&self, role: Role, model: Arc<Model>) -> Result<()> {
        if model.device() != self.device {
            let message =
                format!("model: expected one on {:?}, the session's device, got {:?}", self.device, model.device());
            return Err(Error::new(Status::Device, message));
        }
        self.while_idle("set_model", || {
            let mut core = self.core.lock();
            match role {
                _ if role == self.trained_role() => self.set_trained(&mut core, model),
                Role::Policy => {
                    let message = "role: this session's algorithm trains a reward model; set it with the role reward";
                    Err(Error::state(message))
                }
                Role::Reference => {
                    self.check_reference(&core, &model)?;
                    core.reference = Some(Reference::of(&model)?);
                    Ok(())
                }
                Role::Reward => {
                    self.check_judge(&core, &model)?;
                    core.reward = Some(Reference::of(&model)?);
                    Ok(())
                }
                Role::Value => self.set_value(&mut core, model),
            }
        })
    }

    /// Whether a model can be the reference beside the models that the session has.
    pub(super) fn check_reference(&self, core: &Core, model: &Model) -> Result<()> {
        check_language("reference", model)?;
        self.check_vocabulary(core, Role::Reference, model)?;
        let policy = core.trainee.as_ref().map(|trainee| &trainee.model);
        check_positions(policy.map(|policy| policy.as_ref()), model)?;
        check_follows(core, policy, model)
    }

    /// Whether a model can judge this session's rollouts.
    pub(super) fn check_judge(&self, core: &Core, model: &Model) -> Result<()> {
        self.check_scores(model, self.needs.rewards, "rewards of this session's algorithm")?;
        self.check_vocabulary(core, Role::Reward, model)
    }

    fn set_value(&self, core: &mut Core, model: Arc<Model>) -> Result<()> {
        if !self.needs.values {
            return Err(Error::state("role: this session's algorithm has no values"));
        }
        if core.trainee.is_some() {
            return Err(Error::state("role: the value model is trained with the policy; set it before the policy"));
        }
        self.check_scores(&model, 1, "values of a state")?;
        self.check_vocabulary(core, Role::Value, &model)?;
        if model.kind() != Kind::Float {
            return Err(Error::state("model: expected float32 weights, which training needs"));
        }
        model.acquire_trainer()?;
        if let Some(replaced) = core.value.replace(model) {
            replaced.release_trainer();
        }
        Ok(())
    }

    /// The role of the model in training.
    pub(super) fn trained_role(&self) -> Role {
        if self.scores.is_empty() {
            Role::Policy
        } else {
            Role::Reward
        }
    }

    fn set_trained(&self, core: &mut Core, model: Arc<Model>) -> Result<()> {
        if core.trainee.is_some() && self.trained_role() == Role::Reward {
            return Err(Error::state("role: the session has a reward model in training already"));
        }
        self.check_vocabulary(core, self.trained_role(), &model)?;
        let model = match (self.trained_role(), model.architecture().scores()) {
            (Role::Reward, 0) => Arc::new(model.with_scores(&self.scores, self.seed)?),
            (Role::Reward, _) => {
                self.check_scores(&model, self.scores.len(), "names in /algorithm/scores")?;
                model
            }
            _ => {
                check_language("policy", &model)?;
                model
            }
        };
        core.trainee.iter().try_for_each(|before| check_follows_on(&before.model, &model))?;
        check_follows(core, core.reference.as_ref().map(|reference| &reference.model), &model)?;
        let beside = core.value.iter().chain(core.reference.iter().map(|reference| &reference.model));
        beside.into_iter().try_for_each(|other| check_positions(Some(&model), other))?;
        model.acquire_trainer()?;
        let prepared = self.prepare(core, &model);
        let (trainee, reference) = prepared.inspect_err(|_| model.release_trainer())?;
        core.kept = Snapshots::default();
        core.reference = reference.or(core.reference.take());
        match core.trainee.replace(trainee) {
            Some(before) => {
                before.model.release_trainer();
                model.raise_version(before.model.weights().version);
                self.publish_from(core)?;
            }
            None => self.keep(core, model.weights().version)?,
        }
        *self.trained.lock() = Some(model);
        Ok(())
    }

    fn prepare(&self, core: &Core, model: &Arc<Model>) -> Result<(Trainee, Option<Reference>)> {
        let trainee = Trainee::new(model, self.needs.values, core.value.as_ref())?;
        let copy = self.needs.reference && core.reference.is_none();
        let reference = if copy { Some(Reference::of(model)?) } else { None };
        Ok((trainee, reference))
    }

    fn check_scores(&self, model: &Model, expected: usize, of: &str) -> Result<()> {
        match model.architecture().scores() {
            found if found == expected && found > 0 => Ok(()),
            found => {
                Err(Error::shape(format!("model: expected {expected} scores, one for each of the {of}, got {found}")))
            }
        }
    }

    /// All models of a session read the same tokens; the one whose role the model takes is its no more.
    fn check_vocabulary(&self, core: &Core, role: Role, model: &Model) -> Result<()> {
        let frozen = |frozen: &Option<Reference>| frozen.as_ref().map(|frozen| frozen.model.clone());
        let models = [
            (self.trained_role(), core.trainee.as_ref().map(|trainee| trainee.model.clone())),
            (Role::Value, core.value.clone()),
            (Role::Reference, frozen(&core.reference)),
            (Role::Reward, frozen(&core.reward)),
        ];
        let others = models.into_iter().filter(|(other, _)| *other != role).filter_map(|(_, model)| model);
        let found = model.architecture().vocabulary;
        let mut sizes = others.map(|other| other.architecture().vocabulary);
        match sizes.find(|size| *size != found) {
            Some(size) => {
                let message =
                    format!("model: expected a vocabulary of {size}, as the session's other model, got {found}");
                Err(Error::shape(message))
            }
            None => Ok(()),
        }
    }

    pub fn model(&self, role: Role) -> Option<Arc<Model>> {
        if role == self.trained_role() {
            return self.trained.lock().clone();
        }
        let core = self.core.lock();
        let frozen = match role {
            Role::Policy => None,
            // a copy: a reference that follows the policy moves on
            Role::Reference => return core.reference.as_ref().map(|reference| Arc::new(reference.model.frozen())),
            Role::Reward => core.reward.as_ref(),
            Role::Value => return core.value.clone(),
        };
        frozen.map(|frozen| frozen.model.clone())
    }

    pub fn tokenizer(&self) -> Option<Arc<Tokenizer>> {
        self.trained.lock().as_ref().and_then(|model| model.tokenizer().cloned())
    }

    /// The model in training.
    pub(super) fn trained(&self) -> Result<Arc<Model>> {
        self.trained.lock().clone().ok_or_else(no_model)
    }
}

/// Models beside the policy read whatever it reads.
fn check_positions(policy: Option<&Model>, model: &Model) -> Result<()> {
    let (found, least) = (model.architecture().positions, policy.map_or(0, |policy| policy.architecture().positions));
    match found >= least {
        true => Ok(()),
        false => Err(Error::shape(format!(
            "model: expected at least {least} positions, as many as the policy has, got {found}"
        ))),
    }
}

/// What takes the place of a model in training has its architecture.
fn check_follows_on(before: &Model, model: &Model) -> Result<()> {
    match before.architecture() == model.architecture() && before.layout() == model.layout() {
        true => Ok(()),
        false => Err(Error::shape("model: expected the architecture of the model in training, whose place it takes")),
    }
}

fn check_language(role: &str, model: &Model) -> Result<()> {
    match model.architecture().scores() {
        0 => Ok(()),
        scores => Err(Error::shape(format!(
            "model: expected a language model for the role {role}, got one of {scores} scores"
        ))),
    }
}

/// A reference that follows the policy has the policy's parameters.
fn check_follows(core: &Core, other: Option<&Arc<Model>>, model: &Model) -> Result<()> {
    let moves = core.algorithm.reference_update().is_some();
    match other.filter(|other| moves && other.layout() != model.layout()) {
        Some(_) => {
            Err(Error::shape("model: expected the parameters of the session's other model, as reference_update needs"))
        }
        None => Ok(()),
    }
}

//! The method of a control session: what each of them answers in its own way.

use super::cloning::Imitator;
use super::judging::Judging;
use super::pairs::Pairs;
use super::ppo::Ppo;
use super::preference::PreferenceUpdate;
use super::sac::ActorCritic;
use super::trained::Trained;
use super::{AnyCourse, ControlSession, Core};
use crate::algorithm::control_ppo::{GradientClip, Truncation};
use crate::algorithm::{self, ControlPpo, ControlReward, Learner, Sac};
use crate::config::Schedule;
use crate::error::{Error, Result, Status};
use crate::session::plan::Plan;
use crate::session::{Config, Role};
use parking_lot::Mutex;
use std::sync::Arc;
use tch::Device;

/// The method that the configuration names, as the session was created: what may change while it lives is read where it
/// is used, from the session's configuration.
pub(super) enum Method {
    Ppo(Arc<ControlPpo>),
    Sac(Arc<Sac>),
    Cloning(Arc<algorithm::cloning::Config>),
    /// With the pairs that were pushed, beside the core: pushing never waits for the learner.
    Reward(Arc<ControlReward>, Arc<Mutex<Pairs>>),
}

impl Method {
    pub fn of(config: &algorithm::Config) -> Option<Method> {
        match config {
            algorithm::Config::ControlPpo(config) => Some(Method::Ppo(Arc::new(ControlPpo::new(config.clone())))),
            algorithm::Config::Sac(config) => Some(Method::Sac(Arc::new(Sac::new(config.clone())))),
            algorithm::Config::Cloning(config) => Some(Method::Cloning(Arc::new(config.clone()))),
            algorithm::Config::ControlReward(config) => {
                Some(Method::Reward(Arc::new(ControlReward::new(config.clone())), Arc::default()))
            }
            _ => None,
        }
    }

    /// What the method's own settings and the session's cannot be together.
    pub fn check(&self, config: &Config) -> Result<()> {
        match self {
            Method::Ppo(algorithm) => algorithm.config().check_optimizer(&config.optimizer),
            _ => Ok(()),
        }
    }

    /// Refuses a CUDA device where the method, or one of its settings, is the CPU's alone.
    pub fn check_device(&self) -> Result<()> {
        let unsupported = |message: String| Err(Error::new(Status::Unsupported, message));
        let Method::Ppo(algorithm) = self else {
            return unsupported("/device: expected cpu, where this algorithm trains control networks".to_string());
        };
        let config = algorithm.config();
        let moves = config.clip_schedule != Schedule::default() || config.entropy_schedule != Schedule::default();
        let refused = [
            (config.learner == Learner::Fused, "learner", "auto or libtorch"),
            (config.cloning.is_some(), "cloning", "none"),
            (config.adaptive_rate.is_some(), "adaptive_rate", "none"),
            (config.gradient_clip == GradientClip::Separate, "gradient_clip", "whole"),
            (config.bound_coef > 0.0, "bound_coef", "0"),
            (moves, "clip_schedule, /algorithm/entropy_schedule", "constant ones"),
        ];
        match refused.into_iter().find(|(found, ..)| *found) {
            Some((_, name, expected)) => {
                unsupported(format!("/algorithm/{name}: expected {expected} on a CUDA device"))
            }
            None => Ok(()),
        }
    }

    /// Refuses demonstrations where the method does not learn from them.
    pub fn check_shown(&self) -> Result<()> {
        let from_actors = "this one learns from what actors do";
        match self {
            Method::Cloning(_) => Ok(()),
            Method::Ppo(algorithm) if algorithm.config().cloning.is_some() => Ok(()),
            Method::Ppo(_) => Err(Error::state(format!(
                "push: expected a session that has cloning among its settings; {from_actors}"
            ))),
            _ => Err(Error::state(format!("push: expected a session whose method learns from batches; {from_actors}"))),
        }
    }

    /// The role of the model in training.
    pub fn role(&self) -> Role {
        match self {
            Method::Ppo(_) | Method::Sac(_) | Method::Cloning(_) => Role::Policy,
            Method::Reward(..) => Role::Reward,
        }
    }

    /// γ.
    pub fn discount(&self) -> f64 {
        match self {
            Method::Ppo(algorithm) => algorithm.config().discount,
            Method::Sac(algorithm) => algorithm.config().discount,
            Method::Cloning(_) | Method::Reward(..) => 1.0,
        }
    }

    pub fn truncation(&self) -> Truncation {
        match self {
            Method::Ppo(algorithm) => algorithm.config().truncation,
            Method::Sac(_) => Truncation::Exact,
            Method::Cloning(_) | Method::Reward(..) => Truncation::Ignore,
        }
    }

    /// Whether actors draw evenly between the bounds of their actions until the first update is complete.
    pub fn explores(&self) -> bool {
        match self {
            Method::Ppo(_) | Method::Cloning(_) | Method::Reward(..) => false,
            Method::Sac(algorithm) => algorithm.config().learning_starts > 0,
        }
    }

    /// Steps of the longest sequence that a recurrent policy learns from.
    pub fn sequence_length(&self) -> u32 {
        match self {
            Method::Ppo(algorithm) => algorithm.config().sequence_length(),
            Method::Sac(_) | Method::Cloning(_) | Method::Reward(..) => u32::MAX,
        }
    }

    /// What it keeps from now on, on the device where it learns.
    pub fn course(&self, trained: &Trained, seed: u64, device: Device) -> Result<AnyCourse> {
        Ok(match (self, trained) {
            (Method::Ppo(algorithm), Trained::Policy(policy)) => {
                AnyCourse::Ppo(Box::new(Ppo::new(policy, algorithm, device)?))
            }
            (Method::Sac(algorithm), Trained::Policy(policy)) => {
                AnyCourse::Sac(Box::new(ActorCritic::new(policy, algorithm, seed)?))
            }
            (Method::Cloning(config), Trained::Policy(policy)) => {
                AnyCourse::Cloning(Box::new(Imitator::new(policy, config, seed)?))
            }
            (Method::Reward(_, pairs), Trained::Reward(model)) => AnyCourse::Judging(Judging::new(model, pairs)?),
            _ => return Err(Error::state("model: this session's algorithm trains another kind of model")),
        })
    }

    /// The next update; `None` while it lacks data.
    pub fn plan(&self, session: &Arc<ControlSession>, core: &mut Core) -> Result<Option<Box<dyn Plan>>> {
        match self {
            Method::Ppo(_) => {
                let updates = core.updates;
                let algorithm = ControlSession::ppo_at(&session.config(), updates)?;
                core.ppo()?.plan(session, &algorithm, updates)
            }
            Method::Sac(_) => {
                let made = core.optimizer_steps;
                core.sac()?.plan(session, made)
            }
            Method::Cloning(_) => Ok(core.imitator()?.plan(session)),
            Method::Reward(algorithm, pairs) => {
                let selection = pairs.lock().select(algorithm.regime(), session.seed);
                let plan = |selection| Box::new(PreferenceUpdate::new(session, algorithm, selection)) as Box<dyn Plan>;
                Ok(selection.map(plan))
            }
        }
    }
}

//! An update of a control policy as a plan: values and advantages, then one slice a minibatch.

use super::measures::{explained, mean};
use super::pace::Pace;
use super::ppo::Ppo;
use super::rollout::Rollout;
use super::sac::drawn;
use super::scale::Scale;
use super::sequence::Packed;
use super::staged::Steps;
use super::trainee::{Minibatch, Trainee};
use super::{ControlSession, Core};
use crate::algorithm::control_ppo::Scope;
use crate::algorithm::{ControlPpo, Regime};
use crate::error::{Error, Result, Status};
use crate::kernel;
use crate::model::control::Statistics;
use crate::session::minibatch;
use crate::session::plan::{Ending, Output, Plan};
use crate::session::record::Measurements;
use crate::session::Config;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// What the update is made of beside the steps.
struct Prepared {
    values: Vec<f32>,
    advantages: Vec<f32>,
    returns: Vec<f32>,
    statistics: Statistics,
    reward_statistics: Statistics,
    /// Of what the reward model said, where there is one.
    judged: Option<Statistics>,
    value_statistics: Statistics,
}

pub(super) struct Update {
    session: Arc<ControlSession>,
    /// What holds for the optimiser step in progress.
    config: Arc<Config>,
    algorithm: Arc<ControlPpo>,
    rollout: Rollout,
    orders: Vec<Vec<usize>>,
    prepared: Option<Prepared>,
    pace: Option<Pace>,
    batch: Minibatch,
    /// Demonstrations that it may imitate: the first ones.
    shown: usize,
    /// Steps that were too old for it.
    stale: u64,
    /// Minibatches that were stepped.
    done: usize,
    measured: Measurements,
}

impl Update {
    /// The whole plan; nothing is computed yet.
    pub fn new(session: &Arc<ControlSession>, algorithm: &Arc<ControlPpo>, updates: u64, rollout: Rollout) -> Update {
        let config = algorithm.config();
        let regime = Regime::OnPolicy { epochs: config.epochs.into(), minibatches: config.minibatches as usize };
        // a minibatch of a recurrent policy is a set of sequences
        let parts = if rollout.sequences.len() > 0 { rollout.sequences.len() } else { rollout.rows() };
        let orders = minibatch::Minibatch::orders(regime, parts, session.seed, updates);
        Update {
            session: session.clone(),
            config: session.config(),
            algorithm: algorithm.clone(),
            rollout,
            orders,
            prepared: None,
            pace: None,
            batch: Minibatch::default(),
            shown: 0,
            stale: 0,
            done: 0,
            measured: Measurements::default(),
        }
    }

    /// The same plan, beside which the first `shown` demonstrations may be imitated.
    pub fn beside(self, shown: usize) -> Update {
        Update { shown, ..self }
    }

    /// The same plan, for which so many steps were too old.
    pub fn without(self, stale: u64) -> Update {
        Update { stale, ..self }
    }

    /// The same plan with minibatches and values of the caller's.
    #[cfg(test)]
    pub fn given(mut self, ppo: &mut Ppo, orders: Vec<Vec<usize>>, values: Vec<f32>) -> Update {
        self.set_pace(ppo).unwrap();
        let statistics = [ppo.statistics.clone(), ppo.reward_statistics.clone(), ppo.value_statistics.clone()];
        self.estimate(values, statistics, None);
        self.ordered(orders)
    }

    /// The same plan with minibatches of the caller's.
    #[cfg(test)]
    pub fn ordered(self, orders: Vec<Vec<usize>>) -> Update {
        Update { orders, ..self }
    }

    /// Takes the settings that hold now.
    fn renew(&mut self, updates: u64) -> Result<()> {
        let config = self.session.config();
        if !Arc::ptr_eq(&config, &self.config) {
            self.algorithm = ControlSession::ppo_at(&config, updates)?;
            self.config = config;
        }
        Ok(())
    }

    fn prepare(&mut self, ppo: &mut Ppo) -> Result<()> {
        let algorithm = self.algorithm.clone();
        let config = algorithm.config();
        let (mut statistics, mut reward_statistics) = (ppo.statistics.clone(), ppo.reward_statistics.clone());
        let policy = ppo.trainee.policy.clone();
        let mut judged = ppo.judge.as_ref().map(|judge| judge.statistics.clone());
        if let (Some(judge), Some(judged)) = (&ppo.judge, &mut judged) {
            judge.rewards(&mut self.rollout, policy.spec(), judged, config)?;
        }
        if policy.spec().config.normalize_observations {
            self.rollout.normalize(&mut statistics, &policy.published().normalizer)?;
        }
        self.measured.note("reward/mean", mean(&self.rollout.rewards));
        if config.normalize_rewards {
            self.rollout.scale_rewards(&mut reward_statistics, config.reward_clip);
        }
        self.set_pace(ppo)?;
        let (rollout, trainee) = (&self.rollout, &mut ppo.trainee);
        let mut values = match rollout.sequences.len() {
            0 => trainee.values(&rollout.observations)?,
            _ => trainee.values_along(rollout.observations.host(), &rollout.sequences.whole(rollout.rows()))?,
        };
        if config.normalize_values {
            Scale::of(&ppo.value_statistics).undo(&mut values);
        }
        self.estimate(values, [statistics, reward_statistics, ppo.value_statistics.clone()], judged);
        Ok(())
    }

    /// Remembers what the policy says as the update starts, where the learning rate follows it.
    fn set_pace(&mut self, ppo: &mut Ppo) -> Result<()> {
        let config = self.algorithm.config();
        if let Some(adaptive) = &config.adaptive_rate {
            let policy = ppo.trainee.policy.clone();
            let rows = self.rollout.rows() * policy.spec().inputs;
            let old = ppo.trainee.distributions(&self.rollout.observations.host()[..rows])?;
            let parts = self.orders.len() / config.epochs.max(1) as usize;
            self.pace = Some(Pace::new(adaptive, &policy, old, parts));
        }
        Ok(())
    }

    /// Advantages and returns from the values of all states.
    fn estimate(&mut self, mut values: Vec<f32>, statistics: [Statistics; 3], judged: Option<Statistics>) {
        let [statistics, reward_statistics, mut value_statistics] = statistics;
        let algorithm = self.algorithm.clone();
        let config = algorithm.config();
        let (mut advantages, mut returns) = self.rollout.advantages(&values, config);
        self.measured.note("value/explained_variance", explained(&returns, &values));
        self.measured.note("value/mean", mean(&values[..self.rollout.rows()]));
        self.measured.note("returns/mean", mean(&returns));
        if config.advantages == Scope::Batch {
            kernel::whiten(&mut advantages);
        }
        if config.normalize_values {
            values.truncate(self.rollout.rows());
            Scale::learn(&mut value_statistics, &mut values);
            Scale::learn(&mut value_statistics, &mut returns);
        }
        let prepared =
            Prepared { values, advantages, returns, statistics, reward_statistics, value_statistics, judged };
        self.prepared = Some(prepared);
    }

    /// Gathers the rows of a minibatch, into memory that the last one left.
    fn gather(&mut self, index: usize) -> Result<()> {
        let prepared =
            self.prepared.as_ref().ok_or_else(|| Error::new(Status::Internal, "update: step before prepare"))?;
        let (all, batch) = (&self.rollout, &mut self.batch);
        let packed = match all.sequences.len() {
            0 => Packed { rows: self.orders[index].clone(), ..Packed::default() },
            _ => all.sequences.packed(&self.orders[index]),
        };
        let rows = &packed.rows;
        let count = all.rows().max(1);
        fill(&mut batch.observations, all.observations.host(), all.width, rows);
        fill(&mut batch.legal, &all.legal, all.legal.len() / count, rows);
        fill(&mut batch.actions, &all.actions, all.actions.len() / count, rows);
        fill(&mut batch.log_probs, &all.log_probs, 1, rows);
        fill(&mut batch.advantages, &prepared.advantages, 1, rows);
        fill(&mut batch.values, &prepared.values, 1, rows);
        fill(&mut batch.returns, &prepared.returns, 1, rows);
        if self.algorithm.config().advantages == Scope::Minibatch {
            kernel::whiten(&mut batch.advantages);
        }
        (batch.counts, batch.states) = (packed.counts, packed.states);
        Ok(())
    }

    /// Leaves the gradient of the next minibatch.
    fn learn(&mut self, trainee: &mut Trainee) -> Result<Vec<(&'static str, f64)>> {
        if !trainee.is_staged() {
            self.gather(self.done)?;
            return trainee.learn(&self.batch, &self.algorithm);
        }
        if let (0, Some(prepared)) = (self.done, &self.prepared) {
            let all = &self.rollout;
            trainee.load(&Steps {
                observations: &all.observations,
                legal: &all.legal,
                actions: &all.actions,
                log_probs: &all.log_probs,
                advantages: &prepared.advantages,
                values: &prepared.values[..all.rows()],
                returns: &prepared.returns,
                orders: &self.orders,
            })?;
        }
        trainee.learn_at(self.done, &self.algorithm)
    }

    fn step(&mut self, core: &mut Core) -> Result<()> {
        let session = self.session.clone();
        let (updates, steps) = (core.updates, core.optimizer_steps);
        let ppo = core.ppo()?;
        let trainee = &mut ppo.trainee;
        let mut kl = 0.0;
        for (name, value) in self.learn(trainee)? {
            if name == "loss/total" && !value.is_finite() {
                let message = format!(
                    "optimiser step {steps}: the loss is {value}; the step was not applied (clear drops these steps)"
                );
                return Err(Error::new(Status::NonFinite, message));
            }
            kl = if name == "policy/approx_kl" { value } else { kl };
            self.measured.note(name, value);
        }
        self.imitate(core.ppo()?, steps, updates)?;
        if self.algorithm.stops(kl) {
            self.orders.truncate(self.done);
            return Ok(());
        }
        let ppo = core.ppo()?;
        let trainee = &mut ppo.trainee;
        let optimizer = &self.config.optimizer;
        let mut rate = optimizer.rate(steps, updates);
        if let Some(pace) = &mut self.pace {
            let (batch, rows) = (&self.batch, &self.orders[self.done]);
            let divergence = pace.measure(trainee.distributions(&batch.observations)?, &batch.legal, rows);
            self.measured.note("policy/kl", divergence);
            rate = pace.before(ppo.rate.unwrap_or(rate));
        }
        let stepped = trainee.step(optimizer, rate, session.writing())?;
        if let Some(error) = trainee.refused() {
            session.warn(format!("no CUDA graph, so that the update takes longer: {error}"));
        }
        let replayed = trainee.replayed();
        if let Some(pace) = &mut self.pace {
            ppo.rate = Some(pace.after(rate, &self.orders[self.done]));
        }
        self.keep_scale(ppo);
        core.optimizer_steps += 1;
        self.done += 1;
        self.measured.note("gradient/norm", stepped.gradient_norm);
        for (name, norm) in ["gradient/policy_norm", "gradient/value_norm"].into_iter().zip(stepped.part_norms) {
            self.measured.note(name, norm);
        }
        self.measured.note("optimizer/learning_rate", stepped.learning_rate);
        replayed.into_iter().for_each(|replayed| self.measured.note("graph/replayed", replayed));
        Ok(())
    }

    /// Adds the gradient of the demonstrations that are imitated beside, while they count.
    fn imitate(&mut self, ppo: &mut Ppo, step: u64, update: u64) -> Result<()> {
        let (Some(imitation), Some(all)) = (&self.algorithm.config().cloning, &ppo.shown) else { return Ok(()) };
        let coef = imitation.coef(update);
        if coef == 0.0 || self.shown == 0 {
            return Ok(());
        }
        let rows = drawn(self.session.seed, step, imitation.batch_size as usize, self.shown);
        let shown = ppo.trainee.shown(all, rows.into_iter(), &ppo.trainee.policy.published().normalizer);
        let [loss, _] = ppo.trainee.imitate(&shown, coef)?;
        self.measured.note("loss/demonstrations", loss);
        Ok(())
    }

    /// Keeps the scale that the values have begun to be learned at.
    fn keep_scale(&self, ppo: &mut Ppo) {
        if let Some(prepared) = &self.prepared {
            ppo.value_statistics = prepared.value_statistics.clone();
        }
    }

    fn complete(&mut self, core: &mut Core) -> Result<()> {
        if let Some(prepared) = self.prepared.take() {
            let ppo = core.ppo()?;
            (ppo.statistics, ppo.reward_statistics) = (prepared.statistics, prepared.reward_statistics);
            if let (Some(judge), Some(judged)) = (&mut ppo.judge, prepared.judged) {
                judge.statistics = judged;
            }
        }
        let version = self.session.publish_from(core)?;
        core.updates += 1;
        self.rollout.taken.iter().try_for_each(|taken| taken.forget())?;
        self.measured.note("policy/version", version as f64);
        self.measured.note("steps/trained", self.rollout.rows() as f64);
        self.rollout.ended.note(&mut self.measured);
        if self.algorithm.config().max_staleness.is_some() {
            self.measured.note("steps/stale_dropped", self.stale as f64);
            core.ppo()?.stale -= self.stale;
        }
        self.session.record(core.updates, core.optimizer_steps, self.measured.values());
        Ok(())
    }
}

impl Plan for Update {
    fn slice(&mut self) -> Result<bool> {
        let session = self.session.clone();
        session.check_poisoned()?;
        let mut core = session.core.lock();
        self.renew(core.updates)?;
        if self.prepared.is_none() {
            self.prepare(core.ppo()?)?;
        } else if self.done < self.orders.len() {
            let stepped = self.step(&mut core);
            if stepped.is_err() && session.writing().load(Ordering::SeqCst) {
                session.poison();
            }
            stepped?;
        }
        Ok(self.done >= self.orders.len())
    }

    fn work(&self) -> &'static str {
        "update"
    }

    fn next(&self) -> &'static str {
        match self.prepared {
            None => "prepare",
            Some(_) if self.done < self.orders.len() => "step",
            Some(_) => "end",
        }
    }

    fn progress(&self) -> f32 {
        (self.done + usize::from(self.prepared.is_some())) as f32 / (self.orders.len() + 1) as f32
    }

    fn finish(&mut self, ending: Ending) -> Result<Output> {
        let session = self.session.clone();
        let mut core = session.core.lock();
        match ending {
            Ending::Complete => self.complete(&mut core)?,
            Ending::Cancelled | Ending::Failed if self.done > 0 && session.check_poisoned().is_ok() => {
                session.publish_from(&mut core)?;
            }
            Ending::Cancelled | Ending::Failed => {}
        }
        Ok(Output::default())
    }

    fn optimizer_steps(&self) -> u64 {
        self.done as u64
    }

    fn threads(&self) -> usize {
        self.session.config().threads()
    }

    fn panicked(&self) {
        if self.session.writing().load(Ordering::SeqCst) {
            self.session.poison();
        }
    }
}

/// Rows of `width` values of a column, one behind the other.
fn fill<T: Copy>(target: &mut Vec<T>, column: &[T], width: usize, rows: &[usize]) {
    target.clear();
    rows.iter().for_each(|row| target.extend_from_slice(&column[row * width..(row + 1) * width]));
}

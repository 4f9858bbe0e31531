//! The host's hand in a control session: it acts for slots and tells what came of it.
//!
//! `act` reads the published policy and touches neither libtorch nor the learner's lock; once its slots and its buffers
//! have been seen it does not allocate, unless the network is a script, which runs in libtorch. Whatever is refused, no slot has
//! moved. What a recurrent policy remembers of a slot is kept beside what the slot did. Acting on what lies on a device is the
//! same but for who computes the outputs.

use super::desk::Desk;
use super::recording::{Episode, Recording};
use super::seat::Seat;
use super::ControlSession;
use crate::algorithm::control_ppo::Truncation;
use crate::error::{Error, Result, Status};
use crate::kernel::Key;
use crate::model::control::{Policy, Spec};
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use tch::Tensor;

/// What a host asks of `act`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Act {
    /// The likeliest choice and the mean, rather than a draw.
    pub greedy: bool,
    /// Nothing is learned from it; the slot stays where it stands, with what a recurrent policy remembers.
    pub unrecorded: bool,
    /// The host chose: the actions are read.
    pub given: bool,
}

/// What slots see.
#[derive(Clone, Copy)]
pub(super) enum Seen<'a> {
    /// An observation record each.
    Records(&'a [u8]),
    /// Their vectors, rows [n, O] on a device, and their masks [n, choices that are masked] in the order of the groups.
    Placed { rows: &'a Tensor, masks: &'a [u8] },
}

pub struct Actor {
    session: Arc<ControlSession>,
    /// What it reads and decides, whichever policy does.
    spec: Arc<Spec>,
    seat: Seat,
    desk: Mutex<Desk>,
}

impl Actor {
    /// An actor of the session's policy; it takes over the slots of one that is gone or was saved.
    pub fn create(session: &Arc<ControlSession>) -> Result<Arc<Actor>> {
        let policy = session.policy()?;
        let seat = session.seat(policy.spec());
        Actor::sit(session, policy, seat)
    }

    /// An actor of the session's policy that leaves nothing: for evaluation, and for playing without learning.
    pub fn create_unrecorded(session: &Arc<ControlSession>) -> Result<Arc<Actor>> {
        let policy = session.policy()?;
        let seat = session.seat_apart(policy.spec());
        Actor::sit(session, policy, seat)
    }

    fn sit(session: &Arc<ControlSession>, policy: Arc<Policy>, seat: Seat) -> Result<Arc<Actor>> {
        let spec = policy.spec().clone();
        let desk = Mutex::new(Desk::new(policy)?);
        Ok(Arc::new(Actor { session: session.clone(), spec, seat, desk }))
    }

    pub fn session(&self) -> &Arc<ControlSession> {
        &self.session
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Chooses for `slots`, one observation record each, and writes one action record each; `given` reads them instead.
    pub fn act(
        &self,
        slots: &[u32],
        observations: &[u8],
        actions: &mut [u8],
        how: Act,
        decisions: Option<&mut [u64]>,
    ) -> Result<()> {
        self.decide(slots, Seen::Records(observations), actions, how, decisions)
    }

    /// As `act`, of what slots see wherever it lies.
    pub(super) fn decide(
        &self,
        slots: &[u32],
        seen: Seen,
        actions: &mut [u8],
        how: Act,
        decisions: Option<&mut [u64]>,
    ) -> Result<()> {
        if how.given && how.greedy {
            return Err(Error::argument("flags: expected KEEL_ACT_GREEDY or KEEL_ACT_GIVEN, got both"));
        }
        let mut desk = self.desk()?;
        let (spec, count) = (&self.spec, slots.len());
        if let Seen::Records(observations) = seen {
            records("observations", count, spec.observation_bytes, observations.len())?;
        }
        records("actions", count, spec.action_bytes, actions.len())?;
        desk.check_slots(slots)?;
        desk.fit(count);
        desk.read(spec, slots, seen, how.given.then_some(&*actions))?;
        if let Seen::Placed { rows, .. } = seen {
            desk.look(rows, slots)?;
        }
        let mut recording = self.seat.recording.lock();
        self.check_turn(&recording, slots, how)?;
        if !how.unrecorded {
            recording = self.seat.claim(recording, &self.session, slots)?;
        }
        let evenly = self.session.explores.load(Ordering::Acquire);
        desk.choose(slots, how, evenly, &recording, self.stream(how))?;
        if !how.unrecorded {
            self.record(&mut recording, &desk, slots, seen, how)?;
        }
        if !how.given {
            let chosen = desk.actions.chunks_exact(spec.actions).zip(actions.chunks_exact_mut(spec.action_bytes));
            chosen.for_each(|(action, record)| spec.write_action(action, record));
        }
        if let Some(decisions) = decisions {
            decisions.iter_mut().zip(desk.decisions..).for_each(|(decision, number)| *decision = number);
        }
        desk.decisions += count as u64;
        Ok(())
    }

    /// What was seen and chosen, as the next step of each slot.
    fn record(&self, recording: &mut Recording, desk: &Desk, slots: &[u32], seen: Seen, how: Act) -> Result<()> {
        let (spec, apart) = (&self.spec, self.seat.is_apart());
        match seen {
            _ if apart => {}
            Seen::Records(_) => recording.observations.push(&desk.observations),
            Seen::Placed { rows, .. } => recording.observations.place(rows)?,
        }
        let longest = self.session.method.sequence_length();
        for (row, slot) in slots.iter().enumerate() {
            let (slot, after) = (*slot as usize, &desk.states[row * spec.state..(row + 1) * spec.state]);
            recording.reach(slot);
            if apart {
                recording.pass(slot, after);
                continue;
            }
            recording.slots[slot].draws += u64::from(!how.greedy && !how.given);
            let action = &desk.actions[row * spec.actions..(row + 1) * spec.actions];
            let legal = &desk.legal[row * spec.choices..(row + 1) * spec.choices];
            let step = recording.act(slot, legal, action, desk.log_probs[row], desk.version());
            recording.states.record(slot, after, step, longest);
        }
        Ok(())
    }

    /// Refuses slots whose last act was not observed, and more steps than a recording holds.
    fn check_turn(&self, recording: &Recording, slots: &[u32], how: Act) -> Result<()> {
        if how.unrecorded {
            return Ok(());
        }
        let of = |slot: &u32| recording.slots.get(*slot as usize);
        let waits = |slot: &&u32| of(slot).is_some_and(|slot| slot.step().is_some() && !slot.observed);
        if let Some(slot) = slots.iter().find(waits) {
            let message = format!("slots: slot {slot} has acted and was not observed since; observe it first");
            return Err(Error::state(message));
        }
        if self.seat.is_apart() {
            return Ok(());
        }
        let remedy = "update, clear, or act unrecorded";
        self.session.steps.check(recording.len(), slots.len(), "steps that wait for an update", remedy)
    }

    /// What `slots` saw since they acted: one reward each, how their episodes stand, and for those that were truncated, in
    /// order, the final observation records.
    pub fn observe<E>(&self, slots: &[u32], rewards: &[f32], episodes: &[E], finals: &[u8]) -> Result<()>
    where
        E: Copy + TryInto<Episode>,
        Error: From<E::Error>,
    {
        let mut desk = self.desk()?;
        let spec = self.spec.clone();
        let count = slots.len();
        for (name, found) in [("rewards", rewards.len()), ("status", episodes.len())] {
            if found != count {
                return Err(Error::shape(format!("{name}: expected {count}, one for each slot, got {found}")));
            }
        }
        let mut truncated = 0;
        for episode in episodes {
            truncated += usize::from((*episode).try_into()? == Episode::Truncated);
        }
        let method = &self.session.method;
        let needed = matches!(method.truncation(), Truncation::Exact | Truncation::Completion);
        if needed || !finals.is_empty() {
            records("final_observations", truncated, spec.observation_bytes, finals.len())?;
        }
        if let Some(reward) = rewards.iter().find(|reward| !reward.is_finite()) {
            return Err(Error::new(Status::NonFinite, format!("rewards: expected finite numbers, got {reward}")));
        }
        desk.check_slots(slots)?;
        desk.fit(truncated.max(1));
        for (row, record) in finals.chunks_exact(spec.observation_bytes).enumerate() {
            let inputs = &mut desk.observations[row * spec.inputs..(row + 1) * spec.inputs];
            spec.read_observation(record, inputs, None).map_err(|error| error.within("final_observations"))?;
        }
        let mut recording = self.seat.recording.lock();
        for (slot, reward) in slots.iter().zip(rewards) {
            recording.check_reward(*slot, *reward)?;
        }
        let mut last = desk.observations.chunks_exact(spec.inputs);
        for ((slot, reward), episode) in slots.iter().zip(rewards).zip(episodes) {
            let episode = (*episode).try_into()?;
            let cut = episode == Episode::Truncated && !finals.is_empty();
            let last = if cut { last.next() } else { None };
            if self.seat.is_apart() {
                recording.pass_by(*slot as usize, episode);
                continue;
            }
            recording.observe(*slot as usize, *reward, episode, last, method.discount());
        }
        Ok(())
    }

    /// What numbers the draws of all slots, whoever acts for them; those that leave no trace have numbers of their own.
    fn stream(&self, how: Act) -> Key {
        let traceless = u64::from(how.unrecorded || self.seat.is_apart()) << 63;
        Key { seed: self.session.seed, stream: traceless, counter: 0 }
    }

    fn desk(&self) -> Result<MutexGuard<'_, Desk>> {
        let desk = self.desk.try_lock();
        let busy = || Error::new(Status::Concurrent, "actor: another thread is in a call of it; one at a time");
        let mut desk = desk.ok_or_else(busy)?;
        let swaps = self.session.swaps.load(Ordering::Acquire);
        if desk.swaps != swaps {
            desk.turn_to(self.session.policy()?, swaps)?;
        }
        Ok(desk)
    }
}

fn records(what: &str, count: usize, bytes: usize, found: usize) -> Result<()> {
    match count.checked_mul(bytes) == Some(found) {
        true => Ok(()),
        false => Err(Error::shape(format!("{what}: expected {count} records of {bytes} bytes, got {found} bytes"))),
    }
}

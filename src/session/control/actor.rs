//! The host's hand in a control session: it acts for slots and tells what came of it.
//!
//! `act` reads the published policy and touches neither libtorch nor the learner's lock; once its slots and its buffers
//! have been seen it does not allocate. A network that is a script is the exception: it runs in libtorch. Whatever is refused, no slot has moved. What a recurrent policy remembers of a slot
//! is kept beside what the slot did.

use super::recording::{Episode, Recording, MOST_SLOTS, MOST_STEPS};
use super::seat::Seat;
use super::ControlSession;
use crate::algorithm::control_ppo::Truncation;
use crate::error::{Error, Result, Status};
use crate::kernel::{Decisions, Draw, EncoderScratch, Key, Likelihoods, Scratch, Steps};
use crate::model::control::{Policy, Published, Reader, Spec};
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::Ordering;
use std::sync::Arc;

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

/// Memory of one call, kept for the next.
struct Desk {
    published: Arc<Published>,
    observations: Vec<f32>,
    normalized: Vec<f32>,
    legal: Vec<u8>,
    actions: Vec<f32>,
    log_probs: Vec<f32>,
    entropies: Vec<f32>,
    outputs: Vec<f32>,
    /// What a recurrent policy remembers: before the act, then after it.
    states: Vec<f32>,
    keys: Vec<Key>,
    scratch: Scratch,
    /// What the network reads of observations that are encoded, and memory for that.
    features: Vec<f32>,
    encoding: Option<EncoderScratch>,
    /// The host's own network, where that takes the place of layers.
    reader: Option<Reader>,
    /// The call that saw a slot last, to find one that is there twice.
    seen: Vec<u64>,
    call: u64,
    decisions: u64,
}

pub struct Actor {
    session: Arc<ControlSession>,
    policy: Arc<Policy>,
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
        let desk = Desk {
            published: policy.published(),
            observations: Vec::new(),
            normalized: Vec::new(),
            legal: Vec::new(),
            actions: Vec::new(),
            log_probs: Vec::new(),
            entropies: Vec::new(),
            outputs: Vec::new(),
            states: Vec::new(),
            keys: Vec::new(),
            scratch: Scratch::new(policy.network()),
            features: Vec::new(),
            encoding: policy.encoder().map(EncoderScratch::new),
            reader: Reader::new(&policy)?,
            seen: Vec::new(),
            call: 0,
            decisions: 0,
        };
        Ok(Arc::new(Actor { session: session.clone(), policy, seat, desk: Mutex::new(desk) }))
    }

    pub fn session(&self) -> &Arc<ControlSession> {
        &self.session
    }

    pub(super) fn spec(&self) -> &Spec {
        self.policy.spec()
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
        if how.given && how.greedy {
            return Err(Error::argument("flags: expected KEEL_ACT_GREEDY or KEEL_ACT_GIVEN, got both"));
        }
        let mut desk = self.desk()?;
        let spec = self.policy.spec().clone();
        let (count, actions_width, choices) = (slots.len(), spec.actions, spec.choices);
        records("observations", count, spec.observation_bytes, observations.len())?;
        records("actions", count, spec.action_bytes, actions.len())?;
        desk.check_slots(slots)?;
        desk.fit(count, &self.policy);
        desk.read(&spec, slots, observations, how.given.then_some(&*actions))?;
        let mut recording = self.seat.recording.lock();
        self.check_turn(&recording, slots, how)?;
        let evenly = self.session.explores.load(Ordering::Acquire);
        desk.choose(&self.policy, slots, how, evenly, &recording, self.stream(how))?;
        let longest = self.session.method.sequence_length();
        for (row, slot) in slots.iter().enumerate() {
            let action = &desk.actions[row * actions_width..(row + 1) * actions_width];
            if !how.given {
                spec.write_action(action, &mut actions[row * spec.action_bytes..(row + 1) * spec.action_bytes]);
            }
            let (slot, after) = (*slot as usize, &desk.states[row * spec.state..(row + 1) * spec.state]);
            if how.unrecorded {
                continue;
            }
            recording.reach(slot);
            if self.seat.is_apart() {
                recording.pass(slot, after);
            } else {
                recording.slots[slot].draws += u64::from(!how.greedy && !how.given);
                let observation = &desk.observations[row * spec.inputs..(row + 1) * spec.inputs];
                let legal = &desk.legal[row * choices..(row + 1) * choices];
                let step = recording.act(slot, observation, legal, action, desk.log_probs[row]);
                recording.states.record(slot, after, step, longest);
            }
        }
        if let Some(decisions) = decisions {
            decisions.iter_mut().zip(desk.decisions..).for_each(|(decision, number)| *decision = number);
        }
        desk.decisions += count as u64;
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
        if recording.len() + slots.len() > MOST_STEPS {
            let message =
                format!("act: {MOST_STEPS} steps of this actor wait for an update; update, clear, or act unrecorded");
            return Err(Error::state(message));
        }
        Ok(())
    }

    /// What `slots` saw since they acted: one reward each, how their episodes stand, and for those that were truncated, in
    /// order, the final observation records.
    pub fn observe<E>(&self, slots: &[u32], rewards: &[f32], episodes: &[E], finals: &[u8]) -> Result<()>
    where
        E: Copy + TryInto<Episode>,
        Error: From<E::Error>,
    {
        let mut desk = self.desk()?;
        let spec = self.policy.spec().clone();
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
        desk.fit(truncated.max(1), &self.policy);
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

    /// What numbers the draws of all its slots; those that leave no trace have numbers of their own.
    fn stream(&self, how: Act) -> Key {
        let apart = u64::from(how.unrecorded || self.seat.is_apart()) << 63;
        Key { seed: self.session.config().seed, stream: apart | self.seat.place << 32, counter: 0 }
    }

    fn desk(&self) -> Result<MutexGuard<'_, Desk>> {
        let desk = self.desk.try_lock();
        desk.ok_or_else(|| Error::new(Status::Concurrent, "actor: another thread is in a call of it; one at a time"))
    }
}

impl Desk {
    /// Refuses slots that are out of range or there twice.
    fn check_slots(&mut self, slots: &[u32]) -> Result<()> {
        self.call += 1;
        for slot in slots {
            if *slot >= MOST_SLOTS {
                return Err(Error::argument(format!("slots: expected numbers below {MOST_SLOTS}, got {slot}")));
            }
            let place = *slot as usize;
            if place >= self.seen.len() {
                self.seen.resize(place + 1, 0);
            }
            if std::mem::replace(&mut self.seen[place], self.call) == self.call {
                return Err(Error::argument(format!("slots: expected distinct slots, got {slot} twice")));
            }
        }
        Ok(())
    }

    /// Reads the observation record of each slot, and the action record where the host chose.
    fn read(&mut self, spec: &Spec, slots: &[u32], observations: &[u8], given: Option<&[u8]>) -> Result<()> {
        for (row, slot) in slots.iter().enumerate() {
            let of_slot = |error: Error| error.within(format_args!("slot {slot}"));
            let record = |bytes: usize| row * bytes..(row + 1) * bytes;
            let inputs = &mut self.observations[record(spec.inputs)];
            let legal = &mut self.legal[record(spec.choices)];
            spec.read_observation(&observations[record(spec.observation_bytes)], inputs, Some(legal))
                .map_err(of_slot)?;
            if let Some(given) = given {
                let action = &mut self.actions[record(spec.actions)];
                spec.read_action(&given[record(spec.action_bytes)], legal, action).map_err(of_slot)?;
            }
        }
        Ok(())
    }

    /// Room for so many rows, and the newest policy.
    fn fit(&mut self, rows: usize, policy: &Policy) {
        let spec = policy.spec();
        self.observations.resize(rows * spec.inputs, 0.0);
        self.legal.clear();
        self.legal.resize(rows * spec.choices, 1);
        self.actions.resize(rows * spec.actions, 0.0);
        self.log_probs.resize(rows, 0.0);
        self.entropies.resize(rows, 0.0);
        self.outputs.resize(rows * spec.outputs, 0.0);
        self.states.resize(rows * spec.state, 0.0);
        if self.published.version != policy.version() {
            self.published = policy.published();
        }
    }

    /// What the first layer reads of the observations: normalised, images and sets encoded.
    fn read_in(&mut self, policy: &Policy, rows: usize) {
        let Desk { published, observations, normalized, features, encoding, .. } = self;
        normalized.clear();
        normalized.extend_from_slice(observations);
        published.normalizer.apply(normalized, policy.spec().inputs);
        if let (Some(encoder), Some(encoding)) = (policy.encoder(), encoding) {
            features.resize(rows * policy.spec().features, 0.0);
            encoder.encode(&published.weights, normalized, encoding, features);
            std::mem::swap(normalized, features);
        }
    }

    /// Fills in actions, unless they were given, and their log-probabilities; `evenly`: those that are drawn are not the
    /// policy's.
    fn choose(
        &mut self,
        policy: &Policy,
        slots: &[u32],
        how: Act,
        evenly: bool,
        recording: &Recording,
        stream: Key,
    ) -> Result<()> {
        self.read_in(policy, slots.len());
        let Desk { published, normalized, legal, actions, log_probs, .. } = self;
        let (keys, scratch, decisions) = (&mut self.keys, &mut self.scratch, self.decisions);
        let (network, weights, outputs) = (policy.network(), published.weights.as_slice(), &mut self.outputs);
        let recurrent = policy.spec().state > 0;
        let masks = policy.spec().masked.then_some(legal.as_slice());
        if recurrent {
            for (state, slot) in self.states.chunks_exact_mut(policy.spec().state).zip(slots) {
                match recording.states.now(*slot as usize) {
                    Some(now) => state.copy_from_slice(now),
                    None => state.fill(0.0),
                }
            }
            let steps = Steps { states: &mut self.states, outputs, values: &mut [] };
            network.advance(weights, normalized, scratch, steps);
        } else if let Some(reader) = &mut self.reader {
            reader.outputs(published, normalized, outputs)?;
        } else if how.given {
            network.policy(weights, normalized, scratch, outputs);
        }
        if how.given {
            let likelihoods = Likelihoods { log_probs, entropies: &mut self.entropies };
            network.evaluate(weights, outputs, masks, actions, scratch, likelihoods);
        } else {
            keys.clear();
            let draws = |slot: &u32| recording.slots.get(*slot as usize).map_or(0, |slot| slot.draws);
            let traceless = stream.stream >> 63 == 1;
            let counter = |slot: &u32| if traceless { decisions } else { draws(slot) };
            let key = |slot: &u32| Key { stream: stream.stream | u64::from(*slot), counter: counter(slot), ..stream };
            keys.extend(slots.iter().map(key));
            let draw = if how.greedy { Draw::Greedy } else { Draw::Sampled(keys) };
            let taken = Decisions { actions, log_probs };
            match recurrent || self.reader.is_some() {
                _ if evenly && !how.greedy => policy.spec().draw_evenly(keys, taken.actions, taken.log_probs),
                true => network.sample(weights, outputs, masks, draw, scratch, taken),
                false => network.act(weights, normalized, masks, draw, scratch, taken),
            }
        }
        if !self.states.iter().all(|number| number.is_finite()) {
            return Err(Error::new(Status::NonFinite, "act: what the policy remembers is not finite any more"));
        }
        match log_probs.iter().position(|log_prob| !log_prob.is_finite()) {
            Some(row) => {
                let message = format!("act: slot {}: the policy gives no finite probability here", slots[row]);
                Err(Error::new(Status::NonFinite, message))
            }
            None => Ok(()),
        }
    }
}

fn records(what: &str, count: usize, bytes: usize, found: usize) -> Result<()> {
    match count.checked_mul(bytes) == Some(found) {
        true => Ok(()),
        false => Err(Error::shape(format!("{what}: expected {count} records of {bytes} bytes, got {found} bytes"))),
    }
}

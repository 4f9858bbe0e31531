//! What an actor works with in one call, kept for the next: it reads what slots see, and chooses.
//!
//! What it says of observations on a device is computed there, by the published weights; the draw is `kernel`'s in both cases, with
//! the same keys.

use super::actor::{Act, Seen};
use super::recording::{Recording, MOST_SLOTS};
use crate::error::{Error, Result, Status};
use crate::kernel::{Decisions, Draw, EncoderScratch, Key, Likelihoods, Scratch, Steps};
use crate::model::control::{Policy, Published, Reader, Snapshot, Spec};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// Memory of one call, kept for the next.
pub(super) struct Desk {
    policy: Arc<Policy>,
    /// Policies that had taken the place of others by then.
    pub swaps: u64,
    published: Arc<Published>,
    /// The same on the device where observations were seen last.
    snapshot: Option<Snapshot>,
    pub observations: Vec<f32>,
    normalized: Vec<f32>,
    pub legal: Vec<u8>,
    pub actions: Vec<f32>,
    pub log_probs: Vec<f32>,
    entropies: Vec<f32>,
    outputs: Vec<f32>,
    /// Whether the outputs are there already, from a device.
    looked: bool,
    /// What a recurrent policy remembers: before the act, then after it.
    pub states: Vec<f32>,
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
    /// How often each slot drew without a trace.
    traceless: Vec<u64>,
    pub decisions: u64,
}

impl Desk {
    pub fn new(policy: Arc<Policy>) -> Result<Desk> {
        Ok(Desk {
            swaps: 0,
            published: policy.published(),
            snapshot: None,
            observations: Vec::new(),
            normalized: Vec::new(),
            legal: Vec::new(),
            actions: Vec::new(),
            log_probs: Vec::new(),
            entropies: Vec::new(),
            outputs: Vec::new(),
            looked: false,
            states: Vec::new(),
            keys: Vec::new(),
            scratch: Scratch::new(policy.network()),
            features: Vec::new(),
            encoding: policy.encoder().map(EncoderScratch::new),
            reader: Reader::new(&policy)?,
            seen: Vec::new(),
            call: 0,
            traceless: Vec::new(),
            decisions: 0,
            policy,
        })
    }

    /// Acts from now on by a policy that reads and decides the same.
    pub fn turn_to(&mut self, policy: Arc<Policy>, swaps: u64) -> Result<()> {
        self.reader = Reader::new(&policy)?;
        self.published = policy.published();
        self.snapshot = None;
        self.scratch = Scratch::new(policy.network());
        self.encoding = policy.encoder().map(EncoderScratch::new);
        (self.policy, self.swaps) = (policy, swaps);
        Ok(())
    }

    /// Of the weights that it acts by.
    pub fn version(&self) -> u64 {
        self.published.version
    }

    /// Refuses slots that are out of range or there twice.
    pub fn check_slots(&mut self, slots: &[u32]) -> Result<()> {
        self.call += 1;
        for slot in slots {
            if *slot >= MOST_SLOTS {
                return Err(Error::argument(format!("slots: expected numbers below {MOST_SLOTS}, got {slot}")));
            }
            let place = *slot as usize;
            if place >= self.seen.len() {
                self.seen.resize(place + 1, 0);
                self.traceless.resize(place + 1, 0);
            }
            if std::mem::replace(&mut self.seen[place], self.call) == self.call {
                return Err(Error::argument(format!("slots: expected distinct slots, got {slot} twice")));
            }
        }
        Ok(())
    }

    /// Reads the observation record of each slot, or its masks where the rest lies on a device, and the action record where
    /// the host chose.
    pub fn read(&mut self, spec: &Spec, slots: &[u32], seen: Seen, given: Option<&[u8]>) -> Result<()> {
        for (row, slot) in slots.iter().enumerate() {
            let of_slot = |error: Error| error.within(format_args!("slot {slot}"));
            let record = |bytes: usize| row * bytes..(row + 1) * bytes;
            let legal = &mut self.legal[record(spec.choices)];
            match seen {
                Seen::Records(observations) => {
                    let inputs = &mut self.observations[record(spec.inputs)];
                    spec.read_observation(&observations[record(spec.observation_bytes)], inputs, Some(legal))
                }
                Seen::Placed { masks, .. } => spec.read_masks(&masks[record(masks.len() / slots.len())], legal),
            }
            .map_err(of_slot)?;
            if let Some(given) = given {
                let action = &mut self.actions[record(spec.actions)];
                spec.read_action(&given[record(spec.action_bytes)], &self.legal[record(spec.choices)], action)
                    .map_err(of_slot)?;
            }
        }
        self.looked = false;
        Ok(())
    }

    /// Fills in what the policy says of vectors [n, O] on a device; refuses those that are not finite. The outputs come to the
    /// host in one copy, with a flag for each row.
    pub fn look(&mut self, rows: &Tensor, slots: &[u32]) -> Result<()> {
        let snapshot = match self.snapshot.take().filter(|snapshot| snapshot.version() == self.published.version) {
            Some(snapshot) => snapshot,
            None => Snapshot::new(&self.policy, &self.published, rows.device())?,
        };
        let snapshot = self.snapshot.insert(snapshot);
        let finite = rows.f_isfinite()?.f_all_dim(1, true)?.f_to_kind(Kind::Float)?; // [n, 1]
        let told = Tensor::f_cat(&[snapshot.outputs(rows)?, finite], 1)?; // [n, W + 1]
        let told = Vec::<f32>::try_from(told.f_to_device(Device::Cpu)?.f_view([-1])?)?;
        let width = self.policy.spec().outputs;
        for (row, slot) in told.chunks_exact(width + 1).zip(slots) {
            if row[width] == 0.0 {
                let message = format!("slot {slot}: observations: expected finite numbers");
                return Err(Error::new(Status::NonFinite, message));
            }
        }
        let outputs = self.outputs.chunks_exact_mut(width).zip(told.chunks_exact(width + 1));
        outputs.for_each(|(outputs, row)| outputs.copy_from_slice(&row[..width]));
        self.looked = true;
        Ok(())
    }

    /// Room for so many rows, and the newest policy.
    pub fn fit(&mut self, rows: usize) {
        let policy = self.policy.clone();
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
    fn read_in(&mut self, rows: usize) {
        let Desk { policy, published, observations, normalized, features, encoding, .. } = self;
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
    pub fn choose(&mut self, slots: &[u32], how: Act, evenly: bool, recording: &Recording, stream: Key) -> Result<()> {
        if !self.looked {
            self.read_in(slots.len());
        }
        let policy = self.policy.clone();
        let (recurrent, looked) = (policy.spec().state > 0, self.looked);
        let Desk { published, normalized, legal, actions, log_probs, .. } = self;
        let (keys, scratch) = (&mut self.keys, &mut self.scratch);
        let (network, weights, outputs) = (policy.network(), published.weights.as_slice(), &mut self.outputs);
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
        } else if let Some(reader) = self.reader.as_mut().filter(|_| !looked) {
            reader.outputs(published, normalized, outputs)?;
        } else if how.given && !looked {
            network.policy(weights, normalized, scratch, outputs);
        }
        if how.given {
            let likelihoods = Likelihoods { log_probs, entropies: &mut self.entropies };
            network.evaluate(weights, outputs, masks, actions, scratch, likelihoods);
        } else {
            keys.clear();
            let draws = |slot: &u32| recording.slots.get(*slot as usize).map_or(0, |slot| slot.draws);
            let traceless = stream.stream >> 63 == 1;
            let counter = |slot: &u32| if traceless { self.traceless[*slot as usize] } else { draws(slot) };
            let key = |slot: &u32| Key { stream: stream.stream | u64::from(*slot), counter: counter(slot), ..stream };
            keys.extend(slots.iter().map(key));
            slots.iter().for_each(|slot| self.traceless[*slot as usize] += u64::from(traceless));
            let draw = if how.greedy { Draw::Greedy } else { Draw::Sampled(keys) };
            let taken = Decisions { actions, log_probs };
            match recurrent || looked || self.reader.is_some() {
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

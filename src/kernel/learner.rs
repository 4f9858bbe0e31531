//! One minibatch of proximal policy optimisation on a small network: forward, loss and backward, fused over tiles of rows, or
//! of sequences where the network is recurrent.
//!
//! Owns the order of the passes and the memory between them. Refuses to clip or apply gradients ([`super::adam`] does) and
//! to normalise advantages. The same batch gives the same bits.

use super::backward::Onward;
use super::buffer::Buffer;
use super::chain::{Chain, Slopes};
use super::distribution::mask;
use super::loss::{bound_row, policy_row, value_row, PolicyRow};
pub use super::loss::{Bound, Measured, Rule, ValueClip};
use super::network::{Network, Row, TILE};
use super::product::Start;
use super::recurrent::through_time::Along;
use super::simd::{dispatch, Routine, Vector};

/// Rows of transitions, each column contiguous and row-major.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// `[B, inputs]`, as the policy saw them.
    pub observations: &'a [f32],
    /// `[B, choices]`, 0 = not legal; none = all legal.
    pub masks: Option<&'a [u8]>,
    /// `[B, actions]`.
    pub actions: &'a [f32],
    /// log π_old, `[B]`, nats.
    pub log_probs: &'a [f32],
    /// Â, `[B]`, normalised already.
    pub advantages: &'a [f32],
    /// V_old, `[B]`.
    pub values: &'a [f32],
    /// R, `[B]`.
    pub returns: &'a [f32],
    /// Outputs that are charged for lying beyond their bounds.
    pub bounds: &'a [Bound],
    /// Of a recurrent network, and of no other: what the rows are steps of.
    pub sequences: Option<Sequences<'a>>,
}

/// Rows as steps of sequences: the first steps of all of them, then the second ones, and so on, the longest sequence first.
#[derive(Clone, Copy, Debug)]
pub struct Sequences<'a> {
    /// How many sequences reach each step; never rises.
    pub counts: &'a [usize],
    /// `[sequences, state]`, before the first step of each; the gradient ends there.
    pub states: &'a [f32],
}

/// Memory for [`Network::learn`] of one network on one thread. It is taken at construction, and once more where sequences are
/// longer than any before.
pub struct Tape {
    trunk: Chain,
    policy: Chain,
    value: Chain,
    slopes: Slopes,
    /// Slopes at the trunk's results.
    common: Buffer,
    widest: usize,
    /// How many sequences of the tile reach each step.
    steps: Vec<usize>,
    /// Where each of the tile's rows stands in the batch.
    places: Vec<usize>,
    /// Their observations, where they do not stand side by side.
    observations: Buffer,
    row: Row,
}

impl Tape {
    pub fn new(network: &Network) -> Tape {
        let Network { trunk, policy, value, cores, .. } = network;
        let leads = !trunk.is_empty() || cores.trunk.is_some();
        let trunk = Chain::new(trunk, cores.trunk.as_ref(), 0, false);
        let policy = Chain::new(policy, cores.policy.as_ref(), 1, leads);
        let value = Chain::new(value, cores.value.as_ref(), 1, leads);
        let widest = trunk.widest().max(policy.widest()).max(value.widest());
        let buffer = || Buffer::new(TILE * widest);
        Tape {
            trunk,
            policy,
            value,
            slopes: Slopes { own: buffer(), spare: buffer(), recalled: buffer() },
            common: buffer(),
            widest,
            steps: Vec::with_capacity(1),
            places: Vec::with_capacity(TILE),
            observations: Buffer::new(0),
            row: Row::new(network),
        }
    }

    /// The tile of the sequences from `first` on, of as many as reach each step.
    fn cut(&mut self, counts: &[usize], first: usize) {
        self.steps.clear();
        self.places.clear();
        let mut begin = 0;
        for count in counts.iter().take_while(|count| **count > first) {
            let own = TILE.min(count - first);
            self.steps.push(own);
            self.places.extend(begin + first..begin + first + own);
            begin += count;
        }
        let (rows, slopes) = (self.places.len(), &mut self.slopes);
        for chain in [&mut self.trunk, &mut self.policy, &mut self.value] {
            chain.reach(rows);
        }
        for buffer in [&mut slopes.own, &mut slopes.spare, &mut slopes.recalled, &mut self.common] {
            buffer.reach(rows * self.widest);
        }
    }
}

/// The rows of `width` floats that stand at `places`, side by side; in `memory` only where they do not stand so.
fn gathered<'a>(all: &'a [f32], width: usize, places: &[usize], memory: &'a mut Buffer) -> &'a [f32] {
    let [first, .., last] = *places else { return &all[places[0] * width..][..width] };
    if last + 1 - first == places.len() {
        return &all[first * width..(last + 1) * width];
    }
    memory.reach(places.len() * width);
    for (to, place) in memory.chunks_exact_mut(width).zip(places) {
        to.copy_from_slice(&all[place * width..][..width]);
    }
    &memory[..places.len() * width]
}

impl Network {
    /// The loss of a minibatch, and its gradient **added** to `gradients`, laid out as the weights.
    ///
    /// B = 0 changes nothing and gives zeros; a non-finite number passes on to what depends on it.
    pub fn learn(
        &self,
        weights: &[f32],
        gradients: &mut [f32],
        batch: &Batch<'_>,
        rule: &Rule,
        tape: &mut Tape,
    ) -> Measured {
        let rows = batch.returns.len();
        assert_eq!(weights.len(), gradients.len(), "a gradient for each weight");
        assert_eq!(
            [batch.observations.len(), batch.actions.len(), batch.log_probs.len()],
            [rows * self.inputs, rows * self.actions(), rows],
            "observations, actions and log_probs of as many rows as returns"
        );
        assert_eq!([batch.advantages.len(), batch.values.len()], [rows; 2], "as many advantages and values as returns");
        assert!(batch.masks.is_none_or(|masks| masks.len() == rows * self.choices()), "a mask for each row");
        assert_eq!(batch.sequences.is_some(), self.cores.state() > 0, "sequences for a recurrent network");
        assert!(batch.sequences.is_none_or(|all| all.fit(rows, self.cores.state())), "sequences of all rows");
        if rows == 0 {
            return Measured::default();
        }
        dispatch(Learn { network: self, weights, gradients, batch, rule, tape })
    }
}

impl Sequences<'_> {
    fn fit(&self, rows: usize, state: usize) -> bool {
        let falling = self.counts.windows(2).all(|pair| pair[0] >= pair[1]);
        falling
            && self.counts.iter().sum::<usize>() == rows
            && self.counts.iter().all(|count| *count > 0)
            && self.states.len() == self.counts.first().map_or(0, |count| count * state)
    }
}

struct Learn<'a> {
    network: &'a Network,
    weights: &'a [f32],
    gradients: &'a mut [f32],
    batch: &'a Batch<'a>,
    rule: &'a Rule,
    tape: &'a mut Tape,
}

impl Routine for Learn<'_> {
    type Output = Measured;

    #[inline(always)]
    fn run<V: Vector>(mut self) -> Measured {
        let (network, rows, tape) = (self.network, self.batch.returns.len(), &mut *self.tape);
        tape.trunk.transpose(self.weights);
        tape.policy.transpose(self.weights);
        tape.value.transpose(self.weights);
        tape.row.spread::<V>(network, self.weights);
        let (mut measured, alone) = (Measured::default(), [rows]);
        let counts = self.batch.sequences.map_or(&alone[..], |all| all.counts);
        for first in (0..counts[0]).step_by(TILE) {
            self.tape.cut(counts, first);
            self.tile::<V>(first, &mut measured);
        }
        measured.mean(self.rule, rows)
    }
}

impl Learn<'_> {
    /// The tile that was cut from `first` on: its losses added to `measured`, its gradients to the gradients.
    #[inline(always)]
    fn tile<V: Vector>(&mut self, first: usize, measured: &mut Measured) {
        let (network, weights, batch, state) = (self.network, self.weights, self.batch, self.network.cores.state());
        let leads = !network.trunk.is_empty() || network.cores.trunk.is_some();
        let mut memory = std::mem::replace(&mut self.tape.observations, Buffer::new(0));
        let observations = gathered(batch.observations, network.inputs, &self.tape.places, &mut memory);
        let Tape { trunk, policy, value, steps, places, .. } = &mut *self.tape;
        let (rows, count) = (places.len(), steps[0]);
        let states = batch.sequences.map_or(&[][..], |all| &all.states[first * state..][..count * state]);
        let along = Along { steps, states };
        trunk.forward::<V>(weights, observations, rows, along);
        policy.forward::<V>(weights, trunk.results(observations), rows, along);
        value.forward::<V>(weights, trunk.results(observations), rows, along);
        self.policy_losses::<V>(measured);
        let Tape { trunk, policy, slopes, common, steps, .. } = &mut *self.tape;
        let onward = leads.then_some(Onward { to: common, start: Start::Zero });
        policy.backward::<V>(trunk.results(observations), steps, slopes, self.gradients, onward);
        self.value_losses(measured);
        let Tape { trunk, value, slopes, common, steps, .. } = &mut *self.tape;
        let onward = leads.then_some(Onward { to: common, start: Start::Sum });
        value.backward::<V>(trunk.results(observations), steps, slopes, self.gradients, onward);
        if leads {
            trunk.enter::<V>(rows, common, slopes);
            trunk.backward::<V>(observations, steps, slopes, self.gradients, None);
        }
        self.tape.observations = memory;
    }

    /// The policy's losses of a tile and their slopes, at its outputs and at the log deviations.
    #[inline(always)]
    fn policy_losses<V: Vector>(&mut self, measured: &mut Measured) {
        let Learn { network, weights, gradients, batch, rule, tape } = self;
        let (width, actions, share) = (network.width(), network.actions(), 1.0 / batch.returns.len() as f64);
        let deviation_slopes = &mut gradients[network.log_deviation..][..network.deviations()];
        let outputs = tape.policy.results(&[]);
        for (r, place) in tape.places.iter().copied().enumerate() {
            let row = PolicyRow {
                mask: mask(network, batch.masks, place),
                actions: &batch.actions[place * actions..][..actions],
                log_prob: batch.log_probs[place],
                advantage: batch.advantages[place],
                share,
            };
            let slopes = &mut tape.slopes.own[r * width..][..width];
            let outputs = &outputs[r * width..][..width];
            policy_row::<V>((network, weights, rule), &mut tape.row, outputs, row, slopes, deviation_slopes, measured);
            bound_row(rule, batch.bounds, outputs, share, slopes, measured);
        }
    }

    /// The value model's losses of a tile and their slopes.
    #[inline(always)]
    fn value_losses(&mut self, measured: &mut Measured) {
        let Learn { batch, rule, tape, .. } = self;
        let share = 1.0 / batch.returns.len() as f64;
        let values = tape.value.results(&[]).iter().zip(tape.slopes.own.iter_mut());
        for ((value, slope), place) in values.zip(tape.places.iter().copied()) {
            *slope = value_row(rule, (*value, batch.values[place], batch.returns[place]), share, measured);
        }
    }
}

//! One minibatch of proximal policy optimisation on a small network: forward, loss and backward, fused over tiles of rows.
//!
//! Owns the order of the passes and the memory between them. Refuses to clip or apply gradients ([`super::adam`] does) and
//! to normalise advantages. The same batch gives the same bits.

use super::backward::{backward, forward, through_activation, transpose, Kept, Onward};
use super::buffer::Buffer;
use super::distribution::mask;
use super::loss::{bound_row, policy_row, value_row, PolicyRow};
pub use super::loss::{Bound, Measured, Rule, ValueClip};
use super::network::{Network, Row, TILE};
use super::product::Start;
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
}

/// Memory for [`Network::learn`] of one network on one thread; all of it is taken at construction.
pub struct Tape {
    trunk: Vec<Kept>,
    policy: Vec<Kept>,
    value: Vec<Kept>,
    slopes: Buffer,
    spare: Buffer,
    /// Slopes at the trunk's results.
    common: Buffer,
    row: Row,
}

impl Tape {
    pub fn new(network: &Network) -> Tape {
        let leads = !network.trunk.is_empty();
        let layers = network.trunk.iter().chain(&network.policy).chain(&network.value);
        let widest = layers.map(|layer| layer.outputs).max().unwrap_or(0);
        Tape {
            trunk: Kept::chain(&network.trunk, false),
            policy: Kept::chain(&network.policy, leads),
            value: Kept::chain(&network.value, leads),
            slopes: Buffer::new(TILE * widest),
            spare: Buffer::new(TILE * widest),
            common: Buffer::new(if leads { TILE * widest } else { 0 }),
            row: Row::new(network),
        }
    }
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
        assert_eq!(self.cores.state(), 0, "the gradient of recurrence is libtorch's");
        assert_eq!(
            [batch.observations.len(), batch.actions.len(), batch.log_probs.len()],
            [rows * self.inputs, rows * self.actions(), rows],
            "observations, actions and log_probs of as many rows as returns"
        );
        assert_eq!([batch.advantages.len(), batch.values.len()], [rows; 2], "as many advantages and values as returns");
        assert!(batch.masks.is_none_or(|masks| masks.len() == rows * self.choices()), "a mask for each row");
        if rows == 0 {
            return Measured::default();
        }
        dispatch(Learn { network: self, weights, gradients, batch, rule, tape })
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
        let (network, rows) = (self.network, self.batch.returns.len());
        let tape = &mut *self.tape;
        transpose(&network.trunk, &mut tape.trunk, self.weights);
        transpose(&network.policy, &mut tape.policy, self.weights);
        transpose(&network.value, &mut tape.value, self.weights);
        tape.row.spread::<V>(network, self.weights);
        let mut measured = Measured::default();
        for first in (0..rows).step_by(TILE) {
            self.tile::<V>(first, TILE.min(rows - first), &mut measured);
        }
        measured.mean(self.rule, rows)
    }
}

impl Learn<'_> {
    /// `rows` rows from `first` on: their losses added to `measured`, their gradients to the gradients.
    #[inline(always)]
    fn tile<V: Vector>(&mut self, first: usize, rows: usize, measured: &mut Measured) {
        let (network, tape) = (self.network, &mut *self.tape);
        let observations = &self.batch.observations[first * network.inputs..][..rows * network.inputs];
        forward::<V>(&network.trunk, &mut tape.trunk, self.weights, observations, rows);
        let input = tape.trunk.last().map_or(observations, |trunk| &trunk.results);
        forward::<V>(&network.policy, &mut tape.policy, self.weights, input, rows);
        forward::<V>(&network.value, &mut tape.value, self.weights, input, rows);
        let leads = !network.trunk.is_empty();
        self.policy_losses::<V>(first, rows, measured);
        let tape = &mut *self.tape;
        let input = tape.trunk.last().map_or(observations, |trunk| &trunk.results);
        let onward = leads.then_some(Onward { to: &mut tape.common, start: Start::Zero });
        let chain = (network.policy.as_slice(), tape.policy.as_slice());
        backward::<V>(chain, input, rows, &mut tape.slopes, &mut tape.spare, self.gradients, onward);
        self.value_losses(first, rows, measured);
        let tape = &mut *self.tape;
        let input = tape.trunk.last().map_or(observations, |trunk| &trunk.results);
        let onward = leads.then_some(Onward { to: &mut tape.common, start: Start::Sum });
        let chain = (network.value.as_slice(), tape.value.as_slice());
        backward::<V>(chain, input, rows, &mut tape.slopes, &mut tape.spare, self.gradients, onward);
        if let (Some(layer), Some(kept)) = (network.trunk.last(), tape.trunk.last()) {
            through_activation::<V>(layer, kept, rows, &mut tape.common);
            let chain = (network.trunk.as_slice(), tape.trunk.as_slice());
            backward::<V>(chain, observations, rows, &mut tape.common, &mut tape.spare, self.gradients, None);
        }
    }

    /// The policy's losses of a tile and their slopes, at its outputs and at the log deviations.
    #[inline(always)]
    fn policy_losses<V: Vector>(&mut self, first: usize, rows: usize, measured: &mut Measured) {
        let Learn { network, weights, gradients, batch, rule, tape } = self;
        let (width, actions, share) = (network.width(), network.actions(), 1.0 / batch.returns.len() as f64);
        let deviation_slopes = &mut gradients[network.log_deviation..][..network.deviations()];
        let Some(outputs) = tape.policy.last().map(|last| &last.results) else { return };
        for r in 0..rows {
            let place = first + r;
            let row = PolicyRow {
                mask: mask(network, batch.masks, place),
                actions: &batch.actions[place * actions..][..actions],
                log_prob: batch.log_probs[place],
                advantage: batch.advantages[place],
                share,
            };
            let slopes = &mut tape.slopes[r * width..][..width];
            let outputs = &outputs[r * width..][..width];
            policy_row::<V>((network, weights, rule), &mut tape.row, outputs, row, slopes, deviation_slopes, measured);
            bound_row(rule, batch.bounds, outputs, share, slopes, measured);
        }
    }

    /// The value model's losses of a tile and their slopes.
    #[inline(always)]
    fn value_losses(&mut self, first: usize, rows: usize, measured: &mut Measured) {
        let Learn { batch, rule, tape, .. } = self;
        let share = 1.0 / batch.returns.len() as f64;
        let Some(values) = tape.value.last().map(|last| &last.results) else { return };
        for (r, (value, slope)) in values.iter().zip(tape.slopes.iter_mut()).enumerate().take(rows) {
            let place = first + r;
            *slope = value_row(rule, (*value, batch.values[place], batch.returns[place]), share, measured);
        }
    }
}

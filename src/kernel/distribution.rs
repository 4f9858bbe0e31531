//! From the policy's outputs to actions, log-probabilities and entropies.
//!
//! A categorical head gives the index of a legal choice, a Gaussian head unbounded numbers (clipping and squashing are the
//! caller's, after the log-probability), a Beta head numbers in (0, 1). A masked logit counts as −∞ exactly. What is drawn is a function of the row's key, its
//! outputs and the weights.

use super::activation::{map, Exp};
use super::draw::draw_row;
use super::network::{forward, Head, Network, Row, Scratch, TILE};
use super::random::Key;
use super::simd::{dispatch, Routine, Vector};
use super::softmax::{choice_log_prob, normal_entropy, normal_log_prob, softmax};

/// How actions are taken from their distributions.
#[derive(Clone, Copy, Debug)]
pub enum Draw<'a> {
    /// At random, with a key for each row.
    Sampled(&'a [Key]),
    /// The legal choice of the largest logit (the first of equals), the mean, of a squashed head the mean within the tanh.
    Greedy,
}

/// Where actions go.
pub struct Decisions<'a> {
    /// `[rows, actions]`, overwritten.
    pub actions: &'a mut [f32],
    /// `[rows]`, nats, overwritten.
    pub log_probs: &'a mut [f32],
}

/// Where likelihoods go.
pub struct Likelihoods<'a> {
    /// `[rows]`, nats, overwritten; −∞ for a choice that is not legal, NaN for no choice.
    pub log_probs: &'a mut [f32],
    /// `[rows]`, nats, overwritten.
    pub entropies: &'a mut [f32],
}

impl Network {
    /// Actions for observations: the policy's outputs, then [`Network::sample`].
    ///
    /// * `observations`: `[rows, inputs]`; `masks`: `[rows, choices]`, 0 = not legal, none = all legal.
    ///
    /// A recurrent network takes [`Network::advance`], then [`Network::sample`].
    pub fn act(
        &self,
        weights: &[f32],
        observations: &[f32],
        masks: Option<&[u8]>,
        draw: Draw<'_>,
        scratch: &mut Scratch,
        decisions: Decisions<'_>,
    ) {
        let rows = decisions.log_probs.len();
        assert_eq!(observations.len(), rows * self.inputs, "observations of as many rows as log_probs");
        assert_eq!(self.cores.state(), 0, "a recurrent network advances");
        let source = Source::Observations(observations);
        dispatch(Sample { network: self, weights, source, masks, draw, scratch, decisions });
    }

    /// Actions from the policy's outputs, and their log-probabilities summed over the heads.
    ///
    /// * `outputs`: `[rows, width]`; `masks`: `[rows, choices]`, 0 = not legal, none = all legal.
    ///
    /// Never a choice that is not legal; a branch without a legal choice gives NaN, as does a NaN output in `log_probs`.
    pub fn sample(
        &self,
        weights: &[f32],
        outputs: &[f32],
        masks: Option<&[u8]>,
        draw: Draw<'_>,
        scratch: &mut Scratch,
        decisions: Decisions<'_>,
    ) {
        assert_eq!(outputs.len(), decisions.log_probs.len() * self.width(), "outputs of as many rows as log_probs");
        let source = Source::Outputs(outputs);
        dispatch(Sample { network: self, weights, source, masks, draw, scratch, decisions });
    }

    /// Log-probabilities of recorded actions and the entropies of the distributions, both summed over the heads, nats.
    ///
    /// * `outputs`: `[rows, width]`; `masks`: `[rows, choices]`; `actions`: `[rows, actions]`.
    pub fn evaluate(
        &self,
        weights: &[f32],
        outputs: &[f32],
        masks: Option<&[u8]>,
        actions: &[f32],
        scratch: &mut Scratch,
        likelihoods: Likelihoods<'_>,
    ) {
        let rows = likelihoods.log_probs.len();
        assert_eq!(
            (outputs.len(), actions.len(), likelihoods.entropies.len()),
            (rows * self.width(), rows * self.actions(), rows),
            "outputs, actions and entropies of as many rows as log_probs"
        );
        dispatch(Evaluate { network: self, weights, outputs, masks, actions, scratch, likelihoods });
    }
}

enum Source<'a> {
    Observations(&'a [f32]),
    Outputs(&'a [f32]),
}

struct Sample<'a> {
    network: &'a Network,
    weights: &'a [f32],
    source: Source<'a>,
    masks: Option<&'a [u8]>,
    draw: Draw<'a>,
    scratch: &'a mut Scratch,
    decisions: Decisions<'a>,
}

impl Routine for Sample<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Sample { network, weights, source, masks, draw, scratch, decisions } = self;
        let Decisions { actions, log_probs } = decisions;
        let (rows, width, size) = (log_probs.len(), network.width(), network.actions());
        assert_eq!(actions.len(), rows * size, "actions of as many rows as log_probs");
        assert!(masks.is_none_or(|masks| masks.len() == rows * network.choices()), "a mask for each row");
        assert!(matches!(draw, Draw::Greedy) || matches!(draw, Draw::Sampled(keys) if keys.len() == rows), "keys");
        let (hidden, tile, row) = scratch.parts();
        row.spread::<V>(network, weights);
        for start in (0..rows).step_by(TILE) {
            let count = TILE.min(rows - start);
            let outputs = match source {
                Source::Outputs(outputs) => &outputs[start * width..][..count * width],
                Source::Observations(observations) => {
                    let observations = &observations[start * network.inputs..][..count * network.inputs];
                    let outputs = &mut tile[..count * width];
                    forward::<V>(network, &network.policy, weights, observations, hidden, outputs);
                    &*outputs
                }
            };
            for r in 0..count {
                let key = match draw {
                    Draw::Sampled(keys) => Some(keys[start + r]),
                    Draw::Greedy => None,
                };
                let (outputs, place) = (&outputs[r * width..][..width], start + r);
                let masks = mask(network, masks, place);
                let actions = &mut actions[place * size..][..size];
                log_probs[place] = draw_row::<V>(network, weights, row, outputs, masks, key, actions);
            }
        }
    }
}

/// A row's bytes of the masks.
#[inline(always)]
pub(super) fn mask<'a>(network: &Network, masks: Option<&'a [u8]>, row: usize) -> Option<&'a [u8]> {
    let choices = network.choices();
    masks.map(|masks| &masks[row * choices..][..choices])
}

impl Row {
    /// The deviations and their reciprocals, from the log deviations among the weights.
    #[inline(always)]
    pub fn spread<V: Vector>(&mut self, network: &Network, weights: &[f32]) {
        let logs = &weights[network.log_deviation..][..self.deviations.len()];
        self.deviations.copy_from_slice(logs);
        map::<V, Exp>(&mut self.deviations);
        for (precision, log) in self.precisions.iter_mut().zip(logs) {
            *precision = -log;
        }
        map::<V, Exp>(&mut self.precisions);
    }
}

struct Evaluate<'a> {
    network: &'a Network,
    weights: &'a [f32],
    outputs: &'a [f32],
    masks: Option<&'a [u8]>,
    actions: &'a [f32],
    scratch: &'a mut Scratch,
    likelihoods: Likelihoods<'a>,
}

impl Routine for Evaluate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Evaluate { network, weights, outputs, masks, actions, scratch, likelihoods } = self;
        let Likelihoods { log_probs, entropies } = likelihoods;
        let (width, size, row) = (network.width(), network.actions(), &mut scratch.row);
        row.spread::<V>(network, weights);
        for (r, (log_prob, entropy)) in log_probs.iter_mut().zip(entropies).enumerate() {
            let (outputs, actions) = (&outputs[r * width..][..width], &actions[r * size..][..size]);
            (*log_prob, *entropy) = evaluate::<V>(network, weights, row, outputs, mask(network, masks, r), actions);
        }
    }
}

/// Log-probability and entropy of one row, summed over the heads in the order of [`draw_row`]; leaves the distributions
/// of the branches in `row`.
#[inline(always)]
pub(super) fn evaluate<V: Vector>(
    network: &Network,
    weights: &[f32],
    row: &mut Row,
    outputs: &[f32],
    mask: Option<&[u8]>,
    actions: &[f32],
) -> (f32, f32) {
    let (mut log_prob, mut entropy) = (0.0, 0.0);
    for (part, kept) in network.parts().zip(&mut row.softmaxes) {
        let (outputs, actions) = (part.outputs(outputs), &actions[part.action..]);
        match part.head {
            Head::Categorical { choices } => {
                let legal = part.legal(mask);
                let weights = &mut row.weights[part.choice..][..choices];
                *kept = softmax::<V>(outputs, legal, weights);
                log_prob += choice_log_prob(*kept, outputs, legal, actions[0]);
                entropy += kept.entropy(outputs, weights);
            }
            Head::Gaussian { size } => {
                for (d, (mean, action)) in (part.deviation..part.deviation + size).zip(outputs.iter().zip(actions)) {
                    let log_deviation = weights[network.log_deviation + d];
                    log_prob += normal_log_prob(*action, *mean, row.precisions[d], log_deviation);
                    entropy += normal_entropy(log_deviation);
                }
            }
            Head::Dimensions { size, family } => {
                let head = part.dimensions((size, family), network, weights, outputs);
                let (own, spread) = head.evaluate::<V>(&mut row.families, actions);
                (log_prob, entropy) = (log_prob + own, entropy + spread);
            }
        }
    }
    (log_prob, entropy)
}

//! One minibatch of soft actor-critic on small networks: targets, critics and policy, fused over tiles of rows.
//!
//! Owns the passes through a squashed policy and two critics and the memory between them. Refuses to draw noise and to step:
//! gradients are added, [`super::adam`] steps. The same batch gives the same bits. Its twin in libtorch is
//! `algorithm::sac` on the networks of `model::control`.

use super::activation::{log, map, Activate, Activation, Exp};
use super::backward::{backward, forward, inward, transpose, Kept};
use super::buffer::Buffer;
use super::family::LOG_DEVIATIONS;
use super::network::{Layer, TILE};
use super::simd::{dispatch, Routine, Vector};

/// The shapes of a policy of squashed actions whose deviations are outputs, and of the two critics of its actions.
#[derive(Clone, Debug)]
pub struct SoftNetworks {
    /// From observations to outputs: of each head its means, then its log deviations.
    pub actor: Vec<Layer>,
    /// From an observation and an action between −1 and 1 to a value.
    pub critics: [Vec<Layer>; 2],
    /// Dimensions of each head, and log of half the width of its bounds.
    pub heads: Vec<(usize, f32)>,
}

/// Transitions, each column contiguous and row-major, and standard normal noise `[B, A]` to draw actions with.
#[derive(Clone, Copy, Debug)]
pub struct SoftBatch<'a> {
    /// `[B, O]`, as the networks read them.
    pub observations: &'a [f32],
    /// `[B, A]`, between −1 and 1.
    pub actions: &'a [f32],
    /// `[B, O]`.
    pub nexts: &'a [f32],
    /// `[B]`.
    pub rewards: &'a [f32],
    /// `[B]`, 1 behind what nothing follows, else 0.
    pub terminated: &'a [f32],
    pub noise: &'a [f32],
}

/// γ and α.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftRule {
    pub discount: f64,
    pub temperature: f64,
}

/// Memory for the passes of one policy and its critics on one thread; all of it is taken at construction.
pub struct SoftTape {
    actor: Vec<Kept>,
    critics: [Vec<Kept>; 2],
    slopes: Buffer,
    spare: Buffer,
    /// Observations beside actions, and the slopes at them by each critic.
    joined: Buffer,
    at_joined: [Buffer; 2],
    drawn: Drawn,
}

/// A tile of drawn actions.
struct Drawn {
    /// tanh x, `[rows, A]`.
    units: Buffer,
    deviations: Buffer,
    /// e^(−2|x|).
    decays: Buffer,
    log_probs: Buffer,
}

impl SoftNetworks {
    fn inputs(&self) -> usize {
        self.actor.first().map_or(0, |layer| layer.inputs)
    }

    fn actions(&self) -> usize {
        self.heads.iter().map(|(size, _)| size).sum()
    }

    /// y = r + γ(1 − d)(min Q̄ − α log π) of each row, from the noise that the next actions are drawn with.
    pub fn targets(
        &self,
        (actor, critics): (&[f32], &[f32]),
        batch: &SoftBatch<'_>,
        rule: SoftRule,
        tape: &mut SoftTape,
        targets: &mut [f32],
    ) {
        self.check(batch);
        dispatch(Targets { networks: self, actor, critics, batch, rule, tape, targets });
    }

    /// Σ ½ mean (Q − y)² over both critics and the first one's mean; its gradient is **added**.
    pub fn learn_critics(
        &self,
        weights: &[f32],
        gradients: &mut [f32],
        batch: &SoftBatch<'_>,
        targets: &[f32],
        tape: &mut SoftTape,
    ) -> [f64; 2] {
        self.check(batch);
        dispatch(LearnCritics { networks: self, weights, gradients, batch, targets, tape })
    }

    /// mean (α log π − min Q) and mean −log π; the policy's gradient is **added**, the critics stay.
    pub fn learn_actor(
        &self,
        (actor, critics): (&[f32], &[f32]),
        gradients: &mut [f32],
        batch: &SoftBatch<'_>,
        temperature: f64,
        tape: &mut SoftTape,
    ) -> [f64; 2] {
        self.check(batch);
        dispatch(LearnActor { networks: self, actor, critics, gradients, batch, temperature, tape })
    }

    fn check(&self, batch: &SoftBatch<'_>) {
        let (rows, inputs, actions) = (batch.rewards.len(), self.inputs(), self.actions());
        assert_eq!(
            [
                batch.observations.len(),
                batch.nexts.len(),
                batch.actions.len(),
                batch.noise.len(),
                batch.terminated.len()
            ],
            [rows * inputs, rows * inputs, rows * actions, rows * actions, rows],
            "columns of as many rows as rewards"
        );
    }

    /// Draws a tile of actions from the policy's outputs and `noise` `[rows, A]`.
    #[inline(always)]
    fn draw<V: Vector>(&self, outputs: &[f32], noise: &[f32], rows: usize, drawn: &mut Drawn) {
        let (actions, count) = (self.actions(), rows * self.actions());
        let [low, high] = LOG_DEVIATIONS;
        for (r, log_prob) in drawn.log_probs[..rows].iter_mut().enumerate() {
            let (mut output, mut action) = (2 * r * actions, r * actions);
            *log_prob = 0.0;
            for (size, log_scale) in &self.heads {
                for k in 0..*size {
                    let log_deviation = outputs[output + size + k].clamp(low, high);
                    drawn.deviations[action + k] = log_deviation;
                    drawn.units[action + k] = outputs[output + k];
                    let noise = noise[action + k];
                    *log_prob -= 0.5 * noise * noise + log_deviation + HALF_LOG_TAU + log_scale;
                }
                (output, action) = (output + 2 * size, action + size);
            }
        }
        map::<V, Exp>(&mut drawn.deviations[..count]);
        for (i, x) in drawn.units[..count].iter_mut().enumerate() {
            *x += drawn.deviations[i] * noise[i];
            drawn.decays[i] = -2.0 * x.abs();
        }
        map::<V, Exp>(&mut drawn.decays[..count]);
        for (r, log_prob) in drawn.log_probs[..rows].iter_mut().enumerate() {
            for i in r * actions..(r + 1) * actions {
                let rest = log(1.0 + drawn.decays[i]);
                *log_prob -= 2.0 * (std::f32::consts::LN_2 - drawn.units[i].abs() - rest);
            }
        }
        V::enter(Activate(Activation::Tanh, &mut drawn.units[..count]));
    }

    /// Lays observations beside actions.
    #[inline(always)]
    fn join(&self, observations: &[f32], actions: &[f32], joined: &mut [f32]) {
        let (inputs, size) = (self.inputs(), self.actions());
        let rows = observations.chunks_exact(inputs).zip(actions.chunks_exact(size));
        for (to, (observation, action)) in joined.chunks_exact_mut(inputs + size).zip(rows) {
            to[..inputs].copy_from_slice(observation);
            to[inputs..].copy_from_slice(action);
        }
    }
}

/// ½ log 2π
const HALF_LOG_TAU: f32 = 0.918_938_5;

impl SoftTape {
    pub fn new(networks: &SoftNetworks) -> SoftTape {
        let [first, second] = &networks.critics;
        let layers = networks.actor.iter().chain(first).chain(second);
        let widest = layers.map(|layer| layer.outputs).max().unwrap_or(0);
        let (joined, actions) = (networks.inputs() + networks.actions(), networks.actions());
        SoftTape {
            actor: Kept::chain(&networks.actor, false),
            critics: [Kept::chain(first, true), Kept::chain(second, true)],
            slopes: Buffer::new(TILE * widest),
            spare: Buffer::new(TILE * widest),
            joined: Buffer::new(TILE * joined),
            at_joined: [Buffer::new(TILE * joined), Buffer::new(TILE * joined)],
            drawn: Drawn {
                units: Buffer::new(TILE * actions),
                deviations: Buffer::new(TILE * actions),
                decays: Buffer::new(TILE * actions),
                log_probs: Buffer::new(TILE),
            },
        }
    }

    /// A tile's policy and both critics of what it draws.
    #[inline(always)]
    fn pass<V: Vector>(
        &mut self,
        networks: &SoftNetworks,
        (actor, critics): (&[f32], &[f32]),
        observations: &[f32],
        noise: &[f32],
    ) {
        let rows = observations.len() / networks.inputs();
        forward::<V>(&networks.actor, &mut self.actor, actor, observations, rows);
        let Some(outputs) = self.actor.last().map(|last| &last.results) else { return };
        networks.draw::<V>(outputs, noise, rows, &mut self.drawn);
        let width = networks.inputs() + networks.actions();
        networks.join(observations, &self.drawn.units, &mut self.joined[..rows * width]);
        for (layers, kept) in networks.critics.iter().zip(&mut self.critics) {
            forward::<V>(layers, kept, critics, &self.joined, rows);
        }
    }

    /// The smaller of what the critics said of a row of the tile, and whose it is; no number if either is none.
    #[inline(always)]
    fn least(&self, row: usize) -> (f32, usize) {
        let of = |kept: &[Kept]| kept.last().map_or(f32::NAN, |last| last.results[row]);
        let [first, second] = [of(&self.critics[0]), of(&self.critics[1])];
        if second < first || second.is_nan() {
            (second, 1)
        } else {
            (first, 0)
        }
    }
}

/// Rows of a column from `first` on.
#[inline(always)]
fn rows_of(column: &[f32], width: usize, first: usize, rows: usize) -> &[f32] {
    &column[first * width..][..rows * width]
}

struct Targets<'a> {
    networks: &'a SoftNetworks,
    actor: &'a [f32],
    critics: &'a [f32],
    batch: &'a SoftBatch<'a>,
    rule: SoftRule,
    tape: &'a mut SoftTape,
    targets: &'a mut [f32],
}

impl Routine for Targets<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Targets { networks, actor, critics, batch, rule, tape, targets } = self;
        let (inputs, actions, count) = (networks.inputs(), networks.actions(), batch.rewards.len());
        for first in (0..count).step_by(TILE) {
            let rows = TILE.min(count - first);
            let (nexts, noise) =
                (rows_of(batch.nexts, inputs, first, rows), rows_of(batch.noise, actions, first, rows));
            tape.pass::<V>(networks, (actor, critics), nexts, noise);
            for r in 0..rows {
                let (value, log_prob) = (tape.least(r).0, tape.drawn.log_probs[r]);
                let soft = f64::from(value) - rule.temperature * f64::from(log_prob);
                let goes_on = 1.0 - f64::from(batch.terminated[first + r]);
                targets[first + r] = (f64::from(batch.rewards[first + r]) + rule.discount * goes_on * soft) as f32;
            }
        }
    }
}

struct LearnCritics<'a> {
    networks: &'a SoftNetworks,
    weights: &'a [f32],
    gradients: &'a mut [f32],
    batch: &'a SoftBatch<'a>,
    targets: &'a [f32],
    tape: &'a mut SoftTape,
}

impl Routine for LearnCritics<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    fn run<V: Vector>(self) -> [f64; 2] {
        let LearnCritics { networks, weights, gradients, batch, targets, tape } = self;
        let (inputs, actions, count) = (networks.inputs(), networks.actions(), targets.len());
        let (mut loss, mut sum) = (0.0, 0.0);
        networks.critics.iter().zip(&mut tape.critics).for_each(|(layers, kept)| transpose(layers, kept, weights));
        for first in (0..count).step_by(TILE) {
            let rows = TILE.min(count - first);
            let (seen, done) =
                (rows_of(batch.observations, inputs, first, rows), rows_of(batch.actions, actions, first, rows));
            networks.join(seen, done, &mut tape.joined[..rows * (inputs + actions)]);
            for (place, layers) in networks.critics.iter().enumerate() {
                let kept = &mut tape.critics[place];
                forward::<V>(layers, kept, weights, &tape.joined, rows);
                let Some(values) = kept.last().map(|last| &last.results) else { continue };
                for r in 0..rows {
                    let error = f64::from(values[r]) - f64::from(targets[first + r]);
                    loss += 0.5 * error * error;
                    sum += if place == 0 { f64::from(values[r]) } else { 0.0 };
                    tape.slopes[r] = (error / count as f64) as f32;
                }
                let chain = (layers.as_slice(), kept.as_slice());
                backward::<V>(chain, &tape.joined, rows, &mut tape.slopes, &mut tape.spare, gradients, None);
            }
        }
        [loss / count as f64, sum / count as f64]
    }
}

struct LearnActor<'a> {
    networks: &'a SoftNetworks,
    actor: &'a [f32],
    critics: &'a [f32],
    gradients: &'a mut [f32],
    batch: &'a SoftBatch<'a>,
    temperature: f64,
    tape: &'a mut SoftTape,
}

impl Routine for LearnActor<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    fn run<V: Vector>(self) -> [f64; 2] {
        let LearnActor { networks, actor, critics, gradients, batch, temperature, tape } = self;
        let (inputs, actions, count) = (networks.inputs(), networks.actions(), batch.rewards.len());
        let (mut loss, mut sum) = (0.0, 0.0);
        transpose(&networks.actor, &mut tape.actor, actor);
        networks.critics.iter().zip(&mut tape.critics).for_each(|(layers, kept)| transpose(layers, kept, critics));
        for first in (0..count).step_by(TILE) {
            let rows = TILE.min(count - first);
            let (seen, noise) =
                (rows_of(batch.observations, inputs, first, rows), rows_of(batch.noise, actions, first, rows));
            tape.pass::<V>(networks, (actor, critics), seen, noise);
            for r in 0..rows {
                let (value, log_prob) = (tape.least(r).0, f64::from(tape.drawn.log_probs[r]));
                loss += temperature * log_prob - f64::from(value);
                sum -= log_prob;
            }
            let share = 1.0 / count as f32;
            for (place, layers) in networks.critics.iter().enumerate() {
                for r in 0..rows {
                    tape.slopes[r] = if tape.least(r).1 == place { -share } else { 0.0 };
                }
                let chain = (layers.as_slice(), tape.critics[place].as_slice());
                inward::<V>(chain, rows, &mut tape.slopes, &mut tape.spare, &mut tape.at_joined[place]);
            }
            networks.actor_slopes(rows, noise, (share, temperature as f32), tape);
            let chain = (networks.actor.as_slice(), tape.actor.as_slice());
            backward::<V>(chain, seen, rows, &mut tape.slopes, &mut tape.spare, gradients, None);
        }
        [loss / count as f64, sum / count as f64]
    }
}

impl SoftNetworks {
    /// Slopes of the policy's loss at its outputs, from those at the actions that it drew.
    #[inline(always)]
    fn actor_slopes(&self, rows: usize, noise: &[f32], (share, temperature): (f32, f32), tape: &mut SoftTape) {
        let (inputs, actions) = (self.inputs(), self.actions());
        let [low, high] = LOG_DEVIATIONS;
        let Some(outputs) = tape.actor.last().map(|last| &last.results) else { return };
        for r in 0..rows {
            let (mut output, mut action) = (2 * r * actions, 0);
            for (size, _) in &self.heads {
                for k in 0..*size {
                    let (place, at) = (r * actions + action + k, r * (inputs + actions) + inputs + action + k);
                    let unit = tape.drawn.units[place];
                    let through = (tape.at_joined[0][at] + tape.at_joined[1][at]) * (1.0 - unit * unit);
                    let slope = through + 2.0 * share * temperature * unit;
                    tape.slopes[output + k] = slope;
                    let free = (low..=high).contains(&outputs[output + size + k]);
                    let spread = slope * tape.drawn.deviations[place] * noise[place] - share * temperature;
                    tape.slopes[output + size + k] = if free { spread } else { 0.0 };
                }
                (output, action) = (output + 2 * size, action + size);
            }
        }
    }
}

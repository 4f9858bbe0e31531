//! How far one policy is from another: the KL divergence between their distributions, in closed form.
//!
//! A squashed distribution is as far from another as the normal ones are before the squash. A row of distributions is what decides an action: the policy's outputs, then the log deviations that are parameters.

use super::distribution::mask;
use super::family::{beta_divergence, Family, LOG_DEVIATIONS};
use super::network::{Head, Network};

impl Network {
    /// Numbers that a row of distributions has.
    pub fn distribution_width(&self) -> usize {
        self.width() + self.deviations()
    }

    /// Rows of distributions from the policy's `outputs`, `[rows, width]`: `rows` `[rows, distribution_width]`, overwritten.
    pub fn distributions(&self, weights: &[f32], outputs: &[f32], rows: &mut [f32]) {
        let (width, whole) = (self.width(), self.distribution_width());
        assert_eq!(outputs.len() / width * whole, rows.len(), "as many distributions as outputs");
        let deviations = &weights[self.log_deviation..][..self.deviations()];
        for (row, outputs) in rows.chunks_exact_mut(whole).zip(outputs.chunks_exact(width)) {
            row[..width].copy_from_slice(outputs);
            row[width..].copy_from_slice(deviations);
        }
    }

    /// KL(first ‖ second), nats, summed over the heads, mean over the rows; 0 of no rows.
    ///
    /// * `first`, `second`: `[rows, distribution_width]`; `masks`: `[rows, choices]`, 0 = not legal, none = all legal.
    ///
    /// Exactly 0 where both are the same to the bit; NaN where either has a NaN that counts. Scalars are float64.
    pub fn divergence(&self, first: &[f32], second: &[f32], masks: Option<&[u8]>) -> f64 {
        let whole = self.distribution_width();
        let rows = first.len() / whole;
        assert_eq!(first.len(), second.len(), "as many distributions of both");
        assert!(masks.is_none_or(|masks| masks.len() == rows * self.choices()), "a mask for each row");
        let pairs = first.chunks_exact(whole).zip(second.chunks_exact(whole));
        let sum: f64 = pairs.enumerate().map(|(row, pair)| self.row_divergence(pair, mask(self, masks, row))).sum();
        sum / rows.max(1) as f64
    }

    fn row_divergence(&self, (first, second): (&[f32], &[f32]), mask: Option<&[u8]>) -> f64 {
        let mut sum = 0.0;
        for part in self.parts() {
            let (p, q) = (part.outputs(first), part.outputs(second));
            sum += match part.head {
                Head::Categorical { .. } => categorical(p, q, part.legal(mask)),
                Head::Dimensions { family: Family::Beta { .. }, .. } => beta_divergence(p, q),
                Head::Gaussian { size } | Head::Dimensions { size, .. } => {
                    let place = self.width() + part.deviation;
                    let moments = |row: &[f32], outputs: &[f32], d: usize| {
                        let [low, high] = LOG_DEVIATIONS;
                        let log_deviation = match part.head.deviations() {
                            0 => outputs[size + d].clamp(low, high),
                            _ => row[place + d],
                        };
                        (f64::from(outputs[d]), f64::from(log_deviation))
                    };
                    (0..size).map(|d| normal(moments(first, p, d), moments(second, q, d))).sum()
                }
            };
        }
        sum
    }
}

/// Σⱼ pⱼ (log pⱼ − log qⱼ) over the legal choices.
fn categorical(p: &[f32], q: &[f32], legal: Option<&[u8]>) -> f64 {
    let possible = |j: &usize| legal.is_none_or(|legal| legal[*j] != 0);
    let normalizer = |logits: &[f32]| {
        let of = |j: usize| f64::from(logits[j]);
        let max = (0..logits.len()).filter(possible).map(of).fold(f64::NEG_INFINITY, f64::max);
        max + (0..logits.len()).filter(possible).map(|j| (of(j) - max).exp()).sum::<f64>().ln()
    };
    let (of_p, of_q) = (normalizer(p), normalizer(q));
    let share = |j: usize| {
        let (log_p, log_q) = (f64::from(p[j]) - of_p, f64::from(q[j]) - of_q);
        log_p.exp() * (log_p - log_q)
    };
    (0..p.len()).filter(possible).map(share).sum()
}

/// ½ (σ_p²/σ_q² − 1 + (μ_p − μ_q)²/σ_q²) + log σ_q − log σ_p, from means and log deviations.
fn normal((mean_p, log_p): (f64, f64), (mean_q, log_q): (f64, f64)) -> f64 {
    let (spread, shift) = (log_p - log_q, (mean_p - mean_q) * (-log_q).exp());
    0.5 * ((2.0 * spread).exp_m1() + shift * shift) - spread
}

#[cfg(test)]
mod tests {
    use super::super::activation::Activation;
    use super::super::network::Layer;
    use super::*;

    /// Two branches of three choices and a Gaussian of two dimensions, without hidden layers.
    fn network() -> Network {
        let layer = |outputs| Layer { inputs: 1, outputs, weight: 0, bias: 0, activation: Activation::Identity };
        let heads = vec![Head::Categorical { choices: 3 }, Head::Gaussian { size: 2 }];
        Network {
            inputs: 1,
            trunk: vec![],
            policy: vec![layer(5)],
            value: vec![layer(1)],
            heads,
            log_deviation: 1,
            cores: Default::default(),
        }
    }

    #[test]
    fn divergences_are_those_worked_by_hand() {
        let network = network();
        let ln = |x: f32| x.ln();
        // p = (1/2, 1/4, 1/4), q = (1/4, 1/4, 1/2); N(1, 2²) against N(0, 1), N(0, 1) against itself
        let first = [ln(2.0), ln(1.0), ln(1.0), 1.0, 0.0, ln(2.0), 0.0];
        let second = [ln(1.0), ln(1.0), ln(2.0), 0.0, 0.0, 0.0, 0.0];
        let gauss = 0.5 * (4.0 + 1.0 - 1.0) - 2f64.ln();
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
        close(network.divergence(&first, &second, None), 0.25 * 2f64.ln() + gauss);
        let back = 0.5 * (0.25 + 0.25 - 1.0) + 2f64.ln();
        close(network.divergence(&second, &first, None), 0.25 * 2f64.ln() + back);
        // without the third choice: (2/3, 1/3) against (1/2, 1/2); the mean with a row that is the same
        let masked = (2.0 / 3.0) * (4f64 / 3.0).ln() + (1.0 / 3.0) * (2f64 / 3.0).ln() + gauss;
        let (both, other) = ([first, first].concat(), [second, first].concat());
        close(network.divergence(&both, &other, Some(&[1, 1, 0, 1, 1, 1])), 0.5 * masked);
        assert_eq!(network.divergence(&both, &both, Some(&[1, 0, 0, 0, 1, 1])), 0.0);
        assert_eq!(network.divergence(&[], &[], None), 0.0);
    }

    #[test]
    fn other_families_are_those_of_torch_distributions() {
        let one = |family: Family| Network { heads: vec![Head::Dimensions { size: 1, family }], ..network() };
        let (beta, state) = (one(Family::Beta { log_width: 0.7 }), one(Family::Normal));
        let squashed = one(Family::Squashed { state: true, log_scale: 0.7 });
        let (first, second) = ([0.5, -1.0], [2.0, 0.3]);
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
        close(beta.divergence(&first, &second, None), 0.064_892_931_9);
        close(beta.divergence(&second, &first, None), 0.047_393_445_7);
        for network in [state, squashed] {
            close(network.divergence(&first, &second, None), 1.454_549_876);
            close(network.divergence(&[0.0, 9.0], &[0.0, 5.0], None), 0.0); // both are cut to 2
        }
        assert_eq!(beta.divergence(&first, &first, None), 0.0);
    }

    #[test]
    fn a_row_is_the_outputs_and_the_deviations() {
        let (network, mut rows) = (network(), [0.0; 14]);
        network.distributions(&[9.0, 0.5, -0.5], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 0.0], &mut rows);
        assert_eq!(rows, [1.0, 2.0, 3.0, 4.0, 5.0, 0.5, -0.5, 6.0, 7.0, 8.0, 9.0, 0.0, 0.5, -0.5]);
        let mut spoiled = rows;
        spoiled[3] = f32::NAN;
        assert!(
            network.divergence(&rows, &spoiled, None).is_nan() && network.divergence(&spoiled, &rows, None).is_nan()
        );
    }
}

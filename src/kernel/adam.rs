//! AdamW and the norm of the gradient on flat slices.
//!
//! Owns the step of the optimiser. Refuses to count steps and to decide what decays: a caller hands in the segment that does
//! and the one that does not.

use super::simd::{dispatch, Routine, Vector};

/// Sums that run side by side, so that the order of additions is the same on every machine.
const SUMS: usize = 32;

/// The rule of one step; `weight_decay` is decoupled, `epsilon` stands outside the root.
///
/// Source: Kingma & Ba 2015 (arXiv 1412.6980); Loshchilov & Hutter 2019 (arXiv 1711.05101).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// η, ≥ 0.
    pub learning_rate: f64,
    /// β₁, in [0, 1).
    pub beta1: f64,
    /// β₂, in [0, 1).
    pub beta2: f64,
    /// ε, > 0.
    pub epsilon: f64,
    /// w, ≥ 0; 0 makes it Adam.
    pub weight_decay: f64,
}

/// √Σ g², summed in float64 in an order that only the length decides; NaN and infinity pass on.
pub fn norm(gradients: &[f32]) -> f64 {
    dispatch(Squares(gradients)).sqrt()
}

/// values ← values · factor.
pub fn scale(values: &mut [f32], factor: f32) {
    dispatch(Scale(values, factor));
}

/// Scales gradients to the norm `most` where theirs is larger, by `most` / (‖g‖ + 10⁻⁶); gives ‖g‖ as it was. `most` = 0 only
/// measures; a norm that is not finite leaves them as they are.
///
/// Source: `torch.nn.utils.clip_grad_norm_`.
pub fn clip(gradients: &mut [f32], most: f64) -> f64 {
    let found = norm(gradients);
    if let Some(factor) = clipped_scale(found, most) {
        scale(gradients, factor);
    }
    found
}

/// What gradients of the norm `found` are scaled by to have the norm `most`; nothing where they stay.
pub fn clipped_scale(found: f64, most: f64) -> Option<f32> {
    (most > 0.0 && found > most && found.is_finite()).then(|| (most / (found + 1e-6)) as f32)
}

/// One step in place: `weights`, `first` and `second` change.
///
/// ```text
/// θ ← θ − η·w·θ,   m ← m + (1 − β₁)(g − m),   v ← β₂·v + (1 − β₂)·g²
/// θ ← θ − η/(1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
/// ```
///
/// * `first`, `second`: m and v, zeros before the first step; as many as the weights and gradients.
/// * `step`: t, 1 at the first step.
///
/// Source: `torch.optim.AdamW`; corrections in float64, the rest in float32.
pub fn adam(rule: &Adam, weights: &mut [f32], gradients: &[f32], first: &mut [f32], second: &mut [f32], step: u64) {
    let count = weights.len();
    assert_eq!([gradients.len(), first.len(), second.len()], [count; 3], "as many gradients and moments as weights");
    assert!(step > 0, "the first step is 1");
    let correction = |beta: f64| 1.0 - beta.powf(step as f64);
    let factors = Factors {
        decay: (1.0 - rule.learning_rate * rule.weight_decay) as f32,
        rest1: (1.0 - rule.beta1) as f32,
        beta2: rule.beta2 as f32,
        rest2: (1.0 - rule.beta2) as f32,
        size: (rule.learning_rate / correction(rule.beta1)) as f32,
        root: (1.0 / correction(rule.beta2).sqrt()) as f32,
        epsilon: rule.epsilon as f32,
    };
    dispatch(Step { factors, weights, gradients, first, second });
}

struct Squares<'a>(&'a [f32]);

impl Routine for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let mut sums = [0.0f64; SUMS];
        let mut chunks = self.0.chunks_exact(SUMS);
        for chunk in &mut chunks {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum += f64::from(*value) * f64::from(*value);
            }
        }
        for (sum, value) in sums.iter_mut().zip(chunks.remainder()) {
            *sum += f64::from(*value) * f64::from(*value);
        }
        sums.iter().sum()
    }
}

struct Scale<'a>(&'a mut [f32], f32);

impl Routine for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        for value in self.0 {
            *value *= self.1;
        }
    }
}

/// The numbers of one step, the same for every weight.
#[derive(Clone, Copy)]
struct Factors {
    decay: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    size: f32,
    root: f32,
    epsilon: f32,
}

struct Step<'a> {
    factors: Factors,
    weights: &'a mut [f32],
    gradients: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl Routine for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Step { factors, weights, gradients, first, second } = self;
        let (count, whole) = (weights.len(), weights.len() - weights.len() % V::LANES);
        let (theta, gradient, m, v) =
            (weights.as_mut_ptr(), gradients.as_ptr(), first.as_mut_ptr(), second.as_mut_ptr());
        for i in (0..whole).step_by(V::LANES) {
            // SAFETY: i + LANES ≤ count, and all four slices are of `count` floats, as `adam` asserts.
            unsafe {
                let (gradient, old) = (V::load(gradient.add(i)), V::load(theta.add(i)));
                let (new, first, second) = factors.step(old, gradient, V::load(m.add(i)), V::load(v.add(i)));
                new.store(theta.add(i));
                first.store(m.add(i));
                second.store(v.add(i));
            }
        }
        let rest = count - whole;
        if rest > 0 {
            // SAFETY: `rest` floats remain from `whole` on in all four slices.
            unsafe {
                let (gradient, old) = (V::load_first(gradient.add(whole), rest), V::load_first(theta.add(whole), rest));
                let moments = (V::load_first(m.add(whole), rest), V::load_first(v.add(whole), rest));
                let (new, first, second) = factors.step(old, gradient, moments.0, moments.1);
                new.store_first(theta.add(whole), rest);
                first.store_first(m.add(whole), rest);
                second.store_first(v.add(whole), rest);
            }
        }
    }
}

impl Factors {
    /// (θ, m, v) after the step.
    #[inline(always)]
    fn step<V: Vector>(self, theta: V, gradient: V, first: V, second: V) -> (V, V, V) {
        let first = (gradient - first).mul_add(V::splat(self.rest1), first);
        let second = (gradient * gradient).mul_add(V::splat(self.rest2), second * V::splat(self.beta2));
        let denominator = second.sqrt().mul_add(V::splat(self.root), V::splat(self.epsilon));
        let change = V::splat(self.size) * first / denominator;
        (theta * V::splat(self.decay) - change, first, second)
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::forced;
    use super::*;

    const RULE: Adam = Adam { learning_rate: 3e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-5, weight_decay: 0.02 };

    fn numbers(count: usize, salt: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 37 + salt * 101) % 211) as f32 / 105.5 - 1.0).collect()
    }

    /// The recurrence written out for one weight in float64, as the paper has it: θ ← θ − η(m̂ / (√v̂ + ε) + wθ).
    fn recurrence(theta: f32, gradients: &[f32]) -> f64 {
        let (mut theta, mut m, mut v) = (f64::from(theta), 0.0, 0.0);
        for (t, gradient) in gradients.iter().map(|gradient| f64::from(*gradient)).enumerate() {
            m = 0.9 * m + 0.1 * gradient;
            v = 0.999 * v + 0.001 * gradient * gradient;
            let (whole_m, whole_v) = (m / (1.0 - 0.9f64.powi(t as i32 + 1)), v / (1.0 - 0.999f64.powi(t as i32 + 1)));
            theta -= 3e-3 * (whole_m / (whole_v.sqrt() + 1e-5) + 0.02 * theta);
        }
        theta
    }

    #[test]
    fn steps_follow_the_recurrence() {
        for count in [1, 7, 16, 77] {
            let start = numbers(count, 0);
            let gradients: Vec<Vec<f32>> = (0..50).map(|t| numbers(count, t + 1)).collect();
            forced::each(|level| {
                let (mut weights, mut first, mut second) = (start.clone(), vec![0.0; count], vec![0.0; count]);
                for (t, gradients) in gradients.iter().enumerate() {
                    adam(&RULE, &mut weights, gradients, &mut first, &mut second, t as u64 + 1);
                }
                for (i, weight) in weights.iter().enumerate() {
                    let own: Vec<f32> = gradients.iter().map(|gradients| gradients[i]).collect();
                    let expected = recurrence(start[i], &own);
                    assert!((f64::from(*weight) - expected).abs() < 2e-6, "{level:?}: {weight} for {expected}");
                }
            });
        }
    }

    /// One step from zeros moves every weight by η against its gradient's sign, if ε is small.
    #[test]
    fn the_first_step_is_the_learning_rate() {
        let rule = Adam { epsilon: 1e-12, weight_decay: 0.0, ..RULE };
        let (mut weights, mut first, mut second) = ([1.0f32, 1.0], [0.0; 2], [0.0; 2]);
        adam(&rule, &mut weights, &[0.3, -4.0], &mut first, &mut second, 1);
        assert!((weights[0] - 0.997).abs() < 1e-6 && (weights[1] - 1.003).abs() < 1e-6, "{weights:?}");
    }

    #[test]
    fn the_norm_has_the_same_bits_everywhere_and_hides_nothing() {
        let values = numbers(1003, 3);
        let norms = forced::each(|_| norm(&values).to_bits());
        assert!(norms.windows(2).all(|pair| pair[0] == pair[1]));
        let exact = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        assert!((norm(&values) - exact).abs() < 1e-12);
        assert_eq!((norm(&[3.0, 4.0]), norm(&[]), norm(&[1.0, f32::INFINITY])), (5.0, 0.0, f64::INFINITY));
        assert!(norm(&[1.0, f32::NAN]).is_nan());
        let mut values = [2.0, -4.0];
        scale(&mut values, 0.5);
        assert_eq!(values, [1.0, -2.0]);
    }
}

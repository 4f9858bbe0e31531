//! Mean and deviation of numbers that come in parts.
//!
//! Owns the merging of two parts' moments, exact whatever the order and size of the parts. Refuses to forget.

use tch::{Kind, Tensor};

/// How many numbers there were, their mean, and the sum of their squared distances from it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    pub count: f64,
    pub mean: f64,
    pub squares: f64,
}

impl Moments {
    /// These and the moments of `x`, any shape, in f64.
    ///
    /// ```text
    /// n = n₁ + n₂,   μ = μ₁ + (μ₂ − μ₁) · n₂ / n,   M = M₁ + M₂ + (μ₂ − μ₁)² · n₁ n₂ / n
    /// ```
    ///
    /// Degenerate: an empty `x` changes nothing; a non-finite number stays in all that follows.
    ///
    /// Source: Chan, Golub and LeVeque 1979.
    pub fn with(self, x: &Tensor) -> Moments {
        let x = x.detach().to_kind(Kind::Double);
        let added = x.numel() as f64;
        if added == 0.0 {
            return self;
        }
        let mean = x.mean(Kind::Double);
        let squares = (&x - &mean).square().sum(Kind::Double).double_value(&[]);
        let (count, shift) = (self.count + added, mean.double_value(&[]) - self.mean);
        let squares = self.squares + squares + shift * shift * self.count * added / count;
        Moments { count, mean: self.mean + shift * added / count, squares }
    }

    /// The deviation with n − 1 in the denominator; 0 for fewer than two numbers.
    ///
    /// Source: Bessel's correction.
    pub fn deviation(&self) -> f64 {
        (self.squares / (self.count - 1.0).max(1.0)).sqrt()
    }
}

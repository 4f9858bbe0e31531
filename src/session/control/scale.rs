//! The scale at which values are learned where they are normalised: y = clip((x − μ) / √(σ² + 10⁻⁵), ±5), and back.
//!
//! Source: rl_games (`normalize_value`). μ and σ² are those of all values and returns so far, in float64.

use crate::model::control::Statistics;

/// Added to the variance under the root.
const VARIANCE_FLOOR: f64 = 1e-5;

/// Deviations beyond which nothing is told apart.
const LIMIT: f64 = 5.0;

pub(super) struct Scale {
    mean: f64,
    deviation: f64,
}

impl Scale {
    /// What these moments of single numbers make; before anything was seen, mean 0 and variance 1.
    pub fn of(statistics: &Statistics) -> Scale {
        Scale { mean: statistics.means[0], deviation: (statistics.variance(0) + VARIANCE_FLOOR).sqrt() }
    }

    /// Takes numbers into the moments, then brings them to the scale that these make.
    pub fn learn(statistics: &mut Statistics, numbers: &mut [f32]) {
        statistics.merge(numbers.chunks_exact(1));
        let scale = Scale::of(statistics);
        for number in numbers {
            *number = ((f64::from(*number) - scale.mean) / scale.deviation).clamp(-LIMIT, LIMIT) as f32;
        }
    }

    /// From the scale back to the unit of the rewards.
    pub fn undo(&self, numbers: &mut [f32]) {
        for number in numbers {
            *number = (f64::from(*number).clamp(-LIMIT, LIMIT) * self.deviation + self.mean) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_to_the_scale_and_back() {
        let mut statistics = Statistics::new(1);
        let mut numbers = [1.0f32, 5.0]; // mean 3, variance 4
        Scale::learn(&mut statistics, &mut numbers);
        let end = 2.0 / (4.0f64 + 1e-5).sqrt();
        assert!((f64::from(numbers[1]) - end).abs() < 1e-7 && numbers[0] == -numbers[1]);
        let scale = Scale::of(&statistics);
        scale.undo(&mut numbers);
        assert!((numbers[0] - 1.0).abs() < 1e-6 && (numbers[1] - 5.0).abs() < 1e-6);
        let mut far = [100.0f32, f32::NAN];
        scale.undo(&mut far);
        assert!((far[0] - 13.0).abs() < 1e-4 && far[1].is_nan());
        let mut first = [0.5f32];
        Scale::of(&Statistics::new(1)).undo(&mut first);
        assert!((first[0] - 0.5).abs() < 1e-5);
    }
}

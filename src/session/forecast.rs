//! How long the next slice will take, from what slices of its kind took before.

use std::collections::HashMap;
use std::time::Duration;

/// What a slice of a kind took.
struct Measured {
    took: Duration,
    amount: u64,
}

/// The measurements of one job.
#[derive(Default)]
pub(super) struct Forecast {
    kinds: HashMap<&'static str, Measured>,
}

impl Forecast {
    /// What a slice of a kind that was measured is expected to take: in proportion to its amount, and never less than a
    /// quarter of what was measured, for a part of it is fixed. `None` of a kind that was not.
    pub fn expect(&self, kind: &str, amount: u64) -> Option<Duration> {
        let measured = self.kinds.get(kind)?;
        Some(measured.took.mul_f64((amount as f64 / measured.amount as f64).max(0.25)))
    }

    /// Keeps what a slice took; one that took unusually long is forgotten over the next ones.
    pub fn learn(&mut self, kind: &'static str, amount: u64, took: Duration) {
        let amount = amount.max(1);
        let faded = self.expect(kind, amount).unwrap_or_default().mul_f64(0.75);
        self.kinds.insert(kind, Measured { took: took.max(faded), amount });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_slice_is_expected_to_take_what_its_amount_says() {
        let mut forecast = Forecast::default();
        assert_eq!(forecast.expect("block", 8), None);
        forecast.learn("block", 8, MS(40));
        let expected = [8, 16, 4, 1].map(|amount| forecast.expect("block", amount).unwrap());
        assert_eq!(expected, [MS(40), MS(80), MS(20), MS(10)]);
        assert_eq!(forecast.expect("head", 8), None);
    }

    #[test]
    fn a_long_slice_is_remembered_a_while() {
        let mut forecast = Forecast::default();
        [100, 16, 16].into_iter().for_each(|took| forecast.learn("block", 1, MS(took)));
        assert_eq!(forecast.expect("block", 1).unwrap().as_micros(), 56_250);
        (0..9).for_each(|_| forecast.learn("block", 1, MS(16)));
        assert_eq!(forecast.expect("block", 1), Some(MS(16)));
    }
}

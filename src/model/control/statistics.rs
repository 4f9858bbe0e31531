//! Running moments of vectors, and the normalisation they make.
//!
//! Sums are f64 and counts u64, so that no number of steps freezes them.

use serde::{Deserialize, Serialize};

/// Added to the variance under the root.
const VARIANCE_FLOOR: f64 = 1e-8;

/// Count, means and sums of squared distances of vectors of one width (Chan, Golub and LeVeque 1979).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    pub count: u64,
    pub means: Vec<f64>,
    pub squares: Vec<f64>,
}

impl Statistics {
    pub fn new(width: usize) -> Statistics {
        Statistics { count: 0, means: vec![0.0; width], squares: vec![0.0; width] }
    }

    /// Merges rows of the width into the moments, all at once.
    pub fn merge<'a>(&mut self, rows: impl Iterator<Item = &'a [f32]> + Clone) {
        let added = rows.clone().count() as f64;
        if added == 0.0 {
            return;
        }
        let before = self.count as f64;
        let total = before + added;
        for (place, (mean, squares)) in self.means.iter_mut().zip(&mut self.squares).enumerate() {
            let own = rows.clone().map(|row| f64::from(row[place])).sum::<f64>() / added;
            let spread = rows.clone().map(|row| (f64::from(row[place]) - own).powi(2)).sum::<f64>();
            let shift = own - *mean;
            *mean += shift * added / total;
            *squares += spread + shift * shift * before * added / total;
        }
        self.count += added as u64;
    }

    /// Population variance of a place; 1 before anything was seen.
    pub fn variance(&self, place: usize) -> f64 {
        match self.count {
            0 => 1.0,
            count => self.squares[place] / count as f64,
        }
    }

    /// 1 / √(σ² + 10⁻⁸) of a place.
    pub fn scale(&self, place: usize) -> f64 {
        (self.variance(place) + VARIANCE_FLOOR).sqrt().recip()
    }

    /// Whether it is what `new` and `merge` can make of vectors of this width.
    pub fn sound(&self, width: usize) -> bool {
        let numbers = || self.means.iter().chain(&self.squares);
        self.means.len() == width
            && self.squares.len() == width
            && self.count < 1 << 62
            && numbers().all(|number| number.is_finite())
            && self.squares.iter().all(|square| *square >= 0.0)
    }
}

/// x ↦ clip((x − μ) / √(σ² + 10⁻⁸), ±c), or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Normalizer {
    shifts: Vec<f32>,
    scales: Vec<f32>,
    clip: f32,
}

impl Normalizer {
    /// What these moments make; before anything was seen, nothing.
    pub fn new(statistics: &Statistics, clip: f32) -> Normalizer {
        if statistics.count == 0 {
            return Normalizer::default();
        }
        let scales = (0..statistics.means.len()).map(|place| statistics.scale(place) as f32);
        Normalizer {
            shifts: statistics.means.iter().map(|mean| *mean as f32).collect(),
            scales: scales.collect(),
            clip,
        }
    }

    /// Normalises the first numbers, as many as there are moments, of rows of `width`, in place.
    pub fn apply(&self, rows: &mut [f32], width: usize) {
        if self.shifts.is_empty() {
            return;
        }
        for row in rows.chunks_exact_mut(width) {
            for ((number, shift), scale) in row.iter_mut().zip(&self.shifts).zip(&self.scales) {
                *number = ((*number - shift) * scale).clamp(-self.clip, self.clip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_merge_to_the_whole() {
        let rows: Vec<[f32; 2]> = (0..40).map(|i| [(i * i % 17) as f32, 1e3 + (i % 5) as f32]).collect();
        let mut parts = Statistics::new(2);
        for part in rows.chunks(7) {
            parts.merge(part.iter().map(|row| &row[..]));
        }
        for place in 0..2 {
            let mean = rows.iter().map(|row| f64::from(row[place])).sum::<f64>() / 40.0;
            let variance = rows.iter().map(|row| (f64::from(row[place]) - mean).powi(2)).sum::<f64>() / 40.0;
            assert!((parts.means[place] - mean).abs() < 1e-9 * mean.abs());
            assert!((parts.variance(place) - variance).abs() < 1e-9 * variance);
        }
        assert_eq!((parts.count, parts.sound(2), parts.sound(3)), (40, true, false));
    }

    #[test]
    fn what_was_seen_is_normal_and_outliers_are_clipped() {
        let mut statistics = Statistics::new(1);
        let mut row = [30.0f32];
        Normalizer::new(&statistics, 10.0).apply(&mut row, 1);
        assert_eq!(row, [30.0]);
        statistics.merge([[1.0f32].as_slice(), &[5.0]].into_iter());
        let normalizer = Normalizer::new(&statistics, 10.0);
        let mut rows = [5.0f32, 3.0, 1e9];
        normalizer.apply(&mut rows, 1);
        assert_eq!(rows, [1.0, 0.0, 10.0]);
    }
}

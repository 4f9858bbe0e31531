//! Running moments of vectors, and the normalisation they make.
//!
//! Sums are f64 and counts u64, so that no number of steps freezes them.

use crate::error::Result;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

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
        let added = rows.clone().count();
        self.merge_moments(added, |place| {
            let own = rows.clone().map(|row| f64::from(row[place])).sum::<f64>() / added as f64;
            (own, rows.clone().map(|row| (f64::from(row[place]) - own).powi(2)).sum::<f64>())
        });
    }

    /// As `merge`, of rows [n, width] on any device; their own moments are summed there.
    pub fn merge_at(&mut self, rows: &Tensor) -> Result<()> {
        let rows = rows.f_to_kind(Kind::Double)?; // [n, width]
        let means = rows.f_mean_dim(Some([0].as_slice()), false, None)?; // [width]
        let spreads = (&rows - &means).f_square()?.f_sum_dim_intlist(Some([0].as_slice()), false, None)?; // [width]
        let both = Vec::<f64>::try_from(Tensor::f_cat(&[means, spreads], 0)?.f_to_device(Device::Cpu)?)?;
        let (means, spreads) = both.split_at(self.means.len());
        self.merge_moments(rows.size()[0] as usize, |place| (means[place], spreads[place]));
        Ok(())
    }

    /// Merges so many rows of which `own` tells the mean and the sum of squared distances from it at a place.
    fn merge_moments(&mut self, added: usize, own: impl Fn(usize) -> (f64, f64)) {
        if added == 0 {
            return;
        }
        let (before, more) = (self.count as f64, added as f64);
        let total = before + more;
        for (place, (mean, squares)) in self.means.iter_mut().zip(&mut self.squares).enumerate() {
            let (own, spread) = own(place);
            let shift = own - *mean;
            *mean += shift * more / total;
            *squares += spread + shift * shift * before * more / total;
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

    /// The same on a device; none where it does nothing.
    pub fn on(&self, device: Device) -> Result<Option<PlacedNormalizer>> {
        if self.shifts.is_empty() {
            return Ok(None);
        }
        let there = |numbers: &[f32]| Tensor::f_from_slice(numbers)?.f_to_device(device);
        let (shifts, scales) = (there(&self.shifts)?, there(&self.scales)?);
        Ok(Some(PlacedNormalizer { shifts, scales, clip: self.clip.into() }))
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

/// A normaliser on a device.
pub struct PlacedNormalizer {
    /// [vectors] each.
    shifts: Tensor,
    scales: Tensor,
    clip: f64,
}

impl PlacedNormalizer {
    /// Rows [n, vectors] normalised, as `Normalizer::apply` does it.
    pub fn apply(&self, rows: &Tensor) -> Result<Tensor> {
        Ok(rows.f_sub(&self.shifts)?.f_mul_(&self.scales)?.f_clamp_(-self.clip, self.clip)?)
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
    fn rows_of_a_device_count_as_those_of_the_host() {
        let numbers: Vec<f32> = (0..60).map(|i| 1e4 + (i * i % 17) as f32 * 0.37).collect();
        let (mut here, mut there) = (Statistics::new(2), Statistics::new(2));
        for part in numbers.chunks(40) {
            here.merge(part.chunks_exact(2));
            there.merge_at(&Tensor::from_slice(part).view([-1, 2])).unwrap();
        }
        there.merge_at(&Tensor::zeros([0, 2], (Kind::Float, Device::Cpu))).unwrap();
        assert_eq!(here.count, there.count);
        for (here, there) in [(&here.means, &there.means), (&here.squares, &there.squares)] {
            here.iter().zip(there).for_each(|(here, there)| assert!((here - there).abs() < 1e-12 * here.abs()));
        }
        let (normalizer, mut rows) = (Normalizer::new(&here, 1.25), numbers);
        let placed = normalizer.on(Device::Cpu).unwrap().unwrap();
        let found =
            Vec::<f32>::try_from(placed.apply(&Tensor::from_slice(&rows).view([-1, 2])).unwrap().view([-1])).unwrap();
        normalizer.apply(&mut rows, 2);
        assert!(found == rows && rows.contains(&1.25), "{found:?} {rows:?}");
        assert!(Normalizer::default().on(Device::Cpu).unwrap().is_none());
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

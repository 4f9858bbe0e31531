//! Rotary position embedding: the table of cosines and sines and its application.
//!
//! Owns the frequencies with their scaling (linear, Llama 3). The table is computed here, not by a tensor operator, so
//! that its bits are the same on every device and for every batch.

use crate::error::Result;
use crate::model::language::packed::Rows;
use crate::model::language::{Rope, RopeScaling};
use std::cell::RefCell;
use std::f64::consts::PI;
use tch::{Device, Kind, Tensor};

/// The rotation angles of the rows of one forward pass, [N, 1, D / 2] each.
pub(super) struct Angles {
    pub cosine: Tensor,
    pub sine: Tensor,
}

/// Angles by position, computed as far as they were asked for.
pub(super) struct Rotary {
    frequencies: Vec<f32>,
    kind: Kind,
    device: Device,
    table: RefCell<Option<(i64, Angles)>>,
}

impl Rotary {
    pub fn new(rope: &Rope, head_dim: i64, kind: Kind, device: Device) -> Rotary {
        Rotary { frequencies: frequencies(rope, head_dim), kind, device, table: RefCell::new(None) }
    }

    /// The angles at the positions of `rows`.
    pub fn angles(&self, rows: &Rows) -> Result<Angles> {
        let needed = rows.last_position + 1;
        let mut table = self.table.borrow_mut();
        if table.as_ref().is_none_or(|(known, _)| *known < needed) {
            let length = (needed as u64).next_power_of_two() as i64;
            *table = Some((length, self.compute(length)?));
        }
        let (_, known) = table.as_ref().expect("computed above");
        Ok(Angles {
            cosine: known.cosine.f_index_select(0, &rows.positions)?,
            sine: known.sine.f_index_select(0, &rows.positions)?,
        })
    }

    fn compute(&self, length: i64) -> Result<Angles> {
        let angles = (0..length).flat_map(|position| {
            // transformers multiplies in fp32, which decides the angle at large positions
            self.frequencies.iter().map(move |frequency| f64::from(position as f32 * frequency))
        });
        let (cosine, sine): (Vec<f32>, Vec<f32>) = angles.map(|angle| (angle.cos() as f32, angle.sin() as f32)).unzip();
        let tensor = |values: &[f32]| -> Result<Tensor> {
            let flat = Tensor::f_from_slice(values)?;
            let shaped = flat.f_view([length, 1, self.frequencies.len() as i64])?;
            Ok(shaped.f_to_kind(self.kind)?.f_to_device(self.device)?)
        };
        Ok(Angles { cosine: tensor(&cosine)?, sine: tensor(&sine)? })
    }
}

impl Angles {
    /// Rotates the halves of each head of `x` [N, heads, D] by the angle of its row.
    pub fn rotate(&self, x: &Tensor) -> Result<Tensor> {
        let half = x.size()[2] / 2;
        let (first, second) = (x.f_narrow(2, 0, half)?, x.f_narrow(2, half, half)?);
        let left = first.f_mul(&self.cosine)?.f_sub(&second.f_mul(&self.sine)?)?;
        let right = second.f_mul(&self.cosine)?.f_add(&first.f_mul(&self.sine)?)?;
        Ok(Tensor::f_cat(&[left, right], 2)?)
    }
}

/// θᵢ = theta^(−2i / D), scaled.
fn frequencies(rope: &Rope, head_dim: i64) -> Vec<f32> {
    (0..head_dim / 2)
        .map(|i| rope.theta.powf(-(2.0 * i as f64) / head_dim as f64))
        .map(|frequency| scale(rope.scaling, frequency) as f32)
        .collect()
}

/// Llama 3: long waves are stretched by `factor`, short ones kept, those between interpolated.
/// Source: transformers, modeling_rope_utils.py.
fn scale(scaling: RopeScaling, frequency: f64) -> f64 {
    match scaling {
        RopeScaling::None => frequency,
        RopeScaling::Linear { factor } => frequency / factor,
        RopeScaling::Llama3 { factor, low_frequency, high_frequency, original_positions } => {
            let wave = 2.0 * PI / frequency;
            if wave > original_positions / low_frequency {
                frequency / factor
            } else if wave < original_positions / high_frequency {
                frequency
            } else {
                let smooth = (original_positions / wave - low_frequency) / (high_frequency - low_frequency);
                (1.0 - smooth) * frequency / factor + smooth * frequency
            }
        }
    }
}

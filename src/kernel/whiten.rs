//! Advantages of one minibatch, or of a whole batch, brought to mean 0 and variance 1.

/// Added to the deviation.
const FLOOR: f64 = 1e-8;

/// Values brought to mean 0 and unbiased variance 1, in place.
///
/// ```text
/// y_i = (x_i − μ) / (σ + 10⁻⁸)
/// ```
///
/// Fewer than two numbers stay as they are; equal ones become 0. Sums in float64.
///
/// Source: Stable-Baselines3 and CleanRL, `normalize_advantage`.
pub fn whiten(values: &mut [f32]) {
    let count = values.len() as f64;
    if count < 2.0 {
        return;
    }
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    let squares = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>();
    let scale = 1.0 / ((squares / (count - 1.0)).sqrt() + FLOOR);
    for value in values {
        *value = ((f64::from(*value) - mean) * scale) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::whiten;

    #[test]
    fn by_hand() {
        let mut values = [1.0, 2.0, 3.0];
        whiten(&mut values);
        assert!(values
            .iter()
            .zip([-1.0, 0.0, 1.0])
            .all(|(found, expected): (&f32, f32)| (found - expected).abs() < 1e-6));
        let (mut one, mut equal) = ([5.0], [2.0, 2.0]);
        whiten(&mut one);
        whiten(&mut equal);
        assert_eq!((one, equal), ([5.0], [0.0, 0.0]));
    }
}

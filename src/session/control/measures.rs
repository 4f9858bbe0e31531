//! What an update measures of its rows, numbers in and one number out.

/// The mean of numbers.
pub(super) fn mean(numbers: &[f32]) -> f64 {
    numbers.iter().map(|number| f64::from(*number)).sum::<f64>() / numbers.len() as f64
}

/// 1 − Var(R − V) / Var(R) over the rows; 0 where the returns do not vary.
pub(super) fn explained(returns: &[f32], values: &[f32]) -> f64 {
    let variance = |numbers: &mut dyn Iterator<Item = f64>| {
        let all: Vec<f64> = numbers.collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        all.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / all.len() as f64
    };
    let total = variance(&mut returns.iter().map(|number| f64::from(*number)));
    let residual = variance(&mut returns.iter().zip(values).map(|(all, value)| f64::from(all - value)));
    if total > 0.0 {
        1.0 - residual / total
    } else {
        0.0
    }
}

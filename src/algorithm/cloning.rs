//! Behaviour cloning of a control policy: maximum likelihood of demonstrated actions (Pomerleau 1991).
//!
//!   L(θ) = − Σᵢ wᵢ log πθ(aᵢ | oᵢ) / Σᵢ wᵢ
//!
//! The sum is over the demonstrations of a batch; w is the host's weight of a row, 1 without one.

use super::{Columns, Learner, Loss};
use crate::error::Result;
use crate::math::weighted_mean;
use crate::model::control::Evaluated;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Kind;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Demonstrations of one optimiser step. Raising it lowers the noise of the gradient and the number of steps.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub batch_size: u32,
    /// Passes over the pushed demonstrations; 0 = without end.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub epochs: u32,
    /// Whether each pass visits the rows in a seeded random order.
    pub shuffle: bool,
    /// What computes the update.
    pub learner: Learner,
}

impl Default for Config {
    fn default() -> Self {
        Config { batch_size: 64, epochs: 1, shuffle: true, learner: Learner::Auto }
    }
}

/// The loss of a batch: `said` of the demonstrated actions carries gradient; of `columns` `weight` is read, [B].
pub fn loss(said: &Evaluated, columns: &Columns) -> Result<Loss> {
    let log_probs = said.log_probs.unsqueeze(1); // [B, 1]
    let mask = log_probs.ones_like().to_kind(Kind::Bool); // [B, 1]
    let total = -weighted_mean(&log_probs, &mask, columns.get("weight")?);
    let metrics = vec![("loss/total", total.detach()), ("entropy/action", said.entropies.detach().mean(None))];
    Ok(Loss { total, metrics })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    #[test]
    fn a_row_counts_as_much_as_it_weighs() {
        let row = |numbers: &[f32]| Tensor::from_slice(numbers);
        let log_probs = row(&[-1.0, -2.0, -6.0]).set_requires_grad(true);
        let said = Evaluated { log_probs, entropies: row(&[0.5, 1.0, 1.5]), values: row(&[0.0; 3]), beyond: None };
        let mut columns = Columns::new(3);
        columns.insert("weight", row(&[1.0, 0.5, 0.0]));
        let loss = loss(&said, &columns).unwrap();
        assert!((loss.total.double_value(&[]) - 2.0 / 1.5).abs() < 1e-6);
        loss.total.backward();
        let slopes = Vec::<f32>::try_from(said.log_probs.grad()).unwrap();
        assert!((slopes[0] + 1.0 / 1.5).abs() < 1e-6 && (slopes[1] + 0.5 / 1.5).abs() < 1e-6 && slopes[2] == 0.0);
    }
}

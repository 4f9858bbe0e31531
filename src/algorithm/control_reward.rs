//! Reward models of control from preferred segments of trajectories (Christiano et al. 2017, arXiv 1706.03741).
//!
//!   x    = Σₜ r̂(oₜᶜ, aₜᶜ) − Σₜ r̂(oₜʳ, aₜʳ)
//!   P    = (1 − ε) σ(x) + ε/2
//!   L(θ) = Σₖ Σ w [ −p log P − (1 − p) log(1 − P) ] / Σ w
//!
//! The inner sums are over pairs, the first over the K members of the ensemble, each of which weighs the pairs by a
//! bootstrap of its own. The reward of a step is the mean of the members.

use super::{Columns, Loss, Regime};
use crate::error::Result;
use crate::math;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Pairs of one optimiser step.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub batch_size: u32,
    /// Passes over each pushed pair; 0 = without end. Default: what Pendulum-v1 needs (examples/preferences).
    #[schemars(range(min = 0, max = 1_000_000))]
    pub epochs: u32,
    /// Whether each pass visits the pairs in a seeded random order.
    pub shuffle: bool,
    /// ε, the share of labels that a judge gives by chance. Raising it makes the model less sure. Default: Christiano 2017.
    #[schemars(extend("minimum" = 0.0, "exclusiveMaximum" = 1.0))]
    pub label_noise: f64,
    /// Whether each member of an ensemble of several learns from a bootstrap of its own: each pair counts 0, 1, 2 …
    /// times, by Poisson(1) (Oza & Russell 2001); else all members see every pair once. Default: Christiano 2017.
    pub bootstrap: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config { batch_size: 32, epochs: 30, shuffle: true, label_noise: 0.1, bootstrap: true }
    }
}

pub struct ControlReward {
    config: Config,
}

impl ControlReward {
    pub fn new(config: Config) -> Self {
        ControlReward { config }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn regime(&self) -> Regime {
        Regime::Offline {
            batch_size: self.config.batch_size as usize,
            epochs: self.config.epochs.into(),
            shuffle: self.config.shuffle,
        }
    }

    /// The loss of B pairs. `returns` Σₜ r̂ [2B, K], the chosen segments first, carries gradient; of `columns`
    /// `probability` [B], `weight` [B] and `counts` [B, K], how often each member sees the pair, are read.
    pub fn loss(&self, returns: &Tensor, columns: &Columns) -> Result<Loss> {
        let rows = columns.rows();
        let difference = returns.narrow(0, 0, rows) - returns.narrow(0, rows, rows); // [B, K]
        let (probability, weight) = (columns.get("probability")?, columns.get("weight")?); // [B]
        let weights = weight.unsqueeze(1) * columns.get("counts")?; // [B, K]
        let losses = math::noisy_preference_loss(&difference, &probability.unsqueeze(1), self.config.label_noise);
        let members: Vec<Tensor> = (0..losses.size()[1])
            .map(|member| math::average(&losses.select(1, member), &weights.select(1, member)))
            .collect();
        let members = Tensor::stack(&members, 0); // [K]
        let total = members.sum(members.kind());
        let mean = difference.detach().mean_dim([1i64].as_slice(), false, Kind::Float); // [B]
        let right = mean.gt(0.0).eq_tensor(&probability.gt(0.5)).logical_and(&mean.ne(0.0));
        let told = weight * probability.ne(0.5); // [B]
        let believed = difference.detach().sigmoid(); // [B, K]
        let disagreement = believed.var_dim([1i64].as_slice(), false, false).sqrt(); // [B]
        let metrics = vec![
            ("loss/total", total.detach()),
            ("loss/preference", members.detach().mean(None)),
            ("preference/accuracy", math::observed_mean(&right.to_kind(Kind::Float), &told)),
            ("preference/margin", math::observed_mean(&mean, weight)),
            ("reward_model/disagreement", disagreement.mean(None)),
        ];
        Ok(Loss { total, metrics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(probability: &[f32], counts: &Tensor) -> Columns {
        let mut columns = Columns::new(probability.len() as i64);
        columns.insert("probability", Tensor::from_slice(probability));
        columns.insert("weight", Tensor::ones([probability.len() as i64], (Kind::Float, tch::Device::Cpu)));
        columns.insert("counts", counts.shallow_clone());
        columns
    }

    fn named(loss: &Loss, name: &str) -> f64 {
        loss.metrics.iter().find(|(found, _)| *found == name).unwrap().1.double_value(&[])
    }

    fn noiseless() -> ControlReward {
        ControlReward::new(Config { label_noise: 0.0, ..Config::default() })
    }

    #[test]
    fn members_learn_from_their_own_pairs_and_disagree() {
        let returns =
            Tensor::from_slice(&[2f32, 0.0, 1.0, -1.0, 0.5, 3.0, 1.0, 1.0]).view([4, 2]).set_requires_grad(true);
        let counts = Tensor::from_slice(&[1f32, 0.0, 1.0, 2.0]).view([2, 2]);
        let loss = noiseless().loss(&returns, &columns(&[1.0, 0.0], &counts)).unwrap();
        // x = [[1.5, -3], [0, -2]]: member 0 has both pairs, member 1 the second alone
        let one = |x: f64| (1.0 + (-x).exp()).ln();
        let expected = [(one(1.5) + 2f64.ln()) / 2.0, one(2.0)];
        assert!((loss.total.double_value(&[]) - expected[0] - expected[1]).abs() < 1e-6);
        assert!((named(&loss, "loss/preference") - (expected[0] + expected[1]) / 2.0).abs() < 1e-6);
        loss.total.backward();
        assert_eq!(returns.grad().double_value(&[0, 1]), 0.0, "no gradient from a pair that the member does not see");
        assert!((returns.grad().double_value(&[1, 1]) - (1.0 - 1.0 / (1.0 + (-2f64).exp()))).abs() < 1e-6);
        // means −0.75 and −1: the first is ranked wrongly, the second rightly
        assert_eq!(named(&loss, "preference/accuracy"), 0.5);
        let sigma = |x: f64| 1.0 / (1.0 + (-x).exp());
        let spread = (sigma(1.5) - sigma(-3.0)) / 2.0 + (0.5 - sigma(-2.0)) / 2.0;
        assert!((named(&loss, "reward_model/disagreement") - spread / 2.0).abs() < 1e-6);
    }

    #[test]
    fn swapping_the_segments_of_a_pair_swaps_its_probability() {
        let (a, b) =
            (Tensor::from_slice(&[0.3f32, -1.2]).view([1, 2]), Tensor::from_slice(&[1.1f32, 0.4]).view([1, 2]));
        let counts = Tensor::ones([1, 2], (Kind::Float, tch::Device::Cpu));
        let algorithm = ControlReward::new(Config::default());
        let loss = |first: &Tensor, second: &Tensor, probability: f32| {
            let returns = Tensor::cat(&[first, second], 0);
            algorithm.loss(&returns, &columns(&[probability], &counts)).unwrap().total.double_value(&[])
        };
        assert!((loss(&a, &b, 0.8) - loss(&b, &a, 0.2)).abs() < 1e-6);
        assert!((loss(&a, &b, 0.8) - loss(&a, &b, 0.2)).abs() > 0.1);
        assert!((loss(&a, &a, 1.0) - 2.0 * 2f64.ln()).abs() < 1e-6, "equal segments");
    }
}

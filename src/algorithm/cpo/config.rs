//! The settings of the family without a reference: symbol, range, effect, and the source of each default.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Pairs of one optimiser step.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub batch_size: u32,
    /// Passes over the pushed pairs; 0 = without end.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub epochs: u32,
    /// Whether each pass visits the rows in a seeded random order.
    pub shuffle: bool,
    /// Whether text responses get the model's end token appended.
    pub append_eos: bool,
    /// What a pair's rewards become. Default: the paper's sigmoid.
    pub loss: ContrastLoss,
    /// β, temperature of the preference loss; of orpo, its weight. Raising it moves the policy further for each pair.
    /// Default: 0.1 as CPO and ORPO; SimPO's authors take 2 to 10.
    #[schemars(range(min = 0.0001, max = 1000.0))]
    pub beta: f64,
    /// Whether a response's log-probability is the sum over its tokens or their mean; null: the sum for sigmoid and hinge,
    /// the mean for the others.
    pub likelihood: Option<Likelihood>,
    /// γ of simpo, by how much β times the chosen log-probability shall lead. Its authors: 0.3 to 0.5 of β.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub target_margin: f64,
    /// α of AlphaPO: the reward of a response of probability p is (1 − p^(−α)) / α; 0 is log p. Raising it cares more for
    /// unlikely responses. Default: 0, off.
    #[schemars(range(min = -10.0, max = 10.0))]
    pub reward_alpha: f64,
    /// ε, the chance that a pair is the wrong way round, for sigmoid and simpo. Raising it trusts the pairs less.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub label_smoothing: f64,
    /// Weight of the chosen response's negative log-likelihood, which stands in for the reference; null: 0 for simpo, 1
    /// for the others, as their papers have it.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub nll_coef: Option<f64>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            batch_size: 32,
            epochs: 1,
            shuffle: true,
            append_eos: true,
            loss: ContrastLoss::Sigmoid,
            beta: 0.1,
            likelihood: None,
            target_margin: 0.5,
            reward_alpha: 0.0,
            label_smoothing: 0.0,
            nll_coef: None,
        }
    }
}

impl Config {
    pub fn check(&self) -> Result<()> {
        let smoothed = matches!(self.loss, ContrastLoss::Sigmoid | ContrastLoss::Simpo);
        if self.label_smoothing != 0.0 && !smoothed {
            let message = format!(
                "/algorithm/label_smoothing: expected 0 for a loss without it, got {}; sigmoid and simpo have it",
                self.label_smoothing
            );
            return Err(Error::config(message));
        }
        if self.reward_alpha != 0.0 && self.loss == ContrastLoss::Orpo {
            let message =
                format!("/algorithm/reward_alpha: expected 0 for orpo, which compares odds, got {}", self.reward_alpha);
            return Err(Error::config(message));
        }
        Ok(())
    }

    /// The likelihood of a response as the loss takes it.
    pub fn likelihood(&self) -> Likelihood {
        self.likelihood.unwrap_or(match self.loss {
            ContrastLoss::Sigmoid | ContrastLoss::Hinge => Likelihood::SequenceSum,
            ContrastLoss::Ipo | ContrastLoss::Simpo | ContrastLoss::Orpo => Likelihood::SequenceMean,
        })
    }

    pub fn nll_coef(&self) -> f64 {
        self.nll_coef.unwrap_or(if self.loss == ContrastLoss::Simpo { 0.0 } else { 1.0 })
    }
}

/// r is a response's log-probability, or what `reward_alpha` makes of it; Δ = r_c − r_r.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContrastLoss {
    /// −log σ(βΔ) (Xu 2024, CPO).
    Sigmoid,
    /// max(0, 1 − βΔ) (Zhao 2023, SLiC).
    Hinge,
    /// (Δ − 1/2β)² (Azar 2023), against an even reference.
    Ipo,
    /// −log σ(βΔ − γ) (Meng 2024).
    Simpo,
    /// −β log σ of the difference of the log-odds (Hong 2024).
    Orpo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Likelihood {
    SequenceSum,
    SequenceMean,
}

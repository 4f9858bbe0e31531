//! The settings of the preference family: symbol, range, effect, and the source of each default.

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
    pub loss: PairLoss,
    /// β, temperature of the preference loss. Raising it keeps the policy nearer to the reference. Default: the paper's.
    #[schemars(range(min = 0.0001, max = 1000.0))]
    pub beta: f64,
    /// Whether a response's log-ratio is the sum over its tokens or their mean. IPO's authors: sequence_mean.
    pub ratio: PairRatio,
    /// ε, the chance that a pair is the wrong way round: for sigmoid (cDPO), robust (below ½), exo_pair (above 0; 0.001
    /// in its paper), aot and aot_unpaired. Raising it trusts the pairs less.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub label_smoothing: f64,
    /// τ, the temperature of discopop's mixture. Default: the paper's.
    #[schemars(range(min = 0.0001, max = 1000.0))]
    pub discopop_temperature: f64,
    /// λ of the penalty on a chosen response that became less likely than in the reference, inside the margin (Pal 2024,
    /// DPOP; 50 there). Default: none.
    #[schemars(range(min = 0.0, max = 100_000.0))]
    pub positive_coef: f64,
    /// α, weight of the chosen response's negative log-likelihood. Raising it keeps the samples fluent. Default: the
    /// paper's (none).
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub nll_coef: f64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            batch_size: 32,
            epochs: 1,
            shuffle: true,
            append_eos: true,
            loss: PairLoss::Sigmoid,
            beta: 0.1,
            ratio: PairRatio::SequenceSum,
            label_smoothing: 0.0,
            discopop_temperature: 0.05,
            positive_coef: 0.0,
            nll_coef: 0.0,
        }
    }
}

impl Config {
    pub fn check(&self) -> Result<()> {
        let (smoothing, loss) = (self.label_smoothing, self.loss);
        let (right, wanted) = match loss {
            PairLoss::Sigmoid | PairLoss::Aot | PairLoss::AotUnpaired => (true, ""),
            PairLoss::Robust => (smoothing < 0.5, "less than 0.5 for the loss robust"),
            PairLoss::ExoPair => {
                (smoothing > 0.0 && smoothing < 1.0, "more than 0 and less than 1 for the loss exo_pair")
            }
            _ => (smoothing == 0.0, "0 for a loss without it"),
        };
        match right {
            true => Ok(()),
            false => Err(Error::config(format!("/algorithm/label_smoothing: expected {wanted}, got {smoothing}"))),
        }
    }
}

/// r is a response's log-ratio to the reference, Δ = r_c − r_r.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairLoss {
    /// −log σ(βΔ) (Rafailov 2023); with label smoothing, conservative (Mitchell 2023).
    Sigmoid,
    /// Unbiased under label noise of a known rate (Chowdhury 2024).
    Robust,
    /// max(0, 1 − βΔ) (Zhao 2023).
    Hinge,
    /// (Δ − 1/2β)² (Azar 2023).
    Ipo,
    /// Reverse KL to the smoothed label (Ji 2024).
    ExoPair,
    /// Absolute rewards of both responses, contrastive (Chen 2024).
    NcaPair,
    /// Each response classified by itself (Jung 2024).
    BcoPair,
    /// Squared distance of both rewards to ±1/2β (Wu 2024).
    SppoHard,
    /// Raises the chosen, lowers the rejected likelihood (D'Oosterlinck 2024).
    ApoZero,
    /// Lowers both likelihoods (D'Oosterlinck 2024).
    ApoDown,
    /// Logistic and exponential mixed (Lu 2024).
    Discopop,
    /// Sorted margins against the reference's (Melnyk 2024).
    Aot,
    /// Sorted rewards of chosen against rejected responses (Melnyk 2024).
    AotUnpaired,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairRatio {
    SequenceSum,
    SequenceMean,
}

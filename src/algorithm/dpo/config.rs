//! The settings of the preference family: symbol, range, effect, and the source of each default.

use crate::algorithm::{ReferenceLogProbs, ReferenceUpdate};
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
    /// Several losses, added by weight, in place of `loss`; with `nll_coef`, MPO (Wang 2024: sigmoid 0.8, bco_pair 0.2,
    /// likelihood 1). Empty: `loss` alone.
    #[schemars(length(max = 16))]
    pub terms: Vec<Term>,
    /// β, temperature of the preference loss. Raising it keeps the policy nearer to the reference. Default: the paper's.
    #[schemars(range(min = 0.0001, max = 1000.0))]
    pub beta: f64,
    /// Whether a response's log-ratio is the sum over its tokens or their mean. IPO's authors: sequence_mean.
    pub ratio: PairRatio,
    /// α, what a token counts that the longer response of a pair has beyond the shorter one. Lowering it takes the reward
    /// for length away (Liu 2024, LD-DPO). Default: 1, off.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub length_desensitization: f64,
    /// The divergence from the reference that the rewards are regularised by (Wang 2023, f-DPO). Default: the paper's.
    pub divergence: Divergence,
    /// α of the divergence `alpha`; 1 is reverse_kl, 0 forward_kl.
    #[schemars(range(min = -10.0, max = 10.0))]
    pub divergence_alpha: f64,
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
    /// What a pair weighs in the mean.
    pub pair_weights: PairWeights,
    /// Whether the reference is asked at every pass over a row or once.
    pub reference_log_probs: ReferenceLogProbs,
    /// How the reference follows the policy (Gorbatovski 2024, TR-DPO); null: it stays where it is.
    pub reference_update: Option<ReferenceUpdate>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            batch_size: 32,
            epochs: 1,
            shuffle: true,
            append_eos: true,
            loss: PairLoss::Sigmoid,
            terms: Vec::new(),
            beta: 0.1,
            ratio: PairRatio::SequenceSum,
            length_desensitization: 1.0,
            divergence: Divergence::ReverseKl,
            divergence_alpha: 0.5,
            label_smoothing: 0.0,
            discopop_temperature: 0.05,
            positive_coef: 0.0,
            nll_coef: 0.0,
            pair_weights: PairWeights::Equal,
            reference_log_probs: ReferenceLogProbs::Compute,
            reference_update: None,
        }
    }
}

impl Config {
    /// The losses and their weights.
    pub fn terms(&self) -> Vec<Term> {
        match self.terms.is_empty() {
            true => vec![Term { loss: self.loss, weight: 1.0 }],
            false => self.terms.clone(),
        }
    }

    /// Whether pairs may be trusted or weighed one by one: sorted losses have no pairs.
    pub fn pairwise(&self) -> bool {
        self.terms().iter().all(|term| !matches!(term.loss, PairLoss::Aot | PairLoss::AotUnpaired))
    }

    pub fn check(&self) -> Result<()> {
        if self.pair_weights == PairWeights::Policy && !self.pairwise() {
            let message = "/algorithm/pair_weights: expected equal for aot and aot_unpaired, which sort, got policy";
            return Err(Error::config(message));
        }
        let (smoothing, terms) = (self.label_smoothing, self.terms());
        if self.positive_coef > 0.0 && !terms.iter().all(|term| term.loss.has_margin()) {
            let message =
                "/algorithm/positive_coef: expected 0 for losses without a margin (nca_pair, bco_pair, sppo_hard, \
                           apo_zero, apo_down, aot, aot_unpaired)";
            return Err(Error::config(message));
        }
        if self.divergence != Divergence::ReverseKl && terms.iter().any(|term| term.loss == PairLoss::Aot) {
            return Err(Error::config(
                "/algorithm/divergence: expected reverse_kl for aot, which sorts log-probabilities",
            ));
        }
        let wanted = match terms.iter().any(|term| term.loss.smoothed()) {
            true => terms.iter().find_map(|term| term.loss.refuses(smoothing)),
            false => (smoothing != 0.0).then_some("0 for a loss without it"),
        };
        match wanted {
            None => Ok(()),
            Some(wanted) => {
                Err(Error::config(format!("/algorithm/label_smoothing: expected {wanted}, got {smoothing}")))
            }
        }
    }
}

/// One of several losses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Term {
    /// What a pair's rewards become.
    pub loss: PairLoss,
    /// What it is multiplied by.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub weight: f64,
}

impl Default for Term {
    fn default() -> Self {
        Term { loss: PairLoss::Sigmoid, weight: 1.0 }
    }
}

/// r is a response's reward: its log-ratio to the reference, unless the divergence is another. Δ = r_c − r_r.
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

impl PairLoss {
    /// Whether it is of Δ, rather than of each response's reward.
    fn has_margin(self) -> bool {
        use PairLoss::{Discopop, ExoPair, Hinge, Ipo, Robust, Sigmoid};
        matches!(self, Sigmoid | Robust | Hinge | Ipo | ExoPair | Discopop)
    }

    /// Whether it has an ε.
    fn smoothed(self) -> bool {
        use PairLoss::{Aot, AotUnpaired, ExoPair, Robust, Sigmoid};
        matches!(self, Sigmoid | Robust | ExoPair | Aot | AotUnpaired)
    }

    /// What ε ought to be where it cannot be this one.
    fn refuses(self, smoothing: f64) -> Option<&'static str> {
        match self {
            PairLoss::Robust if smoothing >= 0.5 => Some("less than 0.5 for the loss robust"),
            PairLoss::ExoPair if smoothing <= 0.0 || smoothing >= 1.0 => {
                Some("more than 0 and less than 1 for the loss exo_pair")
            }
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairRatio {
    SequenceSum,
    SequenceMean,
}

/// What a log-ratio is worth, 0 at the reference in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Divergence {
    /// The log-ratio itself.
    ReverseKl,
    /// 1 − the inverse ratio: a response that became unlikely loses much, one that became likely gains at most 1.
    ForwardKl,
    /// log σ of the log-ratio + log 2: a gain of at most log 2.
    JensenShannon,
    /// (ratio^(α−1) − 1) / (α − 1).
    Alpha,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairWeights {
    /// Each the same.
    Equal,
    /// How likely both responses are beside what the policy would say itself (Zhou 2024, WPO): pairs of its own kind count
    /// most. A second pass through the head.
    Policy,
}

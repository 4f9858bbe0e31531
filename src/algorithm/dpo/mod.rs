//! Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290, equation 7) and its family, with a
//! likelihood anchor.
//!
//!   rᵢ   = log πθ(yᵢ) − log πref(yᵢ)                          sums over counted response tokens, or their means
//!   Δᵢ   = rᶜᵢ − rʳᵢ − λ max(0, −rᶜᵢ)
//!   L(θ) = meanᵢ − log σ(β Δᵢ)  +  α · NLL(yᶜ)
//!
//! Other losses of rᶜ and rʳ take the place of − log σ. The first mean is over pairs, the NLL over the counted tokens of
//! all chosen responses (Pang et al. 2024, RPO). Without the anchor, or λ (Pal et al. 2024, DPOP), the chosen likelihood
//! may fall while the accuracy rises (likelihood displacement).

mod config;

pub use config::Config;

use super::{Algorithm, Columns, Loss, Needs, Regime};
use crate::data::Kind;
use crate::error::Result;
use crate::math::{self, masked_mean, preference_accuracy, preference_log_ratio};
use crate::model::Scores;
use config::{PairLoss, PairRatio};
use tch::{Kind as Dtype, Tensor};

/// Log-probabilities of the responses of B pairs, summed or averaged over their tokens; [B] each.
struct Pairs {
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
}

impl Pairs {
    /// r_c, what the policy gained on the reference.
    fn chosen_ratio(&self) -> Tensor {
        &self.chosen - &self.reference_chosen
    }

    fn rejected_ratio(&self) -> Tensor {
        &self.rejected - &self.reference_rejected
    }
}

pub struct Dpo {
    config: Config,
}

impl Dpo {
    pub fn new(config: Config) -> Self {
        Dpo { config }
    }

    fn pairs(&self, scores: &Scores, columns: &Columns) -> Result<Pairs> {
        let over_row = match self.config.ratio {
            PairRatio::SequenceSum => math::row_sum,
            PairRatio::SequenceMean => math::row_mean,
        };
        let policy = over_row(&scores.log_probs, &scores.mask); // [2B]
        let reference = over_row(columns.get("reference_log_probs")?, &scores.mask); // [2B]
        let half = |whole: &Tensor, which: i64| whole.narrow(0, which * columns.rows(), columns.rows()); // [B]
        Ok(Pairs {
            chosen: half(&policy, 0),
            rejected: half(&policy, 1),
            reference_chosen: half(&reference, 0),
            reference_rejected: half(&reference, 1),
        })
    }

    /// Δ, less λ times what the chosen response lost on the reference; [B].
    fn margin(&self, pairs: &Pairs) -> Tensor {
        let Pairs { chosen, rejected, reference_chosen, reference_rejected } = pairs;
        let margin = preference_log_ratio(chosen, rejected, reference_chosen, reference_rejected);
        match self.config.positive_coef {
            coef if coef > 0.0 => margin - (-pairs.chosen_ratio()).relu() * coef,
            _ => margin,
        }
    }

    /// The loss of each pair, [B].
    fn pair_losses(&self, pairs: &Pairs) -> Tensor {
        let Config { beta, label_smoothing: smoothing, discopop_temperature, .. } = self.config;
        let (chosen, rejected, margin) = (pairs.chosen_ratio(), pairs.rejected_ratio(), self.margin(pairs));
        match self.config.loss {
            PairLoss::Sigmoid if smoothing == 0.0 => math::dpo_loss(&margin, beta),
            PairLoss::Sigmoid => math::conservative_dpo_loss(&margin, beta, &margin.full_like(smoothing)),
            PairLoss::Robust => math::robust_dpo_loss(&margin, beta, smoothing),
            PairLoss::Hinge => math::hinge_preference_loss(&margin, beta),
            PairLoss::Ipo => math::ipo_loss(&margin, beta),
            PairLoss::ExoPair => math::exo_pair_loss(&margin, beta, smoothing),
            PairLoss::NcaPair => math::nca_pair_loss(&chosen, &rejected, beta),
            PairLoss::BcoPair => math::bco_pair_loss(&chosen, &rejected, beta),
            PairLoss::SppoHard => math::sppo_hard_loss(&chosen, &rejected, beta),
            PairLoss::ApoZero => math::apo_zero_loss(&chosen, &rejected, beta),
            PairLoss::ApoDown => math::apo_down_loss(&chosen, &rejected, beta),
            PairLoss::Discopop => math::discopop_loss(&margin, beta, discopop_temperature),
            PairLoss::Aot => {
                let reference = &pairs.reference_chosen - &pairs.reference_rejected;
                math::aot_loss(&(&pairs.chosen - &pairs.rejected), &reference, beta, smoothing)
            }
            PairLoss::AotUnpaired => math::aot_loss(&chosen, &rejected, beta, smoothing),
        }
    }
}

impl Algorithm for Dpo {
    fn kind(&self) -> Kind {
        Kind::Preferences
    }

    fn regime(&self) -> Regime {
        Regime::Offline {
            batch_size: self.config.batch_size as usize,
            epochs: self.config.epochs.into(),
            shuffle: self.config.shuffle,
        }
    }

    fn needs(&self) -> Needs {
        Needs { reference: true, ..Needs::default() }
    }

    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let pairs = self.pairs(scores, columns)?;
        let preference = self.pair_losses(&pairs).mean(None);
        let count = columns.rows();
        let chosen_mask = scores.mask.narrow(0, 0, count); // [B, T]
        let nll = math::negative_log_likelihood(&scores.log_probs.narrow(0, 0, count), &chosen_mask);
        let total = &preference + &nll * self.config.nll_coef;
        let reward_chosen = pairs.chosen_ratio().detach() * self.config.beta; // [B]
        let reward_rejected = pairs.rejected_ratio().detach() * self.config.beta; // [B]
        let metrics = vec![
            ("loss/total", total.detach()),
            ("loss/preference", preference.detach()),
            ("loss/nll", nll.detach()),
            ("preference/accuracy", preference_accuracy(&(&reward_chosen - &reward_rejected))),
            ("preference/margin", (&reward_chosen - &reward_rejected).mean(None)),
            ("reward/chosen", reward_chosen.mean(None)),
            ("reward/rejected", reward_rejected.mean(None)),
            ("log_probs/chosen", pairs.chosen.detach().mean(None)),
            ("log_probs/rejected", pairs.rejected.detach().mean(None)),
            ("entropy/token", masked_mean(&scores.entropies.detach(), &scores.mask)),
            ("tokens/trained", scores.mask.sum(Dtype::Float)),
        ];
        Ok(Loss { total, metrics })
    }
}

#[cfg(test)]
mod tests;

//! Contrastive preference optimisation (Xu et al. 2024, arXiv 2401.08417, equation 5) and its family: pairs without a
//! reference, held near the data by the likelihood of the chosen response (SLiC 2305.10425, ORPO 2403.07691) or by the
//! length of a response alone (SimPO 2405.14734, AlphaPO 2501.03884).
//!
//!   rᵢ   = log πθ(yᵢ)                                          sums over counted response tokens, or their means
//!   Δᵢ   = rᶜᵢ − rʳᵢ
//!   L(θ) = meanᵢ − log σ(β Δᵢ)  +  c · NLL(yᶜ)
//!
//! Other losses of rᶜ and rʳ take the place of − log σ. The first mean is over pairs, the NLL over the counted tokens of
//! all chosen responses; no prompt token is in either.

mod config;

pub use config::Config;

use super::{Algorithm, Columns, Loss, Needs, Regime};
use crate::data::Kind;
use crate::error::Result;
use crate::math::{self, masked_mean, preference_accuracy};
use crate::model::Scores;
use config::{ContrastLoss, Likelihood};
use tch::{Kind as Dtype, Tensor};

pub struct Cpo {
    config: Config,
}

impl Cpo {
    pub fn new(config: Config) -> Self {
        Cpo { config }
    }

    /// The loss of each pair from the log-probabilities of its responses, summed or averaged; [B] each.
    fn pair_losses(&self, chosen: &Tensor, rejected: &Tensor) -> Tensor {
        let Config { beta, target_margin, label_smoothing: smoothing, .. } = self.config;
        let margin = self.rewards(chosen) - self.rewards(rejected); // [B]
        match self.config.loss {
            ContrastLoss::Sigmoid => math::conservative_dpo_loss(&margin, beta, &margin.full_like(smoothing)),
            ContrastLoss::Hinge => math::hinge_preference_loss(&margin, beta),
            ContrastLoss::Ipo => math::ipo_loss(&margin, beta),
            ContrastLoss::Simpo => math::simpo_loss(&margin, beta, target_margin, smoothing),
            ContrastLoss::Orpo => math::odds_ratio_loss(chosen, rejected, beta),
        }
    }

    fn rewards(&self, log_probs: &Tensor) -> Tensor {
        math::power_reward(log_probs, -self.config.reward_alpha)
    }
}

impl Algorithm for Cpo {
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
        Needs::default()
    }

    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let rows = columns.rows();
        let log_probs = match self.config.likelihood() {
            Likelihood::SequenceSum => math::row_sum(&scores.log_probs, &scores.mask),
            Likelihood::SequenceMean => math::row_mean(&scores.log_probs, &scores.mask),
        }; // [2B]
        let (chosen, rejected) = (log_probs.narrow(0, 0, rows), log_probs.narrow(0, rows, rows)); // [B]
        let preference = self.pair_losses(&chosen, &rejected).mean(None);
        let chosen_mask = scores.mask.narrow(0, 0, rows); // [B, T]
        let nll = math::negative_log_likelihood(&scores.log_probs.narrow(0, 0, rows), &chosen_mask);
        let total = &preference + &nll * self.config.nll_coef();
        let (chosen, rejected) = (chosen.detach(), rejected.detach());
        let reward_chosen = self.rewards(&chosen) * self.config.beta; // [B]
        let reward_rejected = self.rewards(&rejected) * self.config.beta; // [B]
        let metrics = vec![
            ("loss/total", total.detach()),
            ("loss/preference", preference.detach()),
            ("loss/nll", nll.detach()),
            ("preference/accuracy", preference_accuracy(&(&reward_chosen - &reward_rejected))),
            ("preference/margin", (&reward_chosen - &reward_rejected).mean(None)),
            ("reward/chosen", reward_chosen.mean(None)),
            ("reward/rejected", reward_rejected.mean(None)),
            ("log_probs/chosen", chosen.mean(None)),
            ("log_probs/rejected", rejected.mean(None)),
            ("entropy/token", masked_mean(&scores.entropies.detach(), &scores.mask)),
            ("tokens/trained", scores.mask.sum(Dtype::Float)),
        ];
        Ok(Loss { total, metrics })
    }

    fn configure(&mut self, config: &super::Config) {
        if let super::Config::Cpo(config) = config {
            self.config = config.clone();
        }
    }
}

#[cfg(test)]
mod tests;

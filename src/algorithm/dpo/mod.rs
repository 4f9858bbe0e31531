//! Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290, equation 7) and its family, with a
//! likelihood anchor.
//!
//!   rᵢ   = f(log πθ(yᵢ) − log πref(yᵢ))                       sums over counted response tokens, or their means
//!   Δᵢ   = rᶜᵢ − rʳᵢ − λ max(0, log πref(yᶜᵢ) − log πθ(yᶜᵢ))
//!   L(θ) = meanᵢ pᵢ ℓ(rᶜᵢ, rʳᵢ) + (1 − pᵢ) ℓ(rʳᵢ, rᶜᵢ)  +  α · NLL(yᶜ)        of the paper: ℓ = − log σ(β Δᵢ), p = 1
//!
//! ℓ may be a weighted sum of several losses. p is the pair's `probability`, how surely the chosen response is the better
//! one; `pair_weights` may weigh the pairs by the policy (Zhou et al. 2024, WPO). f is the identity for the reverse KL
//! divergence, or what `divergence` says. The first mean is over pairs, the NLL over the counted tokens of all chosen
//! responses (Pang et al. 2024, RPO). Without the anchor, or λ (Pal et al. 2024, DPOP), the chosen likelihood may fall while
//! the accuracy rises (likelihood displacement).

mod config;

pub use config::Config;

use super::{Algorithm, Columns, Loss, Needs, ReferenceLogProbs, ReferenceUpdate, Regime};
use crate::data::Kind;
use crate::error::{Error, Result, Status};
use crate::math::{self, masked_mean, preference_accuracy};
use crate::model::Scores;
use config::{Divergence, PairLoss, PairRatio, PairWeights, Term};
use tch::{Kind as Dtype, Tensor};

/// One response of each of B pairs; [B] each.
struct Response {
    /// log πθ and log πref, summed or averaged over its tokens
    policy: Tensor,
    reference: Tensor,
    /// r
    reward: Tensor,
}

pub struct Dpo {
    config: Config,
}

impl Dpo {
    pub fn new(config: Config) -> Self {
        Dpo { config }
    }

    /// The chosen and the rejected response of every pair.
    fn responses(&self, scores: &Scores, columns: &Columns) -> Result<[Response; 2]> {
        let over_row = |log_probs: &Tensor| {
            let counted = math::length_desensitized(log_probs, &scores.mask, self.config.length_desensitization); // [2B, T]
            match self.config.ratio {
                PairRatio::SequenceSum => math::row_sum(&counted, &scores.mask),
                PairRatio::SequenceMean => math::row_mean(&counted, &scores.mask),
            }
        };
        let policy = over_row(&scores.log_probs); // [2B]
        let reference = over_row(columns.get("reference_log_probs")?); // [2B]
        let reward = self.rewards(&math::response_log_ratio(&policy, &reference)); // [2B]
        let half = |whole: &Tensor, which: i64| whole.narrow(0, which * columns.rows(), columns.rows()); // [B]
        let response = |which| Response {
            policy: half(&policy, which),
            reference: half(&reference, which),
            reward: half(&reward, which),
        };
        Ok([response(0), response(1)])
    }

    /// f of the log-ratios.
    fn rewards(&self, log_ratio: &Tensor) -> Tensor {
        match self.config.divergence {
            Divergence::ReverseKl => log_ratio.shallow_clone(),
            Divergence::ForwardKl => math::power_reward(log_ratio, -1.0),
            Divergence::JensenShannon => math::jensen_shannon_reward(log_ratio),
            Divergence::Alpha => math::power_reward(log_ratio, self.config.divergence_alpha - 1.0),
        }
    }

    /// Δ; [B].
    fn margin(&self, chosen: &Response, rejected: &Response) -> Tensor {
        let margin = &chosen.reward - &rejected.reward;
        match self.config.positive_coef {
            coef if coef > 0.0 => margin - (&chosen.reference - &chosen.policy).relu() * coef,
            _ => margin,
        }
    }

    /// One loss of each pair, [B].
    fn pair_losses(&self, loss: PairLoss, chosen: &Response, rejected: &Response) -> Tensor {
        let Config { beta, label_smoothing: smoothing, discopop_temperature, .. } = self.config;
        let margin = self.margin(chosen, rejected);
        let (good, bad) = (&chosen.reward, &rejected.reward);
        match loss {
            PairLoss::Sigmoid if smoothing == 0.0 => math::dpo_loss(&margin, beta),
            PairLoss::Sigmoid => math::conservative_dpo_loss(&margin, beta, &margin.full_like(smoothing)),
            PairLoss::Robust => math::robust_dpo_loss(&margin, beta, smoothing),
            PairLoss::Hinge => math::hinge_preference_loss(&margin, beta),
            PairLoss::Ipo => math::ipo_loss(&margin, beta),
            PairLoss::ExoPair => math::exo_pair_loss(&margin, beta, smoothing),
            PairLoss::NcaPair => math::nca_pair_loss(good, bad, beta),
            PairLoss::BcoPair => math::bco_pair_loss(good, bad, beta),
            PairLoss::SppoHard => math::sppo_hard_loss(good, bad, beta),
            PairLoss::ApoZero => math::apo_zero_loss(good, bad, beta),
            PairLoss::ApoDown => math::apo_down_loss(good, bad, beta),
            PairLoss::Discopop => math::discopop_loss(&margin, beta, discopop_temperature),
            PairLoss::Aot => {
                let reference = &chosen.reference - &rejected.reference;
                math::aot_loss(&(&chosen.policy - &rejected.policy), &reference, beta, smoothing)
            }
            PairLoss::AotUnpaired => math::aot_loss(good, bad, beta, smoothing),
        }
    }

    /// Both ways round, by their probabilities; [B].
    fn expected_losses(&self, chosen: &Response, rejected: &Response, columns: &Columns) -> Result<Tensor> {
        let right = self.weighted_losses(chosen, rejected);
        if !self.config.pairwise() {
            return Ok(right);
        }
        let probability = columns.get("probability")?; // [B]
        Ok(right * probability + self.weighted_losses(rejected, chosen) * (1.0 - probability))
    }

    /// The losses of pairs, each by its weight; [B].
    fn weighed(&self, losses: Tensor, scores: &Scores) -> Result<Tensor> {
        let sharpened = scores.sharpened.as_ref();
        match self.config.pair_weights {
            PairWeights::Equal => Ok(losses),
            PairWeights::Policy => {
                let sharpened = sharpened.ok_or_else(|| Error::new(Status::Internal, "dpo: nothing was sharpened"))?;
                let weights = math::policy_weight(&scores.log_probs, sharpened, &scores.mask); // [2B]
                Ok(losses * weights.view([2, -1]).prod_dim_int(0, false, None)) // [B]
            }
        }
    }

    /// The terms by their weights, [B].
    fn weighted_losses(&self, chosen: &Response, rejected: &Response) -> Tensor {
        let term = |term: Term| self.pair_losses(term.loss, chosen, rejected) * term.weight;
        self.config.terms().into_iter().map(term).fold(chosen.reward.zeros_like(), |sum, term| sum + term)
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
        let columns: &[_] = if self.config.pairwise() { &[("probability", 1.0)] } else { &[] };
        let reference_kept = self.config.reference_log_probs == ReferenceLogProbs::Cache;
        let sharpened = self.config.pair_weights == PairWeights::Policy;
        Needs { reference: true, reference_kept, sharpened, columns, ..Needs::default() }
    }

    fn reference_update(&self) -> Option<ReferenceUpdate> {
        self.config.reference_update
    }

    fn loss(&self, scores: &Scores, columns: &Columns) -> Result<Loss> {
        let [chosen, rejected] = self.responses(scores, columns)?;
        let losses = self.expected_losses(&chosen, &rejected, columns)?; // [B]
        let preference = self.weighed(losses, scores)?.mean(None);
        let count = columns.rows();
        let chosen_mask = scores.mask.narrow(0, 0, count); // [B, T]
        let nll = math::negative_log_likelihood(&scores.log_probs.narrow(0, 0, count), &chosen_mask);
        let total = &preference + &nll * self.config.nll_coef;
        let reward_chosen = chosen.reward.detach() * self.config.beta; // [B]
        let reward_rejected = rejected.reward.detach() * self.config.beta; // [B]
        let metrics = vec![
            ("loss/total", total.detach()),
            ("loss/preference", preference.detach()),
            ("loss/nll", nll.detach()),
            ("preference/accuracy", preference_accuracy(&(&reward_chosen - &reward_rejected))),
            ("preference/margin", (&reward_chosen - &reward_rejected).mean(None)),
            ("reward/chosen", reward_chosen.mean(None)),
            ("reward/rejected", reward_rejected.mean(None)),
            ("log_probs/chosen", chosen.policy.detach().mean(None)),
            ("log_probs/rejected", rejected.policy.detach().mean(None)),
            ("entropy/token", masked_mean(&scores.entropies.detach(), &scores.mask)),
            ("tokens/trained", scores.mask.sum(Dtype::Float)),
        ];
        Ok(Loss { total, metrics })
    }

    fn configure(&mut self, config: &super::Config) {
        if let super::Config::Dpo(config) = config {
            self.config = config.clone();
        }
    }
}

#[cfg(test)]
mod tests;

//! The likelihood loss of demonstrations.
//!
//! Owns negative log-likelihood. Refuses logits: it takes the log-probability of each response token, so that no
//! `[B, T, V]` tensor exists.

use tch::Tensor;

use super::masked::masked_mean;

/// Negative log-likelihood of the counted tokens.
///
/// ```text
/// L = −Σ_{b,t} m_{b,t} · log π(y_{b,t}) / max(Σ_{b,t} m_{b,t}, 1)
/// ```
///
/// * `log_probs`: log π(y), `[B, T]`, nats, ≤ 0; carries the gradient.
/// * `mask`: bool `[B, T]`, the final EOS counted, the prompt not.
///
/// Returns a scalar, nats per token, ≥ 0 (**mean over the counted tokens of this call**; for micro-batches divide
/// `masked::masked_sum` by the count of the whole optimiser batch instead).
///
/// Degenerate: all masked gives 0 with zero gradient; a counted non-finite value passes on.
///
/// Source: maximum likelihood; token-level cross-entropy.
pub fn negative_log_likelihood(log_probs: &Tensor, mask: &Tensor) -> Tensor {
    -masked_mean(log_probs, mask)
}

//! The language model's head without its logits: log-probabilities of given tokens and entropies, in bounded memory.

use super::foreign;
use crate::error::Result;
use tch::Tensor;

/// Log-probabilities of `targets` and entropies of the distributions they are drawn from, both `[N]` in nats.
///
/// `xₙᵥ = hiddenₙ · headᵥ / τ`, `log p(yₙ) = xₙ,yₙ − log Σᵥ exp xₙᵥ`, `Hₙ = −Σᵥ pₙᵥ log pₙᵥ`.
/// * `hidden` `[N, d]`, carries gradient or not. Any N; a row's bits do not depend on N.
/// * `head` `[V, d]`, of the same device; its gradient is computed only if it needs one.
/// * `targets` `[N]` int64, each in `[0, V)`.
/// * `temperature` τ > 0; the gradient is that of the tempered softmax.
/// * `tile_bytes`: no more logits than this exist at once (at least 16 columns of 4 rows), in either pass.
///
/// Results are float32 (float64 for float64 `hidden`), sums in double precision. A NaN hidden state makes its own row
/// NaN and no other.
/// Errors: shapes or types that do not fit, a target outside the vocabulary (CPU), memory.
pub fn token_log_probs(
    hidden: &Tensor,
    head: &Tensor,
    targets: &Tensor,
    temperature: f64,
    tile_bytes: usize,
) -> Result<(Tensor, Tensor)> {
    let mut entropies = std::ptr::null_mut();
    // SAFETY: the inputs are alive for the call; on success both out-pointers hold new tensors.
    let log_probs = foreign::tensor(|log_probs, failure| unsafe {
        foreign::shim_token_log_probs(
            hidden.as_ptr(),
            head.as_ptr(),
            targets.as_ptr(),
            temperature,
            tile_bytes,
            log_probs,
            &mut entropies,
            failure,
        )
    })?;
    // SAFETY: the call succeeded, so `entropies` is a new at::Tensor that nobody else owns.
    Ok((log_probs, unsafe { Tensor::from_ptr(entropies) }))
}

//! Soft values: rewards and the entropy of the policy together.
//!
//! Owns the target of a soft Q-function and the loss of the policy that follows it. Refuses to choose between critics and to
//! reduce: both are the algorithm's.

use tch::Tensor;

/// The target of the soft Bellman equation.
///
/// ```text
/// y = r + γ · (1 − d) · (Q̄ − α log π)
/// ```
///
/// * `rewards`: r, `[B]`, reward units.
/// * `terminated`: d, `[B]`, 1 where nothing follows, else 0.
/// * `next_values`: Q̄ of the next action, `[B]`, reward units; a constant.
/// * `next_log_probs`: log π of it, `[B]`, nats; a constant.
/// * `temperature`: α ≥ 0, reward units per nat.
///
/// Returns y, `[B]`, reward units, without gradient.
///
/// Degenerate: d = 1 gives r, unless Q̄ or log π is not finite.
///
/// Source: Haarnoja et al. 2018 (arXiv 1812.05905), equations 2 and 3.
pub fn soft_target(
    rewards: &Tensor,
    terminated: &Tensor,
    next_values: &Tensor,
    next_log_probs: &Tensor,
    discount: f64,
    temperature: f64,
) -> Tensor {
    let soft = next_values.detach() - next_log_probs.detach() * temperature; // [B]
    rewards + (terminated.ones_like() - terminated) * soft * discount
}

/// What the policy descends, per drawn action.
///
/// ```text
/// L = α log π − Q
/// ```
///
/// * `values`: Q of the drawn action, `[B]`, reward units; carries the gradient through the action.
/// * `log_probs`: log π of it, `[B]`, nats; carries the gradient.
/// * `temperature`: α ≥ 0, reward units per nat.
///
/// Returns L, `[B]`, reward units (**no reduction**).
///
/// Source: Haarnoja et al. 2018 (arXiv 1812.05905), equation 7.
pub fn soft_policy_loss(values: &Tensor, log_probs: &Tensor, temperature: f64) -> Tensor {
    log_probs * temperature - values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_terminates_is_worth_its_reward() {
        let row = |numbers: &[f64]| Tensor::from_slice(numbers);
        let next = row(&[10.0, 10.0]).set_requires_grad(true);
        let target = soft_target(&row(&[1.0, 2.0]), &row(&[1.0, 0.0]), &next, &row(&[4.0, 4.0]), 0.9, 0.5);
        assert_eq!(Vec::<f64>::try_from(&target).unwrap(), [1.0, 2.0 + 0.9 * 8.0]);
        assert!(!target.requires_grad());
    }

    #[test]
    fn the_policy_trades_value_for_entropy() {
        let (values, log_probs) = (Tensor::from_slice(&[3.0f64]), Tensor::from_slice(&[-2.0f64]));
        let (values, log_probs) = (values.set_requires_grad(true), log_probs.set_requires_grad(true));
        let loss = soft_policy_loss(&values, &log_probs, 0.25);
        assert_eq!(loss.double_value(&[0]), -3.5);
        loss.sum(tch::Kind::Double).backward();
        assert_eq!((values.grad().double_value(&[0]), log_probs.grad().double_value(&[0])), (-1.0, 0.25));
    }
}

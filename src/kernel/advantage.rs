//! Generalized advantages over steps that are linked, not laid out: slots of any length lie interleaved in one record.
//!
//! The twin of `math::advantage` for transitions. Each step in float64, carried to the one before it as float32.

/// What comes after a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Follow {
    /// The slot's next step, at a larger index than its own.
    Step(usize),
    /// The chain ends here, and the state after it is worth this much, discount not applied: 0 where it terminated.
    Value(f32),
    /// The chain ends here and nobody knows what followed: Â = 0, and nothing is carried on.
    Dropped,
}

/// Advantages of linked steps, computed from the last index to the first.
///
/// ```text
/// δ_t = r_t + γ · V_{t'} − V_t,   Â_t = δ_t + γ·λ · Â_{t'}
/// ```
///
/// where t' is the step after t; at the end of a chain V_{t'} is what [`Follow::Value`] says and Â_{t'} = 0. A step before
/// a dropped one bootstraps from its value and carries Â_{t'} = 0.
///
/// * `rewards`, `values`: r and V, `[T]`; `follows`: `[T]`.
/// * `discount`, `gae_lambda`: γ and λ, in [0, 1].
/// * `advantages`: Â, `[T]`, overwritten; the returns are Â + V (of a dropped step V, so that it teaches nothing).
///
/// A step that follows at an index not larger, or outside, panics. NaN passes along its chain only.
///
/// Source: Schulman et al. 2015 (arXiv 1506.02438), equation 16.
pub fn advantages(
    rewards: &[f32],
    values: &[f32],
    follows: &[Follow],
    discount: f64,
    gae_lambda: f64,
    advantages: &mut [f32],
) {
    let count = advantages.len();
    assert_eq!([rewards.len(), values.len(), follows.len()], [count; 3], "as many of each as advantages");
    for t in (0..count).rev() {
        let (next_value, carried) = match follows[t] {
            Follow::Step(next) => {
                assert!(next > t, "step {next} follows step {t}");
                (values[next], advantages[next])
            }
            Follow::Value(value) => (value, 0.0),
            Follow::Dropped => {
                advantages[t] = 0.0;
                continue;
            }
        };
        let delta = f64::from(rewards[t]) + discount * f64::from(next_value) - f64::from(values[t]);
        advantages[t] = (delta + discount * gae_lambda * f64::from(carried)) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rewards: &[f32], values: &[f32], follows: &[Follow]) -> Vec<f32> {
        let mut out = vec![f32::NAN; rewards.len()];
        advantages(rewards, values, follows, 0.5, 0.5, &mut out);
        out
    }

    /// By hand: δ = (1 + 1 − 1, 2 + 1.5 − 2, 4 + 0 − 3) = (1, 1.5, 1); Â_2 = 1, Â_1 = 1.5 + ¼, Â_0 = 1 + ¼ · 1.75.
    #[test]
    fn a_chain_that_terminates() {
        let out = run(&[1.0, 2.0, 4.0], &[1.0, 2.0, 3.0], &[Follow::Step(1), Follow::Step(2), Follow::Value(0.0)]);
        assert_eq!(out, [1.4375, 1.75, 1.0]);
    }

    /// Two slots at 0, 2, 3 and 1, 4; the second ends in a state worth 6: Â_4 = 1 + 3 − 2 = 2, Â_1 = 0 + 1 − 1 + ¼ · 2.
    #[test]
    fn interleaved_slots_know_nothing_of_each_other() {
        let follows = [Follow::Step(2), Follow::Step(4), Follow::Step(3), Follow::Value(0.0), Follow::Value(6.0)];
        let out = run(&[1.0, 0.0, 2.0, 4.0, 1.0], &[1.0, 1.0, 2.0, 3.0, 2.0], &follows);
        assert_eq!(out, [1.4375, 0.5, 1.75, 1.0, 2.0]);
    }

    /// The step before a dropped one sees its value, 4, and no advantage: 1 + 2 − 1 = 2.
    #[test]
    fn a_dropped_step_teaches_and_carries_nothing() {
        let out = run(&[1.0, 100.0], &[1.0, 4.0], &[Follow::Step(1), Follow::Dropped]);
        assert_eq!(out, [2.0, 0.0]);
        assert_eq!(run(&[], &[], &[]), [0.0; 0]);
    }

    #[test]
    fn a_number_that_is_none_stays_in_its_chain() {
        let follows = [Follow::Step(2), Follow::Step(3), Follow::Value(0.0), Follow::Value(0.0)];
        let out = run(&[1.0, 1.0, f32::NAN, 1.0], &[0.0; 4], &follows);
        assert!(out[0].is_nan() && out[2].is_nan());
        assert_eq!((out[1], out[3]), (1.25, 1.0));
    }

    #[test]
    #[should_panic(expected = "follows")]
    fn a_step_follows_none_before_it() {
        run(&[1.0; 2], &[1.0; 2], &[Follow::Value(0.0), Follow::Step(0)]);
    }
}

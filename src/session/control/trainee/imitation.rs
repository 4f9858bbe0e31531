//! Demonstrations as the policy in training reads them, and the gradient of imitating them.

use super::*;

impl Trainee {
    /// These rows of demonstrations, as the network reads them.
    pub fn shown(
        &self,
        all: &Demonstrations,
        rows: impl Iterator<Item = usize> + Clone,
        normalizer: &Normalizer,
    ) -> Demonstrations {
        let mut shown = Demonstrations::default();
        shown.gather(all, rows);
        normalizer.apply(&mut shown.observations, self.policy.spec().inputs);
        shown
    }

    /// Adds `coef` times the gradient of the loss of demonstrated actions; returns that loss and the entropy there, nats.
    pub fn imitate(&mut self, shown: &Demonstrations, coef: f64) -> Result<[f64; 2]> {
        let Some(network) = &self.network else { return self.imitate_fused(shown, coef) };
        let spec = self.policy.spec();
        let legal = mask(&shown.legal, spec.choices)?;
        let (observations, actions) =
            (matrix(&shown.observations, spec.inputs)?, matrix(&shown.actions, spec.actions)?);
        let said = network.evaluate(&observations, &actions, legal.as_ref(), None, false)?;
        let mut columns = Columns::new(shown.rows() as i64);
        columns.insert("weight", Tensor::f_from_slice(&shown.weights)?);
        let loss = cloning::loss(&said, &columns)?;
        (&loss.total * coef).f_backward()?;
        Ok([loss.total.f_double_value(&[])?, said.entropies.f_mean(None)?.f_double_value(&[])?])
    }

    /// The slope of a probability's ratio to itself is that of its logarithm, so that the loss of a minibatch does.
    fn imitate_fused(&mut self, shown: &Demonstrations, coef: f64) -> Result<[f64; 2]> {
        let (rows, network) = (shown.rows(), self.policy.network().clone());
        let (weights, gradients) = self.arena.slices()?;
        let (mut outputs, mut log_probs, mut entropies) =
            (vec![0.0; rows * network.width()], vec![0.0; rows], vec![0.0; rows]);
        let masks = (!shown.legal.is_empty()).then_some(shown.legal.as_slice());
        network.policy(weights, &shown.observations, &mut self.scratch, &mut outputs);
        let likelihoods = kernel::Likelihoods { log_probs: &mut log_probs, entropies: &mut entropies };
        network.evaluate(weights, &outputs, masks, &shown.actions, &mut self.scratch, likelihoods);
        let total: f64 = shown.weights.iter().map(|weight| f64::from(*weight)).sum();
        let share = if total > 0.0 { total.recip() } else { 0.0 };
        let advantage = |weight: &f32| (f64::from(*weight) * share * coef * rows as f64) as f32;
        let (advantages, zeros) = (shown.weights.iter().map(advantage).collect::<Vec<_>>(), vec![0.0; rows]);
        let steps = kernel::Batch {
            observations: &shown.observations,
            masks,
            actions: &shown.actions,
            log_probs: &log_probs,
            advantages: &advantages,
            values: &zeros,
            returns: &zeros,
            bounds: &[],
            sequences: None,
        };
        let alone = kernel::Rule {
            clip_low: 0.5,
            clip_high: 0.5,
            value_clip: kernel::ValueClip::None,
            value_coef: 0.0,
            value_factor: 0.5,
            entropy_coef: 0.0,
            bound_coef: 0.0,
        };
        network.learn(weights, gradients, &steps, &alone, &mut self.tape);
        let terms =
            shown.weights.iter().zip(&log_probs).map(|(weight, log_prob)| f64::from(*weight) * f64::from(*log_prob));
        let entropy = entropies.iter().map(|entropy| f64::from(*entropy)).sum::<f64>() / rows as f64;
        Ok([-terms.sum::<f64>() * share, entropy])
    }
}

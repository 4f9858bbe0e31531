//! Squashed actions drawn evenly between their bounds: what explores before anything is learned.

use super::spec::{Branch, Spec};
use crate::kernel::{Key, EDGE};

impl Spec {
    /// Actions [B, A] as they are recorded, one for each key, and the log-probabilities [B] of what is handed out, nats.
    /// Discrete branches are left alone.
    pub fn draw_evenly(&self, keys: &[Key], actions: &mut [f32], log_probs: &mut [f32]) {
        let continuous = |branch: &Branch| match branch {
            Branch::Continuous(own) => own.size as f64 * (2.0 * own.scale()).ln(),
            Branch::Discrete { .. } => 0.0,
        };
        let log_volume = self.branches.iter().map(continuous).sum::<f64>();
        for ((key, action), log_prob) in keys.iter().zip(actions.chunks_exact_mut(self.actions)).zip(log_probs) {
            let mut number = 0;
            for branch in &self.branches {
                let end = number + branch.numbers();
                if let Branch::Continuous(_) = branch {
                    for (index, x) in (number..end).zip(&mut action[number..end]) {
                        let place = 2.0 * key.uniform(index) - 1.0;
                        *x = place.clamp(EDGE - 1.0, 1.0 - EDGE).atanh();
                    }
                }
                number = end;
            }
            *log_prob = -log_volume as f32;
        }
    }
}

//! The learning rate of an update that follows how far the policy has moved.

use crate::algorithm::control_ppo::{AdaptiveRate, Law};
use crate::kernel;
use crate::model::control::Policy;
use std::sync::Arc;

pub(super) struct Pace {
    adaptive: AdaptiveRate,
    network: Arc<kernel::Network>,
    /// Minibatches of a pass.
    parts: usize,
    /// What each row is compared with.
    old: Vec<f32>,
    /// What the minibatch in hand says.
    new: Vec<f32>,
    /// Divergences of the pass so far.
    pass: Vec<f64>,
}

impl Pace {
    /// `old`: distributions of the update's rows under the weights that it starts from.
    pub fn new(adaptive: &AdaptiveRate, policy: &Policy, old: Vec<f32>, parts: usize) -> Pace {
        let (adaptive, network) = (*adaptive, policy.network().clone());
        Pace { adaptive, network, parts: parts.max(1), old, new: Vec::new(), pass: Vec::new() }
    }

    /// How far the minibatch of `rows`, whose distributions now are `new`, has moved; nats.
    pub fn measure(&mut self, new: Vec<f32>, legal: &[u8], rows: &[usize]) -> f64 {
        let width = self.network.distribution_width();
        let old: Vec<f32> = rows.iter().flat_map(|row| &self.old[row * width..(row + 1) * width]).copied().collect();
        let masks = (!legal.is_empty()).then_some(legal);
        let divergence = match self.adaptive.law {
            Law::BeforeStep => self.network.divergence(&old, &new, masks),
            Law::AfterStep | Law::AfterEpoch => self.network.divergence(&new, &old, masks),
        };
        self.new = new;
        self.pass.push(divergence);
        divergence
    }

    /// The rate of the step of the minibatch that was measured.
    pub fn before(&self, rate: f64) -> f64 {
        match (self.adaptive.law, self.pass.last()) {
            (Law::BeforeStep, Some(divergence)) => self.adaptive.next(rate, *divergence),
            _ => rate,
        }
    }

    /// The rate behind that step, which was made.
    pub fn after(&mut self, rate: f64, rows: &[usize]) -> f64 {
        if self.adaptive.refresh {
            let width = self.network.distribution_width();
            for (row, new) in rows.iter().zip(self.new.chunks_exact(width)) {
                self.old[row * width..(row + 1) * width].copy_from_slice(new);
            }
        }
        let last = self.pass.last().copied().unwrap_or(f64::NAN);
        let whole = self.pass.len() == self.parts;
        let mean = self.pass.iter().sum::<f64>() / self.pass.len() as f64;
        if whole {
            self.pass.clear();
        }
        match self.adaptive.law {
            Law::AfterStep => self.adaptive.next(rate, last),
            Law::AfterEpoch if whole => self.adaptive.next(rate, mean),
            Law::BeforeStep | Law::AfterEpoch => rate,
        }
    }
}

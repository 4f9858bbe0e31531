//! A chain of layers with perhaps a recurrent core among them: what a tile of sequences leaves in it, and the way back.
//!
//! Rows lie step by step, in each the sequences side by side; without a core there is one step. Owns the order of the passes
//! within the chain. W of a core is a layer like any other, the last one before it.

use super::backward::{backward, forward, through_activation, transpose, Kept, Onward};
use super::buffer::Buffer;
use super::network::Layer;
use super::product::Start;
use super::recurrent::through_time::{Along, Back, Forth, Recall};
use super::recurrent::Core;
use super::simd::Vector;

/// Layers, what they keep of a tile, and the same of a core.
pub(super) struct Chain {
    /// What stands before the core; none without one.
    before: Vec<Layer>,
    kept_before: Vec<Kept>,
    recall: Option<Recall>,
    /// All other layers.
    after: Vec<Layer>,
    kept_after: Vec<Kept>,
}

/// Slopes of a tile on their way back, each `[rows, widest]`.
pub(super) struct Slopes {
    /// At the results of the layers of a chain.
    pub own: Buffer,
    pub spare: Buffer,
    /// At what a core recalls.
    pub recalled: Buffer,
}

impl Chain {
    /// * `behind`: how many of the layers stand behind the core, if there is one.
    /// * `leads`: whether layers that learn stand before the chain.
    pub fn new(layers: &[Layer], core: Option<&Core>, behind: usize, leads: bool) -> Chain {
        let (before, after) = layers.split_at(if core.is_some() { layers.len() - behind } else { 0 });
        let before: Vec<Layer> = before.iter().cloned().chain(core.map(Core::reading)).collect();
        Chain {
            kept_before: Kept::chain(&before, leads),
            kept_after: Kept::chain(after, leads || core.is_some()),
            before,
            recall: core.map(Recall::new),
            after: after.to_vec(),
        }
    }

    /// The most numbers that a row has anywhere in it.
    pub fn widest(&self) -> usize {
        let widths = self.before.iter().chain(&self.after).map(|layer| layer.inputs.max(layer.outputs));
        widths.max().unwrap_or(0)
    }

    /// Makes room for `rows` rows.
    pub fn reach(&mut self, rows: usize) {
        Kept::reach(&self.before, &mut self.kept_before, rows);
        Kept::reach(&self.after, &mut self.kept_after, rows);
        self.recall.iter_mut().for_each(|recall| recall.reach(rows));
    }

    /// Transposes the weights that the way back needs.
    #[inline(always)]
    pub fn transpose(&mut self, weights: &[f32]) {
        transpose(&self.before, &mut self.kept_before, weights);
        transpose(&self.after, &mut self.kept_after, weights);
        self.recall.iter_mut().for_each(|recall| recall.transpose(weights));
    }

    /// What left the chain, or `input` where it is empty.
    #[inline(always)]
    pub fn results<'a>(&'a self, input: &'a [f32]) -> &'a [f32] {
        match (self.kept_after.last(), &self.recall) {
            (Some(last), _) => &last.results,
            (None, Some(recall)) => recall.results(),
            (None, None) => input,
        }
    }

    /// A tile through the chain.
    #[inline(always)]
    pub fn forward<V: Vector>(&mut self, weights: &[f32], input: &[f32], rows: usize, along: Along<'_>) {
        let mut lead = input;
        if let Some(recall) = &mut self.recall {
            forward::<V>(&self.before, &mut self.kept_before, weights, input, rows);
            let Some(last) = self.kept_before.last_mut() else { return };
            V::enter(Forth { recall, weights, read: &mut last.results, along });
            lead = recall.results();
        }
        forward::<V>(&self.after, &mut self.kept_after, weights, lead, rows);
    }

    /// The slopes at the chain's results, to where its way back begins.
    #[inline(always)]
    pub fn enter<V: Vector>(&self, rows: usize, results: &mut Buffer, slopes: &mut Slopes) {
        if let (Some(layer), Some(kept)) = (self.after.last(), self.kept_after.last()) {
            through_activation::<V>(layer, kept, rows, results);
            std::mem::swap(results, &mut slopes.own);
        } else {
            std::mem::swap(results, &mut slopes.recalled);
        }
    }

    /// A tile back through the chain: adds to `gradients`.
    ///
    /// * `input`: what went into it.
    /// * `slopes`: `own` d(loss) at the results of its last layer, multiplied by its f' already, or `recalled` at those of the
    ///   core that it ends with; overwritten.
    #[inline(always)]
    pub fn backward<V: Vector>(
        &mut self,
        input: &[f32],
        steps: &[usize],
        slopes: &mut Slopes,
        gradients: &mut [f32],
        onward: Option<Onward<'_>>,
    ) {
        let (rows, Slopes { own, spare, recalled }) = (steps.iter().sum(), slopes);
        let after = (self.after.as_slice(), self.kept_after.as_slice());
        let Some(recall) = &mut self.recall else {
            return backward::<V>(after, input, rows, own, spare, gradients, onward);
        };
        let within = Onward { to: recalled, start: Start::Zero };
        backward::<V>(after, recall.results(), rows, own, spare, gradients, Some(within));
        let Some(last) = self.kept_before.last() else { return };
        V::enter(Back { recall, gates: &last.results, steps, slopes: recalled, onward: own, gradients });
        backward::<V>((&self.before, &self.kept_before), input, rows, own, spare, gradients, onward);
    }
}

//! What is published, on a device: the network in libtorch over a copy of the weights, and the normaliser.
//!
//! Says what the policy says of observations that lie there. Knows no recurrent networks and nothing of draws.

use super::network::Network;
use super::policy::{Policy, Published};
use super::statistics::PlacedNormalizer;
use crate::error::Result;
use tch::{Device, Tensor};

/// Rows pass in multiples of so many, so that a row's bits depend on their number as little as may be.
const ROWS: u64 = 4;

pub struct Snapshot {
    version: u64,
    network: Network,
    normalizer: Option<PlacedNormalizer>,
}

impl Snapshot {
    /// A copy on `device`.
    pub fn new(policy: &Policy, published: &Published, device: Device) -> Result<Snapshot> {
        let weights = Tensor::f_from_slice(&published.weights)?.f_to_device(device)?;
        Ok(Snapshot {
            version: published.version,
            network: Network::bind_frozen(policy.spec(), policy.layout(), &weights)?,
            normalizer: published.normalizer.on(device)?,
        })
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    /// Outputs [n, W] of observations [n, O] as they were seen.
    pub fn outputs(&self, observations: &Tensor) -> Result<Tensor> {
        let count = observations.size()[0];
        let missing = (count as u64).next_multiple_of(ROWS) as i64 - count;
        let whole = observations.f_constant_pad_nd([0, 0, 0, missing])?; // [n, O], n a multiple
        let read = match &self.normalizer {
            Some(normalizer) => normalizer.apply(&whole)?,
            None => whole,
        };
        Ok(self.network.outputs(&read)?.f_narrow(0, 0, count)?)
    }
}

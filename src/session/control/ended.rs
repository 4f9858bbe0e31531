//! What is told of episodes that ended: their number, their returns and lengths.

use crate::session::record::Measurements;
use serde::{Deserialize, Serialize};

/// Episodes that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Ended {
    pub episodes: u64,
    pub returns: f64,
    pub lengths: u64,
}

impl Ended {
    pub fn add(&mut self, more: Ended) {
        self.episodes += more.episodes;
        self.returns += more.returns;
        self.lengths += more.lengths;
    }

    /// Their number and the means of their returns and lengths, if there are any.
    pub fn note(self, measured: &mut Measurements) {
        if self.episodes > 0 {
            measured.note("episode/count", self.episodes as f64);
            measured.note("episode/return", self.returns / self.episodes as f64);
            measured.note("episode/length", self.lengths as f64 / self.episodes as f64);
        }
    }
}

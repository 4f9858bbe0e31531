//! The versions of a session's model that were published last, to go back to.

use crate::error::{Error, Result};
use std::collections::VecDeque;

/// What was kept of each version, oldest first.
pub(super) struct Snapshots<T>(VecDeque<(u64, T)>);

impl<T> Default for Snapshots<T> {
    fn default() -> Self {
        Snapshots(VecDeque::new())
    }
}

impl<T> Snapshots<T> {
    /// Keeps what there is of a version that was published, and `most` of all.
    pub fn keep(&mut self, most: usize, version: u64, snapshot: Option<T>) {
        self.0.extend(snapshot.map(|snapshot| (version, snapshot)));
        while self.0.len() > most {
            self.0.pop_front();
        }
    }

    pub fn find(&self, version: u64) -> Result<&T> {
        let found = self.0.iter().find(|(kept, _)| *kept == version).map(|(_, snapshot)| snapshot);
        found.ok_or_else(|| {
            let kept: Vec<u64> = self.0.iter().map(|(kept, _)| *kept).collect();
            let fix = "a session keeps as many as its setting kept_versions says";
            Error::argument(format!("version: expected one of {kept:?}, which are kept, got {version}; {fix}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_an_unknown_one_is_told_which() {
        let mut all = Snapshots::default();
        for version in 1..=5 {
            all.keep(2, version, Some(version * 10));
        }
        assert_eq!((all.find(4).ok(), all.find(5).ok()), (Some(&40), Some(&50)));
        let error = all.find(3).unwrap_err();
        assert!(error.message.starts_with("version: expected one of [4, 5], which are kept, got 3"), "{error}");
        all.keep(0, 6, None);
        assert!(all.find(5).is_err());
    }
}

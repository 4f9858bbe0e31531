//! The host's reward callback and the calls of it that run.
//!
//! Replacing it waits for the calls of the old one on other threads, so that a host may then free what they used.

use crate::data::Batch;
use crate::error::Result;
use crate::model::Tokenizer;
use parking_lot::{Condvar, Mutex};
use std::ops::Deref;
use std::sync::Arc;
use std::thread::{self, ThreadId};

/// Fills the rewards of a batch of rollouts; the tokenizer decodes its tokens.
pub type RewardCallback = Arc<dyn Fn(Batch, Option<Arc<Tokenizer>>, &mut [f32]) -> Result<()> + Send + Sync>;

#[derive(Default)]
pub(super) struct Callback {
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    current: Option<RewardCallback>,
    /// How often it was replaced.
    replaced: u64,
    /// Which one, counted so, each running call is of, and its thread.
    running: Vec<(u64, ThreadId)>,
}

/// A callback for one call on the thread that borrowed it.
pub(super) struct Lent {
    owner: Arc<Callback>,
    callback: RewardCallback,
    call: (u64, ThreadId),
}

impl Callback {
    pub fn is_set(&self) -> bool {
        self.state.lock().current.is_some()
    }

    /// Replaces the callback, then waits until no other thread is inside an old one. A call on this thread is this very
    /// call's caller and is not waited for.
    pub fn set(&self, callback: Option<RewardCallback>) {
        let here = thread::current().id();
        let mut state = self.state.lock();
        let old = std::mem::replace(&mut state.current, callback);
        state.replaced += 1;
        let count = state.replaced;
        while state.running.iter().any(|(of, thread)| *of < count && *thread != here) {
            self.returned.wait(&mut state);
        }
        drop(state);
        drop(old);
    }

    pub fn lend(self: &Arc<Self>) -> Option<Lent> {
        let mut state = self.state.lock();
        let callback = state.current.clone()?;
        let call = (state.replaced, thread::current().id());
        state.running.push(call);
        Some(Lent { owner: self.clone(), callback, call })
    }
}

impl Deref for Lent {
    type Target = RewardCallback;

    fn deref(&self) -> &RewardCallback {
        &self.callback
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut state = self.owner.state.lock();
        if let Some(place) = state.running.iter().position(|call| *call == self.call) {
            state.running.swap_remove(place);
        }
        self.owner.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn callback() -> Option<RewardCallback> {
        Some(Arc::new(|_, _, _| Ok(())))
    }

    #[test]
    fn replacing_waits_for_calls_on_other_threads_alone() {
        let owner = Arc::new(Callback::default());
        assert!(owner.lend().is_none());
        owner.set(callback());
        let lent = owner.lend();
        owner.set(callback());
        assert!(owner.is_set(), "a call on this thread is not waited for");

        let (said, heard) = mpsc::channel();
        let other = {
            let owner = owner.clone();
            thread::spawn(move || {
                owner.set(None);
                said.send(()).unwrap();
            })
        };
        while owner.is_set() {
            thread::yield_now();
        }
        assert!(heard.recv_timeout(Duration::from_millis(50)).is_err(), "the old callback still runs here");
        drop(lent);
        heard.recv_timeout(Duration::from_secs(60)).unwrap();
        other.join().unwrap();
        assert!(owner.lend().is_none());
    }

    #[test]
    fn calls_of_the_new_callback_are_not_waited_for() {
        let owner = Arc::new(Callback::default());
        owner.set(callback());
        let old = owner.lend();
        let setter = {
            let owner = owner.clone();
            thread::spawn(move || owner.set(callback()))
        };
        while owner.state.lock().replaced < 2 {
            thread::yield_now();
        }
        let _new = owner.lend();
        drop(old);
        setter.join().unwrap();
    }
}

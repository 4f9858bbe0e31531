//! Demonstrations that were pushed and that the learner has not taken yet: pushing never waits for its slices.

use super::demonstrations::Demonstrations;
use super::{ControlSession, Core};
use crate::data::Batch;
use crate::error::Result;
use crate::model::control::Spec;
use crate::session::queue::Queue;

/// What was pushed since the learner looked last, push by push.
#[derive(Default)]
pub(super) struct Inbox {
    waiting: Vec<Demonstrations>,
    /// Rows that the session holds, those that wait among them.
    held: usize,
    next_id: u64,
}

impl Inbox {
    /// Takes all rows of the batch or none; returns the id of the first.
    fn push(&mut self, spec: &Spec, batch: &Batch, most: &Queue) -> Result<u64> {
        most.check(self.held, batch.rows() as usize, "demonstrations", "clear first")?;
        let pushed = Demonstrations::read(spec, batch)?;
        self.held += pushed.rows();
        self.next_id += batch.rows();
        self.waiting.push(pushed);
        Ok(self.next_id - batch.rows())
    }
}

impl ControlSession {
    pub(super) fn push_demonstrations(&self, batch: &Batch) -> Result<u64> {
        let policy = self.policy()?;
        self.method.check_shown()?;
        self.inbox.lock().push(policy.spec(), batch, &self.rows)
    }

    /// Hands the learner what was pushed.
    pub(super) fn collect(&self, core: &mut Core) -> Result<()> {
        let course = core.course()?;
        std::mem::take(&mut self.inbox.lock().waiting).into_iter().for_each(|shown| course.show(shown));
        Ok(())
    }

    /// Drops what was pushed: the learner holds what it says.
    pub(super) fn recount(&self, core: &mut Core) -> Result<()> {
        let (held, next_id) = core.course()?.shown();
        *self.inbox.lock() = Inbox { waiting: Vec::new(), held, next_id };
        Ok(())
    }
}

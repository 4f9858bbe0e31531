//! What keel tells its host about the work: metrics by name, and events to poll.
//!
//! [`METRICS`] is the one table of metrics; a name that is not in it is not reported. [`Events`] keeps what happened until
//! the host asks, in bounded queues, so that no callback ever runs on a thread of keel's and a host that never asks costs
//! nothing. This room computes no metric and knows no session.

mod event;
mod events;
mod metric;

pub use event::Event;
pub use events::Events;
pub use metric::{document, metric, Metric, METRICS};

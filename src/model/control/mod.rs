//! Control networks: observation → action and state value.
//!
//! Owns the spec with the layout of its records, the published policy that actors read, and the network's form in
//! libtorch; its form in plain Rust is built from the same layout for `kernel`. Knows no loss and no environment.

mod critic;
mod distribution;
mod encoder;
mod even;
mod flat;
mod groups;
mod network;
mod policy;
mod reader;
mod record;
mod recurrence;
mod reward;
mod reward_network;
mod reward_spec;
mod script;
mod snapshot;
mod spec;
mod statistics;

pub use critic::{Critics, Twins};
pub use distribution::Evaluated;
pub use groups::GroupPlace;
pub use network::Network;
pub use policy::{Policy, Published};
pub use reader::Reader;
pub use recurrence::Unroll;
pub use reward::{RewardModel, Rewarding};
pub use reward_network::RewardNetwork;
pub use reward_spec::RewardSpec;
pub use script::check_allowed;
pub use snapshot::Snapshot;
pub use spec::{as_format, Branch, Continuous, Spec};
pub use statistics::{Normalizer, Statistics};

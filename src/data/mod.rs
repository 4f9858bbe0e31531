//! Batches of named columns: all that a host pushes and all that keel produces.
//!
//! A [`Batch`] has a kind and a number of rows; which columns a kind has, and what may stand in them, is one table
//! ([`COLUMNS`]). Everything is checked when a column is set, so that whoever receives a batch reads it without looking
//! twice. Text stays text and tokens stay tokens: turning one into the other is the model's business.

mod batch;
mod column;
mod kind;
mod spec;
mod table;

pub use batch::Batch;
pub use column::{Column, Values};
pub use kind::{Kind, Type};
pub use spec::{Layout, Need, Rule, Spec};
pub use table::{columns_schema, COLUMNS};

//! Language models against reference values that transformers made (tests/golden), against themselves in other batches,
//! and against directories that lie.

mod checkpoint;
mod generation;
mod golden;
mod gradient;
mod invariance;
mod logits;
mod malformed;
mod tokenizer;

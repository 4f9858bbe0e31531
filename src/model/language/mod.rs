//! Causal language models: their configuration, arithmetic, generation, tokenizer.
//!
//! Ragged token sequences go in; hidden states, response tensors [S, T] and rollouts come out. How rows are packed is
//! seen nowhere else.

mod activation;
mod architecture;
mod cache;
mod generation;
mod gpt2;
mod judge;
mod llama;
mod logits;
mod packed;
mod pass;
mod request;
mod rotary;
mod sampling;
mod score;
mod tokenizer;
mod transformer;
mod trunk;
mod value;

pub use architecture::{Activation, Architecture, Family, Head, Rope, RopeScaling, SCORE};
pub use generation::{FinishReason, Generation, Rollout};
pub use packed::{Packed, Sequence};
pub use pass::{Networks, Pass};
pub use score::{response_mask, score, ScoreOptions, Scores};
pub use tokenizer::Tokenizer;
pub use transformer::Transformer;
pub use value::{ValueHead, ValueModel};

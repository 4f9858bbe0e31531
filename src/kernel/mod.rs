//! Slices in, slices out: acting with and learning of small networks on the processor, without a framework.
//!
//! Owns the multilayer perceptron over flat weights ([`network`]), its recurrent cores ([`recurrent`]), its action
//! distributions ([`distribution`]), the fused forward, loss and backward of one minibatch ([`learner`]), AdamW ([`adam`]),
//! advantages over linked steps ([`advantage`]), soft actor-critic ([`soft`]) and counter-based random numbers ([`random`]).
//! Refuses tensors, allocation after construction (but for sequences longer than any before), and shapes that do not fit:
//! these are the caller's to check, and here they panic. The instruction set is chosen once, at run time; on one machine the
//! same input gives the same bits, whatever rows stand beside a row.

mod activation;
pub mod adam;
pub mod advantage;
mod backward;
mod buffer;
mod chain;
pub mod distribution;
mod divergence;
mod draw;
mod encoder;
mod family;
pub mod learner;
mod loss;
pub mod network;
mod portable;
mod product;
pub mod random;
pub mod recurrent;
mod simd;
pub mod soft;
mod softmax;
#[cfg(test)]
mod tests;
mod whiten;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use activation::Activation;
pub use adam::{adam, clip, clipped_scale, norm, scale, Adam};
pub use advantage::{advantages, Follow};
pub use distribution::{Decisions, Draw, Likelihoods};
pub use encoder::{Convolution, Encoder, EncoderScratch, Encoding};
pub use family::{Family, EDGE, LOG_DEVIATIONS};
pub use learner::{Batch, Bound, Measured, Rule, Sequences, Tape, ValueClip};
pub use network::{Head, Layer, Network, Scratch};
pub use random::Key;
pub use recurrent::{Cell, Core, Cores, Steps};
pub use soft::{SoftBatch, SoftNetworks, SoftRule, SoftTape};
pub use whiten::whiten;

//! placeholder
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum FinishReason {
    Eos = 1,
    Stop = 2,
    Length = 3,
    Host = 4,
}
pub struct Rollout;
pub struct Generation;

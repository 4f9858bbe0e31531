//! Vectors of floats and the choice of the instruction set: AVX-512, AVX2 with FMA, or what every machine has.
//!
//! A [`Routine`] is written once for any [`Vector`] and compiled once per instruction set. Everything that it calls is
//! `#[inline(always)]`, or runs through [`Vector::enter`]: only so does it get the instructions of its set.

use super::portable::Portable;
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};
use std::ops::{Add, Div, Mul, Sub};
use std::sync::atomic::{AtomicU8, Ordering};

/// A few floats that are computed with at once.
///
/// The implementations are named by [`dispatch`] alone, after the processor was asked: whoever has a `V: Vector` may
/// execute its instructions. This is the promise that every `unsafe` of the implementations names.
pub(super) trait Vector:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// Floats in a vector.
    const LANES: usize;
    /// Vectors that the processor holds at once.
    const REGISTERS: usize;

    fn splat(value: f32) -> Self;

    /// # Safety
    /// `from` is readable for `LANES` floats.
    unsafe fn load(from: *const f32) -> Self;

    /// # Safety
    /// `to` is writable for `LANES` floats.
    unsafe fn store(self, to: *mut f32);

    /// The first `count` lanes from memory, zero in the others.
    ///
    /// # Safety
    /// `from` is readable for `count` floats, `count` ≤ `LANES`.
    unsafe fn load_first(from: *const f32, count: usize) -> Self;

    /// # Safety
    /// `to` is writable for `count` floats, `count` ≤ `LANES`.
    unsafe fn store_first(self, to: *mut f32, count: usize);

    /// self · factor + summand, rounded once where the instruction set has it.
    fn mul_add(self, factor: Self, summand: Self) -> Self;

    /// max(self, low); NaN in `self` stays.
    fn at_least(self, low: Self) -> Self;

    /// min(self, high); NaN in `self` stays.
    fn at_most(self, high: Self) -> Self;

    /// `then` in the lanes where self > 0, else `other`.
    fn where_positive(self, then: Self, other: Self) -> Self;

    fn abs(self) -> Self;

    /// |self| with the sign of `sign`.
    fn with_sign(self, sign: Self) -> Self;

    fn sqrt(self) -> Self;

    /// The bits of each float, 23 places to the left: moves an integer in the lowest bits to where the exponent stands.
    fn into_exponent(self) -> Self;

    /// Runs a routine compiled for this instruction set, out of line.
    fn enter<R: Routine>(routine: R) -> R::Output;
}

/// Work that is written for any vector; `run` is `#[inline(always)]`.
pub(super) trait Routine {
    type Output;

    fn run<V: Vector>(self) -> Self::Output;
}

/// The instruction sets, each with those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub(super) enum Level {
    Portable = 1,
    Avx2 = 2,
    Avx512 = 3,
}

const UNKNOWN: u8 = 0;
static LEVEL: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Runs a routine with the widest vectors of this machine.
#[inline]
pub(super) fn dispatch<R: Routine>(routine: R) -> R::Output {
    match level() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => Avx512::enter(routine),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => Avx2::enter(routine),
        _ => Portable::enter(routine),
    }
}

#[inline]
fn level() -> Level {
    #[cfg(test)]
    if let Some(level) = forced::LEVEL.get() {
        return level;
    }
    match LEVEL.load(Ordering::Relaxed) {
        3 => Level::Avx512,
        2 => Level::Avx2,
        1 => Level::Portable,
        _ => {
            let level = detected();
            LEVEL.store(level as u8, Ordering::Relaxed);
            level
        }
    }
}

/// The widest instruction set that the processor and the operating system offer.
#[cold]
pub(super) fn detected() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw");
        if fma {
            return if wide { Level::Avx512 } else { Level::Avx2 };
        }
    }
    Level::Portable
}

#[cfg(test)]
pub(super) mod forced {
    //! The internal switch: tests walk every path that this machine has.

    use super::{detected, Level};
    use std::cell::Cell;

    thread_local! {
        pub static LEVEL: Cell<Option<Level>> = const { Cell::new(None) };
    }

    /// What `work` gives on each instruction set of this machine.
    pub fn each<T>(mut work: impl FnMut(Level) -> T) -> Vec<T> {
        let levels = [Level::Portable, Level::Avx2, Level::Avx512].into_iter().filter(|level| *level <= detected());
        let results = levels.map(|level| {
            LEVEL.set(Some(level));
            let result = work(level);
            LEVEL.set(None);
            result
        });
        results.collect()
    }
}

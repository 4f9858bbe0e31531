//! The vector of every machine: four floats, which compilers turn into SSE2 or NEON. No fused multiply-add: without the
//! instruction it is a call.

use super::simd::{Routine, Vector};
use std::array::from_fn;
use std::ops::{Add, Div, Mul, Sub};

const LANES: usize = 4;

#[derive(Clone, Copy)]
pub(super) struct Portable([f32; LANES]);

macro_rules! operator {
    ($name:ident, $function:ident) => {
        impl $name for Portable {
            type Output = Portable;

            #[inline(always)]
            fn $function(self, other: Portable) -> Portable {
                Portable(from_fn(|i| self.0[i].$function(other.0[i])))
            }
        }
    };
}

operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);

impl Vector for Portable {
    const LANES: usize = LANES;
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Portable([value; LANES])
    }

    // SAFETY: the caller's promise, LANES readable floats.
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as promised; an array of floats needs no more alignment than a float.
        Portable(unsafe { from.cast::<[f32; LANES]>().read() })
    }

    // SAFETY: the caller's promise, LANES writable floats.
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as promised; an array of floats needs no more alignment than a float.
        unsafe { to.cast::<[f32; LANES]>().write(self.0) }
    }

    // SAFETY: the caller's promise, `count` readable floats.
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        // SAFETY: as promised, and only places below `count` are read.
        Portable(from_fn(|i| if i < count { unsafe { *from.add(i) } } else { 0.0 }))
    }

    // SAFETY: the caller's promise, `count` writable floats.
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        for (i, value) in self.0.iter().enumerate().take(count) {
            // SAFETY: as promised, i < count.
            unsafe { *to.add(i) = *value }
        }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, summand: Self) -> Self {
        self * factor + summand
    }

    #[inline(always)]
    fn at_least(self, low: Self) -> Self {
        Portable(from_fn(|i| if low.0[i] > self.0[i] { low.0[i] } else { self.0[i] }))
    }

    #[inline(always)]
    fn at_most(self, high: Self) -> Self {
        Portable(from_fn(|i| if high.0[i] < self.0[i] { high.0[i] } else { self.0[i] }))
    }

    #[inline(always)]
    fn where_positive(self, then: Self, other: Self) -> Self {
        Portable(from_fn(|i| if self.0[i] > 0.0 { then.0[i] } else { other.0[i] }))
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Portable(self.0.map(f32::abs))
    }

    #[inline(always)]
    fn with_sign(self, sign: Self) -> Self {
        Portable(from_fn(|i| self.0[i].copysign(sign.0[i])))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Portable(self.0.map(f32::sqrt))
    }

    #[inline(always)]
    fn into_exponent(self) -> Self {
        Portable(self.0.map(|value| f32::from_bits(value.to_bits() << 23)))
    }

    #[inline(never)]
    fn enter<R: Routine>(routine: R) -> R::Output {
        routine.run::<Portable>()
    }
}

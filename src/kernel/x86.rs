//! The vectors of x86-64: sixteen floats with AVX-512, eight with AVX2 and FMA.
//!
//! Values of these types exist only where `simd::dispatch` found their instruction set (see [`Vector`]).

use super::simd::{Routine, Vector};
use std::arch::x86_64::*;
use std::ops::{Add, Div, Mul, Sub};

#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256);

macro_rules! operator {
    ($vector:ident, $name:ident, $function:ident, $intrinsic:ident) => {
        impl $name for $vector {
            type Output = $vector;

            #[inline(always)]
            fn $function(self, other: $vector) -> $vector {
                // SAFETY: the value exists, so the processor has the instruction.
                $vector(unsafe { $intrinsic(self.0, other.0) })
            }
        }
    };
}

operator!(Avx512, Add, add, _mm512_add_ps);
operator!(Avx512, Sub, sub, _mm512_sub_ps);
operator!(Avx512, Mul, mul, _mm512_mul_ps);
operator!(Avx512, Div, div, _mm512_div_ps);
operator!(Avx2, Add, add, _mm256_add_ps);
operator!(Avx2, Sub, sub, _mm256_sub_ps);
operator!(Avx2, Mul, mul, _mm256_mul_ps);
operator!(Avx2, Div, div, _mm256_div_ps);

/// The lanes below `count`.
#[inline(always)]
fn first16(count: usize) -> __mmask16 {
    ((1u32 << count) - 1) as __mmask16
}

/// All bits in the lanes below `count`, none in the others.
#[inline(always)]
fn first8(count: usize) -> __m256i {
    const EDGE: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(count <= 8);
    // SAFETY: eight places from 8 − count on are inside EDGE; AVX, because only Avx2's methods call this.
    unsafe { _mm256_loadu_si256(EDGE.as_ptr().add(8 - count).cast()) }
}

impl Vector for Avx512 {
    const LANES: usize = 16;
    const REGISTERS: usize = 32;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: whoever names this type has the instruction.
        Avx512(unsafe { _mm512_set1_ps(value) })
    }

    // SAFETY: the caller's promise, LANES readable floats.
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as promised.
        Avx512(unsafe { _mm512_loadu_ps(from) })
    }

    // SAFETY: the caller's promise, LANES writable floats.
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as promised.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    // SAFETY: the caller's promise, `count` readable floats.
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        // SAFETY: as promised; masked lanes are not read.
        Avx512(unsafe { _mm512_maskz_loadu_ps(first16(count), from) })
    }

    // SAFETY: the caller's promise, `count` writable floats.
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // SAFETY: as promised; masked lanes are not written.
        unsafe { _mm512_mask_storeu_ps(to, first16(count), self.0) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, summand: Self) -> Self {
        // SAFETY: the value exists, so the processor has the instruction.
        Avx512(unsafe { _mm512_fmadd_ps(self.0, factor.0, summand.0) })
    }

    #[inline(always)]
    fn at_least(self, low: Self) -> Self {
        // SAFETY: the value exists, so the processor has the instruction; of NaN and a number it gives the second.
        Avx512(unsafe { _mm512_max_ps(low.0, self.0) })
    }

    #[inline(always)]
    fn at_most(self, high: Self) -> Self {
        // SAFETY: the value exists, so the processor has the instruction; of NaN and a number it gives the second.
        Avx512(unsafe { _mm512_min_ps(high.0, self.0) })
    }

    #[inline(always)]
    fn where_positive(self, then: Self, other: Self) -> Self {
        // SAFETY: the value exists, so the processor has the instructions.
        unsafe {
            let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, _mm512_setzero_ps());
            Avx512(_mm512_mask_blend_ps(positive, other.0, then.0))
        }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: the value exists, so the processor has the instruction.
        Avx512(unsafe { _mm512_abs_ps(self.0) })
    }

    #[inline(always)]
    fn with_sign(self, sign: Self) -> Self {
        // SAFETY: the value exists, so the processor has the instructions; table 0xCA is: where bit, sign, else number.
        unsafe {
            let bit = _mm512_castps_si512(_mm512_set1_ps(-0.0));
            let (number, sign) = (_mm512_castps_si512(self.0), _mm512_castps_si512(sign.0));
            Avx512(_mm512_castsi512_ps(_mm512_ternarylogic_epi32::<0xCA>(bit, sign, number)))
        }
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: the value exists, so the processor has the instruction.
        Avx512(unsafe { _mm512_sqrt_ps(self.0) })
    }

    #[inline(always)]
    fn into_exponent(self) -> Self {
        // SAFETY: the value exists, so the processor has the instruction.
        Avx512(unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(self.0))) })
    }

    #[inline(always)]
    fn enter<R: Routine>(routine: R) -> R::Output {
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")]
        fn compiled<R: Routine>(routine: R) -> R::Output {
            routine.run::<Avx512>()
        }
        // SAFETY: whoever names this type has the instruction set.
        unsafe { compiled(routine) }
    }
}

impl Vector for Avx2 {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: whoever names this type has the instruction.
        Avx2(unsafe { _mm256_set1_ps(value) })
    }

    // SAFETY: the caller's promise, LANES readable floats.
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as promised.
        Avx2(unsafe { _mm256_loadu_ps(from) })
    }

    // SAFETY: the caller's promise, LANES writable floats.
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as promised.
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    // SAFETY: the caller's promise, `count` readable floats.
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        // SAFETY: as promised; masked lanes are not read.
        Avx2(unsafe { _mm256_maskload_ps(from, first8(count)) })
    }

    // SAFETY: the caller's promise, `count` writable floats.
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // SAFETY: as promised; masked lanes are not written.
        unsafe { _mm256_maskstore_ps(to, first8(count), self.0) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, summand: Self) -> Self {
        // SAFETY: the value exists, so the processor has the instruction.
        Avx2(unsafe { _mm256_fmadd_ps(self.0, factor.0, summand.0) })
    }

    #[inline(always)]
    fn at_least(self, low: Self) -> Self {
        // SAFETY: the value exists, so the processor has the instruction; of NaN and a number it gives the second.
        Avx2(unsafe { _mm256_max_ps(low.0, self.0) })
    }

    #[inline(always)]
    fn at_most(self, high: Self) -> Self {
        // SAFETY: the value exists, so the processor has the instruction; of NaN and a number it gives the second.
        Avx2(unsafe { _mm256_min_ps(high.0, self.0) })
    }

    #[inline(always)]
    fn where_positive(self, then: Self, other: Self) -> Self {
        // SAFETY: the value exists, so the processor has the instructions.
        unsafe {
            let positive = _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, _mm256_setzero_ps());
            Avx2(_mm256_blendv_ps(other.0, then.0, positive))
        }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: the value exists, so the processor has the instruction.
        Avx2(unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0) })
    }

    #[inline(always)]
    fn with_sign(self, sign: Self) -> Self {
        // SAFETY: the value exists, so the processor has the instructions.
        unsafe {
            let bit = _mm256_set1_ps(-0.0);
            Avx2(_mm256_or_ps(_mm256_and_ps(bit, sign.0), _mm256_andnot_ps(bit, self.0)))
        }
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: the value exists, so the processor has the instruction.
        Avx2(unsafe { _mm256_sqrt_ps(self.0) })
    }

    #[inline(always)]
    fn into_exponent(self) -> Self {
        // SAFETY: the value exists, so the processor has the instruction.
        Avx2(unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(self.0))) })
    }

    #[inline(always)]
    fn enter<R: Routine>(routine: R) -> R::Output {
        #[inline(never)]
        #[target_feature(enable = "avx2,fma")]
        fn compiled<R: Routine>(routine: R) -> R::Output {
            routine.run::<Avx2>()
        }
        // SAFETY: whoever names this type has the instruction set.
        unsafe { compiled(routine) }
    }
}

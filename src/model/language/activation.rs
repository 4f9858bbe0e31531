//! The nonlinearity of the feed-forward block, with bits that do not depend on the number of rows.
//!
//! libtorch computes whole vectors with one exponential and the tail of each thread's share with another, so the bits
//! of an element would depend on where the shares end. Here every share is a whole number of vectors.

use crate::error::Result;
use crate::model::language::Activation;
use tch::{Device, Tensor};

/// A thread's share never holds fewer elements than this (at::internal::GRAIN_SIZE).
const GRAIN: i64 = 32768;

/// More elements than this gelu shares among all threads (GELU_MIN_ELEMENTS_FOR_MULTI_THREADING).
const GELU_ALONE: i64 = 16384;

/// Elements of two AVX-512 registers of the narrowest kind: libtorch's step through a share.
const STEP: i64 = 64;

/// f(x) element by element; any shape, same shape out.
pub(super) fn activate(activation: Activation, x: &Tensor) -> Result<Tensor> {
    if x.device() != Device::Cpu || activation == Activation::Relu {
        return apply(activation, x);
    }
    let count = x.numel() as i64;
    let whole = whole_shares(activation, count, i64::from(tch::get_num_threads()));
    if whole == count {
        return apply(activation, x);
    }
    let padded = x.f_reshape([count])?.f_constant_pad_nd([0, whole - count])?;
    Ok(apply(activation, &padded)?.f_narrow(0, 0, count)?.f_view(x.size().as_slice())?)
}

fn apply(activation: Activation, x: &Tensor) -> Result<Tensor> {
    Ok(match activation {
        Activation::Silu => x.f_silu()?,
        Activation::Gelu => x.f_gelu("none")?,
        Activation::GeluTanh => x.f_gelu("tanh")?,
        Activation::Relu => x.f_relu()?,
    })
}

/// The least count, `count` or more, whose shares among `threads` are all whole steps.
fn whole_shares(activation: Activation, count: i64, threads: i64) -> i64 {
    let mut whole = count;
    loop {
        let shares = match activation {
            Activation::Gelu | Activation::GeluTanh if whole > GELU_ALONE => threads,
            Activation::Gelu | Activation::GeluTanh => 1,
            Activation::Silu | Activation::Relu => threads.clamp(1, ((whole + GRAIN - 1) / GRAIN).max(1)),
        };
        let step = STEP * shares;
        if whole % step == 0 {
            return whole;
        }
        whole = (whole / step + 1) * step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn shares_are_whole_steps() {
        assert_eq!(whole_shares(Activation::Silu, 64, 1), 64);
        assert_eq!(whole_shares(Activation::Silu, 65, 4), 128);
        assert_eq!(whole_shares(Activation::Gelu, 16384, 3), 16384);
        assert_eq!(whole_shares(Activation::GeluTanh, 16448, 3), 16512);
        assert_eq!(whole_shares(Activation::Silu, 100_000, 1), 100_032);
        for (count, threads) in [(1, 1), (40_000, 3), (98_303, 3), (98_305, 16), (1_000_001, 7)] {
            let whole = whole_shares(Activation::Silu, count, threads);
            let shares = threads.min((whole + GRAIN - 1) / GRAIN);
            assert!(whole >= count && whole - count < 2 * STEP * threads);
            assert_eq!(whole % (STEP * shares), 0);
        }
    }

    #[test]
    fn an_element_has_the_same_bits_at_every_place() {
        let x = Tensor::linspace(-8.0, 8.0, 40_013, (Kind::Float, Device::Cpu));
        for activation in [Activation::Silu, Activation::Gelu, Activation::GeluTanh] {
            let all = activate(activation, &x).unwrap();
            for (start, length) in [(0, 1), (3, 31), (39_000, 1013), (5, 40_001), (39_999, 14)] {
                let part = activate(activation, &x.narrow(0, start, length)).unwrap();
                assert!(part.equal(&all.narrow(0, start, length)), "{activation:?} {start} {length}");
            }
        }
    }
}

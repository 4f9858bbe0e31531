//! Activations and their slopes over slices, on vectorised exponentials of about one unit in the last place.
//!
//! Range reduction x = n·ln 2 + r with |r| ≤ ln 2 / 2, then a polynomial in r. NaN gives NaN, infinities give limits.
//! Source of the polynomial: Cephes `expf` (Moshier 1989).

use super::simd::{Routine, Vector};

/// What a layer does to each of its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// tanh x
    Tanh,
    /// max(x, 0), slope 0 at 0
    Relu,
    /// x where x > 0, else eˣ − 1
    Elu,
    /// x / (1 + e⁻ˣ)
    Silu,
    Identity,
}

impl Activation {
    /// Whether the slope is computed from what stood before the activation, not from its result.
    pub(super) fn needs_input(self) -> bool {
        self == Activation::Silu
    }
}

/// The nearest integers, for |x| < 2²².
#[inline(always)]
fn rounded<V: Vector>(x: V) -> V {
    let shift = V::splat(12_582_912.0); // 1.5 · 2²³
    (x + shift) - shift
}

/// 2ⁿ for integers n in [−127, 127]; 0 at −127.
#[inline(always)]
fn power_of_two<V: Vector>(n: V) -> V {
    (n + V::splat(12_583_039.0)).into_exponent() // 1.5 · 2²³ + 127
}

/// (n, eʳ − 1) with x = n·ln 2 + r.
#[inline(always)]
fn reduced<V: Vector>(x: V) -> (V, V) {
    let n = rounded(x * V::splat(std::f32::consts::LOG2_E));
    let r = n.mul_add(V::splat(2.121_944_4e-4), n.mul_add(V::splat(-0.693_359_4), x));
    let mut tail = r.mul_add(V::splat(1.987_569_2e-4), V::splat(1.398_2e-3));
    for coefficient in [8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        tail = r.mul_add(tail, V::splat(coefficient));
    }
    (n, (r * r).mul_add(tail, r))
}

/// eˣ, to 0 and to infinity at the ends, gradual underflow included.
#[inline(always)]
pub(super) fn exp<V: Vector>(x: V) -> V {
    let (n, less_one) = reduced(x.at_least(V::splat(-110.0)).at_most(V::splat(90.0)));
    let half = rounded(n * V::splat(0.5));
    (less_one + V::splat(1.0)) * power_of_two(half) * power_of_two(n - half)
}

/// eˣ − 1 for x ≤ 0, without cancellation near 0.
#[inline(always)]
fn exp_less_one<V: Vector>(x: V) -> V {
    let (n, less_one) = reduced(x.at_least(V::splat(-30.0)));
    let scale = power_of_two(n);
    scale.mul_add(less_one, scale - V::splat(1.0))
}

/// tanh x = −t / (t + 2) with t = e^(−2|x|) − 1, and the sign of x.
#[inline(always)]
pub(super) fn tanh<V: Vector>(x: V) -> V {
    let t = exp_less_one(x.abs() * V::splat(-2.0));
    (t / (t + V::splat(2.0))).with_sign(x)
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
pub(super) fn sigmoid<V: Vector>(x: V) -> V {
    V::splat(1.0) / (exp(V::splat(0.0) - x) + V::splat(1.0))
}

/// log x for normal x > 0 to one unit in the last place, with the same bits on every machine; NaN of NaN and of infinity.
///
/// Source: Cephes `logf` (Moshier 1989).
#[inline(always)]
pub(super) fn log(x: f32) -> f32 {
    const HALF_ROOT: u32 = 0x3F35_04F3; // √½
    let shifted = x.to_bits().wrapping_sub(HALF_ROOT);
    let n = ((shifted as i32) >> 23) as f32;
    let r = f32::from_bits((shifted & 0x007F_FFFF).wrapping_add(HALF_ROOT)) - 1.0; // x = 2ⁿ(1 + r), r in [√½ − 1, √2 − 1)
    let mut tail = 7.037_683_6e-2f32;
    for coefficient in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_7e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        tail = tail * r + coefficient;
    }
    let square = r * r;
    let small = tail * r * square + n * -2.121_944_4e-4 - 0.5 * square;
    (r + small) + n * 0.693_359_4 + x * 0.0
}

/// A function of one float, over vectors.
pub(super) trait Function {
    fn at<V: Vector>(x: V) -> V;
}

pub(super) struct Exp;
struct Tanh;
struct Relu;
struct Elu;
struct Silu;

impl Function for Exp {
    #[inline(always)]
    fn at<V: Vector>(x: V) -> V {
        exp(x)
    }
}

impl Function for Tanh {
    #[inline(always)]
    fn at<V: Vector>(x: V) -> V {
        tanh(x)
    }
}

impl Function for Relu {
    #[inline(always)]
    fn at<V: Vector>(x: V) -> V {
        x.at_least(V::splat(0.0))
    }
}

impl Function for Elu {
    #[inline(always)]
    fn at<V: Vector>(x: V) -> V {
        x.where_positive(x, exp_less_one(x.at_most(V::splat(0.0))))
    }
}

impl Function for Silu {
    #[inline(always)]
    fn at<V: Vector>(x: V) -> V {
        x / (exp(V::splat(0.0) - x) + V::splat(1.0))
    }
}

/// values ← f(values), element by element.
#[inline(always)]
pub(super) fn map<V: Vector, F: Function>(values: &mut [f32]) {
    let mut chunks = values.chunks_exact_mut(V::LANES);
    for chunk in &mut chunks {
        // SAFETY: a chunk has LANES floats.
        unsafe { F::at(V::load(chunk.as_ptr())).store(chunk.as_mut_ptr()) }
    }
    let rest = chunks.into_remainder();
    if !rest.is_empty() {
        // SAFETY: the rest has `rest.len()` floats, fewer than LANES.
        unsafe { F::at(V::load_first(rest.as_ptr(), rest.len())).store_first(rest.as_mut_ptr(), rest.len()) }
    }
}

/// values ← activation(values).
pub(super) struct Activate<'a>(pub Activation, pub &'a mut [f32]);

impl Routine for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        match self.0 {
            Activation::Tanh => map::<V, Tanh>(self.1),
            Activation::Relu => map::<V, Relu>(self.1),
            Activation::Elu => map::<V, Elu>(self.1),
            Activation::Silu => map::<V, Silu>(self.1),
            Activation::Identity => {}
        }
    }
}

/// gradient ← gradient · f'(x), with f'(x) from y = f(x), for Silu from x.
pub(super) struct Slope<'a> {
    pub activation: Activation,
    pub gradient: &'a mut [f32],
    /// y, as many as `gradient`.
    pub results: &'a [f32],
    /// x, as many as `gradient` for Silu, else unused.
    pub inputs: &'a [f32],
}

impl Routine for Slope<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        match self.activation {
            Activation::Tanh => scale_by::<V, TanhSlope>(self.gradient, self.results),
            Activation::Relu => scale_by::<V, ReluSlope>(self.gradient, self.results),
            Activation::Elu => scale_by::<V, EluSlope>(self.gradient, self.results),
            Activation::Silu => scale_by::<V, SiluSlope>(self.gradient, self.inputs),
            Activation::Identity => {}
        }
    }
}

struct TanhSlope;
struct ReluSlope;
struct EluSlope;
struct SiluSlope;

impl Function for TanhSlope {
    #[inline(always)]
    fn at<V: Vector>(y: V) -> V {
        V::splat(1.0) - y * y
    }
}

impl Function for ReluSlope {
    #[inline(always)]
    fn at<V: Vector>(y: V) -> V {
        y.where_positive(V::splat(1.0), V::splat(0.0))
    }
}

impl Function for EluSlope {
    #[inline(always)]
    fn at<V: Vector>(y: V) -> V {
        y.where_positive(V::splat(1.0), y + V::splat(1.0))
    }
}

impl Function for SiluSlope {
    #[inline(always)]
    fn at<V: Vector>(x: V) -> V {
        let one = V::splat(1.0);
        let sigmoid = one / (exp(V::splat(0.0) - x) + one);
        sigmoid * (x * (one - sigmoid) + one)
    }
}

/// gradient ← gradient · f(from), element by element.
#[inline(always)]
fn scale_by<V: Vector, F: Function>(gradient: &mut [f32], from: &[f32]) {
    assert_eq!(gradient.len(), from.len());
    let mut chunks = gradient.chunks_exact_mut(V::LANES);
    let mut sources = from.chunks_exact(V::LANES);
    for (chunk, source) in (&mut chunks).zip(&mut sources) {
        // SAFETY: a chunk has LANES floats.
        unsafe { (V::load(chunk.as_ptr()) * F::at(V::load(source.as_ptr()))).store(chunk.as_mut_ptr()) }
    }
    let (rest, source) = (chunks.into_remainder(), sources.remainder());
    if !rest.is_empty() {
        let count = rest.len();
        // SAFETY: both rests have `count` floats, fewer than LANES.
        unsafe {
            let product = V::load_first(rest.as_ptr(), count) * F::at(V::load_first(source.as_ptr(), count));
            product.store_first(rest.as_mut_ptr(), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::{dispatch, forced};
    use super::*;
    use std::marker::PhantomData;

    struct Mapped<'a, F>(&'a mut [f32], PhantomData<F>);

    impl<F: Function> Routine for Mapped<'_, F> {
        type Output = ();

        #[inline(always)]
        fn run<V: Vector>(self) {
            map::<V, F>(self.0);
        }
    }

    fn mapped<F: Function>(inputs: &[f32]) -> Vec<f32> {
        let mut values = inputs.to_vec();
        dispatch(Mapped::<F>(&mut values, PhantomData));
        values
    }

    /// Floats of both signs from 2⁻⁴⁰ to 100, many on each octave.
    fn inputs() -> Vec<f32> {
        let magnitudes = (0..400_000).map(|i| 100.0 * 2f64.powf(-f64::from(i) / 8500.0) as f32);
        magnitudes.flat_map(|x| [x, -x]).collect()
    }

    /// The largest error of F over the inputs: absolute, and relative where the result is normal.
    fn errors<F: Function>(inputs: &[f32], exact: impl Fn(f64) -> f64) -> (f64, f64) {
        let each = |(x, y): (&f32, &f32)| {
            let exact = exact(f64::from(*x));
            let error = (f64::from(*y) - exact).abs();
            let normal = exact.abs() > f64::from(f32::MIN_POSITIVE) && exact.abs() < f64::from(f32::MAX);
            (if exact.abs() < 1e3 { error } else { 0.0 }, if normal { error / exact.abs() } else { 0.0 })
        };
        let results = mapped::<F>(inputs);
        inputs
            .iter()
            .zip(&results)
            .map(each)
            .fold((0.0, 0.0), |worst, error| (worst.0.max(error.0), worst.1.max(error.1)))
    }

    #[test]
    fn functions_err_by_about_a_unit_in_the_last_place() {
        let inputs = inputs();
        let worst = forced::each(|level| {
            let exp = errors::<Exp>(&inputs, f64::exp).1;
            let tanh = errors::<Tanh>(&inputs, f64::tanh);
            let elu = errors::<Elu>(&inputs, |x| if x > 0.0 { x } else { x.exp_m1() });
            let near: Vec<f32> = inputs.iter().copied().filter(|x| x.abs() < 80.0).collect();
            let silu = errors::<Silu>(&near, |x| x / (1.0 + (-x).exp()));
            assert!(exp < 2e-7, "{level:?}: exp {exp}");
            assert!(tanh.0 < 1.5e-7 && tanh.1 < 3e-7, "{level:?}: tanh {tanh:?}");
            assert!(elu.0 < 1.5e-7 && elu.1 < 3e-7, "{level:?}: elu {elu:?}");
            assert!(silu.1 < 4e-7, "{level:?}: silu {silu:?}");
        });
        assert!(!worst.is_empty());
        let logs = inputs.iter().filter(|x| **x > 0.0).map(|x| {
            let exact = f64::from(*x).ln();
            ((f64::from(log(*x)) - exact) / exact.abs().max(1e-30)).abs()
        });
        assert!(logs.fold(0.0, f64::max) < 2e-7);
    }

    #[test]
    fn ends_are_limits_and_nan_stays() {
        let ends = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.0, -0.0, 1e30, -1e30, 88.7, -103.9, -120.0];
        forced::each(|level| {
            let exp = mapped::<Exp>(&ends);
            assert_eq!(
                (exp[0], exp[1], exp[3], exp[4], exp[5], exp[6]),
                (f32::INFINITY, 0.0, 1.0, 1.0, f32::INFINITY, 0.0)
            );
            assert!((exp[7] / 3.3266e38 - 1.0).abs() < 1e-3 && exp[8] > 0.0 && exp[8] < 3e-45 && exp[9] == 0.0);
            let tanh = mapped::<Tanh>(&ends);
            assert_eq!((tanh[0], tanh[1], tanh[5], tanh[6], tanh[7]), (1.0, -1.0, 1.0, -1.0, 1.0));
            assert_eq!((tanh[3].to_bits(), tanh[4].to_bits()), (0, (-0.0f32).to_bits()));
            let elu = mapped::<Elu>(&ends);
            assert_eq!((elu[0], elu[1], elu[3], elu[5], elu[6]), (f32::INFINITY, -1.0, 0.0, 1e30, -1.0));
            let relu = mapped::<Relu>(&ends);
            assert_eq!((relu[0], relu[1], relu[3], relu[6]), (f32::INFINITY, 0.0, 0.0, 0.0));
            let silu = mapped::<Silu>(&ends);
            assert_eq!((silu[0], silu[3], silu[5]), (f32::INFINITY, 0.0, 1e30));
            let nans = [exp[2], tanh[2], elu[2], relu[2], silu[2], log(f32::NAN)];
            assert!(nans.iter().all(|value| value.is_nan()), "{level:?}: {nans:?}");
        });
    }
}

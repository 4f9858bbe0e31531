//! Random numbers that are a function of their key: no state, no order, the same on every machine.
//!
//! Philox4x32-10 turns (seed, stream, counter, block) into four words; uniform and normal numbers come from disjoint
//! blocks. Source: Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3 (SC'11).

use super::activation::log;

/// Names the numbers of one decision: the same key gives the same numbers, different keys independent ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub seed: u64,
    /// Who draws, such as a slot.
    pub stream: u64,
    /// How often it drew before, modulo 2⁴⁸.
    pub counter: u64,
}

/// The block from which uniform numbers are taken; normal numbers are taken from block 0.
const UNIFORM: usize = 0x8000;
/// The block that names the keys of further numbers.
const DERIVED: usize = 0xFFFF;
/// Normal numbers at once: those of two blocks.
const BATCH: usize = 8;

/// Ten rounds of Philox on a counter of four words under a key of two; out of line, where its latency is that of scalars.
#[inline(never)]
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut c0, mut c1, mut c2, mut c3], [mut k0, mut k1]) = (counter, key);
    for _ in 0..10 {
        let (left, right) = (u64::from(c0) * 0xD251_1F53, u64::from(c2) * 0xCD9E_8D57);
        (c0, c1, c2, c3) = ((right >> 32) as u32 ^ c1 ^ k0, right as u32, (left >> 32) as u32 ^ c3 ^ k1, left as u32);
        (k0, k1) = (k0.wrapping_add(0x9E37_79B9), k1.wrapping_add(0xBB67_AE85));
    }
    [c0, c1, c2, c3]
}

impl Key {
    /// Four words of a block below 2¹⁶.
    #[inline(always)]
    fn block(self, block: usize) -> [u32; 4] {
        let high = ((self.counter >> 32) as u32 & 0xFFFF) | (block as u32) << 16;
        let counter = [self.counter as u32, high, self.stream as u32, (self.stream >> 32) as u32];
        philox(counter, [self.seed as u32, (self.seed >> 32) as u32])
    }

    /// The `index`-th uniform number, in [0, 1), a multiple of 2⁻²⁴; `index` < 2¹⁷.
    #[inline(always)]
    pub fn uniform(self, index: usize) -> f32 {
        (self.block(UNIFORM + index / 4)[index % 4] >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// A key of its own for numbers of which nobody knows beforehand how many there will be.
    pub(super) fn derived(self) -> Key {
        let words = self.block(DERIVED).map(u64::from);
        Key { seed: words[0] | words[1] << 32, stream: words[2] | words[3] << 32, counter: 0 }
    }

    /// The `attempt`-th pair of a standard normal number and one in (0, 1); `attempt` < 2¹⁵.
    pub(super) fn trial(self, attempt: usize) -> (f64, f64) {
        let words = self.block(attempt);
        let part = |word: u32| (f64::from(word) + 0.5) * (1.0 / 4_294_967_296.0);
        let radius = (-2.0 * log(part(words[0]) as f32)).sqrt();
        (f64::from(radius * turn(words[1] as i32).1), part(words[2]))
    }

    /// The first standard normal numbers, at most 2¹⁷, within ±6.8; each pair from two words.
    ///
    /// Source: Box and Muller 1958.
    #[inline(always)]
    pub fn normals(self, out: &mut [f32]) {
        for (batch, numbers) in out.chunks_mut(BATCH).enumerate() {
            let (first, second) = (self.block(2 * batch), self.block(2 * batch + 1));
            let words = [first[0], first[2], second[0], second[2], first[1], first[3], second[1], second[3]];
            let mut pairs = [0.0; BATCH];
            for i in 0..BATCH / 2 {
                let radius = (-2.0 * log((words[i] as f32 + 0.5) * (1.0 / 4_294_967_296.0))).sqrt();
                let (sine, cosine) = turn(words[i + BATCH / 2] as i32);
                (pairs[i], pairs[i + BATCH / 2]) = (radius * cosine, radius * sine);
            }
            numbers.copy_from_slice(&pairs[..numbers.len()]);
        }
    }
}

/// Sine and cosine of `angle` · 2⁻³² turns.
///
/// Source: Cephes `sinf` and `cosf` (Moshier 1989) on an eighth of a turn to each side of the nearest quarter.
#[inline(always)]
fn turn(angle: i32) -> (f32, f32) {
    let quarter = (angle.wrapping_add(1 << 29) as u32) >> 30;
    let rest = angle.wrapping_sub((quarter << 30) as i32);
    let x = rest as f32 * (std::f32::consts::TAU / 4_294_967_296.0);
    let square = x * x;
    let sine = ((-1.951_529_6e-4 * square + 8.332_161e-3) * square - 1.666_665_5e-1) * square * x + x;
    let cosine = ((2.443_315_7e-5 * square - 1.388_731_6e-3) * square + 4.166_664_6e-2) * square * square;
    let cosine = cosine - 0.5 * square + 1.0;
    let (along, across) = if quarter & 1 == 0 { (cosine, sine) } else { (sine, cosine) };
    let sine_sign = (quarter & 2) << 30;
    let cosine_sign = (quarter.wrapping_add(1) & 2) << 30;
    (f32::from_bits(across.to_bits() ^ sine_sign), f32::from_bits(along.to_bits() ^ cosine_sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: `kat_vectors` of Random123, philox4x32 with 10 rounds.
    #[test]
    fn philox_gives_the_published_vectors() {
        let all = u32::MAX;
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([all; 4], [all; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let counter = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        let words = philox(counter, [0xa409_3822, 0x299f_31d0]);
        assert_eq!(words, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn sines_are_sines_all_the_way_round() {
        for i in 0..100_000u32 {
            let angle = (i * 42_949) as i32;
            let (sine, cosine) = turn(angle);
            let exact = f64::from(angle) * std::f64::consts::TAU / 4_294_967_296.0;
            assert!((f64::from(sine) - exact.sin()).abs() < 1.2e-7 && (f64::from(cosine) - exact.cos()).abs() < 1.2e-7);
        }
    }

    #[test]
    fn numbers_have_the_moments_of_their_distribution() {
        const COUNT: usize = 200_000;
        let (mut numbers, mut moments, mut uniform, mut product) = ([0.0; 11], [0.0f64; 5], [0.0f64; 3], 0.0);
        for counter in 0..COUNT as u64 {
            let key = Key { seed: 42, stream: 1 << 40, counter };
            key.normals(&mut numbers);
            for x in numbers.map(f64::from) {
                (1..5).for_each(|k| moments[k] += x.powi(k as i32) / (COUNT * 11) as f64);
            }
            product += f64::from(numbers[0] * numbers[4]) / COUNT as f64;
            let u = [0, 5].map(|index| f64::from(key.uniform(index)));
            assert!((0.0..1.0).contains(&u[0]));
            (uniform[0], uniform[1]) = (uniform[0] + u[0] / COUNT as f64, uniform[1] + u[0] * u[0] / COUNT as f64);
            uniform[2] += u[0] * u[1] / COUNT as f64;
        }
        let errors = [moments[1], moments[2] - 1.0, moments[3], moments[4] - 3.0, product];
        assert!(errors.iter().all(|error| error.abs() < 0.015), "{errors:?}");
        let errors = [uniform[0] - 0.5, uniform[1] - 1.0 / 3.0, uniform[2] - 0.25];
        assert!(errors.iter().all(|error| error.abs() < 0.004), "{errors:?}");
    }

    #[test]
    fn keys_differ_in_every_part() {
        let key = Key { seed: 1, stream: 2, counter: 3 };
        let numbers = |key: Key| {
            let mut numbers = [0.0; 4];
            key.normals(&mut numbers);
            (numbers.map(f32::to_bits), key.uniform(0).to_bits())
        };
        assert_eq!(numbers(key), numbers(key));
        let high = 1 << 33;
        for other in [
            Key { seed: 2, ..key },
            Key { seed: 1 + high, ..key },
            Key { stream: 3, ..key },
            Key { stream: 2 + high, ..key },
            Key { counter: 4, ..key },
            Key { counter: 3 + high, ..key },
        ] {
            assert!(numbers(key).0 != numbers(other).0 && numbers(key).1 != numbers(other).1, "{other:?}");
        }
    }
}

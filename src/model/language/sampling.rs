//! Which token comes next: filters, the inverse of the cumulative distribution, and the random stream of a row.
//!
//! Works on one row of probabilities at a time and knows nothing of the others, so a row's text depends on its seed and
//! its prompt alone.

use crate::error::{Error, Result, Status};
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What may be sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Filter {
    /// The k likeliest, and those as likely as the last of them; 0 = all.
    pub top_k: usize,
    /// The likeliest whose probabilities reach this sum; 1 = all.
    pub top_p: f64,
}

/// The uniform numbers of one row, one per token.
pub(super) struct Stream(ChaCha8Rng);

impl Stream {
    /// Keyed by the seed, the prompt's tokens and how often the batch had that prompt before.
    pub fn new(seed: u64, prompt: &[i32], occurrence: u64) -> Stream {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..24].copy_from_slice(&digest(prompt).to_le_bytes());
        key[24..].copy_from_slice(&occurrence.to_le_bytes());
        Stream(ChaCha8Rng::from_seed(key))
    }

    /// The next number in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// FNV-1a over the tokens, 128 bits.
fn digest(tokens: &[i32]) -> u128 {
    let bytes = tokens.iter().flat_map(|token| token.to_le_bytes());
    bytes.fold(0x6c62272e07bb014262b821756295c58d, |hash: u128, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000000001000000000000000000013b)
    })
}

/// The first of the largest values; `NonFinite` if one is NaN.
pub(super) fn likeliest(values: &[f32], forbidden: &[i32]) -> Result<usize> {
    let mut best: Option<usize> = None;
    for (token, value) in values.iter().enumerate() {
        if value.is_nan() {
            return Err(not_finite());
        }
        if best.is_none_or(|best| *value > values[best]) && !forbidden.contains(&(token as i32)) {
            best = Some(token);
        }
    }
    best.ok_or_else(nothing_left)
}

/// The token at `uniform` in the cumulative distribution of what `filter` leaves of `probabilities`, in the order of the
/// vocabulary. `NonFinite` if they do not sum to a positive number.
pub(super) fn choose(probabilities: &[f32], forbidden: &[i32], filter: Filter, uniform: f64) -> Result<usize> {
    let mass = |token: usize| match forbidden.contains(&(token as i32)) {
        true => 0.0,
        false => f64::from(probabilities[token]),
    };
    match candidates(probabilities.len(), mass, filter) {
        None => invert(0..probabilities.len(), mass, uniform),
        Some(kept) => invert(kept.iter().copied(), mass, uniform),
    }
}

fn invert(tokens: impl Iterator<Item = usize> + Clone, mass: impl Fn(usize) -> f64, uniform: f64) -> Result<usize> {
    let total: f64 = tokens.clone().map(&mass).sum();
    if !total.is_finite() {
        return Err(not_finite());
    }
    let (mut sum, mut last) = (0.0, None);
    for token in tokens {
        let part = mass(token);
        sum += part;
        if part > 0.0 {
            last = Some(token);
            if sum > uniform * total {
                return Ok(token);
            }
        }
    }
    last.ok_or_else(nothing_left)
}

/// The tokens that the filter leaves, ascending; `None` = all.
fn candidates(count: usize, mass: impl Fn(usize) -> f64, filter: Filter) -> Option<Vec<usize>> {
    let top_k = filter.top_k > 0 && filter.top_k < count;
    if !top_k && filter.top_p >= 1.0 {
        return None;
    }
    let mut kept: Vec<usize> = (0..count).filter(|token| mass(*token) > 0.0).collect();
    let falling = |a: &usize, b: &usize| mass(*b).total_cmp(&mass(*a)).then(a.cmp(b));
    if top_k && kept.len() > filter.top_k {
        let (_, last, _) = kept.select_nth_unstable_by(filter.top_k - 1, falling);
        let least = mass(*last);
        kept.retain(|token| mass(*token) >= least);
    }
    if filter.top_p < 1.0 {
        let total: f64 = kept.iter().map(|token| mass(*token)).sum();
        // what is below this cannot reach the nucleus even together; it saves sorting the vocabulary
        let negligible = (1.0 - filter.top_p) * total / kept.len().max(1) as f64;
        let nucleus_floor = (1.0 - filter.top_p) * total;
        kept.retain(|token| mass(*token) >= negligible);
        kept.sort_unstable_by(falling);
        let mut rest = total;
        let inside = kept.iter().take_while(|token| {
            let reached = rest > nucleus_floor;
            rest -= mass(**token);
            reached
        });
        let size = inside.count().max(1);
        kept.truncate(size);
    }
    kept.sort_unstable();
    Some(kept)
}

fn not_finite() -> Error {
    Error::new(Status::NonFinite, "generate: the model's logits are not finite")
}

fn nothing_left() -> Error {
    Error::new(Status::NonFinite, "generate: no token is left to sample")
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::SafeTensors;

    const GOLDEN: &[u8] = include_bytes!("../../../tests/golden/extras/sampling/vectors.safetensors");

    fn rows(name: &str) -> Vec<Vec<f32>> {
        let file = SafeTensors::deserialize(GOLDEN).unwrap();
        let view = file.tensor(name).unwrap();
        let values: Vec<f32> = view.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        values.chunks(view.shape()[1]).map(<[f32]>::to_vec).collect()
    }

    fn softmax(logits: &[f32]) -> Vec<f32> {
        let total: f64 = logits.iter().map(|x| f64::from(*x).exp()).sum();
        logits.iter().map(|x| (f64::from(*x).exp() / total) as f32).collect()
    }

    #[test]
    fn filters_keep_what_transformers_keeps() {
        let cases: [(&str, usize, f64); 6] = [
            ("top_k_1", 1, 1.0),
            ("top_k_7", 7, 1.0),
            ("top_k_100", 100, 1.0),
            ("top_p_0.1", 0, 0.1),
            ("top_p_0.9", 0, 0.9),
            ("top_p_1.0", 0, 1.0),
        ];
        for (name, top_k, top_p) in cases {
            for (index, (logits, expected)) in rows("logits").iter().zip(rows(&format!("out.{name}"))).enumerate() {
                let p = softmax(logits);
                let all: Vec<usize> = (0..p.len()).collect();
                let kept = candidates(p.len(), |token| f64::from(p[token]), Filter { top_k, top_p }).unwrap_or(all);
                let finite: Vec<usize> = (0..p.len()).filter(|token| expected[*token].is_finite()).collect();
                match index {
                    // row 3 is one tie: which of the equals stay is the sort's choice, how many is not
                    3 => assert_eq!(kept.len(), finite.len(), "{name}"),
                    _ => assert_eq!(kept, finite, "{name} row {index}"),
                }
            }
        }
    }

    #[test]
    fn the_inverse_walks_the_vocabulary() {
        let p = [0.25, 0.5, 0.0, 0.25];
        let all = Filter { top_k: 0, top_p: 1.0 };
        let chosen = |uniform: f64| choose(&p, &[], all, uniform).unwrap();
        assert_eq!([0.0, 0.2499, 0.25, 0.7499, 0.75, 0.999_999].map(chosen), [0, 0, 1, 1, 3, 3]);
        assert_eq!(choose(&p, &[1], all, 0.5).unwrap(), 3);
        assert_eq!(choose(&p, &[], Filter { top_k: 1, top_p: 1.0 }, 0.99).unwrap(), 1);
        assert_eq!(choose(&p, &[0, 1, 3], all, 0.5).unwrap_err().status, Status::NonFinite);
        assert_eq!(choose(&[0.5, f32::NAN], &[], all, 0.5).unwrap_err().status, Status::NonFinite);
        assert_eq!(likeliest(&[1.0, 3.0, 3.0], &[]).unwrap(), 1);
        assert_eq!(likeliest(&[1.0, 3.0, 3.0], &[1]).unwrap(), 2);
    }

    #[test]
    fn streams_differ_by_seed_prompt_and_occurrence_and_repeat() {
        let first = |seed, prompt: &[i32], occurrence| Stream::new(seed, prompt, occurrence).uniform();
        let base = first(1, &[5, 6], 0);
        assert_eq!(base, first(1, &[5, 6], 0));
        for other in [first(2, &[5, 6], 0), first(1, &[6, 5], 0), first(1, &[5], 0), first(1, &[5, 6], 1)] {
            assert_ne!(base, other);
        }
        let mut stream = Stream::new(0, &[1], 0);
        let mean = (0..4000).map(|_| stream.uniform()).sum::<f64>() / 4000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}

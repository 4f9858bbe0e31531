//! The chunked head: forward against log_softmax in float64, backward against autograd and finite differences.

use super::*;
use keel::error::Status;
use keel::torch::token_log_probs;

const ALL: usize = usize::MAX;

/// What a whole [N, V] softmax in float64 says: log-probabilities and entropies.
fn reference(hidden: &Tensor, head: &Tensor, targets: &Tensor, temperature: f64) -> (Tensor, Tensor) {
    let logits = hidden.to_kind(Kind::Double).matmul(&head.to_kind(Kind::Double).tr()) / temperature;
    let table = logits.log_softmax(1, Kind::Double);
    let entropies = -(table.exp() * &table).sum_dim_intlist(1, false, Kind::Double);
    (table.gather(1, &targets.unsqueeze(1), false).squeeze_dim(1), entropies)
}

struct Case {
    hidden: Tensor,
    head: Tensor,
    targets: Tensor,
}

fn case(rows: i64, vocabulary: i64, width: i64) -> Case {
    Case {
        hidden: normal(1, &[rows, width], 1.0).set_requires_grad(true),
        head: normal(2, &[vocabulary, width], 0.7).set_requires_grad(true),
        targets: integers(3, rows, vocabulary),
    }
}

/// d/d(hidden, head) of Σ aₙ log pₙ + bₙ Hₙ with fixed a, b.
fn gradients(log_probs: &Tensor, entropies: &Tensor, inputs: &[&Tensor]) -> Vec<Tensor> {
    let outer = normal(4, &[2, log_probs.size()[0]], 1.0).to_kind(log_probs.kind());
    let loss = (log_probs * outer.get(0) + entropies * outer.get(1)).sum(log_probs.kind());
    Tensor::run_backward(&[loss], inputs, false, false)
}

#[test]
fn three_tokens_by_hand() {
    let hidden = Tensor::from_slice(&[1.0f32, 1.0]).view([2, 1]);
    let head = Tensor::from_slice(&[0.0f32, 2f32.ln(), 5f32.ln()]).view([3, 1]);
    let targets = Tensor::from_slice(&[1i64, 2]);
    // weights 1 : 2 : 5 at temperature 1, their squares 1 : 4 : 25 at temperature 1/2
    for (temperature, [a, b, c]) in [(1.0, [1.0, 2.0, 5.0f64]), (0.5, [1.0, 4.0, 25.0])] {
        let (log_probs, entropies) = token_log_probs(&hidden, &head, &targets, temperature, ALL).unwrap();
        let total = a + b + c;
        let entropy = total.ln() - (a * a.ln() + b * b.ln() + c * c.ln()) / total;
        let pairs = [(&log_probs, [(b / total).ln(), (c / total).ln()]), (&entropies, [entropy, entropy])];
        for (tensor, expected) in pairs {
            for (value, expected) in values(tensor).iter().zip(expected) {
                assert!((value - expected).abs() < 1e-6, "{value} {expected}");
            }
        }
    }
}

#[test]
fn forward_is_the_softmax_whatever_the_tiles() {
    for (rows, vocabulary) in [(1, 1), (3, 7), (5, 16), (70, 33), (4, 1000), (66, 3000), (130, 2049)] {
        let case = case(rows, vocabulary, 24);
        for temperature in [0.5, 1.0, 1.3] {
            let (expected, spread) = reference(&case.hidden, &case.head, &case.targets, temperature);
            for tile_bytes in [0, 3000, 100_000, ALL] {
                let (log_probs, entropies) =
                    token_log_probs(&case.hidden, &case.head, &case.targets, temperature, tile_bytes).unwrap();
                assert_eq!((log_probs.kind(), log_probs.size()), (Kind::Float, vec![rows]));
                let (first, second) = (distance(&log_probs, &expected), distance(&entropies, &spread));
                assert!(first < 1e-5 && second < 1e-5, "{rows} {vocabulary} {tile_bytes}: {first} {second}");
            }
        }
    }
}

#[test]
fn backward_is_that_of_the_softmax_whatever_the_tiles() {
    for (rows, vocabulary) in [(1, 1), (3, 7), (70, 33), (66, 3000), (130, 2049)] {
        let Case { hidden, head, targets } = case(rows, vocabulary, 24);
        for temperature in [0.5, 1.3] {
            let (log_probs, entropies) = reference(&hidden, &head, &targets, temperature);
            let expected = gradients(&log_probs, &entropies, &[&hidden, &head]);
            for tile_bytes in [0, 3000, 100_000, ALL] {
                let (log_probs, entropies) =
                    token_log_probs(&hidden, &head, &targets, temperature, tile_bytes).unwrap();
                for (ours, theirs) in gradients(&log_probs, &entropies, &[&hidden, &head]).iter().zip(&expected) {
                    let error = distance(ours, theirs) / (1.0 + theirs.abs().max().double_value(&[]));
                    assert!(error < 5e-6, "{rows} {vocabulary} {temperature} {tile_bytes}: {error}");
                }
            }
        }
    }
}

#[test]
fn finite_differences_agree_in_float64() {
    let case = case(5, 40, 3);
    let [hidden, head] = [&case.hidden, &case.head].map(|tensor| tensor.detach().to_kind(Kind::Double));
    let outer = normal(4, &[2, 5], 1.0).to_kind(Kind::Double);
    for tile_bytes in [0, 8 * 4 * 4 * 20, ALL] {
        let leaves = [&hidden, &head].map(|tensor| tensor.copy().set_requires_grad(true));
        let loss = || {
            let (log_probs, entropies) =
                token_log_probs(&leaves[0], &leaves[1], &case.targets, 0.8, tile_bytes).unwrap();
            (log_probs * outer.get(0) + entropies * outer.get(1)).sum(Kind::Double)
        };
        let analytic = Tensor::run_backward(&[loss()], &leaves.iter().collect::<Vec<_>>(), false, false);
        let _guard = tch::no_grad_guard();
        for (leaf, analytic) in leaves.iter().zip(&analytic) {
            let (mut flat, analytic) = (leaf.view(-1), values(analytic));
            for (index, &analytic) in analytic.iter().enumerate() {
                let [above, below] = [1e-5, -2e-5].map(|change| {
                    flat = flat.view(-1);
                    let _ = flat.get(index as i64).f_add_scalar_(change).unwrap();
                    loss().double_value(&[])
                });
                let _ = flat.get(index as i64).f_add_scalar_(1e-5).unwrap();
                assert!(((above - below) / 2e-5 - analytic).abs() < 1e-8, "{index}: {above} {below} {analytic}");
            }
        }
    }
}

#[test]
fn each_output_carries_its_gradient_alone() {
    let Case { hidden, head, targets } = case(9, 50, 8);
    let expected = reference(&hidden, &head, &targets, 1.0);
    let ours = token_log_probs(&hidden, &head, &targets, 1.0, ALL).unwrap();
    for (ours, expected) in [(&ours.0, &expected.0), (&ours.1, &expected.1)] {
        let [ours, expected] =
            [ours, expected].map(|out| Tensor::run_backward(&[out.sum(out.kind())], &[&hidden, &head], true, false));
        assert!(distance(&ours[0], &expected[0]) < 1e-5 && distance(&ours[1], &expected[1]) < 1e-5);
    }
}

#[test]
fn a_frozen_head_gets_no_gradient_and_no_grad_mode_makes_no_graph() {
    let Case { hidden, head, targets } = case(9, 50, 8);
    let frozen = head.detach();
    let (log_probs, _) = token_log_probs(&hidden, &frozen, &targets, 1.0, ALL).unwrap();
    log_probs.sum(Kind::Float).backward();
    assert!(hidden.grad().defined() && !frozen.grad().defined());
    let _guard = tch::no_grad_guard();
    assert!(!token_log_probs(&hidden, &head, &targets, 1.0, ALL).unwrap().0.requires_grad());
}

#[test]
fn the_bits_of_a_row_do_not_depend_on_its_company() {
    for (vocabulary, width, tile_bytes) in [(512, 64, ALL), (3000, 200, ALL), (3000, 200, 40_000)] {
        let Case { hidden, head, targets } = case(150, vocabulary, width);
        let run = |start: i64, count: i64| {
            let part = hidden.detach().narrow(0, start, count).copy().set_requires_grad(true);
            let labels = targets.narrow(0, start, count);
            let (log_probs, entropies) = token_log_probs(&part, &head, &labels, 0.9, tile_bytes).unwrap();
            let slope = Tensor::run_backward(&[(&log_probs - &entropies).sum(Kind::Float)], &[&part], false, false);
            [bits(&log_probs), bits(&entropies), bits(&slope[0])]
        };
        let whole = run(0, 150);
        for (start, count) in [(0, 1), (0, 2), (0, 3), (0, 5), (7, 1), (13, 64), (100, 50), (1, 149), (149, 1)] {
            for (part, whole) in run(start, count).iter().zip(&whole) {
                let size = part.len() / count as usize;
                let from = start as usize * size;
                assert!(part[..] == whole[from..from + part.len()], "{vocabulary} {tile_bytes}: {start} {count}");
            }
        }
    }
}

#[test]
fn extreme_logits_stay_finite_and_a_nan_stays_in_its_row() {
    let hidden = Tensor::from_slice(&[1.0f32, -1.0, f32::NAN, 0.0]).view([4, 1]);
    let head = Tensor::from_slice(&[-2e4f32, 0.0, 2e4]).view([3, 1]);
    let targets = Tensor::from_slice(&[2i64, 2, 0, 0]);
    let (log_probs, entropies) = token_log_probs(&hidden, &head, &targets, 1.0, ALL).unwrap();
    let (log_probs, entropies) = (values(&log_probs), values(&entropies));
    assert_eq!((log_probs[0], entropies[0]), (0.0, 0.0));
    assert_eq!((log_probs[1], entropies[1]), (-4e4, 0.0));
    assert!(log_probs[2].is_nan() && entropies[2].is_nan());
    assert!((log_probs[3] + 3f64.ln()).abs() < 1e-6 && (entropies[3] - 3f64.ln()).abs() < 1e-6);
}

#[test]
fn bfloat16_is_computed_in_float32() {
    let Case { hidden, head, targets } = case(20, 300, 16);
    let [hidden, head] = [hidden, head].map(|tensor| tensor.detach().to_kind(Kind::BFloat16).set_requires_grad(true));
    let ours = token_log_probs(&hidden, &head, &targets, 1.0, ALL).unwrap();
    let theirs = reference(&hidden, &head, &targets, 1.0);
    assert_eq!(ours.0.kind(), Kind::Float);
    assert!(distance(&ours.0, &theirs.0) < 1e-5 && distance(&ours.1, &theirs.1) < 1e-5);
    let [ours, theirs] = [ours, theirs].map(|(first, second)| gradients(&first, &second, &[&hidden, &head]));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours.kind(), Kind::BFloat16);
        assert!(distance(ours, theirs) < 0.01 * theirs.abs().max().double_value(&[]));
    }
}

#[test]
fn no_rows_are_no_work() {
    let Case { hidden, head, targets } = case(0, 20, 4);
    let (log_probs, entropies) = token_log_probs(&hidden, &head, &targets, 1.0, ALL).unwrap();
    assert_eq!((log_probs.size(), entropies.size()), (vec![0], vec![0]));
    let slopes = Tensor::run_backward(&[log_probs.sum(Kind::Float)], &[&hidden, &head], false, false);
    assert_eq!((slopes[0].size(), slopes[1].abs().max().double_value(&[])), (vec![0, 4], 0.0));
}

#[test]
fn what_does_not_fit_is_refused_in_a_sentence() {
    let Case { hidden, head, targets } = case(4, 20, 8);
    let wide = normal(2, &[20, 9], 1.0);
    let far = Tensor::from_slice(&[0i64, 1, 20, 2]);
    let short = targets.to_kind(Kind::Int);
    let refused = [
        (
            token_log_probs(&hidden, &wide, &targets, 1.0, ALL),
            "expected hidden [N, d] and head [V, d], got [4, 8], [20, 9]",
        ),
        (token_log_probs(&hidden, &head, &targets.narrow(0, 0, 3), 1.0, ALL), "expected targets as int64 [4], got [3]"),
        (token_log_probs(&hidden, &head, &short, 1.0, ALL), "expected targets as int64 [4]"),
        (token_log_probs(&hidden, &head, &far, 1.0, ALL), "target 20 of a vocabulary of 20"),
        (token_log_probs(&hidden, &head, &(&targets - 20), 1.0, ALL), "of a vocabulary of 20"),
        (token_log_probs(&hidden, &head, &targets, 0.0, ALL), "expected a temperature in [1e-6, 1e6], got 0"),
        (token_log_probs(&hidden, &head, &targets, f64::NAN, ALL), "expected a temperature"),
    ];
    for (result, sentence) in refused {
        let error = result.unwrap_err();
        assert!(error.message.starts_with("token_log_probs: ") && error.message.contains(sentence), "{error}");
        assert_eq!(error.status, Status::Internal);
    }
    let (log_probs, _) = token_log_probs(&hidden, &head, &targets, 1.0, ALL).unwrap();
    assert!(Tensor::f_run_backward(&[log_probs.sum(Kind::Float)], &[&hidden], true, true).is_err());
}

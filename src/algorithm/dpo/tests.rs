//! The preference family against values worked by hand (alignment's tables), and its degenerate pairs.

use super::*;

/// One pair whose chosen response gained 2 nats on the reference and whose rejected one lost 1.
fn pair() -> (Scores, Columns) {
    let log_probs = Tensor::from_slice(&[-1f32, -2.0, -3.0, -9.0]).reshape([2, 2]);
    let mask = Tensor::from_slice(&[true, true, true, false]).reshape([2, 2]);
    let scores = Scores::of(&log_probs, &mask);
    let mut columns = Columns::new(1);
    columns.insert("reference_log_probs", Tensor::from_slice(&[-2f32, -3.0, -2.0, -7.0]).reshape([2, 2]));
    columns.insert("probability", Tensor::from_slice(&[1f32]));
    (scores, columns)
}

fn metric(loss: &Loss, name: &str) -> f64 {
    loss.metrics.iter().find(|(known, _)| *known == name).unwrap().1.double_value(&[])
}

#[test]
fn loss_equals_the_value_worked_by_hand() {
    let (scores, columns) = pair();
    let loss = Dpo::new(Config::default()).loss(&scores, &columns).unwrap();
    assert!((loss.total.double_value(&[]) - 0.554355).abs() < 1e-6);
    assert_eq!(metric(&loss, "preference/accuracy"), 1.0);
    assert!((metric(&loss, "preference/margin") - 0.3).abs() < 1e-6);
}

#[test]
fn anchor_adds_the_token_mean_of_the_chosen_response() {
    let (scores, columns) = pair();
    let loss = Dpo::new(Config { nll_coef: 2.0, ..Config::default() }).loss(&scores, &columns).unwrap();
    assert!((loss.total.double_value(&[]) - (0.554355 + 2.0 * 1.5)).abs() < 1e-6);
}

#[test]
fn loss_at_the_reference_is_log_two() {
    let (scores, mut columns) = pair();
    columns.insert("reference_log_probs", scores.log_probs.copy());
    let loss = Dpo::new(Config::default()).loss(&scores, &columns).unwrap();
    assert!((loss.total.double_value(&[]) - std::f64::consts::LN_2).abs() < 1e-6);
}

/// One pair with r_c = 2 and r_r = −1, of two tokens and one.
fn loss(settings: Config) -> f64 {
    let (scores, columns) = pair();
    settings.check().unwrap();
    Dpo::new(settings).loss(&scores, &columns).unwrap().total.double_value(&[])
}

#[test]
fn every_loss_equals_the_value_worked_by_hand() {
    let values = [
        (PairLoss::Sigmoid, 0.1, 0.584355),
        (PairLoss::Robust, 0.1, 0.516855),
        (PairLoss::Hinge, 0.0, 0.7),
        (PairLoss::Ipo, 0.0, 4.0),
        (PairLoss::ExoPair, 0.1, 0.358383),
        (PairLoss::NcaPair, 0.0, 1.319407),
        (PairLoss::BcoPair, 0.0, 1.242536),
        (PairLoss::SppoHard, 0.0, 25.0),
        (PairLoss::ApoZero, 0.0, 0.925187),
        (PairLoss::ApoDown, 0.0, 0.975391),
        (PairLoss::Discopop, 0.0, 0.740357),
        (PairLoss::Aot, 0.0, 0.554355),
        (PairLoss::AotUnpaired, 0.0, 0.554355),
    ];
    for (kind, label_smoothing, expected) in values {
        let found = loss(Config { loss: kind, label_smoothing, ..Config::default() });
        assert!((found - expected).abs() < 1e-5, "{kind:?}: {found}, expected {expected}");
    }
}

#[test]
fn averaged_responses_are_divided_by_their_lengths() {
    let settings = Config { loss: PairLoss::Ipo, ratio: PairRatio::SequenceMean, ..Config::default() };
    assert!((loss(settings) - (2.0f64 - 5.0).powi(2)).abs() < 1e-5, "Δ̄ = 2/2 + 1/1");
}

#[test]
fn an_unsure_pair_counts_both_ways_round() {
    let (scores, mut columns) = pair();
    columns.insert("probability", Tensor::from_slice(&[0.7f32]));
    let of = |loss| {
        let total = Dpo::new(Config { loss, ..Config::default() }).loss(&scores, &columns).unwrap().total;
        total.double_value(&[])
    };
    assert!((of(PairLoss::Sigmoid) - 0.644355).abs() < 1e-5, "−0.7 log σ(0.3) − 0.3 log σ(−0.3)");
    assert!((of(PairLoss::Hinge) - (0.7 * 0.7 + 0.3 * 1.3)).abs() < 1e-5);
    assert!((of(PairLoss::SppoHard) - (0.7 * 25.0 + 0.3 * 85.0)).abs() < 1e-3);
    assert!(Dpo::new(Config { loss: PairLoss::Aot, ..Config::default() }).needs().columns.is_empty());
}

#[test]
fn pairs_far_apart_stay_finite() {
    for (chosen, rejected) in [(1e4f32, -1e4f32), (-1e4, 1e4), (0.0, 0.0)] {
        let (_, mut columns) = pair();
        let log_probs = Tensor::from_slice(&[chosen.min(0.0), 0.0, rejected.min(0.0), 0.0]).reshape([2, 2]);
        let reference = Tensor::from_slice(&[-chosen.max(0.0), 0.0, -rejected.max(0.0), 0.0]).reshape([2, 2]);
        columns.insert("reference_log_probs", reference);
        let mask = Tensor::from_slice(&[true, true, true, false]).reshape([2, 2]);
        for loss in EVERY {
            let log_probs = log_probs.copy().set_requires_grad(true);
            let scores = Scores::of(&log_probs, &mask);
            let label_smoothing = if loss == PairLoss::ExoPair { 0.1 } else { 0.0 };
            let settings = Config { loss, label_smoothing, ..Config::default() };
            let total = Dpo::new(settings).loss(&scores, &columns).unwrap().total;
            total.backward();
            let finite = |x: &Tensor| x.isfinite().all().int64_value(&[]) == 1;
            assert!(finite(&total) && finite(&scores.log_probs.grad()), "{loss:?} at {chosen}, {rejected}");
        }
    }
}

#[test]
fn pairs_of_the_policys_own_kind_weigh_more() {
    let (mut scores, columns) = pair();
    // log p − log Σ p² of −0.5 and −0.3 in the chosen response, −1 in the rejected one
    scores.sharpened = Some(&scores.log_probs + Tensor::from_slice(&[-0.5f32, -0.3, -1.0, 7.0]).reshape([2, 2]));
    let settings = Config { pair_weights: PairWeights::Policy, ..Config::default() };
    assert!(Dpo::new(settings.clone()).needs().sharpened);
    let found = Dpo::new(settings).loss(&scores, &columns).unwrap().total.double_value(&[]);
    assert!((found - (-1.4f64).exp() * 0.554355).abs() < 1e-6, "e^(−0.4) · e^(−1) of a pair");
}

/// Every loss of the family.
const EVERY: [PairLoss; 13] = [
    PairLoss::Sigmoid,
    PairLoss::Robust,
    PairLoss::Hinge,
    PairLoss::Ipo,
    PairLoss::ExoPair,
    PairLoss::NcaPair,
    PairLoss::BcoPair,
    PairLoss::SppoHard,
    PairLoss::ApoZero,
    PairLoss::ApoDown,
    PairLoss::Discopop,
    PairLoss::Aot,
    PairLoss::AotUnpaired,
];

#[test]
fn divergences_bend_the_rewards() {
    let of = |divergence, divergence_alpha| loss(Config { divergence, divergence_alpha, ..Config::default() });
    // the reward of 2 less that of −1
    assert!((of(Divergence::ForwardKl, 0.5) - 0.572316).abs() < 1e-5, "1 − e⁻² + e − 1");
    assert!((of(Divergence::JensenShannon, 0.5) - 0.635588).abs() < 1e-5, "log σ(2) − log σ(−1)");
    assert!((of(Divergence::Alpha, 0.5) - 0.573243).abs() < 1e-5, "2 (√e − 1/e)");
    assert_eq!(of(Divergence::Alpha, 1.0), of(Divergence::ReverseKl, 0.5));
    assert_eq!(of(Divergence::Alpha, 0.0), of(Divergence::ForwardKl, 0.5));
}

#[test]
fn what_the_longer_response_has_beyond_the_shorter_counts_for_less() {
    let of = |length_desensitization| loss(Config { length_desensitization, ..Config::default() });
    assert!((of(0.0) - 0.598139).abs() < 1e-5, "r_c = 1: its second token is not there");
    assert!((of(0.5) - (1.0 + (-0.25f64).exp()).ln()).abs() < 1e-6, "r_c = 1.5");
}

#[test]
fn several_losses_are_added_by_weight() {
    let term = |loss, weight| Term { loss, weight };
    let terms = vec![term(PairLoss::Sigmoid, 0.8), term(PairLoss::BcoPair, 0.2)];
    assert!((loss(Config { terms: terms.clone(), ..Config::default() }) - 0.691991).abs() < 1e-5);
    let anchored = Config { terms, nll_coef: 1.0, ..Config::default() };
    assert!((loss(anchored) - (0.691991 + 1.5)).abs() < 1e-5, "MPO");
}

#[test]
fn a_chosen_response_below_its_reference_is_pulled_up() {
    let (mut scores, columns) = pair();
    scores.log_probs = Tensor::from_slice(&[-3f32, -3.0, -3.0, -9.0]).reshape([2, 2]);
    let settings = |positive_coef| Config { positive_coef, ..Config::default() };
    let of = |config: Config| Dpo::new(config).loss(&scores, &columns).unwrap().total.double_value(&[]);
    // r_c = −1, r_r = −1
    assert!((of(settings(0.0)) - 2f64.ln()).abs() < 1e-6);
    assert!((of(settings(5.0)) - (0.5f64.exp() + 1.0).ln()).abs() < 1e-5);
}

#[test]
fn settings_that_a_loss_cannot_follow_are_refused() {
    let refused =
        |loss, label_smoothing| Config { loss, label_smoothing, ..Config::default() }.check().unwrap_err().message;
    assert!(refused(PairLoss::ExoPair, 0.0).starts_with("/algorithm/label_smoothing: expected"));
    assert!(refused(PairLoss::Robust, 0.5).starts_with("/algorithm/label_smoothing: expected"));
    assert!(refused(PairLoss::Hinge, 0.1).starts_with("/algorithm/label_smoothing: expected 0"));
    let sorted = Config { loss: PairLoss::Aot, pair_weights: PairWeights::Policy, ..Config::default() };
    assert!(sorted.check().unwrap_err().message.starts_with("/algorithm/pair_weights: expected equal"));
    let terms = vec![Term::default(), Term { loss: PairLoss::Robust, weight: 0.5 }];
    let several = Config { terms, label_smoothing: 0.5, ..Config::default() };
    assert!(several.check().unwrap_err().message.contains("less than 0.5 for the loss robust"));
}

#[test]
fn settings_that_a_loss_would_ignore_are_refused() {
    let refused = |config: Config| config.check().unwrap_err().message;
    let anchored = Config { loss: PairLoss::ApoDown, positive_coef: 1.0, ..Config::default() };
    assert!(refused(anchored).starts_with("/algorithm/positive_coef: expected 0"));
    let sorted = Config { loss: PairLoss::Aot, divergence: Divergence::ForwardKl, ..Config::default() };
    assert!(refused(sorted).starts_with("/algorithm/divergence: expected reverse_kl"));
}

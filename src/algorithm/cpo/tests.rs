//! The family without a reference against values worked by hand (alignment's tables), and its degenerate pairs.

use super::*;

/// One pair of two tokens a response, whose log-probabilities have the means −0.5 and −1.2.
fn pair() -> (Scores, Columns) {
    let log_probs = Tensor::from_slice(&[-0.25f32, -0.75, -2.0, -0.4]).reshape([2, 2]);
    let mask = Tensor::from_slice(&[true; 4]).reshape([2, 2]);
    (Scores::of(&log_probs, &mask), Columns::new(1))
}

fn loss_of(scores: &Scores, settings: Config) -> f64 {
    settings.check().unwrap();
    Cpo::new(settings).loss(scores, &Columns::new(1)).unwrap().total.double_value(&[])
}

fn loss(settings: Config) -> f64 {
    loss_of(&pair().0, settings)
}

#[test]
fn every_loss_equals_the_value_worked_by_hand() {
    let settings = |loss| Config { loss, nll_coef: Some(0.0), ..Config::default() };
    let simpo = Config { beta: 2.5, target_margin: 2.5 * 0.55, ..settings(ContrastLoss::Simpo) };
    let values = [
        // Δ = −1 + 2.4 in sums, −0.5 + 1.2 in means
        (settings(ContrastLoss::Sigmoid), (1.0 + (-0.14f64).exp()).ln()),
        (settings(ContrastLoss::Hinge), 0.86),
        (settings(ContrastLoss::Ipo), (0.7f64 - 5.0).powi(2)),
        (simpo, 0.523123),
        (settings(ContrastLoss::Orpo), 0.0246553),
    ];
    for (settings, expected) in values {
        let (name, found) = (settings.loss, loss(settings));
        assert!((found - expected).abs() < 1e-5, "{name:?}: {found}, expected {expected}");
    }
}

#[test]
fn the_likelihood_is_there_unless_the_paper_has_none() {
    let of = |loss, nll_coef| self::loss(Config { loss, nll_coef, ..Config::default() });
    for loss in [ContrastLoss::Sigmoid, ContrastLoss::Hinge, ContrastLoss::Ipo, ContrastLoss::Orpo] {
        assert!((of(loss, None) - of(loss, Some(0.0)) - 0.5).abs() < 1e-6, "{loss:?}: −ā of the chosen response");
    }
    assert_eq!(of(ContrastLoss::Simpo, None), of(ContrastLoss::Simpo, Some(0.0)));
}

#[test]
fn rewards_bend_with_alpha() {
    let settings = Config { reward_alpha: 0.25, nll_coef: Some(0.0), ..Config::default() };
    let settings = Config { likelihood: Some(Likelihood::SequenceMean), ..settings };
    // (1 − e^(0.25 · 0.5)) / 0.25 − (1 − e^(0.25 · 1.2)) / 0.25
    let margin = ((0.3f64).exp() - (0.125f64).exp()) / 0.25;
    assert!((loss(settings) - (1.0 + (-0.1 * margin).exp()).ln()).abs() < 1e-6);
}

#[test]
fn equal_pairs_and_certain_responses_stay_finite() {
    let (mut scores, _) = pair();
    scores.log_probs = Tensor::from_slice(&[0f32, 0.0, -1e4, -1e4]).reshape([2, 2]).set_requires_grad(true);
    for loss in [ContrastLoss::Sigmoid, ContrastLoss::Hinge, ContrastLoss::Ipo, ContrastLoss::Simpo, ContrastLoss::Orpo]
    {
        let total = Cpo::new(Config { loss, ..Config::default() }).loss(&scores, &Columns::new(1)).unwrap().total;
        total.backward();
        let finite = |x: &Tensor| x.isfinite().all().int64_value(&[]) == 1;
        assert!(finite(&total) && finite(&scores.log_probs.grad()), "{loss:?}");
    }
    let (mut scores, _) = pair();
    scores.log_probs = Tensor::full([2, 2], -0.5, (Dtype::Float, tch::Device::Cpu));
    let even = Config { nll_coef: Some(0.0), ..Config::default() };
    assert!((loss_of(&scores, even) - 2f64.ln()).abs() < 1e-6);
}

#[test]
fn settings_that_a_loss_cannot_follow_are_refused() {
    let refused = |settings: Config| settings.check().unwrap_err().message;
    let smoothed = Config { loss: ContrastLoss::Hinge, label_smoothing: 0.1, ..Config::default() };
    assert!(refused(smoothed).starts_with("/algorithm/label_smoothing: expected 0"));
    let bent = Config { loss: ContrastLoss::Orpo, reward_alpha: 0.1, ..Config::default() };
    assert!(refused(bent).starts_with("/algorithm/reward_alpha: expected 0"));
}

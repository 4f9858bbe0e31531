//! Reward models by hand: losses, ties, weights, names.

use super::*;

/// Scores of two pairs, chosen then rejected, of responses of 1, 2, 3 and 4 tokens.
fn judged(scores: [f32; 4]) -> (Scores, Columns) {
    let lengths = Tensor::from_slice(&[1i64, 2, 3, 4]).unsqueeze(1);
    let mask = Tensor::arange(4, (Dtype::Int64, tch::Device::Cpu)).unsqueeze(0).lt_tensor(&lengths); // [4, 4]
    let scores = Tensor::from_slice(&scores).unsqueeze(1); // [4, 1]
    let mut columns = Columns::new(2);
    for (name, value) in [("margin", 0f32), ("probability", 1.0), ("weight", 1.0)] {
        columns.insert(name, Tensor::from_slice(&[value; 2]).unsqueeze(1));
    }
    let zeros = mask.zeros_like().to_kind(Dtype::Float);
    (Scores { values: Some(zeros.shallow_clone()), scores: Some(scores), ..Scores::of(&zeros, &mask) }, columns)
}

fn named(loss: &Loss, name: &str) -> f64 {
    let found = loss.metrics.iter().find(|(metric, _)| *metric == name);
    found.unwrap_or_else(|| panic!("no {name}")).1.double_value(&[])
}

#[test]
fn loss_and_metrics_equal_the_values_worked_by_hand() {
    let (scores, columns) = judged([1.2, 0.2, 0.7, 0.4]);
    let config = Config { center_coef: 0.1, ..Config::default() };
    let loss = Reward::new(config).loss(&scores, &columns).unwrap();
    let preference = (0.474077 + 0.798139) / 2.0;
    assert!((named(&loss, "loss/preference") - preference).abs() < 1e-6);
    let centering = (1.9f64.powi(2) + 0.6f64.powi(2)) / 2.0;
    assert!((loss.total.double_value(&[]) - preference - 0.1 * centering).abs() < 1e-6);
    assert_eq!(named(&loss, "preference/accuracy"), 0.5);
    assert!((named(&loss, "preference/margin") - 0.15).abs() < 1e-6);
    assert!((named(&loss, "score/mean") - 0.625).abs() < 1e-6);
}

#[test]
fn a_tie_is_wrong_and_a_weight_of_zero_hides_a_pair() {
    let (scores, mut columns) = judged([1.0, 2.0, 1.0, 0.0]);
    let reward = Reward::new(Config::default());
    assert_eq!(named(&reward.loss(&scores, &columns).unwrap(), "preference/accuracy"), 0.5);
    columns.insert("weight", Tensor::from_slice(&[0f32, 1.0]).unsqueeze(1));
    let loss = reward.loss(&scores, &columns).unwrap();
    assert_eq!(named(&loss, "preference/accuracy"), 1.0);
    assert!((loss.total.double_value(&[]) - 0.126928).abs() < 1e-6, "−log σ(2)");
}

#[test]
fn a_pair_of_which_nobody_knows_the_better_counts_in_no_accuracy() {
    let (scores, mut columns) = judged([1.0, 2.0, 2.0, 0.0]);
    columns.insert("probability", Tensor::from_slice(&[0.5f32, 1.0]).unsqueeze(1));
    let reward = Reward::new(Config::default());
    assert_eq!(named(&reward.loss(&scores, &columns).unwrap(), "preference/accuracy"), 1.0);
    columns.insert("probability", Tensor::from_slice(&[0.5f32, 0.5]).unsqueeze(1));
    assert!(named(&reward.loss(&scores, &columns).unwrap(), "preference/accuracy").is_nan(), "there is none");
}

#[test]
fn steps_are_judged_by_their_labels() {
    let (scores, mut columns) = judged([0.0; 4]);
    let logits = Tensor::full_like(scores.values.as_ref().unwrap(), 3.0)
        * Tensor::from_slice(&[1f32, -1.0, 1.0, 1.0]).unsqueeze(1);
    columns.insert("step_labels", Tensor::from_slice(&[1f32, 0.0, 1.0, 0.0]).unsqueeze(1).expand([4, 4], false));
    let config = Config { learns: Learns::Steps, ..Config::default() };
    let loss = Reward::new(config).loss(&Scores { values: Some(logits), ..scores }, &columns).unwrap();
    let (right, wrong) = ((1.0 + (-3f64).exp()).ln(), (1.0 + 3f64.exp()).ln());
    assert!((loss.total.double_value(&[]) - (6.0 * right + 4.0 * wrong) / 10.0).abs() < 1e-6);
    assert!((named(&loss, "preference/accuracy") - 0.6).abs() < 1e-6, "four tokens of the last response are wrong");
}

#[test]
fn names_of_scores_are_checked() {
    let check = |names: &[&str], learns| {
        let scores = names.iter().map(|name| name.to_string()).collect();
        Config { scores, learns, ..Config::default() }.check()
    };
    check(&["helpful", "safe"], Learns::Pairs).unwrap();
    for names in [&["a", "a"] as &[&str], &[], &[""]] {
        let error = check(names, Learns::Pairs).unwrap_err();
        assert!(error.message.starts_with("/algorithm/scores: expected 1 to 1024 distinct names"), "{error}");
    }
    check(&["a", "b"], Learns::Rankings).unwrap_err();
}

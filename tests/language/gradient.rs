//! Gradients against transformers: through the logits, and through the scores that training uses.

use crate::golden::*;
use keel::model::{
    Layout, Model, Networks, Packed, Pass, ScoreOptions, Scores, Sequence, Transformer, ValueHead, ValueModel,
};
use tch::{Device, Kind, Tensor};

/// A transformer whose gradients lie in the second result.
fn trainable(model: &Model) -> (Transformer, Tensor, Tensor) {
    let data = model.weights().data().copy();
    let gradients = data.zeros_like();
    let transformer = Transformer::bind_trainable(model.architecture(), model.layout(), &data, &gradients).unwrap();
    (transformer, data, gradients)
}

fn compare(vectors: &Vectors, layout: &Layout, gradients: &Tensor, what: &str) {
    let mut compared = 0;
    for name in vectors.names().filter_map(|name| name.strip_prefix("grad.")) {
        let slot = layout.find(name).unwrap_or_else(|| panic!("{name} has no slot"));
        let expected = vectors.get(&format!("grad.{name}"));
        let scale = expected.abs().max().double_value(&[]).max(1e-2);
        let difference = largest_difference(&layout.view(gradients, slot), expected);
        assert!(difference <= 1e-5 * scale.max(1.0), "{what} {name}: {difference} of {scale}");
        compared += 1;
    }
    assert!(compared >= 4, "{what}: {compared} gradients compared");
}

#[test]
fn gradients_of_the_loss_through_the_logits() {
    for name in MODELS {
        let vectors = Vectors::open(&format!("models/{name}"));
        let model = load(&format!("models/{name}"));
        let (transformer, _data, gradients) = trainable(&model);
        let tokens = vectors.tokens("right");
        let slices: Vec<&[i32]> = tokens.iter().map(Vec::as_slice).collect();
        let packed = Packed::from_tokens(&slices, Device::Cpu).unwrap();
        let logits = transformer.logits(&packed).unwrap();
        let (mut used, mut labels) = (Vec::new(), Vec::new());
        for (index, tokens) in tokens.iter().enumerate() {
            used.extend((0..tokens.len() as i64 - 1).map(|token| packed.start(index) + token));
            labels.extend(tokens[1..].iter().map(|token| i64::from(*token)));
        }
        let loss =
            logits.index_select(0, &Tensor::from_slice(&used)).cross_entropy_for_logits(&Tensor::from_slice(&labels));
        assert!((loss.double_value(&[]) - vectors.get("loss.value").double_value(&[])).abs() < 1e-5);
        loss.backward();
        compare(&vectors, model.layout(), &gradients, name);
    }
}

/// Scores in pieces, and the gradients of a loss on them walked back the same way.
fn descend(
    networks: Networks,
    sequences: &[&Sequence],
    options: &ScoreOptions,
    loss: impl Fn(&Scores) -> Tensor,
) -> Scores {
    let mut pass = Pass::new(networks, sequences, options, true).unwrap();
    while pass.advance(networks).unwrap() {}
    let scores = pass.scores().unwrap().map(|output| output.set_requires_grad(true));
    loss(&scores).backward();
    let gradient = |output: Option<&Tensor>| output.map(Tensor::grad).filter(Tensor::defined);
    pass.turn(networks, scores.outputs().map(gradient)).unwrap();
    while pass.advance(networks).unwrap() {}
    scores
}

fn loss(scores: &Scores) -> Tensor {
    -scores.log_probs.sum(Kind::Float) / scores.mask.sum(Kind::Float)
}

#[test]
fn gradients_of_the_loss_through_the_scores_accumulate_over_parts() {
    for name in MODELS {
        let vectors = Vectors::open(&format!("models/{name}"));
        let model = load(&format!("models/{name}"));
        let (transformer, _data, gradients) = trainable(&model);
        let sequences = responses(&vectors.tokens("right"));
        let borrowed: Vec<&Sequence> = sequences.iter().collect();
        // a tile smaller than the vocabulary, so that the head runs in pieces
        let options = ScoreOptions { tile_bytes: 4 * 100 * 4, ..ScoreOptions::default() };
        let scores = descend((&transformer, None), &borrowed, &options, loss);
        assert!((loss(&scores).double_value(&[]) - vectors.get("loss.value").double_value(&[])).abs() < 1e-5);
        compare(&vectors, model.layout(), &gradients, name);

        let count = scores.mask.sum(Kind::Float);
        let _ = gradients.shallow_clone().zero_();
        for part in [&borrowed[..1], &borrowed[1..]] {
            descend((&transformer, None), part, &options, |scores| -scores.log_probs.sum(Kind::Float) / &count);
        }
        compare(&vectors, model.layout(), &gradients, name);
    }
}

#[test]
fn the_value_head_reads_the_state_before_each_token() {
    let model = load("models/llama");
    let (transformer, _data, gradients) = trainable(&model);
    let sequences = responses(&Vectors::open("models/llama").tokens("right"));
    let borrowed: Vec<&Sequence> = sequences.iter().collect();
    let weight = (Tensor::arange(64, (Kind::Float, Device::Cpu)) / 640.0).view([1, 64]).set_requires_grad(true);
    let bias = Tensor::from_slice(&[0.25f32]).set_requires_grad(true);
    let head = ValueHead { weight: weight.shallow_clone(), bias: bias.shallow_clone() };
    let values = ValueModel::Head(head);
    let packed = Packed::new(&borrowed, Device::Cpu).unwrap();
    let hidden = tch::no_grad(|| transformer.hidden(&packed).unwrap());
    for detach_trunk in [false, true] {
        let options = ScoreOptions { detach_trunk, ..ScoreOptions::default() };
        let sum = |scores: &Scores| scores.values.as_ref().unwrap().sum(Kind::Float);
        let scores = descend((&transformer, Some(&values)), &borrowed, &options, sum);
        let found = scores.values.unwrap().detach();
        for (index, sequence) in sequences.iter().enumerate() {
            let before = hidden.narrow(0, packed.start(index), sequence.response_length() as i64);
            let expected = tch::no_grad(|| before.matmul(&weight.transpose(0, 1)).squeeze_dim(1) + &bias);
            let (row, count) = (found.get(index as i64), expected.size()[0]);
            assert!(largest_difference(&row.narrow(0, 0, count), &expected) < 1e-5);
            assert_eq!(row.narrow(0, count, row.size()[0] - count).sum(Kind::Float).double_value(&[]), 0.0);
        }
        let reached = gradients.abs().max().double_value(&[]) > 0.0;
        assert_eq!(reached, !detach_trunk, "the trunk's gradient");
        assert_eq!(bias.grad().double_value(&[0]), scores.mask.sum(Kind::Float).double_value(&[]));
        let _ = gradients.shallow_clone().zero_();
        let _ = bias.grad().zero_();
    }
}

#[test]
fn a_loss_over_nothing_has_zero_gradients() {
    let model = load("models/gpt2");
    let (transformer, _data, gradients) = trainable(&model);
    let none = Sequence { tokens: vec![5, 6, 7], prompt_length: 1, mask: Some(vec![false, false]) };
    let prompt = Sequence { tokens: vec![5], prompt_length: 1, mask: None };
    let sum = |scores: &Scores| scores.log_probs.sum(Kind::Float);
    let scores = descend((&transformer, None), &[&none, &prompt], &ScoreOptions::default(), sum);
    assert_eq!(scores.log_probs.size(), [2, 2]);
    assert_eq!(gradients.abs().max().double_value(&[]), 0.0);
}

//! The forward pass against transformers, for every shape of input and of file.

use crate::golden::*;
use keel::config::{Dtype, Load};
use keel::model::{score, Architecture, Model, Packed, ScoreOptions, Sequence};
use tch::{Device, Kind};

const TOLERANCE: f64 = 1e-4;

fn compare(model: &str, case: &str) {
    let (vectors, model_name) = (Vectors::open(&format!("models/{model}")), model);
    let transformer = reader(&load(&format!("models/{model}")));
    let tokens = vectors.tokens(case);
    let slices: Vec<&[i32]> = tokens.iter().map(Vec::as_slice).collect();
    let packed = Packed::from_tokens(&slices, Device::Cpu).unwrap();
    let logits = transformer.logits(&packed).unwrap();
    let expected = vectors.get(&format!("{case}.logits"));
    let width = expected.size()[1];
    for (index, tokens) in tokens.iter().enumerate() {
        let length = tokens.len() as i64;
        let first = if case == "left" { width - length } else { 0 };
        let ours = logits.narrow(0, packed.start(index), length);
        let difference = largest_difference(&ours, &expected.get(index as i64).narrow(0, first, length));
        assert!(difference <= TOLERANCE, "{model_name} {case} row {index}: {difference}");
    }
}

#[test]
fn logits_of_one_sequence() {
    MODELS.iter().for_each(|model| compare(model, "single"));
}

#[test]
fn logits_of_a_long_sequence() {
    MODELS.iter().for_each(|model| compare(model, "long"));
}

#[test]
fn logits_of_a_batch_that_was_padded_right() {
    MODELS.iter().for_each(|model| compare(model, "right"));
}

#[test]
fn logits_of_a_batch_that_was_padded_left() {
    MODELS.iter().for_each(|model| compare(model, "left"));
}

#[test]
fn both_spellings_of_a_config_mean_the_same() {
    for model in MODELS {
        let parse = |file: &str| Architecture::parse(&json_file(&format!("models/{model}/{file}"))).unwrap();
        assert_eq!(parse("config.json"), parse("config_v4.json"), "{model}");
    }
}

#[test]
fn bf16_weights_are_computed_in_fp32_unless_told_otherwise() {
    let vectors = Vectors::open("extras/llama_bf16");
    let tokens = rows(vectors.get("input_ids"));
    let packed = Packed::from_tokens(&[&tokens[0]], Device::Cpu).unwrap();
    let expected = vectors.get("logits_upcast").get(0);
    let logits = |dtype: Dtype| {
        let model = Model::load(&folder("extras/llama_bf16"), &Load { dtype, ..Load::default() }).unwrap();
        let kind = model.weights().data().kind();
        (kind, reader(&model).logits(&packed).unwrap().narrow(0, 0, 24))
    };
    let (kind, upcast) = logits(Dtype::Float32);
    assert_eq!(kind, Kind::Float);
    let difference = largest_difference(&upcast, &expected);
    assert!(difference <= TOLERANCE, "{difference}");
    for dtype in [Dtype::Bfloat16, Dtype::Auto] {
        let (kind, narrow) = logits(dtype);
        assert_eq!(kind, Kind::BFloat16);
        let difference = largest_difference(&narrow, &expected);
        // transformers' own bf16 run is 0.068 away from its upcast
        assert!(difference > 1e-3 && difference < 0.15, "{difference}");
    }
}

#[test]
fn a_sharded_checkpoint_gives_the_same_weights() {
    let (whole, sharded) = (load("models/llama"), load("extras/llama_sharded"));
    assert!(whole.weights().data().equal(&sharded.weights().data()));
}

#[test]
fn scores_are_the_log_softmax_of_the_reference_logits() {
    for name in MODELS {
        let vectors = Vectors::open(&format!("models/{name}"));
        let transformer = reader(&load(&format!("models/{name}")));
        let tokens = vectors.tokens("right");
        let mask: Vec<bool> = (0..tokens[0].len() - 3).map(|token| token % 3 != 1).collect();
        let mut sequences = responses(&tokens);
        sequences[0] = Sequence { tokens: tokens[0].clone(), prompt_length: 3, mask: Some(mask.clone()) };
        let borrowed: Vec<&Sequence> = sequences.iter().collect();
        for temperature in [1.0, 0.7] {
            let options = ScoreOptions { temperature, width: 30, sharpened: true, ..ScoreOptions::default() };
            let scores = score(&transformer, None, &borrowed, &options).unwrap();
            assert_eq!(scores.log_probs.size(), [4, 30]);
            let expected = (vectors.get("right.logits").to_kind(Kind::Double) / temperature).log_softmax(-1, None);
            for (index, sequence) in sequences.iter().enumerate() {
                for token in 0..30usize {
                    let place = [index as i64, token as i64];
                    let ours = scores.log_probs.double_value(&place);
                    let counts = sequence.counts(token);
                    assert_eq!(scores.mask.int64_value(&place) == 1, counts);
                    let (wanted, entropy, squares) = match counts {
                        false => (0.0, 0.0, 0.0),
                        true => {
                            let at = sequence.prompt_length + token;
                            let row = expected.get(index as i64).get(at as i64 - 1);
                            let entropy = -(row.exp() * &row).sum(Kind::Double).double_value(&[]);
                            let squares = (row.exp().square().sum(Kind::Double)).log().double_value(&[]);
                            (row.double_value(&[i64::from(sequence.tokens[at])]), entropy, squares)
                        }
                    };
                    assert!((ours - wanted).abs() <= 2e-5, "{name} {index} {token}: {ours} {wanted}");
                    assert!((scores.entropies.double_value(&place) - entropy).abs() <= 2e-5);
                    let found = 2.0 * ours - scores.sharpened.as_ref().unwrap().double_value(&place);
                    assert!((found - squares).abs() <= 4e-5, "log Σ p²: {found} {squares}");
                }
            }
        }
    }
}

#[test]
fn what_a_model_cannot_read_is_refused() {
    let transformer = reader(&load("models/llama"));
    let logits = |tokens: &[i32]| {
        transformer.logits(&Packed::from_tokens(&[tokens], Device::Cpu).unwrap()).err().unwrap().message
    };
    assert_eq!(logits(&[3, 512]), "tokens: expected ids from 0 to 511, got 512");
    assert_eq!(logits(&[3, -1, 512]), "tokens: expected ids from 0 to 511, got -1");
    assert_eq!(logits(&[3; 257]), "tokens: the model reads at most 256 tokens, got a sequence of 257");
    let scored =
        |sequence: Sequence| score(&transformer, None, &[&sequence], &ScoreOptions::default()).err().unwrap().message;
    let sequence = |prompt_length, mask| Sequence { tokens: vec![5, 6, 512], prompt_length, mask };
    assert_eq!(scored(sequence(0, None)), "sequence 0: prompt: expected 1 to 3 tokens, got 0");
    assert_eq!(
        scored(sequence(1, Some(vec![true]))),
        "sequence 0: response_mask: expected 2 flags, one per response token, got 1"
    );
    assert_eq!(scored(sequence(1, None)), "response: expected ids from 0 to 511, got 512");
}

#[test]
fn reward_models_score_as_the_reference_does() {
    for name in ["extras/reward_llama", "extras/reward_gpt2"] {
        let vectors = Vectors::open(name);
        let model = load(name);
        assert_eq!(model.score_names(), ["LABEL_0"]);
        let network = reader(&model);
        let texts = vectors.tokens("right");
        let sequences: Vec<Sequence> =
            texts.iter().map(|tokens| Sequence { tokens: tokens.clone(), prompt_length: 1, mask: None }).collect();
        let said = score(&network, None, &sequences.iter().collect::<Vec<_>>(), &ScoreOptions::default()).unwrap();
        let difference = (said.scores.unwrap().squeeze_dim(1) - vectors.get("right.reward")).abs().max();
        assert!(difference.double_value(&[]) < 1e-5, "{name}: scores differ by {difference}");
        let expected = vectors.get("right.values").narrow(1, 1, said.mask.size()[1]);
        let difference = ((said.values.unwrap() - expected) * &said.mask).abs().max();
        assert!(difference.double_value(&[]) < 1e-5, "{name}: scores of tokens differ by {difference}");
    }
}

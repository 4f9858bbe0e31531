//! A row's numbers do not depend on what else is in the batch: bit for bit, whatever the number of threads.

use crate::golden::*;
use keel::model::{score, Model, ScoreOptions, Scores, Sequence, Transformer, ValueHead, ValueModel};
use keel::torch::{linear, ThreadScope};
use tch::{Kind, Tensor};

const WIDTH: i64 = 64;

fn scored(transformer: &Transformer, head: &ValueModel, sequences: &[&Sequence]) -> Scores {
    // tiles smaller than the batch, so that chunks of tokens end at different rows
    let options = ScoreOptions { width: WIDTH, tile_bytes: 1 << 16, temperature: 0.7, ..ScoreOptions::default() };
    tch::no_grad(|| score(transformer, Some(head), sequences, &options).unwrap())
}

fn assert_same(a: &Scores, row_a: i64, b: &Scores, row_b: i64, what: &str) {
    let pairs = [
        (&a.log_probs, &b.log_probs),
        (&a.entropies, &b.entropies),
        (a.values.as_ref().unwrap(), b.values.as_ref().unwrap()),
    ];
    for (index, (a, b)) in pairs.into_iter().enumerate() {
        let (a, b) = (a.get(row_a), b.get(row_b));
        assert!(a.equal(&b), "{what}, result {index}: {}", largest_difference(&a, &b));
    }
}

fn check(model: &Model, count: usize, name: &str) {
    let transformer = reader(model);
    let hidden = model.architecture().hidden;
    let weight = Tensor::linspace(-0.5, 0.5, hidden, (Kind::Float, tch::Device::Cpu)).view([1, hidden]);
    let head = ValueModel::Head(ValueHead { weight, bias: Tensor::from_slice(&[0.1f32]) });
    let sequences = sequences(count, 60, model.architecture().vocabulary as i32);
    let all: Vec<&Sequence> = sequences.iter().collect();
    let whole = {
        let _threads = ThreadScope::new(1);
        scored(&transformer, &head, &all)
    };
    for threads in [1, 2, 3, 4, 7] {
        let _threads = ThreadScope::new(threads);
        let place = format!("{name} with {threads} threads");
        let again = scored(&transformer, &head, &all);
        let reversed: Vec<&Sequence> = all.iter().rev().copied().collect();
        let backwards = scored(&transformer, &head, &reversed);
        for row in 0..count {
            let mirrored = (count - 1 - row) as i64;
            assert_same(&whole, row as i64, &again, row as i64, &format!("{place}, row {row} again"));
            assert_same(&whole, row as i64, &backwards, mirrored, &format!("{place}, row {row} reversed"));
        }
        let mut first = 0;
        for size in [1, 2, 3, 5, 8, 13].into_iter().cycle() {
            let part = &all[first..(first + size).min(count)];
            let scores = scored(&transformer, &head, part);
            for row in 0..part.len() {
                let what = format!("{place}, row {} in a part of {size}", first + row);
                assert_same(&whole, (first + row) as i64, &scores, row as i64, &what);
            }
            first += part.len();
            if first == count {
                break;
            }
        }
    }
}

#[test]
fn scores_of_a_llama_with_odd_sizes() {
    check(&odd_llama(5), 48, "odd llama");
}

#[test]
fn scores_of_a_gpt2() {
    check(&small_gpt2(6), 48, "gpt2");
}

#[test]
fn scores_of_the_golden_models() {
    check(&load("models/llama"), 24, "golden llama");
    check(&load("models/gpt2"), 24, "golden gpt2");
}

#[test]
fn scores_of_a_wider_model() {
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": 1000, "hidden_size": 256, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 700, "max_position_embeddings": 64, "tie_word_embeddings": true,
    });
    let create = keel::config::Create { config, ..keel::config::Create::default() };
    check(&Model::create(&create).unwrap(), 64, "wider llama");
}

#[test]
fn a_row_of_a_product_has_its_bits_to_itself() {
    for (inputs, outputs) in [(64, 64), (60, 100), (160, 64), (128, 352), (700, 256), (256, 1000), (3072, 768)] {
        tch::manual_seed(3);
        let x = Tensor::randn([400, inputs], (Kind::Float, tch::Device::Cpu));
        let weight = Tensor::randn([outputs, inputs], (Kind::Float, tch::Device::Cpu));
        let bias = Tensor::randn([outputs], (Kind::Float, tch::Device::Cpu));
        let turned = weight.transpose(0, 1).contiguous();
        let whole: Vec<Tensor> = [&weight, &turned.transpose(0, 1)]
            .into_iter()
            .map(|weight| {
                let _threads = ThreadScope::new(1);
                linear(&x, weight, Some(&bias)).unwrap()
            })
            .collect();
        assert!(largest_difference(&whole[0], &x.linear(&weight, Some(&bias))) < 1e-3);
        for threads in [1, 2, 3, 4] {
            let _threads = ThreadScope::new(threads);
            for (start, count) in [(0, 1), (1, 3), (8, 4), (4, 8), (20, 13), (3, 20), (0, 61), (40, 180), (0, 400)] {
                for (weight, whole) in [&weight, &turned.transpose(0, 1)].into_iter().zip(&whole) {
                    let part = linear(&x.narrow(0, start, count), weight, Some(&bias)).unwrap();
                    let what = format!("{inputs} -> {outputs}, {threads} threads, {count} rows from {start}");
                    assert!(part.equal(&whole.narrow(0, start, count)), "{what}");
                }
            }
        }
    }
}

#[test]
fn a_product_has_the_gradients_of_linear() {
    let leaf = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, tch::Device::Cpu)).set_requires_grad(true);
    let (x, weight, bias) = (leaf(&[7, 40]), leaf(&[24, 40]), leaf(&[24]));
    let slope = Tensor::randn([7, 24], (Kind::Float, tch::Device::Cpu));
    let gradients =
        |y: Tensor| Tensor::run_backward(&[(y * &slope).sum(Kind::Float)], &[&x, &weight, &bias], false, false);
    let ours = gradients(linear(&x, &weight, Some(&bias)).unwrap());
    for (ours, expected) in ours.iter().zip(gradients(x.linear(&weight, Some(&bias)))) {
        assert!(largest_difference(ours, &expected) < 1e-4);
    }
    assert!(linear(&x, &weight.transpose(0, 1), None).is_err());
    assert!(linear(&x, &weight, Some(&x)).is_err());
}

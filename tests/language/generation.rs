//! Generation: greedy text identical to transformers', sampled text independent of the batch, recorded log-probabilities
//! equal to the trainer's, and the rules by which a response ends.

use crate::golden::*;
use keel::config::Generate;
use keel::error::Status;
use keel::model::{score, FinishReason, Generation, Model, Packed, Rollout, ScoreOptions, Sequence};
use keel::torch::ThreadScope;
use std::collections::HashSet;

fn generate(model: &Model, prompts: &[Vec<i32>], config: &Generate) -> Vec<Rollout> {
    let mut generation = Generation::new(model, prompts.to_vec(), config).unwrap();
    while !generation.step().unwrap() {}
    assert_eq!(generation.progress(), 1.0);
    generation.finish()
}

fn refusal(model: &Model, prompts: &[Vec<i32>], config: &Generate) -> (Status, String) {
    let error = Generation::new(model, prompts.to_vec(), config).err().unwrap();
    (error.status, error.message)
}

fn greedy() -> Generate {
    Generate { temperature: 0.0, max_new_tokens: 24, ignore_eos: true, ..Generate::default() }
}

fn texts(rollouts: &[Rollout]) -> Vec<&[i32]> {
    rollouts.iter().map(|rollout| rollout.response.as_slice()).collect()
}

#[test]
fn greedy_text_is_that_of_transformers() {
    for name in MODELS {
        let vectors = Vectors::open(&format!("models/{name}"));
        let model = load(&format!("models/{name}"));
        for (case, inputs) in [("gen.single", "single"), ("gen.left", "left")] {
            let prompts = vectors.tokens(inputs);
            let start = vectors.get(&format!("{inputs}.input_ids")).size()[1] as usize;
            let expected = rows(vectors.get(case));
            let rollouts = generate(&model, &prompts, &greedy());
            for (rollout, expected) in rollouts.iter().zip(&expected) {
                assert_eq!(rollout.response, expected[start..], "{name} {case}");
                assert_eq!(rollout.finish, FinishReason::Length);
            }
        }
    }
}

#[test]
fn greedy_text_ends_where_transformers_ends_it() {
    for name in MODELS {
        let vectors = Vectors::open(&format!("models/{name}"));
        let eos = json_file(&format!("models/{name}/vectors.json"))["gen"]["eos_for_left_eos"].as_i64().unwrap() as i32;
        let prompts = vectors.tokens("left");
        let start = vectors.get("left.input_ids").size()[1] as usize;
        let config = Generate { stop_tokens: vec![eos], ..greedy() };
        let mut stopped = 0;
        for (rollout, expected) in
            generate(&load(&format!("models/{name}")), &prompts, &config).iter().zip(rows(vectors.get("gen.left_eos")))
        {
            let (response, padding) = expected[start..].split_at(rollout.response.len());
            assert_eq!(rollout.response, response, "{name}");
            assert!(padding.iter().all(|token| *token == 0), "{name}: ended early");
            let last = rollout.response.last() == Some(&eos);
            assert_eq!(rollout.finish, if last { FinishReason::Stop } else { FinishReason::Length });
            stopped += usize::from(last);
        }
        assert!(stopped > 0, "{name}");
    }
}

#[test]
fn the_sampler_and_the_trainer_agree() {
    for name in MODELS {
        let model = load(&format!("models/{name}"));
        let transformer = reader(&model);
        let prompts = Vectors::open(&format!("models/{name}")).tokens("left");
        for temperature in [0.5, 0.7, 1.0, 1.3] {
            let config = Generate { temperature, max_new_tokens: 40, samples: 2, seed: 3, ..Generate::default() };
            let rollouts = generate(&model, &prompts, &config);
            let sequences: Vec<Sequence> = rollouts.iter().map(sequence).collect();
            let borrowed: Vec<&Sequence> = sequences.iter().collect();
            let options = ScoreOptions { temperature, ..ScoreOptions::default() };
            let scores = score(&transformer, None, &borrowed, &options).unwrap();
            for (row, rollout) in rollouts.iter().enumerate() {
                assert_eq!(rollout.log_probs.len(), rollout.response.len());
                for (token, recorded) in rollout.log_probs.iter().enumerate() {
                    let difference = scores.log_probs.double_value(&[row as i64, token as i64]) - f64::from(*recorded);
                    assert!(difference.abs() <= 1e-5, "{name} τ {temperature} row {row} token {token}: {difference}");
                }
            }
        }
    }
}

/// Generates with and without logits; the rollouts must be the same to the bit.
fn generate_with_logits(model: &Model, prompts: &[Vec<i32>], config: &Generate) -> (Vec<Rollout>, Vec<f32>) {
    let config = Generate { logits: true, ..config.clone() };
    let mut generation = Generation::new(model, prompts.to_vec(), &config).unwrap();
    while !generation.step().unwrap() {}
    let logits = generation.logits().unwrap().unwrap();
    let rollouts = generation.finish();
    let bits = |rollouts: &[Rollout]| -> Vec<u32> {
        rollouts.iter().flat_map(|rollout| &rollout.log_probs).map(|number| number.to_bits()).collect()
    };
    let bare = generate(model, prompts, &Generate { logits: false, ..config });
    assert_eq!((&rollouts, bits(&rollouts)), (&bare, bits(&bare)));
    (rollouts, logits)
}

#[test]
fn recorded_logits_are_those_that_the_trainer_computes() {
    for model in MODELS.map(|name| load(&format!("models/{name}"))) {
        let transformer = reader(&model);
        let width = model.architecture().vocabulary;
        let prompts = sequences(5, 20, width as i32).into_iter().map(|sequence| sequence.tokens).collect::<Vec<_>>();
        for (temperature, samples, min_new_tokens) in [(1.0, 1, 0), (0.6, 3, 0), (1.4, 2, 30), (0.0, 1, 0)] {
            let stop_tokens = (0..width as i32 / 20).collect();
            let config = Generate {
                temperature,
                samples,
                min_new_tokens,
                stop_tokens,
                top_k: samples - 1,
                seed: 5,
                max_new_tokens: 40,
                ..Generate::default()
            };
            let (rollouts, logits) = generate_with_logits(&model, &prompts, &config);
            let mut rest = tch::Tensor::from_slice(&logits).view([-1, width]);
            let lengths: HashSet<usize> = rollouts.iter().map(|rollout| rollout.response.len()).collect();
            assert!(temperature == 0.0 || min_new_tokens > 0 || lengths.len() > 1, "responses of several lengths");
            for rollout in &rollouts {
                let tokens = sequence(rollout).tokens;
                let (first, length) = (rollout.prompt.len() as i64 - 1, rollout.response.len() as i64);
                let packed = Packed::from_tokens(&[&tokens], tch::Device::Cpu).unwrap();
                let expected = transformer.logits(&packed).unwrap().narrow(0, first, length);
                let own = rest.narrow(0, 0, length);
                rest = rest.narrow(0, length, rest.size()[0] - length);
                let difference = largest_difference(&own, &expected);
                assert!(difference <= 1e-4, "τ {temperature}: {difference}");
                let scaled = if temperature == 0.0 { own } else { own / temperature };
                let said = tch::Tensor::from_slice(&rollout.response).to_kind(tch::Kind::Int64).unsqueeze(1);
                let log_probs = scaled.log_softmax(-1, None).gather(1, &said, false).squeeze_dim(1);
                let difference = largest_difference(&log_probs, &tch::Tensor::from_slice(&rollout.log_probs));
                assert!(difference <= 1e-5, "τ {temperature}: {difference}");
            }
            assert_eq!(rest.size()[0], 0);
        }
    }
}

#[test]
fn logits_are_there_while_a_generation_runs_and_only_if_wanted() {
    let model = odd_llama(1);
    let prompts = vec![vec![5, 6, 7], vec![9]];
    let mut generation = Generation::new(&model, prompts.clone(), &Generate { logits: true, ..greedy() }).unwrap();
    assert_eq!(generation.logits().unwrap(), Some(Vec::new()));
    read_prompts(&mut generation);
    let first = generation.logits().unwrap().unwrap();
    assert_eq!(first.len(), 2 * 211);
    assert!(!generation.step().unwrap());
    let second = generation.logits().unwrap().unwrap();
    assert_eq!((second.len(), &second[..211], &second[422..633]), (4 * 211, &first[..211], &first[211..]));
    assert_eq!(Generation::new(&model, prompts, &greedy()).unwrap().logits().unwrap(), None);
}

fn sequence(rollout: &Rollout) -> Sequence {
    let tokens = rollout.prompt.iter().chain(&rollout.response).copied().collect();
    Sequence { tokens, prompt_length: rollout.prompt.len(), mask: None }
}

#[test]
fn text_depends_on_seed_and_prompt_and_not_on_the_batch() {
    for model in [odd_llama(1), small_gpt2(2), load("models/llama")] {
        let vocabulary = model.architecture().vocabulary as i32;
        let prompts: Vec<Vec<i32>> = sequences(9, 30, vocabulary).into_iter().map(|sequence| sequence.tokens).collect();
        let config = Generate { max_new_tokens: 20, seed: 11, top_k: 50, top_p: 0.95, ..Generate::default() };
        let together = generate(&model, &prompts, &config);
        for threads in [1, 2, 3] {
            let _threads = ThreadScope::new(threads);
            let reversed: Vec<Vec<i32>> = prompts.iter().rev().cloned().collect();
            for (rollout, mirrored) in together.iter().zip(generate(&model, &reversed, &config).iter().rev()) {
                assert_eq!(rollout, mirrored);
            }
            for (prompt, rollout) in prompts.iter().zip(&together) {
                assert_eq!(generate(&model, std::slice::from_ref(prompt), &config)[0], *rollout);
            }
        }
        let other = generate(&model, &prompts, &Generate { seed: 12, ..config.clone() });
        assert_ne!(texts(&together), texts(&other));
    }
}

#[test]
fn samples_are_repeated_prompts() {
    let model = odd_llama(1);
    let prompts = vec![vec![5, 6, 7], vec![8; 11]];
    let config = Generate { max_new_tokens: 12, samples: 3, ..Generate::default() };
    let samples = generate(&model, &prompts, &config);
    let listed: Vec<Vec<i32>> = prompts.iter().flat_map(|prompt| vec![prompt.clone(); 3]).collect();
    assert_eq!(samples, generate(&model, &listed, &Generate { samples: 1, ..config }));
    assert_ne!(samples[0].response, samples[1].response);
}

#[test]
fn sampled_frequencies_are_the_probabilities() {
    let model = odd_llama(4);
    let transformer = reader(&model);
    let config = Generate { max_new_tokens: 1, samples: 20_000, ..Generate::default() };
    let mut counts = [0u32; 211];
    for rollout in generate(&model, &[vec![9, 10, 11]], &config) {
        counts[rollout.response[0] as usize] += 1;
    }
    let packed = keel::model::Packed::from_tokens(&[&[9, 10, 11]], model.device()).unwrap();
    let expected = transformer.logits(&packed).unwrap().get(2).softmax(-1, None);
    let deviations = (0..211i64).map(|token| {
        let p = expected.double_value(&[token]);
        (f64::from(counts[token as usize]) - 20_000.0 * p).powi(2) / (20_000.0 * p)
    });
    // χ² with 210 degrees of freedom: mean 210, standard deviation 20.5
    let chi_square: f64 = deviations.sum();
    assert!(chi_square > 130.0 && chi_square < 300.0, "{chi_square}");
}

#[test]
fn a_response_ends_by_its_rules() {
    let model = load("models/llama");
    let prompt = vec![Vectors::open("models/llama").tokens("single").remove(0)];
    let free = generate(&model, &prompt, &greedy()).remove(0);
    let fifth = free.response[4];
    assert!(!free.response[..4].contains(&fifth), "the case needs a fresh fifth token");

    let stopped = generate(&model, &prompt, &Generate { stop_tokens: vec![fifth], ..greedy() }).remove(0);
    assert_eq!((stopped.response.as_slice(), stopped.finish), (&free.response[..5], FinishReason::Stop));

    let config = Generate { stop_tokens: vec![fifth], min_new_tokens: 9, ..greedy() };
    let longer = generate(&model, &prompt, &config).remove(0);
    assert_eq!(longer.response[..4], free.response[..4]);
    assert!(longer.response.len() >= 9 && !longer.response[..8].contains(&fifth));

    let text = model.tokenizer().unwrap().decode(&free.response[..6], false).unwrap();
    let stop: String = text.chars().rev().take(2).collect::<Vec<_>>().into_iter().rev().collect();
    let spoken = generate(&model, &prompt, &Generate { stop: vec![stop.clone()], ..greedy() }).remove(0);
    assert_eq!(spoken.finish, FinishReason::Stop);
    assert_eq!(spoken.response, free.response[..spoken.response.len()]);
    let decode = |tokens: &[i32]| model.tokenizer().unwrap().decode(tokens, false).unwrap();
    assert!(decode(&spoken.response).contains(&stop));
    assert!(!decode(&spoken.response[..spoken.response.len() - 1]).contains(&stop));
}

#[test]
fn the_end_token_of_the_model_ends_a_response() {
    let model = odd_llama(1);
    assert_eq!(model.end_tokens(), [2, 3]);
    let prompts = vec![vec![5, 6, 7]];
    let config = Generate { max_new_tokens: 100, samples: 60, ..Generate::default() };
    let rollouts = generate(&model, &prompts, &config);
    let ended = rollouts.iter().filter(|rollout| rollout.finish == FinishReason::Eos).count();
    assert!(ended > 10, "{ended}");
    for rollout in &rollouts {
        let (last, before) = rollout.response.split_last().unwrap();
        assert!(before.iter().all(|token| ![2, 3].contains(token)));
        assert_eq!([2, 3].contains(last), rollout.finish == FinishReason::Eos);
    }
    for rollout in generate(&model, &prompts, &Generate { min_new_tokens: 100, ..config.clone() }) {
        assert_eq!(
            (rollout.response.len(), rollout.finish == FinishReason::Length),
            (100, rollout.response[99] > 3 || rollout.response[99] < 2)
        );
    }
    let endless = generate(&model, &prompts, &Generate { ignore_eos: true, ..config });
    assert!(endless.iter().all(|rollout| rollout.finish == FinishReason::Length));
    assert!(endless.iter().any(|rollout| rollout.response.contains(&2)));
}

/// At this temperature the likeliest token is all but certain, and the probability of any other rounds to nothing.
fn first_error(generation: &mut Generation) -> keel::error::Error {
    std::iter::repeat_with(|| generation.step()).find_map(Result::err).unwrap()
}

/// Reads the prompts and says the first token of each.
fn read_prompts(generation: &mut Generation) {
    while generation.next() != "token" {
        assert!(!generation.step().unwrap());
    }
}

#[test]
fn forbidden_tokens_leave_the_others_their_shares() {
    let model = odd_llama(1);
    let prompts = vec![vec![5, 6, 7]];
    let config = Generate { temperature: 1e-4, max_new_tokens: 1, ..Generate::default() };
    let likely = generate(&model, &prompts, &config).remove(0).response[0];
    let config = Generate { stop_tokens: vec![likely, 9999], min_new_tokens: 6, max_new_tokens: 6, ..config };
    let rollout = generate(&model, &prompts, &config).remove(0);
    assert_eq!(rollout.response.len(), 6);
    assert!(!rollout.response[..5].contains(&likely));
    let first = rollout.log_probs[0];
    assert!(first.is_finite() && first < -50.0, "recorded as unlikely as it was: {first}");
    let everything = Generate { stop_tokens: (0..211).collect(), ..config };
    let mut generation = Generation::new(&model, prompts, &everything).unwrap();
    assert_eq!(first_error(&mut generation).message, "generate: no token is left to sample");
}

#[test]
fn more_responses_than_fit_are_refused_before_they_are_made() {
    let config = Generate { samples: u32::MAX, ..greedy() };
    let (status, sentence) = refusal(&odd_llama(1), &[vec![1], vec![2]], &config);
    assert_eq!(status, Status::Config);
    assert_eq!(sentence, "/samples: expected at most 1048576 responses, got 2 prompts × 4294967295");
}

#[test]
fn a_generation_reads_the_snapshot_it_began_with() {
    let (model, reference) = (odd_llama(1), odd_llama(1));
    let prompts = vec![vec![5, 6, 7], vec![9]];
    let config = Generate { max_new_tokens: 12, ignore_eos: true, ..Generate::default() };
    let mut generation = Generation::new(&model, prompts.clone(), &config).unwrap();
    read_prompts(&mut generation);
    assert_eq!(generation.progress(), 1.0 / 12.0);
    model.publish(&(model.weights().data() * 0.5)).unwrap();
    while !generation.step().unwrap() {}
    assert_eq!(generation.finish(), generate(&reference, &prompts, &config));
    assert_ne!(generate(&model, &prompts, &config), generate(&reference, &prompts, &config));
}

#[test]
fn a_cancelled_generation_keeps_what_it_has() {
    let mut generation = Generation::new(&odd_llama(1), vec![vec![5]], &greedy()).unwrap();
    read_prompts(&mut generation);
    for _ in 0..2 {
        assert!(!generation.step().unwrap());
    }
    let rollouts = generation.finish();
    assert_eq!((rollouts[0].response.len(), rollouts[0].finish), (3, FinishReason::Host));
    assert!(generate(&odd_llama(1), &[], &greedy()).is_empty());
}

#[test]
fn what_cannot_be_generated_is_refused() {
    let model = odd_llama(1);
    let refused = |prompts: &[Vec<i32>], config: &Generate| refusal(&model, prompts, config);
    let (status, sentence) = refused(&[vec![1], vec![]], &greedy());
    assert_eq!((status, sentence.as_str()), (Status::Data, "prompt 1: expected at least one token, got none"));
    let (status, sentence) = refused(&[vec![1, 211]], &greedy());
    assert_eq!((status, sentence.as_str()), (Status::Data, "prompt 0: expected tokens from 0 to 210, got 211"));
    assert_eq!(refused(&[vec![-4]], &greedy()).0, Status::Data);
    let (status, sentence) = refused(&[vec![1; 105]], &greedy());
    assert_eq!(status, Status::Data);
    assert_eq!(sentence, "prompt 0: its 105 tokens and max_new_tokens 24 exceed the model's 128 positions");
    assert!(Generation::new(&model, vec![vec![1; 104]], &greedy()).is_ok());
    for config in [
        Generate { temperature: f64::NAN, ..greedy() },
        Generate { temperature: -1.0, ..greedy() },
        Generate { top_p: 0.0, ..greedy() },
        Generate { max_new_tokens: 0, ..greedy() },
        Generate { samples: 0, ..greedy() },
        Generate { stop: vec!["x".into()], ..greedy() },
    ] {
        assert_eq!(refused(&[vec![1]], &config).0, Status::Config);
    }
    model.publish(&(model.weights().data() * f64::NAN)).unwrap();
    let mut broken = Generation::new(&model, vec![vec![1]], &greedy()).unwrap();
    assert_eq!(first_error(&mut broken).status, Status::NonFinite);
}

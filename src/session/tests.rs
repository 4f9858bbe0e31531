//! What only the inside can provoke: an optimiser step that breaks off between its writes, a gradient that is no number.

use super::*;
use crate::data::{Column, Values};
use crate::error::Status;
use std::cell::Cell;

thread_local! {
    static FAULT: Cell<bool> = const { Cell::new(false) };
    static SPOILED: Cell<bool> = const { Cell::new(false) };
}

/// Called by the optimiser after each segment that it wrote.
pub(super) fn fault() {
    if FAULT.replace(false) {
        panic!("planted fault");
    }
}

/// Called with the gradients before they are looked at.
pub(super) fn spoil(gradients: &tch::Tensor) {
    if SPOILED.replace(false) {
        let _ = gradients.get(0).fill_(f64::NAN);
    }
}

fn session() -> Arc<Session> {
    let runtime =
        Runtime::create(&settings::Runtime { cuda: settings::CudaPolicy::Cpu, ..Default::default() }).unwrap();
    let config: Config = settings::parse(Some(
        br#"{"algorithm": {"type": "sft", "batch_size": 2, "epochs": 0}, "optimizer": {"learning_rate": 0.01}}"#,
    ))
    .unwrap();
    let session = Session::create(&runtime, config).unwrap();
    let create = settings::parse(Some(
        br#"{"config": {"model_type": "llama", "vocab_size": 16, "hidden_size": 16, "intermediate_size": 32,
             "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 32}}"#,
    ))
    .unwrap();
    session.set_model(Role::Policy, Arc::new(Model::create(&create).unwrap())).unwrap();
    let mut batch = Batch::new(Kind::Demonstrations, 2).unwrap();
    let column = Column { values: Values::I32(vec![1, 2, 3, 4, 5, 6]), offsets: Some(vec![0, 3, 6]) };
    batch.set("response", column).unwrap();
    session.push(&batch).unwrap();
    session
}

fn step(session: &Arc<Session>) -> Result<Report> {
    session.update().map(|job| job.expect("rows were pushed"))?.run()
}

#[test]
fn a_panic_between_the_writes_of_a_step_poisons_until_a_restore() {
    let session = session();
    step(&session).unwrap();
    let saved = session.export().unwrap();
    let hash = session.state_hash().unwrap();
    FAULT.set(true);
    let error = step(&session).unwrap_err();
    assert_eq!(error.status, Status::Panic);
    assert!(error.message.contains("planted fault"), "{error}");
    assert_eq!(step(&session).unwrap_err().status, Status::Poisoned);
    assert_eq!(session.export().unwrap_err().status, Status::Poisoned);
    assert!(session.metrics_json().contains("loss/nll"));
    session.import(&saved).unwrap();
    assert_eq!(session.state_hash().unwrap(), hash);
    step(&session).unwrap();
}

#[test]
fn a_step_that_breaks_off_where_it_is_saved_is_not_gone_on_with() {
    for cancel in [false, true] {
        let session = session();
        let (saved, hash) = (session.export().unwrap(), session.state_hash().unwrap());
        let job = Session::update(&session).unwrap().unwrap();
        loop {
            FAULT.set(true);
            let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| session.export())).is_err();
            FAULT.set(false);
            if broken {
                break;
            }
            assert_eq!(job.pump(std::time::Duration::ZERO).unwrap().state, State::Pending);
        }
        match cancel {
            true => job.cancel(),
            false => assert_eq!(job.run().unwrap_err().status, Status::Poisoned),
        }
        assert_eq!(session.export().unwrap_err().status, Status::Poisoned, "cancelled: {cancel}");
        session.import(&saved).unwrap();
        assert_eq!(session.state_hash().unwrap(), hash);
    }
}

#[test]
fn a_gradient_that_is_not_finite_is_not_applied() {
    let session = session();
    step(&session).unwrap();
    let hash = session.state_hash().unwrap();
    SPOILED.set(true);
    let error = step(&session).unwrap_err();
    assert_eq!(error.status, Status::NonFinite);
    assert!(error.message.contains("not applied"), "{error}");
    assert_eq!(session.state_hash().unwrap(), hash);
    step(&session).unwrap();
}

#[test]
fn a_job_in_flight_when_the_session_is_poisoned_says_so() {
    let session = session();
    let job = Session::update(&session).unwrap().unwrap();
    session.poison();
    assert_eq!(job.run().unwrap_err().status, Status::Poisoned);
}

/// Every property below a schema, with its name.
fn properties(schema: &serde_json::Value, found: &mut Vec<(String, serde_json::Value)>) {
    if let Some(own) = schema["properties"].as_object() {
        found.extend(own.iter().map(|(name, property)| (name.clone(), property.clone())));
    }
    match schema {
        serde_json::Value::Object(map) => map.values().for_each(|value| properties(value, found)),
        serde_json::Value::Array(values) => values.iter().for_each(|value| properties(value, found)),
        _ => {}
    }
}

#[test]
fn every_setting_of_a_session_is_described_and_has_a_default() {
    let mut found = Vec::new();
    properties(&settings::schema::<Config>(), &mut found);
    assert!(found.len() > 80, "{}", found.len());
    for (name, property) in found.iter().filter(|(_, property)| property["const"].is_null()) {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 3), "{name}: {property}");
        assert!(property.get("default").is_some() || name == "total_steps", "{name}: {property}");
    }
}

#[test]
fn a_device_that_cannot_be_is_named_by_its_place() {
    let error = settings::parse::<Config>(Some(br#"{"device": "gpu"}"#)).unwrap_err();
    assert!(error.message.starts_with("/device: expected a device"), "{error}");
}

#[test]
fn a_step_in_parts_is_the_whole_step() {
    let create = settings::parse(Some(
        br#"{"config": {"model_type": "llama", "vocab_size": 70001, "hidden_size": 16, "intermediate_size": 32,
             "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 32}}"#,
    ))
    .unwrap();
    let mut trainee = trainee::Trainee::new(&Arc::new(Model::create(&create).unwrap()), true, None).unwrap();
    assert!(trainee.parts(|_| true).len() > trainee.segments.len() + 1, "a segment has several parts");
    let _ = trainee.gradients.normal_(0.0, 1.0);
    let copies = [&trainee.parameters, &trainee.gradients, &trainee.first_moments, &trainee.second_moments];
    let [parameters, gradients, first, second] = copies.map(tch::Tensor::copy);
    let optimizer = settings::Optimizer::default();
    let norm = crate::torch::clip_gradient(&gradients, optimizer.max_grad_norm).unwrap();
    for segment in &trainee.segments {
        let rule = crate::torch::AdamW {
            learning_rate: 0.01,
            beta1: optimizer.betas[0],
            beta2: optimizer.betas[1],
            epsilon: optimizer.epsilon,
            weight_decay: if segment.decays { optimizer.weight_decay } else { 0.0 },
        };
        let [p, g, m, v] =
            [&parameters, &gradients, &first, &second].map(|whole| whole.narrow(0, segment.start, segment.length));
        crate::torch::fused_adamw(&rule, &p, &g, &m, &v, &segment.step.copy()).unwrap();
    }
    let aim = optimize::Aim { learning_rate: 0.01, model: true, values: true };
    let mut stepping = optimize::Stepping::new(&optimizer, 0, aim);
    let writing = std::sync::atomic::AtomicBool::new(false);
    let stepped = std::iter::repeat_with(|| stepping.advance(&mut trainee, &writing).unwrap()).find_map(|done| done);
    assert_eq!(stepped.unwrap().gradient_norm, norm);
    assert!(trainee.parameters.equal(&parameters) && trainee.second_moments.equal(&second));
    assert!(trainee.segments.iter().all(|segment| segment.step.double_value(&[]) == 1.0));
    let mut start = Some(0);
    while let Some(at) = start {
        start = trainee.zero_gradients(at).unwrap();
    }
    assert_eq!(trainee.gradients.abs().max().double_value(&[]), 0.0);
}

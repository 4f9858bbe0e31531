//! Optimiser steps on fixed batches and noise against float64 in another library (tests/golden/make/gen_sac.py).

use super::networks::{Measured, Step};
use super::replay::Batch;
use super::*;
use crate::config::Optimizer;
use crate::model::control::{Critics, Spec};
use crate::model::AnyModel;
use crate::model::Layout;
use crate::session::control::{Act, Actor};
use crate::session::{Config, Job, Learner, Role, Runtime};
use serde_json::{json, Value};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tch::{Device, Kind, Tensor};

struct Golden {
    tensors: HashMap<String, Tensor>,
    info: Value,
}

impl Golden {
    fn read(case: &str) -> Golden {
        let folder = format!("{}/tests/golden/sac/{case}", env!("CARGO_MANIFEST_DIR"));
        let tensors = Tensor::read_safetensors(format!("{folder}/vectors.safetensors")).unwrap().into_iter().collect();
        let text = std::fs::read_to_string(format!("{folder}/vectors.json")).unwrap();
        Golden { tensors, info: serde_json::from_str(&text).unwrap() }
    }

    fn number(&self, name: &str) -> f64 {
        self.info[name].as_f64().unwrap()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        Vec::try_from(self.tensors[name].contiguous().view([-1])).unwrap()
    }

    /// Two branches of one dimension each, so that bounds differ.
    fn spec(&self) -> Spec {
        let action = |name: &str, place: usize| {
            json!({"type": "continuous", "name": name, "size": 1, "low": self.info["low"][place],
                   "high": self.info["high"][place], "distribution": "squashed", "deviation": "state"})
        };
        let actions = [action("a", 0), action("b", 1)];
        let observations = json!([{"type": "vector", "name": "o", "size": 3}]);
        Spec::parse(
            &json!({"model_type": "control", "observations": observations, "actions": actions, "hidden": [16, 16],
                            "activation": self.info["activation"]}),
        )
        .unwrap()
    }

    /// Parameters of a layout, flat: the value network, which the peer has not, is 0, and its outputs are means first.
    fn weights(&self, layout: &Layout, name: impl Fn(&str) -> String) -> Vec<f32> {
        let data = Tensor::zeros([layout.len], (Kind::Float, Device::Cpu));
        for (place, slot) in layout.slots.iter().enumerate() {
            let Some(found) = self.tensors.get(&name(&slot.name)) else { continue };
            let order = Tensor::from_slice(&[0i64, 2, 1, 3]);
            let found = match slot.name.starts_with("policy.2") {
                true => found.index_select(-1, &order),
                false => found.shallow_clone(),
            };
            layout.view(&data, place).copy_(&found);
        }
        Vec::try_from(data).unwrap()
    }

    /// Policy, critics, targets and log α before or after some steps.
    fn parts(&self, prefix: &str, spec: &Spec) -> [Vec<f32>; 4] {
        let (policy, critics) = (Layout::new(&spec.parameters()), Critics::new(spec, &spec.config.hidden));
        let mut logarithm = self.floats(&format!("{prefix}.log_temperature"));
        logarithm.resize(32, 0.0);
        [
            self.weights(&policy, |name| format!("{prefix}.{name}")),
            self.weights(critics.layout(), |name| format!("{prefix}.{name}")),
            self.weights(critics.layout(), |name| format!("{prefix}.{}", name.replace("critic", "target"))),
            logarithm,
        ]
    }

    fn networks(&self, learner: &str) -> (Arc<Policy>, Networks) {
        let config = json!({"discount": self.number("gamma"), "target_rate": self.number("tau"),
                            "temperature": self.number("alpha"), "learn_temperature": self.info["learn"],
                            "critic_learning_rate": self.number("critic_lr"), "learner": learner});
        let mut config: crate::algorithm::sac::Config = serde_json::from_value(config).unwrap();
        if config.learn_temperature {
            config.target_entropy = self.info["target_entropy"].as_f64();
            config.temperature_learning_rate = self.info["temperature_lr"].as_f64();
        }
        let spec = self.spec();
        let [weights, ..] = self.parts("init", &spec);
        let statistics = Statistics::new(spec.inputs);
        let policy = Arc::new(Policy::assemble(spec, weights, statistics).unwrap());
        let mut networks = Networks::new(&policy, &Arc::new(Sac::new(config)), 0).unwrap();
        networks.set_parts(&self.parts("init", policy.spec()));
        (policy, networks)
    }

    fn batch(&self, step: usize) -> (Batch, Vec<f32>, Vec<f32>) {
        let column = |name: &str| self.floats(&format!("batch.{step}.{name}"));
        let batch = Batch {
            observations: column("observations"),
            actions: column("actions"),
            nexts: column("nexts"),
            rewards: column("rewards"),
            terminated: column("terminated"),
        };
        (batch, column("next_noise"), column("own_noise"))
    }
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let distance = |(found, expected): (&f32, &f32)| (found - expected).abs() / expected.abs().max(1.0);
    let worst = found.iter().zip(expected).map(distance).fold(0.0, f32::max);
    assert!(worst <= 1e-5, "{what}: off by {worst}");
}

fn assert_measured(measured: &Measured, logs: &Value, what: &str) {
    for (name, expected) in logs.as_object().unwrap() {
        let Some((_, found)) = measured.iter().find(|(found, _)| found == name) else { panic!("{what}: no {name}") };
        let expected = expected.as_f64().unwrap();
        assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{what}: {name}: {found}, not {expected}");
    }
}

#[test]
fn steps_are_those_of_float64() {
    for (case, learner) in [("learned", "libtorch"), ("fixed", "libtorch"), ("learned", "fused"), ("fixed", "fused")] {
        let golden = Golden::read(case);
        let (policy, mut networks) = golden.networks(learner);
        let rate = golden.number("lr");
        let max_grad_norm = golden.number("max_grad_norm");
        let optimizer = Optimizer { learning_rate: rate, max_grad_norm, ..Optimizer::default() };
        let writing = AtomicBool::new(false);
        let how = Step { optimizer: &optimizer, rate, writing: &writing };
        for step in 0..3 {
            let (batch, next_noise, own_noise) = golden.batch(step);
            let mut measured = networks.step_critics(&batch, &next_noise, &how).unwrap();
            measured.extend(networks.step_policy(&batch, &own_noise, &how).unwrap());
            assert_measured(&measured, &golden.info["logs"][step], &format!("{case} {step} by {learner}"));
            let Some(prefix) = [Some("one"), None, Some("three")][step] else { continue };
            let names = ["policy", "critics", "targets", "temperature"];
            let expected = golden.parts(prefix, policy.spec());
            for ((name, found), expected) in names.into_iter().zip(networks.parts()).zip(expected) {
                assert_close(&found, &expected, &format!("{case} {prefix} by {learner}: {name}"));
            }
        }
    }
}

/// A session whose critics made their half of an optimiser step; the update that did it.
fn half_stepped() -> (Arc<ControlSession>, Arc<Job>) {
    let (policy, _) = Golden::read("learned").networks("libtorch");
    let runtime = Runtime::create(&crate::config::Runtime::default()).unwrap();
    let config = br#"{"algorithm": {"type": "sac", "learning_starts": 2, "batch_size": 2, "rollout_steps": 1}}"#;
    let session = ControlSession::create(&runtime, Config::parse(Some(config)).unwrap()).unwrap();
    session.set_model(Role::Policy, AnyModel::Control(policy)).unwrap();
    let actor = Actor::create(&session).unwrap();
    for _ in 0..5 {
        actor.act(&[0], &[0; 12], &mut [0; 8], Act::default(), None).unwrap();
        actor.observe(&[0], &[1.0], &[Episode::Running], &[]).unwrap();
    }
    let job = session.clone().update().unwrap().unwrap();
    job.pump(Duration::ZERO).unwrap();
    assert!(session.core.lock().sac().unwrap().stepping.is_some());
    (session, job)
}

#[test]
fn a_half_that_cannot_be_made_is_given_up_by_whoever_tries_it() {
    let spoil = |session: &ControlSession| {
        let mut core = session.core.lock();
        let networks = &mut core.sac().unwrap().networks;
        let [actor, critics, targets, temperature] = networks.parts();
        networks.set_parts(&[actor, vec![f32::NAN; critics.len()], targets, temperature]);
    };
    let given_up = |session: &ControlSession| session.core.lock().sac().unwrap().stepping.is_none();
    let (session, _job) = half_stepped();
    spoil(&session);
    assert_eq!(session.export().unwrap_err().status, Status::NonFinite);
    assert!(given_up(&session));
    let (session, job) = half_stepped();
    spoil(&session);
    job.cancel();
    assert_eq!(job.error().unwrap().status, Status::NonFinite);
    assert!(given_up(&session));
}

#[test]
fn a_half_that_broke_off_between_its_writes_is_not_gone_on_with() {
    for cancel in [false, true] {
        let (session, job) = half_stepped();
        session.writing().store(true, Ordering::SeqCst);
        match cancel {
            true => job.cancel(),
            false => assert_eq!(job.run().unwrap_err().status, Status::Poisoned),
        }
        assert_eq!(session.export().unwrap_err().status, Status::Poisoned, "cancelled: {cancel}");
    }
}

#[test]
fn what_follows_a_step_is_what_it_is_learned_from() {
    let golden = Golden::read("learned");
    let (policy, _) = golden.networks("libtorch");
    let runtime = Runtime::create(&crate::config::Runtime::default()).unwrap();
    let config = Config::parse(Some(br#"{"algorithm": {"type": "sac"}}"#)).unwrap();
    let session = ControlSession::create(&runtime, config).unwrap();
    session.set_model(Role::Policy, AnyModel::Control(policy.clone())).unwrap();
    let seat = session.seat(policy.spec());
    let mut recording = seat.recording.lock();
    recording.reach(1);
    let act = |recording: &mut Recording, slot: usize, number: f32| {
        recording.observations.push(&[number; 3]);
        recording.act(slot, &[], &[0.5, -number], -1.0, 0);
    };
    act(&mut recording, 0, 1.0);
    recording.observe(0, 10.0, Episode::Running, None, 0.9);
    act(&mut recording, 1, 5.0);
    act(&mut recording, 0, 2.0);
    recording.observe(0, 20.0, Episode::Truncated, Some(&[3.0; 3]), 0.9);
    recording.observe(1, 50.0, Episode::Terminated, None, 0.9);
    act(&mut recording, 0, 4.0);
    recording.observe(0, 40.0, Episode::Abandoned, None, 0.9);
    act(&mut recording, 0, 6.0);
    drop(recording);
    let mut core = session.core.lock();
    let course = core.sac().unwrap();
    course.take(std::slice::from_ref(&seat.recording)).unwrap();
    let mut batch = Batch::default();
    course.replay.gather(&(0..course.replay.len()).collect::<Vec<_>>(), &mut batch);
    let firsts = |numbers: &[f32]| numbers.iter().step_by(3).copied().collect::<Vec<f32>>();
    assert_eq!(firsts(&batch.observations), [1.0, 5.0, 2.0]);
    assert_eq!(firsts(&batch.nexts), [2.0, 5.0, 3.0], "the next step, none, the final observation");
    assert_eq!((batch.rewards, batch.terminated), (vec![10.0, 50.0, 20.0], vec![0.0, 1.0, 0.0]));
    assert_eq!(batch.actions, [0.5, -1.0, 0.5, -5.0, 0.5, -2.0].map(f32::tanh));
    assert_eq!((course.tally.taken, course.tally.ended.episodes), (3, 2));
    assert_eq!(seat.recording.lock().len(), 1, "the step that is open stays");
}

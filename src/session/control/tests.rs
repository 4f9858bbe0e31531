//! One update on fixed data against Stable-Baselines3's own (tests/golden/make/gen_sb3.py), by all learners.

mod along;
mod placed;
mod recurrent;
mod variants;

use super::recording::Episode;
use super::rollout::Rollout;
use super::trainee::Trainee;
use super::update::Update;
use super::*;
use crate::algorithm::ControlPpo;
use crate::config as settings;
use crate::kernel::{Likelihoods, Scratch};
use crate::model::arena::Layout;
use crate::model::control::{Network, Statistics};
use serde_json::{json, Value};
use std::collections::HashMap;
use tch::{Kind, Tensor};

struct Golden {
    tensors: HashMap<String, Tensor>,
    info: Value,
}

impl Golden {
    fn read(case: &str) -> Golden {
        Golden::read_from("sb3", case)
    }

    fn read_from(peer: &str, case: &str) -> Golden {
        let folder = format!("{}/tests/golden/{peer}/{case}", env!("CARGO_MANIFEST_DIR"));
        let tensors = Tensor::read_safetensors(format!("{folder}/vectors.safetensors")).unwrap().into_iter().collect();
        let text = std::fs::read_to_string(format!("{folder}/vectors.json")).unwrap();
        Golden { tensors, info: serde_json::from_str(&text).unwrap() }
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        Vec::try_from(self.tensors[name].to_kind(Kind::Float).contiguous().view([-1])).unwrap()
    }

    fn number(&self, name: &str) -> f64 {
        self.info[name].as_f64().unwrap()
    }

    fn spec(&self) -> Spec {
        let outputs = self.tensors["init.action_net.bias"].size()[0];
        let actions = match self.tensors.contains_key("init.log_std") {
            true => json!([{"type": "continuous", "name": "a", "size": outputs}]),
            false if outputs == 7 => {
                json!([{"type": "discrete", "name": "a", "choices": 3}, {"type": "discrete", "name": "b", "choices": 4}])
            }
            false => json!([{"type": "discrete", "name": "a", "choices": outputs}]),
        };
        let width = self.tensors["init.mlp_extractor.policy_net.0.bias"].size()[0];
        Spec::parse(&json!({
            "model_type": "control", "observations": [{"type": "vector", "name": "o", "size": 5}], "actions": actions,
            "hidden": [width, width], "activation": if width == 16 { "relu" } else { "tanh" },
        }))
        .unwrap()
    }

    /// Parameters under keel's names, flat.
    fn weights(&self, prefix: &str, layout: &Layout) -> Vec<f32> {
        let data = Tensor::zeros([layout.len], (Kind::Float, tch::Device::Cpu));
        for (place, slot) in layout.slots.iter().enumerate() {
            let (chain, rest) = slot.name.split_once('.').unwrap_or((&slot.name, ""));
            let name = match (chain, rest.split_once('.')) {
                (_, None) => "log_std".to_string(),
                ("policy", Some(("2", part))) => format!("action_net.{part}"),
                ("value", Some(("2", part))) => format!("value_net.{part}"),
                (_, Some((layer, part))) => {
                    format!("mlp_extractor.{chain}_net.{}.{part}", 2 * layer.parse::<usize>().unwrap())
                }
            };
            let tensor = &self.tensors[&format!("{prefix}.{name}")];
            let fitting = if tensor.dim() == 2 { tensor.transpose(0, 1) } else { tensor.shallow_clone() };
            layout.view(&data, place).copy_(&fitting);
        }
        Vec::try_from(data).unwrap()
    }

    fn session(&self, epochs: u64, minibatches: u64, learner: &str) -> Arc<ControlSession> {
        if learner != "staged" {
            return self.session_of(self.spec(), self.config(epochs, minibatches, learner));
        }
        let session = self.session_of(self.spec(), self.config(epochs, minibatches, "libtorch"));
        let policy = session.policy().unwrap();
        let trainee = Trainee::on(tch::Device::Cpu, &policy, algorithm(&session).config()).unwrap();
        session.core.lock().ppo().unwrap().trainee = trainee;
        session
    }

    fn config(&self, epochs: u64, minibatches: u64, learner: &str) -> Value {
        let normalized = self.info["normalize_advantage"] == true;
        let clip = self.info["clip_range_vf"].as_f64().unwrap_or(0.0);
        json!({
            "algorithm": {
                "type": "control_ppo", "rollout_steps": 128, "epochs": epochs, "minibatches": minibatches,
                "discount": self.number("gamma"), "gae_lambda": self.number("gae_lambda"),
                "clip_range": self.number("clip_range"), "value_coef": 2.0 * self.number("vf_coef"),
                "entropy_coef": self.number("ent_coef"), "advantages": if normalized { "minibatch" } else { "off" },
                "value_clip_range": clip, "value_clip": "clipped", "learner": learner,
            },
            "optimizer": {
                "learning_rate": self.number("learning_rate"), "epsilon": self.number("adam_eps"),
                "max_grad_norm": self.number("max_grad_norm"),
            },
        })
    }

    fn session_of(&self, spec: Spec, config: Value) -> Arc<ControlSession> {
        let runtime = Runtime::create(&settings::Runtime::default()).unwrap();
        let session = ControlSession::create(&runtime, Config::parse(Some(config.to_string().as_bytes())).unwrap());
        let session = session.unwrap();
        let weights = self.weights("init", &Layout::new(&spec.parameters()));
        let statistics = Statistics::new(spec.inputs);
        let policy = Arc::new(Policy::assemble(spec, weights, statistics).unwrap());
        session.set_model(Role::Policy, AnyModel::Control(policy)).unwrap();
        session
    }

    /// The rollout as four slots would have made it, 32 steps each and one that is not finished.
    fn record(&self, session: &ControlSession) {
        let spec = session.policy().unwrap().spec().clone();
        let seat = session.seat(&spec);
        let mut recording = seat.recording.lock();
        let column = |name: &str| self.floats(name);
        let (observations, actions, log_probs) = (column("observations"), column("actions"), column("log_probs"));
        let (rewards, starts, last) = (column("rewards"), column("episode_starts"), column("last_dones"));
        recording.reach(3);
        for row in 0..128 {
            let slot = row % 4;
            let action = &actions[row * spec.actions..(row + 1) * spec.actions];
            recording.observations.push(&observations[row * 5..row * 5 + 5]);
            recording.act(slot, &[], action, log_probs[row], 0);
            let done = starts.get(row + 4).unwrap_or(&last[slot]);
            let episode = if *done == 1.0 { Episode::Terminated } else { Episode::Running };
            recording.observe(slot, rewards[row], episode, None, 0.99);
        }
        for slot in 0..4 {
            recording.observations.push(&[0.0; 5]);
            recording.act(slot, &[], &actions[..spec.actions], 0.0, 0);
        }
    }

    /// The values that were stored with the rollout, then those behind its end.
    fn values(&self) -> Vec<f32> {
        let (last, done) = (self.floats("last_values"), self.floats("last_dones"));
        let bootstrap = last.iter().zip(done).filter(|(_, done)| *done == 0.0).map(|(value, _)| *value);
        self.floats("values").into_iter().chain(bootstrap).collect()
    }

    /// Rows of each minibatch, which the peer counts slot by slot.
    fn orders(&self) -> Vec<Vec<usize>> {
        let row = |index: i64| ((index % 32) * 4 + index / 32) as usize;
        let pass = |epoch: usize| Vec::<i64>::try_from(&self.tensors[&format!("perm.{epoch}")]).unwrap();
        let passes = (0..3).flat_map(pass).map(row).collect::<Vec<_>>();
        passes.chunks(32).map(<[usize]>::to_vec).collect()
    }

    fn update(&self, session: &Arc<ControlSession>, orders: Vec<Vec<usize>>) {
        self.record(session);
        let rollout = gathered(session);
        let mut core = session.core.lock();
        let update = Update::new(session, algorithm(session), 0, rollout);
        let update = update.given(core.ppo().unwrap(), orders, self.values());
        drop(core);
        Job::new(&session.runtime, Box::new(update)).run().unwrap();
    }
}

fn algorithm(session: &ControlSession) -> &Arc<ControlPpo> {
    let Method::Ppo(algorithm) = &session.method else { panic!("a session of PPO") };
    algorithm
}

fn gathered(session: &ControlSession) -> Rollout {
    let recordings: Vec<_> = session.recordings.lock().iter().map(|(recording, _)| recording.clone()).collect();
    Rollout::gather(&recordings, 128, algorithm(session).config().truncation).unwrap().unwrap()
}

const CASES: [&str; 6] =
    ["discrete", "discrete_relu_shared_lr", "discrete_vfclip", "continuous", "continuous_sgd_like", "multidiscrete"];

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let distance = |(found, expected): (&f32, &f32)| (found - expected).abs() / expected.abs().max(1.0);
    let worst = found.iter().zip(expected).map(distance).fold(0.0, f32::max);
    assert!(worst <= tolerance, "{what}: off by {worst}");
}

#[test]
fn advantages_are_those_of_the_peer() {
    for case in CASES {
        let golden = Golden::read(case);
        let session = golden.session(3, 4, "libtorch");
        golden.record(&session);
        let rollout = gathered(&session);
        let (advantages, returns) = rollout.advantages(&golden.values(), algorithm(&session).config());
        assert_close(&advantages, &golden.floats("advantages"), 1e-6, case);
        assert_close(&returns, &golden.floats("returns"), 1e-6, case);
    }
}

#[test]
fn what_a_policy_says_is_what_the_peer_says() {
    for case in CASES {
        let golden = Golden::read(case);
        let (session, count) = (golden.session(3, 4, "libtorch"), 128);
        let policy = session.policy().unwrap();
        let (observations, actions) = (golden.floats("observations"), golden.floats("actions"));
        let expected = ["eval.log_probs", "eval.entropy", "eval.values"].map(|name| golden.floats(name));
        let published = policy.published();
        let data = Tensor::from_slice(&published.weights);
        let network = Network::bind_trainable(policy.spec(), policy.layout(), &data, &data.zeros_like()).unwrap();
        let matrix = |numbers: &[f32]| Tensor::from_slice(numbers).view([count, -1]);
        let said = network.evaluate(&matrix(&observations), &matrix(&actions), None, None, false).unwrap();
        let mut outputs = vec![0.0; 128 * policy.spec().outputs];
        let (mut log_probs, mut entropies, mut values) = (vec![0.0; 128], vec![0.0; 128], vec![0.0; 128]);
        let (flat, weights) = (policy.network(), published.weights.as_slice());
        let mut scratch = Scratch::new(flat);
        flat.policy(weights, &observations, &mut scratch, &mut outputs);
        let likelihoods = Likelihoods { log_probs: &mut log_probs, entropies: &mut entropies };
        flat.evaluate(weights, &outputs, None, &actions, &mut scratch, likelihoods);
        flat.values(weights, &observations, &mut scratch, &mut values);
        let flat = [log_probs, entropies, values];
        let torch =
            [said.log_probs, said.entropies, said.values].map(|all| Vec::<f32>::try_from(all.detach()).unwrap());
        for ((expected, torch), flat) in expected.iter().zip(&torch).zip(&flat) {
            assert_close(torch, expected, 1e-5, &format!("{case} by libtorch"));
            assert_close(flat, expected, 1e-5, &format!("{case} by the kernel"));
            assert_close(flat, torch, 3e-6, &format!("{case}: kernel against libtorch"));
        }
    }
}

fn assert_logs(session: &ControlSession, logs: &Value, what: &str) {
    let record = session.record.lock();
    for (name, logged, sign) in [
        ("loss/policy", "train/policy_gradient_loss", 1.0),
        ("loss/value", "train/value_loss", 0.5),
        ("entropy/action", "train/entropy_loss", -1.0),
        ("policy/clip_fraction", "train/clip_fraction", 1.0),
    ] {
        let (found, expected) = (record.values[name], sign * logs[logged].as_f64().unwrap());
        assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{what}: {name}: {found}, not {expected}");
    }
}

#[test]
fn one_step_is_the_peers() {
    for learner in ["libtorch", "fused", "staged"] {
        for case in CASES {
            let (golden, what) = (Golden::read(case), format!("{case} by {learner}"));
            let session = golden.session(1, 1, learner);
            golden.update(&session, vec![(0..128).collect()]);
            let policy = session.policy().unwrap();
            assert_close(&policy.published().weights, &golden.weights("one", policy.layout()), 1e-5, &what);
            let logs = &golden.info["one_logs"];
            assert_logs(&session, logs, &what);
            let (kl, expected) = (session.record.lock().values["policy/approx_kl"], logs["train/approx_kl"].as_f64());
            assert!((kl - expected.unwrap()).abs() < 1e-5, "{what}: {kl}");
        }
    }
}

#[test]
fn a_whole_update_is_the_peers() {
    for learner in ["libtorch", "fused", "staged"] {
        for case in CASES {
            let (golden, what) = (Golden::read(case), format!("{case} by {learner}"));
            let session = golden.session(3, 4, learner);
            golden.update(&session, golden.orders());
            let policy = session.policy().unwrap();
            assert_close(&policy.published().weights, &golden.weights("full", policy.layout()), 1e-5, &what);
            assert_logs(&session, &golden.info["full_logs"], &what);
            assert_eq!(session.recordings.lock()[0].0.lock().len(), 4, "{what}: the open steps stay");
        }
    }
}

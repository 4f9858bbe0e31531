//! One update of a recurrent policy against PyTorch's own modules (tests/golden/make/gen_recurrent.py), each sequence by
//! itself there, all side by side here, by both learners.

use super::*;
use crate::kernel::Steps;

const CASES: [&str; 2] = ["gru_separate", "lstm_shared"];
const LEARNERS: [&str; 2] = ["fused", "libtorch"];
const LONGEST: u32 = 4;

fn read(case: &str) -> Golden {
    Golden::read_from("recurrent", case)
}

fn spec(golden: &Golden) -> Spec {
    let (lstm, shared) =
        (golden.tensors["init.head.policy.bias"].size()[0] == 3, golden.tensors.contains_key("init.hidden.trunk.bias"));
    let actions = match lstm {
        true => json!([{"type": "discrete", "name": "a", "choices": 3}]),
        false => json!([{"type": "continuous", "name": "a", "size": 2}]),
    };
    Spec::parse(&json!({
        "model_type": "control", "observations": [{"type": "vector", "name": "o", "size": 5}], "actions": actions,
        "hidden": [8], "core": {"type": if lstm { "lstm" } else { "gru" }, "size": 6},
        "value": if shared { "shared" } else { "separate" },
    }))
    .unwrap()
}

/// Parameters under keel's names, flat.
fn weights(golden: &Golden, prefix: &str, layout: &Layout) -> Vec<f32> {
    let data = Tensor::zeros([layout.len], (Kind::Float, tch::Device::Cpu));
    for (place, slot) in layout.slots.iter().enumerate() {
        let name = match slot.name.split('.').collect::<Vec<_>>()[..] {
            [chain, "core", "input_weight"] => format!("core.{chain}.weight_ih_l0"),
            [chain, "core", "hidden_weight"] => format!("core.{chain}.weight_hh_l0"),
            [chain, "core", "input_bias"] => format!("core.{chain}.bias_ih_l0"),
            [chain, "core", "hidden_bias"] => format!("core.{chain}.bias_hh_l0"),
            [chain, "1", part] => format!("head.{chain}.{part}"),
            [chain, "0", part] if slot.shape[0] == 5 || slot.shape == [8] => format!("hidden.{chain}.{part}"),
            [chain, "0", part] => format!("head.{chain}.{part}"),
            _ => slot.name.clone(),
        };
        let tensor = &golden.tensors[&format!("{prefix}.{name}")];
        let fitting = if tensor.dim() == 2 { tensor.transpose(0, 1) } else { tensor.shallow_clone() };
        layout.view(&data, place).copy_(&fitting);
    }
    Vec::try_from(data).unwrap()
}

fn session(golden: &Golden, epochs: u64, learner: &str) -> Arc<ControlSession> {
    let config = json!({
        "algorithm": {
            "type": "control_ppo", "rollout_steps": 36, "epochs": epochs, "minibatches": 1, "learner": learner,
            "discount": golden.number("discount"), "gae_lambda": golden.number("gae_lambda"),
            "clip_range": golden.number("clip_range"), "value_coef": golden.number("value_coef"),
            "entropy_coef": golden.number("entropy_coef"), "sequence_length": LONGEST,
        },
        "optimizer": {
            "learning_rate": golden.number("learning_rate"), "epsilon": golden.number("epsilon"),
            "max_grad_norm": golden.number("max_grad_norm"),
        },
    });
    let runtime = Runtime::create(&settings::Runtime::default()).unwrap();
    let session = ControlSession::create(&runtime, Config::parse(Some(config.to_string().as_bytes())).unwrap());
    let (session, spec) = (session.unwrap(), spec(golden));
    let weights = weights(golden, "init", &Layout::new(&spec.parameters()));
    let statistics = Statistics::new(spec.inputs);
    let policy = Arc::new(Policy::assemble(spec, weights, statistics).unwrap());
    session.set_model(Role::Policy, AnyModel::Control(policy)).unwrap();
    session
}

/// The rollout as three slots made it, 12 steps each and one that is not finished.
fn record(golden: &Golden, session: &ControlSession) {
    let spec = session.policy().unwrap().spec().clone();
    let seat = session.seat(&spec);
    let mut recording = seat.recording.lock();
    let column = |name: &str| golden.floats(name);
    let (observations, actions, log_probs) = (column("observations"), column("actions"), column("log_probs"));
    let (rewards, dones, states) = (column("rewards"), column("dones"), column("states"));
    let (last, cut, width) = (column("last"), column("final"), spec.state);
    recording.reach(2);
    for row in 0..36 {
        let (slot, action) = (row % 3, &actions[row * spec.actions..(row + 1) * spec.actions]);
        recording.observations.push(&observations[row * 5..][..5]);
        let step = recording.act(slot, &[], action, log_probs[row], 0);
        recording.states.record(slot, &states[(row + 3) * width..][..width], step, LONGEST);
        let episode = Episode::try_from(dones[row] as i32).unwrap();
        recording.observe(slot, rewards[row], episode, Some(&cut), 0.95);
    }
    for slot in 0..3 {
        recording.observations.push(&last[slot * 5..][..5]);
        let step = recording.act(slot, &[], &actions[..spec.actions], 0.0, 0);
        recording.states.record(slot, &vec![0.0; width], step, LONGEST);
    }
}

fn rollout(session: &ControlSession) -> Rollout {
    Rollout::gather(&session.all_recordings(), 36, algorithm(session).config().truncation).unwrap().unwrap()
}

fn assert_logs(session: &ControlSession, logs: &Value, what: &str) {
    let record = session.record.lock();
    for name in ["loss/policy", "loss/value", "entropy/action"] {
        let logs: Vec<f64> = logs.as_array().unwrap().iter().map(|log| log[name].as_f64().unwrap()).collect();
        let (found, expected) = (record.values[name], logs.iter().sum::<f64>() / logs.len() as f64);
        assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{what}: {name}: {found}, not {expected}");
    }
}

#[test]
fn acting_step_by_step_is_the_modules() {
    for case in CASES {
        let golden = read(case);
        let policy = session(&golden, 1, "auto").policy().unwrap();
        let (spec, network) = (policy.spec(), policy.network());
        let (observations, states, outputs) =
            (golden.floats("observations"), golden.floats("states"), golden.floats("outputs"));
        let dones = golden.floats("dones");
        let mut scratch = Scratch::new(network);
        for row in 0..36 {
            let (mut state, mut found) = (states[row * spec.state..][..spec.state].to_vec(), vec![0.0; spec.outputs]);
            let steps = Steps { states: &mut state, outputs: &mut found, values: &mut [] };
            network.advance(&policy.published().weights, &observations[row * 5..][..5], &mut scratch, steps);
            assert_close(&found, &outputs[row * spec.outputs..][..spec.outputs], 1e-6, case);
            if dones[row] == 0.0 {
                assert_close(&state, &states[(row + 3) * spec.state..][..spec.state], 1e-6, case);
            }
        }
    }
}

#[test]
fn values_and_advantages_along_sequences_are_the_modules() {
    for (case, learner) in CASES.iter().flat_map(|case| LEARNERS.map(|learner| (case, learner))) {
        let (golden, what) = (read(case), format!("{case} by {learner}"));
        let session = session(&golden, 1, learner);
        record(&golden, &session);
        let rollout = rollout(&session);
        let mut core = session.core.lock();
        let trainee = &mut core.ppo().unwrap().trainee;
        let values = trainee.values_along(rollout.observations.host(), &rollout.sequences.whole(36)).unwrap();
        assert_close(&values[..36], &golden.floats("values"), 1e-5, &what);
        let (advantages, returns) = rollout.advantages(&values, algorithm(&session).config());
        assert_close(&advantages, &golden.floats("advantages"), 1e-5, &what);
        assert_close(&returns, &golden.floats("returns"), 1e-5, &what);
    }
}

#[test]
fn steps_on_sets_of_sequences_are_the_modules() {
    for (case, learner) in CASES.iter().flat_map(|case| LEARNERS.map(|learner| (case, learner))) {
        let golden = read(case);
        let sets: Vec<Vec<usize>> = serde_json::from_value(golden.info["sets"].clone()).unwrap();
        let all = vec![(0..sets[0].len() + sets[1].len()).collect()];
        for (name, orders) in [("one", all), ("full", sets)] {
            let what = format!("{case}, {name} by {learner}");
            let session = session(&golden, orders.len() as u64, learner);
            record(&golden, &session);
            let update = Update::new(&session, algorithm(&session), 0, rollout(&session)).ordered(orders);
            Job::new(&session.runtime, Box::new(update)).run().unwrap();
            let policy = session.policy().unwrap();
            assert_close(&policy.published().weights, &weights(&golden, name, policy.layout()), 1e-5, &what);
            assert_logs(&session, &golden.info["logs"][name], &what);
        }
    }
}

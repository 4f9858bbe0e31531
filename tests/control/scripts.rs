//! Networks that a host brings as TorchScript: they act, learn and are kept as keel's own, where the runtime allows them.

use crate::hosts::*;
use keel::config;
use keel::error::{Error, Result, Status};
use keel::model::control::{Network, Policy, Reader, Spec, Statistics};
use keel::model::{AnyModel, Layout};
use keel::session::control::{Act, Actor, ControlSession, Episode};
use keel::session::{AnySession, Config, Learner, Role, Runtime};
use serde_json::{json, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::{Kind, Tensor};

mod refused;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/script").join(format!("{name}.pt"))
}

fn allowing() -> Arc<Runtime> {
    Runtime::create(&config::Runtime { allow_torchscript: true, ..config::Runtime::default() }).unwrap()
}

fn create(network: Value, path: &Path) -> Result<Arc<Policy>> {
    let mut config = network;
    config["script"] = json!({ "path": path });
    let create = config::Create { config, allow_torchscript: true, ..config::Create::default() };
    match AnyModel::create(&create)? {
        AnyModel::Control(policy) => Ok(policy),
        _ => panic!("a control network"),
    }
}

fn cart(name: &str) -> Arc<Policy> {
    create(cart_config(json!({})), &script(name)).unwrap()
}

fn session_of(runtime: &Arc<Runtime>, settings: Value, policy: &Arc<Policy>) -> Result<Arc<ControlSession>> {
    let mut text = json!({"algorithm": {"type": "control_ppo"}, "seed": 5});
    settings.as_object().unwrap().iter().for_each(|(key, value)| match key.as_str() {
        "optimizer" | "algorithm" => text[key] = value.clone(),
        _ => text["algorithm"][key] = value.clone(),
    });
    let config = Config::parse(Some(text.to_string().as_bytes())).unwrap();
    let AnySession::Control(session) = AnySession::create(runtime, config)? else { panic!("a control session") };
    session.set_model(Role::Policy, AnyModel::Control(policy.clone()))?;
    Ok(session)
}

fn small() -> Value {
    json!({"rollout_steps": 64, "epochs": 2, "minibatches": 3})
}

/// keel's own network with the numbers of the script `tanh`, whose layers are 0, 2 and 4 of a chain and lie the other way.
fn own(source: &Policy) -> Arc<Policy> {
    let spec = Spec::parse(&cart_config(json!({"hidden": [8, 8]}))).unwrap();
    let layout = Layout::new(&spec.parameters());
    let (from, data) = (Tensor::from_slice(&source.published().weights), flat(layout.len));
    for (place, slot) in layout.slots.iter().enumerate() {
        let parts: Vec<&str> = slot.name.split('.').collect();
        let name = format!("network.{}.{}.{}", parts[0], 2 * parts[1].parse::<usize>().unwrap(), parts[2]);
        let tensor = source.layout().view(&from, source.layout().find(&name).unwrap());
        let fitting = if tensor.dim() == 2 { tensor.transpose(0, 1) } else { tensor };
        layout.view(&data, place).copy_(&fitting);
    }
    Arc::new(Policy::assemble(spec, Vec::try_from(data).unwrap(), Statistics::new(4)).unwrap())
}

fn flat(length: i64) -> Tensor {
    Tensor::zeros([length], (Kind::Float, tch::Device::Cpu))
}

fn worst(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max)
}

fn refused<T>(result: Result<T>, status: Status, says: &str) {
    let Err(Error { status: found, message }) = result else { panic!("not refused: {says}") };
    assert!(found == status && message.contains(says), "{found:?}: {message}, not {status:?}: {says}");
}

#[test]
fn a_script_says_what_eager_torch_says() {
    let vectors: Value =
        serde_json::from_slice(&std::fs::read(script("vectors").with_extension("json")).unwrap()).unwrap();
    let beyond = json!([{"type": "continuous", "name": "a", "size": 2}]);
    let small = json!([{"type": "vector", "name": "o", "size": 3}]);
    let gaussian = cart_config(json!({"actions": beyond, "observations": small, "initial_deviation": 0.5}));
    for (name, network) in [("tanh", cart_config(json!({}))), ("gaussian", gaussian)] {
        let policy = create(network, &script(name)).unwrap();
        let numbers = |column: &str| -> Vec<f32> { serde_json::from_value(vectors[name][column].clone()).unwrap() };
        let (observations, expected) = (numbers("observations"), numbers("outputs"));
        let weights = Tensor::from_slice(&policy.published().weights);
        let bound = Network::bind_trainable(policy.spec(), policy.layout(), &weights, &weights.zeros_like()).unwrap();
        let (outputs, values) = bound.forward(&Tensor::from_slice(&observations).view([6, -1]), None).unwrap();
        let found = |tensor: &Tensor| Vec::<f32>::try_from(tensor.contiguous().view([-1])).unwrap();
        assert!(worst(&found(&outputs), &expected) < 1e-6, "{name}");
        assert!(worst(&found(&values), &numbers("values")) < 1e-6, "{name}");
        let mut read = vec![0.0; expected.len()];
        let mut reader = Reader::new(&policy).unwrap().unwrap();
        reader.outputs(&policy.published(), &observations, &mut read).unwrap();
        assert!(worst(&read, &expected) < 1e-6, "{name}: {read:?}");
        let names: Vec<&str> = policy.layout().slots.iter().map(|slot| slot.name.as_str()).collect();
        assert!(!names.iter().any(|name| name.contains("frozen") || name.contains("scale")), "{names:?}");
    }
}

#[test]
fn a_row_does_not_count_those_beside_it() {
    let policy = cart("tanh");
    let mut reader = Reader::new(&policy).unwrap().unwrap();
    let observations: Vec<f32> = (0..4 * 9).map(|i| (i as f32).sin()).collect();
    let mut all = vec![0.0; 18];
    reader.outputs(&policy.published(), &observations, &mut all).unwrap();
    for row in 0..9 {
        let mut alone = [0.0; 2];
        reader.outputs(&policy.published(), &observations[4 * row..4 * row + 4], &mut alone).unwrap();
        assert_eq!(alone, all[2 * row..2 * row + 2], "{row}");
    }
}

#[test]
fn it_acts_and_learns_as_the_same_network_of_keels_own() {
    for name in ["tanh", "traced"] {
        let policy = cart(name);
        let twin = own(&policy);
        let settings = json!({"rollout_steps": 64, "epochs": 3, "minibatches": 3, "entropy_coef": 0.01, "learner": "libtorch",
                              "optimizer": {"learning_rate": 3e-3, "weight_decay": 0.1}});
        let (first, second) = (policy.clone(), twin.clone());
        let sessions = [first, second].map(|policy| session_of(&allowing(), settings.clone(), &policy).unwrap());
        let mut settled = Vec::new();
        for session in &sessions {
            let (actor, mut carts) = (Actor::create(session).unwrap(), Carts::new(5));
            (0..4).for_each(|_| carts.learn(session, &actor));
            settled.push((carts.observations(), metric(session, "loss/total"), metric(session, "policy/approx_kl")));
        }
        assert_eq!(settled[0].0, settled[1].0, "{name}: the carts went the same way");
        assert!((settled[0].1 - settled[1].1).abs() < 1e-4 && settled[0].2 > 1e-5, "{name}: {settled:?}");
        let (learned, twins) = (own(&policy).published(), twin.published());
        assert!(worst(&learned.weights, &twins.weights) < 1e-5, "{name}");
        assert!(worst(&learned.weights, &own(&cart(name)).published().weights) > 1e-3, "{name}: it moved");
    }
}

#[test]
fn the_cart_stays_up() {
    let settings = json!({"rollout_steps": 256, "epochs": 20, "minibatches": 1, "discount": 0.98, "gae_lambda": 0.8,
                          "optimizer": {"learning_rate": 3e-3}});
    let session = session_of(&allowing(), settings, &cart("tanh")).unwrap();
    let actor = Actor::create(&session).unwrap();
    let (before, after) = (evaluate(&actor, 10), Carts::new(8).best(&session, &actor, 160));
    assert!(before < 60.0 && after > 400.0, "{before} → {after}");
}

#[test]
fn a_policy_on_disk_acts_as_it_did() {
    let folder = std::env::temp_dir().join(format!("keel-script-{}", std::process::id()));
    let policy = create(cart_config(json!({"normalize_observations": true})), &script("tanh")).unwrap();
    let session = session_of(&allowing(), small(), &policy).unwrap();
    let (actor, mut carts) = (Actor::create(&session).unwrap(), Carts::new(4));
    (0..2).for_each(|_| carts.learn(&session, &actor));
    policy.save(&folder).unwrap();
    assert_eq!(std::fs::read(folder.join("network.pt")).unwrap(), std::fs::read(script("tanh")).unwrap());
    refused(AnyModel::load(&folder, &config::Load::default()), Status::Unsupported, "\"allow_torchscript\": true");
    let load = config::Load { allow_torchscript: true, ..config::Load::default() };
    let Ok(AnyModel::Control(loaded)) = AnyModel::load(&folder, &load) else { panic!("a policy") };
    assert_eq!(loaded.published().weights, policy.published().weights);
    let heir = Actor::create(&session_of(&allowing(), small(), &loaded).unwrap()).unwrap();
    for turn in 0..20 {
        let observations: Vec<f32> = (0..16).map(|i| ((turn * 16 + i) as f32).sin()).collect();
        let slots = [0, 1, 2, 3];
        assert_eq!(act(&actor, &slots, &observations, GREEDY), act(&heir, &slots, &observations, GREEDY));
    }
    std::fs::copy(script("gaussian"), folder.join("network.pt")).unwrap();
    refused(AnyModel::load(&folder, &load), Status::Callback, "network.pt: the network's script");
    std::fs::remove_file(folder.join("network.pt")).unwrap();
    refused(AnyModel::load(&folder, &load), Status::File, "network.pt: missing");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_checkpoint_has_the_same_future() {
    let runtime = allowing();
    let session = session_of(&runtime, small(), &cart("tanh")).unwrap();
    let (actor, mut carts) = (Actor::create(&session).unwrap(), Carts::new(4));
    (0..2).for_each(|_| carts.learn(&session, &actor));
    carts.turn(&actor);
    let (kept, there) = (session.export().unwrap(), carts.clone());
    let future = |session: &Arc<ControlSession>, actor: &Arc<Actor>| {
        let mut carts = there.clone();
        (0..2).for_each(|_| carts.learn(session, actor));
        (session.state_hash().unwrap(), carts.observations())
    };
    let expected = future(&session, &actor);
    session.import(&kept).unwrap();
    assert_eq!(future(&session, &actor), expected, "restored");
    let path = std::env::temp_dir().join(format!("keel-script-{}.checkpoint", std::process::id()));
    std::fs::write(&path, &kept).unwrap();
    let Ok(AnySession::Control(opened)) = AnySession::open(&runtime, &path) else { panic!("a control session") };
    let heir = Actor::create(&opened).unwrap();
    assert_eq!(future(&opened, &heir), expected, "opened");
    let unwilling = keel::session::Runtime::create(&config::Runtime::default()).unwrap();
    refused(AnySession::open(&unwilling, &path), Status::Unsupported, "\"allow_torchscript\": true");
    std::fs::remove_file(path).unwrap();
    let hash = opened.state_hash().unwrap();
    let other = session_of(&runtime, small(), &cart("touchy")).unwrap().export().unwrap();
    refused(opened.import(&other), Status::Shape, "another script");
    assert_eq!(opened.state_hash().unwrap(), hash);
}

#[test]
fn what_a_script_throws_is_a_status_and_loses_nothing() {
    let session = session_of(&allowing(), small(), &cart("touchy")).unwrap();
    let (actor, mut carts) = (Actor::create(&session).unwrap(), Carts::new(4));
    carts.learn(&session, &actor);
    let hash = session.state_hash().unwrap();
    let (far, mut record) = (bytes(&[0.0, 1000.0, 0.0, 0.0]), [0u8; 4]);
    let thrown = actor.act(&[9], &far, &mut record, RECORDED, None);
    refused(thrown, Status::Callback, "this network knows no such place");
    assert_eq!(session.state_hash().unwrap(), hash);
    carts.turn(&actor);
    act(&actor, &[9], &[0.0; 4], RECORDED);
    actor.observe(&[9], &[1.0], &[Episode::Truncated], &far).unwrap();
    let job = loop {
        carts.turn(&actor);
        if let Some(job) = session.clone().update().unwrap() {
            break job;
        }
    };
    let hash = session.state_hash().unwrap();
    refused(job.run(), Status::Callback, "this network knows no such place");
    assert_eq!(session.state_hash().unwrap(), hash, "the steps are still there");
    act(&actor, &[11], &[0.0; 4], RECORDED);
    session.clear().unwrap();
    carts.learn(&session, &actor);
}

#[test]
fn a_script_that_changes_its_mind_about_shapes_is_refused_when_it_does() {
    let session = session_of(&allowing(), small(), &cart("widening")).unwrap();
    let (actor, mut record) = (Actor::create(&session).unwrap(), [0u8; 4]);
    let how = Act { greedy: true, ..RECORDED };
    let wide = actor.act(&[0], &bytes(&[200.0, 0.0, 0.0, 0.0]), &mut record, how, None);
    refused(wide, Status::Shape, "outputs: expected float32 [4, 2], got Float [4, 4]");
    Carts::new(4).learn(&session, &actor);
}

#[test]
fn actors_and_the_learner_do_not_wait_for_one_another() {
    let session = session_of(&allowing(), json!({"rollout_steps": 256, "epochs": 20, "minibatches": 4}), &cart("tanh"));
    let session = session.unwrap();
    let (actor, mut carts) = (Actor::create(&session).unwrap(), Carts::new(8));
    for _ in 0..2 {
        let job = loop {
            carts.turn(&actor);
            if let Some(job) = session.clone().update().unwrap() {
                break job;
            }
        };
        job.start().unwrap();
        let playing = || {
            let actor = Actor::create_unrecorded(&session).unwrap();
            let first = act(&actor, &[0, 1], &[0.1; 8], GREEDY);
            for _ in 0..200 {
                assert_eq!(act(&actor, &[0, 1], &[0.1; 8], GREEDY), first, "published weights do not move");
            }
        };
        std::thread::scope(|scope| _ = [scope.spawn(playing), scope.spawn(playing)]);
        job.wait(std::time::Duration::from_secs(60)).unwrap();
    }
}

#[test]
fn cloning_and_demonstrations_take_scripts_and_others_say_that_they_do_not() {
    let policy = cart("tanh");
    session_of(&allowing(), json!({"algorithm": {"type": "cloning"}}), &policy).unwrap();
    session_of(&allowing(), json!({"cloning": {}}), &policy).unwrap();
    for (settings, status, says) in [
        (json!({"learner": "fused"}), Status::Config, "/algorithm/learner: expected auto or libtorch"),
        (json!({"gradient_clip": "separate"}), Status::Config, "/algorithm/gradient_clip: expected whole"),
    ] {
        refused(session_of(&allowing(), settings, &policy), status, says);
    }
    let squashed = json!([{"type": "continuous", "name": "a", "size": 1, "low": -1, "high": 1, "distribution": "squashed",
                           "deviation": "state"}]);
    let squashed = create(cart_config(json!({"actions": squashed})), &script("tanh")).unwrap();
    let sac = session_of(&allowing(), json!({"algorithm": {"type": "sac"}}), &squashed);
    refused(sac, Status::Config, "/script: expected none");
}

#[test]
fn a_module_in_training_mode_is_evaluated() {
    let session =
        session_of(&allowing(), json!({"rollout_steps": 64, "epochs": 1, "minibatches": 1}), &cart("dropping"));
    let session = session.unwrap();
    let (actor, mut carts) = (Actor::create(&session).unwrap(), Carts::new(4));
    carts.learn(&session, &actor);
    let apart = metric(&session, "policy/ratio_max_log");
    assert!(apart < 1e-5, "sampler and learner agree: {apart}");
}

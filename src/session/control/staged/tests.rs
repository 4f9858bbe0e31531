//! The learner of a device, on the CPU: what it does is what the ordinary one does, in buffers that stay.

use super::super::trainee::Trainee;
use super::super::{ControlSession, Episode};
use super::*;
use crate::config as settings;
use crate::model::control::Policy;
use crate::model::AnyModel;
use crate::session::control::{Act, Actor};
use crate::session::{Config, Learner, Role, Runtime};
use serde_json::{json, Value};

const RECORDED: Act = Act { greedy: false, unrecorded: false, given: false };

/// A session of a policy with a masked choice and two continuous dimensions.
fn session(algorithm: Value, staged: bool) -> (Arc<ControlSession>, Arc<Actor>) {
    let mut config = json!({
        "algorithm": {"type": "control_ppo", "rollout_steps": 30, "epochs": 2, "minibatches": 4, "learner": "libtorch"},
        "optimizer": {"learning_rate": 0.003, "max_grad_norm": 0.2, "weight_decay": 0.1},
    });
    algorithm.as_object().unwrap().iter().for_each(|(key, value)| config["algorithm"][key] = value.clone());
    let runtime = Runtime::create(&settings::Runtime::default()).unwrap();
    let session =
        ControlSession::create(&runtime, Config::parse(Some(config.to_string().as_bytes())).unwrap()).unwrap();
    let network = json!({
        "model_type": "control", "hidden": [8], "normalize_observations": true,
        "observations": [{"type": "vector", "name": "o", "size": 3}, {"type": "mask", "action": "a"}],
        "actions": [{"type": "discrete", "name": "a", "choices": 3}, {"type": "continuous", "name": "b", "size": 2}],
    });
    let policy = Arc::new(Policy::create(&settings::Create { config: network, ..Default::default() }).unwrap());
    session.set_model(Role::Policy, AnyModel::Control(policy.clone())).unwrap();
    if staged {
        let super::super::Method::Ppo(algorithm) = &session.method else { panic!("expected control_ppo") };
        let trainee = Trainee::on(Device::Cpu, &policy, algorithm.config()).unwrap();
        session.core.lock().ppo().unwrap().trainee = trainee;
    }
    let actor = Actor::create(&session).unwrap();
    (session, actor)
}

/// `steps` steps of three slots; every fifth ends an episode.
fn play(actor: &Actor, steps: usize, salt: f32) {
    for step in 0..steps {
        let mut records = Vec::new();
        for slot in 0..3u8 {
            let place = salt + step as f32 * 0.3 + f32::from(slot);
            [place.sin(), place.cos(), place * 0.1].iter().for_each(|number| records.extend(number.to_ne_bytes()));
            records.extend([1, u8::from((step + usize::from(slot)).is_multiple_of(2)), 1, 0]);
        }
        let mut actions = [0u8; 36];
        actor.act(&[0, 1, 2], &records, &mut actions, RECORDED, None).unwrap();
        let rewards: Vec<f32> = actions.chunks_exact(12).map(|action| f32::from(action[0]) - 0.5).collect();
        let ends = if step % 5 == 4 { Episode::Terminated } else { Episode::Running };
        actor.observe(&[0, 1, 2], &rewards, &[ends as i32; 3], &[]).unwrap();
    }
}

fn update(session: &Arc<ControlSession>) -> Result<()> {
    session.clone().update().unwrap().unwrap().run()?;
    Ok(())
}

fn assert_alike(left: &Arc<ControlSession>, right: &Arc<ControlSession>, what: &str) {
    let weights = |session: &Arc<ControlSession>| session.policy().unwrap().published().weights.clone();
    let far = weights(left).iter().zip(weights(right)).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max);
    assert!(far < 1e-6, "{what}: {far}");
    let (left, right) = (left.record.lock().values.clone(), right.record.lock().values.clone());
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>(), "{what}");
    for (name, value) in &left {
        assert!((value - right[name]).abs() < 1e-5 * value.abs().max(1.0), "{what}: {name}: {value}, {}", right[name]);
    }
}

#[test]
fn it_learns_what_the_ordinary_learner_learns() {
    for (algorithm, what) in [
        (json!({}), "the defaults"),
        (json!({"advantages": "batch", "value_clip_range": 0.1, "entropy_coef": 0.01}), "batch"),
        (json!({"advantages": "off", "value_clip_range": 0.1, "value_clip": "clipped"}), "off"),
        (json!({"minibatches": 30, "epochs": 1}), "minibatches of one and two"),
        (json!({"target_kl": 1e-4}), "a stop"),
    ] {
        let ((left, plays), (right, acts)) = (session(algorithm.clone(), false), session(algorithm, true));
        for round in 0..3u8 {
            // more steps each time, so that the columns and the sizes of minibatches change
            for actor in [&plays, &acts] {
                play(actor, 11 + 400 * usize::from(round), f32::from(round));
            }
            update(&left).unwrap();
            update(&right).unwrap();
            assert_alike(&left, &right, &format!("{what}, update {round}"));
        }
    }
}

/// Where the columns, the index and the numbers of a session lie.
fn places(session: &Arc<ControlSession>) -> Vec<usize> {
    let mut core = session.core.lock();
    let staged = core.ppo().unwrap().trainee.staged_for_test();
    let Table { observations, legal, actions, log_probs, advantages, values, returns, .. } = &staged.table;
    let columns =
        [observations, legal, actions, log_probs, advantages, values, returns, &staged.numbers, &staged.steps];
    let mut sizes: Vec<_> = staged.sizes.iter().map(|(size, sized)| (*size, sized.index.data_ptr() as usize)).collect();
    sizes.sort_unstable();
    columns.iter().map(|column| column.data_ptr() as usize).chain(sizes.into_iter().map(|(_, index)| index)).collect()
}

#[test]
fn what_a_graph_would_read_stays_where_it_is() {
    let (session, actor) = session(json!({}), true);
    play(&actor, 12, 0.0);
    update(&session).unwrap();
    let before = places(&session);
    play(&actor, 11, 1.0);
    update(&session).unwrap();
    assert_eq!(places(&session), before);
    play(&actor, 700, 2.0);
    update(&session).unwrap();
    let after = places(&session);
    assert!(after[0] != before[0] && after.len() < before.len() + 3, "the sizes of before are forgotten");
}

#[test]
fn a_loss_that_is_no_number_changes_nothing() {
    let (session, actor) = session(json!({}), true);
    play(&actor, 12, 0.0);
    let before = session.policy().unwrap().published().weights.clone();
    let spoil = |value: f64| {
        let mut core = session.core.lock();
        let _ = core.ppo().unwrap().trainee.arena.parameters.get(0).fill_(value);
    };
    spoil(f64::NAN);
    let error = update(&session).unwrap_err();
    assert_eq!(error.status, Status::NonFinite, "{error}");
    assert_eq!(session.core.lock().optimizer_steps, 0);
    spoil(before[0].into());
    update(&session).unwrap();
    assert!(session.policy().unwrap().published().weights.iter().all(|weight| weight.is_finite()));
}

#[test]
fn a_checkpoint_goes_on_as_it_would_have() {
    let ((left, plays), (right, _)) = (session(json!({}), true), session(json!({}), true));
    play(&plays, 12, 0.0);
    update(&left).unwrap();
    let saved = left.export().unwrap();
    play(&plays, 12, 1.0);
    update(&left).unwrap();
    right.import(&saved).unwrap();
    let actor = Actor::create(&right).unwrap();
    play(&actor, 12, 1.0);
    update(&right).unwrap();
    assert_eq!(left.state_hash().unwrap(), right.state_hash().unwrap());
}

#[test]
fn a_device_that_is_not_there_is_refused() {
    let runtime = Runtime::create(&settings::Runtime::default()).unwrap();
    let text = json!({"algorithm": {"type": "control_ppo", "learner": "fused"}, "device": "cuda:0"}).to_string();
    let error = ControlSession::create(&runtime, Config::parse(Some(text.as_bytes())).unwrap()).err().unwrap();
    assert!(matches!(error.status, Status::Device | Status::Unsupported), "{error}");
}

//! Acting and learning on observations that stay on a device, on the CPU: what comes of it is what comes of host records.

use super::*;
use crate::model::control::RewardModel;
use crate::session::control::actor::{Act, Actor};
use crate::session::control::tensors::Tensors;
use crate::torch::cuda::Stream;
use crate::torch::dlpack::{export, Given};
use tch::Device;

const SLOTS: usize = 5;
const DRAWN: Act = Act { greedy: false, unrecorded: false, given: false };

/// How observations come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Records,
    Tensors,
}

/// A session that learns as a device does; its observations stay in their tensors where it is `placed`. Two vectors, a masked
/// choice between them, two continuous dimensions.
fn session(algorithm: Value, placed: bool) -> Arc<ControlSession> {
    let mut config = json!({
        "algorithm": {"type": "control_ppo", "rollout_steps": 40, "epochs": 2, "minibatches": 4, "learner": "libtorch"},
        "optimizer": {"learning_rate": 0.003},
    });
    algorithm.as_object().unwrap().iter().for_each(|(key, value)| config["algorithm"][key] = value.clone());
    let runtime = Runtime::create(&settings::Runtime::default()).unwrap();
    let config = Config::parse(Some(config.to_string().as_bytes())).unwrap();
    let mut session = ControlSession::create(&runtime, config).unwrap();
    if placed {
        Arc::get_mut(&mut session).unwrap().acts_on = Some(Device::Cpu);
    }
    let network = json!({
        "model_type": "control", "hidden": [8], "normalize_observations": true, "observation_clip": 1.5,
        "observations": [
            {"type": "vector", "name": "o", "size": 3}, {"type": "mask", "action": "a"},
            {"type": "vector", "name": "p", "size": 2},
        ],
        "actions": [{"type": "discrete", "name": "a", "choices": 3}, {"type": "continuous", "name": "b", "size": 2}],
    });
    let policy = Arc::new(Policy::create(&settings::Create { config: network, ..Default::default() }).unwrap());
    session.set_model(Role::Policy, AnyModel::Control(policy.clone())).unwrap();
    let trainee = Trainee::on(Device::Cpu, &policy, super::algorithm(&session).config()).unwrap();
    session.core.lock().ppo().unwrap().trainee = trainee;
    session
}

/// What the slots see at a time: numbers of the vectors, masks.
fn seen(slots: &[u32], time: f32) -> (Vec<[f32; 5]>, Vec<[u8; 3]>) {
    let numbers = |slot: &u32| {
        let place = time * 0.3 + *slot as f32;
        [place.sin(), 3.0 * place.cos(), 100.0 + place * 0.1, (0.7 * place).sin(), -place]
    };
    let masks = |slot: &u32| [1, u8::from((time as u32 + slot).is_multiple_of(2)), 1];
    (slots.iter().map(numbers).collect(), slots.iter().map(masks).collect())
}

fn record((numbers, mask): (&[f32; 5], &[u8; 3])) -> Vec<u8> {
    let floats = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_ne_bytes()).collect::<Vec<u8>>();
    [floats(&numbers[..3]), mask.to_vec(), vec![0], floats(&numbers[3..])].concat()
}

fn given(tensor: &Tensor) -> Given {
    // SAFETY: exported here and given once.
    unsafe { Given::take(export(tensor).unwrap()) }.unwrap()
}

/// One act of some slots; the action records.
fn act_on(
    actor: &Actor,
    way: Way,
    slots: &[u32],
    (numbers, masks): &(Vec<[f32; 5]>, Vec<[u8; 3]>),
    how: Act,
    actions: &mut [u8],
) -> crate::error::Result<()> {
    if way == Way::Records {
        let records: Vec<u8> = numbers.iter().zip(masks).flat_map(record).collect();
        return actor.act(slots, &records, actions, how, None);
    }
    let count = slots.len() as i64;
    let all = Tensor::from_slice(numbers.as_flattened()).view([count, 5]);
    let masks = Tensor::from_slice(masks.as_flattened()).view([count, 3]).to_kind(Kind::Bool);
    let records = Tensor::from_slice(actions).view([count, 12]);
    // views by strides: a column of a wider matrix, as hosts have them
    let observations = [all.narrow(1, 0, 3), masks, all.narrow(1, 3, 2)].iter().map(given).collect();
    let tensors = Tensors { observations, actions: given(&records), stream: Stream(std::ptr::null_mut()) };
    actor.act_tensors(slots, tensors, how, None)?;
    records.view([-1]).copy_data(actions, actions.len());
    Ok(())
}

/// `steps` steps of all slots from `time` on: some episodes end, are cut off and abandoned. Returns the actions.
fn play(actor: &Actor, way: impl Fn(usize) -> Way, steps: usize, time: usize, finals: bool) -> Vec<u8> {
    play_from(0, actor, way, steps, time, finals)
}

/// As `play`, by an actor whose first slot this is.
fn play_from(
    first: usize,
    actor: &Actor,
    way: impl Fn(usize) -> Way,
    steps: usize,
    time: usize,
    finals: bool,
) -> Vec<u8> {
    let slots: Vec<u32> = (first as u32..).take(SLOTS).collect();
    let mut all = Vec::new();
    for step in time..time + steps {
        let (before, after) = (seen(&slots, step as f32), seen(&slots, step as f32 + 0.5));
        let mut actions = vec![0; 12 * SLOTS];
        act_on(actor, way(step), &slots, &before, DRAWN, &mut actions).unwrap();
        let rewards: Vec<f32> = actions.chunks_exact(12).map(|action| f32::from(action[0]) - 0.5).collect();
        let ends = |slot: usize| match (step + slot) % 7 {
            3 => Episode::Terminated,
            5 => Episode::Truncated,
            6 if slot == 1 => Episode::Abandoned,
            _ => Episode::Running,
        };
        let episodes: Vec<i32> = (0..SLOTS).map(|slot| ends(slot) as i32).collect();
        let last = |slot: &usize| finals && ends(*slot) == Episode::Truncated;
        let lasts = (0..SLOTS).filter(last).flat_map(|slot| record((&after.0[slot], &after.1[slot])));
        actor.observe(&slots, &rewards, &episodes, &lasts.collect::<Vec<u8>>()).unwrap();
        all.extend(actions);
    }
    all
}

fn update(session: &Arc<ControlSession>) {
    session.clone().update().unwrap().unwrap().run().unwrap();
}

fn close(left: &[f32], right: &[f32], what: &str) {
    assert_eq!(left.len(), right.len(), "{what}");
    for (place, (left, right)) in left.iter().zip(right).enumerate() {
        assert!((left - right).abs() < 1e-5 * left.abs().max(1.0), "{what}: {place}: {left}, {right}");
    }
}

fn assert_alike(left: &Arc<ControlSession>, right: &Arc<ControlSession>, what: &str) {
    let (ours, theirs) = (left.all_recordings(), right.all_recordings());
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let (ours, theirs) = (ours.lock(), theirs.lock());
        assert_eq!(ours.observations.to_host().unwrap(), theirs.observations.to_host().unwrap(), "{what}");
        assert_eq!((&ours.legal, &ours.rewards, &ours.episodes), (&theirs.legal, &theirs.rewards, &theirs.episodes));
        assert_eq!((&ours.slots, ours.finished, ours.ended), (&theirs.slots, theirs.finished, theirs.ended));
        close(&ours.actions, &theirs.actions, what);
        close(&ours.log_probs, &theirs.log_probs, what);
    }
    let published = |session: &Arc<ControlSession>| session.policy().unwrap().published();
    close(&published(left).weights, &published(right).weights, what);
    let (ours, theirs) = (&published(left).statistics, &published(right).statistics);
    assert_eq!(ours.count, theirs.count, "{what}");
    for (ours, theirs) in [(&ours.means, &theirs.means), (&ours.squares, &theirs.squares)] {
        ours.iter()
            .zip(theirs)
            .for_each(|(ours, theirs)| assert!((ours - theirs).abs() <= 1e-9 * ours.abs(), "{what}"));
    }
    let (ours, theirs) = (left.record.lock().values.clone(), right.record.lock().values.clone());
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{what}");
    for (name, value) in &ours {
        let other = theirs[name];
        assert!((value - other).abs() < 1e-4 * value.abs().max(1.0), "{what}: {name}: {value}, {other}");
    }
}

/// Rows of the first actor's observations on the device, on the host.
fn sides(session: &ControlSession) -> (i64, usize) {
    let recording = session.all_recordings()[0].clone();
    let recording = recording.lock();
    let placed = recording.observations.placed().map_or(0, |placed| placed.size()[0]);
    (placed, recording.observations.host().len() / 5)
}

#[test]
fn what_stays_there_leads_to_what_records_lead_to() {
    for (algorithm, finals, what) in [
        (json!({}), true, "final observations"),
        (json!({"truncation": "current"}), false, "the current one"),
        (json!({"truncation": "drop", "advantages": "batch"}), false, "dropped"),
    ] {
        let (here, there) = (session(algorithm.clone(), false), session(algorithm, true));
        let (plays, acts) = (Actor::create(&here).unwrap(), Actor::create(&there).unwrap());
        for round in 0..3 {
            let steps = if round == 2 { 300 } else { 11 };
            let expected = play(&plays, |_| Way::Records, steps, 1000 * round, finals);
            let found = play(&acts, |_| Way::Tensors, steps, 1000 * round, finals);
            let choices = |actions: &[u8]| actions.chunks_exact(12).map(|action| action[0]).collect::<Vec<_>>();
            assert_eq!(choices(&expected), choices(&found));
            assert_alike(&here, &there, &format!("{what}, before update {round}"));
            let steps = there.all_recordings()[0].lock().len();
            assert_eq!((sides(&here), sides(&there)), ((0, steps), (steps as i64, 0)), "none comes to the host");
            let truncation = super::algorithm(&there).config().truncation;
            let rollout = Rollout::gather(&there.all_recordings(), 40, truncation).unwrap().unwrap();
            assert!(rollout.observations.host().is_empty() && rollout.observations.rows(5) > rollout.rows());
            update(&here);
            update(&there);
            assert_alike(&here, &there, &format!("{what}, update {round}"));
        }
    }
}

#[test]
fn records_and_tensors_come_in_turn_to_several_actors() {
    let (here, there) = (session(json!({}), false), session(json!({}), true));
    let pair = |session| [Actor::create(session).unwrap(), Actor::create(session).unwrap()];
    let (plays, acts) = (pair(&here), pair(&there));
    let turns = |step: usize| if (step / 2).is_multiple_of(2) { Way::Records } else { Way::Tensors };
    for round in 0..3 {
        for (first, (plays, acts)) in (0..).step_by(SLOTS).zip(plays.iter().zip(&acts)) {
            play_from(first, plays, |_| Way::Records, 13, 100 * round, true);
            play_from(first, acts, turns, 13, 100 * round, true);
        }
        // the second actor stops with tensors at times, so that one side of the rollout lies on the host
        play(&plays[0], |_| Way::Records, 3, 100 * round + 50, true);
        play(&acts[0], |_| Way::Records, 3, 100 * round + 50, true);
        assert_alike(&here, &there, &format!("before update {round}"));
        update(&here);
        update(&there);
        assert_alike(&here, &there, &format!("update {round}"));
    }
    here.clear().unwrap();
    there.clear().unwrap();
    assert_alike(&here, &there, "cleared");
    assert!(there.all_recordings()[0].lock().len() < SLOTS + 1);
}

#[test]
fn greedy_given_and_unrecorded_acts_are_the_same_there() {
    let (here, there) = (session(json!({}), false), session(json!({}), true));
    let slots = [3, 0, 4];
    for apart in [false, true] {
        let make = |session| if apart { Actor::create_unrecorded(session) } else { Actor::create(session) };
        let (plays, acts) = (make(&here).unwrap(), make(&there).unwrap());
        let ways = [
            DRAWN,
            Act { greedy: true, ..DRAWN },
            Act { given: true, ..DRAWN },
            Act { unrecorded: true, ..DRAWN },
            Act { greedy: true, unrecorded: true, ..DRAWN },
        ];
        for (time, how) in ways.into_iter().enumerate() {
            let choice = [2i32.to_ne_bytes(), 0.3f32.to_ne_bytes(), (-0.4f32).to_ne_bytes()].concat().repeat(3);
            let start = if how.given { choice } else { vec![0; 36] };
            let [mut expected, mut found] = [start.clone(), start];
            act_on(&plays, Way::Records, &slots, &seen(&slots, time as f32), how, &mut expected).unwrap();
            act_on(&acts, Way::Tensors, &slots, &seen(&slots, time as f32), how, &mut found).unwrap();
            let numbers = |actions: &[u8]| {
                let number = |bytes: &[u8]| f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                actions.chunks_exact(4).map(number).collect::<Vec<f32>>()
            };
            close(&numbers(&expected), &numbers(&found), &format!("{how:?}"));
            for actor in [&plays, &acts] {
                if !how.unrecorded {
                    actor.observe(&slots, &[0.0; 3], &[0; 3], &[]).unwrap();
                }
            }
        }
        act_on(&acts, Way::Tensors, &[], &(Vec::new(), Vec::new()), DRAWN, &mut []).unwrap();
        assert_alike(&here, &there, "recorded");
    }
}

#[test]
fn what_is_refused_there_changes_nothing() {
    let session = session(json!({}), true);
    let actor = Actor::create(&session).unwrap();
    play(&actor, |_| Way::Tensors, 3, 0, true);
    let before = session.state_hash().unwrap();
    let slots = [0, 1, 2];
    let good = seen(&slots, 9.0);
    for spoil in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut bad = good.clone();
        bad.0[1][3] = spoil;
        let mut actions = vec![7; 36];
        let error = act_on(&actor, Way::Tensors, &slots, &bad, DRAWN, &mut actions).unwrap_err();
        assert!(error.status == Status::NonFinite && error.message.contains("slot 1"), "{error}");
        assert_eq!((actions, session.state_hash().unwrap()), (vec![7; 36], before));
    }
    let mut bad = good.clone();
    bad.1[2] = [0; 3];
    let refused = [
        (Status::Data, act_on(&actor, Way::Tensors, &slots, &bad, DRAWN, &mut [7; 36])),
        (Status::InvalidArgument, act_on(&actor, Way::Tensors, &[0, 1, 1], &good, DRAWN, &mut [7; 36])),
    ];
    for (status, error) in refused {
        assert_eq!(error.unwrap_err().status, status);
    }
    act_on(&actor, Way::Tensors, &slots, &good, DRAWN, &mut [7; 36]).unwrap();
    let before = session.state_hash().unwrap();
    let error = act_on(&actor, Way::Tensors, &slots, &good, DRAWN, &mut [7; 36]).unwrap_err();
    assert_eq!((error.status, session.state_hash().unwrap()), (Status::State, before));
}

#[test]
fn a_checkpoint_in_mid_episode_goes_on_as_it_would_have() {
    let (left, right) = (session(json!({}), true), session(json!({}), true));
    let actor = Actor::create(&left).unwrap();
    play(&actor, |_| Way::Tensors, 12, 0, true);
    update(&left);
    play(&actor, |_| Way::Tensors, 4, 12, true);
    let saved = left.export().unwrap();
    let records = session(json!({}), false);
    for other in [&right, &records] {
        other.import(&saved).unwrap();
        assert_eq!(left.state_hash().unwrap(), other.state_hash().unwrap());
    }
    let other = Actor::create(&right).unwrap();
    for actor in [&actor, &other] {
        play(actor, |_| Way::Tensors, 9, 16, true);
    }
    play(&Actor::create(&records).unwrap(), |_| Way::Records, 9, 16, true);
    for session in [&left, &right, &records] {
        update(session);
    }
    assert_eq!(left.state_hash().unwrap(), right.state_hash().unwrap());
    assert_alike(&records, &right, "on the host");
}

#[test]
fn a_reward_model_judges_what_lies_there() {
    let description = json!({
        "model_type": "control_reward", "hidden": [8],
        "observations": [{"type": "vector", "name": "o", "size": 3}, {"type": "vector", "name": "p", "size": 2}],
        "actions": [{"type": "discrete", "name": "a", "choices": 3}, {"type": "continuous", "name": "b", "size": 2}],
    });
    let create = settings::Create { config: description, ..Default::default() };
    let judge = Arc::new(RewardModel::create(&create).unwrap());
    let (here, there) = (session(json!({}), false), session(json!({}), true));
    for (session, way) in [(&here, Way::Records), (&there, Way::Tensors)] {
        session.set_model(Role::Reward, AnyModel::Reward(judge.clone())).unwrap();
        play(&Actor::create(session).unwrap(), |_| way, 12, 0, true);
        update(session);
    }
    assert_alike(&here, &there, "judged");
}

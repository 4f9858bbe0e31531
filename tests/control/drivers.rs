//! One plan, three drivers: the same bits however an update is cut into calls and whatever a host does beside it, and the
//! stated state wherever it ends.

use crate::cloning::{cloning, demonstrations};
use crate::drive::*;
use crate::hosts::*;
use crate::pendulum::Pendulums;
use crate::preferences::{judging, pairs};
use crate::recall::{recall_config, Recall};
use crate::recurrent::cores;
use crate::sac::squashed;
use keel::session::control::{Actor, ControlSession};
use keel::session::{Job, Learner};
use serde_json::{json, Value};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A session, and what a host does by the way: acting and observing, or pushing.
struct Host {
    session: Arc<ControlSession>,
    turn: Box<dyn FnMut()>,
    /// Slots that take a step in each turn.
    slots: usize,
    turns: usize,
}

impl Host {
    fn new(session: Arc<ControlSession>, slots: usize, turn: impl FnMut() + 'static) -> Host {
        Host { session, turn: Box::new(turn), slots, turns: 0 }
    }

    fn turn(&mut self) {
        (self.turn)();
        self.turns += 1;
    }

    /// Steps so far, and those of them at least that are finished.
    fn steps(&self) -> RangeInclusive<usize> {
        self.slots * self.turns.saturating_sub(1)..=self.slots * self.turns
    }

    /// Turns until an update is due; that update.
    fn due(&mut self) -> Arc<Job> {
        loop {
            self.turn();
            if let Some(job) = self.session.clone().update().unwrap() {
                return job;
            }
        }
    }

    fn hash(&self) -> u64 {
        self.session.state_hash().unwrap()
    }
}

fn with(mut settings: Value, more: &Value) -> Value {
    more.as_object().unwrap().iter().for_each(|(key, value)| settings[key] = value.clone());
    settings
}

/// Eight optimiser steps on 32 steps of four carts, beside demonstrations that are pushed at every third turn.
fn ppo(more: Value) -> Host {
    let settings = json!({"rollout_steps": 32, "epochs": 2, "minibatches": 4, "normalize_rewards": true,
                          "normalize_values": true, "cloning": {"coef": 0.1, "decay_updates": 99, "batch_size": 8}});
    let session = session(with(settings, &more), cart_config(json!({"hidden": [8], "normalize_observations": true})));
    let actor = Actor::create(&session).unwrap();
    let (host, mut carts, mut turns) = (session.clone(), Carts::new(4), 0);
    let turn = move || {
        carts.turn(&actor);
        turns += 1;
        if turns % 3 == 0 {
            host.push(&demonstrations(turns % 5 + 1)).unwrap();
        }
    };
    Host::new(session, 4, turn)
}

fn recurrent(core: Value, more: Value) -> Host {
    let settings = json!({"rollout_steps": 40, "epochs": 2, "minibatches": 3, "sequence_length": 4});
    let session = session(with(settings, &more), recall_config(with(json!({"hidden": [8]}), &core)));
    let actor = Actor::create(&session).unwrap();
    let mut recall = Recall::new(5, 3);
    Host::new(session, 5, move || _ = recall.turn(&actor, RECORDED))
}

fn sac(more: Value) -> Host {
    let settings = json!({"type": "sac", "learning_starts": 12, "rollout_steps": 6, "batch_size": 8,
                          "replay_capacity": 60, "optimizer": {"learning_rate": 1e-3}});
    let network = squashed(json!({"hidden": [8], "normalize_observations": true}));
    let session = session(with(settings, &more), network);
    let actor = Actor::create(&session).unwrap();
    let mut pendulums = Pendulums::new(3, 1);
    Host::new(session, 3, move || pendulums.turn(&actor))
}

fn imitating() -> Host {
    let session = cloning(json!({"batch_size": 8, "epochs": 2}), cart_config(json!({"hidden": [8]})));
    let (host, mut pushes) = (session.clone(), 0);
    let turn = move || {
        pushes += 1;
        host.push(&demonstrations(pushes % 4 + 1)).unwrap();
    };
    Host::new(session, 0, turn)
}

fn preferring() -> Host {
    let session = judging(json!({"batch_size": 4, "epochs": 2}));
    let (host, mut pushed) = (session.clone(), 0);
    let turn = move || {
        host.push(&pairs(2, pushed)).unwrap();
        pushed += 2;
    };
    Host::new(session, 0, turn)
}

/// The state after each of 50 updates, beside which the host's turns go on; each learns from what was there when it was
/// made, and from all of that.
fn trained(mut host: Host, drive: Driver, moments: &mut Moments) -> Vec<u64> {
    moments.again();
    let mut learned = 0;
    let after = |_| {
        let job = host.due();
        let steps = host.steps();
        drive(&job, moments, &mut || host.turn());
        if host.slots > 0 {
            learned += metric(&host.session, "steps/trained") as usize;
            assert!(steps.contains(&learned), "{learned}, not {steps:?}");
        }
        host.hash()
    };
    (0..50).map(after).collect()
}

fn same_bits(make: impl Fn() -> Host) {
    let mut moments = Moments::default();
    let pumped = trained(make(), pump, &mut moments);
    assert!(moments.total() > 10, "{moments:?}");
    assert_eq!(trained(make(), run, &mut moments), pumped, "run: {moments:?}");
    assert_eq!(trained(make(), start, &mut moments), pumped, "start: {moments:?}");
}

#[test]
fn ppo_has_the_same_bits_whoever_drives() {
    same_bits(|| ppo(json!({"learner": "fused", "max_staleness": 1})));
    same_bits(|| ppo(json!({"learner": "libtorch", "adaptive_rate": {}})));
}

#[test]
fn recurrent_ppo_has_the_same_bits_whoever_drives() {
    for core in cores() {
        same_bits(|| recurrent(core.clone(), json!({"learner": "fused", "max_staleness": 1})));
    }
    same_bits(|| recurrent(cores()[1].clone(), json!({"learner": "libtorch"})));
}

#[test]
fn sac_has_the_same_bits_whoever_drives() {
    same_bits(|| sac(json!({"learner": "fused"})));
    same_bits(|| sac(json!({"learner": "libtorch"})));
}

#[test]
fn methods_that_learn_from_what_is_pushed_have_the_same_bits_whoever_drives() {
    same_bits(imitating);
    same_bits(preferring);
}

/// What a session is at a boundary of optimiser steps, and what its next update makes of it.
#[derive(PartialEq)]
struct Stated {
    hash: u64,
    acting: Vec<f32>,
    next: u64,
}

/// Of a session in which nothing is unfinished.
fn stated(session: &Arc<ControlSession>) -> Stated {
    let (hash, acting) = (session.state_hash().unwrap(), weights(session));
    session.clone().update().unwrap().expect("the steps are kept").run().unwrap();
    Stated { hash, acting, next: session.state_hash().unwrap() }
}

/// What a twin is that was saved at each boundary of the update whose start this is, and never disturbed.
fn boundaries(start: &[u8], make: &impl Fn() -> Host) -> Vec<Stated> {
    let [twin, other] = [make(), make()].map(|host| host.session);
    twin.import(start).unwrap();
    let job = twin.clone().update().unwrap().unwrap();
    let most = 3;
    (0..=most)
        .map(|steps| {
            to_step(&job, steps);
            other.import(&twin.export().unwrap()).unwrap();
            stated(&other)
        })
        .collect()
}

/// Cancels an update behind each of its slices, and saves it there: what is left is the state of the last boundary, or of
/// the next one where a step has begun to write.
fn whole_steps_and_all_data(make: impl Fn() -> Host) {
    let mut host = make();
    (0..2).for_each(|_| _ = host.due().run().unwrap());
    (0..2).for_each(|_| host.turn());
    host.due().cancel();
    let (session, start) = (host.session.clone(), host.session.export().unwrap());
    let expected = boundaries(&start, &make);
    let saved = make().session;
    assert!(stated(&session) == expected[0], "nothing was done");
    let again = |slices: u64| {
        session.import(&start).unwrap();
        let job = session.clone().update().unwrap().unwrap();
        self::slices(&job, slices);
        job
    };
    let job = again(0);
    let (all, whole) = (job.run().unwrap(), session.state_hash().unwrap());
    for index in 0..all.slices {
        let job = again(index);
        let before = job.report().optimizer_steps;
        job.cancel();
        let steps = job.report().optimizer_steps;
        assert!((before..=before + 1).contains(&steps), "{index} slices: {before} → {steps} steps");
        if let Some(expected) = expected.get(steps as usize) {
            assert!(stated(&session) == *expected, "cancelled after {index} slices, {steps} steps");
        }

        let job = again(index);
        saved.import(&session.export().unwrap()).unwrap();
        if let Some(expected) = expected.get(steps as usize) {
            assert!(stated(&saved) == *expected, "saved after {index} slices, {steps} steps");
        }
        assert_eq!(job.run().unwrap().optimizer_steps, all.optimizer_steps);
        assert_eq!(session.state_hash().unwrap(), whole, "saving changed an update after {index} slices");
    }
    assert!(all.optimizer_steps > expected.len() as u64 && all.slices > all.optimizer_steps, "{all:?}");
}

#[test]
fn cancelled_or_saved_at_any_slice_ppo_leaves_whole_steps_and_its_rows() {
    for learner in ["fused", "libtorch"] {
        whole_steps_and_all_data(|| ppo(json!({"learner": learner})));
    }
}

#[test]
fn cancelled_or_saved_at_any_slice_recurrent_ppo_leaves_whole_steps_and_its_rows() {
    whole_steps_and_all_data(|| recurrent(cores()[0].clone(), json!({"learner": "fused", "normalize_values": true})));
    whole_steps_and_all_data(|| recurrent(cores()[2].clone(), json!({"learner": "libtorch"})));
}

#[test]
fn cancelled_or_saved_at_any_slice_sac_leaves_whole_steps_and_its_replay() {
    for learner in ["fused", "libtorch"] {
        whole_steps_and_all_data(|| sac(json!({"learner": learner})));
    }
}

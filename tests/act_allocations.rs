//! Acting and observing allocate nothing once the slots were seen, and wait for no lock while an update runs: both counted.

#[path = "control/cartpole.rs"]
mod cartpole;
#[path = "control/counters.rs"]
mod counters;
#[path = "control/hosts.rs"]
#[allow(dead_code)]
mod hosts;

use counters::{allocations, waits};
use hosts::*;
use keel::session::control::{Actor, Episode};
use keel::session::Learner;
use serde_json::json;
use std::time::Duration;

#[test]
fn acting_and_observing_allocate_nothing_after_the_first_round() {
    // the newest policy was taken in the second round: its old one is freed, nothing is taken
    let counted = rounds(cart_config(json!({"normalize_observations": true})));
    assert!(counted[0] > 0, "the allocator counts");
    assert_eq!(counted[1..], [0, 0, 0]);
    // the first round of a recurrent policy leaves open steps that begin sequences in the second
    for core in ["gru", "lstm"] {
        let counted = rounds(cart_config(json!({"core": {"type": core, "size": 20}})));
        assert_eq!(counted[2..], [0, 0], "{core}");
    }
}

/// Allocations of acting and observing in each of four rounds of 64 slots, with an update behind each.
fn rounds(network: serde_json::Value) -> Vec<usize> {
    let settings = json!({"rollout_steps": 600, "epochs": 1, "minibatches": 4});
    let session = session(settings, network);
    let actor = Actor::create(&session).unwrap();
    let slots: Vec<u32> = (0..64).collect();
    let observations: Vec<u8> = bytes(&(0..256).map(|i| (i as f32).sin()).collect::<Vec<_>>());
    let mut episodes = vec![Episode::Running; 64];
    (episodes[3], episodes[9], episodes[40]) = (Episode::Terminated, Episode::Truncated, Episode::Abandoned);
    let (rewards, last) = (vec![1.0; 64], observations[..16].to_vec());
    let mut actions = vec![0u8; 256];
    let mut counted = Vec::new();
    for _ in 0..4 {
        let before = allocations();
        for _ in 0..11 {
            actor.act(&slots, &observations, &mut actions, RECORDED, None).unwrap();
            actor.observe(&slots, &rewards, &episodes, &last).unwrap();
        }
        counted.push(allocations() - before);
        session.clone().update().unwrap().expect("600 steps are finished").run().unwrap();
    }
    counted
}

#[test]
fn however_many_episodes_are_cut_off_at_once_observing_allocates_nothing() {
    let session = session(json!({"rollout_steps": 600, "epochs": 1, "minibatches": 4}), cart_config(json!({})));
    let actor = Actor::create(&session).unwrap();
    let slots: Vec<u32> = (0..64).collect();
    let (observations, rewards, mut actions) = (bytes(&[0.5; 256]), vec![1.0; 64], vec![0u8; 256]);
    let mut counted = Vec::new();
    for cut in [0, 0, 1, 64] {
        let mut episodes = [Episode::Running; 64];
        episodes[..cut].fill(Episode::Truncated);
        let before = allocations();
        for _ in 0..11 {
            actor.act(&slots, &observations, &mut actions, RECORDED, None).unwrap();
            actor.observe(&slots, &rewards, &episodes, &observations[..16 * cut]).unwrap();
        }
        counted.push(allocations() - before);
        session.clone().update().unwrap().expect("600 steps are finished").run().unwrap();
    }
    assert!(counted[0] > 0 && counted[1..] == [0, 0, 0], "{counted:?}");
}

#[test]
fn acting_and_observing_wait_for_no_lock_and_allocate_nothing_while_an_update_runs() {
    let session = session(json!({"rollout_steps": 256, "epochs": 1000, "minibatches": 16}), cart_config(json!({})));
    let actor = Actor::create(&session).unwrap();
    let slots: Vec<u32> = (0..16).collect();
    let (observations, rewards) = (bytes(&[0.1; 64]), vec![1.0; 16]);
    let (episodes, mut actions) = ([Episode::Running; 16], vec![0u8; 64]);
    let mut turns = |count: usize| {
        let before = (allocations(), waits());
        for _ in 0..count {
            actor.act(&slots, &observations, &mut actions, RECORDED, None).unwrap();
            actor.observe(&slots, &rewards, &episodes, &[]).unwrap();
        }
        (allocations() - before.0, waits() - before.1)
    };
    assert!(turns(400).0 > 0, "the allocator counts");
    session.clear().unwrap();
    turns(17);
    let job = session.clone().update().unwrap().expect("256 steps are finished");
    job.start().unwrap();
    let mut slices = 0;
    for _ in 0..30 {
        while job.report().slices == slices {
            std::thread::sleep(Duration::from_micros(100));
        }
        slices = job.report().slices;
        assert_eq!(turns(10), (0, 0), "allocations and waits, after {slices} slices");
    }
    let before = waits();
    assert!(job.wait(Duration::from_millis(1)).is_ok_and(|report| report.progress < 1.0), "the update runs still");
    assert!(waits() > before, "waits are counted");
    job.cancel();
    let _ = job.wait(Duration::MAX);
}

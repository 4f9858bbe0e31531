//! Acting and observing allocate nothing once the slots were seen, counted by an allocator of the test's own.

#[path = "control/cartpole.rs"]
mod cartpole;
#[path = "control/hosts.rs"]
#[allow(dead_code)]
mod hosts;

use hosts::*;
use keel::session::control::{Actor, Episode};
use keel::session::Learner;
use serde_json::json;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: hands every request on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

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
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for _ in 0..11 {
            actor.act(&slots, &observations, &mut actions, RECORDED, None).unwrap();
            actor.observe(&slots, &rewards, &episodes, &last).unwrap();
        }
        counted.push(ALLOCATIONS.load(Ordering::Relaxed) - before);
        session.clone().update().unwrap().expect("600 steps are finished").run().unwrap();
    }
    counted
}

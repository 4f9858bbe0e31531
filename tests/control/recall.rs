//! A cue is shown once and must be recalled when it is asked for: what only a policy with memory can do.

use crate::hosts::*;
use keel::session::control::{Act, Actor, ControlSession, Episode};
use keel::session::Learner;
use serde_json::{json, Value};
use std::sync::Arc;

/// Steps between the cue and the question.
pub const DELAY: usize = 8;

/// Slots that are shown one of two cues, then nothing, then the question.
#[derive(Clone)]
pub struct Recall {
    cues: Vec<i32>,
    step: usize,
    random: u64,
}

impl Recall {
    pub fn new(slots: usize, seed: u64) -> Recall {
        let mut recall = Recall { cues: vec![0; slots], step: 0, random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 };
        recall.reset();
        recall
    }

    fn reset(&mut self) {
        self.step = 0;
        for cue in &mut self.cues {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            *cue = (self.random >> 40 & 1) as i32;
        }
    }

    /// One turn of all slots; the answers that were right, once they were asked for.
    pub fn turn(&mut self, actor: &Actor, how: Act) -> Option<usize> {
        let asked = self.step == DELAY;
        let show = |cue: &i32| [if self.step == 0 { (2 * cue - 1) as f32 } else { 0.0 }, f32::from(u8::from(asked))];
        let slots: Vec<u32> = (0..self.cues.len() as u32).collect();
        let actions = act(actor, &slots, &self.cues.iter().flat_map(show).collect::<Vec<_>>(), how);
        let right: Vec<bool> = actions.iter().zip(&self.cues).map(|(action, cue)| asked && action == cue).collect();
        let rewards: Vec<f32> = right.iter().map(|right| f32::from(u8::from(*right))).collect();
        let episode = if asked { Episode::Terminated } else { Episode::Running };
        actor.observe(&slots, &rewards, &vec![episode; slots.len()], &[]).unwrap();
        self.step += 1;
        if asked {
            self.reset();
        }
        asked.then(|| right.iter().filter(|right| **right).count())
    }

    /// Turns until an update is due, and makes it.
    pub fn learn(&mut self, session: &Arc<ControlSession>, actor: &Actor) {
        loop {
            self.turn(actor, RECORDED);
            if let Some(job) = session.clone().update().unwrap() {
                job.run().unwrap();
                return;
            }
        }
    }
}

pub fn recall_config(more: Value) -> Value {
    let mut config = json!({
        "model_type": "control", "hidden": [16],
        "observations": [{"type": "vector", "name": "seen", "size": 2}],
        "actions": [{"type": "discrete", "name": "answer", "choices": 2}],
    });
    more.as_object().unwrap().iter().for_each(|(key, value)| config[key] = value.clone());
    config
}

/// Share of right answers of the greedy policy.
pub fn recalled(session: &Arc<ControlSession>) -> f64 {
    let actor = Actor::create_unrecorded(session).unwrap();
    let mut recall = Recall::new(200, 77);
    let greedy = Act { greedy: true, ..Act::default() };
    let right = (0..=DELAY).find_map(|_| recall.turn(&actor, greedy)).unwrap();
    right as f64 / 200.0
}

/// The best share of right answers within `updates`, looked at after every tenth until all are right: a policy that has
/// learned may still lose it for a while, and which update that happens at differs between processors.
fn trained(network: &Value, updates: usize) -> f64 {
    let settings = json!({"rollout_steps": 576, "epochs": 6, "minibatches": 4, "entropy_coef": 0.01,
                          "optimizer": {"learning_rate": 3e-3}});
    let session = session(settings, recall_config(network.clone()));
    let actor = Actor::create(&session).unwrap();
    let mut recall = Recall::new(64, 1);
    let mut best = 0.0;
    for update in 1..=updates {
        recall.learn(&session, &actor);
        if update % 10 == 0 {
            best = recalled(&session).max(best);
            if best == 1.0 {
                break;
            }
        }
    }
    best
}

#[test]
fn a_policy_with_memory_recalls_what_one_without_cannot() {
    for network in [
        json!({"core": {"type": "gru", "size": 16}, "value": "shared"}),
        json!({"core": {"type": "gru", "size": 16}}),
        json!({"core": {"type": "lstm", "size": 16}, "value": "shared"}),
        json!({"core": {"type": "lstm", "size": 16}}),
    ] {
        let share = trained(&network, 100);
        assert!(share >= 0.95, "{network}: {share}");
    }
    let share = trained(&json!({}), 100);
    assert!(share <= 0.6, "without memory: {share}");
}

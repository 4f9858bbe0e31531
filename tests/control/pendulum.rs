//! The pendulum that swings up, as Gymnasium's Pendulum-v1 has it, and what a host does with it.

use crate::hosts::*;
use keel::session::control::{Act, Actor, ControlSession, Episode};
use keel::session::Learner;
use serde_json::{json, Value};
use std::f64::consts::{PI, TAU};
use std::sync::Arc;

const LIMIT: u32 = 200;
const MOST_TORQUE: f64 = 2.0;

#[derive(Clone, Debug)]
pub struct Pendulum {
    /// From upright, radians, and their change, radians per second.
    angle: f64,
    speed: f64,
    steps: u32,
    random: u64,
}

impl Pendulum {
    pub fn new(seed: u64) -> Pendulum {
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut pendulum = Pendulum { angle: 0.0, speed: 0.0, steps: 0, random };
        pendulum.reset();
        pendulum
    }

    fn uniform(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0
    }

    pub fn reset(&mut self) {
        (self.angle, self.speed, self.steps) = (self.uniform() * PI, self.uniform(), 0);
    }

    pub fn observation(&self) -> [f32; 3] {
        let (sine, cosine) = self.angle.sin_cos();
        [cosine as f32, sine as f32, self.speed as f32]
    }

    /// One step of 50 ms under a torque; its reward.
    pub fn step(&mut self, torque: f32) -> f32 {
        let torque = f64::from(torque).clamp(-MOST_TORQUE, MOST_TORQUE);
        let from_upright = (self.angle + PI).rem_euclid(TAU) - PI;
        let cost = from_upright * from_upright + 0.1 * self.speed * self.speed + 0.001 * torque * torque;
        self.speed = (self.speed + (15.0 * self.angle.sin() + 3.0 * torque) * 0.05).clamp(-8.0, 8.0);
        self.angle += self.speed * 0.05;
        self.steps += 1;
        -cost as f32
    }

    pub fn is_over(&self) -> bool {
        self.steps >= LIMIT
    }
}

/// A network for the pendulum with what `more` says.
pub fn pendulum_config(more: Value) -> Value {
    let mut config = json!({
        "model_type": "control",
        "observations": [{"type": "vector", "name": "state", "size": 3}],
        "actions": [{"type": "continuous", "name": "torque", "size": 1, "low": -2.0, "high": 2.0}],
    });
    more.as_object().unwrap().iter().for_each(|(key, value)| config[key] = value.clone());
    config
}

/// One act for slots that have one continuous action.
pub fn torques(actor: &Actor, slots: &[u32], observations: &[f32], how: Act) -> Vec<f32> {
    let mut actions = vec![0u8; 4 * slots.len()];
    actor.act(slots, &bytes(observations), &mut actions, how, None).unwrap();
    actions.chunks_exact(4).map(|bytes| f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect()
}

pub struct Pendulums(pub Vec<Pendulum>);

impl Pendulums {
    pub fn new(count: u64, seed: u64) -> Pendulums {
        Pendulums((0..count).map(|place| Pendulum::new(seed * 1000 + place + 1)).collect())
    }

    /// Acts, moves, tells.
    pub fn turn(&mut self, actor: &Actor) {
        let slots: Vec<u32> = (0..self.0.len() as u32).collect();
        let observations: Vec<f32> = self.0.iter().flat_map(Pendulum::observation).collect();
        let torques = torques(actor, &slots, &observations, RECORDED);
        let (mut rewards, mut episodes, mut finals) = (Vec::new(), Vec::new(), Vec::new());
        for (pendulum, torque) in self.0.iter_mut().zip(torques) {
            rewards.push(pendulum.step(torque));
            let over = pendulum.is_over();
            episodes.push(if over { Episode::Truncated } else { Episode::Running });
            if over {
                finals.extend(bytes(&pendulum.observation()));
                pendulum.reset();
            }
        }
        actor.observe(&slots, &rewards, &episodes, &finals).unwrap();
    }

    /// Turns until an update is due, and makes it.
    pub fn learn(&mut self, session: &Arc<ControlSession>, actor: &Actor) {
        loop {
            self.turn(actor);
            if let Some(job) = session.clone().update().unwrap() {
                job.run().unwrap();
                return;
            }
        }
    }
}

/// Mean return of the greedy policy over episodes of new pendulums.
pub fn swing(actor: &Actor, episodes: u64) -> f64 {
    let mut sum = 0.0;
    for seed in 0..episodes {
        let mut pendulum = Pendulum::new(1_000_000 + seed);
        while !pendulum.is_over() {
            let torque = torques(actor, &[0], &pendulum.observation(), GREEDY)[0];
            sum += f64::from(pendulum.step(torque));
        }
    }
    sum / episodes as f64
}

/// PPO as Stable-Baselines3's zoo has it for the pendulum, without state-dependent exploration: 4 × 1024 steps.
fn zoo(seed: u64) -> Value {
    json!({"rollout_steps": 4096, "epochs": 10, "minibatches": 64, "discount": 0.9, "gae_lambda": 0.95,
           "clip_range": 0.2, "seed": seed, "optimizer": {"learning_rate": 1e-3}})
}

/// The return after so many steps of four pendulums.
fn trained(seed: u64, steps: u32, episodes: u64) -> f64 {
    let session = session(zoo(seed), pendulum_config(json!({})));
    let actor = Actor::create(&session).unwrap();
    let mut pendulums = Pendulums::new(4, seed);
    for _ in 0..steps.div_ceil(4096) {
        pendulums.learn(&session, &actor);
    }
    swing(&actor, episodes)
}

#[test]
fn the_pendulum_moves_as_gymnasium_moves_it() {
    let mut pendulum = Pendulum { angle: PI / 2.0, speed: 1.0, steps: 0, random: 1 };
    // by hand: −(π²/4 + 0.1 + 0.001·2²), then 1 + (15 + 6)·0.05 and π/2 + 2.05·0.05
    assert!((f64::from(pendulum.step(3.0)) + PI * PI / 4.0 + 0.104).abs() < 1e-6);
    assert!((pendulum.speed - 2.05).abs() < 1e-12 && (pendulum.angle - PI / 2.0 - 0.1025).abs() < 1e-12);
    // Gymnasium 1.4.0 from this state under these torques: the sum of the rewards, and where it is then
    let mut pendulum = Pendulum { angle: 2.5, speed: -0.5, steps: 0, random: 1 };
    let sum: f64 = (0..100).map(|step| f64::from(pendulum.step((step * 7 % 13 - 6) as f32 / 2.0))).sum();
    assert!((sum + 769.139_514_007_417).abs() < 1e-4, "{sum}");
    assert!((pendulum.angle - 2.449_770_746_252_592_6).abs() < 1e-9);
    assert!((pendulum.speed + 1.144_966_300_880_715).abs() < 1e-9);
}

#[test]
fn the_pendulum_is_swung_up() {
    // Stable-Baselines3 with the same settings: −231
    let mut returns: Vec<f64> = (0..5).map(|seed| trained(seed, 100_000, 100)).collect();
    returns.sort_by(f64::total_cmp);
    assert!(returns[2] >= -250.0, "the median of {returns:?}");
}

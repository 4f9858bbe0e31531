//! A host of control sessions, as small as one can be: sessions, records, a loop over carts.

use crate::cartpole::CartPole;
use keel::config;
use keel::model::AnyModel;
use keel::session::control::{Act, Actor, ControlSession, Episode};
use keel::session::{AnySession, Config, Learner, Role, Runtime};
use serde_json::{json, Value};
use std::sync::Arc;

pub const GREEDY: Act = Act { greedy: true, unrecorded: true, given: false };
pub const RECORDED: Act = Act { greedy: false, unrecorded: false, given: false };

pub fn runtime() -> Arc<Runtime> {
    Runtime::create(&config::Runtime::default()).unwrap()
}

/// The config of a cart's network with what `more` says.
pub fn cart_config(more: Value) -> Value {
    let mut config = json!({
        "model_type": "control",
        "observations": [{"type": "vector", "name": "state", "size": 4}],
        "actions": [{"type": "discrete", "name": "push", "choices": 2}],
    });
    more.as_object().unwrap().iter().for_each(|(key, value)| config[key] = value.clone());
    config
}

pub fn policy(config: Value, seed: u64) -> AnyModel {
    AnyModel::create(&config::Create { config, seed, ..config::Create::default() }).unwrap()
}

pub fn bare(algorithm: Value) -> Arc<ControlSession> {
    let mut text = json!({"algorithm": {"type": "control_ppo"}});
    algorithm.as_object().unwrap().iter().for_each(|(key, value)| match key.as_str() {
        "optimizer" | "seed" | "queue_capacity" => text[key] = value.clone(),
        _ => text["algorithm"][key] = value.clone(),
    });
    let config = Config::parse(Some(text.to_string().as_bytes())).unwrap();
    match AnySession::create(&runtime(), config).unwrap() {
        AnySession::Control(session) => session,
        AnySession::Language(_) => panic!("expected a control session"),
    }
}

pub fn session(algorithm: Value, network: Value) -> Arc<ControlSession> {
    let session = bare(algorithm);
    let seed = session.config().seed;
    session.set_model(Role::Policy, policy(network, seed)).unwrap();
    session
}

pub fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

/// One act for slots that have one discrete action.
pub fn act(actor: &Actor, slots: &[u32], observations: &[f32], how: Act) -> Vec<i32> {
    let mut actions = vec![0u8; 4 * slots.len()];
    actor.act(slots, &bytes(observations), &mut actions, how, None).unwrap();
    actions.chunks_exact(4).map(|bytes| i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect()
}

/// Carts in the slots 0, 1, …, each with what it did.
#[derive(Clone)]
pub struct Carts(pub Vec<CartPole>);

impl Carts {
    pub fn new(count: u64) -> Carts {
        Carts((0..count).map(|seed| CartPole::new(seed + 1)).collect())
    }

    pub fn slots(&self) -> Vec<u32> {
        (0..self.0.len() as u32).collect()
    }

    pub fn observations(&self) -> Vec<f32> {
        self.0.iter().flat_map(CartPole::observation).collect()
    }

    /// Acts, moves, tells.
    pub fn turn(&mut self, actor: &Actor) {
        let slots = self.slots();
        let actions = act(actor, &slots, &self.observations(), RECORDED);
        let episodes: Vec<Episode> = self.0.iter_mut().zip(actions).map(|(cart, action)| cart.step(action)).collect();
        let mut finals = Vec::new();
        for (cart, episode) in self.0.iter_mut().zip(&episodes) {
            if *episode == Episode::Truncated {
                finals.extend(bytes(&cart.observation()));
            }
            if *episode != Episode::Running {
                cart.reset();
            }
        }
        actor.observe(&slots, &vec![1.0; slots.len()], &episodes, &finals).unwrap();
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

    /// The longest that the policy keeps carts up within `updates`, looked at after every twentieth until they stay up: what was
    /// learned may be lost for a while, and which update that happens at differs between processors.
    pub fn best(&mut self, session: &Arc<ControlSession>, actor: &Actor, updates: usize) -> f64 {
        let mut best = 0.0;
        for update in 1..=updates {
            self.learn(session, actor);
            if update % 20 == 0 {
                best = evaluate(actor, 10).max(best);
            }
            if best >= 475.0 {
                break;
            }
        }
        best
    }
}

/// Mean steps of the greedy policy over episodes of new carts.
pub fn evaluate(actor: &Actor, episodes: u64) -> f64 {
    let mut steps = 0;
    for seed in 0..episodes {
        let mut cart = CartPole::new(1000 + seed);
        loop {
            steps += 1;
            let action = act(actor, &[0], &cart.observation(), GREEDY)[0];
            if cart.step(action) != Episode::Running {
                break;
            }
        }
    }
    steps as f64 / episodes as f64
}

pub fn metric(session: &ControlSession, name: &str) -> f64 {
    let metrics: Value = serde_json::from_str(&session.metrics_json()).unwrap();
    metrics["values"][name].as_f64().unwrap_or_else(|| panic!("no metric {name} in {metrics}"))
}

/// What actors act by.
pub fn weights(session: &ControlSession) -> Vec<f32> {
    let Some(AnyModel::Control(policy)) = session.model(Role::Policy) else { panic!("a policy") };
    policy.published().weights.clone()
}

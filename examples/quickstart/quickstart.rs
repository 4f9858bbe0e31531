//! Two tiny runs in this process: a language model is aligned, then a walker learns its way. As quickstart.c, with the same
//! numbers, on the crate itself.

use keel::config;
use keel::data::{Batch, Column, Kind, Values};
use keel::error::Result;
use keel::model::AnyModel;
use keel::session::control::{Act, Actor, Episode};
use keel::session::{AnySession, Config, Job, Learner, Role, Runtime, State};
use serde_json::{json, Value};
use std::sync::Arc;
use std::time::Duration;

const ROUNDS: u64 = 4;
const LEARNED_FROM: Act = Act { greedy: false, unrecorded: false, given: false };

/// A game would draw a frame between two calls of this loop; each takes 2 ms of it.
fn finish(job: &Arc<Job>) -> Result<()> {
    while job.pump(Duration::from_millis(2))?.state == State::Pending {}
    Ok(())
}

fn session_of(runtime: &Arc<Runtime>, model: Value, config: Value) -> Result<AnySession> {
    let policy = AnyModel::create(&config::parse(Some(model.to_string().as_bytes()))?)?;
    let session = AnySession::create(runtime, Config::parse(Some(config.to_string().as_bytes()))?)?;
    session.learner().set_model(Role::Policy, policy)?;
    Ok(session)
}

fn update(session: Arc<dyn Learner>) -> Result<u64> {
    finish(&session.clone().update()?.expect("the rows are there"))?;
    session.state_hash()
}

/// Responses are sampled, those with more even tokens are rewarded more, and GRPO makes them likelier.
fn align(runtime: &Arc<Runtime>) -> Result<()> {
    let model = json!({"config": {"model_type": "llama", "vocab_size": 32, "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64}, "initialization": "fan_in"});
    let config = json!({"algorithm": {"type": "grpo"}, "optimizer": {"learning_rate": 0.01}, "threads": 1});
    let AnySession::Language(session) = session_of(runtime, model, config)? else {
        unreachable!("GRPO is of language")
    };
    const ROWS: u64 = 16;
    let groups: Vec<u64> = (0..ROWS).map(|row| row / 4).collect(); // four responses to each of four prompts
    let mut prompts = Batch::new(Kind::Prompts, ROWS)?;
    prompts.set("prompt", Column::flat(Values::I32(groups.iter().map(|group| 3 + *group as i32).collect())))?;

    for round in 1..=ROUNDS {
        let sampling = json!({"max_new_tokens": 8, "seed": round}).to_string();
        let job = session.generate(&prompts, config::parse(Some(sampling.as_bytes()))?)?;
        finish(&job)?;
        let mut rollouts = job.batch()?;
        let responses = rollouts.column("response").expect("rollouts have responses");
        let rows: Vec<&[i32]> = (0..ROWS as usize).map(|row| responses.row_i32(row)).collect();
        let even: Vec<usize> = rows.iter().map(|row| row.iter().filter(|token| *token % 2 == 0).count()).collect();
        let (sum, count) = (even.iter().sum::<usize>(), rows.concat().len());
        rollouts.set("reward", Column::flat(Values::F32(even.iter().map(|even| *even as f32).collect())))?;
        rollouts.set("group", Column::flat(Values::U64(groups.clone())))?;
        session.push(&rollouts)?;
        let state = update(session.clone())?;
        println!("alignment {round}: {sum} of {count} tokens even, state {state}");
    }
    Ok(())
}

/// Walkers on a line of places: at its right end there is a reward, at its left end nothing, and both end the episode.
fn control(runtime: &Arc<Runtime>) -> Result<()> {
    let model = json!({"config": {"model_type": "control", "hidden": [16],
        "observations": [{"type": "vector", "name": "place", "size": 1}],
        "actions": [{"type": "discrete", "name": "way", "choices": 2}]}});
    let config = json!({"algorithm": {"type": "control_ppo", "rollout_steps": 240, "minibatches": 4},
        "optimizer": {"learning_rate": 0.01}});
    let AnySession::Control(session) = session_of(runtime, model, config)? else { unreachable!("PPO of control") };
    const PLACES: i32 = 8;
    let slots = [0, 1, 2, 3];
    let mut walkers = [(PLACES / 2, 0); 4]; // place, age
    let actor = Actor::create(&session)?;

    for round in 1..=ROUNDS {
        let mut goals = 0;
        for _ in 0..64 {
            let seen = |place: i32| (place as f32 / PLACES as f32).to_ne_bytes();
            let observations = walkers.map(|(place, _)| seen(place)).concat();
            let mut ways = [0; 16];
            actor.act(&slots, &observations, &mut ways, LEARNED_FROM, None)?;
            let (mut rewards, mut status, mut last) = ([0.0; 4], [Episode::Running; 4], Vec::new());
            for (i, (place, age)) in walkers.iter_mut().enumerate() {
                let right = i32::from_ne_bytes([ways[4 * i], ways[4 * i + 1], ways[4 * i + 2], ways[4 * i + 3]]) == 1;
                *place += if right { 1 } else { -1 };
                *age += 1;
                if *place == PLACES || *place == 0 {
                    status[i] = Episode::Terminated;
                    rewards[i] = if *place == PLACES { 1.0 } else { 0.0 };
                } else if *age == 16 {
                    status[i] = Episode::Truncated;
                    last.extend(seen(*place));
                }
                if status[i] != Episode::Running {
                    (*place, *age) = (PLACES / 2, 0);
                }
            }
            goals += rewards.iter().filter(|reward| **reward > 0.0).count();
            actor.observe(&slots, &rewards, &status, &last)?;
        }
        let state = update(session.clone())?;
        println!("control {round}: {goals} goals, state {state}");
    }
    Ok(())
}

fn main() -> Result<()> {
    let runtime = Runtime::create(&config::Runtime::default())?;
    align(&runtime)?;
    control(&runtime)?;
    Ok(())
}

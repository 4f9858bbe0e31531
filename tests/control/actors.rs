//! Several actors of one session: whose slots are whose, and that nothing depends on it.

use crate::hosts::*;
use keel::error::Status;
use keel::session::control::{Actor, ControlSession, Episode};
use keel::session::Learner;
use serde_json::{json, Value};
use std::sync::Arc;

const SLOTS: u32 = 6;

/// What a slot sees at a step; episodes end at different ones.
fn seen(slot: u32, step: u32) -> [f32; 4] {
    let number = (slot * 31 + step * 17) as f32;
    [number.sin(), (number * 0.7).cos(), (number * 1.3).sin(), 0.1 * slot as f32]
}

/// Steps of all slots by actors that have some each, each actor in a thread of its own; all actions by slot.
fn play(actors: &[(Arc<Actor>, Vec<u32>)], steps: std::ops::Range<u32>) -> Vec<Vec<i32>> {
    let mut all = vec![Vec::new(); SLOTS as usize];
    let played = |(actor, slots): &(Arc<Actor>, Vec<u32>)| {
        let mut taken = Vec::new();
        for step in steps.clone() {
            // a slot pauses at times
            let awake: Vec<u32> = slots.iter().copied().filter(|slot| !(step + slot).is_multiple_of(5)).collect();
            let observations: Vec<f32> = awake.iter().flat_map(|slot| seen(*slot, step)).collect();
            let actions = act(actor, &awake, &observations, RECORDED);
            let rewards: Vec<f32> = actions.iter().map(|action| *action as f32).collect();
            let ends =
                |slot: &u32| if (step + 3 * slot).is_multiple_of(11) { Episode::Terminated } else { Episode::Running };
            actor.observe(&awake, &rewards, &awake.iter().map(ends).collect::<Vec<_>>(), &[]).unwrap();
            taken.extend(awake.into_iter().zip(actions));
        }
        taken
    };
    let taken: Vec<Vec<(u32, i32)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = actors.iter().map(|actor| scope.spawn(|| played(actor))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    taken.into_iter().flatten().for_each(|(slot, action)| all[slot as usize].push(action));
    all
}

fn actors(session: &Arc<ControlSession>, splits: &[&[u32]]) -> Vec<(Arc<Actor>, Vec<u32>)> {
    splits.iter().map(|slots| (Actor::create(session).unwrap(), slots.to_vec())).collect()
}

/// Actions and measured numbers of three updates, however the slots are split.
fn learned(settings: &Value, network: &Value, splits: &[&[u32]]) -> (Vec<Vec<Vec<i32>>>, Vec<Value>) {
    let session = session(settings.clone(), network.clone());
    let actors = actors(&session, splits);
    let (mut actions, mut measured) = (Vec::new(), Vec::new());
    for round in 0..3 {
        actions.push(play(&actors, 20 * round..20 * (round + 1)));
        session.clone().update().unwrap().unwrap().run().unwrap();
        measured.push(serde_json::from_str(&session.metrics_json()).unwrap());
    }
    actions.push(play(&actors, 60..65));
    (actions, measured)
}

#[test]
fn results_do_not_depend_on_how_slots_are_split() {
    let ppo = json!({"rollout_steps": 60, "epochs": 2, "minibatches": 4, "normalize_rewards": true});
    for network in [
        json!({"hidden": [16], "normalize_observations": true}),
        json!({"hidden": [8], "core": {"type": "gru", "size": 8}}),
    ] {
        let network = cart_config(network);
        let whole = learned(&ppo, &network, &[&[0, 1, 2, 3, 4, 5]]);
        assert_eq!(learned(&ppo, &network, &[&[0, 1, 2], &[3, 4, 5]]), whole, "{network}");
        assert_eq!(learned(&ppo, &network, &[&[5, 2], &[4], &[0, 3, 1]]), whole, "{network}");
    }
}

#[test]
fn a_slot_is_one_actors_until_it_is_gone() {
    let session = session(json!({}), cart_config(json!({})));
    let [first, second] = [Actor::create(&session).unwrap(), Actor::create(&session).unwrap()];
    let observations: Vec<f32> = [seen(0, 0), seen(1, 0)].concat();
    act(&first, &[0, 1], &observations, RECORDED);
    let hash = session.state_hash().unwrap();
    let mut actions = [0u8; 8];
    let refused = second.act(&[2, 1], &bytes(&observations), &mut actions, RECORDED, None).unwrap_err();
    assert_eq!(refused.status, Status::InUse);
    assert!(refused.message.contains("slot 1 is another actor's"), "{}", refused.message);
    assert_eq!(session.state_hash().unwrap(), hash, "nothing moved");
    act(&second, &[1], &observations[4..], GREEDY);

    drop(first);
    act(&second, &[2, 1], &observations, RECORDED);
    second.observe(&[1], &[1.0], &[Episode::Terminated], &[]).unwrap();
    let heir = Actor::create(&session).unwrap();
    heir.observe(&[0], &[1.0], &[Episode::Terminated], &[]).unwrap();
    let again = heir.observe(&[1], &[1.0], &[Episode::Terminated], &[]).unwrap_err();
    assert_eq!(again.status, Status::State, "its episode was abandoned when another actor took the slot");
}

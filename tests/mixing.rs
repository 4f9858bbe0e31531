//! Demonstrations beside rollouts: which are drawn, and when.

mod support;

use keel::data::Kind;
use std::collections::BTreeSet;
use support::*;

#[test]
fn demonstrations_of_steps_that_are_not_made_come_next() {
    for mix in ["joint", "alternating"] {
        // so small a rate that each demonstration keeps its own likelihood, and so near a target that one step is made
        let text = format!(
            r#"{{"algorithm": {{"type": "ppo", "epochs": 3, "target_kl": 1e-15, "value_coef": 1,
                "demonstrations": {{"coef": 1.0, "batch_size": 1, "mix": "{mix}"}}}},
                "optimizer": {{"learning_rate": 1e-6}}, "threads": 1}}"#
        );
        let session = session(&text, &tiny_model(1));
        let responses = [[5, 6], [11, 3], [20, 21], [9, 9], [4, 14], [17, 8]].map(|tokens| tokens.to_vec()).to_vec();
        session.push(&batch(Kind::Demonstrations, &[("prompt", prompts(6)), ("response", responses)])).unwrap();
        let mut seen = BTreeSet::new();
        for update in 0..6 {
            session.push(&rollouts(&session, 8, update)).unwrap();
            let steps = step(&session).unwrap().optimizer_steps;
            assert_eq!(steps, if mix == "joint" { 1 } else { 2 });
            seen.insert((metric(&session, "loss/demonstrations") * 1e3).round() as i64);
        }
        assert_eq!(seen.len(), 6, "one pass shows each once: {seen:?}");
    }
}

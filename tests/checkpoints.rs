//! Checkpoints: a run goes on bit for bit, and a file that is not sound changes nothing.

mod support;

use keel::data::{Column, Kind, Values};
use keel::error::Status;
use keel::model::Model;
use keel::session::{Role, Session};
use std::sync::Arc;
use support::*;

const PPO: &str = r#"{"algorithm": {"type": "ppo", "epochs": 2, "minibatches": 2}, "optimizer": {"learning_rate": 0.01},
                      "seed": 3, "threads": 1}"#;

#[test]
fn save_and_restore_continue_bit_for_bit() {
    let settings =
        r#""kl": {"type": "adaptive", "horizon": 64, "target": 0.01}, "value_warmup": {"updates": 2}, "epochs""#;
    for text in [PPO.to_string(), PPO.replace("\"epochs\"", settings)] {
        continues_bit_for_bit(&text);
    }
}

fn continues_bit_for_bit(text: &str) {
    let folder = std::env::temp_dir().join(format!("keel-training-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("session.keel");
    let session = session(text, &tiny_model(1));
    session.push(&rollouts(&session, 8, 0)).unwrap();
    step(&session).unwrap();
    session.push(&rollouts(&session, 8, 1)).unwrap();
    session.save(path.clone()).unwrap().run().unwrap();
    step(&session).unwrap();
    let continued = session.state_hash().unwrap();
    let version = session.model(Role::Policy).unwrap().weights().version;
    session.restore(path.clone()).unwrap().run().unwrap();
    assert!(session.model(Role::Policy).unwrap().weights().version > version);
    step(&session).unwrap();
    assert_eq!(session.state_hash().unwrap(), continued);
    let opened = Session::open(&runtime(), &path).unwrap();
    step(&opened).unwrap();
    assert_eq!(opened.state_hash().unwrap(), continued);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_pass_goes_on_where_it_was_saved() {
    let text = r#"{"algorithm": {"type": "sft", "batch_size": 2, "epochs": 2}, "threads": 1}"#;
    let session = session(text, &tiny_model(2));
    session.push(&batch(Kind::Demonstrations, &[("prompt", prompts(5)), ("response", prompts(5))])).unwrap();
    step(&session).unwrap();
    let saved = session.export().unwrap();
    let finish = || {
        let steps = std::iter::from_fn(|| session.update().unwrap().map(|job| job.run().unwrap())).count();
        (steps, session.state_hash().unwrap())
    };
    let first = finish();
    assert_eq!(first.0, 5, "two passes of three steps, less one");
    session.import(&saved).unwrap();
    assert_eq!(finish(), first);
}

#[test]
fn a_sound_container_with_unsound_content_is_refused_and_changes_nothing() {
    let session = session(PPO, &tiny_model(1));
    session.push(&rollouts(&session, 4, 0)).unwrap();
    let (bytes, hash) = (session.export().unwrap(), session.state_hash().unwrap());
    // the same lengths, so that the container stays sound
    let lies: [(&[u8], &[u8]); 6] = [
        (b"\"prompt_length\":2", b"\"prompt_length\":0"),
        (b"\"id\":3", b"\"id\":2"),
        (b"\"next_id\":4", b"\"next_id\":3"),
        (b"\"rollout_log_probs\":[-", b"\"rollout_log_probs\":[9,"),
        (b"\\\"updates\\\":0", b"\\\"updates\\\":x"),
        (b"\\\"learning_rate\\\":0", b"\\\"learning_rate\\\":-"),
    ];
    for (truth, lie) in lies {
        let at = bytes.windows(truth.len()).position(|window| window == truth);
        let at = at.unwrap_or_else(|| panic!("{} is nowhere", String::from_utf8_lossy(truth)));
        let mut lying = bytes.clone();
        lying[at..at + lie.len()].copy_from_slice(lie);
        let error = session.import(&lying).unwrap_err();
        assert_eq!(error.status, Status::Format, "{}: {error}", String::from_utf8_lossy(lie));
        assert_eq!(session.state_hash().unwrap(), hash);
    }
}

#[test]
fn a_checkpoint_of_another_architecture_is_refused() {
    let model = |heads: u32| {
        let text = format!(
            r#"{{"config": {{"model_type": "llama", "vocab_size": 24, "hidden_size": 32, "intermediate_size": 48,
                "num_hidden_layers": 1, "num_attention_heads": {heads}, "max_position_embeddings": 64}}}}"#
        );
        Arc::new(Model::create(&keel::config::parse(Some(text.as_bytes())).unwrap()).unwrap())
    };
    let text = r#"{"algorithm": {"type": "sft"}, "threads": 1}"#;
    let (two, four) = (session(text, &model(2)), session(text, &model(4)));
    let error = four.import(&two.export().unwrap()).unwrap_err();
    assert_eq!(error.status, Status::Shape, "{error}");
}

#[test]
fn a_measure_that_is_not_finite_does_not_spoil_the_checkpoint() {
    let text = PPO.replace("\"epochs\"", "\"reward_clip\": 1, \"epochs\"");
    let session = session(&text, &tiny_model(1));
    let mut batch = rollouts(&session, 8, 0);
    batch.set("reward", Column { values: Values::F32(vec![3e38; 8]), offsets: None }).unwrap();
    session.push(&batch).unwrap();
    step(&session).unwrap();
    let hash = session.state_hash().unwrap();
    session.import(&session.export().unwrap()).unwrap();
    assert_eq!(session.state_hash().unwrap(), hash);
}

#[test]
fn a_damaged_checkpoint_is_refused_and_changes_nothing() {
    let session = session(PPO, &tiny_model(1));
    session.push(&rollouts(&session, 4, 0)).unwrap();
    let bytes = session.export().unwrap();
    let hash = session.state_hash().unwrap();
    for damaged in [&bytes[..0], &bytes[..7], &bytes[..bytes.len() / 2], &bytes[..bytes.len() - 1], b"not a checkpoint"]
    {
        assert_eq!(session.import(damaged).unwrap_err().status, Status::Format);
    }
    let mut lying = bytes.clone();
    lying[..8].copy_from_slice(&(1u64 << 63).to_le_bytes());
    assert_eq!(session.import(&lying).unwrap_err().status, Status::Format);
    assert_eq!(session.state_hash().unwrap(), hash);
    let other = support::session(&PPO.replace("\"ppo\", \"epochs\": 2, \"minibatches\": 2", "\"sft\""), &tiny_model(1));
    assert_eq!(other.import(&bytes).unwrap_err().status, Status::Data);
    session.import(&bytes).unwrap();
    assert_eq!(session.state_hash().unwrap(), hash);
}

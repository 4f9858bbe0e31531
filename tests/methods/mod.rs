//! Every method and each loss of its own: its settings, and a toy for it.

use super::support::*;
use keel::data::{Batch, Column, Kind, Values};
use keel::session::{Role, Session};
use serde_json::{json, Value};
use std::sync::Arc;

/// Calls a macro once for each kind of toy, with the names and settings of its methods.
macro_rules! methods {
    ($each:ident) => {
        $each! { imitates:
            sft = r#""type": "sft""#;
            sft_dft = r#""type": "sft", "loss": "dft""#;
            sft_neftune = r#""type": "sft", "embedding_noise": 0.5"#;
        }
        $each! { judges:
            reward_pairs = r#""type": "reward""#;
            reward_centered = r#""type": "reward", "center_coef": 0.01"#;
            reward_rankings = r#""type": "reward", "learns": "rankings""#;
            reward_steps = r#""type": "reward", "learns": "steps""#;
        }
        $each! { raises:
            ppo = r#""type": "ppo", "value_coef": 1"#;
            ppo_kl_in_loss = r#""type": "ppo", "value_coef": 1, "kl_in": "loss", "kl_estimator": "k2""#;
            ppo_after_last = r#""type": "ppo", "value_coef": 1, "reward_position": "after_last", "max_length": 8"#;
            ppo_normalized = r#""type": "ppo", "value_coef": 1, "reward_normalization": "running", "gae_length_coef": 0.5"#;
            grpo = r#""type": "grpo", "kl_coef": 0.01"#;
            dr_grpo = r#""type": "grpo", "scale": "none", "reduction": "sum_over_constant", "max_length": 8"#;
            dapo = r#""type": "grpo", "clip_range_high": 0.28, "reduction": "token_mean", "max_length": 9, "overlong_buffer": 2"#;
            dapo_sampling = r#""type": "grpo", "equal_groups": "drop", "min_groups": 2"#;
            rloo = r#""type": "grpo", "baseline": "leave_one_out", "scale": "none", "ratio": "sequence_sum", "kl_coef": 0.01,
                      "kl_in": "reward""#;
            gspo = r#""type": "grpo", "ratio": "sequence_mean", "clip_range": 0.0003, "clip_range_high": 0.0004"#;
            cispo = r#""type": "grpo", "objective": "weighted", "clip_range_high": 2, "reduction": "token_mean""#;
            sapo = r#""type": "grpo", "objective": "gated", "epochs": 2"#;
            gmpo = r#""type": "grpo", "objective": "geometric", "clip_range": 0.4, "epochs": 2"#;
            vespo = r#""type": "grpo", "objective": "variational", "reduction": "token_mean""#;
            luspo = r#""type": "grpo", "ratio": "sequence_mean", "reduction": "sequence_mean_token_sum""#;
            opo = r#""type": "grpo", "baseline": "length_weighted", "scale": "none""#;
            gdpo = r#""type": "grpo", "multi_reward": "normalize_each""#;
            grpo_two_sided = r#""type": "grpo", "ratio_cap": 4, "epochs": 2"#;
            grpo_entropy_quantile = r#""type": "grpo", "entropy_quantile": 0.4"#;
            grpo_off_policy = r#""type": "grpo", "importance": {"type": "token_truncate", "high": 2},
                                 "off_policy_mask_threshold": 0.5"#;
            reinforce = r#""type": "reinforce", "kl_coef": 0, "advantages": "center""#;
            reinforce_plus_plus = r#""type": "reinforce", "kl_coef": 0.01"#;
            reinforce_plus_plus_baseline = r#""type": "reinforce", "baseline": "group", "kl_in": "loss""#;
            remax = r#""type": "reinforce", "baseline": "greedy", "advantages": "raw""#;
            online_dpo = r#""type": "online_dpo", "epochs": 4"#;
            online_ipo = r#""type": "online_dpo", "loss": "ipo", "beta": 0.5, "ratio": "sequence_mean", "epochs": 4"#;
            best_of_n = r#""type": "best_of_n", "epochs": 2, "minibatches": 2"#;
        }
        $each! { prefers:
            dpo = r#""type": "dpo""#;
            dpo_conservative = r#""type": "dpo", "label_smoothing": 0.1"#;
            dpo_robust = r#""type": "dpo", "loss": "robust", "label_smoothing": 0.1"#;
            dpo_hinge = r#""type": "dpo", "loss": "hinge""#;
            ipo = r#""type": "dpo", "loss": "ipo""#;
            ipo_mean = r#""type": "dpo", "loss": "ipo", "ratio": "sequence_mean""#;
            dpo_normalized = r#""type": "dpo", "ratio": "sequence_mean""#;
            exo_pair = r#""type": "dpo", "loss": "exo_pair", "label_smoothing": 0.1"#;
            nca_pair = r#""type": "dpo", "loss": "nca_pair""#;
            bco_pair = r#""type": "dpo", "loss": "bco_pair""#;
            sppo_hard = r#""type": "dpo", "loss": "sppo_hard""#;
            apo_zero = r#""type": "dpo", "loss": "apo_zero""#;
            apo_down = r#""type": "dpo", "loss": "apo_down""#;
            discopop = r#""type": "dpo", "loss": "discopop""#;
            aot = r#""type": "dpo", "loss": "aot""#;
            aot_unpaired = r#""type": "dpo", "loss": "aot_unpaired", "label_smoothing": 0.1"#;
            dpop = r#""type": "dpo", "positive_coef": 2"#;
            rpo = r#""type": "dpo", "nll_coef": 1"#;
            dpo_forward_kl = r#""type": "dpo", "divergence": "forward_kl""#;
            dpo_jensen_shannon = r#""type": "dpo", "divergence": "jensen_shannon""#;
            dpo_alpha_divergence = r#""type": "dpo", "divergence": "alpha", "divergence_alpha": 0.5"#;
            ld_dpo = r#""type": "dpo", "length_desensitization": 0.5"#;
            wpo = r#""type": "dpo", "pair_weights": "policy""#;
            mpo = r#""type": "dpo", "terms": [{"loss": "sigmoid", "weight": 0.8}, {"loss": "bco_pair", "weight": 0.2}]"#;
            tr_dpo = r#""type": "dpo", "reference_update": {"every": 8, "mix": 0.6}"#;
            cpo = r#""type": "cpo", "loss": "sigmoid""#;
            cpo_conservative = r#""type": "cpo", "loss": "sigmoid", "label_smoothing": 0.1"#;
            slic = r#""type": "cpo", "loss": "hinge""#;
            cpo_ipo = r#""type": "cpo", "loss": "ipo""#;
            simpo = r#""type": "cpo", "loss": "simpo""#;
            alpha_po = r#""type": "cpo", "loss": "simpo", "reward_alpha": 0.25"#;
            orpo = r#""type": "cpo", "loss": "orpo""#;
        }
        $each! { sorts:
            kto = r#""type": "kto""#;
            kto_apo_zero = r#""type": "kto", "loss": "apo_zero""#;
            bco = r#""type": "kto", "loss": "bco""#;
        }
    };
}

/// A model to train, by which method, on what.
#[derive(Clone)]
pub struct Toy {
    pub algorithm: Value,
    /// The role of the model that is trained, and its seed.
    pub trains: (Role, u64),
    pub rows: Batch,
}

impl Toy {
    fn new(settings: &str, rows: Batch) -> Toy {
        let algorithm = serde_json::from_str(&format!("{{{settings}}}")).unwrap();
        Toy { algorithm, trains: (Role::Policy, 2), rows }
    }

    /// Rows that stay for every pass.
    fn offline(settings: &str, rows: Batch) -> Toy {
        let mut toy = Toy::new(settings, rows);
        (toy.algorithm["batch_size"], toy.algorithm["epochs"]) = (json!(toy.rows.rows()), json!(0));
        toy
    }

    /// A session for it that took no rows yet.
    pub fn session(&self, others: Value) -> Arc<Session> {
        let mut text = json!({ "algorithm": self.algorithm, "threads": 1 });
        text.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
        let session = Session::create(&runtime(), config(&text.to_string())).unwrap();
        session.set_model(self.trains.0, tiny_model(self.trains.1)).unwrap();
        session
    }
}

/// Responses that begin with `first`.
fn answers(rows: usize, first: i32) -> Vec<Vec<i32>> {
    (0..rows).map(|row| vec![first, first + (row % 4) as i32, 2]).collect()
}

/// Demonstrations become likely.
pub fn imitates(settings: &str) -> Toy {
    let rows = batch(Kind::Demonstrations, &[("prompt", prompts(8)), ("response", answers(8, 5))]);
    Toy { trains: (Role::Policy, 1), ..Toy::offline(settings, rows) }
}

/// A reward model tells good responses from bad ones.
pub fn judges(settings: &str) -> Toy {
    let rows = match settings {
        _ if settings.contains("rankings") => rankings(4),
        _ if settings.contains("steps") => judged_steps(),
        _ => pairs(8),
    };
    Toy { trains: (Role::Reward, 2), ..Toy::offline(settings, rows) }
}

/// Steps of two tokens, right where they begin with 4.
fn judged_steps() -> Batch {
    let first = |row: usize, step: usize| if (row + step).is_multiple_of(2) { 4 } else { 12 };
    let response = |row: usize| vec![first(row, 0), 5, first(row, 1), 5];
    let mut rows = batch(Kind::Demonstrations, &[("prompt", prompts(8)), ("response", (0..8).map(response).collect())]);
    let offsets = rows.column("response").unwrap().offsets.clone();
    rows.set("response_mask", Column { values: Values::U8([0, 1].repeat(16)), offsets: offsets.clone() }).unwrap();
    let right = |row: usize, step: usize| if first(row, step) == 4 { 1.0 } else { 0.0 };
    let labels = (0..8).flat_map(|row| [0.0, right(row, 0), 0.0, right(row, 1)]).collect();
    rows.set("step_labels", Column { values: Values::F32(labels), offsets }).unwrap();
    rows
}

/// Rollouts with even tokens are rewarded, and become more frequent.
pub fn raises(settings: &str) -> Toy {
    let text = r#"{"algorithm": {"type": "best_of_n"}, "threads": 1}"#;
    let rows = rewarded(&session(text, &tiny_model(1)), settings, 0);
    Toy { trains: (Role::Policy, 1), ..Toy::new(settings, rows) }
}

/// Rollouts of a session's policy in twelve groups, with what `settings` need beside their rewards.
pub fn rewarded(session: &Arc<Session>, settings: &str, seed: u64) -> Batch {
    let mut rows = rollouts_in_groups(session, 12, seed);
    if settings.contains("greedy") {
        rows.set("baseline", Column::flat(Values::F32(greedy(session, 12)))).unwrap();
    }
    rows
}

/// What the greedy response to each row's prompt is worth.
fn greedy(session: &Arc<Session>, groups: usize) -> Vec<f32> {
    let generate = keel::config::Generate { max_new_tokens: 8, temperature: 0.0, ..Default::default() };
    let job = session.generate(&batch(Kind::Prompts, &[("prompt", prompts(groups))]), generate).unwrap();
    job.run().unwrap();
    even_tokens(&job.batch().unwrap()).into_iter().flat_map(|reward| [reward; 4]).collect()
}

/// Pairs are told apart, from where policy and reference agree.
pub fn prefers(settings: &str) -> Toy {
    // the rejected responses have other lengths
    let longer = (0..8).map(|row| vec![12 + row % 4; 2 + row as usize % 3]).collect();
    let columns = [("prompt", prompts(8)), ("chosen", answers(8, 4)), ("rejected", longer)];
    Toy::offline(&format!(r#"{settings}, "beta": 0.5"#), batch(Kind::Preferences, &columns))
}

/// Good responses gain, bad ones lose.
pub fn sorts(settings: &str) -> Toy {
    let good = |row: usize| row % 2 == 1;
    let response = |row: usize| vec![if good(row) { 4 } else { 12 }, 5 + (row % 4) as i32, 2];
    let columns = [("prompt", prompts(16)), ("response", (0..16).map(response).collect())];
    let mut rows = batch(Kind::Feedback, &columns);
    let labels = (0..16).map(|row| i32::from(good(row))).collect();
    rows.set("label", Column::flat(Values::I32(labels))).unwrap();
    Toy::offline(&format!(r#"{settings}, "beta": 0.5"#), rows)
}

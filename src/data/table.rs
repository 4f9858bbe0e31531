//! The one table of columns: name, kinds of batch, types, layout, what may stand in it, meaning.
//!
//! A new column is a new entry here and nothing else in this room; the schema that hosts read is made from it.

use super::spec::{Layout, Need, Rule, Spec};
use super::{Kind, Type};
use serde_json::{json, Value};

const TEXT: &[Type] = &[Type::Utf8, Type::I32];

/// Every column.
pub const COLUMNS: &[Spec] = &[
    Spec {
        name: "prompt",
        kinds: &[
            (Kind::Prompts, Need::Language),
            (Kind::Preferences, Need::Language),
            (Kind::Rollouts, Need::Language),
            (Kind::Feedback, Need::Language),
            (Kind::Rankings, Need::Language),
        ],
        types: TEXT,
        layout: Layout::Ragged,
        rule: Rule::Text,
        meaning: "what the model is given",
    },
    Spec {
        name: "prompt",
        kinds: &[(Kind::Demonstrations, Need::Nobody)],
        types: TEXT,
        layout: Layout::Ragged,
        rule: Rule::OptionalText,
        meaning: "what the model is given; nothing is learned from it",
    },
    Spec {
        name: "response",
        kinds: &[(Kind::Demonstrations, Need::Language), (Kind::Rollouts, Need::Language), (Kind::Feedback, Need::Language), (Kind::Rankings, Need::Language)],
        types: TEXT,
        layout: Layout::Ragged,
        rule: Rule::Text,
        meaning: "what the model says or ought to say; of a rollout with the end token that it sampled",
    },
    Spec {
        name: "observation",
        kinds: &[(Kind::Demonstrations, Need::Control)],
        types: &[Type::F32],
        layout: Layout::Numbers,
        rule: Rule::Any,
        meaning: "what a control network reads, in the order of its observation record, without masks",
    },
    Spec {
        name: "action",
        kinds: &[(Kind::Demonstrations, Need::Control)],
        types: &[Type::F32],
        layout: Layout::Numbers,
        rule: Rule::Any,
        meaning: "what the expert did, in the order of the action record; of a choice its number, from 0",
    },
    Spec {
        name: "mask",
        kinds: &[(Kind::Demonstrations, Need::Nobody)],
        types: &[Type::U8],
        layout: Layout::Numbers,
        rule: Rule::Between(0, 1),
        meaning: "1 where a choice of a control network is legal, for all choices of its discrete actions; absent: all are",
    },
    Spec {
        name: "chosen",
        kinds: &[(Kind::Preferences, Need::Language)],
        types: TEXT,
        layout: Layout::Ragged,
        rule: Rule::Text,
        meaning: "the response that was preferred",
    },
    Spec {
        name: "rejected",
        kinds: &[(Kind::Preferences, Need::Language)],
        types: TEXT,
        layout: Layout::Ragged,
        rule: Rule::Text,
        meaning: "the response that was not",
    },
    Spec {
        name: "chosen_observation",
        kinds: &[(Kind::Preferences, Need::Control)],
        types: &[Type::F32],
        layout: Layout::Ragged,
        rule: Rule::Any,
        meaning: "of each step of the segment that was preferred what was observed, step after step",
    },
    Spec {
        name: "chosen_action",
        kinds: &[(Kind::Preferences, Need::Control)],
        types: &[Type::F32],
        layout: Layout::Ragged,
        rule: Rule::Any,
        meaning: "of each of its steps what was done, step after step; of a choice its number, from 0",
    },
    Spec {
        name: "rejected_observation",
        kinds: &[(Kind::Preferences, Need::Control)],
        types: &[Type::F32],
        layout: Layout::Ragged,
        rule: Rule::Any,
        meaning: "the observations of the segment that was not",
    },
    Spec {
        name: "rejected_action",
        kinds: &[(Kind::Preferences, Need::Control)],
        types: &[Type::F32],
        layout: Layout::Ragged,
        rule: Rule::Any,
        meaning: "the actions of the segment that was not",
    },
    Spec {
        name: "response_mask",
        kinds: &[(Kind::Demonstrations, Need::Nobody), (Kind::Rollouts, Need::Nobody), (Kind::Feedback, Need::Nobody)],
        types: &[Type::U8],
        layout: Layout::Response,
        rule: Rule::Between(0, 1),
        meaning: "1 where a token of the response counts; absent: all count",
    },
    Spec {
        name: "rollout_log_probs",
        kinds: &[(Kind::Rollouts, Need::Nobody)],
        types: &[Type::F32],
        layout: Layout::Response,
        rule: Rule::Any,
        meaning: "log-probability of each response token when it was sampled, before any top-k or top-p, in nats",
    },
    Spec {
        name: "logits",
        kinds: &[(Kind::Rollouts, Need::Nobody)],
        types: &[Type::F32],
        layout: Layout::Vectors,
        rule: Rule::Any,
        meaning: "of each response token the logits over the vocabulary that it was sampled by, before the temperature and any filter; a push does not read it",
    },
    Spec {
        name: "token_reward",
        kinds: &[(Kind::Rollouts, Need::Nobody)],
        types: &[Type::F32],
        layout: Layout::Response,
        rule: Rule::Any,
        meaning: "what each token of the response was worth by itself; of one that does not count, it goes to the last before it that does",
    },
    Spec {
        name: "step_labels",
        kinds: &[(Kind::Demonstrations, Need::Nobody)],
        types: &[Type::F32],
        layout: Layout::Response,
        rule: Rule::Fraction,
        meaning: "for each response token that ends a step, and counts: how surely the step is right",
    },
    Spec {
        name: "reward",
        kinds: &[(Kind::Rollouts, Need::Nobody)],
        types: &[Type::F32],
        layout: Layout::Numbers,
        rule: Rule::Any,
        meaning: "what the response was worth, by each of the method's rewards; without it the row waits for its reward",
    },
    Spec {
        name: "baseline",
        kinds: &[(Kind::Rollouts, Need::Nobody)],
        types: &[Type::F32],
        layout: Layout::Row,
        rule: Rule::Any,
        meaning: "what the greedy response to the same prompt was worth, where the algorithm compares with it",
    },
    Spec {
        name: "finish_reason",
        kinds: &[(Kind::Rollouts, Need::Nobody)],
        types: &[Type::I32],
        layout: Layout::Row,
        rule: Rule::Between(1, 4),
        meaning: "why the response ended: 1 end token, 2 stop token or text, 3 length, 4 the host",
    },
    Spec {
        name: "policy_version",
        kinds: &[(Kind::Rollouts, Need::Nobody)],
        types: &[Type::U64],
        layout: Layout::Row,
        rule: Rule::Any,
        meaning: "the version of the weights that sampled the response",
    },
    Spec {
        name: "id",
        kinds: &[(Kind::Rollouts, Need::Nobody)],
        types: &[Type::U64],
        layout: Layout::Row,
        rule: Rule::Any,
        meaning: "in a batch of queries: what the row is answered by; a push does not read it",
    },
    Spec {
        name: "group",
        kinds: &[(Kind::Preferences, Need::Nobody), (Kind::Rollouts, Need::Nobody), (Kind::Rankings, Need::Nobody)],
        types: &[Type::U64],
        layout: Layout::Row,
        rule: Rule::Any,
        meaning: "rows with the same number answer the same prompt and stay in one optimiser step",
    },
    Spec {
        name: "weight",
        kinds: &[(Kind::Demonstrations, Need::Nobody), (Kind::Preferences, Need::Nobody)],
        types: &[Type::F32],
        layout: Layout::Numbers,
        rule: Rule::NotNegative,
        meaning: "weight in the loss, a weighted mean: of each of a demonstration's tokens, of a pair for each score; absent: 1",
    },
    Spec {
        name: "margin",
        kinds: &[(Kind::Preferences, Need::Nobody)],
        types: &[Type::F32],
        layout: Layout::Numbers,
        rule: Rule::Any,
        meaning: "by how much the chosen response should score higher, for each score; absent: 0",
    },
    Spec {
        name: "probability",
        kinds: &[(Kind::Preferences, Need::Nobody)],
        types: &[Type::F32],
        layout: Layout::Numbers,
        rule: Rule::Fraction,
        meaning: "how surely the chosen response is the better one, for each score; absent: 1",
    },
    Spec {
        name: "rank",
        kinds: &[(Kind::Rankings, Need::Language)],
        types: &[Type::I32],
        layout: Layout::Row,
        rule: Rule::Between(1, 1_000_000),
        meaning: "the place of the response among those to its prompt, 1 the best; equal places are ties",
    },
    Spec {
        name: "label",
        kinds: &[(Kind::Feedback, Need::Language)],
        types: &[Type::I32],
        layout: Layout::Row,
        rule: Rule::Between(0, 1),
        meaning: "1 where the response was good, 0 where it was bad",
    },
    Spec {
        name: "split",
        kinds: &[
            (Kind::Demonstrations, Need::Nobody),
            (Kind::Preferences, Need::Nobody),
            (Kind::Feedback, Need::Nobody),
            (Kind::Rankings, Need::Nobody),
        ],
        types: &[Type::I32],
        layout: Layout::Row,
        rule: Rule::Between(0, 1),
        meaning: "0 training, 1 evaluation; absent: training",
    },
];

/// Every kind of batch with its columns, as JSON for hosts and tools.
pub fn columns_schema() -> Value {
    let types = Type::ALL.map(|name| (name.name().to_string(), json!(name as i32)));
    let kinds = Kind::ALL.map(|kind| {
        let columns: Vec<Value> = Spec::all(kind).map(|spec| describe(spec, kind)).collect();
        (kind.name().to_string(), json!({ "kind": kind as i32, "columns": columns }))
    });
    json!({ "types": Value::Object(types.into_iter().collect()), "batches": Value::Object(kinds.into_iter().collect()) })
}

fn describe(spec: &Spec, kind: Kind) -> Value {
    let layout = match spec.layout {
        Layout::Row => "one value per row",
        Layout::Numbers => "one value per row, or several, as many in each row",
        Layout::Ragged => "values and rows + 1 offsets",
        Layout::Response => "values and rows + 1 offsets, in each row as many values as the response has tokens",
        Layout::Vectors => {
            "values and rows + 1 offsets, in each row the same number of values for each token of the response"
        }
    };
    json!({
        "name": spec.name,
        "required": spec.need(kind) != Need::Nobody,
        "required_by": match spec.need(kind) {
            Need::Nobody => Value::Null,
            Need::Language => json!("sessions of language models"),
            Need::Control => json!("sessions of control networks"),
        },
        "types": spec.types(kind).map(Type::name).collect::<Vec<_>>(),
        "layout": layout,
        "values": spec.rule.words(),
        "meaning": spec.meaning,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_kind_has_each_column_once_and_the_named_ones() {
        for kind in Kind::ALL {
            let names: Vec<&str> = Spec::all(kind).map(|spec| spec.name).collect();
            assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
        }
        let of = |kind, need| Spec::all(kind).filter(move |s| s.need(kind) == need).map(|s| s.name).collect::<Vec<_>>();
        let needed = |kind| of(kind, Need::Language);
        assert_eq!(needed(Kind::Prompts), ["prompt"]);
        assert_eq!(needed(Kind::Demonstrations), ["response"]);
        assert_eq!(needed(Kind::Preferences), ["prompt", "chosen", "rejected"]);
        assert_eq!(needed(Kind::Rollouts), ["prompt", "response"]);
        assert_eq!(needed(Kind::Feedback), ["prompt", "response", "label"]);
        assert_eq!(needed(Kind::Rankings), ["prompt", "response", "rank"]);
        let segments = ["chosen_observation", "chosen_action", "rejected_observation", "rejected_action"];
        assert_eq!(of(Kind::Preferences, Need::Control), segments);
    }

    #[test]
    fn the_schema_lists_what_the_table_says() {
        let schema = columns_schema();
        assert_eq!(schema["types"]["utf8"], 6);
        assert_eq!(schema["batches"]["rollouts"]["kind"], 4);
        let columns = schema["batches"]["rollouts"]["columns"].as_array().unwrap();
        assert_eq!(columns.len(), 12);
        assert_eq!(columns[0]["name"], "prompt");
        assert_eq!(columns[0]["types"], json!(["i32"]));
        assert_eq!(schema["batches"]["prompts"]["columns"][0]["types"], json!(["utf8", "i32"]));
        let split = schema["batches"]["preferences"]["columns"].as_array().unwrap().last().unwrap();
        assert_eq!(split["values"], "whole numbers from 0 to 1");
        assert_eq!(split["required"], false);
    }
}

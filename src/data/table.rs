//! The one table of columns: name, kinds of batch, types, layout, what may stand in it, meaning.
//!
//! A new column is a new entry here and nothing else in this room; the schema that hosts read is made from it.

use super::{Kind, Type, Values};
use serde_json::{json, Value};

/// One column that a batch may have.
pub struct Spec {
    pub name: &'static str,
    /// The kinds of batch that have it, and whether a batch of that kind must have it.
    pub kinds: &'static [(Kind, bool)],
    /// The types it may be given in.
    pub types: &'static [Type],
    pub layout: Layout,
    pub rule: Rule,
    pub meaning: &'static str,
}

/// How values belong to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One value per row.
    Row,
    /// One or several numbers per row, as many in each.
    Numbers,
    /// Any number of values per row, told by `rows + 1` offsets.
    Ragged,
    /// Ragged, with as many values in each row as `response` has tokens.
    Response,
}

/// What may stand in a column; floating-point values are finite and text is UTF-8 in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Any,
    /// Text, or tokens of at least 0; a row of tokens is not empty.
    Text,
    /// The same, and a row of tokens may be empty.
    OptionalText,
    /// Numbers of at least 0.
    NotNegative,
    /// Numbers from 0 to 1.
    Fraction,
    /// Whole numbers from the first to the second.
    Between(i32, i32),
}

impl Spec {
    /// The entry of a column, by its name, where a kind of batch has it.
    pub fn of(kind: Kind, name: &str) -> Option<&'static Spec> {
        Spec::all(kind).find(|spec| spec.name == name)
    }

    /// The columns of a kind of batch.
    pub fn all(kind: Kind) -> impl Iterator<Item = &'static Spec> {
        COLUMNS.iter().filter(move |spec| spec.kinds.iter().any(|(has, _)| *has == kind))
    }

    /// Whether a batch of a kind must have it.
    pub fn required(&self, kind: Kind) -> bool {
        self.kinds.contains(&(kind, true))
    }

    /// Whether it holds text, or the tokens of one.
    pub fn holds_text(&self) -> bool {
        matches!(self.rule, Rule::Text | Rule::OptionalText)
    }

    /// The types it may be given in: rollouts hold the tokens that were sampled, never their text.
    pub fn types(&self, kind: Kind) -> impl Iterator<Item = Type> + '_ {
        self.types.iter().copied().filter(move |column| kind != Kind::Rollouts || *column != Type::Utf8)
    }
}

impl Rule {
    /// What is expected, for messages and the schema.
    pub fn words(self) -> String {
        match self {
            Rule::Any => "any number".into(),
            Rule::Text | Rule::OptionalText => "tokens of at least 0".into(),
            Rule::NotNegative => "numbers of at least 0".into(),
            Rule::Fraction => "numbers from 0 to 1".into(),
            Rule::Between(low, high) => format!("whole numbers from {low} to {high}"),
        }
    }

    /// The position of the first value that breaks it.
    pub fn offender(self, values: &Values) -> Option<usize> {
        match (self, values) {
            (Rule::Text | Rule::OptionalText, Values::I32(tokens)) => tokens.iter().position(|token| *token < 0),
            (Rule::NotNegative, Values::F32(numbers)) => numbers.iter().position(|number| *number < 0.0),
            (Rule::Fraction, Values::F32(numbers)) => numbers.iter().position(|number| !(0.0..=1.0).contains(number)),
            (Rule::Between(low, high), Values::I32(codes)) => codes.iter().position(|code| *code < low || *code > high),
            (Rule::Between(low, high), Values::U8(codes)) => {
                codes.iter().position(|code| i32::from(*code) < low || i32::from(*code) > high)
            }
            _ => None,
        }
    }
}

const TEXT: &[Type] = &[Type::Utf8, Type::I32];

/// Every column.
pub const COLUMNS: &[Spec] = &[
    Spec {
        name: "prompt",
        kinds: &[
            (Kind::Prompts, true),
            (Kind::Preferences, true),
            (Kind::Rollouts, true),
            (Kind::Feedback, true),
            (Kind::Rankings, true),
        ],
        types: TEXT,
        layout: Layout::Ragged,
        rule: Rule::Text,
        meaning: "what the model is given",
    },
    Spec {
        name: "prompt",
        kinds: &[(Kind::Demonstrations, false)],
        types: TEXT,
        layout: Layout::Ragged,
        rule: Rule::OptionalText,
        meaning: "what the model is given; nothing is learned from it",
    },
    Spec {
        name: "response",
        kinds: &[(Kind::Demonstrations, true), (Kind::Rollouts, true), (Kind::Feedback, true), (Kind::Rankings, true)],
        types: TEXT,
        layout: Layout::Ragged,
        rule: Rule::Text,
        meaning: "what the model says or ought to say; of a rollout with the end token that it sampled",
    },
    Spec {
        name: "chosen",
        kinds: &[(Kind::Preferences, true)],
        types: TEXT,
        layout: Layout::Ragged,
        rule: Rule::Text,
        meaning: "the response that was preferred",
    },
    Spec {
        name: "rejected",
        kinds: &[(Kind::Preferences, true)],
        types: TEXT,
        layout: Layout::Ragged,
        rule: Rule::Text,
        meaning: "the response that was not",
    },
    Spec {
        name: "response_mask",
        kinds: &[(Kind::Demonstrations, false), (Kind::Rollouts, false), (Kind::Feedback, false)],
        types: &[Type::U8],
        layout: Layout::Response,
        rule: Rule::Between(0, 1),
        meaning: "1 where a token of the response counts; absent: all count",
    },
    Spec {
        name: "rollout_log_probs",
        kinds: &[(Kind::Rollouts, false)],
        types: &[Type::F32],
        layout: Layout::Response,
        rule: Rule::Any,
        meaning: "log-probability of each response token when it was sampled, before any top-k or top-p, in nats",
    },
    Spec {
        name: "token_reward",
        kinds: &[(Kind::Rollouts, false)],
        types: &[Type::F32],
        layout: Layout::Response,
        rule: Rule::Any,
        meaning: "what each token of the response was worth by itself; of one that does not count, it goes to the last before it that does",
    },
    Spec {
        name: "step_labels",
        kinds: &[(Kind::Demonstrations, false)],
        types: &[Type::F32],
        layout: Layout::Response,
        rule: Rule::Fraction,
        meaning: "for each response token that ends a step, and counts: how surely the step is right",
    },
    Spec {
        name: "reward",
        kinds: &[(Kind::Rollouts, false)],
        types: &[Type::F32],
        layout: Layout::Numbers,
        rule: Rule::Any,
        meaning: "what the response was worth, by each of the method's rewards; without it the row waits for its reward",
    },
    Spec {
        name: "baseline",
        kinds: &[(Kind::Rollouts, false)],
        types: &[Type::F32],
        layout: Layout::Row,
        rule: Rule::Any,
        meaning: "what the greedy response to the same prompt was worth, where the algorithm compares with it",
    },
    Spec {
        name: "finish_reason",
        kinds: &[(Kind::Rollouts, false)],
        types: &[Type::I32],
        layout: Layout::Row,
        rule: Rule::Between(1, 4),
        meaning: "why the response ended: 1 end token, 2 stop token or text, 3 length, 4 the host",
    },
    Spec {
        name: "policy_version",
        kinds: &[(Kind::Rollouts, false)],
        types: &[Type::U64],
        layout: Layout::Row,
        rule: Rule::Any,
        meaning: "the version of the weights that sampled the response",
    },
    Spec {
        name: "id",
        kinds: &[(Kind::Rollouts, false)],
        types: &[Type::U64],
        layout: Layout::Row,
        rule: Rule::Any,
        meaning: "in a batch of queries: what the row is answered by; a push does not read it",
    },
    Spec {
        name: "group",
        kinds: &[(Kind::Preferences, false), (Kind::Rollouts, false), (Kind::Rankings, false)],
        types: &[Type::U64],
        layout: Layout::Row,
        rule: Rule::Any,
        meaning: "rows with the same number answer the same prompt and stay in one optimiser step",
    },
    Spec {
        name: "weight",
        kinds: &[(Kind::Demonstrations, false), (Kind::Preferences, false)],
        types: &[Type::F32],
        layout: Layout::Numbers,
        rule: Rule::NotNegative,
        meaning: "weight in the loss, a weighted mean: of each of a demonstration's tokens, of a pair for each score; absent: 1",
    },
    Spec {
        name: "margin",
        kinds: &[(Kind::Preferences, false)],
        types: &[Type::F32],
        layout: Layout::Numbers,
        rule: Rule::Any,
        meaning: "by how much the chosen response should score higher, for each score; absent: 0",
    },
    Spec {
        name: "probability",
        kinds: &[(Kind::Preferences, false)],
        types: &[Type::F32],
        layout: Layout::Numbers,
        rule: Rule::Fraction,
        meaning: "how surely the chosen response is the better one, for each score; absent: 1",
    },
    Spec {
        name: "rank",
        kinds: &[(Kind::Rankings, true)],
        types: &[Type::I32],
        layout: Layout::Row,
        rule: Rule::Between(1, 1_000_000),
        meaning: "the place of the response among those to its prompt, 1 the best; equal places are ties",
    },
    Spec {
        name: "label",
        kinds: &[(Kind::Feedback, true)],
        types: &[Type::I32],
        layout: Layout::Row,
        rule: Rule::Between(0, 1),
        meaning: "1 where the response was good, 0 where it was bad",
    },
    Spec {
        name: "split",
        kinds: &[
            (Kind::Demonstrations, false),
            (Kind::Preferences, false),
            (Kind::Feedback, false),
            (Kind::Rankings, false),
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
    };
    json!({
        "name": spec.name,
        "required": spec.required(kind),
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
        let needed = |kind| Spec::all(kind).filter(move |s| s.required(kind)).map(|s| s.name).collect::<Vec<_>>();
        assert_eq!(needed(Kind::Prompts), ["prompt"]);
        assert_eq!(needed(Kind::Demonstrations), ["response"]);
        assert_eq!(needed(Kind::Preferences), ["prompt", "chosen", "rejected"]);
        assert_eq!(needed(Kind::Rollouts), ["prompt", "response"]);
        assert_eq!(needed(Kind::Feedback), ["prompt", "response", "label"]);
        assert_eq!(needed(Kind::Rankings), ["prompt", "response", "rank"]);
    }

    #[test]
    fn the_schema_lists_what_the_table_says() {
        let schema = columns_schema();
        assert_eq!(schema["types"]["utf8"], 6);
        assert_eq!(schema["batches"]["rollouts"]["kind"], 4);
        let columns = schema["batches"]["rollouts"]["columns"].as_array().unwrap();
        assert_eq!(columns.len(), 11);
        assert_eq!(columns[0]["name"], "prompt");
        assert_eq!(columns[0]["types"], json!(["i32"]));
        assert_eq!(schema["batches"]["prompts"]["columns"][0]["types"], json!(["utf8", "i32"]));
        let split = schema["batches"]["preferences"]["columns"].as_array().unwrap().last().unwrap();
        assert_eq!(split["values"], "whole numbers from 0 to 1");
        assert_eq!(split["required"], false);
    }
}

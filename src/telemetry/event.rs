//! One thing that happened, and the JSON by which the host reads it.

use crate::error::Error;
use serde_json::{json, Map, Value};
use std::collections::BTreeMap;

/// One thing that happened in a session or a runtime.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An update's metrics; names are from the table.
    Metrics { update: u64, optimizer_steps: u64, values: BTreeMap<String, f64> },
    /// A job ended: `work` names what it did; `error` says why it did not.
    JobFinished { job: u64, work: &'static str, optimizer_steps: u64, elapsed_us: u64, error: Option<Error> },
    /// What a row of a streaming generation has said since its last event. The texts of a row, joined, are that of its
    /// response; none without a tokenizer.
    Tokens { job: u64, row: usize, tokens: Vec<i32>, text: Option<String> },
    /// Something that the host ought to know and need not act on.
    Warning { message: String },
}

impl Event {
    /// The members of the event as JSON; a number that is not finite becomes null.
    pub fn to_json(&self) -> Map<String, Value> {
        let value = match self {
            Event::Metrics { update, optimizer_steps, values } => {
                json!({ "event": "metrics", "update": update, "optimizer_steps": optimizer_steps, "values": values })
            }
            Event::JobFinished { job, work, optimizer_steps, elapsed_us, error } => json!({
                "event": "job_finished",
                "job": job,
                "work": work,
                "optimizer_steps": optimizer_steps,
                "elapsed_us": elapsed_us,
                "status": error.as_ref().map_or(0, |error| error.status as i32),
                "message": error.as_ref().map(|error| error.message.as_str()),
            }),
            Event::Tokens { job, row, tokens, text } => {
                json!({ "event": "tokens", "job": job, "row": row, "tokens": tokens, "text": text })
            }
            Event::Warning { message } => json!({ "event": "warning", "message": message }),
        };
        match value {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Status;

    #[test]
    fn events_are_flat_objects() {
        let values = BTreeMap::from([("loss/total".to_string(), 0.5), ("gradient/norm".to_string(), f64::NAN)]);
        let metrics = Event::Metrics { update: 2, optimizer_steps: 9, values };
        let expected = json!({"event": "metrics", "update": 2, "optimizer_steps": 9, "values": {"loss/total": 0.5, "gradient/norm": null}});
        assert_eq!(Value::Object(metrics.to_json()), expected);
        let error = Some(Error::new(Status::NonFinite, "loss/total: NaN"));
        let finished = Event::JobFinished { job: 7, work: "update", optimizer_steps: 1, elapsed_us: 20, error };
        let expected = json!({"event": "job_finished", "job": 7, "work": "update", "optimizer_steps": 1, "elapsed_us": 20,
            "status": -300, "message": "loss/total: NaN"});
        assert_eq!(Value::Object(finished.to_json()), expected);
        let tokens = Event::Tokens { job: 7, row: 1, tokens: vec![5, 6], text: Some("é".into()) };
        let expected = json!({"event": "tokens", "job": 7, "row": 1, "tokens": [5, 6], "text": "é"});
        assert_eq!(Value::Object(tokens.to_json()), expected);
        let warning = Event::Warning { message: "\"quoted\"".into() };
        assert_eq!(Value::Object(warning.to_json()), json!({"event": "warning", "message": "\"quoted\""}));
    }
}

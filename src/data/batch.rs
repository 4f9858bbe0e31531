//! A batch: a kind, a number of rows, and columns that were accepted one by one.

use super::spec::{Layout, Need, Spec};
use super::table::COLUMNS;
use super::{Column, Kind, Type};
use crate::error::{Error, Result};

/// Rows of named columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    kind: Kind,
    rows: u64,
    /// One place per entry of the table.
    columns: Vec<Option<Column>>,
}

impl Batch {
    /// A batch without columns; `rows` is from 1 to 2³² − 1.
    pub fn new(kind: Kind, rows: u64) -> Result<Batch> {
        if rows == 0 || rows > u64::from(u32::MAX) {
            return Err(Error::argument(format!("rows: expected a number from 1 to {}, got {rows}", u32::MAX)));
        }
        Ok(Batch { kind, rows, columns: COLUMNS.iter().map(|_| None).collect() })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Sets a column, or replaces it. Ragged columns without offsets have rows of equal length.
    ///
    /// A column that breaks its entry in the table is refused and the batch stays as it was. What concerns several
    /// columns is left to [`Batch::check`], so that a host can replace them one after the other.
    pub fn set(&mut self, name: &str, column: Column) -> Result<()> {
        let place = self.place(name).ok_or_else(|| self.unknown(name))?;
        let spec = &COLUMNS[place];
        let kind = column.values.kind();
        if !spec.types(self.kind).any(|allowed| allowed == kind) {
            let allowed: Vec<&str> = spec.types(self.kind).map(Type::name).collect();
            let allowed = allowed.join(" or ");
            return Err(Error::argument(format!("{name}: expected values of type {allowed}, got {}", kind.name())));
        }
        self.columns[place] = Some(column.accept(spec, self.rows as usize).map_err(|error| error.within(name))?);
        Ok(())
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns[self.place(name)?].as_ref()
    }

    /// The columns that are set, in the order of the table.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, &Column)> {
        COLUMNS.iter().zip(&self.columns).filter_map(|(spec, column)| Some((spec.name, column.as_ref()?)))
    }

    /// Whether a session of a control network can use it: the columns that such sessions require are there, and none that
    /// only those of language models do.
    pub fn check_control(&self) -> Result<()> {
        match Spec::all(self.kind).find(|spec| spec.need(self.kind) == Need::Language && self.has(spec)) {
            Some(spec) => Err(Error::data(format!("{}: sessions of control networks read no such column", spec.name))),
            None => self.check_required(Need::Control),
        }
    }

    /// Whether a session of a language model can use it: required columns are there, text and tokens are not mixed, what
    /// follows the response has a value for each of its tokens.
    pub fn check(&self) -> Result<()> {
        if let Some(spec) = Spec::all(self.kind).find(|spec| spec.need(self.kind) == Need::Control && self.has(spec)) {
            return Err(Error::data(format!("{}: sessions of language models read no such column", spec.name)));
        }
        self.check_required(Need::Language)?;
        self.unmixed()?;
        let Some(response) = self.column("response") else { return Ok(()) };
        for (spec, column) in Spec::all(self.kind).filter_map(|spec| Some((spec, self.column(spec.name)?))) {
            let each = match spec.layout {
                Layout::Response => 1,
                Layout::Vectors => column.values.len() / response.values.len().max(1),
                Layout::Row | Layout::Numbers | Layout::Ragged => continue,
            };
            self.follows(column, response, each).map_err(|error| error.within(spec.name))?;
        }
        Ok(())
    }

    /// How a column that is set lies in a tensor: [response tokens, width] where it has values for each of them, else
    /// [values].
    pub fn shape(&self, name: &str) -> Vec<i64> {
        let length = |name| self.column(name).map_or(0, |column| column.values.len() as i64);
        let (values, tokens) = (length(name), length("response"));
        match Spec::of(self.kind, name).map(|spec| spec.layout) {
            Some(Layout::Vectors) if tokens > 0 && values % tokens == 0 => vec![tokens, values / tokens],
            _ => vec![values],
        }
    }

    fn has(&self, spec: &Spec) -> bool {
        self.column(spec.name).is_some()
    }

    fn check_required(&self, by: Need) -> Result<()> {
        match Spec::all(self.kind).find(|spec| spec.need(self.kind) == by && !self.has(spec)) {
            Some(spec) => {
                let kind = self.kind.name();
                Err(Error::data(format!("{}: required in a batch of {kind}, and not set", spec.name)))
            }
            None => Ok(()),
        }
    }

    fn unmixed(&self) -> Result<()> {
        let worded = Spec::all(self.kind).filter(|spec| spec.holds_text());
        let mut worded = worded.filter_map(|spec| Some((spec.name, self.column(spec.name)?.values.kind())));
        let Some((first, kind)) = worded.next() else { return Ok(()) };
        match worded.find(|(_, other)| *other != kind) {
            None => Ok(()),
            Some((name, other)) => {
                let (kind, other) = (kind.name(), other.name());
                Err(Error::data(format!("{name}: expected type {kind}, which {first} has, got {other}")))
            }
        }
    }

    fn follows(&self, column: &Column, response: &Column, each: usize) -> Result<()> {
        if response.is_text() {
            return Err(Error::data("needs a response of tokens, and the response is text"));
        }
        for row in 0..self.rows as usize {
            let (expected, found) = (response.span(row).len() * each, column.span(row).len());
            if expected != found {
                let each = if each == 1 { "one".into() } else { each.to_string() };
                let message =
                    format!("expected {expected} values in row {row}, {each} per response token, got {found}");
                return Err(Error::shape(message));
            }
        }
        Ok(())
    }

    fn place(&self, name: &str) -> Option<usize> {
        COLUMNS.iter().position(|spec| spec.name == name && spec.kinds.iter().any(|(kind, _)| *kind == self.kind))
    }

    fn unknown(&self, name: &str) -> Error {
        let names: Vec<&str> = Spec::all(self.kind).map(|spec| spec.name).collect();
        let kind = self.kind.name();
        Error::argument(format!("{name}: a batch of {kind} has no such column; it has {}", names.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Values;
    use super::*;
    use crate::error::Status;

    fn ragged(values: Values, offsets: &[u64]) -> Column {
        Column { values, offsets: Some(offsets.to_vec()) }
    }

    fn refusal(batch: &mut Batch, name: &str, column: Column) -> (Status, String) {
        let before = batch.clone();
        let error = batch.set(name, column).unwrap_err();
        assert_eq!(*batch, before);
        (error.status, error.message)
    }

    fn rollouts() -> Batch {
        let mut batch = Batch::new(Kind::Rollouts, 2).unwrap();
        batch.set("prompt", Column::ragged_i32(&[vec![1], vec![2, 3]])).unwrap();
        batch.set("response", Column::ragged_i32(&[vec![4, 5, 6], vec![7]])).unwrap();
        batch.set("rollout_log_probs", Column::ragged_f32(&[vec![-0.5, -1.0, -2.0], vec![-0.1]])).unwrap();
        batch.set("reward", Column::flat(Values::F32(vec![1.5, -2.0]))).unwrap();
        batch.set("finish_reason", Column::flat(Values::I32(vec![1, 4]))).unwrap();
        batch.set("policy_version", Column::flat(Values::U64(vec![0, u64::MAX]))).unwrap();
        batch
    }

    #[test]
    fn rows_read_back_as_they_were_set() {
        let mut batch = rollouts();
        batch.set("response_mask", Column::ragged_u8(&[vec![1, 0, 1], vec![1]])).unwrap();
        batch.check().unwrap();
        assert_eq!((batch.kind(), batch.rows()), (Kind::Rollouts, 2));
        assert_eq!(batch.column("prompt").unwrap().row_i32(1), [2, 3]);
        assert_eq!(batch.column("response").unwrap().row_i32(0), [4, 5, 6]);
        assert_eq!(batch.column("rollout_log_probs").unwrap().row_f32(1), [-0.1]);
        assert_eq!(batch.column("reward").unwrap().row_f32(1), [-2.0]);
        assert_eq!(batch.column("policy_version").unwrap().row_u64(1), [u64::MAX]);
        assert_eq!(batch.column("response_mask").unwrap().row_u8(0), [1, 0, 1]);
        assert!(batch.column("group").is_none() && batch.column("chosen").is_none());
        let names: Vec<&str> = batch.columns().map(|(name, _)| name).collect();
        let expected =
            ["prompt", "response", "response_mask", "rollout_log_probs", "reward", "finish_reason", "policy_version"];
        assert_eq!(names, expected);
    }

    #[test]
    fn text_is_kept_by_row() {
        let mut batch = Batch::new(Kind::Prompts, 3).unwrap();
        batch.set("prompt", Column::texts(&["día", "", "x"])).unwrap();
        batch.check().unwrap();
        let prompt = batch.column("prompt").unwrap();
        assert!(prompt.is_text());
        assert_eq!((prompt.row_text(0), prompt.row_text(1), prompt.row_text(2)), ("día", "", "x"));
        assert_eq!(prompt.offsets.as_deref(), Some(&[0, 4, 4, 5][..]));
    }

    #[test]
    fn rows_of_equal_length_need_no_offsets() {
        let mut batch = Batch::new(Kind::Prompts, 2).unwrap();
        batch.set("prompt", Column::flat(Values::I32(vec![1, 2, 3, 4]))).unwrap();
        assert_eq!(batch.column("prompt").unwrap().row_i32(1), [3, 4]);
        let refused = refusal(&mut batch, "prompt", Column::flat(Values::I32(vec![1, 2, 3])));
        assert_eq!(refused, (Status::Shape, "prompt: 3 values are no equal rows of 2; give 3 offsets".into()));
        for empty in [Values::I32(vec![]), Values::Utf8(vec![])] {
            let refused =
                refusal(&mut Batch::new(Kind::Prompts, u32::MAX.into()).unwrap(), "prompt", Column::flat(empty));
            let message = "prompt: 0 values are no equal rows of 4294967295; give 4294967296 offsets";
            assert_eq!(refused, (Status::Shape, message.into()));
        }
        let refused = refusal(&mut batch, "prompt", ragged(Values::I32(vec![5]), &[0, 0, 1]));
        assert_eq!(
            refused,
            (Status::Data, "prompt: expected at least one token in each row, got none in row 0".into())
        );
    }

    #[test]
    fn wrong_names_and_types_are_refused() {
        let mut batch = rollouts();
        let (status, message) = refusal(&mut batch, "rewrad", Column::flat(Values::F32(vec![0.0, 0.0])));
        assert_eq!(status, Status::InvalidArgument);
        let expected = "rewrad: a batch of rollouts has no such column; it has prompt, response, response_mask, \
                        rollout_log_probs, logits, token_reward, reward, baseline, finish_reason, policy_version, id, group";
        assert_eq!(message, expected);
        assert_eq!(refusal(&mut batch, "split", Column::flat(Values::I32(vec![0, 0]))).0, Status::InvalidArgument);
        let refused = refusal(&mut batch, "reward", Column::flat(Values::I32(vec![0, 0])));
        assert_eq!(refused, (Status::InvalidArgument, "reward: expected values of type f32, got i32".into()));
        let refused = refusal(&mut batch, "response", Column::texts(&["a", "b"]));
        assert_eq!(refused.1, "response: expected values of type i32, got utf8");
        let mut batch = Batch::new(Kind::Demonstrations, 2).unwrap();
        let refused = refusal(&mut batch, "response", Column::flat(Values::F32(vec![0.0, 0.0])));
        assert_eq!(refused.1, "response: expected values of type utf8 or i32, got f32");
        for rows in [0, 1 << 32, u64::MAX] {
            assert_eq!(Batch::new(Kind::Prompts, rows).unwrap_err().status, Status::InvalidArgument);
        }
    }

    #[test]
    fn wrong_offsets_are_refused() {
        let mut batch = rollouts();
        let cases: [(&[u64], &str); 7] = [
            (&[0, 2], "expected 3 offsets, rows + 1, got 2"),
            (&[0, 1, 2, 3], "expected 3 offsets, rows + 1, got 4"),
            (&[], "expected 3 offsets, rows + 1, got 0"),
            (&[1, 2, 3], "expected the first offset to be 0, got 1"),
            (&[0, u64::MAX, 3], "expected offsets that never fall, got 18446744073709551615 and then 3 at row 1"),
            (&[0, 1, 2], "expected the last offset to be 3, the number of values, got 2"),
            (&[0, 1, 4], "expected the last offset to be 3, the number of values, got 4"),
        ];
        for (offsets, expected) in cases {
            let refused = refusal(&mut batch, "prompt", ragged(Values::I32(vec![1, 2, 3]), offsets));
            assert_eq!(refused, (Status::Shape, format!("prompt: {expected}")));
        }
        let refused = refusal(&mut batch, "reward", Column::flat(Values::F32(vec![1.0])));
        assert_eq!(
            refused,
            (Status::Shape, "reward: expected 2 values, one per row, or a multiple of that, got 1".into())
        );
        let refused = refusal(&mut batch, "reward", ragged(Values::F32(vec![1.0, 2.0]), &[0, 1, 2]));
        assert_eq!(
            refused,
            (Status::Shape, "reward: as many values in each row, so no other offsets are expected".into())
        );
    }

    #[test]
    fn wrong_values_are_refused_with_their_place() {
        let mut batch = rollouts();
        let refused = refusal(&mut batch, "prompt", ragged(Values::I32(vec![1, 2, -3]), &[0, 1, 3]));
        let message = "prompt: expected tokens of at least 0, got -3 at position 1 of row 1";
        assert_eq!(refused, (Status::Data, message.into()));
        let refused = refusal(&mut batch, "response", ragged(Values::I32(vec![1, 2, 3]), &[0, 3, 3]));
        assert_eq!(refused.1, "response: expected at least one token in each row, got none in row 1");
        for (number, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
            let refused = refusal(&mut batch, "reward", Column::flat(Values::F32(vec![0.0, number])));
            assert_eq!(refused, (Status::NonFinite, format!("reward: expected finite numbers, got {shown} in row 1")));
        }
        let refused = refusal(&mut batch, "finish_reason", Column::flat(Values::I32(vec![1, 5])));
        assert_eq!(refused.1, "finish_reason: expected whole numbers from 1 to 4, got 5 in row 1");
        let refused = refusal(&mut batch, "response_mask", ragged(Values::U8(vec![1, 2]), &[0, 1, 2]));
        assert_eq!(refused.1, "response_mask: expected whole numbers from 0 to 1, got 2 at position 0 of row 1");
        let mut batch = Batch::new(Kind::Demonstrations, 2).unwrap();
        let refused = refusal(&mut batch, "weight", Column::flat(Values::F32(vec![1.0, -0.5])));
        assert_eq!(refused.1, "weight: expected numbers of at least 0, got -0.5 in row 1");
        let refused = refusal(&mut batch, "split", Column::flat(Values::I32(vec![-1, 0])));
        assert_eq!(refused.1, "split: expected whole numbers from 0 to 1, got -1 in row 0");
        batch.set("prompt", ragged(Values::I32(vec![1]), &[0, 0, 1])).unwrap();
    }

    #[test]
    fn text_is_utf8_in_each_row() {
        let mut batch = Batch::new(Kind::Demonstrations, 2).unwrap();
        let refused = refusal(&mut batch, "response", ragged(Values::Utf8(b"ab\xff".to_vec()), &[0, 1, 3]));
        assert_eq!(
            refused,
            (Status::InvalidText, "response: expected UTF-8, got row 1 with no character at byte 1".into())
        );
        let cut = ragged(Values::Utf8("é".into()), &[0, 1, 2]);
        assert_eq!(refusal(&mut batch, "response", cut).0, Status::InvalidText);
    }

    #[test]
    fn what_concerns_several_columns_is_checked_at_the_end() {
        let batch = Batch::new(Kind::Preferences, 1).unwrap();
        let error = batch.check().unwrap_err();
        assert_eq!(error, Error::data("prompt: required in a batch of preferences, and not set"));

        let mut batch = batch;
        let error = batch.check_control().unwrap_err();
        assert_eq!(error, Error::data("chosen_observation: required in a batch of preferences, and not set"));
        for name in ["chosen_observation", "chosen_action", "rejected_observation", "rejected_action"] {
            batch.set(name, Column::ragged_f32(&[[0.5, -1.0]])).unwrap();
        }
        batch.check_control().unwrap();
        let unread = "chosen_observation: sessions of language models read no such column";
        assert_eq!(batch.check().unwrap_err(), Error::data(unread));
        batch.set("prompt", Column::texts(&["a"])).unwrap();
        let unread = "prompt: sessions of control networks read no such column";
        assert_eq!(batch.check_control().unwrap_err(), Error::data(unread));

        let mut batch = rollouts();
        batch.set("response", Column::ragged_i32(&[vec![4, 5], vec![7]])).unwrap();
        let error = batch.check().unwrap_err();
        let message = "rollout_log_probs: expected 2 values in row 0, one per response token, got 3";
        assert_eq!(error, Error::shape(message));
        batch.set("rollout_log_probs", Column::ragged_f32(&[vec![-1.0, -1.0], vec![-1.0]])).unwrap();
        batch.check().unwrap();

        let mut batch = Batch::new(Kind::Demonstrations, 1).unwrap();
        batch.set("response", Column::texts(&["ab"])).unwrap();
        batch.set("response_mask", Column::ragged_u8(&[[1, 1]])).unwrap();
        let message = "response_mask: needs a response of tokens, and the response is text";
        assert_eq!(batch.check().unwrap_err(), Error::data(message));
        batch.set("prompt", Column::ragged_i32(&[[1]])).unwrap();
        let message = "response: expected type i32, which prompt has, got utf8";
        assert_eq!(batch.check().unwrap_err(), Error::data(message));
    }

    #[test]
    fn logits_have_the_same_width_for_each_response_token() {
        let mut batch = rollouts();
        let logits = |rows: &[Vec<f32>]| Column::ragged_f32(rows);
        batch.set("logits", logits(&[vec![0.5; 6], vec![-1.0; 2]])).unwrap();
        batch.check().unwrap();
        assert_eq!((batch.shape("logits"), batch.shape("rollout_log_probs")), (vec![4, 2], vec![4]));
        assert_eq!((batch.shape("reward"), batch.shape("group")), (vec![2], vec![0]));
        batch.set("logits", logits(&[vec![0.5; 4], vec![-1.0; 4]])).unwrap();
        let message = "logits: expected 6 values in row 0, 2 per response token, got 4";
        assert_eq!(batch.check().unwrap_err(), Error::shape(message));
        batch.set("logits", logits(&[vec![0.5; 6], vec![-1.0; 3]])).unwrap();
        let message = "logits: expected 2 values in row 1, 2 per response token, got 3";
        assert_eq!((batch.check().unwrap_err(), batch.shape("logits")), (Error::shape(message), vec![9]));
        batch.set("logits", logits(&[vec![], vec![]])).unwrap();
        batch.check().unwrap();
    }

    #[test]
    #[should_panic(expected = "a column of i32 was read as f32")]
    fn reading_another_type_is_a_bug() {
        rollouts().column("prompt").unwrap().row_f32(0);
    }
}

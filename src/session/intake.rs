//! From a batch to rows: text is tokenised once, tokens stay as they are, and every row is checked against the policy.
//!
//! A sequence is the prompt's ids followed by the response's ids: never the encoding of the joined text, so a prompt is
//! always a prefix of its sequence.

use super::buffer::Row;
use crate::algorithm::Needs;
use crate::data::{Batch, Column, Kind, Layout, Spec, Values};
use crate::error::{Error, Result};
use crate::model::{FinishReason, Model, Sequence};
use std::collections::BTreeMap;

pub(super) struct Intake<'a> {
    pub model: &'a Model,
    pub batch: &'a Batch,
    /// The end token that text responses get, if any.
    pub end: Option<i32>,
    /// What the method reads.
    pub needs: &'a Needs,
    /// Whether these are demonstrations beside rollouts.
    pub mixed: bool,
}

/// Columns of one number a row that are no number of the method's: what they say stands elsewhere in a row.
const PLACED: [&str; 6] = ["reward", "group", "finish_reason", "policy_version", "split", "id"];

impl Intake<'_> {
    /// All rows of the batch, or the first error with its row and column.
    pub fn rows(&self) -> Result<Vec<Row>> {
        self.batch.check()?;
        self.check_numbers()?;
        let row = |row| self.row(row).map_err(|error| error.within(format!("row {row}")));
        let mut rows: Vec<Row> = (0..self.batch.rows() as usize).map(row).collect::<Result<_>>()?;
        if self.needs.group_size > 0 || self.batch.column("group").is_some() {
            self.group(&mut rows)?;
        }
        Ok(rows)
    }

    /// Refuses numbers that the method does not read, the lack of those that it must have, and another count of them than
    /// it has scores or rewards.
    fn check_numbers(&self) -> Result<()> {
        let rows = self.batch.rows() as usize;
        let lacks = |(name, absent): &&(&str, f32)| absent.is_nan() && self.batch.column(name).is_none();
        if let Some((name, _)) = self.needs.columns.iter().chain(self.needs.token_columns).find(lacks) {
            return Err(Error::data(format!("{name}: the column is missing, and this session's algorithm reads it")));
        }
        for (name, column) in self.numbers() {
            if self.needs.columns.iter().all(|(read, _)| *read != name) {
                return Err(Error::data(format!("{name}: this session's algorithm reads no such column")));
            }
            let (found, scores) = (column.values.len() / rows, self.needs.scores.max(1));
            if found != 1 && found != scores {
                return Err(Error::shape(format!("{name}: expected 1 or {scores} numbers a row, got {found}")));
            }
        }
        match self.batch.column("reward").map(|column| column.values.len() / rows) {
            Some(found) if found != self.needs.rewards => {
                Err(Error::shape(format!("reward: expected {} numbers a row, got {found}", self.needs.rewards)))
            }
            _ => Ok(()),
        }
    }

    /// The row's columns of one number a response token.
    fn token_numbers(
        &self,
        row: usize,
        response: &Sequence,
        without_prompt: bool,
    ) -> Result<BTreeMap<String, Vec<f32>>> {
        let mut found = BTreeMap::new();
        for (name, column) in self.batch.columns().filter(|(_, column)| matches!(column.values, Values::F32(_))) {
            if Spec::of(self.batch.kind(), name).is_none_or(|spec| spec.layout != Layout::Response) {
                continue;
            }
            if name != "rollout_log_probs" && self.needs.token_columns.iter().all(|(read, _)| *read != name) {
                return Err(Error::data(format!("{name}: this session's algorithm reads no such column")));
            }
            let numbers = column.row_f32(row);
            let numbers = if without_prompt { numbers.get(1..).unwrap_or_default() } else { numbers };
            let (expected, found_length) = (response.response_length(), numbers.len());
            if expected != found_length {
                let message = format!("{name}: expected {expected} numbers, one a response token, got {found_length}");
                return Err(Error::shape(message));
            }
            let mut numbers = numbers.to_vec();
            if name == "token_reward" {
                carry_back(&mut numbers, response)?;
            }
            found.insert(name.to_string(), numbers);
        }
        Ok(found)
    }

    /// The columns of numbers of a row, but those with a place of their own.
    fn numbers(&self) -> impl Iterator<Item = (&'static str, &Column)> {
        let of_rows = |name: &str| {
            Spec::of(self.batch.kind(), name).is_some_and(|spec| matches!(spec.layout, Layout::Row | Layout::Numbers))
        };
        self.batch.columns().filter(move |(name, _)| of_rows(name) && !PLACED.contains(name))
    }

    /// Joins rows of one `group`, or where the batch has none, of one prompt; each gets at least as many rows as the
    /// method wants or the batch is refused.
    fn group(&self, rows: &mut [Row]) -> Result<()> {
        let fewest = self.needs.group_size;
        let mut members: BTreeMap<(u64, &[i32]), Vec<usize>> = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            let sequence = &row.sequences[0];
            let key = match self.batch.column("group") {
                Some(column) => (column.row_u64(index)[0], &[] as &[i32]),
                None => (0, &sequence.tokens[..sequence.prompt_length]),
            };
            members.entry(key).or_default().push(index);
        }
        let groups: Vec<Vec<usize>> = members.into_values().collect();
        if let Some(small) = groups.iter().find(|group| group.len() < fewest) {
            let message = format!(
                "row {}: group: expected at least {fewest} responses to a prompt in one batch, got {}",
                small[0],
                small.len()
            );
            return Err(Error::data(message));
        }
        if let Some(group) =
            groups.iter().find(|group| group.iter().any(|row| rows[*row].evaluation != rows[group[0]].evaluation))
        {
            let message = format!("row {}: split: expected one for all rows of a group, got both", group[0]);
            return Err(Error::data(message));
        }
        let prompt = |row: usize| &rows[row].sequences[0].tokens[..rows[row].sequences[0].prompt_length];
        for group in &groups {
            if let Some(other) = group.iter().find(|row| prompt(**row) != prompt(group[0])) {
                let message =
                    format!("row {other}: group: expected the prompt of row {}, which has the same number", group[0]);
                return Err(Error::data(message));
            }
        }
        for group in groups {
            group.iter().for_each(|index| rows[*index].group = group[0] as u64);
        }
        Ok(())
    }

    /// The prompts of the batch, encoded.
    pub fn prompts(&self) -> Result<Vec<Vec<i32>>> {
        self.batch.check()?;
        let prompt = |row| self.prompt(row).map_err(|error: Error| error.within(format!("row {row}")));
        (0..self.batch.rows() as usize).map(prompt).collect()
    }

    fn row(&self, row: usize) -> Result<Row> {
        let prompt = self.prompt(row)?;
        let names: &[&str] = match self.batch.kind() {
            Kind::Preferences => &["chosen", "rejected"],
            _ => &["response"],
        };
        let sequences = names.iter().map(|name| self.sequence(&prompt, name, row)).collect::<Result<Vec<_>>>()?;
        let numbers = self.numbers().map(|(name, column)| (name.to_string(), numbers(column, row))).collect();
        let whole = |name: &str| self.batch.column(name).map(|column| column.row_i32(row)[0]);
        let tokens = self.token_numbers(row, &sequences[0], prompt.is_empty())?;
        if sequences[0].counted() == 0 {
            return Err(Error::data("response_mask: expected a token that counts, got none"));
        }
        let finished = self.finished(row, &sequences[0]);
        Ok(Row {
            id: 0,
            sequences,
            evaluation: whole("split") == Some(1),
            mixed: self.mixed,
            numbers,
            reward: self.reward(row),
            group: row as u64,
            tokens,
            policy_version: self.batch.column("policy_version").map(|column| column.row_u64(row)[0]),
            finished,
            passes: 0,
        })
    }

    /// The row's rewards; where tokens have theirs, the whole response need not have one.
    fn reward(&self, row: usize) -> Option<Vec<f32>> {
        let of_tokens = || self.batch.column("token_reward").map(|_| vec![0.0; self.needs.rewards]);
        self.batch.column("reward").map(|column| column.row_f32(row).to_vec()).or_else(of_tokens)
    }

    fn prompt(&self, row: usize) -> Result<Vec<i32>> {
        match self.batch.column("prompt") {
            Some(column) => self.tokens(column, "prompt", row, true),
            None => Ok(Vec::new()),
        }
    }

    fn sequence(&self, prompt: &[i32], name: &str, row: usize) -> Result<Sequence> {
        let column = self.batch.column(name).ok_or_else(|| Error::data(format!("{name}: the column is missing")))?;
        let mut response = self.tokens(column, name, row, prompt.is_empty())?;
        if column.is_text() {
            response.extend(self.end.filter(|end| response.last() != Some(end)));
        }
        let mut tokens = prompt.to_vec();
        tokens.extend(&response);
        let prompt_length = prompt.len().max(1);
        if tokens.len() <= prompt_length {
            return Err(Error::data(format!(
                "{name}: expected at least one response token after the prompt, got none"
            )));
        }
        let positions = self.model.architecture().positions as usize;
        if tokens.len() > positions {
            let message = format!("{name}: expected at most {positions} tokens with its prompt, got {}", tokens.len());
            return Err(Error::data(message));
        }
        let mask = self.mask(row, tokens.len() - prompt_length, prompt.is_empty())?;
        Ok(Sequence { tokens, prompt_length, mask })
    }

    /// The row's response mask; without a prompt the first token has nothing before it and cannot be predicted.
    fn mask(&self, row: usize, length: usize, without_prompt: bool) -> Result<Option<Vec<bool>>> {
        let Some(column) = self.batch.column("response_mask") else { return Ok(None) };
        let flags = column.row_u8(row);
        let flags = if without_prompt { flags.get(1..).unwrap_or_default() } else { flags };
        if flags.len() != length {
            let message = format!("response_mask: expected {length} flags, one a response token, got {}", flags.len());
            return Err(Error::shape(message));
        }
        Ok(Some(flags.iter().map(|flag| *flag != 0).collect()))
    }

    fn tokens(&self, column: &Column, name: &str, row: usize, start: bool) -> Result<Vec<i32>> {
        let tokens = if column.is_text() {
            let tokenizer = self.model.tokenizer().ok_or_else(|| {
                Error::state(format!("{name}: expected tokens, got text, and the policy has no tokenizer"))
            })?;
            tokenizer.encode(column.row_text(row), start)?
        } else {
            column.row_i32(row).to_vec()
        };
        let vocabulary = self.model.architecture().vocabulary as usize;
        match tokens.iter().find(|token| **token < 0 || **token as usize >= vocabulary) {
            Some(token) => {
                Err(Error::data(format!("{name}: expected tokens of a vocabulary of {vocabulary}, got {token}")))
            }
            None => Ok(tokens),
        }
    }

    fn finished(&self, row: usize, response: &Sequence) -> bool {
        match self.batch.column("finish_reason") {
            Some(column) => [FinishReason::Eos as i32, FinishReason::Stop as i32].contains(&column.row_i32(row)[0]),
            None => response.tokens.last().is_some_and(|last| self.model.end_tokens().contains(last)),
        }
    }
}

/// A row of numbers, whole ones too.
fn numbers(column: &Column, row: usize) -> Vec<f32> {
    match &column.values {
        Values::F32(values) => values[column.span(row)].to_vec(),
        Values::I32(values) => values[column.span(row)].iter().map(|whole| *whole as f32).collect(),
        other => panic!("a column of {} was read as numbers", other.kind().name()),
    }
}

/// Moves the reward of each token that does not count to the last one before it that does.
fn carry_back(rewards: &mut [f32], response: &Sequence) -> Result<()> {
    let mut carried = 0.0;
    for token in (0..rewards.len()).rev() {
        carried += rewards[token];
        rewards[token] = 0.0;
        if response.counts(token) {
            rewards[token] = std::mem::take(&mut carried);
        }
    }
    if rewards.iter().any(|reward| !reward.is_finite()) {
        return Err(Error::data("token_reward: expected rewards whose sum over tokens that do not count is a number"));
    }
    match carried == 0.0 {
        true => Ok(()),
        false => {
            Err(Error::data("token_reward: expected a counted token before each reward, got none before the first"))
        }
    }
}

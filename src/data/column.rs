//! The values of one column and the rows in them.
//!
//! A column given by hand may be anything; one that a [`Batch`](super::Batch) accepted satisfies its entry in the table,
//! and ragged ones then always carry their offsets. The row accessors are for accepted columns.

use super::spec::{Layout, Rule, Spec};
use super::Type;
use crate::error::{Error, Result, Status};
use std::ops::Range;

/// The values of a column, of one type, row after row.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    I32(Vec<i32>),
    I64(Vec<i64>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    U8(Vec<u8>),
    /// Bytes of text.
    Utf8(Vec<u8>),
}

impl Values {
    /// The type of the values.
    pub fn kind(&self) -> Type {
        match self {
            Values::I32(_) => Type::I32,
            Values::I64(_) => Type::I64,
            Values::U64(_) => Type::U64,
            Values::F32(_) => Type::F32,
            Values::U8(_) => Type::U8,
            Values::Utf8(_) => Type::Utf8,
        }
    }

    /// How many values there are; of text, bytes.
    pub fn len(&self) -> usize {
        match self {
            Values::I32(values) => values.len(),
            Values::I64(values) => values.len(),
            Values::U64(values) => values.len(),
            Values::F32(values) => values.len(),
            Values::U8(values) | Values::Utf8(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn show(&self, position: usize) -> String {
        match self {
            Values::I32(values) => values[position].to_string(),
            Values::I64(values) => values[position].to_string(),
            Values::U64(values) => values[position].to_string(),
            Values::F32(values) => values[position].to_string(),
            Values::U8(values) | Values::Utf8(values) => values[position].to_string(),
        }
    }
}

/// Values and, where rows differ in length, where each row begins: row `i` is `offsets[i]..offsets[i + 1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub values: Values,
    pub offsets: Option<Vec<u64>>,
}

impl Column {
    /// One value per row.
    pub fn flat(values: Values) -> Column {
        Column { values, offsets: None }
    }

    /// Rows of tokens.
    pub fn ragged_i32<R: AsRef<[i32]>>(rows: &[R]) -> Column {
        let values = rows.iter().flat_map(|row| row.as_ref()).copied().collect();
        Column { values: Values::I32(values), offsets: Some(offsets(rows.iter().map(|row| row.as_ref().len()))) }
    }

    /// Rows of numbers.
    pub fn ragged_f32<R: AsRef<[f32]>>(rows: &[R]) -> Column {
        let values = rows.iter().flat_map(|row| row.as_ref()).copied().collect();
        Column { values: Values::F32(values), offsets: Some(offsets(rows.iter().map(|row| row.as_ref().len()))) }
    }

    /// Rows of flags.
    pub fn ragged_u8<R: AsRef<[u8]>>(rows: &[R]) -> Column {
        let values = rows.iter().flat_map(|row| row.as_ref()).copied().collect();
        Column { values: Values::U8(values), offsets: Some(offsets(rows.iter().map(|row| row.as_ref().len()))) }
    }

    /// Rows of text.
    pub fn texts<R: AsRef<str>>(rows: &[R]) -> Column {
        let values = rows.iter().flat_map(|row| row.as_ref().bytes()).collect();
        Column { values: Values::Utf8(values), offsets: Some(offsets(rows.iter().map(|row| row.as_ref().len()))) }
    }

    /// Whether it holds text rather than tokens or numbers.
    pub fn is_text(&self) -> bool {
        self.values.kind() == Type::Utf8
    }

    /// The positions of a row's values.
    pub fn span(&self, row: usize) -> Range<usize> {
        match &self.offsets {
            Some(offsets) => offsets[row] as usize..offsets[row + 1] as usize,
            None => row..row + 1,
        }
    }

    /// A row of tokens or codes. Panics on another type or beyond the last row, like the accessors below.
    pub fn row_i32(&self, row: usize) -> &[i32] {
        match &self.values {
            Values::I32(values) => &values[self.span(row)],
            other => misread(Type::I32, other),
        }
    }

    /// A row of numbers.
    pub fn row_f32(&self, row: usize) -> &[f32] {
        match &self.values {
            Values::F32(values) => &values[self.span(row)],
            other => misread(Type::F32, other),
        }
    }

    /// A row of 64-bit counts.
    pub fn row_u64(&self, row: usize) -> &[u64] {
        match &self.values {
            Values::U64(values) => &values[self.span(row)],
            other => misread(Type::U64, other),
        }
    }

    /// A row of flags.
    pub fn row_u8(&self, row: usize) -> &[u8] {
        match &self.values {
            Values::U8(values) => &values[self.span(row)],
            other => misread(Type::U8, other),
        }
    }

    /// A row of text.
    pub fn row_text(&self, row: usize) -> &str {
        match &self.values {
            Values::Utf8(values) => match std::str::from_utf8(&values[self.span(row)]) {
                Ok(text) => text,
                Err(error) => panic!("row {row} of a text column is not UTF-8: {error}"),
            },
            other => misread(Type::Utf8, other),
        }
    }

    /// The column as a batch of so many rows keeps it, if it satisfies its entry; messages begin without its name.
    pub(super) fn accept(mut self, spec: &Spec, rows: usize) -> Result<Column> {
        self.offsets = match spec.layout {
            Layout::Row => self.one_per_row(rows)?,
            Layout::Numbers => self.as_many_per_row(rows)?,
            Layout::Ragged | Layout::Response | Layout::Vectors => Some(self.boundaries(rows)?),
        };
        if let Values::F32(values) = &self.values {
            if let Some(position) = values.iter().position(|value| !value.is_finite()) {
                return Err(Error::new(Status::NonFinite, self.unlike("finite numbers", position)));
            }
        }
        if let Some(position) = spec.rule.offender(&self.values) {
            return Err(Error::data(self.unlike(&spec.rule.words(), position)));
        }
        match spec.rule {
            Rule::Text if !self.is_text() => self.filled(rows)?,
            _ => self.written(rows)?,
        }
        Ok(self)
    }

    fn one_per_row(&self, rows: usize) -> Result<Option<Vec<u64>>> {
        if self.offsets.is_some() {
            return Err(Error::shape("one value per row, so no offsets are expected"));
        }
        match self.values.len() == rows {
            true => Ok(None),
            false => Err(Error::shape(format!("expected {rows} values, one per row, got {}", self.values.len()))),
        }
    }

    /// None for one value per row, or the offsets of rows of equal length.
    fn as_many_per_row(&self, rows: usize) -> Result<Option<Vec<u64>>> {
        let count = self.values.len();
        if let Some(offsets) = &self.offsets {
            let width = count / rows;
            let equal = offsets.len() == rows + 1 && (0..).zip(offsets).all(|(row, at)| *at == row * width as u64);
            return match equal && width > 1 {
                true => Ok(self.offsets.clone()),
                false => Err(Error::shape("as many values in each row, so no other offsets are expected")),
            };
        }
        match count {
            count if count == rows => Ok(None),
            count if count > rows && count.is_multiple_of(rows) => equal_rows(count / rows, rows).map(Some),
            _ => Err(Error::shape(format!("expected {rows} values, one per row, or a multiple of that, got {count}"))),
        }
    }

    /// The offsets that were given, checked, or those of rows of equal length.
    fn boundaries(&mut self, rows: usize) -> Result<Vec<u64>> {
        let count = self.values.len();
        let Some(offsets) = self.offsets.take() else {
            return match count >= rows && count.is_multiple_of(rows) {
                true => equal_rows(count / rows, rows),
                false => {
                    Err(Error::shape(format!("{count} values are no equal rows of {rows}; give {} offsets", rows + 1)))
                }
            };
        };
        if offsets.len() != rows + 1 {
            return Err(Error::shape(format!("expected {} offsets, rows + 1, got {}", rows + 1, offsets.len())));
        }
        if offsets[0] != 0 {
            return Err(Error::shape(format!("expected the first offset to be 0, got {}", offsets[0])));
        }
        if let Some(row) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
            let (from, to) = (offsets[row], offsets[row + 1]);
            return Err(Error::shape(format!(
                "expected offsets that never fall, got {from} and then {to} at row {row}"
            )));
        }
        match offsets[rows] == count as u64 {
            true => Ok(offsets),
            false => Err(Error::shape(format!(
                "expected the last offset to be {count}, the number of values, got {}",
                offsets[rows]
            ))),
        }
    }

    fn filled(&self, rows: usize) -> Result<()> {
        match (0..rows).find(|row| self.span(*row).is_empty()) {
            None => Ok(()),
            Some(row) => Err(Error::data(format!("expected at least one token in each row, got none in row {row}"))),
        }
    }

    fn written(&self, rows: usize) -> Result<()> {
        let Values::Utf8(bytes) = &self.values else { return Ok(()) };
        for row in 0..rows {
            if let Err(error) = std::str::from_utf8(&bytes[self.span(row)]) {
                let message =
                    format!("expected UTF-8, got row {row} with no character at byte {}", error.valid_up_to());
                return Err(Error::new(Status::InvalidText, message));
            }
        }
        Ok(())
    }

    fn unlike(&self, expected: &str, position: usize) -> String {
        let found = self.values.show(position);
        match &self.offsets {
            None => format!("expected {expected}, got {found} in row {position}"),
            Some(offsets) => {
                let row = offsets.partition_point(|start| *start <= position as u64) - 1;
                format!(
                    "expected {expected}, got {found} at position {} of row {row}",
                    position - offsets[row] as usize
                )
            }
        }
    }
}

/// Where rows of one length begin. Their number is the host's, so memory that is not there is an error.
fn equal_rows(length: usize, rows: usize) -> Result<Vec<u64>> {
    let mut offsets = Vec::new();
    offsets.try_reserve_exact(rows + 1).map_err(|_| {
        Error::new(Status::OutOfMemory, format!("no memory for the {} offsets of {rows} rows", rows + 1))
    })?;
    offsets.extend((0..=rows as u64).map(|row| row * length as u64));
    Ok(offsets)
}

/// Where rows of the given lengths begin, and where the last one ends.
fn offsets(lengths: impl Iterator<Item = usize>) -> Vec<u64> {
    let mut offsets = vec![0];
    let mut end = 0;
    for length in lengths {
        end += length as u64;
        offsets.push(end);
    }
    offsets
}

fn misread(wanted: Type, found: &Values) -> ! {
    panic!("a column of {} was read as {}", found.kind().name(), wanted.name())
}

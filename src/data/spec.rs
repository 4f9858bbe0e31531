//! What an entry of the table of columns says: who has the column, how its values lie, what may stand in them.

use super::table::COLUMNS;
use super::{Kind, Type, Values};

/// One column that a batch may have.
pub struct Spec {
    pub name: &'static str,
    /// The kinds of batch that have it, and which sessions' batches of that kind must.
    pub kinds: &'static [(Kind, Need)],
    /// The types it may be given in.
    pub types: &'static [Type],
    pub layout: Layout,
    pub rule: Rule,
    pub meaning: &'static str,
}

/// Which sessions require a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// None: it may be absent.
    Nobody,
    /// Those of language models, whose rows are text.
    Language,
    /// Those of control networks, whose rows are observations and actions.
    Control,
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
    /// Ragged, with as many values for each token of `response`.
    Vectors,
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

    /// Which sessions require it in a batch of a kind.
    pub fn need(&self, kind: Kind) -> Need {
        self.kinds.iter().find(|(has, _)| *has == kind).map_or(Need::Nobody, |(_, need)| *need)
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

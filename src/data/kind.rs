//! The kinds of batches and the types of values, with the numbers by which the C ABI names them.

use crate::error::{Error, Result};

/// What the rows of a batch are. The numbers are part of the ABI: append, never reuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Kind {
    Prompts = 1,
    Demonstrations = 2,
    Preferences = 3,
    Rollouts = 4,
    Feedback = 5,
    Rankings = 6,
}

/// What a column holds. The numbers are part of the ABI: append, never reuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Type {
    I32 = 1,
    I64 = 2,
    U64 = 3,
    F32 = 4,
    U8 = 5,
    Utf8 = 6,
}

impl Kind {
    /// Every kind, for tables and tests.
    pub const ALL: [Kind; 6] =
        [Kind::Prompts, Kind::Demonstrations, Kind::Preferences, Kind::Rollouts, Kind::Feedback, Kind::Rankings];

    /// The name in messages and in the schema.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Prompts => "prompts",
            Kind::Demonstrations => "demonstrations",
            Kind::Preferences => "preferences",
            Kind::Rollouts => "rollouts",
            Kind::Feedback => "feedback",
            Kind::Rankings => "rankings",
        }
    }
}

impl Type {
    /// Every type, for tables and tests.
    pub const ALL: [Type; 6] = [Type::I32, Type::I64, Type::U64, Type::F32, Type::U8, Type::Utf8];

    /// The name in messages and in the schema.
    pub fn name(self) -> &'static str {
        match self {
            Type::I32 => "i32",
            Type::I64 => "i64",
            Type::U64 => "u64",
            Type::F32 => "f32",
            Type::U8 => "u8",
            Type::Utf8 => "utf8",
        }
    }
}

impl TryFrom<i32> for Kind {
    type Error = Error;

    fn try_from(code: i32) -> Result<Kind> {
        let kind = Kind::ALL.into_iter().find(|kind| *kind as i32 == code);
        kind.ok_or_else(|| Error::argument(format!("kind: expected a kind of batch, 1 to 6, got {code}")))
    }
}

impl TryFrom<i32> for Type {
    type Error = Error;

    fn try_from(code: i32) -> Result<Type> {
        let kind = Type::ALL.into_iter().find(|kind| *kind as i32 == code);
        kind.ok_or_else(|| Error::argument(format!("type: expected a type of values, 1 to 6, got {code}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Status;

    #[test]
    fn a_code_is_a_known_one_or_refused() {
        for (code, kind) in (1..).zip(Kind::ALL) {
            assert_eq!(Kind::try_from(code), Ok(kind));
        }
        for (code, kind) in (1..).zip(Type::ALL) {
            assert_eq!(Type::try_from(code), Ok(kind));
        }
        for code in [0, -1, 7, i32::MAX] {
            assert_eq!(Type::try_from(code).unwrap_err().status, Status::InvalidArgument);
        }
        assert_eq!(Kind::try_from(7).unwrap_err().message, "kind: expected a kind of batch, 1 to 6, got 7");
    }
}

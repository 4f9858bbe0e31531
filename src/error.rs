//! What can go wrong, one variant per thing a host can act on.
//!
//! An [`Error`] is a status of the C ABI and one sentence that names the argument, what was expected, what was found,
//! and the fix where there is one. Every room returns it; the boundary hands it to the host unchanged.

use std::any::Any;
use std::fmt;

/// The status of a failed call. The values are part of the ABI: append, never reuse (abi decades: -1xx arguments and
/// handles, -2xx configuration, -3xx numbers, -4xx device and memory, -5xx files, -6xx data, -9xx internal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Status {
    /// No error but a state: a bounded queue is full, and what came was counted and refused.
    Full = 4,
    InvalidArgument = -100,
    InvalidHandle = -101,
    NullPointer = -102,
    InvalidText = -103,
    Capacity = -104,
    Concurrent = -105,
    InUse = -106,
    State = -107,
    Version = -108,
    Cancelled = -109,
    Timeout = -110,
    Unsupported = -111,
    Config = -200,
    NonFinite = -300,
    Shape = -301,
    Device = -400,
    OutOfMemory = -401,
    File = -500,
    Format = -501,
    Data = -600,
    Internal = -900,
    Panic = -901,
    Poisoned = -902,
    Callback = -903,
}

impl Status {
    /// Every error, for tables and tests.
    pub const ALL: [Status; 24] = [
        Status::InvalidArgument,
        Status::InvalidHandle,
        Status::NullPointer,
        Status::InvalidText,
        Status::Capacity,
        Status::Concurrent,
        Status::InUse,
        Status::State,
        Status::Version,
        Status::Cancelled,
        Status::Timeout,
        Status::Unsupported,
        Status::Config,
        Status::NonFinite,
        Status::Shape,
        Status::Device,
        Status::OutOfMemory,
        Status::File,
        Status::Format,
        Status::Data,
        Status::Internal,
        Status::Panic,
        Status::Poisoned,
        Status::Callback,
    ];
}

/// A status and the sentence that explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub status: Status,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Error { status, message: message.into() }
    }

    pub fn argument(message: impl Into<String>) -> Self {
        Error::new(Status::InvalidArgument, message)
    }

    pub fn config(message: impl Into<String>) -> Self {
        Error::new(Status::Config, message)
    }

    pub fn shape(message: impl Into<String>) -> Self {
        Error::new(Status::Shape, message)
    }

    pub fn file(path: &std::path::Path, message: impl fmt::Display) -> Self {
        Error::new(Status::File, format!("{}: {message}", path.display()))
    }

    pub fn format(path: &std::path::Path, message: impl fmt::Display) -> Self {
        Error::new(Status::Format, format!("{}: {message}", path.display()))
    }

    pub fn data(message: impl Into<String>) -> Self {
        Error::new(Status::Data, message)
    }

    pub fn state(message: impl Into<String>) -> Self {
        Error::new(Status::State, message)
    }

    /// What a caught panic says: out of memory where an allocator of libtorch gave up, else `Panic`.
    pub fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let text =
            payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
        Error::of_libtorch(text.unwrap_or("a panic without a message"), Status::Panic)
    }

    /// The first sentence of what libtorch says, which may be that memory ran out.
    fn of_libtorch(text: &str, otherwise: Status) -> Self {
        let sentence = text.split("\nException raised").next().unwrap_or_default().trim();
        let memory = sentence.contains("out of memory") || sentence.contains("DefaultCPUAllocator");
        Error::new(if memory { Status::OutOfMemory } else { otherwise }, sentence)
    }

    /// The same error, its sentence preceded by where it happened.
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        match &error {
            tch::TchError::Torch(text) => Error::of_libtorch(text, Status::Internal),
            other => Error::of_libtorch(&other.to_string(), Status::Internal),
        }
    }
}

//! One error type for the crate: every message says what was wrong with what.

use crate::{dtype::DType, shape::Shape};

/// `Result` with Votive's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong. Bad input is always an error, never a panic.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation was called with shapes that do not fit; the message names them.
    #[error("{op}: {message}")]
    Shape {
        /// The operation, as the user wrote it (`matmul`, `cat` …).
        op: &'static str,
        /// Shapes and what differs.
        message: String,
    },
    /// An operation was called with a dtype it does not take.
    #[error("{op}: {message}")]
    DType {
        /// The operation.
        op: &'static str,
        /// Dtypes given and wanted.
        message: String,
    },
    /// An argument other than a shape or dtype is out of range.
    #[error("{op}: {message}")]
    Argument {
        /// The operation or function.
        op: &'static str,
        /// Which argument, its value, and what is allowed.
        message: String,
    },
    /// Tensors live on different devices, or a device lacks something.
    #[error("{op}: {message}")]
    Device {
        /// The operation.
        op: &'static str,
        /// Devices involved, and the feature to turn on where that helps.
        message: String,
    },
    /// A file is not what it claims to be.
    #[error("{file}: {message}")]
    Format {
        /// File name as given by the user.
        file: String,
        /// What was wrong, with offsets and names.
        message: String,
    },
    /// A weight is missing or has an unexpected shape or dtype.
    #[error("weight {name:?}: {message}")]
    Weight {
        /// The name looked up.
        name: String,
        /// What was expected and found.
        message: String,
    },
    /// A model architecture, tokenizer or option that this build cannot run.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// Text could not be encoded, decoded or rendered.
    #[error("text: {0}")]
    Text(String),
    /// Memory could not be had.
    #[error("out of memory: {what} needs {bytes} bytes")]
    OutOfMemory {
        /// What the memory was for.
        what: String,
        /// How much was asked for.
        bytes: u64,
    },
    /// The GPU went away (unplugged, reset by its driver, or too long at work): its tensors are gone; open the device again
    /// and load the model from its cache.
    #[error("the GPU was lost: {0}")]
    DeviceLost(String),
    /// The caller asked to stop.
    #[error("aborted")]
    Aborted,
    /// Reading or writing a file failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A download failed.
    #[error("{url}: {message}")]
    Http {
        /// The address asked for.
        url: String,
        /// HTTP status when there was an answer.
        status: Option<u16>,
        /// What went wrong.
        message: String,
    },
}

impl Error {
    /// A shape error of operation `op`.
    pub fn shape(op: &'static str, message: impl Into<String>) -> Self {
        Self::Shape { op, message: message.into() }
    }
    /// A dtype error of operation `op`.
    pub fn dtype(op: &'static str, message: impl Into<String>) -> Self {
        Self::DType { op, message: message.into() }
    }
    /// An argument error of operation `op`.
    pub fn argument(op: &'static str, message: impl Into<String>) -> Self {
        Self::Argument { op, message: message.into() }
    }
    /// A file-format error.
    pub fn format(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Format { file: file.into(), message: message.into() }
    }
    /// A weight error.
    pub fn weight(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Weight { name: name.into(), message: message.into() }
    }
    /// Two operands whose shapes cannot be combined.
    pub fn shapes(op: &'static str, a: &Shape, b: &Shape, why: impl std::fmt::Display) -> Self {
        Self::shape(op, format!("{a} x {b}: {why}"))
    }
    /// Operands of different dtypes where one was expected.
    pub fn dtypes(op: &'static str, a: DType, b: DType) -> Self {
        Self::dtype(op, format!("dtypes {a} and {b} differ; cast one with to_dtype"))
    }
    /// A stable, short name of the kind of error, for programs (the JS package maps it to a class).
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Shape { .. } => "shape",
            Self::DType { .. } => "dtype",
            Self::Argument { .. } => "argument",
            Self::Device { .. } => "device",
            Self::Format { .. } => "format",
            Self::Weight { .. } => "weight",
            Self::Unsupported(_) => "unsupported",
            Self::Text(_) => "text",
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::DeviceLost(_) => "device-lost",
            Self::Aborted => "aborted",
            Self::Io { .. } => "io",
            Self::Http { .. } => "http",
        }
    }
}

//! Errors of a head: [`HeadError`] is the peer's, [`FieldError`] is the caller's.

use alloc::string::String;
use core::fmt;

/// Why received bytes are not the head of an HTTP/1.1 message, or exceed a limit of the [`Config`](crate::Config).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// It breaks the syntax of HTTP/1.1. A server answers 400.
    Malformed(Malformed),
    /// A version of HTTP other than 1.1. A server answers 505.
    Version,
    /// The request line or status line is longer than [`max_line_len`](crate::Config::max_line_len). A server answers
    /// 414.
    StartLineTooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// A field line is longer than [`max_line_len`](crate::Config::max_line_len). A server answers 431.
    FieldTooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// The head is longer than [`max_head_len`](crate::Config::max_head_len). A server answers 431.
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// The head has more field lines than [`max_headers`](crate::Config::max_headers). A server answers 431.
    TooManyFields {
        /// The limit, in field lines.
        max: usize,
    },
}

/// The rule of HTTP that the bytes of a head break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// The first byte cannot begin a method or `HTTP/1.1`. A TLS greeting is an example.
    FirstByte,
    /// A NUL or another control character.
    ControlCharacter,
    /// A CR without its LF (RFC 9112 §2.2).
    BareCr,
    /// An LF without its CR, which this crate does not accept as the end of a line (RFC 9112 §2.2).
    BareLf,
    /// A line that begins with white space (RFC 9112 §5.2).
    Folding,
    /// The request line or status line breaks its grammar (RFC 9112 §3, §4).
    StartLine,
    /// A field name that is not a token, such as one with white space before the colon (RFC 9112 §5.1).
    FieldName,
    /// A field value with a byte that no value may have (RFC 9110 §5.5).
    FieldValue,
    /// A Content-Length that is not a number, or several (RFC 9112 §6.3).
    ContentLength,
    /// A field that HTTP/2 and HTTP/3 do not have, such as Upgrade (RFC 9113 §8.2.2).
    ConnectionSpecific,
}

/// Why a header field that you passed cannot be written. Each variant has the name of the field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldError {
    /// The name is not a token (RFC 9110 §5.1); over HTTP/2 and HTTP/3 also when it is not in lower case (RFC 9113
    /// §8.2.1).
    Name(String),
    /// The value has a CR, an LF or another control character (RFC 9110 §5.5).
    Value(String),
    /// The handshake writes this field itself. The name is in lower case.
    Managed(&'static str),
    /// HTTP/2 and HTTP/3 do not have this field (RFC 9113 §8.2.2).
    ConnectionSpecific(String),
}

impl HeadError {
    /// The status of the answer that a server sends: 400, 414, 431 or 505.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::StartLineTooLong { .. } => 414,
            Self::FieldTooLong { .. } | Self::TooLong { .. } | Self::TooManyFields { .. } => 431,
            Self::Version => 505,
        }
    }

    /// The text for the peer, which is not told the limits.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(malformed) => malformed.reason(),
            Self::Version => "only HTTP/1.1 is supported",
            Self::StartLineTooLong { .. } => "request line or status line too long",
            Self::FieldTooLong { .. } => "header field too long",
            Self::TooLong { .. } => "header section too long",
            Self::TooManyFields { .. } => "too many header fields",
        }
    }
}

impl Malformed {
    const fn reason(self) -> &'static str {
        match self {
            Self::FirstByte => "not HTTP/1.1",
            Self::ControlCharacter => "control character in the header section",
            Self::BareCr => "CR without LF",
            Self::BareLf => "LF without CR",
            Self::Folding => "line begins with white space",
            Self::StartLine => "malformed request line or status line",
            Self::FieldName => "malformed header field name",
            Self::FieldValue => "malformed header field value",
            Self::ContentLength => "malformed Content-Length",
            Self::ConnectionSpecific => "a connection-specific field, which HTTP/2 and HTTP/3 do not have",
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())?;
        match self {
            Self::Malformed(_) | Self::Version => Ok(()),
            Self::StartLineTooLong { max } | Self::FieldTooLong { max } => {
                write!(f, ": at most {max} bytes are allowed (`Config::max_line_len`)")
            }
            Self::TooLong { max } => write!(f, ": at most {max} bytes are allowed (`Config::max_head_len`)"),
            Self::TooManyFields { max } => write!(f, ": at most {max} are allowed (`Config::max_headers`)"),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name:?} is not a valid header field name"),
            Self::Value(name) => write!(f, "the value of the header field {name:?} has a control character"),
            Self::Managed(name) => write!(f, "the handshake writes the header field {name:?} itself: leave it out"),
            Self::ConnectionSpecific(name) => {
                write!(f, "HTTP/2 and HTTP/3 do not have the header field {name:?}: leave it out")
            }
        }
    }
}

impl From<Malformed> for HeadError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl core::error::Error for HeadError {}
impl core::error::Error for Malformed {}
impl core::error::Error for FieldError {}

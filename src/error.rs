//! Whose fault it was: [`Error`] is the peer's or the network's and ends the connection; [`SendError`] is the caller's,
//! and nothing was sent or changed.

use core::fmt;

use crate::close_code::CloseCode;

/// Why a connection failed (RFC 6455 §7.1.7). Terminal: the Close frame that tells the peer, if any, is in `out`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke a rule of the protocol. Close code 1002.
    Protocol(Violation),
    /// Text, or the reason of a Close, that is not UTF-8 (§8.1). Close code 1007.
    InvalidUtf8,
    /// A compressed message that is no DEFLATE data (RFC 7692 §7.2.2). Close code 1007.
    InvalidDeflate,
    /// A frame or a message longer than the limit. Close code 1009.
    TooBig,
    /// A message of more fragments than the limit. Close code 1009.
    TooManyFragments,
    /// The transport ended without the peer's Close (§7.1.5: 1006). Nothing is sent.
    ConnectionLost,
    /// Silence after a keepalive Ping, for the keepalive's timeout. Close code 1011.
    KeepaliveTimeout,
    /// No data frame in either direction for the idle timeout. Close code 1001.
    IdleTimeout,
    /// The peer's Close did not come in time after ours. Nothing more is sent.
    CloseTimeout,
    /// Output waited, and the transport accepted none of it for the stall timeout. Nothing more is sent.
    StallTimeout,
    /// The connection ended before all output was written; [`CloseInfo::unwritten`](crate::CloseInfo::unwritten) counts
    /// it.
    Unwritten,
    /// The application called [`fail`](crate::Connection::fail) with this code.
    Failed(CloseCode),
}

/// A rule that the peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A reserved bit that no negotiated extension gives a meaning, or not on this frame (§5.2).
    ReservedBit,
    /// Opcodes 3 to 7 and 11 to 15 (§5.2).
    ReservedOpcode,
    /// A control frame without FIN (§5.5).
    FragmentedControl,
    /// A control frame of more than 125 bytes (§5.5).
    LongControl,
    /// A client's frame that is not masked (§5.1).
    Unmasked,
    /// A server's frame that is masked (§5.1).
    Masked,
    /// A length in more bytes than it needs, or with its highest bit set (§5.2).
    LengthEncoding,
    /// A continuation frame while no message is open (§5.4).
    UnexpectedContinuation,
    /// A new message inside a fragmented one (§5.4).
    ExpectedContinuation,
    /// A Close frame with a body of one byte (§5.5.1).
    CloseBody,
    /// A Close frame with a code that must not be on the wire (§7.4).
    CloseCode,
}

impl Error {
    /// The code of the Close frame that this failure sends; `None` when it sends none.
    #[must_use]
    pub const fn close_code(self) -> Option<CloseCode> {
        match self {
            Self::Protocol(_) => Some(CloseCode::PROTOCOL_ERROR),
            Self::InvalidUtf8 | Self::InvalidDeflate => Some(CloseCode::INVALID_PAYLOAD),
            Self::TooBig | Self::TooManyFragments => Some(CloseCode::MESSAGE_TOO_BIG),
            Self::KeepaliveTimeout => Some(CloseCode::INTERNAL_ERROR),
            Self::IdleTimeout => Some(CloseCode::GOING_AWAY),
            Self::Failed(code) => Some(code),
            Self::ConnectionLost | Self::CloseTimeout | Self::StallTimeout | Self::Unwritten => None,
        }
    }

    /// Whether another connection may succeed: the transport or the peer was gone or too late. A peer that broke a rule
    /// or a limit would do so again, and [`Failed`](Error::Failed) is the program's own decision.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        match self {
            Self::ConnectionLost
            | Self::KeepaliveTimeout
            | Self::IdleTimeout
            | Self::CloseTimeout
            | Self::StallTimeout
            | Self::Unwritten => true,
            Self::Protocol(_)
            | Self::InvalidUtf8
            | Self::InvalidDeflate
            | Self::TooBig
            | Self::TooManyFragments
            | Self::Failed(_) => false,
        }
    }

    /// What happened, in words short enough for the reason of a Close frame.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Protocol(violation) => violation.reason(),
            Self::InvalidUtf8 => "invalid UTF-8",
            Self::InvalidDeflate => "invalid compressed data",
            Self::TooBig => "message too big",
            Self::TooManyFragments => "too many fragments",
            Self::ConnectionLost => "connection lost without a Close",
            Self::KeepaliveTimeout => "keepalive timeout",
            Self::IdleTimeout => "idle timeout",
            Self::CloseTimeout => "close timeout",
            Self::StallTimeout => "stall timeout",
            Self::Unwritten => "the connection ended before all output was written",
            Self::Failed(_) => "failed by the application",
        }
    }
}

impl Violation {
    const fn reason(self) -> &'static str {
        match self {
            Self::ReservedBit => "reserved bit set",
            Self::ReservedOpcode => "reserved opcode",
            Self::FragmentedControl => "fragmented control frame",
            Self::LongControl => "control frame longer than 125 bytes",
            Self::Unmasked => "client frame not masked",
            Self::Masked => "server frame masked",
            Self::LengthEncoding => "length not in its minimal form",
            Self::UnexpectedContinuation => "continuation of no message",
            Self::ExpectedContinuation => "new message inside a fragmented one",
            Self::CloseBody => "Close body of one byte",
            Self::CloseCode => "invalid close code",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Protocol(violation)
    }
}

impl core::error::Error for Error {}
impl core::error::Error for Violation {}

/// Why the connection did not take what you sent. Nothing was sent, and the connection is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// A Close was sent or received, or the connection failed: nothing may follow (RFC 6455 §5.5.1).
    Closed,
    /// The payload of a Ping or Pong has this many bytes; at most 125 are possible (§5.5).
    ControlTooLong(usize),
    /// The reason of a Close has this many bytes; at most 123 are possible (§5.5.1).
    ReasonTooLong(usize),
    /// The payload of a frame has this many bytes; at most 2⁶³ - 1 are possible (§5.2).
    FrameTooLong(u64),
    /// A fragmented message is open: finish it first, with the same kind (§5.4).
    MessageOpen,
    /// A client must mask every frame with a new key, so none can be prepared for it (§5.3).
    MustMask,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the connection is closing or closed",
            Self::ControlTooLong(len) => {
                return write!(f, "the payload of a control frame is {len} bytes long: at most 125 are possible");
            }
            Self::ReasonTooLong(len) => {
                return write!(f, "the reason of a Close is {len} bytes long: at most 123 are possible");
            }
            Self::FrameTooLong(len) => {
                return write!(f, "the payload of a frame is {len} bytes long: at most 2^63 - 1 are possible");
            }
            Self::MessageOpen => "a fragmented message is open: finish it first, with the same kind",
            Self::MustMask => "a client must mask each frame with a new key: send the message itself",
        })
    }
}

impl core::error::Error for SendError {}

/// A setting outside of its range; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a setting is outside of its range")
    }
}

impl core::error::Error for OutOfRange {}

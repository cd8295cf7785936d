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

/// What the caller did wrong. Nothing was sent, and the connection is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// A Close was sent or received, or the connection failed: nothing may follow (RFC 6455 §5.5.1).
    Closed,
    /// The payload of a Ping or Pong is over 125 bytes, or the reason of a Close over 123 (§5.5).
    TooLong,
    /// A fragmented message is open: finish it first, with the same kind (§5.4).
    MessageOpen,
    /// A client must mask every frame with a key of its own, so none can be prepared for it (§5.3).
    MustMask,
    /// The request was answered before: it has one answer.
    Answered,
    /// A status outside 200 to 599, or a body with 204 or 304, which have none (RFC 9110 §15).
    Status,
    /// The name of a header field that is no token (RFC 9110 §5.1).
    FieldName,
    /// The value of a header field with a CR, an LF or another control character in it (RFC 9110 §5.5).
    FieldValue,
    /// A header field that the handshake writes itself: this one, in lower case.
    ManagedField(&'static str),
    /// A subprotocol that the client did not offer (§4.2.2), that is no token, or offered twice (§4.1).
    Subprotocol,
    /// A host, or its port, that cannot be in a Host field (RFC 9112 §3.2).
    Host,
    /// A request target that is not a path with an optional query, in visible ASCII without `#` (RFC 9112 §3.2.1).
    Target,
    /// A header field that HTTP/2 and HTTP/3 do not have (RFC 9113 §8.2.2).
    ConnectionSpecific,
    /// The request came on a stream of HTTP/2 or HTTP/3: `accept_parts` answers it (RFC 8441 §5).
    Stream,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the connection is closing or closed",
            Self::TooLong => "control frame longer than 125 bytes",
            Self::MessageOpen => "a fragmented message is open",
            Self::MustMask => "a client must mask each frame by itself",
            Self::Answered => "the request is answered already",
            Self::Status => "no status for this answer",
            Self::FieldName => "a field name is no token",
            Self::FieldValue => "a field value has a control character",
            Self::ManagedField(name) => return write!(f, "the handshake writes {name} itself"),
            Self::Subprotocol => "the subprotocol was not offered, or is malformed",
            Self::Host => "the host is malformed",
            Self::Target => "the request target is malformed",
            Self::ConnectionSpecific => "HTTP/2 and HTTP/3 have no connection-specific fields",
            Self::Stream => "a request on a stream has no answer in bytes of HTTP/1.1",
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

//! Whose fault it was that there is no connection: [`HandshakeError`] is the peer's or the network's and ends the
//! handshake, [`UpgradeError`] is a valid request's that asks for something else, [`Refused`] tells it from the caller's.

use alloc::boxed::Box;
use core::fmt;

use super::response::Response;
use crate::error::SendError;

const CONNECTION_SPECIFIC: &str = "a connection-specific field, which HTTP/2 and HTTP/3 do not have";

/// Why an opening handshake failed. Terminal; a server's answer that tells the client, if any, is in `out`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Not an HTTP/1.1 head. A server answers 400.
    Malformed(Malformed),
    /// A request line or status line longer than [`max_line_len`](crate::Config::max_line_len). A server answers 414.
    StartLineTooLong,
    /// A field line longer than [`max_line_len`](crate::Config::max_line_len). A server answers 431.
    FieldTooLong,
    /// A head longer than [`max_head_len`](crate::Config::max_head_len). A server answers 431.
    HeadTooLong,
    /// More field lines than [`max_headers`](crate::Config::max_headers). A server answers 431.
    TooManyFields,
    /// A request with a Transfer-Encoding. A server answers 501 and reads no further.
    TransferEncoding,
    /// Another version of HTTP than 1.1. A server answers 505.
    Version,
    /// It took longer than [`handshake_timeout`](crate::Config::handshake_timeout). Nothing is sent.
    Timeout,
    /// The transport ended before the handshake. Nothing is sent.
    ConnectionLost,
    /// The server answered with another status than 101, or than 2xx to an extended CONNECT: a redirect, a 401, an error
    /// page (§4.1).
    Rejected(Box<Response>),
    /// More interim answers (100, 102, 103) than a client reads, eight.
    TooManyInterim,
    /// A 101 whose Upgrade is not exactly `websocket` (§4.1, second condition).
    Upgrade,
    /// A 101 whose Connection lacks `upgrade` (§4.1, third condition).
    Connection,
    /// A 101 without the Sec-WebSocket-Accept that answers our key, or with several (§4.1, fourth condition).
    Accept,
    /// A 101 with an extension that was not offered (§4.1, fifth condition).
    Extension,
    /// A 101 that answers an offer of permessage-deflate with what it must not (RFC 7692 §7.1).
    #[cfg(feature = "deflate")]
    Deflate(crate::deflate::Declined),
    /// A 101 with a subprotocol that was not offered, or with several (§4.1, sixth condition).
    Subprotocol,
}

/// What makes some bytes no HTTP/1.1 head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// A first byte that no method, or no `HTTP/1.1`, begins with: a TLS greeting, for instance.
    FirstByte,
    /// A NUL or another control character.
    ControlCharacter,
    /// A CR without its LF (RFC 9112 §2.2).
    BareCr,
    /// An LF without its CR; this crate does not take it for a line's end (RFC 9112 §2.2).
    BareLf,
    /// A line that begins with white space (RFC 9112 §5.2).
    Folding,
    /// A request line or status line that is none (RFC 9112 §3, §4).
    StartLine,
    /// A field name that is no token, such as one with white space before the colon (RFC 9112 §5.1).
    FieldName,
    /// A field value with a byte that none may have (RFC 9110 §5.5).
    FieldValue,
    /// A Content-Length that is no number, or several (RFC 9112 §6.3).
    ContentLength,
    /// A field that HTTP/2 and HTTP/3 do not have, such as Upgrade (RFC 9113 §8.2.2).
    ConnectionSpecific,
}

/// Why a valid HTTP request is no opening handshake that this server takes (§4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The method is not GET: 405.
    Method,
    /// The target is neither a path nor an absolute `ws`, `wss`, `http` or `https` URI, or it has a fragment: 400.
    Target,
    /// There is not exactly one valid Host: 400. Of an extended CONNECT: `:authority` is not valid, or Host another.
    Host,
    /// The request announces a body: 400. What follows must not be taken for frames.
    Body,
    /// No Upgrade field with `websocket`: 426.
    Upgrade,
    /// No Connection field with `upgrade`: 400.
    Connection,
    /// Sec-WebSocket-Version is not exactly once 13 (§4.4): 426.
    Version,
    /// Sec-WebSocket-Key is not exactly once the base64 form of 16 bytes: 400.
    Key,
    /// Sec-WebSocket-Protocol is no list of different tokens: 400.
    Subprotocols,
    /// Sec-WebSocket-Extensions breaks its grammar (§9.1): 400.
    Extensions,
    /// The Origin is not one that [`Config::origin`](crate::Config::origin) allows (§10.2): 403.
    Origin,
    /// HTTP/1.0 or older, which an HTTP library let pass: 505.
    HttpVersion,
    /// Over HTTP/2 or HTTP/3: the method is not CONNECT (RFC 8441 §4): 405.
    Connect,
    /// Over HTTP/2 or HTTP/3: `:method`, `:protocol`, `:scheme` (http or https), `:authority` and `:path` are not there
    /// exactly once each, before all other fields, and without further ones (RFC 8441 §4, RFC 9113 §8.3): 400.
    Pseudo,
    /// Over HTTP/2 or HTTP/3: a field that those do not have, such as Upgrade (RFC 9113 §8.2.2): 400.
    ConnectionSpecific,
    /// An extended CONNECT for another `:protocol` than `websocket` (RFC 9220 §3): 501.
    Protocol,
    /// An extended CONNECT whose Sec-WebSocket-Version is not exactly once 13 (§4.4): 400, since a 426 needs the field
    /// Upgrade, which HTTP/2 and HTTP/3 do not have.
    ConnectVersion,
}

/// Why `accept` made no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The request's fault. Its answer is in `out`, and the request is answered.
    Request(UpgradeError),
    /// The caller's fault. Nothing was written: answer again.
    Response(SendError),
}

impl HandshakeError {
    /// The status of the answer that a server's `receive` wrote for this error; `None` when it wrote none.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Malformed(_) => Some(400),
            Self::StartLineTooLong => Some(414),
            Self::FieldTooLong | Self::HeadTooLong | Self::TooManyFields => Some(431),
            Self::TransferEncoding => Some(501),
            Self::Version => Some(505),
            _ => None,
        }
    }

    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(malformed) => malformed.reason(),
            Self::StartLineTooLong => "request line or status line too long",
            Self::FieldTooLong => "header field too long",
            Self::HeadTooLong => "header section too long",
            Self::TooManyFields => "too many header fields",
            Self::TransferEncoding => "Transfer-Encoding is not supported",
            Self::Version => "only HTTP/1.1 is supported",
            Self::Timeout => "handshake timeout",
            Self::ConnectionLost => "connection lost in the handshake",
            Self::Rejected(_) => "the server did not switch protocols",
            Self::TooManyInterim => "too many interim answers",
            Self::Upgrade => "the answer's Upgrade is not websocket",
            Self::Connection => "the answer's Connection lacks upgrade",
            Self::Accept => "the answer's Sec-WebSocket-Accept is missing or wrong",
            Self::Extension => "the answer has an extension that was not offered",
            #[cfg(feature = "deflate")]
            Self::Deflate(_) => "the answer does not fit the offer of permessage-deflate",
            Self::Subprotocol => "the answer has a subprotocol that was not offered",
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
            Self::ConnectionSpecific => CONNECTION_SPECIFIC,
        }
    }
}

impl UpgradeError {
    /// The status that tells the client.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Method | Self::Connect => 405,
            Self::Upgrade | Self::Version => 426,
            Self::Origin => 403,
            Self::Protocol => 501,
            Self::HttpVersion => 505,
            Self::Target
            | Self::Host
            | Self::Body
            | Self::Connection
            | Self::Key
            | Self::Subprotocols
            | Self::Extensions
            | Self::Pseudo
            | Self::ConnectionSpecific
            | Self::ConnectVersion => 400,
        }
    }

    /// The fields that an answer with [`status`](Self::status) must have: Allow with 405 (RFC 9110 §15.5.6);
    /// Upgrade (§15.5.22) and Sec-WebSocket-Version (RFC 6455 §4.4) with 426. Over HTTP/2 and HTTP/3 names are in lower
    /// case.
    #[must_use]
    pub const fn fields(self) -> &'static [(&'static str, &'static [u8])] {
        match self {
            Self::Method => &[("Allow", b"GET")],
            Self::Connect => &[("allow", b"CONNECT")],
            Self::ConnectVersion => &[("sec-websocket-version", b"13")],
            Self::Upgrade | Self::Version => &[("Upgrade", b"websocket"), ("Sec-WebSocket-Version", b"13")],
            _ => &[],
        }
    }

    /// A line of text that tells the client what is wrong, for the body of the answer.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Method => "a WebSocket is opened by GET",
            Self::Target => "malformed request target",
            Self::Host => "one valid Host is required",
            Self::Body => "an upgrade request has no body",
            Self::Upgrade => "Upgrade: websocket is required",
            Self::Connection => "Connection: Upgrade is required",
            Self::Version | Self::ConnectVersion => "Sec-WebSocket-Version: 13 is required",
            Self::Key => "one Sec-WebSocket-Key of 16 bytes in base64 is required",
            Self::Subprotocols => "malformed Sec-WebSocket-Protocol",
            Self::Extensions => "malformed Sec-WebSocket-Extensions",
            Self::Origin => "this origin is not allowed",
            Self::HttpVersion => "HTTP/1.1 or later is required",
            Self::Connect => "a WebSocket is opened by CONNECT",
            Self::Pseudo => "malformed pseudo-header fields",
            Self::ConnectionSpecific => CONNECTION_SPECIFIC,
            Self::Protocol => "no other :protocol than websocket is spoken",
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(response) => write!(f, "{}: status {}", self.reason(), response.status()),
            _ => f.write_str(self.reason()),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::Response(error) => error.fmt(f),
        }
    }
}

impl From<Malformed> for HandshakeError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<UpgradeError> for Refused {
    fn from(error: UpgradeError) -> Self {
        Self::Request(error)
    }
}

impl From<SendError> for Refused {
    fn from(error: SendError) -> Self {
        Self::Response(error)
    }
}

impl core::error::Error for HandshakeError {}
impl core::error::Error for Malformed {}
impl core::error::Error for UpgradeError {}
impl core::error::Error for Refused {}

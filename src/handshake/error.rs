//! Whose fault it was that there is no connection. [`HandshakeError`] is the peer's or the network's and ends the
//! handshake. [`UpgradeError`] belongs to a valid request that does not open a WebSocket. [`RequestError`] and
//! [`ResponseError`] are the caller's.

use alloc::{boxed::Box, string::String};
use core::fmt;

use super::{
    http::error::{FieldError, HeadError, Malformed},
    response::Response,
};

/// Why an opening handshake failed. Terminal; a server's answer that tells the client, if any, is in `out`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer's bytes are not a head of HTTP/1.1, or exceed a limit. A server answers with
    /// [its status](HeadError::status).
    Head(HeadError),
    /// A request with a Transfer-Encoding. A server answers 501 and reads no further.
    TransferEncoding,
    /// It took longer than [`handshake_timeout`](crate::Config::handshake_timeout). Nothing is sent.
    Timeout,
    /// The transport ended before the handshake. Nothing is sent.
    ConnectionLost,
    /// The server answered with another status than 101, or than 2xx to an extended CONNECT: a redirect, a 401, an
    /// error page (§4.1).
    Rejected(Box<Response>),
    /// The server sent more interim answers (100, 102, 103) than a client reads.
    TooManyInterim {
        /// How many a client reads.
        max: u8,
    },
    /// A 101 whose Upgrade is not exactly `websocket` (§4.1, second condition).
    Upgrade,
    /// A 101 whose Connection lacks `upgrade` (§4.1, third condition).
    Connection,
    /// A 101 without the Sec-WebSocket-Accept that answers our key, or with several (§4.1, fourth condition).
    Accept,
    /// A 101 with an extension that was not offered (§4.1, fifth condition): the value of its Sec-WebSocket-Extensions.
    /// `None` if it has several such fields, which it must not (§11.3.2).
    Extension(Option<String>),
    /// A 101 that answers an offer of permessage-deflate with parameters that it must not have (RFC 7692 §7.1).
    #[cfg(feature = "deflate")]
    Deflate(crate::deflate::Declined),
    /// A 101 with this subprotocol, which was not offered (§4.1, sixth condition). `None` if it has several
    /// Sec-WebSocket-Protocol fields, which it must not (§11.3.4).
    Subprotocol(Option<String>),
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

/// Why a request is malformed that you passed: a client's, or one that an HTTP library parsed. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// This method is not a token (RFC 9110 §9.1).
    Method(String),
    /// This host, or its port, cannot be in a Host field (RFC 9112 §3.2), or is too long for a proxy.
    Host(String),
    /// A client's request target is a path with an optional query, in visible ASCII without `#`; a server takes any
    /// visible ASCII (RFC 9112 §3.2.1). This is another.
    Target(String),
    /// This subprotocol is not a token, or appears twice (§4.1).
    Subprotocol(String),
    /// A header field is malformed, or the handshake writes it itself.
    Field(FieldError),
}

/// Why the response that you passed is not an answer to the request. Nothing was written: answer again, unless the
/// request is [`Answered`](Self::Answered).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseError {
    /// The request was answered before. A request has one answer.
    Answered,
    /// This status is not within 200 to 599, or is 204 or 304, which have no body, and there is a body (RFC 9110 §15).
    Status(u16),
    /// The client did not offer this subprotocol (§4.2.2).
    Subprotocol(String),
    /// A header field is malformed, or the handshake writes it itself.
    Field(FieldError),
    /// The request came on a stream of HTTP/2 or HTTP/3. Only
    /// [`accept_parts`](crate::server::Request::accept_parts) answers it (RFC 8441 §5).
    Stream,
}

/// Why `accept` made no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The request's fault. Its answer is in `out`, and the request is answered.
    Request(UpgradeError),
    /// The caller's fault. Nothing was written: answer again.
    Response(ResponseError),
}

impl HandshakeError {
    /// The status of the answer that a server's `receive` wrote for this error; `None` when it wrote none.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Head(error) => Some(error.status()),
            Self::TransferEncoding => Some(501),
            _ => None,
        }
    }

    /// Whether another attempt may succeed: the transport ended, nothing came in time, or the status is 500, 502, 503
    /// or
    /// 504. Every other answer is the same next time.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Timeout | Self::ConnectionLost => true,
            Self::Rejected(response) => response.is_transient(),
            _ => false,
        }
    }

    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Head(error) => error.reason(),
            Self::TransferEncoding => "Transfer-Encoding is not supported",
            Self::Timeout => "handshake timeout",
            Self::ConnectionLost => "connection lost in the handshake",
            Self::Rejected(_) => "the server did not switch protocols",
            Self::TooManyInterim { .. } => "too many interim answers",
            Self::Upgrade => "the answer's Upgrade is not websocket",
            Self::Connection => "the answer's Connection lacks upgrade",
            Self::Accept => "the answer's Sec-WebSocket-Accept is missing or wrong",
            Self::Extension(_) => "the answer has an extension that was not offered",
            #[cfg(feature = "deflate")]
            Self::Deflate(_) => "the answer does not fit the offer of permessage-deflate",
            Self::Subprotocol(_) => "the answer has a subprotocol that was not offered",
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
            // R1, RFC 9110 §15.5.6: "The origin server MUST generate an Allow header field in a 405 response"
            Self::Method => &[("Allow", b"GET")],
            Self::Connect => &[("allow", b"CONNECT")],
            Self::ConnectVersion => &[("sec-websocket-version", b"13")],
            // R9, §4.4: "it MUST respond with a |Sec-WebSocket-Version| header field … containing all versions it is
            // willing to use"
            // R10, RFC 9110 §15.5.22: "The server MUST send an Upgrade header field in a 426 response to indicate the
            // required protocol(s)"
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
            Self::ConnectionSpecific => "a connection-specific field, which HTTP/2 and HTTP/3 do not have",
            Self::Protocol => "no other :protocol than websocket is spoken",
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => error.fmt(f),
            Self::Rejected(response) => write!(f, "{}: status {}", self.reason(), response.status()),
            Self::TooManyInterim { max } => write!(f, "{}: at most {max} are read", self.reason()),
            Self::Extension(Some(value)) | Self::Subprotocol(Some(value)) => write!(f, "{}: {value:?}", self.reason()),
            #[cfg(feature = "deflate")]
            Self::Deflate(declined) => write!(f, "{}: {declined}", self.reason()),
            _ => f.write_str(self.reason()),
        }
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(method) => write!(f, "{method:?} is not a valid method"),
            Self::Host(host) => write!(f, "{host:?} is not a valid host with an optional port"),
            Self::Target(target) => {
                write!(
                    f,
                    "{target:?} is not a valid request target: pass a path with an optional query, percent-encoded"
                )
            }
            Self::Subprotocol(name) => write!(f, "the subprotocol {name:?} is not a token, or appears twice"),
            Self::Field(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered => f.write_str("the request is answered already"),
            Self::Status(status) => {
                write!(f, "{status} is not a status for this answer: it is outside of 200 to 599, or has no body")
            }
            Self::Subprotocol(name) => {
                write!(f, "the client did not offer the subprotocol {name:?}: choose one of `Request::subprotocols`")
            }
            Self::Field(error) => error.fmt(f),
            Self::Stream => f.write_str("a request on a stream of HTTP/2 or HTTP/3 is answered by `accept_parts`"),
        }
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

impl core::error::Error for HandshakeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            #[cfg(feature = "deflate")]
            Self::Deflate(declined) => Some(declined),
            // `Head` is shown as the error in it.
            _ => None,
        }
    }
}

impl core::error::Error for UpgradeError {}
impl core::error::Error for RequestError {}
impl core::error::Error for ResponseError {}
impl core::error::Error for Refused {}

impl From<HeadError> for HandshakeError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl From<Malformed> for HandshakeError {
    fn from(malformed: Malformed) -> Self {
        Self::Head(malformed.into())
    }
}

impl From<FieldError> for RequestError {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}

impl From<FieldError> for ResponseError {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}

impl From<UpgradeError> for Refused {
    fn from(error: UpgradeError) -> Self {
        Self::Request(error)
    }
}

impl From<ResponseError> for Refused {
    fn from(error: ResponseError) -> Self {
        Self::Response(error)
    }
}

//! A request and the answers to it (RFC 6455 §4.2.2), apart from the machine that read it.

#[cfg(feature = "deflate")]
use alloc::string::ToString;
use alloc::{string::String, vec::Vec};
use core::fmt;

use bytes::BytesMut;

use super::{
    answer::Answer,
    response::{Accepted, Response},
};
#[cfg(feature = "deflate")]
use crate::deflate::{self, Agreement, Declined};
use crate::{
    config::Config,
    connection::Connection,
    grammar::is_token,
    handshake::{
        error::{HandshakeError, Refused, RequestError, ResponseError, UpgradeError},
        extended_connect::{Pseudo, is_connection_specific},
        headers::{Extensions, Subprotocols},
        http::{
            error::{FieldError, Malformed},
            head::{Fields, Head, RequestLine, Span},
            write::{self, Field},
        },
        key::accept,
        negotiate::{Once, RequestFields, authority},
        uri::absolute_target,
    },
};

/// What the handshake writes into a 101 itself, or what has no place there (RFC 9110 §8.6, RFC 9112 §6.1).
// R33, RFC 9112 §6.1: "A server MUST NOT send a Transfer-Encoding header field in any response with … 1xx"
const MANAGED_IN_101: [&str; 9] = [
    "connection",
    "upgrade",
    "sec-websocket-accept",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
    "sec-websocket-version",
    "sec-websocket-key",
    "content-length",
    "transfer-encoding",
];

/// What the handshake writes into another answer itself.
const MANAGED: [&str; 3] = ["connection", "content-length", "transfer-encoding"];

/// A request: it owns its head and may be kept, sent to another thread, and answered later, once.
///
/// [`verdict`](Self::verdict) says whether it opens a WebSocket. Whatever it says, the application may
/// [`reject`](Self::reject) the request with an answer of its own: a page, a redirect, a 401 (§4.2.2, item 2).
pub struct Request {
    head: Head,
    method: Span,
    target: Span,
    /// What it asks for, if it is an opening handshake; whether its origin is allowed is for the configuration to say.
    opening: Result<Opening, UpgradeError>,
    /// Of a request over HTTP/2 or HTTP/3.
    stream: Option<Stream>,
    content_length: Option<u64>,
    transfer_encoding: bool,
    config: Config,
    /// The handshake that hands the request out has it too.
    pub(super) answer: Answer,
}

/// The parts of an opening handshake that are needed to judge and to answer it.
#[derive(Clone, Copy, Debug)]
struct Opening {
    /// Of a request over HTTP/1.1.
    key: Option<[u8; 24]>,
    secure: Option<bool>,
    authority: Span,
    origin: Once<Span>,
}

/// What a request on a stream has in place of Host and Upgrade.
#[derive(Clone, Copy, Debug)]
struct Stream {
    authority: Span,
    has_protocol: bool,
}

impl Request {
    /// A request that an HTTP library has parsed, of version 1.1: with [`accept_parts`](Self::accept_parts) the
    /// handshake is made with its types.
    ///
    /// The error names a method, a target or a field that no HTTP/1.1 request can have.
    pub fn from_parts<'a>(
        method: &str,
        target: &str,
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        config: &Config,
    ) -> Result<Self, RequestError> {
        if !is_token(method.as_bytes()) {
            return Err(RequestError::Method(method.into()));
        }
        if target.is_empty() || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(RequestError::Target(target.into()));
        }
        let (head, [method, target]) = Head::from_parts([method, target], fields);
        for field in head.fields() {
            write::check_fields(&[field], &[])?;
        }
        Ok(Self::new(head, RequestLine { method, target }, config.clone()))
    }

    /// A request over HTTP/2 or HTTP/3 that an HTTP library has parsed. `fields` are all its fields, the pseudo-header
    /// fields among them: `:method`, `:protocol` and so on. [`accept_parts`](Self::accept_parts) answers it, if it is
    /// an extended CONNECT (RFC 8441 §5, RFC 9220).
    ///
    /// What makes it another request is in the [`verdict`](Self::verdict). The error tells of a field that no such
    /// request can have: a name that is no token in lower case, a control character.
    ///
    /// ```
    /// use sansock::{Config, server};
    ///
    /// let fields: [(&str, &[u8]); 6] = [
    ///     (":method", b"CONNECT"),
    ///     (":protocol", b"websocket"),
    ///     (":scheme", b"https"),
    ///     (":authority", b"example.com"),
    ///     (":path", b"/chat"),
    ///     ("sec-websocket-version", b"13"),
    /// ];
    /// let request = server::Request::from_fields(fields, &Config::default())?;
    /// let (connection, accepted) = request.accept_parts(&server::Response::new())?;
    /// assert_eq!((accepted.status(), accepted.fields().count()), (200, 0));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn from_fields<'a>(
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        config: &Config,
    ) -> Result<Self, RequestError> {
        let (mut pseudo, mut others) = (Pseudo::default(), Vec::new());
        for (name, value) in fields {
            if name.starts_with(':') {
                write::check_value(name, value)?;
                pseudo.add(name, value, others.is_empty());
            } else {
                write::check_fields(&[(name, value)], &[])?;
                // RFC 9113 §8.2.1: no capitals.
                if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    return Err(FieldError::Name(name.into()).into());
                }
                others.push((name, value));
            }
        }
        let parts = [pseudo.method, pseudo.path, pseudo.authority];
        let parts = parts.map(|part| part.one().and_then(|part| core::str::from_utf8(part).ok()).unwrap_or_default());
        let (head, [method, target, authority]) = Head::from_parts(parts, others);
        let opening = pseudo.opening(head.raw_fields(), head.all("sec-websocket-protocol"));
        let opening = opening.map(|opening| {
            let origin = opening.origin.map(|origin| head.span_of(origin));
            Opening { key: None, secure: opening.secure, authority, origin }
        });
        Ok(Self {
            method,
            target,
            opening,
            stream: Some(Stream { authority, has_protocol: pseudo.has_protocol() }),
            content_length: RequestFields::collect(head.raw_fields()).content_length().ok(),
            transfer_encoding: false,
            config: config.clone(),
            answer: Answer::pending(),
            head,
        })
    }

    /// Judges the request by this configuration from now on, and makes the connection with it. The request is not
    /// parsed again. So limits, deadlines, compression and the origin policy can depend on its target.
    #[must_use]
    pub fn with_config(mut self, config: &Config) -> Self {
        self.config = config.clone();
        self
    }

    pub(super) fn read((head, line): (Head, RequestLine), config: Config) -> Result<Self, HandshakeError> {
        let request = Self::new(head, line, config);
        if request.transfer_encoding {
            return Err(HandshakeError::TransferEncoding);
        }
        if request.content_length.is_none() {
            return Err(Malformed::ContentLength.into());
        }
        Ok(request)
    }

    #[inline]
    fn new(head: Head, line: RequestLine, config: Config) -> Self {
        let RequestLine { method, target } = line;
        let fields = RequestFields::collect(head.raw_fields());
        let subprotocols = head.all("sec-websocket-protocol");
        let opening = fields.opening(head.bytes(method), head.bytes(target), subprotocols).map(|opening| Opening {
            key: opening.key,
            secure: opening.secure,
            authority: head.span_of(opening.authority.as_bytes()),
            origin: opening.origin.map(|origin| head.span_of(origin)),
        });
        let (content_length, transfer_encoding) = (fields.content_length().ok(), fields.transfer_encoding);
        let answer = Answer::pending();
        Self { head, method, target, opening, stream: None, content_length, transfer_encoding, config, answer }
    }

    /// The verdict, and the key of an opening handshake over HTTP/1.1.
    fn judge(&self) -> Result<Option<[u8; 24]>, UpgradeError> {
        let opening = self.opening?;
        let page = match opening.origin {
            Once::Absent => None,
            Once::One(page) => Some(self.head.bytes(page)),
            Once::Repeated => return Err(UpgradeError::Origin),
        };
        // R31, §4.2.2: "it MUST return an appropriate HTTP error code (e.g., 403 Forbidden)"
        let is_allowed = self.config.origin.allows(page, opening.secure, self.head.bytes(opening.authority));
        if is_allowed { Ok(opening.key) } else { Err(UpgradeError::Origin) }
    }

    /// Writes the 101 and returns the connection, if the request is an opening handshake (§4.2.2); its first frames may
    /// be in `input` already.
    ///
    /// [`Refused::Request`] if it is none: the answer that says so is in `out`, and the
    /// [`Handshake`](super::Handshake) that read the request knows of it, as after [`reject`](Self::reject).
    /// [`Refused::Response`] if the response is not valid, or the request was answered before: nothing was written.
    ///
    /// A request [`from_fields`](Self::from_fields) has no bytes of HTTP/1.1: only
    /// [`accept_parts`](Self::accept_parts) answers it.
    pub fn accept(&self, response: &Response<'_>, out: &mut BytesMut) -> Result<Connection, Refused> {
        if self.stream.is_some() {
            return Err(ResponseError::Stream.into());
        }
        let key = self.check(response, |error| {
            let head_only = self.method() == "HEAD";
            write::refusal(out, error.status(), error.fields(), error.reason(), head_only);
        })?;
        let mut connection = Connection::server(&self.config);
        let extensions = self.extend(&mut connection);
        out.reserve(256);
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
        if let Some(key) = key {
            write::field(out, "Sec-WebSocket-Accept", &accept(&key));
        }
        if let Some(subprotocol) = response.subprotocol {
            write::field(out, "Sec-WebSocket-Protocol", subprotocol.as_bytes());
        }
        if let Some(extensions) = extensions {
            write::field(out, "Sec-WebSocket-Extensions", extensions.as_bytes());
        }
        for (name, value) in response.fields {
            write::field(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
        Ok(connection)
    }

    /// The same for an answer that somebody else writes: with [`Accepted::status`], [`Accepted::fields`], and those of
    /// the response.
    ///
    /// [`Refused::Request`] is answered by its [`status`](UpgradeError::status) and [`fields`](UpgradeError::fields).
    pub fn accept_parts<'a>(&self, response: &Response<'a>) -> Result<(Connection, Accepted<'a>), Refused> {
        let key = self.check(response, |_| {})?;
        let mut connection = Connection::server(&self.config);
        let extensions = self.extend(&mut connection);
        let accept = key.as_ref().map(accept);
        Ok((connection, Accepted { accept, subprotocol: response.subprotocol, extensions }))
    }

    /// Whether it may be answered like this; then that is its one answer, which this key goes into, if it has one. If
    /// it is no opening handshake, `refuse` writes why.
    fn check(&self, response: &Response<'_>, refuse: impl FnOnce(UpgradeError)) -> Result<Option<[u8; 24]>, Refused> {
        if self.answer.is_given() {
            return Err(ResponseError::Answered.into());
        }
        let verdict = self.judge();
        if verdict.is_ok() {
            self.check_response(response)?;
        }
        self.answer.give()?;
        verdict.map_err(|error| {
            refuse(error);
            self.answer.refuse();
            error.into()
        })
    }

    fn check_response(&self, response: &Response<'_>) -> Result<(), ResponseError> {
        // R13, §4.2.2: "The value chosen MUST be derived from the client's handshake"
        if let Some(chosen) = response.subprotocol
            && !self.subprotocols().any(|offer| offer == chosen)
        {
            return Err(ResponseError::Subprotocol(chosen.into()));
        }
        write::check_fields(response.fields, &MANAGED_IN_101)?;
        let is_specific = |&&(name, value): &&Field<'_>| is_connection_specific(name.as_bytes(), value);
        match response.fields.iter().find(is_specific) {
            Some((name, _)) if self.stream.is_some() => Err(FieldError::ConnectionSpecific((*name).into()).into()),
            _ => Ok(()),
        }
    }

    /// Agrees on the first extension of those offered that this side speaks too (§9.1); the list that says so.
    #[cfg(feature = "deflate")]
    fn extend(&self, connection: &mut Connection) -> Option<String> {
        let settings = self.config.deflate.as_ref()?;
        // R15, §9: "A server MUST NOT respond with any extension not requested by the client."
        // R104, RFC 7692 §5: "An element preceding another element has higher preference."
        let (answer, agreement) = self.deflate_offers().find_map(Result::ok)?;
        connection.set_deflate(agreement, settings);
        Some(answer.to_string())
    }

    #[cfg(not(feature = "deflate"))]
    #[allow(clippy::unused_self, reason = "no extension is spoken without the feature")]
    fn extend(&self, _connection: &mut Connection) -> Option<String> {
        None
    }

    /// What each offer of permessage-deflate comes to (RFC 7692 §5.1): this server's answer and what is agreed with it,
    /// or why it is passed over. [`accept`](Self::accept) takes the first that is good; there is none when
    /// [`Config::deflate`] is off.
    #[cfg(feature = "deflate")]
    pub fn deflate_offers(&self) -> impl Iterator<Item = Result<(deflate::Params, Agreement), Declined>> {
        // R19: other extensions are ignored.
        let offers = self.extensions().filter(|extension| extension.name == deflate::NAME);
        let settings = self.config.deflate;
        offers.map_while(move |offer| {
            settings.map(|settings| settings.answer(&deflate::Params::of_offer(offer.params())?))
        })
    }

    /// Answers without a connection: any status from 200 to 599, with fields and a body. Content-Length and
    /// `Connection: close` are added; a HEAD request gets the length of the body only. The
    /// [`Handshake`](super::Handshake) that read the request knows of it when this returns.
    pub fn reject(
        &self,
        status: u16,
        fields: &[Field<'_>],
        body: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), ResponseError> {
        if self.stream.is_some() {
            return Err(ResponseError::Stream);
        }
        if !matches!(status, 200..=599) || matches!(status, 204 | 304) && !body.is_empty() {
            return Err(ResponseError::Status(status));
        }
        write::check_fields(fields, &MANAGED)?;
        self.answer.give()?;
        // R32: an answer of the application.
        write::answer(out, status, &fields.iter().copied(), body, self.method() == "HEAD");
        self.answer.refuse();
        Ok(())
    }

    /// Whether it opens a WebSocket, and if not, which rule it breaks (§4.2.1): what [`accept`](Self::accept) will say.
    /// The [status](UpgradeError::status) and the [fields](UpgradeError::fields) of the error are those of the answer.
    pub fn verdict(&self) -> Result<(), UpgradeError> {
        self.judge().map(drop)
    }

    /// Whether it has an Upgrade field, or over HTTP/2 and HTTP/3 a `:protocol`: it asks for more than a page.
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        self.stream.map_or_else(|| self.head.first("upgrade").is_some(), |stream| stream.has_protocol)
    }

    /// The method, `GET` in an opening handshake; `CONNECT` over HTTP/2 and HTTP/3.
    #[must_use]
    pub fn method(&self) -> &str {
        self.head.str(self.method)
    }

    /// The request target as it was sent: usually a path and a query.
    #[must_use]
    pub fn target(&self) -> &str {
        self.head.str(self.target)
    }

    /// Host, and port if there is one, that the request is for (RFC 9112 §3.3): the target's, if that is absolute, or
    /// the Host field's. `None` when there is not exactly one valid Host. Over HTTP/2 and HTTP/3 it is the
    /// `:authority`.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        if let Some(stream) = self.stream {
            return authority(self.head.bytes(stream.authority)).map(|authority| authority.text);
        }
        let mut hosts = self.head.all("host");
        let (Some(host), None) = (hosts.next().and_then(authority), hosts.next()) else { return None };
        let target = if self.target().starts_with('/') { None } else { absolute_target(self.target()) };
        Some(target.map_or(host, |(_, authority)| authority).text)
    }

    /// The page that asks, as its browser says (§10.2); `None` when there is no Origin, or none in UTF-8.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.header("origin").and_then(|origin| core::str::from_utf8(origin).ok())
    }

    /// The subprotocols that the client offers, in its order of preference (§4.1, item 10).
    #[must_use]
    pub fn subprotocols(&self) -> Subprotocols<'_> {
        Subprotocols::new(self.head.fields())
    }

    /// The first of these subprotocols that the client offers too: a choice by the server's preference. Pass it to
    /// [`Response::subprotocol`].
    #[must_use]
    pub fn preferred<'a>(&self, subprotocols: &[&'a str]) -> Option<&'a str> {
        subprotocols.iter().find(|ours| self.subprotocols().any(|theirs| theirs == **ours)).copied()
    }

    /// The extensions that the client offers, in its order of preference (§9.1).
    #[must_use]
    pub fn extensions(&self) -> Extensions<'_> {
        Extensions::new(self.head.fields())
    }

    /// All header fields, in order.
    #[must_use]
    pub fn headers(&self) -> Fields<'_> {
        self.head.fields()
    }

    /// The value of the first header field of this name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head.first(name).map(|span| self.head.bytes(span))
    }

    /// The length of the body, which follows the head in the input: zero for an opening handshake.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.content_length.unwrap_or_default()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method())
            .field("target", &self.target())
            .field("headers", &self.head)
            .field("verdict", &self.verdict())
            .finish_non_exhaustive()
    }
}

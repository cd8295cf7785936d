//! The server's half of the opening handshake (RFC 6455 §4.2): [`Handshake`] reads a [`Request`], which is answered
//! whenever the application knows how.

use core::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::BytesMut;

use super::{
    accept,
    deadline::Deadline,
    error::{HandshakeError, Malformed, Refused, UpgradeError},
    head::{Complete, Fields, Head, Kind, Scanner, Span},
    headers::{Extensions, Subprotocols, token},
    negotiate::{RequestFields, authority},
    uri::absolute_target,
    write::{self, Field},
};
use crate::{
    config::Config,
    connection::{Connection, Transport},
    error::SendError,
    timer::Timestamp,
};

/// What the handshake writes into a 101 itself, or what has no place there (RFC 9110 §8.6, RFC 9112 §6.1).
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

/// How much a client may send on after its request was refused, before the wait for its end is over.
const MAX_DISCARDED: usize = 1 << 20;

/// Reads the request. No I/O and no clock; holds at most [`max_head_len`](Config::max_head_len) and some 500 bytes.
///
/// ```
/// use bytes::BytesMut;
/// use sansock::{Config, server};
///
/// let mut bytes = *b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// let mut input = &mut bytes[..];
/// let mut out = BytesMut::new();
///
/// let mut handshake = server::Handshake::new(&Config::default());
/// let request = handshake.receive(&mut input, &mut out)?.expect("the whole request is there");
/// assert_eq!(request.target(), "/chat");
/// let connection = request.accept(&server::Response::new(), &mut out)?;
/// assert!(out.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Handshake {
    config: Config,
    phase: Phase,
    deadline: Deadline,
}

#[derive(Debug)]
enum Phase {
    /// The request is on its way.
    Reading(Scanner),
    /// It was handed out.
    Answering {
        eof: bool,
    },
    /// It was refused; so many bytes came since.
    Refused {
        discarded: usize,
    },
    Closed,
    Aborted,
}

impl Handshake {
    /// A handshake with a client that has connected just now.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            config: config.clone(),
            phase: Phase::Reading(Scanner::new(Kind::Request, config)),
            deadline: Deadline::after(config.handshake_timeout),
        }
    }

    /// Takes the request's head from the front of `input`; `None` while it is not complete. What follows the head, a
    /// body or the first frames, stays in `input`.
    ///
    /// Every valid HTTP/1.1 request is handed out, whether it asks for a WebSocket or a page. What is none, or exceeds
    /// a limit, is an error, and its answer is in `out` (400, 414, 431, 501 or 505): write it, then do what
    /// [`transport`](Self::transport) says. After an error `input` is discarded.
    pub fn receive(&mut self, input: &mut &mut [u8], out: &mut BytesMut) -> Result<Option<Request>, HandshakeError> {
        let Phase::Reading(scanner) = &mut self.phase else {
            self.discard(input);
            return Ok(None);
        };
        match scanner.receive(input).and_then(|head| head.map(|head| Request::parse(head, &self.config)).transpose()) {
            Ok(None) => Ok(None),
            Ok(Some(request)) => {
                self.phase = Phase::Answering { eof: false };
                Ok(Some(request))
            }
            Err(error) => {
                if let Some(status) = error.status() {
                    write::refusal(out, status, &[], error.reason(), false);
                }
                self.refuse();
                self.discard(input);
                Err(error)
            }
        }
    }

    /// The client has shut down its half, or the transport ended. An error while the request is not complete.
    pub fn receive_eof(&mut self) -> Result<(), HandshakeError> {
        match &mut self.phase {
            Phase::Answering { eof } => *eof = true,
            Phase::Reading(_) => {
                self.close(Phase::Closed);
                return Err(HandshakeError::ConnectionLost);
            }
            Phase::Refused { .. } => self.close(Phase::Closed),
            Phase::Closed | Phase::Aborted => {}
        }
        Ok(())
    }

    /// Says that the request was answered, and that no [`Connection`] came of it: call it after [`Request::reject`] and
    /// after [`Refused::Request`], so that the machine waits for the client to read the answer. A handshake that became
    /// a connection is dropped instead.
    pub fn refuse(&mut self) {
        match self.phase {
            Phase::Reading(_) | Phase::Answering { eof: false } => {
                self.phase = Phase::Refused { discarded: 0 };
                self.deadline = Deadline::after(self.config.close_timeout);
            }
            Phase::Answering { eof: true } => self.close(Phase::Closed),
            Phase::Refused { .. } | Phase::Closed | Phase::Aborted => {}
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; [`Timestamp::ZERO`] means at once.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.deadline.poll()
    }

    /// Tells the time: once after creating the handshake, after each `receive`, and when it is due.
    ///
    /// [`HandshakeError::Timeout`] when the client took longer than [`handshake_timeout`](Config::handshake_timeout),
    /// or the application to answer; nothing is sent. After a refusal `close_timeout` ends the wait without an error.
    pub fn handle_timeout(&mut self, now: Timestamp, _out: &mut BytesMut) -> Result<(), HandshakeError> {
        if !self.deadline.passed(now) {
            return Ok(());
        }
        let was_refused = matches!(self.phase, Phase::Refused { .. });
        self.close(Phase::Aborted);
        if was_refused { Ok(()) } else { Err(HandshakeError::Timeout) }
    }

    /// What to do with the socket once `out` is written. After a refusal it is [`Transport::ShutdownWrite`], then read
    /// and discard (by [`receive`](Self::receive), at most 1 MiB), so that no reset overtakes the answer.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.phase {
            Phase::Reading(_) | Phase::Answering { .. } => Transport::KeepOpen,
            Phase::Refused { .. } => Transport::ShutdownWrite,
            Phase::Closed => Transport::Close,
            Phase::Aborted => Transport::Abort,
        }
    }

    fn close(&mut self, phase: Phase) {
        self.phase = phase;
        self.deadline = Deadline::Off;
    }

    /// Takes what nobody will read; what may belong to a connection stays.
    fn discard(&mut self, input: &mut &mut [u8]) {
        if matches!(self.phase, Phase::Answering { .. }) {
            return;
        }
        let len = core::mem::take(input).len();
        if let Phase::Refused { discarded } = &mut self.phase {
            *discarded = discarded.saturating_add(len);
            if *discarded > MAX_DISCARDED {
                self.close(Phase::Closed);
            }
        }
    }
}

/// A request: it owns its head and may be kept, sent to another thread, and answered later, once.
///
/// [`verdict`](Self::verdict) says whether it opens a WebSocket. Whatever it says, the application may
/// [`reject`](Self::reject) the request with an answer of its own: a page, a redirect, a 401 (§4.2.2, item 2).
pub struct Request {
    head: Head,
    method: Span,
    target: Span,
    config: Config,
    verdict: Result<[u8; 24], UpgradeError>,
    content_length: Option<u64>,
    transfer_encoding: bool,
    answered: AtomicBool,
}

impl Request {
    /// A request that an HTTP library has parsed, of version 1.1: with [`accept_parts`](Self::accept_parts) the
    /// handshake is made with its types.
    ///
    /// The error tells of a method, a target or a field that no HTTP/1.1 request can have.
    pub fn from_parts<'a>(
        method: &str,
        target: &str,
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        config: &Config,
    ) -> Result<Self, SendError> {
        token(method.as_bytes()).ok_or(SendError::FieldName)?;
        if target.is_empty() || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SendError::Target);
        }
        let (head, [method, target]) = Head::from_parts([method, target], fields);
        for field in head.fields() {
            write::check_fields(&[field], &[])?;
        }
        Ok(Self::new(head, method, target, config))
    }

    fn parse(head: Complete, config: &Config) -> Result<Self, HandshakeError> {
        let (head, method, target) = head.request()?;
        let request = Self::new(head, method, target, config);
        if request.transfer_encoding {
            return Err(HandshakeError::TransferEncoding);
        }
        if request.content_length.is_none() {
            return Err(Malformed::ContentLength.into());
        }
        Ok(request)
    }

    fn new(head: Head, method: Span, target: Span, config: &Config) -> Self {
        let fields = RequestFields::collect(head.raw_fields());
        let subprotocols = head.all("sec-websocket-protocol");
        let verdict = fields.verdict(head.str(method), head.str(target), subprotocols, &config.origin);
        let (content_length, transfer_encoding) = (fields.content_length().ok(), fields.transfer_encoding);
        let (config, answered) = (config.clone(), AtomicBool::new(false));
        Self { head, method, target, config, verdict, content_length, transfer_encoding, answered }
    }

    /// Writes the 101 and returns the connection, if the request is an opening handshake (§4.2.2); its first frames may
    /// be in `input` already.
    ///
    /// [`Refused::Request`] if it is none: the answer that says so is in `out`, and [`Handshake::refuse`] is next.
    /// [`Refused::Response`] if the response is not valid, or the request was answered before: nothing was written.
    pub fn accept(&self, response: &Response<'_>, out: &mut BytesMut) -> Result<Connection, Refused> {
        let (connection, accepted) = match self.accept_parts(response) {
            Err(Refused::Request(error)) => {
                let head_only = self.method() == "HEAD";
                write::refusal(out, error.status(), error.fields(), error.reason(), head_only);
                return Err(Refused::Request(error));
            }
            other => other?,
        };
        out.reserve(256);
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        );
        out.extend_from_slice(&accepted.accept);
        out.extend_from_slice(b"\r\n");
        if let Some(subprotocol) = accepted.subprotocol {
            write::field(out, "Sec-WebSocket-Protocol", subprotocol.as_bytes());
        }
        for (name, value) in response.fields {
            write::field(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
        Ok(connection)
    }

    /// The same for a 101 that somebody else writes: with [`Accepted::fields`], and those of the response.
    ///
    /// [`Refused::Request`] is answered by its [`status`](UpgradeError::status) and [`fields`](UpgradeError::fields).
    pub fn accept_parts<'a>(&self, response: &Response<'a>) -> Result<(Connection, Accepted<'a>), Refused> {
        if self.answered.load(Ordering::Relaxed) {
            return Err(SendError::Answered.into());
        }
        if self.verdict.is_ok() {
            // §4.2.2, item 5.5: a subprotocol that the client offered.
            if response.subprotocol.is_some_and(|chosen| !self.subprotocols().any(|offer| offer == chosen)) {
                return Err(SendError::Subprotocol.into());
            }
            write::check_fields(response.fields, &MANAGED_IN_101)?;
        }
        self.claim()?;
        let key = self.verdict.map_err(Refused::Request)?;
        let accepted = Accepted { accept: accept(&key), subprotocol: response.subprotocol };
        Ok((Connection::server(&self.config), accepted))
    }

    /// Answers without a connection: any status from 200 to 599, with fields and a body. Content-Length and
    /// `Connection: close` are added; a HEAD request gets the length of the body only. [`Handshake::refuse`] is next.
    pub fn reject(&self, status: u16, fields: &[Field<'_>], body: &[u8], out: &mut BytesMut) -> Result<(), SendError> {
        if !matches!(status, 200..=599) || matches!(status, 204 | 304) && !body.is_empty() {
            return Err(SendError::Status);
        }
        write::check_fields(fields, &MANAGED)?;
        self.claim()?;
        write::answer(out, status, &fields.iter().copied(), body, self.method() == "HEAD");
        Ok(())
    }

    /// Whether it opens a WebSocket, and if not, which rule it breaks (§4.2.1): what [`accept`](Self::accept) will say.
    pub fn verdict(&self) -> Result<(), UpgradeError> {
        self.verdict.map(drop)
    }

    /// Whether it has an Upgrade field: it asks for something else than a page.
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        self.head.first("upgrade").is_some()
    }

    /// The method, `GET` in an opening handshake.
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
    /// the Host field's. `None` when there is not exactly one valid Host.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
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

    /// The one answer is given now.
    fn claim(&self) -> Result<(), SendError> {
        if self.answered.swap(true, Ordering::Relaxed) { Err(SendError::Answered) } else { Ok(()) }
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

/// What the application adds to a 101: the subprotocol that it chose, and header fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct Response<'a> {
    subprotocol: Option<&'a str>,
    fields: &'a [Field<'a>],
}

impl<'a> Response<'a> {
    /// Nothing: no subprotocol and no fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Speaks this subprotocol, one that the client offers, or none (§4.2.2, item 5.5).
    #[must_use]
    pub fn subprotocol(mut self, chosen: impl Into<Option<&'a str>>) -> Self {
        self.subprotocol = chosen.into();
        self
    }

    /// Adds these header fields, such as Set-Cookie. Those that the handshake writes itself are refused, and so is any
    /// control character.
    #[must_use]
    pub fn headers(mut self, fields: &'a [(&'a str, &'a [u8])]) -> Self {
        self.fields = fields;
        self
    }
}

/// What a 101 must say for the connection that [`Request::accept_parts`] returned.
#[derive(Clone, Copy, Debug)]
pub struct Accepted<'a> {
    accept: [u8; 28],
    subprotocol: Option<&'a str>,
}

impl Accepted<'_> {
    /// Upgrade, Connection, Sec-WebSocket-Accept and, if one was chosen, Sec-WebSocket-Protocol.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let fixed =
            [("Upgrade", &b"websocket"[..]), ("Connection", b"Upgrade"), ("Sec-WebSocket-Accept", &self.accept)];
        let chosen = self.subprotocol.map(|subprotocol| ("Sec-WebSocket-Protocol", subprotocol.as_bytes()));
        fixed.into_iter().chain(chosen)
    }
}

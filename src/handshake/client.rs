//! The client's half of the opening handshake (RFC 6455 §4.1): [`connect`] writes a [`Request`], [`Handshake`] reads
//! the answer.

#[cfg(feature = "deflate")]
use alloc::string::ToString;
use alloc::{
    borrow::{Cow, ToOwned},
    boxed::Box,
    string::String,
    vec::Vec,
};
use core::fmt;

use bytes::BytesMut;
use chacha20::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};

pub use super::response::Response;
use super::{
    base64,
    body::Body,
    deadline::Deadline,
    error::HandshakeError,
    head::{Head, Span, StatusLine},
    headers::check_subprotocols,
    negotiate::check_response,
    proxy::Proxies,
    scan::Scanner,
    uri::{Authority, Uri},
    write::{self, Field},
};
use crate::{
    config::Config,
    connection::{Connection, Transport},
    error::SendError,
    timer::Timestamp,
};
#[cfg(feature = "deflate")]
use crate::{deflate, handshake::headers::sole_extension};

/// What the handshake writes into a request itself, or what has no place there.
const MANAGED: [&str; 11] = [
    "host",
    "upgrade",
    "connection",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
    "sec-websocket-accept",
    "origin",
    "content-length",
    "transfer-encoding",
];

/// What authenticates a user, and stays at the origin that it is meant for.
const SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// How many interim answers (RFC 9110 §15.2) may come before the one that counts.
pub(super) const MAX_INTERIM: u8 = 8;

/// What a client asks for.
///
/// ```
/// use sansock::{client::Request, handshake::Uri};
///
/// let uri = Uri::parse("ws://user:secret@example.com:8080/chat")?;
/// let request = Request::from_uri(&uri).subprotocols(&["chat.v2", "chat"]).headers(&[("User-Agent", b"me/1.0")]);
/// # Ok::<(), sansock::handshake::UriError>(())
/// ```
#[derive(Clone)]
pub struct Request<'a> {
    host: Cow<'a, str>,
    target: Cow<'a, str>,
    origin: Option<&'a str>,
    subprotocols: &'a [&'a str],
    authorization: Option<String>,
    fields: &'a [Field<'a>],
    secret: &'a [&'a str],
    /// A redirect led to another origin: what is secret is left out.
    is_elsewhere: bool,
    pub(super) max_redirects: u8,
    pub(super) proxies: Option<&'a Proxies>,
}

impl<'a> Request<'a> {
    /// For this host, as the Host field names it: with a port unless it is the scheme's own, an IPv6 address in
    /// brackets. The target is a path with an optional query.
    #[must_use]
    pub fn new(host: &'a str, target: impl Into<Cow<'a, str>>) -> Self {
        Self {
            host: host.into(),
            target: target.into(),
            origin: None,
            subprotocols: &[],
            authorization: None,
            fields: &[],
            secret: &[],
            is_elsewhere: false,
            max_redirects: 10,
            proxies: None,
        }
    }

    /// For what a URI names. Its userinfo becomes an Authorization field, unless [`headers`](Self::headers) have one.
    #[must_use]
    pub fn from_uri(uri: &Uri<'a>) -> Self {
        Self { authorization: uri.basic_auth(), ..Self::new(uri.authority(), uri.target()) }
    }

    /// Offers these subprotocols, the best first (§4.1, item 10).
    #[must_use]
    pub fn subprotocols(mut self, best_first: &'a [&'a str]) -> Self {
        self.subprotocols = best_first;
        self
    }

    /// Sends this Origin, as browsers do (§4.1, item 8).
    #[must_use]
    pub fn origin(mut self, origin: impl Into<Option<&'a str>>) -> Self {
        self.origin = origin.into();
        self
    }

    /// Adds these header fields. Those that the handshake writes itself are refused, and so is any control character.
    #[must_use]
    pub fn headers(mut self, fields: &'a [(&'a str, &'a [u8])]) -> Self {
        self.fields = fields;
        self
    }

    /// Leaves these header fields out where a redirect leads to another origin, beside Authorization, Cookie and
    /// Proxy-Authorization, which are left out anyhow.
    #[must_use]
    pub fn secret_headers(mut self, names: &'a [&'a str]) -> Self {
        self.secret = names;
        self
    }

    /// How many redirects in a row `connect` follows; 10 unless said otherwise. With 0 each is a
    /// [`Rejected`](HandshakeError::Rejected) like any other refusal. For those who connect by themselves there is
    /// [`Route`](super::Route).
    ///
    /// A redirect may lead anywhere, also to servers that only this client can reach. So follow none where strangers
    /// choose the URI.
    #[must_use]
    pub fn max_redirects(mut self, count: u8) -> Self {
        self.max_redirects = count;
        self
    }

    /// Lets `connect` go through the proxy that these choose; none unless said otherwise.
    #[must_use]
    pub fn proxies(mut self, proxies: &'a Proxies) -> Self {
        self.proxies = Some(proxies);
        self
    }

    /// What is asked after a redirect to `uri`.
    pub(super) fn move_to(&mut self, uri: &Uri<'_>, same_origin: bool) {
        self.host = uri.authority().to_owned().into();
        self.target = uri.target().into_owned().into();
        self.authorization = uri.basic_auth();
        self.is_elsewhere |= !same_origin;
    }

    /// The caller's fields that are sent.
    fn fields(&self) -> impl Iterator<Item = &Field<'a>> {
        let is_secret = |name: &str| SECRET.iter().chain(self.secret).any(|secret| secret.eq_ignore_ascii_case(name));
        self.fields.iter().filter(move |(name, _)| !self.is_elsewhere || !is_secret(name))
    }

    fn check(&self) -> Result<(), SendError> {
        Authority::parse(&self.host).map_err(|_| SendError::Host)?;
        let target = self.target.as_bytes();
        if target.first() != Some(&b'/') || target.iter().any(|&byte| !byte.is_ascii_graphic() || byte == b'#') {
            return Err(SendError::Target);
        }
        if let Some(origin) = self.origin {
            write::check_value(origin.as_bytes())?;
        }
        let names_only = self.subprotocols.iter().all(|name| super::headers::token(name.as_bytes()).is_some());
        let names = self.subprotocols.iter().map(|name| name.as_bytes());
        if !names_only || !self.subprotocols.is_empty() && check_subprotocols(names).is_err() {
            return Err(SendError::Subprotocol);
        }
        write::check_fields(self.fields, &MANAGED)
    }

    /// §4.1, items 2 to 12.
    fn write(&self, key: &[u8; 24], subprotocols: &str, extensions: Option<&str>, out: &mut BytesMut) {
        out.reserve(256 + self.target.len());
        out.extend_from_slice(b"GET ");
        out.extend_from_slice(self.target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
        out.extend_from_slice(self.host.as_bytes());
        out.extend_from_slice(b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ");
        out.extend_from_slice(key);
        out.extend_from_slice(b"\r\nSec-WebSocket-Version: 13\r\n");
        if !subprotocols.is_empty() {
            write::field(out, "Sec-WebSocket-Protocol", subprotocols.as_bytes());
        }
        if let Some(extensions) = extensions {
            write::field(out, "Sec-WebSocket-Extensions", extensions.as_bytes());
        }
        if let Some(origin) = self.origin {
            write::field(out, "Origin", origin.as_bytes());
        }
        let has_authorization = self.fields().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        if let Some(authorization) = &self.authorization
            && !has_authorization
        {
            write::field(out, "Authorization", authorization.as_bytes());
        }
        for (name, value) in self.fields() {
            write::field(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Keeps what authenticates a user out of logs.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("host", &self.host).field("target", &self.target).finish_non_exhaustive()
    }
}

/// Writes the request, and returns the machine that reads its answer. Nothing may follow in `out` before that has
/// yielded the [`Connection`] (§4.1).
///
/// `seed` must come fresh from a good source of randomness for each connection: it makes the key of this handshake and
/// the masking keys of the connection (§10.3), which do not tell of each other. The same seed gives the same bytes.
///
/// The error is the caller's: a malformed host, target, subprotocol or field; nothing was written.
pub fn connect(
    request: &Request<'_>,
    config: &Config,
    seed: [u8; 32],
    out: &mut BytesMut,
) -> Result<Handshake, SendError> {
    request.check()?;
    // §4.1, item 7: 16 random bytes in base64. What the masks grow from is another part of the same stream.
    let mut random = ChaCha12Rng::from_seed(seed);
    let mut bytes = [0; 48];
    random.fill_bytes(&mut bytes);
    let (nonce, rest) = bytes.split_at(16);
    let key = base64(nonce);
    let mut seed = [0; 32];
    seed.copy_from_slice(rest);

    let subprotocols = request.subprotocols.join(", ");
    #[cfg(feature = "deflate")]
    let extensions = config.deflate.map(|deflate| deflate.offer().to_string());
    #[cfg(not(feature = "deflate"))]
    let extensions: Option<String> = None;
    request.write(&key, &subprotocols, extensions.as_deref(), out);
    Ok(Handshake {
        key,
        seed,
        subprotocols,
        phase: Phase::Head(Scanner::new(config)),
        interim: 0,
        deadline: Deadline::after(config.handshake_timeout),
        config: config.clone(),
    })
}

/// Reads the answer to a request. No I/O and no clock; holds at most [`max_head_len`](Config::max_head_len) or
/// [`max_body_len`](Config::max_body_len), and some 600 bytes.
pub struct Handshake {
    key: [u8; 24],
    seed: [u8; 32],
    /// What was offered, as the field says it.
    subprotocols: String,
    phase: Phase,
    interim: u8,
    deadline: Deadline,
    config: Config,
}

#[derive(Debug)]
enum Phase {
    Head(Scanner<StatusLine>),
    /// The answer was another than 101: its head is there.
    Body(Box<Response>, Body),
    /// It became a connection.
    Done,
    /// It failed, and there is nothing to wait for.
    Closed,
    Aborted,
}

impl Handshake {
    /// Takes the answer from the front of `input`; `None` while it is not complete. What follows a 101, the first
    /// frames, stays in `input`.
    ///
    /// Any answer but a valid 101 is an error. [`HandshakeError::Rejected`] has the server's own words: its head, and
    /// its body as far as [`max_body_len`](Config::max_body_len) goes. After an error `input` is discarded, and the
    /// socket is to be closed.
    pub fn receive(&mut self, input: &mut &mut [u8]) -> Result<Option<(Connection, Response)>, HandshakeError> {
        let result = self.advance(input);
        if result.is_err() {
            self.close(Phase::Closed);
        }
        if !matches!(self.phase, Phase::Done)
            && (result.is_err() || matches!(self.phase, Phase::Closed | Phase::Aborted))
        {
            *input = &mut [];
        }
        result
    }

    /// The same for an answer that an HTTP library has read, of version 1.1: its status and its fields. An answer other
    /// than 101 is [`HandshakeError::Rejected`] without its body.
    pub fn receive_parts<'a>(
        &mut self,
        status: u16,
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<(Connection, Response), HandshakeError> {
        let (head, []) = Head::from_parts([], fields);
        let response =
            Response { head, status, reason: Span::default(), subprotocol: None, body: Vec::new(), whole: false };
        let result =
            if status == 101 { self.finish(response) } else { Err(HandshakeError::Rejected(Box::new(response))) };
        self.close(if result.is_ok() { Phase::Done } else { Phase::Closed });
        result
    }

    /// The server has shut down its half, or the transport ended: the end of a body that has no other, and an error in
    /// any case, unless the handshake is over.
    pub fn receive_eof(&mut self) -> Result<(), HandshakeError> {
        match core::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Head(_) => {
                self.close(Phase::Closed);
                Err(HandshakeError::ConnectionLost)
            }
            Phase::Body(response, mut body) => {
                self.close(Phase::Closed);
                body.receive_eof();
                Err(response.rejected(body))
            }
            over => {
                self.phase = over;
                Ok(())
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; [`Timestamp::ZERO`] means at once.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.deadline.poll()
    }

    /// Tells the time: once after [`connect`], after each `receive`, and when it is due.
    ///
    /// [`HandshakeError::Timeout`] when the server took longer than [`handshake_timeout`](Config::handshake_timeout);
    /// [`HandshakeError::Rejected`] instead, when only the body of its answer is late.
    pub fn handle_timeout(&mut self, now: Timestamp, _out: &mut BytesMut) -> Result<(), HandshakeError> {
        if !self.deadline.passed(now) {
            return Ok(());
        }
        match core::mem::replace(&mut self.phase, Phase::Aborted) {
            Phase::Body(response, body) => Err(response.rejected(body)),
            _ => Err(HandshakeError::Timeout),
        }
    }

    /// What to do with the socket: [`Transport::KeepOpen`], until an error makes it [`Transport::Close`], or a timeout
    /// [`Transport::Abort`].
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.phase {
            Phase::Head(_) | Phase::Body(..) | Phase::Done => Transport::KeepOpen,
            Phase::Closed => Transport::Close,
            Phase::Aborted => Transport::Abort,
        }
    }

    /// The Sec-WebSocket-Key that was sent.
    #[must_use]
    pub fn key(&self) -> &str {
        core::str::from_utf8(&self.key).unwrap_or_default()
    }

    fn advance(&mut self, input: &mut &mut [u8]) -> Result<Option<(Connection, Response)>, HandshakeError> {
        loop {
            match &mut self.phase {
                Phase::Head(scanner) => {
                    let Some((head, line)) = scanner.receive(input)? else { return Ok(None) };
                    if let Some(connected) = self.head(head, line)? {
                        return Ok(Some(connected));
                    }
                }
                Phase::Body(_, body) => {
                    if !body.receive(input) {
                        return Ok(None);
                    }
                    let Phase::Body(response, body) = core::mem::replace(&mut self.phase, Phase::Closed) else {
                        return Ok(None);
                    };
                    return Err(response.rejected(body));
                }
                Phase::Done | Phase::Closed | Phase::Aborted => return Ok(None),
            }
        }
    }

    /// A complete head: of the answer, or of an interim one.
    fn head(&mut self, head: Head, line: StatusLine) -> Result<Option<(Connection, Response)>, HandshakeError> {
        let (status, reason) = (line.status, line.reason);
        match status {
            100 | 102..=199 => {
                // RFC 9110 §15.2: a client must be able to parse interim answers before the one that counts.
                self.interim += 1;
                if self.interim > MAX_INTERIM {
                    return Err(HandshakeError::TooManyInterim);
                }
                self.phase = Phase::Head(Scanner::new(&self.config));
                return Ok(None);
            }
            101 if line.minor_version == 0 => return Err(HandshakeError::Version),
            _ => {}
        }
        let response = Response { reason, head, status, subprotocol: None, body: Vec::new(), whole: true };
        if status == 101 {
            let connected = self.finish(response)?;
            self.close(Phase::Done);
            return Ok(Some(connected));
        }
        let body = Body::new(status, &response.head, self.config.max_body_len, self.config.max_head_len);
        self.phase = Phase::Body(Box::new(response), body);
        Ok(None)
    }

    /// A 101: checks it and makes the connection.
    fn finish(&self, mut response: Response) -> Result<(Connection, Response), HandshakeError> {
        let offered = self.subprotocols.split([',', ' ']).filter(|name| !name.is_empty());
        let chosen = check_response(response.head.raw_fields(), &self.key, offered)?;
        let mut connection = Connection::client(&self.config, self.seed);
        self.extend(&mut connection, chosen.extensions)?;
        let has_subprotocol = chosen.subprotocol.is_some();
        response.subprotocol = if has_subprotocol { response.head.first("sec-websocket-protocol") } else { None };
        Ok((connection, response))
    }

    /// §4.1, condition 5: the extensions of the answer are among those that were offered, which is at most one.
    #[cfg(feature = "deflate")]
    fn extend(&self, connection: &mut Connection, extensions: Option<&[u8]>) -> Result<(), HandshakeError> {
        let Some(extensions) = extensions else { return Ok(()) };
        let answer = sole_extension(extensions).filter(|answer| answer.name == deflate::NAME);
        let (Some(answer), Some(settings)) = (answer, &self.config.deflate) else {
            return Err(HandshakeError::Extension);
        };
        let answer = deflate::Params::of_answer(answer.params()).map_err(HandshakeError::Deflate)?;
        let agreement = settings.confirm(&answer).map_err(HandshakeError::Deflate)?;
        connection.set_deflate(agreement, settings);
        Ok(())
    }

    #[cfg(not(feature = "deflate"))]
    #[allow(clippy::unused_self, reason = "nothing is offered without the feature")]
    fn extend(&self, _connection: &mut Connection, extensions: Option<&[u8]>) -> Result<(), HandshakeError> {
        if extensions.is_some() { Err(HandshakeError::Extension) } else { Ok(()) }
    }

    fn close(&mut self, phase: Phase) {
        self.phase = phase;
        self.deadline = Deadline::Off;
    }
}

/// Without the seed, which would tell the masks.
impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("key", &self.key()).field("phase", &self.phase).finish_non_exhaustive()
    }
}

//! What a client asks for (RFC 6455 §4.1), and whether an answer fits it: the same for bytes of HTTP/1.1, for an HTTP
//! library, and for an extended CONNECT.

#[cfg(feature = "deflate")]
use alloc::string::ToString;
use alloc::{borrow::Cow, string::String};
use core::fmt;

use super::{
    error::HandshakeError,
    head::{Fields, Head, Span},
    headers::{check_subprotocols, token},
    negotiate::check_response,
    response::Response,
    uri::{Authority, Uri},
    write::{self, Field},
};
use crate::{config::Config, connection::Connection, error::SendError};
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
    pub(super) host: &'a str,
    pub(super) target: Cow<'a, str>,
    secure: bool,
    origin: Option<&'a str>,
    subprotocols: &'a [&'a str],
    authorization: Option<String>,
    fields: &'a [Field<'a>],
}

impl<'a> Request<'a> {
    /// For this host, as the Host field names it: with a port unless it is the scheme's own, an IPv6 address in
    /// brackets. The target is a path with an optional query.
    #[must_use]
    pub fn new(host: &'a str, target: impl Into<Cow<'a, str>>) -> Self {
        let target = target.into();
        Self { host, target, secure: true, origin: None, subprotocols: &[], authorization: None, fields: &[] }
    }

    /// For what a URI names. Its userinfo becomes an Authorization field, unless [`headers`](Self::headers) have one.
    #[must_use]
    pub fn from_uri(uri: &Uri<'a>) -> Self {
        Self { authorization: uri.basic_auth(), ..Self::new(uri.authority(), uri.target()).secure(uri.is_secure()) }
    }

    /// Whether the transport is TLS: `wss`. Only an [`extended_connect`](super::client::extended_connect) tells it, as the
    /// scheme `https` or `http` (RFC 8441 §5). True unless a URI says otherwise.
    #[must_use]
    pub fn secure(mut self, is_tls: bool) -> Self {
        self.secure = is_tls;
        self
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

    /// The scheme of the HTTP resource that stands for it (RFC 8441 §5).
    pub(super) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    fn check(&self) -> Result<(), SendError> {
        Authority::parse(self.host).map_err(|_| SendError::Host)?;
        let target = self.target.as_bytes();
        if target.first() != Some(&b'/') || target.iter().any(|&byte| !byte.is_ascii_graphic() || byte == b'#') {
            return Err(SendError::Target);
        }
        if let Some(origin) = self.origin {
            write::check_value(origin.as_bytes())?;
        }
        let names_only = self.subprotocols.iter().all(|name| token(name.as_bytes()).is_some());
        let names = self.subprotocols.iter().map(|name| name.as_bytes());
        if !names_only || !self.subprotocols.is_empty() && check_subprotocols(names).is_err() {
            return Err(SendError::Subprotocol);
        }
        write::check_fields(self.fields, &MANAGED)
    }
}

/// Keeps what authenticates a user out of logs.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("host", &self.host).field("target", &self.target).finish_non_exhaustive()
    }
}

/// A request that an HTTP library writes. It owns what it holds.
#[derive(Clone, Debug)]
pub struct Parts {
    method: &'static str,
    target: Span,
    head: Head,
}

impl Parts {
    pub(super) fn new<'f>(
        method: &'static str,
        target: &str,
        fields: impl Iterator<Item = (&'f str, &'f [u8])>,
    ) -> Self {
        let (head, [target]) = Head::from_parts([target], fields);
        Self { method, target, head }
    }

    /// `GET`; of an [`extended_connect`](super::client::extended_connect) `CONNECT`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// A path with perhaps a query.
    #[must_use]
    pub fn target(&self) -> &str {
        self.head.str(self.target)
    }

    /// All header fields. Those of an [`extended_connect`](super::client::extended_connect) are in lower case, and the
    /// pseudo-header fields come first; those of HTTP/1.1 have a Host.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        self.head.fields()
    }
}

/// What was offered, until the answer comes, and what the connection will be made of.
pub(super) struct Offer {
    seed: [u8; 32],
    /// As the field says it.
    subprotocols: String,
    pub(super) config: Config,
}

impl Offer {
    /// The error is the caller's: a malformed host, target, subprotocol or field.
    pub(super) fn new(request: &Request<'_>, config: &Config, seed: [u8; 32]) -> Result<Self, SendError> {
        request.check()?;
        Ok(Self { seed, subprotocols: request.subprotocols.join(", "), config: config.clone() })
    }

    /// The extensions that are offered, as the field says it.
    #[cfg(feature = "deflate")]
    pub(super) fn extensions(&self) -> Option<String> {
        self.config.deflate.map(|deflate| deflate.offer().to_string())
    }

    #[cfg(not(feature = "deflate"))]
    #[allow(clippy::unused_self, reason = "nothing is offered without the feature")]
    pub(super) fn extensions(&self) -> Option<String> {
        None
    }

    /// The fields that are the same for every way of asking (§4.1, items 8 to 12).
    #[inline]
    pub(super) fn fields<'f>(
        &'f self,
        request: &'f Request<'_>,
        extensions: Option<&'f str>,
    ) -> impl Iterator<Item = Field<'f>> {
        let has_authorization = || request.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let subprotocols = if self.subprotocols.is_empty() { None } else { Some(self.subprotocols.as_str()) };
        let authorization = request.authorization.as_deref().filter(|_| !has_authorization());
        let optional = [
            ("Sec-WebSocket-Version", Some("13")),
            ("Sec-WebSocket-Protocol", subprotocols),
            ("Sec-WebSocket-Extensions", extensions),
            ("Origin", request.origin),
            ("Authorization", authorization),
        ];
        let present = optional.into_iter().filter_map(|(name, value)| Some((name, value?.as_bytes())));
        present.chain(request.fields.iter().copied())
    }

    /// An answer that opens a WebSocket, if it fits what was asked: then makes the connection. `key` is there when the
    /// answer has to prove that it knows it.
    pub(super) fn finish(
        &self,
        mut response: Response,
        key: Option<&[u8; 24]>,
    ) -> Result<(Connection, Response), HandshakeError> {
        let offered = self.subprotocols.split([',', ' ']).filter(|name| !name.is_empty());
        let chosen = check_response(response.head.raw_fields(), key, offered)?;
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
}

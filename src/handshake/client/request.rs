//! What a client asks for: [`Request`] (RFC 6455 §4.1).

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::fmt;

use crate::{
    grammar::is_token,
    handshake::{
        error::RequestError,
        http::write::{self, Field},
        uri::Uri,
    },
    origin::Authority,
};

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
    pub(super) host: Cow<'a, str>,
    pub(super) target: Cow<'a, str>,
    secure: bool,
    pub(super) origin: Option<&'a str>,
    pub(super) subprotocols: &'a [&'a str],
    authorization: Option<String>,
    fields: &'a [Field<'a>],
    secret: &'a [&'a str],
    /// A redirect led to another origin: what is secret is left out.
    is_elsewhere: bool,
}

impl<'a> Request<'a> {
    /// For this host, as the Host field names it: with a port unless it is the scheme's own, an IPv6 address in
    /// brackets. The target is a path with an optional query.
    #[must_use]
    pub fn new(host: &'a str, target: impl Into<Cow<'a, str>>) -> Self {
        Self {
            host: host.into(),
            target: target.into(),
            secure: true,
            origin: None,
            subprotocols: &[],
            authorization: None,
            fields: &[],
            secret: &[],
            is_elsewhere: false,
        }
    }

    /// For what a URI names. Its userinfo becomes an Authorization field, unless [`headers`](Self::headers) have one.
    #[must_use]
    pub fn from_uri(uri: &Uri<'a>) -> Self {
        Self { authorization: uri.basic_auth(), ..Self::new(uri.authority(), uri.target()).secure(uri.is_secure()) }
    }

    /// Whether the transport is TLS: `wss`. Only an [`extended_connect`](super::extended_connect) tells it, as the
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

    /// The fields that are left out after a redirect to another origin, in addition to [`SECRET`].
    #[cfg(feature = "route")]
    pub(crate) fn set_secret(&mut self, names: &'a [&'a str]) {
        self.secret = names;
    }

    /// What is asked after a redirect to `uri`.
    #[cfg(feature = "route")]
    pub(crate) fn move_to(&mut self, uri: &Uri<'_>, same_origin: bool) {
        self.host = String::from(uri.authority()).into();
        self.target = uri.target().into_owned().into();
        self.secure = uri.is_secure();
        self.authorization = uri.basic_auth();
        self.is_elsewhere |= !same_origin;
    }

    /// The scheme of the HTTP resource that stands for it (RFC 8441 §5).
    pub(super) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// What authenticates by the URI, unless the caller's fields do.
    pub(super) fn authorization(&self) -> Option<&str> {
        let has_another = || self.fields().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        self.authorization.as_deref().filter(|_| !has_another())
    }

    /// The caller's fields that are sent.
    pub(super) fn fields(&self) -> impl Iterator<Item = &Field<'a>> {
        let is_secret = |name: &str| SECRET.iter().chain(self.secret).any(|secret| secret.eq_ignore_ascii_case(name));
        self.fields.iter().filter(move |(name, _)| !self.is_elsewhere || !is_secret(name))
    }

    pub(super) fn check(&self) -> Result<(), RequestError> {
        Authority::parse(&self.host).map_err(|_| RequestError::Host(self.host.as_ref().into()))?;
        let target = self.target.as_bytes();
        if target.first() != Some(&b'/') || target.iter().any(|&byte| !byte.is_ascii_graphic() || byte == b'#') {
            return Err(RequestError::Target(self.target.as_ref().into()));
        }
        if let Some(origin) = self.origin {
            write::check_value("Origin", origin.as_bytes())?;
        }
        // R14, §4.1: "and MUST all be unique strings."
        let mut names: Vec<&str> = self.subprotocols.to_vec();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        if let Some(name) = names.iter().copied().find(|name| !is_token(name.as_bytes())).or(twice) {
            return Err(RequestError::Subprotocol(name.into()));
        }
        Ok(write::check_fields(self.fields, &MANAGED)?)
    }
}

/// Keeps what authenticates a user out of logs.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("host", &self.host).field("target", &self.target).finish_non_exhaustive()
    }
}

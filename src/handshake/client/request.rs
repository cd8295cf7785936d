//! What a client asks for: [`Request`] (RFC 6455 §4.1).

use alloc::{
    borrow::{Cow, ToOwned},
    string::String,
};
use core::fmt;

use crate::{
    error::SendError,
    handshake::{
        headers::{check_subprotocols, token},
        proxy::Proxies,
        uri::{Authority, Uri},
        write::{self, Field},
    },
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
    pub(in crate::handshake) host: Cow<'a, str>,
    pub(in crate::handshake) target: Cow<'a, str>,
    secure: bool,
    pub(in crate::handshake) origin: Option<&'a str>,
    pub(in crate::handshake) subprotocols: &'a [&'a str],
    authorization: Option<String>,
    fields: &'a [Field<'a>],
    secret: &'a [&'a str],
    /// A redirect led to another origin: what is secret is left out.
    is_elsewhere: bool,
    pub(in crate::handshake) max_redirects: u8,
    pub(in crate::handshake) proxies: Option<&'a Proxies>,
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
            max_redirects: 10,
            proxies: None,
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

    /// Leaves these header fields out where a redirect leads to another origin, beside Authorization, Cookie and
    /// Proxy-Authorization, which are left out anyhow. The subprotocols and the origin go along everywhere.
    #[must_use]
    pub fn secret_headers(mut self, names: &'a [&'a str]) -> Self {
        self.secret = names;
        self
    }

    /// How many redirects in a row `connect` follows; 10 unless said otherwise. With 0 each is a
    /// [`Rejected`](crate::HandshakeError::Rejected) like any other refusal. For those who connect by themselves there is
    /// [`Route`](crate::handshake::Route).
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
    pub(in crate::handshake) fn move_to(&mut self, uri: &Uri<'_>, same_origin: bool) {
        self.host = uri.authority().to_owned().into();
        self.target = uri.target().into_owned().into();
        self.secure = uri.is_secure();
        self.authorization = uri.basic_auth();
        self.is_elsewhere |= !same_origin;
    }

    /// The scheme of the HTTP resource that stands for it (RFC 8441 §5).
    pub(in crate::handshake) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// What authenticates by the URI, unless the caller's fields do.
    pub(in crate::handshake) fn authorization(&self) -> Option<&str> {
        let has_another = || self.fields().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        self.authorization.as_deref().filter(|_| !has_another())
    }

    /// The caller's fields that are sent.
    pub(in crate::handshake) fn fields(&self) -> impl Iterator<Item = &Field<'a>> {
        let is_secret = |name: &str| SECRET.iter().chain(self.secret).any(|secret| secret.eq_ignore_ascii_case(name));
        self.fields.iter().filter(move |(name, _)| !self.is_elsewhere || !is_secret(name))
    }

    pub(in crate::handshake) fn check(&self) -> Result<(), SendError> {
        Authority::parse(&self.host).map_err(|_| SendError::Host)?;
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

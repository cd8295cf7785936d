//! How a client gets from a URI to a server: redirects, proxies, and when it tries again.
//!
//! A [`Route`] is a URI, a request, and the rules for both: it follows [`redirect`]s and chooses the [`proxy`].
//! [`Backoff`] computes how long to wait before the next attempt. No I/O, no clock and no randomness: the `connect`
//! functions of the adapters use these parts.

mod backoff;
pub mod proxy;
pub mod redirect;

use alloc::borrow::{Cow, ToOwned};
use core::fmt;

pub use self::backoff::Backoff;
use self::{
    proxy::{Proxies, Proxy},
    redirect::{RedirectError, location},
};
use crate::{
    client::Request,
    handshake::{HandshakeError, Uri, UriError},
};

/// Where a client connects to next, and what it asks for there. The `connect` functions of the adapters are this loop:
///
/// ```
/// # use sansock::{HandshakeError, client, route::Route};
/// # fn open(host: &str, port: u16, secure: bool, request: &client::Request<'_>) -> Result<(), HandshakeError> { Ok(()) }
/// # fn connect(uri: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let mut route = Route::new(uri)?.subprotocols(&["chat"]).max_redirects(5);
/// loop {
///     let (host, port) = route.next_hop(); // a TCP connection goes there, and from there a tunnel if there is a `proxy()`
///     match open(host, port, route.uri().is_secure(), route.request()) {
///         Err(error) if route.follow(&error)? => {}
///         result => return Ok(result?),
///     }
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Route<'a> {
    uri: Cow<'a, str>,
    request: Request<'a>,
    follows: bool,
    redirects_left: u8,
    proxies: Option<&'a Proxies>,
}

impl<'a> Route<'a> {
    /// A route to this URI, which follows up to 10 redirects and uses no proxy.
    pub fn new(uri: &'a str) -> Result<Self, UriError> {
        let request = Request::from_uri(&Uri::parse(uri)?);
        Ok(Self { uri: uri.into(), request, follows: true, redirects_left: 10, proxies: None })
    }

    /// Offers subprotocols, as [`Request::subprotocols`].
    #[must_use]
    pub fn subprotocols(mut self, best_first: &'a [&'a str]) -> Self {
        self.request = self.request.subprotocols(best_first);
        self
    }

    /// Sends an Origin, as [`Request::origin`].
    #[must_use]
    pub fn origin(mut self, origin: impl Into<Option<&'a str>>) -> Self {
        self.request = self.request.origin(origin);
        self
    }

    /// Adds header fields, as [`Request::headers`].
    #[must_use]
    pub fn headers(mut self, fields: &'a [(&'a str, &'a [u8])]) -> Self {
        self.request = self.request.headers(fields);
        self
    }

    /// Leaves these header fields out when a redirect leads to another origin. Authorization, Cookie and
    /// Proxy-Authorization are always left out there. Subprotocols and the origin are always sent.
    #[must_use]
    pub fn secret_headers(mut self, names: &'a [&'a str]) -> Self {
        self.request.set_secret(names);
        self
    }

    /// Follows at most this many redirects in a row. With 0, a redirect is
    /// [`Rejected`](HandshakeError::Rejected), as any other refusal.
    ///
    /// A redirect may lead anywhere, also to servers that only this client can reach. So follow none if others choose
    /// the URI.
    #[must_use]
    pub fn max_redirects(mut self, count: u8) -> Self {
        self.follows = count > 0;
        self.redirects_left = count;
        self
    }

    /// Goes through the proxy that these choose for a server.
    #[must_use]
    pub fn proxies(mut self, proxies: &'a Proxies) -> Self {
        self.proxies = Some(proxies);
        self
    }

    /// The URI of the server.
    #[must_use]
    #[allow(clippy::missing_panics_doc, reason = "it does not panic")]
    pub fn uri(&self) -> Uri<'_> {
        Uri::parse(&self.uri).expect("it was parsed before")
    }

    /// What to ask of the server.
    #[must_use]
    pub fn request(&self) -> &Request<'a> {
        &self.request
    }

    /// The proxy that is on the way, if there is one: once [`Proxy::connect`] has its tunnel to the server, TLS and the
    /// opening handshake go through that.
    #[must_use]
    pub fn proxy(&self) -> Option<&'a Proxy> {
        self.proxies.and_then(|proxies| proxies.of(&self.uri()))
    }

    /// Host and port to open a TCP connection to: those of the proxy, or of the server.
    #[must_use]
    pub fn next_hop(&self) -> (&str, u16) {
        match self.proxy() {
            Some(proxy) => (proxy.host(), proxy.port()),
            None => (self.uri().host(), self.uri().port()),
        }
    }

    /// Goes on to where a refusal sends; `false` when it sends nowhere, or no redirects are wanted: then it is the
    /// result. Otherwise begin again, with a new connection.
    ///
    /// At another origin the request is without what is secret: the userinfo of the URI, Authorization, Cookie,
    /// Proxy-Authorization, and [`secret_headers`](Self::secret_headers). It stays so, should a further redirect lead
    /// back.
    ///
    /// # Errors
    ///
    /// What makes a redirect none that is followed; nothing was changed.
    pub fn follow(&mut self, refusal: &HandshakeError) -> Result<bool, RedirectError> {
        let HandshakeError::Rejected(response) = refusal else { return Ok(false) };
        if !self.follows {
            return Ok(false);
        }
        let Some(redirect) = location(&self.uri(), response)? else { return Ok(false) };
        self.redirects_left = self.redirects_left.checked_sub(1).ok_or(RedirectError::TooMany)?;
        self.uri = redirect.uri().to_owned().into();
        let uri = Uri::parse(redirect.uri()).map_err(RedirectError::Location)?;
        self.request.move_to(&uri, redirect.is_same_origin());
        Ok(true)
    }
}

/// Keeps what authenticates a user out of logs.
impl fmt::Debug for Route<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("uri", &self.uri())
            .field("redirects_left", &self.redirects_left)
            .field("proxy", &self.proxy())
            .finish_non_exhaustive()
    }
}

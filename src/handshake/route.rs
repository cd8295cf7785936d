//! The way of a client from a URI to a connection, over redirects and through a proxy: [`Route`].

use alloc::borrow::{Cow, ToOwned};
use core::fmt;

use super::{
    client::Request,
    error::HandshakeError,
    proxy::Proxy,
    redirect::{RedirectError, location},
    uri::{Uri, UriError},
};

/// Where a client connects to next, and what it asks for there. The `connect` functions of the adapters are this loop:
///
/// ```
/// # use sansock::{client, handshake::{Route, HandshakeError}};
/// # fn open(host: &str, port: u16, secure: bool, request: &client::Request<'_>) -> Result<(), HandshakeError> { Ok(()) }
/// # fn connect(uri: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let mut route = Route::new(uri, |request| request.max_redirects(5))?;
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
    redirects_left: u8,
}

impl<'a> Route<'a> {
    /// A route that begins at this URI. `ask` adds to the request for it: header fields, how many redirects are followed,
    /// proxies.
    pub fn new(uri: &'a str, ask: impl FnOnce(Request<'a>) -> Request<'a>) -> Result<Self, UriError> {
        let request = ask(Request::from_uri(&Uri::parse(uri)?));
        Ok(Self { uri: uri.into(), redirects_left: request.max_redirects, request })
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
        self.request.proxies.and_then(|proxies| proxies.of(&self.uri()))
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
    /// Proxy-Authorization, and [`secret_headers`](Request::secret_headers). It stays so, should a further redirect lead
    /// back.
    ///
    /// # Errors
    ///
    /// What makes a redirect none that is followed; nothing was changed.
    pub fn follow(&mut self, refusal: &HandshakeError) -> Result<bool, RedirectError> {
        let HandshakeError::Rejected(response) = refusal else { return Ok(false) };
        if self.request.max_redirects == 0 {
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

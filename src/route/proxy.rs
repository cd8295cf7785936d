//! Proxies that pass a connection on: HTTP by CONNECT (RFC 9110 §9.3.6), and SOCKS5 (RFC 1928, RFC 1929).
//!
//! A [`Proxy`] is parsed from its URI, [`Proxies`] choose one for a server, and a [`Tunnel`] is the machine that asks
//! it for the way: bytes in, bytes out. Nothing is taken from the environment unless [`Proxies::from_env`] is called.

mod error;
mod socks;
mod tunnel;

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, net::IpAddr};

use bytes::BytesMut;

pub use self::{
    error::{ProxyError, ProxyUriError, SocksReply},
    tunnel::Tunnel,
};
use self::{socks::Credentials, tunnel::Stage};
use crate::{
    config::Config,
    handshake::{RequestError, Uri, basic_auth, is_userinfo, percent_decode},
    origin::Authority,
};

/// A proxy and how to speak to it.
///
/// ```
/// use sansock::route::proxy::Proxy;
///
/// let proxy = Proxy::parse("socks5h://user:secret@proxy.example:1080")?;
/// assert_eq!((proxy.host(), proxy.port()), ("proxy.example", 1080));
/// # Ok::<(), sansock::route::proxy::ProxyUriError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// With the value of a Proxy-Authorization field.
    Http(Option<String>),
    Socks(Option<Credentials>),
}

impl Proxy {
    /// Parses `http://host`, `socks5://host` or `socks5h://host`, perhaps with `user:password@` before the host and a
    /// port behind it; the port is 80 or 1080 when there is none. Both SOCKS forms mean the same: the proxy resolves
    /// the server's name.
    ///
    /// # Errors
    ///
    /// It is something else: a proxy that is itself spoken to over TLS, for instance, which is not supported.
    pub fn parse(uri: &str) -> Result<Self, ProxyUriError> {
        let (scheme, rest) = uri.split_once("://").ok_or(ProxyUriError::Scheme)?;
        let is = |name: &str| scheme.eq_ignore_ascii_case(name);
        let is_http = is("http");
        if !is_http && !is("socks5") && !is("socks5h") {
            return Err(ProxyUriError::Scheme);
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(ProxyUriError::Path);
        }
        let (userinfo, authority) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        if !userinfo.is_none_or(is_userinfo) {
            return Err(ProxyUriError::Credentials);
        }
        let authority = Authority::parse(authority).map_err(|error| ProxyUriError::Authority(error.into()))?;
        let kind = if is_http {
            Kind::Http(userinfo.map(basic_auth))
        } else {
            Kind::Socks(userinfo.map(credentials).transpose()?)
        };
        let port = authority.port.unwrap_or(if is_http { 80 } else { 1080 });
        Ok(Self { kind, host: authority.host.trim_matches(['[', ']']).to_owned(), port })
    }

    /// The proxy's own name or address; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The proxy's own port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Begins to ask for a tunnel to this host, a name or an address without brackets, and port. `out` goes to the
    /// proxy, and what it answers to the [`Tunnel`].
    ///
    /// # Errors
    ///
    /// [`RequestError::Host`]: the host is malformed, longer than the 255 bytes that SOCKS can say, or its port is 0.
    /// Nothing was written.
    pub fn connect(&self, host: &str, port: u16, config: &Config, out: &mut BytesMut) -> Result<Tunnel, RequestError> {
        let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Authority::parse(&authority).map_err(|_| RequestError::Host(authority.clone()))?;
        let stage = match &self.kind {
            Kind::Http(authorization) => Stage::http(&authority, authorization.as_deref(), config, out),
            Kind::Socks(credentials) => Stage::socks(host, port, credentials.clone(), out)?,
        };
        Ok(Tunnel::new(stage, config))
    }
}

/// User and password as RFC 1929 says them: each of 1 to 255 bytes.
fn credentials(userinfo: &str) -> Result<Credentials, ProxyUriError> {
    let (user, password) = userinfo.split_once(':').ok_or(ProxyUriError::Credentials)?;
    let (user, password) = (percent_decode(user), percent_decode(password));
    let fits = |bytes: &[u8]| (1..=255).contains(&bytes.len());
    if fits(&user) && fits(&password) { Ok(Credentials { user, password }) } else { Err(ProxyUriError::Credentials) }
}

/// Keeps what authenticates a user out of logs.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, is_known) = match &self.kind {
            Kind::Http(authorization) => ("http", authorization.is_some()),
            Kind::Socks(credentials) => ("socks5h", credentials.is_some()),
        };
        write!(f, "{scheme}://{}{}:{}", if is_known { "..@" } else { "" }, self.host, self.port)
    }
}

/// Which proxy leads to which server.
///
/// ```
/// use sansock::route::{Route, proxy::{Proxies, Proxy}};
///
/// let proxies = Proxies::all(Proxy::parse("http://proxy.example:3128")?).except("localhost, .internal.example");
/// let route = Route::new("ws://server.example/")?.proxies(&proxies);
/// assert_eq!(route.next_hop(), ("proxy.example", 3128));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    ws: Option<Proxy>,
    wss: Option<Proxy>,
    except: Vec<String>,
}

impl Proxies {
    /// This one, whatever the server.
    #[must_use]
    pub fn all(proxy: Proxy) -> Self {
        Self { ws: Some(proxy.clone()), wss: Some(proxy), except: Vec::new() }
    }

    /// No proxy for these, in the form of the variable `NO_PROXY`: names and addresses with commas between, each
    /// perhaps with a port. A name stands for its subdomains too, with or without a `.` or `*.` before it; a lone `*`
    /// stands for everything.
    #[must_use]
    pub fn except(mut self, hosts: &str) -> Self {
        self.except.extend(hosts.split(',').map(|host| host.trim().to_string()).filter(|host| !host.is_empty()));
        self
    }

    /// What the environment of the process says: [`from_vars`](Self::from_vars) with `std::env::var`.
    #[cfg(feature = "std")]
    pub fn from_env() -> Result<Self, ProxyUriError> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// What such variables say. For `wss` the first that is set of `wss_proxy`, `socks_proxy`, `https_proxy` and
    /// `all_proxy` counts, for `ws` of `ws_proxy`, `socks_proxy`, `https_proxy`, `http_proxy` and `all_proxy` (RFC 6455
    /// §4.1 prefers SOCKS, and then a proxy for HTTPS); `no_proxy` has the [exceptions](Self::except). Each name is
    /// tried in lower case and then in capitals, but for `HTTP_PROXY`, which whoever sends a request to a CGI program
    /// can set. A value without a scheme is taken for `http://`, or for `socks5h://` in `socks_proxy`.
    ///
    /// # Errors
    ///
    /// A variable that counts is no proxy's URI.
    pub fn from_vars(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyUriError> {
        let value = |name: &str| {
            let in_capitals = || if name == "http_proxy" { None } else { lookup(&name.to_ascii_uppercase()) };
            lookup(name).filter(|value| !value.is_empty()).or_else(in_capitals).filter(|value| !value.is_empty())
        };
        let first = |names: &[&str]| {
            let found = names.iter().find_map(|&name| value(name).map(|value| (name, value)));
            let parse = |(name, value): (&str, String)| match value.contains("://") {
                true => Proxy::parse(&value),
                false if name == "socks_proxy" => Proxy::parse(&format!("socks5h://{value}")),
                false => Proxy::parse(&format!("http://{value}")),
            };
            found.map(parse).transpose()
        };
        let proxies = Self {
            ws: first(&["ws_proxy", "socks_proxy", "https_proxy", "http_proxy", "all_proxy"])?,
            wss: first(&["wss_proxy", "socks_proxy", "https_proxy", "all_proxy"])?,
            except: Vec::new(),
        };
        Ok(proxies.except(&value("no_proxy").unwrap_or_default()))
    }

    /// The proxy for this server, if there is one.
    #[must_use]
    pub fn of(&self, server: &Uri<'_>) -> Option<&Proxy> {
        let proxy = if server.is_secure() { &self.wss } else { &self.ws };
        proxy.as_ref().filter(|_| !self.except.iter().any(|entry| names(entry, server)))
    }
}

impl From<Proxy> for Proxies {
    fn from(proxy: Proxy) -> Self {
        Self::all(proxy)
    }
}

/// Whether an entry of a list like `NO_PROXY` names this server.
fn names(entry: &str, server: &Uri<'_>) -> bool {
    if entry == "*" {
        return true;
    }
    let (host, port) = Authority::parse(entry).map_or((entry, None), |authority| (authority.host, authority.port));
    let host = host.trim_matches(['[', ']']);
    let domain = host.strip_prefix('*').unwrap_or(host).trim_start_matches('.');
    let parent = || {
        let (before, parent) = server.host().split_at_checked(server.host().len().checked_sub(domain.len())?)?;
        (before.ends_with('.') && server.host().parse::<IpAddr>().is_err()).then_some(parent)
    };
    port.is_none_or(|port| port == server.port())
        && !domain.is_empty()
        && (domain.eq_ignore_ascii_case(server.host())
            || parent().is_some_and(|parent| domain.eq_ignore_ascii_case(parent)))
}

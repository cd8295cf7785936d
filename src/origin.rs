//! Which web pages may connect to a server: [`OriginPolicy`] (RFC 6455 §10.2), and the authorities and origins that it
//! compares (RFC 3986 §3.2, RFC 6454).

use alloc::{string::String, sync::Arc, vec::Vec};
use core::{fmt, net::Ipv6Addr, str::FromStr};

use crate::grammar::{alphanumeric_and, is_encoded};

/// Which web pages may connect (RFC 6455 §10.2). Others are refused with 403.
///
/// Browsers name the page's origin in every opening handshake; other programs need not, and may name any. So a
/// policy protects the users of browsers, not the server. Origins are compared by scheme, host and port, where
/// `https://a.example` and `https://A.example:443` are the same (RFC 6454 §5).
///
/// ```
/// use sansock::{Config, OriginPolicy};
///
/// let config = Config::default().origin(OriginPolicy::list(["https://a.example", "https://b.example:8443"]));
/// ```
#[derive(Clone, Debug)]
pub struct OriginPolicy {
    rule: Rule,
    allows_absent: bool,
}

#[derive(Clone)]
enum Rule {
    Any,
    Same,
    List(Arc<[String]>),
    Predicate(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

impl OriginPolicy {
    /// Any page: for servers that rely neither on cookies nor on the network that they are in.
    #[must_use]
    pub const fn any() -> Self {
        Self::new(Rule::Any)
    }

    /// Pages of the request's own host and port. Whether the page came over TLS makes no difference, because the
    /// machine does not know whether it is behind TLS itself; unless the request says it, as all do over HTTP/2 and
    /// HTTP/3. So behind a proxy that ends TLS and asks for `:scheme` http, use a [`list`](Self::list).
    #[must_use]
    pub const fn same() -> Self {
        Self::new(Rule::Same)
    }

    /// Pages of these origins, such as `https://example.com:8443`; `null` means the pages without an origin. An
    /// entry that is no origin matches none.
    #[must_use]
    pub fn list<S: Into<String>>(origins: impl IntoIterator<Item = S>) -> Self {
        Self::new(Rule::List(origins.into_iter().map(Into::into).collect::<Vec<_>>().into()))
    }

    /// Pages whose origin, as the browser wrote it, this function accepts. It is called each time a request is judged:
    /// by [`verdict`](crate::server::Request::verdict), and when the request is accepted.
    #[must_use]
    pub fn predicate(allows: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self::new(Rule::Predicate(Arc::new(allows)))
    }

    /// The same policy, but a request without an Origin is refused, too.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.allows_absent = false;
        self
    }

    /// §10.2: whether this page, the value of the Origin field, may connect to the server `authority`, a valid host
    /// with an optional port. `secure` is known if the request itself says whether it came over TLS.
    pub(crate) fn allows(&self, page: Option<&[u8]>, secure: Option<bool>, authority: &[u8]) -> bool {
        let Some(value) = page else { return self.allows_absent };
        // The form that browsers send when neither names a port. The rest is for the other cases.
        let is_own = |page: &[u8]| secure.is_none() && value.strip_prefix(page) == Some(authority);
        if matches!(self.rule, Rule::Same) && (is_own(b"https://") || is_own(b"http://")) {
            return true;
        }
        let page = core::str::from_utf8(value).unwrap_or_default();
        match &self.rule {
            Rule::Any => true,
            Rule::Predicate(allows) => allows(page),
            Rule::Same => Origin::parse(page).is_some_and(|page| {
                let own = core::str::from_utf8(authority).ok().and_then(|own| Authority::parse(own).ok());
                let Some(own) = own else { return false };
                // If the request does not say its scheme, the page's scheme determines the default port.
                let scheme = secure.map_or(page.scheme, |secure| if secure { "https" } else { "http" });
                page.is(&Origin { scheme, host: own.host, port: own.port.or(default_port(scheme)) })
            }),
            Rule::List(list) => {
                let parsed = Origin::parse(page);
                list.iter().any(|allowed| match (parsed, Origin::parse(allowed)) {
                    (Some(page), Some(allowed)) => page.is(&allowed),
                    (None, None) => page == "null" && allowed == "null",
                    _ => false,
                })
            }
        }
    }

    const fn new(rule: Rule) -> Self {
        Self { rule, allows_absent: true }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("Any"),
            Self::Same => f.write_str("Same"),
            Self::List(origins) => f.debug_list().entries(origins.iter()).finish(),
            Self::Predicate(_) => f.write_str("Predicate"),
        }
    }
}

/// The origin of a page (RFC 6454 §6.1).
#[derive(Clone, Copy, Debug)]
struct Origin<'a> {
    scheme: &'a str,
    host: &'a str,
    /// The scheme's own when it has one and the origin names none.
    port: Option<u16>,
}

impl<'a> Origin<'a> {
    /// `None` for `null`, which is no origin, and for whatever else is not a scheme, a host and perhaps a port.
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(is_scheme) {
            return None;
        }
        let authority = Authority::parse(authority).ok()?;
        Some(Self { scheme, host: authority.host, port: authority.port.or_else(|| default_port(scheme)) })
    }

    fn is(&self, other: &Origin<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.host.eq_ignore_ascii_case(other.host)
            && self.port == other.port
    }
}

pub(crate) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        _ if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss") => Some(443),
        _ if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("ws") => Some(80),
        _ => None,
    }
}

/// host [ ":" port ] (RFC 3986 §3.2), without userinfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Authority<'a> {
    pub(crate) text: &'a str,
    /// With the brackets of an IPv6 address.
    pub(crate) host: &'a str,
    /// `None` also for an empty one.
    pub(crate) port: Option<u16>,
}

/// The part of an authority that is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthorityError {
    Host,
    Port,
}

impl<'a> Authority<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, AuthorityError> {
        let (host, port) = match text.bytes().rposition(|byte| byte == b':') {
            Some(colon) if !text.ends_with(']') => (&text[..colon], &text[colon + 1..]),
            _ => (text, ""),
        };
        let is_host = match host.strip_prefix('[') {
            Some(address) => address.strip_suffix(']').is_some_and(|address| Ipv6Addr::from_str(address).is_ok()),
            None => !host.is_empty() && is_encoded(host.as_bytes(), &HOST),
        };
        if !is_host {
            return Err(AuthorityError::Host);
        }
        let port = match port {
            "" => None,
            _ if port.starts_with(['0', '+']) => return Err(AuthorityError::Port),
            _ => Some(port.parse().map_err(|_| AuthorityError::Port)?),
        };
        Ok(Self { text, host, port })
    }
}

/// No comma, though a registered name may have one: it would be taken for a list of hosts.
const HOST: [bool; 256] = alphanumeric_and(b"-._~!$&'()*+;=");

//! `ws://` and `wss://` URIs (RFC 6455 §3), and absolute request targets (RFC 9112 §3.2.2).

use alloc::{borrow::Cow, format, string::String, vec::Vec};
use core::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    grammar::{alphanumeric_and, is_encoded},
    origin::{Authority, AuthorityError},
};

/// A `ws://` or `wss://` URI, checked: what a client connects to.
///
/// ```
/// use sansock::handshake::Uri;
///
/// let uri = Uri::parse("wss://[2001:db8::1]/chat?room=1")?;
/// assert!(uri.is_secure());
/// assert_eq!((uri.host(), uri.port()), ("2001:db8::1", 443));
/// assert_eq!(uri.target(), "/chat?room=1");
/// # Ok::<(), sansock::handshake::UriError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Uri<'a> {
    pub(crate) secure: bool,
    pub(crate) userinfo: Option<&'a str>,
    pub(crate) authority: Authority<'a>,
    pub(crate) path_and_query: &'a str,
}

/// Why a text is no `ws://` or `wss://` URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UriError {
    /// It does not begin with `ws://` or `wss://`.
    Scheme,
    /// The host is missing or malformed; an IPv6 address stands in brackets, without a zone.
    Host,
    /// The port is no number from 1 to 65535.
    Port,
    /// It has a fragment, which no WebSocket URI has (RFC 6455 §3). A `#` that is meant is written `%23`.
    Fragment,
    /// It has a character that no URI has, or a `%` without two hexadecimal digits: percent-encode it (RFC 3986 §2).
    Character,
}

impl<'a> Uri<'a> {
    /// Checks a URI and takes it apart.
    pub fn parse(uri: &'a str) -> Result<Self, UriError> {
        let (scheme, rest) = uri.split_once("://").ok_or(UriError::Scheme)?;
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("ws") => false,
            _ if scheme.eq_ignore_ascii_case("wss") => true,
            _ => return Err(UriError::Scheme),
        };
        if rest.contains('#') {
            return Err(UriError::Fragment);
        }
        let (authority, path_and_query) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        if !userinfo.is_none_or(is_userinfo) || !is_encoded(path_and_query.as_bytes(), &PATH_AND_QUERY) {
            return Err(UriError::Character);
        }
        Ok(Self { secure, userinfo, authority: Authority::parse(host)?, path_and_query })
    }

    /// Whether it is `wss`: over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host's name or address, to resolve and to name in TLS; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &'a str {
        self.authority.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(self.authority.host)
    }

    /// The port; 80 or 443 when the URI names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.authority.port.unwrap_or(self.default_port())
    }

    /// What the Host field says: the port only when it is not the scheme's (RFC 6455 §4.1, fourth item).
    #[must_use]
    pub fn authority(&self) -> &'a str {
        match self.authority.port {
            Some(port) if port != self.default_port() => self.authority.text,
            _ => self.authority.host,
        }
    }

    /// The request target: path and query, `/` when there is no path (RFC 6455 §3).
    #[must_use]
    pub fn target(&self) -> Cow<'a, str> {
        if self.path_and_query.starts_with('/') {
            self.path_and_query.into()
        } else {
            format!("/{}", self.path_and_query).into()
        }
    }

    /// What stands before the `@`, still percent-encoded.
    #[must_use]
    pub fn userinfo(&self) -> Option<&'a str> {
        self.userinfo
    }

    /// The userinfo as the value of an Authorization field: `Basic` and the base64 form (RFC 7617).
    #[must_use]
    pub fn basic_auth(&self) -> Option<String> {
        self.userinfo.map(basic_auth)
    }

    fn default_port(&self) -> u16 {
        if self.secure { 443 } else { 80 }
    }
}

/// Keeps what authenticates a user out of logs.
impl fmt::Debug for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        let userinfo = if self.userinfo.is_some() { "..@" } else { "" };
        write!(f, "{scheme}://{userinfo}{}{}", self.authority.text, self.path_and_query)
    }
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the URI does not begin with ws:// or wss://",
            Self::Host => "the URI's host is missing or malformed",
            Self::Port => "the URI's port is no number from 1 to 65535",
            Self::Fragment => "a WebSocket URI has no fragment",
            Self::Character => "the URI has a character that must be percent-encoded",
        })
    }
}

impl core::error::Error for UriError {}

impl From<AuthorityError> for UriError {
    fn from(error: AuthorityError) -> Self {
        match error {
            AuthorityError::Host => Self::Host,
            AuthorityError::Port => Self::Port,
        }
    }
}

/// An absolute `http`, `https`, `ws` or `wss` URI as a request target (RFC 9112 §3.2.2): its scheme and authority.
pub(crate) fn absolute_target(target: &str) -> Option<(&str, Authority<'_>)> {
    let (scheme, rest) = target.split_once("://")?;
    let known = ["ws", "wss", "http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let authority = rest.split(['/', '?']).next()?;
    if known { Some((scheme, Authority::parse(authority).ok()?)) } else { None }
}

// Unreserved characters and those that each part may have besides (RFC 3986 §2.3, §3.2 to §3.4).
const USERINFO: [bool; 256] = alphanumeric_and(b"-._~!$&'()*+,;=:");
const PATH_AND_QUERY: [bool; 256] = alphanumeric_and(b"-._~!$&'()*+,;=:@/?");

/// Userinfo as the value of an Authorization field (RFC 7617 §2): `Basic`, and user and password in base64.
pub(crate) fn basic_auth(userinfo: &str) -> String {
    let mut credentials = percent_decode(userinfo);
    if !userinfo.contains(':') {
        credentials.push(b':');
    }
    format!("Basic {}", STANDARD.encode(credentials))
}

pub(crate) fn is_userinfo(text: &str) -> bool {
    is_encoded(text.as_bytes(), &USERINFO)
}

/// Decodes what [`is_encoded`] found to be complete.
pub(crate) fn percent_decode(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let byte;
        (byte, rest) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => (digit(*high) << 4 | digit(*low), tail),
            _ => (*first, tail),
        };
        decoded.push(byte);
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r36_a_uri_gives_the_host_the_port_and_the_target() {
        let parts = |text| {
            let uri = Uri::parse(text).unwrap();
            (uri.is_secure(), uri.host(), uri.port(), uri.authority(), uri.target().into_owned())
        };
        assert_eq!(parts("ws://h"), (false, "h", 80, "h", "/".into()));
        assert_eq!(parts("WSS://H.example:443/"), (true, "H.example", 443, "H.example", "/".into()));
        assert_eq!(parts("ws://h:443/a/b?c=d?e"), (false, "h", 443, "h:443", "/a/b?c=d?e".into()));
        assert_eq!(parts("ws://h:?q"), (false, "h", 80, "h", "/?q".into()));
        assert_eq!(parts("ws://[::1]:8080/"), (false, "::1", 8080, "[::1]:8080", "/".into()));
        assert_eq!(parts("wss://[::1]"), (true, "::1", 443, "[::1]", "/".into()));
        assert_eq!(parts("ws://u:p@127.0.0.1/%20"), (false, "127.0.0.1", 80, "127.0.0.1", "/%20".into()));
    }

    #[test]
    fn what_is_no_websocket_uri_is_refused() {
        for (text, error) in [
            ("", UriError::Scheme),
            ("h", UriError::Scheme),
            ("http://h/", UriError::Scheme),
            ("ws:/h", UriError::Scheme),
            (" ws://h", UriError::Scheme),
            ("ws://", UriError::Host),
            ("ws:///p", UriError::Host),
            ("ws://:80/", UriError::Host),
            ("ws://::1/", UriError::Host),
            ("ws://[::1/", UriError::Host),
            ("ws://[::1]x/", UriError::Host),
            ("ws://[]/", UriError::Host),
            ("ws://[fe80::1%25eth0]/", UriError::Host),
            ("ws://a,b/", UriError::Host),
            ("ws://a b/", UriError::Host),
            ("ws://\u{e9}/", UriError::Host),
            ("ws://h\r\nx/", UriError::Host),
            ("ws://h:x/", UriError::Port),
            ("ws://h:0/", UriError::Port),
            ("ws://h:+80/", UriError::Port),
            ("ws://h:080/", UriError::Port),
            ("ws://h:65536/", UriError::Port),
            ("ws://h/#", UriError::Fragment),
            ("ws://h#f", UriError::Fragment),
            ("ws://h/a b", UriError::Character),
            ("ws://h/\u{e9}", UriError::Character),
            ("ws://h/\r\n", UriError::Character),
            ("ws://h/%", UriError::Character),
            ("ws://h/%2", UriError::Character),
            ("ws://h/%2x", UriError::Character),
            ("ws://h/\\", UriError::Character),
            ("ws://u@v@h/", UriError::Character),
        ] {
            assert_eq!(Uri::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_userinfo_is_there_for_basic_authentication_but_not_for_logs() {
        let auth = |text| Uri::parse(text).unwrap().basic_auth();
        assert_eq!(auth("ws://h/"), None);
        assert_eq!(auth("ws://Aladdin:open%20sesame@h/").unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(auth("ws://u@h/"), auth("ws://u:@h/"));
        assert_eq!(alloc::format!("{:?}", Uri::parse("ws://u:p@h:1/x").unwrap()), "ws://..@h:1/x");
    }
}

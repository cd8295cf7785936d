//! Redirects: whether and where a refusal sends a client on (RFC 9110 §10.2.2, §15.4; RFC 3986 §5.2).
//!
//! [`location`] decides about one answer, and knows nothing of those before it. [`Route`](super::Route) counts, and
//! takes what is secret out of the request when it leaves its origin.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use crate::{
    client::Response,
    handshake::{Uri, UriError},
};

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectError {
    /// There were more than [`max_redirects`](super::Route::max_redirects).
    TooMany,
    /// It leads from `wss` to `ws`, where everybody on the way could read along.
    Insecure,
    /// Its Location is nothing that a WebSocket can be opened to.
    Location(UriError),
}

/// Where a redirect leads.
#[derive(Clone, PartialEq, Eq)]
pub struct Redirect {
    uri: String,
    same_origin: bool,
}

/// Where `response` sends a client that asked for `uri`; `None` when it is no redirect: its status is not 301, 302,
/// 303, 307 or 308, or it has not exactly one Location.
///
/// The Location may be relative. `http` and `https` stand for `ws` and `wss`, and a fragment is dropped, because a
/// WebSocket URI has none.
///
/// # Errors
///
/// [`RedirectError::Insecure`] and [`RedirectError::Location`].
pub fn location(uri: &Uri<'_>, response: &Response) -> Result<Option<Redirect>, RedirectError> {
    if !matches!(response.status(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let mut locations = response.headers().filter(|(name, _)| name.eq_ignore_ascii_case("location"));
    let (Some((_, location)), None) = (locations.next(), locations.next()) else { return Ok(None) };
    let location = core::str::from_utf8(location).map_err(|_| RedirectError::Location(UriError::Character))?;
    resolve(uri, location).map(Some)
}

impl Redirect {
    /// The URI to connect to. The userinfo of the first URI is in it only at the same origin; one that the Location has
    /// is not: the server does not choose as whom a client authenticates.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Whether it is the same scheme, host and port. Elsewhere nothing secret of the request has a place.
    #[must_use]
    pub fn is_same_origin(&self) -> bool {
        self.same_origin
    }
}

/// Keeps what authenticates a user out of logs.
impl fmt::Debug for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut redirect = f.debug_struct("Redirect");
        if let Ok(uri) = Uri::parse(&self.uri) {
            redirect.field("uri", &uri);
        }
        redirect.field("same_origin", &self.same_origin).finish()
    }
}

/// RFC 3986 §5.2.2, for what may stand in a Location.
fn resolve(base: &Uri<'_>, location: &str) -> Result<Redirect, RedirectError> {
    let reference = location.split('#').next().unwrap_or_default();
    let (secure, rest) = match scheme(reference) {
        None => (base.secure, reference),
        Some((scheme, rest)) => {
            let is = |names: [&str; 2]| names.iter().any(|name| scheme.eq_ignore_ascii_case(name));
            let secure = is(["wss", "https"]);
            if !(secure || is(["ws", "http"])) || !rest.starts_with("//") {
                return Err(RedirectError::Location(UriError::Scheme));
            }
            (secure, rest)
        }
    };
    let scheme = if secure { "wss" } else { "ws" };
    let absolute = if rest.starts_with("//") {
        format!("{scheme}:{rest}")
    } else {
        format!("{scheme}://{}{}", base.authority.text, merge(base.path_and_query, rest))
    };
    let target = Uri::parse(&absolute).map_err(RedirectError::Location)?;
    if base.secure && !target.secure {
        return Err(RedirectError::Insecure);
    }
    let same_origin =
        base.secure == target.secure && base.host().eq_ignore_ascii_case(target.host()) && base.port() == target.port();
    let userinfo = base.userinfo.filter(|_| same_origin).map(|text| format!("{text}@")).unwrap_or_default();
    let path = without_dots(target.path_and_query);
    Ok(Redirect { uri: format!("{scheme}://{userinfo}{}{path}", target.authority.text), same_origin })
}

/// The scheme of a reference that has one, and what follows its colon (§4.1, §4.2).
fn scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    if scheme.contains(['/', '?']) { None } else { Some((scheme, rest)) }
}

/// The path and query that a relative reference means beside those of the base (§5.2.2, §5.2.3).
fn merge(base: &str, reference: &str) -> String {
    let path = base.split('?').next().unwrap_or_default();
    match reference.chars().next() {
        None => base.to_string(),
        Some('/') => reference.to_string(),
        Some('?') => format!("{path}{reference}"),
        Some(_) => format!("{}/{reference}", path.rsplit_once('/').unwrap_or_default().0),
    }
}

/// Without the segments `.` and `..` (§5.2.4).
fn without_dots(path_and_query: &str) -> String {
    let (path, query) = path_and_query.split_at(path_and_query.find('?').unwrap_or(path_and_query.len()));
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        kept.push("");
    }
    format!("/{}{query}", kept.join("/"))
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => f.write_str("too many redirects"),
            Self::Insecure => f.write_str("a redirect leads from wss to ws"),
            Self::Location(error) => write!(f, "a redirect's Location cannot be connected to: {error}"),
        }
    }
}

impl core::error::Error for RedirectError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        if let Self::Location(error) = self { Some(error) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(base: &str, location: &str) -> Result<(String, bool), RedirectError> {
        resolve(&Uri::parse(base).unwrap(), location).map(|redirect| (redirect.uri, redirect.same_origin))
    }

    /// RFC 3986 §5.4, as far as a WebSocket URI can have it.
    #[test]
    fn relative_references_are_resolved_as_the_rfc_does() {
        for (reference, path) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("?y", "/b/c/d;p?y"),
            ("g?y", "/b/c/g?y"),
            ("#s", "/b/c/d;p?q"),
            ("g#s", "/b/c/g"),
            ("g?y#s", "/b/c/g?y"),
            (";x", "/b/c/;x"),
            ("g;x", "/b/c/g;x"),
            ("g;x?y#s", "/b/c/g;x?y"),
            ("", "/b/c/d;p?q"),
            (".", "/b/c/"),
            ("./", "/b/c/"),
            ("..", "/b/"),
            ("../", "/b/"),
            ("../g", "/b/g"),
            ("../..", "/"),
            ("../../", "/"),
            ("../../g", "/g"),
            ("../../../g", "/g"),
            ("../../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g.", "/b/c/g."),
            (".g", "/b/c/.g"),
            ("g..", "/b/c/g.."),
            ("..g", "/b/c/..g"),
            ("./../g", "/b/g"),
            ("./g/.", "/b/c/g/"),
            ("g/./h", "/b/c/g/h"),
            ("g/../h", "/b/c/h"),
            ("g;x=1/./y", "/b/c/g;x=1/y"),
            ("g;x=1/../y", "/b/c/y"),
            ("g?y/./x", "/b/c/g?y/./x"),
            ("g?y/../x", "/b/c/g?y/../x"),
            ("g?a:b", "/b/c/g?a:b"),
            ("/g:h", "/g:h"),
        ] {
            assert_eq!(resolved("ws://a/b/c/d;p?q", reference), Ok((format!("ws://a{path}"), true)), "{reference:?}");
        }
        assert_eq!(resolved("ws://a", "g"), Ok(("ws://a/g".into(), true)));
        assert_eq!(resolved("ws://a?q", "g"), Ok(("ws://a/g".into(), true)));
        assert_eq!(resolved("ws://a?q", ""), Ok(("ws://a/?q".into(), true)));
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |base, location| resolved(base, location).unwrap().1;
        assert!(same("ws://a/", "ws://A:80/x"));
        assert!(same("ws://a/", "http://a/x"));
        assert!(same("wss://a:443/", "https://a/x"));
        assert!(same("wss://[::1]/", "//[::1]:443/x"));
        assert!(!same("ws://a/", "ws://a:81/"));
        assert!(!same("ws://a/", "ws://a.b/"));
        assert!(!same("ws://a/", "wss://a/"));
        assert!(!same("ws://a:443/", "wss://a/"));
    }
}

//! Requests and answers as values of the crate `http`, for every HTTP library that speaks in them.
//!
//! A server makes a [`request`] of what the library parsed, and answers by [`accept`] or with a [`refusal`]:
//!
//! ```
//! use sansock::{Config, adapter::http, server};
//!
//! let upgrade = ::http::Request::get("/chat")
//!     .header("Host", "example.com")
//!     .header("Upgrade", "websocket")
//!     .header("Connection", "Upgrade")
//!     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
//!     .header("Sec-WebSocket-Version", "13")
//!     .body(())?;
//! let request = http::request(&upgrade, None, &Config::default())?;
//! let (connection, answer) = http::accept(&request, &server::Response::new())?;
//! assert_eq!(answer.status(), 101);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A client sends what [`connect`] or [`extended_connect`] made, and gives the answer's status and [`fields`] to the
//! handshake that came with it.

use core::iter;
use std::string::{String, ToString};

use ::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    request::Parts,
    uri::{Authority, PathAndQuery},
};

use crate::{
    Config, Connection, client,
    handshake::{FieldError, Refused, RequestError, ResponseError, UpgradeError},
    server,
};

/// The request that an HTTP library parsed, of HTTP/1.1, HTTP/2 or HTTP/3. `protocol` is the `:protocol` of an extended
/// CONNECT, which libraries keep each in a place of its own.
///
/// The error says that it can be no WebSocket's: [`refusal`] answers it. What else it lacks is in its
/// [`verdict`](server::Request::verdict).
pub fn request<B>(
    request: &Request<B>,
    protocol: Option<&str>,
    config: &Config,
) -> Result<server::Request, UpgradeError> {
    read(request.method(), request.uri(), request.version(), request.headers(), protocol, config)
}

/// The same of a request's parts.
pub fn request_from_parts(
    parts: &Parts,
    protocol: Option<&str>,
    config: &Config,
) -> Result<server::Request, UpgradeError> {
    read(&parts.method, &parts.uri, parts.version, &parts.headers, protocol, config)
}

fn read(
    method: &Method,
    uri: &Uri,
    version: Version,
    headers: &HeaderMap,
    protocol: Option<&str>,
    config: &Config,
) -> Result<server::Request, UpgradeError> {
    if version < Version::HTTP_11 {
        return Err(UpgradeError::HttpVersion);
    }
    let request = if version == Version::HTTP_11 {
        server::Request::from_parts(method.as_str(), &target(uri), fields(headers), config)
    } else {
        let pseudo = [
            (":method", Some(method.as_str())),
            (":protocol", protocol),
            (":scheme", uri.scheme_str()),
            (":authority", uri.authority().map(Authority::as_str)),
            (":path", uri.path_and_query().map(PathAndQuery::as_str)),
        ];
        let pseudo = pseudo.into_iter().filter_map(|(name, value)| Some((name, value?.as_bytes())));
        server::Request::from_fields(pseudo.chain(fields(headers)), config)
    };
    // Names and values of these types are valid; a URI may have bytes that no request has.
    request.map_err(|_| UpgradeError::Target)
}

/// The request target: an absolute URI only if it was one (RFC 9112 §3.2).
fn target(uri: &Uri) -> String {
    match (uri.scheme(), uri.path_and_query()) {
        (None, Some(path)) => path.as_str().into(),
        _ => uri.to_string(),
    }
}

/// Accepts a request, and makes the answer, to which the HTTP library may add what it likes.
///
/// An error is answered by a [`refusal`]. [`Refused::Response`] is the caller's fault, who may try another response.
pub fn accept(
    request: &server::Request,
    response: &server::Response<'_>,
) -> Result<(Connection, Response<()>), Refused> {
    let own = headers(response.fields().iter().copied()).map_err(ResponseError::from)?;
    let (connection, accepted) = request.accept_parts(response)?;
    let mut answer = respond(accepted.status(), accepted.fields(), ());
    answer.headers_mut().extend(own);
    Ok((connection, answer))
}

/// What answers a request that was refused, with a line of text that says why. When it was refused by the caller's
/// fault, a 500 that does not.
#[must_use]
pub fn refusal(refused: impl Into<Refused>) -> Response<&'static str> {
    match refused.into() {
        Refused::Request(error) => respond(error.status(), error.fields().iter().copied(), error.reason()),
        Refused::Response(_) => respond(500, iter::empty(), "the server has no valid answer"),
    }
}

fn respond<'a, B>(status: u16, fields: impl Iterator<Item = (&'a str, &'a [u8])>, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    // The handshake's own, which are all valid.
    *response.headers_mut() = headers(fields).unwrap_or_default();
    response
}

/// A client's request for HTTP/1.1, and what reads its answer: [`receive_parts`](client::Handshake::receive_parts).
///
/// `seed` and the error are those of [`client::connect`].
pub fn connect(
    request: &client::Request<'_>,
    config: &Config,
    seed: [u8; 32],
) -> Result<(client::Handshake, Request<()>), RequestError> {
    let (handshake, parts) = client::connect_parts(request, config, seed)?;
    Ok((handshake, write(&parts, parts.target(), Version::HTTP_11)?))
}

/// A client's request for HTTP/2 or HTTP/3, and what reads its answer:
/// [`receive_parts`](client::ExtendedConnect::receive_parts). Its `:protocol`, which is `websocket`, is for the HTTP
/// library to add.
///
/// `seed` and the error are those of [`client::extended_connect`].
pub fn extended_connect(
    request: &client::Request<'_>,
    config: &Config,
    seed: [u8; 32],
) -> Result<(client::ExtendedConnect, Request<()>), RequestError> {
    let (handshake, parts) = client::extended_connect(request, config, seed)?;
    let pseudo = |wanted| {
        let value = parts.fields().find(|(name, _)| *name == wanted).map(|(_, value)| String::from_utf8_lossy(value));
        value.unwrap_or_default()
    };
    let uri = std::format!("{}://{}{}", pseudo(":scheme"), pseudo(":authority"), parts.target());
    Ok((handshake, write(&parts, &uri, Version::HTTP_2)?))
}

fn write(parts: &client::Parts, uri: &str, version: Version) -> Result<Request<()>, RequestError> {
    let mut request = Request::new(());
    *request.method_mut() =
        Method::from_bytes(parts.method().as_bytes()).map_err(|_| RequestError::Method(parts.method().into()))?;
    *request.uri_mut() = uri.parse().map_err(|_| RequestError::Target(uri.into()))?;
    *request.version_mut() = version;
    *request.headers_mut() = headers(parts.fields().filter(|(name, _)| !name.starts_with(':')))?;
    Ok(request)
}

/// The header fields, for the functions that take them as pairs.
pub fn fields(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

/// The other way. The handshake checked them by the same rules, but a `HeaderMap` has room for so many and so long
/// names only.
fn headers<'a>(fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<HeaderMap, FieldError> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| FieldError::Name(name.into()))?;
        let value = HeaderValue::from_bytes(value).map_err(|_| FieldError::Value(name.into()))?;
        headers.try_append(header, value).map_err(|_| FieldError::Name(name.into()))?;
    }
    Ok(headers)
}

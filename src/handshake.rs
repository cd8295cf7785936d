//! The opening handshake (RFC 6455 §4), both roles, as typestates that end by yielding a [`Connection`].
//!
//! [`server`] reads a request and answers it, [`client`] writes one and reads the answer. Both read a head byte by byte
//! or all at once, and leave what follows it in the caller's buffer: the first frames may be there already. What
//! decides is written over a list of header fields, so that requests that an HTTP library parsed take the same code:
//! [`server::Request::from_parts`], [`client::connect_parts`]; over HTTP/2 and HTTP/3 (RFC 8441, RFC 9220)
//! [`server::Request::from_fields`], [`client::extended_connect`].
//!
//! Redirects and proxies of a client are in `route`.
//!
//! [`Connection`]: crate::Connection

pub mod client;
pub(crate) mod deadline;
mod error;
mod extended_connect;
mod headers;
pub(crate) mod http;
mod key;
mod negotiate;
mod response;
pub mod server;
mod uri;

#[cfg(feature = "route")]
pub(crate) use uri::{basic_auth, is_userinfo, percent_decode};
pub use {
    error::{HandshakeError, Refused, RequestError, ResponseError, UpgradeError},
    headers::{Extension, Extensions, Params, Subprotocols},
    http::{
        error::{FieldError, HeadError, Malformed},
        head::Fields,
    },
    key::accept_key,
    uri::{Uri, UriError},
};

//! The opening handshake (RFC 6455 §4), both roles, as typestates that end by yielding a [`Connection`].
//!
//! [`server`] reads a request and answers it, [`client`] writes one and reads the answer. Both read a head byte by byte
//! or all at once, and leave what follows it in the caller's buffer: the first frames may be there already. What decides
//! is written over a list of header fields, so that requests that an HTTP library parsed take the same code:
//! [`server::Request::from_parts`], [`client::connect_parts`]; over HTTP/2 and HTTP/3 (RFC 8441, RFC 9220)
//! [`server::Request::from_fields`], [`client::extended_connect`].
//!
//! Around a client's handshake stand [`redirect`] and [`proxy`]; a [`Route`] takes them together.
//!
//! [`Connection`]: crate::Connection

use alloc::string::String;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

mod answer;
mod body;
pub mod client;
mod deadline;
mod error;
mod extended_connect;
mod head;
mod headers;
mod negotiate;
mod offer;
pub mod proxy;
pub mod redirect;
mod request;
mod response;
mod route;
mod scan;
pub mod server;
mod uri;
mod write;

pub use {
    error::{HandshakeError, Malformed, Refused, UpgradeError},
    head::Fields,
    headers::{Extension, Extensions, Params, Subprotocols},
    route::Route,
    uri::{Uri, UriError},
};

/// What a server appends to the key (§1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key (§4.2.2): base64 of the SHA-1 of the key's text and a
/// constant.
///
/// ```
/// assert_eq!(sansock::handshake::accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[must_use]
pub fn accept_key(key: &str) -> String {
    STANDARD.encode(digest(key.as_bytes()))
}

/// The same without an allocation.
fn accept(key: &[u8; 24]) -> [u8; 28] {
    base64(&digest(key))
}

/// Base64 in exactly the room that it takes: four characters for every three bytes that begin.
fn base64<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut text = [0; N];
    let len = STANDARD.encode_slice(bytes, &mut text);
    debug_assert_eq!(len, Ok(N));
    text
}

fn digest(key: &[u8]) -> [u8; 20] {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    hash.finalize().into()
}

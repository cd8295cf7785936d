//! A client's opening handshake on a stream of HTTP/2 or HTTP/3 (RFC 8441, RFC 9220): [`extended_connect`].

use alloc::{borrow::Cow, boxed::Box, vec::Vec};
use core::fmt;

use super::{
    offer::{Offer, Parts},
    request::Request,
};
use crate::{
    config::Config,
    connection::Connection,
    handshake::{
        error::{HandshakeError, RequestError},
        extended_connect::is_connection_specific,
        http::error::{FieldError, Malformed},
        response::Response,
    },
};

/// What a client sends to open a WebSocket on a stream of HTTP/2 or HTTP/3, for the HTTP library that writes it.
///
/// First the server must have said `SETTINGS_ENABLE_CONNECT_PROTOCOL = 1` (RFC 8441 §3): the HTTP library knows. What
/// goes out and comes in on the stream behind the answer is the WebSocket.
///
/// `seed` must come fresh from a good source of randomness for each connection, as in [`connect`](super::connect).
/// The error is the caller's: a malformed host, target, subprotocol or field.
///
/// ```
/// use sansock::{Config, client};
///
/// let request = client::Request::new("example.com", "/chat").subprotocols(&["chat"]);
/// let (handshake, parts) = client::extended_connect(&request, &Config::default(), [7; 32])?;
/// let fields: Vec<(&str, &[u8])> = parts.fields().collect();
/// assert_eq!(fields[..2], [(":method", &b"CONNECT"[..]), (":protocol", b"websocket")]);
/// let (connection, response) = handshake.receive_parts(200, [("sec-websocket-protocol", &b"chat"[..])])?;
/// assert_eq!(response.subprotocol(), Some("chat"));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn extended_connect(
    request: &Request<'_>,
    config: &Config,
    seed: [u8; 32],
) -> Result<(ExtendedConnect, Parts), RequestError> {
    let offer = Offer::new(request, config, seed)?;
    let pseudo = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", request.scheme()),
        (":authority", &request.host),
        (":path", &request.target),
    ];
    let extensions = offer.extensions();
    let mut fields = Vec::new();
    for (name, value) in offer.fields(request, extensions.as_deref()) {
        if is_connection_specific(name.as_bytes(), value) {
            return Err(FieldError::ConnectionSpecific(name.into()).into());
        }
        fields.push((lower_case(name), value));
    }
    let fields = fields.iter().map(|(name, value)| (&**name, *value));
    let parts = Parts::new(
        "CONNECT",
        &request.target,
        pseudo.map(|(name, value)| (name, value.as_bytes())).into_iter().chain(fields),
    );
    Ok((ExtendedConnect { offer }, parts))
}

/// RFC 9113 §8.2.1: field names are in lower case.
fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

/// Waits for the answer to an [`extended_connect`]. It keeps no deadline: the HTTP library waits.
pub struct ExtendedConnect {
    offer: Offer,
}

impl ExtendedConnect {
    /// The answer, by its status and its fields; no interim one (1xx). What the server sends behind it are frames.
    ///
    /// Any status but 2xx, 101 too, is [`HandshakeError::Rejected`], without its body (RFC 8441 §5).
    pub fn receive_parts<'a>(
        self,
        status: u16,
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<(Connection, Response), HandshakeError> {
        let response = Response::from_parts(status, fields);
        // R117: 2xx takes the place of 101.
        if !matches!(status, 200..=299) {
            return Err(HandshakeError::Rejected(Box::new(response)));
        }
        if response.head.raw_fields().any(|(name, value)| is_connection_specific(name, value)) {
            return Err(Malformed::ConnectionSpecific.into());
        }
        self.offer.finish(response, None)
    }
}

/// Without the seed, which would tell the masks.
impl fmt::Debug for ExtendedConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtendedConnect").finish_non_exhaustive()
    }
}

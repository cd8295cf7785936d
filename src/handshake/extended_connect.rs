//! The opening handshake over HTTP/2 (RFC 8441) and HTTP/3 (RFC 9220), both roles, over fields that an HTTP library has
//! parsed or will write.
//!
//! An extended CONNECT asks by its pseudo-header fields instead of Upgrade, Connection and a key, and 2xx is the answer;
//! everything else is as over HTTP/1.1. Frames, and masking, stay as they are: the stream takes the place of the TCP
//! connection. The end of its sending half stands for FIN, its reset with CANCEL (`H3_REQUEST_CANCELLED`) for RST.

use alloc::{borrow::Cow, boxed::Box, vec::Vec};
use core::fmt;

use super::{
    client::Request,
    error::{HandshakeError, Malformed, UpgradeError},
    negotiate::{Once, RequestFields, authority},
    offer::{Offer, Parts},
    response::Response,
    uri::{Authority, default_port},
};
use crate::{
    config::{Config, OriginPolicy},
    connection::Connection,
    error::SendError,
};

/// What the pseudo-header fields of a request say (RFC 9113 §8.3.1, RFC 8441 §4).
#[derive(Debug, Default)]
pub(super) struct Pseudo<'a> {
    pub(super) method: Once<'a>,
    protocol: Once<'a>,
    scheme: Once<'a>,
    pub(super) authority: Once<'a>,
    pub(super) path: Once<'a>,
    malformed: bool,
}

impl<'a> Pseudo<'a> {
    /// One more of them. Each comes `first`, before all other fields (RFC 9113 §8.3).
    pub(super) fn add(&mut self, name: &str, value: &'a [u8], first: bool) {
        let known = match name {
            ":method" => &mut self.method,
            ":protocol" => &mut self.protocol,
            ":scheme" => &mut self.scheme,
            ":authority" => &mut self.authority,
            ":path" => &mut self.path,
            _ => return self.malformed = true,
        };
        known.add(value);
        self.malformed |= *known == Once::Repeated || !first;
    }

    /// Whether the request asks for another protocol than HTTP.
    pub(super) fn has_protocol(&self) -> bool {
        self.protocol != Once::Absent
    }

    /// The verdict on a request with these pseudo-header fields and these others (RFC 8441 §5).
    pub(super) fn verdict<'f>(
        &self,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
        subprotocols: impl Iterator<Item = &'f [u8]> + Clone,
        policy: &OriginPolicy,
    ) -> Result<(), UpgradeError> {
        let method = self.method.one().ok_or(UpgradeError::Pseudo)?;
        if self.malformed {
            return Err(UpgradeError::Pseudo);
        }
        if method != b"CONNECT" {
            return Err(UpgradeError::Connect);
        }
        let required = [self.protocol, self.scheme, self.authority, self.path];
        let [Some(protocol), Some(scheme), Some(own), Some(path)] = required.map(Once::one) else {
            return Err(UpgradeError::Pseudo);
        };
        // RFC 8441 §5: the scheme is https for wss, and http for ws.
        let known = ["https", "http"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known.as_bytes()));
        let scheme = known.ok_or(UpgradeError::Pseudo)?;
        if fields.clone().any(|(name, value)| is_connection_specific(name, value)) {
            return Err(UpgradeError::ConnectionSpecific);
        }
        // RFC 9220 §3: 501 for a protocol that the server does not know.
        if !protocol.eq_ignore_ascii_case(b"websocket") {
            return Err(UpgradeError::Protocol);
        }
        if path.first() != Some(&b'/') || path.iter().any(|&byte| !byte.is_ascii_graphic() || byte == b'#') {
            return Err(UpgradeError::Target);
        }
        let fields = RequestFields::collect(fields);
        let own = authority(own).ok_or(UpgradeError::Host)?;
        // RFC 9113 §8.3.1: a Host is not needed, but must not name somebody else.
        match fields.host {
            Once::Absent => {}
            Once::One(host) if authority(host).is_some_and(|host| is_same(host, own, scheme)) => {}
            _ => return Err(UpgradeError::Host),
        }
        if fields.content_length() != Ok(0) {
            return Err(UpgradeError::Body);
        }
        fields.check_version().map_err(|_| UpgradeError::ConnectVersion)?;
        fields.check_offer(Some(scheme), own, subprotocols, policy)
    }
}

fn is_same(one: Authority<'_>, other: Authority<'_>, scheme: &str) -> bool {
    let port = |authority: Authority<'_>| authority.port.or(default_port(scheme));
    one.host.eq_ignore_ascii_case(other.host) && port(one) == port(other)
}

/// Whether HTTP/2 and HTTP/3 do not have this field (RFC 9113 §8.2.2, RFC 9114 §4.2).
pub(super) fn is_connection_specific(name: &[u8], value: &[u8]) -> bool {
    const NAMES: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        || name.eq_ignore_ascii_case(b"te") && !value.eq_ignore_ascii_case(b"trailers")
}

/// What a client sends to open a WebSocket on a stream of HTTP/2 or HTTP/3, for the HTTP library that writes it.
///
/// First the server must have said `SETTINGS_ENABLE_CONNECT_PROTOCOL = 1` (RFC 8441 §3): the HTTP library knows. What goes
/// out and comes in on the stream behind the answer is the WebSocket.
///
/// `seed` must come fresh from a good source of randomness for each connection, as in [`connect`](super::client::connect).
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
) -> Result<(ExtendedConnect, Parts), SendError> {
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
            return Err(SendError::ConnectionSpecific);
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

//! The opening handshake over HTTP/2 (RFC 8441) and HTTP/3 (RFC 9220), both roles, over fields that an HTTP library has
//! parsed or will write.
//!
//! An extended CONNECT asks by its pseudo-header fields instead of Upgrade, Connection and a key, and 2xx is the
//! answer. Everything else is as over HTTP/1.1. Frames, and masking, stay as they are (R119): the stream takes the
//! place of the TCP connection. The end of its sending half stands for FIN, its reset with CANCEL
//! (`H3_REQUEST_CANCELLED`) for RST.

use super::{
    error::UpgradeError,
    negotiate::{Once, Opening, RequestFields, authority},
};
use crate::origin::{Authority, default_port};

/// What the pseudo-header fields of a request say (RFC 9113 §8.3.1, RFC 8441 §4).
#[derive(Debug, Default)]
pub(super) struct Pseudo<'a> {
    pub(super) method: Once<&'a [u8]>,
    protocol: Once<&'a [u8]>,
    scheme: Once<&'a [u8]>,
    pub(super) authority: Once<&'a [u8]>,
    pub(super) path: Once<&'a [u8]>,
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

    /// What a request with these pseudo-header fields and these others asks for (RFC 8441 §5).
    pub(super) fn opening<'f>(
        &self,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
        subprotocols: impl Iterator<Item = &'f [u8]> + Clone,
    ) -> Result<Opening<'f>, UpgradeError>
    where
        'a: 'f,
    {
        let method = self.method.one().ok_or(UpgradeError::Pseudo)?;
        if self.malformed {
            return Err(UpgradeError::Pseudo);
        }
        if method != b"CONNECT" {
            return Err(UpgradeError::Connect);
        }
        // R113, RFC 8441 §4: "the :scheme and :path pseudo-header fields of the target URI (see Section 5) MUST also be
        // included"
        let required = [self.protocol, self.scheme, self.authority, self.path];
        let [Some(protocol), Some(scheme), Some(own), Some(path)] = required.map(Once::one) else {
            return Err(UpgradeError::Pseudo);
        };
        // R113, RFC 8441 §5: "The scheme of the target URI … MUST be 'https' for 'wss'-schemed WebSockets and 'http'
        // for 'ws'-schemed WebSockets."
        let known = ["https", "http"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known.as_bytes()));
        let scheme = known.ok_or(UpgradeError::Pseudo)?;
        // R115, RFC 8441 §5: "requires the use of Connection and Upgrade header fields that are not part of HTTP/2.
        // They MUST NOT be included in the CONNECT request defined here."
        if fields.clone().any(|(name, value)| is_connection_specific(name, value)) {
            return Err(UpgradeError::ConnectionSpecific);
        }
        // R118, RFC 9220 §3: "a ':protocol' value that is unknown or is not supported, the server SHOULD respond to the
        // request with a 501 (Not Implemented) status code"
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
        // R116, RFC 8441 §5: "Sec-WebSocket-Version, Sec-WebSocket-Protocol, and Sec-WebSocket-Extensions header fields
        // are used in the CONNECT request and response-header fields as defined in [RFC6455]"
        fields.check_version().map_err(|_| UpgradeError::ConnectVersion)?;
        fields.check_offer(subprotocols)?;
        // R114, RFC 8441 §5: "do not do the processing of the Sec-WebSocket-Key and Sec-WebSocket-Accept header fields"
        Ok(Opening { key: None, secure: Some(scheme == "https"), authority: own.text, origin: fields.origin })
    }
}

fn is_same(one: Authority<'_>, other: Authority<'_>, scheme: &str) -> bool {
    let port = |authority: Authority<'_>| authority.port.or(default_port(scheme));
    one.host.eq_ignore_ascii_case(other.host) && port(one) == port(other)
}

/// Whether HTTP/2 and HTTP/3 do not have this field (RFC 9113 §8.2.2, RFC 9114 §4.2).
pub(super) fn is_connection_specific(name: &[u8], value: &[u8]) -> bool {
    // R115, RFC 9113 §8.2.2: "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header
    // fields."
    const NAMES: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        || name.eq_ignore_ascii_case(b"te") && !value.eq_ignore_ascii_case(b"trailers")
}

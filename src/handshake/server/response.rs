//! A server's answer to an opening handshake: [`Response`] is the application's part, [`Accepted`] the handshake's (RFC
//! 6455 §4.2.2).

use alloc::string::String;

use crate::handshake::http::write::Field;

/// What the application adds to a 101: the subprotocol that it chose, and header fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct Response<'a> {
    pub(super) subprotocol: Option<&'a str>,
    pub(super) fields: &'a [Field<'a>],
}

impl<'a> Response<'a> {
    /// Nothing: no subprotocol and no fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Speaks this subprotocol, one that the client offers, or none (§4.2.2, item 5.5).
    #[must_use]
    pub fn subprotocol(mut self, chosen: impl Into<Option<&'a str>>) -> Self {
        self.subprotocol = chosen.into();
        self
    }

    /// Adds these header fields, such as Set-Cookie. Those that the handshake writes itself are refused, and so is any
    /// control character.
    #[must_use]
    pub fn headers(mut self, fields: &'a [(&'a str, &'a [u8])]) -> Self {
        self.fields = fields;
        self
    }

    /// The header fields that were added.
    #[must_use]
    pub fn fields(&self) -> &'a [(&'a str, &'a [u8])] {
        self.fields
    }
}

/// What an answer must say for the connection that [`Request::accept_parts`](super::Request::accept_parts) returned.
#[derive(Clone, Debug)]
pub struct Accepted<'a> {
    /// Of a 101.
    pub(super) accept: Option<[u8; 28]>,
    pub(super) subprotocol: Option<&'a str>,
    pub(super) extensions: Option<String>,
}

impl Accepted<'_> {
    /// 101; for an extended CONNECT 200 (R117; RFC 8441 §5).
    #[must_use]
    pub fn status(&self) -> u16 {
        if self.accept.is_some() { 101 } else { 200 }
    }

    /// With 101 Upgrade, Connection and Sec-WebSocket-Accept. If something was chosen, Sec-WebSocket-Protocol and
    /// Sec-WebSocket-Extensions; with 200 their names are in lower case (RFC 9113 §8.2.1).
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let opening = self.accept.as_ref().map(|accept| {
            [("Upgrade", &b"websocket"[..]), ("Connection", b"Upgrade"), ("Sec-WebSocket-Accept", accept)]
        });
        let [subprotocol, extensions] = match opening {
            Some(_) => ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"],
            None => ["sec-websocket-protocol", "sec-websocket-extensions"],
        };
        let chosen = self.subprotocol.map(|chosen| (subprotocol, chosen.as_bytes()));
        let agreed = self.extensions.as_ref().map(|list| (extensions, list.as_bytes()));
        opening.into_iter().flatten().chain(chosen).chain(agreed)
    }
}

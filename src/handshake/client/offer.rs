//! What a client offers (RFC 6455 §4.1), and whether an answer fits it: the same for bytes of HTTP/1.1, for an HTTP
//! library, and for an extended CONNECT.

use alloc::string::String;
#[cfg(feature = "deflate")]
use alloc::string::ToString;

use super::request::Request;
use crate::{
    config::Config,
    connection::Connection,
    handshake::{
        error::{HandshakeError, RequestError},
        http::{
            head::{Fields, Head, Span},
            write::Field,
        },
        negotiate::check_response,
        response::Response,
    },
};
#[cfg(feature = "deflate")]
use crate::{deflate, handshake::headers::sole_extension};

/// A request that an HTTP library writes. It owns what it holds.
#[derive(Clone, Debug)]
pub struct Parts {
    method: &'static str,
    target: Span,
    head: Head,
}

impl Parts {
    pub(super) fn new<'f>(
        method: &'static str,
        target: &str,
        fields: impl Iterator<Item = (&'f str, &'f [u8])>,
    ) -> Self {
        let (head, [target]) = Head::from_parts([target], fields);
        Self { method, target, head }
    }

    /// `GET`; of an [`extended_connect`](super::extended_connect) `CONNECT`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// A path with perhaps a query.
    #[must_use]
    pub fn target(&self) -> &str {
        self.head.str(self.target)
    }

    /// All header fields. Those of an [`extended_connect`](super::extended_connect) are in lower case, and the
    /// pseudo-header fields come first; those of HTTP/1.1 have a Host.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        self.head.fields()
    }
}

/// What was offered, until the answer comes, and what the connection will be made of.
pub(super) struct Offer {
    seed: [u8; 32],
    /// As the field says it.
    subprotocols: String,
    pub(super) config: Config,
}

impl Offer {
    /// The error is the caller's: a malformed host, target, subprotocol or field.
    pub(super) fn new(request: &Request<'_>, config: &Config, seed: [u8; 32]) -> Result<Self, RequestError> {
        request.check()?;
        Ok(Self { seed, subprotocols: request.subprotocols.join(", "), config: config.clone() })
    }

    /// The extensions that are offered, as the field says it.
    #[cfg(feature = "deflate")]
    pub(super) fn extensions(&self) -> Option<String> {
        self.config.deflate.map(|deflate| deflate.offer().to_string())
    }

    #[cfg(not(feature = "deflate"))]
    #[allow(clippy::unused_self, reason = "nothing is offered without the feature")]
    pub(super) fn extensions(&self) -> Option<String> {
        None
    }

    /// The fields that are the same for every way of asking (§4.1, items 8 to 12).
    #[inline]
    pub(super) fn fields<'f>(
        &'f self,
        request: &'f Request<'_>,
        extensions: Option<&'f str>,
    ) -> impl Iterator<Item = Field<'f>> {
        let subprotocols = if self.subprotocols.is_empty() { None } else { Some(self.subprotocols.as_str()) };
        let optional = [
            ("Sec-WebSocket-Version", Some("13")),
            ("Sec-WebSocket-Protocol", subprotocols),
            ("Sec-WebSocket-Extensions", extensions),
            ("Origin", request.origin),
            ("Authorization", request.authorization()),
        ];
        let present = optional.into_iter().filter_map(|(name, value)| Some((name, value?.as_bytes())));
        present.chain(request.fields().copied())
    }

    /// An answer that opens a WebSocket, if it fits what was asked: then makes the connection. `key` is there when the
    /// answer has to prove that it knows it.
    pub(super) fn finish(
        &self,
        mut response: Response,
        key: Option<&[u8; 24]>,
    ) -> Result<(Connection, Response), HandshakeError> {
        let offered = self.subprotocols.split([',', ' ']).filter(|name| !name.is_empty());
        let chosen = check_response(response.head.raw_fields(), key, offered)?;
        let mut connection = Connection::client(&self.config, self.seed);
        self.extend(&mut connection, chosen.extensions)?;
        let has_subprotocol = chosen.subprotocol.is_some();
        response.subprotocol = if has_subprotocol { response.head.first("sec-websocket-protocol") } else { None };
        Ok((connection, response))
    }

    /// §4.1, condition 5: the extensions of the answer are among those that were offered, which is at most one.
    #[cfg(feature = "deflate")]
    fn extend(&self, connection: &mut Connection, extensions: Option<&[u8]>) -> Result<(), HandshakeError> {
        // R44, §4.1: "the use of an extension that was not present in the client's handshake … the client MUST _Fail
        // the WebSocket Connection_"
        let Some(extensions) = extensions else { return Ok(()) };
        let answer = sole_extension(extensions).filter(|answer| answer.name == deflate::NAME);
        let (Some(answer), Some(settings)) = (answer, &self.config.deflate) else {
            return Err(unoffered(extensions));
        };
        let answer = deflate::Params::of_answer(answer.params()).map_err(HandshakeError::Deflate)?;
        let agreement = settings.confirm(&answer).map_err(HandshakeError::Deflate)?;
        connection.set_deflate(agreement, settings);
        Ok(())
    }

    #[cfg(not(feature = "deflate"))]
    #[allow(clippy::unused_self, reason = "nothing is offered without the feature")]
    fn extend(&self, _connection: &mut Connection, extensions: Option<&[u8]>) -> Result<(), HandshakeError> {
        extensions.map_or(Ok(()), |extensions| Err(unoffered(extensions)))
    }
}

fn unoffered(extensions: &[u8]) -> HandshakeError {
    HandshakeError::Extension(Some(String::from_utf8_lossy(extensions).into_owned()))
}

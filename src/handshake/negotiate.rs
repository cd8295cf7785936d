//! What makes a request an opening handshake, and an answer the right one, as decisions over a list of header fields
//! (RFC 6455 §4.1, §4.2). Where the fields came from makes no difference.

use alloc::string::String;

use super::{
    error::{HandshakeError, UpgradeError},
    headers::{check_extensions, check_subprotocols},
    key::{accept, valid_key},
    uri::absolute_target,
};
use crate::{
    grammar::{Invalid, decimal, has_token},
    origin::{Authority, default_port},
};

/// A field that may come at most once.
// R7, §11.3.1: "The |Sec-WebSocket-Key| header field MUST NOT appear more than once in an HTTP request."
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Once<T> {
    #[default]
    Absent,
    One(T),
    Repeated,
}

impl<T: Copy + PartialEq> Once<T> {
    pub(super) fn add(&mut self, value: T) {
        *self = if *self == Self::Absent { Self::One(value) } else { Self::Repeated };
    }

    pub(super) fn one(self) -> Option<T> {
        if let Self::One(value) = self { Some(value) } else { None }
    }

    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Once<U> {
        match self {
            Self::Absent => Once::Absent,
            Self::One(value) => Once::One(f(value)),
            Self::Repeated => Once::Repeated,
        }
    }
}

/// Whether some lists of tokens have the one that counts; one malformed list spoils all.
#[derive(Clone, Copy, Debug, Default)]
struct Tokens {
    found: bool,
    malformed: bool,
}

impl Tokens {
    fn add(&mut self, has_it: Result<bool, Invalid>) {
        match has_it {
            Ok(found) => self.found |= found,
            Err(Invalid) => self.malformed = true,
        }
    }

    fn has_it(self) -> bool {
        self.found && !self.malformed
    }
}

/// Some lists of extensions, taken together.
#[derive(Clone, Copy, Debug, Default)]
struct Lists {
    present: bool,
    extensions: usize,
    malformed: bool,
}

impl Lists {
    fn add(&mut self, count: Result<usize, Invalid>) {
        self.present = true;
        match count {
            Ok(count) => self.extensions += count,
            Err(Invalid) => self.malformed = true,
        }
    }

    /// Whether all of them keep to the grammar, where a list has at least one extension.
    // R18, §9.1: "If a value is received … that does not conform to the ABNF below, the recipient of such malformed
    // data MUST immediately _Fail the WebSocket Connection_."
    fn valid(self) -> bool {
        !self.malformed && (!self.present || self.extensions > 0)
    }
}

/// Whether two names of fields are the same: most peers write them as the RFC does, which is found out faster.
#[inline]
fn same_name(name: &[u8], known: &[u8]) -> bool {
    // R34, §4.1: "all header field names in both HTTP requests and HTTP responses are case-insensitive"
    name == known || name.eq_ignore_ascii_case(known)
}

/// What an opening handshake asks for, apart from its offers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening<'a> {
    /// Of a request over HTTP/1.1.
    pub(super) key: Option<[u8; 24]>,
    /// Whether the scheme is `https` or `wss`, if the request says it.
    pub(super) secure: Option<bool>,
    /// The server that the request is for: a valid host with an optional port.
    pub(super) authority: &'a str,
    pub(super) origin: Once<&'a [u8]>,
}

/// What the fields of a request say about a WebSocket, collected in one pass.
#[derive(Debug, Default)]
pub(super) struct RequestFields<'a> {
    pub(super) host: Once<&'a [u8]>,
    pub(super) origin: Once<&'a [u8]>,
    upgrade: Tokens,
    connection: Tokens,
    key: Once<&'a [u8]>,
    version: Once<&'a [u8]>,
    has_subprotocols: bool,
    extensions: Lists,
    content_length: Once<&'a [u8]>,
    pub(super) transfer_encoding: bool,
}

impl<'a> RequestFields<'a> {
    pub(super) fn collect(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut all = Self::default();
        for (name, value) in fields {
            // Most names are told apart by their length alone.
            let is = |known: &[u8]| same_name(name, known);
            match name.len() {
                4 if is(b"Host") => all.host.add(value),
                6 if is(b"Origin") => all.origin.add(value),
                7 if is(b"Upgrade") => all.upgrade.add(has_token(value, "websocket", true)),
                10 if is(b"Connection") => all.connection.add(has_token(value, "Upgrade", false)),
                14 if is(b"Content-Length") => all.content_length.add(value),
                17 if is(b"Sec-WebSocket-Key") => all.key.add(value),
                17 if is(b"Transfer-Encoding") => all.transfer_encoding = true,
                21 if is(b"Sec-WebSocket-Version") => all.version.add(value),
                22 if is(b"Sec-WebSocket-Protocol") => all.has_subprotocols = true,
                24 if is(b"Sec-WebSocket-Extensions") => all.extensions.add(check_extensions(value)),
                // R20, §4.2.1: "Unknown header fields are ignored, as per [RFC2616]."
                _ => {}
            }
        }
        all
    }

    /// The length of the body that follows. Several lengths are refused, even when they are equal (RFC 9112 §6.3).
    pub(super) fn content_length(&self) -> Result<u64, Invalid> {
        match self.content_length {
            Once::Absent => Ok(0),
            Once::One(digits) => decimal(digits).ok_or(Invalid),
            Once::Repeated => Err(Invalid),
        }
    }

    /// What a request with these fields asks for, if it is an opening handshake (§4.2.1). `subprotocols` are the values
    /// of the fields Sec-WebSocket-Protocol. Whether its origin is allowed is judged later.
    pub(super) fn opening<'t>(
        &self,
        method: &[u8],
        target: &'t [u8],
        subprotocols: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<Opening<'t>, UpgradeError>
    where
        'a: 't,
    {
        // R1, §4.2.1: "An HTTP/1.1 or higher GET request"
        if method != b"GET" {
            return Err(UpgradeError::Method);
        }
        let (secure, authority) = self.authority(target)?;
        // R26 (choice): no body, so that what follows is never taken for frames.
        if self.transfer_encoding || self.content_length() != Ok(0) {
            return Err(UpgradeError::Body);
        }
        // R4, §4.2.1: "An |Upgrade| header field containing the value 'websocket', treated as an ASCII case-insensitive
        // value."
        if !self.upgrade.has_it() {
            return Err(UpgradeError::Upgrade);
        }
        // R5, §4.2.1: "A |Connection| header field that includes the token 'Upgrade', treated as an ASCII
        // case-insensitive value."
        if !self.connection.has_it() {
            return Err(UpgradeError::Connection);
        }
        // Item 6 before item 5: another version may have another key.
        self.check_version()?;
        let key = self.key.one().and_then(valid_key).ok_or(UpgradeError::Key)?;
        self.check_offer(subprotocols)?;
        Ok(Opening { key: Some(key), secure, authority: authority.text, origin: self.origin })
    }

    /// Item 6: the version is 13.
    pub(super) fn check_version(&self) -> Result<(), UpgradeError> {
        // R8, §4.2.1: "A |Sec-WebSocket-Version| header field, with a value of 13."
        // §11.3.5: "MUST NOT appear more than once in an HTTP request"
        if self.version == Once::One(b"13") { Ok(()) } else { Err(UpgradeError::Version) }
    }

    /// Items 8 and 9, which are the same for every way of asking for a WebSocket.
    pub(super) fn check_offer(&self, subprotocols: impl Iterator<Item = &'a [u8]> + Clone) -> Result<(), UpgradeError> {
        if self.has_subprotocols {
            check_subprotocols(subprotocols).map_err(|_| UpgradeError::Subprotocols)?;
        }
        if self.extensions.valid() { Ok(()) } else { Err(UpgradeError::Extensions) }
    }

    /// The server that the request is for, and whether the scheme is a secure one if the request has it. An absolute
    /// target goes before Host, which must be there all the same, and once (RFC 9112 §3.2).
    fn authority<'t>(&self, target: &'t [u8]) -> Result<(Option<bool>, Authority<'t>), UpgradeError>
    where
        'a: 't,
    {
        // Counted rather than searched: a loop without a way out takes many bytes at a time.
        // R27, RFC 9112 §3.2.2: "A server MUST accept the absolute-form in requests"
        if target.iter().filter(|byte| !byte.is_ascii_graphic() || **byte == b'#').count() > 0 {
            return Err(UpgradeError::Target);
        }
        let absolute = if target.starts_with(b"/") {
            None
        } else {
            let target = core::str::from_utf8(target).ok();
            Some(target.and_then(absolute_target).ok_or(UpgradeError::Target)?)
        };
        // R3, RFC 9112 §3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request
        // message that lacks a Host header field and to any request message that contains more than one Host header
        // field line or a Host header field with an invalid field value."
        let host = self.host.one().and_then(authority).ok_or(UpgradeError::Host)?;
        Ok(absolute.map_or((None, host), |(scheme, authority)| (Some(default_port(scheme) == Some(443)), authority)))
    }
}

/// The value of a Host field, if it is one host with perhaps a port.
pub(super) fn authority(value: &[u8]) -> Option<Authority<'_>> {
    Authority::parse(core::str::from_utf8(value).ok()?).ok()
}

/// What the fields of a 101 say, collected in one pass.
#[derive(Debug, Default)]
struct ResponseFields<'a> {
    upgrade: Once<&'a [u8]>,
    connection: Tokens,
    accept: Once<&'a [u8]>,
    subprotocol: Once<&'a [u8]>,
    extensions: Once<&'a [u8]>,
}

/// What a server chose of what it was offered: a subprotocol, and a list of extensions.
#[derive(Debug)]
pub(super) struct Chosen<'a> {
    pub(super) subprotocol: Option<&'a [u8]>,
    pub(super) extensions: Option<&'a [u8]>,
}

/// Checks the fields of an answer that opens a WebSocket against what was asked (§4.1, conditions 2 to 4 and 6); what
/// the server chose. Conditions 2 to 4 are those of a 101: an extended CONNECT sent no key. Whether the extensions were
/// offered is for whoever offered them.
pub(super) fn check_response<'a, 'o>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    key: Option<&[u8; 24]>,
    mut offered: impl Iterator<Item = &'o str>,
) -> Result<Chosen<'a>, HandshakeError> {
    let mut all = ResponseFields::default();
    for (name, value) in fields {
        let is = |known: &[u8]| same_name(name, known);
        match name.len() {
            7 if is(b"Upgrade") => all.upgrade.add(value),
            10 if is(b"Connection") => all.connection.add(has_token(value, "Upgrade", false)),
            20 if is(b"Sec-WebSocket-Accept") => all.accept.add(value),
            22 if is(b"Sec-WebSocket-Protocol") => all.subprotocol.add(value),
            24 if is(b"Sec-WebSocket-Extensions") => all.extensions.add(value),
            _ => {}
        }
    }
    if let Some(key) = key {
        // R40, §4.1: "If the response lacks an |Upgrade| header field or the |Upgrade| header field contains a value
        // that is not an ASCII case-insensitive match for the value 'websocket', the client MUST _Fail the WebSocket
        // Connection_."
        if !all.upgrade.one().is_some_and(|upgrade| upgrade.eq_ignore_ascii_case(b"websocket")) {
            return Err(HandshakeError::Upgrade);
        }
        // R41, §4.1: "or the |Connection| header field doesn't contain a token that is an ASCII case-insensitive match
        // for the value 'Upgrade', the client MUST _Fail the WebSocket Connection_"
        if !all.connection.has_it() {
            return Err(HandshakeError::Connection);
        }
        // R42, §4.1: "If the response lacks a |Sec-WebSocket-Accept| header field or the |Sec-WebSocket-Accept|
        // contains a value other than the base64-encoded SHA-1 … the client MUST _Fail the WebSocket Connection_."
        // R43, §11.3.3: "The |Sec-WebSocket-Accept| header MUST NOT appear more than once in an HTTP response."
        if all.accept != Once::One(&accept(key)) {
            return Err(HandshakeError::Accept);
        }
    }
    // R45, §11.3.2: "the |Sec-WebSocket-Extensions| header field MUST NOT appear more than once in an HTTP response"
    if all.extensions == Once::Repeated {
        return Err(HandshakeError::Extension(None));
    }
    // R46, §4.1: "If the response includes a |Sec-WebSocket-Protocol| header field and this header field indicates the
    // use of a subprotocol that was not present in the client's handshake … the client MUST _Fail the WebSocket
    // Connection_."
    // R47, §11.3.4: "the |Sec-WebSocket-Protocol| header field MUST NOT appear more than once in an HTTP response"
    match all.subprotocol {
        Once::Absent => {}
        Once::One(chosen) if offered.any(|offer| offer.as_bytes() == chosen) => {}
        Once::One(other) => return Err(HandshakeError::Subprotocol(Some(String::from_utf8_lossy(other).into_owned()))),
        Once::Repeated => return Err(HandshakeError::Subprotocol(None)),
    }
    Ok(Chosen { subprotocol: all.subprotocol.one(), extensions: all.extensions.one() })
}

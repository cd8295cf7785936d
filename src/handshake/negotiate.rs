//! What makes a request an opening handshake, and an answer the right one, as decisions over a list of header fields
//! (RFC 6455 §4.1, §4.2). Where the fields came from makes no difference.

use super::{
    accept,
    error::{HandshakeError, UpgradeError},
    headers::{Invalid, check_extensions, check_subprotocols, has_token},
    uri::{Authority, Origin, absolute_target, default_port},
};
use crate::config::{OriginPolicy, OriginRule};

/// A field that may come at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Once<'a> {
    #[default]
    Absent,
    One(&'a [u8]),
    Repeated,
}

impl<'a> Once<'a> {
    pub(crate) fn add(&mut self, value: &'a [u8]) {
        *self = if *self == Self::Absent { Self::One(value) } else { Self::Repeated };
    }

    pub(crate) fn one(self) -> Option<&'a [u8]> {
        if let Self::One(value) = self { Some(value) } else { None }
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

    /// §9.1: a list has at least one extension.
    fn valid(self) -> bool {
        !self.malformed && (!self.present || self.extensions > 0)
    }
}

/// Whether two names of fields are the same: most peers write them as the RFC does, which is found out faster.
#[inline]
fn same_name(name: &[u8], known: &[u8]) -> bool {
    name == known || name.eq_ignore_ascii_case(known)
}

/// What the fields of a request say about a WebSocket, collected in one pass.
#[derive(Debug, Default)]
pub(crate) struct RequestFields<'a> {
    pub(crate) host: Once<'a>,
    origin: Once<'a>,
    upgrade: Tokens,
    connection: Tokens,
    key: Once<'a>,
    version: Once<'a>,
    has_subprotocols: bool,
    extensions: Lists,
    content_length: Once<'a>,
    pub(crate) transfer_encoding: bool,
}

impl<'a> RequestFields<'a> {
    pub(crate) fn collect(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
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
                _ => {}
            }
        }
        all
    }

    /// The length of the body that follows. Several lengths are refused, even when they are equal (RFC 9112 §6.3).
    pub(crate) fn content_length(&self) -> Result<u64, Invalid> {
        match self.content_length {
            Once::Absent => Ok(0),
            Once::One(digits) => decimal(digits).ok_or(Invalid),
            Once::Repeated => Err(Invalid),
        }
    }

    /// The verdict on a request with these fields (§4.2.1); its key, when it is an opening handshake.
    ///
    /// `subprotocols` are the values of the fields Sec-WebSocket-Protocol.
    pub(crate) fn verdict(
        &self,
        method: &[u8],
        target: &[u8],
        subprotocols: impl Iterator<Item = &'a [u8]> + Clone,
        policy: &OriginPolicy,
    ) -> Result<[u8; 24], UpgradeError> {
        // §4.2.1, item 1: a GET request.
        if method != b"GET" {
            return Err(UpgradeError::Method);
        }
        let (scheme, authority) = self.authority(target)?;
        if self.transfer_encoding || self.content_length() != Ok(0) {
            return Err(UpgradeError::Body);
        }
        // Items 3 and 4: Upgrade includes "websocket", Connection includes "Upgrade".
        if !self.upgrade.has_it() {
            return Err(UpgradeError::Upgrade);
        }
        if !self.connection.has_it() {
            return Err(UpgradeError::Connection);
        }
        // Item 6 before item 5: another version may have another key.
        self.check_version()?;
        let key = self.key.one().and_then(valid_key).ok_or(UpgradeError::Key)?;
        self.check_offer(scheme, authority, subprotocols, policy)?;
        Ok(key)
    }

    /// Item 6: the version is 13.
    pub(crate) fn check_version(&self) -> Result<(), UpgradeError> {
        if self.version == Once::One(b"13") { Ok(()) } else { Err(UpgradeError::Version) }
    }

    /// Items 7 to 9, which are the same for every way of asking for a WebSocket.
    pub(crate) fn check_offer(
        &self,
        scheme: Option<&str>,
        authority: Authority<'_>,
        subprotocols: impl Iterator<Item = &'a [u8]> + Clone,
        policy: &OriginPolicy,
    ) -> Result<(), UpgradeError> {
        if self.has_subprotocols {
            check_subprotocols(subprotocols).map_err(|_| UpgradeError::Subprotocols)?;
        }
        if !self.extensions.valid() {
            return Err(UpgradeError::Extensions);
        }
        if is_allowed(policy, self.origin, scheme, authority) { Ok(()) } else { Err(UpgradeError::Origin) }
    }

    /// Whom the request is for, and by which scheme if it says so: an absolute target goes before Host, which must be
    /// there all the same, and once (RFC 9112 §3.2).
    fn authority<'t>(&self, target: &'t [u8]) -> Result<(Option<&'t str>, Authority<'t>), UpgradeError>
    where
        'a: 't,
    {
        // Counted rather than searched: a loop without a way out takes many bytes at a time.
        if target.iter().filter(|byte| !byte.is_ascii_graphic() || **byte == b'#').count() > 0 {
            return Err(UpgradeError::Target);
        }
        let absolute = if target.starts_with(b"/") {
            None
        } else {
            let target = core::str::from_utf8(target).ok();
            Some(target.and_then(absolute_target).ok_or(UpgradeError::Target)?)
        };
        let host = self.host.one().and_then(authority).ok_or(UpgradeError::Host)?;
        Ok(absolute.map_or((None, host), |(scheme, authority)| (Some(scheme), authority)))
    }
}

/// The value of a Host field, if it is one host with perhaps a port.
pub(crate) fn authority(value: &[u8]) -> Option<Authority<'_>> {
    Authority::parse(core::str::from_utf8(value).ok()?).ok()
}

/// §4.2.1, item 5: base64 that decodes to 16 bytes. So 22 characters of the alphabet, of which the last stands for two
/// bits only, and two of padding.
fn valid_key(value: &[u8]) -> Option<[u8; 24]> {
    let key: &[u8; 24] = value.try_into().ok()?;
    let in_alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let valid = key[..21].iter().all(in_alphabet) && matches!(key[21..], [b'A' | b'Q' | b'g' | b'w', b'=', b'=']);
    if valid { Some(*key) } else { None }
}

/// 1*DIGIT, as far as 64 bits go.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, byte| {
        let digit = if byte.is_ascii_digit() { byte - b'0' } else { return None };
        value.checked_mul(10)?.checked_add(digit.into())
    })
}

/// §10.2: whether a page of this origin may connect.
fn is_allowed(policy: &OriginPolicy, origin: Once<'_>, scheme: Option<&str>, authority: Authority<'_>) -> bool {
    let value = match origin {
        Once::Absent => return policy.allows_absent,
        Once::Repeated => return false,
        Once::One(value) => value,
    };
    // As browsers write it when neither names a port; the rest is for the other cases.
    let is_own = |page: &[u8]| scheme.is_none() && value.strip_prefix(page) == Some(authority.text.as_bytes());
    if matches!(policy.rule, OriginRule::Same) && (is_own(b"https://") || is_own(b"http://")) {
        return true;
    }
    let origin = core::str::from_utf8(value).unwrap_or_default();
    match &policy.rule {
        OriginRule::Any => true,
        OriginRule::Predicate(allows) => allows(origin),
        OriginRule::Same => Origin::parse(origin).is_some_and(|origin| {
            // A request says its scheme only in an absolute target; else the page's scheme tells the default port.
            let own = scheme.map(|own| if default_port(own) == Some(443) { "https" } else { "http" });
            let own = own.unwrap_or(origin.scheme);
            origin.is(&Origin { scheme: own, host: authority.host, port: authority.port.or(default_port(own)) })
        }),
        OriginRule::List(list) => {
            let parsed = Origin::parse(origin);
            list.iter().any(|allowed| match (parsed, Origin::parse(allowed)) {
                (Some(origin), Some(allowed)) => origin.is(&allowed),
                (None, None) => origin == "null" && allowed == "null",
                _ => false,
            })
        }
    }
}

/// What the fields of a 101 say, collected in one pass.
#[derive(Debug, Default)]
struct ResponseFields<'a> {
    upgrade: Once<'a>,
    connection: Tokens,
    accept: Once<'a>,
    subprotocol: Once<'a>,
    extensions: Once<'a>,
}

/// What a server chose of what it was offered: a subprotocol, and a list of extensions.
#[derive(Debug)]
pub(crate) struct Chosen<'a> {
    pub(crate) subprotocol: Option<&'a [u8]>,
    pub(crate) extensions: Option<&'a [u8]>,
}

/// Checks the fields of an answer that opens a WebSocket against what was asked (§4.1, conditions 2 to 4 and 6); what the
/// server chose. Conditions 2 to 4 are those of a 101: an extended CONNECT sent no key. Whether the extensions were offered
/// is for whoever offered them.
pub(crate) fn check_response<'a, 'o>(
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
        if !all.upgrade.one().is_some_and(|upgrade| upgrade.eq_ignore_ascii_case(b"websocket")) {
            return Err(HandshakeError::Upgrade);
        }
        if !all.connection.has_it() {
            return Err(HandshakeError::Connection);
        }
        if all.accept != Once::One(&accept(key)) {
            return Err(HandshakeError::Accept);
        }
    }
    // §11.3.2: the field "MUST NOT appear more than once in an HTTP response".
    if all.extensions == Once::Repeated {
        return Err(HandshakeError::Extension);
    }
    match all.subprotocol {
        Once::Absent => {}
        Once::One(chosen) if offered.any(|offer| offer.as_bytes() == chosen) => {}
        _ => return Err(HandshakeError::Subprotocol),
    }
    Ok(Chosen { subprotocol: all.subprotocol.one(), extensions: all.extensions.one() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r6_a_key_is_valid_when_it_is_canonical_base64_of_16_bytes() {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let key = *b"dGhlIHNhbXBsZSBub25jZQ==";
        assert_eq!(valid_key(&key), Some(key));
        for at in 0..key.len() {
            for byte in 0..=255 {
                let mut corrupt = key;
                corrupt[at] = byte;
                let decoded = STANDARD.decode(corrupt).is_ok_and(|bytes| bytes.len() == 16);
                assert_eq!(valid_key(&corrupt).is_some(), decoded, "{byte} at {at}");
            }
        }
    }

    #[test]
    fn a_decimal_is_digits_that_fit_64_bits() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for none in [&b""[..], b"18446744073709551616", b"+1", b"1 ", b"-1", b"1,1", b"0x1"] {
            assert_eq!(decimal(none), None);
        }
    }
}

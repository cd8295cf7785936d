//! The grammar that HTTP and URIs share: tokens and lists of them (RFC 9110 §5.6), decimal numbers, percent-encoding
//! (RFC 3986 §2).

/// What a token consists of (RFC 9110 §5.6.2).
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    const TOKEN: [bool; 256] = alphanumeric_and(b"!#$%&'*+-.^_`|~");
    TOKEN[byte as usize]
}

/// A table of the ASCII letters and digits, and these bytes.
pub(crate) const fn alphanumeric_and(also: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while byte < 0x80 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut i = 0;
    while i < also.len() {
        table[also[i] as usize] = true;
        i += 1;
    }
    table
}

/// The value breaks its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// Whether it is a token (RFC 9110 §5.6.2).
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// A token as text.
pub(crate) fn token(bytes: &[u8]) -> Option<&str> {
    if is_token(bytes) { core::str::from_utf8(bytes).ok() } else { None }
}

/// Without the spaces and tabs around it.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma-separated list in which no quoted string may be; empty ones are skipped (RFC 9110 §5.6.1).
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    value.split(|&byte| byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// Whether a list of tokens has this one, whatever its case. With `versions`, an element may be `name/version`, as in
/// Upgrade (RFC 9110 §7.8).
pub(crate) fn has_token(value: &[u8], wanted: &str, versions: bool) -> Result<bool, Invalid> {
    if value == wanted.as_bytes() || value.eq_ignore_ascii_case(wanted.as_bytes()) {
        return Ok(true);
    }
    let mut found = false;
    for element in elements(value) {
        found |= element.eq_ignore_ascii_case(wanted.as_bytes());
        let mut parts = element.splitn(if versions { 2 } else { 1 }, |&byte| byte == b'/');
        if !parts.all(is_token) {
            return Err(Invalid);
        }
    }
    Ok(found)
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

/// Only these characters, and complete percent-encodings (RFC 3986 §2.1).
pub(crate) fn is_encoded(text: &[u8], plain: &[bool; 256]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| !plain[usize::from(byte)]) {
        match &rest[at..] {
            [b'%', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest = tail,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_a_list_whatever_its_case() {
        let has = |value: &str| has_token(value.as_bytes(), "upgrade", false);
        assert_eq!(has("keep-alive, Upgrade"), Ok(true));
        assert_eq!(has(",,UPGRADE ,"), Ok(true));
        assert_eq!(has("upgraded, up, grade"), Ok(false));
        assert_eq!(has(""), Ok(false));
        assert_eq!(has("\"Upgrade\""), Err(Invalid));
        assert_eq!(has("upgrade, a b"), Err(Invalid));
        assert_eq!(has_token(b"h2c/1, websocket", "websocket", true), Ok(true));
        assert_eq!(has_token(b"websocket/13", "websocket", true), Ok(false));
        assert_eq!(has_token(b"websocket, a/", "websocket", true), Err(Invalid));
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

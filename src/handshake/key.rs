//! Sec-WebSocket-Key, and the Sec-WebSocket-Accept that answers it (RFC 6455 §4.1, §4.2.2).

use alloc::string::String;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

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
pub(super) fn accept(key: &[u8; 24]) -> [u8; 28] {
    base64(&digest(key))
}

/// Base64 in exactly the room that it takes: four characters for every three bytes that begin.
pub(super) fn base64<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut text = [0; N];
    let len = STANDARD.encode_slice(bytes, &mut text);
    debug_assert_eq!(len, Ok(N));
    text
}

fn digest(key: &[u8]) -> [u8; 20] {
    // R11, §4.2.2: "concatenating /key/, defined above in step 4 in Section 4.2.2, with the string … taking the SHA-1
    // hash of this concatenated value to obtain a 20-byte value and base64-encoding (see Section 4 of [RFC4648]) this
    // 20-byte hash"
    // R12, §4.2.2: "It is not necessary for the server to base64-decode the |Sec-WebSocket-Key| value."
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    hash.finalize().into()
}

/// The key, if it is base64 of 16 bytes: 22 characters of the alphabet, of which the last stands for two bits only, and
/// two of padding.
// R6, §4.2.1: "a base64-encoded (see Section 4 of [RFC4648]) value that, when decoded, is 16 bytes in length"
pub(super) fn valid_key(value: &[u8]) -> Option<[u8; 24]> {
    let key: &[u8; 24] = value.try_into().ok()?;
    let in_alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let valid = key[..21].iter().all(in_alphabet) && matches!(key[21..], [b'A' | b'Q' | b'g' | b'w', b'=', b'=']);
    if valid { Some(*key) } else { None }
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
}

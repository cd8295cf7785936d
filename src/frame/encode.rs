//! Headers and payloads to bytes (RFC 6455 §5.2), masked where they must be (§5.3).

use bytes::BytesMut;

use super::{Header, Keys, Kind, LEN_16, Opcode, first_byte, mask, second_byte};

/// Two bytes and a masking key.
const MAX_SHORT_HEADER_LEN: usize = 6;
/// The same, and a length of 16 bits.
const MAX_MEDIUM_HEADER_LEN: usize = 8;

/// Appends a frame to `out`: `header`, then `payload`, masked if the header has a key.
#[inline]
pub(crate) fn append(header: &Header, payload: &[u8], out: &mut BytesMut) {
    let head = header.encode();
    out.reserve(head.len() + payload.len());
    out.extend_from_slice(&head);
    match header.mask {
        None => out.extend_from_slice(payload),
        Some(key) => mask::append(key, payload, out),
    }
}

/// Appends a whole message in one frame of at most 125 bytes: reserved once, then appended to.
#[inline(always)]
#[allow(clippy::inline_always, reason = "half of the cost of a short message is the call")]
pub(crate) fn append_short(kind: Kind, keys: &mut Keys, payload: &[u8], out: &mut BytesMut) {
    let (first, len) = (first_byte(true, 0, Opcode::of(kind)), payload.len() as u8);
    out.reserve(MAX_SHORT_HEADER_LEN + payload.len());
    if let Some(key) = keys.next() {
        let [a, b, c, d] = key;
        out.extend_from_slice(&[first, second_byte(true, len), a, b, c, d]);
        out.extend_from_slice(payload);
        let start = out.len() - payload.len();
        mask::apply(key, 0, &mut out[start..]);
    } else {
        out.extend_from_slice(&[first, second_byte(false, len)]);
        out.extend_from_slice(payload);
    }
}

/// Appends a whole message in one frame whose length takes 16 bits (§5.2). Its header is an array, of a length that the
/// compiler knows: no call copies it.
#[inline(never)]
pub(crate) fn append_medium(kind: Kind, keys: &mut Keys, payload: &[u8], out: &mut BytesMut) {
    let (first, [high, low]) = (first_byte(true, 0, Opcode::of(kind)), (payload.len() as u16).to_be_bytes());
    out.reserve(MAX_MEDIUM_HEADER_LEN + payload.len());
    match keys.next() {
        None => {
            out.extend_from_slice(&[first, second_byte(false, LEN_16), high, low]);
            out.extend_from_slice(payload);
        }
        Some(key) => {
            let [a, b, c, d] = key;
            out.extend_from_slice(&[first, second_byte(true, LEN_16), high, low, a, b, c, d]);
            mask::append(key, payload, out);
        }
    }
}

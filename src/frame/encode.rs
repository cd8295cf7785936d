//! Headers and payloads to bytes (RFC 6455 §5.2), masked where they must be (§5.3).

use bytes::BytesMut;

use super::{Header, Keys, Kind, LEN_16, Opcode, mask};

/// Two bytes, a length of 16 bits, and a masking key.
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

/// Appends a whole message in one frame whose length takes 16 bits (§5.2). Its header is an array, of a length that the
/// compiler knows: no call copies it.
#[inline(never)]
pub(crate) fn append_medium(kind: Kind, keys: &mut Keys, payload: &[u8], out: &mut BytesMut) {
    let (first, [high, low]) = (0x80 | Opcode::of(kind) as u8, (payload.len() as u16).to_be_bytes());
    out.reserve(MAX_MEDIUM_HEADER_LEN + payload.len());
    match keys.next() {
        None => {
            out.extend_from_slice(&[first, LEN_16, high, low]);
            out.extend_from_slice(payload);
        }
        Some(key) => {
            let [a, b, c, d] = key;
            out.extend_from_slice(&[first, 0x80 | LEN_16, high, low, a, b, c, d]);
            mask::append(key, payload, out);
        }
    }
}

//! Raw frames: the one place where tests make them byte by byte, with code of their own.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

/// The masking key of RFC 6455 §5.7.
pub const KEY: [u8; 4] = *b"\x37\xfa\x21\x3d";

/// One frame, unmasked, its length in the fewest bytes.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(u8::try_from(len).unwrap()),
        len @ 126..0x1_0000 => {
            bytes.push(126);
            bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            bytes.push(127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// A client's frames: these, masked with [`KEY`]. The last one may be cut off anywhere, and nothing has to be valid.
pub fn masked(frames: &[u8]) -> Vec<u8> {
    masked_with(KEY, frames)
}

/// One frame of a client. Its masking key differs from frame to frame, and no byte of it is zero.
pub fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let seed = payload.iter().fold(u32::from(first), |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    let key = seed.wrapping_mul(0x9E37_79B1).to_be_bytes().map(|byte| byte | 1);
    masked_with(key, &frame(first, payload))
}

fn masked_with(key: [u8; 4], frames: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), frames);
    while let [first, second, more @ ..] = rest {
        bytes.extend([*first, second | 0x80]);
        let extended = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((len, payload)) = more.split_at_checked(extended) else {
            bytes.extend(more);
            return bytes;
        };
        bytes.extend(len);
        bytes.extend(key);
        let len =
            if extended == 0 { u64::from(second & 0x7F) } else { len.iter().fold(0, |n, &b| n << 8 | u64::from(b)) };
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(payload.len());
        bytes.extend(payload[..len].iter().zip(key.into_iter().cycle()).map(|(byte, key)| byte ^ key));
        rest = &payload[len..];
    }
    bytes.extend(rest);
    bytes
}

//! The header of a frame (RFC 6455 §5.2): all rules that it can break, in the order of its bytes, so that each is seen
//! at the first byte that proves it (R68, I7).

use core::{fmt, ops::Deref};

use super::{
    LEN_16, LEN_64, MAX_CONTROL_LEN, MAX_HEADER_LEN, Opcode, RSV1, first_byte, is_valid_len, len_end, second_byte,
    short_len,
};
use crate::error::{Error, Violation};

/// The header of a frame.
///
/// ```
/// use sansock::frame::{Header, Opcode};
///
/// let header = Header { fin: true, rsv: 0, opcode: Opcode::Text, mask: None, len: 5 };
/// assert_eq!(*header.encode(), [0x81, 0x05]);
/// assert_eq!(Header::decode(b"\x81\x05Hello"), Ok(Some((header, 2))));
/// assert_eq!(Header::decode(b"\x81"), Ok(None)); // one byte more, please
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether it is the last frame of its message.
    pub fin: bool,
    /// RSV1, RSV2 and RSV3 as bits 4, 2 and 1: what a negotiated extension means by them.
    pub rsv: u8,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key; a client's frames have one, a server's none.
    pub mask: Option<[u8; 4]>,
    /// The length of the payload, less than 2⁶³.
    pub len: u64,
}

/// What the state of a connection adds to the rules of a header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The peer is a client, which must mask.
    pub(crate) masked: bool,
    /// A fragmented message is open.
    pub(crate) message_open: bool,
    /// The most payload that a data frame may have now, unless it begins a compressed message.
    pub(crate) max_len: u64,
    /// The most payload of the first frame of a compressed message; `None` without permessage-deflate, which gives RSV1
    /// its meaning.
    pub(crate) max_compressed_len: Option<u64>,
    /// Whether the message may have one more fragment.
    pub(crate) more_fragments: bool,
}

impl Header {
    /// Reads a header from the front of `bytes`: it and its length, or `None` when bytes are missing.
    ///
    /// Reserved bits and masking keys are handed over as they are: what they mean depends on the connection.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`], at the first byte that can belong to no header (§5.2, §5.5).
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        Self::decode_under(None, bytes)
    }

    /// The same, under the rules of a connection.
    #[inline]
    pub(crate) fn decode_under(rules: Option<&Rules>, bytes: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let (fin, rsv) = (first & 0x80 != 0, first >> 4 & 0b111);
        // R58, §5.2: "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket Connection_."
        let opcode = Opcode::new(first & 0xF).ok_or(Violation::ReservedOpcode)?;
        // R67, §5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented."
        if opcode.is_control() && !fin {
            return Err(Violation::FragmentedControl.into());
        }
        if let Some(rules) = rules {
            rules.check_first(opcode, rsv)?;
        }

        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let masked = rules.map_or(second & 0x80 != 0, |rules| rules.masked);
        let short_len = short_len(second, masked);
        // R53, §5.1: "The server MUST close the connection upon receiving a frame that is not masked."
        // R54, §5.1: "A client MUST close a connection if it detects a masked frame."
        if short_len > LEN_64 {
            return Err(if masked { Violation::Unmasked } else { Violation::Masked }.into());
        }
        // R67, the length.
        if opcode.is_control() && usize::from(short_len) > MAX_CONTROL_LEN {
            return Err(Violation::LongControl.into());
        }

        let Some((len, key_at)) = decode_len(short_len, bytes)? else { return Ok(None) };
        if let Some(rules) = rules
            && !opcode.is_control()
        {
            rules.check_len(rsv, len)?;
        }

        if !masked {
            return Ok(Some((Self { fin, rsv, opcode, mask: None, len }, key_at)));
        }
        let Some(&[a, b, c, d]) = bytes.get(key_at..key_at + 4) else { return Ok(None) };
        Ok(Some((Self { fin, rsv, opcode, mask: Some([a, b, c, d]), len }, key_at + 4)))
    }

    /// The bytes of the header, its length in the fewest bytes (§5.2).
    #[inline]
    #[must_use]
    pub fn encode(&self) -> FrameHead {
        let mut bytes = [0; MAX_HEADER_LEN];
        bytes[0] = first_byte(self.fin, self.rsv, self.opcode);
        let masked = self.mask.is_some();
        let mut at = match self.len {
            0..=125 => {
                bytes[1] = second_byte(masked, self.len as u8);
                2
            }
            126..=0xFFFF => {
                bytes[1] = second_byte(masked, LEN_16);
                bytes[2..4].copy_from_slice(&(self.len as u16).to_be_bytes());
                4
            }
            _ => {
                bytes[1] = second_byte(masked, LEN_64);
                bytes[2..10].copy_from_slice(&self.len.to_be_bytes());
                10
            }
        };
        if let Some(key) = self.mask {
            bytes[at..at + 4].copy_from_slice(&key);
            at += 4;
        }
        FrameHead { bytes, len: at as u8 }
    }
}

/// The payload length and where it ends, from a header whose second byte said `short_len` (§5.2).
#[inline]
fn decode_len(short_len: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, Error> {
    // R61, §5.2: "Multibyte length quantities are expressed in network byte order."
    let field = &bytes[2..];
    match short_len {
        LEN_16 => long_len(LEN_16, field.first_chunk().map(|&len| u16::from_be_bytes(len).into()), field),
        LEN_64 => long_len(LEN_64, field.first_chunk().map(|&len| u64::from_be_bytes(len)), field),
        len => Ok(Some((len.into(), len_end(len)))),
    }
}

/// A length of this form, if it is complete, and where it ends.
#[inline]
fn long_len(form: u8, len: Option<u64>, field: &[u8]) -> Result<Option<(u64, usize)>, Error> {
    if !is_valid_len(form, len.unwrap_or_else(|| greatest_len(form, field))) {
        return Err(Violation::LengthEncoding.into());
    }
    Ok(len.map(|len| (len, len_end(form))))
}

/// The greatest length that begins with these bytes: when not even that is valid, none is.
#[cold]
fn greatest_len(form: u8, start: &[u8]) -> u64 {
    let greatest = if form == LEN_16 { u16::MAX.into() } else { i64::MAX as u64 };
    let mut len = greatest.to_be_bytes();
    len[10 - len_end(form)..][..start.len()].copy_from_slice(start);
    u64::from_be_bytes(len)
}

impl Rules {
    fn check_first(&self, opcode: Opcode, rsv: u8) -> Result<(), Violation> {
        // R57, §5.2: "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values."
        // R105, RFC 7692 §6: "An endpoint MUST NOT set the 'Per-Message Compressed' bit of control frames and non-first
        // fragments of a data message. An endpoint receiving such a frame MUST _Fail the WebSocket Connection_."
        if rsv != 0 && !(rsv == RSV1 && self.max_compressed_len.is_some() && opcode.begins_message()) {
            return Err(Violation::ReservedBit);
        }
        // R62, R63, §5.4: "A fragmented message consists of a single frame with the FIN bit clear and an opcode other
        // than 0, followed by zero or more frames with the FIN bit clear and the opcode set to 0, and terminated by a
        // single frame with the FIN bit set and an opcode of 0."
        match opcode {
            Opcode::Continuation if !self.message_open => Err(Violation::UnexpectedContinuation),
            Opcode::Text | Opcode::Binary if self.message_open => Err(Violation::ExpectedContinuation),
            _ => Ok(()),
        }
    }

    fn check_len(&self, rsv: u8, len: u64) -> Result<(), Error> {
        // R70, §10.4: "Implementations that have implementation- and/or platform-specific limitations regarding the
        // frame size or total message size … MUST protect themselves against exceeding those limits."
        let max_len = if rsv == RSV1 { self.max_compressed_len.unwrap_or(0) } else { self.max_len };
        if len > max_len {
            return Err(Error::TooBig);
        }
        if !self.more_fragments {
            return Err(Error::TooManyFragments);
        }
        Ok(())
    }
}

/// The bytes of a header: a slice of 2 to 14 bytes.
#[derive(Clone, Copy)]
pub struct FrameHead {
    bytes: [u8; MAX_HEADER_LEN],
    len: u8,
}

impl Deref for FrameHead {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for FrameHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [u64; 12] =
        [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, u32::MAX as u64, 1 << 32, i64::MAX as u64];

    /// R59, R60, R61: every length goes through the shortest of the three forms and back, in every cut.
    #[test]
    fn r61_header_survives_encode_and_decode() {
        for len in LENGTHS.into_iter().chain((0..63).flat_map(|k| [(1 << k) - 1, 1 << k, (1 << k) + 1])) {
            for mask in [None, Some([1, 2, 3, 4])] {
                let header = Header { fin: true, rsv: 0, opcode: Opcode::Binary, mask, len };
                let bytes = header.encode();
                let expected = if len < 126 {
                    2
                } else if len < 65_536 {
                    4
                } else {
                    10
                } + mask.map_or(0, |_| 4);
                assert_eq!(bytes.len(), expected, "{len}");
                assert_eq!(Header::decode(&bytes), Ok(Some((header, bytes.len()))));
                for cut in 0..bytes.len() {
                    assert_eq!(Header::decode(&bytes[..cut]), Ok(None), "{len} cut at {cut}");
                }
            }
        }
    }

    /// R59: each of the 16-bit lengths is either minimal or refused.
    #[test]
    fn r59_sixteen_bit_length_is_minimal() {
        for len in 0..=u16::MAX {
            let [high, low] = len.to_be_bytes();
            let decoded = Header::decode(&[0x82, 126, high, low]);
            if len < 126 {
                assert_eq!(decoded, Err(Violation::LengthEncoding.into()));
            } else {
                assert_eq!(decoded.unwrap().unwrap().0.len, u64::from(len));
            }
        }
    }

    /// R59, R60: a 64-bit length that is too short fails at its sixth zero, one with the highest bit at once.
    #[test]
    fn r60_sixty_four_bit_length_fails_at_the_byte_that_proves_it() {
        let bytes = [0x82, 127, 0, 0, 0, 0, 0, 0];
        assert_eq!(Header::decode(&bytes[..7]), Ok(None));
        assert_eq!(Header::decode(&bytes), Err(Violation::LengthEncoding.into()));
        assert_eq!(Header::decode(&[0x82, 127, 0x80]), Err(Violation::LengthEncoding.into()));
        assert_eq!(Header::decode(&[0x82, 127, 0x7F]), Ok(None));
    }
}

//! Frames (RFC 6455 §5.2): their opcodes and headers, their way to bytes and back, and masking. For programs that need
//! frames alone: [`Header::decode`], [`Header::encode`] and [`mask::apply`].

pub(crate) mod decode;
pub(crate) mod encode;
mod header;
mod keys;
pub mod mask;

#[cfg(feature = "getrandom")]
pub use keys::{NoEntropy, seed};
pub(crate) use {header::Rules, keys::Keys};
pub use {
    header::{FrameHead, Header},
    mask::Masker,
};

/// The longest header: 2 bytes, 8 of a length, 4 of a masking key.
pub const MAX_HEADER_LEN: usize = 14;
/// The longest payload of a control frame (§5.5), and of a frame with a header of 2 bytes.
pub const MAX_CONTROL_LEN: usize = 125;

/// What the seven length bits say when the length follows in 16 or in 64 bits (§5.2).
const LEN_16: u8 = 0x7E;
const LEN_64: u8 = 0x7F;

/// RSV1 among [`Header::rsv`]: the message is compressed (RFC 7692 §6).
pub const RSV1: u8 = 0b100;

/// The two kinds of messages (§5.6), each with an opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
}

/// What a frame is (§5.2, §11.8). The reserved opcodes have no value here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A further frame of a fragmented message.
    Continuation = 0x0,
    /// The first frame of a text message.
    Text = 0x1,
    /// The first frame of a binary message.
    Binary = 0x2,
    /// The closing handshake.
    Close = 0x8,
    /// Asks for a Pong.
    Ping = 0x9,
    /// Answers a Ping, or comes unasked.
    Pong = 0xA,
}

impl Opcode {
    /// The opcode of a header's low four bits; `None` for a reserved one.
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// The opcode of the first frame of a message.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Binary => Self::Binary,
        }
    }

    /// Whether it is Text or Binary, the first frame of a message (§5.6).
    #[must_use]
    pub(crate) const fn begins_message(self) -> bool {
        matches!(self, Self::Text | Self::Binary)
    }

    /// Whether it is Close, Ping or Pong (§5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

// The layout of a header, for the fast paths and the general one.

/// The first byte of a header (§5.2).
const fn first_byte(fin: bool, rsv: u8, opcode: Opcode) -> u8 {
    (fin as u8) << 7 | (rsv & 0b111) << 4 | opcode as u8
}

/// The first bytes of a message in one frame that takes no extension.
const WHOLE_TEXT: u8 = first_byte(true, 0, Opcode::Text);
const WHOLE_BINARY: u8 = first_byte(true, 0, Opcode::Binary);

/// The second byte of a header: the mask bit and seven bits of the length (§5.2).
const fn second_byte(masked: bool, short_len: u8) -> u8 {
    (masked as u8) << 7 | short_len
}

/// The seven length bits of a second byte whose mask bit is `masked`; above 0x7F when it is not.
const fn short_len(second: u8, masked: bool) -> u8 {
    second ^ second_byte(masked, 0)
}

/// Where the length ends: after the 2 bytes of every header, or 2 or 8 more.
const fn len_end(short_len: u8) -> usize {
    match short_len {
        LEN_16 => 4,
        LEN_64 => 10,
        _ => 2,
    }
}

/// Whether a length may be written in this form.
const fn is_valid_len(short_len: u8, len: u64) -> bool {
    // R59, §5.2: "the minimal number of bytes MUST be used to encode the length"
    // R60, §5.2: "interpreted as a 64-bit unsigned integer (the most significant bit MUST be 0)"
    match short_len {
        LEN_16 => len > MAX_CONTROL_LEN as u64,
        LEN_64 => len > 0xFFFF && len >> 63 == 0,
        _ => true,
    }
}

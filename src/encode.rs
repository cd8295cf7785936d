//! Headers and payloads to bytes (RFC 6455 §5.2), masked where they must be (§5.3), and what lets a payload go by
//! reference: [`Masker`] and [`PreparedMessage`].

use alloc::boxed::Box;
use core::{fmt, mem};

use bytes::{Bytes, BytesMut};
use chacha20::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::{
    frame::{Header, LEN_16, Opcode},
    mask,
    message::Kind,
};

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

/// Where masking keys come from (§5.3, §10.3): a server has none, a client expands its seed, a fresh key a frame.
pub(crate) enum Keys {
    Server,
    /// A client that has sent nothing yet.
    Seed([u8; 32]),
    Client(Box<ChaCha12Rng>),
}

impl Keys {
    /// The key of the next frame.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<[u8; 4]> {
        match self {
            Self::Server => None,
            Self::Client(generator) => Some(generator.next_u32().to_le_bytes()),
            Self::Seed(_) => self.expand(),
        }
    }

    #[cold]
    fn expand(&mut self) -> Option<[u8; 4]> {
        if let Self::Seed(seed) = self {
            *self = Self::Client(Box::new(ChaCha12Rng::from_seed(mem::take(seed))));
        }
        self.next()
    }
}

impl fmt::Debug for Keys {
    /// Not the seed, nor the state that its keys follow from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "Server",
            Self::Seed(_) | Self::Client(_) => "Client",
        })
    }
}

/// Masks the payload that the caller writes behind the header from
/// [`Connection::send_header`](crate::Connection::send_header).
///
/// A server's does nothing: check [`Masker::is_identity`] to send the payload as it lies.
#[derive(Debug)]
#[must_use = "a client's payload has to be masked"]
pub struct Masker {
    key: Option<[u8; 4]>,
}

impl Masker {
    pub(crate) fn new(key: Option<[u8; 4]>) -> Self {
        Self { key }
    }

    /// Whether the payload goes out unmasked: on a server.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.key.is_none()
    }

    /// Masks the next piece of the payload in place. The pieces of one payload go through one masker, in order.
    pub fn apply(&mut self, piece: &mut [u8]) {
        if let Some(key) = &mut self.key {
            mask::apply(*key, 0, piece);
            *key = mask::rotate(*key, piece.len());
        }
    }

    /// Appends the next piece of the payload to `out`, masked on its way; a server's as it is. A long payload that is
    /// masked and written some 16 KiB at a time never leaves the cache of the processor.
    pub fn append(&mut self, piece: &[u8], out: &mut BytesMut) {
        match &mut self.key {
            None => out.extend_from_slice(piece),
            Some(key) => {
                mask::append(*key, piece, out);
                *key = mask::rotate(*key, piece.len());
            }
        }
    }
}

/// A message encoded once, for many connections of a server: a broadcast.
///
/// ```
/// use sansock::{Config, Connection, PreparedMessage};
///
/// let news = PreparedMessage::text("it rains");
/// for _ in 0..3 {
///     let mut connection = Connection::server(&Config::default());
///     let frame = connection.send_prepared(&news)?; // a reference, no copy
///     assert_eq!(&frame[..], b"\x81\x08it rains");
/// }
/// # Ok::<(), sansock::SendError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PreparedMessage {
    frame: Bytes,
    /// The same compressed, and the window that it takes to inflate it.
    compressed: Option<(u8, Bytes)>,
}

impl PreparedMessage {
    /// A text message.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::new(Kind::Text, text.as_bytes())
    }

    /// A binary message.
    #[must_use]
    pub fn binary(data: &[u8]) -> Self {
        Self::new(Kind::Binary, data)
    }

    fn new(kind: Kind, payload: &[u8]) -> Self {
        let header = Header { fin: true, rsv: 0, opcode: Opcode::of(kind), mask: None, len: payload.len() as u64 };
        let mut frame = BytesMut::new();
        append(&header, payload, &mut frame);
        Self { frame: frame.freeze(), compressed: None }
    }

    /// Its header and its payload.
    #[cfg(feature = "deflate")]
    pub(crate) fn parts(&self) -> Option<(Header, &[u8])> {
        let (header, len) = Header::decode(&self.frame).ok()??;
        Some((header, &self.frame[len..]))
    }

    /// The same with a second frame, whose payload takes a window of so many bits to inflate.
    #[cfg(feature = "deflate")]
    pub(crate) fn with_compressed(self, window_bits: u8, header: &Header, payload: &[u8]) -> Self {
        let mut frame = BytesMut::new();
        append(header, payload, &mut frame);
        Self { compressed: Some((window_bits, frame.freeze())), ..self }
    }

    /// The frame, shared; the compressed one for a connection that may send it and inflates with so large a window.
    pub(crate) fn frame(&self, window_bits: Option<u8>) -> Bytes {
        match (&self.compressed, window_bits) {
            (Some((needed, frame)), Some(window_bits)) if *needed <= window_bits => frame.clone(),
            _ => self.frame.clone(),
        }
    }
}

/// Thirty-two bytes of the operating system's entropy: what [`Connection::client`](crate::Connection::client) wants,
/// fresh for each connection.
///
/// # Errors
///
/// [`NoEntropy`] where the operating system has none to give.
#[cfg(feature = "getrandom")]
pub fn seed() -> Result<[u8; 32], NoEntropy> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| NoEntropy)?;
    Ok(seed)
}

/// The operating system has no entropy to give.
#[cfg(feature = "getrandom")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy;

#[cfg(feature = "getrandom")]
impl fmt::Display for NoEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operating system has no entropy to give")
    }
}

#[cfg(feature = "getrandom")]
impl core::error::Error for NoEntropy {}

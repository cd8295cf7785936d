//! [`PreparedMessage`]: a message encoded once, for many connections.

use bytes::{Bytes, BytesMut};

use crate::frame::{Header, Kind, Opcode, encode};

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
    kind: Kind,
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
        encode::append(&header, payload, &mut frame);
        Self { kind, frame: frame.freeze(), compressed: None }
    }

    /// Whether it is text or binary.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
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
        encode::append(header, payload, &mut frame);
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

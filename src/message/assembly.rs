//! The message that arrives, put together (RFC 6455 §5.4).

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::mem;

use super::{
    Chunk, Data, Event,
    utf8::{self, Cut, Invalid},
};
use crate::{
    error::Error,
    frame::{Header, Kind, Opcode, RSV1},
};

/// The message that is being received: how much of it came, and what must be kept of it (§5.4).
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    kind: Option<Kind>,
    /// Its first frame has RSV1.
    compressed: bool,
    /// The character of a text that the last piece was cut in.
    cut: Cut,
    fragments: u32,
    /// Payload bytes that its headers announced.
    len: u64,
    store: Store,
    /// How much to reserve at first, as the exponent of a power of two: as much as the last message needed that was
    /// stored.
    usual: u8,
}

/// The most that is reserved because another message needed it: 2^16 bytes.
const MAX_USUAL: u8 = 16;

/// What a message that arrives in pieces is stored in. Text grows from validated pieces, so it is never checked twice.
#[derive(Debug, Default)]
enum Store {
    #[default]
    Nothing,
    Text(String),
    Binary(Vec<u8>),
}

impl Assembly {
    /// Whether no message is open.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.kind.is_none()
    }

    /// Whether the open message is compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Payload bytes of the open message that its headers announced.
    pub(crate) fn announced(&self) -> u64 {
        self.len
    }

    /// Data frames of the open message.
    pub(crate) fn fragments(&self) -> u32 {
        self.fragments
    }

    /// A data frame begins, as the rules of its header allow.
    pub(crate) fn begin(&mut self, header: &Header) {
        // R71, §5.4: "all fragments of a message are of the same type, as set by the first fragment's opcode"
        if header.opcode != Opcode::Continuation {
            self.kind = Some(if header.opcode == Opcode::Text { Kind::Text } else { Kind::Binary });
            self.compressed = header.rsv == RSV1;
        }
        self.len += header.len;
        self.fragments += 1;
    }

    /// The most that a piece to [`Assembly::pass`] may have: a cut character is completed first, by itself.
    #[inline]
    pub(crate) fn max_piece(&self) -> usize {
        match self.cut.missing() {
            0 => usize::MAX,
            missing => missing,
        }
    }

    /// A message that lies whole in one piece, if this piece is one: it is lent, not stored.
    pub(crate) fn lend<'b>(&mut self, piece: &'b [u8]) -> Option<Result<Event<'b>, Error>> {
        // Whoever stored anything, a cut character too, has a store.
        if !matches!(self.store, Store::Nothing) {
            return None;
        }
        let event = match self.open_kind() {
            // R96, §5.6: "The 'Payload data' is arbitrary binary data"
            Kind::Binary => Ok(Event::Binary(Cow::Borrowed(piece))),
            Kind::Text => utf8::from_utf8(piece).map(|text| Event::Text(Cow::Borrowed(text))),
        };
        self.reset();
        Some(event.map_err(Error::from))
    }

    /// Looks at a piece of a message that is lent when it is whole: text fails at the byte that shows it.
    pub(crate) fn inspect(&mut self, piece: &[u8]) -> Result<(), Error> {
        match self.open_kind() {
            Kind::Binary => Ok(()),
            Kind::Text => self.validate(piece).2,
        }
    }

    /// Stores a piece of the message, of which at most `room` bytes may still follow; `here` of them are in the input.
    pub(crate) fn store(&mut self, piece: &[u8], here: usize, room: u64) -> Result<(), Error> {
        match self.open_kind() {
            Kind::Binary => {
                if let Store::Nothing = self.store {
                    self.store = Store::Binary(Vec::new());
                }
                if let Store::Binary(bytes) = &mut self.store {
                    bytes.reserve_exact(growth(bytes.len(), bytes.capacity(), piece.len(), here, room, self.usual));
                    bytes.extend_from_slice(piece);
                }
            }
            Kind::Text => {
                let (completed, text, verdict) = self.validate(piece);
                verdict?;
                if let Store::Nothing = self.store {
                    self.store = Store::Text(String::new());
                }
                if let Store::Text(stored) = &mut self.store {
                    let len = completed.map_or(0, char::len_utf8) + text.len();
                    stored.reserve_exact(growth(stored.len(), stored.capacity(), len, here, room, self.usual));
                    stored.extend(completed);
                    stored.push_str(text);
                }
            }
        }
        Ok(())
    }

    /// The message is complete: what was stored is moved out.
    pub(crate) fn finish(&mut self) -> Result<Event<'static>, Error> {
        let Self { kind, cut, store, .. } = self.reset();
        // R95: the message ends inside a character.
        if cut.missing() > 0 {
            return Err(Error::InvalidUtf8);
        }
        Ok(match store {
            // What was reserved for a longer message does not go along with a short one.
            Store::Text(mut text) => {
                text.shrink_to(2 * text.len());
                Event::Text(Cow::Owned(text))
            }
            Store::Binary(mut bytes) => {
                bytes.shrink_to(2 * bytes.len());
                Event::Binary(Cow::Owned(bytes))
            }
            // R65, R72, §5.4: "Clients and servers MUST support receiving both fragmented and unfragmented messages."
            // This one was empty.
            Store::Nothing if kind == Some(Kind::Text) => Event::Text(Cow::Borrowed("")),
            Store::Nothing => Event::Binary(Cow::Borrowed(&[])),
        })
    }

    /// Passes a piece of the open message on, for [`Delivery::Chunks`]. With an error comes the valid text before it.
    pub(crate) fn pass<'b>(&mut self, piece: &'b [u8], last: bool) -> (Option<Chunk<'b>>, Result<(), Error>) {
        let (data, mut verdict) = match self.open_kind() {
            Kind::Binary => (Data::Binary(Cow::Borrowed(piece)), Ok(())),
            Kind::Text => {
                let (completed, text, verdict) = self.validate(piece);
                let text = match completed {
                    None => Cow::Borrowed(text),
                    Some(completed) => Cow::Owned([completed.encode_utf8(&mut [0; 4]), text].concat()),
                };
                (Data::Text(text), verdict)
            }
        };
        if last && self.cut.missing() > 0 {
            verdict = Err(Error::InvalidUtf8);
        }
        let fin = last && verdict.is_ok();
        if fin {
            self.reset();
        }
        let chunk = (fin || !data.as_bytes().is_empty()).then_some(Chunk { data, fin });
        (chunk, verdict)
    }

    /// Ready for the next message, which is likely to need as much: what there was of this one.
    fn reset(&mut self) -> Self {
        let stored = match &self.store {
            Store::Nothing => 0,
            Store::Text(text) => text.len(),
            Store::Binary(bytes) => bytes.len(),
        };
        let usual = match stored {
            0 => self.usual,
            stored => MAX_USUAL.min(stored.next_power_of_two().ilog2() as u8),
        };
        mem::replace(self, Self { usual, ..Self::default() })
    }

    fn open_kind(&self) -> Kind {
        self.kind.expect("a data frame opened a message")
    }

    /// Validates a piece of text: the character that it completed, the whole characters behind it, and whether all is
    /// well.
    fn validate<'p>(&mut self, piece: &'p [u8]) -> (Option<char>, &'p str, Result<(), Error>) {
        let (front, piece) = piece.split_at(self.cut.missing().min(piece.len()));
        let completed = match self.cut.complete(front) {
            Ok(completed) => completed,
            Err(Invalid) => return (None, "", Err(Error::InvalidUtf8)),
        };
        match self.cut.validate(piece) {
            Ok(text) => (completed, text, Ok(())),
            Err(Invalid) => (completed, utf8::valid_prefix(piece), Err(Error::InvalidUtf8)),
        }
    }
}

/// How much to reserve behind `len` bytes for `more`, which `room` may follow, `here` of it at once: up to powers of
/// two, so that storing takes linear time (I4) and holds less than twice what arrived, or two to the power of `usual`
/// (I5); but never more than can still come.
fn growth(len: usize, capacity: usize, more: usize, here: usize, room: u64, usual: u8) -> usize {
    if capacity - len >= more {
        return 0;
    }
    let arrived = len + more + here;
    let most = (len + more).saturating_add(usize::try_from(room).unwrap_or(usize::MAX));
    arrived.next_power_of_two().max(1 << usual).min(most) - len
}

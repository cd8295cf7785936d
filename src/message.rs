//! What the application sees and says: events, messages, and pieces of messages (RFC 6455 §5.4, §5.6).

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::mem;

use crate::{
    close::CloseFrame,
    error::Error,
    frame::{Header, Opcode},
    utf8::{self, Cut, Invalid},
};

/// The two kinds of messages (§5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
}

/// How [`Connection::receive`](crate::Connection::receive) hands out messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Whole: [`Event::Text`] and [`Event::Binary`]. A message that arrives in pieces is stored, up to its limit.
    #[default]
    Messages,
    /// As it arrives: [`Event::Chunk`]. Nothing is stored, so messages of any size take no memory.
    Chunks,
}

/// What happened. Borrowed parts lie, unmasked, in the caller's buffer; owned ones came in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'b> {
    /// A whole text message.
    Text(Cow<'b, str>),
    /// A whole binary message.
    Binary(Cow<'b, [u8]>),
    /// A piece of a message, with [`Delivery::Chunks`].
    Chunk(Chunk<'b>),
    /// A Ping, at most 125 bytes. It is answered already, unless [`auto_pong`](crate::Config::auto_pong) is off.
    Ping(Cow<'b, [u8]>),
    /// A Pong, asked for or not, at most 125 bytes.
    Pong(Cow<'b, [u8]>),
    /// The peer's Close, the last event. Ours is already in `out`, if it was not sent before.
    Close(Option<CloseFrame<'b>>),
}

/// A piece of a message, in both directions: a relay sends on what it received.
///
/// Of one message all pieces are of one kind, and the last one has `fin`. How a message is cut into pieces means
/// nothing; text is cut between characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk<'b> {
    /// The piece. Empty at most when it is the last.
    pub data: Data<'b>,
    /// Whether it ends the message.
    pub fin: bool,
}

/// Text or bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data<'b> {
    /// Whole characters.
    Text(Cow<'b, str>),
    /// Any bytes.
    Binary(Cow<'b, [u8]>),
}

impl<'b> Chunk<'b> {
    /// A piece of a text message.
    pub fn text(text: impl Into<Cow<'b, str>>, fin: bool) -> Self {
        Self { data: Data::Text(text.into()), fin }
    }

    /// A piece of a binary message.
    pub fn binary(bytes: impl Into<Cow<'b, [u8]>>, fin: bool) -> Self {
        Self { data: Data::Binary(bytes.into()), fin }
    }
}

impl Data<'_> {
    /// Whether it is text or bytes.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The bytes on the wire, before masking.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// A whole message that owns its bytes: what an adapter returns when it cannot lend its buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// UTF-8 text.
    Text(String),
    /// Any bytes.
    Binary(Vec<u8>),
}

impl Message {
    /// The payload.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(bytes.into())
    }
}

/// The message that is being received: how much of it came, and what must be kept of it (§5.4).
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    kind: Option<Kind>,
    /// The character of a text that the last piece was cut in.
    cut: Cut,
    fragments: u64,
    /// Payload bytes that its headers announced.
    len: u64,
    store: Store,
}

/// What a message that arrives in pieces is stored in. Text grows from validated pieces, so it is never checked twice.
#[derive(Debug, Default)]
enum Store {
    #[default]
    Nothing,
    Text(String),
    Binary(Vec<u8>),
}

/// Where a piece of payload stands in its message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Whether it is the last of the message.
    pub(crate) last: bool,
    /// The most payload that may still follow it, from what was announced and the limits.
    pub(crate) room: u64,
}

impl Assembly {
    /// Whether no message is open.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.kind.is_none()
    }

    /// Payload bytes announced, and frames begun, of the open message.
    pub(crate) fn announced(&self) -> (u64, u64) {
        (self.len, self.fragments)
    }

    /// A data frame begins, as the rules of its header allow.
    pub(crate) fn begin(&mut self, header: &Header) {
        match header.opcode {
            Opcode::Text => self.kind = Some(Kind::Text),
            Opcode::Binary => self.kind = Some(Kind::Binary),
            _ => {}
        }
        self.len += header.len;
        self.fragments += 1;
    }

    /// The most that the next piece may have: a cut character is completed first, by itself.
    #[inline]
    pub(crate) fn max_piece(&self) -> usize {
        match self.cut.missing() {
            0 => usize::MAX,
            missing => missing,
        }
    }

    /// Takes a piece of the open message; the message, when it is complete.
    pub(crate) fn collect<'b>(&mut self, piece: &'b [u8], place: Place) -> Result<Option<Event<'b>>, Error> {
        let whole = place.last && matches!(self.store, Store::Nothing) && self.cut.missing() == 0;
        match self.kind.expect("a data frame opened a message") {
            Kind::Binary if whole => {
                *self = Self::default();
                return Ok(Some(Event::Binary(Cow::Borrowed(piece))));
            }
            Kind::Binary => {
                let mut bytes = match mem::take(&mut self.store) {
                    Store::Binary(bytes) => bytes,
                    _ => Vec::new(),
                };
                if let Some(more) = growth(bytes.len(), bytes.capacity(), piece.len(), place.room) {
                    bytes.reserve_exact(more);
                }
                bytes.extend_from_slice(piece);
                self.store = Store::Binary(bytes);
            }
            Kind::Text => {
                let (completed, text) = self.text(piece, place.last)?;
                if whole {
                    *self = Self::default();
                    return Ok(Some(Event::Text(Cow::Borrowed(text))));
                }
                let mut stored = match mem::take(&mut self.store) {
                    Store::Text(stored) => stored,
                    _ => String::new(),
                };
                let len = completed.map_or(0, char::len_utf8) + text.len();
                if let Some(more) = growth(stored.len(), stored.capacity(), len, place.room) {
                    stored.reserve_exact(more);
                }
                stored.extend(completed);
                stored.push_str(text);
                self.store = Store::Text(stored);
            }
        }
        if !place.last {
            return Ok(None);
        }
        Ok(match mem::take(self).store {
            Store::Text(text) => Some(Event::Text(Cow::Owned(text))),
            Store::Binary(bytes) => Some(Event::Binary(Cow::Owned(bytes))),
            Store::Nothing => None,
        })
    }

    /// Passes a piece of the open message on, for [`Delivery::Chunks`]. Invalid text comes back as the valid text before
    /// it, and an error.
    pub(crate) fn pass<'b>(&mut self, piece: &'b [u8], last: bool) -> (Option<Event<'b>>, Result<(), Error>) {
        let (data, verdict) = match self.kind.expect("a data frame opened a message") {
            Kind::Binary => (Data::Binary(Cow::Borrowed(piece)), Ok(())),
            Kind::Text => match self.text(piece, last) {
                Ok((None, text)) => (Data::Text(Cow::Borrowed(text)), Ok(())),
                Ok((Some(completed), _)) => (Data::Text(Cow::Owned(completed.into())), Ok(())),
                Err(error) => (Data::Text(Cow::Borrowed(utf8::valid_prefix(piece))), Err(error)),
            },
        };
        let fin = last && verdict.is_ok();
        if fin {
            *self = Self::default();
        }
        let event = (fin || !data.as_bytes().is_empty()).then_some(Event::Chunk(Chunk { data, fin }));
        (event, verdict)
    }

    /// Validates a piece of text: the character that it completed, and the whole characters in it. At most one of the
    /// two, as [`Assembly::max_piece`] cuts them.
    fn text<'b>(&mut self, piece: &'b [u8], last: bool) -> Result<(Option<char>, &'b str), Error> {
        let text = match self.cut.missing() {
            0 => self.cut.validate(piece).map(|text| (None, text)),
            _ => self.cut.complete(piece).map(|completed| (completed, "")),
        };
        match text {
            Ok(text) if !(last && self.cut.missing() > 0) => Ok(text),
            Ok(_) | Err(Invalid) => Err(Error::InvalidUtf8),
        }
    }
}

/// How much to reserve for `more` bytes behind `len`, `room` of which may follow them: powers of two, so that storing
/// takes linear time and holds less than twice what arrived, but never more than can still come.
fn growth(len: usize, capacity: usize, more: usize, room: u64) -> Option<usize> {
    if capacity - len >= more {
        return None;
    }
    let arrived = len + more;
    let most = arrived.saturating_add(usize::try_from(room).unwrap_or(usize::MAX));
    Some(arrived.next_power_of_two().min(most) - len)
}

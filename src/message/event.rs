//! What the application sees and says: events, messages, and pieces of messages (RFC 6455 §5.4, §5.6).

use alloc::{borrow::Cow, string::String, vec::Vec};

use crate::{close::CloseFrame, frame::Kind};

/// What happened. Borrowed parts lie, unmasked, in the caller's buffer; owned ones came in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'b> {
    /// A whole text message.
    // I11: a `str` is UTF-8.
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

impl Chunk<'_> {
    /// The same, without the borrow.
    #[must_use]
    pub fn into_owned(self) -> Chunk<'static> {
        let data = match self.data {
            Data::Text(text) => Data::Text(Cow::Owned(text.into_owned())),
            Data::Binary(bytes) => Data::Binary(Cow::Owned(bytes.into_owned())),
        };
        Chunk { data, fin: self.fin }
    }
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

/// How [`Connection::receive`](crate::Connection::receive) hands out messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Whole: [`Event::Text`](crate::Event::Text) and [`Event::Binary`](crate::Event::Binary). A message that arrives
    /// in pieces is stored, up to its limit.
    #[default]
    Messages,
    /// Whole, and lent even when they arrive in pieces, without a copy: as long as the only frame of a message is not
    /// whole, what came of its payload stays at the front of `input`, unmasked. After `None` the caller keeps what is
    /// left of `input`, and puts it in front of the next; [`Inbox`](crate::Inbox) is a buffer that does that.
    ///
    /// Messages in several frames, compressed ones, and texts of more than 64 KiB, which would have to be validated
    /// twice, are stored as with [`Messages`](Self::Messages).
    InPlace,
    /// As it arrives: [`Event::Chunk`](crate::Event::Chunk). Nothing is stored, so messages of any size take no memory.
    Chunks,
}

//! What a connection said, in a form in which it does not matter how the input was cut.

use sansock::{CloseFrame, Data, Event, Kind};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Message(Kind, Vec<u8>),
    /// A part of a message, with all the parts that followed it at once.
    Part(Kind, Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Its code and its reason.
    Close(Option<(u16, String)>),
}

/// All that happened, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(pub Vec<Entry>);

impl Trace {
    /// Adds what happened next; adjacent parts of one message become one.
    pub fn push(&mut self, entry: Entry) {
        match (self.0.last_mut(), entry) {
            (Some(Entry::Part(kind, data, fin @ false)), Entry::Part(next_kind, next, next_fin)) => {
                assert_eq!(*kind, next_kind, "the parts of a message are of one kind");
                data.extend(next);
                *fin = next_fin;
            }
            (_, entry) => self.0.push(entry),
        }
    }

    /// What is the same since `self` had `len` entries. The last of those may have grown since.
    pub fn since(&self, len: usize) -> &[Entry] {
        &self.0[len.saturating_sub(1).min(self.0.len())..]
    }
}

impl From<&Event<'_>> for Entry {
    fn from(event: &Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Message(Kind::Text, text.as_bytes().to_vec()),
            Event::Binary(data) => Self::Message(Kind::Binary, data.to_vec()),
            Event::Chunk(chunk) => {
                let data = chunk.data.as_bytes().to_vec();
                assert!(chunk.fin || !data.is_empty(), "only the last part of a message may be empty");
                if let Data::Text(text) = &chunk.data {
                    // A `str` by type; that its bytes are is what the machine vouches for.
                    std::str::from_utf8(text.as_bytes()).expect("whole characters");
                }
                Self::Part(chunk.data.kind(), data, chunk.fin)
            }
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close(frame) => Self::Close(frame.as_ref().map(body)),
            _ => unreachable!("an event that this trace does not know"),
        }
    }
}

/// The body of a Close frame.
fn body(frame: &CloseFrame<'_>) -> (u16, String) {
    (frame.code.get(), frame.reason.to_string())
}

//! Whole messages from pieces.

use crate::{Chunk, Data, Message};

/// Makes a whole message of pieces.
pub(super) fn join(open: &mut Option<Message>, chunk: Chunk<'_>) -> Option<Message> {
    match (&mut *open, chunk.data) {
        (Some(Message::Text(text)), Data::Text(piece)) => text.push_str(&piece),
        (Some(Message::Binary(bytes)), Data::Binary(piece)) => bytes.extend_from_slice(&piece),
        (_, Data::Text(piece)) => *open = Some(Message::Text(piece.into_owned())),
        (_, Data::Binary(piece)) => *open = Some(Message::Binary(piece.into_owned())),
    }
    if chunk.fin { open.take() } else { None }
}

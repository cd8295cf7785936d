//! Commands in, bytes appended to `out`, which ends on a frame boundary after every call (R89, I9; RFC 6455 §5.2, §5.4,
//! §5.6).

use bytes::{Bytes, BytesMut};

use super::{Connection, stage::Stage};
use crate::{
    error::SendError,
    frame::{FrameHead, Header, Kind, MAX_CONTROL_LEN, Masker, Opcode, RSV1, encode},
    message::{Chunk, Message, PreparedMessage},
    outbox::Outbox,
};

/// What is given away and no shorter than this is written from where it lies. Below, a copy is cheaper than what a part
/// of its own costs.
const BY_REFERENCE: usize = 16 << 10;

impl Connection {
    /// Sends a text message in one frame (§5.6).
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`], or [`SendError::MessageOpen`] inside a fragmented message.
    #[inline]
    pub fn send_text(&mut self, text: &str, out: &mut BytesMut) -> Result<(), SendError> {
        self.send(Kind::Text, text.as_bytes(), out)
    }

    /// Sends a binary message in one frame (§5.6).
    ///
    /// # Errors
    ///
    /// As [`Connection::send_text`].
    #[inline]
    pub fn send_binary(&mut self, data: &[u8], out: &mut BytesMut) -> Result<(), SendError> {
        self.send(Kind::Binary, data, out)
    }

    /// Sends a piece of a message as a frame of its own (§5.4): the first one opens the message, the one with `fin`
    /// ends it. Pings, Pongs and a Close may go between, other messages not.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`], or [`SendError::MessageOpen`] when the open message is of the other kind.
    pub fn send_chunk(&mut self, chunk: &Chunk<'_>, out: &mut BytesMut) -> Result<(), SendError> {
        let opcode = self.next_fragment(chunk.data.kind())?;
        self.slow(|this| {
            this.begin_data(chunk.data.kind(), chunk.fin);
            this.write_owed_pong(out);
            this.write_data(opcode, chunk.fin, chunk.data.as_bytes(), out);
        });
        Ok(())
    }

    /// Sends a message that is given away: from 16 KiB on it goes by reference instead of being copied, unless it is
    /// compressed; a client masks it where it lies.
    ///
    /// # Errors
    ///
    /// As [`Connection::send_text`].
    pub fn send_message(&mut self, message: Message, out: &mut Outbox) -> Result<(), SendError> {
        match message {
            Message::Text(text) if text.len() < BY_REFERENCE => self.send_text(&text, out.tail()),
            Message::Binary(data) if data.len() < BY_REFERENCE => self.send_binary(&data, out.tail()),
            Message::Text(text) => self.send_owned(Kind::Text, text.into(), out),
            Message::Binary(data) => self.send_owned(Kind::Binary, data.into(), out),
        }
    }

    /// Sends shared bytes as a binary message, like [`send_message`](Self::send_message). A client copies what others
    /// hold too, because it has to mask it.
    ///
    /// # Errors
    ///
    /// As [`Connection::send_text`].
    pub fn send_bytes(&mut self, data: Bytes, out: &mut Outbox) -> Result<(), SendError> {
        if data.len() < BY_REFERENCE {
            self.send_binary(&data, out.tail())
        } else {
            self.send_owned(Kind::Binary, data, out)
        }
    }

    /// Begins a frame whose payload of `len` bytes the caller writes itself, by `writev` or `sendfile`, or piece by
    /// piece: its header, and what masks the payload. With `fin` it ends its message, otherwise more pieces follow, as
    /// with [`Connection::send_chunk`].
    ///
    /// Header and payload go behind all that `out` holds and before all that is appended later;
    /// [`Outbox`] keeps that order. The length and the UTF-8 of the payload are the caller's word.
    ///
    /// # Errors
    ///
    /// As [`Connection::send_chunk`]; [`SendError::MessageOpen`] also inside a message that `send_chunk` compresses,
    /// and [`SendError::FrameTooLong`] from 2⁶³ bytes on (§5.2).
    pub fn send_header(&mut self, kind: Kind, len: u64, fin: bool) -> Result<(FrameHead, Masker), SendError> {
        if len >> 63 != 0 {
            return Err(SendError::FrameTooLong(len));
        }
        let opcode = self.next_fragment(kind)?;
        if let Some(codec) = &self.codec
            && opcode == Opcode::Continuation
            && codec.is_sending()
        {
            return Err(SendError::MessageOpen);
        }
        // A whole message, not compressed, changes nothing that the fast paths depend on.
        let is_whole = fin && self.sending.is_none() && self.codec.is_none();
        let begin = |this: &mut Self| {
            this.begin_data(kind, fin);
            if let Some(codec) = &mut this.codec
                && opcode.begins_message()
            {
                codec.send_plain();
            }
            this.keys.next()
        };
        let mask = if is_whole { begin(self) } else { self.slow(begin) };
        Ok((Header { fin, rsv: 0, opcode, mask, len }.encode(), Masker::new(mask)))
    }

    /// Sends a message that was encoded once for many connections: a shared reference to its frame, which goes behind
    /// all that `out` holds and before all that is appended later, as with [`Connection::send_header`].
    ///
    /// # Errors
    ///
    /// As [`Connection::send_text`], and [`SendError::MustMask`] on a client.
    pub fn send_prepared(&mut self, message: &PreparedMessage) -> Result<Bytes, SendError> {
        let kind = message.kind();
        self.may_send(Opcode::of(kind))?;
        if !self.is_server() {
            return Err(SendError::MustMask);
        }
        Ok(self.slow(|this| {
            this.begin_data(kind, true);
            message.frame(this.codec.as_mut().and_then(|codec| codec.prepared_window()))
        }))
    }

    /// Decides about compressing the next message, if permessage-deflate was agreed on; afterwards it is
    /// [`Compress::Auto`](crate::deflate::Compress::Auto) again.
    ///
    /// `connection.compress(Compress::Never).send_text(secret, out)`
    #[cfg(feature = "deflate")]
    pub fn compress(&mut self, compress: crate::deflate::Compress) -> &mut Self {
        self.slow(|this| {
            if let Some(codec) = &mut this.codec {
                codec.compress_next(compress);
            }
        });
        self
    }

    /// Sends a Ping with a payload of at most 125 bytes (§5.5.2). Its answer is an [`Event::Pong`](crate::Event::Pong).
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] or [`SendError::ControlTooLong`].
    pub fn ping(&mut self, payload: &[u8], out: &mut BytesMut) -> Result<(), SendError> {
        self.send_control(Opcode::Ping, payload, out)
    }

    /// Sends a Pong that nobody asked for, of at most 125 bytes (§5.5.3), or the answer to an
    /// [`Event::Ping`](crate::Event::Ping) when [`auto_pong`](crate::Config::auto_pong) is off. It never takes the
    /// place of an automatic answer.
    ///
    /// A Pong may follow our own Close: §5.5.2 asks for an answer to each Ping "unless it already received a Close
    /// frame".
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] once the peer's Close has arrived or the connection has failed;
    /// [`SendError::ControlTooLong`].
    pub fn pong(&mut self, payload: &[u8], out: &mut BytesMut) -> Result<(), SendError> {
        self.send_control(Opcode::Pong, payload, out)
    }

    #[inline]
    fn send(&mut self, kind: Kind, payload: &[u8], out: &mut BytesMut) -> Result<(), SendError> {
        debug_assert_eq!(self.plain_below, self.bounds().1, "something changed outside of `slow`");
        if payload.len() >= usize::from(self.plain_below) {
            return self.send_any(kind, payload, out);
        }
        self.timers.active();
        if payload.len() > MAX_CONTROL_LEN {
            encode::append_medium(kind, &mut self.keys, payload, out);
        } else {
            encode::append_short(kind, &mut self.keys, payload, out);
        }
        Ok(())
    }

    #[inline(never)]
    fn send_any(&mut self, kind: Kind, payload: &[u8], out: &mut BytesMut) -> Result<(), SendError> {
        self.may_send(Opcode::of(kind))?;
        self.slow(|this| {
            this.begin_data(kind, true);
            this.write_owed_pong(out);
            this.write_data(Opcode::of(kind), true, payload, out);
        });
        Ok(())
    }

    /// A long message: header and payload, each a part of its own, unless it has to be compressed.
    fn send_owned(&mut self, kind: Kind, mut payload: Bytes, out: &mut Outbox) -> Result<(), SendError> {
        if self.codec.is_some() {
            return self.send_any(kind, &payload, out.tail());
        }
        self.may_send(Opcode::of(kind))?;
        let (head, mut masker) = self.slow(|this| {
            this.write_owed_pong(out.tail());
            this.send_header(kind, payload.len() as u64, true)
        })?;
        if !masker.is_identity() {
            let mut bytes = BytesMut::from(payload);
            masker.apply(&mut bytes);
            payload = bytes.freeze();
        }
        out.tail().extend_from_slice(&head);
        out.push(payload);
        Ok(())
    }

    fn send_control(&mut self, opcode: Opcode, payload: &[u8], out: &mut BytesMut) -> Result<(), SendError> {
        self.may_send(opcode)?;
        if payload.len() > MAX_CONTROL_LEN {
            return Err(SendError::ControlTooLong(payload.len()));
        }
        self.slow(|this| {
            this.write_owed_pong(out);
            this.write(opcode, true, payload, out);
        });
        Ok(())
    }

    /// Whether a frame of this opcode may be sent now.
    #[inline]
    pub(super) fn may_send(&self, opcode: Opcode) -> Result<(), SendError> {
        match self.stage {
            // R66, §5.4: "The fragments of one message MUST NOT be interleaved between the fragments of another
            // message"
            Stage::Open if self.sending.is_some() && opcode.begins_message() => Err(SendError::MessageOpen),
            Stage::Open => Ok(()),
            // R79, §5.5.1: "The application MUST NOT send any more data frames after sending a Close frame." Nor is a
            // second Close sent. But §5.5.2 asks for a Pong, until the peer's Close has arrived.
            Stage::Closing(_) if opcode == Opcode::Pong => Ok(()),
            Stage::Closing(_) | Stage::Closed { .. } => Err(SendError::Closed),
        }
    }

    /// The opcode of the next frame of a fragmented message, which it opens, continues or ends (§5.4).
    #[inline]
    fn next_fragment(&self, kind: Kind) -> Result<Opcode, SendError> {
        let opcode = match self.sending {
            Some(open) if open == kind => Opcode::Continuation,
            Some(_) | None => Opcode::of(kind),
        };
        self.may_send(opcode)?;
        Ok(opcode)
    }

    /// A data frame is sent, the last one of its message if it has `fin`.
    fn begin_data(&mut self, kind: Kind, fin: bool) {
        self.sending = (!fin).then_some(kind);
        self.timers.active();
    }

    /// A data frame, compressed if its message is (RFC 7692 §7.2.1).
    fn write_data(&mut self, opcode: Opcode, fin: bool, payload: &[u8], out: &mut BytesMut) {
        let begins = opcode != Opcode::Continuation;
        let codec = match &mut self.codec {
            Some(codec) if begins => codec.decide(payload.len(), fin).then_some(codec),
            Some(codec) => codec.is_sending().then_some(codec),
            None => None,
        };
        // R106: a message that is not compressed does not touch the window.
        let Some(codec) = codec else { return self.write(opcode, fin, payload, out) };
        let payload = codec.deflate(payload, fin);
        // R105: RSV1 on the first frame of the message only.
        let rsv = if begins { RSV1 } else { 0 };
        let header = Header { fin, rsv, opcode, mask: self.keys.next(), len: payload.len() as u64 };
        encode::append(&header, payload, out);
        if fin {
            codec.sent();
        }
    }

    pub(super) fn write(&mut self, opcode: Opcode, fin: bool, payload: &[u8], out: &mut BytesMut) {
        let header = Header { fin, rsv: 0, opcode, mask: self.keys.next(), len: payload.len() as u64 };
        encode::append(&header, payload, out);
    }
}

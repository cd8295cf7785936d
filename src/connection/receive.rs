//! Bytes in: frame by frame, and piece by piece within a frame (RFC 6455 §5.2, §5.4, §5.5).

use alloc::{borrow::Cow, boxed::Box};
use core::mem;

use bytes::BytesMut;

use super::{Connection, Control, State, Transport};
use crate::{
    close::CloseFrame,
    deflate::codec::{Inflated, Stop},
    error::Error,
    frame::{Kind, MAX_CONTROL_LEN, Opcode, Rules, decode},
    message::{Chunk, Delivery, Event, utf8},
};

/// While `out` holds less, each Ping is answered at once; beyond, only the latest is, later (R87, I6).
const PONG_BACKLOG: usize = 16 << 10;
/// What is unmasked, validated and stored in one go.
const MAX_STORED_PIECE: usize = 32 << 10;
/// Text that stays in place is validated as it comes, and once more when it is whole, to be lent as text. Where it is
/// longer than this, storing it costs less.
const MAX_TEXT_IN_PLACE: u64 = 64 << 10;
/// What is unmasked at once of a compressed payload, which may have to wait for its output to be taken.
const MAX_COMPRESSED_PIECE: usize = 16 << 10;

impl Connection {
    /// Takes bytes from the front of `input` until an event is complete: call it until it returns `None`, which means
    /// that `input` is used up; but for [`Delivery::InPlace`], where the rest is to be kept in front of the next input.
    /// Answers to Pings and Closes are appended to `out`.
    ///
    /// Events borrow `input`, where payloads are unmasked in place; the connection is free for an answer meanwhile.
    /// After the peer's Close, or an error, `input` is discarded and the result is `None`.
    ///
    /// # Errors
    ///
    /// What the peer did wrong, once; the Close frame that says so is in `out`.
    #[inline]
    pub fn receive<'b>(&mut self, input: &mut &'b mut [u8], out: &mut BytesMut) -> Result<Option<Event<'b>>, Error> {
        debug_assert_eq!(self.short_below, self.bounds().0, "something changed outside of `slow`");
        match decode::short_message(self.is_server(), self.short_below, input) {
            Some((kind, payload)) => self.lend(kind, payload, input, out),
            None => self.receive_any(input, out),
        }
    }

    /// A message that lies whole in the input.
    #[inline]
    fn lend<'b>(
        &mut self,
        kind: Kind,
        payload: &'b [u8],
        input: &mut &'b mut [u8],
        out: &mut BytesMut,
    ) -> Result<Option<Event<'b>>, Error> {
        self.timers.heard();
        self.timers.active();
        if kind == Kind::Binary {
            return Ok(Some(Event::Binary(Cow::Borrowed(payload))));
        }
        match utf8::from_utf8(payload) {
            Ok(text) => Ok(Some(Event::Text(Cow::Borrowed(text)))),
            Err(utf8::Invalid) => Err(self.fail_receiving(Error::InvalidUtf8, input, out)),
        }
    }

    /// With [`Delivery::InPlace`], how many bytes the payload lacks that is kept in the input; 0 when none is, so that
    /// any number may be read.
    ///
    /// Nothing has to be moved when no more is read than that. The limits hold for it already, but it is the peer's
    /// word: a buffer grows with what has come.
    #[must_use]
    pub fn missing(&self) -> u64 {
        if self.is_in_place() { self.decoder.remaining() } else { 0 }
    }

    /// Reports the end of the input: no byte will come any more. Write `out`, then close the transport.
    ///
    /// A deadline remains until you drop the connection: [`close_timeout`](crate::Config::close_timeout) from here, or
    /// what is left of it. When it passes, [`transport`](Self::transport) is [`Transport::Abort`].
    ///
    /// # Errors
    ///
    /// None after a clean close. [`Error::ConnectionLost`] when the peer's Close is missing (§7.1.5: 1006), or the
    /// error that ended the connection before.
    pub fn receive_eof(&mut self) -> Result<(), Error> {
        self.slow(|this| {
            // R90, §7.2.1: "If at any point the underlying transport layer connection is unexpectedly lost, the client
            // MUST _Fail the WebSocket Connection_."
            if this.state() != State::Closed {
                this.fail_with(Error::ConnectionLost, &mut BytesMut::new());
            }
            this.end(Transport::Close).cause.map_or(Ok(()), Err)
        })
    }

    /// Everything but a short message.
    #[inline(never)]
    fn receive_any<'b>(&mut self, input: &mut &'b mut [u8], out: &mut BytesMut) -> Result<Option<Event<'b>>, Error> {
        if self.short_below > 0 {
            // Between two messages.
            if input.is_empty() {
                return Ok(None);
            }
            if let Some((kind, payload)) = decode::long_message(self.is_server(), self.max_payload(false), input) {
                return self.lend(kind, payload, input, out);
            }
        }
        self.slow(|this| {
            this.write_owed_pong(out);
            match this.step(input, out) {
                Err(error) => Err(this.fail_receiving(error, input, out)),
                event => event,
            }
        })
    }

    #[cold]
    fn fail_receiving(&mut self, error: Error, input: &mut &mut [u8], out: &mut BytesMut) -> Error {
        self.slow(|this| {
            this.fail_with(error, out);
            this.discard(input);
            error
        })
    }

    /// Reading goes on after the end, for nothing but its end.
    fn discard(&mut self, input: &mut &mut [u8]) {
        self.stage.discard(mem::take(input).len());
    }

    /// Frame by frame and piece by piece, in a loop (I1), until there is an event or nothing is left (I3).
    fn step<'b>(&mut self, input: &mut &'b mut [u8], out: &mut BytesMut) -> Result<Option<Event<'b>>, Error> {
        // R80, R84, I8, §7.1.7: "An endpoint MUST NOT continue to attempt to process data (including a responding Close
        // frame) from the remote endpoint after being instructed to _Fail the WebSocket Connection_."
        if self.state() == State::Closed {
            self.discard(input);
            return Ok(None);
        }
        if let Some(error) = self.spoiled {
            return Err(error);
        }
        if input.len() > self.kept() {
            self.timers.heard();
        }
        loop {
            let (opcode, fin) = match self.frame {
                Some(frame) => frame,
                None => match self.decoder.header(&self.rules(), input)? {
                    None => return Ok(None),
                    Some(header) => {
                        if !header.opcode.is_control() {
                            self.assembly.begin(&header);
                        }
                        *self.frame.insert((header.opcode, header.fin))
                    }
                },
            };
            // What is kept of the payload is no news.
            if input.len() <= self.kept() && self.decoder.remaining() > 0 {
                return Ok(None);
            }
            // R64, §5.4: "An endpoint MUST be capable of handling control frames in the middle of a fragmented
            // message."
            let event = if opcode.is_control() {
                let payload = self.decoder.payload(MAX_CONTROL_LEN, input);
                self.receive_control(opcode, payload, out)?
            } else {
                self.timers.active();
                if self.is_in_place() {
                    return self.receive_in_place(input);
                }
                if self.assembly.is_compressed() {
                    self.receive_compressed(fin, input)?
                } else {
                    self.receive_plain(fin, input)?
                }
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// What the rules for the next header are.
    fn rules(&self) -> Rules {
        Rules {
            masked: self.is_server(),
            message_open: !self.assembly.is_idle(),
            max_len: self.max_payload(self.assembly.is_compressed()),
            max_compressed_len: self.codec.is_some().then(|| self.max_payload(true)),
            more_fragments: self.may_have_fragment(),
        }
    }

    /// The most payload that the next frame of the message may have, of one that is compressed or not.
    #[inline]
    pub(super) fn max_payload(&self, compressed: bool) -> u64 {
        // What was compressed may be longer on the wire than it was, with much flushing even by much.
        let whole = if compressed {
            self.max_message_len.saturating_mul(2).saturating_add(1 << 10)
        } else {
            self.max_message_len
        };
        self.max_frame_len.min(whole.saturating_sub(self.assembly.announced()))
    }

    /// Whether the message may have one more frame.
    pub(super) fn may_have_fragment(&self) -> bool {
        self.assembly.fragments() < self.max_fragments
    }

    /// A piece of a data frame.
    fn receive_plain<'b>(&mut self, fin: bool, input: &mut &'b mut [u8]) -> Result<Option<Event<'b>>, Error> {
        let max = match self.delivery {
            Delivery::Chunks => self.assembly.max_piece(),
            // A message that lies here whole is lent; of another the pieces stay in the cache until they are stored.
            _ if fin && self.decoder.remaining() <= input.len() as u64 => usize::MAX,
            Delivery::Messages | Delivery::InPlace => MAX_STORED_PIECE,
        };
        let piece = &*self.decoder.payload(max, input);
        let remaining = self.decoder.remaining();
        let last = fin && remaining == 0;
        if remaining == 0 {
            self.frame = None;
        }
        match self.delivery {
            Delivery::Messages | Delivery::InPlace => {
                if last && let Some(lent) = self.assembly.lend(piece) {
                    return lent.map(Some);
                }
                let room = if fin { 0 } else { self.max_message_len - self.assembly.announced() };
                let here = remaining.min(input.len() as u64);
                self.assembly.store(piece, here as usize, room.saturating_add(remaining))?;
                if last { self.assembly.finish().map(Some) } else { Ok(None) }
            }
            Delivery::Chunks => {
                let (chunk, verdict) = self.assembly.pass(piece, last);
                self.deliver(chunk, verdict)
            }
        }
    }

    /// Whether the frame is one that stays where it lies until it is whole.
    fn is_in_place(&self) -> bool {
        let Some((opcode, true)) = self.frame else { return false };
        let may_stay =
            opcode == Opcode::Binary || opcode == Opcode::Text && self.assembly.announced() <= MAX_TEXT_IN_PLACE;
        self.delivery == Delivery::InPlace && may_stay && !self.assembly.is_compressed()
    }

    /// How much of its payload the input begins with: seen before, and still there.
    fn kept(&self) -> usize {
        if self.is_in_place() { (self.assembly.announced() - self.decoder.remaining()) as usize } else { 0 }
    }

    /// The one frame of a message, left where it lies until it is whole.
    fn receive_in_place<'b>(&mut self, input: &mut &'b mut [u8]) -> Result<Option<Event<'b>>, Error> {
        let piece = self.decoder.payload_behind(self.kept(), input);
        if self.decoder.remaining() > 0 {
            return self.assembly.inspect(piece).map(|()| None);
        }
        self.frame = None;
        let payload = decode::advance(input, self.assembly.announced() as usize);
        self.assembly.lend(payload).transpose()
    }

    /// A piece of a data frame of a compressed message (RFC 7692 §7.2.2): as much of it as fills the codec's buffer.
    fn receive_compressed<'b>(&mut self, fin: bool, input: &mut &'b mut [u8]) -> Result<Option<Event<'b>>, Error> {
        let codec = self.codec.as_mut().expect("RSV1 is refused without a codec");
        let limit = self.max_message_len.min(codec.max_inflated(self.assembly.announced()));
        let inflater = codec.inflater();
        let room = limit - inflater.inflated();

        let peeked = self.decoder.peek(MAX_COMPRESSED_PIECE, input);
        let last = fin && self.decoder.remaining() == peeked as u64;
        // R111: both limits are for what is inflated, and hold while it is.
        // One byte over the limit tells that it is exceeded.
        let Inflated { used, output, stop } = inflater.inflate(&input[..peeked], last, room.saturating_add(1));
        self.decoder.take(peeked, used, input);
        let within = &output[..output.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        let broken = match stop {
            _ if output.len() > within.len() => Err(Error::TooBig),
            Stop::Broken => Err(Error::InvalidDeflate),
            _ => Ok(()),
        };
        let complete = broken.is_ok() && stop == Stop::Done;
        if complete || (stop == Stop::Hungry && self.decoder.remaining() == 0) {
            self.frame = None;
        }

        // What came before the byte that fails is judged, and delivered, first.
        match self.delivery {
            Delivery::Messages | Delivery::InPlace => {
                self.assembly.store(within, 0, room - within.len() as u64)?;
                broken?;
                if !complete {
                    return Ok(None);
                }
                codec.received();
                self.assembly.finish().map(Some)
            }
            Delivery::Chunks => {
                let (chunk, verdict) = self.assembly.pass(within, complete);
                let chunk = chunk.map(Chunk::into_owned);
                if complete {
                    codec.received();
                }
                self.deliver(chunk, verdict.and(broken))
            }
        }
    }

    /// A chunk, and what was found behind it: what is valid before the byte that fails is delivered first.
    fn deliver<'b>(
        &mut self,
        chunk: Option<Chunk<'b>>,
        verdict: Result<(), Error>,
    ) -> Result<Option<Event<'b>>, Error> {
        match (chunk, verdict) {
            (None, Err(error)) => Err(error),
            (chunk, verdict) => {
                self.spoiled = verdict.err();
                Ok(chunk.map(Event::Chunk))
            }
        }
    }

    /// A piece of a control frame; the event, when it is the last.
    fn receive_control<'b>(
        &mut self,
        opcode: Opcode,
        piece: &'b mut [u8],
        out: &mut BytesMut,
    ) -> Result<Option<Event<'b>>, Error> {
        let complete = self.decoder.remaining() == 0;
        if !complete || self.control.is_some() {
            self.control.get_or_insert_with(|| Box::new(Control::new(&[]))).extend(piece);
        }
        if !complete {
            return Ok(None);
        }
        self.frame = None;
        let payload = match self.control.take() {
            None => Cow::Borrowed(&*piece),
            Some(control) => Cow::Owned(control.as_slice().into()),
        };
        match opcode {
            Opcode::Ping => {
                self.answer_ping(&payload, out);
                Ok(Some(Event::Ping(payload)))
            }
            Opcode::Pong => {
                // R88, §5.5.3: "A response to an unsolicited Pong frame is not expected."
                self.timers.pong_received(&payload);
                Ok(Some(Event::Pong(payload)))
            }
            _ => {
                let frame = CloseFrame::decode(payload)?;
                self.receive_close(frame.as_ref(), out);
                Ok(Some(Event::Close(frame)))
            }
        }
    }

    /// Answers a Ping, at once or later.
    // R86, §5.5.2: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response, unless it already
    // received a Close frame."
    // R87, §5.5.3: "the endpoint MAY elect to send a Pong frame for only the most recently processed Ping frame"
    fn answer_ping(&mut self, payload: &[u8], out: &mut BytesMut) {
        if !self.auto_pong {
            return;
        }
        if out.len() < PONG_BACKLOG {
            self.write(Opcode::Pong, true, payload, out);
        } else if let Some(owed) = &mut self.owed_pong {
            **owed = Control::new(payload);
        } else {
            self.owed_pong = Some(Box::new(Control::new(payload)));
        }
    }

    /// The answer that waited for room goes before anything else, once there is some.
    #[inline]
    pub(super) fn write_owed_pong(&mut self, out: &mut BytesMut) {
        if self.owed_pong.is_some() && out.len() < PONG_BACKLOG {
            let payload = self.owed_pong.take().expect("a Pong is owed");
            self.write(Opcode::Pong, true, payload.as_slice(), out);
        }
    }
}

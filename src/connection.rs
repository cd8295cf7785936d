//! The machine: one WebSocket connection after its opening handshake (RFC 6455 §5 to §7). Read this first.
//!
//! What it holds, and its view of time, are here; `receive.rs` turns bytes into events, `send.rs` messages into bytes,
//! and `close.rs` is where it ends, whoever brings that about.

mod close;
mod receive;
mod send;
mod stage;
mod timer;

use alloc::boxed::Box;
use core::time::Duration;

use bytes::BytesMut;

use self::{
    stage::Stage,
    timer::{Due, Timers},
};
use crate::{
    close::CloseInfo,
    config::Config,
    deflate::codec::Codec,
    error::Error,
    frame::{Keys, Kind, MAX_CONTROL_LEN, Opcode, decode::Decoder},
    message::{Assembly, Delivery, Event},
    time::Timestamp,
};

/// Where a connection stands in its life (RFC 6455 §4.1, §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Data flows in both directions.
    Open,
    /// This side sent its Close and waits for the peer's; what still comes is delivered.
    Closing,
    /// Both sides closed, or the connection failed: nothing is received or sent any more.
    Closed,
}

/// What to do with the transport, once `out` is written. It changes in this order only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// Go on reading and writing. Also a client after both Closes: the server closes first (§7.1.1).
    KeepOpen,
    /// Shut down the writing half at once, then read on until EOF or a deadline: a reset must not overtake our Close.
    ShutdownWrite,
    /// Close it: the peer did, or nothing is left to wait for.
    Close,
    /// A deadline passed: write what the transport takes without waiting, then drop it.
    Abort,
}

/// One connection after the opening handshake: no I/O, no clock, no buffer, and at most 256 bytes.
///
/// Its methods are of four kinds:
///
/// - **bytes in**: [`receive`](Self::receive), in a loop, and [`receive_eof`](Self::receive_eof) at their end;
/// - **commands**: [`send_text`](Self::send_text) and its siblings, [`ping`](Self::ping), [`close`](Self::close);
/// - **time**: [`poll_timeout`](Self::poll_timeout) and [`handle_timeout`](Self::handle_timeout);
/// - **questions**: [`transport`](Self::transport), [`state`](Self::state), [`close_info`](Self::close_info).
///
/// After any call of the first three kinds, and before acting on its error, write `out`; then do what `transport` says.
///
/// ```
/// use bytes::BytesMut;
/// use sansock::{Config, Connection, Event};
///
/// let mut connection = Connection::server(&Config::default());
/// let mut bytes = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"; // from a socket
/// let (mut input, mut out) = (&mut bytes[..], BytesMut::new());
///
/// while let Some(event) = connection.receive(&mut input, &mut out)? {
///     if let Event::Text(text) = event {
///         connection.send_text(&text, &mut out)?;
///     }
/// }
/// assert_eq!(out, b"\x81\x05Hello"[..]); // to the socket
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    /// Messages in one whole frame shorter than this are received on the fast path; see [`Connection::bounds`].
    short_below: u8,
    /// Messages shorter than this are sent on the fast path.
    plain_below: u16,
    auto_pong: bool,
    delivery: Delivery,
    stage: Stage,
    /// The frame whose payload is arriving, and whether it has FIN.
    frame: Option<(Opcode, bool)>,
    /// What was found behind the piece that was delivered last: the next call fails with it.
    spoiled: Option<Error>,
    /// The kind of the fragmented message that is being sent.
    sending: Option<Kind>,
    decoder: Decoder,
    assembly: Assembly,
    max_message_len: u64,
    max_frame_len: u64,
    max_fragments: u32,
    timers: Timers,
    keys: Keys,
    /// The control frame that is arriving in pieces.
    control: Option<Box<Control>>,
    /// The Ping that waits for room in `out`.
    owed_pong: Option<Box<Control>>,
    /// permessage-deflate, where it was agreed on.
    codec: Option<Box<Codec>>,
}

/// The payload of a control frame.
#[derive(Debug)]
struct Control {
    bytes: [u8; MAX_CONTROL_LEN],
    len: u8,
}

impl Connection {
    /// A server's end of a connection whose opening handshake is done. Copies what it needs of `config`.
    #[must_use]
    pub fn server(config: &Config) -> Self {
        Self::new(config, Keys::Server)
    }

    /// A client's end. All masking keys follow from `seed`, so it must be fresh and unpredictable (§5.3, §10.3): 32
    /// bytes of the operating system's entropy, as `seed()` gives them.
    #[must_use]
    pub fn client(config: &Config, seed: [u8; 32]) -> Self {
        Self::new(config, Keys::Seed(seed))
    }

    /// The same connection, with permessage-deflate as both sides agreed on it (RFC 7692), before anything is received
    /// or sent. The opening handshake does this by itself; it is for whoever negotiates elsewhere.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, agreement: crate::deflate::Agreement, settings: &crate::deflate::Deflate) -> Self {
        self.set_deflate(agreement, settings);
        self
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn set_deflate(&mut self, agreement: crate::deflate::Agreement, settings: &crate::deflate::Deflate) {
        self.slow(|this| this.codec = Some(Box::new(Codec::new(agreement, *settings))));
    }

    fn new(config: &Config, keys: Keys) -> Self {
        let mut connection = Self {
            short_below: 0,
            plain_below: 0,
            auto_pong: config.auto_pong,
            delivery: config.delivery,
            stage: Stage::Open,
            frame: None,
            spoiled: None,
            sending: None,
            decoder: Decoder::default(),
            assembly: Assembly::default(),
            max_message_len: config.max_message_len.get(),
            max_frame_len: config.max_frame_len.get(),
            max_fragments: u32::try_from(config.max_fragments.get()).unwrap_or(u32::MAX),
            timers: Timers::new(config),
            keys,
            control: None,
            owed_pong: None,
            codec: None,
        };
        connection.slow(|_| ());
        connection
    }

    /// When [`Connection::handle_timeout`] has to be called next: [`Timestamp::ZERO`] means at once, `None` not before
    /// something else happens.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.timers.poll(self.stage.phase())
    }

    /// Tells the time: dates what happened since the last call, and does what is due, such as a keepalive Ping.
    ///
    /// Call it once at the start, after each batch of `receive`s or commands, and when
    /// [`Connection::poll_timeout`] is due; any other call is harmless. `now` must not run backwards.
    ///
    /// # Errors
    ///
    /// [`Error::KeepaliveTimeout`], [`Error::IdleTimeout`] or [`Error::CloseTimeout`], once; [`Connection::transport`]
    /// is [`Transport::Abort`] then. So it is, without an error, when both sides have closed and the peer's end of the
    /// transport does not come in time.
    pub fn handle_timeout(&mut self, now: Timestamp, out: &mut BytesMut) -> Result<(), Error> {
        let due = self.timers.handle(self.stage.phase(), now);
        if due.is_none() && self.owed_pong.is_none() {
            return Ok(());
        }
        self.slow(|this| {
            this.write_owed_pong(out);
            match due {
                None => Ok(()),
                Some(Due::Ping(payload)) => {
                    this.write(Opcode::Ping, true, &payload, out);
                    Ok(())
                }
                Some(Due::Fail(error)) => Err(this.fail_with(error, out)),
                Some(Due::Abort) if this.state() == State::Closing => Err(this.fail_with(Error::CloseTimeout, out)),
                Some(Due::Abort) => {
                    this.end(Transport::Abort);
                    Ok(())
                }
            }
        })
    }

    /// The transport accepted the last byte of a keepalive Ping, or a part of other output behind which more waits: the
    /// peer takes what it is sent.
    pub(crate) fn progress(&mut self, is_ping: bool) {
        if is_ping {
            self.timers.ping_written();
        } else {
            self.timers.heard();
            self.timers.active();
        }
    }

    pub(crate) fn stall_timeout(&self) -> Option<Duration> {
        self.timers.stall_timeout()
    }

    /// Where the connection stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.stage.state()
    }

    /// What to do with the transport, once `out` is written.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.stage.transport()
    }

    /// How the connection ended or is ending; `None` while it is open.
    #[must_use]
    pub fn close_info(&self) -> Option<&CloseInfo> {
        self.stage.info()
    }

    /// What was agreed about permessage-deflate; `None` when messages are not compressed.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(&self) -> Option<&crate::deflate::Agreement> {
        self.codec.as_ref().map(|codec| codec.agreement())
    }

    /// The round trip of the latest keepalive Ping that was answered: from the `now` at which it was written to the
    /// `now` after its Pong.
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        self.timers.latency()
    }

    /// A server has no masking keys, and its peer has.
    #[inline]
    fn is_server(&self) -> bool {
        matches!(self.keys, Keys::Server)
    }

    /// Does what is not on a fast path. All that a fast path depends on changes in here only: its bounds are computed
    /// again at the one exit.
    #[inline]
    fn slow<T>(&mut self, operation: impl FnOnce(&mut Self) -> T) -> T {
        let result = operation(self);
        self.set_bounds();
        result
    }

    #[inline(never)]
    fn set_bounds(&mut self) {
        (self.short_below, self.plain_below) = self.bounds();
    }

    /// Below which length a message may take the fast path, of receiving and of sending: 0 when none may.
    #[inline]
    fn bounds(&self) -> (u8, u16) {
        if !self.stage.is_open() || self.owed_pong.is_some() {
            return (0, 0);
        }
        let between = self.frame.is_none() && !self.decoder.in_header() && self.assembly.is_idle();
        let whole = self.delivery != Delivery::Chunks && self.may_have_fragment();
        let longest = self.max_payload(false).min(MAX_CONTROL_LEN as u64) as u8;
        let plain = self.codec.as_ref().map_or(usize::MAX, |codec| codec.plain_below());
        let plain = u16::try_from(plain).unwrap_or(u16::MAX);
        (if between && whole { longest + 1 } else { 0 }, if self.sending.is_none() { plain } else { 0 })
    }
}

impl Control {
    fn new(payload: &[u8]) -> Self {
        let mut control = Self { bytes: [0; MAX_CONTROL_LEN], len: 0 };
        control.extend(payload);
        control
    }

    /// The header, or the caller's check, keeps it within 125 bytes.
    fn extend(&mut self, more: &[u8]) {
        let len = usize::from(self.len);
        self.bytes[len..len + more.len()].copy_from_slice(more);
        self.len += more.len() as u8;
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

const _: () = assert!(size_of::<Connection>() <= 256);
const _: () = assert!(size_of::<Event<'_>>() <= 40);
const _: () = {
    const fn is_send_and_sync<T: Send + Sync + 'static>() {}
    is_send_and_sync::<Connection>();
};

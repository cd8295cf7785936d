//! The server's half of the opening handshake (RFC 6455 §4.2): [`Handshake`] reads a [`Request`], which is answered
//! whenever the application knows how.

mod answer;
mod request;
mod response;

use core::time::Duration;

use bytes::BytesMut;

use self::answer::Answer;
pub use self::{
    request::Request,
    response::{Accepted, Response},
};
pub use super::error::{RequestError, ResponseError};
use super::{
    deadline::Deadline,
    error::HandshakeError,
    http::{head::RequestLine, scan::Scanner, write},
};
use crate::{config::Config, connection::Transport, time::Timestamp};

/// How much a client may send on after its request was refused, before the wait for its end is over.
const MAX_DISCARDED: usize = 1 << 20;

/// Reads the request. No I/O and no clock; holds at most [`max_head_len`](Config::max_head_len) and some 500 bytes.
///
/// A handshake whose request was accepted is dropped. One whose request was refused is driven on, until
/// [`transport`](Self::transport) says [`Transport::Close`] or [`Transport::Abort`], so that the client can read the
/// answer.
///
/// ```
/// use bytes::BytesMut;
/// use sansock::{Config, server};
///
/// let mut bytes = *b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// let mut input = &mut bytes[..];
/// let mut out = BytesMut::new();
///
/// let mut handshake = server::Handshake::new(&Config::default());
/// let request = handshake.receive(&mut input, &mut out)?.expect("the whole request is there");
/// assert_eq!(request.target(), "/chat");
/// let connection = request.accept(&server::Response::new(), &mut out)?;
/// assert!(out.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Handshake {
    /// Until the request takes it along.
    config: Option<Config>,
    phase: Phase,
    close_timeout: Option<Duration>,
    stall_timeout: Option<Duration>,
    deadline: Deadline,
}

#[derive(Debug)]
enum Phase {
    /// The request is on its way.
    Reading(Scanner<RequestLine>),
    /// It was handed out. Whether the client has ended its half since.
    Answering {
        answer: Answer,
        eof: bool,
    },
    /// It was refused; this many bytes came since.
    Refused {
        discarded: usize,
    },
    /// The client has ended its half, or sent too much after a refusal.
    Closed,
    Aborted,
}

impl Handshake {
    /// A handshake with a client that has connected just now.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            config: Some(config.clone()),
            phase: Phase::Reading(Scanner::new(config)),
            close_timeout: config.close_timeout,
            stall_timeout: config.stall_timeout,
            deadline: Deadline::after(config.handshake_timeout),
        }
    }

    /// Takes the request's head from the front of `input`; `None` while it is not complete. What follows the head, a
    /// body or the first frames, stays in `input`.
    ///
    /// Every valid HTTP/1.1 request is handed out, whether it asks for a WebSocket or a page. What is none, or exceeds
    /// a limit, is an error, and its answer is in `out` (400, 414, 431, 501 or 505): write it, then do what
    /// [`transport`](Self::transport) says. After an error, and after the application has refused the request, `input`
    /// is discarded.
    pub fn receive(&mut self, input: &mut &mut [u8], out: &mut BytesMut) -> Result<Option<Request>, HandshakeError> {
        self.notice_refusal();
        let Phase::Reading(scanner) = &mut self.phase else {
            self.discard(input);
            return Ok(None);
        };
        // R30: what follows the head stays in `input`. R35 (choice): nothing is answered before it is complete.
        let Some(head) = scanner.receive(input).transpose() else { return Ok(None) };
        let Some(config) = self.config.take() else { return Ok(None) };
        let request = head.map_err(HandshakeError::Head).and_then(|head| Request::read(head, config));
        match &request {
            Ok(request) => self.phase = Phase::Answering { answer: request.answer.clone(), eof: false },
            Err(error) => {
                if let Some(status) = error.status() {
                    write::refusal(out, status, &[], error.reason(), false);
                }
                self.refused(Phase::Refused { discarded: 0 });
                self.discard(input);
            }
        }
        request.map(Some)
    }

    /// The client has shut down its half, or the transport ended. An error while the request is not complete.
    ///
    /// It does not end time: the deadline that is running stays, until you drop the handshake.
    pub fn receive_eof(&mut self) -> Result<(), HandshakeError> {
        self.notice_refusal();
        match &mut self.phase {
            Phase::Answering { eof, .. } => *eof = true,
            Phase::Reading(_) => {
                self.phase = Phase::Closed;
                return Err(HandshakeError::ConnectionLost);
            }
            Phase::Refused { .. } => self.phase = Phase::Closed,
            Phase::Closed | Phase::Aborted => {}
        }
        Ok(())
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; [`Timestamp::ZERO`] means at once.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        // The time of the refusal is not known yet.
        if self.unnoticed_refusal().is_some() { Deadline::after(self.close_timeout) } else { self.deadline }.poll()
    }

    /// Tells the time: once after creating the handshake, after each `receive`, after the request was refused, and when
    /// it is due.
    ///
    /// [`HandshakeError::Timeout`] when the client took longer than [`handshake_timeout`](Config::handshake_timeout),
    /// or the application to answer; nothing is sent. After a refusal [`close_timeout`](Config::close_timeout) ends the
    /// wait, and after the end of the input the deadline that was running ends it: both without an error.
    pub fn handle_timeout(&mut self, now: Timestamp, _out: &mut BytesMut) -> Result<(), HandshakeError> {
        self.notice_refusal();
        if !self.deadline.passed(now) {
            return Ok(());
        }
        match core::mem::replace(&mut self.phase, Phase::Aborted) {
            Phase::Reading(_) | Phase::Answering { .. } => Err(HandshakeError::Timeout),
            Phase::Refused { .. } | Phase::Closed | Phase::Aborted => Ok(()),
        }
    }

    /// What to do with the socket once `out` is written. After a refusal, by this machine, by [`Request::reject`] or by
    /// [`Request::accept`], it is [`Transport::ShutdownWrite`], then read and discard (by [`receive`](Self::receive),
    /// at most 1 MiB), so that no reset overtakes the answer. If the client has shut down its half before, it is
    /// [`Transport::Close`].
    ///
    /// If another thread answers the request, write its `out` too before you do what this says.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.unnoticed_refusal().as_ref().unwrap_or(&self.phase) {
            Phase::Reading(_) | Phase::Answering { .. } => Transport::KeepOpen,
            Phase::Refused { .. } => Transport::ShutdownWrite,
            Phase::Closed => Transport::Close,
            Phase::Aborted => Transport::Abort,
        }
    }

    pub(crate) fn stall_timeout(&self) -> Option<Duration> {
        self.stall_timeout
    }

    /// The transport accepts nothing of the answer.
    pub(crate) fn stalled(&mut self) -> Result<(), HandshakeError> {
        self.notice_refusal();
        self.deadline = Deadline::Off;
        match core::mem::replace(&mut self.phase, Phase::Aborted) {
            Phase::Reading(_) | Phase::Answering { .. } => Err(HandshakeError::Timeout),
            Phase::Refused { .. } | Phase::Closed | Phase::Aborted => Ok(()),
        }
    }

    /// The next phase, when the request was refused since it was handed out.
    fn unnoticed_refusal(&self) -> Option<Phase> {
        match &self.phase {
            Phase::Answering { answer, eof } if answer.is_refused() => {
                Some(if *eof { Phase::Closed } else { Phase::Refused { discarded: 0 } })
            }
            _ => None,
        }
    }

    fn notice_refusal(&mut self) {
        if let Some(phase) = self.unnoticed_refusal() {
            self.refused(phase);
        }
    }

    fn refused(&mut self, phase: Phase) {
        self.phase = phase;
        self.deadline = Deadline::after(self.close_timeout);
    }

    /// Takes what nobody will read; what may belong to a connection stays.
    fn discard(&mut self, input: &mut &mut [u8]) {
        if matches!(self.phase, Phase::Answering { .. }) {
            return;
        }
        let len = core::mem::take(input).len();
        if let Phase::Refused { discarded } = &mut self.phase {
            *discarded = discarded.saturating_add(len);
            if *discarded > MAX_DISCARDED {
                self.phase = Phase::Closed;
            }
        }
    }
}

//! The client's half of the opening handshake (RFC 6455 §4.1): [`connect`] writes a [`Request`], [`Handshake`] reads
//! the answer. Over HTTP/2 and HTTP/3 it is [`extended_connect`] and [`ExtendedConnect`].

mod extended_connect;
mod offer;
mod request;

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use bytes::BytesMut;
use chacha20::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};

use self::offer::Offer;
pub use self::{
    extended_connect::{ExtendedConnect, extended_connect},
    offer::Parts,
    request::Request,
};
use super::{
    deadline::Deadline,
    error::HandshakeError,
    http::{
        body::Body,
        error::HeadError,
        head::{Head, StatusLine},
        scan::Scanner,
        write::{self, Field},
    },
    key::base64,
};
pub use super::{error::RequestError, response::Response};
use crate::{
    config::Config,
    connection::{Connection, Transport},
    time::Timestamp,
};

/// How many interim answers (RFC 9110 §15.2) may come before the one that counts.
pub(crate) const MAX_INTERIM: u8 = 8;

/// Writes the request, and returns the machine that reads its answer. Nothing may follow in `out` before that has
/// yielded the [`Connection`] (§4.1).
///
/// `seed` must come fresh from a good source of randomness for each connection: it makes the key of this handshake and
/// the masking keys of the connection (§10.3), which do not tell of each other. The same seed gives the same bytes.
///
/// The error is the caller's: a malformed host, target, subprotocol or field; nothing was written.
pub fn connect(
    request: &Request<'_>,
    config: &Config,
    seed: [u8; 32],
    out: &mut BytesMut,
) -> Result<Handshake, RequestError> {
    // R38, §4.1: "Once the client's opening handshake has been sent, the client MUST wait for a response from the
    // server before sending any further data." The connection comes from the handshake that is returned.
    let handshake = Handshake::new(request, config, seed)?;
    out.reserve(256 + request.target.len());
    // R36, §4.1: "The method of the request MUST be GET, and the HTTP version MUST be at least 1.1."
    out.extend_from_slice(b"GET ");
    out.extend_from_slice(request.target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(request.host.as_bytes());
    out.extend_from_slice(b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ");
    out.extend_from_slice(&handshake.key);
    out.extend_from_slice(b"\r\n");
    let extensions = handshake.offer.extensions();
    handshake.offer.fields(request, extensions.as_deref()).for_each(|(name, value)| write::field(out, name, value));
    out.extend_from_slice(b"\r\n");
    Ok(handshake)
}

/// The same for a request that an HTTP library writes, of version 1.1, and for an answer that it reads:
/// [`Handshake::receive_parts`].
pub fn connect_parts(
    request: &Request<'_>,
    config: &Config,
    seed: [u8; 32],
) -> Result<(Handshake, Parts), RequestError> {
    let handshake = Handshake::new(request, config, seed)?;
    let extensions = handshake.offer.extensions();
    let opening: [Field<'_>; 4] = [
        ("Host", request.host.as_bytes()),
        ("Upgrade", b"websocket"),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Key", &handshake.key),
    ];
    let fields = opening.into_iter().chain(handshake.offer.fields(request, extensions.as_deref()));
    let parts = Parts::new("GET", &request.target, fields);
    Ok((handshake, parts))
}

/// Reads the answer to a request. No I/O and no clock; holds at most [`max_head_len`](Config::max_head_len) or
/// [`max_body_len`](Config::max_body_len), and some 600 bytes.
pub struct Handshake {
    key: [u8; 24],
    offer: Offer,
    phase: Phase,
    interim: u8,
    deadline: Deadline,
}

#[derive(Debug)]
enum Phase {
    Head(Scanner<StatusLine>),
    /// The answer was another than 101: its head is there.
    Body(Box<Response>, Body),
    /// It became a connection.
    Done,
    /// It failed, and there is nothing to wait for.
    Closed,
    Aborted,
}

impl Handshake {
    fn new(request: &Request<'_>, config: &Config, seed: [u8; 32]) -> Result<Self, RequestError> {
        // R37, §4.1: "a nonce consisting of a randomly selected 16-byte value … The nonce MUST be selected randomly for
        // each connection." What the masks grow from is another part of the same stream.
        let mut random = ChaCha12Rng::from_seed(seed);
        let mut bytes = [0; 48];
        random.fill_bytes(&mut bytes);
        let (nonce, rest) = bytes.split_at(16);
        let mut seed = [0; 32];
        seed.copy_from_slice(rest);
        Ok(Self {
            key: base64(nonce),
            offer: Offer::new(request, config, seed)?,
            phase: Phase::Head(Scanner::new(config)),
            interim: 0,
            deadline: Deadline::after(config.handshake_timeout),
        })
    }

    /// Takes the answer from the front of `input`; `None` while it is not complete. What follows a 101, the first
    /// frames, stays in `input`.
    ///
    /// Any answer but a valid 101 is an error. [`HandshakeError::Rejected`] has the server's own words: its head, and
    /// its body as far as [`max_body_len`](Config::max_body_len) goes. After an error `input` is discarded, and the
    /// socket is to be closed.
    pub fn receive(&mut self, input: &mut &mut [u8]) -> Result<Option<(Connection, Response)>, HandshakeError> {
        let result = self.advance(input);
        if result.is_err() {
            self.phase = Phase::Closed;
        }
        if !matches!(self.phase, Phase::Done)
            && (result.is_err() || matches!(self.phase, Phase::Closed | Phase::Aborted))
        {
            *input = &mut [];
        }
        result
    }

    /// The same for an answer that an HTTP library has read, of version 1.1: its status and its fields. An answer other
    /// than 101 is [`HandshakeError::Rejected`] without its body.
    pub fn receive_parts<'a>(
        &mut self,
        status: u16,
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<(Connection, Response), HandshakeError> {
        let response = Response::from_parts(status, fields);
        let result = if status == 101 {
            self.offer.finish(response, Some(&self.key))
        } else {
            Err(HandshakeError::Rejected(Box::new(response)))
        };
        match result {
            Ok(_) => self.done(),
            Err(_) => self.phase = Phase::Closed,
        }
        result
    }

    /// The server has shut down its half, or the transport ended: the end of a body that has no other, and an error in
    /// any case, unless the handshake is over.
    ///
    /// It does not end time: what is left of [`handshake_timeout`](Config::handshake_timeout) stays a deadline, until
    /// you drop the handshake.
    pub fn receive_eof(&mut self) -> Result<(), HandshakeError> {
        match core::mem::replace(&mut self.phase, Phase::Closed) {
            // R52: the transport ended inside the head.
            Phase::Head(_) => Err(HandshakeError::ConnectionLost),
            Phase::Body(response, mut body) => {
                body.receive_eof();
                Err(rejected(response, body))
            }
            over => {
                self.phase = over;
                Ok(())
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; [`Timestamp::ZERO`] means at once.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.deadline.poll()
    }

    /// Tells the time: once after [`connect`], after each `receive`, and when it is due.
    ///
    /// [`HandshakeError::Timeout`] when the server took longer than [`handshake_timeout`](Config::handshake_timeout);
    /// [`HandshakeError::Rejected`] instead, when only the body of its answer is late. A handshake that failed before,
    /// and was not dropped, ends without another error.
    pub fn handle_timeout(&mut self, now: Timestamp, _out: &mut BytesMut) -> Result<(), HandshakeError> {
        if !self.deadline.passed(now) {
            return Ok(());
        }
        match core::mem::replace(&mut self.phase, Phase::Aborted) {
            Phase::Body(response, body) => Err(rejected(response, body)),
            Phase::Head(_) => Err(HandshakeError::Timeout),
            Phase::Done | Phase::Closed | Phase::Aborted => Ok(()),
        }
    }

    /// What to do with the socket: [`Transport::KeepOpen`], until an error makes it [`Transport::Close`], or a timeout
    /// [`Transport::Abort`].
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.phase {
            Phase::Head(_) | Phase::Body(..) | Phase::Done => Transport::KeepOpen,
            Phase::Closed => Transport::Close,
            Phase::Aborted => Transport::Abort,
        }
    }

    /// The Sec-WebSocket-Key that was sent.
    #[must_use]
    pub fn key(&self) -> &str {
        core::str::from_utf8(&self.key).unwrap_or_default()
    }

    fn advance(&mut self, input: &mut &mut [u8]) -> Result<Option<(Connection, Response)>, HandshakeError> {
        loop {
            match &mut self.phase {
                Phase::Head(scanner) => {
                    // R51: what follows the head stays in `input`.
                    let Some((head, line)) = scanner.receive(input)? else { return Ok(None) };
                    if let Some(connected) = self.head(head, line)? {
                        return Ok(Some(connected));
                    }
                }
                Phase::Body(_, body) => {
                    if !body.receive(input) {
                        return Ok(None);
                    }
                    let Phase::Body(response, body) = core::mem::replace(&mut self.phase, Phase::Closed) else {
                        return Ok(None);
                    };
                    return Err(rejected(response, body));
                }
                Phase::Done | Phase::Closed | Phase::Aborted => return Ok(None),
            }
        }
    }

    /// A complete head: of the answer, or of an interim one.
    fn head(&mut self, head: Head, line: StatusLine) -> Result<Option<(Connection, Response)>, HandshakeError> {
        let (status, reason) = (line.status, line.reason);
        match status {
            100 | 102..=199 => {
                // R49, RFC 9110 §15.2: "A client MUST be able to parse one or more 1xx responses received prior to a
                // final response"
                self.interim += 1;
                if self.interim > MAX_INTERIM {
                    return Err(HandshakeError::TooManyInterim { max: MAX_INTERIM });
                }
                self.phase = Phase::Head(Scanner::new(&self.offer.config));
                return Ok(None);
            }
            // R48: a status line of HTTP/1.1.
            101 if line.minor_version == 0 => return Err(HandshakeError::Head(HeadError::Version)),
            _ => {}
        }
        let response = Response { reason, head, status, subprotocol: None, body: Vec::new(), whole: true };
        if status == 101 {
            let connected = self.offer.finish(response, Some(&self.key))?;
            self.done();
            return Ok(Some(connected));
        }
        // R39, §4.1: "If the status code received from the server is not 101, the client handles the response per HTTP"
        let body = Body::new(status, &response.head, self.offer.config.max_body_len, self.offer.config.max_head_len);
        self.phase = Phase::Body(Box::new(response), body);
        Ok(None)
    }

    /// It is the connection's time from here.
    fn done(&mut self) {
        self.phase = Phase::Done;
        self.deadline = Deadline::Off;
    }
}

/// The error that an answer other than 101 becomes, with its body.
fn rejected(mut response: Box<Response>, body: Body) -> HandshakeError {
    (response.body, response.whole) = body.finish();
    HandshakeError::Rejected(response)
}

/// Without the seed, which would tell the masks.
impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("key", &self.key()).field("phase", &self.phase).finish_non_exhaustive()
    }
}

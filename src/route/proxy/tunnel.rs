//! The conversation with a proxy: [`Tunnel`], and its HTTP half (RFC 9110 §9.3.6).

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use bytes::BytesMut;

use super::{
    ProxyError,
    socks::{Credentials, Socks},
};
use crate::{
    client::{MAX_INTERIM, Response},
    config::Config,
    connection::Transport,
    handshake::{
        RequestError,
        deadline::Deadline,
        http::{head::StatusLine, scan::Scanner, write},
    },
    time::Timestamp,
};

/// Asks a proxy for a way to a server: [`Proxy::connect`](super::Proxy::connect) begins, and `receive` goes on until
/// the tunnel is open. No I/O and no clock; holds at most [`max_head_len`](Config::max_head_len) and some hundred
/// bytes.
pub struct Tunnel {
    stage: Stage,
    deadline: Deadline,
}

/// Where the conversation stands.
pub(super) enum Stage {
    Http { scanner: Scanner<StatusLine>, interim: u8, config: Box<Config> },
    Socks(Socks),
    Open,
    Closed,
    Aborted,
}

impl Stage {
    /// Writes CONNECT. Its target has the port always, and Host is the same (RFC 9112 §3.2.3).
    pub(super) fn http(authority: &str, authorization: Option<&str>, config: &Config, out: &mut BytesMut) -> Self {
        out.extend_from_slice(b"CONNECT ");
        out.extend_from_slice(authority.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        write::field(out, "Host", authority.as_bytes());
        if let Some(authorization) = authorization {
            write::field(out, "Proxy-Authorization", authorization.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        Self::Http { scanner: Scanner::new(config), interim: 0, config: Box::new(config.clone()) }
    }

    pub(super) fn socks(
        host: &str,
        port: u16,
        credentials: Option<Credentials>,
        out: &mut BytesMut,
    ) -> Result<Self, RequestError> {
        Socks::new(host, port, credentials, out).map(Self::Socks)
    }
}

impl Tunnel {
    pub(super) fn new(stage: Stage, config: &Config) -> Self {
        Self { stage, deadline: Deadline::after(config.handshake_timeout) }
    }

    /// Takes the proxy's answers from the front of `input`, and appends what it is to be sent to `out`. `true` once the
    /// tunnel is open: from then on all bytes are the server's, and what follows in `input` stays there.
    ///
    /// After an error `input` is discarded, and the socket is to be closed.
    pub fn receive(&mut self, input: &mut &mut [u8], out: &mut BytesMut) -> Result<bool, ProxyError> {
        let result = self.advance(input, out);
        match result {
            Ok(true) => {
                self.stage = Stage::Open;
                self.deadline = Deadline::Off;
            }
            Ok(false) => {}
            Err(_) => self.stage = Stage::Closed,
        }
        if matches!(self.stage, Stage::Closed | Stage::Aborted) {
            *input = &mut [];
        }
        result
    }

    /// The proxy has ended the connection: an error, unless the tunnel is open or the conversation is over.
    ///
    /// It does not end time: what is left of [`handshake_timeout`](Config::handshake_timeout) stays a deadline, until
    /// you drop the tunnel.
    pub fn receive_eof(&mut self) -> Result<(), ProxyError> {
        if matches!(self.stage, Stage::Http { .. } | Stage::Socks(_)) {
            self.stage = Stage::Closed;
            return Err(ProxyError::ConnectionLost);
        }
        Ok(())
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; [`Timestamp::ZERO`] means at once.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.deadline.poll()
    }

    /// Tells the time: once at the beginning, after each `receive`, and when it is due. [`ProxyError::Timeout`] when
    /// the proxy took longer than [`handshake_timeout`](Config::handshake_timeout). A tunnel that failed before, and
    /// was not dropped, ends without another error.
    pub fn handle_timeout(&mut self, now: Timestamp, _out: &mut BytesMut) -> Result<(), ProxyError> {
        if !self.deadline.passed(now) {
            return Ok(());
        }
        match core::mem::replace(&mut self.stage, Stage::Aborted) {
            Stage::Http { .. } | Stage::Socks(_) => Err(ProxyError::Timeout),
            Stage::Open | Stage::Closed | Stage::Aborted => Ok(()),
        }
    }

    /// What to do with the socket: [`Transport::KeepOpen`], until an error makes it [`Transport::Close`], or a timeout
    /// [`Transport::Abort`].
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.stage {
            Stage::Http { .. } | Stage::Socks(_) | Stage::Open => Transport::KeepOpen,
            Stage::Closed => Transport::Close,
            Stage::Aborted => Transport::Abort,
        }
    }

    /// Whether all bytes are the server's.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    fn advance(&mut self, input: &mut &mut [u8], out: &mut BytesMut) -> Result<bool, ProxyError> {
        match &mut self.stage {
            Stage::Socks(socks) => socks.receive(input, out),
            Stage::Http { scanner, interim, config } => {
                while let Some((head, line)) = scanner.receive(input).map_err(ProxyError::Head)? {
                    match line.status {
                        // What a length says in such an answer is ignored: the tunnel begins behind its head.
                        200..=299 => return Ok(true),
                        100 | 102..=199 if *interim < MAX_INTERIM => {
                            *interim += 1;
                            *scanner = Scanner::new(config);
                        }
                        status => {
                            let reason = line.reason;
                            let response =
                                Response { head, status, reason, subprotocol: None, body: Vec::new(), whole: false };
                            return Err(ProxyError::Rejected(Box::new(response)));
                        }
                    }
                }
                Ok(false)
            }
            Stage::Open => Ok(true),
            Stage::Closed | Stage::Aborted => Ok(false),
        }
    }
}

/// Without what authenticates a user.
impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Http { .. } => "HTTP",
            Stage::Socks(_) => "SOCKS",
            Stage::Open => "open",
            Stage::Closed => "closed",
            Stage::Aborted => "aborted",
        };
        f.debug_struct("Tunnel").field("stage", &stage).finish_non_exhaustive()
    }
}

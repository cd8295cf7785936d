//! The loop between a socket and a machine: one machine after the other, the handshake and then the connection.

use std::{
    boxed::Box,
    io::{self, ErrorKind, IoSlice},
    ops::ControlFlow::{self, Break},
    time::{Duration, Instant},
    vec::Vec,
};

use bytes::{Buf, BytesMut};

use super::Socket;
use crate::{
    Inbox, Outbox, Timestamp, Transport,
    adapter::{
        Error,
        machine::{Machine, is_backed_up, lend, may_end},
        trace::Trace,
    },
    handshake::HandshakeError,
};

/// The most that one read takes.
const READ_LEN: usize = 16 << 10;

/// How long writing and reading wait in turn while the peer does not take all: it may be waiting to be read itself.
const TURN: Duration = Duration::from_millis(10);

/// The shortest wait that every operating system understands as one.
const SHORTEST: Duration = Duration::from_millis(1);

/// A socket, its buffers, and the time that its peer was waited for.
pub(super) struct Wire<S> {
    pub(super) socket: S,
    pub(super) out: Outbox,
    pub(super) trace: Trace,
    inbox: Inbox,
    now: Timestamp,
    /// What the socket's timeouts are set to: zero when that is unknown, `MAX` when there is none.
    read_timeout: Duration,
    write_timeout: Duration,
    is_eof: bool,
    is_shut: bool,
}

impl<S: Socket> Wire<S> {
    /// A wire from which `received` was read already.
    pub(super) fn new(socket: S, received: Vec<u8>) -> Self {
        Self {
            socket,
            out: Outbox::new(),
            trace: Trace::default(),
            inbox: Inbox::from(received).read_len(READ_LEN),
            now: Timestamp::ZERO,
            read_timeout: Duration::ZERO,
            write_timeout: Duration::ZERO,
            is_eof: false,
            is_shut: false,
        }
    }

    /// Lends input to `receive` as it comes, until that finds something; `None` when the transport is at its end. It is
    /// called again while it says `Continue`, and with more input after `Break(None)`.
    pub(super) fn read_until<M: Machine, T>(
        &mut self,
        machine: &mut M,
        mut receive: impl FnMut(&mut M, &mut &mut [u8], &mut BytesMut) -> ControlFlow<Option<T>>,
    ) -> Result<Option<T>, Error> {
        let mut verdict = Ok(None);
        loop {
            // What came is handed out before anything is waited for.
            if let Some(found) = self.deliver(machine, &mut receive) {
                return Ok(Some(found));
            }
            if let Err(error) = machine.handle_timeout(self.now, self.out.tail()) {
                verdict = Err(error.into());
            }
            let transport = machine.transport();
            if matches!(transport, Transport::Close | Transport::Abort) {
                // What the socket takes at once, and no more.
                let _ = self.write(Some(self.turn(None))).and_then(|_| self.shutdown_write());
                return verdict;
            }
            let deadline = machine.poll_timeout();
            if is_backed_up(machine, &self.out) {
                let _ = self.write(deadline);
                continue;
            }
            // What cannot be written is dropped: what the peer sent before it went can still be read.
            let written = self.write(Some(self.turn(deadline))).unwrap_or(true);
            if written && transport == Transport::ShutdownWrite && self.shutdown_write().is_err() {
                let _ = machine.receive_eof();
                continue;
            }
            if self.is_eof {
                if may_end(machine, written)
                    && let Err(error) = machine.receive_eof()
                {
                    verdict = Err(error.into());
                }
                continue;
            }
            let deadline = if written { deadline } else { Some(self.turn(deadline)) };
            match self.read(machine.missing(), deadline) {
                Ok(count) => self.is_eof = count == Some(0),
                // After a proper close a reset is an end like any other, and after a failure it is not the cause.
                Err(_) if machine.transport() != Transport::KeepOpen => {
                    let _ = machine.receive_eof();
                }
                Err(error) => machine.receive_eof().map_err(|_| error)?,
            }
        }
    }

    /// Drives a handshake until `receive` has its result.
    pub(super) fn handshake<M: Machine, T>(
        &mut self,
        handshake: &mut M,
        receive: impl Fn(&mut M, &mut &mut [u8], &mut BytesMut) -> Result<Option<T>, M::Error>,
    ) -> Result<T, Error> {
        let result =
            self.read_until(handshake, |handshake, input, out| Break(receive(handshake, input, out).transpose()))?;
        match result {
            Some(result) => result.map_err(Into::into),
            None => Err(HandshakeError::ConnectionLost.into()),
        }
    }

    /// The socket, unless bytes were read that nobody has received.
    pub(super) fn into_socket(self) -> Option<S> {
        self.inbox.is_empty().then_some(self.socket)
    }

    /// Writes all there is, and waits for that as long as `machine` allows.
    pub(super) fn flush<M: Machine>(&mut self, machine: &mut M) -> Result<(), Error> {
        loop {
            machine.handle_timeout(self.now, self.out.tail()).map_err(Into::into)?;
            if machine.transport() == Transport::Abort {
                return Err(io::Error::from(ErrorKind::TimedOut).into());
            }
            if self.write(machine.poll_timeout())? {
                return Ok(());
            }
        }
    }

    /// Lends what was read, as long as there is room for the answers.
    fn deliver<M: Machine, T>(
        &mut self,
        machine: &mut M,
        receive: &mut impl FnMut(&mut M, &mut &mut [u8], &mut BytesMut) -> ControlFlow<Option<T>>,
    ) -> Option<T> {
        let found = lend(machine, &mut self.inbox, &mut self.out, &mut self.trace, receive);
        if found.is_some() {
            self.inbox.return_buffer(&mut Box::default());
        }
        found
    }

    /// Reads what comes: 0 bytes at the end of the stream, `None` when nothing came until `deadline` or a little before.
    fn read(&mut self, missing: u64, deadline: Option<Timestamp>) -> io::Result<Option<usize>> {
        let wait = self.wait(deadline);
        if !serves(self.read_timeout, wait) {
            self.socket.set_read_timeout(as_timeout(wait))?;
            self.read_timeout = wait;
        }
        let room = self.inbox.room(missing);
        let started = Instant::now();
        let result = self.socket.read(room);
        self.now = self.now + started.elapsed();
        match result {
            Err(error) if is_timeout(&error) => Ok(None),
            result => {
                let count = result?;
                self.inbox.filled(count);
                Ok(Some(count))
            }
        }
    }

    /// Writes all there is; `false` when the socket took no more until `deadline` or a little before. After an error
    /// nothing is left to write.
    fn write(&mut self, deadline: Option<Timestamp>) -> io::Result<bool> {
        let result = self.try_write(deadline);
        if result.is_err() {
            self.out = Outbox::new();
        }
        result
    }

    fn try_write(&mut self, deadline: Option<Timestamp>) -> io::Result<bool> {
        while !self.out.is_empty() {
            let wait = self.wait(deadline);
            if !serves(self.write_timeout, wait) {
                self.socket.set_write_timeout(as_timeout(wait))?;
                self.write_timeout = wait;
            }
            let mut slices = [IoSlice::new(&[]); 8];
            let filled = self.out.chunks_vectored(&mut slices);
            let started = Instant::now();
            match self.socket.write_vectored(&slices[..filled]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.trace.sent(&self.out, count);
                    self.out.advance(count);
                }
                Err(error) => {
                    let interrupted = error.kind() == ErrorKind::Interrupted;
                    self.stalled(started, error)?;
                    if !interrupted || deadline.is_some_and(|deadline| deadline <= self.now) {
                        return Ok(false);
                    }
                }
            }
        }
        let started = Instant::now();
        match self.socket.flush() {
            Ok(()) => Ok(true),
            Err(error) => self.stalled(started, error).map(|()| false),
        }
    }

    /// Time passes only while the peer takes nothing: one that reads slowly is alive.
    fn stalled(&mut self, since: Instant, error: io::Error) -> io::Result<()> {
        if !is_timeout(&error) {
            return Err(error);
        }
        self.now = self.now + since.elapsed();
        Ok(())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        if !self.is_shut {
            self.socket.shutdown_write()?;
            self.is_shut = true;
        }
        Ok(())
    }

    fn turn(&self, deadline: Option<Timestamp>) -> Timestamp {
        let turn = self.now + TURN;
        deadline.map_or(turn, |deadline| deadline.min(turn))
    }

    fn wait(&self, deadline: Option<Timestamp>) -> Duration {
        deadline.map_or(Duration::MAX, |deadline| (deadline - self.now).max(SHORTEST))
    }
}

/// Whether the timeout that is set does for this wait. A shorter one does, because whoever waits looks at the time
/// again; so one that comes near is kept, and most messages need no system call for it.
fn serves(timeout: Duration, wait: Duration) -> bool {
    (wait / 2..=wait).contains(&timeout)
}

fn as_timeout(wait: Duration) -> Option<Duration> {
    (wait < Duration::MAX).then_some(wait)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

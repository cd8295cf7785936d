//! A socket and the driver of its machine: the steps of the driver as system calls that wait.

use std::{
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

use bytes::BytesMut;

use super::{
    Socket,
    closer::Closer,
    socket::{Interest, Ready},
};
use crate::{
    Driver, Outbox, Step, Timestamp,
    adapter::{
        Error,
        buffers::{lend, take_back, with_buffers},
    },
    driver::Machine,
    handshake::HandshakeError,
};

/// The most that one read takes.
const READ_LEN: usize = 16 << 10;

/// Where a socket cannot wait for both directions at once: how long each has its turn.
const TURN: Duration = Duration::from_millis(10);

/// The shortest wait that every operating system understands as one.
const SHORTEST: Duration = Duration::from_millis(1);

/// A socket, the driver of what speaks over it, and the time that its peer was waited for.
pub(super) struct Wire<S, M: Machine> {
    pub(super) socket: S,
    pub(super) driver: Driver<M>,
    /// Another thread may close the connection.
    pub(super) closer: Option<Closer>,
    now: Timestamp,
    /// What the socket's timeouts are set to: zero when that is unknown, `MAX` when there is none.
    read_timeout: Duration,
    write_timeout: Duration,
    /// Why reading failed, if that ended the connection.
    failure: Option<io::Error>,
}

impl<S: Socket, M: Machine<Error: Into<Error>>> Wire<S, M> {
    pub(super) fn new(socket: S, driver: Driver<M>) -> Self {
        Self {
            socket,
            driver: driver.read_len(READ_LEN),
            closer: None,
            now: Timestamp::ZERO,
            read_timeout: Duration::ZERO,
            write_timeout: Duration::ZERO,
            failure: None,
        }
    }

    /// The same socket with the next machine.
    pub(super) fn replace<N: Machine>(self, next: N) -> Wire<S, N> {
        Wire {
            socket: self.socket,
            driver: self.driver.replace(next),
            closer: self.closer,
            now: self.now,
            read_timeout: self.read_timeout,
            write_timeout: self.write_timeout,
            failure: self.failure,
        }
    }

    /// Hands events to `handler` until it finds something; `None` when the transport is at its end. `close` is called
    /// when another thread closes the connection.
    pub(super) fn receive<T>(
        &mut self,
        mut handler: impl FnMut(M::Event<'_>, &mut M, &mut BytesMut) -> Option<T>,
        close: impl Fn(Closer, &mut M, &mut Outbox),
    ) -> Result<Option<T>, Error> {
        // What is here already costs no exchange of buffers.
        if self.driver.has_input()
            && let Some(found) = self.driver.deliver(&mut handler)
        {
            return Ok(Some(found));
        }
        with_buffers(self, |wire| &mut wire.driver, |wire| wire.steps(handler, close))
    }

    fn steps<T>(
        &mut self,
        mut handler: impl FnMut(M::Event<'_>, &mut M, &mut BytesMut) -> Option<T>,
        close: impl Fn(Closer, &mut M, &mut Outbox),
    ) -> Result<Option<T>, Error> {
        self.driver.writable();
        loop {
            match self.driver.step(|| self.now) {
                Step::Deliver => {
                    if let Some(found) = self.driver.deliver(&mut handler) {
                        return Ok(Some(found));
                    }
                }
                // There is something to read; should there not be, it does not wait for long.
                Step::Read => self.read(Some(TURN)),
                // What cannot be written is dropped: what the peer sent before it went can still be read.
                step @ (Step::Write | Step::Flush | Step::Shutdown) => _ = self.write(step, true),
                Step::Wait(until) => self.wait(until, true, &close),
                Step::Yield => {}
                Step::Done => return self.verdict().map_or(Ok(None), Err),
            }
        }
    }

    /// What the application sends. It is written by the next call.
    pub(super) fn command<T>(&mut self, command: impl FnOnce(&mut M, &mut Outbox) -> T) -> T {
        lend(&mut self.driver);
        let (machine, out) = self.driver.parts();
        command(machine, out)
    }

    /// Writes all there is, and passes it on.
    pub(super) fn flush(&mut self, close: impl Fn(Closer, &mut M, &mut Outbox)) -> Result<(), Error> {
        let result = self.write_all(close);
        take_back(&mut self.driver);
        result
    }

    fn write_all(&mut self, close: impl Fn(Closer, &mut M, &mut Outbox)) -> Result<(), Error> {
        self.driver.writable();
        loop {
            if self.driver.is_mute() {
                return Err(io::Error::from(ErrorKind::BrokenPipe).into());
            }
            if !self.driver.output_waits() {
                return Ok(());
            }
            match self.driver.step_output(|| self.now) {
                Step::Wait(until) => self.wait(until, false, &close),
                Step::Done => {
                    let timed_out = || io::Error::from(ErrorKind::TimedOut).into();
                    return Err(self.verdict().unwrap_or_else(timed_out));
                }
                step => self.write(step, false)?,
            }
        }
    }

    /// Drives a handshake until `receive` makes a result of its event.
    pub(super) fn handshake<T>(&mut self, mut receive: impl FnMut(M::Event<'_>) -> T) -> Result<T, Error> {
        let result = self.receive(|event, _, _| Some(receive(event)), |_, _, _| {})?;
        result.ok_or(Error::Handshake(HandshakeError::ConnectionLost))
    }

    /// The socket, unless bytes were read that nobody has received.
    pub(super) fn into_socket(self) -> Option<S> {
        self.driver.into_parts().1.is_empty().then_some(self.socket)
    }

    /// Waits until the socket is ready for what the driver wants, or until a deadline.
    fn wait(&mut self, until: Option<Timestamp>, is_reading: bool, close: &impl Fn(Closer, &mut M, &mut Outbox)) {
        let timeout = until.map(|until| (until - self.now).max(SHORTEST));
        let interest = Interest {
            read: is_reading && self.driver.wants_read(),
            write: self.driver.wants_write(),
            closer: self.closer.as_ref(),
        };
        if interest.read && !interest.write && interest.closer.is_none() {
            // One system call: the read waits itself.
            return self.read(timeout);
        }
        if !S::POLLS {
            self.driver.writable();
            if interest.read {
                self.read(Some(timeout.map_or(TURN, |timeout| timeout.min(TURN))));
            }
            return;
        }
        let started = Instant::now();
        let ready = self.socket.poll(&interest, timeout);
        self.now = self.now + started.elapsed();
        let Ready { read, write, closer } = match ready {
            Ok(ready) => ready,
            Err(error) if error.kind() == ErrorKind::Interrupted => Ready::default(),
            Err(error) => return self.fail_reading(error),
        };
        if read {
            self.driver.readable(true);
        }
        if write {
            self.driver.writable();
        }
        if closer && let Some(closer) = self.closer.take() {
            let (machine, out) = self.driver.parts();
            close(closer, machine, out);
            self.driver.writable();
        }
    }

    /// Reads once, and waits for that at most this long; `None` is for ever.
    fn read(&mut self, timeout: Option<Duration>) {
        let wait = timeout.unwrap_or(Duration::MAX);
        if !serves(self.read_timeout, wait) {
            if let Err(error) = self.socket.set_read_timeout(as_timeout(wait)) {
                return self.fail_reading(error);
            }
            self.read_timeout = wait;
        }
        let started = Instant::now();
        let result = self.socket.read(self.driver.room());
        self.now = self.now + started.elapsed();
        self.driver.read_blocked();
        match result {
            Ok(count) => self.driver.received(count),
            Err(error) if is_timeout(&error) => {}
            Err(error) => self.fail_reading(error),
        }
    }

    fn fail_reading(&mut self, error: io::Error) {
        if self.driver.read_failed() {
            self.failure = Some(error);
        }
    }

    /// Writes, flushes or shuts down, as `step` says. Where the socket cannot wait for both directions, and the driver
    /// wants to read too, a write waits for its turn only.
    fn write(&mut self, step: Step, reads: bool) -> io::Result<()> {
        let started = Instant::now();
        let result = match step {
            Step::Write => self.write_output(reads),
            Step::Flush => self.socket.flush().map(|()| self.driver.flushed()),
            _ => self.socket.shutdown_write().map(|()| self.driver.shut_down()),
        };
        if !S::POLLS {
            self.now = self.now + started.elapsed();
        }
        match result {
            Ok(()) => Ok(()),
            // An interrupted call is no stall: it is tried again at once.
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) if is_timeout(&error) => {
                self.driver.write_blocked();
                Ok(())
            }
            Err(error) => {
                self.driver.write_failed();
                Err(error)
            }
        }
    }

    fn write_output(&mut self, reads: bool) -> io::Result<()> {
        if !S::POLLS {
            let until = self.driver.machine().poll_timeout().filter(|until| *until > self.now);
            let wait = until.map_or(Duration::MAX, |until| (until - self.now).max(SHORTEST));
            let wait = if reads { wait.min(TURN) } else { wait };
            if !serves(self.write_timeout, wait) {
                self.socket.set_write_timeout(as_timeout(wait))?;
                self.write_timeout = wait;
            }
        }
        match self.driver.output().with_slices(|slices| self.socket.write_now(slices))? {
            0 => Err(ErrorKind::WriteZero.into()),
            count => {
                self.driver.written(count);
                Ok(())
            }
        }
    }

    /// Why it ended.
    fn verdict(&mut self) -> Option<Error> {
        let failure = self.failure.take().map(Error::from);
        failure.or_else(|| self.driver.take_error().map(Into::into))
    }
}

/// Whether the timeout that is set does for this wait. A shorter one does, because who waits looks at the time again;
/// so one that comes near is kept, and most messages need no system call for it.
fn serves(timeout: Duration, wait: Duration) -> bool {
    (wait / 2..=wait).contains(&timeout)
}

fn as_timeout(wait: Duration) -> Option<Duration> {
    (wait < Duration::MAX).then_some(wait)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

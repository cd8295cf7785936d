//! The loop between a transport and a machine: one machine after the other, the handshake and then the connection.
//!
//! It is made of polls over fields. No future holds any of its state, so a future may be dropped at any time, and the
//! next one goes on where it was.

use core::{
    cell::Cell,
    future::poll_fn,
    ops::ControlFlow::{self, Break},
    task::{
        Context,
        Poll::{self, Pending, Ready},
        ready,
    },
};
use std::{
    boxed::Box,
    io::{self, ErrorKind},
    time::Duration,
    vec::Vec,
};

use bytes::{Buf, BytesMut};

use super::{
    Io,
    watch::{Side, Watch},
};
use crate::{
    Inbox, Outbox, Transport,
    adapter::{
        Error,
        machine::{Machine, is_backed_up, lend, may_end},
        trace::Trace,
    },
    handshake::HandshakeError,
};

/// The most that one read takes, into the buffer of the thread: two messages of 64 KiB, if not for their headers, so that
/// their answers are written in one go.
const READ_LEN: usize = 128 << 10;

/// So many reads in one go, then others have their turn.
const MAX_READS: usize = 8;

/// How long a transport may take for the last bytes, which it may not take at once although its peer does.
const FAREWELL: Duration = Duration::from_millis(10);

std::thread_local! {
    /// What is read into, by all connections of the thread. It is taken out while it is in use: a handler may poll
    /// another connection.
    static SCRATCH: Cell<Box<[u8]>> = Cell::default();
}

/// A transport, what is to be written, and what was read too early.
pub(super) struct Wire<I> {
    pub(super) io: I,
    pub(super) out: Outbox,
    pub(super) trace: Trace,
    inbox: Inbox,
    watch: Watch,
    is_eof: bool,
    is_flushed: bool,
    is_shut: bool,
    /// The alarm is for the last bytes.
    is_farewell: bool,
    /// The stream of messages gave its last item.
    pub(super) is_over: bool,
}

impl<I: Io> Wire<I> {
    /// A wire from which `received` was read already.
    pub(super) fn new(io: I, received: Vec<u8>) -> Self {
        Self {
            out: Outbox::new(),
            trace: Trace::default(),
            inbox: Inbox::from(received).read_len(READ_LEN),
            watch: Watch::new(io.now()),
            is_eof: false,
            is_flushed: true,
            is_shut: false,
            is_farewell: false,
            is_over: false,
            io,
        }
    }

    /// Lends input to `receive` as it comes, until that finds something; `None` when the transport is at its end. It is
    /// called again while it says `Continue`, and with more input after `Break(None)`.
    ///
    /// Why the machine came to its end is kept in `verdict`, and returned as soon as its last bytes are written.
    pub(super) fn poll_receive<M: Machine, T>(
        &mut self,
        cx: &mut Context<'_>,
        machine: &mut M,
        verdict: &mut Option<Error>,
        mut receive: impl FnMut(&mut M, &mut &mut [u8], &mut BytesMut) -> ControlFlow<Option<T>>,
    ) -> Poll<Result<Option<T>, Error>> {
        let mut reads = 0;
        loop {
            // What came is handed out before anything is written or waited for.
            if let Some(found) = lend(machine, &mut self.inbox, &mut self.out, &mut self.trace, &mut receive) {
                self.watch.done(Side::Receiver);
                return Ready(Ok(Some(found)));
            }
            let wants_more = !is_backed_up(machine, &self.out);
            let transport = machine.transport();
            if matches!(transport, Transport::Close | Transport::Abort) {
                // What the transport takes in a moment, and no more.
                if self.poll_write(cx, Transport::ShutdownWrite).is_pending() {
                    ready!(self.poll_farewell(cx));
                }
                return Ready(verdict.take().map_or(Ok(None), Err));
            }
            let written = match self.poll_write(cx, transport) {
                Ready(Err(_)) if transport == Transport::ShutdownWrite => {
                    let _ = machine.receive_eof();
                    continue;
                }
                // What cannot be written is dropped: what the peer sent before it went can still be read.
                Ready(_) => true,
                Pending => false,
            };
            if self.is_eof && may_end(machine, written) {
                if let Err(error) = machine.receive_eof() {
                    *verdict = Some(error.into());
                }
                continue;
            }
            if wants_more && !self.is_eof {
                if reads == MAX_READS {
                    cx.waker().wake_by_ref();
                } else if let Ready(result) = self.poll_read(cx, machine, &mut receive) {
                    match result {
                        Ok((_, Some(found))) => {
                            self.watch.done(Side::Receiver);
                            return Ready(Ok(Some(found)));
                        }
                        Ok((count, None)) => self.is_eof = count == 0,
                        // After a proper close a reset is an end like any other, and after a failure it is not the cause.
                        Err(_) if machine.transport() != Transport::KeepOpen => {
                            let _ = machine.receive_eof();
                        }
                        Err(error) => machine.receive_eof().map_err(|_| error)?,
                    }
                    reads += 1;
                    continue;
                }
            } else if written {
                continue;
            }
            if let Err(error) = ready!(self.poll_time(cx, machine, Side::Receiver)) {
                *verdict = Some(error.into());
            }
        }
    }

    /// Drives a handshake until `receive` has its result.
    pub(super) async fn handshake<M: Machine, T>(
        &mut self,
        handshake: &mut M,
        receive: impl Fn(&mut M, &mut &mut [u8], &mut BytesMut) -> Result<Option<T>, M::Error>,
    ) -> Result<T, Error> {
        let receive = |handshake: &mut M, input: &mut &mut [u8], out: &mut BytesMut| {
            Break(receive(handshake, input, out).transpose())
        };
        let mut verdict = None;
        let result = poll_fn(|cx| self.poll_receive(cx, handshake, &mut verdict, receive)).await?;
        match result {
            Some(result) => result.map_err(Into::into),
            None => Err(HandshakeError::ConnectionLost.into()),
        }
    }

    /// The transport, unless bytes were read that nobody has received.
    pub(super) fn into_io(self) -> Option<I> {
        self.inbox.is_empty().then_some(self.io)
    }

    /// Writes until there is no more than `most`, and waits for that as long as `machine` allows.
    pub(super) fn poll_drain<M: Machine>(
        &mut self,
        cx: &mut Context<'_>,
        machine: &mut M,
        most: usize,
    ) -> Poll<Result<(), Error>> {
        loop {
            let done = most > 0 && self.out.len() <= most
                || self.poll_write(cx, machine.transport())?.is_ready()
                || most > 0 && self.out.len() <= most;
            if done {
                self.watch.done(Side::Sender);
                return Ready(Ok(()));
            }
            if matches!(machine.transport(), Transport::Close | Transport::Abort) {
                return Ready(Err(io::Error::from(ErrorKind::TimedOut).into()));
            }
            ready!(self.poll_time(cx, machine, Side::Sender)).map_err(Into::into)?;
        }
    }

    /// Reads once, lends what came, and keeps what is left of it. The bytes read: 0 at the end of the stream.
    fn poll_read<M: Machine, T>(
        &mut self,
        cx: &mut Context<'_>,
        machine: &mut M,
        receive: &mut impl FnMut(&mut M, &mut &mut [u8], &mut BytesMut) -> ControlFlow<Option<T>>,
    ) -> Poll<io::Result<(usize, Option<T>)>> {
        let mut scratch = SCRATCH.take();
        self.inbox.borrow_buffer(&mut scratch);
        let result = self
            .io
            .poll_read(cx, &mut self.inbox, machine.missing())
            .map_ok(|count| (count, lend(machine, &mut self.inbox, &mut self.out, &mut self.trace, receive)));
        self.inbox.return_buffer(&mut scratch);
        SCRATCH.set(scratch);
        result
    }

    /// Writes all there is, then ends the outgoing half, if `transport` says so. After an error nothing is left to write.
    fn poll_write(&mut self, cx: &mut Context<'_>, transport: Transport) -> Poll<io::Result<()>> {
        let result = self.poll_write_all(cx, transport);
        if let Ready(Err(_)) = result {
            (self.out, self.is_flushed) = (Outbox::new(), true);
        }
        result
    }

    fn poll_write_all(&mut self, cx: &mut Context<'_>, transport: Transport) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let count = ready!(self.io.poll_write(cx, &mut self.out))?;
            if count == 0 {
                return Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.trace.sent(&self.out, count);
            self.out.advance(count);
            self.is_flushed = false;
            if !self.out.is_empty() && transport == Transport::KeepOpen {
                self.watch.progress();
            }
        }
        if !self.is_flushed {
            ready!(self.io.poll_flush(cx))?;
            self.is_flushed = true;
        }
        if transport == Transport::ShutdownWrite && !self.is_shut {
            ready!(self.io.poll_shutdown(cx))?;
            self.is_shut = true;
        }
        Ready(Ok(()))
    }

    /// Ready when the last bytes are given up.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_farewell {
            self.is_farewell = true;
            self.watch.alarm = Some(self.io.now() + FAREWELL);
        }
        self.watch.alarm.map_or(Ready(()), |alarm| self.io.poll_until(cx, alarm))
    }

    /// Tells the machine the time, and sets the timer for the next deadline; ready when the machine did something at one.
    fn poll_time<M: Machine>(
        &mut self,
        cx: &mut Context<'_>,
        machine: &mut M,
        side: Side,
    ) -> Poll<Result<(), M::Error>> {
        let mut now = self.watch.look(self.io.now());
        self.watch.wait(side);
        while let Some(deadline) = machine.poll_timeout() {
            if deadline <= now {
                let before = (self.out.len(), machine.transport());
                machine.handle_timeout(now, self.out.tail())?;
                if before != (self.out.len(), machine.transport()) {
                    return Ready(Ok(()));
                }
                continue;
            }
            let Some(at) = self.watch.instant(deadline) else { break };
            let alarm = self.watch.alarm.map_or(at, |alarm| alarm.min(at));
            self.watch.alarm = Some(alarm);
            ready!(self.io.poll_until(cx, alarm));
            self.watch.alarm = None;
            now = self.watch.look(self.io.now());
        }
        Pending
    }
}

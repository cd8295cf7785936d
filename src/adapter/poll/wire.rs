//! A transport and the driver of its machine: the steps of the driver as polls of the transport.
//!
//! No future holds any state of a connection, so a future may be dropped at any time, and the next call resumes.

use core::{
    future::poll_fn,
    task::{
        Context,
        Poll::{self, Pending, Ready},
        ready,
    },
};
use std::io::{self, ErrorKind};

use bytes::BytesMut;

use super::{
    Io,
    watch::{Side, Watch},
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

/// The most that one read takes: two messages of 64 KiB, if not for their headers, so that their answers are written in
/// one go.
pub(super) const READ_LEN: usize = 128 << 10;

/// A transport, the driver of what speaks over it, and the clock.
pub(super) struct Wire<I, M: Machine> {
    pub(super) io: I,
    pub(super) driver: Driver<M>,
    watch: Watch,
    /// Why reading failed, if that ended the connection.
    failure: Option<io::Error>,
}

impl<I: Io, M: Machine<Error: Into<Error>>> Wire<I, M> {
    pub(super) fn new(io: I, driver: Driver<M>) -> Self {
        Self { watch: Watch::new(io.now()), driver: driver.read_len(READ_LEN), failure: None, io }
    }

    /// The same transport with the next machine.
    pub(super) fn replace<N: Machine>(self, next: N) -> Wire<I, N> {
        Wire { io: self.io, driver: self.driver.replace(next), watch: self.watch, failure: self.failure }
    }

    /// Hands events to `handler` until it finds something; `None` when the transport is at its end.
    pub(super) fn poll_receive<T>(
        &mut self,
        cx: &mut Context<'_>,
        handler: &mut impl FnMut(M::Event<'_>, &mut M, &mut BytesMut) -> Option<T>,
    ) -> Poll<Result<Option<T>, Error>> {
        // What is here already costs no exchange of buffers.
        if self.driver.has_input()
            && let Some(found) = self.driver.deliver(&mut *handler)
        {
            self.stop(Side::Receiver);
            return Ready(Ok(Some(found)));
        }
        let result = with_buffers(self, |wire| &mut wire.driver, |wire| wire.poll_steps(cx, handler));
        if result.is_ready() {
            self.stop(Side::Receiver);
        }
        result
    }

    fn poll_steps<T>(
        &mut self,
        cx: &mut Context<'_>,
        handler: &mut impl FnMut(M::Event<'_>, &mut M, &mut BytesMut) -> Option<T>,
    ) -> Poll<Result<Option<T>, Error>> {
        self.driver.wake();
        loop {
            match self.driver.step(|| self.watch.look(self.io.now())) {
                Step::Deliver => {
                    if let Some(found) = self.driver.deliver(&mut *handler) {
                        return Ready(Ok(Some(found)));
                    }
                }
                Step::Read => self.poll_read(cx),
                // What cannot be written is dropped: what the peer sent before it went can still be read.
                step @ (Step::Write | Step::Flush | Step::Shutdown) => _ = self.poll_write(cx, step),
                Step::Wait(until) => ready!(self.poll_wait(cx, until, Side::Receiver)),
                Step::Yield => {
                    cx.waker().wake_by_ref();
                    return Pending;
                }
                Step::Done => return Ready(self.verdict().map_or(Ok(None), Err)),
            }
        }
    }

    /// Writes until no more than `most` is queued; with 0 until all is passed on.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<(), Error>> {
        let result = self.poll_output(cx, most);
        take_back(&mut self.driver);
        if result.is_ready() {
            self.stop(Side::Sender);
        }
        result
    }

    fn poll_output(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<(), Error>> {
        self.driver.wake();
        loop {
            if self.driver.is_mute() {
                return Ready(Err(io::Error::from(ErrorKind::BrokenPipe).into()));
            }
            if self.driver.queued() <= most && (most > 0 || !self.driver.output_waits()) {
                return Ready(Ok(()));
            }
            match self.driver.step_output(|| self.watch.look(self.io.now())) {
                Step::Wait(until) => ready!(self.poll_wait(cx, until, Side::Sender)),
                Step::Done => {
                    let timed_out = || io::Error::from(ErrorKind::TimedOut).into();
                    return Ready(Err(self.verdict().unwrap_or_else(timed_out)));
                }
                step => self.poll_write(cx, step)?,
            }
        }
    }

    /// What the application sends. It is written by the next poll.
    pub(super) fn command<T>(&mut self, command: impl FnOnce(&mut M, &mut Outbox) -> T) -> T {
        lend(&mut self.driver);
        let (machine, out) = self.driver.parts();
        command(machine, out)
    }

    /// The future that waited is gone.
    pub(super) fn stop(&mut self, side: Side) {
        self.watch.stop(side, || self.io.now());
    }

    /// When the deadlines have to be looked at next.
    pub(super) fn is_news(&self) -> bool {
        self.driver.machine().poll_timeout() == Some(Timestamp::ZERO)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) {
        let (inbox, missing) = self.driver.inbox();
        match self.io.poll_read(cx, inbox, missing) {
            Ready(Ok(count)) => self.driver.note_received(count),
            Ready(Err(error)) if self.driver.read_failed() => self.failure = Some(error),
            Ready(Err(_)) => {}
            Pending => self.driver.read_blocked(),
        }
    }

    /// Writes, flushes or shuts down, as `step` says.
    fn poll_write(&mut self, cx: &mut Context<'_>, step: Step) -> io::Result<()> {
        let result = match step {
            Step::Write => match self.io.poll_write(cx, self.driver.output()) {
                Ready(Ok(0)) => Ready(Err(ErrorKind::WriteZero.into())),
                result => result.map_ok(|count| self.driver.written(count)),
            },
            Step::Flush => self.io.poll_flush(cx).map_ok(|()| self.driver.flushed()),
            _ => self.io.poll_shutdown(cx).map_ok(|()| self.driver.shut_down()),
        };
        match result {
            Ready(Ok(())) => Ok(()),
            Ready(Err(error)) => {
                self.driver.write_failed();
                Err(error)
            }
            Pending => {
                self.driver.write_blocked();
                Ok(())
            }
        }
    }

    /// Sets the timer; ready when it rings.
    fn poll_wait(&mut self, cx: &mut Context<'_>, until: Option<Timestamp>, side: Side) -> Poll<()> {
        self.watch.wait(side);
        let until = until.and_then(|until| self.watch.instant(until));
        let Some(alarm) = [until, self.watch.alarm].into_iter().flatten().min() else { return Pending };
        self.watch.alarm = Some(alarm);
        ready!(self.io.poll_until(cx, alarm));
        // It is looked at with the alarm in place: who comes late did not wait.
        self.watch.look(self.io.now());
        self.watch.alarm = None;
        Ready(())
    }

    /// Why it ended.
    fn verdict(&mut self) -> Option<Error> {
        let failure = self.failure.take().map(Error::from);
        failure.or_else(|| self.driver.take_error().map(Into::into))
    }

    /// Drives a handshake until `receive` makes a result of its event.
    pub(super) async fn handshake<T>(&mut self, mut receive: impl FnMut(M::Event<'_>) -> T) -> Result<T, Error> {
        let result = poll_fn(|cx| self.poll_receive(cx, &mut |event, _, _| Some(receive(event)))).await?;
        result.ok_or(Error::Handshake(HandshakeError::ConnectionLost))
    }

    /// The transport, unless bytes were read that nobody has received.
    pub(super) fn into_io(self) -> Option<I> {
        self.driver.into_parts().1.is_empty().then_some(self.io)
    }
}

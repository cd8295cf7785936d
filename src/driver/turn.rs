//! [`Driver::turn`]: the steps of a driver on a transport that does not block.

use std::io::{self, ErrorKind, Read, Write};

use bytes::BytesMut;

use super::{Driver, Machine, Step};
use crate::time::Timestamp;

impl<M: Machine> Driver<M> {
    /// Performs the steps on a non-blocking transport until it has to wait. Returns when to call this again at the
    /// latest; `None` when the connection is over and the transport can be closed.
    ///
    /// [`Timestamp::ZERO`] means that the peer has more to read: give other connections their turn, then call this
    /// again without waiting. [`Timestamp::MAX`] means that there is no deadline.
    ///
    /// Before the call, report what became ready: [`readable`](Self::readable), [`writable`](Self::writable), or
    /// [`wake`](Self::wake). Every direction that has been reported is used until it blocks, so edge-triggered
    /// readiness is sufficient.
    ///
    /// - `transport` returns [`WouldBlock`](ErrorKind::WouldBlock) where it would have to wait: a socket after
    ///   `set_nonblocking(true)`, or a TLS session over one.
    /// - `shut_down` ends the outgoing half: for a `TcpStream`, `|socket| socket.shutdown(Shutdown::Write)`.
    /// - `now` reads the clock, at most a few times per turn.
    /// - `handler` gets each event, the machine, and the output for its answers.
    ///
    /// The [module](super) has an example, and [`guide`](super::guide) a whole server.
    pub fn turn<T: Read + Write>(
        &mut self,
        transport: &mut T,
        mut shut_down: impl FnMut(&mut T) -> io::Result<()>,
        mut now: impl FnMut() -> Timestamp,
        mut handler: impl FnMut(M::Event<'_>, &mut M, &mut BytesMut),
    ) -> Option<Timestamp> {
        loop {
            match self.step(&mut now) {
                Step::Deliver => {
                    self.deliver(|event, machine, out| {
                        handler(event, machine, out);
                        None::<()>
                    });
                }
                Step::Read => match transport.read(self.room()) {
                    Ok(count) => self.received(count),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => self.read_blocked(),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => _ = self.read_failed(),
                },
                Step::Write => match self.output().with_slices(|slices| transport.write_vectored(slices)) {
                    Ok(0) => self.write_failed(),
                    Ok(count) => self.written(count),
                    Err(error) => self.note_write_error(&error),
                },
                Step::Flush => match transport.flush() {
                    Ok(()) => self.flushed(),
                    Err(error) => self.note_write_error(&error),
                },
                Step::Shutdown => match shut_down(transport) {
                    Ok(()) => self.shut_down(),
                    Err(error) => self.note_write_error(&error),
                },
                Step::Wait(until) => return Some(until.unwrap_or(Timestamp::MAX)),
                Step::Yield => return Some(Timestamp::ZERO),
                Step::Done => return None,
            }
        }
    }

    fn note_write_error(&mut self, error: &io::Error) {
        match error.kind() {
            ErrorKind::WouldBlock => self.write_blocked(),
            ErrorKind::Interrupted => {}
            _ => self.write_failed(),
        }
    }
}

//! [`Driver`]: the I/O loop around a connection, without I/O and without a clock.
//!
//! A [`Connection`](crate::Connection) turns bytes into events. Around it every program needs the same loop, and that
//! loop is where most bugs of WebSocket programs are: when to read while output waits, what counts as silence of the
//! peer, how a connection ends so that nothing is lost and nothing hangs. The driver makes these decisions. Your event
//! loop asks it for the next [`Step`], does the one system call that the step names, and reports the result:
//!
//! ```
//! use std::io::{ErrorKind::{Interrupted, WouldBlock}, Read, Write};
//! use bytes::Buf;
//! use sansock::{Clock, Connection, Driver, Event, Step, Timestamp};
//! # use std::net::{Shutdown, TcpStream};
//!
//! /// Goes as far as the socket allows. The time to call it again, whatever the socket does; or `None` when it is over.
//! fn turn(driver: &mut Driver<Connection>, socket: &mut TcpStream, clock: &Clock) -> Option<Timestamp> {
//!     loop {
//!         match driver.step(|| clock.now()) {
//!             Step::Deliver => {
//!                 driver.deliver(|event, connection, out| {
//!                     if let Event::Text(text) = event {
//!                         let _ = connection.send_text(&text, out);
//!                     }
//!                     None::<()>
//!                 });
//!             }
//!             Step::Read => match socket.read(driver.room()) {
//!                 Ok(count) => driver.received(count),
//!                 Err(error) if error.kind() == WouldBlock => driver.read_blocked(),
//!                 Err(error) if error.kind() == Interrupted => {}
//!                 Err(_) => _ = driver.read_failed(),
//!             },
//!             Step::Write => match socket.write(driver.output().chunk()) {
//!                 Ok(count) => driver.written(count),
//!                 Err(error) if error.kind() == WouldBlock => driver.write_blocked(),
//!                 Err(error) if error.kind() == Interrupted => {}
//!                 Err(_) => driver.write_failed(),
//!             },
//!             Step::Flush => driver.flushed(), // a `TcpStream` holds nothing back: see `Driver::unbuffered`
//!             Step::Shutdown => match socket.shutdown(Shutdown::Write) {
//!                 Ok(()) => driver.shut_down(),
//!                 Err(_) => driver.write_failed(),
//!             },
//!             Step::Wait(until) => return Some(until.unwrap_or(Timestamp::MAX)),
//!             Step::Yield => return Some(Timestamp::ZERO), // others have their turn first
//!             Step::Done => return None,
//!         }
//!     }
//! }
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let mut peer = TcpStream::connect(listener.local_addr()?)?;
//! # let (mut socket, _) = listener.accept()?;
//! # socket.set_nonblocking(true)?;
//! # let (mut driver, clock) = (Driver::new(Connection::server(&sansock::Config::default())), Clock::start());
//! # peer.write_all(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")?;
//! # let mut echo = [0; 7];
//! # peer.set_nonblocking(true)?;
//! # for _ in 0..10_000 {
//! #     driver.wake();
//! #     turn(&mut driver, &mut socket, &clock).unwrap();
//! #     if peer.peek(&mut echo).is_ok_and(|count| count == 7) { break }
//! #     std::thread::sleep(std::time::Duration::from_millis(1));
//! # }
//! # peer.read_exact(&mut echo)?;
//! # assert_eq!(&echo, b"\x81\x05Hello");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Before each turn report what became ready: [`readable`](Driver::readable) and [`writable`](Driver::writable), or
//! [`wake`](Driver::wake) if you do not know.
//!
//! [`Driver::turn`] is this loop for any non-blocking `Read + Write`. The [`guide`] builds a whole server around it.
//!
//! # The rules
//!
//! 1. **Reading does not wait for what you send.** Output is written in order and has two sources: *answers*, appended
//!    while input is delivered, and *sends*, appended through [`parts`](Driver::parts). Reading pauses only while more
//!    than 128 KiB of answers plus the length of the queued sends wait. So at most this much is held: twice what you
//!    queued, 128 KiB, one answer, one message. Queue no more than you want to hold.
//! 2. **Time is an argument**, asked for only when nothing else is left to do. It should advance only while somebody
//!    waits for the transport: then a busy program does not blame its peer for silence.
//! 3. **Progress is life.** While output waits, each byte that the transport accepts counts as a sign of life. A
//!    keepalive Ping of ours does not: only the time for its answer restarts when its last byte was accepted.
//! 4. **No write stalls forever.** Output of which nothing is accepted for
//!    [`stall_timeout`](crate::Config::stall_timeout) ends the connection. Until the last byte of our Close is
//!    accepted, only this deadline runs; from then on [`close_timeout`](crate::Config::close_timeout) is absolute. So
//!    closing loses nothing that a living peer takes, and output that was never written is an error.
//! 5. **Half-close.** A peer that ended its half still gets its answers. An end of input is never lost.
//! 6. **Fairness.** After 8 reads in a row the step is [`Yield`](Step::Yield).
//! 7. **Failing.** The peer is told, then its input is discarded (at most 1 MiB, at most `close_timeout`), so that a
//!    reset does not overtake our Close.
//! 8. **No needless system calls.** All that one read brought is delivered before its answers are written in one go.
//!
//! No bounded memory solves these two: two peers whose handlers answer each other with more than the pipe between them
//! and 128 KiB hold stop reading until the other reads, until a deadline ends it; give such a protocol a window of its
//! own. And an application that queues without looking at [`queued`](Driver::queued): the driver keeps what you give
//! it.
//!
//! # Memory
//!
//! A driver allocates when there is something to read or to write. A loop with many connections lends one set of
//! [`Buffers`] to the driver whose turn it is: an idle driver then holds nothing.

mod buffers;
mod deadlines;
mod flow;
#[cfg(all(feature = "std", feature = "handshake"))]
pub mod guide;
mod machine;
mod session;
mod step;
mod trace;
mod transfer;
#[cfg(feature = "std")]
mod turn;

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

pub use self::{
    buffers::Buffers,
    deadlines::Deadlines,
    flow::HIGH_WATER,
    machine::{Machine, Progress},
    session::{Session, SessionError, SessionEvent},
    step::Step,
};
use self::{flow::Flow, trace::Trace};
use crate::{connection::Transport, outbox::Outbox};

/// What one read takes, unless [`Driver::read_len`] says otherwise.
const READ_LEN: u32 = 64 << 10;

/// Whether a direction of the transport may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readable {
    No,
    /// A read that leaves room took all there was.
    UntilShort,
    UntilBlocked,
}

/// One machine, its input and its output, and every decision of an I/O loop. See the [module](self).
///
/// Its methods are of four kinds:
///
/// - **the loop**: [`step`](Self::step), and what its result names;
/// - **readiness**: [`wake`](Self::wake), [`readable`](Self::readable), [`writable`](Self::writable);
/// - **sending**: [`parts`](Self::parts), [`queued`](Self::queued), [`step_output`](Self::step_output);
/// - **memory**: [`attach`](Self::attach), [`detach`](Self::detach).
pub struct Driver<M: Machine> {
    machine: M,
    flow: Option<Box<Flow>>,
    error: Option<Box<M::Error>>,
    trace: Trace,
    read_len: u32,
    reads: u8,
    can_read: Readable,
    can_write: bool,
    /// The machine may find something in the input.
    is_fresh: bool,
    /// The machine leaves its input until a request is answered: no more is read meanwhile.
    is_held: bool,
    is_eof: bool,
    /// The machine knows of the end of the input.
    is_eof_told: bool,
    is_unflushed: bool,
    is_unbuffered: bool,
    is_shut: bool,
    /// Writing failed: output is thrown away.
    is_mute: bool,
    /// The last word was appended, and where it ends is noted.
    is_closing: bool,
}

impl<M: Machine> Driver<M> {
    /// A driver of a machine whose transport is new.
    pub fn new(machine: M) -> Self {
        Self {
            machine,
            flow: None,
            error: None,
            trace: Trace::default(),
            read_len: READ_LEN,
            reads: 0,
            can_read: Readable::No,
            can_write: true,
            is_fresh: false,
            is_held: false,
            is_eof: false,
            is_eof_told: false,
            is_unflushed: false,
            is_unbuffered: false,
            is_shut: false,
            is_mute: false,
            is_closing: false,
        }
    }

    /// A driver of a machine for which `received` was read already, and which has written `out`: a client's request,
    /// for instance, is there before its machine.
    pub fn from_parts(machine: M, received: Vec<u8>, out: Outbox) -> Self {
        let mut driver = Self::new(machine);
        if !received.is_empty() || !out.is_empty() {
            driver.is_fresh = !received.is_empty();
            driver.flow = Some(Box::new(Flow::new(received.into(), out)));
        }
        driver
    }

    /// How much one read takes, where no frame is unfinished: 64 KiB, unless set; at least 1 byte.
    #[must_use]
    pub fn read_len(mut self, read_len: usize) -> Self {
        self.read_len = u32::try_from(read_len).unwrap_or(u32::MAX);
        if let Some(flow) = &mut self.flow {
            flow.inbox.set_read_len(self.read_len);
        }
        self
    }

    /// The transport holds nothing back that was written to it, as a socket does and a TLS stream or a `BufWriter` does
    /// not: the step is never [`Flush`](Step::Flush).
    #[must_use]
    pub fn unbuffered(mut self) -> Self {
        self.is_unbuffered = true;
        self
    }

    /// The driver of the next machine on the same transport: of the connection, after its handshake. What was read and
    /// not received, what is not written yet, and the state of the transport stay.
    pub fn replace<N: Machine>(self, next: N) -> Driver<N> {
        Driver {
            machine: next,
            is_fresh: self.flow.as_ref().is_some_and(|flow| !flow.inbox.is_empty()),
            flow: self.flow,
            error: None,
            trace: self.trace,
            read_len: self.read_len,
            reads: self.reads,
            can_read: self.can_read,
            can_write: self.can_write,
            is_held: false,
            is_eof: self.is_eof,
            is_eof_told: false,
            is_unflushed: self.is_unflushed,
            is_unbuffered: self.is_unbuffered,
            is_shut: self.is_shut,
            is_mute: self.is_mute,
            is_closing: false,
        }
    }

    /// The transport may be ready for anything: both directions are tried, until they block.
    #[inline]
    pub fn wake(&mut self) {
        self.can_read = Readable::UntilBlocked;
        self.can_write = true;
        self.reads = 0;
    }

    /// There may be something to read. With `is_closed` the peer has ended its half, which a read has to find behind
    /// the data; otherwise a read that leaves room is the last one until the transport is readable again. If the source
    /// of readiness does not tell, or if a read may return less than there is, as with TLS, pass `true`: that costs a
    /// read that finds nothing.
    #[inline]
    pub fn readable(&mut self, is_closed: bool) {
        // An end that was told before is still to be found.
        if is_closed {
            self.can_read = Readable::UntilBlocked;
        } else if self.can_read == Readable::No {
            self.can_read = Readable::UntilShort;
        }
        self.reads = 0;
    }

    /// The transport may accept something again.
    #[inline]
    pub fn writable(&mut self) {
        self.can_write = true;
    }

    /// Whether there is something to [`deliver`](Self::deliver) now.
    #[must_use]
    #[inline]
    pub fn has_input(&self) -> bool {
        self.is_fresh && !self.is_paused()
    }

    /// Whether a read is wanted as soon as the transport is readable.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        let may_read = matches!(self.machine.transport(), Transport::KeepOpen | Transport::ShutdownWrite);
        may_read && !self.is_eof && !self.is_held && !self.is_paused()
    }

    /// Whether output, a flush, or the end of the outgoing half waits for the transport.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        self.output_waits() || self.machine.transport() != Transport::KeepOpen && !self.is_shut
    }

    /// The machine.
    #[must_use]
    #[inline]
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The machine, and the output that it appends to: all that the application sends on its own account.
    #[inline]
    pub fn parts(&mut self) -> (&mut M, &mut Outbox) {
        let flow = Self::flow(&mut self.flow, self.read_len);
        // A request that is answered now lets the machine go on with its input.
        (self.is_fresh, self.is_held) = (self.is_fresh || !flow.inbox.is_empty(), false);
        (&mut self.machine, &mut flow.out)
    }

    /// How many bytes wait to be written.
    #[must_use]
    #[inline]
    pub fn queued(&self) -> usize {
        self.flow.as_ref().map_or(0, |flow| flow.out.len())
    }

    /// Whether output waits for the transport, or for a flush.
    #[must_use]
    #[inline]
    pub fn output_waits(&self) -> bool {
        self.is_unflushed || self.queued() > 0
    }

    /// Whether writing failed: what is sent is thrown away.
    #[must_use]
    pub fn is_mute(&self) -> bool {
        self.is_mute
    }

    /// Why the machine failed; once. To be asked for when the step is [`Done`](Step::Done): until then the peer is
    /// being told.
    pub fn take_error(&mut self) -> Option<M::Error> {
        self.error.take().map(|error| *error)
    }

    /// The machine, and what was read and not received.
    pub fn into_parts(mut self) -> (M, Vec<u8>) {
        let received = self.flow.as_mut().map(|flow| {
            flow.settle();
            flow.inbox.input().to_vec()
        });
        (self.machine, received.unwrap_or_default())
    }

    /// Reports this connection by `tracing` under this id from here on.
    #[cfg(feature = "tracing")]
    pub fn trace(&mut self, id: u64) {
        if let Some(connection) = self.machine.connection() {
            self.trace = Trace::new(id, connection);
        }
    }
}

impl<M: Machine + fmt::Debug> fmt::Debug for Driver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("machine", &self.machine).field("queued", &self.queued()).finish_non_exhaustive()
    }
}

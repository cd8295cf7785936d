//! [`Driver`]: the I/O loop around a connection, without I/O and without a clock.
//!
//! A [`Connection`](crate::Connection) turns bytes into events. Around it every program needs the same loop, and that loop
//! is where most bugs of WebSocket programs are: when to read while output waits, what counts as silence of the peer, how
//! a connection ends so that nothing is lost and nothing hangs. The driver makes these decisions. Your event loop asks it
//! for the next [`Step`], does the one system call that the step names, and reports the result:
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
//!             Step::Flush => driver.flushed(), // a `TcpStream` holds nothing back
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
//! # The rules
//!
//! 1. **Reading does not wait for what you send.** Output is written in order and has two sources: *answers*, appended
//!    while input is delivered, and *sends*, appended through [`parts`](Driver::parts). Reading pauses only while more
//!    than 128 KiB of answers plus the length of the queued sends wait. So at most this much is held: twice what you
//!    queued, 128 KiB, one answer, one message. Queue no more than you want to hold.
//! 2. **Time is an argument**, asked for only when nothing else is left to do. It should advance only while somebody waits
//!    for the transport: then a busy program does not blame its peer for silence.
//! 3. **Progress is life.** While output waits, each byte that the transport accepts counts as a sign of life. A keepalive
//!    Ping of ours does not: only the time for its answer restarts when its last byte was accepted.
//! 4. **No write stalls forever.** Output of which nothing is accepted for [`stall_timeout`](crate::Config::stall_timeout)
//!    ends the connection. Until the last byte of our Close is accepted, only this deadline runs; from then on
//!    [`close_timeout`](crate::Config::close_timeout) is absolute. So closing loses nothing that a living peer takes, and
//!    output that was never written is an error.
//! 5. **Half-close.** A peer that ended its half still gets its answers. An end of input is never lost.
//! 6. **Fairness.** After 8 reads in a row the step is [`Yield`](Step::Yield).
//! 7. **Failing.** The peer is told, then its input is discarded (at most 1 MiB, at most `close_timeout`), so that a reset
//!    does not overtake our Close.
//! 8. **No needless system calls.** All that one read brought is delivered before its answers are written in one go.
//!
//! What no bounded memory can solve: two peers whose handlers answer each other with more than the pipe between them and
//! 128 KiB hold wait for each other, until a deadline ends it.
//!
//! # Memory
//!
//! A driver allocates when there is something to read or to write. A loop with many connections lends one set of
//! [`Buffers`] to the driver whose turn it is: an idle driver then holds nothing.

mod flow;
mod machine;
mod session;
mod trace;

use alloc::{boxed::Box, vec::Vec};
use core::{fmt, mem, time::Duration};

use bytes::BytesMut;

pub(crate) use self::flow::HIGH_WATER;
use self::{flow::Flow, trace::Trace};
pub use self::{
    machine::{Machine, Progress},
    session::{Session, SessionError, SessionEvent},
};
use crate::{connection::Transport, inbox::Inbox, outbox::Outbox, timer::Timestamp};

/// Reads in one turn, before others have theirs.
const MAX_READS: u8 = 8;

/// How long a transport may take for the last bytes after an abort: some accept nothing at once although their peer would.
const FAREWELL: Duration = Duration::from_millis(10);

/// What one read takes, unless [`Driver::read_len`] says otherwise.
const READ_LEN: u32 = 64 << 10;

/// What to do next. Each variant names what to call afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Hand out what was read: [`Driver::deliver`].
    Deliver,
    /// Read once into [`Driver::room`], then [`Driver::received`], [`Driver::read_blocked`] or [`Driver::read_failed`].
    Read,
    /// Write from [`Driver::output`], then [`Driver::written`], [`Driver::write_blocked`] or [`Driver::write_failed`].
    Write,
    /// Pass on what was written, if the transport holds anything back, then [`Driver::flushed`], [`Driver::write_blocked`]
    /// or [`Driver::write_failed`].
    Flush,
    /// End the outgoing half, so that the peer reads EOF, and leave the incoming half open; then [`Driver::shut_down`],
    /// [`Driver::write_blocked`], or [`Driver::write_failed`], also where the transport cannot do that.
    Shutdown,
    /// Nothing can be done now. Wait until the transport is ready, as [`Driver::wants_read`] and [`Driver::wants_write`]
    /// say, or until this time, which may be past already; `None`: no deadline.
    Wait(Option<Timestamp>),
    /// The peer has more to read: give other connections their turn, then continue.
    Yield,
    /// The connection is over: [`Driver::take_error`] says why, if it failed. Close the transport.
    Done,
}

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
    error: Option<M::Error>,
    trace: Trace,
    read_len: u32,
    /// Output that was thrown away.
    unwritten: u32,
    reads: u8,
    can_read: Readable,
    can_write: bool,
    /// The machine may find something in the input.
    is_fresh: bool,
    is_eof: bool,
    /// The machine knows of the end of the input.
    is_eof_told: bool,
    is_unflushed: bool,
    is_shut: bool,
    /// Writing failed: output is thrown away.
    is_mute: bool,
    /// The last word was appended, and where it ends is noted.
    is_closing: bool,
    is_over: bool,
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
            unwritten: 0,
            reads: 0,
            can_read: Readable::No,
            can_write: true,
            is_fresh: false,
            is_eof: false,
            is_eof_told: false,
            is_unflushed: false,
            is_shut: false,
            is_mute: false,
            is_closing: false,
            is_over: false,
        }
    }

    /// A driver of a machine for which `received` was read already, and which has written `out`: a client's request, for
    /// instance, is there before its machine.
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

    /// The driver of the next machine on the same transport: of the connection, after its handshake. What was read and not
    /// received, what is not written yet, and the state of the transport stay.
    pub fn replace<N: Machine>(self, next: N) -> Driver<N> {
        Driver {
            machine: next,
            is_fresh: self.flow.as_ref().is_some_and(|flow| !flow.inbox.is_empty()),
            flow: self.flow,
            error: None,
            trace: self.trace,
            read_len: self.read_len,
            unwritten: self.unwritten,
            reads: self.reads,
            can_read: self.can_read,
            can_write: self.can_write,
            is_eof: self.is_eof,
            is_eof_told: false,
            is_unflushed: self.is_unflushed,
            is_shut: self.is_shut,
            is_mute: self.is_mute,
            is_closing: false,
            is_over: false,
        }
    }

    /// What to do next. `now` is called only when nothing is left to do but to wait.
    #[inline]
    pub fn step(&mut self, now: impl FnOnce() -> Timestamp) -> Step {
        match self.ready_step(true) {
            Some(step) => step,
            None => self.timed_step(true, now()),
        }
    }

    /// What to do next to get the output written: nothing is read or delivered. For a call that sends and returns.
    pub fn step_output(&mut self, now: impl FnOnce() -> Timestamp) -> Step {
        match self.ready_step(false) {
            Some(step) => step,
            None => self.timed_step(false, now()),
        }
    }

    /// Hands out what was read: `handler` gets each event, the machine and the output, and answers by appending to that.
    /// Stops when it returns `Some`, when nothing complete is left, or when too many answers wait.
    ///
    /// The handler may panic: the event that it had counts as handed out.
    #[inline]
    pub fn deliver<T>(
        &mut self,
        mut handler: impl FnMut(M::Event<'_>, &mut M, &mut BytesMut) -> Option<T>,
    ) -> Option<T> {
        let Some(flow) = &mut self.flow else {
            self.is_fresh = false;
            return None;
        };
        if let Some(rest) = flow.rest.take() {
            flow.inbox.keep(rest);
        }
        let before = flow.out.len();
        // After the end there is nothing but input to discard.
        let high_water = if self.machine.transport() == Transport::KeepOpen { flow.high_water() } else { usize::MAX };
        let mut input = flow.inbox.input();
        let mut found = None;
        while flow.out.len() <= high_water {
            match self.machine.receive(&mut input, flow.out.tail()) {
                Ok(Some(event)) => {
                    flow.rest = Some(input.len());
                    found = handler(event, &mut self.machine, flow.out.tail());
                    if found.is_some() {
                        break;
                    }
                }
                Ok(None) => {
                    self.is_fresh = false;
                    break;
                }
                Err(error) => {
                    self.is_fresh = !input.is_empty();
                    self.error.get_or_insert(error);
                    break;
                }
            }
        }
        let rest = input.len();
        flow.rest = None;
        if flow.out.len() > before {
            flow.note_answers(before);
        }
        // Payloads were unmasked; headers are as they came.
        let input = flow.inbox.input();
        self.trace.received(&input[..input.len() - rest]);
        flow.inbox.keep(rest);
        found
    }

    /// Where the next bytes are read to; never empty.
    #[inline]
    pub fn room(&mut self) -> &mut [u8] {
        let missing = self.machine.missing();
        let Flow { inbox, room: room_len, .. } = &mut **self.flow.get_or_insert_with(|| new_flow(self.read_len));
        let room = inbox.room(missing);
        *room_len = room.len();
        room
    }

    /// `count` bytes were read into [`room`](Self::room); 0 at the end of the stream.
    ///
    /// # Panics
    ///
    /// There was not that much room.
    #[inline]
    pub fn received(&mut self, count: usize) {
        let flow = self.flow.get_or_insert_with(|| new_flow(self.read_len));
        flow.inbox.filled(count);
        if self.can_read == Readable::UntilShort && count < flow.room {
            self.can_read = Readable::No;
        }
        self.note_received(count);
    }

    /// The inbox, for a transport that owns the buffer that it reads into, and what [`Inbox::give`] and [`Inbox::room`] want
    /// as `missing`. [`note_received`](Self::note_received) is next.
    pub fn inbox(&mut self) -> (&mut Inbox, u64) {
        let missing = self.machine.missing();
        (&mut self.flow.get_or_insert_with(|| new_flow(self.read_len)).inbox, missing)
    }

    /// `count` bytes were read, and are in the [`inbox`](Self::inbox) already; 0 at the end of the stream.
    #[inline]
    pub fn note_received(&mut self, count: usize) {
        self.is_eof |= count == 0;
        self.is_fresh |= count > 0;
    }

    /// Nothing can be read now.
    #[inline]
    pub fn read_blocked(&mut self) {
        self.can_read = Readable::No;
    }

    /// Reading failed: no byte will come any more, and none will be taken. Whether that failure is why the connection ends:
    /// after its proper end, or another failure, it is not.
    pub fn read_failed(&mut self) -> bool {
        let was_open = self.machine.transport() == Transport::KeepOpen;
        self.is_eof = true;
        self.write_failed();
        if self.is_fresh {
            return was_open;
        }
        self.tell_eof().is_err() && was_open
    }

    /// What is to be written: the front of it by [`Buf::chunk`](bytes::Buf::chunk), or several parts at once by
    /// `chunks_vectored`. Take nothing out of it: [`written`](Self::written) does.
    #[inline]
    pub fn output(&mut self) -> &mut Outbox {
        &mut self.flow.get_or_insert_with(|| new_flow(self.read_len)).out
    }

    /// The transport accepted the first `count` bytes of [`output`](Self::output).
    ///
    /// # Panics
    ///
    /// There was not that much output.
    #[inline]
    pub fn written(&mut self, count: usize) {
        let flow = self.flow.get_or_insert_with(|| new_flow(self.read_len));
        self.trace.sent(&flow.out, count);
        self.is_unflushed |= count > 0;
        if let Some(progress) = flow.advance(count) {
            self.machine.progress(progress);
        }
    }

    /// Nothing can be written, flushed or shut down now.
    #[inline]
    pub fn write_blocked(&mut self) {
        self.can_write = false;
    }

    /// Nothing can be written any more. What the peer sent before can still be read.
    pub fn write_failed(&mut self) {
        self.is_mute = true;
        self.is_unflushed = false;
        self.is_shut = true;
        self.drop_output();
        // The peer will not learn that it may end its half: nothing is waited for.
        self.is_eof |= self.machine.transport() == Transport::ShutdownWrite;
    }

    /// All that was written is on its way.
    #[inline]
    pub fn flushed(&mut self) {
        self.is_unflushed = false;
        if let Some(flow) = &mut self.flow {
            flow.waits_since = None;
        }
    }

    /// The outgoing half is at its end.
    pub fn shut_down(&mut self) {
        self.is_shut = true;
    }

    /// The transport may be ready for anything: both directions are tried, until they block.
    #[inline]
    pub fn wake(&mut self) {
        self.can_read = Readable::UntilBlocked;
        self.can_write = true;
        self.reads = 0;
    }

    /// There may be something to read. With `is_closed` the peer has ended its half, which a read has to find behind the data;
    /// otherwise a read that leaves room is the last one until the transport is readable again. If the source of readiness
    /// does not tell, pass `true`: that costs a read that finds nothing.
    #[inline]
    pub fn readable(&mut self, is_closed: bool) {
        self.can_read = if is_closed { Readable::UntilBlocked } else { Readable::UntilShort };
        self.reads = 0;
    }

    /// The transport may accept something again.
    #[inline]
    pub fn writable(&mut self) {
        self.can_write = true;
    }

    /// Whether a read is wanted as soon as the transport is readable.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        let may_read = matches!(self.machine.transport(), Transport::KeepOpen | Transport::ShutdownWrite);
        may_read && !self.is_eof && !self.is_paused()
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
        (&mut self.machine, &mut self.flow.get_or_insert_with(|| new_flow(self.read_len)).out)
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

    /// Why the machine failed; once. To be asked for when the step is [`Done`](Step::Done): until then the peer is being
    /// told.
    pub fn take_error(&mut self) -> Option<M::Error> {
        self.error.take()
    }

    /// The machine, and what was read and not received.
    pub fn into_parts(mut self) -> (M, Vec<u8>) {
        let received = self.flow.as_mut().map(|flow| flow.inbox.input().to_vec());
        (self.machine, received.unwrap_or_default())
    }

    /// Reports this connection by `tracing` under this id from here on.
    #[cfg(feature = "tracing")]
    pub fn trace(&mut self, id: u64) {
        if let Some(connection) = self.machine.connection() {
            self.trace = Trace::new(id, connection);
        }
    }

    /// Takes the buffers of `shared`, if the driver has none of its own. Call it before a turn, and
    /// [`detach`](Self::detach) after it.
    #[inline]
    pub fn attach(&mut self, shared: &mut Buffers) {
        if let Some(own) = &mut self.flow {
            if let Some(lent) = &mut shared.flow {
                own.inbox.borrow_buffer(lent.inbox.buffer());
            }
        } else if let Some(lent) = shared.flow.take().or_else(|| shared.spare.take()) {
            self.flow.insert(lent).inbox.set_read_len(self.read_len);
        }
    }

    /// Gives the buffers to the next connection, but for those with something in them.
    #[inline]
    pub fn detach(&mut self, shared: &mut Buffers) {
        let Some(flow) = &mut self.flow else { return };
        if flow.is_idle() {
            shared.put_back(self.flow.take().map(Flow::recycle));
        } else {
            let spare = &mut shared.spare;
            let next = shared.flow.get_or_insert_with(|| spare.take().unwrap_or_default());
            flow.inbox.return_buffer(next.inbox.buffer());
        }
    }

    /// What can be done without waiting and without the time.
    #[inline]
    fn ready_step(&mut self, reads: bool) -> Option<Step> {
        if reads && self.is_fresh && !self.is_paused() {
            return Some(Step::Deliver);
        }
        self.note_closing();
        if reads && self.is_eof && !self.is_eof_told && !self.is_fresh {
            let _ = self.tell_eof();
        }
        if self.is_mute {
            self.drop_output();
        }
        let transport = self.machine.transport();
        if self.can_write {
            if self.queued() > 0 {
                return Some(Step::Write);
            }
            if self.is_unflushed {
                return Some(Step::Flush);
            }
            if transport != Transport::KeepOpen && !self.is_shut {
                return Some(Step::Shutdown);
            }
        }
        if matches!(transport, Transport::Close | Transport::Abort) {
            if self.wants_write() {
                return None;
            }
            self.finish();
            return Some(Step::Done);
        }
        if reads && self.can_read != Readable::No && self.reads < MAX_READS && self.wants_read() {
            self.reads += 1;
            return Some(Step::Read);
        }
        None
    }

    /// The time has come: what is due, and if that is nothing, to wait.
    fn timed_step(&mut self, reads: bool, now: Timestamp) -> Step {
        while self.advance(now) {
            if let Some(step) = self.ready_step(reads) {
                return step;
            }
        }
        if reads && self.reads == MAX_READS && self.can_read != Readable::No && self.wants_read() {
            self.reads = 0;
            return Step::Yield;
        }
        Step::Wait(self.deadline())
    }

    /// Tells the machine the time. Whether anything came of it.
    fn advance(&mut self, now: Timestamp) -> bool {
        self.note_closing();
        if self.machine.transport() == Transport::Abort {
            return self.bid_farewell(now);
        }
        if self.output_waits() {
            let stall_timeout = self.machine.stall_timeout();
            let flow = self.flow.get_or_insert_with(|| new_flow(self.read_len));
            let since = *flow.waits_since.get_or_insert(now);
            if stall_timeout.is_some_and(|timeout| since + timeout <= now) {
                self.note_error(|machine| machine.stalled());
                return true;
            }
        }
        if self.holds_time() {
            return false;
        }
        let before = (self.queued(), self.machine.transport());
        while self.machine.poll_timeout().is_some_and(|deadline| deadline <= now) {
            let flow = self.flow.get_or_insert_with(|| new_flow(self.read_len));
            if let Err(error) = self.machine.handle_timeout(now, flow.out.tail()) {
                self.error.get_or_insert(error);
            }
            if before != (flow.out.len(), self.machine.transport()) {
                if flow.out.len() > before.0 {
                    flow.note_ping(before.0);
                }
                return true;
            }
        }
        false
    }

    /// When there is something to do again, if the transport does not become ready before.
    fn deadline(&self) -> Option<Timestamp> {
        let flow = self.flow.as_ref();
        if self.machine.transport() == Transport::Abort {
            return flow.and_then(|flow| flow.farewell);
        }
        let since = flow.filter(|_| self.output_waits()).and_then(|flow| flow.waits_since);
        let stalled = since.and_then(|since| Some(since + self.machine.stall_timeout()?));
        let due = if self.holds_time() { None } else { self.machine.poll_timeout() };
        [stalled, due].into_iter().flatten().min()
    }

    /// Our last word waits to be written: until it is, only the stall timeout runs, if there is one.
    fn holds_time(&self) -> bool {
        self.flow.as_ref().is_some_and(|flow| flow.holds_last_word()) && self.machine.stall_timeout().is_some()
    }

    /// After an abort the last bytes get a moment. Whether it is over.
    fn bid_farewell(&mut self, now: Timestamp) -> bool {
        if !self.wants_write() {
            return false;
        }
        let flow = self.flow.get_or_insert_with(|| new_flow(self.read_len));
        if *flow.farewell.get_or_insert(now + FAREWELL) > now {
            return false;
        }
        self.write_failed();
        true
    }

    fn note_closing(&mut self) {
        if !self.is_closing && self.machine.is_closing() {
            self.is_closing = true;
            if let Some(flow) = &mut self.flow {
                flow.note_last_word();
            }
        }
    }

    fn tell_eof(&mut self) -> Result<(), ()> {
        if self.is_eof_told {
            return Ok(());
        }
        self.is_eof_told = true;
        let is_ok = self.note_error(|machine| machine.receive_eof());
        self.note_closing();
        if is_ok { Ok(()) } else { Err(()) }
    }

    /// The first error counts. Whether there was none.
    fn note_error(&mut self, call: impl FnOnce(&mut M) -> Result<(), M::Error>) -> bool {
        match call(&mut self.machine) {
            Ok(()) => true,
            Err(error) => {
                self.error.get_or_insert(error);
                false
            }
        }
    }

    fn drop_output(&mut self) {
        if let Some(flow) = &mut self.flow {
            let len = flow.drop_output();
            self.unwritten = self.unwritten.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
        }
    }

    /// The transport can be closed.
    fn finish(&mut self) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        if self.unwritten > 0 {
            let bytes = self.unwritten.into();
            self.note_error(|machine| machine.abandon(bytes));
        }
        if let Some(connection) = self.machine.connection() {
            self.trace.ended(connection);
        }
    }

    #[inline]
    fn is_paused(&self) -> bool {
        let is_paused = self.flow.as_ref().is_some_and(|flow| flow.is_paused());
        is_paused && self.machine.transport() == Transport::KeepOpen
    }

}

fn new_flow(read_len: u32) -> Box<Flow> {
    let mut flow = Box::<Flow>::default();
    flow.inbox.set_read_len(read_len);
    flow
}

impl<M: Machine + fmt::Debug> fmt::Debug for Driver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("machine", &self.machine).field("queued", &self.queued()).finish_non_exhaustive()
    }
}

/// What drivers read into and write from, for all connections of a thread or of a loop: [`Driver::attach`] lends it to the
/// driver whose turn it is, and [`Driver::detach`] takes it back. Only a connection with unfinished input, or with output
/// that its peer is slow to take, keeps buffers of its own.
#[derive(Debug, Default)]
pub struct Buffers {
    flow: Option<Box<Flow>>,
    /// For when a driver keeps the first one. Its read buffer is the shorter one.
    spare: Option<Box<Flow>>,
}

impl Buffers {
    /// No memory yet. The first driver allocates it.
    #[must_use]
    pub const fn new() -> Self {
        Self { flow: None, spare: None }
    }

    fn put_back(&mut self, flow: Option<Box<Flow>>) {
        let len = |flow: &Option<Box<Flow>>| flow.as_ref().map_or(0, |flow| flow.inbox.capacity());
        let shorter = if len(&flow) >= len(&self.flow) { mem::replace(&mut self.flow, flow) } else { flow };
        if shorter.is_some() {
            self.spare = shorter;
        }
    }
}

//! [`Step`]: which call of the transport is next, and what the time brings.

use alloc::boxed::Box;
use core::time::Duration;

use super::{Driver, HIGH_WATER, Machine, Readable};
use crate::{connection::Transport, time::Timestamp};

/// Reads in one turn, before others have theirs.
const MAX_READS: u8 = 8;

/// How long a transport may take for the last bytes after an abort: some accept nothing at once although their peer
/// would.
const FAREWELL: Duration = Duration::from_millis(10);

/// What to do next. Each variant names what to call afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Hand out what was read: [`Driver::deliver`].
    Deliver,
    /// Read once into [`Driver::room`], then [`Driver::received`], [`Driver::read_blocked`] or [`Driver::read_failed`].
    Read,
    /// Write from [`Driver::output`], then [`Driver::written`], [`Driver::write_blocked`] or [`Driver::write_failed`].
    Write,
    /// Pass on what was written, unless the transport is [`unbuffered`](Driver::unbuffered); then [`Driver::flushed`],
    /// [`Driver::write_blocked`] or [`Driver::write_failed`].
    Flush,
    /// End the outgoing half, so that the peer reads EOF, and leave the incoming half open; then [`Driver::shut_down`],
    /// [`Driver::write_blocked`], or [`Driver::write_failed`], also where the transport cannot do that.
    Shutdown,
    /// Nothing can be done now. Wait until the transport is ready, as [`Driver::wants_read`] and
    /// [`Driver::wants_write`] say, or until this time, which may be past already; `None`: no deadline.
    Wait(Option<Timestamp>),
    /// The peer has more to read: give other connections their turn, then continue.
    Yield,
    /// The connection is over: [`Driver::take_error`] says why, if it failed. Close the transport.
    Done,
}

impl<M: Machine> Driver<M> {
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

    /// What can be done without waiting and without the time.
    #[inline]
    fn ready_step(&mut self, reads: bool) -> Option<Step> {
        let queued = self.queued();
        if self.is_eof || self.is_held || self.is_mute || queued > HIGH_WATER || self.machine.is_closing() {
            return self.odd_step(reads);
        }
        if self.is_fresh && reads {
            return Some(Step::Deliver);
        }
        if self.can_write && (queued > 0 || self.is_unflushed) {
            return Some(if queued > 0 { Step::Write } else { Step::Flush });
        }
        if self.can_read != Readable::No && self.reads < MAX_READS && reads {
            self.reads += 1;
            return Some(Step::Read);
        }
        None
    }

    /// The same, also when much is queued, when one side has said its last word, or when the transport has failed.
    #[inline(never)]
    fn odd_step(&mut self, reads: bool) -> Option<Step> {
        if reads && self.is_fresh && !self.is_paused() {
            return Some(Step::Deliver);
        }
        self.note_closing();
        if self.is_mute {
            self.drop_output();
            self.skip_end_of_peer();
        }
        if reads && self.is_eof && !self.is_eof_told && !self.is_fresh {
            let _ = self.tell_eof();
        }
        let transport = self.machine.transport();
        if self.can_write {
            if self.output_waits() {
                return Some(if self.queued() > 0 { Step::Write } else { Step::Flush });
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
    #[inline]
    fn timed_step(&mut self, reads: bool, now: Timestamp) -> Step {
        let is_quiet = !self.output_waits() && !self.machine.is_closing();
        if is_quiet && (!reads || self.can_read == Readable::No) {
            // The usual case: nothing waits but the next message.
            while let Some(deadline) = self.machine.poll_timeout() {
                if deadline > now {
                    return Step::Wait(Some(deadline));
                }
                if self.handle_timeout(now) {
                    return self.busy_step(reads, now);
                }
            }
            return Step::Wait(None);
        }
        self.busy_step(reads, now)
    }

    fn busy_step(&mut self, reads: bool, now: Timestamp) -> Step {
        if let Some(step) = self.ready_step(reads) {
            return step;
        }
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
            let flow = Self::flow(&mut self.flow, self.read_len);
            let since = *flow.waits_since.get_or_insert(now);
            if stall_timeout.is_some_and(|timeout| since + timeout <= now) {
                // A machine that does not end gets as much time again.
                flow.waits_since = Some(now);
                self.note_error(M::stalled);
                return true;
            }
        }
        if self.holds_time() {
            return false;
        }
        while self.machine.poll_timeout().is_some_and(|deadline| deadline <= now) {
            if self.handle_timeout(now) {
                return true;
            }
        }
        false
    }

    /// Tells the machine the time once. Whether anything came of it.
    fn handle_timeout(&mut self, now: Timestamp) -> bool {
        let transport = self.machine.transport();
        let flow = Self::flow(&mut self.flow, self.read_len);
        let before = flow.out.len();
        if let Err(error) = self.machine.handle_timeout(now, flow.out.tail()) {
            self.error.get_or_insert_with(|| Box::new(error));
        }
        if flow.out.len() > before {
            flow.note_ping(before);
        }
        flow.out.len() > before || self.machine.transport() != transport
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
        let flow = Self::flow(&mut self.flow, self.read_len);
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

    pub(super) fn tell_eof(&mut self) -> Result<(), ()> {
        if self.is_eof_told {
            return Ok(());
        }
        self.is_eof_told = true;
        let is_ok = self.note_error(M::receive_eof);
        self.note_closing();
        if is_ok { Ok(()) } else { Err(()) }
    }

    /// The first error counts. Whether there was none.
    fn note_error(&mut self, call: impl FnOnce(&mut M) -> Result<(), M::Error>) -> bool {
        match call(&mut self.machine) {
            Ok(()) => true,
            Err(error) => {
                self.error.get_or_insert_with(|| Box::new(error));
                false
            }
        }
    }

    pub(super) fn drop_output(&mut self) {
        if let Some(flow) = &mut self.flow {
            flow.drop_output();
        }
    }

    /// The transport can be closed.
    fn finish(&mut self) {
        let lost = self.flow.as_mut().map_or(0, |flow| core::mem::take(&mut flow.lost));
        if lost > 0 {
            self.note_error(|machine| machine.abandon(lost));
        }
        if let Some(connection) = self.machine.connection() {
            self.trace.ended(connection);
        }
    }

    #[inline]
    pub(super) fn is_paused(&self) -> bool {
        let is_paused = self.flow.as_ref().is_some_and(|flow| flow.is_paused());
        is_paused && self.machine.transport() == Transport::KeepOpen
    }
}

//! [`Flow`]: the buffers of a driver and the positions in them. It exists while there is something in it.

use alloc::{boxed::Box, collections::VecDeque};

use bytes::Buf;

use super::Progress;
use crate::{inbox::Inbox, outbox::Outbox, time::Timestamp};

/// Unwritten answers may exceed the queued sends by this many bytes; beyond it, reading pauses. An adapter lets the
/// application wait while it has queued more than this.
pub const HIGH_WATER: usize = 128 << 10;

/// Answers and sends alternate in the output at most this often before the shortest neighbours are counted as one.
const MAX_RUNS: usize = 64;

/// The longest read buffer that goes from one connection to the next.
const RETAINED: usize = 1 << 20;

/// Input that was not received and output that was not written.
#[derive(Debug, Default)]
pub(super) struct Flow {
    pub(super) inbox: Inbox,
    pub(super) out: Outbox,
    /// The length of the input behind the event that a handler has in its hands; it is wrong only if that panicked.
    pub(super) rest: Option<usize>,
    /// How long the room of the last read was.
    pub(super) room: usize,
    /// Output has waited since then; not dated yet when it is `None`.
    pub(super) waits_since: Option<Timestamp>,
    /// After an abort: when the last bytes are given up.
    pub(super) farewell: Option<Timestamp>,
    /// Bytes of output that were thrown away, and not yet reported.
    pub(super) lost: u64,
    answers: Answers,
    /// Positions count from when the output was empty. This is that of its first byte.
    front: u64,
    /// Where the keepalive Ping begins and ends; 0 when none waits.
    ping: (u64, u64),
    /// Where the last data ends, and our Close; 0 when it does not wait.
    last_word: u64,
}

impl Flow {
    pub(super) fn new(inbox: Inbox, out: Outbox) -> Self {
        Self { inbox, out, ..Self::default() }
    }

    /// Nothing is in it but memory that serves the next connection as well. A moment that was noted belongs to this
    /// one.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        let is_timed = self.waits_since.is_some() || self.farewell.is_some();
        self.inbox.is_empty() && self.out.is_empty() && self.rest.is_none() && self.lost == 0 && !is_timed
    }

    /// After a handler that panicked: what it had in its hands was received.
    #[inline]
    pub(super) fn settle(&mut self) {
        if let Some(rest) = self.rest.take() {
            self.inbox.keep(rest);
        }
    }

    /// Memory for the next connection, and no more of it than that needs.
    pub(super) fn recycle(mut self: Box<Self>) -> Box<Self> {
        if self.inbox.capacity() > RETAINED {
            self.inbox = Inbox::new();
        }
        self.inbox.forget();
        self.restart();
        self
    }

    /// How long the output may get by answers, before reading pauses. What the application has queued delays the
    /// answers behind it, so it must not stop reading: they may exceed it by [`HIGH_WATER`].
    #[inline]
    pub(super) fn high_water(&self) -> usize {
        let sends = self.out.len() - self.answers.unwritten as usize;
        HIGH_WATER.saturating_add(sends.saturating_mul(2))
    }

    /// Whether no more answers fit.
    #[inline]
    pub(super) fn is_paused(&self) -> bool {
        self.out.len() > HIGH_WATER && self.out.len() > self.high_water()
    }

    /// The output was `before` bytes long; what was appended since are answers.
    #[inline]
    pub(super) fn note_answers(&mut self, before: usize) {
        let len = (self.out.len() - before) as u64;
        if len > 0 {
            self.answers.append(self.front + before as u64, len);
        }
    }

    /// The output was `before` bytes long; what was appended since is a keepalive Ping.
    pub(super) fn note_ping(&mut self, before: usize) {
        self.ping = (self.front + before as u64, self.front + self.out.len() as u64);
    }

    /// No data follows what is in the output.
    pub(super) fn note_last_word(&mut self) {
        self.last_word = if self.out.is_empty() { 0 } else { self.front + self.out.len() as u64 };
    }

    /// Whether our last word waits to be written, or data in front of it.
    pub(super) fn holds_last_word(&self) -> bool {
        self.last_word != 0
    }

    /// Removes what the transport accepted. What that says about the peer.
    #[inline]
    pub(super) fn advance(&mut self, count: usize) -> Option<Progress> {
        self.out.advance(count);
        self.waits_since = None;
        if self.out.is_empty() {
            let was_ping = self.ping.1 != 0;
            self.restart();
            return was_ping.then_some(Progress::Ping);
        }
        self.advance_within(count)
    }

    /// More of the output waits.
    fn advance_within(&mut self, count: usize) -> Option<Progress> {
        self.front += count as u64;
        self.answers.advance(self.front);
        if self.last_word <= self.front {
            self.last_word = 0;
        }
        let (ping_start, ping_end) = self.ping;
        if ping_end != 0 && ping_end <= self.front {
            self.ping = (0, 0);
            return Some(Progress::Ping);
        }
        // The rest of a Ping is not application output.
        let ping_len = ping_end - ping_start.max(self.front).min(ping_end);
        (self.out.len() as u64 > ping_len && count > 0).then_some(Progress::Backlog)
    }

    /// Throws the output away.
    pub(super) fn drop_output(&mut self) {
        self.lost += self.out.len() as u64;
        self.out = Outbox::new();
        self.restart();
    }

    #[inline]
    fn restart(&mut self) {
        self.answers.clear();
        (self.front, self.ping, self.last_word, self.waits_since) = (0, (0, 0), 0, None);
    }
}

/// Which bytes of the output are answers, caused by receiving, and not queued by the application.
#[derive(Debug, Default)]
struct Answers {
    unwritten: u64,
    /// Where the last run of answers ends, and how much of it is unwritten.
    last: (u64, u64),
    /// The runs before it, in order; none is empty.
    runs: VecDeque<(u64, u64)>,
}

impl Answers {
    /// `len` bytes from position `start` on, which is the end of the output.
    #[inline]
    fn append(&mut self, start: u64, len: u64) {
        self.unwritten += len;
        let (end, unwritten) = self.last;
        if unwritten > 0 && end != start {
            if self.runs.len() == MAX_RUNS {
                self.merge();
            }
            self.runs.push_back(self.last);
            self.last = (start + len, len);
        } else {
            self.last = (start + len, unwritten + len);
        }
    }

    /// Makes one run of two neighbours. Their answers count as its end: written last, so never as fewer than there are.
    /// The shortest two are taken, so that only a small part of all answers is ever counted too late.
    fn merge(&mut self) {
        let len = |i: &usize| self.runs[*i].1 + self.runs[*i + 1].1;
        let shortest = (0..self.runs.len() - 1).min_by_key(len).expect("it is full");
        if let Some((_, unwritten)) = self.runs.remove(shortest) {
            self.runs[shortest].1 += unwritten;
        }
    }

    /// Everything before position `front` was written.
    fn advance(&mut self, front: u64) {
        while let Some(run) = self.runs.front_mut() {
            self.unwritten -= advance_run(run, front);
            if run.1 > 0 {
                return;
            }
            self.runs.pop_front();
        }
        self.unwritten -= advance_run(&mut self.last, front);
    }

    #[inline]
    fn clear(&mut self) {
        (self.unwritten, self.last) = (0, (0, 0));
        if !self.runs.is_empty() {
            self.runs.clear();
        }
    }
}

/// Everything before position `front` was written: how much of that this run had.
fn advance_run((end, unwritten): &mut (u64, u64), front: u64) -> u64 {
    let left = end.saturating_sub(front).min(*unwritten);
    core::mem::replace(unwritten, left) - left
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// Answers and sends in turn, written in pieces of many lengths: counted as a naive list of bytes counts them.
    #[test]
    fn answers_are_counted_by_their_position() {
        for piece in [1, 2, 3, 7, 50, 1000] {
            let (mut flow, mut naive) = (Flow::default(), VecDeque::new());
            for round in 0..200_usize {
                let (is_answer, len) = (round % 3 != 0, round * 7 % 23);
                let before = flow.out.len();
                flow.out.tail().extend_from_slice(&vec![0; len]);
                naive.extend(vec![is_answer; len]);
                if is_answer {
                    flow.note_answers(before);
                }
                let count = piece.min(flow.out.len());
                flow.advance(count);
                naive.drain(..count);
                let expected = naive.iter().filter(|is_answer| **is_answer).count() as u64;
                if flow.answers.runs.len() < MAX_RUNS {
                    assert_eq!(flow.answers.unwritten, expected, "round {round}, pieces of {piece}");
                }
                assert!(flow.answers.unwritten >= expected, "never fewer than there are");
                assert!(flow.answers.unwritten <= expected + expected / 16 + 100, "and not many more");
                assert!(flow.answers.runs.len() <= MAX_RUNS, "their number is bounded");
            }
            flow.advance(flow.out.len());
            assert_eq!(flow.answers.unwritten, 0);
        }
    }

    #[test]
    fn a_ping_is_no_progress_and_what_precedes_it_is() {
        let mut flow = Flow::default();
        flow.out.tail().extend_from_slice(b"message");
        flow.out.tail().extend_from_slice(b"ping");
        flow.note_ping(7);
        assert_eq!(flow.advance(3), Some(Progress::Backlog));
        assert_eq!(flow.advance(4), None, "nothing but the Ping waits");
        assert_eq!(flow.advance(3), None, "a part of the Ping");
        flow.out.tail().extend_from_slice(b"next");
        assert_eq!(flow.advance(1), Some(Progress::Ping));
        assert_eq!(flow.advance(1), Some(Progress::Backlog));
        assert_eq!(flow.advance(3), None, "nothing waits any more");
    }

    #[test]
    fn a_close_waits_until_its_last_byte_is_written_and_not_for_what_follows() {
        let mut flow = Flow::default();
        flow.out.tail().extend_from_slice(b"close");
        flow.note_last_word();
        flow.out.tail().extend_from_slice(b"pong");
        flow.advance(4);
        assert!(flow.holds_last_word());
        flow.advance(1);
        assert!(!flow.holds_last_word());
    }
}

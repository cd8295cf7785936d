//! A network in memory on a virtual clock, and the loop around a [`Driver`] that its rustdoc describes.
//!
//! A [`Net`] has a [`Pipe`] for each direction: it delays, splits, coalesces, limits the rate, stalls, refuses bytes,
//! half-closes and resets. An [`End`] is a driver with its socket: it does what each step names, and checks at each
//! wait that there was nothing left to do. Nothing here sleeps, and everything is bounded by a number of steps.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(clippy::missing_panics_doc, clippy::must_use_candidate, reason = "helpers of tests")]

use std::{collections::VecDeque, time::Duration};

use bytes::{Buf, BytesMut};
use sansock::{Buffers, Config, Connection, Driver, Error, Step, Timestamp, Transport, driver::Machine};

use super::support::{App, Role, Seen, listen};

/// More than any turn that makes progress needs.
const MAX_STEPS: usize = 200_000;
/// More than any run of a dialogue needs.
const MAX_TURNS: usize = 1_000_000;

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The moment that long after the start.
pub fn at(since_start: Duration) -> Timestamp {
    Timestamp::from_duration(since_start)
}

/// What a call of a socket does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Count(usize),
    Blocked,
    Failed,
}

/// One direction of a connection.
#[derive(Debug)]
pub struct Pipe {
    /// How much it holds: accepted and not yet read. 0: it accepts nothing.
    pub capacity: usize,
    pub delay: Duration,
    /// Bytes a second.
    pub rate: Option<u64>,
    /// How much arrives at once.
    pub segment: usize,
    /// Bytes leave at no time between these two.
    pub stall: Option<(Timestamp, Timestamp)>,
    /// After it was full, it is writable when so much is free, and one byte at least: epoll's is a third.
    pub low_water: usize,
    /// Of every call that it could serve, one in so many is told to try later; 0: none.
    pub hiccup: usize,
    calls: usize,
    /// Accepted, not yet read; the front part has arrived.
    bytes: VecDeque<u8>,
    arrived: usize,
    /// When how much of the rest arrives.
    flying: VecDeque<(Timestamp, usize)>,
    /// When the last byte that was accepted leaves, and arrives.
    leaves: Timestamp,
    arrives: Timestamp,
    fin: Option<Timestamp>,
    is_ended: bool,
    reset: Option<Timestamp>,
    is_reset: bool,
    /// The writer was refused, and was not told yet that there is room.
    is_refused: bool,
    /// Something came for the reader, and the end was behind it.
    is_news: bool,
    is_end_news: bool,
    /// The reader closed its socket.
    is_deserted: bool,
    /// All that was ever accepted, and read.
    pub accepted: usize,
    pub read: usize,
}

impl Pipe {
    /// One that takes no time.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            delay: Duration::ZERO,
            rate: None,
            segment: usize::MAX,
            stall: None,
            low_water: 1,
            hiccup: 0,
            calls: 0,
            bytes: VecDeque::new(),
            arrived: 0,
            flying: VecDeque::new(),
            leaves: Timestamp::ZERO,
            arrives: Timestamp::ZERO,
            fin: None,
            is_ended: false,
            reset: None,
            is_reset: false,
            is_refused: false,
            is_news: false,
            is_end_news: false,
            is_deserted: false,
            accepted: 0,
            read: 0,
        }
    }

    #[must_use]
    pub fn rate(mut self, bytes_a_second: u64) -> Self {
        self.rate = Some(bytes_a_second);
        self.segment = self.segment.min(1460);
        self
    }

    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// What the writer hands over.
    pub fn write(&mut self, bytes: &[u8], now: Timestamp) -> Outcome {
        if self.is_reset || self.fin.is_some() {
            return Outcome::Failed;
        }
        let count = bytes.len().min(self.capacity.saturating_sub(self.bytes.len()));
        if count == 0 || self.hiccups() {
            self.is_refused = true;
            return Outcome::Blocked;
        }
        self.is_refused = count < bytes.len();
        self.bytes.extend(&bytes[..count]);
        self.accepted += count;
        let mut left = count;
        while left > 0 {
            let len = left.min(self.segment);
            let time = self.rate.map_or(Duration::ZERO, |rate| Duration::from_nanos(len as u64 * 1_000_000_000 / rate));
            let arrival = self.pass(now, time);
            self.flying.push_back((arrival, len));
            left -= len;
        }
        Outcome::Count(count)
    }

    /// The writer ends its half.
    pub fn shut(&mut self, now: Timestamp) -> Outcome {
        if self.is_reset {
            return Outcome::Failed;
        }
        if self.fin.is_none() {
            self.fin = Some(self.pass(now, Duration::ZERO));
        }
        Outcome::Count(0)
    }

    /// 0 bytes at the end.
    pub fn read(&mut self, room: &mut [u8]) -> Outcome {
        if self.is_reset {
            return Outcome::Failed;
        }
        let count = room.len().min(self.arrived);
        if count == 0 {
            return if self.is_ended { Outcome::Count(0) } else { Outcome::Blocked };
        }
        if self.hiccups() {
            self.is_news = true;
            return Outcome::Blocked;
        }
        let (front, back) = self.bytes.as_slices();
        let from_front = count.min(front.len());
        room[..from_front].copy_from_slice(&front[..from_front]);
        room[from_front..count].copy_from_slice(&back[..count - from_front]);
        self.bytes.drain(..count);
        self.arrived -= count;
        self.read += count;
        Outcome::Count(count)
    }

    /// Ends in the hands of both sides: bytes that were not read are lost.
    pub fn break_at(&mut self, at: Timestamp) {
        self.reset = Some(self.reset.map_or(at, |earlier| earlier.min(at)));
    }

    /// Whether a read finds something.
    pub fn is_readable(&self) -> bool {
        self.arrived > 0 || self.is_ended || self.is_reset
    }

    /// Whether a write gets rid of something.
    pub fn is_writable(&self) -> bool {
        let free = self.capacity.saturating_sub(self.bytes.len());
        self.is_reset || free > 0 && (!self.is_refused || free >= self.low_water.min(self.capacity))
    }

    pub fn is_end_sent(&self) -> bool {
        self.fin.is_some()
    }

    pub fn is_broken(&self) -> bool {
        self.is_reset
    }

    /// Accepted and not read.
    pub fn held(&self) -> usize {
        self.bytes.len()
    }

    fn hiccups(&mut self) -> bool {
        self.calls += 1;
        self.hiccup > 0 && self.calls.is_multiple_of(self.hiccup)
    }

    fn pass(&mut self, now: Timestamp, time: Duration) -> Timestamp {
        let start = self.leaves.max(now);
        self.leaves = start + time;
        if let Some((from, until)) = self.stall
            && self.leaves >= from
            && start < until
        {
            self.leaves = until + (self.leaves - from.max(start));
        }
        self.arrives = self.arrives.max(self.leaves + self.delay);
        self.arrives
    }

    fn advance(&mut self, now: Timestamp) {
        if self.reset.is_some_and(|at| at <= now) && !self.is_reset {
            self.is_reset = true;
            self.bytes.clear();
            self.flying.clear();
            self.arrived = 0;
            (self.is_news, self.is_end_news) = (true, true);
        }
        while let Some(&(_, len)) = self.flying.front().filter(|(arrival, _)| *arrival <= now) {
            self.flying.pop_front();
            self.arrived += len;
            self.is_news = true;
        }
        if self.fin.is_some_and(|at| at <= now) && !self.is_ended && !self.is_reset {
            self.is_ended = true;
            (self.is_news, self.is_end_news) = (true, true);
        }
    }

    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let flying = self.flying.front().map(|(arrival, _)| *arrival);
        let reset = self.reset.filter(|_| !self.is_reset);
        let fin = self.fin.filter(|_| !self.is_ended && !self.is_reset);
        [flying, reset, fin].into_iter().flatten().min().map(|at| at.max(now))
    }
}

/// Two pipes, and the time.
#[derive(Debug)]
pub struct Net {
    pub now: Timestamp,
    /// What the client writes, and what the server writes.
    pub pipes: [Pipe; 2],
    /// What all ends borrow that borrow at all; otherwise each has buffers of its own.
    pub buffers: Option<Buffers>,
}

impl Net {
    fn swap_buffers(&mut self, own: &mut Option<Buffers>) {
        if let (Some(own), Some(shared)) = (own, &mut self.buffers) {
            std::mem::swap(own, shared);
        }
    }

    pub fn new(from_client: Pipe, from_server: Pipe) -> Self {
        Self { now: Timestamp::ZERO, pipes: [from_client, from_server], buffers: None }
    }

    pub fn outgoing(&mut self, role: Role) -> &mut Pipe {
        &mut self.pipes[usize::from(role == Role::Server)]
    }

    pub fn incoming(&mut self, role: Role) -> &mut Pipe {
        &mut self.pipes[usize::from(role == Role::Client)]
    }

    /// What arrived until now has arrived. A socket that was closed answers with a reset.
    pub fn settle(&mut self) {
        let now = self.now;
        for pipe in &mut self.pipes {
            pipe.advance(now);
        }
        for reader in [Role::Client, Role::Server] {
            let incoming = self.incoming(reader);
            if incoming.is_deserted && incoming.arrived > 0 && !incoming.is_reset {
                incoming.break_at(now);
                incoming.advance(now);
                let outgoing = self.outgoing(reader);
                let at = now + outgoing.delay;
                outgoing.break_at(at);
                outgoing.advance(now);
            }
        }
    }

    /// When something happens by itself.
    pub fn next(&self) -> Option<Timestamp> {
        self.pipes.iter().filter_map(|pipe| pipe.next(self.now)).min()
    }

    /// The socket of this end is closed.
    pub fn close(&mut self, role: Role) {
        let now = self.now;
        self.outgoing(role).shut(now);
        self.incoming(role).is_deserted = true;
        self.settle();
    }

    /// Both directions break at once.
    pub fn reset(&mut self) {
        for pipe in &mut self.pipes {
            pipe.break_at(self.now);
        }
        self.settle();
    }
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Events: reads and writes.
    Events,
    /// Its output to be written: nothing is read.
    Output,
    /// No more output than this: nothing is read.
    Room(usize),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn<T> {
    Found(T),
    Reached,
    Wait(Option<Timestamp>),
    Yield,
    Done,
}

/// What an end did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub reads: usize,
    /// Of these: found nothing.
    pub vain_reads: usize,
    pub writes: usize,
    pub vain_writes: usize,
    pub delivers: usize,
    pub flushes: usize,
    pub waits: usize,
    /// Of these: too many answers waited to read more.
    pub pauses: usize,
    pub yields: usize,
    pub queued_peak: usize,
    pub inbox_peak: usize,
}

/// What waits in the output of a driver, counted naively: which bytes are answers, and which were sent.
#[derive(Debug, Default)]
pub struct Shadow {
    /// Answers or not, and how many bytes, in order.
    runs: VecDeque<(bool, usize)>,
    pub answers: usize,
    pub sends: usize,
    /// The most sends that waited at once since nothing waited.
    pub sends_peak: usize,
    /// Answers and sends alternated more often than the driver counts exactly.
    is_coarse: bool,
}

impl Shadow {
    /// `queued` bytes wait; those that are new are answers or were sent.
    fn note(&mut self, queued: usize, is_answer: bool) {
        if queued < self.answers + self.sends {
            // What could not be written was thrown away.
            *self = Self::default();
        }
        let new = queued - self.answers - self.sends;
        if new > 0 {
            self.runs.push_back((is_answer, new));
            self.is_coarse |= self.runs.len() > 64;
        }
        *if is_answer { &mut self.answers } else { &mut self.sends } += new;
        self.sends_peak = self.sends_peak.max(self.sends);
    }

    fn written(&mut self, mut count: usize) {
        while let Some((is_answer, len)) = self.runs.front_mut() {
            let taken = count.min(*len);
            *if *is_answer { &mut self.answers } else { &mut self.sends } -= taken;
            *len -= taken;
            count -= taken;
            if *len > 0 {
                return;
            }
            self.runs.pop_front();
        }
        *self = Self::default();
    }
}

/// A driver and its socket.
pub struct End<M: Machine> {
    pub role: Role,
    pub driver: Driver<M>,
    pub error: Option<M::Error>,
    pub is_done: bool,
    /// Readiness comes as edges; otherwise a turn begins with `wake`.
    pub edges: bool,
    /// Buffers that are lent for each turn.
    pub buffers: Option<Buffers>,
    /// Every so many reads are into a buffer of the transport's own; 0: none.
    pub owned_reads: usize,
    /// A flush does not succeed.
    pub flush_blocked: bool,
    /// Nor does the end of the outgoing half.
    pub shutdown_blocked: bool,
    pub counts: Counts,
    pub shadow: Shadow,
    /// How long the longest answer is, where the bound of the memory is to be checked.
    pub longest_answer: Option<usize>,
    /// Time that counts: this much less than the network's.
    pub behind: Duration,
    pub waits_until: Option<Timestamp>,
    /// Reading came to its end.
    is_eof: bool,
    owned: Box<[u8]>,
}

impl<M: Machine> End<M> {
    pub fn new(role: Role, machine: M) -> Self {
        Self::of(role, Driver::new(machine))
    }

    pub fn of(role: Role, driver: Driver<M>) -> Self {
        Self {
            role,
            driver,
            error: None,
            is_done: false,
            edges: false,
            buffers: None,
            owned_reads: 0,
            flush_blocked: false,
            shutdown_blocked: false,
            counts: Counts::default(),
            shadow: Shadow::default(),
            longest_answer: None,
            behind: Duration::ZERO,
            waits_until: None,
            is_eof: false,
            owned: Box::default(),
        }
    }

    /// The end of the next machine on the same socket.
    pub fn replace<N: Machine>(self, next: N) -> End<N> {
        End {
            role: self.role,
            driver: self.driver.replace(next),
            error: None,
            is_done: self.is_done,
            edges: self.edges,
            buffers: self.buffers,
            owned_reads: self.owned_reads,
            flush_blocked: self.flush_blocked,
            shutdown_blocked: self.shutdown_blocked,
            counts: self.counts,
            shadow: self.shadow,
            longest_answer: self.longest_answer,
            behind: self.behind,
            waits_until: None,
            is_eof: self.is_eof,
            owned: self.owned,
        }
    }

    /// Its time.
    pub fn now(&self, net: &Net) -> Timestamp {
        at(net.now.as_duration().saturating_sub(self.behind))
    }

    /// Whether it was told of something since its last turn: an edge, or its deadline.
    pub fn is_roused(&self, net: &mut Net) -> bool {
        if self.is_done {
            return false;
        }
        let writable = net.outgoing(self.role).is_refused && net.outgoing(self.role).is_writable();
        net.incoming(self.role).is_news || writable || self.is_due(net)
    }

    pub fn is_due(&self, net: &Net) -> bool {
        self.waits_until.is_some_and(|until| until <= self.now(net))
    }

    /// Goes as far as the socket allows.
    #[track_caller]
    pub fn turn<T>(
        &mut self,
        net: &mut Net,
        goal: Goal,
        mut handler: impl FnMut(M::Event<'_>, &mut M, &mut BytesMut) -> Option<T>,
    ) -> Turn<T> {
        net.settle();
        if self.is_done {
            return Turn::Done;
        }
        self.take_edges(net);
        net.swap_buffers(&mut self.buffers);
        if let Some(buffers) = &mut self.buffers {
            self.driver.attach(buffers);
        }
        let turn = self.steps(net, goal, &mut handler);
        self.counts.queued_peak = self.counts.queued_peak.max(self.driver.queued());
        if let Some(buffers) = &mut self.buffers {
            self.driver.detach(buffers);
        }
        net.swap_buffers(&mut self.buffers);
        self.waits_until = match turn {
            Turn::Wait(until) => until,
            Turn::Yield => Some(Timestamp::ZERO),
            _ => None,
        };
        turn
    }

    fn take_edges(&mut self, net: &mut Net) {
        let incoming = net.incoming(self.role);
        let (is_readable, is_end) = (incoming.is_news, incoming.is_end_news);
        incoming.is_news = false;
        let outgoing = net.outgoing(self.role);
        let is_writable = outgoing.is_refused && outgoing.is_writable();
        outgoing.is_refused &= !is_writable;
        if !self.edges {
            self.driver.wake();
            return;
        }
        if is_readable {
            self.driver.readable(is_end);
        }
        if is_writable {
            self.driver.writable();
        }
    }

    #[track_caller]
    fn steps<T>(
        &mut self,
        net: &mut Net,
        goal: Goal,
        handler: &mut impl FnMut(M::Event<'_>, &mut M, &mut BytesMut) -> Option<T>,
    ) -> Turn<T> {
        let (role, local, at_once) = (self.role, self.now(net), net.now);
        for _ in 0..MAX_STEPS {
            let is_reached = match goal {
                Goal::Events => false,
                _ if self.driver.is_mute() => true,
                Goal::Output => !self.driver.output_waits(),
                Goal::Room(most) => self.driver.queued() <= most,
            };
            if is_reached {
                return Turn::Reached;
            }
            let step =
                if goal == Goal::Events { self.driver.step(|| local) } else { self.driver.step_output(|| local) };
            match step {
                Step::Deliver => {
                    self.counts.delivers += 1;
                    self.counts.inbox_peak = self.counts.inbox_peak.max(self.driver.inbox().0.len());
                    self.shadow.note(self.driver.queued(), false);
                    let found = self.driver.deliver(&mut *handler);
                    self.counts.queued_peak = self.counts.queued_peak.max(self.driver.queued());
                    self.shadow.note(self.driver.queued(), true);
                    self.check_memory();
                    if let Some(found) = found {
                        return Turn::Found(found);
                    }
                }
                Step::Read => self.read(net),
                Step::Write => {
                    self.counts.writes += 1;
                    assert!(!self.driver.output().is_empty(), "a step that writes nothing");
                    self.shadow.note(self.driver.queued(), false);
                    match net.outgoing(role).write(self.driver.output().chunk(), at_once) {
                        Outcome::Count(count) => {
                            self.driver.written(count);
                            self.shadow.written(count);
                        }
                        Outcome::Blocked => {
                            self.counts.vain_writes += 1;
                            self.driver.write_blocked();
                        }
                        Outcome::Failed => {
                            self.driver.write_failed();
                            self.shadow = Shadow::default();
                        }
                    }
                }
                Step::Flush if self.flush_blocked => self.driver.write_blocked(),
                Step::Flush => {
                    self.counts.flushes += 1;
                    self.driver.flushed();
                }
                Step::Shutdown if self.shutdown_blocked => self.driver.write_blocked(),
                Step::Shutdown => match net.outgoing(role).shut(at_once) {
                    Outcome::Failed => self.driver.write_failed(),
                    _ => self.driver.shut_down(),
                },
                Step::Wait(until) => {
                    self.counts.waits += 1;
                    self.check_wait(net, goal, until, local);
                    return Turn::Wait(until);
                }
                Step::Yield => {
                    self.counts.yields += 1;
                    return Turn::Yield;
                }
                Step::Done => {
                    self.is_done = true;
                    self.error = self.driver.take_error();
                    net.close(role);
                    return Turn::Done;
                }
            }
        }
        panic!("a driver that spins: {:?}", self.driver.step(|| local));
    }

    fn read(&mut self, net: &mut Net) {
        self.counts.reads += 1;
        let pipe = net.incoming(self.role);
        let is_owned = self.owned_reads > 0 && self.counts.reads.is_multiple_of(self.owned_reads);
        let outcome = if is_owned {
            let (inbox, missing) = self.driver.inbox();
            let len = inbox.room(missing).len();
            self.owned = vec![0; len].into();
            let outcome = pipe.read(&mut self.owned);
            if let Outcome::Count(count) = outcome {
                inbox.give(&mut self.owned, count, missing);
                self.driver.note_received(count);
            }
            outcome
        } else {
            let outcome = pipe.read(self.driver.room());
            if let Outcome::Count(count) = outcome {
                self.driver.received(count);
            }
            outcome
        };
        self.is_eof |= matches!(outcome, Outcome::Count(0) | Outcome::Failed);
        match outcome {
            Outcome::Count(_) => {}
            Outcome::Blocked => {
                self.counts.vain_reads += 1;
                self.driver.read_blocked();
            }
            Outcome::Failed => {
                self.driver.read_failed();
                self.shadow = Shadow::default();
            }
        }
    }

    /// Twice what was sent, 128 KiB, and an answer; whether reading pauses is decided by exactly these numbers.
    #[track_caller]
    fn check_memory(&mut self) {
        let Some(longest_answer) = self.longest_answer else { return };
        let (queued, Shadow { answers, sends, sends_peak, is_coarse, .. }) = (self.driver.queued(), &self.shadow);
        let most = 2 * sends_peak + (128 << 10) + longest_answer;
        assert!(queued <= most, "{queued} bytes wait, of {most}: {answers} of answers, {sends} were sent");
        if !is_coarse && !self.is_eof && self.driver.machine().transport() == Transport::KeepOpen {
            let wants_read = *answers <= (128 << 10) + sends;
            assert_eq!(self.driver.wants_read(), wants_read, "{answers} bytes of answers, {sends} sent");
        }
    }

    /// A driver that waits has a reason to, and a time to stop waiting.
    #[track_caller]
    fn check_wait(&mut self, net: &mut Net, goal: Goal, until: Option<Timestamp>, local: Timestamp) {
        self.shadow.note(self.driver.queued(), false);
        self.check_memory();
        let is_open = !self.is_eof && self.driver.machine().transport() == Transport::KeepOpen;
        self.counts.pauses += usize::from(is_open && !self.driver.wants_read());
        let (role, machine) = (self.role, self.driver.machine());
        assert!(until.is_none_or(|until| until > local), "{role:?} waits for {until:?}, which is past at {local:?}");
        let expects_time = machine.poll_timeout().is_some()
            || machine.transport() == Transport::Abort
            || self.driver.output_waits() && machine.stall_timeout().is_some();
        assert!(until.is_some() || !expects_time, "{role:?} waits without a deadline: {:?}", machine.transport());
        // Hiccups come back as an edge.
        let incoming = net.incoming(role);
        if goal == Goal::Events && self.driver.wants_read() && !incoming.is_news {
            assert!(!incoming.is_readable(), "{role:?} waits, and something is there to be read");
        }
        let outgoing = net.outgoing(role);
        if self.driver.queued() > 0 && !outgoing.is_refused {
            assert!(!outgoing.is_writable(), "{role:?} waits, and its output could be written");
        }
    }
}

/// One end of a dialogue, with an application that is a function, and all that it saw.
pub struct Peer {
    pub end: End<Connection>,
    pub app: App,
    pub events: Vec<Seen>,
    /// When the latest event came that is neither Ping nor Pong.
    pub seen_at: Timestamp,
    pub done_at: Option<Timestamp>,
    /// It does not run: it is busy, and its time stands still.
    pub is_busy: bool,
}

impl Peer {
    pub fn new(role: Role, config: &Config) -> Self {
        Self {
            end: End::new(role, role.connection(config)),
            app: listen,
            events: Vec::new(),
            seen_at: Timestamp::ZERO,
            done_at: None,
            is_busy: false,
        }
    }

    #[must_use]
    pub fn app(mut self, app: App) -> Self {
        self.app = app;
        self
    }

    #[must_use]
    pub fn edges(mut self) -> Self {
        self.end.edges = true;
        self
    }

    #[must_use]
    pub fn buffers(mut self) -> Self {
        self.end.buffers = Some(Buffers::new());
        self
    }

    /// What its application sends.
    pub fn says(&mut self, say: impl FnOnce(&mut Connection, &mut BytesMut)) {
        let (connection, out) = self.end.driver.parts();
        say(connection, out.tail());
    }

    #[track_caller]
    pub fn turn(&mut self, net: &mut Net) -> Turn<()> {
        let Self { end, app, events, seen_at, done_at, .. } = self;
        let now = net.now;
        let turn = end.turn(net, Goal::Events, |event, connection, out| {
            let seen = Seen::of(&event);
            if !matches!(seen, Seen::Ping(_) | Seen::Pong(_)) {
                *seen_at = now;
            }
            events.push(seen);
            app(connection, &event, out);
            None
        });
        if turn == Turn::Done {
            done_at.get_or_insert(now);
        }
        turn
    }

    /// `None` while it lives; `Some(None)` after a clean end.
    #[allow(clippy::option_option, reason = "whether it ended, and why")]
    pub fn verdict(&self) -> Option<Option<Error>> {
        self.end.is_done.then_some(self.end.error)
    }

    /// The messages that came, by their lengths.
    pub fn lens(&self) -> Vec<usize> {
        let len = |seen: &Seen| match seen {
            Seen::Binary(data) => Some(data.len()),
            Seen::Text(text) => Some(text.len()),
            _ => None,
        };
        self.events.iter().filter_map(len).collect()
    }
}

/// Two peers and the network between them.
pub struct Dialogue {
    pub net: Net,
    /// `None`: the test itself reads and writes the pipes.
    pub client: Option<Peer>,
    pub server: Option<Peer>,
    pub turns: usize,
}

impl Dialogue {
    pub fn new(net: Net, client: impl Into<Option<Peer>>, server: impl Into<Option<Peer>>) -> Self {
        let mut dialogue = Self { net, client: client.into(), server: server.into(), turns: 0 };
        for peer in [&mut dialogue.client, &mut dialogue.server].into_iter().flatten() {
            peer.turn(&mut dialogue.net);
        }
        dialogue
    }

    pub fn client(&mut self) -> &mut Peer {
        self.client.as_mut().expect("a client")
    }

    pub fn server(&mut self) -> &mut Peer {
        self.server.as_mut().expect("a server")
    }

    pub fn peers(&mut self) -> impl Iterator<Item = &mut Peer> {
        [&mut self.client, &mut self.server].into_iter().flatten()
    }

    pub fn elapsed(&self) -> Duration {
        self.net.now.as_duration()
    }

    /// Lets both do what they can now; what the test did since counts as news.
    #[track_caller]
    pub fn settle(&mut self) -> &mut Self {
        for peer in [&mut self.client, &mut self.server].into_iter().flatten().filter(|peer| !peer.is_busy) {
            peer.turn(&mut self.net);
        }
        self.quiet();
        self
    }

    /// Lets time pass until then, or until nothing can happen any more.
    #[track_caller]
    pub fn run_until(&mut self, end: Duration) -> &mut Self {
        let end = at(end);
        self.settle();
        while let Some(next) = self.next().filter(|next| *next <= end) {
            let passed = next - self.net.now;
            self.net.now = next;
            for peer in [&mut self.client, &mut self.server].into_iter().flatten().filter(|peer| peer.is_busy) {
                peer.end.behind += passed;
            }
            self.quiet();
        }
        let passed = end - self.net.now;
        for peer in [&mut self.client, &mut self.server].into_iter().flatten().filter(|peer| peer.is_busy) {
            peer.end.behind += passed;
        }
        self.net.now = end;
        self
    }

    /// Lets time pass for so long.
    #[track_caller]
    pub fn run(&mut self, time: Duration) -> &mut Self {
        self.run_until(self.elapsed() + time)
    }

    #[track_caller]
    pub fn quiet(&mut self) {
        loop {
            self.net.settle();
            let mut is_quiet = true;
            for peer in [&mut self.client, &mut self.server].into_iter().flatten().filter(|peer| !peer.is_busy) {
                if peer.end.is_roused(&mut self.net) {
                    peer.turn(&mut self.net);
                    is_quiet = false;
                    self.turns += 1;
                    assert!(self.turns < MAX_TURNS, "a dialogue without an end");
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    fn next(&self) -> Option<Timestamp> {
        let wait = |peer: &Option<Peer>| {
            let peer = peer.as_ref().filter(|peer| !peer.is_busy && !peer.end.is_done)?;
            Some(at(peer.end.waits_until?.as_duration().saturating_add(peer.end.behind)))
        };
        [self.net.next(), wait(&self.client), wait(&self.server)]
            .into_iter()
            .flatten()
            .min()
            .map(|next| next.max(self.net.now))
    }
}

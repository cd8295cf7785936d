//! Two peers, a wire that delivers when and as much as it likes, and a virtual clock: whatever is sent arrives, equal and
//! in order; nothing fails unless an operation made it; and the end is the same on both sides, and comes.
//!
//! Input: four bytes of [`Settings`], then operations of four bytes each.

#![no_main]

use std::{collections::VecDeque, time::Duration};

use arbitrary::{Arbitrary, Unstructured};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use sansock::{
    Chunk, CloseCode, CloseFrame, Config, Connection, Data, Delivery, Error, Initiator, Keepalive, Kind,
    PreparedMessage, SendError, State, Timestamp, Transport,
};
use sansock_fuzz::{
    cuts::Cuts,
    setup::{Judge, PONG_BACKLOG, check, compress, left as left_of},
    trace::Entry,
};

fuzz_target!(|script: Script| {
    let mut world = World::new(&script.settings);
    for op in script.ops {
        world.perform(op);
    }
    world.finish();
});

#[derive(Debug)]
struct Script {
    settings: Settings,
    ops: Vec<Op>,
}

#[derive(Debug)]
struct Settings {
    /// How the pump cuts what it delivers.
    cuts: u8,
    /// Bit 0: chunks for the server; 1: for the client; 2, 3: tight limits; 4: an idle timeout; 5: no keepalive; 6: what
    /// an aborted peer wrote is lost; 7: which side closes in the end.
    flags: u8,
    salt: u8,
    /// Bit 0: permessage-deflate; 1: without context takeover.
    compress: u8,
}

/// The server or the client, as an index.
type Side = usize;

#[derive(Clone, Copy, Debug)]
enum Op {
    Message(Side, Kind, usize),
    Piece(Side, Kind, usize, bool),
    /// A frame whose payload goes behind its header by reference.
    Reference(Side, Kind, usize, bool),
    Prepared(Side, Kind, usize),
    Ping(Side, usize),
    Pong(Side, usize),
    Close(Side, u16),
    Fail(Side, u16),
    /// So many bytes arrive at this side, in one piece.
    Deliver(Side, usize),
    /// All that is under way arrives.
    Pump,
    /// Time passes on a wire that delivers.
    Wait(Duration),
    /// Time passes, and nothing moves.
    Stall(Duration),
    /// The transport breaks, and loses what is under way.
    Break,
}

impl<'a> Arbitrary<'a> for Script {
    /// One format for the fuzzer and for the seeds: nothing but bytes from the front.
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let [cuts, flags, salt, compress] = input.arbitrary()?;
        let mut ops = Vec::new();
        while input.len() >= 4 && ops.len() < 150 {
            ops.push(Op::decode(input.arbitrary()?));
        }
        Ok(Self { settings: Settings { cuts, flags, salt, compress }, ops })
    }
}

impl Op {
    /// What, who and how, and a number.
    fn decode([what, how, high, low]: [u8; 4]) -> Self {
        let side = usize::from(how & 1);
        let kind = if how & 2 == 0 { Kind::Text } else { Kind::Binary };
        let fin = how & 4 == 0;
        let number = u16::from_be_bytes([high, low]);
        let len = match number >> 14 {
            0 => usize::from(number & 0x7F),
            1 => usize::from(number & 0x3FF),
            2 => usize::from(number & 0xFFF),
            _ if number >= 0xFF80 => 65_500 + usize::from(number & 0x7F),
            _ => usize::from(number & 0x1F),
        };
        let time = Duration::from_millis(u64::from(number));
        match what % 16 {
            0 | 1 => Self::Message(side, kind, len),
            2 | 3 => Self::Piece(side, kind, len, fin),
            4 => Self::Reference(side, kind, len, fin),
            5 => Self::Prepared(side, kind, len),
            6 => Self::Ping(side, len),
            7 => Self::Pong(side, len),
            8 => Self::Close(side, number),
            9 => Self::Fail(side, number),
            10 | 11 => Self::Deliver(side, usize::from(number & 0xFFF)),
            12 => Self::Pump,
            13 => Self::Wait(time),
            14 => Self::Stall(time),
            // Rarely, because it is the end.
            _ if number == 0xFFFF => Self::Break,
            _ => Self::Deliver(side, usize::from(number)),
        }
    }
}

/// One end, and what the other one must see of it.
struct Peer {
    connection: Connection,
    server: bool,
    /// What was delivered and stays in front of what is next.
    left: Vec<u8>,
    /// What was written and not delivered yet: the wire to the other side.
    out: BytesMut,
    judge: Judge,
    limits: Limits,
    idle: Option<Duration>,
    sent: VecDeque<(Kind, Vec<u8>)>,
    /// The fragmented message that is being sent.
    open: Option<(Kind, Vec<u8>)>,
    open_fragments: u64,
    /// Whether messages in pieces are compressed, and whether the open one is.
    compresses: bool,
    open_compressed: bool,
    /// Pings on their way, then those that wait for an answer.
    pings: VecDeque<Vec<u8>>,
    unanswered: VecDeque<Vec<u8>>,
    last_asked: Option<Vec<u8>>,
    last_answer: Option<Vec<u8>>,
    pongs: VecDeque<Vec<u8>>,
    /// Parts of the message that is arriving.
    arriving: Vec<u8>,
    /// A Ping came while `out` was long, so that not each gets its answer.
    coalesced: bool,
    /// What the other side sent beyond the limits of this one.
    refusable: Vec<Error>,
    error: Option<Error>,
    /// The other side's end of the stream was told.
    eof: bool,
    active_at: Timestamp,
}

struct Limits {
    message: usize,
    fragments: u64,
}

struct World {
    peers: [Peer; 2],
    now: Timestamp,
    cuts: Cuts,
    salt: u8,
    lose_aborted: bool,
    closer: Side,
    stalled: bool,
    /// An operation closed or broke something, so that not all has to arrive.
    disturbed: bool,
}

impl World {
    fn new(settings: &Settings) -> Self {
        let flag = |bit: u8| settings.flags >> bit & 1 != 0;
        let peer = |side: Side| {
            let limits = if flag(2 + side as u8) {
                Limits { message: 2000, fragments: 8 }
            } else {
                Limits { message: 1 << 20, fragments: 131_072 }
            };
            let idle = flag(4).then_some(Duration::from_secs(90));
            let config = Config::default()
                .delivery(match (flag(side as u8), flag(6 + side as u8)) {
                    (true, _) => Delivery::Chunks,
                    (false, true) => Delivery::InPlace,
                    (false, false) => Delivery::Messages,
                })
                .max_message_len(limits.message as u64)
                .max_fragments(limits.fragments)
                .idle_timeout(idle)
                .keepalive((!flag(5)).then(Keepalive::default));
            let server = side == 0;
            let mut connection =
                if server { Connection::server(&config) } else { Connection::client(&config, [settings.salt; 32]) };
            if settings.compress & 1 != 0 {
                connection = compress(connection, server, settings.compress & 2 == 0);
            }
            Peer {
                connection,
                server,
                left: Vec::new(),
                out: BytesMut::new(),
                judge: Judge::of_compressed(server),
                limits,
                idle,
                sent: VecDeque::new(),
                open: None,
                open_fragments: 0,
                compresses: settings.compress & 1 != 0,
                open_compressed: false,
                pings: VecDeque::new(),
                unanswered: VecDeque::new(),
                last_asked: None,
                last_answer: None,
                pongs: VecDeque::new(),
                arriving: Vec::new(),
                coalesced: false,
                refusable: Vec::new(),
                error: None,
                eof: false,
                active_at: Timestamp::ZERO,
            }
        };
        let mut world = Self {
            peers: [peer(0), peer(1)],
            now: Timestamp::ZERO,
            cuts: Cuts::new(settings.cuts),
            salt: settings.salt,
            lose_aborted: flag(6),
            closer: usize::from(flag(7)),
            stalled: false,
            disturbed: false,
        };
        world.tick();
        world
    }

    fn perform(&mut self, op: Op) {
        self.salt = self.salt.wrapping_add(1);
        let salt = self.salt;
        match op {
            Op::Message(side, kind, len) => {
                let payload = payload(kind, len, salt);
                self.send(side, kind, &payload, true, |connection, out| match kind {
                    Kind::Text => connection.send_text(text(&payload), out),
                    Kind::Binary => connection.send_binary(&payload, out),
                });
            }
            Op::Prepared(side, kind, len) => {
                let payload = payload(kind, len, salt);
                let message = match kind {
                    Kind::Text => PreparedMessage::text(text(&payload)),
                    Kind::Binary => PreparedMessage::binary(&payload),
                };
                let client = !self.peers[side].server;
                let refused = client && self.peers[side].may_send(None).is_ok();
                if refused {
                    assert_eq!(self.peers[side].connection.send_prepared(&message), Err(SendError::MustMask));
                } else {
                    self.send(side, kind, &payload, true, |connection, out| {
                        connection.send_prepared(&message).map(|frame| out.extend_from_slice(&frame))
                    });
                }
            }
            Op::Piece(side, kind, len, fin) => {
                let payload = payload(kind, len, salt);
                let data = match kind {
                    Kind::Text => Data::Text(text(&payload).into()),
                    Kind::Binary => Data::Binary(payload[..].into()),
                };
                let chunk = Chunk { data, fin };
                let peer = &mut self.peers[side];
                if peer.open.is_none() {
                    peer.open_compressed = peer.compresses;
                }
                self.send_piece(side, kind, &payload, fin, |connection, out| connection.send_chunk(&chunk, out));
            }
            Op::Reference(side, kind, len, fin) => {
                let payload = payload(kind, len, salt);
                let peer = &mut self.peers[side];
                if peer.open.is_none() {
                    peer.open_compressed = false;
                } else if peer.open_compressed && peer.connection.state() == State::Open {
                    // What goes by reference goes as it is, and cannot continue a compressed message.
                    let refused = peer.connection.send_header(kind, 1, fin).err();
                    return assert_eq!(refused, Some(SendError::MessageOpen));
                }
                self.send_piece(side, kind, &payload, fin, |connection, out| {
                    let (head, mut masker) = connection.send_header(kind, payload.len() as u64, fin)?;
                    let (front, back) = payload.split_at(payload.len() / 3);
                    let mut front = front.to_vec();
                    masker.apply(&mut front);
                    out.extend_from_slice(&head);
                    out.extend_from_slice(&front);
                    masker.append(back, out);
                    Ok(())
                });
            }
            Op::Ping(side, len) => {
                let payload = payload(Kind::Binary, len, salt);
                let peer = &mut self.peers[side];
                let result = peer.control(false, &payload, |connection, out| connection.ping(&payload, out));
                peer.pings.extend(result.is_ok().then_some(payload));
            }
            Op::Pong(side, len) => {
                // A mark by which it is told from answers.
                let payload = [&[0xEE][..], &payload(Kind::Binary, len, salt)].concat();
                let peer = &mut self.peers[side];
                let result = peer.control(true, &payload, |connection, out| connection.pong(&payload, out));
                peer.pongs.extend(result.is_ok().then_some(payload));
            }
            Op::Close(side, number) => self.close(side, number),
            Op::Fail(side, number) => {
                let reason = "é".repeat(usize::from(number & 0x7F));
                let code = CloseCode::new(number >> 2).unwrap_or(CloseCode::INTERNAL_ERROR);
                let peer = &mut self.peers[side];
                let before = peer.connection.state();
                peer.call(|connection, out| connection.fail(code, &reason, out));
                if before != State::Closed {
                    self.disturbed = true;
                    peer.error = Some(Error::Failed(code));
                    assert_eq!(peer.connection.state(), State::Closed);
                }
            }
            Op::Deliver(side, len) => self.deliver(side, len),
            Op::Pump => self.pump(),
            Op::Wait(time) => self.pass(time, false),
            Op::Stall(time) => self.pass(time, true),
            Op::Break => {
                self.disturbed = true;
                for peer in &mut self.peers {
                    peer.out.clear();
                    peer.end_of_stream();
                }
            }
        }
        self.tick();
    }

    fn send(
        &mut self,
        side: Side,
        kind: Kind,
        payload: &[u8],
        fin: bool,
        call: impl FnOnce(&mut Connection, &mut BytesMut) -> Result<(), SendError>,
    ) {
        let expected = self.peers[side].may_send(None);
        assert_eq!(self.peers[side].call(call), expected);
        if expected.is_ok() {
            self.sending(side, kind, payload, fin);
        }
    }

    fn send_piece(
        &mut self,
        side: Side,
        kind: Kind,
        payload: &[u8],
        fin: bool,
        call: impl FnOnce(&mut Connection, &mut BytesMut) -> Result<(), SendError>,
    ) {
        let expected = self.peers[side].may_send(Some(kind));
        assert_eq!(self.peers[side].call(call), expected);
        if expected.is_ok() {
            self.sending(side, kind, payload, fin);
        }
    }

    /// A frame was sent: notes what must arrive, or may be refused.
    fn sending(&mut self, side: Side, kind: Kind, payload: &[u8], fin: bool) {
        let peer = &mut self.peers[side];
        peer.active_at = self.now;
        peer.open_fragments += 1;
        let fragments = peer.open_fragments;
        let (_, message) = peer.open.get_or_insert_with(|| (kind, Vec::new()));
        message.extend_from_slice(payload);
        let len = message.len();
        if fin {
            peer.sent.extend(peer.open.take());
            peer.open_fragments = 0;
        }
        let other = &mut self.peers[1 - side];
        if len > other.limits.message {
            other.refusable.push(Error::TooBig);
        } else if fragments > other.limits.fragments {
            other.refusable.push(Error::TooManyFragments);
        }
    }

    fn close(&mut self, side: Side, number: u16) {
        let reason = "ü".repeat(usize::from(number & 0x3F));
        let frame = CloseCode::new(number >> 2).map(|code| CloseFrame::new(code, reason));
        let peer = &mut self.peers[side];
        let expected = match (peer.connection.state(), &frame) {
            (State::Closing | State::Closed, _) => Err(SendError::Closed),
            (State::Open, Some(frame)) if frame.reason.len() > 123 => Err(SendError::ReasonTooLong(frame.reason.len())),
            (State::Open, _) => Ok(()),
        };
        assert_eq!(peer.call(|connection, out| connection.close(frame, out)), expected);
        self.disturbed |= expected.is_ok();
    }

    /// Bytes arrive at `side`.
    fn deliver(&mut self, side: Side, len: usize) {
        let (left, right) = self.peers.split_at_mut(1);
        let (to, from) = if side == 0 { (&mut left[0], &mut right[0]) } else { (&mut right[0], &mut left[0]) };
        let mut buffer = std::mem::take(&mut to.left);
        buffer.extend_from_slice(&from.out.split_to(len.min(from.out.len())));
        let mut input = &mut buffer[..];
        loop {
            let backlog = to.out.len() >= PONG_BACKLOG;
            match to.call(|connection, out| connection.receive(&mut input, out)) {
                Ok(Some(event)) => to.see((&event).into(), from, backlog, self.now),
                Ok(None) => break,
                Err(error) => {
                    assert!(to.refusable.contains(&error), "{error}: nobody did anything wrong");
                    to.error = Some(error);
                    self.disturbed = true;
                }
            }
        }
        to.left = left_of(&to.connection, input);
    }

    /// Everything arrives, and the ends of the streams with it.
    fn pump(&mut self) {
        loop {
            let mut quiet = true;
            for side in [0, 1] {
                while !self.peers[1 - side].out.is_empty() {
                    quiet = false;
                    let out = &self.peers[1 - side].out[..];
                    // Long messages in pieces that are not too many.
                    let piece = self.cuts.next_piece(&mut &*out).len().max(out.len() / 64);
                    self.deliver(side, piece);
                }
            }
            self.tick();
            if quiet && self.peers.iter().all(|peer| peer.out.is_empty()) {
                return;
            }
        }
    }

    /// Time passes, from one deadline to the next.
    fn pass(&mut self, time: Duration, stalled: bool) {
        let until = self.now + time;
        self.stalled = stalled;
        loop {
            if !stalled {
                self.pump();
            }
            let next = self.peers.iter().filter_map(|peer| peer.connection.poll_timeout()).min();
            let Some(next) = next.filter(|&next| next <= until) else { break };
            if next == Timestamp::ZERO {
                // An end of the input is dated now. `tick` checks that it is so only once.
                self.tick();
                continue;
            }
            assert!(next > self.now, "no loop spins");
            self.now = next;
            self.tick();
        }
        self.now = until;
        self.tick();
        self.stalled = false;
    }

    /// What both drivers do after each batch: they tell the time, and do what `transport` says.
    fn tick(&mut self) {
        for side in [0, 1] {
            let now = self.now;
            let peer = &mut self.peers[side];
            let before = peer.out.len();
            let outcome = peer.connection.handle_timeout(now, &mut peer.out);
            for entry in peer.judge.read(&peer.out[before..]) {
                if let Entry::Ping(payload) = entry {
                    peer.pings.push_back(payload);
                }
            }
            check(&peer.connection, peer.server);
            assert!(peer.connection.poll_timeout().is_none_or(|at| at > now), "no loop spins");
            if let Err(error) = outcome {
                match error {
                    Error::KeepaliveTimeout | Error::CloseTimeout => {
                        assert!(self.stalled, "{error} though all arrives");
                    }
                    Error::IdleTimeout => assert!(peer.idle.is_some_and(|idle| now - peer.active_at >= idle)),
                    error => panic!("{error} is no matter of time"),
                }
                assert_eq!(peer.connection.transport(), Transport::Abort);
                peer.error = Some(error);
                self.disturbed = true;
            }
        }
        for side in [0, 1] {
            match self.peers[side].connection.transport() {
                Transport::KeepOpen => {}
                Transport::ShutdownWrite => self.shut_down(side),
                Transport::Close => {
                    self.peers[1 - side].out.clear();
                    self.shut_down(side);
                }
                Transport::Abort => {
                    self.disturbed = true;
                    self.peers[1 - side].out.clear();
                    if self.lose_aborted {
                        self.peers[side].out.clear();
                    }
                    self.shut_down(side);
                }
            }
        }
    }

    /// Once all that `side` wrote has arrived, the end of its stream does.
    fn shut_down(&mut self, side: Side) {
        if self.peers[side].out.is_empty() {
            self.peers[1 - side].end_of_stream();
        }
    }

    /// All that was sent arrives; then both come to their end, and tell the same of it.
    fn finish(mut self) {
        self.pump();
        if !self.disturbed {
            for peer in &self.peers {
                assert!(peer.refusable.is_empty(), "{:?} was not noticed", peer.refusable);
                assert!(peer.sent.is_empty() && peer.pings.is_empty() && peer.pongs.is_empty(), "something got lost");
                assert_eq!(peer.last_asked, peer.last_answer, "the latest Ping is always answered");
                assert_eq!(peer.connection.state(), State::Open);
            }
            for side in [0, 1] {
                assert!(self.peers[side].unanswered.is_empty() || self.peers[1 - side].coalesced);
            }
            self.close(self.closer, 4000);
            self.pump();
            for peer in &self.peers {
                assert!(peer.connection.close_info().is_some_and(|info| info.clean), "the closing handshake is done");
            }
        }
        for _ in 0..10 {
            self.pass(Duration::from_secs(11), true);
            self.pump();
        }
        for side in [0, 1] {
            let (peer, other) = (&self.peers[side], &self.peers[1 - side]);
            assert_eq!((peer.connection.state(), peer.connection.poll_timeout()), (State::Closed, None));
            assert!(matches!(peer.connection.transport(), Transport::Close | Transport::Abort));
            let (info, of_other) = (peer.connection.close_info().unwrap(), other.connection.close_info().unwrap());
            assert_eq!(info.cause, peer.error);
            if info.received.is_some() {
                assert_eq!(info.received, of_other.sent);
                assert!(other.sent.is_empty(), "all that was sent before the Close arrived before it");
                assert_eq!(info.incomplete_message, other.open.is_some());
            }
            if info.initiator == Some(Initiator::Peer) {
                assert_eq!(of_other.initiator, Some(Initiator::Local));
            }
        }
    }
}

impl Peer {
    /// Any call that may write: whole valid frames, or nothing when it is refused.
    fn call<T>(&mut self, call: impl FnOnce(&mut Connection, &mut BytesMut) -> T) -> T {
        let before = self.out.len();
        let result = call(&mut self.connection, &mut self.out);
        self.judge.read(&self.out[before..]);
        check(&self.connection, self.server);
        result
    }

    /// What sending a message, or a piece of one of this kind, must say.
    fn may_send(&self, piece: Option<Kind>) -> Result<(), SendError> {
        match (&self.open, piece) {
            _ if self.connection.state() != State::Open => Err(SendError::Closed),
            (Some(_), None) => Err(SendError::MessageOpen),
            (Some((open, _)), Some(kind)) if *open != kind => Err(SendError::MessageOpen),
            _ => Ok(()),
        }
    }

    /// A Pong may follow our own Close (§5.5.2), a Ping may not.
    fn control(
        &mut self,
        is_pong: bool,
        payload: &[u8],
        call: impl FnOnce(&mut Connection, &mut BytesMut) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let expected = match self.connection.state() {
            State::Closing if !is_pong => Err(SendError::Closed),
            State::Closed => Err(SendError::Closed),
            State::Open | State::Closing if payload.len() > 125 => Err(SendError::ControlTooLong(payload.len())),
            State::Open | State::Closing => Ok(()),
        };
        let before = self.out.len();
        assert_eq!(self.call(call), expected);
        assert!(expected.is_ok() || self.out.len() == before);
        expected
    }

    /// An event, which must be the next thing that `from` sent.
    fn see(&mut self, entry: Entry, from: &mut Self, backlog: bool, now: Timestamp) {
        match entry {
            Entry::Message(kind, data) => {
                self.active_at = now;
                assert!(from.sent.pop_front() == Some((kind, data)), "a message arrives as it was sent");
            }
            Entry::Part(kind, data, fin) => {
                self.active_at = now;
                let (sent_kind, sent) = from.sent.front().or(from.open.as_ref()).expect("it was sent");
                let rest = sent.get(self.arriving.len()..).expect("not more than was sent");
                assert!(kind == *sent_kind && rest.starts_with(&data), "a piece arrives as it was sent");
                self.arriving.extend(data);
                if fin {
                    let message = std::mem::take(&mut self.arriving);
                    assert!(from.sent.pop_front() == Some((kind, message)), "a message ends where it was ended");
                }
            }
            Entry::Ping(payload) => {
                assert_eq!(from.pings.pop_front().as_ref(), Some(&payload));
                self.coalesced |= backlog;
                from.last_asked = Some(payload.clone());
                from.unanswered.push_back(payload);
            }
            Entry::Pong(payload) if payload.first() == Some(&0xEE) => {
                assert_eq!(from.pongs.pop_front(), Some(payload), "a Pong of the application's is never dropped");
            }
            Entry::Pong(payload) => {
                if from.coalesced {
                    assert!(self.unanswered.contains(&payload), "some Ping has this answer");
                } else {
                    assert_eq!(self.unanswered.pop_front().as_ref(), Some(&payload), "each Ping is answered, in order");
                }
                self.last_answer = Some(payload);
            }
            Entry::Close(frame) => {
                let sent = from.connection.close_info().and_then(|info| info.sent.clone()).expect("it was sent");
                assert_eq!((sent.code, sent.reason), frame.unwrap_or((1005, String::new())));
            }
        }
    }

    /// The other side writes no more.
    fn end_of_stream(&mut self) {
        if std::mem::replace(&mut self.eof, true) {
            return;
        }
        let closed = self.connection.state() == State::Closed;
        let outcome = self.connection.receive_eof();
        if !closed {
            assert_eq!(outcome, Err(Error::ConnectionLost));
            self.error = Some(Error::ConnectionLost);
        }
        assert_eq!(outcome.err(), self.error);
        check(&self.connection, self.server);
    }
}

/// What can be told from any other payload: characters of all lengths, or bytes.
fn payload(kind: Kind, len: usize, salt: u8) -> Vec<u8> {
    match kind {
        Kind::Text => "aé€😀z".chars().cycle().skip(usize::from(salt % 5)).take(len).collect::<String>().into_bytes(),
        // Never the mark of a Pong in front.
        Kind::Binary => (0..len).map(|i| (i as u8).wrapping_mul(7).wrapping_add(salt % 0x80)).collect(),
    }
}

fn text(payload: &[u8]) -> &str {
    std::str::from_utf8(payload).expect("made of characters")
}

//! What the tests share: frames as literals, a session and its trace, and one call that runs a case in every way it
//! can come: as client and as server, as whole messages and in chunks, cut anywhere.
//!
//! Frames are written as a server sends them, unmasked: `b"\x81\x05Hello"`. Where the machine under test is the server,
//! [`masked`] makes a client's frames of them, so that each dialogue is written once.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(clippy::missing_panics_doc, clippy::must_use_candidate, reason = "helpers of tests")]

pub mod frames;
pub mod link;
pub mod strict;

use bytes::BytesMut;
use sansock::{
    Chunk, CloseCode, CloseFrame, CloseInfo, Config, Connection, Data, Delivery, Error, Event, State, Transport,
};

pub use frames::*;

/// The seed of every client.
pub const SEED: [u8; 32] = *b"thirty-two bytes that are random";

/// Which end the machine under test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Server,
    Client,
}

pub const DELIVERIES: [Delivery; 3] = [Delivery::Messages, Delivery::InPlace, Delivery::Chunks];

pub use Role::{Client, Server};
pub const ROLES: [Role; 2] = [Server, Client];

impl Role {
    pub fn connection(self, config: &Config) -> Connection {
        match self {
            Server => Connection::server(config),
            Client => Connection::client(config, SEED),
        }
    }

    /// `frames`, as they come to this end from its peer.
    pub fn as_received(self, frames: &[u8]) -> Vec<u8> {
        match self {
            Server => masked(frames),
            Client => frames.to_vec(),
        }
    }

    /// What this end sent, as frames without masks. It must be valid and end with a whole frame.
    #[track_caller]
    pub fn plain(self, sent: &[u8]) -> Vec<u8> {
        strict::session(self == Client, sent).iter().flat_map(strict::Frame::plain).collect()
    }
}

/// The body of a Close frame, in a frame.
pub fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

pub fn code(code: u16) -> CloseCode {
    CloseCode::new(code).expect("a code for the wire")
}

#[allow(clippy::unnecessary_wraps, reason = "what `Connection::close` takes")]
pub fn goodbye(number: u16, reason: &str) -> Option<CloseFrame<'_>> {
    Some(CloseFrame::new(code(number), reason))
}

/// An event by its content, Borrowed or Owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Text(String),
    Binary(Vec<u8>),
    TextChunk(String, bool),
    BinaryChunk(Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl Seen {
    pub fn of(event: &Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.to_string()),
            Event::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Event::Chunk(Chunk { data: Data::Text(text), fin }) => Self::TextChunk(text.to_string(), *fin),
            Event::Chunk(Chunk { data: Data::Binary(bytes), fin }) => Self::BinaryChunk(bytes.to_vec(), *fin),
            Event::Ping(bytes) => Self::Ping(bytes.to_vec()),
            Event::Pong(bytes) => Self::Pong(bytes.to_vec()),
            Event::Close(frame) => Self::Close(frame.as_ref().map(|f| (f.code.get(), f.reason.to_string()))),
            other => panic!("an event that the tests do not know: {other:?}"),
        }
    }
}

pub fn text(text: &str) -> Seen {
    Seen::Text(text.into())
}

pub fn binary(bytes: &[u8]) -> Seen {
    Seen::Binary(bytes.into())
}

pub fn ping(bytes: &[u8]) -> Seen {
    Seen::Ping(bytes.into())
}

pub fn pong(bytes: &[u8]) -> Seen {
    Seen::Pong(bytes.into())
}

pub fn closed(code: u16, reason: &str) -> Seen {
    Seen::Close(Some((code, reason.into())))
}

/// What happens when an application sees an event.
pub type App = fn(&mut Connection, &Event<'_>, &mut BytesMut);

/// An application that only listens.
pub fn listen(_: &mut Connection, _: &Event<'_>, _: &mut BytesMut) {}

/// One end of a connection, its application, and everything that they saw and said.
#[derive(Debug)]
pub struct Session {
    pub role: Role,
    pub connection: Connection,
    /// What `receive` left, as it does in place.
    pub left: Vec<u8>,
    in_place: bool,
    pub out: BytesMut,
    pub events: Vec<Seen>,
    pub error: Option<Error>,
    pub app: App,
}

impl Session {
    pub fn new(role: Role, config: &Config) -> Self {
        Self {
            role,
            connection: role.connection(config),
            left: Vec::new(),
            in_place: config.delivery == Delivery::InPlace,
            out: BytesMut::new(),
            events: Vec::new(),
            error: None,
            app: listen,
        }
    }

    /// One read of the transport brings `bytes`: calls `receive` until `None`, as the contract says.
    ///
    /// Checks on the way that each call makes progress (I3), and that nothing comes after an error (I8).
    #[track_caller]
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut buffer = std::mem::take(&mut self.left);
        buffer.extend(bytes);
        let whole = buffer.len();
        let mut input = &mut buffer[..];
        loop {
            let (left, failed, said) = (input.len(), self.error.is_some(), self.out.len());
            match self.connection.receive(&mut input, &mut self.out) {
                Ok(None) => {
                    assert!(input.is_empty() || self.in_place, "None while {} bytes are left", input.len());
                    assert!(input.is_empty() || self.connection.missing() > 0, "a whole frame is left");
                    assert!(!failed || self.out.len() == said, "output after {:?}", self.error);
                    let taken = whole - input.len();
                    self.left = buffer;
                    self.left.drain(..taken);
                    return;
                }
                Ok(Some(event)) => {
                    assert!(!failed, "{event:?} after {:?}", self.error);
                    assert!(input.len() < left, "{event:?} out of nothing");
                    self.see(&event);
                }
                Err(error) => {
                    assert!(!failed, "{error:?} after {:?}", self.error);
                    assert!(input.is_empty(), "an error leaves {} bytes", input.len());
                    self.error = Some(error);
                }
            }
        }
    }

    /// Chunks of one message that follow each other are one: how a message is cut into chunks means nothing.
    fn see(&mut self, event: &Event<'_>) {
        match (self.events.last_mut(), Seen::of(event)) {
            (_, Seen::TextChunk(new, false)) if new.is_empty() => panic!("an empty chunk that ends nothing"),
            (_, Seen::BinaryChunk(new, false)) if new.is_empty() => panic!("an empty chunk that ends nothing"),
            (Some(Seen::TextChunk(text, fin @ false)), Seen::TextChunk(more, last)) => {
                text.push_str(&more);
                *fin = last;
            }
            (Some(Seen::BinaryChunk(bytes, fin @ false)), Seen::BinaryChunk(more, last)) => {
                bytes.extend(more);
                *fin = last;
            }
            (_, seen) => self.events.push(seen),
        }
        (self.app)(&mut self.connection, event, &mut self.out);
    }

    /// One read brings these frames of the peer, masked if it is a client.
    #[track_caller]
    pub fn hears(&mut self, frames: &[u8]) -> &mut Self {
        self.feed(&self.role.as_received(frames));
        self
    }

    /// These events, and no more, since the last call.
    #[track_caller]
    pub fn sees(&mut self, events: &[Seen]) -> &mut Self {
        assert_eq!(std::mem::take(&mut self.events), events, "{:?}", self.role);
        self
    }

    /// These frames, and no more, were written since the last call: `out` is drained.
    #[track_caller]
    pub fn says(&mut self, frames: &[u8]) -> &mut Self {
        let sent = self.out.split();
        assert_eq!(Hex(&self.role.plain(&sent)), Hex(frames), "{:?}", self.role);
        self
    }

    /// It has failed so, and said nothing since the last call but a Close with this code.
    #[track_caller]
    pub fn fails(&mut self, error: impl Into<Error>, code: u16) -> &mut Self {
        let sent = self.out.split();
        assert_eq!(self.error, Some(error.into()), "{:?}", self.role);
        let frames = strict::session(self.role == Client, &sent);
        assert_eq!(frames.len(), 1, "one Close, not {frames:?}");
        assert_eq!(frames[0].close_code(), Some(code));
        assert_eq!((self.connection.state(), self.connection.transport()), (State::Closed, Transport::ShutdownWrite));
        self
    }

    #[track_caller]
    pub fn is(&mut self, state: State, transport: Transport) -> &mut Self {
        assert_eq!((self.connection.state(), self.connection.transport()), (state, transport), "{:?}", self.role);
        self
    }

    #[track_caller]
    pub fn info(&self) -> &CloseInfo {
        self.connection.close_info().expect("it is closing or closed")
    }

    pub fn trace(&self) -> Trace {
        Trace {
            role: self.role,
            events: self.events.clone(),
            output: self.out.to_vec(),
            error: self.error,
            state: self.connection.state(),
            transport: self.connection.transport(),
            close_info: self.connection.close_info().cloned(),
        }
    }
}

/// All that a session did, by content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub role: Role,
    pub events: Vec<Seen>,
    pub output: Vec<u8>,
    pub error: Option<Error>,
    pub state: State,
    pub transport: Transport,
    pub close_info: Option<CloseInfo>,
}

impl Trace {
    /// It saw these events, said these frames, and did not fail.
    #[track_caller]
    pub fn goes(&self, events: &[Seen], frames: &[u8]) -> &Self {
        assert_eq!((self.events.as_slice(), self.error), (events, None));
        assert_eq!(Hex(&self.role.plain(&self.output)), Hex(frames));
        self
    }

    /// It saw these events, then failed so; all that it said is a Close with this code.
    #[track_caller]
    pub fn fails(&self, events: &[Seen], error: impl Into<Error>, code: u16) -> &Self {
        self.answers_and_fails(events, b"", error, code)
    }

    /// It saw these events and said these frames, then failed so, and a Close with this code followed.
    #[track_caller]
    pub fn answers_and_fails(&self, events: &[Seen], frames: &[u8], error: impl Into<Error>, code: u16) -> &Self {
        assert_eq!((self.events.as_slice(), self.error), (events, Some(error.into())));
        let mut sent = strict::session(self.role == Client, &self.output);
        assert_eq!(sent.pop().and_then(|frame| frame.close_code()), Some(code));
        assert_eq!(Hex(&sent.iter().flat_map(strict::Frame::plain).collect::<Vec<_>>()), Hex(frames));
        assert_eq!((self.state, self.transport), (State::Closed, Transport::ShutdownWrite));
        self
    }
}

/// Bytes that a failed assertion can print.
#[derive(PartialEq, Eq)]
pub struct Hex<'a>(pub &'a [u8]);

impl std::fmt::Debug for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02x?} \"{}\"", self.0, self.0.escape_ascii())
    }
}

/// Feeds `bytes`, cut at these positions as far as they go, to a new connection.
#[track_caller]
pub fn drive(role: Role, config: &Config, app: App, bytes: &[u8], cuts: &[usize]) -> Trace {
    let mut session = Session::new(role, config);
    session.app = app;
    let mut start = 0;
    for cut in cuts.iter().map(|cut| *cut.min(&bytes.len())) {
        session.feed(&bytes[start..cut]);
        start = cut;
    }
    session.feed(&bytes[start..]);
    session.trace()
}

/// Ways to cut `len` bytes: whole, at every byte, in two anywhere (when that is not too often), at random.
pub fn cuttings(len: usize) -> Vec<Vec<usize>> {
    let mut all = vec![vec![], (1..len).collect()];
    if len <= 300 {
        all.extend((0..=len).map(|cut| vec![cut]));
    }
    let mut random = Random(len as u64);
    all.extend((0..4).map(|_| random.cuts(len)));
    all
}

/// The session of one role and delivery: it must be the same in every cutting.
#[track_caller]
pub fn however_cut(role: Role, config: &Config, app: App, bytes: &[u8]) -> Trace {
    let whole = drive(role, config, app, bytes, &[]);
    for cuts in cuttings(bytes.len()) {
        let trace = drive(role, config, app, bytes, &cuts);
        assert_eq!(whole, trace, "{role:?} fed {:?}, whole and cut at {cuts:?}", Hex(bytes));
    }
    whole
}

/// Runs a session of the peer's `frames` as both roles, in all deliveries and in every cutting, and checks that all
/// agree. Returns what the server saw and said; the client differs from it in masks, and in who closes the transport.
#[track_caller]
pub fn everywhere_under(config: &Config, frames: &[u8]) -> Trace {
    let [server, client] = ROLES.map(|role| {
        let bytes = role.as_received(frames);
        let chunks = however_cut(role, &config.clone().delivery(Delivery::Chunks), listen, &bytes);
        let messages = however_cut(role, &config.clone().delivery(Delivery::Messages), listen, &bytes);
        let in_place = however_cut(role, &config.clone().delivery(Delivery::InPlace), listen, &bytes);
        assert_eq!(in_place, messages, "messages are the same, wherever they lie");
        assert_eq!(joined(&chunks.events), messages.events, "the messages are those of the chunks");
        assert_eq!(Trace { events: messages.events.clone(), ..chunks }, messages, "all else is equal");
        messages
    });
    assert_eq!((&server.events, &server.error), (&client.events, &client.error));
    assert_eq!((&server.state, &server.close_info), (&client.state, &client.close_info));
    assert_eq!(Hex(&Server.plain(&server.output)), Hex(&Client.plain(&client.output)));
    server
}

/// The same, with the default configuration.
#[track_caller]
pub fn everywhere(frames: &[u8]) -> Trace {
    everywhere_under(&Config::default(), frames)
}

/// Chunks, joined to whole messages where their last one is.
pub fn joined(events: &[Seen]) -> Vec<Seen> {
    let (mut all, mut whole_text, mut whole_bytes) = (Vec::new(), String::new(), Vec::new());
    for event in events {
        match event {
            Seen::TextChunk(more, fin) => {
                whole_text.push_str(more);
                all.extend(fin.then(|| Seen::Text(std::mem::take(&mut whole_text))));
            }
            Seen::BinaryChunk(more, fin) => {
                whole_bytes.extend(more);
                all.extend(fin.then(|| Seen::Binary(std::mem::take(&mut whole_bytes))));
            }
            other => all.push(other.clone()),
        }
    }
    all
}

/// How many bytes of the peer were in when the verdict fell, and the verdict.
#[track_caller]
pub fn verdict(session: &mut Session, bytes: &[u8]) -> Option<(usize, Error)> {
    bytes.iter().enumerate().find_map(|(i, &byte)| {
        session.feed(&[byte]);
        session.error.map(|error| (i + 1, error))
    })
}

/// The verdict on `frames` from a new peer falls at this byte of them, in both roles.
#[track_caller]
pub fn fails_at_byte(byte: usize, frames: &[u8], error: impl Into<Error>) {
    let error = error.into();
    for role in ROLES {
        for delivery in DELIVERIES {
            let mut session = Session::new(role, &Config::default().delivery(delivery));
            let verdict = verdict(&mut session, &role.as_received(frames));
            assert_eq!(verdict, Some((byte, error)), "{role:?}, {delivery:?}: {:?}", Hex(frames));
        }
    }
}

/// Numbers that only look random (splitmix64), so that every run is the same.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end.max(1) as u64).unwrap()
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.number().to_le_bytes()[0]).collect()
    }

    /// Where to cut `len` bytes: seldom, often, or in bursts.
    pub fn cuts(&mut self, len: usize) -> Vec<usize> {
        let most = self.pick(&[1, 3, 8, 60, 1500]);
        let (mut cuts, mut at) = (Vec::new(), 0);
        loop {
            at += self.below(most + 1);
            if at >= len {
                return cuts;
            }
            cuts.push(at);
        }
    }
}

//! Connections in every configuration, and the judge of what they write.

use bytes::BytesMut;
use sansock::{Config, Connection, Delivery, Limit, State, Transport, deflate::Deflate};

use crate::{
    reader::{Reader, Rules, Stand},
    trace::Entry,
};

/// What one byte says about a connection.
#[derive(Clone, Copy, Debug)]
pub struct Setup(pub u8);

impl Setup {
    pub fn server(self) -> bool {
        self.0 & 1 == 0
    }

    pub fn chunks(self) -> bool {
        self.0 & 2 != 0
    }

    /// Half of what is not in chunks stays in place, in a mixture with everything else.
    pub fn delivery(self) -> Delivery {
        match (self.chunks(), self.0.count_ones() % 2) {
            (true, _) => Delivery::Chunks,
            (false, 0) => Delivery::Messages,
            (false, _) => Delivery::InPlace,
        }
    }

    pub fn auto_pong(self) -> bool {
        self.0 & 4 == 0
    }

    /// Limits that a small input reaches.
    pub fn tight(self) -> bool {
        self.0 & 8 != 0
    }

    /// Whether `out` is never emptied.
    pub fn never_drained(self) -> bool {
        self.0 & 16 != 0
    }

    /// What `out` holds when it is handed over: nothing, or so much that few Pongs find room.
    pub fn out(self) -> BytesMut {
        if self.0 & 128 == 0 { BytesMut::new() } else { BytesMut::zeroed(PONG_BACKLOG - 40) }
    }

    /// Whether the connection sent its Close before the first byte came.
    pub fn closing(self) -> bool {
        self.0 & 32 != 0
    }

    /// Whether permessage-deflate was agreed on.
    pub fn compressed(self) -> bool {
        self.0 & 64 != 0
    }

    /// The same without permessage-deflate.
    #[must_use]
    pub fn plain(self) -> Self {
        Self(self.0 & !64)
    }

    pub fn config(self) -> Config {
        let config = Config::default().delivery(self.delivery()).auto_pong(self.auto_pong());
        if self.tight() {
            config.max_message_len(300).max_frame_len(200).max_fragments(4)
        } else {
            config.max_message_len(Limit::Unlimited)
        }
    }

    pub fn connection(self) -> Connection {
        let connection = if self.server() {
            Connection::server(&self.config())
        } else {
            Connection::client(&self.config(), [self.0; 32])
        };
        if self.compressed() { compress(connection, self.server(), self.0 & 128 == 0) } else { connection }
    }

    /// The rules by which such a connection must judge its input.
    pub fn rules(self) -> Rules {
        let config = self.config();
        let number = |limit| match limit {
            Limit::AtMost(n) => n,
            Limit::Unlimited => u64::MAX,
        };
        Rules {
            masked: self.server(),
            parts: self.chunks(),
            max_message: number(config.max_message_len),
            max_frame: number(config.max_frame_len),
            max_fragments: number(config.max_fragments),
            compressed: false,
            pongs_after_close: false,
        }
    }
}

/// The connection with permessage-deflate as both sides agree by default, with or without context takeover.
pub fn compress(connection: Connection, server: bool, context_takeover: bool) -> Connection {
    let settings = Deflate::default().context_takeover(context_takeover).peer_context_takeover(context_takeover);
    let (answer, agreement) = settings.answer(&settings.offer()).expect("both sides are the same");
    let agreement = if server { agreement } else { settings.confirm(&answer).expect("both sides are the same") };
    connection.with_deflate(agreement, &settings)
}

/// What `receive` left of `input` after `None`: at most a payload that stays where it lies.
pub fn left(connection: &Connection, input: &[u8]) -> Vec<u8> {
    assert!(input.is_empty() || connection.missing() > 0, "nothing else is left when more is asked for");
    input.to_vec()
}

/// The strict peer that reads all that one connection writes.
#[derive(Debug)]
pub struct Judge {
    reader: Reader,
}

impl Judge {
    pub fn of(server: bool) -> Self {
        Self { reader: Reader::new(Rules::for_output_of(server)) }
    }

    /// The same for a connection that may compress. What compressed messages say is not read.
    pub fn of_compressed(server: bool) -> Self {
        Self { reader: Reader::new(Rules { compressed: true, ..Rules::for_output_of(server) }) }
    }

    /// Reads what a call appended: whole valid frames, each with a masking key of its own. Returns what they say.
    pub fn read(&mut self, appended: &[u8]) -> Vec<Entry> {
        let keys = self.reader.keys().len();
        self.reader.push_all(appended);
        assert_eq!(*self.reader.stand(), Stand::Reading, "own output is valid: {appended:02x?}");
        assert!(self.reader.between_frames(), "a call appends whole frames: {appended:02x?}");
        for pair in self.reader.keys()[keys.saturating_sub(1)..].windows(2) {
            assert!(pair[0].is_none() || pair[0] != pair[1], "a fresh key a frame");
        }
        self.reader.take_trace()
    }
}

/// What holds of every connection at every moment: its state, its verdict on the transport and its account of the end
/// agree.
pub fn check(connection: &Connection, server: bool) {
    let (state, transport, info) = (connection.state(), connection.transport(), connection.close_info());
    match state {
        State::Open => {
            assert_eq!(transport, Transport::KeepOpen);
            assert_eq!(info, None);
        }
        State::Closing => {
            assert_eq!(transport, Transport::KeepOpen);
            let info = info.expect("a Close was sent");
            assert!(info.sent.is_some() && info.received.is_none() && !info.clean && info.cause.is_none());
        }
        State::Closed => {
            let info = info.expect("there is an end to tell of");
            assert_eq!(info.clean, info.sent.is_some() && info.received.is_some() && info.cause.is_none());
            assert!(info.clean != info.cause.is_some(), "an end is clean or has a cause");
            assert_eq!(info.code(), info.received.as_ref().map_or(1006, |status| status.code));
            let waiting = if info.clean && !server { Transport::KeepOpen } else { Transport::ShutdownWrite };
            assert!([waiting, Transport::Close, Transport::Abort].contains(&transport), "{transport:?} at {info:?}");
        }
    }
}

/// Everything about a connection that can be asked, for comparison.
pub fn answers(connection: &Connection) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        connection.state(),
        connection.transport(),
        connection.close_info().cloned(),
        connection.poll_timeout(),
        connection.latency(),
    )
}

/// How many bytes `out` must hold before Pings are no longer answered at once.
pub const PONG_BACKLOG: usize = 16 << 10;

/// What must be appended to `out` for the Pings that come, as the contract words it.
#[derive(Debug, Default)]
pub struct Pongs {
    owed: Option<Vec<u8>>,
}

impl Pongs {
    /// A call begins: the answer that waits goes first, once there is room.
    pub fn call(&mut self, out: &BytesMut) -> Option<Entry> {
        if out.len() < PONG_BACKLOG { self.owed.take().map(Entry::Pong) } else { None }
    }

    /// A Ping came while `out` holds `out_len` bytes.
    pub fn ping(&mut self, payload: &[u8], out_len: usize) -> Option<Entry> {
        if out_len < PONG_BACKLOG {
            return Some(Entry::Pong(payload.to_vec()));
        }
        self.owed = Some(payload.to_vec());
        None
    }

    /// The connection ended, and what was owed with it.
    pub fn end(&mut self) {
        self.owed = None;
    }
}

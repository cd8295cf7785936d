//! Connections in every configuration, and the judge of what they write.

use bytes::BytesMut;
use sansock::{Config, Connection, Delivery, Limit, State, Transport};

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

    /// Whether the connection sent its Close before the first byte came.
    pub fn closing(self) -> bool {
        self.0 & 32 != 0
    }

    pub fn config(self) -> Config {
        let config = Config::default()
            .delivery(if self.chunks() { Delivery::Chunks } else { Delivery::Messages })
            .auto_pong(self.auto_pong());
        if self.tight() {
            config.max_message_len(300).max_frame_len(200).max_fragments(4)
        } else {
            config.max_message_len(Limit::Unlimited)
        }
    }

    pub fn connection(self) -> Connection {
        if self.server() {
            Connection::server(&self.config())
        } else {
            Connection::client(&self.config(), [self.0; 32])
        }
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
            pongs_after_close: false,
        }
    }
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

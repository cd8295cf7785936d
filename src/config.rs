//! [`Config`]: every limit, deadline and policy of a connection, and the reason for each default.

use core::time::Duration;

#[cfg(feature = "deflate")]
use crate::deflate::Deflate;
use crate::message::Delivery;
#[cfg(feature = "handshake")]
use crate::origin::OriginPolicy;

/// An inclusive upper bound. Every bound is finite unless somebody writes `Unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So much is accepted, and not one more.
    AtMost(u64),
    /// No bound of ours. A frame still ends at 2⁶³ - 1 bytes (RFC 6455 §5.2).
    Unlimited,
}

impl Limit {
    pub(crate) const fn get(self) -> u64 {
        match self {
            Self::AtMost(n) => n,
            Self::Unlimited => u64::MAX,
        }
    }
}

impl From<u64> for Limit {
    fn from(at_most: u64) -> Self {
        Self::AtMost(at_most)
    }
}

/// When silence is broken by a Ping, and how long its answer may take (RFC 6455 §5.5.2).
///
/// Any byte from the peer counts as a sign of life, so that a large message on a slow link is none of silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keepalive {
    /// A Ping goes out after so much silence. 20 s: below the usual 30 to 60 s of proxies and NATs.
    pub interval: Duration,
    /// The connection fails when so much more silence follows. 20 s: a phone that changes networks comes back.
    pub timeout: Duration,
}

impl Keepalive {
    /// A keepalive with these two times; each is rounded up to at least one millisecond.
    #[must_use]
    pub const fn new(interval: Duration, timeout: Duration) -> Self {
        Self { interval, timeout }
    }
}

impl Default for Keepalive {
    fn default() -> Self {
        Self::new(Duration::from_secs(20), Duration::from_secs(20))
    }
}

/// Limits, deadlines and policies, for both roles. `Config::default()` is safe to expose to the internet.
///
/// All limits are inclusive, hold for all [`Delivery`] modes and are checked when a header announces, before a byte
/// is stored. Deadlines are kept to the millisecond; the longest is 49 days.
///
/// ```
/// use sansock::{Config, Limit};
///
/// let config = Config::default().max_message_len(64 << 20).max_fragments(Limit::Unlimited).keepalive(None);
/// assert_eq!(config.max_message_len, Limit::AtMost(64 << 20));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Payload bytes of one message, all its fragments together; 1009 beyond. 1 MiB: what a connection can make us
    /// hold.
    pub max_message_len: Limit,
    /// Payload bytes of one data frame; 1009 beyond. Unlimited: the message limit bounds it already.
    pub max_frame_len: Limit,
    /// Data frames of one message, the first and the empty ones too; 1009 beyond. 131,072: twice what the Autobahn
    /// suite sends, and few enough that empty frames cannot keep a message open for ever.
    pub max_fragments: Limit,
    /// Answer each Ping with a Pong at once (RFC 6455 §5.5.2). On: it is a MUST; switch it off to answer by
    /// [`Connection::pong`](crate::Connection::pong) yourself.
    pub auto_pong: bool,
    /// Whole messages, or pieces as they arrive in bounded memory. Whole messages: what most programs want.
    pub delivery: Delivery,
    /// Pings in silence; `None` switches them off. On: a peer that vanished without a word is noticed.
    pub keepalive: Option<Keepalive>,
    /// The connection ends after so long without a data frame in either direction. Off: silence is normal.
    pub idle_timeout: Option<Duration>,
    /// How long the closing handshake, and then the peer's end of the connection, may take. 10 s.
    pub close_timeout: Option<Duration>,
    /// How long a [`Driver`](crate::Driver) waits while output is pending and the transport accepts none of it; each
    /// accepted byte restarts the wait. 60 s: longer than any pause of a network that recovers. Without a driver it has
    /// no effect.
    ///
    /// After our Close, as long as a part of that is unwritten, this is the only deadline.
    pub stall_timeout: Option<Duration>,
    /// permessage-deflate (RFC 7692). Off: compression tells an attacker who can place text beside a secret about the
    /// secret, and costs the receiver up to a thousand times the work of plain bytes.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Deflate>,
    /// How long the opening handshake may take, and each step before it that an adapter takes: connecting, the tunnel
    /// through a proxy, TLS. 10 s: enough for three lost packets, too short to hoard sockets.
    pub handshake_timeout: Option<Duration>,
    /// Bytes of an HTTP head, from its first byte to its blank line; 431 beyond. 16 KiB: browsers with many cookies.
    pub max_head_len: usize,
    /// Bytes of one line of it, without its CRLF; a request line beyond is 414, a field line 431. 8 KiB.
    pub max_line_len: usize,
    /// Field lines of it, repeated names too; 431 beyond. 100: browsers behind proxies send up to 40.
    pub max_headers: usize,
    /// Body bytes that a client keeps of an answer other than 101. 64 KiB: enough for an error page.
    pub max_body_len: usize,
    /// Which web pages may connect to a server. Its own, and whatever is no web page: the only thing that keeps a
    /// foreign page from using its visitor's cookies (RFC 6455 §10.2).
    #[cfg(feature = "handshake")]
    pub origin: OriginPolicy,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message_len: Limit::AtMost(1 << 20),
            max_frame_len: Limit::Unlimited,
            max_fragments: Limit::AtMost(131_072),
            auto_pong: true,
            delivery: Delivery::Messages,
            keepalive: Some(Keepalive::default()),
            idle_timeout: None,
            close_timeout: Some(Duration::from_secs(10)),
            stall_timeout: Some(Duration::from_secs(60)),
            #[cfg(feature = "deflate")]
            deflate: None,
            handshake_timeout: Some(Duration::from_secs(10)),
            max_head_len: 16 << 10,
            max_line_len: 8 << 10,
            max_headers: 100,
            max_body_len: 64 << 10,
            #[cfg(feature = "handshake")]
            origin: OriginPolicy::same(),
        }
    }
}

/// One setter a field, for chaining; the fields say what each means.
impl Config {
    /// Sets [`Config::max_message_len`].
    #[must_use]
    pub fn max_message_len(mut self, limit: impl Into<Limit>) -> Self {
        self.max_message_len = limit.into();
        self
    }

    /// Sets [`Config::max_frame_len`].
    #[must_use]
    pub fn max_frame_len(mut self, limit: impl Into<Limit>) -> Self {
        self.max_frame_len = limit.into();
        self
    }

    /// Sets [`Config::max_fragments`].
    #[must_use]
    pub fn max_fragments(mut self, limit: impl Into<Limit>) -> Self {
        self.max_fragments = limit.into();
        self
    }

    /// Sets [`Config::auto_pong`].
    #[must_use]
    pub fn auto_pong(mut self, on: bool) -> Self {
        self.auto_pong = on;
        self
    }

    /// Sets [`Config::delivery`].
    #[must_use]
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// Sets [`Config::keepalive`].
    #[must_use]
    pub fn keepalive(mut self, keepalive: impl Into<Option<Keepalive>>) -> Self {
        self.keepalive = keepalive.into();
        self
    }

    /// Sets [`Config::idle_timeout`].
    #[must_use]
    pub fn idle_timeout(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.idle_timeout = after.into();
        self
    }

    /// Sets [`Config::close_timeout`].
    #[must_use]
    pub fn close_timeout(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.close_timeout = after.into();
        self
    }

    /// Sets [`Config::stall_timeout`].
    #[must_use]
    pub fn stall_timeout(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.stall_timeout = after.into();
        self
    }

    /// Sets [`Config::deflate`].
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, deflate: impl Into<Option<Deflate>>) -> Self {
        self.deflate = deflate.into();
        self
    }

    /// Sets [`Config::handshake_timeout`].
    #[must_use]
    pub fn handshake_timeout(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.handshake_timeout = after.into();
        self
    }

    /// Sets [`Config::max_head_len`].
    #[must_use]
    pub fn max_head_len(mut self, bytes: usize) -> Self {
        self.max_head_len = bytes;
        self
    }

    /// Sets [`Config::max_line_len`].
    #[must_use]
    pub fn max_line_len(mut self, bytes: usize) -> Self {
        self.max_line_len = bytes;
        self
    }

    /// Sets [`Config::max_headers`].
    #[must_use]
    pub fn max_headers(mut self, lines: usize) -> Self {
        self.max_headers = lines;
        self
    }

    /// Sets [`Config::max_body_len`].
    #[must_use]
    pub fn max_body_len(mut self, bytes: usize) -> Self {
        self.max_body_len = bytes;
        self
    }

    /// Sets [`Config::origin`].
    #[cfg(feature = "handshake")]
    #[must_use]
    pub fn origin(mut self, policy: OriginPolicy) -> Self {
        self.origin = policy;
        self
    }
}

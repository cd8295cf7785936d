//! When a client tries again, and whether: [`Backoff`], and what is transient (RFC 6455 §7.2.3).
//!
//! Here is no clock and no source of randomness. Whoever reconnects asks an error whether it
//! [is transient](crate::Error::is_transient), waits as long as a [`Backoff`] says, and tries again.

use core::{iter::FusedIterator, time::Duration};

use chacha20::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::{close::CloseInfo, error::Error};

/// How long to wait before each new attempt: an iterator without end.
///
/// The first wait is anything up to 5 s, so that all the clients of a server that went down do not come back at once
/// (RFC 6455 §7.2.3). The further ones grow by 1.6 each, from 3.1 s to 90 s, and each is shortened by a random part of up
/// to a half. The same seed gives the same waits.
///
/// ```
/// use std::time::Duration;
///
/// use sansock::backoff::Backoff;
///
/// let mut backoff = Backoff::new(sansock::seed()?).first(Duration::from_secs(1));
/// let wait = backoff.next().unwrap_or_default();
/// assert!(wait <= Duration::from_secs(1));
/// # Ok::<(), sansock::NoEntropy>(())
/// ```
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    least: Duration,
    most: Duration,
    /// What the next wait is at most; `None` before the first.
    next: Option<Duration>,
    random: ChaCha12Rng,
}

impl Backoff {
    /// With the waits that the type describes. The seed need not be secret, but another for each client.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            first: Duration::from_secs(5),
            least: Duration::from_millis(3100),
            most: Duration::from_secs(90),
            next: None,
            random: ChaCha12Rng::from_seed(seed),
        }
    }

    /// The first wait is at most so long; zero tries again at once.
    #[must_use]
    pub fn first(mut self, most: Duration) -> Self {
        self.first = most;
        self
    }

    /// The further waits grow from `least` to `most`. `least` is at least a millisecond, and `most` no less than that.
    #[must_use]
    pub fn then(mut self, least: Duration, most: Duration) -> Self {
        self.least = least.max(Duration::from_millis(1));
        self.most = most.max(self.least);
        self
    }

    /// Begins anew: call it when a connection has proved itself.
    pub fn reset(&mut self) {
        self.next = None;
    }

    /// The longest wait.
    #[must_use]
    pub fn most(&self) -> Duration {
        self.most.max(self.first)
    }

    /// A random part of this time.
    fn part_of(&mut self, time: Duration) -> Duration {
        // 2³² parts: finer than any timer.
        let part = f64::from(self.random.next_u32()) / f64::from(u32::MAX);
        Duration::try_from_secs_f64(time.as_secs_f64() * part).map_or(time, |wait| wait.min(time))
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = match self.next {
            None => self.part_of(self.first),
            Some(most) => most.saturating_sub(self.part_of(most / 2)),
        };
        let next = self.next.map_or(self.least, |most| most.saturating_mul(8) / 5);
        self.next = Some(next.min(self.most));
        Some(wait)
    }
}

impl FusedIterator for Backoff {}

impl Error {
    /// Whether another connection may do better: the transport or the peer was gone or too late. What broke a rule or a
    /// limit would do so again, and [`Failed`](Error::Failed) is the program's own decision.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        match self {
            Self::ConnectionLost
            | Self::KeepaliveTimeout
            | Self::IdleTimeout
            | Self::CloseTimeout
            | Self::StallTimeout
            | Self::Unwritten => true,
            Self::Protocol(_)
            | Self::InvalidUtf8
            | Self::InvalidDeflate
            | Self::TooBig
            | Self::TooManyFragments
            | Self::Failed(_) => false,
        }
    }
}

impl CloseInfo {
    /// Whether the connection ended by something that passes: its [`cause`](CloseInfo::cause) did, or the peer said that
    /// it goes away (1001), failed by itself (1011), restarts (1012), is overloaded (1013) or has no way on (1014). Not a
    /// normal end, nor codes from 3000 on, which an application gives their meaning.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match (&self.cause, &self.received) {
            (Some(cause), _) => cause.is_transient(),
            (None, Some(close)) => matches!(close.code, 1001 | 1011..=1014),
            (None, None) => false,
        }
    }
}

#[cfg(feature = "handshake")]
mod opening {
    use crate::handshake::{
        HandshakeError,
        proxy::{ProxyError, SocksReply},
    };

    /// A server or a gateway that may be up again soon.
    const fn is_transient(status: u16) -> bool {
        matches!(status, 500 | 502..=504)
    }

    impl HandshakeError {
        /// Whether another attempt may do better: the transport ended or nothing came in time, or the status is 500, 502,
        /// 503 or 504. Whatever else a server says, it would say again.
        #[must_use]
        pub fn is_transient(&self) -> bool {
            match self {
                Self::Timeout | Self::ConnectionLost => true,
                Self::Rejected(response) => is_transient(response.status()),
                _ => false,
            }
        }
    }

    impl ProxyError {
        /// The same for a proxy; also when it cannot reach the server.
        #[must_use]
        pub fn is_transient(&self) -> bool {
            match self {
                Self::Timeout | Self::ConnectionLost => true,
                Self::Rejected(response) => is_transient(response.status()),
                Self::Reply(reply) => matches!(
                    reply,
                    SocksReply::General
                        | SocksReply::NetworkUnreachable
                        | SocksReply::HostUnreachable
                        | SocksReply::ConnectionRefused
                        | SocksReply::TtlExpired
                ),
                _ => false,
            }
        }
    }
}

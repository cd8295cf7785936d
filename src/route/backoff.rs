//! How long a client waits before it tries again: [`Backoff`] (RFC 6455 §7.2.3).
//!
//! No clock and no source of randomness. A client that reconnects asks the error whether it
//! [is transient](crate::Error::is_transient), waits as long as a [`Backoff`] says, and tries again.

use core::{iter::FusedIterator, time::Duration};

use chacha20::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};

/// How long to wait before each new attempt: an iterator without end.
///
/// The first wait is anything up to 5 s, so that all the clients of a server that went down do not come back at once
/// (RFC 6455 §7.2.3). The further ones grow by 1.6 each, from 3.1 s to 90 s, and each is shortened by a random part of
/// up to a half. The same seed gives the same waits.
///
/// ```
/// use std::time::Duration;
///
/// use sansock::Backoff;
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

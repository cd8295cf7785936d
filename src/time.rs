//! Time, as an argument: [`Timestamp`], and [`Clock`], which makes one of the operating system's clock.

use core::{
    ops::{Add, Sub},
    time::Duration,
};

/// A moment: the time since an instant that the caller chose, in nanoseconds (584 years fit).
///
/// The machine never reads a clock; whoever drives it passes `now`, and may pass a simulated one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The instant that the caller chose. As a deadline it means "at once".
    pub const ZERO: Self = Self(0);

    /// The last moment there is. As a deadline it means "never".
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `since_start` after the chosen instant; saturates after 584 years.
    #[must_use]
    pub const fn from_duration(since_start: Duration) -> Self {
        let nanos = since_start.as_nanos();
        Self(if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 })
    }

    /// How long after the chosen instant this moment is.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long after `earlier` this moment is; zero when it is not after it.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment so many milliseconds later; saturates.
    #[inline]
    pub(crate) const fn after_millis(self, millis: u32) -> Self {
        Self(self.0.saturating_add(millis as u64 * 1_000_000))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates instead of overflowing.
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(Self::from_duration(later).0))
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    /// Zero when `earlier` is not earlier.
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_since(earlier)
    }
}

/// Turns the operating system's monotonic clock into [`Timestamp`]s: what an adapter keeps beside a connection.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub struct Clock(std::time::Instant);

#[cfg(feature = "std")]
impl Clock {
    /// A clock whose zero is now.
    #[must_use]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time since [`Clock::start`].
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_duration(self.0.elapsed())
    }

    /// The `Instant` of a moment, for runtimes whose timers take one. `None` when it lies beyond what the
    /// operating system can express.
    #[must_use]
    pub fn instant(&self, at: Timestamp) -> Option<std::time::Instant> {
        self.0.checked_add(at.as_duration())
    }
}

#[cfg(feature = "std")]
impl Default for Clock {
    fn default() -> Self {
        Self::start()
    }
}

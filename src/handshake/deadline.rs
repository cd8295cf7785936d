//! One deadline of a machine that has no clock (R91).

use core::time::Duration;

use crate::time::Timestamp;

/// Set while the time is unknown, dated by the next call that knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deadline {
    Off,
    Undated(Duration),
    At(Timestamp),
}

impl Deadline {
    /// So long after the moment that [`passed`](Self::passed) is told next.
    pub(crate) fn after(time: Option<Duration>) -> Self {
        time.map_or(Self::Off, Self::Undated)
    }

    /// When [`passed`](Self::passed) wants to be asked next.
    pub(crate) fn poll(self) -> Option<Timestamp> {
        match self {
            Self::Off => None,
            Self::Undated(_) => Some(Timestamp::ZERO),
            Self::At(at) => Some(at),
        }
    }

    /// Dates it, if it is not, and tells whether it is over; then it is off.
    pub(crate) fn passed(&mut self, now: Timestamp) -> bool {
        if let Self::Undated(time) = *self {
            *self = Self::At(now + time);
        }
        let passed = matches!(*self, Self::At(at) if at <= now);
        if passed {
            *self = Self::Off;
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_duration(Duration::from_millis(millis))
    }

    #[test]
    fn a_deadline_counts_from_the_first_call_that_knows_the_time_and_passes_once() {
        let mut deadline = Deadline::after(Some(Duration::from_millis(10)));
        assert_eq!(deadline.poll(), Some(Timestamp::ZERO));
        assert!(!deadline.passed(at(5)));
        assert_eq!(deadline.poll(), Some(at(15)));
        assert!(!deadline.passed(at(14)));
        assert!(deadline.passed(at(15)));
        assert_eq!(deadline.poll(), None);
        assert!(!deadline.passed(at(99)));
        assert!(Deadline::after(Some(Duration::ZERO)).passed(at(1)));
        assert_eq!(Deadline::after(None).poll(), None);
    }
}

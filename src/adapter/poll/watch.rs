//! The clock of a connection: it runs while the program waits for the peer.

use core::time::Duration;
use std::time::Instant;

use crate::Timestamp;

/// A task that is woken by its timer looks at the clock soon afterwards. One that looks this much later was busy, or
/// had nothing that waited: the time in between does not count.
const LATE: Duration = Duration::from_secs(1);

/// Who waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Receiver,
    Sender,
}

/// Time, as far as it counts against the peer: it stands still while nobody waits, because a program that is busy does
/// not look whether something came.
#[derive(Debug)]
pub(super) struct Watch {
    now: Timestamp,
    /// The instant at which it was `now`.
    looked_at: Instant,
    waiting: [bool; 2],
    /// When the timer rings. A deadline that moves away leaves it alone: it is moved when it rings, not at each
    /// message.
    pub(super) alarm: Option<Instant>,
}

impl Watch {
    pub(super) fn new(instant: Instant) -> Self {
        Self { now: Timestamp::ZERO, looked_at: instant, waiting: [false; 2], alarm: None }
    }

    /// What time it is at `instant`.
    pub(super) fn look(&mut self, instant: Instant) -> Timestamp {
        let is_late = self.alarm.is_some_and(|alarm| instant.saturating_duration_since(alarm) > LATE);
        if self.waiting != [false; 2] && !is_late {
            self.now = self.now + instant.saturating_duration_since(self.looked_at);
        }
        self.looked_at = instant;
        self.now
    }

    /// The instant at which it will be `at`, if the clock runs from now on; `None` beyond what the operating system can
    /// express.
    pub(super) fn instant(&self, at: Timestamp) -> Option<Instant> {
        self.looked_at.checked_add(at - self.now)
    }

    pub(super) fn wait(&mut self, side: Side) {
        self.waiting[side as usize] = true;
    }

    /// The wait of this side is over. What it waited until now counts: the clock is asked for that, if it ran.
    pub(super) fn stop(&mut self, side: Side, instant: impl FnOnce() -> Instant) {
        if self.waiting[side as usize] {
            self.look(instant());
            self.waiting[side as usize] = false;
        }
    }
}

//! The clock of a connection: it runs while the program waits for the peer.

use core::mem;
use std::time::Instant;

use crate::Timestamp;

/// Who waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Receiver,
    Sender,
}

/// Time, as far as it counts against the peer: it stands still while nobody waits, because a program that is busy does
/// not look whether something came, and while a slow peer still takes what is written to it.
#[derive(Debug)]
pub(super) struct Watch {
    now: Timestamp,
    /// When it was so late.
    looked_at: Instant,
    waiting: [bool; 2],
    /// The peer took bytes since then.
    progress: bool,
    /// When the timer rings. A deadline that moves away leaves it alone: it is moved when it rings, not at each message.
    pub(super) alarm: Option<Instant>,
}

impl Watch {
    pub(super) fn new(instant: Instant) -> Self {
        Self { now: Timestamp::ZERO, looked_at: instant, waiting: [false; 2], progress: false, alarm: None }
    }

    /// The peer took bytes, and there are more for it.
    pub(super) fn progress(&mut self) {
        self.progress = true;
    }

    /// What it is now.
    pub(super) fn look(&mut self, instant: Instant) -> Timestamp {
        let stands_still = mem::take(&mut self.progress) || self.waiting == [false; 2];
        if !stands_still {
            self.now = self.now + instant.saturating_duration_since(self.looked_at);
        }
        self.looked_at = instant;
        self.now
    }

    /// When it will be so late, if it runs from now on; `None` beyond what the operating system can express.
    pub(super) fn instant(&self, at: Timestamp) -> Option<Instant> {
        self.looked_at.checked_add(at - self.now)
    }

    pub(super) fn wait(&mut self, side: Side) {
        self.waiting[side as usize] = true;
    }

    pub(super) fn done(&mut self, side: Side) {
        self.waiting[side as usize] = false;
    }
}

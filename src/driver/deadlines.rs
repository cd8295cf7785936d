//! [`Deadlines`]: the deadlines of many connections, one entry for each.

use alloc::{collections::BTreeSet, vec::Vec};

use crate::time::Timestamp;

/// When each connection of an event loop needs its next turn, at the latest.
///
/// Connections have small numbers as keys: the index in a `Vec` or a slab, or a file descriptor. There is at most one
/// entry per connection. Deadlines move away with almost every message. [`set`](Self::set) leaves an entry in place
/// that is too early, so a message costs one comparison. When that entry is due, the connection has a turn in which
/// nothing happens, and `set` gets the new deadline.
///
/// ```
/// use std::time::Duration;
/// use sansock::{Timestamp, driver::Deadlines};
///
/// let at = |seconds| Timestamp::from_duration(Duration::from_secs(seconds));
/// let mut deadlines = Deadlines::new();
/// deadlines.set(7, at(20));
/// deadlines.set(7, at(25)); // later: the entry stays
/// deadlines.set(8, at(10));
/// assert_eq!(deadlines.next(), at(10));
/// assert_eq!(deadlines.take_due(at(20)), [8, 7]);
/// assert_eq!(deadlines.next(), Timestamp::MAX);
/// ```
#[derive(Debug, Default)]
pub struct Deadlines {
    queue: BTreeSet<(Timestamp, usize)>,
    /// The entry of each key; `MAX` where there is none.
    entries: Vec<Timestamp>,
}

impl Deadlines {
    /// No entries.
    #[must_use]
    pub const fn new() -> Self {
        Self { queue: BTreeSet::new(), entries: Vec::new() }
    }

    /// `key` needs a turn at `at`, or earlier. With [`Timestamp::MAX`] it needs none.
    #[inline]
    pub fn set(&mut self, key: usize, at: Timestamp) {
        match self.entries.get(key) {
            Some(entry) if *entry <= at => {}
            _ => self.replace(key, at),
        }
    }

    /// `key` is no longer in use.
    pub fn remove(&mut self, key: usize) {
        self.replace(key, Timestamp::MAX);
    }

    /// The earliest deadline; [`Timestamp::MAX`] where there is none.
    #[must_use]
    pub fn next(&self) -> Timestamp {
        self.queue.first().map_or(Timestamp::MAX, |(at, _)| *at)
    }

    /// Removes the entries that are due at `now`, and returns their keys, the earliest first. An entry that is set
    /// meanwhile, even with [`Timestamp::ZERO`], is due at the next call: so no connection delays the others.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<usize> {
        let mut due = Vec::new();
        while let Some((at, key)) = self.queue.first().copied().filter(|(at, _)| *at <= now) {
            self.queue.remove(&(at, key));
            self.entries[key] = Timestamp::MAX;
            due.push(key);
        }
        due
    }

    fn replace(&mut self, key: usize, at: Timestamp) {
        if self.entries.len() <= key {
            if at == Timestamp::MAX {
                return;
            }
            self.entries.resize(key + 1, Timestamp::MAX);
        }
        let entry = core::mem::replace(&mut self.entries[key], at);
        if entry < Timestamp::MAX {
            self.queue.remove(&(entry, key));
        }
        if at < Timestamp::MAX {
            self.queue.insert((at, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_duration(Duration::from_secs(seconds))
    }

    #[test]
    fn an_entry_moves_to_an_earlier_time_and_is_due_once() {
        let mut deadlines = Deadlines::new();
        deadlines.set(3, at(20));
        deadlines.set(3, at(30));
        assert_eq!(deadlines.next(), at(20));
        deadlines.set(3, at(10));
        assert_eq!((deadlines.next(), deadlines.queue.len()), (at(10), 1));
        assert!(deadlines.take_due(at(9)).is_empty());
        assert_eq!(deadlines.take_due(at(10)), [3]);
        assert!(deadlines.take_due(at(100)).is_empty());
        deadlines.set(3, at(30));
        assert_eq!(deadlines.next(), at(30));
    }

    #[test]
    fn a_key_that_is_removed_or_has_no_deadline_is_never_due() {
        let mut deadlines = Deadlines::new();
        deadlines.set(9, Timestamp::MAX);
        deadlines.remove(9);
        assert!(deadlines.entries.is_empty());
        deadlines.set(1, at(1));
        deadlines.set(2, at(2));
        deadlines.remove(1);
        assert_eq!(deadlines.take_due(Timestamp::MAX), [2]);
    }

    #[test]
    fn a_key_that_is_set_at_once_is_due_again_after_the_others() {
        let mut deadlines = Deadlines::new();
        deadlines.set(5, Timestamp::ZERO);
        deadlines.set(6, at(1));
        for key in deadlines.take_due(at(1)) {
            deadlines.set(key, Timestamp::ZERO);
        }
        assert_eq!(deadlines.take_due(at(1)), [5, 6]);
    }
}

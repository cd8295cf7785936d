//! Happy Eyeballs (RFC 8305 §4, §5) without I/O: in which order to try the addresses of a host, and when to start each
//! attempt. The adapters resolve the name and make the attempts.
//!
//! The resolvers of `std` and tokio return both families together, so §3, which starts with the family that is resolved
//! first, does not apply.

use core::time::Duration;
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    vec::{self, Vec},
};

use crate::time::Timestamp;

/// "One recommended value for a default delay is 250 milliseconds." (§5)
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The attempts to connect to one host.
///
/// Call [`next`](Self::next) and do what it returns, in a loop. When an attempt fails, report it with
/// [`failed`](Self::failed). When one connects, stop and drop the others: "all other connections attempts that have not
/// yet succeeded SHOULD be canceled" (§5).
#[derive(Debug)]
pub(super) struct Dial {
    untried: vec::IntoIter<SocketAddr>,
    /// How many attempts have neither connected nor failed.
    running: usize,
    /// When the next attempt may start.
    next_at: Timestamp,
    deadline: Option<Timestamp>,
    /// The error to return when no attempt is left.
    error: io::Error,
}

/// What [`Dial::next`] asks for.
#[derive(Debug)]
pub(super) enum Step {
    /// Start an attempt to connect to this address.
    Start(SocketAddr),
    /// Wait until an attempt ends, but at most this long.
    Wait(Option<Duration>),
    /// Drop all attempts and return this error.
    Fail(io::Error),
}

impl Dial {
    /// Takes the addresses in the order of the resolver. `timeout` is for all of them together; it counts from
    /// [`Timestamp::ZERO`].
    pub(super) fn new(addresses: impl IntoIterator<Item = SocketAddr>, timeout: Option<Duration>) -> Self {
        Self {
            untried: interleave(addresses).into_iter(),
            running: 0,
            next_at: Timestamp::ZERO,
            deadline: timeout.map(Timestamp::from_duration),
            error: io::Error::new(ErrorKind::NotFound, "the host has no address"),
        }
    }

    /// What to do now. Without addresses, and after all attempts have failed, that is to fail with the last error.
    pub(super) fn next(&mut self, now: Timestamp) -> Step {
        if self.running == 0 && self.untried.as_slice().is_empty() {
            return Step::Fail(core::mem::replace(&mut self.error, ErrorKind::NotConnected.into()));
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Step::Fail(io::Error::new(ErrorKind::TimedOut, "no address of the host answered in time"));
        }
        if self.next_at <= now
            && let Some(address) = self.untried.next()
        {
            self.running += 1;
            self.next_at = now + ATTEMPT_DELAY;
            return Step::Start(address);
        }
        let next_at = (!self.untried.as_slice().is_empty()).then_some(self.next_at);
        Step::Wait(next_at.into_iter().chain(self.deadline).min().map(|at| at - now))
    }

    /// Records that an attempt failed. The next one may start at once.
    pub(super) fn failed(&mut self, error: io::Error) {
        self.running -= 1;
        self.next_at = Timestamp::ZERO;
        self.error = error;
    }

    #[cfg(feature = "blocking")]
    /// How long an attempt that starts now may take.
    pub(super) fn time_left(&self, now: Timestamp) -> Option<Duration> {
        self.deadline.map(|deadline| deadline - now)
    }
}

/// "Whichever address family is first in the list should be followed by an address of the other address family" (§4);
/// the order within a family stays.
fn interleave(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses = addresses.into_iter().peekable();
    let first_is_ipv6 = addresses.peek().is_some_and(SocketAddr::is_ipv6);
    let (first, other): (Vec<_>, Vec<_>) = addresses.partition(|address| address.is_ipv6() == first_is_ipv6);
    let (mut first, mut other) = (first.into_iter(), other.into_iter());
    let mut order = Vec::with_capacity(first.len() + other.len());
    while first.len() + other.len() > 0 {
        order.extend(first.next());
        order.extend(other.next());
    }
    order
}

#[cfg(all(test, target_os = "linux"))]
#[path = "../../tests/support/swallowing.rs"]
#[allow(dead_code, reason = "each adapter needs a part of it")]
pub(super) mod swallowing;

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn at(time: u64) -> Timestamp {
        Timestamp::from_duration(millis(time))
    }

    fn address(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 80)
    }

    fn order(addresses: &str) -> Vec<SocketAddr> {
        interleave(addresses.split_whitespace().map(address))
    }

    fn dial(addresses: &str, timeout: Option<u64>) -> Dial {
        Dial::new(addresses.split_whitespace().map(address), timeout.map(millis))
    }

    #[track_caller]
    fn starts(dial: &mut Dial, now: u64, expected: &str) {
        let step = dial.next(at(now));
        assert!(matches!(step, Step::Start(found) if found == address(expected)), "{step:?}");
    }

    #[track_caller]
    fn waits(dial: &mut Dial, now: u64, expected: Option<u64>) {
        let step = dial.next(at(now));
        assert!(matches!(step, Step::Wait(found) if found == expected.map(millis)), "{step:?}");
    }

    #[track_caller]
    fn fails(dial: &mut Dial, now: u64, expected: ErrorKind) {
        let step = dial.next(at(now));
        assert!(matches!(&step, Step::Fail(error) if error.kind() == expected), "{step:?}");
    }

    #[test]
    fn families_alternate_from_the_first_and_each_keeps_its_order() {
        let [a6, b6, a4, b4, c4] = ["::a", "::b", "10.0.0.1", "10.0.0.2", "10.0.0.3"].map(address);
        assert_eq!(order("::a ::b 10.0.0.1 10.0.0.2 10.0.0.3"), [a6, a4, b6, b4, c4]);
        assert_eq!(order("10.0.0.1 10.0.0.2 10.0.0.3 ::a ::b"), [a4, a6, b4, b6, c4]);
        assert_eq!(order("10.0.0.2 ::b 10.0.0.1"), [b4, b6, a4]);
        assert_eq!(order("::b ::a"), [b6, a6]);
        assert_eq!(order(""), []);
    }

    #[test]
    fn an_attempt_starts_250_ms_after_the_one_before() {
        let mut dial = dial("::a 10.0.0.1 ::b", Some(4000));
        starts(&mut dial, 0, "::a");
        waits(&mut dial, 0, Some(250));
        waits(&mut dial, 249, Some(1));
        starts(&mut dial, 250, "10.0.0.1");
        waits(&mut dial, 250, Some(250));
        // A driver that comes late does not make up for it.
        starts(&mut dial, 700, "::b");
        waits(&mut dial, 700, Some(3300));
    }

    #[test]
    fn an_attempt_that_failed_is_replaced_at_once() {
        let mut dial = dial("::a 10.0.0.1 ::b 10.0.0.2", Some(4000));
        starts(&mut dial, 0, "::a");
        dial.failed(ErrorKind::NetworkUnreachable.into());
        starts(&mut dial, 1, "10.0.0.1");
        waits(&mut dial, 1, Some(250));
        starts(&mut dial, 251, "::b");
        dial.failed(ErrorKind::ConnectionRefused.into()); // whichever of the two it was
        starts(&mut dial, 252, "10.0.0.2");
    }

    #[test]
    fn when_all_have_failed_the_last_error_is_returned() {
        let mut dial = dial("::a 10.0.0.1", None);
        starts(&mut dial, 0, "::a");
        starts(&mut dial, 250, "10.0.0.1");
        waits(&mut dial, 250, None);
        dial.failed(ErrorKind::NetworkUnreachable.into());
        waits(&mut dial, 300, None);
        dial.failed(ErrorKind::ConnectionRefused.into());
        fails(&mut dial, 400, ErrorKind::ConnectionRefused);
    }

    #[test]
    fn one_deadline_covers_all_attempts() {
        let mut dial = dial("::a 10.0.0.1 ::b", Some(400));
        starts(&mut dial, 0, "::a");
        assert_eq!(dial.time_left(at(0)), Some(millis(400)));
        starts(&mut dial, 250, "10.0.0.1");
        assert_eq!(dial.time_left(at(250)), Some(millis(150)));
        waits(&mut dial, 250, Some(150));
        fails(&mut dial, 400, ErrorKind::TimedOut);
    }

    #[test]
    fn no_attempt_starts_after_the_deadline() {
        let mut dial = dial("::a 10.0.0.1", Some(100));
        starts(&mut dial, 0, "::a");
        dial.failed(ErrorKind::ConnectionRefused.into());
        fails(&mut dial, 100, ErrorKind::TimedOut);
        fails(&mut self::dial("::a", Some(0)), 0, ErrorKind::TimedOut);
    }

    #[test]
    fn an_error_that_is_known_at_the_deadline_is_returned() {
        let mut dial = dial("::a", Some(100));
        starts(&mut dial, 0, "::a");
        dial.failed(ErrorKind::ConnectionRefused.into());
        fails(&mut dial, 100, ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_host_without_addresses_is_not_found() {
        fails(&mut dial("", Some(100)), 0, ErrorKind::NotFound);
        fails(&mut dial("", Some(100)), 200, ErrorKind::NotFound);
    }
}

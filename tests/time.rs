//! Deadlines on a virtual clock (RFC 6455 §5.5.2, §7.1.1, and policy): keepalive, idle, close. Time is an argument, so
//! hours pass at once, and no test waits or measures.
#![allow(clippy::cast_precision_loss, reason = "small numbers of seconds")]

mod support;

use std::time::Duration;

use bytes::BytesMut;
use sansock::{Chunk, Config, Connection, Error, Keepalive, Kind, PreparedMessage, State, Timestamp, Transport};
use support::{link::at, *};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Only the keepalive of 20 and 20 seconds, and ten for the closing handshake: the defaults.
fn each(mut dialogue: impl FnMut(&mut Clocked)) {
    each_under(&Config::default(), &mut dialogue);
}

fn each_under(config: &Config, mut dialogue: impl FnMut(&mut Clocked)) {
    for role in ROLES {
        let mut session = Clocked(Session::new(role, config));
        assert!(session.0.connection.poll_timeout().is_none_or(|due| due == Timestamp::ZERO));
        session.now(0.0).says(b"");
        dialogue(&mut session);
    }
}

/// A session, and a driver that keeps the contract about time.
struct Clocked(Session);

impl Clocked {
    /// `handle_timeout` succeeds at this second, and does not ask to be called again at once.
    #[track_caller]
    fn now(&mut self, seconds: f64) -> &mut Session {
        assert_eq!(self.tick(seconds), Ok(()));
        &mut self.0
    }

    #[track_caller]
    fn tick(&mut self, seconds: f64) -> Result<(), Error> {
        let verdict = self.0.connection.handle_timeout(at(seconds), &mut self.0.out);
        assert!(self.due().is_none_or(|due| due > at(seconds)), "due at {:?} after {seconds}", self.due());
        if let Err(error) = verdict {
            assert_eq!(self.0.error.replace(error), None);
        }
        verdict
    }

    fn due(&self) -> Option<Timestamp> {
        self.0.connection.poll_timeout()
    }

    /// The peer's frames come, and are dated.
    #[track_caller]
    fn hears_at(&mut self, seconds: f64, frames: &[u8]) -> &mut Session {
        self.0.hears(frames);
        self.now(seconds)
    }

    /// Fails by a deadline, with this Close; the transport is to be dropped.
    #[track_caller]
    fn fails_at(&mut self, seconds: f64, error: Error, code: Option<u16>) {
        assert_eq!(self.tick(seconds), Err(error));
        let said = strict::session(self.0.role == Client, &self.0.out.split());
        let codes: Vec<_> = said.iter().map(|frame| frame.close_code().expect("only a Close")).collect();
        assert_eq!(codes, Vec::from_iter(code));
        self.0.is(State::Closed, Transport::Abort);
        assert_eq!(self.0.info().cause, Some(error));
        assert!(!self.0.info().clean);
        assert_eq!(self.due(), None);
        // Once: later calls change nothing.
        self.now(seconds + 1e6).says(b"").is(State::Closed, Transport::Abort);
        assert_eq!(self.0.connection.receive_eof(), Err(error));
        self.0.is(State::Closed, Transport::Abort);
    }
}

#[test]
fn r91_deadlines_are_instants_that_the_caller_asks_for() {
    each(|session| {
        // The clock may start anywhere; the first call dates the beginning.
        assert_eq!(session.due(), Some(at(20.0)));
        session.0.connection.close(goodbye(1000, ""), &mut session.0.out).unwrap();
        assert_eq!(session.due(), Some(Timestamp::ZERO), "the Close waits to be dated");
        session.now(5.0).says(b"\x88\x02\x03\xE8");
        assert_eq!(session.due(), Some(at(15.0)));
        session.now(14.999).says(b"").is(State::Closing, Transport::KeepOpen);
        session.fails_at(15.0, Error::CloseTimeout, None);
    });
    let mut late = Session::new(Client, &Config::default());
    late.connection.handle_timeout(at(1000.0), &mut late.out).unwrap();
    assert_eq!(late.connection.poll_timeout(), Some(at(1020.0)));
    // A peer that talks on without its Close gains no time by it, nor by Pings.
    each(|session| {
        session.0.connection.close(None, &mut session.0.out).unwrap();
        session.now(5.0).says(b"\x88\0");
        for second in 6..15 {
            session.hears_at(f64::from(second), b"\x81\x02hi\x89\0").says(b"\x8A\0");
            assert_eq!(session.due(), Some(at(15.0)));
        }
        session.fails_at(15.0, Error::CloseTimeout, None);
    });
    // No deadline, no instant.
    each_under(&Config::default().close_timeout(None).keepalive(None), |session| {
        assert_eq!(session.due(), None);
        session.hears_at(1.0, b"\x81\x02hi");
        session.0.connection.close(None, &mut session.0.out).unwrap();
        assert_eq!(session.due(), None);
        session.now(1e9).says(b"\x88\0").is(State::Closing, Transport::KeepOpen);
    });
}

#[test]
fn transport_is_dropped_when_its_end_does_not_come() {
    // After both Closes, and after a failure: nothing failed any more, it only takes too long.
    for frames in [&b"\x88\0"[..], b"\x83"] {
        each(|session| {
            session.0.hears(frames).out.clear();
            session.0.events.clear();
            session.0.error = None;
            assert_eq!(session.due(), Some(Timestamp::ZERO));
            session.now(3.0);
            assert_eq!(session.due(), Some(at(13.0)));
            let waiting = session.0.connection.transport();
            session.now(12.9).is(State::Closed, waiting);
            session.now(13.0).says(b"").is(State::Closed, Transport::Abort);
            assert_eq!(session.due(), None);
        });
    }
    // The closing handshake and the end of the transport share one deadline.
    each(|session| {
        session.0.connection.close(None, &mut session.0.out).unwrap();
        session.now(1.0).says(b"\x88\0");
        session.hears_at(9.0, b"\x88\0");
        assert_eq!(session.due(), Some(at(11.0)));
        session.now(11.0).is(State::Closed, Transport::Abort);
        assert!(session.0.info().clean);
    });
    // EOF does not end time: the caller may still have to write.
    each(|session| {
        session.hears_at(1.0, b"\x88\0");
        assert_eq!(session.0.connection.receive_eof(), Ok(()));
        assert_eq!(session.due(), Some(at(11.0)));
        session.now(10.9).is(State::Closed, Transport::Close);
        session.now(11.0).is(State::Closed, Transport::Abort);
        assert_eq!(session.due(), None);
    });
}

#[test]
fn keepalive_pings_after_silence_and_fails_after_more() {
    each(|session| {
        session.now(19.999).says(b"");
        session.now(20.0);
        let said = session.0.role.plain(&session.0.out.split());
        assert_eq!(said[..2], [0x89, 4]);
        assert_eq!(session.due(), Some(at(40.0)));
        session.now(39.9).says(b"").is(State::Open, Transport::KeepOpen);
        session.fails_at(40.0, Error::KeepaliveTimeout, Some(1011));
    });
}

#[test]
fn any_byte_is_a_sign_of_life() {
    // Not only a Pong: one byte of a header is enough, before the Ping and behind it.
    for sign in [&b"\x8A\0"[..], b"\x81\x02hi", b"\x89\0", b"\x01\x01x"] {
        each(|session| {
            session.hears_at(19.0, sign).out.clear();
            assert_eq!(session.due(), Some(at(39.0)));
            session.now(38.9).says(b"");
            session.now(39.0);
            assert!(!session.0.out.split().is_empty());
            session.hears_at(58.0, b"\x8A\0").says(b"");
            assert_eq!(session.due(), Some(at(78.0)));
        });
    }
    // Byte by byte, a long frame on a slow link.
    each(|session| {
        let bytes = session.0.role.as_received(b"\x82\x05Hello");
        for (i, byte) in bytes.iter().enumerate() {
            session.0.feed(&[*byte]);
            session.now(19.0 * (i + 1) as f64).says(b"");
        }
        session.0.sees(&[binary(b"Hello")]);
    });
    // What we send is none: the peer may be gone all the same.
    each(|session| {
        for second in 1..20 {
            session.0.connection.send_text("hi", &mut session.0.out).unwrap();
            session.now(f64::from(second)).says(b"\x81\x02hi");
        }
        assert_eq!(session.due(), Some(at(20.0)));
    });
    // An empty read is none either.
    each(|session| {
        session.0.feed(b"");
        session.now(19.0);
        assert_eq!(session.due(), Some(at(20.0)));
    });
}

#[test]
fn call_that_comes_late_pings_before_it_fails() {
    // A laptop slept for a day: the peer gets its chance to answer.
    each(|session| {
        session.now(86_400.0);
        assert_eq!(session.0.role.plain(&session.0.out.split())[0], 0x89);
        assert_eq!(session.due(), Some(at(86_420.0)));
    });
    // What was read in that turn counts first.
    each(|session| {
        session.now(20.0);
        session.0.out.clear();
        session.hears_at(86_400.0, b"\x8A\0").says(b"").is(State::Open, Transport::KeepOpen);
    });
}

#[test]
fn keepalive_ends_where_closing_begins() {
    each_under(&Config::default().close_timeout(seconds(100)), |session| {
        session.0.connection.close(None, &mut session.0.out).unwrap();
        session.now(1.0).says(b"\x88\0");
        assert_eq!(session.due(), Some(at(101.0)));
        session.now(100.0).says(b"");
        session.fails_at(101.0, Error::CloseTimeout, None);
    });
}

#[test]
fn latency_is_from_the_ping_to_its_pong() {
    /// Lets the keepalive Ping: what its answer is.
    fn ping_at(session: &mut Clocked, seconds: f64) -> Vec<u8> {
        session.now(seconds);
        let mut frame = session.0.role.plain(&session.0.out.split());
        assert_eq!(frame[..2], [0x89, 4]);
        frame[0] = 0x8A;
        frame
    }
    let millis = |n| Some(Duration::from_millis(n));
    each(|session| {
        assert_eq!(session.0.connection.latency(), None);
        let first = ping_at(session, 20.0);
        assert_eq!(session.0.connection.latency(), None);
        session.hears_at(20.25, &first);
        assert_eq!(session.0.connection.latency(), millis(250));
        // A Pong that nobody asked for, and the answer once more: neither tells anything.
        session.hears_at(21.0, b"\x8A\x04abcd");
        session.hears_at(22.0, &first);
        assert_eq!(session.0.connection.latency(), millis(250));

        let second = ping_at(session, 42.0);
        assert_ne!(first, second, "each Ping can be told from the one before");
        session.hears_at(43.0, &first);
        assert_eq!(session.0.connection.latency(), millis(250));
        session.hears_at(43.5, &second);
        assert_eq!(session.0.connection.latency(), millis(1500));

        // Data before the Pong is a sign of life, not the answer.
        let third = ping_at(session, 63.5);
        session.hears_at(64.0, b"\x81\0");
        assert_eq!(session.0.connection.latency(), millis(1500));
        session.hears_at(65.5, &third);
        assert_eq!(session.0.connection.latency(), millis(2000));

        // While closing nobody asks any more.
        let fourth = ping_at(session, 85.5);
        session.0.connection.close(None, &mut session.0.out).unwrap();
        session.now(88.5);
        session.hears_at(89.5, &fourth);
        assert_eq!(session.0.connection.latency(), millis(2000));
    });
    // The application's own Ping is not the keepalive's.
    each(|session| {
        session.0.connection.ping(b"mine", &mut session.0.out).unwrap();
        session.now(1.0);
        session.hears_at(2.0, b"\x8A\x04mine\x8A\x04\0\0\0\0\x8A\x04\0\0\0\x01");
        assert_eq!(session.0.connection.latency(), None);
    });
    // Over a wire it is twice the delay.
    let mut link = link::Link::new(&Config::default(), &Config::default().keepalive(None));
    link.run_until(at(100.0));
    assert_eq!(link.client.session.connection.latency(), millis(100));
    assert_eq!(link.server.session.connection.latency(), None);
}

/// Something that is data.
type Act = fn(&mut Session);

#[test]
fn idle_timeout_counts_data_frames_alone() {
    let config = Config::default().idle_timeout(seconds(30)).keepalive(None);
    each_under(&config, |session| {
        assert_eq!(session.due(), Some(at(30.0)));
        // Pings and Pongs in both directions keep nothing alive.
        session.hears_at(10.0, b"\x89\0\x8A\0").says(b"\x8A\0");
        session.0.connection.ping(b"", &mut session.0.out).unwrap();
        session.0.connection.pong(b"", &mut session.0.out).unwrap();
        session.now(11.0).says(b"\x89\0\x8A\0");
        assert_eq!(session.due(), Some(at(30.0)));
        session.now(29.9).says(b"");
        session.fails_at(30.0, Error::IdleTimeout, Some(1001));
    });
    let acts: [Act; 9] = [
        |s| _ = s.hears(b"\x81\x02hi"),
        |s| _ = s.hears(b"\x01\0"),
        |s| _ = s.hears(b"\x82\x05He"),
        |s| s.connection.send_text("x", &mut s.out).unwrap(),
        |s| s.connection.send_binary(b"x", &mut s.out).unwrap(),
        |s| s.connection.send_binary(&[0; 200], &mut s.out).unwrap(),
        |s| s.connection.send_chunk(&Chunk::text("x", false), &mut s.out).unwrap(),
        |s| drop(s.connection.send_header(Kind::Binary, 0, true).unwrap()),
        |s| {
            if s.role == Server {
                drop(s.connection.send_prepared(&PreparedMessage::text("x")).unwrap());
            } else {
                s.connection.send_text("x", &mut s.out).unwrap();
            }
        },
    ];
    for act in acts {
        each_under(&config, |session| {
            act(&mut session.0);
            assert_eq!(session.due(), Some(Timestamp::ZERO));
            session.now(29.0);
            assert_eq!(session.due(), Some(at(59.0)));
        });
    }
    // What was refused is no data.
    each_under(&config, |session| {
        session.0.connection.send_chunk(&Chunk::text("x", false), &mut session.0.out).unwrap();
        session.now(1.0);
        session.0.connection.send_text("x", &mut session.0.out).unwrap_err();
        session.0.connection.send_header(Kind::Binary, 1, true).unwrap_err();
        session.now(2.0);
        assert_eq!(session.due(), Some(at(31.0)));
    });
}

#[test]
fn keepalive_does_not_hide_idleness() {
    let config = Config::default().idle_timeout(seconds(50));
    each_under(&config, |session| {
        for second in [20.0, 40.0] {
            session.now(second);
            assert!(!session.0.out.split().is_empty());
            session.hears_at(second, b"\x8A\0");
        }
        assert_eq!(session.due(), Some(at(50.0)));
        session.fails_at(50.0, Error::IdleTimeout, Some(1001));
    });
    // Over a wire with both on: the idle end fails first, and the other one hears why.
    let mut link = link::Link::new(&Config::default(), &config);
    link.run_until(at(100.0));
    assert_eq!(link.server.session.error, Some(Error::IdleTimeout));
    assert_eq!(link.server.failed_at, Some(at(50.0)));
    assert_eq!(link.client.session.events.last(), Some(&closed(1001, "idle timeout")));
    assert!(link.client.session.info().clean);
}

/// With both on, each deadline moves by what concerns it, and by nothing else.
#[test]
fn keepalive_and_idle_timeout_do_not_disturb_each_other() {
    let config = Config::default().idle_timeout(seconds(30));
    each_under(&config, |session| {
        // Data that is sent is activity, which has to be dated; it is no sign of life.
        session.now(10.0);
        session.0.connection.send_text("x", &mut session.0.out).unwrap();
        assert_eq!(session.due(), Some(Timestamp::ZERO));
        session.now(10.0).says(b"\x81\x01x");
        assert_eq!(session.due(), Some(at(20.0)));
        session.now(20.0).out.clear();
        // A Pong is a sign of life, and no activity.
        session.hears_at(25.0, b"\x8A\0").says(b"");
        assert_eq!(session.due(), Some(at(40.0)));
        session.fails_at(40.0, Error::IdleTimeout, Some(1001));
    });
    each_under(&config, |session| {
        // Data that comes is both.
        session.hears_at(15.0, b"\x81\x01x");
        assert_eq!(session.due(), Some(at(35.0)));
        session.now(35.0).out.clear();
        session.hears_at(44.0, b"\x8A\0");
        session.fails_at(45.0, Error::IdleTimeout, Some(1001));
    });
}

/// A call of `handle_timeout` is asked for when it would change a deadline, and not after each message.
#[test]
fn what_concerns_no_deadline_asks_for_no_call() {
    // The default: only the keepalive is on, which what is sent does not concern.
    each(|session| {
        session.now(1.0);
        for act in [
            (|s| s.connection.send_text("x", &mut s.out).unwrap()) as Act,
            |s| s.connection.send_binary(&[0; 200], &mut s.out).unwrap(),
            |s| s.connection.send_chunk(&Chunk::text("x", true), &mut s.out).unwrap(),
            |s| s.connection.ping(b"", &mut s.out).unwrap(),
        ] {
            act(&mut session.0);
            assert_eq!(session.due(), Some(at(20.0)));
        }
    });
    // Only the idle timeout: control frames do not concern it.
    each_under(&Config::default().keepalive(None).idle_timeout(seconds(30)), |session| {
        session.now(1.0);
        session.0.hears(b"\x89\0\x8A\0");
        assert_eq!(session.due(), Some(at(30.0)));
    });
    // Neither.
    each_under(&Config::default().keepalive(None), |session| {
        session.0.hears(b"\x81\x02hi\x89\0");
        session.0.connection.send_text("x", &mut session.0.out).unwrap();
        assert_eq!(session.due(), None);
    });
}

#[test]
fn a_timestamp_is_a_duration_since_its_start() {
    let time = Duration::new(3, 5);
    let timestamp = Timestamp::from_duration(time);
    assert_eq!((timestamp.as_duration(), Timestamp::ZERO.as_duration()), (time, Duration::ZERO));
    assert_eq!((timestamp - Timestamp::ZERO, Timestamp::ZERO - timestamp), (time, Duration::ZERO));
    assert_eq!((timestamp + seconds(1)).as_duration(), Duration::new(4, 5));
    // It saturates instead of overflowing.
    assert_eq!(Timestamp::from_duration(Duration::MAX), Timestamp::MAX);
    assert_eq!((Timestamp::MAX + seconds(1), timestamp + Duration::MAX), (Timestamp::MAX, Timestamp::MAX));
}

#[cfg(feature = "std")]
#[test]
fn a_clock_counts_from_its_start_and_gives_instants_back() {
    use std::{thread, time::Instant};

    use sansock::Clock;

    let before = Instant::now();
    let clock = Clock::start();
    let after = Instant::now();
    let start = clock.instant(Timestamp::ZERO).unwrap();
    assert!((before..=after).contains(&start));
    assert_eq!(clock.instant(at(7.0)), start.checked_add(seconds(7)));
    // Time passes by it as by the operating system's clock.
    thread::sleep(Duration::from_millis(2));
    let earliest = start.elapsed();
    let now = clock.now();
    let latest = start.elapsed();
    assert!(earliest >= Duration::from_millis(2) && (earliest..=latest).contains(&now.as_duration()));
    assert!(Clock::default().now() < now + seconds(3600));
}

#[test]
fn peer_that_vanishes_is_noticed_by_both_ends() {
    let mut link = link::Link::new(&Config::default(), &Config::default());
    link.run_until(at(100.0));
    assert_eq!((link.client.failed_at, link.server.failed_at), (None, None));
    link.cut = true;
    link.run_until(at(200.0));
    for end in [&link.client, &link.server] {
        assert_eq!(end.session.error, Some(Error::KeepaliveTimeout));
        assert_eq!(end.session.connection.transport(), Transport::Abort);
        assert!(end.failed_at.unwrap() <= at(141.0), "{:?}", end.failed_at);
    }
}

#[test]
fn year_of_keepalive() {
    const YEAR: u64 = 365 * 24 * 3600;
    // Two ends and a wire, a Ping every ten minutes.
    let slow = Config::default().keepalive(Keepalive::new(seconds(600), seconds(20)));
    let mut link = link::Link::new(&slow, &slow);
    link.run_until(Timestamp::from_duration(seconds(YEAR)));
    assert_eq!((link.client.session.error, link.server.session.error), (None, None));
    let pings = |end: &link::End| end.session.events.iter().filter(|event| matches!(event, Seen::Ping(_))).count();
    let heard = pings(&link.client) + pings(&link.server);
    assert!((52_000..106_000).contains(&heard), "{heard} Pings");
    assert!(link.turns < 10 * heard as u64, "{} turns", link.turns);

    // One end with the default of 20 seconds: 1.6 million Pings.
    let mut server = Server.connection(&Config::default());
    let (mut out, mut now, mut pings) = (BytesMut::new(), Timestamp::ZERO, 0);
    while now < Timestamp::from_duration(seconds(YEAR)) {
        server.handle_timeout(now, &mut out).unwrap();
        if !out.is_empty() {
            pings += 1;
            let mut pong = masked(&out);
            pong[0] = 0x8A;
            out.clear();
            let mut input = &mut pong[..];
            server.receive(&mut input, &mut out).unwrap();
            server.handle_timeout(now, &mut out).unwrap();
        }
        assert!(out.is_empty());
        now = server.poll_timeout().unwrap();
    }
    assert_eq!(pings, YEAR / 20 - 1);
}

#[test]
fn no_loop_spins() {
    let mut random = Random(91);
    for round in 0..3000 {
        let time = |random: &mut Random| match random.below(5) {
            0 => None,
            1 => Some(Duration::ZERO),
            2 => Some(Duration::MAX),
            3 => Some(Duration::from_micros(random.number() % 10_000)),
            _ => Some(Duration::from_millis(random.number() % 100_000)),
        };
        let keepalive = time(&mut random).zip(time(&mut random)).map(|(every, wait)| Keepalive::new(every, wait));
        let config = Config::default()
            .keepalive(keepalive)
            .idle_timeout(time(&mut random))
            .close_timeout(time(&mut random))
            .delivery(random.pick(&DELIVERIES));
        let mut session = Session::new(random.pick(&ROLES), &config);
        let mut now = Timestamp::ZERO;
        let mut failed = false;
        for _ in 0..30 {
            match random.below(9) {
                0 => _ = session.hears(b"\x81\x02hi"),
                1 => _ = session.hears(b"\x89\0"),
                2 => _ = session.connection.send_text("x", &mut session.out),
                3 => _ = session.connection.send_header(Kind::Text, 0, true),
                4 if random.below(4) == 0 => _ = session.connection.close(None, &mut session.out),
                5 if random.below(8) == 0 => _ = session.hears(b"\x88\0"),
                6 if random.below(8) == 0 => _ = session.hears(b"\x83\0"),
                7 if random.below(8) == 0 => _ = session.connection.receive_eof(),
                _ => {}
            }
            let due = session.connection.poll_timeout();
            now = match due {
                Some(due) if random.below(2) == 0 => due.max(now),
                _ => now + Duration::from_nanos(random.number() % 30_000_000_000),
            };
            let on_time = session.connection.handle_timeout(now, &mut session.out);
            assert!(!(failed && on_time.is_err()), "round {round}: failed twice");
            failed |= on_time.is_err();
            let next = session.connection.poll_timeout();
            assert!(next.is_none_or(|next| next > now), "round {round}: due {next:?}, handled {now:?}");
            let said = session.out.len();
            assert_eq!(session.connection.handle_timeout(now, &mut session.out), Ok(()), "the same moment again");
            assert_eq!((session.connection.poll_timeout(), session.out.len()), (next, said));
        }
        strict::session(session.role == Client, &session.out);
    }
}

#[test]
fn call_before_the_deadline_only_dates() {
    each(|session| {
        for tenth in 1..200_u8 {
            session.now(f64::from(tenth) / 10.0).says(b"");
            assert_eq!(session.due(), Some(at(20.0)));
        }
        session.0.hears(b"\x81\x02hi");
        assert_eq!(session.due(), Some(Timestamp::ZERO), "what came waits to be dated");
        session.now(19.95).says(b"");
        assert_eq!(session.due(), Some(at(39.95)));
    });
}

#[test]
fn deadlines_beyond_all_time_never_come() {
    let config = Config::default().keepalive(Keepalive::new(Duration::MAX, Duration::MAX)).idle_timeout(Duration::MAX);
    each_under(&config, |session| {
        let due = session.due().unwrap();
        assert!(due > at(49.0 * 86_400.0), "{due:?}");
        session.now(49.0 * 86_400.0).says(b"");
    });
    let forever = Timestamp::from_duration(Duration::MAX);
    assert_eq!((forever + Duration::MAX, Timestamp::ZERO - forever), (forever, Duration::ZERO));
    assert_eq!(at(3.0) - at(1.0), seconds(2));
}

#[test]
fn deadline_of_no_time_is_a_millisecond() {
    let config = Config::default().keepalive(Keepalive::new(Duration::ZERO, Duration::ZERO)).close_timeout(seconds(0));
    each_under(&config, |session| {
        assert_eq!(session.due(), Some(at(0.001)));
        session.now(0.001);
        assert_eq!(session.0.role.plain(&session.0.out.split())[0], 0x89);
        session.0.connection.close(None, &mut session.0.out).unwrap();
        session.now(5.0).says(b"\x88\0");
        session.fails_at(5.001, Error::CloseTimeout, None);
    });
    each_under(&Config::default().idle_timeout(Duration::from_nanos(1)), |session| {
        session.fails_at(0.001, Error::IdleTimeout, Some(1001));
    });
}

#[test]
fn connection_without_deadlines_asks_for_nothing() {
    let config = Config::default().keepalive(None);
    for role in ROLES {
        let mut connection: Connection = role.connection(&config);
        let mut out = BytesMut::new();
        assert_eq!(connection.poll_timeout(), None);
        let mut bytes = role.as_received(b"\x81\x02hi\x89\0");
        let mut input = &mut bytes[..];
        while connection.receive(&mut input, &mut out).unwrap().is_some() {
            assert_eq!(connection.poll_timeout(), None);
        }
        connection.send_text("x", &mut out).unwrap();
        assert_eq!(connection.poll_timeout(), None);
    }
}

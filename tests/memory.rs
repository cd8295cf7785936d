//! What a connection holds, counted by the allocator: nothing while idle, nothing per message, and never much more than
//! what the peer really sends, or sent before.
//!
//! A reallocation counts as its growth, as if in place; the buffers of the caller do not count.
#![allow(unsafe_code, reason = "an allocator that counts can only be written so")]
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "sizes of this machine")]

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    borrow::Cow,
    cell::Cell,
    time::Duration,
};

use bytes::{Buf, BytesMut};
use sansock::{
    Buffers, CloseCode, Config, Connection, Delivery, Driver, Error, Event, Inbox, Limit, State, Step, Timestamp,
};
use support::{Client, ROLES, Role, Server, frame, masked};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Of one thread, so that tests do not count each other's.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    /// Calls that returned memory.
    allocations: u64,
    /// Bytes of all these calls, so an upper bound of what was copied.
    requested: u64,
    /// Bytes held, and the most that were held.
    live: isize,
    peak: isize,
}

thread_local! {
    static USAGE: Cell<Usage> = const { Cell::new(Usage { allocations: 0, requested: 0, live: 0, peak: 0 }) };
}

fn count(requested: usize, grown: isize) {
    // While a thread ends there is nothing to count in.
    _ = USAGE.try_with(|usage| {
        let mut now = usage.get();
        now.allocations += u64::from(requested > 0);
        now.requested += requested as u64;
        now.live += grown;
        now.peak = now.peak.max(now.live);
        usage.set(now);
    });
}

// SAFETY: everything is handed to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(0, -(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size, new_size as isize - layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

/// What `work` allocated, and how much more is held behind it.
fn usage<R>(work: impl FnOnce() -> R) -> (R, Usage) {
    let before = USAGE.get();
    USAGE.set(Usage { live: 0, peak: 0, allocations: 0, requested: 0 });
    let result = work();
    let usage = USAGE.get();
    USAGE.set(Usage { live: before.live + usage.live, ..before });
    (result, usage)
}

const KIB: isize = 1 << 10;

/// Feeds `wire` in reads of `size` bytes from one buffer, dropping the events; the number of events, and the error.
fn feed(connection: &mut Connection, wire: &[u8], size: usize, out: &mut BytesMut) -> (usize, Option<Error>) {
    let mut buffer = [0; 4096];
    let mut events = 0;
    for read in wire.chunks(size.min(buffer.len())) {
        let buffer = &mut buffer[..read.len()];
        buffer.copy_from_slice(read);
        let mut input = buffer;
        loop {
            match connection.receive(&mut input, out) {
                Ok(None) => break,
                Ok(Some(_)) => events += 1,
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}

#[test]
fn connection_is_a_value_of_256_bytes() {
    assert!(size_of::<Connection>() <= 256, "{}", size_of::<Connection>());
}

#[test]
fn in_place_nothing_is_allocated_whatever_the_reads() {
    for role in ROLES {
        let frames: Vec<u8> = [1000, 0xFFFF, 0x1_0000]
            .into_iter()
            .flat_map(|len| [frame(0x81, &vec![b'x'; len]), frame(0x82, &vec![b'y'; 3 * len])].concat())
            .collect();
        let wire = role.as_received(&frames);
        let mut connection = role.connection(&Config::default().delivery(Delivery::InPlace));
        let (mut inbox, mut out) = (Inbox::new(), BytesMut::new());
        let mut read_all = |size: usize| {
            let (mut rest, mut messages) = (&wire[..], 0);
            while !rest.is_empty() {
                let room = inbox.room(connection.missing());
                let count = room.len().min(size).min(rest.len());
                room[..count].copy_from_slice(&rest[..count]);
                inbox.filled(count);
                rest = &rest[count..];
                let mut input = inbox.input();
                while connection.receive(&mut input, &mut out).unwrap().is_some() {
                    messages += 1;
                }
                let left = input.len();
                inbox.keep(left);
            }
            messages
        };
        // The buffer becomes as long as a message.
        read_all(1460);
        for size in [1, 1460, usize::MAX] {
            let (messages, usage) = usage(|| read_all(size));
            assert_eq!((messages, usage.allocations), (6, 0), "{role:?}, reads of {size}");
        }
    }
}

#[test]
fn steady_state_allocates_nothing_per_message() {
    for role in ROLES {
        for delivery in [Delivery::Messages, Delivery::Chunks] {
            let mut connection = role.connection(&Config::default().delivery(delivery));
            let mut out = BytesMut::with_capacity(1 << 18);
            for len in [0, 1, 16, 125, 126, 1000, 0xFFFF, 0x1_0000, 70_000] {
                let payload = vec![b'x'; len];
                // The Ping goes first: behind much output its answer would have to be kept.
                let mut wire =
                    [frame(0x89, b"ping"), frame(0x8A, b""), frame(0x81, &payload), frame(0x82, &payload)].concat();
                if role == Server {
                    wire = masked(&wire);
                }
                let mut buffer = wire.clone();
                let mut round = |now: u32| {
                    buffer.copy_from_slice(&wire);
                    let mut input = &mut buffer[..];
                    while let Some(event) = connection.receive(&mut input, &mut out).unwrap() {
                        match event {
                            Event::Text(text) => connection.send_text(&text, &mut out).unwrap(),
                            Event::Binary(data) => connection.send_binary(&data, &mut out).unwrap(),
                            Event::Chunk(chunk) => connection.send_chunk(&chunk, &mut out).unwrap(),
                            _ => {}
                        }
                    }
                    connection.handle_timeout(support::link::at(f64::from(now)), &mut out).unwrap();
                    assert!(out.len() > 2 * len);
                    out.clear();
                };
                // A client's first frame expands its seed; that is the last allocation.
                round(0);
                let ((), usage) = usage(|| (0..50).for_each(&mut round));
                assert_eq!((usage.allocations, usage.live), (0, 0), "{role:?} {delivery:?} {len}");
            }
        }
    }
}

#[test]
fn a_message_that_is_stored_allocates_once_when_the_one_before_was_as_long() {
    for role in ROLES {
        for first in [0x01, 0x02] {
            for len in [1000, 4096, 60_000, 1 << 16] {
                let mut connection = role.connection(&Config::default());
                let mut out = BytesMut::new();
                let payload = vec![b'x'; len];
                let mut frames = frame(first, &payload[..1]);
                payload[1..].chunks(500).for_each(|piece| frames.extend(frame(0x00, piece)));
                frames.extend(frame(0x80, b""));
                let wire = role.as_received(&frames);
                feed(&mut connection, &wire, 1460, &mut out);
                // What lies whole in the input between them is not stored, and changes nothing.
                feed(&mut connection, &role.as_received(&frame(0x82, b"whole")), 1460, &mut out);
                let (result, usage) = usage(|| feed(&mut connection, &wire, 1460, &mut out));
                assert_eq!((result, usage.allocations, usage.live), ((1, None), 1, 0), "{len}");
                assert!(usage.peak <= len.next_power_of_two() as isize, "{}", usage.peak);
            }
        }
    }
}

#[test]
fn a_long_message_makes_the_next_one_reserve_at_most_64_kib() {
    for role in ROLES {
        let mut connection = role.connection(&Config::default());
        let mut out = BytesMut::new();
        let long = role.as_received(&[frame(0x02, &[7; 1000]), frame(0x80, &vec![7; 1_000_000])].concat());
        assert_eq!(feed(&mut connection, &long, 4096, &mut out), (1, None));
        // Not for what can be no longer than it says.
        let short = role.as_received(&frame(0x82, b"0123456789"));
        let (_, usage) = usage(|| feed(&mut connection, &short[..short.len() - 1], 4096, &mut out));
        assert_eq!(usage.live, 10);
        assert_eq!(feed(&mut connection, &short[short.len() - 1..], 4096, &mut out), (1, None));
        assert_eq!(feed(&mut connection, &long, 4096, &mut out), (1, None));
        let begun = role.as_received(&frame(0x01, b"x"));
        let (_, usage) = self::usage(|| feed(&mut connection, &begun, 4096, &mut out));
        assert_eq!(usage.live, 64 * KIB);
        drop(connection);
    }
}

#[test]
fn a_short_message_behind_a_long_one_is_handed_out_in_little_memory() {
    for role in ROLES {
        for first in [0x01, 0x02] {
            let mut connection = role.connection(&Config::default());
            let mut out = BytesMut::new();
            let wire = |len| role.as_received(&[frame(first, &vec![b'x'; len]), frame(0x80, b"")].concat());
            feed(&mut connection, &wire(40_000), 4096, &mut out);
            let mut wire = wire(10);
            match connection.receive(&mut &mut wire[..], &mut out) {
                Ok(Some(Event::Text(Cow::Owned(text)))) => assert!(text.capacity() <= 20, "{}", text.capacity()),
                Ok(Some(Event::Binary(Cow::Owned(data)))) => assert!(data.capacity() <= 20, "{}", data.capacity()),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn binary_chunks_of_any_message_allocate_nothing() {
    for role in ROLES {
        let mut connection = role.connection(&Config::default().delivery(Delivery::Chunks));
        let frames = [frame(0x02, &[1; 3000]), frame(0x00, &vec![2; 100_000]), frame(0x80, b"")].concat();
        let wire = role.as_received(&frames);
        let mut out = BytesMut::with_capacity(1 << 10);
        let ((events, error), usage) = usage(|| feed(&mut connection, &wire, 1000, &mut out));
        assert!(events > 100 && error.is_none());
        assert_eq!((usage.allocations, usage.peak), (0, 0), "{role:?}");
    }
}

#[test]
fn idle_connection_holds_nothing() {
    for role in ROLES {
        let (mut connection, new) = usage(|| role.connection(&Config::default()));
        assert_eq!((new.allocations, new.live), (0, 0), "{role:?}");
        let mut out = BytesMut::with_capacity(1 << 10);
        let ((), first) = usage(|| connection.send_text("hi", &mut out).unwrap());
        // A client keeps the generator of its masking keys.
        let keys = first.live;
        assert!(keys <= if role == Server { 0 } else { 512 }, "{keys}");
        // Traffic of all kinds, in pieces, leaves nothing behind.
        let frames = [
            &b"\x01\x03Hel\x89\x05Hello\x80\x02lo\x82\x05Hello\x8A\x01!"[..],
            &frame(0x81, "é€😀".repeat(1000).as_bytes()),
            b"\x89\x7D",
            &[b'p'; 125],
        ]
        .concat();
        let wire = role.as_received(&frames);
        for size in [1, 2, 7, 4096] {
            let ((events, error), traffic) = usage(|| feed(&mut connection, &wire, size, &mut out));
            assert_eq!((events, error, traffic.live), (6, None, 0), "{role:?} {size}");
            out.clear();
        }
    }
}

#[test]
fn nothing_is_kept_after_the_end_but_how_it_ended() {
    type Ending = fn(&mut Connection, &mut BytesMut);
    let endings: [Ending; 3] = [
        |connection, out| connection.fail(CloseCode::NORMAL, "", out),
        |connection, _| assert_eq!(connection.receive_eof(), Err(Error::ConnectionLost)),
        |connection, out| {
            connection.handle_timeout(support::link::at(0.0), out).unwrap();
            assert_eq!(connection.handle_timeout(support::link::at(30.0), out), Err(Error::IdleTimeout));
        },
    ];
    let config = Config::default().idle_timeout(Duration::from_secs(30));
    for (role, end) in ROLES.into_iter().flat_map(|role| endings.map(|end| (role, end))) {
        let held = |frames: &[u8]| {
            let (mut connection, mut out) = (role.connection(&config), BytesMut::with_capacity(64 << 10));
            connection.send_binary(&vec![0; 16 << 10], &mut out).unwrap();
            let wire = role.as_received(frames);
            let ((), usage) = usage(|| {
                feed(&mut connection, &wire, 5, &mut out);
                end(&mut connection, &mut out);
            });
            assert_eq!(connection.state(), State::Closed);
            usage.live
        };
        // A message and a control frame that had begun, and a Pong that was owed, are gone.
        let begun = [&b"\x89\x03one"[..], &frame(0x01, &[b'x'; 5000]), b"\x8A\x05He"].concat();
        assert_eq!(held(&begun), held(b""), "{role:?}");
        assert!(held(b"") <= 256);
    }
}

#[test]
fn declared_length_allocates_nothing() {
    for (role, delivery) in ROLES.into_iter().flat_map(|role| [(role, Delivery::Messages), (role, Delivery::Chunks)]) {
        for first in [0x81, 0x82, 0x01, 0x02] {
            for limit in [Limit::AtMost(64 << 20), Limit::Unlimited] {
                let config = Config::default().max_message_len(limit).delivery(delivery);
                let mut connection = role.connection(&config);
                let mut out = BytesMut::new();
                let header = role.as_received(&[first, 127, 0, 0, 0, 0, 4, 0, 0, 0]);
                let (_, usage_header) = usage(|| feed(&mut connection, &header, 1, &mut out));
                assert_eq!((usage_header.peak, connection.state()), (0, State::Open));
                // Nor does the payload, before it is there.
                let (_, usage_byte) = usage(|| feed(&mut connection, b"x", 1, &mut out));
                assert!(usage_byte.peak <= 256, "{}", usage_byte.peak);
            }
        }
    }
}

/// Feeds fragments of `payload` until there is an error: the most that was held, at each step against what had come.
fn fragments(config: &Config, role: Role, first: u8, payload: &[u8], size: usize) -> (usize, Option<Error>) {
    let mut connection = role.connection(config);
    let mut out = BytesMut::with_capacity(1 << 10);
    let (start, more) = (role.as_received(&frame(first, payload)), role.as_received(&frame(0x00, payload)));
    let mut held = 0;
    for n in 1..=1_000_000 {
        let wire = if n == 1 { &start } else { &more };
        let ((_, error), usage) = usage(|| feed(&mut connection, wire, size, &mut out));
        held += usage.live;
        let (received, peak) = ((n * payload.len()) as isize, held - usage.live + usage.peak);
        assert!(peak <= 2 * received + 4 * KIB, "{peak} held for {received}");
        if error.is_some() {
            assert!(peak <= received + 4 * KIB, "{peak} held for {received} when it fails");
            assert!(held <= KIB, "{held} held after it failed");
            return (n, error);
        }
    }
    drop(connection);
    (1_000_000, None)
}

#[test]
fn i5_held_memory_is_bounded_by_what_came_and_by_the_limits() {
    let config = Config::default();
    for first in [0x01, 0x02] {
        for size in [1, 4096] {
            // A million fragments of one byte, and of none: the limit of fragments ends them.
            for payload in [&b"x"[..], b""] {
                let verdict = fragments(&config, Server, first, payload, size);
                assert_eq!(verdict, (131_073, Some(Error::TooManyFragments)));
            }
        }
        // Larger ones end at the limit of the message.
        let verdict = fragments(&config, Client, first, &[b'x'; 1000], 333);
        assert_eq!(verdict, (1049, Some(Error::TooBig)));
    }
    // In chunks nothing is held at all.
    let chunks = config.clone().delivery(Delivery::Chunks).max_fragments(Limit::Unlimited);
    assert_eq!(fragments(&chunks, Client, 0x02, b"x", 1), (1_000_000, None));
    assert_eq!(fragments(&chunks, Client, 0x02, b"", 1), (1_000_000, None));
    // Without a limit of fragments that of the message holds.
    let many = config.max_fragments(Limit::Unlimited);
    assert_eq!(fragments(&many, Client, 0x01, b"xy", 4096), (524_289, Some(Error::TooBig)));
}

#[test]
fn message_at_the_limit_leaves_nothing_behind() {
    // No power of two: storage that only doubled would be larger.
    let (limit, payload) = (1_000_000, vec![b'x'; 1_000_000]);
    let config = Config::default().max_message_len(limit);
    let in_two = |first| [frame(first, &payload[..700_000]), frame(0x80, &payload[700_000..])].concat();
    for role in ROLES {
        for frames in [frame(0x82, &payload), frame(0x81, &payload), in_two(0x01), in_two(0x02)] {
            let wire = role.as_received(&frames);
            let mut connection = role.connection(&config);
            let mut out = BytesMut::new();
            for size in [4096, 1460, 4000] {
                let ((events, error), usage) = usage(|| feed(&mut connection, &wire, size, &mut out));
                assert_eq!((events, error, usage.live), (1, None, 0));
                // It grew to what was announced, or what the limit allows, not beyond.
                assert!(usage.peak <= 1_000_000 + KIB, "{}", usage.peak);
            }
        }
    }
}

#[test]
fn floods_of_control_frames_are_bounded() {
    for role in ROLES {
        for (payload, count) in [(&b""[..], 100_000), (&[b'p'; 125], 1_000_000)] {
            let mut connection = role.connection(&Config::default());
            let mut out = BytesMut::with_capacity(64 << 10);
            connection.pong(b"", &mut out).unwrap();
            out.clear();

            let pings = role.as_received(&frame(0x89, payload).repeat(30));
            let mut held = 0;
            for _ in 0..count / 30 {
                let ((events, error), usage) = usage(|| feed(&mut connection, &pings, 4096, &mut out));
                assert_eq!((events, error), (30, None));
                assert!(out.len() <= (16 << 10) + 131);
                assert!(held + usage.peak <= 131 + 131, "{} while one comes in pieces", held + usage.peak);
                held += usage.live;
                assert!(held <= 131, "{held}");
            }
            let ((), drained) = usage(|| {
                out.clear();
                feed(&mut connection, b"", 1, &mut out);
                connection.ping(b"", &mut out).unwrap();
            });
            assert_eq!(held + drained.live, 0, "nothing is owed any more");

            let wire = role.as_received(&frame(0x8A, payload).repeat(30));
            let ((), idle) = usage(|| {
                for _ in 0..count / 30 {
                    assert_eq!(feed(&mut connection, &wire, wire.len(), &mut out), (30, None));
                }
            });
            assert_eq!(idle.live, 0);
            assert!(idle.peak <= 131 + 131);

            out.clear();
            let closes = role.as_received(&b"\x88\x02\x03\xE8".repeat(100));
            let (events, usage) = usage(|| (0..10_000).map(|_| feed(&mut connection, &closes, 4096, &mut out).0).sum());
            let events: usize = events;
            assert_eq!((events, support::strict::session(role == Client, &out).len()), (1, 1), "one Close");
            assert!(usage.peak <= 512, "{}", usage.peak);
        }
    }
}

#[test]
fn i4_storing_a_message_copies_each_byte_a_bounded_number_of_times() {
    // What was requested of the allocator bounds what growing can have copied: twice the bytes, twice the work.
    for (first, payload) in [(0x82, vec![0xFF; 1 << 18]), (0x81, "é€😀a".repeat(26_214).into_bytes())] {
        for role in ROLES {
            for bits in [12, 14, 16, 18] {
                let len = (1 << bits) / 10 * 10;
                let wire = role.as_received(&frame(first, &payload[..len]));
                let mut fragmented = frame(first & 0x0F, &payload[..10]);
                payload[10..len].chunks(10).for_each(|piece| fragmented.extend(frame(0x00, piece)));
                fragmented.extend(b"\x80\0");
                let fragmented = role.as_received(&fragmented);
                for size in [1, 2, 7, 1460, 4096] {
                    for wire in [&wire, &fragmented] {
                        let mut connection = role.connection(&Config::default());
                        let mut out = BytesMut::new();
                        let ((events, error), usage) = usage(|| feed(&mut connection, wire, size, &mut out));
                        assert_eq!((events, error), (1, None));
                        assert!(usage.requested <= 4 * len as u64 + 1024, "{} for {len}", usage.requested);
                        assert!(usage.allocations <= 40, "{} allocations for {len}", usage.allocations);
                    }
                }
            }
        }
    }
}

/// One turn of an echo server that reads `wire`, on a transport that takes everything; the number of messages.
fn echo_turn(driver: &mut Driver<Connection>, mut wire: &[u8], is_owned: bool, buffer: &mut Box<[u8]>) -> usize {
    let mut messages = 0;
    driver.readable(false);
    loop {
        match driver.step(|| Timestamp::ZERO) {
            Step::Deliver => {
                driver.deliver(|event, connection, out| {
                    if let Event::Binary(data) = event {
                        connection.send_binary(&data, out).unwrap();
                        messages += 1;
                    }
                    None::<()>
                });
            }
            Step::Read if wire.is_empty() => driver.read_blocked(),
            Step::Read if is_owned => {
                if buffer.is_empty() {
                    // The inbox has the other one.
                    *buffer = vec![0; 64 << 10].into();
                }
                let count = wire.len().min(buffer.len());
                buffer[..count].copy_from_slice(&wire[..count]);
                wire = &wire[count..];
                let (inbox, missing) = driver.inbox();
                inbox.give(buffer, count, missing);
                driver.note_received(count);
            }
            Step::Read => {
                let room = driver.room();
                let count = wire.len().min(room.len());
                room[..count].copy_from_slice(&wire[..count]);
                wire = &wire[count..];
                driver.received(count);
            }
            Step::Write => {
                let count = driver.output().chunk().len().min(10_000);
                driver.written(count);
            }
            Step::Flush => driver.flushed(),
            Step::Yield => {}
            Step::Wait(_) if wire.is_empty() => return messages,
            Step::Wait(_) => driver.readable(false),
            step => panic!("{step:?}"),
        }
    }
}

#[test]
fn a_driver_allocates_nothing_per_message() {
    for delivery in [Delivery::Messages, Delivery::InPlace] {
        for (len, is_lent, is_owned) in
            [(5, false, false), (1000, false, true), (1000, true, false), (6_000, false, false), (6_000, true, true)]
        {
            let wire = masked(&frame(0x82, &vec![7; len]).repeat(5));
            let config = Config::default().delivery(delivery);
            let mut driver = Driver::new(Connection::server(&config));
            let (mut shared, mut buffer) = (Buffers::new(), vec![0; 64 << 10].into_boxed_slice());
            let mut turn = || {
                // Cut where a frame is not whole.
                let (first, second) = wire.split_at(if len < 1000 && delivery == Delivery::InPlace { 11 } else { 0 });
                for part in [first, second] {
                    if is_lent {
                        driver.attach(&mut shared);
                    }
                    echo_turn(&mut driver, part, is_owned, &mut buffer);
                    if is_lent {
                        driver.detach(&mut shared);
                    }
                }
            };
            // The first messages bring the buffers to their length.
            (0..5).for_each(|_| turn());
            let ((), usage) = usage(|| (0..100).for_each(|_| turn()));
            assert_eq!((usage.allocations, usage.live), (0, 0), "{delivery:?}, {len} bytes, lent: {is_lent}");
        }
    }
}

#[test]
fn drivers_with_lent_buffers_hold_nothing_while_they_are_idle() {
    let wire = masked(&frame(0x82, &[7; 10_000]).repeat(3));
    let mut shared = Buffers::new();
    let mut drivers: Vec<_> = (0..100).map(|_| Driver::new(Connection::server(&Config::default()))).collect();
    let mut turn = |driver: &mut Driver<Connection>| {
        driver.attach(&mut shared);
        assert_eq!(echo_turn(driver, &wire, false, &mut Box::default()), 3);
        driver.detach(&mut shared);
    };
    turn(&mut drivers[0]);
    let ((), first) = usage(|| drivers.iter_mut().for_each(&mut turn));
    assert_eq!(first.live, 0);
    let ((), again) = usage(|| drivers.iter_mut().for_each(&mut turn));
    assert_eq!((again.allocations, again.live), (0, 0));
}

#[test]
fn a_driver_is_a_value_of_372_bytes() {
    assert!(size_of::<Driver<Connection>>() <= 256 + 116, "{}", size_of::<Driver<Connection>>());
}

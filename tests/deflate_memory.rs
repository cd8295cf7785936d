//! What compressed messages can make a connection hold, counted by the allocator: bombs, floods of nothing, and what is
//! left when a message is over.
//!
//! While memory is reallocated the old and the new both count. The buffers of the caller do not.
#![allow(unsafe_code, reason = "an allocator that counts can only be written so")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use bytes::BytesMut;
use sansock::{
    Chunk, Config, Connection, Error, Event, Limit,
    deflate::{Compress, Deflate},
};

#[path = "support/inflating.rs"]
mod inflating;
#[path = "support/rfc1951.rs"]
mod rfc1951;

use inflating::{DELIVERIES, Kind, ROLES, Random, Role, Terms, compressed, connection};
use rfc1951::bomb;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Bytes that this thread holds, and the most that it held.
    static HELD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

fn count(more: usize, less: usize) {
    // While a thread ends there is nothing to count in.
    _ = HELD.try_with(|held| {
        let (now, peak) = held.get();
        let now = now.wrapping_add(more);
        held.set((now.wrapping_sub(less), peak.max(now)));
    });
}

// SAFETY: everything is handed to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size, layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

/// What is held behind `work` that was not before, and the most that it held at a time.
fn measure<R>(work: impl FnOnce() -> R) -> (R, usize, usize) {
    let before = HELD.get().0;
    HELD.set((before, before));
    let result = work();
    let (now, peak) = HELD.get();
    (result, now.saturating_sub(before), peak - before)
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Feeds `wire` in place in reads of `size`, looking at the events only: bytes and ends of messages, and the error.
fn feed(connection: &mut Connection, wire: &mut [u8], size: usize) -> (usize, usize, Option<Error>) {
    let (mut bytes, mut messages) = (0, 0);
    let mut out = BytesMut::new();
    for mut input in wire.chunks_mut(size.min(wire.len())) {
        loop {
            let (len, end) = match connection.receive(&mut input, &mut out) {
                Ok(None) => break,
                Ok(Some(Event::Text(text))) => (text.len(), true),
                Ok(Some(Event::Binary(data))) => (data.len(), true),
                Ok(Some(Event::Chunk(Chunk { data, fin }))) => (data.as_bytes().len(), fin),
                Ok(Some(event)) => panic!("{event:?}"),
                Err(error) => return (bytes, messages, Some(error)),
            };
            bytes += len;
            messages += usize::from(end);
        }
    }
    (bytes, messages, None)
}

const TAKEOVERS: [Terms; 2] = [Terms::takeover(true, true), Terms::takeover(false, false)];

/// One frame, and many.
fn wires(role: Role, kind: Kind, payload: &[u8]) -> [Vec<u8>; 2] {
    let fragments: Vec<&[u8]> = payload.chunks(100).collect();
    [compressed(role, kind, &[payload]), compressed(role, kind, &fragments)]
}

#[test]
fn r111_a_bomb_goes_off_in_bounded_memory() {
    let payload = bomb(64 * MIB / 258);
    assert!(payload.len() < 66 * KIB, "{}", payload.len());
    for role in ROLES {
        for kind in [Kind::Binary, Kind::Text] {
            for wire in wires(role, kind, &payload) {
                for delivery in DELIVERIES {
                    for terms in TAKEOVERS {
                        for size in [usize::MAX, 1, 1460] {
                            let config = Config::default().max_message_len(MIB as u64).delivery(delivery);
                            let mut wire = wire.clone();
                            let mut connection = connection(role, &config, terms, &Deflate::default());
                            let (result, held, peak) = measure(|| feed(&mut connection, &mut wire, size));
                            let whole = delivery != sansock::Delivery::Chunks;
                            assert_eq!(result, (if whole { 0 } else { MIB }, 0, Some(Error::TooBig)));
                            let sent = connection.close_info().unwrap().sent.as_ref().unwrap();
                            assert_eq!(sent.code, 1009);
                            let gate = if whole { 2 * MIB + 64 * KIB } else { 192 * KIB };
                            assert!(peak <= gate, "{delivery:?} in pieces of {size}: {peak}");
                            assert!(held <= KIB, "nothing is kept after the end: {held}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn r111_one_byte_over_the_limit_in_a_kib() {
    let payload = bomb(1000 * 4);
    let inflated = 1 + 258 * 4000;
    assert!(payload.len() <= KIB, "{}", payload.len());
    for role in ROLES {
        for wire in wires(role, Kind::Binary, &payload) {
            for delivery in DELIVERIES {
                for (limit, fits) in [(inflated, true), (inflated - 1, false), (inflated + 1, true)] {
                    for size in [usize::MAX, 1] {
                        let config = Config::default().max_message_len(limit as u64).delivery(delivery);
                        let mut connection = connection(role, &config, Terms::FULL, &Deflate::default());
                        let mut wire = wire.clone();
                        let (result, _, peak) = measure(|| feed(&mut connection, &mut wire, size));
                        let all = if fits || delivery == sansock::Delivery::Chunks { limit.min(inflated) } else { 0 };
                        let error = (!fits).then_some(Error::TooBig);
                        assert_eq!(result, (all, usize::from(fits), error));
                        assert!(peak <= 2 * limit + 64 * KIB, "{peak}");
                    }
                }
            }
        }
    }
}

#[test]
fn r111_a_limited_ratio_stops_a_bomb_before_it_is_big() {
    let payload = bomb(64 * MIB / 258);
    let settings = Deflate::default().max_ratio(20);
    for role in ROLES {
        // The first fragment alone announces 100 bytes.
        let [_, mut wire] = wires(role, Kind::Binary, &payload);
        let mut connection = connection(role, &Config::default(), Terms::FULL, &settings);
        let (result, held, peak) = measure(|| feed(&mut connection, &mut wire, usize::MAX));
        assert_eq!(result, (0, 0, Some(Error::TooBig)));
        assert!(peak <= 96 * KIB, "{peak}");
        assert!(held <= KIB, "{held}");
    }
}

#[test]
fn floods_of_empty_compressed_messages_hold_nothing() {
    for (terms, role, payload, count) in [
        (TAKEOVERS[0], Role::Server, &[0x00][..], 1_000_000),
        (TAKEOVERS[0], Role::Client, b"", 100_000),
        // Each makes a stream of its own.
        (TAKEOVERS[1], Role::Client, b"", 20_000),
        (TAKEOVERS[1], Role::Server, &[0x00], 20_000),
    ] {
        for delivery in DELIVERIES {
            let batch = compressed(role, Kind::Binary, &[payload]).repeat(1000);
            let config = Config::default().delivery(delivery);
            let mut connection = connection(role, &config, terms, &Deflate::default());
            let mut buffer = batch.clone();
            let ((), held, peak) = measure(|| {
                for _ in 0..count / 2000 {
                    buffer.copy_from_slice(&batch);
                    assert_eq!(feed(&mut connection, &mut buffer, usize::MAX), (0, 1000, None));
                }
            });
            assert!(peak <= 64 * KIB, "{peak}");
            assert!(held <= if terms.receiving.1 { 64 * KIB } else { 0 }, "{held}");
        }
    }
}

#[test]
fn endless_empty_blocks_are_read_in_bounded_memory() {
    let blocks = [0x00, 0x00, 0x00, 0xFF, 0xFF].repeat(20_000);
    for delivery in DELIVERIES {
        // Without a limit, what bounds a message is its end.
        let config = Config::default().delivery(delivery).max_message_len(Limit::Unlimited);
        let mut connection = connection(Role::Client, &config, Terms::FULL, &Deflate::default());
        let mut first = compressed(Role::Client, Kind::Binary, &[&blocks, b""]);
        first.truncate(first.len() - 2);
        let mut more = compressed(Role::Client, Kind::Binary, &[b"", &blocks, b""])[2..].to_vec();
        more.truncate(more.len() - 2);
        let ((), _, peak) = measure(|| {
            assert_eq!(feed(&mut connection, &mut first, usize::MAX), (0, 0, None));
            for _ in 0..20 {
                assert_eq!(feed(&mut connection, &mut more, 1000), (0, 0, None));
            }
        });
        assert!(peak <= 64 * KIB, "{peak}");
        assert_eq!(feed(&mut connection, &mut [0x80, 0x01, 0x00], 1), (0, 1, None));
    }
}

#[test]
fn a_long_message_leaves_no_long_buffer() {
    let (data, payload) = (Random(9).bytes(MIB), bomb(4000));
    for role in ROLES {
        for (terms, kept) in [(TAKEOVERS[0], 64 * KIB), (TAKEOVERS[1], 0)] {
            let mut connection = connection(role, &Config::default(), terms, &Deflate::default());
            let (mut out, mut wire) = (BytesMut::with_capacity(2 * MIB), compressed(role, Kind::Binary, &[&payload]));
            let mut round = |connection: &mut Connection, len: usize| {
                connection.compress(Compress::Always).send_binary(&data[..len], &mut out).unwrap();
                out.clear();
                feed(connection, &mut wire, usize::MAX);
                wire = compressed(role, Kind::Binary, &[&payload]);
            };
            round(&mut connection, 100);
            let ((), more, _) = measure(|| round(&mut connection, data.len()));
            assert!(more <= kept, "{more} more");
            // In chunks, too.
            let ((), more, _) = measure(|| {
                connection.compress(Compress::Always);
                connection.send_chunk(&Chunk::binary(&data, false), &mut out).unwrap();
                connection.send_chunk(&Chunk::binary(&b""[..], true), &mut out).unwrap();
                out.clear();
            });
            assert!(more <= kept, "{more} more after chunks");
        }
    }
}

#[test]
fn after_the_end_no_stream_is_kept() {
    for role in ROLES {
        for end in [&b"\x88\x00"[..], b"\xFF"] {
            let mut connection = connection(role, &Config::default(), Terms::FULL, &Deflate::default());
            let (mut out, bare) = (BytesMut::with_capacity(KIB), role == Role::Client);
            let ((), held, _) = measure(|| {
                connection.send_binary(&[1; 1000], &mut out).unwrap();
                feed(&mut connection, &mut compressed(role, Kind::Text, &[&[0xF2, 0x48]]), 1);
                let close = [0x88, 0x80, 0, 0, 0, 0];
                let mut wire = if bare || end == b"\xFF" { end.to_vec() } else { close.to_vec() };
                while !wire.is_empty() {
                    let mut input = &mut wire[..];
                    _ = connection.receive(&mut input, &mut out);
                    wire.clear();
                }
            });
            assert_eq!(connection.state(), sansock::State::Closed);
            assert!(held <= KIB, "{held}");
            assert!(connection.deflate().is_some(), "what was agreed can still be asked");
        }
    }
}

/// The table of the documentation: `cargo test --release --test deflate_memory -- --nocapture memory_of_a_connection`
#[test]
fn memory_of_a_connection() {
    let text: String = (0..4000).flat_map(|n| [(n * 7919 % 1000).to_string(), ", ".into()]).collect();
    let text = &text[..4096];
    let payload = rfc1951::Deflater::new(15).message(text.as_bytes());
    println!("{:<52} {:>8} {:>10} {:>8} {:>8}", "bytes held by a connection", "agreed", "received", "sent", "peak");
    let default = Deflate::default();
    let off = default.context_takeover(false).peer_context_takeover(false);
    for (name, settings) in [
        ("Deflate::default()", default),
        ("… without context takeover", off),
        ("… window_bits(12)", default.window_bits(12).unwrap()),
        ("… window_bits(9), mem_level(1)", default.window_bits(9).unwrap().mem_level(1).unwrap()),
        ("… window_bits(15), mem_level(9)", default.mem_level(9).unwrap()),
        ("Deflate::low_memory()", Deflate::low_memory()),
        ("… with context takeover of our own", Deflate::low_memory().context_takeover(true)),
        ("… with context takeover of the peer", Deflate::low_memory().peer_context_takeover(true)),
    ] {
        let (answer, agreement) = settings.answer(&Deflate::default().offer()).unwrap();
        let mut out = BytesMut::with_capacity(8 * KIB);
        let mut wire = compressed(Role::Server, Kind::Text, &[&payload]);
        let config = Config::default();
        let (mut connection, idle, _) = measure(|| Connection::server(&config).with_deflate(agreement, &settings));
        let (result, received, peak_in) = measure(|| feed(&mut connection, &mut wire, usize::MAX));
        assert_eq!(result, (text.len(), 1, None));
        let ((), sent, peak_out) = measure(|| connection.send_text(text, &mut out).unwrap());
        let peak = idle + peak_in.max(received + peak_out);
        println!("{name:<52} {idle:>8} {received:>+10} {sent:>+8} {peak:>8}");
        assert!(idle <= 512, "{idle} to have agreed, before anything is compressed");
        if !agreement.receiving().context_takeover {
            assert_eq!(received, 0, "{answer}");
        }
        if !agreement.sending().context_takeover {
            assert_eq!(sent, 0, "{answer}");
        }
        assert!(received <= 64 * KIB && sent <= 512 * KIB);
    }
}

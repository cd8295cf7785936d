//! Twice the bytes take at most twice the time, in whatever pieces they come. Time is measured here, so these tests run
//! only when asked for, alone and in release: `cargo test --release --test linear -- --ignored --nocapture`.
//!
//! What can be counted instead, bytes that are copied, `memory.rs` counts in every run.
#![allow(clippy::cast_precision_loss, reason = "ratios of times")]

mod support;

use std::time::Instant;

use bytes::BytesMut;
use sansock::{Config, Delivery, Limit};
use support::{ROLES, Role, frame};

/// About `len` bytes of a peer: what could be slow, by name.
fn corpora(len: usize) -> Vec<(&'static str, Vec<u8>)> {
    let repeat = |frames: &[u8]| frames.repeat((len / frames.len()).max(1));
    let bytes = vec![0xC3; len];
    let text = "é€😀a".repeat(len / 10 + 1);
    let in_fragments = |first: u8, payload: &[u8], size: usize| {
        let mut frames = frame(first, b"");
        payload.chunks(size).for_each(|piece| frames.extend(frame(0x00, piece)));
        frames.extend(frame(0x80, b""));
        frames
    };
    vec![
        ("one binary message", frame(0x82, &bytes)),
        ("one text message", frame(0x81, text.as_bytes())),
        ("ASCII text", frame(0x81, &vec![b'a'; len])),
        ("binary in fragments of one byte", in_fragments(0x02, &bytes[..len / 3], 1)),
        ("text in fragments of one byte", in_fragments(0x01, &text.as_bytes()[..len / 30 * 10], 1)),
        ("text in fragments of 7 bytes", in_fragments(0x01, &text.as_bytes()[..len / 10 * 10], 7)),
        ("empty fragments", [&b"\x01\0"[..], &repeat(b"\x00\0"), b"\x80\0"].concat()),
        ("empty messages", repeat(b"\x81\0")),
        ("small messages", repeat(b"\x81\x05Hello")),
        ("Pings", repeat(b"\x89\x04ping")),
        ("long Pings", repeat(&frame(0x89, &[7; 125]))),
        ("Pongs", repeat(b"\x8A\0")),
        ("Pings between fragments", [&b"\x01\0"[..], &repeat(b"\x00\x01a\x89\0"), b"\x80\0"].concat()),
        ("a failure, and more", [&b"\x83"[..], &bytes].concat()),
        ("a Close, and more", [&b"\x88\0"[..], &bytes].concat()),
    ]
}

/// Seconds to receive `wire` in reads of `size` bytes: the best of some runs.
fn seconds(role: Role, config: &Config, wire: &[u8], size: usize) -> f64 {
    let run = || {
        let (mut connection, mut out) = (role.connection(config), BytesMut::with_capacity(32 << 10));
        let mut buffer = wire.to_vec();
        let start = Instant::now();
        for read in buffer.chunks_mut(size) {
            let mut input = read;
            while let Ok(Some(event)) = connection.receive(&mut input, &mut out) {
                std::hint::black_box(event);
            }
        }
        start.elapsed().as_secs_f64()
    };
    let runs = (2_000_000 / wire.len()).clamp(3, 30);
    (0..runs).map(|_| run()).fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "measures time: run it alone, in release"]
fn i4_twice_the_bytes_take_at_most_twice_the_time() {
    let config = Config::default().max_message_len(Limit::Unlimited).max_fragments(Limit::Unlimited);
    let mut worst = Vec::new();
    for (name, delivery) in
        (0..corpora(64).len()).flat_map(|name| [(name, Delivery::Messages), (name, Delivery::Chunks)])
    {
        let config = config.clone().delivery(delivery);
        for role in ROLES {
            for size in [usize::MAX, 1, 2, 7, 1460] {
                let times: Vec<f64> = (12..=22)
                    .map(|bits| {
                        let wire = role.as_received(&corpora(1 << bits)[name].1);
                        seconds(role, &config, &wire, size)
                    })
                    .collect();
                let mut ratios: Vec<f64> = times.windows(2).map(|pair| pair[1] / pair[0]).collect();
                ratios.sort_by(f64::total_cmp);
                let median = ratios[ratios.len() / 2];
                let label = format!("{}, {delivery:?}, {role:?}, by {size}", corpora(64)[name].0);
                println!("{median:.2} (at most {:.2}): {label}", ratios.last().unwrap());
                // From the first length to the last one, no more than proportional either, caches aside.
                let whole = times.last().unwrap() / times[0] / f64::from(1 << 10);
                worst.push((median, whole, label));
            }
        }
    }
    for (median, whole, label) in worst {
        assert!(median <= 2.3, "{median:.2}: {label}");
        assert!(whole <= 4.0, "{whole:.2} times proportional: {label}");
    }
}

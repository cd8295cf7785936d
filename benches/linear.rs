//! How much longer twice the bytes take, for whatever could be slow and in whatever pieces they come: around 2, or it is
//! not linear. `cargo bench -p sansock-benches --bench linear` prints the median of the ratios from 4 KiB to 4 MiB, a line a corpus, and
//! last the worst. Where a message outgrows a cache it is a little more than 2.
#![allow(clippy::cast_precision_loss, reason = "ratios of times")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use bytes::BytesMut;
use sansock::{Config, Delivery, Limit};
use support::{ROLES, Role, frame};

/// What could be slow: about `len` bytes of a peer.
type Corpus = fn(usize) -> Vec<u8>;

const CORPORA: [(&str, Corpus); 15] = [
    ("one binary message", |len| frame(0x82, &vec![0xC3; len])),
    ("one text message", |len| frame(0x81, &text(len))),
    ("ASCII text", |len| frame(0x81, &vec![b'a'; len])),
    ("binary in fragments of one byte", |len| in_fragments(0x02, &vec![0xC3; len / 3], 1)),
    ("text in fragments of one byte", |len| in_fragments(0x01, &text(len / 3), 1)),
    ("text in fragments of 7 bytes", |len| in_fragments(0x01, &text(len), 7)),
    ("empty fragments", |len| [&b"\x01\0"[..], &b"\x00\0".repeat(len / 2), b"\x80\0"].concat()),
    ("empty messages", |len| b"\x81\0".repeat(len / 2)),
    ("small messages", |len| b"\x81\x05Hello".repeat(len / 7)),
    ("Pings", |len| b"\x89\x04ping".repeat(len / 6)),
    ("long Pings", |len| frame(0x89, &[7; 125]).repeat(len / 127)),
    ("Pongs", |len| b"\x8A\0".repeat(len / 2)),
    ("Pings between fragments", |len| [&b"\x01\0"[..], &b"\x00\x01a\x89\0".repeat(len / 5), b"\x80\0"].concat()),
    ("a failure, and more", |len| [&b"\x83"[..], &vec![0; len]].concat()),
    ("a Close, and more", |len| [&b"\x88\0"[..], &vec![0; len]].concat()),
];

fn text(len: usize) -> Vec<u8> {
    "é€😀a".repeat(len / 10).into()
}

fn in_fragments(first: u8, payload: &[u8], size: usize) -> Vec<u8> {
    let mut frames = frame(first, b"");
    payload.chunks(size).for_each(|piece| frames.extend(frame(0x00, piece)));
    frames.extend(frame(0x80, b""));
    frames
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
    let runs = (500_000 / wire.len()).clamp(2, 20);
    (0..runs).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn main() {
    // `cargo test --benches` passes another argument: nothing is measured in a debug build.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let config = Config::default().max_message_len(Limit::Unlimited).max_fragments(Limit::Unlimited);
    let mut found = Vec::new();
    for ((name, corpus), role) in CORPORA.into_iter().flat_map(|corpus| ROLES.map(|role| (corpus, role))) {
        let wires: Vec<_> = (12..=22).map(|bits| role.as_received(&corpus(1 << bits))).collect();
        for delivery in [Delivery::Messages, Delivery::Chunks] {
            for size in [usize::MAX, 1, 2, 7, 1460] {
                let config = config.clone().delivery(delivery);
                let times: Vec<_> = wires.iter().map(|wire| seconds(role, &config, wire, size)).collect();
                let mut ratios: Vec<_> = times.windows(2).map(|pair| pair[1] / pair[0]).collect();
                ratios.sort_by(f64::total_cmp);
                let median = ratios[ratios.len() / 2];
                // From the shortest to the longest, to look at: caches and page faults are in it.
                let whole = times[times.len() - 1] / times[0] / f64::from(1 << 10);
                let label = format!("{name}, {delivery:?}, {role:?}, in pieces of {}", size.min(wires[10].len()));
                println!("{median:.2}, {whole:.2} in all: {label}");
                found.push((median, label));
            }
        }
    }
    if let Some((median, label)) = found.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)) {
        println!("the worst is {median:.2}: {label}");
    }
}

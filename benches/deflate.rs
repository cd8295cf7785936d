//! permessage-deflate: messages compressed and decompressed, with context takeover and without, by level.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sansock::{Config, Connection, Event, deflate::Deflate};
use sansock_benches::quick;

const SIZES: [usize; 3] = [125, 1 << 10, 64 << 10];

/// Together longer than the window, so that no message is found in it again.
const TOTAL: usize = 128 << 10;

/// Texts of this length that compress as chat or JSON does.
fn texts(len: usize) -> Vec<String> {
    let mut numbers = 0_u64..;
    let text = |_| {
        let objects = numbers.by_ref().map(|number| {
            let (id, user) = (number.wrapping_mul(0x9E37_79B9) % 10_007, number % 17);
            format!("{{\"id\":{id},\"user\":\"{user}\",\"ok\":true}}")
        });
        let mut text: String = objects.take(len / 20 + 1).collect();
        text.truncate(len);
        text
    };
    (0..TOTAL.div_ceil(len)).map(text).collect()
}

/// A server that compresses, and the client that it writes to.
fn pair(settings: &Deflate) -> (Connection, Connection) {
    let config = Config::default();
    let (answer, agreement) = settings.answer(&settings.offer()).expect("an offer of its own");
    let server = Connection::server(&config).with_deflate(agreement, settings);
    let agreement = settings.confirm(&answer).expect("an answer to its offer");
    (server, Connection::client(&config, [9; 32]).with_deflate(agreement, settings))
}

fn bench(c: &mut Criterion, name: &str, settings: &Deflate, len: usize) {
    let texts = texts(len);
    let mut out = BytesMut::new();
    let mut group = c.benchmark_group("deflate");
    group.throughput(Throughput::Bytes(len as u64));

    let (mut server, _) = pair(settings);
    let mut next = texts.iter().cycle();
    group.bench_function(BenchmarkId::new(format!("send/{name}"), len), |b| {
        b.iter(|| {
            out.clear();
            let text = next.next().expect("a cycle");
            server.send_text(black_box(text), &mut out).expect("it is open");
        });
    });

    // Each message is decompressed in the context of those before it; the first refers to nothing, so it may come
    // again.
    let (mut server, mut client) = pair(settings);
    let frames: Vec<BytesMut> = texts
        .iter()
        .map(|text| {
            let mut frame = BytesMut::new();
            server.send_text(text, &mut frame).expect("it is open");
            frame
        })
        .collect();
    let mut next = frames.iter().cycle();
    let mut input = Vec::new();
    group.bench_function(BenchmarkId::new(format!("receive/{name}"), len), |b| {
        b.iter(|| {
            input.clear();
            input.extend_from_slice(next.next().expect("a cycle"));
            match client.receive(&mut &mut input[..], &mut out) {
                Ok(Some(Event::Text(received))) => assert_eq!(received.len(), len),
                other => panic!("no text: {other:?}"),
            }
        });
    });
}

fn deflate(c: &mut Criterion) {
    for len in SIZES {
        for level in [1, 6, 9] {
            let settings = Deflate::default().level(level).expect("in range");
            bench(c, &format!("takeover_level_{level}"), &settings, len);
        }
        let settings = Deflate::default().context_takeover(false).peer_context_takeover(false);
        bench(c, "no_takeover_level_6", &settings, len);
    }
}

criterion_group! { name = benches; config = quick(); targets = deflate }
criterion_main!(benches);

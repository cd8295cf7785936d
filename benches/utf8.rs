//! Validating text: what a text message costs beyond a binary one, by script and by how it comes. A client receives, so
//! that nothing is unmasked.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sansock::{Config, Connection, Delivery, Event};
use sansock_benches::quick;

const SIZES: [usize; 4] = [16, 125, 1 << 10, 64 << 10];
/// Reads of this length cut characters of more than one byte.
const READ: usize = 1021;

/// One message, received whole or in reads of [`READ`] bytes.
fn bench(c: &mut Criterion, name: &str, payload: &[u8], is_text: bool, in_pieces: bool) {
    let mut peer = Connection::server(&Config::default());
    let mut frame = BytesMut::new();
    if is_text {
        let text = std::str::from_utf8(payload).expect("it is text");
        peer.send_text(text, &mut frame).expect("it is open");
    } else {
        peer.send_binary(payload, &mut frame).expect("it is open");
    }
    let delivery = if in_pieces { Delivery::Chunks } else { Delivery::Messages };
    let mut connection = Connection::client(&Config::default().delivery(delivery), [9; 32]);
    let mut out = BytesMut::new();
    let read = if in_pieces { READ } else { frame.len() };
    let mut group = c.benchmark_group("utf8");
    group.throughput(Throughput::Bytes(payload.len() as u64));
    group.bench_function(BenchmarkId::new(name, payload.len()), |b| {
        b.iter(|| {
            let mut received = 0;
            for mut input in black_box(&mut frame[..]).chunks_mut(read) {
                while let Some(event) = connection.receive(&mut input, &mut out).expect("it is valid") {
                    received += match event {
                        Event::Text(text) => text.len(),
                        Event::Binary(data) => data.len(),
                        Event::Chunk(chunk) => chunk.data.as_bytes().len(),
                        _ => 0,
                    };
                }
            }
            assert_eq!(received, payload.len());
        });
    });
}

fn utf8(c: &mut Criterion) {
    for len in SIZES {
        let text = |characters: &str| characters.repeat(len / characters.len());
        let (ascii, mixed, cjk) = (text("the quick fox ju"), text("für 5 € 😀 "), text("世界您好"));
        bench(c, "no_text", ascii.as_bytes(), false, false);
        for (name, text) in [("ascii", ascii), ("mixed", mixed), ("cjk", cjk)] {
            bench(c, name, text.as_bytes(), true, false);
            bench(c, &format!("{name}_in_pieces"), text.as_bytes(), true, true);
        }
    }
}

criterion_group! { name = benches; config = quick(); targets = utf8 }
criterion_main!(benches);

//! Bytes in: messages of all sizes through [`Connection::receive`], copied in reads of 64 KiB into one buffer that is
//! used again, as a kernel would. `copy` is that copying alone.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sansock::{Chunk, Config, Connection, Delivery, Event};
use sansock_benches::quick;

const SIZES: [usize; 6] = [16, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20];
const READ: usize = 64 << 10;
/// How much payload an iteration has at least, so that many messages share a read.
const BATCH: usize = 256 << 10;

/// The peer of what is measured writes some messages.
fn messages(client: bool, len: usize, mut send: impl FnMut(&mut Connection, &mut BytesMut)) -> Vec<u8> {
    let config = Config::default();
    let mut peer = if client { Connection::client(&config, [7; 32]) } else { Connection::server(&config) };
    let mut stream = BytesMut::new();
    for _ in 0..BATCH.div_ceil(len) {
        send(&mut peer, &mut stream);
    }
    stream.to_vec()
}

/// The driver's loop, without a socket and without an application.
fn drive(connection: &mut Connection, stream: &[u8], buffer: &mut [u8], out: &mut BytesMut) -> usize {
    let mut received = 0;
    for read in stream.chunks(READ) {
        buffer[..read.len()].copy_from_slice(read);
        let mut input = &mut buffer[..read.len()];
        while let Some(event) = connection.receive(&mut input, out).expect("the stream is valid") {
            received += black_box(match event {
                Event::Text(text) => text.len(),
                Event::Binary(data) => data.len(),
                Event::Chunk(chunk) => chunk.data.as_bytes().len(),
                _ => 0,
            });
        }
        out.clear();
    }
    received
}

fn bench(c: &mut Criterion, role: &str, name: &str, len: usize, config: &Config, stream: &[u8]) {
    let mut connection = match role {
        "server" => Connection::server(config),
        _ => Connection::client(config, [9; 32]),
    };
    let (mut buffer, mut out) = (vec![0; READ], BytesMut::with_capacity(READ));
    let payload = drive(&mut connection, stream, &mut buffer, &mut out);
    let mut group = c.benchmark_group(format!("receive/{role}"));
    group.throughput(Throughput::Bytes(payload as u64));
    group.bench_with_input(BenchmarkId::new(name, len), stream, |b, stream| {
        b.iter(|| drive(&mut connection, stream, &mut buffer, &mut out));
    });
}

fn receive(c: &mut Criterion) {
    let config = Config::default();
    let mut group = c.benchmark_group("receive");
    let (source, mut buffer) = (vec![1; READ], vec![0; READ]);
    group.throughput(Throughput::Bytes(READ as u64));
    group.bench_function("copy", |b| b.iter(|| black_box(&mut buffer[..]).copy_from_slice(black_box(&source))));
    group.finish();

    for role in ["server", "client"] {
        let from_client = role == "server";
        for len in SIZES {
            let binary = vec![0xA5; len];
            let stream = messages(from_client, len, |peer, out| peer.send_binary(&binary, out).expect("it is open"));
            bench(c, role, "binary", len, &config, &stream);

            let ascii = "the quick brown fox ".repeat(len / 20 + 1);
            let stream =
                messages(from_client, len, |peer, out| peer.send_text(&ascii[..len], out).expect("it is open"));
            bench(c, role, "ascii", len, &config, &stream);

            // UTF-8 validation at work: two, three and four bytes a character.
            let text: String = "grüße für 5 € 😀 Ωμέγα ".chars().cycle().take(len / 2).collect();
            let stream = messages(from_client, len, |peer, out| peer.send_text(&text, out).expect("it is open"));
            bench(c, role, "text", len, &config, &stream);
        }
    }

    // A message of 64 KiB in fragments of 1 KiB, with a Ping after each.
    let piece = vec![0x5A; 1 << 10];
    let fragments = messages(true, 64 << 10, |peer, out| {
        for i in 0..64 {
            peer.send_chunk(&Chunk::binary(&piece, i == 63), out).expect("it is open");
            peer.ping(b"alive?", out).expect("it is open");
        }
    });
    bench(c, "server", "fragments", 64 << 10, &config, &fragments);
    let chunks = config.delivery(Delivery::Chunks);
    bench(c, "server", "fragments_as_chunks", 64 << 10, &chunks, &fragments);
    let binary = vec![0xA5; 1 << 20];
    let stream = messages(true, 1 << 20, |peer, out| peer.send_binary(&binary, out).expect("it is open"));
    bench(c, "server", "binary_as_chunks", 1 << 20, &chunks, &stream);
}

criterion_group! { name = benches; config = quick(); targets = receive }
criterion_main!(benches);

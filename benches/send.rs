//! Messages out: [`Connection`]'s `send_*` into one buffer that is emptied and used again.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sansock::{Chunk, Config, Connection, Kind, PreparedMessage};
use sansock_benches::quick;

const SIZES: [usize; 6] = [16, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20];
/// How much a driver lets gather before it writes.
const BATCH: usize = 64 << 10;

fn bench(c: &mut Criterion, role: &str, name: &str, len: usize, mut send: impl FnMut(&mut Connection, &mut BytesMut)) {
    let config = Config::default();
    let mut connection = match role {
        "server" => Connection::server(&config),
        _ => Connection::client(&config, [9; 32]),
    };
    let count = BATCH.div_ceil(len);
    let mut out = BytesMut::with_capacity(BATCH + len + 14 * count);
    let mut group = c.benchmark_group(format!("send/{role}"));
    group.throughput(Throughput::Bytes((count * len) as u64));
    group.bench_function(BenchmarkId::new(name, len), |b| {
        b.iter(|| {
            for _ in 0..count {
                send(&mut connection, &mut out);
            }
            black_box(&out[..]);
            out.clear();
        });
    });
}

fn send(c: &mut Criterion) {
    for role in ["server", "client"] {
        for len in SIZES {
            let data = vec![0xA5; len];
            bench(c, role, "binary", len, |connection, out| {
                connection.send_binary(black_box(&data), out).expect("it is open");
            });
            let text = "x".repeat(len);
            bench(c, role, "text", len, |connection, out| {
                connection.send_text(black_box(&text), out).expect("it is open");
            });
        }
        let piece = vec![0x5A; 1 << 10];
        bench(c, role, "chunk", 1 << 10, |connection, out| {
            connection.send_chunk(&Chunk::binary(black_box(&piece), false), out).expect("it is open");
        });
        // The payload stays where it lies: the cost is that of the 10 bytes of a header, however long the message is.
        bench(c, role, "header", 10, |connection, out| {
            let (head, masker) = connection.send_header(Kind::Binary, 1 << 20, true).expect("it is open");
            let _ = black_box(masker);
            out.extend_from_slice(&head);
        });
        bench(c, role, "ping", 4, |connection, out| connection.ping(black_box(b"ping"), out).expect("it is open"));
    }
    let message = PreparedMessage::binary(&vec![0xA5; 1 << 10]);
    bench(c, "server", "prepared", 1 << 10, |connection, _| {
        black_box(connection.send_prepared(&message).expect("it is open"));
    });
}

criterion_group! { name = benches; config = quick(); targets = send }
criterion_main!(benches);

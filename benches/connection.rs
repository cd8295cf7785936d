//! Many connections: what one echoed message of 16 bytes costs a server when they take turns. `floor` reads and writes
//! one cache line of as much memory as a connection has, and copies the same bytes: no implementation misses the cache
//! less.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sansock::{Config, Connection, Event};
use sansock_benches::quick;

const COUNTS: [usize; 4] = [1, 100, 10_000, 100_000];

/// As long as a connection, with which it shares no more than that.
struct Least([u64; size_of::<Connection>() / 8]);

fn connections(c: &mut Criterion) {
    let config = Config::default();
    let mut frame = BytesMut::new();
    Connection::client(&config, [7; 32]).send_binary(&[7; 16], &mut frame).expect("it is open");
    let (mut buffer, mut out) = (frame.clone(), BytesMut::new());

    let mut group = c.benchmark_group("connection");
    for count in COUNTS {
        // One far from the other, and each in its turn: 7919 and the counts have no factor in common.
        let step = |at: &mut usize| {
            *at = (*at + 7919) % count;
            *at
        };
        let mut connections: Vec<_> = (0..count).map(|_| Connection::server(&config)).collect();
        let mut at = 0;
        group.bench_function(BenchmarkId::new("echo", count), |b| {
            b.iter(|| {
                let connection = &mut connections[step(&mut at)];
                buffer.copy_from_slice(&frame);
                out.clear();
                let mut input = &mut buffer[..];
                while let Some(event) = connection.receive(&mut input, &mut out).expect("it is valid") {
                    if let Event::Binary(data) = event {
                        connection.send_binary(&data, &mut out).expect("it is open");
                    }
                }
                black_box(&out[..]);
            });
        });
        drop(connections);

        let mut blocks: Vec<_> = (0..count).map(|_| Least([0; size_of::<Connection>() / 8])).collect();
        group.bench_function(BenchmarkId::new("floor", count), |b| {
            b.iter(|| {
                let block = &mut blocks[step(&mut at)];
                buffer.copy_from_slice(&frame);
                out.clear();
                block.0[0] += u64::from(buffer[0]);
                out.extend_from_slice(&buffer[4..]);
                black_box(&out[..]);
            });
        });
    }
}

criterion_group! { name = benches; config = quick(); targets = connections }
criterion_main!(benches);

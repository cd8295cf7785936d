//! Masking: [`mask::apply`] by length, from the first byte of a payload and from the middle of one.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sansock::frame::mask;
use sansock_benches::quick;

const SIZES: [usize; 9] = [4, 16, 125, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20];

fn masking(c: &mut Criterion) {
    let key = [0x37, 0xFA, 0x21, 0x3D];
    let mut group = c.benchmark_group("mask");
    for len in SIZES {
        group.throughput(Throughput::Bytes(len as u64));
        // A payload lies behind a header of 6, 8 or 14 bytes, so hardly ever aligned.
        let mut bytes = vec![0x5A; len + 6];
        group.bench_function(BenchmarkId::new("whole", len), |b| {
            b.iter(|| mask::apply(black_box(key), 0, black_box(&mut bytes[6..])));
        });
        group.bench_function(BenchmarkId::new("phase_3", len), |b| {
            b.iter(|| mask::apply(black_box(key), 3, black_box(&mut bytes[6..])));
        });
    }
}

criterion_group! { name = benches; config = quick(); targets = masking }
criterion_main!(benches);

//! What a `Driver` costs beside the loop that a program would write by hand around a `Connection`, an `Inbox` and an
//! `Outbox`: an echo, in memory, with this many messages in each read.

use std::hint::black_box;

use bytes::{Buf, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sansock::{Buffers, Config, Connection, Driver, Event, Inbox, Outbox, Step, Timestamp};
use sansock_benches::quick;

const NOW: Timestamp = Timestamp::ZERO;

/// Frames of a client, so that they are in one read.
fn frames(count: usize, len: usize) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    let mut client = Connection::client(&Config::default(), [7; 32]);
    for _ in 0..count {
        client.send_binary(&vec![7; len], &mut bytes).expect("it is open");
    }
    bytes.to_vec()
}

fn answer(event: &Event<'_>, connection: &mut Connection, out: &mut BytesMut) {
    if let Event::Binary(data) = event {
        connection.send_binary(data, out).expect("it is open");
    }
}

fn by_hand(connection: &mut Connection, inbox: &mut Inbox, out: &mut Outbox, bytes: &[u8]) {
    inbox.room(connection.missing())[..bytes.len()].copy_from_slice(bytes);
    inbox.filled(bytes.len());
    let mut input = inbox.input();
    while let Some(event) = connection.receive(&mut input, out.tail()).expect("it is valid") {
        answer(&event, connection, out.tail());
    }
    let rest = input.len();
    inbox.keep(rest);
    while connection.poll_timeout().is_some_and(|deadline| deadline <= NOW) {
        connection.handle_timeout(NOW, out.tail()).expect("it is in time");
    }
    let len = black_box(out.chunk()).len();
    out.advance(len);
    black_box(connection.transport());
}

fn by_driver(driver: &mut Driver<Connection>, bytes: &[u8]) {
    driver.readable(false);
    loop {
        match driver.step(|| NOW) {
            Step::Deliver => {
                driver.deliver(|event, connection, out| {
                    answer(&event, connection, out);
                    None::<()>
                });
            }
            Step::Read => {
                driver.room()[..bytes.len()].copy_from_slice(bytes);
                driver.received(bytes.len());
            }
            Step::Write => {
                let len = black_box(driver.output().chunk()).len();
                driver.written(len);
            }
            Step::Flush => driver.flushed(),
            Step::Shutdown => driver.shut_down(),
            Step::Wait(_) | Step::Yield | Step::Done => return,
        }
    }
}

fn drivers(c: &mut Criterion) {
    let mut group = c.benchmark_group("driver");
    for (count, len) in [(1, 16), (1, 1024), (100, 16), (100, 1024)] {
        let bytes = frames(count, len);
        let name = format!("{count}x{len}B");
        group.throughput(Throughput::Elements(count as u64));

        let (mut connection, mut inbox, mut out) =
            (Connection::server(&Config::default()), Inbox::new().read_len(128 << 10), Outbox::new());
        group.bench_function(BenchmarkId::new("by-hand", &name), |b| {
            b.iter(|| by_hand(&mut connection, &mut inbox, &mut out, &bytes));
        });
        let mut driver = Driver::new(Connection::server(&Config::default())).read_len(128 << 10).unbuffered();
        group.bench_function(BenchmarkId::new("driver", &name), |b| {
            b.iter(|| by_driver(&mut driver, &bytes));
        });
        let mut buffers = Buffers::new();
        group.bench_function(BenchmarkId::new("driver-with-buffers", &name), |b| {
            b.iter(|| {
                driver.attach(&mut buffers);
                by_driver(&mut driver, &bytes);
                driver.detach(&mut buffers);
            });
        });
    }
}

criterion_group! { name = benches; config = quick(); targets = drivers }
criterion_main!(benches);

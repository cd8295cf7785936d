//! The opening handshake, both roles: from the request's bytes to a connection, and from the answer's. One iteration is
//! one handshake.

use std::{hint::black_box, time::Duration};

use bytes::BytesMut;
use criterion::{Criterion, criterion_group, criterion_main};
use sansock::{Config, client, server};
use sansock_benches::quick;

/// The least that a request has.
const SHORT: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// What a browser sends.
const BROWSER: &str = "GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
    Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: https://example.com\r\nSec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\nCookie: session=0123456789abcdef\
    0123456789abcdef; theme=dark\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: \
    permessage-deflate; client_max_window_bits\r\nSec-WebSocket-Protocol: chat, superchat\r\n\r\n";

fn serve(config: &Config, request: &str, buffer: &mut [u8], out: &mut BytesMut) {
    out.clear();
    let buffer = &mut buffer[..request.len()];
    buffer.copy_from_slice(request.as_bytes());
    let mut handshake = server::Handshake::new(config);
    let request = handshake.receive(&mut &mut buffer[..], out).expect("it is valid").expect("it is whole");
    let response = server::Response::new().subprotocol(request.preferred(&["chat"]));
    black_box(request.accept(&response, out).expect("it is an opening handshake"));
}

fn handshake(c: &mut Criterion) {
    let config = Config::default();
    let (mut buffer, mut out) = (vec![0; 4096], BytesMut::with_capacity(4096));
    let mut group = c.benchmark_group("handshake");
    for (name, request) in [("server/short", SHORT), ("server/browser", BROWSER)] {
        group.bench_function(name, |b| b.iter(|| serve(&config, black_box(request), &mut buffer, &mut out)));
    }

    // The client's seed is the same each time, and so is the answer that it waits for.
    let request = client::Request::new("example.com", "/chat").subprotocols(&["chat"]);
    let mut asked = BytesMut::new();
    client::connect(&request, &config, [3; 32], &mut asked).expect("it is valid");
    let asked = std::str::from_utf8(&asked).expect("it is ASCII").to_owned();
    serve(&config, &asked, &mut buffer, &mut out);
    let answer = out.to_vec();
    group.bench_function("client", |b| {
        b.iter(|| {
            out.clear();
            let mut handshake = client::connect(&request, &config, black_box([3; 32]), &mut out).expect("it is valid");
            let input = &mut buffer[..answer.len()];
            input.copy_from_slice(&answer);
            black_box(handshake.receive(&mut &mut input[..]).expect("it is valid").expect("it is whole"));
        });
    });
}

criterion_group! { name = benches; config = quick().sample_size(50).measurement_time(Duration::from_secs(2)); targets = handshake }
criterion_main!(benches);

//! Linear time (I4), as counted work: what could be slow, for `benches/linear.sh`, which counts the instructions.
//!
//! Without arguments it prints the names of the cases. With a name and a length it receives about that many bytes, in
//! each delivery and cut in several ways.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;

use bytes::BytesMut;
use sansock::{Config, Delivery, Limit, OriginPolicy, client, server};
use support::{ROLES, Role, frame};

/// About `len` bytes of a peer.
type Corpus = fn(usize) -> Vec<u8>;

const FRAMES: [(&str, Corpus); 15] = [
    ("one-binary-message", |len| frame(0x82, &vec![0xC3; len])),
    ("one-text-message", |len| frame(0x81, &text(len))),
    ("ascii-text", |len| frame(0x81, &vec![b'a'; len])),
    ("binary-in-fragments-of-1-byte", |len| in_fragments(0x02, &vec![0xC3; len / 3], 1)),
    ("text-in-fragments-of-1-byte", |len| in_fragments(0x01, &text(len / 3), 1)),
    ("text-in-fragments-of-7-bytes", |len| in_fragments(0x01, &text(len), 7)),
    ("empty-fragments", |len| [&b"\x01\0"[..], &b"\x00\0".repeat(len / 2), b"\x80\0"].concat()),
    ("empty-messages", |len| b"\x81\0".repeat(len / 2)),
    ("small-messages", |len| b"\x81\x05Hello".repeat(len / 7)),
    ("pings", |len| b"\x89\x04ping".repeat(len / 6)),
    ("long-pings", |len| frame(0x89, &[7; 125]).repeat(len / 127)),
    ("pongs", |len| b"\x8A\0".repeat(len / 2)),
    ("pings-between-fragments", |len| [&b"\x01\0"[..], &b"\x00\x01a\x89\0".repeat(len / 5), b"\x80\0"].concat()),
    ("a-failure-and-more", |len| [&b"\x83"[..], &vec![0; len]].concat()),
    ("a-close-and-more", |len| [&b"\x88\0"[..], &vec![0; len]].concat()),
];

/// Header fields of an opening handshake, and what their values repeat.
const LISTS: [&str; 6] =
    ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "Connection", "Upgrade", "Origin", "Sec-WebSocket-Key"];
const JUNK: [&str; 12] = [",", ";", "\"", "\\", " ", ",;\"\\", "a,", "a;", "a;b=\"\\c", "a ,", "a;b=\"c\",", ", "];

fn text(len: usize) -> Vec<u8> {
    "é€😀a".repeat(len / 10).into()
}

fn in_fragments(first: u8, payload: &[u8], size: usize) -> Vec<u8> {
    let mut frames = frame(first, b"");
    payload.chunks(size).for_each(|piece| frames.extend(frame(0x00, piece)));
    frames.extend(frame(0x80, b""));
    frames
}

/// Receives `wire` in reads of `size` bytes.
fn receive(role: Role, config: &Config, wire: &[u8], size: usize) {
    let (mut connection, mut out) = (role.connection(config), BytesMut::with_capacity(32 << 10));
    let mut buffer = wire.to_vec();
    for read in buffer.chunks_mut(size) {
        let mut input = read;
        while let Ok(Some(event)) = connection.receive(&mut input, &mut out) {
            black_box(event);
        }
    }
}

fn frames(role: Role, corpus: Corpus, len: usize) {
    let config = Config::default().max_message_len(Limit::Unlimited).max_fragments(Limit::Unlimited);
    let wire = role.as_received(&corpus(len));
    for delivery in [Delivery::Messages, Delivery::Chunks] {
        for size in [usize::MAX, 1, 2, 7, 1460] {
            receive(role, &config.clone().delivery(delivery), &wire, size);
        }
    }
}

fn limits() -> Config {
    let no_limit = u32::MAX as usize;
    Config::default().origin(OriginPolicy::any()).max_head_len(no_limit).max_line_len(no_limit).max_headers(1 << 17)
}

/// A request with these fields, whole and in short reads.
fn serve(fields: &str) {
    let bytes = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
    );
    for size in [usize::MAX, 1, 1460] {
        let (mut handshake, mut out) = (server::Handshake::new(&limits()), BytesMut::new());
        for read in bytes.clone().into_bytes().chunks_mut(size) {
            let mut input = read;
            if let Ok(Some(request)) = handshake.receive(&mut input, &mut out) {
                black_box((request.subprotocols().count(), request.extensions().count()));
                _ = black_box(request.accept(&server::Response::new(), &mut out));
            }
        }
    }
}

/// An answer with these fields, whole and in short reads.
fn answer(status: u16, fields: &str) {
    let bytes = format!("HTTP/1.1 {status} \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{fields}\r\n");
    for size in [usize::MAX, 1, 1460] {
        let request = client::Request::new("h", "/").subprotocols(&["chat"]);
        let mut handshake = client::connect(&request, &limits(), [7; 32], &mut BytesMut::new()).unwrap();
        for read in bytes.clone().into_bytes().chunks_mut(size) {
            let mut input = read;
            _ = black_box(handshake.receive(&mut input));
        }
    }
}

/// One field whose value repeats each kind of junk.
fn lists(name: &str, len: usize, each: impl Fn(&str)) {
    for junk in JUNK {
        each(&format!("{name}: a{}\r\n", junk.repeat(len / junk.len())));
    }
}

/// Different names, in one field and in one field each.
fn subprotocols(len: usize) {
    let names: Vec<String> = (0..len / 6).map(|number| format!("{number:x}")).collect();
    serve(&format!("Sec-WebSocket-Protocol: {}\r\n", names.join(",")));
    serve(&format!("Sec-WebSocket-Protocol: {}\r\n", names.join("\r\nSec-WebSocket-Protocol: ")));
}

/// What is called by its name, with a length.
type Case = (String, Box<dyn Fn(usize)>);

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for ((name, corpus), role) in FRAMES.into_iter().flat_map(|corpus| ROLES.map(|role| (corpus, role))) {
        cases.push((format!("{name}/{role:?}").to_lowercase(), Box::new(move |len| frames(role, corpus, len))));
    }
    for name in LISTS {
        cases.push((format!("request/{name}"), Box::new(move |len| lists(name, len, serve))));
        cases.push((format!("answer/{name}"), Box::new(move |len| lists(name, len, |fields| answer(101, fields)))));
    }
    cases.push(("request/different-subprotocols".into(), Box::new(subprotocols)));
    cases.push(("request/many-fields".into(), Box::new(|len| serve(&"A: b\r\n".repeat(len / 6)))));
    cases.push(("answer/many-fields".into(), Box::new(|len| answer(404, &"A: b\r\n".repeat(len / 6)))));
    cases.push((
        "answer/chunked-body".into(),
        Box::new(|len| answer(404, &format!("Transfer-Encoding: chunked\r\n\r\n{}", "1\r\na\r\n".repeat(len / 6)))),
    ));
    cases
}

fn main() {
    // `cargo bench` and `cargo test --benches` pass arguments of their own, that no case is called by.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    match &arguments[..] {
        [name, len] => {
            let cases = cases();
            let (_, run) = cases.iter().find(|(case, _)| case == name).expect("the name of a case");
            run(len.parse().expect("a length"));
        }
        _ => cases().iter().for_each(|(name, _)| println!("{name}")),
    }
}

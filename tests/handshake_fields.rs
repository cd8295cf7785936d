//! Which header fields an opening handshake looks at, and which it ignores (RFC 6455 §4.1, §4.2.1).
#![cfg(feature = "handshake")]

#[path = "support/handshake.rs"]
mod support;

use bytes::{Buf, BytesMut};
use sansock::{Config, Driver, Outbox, Step, Timestamp, Transport, client, server};
use support::{MINIMAL, answer_pieces, connect, serve_pieces};

/// The fields that a request is judged by.
const OF_A_REQUEST: [&str; 10] = [
    "Host",
    "Origin",
    "Upgrade",
    "Connection",
    "Content-Length",
    "Transfer-Encoding",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
];

/// The fields that an answer is judged by.
const OF_AN_ANSWER: [&str; 5] =
    ["Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"];

/// Names that are not `name`, but as long: each byte of it replaced by another.
fn as_long_as(name: &str) -> impl Iterator<Item = String> {
    let last = name.len() - 1;
    let replaced = (0..=last).map(move |at| format!("{}!{}", &name[..at], &name[at + 1..]));
    replaced.chain([format!("X-{}", &"Content-Type-Options-And-More"[..name.len() - 2])])
}

/// R20: also of a name that has the length of one that counts, such as `X-Content-Type-Options`, which is as long as
/// `Sec-WebSocket-Protocol`.
#[test]
fn r20_a_field_of_a_request_is_known_by_its_whole_name() {
    let plain = serve_pieces(&[MINIMAL.as_bytes()], &Config::default());
    assert!(plain.accepted());
    for name in OF_A_REQUEST.into_iter().flat_map(as_long_as).chain(["X-Content-Type-Options".into()]) {
        // No field that counts may have this value, nor come twice.
        for value in ["", "a b", "nosniff", ";,\"", "7"] {
            let line = format!("\r\n{name}: {value}\r\n{name}: {value}\r\n\r\n");
            let served = serve_pieces(&[MINIMAL.replace("\r\n\r\n", &line).as_bytes()], &Config::default());
            assert!(served.accepted(), "{name}: {value}");
            assert_eq!(served.out, plain.out, "{name}: {value}");
        }
    }
}

#[test]
fn r20_no_subprotocol_and_no_extension_is_read_from_another_field() {
    let mut bytes = MINIMAL
        .replace("\r\n\r\n", "\r\nX-Content-Type-Options: chat\r\nX-Content-Type-Options-1: permessage-deflate\r\n\r\n")
        .into_bytes();
    let mut handshake = server::Handshake::new(&Config::default());
    let request = handshake.receive(&mut &mut bytes[..], &mut BytesMut::new()).unwrap().unwrap();
    assert_eq!((request.subprotocols().count(), request.extensions().count()), (0, 0));
}

/// The 101 that opens, with these lines more.
fn answer_with(lines: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n{lines}\r\n",
        support::accept()
    )
    .into_bytes()
}

#[test]
fn a_field_of_an_answer_is_known_by_its_whole_name() {
    for name in OF_AN_ANSWER.into_iter().flat_map(as_long_as).chain(["X-Content-Type-Options".into()]) {
        for value in ["", "a b", "chat", "permessage-deflate"] {
            let answer = answer_with(&format!("{name}: {value}\r\n{name}: {value}\r\n"));
            let answered = answer_pieces(&[&answer], &Config::default());
            assert_eq!(answered.result, Ok(Some((101, None))), "{name}: {value}");
        }
    }
}

/// R38: "the client MUST wait for a response from the server before sending any further data" (§4.1). There is no
/// connection to send with before, and what is written until then is the request alone.
#[test]
fn r38_a_client_has_written_its_request_and_nothing_more_until_the_answer_is_whole() {
    let mut out = BytesMut::new();
    let request = client::Request::new("h", "/").subprotocols(&["chat", "superchat"]);
    let mut handshake = client::connect(&request, &Config::default(), [7; 32], &mut out).unwrap();
    let written = out.clone();
    assert!(written.ends_with(b"\r\n\r\n") && written.windows(4).filter(|four| four == b"\r\n\r\n").count() == 1);
    let answer = answer_with("");
    let (last, rest) = answer.split_last().unwrap();
    for (at, byte) in rest.iter().enumerate() {
        assert!(handshake.receive(&mut &mut [*byte][..]).unwrap().is_none(), "open after {at} bytes");
        handshake.handle_timeout(Timestamp::ZERO, &mut out).unwrap();
        assert_eq!((handshake.transport(), &out), (Transport::KeepOpen, &written), "{at}");
    }
    let (mut connection, _) = handshake.receive(&mut &mut [*last][..]).unwrap().expect("the answer is whole");
    assert_eq!(out, written);
    connection.send_text("Hello", &mut out).unwrap();
    assert_eq!(out[written.len()..][..2], *b"\x81\x85");
    // Nor does the driver of a handshake write more.
    let (handshake, request) = connect(&request, &Config::default());
    let mut outbox = Outbox::new();
    outbox.tail().extend_from_slice(request.as_bytes());
    let mut driver = Driver::from_parts(handshake, Vec::new(), outbox);
    let mut sent = Vec::new();
    loop {
        match driver.step(|| Timestamp::ZERO) {
            Step::Write => {
                sent.extend_from_slice(driver.output().chunk());
                let count = driver.output().chunk().len();
                driver.written(count);
            }
            Step::Read => driver.read_blocked(),
            Step::Flush => driver.flushed(),
            Step::Wait(_) => break,
            step => panic!("{step:?}"),
        }
    }
    assert_eq!(String::from_utf8(sent).unwrap(), request);
}

//! Our blocking client against the server of another implementation: `interop_client ws://HOST:PORT [deflate|small]`.
//!
//! `server.py` says what the server does on each path, and what the second argument is. Prints an `ok` line for each
//! thing that holds, and panics at the first that does not.
//!
//! `interop_client ws://HOST:PORT lost PID` is for an echo server with this process id, which it kills.

use std::{net::TcpStream, time::Instant};

use sansock::{
    Chunk, CloseCode, Config, Error, Event, HandshakeError, Initiator, Limit, Message, Violation,
    adapter::blocking::{self, WebSocket},
    client,
    deflate::{Deflate, Terms},
    handshake::Uri,
};

const MIB: usize = 1 << 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let base = arguments.next().expect("usage: interop_client ws://HOST:PORT [deflate|small]");
    match arguments.next().as_deref() {
        None => plain(&base),
        Some("lost") => lost(&base, &arguments.next().expect("a process id")),
        Some(how) => compressed(&base, how == "small"),
    }
}

fn plain(base: &str) {
    let open = |path: &str| open(&format!("{base}{path}"), &config());
    conversation(&open);
    failing(&open, &|| text(&mut open("/last-close")));
    subprotocols(base);
    refusal(base);
}

/// The server is killed; whatever is between us and it passes that on.
fn lost(base: &str, process: &str) {
    let mut websocket = open(base, &config());
    websocket.send("hello").expect("a message");
    assert_eq!(text(&mut websocket), "hello");
    let killed = std::process::Command::new("kill").args(["-9", process]).status().expect("kill");
    assert!(killed.success());
    match websocket.read() {
        Err(blocking::Error::Connection(Error::ConnectionLost) | blocking::Error::Io(_)) => {}
        other => panic!("the connection should be lost, not {other:?}"),
    }
    assert!(!websocket.close_info().is_some_and(|info| info.clean));
    ok("the server's abrupt end is no clean close");
}

fn conversation(open: &impl Fn(&str) -> WebSocket<TcpStream>) {
    messages(&mut open("/echo"), "echoed");
    messages(&mut open("/fragments"), "echoed in fragments");
    fragments(&mut open("/echo"));
    pings(&mut open("/ping"), &mut open("/echo"));
    closing(open, &|| text(&mut open("/last-close")));
}

/// The same again with compression, by each of these settings: the server grants what they ask for, or demands less.
fn compressed(base: &str, small: bool) {
    let default = Deflate::default();
    for (name, deflate, sending, receiving) in [
        ("default", default, (15, true), (15, true)),
        ("low memory", Deflate::low_memory(), (12, false), (15, false)),
        ("own window of 9 bits", default.window_bits(9).expect("a window"), (9, true), (15, true)),
        ("their window of 10 bits", default.peer_window_bits(10).expect("a window"), (15, true), (10, true)),
    ] {
        let expected = if small { ((9, false), (10, false)) } else { (sending, receiving) };
        let open_with = |path: &str, deflate: Deflate| {
            let websocket = open(&format!("{base}{path}"), &config().deflate(deflate));
            let agreed = websocket.connection().deflate().expect("compression should be agreed on");
            let plain = |terms: Terms| (terms.window_bits, terms.context_takeover);
            assert_eq!((plain(agreed.sending()), plain(agreed.receiving())), expected, "{name}");
            websocket
        };
        let open = |path: &str| open_with(path, deflate);
        open("/echo").close(CloseCode::NORMAL, "").expect("a clean close");
        ok(&format!("{name}: agreed on {expected:?}"));
        conversation(&open);
        repeated(&mut open("/wire"), expected.0);

        // Only what comes compressed can break this bound.
        let mut bounded = open_with("/echo", deflate.max_ratio(2));
        bounded.send("x".repeat(MIB)).expect("1 MiB of text");
        match bounded.read() {
            Err(blocking::Error::Connection(Error::TooBig)) => {
                ok("what comes is compressed: a bound on its ratio holds");
            }
            other => panic!("the echo should be too big for its compressed size, not {other:?}"),
        }
    }
}

/// The same hexadecimal noise again and again: short on the wire, where the window lasts and reaches back to it.
fn repeated(websocket: &mut WebSocket<TcpStream>, (window_bits, context_takeover): (u8, bool)) {
    let mut noise = 1_u64;
    for len in [200, 2000] {
        let next = |_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b"0123456789abcdef"[(noise >> 60) as usize])
        };
        let message: String = (0..len).map(next).collect();
        let short = context_takeover && len < (1 << window_bits) / 2;
        let expected = if short { 0..len / 4 } else { len / 2..len * 9 / 10 };
        for first in std::iter::once(true).chain([false; 50]) {
            websocket.send(&*message).expect("noise");
            let on_wire = text(websocket).parse().expect("a length");
            assert!(first || expected.contains(&on_wire), "{len} bytes became {on_wire}");
        }
        ok(&format!("{len} bytes, repeated, {}", if short { "shrink" } else { "are compressed alike" }));
    }
    websocket.close(CloseCode::NORMAL, "").expect("a clean close");
}

fn ok(what: &str) {
    println!("ok  {what}");
}

fn config() -> Config {
    Config::default().max_message_len(Limit::AtMost(64 << 20))
}

fn open(uri: &str, config: &Config) -> WebSocket<TcpStream> {
    blocking::connect(uri, config).unwrap_or_else(|error| panic!("{uri}: {error}"))
}

fn text(websocket: &mut WebSocket<TcpStream>) -> String {
    match websocket.read() {
        Ok(Some(Message::Text(text))) => text,
        other => panic!("a text message should come, not {other:?}"),
    }
}

fn messages(websocket: &mut WebSocket<TcpStream>, how: &str) {
    let noise: Vec<u8> = (0..MIB).map(|i| ((i * i) >> 3) as u8).collect();
    for (what, message) in [
        ("text", Message::from("plain")),
        ("empty text", Message::from("")),
        ("binary", Message::from(&noise[..300])),
        ("empty binary", Message::from(Vec::new())),
        ("1 MiB of binary", Message::from(noise)),
        ("1 MiB of text", Message::from("x".repeat(MIB))),
    ] {
        websocket.send(message.clone()).expect(what);
        assert_eq!(websocket.read().expect(what), Some(message), "{what} {how}");
        ok(&format!("{what} {how}"));
    }
    websocket.close(CloseCode::NORMAL, "").expect("a clean close");
}

/// What we send in fragments, with a Ping between them, is one message over there.
fn fragments(websocket: &mut WebSocket<TcpStream>) {
    websocket
        .write_with(|connection, out| {
            connection.send_chunk(&Chunk::text("Grö", false), out)?;
            connection.ping(b"between", out)?;
            connection.send_chunk(&Chunk::text("", false), out)?;
            connection.send_chunk(&Chunk::text("ße: 😀", true), out)
        })
        .expect("fragments");
    let mut ponged = false;
    let echo = websocket.read_with(|event, _, _| match event {
        Event::Pong(payload) => {
            ponged = *payload == *b"between";
            None
        }
        Event::Text(text) => Some(text.into_owned()),
        _ => None,
    });
    assert_eq!(echo.expect("an echo").as_deref(), Some("Größe: 😀"));
    assert!(ponged, "the Ping between the fragments should be answered");
    ok("fragmented text with a Ping between");
    websocket.close(CloseCode::NORMAL, "").expect("a clean close");
}

fn pings(pinging: &mut WebSocket<TcpStream>, echoing: &mut WebSocket<TcpStream>) {
    assert_eq!(text(pinging), "you are there");
    ok("their Ping is answered");
    assert_eq!(pinging.read().expect("a clean close"), None);

    for payload in [&b""[..], b"payload", &[0xff; 125]] {
        echoing.ping(payload).expect("a Ping");
        let pong = echoing.read_with(|event, _, _| match event {
            Event::Pong(pong) => Some(pong.into_owned()),
            _ => None,
        });
        assert_eq!(pong.expect("a Pong").as_deref(), Some(payload));
        ok(&format!("our Ping of {} bytes is answered", payload.len()));
    }
    echoing.close(CloseCode::NORMAL, "").expect("a clean close");
}

fn closing(open: &impl Fn(&str) -> WebSocket<TcpStream>, last_close: &impl Fn() -> String) {
    for (code, reason) in [(1000, ""), (1001, "leaving"), (4001, "adiós"), (3000, &*"r".repeat(123))] {
        let mut websocket = open("/watched");
        websocket.close(CloseCode::new(code).expect("a code"), reason).expect("a clean close");
        let info = websocket.close_info().expect("it is closed");
        assert!(info.clean && info.initiator == Some(Initiator::Local), "{info:?}");
        assert_eq!(last_close(), format!("{code} {reason}"));
        ok(&format!("our Close {code} is understood and answered"));
    }
    for (code, reason) in [(1000, "done"), (1011, "oh no"), (4999, "last")] {
        let started = Instant::now();
        let mut websocket = open(&format!("/close/{code}/{}", reason.replace(' ', "_")));
        assert_eq!(websocket.read().expect("a clean close"), None);
        let info = websocket.close_info().expect("it is closed");
        assert!(info.clean && info.initiator == Some(Initiator::Peer), "{info:?}");
        let received = info.received.as_ref().expect("their Close");
        assert_eq!(received.code, code);
        assert_eq!(received.reason, reason.replace(' ', "_"));
        assert!(started.elapsed().as_secs() < 5, "the server closes TCP, nobody waits for a deadline");
        ok(&format!("their Close {code} is understood and answered"));
    }
}

/// What no server may send fails the connection, and the server is told why.
fn failing(open: &impl Fn(&str) -> WebSocket<TcpStream>, last_close: &impl Fn() -> String) {
    for (what, hex, error, code) in [
        ("invalid UTF-8", "8102c328", Error::InvalidUtf8, "1007"),
        ("a masked frame", "81810000000041", Error::Protocol(Violation::Masked), "1002"),
        ("a reserved opcode", "8300", Error::Protocol(Violation::ReservedOpcode), "1002"),
        ("a frame over the limit", "827f0000000004000001", Error::TooBig, "1009"),
    ] {
        let mut websocket = open(&format!("/raw/{hex}"));
        match websocket.read() {
            Err(blocking::Error::Connection(found)) => assert_eq!(found, error, "{what}"),
            other => panic!("{what} should fail the connection, not be {other:?}"),
        }
        let told = last_close();
        assert!(told.starts_with(code), "{what}: the server was told {told}");
        ok(&format!("{what} fails with {code}"));
    }
}

fn subprotocols(base: &str) {
    let uri = format!("{base}/protocol");
    let uri = Uri::parse(&uri).expect("a URI");
    for (offered, chosen) in [(&["chat", "superchat"][..], Some("superchat")), (&["chat"], None), (&[], None)] {
        let stream = TcpStream::connect((uri.host(), uri.port())).expect("the server");
        let request = client::Request::from_uri(&uri).subprotocols(offered);
        let (mut websocket, response) = blocking::client(stream, &request, &config()).expect("a WebSocket");
        assert_eq!(response.subprotocol(), chosen);
        assert_eq!(text(&mut websocket), chosen.unwrap_or("None"));
        websocket.close(CloseCode::NORMAL, "").expect("a clean close");
        ok(&format!("of the subprotocols {offered:?} {chosen:?} is chosen"));
    }
}

fn refusal(base: &str) {
    match blocking::connect(&format!("{base}/refuse"), &config()) {
        Err(blocking::Error::Handshake(HandshakeError::Rejected(response))) => {
            assert_eq!((response.status(), response.body()), (403, &b"not you"[..]));
        }
        other => panic!("the request should be refused, not {other:?}"),
    }
    ok("a refusal is told with its status and body");
}

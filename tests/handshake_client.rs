//! The client's half of the opening handshake: RFC 6455 §3, §4.1, §11.3, RFC 9112 §4, §6, §7.
#![cfg(feature = "handshake")]

#[path = "support/handshake.rs"]
mod support;

use std::time::Duration;

use bytes::BytesMut;
use sansock::{
    Config, Event, HandshakeError, HeadError, Malformed, Timestamp, Transport,
    client::{self, Request},
    handshake::{FieldError, RequestError, Uri, accept_key},
};
use support::{accept, answer_pieces, connect, every_cut};

/// The answer to the client's key, with one line of it replaced, or taken away, or lines added.
fn with(name: &str, lines: &[&str]) -> String {
    let golden = golden();
    let kept = golden.trim_end().split("\r\n").filter(|line| !line.starts_with(&format!("{name}:")));
    let all: Vec<&str> = kept.chain(lines.iter().copied()).collect();
    all.join("\r\n") + "\r\n\r\n"
}

fn golden() -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
        accept()
    )
}

/// What the client makes of an answer, however it is cut.
fn answer(bytes: impl AsRef<[u8]>) -> Result<Option<(u16, Option<String>)>, HandshakeError> {
    let answered = every_cut(bytes.as_ref(), |pieces| answer_pieces(pieces, &Config::default()));
    let over = if answered.result.is_err() { Transport::Close } else { Transport::KeepOpen };
    assert_eq!(answered.transport, over);
    answered.result
}

fn fails(bytes: impl AsRef<[u8]>, error: HandshakeError) {
    let text = String::from_utf8_lossy(bytes.as_ref()).into_owned();
    assert_eq!(answer(bytes), Err(error), "{text:?}");
}

fn opens(bytes: impl AsRef<[u8]>) -> Option<String> {
    let text = String::from_utf8_lossy(bytes.as_ref()).into_owned();
    let Ok(Some((101, subprotocol))) = answer(bytes) else { panic!("{text:?}") };
    subprotocol
}

/// Status, body, and whether that is all of it.
fn rejected(bytes: impl AsRef<[u8]>) -> (u16, String, bool) {
    match answer(bytes) {
        Err(HandshakeError::Rejected(response)) => {
            let body = String::from_utf8(response.body().to_vec()).unwrap();
            (response.status(), body, response.is_whole())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn r36_the_request_byte_for_byte() {
    let uri = Uri::parse("ws://user:pass@server.example.com:8080/chat?x=1").unwrap();
    let request = Request::from_uri(&uri)
        .subprotocols(&["chat", "superchat"])
        .origin("http://example.com")
        .headers(&[("User-Agent", b"test"), ("X", b"\xe9")]);
    let mut out = BytesMut::new();
    let handshake = client::connect(&request, &Config::default(), [1; 32], &mut out).unwrap();
    let text = format!(
        "GET /chat?x=1 HTTP/1.1\r\nHost: server.example.com:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
         Origin: http://example.com\r\nAuthorization: Basic dXNlcjpwYXNz\r\nUser-Agent: test\r\nX: ",
        handshake.key()
    );
    assert_eq!(out, [text.as_bytes(), b"\xe9\r\n\r\n"].concat());

    let host = |uri| connect(&Request::from_uri(&Uri::parse(uri).unwrap()), &Config::default()).1;
    for (uri, line) in [
        ("ws://[::1]:8080", "Host: [::1]:8080"),
        ("wss://[::1]:443/", "Host: [::1]"),
        ("ws://h:80/", "Host: h"),
        ("wss://h:80/", "Host: h:80"),
    ] {
        let request = host(uri);
        assert!(request.starts_with("GET / HTTP/1.1\r\n") && request.contains(&format!("\r\n{line}\r\n")), "{request}");
        assert!(support::is_opening_handshake(request.replace("[::1]", "h").as_bytes()), "{request}");
    }
    let own = [("authorization", &b"Bearer t"[..])];
    let request = Request::from_uri(&Uri::parse("ws://u:p@h").unwrap()).headers(&own);
    assert!(!connect(&request, &Config::default()).1.contains("Basic"));
}

#[test]
fn r36_what_would_break_the_request_is_the_callers_error() {
    let error = |request: &Request<'_>| {
        let mut out = BytesMut::new();
        let error = client::connect(request, &Config::default(), [0; 32], &mut out).err();
        assert_eq!(out.is_empty(), error.is_some());
        error
    };
    let ok = Request::new("h", "/");
    assert_eq!(error(&ok.clone().origin("null")), None);
    for host in ["", "a b", "a\r\nb", "a/b", "u@h", "h:x", "::1", "a,b"] {
        assert_eq!(error(&Request::new(host, "/")), Some(RequestError::Host(host.into())), "{host}");
    }
    for target in ["", "p", "*", "/a b", "/\r\nX: y", "/#f", "/\u{e9}", "/\0", "http://h/"] {
        assert_eq!(error(&Request::new("h", target)), Some(RequestError::Target(target.into())), "{target}");
    }
    for names in [&["a b"][..], &[""], &["a,b"], &["a", "a"], &["a", "b", "a"], &["a\r\nb"], &["\u{e9}"]] {
        let expected = RequestError::Subprotocol(names[0].into());
        assert_eq!(error(&ok.clone().subprotocols(names)), Some(expected), "{names:?}");
    }
    assert_eq!(error(&ok.clone().origin("a\r\nb")), Some(FieldError::Value("Origin".into()).into()));
    for (name, expected) in [
        ("Host", FieldError::Managed("host")),
        ("HOST", FieldError::Managed("host")),
        ("Upgrade", FieldError::Managed("upgrade")),
        ("Connection", FieldError::Managed("connection")),
        ("Sec-WebSocket-Key", FieldError::Managed("sec-websocket-key")),
        ("Sec-WebSocket-Version", FieldError::Managed("sec-websocket-version")),
        ("Sec-WebSocket-Protocol", FieldError::Managed("sec-websocket-protocol")),
        ("Sec-WebSocket-Extensions", FieldError::Managed("sec-websocket-extensions")),
        ("Origin", FieldError::Managed("origin")),
        ("Content-Length", FieldError::Managed("content-length")),
        ("Transfer-Encoding", FieldError::Managed("transfer-encoding")),
        ("a b", FieldError::Name("a b".into())),
        ("a\r\nb", FieldError::Name("a\r\nb".into())),
        ("", FieldError::Name(String::new())),
    ] {
        assert_eq!(error(&ok.clone().headers(&[(name, b"x")])), Some(expected.into()), "{name}");
    }
    for value in [&b"a\r\nb: c"[..], b"a\n", b"\r", b"\0", b"\x7f"] {
        assert_eq!(error(&ok.clone().headers(&[("a", value)])), Some(FieldError::Value("a".into()).into()));
    }
}

/// R37, and the seed does not show: the same one gives the same bytes, and the key tells nothing of the masks.
#[test]
fn r37_every_seed_has_its_own_key() {
    let key = |seed| {
        let mut out = BytesMut::new();
        let handshake = client::connect(&Request::new("h", "/"), &Config::default(), seed, &mut out).unwrap();
        assert!(support::is_key(handshake.key().as_bytes()));
        assert!(!format!("{handshake:?}").contains("seed"));
        handshake.key().to_owned()
    };
    let mut keys: Vec<String> = (0..=255).map(|i| key([i; 32])).collect();
    assert_eq!(keys[7], key([7; 32]));
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 256);
}

/// R38 holds by construction: there is no `Connection` before the answer. R51: what follows it is not lost.
#[test]
fn r38_r51_frames_follow_the_answer_in_both_directions() {
    let (mut handshake, _) = connect(&Request::new("h", "/"), &Config::default());
    let mut bytes = with("Sec-WebSocket-Protocol", &[]).into_bytes();
    bytes.extend_from_slice(b"\x81\x05Hello");
    let (mut input, mut out) = (&mut bytes[..], BytesMut::new());
    let (mut connection, response) = handshake.receive(&mut input).unwrap().unwrap();
    assert_eq!((response.status(), response.reason(), response.is_whole()), (101, "Switching Protocols", true));
    assert_eq!(input, b"\x81\x05Hello");
    assert!(matches!(handshake.receive(&mut input), Ok(None)));
    assert_eq!(handshake.receive_eof(), Ok(()));
    assert_eq!(connection.receive(&mut input, &mut out), Ok(Some(Event::Text("Hello".into()))));
    connection.send_text("Hello", &mut out).unwrap();
    assert_eq!((out[0], out[1]), (0x81, 0x85));

    let bytes = [golden().as_bytes(), b"\x81\x05Hello"].concat();
    let answered = every_cut(&bytes, |pieces| answer_pieces(pieces, &Config::default()));
    assert_eq!(answered.left, b"\x81\x05Hello");
}

#[test]
fn r39_another_status_than_101_is_an_answer_to_read() {
    let golden = with("X", &["Content-Length: 0"]);
    for status in [200, 204, 301, 401, 403, 404, 426, 500, 503, 599] {
        let (seen, body, whole) = rejected(golden.replacen("101", &status.to_string(), 1));
        assert_eq!((seen, body.as_str(), whole), (status, "", true), "{status}");
    }
}

#[test]
fn r39_the_body_of_a_rejection_is_bounded() {
    let page = |fields: &str, body: &str| format!("HTTP/1.1 404 Not Found\r\n{fields}\r\n{body}");
    assert_eq!(rejected(page("Content-Length: 5\r\n", "hello and more")), (404, "hello".into(), true));
    assert_eq!(rejected(page("Content-Length: 0\r\n", "")), (404, String::new(), true));
    let chunked = "5\r\nhello\r\n6; x=y\r\n world\r\n0\r\nTrailer: t\r\n\r\n";
    assert_eq!(rejected(page("Transfer-Encoding: chunked\r\n", chunked)), (404, "hello world".into(), true));
    assert_eq!(rejected(page("Transfer-Encoding: chunked\r\n", "5\r\nhelloX")), (404, "hello".into(), false));
    assert_eq!(rejected("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"), (304, String::new(), true));
    assert_eq!(rejected("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"), (200, "hi".into(), true));

    let limit = Config::default().max_body_len(4);
    for fields in ["Content-Length: 5\r\n", "Content-Length: 4\r\n", "", "Transfer-Encoding: chunked\r\n"] {
        let body = if fields.starts_with('T') { "5\r\nhello\r\n0\r\n\r\n" } else { "hello" };
        let bytes = page(fields, body);
        let answered = every_cut(bytes.as_bytes(), |pieces| answer_pieces(pieces, &limit));
        let Err(HandshakeError::Rejected(response)) = answered.result else { panic!("{fields}") };
        assert_eq!((response.body(), response.is_whole()), (&b"hell"[..], fields.contains('4')), "{fields}");
    }
}

/// A body that no length ends ends with the connection, or with its time.
#[test]
fn r39_a_body_without_a_length_ends_with_the_connection() {
    let start = |body: &str| {
        let (mut handshake, _) = connect(&Request::new("h", "/"), &Config::default());
        let mut bytes = format!("HTTP/1.1 401 \r\nWWW-Authenticate: Basic\r\n{body}").into_bytes();
        assert!(matches!(handshake.receive(&mut &mut bytes[..]), Ok(None)));
        handshake
    };
    let body = |error| match error {
        Err(HandshakeError::Rejected(response)) => {
            assert_eq!(response.header("www-authenticate"), Some(&b"Basic"[..]));
            (response.body().to_vec(), response.is_whole())
        }
        other => panic!("{other:?}"),
    };
    let mut handshake = start("\r\nwho");
    assert_eq!(body(handshake.receive_eof()), (b"who".to_vec(), true));
    assert_eq!((handshake.receive_eof(), handshake.transport()), (Ok(()), Transport::Close));
    assert_eq!(body(start("Content-Length: 4\r\n\r\nwho").receive_eof()), (b"who".to_vec(), false));

    let at = |seconds| Timestamp::from_duration(Duration::from_secs(seconds));
    let mut handshake = start("\r\nwho");
    let mut out = BytesMut::new();
    handshake.handle_timeout(at(1), &mut out).unwrap();
    assert_eq!(body(handshake.handle_timeout(at(11), &mut out)), (b"who".to_vec(), false));
    assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::Abort, None));
}

#[test]
fn r40_upgrade_is_exactly_websocket() {
    opens(with("Upgrade", &["Upgrade: WebSocket"]));
    for lines in [
        &[][..],
        &["Upgrade: websocket, foo"],
        &["Upgrade: foo"],
        &["Upgrade: "],
        &["Upgrade: websocket/13"],
        &["Upgrade: websocket", "Upgrade: websocket"],
    ] {
        fails(with("Upgrade", lines), HandshakeError::Upgrade);
    }
}

#[test]
fn r41_connection_has_upgrade() {
    opens(with("Connection", &["Connection: keep-alive, upgrade"]));
    opens(with("Connection", &["Connection: keep-alive", "Connection: UPGRADE"]));
    for lines in [
        &[][..],
        &["Connection: keep-alive"],
        &["Connection: "],
        &["Connection: \"upgrade\""],
        &["Connection: a b, upgrade"],
    ] {
        fails(with("Connection", lines), HandshakeError::Connection);
    }
}

/// R42, R43.
#[test]
fn r42_r43_the_accept_answers_the_key_once() {
    let accept = accept();
    let line = |value: &str| format!("Sec-WebSocket-Accept: {value}");
    opens(with("Sec-WebSocket-Accept", &[&line(&format!("\t {accept} \t"))]));
    let swapped: String = accept
        .chars()
        .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    for wrong in [
        "",
        &swapped,
        &accept_key("dGhlIHNhbXBsZSBub25jZQ=="),
        &accept[..27],
        &format!("{accept}="),
        &format!("{accept}, {accept}"),
    ] {
        fails(with("Sec-WebSocket-Accept", &[&line(wrong)]), HandshakeError::Accept);
    }
    fails(with("Sec-WebSocket-Accept", &[]), HandshakeError::Accept);
    fails(with("Sec-WebSocket-Accept", &[&line(&accept), &line(&accept)]), HandshakeError::Accept);
}

/// R44, R45: nothing was offered, so nothing may come, not even once.
#[test]
fn r44_r45_an_extension_that_was_not_offered_is_refused() {
    for value in ["foo", "permessage-deflate", "", ";"] {
        let line = format!("Sec-WebSocket-Extensions: {value}");
        fails(with("X", &[&line]), HandshakeError::Extension(Some(value.into())));
        fails(with("X", &[&line, &line]), HandshakeError::Extension(None));
    }
}

/// R46, R47.
#[test]
fn r46_r47_the_subprotocol_is_one_that_was_offered() {
    let chosen = |lines: &[&str]| with("Sec-WebSocket-Protocol", lines);
    assert_eq!(opens(chosen(&[])), None);
    assert_eq!(opens(chosen(&["Sec-WebSocket-Protocol: chat"])), Some("chat".into()));
    assert_eq!(opens(chosen(&["sec-websocket-protocol:superchat "])), Some("superchat".into()));
    for value in ["Chat", "x", "", "chat, superchat", "chat,", "\"chat\"", "cha"] {
        let error = HandshakeError::Subprotocol(Some(value.into()));
        fails(chosen(&[&format!("Sec-WebSocket-Protocol: {value}")]), error);
    }
    let line = "Sec-WebSocket-Protocol: chat";
    fails(chosen(&[line, line]), HandshakeError::Subprotocol(None));
    // None was offered.
    let (mut handshake, _) = connect(&Request::new("h", "/"), &Config::default());
    let mut bytes = golden().into_bytes();
    assert_eq!(handshake.receive(&mut &mut bytes[..]).err(), Some(HandshakeError::Subprotocol(Some("chat".into()))));
}

#[test]
fn r48_the_reason_phrase_is_optional() {
    let line = |line: &str| golden().replacen("HTTP/1.1 101 Switching Protocols", line, 1);
    for fine in ["HTTP/1.1 101", "HTTP/1.1 101 ", "HTTP/1.1 101 a b\tc", "HTTP/1.1 101 \u{e9}"] {
        opens(line(fine));
    }
    for version in ["HTTP/1.0 101 x", "HTTP/2.0 101 x", "HTTP/1.2 101"] {
        fails(line(version), HandshakeError::Head(HeadError::Version));
    }
    for malformed in [
        "HTTP/1.1 1O1 x",
        "HTTP/1.1  101 x",
        "HTTP/1.1 101x",
        "HTTP/1.1 99 x",
        "HTTP/1.1 099 x",
        "HTTP/1.1 600 x",
        "HTTP/1.1",
    ] {
        let error = answer(line(malformed)).unwrap_err();
        assert!(
            matches!(error, HandshakeError::Head(HeadError::Malformed(_) | HeadError::Version)),
            "{malformed}: {error:?}"
        );
    }
    fails("\r\n".to_owned() + &golden(), HandshakeError::Head(HeadError::Malformed(Malformed::FirstByte)));
    fails("SSH-2.0-OpenSSH\r\n", HandshakeError::Head(HeadError::Malformed(Malformed::FirstByte)));
    fails("\u{15}\u{3}\u{1}", HandshakeError::Head(HeadError::Malformed(Malformed::FirstByte)));
    fails(golden().replace("\r\n", "\n"), HandshakeError::Head(HeadError::Malformed(Malformed::BareLf)));
    fails(with("X", &["X: y", " folded"]), HandshakeError::Head(HeadError::Malformed(Malformed::Folding)));
    fails(with("X", &["X : y"]), HandshakeError::Head(HeadError::Malformed(Malformed::FieldName)));
    fails(with("X", &["X: \0"]), HandshakeError::Head(HeadError::Malformed(Malformed::ControlCharacter)));
}

/// R48, R50: a line that no answer has fails at its CRLF at the latest, whole and byte by byte.
#[test]
fn r48_a_line_that_no_answer_has_fails_at_its_crlf() {
    let fails_at_its_end = |bytes: &str, error: HandshakeError| {
        assert_eq!(answer(&bytes[..bytes.len() - 1]), Ok(None), "{bytes:?}");
        fails(bytes, error.clone());
        // What follows does not change the verdict.
        fails(format!("{bytes}\r\nUpgrade: websocket\r\n\r\n"), error);
    };
    let start_line = HandshakeError::Head(HeadError::Malformed(Malformed::StartLine));
    for line in ["HTTP/1.1 99 x\r\n", "HTTP/1.1 600\r\n", "HTTP/1.1 1O1\r\n", "HTTP/1.1 101 \x7f\r\n"] {
        fails_at_its_end(line, start_line.clone());
    }
    for line in ["Hello!\r\n", "H\r\n", "HTTP/1.1\r\n", "HTTP/2.0 101 x\r\n"] {
        fails_at_its_end(line, HandshakeError::Head(HeadError::Version));
    }
    for field in ["foo\r\n", "a: b\r\nfoo\r\n", "foo ", ":"] {
        let malformed = HandshakeError::Head(HeadError::Malformed(Malformed::FieldName));
        fails_at_its_end(&format!("HTTP/1.1 101 x\r\n{field}"), malformed.clone());
        fails_at_its_end(&format!("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 101 x\r\n{field}"), malformed);
    }
}

#[test]
fn r49_interim_answers_are_skipped_but_counted() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\n";
    opens(interim.to_owned() + &golden());
    opens(interim.repeat(4) + &golden());
    fails(interim.repeat(4) + "HTTP/1.1 102 Processing\r\n\r\n" + &golden(), HandshakeError::TooManyInterim { max: 8 });
    assert_eq!(rejected(interim.to_owned() + "HTTP/1.1 404 x\r\nContent-Length: 1\r\n\r\nx"), (404, "x".into(), true));
}

#[test]
fn r50_limits_hold_for_answers_too() {
    let run = |bytes: &str, config: &Config| every_cut(bytes.as_bytes(), |pieces| answer_pieces(pieces, config)).result;
    let golden = golden();
    let longest = golden.lines().map(str::len).max().unwrap();
    let line = golden.lines().next().unwrap().len();
    let config = Config::default;
    assert!(run(&golden, &config().max_head_len(golden.len())).is_ok_and(|answer| answer.is_some()));
    assert_eq!(
        run(&golden, &config().max_head_len(golden.len() - 1)),
        Err(HeadError::TooLong { max: golden.len() - 1 }.into())
    );
    assert!(run(&golden, &config().max_line_len(longest)).is_ok_and(|answer| answer.is_some()));
    assert_eq!(
        run(&golden, &config().max_line_len(longest - 1)),
        Err(HeadError::FieldTooLong { max: longest - 1 }.into())
    );
    assert_eq!(
        run(&golden, &config().max_line_len(line - 1)),
        Err(HeadError::StartLineTooLong { max: line - 1 }.into())
    );
    assert!(run(&golden, &config().max_headers(4)).is_ok_and(|answer| answer.is_some()));
    assert_eq!(run(&golden, &config().max_headers(3)), Err(HeadError::TooManyFields { max: 3 }.into()));
    let endless = "HTTP/1.1 101\r\n".to_owned() + &"A: b\r\n".repeat(10_000);
    assert_eq!(run(&endless, &config().max_headers(100_000)), Err(HeadError::TooLong { max: 16384 }.into()));
    assert_eq!(run(&endless, &config()), Err(HeadError::TooManyFields { max: 100 }.into()));
    let long = "HTTP/1.1 101\r\nA: ".to_owned() + &"b".repeat(10_000);
    assert_eq!(run(&long, &config()), Err(HeadError::FieldTooLong { max: 8192 }.into()));
}

#[test]
fn r52_an_end_before_the_answer_is_an_error() {
    let golden = golden();
    for len in 0..golden.len() {
        let (mut handshake, _) = connect(&Request::new("h", "/"), &Config::default());
        let mut bytes = golden.as_bytes()[..len].to_vec();
        assert!(matches!(handshake.receive(&mut &mut bytes[..]), Ok(None)));
        assert_eq!(handshake.receive_eof(), Err(HandshakeError::ConnectionLost));
        assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::Close, Some(Timestamp::ZERO)));
        assert_eq!(handshake.receive_eof(), Ok(()));
    }
}

/// R52: after the end of the input a client that is not dropped has what is left of its deadline, and so it has after
/// an error.
#[test]
fn r52_the_end_of_the_input_does_not_end_time() {
    let at = |seconds| Timestamp::from_duration(Duration::from_secs(seconds));
    let start = |config: &Config, bytes: &str| {
        let (mut handshake, _) = connect(&Request::new("h", "/"), config);
        handshake.handle_timeout(at(1), &mut BytesMut::new()).unwrap();
        let failed = handshake.receive(&mut &mut bytes.as_bytes().to_vec()[..]).is_err();
        assert!(handshake.receive_eof().is_err() != failed);
        assert_eq!(handshake.transport(), Transport::Close);
        handshake
    };
    let mut out = BytesMut::new();
    for bytes in ["", "HTTP/1.1 404 no\r\n", "HTTP/1.1 404 no\r\n\r\nbody", "SSH", "HTTP/1.1 101 x\r\n\r\n"] {
        let mut handshake = start(&Config::default(), bytes);
        assert_eq!(handshake.poll_timeout(), Some(at(11)), "{bytes:?}");
        assert_eq!(handshake.handle_timeout(at(10), &mut out), Ok(()));
        assert_eq!(handshake.transport(), Transport::Close);
        assert_eq!(handshake.handle_timeout(at(11), &mut out), Ok(()), "{bytes:?}");
        assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::Abort, None));
        assert_eq!(start(&Config::default().handshake_timeout(None), bytes).poll_timeout(), None);
    }
    // A connection has its own deadlines.
    let (mut handshake, _) = connect(&Request::new("h", "/"), &Config::default());
    let mut bytes = with("Sec-WebSocket-Protocol", &[]).into_bytes();
    assert!(matches!(handshake.receive(&mut &mut bytes[..]), Ok(Some(_))));
    assert_eq!((handshake.receive_eof(), handshake.poll_timeout()), (Ok(()), None));
}

#[test]
fn an_answer_that_takes_too_long_is_given_up() {
    let at = |seconds| Timestamp::from_duration(Duration::from_secs(seconds));
    let (mut handshake, _) = connect(&Request::new("h", "/"), &Config::default());
    let mut out = BytesMut::new();
    assert_eq!(handshake.poll_timeout(), Some(Timestamp::ZERO));
    handshake.handle_timeout(at(3), &mut out).unwrap();
    assert_eq!(handshake.poll_timeout(), Some(at(13)));
    handshake.handle_timeout(at(12), &mut out).unwrap();
    assert_eq!(handshake.handle_timeout(at(13), &mut out), Err(HandshakeError::Timeout));
    assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::Abort, None));
    let mut bytes = golden().into_bytes();
    assert!(matches!(handshake.receive(&mut &mut bytes[..]), Ok(None)));
    assert!(out.is_empty());
}

/// Section 9: every single-byte replacement, deletion and duplication of the golden answer, against a second opinion.
#[test]
fn every_mutation_of_an_answer_is_judged_as_a_strict_reader_judges_it() {
    let golden = golden();
    assert!(support::is_switch(golden.as_bytes()));
    let config = Config::default();
    let mut count = 0;
    support::mutations(golden.as_bytes(), |bytes, at| {
        let answered = answer_pieces(&[bytes], &config);
        let opened = matches!(answered.result, Ok(Some(_)));
        assert_eq!(opened, support::is_switch(bytes), "at {at}: {:?} {answered:?}", String::from_utf8_lossy(bytes));
        assert_eq!(answer_pieces(&[&bytes[..at], &bytes[at..]], &config), answered);
        if bytes.len() != golden.len() || b"\0\t\n\r \",:;=/\\A0z\x7F\x80\xFF".contains(&bytes[at]) {
            assert_eq!(answer_pieces(&bytes.chunks(1).collect::<Vec<_>>(), &config), answered);
        }
        count += usize::from(opened);
    });
    assert!(count > 1_000, "the space has both: {count}");
}

#[test]
fn an_answer_from_an_http_library_takes_the_same_way() {
    let accept = accept();
    let fields = |accept: &'static str| {
        [("upgrade", &b"websocket"[..]), ("connection", b"Upgrade"), ("sec-websocket-accept", accept.as_bytes())]
    };
    let start = || connect(&Request::new("h", "/"), &Config::default()).0;
    let (_, response) = start().receive_parts(101, fields(Box::leak(accept.into_boxed_str()))).unwrap();
    assert_eq!((response.status(), response.subprotocol(), response.headers().len()), (101, None, 3));
    assert_eq!(start().receive_parts(101, fields("x")).err(), Some(HandshakeError::Accept));
    let mut handshake = start();
    let Err(HandshakeError::Rejected(response)) = handshake.receive_parts(302, [("location", &b"/"[..])]) else {
        panic!()
    };
    assert_eq!((response.status(), response.header("Location")), (302, Some(&b"/"[..])));
    assert_eq!(handshake.transport(), Transport::Close);
}

/// R44, R99, R102: an answer is checked against the offer; what is agreed is visible on both sides.
#[cfg(feature = "deflate")]
#[test]
fn r99_permessage_deflate_is_agreed_on_or_fails() {
    use sansock::deflate::Deflate;

    let config = Config::default().deflate(Deflate::default());
    let mut out = BytesMut::new();
    let mut client = client::connect(&client::Request::new("a", "/"), &config, [9; 32], &mut out).unwrap();
    let request = String::from_utf8(out.to_vec()).unwrap();
    assert!(request.contains("\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"));

    let mut bytes = out.to_vec();
    let mut server = sansock::server::Handshake::new(&config.clone().deflate(Deflate::low_memory()));
    let (mut input, mut answer) = (&mut bytes[..], BytesMut::new());
    let request = server.receive(&mut input, &mut answer).unwrap().unwrap();
    let server = request.accept(&sansock::server::Response::new(), &mut answer).unwrap();
    let text = String::from_utf8(answer.to_vec()).unwrap();
    assert!(text.contains(
        "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         server_max_window_bits=12\r\n"
    ));
    let mut bytes = answer.to_vec();
    let (client, _) = client.receive(&mut &mut bytes[..]).unwrap().unwrap();
    let (ours, theirs) = (client.deflate().unwrap(), server.deflate().unwrap());
    assert_eq!((ours.sending(), ours.receiving()), (theirs.receiving(), theirs.sending()));

    let twice = "permessage-deflate, permessage-deflate";
    for (wrong, error) in [
        ("foo", HandshakeError::Extension(Some("foo".into()))),
        (twice, HandshakeError::Extension(Some(twice.into()))),
        ("permessage-deflate; foo", HandshakeError::Deflate(sansock::deflate::Declined::Unknown)),
        ("permessage-deflate; client_max_window_bits", HandshakeError::Deflate(sansock::deflate::Declined::Value)),
    ] {
        let mut client = client::connect(&client::Request::new("a", "/"), &config, [9; 32], &mut out).unwrap();
        let accept = sansock::handshake::accept_key(client.key());
        let mut bytes = format!(
            "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\
             Sec-WebSocket-Extensions: {wrong}\r\n\r\n"
        )
        .into_bytes();
        assert_eq!(client.receive(&mut &mut bytes[..]).unwrap_err(), error, "{wrong}");
    }
}

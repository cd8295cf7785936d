//! The server's half of the opening handshake: RFC 6455 §4.2 to §4.4, §10.2, §11.3, RFC 9112 §2 to §6.
#![cfg(feature = "handshake")]

#[path = "support/handshake.rs"]
mod support;

use std::{borrow::Cow, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use sansock::{
    Config, Event, HandshakeError, HeadError, Malformed, OriginPolicy, Refused, Timestamp, Transport, UpgradeError,
    handshake::accept_key,
    handshake::{FieldError, RequestError, ResponseError},
    server::{self, Response},
};
use support::{MINIMAL, REQUEST, Served, check_answer, config, every_cut, serve, serve_pieces, serve_with, with};

/// A request that `receive` hands out.
fn request(bytes: &str) -> server::Request {
    let mut bytes = bytes.as_bytes().to_vec();
    let mut handshake = server::Handshake::new(&config());
    handshake.receive(&mut &mut bytes[..], &mut BytesMut::new()).unwrap().unwrap()
}

fn malformed(bytes: impl AsRef<[u8]>, why: Malformed) {
    let served = serve(&bytes);
    let text = String::from_utf8_lossy(bytes.as_ref());
    assert_eq!(served.error, Some(HandshakeError::Head(HeadError::Malformed(why))), "{text:?}");
    assert_eq!((served.status(), served.transport), (400, Transport::ShutdownWrite), "{text:?}");
}

fn refused(bytes: impl AsRef<[u8]>, why: UpgradeError) -> Served {
    let served = serve(&bytes);
    let text = String::from_utf8_lossy(bytes.as_ref());
    assert_eq!((served.verdict(), served.status()), (Some(why), why.status()), "{text:?}");
    served
}

fn accepted(bytes: impl AsRef<[u8]>) -> Served {
    let served = serve(&bytes);
    assert!(served.accepted(), "{served:?} {:?}", String::from_utf8_lossy(bytes.as_ref()));
    served
}

/// R11, R12: RFC 6455 §1.3's own example, byte for byte.
#[test]
fn r11_a_request_is_answered_by_its_accept_key() {
    let served = accepted(REQUEST);
    assert_eq!(
        served.out(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
    assert_eq!((served.left.len(), served.transport), (0, Transport::KeepOpen));
    assert_eq!(served.headers()[0], ("Host".into(), b"server.example.com".to_vec()));
    assert_eq!(served.headers().len(), 8);
}

/// R11: 10,000 keys against SHA-1 itself.
#[test]
fn r11_every_key_has_its_own_answer() {
    use sha1::{Digest, Sha1};
    let mut random = 1_u128;
    for _ in 0..10_000 {
        random = random.wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645).wrapping_add(0x5851_F42D_4C95_7F2D);
        let key = STANDARD.encode(random.to_le_bytes());
        let oracle = STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
        assert_eq!(accept_key(&key), oracle);
        let served =
            serve_pieces(&[with("Sec-WebSocket-Key", &[&format!("Sec-WebSocket-Key: {key}")]).as_bytes()], &config());
        assert!(served.out().contains(&format!("\r\nSec-WebSocket-Accept: {oracle}\r\n")));
    }
}

#[test]
fn r1_another_method_than_get_surfaces_and_is_told_which_one_opens_a_websocket() {
    for method in ["POST", "get", "PUT", "DELETE", "OPTIONS", "Get", "M-SEARCH"] {
        let served = refused(REQUEST.replacen("GET", method, 1), UpgradeError::Method);
        assert!(served.out().starts_with("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n"));
        assert_eq!(served.request.unwrap().0, method);
    }
    refused("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", UpgradeError::Method);
    refused("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", UpgradeError::Method);
    // The answer to HEAD has the length of a body, but none (RFC 9110 §9.3.2).
    let head = serve(REQUEST.replacen("GET", "HEAD", 1));
    assert_eq!(head.verdict(), Some(UpgradeError::Method));
    assert!(head.out().contains("\r\nContent-Length: 28\r\n") && head.out().ends_with("\r\n\r\n"));
}

#[test]
fn r2_only_http_1_1_is_spoken() {
    for version in ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/3.0"] {
        let served = serve(REQUEST.replacen("HTTP/1.1", version, 1));
        assert_eq!(
            (served.error.clone(), served.status()),
            (Some(HandshakeError::Head(HeadError::Version)), 505),
            "{version}"
        );
    }
    for version in
        ["HTTP/1.1x", "http/1.1", "HTTP/1,1", "HTTP/11", "HTTP/1.", "HTTPS/1.1", "", "HTTP/1.1 ", "x HTTP/1.1"]
    {
        malformed(REQUEST.replacen("HTTP/1.1", version, 1), Malformed::StartLine);
    }
    malformed("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".replace("PRI", "PRI "), Malformed::StartLine);
    assert_eq!(serve("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").error, Some(HandshakeError::Head(HeadError::Version)));
}

#[test]
fn r3_exactly_one_valid_host() {
    refused(with("Host", &[]), UpgradeError::Host);
    refused(with("Host", &["Host: a", "Host: b"]), UpgradeError::Host);
    refused(with("Host", &["Host: a", "Host: a"]), UpgradeError::Host);
    for host in
        ["", "a, b", "a,b", "a b", "a:b", "a:99999", "a/b", "u@a", "[::1", "::1", "[::g]", "\u{e9}", "a:80:80", ":80"]
    {
        refused(with("Host", &[&format!("Host: {host}")]), UpgradeError::Host);
    }
    for host in ["a", "A.b-c.example:8080", "127.0.0.1", "[::1]", "[::1]:80", "a:", "xn--nxasmq6b", "a_b"] {
        accepted(with("Host", &[&format!("Host:{host}")]));
    }
}

#[test]
fn r4_upgrade_includes_websocket() {
    for upgrade in ["WebSocket", "WEBSOCKET", "h2c, websocket", "websocket , h2c/1", ",websocket,"] {
        accepted(with("Upgrade", &[&format!("Upgrade: {upgrade}")]));
    }
    accepted(with("Upgrade", &["Upgrade: h2c", "upgrade: websocket"]));
    for upgrade in ["websockets", "web socket", "", "websocket/13", "\"websocket\"", "websocket, a b", "websocket;q=1"]
    {
        refused(with("Upgrade", &[&format!("Upgrade: {upgrade}")]), UpgradeError::Upgrade);
    }
}

/// R10, R9: RFC 9110 §15.5.22 and RFC 6455 §4.4.
#[test]
fn r10_whoever_does_not_ask_for_a_websocket_is_told_what_to_ask_for() {
    let served = refused(with("Upgrade", &[]), UpgradeError::Upgrade);
    assert!(served.out().starts_with(
        "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Type: text/plain\r\n\
         Connection: Upgrade, close\r\n"
    ));
    let page = request("GET /page HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(!page.is_upgrade());
    assert_eq!(page.verdict(), Err(UpgradeError::Upgrade));
    assert!(request(REQUEST).is_upgrade());
}

#[test]
fn r5_connection_includes_upgrade() {
    for connection in ["keep-alive, Upgrade", "upgrade", "UPGRADE,close", ", upgrade"] {
        accepted(with("Connection", &[&format!("Connection: {connection}")]));
    }
    accepted(with("Connection", &["Connection: keep-alive", "Connection: Upgrade"]));
    for connection in
        ["close", "upgraded", "\"Upgrade\"", "", "Upgrade x", "a, \"b, upgrade\"", "Upgrade/1", "Upgrade, a/b"]
    {
        refused(with("Connection", &[&format!("Connection: {connection}")]), UpgradeError::Connection);
    }
    refused(with("Connection", &[]), UpgradeError::Connection);
}

#[test]
fn r6_the_key_is_16_bytes_in_base64() {
    let key = |key: &str| with("Sec-WebSocket-Key", &[&format!("Sec-WebSocket-Key: {key}")]);
    for len in [0, 1, 14, 15, 17, 18, 32] {
        refused(key(&STANDARD.encode(vec![b'x'; len])), UpgradeError::Key);
    }
    for invalid in [
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBs ZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZR==",
        "dGhlIHNhbXBsZSBub25jZQ==x",
        "____IHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZQ==,",
        "\"dGhlIHNhbXBsZSBub25jZQ==\"",
    ] {
        refused(key(invalid), UpgradeError::Key);
    }
    refused(with("Sec-WebSocket-Key", &[]), UpgradeError::Key);
    // Every single byte of it, and every length from 20 to 28.
    let good = "dGhlIHNhbXBsZSBub25jZQ==";
    for at in 0..good.len() {
        for byte in (0x21..=0x7E).chain([b' ', b'\t', 0x80, 0xFF]) {
            let mut corrupt = good.as_bytes().to_vec();
            corrupt[at] = byte;
            let mut bytes = key("").into_bytes();
            bytes.truncate(bytes.len() - 4);
            bytes.extend_from_slice(&corrupt);
            bytes.extend_from_slice(b"\r\n\r\n");
            let served = serve_pieces(&[&bytes], &config());
            assert_eq!(served.accepted(), support::is_key(&corrupt), "{byte} at {at}");
        }
    }
    for len in 20..=28 {
        let text: String = good.chars().cycle().take(len).collect();
        assert_eq!(serve(key(&text)).accepted(), len == 24, "{text}");
        let text = "A".repeat(len.saturating_sub(2)) + "==";
        assert_eq!(serve(key(&text)).accepted(), len == 24, "{text}");
    }
}

#[test]
fn r7_the_key_comes_once() {
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    refused(with("Sec-WebSocket-Key", &[key, key]), UpgradeError::Key);
    refused(with("Sec-WebSocket-Key", &[key, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]), UpgradeError::Key);
    refused(with("Sec-WebSocket-Key", &[&format!("{key}, AAAAAAAAAAAAAAAAAAAAAA==")]), UpgradeError::Key);
}

/// R8, R9: any other version than 13, once, is answered by what the server speaks.
#[test]
fn r8_the_version_is_13() {
    let version = |version: &str| with("Sec-WebSocket-Version", &[&format!("Sec-WebSocket-Version: {version}")]);
    for other in ["8", "13, 8", "013", "+13", "256", "", "13.0", "13,", "0", "1 3", "\"13\"", "0xD"] {
        let served = refused(version(other), UpgradeError::Version);
        assert_eq!(served.status(), 426);
        assert!(served.out().contains("\r\nSec-WebSocket-Version: 13\r\n"));
    }
    refused(with("Sec-WebSocket-Version", &[]), UpgradeError::Version);
    refused(
        with("Sec-WebSocket-Version", &["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"]),
        UpgradeError::Version,
    );
    accepted(version(" \t13\t "));
}

#[test]
fn r12_white_space_around_the_key_is_none_of_it() {
    let served = accepted(with("Sec-WebSocket-Key", &["Sec-WebSocket-Key:\t dGhlIHNhbXBsZSBub25jZQ== \t"]));
    assert!(served.out().contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

#[test]
fn r13_a_server_chooses_a_subprotocol_that_was_offered() {
    let mut out = BytesMut::new();
    let request = request(REQUEST);
    for unoffered in ["x", "Chat", "chat, superchat", "", "chat\r\nX: y"] {
        let refused = request.accept(&Response::new().subprotocol(unoffered), &mut out).err();
        assert_eq!(refused, Some(Refused::Response(ResponseError::Subprotocol(unoffered.into()))));
        assert!(out.is_empty());
    }
    let preferred = request.preferred(&["x", "superchat", "chat"]);
    assert_eq!(preferred, Some("superchat"));
    assert_eq!(request.preferred(&["x"]), None);
    // The choice may borrow from the request that it answers.
    let first = request.subprotocols().next();
    assert_eq!(first, Some("chat"));
    request.accept(&Response::new().subprotocol(first), &mut out).unwrap();
    let text = std::str::from_utf8(&out).unwrap();
    assert!(text.ends_with("=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"), "{text}");
}

#[test]
fn r14_subprotocols_are_different_tokens_in_the_order_of_preference() {
    let list = |lines: &[&str]| {
        let lines: Vec<String> = lines.iter().map(|line| format!("Sec-WebSocket-Protocol: {line}")).collect();
        with("Sec-WebSocket-Protocol", &lines.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for lines in [&["a,b"][..], &["a , b"], &["a", "b"], &[",a,,b"], &["a,", "", "\tb\t"], &["a, b,"]] {
        accepted(list(lines));
        assert_eq!(request(&list(lines)).subprotocols().collect::<Vec<_>>(), ["a", "b"], "{lines:?}");
    }
    accepted(list(&["a, A"]));
    for lines in [
        &["a, a"][..],
        &["a", "b, a"],
        &[""],
        &[",, ,"],
        &["a b"],
        &["a/b"],
        &["a;b"],
        &["\"a\""],
        &["\u{e9}"],
        &["a, (b)"],
    ] {
        refused(list(lines), UpgradeError::Subprotocols);
    }
}

/// R15, R19: the server answers with no extension, whatever is offered, and ignores those that it does not know.
#[test]
fn r15_unknown_extensions_are_ignored() {
    for offer in ["foo", "foo; bar=1, permessage-deflate", "permessage-deflate; client_max_window_bits"] {
        let served = accepted(with("Sec-WebSocket-Extensions", &[&format!("Sec-WebSocket-Extensions: {offer}")]));
        assert!(!served.out().contains("Extensions"));
    }
    accepted(with("Sec-WebSocket-Extensions", &[]));
}

#[test]
fn r16_several_extension_fields_are_one_list() {
    let lines = ["Sec-WebSocket-Extensions: a; x=1; y", "sec-websocket-extensions: , b, c; z=\"2\\3\""];
    accepted(with("Sec-WebSocket-Extensions", &lines));
    let request = request(&with("Sec-WebSocket-Extensions", &lines));
    let names: Vec<_> = request.extensions().map(|extension| extension.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let params: Vec<_> = request.extensions().flat_map(|extension| extension.params()).collect();
    assert_eq!(params, [("x", Some("1".into())), ("y", None), ("z", Some(Cow::from("23")))]);
}

/// R17, R18: the grammar itself has its tests beside the parser.
#[test]
fn r18_extensions_that_break_the_grammar_are_refused() {
    for offer in [";", "a;;b", "a=", "=a", "a;b=\"", "a; b=\"\\c\\c", "a;b=\"\"", "a;b=\"c d\"", "", ", ,", "a b"] {
        let line = format!("Sec-WebSocket-Extensions: {offer}");
        refused(with("Sec-WebSocket-Extensions", &[&line]), UpgradeError::Extensions);
        if !offer.trim_matches([',', ' ']).is_empty() {
            let lines = ["Sec-WebSocket-Extensions: fine", &line];
            refused(with("Sec-WebSocket-Extensions", &lines), UpgradeError::Extensions);
        }
    }
}

#[test]
fn r20_unknown_fields_are_ignored() {
    let lines: Vec<String> = (0..90).map(|i| format!("X-{i}: {i}")).collect();
    accepted(with("X", &lines.iter().map(String::as_str).collect::<Vec<_>>()));
}

#[test]
fn r21_a_folded_line_is_refused() {
    malformed(with("X", &["X: a", " b"]), Malformed::Folding);
    malformed(with("X", &["X: a", "\tb"]), Malformed::Folding);
    malformed(REQUEST.replace("Key: ", "Key:\r\n "), Malformed::Folding);
    malformed(REQUEST.replacen("Host", " Host", 1), Malformed::Folding);
}

#[test]
fn r22_a_field_name_is_a_token_up_to_its_colon() {
    for line in ["Host : x", "Host\t: x", ": x", "a b: x", "no colon", "a\u{e9}: x", "(a): x", "\"a\": x"] {
        malformed(with("X", &[line]), Malformed::FieldName);
    }
}

#[test]
fn r23_lines_end_with_cr_and_lf() {
    malformed(REQUEST.replace("\r\n", "\n"), Malformed::BareLf);
    malformed("\n\n", Malformed::BareLf);
    malformed("GET / HTTP/1.1\n\n", Malformed::BareLf);
    malformed("\r\r\n", Malformed::BareCr);
    malformed("\rGET", Malformed::BareCr);
    malformed(REQUEST.replace("\r\n", "\r"), Malformed::BareCr);
    malformed(REQUEST.replacen("\r\n", "\r\r\n", 1), Malformed::BareCr);
    malformed(REQUEST.replacen("Host", "\rHost", 1), Malformed::BareCr);
    malformed(REQUEST.replacen("Host", "\nHost", 1), Malformed::BareLf);
    malformed(REQUEST.replacen("example", "exa\rmple", 1), Malformed::BareCr);
    malformed(REQUEST.replacen("example", "exa\nmple", 1), Malformed::BareLf);
    let unended = &REQUEST[..REQUEST.len() - 2];
    malformed(format!("{unended}\rx"), Malformed::BareCr);
    malformed(format!("{unended}\n"), Malformed::BareLf);
}

#[test]
fn r24_empty_lines_before_the_request_are_ignored_but_counted() {
    accepted(format!("\r\n{REQUEST}"));
    accepted(format!("\r\n\r\n\r\n{REQUEST}"));
    let served = serve("\r\n".repeat(100_000));
    assert_eq!((served.error.clone(), served.status()), (Some(HeadError::TooLong { max: 16384 }.into()), 431));
    let exact = Config::default().max_head_len(MINIMAL.len() + 2);
    assert!(serve_with(format!("\r\n{MINIMAL}"), &exact).accepted());
    assert_eq!(
        serve_with(format!("\r\n\r\n{MINIMAL}"), &exact).error,
        Some(HeadError::TooLong { max: MINIMAL.len() + 2 }.into())
    );
}

#[test]
fn r25_a_value_has_no_control_character_but_may_have_any_other_byte() {
    for byte in (0..0x20).chain([0x7F]) {
        let mut bytes = with("X", &["X: a@b"]).into_bytes();
        let at = bytes.iter().position(|b| *b == b'@').unwrap();
        bytes[at] = byte;
        match byte {
            b'\t' => drop(accepted(bytes)),
            b'\n' => malformed(bytes, Malformed::BareLf),
            b'\r' => malformed(bytes, Malformed::BareCr),
            0x7F => malformed(bytes, Malformed::FieldValue),
            _ => malformed(bytes, Malformed::ControlCharacter),
        }
    }
    let mut bytes = with("X", &["X: a@b"]).into_bytes();
    let at = bytes.iter().position(|b| *b == b'@').unwrap();
    bytes[at] = 0xE9;
    assert_eq!(accepted(bytes).headers().last().unwrap().1, b"a\xE9b");
    // Where a key, an origin or a host should be, it is one more way to be wrong.
    for (name, why) in [
        ("Sec-WebSocket-Key", UpgradeError::Key),
        ("Origin", UpgradeError::Origin),
        ("Host", UpgradeError::Host),
        ("Sec-WebSocket-Version", UpgradeError::Version),
        ("Sec-WebSocket-Protocol", UpgradeError::Subprotocols),
    ] {
        let mut bytes = with(name, &[&format!("{name}: @")]).into_bytes();
        let at = bytes.iter().rposition(|b| *b == b'@').unwrap();
        bytes[at] = 0xE9;
        refused(bytes, why);
    }
}

#[test]
fn r26_an_upgrade_with_a_body_is_refused_and_the_body_is_never_taken_for_frames() {
    for length in ["1", "5", "18446744073709551615"] {
        let bytes = with("X", &[&format!("Content-Length: {length}")]) + "\u{1}\u{2}abc";
        let served = refused(&bytes, UpgradeError::Body);
        assert_eq!(served.left, b"\x01\x02abc");
    }
    accepted(with("X", &["Content-Length: 0"]));
    for length in ["", "x", "-1", "+1", "1, 1", "1 1", "18446744073709551616"] {
        malformed(with("X", &[&format!("Content-Length: {length}")]) + "abc", Malformed::ContentLength);
    }
    malformed(with("X", &["Content-Length: 5", "Content-Length: 5"]), Malformed::ContentLength);
    for coding in ["chunked", "identity", "", "gzip, chunked"] {
        let served = serve(with("X", &[&format!("Transfer-Encoding: {coding}")]) + "5\r\nhello\r\n0\r\n\r\n");
        assert_eq!((served.error.clone(), served.status()), (Some(HandshakeError::TransferEncoding), 501));
        assert!(served.left.is_empty());
    }
    // The body of a request that is no upgrade is the application's.
    let post = request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(post.content_length(), 5);
}

#[test]
fn r27_the_target_is_a_path_or_an_absolute_uri() {
    for target in ["/", "/p?q", "//x", "ws://h/p", "http://h/p", "HTTPS://h", "wss://h:1?q", "/%zz", "/a|b"] {
        let served = accepted(REQUEST.replacen("/chat", target, 1));
        assert_eq!(served.request.unwrap().1, target);
    }
    for target in
        ["*", "h:80", "p", "/#f", "http://h/#", "ftp://h/p", "http:///p", "http://u@h/", "://h/", "/\u{e9}", "http://"]
    {
        refused(REQUEST.replacen("/chat", target, 1), UpgradeError::Target);
    }
    for target in ["", " /", "/ ", "/a b"] {
        malformed(REQUEST.replacen("/chat", target, 1), Malformed::StartLine);
    }
    malformed(REQUEST.replacen("/chat", "/\0", 1), Malformed::ControlCharacter);
    malformed(REQUEST.replacen("/chat", "/\u{7f}", 1), Malformed::StartLine);
    // An absolute target goes before Host (RFC 9112 §3.2.2).
    assert_eq!(request(&REQUEST.replacen("/chat", "ws://other:81/p", 1)).host(), Some("other:81"));
    assert_eq!(request(REQUEST).host(), Some("server.example.com"));
    assert_eq!(request("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").host(), None);
}

#[test]
fn r28_limits_are_inclusive() {
    let error = |bytes: &str, config: &Config| {
        let served = serve_with(bytes, config);
        let status = served.status();
        assert_eq!(
            served.error.as_ref().and_then(HandshakeError::status),
            Some(status).filter(|status| *status != 101)
        );
        served.error
    };
    let line = "GET / HTTP/1.1".len();
    let longest = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==".len();
    let lines = Config::default();
    assert_eq!(error(MINIMAL, &lines.clone().max_line_len(longest)), None);
    assert_eq!(
        error(MINIMAL, &lines.clone().max_line_len(longest - 1)),
        Some(HeadError::FieldTooLong { max: longest - 1 }.into())
    );
    assert_eq!(
        error(MINIMAL, &lines.clone().max_line_len(line - 1)),
        Some(HeadError::StartLineTooLong { max: line - 1 }.into())
    );
    assert_eq!(error(MINIMAL, &lines.max_line_len(line)), Some(HeadError::FieldTooLong { max: line }.into()));
    let fields = Config::default();
    assert_eq!(error(MINIMAL, &fields.clone().max_headers(5)), None);
    assert_eq!(error(MINIMAL, &fields.clone().max_headers(4)), Some(HeadError::TooManyFields { max: 4 }.into()));
    assert_eq!(error(MINIMAL, &fields.max_headers(0)), Some(HeadError::TooManyFields { max: 0 }.into()));
    let head = Config::default();
    assert_eq!(error(MINIMAL, &head.clone().max_head_len(MINIMAL.len())), None);
    assert_eq!(
        error(MINIMAL, &head.clone().max_head_len(MINIMAL.len() - 1)),
        Some(HeadError::TooLong { max: MINIMAL.len() - 1 }.into())
    );
    assert_eq!(error(MINIMAL, &head.max_head_len(0)), Some(HeadError::TooLong { max: 0 }.into()));

    // The defaults.
    let path = |len: usize| REQUEST.replacen("/chat", &format!("/{}", "p".repeat(len - 1)), 1);
    let room = 8192 - "GET  HTTP/1.1".len();
    assert_eq!(error(&path(room), &config()), None);
    let served = serve(path(room + 1));
    assert_eq!((served.error.clone(), served.status()), (Some(HeadError::StartLineTooLong { max: 8192 }.into()), 414));
    let field = |len: usize| with("X", &[&format!("X: {}", "v".repeat(len - 3))]);
    assert_eq!(error(&field(8192), &config()), None);
    assert_eq!(error(&field(8193), &config()), Some(HeadError::FieldTooLong { max: 8192 }.into()));
    let fields = |count: usize| with("X", &vec!["X: y"; count - 8]);
    assert_eq!(error(&fields(100), &config()), None);
    assert_eq!(error(&fields(101), &config()), Some(HeadError::TooManyFields { max: 100 }.into()));
    let empty = format!("A: {}", "v".repeat(8000));
    let rest = 16384 - with("X", &[&empty, "B: "]).len();
    let head = |more: usize| with("X", &[&empty, &format!("B: {}", "v".repeat(more))]);
    assert_eq!(head(rest).len(), 16384);
    assert_eq!(error(&head(rest), &config()), None);
    assert_eq!(error(&head(rest + 1), &config()), Some(HeadError::TooLong { max: 16384 }.into()));
    // More fields than are parsed on the stack.
    assert!(serve_with(with("X", &["X: y"; 500]), &config().max_headers(1000)).accepted());
}

/// R29: what cannot become a request is refused at the byte that proves it, not when it ends.
#[test]
fn r29_the_verdict_is_early() {
    let at = |bytes: &[u8], config: &Config| {
        let mut handshake = server::Handshake::new(config);
        let mut out = BytesMut::new();
        bytes.iter().position(|&byte| {
            let mut piece = [byte];
            handshake.receive(&mut &mut piece[..], &mut out).is_err()
        })
    };
    let config = Config::default().max_line_len(30).max_head_len(100).max_headers(2);
    // A TLS greeting, other first bytes, and a NUL.
    for first in (0..=255_u8).filter(|byte| !b"!#$%&'*+-.^_`|~\r".contains(byte) && !byte.is_ascii_alphanumeric()) {
        assert_eq!(at(&[first, b'x'], &config), Some(0), "{first}");
    }
    assert_eq!(at(b"GE\0 /", &config), Some(2));
    assert_eq!(at(b"GET /\n", &config), Some(5));
    assert_eq!(at(b"GET /\rx", &config), Some(6));
    assert_eq!(at(&[b'G'; 40], &config), Some(30));
    assert_eq!(at(b"GET / HTTP/1.1\r\n Host: x", &config), Some(16));
    assert_eq!(at(b"GET / HTTP/1.1\r\na: b\r\nc: d\r\ne: f", &config), Some(28));
    let endless = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(20));
    assert_eq!(at(endless.as_bytes(), &config.clone().max_headers(50)), Some(99));
    assert_eq!(at(&b"\r\n".repeat(60), &config), Some(99));
}

/// R2, R22, R25, R29: a line that no request has fails at its CRLF at the latest, whole and byte by byte.
#[test]
fn r29_a_line_that_no_request_has_fails_at_its_crlf() {
    let fails = |bytes: &str, error: HandshakeError| {
        let (last, before) = bytes.as_bytes().split_last().unwrap();
        let waiting = serve(before);
        assert_eq!((waiting.error, waiting.out.len(), waiting.transport), (None, 0, Transport::KeepOpen), "{bytes:?}");
        let served = serve([before, &[*last]].concat());
        assert_eq!((served.error.as_ref(), served.transport), (Some(&error), Transport::ShutdownWrite), "{bytes:?}");
        assert_eq!(Some(served.status()), error.status(), "{bytes:?}");
        // What follows does not change the verdict.
        assert_eq!(serve(format!("{bytes}\r\nHost: h\r\n\r\n")), served, "{bytes:?}");
    };
    let start_line = HandshakeError::Head(HeadError::Malformed(Malformed::StartLine));
    for line in
        ["HELO relay\r\n", "SSH-2.0-x\r\n", "GET /\r\n", "GET\r\n", "GET / HTTP/1\r\n", "GET /\x7f HTTP/1.1\r\n"]
    {
        fails(line, start_line.clone());
        fails(&format!("\r\n{line}"), start_line.clone());
    }
    for line in ["GET / HTTP/1.0\r\n", "GET / HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n"] {
        fails(line, HandshakeError::Head(HeadError::Version));
    }
    // A name fails at the first byte that none has; one without its colon at its CRLF.
    for field in ["foo\r\n", "a: b\r\nfoo\r\n", "foo ", ":", "a\u{7f}", "(", "f\""] {
        fails(&format!("GET / HTTP/1.1\r\n{field}"), HandshakeError::Head(HeadError::Malformed(Malformed::FieldName)));
    }
    for (field, why) in [
        ("foo\rx", Malformed::BareCr),
        ("foo\n", Malformed::BareLf),
        ("foo\0", Malformed::ControlCharacter),
        ("foo: \x7f", Malformed::FieldValue),
    ] {
        fails(&format!("GET / HTTP/1.1\r\n{field}"), HandshakeError::Head(HeadError::Malformed(why)));
    }
}

/// R30: the first frames may be in the same segment.
#[test]
fn r30_frames_behind_the_request_stay_in_the_input() {
    let mut bytes = REQUEST.as_bytes().to_vec();
    bytes.extend_from_slice(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    let served = every_cut(&bytes, |pieces| serve_pieces(pieces, &config()));
    assert_eq!(served.left, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");

    let (mut input, mut out) = (&mut bytes[..], BytesMut::new());
    let mut handshake = server::Handshake::new(&config());
    let request = handshake.receive(&mut input, &mut out).unwrap().unwrap();
    assert!(matches!(handshake.receive(&mut input, &mut out), Ok(None)));
    let mut connection = request.accept(&Response::new(), &mut out).unwrap();
    assert_eq!(connection.receive(&mut input, &mut out), Ok(Some(Event::Text("Hello".into()))));
    assert_eq!(connection.receive(&mut input, &mut out), Ok(None));
}

#[test]
fn r31_the_origin_is_there_and_nothing_is_written_before_the_application_decides() {
    let mut bytes = with("Origin", &["Origin: https://evil.example"]).into_bytes();
    let mut out = BytesMut::new();
    let mut handshake = server::Handshake::new(&Config::default().origin(OriginPolicy::any()));
    let request = handshake.receive(&mut &mut bytes[..], &mut out).unwrap().unwrap();
    assert_eq!(request.origin(), Some("https://evil.example"));
    assert!(out.is_empty());
    request.reject(403, &[], b"no", &mut out).unwrap();
    assert_eq!(out, &b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"[..]);
    assert_eq!(handshake.transport(), Transport::ShutdownWrite);
}

#[test]
fn r31_the_origin_policy_compares_scheme_host_and_port() {
    let allowed = |policy: &OriginPolicy, host: &str, origin: Option<&str>| {
        let lines = [format!("Host: {host}"), origin.map_or("X: y".to_owned(), |origin| format!("Origin: {origin}"))];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let request = MINIMAL.replace("Host: h\r\n", &(lines.join("\r\n") + "\r\n"));
        let served = serve_pieces(&[request.as_bytes()], &Config::default().origin(policy.clone()));
        assert!(served.accepted() || served.status() == 403);
        served.accepted()
    };
    let same = OriginPolicy::same();
    for (host, origin, expected) in [
        ("a.example", "https://a.example", true),
        ("a.example", "http://A.EXAMPLE", true),
        ("a.example", "http://a.example:80", true),
        ("a.example:80", "http://a.example", true),
        ("a.example:8080", "http://a.example:8080", true),
        ("[::1]:8080", "http://[::1]:8080", true),
        ("a.example:443", "https://a.example", true),
        ("a.example:80", "https://a.example", false),
        ("a.example", "http://a.example:8080", false),
        ("a.example:8080", "http://a.example", false),
        ("a.example", "http://b.example", false),
        ("a.example", "http://a.example.evil", false),
        ("a.example", "http://evil.a.example", false),
        ("a.example", "http://evil@a.example", false),
        ("a.example", "http://a.example/", false),
        ("a.example", "http://a.example http://a.example", false),
        ("a.example", "null", false),
        ("a.example", "", false),
        ("a.example", "a.example", false),
        ("a.example", "://a.example", false),
    ] {
        assert_eq!(allowed(&same, host, Some(origin)), expected, "{host} {origin}");
    }
    // The default is the same policy.
    assert!(!serve_with(MINIMAL.replace("\r\n\r\n", "\r\nOrigin: http://x\r\n\r\n"), &Config::default()).accepted());
    assert!(serve_with(MINIMAL.replace("\r\n\r\n", "\r\nOrigin: http://h\r\n\r\n"), &Config::default()).accepted());
    // An absolute target tells the scheme.
    let absolute = |target: &str, origin: &str| {
        let request = MINIMAL
            .replace("GET /", &format!("GET {target}"))
            .replace("\r\n\r\n", &format!("\r\nOrigin: {origin}\r\n\r\n"));
        serve_with(request, &Config::default()).accepted()
    };
    for (target, own, other) in [
        ("wss://h/", "https://h", "http://h"),
        ("https://h/", "https://h:443", "http://h:443"),
        ("ws://h/", "http://h", "https://h"),
        ("http://h/", "http://h:80", "https://h:80"),
        ("http://h:443/", "http://h:443", "https://h"),
    ] {
        assert!(absolute(target, own), "{target} {own}");
        assert!(!absolute(target, other), "{target} {other}");
    }

    let list = OriginPolicy::list(["https://a.example", "http://b.example:81", "junk"]);
    for (origin, expected) in [
        ("https://A.example:443", true),
        ("http://a.example", false),
        ("http://b.example:81", true),
        ("http://b.example", false),
        ("null", false),
        ("junk", false),
        ("https://a.example, https://a.example", false),
    ] {
        assert_eq!(allowed(&list, "h", Some(origin)), expected, "{origin}");
    }
    assert!(allowed(&OriginPolicy::list(["null"]), "h", Some("null")));
    let predicate = OriginPolicy::predicate(|origin| origin.ends_with(".example"));
    assert!(allowed(&predicate, "h", Some("http://a.example")) && !allowed(&predicate, "h", Some("http://a")));
    for policy in [same, list, predicate, OriginPolicy::any()] {
        assert!(allowed(&policy, "h", None));
        assert!(!allowed(&policy.clone().required(), "h", None));
        assert!(!allowed(&policy, "h", Some("http://h\r\nOrigin: http://h")), "repeated");
    }
    assert!(allowed(&OriginPolicy::any().required(), "h", Some("anything")));
}

#[test]
fn r32_an_application_answers_with_any_status() {
    let mut out = BytesMut::new();
    let redirect = request(REQUEST);
    redirect.reject(307, &[("Location", b"/other")], b"", &mut out).unwrap();
    assert_eq!(
        out,
        &b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /other\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"[..]
    );
    let len = out.len();
    assert_eq!(redirect.reject(401, &[], b"", &mut out), Err(ResponseError::Answered));
    assert_eq!(redirect.accept(&Response::new(), &mut out).err(), Some(Refused::Response(ResponseError::Answered)));
    assert_eq!(out.len(), len);

    let unanswered = request(REQUEST);
    for status in [0, 99, 100, 101, 199, 600, 999] {
        assert_eq!(unanswered.reject(status, &[], b"", &mut out), Err(ResponseError::Status(status)));
    }
    assert_eq!(unanswered.reject(204, &[], b"x", &mut out), Err(ResponseError::Status(204)));
    for (name, error) in [
        ("content-length", FieldError::Managed("content-length")),
        ("Transfer-Encoding", FieldError::Managed("transfer-encoding")),
        ("CONNECTION", FieldError::Managed("connection")),
        ("a b", FieldError::Name("a b".into())),
        ("", FieldError::Name(String::new())),
        ("a:", FieldError::Name("a:".into())),
        ("a\r\nb", FieldError::Name("a\r\nb".into())),
    ] {
        assert_eq!(unanswered.reject(401, &[(name, b"x")], b"", &mut out), Err(error.into()));
    }
    for value in [&b"a\r\nb: c"[..], b"a\nb", b"a\rb", b"\0", b"\x7f"] {
        assert_eq!(unanswered.reject(401, &[("a", value)], b"", &mut out), Err(FieldError::Value("a".into()).into()));
    }
    assert_eq!(out.len(), len);
    out.clear();
    unanswered.reject(401, &[("WWW-Authenticate", b"Basic realm=\"\xe9\"")], b"who?", &mut out).unwrap();
    assert!(out.starts_with(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"\xe9\"\r\n"));
}

#[test]
fn r33_fields_of_the_application_do_not_replace_those_of_the_handshake() {
    let request = request(REQUEST);
    let mut out = BytesMut::new();
    for (name, own) in [
        ("Sec-WebSocket-Accept", "sec-websocket-accept"),
        ("sec-websocket-protocol", "sec-websocket-protocol"),
        ("Sec-WebSocket-Extensions", "sec-websocket-extensions"),
        ("UPGRADE", "upgrade"),
        ("connection", "connection"),
        ("Content-Length", "content-length"),
        ("Transfer-Encoding", "transfer-encoding"),
    ] {
        let refused = request.accept(&Response::new().headers(&[(name, b"x")]), &mut out).err();
        assert_eq!(refused, Some(Refused::Response(FieldError::Managed(own).into())));
    }
    let refused = request.accept(&Response::new().headers(&[("a", b"b\r\nc: d")]), &mut out).err();
    assert_eq!(refused, Some(Refused::Response(FieldError::Value("a".into()).into())));
    assert!(out.is_empty());
    // It was the caller's fault, so the request can be answered still.
    request.accept(&Response::new().headers(&[("Set-Cookie", b"a=b"), ("Server", b"s")]), &mut out).unwrap();
    let text = std::str::from_utf8(&out).unwrap();
    assert!(text.ends_with("xOo=\r\nSet-Cookie: a=b\r\nServer: s\r\n\r\n"), "{text}");
    assert!(!text.contains("Content-Length") && !text.contains("Transfer-Encoding"));
}

#[test]
fn r34_field_names_have_no_case() {
    let change = |change: fn(&str) -> String| {
        let lines = REQUEST.trim_end().split("\r\n").enumerate().map(|(i, line)| match line.split_once(':') {
            Some((name, value)) if i > 0 => format!("{}:{value}\r\n", change(name)),
            _ => format!("{line}\r\n"),
        });
        lines.collect::<String>() + "\r\n"
    };
    accepted(change(str::to_ascii_lowercase));
    accepted(change(str::to_ascii_uppercase));
    assert_eq!(request(&change(str::to_ascii_uppercase)).header("sec-websocket-VERSION"), Some(&b"13"[..]));
}

#[test]
fn r35_nothing_is_written_before_the_request_is_complete() {
    let mut handshake = server::Handshake::new(&config());
    let mut out = BytesMut::new();
    for (at, byte) in REQUEST.bytes().enumerate() {
        let mut piece = [byte];
        let request = handshake.receive(&mut &mut piece[..], &mut out).unwrap();
        assert_eq!(request.is_some(), at + 1 == REQUEST.len());
        assert!(out.is_empty());
    }
}

/// Section 9: every single-byte replacement, deletion and duplication of the golden request, against a second opinion.
#[test]
fn every_mutation_of_a_request_is_judged_as_a_strict_reader_judges_it() {
    assert!(support::is_opening_handshake(REQUEST.as_bytes()));
    let config = config();
    let mut count = 0;
    support::mutations(REQUEST.as_bytes(), |bytes, at| {
        let served = serve_pieces(&[bytes], &config);
        let expected = support::is_opening_handshake(bytes);
        assert_eq!(served.accepted(), expected, "at {at}: {:?} {served:?}", String::from_utf8_lossy(bytes));
        assert_eq!(serve_pieces(&[&bytes[..at], &bytes[at..]], &config), served);
        if bytes.len() != REQUEST.len() || b"\0\t\n\r \",:;=/\\A0z\x7F\x80\xFF".contains(&bytes[at]) {
            assert_eq!(serve_pieces(&bytes.chunks(1).collect::<Vec<_>>(), &config), served);
        }
        if served.status() != 101 && !served.out.is_empty() {
            check_answer(served.out());
        }
        count += usize::from(expected);
    });
    assert!(count > 5_000, "the space has both: {count}");
}

#[test]
fn a_request_may_be_sent_away_and_answered_later() {
    fn is_send<T: Send + Sync + 'static>(_: &T) {}
    let request = Arc::new(request(REQUEST));
    is_send(&*request);
    let answers: Vec<_> = (0..4)
        .map(|_| {
            let request = Arc::clone(&request);
            std::thread::spawn(move || request.accept(&Response::new(), &mut BytesMut::new()).is_ok())
        })
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(answers.iter().filter(|ok| **ok).count(), 1);
}

#[test]
fn a_request_from_an_http_library_takes_the_same_way() {
    let fields = REQUEST.trim_end().split("\r\n").skip(1).map(|line| line.split_once(": ").unwrap());
    let fields: Vec<(&str, &[u8])> = fields.map(|(name, value)| (name, value.as_bytes())).collect();
    let request = server::Request::from_parts("GET", "/chat", fields.iter().copied(), &config()).unwrap();
    assert_eq!(request.verdict(), Ok(()));
    assert_eq!((request.method(), request.target()), ("GET", "/chat"));
    let (_, accepted) = request.accept_parts(&Response::new().subprotocol("chat")).unwrap();
    let answer: Vec<_> = accepted.fields().map(|(name, value)| (name, std::str::from_utf8(value).unwrap())).collect();
    assert_eq!(
        answer,
        [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("Sec-WebSocket-Protocol", "chat"),
        ]
    );
    let from = |method, target, field| server::Request::from_parts(method, target, [field], &config());
    assert_eq!(from("G T", "/", ("a", b"b")).err(), Some(RequestError::Method("G T".into())));
    assert_eq!(from("GET", "", ("a", b"b")).err(), Some(RequestError::Target(String::new())));
    assert_eq!(from("GET", "/", ("a", b"\r\n")).err(), Some(FieldError::Value("a".into()).into()));
    let chunked = from("GET", "/", ("Transfer-Encoding", b"chunked")).unwrap();
    assert_eq!(chunked.verdict(), Err(UpgradeError::Host));
}

#[test]
fn a_handshake_that_takes_too_long_is_aborted() {
    let at = |seconds| Timestamp::from_duration(Duration::from_secs(seconds));
    let mut out = BytesMut::new();
    let mut handshake = server::Handshake::new(&Config::default());
    assert_eq!(handshake.poll_timeout(), Some(Timestamp::ZERO));
    handshake.handle_timeout(at(5), &mut out).unwrap();
    assert_eq!(handshake.poll_timeout(), Some(at(15)));
    let mut bytes = *b"GET";
    assert!(matches!(handshake.receive(&mut &mut bytes[..], &mut out), Ok(None)));
    assert_eq!(handshake.poll_timeout(), Some(at(15)), "a trickle of bytes wins no time");
    assert_eq!(handshake.handle_timeout(at(15), &mut out), Err(HandshakeError::Timeout));
    assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::Abort, None));
    assert_eq!(handshake.handle_timeout(at(16), &mut out), Ok(()));
    let mut bytes = REQUEST.as_bytes().to_vec();
    assert!(matches!(handshake.receive(&mut &mut bytes[..], &mut out), Ok(None)));
    assert!(out.is_empty());
    assert_eq!(server::Handshake::new(&Config::default().handshake_timeout(None)).poll_timeout(), None);
}

#[test]
fn after_a_refusal_the_rest_is_discarded_until_its_end_or_a_deadline() {
    let at = |seconds| Timestamp::from_duration(Duration::from_secs(seconds));
    let refuse = || {
        let mut out = BytesMut::new();
        let mut handshake = server::Handshake::new(&Config::default());
        handshake.handle_timeout(at(1), &mut out).unwrap();
        let mut bytes = *b"\x16\x03\x01";
        assert!(handshake.receive(&mut &mut bytes[..], &mut out).is_err());
        assert_eq!(
            (handshake.transport(), handshake.poll_timeout()),
            (Transport::ShutdownWrite, Some(Timestamp::ZERO))
        );
        handshake.handle_timeout(at(2), &mut out).unwrap();
        assert_eq!(handshake.poll_timeout(), Some(at(12)));
        out.clear();
        (handshake, out)
    };
    let (mut handshake, mut out) = refuse();
    assert_eq!(handshake.handle_timeout(at(12), &mut out), Ok(()));
    assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::Abort, None));

    let (mut handshake, mut out) = refuse();
    let mut bytes = REQUEST.as_bytes().to_vec();
    let mut input = &mut bytes[..];
    assert!(matches!(handshake.receive(&mut input, &mut out), Ok(None)));
    assert!(input.is_empty() && out.is_empty());
    assert_eq!(handshake.receive_eof(), Ok(()));
    assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::Close, Some(at(12))));

    // A mebibyte is discarded, of which the refusal took the first three bytes; what is more is not waited for.
    let (mut handshake, mut out) = refuse();
    let mut rest = vec![b'x'; (1 << 20) - 3];
    assert!(matches!(handshake.receive(&mut &mut rest[..], &mut out), Ok(None)));
    assert_eq!(handshake.transport(), Transport::ShutdownWrite);
    assert!(matches!(handshake.receive(&mut &mut rest[..1], &mut out), Ok(None)));
    assert_eq!(handshake.transport(), Transport::Close);

    let (mut handshake, mut out) = refuse();
    let mut flood = vec![b'x'; 1 << 20];
    assert!(matches!(handshake.receive(&mut &mut flood[..], &mut out), Ok(None)));
    assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::Close, Some(at(12))));
    assert!(out.is_empty());
}

/// A handshake at five seconds, whose request was handed out and then answered by `answer`.
fn refuse_later(config: &Config, eof: bool, answer: impl Fn(&server::Request, &mut BytesMut)) -> server::Handshake {
    let mut bytes = *b"GET / HTTP/1.1\r\nHost: h\r\n\r\nmore";
    let (mut input, mut out) = (&mut bytes[..], BytesMut::new());
    let mut handshake = server::Handshake::new(config);
    handshake.handle_timeout(seconds(1), &mut out).unwrap();
    let request = handshake.receive(&mut input, &mut out).unwrap().unwrap();
    // While the request waits for its answer, the bytes behind it and the deadline stay as they are.
    assert!(matches!(handshake.receive(&mut input, &mut out), Ok(None)));
    assert_eq!(input, b"more");
    if eof {
        assert_eq!(handshake.receive_eof(), Ok(()));
    }
    handshake.handle_timeout(seconds(5), &mut out).unwrap();
    assert_eq!(handshake.transport(), Transport::KeepOpen);
    let running = config.handshake_timeout.map(|time| seconds(1) + time);
    assert_eq!((handshake.poll_timeout(), out.len()), (running, 0));
    answer(&request, &mut out);
    handshake
}

fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_duration(Duration::from_secs(seconds))
}

fn reject(request: &server::Request, out: &mut BytesMut) {
    request.reject(404, &[], b"", out).unwrap();
    assert!(out.starts_with(b"HTTP/1.1 404 "));
}

/// R32: the handshake knows of the answer by itself, from the moment that it is written.
#[test]
fn r32_a_refused_request_is_known_to_its_handshake() {
    let accept = |request: &server::Request, out: &mut BytesMut| {
        assert_eq!(request.accept(&Response::new(), out).err(), Some(Refused::Request(UpgradeError::Upgrade)));
        assert!(out.starts_with(b"HTTP/1.1 426 "));
    };
    let accept_parts = |request: &server::Request, _: &mut BytesMut| {
        assert_eq!(request.accept_parts(&Response::new()).err(), Some(Refused::Request(UpgradeError::Upgrade)));
    };
    let answers: [fn(&server::Request, &mut BytesMut); 3] = [reject, accept, accept_parts];
    let config = Config::default().close_timeout(Duration::from_secs(3));
    for answer in answers {
        let mut handshake = refuse_later(&config, false, answer);
        let mut out = BytesMut::new();
        assert_eq!(
            (handshake.transport(), handshake.poll_timeout()),
            (Transport::ShutdownWrite, Some(Timestamp::ZERO))
        );
        handshake.handle_timeout(seconds(7), &mut out).unwrap();
        assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::ShutdownWrite, Some(seconds(10))));
        // What the client sends on is discarded, and wins no time.
        let mut flood = vec![b'x'; 1 << 20];
        let mut input = &mut flood[..];
        assert!(matches!(handshake.receive(&mut input, &mut out), Ok(None)));
        assert!(input.is_empty());
        assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::ShutdownWrite, Some(seconds(10))));
        assert_eq!(handshake.handle_timeout(seconds(10), &mut out), Ok(()));
        assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::Abort, None));

        // One byte more than 1 MiB.
        let mut handshake = refuse_later(&config, false, answer);
        let mut flood = vec![b'x'; (1 << 20) + 1];
        assert!(matches!(handshake.receive(&mut &mut flood[..], &mut out), Ok(None)));
        assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::Close, Some(Timestamp::ZERO)));
        assert!(out.is_empty());
    }
    // An answer that was not given changes nothing.
    let not_given = |request: &server::Request, out: &mut BytesMut| {
        assert_eq!(request.reject(99, &[], b"", out), Err(ResponseError::Status(99)));
    };
    let mut handshake = refuse_later(&config, false, not_given);
    assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::KeepOpen, Some(seconds(11))));
    assert_eq!(handshake.handle_timeout(seconds(11), &mut BytesMut::new()), Err(HandshakeError::Timeout));
    let no_timeout = refuse_later(&config.close_timeout(None), false, reject);
    assert_eq!((no_timeout.transport(), no_timeout.poll_timeout()), (Transport::ShutdownWrite, None));
}

/// R32: an accepted request is not a refused one, and what follows it stays for the connection.
#[test]
fn r32_an_accepted_request_leaves_the_input_to_the_connection() {
    let mut bytes = [REQUEST.as_bytes(), b"\x81\x80mask"].concat();
    let (mut input, mut out) = (&mut bytes[..], BytesMut::new());
    let mut handshake = server::Handshake::new(&config());
    let request = handshake.receive(&mut input, &mut out).unwrap().unwrap();
    request.accept(&Response::new(), &mut out).unwrap();
    assert_eq!(request.reject(404, &[], b"", &mut out), Err(ResponseError::Answered));
    assert!(matches!(handshake.receive(&mut input, &mut out), Ok(None)));
    assert_eq!((&*input, handshake.transport()), (&b"\x81\x80mask"[..], Transport::KeepOpen));
}

/// R32: the answer may come from another thread.
#[test]
fn r32_a_refusal_in_another_thread_is_known_to_the_handshake() {
    let handshake = refuse_later(&Config::default(), false, |request, _| {
        std::thread::scope(|scope| drop(scope.spawn(|| reject(request, &mut BytesMut::new()))));
    });
    assert_eq!(handshake.transport(), Transport::ShutdownWrite);
}

/// R52: after the end of the input a server that is not dropped has a deadline still.
#[test]
fn r52_the_end_of_the_input_does_not_end_time() {
    let config = Config::default().close_timeout(Duration::from_secs(3));
    let mut out = BytesMut::new();
    // Before the request is complete: what is left for the handshake.
    let lost = |config: &Config| {
        let mut handshake = server::Handshake::new(config);
        handshake.handle_timeout(seconds(1), &mut BytesMut::new()).unwrap();
        assert_eq!(handshake.receive_eof(), Err(HandshakeError::ConnectionLost));
        assert_eq!(handshake.transport(), Transport::Close);
        handshake
    };
    let mut handshake = lost(&config);
    assert_eq!(handshake.poll_timeout(), Some(seconds(11)));
    assert_eq!(handshake.handle_timeout(seconds(10), &mut out), Ok(()));
    assert_eq!(handshake.transport(), Transport::Close);
    assert_eq!(handshake.handle_timeout(seconds(11), &mut out), Ok(()));
    assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::Abort, None));
    assert_eq!(lost(&config.clone().handshake_timeout(None)).poll_timeout(), None);

    // After it was refused, and before: what is left of `close_timeout`.
    for eof_first in [false, true] {
        let mut handshake = refuse_later(&config, eof_first, reject);
        let expected = if eof_first { Transport::Close } else { Transport::ShutdownWrite };
        assert_eq!((handshake.transport(), handshake.poll_timeout()), (expected, Some(Timestamp::ZERO)));
        handshake.handle_timeout(seconds(7), &mut out).unwrap();
        assert_eq!(handshake.receive_eof(), Ok(()));
        assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::Close, Some(seconds(10))));
        assert_eq!(handshake.handle_timeout(seconds(10), &mut out), Ok(()));
        assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::Abort, None));
        let untimed = refuse_later(&config.clone().close_timeout(None), eof_first, reject);
        assert_eq!((untimed.transport(), untimed.poll_timeout()), (expected, None));
    }
    // While the application has not answered yet, the handshake's own deadline stays an error.
    let mut handshake = refuse_later(&config, true, |_, _| {});
    assert_eq!(handshake.handle_timeout(seconds(11), &mut out), Err(HandshakeError::Timeout));
    assert_eq!(handshake.transport(), Transport::Abort);
    assert!(out.is_empty());
}

/// R52, on this side: the end of the transport at every byte of the request.
#[test]
fn r52_an_end_before_the_request_is_an_error() {
    for len in 0..REQUEST.len() {
        let mut bytes = REQUEST.as_bytes()[..len].to_vec();
        let mut out = BytesMut::new();
        let mut handshake = server::Handshake::new(&config());
        assert!(matches!(handshake.receive(&mut &mut bytes[..], &mut out), Ok(None)));
        assert_eq!(handshake.receive_eof(), Err(HandshakeError::ConnectionLost));
        assert_eq!((handshake.transport(), handshake.poll_timeout()), (Transport::Close, Some(Timestamp::ZERO)));
        assert_eq!(handshake.receive_eof(), Ok(()));
        assert!(out.is_empty());
    }
    // A client may shut down its half and wait for a page.
    let mut bytes = REQUEST.as_bytes().to_vec();
    let mut handshake = server::Handshake::new(&config());
    let request = handshake.receive(&mut &mut bytes[..], &mut BytesMut::new()).unwrap().unwrap();
    assert_eq!((handshake.receive_eof(), handshake.transport()), (Ok(()), Transport::KeepOpen));
    request.reject(404, &[], b"", &mut BytesMut::new()).unwrap();
    assert_eq!(handshake.transport(), Transport::Close);
}

/// Lists that are nothing but separators, quotes and escapes. That they take linear time is for `benches/linear.sh`.
#[test]
fn hostile_lists_are_judged_like_others_whole_and_byte_by_byte() {
    let config = Config::default().max_head_len(256 << 10).max_line_len(128 << 10);
    for name in
        ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "Connection", "Upgrade", "Origin", "Sec-WebSocket-Key"]
    {
        for junk in [",", ";", "\"", "\\", " ", ",;\"\\", "a,", "a;", "a;b=\"\\c", "a ,", "a;b=\"c\",", ", "] {
            let long = format!("{name}: a{}", junk.repeat(60 * 1024 / junk.len()));
            let bytes = with(name, &[&long]).into_bytes();
            let served = serve_pieces(&[&bytes], &config);
            assert!(served.request.is_some());
            assert_eq!(serve_pieces(&bytes.chunks(1).collect::<Vec<_>>(), &config), served);
        }
    }
    // Very many different names: being different must not be found out in pairs.
    let names: Vec<String> = (0..12_000).map(|i| format!("{i:x}")).collect();
    let long = format!("Sec-WebSocket-Protocol: {}", names.join(","));
    let served =
        serve_pieces(&[with("Sec-WebSocket-Protocol", &[&long]).as_bytes()], &config.origin(OriginPolicy::any()));
    assert!(served.accepted());
}

#[test]
fn what_authenticates_a_user_is_not_in_debug_output() {
    let secret = with("X", &["Authorization: Basic c2VjcmV0", "Cookie: c2VjcmV0", "Other: shown"]);
    let debug = format!("{:?}", request(&secret));
    assert!(!debug.contains("c2VjcmV0") && debug.contains("shown"), "{debug}");
}

/// The request is read once; the limits of its head are those of the handshake.
#[test]
fn a_request_is_judged_by_the_configuration_that_it_is_given_later() {
    let strict = config().origin(OriginPolicy::list(["https://other.example"])).max_message_len(5);
    let request = request(REQUEST);
    assert_eq!(request.verdict(), Ok(()));
    let request = request.with_config(&strict);
    assert_eq!(request.verdict(), Err(UpgradeError::Origin));
    let request = request.with_config(&strict.origin(OriginPolicy::any()));
    assert_eq!(request.verdict(), Ok(()));
    let mut connection = request.accept(&Response::new(), &mut BytesMut::new()).unwrap();
    let mut frame = *b"\x82\x86\0\0\0\0";
    let error = connection.receive(&mut &mut frame[..], &mut BytesMut::new()).unwrap_err();
    assert_eq!(error, sansock::Error::TooBig, "6 bytes are over its limit of 5");
}

#[test]
fn a_predicate_is_asked_when_the_request_is_judged() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let policy = OriginPolicy::predicate(move |origin| {
        counter.fetch_add(1, Ordering::Relaxed);
        origin == "http://example.com"
    });
    let request = request(REQUEST).with_config(&config().origin(policy));
    assert_eq!(asked.load(Ordering::Relaxed), 0, "not when it is read");
    assert_eq!(request.verdict(), Ok(()));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    request.accept(&Response::new(), &mut BytesMut::new()).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

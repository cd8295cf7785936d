//! Writes the seed corpora: `cargo run --manifest-path fuzz/Cargo.toml --example seeds`, from the root of the
//! repository. Its output is checked in; run it again after a change of an input format.

use std::{fs, io, path::Path};

/// A session of a peer: what it is, and its frames as opcode with flags and payload.
type Session = (&'static str, Vec<(u8, Vec<u8>)>);

fn main() -> io::Result<()> {
    for target in ["receive", "cut_anywhere", "handshake", "route", "dialogue"] {
        fs::create_dir_all(directory(target))?;
    }
    for (number, (name, frames)) in sessions().into_iter().enumerate() {
        for server in [true, false] {
            let mut stream = stream(&frames, server);
            if name == "long" {
                stream.truncate(100); // its header is what matters
            }
            // Each session in both roles, and in one of: messages, chunks, tight limits, undrained, closing.
            let flags = [0, 2, 8, 16 | 2, 32][(number + usize::from(server)) % 5];
            let setup = flags | u8::from(!server);
            let name = format!("{name}-{}", if server { "server" } else { "client" });
            let cuts = number as u8;
            write("receive", &name, &[&[setup, cuts], &stream[..]].concat())?;
            let calls = [cuts % 12, 11 - cuts % 12];
            write("cut_anywhere", &name, &[&[setup, 0, 1 + cuts, 9, 20], &calls[..], &stream[..]].concat())?;
        }
    }
    for (number, (name, frames)) in compressed_sessions().into_iter().enumerate() {
        for server in [true, false] {
            let setup = 64 | u8::from(!server) | [0, 2, 8, 128][number % 4];
            let name = format!("{name}-{}", if server { "server" } else { "client" });
            write("cut_anywhere", &name, &[&[setup, 0, 1, 9, 20, 1, 11], &stream(&frames, server)[..]].concat())?;
        }
    }
    for (number, (name, client, head)) in handshakes().into_iter().enumerate() {
        let head = head.replace('\n', "\r\n");
        write("handshake", name, &[&[u8::from(client), 0, number as u8], head.as_bytes()].concat())?;
    }
    // Pings while little is written: an `out` that is nearly full, and taken now and then or never.
    let pings: Vec<_> = (0..12).map(|n| (0x89, vec![n; 20])).collect();
    for (name, setup) in [("slow", 128), ("stuck", 128 | 16)] {
        write("receive", &format!("pings-{name}"), &[&[setup, 7], &stream(&pings, true)[..]].concat())?;
        let calls = [setup, 0, 7, 100, 90, 1, 11];
        write("cut_anywhere", &format!("pings-{name}"), &[&calls, &stream(&pings, true)[..]].concat())?;
    }
    for (name, flags, bytes) in routes() {
        write("route", name, &[&[flags, 0, 1], bytes].concat())?;
    }
    for (name, settings, ops) in dialogues() {
        write("dialogue", name, &[&settings[..], &ops.concat()].concat())?;
    }
    Ok(())
}

fn directory(target: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target)
}

fn write(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::write(directory(target).join(name), bytes)
}

/// What browsers, test suites and attackers send.
fn sessions() -> Vec<Session> {
    let text = |text: &str| text.as_bytes().to_vec();
    let close = |code: u16, reason: &str| [&code.to_be_bytes(), reason.as_bytes()].concat();
    let euro = text("grüß dich, 5 € und 😀");
    vec![
        ("echo", vec![(0x81, text("Hello")), (0x82, vec![0, 255, 7]), (0x81, vec![]), (0x88, close(1000, "bye"))]),
        (
            "fragments",
            vec![
                (0x01, euro[..3].to_vec()),
                (0x89, text("between")),
                (0x00, vec![]),
                (0x00, euro[3..13].to_vec()),
                (0x8A, vec![]),
                (0x80, euro[13..].to_vec()),
                (0x02, vec![1; 5]),
                (0x80, vec![2; 6]),
            ],
        ),
        ("lengths", vec![(0x82, vec![1; 125]), (0x82, vec![2; 126]), (0x81, vec![b'c'; 200]), (0x82, vec![4; 256])]),
        ("long", vec![(0x82, vec![9; 65_536])]),
        ("pings", (0..6).map(|n| (0x89, vec![n; usize::from(n) * 25])).chain([(0x88, vec![])]).collect()),
        ("bad_text", vec![(0x01, euro.clone()), (0x80, b"\xED\xA0\x80edited".to_vec())]),
        ("cut_text", vec![(0x01, b"\xCE\xBA\xE1\xBD".to_vec()), (0x80, vec![])]),
        ("overlong", vec![(0x81, b"ok\xF4\x90\x80\x80".to_vec())]),
        ("reserved_bit", vec![(0x81, text("one")), (0xC1, text("two"))]),
        ("reserved_opcode", vec![(0x83, vec![]), (0x81, text("x"))]),
        ("lone_continuation", vec![(0x80, text("x"))]),
        ("interrupted", vec![(0x01, text("x")), (0x81, text("y"))]),
        ("fragmented_ping", vec![(0x09, vec![])]),
        ("close_inside", vec![(0x02, vec![5; 9]), (0x88, close(3000, "ünd"))]),
        ("close_one_byte", vec![(0x88, vec![3])]),
        ("close_1005", vec![(0x88, close(1005, ""))]),
        ("close_bad_reason", vec![(0x88, b"\x03\xE8\xFF".to_vec())]),
        ("frames_after_close", vec![(0x88, vec![]), (0x81, text("late")), (0x88, close(1001, ""))]),
    ]
}

/// Messages of permessage-deflate: the examples of RFC 7692 §7.2.3, and what breaks its rules.
fn compressed_sessions() -> Vec<Session> {
    let hello = b"\xF2\x48\xCD\xC9\xC9\x07\x00".to_vec();
    vec![
        ("deflate_hello_twice", vec![(0xC1, hello.clone()), (0xC1, b"\xF2\x00\x11\x00\x00".to_vec())]),
        ("deflate_fragments", vec![(0x41, hello[..3].to_vec()), (0x89, vec![]), (0x80, hello[3..].to_vec())]),
        ("deflate_stored", vec![(0xC2, b"\x00\x05\x00\xFA\xFFHello\x00".to_vec()), (0x81, b"plain".to_vec())]),
        ("deflate_final_block", vec![(0xC1, b"\xF3\x48\xCD\xC9\xC9\x07\x00\x00".to_vec()), (0xC1, hello.clone())]),
        ("deflate_two_blocks", vec![(0xC1, b"\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00".to_vec())]),
        ("deflate_empty", vec![(0xC1, vec![]), (0xC1, vec![0]), (0x41, vec![]), (0x80, vec![])]),
        ("deflate_truncated", vec![(0xC1, hello[..3].to_vec())]),
        ("deflate_bad_block", vec![(0xC2, vec![0x06]), (0xC1, hello.clone())]),
        ("deflate_rsv1_on_ping", vec![(0xC9, vec![])]),
        ("deflate_rsv1_on_continuation", vec![(0x41, hello[..3].to_vec()), (0xC0, hello[3..].to_vec())]),
    ]
}

/// The frames as a client sends them to a server, or a server to a client.
fn stream(frames: &[(u8, Vec<u8>)], to_server: bool) -> Vec<u8> {
    let mut stream = Vec::new();
    for (number, (first, payload)) in frames.iter().enumerate() {
        let mask = if to_server { 128 } else { 0 };
        stream.push(*first);
        match payload.len() {
            len @ 0..=125 => stream.push(mask + len as u8),
            len @ 126..=0xFFFF => {
                stream.push(mask + 126);
                stream.extend((len as u16).to_be_bytes());
            }
            len => {
                stream.push(mask + 127);
                stream.extend((len as u64).to_be_bytes());
            }
        }
        // The zero key first, under which a mutation of the payload is one of the text.
        let key = if number % 2 == 0 { [0; 4] } else { [0x37, 0xFA, 0x21, 0x3D] };
        if to_server {
            stream.extend(key);
            stream.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
        } else {
            stream.extend(payload);
        }
    }
    stream
}

/// A dialogue: its name, its settings and its operations, in the format of the target.
type Dialogue = (&'static str, [u8; 4], Vec<[u8; 4]>);

/// What two peers may do to each other. An operation is what, flags (1 client, 2 binary, 4 no FIN), and a number.
fn dialogues() -> Vec<Dialogue> {
    let op = |what: u8, flags: u8, number: u16| {
        let [high, low] = number.to_be_bytes();
        [what, flags, high, low]
    };
    let (message, piece, reference, prepared, ping, answer) = (0, 2, 4, 5, 6, 7);
    let (close, fail, deliver, pump, wait, stall, stop) = (8, 9, 10, 12, 13, 14, 15);
    let all_kinds = vec![
        op(message, 0, 5),
        op(message, 3, 0x4200),
        op(ping, 1, 20),
        op(deliver, 0, 7),
        op(prepared, 2, 100),
        op(deliver, 0, 300),
        op(answer, 0, 3),
        op(reference, 2, 0xFFA4),
        op(message, 1, 0),
        op(pump, 0, 0),
    ];
    let fragments = vec![
        op(piece, 4, 7),
        op(ping, 0, 2),
        op(piece, 4, 0),
        op(deliver, 1, 11),
        op(piece, 5, 60),
        op(message, 0, 1), // refused
        op(piece, 0, 33),
        op(reference, 5, 0x4100),
        op(piece, 1, 0),
        op(pump, 0, 0),
        op(message, 2, 9),
    ];
    let many = |what, flags, number, times| vec![op(what, flags, number); times];
    vec![
        ("all_kinds", [0, 0, 0, 0], all_kinds.clone()),
        ("all_kinds_bytewise_chunks", [1, 3, 7, 0], all_kinds.clone()),
        ("compressed", [6, 0, 0, 1], all_kinds.clone()),
        ("compressed_chunks", [7, 3, 0, 3], [all_kinds.clone(), fragments.clone()].concat()),
        ("compressed_tight", [7, 12, 0, 1], [fragments.clone(), vec![op(message, 1, 0x8FFF)]].concat()),
        ("fragments", [5, 0, 1, 0], fragments.clone()),
        ("fragments_chunks", [3, 3, 2, 0], fragments),
        ("too_big", [9, 12, 0, 0], vec![op(message, 0, 3), op(message, 1, 0x8FFF), op(message, 0, 3)]),
        ("too_many_fragments", [9, 12, 0, 0], many(piece, 7, 3, 10)),
        ("ping_flood", [0, 0, 3, 0], [many(ping, 1, 120, 150), vec![op(deliver, 0, 0xFFF); 6]].concat()),
        (
            "close_crossing",
            [4, 0, 0, 0],
            vec![op(message, 0, 9), op(close, 0, 4008), op(close, 1, 0), op(deliver, 0, 3)],
        ),
        ("close_inside", [4, 2, 0, 0], vec![op(piece, 6, 9), op(close, 0, 16_016), op(message, 1, 40), op(pump, 0, 0)]),
        ("fail", [4, 128, 0, 0], vec![op(message, 1, 9), op(fail, 0, 4032), op(message, 1, 4), op(ping, 0, 0)]),
        ("keepalive", [2, 128, 0, 0], vec![op(wait, 0, 65_000), op(message, 1, 3), op(wait, 0, 45_000)]),
        ("keepalive_timeout", [2, 64, 0, 0], vec![op(stall, 0, 30_000), op(stall, 0, 30_000)]),
        ("idle", [2, 16, 0, 0], vec![op(wait, 0, 60_000), op(message, 1, 3), op(wait, 0, 60_000), op(wait, 0, 60_000)]),
        ("close_timeout", [2, 32, 0, 0], vec![op(close, 1, 4000), op(stall, 0, 12_000)]),
        ("broken", [2, 1, 0, 0], vec![op(message, 1, 80), op(deliver, 0, 30), op(stop, 0, 0xFFFF)]),
    ]
}

/// Answers of proxies, and redirects; see the target for the flags.
fn routes() -> Vec<(&'static str, u8, &'static [u8])> {
    vec![
        ("http", 0, b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n\x16\x03\x01"),
        ("http_interim", 8, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        ("http_refusal", 4, b"HTTP/1.1 407 no\r\nProxy-Authenticate: Basic\r\n\r\n"),
        ("socks", 2, b"\x05\0\x05\0\0\x01\x7f\0\0\x01\0\x50more"),
        ("socks_name", 2, b"\x05\0\x05\0\0\x03\x03a.b\0\x50"),
        ("socks_known", 6, b"\x05\x02\x01\0\x05\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50"),
        ("socks_refusal", 2, b"\x05\0\x05\x05"),
        ("redirect", 1, b"ws://user:secret@server.example/a/b?c\n../d/./e?f#g"),
        ("redirect_elsewhere", 1, b"ws://user:secret@server.example/\nhttps://other.example:8443/x"),
        ("redirect_insecure", 1, b"wss://server.example/\n//user@[::1]:443/..\n"),
    ]
}

/// Requests, and answers for a client: a name, whether it is an answer, and a text whose lines end in LF for CRLF.
fn handshakes() -> Vec<(&'static str, bool, String)> {
    let request = |line: &str, more: &str| {
        format!(
            "{line}\nHost: example.com\nUpgrade: websocket\nConnection: keep-alive, Upgrade\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n{more}\n"
        )
    };
    let get = "GET /chat HTTP/1.1";
    let answer = |line: &str, more: &str| {
        format!(
            "{line}\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n\
             {more}\n"
        )
    };
    let switching = "HTTP/1.1 101 Switching Protocols";
    vec![
        ("request", false, request(get, "")),
        ("request_and_frame", false, request(get, "") + "\u{1}\u{2}"),
        ("request_after_empty_lines", false, String::from("\n\n") + &request(get, "")),
        (
            "browser",
            false,
            request(get, "Origin: https://example.com\nCookie: a=b; c=d\nUser-Agent: x (y; z) \u{e9}\n"),
        ),
        ("subprotocols", false, request(get, "Sec-WebSocket-Protocol: a, chat\nsec-websocket-protocol: ,b ,\n")),
        (
            "extensions",
            false,
            request(get, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; x=\"1\\2\" , y\n"),
        ),
        ("absolute", false, request("GET ws://[::1]:8080/a?b HTTP/1.1", "")),
        ("post", false, request("POST / HTTP/1.1", "Content-Length: 3\n") + "abc"),
        ("chunked", false, request("POST / HTTP/1.1", "Transfer-Encoding: chunked\n")),
        ("old_version", false, request("GET / HTTP/1.0", "")),
        ("page", false, "GET / HTTP/1.1\nHost: h\n\n".into()),
        ("head", false, "HEAD / HTTP/1.1\nHost: h\n\n".into()),
        ("folded", false, request(get, "X: a\n b\n")),
        ("control", false, request(get, "").replacen("Upgrade", "\u{b}", 1)),
        ("tls", false, "\u{16}\u{3}\u{1}".into()),
        ("answer", true, answer(switching, "")),
        ("answer_and_frame", true, answer(switching, "") + "\u{1}\u{2}hi"),
        ("answer_subprotocol", true, answer(switching, "Sec-WebSocket-Protocol: superchat\n")),
        ("answer_extension", true, answer(switching, "Sec-WebSocket-Extensions: permessage-deflate\n")),
        ("answer_interim", true, String::from("HTTP/1.1 103 Early Hints\nLink: x\n\n") + &answer(switching, "")),
        ("answer_without_reason", true, answer("HTTP/1.1 101", "")),
        ("redirect", true, "HTTP/1.1 302 Found\nLocation: /x\nContent-Length: 5\n\nmoved".into()),
        ("unauthorized", true, "HTTP/1.1 401 \nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n".into()),
        ("until_eof", true, "HTTP/1.0 500 Oops\n\nsorry".into()),
        ("no_content", true, "HTTP/1.1 204 No Content\n\n".into()),
    ]
}

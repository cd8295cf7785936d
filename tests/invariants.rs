//! What holds for every session, however it is generated and however it is cut: the promises of the crate page.

mod support;

use std::collections::VecDeque;

use bytes::BytesMut;
use proptest::prelude::*;
use sansock::{
    Chunk, Config, Connection, Data, Delivery, Error, Event, Message, State, Transport,
    frame::{Header, Opcode},
};
use support::*;

/// Frames of a peer, most of them valid: what the generator of a fuzzer would need long to find.
fn some_frames(random: &mut Random) -> Vec<u8> {
    let mut frames = Vec::new();
    for _ in 0..random.below(9) {
        match random.below(24) {
            0..=6 => {
                let (first, payload) = some_message(random);
                frames.extend(frame(0x80 | first, &payload));
            }
            7..=12 => {
                let (mut first, payload) = some_message(random);
                let mut rest = &payload[..];
                while random.below(4) > 0 {
                    let (piece, more) = rest.split_at(random.below(rest.len() + 1));
                    frames.extend(frame(first, piece));
                    (rest, first) = (more, 0);
                    if random.below(3) == 0 {
                        frames.extend(some_control(random));
                    }
                }
                if random.below(8) > 0 {
                    frames.extend(frame(0x80 | first, rest));
                }
            }
            13..=16 => frames.extend(some_control(random)),
            17 => frames.extend(random.pick(&[
                &b"\x88\0"[..],
                b"\x88\x02\x03\xE8",
                b"\x88\x05\x0F\xA0bye",
                b"\x88\x01\x03",
                b"\x88\x02\x03\xED",
                b"\x88\x04\x03\xE8\xC3\x28",
            ])),
            18 => frames.extend(frame(random.pick(&[0x01, 0x81, 0x00, 0x80]), b"bad \xED\xA0\x80 text")),
            19 => {
                let len = random.below(20);
                frames.extend(random.bytes(len));
            }
            20 => frames.extend(random.pick(&[
                &b"\xC1\0"[..],
                b"\x83\0",
                b"\x09\0",
                b"\x80\0",
                b"\x82\x7E\0\x10",
                b"\x82\x7F\x80",
                b"\x82\x7F\0\0\0\0\0\0\xFF\xFF",
                b"\x82\x7F\0\0\0\0\x01\0\0\0",
            ])),
            // More Pings than an output that nobody drains takes answers to.
            21 => {
                for i in 0..random.pick(&[3, 150, 200]) {
                    frames.extend(frame(0x89, &[i; 120]));
                }
            }
            22 if !frames.is_empty() => {
                let at = random.below(frames.len());
                frames[at] ^= 1 << random.below(8);
            }
            _ => frames.truncate(frames.len() - random.below(4).min(frames.len())),
        }
    }
    frames
}

fn some_message(random: &mut Random) -> (u8, Vec<u8>) {
    let len = random.pick(&[0, 1, 2, 5, 20, 125, 126, 127, 200]);
    if random.below(2) == 0 {
        return (2, random.bytes(len));
    }
    let alphabet: Vec<char> = "aé€😀\u{7FF}\u{800}\u{10FFFF}".chars().collect();
    let mut text = String::new();
    while text.len() < len {
        text.push(random.pick(&alphabet));
    }
    (1, text.into())
}

fn some_control(random: &mut Random) -> Vec<u8> {
    let len = random.pick(&[0, 1, 4, 125]);
    let payload = random.bytes(len);
    frame(random.pick(&[0x89, 0x89, 0x8A]), &payload)
}

fn some_config(random: &mut Random) -> Config {
    let mut config = Config::default().delivery(random.pick(&DELIVERIES));
    if random.below(4) == 0 {
        config = config.max_message_len(random.pick(&[0, 10, 126, 200]));
    }
    if random.below(4) == 0 {
        config = config.max_frame_len(random.pick(&[0, 5, 125, 126]));
    }
    if random.below(4) == 0 {
        config = config.max_fragments(random.pick(&[0, 1, 2, 3]));
    }
    config.auto_pong(random.below(6) > 0)
}

/// Answers whole messages, and what ends messages in chunks; now and then it has enough.
fn chatty(connection: &mut Connection, event: &Event<'_>, out: &mut BytesMut) {
    _ = match event {
        Event::Text(text) => connection.send_text(text, out),
        Event::Binary(data) if data.len() == 20 => connection.close(goodbye(1001, "enough"), out),
        Event::Binary(data) if data.len() == 2 => {
            connection.fail(code(1008), "too much", out);
            Ok(())
        }
        Event::Binary(data) => connection.send_chunk(&Chunk::binary(&data[..], data.len() > 9), out),
        Event::Chunk(Chunk { fin: true, data: Data::Text(_) }) => connection.send_text("text", out),
        Event::Chunk(Chunk { fin: true, .. }) => connection.send_binary(b"binary", out),
        Event::Pong(payload) => connection.ping(payload, out),
        _ => Ok(()),
    };
}

/// The same bytes, whole and in these cuttings, give the same, up to and behind the end of the transport.
#[track_caller]
fn same_however_cut(role: Role, config: &Config, app: App, bytes: &[u8], cuttings: &[&[usize]]) {
    let run = |cuts: &[usize]| {
        let mut session = Session::new(role, config);
        session.app = app;
        let mut start = 0;
        for cut in cuts.iter().copied().chain([bytes.len()]) {
            session.feed(&bytes[start..cut]);
            start = cut;
        }
        let before = session.trace();
        let eof = session.connection.receive_eof();
        assert_eq!(eof.is_ok(), session.info().clean, "the end is clean, or it is an error");
        session.feed(b"\x81\x02hi");
        (before, eof, session.trace())
    };
    let whole = run(&[]);
    for cuts in cuttings {
        assert_eq!(run(cuts), whole, "{role:?} {config:?}\n{:?}\ncut at {cuts:?}", Hex(bytes));
    }
    strict::session(role == Client, &whole.0.output);
}

/// How many generated connections `cargo test` cuts at random.
const CONNECTIONS: u64 = 10_000;

#[test]
fn i2_ten_thousand_connections_cut_at_random_are_the_same() {
    for seed in 0..CONNECTIONS {
        let mut random = Random(seed);
        let (role, config) = (random.pick(&ROLES), some_config(&mut random));
        let app = random.pick(&[listen as App, chatty]);
        let frames = some_frames(&mut random);
        // A client that forgets to mask is part of it.
        let bytes = if random.below(30) == 0 { frames } else { role.as_received(&frames) };
        let (some, bytewise) = (random.cuts(bytes.len()), (1..bytes.len()).collect::<Vec<_>>());
        let cuttings: &[&[usize]] = if seed % 8 == 0 { &[&some, &bytewise] } else { &[&some] };
        same_however_cut(role, &config, app, &bytes, cuttings);
    }
}

fn any_session() -> impl Strategy<Value = (bool, bool, bool, u64, Vec<Vec<u8>>, Vec<prop::sample::Index>)> {
    let payload = prop_oneof![
        4 => any::<String>().prop_map(String::into_bytes),
        4 => prop::collection::vec(any::<u8>(), 0..140),
        1 => prop::collection::vec(any::<u8>(), 126..2000),
    ];
    let first = prop_oneof![
        12 => prop::sample::select(vec![0x81, 0x82, 0x89, 0x8A, 0x01, 0x02, 0x00, 0x80, 0x00, 0x80]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let frames = prop::collection::vec((first, payload).prop_map(|(first, payload)| frame(first, &payload)), 0..8);
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..20);
    (any::<bool>(), any::<bool>(), any::<bool>(), 0..2000_u64, frames, cuts)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// I2 again, with a generator that shrinks what fails.
    #[test]
    fn i2_any_session_cut_anywhere_is_the_same((server, chunks, talks, limit, frames, cuts) in any_session()) {
        let role = if server { Server } else { Client };
        let delivery = if chunks { Delivery::Chunks } else { Delivery::Messages };
        let mut config = Config::default().delivery(delivery);
        if limit < 300 {
            config = config.max_message_len(limit);
        }
        let bytes = role.as_received(&frames.concat());
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let app = if talks { chatty as App } else { listen };
        same_however_cut(role, &config, app, &bytes, &[&cuts]);
    }

    /// Encode, then decode: a header is what it was, and needs all its bytes.
    #[test]
    fn header_decodes_to_what_was_encoded(
        fin: bool,
        rsv in 0..8_u8,
        opcode in prop::sample::select(vec![0_u8, 1, 2, 8, 9, 10]),
        mask: Option<[u8; 4]>,
        len: u64,
        shift in 1..64_u32,
    ) {
        let opcode = Opcode::new(opcode).unwrap();
        let (fin, len) = if opcode.is_control() { (true, len % 126) } else { (fin, len >> shift) };
        let header = Header { fin, rsv, opcode, mask, len };
        let mut bytes = header.encode().to_vec();
        let head = bytes.len();
        for cut in 0..head {
            prop_assert_eq!(Header::decode(&bytes[..cut]), Ok(None));
        }
        bytes.extend([0xFF; 5]);
        prop_assert_eq!(Header::decode(&bytes), Ok(Some((header, head))));
    }

    /// What one end sends, the other one receives: messages, in order, over a wire that cuts anywhere.
    #[test]
    fn messages_arrive_as_they_were_sent(
        from_client: bool,
        messages in prop::collection::vec(
            prop_oneof![
                8 => any::<String>().prop_map(Message::Text),
                8 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Message::Binary),
                1 => prop::collection::vec(any::<u8>(), 65_530..65_540).prop_map(Message::Binary),
            ],
            0..5,
        ),
        pieces in 1..5_usize,
        seed: u64,
    ) {
        let (from, to) = if from_client { (Client, Server) } else { (Server, Client) };
        let mut random = Random(seed);
        let mut sender = from.connection(&Config::default());
        let mut out = BytesMut::new();
        let mut expected = Vec::new();
        for message in &messages {
            match message {
                Message::Text(message) if pieces == 1 => sender.send_text(message, &mut out).unwrap(),
                Message::Binary(message) if pieces == 1 => sender.send_binary(message, &mut out).unwrap(),
                Message::Text(message) => {
                    for character in message.chars() {
                        sender.send_chunk(&Chunk::text(String::from(character), false), &mut out).unwrap();
                    }
                    sender.send_chunk(&Chunk::text("", true), &mut out).unwrap();
                }
                Message::Binary(message) => {
                    let size = message.len() / pieces + 1;
                    for piece in message.chunks(size) {
                        sender.send_chunk(&Chunk::binary(piece, false), &mut out).unwrap();
                        sender.ping(b"between", &mut out).unwrap();
                    }
                    sender.send_chunk(&Chunk::binary(Vec::new(), true), &mut out).unwrap();
                }
            }
            expected.push(match message {
                Message::Text(message) => text(message),
                Message::Binary(message) => binary(message),
            });
        }
        for delivery in DELIVERIES {
            let config = Config::default().delivery(delivery);
            let trace = drive(to, &config, listen, &out, &random.cuts(out.len()));
            prop_assert_eq!(trace.error, None);
            let mut seen = joined(&trace.events);
            seen.retain(|event| *event != ping(b"between"));
            prop_assert_eq!(&seen, &expected);
        }
    }
}

/// A bit of everything, on whatever stack it is called.
fn exercise() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let (role, config) = (random.pick(&ROLES), some_config(&mut random));
        let bytes = role.as_received(&some_frames(&mut random));
        drive(role, &config, chatty, &bytes, &random.cuts(bytes.len()));
    }
    // Nothing recurses: neither a hundred thousand frames in one read, nor as many fragments.
    for frames in [&b"\x89\0"[..], b"\x81\x01a", b"\x00\0"] {
        let start: &[u8] = if frames == b"\x00\0" { b"\x01\0" } else { b"" };
        let bytes = [start, &frames.repeat(100_000)].concat();
        for delivery in DELIVERIES {
            drive(Server, &Config::default().delivery(delivery), listen, &masked(&bytes), &[]);
        }
    }
    let text = "aé€😀".repeat(20_000);
    let bytes = masked(&frame(0x81, text.as_bytes()));
    let mut random = Random(1);
    assert_eq!(drive(Server, &Config::default(), listen, &bytes, &random.cuts(bytes.len())).events.len(), 1);
}

#[test]
fn i1_everything_runs_on_a_stack_of_64_kib() {
    std::thread::Builder::new().stack_size(64 << 10).spawn(exercise).unwrap().join().unwrap();
}

#[test]
fn i1_no_end_of_the_transport_panics_wherever_it_comes() {
    for seed in 0..150 {
        let mut random = Random(seed);
        let (role, config) = (random.pick(&ROLES), some_config(&mut random));
        let mut bytes = role.as_received(&some_frames(&mut random));
        bytes.truncate(1500);
        for len in 0..=bytes.len() {
            let mut session = Session::new(role, &config);
            session.feed(&bytes[..len]);
            let eof = session.connection.receive_eof();
            session.is(State::Closed, Transport::Close);
            match session.error {
                Some(error) => assert_eq!(eof, Err(error)),
                None if session.info().received.is_some() => assert_eq!(eof, Ok(())),
                None => assert_eq!(eof, Err(Error::ConnectionLost)),
            }
        }
    }
    // Noise, of which nearly all fails at once, but not with a panic.
    let mut random = Random(0);
    for _ in 0..20_000 {
        let len = random.below(40);
        let bytes = random.bytes(len);
        drive(random.pick(&ROLES), &some_config(&mut random), chatty, &bytes, &random.cuts(len));
    }
}

#[test]
fn i3_each_call_consumes_or_emits_or_asks_for_more() {
    for seed in 0..500 {
        let mut random = Random(seed);
        let (role, config) = (random.pick(&ROLES), some_config(&mut random));
        let mut bytes = role.as_received(&some_frames(&mut random));
        let mut connection = role.connection(&config);
        let (mut out, mut input, mut calls) = (BytesMut::new(), &mut bytes[..], 0);
        loop {
            let left = input.len();
            calls += 1;
            assert!(calls < 10_000, "no end");
            match connection.receive(&mut input, &mut out) {
                Ok(Some(_)) => assert!(input.len() < left, "an event without input"),
                Ok(None) => {
                    let in_place = config.delivery == Delivery::InPlace && connection.missing() > 0;
                    break assert!(input.is_empty() || in_place, "more is asked for while there is some");
                }
                Err(_) => assert!(input.is_empty(), "what is left after an error is discarded"),
            }
        }
        let (said, state) = (out.len(), connection.state());
        assert_eq!(connection.receive(&mut input, &mut out), Ok(None), "nothing new in what is left");
        for _ in 0..3 {
            assert_eq!(connection.receive(&mut &mut [][..], &mut out), Ok(None), "nothing out of nothing");
        }
        assert_eq!((out.len(), connection.state()), (said, state));
    }
}

#[test]
fn i6_automatic_output_is_bounded_and_whole() {
    for role in ROLES {
        let answer = if role == Server { 127 } else { 131 };
        for payload in [0, 1, 60, 125] {
            let mut session = Session::new(role, &Config::default());
            let pings = frame(0x89, &vec![b'p'; payload]).repeat(50);
            for _ in 0..400 {
                session.hears(&pings);
                session.events.clear();
                assert!(session.out.len() < (16 << 10) + answer);
                session.hears(b"\x8A\0\x81\x02hi\x01\0\x80\0").events.clear();
            }
            strict::session(role == Client, &session.out);
            // Even the end adds no more than its Close: the answer that was owed is dropped.
            session.hears(b"\x88\x02\x03\xE8");
            assert!(session.out.len() < (16 << 10) + answer + 8);
            strict::session(role == Client, &session.out);
        }
    }
}

#[test]
fn i8_nothing_happens_after_the_end() {
    let ends: [&[u8]; 5] =
        [b"\x88\x02\x03\xE8", b"\x83", b"\x81\x01\xFF", b"\x82\x7F\0\0\0\x01\0\0\0\0", b"\x01\0\x81"];
    for (end, role) in ends.into_iter().flat_map(|end| ROLES.map(|role| (end, role))) {
        for closing in [false, true] {
            let mut session = Session::new(role, &Config::default());
            session.app = chatty;
            if closing {
                session.connection.close(None, &mut session.out).unwrap();
            }
            session.hears(b"\x81\x02hi").hears(end);
            let before = session.trace();
            assert_eq!(before.state, State::Closed);
            let mut random = Random(8);
            for _ in 0..1000 {
                let frames = some_frames(&mut random);
                session.feed(&role.as_received(&frames[..frames.len().min(500)]));
            }
            assert_eq!(session.trace(), before);
        }
    }
}

#[test]
fn i11_invalid_text_never_surfaces() {
    let mut random = Random(11);
    let pieces: [&[u8]; 12] = [
        b"a",
        b"\xC3",
        b"\xA9",
        b"\xE2",
        b"\x82",
        b"\xAC",
        b"\xF0",
        b"\x9F",
        b"\x98",
        b"\x80",
        b"\xED",
        b"text, plain",
    ];
    let mut valid = 0;
    for _ in 0..20_000 {
        let mut bytes = Vec::new();
        for _ in 0..random.below(7) {
            let piece = random.pick(&pieces);
            bytes.extend(random.pick(&[piece, "é€😀".as_bytes()]));
        }
        let split = random.below(bytes.len() + 1);
        let frames = [frame(0x01, &bytes[..split]), frame(0x80, &bytes[split..])].concat();
        let frames = if random.below(2) == 0 { frame(0x81, &bytes) } else { frames };
        let role = random.pick(&ROLES);
        let wire = role.as_received(&frames);
        let config = Config::default().delivery(random.pick(&DELIVERIES));
        let trace = drive(role, &config, listen, &wire, &random.cuts(wire.len()));
        match std::str::from_utf8(&bytes) {
            Ok(good) => {
                valid += 1;
                assert_eq!((joined(&trace.events), trace.error), (vec![text(good)], None));
            }
            Err(error) => {
                assert_eq!((joined(&trace.events), trace.error), (vec![], Some(Error::InvalidUtf8)));
                // A chunk that came before is a prefix of what is valid.
                if let Some(Seen::TextChunk(before, fin)) = trace.events.first() {
                    assert!(!fin && before.as_bytes() == &bytes[..error.valid_up_to()], "{bytes:x?}: {before:?}");
                }
            }
        }
    }
    assert!((2_000..18_000).contains(&valid), "{valid} valid texts");
}

#[test]
fn i12_same_configuration_seed_and_calls_give_the_same() {
    for seed in 0..300 {
        let run = || {
            let mut random = Random(seed);
            let mut session = Session::new(random.pick(&ROLES), &some_config(&mut random));
            session.app = chatty;
            let mut deadlines = VecDeque::new();
            for second in 0..20_u8 {
                let frames = session.role.as_received(&some_frames(&mut random));
                session.feed(&frames);
                let now = link::at(f64::from(second) * 7.0);
                let late = session.connection.handle_timeout(now, &mut session.out);
                deadlines.push_back((late, session.connection.poll_timeout(), session.connection.latency()));
            }
            (session.trace(), deadlines)
        };
        assert_eq!(run(), run());
    }
}

//! What the machine sends (RFC 6455 §5.1 to §5.6, §7.4): always valid, masked by a client and never by a server, and
//! unchanged by a call that was refused.
#![allow(clippy::cast_precision_loss, reason = "small numbers of seconds")]

mod support;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use sansock::{
    Chunk, CloseCode, Config, Connection, Delivery, Kind, Message, Outbox, PreparedMessage, SendError, State, Transport,
};
use support::*;

fn each(mut dialogue: impl FnMut(&mut Session)) {
    for role in ROLES {
        dialogue(&mut Session::new(role, &Config::default()));
    }
}

/// Every way to make a connection say something, with small payloads.
type Say = fn(&mut Connection, &mut BytesMut) -> Result<(), SendError>;
const WAYS: [(Say, &[u8]); 12] = [
    (|c, out| c.send_text("", out), b"\x81\0"),
    (|c, out| c.send_text("Hellö", out), b"\x81\x06Hell\xC3\xB6"),
    (|c, out| c.send_binary(b"\xFF\0", out), b"\x82\x02\xFF\0"),
    (|c, out| c.send_chunk(&Chunk::text("a", true), out), b"\x81\x01a"),
    (|c, out| c.send_chunk(&Chunk::binary(&b""[..], true), out), b"\x82\0"),
    (|c, out| c.ping(b"", out), b"\x89\0"),
    (|c, out| c.ping(b"ping", out), b"\x89\x04ping"),
    (|c, out| c.pong(b"pong", out), b"\x8A\x04pong"),
    (|c, out| by_header(c, Kind::Text, b"text", true, out), b"\x81\x04text"),
    (|c, out| by_header(c, Kind::Binary, b"", true, out), b"\x82\0"),
    (|c, out| c.close(None, out), b"\x88\0"),
    (|c, out| c.close(goodbye(4321, "why"), out), b"\x88\x05\x10\xE1why"),
];

/// A frame whose payload the caller writes, in two pieces.
fn by_header(
    connection: &mut Connection,
    kind: Kind,
    payload: &[u8],
    fin: bool,
    out: &mut BytesMut,
) -> Result<(), SendError> {
    let (head, mut masker) = connection.send_header(kind, payload.len() as u64, fin)?;
    out.put_slice(&head);
    // In three pieces, by both ways.
    let (front, back) = payload.split_at(payload.len() / 3);
    let (middle, back) = back.split_at(back.len() / 3);
    masker.append(front, out);
    let mut middle = middle.to_vec();
    masker.apply(&mut middle);
    out.put_slice(&middle);
    masker.append(back, out);
    Ok(())
}

#[test]
fn r55_client_masks_every_frame_also_the_empty_and_the_automatic_ones() {
    for (say, frames) in WAYS {
        each(|session| {
            say(&mut session.connection, &mut session.out).unwrap();
            // `says` parses strictly: all frames are masked, or, on a server, none.
            session.says(frames);
        });
    }
    let mut client = Session::new(Client, &Config::default());
    client.hears(b"\x89\0\x89\x01x\x88\0");
    let automatic = strict::frames(true, &client.out);
    assert!(automatic.iter().all(|frame| frame.key.is_some()));
    assert_eq!(automatic.iter().map(|frame| frame.first).collect::<Vec<_>>(), [0x8A, 0x8A, 0x88]);
    let mut failing = Session::new(Client, &Config::default());
    failing.hears(b"\x83");
    assert_eq!(failing.out[1] & 0x80, 0x80, "the Close of a failure too");
    // A long payload is masked to its last byte, in all three forms of length.
    for len in [125, 126, 65_535, 65_536, 100_003] {
        each(|session| {
            let payload = Random(len).bytes(usize::try_from(len).unwrap());
            session.connection.send_binary(&payload, &mut session.out).unwrap();
            by_header(&mut session.connection, Kind::Binary, &payload, true, &mut session.out).unwrap();
            session.says(&[frame(0x82, &payload), frame(0x82, &payload)].concat());
        });
    }
}

#[test]
fn r56_each_frame_has_a_fresh_key_that_nobody_can_foresee() {
    let mut client = Client.connection(&Config::default());
    let mut out = BytesMut::new();
    for i in 0..10_000_u32 {
        match i % 5 {
            0 => client.send_text("", &mut out).unwrap(),
            1 => client.ping(b"", &mut out).unwrap(),
            2 => client.send_binary(&[0; 200], &mut out).unwrap(),
            3 => by_header(&mut client, Kind::Text, b"", true, &mut out).unwrap(),
            // An automatic one: `out` is short enough only when nothing is in it.
            _ => {
                let mut answer = BytesMut::new();
                let mut bytes = b"\x89\x01x".to_vec();
                client.receive(&mut &mut bytes[..], &mut answer).unwrap().unwrap();
                out.put_slice(&answer);
            }
        }
    }
    let keys: Vec<_> = strict::session(true, &out).iter().map(|frame| frame.key.unwrap()).collect();
    assert_eq!(keys.len(), 10_000);
    assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "no key twice in a row");
    for byte in 0..4 {
        let mut counts = [0_u32; 256];
        for key in &keys {
            counts[usize::from(key[byte])] += 1;
        }
        // 39 of each on average: no value is missing, none stands out.
        assert!(counts.iter().all(|count| (8..90).contains(count)), "byte {byte}: {counts:?}");
    }
    let mut distinct = keys.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(distinct.len() > 9_980, "{} different keys", distinct.len());

    // The same seed gives the same bytes, another one others.
    let said = |seed: [u8; 32]| {
        let (mut client, mut out) = (Connection::client(&Config::default(), seed), BytesMut::new());
        for _ in 0..100 {
            client.send_text("Hello", &mut out).unwrap();
        }
        out
    };
    assert_eq!(said(SEED), said(SEED));
    let mut other = SEED;
    other[31] ^= 1;
    assert_ne!(said(SEED)[2..6], said(other)[2..6]);
    assert_ne!(said([0; 32])[2..6], [0; 4]);
    // And no key of it can be read in what a log prints.
    let printed = format!("{:?}", Connection::client(&Config::default(), SEED));
    assert!(!printed.contains(&format!("{SEED:?}")) && !printed.contains("116, 104"), "{printed}");
}

#[test]
fn r66_messages_are_not_interleaved() {
    each(|session| {
        let (connection, out) = (&mut session.connection, &mut session.out);
        connection.send_chunk(&Chunk::text("Hel", false), out).unwrap();
        let refused = Err(SendError::MessageOpen);
        let before = out.clone();
        assert_eq!(connection.send_text("x", out), refused);
        assert_eq!(connection.send_text("", out), refused);
        assert_eq!(connection.send_binary(&[0; 300], out), refused);
        assert_eq!(connection.send_chunk(&Chunk::binary(&b"x"[..], false), out), refused);
        assert_eq!(connection.send_chunk(&Chunk::binary(&b"x"[..], true), out), refused);
        assert_eq!(connection.send_header(Kind::Binary, 1, true).err(), refused.err());
        assert_eq!(connection.send_prepared(&PreparedMessage::text("x")).err(), refused.err());
        assert_eq!(*out, before);
        // Control frames go between; the same kind goes on, by copy or by header.
        connection.ping(b"p", out).unwrap();
        connection.pong(b"q", out).unwrap();
        by_header(connection, Kind::Text, b"l", false, out).unwrap();
        connection.send_chunk(&Chunk::text("", false), out).unwrap();
        connection.send_chunk(&Chunk::text("o", true), out).unwrap();
        connection.send_binary(b"next", out).unwrap();
        session.hears(b"\x89\x01!");
        session.says(b"\x01\x03Hel\x89\x01p\x8A\x01q\x00\x01l\x00\0\x80\x01o\x82\x04next\x8A\x01!");
    });
    // A message that begins with a header alone is open as well.
    each(|session| {
        by_header(&mut session.connection, Kind::Binary, b"ab", false, &mut session.out).unwrap();
        assert_eq!(session.connection.send_binary(b"x", &mut session.out), Err(SendError::MessageOpen));
        session.hears(b"\x89\0");
        by_header(&mut session.connection, Kind::Binary, b"cd", true, &mut session.out).unwrap();
        session.connection.send_text("x", &mut session.out).unwrap();
        session.says(b"\x02\x02ab\x8A\0\x80\x02cd\x81\x01x");
    });
}

#[test]
fn r75_no_close_code_that_only_reports_can_be_made() {
    for number in 0..=u16::MAX {
        let sendable = matches!(number, 1000..=1003 | 1007..=1014 | 3000..=4999);
        assert_eq!(CloseCode::new(number).map(CloseCode::get), sendable.then_some(number));
    }
    // Nor is one made by what fails: each failure says a code of the list, or nothing.
    for frames in [&b"\x83"[..], b"\x81\x01\xFF", b"\x82\x7F\0\0\0\0\x7F\0\0\0", b"\x88\x02\x03\xED"] {
        each(|session| {
            session.hears(frames);
            strict::session(session.role == Client, &session.out);
            assert!(session.error.unwrap().close_code().is_some());
        });
    }
    each(|session| {
        session.hears(b"\x88\0").sees(&[Seen::Close(None)]).says(b"\x88\0");
    });
}

#[test]
fn r77_control_payload_that_is_too_long_is_refused_and_changes_nothing() {
    each(|session| {
        session.connection.ping(&[7; 125], &mut session.out).unwrap();
        session.connection.pong(&[8; 125], &mut session.out).unwrap();
        let before = session.trace();
        let (connection, out) = (&mut session.connection, &mut session.out);
        assert_eq!(connection.ping(&[0; 126], out), Err(SendError::ControlTooLong(126)));
        assert_eq!(connection.pong(&[0; 126], out), Err(SendError::ControlTooLong(126)));
        assert_eq!(connection.ping(&vec![0; 70_000], out), Err(SendError::ControlTooLong(70_000)));
        assert_eq!(connection.close(goodbye(1000, &"é".repeat(62)), out), Err(SendError::ReasonTooLong(124)));
        assert_eq!(connection.send_header(Kind::Text, 1 << 63, true).err(), Some(SendError::FrameTooLong(1 << 63)));
        assert_eq!(connection.send_header(Kind::Text, u64::MAX, false).err(), Some(SendError::FrameTooLong(u64::MAX)));
        assert_eq!(session.trace(), before);
        // 123 bytes of a reason, in one character less.
        let longest = format!("{}x", "é".repeat(61));
        session.connection.close(goodbye(1000, &longest), &mut session.out).unwrap();
        session.says(&[frame(0x89, &[7; 125]), frame(0x8A, &[8; 125]), close_frame(1000, &longest)].concat());
    });
}

#[test]
fn r79_no_data_and_no_ping_follow_our_close() {
    each(|session| {
        session.connection.send_text("queued", &mut session.out).unwrap();
        session.connection.close(goodbye(1000, ""), &mut session.out).unwrap();
        let before = session.trace();
        for (say, _) in WAYS.into_iter().filter(|(_, frame)| frame[0] != 0x8A) {
            assert_eq!(say(&mut session.connection, &mut session.out), Err(SendError::Closed));
        }
        let long = vec![0; 70_000];
        assert_eq!(session.connection.send_binary(&long, &mut session.out), Err(SendError::Closed));
        assert_eq!(session.connection.send_prepared(&PreparedMessage::text("x")).err(), Some(SendError::Closed));
        assert_eq!(session.trace(), before);
        session.says(b"\x81\x06queued\x88\x02\x03\xE8").is(State::Closing, Transport::KeepOpen);
    });
    // Nothing at all follows the answer to the peer's.
    each(|session| {
        session.hears(b"\x88\0").says(b"\x88\0");
        let before = session.trace();
        for (say, _) in WAYS {
            assert_eq!(say(&mut session.connection, &mut session.out), Err(SendError::Closed));
        }
        assert_eq!(session.trace(), before);
    });
}

#[test]
fn refused_calls_leave_everything_as_it_was() {
    // The twin of each connection does not try what is refused: from then on both say the same bytes, keys and all.
    for open in [false, true] {
        for role in ROLES {
            let [mut bold, mut shy] = [(); 2].map(|()| Session::new(role, &Config::default()));
            for session in [&mut bold, &mut shy] {
                session.connection.send_text("Hello", &mut session.out).unwrap();
                if open {
                    session.connection.send_chunk(&Chunk::text("Hel", false), &mut session.out).unwrap();
                }
            }
            let (connection, out) = (&mut bold.connection, &mut bold.out);
            connection.ping(&[0; 126], out).unwrap_err();
            connection.close(goodbye(1000, &"x".repeat(124)), out).unwrap_err();
            connection.send_header(Kind::Text, 1 << 63, false).unwrap_err();
            if role == Client {
                let refused = if open { SendError::MessageOpen } else { SendError::MustMask };
                assert_eq!(connection.send_prepared(&PreparedMessage::binary(b"x")).err(), Some(refused));
            }
            if open {
                connection.send_text("x", out).unwrap_err();
                connection.send_chunk(&Chunk::binary(&b""[..], true), out).unwrap_err();
                connection.send_header(Kind::Binary, 0, true).unwrap_err();
            }
            for session in [&mut bold, &mut shy] {
                if open {
                    session.connection.send_chunk(&Chunk::text("lo", true), &mut session.out).unwrap();
                }
                session.hears(b"\x89\x02hi");
                session.connection.send_binary(&[1; 300], &mut session.out).unwrap();
                session.connection.close(None, &mut session.out).unwrap();
            }
            assert_eq!(bold.trace(), shy.trace());
            assert_eq!(bold.connection.poll_timeout(), shy.connection.poll_timeout());
        }
    }
}

#[test]
fn prepared_message_is_shared_and_for_servers_only() {
    let (news, data) = (PreparedMessage::text("it rains"), PreparedMessage::binary(&vec![7; 70_000]));
    let mut places = Vec::new();
    for _ in 0..3 {
        let mut server = Session::new(Server, &Config::default());
        server.connection.send_text("a", &mut server.out).unwrap();
        for message in [&news, &data] {
            let frame = server.connection.send_prepared(message).unwrap();
            places.push(frame.as_ptr());
            server.out.put_slice(&frame);
        }
        server.says(&[b"\x81\x01a".as_slice(), b"\x81\x08it rains", &frame(0x82, &vec![7; 70_000])].concat());
    }
    assert_eq!(places[..2], places[2..4], "one copy for all connections");
    let mut client = Client.connection(&Config::default());
    assert_eq!(client.send_prepared(&news).err(), Some(SendError::MustMask));
}

#[test]
fn header_alone_announces_any_length() {
    for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 32, (1 << 63) - 1] {
        each(|session| {
            let (head, masker) = session.connection.send_header(Kind::Binary, len, true).unwrap();
            assert_eq!(masker.is_identity(), session.role == Server);
            let mut peer = Connection::server(&Config::default());
            if session.role == Server {
                peer = Connection::client(&Config::default(), SEED);
            }
            // The peer takes the header for what it is: too long, or the start of a message.
            let mut bytes = head.to_vec();
            let verdict = peer.receive(&mut &mut bytes[..], &mut BytesMut::new());
            assert_eq!(verdict.is_err(), len > 1 << 20, "{len}");
        });
    }
}

/// A random session of a careless application: everything it may and may not call.
fn babble(role: Role, delivery: Delivery, random: &mut Random, out: &mut BytesMut) {
    let mut session = Session::new(role, &Config::default().delivery(delivery));
    for _ in 0..random.below(60) {
        let len = random.pick(&[0, 1, 5, 125, 126, 300]);
        let bytes = random.bytes(len);
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let (fin, kind) = (random.below(2) == 0, random.pick(&[Kind::Text, Kind::Binary]));
        let (connection, out) = (&mut session.connection, &mut session.out);
        _ = match random.below(16) {
            0 => connection.send_text(&text, out),
            1 => connection.send_binary(&bytes, out),
            2 | 3 => connection.send_chunk(&Chunk::text(&text, fin), out),
            4 | 5 => connection.send_chunk(&Chunk::binary(bytes, fin), out),
            6 => by_header(connection, kind, text.as_bytes(), fin, out),
            7 => connection.send_prepared(&PreparedMessage::text(&text)).map(|frame| out.put_slice(&frame)),
            8 => connection.ping(&bytes, out),
            9 => connection.pong(&bytes, out),
            10 if random.below(9) == 0 => connection.close(Some(sansock::CloseFrame::new(code(3000), &text)), out),
            11 if random.below(9) == 0 => {
                connection.fail(code(1011), &text, out);
                Ok(())
            }
            12 => connection.handle_timeout(link::at(random.below(50) as f64), out).or(Ok(())),
            13 => {
                session.hears(&frame(0x89, &bytes[..len.min(125)]));
                Ok(())
            }
            14 if random.below(9) == 0 => {
                session.hears(random.pick(&[&b"\x88\x02\x03\xE8"[..], b"\x88\0", b"\x83"]));
                Ok(())
            }
            _ => {
                session.hears(b"\x82\x01x");
                Ok(())
            }
        };
    }
    out.extend_from_slice(&session.out);
}

#[test]
fn i9_own_output_is_valid_whatever_is_called() {
    let mut random = Random(9);
    for _ in 0..4000 {
        let role = random.pick(&ROLES);
        let delivery = random.pick(&DELIVERIES);
        let mut out = BytesMut::new();
        babble(role, delivery, &mut random, &mut out);
        let frames = strict::session(role == Client, &out);
        // This crate's own peer takes it as well, and nothing of it fails.
        let peer = if role == Client { Server } else { Client };
        let trace = drive(peer, &Config::default(), listen, &out, &random.cuts(out.len()));
        assert_eq!(trace.error, None, "{frames:?}");
    }
}

#[test]
fn i10_every_client_frame_is_masked_with_its_own_key_and_no_server_frame_is() {
    let mut random = Random(10);
    for _ in 0..1000 {
        let mut out = BytesMut::new();
        babble(Client, Delivery::Messages, &mut random, &mut out);
        let keys: Vec<_> = strict::frames(true, &out).iter().map(|frame| frame.key.unwrap()).collect();
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "the key of frame {i} was used before");
        }
        out.clear();
        babble(Server, Delivery::Messages, &mut random, &mut out);
        assert!(strict::frames(false, &out).iter().all(|frame| frame.key.is_none()));
    }
}

/// The same without compression, in every length around the one from which on it goes by reference: also that it does.
#[test]
fn a_message_that_is_given_away_is_sent_like_one_that_is_lent() {
    type Give = fn(&mut Connection, &str, &mut Outbox) -> Result<(), SendError>;
    let ways: [(u8, Give); 3] = [
        (0x81, |connection, data, out| connection.send_message(Message::Text(data.into()), out)),
        (0x82, |connection, data, out| connection.send_message(Message::Binary(data.into()), out)),
        (0x82, |connection, data, out| connection.send_bytes(Bytes::copy_from_slice(data.as_bytes()), out)),
    ];
    for (role, (first, give)) in ROLES.into_iter().flat_map(|role| ways.map(|way| (role, way))) {
        for len in [0, 125, 126, (16 << 10) - 1, 16 << 10, 0xFFFF, 0x1_0000, 100_000] {
            let data: String = ('a'..='z').cycle().take(len).collect();
            let mut session = Session::new(role, &Config::default());
            let mut outbox = Outbox::new();
            session.connection.ping(b"before", outbox.tail()).unwrap();
            give(&mut session.connection, &data, &mut outbox).unwrap();
            let is_by_reference = len >= 16 << 10;
            assert_eq!(outbox.chunk().len() < outbox.len(), is_by_reference, "{len}: a part of its own");
            session.connection.ping(b"behind", outbox.tail()).unwrap();
            session.connection.send_chunk(&Chunk::text("a", false), outbox.tail()).unwrap();
            assert_eq!(give(&mut session.connection, &data, &mut outbox), Err(SendError::MessageOpen));
            session.connection.send_chunk(&Chunk::text("", true), outbox.tail()).unwrap();
            session.connection.close(None, outbox.tail()).unwrap();
            assert_eq!(give(&mut session.connection, &data, &mut outbox), Err(SendError::Closed));
            session.out.put(outbox);
            let (message, rest) = (frame(first, data.as_bytes()), b"\x89\x06behind\x01\x01a\x80\0\x88\0");
            session.says(&[&b"\x89\x06before"[..], &message, rest].concat());
        }
    }
}

/// A client masks bytes that only it holds where they lie; those that others hold it copies, and leaves them as they
/// are.
#[test]
fn shared_bytes_are_the_same_after_they_were_sent() {
    for role in ROLES {
        let data = Bytes::from(vec![7; 20_000]);
        let (mut connection, mut outbox) = (role.connection(&Config::default()), Outbox::new());
        connection.send_bytes(data.clone(), &mut outbox).unwrap();
        assert_eq!(data, vec![7; 20_000]);
        let place = outbox.parts().last().unwrap().as_ptr();
        assert_eq!(place == data.as_ptr(), role == Server, "a server shares them");
    }
}

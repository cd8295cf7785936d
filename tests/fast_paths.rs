//! The fast paths of receiving and sending obey the rules of the general one: they refuse what it refuses, and they are
//! open exactly when nothing is under way.

mod support;

use std::time::Duration;

use bytes::{Buf, BytesMut};
#[cfg(feature = "deflate")]
use sansock::PreparedMessage;
use sansock::{
    Chunk, CloseCode, Config, Connection, Error, Kind, Limit, Outbox, SendError, Timestamp, error::Violation,
};
use support::{ROLES, Role, Server, binary, everywhere, everywhere_under, frame, masked, text};

/// A frame with a length in the form of the second byte, in front of its whole payload.
fn whole(first: u8, form: u8, len: usize) -> Vec<u8> {
    let size = if form == 126 { 2 } else { 8 };
    [&[first, form], &(len as u64).to_be_bytes()[8 - size..], &vec![b'x'; len]].concat()
}

#[test]
fn r59_length_that_is_not_minimal_fails_when_its_payload_is_there_too() {
    for first in [0x81, 0x82] {
        for len in [0, 1, 125] {
            everywhere(&whole(first, 126, len)).fails(&[], Violation::LengthEncoding, 1002);
        }
        for len in [0, 125, 126, 200, 300, 0xFFFF] {
            everywhere(&whole(first, 127, len)).fails(&[], Violation::LengthEncoding, 1002);
        }
    }
    everywhere(&[b"\x81\x02ok".to_vec(), whole(0x82, 127, 200)].concat()).fails(
        &[text("ok")],
        Violation::LengthEncoding,
        1002,
    );
}

#[test]
fn r57_reserved_bit_on_a_whole_message_fails_at_every_length() {
    for rsv in [0x40, 0x20, 0x10] {
        for len in [0, 5, 125, 126, 200, 300, 0x1_0000] {
            everywhere(&frame(0x82 | rsv, &vec![b'x'; len])).fails(&[], Violation::ReservedBit, 1002);
            everywhere(&frame(0x81 | rsv, &vec![b'x'; len])).fails(&[], Violation::ReservedBit, 1002);
        }
    }
}

#[test]
fn r55_whole_message_with_the_other_roles_mask_bit_fails_at_every_length() {
    for len in [0, 5, 125, 126, 300, 0x1_0000] {
        let bytes = frame(0x82, &vec![b'x'; len]);
        for role in ROLES {
            // What the peer would send if it had the role of the machine.
            let (mut bytes, violation) = match role {
                Server => (bytes.clone(), Violation::Unmasked),
                Role::Client => (Server.as_received(&bytes), Violation::Masked),
            };
            let (mut connection, mut out) = (role.connection(&Config::default()), BytesMut::new());
            assert_eq!(connection.receive(&mut &mut bytes[..], &mut out), Err(violation.into()), "{len}");
        }
    }
}

#[test]
fn whole_message_over_a_limit_fails_at_every_length() {
    for len in [1, 5, 124, 125, 126, 127, 300, 0x1_0000] {
        let bytes = frame(0x82, &vec![b'x'; len]);
        let limit = Limit::AtMost(len as u64);
        let below = Limit::AtMost(len as u64 - 1);
        everywhere_under(&Config::default().max_message_len(limit).max_frame_len(limit), &bytes)
            .goes(&[binary(&vec![b'x'; len])], b"");
        everywhere_under(&Config::default().max_message_len(below), &bytes).fails(&[], Error::TooBig, 1009);
        everywhere_under(&Config::default().max_frame_len(below), &bytes).fails(&[], Error::TooBig, 1009);
    }
    let none = Config::default().max_fragments(0);
    everywhere_under(&none, b"\x82\x01x").fails(&[], Error::TooManyFragments, 1009);
}

/// What is done first. Then a short message is sent, and one is received: `Ok(false)` when it is discarded.
struct Case {
    name: &'static str,
    first: fn(&mut Connection, &mut Outbox),
    sent: Result<(), SendError>,
    received: Result<bool, Error>,
}

const fn case(
    name: &'static str,
    first: fn(&mut Connection, &mut Outbox),
    sent: Result<(), SendError>,
    received: Result<bool, Error>,
) -> Case {
    Case { name, first, sent, received }
}

const CLOSED: Result<(), SendError> = Err(SendError::Closed);
const MESSAGE_OPEN: Result<(), SendError> = Err(SendError::MessageOpen);

/// Each operation that opens or shuts a fast path.
const CASES: &[Case] = &[
    case("nothing", |_, _| (), Ok(()), Ok(true)),
    case("close", |c, out| c.close(None, out.tail()).unwrap(), CLOSED, Ok(true)),
    case("fail", |c, out| c.fail(CloseCode::POLICY_VIOLATION, "", out.tail()), CLOSED, Ok(false)),
    case("receive_eof", |c, _| assert_eq!(c.receive_eof(), Err(Error::ConnectionLost)), CLOSED, Ok(false)),
    case("ping", |c, out| c.ping(b"", out.tail()).unwrap(), Ok(()), Ok(true)),
    case("first chunk", |c, out| chunk(c, out, false), MESSAGE_OPEN, Ok(true)),
    case("chunks", |c, out| [false, true].into_iter().for_each(|fin| chunk(c, out, fin)), Ok(()), Ok(true)),
    case("first header", |c, _| header(c, false), MESSAGE_OPEN, Ok(true)),
    case("headers", |c, _| [false, true].into_iter().for_each(|fin| header(c, fin)), Ok(()), Ok(true)),
    case("long message", |c, out| c.send_text(&"x".repeat(70_000), out.tail()).unwrap(), Ok(()), Ok(true)),
    case("by reference", |c, out| c.send_bytes(vec![7; 70_000].into(), out).unwrap(), Ok(()), Ok(true)),
    case("Ping that is due", |c, out| assert_eq!(time(c, out, &[0, 20]), Ok(())), Ok(()), Ok(true)),
    case("deadline", |c, out| assert_eq!(time(c, out, &[0, 20, 40]), Err(Error::KeepaliveTimeout)), CLOSED, Ok(false)),
    case(
        "half a message",
        |c, out| assert_eq!(hear(c, out, b"\x01\0"), Ok(false)),
        Ok(()),
        Err(Error::Protocol(Violation::ExpectedContinuation)),
    ),
    case(
        "text that is not UTF-8",
        |c, out| assert_eq!(hear(c, out, b"\x81\x01\xFF"), Err(Error::InvalidUtf8)),
        CLOSED,
        Ok(false),
    ),
    case("a Close", |c, out| assert_eq!(hear(c, out, b"\x88\0"), Ok(true)), CLOSED, Ok(false)),
];

fn chunk(connection: &mut Connection, out: &mut Outbox, fin: bool) {
    connection.send_chunk(&Chunk::text("a", fin), out.tail()).unwrap();
}

fn header(connection: &mut Connection, fin: bool) {
    drop(connection.send_header(Kind::Binary, 0, fin).unwrap());
}

/// Tells the time, in seconds.
fn time(connection: &mut Connection, out: &mut Outbox, seconds: &[u64]) -> Result<(), Error> {
    seconds
        .iter()
        .try_for_each(|&at| connection.handle_timeout(Timestamp::from_duration(Duration::from_secs(at)), out.tail()))
}

/// A server's frames arrive: whether there was an event.
fn hear(connection: &mut Connection, out: &mut Outbox, frames: &[u8]) -> Result<bool, Error> {
    let mut bytes = masked(frames);
    connection.receive(&mut &mut bytes[..], out.tail()).map(|event| event.is_some())
}

/// The connection asserts at each fast path that it is open exactly when the state allows it.
#[test]
fn after_every_operation_the_fast_paths_are_open_as_far_as_the_state_allows() {
    for Case { name, first, sent, received } in CASES {
        for sends_first in [false, true] {
            let (mut connection, mut out) = (Connection::server(&Config::default()), Outbox::new());
            first(&mut connection, &mut out);
            let twice = |connection: &mut Connection, out: &mut Outbox| connection.send_text("x", out.tail());
            if sends_first {
                assert_eq!(twice(&mut connection, &mut out), *sent, "{name}");
            }
            assert_eq!(hear(&mut connection, &mut out, b"\x81\x01a"), *received, "{name}");
            if !sends_first {
                let sent = if received.is_err() { CLOSED } else { *sent };
                assert_eq!(twice(&mut connection, &mut out), sent, "{name}");
            }
        }
    }
}

/// The Pong that waits for room goes first, whatever is sent.
#[test]
fn while_a_pong_waits_for_room_the_fast_paths_are_shut() {
    let (mut connection, mut out) = (Connection::server(&Config::default()), Outbox::new());
    connection.send_binary(&[0; 20_000], out.tail()).unwrap();
    assert_eq!(hear(&mut connection, &mut out, b"\x89\x02hi"), Ok(true));
    out.tail().clear();
    connection.send_text("x", out.tail()).unwrap();
    assert_eq!(out.tail(), &b"\x8A\x02hi\x81\x01x"[..]);

    // Room that time finds.
    out.tail().extend_from_slice(&[0; 20_000]);
    assert_eq!(hear(&mut connection, &mut out, b"\x89\x02ho"), Ok(true));
    out.tail().clear();
    assert_eq!(time(&mut connection, &mut out, &[0]), Ok(()));
    connection.send_text("x", out.tail()).unwrap();
    assert_eq!(out.tail(), &b"\x8A\x02ho\x81\x01x"[..]);

    // Room that a Ping finds.
    out.tail().extend_from_slice(&[0; 20_000]);
    assert_eq!(hear(&mut connection, &mut out, b"\x89\x02ha"), Ok(true));
    out.tail().clear();
    connection.ping(b"", out.tail()).unwrap();
    connection.send_text("x", out.tail()).unwrap();
    assert_eq!(out.tail(), &b"\x8A\x02ha\x89\0\x81\x01x"[..]);

    // And what is sent by reference.
    out.tail().extend_from_slice(&[0; 20_000]);
    assert_eq!(hear(&mut connection, &mut out, b"\x89\x02he"), Ok(true));
    out.tail().clear();
    connection.send_bytes(vec![7; 20_000].into(), &mut out).unwrap();
    connection.send_text("x", out.tail()).unwrap();
    assert_eq!(out.chunk(), b"\x8A\x02he\x82\x7E\x4E\x20");
}

#[cfg(feature = "deflate")]
#[test]
fn what_is_decided_about_compression_holds_for_one_short_message() {
    use sansock::deflate::{Compress, Deflate};

    let settings = Deflate::low_memory();
    let (_, agreement) = settings.answer(&settings.offer()).unwrap();
    let server = || Connection::server(&Config::default()).with_deflate(agreement, &settings);
    let long = "long ".repeat(20);
    let mut out = BytesMut::new();

    let mut first_byte = |connection: &mut Connection, text: &str| {
        out.clear();
        connection.send_text(text, &mut out).unwrap();
        out[0]
    };
    let mut connection = server();
    assert_eq!(first_byte(&mut connection, "short"), 0x81);
    assert_eq!(first_byte(&mut connection, &long), 0xC1);
    assert_eq!(first_byte(connection.compress(Compress::Always), "short"), 0xC1);
    assert_eq!(first_byte(&mut connection, "short"), 0x81);
    assert_eq!(first_byte(connection.compress(Compress::Never), &long), 0x81);
    assert_eq!(first_byte(&mut connection, &long), 0xC1);

    // A prepared message, and a header, take the decision as well.
    for compress in [Compress::Always, Compress::Never] {
        let mut connection = server();
        connection.compress(compress).send_prepared(&PreparedMessage::text("news")).unwrap();
        assert_eq!([first_byte(&mut connection, "short"), first_byte(&mut connection, &long)], [0x81, 0xC1]);
        let mut connection = server();
        header(connection.compress(compress), true);
        assert_eq!([first_byte(&mut connection, "short"), first_byte(&mut connection, &long)], [0x81, 0xC1]);
    }
}

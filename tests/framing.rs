//! Frames and fragments as they arrive (RFC 6455 §5.1 to §5.4, §6.2, §10.4): what a hostile or a slow peer can do with
//! them.
#![allow(clippy::cast_possible_truncation, reason = "bytes of test patterns")]

mod support;

use std::borrow::Cow;

use bytes::BytesMut;
use sansock::{Chunk, Config, Data, Delivery, Error, Event, Limit, State, Transport, Violation};
use support::*;

const DATA_AND_CONTROL: [u8; 5] = [0x81, 0x82, 0x88, 0x89, 0x8A];

#[test]
fn r53_unmasked_frame_fails_a_server_at_its_second_byte() {
    for first in DATA_AND_CONTROL {
        for len in [0, 5, 125, 126, 127] {
            let mut server = Session::new(Server, &Config::default());
            assert_eq!(verdict(&mut server, &[first, len]), Some((2, Violation::Unmasked.into())), "{first:x} {len}");
            server.fails(Violation::Unmasked, 1002);
        }
    }
    // One masked frame does not excuse the next: a fragment, and the message behind it.
    let mut server = Session::new(Server, &Config::default());
    server.hears(b"\x01\x03Hel").feed(b"\x80");
    assert_eq!(server.error, None);
    server.feed(b"\x02lo");
    server.sees(&[]).fails(Violation::Unmasked, 1002);

    let bytes = [masked(b"\x81\x05Hello"), b"\x81\x05Hello".to_vec()].concat();
    however_cut(Server, &Config::default(), listen, &bytes).fails(&[text("Hello")], Violation::Unmasked, 1002);
}

#[test]
fn r54_masked_frame_fails_a_client_at_its_second_byte() {
    for first in DATA_AND_CONTROL {
        for len in [0, 5, 125, 126, 127] {
            let mut client = Session::new(Client, &Config::default());
            assert_eq!(
                verdict(&mut client, &[first, 0x80 | len]),
                Some((2, Violation::Masked.into())),
                "{first:x} {len}"
            );
            client.fails(Violation::Masked, 1002);
        }
    }
    let bytes = [b"\x81\x05Hello".to_vec(), masked(b"\x81\x05Hello")].concat();
    however_cut(Client, &Config::default(), listen, &bytes).fails(&[text("Hello")], Violation::Masked, 1002);
    // A key of zeros is a mask too, though it changes nothing.
    however_cut(Client, &Config::default(), listen, b"\x82\x81\0\0\0\0a").fails(&[], Violation::Masked, 1002);
    however_cut(Server, &Config::default(), listen, b"\x82\x81\0\0\0\0a").goes(&[binary(b"a")], b"");
}

#[test]
fn r57_reserved_bits_fail_at_the_first_byte() {
    for rsv in 1..8 {
        for opcode in 0..16 {
            for fin in [0, 0x80] {
                for role in ROLES {
                    let mut session = Session::new(role, &Config::default());
                    session.feed(&[fin | rsv << 4 | opcode]);
                    let expected = match (opcode, fin) {
                        (3..=7 | 11..=15, _) => Violation::ReservedOpcode,
                        (8..=10, 0) => Violation::FragmentedControl,
                        _ => Violation::ReservedBit,
                    };
                    session.sees(&[]).fails(expected, 1002);
                }
            }
        }
        // In the middle of a message too.
        let bytes = [b"\x01\x01a".as_slice(), &[0x80 | rsv << 4]].concat();
        fails_at_byte_of_last(&bytes, Violation::ReservedBit);
    }
}

/// The verdict falls at the very last byte, in every role, delivery and cutting.
#[track_caller]
fn fails_at_byte_of_last(frames: &[u8], error: impl Into<Error>) {
    let error = error.into();
    assert_eq!(everywhere(frames).error, Some(error));
    assert_eq!(everywhere(&frames[..frames.len() - 1]).error, None);
}

#[test]
fn r58_reserved_opcodes_fail_at_the_first_byte() {
    for opcode in (3..8).chain(11..16) {
        for fin in [0, 0x80] {
            fails_at_byte(1, &[fin | opcode, 0x05], Violation::ReservedOpcode);
            let inside = [b"\x02\x01a".as_slice(), &[fin | opcode]].concat();
            fails_at_byte_of_last(&inside, Violation::ReservedOpcode);
        }
    }
}

#[test]
fn r59_length_in_more_bytes_than_it_needs_fails() {
    for len in 0..126 {
        fails_at_byte(4, &[0x82, 126, 0, len], Violation::LengthEncoding);
    }
    // A length of 64 bits that needs only 16: its sixth zero proves it.
    for [high, low] in [[0, 0], [0, 125], [0, 126], [1, 0], [0xFF, 0xFF]] {
        fails_at_byte(8, &[0x82, 127, 0, 0, 0, 0, 0, 0, high, low], Violation::LengthEncoding);
    }
    fails_at_byte(4, b"\x81\x7E\0\x7D", Violation::LengthEncoding);
    let inside = b"\x02\x01a\x80\x7E\0\x05";
    fails_at_byte_of_last(inside, Violation::LengthEncoding);
    // The shortest lengths that do need their form.
    for len in [126, 127, 0xFFFF, 0x1_0000] {
        let payload = vec![b'x'; len];
        for role in ROLES {
            let bytes = role.as_received(&frame(0x82, &payload));
            assert_eq!(bytes[1] & 0x7F, if len > 0xFFFF { 127 } else { 126 });
            assert_eq!(drive(role, &Config::default(), listen, &bytes, &[1, 2, 3]).events, [binary(&payload)]);
        }
    }
}

/// The header of a Binary message of this length, in every form that can say it, the shortest first.
fn headers(len: usize) -> Vec<Vec<u8>> {
    let short = u8::try_from(len).ok().filter(|len| *len < 126).map(|len| vec![0x82, len]);
    let wide = u16::try_from(len).ok().map(|len| [&[0x82, 126][..], &len.to_be_bytes()].concat());
    let widest = [&[0x82, 127][..], &(len as u64).to_be_bytes()].concat();
    [short, wide, Some(widest)].into_iter().flatten().collect()
}

/// What a peer's whole frame leads to: the message, or this failure.
#[track_caller]
fn whole(role: Role, config: &Config, bytes: &[u8], expected: Result<Seen, Error>) {
    let mut session = Session::new(role, config);
    session.feed(bytes);
    match expected {
        Ok(message) => _ = session.sees(&[message]).says(b""),
        Err(error) => _ = session.sees(&[]).fails(error, error.close_code().unwrap().get()),
    }
}

/// A frame that lies whole in the input is judged like one that comes byte by byte (R53, R54, R57, R58, R59, R62, R70).
#[test]
fn r59_a_whole_frame_is_judged_like_its_header() {
    let config = Config::default();
    for (role, len) in ROLES.into_iter().flat_map(|role| [1, 125, 126, 200, 0xFFFF, 0x1_0000].map(|len| (role, len))) {
        let payload = vec![b'x'; len];
        for (form, header) in headers(len).into_iter().enumerate() {
            let with = |first: u8| [&[first], &header[1..], &payload].concat();
            let too_wide = (form > 0).then_some(Error::Protocol(Violation::LengthEncoding));
            let fails = |violation: Violation| Err(violation.into());
            for (first, expected) in [
                (0x82, too_wide.map_or(Ok(binary(&payload)), Err)),
                (0x81, too_wide.map_or(Ok(text(&"x".repeat(len))), Err)),
                (0xC2, fails(Violation::ReservedBit)),
                (0xA1, fails(Violation::ReservedBit)),
                (0x92, fails(Violation::ReservedBit)),
                (0x83, fails(Violation::ReservedOpcode)),
                (0x80, fails(Violation::UnexpectedContinuation)),
            ] {
                whole(role, &config, &role.as_received(&with(first)), expected);
            }
            match role {
                Server => whole(role, &config, &with(0x82), fails(Violation::Unmasked)),
                Client => whole(role, &config, &masked(&with(0x82)), fails(Violation::Masked)),
            }
            let limited = Config::default().max_message_len(len as u64 - 1);
            whole(role, &limited, &role.as_received(&with(0x82)), Err(too_wide.unwrap_or(Error::TooBig)));
        }
    }
}

#[test]
fn r60_length_of_64_bits_has_no_highest_bit() {
    let unlimited = Config::default().max_message_len(Limit::Unlimited);
    for high in 0x80..=0xFF {
        fails_at_byte(3, &[0x82, 127, high], Violation::LengthEncoding);
    }
    for len in (0..15).map(|n| u64::MAX - n).chain([1 << 63, (1 << 63) + 1]) {
        let header = [b"\x82\x7F".as_slice(), &len.to_be_bytes()].concat();
        fails_at_byte(3, &header, Violation::LengthEncoding);
    }
    for len in [31, 32, 48, 62, 63].into_iter().flat_map(|k| [(1 << k) - 1, 1 << k, (1 << k) + 1]) {
        if len >= 1 << 63 {
            continue;
        }
        let header = [b"\x82\x7F".as_slice(), &u64::to_be_bytes(len)].concat();
        fails_at_byte(10, &header, Error::TooBig);
        for role in ROLES {
            // Without a limit it is only a long frame; a few bytes of it change nothing.
            let bytes = role.as_received(&[&header[..], b"hello"].concat());
            for delivery in DELIVERIES {
                let trace = however_cut(role, &unlimited.clone().delivery(delivery), listen, &bytes);
                assert_eq!((trace.error, trace.state), (None, State::Open), "{len}");
            }
        }
    }
}

#[test]
fn r61_length_is_in_network_byte_order() {
    let payload: Vec<u8> = (0..=255).collect();
    let frames = [b"\x82\x7E\x01\x00".as_slice(), &payload, b"\x89\0"].concat();
    everywhere(&frames).goes(&[binary(&payload), ping(b"")], b"\x8A\0");

    let payload = vec![7; 0x1_0203];
    let frames = [b"\x82\x7F\0\0\0\0\0\x01\x02\x03".as_slice(), &payload].concat();
    for role in ROLES {
        let trace = drive(role, &Config::default(), listen, &role.as_received(&frames), &[5, 9, 30]);
        assert_eq!(trace.events, [binary(&payload)]);
    }
}

#[test]
fn r62_continuation_without_a_start_fails_at_its_first_byte() {
    fails_at_byte(1, b"\x80\0", Violation::UnexpectedContinuation);
    fails_at_byte(1, b"\x00\0", Violation::UnexpectedContinuation);
    // A message that ended is none, whole or in fragments.
    everywhere(b"\x81\x01a\x80").fails(&[text("a")], Violation::UnexpectedContinuation, 1002);
    everywhere(b"\x01\x01a\x80\x01b\x80").fails(&[text("ab")], Violation::UnexpectedContinuation, 1002);
    everywhere(b"\x89\0\x00").answers_and_fails(&[ping(b"")], b"\x8A\0", Violation::UnexpectedContinuation, 1002);
}

#[test]
fn r63_new_message_inside_a_fragmented_one_fails_at_its_first_byte() {
    for start in [b"\x01\x01a", b"\x02\x01a"] {
        for first in [0x01, 0x02, 0x81, 0x82] {
            let frames = [start.as_slice(), &[first]].concat();
            fails_at_byte_of_last(&frames, Violation::ExpectedContinuation);
            everywhere(&frames).fails(&[], Violation::ExpectedContinuation, 1002);
            let later = [start.as_slice(), b"\x00\x01b\x8A\0", &[first]].concat();
            everywhere(&later).fails(&[pong(b"")], Violation::ExpectedContinuation, 1002);
        }
    }
}

#[test]
fn r64_control_frames_between_fragments_are_handled_before_the_message() {
    everywhere(b"\x01\x03Hel\x89\x02hi\x00\0\x8A\x01!\x80\x02lo")
        .goes(&[ping(b"hi"), pong(b"!"), text("Hello")], b"\x8A\x02hi");
    // In chunks the order is that of the bytes.
    let chunks = Config::default().delivery(Delivery::Chunks);
    for role in ROLES {
        let bytes = role.as_received(b"\x02\x03Hel\x89\x02hi\x80\x02lo");
        however_cut(role, &chunks, listen, &bytes).goes(
            &[Seen::BinaryChunk(b"Hel".into(), false), ping(b"hi"), Seen::BinaryChunk(b"lo".into(), true)],
            b"\x8A\x02hi",
        );
    }
    // The answer does not wait for the message either.
    for role in ROLES {
        let mut session = Session::new(role, &Config::default());
        session.hears(b"\x01\x03Hel\x89\x02hi").sees(&[ping(b"hi")]).says(b"\x8A\x02hi");
        session.hears(b"\x80\x02lo").sees(&[text("Hello")]).says(b"");
    }
}

#[test]
fn r65_empty_fragments_are_legal_anywhere() {
    everywhere(b"\x01\0\x00\0\x80\0").goes(&[text("")], b"");
    everywhere(b"\x02\0\x00\0\x80\0").goes(&[binary(b"")], b"");
    everywhere(b"\x01\0\x00\x02hi\x80\0").goes(&[text("hi")], b"");
    everywhere(b"\x01\x01h\x00\0\x80\x01i").goes(&[text("hi")], b"");
    everywhere(b"\x02\x01h\x00\0\x00\0\x80\x01i\x81\0").goes(&[binary(b"hi"), text("")], b"");
    // Inside a character.
    everywhere(b"\x01\x01\xC3\x00\0\x80\x01\xA9").goes(&[text("é")], b"");
    // In chunks the end shows, whatever carried it.
    let chunks = Config::default().delivery(Delivery::Chunks);
    let empty = Seen::TextChunk(String::new(), true);
    however_cut(Client, &chunks, listen, b"\x01\0\x00\0\x80\0").goes(&[empty], b"");
}

#[test]
fn r67_control_frames_are_short_and_whole() {
    for opcode in [8, 9, 10] {
        fails_at_byte(1, &[opcode, 0], Violation::FragmentedControl);
        for len in [126, 127] {
            fails_at_byte(2, &[0x80 | opcode, len, 0, 0x7E], Violation::LongControl);
        }
        fails_at_byte_of_last(&[0x01, 1, b'a', opcode], Violation::FragmentedControl);
        fails_at_byte_of_last(&[0x01, 1, b'a', 0x80 | opcode, 126], Violation::LongControl);
    }
    let longest = [b'x'; 125];
    everywhere(&frame(0x8A, &longest)).goes(&[pong(&longest)], b"");
    everywhere(&frame(0x89, &longest)).goes(&[ping(&longest)], &frame(0x8A, &longest));
}

#[test]
fn r68_verdict_falls_at_the_byte_that_proves_it() {
    // What comes behind the verdict is never looked at: each header goes on as long as headers can.
    let cases: [(usize, &[u8], Error); 16] = [
        (1, b"\xC1\x01", Violation::ReservedBit.into()),
        (1, b"\xA1\x01", Violation::ReservedBit.into()),
        (1, b"\x91\x01", Violation::ReservedBit.into()),
        (1, b"\x83\x01", Violation::ReservedOpcode.into()),
        (1, b"\x8F\x01", Violation::ReservedOpcode.into()),
        (1, b"\x09\x01", Violation::FragmentedControl.into()),
        (1, b"\x08\x7F", Violation::FragmentedControl.into()),
        (1, b"\x00\x01", Violation::UnexpectedContinuation.into()),
        (2, b"\x88\x7E", Violation::LongControl.into()),
        (2, b"\x8A\x7F", Violation::LongControl.into()),
        (4, b"\x82\x7E\x00\x7D", Violation::LengthEncoding.into()),
        (3, b"\x82\x7F\x80", Violation::LengthEncoding.into()),
        (8, b"\x82\x7F\0\0\0\0\0\0", Violation::LengthEncoding.into()),
        (10, b"\x82\x7F\0\0\0\0\0\x10\0\x01", Error::TooBig),
        (10, b"\x01\x7F\0\0\0\0\x01\0\0\0", Error::TooBig),
        (10, b"\x02\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", Error::TooBig),
    ];
    for (byte, header, error) in cases {
        fails_at_byte(byte, &[header, &[0; 14]].concat(), error);
    }
}

#[test]
fn r69_masking_key_turns_over_pieces_of_any_length() {
    let source: Vec<u8> = (0..300_u16).map(|i| (i * 7 + 3) as u8).collect();
    for len in 0..=300 {
        let bytes = masked(&frame(0x82, &source[..len]));
        let expected = [binary(&source[..len])];
        let head = bytes.len() - len;
        // The mask of the literals above, by its definition.
        for (i, byte) in bytes[head..].iter().enumerate() {
            assert_eq!(*byte, source[i] ^ KEY[i % 4]);
        }
        for delivery in DELIVERIES {
            let config = Config::default().delivery(delivery);
            let step = if len < 70 { 1 } else { 37 };
            for cut in (0..=bytes.len()).step_by(step) {
                let trace = drive(Server, &config, listen, &bytes, &[cut]);
                assert_eq!(joined(&trace.events), expected, "{len} cut at {cut}");
            }
            for size in [1, 2, 3, 5, 7] {
                let cuts: Vec<_> = (0..bytes.len()).step_by(size).collect();
                let trace = drive(Server, &config, listen, &bytes, &cuts);
                assert_eq!(joined(&trace.events), expected, "{len} in pieces of {size}");
            }
        }
    }
    // Each frame starts its own key anew.
    let bytes = b"\x02\x83\x01\x02\x03\x04abc\x80\x85\x10\x20\x30\x40abcde";
    let expected = b"\x60\x60\x60\x71\x42\x53\x24\x75";
    however_cut(Server, &Config::default(), listen, bytes).goes(&[binary(expected)], b"");
}

#[test]
fn r70_limits_are_checked_when_the_length_is_in() {
    let limited = |len| Config::default().max_message_len(len);
    // Exactly the limit is allowed; one more fails before the masking key and before any payload.
    for (limit, at, header) in [
        (0, 2, &b"\x82\x01"[..]),
        (5, 2, b"\x82\x06"),
        (124, 2, b"\x82\x7D"),
        (125, 4, b"\x82\x7E\x00\x7E"),
        (0xFFFE, 4, b"\x82\x7E\xFF\xFF"),
        (0xFFFF, 10, b"\x82\x7F\0\0\0\0\0\x01\0\0"),
        (1 << 20, 10, b"\x82\x7F\0\0\0\0\0\x10\0\x01"),
    ] {
        for role in ROLES {
            for config in [limited(limit), Config::default().max_frame_len(limit).max_message_len(Limit::Unlimited)] {
                for delivery in DELIVERIES {
                    let config = config.clone().delivery(delivery);
                    let mut session = Session::new(role, &config);
                    assert_eq!(verdict(&mut session, &role.as_received(header)), Some((at, Error::TooBig)), "{limit}");
                    session.sees(&[]).fails(Error::TooBig, 1009);

                    let payload = vec![b'x'; usize::try_from(limit).unwrap()];
                    let bytes = role.as_received(&frame(0x81, &payload));
                    let trace = drive(role, &config, listen, &bytes, &[2, 3, 4]);
                    assert_eq!(joined(&trace.events), [text(&"x".repeat(payload.len()))], "{limit}");
                }
            }
        }
    }
    // The sum of the fragments counts, announced, not received.
    let eight = limited(8);
    everywhere_under(&eight, b"\x01\x05Hello\x00\0\x80\x03abc").goes(&[text("Helloabc")], b"");
    everywhere_under(&eight, b"\x01\x05Hello\x80\x04").fails(&[], Error::TooBig, 1009);
    everywhere_under(&eight, b"\x01\x05Hello\x00\x03abc\x80\0").goes(&[text("Helloabc")], b"");
    everywhere_under(&eight, b"\x01\x05Hello\x00\x03abc\x80\x01").fails(&[], Error::TooBig, 1009);
    // The next message starts from nothing, and control frames do not count.
    everywhere_under(&eight, b"\x01\x05Hello\x89\x05Hello\x80\x03abc\x82\x0812345678")
        .goes(&[ping(b"Hello"), text("Helloabc"), binary(b"12345678")], b"\x8A\x05Hello");
    // A frame limit below the message limit binds each frame alone.
    let frames_of_three = limited(8).max_frame_len(3);
    everywhere_under(&frames_of_three, b"\x02\x03abc\x00\x03def\x80\x02gh").goes(&[binary(b"abcdefgh")], b"");
    everywhere_under(&frames_of_three, b"\x02\x03abc\x00\x04").fails(&[], Error::TooBig, 1009);
    everywhere_under(&frames_of_three, b"\x82\x04").fails(&[], Error::TooBig, 1009);
    // A whole frame in the input is judged by its header as well.
    everywhere_under(&frames_of_three, b"\x82\x03abc\x82\x04abcd").fails(&[binary(b"abc")], Error::TooBig, 1009);
    everywhere_under(&limited(3), b"\x81\x03abc\x81\x04abcd").fails(&[text("abc")], Error::TooBig, 1009);
    // And no limit binds a control frame.
    everywhere_under(&limited(0).max_frame_len(0), b"\x89\x02hi").goes(&[ping(b"hi")], b"\x8A\x02hi");
}

#[test]
fn fragments_are_limited_the_first_and_the_empty_ones_too() {
    let three = Config::default().max_fragments(3);
    everywhere_under(&three, b"\x01\x01a\x00\x01b\x80\x01c\x81\x01d").goes(&[text("abc"), text("d")], b"");
    everywhere_under(&three, b"\x01\x01a\x00\0\x89\0\x00\0\x80\0").answers_and_fails(
        &[ping(b"")],
        b"\x8A\0",
        Error::TooManyFragments,
        1009,
    );
    everywhere_under(&Config::default().max_fragments(1), b"\x81\x01a\x01\0").goes(&[text("a")], b"");
    everywhere_under(&Config::default().max_fragments(1), b"\x01\x01a\x80\0").fails(&[], Error::TooManyFragments, 1009);
    everywhere_under(&Config::default().max_fragments(0), b"\x81\0").fails(&[], Error::TooManyFragments, 1009);
}

#[test]
fn r71_fragments_are_of_the_kind_that_the_first_one_said() {
    everywhere(b"\x01\x03Hel\x80\x02lo\x02\x03Hel\x80\x02lo\x01\0\x80\0")
        .goes(&[text("Hello"), binary(b"Hello"), text("")], b"");
    let chunks = Config::default().delivery(Delivery::Chunks);
    for role in ROLES {
        however_cut(role, &chunks, listen, &role.as_received(b"\x02\x01\xFF\x00\x01\xFF\x80\0\x01\x01a\x80\x01b"))
            .goes(&[Seen::BinaryChunk(b"\xFF\xFF".into(), true), Seen::TextChunk("ab".into(), true)], b"");
    }
}

#[test]
fn r72_empty_messages_are_delivered() {
    everywhere(b"\x81\0\x82\0\x81\0").goes(&[text(""), binary(b""), text("")], b"");
    for (bytes, event) in [(b"\x81\x80\x01\x02\x03\x04", text("")), (b"\x82\x80\x01\x02\x03\x04", binary(b""))] {
        however_cut(Server, &Config::default(), listen, bytes).goes(&[event], b"");
    }
    let chunks = Config::default().delivery(Delivery::Chunks);
    however_cut(Client, &chunks, listen, b"\x81\0\x82\0")
        .goes(&[Seen::TextChunk(String::new(), true), Seen::BinaryChunk(Vec::new(), true)], b"");
}

#[test]
fn header_that_comes_in_14_pieces_is_one_header() {
    let payload = vec![b'x'; 0x1_0000];
    let bytes = masked(&frame(0x82, &payload));
    let trace = drive(Server, &Config::default(), listen, &bytes, &(1..20).collect::<Vec<_>>());
    assert_eq!(trace.events, [binary(&payload)]);
    assert_eq!((trace.state, trace.transport), (State::Open, Transport::KeepOpen));
}

#[test]
fn whole_message_is_borrowed_from_the_input_and_one_in_pieces_is_moved_out() {
    let (mut out, long) = (BytesMut::new(), vec![b'x'; 70_000]);
    for (role, delivery) in ROLES.into_iter().flat_map(|role| [(role, Delivery::Messages), (role, Delivery::Chunks)]) {
        let mut connection = role.connection(&Config::default().delivery(delivery));
        for payload in [&b"Hello"[..], &[b'x'; 125], &[b'x'; 126], &long[..]] {
            let mut bytes = role.as_received(&frame(0x82, payload));
            let end = bytes.as_ptr_range().end;
            let event = connection.receive(&mut &mut bytes[..], &mut out).unwrap();
            let data = match event {
                Some(Event::Binary(data) | Event::Chunk(Chunk { data: Data::Binary(data), .. })) => data,
                other => panic!("{other:?}"),
            };
            let Cow::Borrowed(data) = data else { panic!("a copy") };
            assert_eq!((data, data.as_ptr_range().end), (payload, end));
        }
    }
    let mut client = Client.connection(&Config::default());
    assert_eq!(client.receive(&mut &mut b"\x81\x05He".to_vec()[..], &mut out), Ok(None));
    let mut rest = b"llo".to_vec();
    let event = client.receive(&mut &mut rest[..], &mut out).unwrap();
    assert!(matches!(event, Some(Event::Text(Cow::Owned(text))) if text == "Hello"));
}

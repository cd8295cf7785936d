//! Compressed messages are received (RFC 7692 §6, §7.2.2): what is understood, what is refused, and with which words.
#![allow(clippy::unusual_byte_groupings, reason = "bits in the groups that they have a meaning in")]

use bytes::BytesMut;
use sansock::{Config, Connection, Delivery, Error, State, Transport, Violation, deflate::Deflate};

#[path = "support/inflating.rs"]
mod inflating;
#[path = "support/rfc1951.rs"]
mod rfc1951;

use inflating::{
    DELIVERIES, Item, Kind, ROLES, Random, Role, Terms, Trace, compressed, config, connection, feed, feed_all, frame,
    receiver, sent, text,
};
use rfc1951::{Bits, Inflater};

const HELLO: &[u8] = &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
/// "Hello" again, from the window.
const AGAIN: &[u8] = &[0xF2, 0x00, 0x11, 0x00, 0x00];

/// What both roles make of compressed text messages, each in one frame.
#[track_caller]
fn receive(payloads: &[&[u8]]) -> Trace {
    let traces = ROLES.map(|role| {
        let bytes: Vec<u8> = payloads.iter().flat_map(|payload| compressed(role, Kind::Text, &[payload])).collect();
        let mut trace = feed_all(|config| receiver(role, config), &bytes);
        trace.out = sent(role, &trace.out).into_iter().flat_map(|sent| sent.payload).collect();
        trace
    });
    assert_eq!(traces[0], traces[1], "both roles");
    traces[0].clone()
}

/// That these messages are refused as no DEFLATE data, in binary messages too.
#[track_caller]
fn refused(payloads: &[&[u8]]) {
    let trace = receive(payloads);
    assert_eq!((trace.error, trace.code), (Some(Error::InvalidDeflate), Some(1007)), "{payloads:02x?}");
}

#[test]
fn r105_rsv1_only_on_the_first_frame_of_a_message() {
    // Nothing, a plain message, a compressed one open.
    let starts: [Option<(u8, &[u8])>; 5] =
        [None, Some((0x01, b"He")), Some((0x02, b"He")), Some((0x41, &HELLO[..2])), Some((0x42, &HELLO[..2]))];
    for role in ROLES {
        for negotiated in [true, false] {
            for start in starts.iter().filter(|start| negotiated || start.is_none_or(|start| start.0 & 0x40 == 0)) {
                for first in 0..=255 {
                    let mut connection = match role {
                        _ if negotiated => receiver(role, &Config::default()),
                        Role::Server => Connection::server(&Config::default()),
                        Role::Client => Connection::client(&Config::default(), [0; 32]),
                    };
                    if let Some((first, payload)) = start {
                        assert_eq!(feed(&mut connection, &frame(role, *first, payload), &[1]).error, None);
                    }
                    let (fin, rsv, opcode) = (first & 0x80 != 0, first >> 4 & 7, first & 0xF);
                    let data = matches!(opcode, 1 | 2);
                    // One byte is enough for the verdict.
                    let expected = match opcode {
                        3..=7 | 11..=15 => Some(Violation::ReservedOpcode),
                        8..=10 if !fin => Some(Violation::FragmentedControl),
                        _ if rsv != 0 && !(rsv == 4 && data && negotiated) => Some(Violation::ReservedBit),
                        0 if start.is_none() => Some(Violation::UnexpectedContinuation),
                        1 | 2 if start.is_some() => Some(Violation::ExpectedContinuation),
                        _ => None,
                    };
                    let trace = feed(&mut connection, &[first], &[1]);
                    assert_eq!(trace.error, expected.map(Error::from), "{role:?} {negotiated} {start:?} {first:02x}");
                    assert_eq!(trace.code, expected.map(|_| 1002));
                }
            }
        }
    }
}

#[test]
fn r106_plain_messages_between_compressed_ones_do_not_touch_the_window() {
    for role in ROLES {
        let bytes = [
            compressed(role, Kind::Text, &[HELLO]),
            frame(role, 0x81, b"plain"),
            frame(role, 0x02, b"in frag"),
            frame(role, 0x89, b"?"),
            frame(role, 0x80, b"ments"),
            compressed(role, Kind::Text, &[AGAIN]),
        ];
        let trace = feed_all(|config| receiver(role, config), &bytes.concat());
        let binary = Item::Message(Kind::Binary, b"in fragments".into());
        assert_eq!(trace.error, None);
        assert_eq!(trace.items, [text("Hello"), text("plain"), Item::Ping(b"?".into()), binary, text("Hello")]);
    }
}

#[test]
fn r107_the_tail_belongs_to_the_message_not_to_its_fragments() {
    let mut deflater = rfc1951::Deflater::new(15);
    let data = "as it was in the beginning, is now and ever shall be, is now and ever";
    let payloads = [deflater.message(data.as_bytes()), deflater.message(data.as_bytes())];
    for role in ROLES {
        for first in 0..=payloads[0].len() {
            for second in first..=payloads[0].len() {
                let (a, b, c) = (&payloads[0][..first], &payloads[0][first..second], &payloads[0][second..]);
                let ping = frame(role, 0x89, b"");
                let bytes = [
                    frame(role, 0x41, a),
                    ping.clone(),
                    frame(role, 0x00, b),
                    frame(role, 0x80, c),
                    compressed(role, Kind::Text, &[&payloads[1], b""]),
                ];
                let trace = feed(&mut receiver(role, &Config::default()), &bytes.concat(), &[usize::MAX]);
                assert_eq!(trace.items, [Item::Ping(vec![]), text(data), text(data)], "{first} {second}");
            }
        }
    }
    // §7.2.3.1: "H" and "ello".
    let bytes = compressed(Role::Client, Kind::Text, &[&HELLO[..3], &HELLO[3..]]);
    assert_eq!(bytes, [0x41, 0x03, 0xF2, 0x48, 0xCD, 0x80, 0x04, 0xC9, 0xC9, 0x07, 0x00]);
    assert_eq!(feed_all(|config| receiver(Role::Client, config), &bytes).items, [text("Hello")]);
    // A sender may flush at the end of a fragment: its tail stays.
    let flushed: &[u8] = &[0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF];
    let bytes = compressed(Role::Client, Kind::Text, &[flushed, &[], &[0xCA, 0xC9, 0xC9, 0x07, 0x00], &[]]);
    assert_eq!(feed_all(|config| receiver(Role::Client, config), &bytes).items, [text("Hello")]);
}

#[test]
fn r109_the_examples_of_the_rfc() {
    // §7.2.3.1 and 7.2.3.2: one block, and the second message from the window.
    assert_eq!(receive(&[HELLO, AGAIN, AGAIN]).items, [text("Hello"), text("Hello"), text("Hello")]);
    let whole: [&[u8]; 5] = [
        HELLO,
        // §7.2.3.3: a block without compression.
        &[0x00, 0x05, 0x00, 0xFA, 0xFF, b'H', b'e', b'l', b'l', b'o', 0x00],
        // §7.2.3.4: a final block, with and without the empty one behind it.
        &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00],
        &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],
        // §7.2.3.5: two blocks in one message.
        &[0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00],
    ];
    for payload in whole {
        assert_eq!(receive(&[payload]).items, [text("Hello")]);
        assert_eq!(receive(&[payload, HELLO, payload, payload]).items.len(), 4, "{payload:02x?}");
        for cut in 0..=payload.len() {
            for role in ROLES {
                let bytes = compressed(role, Kind::Binary, &[&payload[..cut], &payload[cut..]]);
                for at in 0..bytes.len() {
                    let trace = feed(&mut receiver(role, &Config::default()), &bytes, &[at, usize::MAX]);
                    assert_eq!(trace.items, [Item::Message(Kind::Binary, b"Hello".into())]);
                }
            }
        }
    }
}

#[test]
fn r109_a_final_block_ends_the_stream_and_its_window() {
    let last: &[u8] = &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    let open: &[u8] = &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    // In the same message a new stream follows, or several.
    assert_eq!(receive(&[&[last, open].concat()]).items, [text("HelloHello")]);
    assert_eq!(receive(&[&[last, last, last].concat()]).items, [text("HelloHelloHello")]);
    // Its window is empty, in the same message and in the next one.
    refused(&[&[last, AGAIN].concat()]);
    let trace = receive(&[last, AGAIN]);
    assert_eq!((trace.items, trace.error), (vec![text("Hello")], Some(Error::InvalidDeflate)));
    assert_eq!(receive(&[&[last, open].concat(), AGAIN]).items, [text("HelloHello"), text("Hello")]);
    // The tail itself completes a final block: what remains of one that is empty and stored.
    assert_eq!(receive(&[&[0x01], open]).items, [text(""), text("Hello")]);
    let completed: &[u8] = &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x04];
    assert_eq!(receive(&[completed, open]).items, [text("Hello"), text("Hello")]);
    let trace = receive(&[open, &[0x01], AGAIN]);
    assert_eq!((trace.items, trace.error), (vec![text("Hello"), text("")], Some(Error::InvalidDeflate)));
}

#[test]
fn r109_stored_blocks_several_blocks_and_padding() {
    // Padding may be anything.
    assert_eq!(receive(&[&[0b11111_000, 0x01, 0x00, 0xFE, 0xFF, b'H', 0b10101_000]]).items, [text("H")]);
    // Empty blocks of every kind, before and behind.
    let mut bits = Bits::default();
    bits.put(0b010, 3).put_literal(256).put(0b010, 3).put_literal(256).put(0b010, 3);
    for byte in b"Hi" {
        bits.put_literal(usize::from(*byte));
    }
    bits.put_literal(256).put(0b010, 3).put_literal(256).put(0, 3);
    assert_eq!(receive(&[&bits.bytes]).items, [text("Hi")]);
    // A stored block of the greatest length.
    let data = "x".repeat(0xFFFF);
    let payload = [&[0x00, 0xFF, 0xFF, 0x00, 0x00], data.as_bytes(), &[0x00]].concat();
    assert_eq!(receive(&[&payload]).items, [text(&data)]);
}

#[test]
fn r110_a_compressed_message_without_payload_is_empty() {
    assert_eq!(receive(&[b"", &[0x00], b"", HELLO, b"", AGAIN]).items.len(), 6);
    for role in ROLES {
        let bytes = [
            compressed(role, Kind::Text, &[b"", b"", b""]),
            compressed(role, Kind::Binary, &[b"", &[0x00]]),
            compressed(role, Kind::Text, &[b"", HELLO, b""]),
            compressed(role, Kind::Text, &[b""]),
        ];
        let trace = feed_all(|config| receiver(role, config), &bytes.concat());
        assert_eq!(trace.items, [text(""), Item::Message(Kind::Binary, vec![]), text("Hello"), text("")]);
    }
}

#[test]
fn r110_what_is_no_deflate_data_is_refused() {
    let broken: [&[u8]; 12] = [
        // Blocks of the reserved type, final or not.
        &[0x06],
        &[0x07],
        &[0xFF],
        // A stored block whose length is not confirmed.
        &[0x00, 0x05, 0x00, 0xFA, 0xFE],
        // A literal that does not exist: 286 in the fixed code.
        &[0b10001_010 | 0b1_1000_000, 0b0000_0110],
        // Too many lengths, no end of block, too many words.
        &[0xFC, 0xFF, 0xFF],
        &[0x04, 0x00, 0x00, 0x00, 0x00],
        &[0x04, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        // Garbage behind a whole message.
        &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00],
        &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0xFF],
        // The tail was not taken off, or by half.
        &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00, 0x00, 0xFF, 0xFF],
        &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00, 0x00],
    ];
    for payload in broken {
        refused(&[payload]);
        assert_eq!(receive(&[HELLO, payload, HELLO]).items, [text("Hello")], "{payload:02x?}");
    }
}

#[test]
fn r110_every_truncation_is_refused() {
    let mut dynamic = BytesMut::new();
    let data: String = (0..120).flat_map(|n| [(n * n).to_string(), ";".into()]).collect();
    let mut sender = connection(Role::Server, &Config::default(), Terms::FULL, &Deflate::default());
    sender.send_text(&data, &mut dynamic).unwrap();
    let payload = &sent(Role::Server, &dynamic)[0].payload;
    assert_eq!(payload[0] & 0b111, 0b100, "a dynamic block");
    for payload in [payload, HELLO] {
        for len in 1..payload.len() {
            let bytes = compressed(Role::Client, Kind::Binary, &[&payload[..len]]);
            let expected = Inflater::default().message(&payload[..len]);
            assert!(!expected.complete);
            for delivery in DELIVERIES {
                let trace = feed(&mut receiver(Role::Client, &config(delivery)), &bytes, &[usize::MAX]);
                assert_eq!(trace.error, Some(Error::InvalidDeflate), "{len} bytes of {}", payload.len());
                // What came before is good, and no byte of it is made up.
                let before: &[u8] = if delivery == Delivery::Chunks { &expected.data } else { &[] };
                assert_eq!(trace.data(), before);
            }
        }
    }
}

#[test]
fn r110_a_stored_block_that_lacks_bytes_is_refused() {
    // The tail may pass for its last four bytes, which is all that the RFC says; beyond them nothing may.
    for missing in (1_u16..=40).chain([100, 0x8000]) {
        let len = 16 + missing;
        let ([a, b], [c, d]) = (u16::to_le_bytes(len), u16::to_le_bytes(!len));
        let head = [0x00, a, b, c, d];
        let payload = [&head[..], &[b'x'; 16]].concat();
        let trace = receive(&[&payload]);
        if missing == 4 {
            assert_eq!((trace.items.len(), trace.error), (0, Some(Error::InvalidUtf8)));
        } else {
            assert_eq!((trace.items.len(), trace.error), (0, Some(Error::InvalidDeflate)), "{missing} bytes missing");
        }
    }
}

/// The verdict about the tail does not depend on how much was inflated just before it.
#[test]
fn r110_a_block_that_the_tail_completes_is_complete_at_any_length() {
    for len in (8180..8200_u16).chain(16_376..16_392).chain(32_760..32_776) {
        let ([a, b], [c, d]) = (u16::to_le_bytes(len), u16::to_le_bytes(!len));
        let data = vec![b'x'; usize::from(len) - 4];
        let payload = [&[0x00, a, b, c, d], &data[..]].concat();
        let bytes = compressed(Role::Client, Kind::Binary, &[&payload]);
        for delivery in DELIVERIES {
            for size in [usize::MAX, 100, 7] {
                let trace = feed(&mut receiver(Role::Client, &config(delivery)), &bytes, &[size]);
                let expected = Item::Message(Kind::Binary, [&data[..], &rfc1951::TAIL].concat());
                assert!(trace.messages() == (vec![expected], vec![]), "{len} in pieces of {size}: {:?}", trace.error);
            }
        }
    }
}

#[test]
fn r111_what_fills_a_buffer_comes_as_soon_as_its_bytes() {
    // Literals and matches of them, so that a match is cut by the end of a buffer whose bits have all come.
    for literals in 1..260_usize {
        let mut bits = Bits::default();
        bits.put(0b010, 3);
        for _ in 0..literals {
            bits.put_literal(usize::from(b'x'));
        }
        for _ in 0..40 {
            bits.put_match(258, 1);
        }
        let payload = bits.put_literal(256).put(0, 3).bytes.clone();
        // Where the 8192nd byte comes: its frame ends there, or nearby.
        let full = literals + (8192 - literals).div_ceil(258) * 13 / 8;
        for cut in full - 2..full + 3 {
            let (head, tail) = payload.split_at(cut);
            let bytes =
                [frame(Role::Client, 0x42, head), frame(Role::Client, 0x89, b""), frame(Role::Client, 0x80, tail)];
            for size in [usize::MAX, 5, 1] {
                let trace = feed(&mut receiver(Role::Client, &config(Delivery::Chunks)), &bytes.concat(), &[size]);
                let [Item::Part(_, before), Item::Ping(_), Item::Part(_, after), Item::Fin(_)] = &trace.items[..]
                else {
                    panic!("{literals} literals, cut at {cut}: {:?}", trace.error);
                };
                let expected = Inflater::default().message(head).data.len();
                assert_eq!(before.len(), expected, "{literals} literals, cut at {cut}, in pieces of {size}");
                assert_eq!(after.len(), literals + 40 * 258 - expected);
            }
        }
    }
}

#[test]
fn r111_text_is_validated_after_inflation() {
    // The compressed bytes are no UTF-8, the data is.
    assert!(String::from_utf8(HELLO.to_vec()).is_err());
    assert_eq!(receive(&[HELLO]).items, [text("Hello")]);
    // And the other way round: ASCII that inflates to bytes that are no text, or to half of a character.
    let mut deflater = rfc1951::Deflater::new(15);
    for invalid in [&b"abc\xFFdef"[..], b"\xC0\x80", b"\xED\xA0\x80", b"abc\xF0\x9F\x98", b"\xE2\x82"] {
        deflater.forget();
        let trace = receive(&[&deflater.message(invalid)]);
        assert_eq!((trace.items.len(), trace.error, trace.code), (0, Some(Error::InvalidUtf8), Some(1007)));
    }
}

#[test]
fn r111_text_fails_at_the_first_byte_that_shows_it() {
    // Stored blocks show each byte as it is: "ab", then a byte that nothing can follow "ab€" with.
    let stored = |data: &[u8]| [&[0x00, data.len() as u8, 0x00, !data.len() as u8, 0xFF], data].concat();
    let payload = [stored(b"ab\xE2\x82\xAC\xE2\x82"), stored(b"\x28 and more, and much more"), vec![0x00]].concat();
    for role in ROLES {
        for delivery in DELIVERIES {
            let bytes = compressed(role, Kind::Text, &[&payload]);
            let bad = bytes.len() - payload.len() + 17;
            let mut connection = receiver(role, &config(delivery));
            let before = feed(&mut connection, &bytes[..bad], &[1]);
            assert_eq!(before.error, None);
            let expected = if delivery == Delivery::Chunks { "ab€" } else { "" };
            assert_eq!(before.data(), expected.as_bytes());
            assert_eq!(feed(&mut connection, &bytes[bad..=bad], &[1]).error, Some(Error::InvalidUtf8));
            assert_eq!((connection.state(), connection.transport()), (State::Closed, Transport::ShutdownWrite));
        }
    }
}

#[test]
fn r111_characters_cut_by_fragments_and_by_pieces() {
    // Long enough to be handed out in many pieces, with characters of 1 to 4 bytes across every border.
    let data: String = "aé€😀".chars().cycle().take(30_000).collect();
    for offset in 0..4 {
        let data = format!("{}{data}", &"xyz"[..offset.min(3)]);
        let payload = rfc1951::Deflater::new(15).message(data.as_bytes());
        for role in ROLES {
            let fragments: Vec<&[u8]> = payload.chunks(7).collect();
            for bytes in [compressed(role, Kind::Text, &[&payload]), compressed(role, Kind::Text, &fragments)] {
                assert_eq!(feed_all(|config| receiver(role, config), &bytes).items, [text(&data)]);
            }
        }
    }
    // Each byte in a block, and each block in a frame, of its own.
    for character in ["é", "€", "😀"] {
        let blocks: Vec<Vec<u8>> =
            character.bytes().map(|byte| vec![0x00, 0x01, 0x00, 0xFE, 0xFF, byte]).chain([vec![0x00]]).collect();
        let blocks: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
        let bytes = compressed(Role::Server, Kind::Text, &blocks);
        assert_eq!(feed_all(|config| receiver(Role::Server, config), &bytes).items, [text(character)]);
    }
}

#[test]
fn r111_the_limit_applies_to_what_is_inflated() {
    const LIMIT: usize = 100_000;
    for (len, fits) in [(LIMIT - 1, true), (LIMIT, true), (LIMIT + 1, false), (20 * LIMIT, false)] {
        let payload = rfc1951::Deflater::new(15).message(&vec![b'a'; len]);
        let bytes: Vec<&[u8]> = payload.chunks(1).collect();
        for role in ROLES {
            for stream in [compressed(role, Kind::Text, &[&payload]), compressed(role, Kind::Text, &bytes)] {
                for delivery in DELIVERIES {
                    for size in [usize::MAX, 1, 7] {
                        let config = config(delivery).max_message_len(LIMIT as u64);
                        let trace = feed(&mut receiver(role, &config), &stream, &[size]);
                        let (whole, open) = trace.messages();
                        if fits {
                            assert_eq!((trace.error, trace.code), (None, None));
                            assert_eq!(whole, [Item::Message(Kind::Text, vec![b'a'; len])]);
                        } else {
                            assert_eq!((trace.error, trace.code), (Some(Error::TooBig), Some(1009)));
                            assert_eq!(whole, []);
                            let before = if delivery == Delivery::Chunks { LIMIT } else { 0 };
                            assert_eq!(open.len(), before, "as much as the limit allows came before");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn r111_a_limit_of_nothing_lets_empty_messages_pass() {
    let config = Config::default().max_message_len(0);
    let bytes = [
        compressed(Role::Server, Kind::Text, &[b""]),
        compressed(Role::Server, Kind::Text, &[&[0x00]]),
        compressed(Role::Server, Kind::Text, &[HELLO]),
    ];
    let trace = feed(&mut receiver(Role::Server, &config), &bytes.concat(), &[1]);
    assert_eq!((trace.items, trace.error), (vec![text(""), text("")], Some(Error::TooBig)));
}

#[test]
fn r111_a_ratio_can_be_limited() {
    let payload = rfc1951::Deflater::new(15).message(&[b'a'; 4000]);
    let ratio = 4000_u32.div_ceil(payload.len() as u32);
    for (ratio, fits) in [(Some(ratio), true), (Some(ratio - 1), false), (Some(1), false), (None, true)] {
        let settings = Deflate::default().max_ratio(ratio);
        for role in ROLES {
            let make = |config: &Config| connection(role, config, Terms::FULL, &settings);
            let trace = feed_all(make, &compressed(role, Kind::Binary, &[&payload]));
            assert_eq!((trace.error, trace.code), if fits { (None, None) } else { (Some(Error::TooBig), Some(1009)) });
            // What was announced by then counts: the first fragment alone is not better for what follows.
            let trace = feed_all(make, &compressed(role, Kind::Binary, &[&payload[..20], &payload[20..], b""]));
            assert!(trace.error.is_none() || !fits || ratio.is_some());
        }
    }
    // It is counted anew for each message, empty ones pass.
    let settings = Deflate::default().max_ratio(2);
    for payload in [HELLO, b"", &[0x00]] {
        let bytes = compressed(Role::Client, Kind::Binary, &[payload]).repeat(50);
        let trace = feed_all(|config| connection(Role::Client, config, Terms::FULL, &settings), &bytes);
        assert_eq!((trace.items.len(), trace.error), (50, None));
    }
}

#[test]
fn r111_a_compressed_frame_may_be_longer_than_its_message_but_not_by_much() {
    // Empty stored blocks make the longest of nothing.
    let limit = 1000;
    let config = Config::default().max_message_len(limit);
    let endless = [0x00, 0x00, 0x00, 0xFF, 0xFF].repeat(100_000);
    for size in [1, 5, 100, 1000] {
        let fragments: Vec<&[u8]> = endless.chunks(size).collect();
        let bytes = compressed(Role::Server, Kind::Binary, &fragments);
        let trace = feed(&mut receiver(Role::Server, &config), &bytes, &[usize::MAX]);
        assert_eq!((trace.items, trace.error), (vec![], Some(Error::TooBig)), "fragments of {size}");
    }
    // The header announces it, before a byte is read.
    let header = frame(Role::Client, 0xC2, &vec![0; 70_000])[..10].to_vec();
    let trace = feed(&mut receiver(Role::Client, &config), &header, &[usize::MAX]);
    assert_eq!(trace.error, Some(Error::TooBig));
    // Whatever a sender does with a message of that length passes, also in the smallest stored blocks that flushing
    // makes.
    let data = Random(5).bytes(1000);
    let payload = [&[0x00, 0xE8, 0x03, 0x17, 0xFC], &data[..], &[0x00]].concat();
    let trace =
        feed(&mut receiver(Role::Client, &config), &compressed(Role::Client, Kind::Binary, &[&payload]), &[usize::MAX]);
    assert_eq!(trace.items, [Item::Message(Kind::Binary, data)]);
}

#[test]
fn r112_a_distance_before_the_start_of_the_data_is_refused() {
    // As the very first symbol, and one byte too far behind five.
    let block = |literals: &[u8], distance: usize| {
        let mut bits = Bits::default();
        bits.put(0b010, 3);
        for literal in literals {
            bits.put_literal(usize::from(*literal));
        }
        bits.put_match(3, distance).put_literal(256).put(0, 3);
        bits.bytes
    };
    for distance in [1, 2, 5, 1000, 32768] {
        refused(&[&block(b"", distance)]);
    }
    assert_eq!(receive(&[&block(b"Hello", 5)]).items, [text("HelloHel")]);
    refused(&[&block(b"Hello", 6)]);
    // The window holds what earlier messages had: these two eight bytes.
    assert_eq!(receive(&[HELLO, &block(b"abc", 8)]).items, [text("Hello"), text("abcHel")]);
    let trace = receive(&[HELLO, &block(b"abc", 9)]);
    assert_eq!((trace.items, trace.error), (vec![text("Hello")], Some(Error::InvalidDeflate)));
}

#[test]
fn r112_the_farthest_distance_is_understood_whatever_window_was_agreed() {
    let far = Random(3).bytes(32768);
    let mut bits = Bits::default();
    bits.put(0b010, 3).put_match(258, 32768).put_literal(256).put(0, 3);
    for bits_agreed in 8..=15 {
        for role in ROLES {
            let make = |config: &Config| {
                let terms = Terms { sending: (15, true), receiving: (bits_agreed, true) };
                let terms = if role == Role::Client { terms } else { Terms { sending: (15, true), ..terms } };
                connection(role, config, terms, &Deflate::default())
            };
            let stored = [&[0x00, 0x00, 0x80, 0xFF, 0x7F], &far[..], &[0x00]].concat();
            let bytes = [compressed(role, Kind::Binary, &[&stored]), compressed(role, Kind::Binary, &[&bits.bytes])];
            let expected = [far.clone(), far[..258].to_vec()].map(|data| Item::Message(Kind::Binary, data));
            assert_eq!(feed_all(make, &bytes.concat()).items, expected);
        }
    }
}

#[test]
fn without_takeover_nothing_of_the_last_message_is_left() {
    for role in ROLES {
        let make = |config: &Config| connection(role, config, Terms::takeover(true, false), &Deflate::default());
        let bytes = [HELLO, HELLO, b"", AGAIN].map(|payload| compressed(role, Kind::Text, &[payload])).concat();
        let trace = feed_all(make, &bytes);
        assert_eq!(trace.items, [text("Hello"), text("Hello"), text("")]);
        assert_eq!(trace.error, Some(Error::InvalidDeflate));
    }
}

#[test]
fn chunks_of_a_compressed_message_are_at_most_64_kib() {
    // `feed` looks at every chunk; here is something to look at.
    let bytes = compressed(Role::Client, Kind::Binary, &[&rfc1951::Deflater::new(15).message(&vec![7; 1 << 20])]);
    for size in [usize::MAX, 1000, 1] {
        let mut connection = receiver(Role::Client, &config(Delivery::Chunks));
        let trace = feed(&mut connection, &bytes, &[size]);
        assert_eq!(trace.messages().0, [Item::Message(Kind::Binary, vec![7; 1 << 20])]);
    }
}

#[test]
fn control_frames_between_compressed_fragments_come_at_once() {
    for role in ROLES {
        let bytes = [
            frame(role, 0x41, &HELLO[..4]),
            frame(role, 0x89, b"ping"),
            frame(role, 0x00, b""),
            frame(role, 0x8A, b"pong"),
            frame(role, 0x80, &HELLO[4..]),
            frame(role, 0x41, AGAIN),
            frame(role, 0x88, b"\x03\xE8"),
        ];
        let trace = feed_all(|config| receiver(role, config), &bytes.concat());
        let items = [Item::Ping(b"ping".into()), Item::Pong(b"pong".into()), text("Hello"), Item::Close];
        assert_eq!((trace.items, trace.error), (items.into(), None));
        let out = sent(role, &trace.out);
        assert_eq!(out.iter().map(|sent| sent.first).collect::<Vec<_>>(), [0x8A, 0x88], "no reserved bit");
    }
}

#[test]
fn messages_still_inflate_while_closing() {
    for role in ROLES {
        let mut connection = receiver(role, &Config::default());
        connection.close(None, &mut BytesMut::new()).unwrap();
        let bytes = [compressed(role, Kind::Text, &[HELLO]), compressed(role, Kind::Text, &[AGAIN])].concat();
        assert_eq!(feed(&mut connection, &bytes, &[3]).items, [text("Hello"), text("Hello")]);
    }
}

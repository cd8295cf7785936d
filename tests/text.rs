//! Text is UTF-8 (RFC 6455 §5.6, §8.1): valid however it is cut, and refused at the first byte that is impossible.

mod support;

use sansock::{Config, Delivery, Error};
use support::*;

const CHARACTERS: &str = "aé€😀\u{7FF}\u{800}\u{D7FF}\u{E000}\u{FFFF}\u{10000}\u{10FFFF}z";

/// Bytes that are no text, and how many of them are in when that is certain.
const BAD: [(&[u8], usize); 22] = [
    (b"\x80", 1),
    (b"\xBF", 1),
    (b"\xC0\x80", 1),
    (b"\xC1\xBF", 1),
    (b"\xC3\x28", 2),
    (b"\xC3\xC3", 2),
    (b"\xE0\x80\x80", 2),
    (b"\xE0\x9F\xBF", 2),
    (b"\xE2\x28\xA1", 2),
    (b"\xE2\x82\x28", 3),
    (b"\xED\xA0\x80", 2),
    (b"\xED\xBF\xBF", 2),
    (b"\xEF\xBF\xC0", 3),
    (b"\xF0\x80\x80\x80", 2),
    (b"\xF0\x8F\xBF\xBF", 2),
    (b"\xF0\x9F\x28\x80", 3),
    (b"\xF0\x9F\x98\x28", 4),
    (b"\xF4\x90\x80\x80", 2),
    (b"\xF4\xBF\xBF\xBF", 2),
    (b"\xF5\x80\x80\x80", 1),
    (b"\xFE", 1),
    (b"\xFF", 1),
];

/// The text in frames of these sizes, the rest in the last one.
fn in_frames(bytes: &[u8], sizes: &[usize]) -> Vec<u8> {
    let (mut frames, mut rest, mut first) = (Vec::new(), bytes, 0x01);
    for &size in sizes {
        let (piece, more) = rest.split_at(size);
        frames.extend(frame(first, piece));
        (rest, first) = (more, 0x00);
    }
    frames.extend(frame(first | 0x80, rest));
    frames
}

#[test]
fn r92_text_may_be_cut_inside_characters() {
    for character in ["é", "€", "😀", "x€y", "é😀"] {
        for a in 0..=character.len() {
            for b in a..=character.len() {
                let frames = in_frames(character.as_bytes(), &[a, b - a]);
                everywhere(&frames).goes(&[text(character)], b"");
            }
        }
        let bytewise = in_frames(character.as_bytes(), &vec![1; character.len()]);
        everywhere(&bytewise).goes(&[text(character)], b"");
    }
    everywhere(&frame(0x81, CHARACTERS.as_bytes())).goes(&[text(CHARACTERS)], b"");
    for cut in 0..CHARACTERS.len() {
        everywhere(&in_frames(CHARACTERS.as_bytes(), &[cut])).goes(&[text(CHARACTERS)], b"");
    }
    // A Ping between the halves of a character is none of the text's business.
    everywhere(b"\x01\x02\xE2\x82\x89\x01\xAC\x80\x01\xAC").goes(&[ping(b"\xAC"), text("€")], b"\x8A\x01\xAC");
}

#[test]
fn r93_text_fails_at_its_first_impossible_byte() {
    for (bad, at) in BAD {
        for before in ["", "x", "é", "xyz€", "a text that is longer than any vector register of this machine, ñ"] {
            // In a frame that promises more, so that the verdict cannot wait for its end.
            let payload = [before.as_bytes(), bad, &[b'x'; 30]].concat();
            for first in [0x01, 0x81] {
                let frames = frame(first, &payload);
                let head = frames.len() - payload.len();
                let enough = head + before.len() + at;
                for role in ROLES {
                    let bytes = role.as_received(&frames);
                    let key = if role == Server { 4 } else { 0 };
                    for delivery in DELIVERIES {
                        let mut session = Session::new(role, &Config::default().delivery(delivery));
                        let verdict = verdict(&mut session, &bytes);
                        assert_eq!(verdict, Some((enough + key, Error::InvalidUtf8)), "{bad:x?} behind {before:?}");
                        session.fails(Error::InvalidUtf8, 1007);
                    }
                }
                everywhere(&frames[..enough]).fails(&[], Error::InvalidUtf8, 1007);
                assert_eq!(everywhere(&frames[..enough - 1]).error, None);
            }
        }
    }
    everywhere(b"\x81\x05\xC0\x80").fails(&[], Error::InvalidUtf8, 1007);
    everywhere(b"\x01\x02\xFF\xFF").fails(&[], Error::InvalidUtf8, 1007);
    // Over the edge of frames: the continuation fails at its first byte.
    everywhere(b"\x01\x02a\xE2\x00\x02\x28").fails(&[], Error::InvalidUtf8, 1007);
    everywhere(b"\x01\x01\xED\x89\0\x80\x01\xA0").answers_and_fails(&[ping(b"")], b"\x8A\0", Error::InvalidUtf8, 1007);
    // Messages before it are delivered.
    everywhere(b"\x81\x01a\x82\x01\xFF\x81\x01\xFF").fails(&[text("a"), binary(b"\xFF")], Error::InvalidUtf8, 1007);
}

#[test]
fn valid_text_before_the_byte_that_fails_is_delivered_in_chunks() {
    let chunks = Config::default().delivery(Delivery::Chunks);
    for (bad, _) in BAD {
        for before in ["", "x", "é", "xyz€"] {
            for cut in 0..=before.len() {
                for tail in [&b""[..], b"(", b"(tail"] {
                    let payload = [before.as_bytes(), bad, tail].concat();
                    let expected: Vec<_> =
                        (!before.is_empty()).then(|| Seen::TextChunk(before.into(), false)).into_iter().collect();
                    for role in ROLES {
                        let bytes = role.as_received(&in_frames(&payload, &[cut]));
                        however_cut(role, &chunks, listen, &bytes).fails(&expected, Error::InvalidUtf8, 1007);
                    }
                }
            }
        }
    }
    // A message that ends inside a character: what was whole before it.
    let trace = however_cut(Client, &chunks, listen, b"\x81\x03hi\xC3");
    trace.fails(&[Seen::TextChunk("hi".into(), false)], Error::InvalidUtf8, 1007);
}

#[test]
fn r94_overlong_forms_surrogates_and_what_is_beyond_unicode_are_no_text() {
    for (bad, _) in BAD {
        everywhere(&frame(0x81, bad)).fails(&[], Error::InvalidUtf8, 1007);
        for cut in 0..=bad.len() {
            everywhere(&in_frames(bad, &[cut])).fails(&[], Error::InvalidUtf8, 1007);
        }
    }
    // Every second byte behind every lead, against the standard library.
    for lead in 0xC0..=0xFF {
        for second in 0..=0xFF {
            for bytes in [vec![lead, second], vec![lead, second, 0x80], vec![lead, second, 0xBF, 0x80]] {
                let valid = std::str::from_utf8(&bytes);
                for role in ROLES {
                    let whole = role.as_received(&frame(0x81, &bytes));
                    for cuts in [vec![], (1..whole.len()).collect::<Vec<_>>()] {
                        let trace = drive(role, &Config::default(), listen, &whole, &cuts);
                        match valid {
                            Ok(valid) => assert_eq!((trace.events, trace.error), (vec![text(valid)], None)),
                            Err(_) => assert_eq!((trace.events, trace.error), (vec![], Some(Error::InvalidUtf8))),
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn r95_message_that_ends_inside_a_character_fails() {
    for character in ["é", "€", "😀"] {
        for len in 1..character.len() {
            let cut = &character.as_bytes()[..len];
            everywhere(&frame(0x81, cut)).fails(&[], Error::InvalidUtf8, 1007);
            everywhere(&in_frames(cut, &[0])).fails(&[], Error::InvalidUtf8, 1007);
            everywhere(&in_frames(cut, &[len])).fails(&[], Error::InvalidUtf8, 1007);
            let longer = [b"some text and ", cut].concat();
            everywhere(&frame(0x81, &longer)).fails(&[], Error::InvalidUtf8, 1007);
            // A fragment may end so, while the message goes on.
            assert_eq!(everywhere(&frame(0x01, cut)).error, None);
            // And the next message starts from nothing.
            let both = [frame(0x81, cut), frame(0x81, &character.as_bytes()[len..])].concat();
            everywhere(&both).fails(&[], Error::InvalidUtf8, 1007);
        }
    }
}

#[test]
fn r96_binary_is_never_validated() {
    for (bad, _) in BAD {
        everywhere(&frame(0x82, bad)).goes(&[binary(bad)], b"");
        let frames = [frame(0x02, bad), frame(0x80, bad)].concat();
        everywhere(&frames).goes(&[binary(&[bad, bad].concat())], b"");
        // Nor what a Ping carries.
        everywhere(&frame(0x89, bad)).goes(&[ping(bad)], &frame(0x8A, bad));
    }
    let all: Vec<u8> = (0..=255).collect();
    everywhere(&frame(0x82, &all)).goes(&[binary(&all)], b"");
}

#[test]
fn text_chunks_are_whole_characters_and_all_of_them() {
    let long = CHARACTERS.repeat(30);
    for role in ROLES {
        for sizes in [vec![], vec![1; 200], vec![7; 60], vec![3, 0, 0, 500]] {
            let bytes = role.as_received(&in_frames(long.as_bytes(), &sizes));
            let chunks = Config::default().delivery(Delivery::Chunks);
            for size in [1, 2, 3, 5, 64, 4096] {
                let cuts: Vec<_> = (0..bytes.len()).step_by(size).collect();
                let trace = drive(role, &chunks, listen, &bytes, &cuts);
                assert_eq!(trace.events, [Seen::TextChunk(long.clone(), true)], "in pieces of {size}");
            }
        }
    }
}

//! Spaces that are small enough to test whole, against oracles of their own: headers, lengths, close codes, and all
//! short sequences of frames.
#![allow(clippy::cast_possible_truncation, reason = "bytes of numbers")]

mod support;

use bytes::BytesMut;
use sansock::{Config, Connection, Delivery, Error, Limit, State, Violation};
use support::*;

/// Feeds byte by byte: how many bytes were in when the verdict fell, and the verdict.
fn bytewise(connection: &mut Connection, bytes: &[u8]) -> Option<(usize, Error)> {
    let mut out = BytesMut::new();
    bytes.iter().enumerate().find_map(|(i, &byte)| match connection.receive(&mut &mut [byte][..], &mut out) {
        Ok(_) => None,
        Err(error) => Some((i + 1, error)),
    })
}

/// What RFC 6455 says about the first two bytes of a header: §5.2 and §5.5 on the first one, then on the second one.
fn header_oracle(role: Role, message_open: bool, first: u8, second: u8) -> Option<(usize, Violation)> {
    let (fin, rsv, opcode) = (first >= 0x80, first / 0x10 % 8, first % 0x10);
    let (mask, len) = (second >= 0x80, second % 0x80);
    if [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].contains(&opcode) {
        return Some((1, Violation::ReservedOpcode));
    }
    if opcode >= 8 && !fin {
        return Some((1, Violation::FragmentedControl));
    }
    if rsv > 0 {
        return Some((1, Violation::ReservedBit));
    }
    if opcode == 0 && !message_open {
        return Some((1, Violation::UnexpectedContinuation));
    }
    if (opcode == 1 || opcode == 2) && message_open {
        return Some((1, Violation::ExpectedContinuation));
    }
    if role == Server && !mask {
        return Some((2, Violation::Unmasked));
    }
    if role == Client && mask {
        return Some((2, Violation::Masked));
    }
    if opcode >= 8 && len > 125 {
        return Some((2, Violation::LongControl));
    }
    None
}

#[test]
fn i7_all_first_two_bytes_of_a_header_get_their_verdict_at_once() {
    let config = Config::default();
    for role in ROLES {
        for open in [&b""[..], b"\x01\0", b"\x02\x01x\x00\0"] {
            let open_bytes = role.as_received(open);
            for (first, second) in (0..=u16::MAX).map(|header| (header.to_be_bytes()[0], header.to_be_bytes()[1])) {
                let mut connection = role.connection(&config);
                assert_eq!(bytewise(&mut connection, &open_bytes), None);
                // What follows would be a valid header: a length that needs its form, and a key.
                let rest: &[u8] = match second & 0x7F {
                    126 => &[1, 0, 1, 2, 3, 4],
                    127 => &[0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4],
                    _ => &[1, 2, 3, 4],
                };
                let mut header = [&[first, second], rest].concat();
                if second < 0x80 {
                    header.truncate(header.len() - 4);
                }
                let expected = header_oracle(role, !open.is_empty(), first, second)
                    .map(|(at, violation)| (at, Error::Protocol(violation)));
                let verdict = bytewise(&mut connection, &header);
                assert_eq!(verdict, expected, "{role:?}, behind {open:x?}: {header:02x?}");
                if expected.is_some() {
                    assert_eq!(connection.state(), State::Closed);
                }
            }
        }
    }
}

/// What §5.2 and the limit say about a length in one of its three forms.
fn length_oracle(form: u8, len: u64, limit: Option<u64>) -> Option<(usize, Error)> {
    let too_big = limit.is_some_and(|limit| len > limit);
    let not_minimal = Error::Protocol(Violation::LengthEncoding);
    match form {
        126 if len < 126 => Some((4, not_minimal)),
        126 if too_big => Some((4, Error::TooBig)),
        127 if len >= 1 << 63 => Some((3, not_minimal)),
        127 if len <= 0xFFFF => Some((8, not_minimal)),
        127 if too_big => Some((10, Error::TooBig)),
        126 | 127 => None,
        _ if too_big => Some((2, Error::TooBig)),
        _ => None,
    }
}

fn check_length(role: Role, first: u8, len: u64, limit: Option<u64>) {
    let config = Config::default().max_message_len(limit.map_or(Limit::Unlimited, Limit::AtMost));
    let mask = if role == Server { 0x80 } else { 0 };
    for form in [126, 127, 0] {
        let mut header = vec![first, mask | form];
        match form {
            126 if len <= 0xFFFF => header.extend((len as u16).to_be_bytes()),
            127 => header.extend(len.to_be_bytes()),
            0 if len < 126 => header[1] |= len as u8,
            _ => continue,
        }
        header.extend(&KEY[..if role == Server { 4 } else { 0 }]);
        let verdict = bytewise(&mut role.connection(&config), &header);
        assert_eq!(verdict, length_oracle(header[1] & 0x7F, len, limit), "{role:?} {limit:?}: {header:02x?}");
    }
}

#[test]
fn all_lengths_of_16_bits_are_minimal_and_within_the_limit_or_refused() {
    for len in 0..=0xFFFF {
        check_length(Server, 0x82, len, None);
        check_length(Client, 0x01, len, Some(40_000));
    }
}

#[test]
fn lengths_around_powers_of_two_and_around_limits() {
    let around = |n: u64| [n.wrapping_sub(2), n.wrapping_sub(1), n, n.wrapping_add(1), n.wrapping_add(2)];
    let lengths: Vec<u64> = (0..64).flat_map(|k| around(1 << k)).chain((0..15).map(|n| u64::MAX - n)).collect();
    for role in ROLES {
        for first in [0x81, 0x82, 0x01, 0x02] {
            for &len in &lengths {
                check_length(role, first, len, None);
                check_length(role, first, len, Some(1 << 20));
                for limit in around(len) {
                    check_length(role, first, len, Some(limit));
                }
            }
        }
    }
}

#[test]
fn every_header_form_survives_every_way_to_cut_it() {
    for role in ROLES {
        for len in [4, 126, 0x1_0000] {
            let frames = frame(0x02, &vec![b'x'; len]);
            let wire = role.as_received(&frames);
            let head = wire.len() - len;
            // Each bit says whether to cut before the next byte of the header.
            for cuts in 0..1_u32 << head {
                let cuts: Vec<_> = (0..head).filter(|bit| cuts >> bit & 1 == 1).map(|bit| bit + 1).collect();
                let config = Config::default().delivery(Delivery::Chunks);
                let trace = drive(role, &config, listen, &wire[..head + 4], &cuts);
                assert_eq!(trace.events, [Seen::BinaryChunk(b"xxxx".into(), false)], "{role:?} {len} {cuts:?}");
            }
        }
    }
}

#[test]
fn all_close_codes_with_and_without_a_reason() {
    for code in 0..=u16::MAX {
        let allowed = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        for (role, reason) in ROLES.into_iter().flat_map(|role| [(role, ""), (role, "why")]) {
            let mut session = Session::new(role, &Config::default());
            session.hears(&close_frame(code, reason));
            if allowed {
                session.sees(&[closed(code, reason)]).says(&close_frame(code, ""));
            } else {
                session.sees(&[]).fails(Violation::CloseCode, 1002);
            }
        }
    }
}

/// One of each thing that a frame can be, unmasked.
const KINDS: [&[u8]; 24] = [
    b"\x81\x01a",
    b"\x81\0",
    b"\x82\x01\xFF",
    b"\x82\0",
    b"\x01\x01b",
    b"\x01\0",
    b"\x01\x01\xC3",
    b"\x02\x01c",
    b"\x00\x01d",
    b"\x00\0",
    b"\x00\x01\xA9",
    b"\x80\x01e",
    b"\x80\0",
    b"\x80\x01\xA9",
    b"\x81\x01\xFF",
    b"\x89\x01p",
    b"\x8A\x01q",
    b"\x88\0",
    b"\x88\x04\x03\xE9by",
    b"\x88\x01\x03",
    b"\x88\x02\x03\xED",
    b"\x09\0",
    b"\x83\0",
    b"\xC1\0",
];

/// The reference: RFC 6455 for one frame after the other, as plainly as it can be said.
#[derive(Clone, Default)]
struct Model {
    /// The open message: whether it is text, and what came of it.
    message: Option<(bool, Vec<u8>)>,
    events: Vec<Seen>,
    output: Vec<u8>,
    over: bool,
    error: Option<Error>,
    incomplete: bool,
}

impl Model {
    fn fail(&mut self, error: impl Into<Error>) {
        self.error = Some(error.into());
        self.over = true;
    }

    fn hear(&mut self, frame: &[u8]) {
        let (first, payload) = (frame[0], &frame[2..]);
        match first {
            _ if self.over => {}
            0xC1 => self.fail(Violation::ReservedBit),
            0x83 => self.fail(Violation::ReservedOpcode),
            0x09 => self.fail(Violation::FragmentedControl),
            0x89 => {
                self.events.push(ping(payload));
                self.output.extend([b"\x8A\x01", payload].concat());
            }
            0x8A => self.events.push(pong(payload)),
            0x88 => self.close(payload),
            0x00 | 0x80 if self.message.is_none() => self.fail(Violation::UnexpectedContinuation),
            0x01 | 0x02 | 0x81 | 0x82 if self.message.is_some() => self.fail(Violation::ExpectedContinuation),
            _ => {
                let (is_text, mut message) = self.message.take().unwrap_or((first & 0x0F == 1, Vec::new()));
                message.extend(payload);
                let fin = first & 0x80 != 0;
                match std::str::from_utf8(&message) {
                    Err(error) if is_text && (fin || error.error_len().is_some()) => self.fail(Error::InvalidUtf8),
                    Ok(message) if is_text && fin => self.events.push(text(message)),
                    _ if fin => self.events.push(binary(&message)),
                    _ => self.message = Some((is_text, message)),
                }
            }
        }
    }

    fn close(&mut self, body: &[u8]) {
        match body {
            [] => {
                self.events.push(Seen::Close(None));
                self.output.extend(b"\x88\0");
            }
            [3, 0xE9, reason @ ..] => {
                self.events.push(closed(1001, std::str::from_utf8(reason).unwrap()));
                self.output.extend(b"\x88\x02\x03\xE9");
            }
            [_] => return self.fail(Violation::CloseBody),
            _ => return self.fail(Violation::CloseCode),
        }
        self.over = true;
        self.incomplete = self.message.is_some();
    }
}

/// The machine does what the model does; a failure adds its Close.
#[track_caller]
fn agrees(model: &Model, trace: &Trace, frames: &[u8]) {
    assert_eq!(joined(&trace.events), model.events, "{:?}", Hex(frames));
    assert_eq!(trace.error, model.error, "{:?}", Hex(frames));
    assert_eq!(trace.state == State::Closed, model.over, "{:?}", Hex(frames));
    let mut said = strict::session(trace.role == Client, &trace.output);
    if let Some(error) = model.error {
        let code = said.pop().and_then(|frame| frame.close_code());
        assert_eq!(code, error.close_code().map(sansock::CloseCode::get), "{:?}", Hex(frames));
    }
    assert_eq!(said.iter().flat_map(strict::Frame::plain).collect::<Vec<_>>(), model.output, "{:?}", Hex(frames));
    let clean = trace.close_info.as_ref().is_some_and(|info| info.clean);
    assert_eq!(clean, model.over && model.error.is_none());
    assert_eq!(trace.close_info.as_ref().is_some_and(|info| info.incomplete_message), model.incomplete);
}

/// All sequences of `more` more frames, of which at most `behind` come behind the end.
fn sequences(model: &Model, frames: &[u8], more: usize, behind: usize, check: &mut impl FnMut(&Model, &[u8])) {
    check(model, frames);
    if more == 0 || (model.over && behind == 0) {
        return;
    }
    let behind = if model.over { behind - 1 } else { behind };
    for kind in KINDS {
        let mut model = model.clone();
        model.hear(kind);
        sequences(&model, &[frames, kind].concat(), more - 1, behind, check);
    }
}

/// In both roles and deliveries, whole and byte by byte.
fn agrees_in_every_way(model: &Model, frames: &[u8]) {
    for (role, delivery) in ROLES.into_iter().flat_map(|role| [(role, Delivery::Messages), (role, Delivery::Chunks)]) {
        let (wire, config) = (role.as_received(frames), Config::default().delivery(delivery));
        agrees(model, &drive(role, &config, listen, &wire, &[]), frames);
        let cuts: Vec<_> = (1..wire.len()).collect();
        agrees(model, &drive(role, &config, listen, &wire, &cuts), frames);
    }
}

#[test]
fn all_sequences_of_three_frames_agree_with_the_model() {
    sequences(&Model::default(), b"", 3, 2, &mut agrees_in_every_way);
}

#[test]
fn all_sequences_of_four_frames_agree_with_the_model() {
    for role in ROLES {
        sequences(&Model::default(), b"", 4, 0, &mut |model, frames| {
            agrees(model, &drive(role, &Config::default(), listen, &role.as_received(frames), &[]), frames);
        });
    }
}

#[test]
#[ignore = "half a minute: the same with all that can follow the end, in both deliveries and byte by byte"]
fn all_sequences_of_four_frames_agree_with_the_model_in_every_way() {
    sequences(&Model::default(), b"", 4, 4, &mut agrees_in_every_way);
}

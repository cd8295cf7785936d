//! Ping and Pong (RFC 6455 §5.5, §5.5.2, §5.5.3): every Ping is answered, floods are bounded, and nothing is mixed up.
#![allow(clippy::similar_names, reason = "pings and pongs")]

mod support;

use bytes::BytesMut;
use sansock::{Chunk, Config, Connection, Event, SendError, State, Transport};
use support::*;

/// While `out` holds less, Pings are answered at once.
const BACKLOG: usize = 16 << 10;

fn each(mut dialogue: impl FnMut(&mut Session)) {
    for role in ROLES {
        for delivery in DELIVERIES {
            dialogue(&mut Session::new(role, &Config::default().delivery(delivery)));
        }
    }
}

/// Fills `out` to the backlog, with one message of the application.
fn stuff(session: &mut Session) -> Vec<u8> {
    let message = frame(0x82, &vec![b'x'; BACKLOG]);
    session.connection.send_binary(&vec![b'x'; BACKLOG], &mut session.out).unwrap();
    message
}

#[test]
fn r86_ping_is_answered_with_its_payload() {
    everywhere(b"\x89\0").goes(&[ping(b"")], b"\x8A\0");
    everywhere(b"\x89\x01!").goes(&[ping(b"!")], b"\x8A\x01!");
    everywhere(b"\x89\x04\0\xFF\xC0\x80").goes(&[ping(b"\0\xFF\xC0\x80")], b"\x8A\x04\0\xFF\xC0\x80");
    let longest: Vec<u8> = (100..225).collect();
    everywhere(&frame(0x89, &longest)).goes(&[ping(&longest)], &frame(0x8A, &longest));
    // Not after the peer's Close, but still after our own.
    everywhere(b"\x89\x01a\x88\0\x89\x01b").goes(&[ping(b"a"), Seen::Close(None)], b"\x8A\x01a\x88\0");
    each(|session| {
        session.connection.close(goodbye(1000, ""), &mut session.out).unwrap();
        session.hears(b"\x89\x01a").sees(&[ping(b"a")]).says(b"\x88\x02\x03\xE8\x8A\x01a");
        session.hears(b"\x88\x02\x03\xE8\x89\x01b").sees(&[closed(1000, "")]).says(b"");
    });
}

#[test]
fn ping_is_answered_before_its_event_is_returned() {
    each(|session| {
        session.app = |_, event, out| {
            if let Event::Ping(payload) = event {
                let role = if out[1] & 0x80 == 0 { Server } else { Client };
                assert_eq!(role.plain(out), frame(0x8A, payload));
            }
        };
        session.hears(b"\x89\x02hi").sees(&[ping(b"hi")]).says(b"\x8A\x02hi");
    });
}

#[test]
fn r87_each_ping_is_answered_while_out_is_short_then_only_the_latest() {
    // A burst in one read: all answered, in order.
    let (mut pings, mut pongs, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..100_u8 {
        pings.extend(frame(0x89, &[i]));
        pongs.extend(frame(0x8A, &[i]));
        events.push(ping(&[i]));
    }
    everywhere(&pings).goes(&events, &pongs);

    // Nothing is drained: answers end at the backlog, and only the latest is owed.
    each(|session| {
        let size = if session.role == Server { 127 } else { 131 };
        let mut answered = Vec::new();
        for i in 0..1000_u16 {
            let payload = [&i.to_be_bytes()[..], &[7; 123]].concat();
            if session.out.len() < BACKLOG {
                answered.extend(frame(0x8A, &payload));
            }
            session.hears(&frame(0x89, &payload));
            assert!(session.out.len() < BACKLOG + size);
        }
        assert_eq!(session.events.len(), 1000);
        session.says(&answered);
        // Drained: the next call of any kind writes the answer to the last Ping, once, before anything else.
        session.hears(b"\x89\x03new");
        let last = [&999_u16.to_be_bytes()[..], &[7; 123]].concat();
        session.says(&[frame(0x8A, &last), frame(0x8A, b"new")].concat());
        session.hears(b"").says(b"");
    });
}

#[test]
fn sixteen_kibibytes_in_out_are_one_too_many_for_an_answer() {
    each(|session| {
        let head = if session.role == Server { 4 } else { 8 };
        let message = vec![b'x'; BACKLOG - head - 1];
        session.connection.send_binary(&message, &mut session.out).unwrap();
        assert_eq!(session.out.len(), BACKLOG - 1);
        session.hears(b"\x89\x03one").says(&[frame(0x82, &message), frame(0x8A, b"one")].concat());

        let message = vec![b'x'; BACKLOG - head];
        session.connection.send_binary(&message, &mut session.out).unwrap();
        assert_eq!(session.out.len(), BACKLOG);
        session.hears(b"\x89\x03two").hears(b"").says(&frame(0x82, &message));
        session.hears(b"").says(b"\x8A\x03two");
    });
}

#[test]
fn owed_pong_goes_before_anything_else_that_is_written() {
    type Call = fn(&mut Connection, &mut BytesMut);
    let calls: [(Call, &[u8]); 9] = [
        (|c, out| c.send_text("hi", out).unwrap(), b"\x81\x02hi"),
        (|c, out| c.send_binary(b"hi", out).unwrap(), b"\x82\x02hi"),
        (|c, out| c.send_chunk(&Chunk::text("hi", false), out).unwrap(), b"\x01\x02hi"),
        (|c, out| c.ping(b"p", out).unwrap(), b"\x89\x01p"),
        (|c, out| c.pong(b"p", out).unwrap(), b"\x8A\x01p"),
        (|c, out| c.close(None, out).unwrap(), b"\x88\0"),
        (|c, out| c.fail(code(4000), "", out), b"\x88\x02\x0F\xA0"),
        (|c, out| assert_eq!(c.handle_timeout(link::at(1.0), out), Ok(())), b""),
        (|c, out| assert_eq!(c.receive(&mut &mut [][..], out), Ok(None)), b""),
    ];
    for (call, frames) in calls {
        each(|session| {
            let message = stuff(session);
            session.hears(b"\x89\x03one\x89\x03two").says(&message);
            call(&mut session.connection, &mut session.out);
            session.says(&[b"\x8A\x03two", frames].concat());
            session.hears(b"").says(b"");
        });
        // While there is no room, it waits, and nothing else does.
        each(|session| {
            let mut expected = stuff(session);
            session.hears(b"\x89\x03one\x89\x03two");
            call(&mut session.connection, &mut session.out);
            expected.extend(frames);
            session.says(&expected);
        });
    }
    // A message in the input does not overtake it either, small as it is.
    each(|session| {
        session.app = |connection, event, out| {
            if let Event::Text(text) = event {
                connection.send_text(text, out).unwrap();
            }
        };
        let message = stuff(session);
        session.hears(b"\x89\x03one").says(&message);
        let echo: &[u8] = match session.hears(b"\x81\x02hi").events.last() {
            Some(Seen::Text(_)) => b"\x8A\x03one\x81\x02hi",
            _ => b"\x8A\x03one",
        };
        session.says(echo);
    });
}

#[test]
fn close_of_the_peer_drops_an_owed_pong() {
    each(|session| {
        let message = stuff(session);
        session.hears(b"\x89\x03one").says(&message);
        // Room came with the Close: the Ping was before it.
        session.hears(b"\x88\0").says(b"\x8A\x03one\x88\0");
    });
    each(|session| {
        let message = stuff(session);
        session.hears(b"\x89\x03one\x88\0").says(&[&message[..], b"\x88\0"].concat());
        session.hears(b"").says(b"");
        assert_eq!(session.connection.handle_timeout(link::at(1.0), &mut session.out), Ok(()));
        session.says(b"");
    });
    // A failure does the same.
    each(|session| {
        stuff(session);
        session.hears(b"\x89\x03one\x83");
        session.out.clear();
        session.hears(b"").says(b"");
    });
    // Behind our own Close, though, it is still sent.
    each(|session| {
        let message = stuff(session);
        session.hears(b"\x89\x03one");
        session.connection.close(None, &mut session.out).unwrap();
        session.says(&[&message[..], b"\x88\0"].concat());
        session.hears(b"").says(b"\x8A\x03one").is(State::Closing, Transport::KeepOpen);
    });
}

#[test]
fn users_pong_does_not_replace_the_answer() {
    each(|session| {
        let mut expected = stuff(session);
        session.hears(b"\x89\x03one");
        session.connection.pong(b"mine", &mut session.out).unwrap();
        session.hears(b"\x89\x03two");
        session.connection.pong(b"mine too", &mut session.out).unwrap();
        expected.extend(b"\x8A\x04mine\x8A\x08mine too");
        session.says(&expected);
        session.hears(b"").says(b"\x8A\x03two");
    });
}

#[test]
fn r88_unsolicited_pong_means_nothing() {
    everywhere(b"\x8A\0").goes(&[pong(b"")], b"");
    everywhere(b"\x8A\x03abc\x8A\x03abc").goes(&[pong(b"abc"), pong(b"abc")], b"");
    everywhere(b"\x01\x01a\x8A\x01x\x80\x01b\x8A\0").goes(&[pong(b"x"), text("ab"), pong(b"")], b"");
    let longest = [0xFF; 125];
    everywhere(&frame(0x8A, &longest)).goes(&[pong(&longest)], b"");
    // Not even one that looks like the answer to a keepalive Ping that was never sent.
    everywhere(b"\x8A\x04\0\0\0\0\x8A\x04\0\0\0\x01").goes(&[pong(b"\0\0\0\0"), pong(b"\0\0\0\x01")], b"");
}

#[test]
fn r89_pongs_stand_between_whole_frames_of_the_output() {
    // The output is drained a byte at a time, wherever its frames end, while Pings and commands come.
    each(|session| {
        let (mut wire, mut random) = (Vec::new(), Random(89));
        for i in 0..400_u16 {
            session.hears(&frame(0x89, &i.to_be_bytes()));
            match i % 5 {
                0 => session.connection.send_text("between the Pings", &mut session.out).unwrap(),
                1 => session.connection.send_chunk(&Chunk::binary(&b"frag"[..], false), &mut session.out).unwrap(),
                2 => session.connection.send_chunk(&Chunk::binary(&b"ment"[..], true), &mut session.out).unwrap(),
                _ => {}
            }
            let drained = random.below(20).min(session.out.len());
            wire.extend(session.out.split_to(drained));
        }
        while !session.out.is_empty() {
            wire.extend(session.out.split_to(1));
            session.hears(b"");
        }
        let frames = strict::session(session.role == Client, &wire);
        let pongs: Vec<_> = frames.iter().filter(|frame| frame.opcode() == 10).map(|f| f.payload.clone()).collect();
        assert_eq!(pongs, (0..400_u16).map(|i| i.to_be_bytes().to_vec()).collect::<Vec<_>>());
    });
    // The same with an output that is too long most of the time: the latest Ping is answered in the end.
    each(|session| {
        let mut wire = Vec::new();
        for i in 0..2000_u16 {
            session.hears(&frame(0x89, &[&i.to_be_bytes()[..], &[0; 100]].concat()));
            let drained = 10.min(session.out.len());
            wire.extend(session.out.split_to(drained));
        }
        wire.extend(session.out.split());
        session.hears(b"");
        wire.extend(session.out.split());
        let frames = strict::session(session.role == Client, &wire);
        let numbers: Vec<_> = frames.iter().map(|f| u16::from_be_bytes([f.payload[0], f.payload[1]])).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "in order, each at most once");
        assert_eq!(numbers.last(), Some(&1999));
    });
}

#[test]
fn pings_are_left_to_the_application_when_auto_pong_is_off() {
    let quiet = Config::default().auto_pong(false);
    everywhere_under(&quiet, b"\x89\x01a\x01\0\x89\x01b\x80\0").goes(&[ping(b"a"), ping(b"b"), text("")], b"");
    for role in ROLES {
        let mut session = Session::new(role, &quiet);
        session.app = |connection, event, out| {
            if let Event::Ping(payload) = event {
                connection.pong(payload, out).unwrap();
            }
        };
        session.hears(b"\x89\x01a\x89\x01b").sees(&[ping(b"a"), ping(b"b")]).says(b"\x8A\x01a\x8A\x01b");
        stuff(&mut session);
        session.hears(b"\x89\x01c");
        session.out.clear();
        session.app = listen;
        session.hears(b"\x89\x01d").says(b"");
    }
}

/// §5.5.2: "unless it already received a Close frame". Our own Close is no reason.
#[test]
fn r79_and_r86_a_ping_is_answered_after_our_close_until_the_peers_close() {
    for auto_pong in [true, false] {
        for role in ROLES {
            let mut session = Session::new(role, &Config::default().auto_pong(auto_pong));
            session.connection.close(None, &mut session.out).unwrap();
            session.hears(b"\x89\x01a");
            if !auto_pong {
                session.connection.pong(b"a", &mut session.out).unwrap();
            }
            session.says(b"\x88\0\x8A\x01a").is(State::Closing, Transport::KeepOpen);
            assert_eq!(session.connection.ping(b"", &mut session.out), Err(SendError::Closed));
            session.hears(b"\x88\0");
            assert_eq!(session.connection.pong(b"a", &mut session.out), Err(SendError::Closed));
        }
    }
}

#[test]
fn control_frame_in_pieces_waits_for_its_last_byte() {
    each(|session| {
        let bytes = session.role.as_received(b"\x89\x05Hello");
        for byte in &bytes[..bytes.len() - 1] {
            session.feed(&[*byte]);
            session.sees(&[]).says(b"");
        }
        session.feed(&bytes[bytes.len() - 1..]);
        session.sees(&[ping(b"Hello")]).says(b"\x8A\x05Hello");
        // What was kept of it is not left to the next one.
        session.hears(b"\x89\x02hi\x8A\x02ho").sees(&[ping(b"hi"), pong(b"ho")]).says(b"\x8A\x02hi");
    });
}

//! The end of a connection (RFC 6455 §5.5.1, §7): who says what, what is reported, and what becomes of the transport.

mod support;

use bytes::BytesMut;
use sansock::{CloseCode, CloseInfo, CloseStatus, Config, Error, Initiator, SendError, State, Transport, Violation};
use support::*;

#[allow(clippy::unnecessary_wraps, reason = "the fields are options")]
fn status(code: u16, reason: &str) -> Option<CloseStatus> {
    Some(CloseStatus { code, reason: reason.into() })
}

fn info(sent: Option<CloseStatus>, received: Option<CloseStatus>, initiator: Initiator, clean: bool) -> CloseInfo {
    let mut info = CloseInfo::default();
    (info.sent, info.received, info.initiator, info.clean) = (sent, received, Some(initiator), clean);
    info
}

/// What becomes of the transport after both Closes: the server ends it first (§7.1.1).
fn after_both(role: Role) -> Transport {
    match role {
        Server => Transport::ShutdownWrite,
        Client => Transport::KeepOpen,
    }
}

/// Both roles, fresh and silent.
fn each(mut dialogue: impl FnMut(&mut Session)) {
    for role in ROLES {
        for delivery in DELIVERIES {
            dialogue(&mut Session::new(role, &Config::default().delivery(delivery)));
        }
    }
}

#[test]
fn r73_close_body_of_one_byte_fails() {
    everywhere(b"\x88\x01\x03").fails(&[], Violation::CloseBody, 1002);
    everywhere(b"\x88\x01\x03\x88\0").fails(&[], Violation::CloseBody, 1002);
    everywhere(b"\x88\0").goes(&[Seen::Close(None)], b"\x88\0");
    everywhere(b"\x88\x02\x03\xE8").goes(&[closed(1000, "")], b"\x88\x02\x03\xE8");
}

#[test]
fn r74_close_codes_are_those_that_may_be_on_the_wire() {
    for good in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        everywhere(&close_frame(good, "why")).goes(&[closed(good, "why")], &close_frame(good, ""));
    }
    for bad in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 0x7FFF, 0xFFFF] {
        everywhere(&close_frame(bad, "")).fails(&[], Violation::CloseCode, 1002);
        everywhere(&close_frame(bad, "why")).fails(&[], Violation::CloseCode, 1002);
    }
}

#[test]
fn r75_codes_that_only_report_cannot_be_sent() {
    for never in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 0xFFFF] {
        assert_eq!(CloseCode::new(never), None);
    }
    each(|session| {
        let role = session.role;
        // A Close without a code has no body: 1005 is what that is called, not what is said.
        session.connection.close(None, &mut session.out).unwrap();
        assert_eq!(session.info().sent, status(1005, ""));
        session.says(b"\x88\0");
        session.hears(b"\x88\0").sees(&[Seen::Close(None)]).says(b"").is(State::Closed, after_both(role));
    });
}

#[test]
fn r76_close_reason_that_is_no_text_fails() {
    for reason in [&b"\xFF\xFF"[..], b"ok\xC3", b"\xC0\x80", b"\xED\xA0\x80", b"\xF4\x90\x80\x80"] {
        let frames = frame(0x88, &[b"\x03\xE8", reason].concat());
        everywhere(&frames).fails(&[], Error::InvalidUtf8, 1007);
    }
    everywhere(&close_frame(1000, "é€😀")).goes(&[closed(1000, "é€😀")], b"\x88\x02\x03\xE8");
    // A code that is wrong as well is the worse fault.
    everywhere(b"\x88\x04\x03\xED\xFF\xFF").fails(&[], Violation::CloseCode, 1002);
}

#[test]
fn r77_close_reason_of_123_bytes_is_the_longest() {
    let (longest, longer) = ("x".repeat(123), "x".repeat(124));
    everywhere(&close_frame(1000, &longest)).goes(&[closed(1000, &longest)], b"\x88\x02\x03\xE8");
    each(|session| {
        let refused = session.connection.close(goodbye(1000, &longer), &mut session.out);
        assert_eq!(refused, Err(SendError::ReasonTooLong(124)));
        assert_eq!(session.connection.close_info(), None);
        session.says(b"").is(State::Open, Transport::KeepOpen);
        session.connection.close(goodbye(1000, &longest), &mut session.out).unwrap();
        session.says(&close_frame(1000, &longest));
    });
    // A failure has to be said in any case: its reason is cut, between characters.
    each(|session| {
        session.connection.fail(code(4000), &"é".repeat(100), &mut session.out);
        session.says(&close_frame(4000, &"é".repeat(61)));
    });
    // All 123 bytes are used, whatever the lengths of the characters.
    for (reason, said) in [
        ("x".repeat(124), "x".repeat(123)),
        ("€".repeat(42), "€".repeat(41)),
        (format!("{}é", "x".repeat(121)), format!("{}é", "x".repeat(121))),
        (format!("{}é", "x".repeat(122)), "x".repeat(122)),
        (format!("{}😀", "x".repeat(120)), "x".repeat(120)),
    ] {
        each(|session| {
            session.connection.fail(code(4000), &reason, &mut session.out);
            session.says(&close_frame(4000, &said));
        });
    }
}

#[test]
fn r78_close_is_answered_with_its_code() {
    everywhere(b"\x88\0").goes(&[Seen::Close(None)], b"\x88\0");
    everywhere(b"\x88\x05\x03\xE9bye").goes(&[closed(1001, "bye")], b"\x88\x02\x03\xE9");
    everywhere(b"\x88\x02\x0F\xA0").goes(&[closed(4000, "")], b"\x88\x02\x0F\xA0");
    each(|session| {
        let role = session.role;
        session.hears(b"\x88\x05\x03\xE9bye").is(State::Closed, after_both(role));
        assert_eq!(session.info(), &info(status(1001, ""), status(1001, "bye"), Initiator::Peer, true));
    });
}

#[test]
fn r80_nothing_is_read_after_a_close() {
    let frames = b"\x81\x02hi\x88\x02\x03\xE9\x81\x05Hello\x89\x01x\x88\x02\x03\xE8\xFF\xFF\xFF";
    let trace = everywhere(frames);
    trace.goes(&[text("hi"), closed(1001, "")], b"\x88\x02\x03\xE9");
    let info = trace.close_info.unwrap();
    assert_eq!((info.code(), info.reason(), info.clean), (1001, "", true));
}

#[test]
fn r81_reported_code_is_the_first_close_received_or_1005_or_1006() {
    each(|session| {
        session.hears(b"\x88\x06\x0F\xA1then").hears(b"\x88\x02\x03\xE8");
        assert_eq!((session.info().code(), session.info().reason()), (4001, "then"));
    });
    each(|session| {
        session.hears(b"\x88\0");
        assert_eq!((session.info().code(), session.info().reason()), (1005, ""));
        assert_eq!(session.info().received, status(1005, ""));
    });
    each(|session| {
        session.hears(b"\x81\x05He");
        assert_eq!(session.connection.close_info(), None);
        assert_eq!(session.connection.receive_eof(), Err(Error::ConnectionLost));
        let info = session.info();
        assert_eq!((info.code(), info.reason(), info.clean), (1006, "", false));
        assert_eq!((&info.sent, &info.received, info.initiator), (&None, &None, None));
        assert_eq!(info.cause, Some(Error::ConnectionLost));
    });
}

#[test]
fn r82_closes_that_cross_are_enough() {
    each(|session| {
        let role = session.role;
        session.connection.close(goodbye(1000, "done"), &mut session.out).unwrap();
        session.says(&close_frame(1000, "done")).is(State::Closing, Transport::KeepOpen);
        assert_eq!(session.info(), &info(status(1000, "done"), None, Initiator::Local, false));

        session.hears(b"\x88\x05\x03\xE9bye").sees(&[closed(1001, "bye")]).says(b"");
        session.is(State::Closed, after_both(role));
        assert_eq!(session.info(), &info(status(1000, "done"), status(1001, "bye"), Initiator::Local, true));
    });
}

#[test]
fn r83_server_ends_the_transport_first_and_the_client_waits() {
    // The peer closes: the server shuts down at once, the client waits for it to do so.
    for role in ROLES {
        let mut session = Session::new(role, &Config::default());
        session.hears(b"\x88\0").is(State::Closed, after_both(role));
        assert_eq!(session.connection.receive_eof(), Ok(()));
        session.is(State::Closed, Transport::Close);
    }
    // On a wire: whoever starts, the server's half is shut before the client's, and nobody is reset.
    for starter in ROLES {
        let config = Config::default();
        let mut link = link::Link::new(&config, &config);
        link.run_until(link::at(1.0));
        let end = if starter == Client { &mut link.client } else { &mut link.server };
        end.session.connection.close(goodbye(1000, ""), &mut end.session.out).unwrap();
        link.run_until(link::at(20.0));
        let (client, server) = (&link.client, &link.server);
        assert!(server.shut_at < client.shut_at, "{starter:?}: {:?} {:?}", server.shut_at, client.shut_at);
        for end in [client, server] {
            assert_eq!((end.eof.map(|(_, eof)| eof), end.reset), (Some(Ok(())), false));
            assert!(end.gone_at < Some(link::at(1.3)), "no deadline was needed");
            assert!(end.session.info().clean);
        }
    }
    // A server that never ends it: the client waits for its deadline, no longer.
    let mut client = Session::new(Client, &Config::default());
    client.hears(b"\x88\0").says(b"\x88\0");
    client.connection.handle_timeout(link::at(5.0), &mut client.out).unwrap();
    assert_eq!(client.connection.poll_timeout(), Some(link::at(15.0)));
    client.connection.handle_timeout(link::at(14.9), &mut client.out).unwrap();
    client.is(State::Closed, Transport::KeepOpen);
    assert_eq!(client.connection.handle_timeout(link::at(15.0), &mut client.out), Ok(()));
    client.is(State::Closed, Transport::Abort).says(b"");
    assert!(client.info().clean);
}

/// Everything that can fail a connection from the wire, and the code that tells the peer.
fn failures() -> Vec<(&'static [u8], Error, u16)> {
    vec![
        (b"\xC1\0", Violation::ReservedBit.into(), 1002),
        (b"\x83\0", Violation::ReservedOpcode.into(), 1002),
        (b"\x09\0", Violation::FragmentedControl.into(), 1002),
        (b"\x89\x7E\0\x7E", Violation::LongControl.into(), 1002),
        (b"\x82\x7E\0\x05", Violation::LengthEncoding.into(), 1002),
        (b"\x80\0", Violation::UnexpectedContinuation.into(), 1002),
        (b"\x01\0\x81\0", Violation::ExpectedContinuation.into(), 1002),
        (b"\x88\x01\0", Violation::CloseBody.into(), 1002),
        (b"\x88\x02\0\0", Violation::CloseCode.into(), 1002),
        (b"\x88\x03\x03\xE8\xFF", Error::InvalidUtf8, 1007),
        (b"\x81\x01\xFF", Error::InvalidUtf8, 1007),
        (b"\x01\x01\xFF", Error::InvalidUtf8, 1007),
        (b"\x82\x7F\0\0\0\0\0\x10\0\x01", Error::TooBig, 1009),
    ]
}

#[test]
fn r84_failure_sends_a_close_and_ends_all_reading() {
    for (frames, error, code) in failures() {
        let trace = everywhere(frames);
        trace.fails(&[], error, code);
        let info = trace.close_info.unwrap();
        assert_eq!((info.received, info.initiator, info.clean), (None, Some(Initiator::Local), false), "{error:?}");
        assert_eq!((info.cause, info.sent.unwrap().code), (Some(error), code));
        // Nothing that follows is looked at.
        let more = [frames, b"\x89\x01x\x81\x05Hello\x88\x02\x03\xE8"].concat();
        everywhere(&more).fails(&[], error, code);
        each(|session| {
            session.hears(frames).fails(error, code);
            assert_eq!(session.connection.send_text("more", &mut session.out), Err(SendError::Closed));
            assert_eq!(session.connection.ping(b"", &mut session.out), Err(SendError::Closed));
            assert_eq!(session.connection.close(None, &mut session.out), Err(SendError::Closed));
            session.connection.fail(CloseCode::NORMAL, "no", &mut session.out);
            session.hears(b"\x88\x02\x03\xE8").sees(&[]).says(b"");
            assert_eq!(session.info().cause, Some(error));
            assert_eq!(session.connection.receive_eof(), Err(error));
            session.is(State::Closed, Transport::Close);
        });
    }
}

#[test]
fn r85_after_a_failure_only_the_close_is_sent() {
    for (frames, error, code) in failures() {
        // What was written before stays in front of the Close; nothing comes behind it.
        each(|session| {
            session.connection.send_text("first", &mut session.out).unwrap();
            session.hears(b"\x89\x01x").hears(frames);
            assert_eq!(session.error, Some(error));
            let mut frames = strict::session(session.role == Client, &session.out);
            assert_eq!(frames.pop().unwrap().close_code(), Some(code));
            assert_eq!(frames.iter().flat_map(strict::Frame::plain).collect::<Vec<_>>(), b"\x81\x05first\x8A\x01x");
        });
        // After our own Close no second one, whatever happens.
        each(|session| {
            session.connection.close(goodbye(1000, ""), &mut session.out).unwrap();
            session.says(b"\x88\x02\x03\xE8").hears(frames).says(b"");
            assert_eq!(session.error, Some(error));
            let info = session.info();
            assert_eq!((&info.sent, info.cause, info.clean), (&status(1000, ""), Some(error), false));
            session.is(State::Closed, Transport::ShutdownWrite);
        });
        // A message that is being sent in fragments stays open for ever.
        each(|session| {
            session.connection.send_chunk(&sansock::Chunk::text("begun", false), &mut session.out).unwrap();
            session.hears(frames);
            let refused = session.connection.send_chunk(&sansock::Chunk::text("over", true), &mut session.out);
            assert_eq!(refused, Err(SendError::Closed));
            assert_eq!(strict::session(session.role == Client, &session.out).len(), 2);
        });
    }
}

#[test]
fn application_fails_the_connection() {
    each(|session| {
        session.hears(b"\x01\x02he").events.clear();
        session.connection.fail(CloseCode::POLICY_VIOLATION, "no such room", &mut session.out);
        session.says(&close_frame(1008, "no such room")).is(State::Closed, Transport::ShutdownWrite);
        let info = session.info();
        assert_eq!((info.cause, info.clean), (Some(Error::Failed(CloseCode::POLICY_VIOLATION)), false));
        assert_eq!((&info.sent, info.initiator), (&status(1008, "no such room"), Some(Initiator::Local)));
        session.hears(b"\x80\x03llo\x88\0").sees(&[]).says(b"");
        session.connection.fail(CloseCode::NORMAL, "again", &mut session.out);
        session.says(b"");
    });
    // After its own Close it has nothing more to say.
    each(|session| {
        session.connection.close(None, &mut session.out).unwrap();
        session.connection.fail(CloseCode::POLICY_VIOLATION, "", &mut session.out);
        session.says(b"\x88\0").is(State::Closed, Transport::ShutdownWrite);
    });
}

#[test]
fn r90_transport_that_ends_without_the_peers_close_is_lost() {
    // Frames of the peer, whether we close first, and whether the end is clean.
    let moments: [(&[u8], bool, Result<(), Error>); 14] = [
        (b"", false, Err(Error::ConnectionLost)),
        (b"\x81", false, Err(Error::ConnectionLost)),
        (b"\x81\x05He", false, Err(Error::ConnectionLost)),
        (b"\x81\x02hi", false, Err(Error::ConnectionLost)),
        (b"\x01\x02hi", false, Err(Error::ConnectionLost)),
        (b"\x88", false, Err(Error::ConnectionLost)),
        (b"\x88\x02\x03", false, Err(Error::ConnectionLost)),
        (b"\x88\0", false, Ok(())),
        (b"", true, Err(Error::ConnectionLost)),
        (b"\x81\x02hi\x89\0", true, Err(Error::ConnectionLost)),
        (b"\x88\x02\x03", true, Err(Error::ConnectionLost)),
        (b"\x88\x02\x03\xE8", true, Ok(())),
        (b"\x83", false, Err(Error::Protocol(Violation::ReservedOpcode))),
        (b"\x83", true, Err(Error::Protocol(Violation::ReservedOpcode))),
    ];
    for (frames, closing, end) in moments {
        each(|session| {
            if closing {
                session.connection.close(None, &mut session.out).unwrap();
            }
            session.hears(frames);
            let said = session.out.len();
            for _ in 0..3 {
                assert_eq!(session.connection.receive_eof(), end, "{:?}", Hex(frames));
                session.is(State::Closed, Transport::Close);
            }
            assert_eq!(session.info().clean, end.is_ok());
            assert_eq!(session.info().cause, end.err());
            assert_eq!(session.info().code() == 1006, end.is_err());
            // Nobody is there any more. But what the caller still writes has a deadline.
            session.connection.handle_timeout(link::at(1.0), &mut session.out).unwrap();
            assert_eq!(session.connection.poll_timeout(), Some(link::at(11.0)));
            session.connection.handle_timeout(link::at(11.0), &mut session.out).unwrap();
            session.is(State::Closed, Transport::Abort);
            session.feed(&session.role.as_received(b"\x89\x01x"));
            assert_eq!(session.out.len(), said);
            assert_eq!(session.connection.send_text("x", &mut session.out), Err(SendError::Closed));
        });
    }
}

#[test]
fn close_inside_a_fragmented_message_is_clean_and_says_so() {
    let trace = everywhere(b"\x01\x03Hel\x88\x02\x03\xE8");
    trace.goes(&[closed(1000, "")], b"\x88\x02\x03\xE8");
    let info = trace.close_info.unwrap();
    assert!(info.clean && info.incomplete_message);
    assert!(!everywhere(b"\x01\x03Hel\x80\0\x88\0").close_info.unwrap().incomplete_message);
    assert!(everywhere(b"\x01\0\x88\0").close_info.unwrap().incomplete_message);
}

#[test]
fn close_during_own_fragmented_message_goes_between_its_frames() {
    each(|session| {
        session.connection.send_chunk(&sansock::Chunk::text("Hel", false), &mut session.out).unwrap();
        session.connection.close(goodbye(1001, ""), &mut session.out).unwrap();
        let refused = session.connection.send_chunk(&sansock::Chunk::text("lo", true), &mut session.out);
        assert_eq!(refused, Err(SendError::Closed));
        session.says(b"\x01\x03Hel\x88\x02\x03\xE9");
    });
}

#[test]
fn messages_are_delivered_until_the_peers_close_answers_ours() {
    each(|session| {
        session.connection.close(goodbye(1000, ""), &mut session.out).unwrap();
        session.says(b"\x88\x02\x03\xE8");
        session.hears(b"\x82\x05Hello\x8A\x01x\x02\x01a\x80\x01b");
        assert_eq!(joined(&session.events), [binary(b"Hello"), pong(b"x"), binary(b"ab")]);
        session.is(State::Closing, Transport::KeepOpen);
        // A Ping is answered even now: the peer did not close yet (§5.5.2).
        session.hears(b"\x89\x01x").says(b"\x8A\x01x");
        session.events.clear();
        session.hears(b"\x88\x02\x03\xE8\x89\x01y").sees(&[closed(1000, "")]).says(b"");
    });
}

#[test]
fn close_that_comes_in_pieces_is_one_close() {
    each(|session| {
        let bytes = session.role.as_received(b"\x88\x05\x03\xE9bye");
        let (last, first) = bytes.split_last().unwrap();
        for byte in first {
            session.feed(&[*byte]);
            session.feed(&[]);
        }
        session.sees(&[]).says(b"").is(State::Open, Transport::KeepOpen);
        session.feed(&[*last]);
        session.sees(&[closed(1001, "bye")]).says(b"\x88\x02\x03\xE9");
    });
}

#[test]
fn what_is_read_after_the_end_is_at_most_a_mebibyte() {
    for (role, frames) in ROLES.into_iter().flat_map(|role| [(role, &b"\x88\0"[..]), (role, b"\x83")]) {
        let mut session = Session::new(role, &Config::default());
        session.hears(frames);
        session.connection.handle_timeout(link::at(1.0), &mut session.out).unwrap();
        let waiting = session.connection.transport();
        session.out.clear();
        session.events.clear();
        let kilobyte = [0x81; 1024];
        for _ in 0..1023 {
            session.feed(&kilobyte);
        }
        assert!(session.connection.poll_timeout().is_some());
        session.feed(&kilobyte[..1000]);
        session.is(State::Closed, waiting);
        session.feed(&kilobyte[..25]);
        session.is(State::Closed, Transport::Close).sees(&[]).says(b"");
        assert_eq!(session.connection.poll_timeout(), Some(link::at(11.0)));
    }
    // Behind a Close it is counted exactly, however it comes.
    for role in ROLES {
        let head = role.as_received(b"\x88\x02\x03\xE8");
        for (more, after) in [(1 << 20, after_both(role)), ((1 << 20) + 1, Transport::Close)] {
            let bytes = [&head[..], &vec![0; more]].concat();
            for cuts in [vec![], (0..=head.len()).collect(), vec![2], vec![3, 7], vec![bytes.len() - 1]] {
                let trace = drive(role, &Config::default(), listen, &bytes, &cuts);
                assert_eq!(trace.transport, after, "{more} cut at {cuts:?}");
            }
        }
    }
}

#[test]
fn nothing_is_sent_after_the_end() {
    for frames in [&b"\x88\0"[..], b"\x83"] {
        each(|session| {
            session.hears(frames);
            session.out = BytesMut::new();
            let (connection, out) = (&mut session.connection, &mut session.out);
            assert_eq!(connection.send_text("x", out), Err(SendError::Closed));
            assert_eq!(connection.send_binary(b"x", out), Err(SendError::Closed));
            assert_eq!(connection.send_chunk(&sansock::Chunk::binary(&b"x"[..], true), out), Err(SendError::Closed));
            assert_eq!(connection.send_header(sansock::Kind::Text, 1, true).err(), Some(SendError::Closed));
            let prepared = sansock::PreparedMessage::text("x");
            assert_eq!(connection.send_prepared(&prepared).err(), Some(SendError::Closed));
            assert_eq!(connection.ping(b"", out), Err(SendError::Closed));
            assert_eq!(connection.pong(b"", out), Err(SendError::Closed));
            assert_eq!(connection.close(None, out), Err(SendError::Closed));
            connection.fail(CloseCode::NORMAL, "", out);
            connection.handle_timeout(link::at(1.0), out).unwrap();
            assert!(out.is_empty());
        });
    }
}

//! One driver for the whole life of a socket: a handshake that becomes a connection.
#![cfg(feature = "handshake")]

mod support;

use bytes::{Buf, BytesMut};
use sansock::{
    Config, Driver, Event, Step, Timestamp, Transport, client,
    driver::{Machine, Session, SessionEvent},
    server,
};
use support::{SEED, masked};

const HEAD: &[u8] = b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

type Server = Driver<Session<server::Handshake>>;

fn server() -> Server {
    Driver::new(Session::new(server::Handshake::new(&Config::default())))
}

/// Goes on with these bytes to read until nothing can be done but to wait, or until the end: what was written.
fn drive<H: Machine>(
    driver: &mut Driver<Session<H>>,
    input: &mut Vec<u8>,
    mut handle: impl FnMut(SessionEvent<'_, H::Event<'_>>, &mut Session<H>, &mut BytesMut),
) -> (Vec<u8>, Step) {
    let mut written = Vec::new();
    driver.wake();
    for _ in 0..10_000 {
        match driver.step(|| Timestamp::ZERO) {
            Step::Deliver => {
                driver.deliver(|event, session, out| {
                    handle(event, session, out);
                    None::<()>
                });
            }
            Step::Read if input.is_empty() => driver.read_blocked(),
            Step::Read => {
                let room = driver.room();
                let count = room.len().min(input.len());
                room[..count].copy_from_slice(&input[..count]);
                input.drain(..count);
                driver.received(count);
            }
            Step::Write => {
                let bytes = driver.output().chunk().to_vec();
                driver.written(bytes.len());
                written.extend(bytes);
            }
            Step::Flush => driver.flushed(),
            Step::Shutdown => driver.shut_down(),
            Step::Yield => {}
            step => return (written, step),
        }
    }
    panic!("it never waits");
}

fn echo(event: &Event<'_>, session: &mut Session<server::Handshake>, out: &mut BytesMut) {
    if let (Event::Text(text), Some(connection)) = (event, session.connection_mut()) {
        connection.send_text(text, out).unwrap();
    }
}

/// R30, with one driver.
#[test]
fn r30_frames_in_the_same_read_as_the_request_are_received_by_its_connection() {
    let mut driver = server();
    let mut input = [HEAD, &masked(b"\x81\x05Hello")].concat();
    let (written, step) = drive(&mut driver, &mut input, |event, session, out| match event {
        SessionEvent::Handshake(request) => {
            *session = request.accept(&server::Response::new(), out).unwrap().into();
        }
        SessionEvent::Event(event) => echo(&event, session, out),
    });
    assert!(written.starts_with(b"HTTP/1.1 101 ") && written.ends_with(b"\r\n\r\n\x81\x05Hello"), "{written:?}");
    assert!(matches!(step, Step::Wait(Some(_))));
}

#[test]
fn a_request_that_is_answered_later_holds_back_its_client() {
    let mut driver = server();
    let flood = masked(&b"\x81\x05Hello".repeat(100_000));
    let mut input = [HEAD, &flood].concat();
    let mut request = None;
    let (written, _) = drive(&mut driver, &mut input, |event, _, _| match event {
        SessionEvent::Handshake(asked) => request = Some(asked),
        SessionEvent::Event(_) => panic!("it was not accepted"),
    });
    assert_eq!(written, b"");
    assert!(input.len() > flood.len() - (256 << 10), "what one read brought is held, and no more is read");

    let (session, out) = driver.parts();
    *session = request.unwrap().accept(&server::Response::new(), out.tail()).unwrap().into();
    let (written, _) = drive(&mut driver, &mut input, |event, session, out| match event {
        SessionEvent::Handshake(_) => panic!("there was one request"),
        SessionEvent::Event(event) => echo(&event, session, out),
    });
    assert_eq!(input, b"");
    assert!(written.ends_with(&b"\x81\x05Hello".repeat(100_000)));
}

#[test]
fn a_refusal_is_written_and_the_rest_is_discarded_until_the_client_ends() {
    let mut driver = server();
    let mut input = [HEAD, &[b'x'; 1000]].concat();
    let (written, step) = drive(&mut driver, &mut input, |event, _, out| match event {
        SessionEvent::Handshake(request) => request.reject(403, &[], b"no", out).unwrap(),
        SessionEvent::Event(_) => panic!("it was refused"),
    });
    assert!(written.starts_with(b"HTTP/1.1 403 ") && written.ends_with(b"no"));
    assert!(matches!(step, Step::Wait(Some(_))));
    assert_eq!((driver.machine().transport(), input.len()), (Transport::ShutdownWrite, 0));
    driver.note_received(0);
    let (written, step) = drive(&mut driver, &mut input, |_, _, _| panic!("it is over"));
    assert_eq!((written.len(), step), (0, Step::Done));
    assert!(driver.take_error().is_none());
}

#[test]
fn a_client_session_connects_to_a_server_session() {
    let config = Config::default();
    let mut out = sansock::Outbox::new();
    let request = client::Request::new("example.com", "/chat");
    let handshake = client::connect(&request, &config, SEED, out.tail()).unwrap();
    let mut client = Driver::from_parts(Session::new(handshake), Vec::new(), out);
    let mut server = server();

    let (mut wire, _) = drive(&mut client, &mut Vec::new(), |_, _, _| panic!("nothing came"));
    let (mut wire, _) = drive(&mut server, &mut wire, |event, session, out| {
        let SessionEvent::Handshake(request) = event else { panic!("a frame came first") };
        *session = request.accept(&server::Response::new(), out).unwrap().into();
    });
    let (mut wire, _) = drive(&mut client, &mut wire, |event, session, out| {
        let SessionEvent::Handshake((mut connection, response)) = event else { panic!("a frame came first") };
        assert_eq!(response.status(), 101);
        connection.send_text("hi", out).unwrap();
        *session = connection.into();
    });
    let mut messages = Vec::new();
    drive(&mut server, &mut wire, |event, _, _| {
        if let SessionEvent::Event(Event::Text(text)) = event {
            messages.push(text.into_owned());
        }
    });
    assert_eq!(messages, ["hi"]);
}

/// R52, and its error.
#[test]
fn r52_an_end_in_the_handshake_is_its_error() {
    let mut driver = server();
    drive(&mut driver, &mut HEAD[..50].to_vec(), |_, _, _| panic!("it is not whole"));
    driver.note_received(0);
    let (written, step) = drive(&mut driver, &mut Vec::new(), |_, _, _| panic!("it is not whole"));
    assert_eq!((written.len(), step), (0, Step::Done));
    let error = driver.take_error().unwrap();
    assert_eq!(error.to_string(), sansock::HandshakeError::ConnectionLost.to_string());
}

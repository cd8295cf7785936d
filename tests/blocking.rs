//! The blocking adapter over real sockets: what it does to them, and that no peer can hold it.
#![cfg(all(feature = "blocking", feature = "getrandom"))]

#[path = "support/adapters.rs"]
#[allow(dead_code, reason = "half of it is for the suite of all adapters")]
mod support;

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread::{self, JoinHandle},
    time::Duration,
};

use sansock::{
    Chunk, CloseCode, Config, Connection, Delivery, Error as Failure, Event, HandshakeError, HeadError, Initiator,
    Keepalive, Message, PreparedMessage, Refused, SendError, UpgradeError,
    adapter::blocking::{self, Error, NoDeadlines, Socket, WebSocket},
    client, server,
};
use support::{
    CLOSE, CLOSED, REQUEST, client_frame, impatient, millis, patient, raw_answer, raw_client, read_bytes, read_head,
    read_rest, watchdog,
};

type Outcome<T = ()> = Result<T, Error>;

/// A server for one connection.
fn serve<T: Send + 'static>(
    config: Config,
    program: impl FnOnce(Outcome<WebSocket<TcpStream>>) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        program(blocking::accept(stream, &config))
    });
    (address, server)
}

fn connect(address: SocketAddr) -> WebSocket<TcpStream> {
    blocking::connect(&format!("ws://{address}/"), &patient()).unwrap()
}

/// Echoes until the connection ends, and returns what is left of it.
fn echo<S: Socket>(accepted: Outcome<WebSocket<S>>) -> Outcome<WebSocket<S>> {
    let mut websocket = accepted?;
    while let Some(message) = websocket.read()? {
        websocket.send(message)?;
    }
    Ok(websocket)
}

/// The same by events, with the answers to one read in one write.
fn echo_events<S: Socket>(accepted: Outcome<WebSocket<S>>) -> Outcome<WebSocket<S>> {
    let mut websocket = accepted?;
    let refused = websocket.read_with(|event, connection, out| match event {
        Event::Text(text) => connection.send_text(&text, out).err(),
        Event::Binary(data) => connection.send_binary(&data, out).err(),
        _ => None,
    })?;
    assert_eq!(refused, None);
    Ok(websocket)
}

#[test]
fn text_bytes_and_a_mebibyte_come_back() {
    let _watchdog = watchdog();
    for echo in [echo::<TcpStream>, echo_events::<TcpStream>] {
        let (address, server) = serve(patient(), echo);
        let mut client = connect(address);
        for message in [
            Message::from("grüße"),
            Message::from(""),
            Message::from(vec![0, 255, 1]),
            Message::from(vec![7; 1 << 20]),
            Message::from("ä".repeat(1 << 19)),
        ] {
            client.send(message.clone()).unwrap();
            assert_eq!(client.read().unwrap(), Some(message));
        }
        client.close(CloseCode::NORMAL, "done").unwrap();
        let server = server.join().unwrap().unwrap();
        assert!(server.close_info().unwrap().clean && client.close_info().unwrap().clean);
        assert_eq!(server.close_info().unwrap().reason(), "done");
    }
}

#[test]
fn frames_in_the_segment_of_the_request_are_not_lost() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient(), echo);
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(&[REQUEST.as_bytes(), &client_frame(0x81, b"hi"), &client_frame(0x81, b"ho"), CLOSE].concat())
        .unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 101 "));
    assert_eq!(read_rest(&mut stream), [b"\x81\x02hi\x81\x02ho", CLOSED].concat());
    drop(stream);
    assert!(server.join().unwrap().is_ok());
}

#[test]
fn frames_in_the_segment_of_the_answer_are_not_lost() {
    let _watchdog = watchdog();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let answer = raw_answer(&read_head(&mut stream));
        stream.write_all(&[answer.as_bytes(), b"\x81\x02hi\x81\x02ho"].concat()).unwrap();
        stream
    });
    let mut client = connect(address);
    assert_eq!(client.read().unwrap(), Some("hi".into()));
    assert_eq!(client.read().unwrap(), Some("ho".into()));
    drop(server);
}

#[test]
fn a_server_ends_the_transport_first_when_the_client_closes() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient(), echo);
    let mut stream = raw_client(address);
    stream.write_all(CLOSE).unwrap();
    assert_eq!(read_rest(&mut stream), CLOSED, "and then EOF, though this side is still open");
    drop(stream);
    let websocket = server.join().unwrap().unwrap();
    let info = websocket.close_info().unwrap();
    assert_eq!((info.code(), info.initiator, info.clean), (1000, Some(Initiator::Peer), true));
}

#[test]
fn a_server_ends_the_transport_first_when_it_closes_itself() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient(), |accepted| {
        let mut websocket = accepted?;
        websocket.close(CloseCode::GOING_AWAY, "bye")?;
        // A second time does nothing.
        websocket.close(CloseCode::NORMAL, "")?;
        assert_eq!(websocket.read()?, None);
        assert!(matches!(websocket.send("late"), Err(Error::Send(SendError::Closed))));
        Ok::<_, Error>(websocket)
    });
    let mut stream = raw_client(address);
    assert_eq!(read_bytes(&mut stream), *b"\x88\x05\x03\xe9bye");
    // What was still under way is no reason to fail.
    stream.write_all(&[&client_frame(0x81, b"hi"), CLOSE].concat()).unwrap();
    assert_eq!(read_rest(&mut stream), b"");
    drop(stream);
    let websocket = server.join().unwrap().unwrap();
    assert_eq!(websocket.close_info().unwrap().initiator, Some(Initiator::Local));
}

#[test]
fn a_client_leaves_it_to_the_server_to_end_the_transport() {
    let _watchdog = watchdog();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let answer = raw_answer(&read_head(&mut stream));
        stream.write_all(answer.as_bytes()).unwrap();
        let [opcode, length, ..] = read_bytes::<8>(&mut stream);
        assert_eq!((opcode, length), (0x88, 0x82));
        stream.write_all(CLOSED).unwrap();
        stream.set_read_timeout(Some(millis(100))).unwrap();
        let early = stream.read(&mut [0]).unwrap_err();
        assert!(matches!(early.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{early}");
        stream.shutdown(Shutdown::Write).unwrap();
        stream.set_read_timeout(None).unwrap();
        assert_eq!(read_rest(&mut stream), b"", "now it follows");
    });
    let mut client = connect(address);
    client.close(CloseCode::NORMAL, "").unwrap();
    server.join().unwrap();
    assert!(client.close_info().unwrap().clean);
}

#[test]
fn no_reset_overtakes_the_close_that_tells_what_went_wrong() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient(), echo);
    let mut stream = raw_client(address);
    stream.write_all(&client_frame(0x83, b"")).unwrap();
    stream.write_all(&vec![0; 300_000]).unwrap();
    let rest = read_rest(&mut stream);
    assert_eq!(rest[2..4], [0x03, 0xea], "1002 in {rest:?}");
    drop(stream);
    assert!(matches!(server.join().unwrap(), Err(Error::Connection(Failure::Protocol(_)))));
}

#[test]
fn what_follows_the_peers_close_is_ignored() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient(), echo);
    let mut stream = raw_client(address);
    stream.write_all(&[CLOSE, &client_frame(0x81, b"hi"), &[0xff; 100]].concat()).unwrap();
    assert_eq!(read_rest(&mut stream), CLOSED);
    drop(stream);
    assert!(server.join().unwrap().is_ok());
}

#[test]
fn a_transport_that_ends_without_a_close_is_an_error_each_time() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient(), |accepted| {
        let mut websocket = accepted.unwrap();
        [websocket.read(), websocket.read()]
    });
    drop(raw_client(address));
    for result in server.join().unwrap() {
        assert!(matches!(result, Err(Error::Connection(Failure::ConnectionLost))), "{result:?}");
    }
}

#[test]
fn messages_that_came_before_the_end_are_delivered() {
    let _watchdog = watchdog();
    let (gone, wait) = std::sync::mpsc::channel::<()>();
    let (address, server) = serve(patient(), move |accepted| {
        let mut websocket = accepted.unwrap();
        let _ = wait.recv();
        // The Pongs find nobody any more, but everything was received.
        [websocket.read(), websocket.read()]
    });
    let mut stream = raw_client(address);
    stream.write_all(&client_frame(0x89, b"x").repeat(10_000)).unwrap();
    stream.write_all(&client_frame(0x81, b"hi")).unwrap();
    drop(stream);
    drop(gone);
    let [first, second] = server.join().unwrap();
    assert_eq!(first.unwrap(), Some("hi".into()));
    assert!(second.is_err());
}

#[test]
fn a_peer_that_never_reads_cannot_hold_a_sender() {
    let _watchdog = watchdog();
    let (address, server) = serve(impatient(), |accepted| accepted.unwrap().send(vec![0; 64 << 20]));
    let stream = raw_client(address);
    let result = server.join().unwrap();
    assert!(matches!(result, Err(Error::Connection(Failure::KeepaliveTimeout))), "{result:?}");
    drop(stream);
}

#[test]
fn a_peer_that_never_reads_cannot_hold_an_echo() {
    let _watchdog = watchdog();
    let message = client_frame(0x82, &vec![7; 0x7fff]);
    for echo in [echo::<TcpStream>, echo_events::<TcpStream>] {
        let (address, server) = serve(impatient(), echo);
        let mut stream = raw_client(address);
        // The server stops reading at last, and gives up.
        while stream.write_all(&message).is_ok() {}
        let result = server.join().unwrap();
        assert!(matches!(result, Err(Error::Connection(Failure::KeepaliveTimeout))), "{result:?}");
    }
}

#[test]
fn a_peer_that_never_answers_a_close_cannot_hold_it() {
    let _watchdog = watchdog();
    let (address, server) =
        serve(patient().close_timeout(millis(50)), |accepted| accepted.unwrap().close(CloseCode::NORMAL, ""));
    let stream = raw_client(address);
    let result = server.join().unwrap();
    assert!(matches!(result, Err(Error::Connection(Failure::CloseTimeout))), "{result:?}");
    drop(stream);
}

#[test]
fn a_failed_connection_does_not_wait_longer_for_a_peer_that_never_reads() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient().stall_timeout(millis(50)), |accepted| {
        accepted.unwrap().write_with(|connection, out| {
            connection.send_binary(&vec![0; 64 << 20], out)?;
            connection.fail(CloseCode::INTERNAL_ERROR, "", out);
            Ok(())
        })
    });
    let stream = raw_client(address);
    let result = server.join().unwrap();
    assert!(matches!(result, Err(Error::Connection(Failure::StallTimeout))), "{result:?}");
    drop(stream);
}

#[test]
fn a_client_that_stays_after_the_closing_handshake_cannot_hold_a_server() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient().close_timeout(millis(50)), echo);
    let mut stream = raw_client(address);
    stream.write_all(CLOSE).unwrap();
    assert!(server.join().unwrap().is_ok(), "it was a clean close");
    drop(stream);
}

#[test]
fn a_request_that_trickles_in_does_not_outlast_the_handshake_timeout() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient().handshake_timeout(millis(100)), |accepted| accepted.map(drop));
    let mut stream = TcpStream::connect(address).unwrap();
    for byte in REQUEST.bytes() {
        if stream.write_all(&[byte]).is_err() {
            break;
        }
        thread::sleep(millis(10));
    }
    let result = server.join().unwrap();
    assert!(matches!(result, Err(Error::Handshake(HandshakeError::Timeout))), "{result:?}");
}

#[test]
fn a_server_that_never_answers_cannot_hold_a_client() {
    let _watchdog = watchdog();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("ws://{}/", listener.local_addr().unwrap());
    let result = blocking::connect(&uri, &patient().handshake_timeout(millis(50)));
    assert!(matches!(result, Err(Error::Handshake(HandshakeError::Timeout))), "{result:?}");
}

#[test]
fn an_end_before_the_handshake_is_an_error_on_both_sides() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient(), |accepted| accepted.map(drop));
    drop(TcpStream::connect(address).unwrap());
    let result = server.join().unwrap();
    assert!(matches!(result, Err(Error::Handshake(HandshakeError::ConnectionLost))), "{result:?}");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || read_head(&mut listener.accept().unwrap().0));
    let result = blocking::connect(&uri, &patient());
    assert!(matches!(result, Err(Error::Handshake(HandshakeError::ConnectionLost))), "{result:?}");
    server.join().unwrap();
}

#[test]
fn what_is_no_request_is_answered_and_the_answer_arrives() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient(), |accepted| accepted.map(drop));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"\x16\x03\x01 this is not HTTP").unwrap();
    stream.write_all(&vec![0; 100_000]).unwrap();
    assert!(read_rest(&mut stream).starts_with(b"HTTP/1.1 400 "));
    drop(stream);
    assert!(matches!(server.join().unwrap(), Err(Error::Handshake(HandshakeError::Head(HeadError::Malformed(_))))));
}

#[test]
fn a_request_that_opens_no_websocket_is_refused_and_the_answer_arrives() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient(), |accepted| accepted.map(drop));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n").unwrap();
    stream.write_all(&vec![0; 100_000]).unwrap();
    assert!(read_rest(&mut stream).starts_with(b"HTTP/1.1 405 "));
    drop(stream);
    assert!(matches!(server.join().unwrap(), Err(Error::Refused(Refused::Request(UpgradeError::Method)))));
}

#[test]
fn the_hook_sees_the_request_and_chooses_its_answer() {
    let _watchdog = watchdog();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let [first, second] = [(); 2].map(|()| {
            let (stream, _) = listener.accept().unwrap();
            blocking::accept_with(stream, &patient(), |request, out| {
                if request.target() != "/chat" {
                    request.reject(404, &[("Content-Type", b"text/plain")], b"not here", out)?;
                    return Ok(None);
                }
                let subprotocol = request.preferred(&["superchat", "chat"]);
                request.accept(&server::Response::new().subprotocol(subprotocol), out).map(Some)
            })
        });
        assert!(first.unwrap().is_none());
        second.unwrap().unwrap().close(CloseCode::NORMAL, "")
    });

    match blocking::connect(&format!("ws://{address}/"), &patient()) {
        Err(Error::Handshake(HandshakeError::Rejected(response))) => {
            assert_eq!((response.status(), response.body()), (404, &b"not here"[..]));
        }
        other => panic!("{other:?}"),
    }

    let stream = TcpStream::connect(address).unwrap();
    let request = client::Request::new("localhost", "/chat").subprotocols(&["chat", "soap"]);
    let (mut websocket, response) = blocking::client(stream, &request, &patient()).unwrap();
    assert_eq!(response.subprotocol(), Some("chat"));
    assert_eq!(websocket.read().unwrap(), None);
    drop(websocket);
    server.join().unwrap().unwrap();
}

#[test]
fn what_is_no_ws_uri_is_refused_before_anything_is_connected() {
    let _watchdog = watchdog();
    assert!(matches!(blocking::connect("http://localhost/", &patient()), Err(Error::Uri(_))));
    assert!(matches!(blocking::connect("wss://localhost/", &patient()), Err(Error::Io(_))));
}

#[test]
fn a_silent_connection_is_kept_alive_while_both_sides_read() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient().keepalive(Keepalive::new(millis(20), Duration::from_secs(20))), echo);
    let mut client = connect(address);
    let mut pings = 0;
    let counted = client.read_with(|event, _, _| {
        pings += usize::from(matches!(event, Event::Ping(_)));
        (pings == 5).then_some(pings)
    });
    assert_eq!(counted.unwrap(), Some(5));
    client.close(CloseCode::NORMAL, "").unwrap();
    let websocket = server.join().unwrap().unwrap();
    assert!(websocket.connection().latency().is_some());
}

#[test]
fn a_program_that_was_busy_does_not_blame_its_peer() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient().keepalive(Keepalive::new(millis(300), millis(300))), |accepted| {
        let mut websocket = accepted?;
        for _ in 0..3 {
            websocket.read()?.unwrap();
            thread::sleep(millis(700));
            websocket.send("done")?;
        }
        echo(Ok(websocket))
    });
    let mut client = connect(address);
    for _ in 0..3 {
        client.send("work").unwrap();
        assert_eq!(client.read().unwrap(), Some("done".into()));
    }
    client.close(CloseCode::NORMAL, "").unwrap();
    server.join().unwrap().unwrap();
}

#[test]
fn the_pieces_of_a_message_are_joined_when_chunks_are_delivered() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient().delivery(Delivery::Chunks), |accepted| {
        let mut websocket = accepted.unwrap();
        [(); 3].map(|()| websocket.read().unwrap())
    });
    let mut client = connect(address);
    let sent = client.write_with(|connection, out| {
        connection.send_chunk(&Chunk::text("one, ", false), out)?;
        connection.send_chunk(&Chunk::text("two", true), out)?;
        connection.send_binary(&vec![7; 100_000], out)
    });
    sent.unwrap();
    client.close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(server.join().unwrap(), [Some("one, two".into()), Some(vec![7; 100_000].into()), None]);
}

#[test]
fn a_prepared_message_goes_to_many_and_keeps_its_place() {
    let _watchdog = watchdog();
    let long = "it rains ".repeat(10_000);
    let news = PreparedMessage::text(&long);
    for _ in 0..2 {
        let shared = news.clone();
        let (address, server) = serve(patient(), move |accepted| {
            let mut websocket = accepted?;
            websocket.send("before")?;
            websocket.send_prepared(&shared)?;
            websocket.send("after")?;
            websocket.close(CloseCode::NORMAL, "")
        });
        let mut client = connect(address);
        assert!(matches!(client.send_prepared(&news), Err(Error::Send(SendError::MustMask))));
        for expected in ["before", &long, "after"] {
            assert_eq!(client.read().unwrap(), Some(expected.into()));
        }
        assert_eq!(client.read().unwrap(), None);
        drop(client);
        server.join().unwrap().unwrap();
    }
}

#[test]
fn what_the_caller_may_not_send_changes_nothing() {
    let _watchdog = watchdog();
    let (address, server) = serve(patient(), echo);
    let mut client = connect(address);
    assert!(matches!(client.ping(&[0; 126]), Err(Error::Send(SendError::ControlTooLong(126)))));
    assert!(matches!(
        client.close(CloseCode::NORMAL, &"x".repeat(124)),
        Err(Error::Send(SendError::ReasonTooLong(124)))
    ));
    client.ping(b"still here").unwrap();
    let pong = client.read_with(|event, _, _| match event {
        Event::Pong(payload) => Some(payload.into_owned()),
        _ => None,
    });
    assert_eq!(pong.unwrap().unwrap(), b"still here");
    client.close(CloseCode::NORMAL, "").unwrap();
    server.join().unwrap().unwrap();
}

/// Pairs of sockets need no port, and are full after some 200 KB.
/// A peer that sent all it had to send, and takes nothing for a while.
struct Full<'a> {
    input: &'a [u8],
    stalls: u32,
    output: Vec<u8>,
}

impl Read for Full<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Write for Full<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stalls > 0 {
            self.stalls -= 1;
            thread::sleep(millis(1));
            return Err(ErrorKind::WouldBlock.into());
        }
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Full<'_> {
    fn set_read_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_slow_peer_that_has_half_closed_gets_its_answers() {
    let _watchdog = watchdog();
    let input = [&client_frame(0x81, b"hi"), CLOSE].concat();
    let serve = |stalls, config: &Config| {
        let connection = Connection::server(config);
        let mut websocket = WebSocket::new(Full { input: &input, stalls, output: Vec::new() }, connection, Vec::new());
        let end = websocket.read_with(|event, connection, out| match event {
            Event::Text(text) => connection.send_text(&text, out).err(),
            _ => None,
        });
        (end.map(|refused| assert_eq!(refused, None)), websocket.socket().output.clone())
    };
    for stalls in [0, 1, 2, 10, 30] {
        let (end, output) = serve(stalls, &patient());
        end.unwrap();
        assert_eq!(output, [b"\x81\x02hi", CLOSED].concat(), "{stalls}");
    }
    // But it is not waited for without end.
    let (end, output) = serve(u32::MAX, &patient().stall_timeout(millis(100)));
    assert!(matches!(end, Err(Error::Connection(Failure::StallTimeout))), "{end:?}");
    assert_eq!(output, b"");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A server at one end of a pair, and the client at the other.
    fn pair<S: Socket + Send + 'static, C: Socket>(
        server: impl FnOnce(UnixStream) -> S,
        client: impl FnOnce(UnixStream) -> C,
    ) -> (JoinHandle<Outcome<WebSocket<S>>>, WebSocket<C>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let socket = server(ours);
        let server = thread::spawn(move || echo_events(blocking::accept(socket, &patient())));
        let request = client::Request::new("localhost", "/");
        (server, blocking::client(client(theirs), &request, &patient()).unwrap().0)
    }

    fn exchange<C: Socket>(client: &mut WebSocket<C>) {
        for length in [0, 1, 125, 126, 1000, 100_000] {
            client.send("x".repeat(length)).unwrap();
            assert_eq!(client.read().unwrap(), Some("x".repeat(length).into()));
        }
    }

    #[test]
    fn a_unix_socket_does_all_that_a_tcp_socket_does() {
        let _watchdog = watchdog();
        let (server, mut client) = pair(|socket| socket, |socket| socket);
        exchange(&mut client);
        client.close(CloseCode::NORMAL, "").unwrap();
        assert!(server.join().unwrap().unwrap().close_info().unwrap().clean);
    }

    #[test]
    fn a_socket_without_deadlines_and_half_close_serves_too() {
        let _watchdog = watchdog();
        let (server, mut client) = pair(NoDeadlines, NoDeadlines);
        exchange(&mut client);
        let client = thread::scope(|scope| {
            let closing = scope.spawn(|| client.close(CloseCode::NORMAL, ""));
            drop(server.join().unwrap().unwrap());
            closing.join().unwrap()
        });
        client.unwrap();
    }

    /// Gives and takes one byte at a time, and every other read, write and flush is interrupted.
    struct Reluctant {
        socket: UnixStream,
        interrupted: [bool; 3],
    }

    impl Reluctant {
        fn new(socket: UnixStream) -> Self {
            Self { socket, interrupted: [false; 3] }
        }

        fn socket(&mut self, call: usize) -> io::Result<&mut UnixStream> {
            self.interrupted[call] = !self.interrupted[call];
            if self.interrupted[call] { Err(ErrorKind::Interrupted.into()) } else { Ok(&mut self.socket) }
        }
    }

    impl Read for Reluctant {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.socket(0)?.read(&mut buffer[..1])
        }
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.socket(1)?.write(&bytes[..1])
        }

        fn flush(&mut self) -> io::Result<()> {
            self.socket(2)?.flush()
        }
    }

    impl Socket for Reluctant {
        fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
            assert_ne!(timeout, Some(Duration::ZERO));
            self.socket.set_read_timeout(timeout)
        }

        fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
            assert_ne!(timeout, Some(Duration::ZERO));
            self.socket.set_write_timeout(timeout)
        }

        fn shutdown_write(&mut self) -> io::Result<()> {
            self.socket.shutdown(Shutdown::Write)
        }
    }

    #[test]
    fn a_socket_may_take_and_give_a_byte_at_a_time_and_be_interrupted() {
        let _watchdog = watchdog();
        let (server, mut client) = pair(Reluctant::new, |socket| socket);
        exchange(&mut client);
        client.close(CloseCode::NORMAL, "").unwrap();
        server.join().unwrap().unwrap();
    }

    #[test]
    fn reading_goes_on_while_the_peer_does_not_take_its_pongs() {
        let _watchdog = watchdog();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let server = thread::spawn(move || echo(blocking::accept(ours, &patient())));
        theirs.write_all(REQUEST.as_bytes()).unwrap();
        read_head(&mut theirs);
        // A peer that writes all it has before it reads: to write every Pong before reading on would be a deadlock.
        let ping = client_frame(0x89, &[7; 125]);
        theirs.write_all(&ping.repeat(8000)).unwrap();
        theirs.write_all(&[&client_frame(0x81, b"hi"), CLOSE].concat()).unwrap();
        assert!(read_rest(&mut theirs).ends_with(&[b"\x81\x02hi", CLOSED].concat()));
        drop(theirs);
        server.join().unwrap().unwrap();
    }

    #[test]
    fn a_slow_reader_is_alive() {
        let _watchdog = watchdog();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        // It takes longer than both together. Each pause is 20 times shorter than either.
        let config = patient().keepalive(Keepalive::new(millis(200), millis(200)));
        let server = thread::spawn(move || blocking::accept(ours, &config)?.send(vec![7; 4 << 20]));
        theirs.write_all(REQUEST.as_bytes()).unwrap();
        read_head(&mut theirs);
        let (mut buffer, mut taken) = (vec![0; 64 << 10], 0);
        while taken < 4 << 20 {
            taken += theirs.read(&mut buffer).unwrap();
            thread::sleep(millis(10));
        }
        server.join().unwrap().unwrap();
    }
}

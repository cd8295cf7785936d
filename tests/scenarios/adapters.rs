//! What all adapters do, written once and run with each of them.

use std::{
    io::Write,
    net::{Shutdown, TcpListener, TcpStream},
    time::Duration,
};

use sansock::{
    CloseCode, Config, Error as Failure, Event, HandshakeError, HeadError, Initiator, Message, Refused, SendError,
    UpgradeError, adapter::Error, client, server,
};

use crate::support::*;

suite! {
    messages_of_any_length_come_back
    a_message_of_eight_mebibytes_comes_back
    a_fragmented_message_with_pings_between_is_one_message
    pongs_come_back_in_order
    a_client_closes
    a_server_closes
    messages_that_crossed_a_close_arrive
    a_peer_that_half_closes_gets_all_its_answers
    an_abrupt_end_is_an_error
    what_the_peer_did_wrong_is_told_to_it
    a_reset_behind_a_failure_does_not_hide_it
    a_peer_that_never_reads_costs_bounded_memory_and_is_given_up
    a_sender_gives_up_on_a_peer_that_takes_nothing
    a_slow_reader_is_alive
    bytes_that_come_one_by_one_are_a_message
    a_request_that_trickles_in_is_given_up
    a_server_that_never_answers_is_given_up
    a_peer_that_never_answers_a_close_is_given_up
    a_silent_peer_is_pinged_and_kept
    a_program_that_was_busy_does_not_blame_its_peer
    the_first_frames_may_be_glued_to_the_handshake
    a_server_speaks_first_behind_its_answer
    the_hook_accepts_with_a_subprotocol_or_rejects_with_a_page
    a_request_for_no_websocket_is_answered
    what_is_no_request_is_answered
    an_end_in_the_handshake_is_an_error
    what_may_not_be_sent_changes_nothing
    a_thousand_connections_at_once
}

/// Runs a client's program, and hands out its result when both are done.
fn between<A: Adapter, T: Send + 'static, U: Send + 'static>(
    (config, server): (Config, impl AsyncFnOnce(Result<A::WebSocket, Error>) -> T + Send + 'static),
    client: impl AsyncFnOnce(A::WebSocket) -> U + Send + 'static,
) -> (T, U) {
    let (address, server) = serve::<A, T>(config.clone(), server);
    let client = A::run(async move || client(connect::<A>(address, &config).await).await);
    (server.join().unwrap(), client.join().unwrap())
}

fn messages_of_any_length_come_back<A: Adapter>() {
    let (server, client) = between::<A, _, _>((patient(), echo), async |mut client| {
        for length in [0, 1, 125, 126, 127, 4096, 0xffff, 0x10000, 300_000, 1 << 20] {
            for message in [Message::from("x".repeat(length)), vec![7; length].into()] {
                client.send(message.clone()).await.unwrap();
                assert!(client.recv().await.unwrap() == Some(message), "{length}");
            }
        }
        client.close(CloseCode::NORMAL, "").await
    });
    assert!(server.unwrap().clean);
    client.unwrap();
}

fn a_message_of_eight_mebibytes_comes_back<A: Adapter>() {
    let config = patient().max_message_len(8 << 20);
    let (server, client) = between::<A, _, _>((config, echo), async |mut client| {
        let message: Vec<u8> = (0..8_u32 << 20).map(|index| (index ^ index >> 8) as u8).collect();
        client.send(message.clone().into()).await.unwrap();
        assert!(client.recv().await.unwrap() == Some(message.into()));
        client.close(CloseCode::NORMAL, "").await
    });
    assert!(server.unwrap().clean);
    client.unwrap();
}

fn a_fragmented_message_with_pings_between_is_one_message<A: Adapter>() {
    let (address, server) = serve::<A, _>(patient(), echo);
    let mut stream = raw_client(address);
    for frame in [
        client_frame(0x01, b"one, "),
        client_frame(0x89, b"?"),
        client_frame(0x00, b""),
        client_frame(0x00, b"two"),
        client_frame(0x80, b"!"),
    ] {
        stream.write_all(&frame).unwrap();
    }
    stream.write_all(CLOSE).unwrap();
    assert_eq!(read_rest(&mut stream), [b"\x8a\x01?\x81\x09one, two!", CLOSED].concat());
    drop(stream);
    server.join().unwrap().unwrap();
}

fn pongs_come_back_in_order<A: Adapter>() {
    let (server, client) = between::<A, _, _>((patient(), echo), async |mut client| {
        client.ping(b"one").await.unwrap();
        client.ping(b"two").await.unwrap();
        for expected in [b"one", b"two"] {
            let pong = client.recv_with(|event, _, _| match event {
                Event::Pong(payload) => Some(payload.into_owned()),
                _ => None,
            });
            assert_eq!(pong.await.unwrap().unwrap(), expected);
        }
        client.close(CloseCode::NORMAL, "").await
    });
    server.unwrap();
    client.unwrap();
}

fn a_client_closes<A: Adapter>() {
    let (server, client) = between::<A, _, _>((patient(), echo), async |mut client| {
        client.close(CloseCode::GOING_AWAY, "bye").await.unwrap();
        // Once more does nothing.
        client.close(CloseCode::NORMAL, "").await.unwrap();
        assert_eq!(client.recv().await.unwrap(), None);
        client.close_info().cloned().unwrap()
    });
    let server = server.unwrap();
    assert_eq!((server.code(), server.reason(), server.initiator), (1001, "bye", Some(Initiator::Peer)));
    assert_eq!((client.code(), client.clean, client.initiator), (1001, true, Some(Initiator::Local)));
}

fn a_server_closes<A: Adapter>() {
    let close = async |accepted: Result<A::WebSocket, Error>| accepted?.close(CloseCode::NORMAL, "bye").await;
    let (server, client) = between::<A, _, _>((patient(), close), async |mut client| {
        assert_eq!(client.recv().await.unwrap(), None);
        client.close_info().cloned().unwrap()
    });
    server.unwrap();
    assert_eq!((client.code(), client.reason(), client.initiator), (1000, "bye", Some(Initiator::Peer)));
}

fn messages_that_crossed_a_close_arrive<A: Adapter>() {
    let (address, server) = serve::<A, _>(patient(), async |accepted| {
        let mut websocket: A::WebSocket = accepted.unwrap();
        let sent = websocket.recv_with(|event, connection, out| match event {
            Event::Text(_) => Some(connection.close(None, out)),
            _ => None,
        });
        sent.await.unwrap().unwrap().unwrap();
        (websocket.recv().await, websocket.recv().await, websocket.recv().await)
    });
    let mut stream = raw_client(address);
    stream.write_all(&client_frame(0x81, b"close")).unwrap();
    assert_eq!(read_bytes(&mut stream), *b"\x88\x00");
    stream.write_all(&[client_frame(0x81, b"one"), client_frame(0x81, b"two"), CLOSE.to_vec()].concat()).unwrap();
    assert_eq!(read_rest(&mut stream), b"");
    drop(stream);
    let (one, two, end) = server.join().unwrap();
    assert_eq!((one.unwrap(), two.unwrap(), end.unwrap()), (Some("one".into()), Some("two".into()), None));
}

fn a_peer_that_half_closes_gets_all_its_answers<A: Adapter>() {
    let (address, server) = serve::<A, _>(patient(), echo);
    let mut stream = raw_client(address);
    let messages = client_frame(0x82, &[7; 1000]).repeat(2000);
    let mut writer = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        writer.write_all(&messages).unwrap();
        writer.write_all(CLOSE).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let answers = read_rest(&mut stream);
    assert_eq!(answers.len(), 2000 * 1004 + CLOSED.len());
    assert!(answers.ends_with(CLOSED));
    writer.join().unwrap();
    assert!(server.join().unwrap().unwrap().clean);
}

fn an_abrupt_end_is_an_error<A: Adapter>() {
    for cut in [vec![], client_frame(0x01, b"half"), vec![0x81]] {
        let (address, server) = serve::<A, _>(patient(), echo);
        let mut stream = raw_client(address);
        stream.write_all(&cut).unwrap();
        drop(stream);
        let result = server.join().unwrap();
        assert!(matches!(result, Err(Error::Connection(Failure::ConnectionLost) | Error::Io(_))), "{result:?}");
    }
}

fn what_the_peer_did_wrong_is_told_to_it<A: Adapter>() {
    let (address, server) = serve::<A, _>(patient(), echo);
    let mut stream = raw_client(address);
    stream.write_all(&client_frame(0x81, b"fine")).unwrap();
    stream.write_all(b"\x81\x00").unwrap();
    stream.write_all(&vec![0; 100_000]).unwrap();
    let answers = read_rest(&mut stream);
    assert!(answers.starts_with(b"\x81\x04fine\x88"), "{answers:?}");
    assert_eq!(&answers[8..10], b"\x03\xea");
    drop(stream);
    assert!(matches!(server.join().unwrap(), Err(Error::Connection(Failure::Protocol(_)))));
}

fn a_reset_behind_a_failure_does_not_hide_it<A: Adapter>() {
    let (address, server) = serve::<A, _>(patient(), echo);
    let mut stream = raw_client(address);
    stream.write_all(b"\x81\x00").unwrap();
    // The Close has come, and who closes the socket without reading it resets the connection.
    stream.peek(&mut [0; 4]).unwrap();
    drop(stream);
    let result = server.join().unwrap();
    assert!(matches!(result, Err(Error::Connection(Failure::Protocol(_)))), "{result:?}");
}

fn a_peer_that_never_reads_costs_bounded_memory_and_is_given_up<A: Adapter>() {
    let (address, server) = serve::<A, _>(impatient(), echo_events);
    let mut stream = raw_client(address);
    let messages = client_frame(0x82, &[7; 100]).repeat(1000);
    // The server stops reading at last, and gives up.
    while stream.write_all(&messages).is_ok() {}
    let result = server.join().unwrap();
    assert!(matches!(result, Err(Error::Connection(Failure::KeepaliveTimeout))), "{result:?}");
}

fn a_sender_gives_up_on_a_peer_that_takes_nothing<A: Adapter>() {
    let (address, server) = serve::<A, _>(impatient(), async |accepted: Result<A::WebSocket, Error>| {
        accepted?.send(vec![7; 64 << 20].into()).await
    });
    let stream = raw_client(address);
    let result = server.join().unwrap();
    assert!(matches!(result, Err(Error::Connection(Failure::KeepaliveTimeout))), "{result:?}");
    drop(stream);
}

fn a_slow_reader_is_alive<A: Adapter>() {
    // It takes longer than both times of the keepalive, and answers no Ping. Each pause is 40 times shorter than
    // either.
    let config = patient().keepalive(sansock::Keepalive::new(millis(1500), millis(1500)));
    let (address, server) = serve::<A, _>(config, async |accepted: Result<A::WebSocket, Error>| {
        accepted?.send(vec![7; 12 << 20].into()).await
    });
    let mut stream = raw_client(address);
    let mut taken = 0;
    while taken < 12 << 20 {
        taken += read_bytes::<{ 128 << 10 }>(&mut stream).len();
        std::thread::sleep(millis(35));
    }
    server.join().unwrap().unwrap();
}

fn bytes_that_come_one_by_one_are_a_message<A: Adapter>() {
    let (address, server) = serve::<A, _>(patient(), echo);
    let mut stream = raw_client(address);
    stream.set_nodelay(true).unwrap();
    for byte in [client_frame(0x81, "späte Nachricht".as_bytes()), CLOSE.to_vec()].concat() {
        stream.write_all(&[byte]).unwrap();
        std::thread::sleep(millis(2));
    }
    assert_eq!(read_rest(&mut stream), [b"\x81\x10", "späte Nachricht".as_bytes(), CLOSED].concat());
    drop(stream);
    server.join().unwrap().unwrap();
}

fn a_request_that_trickles_in_is_given_up<A: Adapter>() {
    let (address, server) =
        serve::<A, _>(patient().handshake_timeout(millis(100)), async |accepted: Result<A::WebSocket, _>| {
            accepted.map(drop)
        });
    let mut stream = TcpStream::connect(address).unwrap();
    for byte in REQUEST.bytes() {
        if stream.write_all(&[byte]).is_err() {
            break;
        }
        std::thread::sleep(millis(10));
    }
    let result = server.join().unwrap();
    assert!(matches!(result, Err(Error::Handshake(HandshakeError::Timeout))), "{result:?}");
}

fn a_server_that_never_answers_is_given_up<A: Adapter>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = A::run(async move || {
        let stream = TcpStream::connect(address).unwrap();
        let request = client::Request::new("localhost", "/");
        A::client(stream, &request, &patient().handshake_timeout(millis(50))).await.map(drop)
    });
    let result = client.join().unwrap();
    assert!(matches!(result, Err(Error::Handshake(HandshakeError::Timeout))), "{result:?}");
    drop(listener);
}

fn a_peer_that_never_answers_a_close_is_given_up<A: Adapter>() {
    let config = patient().close_timeout(millis(50));
    let (address, server) = serve::<A, _>(config, async |accepted: Result<A::WebSocket, Error>| {
        accepted?.close(CloseCode::NORMAL, "").await
    });
    let stream = raw_client(address);
    let result = server.join().unwrap();
    assert!(matches!(result, Err(Error::Connection(Failure::CloseTimeout))), "{result:?}");
    drop(stream);
}

fn a_silent_peer_is_pinged_and_kept<A: Adapter>() {
    let config = patient().keepalive(sansock::Keepalive::new(millis(20), Duration::from_secs(30)));
    let (server, client) = between::<A, _, _>((config, echo), async |mut client| {
        let mut pings = 0;
        let counted = client.recv_with(|event, _, _| {
            pings += usize::from(matches!(event, Event::Ping(_)));
            (pings == 5).then_some(pings)
        });
        assert_eq!(counted.await.unwrap(), Some(5));
        client.close(CloseCode::NORMAL, "").await
    });
    assert!(server.unwrap().clean);
    client.unwrap();
}

fn a_program_that_was_busy_does_not_blame_its_peer<A: Adapter>() {
    let keepalive = sansock::Keepalive::new(millis(300), millis(300));
    let work = async |accepted: Result<A::WebSocket, Error>| {
        let mut websocket = accepted?;
        for _ in 0..3 {
            websocket.recv().await?.unwrap();
            A::sleep(millis(700)).await;
            websocket.send("done".into()).await?;
        }
        echo(Ok(websocket)).await
    };
    let (address, server) = serve::<A, _>(patient().keepalive(keepalive), work);
    let client = A::run(async move || {
        let mut client = connect::<A>(address, &patient()).await;
        for _ in 0..3 {
            client.send("work".into()).await.unwrap();
            assert_eq!(client.recv().await.unwrap(), Some("done".into()));
        }
        client.close(CloseCode::NORMAL, "").await
    });
    client.join().unwrap().unwrap();
    server.join().unwrap().unwrap();
}

fn the_first_frames_may_be_glued_to_the_handshake<A: Adapter>() {
    let (address, server) = serve::<A, _>(patient(), echo);
    let mut stream = TcpStream::connect(address).unwrap();
    let frames = [client_frame(0x81, b"one"), client_frame(0x82, &[7; 200]), CLOSE.to_vec()].concat();
    stream.write_all(&[REQUEST.as_bytes(), &frames].concat()).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 101 "));
    assert_eq!(read_rest(&mut stream), [b"\x81\x03one\x82\x7e\x00\xc8", &[7; 200][..], CLOSED].concat());
    drop(stream);
    server.join().unwrap().unwrap();
}

fn a_server_speaks_first_behind_its_answer<A: Adapter>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = A::run(async move || {
        let mut client = connect::<A>(address, &patient()).await;
        (client.recv().await, client.recv().await)
    });
    let mut stream = listener.accept().unwrap().0;
    let answer = raw_answer(&read_head(&mut stream));
    stream.write_all(&[answer.as_bytes(), b"\x81\x05hello", CLOSED].concat()).unwrap();
    assert_eq!(read_bytes::<8>(&mut stream)[..2], *b"\x88\x82");
    drop(stream);
    let (hello, end) = client.join().unwrap();
    assert_eq!((hello.unwrap(), end.unwrap()), (Some("hello".into()), None));
}

fn the_hook_accepts_with_a_subprotocol_or_rejects_with_a_page<A: Adapter>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = A::run(async move || {
        let mut accepted = Vec::new();
        for _ in 0..2 {
            let (stream, _) = listener.accept().unwrap();
            let answer = |request: &server::Request, out: &mut bytes::BytesMut| {
                if request.target() != "/chat" {
                    request.reject(404, &[("Content-Type", b"text/plain")], b"not here", out)?;
                    return Ok(None);
                }
                let subprotocol = request.preferred(&["superchat", "chat"]);
                request.accept(&server::Response::new().subprotocol(subprotocol), out).map(Some)
            };
            accepted.push(A::accept_with(stream, &patient(), answer).await.unwrap());
        }
        assert!(accepted[0].is_none());
        accepted[1].as_mut().unwrap().close(CloseCode::NORMAL, "").await
    });
    let client = A::run(async move || {
        let request = client::Request::new("localhost", "/");
        match A::client(TcpStream::connect(address).unwrap(), &request, &patient()).await.map(drop) {
            Err(Error::Handshake(HandshakeError::Rejected(response))) => {
                assert_eq!((response.status(), response.body()), (404, &b"not here"[..]));
            }
            other => panic!("{other:?}"),
        }
        let request = client::Request::new("localhost", "/chat").subprotocols(&["chat", "soap"]);
        let stream = TcpStream::connect(address).unwrap();
        let (mut websocket, response) = A::client(stream, &request, &patient()).await.unwrap();
        assert_eq!(response.subprotocol(), Some("chat"));
        websocket.recv().await
    });
    assert_eq!(client.join().unwrap().unwrap(), None);
    server.join().unwrap().unwrap();
}

fn a_request_for_no_websocket_is_answered<A: Adapter>() {
    let (address, server) = serve::<A, _>(patient(), async |accepted: Result<A::WebSocket, _>| accepted.map(drop));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n").unwrap();
    stream.write_all(&vec![0; 100_000]).unwrap();
    assert!(read_rest(&mut stream).starts_with(b"HTTP/1.1 405 "));
    drop(stream);
    let result = server.join().unwrap();
    assert!(matches!(result, Err(Error::Refused(Refused::Request(UpgradeError::Method)))), "{result:?}");
}

fn what_is_no_request_is_answered<A: Adapter>() {
    let (address, server) = serve::<A, _>(patient(), async |accepted: Result<A::WebSocket, _>| accepted.map(drop));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"\x16\x03\x01 this is not HTTP").unwrap();
    stream.write_all(&vec![0; 100_000]).unwrap();
    assert!(read_rest(&mut stream).starts_with(b"HTTP/1.1 400 "));
    drop(stream);
    let result = server.join().unwrap();
    assert!(matches!(result, Err(Error::Handshake(HandshakeError::Head(HeadError::Malformed(_))))), "{result:?}");
}

fn an_end_in_the_handshake_is_an_error<A: Adapter>() {
    let (address, server) = serve::<A, _>(patient(), async |accepted: Result<A::WebSocket, _>| accepted.map(drop));
    drop(TcpStream::connect(address).unwrap());
    let result = server.join().unwrap();
    assert!(matches!(result, Err(Error::Handshake(HandshakeError::ConnectionLost))), "{result:?}");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = A::run(async move || {
        let request = client::Request::new("localhost", "/");
        A::client(TcpStream::connect(address).unwrap(), &request, &patient()).await.map(drop)
    });
    read_head(&mut listener.accept().unwrap().0);
    let result = client.join().unwrap();
    assert!(matches!(result, Err(Error::Handshake(HandshakeError::ConnectionLost))), "{result:?}");
}

fn what_may_not_be_sent_changes_nothing<A: Adapter>() {
    let (server, ()) = between::<A, _, _>((patient(), echo), async |mut client| {
        assert!(matches!(client.ping(&[0; 126]).await, Err(Error::Send(SendError::ControlTooLong(126)))));
        let long = "x".repeat(124);
        assert!(matches!(
            client.close(CloseCode::NORMAL, &long).await,
            Err(Error::Send(SendError::ReasonTooLong(124)))
        ));
        client.send("still here".into()).await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some("still here".into()));
        client.close(CloseCode::NORMAL, "").await.unwrap();
        assert!(matches!(client.send("late".into()).await, Err(Error::Send(SendError::Closed))));
    });
    server.unwrap();
}

fn a_thousand_connections_at_once<A: Adapter>() {
    const COUNT: usize = 1000;
    let (address, servers) = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let servers = std::thread::spawn(move || {
            let streams = (0..COUNT).map(|_| listener.accept().unwrap().0);
            A::serve_all(streams.collect())
        });
        (address, servers)
    };
    let mut clients: Vec<_> = (0..COUNT).map(|_| TcpStream::connect(address).unwrap()).collect();
    for stream in &mut clients {
        stream.write_all(REQUEST.as_bytes()).unwrap();
    }
    for stream in &mut clients {
        assert!(read_head(stream).starts_with("HTTP/1.1 101 "));
    }
    for stream in &mut clients {
        stream.write_all(&client_frame(0x82, &[7; 1000])).unwrap();
    }
    for stream in &mut clients {
        assert_eq!(read_bytes::<1004>(stream)[..4], *b"\x82\x7e\x03\xe8");
        stream.write_all(CLOSE).unwrap();
    }
    for stream in &mut clients {
        assert_eq!(read_rest(stream), CLOSED);
    }
    drop(clients);
    assert_eq!(servers.join().unwrap(), COUNT);
}

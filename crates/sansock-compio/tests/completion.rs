//! What only completion I/O can get wrong: operations that outlive the call that began them.

#[allow(dead_code, reason = "half of it is for the suite of all adapters")]
mod support;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    pin::pin,
    task::{Context, Waker},
    thread,
};

use compio::time;
use sansock_compio::{
    self as adapter, Error,
    sansock::{CloseCode, Connection, Error as Failure, Message},
};
use support::*;

type WebSocket = adapter::WebSocket<compio::net::TcpStream>;

/// A server on a thread of its own, and a client that does what it likes.
fn server<T: Send + 'static>(
    program: impl AsyncFnOnce(WebSocket) -> T + Send + 'static,
) -> (TcpStream, thread::JoinHandle<T>) {
    let (address, server) = serve::<Compio, _>(patient(), async |accepted| program(accepted.unwrap()).await);
    (raw_client(address), server)
}

/// The call is made and given up before it has waited.
fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn a_receive_that_is_given_up_loses_nothing() {
    let _watchdog = watchdog();
    let (mut stream, server) = server(async |mut websocket| {
        let mut messages = Vec::new();
        loop {
            // The read that this began goes on without it.
            let message = match poll_once(websocket.recv()) {
                Some(message) => message,
                None => match time::timeout(millis(1), websocket.recv()).await {
                    Ok(message) => message,
                    Err(_) => continue,
                },
            };
            let Some(message) = message.unwrap() else { return messages };
            messages.push(message);
        }
    });
    for index in 0..200_u32 {
        let frame = client_frame(0x82, &index.to_be_bytes());
        let (start, end) = frame.split_at(index as usize % frame.len());
        stream.write_all(start).unwrap();
        thread::sleep(millis(u64::from(index % 3)));
        stream.write_all(end).unwrap();
    }
    stream.write_all(CLOSE).unwrap();
    assert_eq!(read_rest(&mut stream), CLOSED);
    drop(stream);
    let expected: Vec<_> = (0..200_u32).map(|index| Message::from(index.to_be_bytes().to_vec())).collect();
    assert!(server.join().unwrap() == expected);
}

#[test]
fn a_send_that_is_given_up_is_written_once_and_whole() {
    let _watchdog = watchdog();
    let (mut stream, server) = server(async |mut websocket| {
        for index in 0..20_u8 {
            let message = vec![index; 300_000];
            if poll_once(websocket.send(message)).is_none() {
                assert!(websocket.queued() > 0);
                while time::timeout(millis(1), websocket.flush()).await.is_err() {}
            }
        }
        websocket.close(CloseCode::NORMAL, "").await
    });
    for index in 0..20_u8 {
        assert_eq!(read_bytes::<10>(&mut stream), *b"\x82\x7f\0\0\0\0\0\x04\x93\xe0");
        assert!(read_bytes::<300_000>(&mut stream).iter().all(|byte| *byte == index), "{index}");
    }
    assert_eq!(read_bytes::<4>(&mut stream), CLOSED);
    stream.write_all(CLOSE).unwrap();
    drop(stream);
    server.join().unwrap().unwrap();
}

/// A read is under way all the time, and nothing that is sent waits for it.
#[test]
fn two_tasks_send_and_receive_at_once() {
    let _watchdog = watchdog();
    let (mut stream, server) = server(async |websocket| {
        let (mut receiver, mut sender) = websocket.split();
        let sending = compio::runtime::spawn(async move {
            for length in 0..500 {
                sender.send(vec![7; length]).await.unwrap();
            }
            sender.close(CloseCode::NORMAL, "").await.unwrap();
        });
        let mut count = 0;
        while receiver.recv().await.unwrap().is_some() {
            count += 1;
        }
        sending.await.unwrap();
        count
    });
    let mut reader = stream.try_clone().unwrap();
    let reader = thread::spawn(move || {
        let frames = (0..500).map(|length: usize| length + if length < 126 { 2 } else { 4 });
        let mut bytes = vec![0; frames.sum::<usize>() + CLOSED.len()];
        reader.read_exact(&mut bytes).unwrap();
        assert!(bytes.ends_with(CLOSED));
    });
    // The server's first message comes though it was sent nothing.
    reader.join().unwrap();
    for _ in 0..1000 {
        stream.write_all(&client_frame(0x81, b"hello")).unwrap();
    }
    stream.write_all(CLOSE).unwrap();
    assert_eq!(read_rest(&mut stream), b"");
    drop(stream);
    assert_eq!(server.join().unwrap(), 1000);
}

/// No operation completes at once, and still the peer gets the last word, though its own end is here already.
#[test]
fn the_answer_to_a_close_is_written_though_the_peer_has_ended() {
    let _watchdog = watchdog();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = Compio::run(async move || connect::<Compio>(address, &patient()).await.recv().await);
    let mut stream = listener.accept().unwrap().0;
    let answer = raw_answer(&read_head(&mut stream));
    stream.write_all(&[answer.as_bytes(), CLOSED].concat()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let rest = read_rest(&mut stream);
    assert_eq!((rest.len(), &rest[..2]), (8, &b"\x88\x82"[..]));
    assert_eq!(client.join().unwrap().unwrap(), None);
}

#[test]
fn a_peer_that_was_silent_is_told_so() {
    let _watchdog = watchdog();
    let config = impatient();
    let (address, server) = serve::<Compio, _>(config, echo);
    let mut stream = raw_client(address);
    let rest = read_rest(&mut stream);
    // A Ping, and a Close with 1011.
    assert_eq!((rest[0], rest[6], &rest[8..10]), (0x89, 0x88, &b"\x03\xf3"[..]), "{rest:?}");
    let result = server.join().unwrap();
    assert!(matches!(result, Err(Error::Connection(Failure::KeepaliveTimeout))), "{result:?}");
}

/// What is read behind a part that stays where it is.
#[test]
fn a_message_in_place_comes_in_many_reads() {
    let _watchdog = watchdog();
    let config = patient().delivery(sansock::Delivery::InPlace).max_message_len(8 << 20);
    let (address, server) = serve::<Compio, _>(config, echo);
    let mut stream = raw_client(address);
    for length in [10, 4090, 5000, 70_000, 3_000_000] {
        let message: Vec<u8> = (0..length).map(|index: u32| (index ^ index >> 8) as u8).collect();
        stream.write_all(&[client_frame(0x82, &message), client_frame(0x89, b"?")].concat()).unwrap();
        let head = if length < 126 {
            2
        } else if length < 0x10000 {
            4
        } else {
            10
        };
        let mut echo = vec![0; head + message.len() + 3];
        stream.read_exact(&mut echo).unwrap();
        assert!(echo[head..].starts_with(&message) && echo.ends_with(b"\x8a\x01?"), "{length}");
    }
    stream.write_all(CLOSE).unwrap();
    assert_eq!(read_rest(&mut stream), CLOSED);
    drop(stream);
    assert!(server.join().unwrap().unwrap().clean);
}

#[test]
fn dropping_a_connection_ends_its_transport() {
    let _watchdog = watchdog();
    let (mut stream, server) = server(async |mut websocket| {
        // A read and a write are under way.
        assert!(time::timeout(millis(20), websocket.recv()).await.is_err());
        assert!(poll_once(websocket.send(vec![7; 64 << 20])).is_none());
        drop(websocket);
        // Other tasks of the runtime go on.
        time::sleep(millis(20)).await;
    });
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < 64 << 20);
    server.join().unwrap();
}

#[test]
fn a_connection_may_begin_behind_a_handshake_of_another() {
    let _watchdog = watchdog();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = Compio::run(async move || {
        let stream = Compio::stream(listener.accept().unwrap().0);
        let received = client_frame(0x81, b"early");
        echo(Ok(adapter::from_connection(stream, Connection::server(&patient()), received))).await
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(CLOSE).unwrap();
    assert_eq!(read_rest(&mut stream), [b"\x81\x05early", CLOSED].concat());
    drop(stream);
    assert!(server.join().unwrap().unwrap().clean);
}

/// A reader and a writer that are two things.
#[test]
fn a_pair_is_a_stream() {
    let _watchdog = watchdog();
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let server = Compio::run(async move || {
        let stream = compio::net::UnixStream::from_std(ours).unwrap();
        let pair = (stream.clone(), stream);
        let upgrade = adapter::receive_request(pair, &patient()).await?;
        assert_eq!(upgrade.request().target(), "/");
        echo(Ok(upgrade.accept(&sansock::server::Response::new()).await?)).await
    });
    theirs.write_all(REQUEST.as_bytes()).unwrap();
    assert!(read_head(&mut theirs).starts_with("HTTP/1.1 101 "));
    theirs.write_all(&[client_frame(0x81, b"pair"), CLOSE.to_vec()].concat()).unwrap();
    assert_eq!(read_rest(&mut theirs), [b"\x81\x04pair", CLOSED].concat());
    drop(theirs);
    assert!(server.join().unwrap().unwrap().clean);
}

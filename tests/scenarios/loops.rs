//! What every I/O loop promises, over real TCP sockets and with each adapter: large messages in both directions, peers
//! that read slowly, and peers that stop. `tests/adapter_poll.rs` has the same on a simulated clock.
//!
//! Each test that waits has a watchdog, but the one that takes minutes and is ignored. No time that is asserted is
//! closer than twenty times to what is usual.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use sansock::{
    CloseCode, CloseInfo, Config, Error as Failure, Event, Keepalive,
    adapter::{Error, tcp},
};
use socket2::{Domain, Socket, Type};

use crate::support::{Adapter, CLOSED, REQUEST, WebSocket, client_frame, millis, patient, read_head, read_rest};

/// The buffers that make a pipe narrow: the kernel doubles them.
pub(crate) const NARROW: usize = 16 << 10;

/// Both ends of a TCP connection, with socket buffers of this size instead of those that the operating system chooses.
pub(crate) fn tcp_pair(buffer: Option<usize>) -> (TcpStream, TcpStream) {
    let socket = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if let Some(buffer) = buffer {
            socket.set_recv_buffer_size(buffer).unwrap();
            socket.set_send_buffer_size(buffer).unwrap();
        }
        socket
    };
    let (listener, client) = (socket(), socket());
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(1).unwrap();
    client.connect(&listener.local_addr().unwrap()).unwrap();
    let (server, client) = (TcpStream::from(listener.accept().unwrap().0), TcpStream::from(client));
    tcp::tune(&server).unwrap();
    client.set_nodelay(true).unwrap();
    (server, client)
}

/// A server for one connection, and a client that does what it likes after its handshake.
pub(crate) fn served<A: Adapter, T: Send + 'static>(
    buffer: Option<usize>,
    config: Config,
    program: impl AsyncFnOnce(A::WebSocket) -> T + Send + 'static,
) -> (TcpStream, JoinHandle<T>) {
    let (ours, mut theirs) = tcp_pair(buffer);
    let server = A::run(async move || program(A::accept(ours, &config).await.unwrap()).await);
    theirs.write_all(REQUEST.as_bytes()).unwrap();
    assert!(read_head(&mut theirs).starts_with("HTTP/1.1 101 "));
    (theirs, server)
}

/// The frame of a server with 64 KiB or more of payload.
pub(crate) fn long_frame(payload: &[u8]) -> Vec<u8> {
    [&[0x82, 0x7f][..], &(payload.len() as u64).to_be_bytes(), payload].concat()
}

/// Reads this many bytes at a steady pace: `chunk` of them every 5 ms.
pub(crate) fn read_slowly(stream: &mut TcpStream, len: usize, chunk: usize) -> Vec<u8> {
    let (start, mut received, mut reads) = (Instant::now(), Vec::new(), 0);
    while received.len() < len {
        let mut bytes = vec![0; chunk.min(len - received.len())];
        stream.read_exact(&mut bytes).unwrap();
        received.append(&mut bytes);
        reads += 1;
        thread::sleep((start + millis(5) * reads).saturating_duration_since(Instant::now()));
    }
    received
}

/// Echoes by events until the connection ends.
pub(crate) async fn echo<W: WebSocket>(mut websocket: W) -> Result<CloseInfo, Error> {
    let refused = websocket.recv_with(|event, connection, out| match event {
        Event::Binary(data) => connection.send_binary(&data, out).err(),
        _ => None,
    });
    assert_eq!(refused.await?, None);
    Ok(websocket.close_info().cloned().unwrap())
}

/// Answers each message with `len` bytes, and closes behind the first answer if it is told to.
pub(crate) async fn answer<W: WebSocket>(websocket: &mut W, len: usize, closes: bool) -> Result<(), Error> {
    let answer = vec![7; len];
    let refused = websocket.recv_with(|event, connection, out| {
        if !matches!(event, Event::Text(_)) {
            return None;
        }
        let sent = connection.send_binary(&answer, out);
        if closes { sent.and_then(|()| connection.close(None, out)).err() } else { sent.err() }
    });
    refused.await.map(|refused| assert_eq!(refused, None))
}

suite! {
    closing_loses_nothing_that_a_slow_reader_takes
    a_slow_reader_of_answers_is_alive
    a_client_that_stops_reading_is_given_up_after_the_stall_timeout
    a_client_that_stops_reading_is_given_up_by_keepalive
    closing_does_not_wait_for_a_peer_that_takes_nothing
    a_peer_that_half_closes_and_never_reads_is_given_up
    answers_that_wait_at_the_end_of_input_arrive
    large_messages_are_echoed_while_more_arrive
    #[ignore = "it takes minutes"]
    closing_loses_none_of_20_mb_that_a_reader_of_100_kb_a_second_takes
}

/// The reader needs several times as long as each deadline, and none of its pauses is longer than a fiftieth of them.
pub(crate) fn brisk() -> Config {
    patient().close_timeout(millis(300)).stall_timeout(millis(300)).keepalive(Keepalive::new(millis(300), millis(300)))
}

pub(crate) const MUCH: usize = 4 << 20;

fn closing_loses_nothing_that_a_slow_reader_takes<A: Adapter>() {
    let (mut stream, server) = served::<A, _>(Some(NARROW), brisk(), async |mut websocket| {
        let end = answer(&mut websocket, MUCH, true).await;
        (end, websocket.close_info().cloned())
    });
    stream.write_all(&client_frame(0x81, b"go")).unwrap();
    let expected = [long_frame(&vec![7; MUCH]), b"\x88\x00".to_vec()].concat();
    assert!(read_slowly(&mut stream, expected.len(), 10 << 10) == expected);
    stream.write_all(&client_frame(0x88, b"")).unwrap();
    assert_eq!(read_rest(&mut stream), b"");
    drop(stream);
    let (end, info) = server.join().unwrap();
    end.unwrap();
    assert!(info.unwrap().clean);
}

fn a_slow_reader_of_answers_is_alive<A: Adapter>() {
    let (mut stream, server) =
        served::<A, _>(Some(NARROW), brisk(), async |mut websocket| answer(&mut websocket, MUCH, false).await);
    stream.write_all(&client_frame(0x81, b"go")).unwrap();
    let expected = long_frame(&vec![7; MUCH]);
    assert!(read_slowly(&mut stream, expected.len(), 10 << 10) == expected);
    stream.write_all(&client_frame(0x88, b"\x03\xe8")).unwrap();
    assert_eq!(read_rest(&mut stream), CLOSED);
    drop(stream);
    server.join().unwrap().unwrap();
}

/// How the connection ends to a client that reads a mebibyte of its answer and no more, and how long that takes.
fn stopped<A: Adapter>(config: Config, closes: bool) -> (Result<(), Error>, Duration) {
    let (mut stream, server) = served::<A, _>(None, config, async move |mut websocket| {
        let queued = websocket.recv_with(|event, connection, out| {
            matches!(event, Event::Text(_)).then(|| connection.send_binary(&vec![7; 32 << 20], out).unwrap())
        });
        queued.await.unwrap();
        let started = Instant::now();
        let result = if closes {
            websocket.close(CloseCode::NORMAL, "").await
        } else {
            websocket.recv().await.map(|message| assert_eq!(message, None))
        };
        (result, started.elapsed())
    });
    stream.write_all(&client_frame(0x81, b"go")).unwrap();
    stream.read_exact(&mut vec![0; 1 << 20]).unwrap();
    server.join().unwrap()
}

fn a_client_that_stops_reading_is_given_up_after_the_stall_timeout<A: Adapter>() {
    let (end, time) = stopped::<A>(patient().keepalive(None).stall_timeout(millis(200)), false);
    assert!(matches!(end, Err(Error::Connection(Failure::StallTimeout))), "{end:?}");
    assert!((millis(200)..millis(4000)).contains(&time), "{time:?}");
}

fn a_client_that_stops_reading_is_given_up_by_keepalive<A: Adapter>() {
    let (end, time) = stopped::<A>(patient().keepalive(Keepalive::new(millis(100), millis(100))), false);
    assert!(matches!(end, Err(Error::Connection(Failure::KeepaliveTimeout))), "{end:?}");
    assert!((millis(200)..millis(4000)).contains(&time), "{time:?}");
}

fn closing_does_not_wait_for_a_peer_that_takes_nothing<A: Adapter>() {
    // As long as the Close is not written, neither `close_timeout` nor keepalive runs.
    for config in [patient(), brisk().keepalive(None).close_timeout(millis(1))] {
        let (end, time) = stopped::<A>(config.stall_timeout(millis(200)), true);
        assert!(matches!(end, Err(Error::Connection(Failure::StallTimeout))), "{end:?}");
        assert!((millis(200)..millis(4000)).contains(&time), "{time:?}");
    }
}

fn a_peer_that_half_closes_and_never_reads_is_given_up<A: Adapter>() {
    let mut ends = [0; 2];
    for count in [10, 12, 14, 16, 18, 20, 100] {
        let config = patient().keepalive(None).stall_timeout(millis(200));
        let (mut stream, server) = served::<A, _>(Some(NARROW), config, async |mut websocket| {
            let started = Instant::now();
            let refused = websocket.recv_with(|event, connection, out| match event {
                Event::Binary(data) => connection.send_binary(&data, out).err(),
                _ => None,
            });
            let end = refused.await;
            (end, websocket.close_info().unwrap().unwritten, started.elapsed())
        });
        let (messages, mut sent) = (client_frame(0x82, &[7; 10_000]).repeat(count), 0);
        stream.set_write_timeout(Some(millis(300))).unwrap();
        while let Ok(written @ 1..) = stream.write(&messages[sent..]) {
            sent += written;
        }
        // The server may have given up already.
        let _ = stream.shutdown(Shutdown::Write);
        let (end, unwritten, time) = server.join().unwrap();
        match end {
            // The end of its input was read while answers wait.
            Err(Error::Connection(Failure::ConnectionLost)) => ends[0] += 1,
            // It is behind input that is not read, because too many of them wait.
            Err(Error::Connection(Failure::StallTimeout)) => ends[1] += 1,
            other => panic!("{other:?} {count}"),
        }
        assert!(unwritten > 0, "{count}");
        assert!((millis(200)..millis(4000)).contains(&time), "{time:?} {count}");
    }
    assert!(ends[0] >= 4 && ends[1] >= 1, "{ends:?}");
}

fn answers_that_wait_at_the_end_of_input_arrive<A: Adapter>() {
    // Or as many as can be sent without reading: the rest of the last frame never comes.
    for (buffer, count) in [(Some(NARROW), 12), (Some(NARROW), 16), (Some(NARROW), 20), (None, 390)] {
        let (mut stream, server) = served::<A, _>(buffer, patient(), async |websocket| echo(websocket).await);
        let message = client_frame(0x82, &[7; 10_000]);
        let (messages, mut sent) = (message.repeat(count), 0);
        stream.set_write_timeout(Some(millis(300))).unwrap();
        while let Ok(written @ 1..) = stream.write(&messages[sent..]) {
            sent += written;
        }
        let complete = sent / message.len();
        // What the server keeps, and the pipe holds.
        assert!(complete >= count.min(20), "{complete} of {count}");
        stream.shutdown(Shutdown::Write).unwrap();
        // The server has seen that.
        thread::sleep(millis(100));
        let answer = [&b"\x82\x7e\x27\x10"[..], &[7; 10_000]].concat();
        assert!(read_rest(&mut stream) == answer.repeat(complete));
        drop(stream);
        let end = server.join().unwrap();
        assert!(matches!(end, Err(Error::Connection(Failure::ConnectionLost))), "{end:?}");
    }
}

/// The client sends all the time and reads all the time.
fn large_messages_are_echoed_while_more_arrive<A: Adapter>() {
    const COUNT: usize = 100;
    let (mut stream, server) = served::<A, _>(None, Config::default(), async |websocket| echo(websocket).await);
    let message: Vec<u8> = (0..1_000_000_u32).map(|index| (index ^ index >> 8) as u8).collect();
    let (mut writer, masked) = (stream.try_clone().unwrap(), client_frame(0x82, &message));
    let writing = thread::spawn(move || {
        for _ in 0..COUNT {
            writer.write_all(&masked).unwrap();
        }
        writer.write_all(&client_frame(0x88, b"\x03\xe8")).unwrap();
    });
    let (expected, mut echo) = (long_frame(&message), vec![0; message.len() + 10]);
    for _ in 0..COUNT {
        stream.read_exact(&mut echo).unwrap();
        assert!(echo == expected);
    }
    assert_eq!(read_rest(&mut stream), CLOSED);
    writing.join().unwrap();
    drop(stream);
    assert!(server.join().unwrap().unwrap().clean);
}

/// With the deadlines that are the default: 200 s.
fn closing_loses_none_of_20_mb_that_a_reader_of_100_kb_a_second_takes<A: Adapter>() {
    const LEN: usize = 20_000_000;
    let (mut stream, server) =
        served::<A, _>(None, Config::default(), async |mut websocket| answer(&mut websocket, LEN, true).await);
    stream.write_all(&client_frame(0x81, b"go")).unwrap();
    let expected = [long_frame(&vec![7; LEN]), b"\x88\x00".to_vec()].concat();
    assert!(read_slowly(&mut stream, expected.len(), 500) == expected);
    stream.write_all(&client_frame(0x88, b"")).unwrap();
    assert_eq!(read_rest(&mut stream), b"");
    server.join().unwrap().unwrap();
}

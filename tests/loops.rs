//! What every I/O loop promises, over real TCP sockets and with each adapter: large messages in both directions, peers that
//! read slowly, and peers that stop. `tests/adapter_poll.rs` has the same on a simulated clock.
//!
//! Each test that waits has a watchdog, but the one that takes minutes and is ignored. No time that is asserted is closer than
//! twenty times to what is usual.
#![cfg(all(feature = "blocking", feature = "getrandom"))]

#[path = "support/adapters.rs"]
#[allow(dead_code, reason = "half of it is for tests/adapters.rs")]
#[macro_use]
mod support;

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
#[cfg(feature = "compio")]
use support::Compio;
#[cfg(feature = "futures-io")]
use support::Smol;
#[cfg(feature = "tokio")]
use support::Tokio;
use support::{
    Adapter, Blocking, CLOSED, REQUEST, WebSocket, client_frame, millis, patient, read_head, read_rest, watchdog,
};

/// The buffers that make a pipe narrow: the kernel doubles them.
const NARROW: usize = 16 << 10;

/// Both ends of a TCP connection, with socket buffers of this size instead of those that the operating system chooses.
fn tcp_pair(buffer: Option<usize>) -> (TcpStream, TcpStream) {
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
fn served<A: Adapter, T: Send + 'static>(
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
fn long_frame(payload: &[u8]) -> Vec<u8> {
    [&[0x82, 0x7f][..], &(payload.len() as u64).to_be_bytes(), payload].concat()
}

/// Reads this many bytes at a steady pace: `chunk` of them every 5 ms.
fn read_slowly(stream: &mut TcpStream, len: usize, chunk: usize) -> Vec<u8> {
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
async fn echo<W: WebSocket>(mut websocket: W) -> Result<CloseInfo, Error> {
    let refused = websocket.recv_with(|event, connection, out| match event {
        Event::Binary(data) => connection.send_binary(&data, out).err(),
        _ => None,
    });
    assert_eq!(refused.await?, None);
    Ok(websocket.close_info().cloned().unwrap())
}

/// Answers each message with `len` bytes, and closes behind the first answer if it is told to.
async fn answer<W: WebSocket>(websocket: &mut W, len: usize, closes: bool) -> Result<(), Error> {
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
}

/// The reader needs several times as long as each deadline, and none of its pauses is longer than a fiftieth of them.
fn brisk() -> Config {
    patient().close_timeout(millis(300)).stall_timeout(millis(300)).keepalive(Keepalive::new(millis(300), millis(300)))
}

const MUCH: usize = 4 << 20;

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

/// What asynchronous adapters do beside: halves, and messages that are queued and not waited for.
#[cfg(any(feature = "tokio", feature = "futures-io", feature = "compio"))]
mod asynchronous {
    use sansock::adapter::poll;

    use super::*;

    macro_rules! asynchronous_suite {
        ($($scenario:ident)*) => {
            #[cfg(feature = "tokio")]
            mod tokio {
                $(#[test] fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<super::Tokio, _>(); })*
            }
            #[cfg(feature = "futures-io")]
            mod smol {
                $(#[test] fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<super::Smol, _>(); })*
            }
            #[cfg(feature = "compio")]
            mod compio {
                $(#[test] fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<super::Compio, _>(); })*
            }
        };
    }

    asynchronous_suite! {
        halves_send_and_receive_large_messages_at_once
        one_task_feeds_and_receives_large_messages_in_turn
        closing_loses_nothing_that_was_fed
    }

    const COUNT: u8 = 200;

    fn message(index: u8) -> Vec<u8> {
        vec![index; 1_000_000]
    }

    /// Runs the same program at both ends of a connection, with the default deadlines.
    fn both_ends<A, I>(buffer: Option<usize>, program: impl AsyncFnOnce(poll::WebSocket<I>) + Copy + Send + 'static)
    where
        A: Adapter<WebSocket = poll::WebSocket<I>>,
    {
        let (ours, theirs) = tcp_pair(buffer);
        let server = A::run(async move || program(A::accept(ours, &Config::default()).await.unwrap()).await);
        let client = A::run(async move || {
            let request = sansock::client::Request::new("localhost", "/");
            program(A::client(theirs, &request, &Config::default()).await.unwrap().0).await;
        });
        server.join().unwrap();
        client.join().unwrap();
    }

    async fn send_all<I: poll::Io>(sender: &mut poll::Sender<I>) {
        for index in 0..COUNT {
            sender.send(message(index)).await.unwrap();
        }
    }

    async fn receive_all<I: poll::Io>(receiver: &mut poll::Receiver<I>) {
        for index in 0..COUNT {
            assert!(receiver.recv().await.unwrap() == Some(message(index).into()), "{index}");
        }
    }

    async fn close<I: poll::Io>(mut receiver: poll::Receiver<I>, mut sender: poll::Sender<I>) {
        // The other end may have been the first.
        let _ = sender.close(CloseCode::NORMAL, "").await;
        assert_eq!(receiver.recv().await.unwrap(), None);
        assert!(receiver.close_info().unwrap().clean);
    }

    fn halves_send_and_receive_large_messages_at_once<A, I: poll::Io + 'static>()
    where
        A: Adapter<WebSocket = poll::WebSocket<I>>,
    {
        both_ends::<A, I>(None, async |websocket| {
            let (mut receiver, mut sender) = websocket.split();
            ::smol::future::zip(send_all(&mut sender), receive_all(&mut receiver)).await;
            close(receiver, sender).await;
        });
    }

    /// A task for each half, on any of several threads.
    #[cfg(feature = "tokio")]
    #[test]
    fn halves_in_tasks_of_their_own_send_and_receive_large_messages() {
        async fn run(websocket: <Tokio as Adapter>::WebSocket) {
            let (mut receiver, mut sender) = websocket.split();
            let sending = ::tokio::spawn(async move {
                send_all(&mut sender).await;
                sender
            });
            let receiving = ::tokio::spawn(async move {
                receive_all(&mut receiver).await;
                receiver
            });
            let sender = sending.await.unwrap();
            close(receiving.await.unwrap(), sender).await;
        }
        let _watchdog = watchdog();
        let runtime = ::tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (ours, theirs) = tcp_pair(None);
        let programs = async {
            let (request, config) = (sansock::client::Request::new("localhost", "/"), Config::default());
            let (server, client) =
                ::tokio::join!(Tokio::accept(ours, &config), Tokio::client(theirs, &request, &config));
            ::tokio::join!(run(server.unwrap()), run(client.unwrap().0))
        };
        runtime.block_on(programs);
    }

    fn one_task_feeds_and_receives_large_messages_in_turn<A, I: poll::Io + 'static>()
    where
        A: Adapter<WebSocket = poll::WebSocket<I>>,
    {
        async fn take_turns<I: poll::Io>(mut websocket: poll::WebSocket<I>, count: u8) {
            for index in 0..count {
                websocket.feed(message(index)).await.unwrap();
                assert!(websocket.recv().await.unwrap() == Some(message(index).into()), "{index}");
            }
            websocket.close(CloseCode::NORMAL, "").await.unwrap();
        }
        both_ends::<A, I>(None, async |websocket| take_turns(websocket, COUNT).await);
        // The pipe holds a small part of a message.
        both_ends::<A, I>(Some(NARROW), async |websocket| take_turns(websocket, 5).await);
    }

    fn closing_loses_nothing_that_was_fed<A, I: poll::Io + 'static>()
    where
        A: Adapter<WebSocket = poll::WebSocket<I>>,
    {
        let (mut stream, server) = served::<A, _>(Some(NARROW), brisk(), async |mut websocket| {
            websocket.feed(vec![7; MUCH]).await.unwrap();
            websocket.close(CloseCode::NORMAL, "").await
        });
        let expected = [long_frame(&vec![7; MUCH]), CLOSED.to_vec()].concat();
        assert!(read_slowly(&mut stream, expected.len(), 10 << 10) == expected);
        stream.write_all(&client_frame(0x88, b"\x03\xe8")).unwrap();
        assert_eq!(read_rest(&mut stream), b"");
        drop(stream);
        server.join().unwrap().unwrap();
    }

    /// With the deadlines that are the default: 200 s.
    #[test]
    #[ignore = "it takes minutes"]
    fn closing_loses_none_of_20_mb_that_a_reader_of_100_kb_a_second_takes() {
        fn slow<A: Adapter>() {
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
        let mut adapters: Vec<(&str, fn())> = vec![("blocking", slow::<Blocking>)];
        #[cfg(feature = "tokio")]
        adapters.push(("tokio", slow::<Tokio>));
        #[cfg(feature = "futures-io")]
        adapters.push(("smol", slow::<Smol>));
        #[cfg(feature = "compio")]
        adapters.push(("compio", slow::<Compio>));
        let running: Vec<_> = adapters.into_iter().map(|(name, slow)| (name, thread::spawn(slow))).collect();
        let ended = running.into_iter().map(|(name, thread)| (name, thread.join().is_ok()));
        let failed: Vec<_> = ended.filter(|(_, is_ok)| !is_ok).collect();
        assert!(failed.is_empty(), "{failed:?}");
    }
}

/// What only threads do: calls that wait in the kernel, and that another thread ends.
mod threads {
    use std::net::TcpListener;

    use sansock::{
        Initiator,
        adapter::blocking::{self, Closer},
    };

    use super::*;

    type Server = blocking::WebSocket<TcpStream>;

    /// How often this thread gave up the processor, because it had to wait.
    #[cfg(target_os = "linux")]
    fn waits(thread: &std::path::Path) -> u32 {
        let status = std::fs::read_to_string(std::path::Path::new("/proc").join(thread).join("status")).unwrap();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.unwrap().trim().parse().unwrap()
    }

    #[cfg(target_os = "linux")]
    fn a_wait_is_one_system_call(wait: fn(&mut Server) -> Result<(), Error>) {
        let (id, thread_id) = std::sync::mpsc::channel();
        let (mut stream, server) = served::<Blocking, _>(None, patient(), async move |mut websocket| {
            id.send(std::fs::read_link("/proc/thread-self").unwrap()).unwrap();
            wait(&mut websocket)
        });
        stream.write_all(&client_frame(0x81, b"go")).unwrap();
        // The pipe is full soon.
        let thread = thread_id.recv().unwrap();
        let mut before = waits(&thread);
        loop {
            thread::sleep(millis(200));
            let now = waits(&thread);
            if now - before < 10 {
                break;
            }
            before = now;
        }
        let before = waits(&thread);
        thread::sleep(millis(1000));
        let count = waits(&thread) - before;
        assert!(count < 10, "{count} in a second");
        drop(stream);
        server.join().unwrap().unwrap_err();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_send_that_the_peer_does_not_take_sleeps_until_it_does() {
        let _watchdog = watchdog();
        a_wait_is_one_system_call(|websocket| websocket.send(vec![7; 32 << 20]));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn answers_that_the_peer_does_not_take_let_the_thread_sleep() {
        let _watchdog = watchdog();
        a_wait_is_one_system_call(|websocket| ::smol::future::block_on(answer(websocket, 32 << 20, false)));
    }

    #[test]
    fn one_thread_sends_and_receives_large_messages_by_handlers() {
        const COUNT: u32 = 100;
        let _watchdog = watchdog();
        let (address, server) = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = thread::spawn(move || {
                let websocket = blocking::accept(listener.accept().unwrap().0, &Config::default())?;
                ::smol::future::block_on(echo(websocket))
            });
            (address, server)
        };
        let client = thread::spawn(move || {
            let message = vec![7; 1_000_000];
            let mut websocket = blocking::connect(&format!("ws://{address}/"), &Config::default())?;
            websocket.send_binary(&message)?;
            let mut echoes = 0;
            let refused = websocket.read_with(|event, connection, out| {
                let Event::Binary(data) = event else { return None };
                assert!(*data == *message);
                echoes += 1;
                match echoes {
                    COUNT => connection.close(None, out).err(),
                    _ => connection.send_binary(&data, out).err(),
                }
            })?;
            assert_eq!((refused, echoes), (None, COUNT));
            Ok::<_, Error>(())
        });
        client.join().unwrap().unwrap();
        assert!(server.join().unwrap().unwrap().clean);
    }

    /// The Close of a server that shuts down, and the answer to it.
    const GOING: &[u8] = b"\x88\x05\x03\xe9bye";

    fn goes(mut stream: TcpStream) {
        let mut close = [0; GOING.len()];
        stream.read_exact(&mut close).unwrap();
        assert_eq!(close, GOING);
        stream.write_all(&client_frame(0x88, b"\x03\xe9")).unwrap();
        assert_eq!(read_rest(&mut stream), b"");
    }

    /// A server whose thread does this, and a closer of it.
    fn closable<T: Send + 'static>(
        closer: &Closer,
        program: impl FnOnce(&mut Server) -> T + Send + 'static,
    ) -> (TcpStream, JoinHandle<T>) {
        let closer = closer.clone();
        served::<Blocking, _>(None, patient(), async move |websocket| program(&mut websocket.closed_by(&closer)))
    }

    #[test]
    fn a_closer_ends_a_read_that_waits() {
        let _watchdog = watchdog();
        let closer = Closer::new().unwrap();
        let (mut stream, server) = closable(&closer, |websocket| {
            assert_eq!(websocket.read()?, Some("ready".into()));
            let end = websocket.read()?;
            Ok::<_, Error>((end, websocket.close_info().cloned().unwrap()))
        });
        stream.write_all(&client_frame(0x81, b"ready")).unwrap();
        thread::sleep(millis(20));
        closer.close(CloseCode::GOING_AWAY, "bye");
        goes(stream);
        let (end, info) = server.join().unwrap().unwrap();
        assert_eq!((end, info.clean, info.initiator), (None, true, Some(Initiator::Local)));
    }

    #[test]
    fn a_closer_ends_a_send_to_a_peer_that_takes_nothing_and_loses_none_of_it() {
        const LEN: usize = 32 << 20;
        let _watchdog = watchdog();
        let closer = Closer::new().unwrap();
        let (mut stream, server) = closable(&closer, |websocket| {
            websocket.send(vec![7; LEN])?;
            // Nothing is sent behind the Close.
            assert!(matches!(websocket.send("more"), Err(Error::Send(sansock::SendError::Closed))));
            websocket.read()
        });
        thread::sleep(millis(100));
        closer.close(CloseCode::GOING_AWAY, "bye");
        thread::sleep(millis(100));
        assert!(!server.is_finished());
        let (expected, mut received) = (long_frame(&vec![7; LEN]), vec![0; LEN + 10]);
        stream.read_exact(&mut received).unwrap();
        assert!(received == expected);
        goes(stream);
        assert_eq!(server.join().unwrap().unwrap(), None);
    }

    #[test]
    fn a_closer_closes_what_is_added_after_it_closed() {
        let _watchdog = watchdog();
        let closer = Closer::new().unwrap();
        closer.close(CloseCode::GOING_AWAY, "bye");
        closer.close(CloseCode::NORMAL, "only the first call counts");
        let (stream, server) = closable(&closer, Server::read);
        goes(stream);
        assert_eq!(server.join().unwrap().unwrap(), None);
    }

    #[test]
    fn a_hundred_connections_share_a_closer() {
        let _watchdog = watchdog();
        let closer = Closer::new().unwrap();
        let mut connections: Vec<_> = (0..100).map(|_| closable(&closer, Server::read)).collect();
        // They are served as without it.
        for (stream, _) in &mut connections {
            stream.write_all(&client_frame(0x89, b"?")).unwrap();
            assert_eq!(support::read_bytes::<3>(stream), *b"\x8a\x01?");
        }
        closer.close(CloseCode::GOING_AWAY, "bye");
        for (stream, server) in connections {
            goes(stream);
            assert_eq!(server.join().unwrap().unwrap(), None);
        }
    }
}

/// The options of sockets that an adapter accepted or connected.
mod options {
    use std::net::TcpListener;

    use sansock::adapter::blocking;
    use socket2::SockRef;

    use super::*;

    #[track_caller]
    fn is_tuned(socket: &SockRef<'_>) {
        assert!(socket.tcp_nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), 128 << 10);
    }

    /// An echo server for this many connections, which finds their sockets tuned.
    fn server(count: usize) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("ws://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            for _ in 0..count {
                let stream = listener.accept().unwrap().0;
                assert!(!SockRef::from(&stream).tcp_nodelay().unwrap());
                let mut websocket = blocking::accept(stream, &patient()).unwrap();
                is_tuned(&websocket.socket().into());
                assert_eq!(websocket.read().unwrap(), None);
            }
        });
        (uri, server)
    }

    #[test]
    fn sockets_of_threads_are_tuned() {
        let _watchdog = watchdog();
        let (uri, server) = server(1);
        let mut websocket = blocking::connect(&uri, &patient()).unwrap();
        is_tuned(&websocket.socket().into());
        websocket.close(CloseCode::NORMAL, "").unwrap();
        server.join().unwrap();
    }

    #[cfg(feature = "tokio-net")]
    #[test]
    fn sockets_that_tokio_connects_are_tuned() {
        let _watchdog = watchdog();
        let (uri, server) = server(1);
        let client = Tokio::run(async move || {
            let mut websocket = sansock::adapter::tokio::connect(&uri, &patient()).await.unwrap();
            is_tuned(&websocket.io().get_ref().into());
            websocket.close(CloseCode::NORMAL, "").await
        });
        client.join().unwrap().unwrap();
        server.join().unwrap();
    }
}

//! What only asynchronous adapters do: cancelled calls, halves for two tasks, batches, and time that is simulated.
#![cfg(all(feature = "tokio", feature = "getrandom"))]

#[cfg(feature = "tls")]
#[path = "support/tls.rs"]
#[allow(dead_code, reason = "the rest is for tests/connect.rs")]
mod certificate;
#[path = "support/adapters.rs"]
#[allow(dead_code, reason = "half of it is for the suite of all adapters")]
mod support;

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    io::{self, IoSlice},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes, BytesMut};
use futures_core::Stream;
use futures_sink::Sink;
use sansock::{
    Chunk, CloseCode, Config, Connection, Delivery, Error as Failure, Event, Inbox, Message, Outbox, PreparedMessage,
    adapter::{
        Error,
        poll::{self, WebSocket},
        tokio as adapter,
    },
    client, server,
};
use support::{CLOSE, CLOSED, client_frame, millis, patient, watchdog};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time,
};

/// A transport in memory that gives and takes a few bytes at a time, and every other poll nothing.
#[derive(Clone)]
struct Reluctant(Rc<RefCell<Script>>);

struct Script {
    input: VecDeque<u8>,
    output: Vec<u8>,
    /// The most bytes a poll moves.
    step: usize,
    /// What the latest read had room for.
    room: usize,
    is_ready: bool,
    writes: usize,
    is_shut: bool,
}

impl Reluctant {
    fn new(input: &[u8], step: usize) -> Self {
        let input = input.iter().copied().collect();
        let script = Script { input, output: Vec::new(), step, room: 0, is_ready: false, writes: 0, is_shut: false };
        Self(Rc::new(RefCell::new(script)))
    }

    /// Every other call finds it not ready. With a step of `MAX` it always is.
    fn poll<T>(&self, cx: &Context<'_>, act: impl FnOnce(&mut Script) -> T) -> Poll<io::Result<T>> {
        let mut script = self.0.borrow_mut();
        script.is_ready ^= true;
        if script.is_ready && script.step < usize::MAX {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(act(&mut script)))
    }
}

impl poll::Io for Reluctant {
    fn poll_read(&mut self, cx: &mut Context<'_>, inbox: &mut Inbox, missing: u64) -> Poll<io::Result<usize>> {
        self.poll(cx, |script| {
            let room = inbox.room(missing);
            script.room = room.len();
            let count = script.input.len().min(script.step).min(room.len());
            room.iter_mut().zip(script.input.drain(..count)).for_each(|(to, from)| *to = from);
            inbox.filled(count);
            count
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut Outbox) -> Poll<io::Result<usize>> {
        assert!(!out.is_empty());
        self.poll(cx, |script| {
            let before = script.output.len();
            let mut slices = [IoSlice::new(&[]); 8];
            let filled = out.chunks_vectored(&mut slices);
            script.output.extend(slices[..filled].iter().flat_map(|slice| slice.iter()).take(script.step));
            script.writes += 1;
            script.output.len() - before
        })
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |_| ())
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |script| script.is_shut = true)
    }

    fn poll_until(&mut self, _: &mut Context<'_>, _: Instant) -> Poll<()> {
        Poll::Pending
    }
}

fn over(io: &Reluctant, config: &Config) -> WebSocket<Reluctant> {
    WebSocket::new(io.clone(), Connection::server(config), Vec::new())
}

/// Polls a future a number of times, then drops it.
fn poll_some<F: Future>(future: F, times: &mut dyn FnMut() -> bool) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        if !times() {
            return None;
        }
    }
}

/// A dialogue of a server in which every call may be cancelled after any poll. `again` says whether a future that is
/// not ready is polled again or dropped; then its call is made again, as its documentation says.
fn dialogue(io: &Reluctant, config: &Config, again: &mut dyn FnMut() -> bool) -> Vec<Message> {
    let mut websocket = over(io, config);
    let mut messages = Vec::new();
    loop {
        let message = loop {
            if let Some(result) = poll_some(websocket.recv(), again) {
                break result.unwrap();
            }
        };
        let Some(message) = message else { break };
        messages.push(message.clone());
        match messages.len() % 3 {
            // Sent at the first poll, whatever becomes of the future.
            0 => {
                if poll_some(websocket.send(message), again).is_none() {
                    while poll_some(websocket.flush(), again).is_none() {}
                }
            }
            // Written by `recv`.
            1 => while poll_some(websocket.feed(message.clone()), again).is_none() {},
            _ => drop(poll_some(websocket.ping(b"?"), again)),
        }
    }
    while poll_some(websocket.close(CloseCode::NORMAL, ""), again).is_none() {}
    assert!(websocket.close_info().unwrap().clean);
    messages
}

#[test]
fn whichever_call_is_cancelled_at_whichever_poll_nothing_is_lost() {
    let _watchdog = watchdog();
    let input = [
        client_frame(0x81, b"one"),
        client_frame(0x82, &[7; 200]),
        client_frame(0x01, b"in "),
        client_frame(0x89, b"ping"),
        client_frame(0x80, "pieçes".as_bytes()),
        client_frame(0x81, b"four"),
        client_frame(0x82, b""),
        client_frame(0x82, &[9; 70]),
        CLOSE.to_vec(),
    ]
    .concat();
    for (delivery, step) in [(Delivery::Messages, 7), (Delivery::Messages, 40), (Delivery::Chunks, 7)] {
        let config = Config::default().delivery(delivery).keepalive(None);
        let mut polls = 0;
        let whole = Reluctant::new(&input, step);
        let expected = dialogue(&whole, &config, &mut || {
            polls += 1;
            true
        });
        assert_eq!(expected.len(), 6);
        assert!(polls > 10 && whole.0.borrow().is_shut, "{polls}");

        // Each future is dropped at its first poll that is not ready; or just one future, at one of all polls.
        let once = (0..polls).map(|cancelled| (cancelled, cancelled + 1));
        for (from, to) in once.chain([(0, usize::MAX)]) {
            let mut poll = 0;
            let io = Reluctant::new(&input, step);
            let messages = dialogue(&io, &config, &mut || {
                poll += 1;
                !(from..to).contains(&(poll - 1))
            });
            assert_eq!(messages, expected, "cancelled at {from}");
            assert!(io.0.borrow().output.ends_with(CLOSED), "cancelled at {from}");
            assert_eq!(sent(&io), sent(&whole), "cancelled at {from}");
        }
    }
}

/// What was sent, in order, but for control frames: where those stand may change with the reads.
fn sent(io: &Reluctant) -> Vec<(u8, Vec<u8>)> {
    let output = &io.0.borrow().output;
    let (mut at, mut sent) = (0, Vec::new());
    while at < output.len() {
        let (len, head) = match output[at + 1] {
            126 => (usize::from(u16::from_be_bytes([output[at + 2], output[at + 3]])), 4),
            len => (usize::from(len), 2),
        };
        let payload = &output[at + head..at + head + len];
        if output[at] & 8 == 0 {
            sent.push((output[at], payload.to_vec()));
        }
        at += head + len;
    }
    sent
}

#[test]
fn the_answers_to_one_read_are_one_write() {
    let _watchdog = watchdog();
    let config = Config::default().keepalive(None);
    let input = [client_frame(0x82, b"0123456789").repeat(500), CLOSE.to_vec()].concat();

    // Message by message.
    let io = Reluctant::new(&input, usize::MAX);
    let mut websocket = over(&io, &config);
    futures_lite::future::block_on(async {
        while let Some(message) = websocket.recv().await.unwrap() {
            websocket.feed(message).await.unwrap();
        }
    });
    assert_eq!((io.0.borrow().writes, io.0.borrow().output.len()), (1, 500 * 12 + 4));

    // By events.
    let io = Reluctant::new(&input, usize::MAX);
    let mut websocket = over(&io, &config);
    let echo = websocket.recv_with(|event, connection, out| match event {
        Event::Binary(data) => connection.send_binary(&data, out).err(),
        _ => None,
    });
    assert_eq!(futures_lite::future::block_on(echo).unwrap(), None);
    assert_eq!((io.0.borrow().writes, io.0.borrow().output.len()), (1, 500 * 12 + 4));
}

#[test]
fn what_is_fed_goes_with_one_flush_and_in_order() {
    let _watchdog = watchdog();
    let io = Reluctant::new(b"", usize::MAX);
    let mut websocket = over(&io, &Config::default().keepalive(None));
    futures_lite::future::block_on(async {
        for index in 0..100_u8 {
            websocket.feed(vec![index; 10]).await.unwrap();
        }
        assert_eq!((io.0.borrow().writes, websocket.queued()), (0, 1200));
        websocket.flush().await.unwrap();
        assert_eq!((io.0.borrow().writes, websocket.queued()), (1, 0));

        // What goes by reference keeps its place between what is copied.
        websocket.feed("before").await.unwrap();
        websocket.feed(vec![1; 20_000]).await.unwrap();
        websocket.send_bytes(Bytes::from(vec![2; 20_000])).await.unwrap();
        websocket.send_prepared(&PreparedMessage::binary(&vec![3; 20_000])).await.unwrap();
        websocket.send("after").await.unwrap();
    });
    let sent = sent(&io);
    let kinds: Vec<_> = sent[100..].iter().map(|(_, payload)| (payload[0], payload.len())).collect();
    assert_eq!(kinds, [(b'b', 6), (1, 20_000), (2, 20_000), (3, 20_000), (b'a', 5)]);
}

#[test]
fn one_read_takes_at_most_128_kib() {
    let _watchdog = watchdog();
    let io = Reluctant::new(&[client_frame(0x82, &[7; 100]).repeat(2000), CLOSE.to_vec()].concat(), usize::MAX);
    let mut websocket = over(&io, &Config::default().keepalive(None));
    futures_lite::future::block_on(async {
        assert!(websocket.recv().await.unwrap().is_some());
        assert_eq!(io.0.borrow().room, 128 << 10);
        while websocket.recv().await.unwrap().is_some() {
            assert!(io.0.borrow().room <= 128 << 10);
        }
    });
}

#[test]
fn feeding_waits_above_the_high_water_mark() {
    let _watchdog = watchdog();
    let io = Reluctant::new(b"", 1000);
    let mut websocket = over(&io, &Config::default().keepalive(None));
    futures_lite::future::block_on(async {
        for count in 1..=200 {
            websocket.feed(vec![7; 5000]).await.unwrap();
            assert!(websocket.queued() <= (128 << 10) + 5004);
            // 26 fit below it, and a 27th makes it more.
            assert_eq!(io.0.borrow().output.is_empty(), count <= 27, "{count}");
        }
        assert!(io.0.borrow().output.len() > 860_000);
    });
}

#[test]
fn a_handler_may_poll_another_connection_of_the_thread() {
    let _watchdog = watchdog();
    let config = Config::default().keepalive(None);
    let io = Reluctant::new(&[client_frame(0x81, b"a"), client_frame(0x81, b"b")].concat(), usize::MAX);
    let mut outer = over(&io, &config);
    let found = outer.recv_with(|event, _, _| {
        let inner = Reluctant::new(&[client_frame(0x81, b"inner"), CLOSE.to_vec()].concat(), usize::MAX);
        let inner = futures_lite::future::block_on(over(&inner, &config).recv()).unwrap();
        assert_eq!(inner, Some("inner".into()));
        (event == Event::Text("b".into())).then_some(())
    });
    assert_eq!(futures_lite::future::block_on(found).unwrap(), Some(()));
}

#[test]
fn the_stream_ends_after_its_error_and_the_sink_closes() {
    let _watchdog = watchdog();
    let io = Reluctant::new(&[client_frame(0x81, b"one"), b"\xff".to_vec()].concat(), usize::MAX);
    let mut websocket = over(&io, &Config::default().keepalive(None));
    let mut next = || {
        let mut websocket = Pin::new(&mut websocket);
        futures_lite::future::block_on(poll_fn(|cx| websocket.as_mut().poll_next(cx)))
    };
    assert_eq!(next().unwrap().unwrap(), "one".into());
    assert!(matches!(next(), Some(Err(Error::Connection(Failure::Protocol(_))))));
    assert!(next().is_none());

    let io = Reluctant::new(CLOSE, usize::MAX);
    let mut websocket = over(&io, &Config::default().keepalive(None));
    futures_lite::future::block_on(async {
        poll_fn(|cx| Pin::new(&mut websocket).poll_ready(cx)).await.unwrap();
        Pin::new(&mut websocket).start_send("one".into()).unwrap();
        poll_fn(|cx| Pin::new(&mut websocket).poll_flush(cx)).await.unwrap();
        poll_fn(|cx| Pin::new(&mut websocket).poll_close(cx)).await.unwrap();
        assert_eq!(websocket.recv().await.unwrap(), None);
    });
    assert_eq!(io.0.borrow().output, [b"\x81\x03one", CLOSED].concat());
}

/// Two ends of a pipe that holds `len` bytes in each direction.
async fn pair(len: usize, config: &Config) -> (adapter::WebSocket<DuplexStream>, adapter::WebSocket<DuplexStream>) {
    let (ours, theirs) = duplex(len);
    let request = client::Request::new("localhost", "/");
    let (server, client) = tokio::join!(adapter::accept(ours, config), adapter::client(theirs, &request, config));
    (server.unwrap(), client.unwrap().0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_halves_saturate_both_directions_without_a_deadlock() {
    const COUNT: u32 = 3000;
    let _watchdog = watchdog();
    for len in [64, 64 << 10] {
        let (server, client) = pair(len, &patient()).await;
        let (mut senders, mut receivers) = (Vec::new(), Vec::new());
        for websocket in [server, client] {
            let (mut receiver, mut sender) = websocket.split();
            senders.push(tokio::spawn(async move {
                for index in 0..COUNT {
                    let message = [&index.to_be_bytes()[..], &vec![7; index as usize % 700]].concat();
                    // Some are cancelled, and sent all the same.
                    if index % 5 == 0 {
                        let _ = time::timeout(Duration::ZERO, sender.send(message)).await;
                    } else if index % 7 == 0 {
                        sender.feed(message).await.unwrap();
                    } else {
                        sender.send(message).await.unwrap();
                    }
                    if index % 11 == 0 {
                        sender.write_with(|connection, out| connection.ping(b"?", out)).await.unwrap();
                    }
                }
                sender.flush().await.unwrap();
                sender
            }));
            receivers.push(tokio::spawn(async move {
                for index in 0..COUNT {
                    let message = loop {
                        if let Ok(message) = time::timeout(Duration::from_micros(50), receiver.recv()).await {
                            break message.unwrap().unwrap();
                        }
                    };
                    assert_eq!(message.as_bytes()[..4], index.to_be_bytes());
                }
                receiver
            }));
        }
        let patience = Duration::from_secs(60);
        let mut halves = Vec::new();
        for (sender, receiver) in senders.into_iter().zip(receivers) {
            let sender = time::timeout(patience, sender).await.expect("no deadlock").unwrap();
            halves.push((sender, time::timeout(patience, receiver).await.expect("no deadlock").unwrap()));
        }
        let mut ends = Vec::new();
        for (mut sender, mut receiver) in halves {
            ends.push(tokio::spawn(async move {
                sender.close(CloseCode::NORMAL, "").await.unwrap();
                assert_eq!(receiver.recv().await.unwrap(), None);
                assert!(receiver.close_info().unwrap().clean);
            }));
        }
        for end in ends {
            time::timeout(patience, end).await.expect("no deadlock").unwrap();
        }
    }
}

#[tokio::test]
async fn halves_unite_with_their_own_other_half_only() {
    let _watchdog = watchdog();
    let (server, client) = pair(1000, &patient()).await;
    let ((ours, our_sender), (theirs, their_sender)) = (server.split(), client.split());
    let (ours, their_sender) = ours.unite(their_sender).unwrap_err();
    let mut server = ours.unite(our_sender).unwrap();
    let mut client = theirs.unite(their_sender).unwrap();
    server.send("still here").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some("still here".into()));
}

#[tokio::test]
async fn a_relay_forwards_chunks_as_they_come() {
    let _watchdog = watchdog();
    let config = patient().delivery(Delivery::Chunks);
    let (mut server, mut client) = pair(100, &config).await;
    let send = async {
        client.write_with(|connection, out| connection.send_chunk(&Chunk::text("one, ", false), out)).await?;
        client.write_with(|connection, out| connection.send_chunk(&Chunk::text("two", true), out)).await?;
        // The pieces are joined again.
        let message = client.recv().await;
        client.close(CloseCode::NORMAL, "").await?;
        message
    };
    let relay = server.recv_with(|event, connection, out| match event {
        Event::Chunk(chunk) => connection.send_chunk(&chunk, out).err(),
        _ => None,
    });
    let (message, relayed) = tokio::join!(send, relay);
    assert_eq!((message.unwrap(), relayed.unwrap()), (Some("one, two".into()), None));
}

#[tokio::test(start_paused = true)]
async fn deadlines_are_kept_to_the_millisecond_of_a_simulated_clock() {
    let _watchdog = watchdog();
    let config = Config::default();
    let (mut server, mut client) = pair(1000, &config).await;
    // An hour of silence, in which both ping.
    let start = time::Instant::now();
    let hour = time::timeout(Duration::from_secs(3600), async { tokio::join!(server.recv(), client.recv()) });
    assert!(hour.await.is_err());
    assert!(server.connection().latency().is_some() || client.connection().latency().is_some());
    assert_eq!(start.elapsed().as_secs(), 3600);

    // The client vanishes: 20 s of silence, 20 s for the answer to the Ping.
    let start = time::Instant::now();
    assert!(matches!(server.recv().await, Err(Error::Connection(Failure::KeepaliveTimeout))));
    let silent = start.elapsed().as_secs();
    assert!((19..=40).contains(&silent), "{silent}");
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_not_answered_ends_after_its_deadline_also_between_halves() {
    let _watchdog = watchdog();
    let (server, _client) = pair(1000, &Config::default()).await;
    let (mut receiver, mut sender) = server.split();
    let start = time::Instant::now();
    let waiting = tokio::spawn(async move { receiver.recv().await });
    time::sleep(Duration::from_secs(5)).await;
    sender.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(matches!(waiting.await.unwrap(), Err(Error::Connection(Failure::CloseTimeout))));
    assert_eq!(start.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_half_that_sends_does_not_keep_a_silent_peer() {
    let _watchdog = watchdog();
    // The peer takes everything and says nothing.
    let (ours, mut theirs) = duplex(1000);
    let websocket = adapter::from_connection(ours, Connection::server(&Config::default()), Vec::new());
    tokio::spawn(async move {
        let mut sink = [0; 4096];
        while theirs.read(&mut sink).await.is_ok_and(|count| count > 0) {}
    });
    let (mut receiver, mut sender) = websocket.split();
    let start = time::Instant::now();
    let waiting = tokio::spawn(async move { (receiver.recv().await, start.elapsed().as_secs()) });
    while sender.send("anybody there?").await.is_ok() {
        time::sleep(Duration::from_secs(1)).await;
    }
    let (end, seconds) = waiting.await.unwrap();
    assert!(matches!(end, Err(Error::Connection(Failure::KeepaliveTimeout))), "{end:?}");
    assert_eq!(seconds, 40);
}

#[tokio::test(start_paused = true)]
async fn a_program_that_only_sends_now_and_then_does_not_blame_its_peer() {
    let _watchdog = watchdog();
    let (ours, mut theirs) = duplex(1000);
    let mut websocket = adapter::from_connection(ours, Connection::server(&Config::default()), Vec::new());
    tokio::spawn(async move {
        let mut sink = [0; 100];
        while theirs.read(&mut sink).await.is_ok_and(|count| count > 0) {
            time::sleep(millis(1)).await;
        }
    });
    for _ in 0..20 {
        websocket.send(vec![7; 4000]).await.unwrap();
        time::sleep(Duration::from_secs(30)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_that_has_half_closed_gets_its_answers() {
    let _watchdog = watchdog();
    for (delay, answered) in [(0, true), (59, true), (61, false)] {
        let (ours, mut theirs) = duplex(64);
        let mut websocket = adapter::from_connection(ours, Connection::server(&Config::default()), Vec::new());
        let peer = tokio::spawn(async move {
            theirs.write_all(&[client_frame(0x81, b"hi"), CLOSE.to_vec()].concat()).await.unwrap();
            theirs.shutdown().await.unwrap();
            // It is waited for until the stall timeout, 60 s, has passed.
            time::sleep(Duration::from_secs(delay)).await;
            let mut answers = Vec::new();
            theirs.read_to_end(&mut answers).await.unwrap();
            answers
        });
        let refused = websocket.recv_with(|event, connection, out| match event {
            Event::Text(_) => connection.send_binary(&[7; 1000], out).err(),
            _ => None,
        });
        match refused.await {
            Ok(refused) => assert!(answered && refused.is_none()),
            Err(error) => assert!(!answered && matches!(error, Error::Connection(Failure::StallTimeout)), "{error:?}"),
        }
        drop(websocket);
        let answers = peer.await.unwrap();
        assert_eq!(answers.len() == 1004 + CLOSED.len() && answers.ends_with(CLOSED), answered, "{delay}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_does_not_outlast_the_close_timeout() {
    let _watchdog = watchdog();
    let (ours, mut theirs) = duplex(1 << 20);
    let mut websocket = adapter::from_connection(ours, Connection::server(&Config::default()), Vec::new());
    tokio::spawn(async move {
        let flood = client_frame(0x82, &[7; 1000]).repeat(100);
        while theirs.write_all(&flood).await.is_ok() {
            time::sleep(millis(10)).await;
        }
    });
    let start = time::Instant::now();
    let result = websocket.close(CloseCode::NORMAL, "").await;
    assert!(matches!(result, Err(Error::Connection(Failure::CloseTimeout))), "{result:?}");
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_request_is_answered_after_a_lookup() {
    let _watchdog = watchdog();
    for member in [true, false] {
        let (ours, theirs) = duplex(1000);
        let server = async {
            let upgrade = adapter::receive_request(ours, &patient()).await?;
            assert_eq!(upgrade.request().header("cookie"), Some(&b"id=7"[..]));
            tokio::task::yield_now().await;
            if !member {
                return upgrade.reject(401, &[], b"who are you?").await;
            }
            let mut websocket = upgrade.accept(&server::Response::new().headers(&[("Set-Cookie", b"id=8")])).await?;
            websocket.close(CloseCode::NORMAL, "").await
        };
        let client = async {
            let request = client::Request::new("localhost", "/").headers(&[("Cookie", b"id=7")]);
            let (mut websocket, response) = adapter::client(theirs, &request, &patient()).await?;
            assert_eq!(response.header("set-cookie"), Some(&b"id=8"[..]));
            websocket.recv().await
        };
        let (server, client) = tokio::join!(server, client);
        server.unwrap();
        match client {
            Ok(end) => assert!(member && end.is_none()),
            Err(Error::Handshake(sansock::HandshakeError::Rejected(response))) => {
                assert_eq!((member, response.status(), response.body()), (false, 401, &b"who are you?"[..]));
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn futures_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    type Tcp = adapter::WebSocket<tokio::net::TcpStream>;
    async fn uses(mut websocket: Tcp) {
        let _ = websocket.recv().await;
        let _ = websocket.recv_with(|_, _, _| None::<()>).await;
        let _ = websocket.send("").await;
        let (mut receiver, mut sender) = websocket.split();
        let _ = receiver.recv().await;
        let _ = sender.feed("").await;
    }
    async fn opens(stream: tokio::net::TcpStream, config: Config) {
        let _ = adapter::receive_request(stream, &config).await.unwrap().accept(&server::Response::new()).await;
    }
    let _ = |websocket: Tcp, stream: tokio::net::TcpStream| {
        is_send(&uses(websocket));
        is_send(&opens(stream, Config::default()));
    };
}

#[test]
fn a_task_is_as_large_as_a_connection_and_no_larger_for_its_handshake() {
    async fn task(stream: tokio::net::TcpStream) -> Result<(), Error> {
        let mut websocket = adapter::accept(stream, &Config::default()).await?;
        while let Some(message) = websocket.recv().await? {
            websocket.feed(message).await?;
        }
        Ok(())
    }
    fn future_size<F>(_: impl FnOnce(tokio::net::TcpStream) -> F) -> usize {
        size_of::<F>()
    }
    assert!(size_of::<adapter::WebSocket<tokio::net::TcpStream>>() <= 448);
    assert!(future_size(task) <= 1024, "{}", future_size(task));
}

#[tokio::test(start_paused = true)]
async fn two_ends_that_have_queued_large_messages_receive_them_without_waiting() {
    let _watchdog = watchdog();
    for len in [190_000, 200_000, 400_000] {
        let (mut a, mut b) = pair(65_536, &Config::default()).await;
        a.feed(vec![1; len]).await.unwrap();
        b.feed(vec![2; len]).await.unwrap();
        let start = time::Instant::now();
        let (at_a, at_b) = tokio::join!(a.recv(), b.recv());
        assert!(at_a.unwrap() == Some(vec![2; len].into()) && at_b.unwrap() == Some(vec![1; len].into()), "{len}");
        assert_eq!(start.elapsed(), Duration::ZERO, "{len}");
    }
}

/// The ways to wait for a message.
enum Waiter {
    Whole(adapter::WebSocket<DuplexStream>),
    Half(adapter::Receiver<DuplexStream>),
    Stream(adapter::WebSocket<DuplexStream>),
    HalfStream(adapter::Receiver<DuplexStream>),
}

impl Waiter {
    /// One of each kind, with a peer that takes everything and says nothing.
    fn all(config: &Config) -> [(Self, DuplexStream); 4] {
        let waiters: [fn(adapter::WebSocket<DuplexStream>) -> Self; 4] = [
            Self::Whole,
            |websocket| Self::Half(websocket.split().0),
            Self::Stream,
            |websocket| Self::HalfStream(websocket.split().0),
        ];
        waiters.map(|waiter| {
            let (ours, theirs) = duplex(1 << 20);
            (waiter(adapter::from_connection(ours, Connection::server(config), Vec::new())), theirs)
        })
    }

    async fn wait(&mut self) -> Result<Option<Message>, Error> {
        match self {
            Self::Whole(websocket) => websocket.recv().await,
            Self::Half(receiver) => receiver.recv().await,
            Self::Stream(websocket) => poll_fn(|cx| Pin::new(&mut *websocket).poll_next(cx)).await.transpose(),
            Self::HalfStream(receiver) => poll_fn(|cx| Pin::new(&mut *receiver).poll_next(cx)).await.transpose(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_time_passes_for_a_peer_after_a_wait_was_cancelled() {
    let _watchdog = watchdog();
    let config = Config::default().keepalive(None).idle_timeout(Duration::from_secs(5));
    for (mut waiter, _theirs) in Waiter::all(&config) {
        assert!(time::timeout(Duration::from_secs(1), waiter.wait()).await.is_err());
        // The program is busy with something else. A stream does not know that, as long as its deadline has not passed.
        if matches!(waiter, Waiter::Whole(_) | Waiter::Half(_)) {
            time::sleep(Duration::from_secs(3)).await;
        }
        assert!(time::timeout(millis(1), waiter.wait()).await.is_err());
        time::sleep(Duration::from_secs(60)).await;
        let start = time::Instant::now();
        let end = waiter.wait().await;
        assert!(matches!(end, Err(Error::Connection(Failure::IdleTimeout))), "{end:?}");
        // What was waited before counts.
        assert!((millis(3990)..millis(4010)).contains(&start.elapsed()), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn waits_that_are_cancelled_each_second_still_notice_a_dead_peer() {
    let _watchdog = watchdog();
    for (mut waiter, _theirs) in Waiter::all(&Config::default()) {
        let start = time::Instant::now();
        let end = loop {
            tokio::select! {
                biased;
                () = time::sleep(Duration::from_secs(1)) => assert!(start.elapsed().as_secs() < 100),
                end = waiter.wait() => break end,
            }
        };
        assert!(matches!(end, Err(Error::Connection(Failure::KeepaliveTimeout))), "{end:?}");
        assert!((40..=41).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_handler_that_panics_leaves_both_halves_usable() {
    let _watchdog = watchdog();
    let (server, mut client) = pair(1000, &patient()).await;
    let (mut receiver, mut sender) = server.split();
    // It is polled without a message, and then panics with the first of two.
    {
        let mut receiving = pin!(receiver.recv_with(|event, _, _| -> Option<()> { panic!("a bug: {event:?}") }));
        assert!(poll_fn(|cx| Poll::Ready(receiving.as_mut().poll(cx).is_pending())).await);
        client.feed("first").await.unwrap();
        client.send("second").await.unwrap();
        let panicked = poll_fn(|cx| {
            let poll = AssertUnwindSafe(|| receiving.as_mut().poll(cx).is_pending());
            catch_unwind(poll).map_or(Poll::Ready(()), |_| Poll::Pending)
        });
        time::timeout(Duration::from_secs(30), panicked).await.expect("it panics");
    }
    sender.send("the sender works").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some("the sender works".into()));
    assert_eq!(receiver.recv().await.unwrap(), Some("second".into()));
    let mut server = receiver.unite(sender).unwrap();
    server.send("so does the whole").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some("so does the whole".into()));

    // The same in a task of its own, with which the receiver goes.
    let (mut receiver, mut sender) = server.split();
    let task = tokio::spawn(async move { receiver.recv_with(|_, _, _| -> Option<()> { panic!("a bug") }).await });
    tokio::task::yield_now().await;
    client.send("third").await.unwrap();
    assert!(task.await.unwrap_err().is_panic());
    sender.send("the sender works still").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some("the sender works still".into()));
}

#[cfg(feature = "tokio-net")]
mod net {
    use super::*;

    #[tokio::test]
    async fn a_client_connects_by_uri() {
        let _watchdog = watchdog();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("ws://localhost:{}/chat", listener.local_addr().unwrap().port());
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let choose = |request: &server::Request, out: &mut BytesMut| {
                request.accept(&server::Response::new().subprotocol(request.preferred(&["b"])), out).map(Some)
            };
            let mut websocket = adapter::accept_with(stream, &patient(), choose).await?.unwrap();
            while let Some(message) = websocket.recv().await? {
                websocket.send(message).await?;
            }
            Ok::<_, Error>(())
        });
        let (mut websocket, response) =
            adapter::connect_with(&uri, &patient(), |request| request.subprotocols(&["a", "b"])).await.unwrap();
        assert_eq!(response.subprotocol(), Some("b"));
        websocket.send("hello").await.unwrap();
        assert_eq!(websocket.recv().await.unwrap(), Some("hello".into()));
        websocket.close(CloseCode::NORMAL, "").await.unwrap();
        server.await.unwrap().unwrap();

        assert!(matches!(adapter::connect("http://localhost/", &patient()).await, Err(Error::Uri(_))));
        assert!(matches!(adapter::connect("wss://localhost/", &patient()).await, Err(Error::Io(_))));
    }
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use crate::certificate::{acceptor, trusting};

    #[tokio::test]
    async fn a_client_connects_over_tls_to_whom_it_trusts() {
        let _watchdog = watchdog();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
        let acceptor = acceptor();
        let server = tokio::spawn(async move {
            // The first client does not trust it.
            let (stream, _) = listener.accept().await.unwrap();
            assert!(acceptor.accept(stream).await.is_err());
            let (stream, _) = listener.accept().await.unwrap();
            let mut websocket = adapter::accept(acceptor.accept(stream).await.unwrap(), &patient()).await?;
            while let Some(message) = websocket.recv().await? {
                websocket.feed(message).await?;
            }
            Ok::<_, Error>(websocket.close_info().unwrap().clean)
        });
        assert!(matches!(adapter::tls::connect(&uri, &patient()).await, Err(Error::Io(_))));
        let connected = adapter::tls::connect_with(&uri, &patient(), trusting(), |request| request).await;
        let mut websocket = connected.unwrap().0;
        for length in [0, 100, 100_000] {
            websocket.send(vec![7; length]).await.unwrap();
            assert_eq!(websocket.recv().await.unwrap(), Some(vec![7; length].into()));
        }
        websocket.close(CloseCode::NORMAL, "").await.unwrap();
        assert!(server.await.unwrap().unwrap());
    }
}

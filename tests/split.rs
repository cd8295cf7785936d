//! The two halves of a connection: what one does that the other waits for.
#![cfg(all(feature = "tokio", feature = "getrandom"))]

mod support;
#[path = "support/watchdog.rs"]
mod watchdog;

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use sansock::{
    CloseCode, Config, Connection, Error as Failure, Event, Message, PreparedMessage, SendError,
    adapter::{Error, tokio as adapter},
};
use support::{Seen, binary, frame, masked, ping};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    time,
};
use watchdog::watchdog;

/// Rule 1: reading pauses while more answers wait than 128 KiB and the queued sends. So a send lets it go on, and the
/// half that receives has to learn of that.
#[tokio::test(start_paused = true)]
async fn a_send_lets_the_receiver_read_again() {
    let _watchdog = watchdog();
    let (ours, mut theirs) = duplex(1000);
    let websocket = adapter::from_connection(ours, Connection::server(&Config::default()), Vec::new());
    let (mut receiver, mut sender) = websocket.split();
    tokio::spawn(async move {
        receiver
            .recv_with(|event, connection, out| {
                if let Event::Text(_) = event {
                    connection.send_binary(&vec![7; 200_000], out).unwrap();
                }
                None::<()>
            })
            .await
    });
    theirs.write_all(&masked(b"\x81\x01?")).await.unwrap();
    // More than the pipe holds, so it has to be read; but the answer waits.
    let more = masked(b"\x8A\x01x").repeat(1000);
    let (_reader, mut writer) = tokio::io::split(theirs);
    let writing = tokio::spawn(async move { writer.write_all(&more).await.unwrap() });
    time::sleep(Duration::from_secs(1)).await;
    assert!(!writing.is_finished(), "reading has paused");
    tokio::spawn(async move { sender.send(vec![7; 400_000]).await });
    let start = time::Instant::now();
    writing.await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO, "it took no deadline to wake the receiver");
}

/// A server in two halves, and its peer.
fn halves(len: usize) -> (adapter::Receiver<DuplexStream>, adapter::Sender<DuplexStream>, DuplexStream) {
    let (ours, theirs) = duplex(len);
    let config = Config::default().keepalive(None);
    let (receiver, sender) = adapter::from_connection(ours, Connection::server(&config), Vec::new()).split();
    (receiver, sender, theirs)
}

/// These frames, and no more, have come from the server.
#[track_caller]
fn came(theirs: &mut DuplexStream, frames: &[u8]) {
    let mut bytes = vec![0; frames.len() + 1];
    let mut room = ReadBuf::new(&mut bytes);
    let mut cx = Context::from_waker(Waker::noop());
    while room.remaining() > 0 && Pin::new(&mut *theirs).poll_read(&mut cx, &mut room).is_ready() {}
    assert!(room.filled() == frames, "{:02x?}", room.filled());
}

#[tokio::test]
async fn each_way_to_send_of_the_sending_half_is_written_when_it_returns() {
    let _watchdog = watchdog();
    let (_receiver, mut sender, mut theirs) = halves(100_000);
    sender.send("a").await.unwrap();
    came(&mut theirs, b"\x81\x01a");
    sender.send_bytes(Bytes::from_static(b"b")).await.unwrap();
    came(&mut theirs, b"\x82\x01b");
    let long = vec![7; 20_000];
    sender.send_bytes(long.clone().into()).await.unwrap();
    came(&mut theirs, &frame(0x82, &long));
    sender.send_prepared(&PreparedMessage::text("c")).await.unwrap();
    came(&mut theirs, b"\x81\x01c");
    sender.write_with(|connection, out| connection.ping(b"d", out)).await.unwrap();
    came(&mut theirs, b"\x89\x01d");
    sender.feed("e").await.unwrap();
    came(&mut theirs, b"");
    sender.flush().await.unwrap();
    came(&mut theirs, b"\x81\x01e");
    sender.close(CloseCode::GOING_AWAY, "f").await.unwrap();
    came(&mut theirs, b"\x88\x03\x03\xe9f");
    assert!(matches!(sender.send("g").await, Err(Error::Send(SendError::Closed))));
    assert!(matches!(sender.send_bytes(Bytes::new()).await, Err(Error::Send(SendError::Closed))));
    assert!(matches!(sender.send_prepared(&PreparedMessage::text("")).await, Err(Error::Send(SendError::Closed))));
    let refused = sender.write_with(|connection, out| connection.ping(b"", out)).await;
    assert!(matches!(refused, Err(Error::Send(SendError::Closed))));
    came(&mut theirs, b"");
}

#[tokio::test]
async fn the_sending_half_is_a_sink() {
    let _watchdog = watchdog();
    let (mut receiver, mut sender, mut theirs) = halves(1 << 20);
    let mut sink = Pin::new(&mut sender);
    poll_fn(|cx| sink.as_mut().poll_ready(cx)).await.unwrap();
    sink.as_mut().start_send("a".into()).unwrap();
    sink.as_mut().start_send(vec![7; 3].into()).unwrap();
    came(&mut theirs, b"");
    poll_fn(|cx| sink.as_mut().poll_flush(cx)).await.unwrap();
    came(&mut theirs, b"\x81\x01a\x82\x03\x07\x07\x07");
    // Above the high-water mark it is not ready until it has written.
    sink.as_mut().start_send(vec![7; 200_000].into()).unwrap();
    poll_fn(|cx| sink.as_mut().poll_ready(cx)).await.unwrap();
    came(&mut theirs, &frame(0x82, &vec![7; 200_000]));
    poll_fn(|cx| sink.as_mut().poll_close(cx)).await.unwrap();
    came(&mut theirs, b"\x88\x02\x03\xe8");
    poll_fn(|cx| sink.as_mut().poll_close(cx)).await.unwrap();
    came(&mut theirs, b"");
    assert!(matches!(sink.as_mut().start_send("b".into()), Err(Error::Send(SendError::Closed))));
    theirs.write_all(&masked(b"\x88\x02\x03\xe8")).await.unwrap();
    drop(theirs);
    assert_eq!(receiver.recv().await.unwrap(), None);
    assert!(receiver.close_info().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_full_is_not_ready() {
    let _watchdog = watchdog();
    let (_receiver, mut sender, mut theirs) = halves(1000);
    let mut sink = Pin::new(&mut sender);
    sink.as_mut().start_send(vec![7; 200_000].into()).unwrap();
    let ready = poll_fn(|cx| sink.as_mut().poll_ready(cx));
    assert!(time::timeout(Duration::from_secs(1), ready).await.is_err(), "the peer takes nothing");
    // It need not be empty to be ready: 128 KiB may wait.
    let mut taken = vec![0; 68_000];
    let ready = poll_fn(|cx| sink.as_mut().poll_ready(cx));
    let (ready, read) = tokio::join!(ready, theirs.read_exact(&mut taken));
    ready.unwrap();
    read.unwrap();
}

#[tokio::test]
async fn the_receiving_half_is_a_stream_and_takes_a_handler() {
    let _watchdog = watchdog();
    let (mut receiver, mut sender, mut theirs) = halves(1000);
    theirs.write_all(&masked(b"\x81\x01a\x89\x01?\x82\x01b\x81\x01c")).await.unwrap();
    let mut stream = Pin::new(&mut receiver);
    let message = poll_fn(|cx| stream.as_mut().poll_next(cx)).await;
    assert_eq!(message.unwrap().unwrap(), Message::from("a"));
    // A handler sees what is no message too, and what it says is written by either half.
    let mut seen = Vec::new();
    let found = receiver.recv_with(|event, connection, out| {
        seen.push(Seen::of(&event));
        connection.send_text("answer", out).unwrap();
        matches!(event, Event::Binary(_)).then_some("found")
    });
    assert_eq!(found.await.unwrap(), Some("found"));
    assert_eq!(seen, [ping(b"?"), binary(b"b")]);
    sender.flush().await.unwrap();
    came(&mut theirs, b"\x8a\x01?\x81\x06answer\x81\x06answer");
    assert_eq!(receiver.recv().await.unwrap(), Some("c".into()));
    assert_eq!(receiver.close_info(), None);
    // The end of the stream, after the Close, and after an error.
    theirs.write_all(&masked(b"\x88\0")).await.unwrap();
    theirs.shutdown().await.unwrap();
    let mut stream = Pin::new(&mut receiver);
    assert!(poll_fn(|cx| stream.as_mut().poll_next(cx)).await.is_none());
    assert!(poll_fn(|cx| stream.as_mut().poll_next(cx)).await.is_none());
    assert!(receiver.close_info().unwrap().clean);

    let (mut receiver, _sender, mut theirs) = halves(1000);
    theirs.write_all(b"\xff").await.unwrap();
    theirs.shutdown().await.unwrap();
    let mut stream = Pin::new(&mut receiver);
    let error = poll_fn(|cx| stream.as_mut().poll_next(cx)).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Connection(Failure::Protocol(_))), "{error:?}");
    assert!(poll_fn(|cx| stream.as_mut().poll_next(cx)).await.is_none());
}

/// Both halves wait at once: what one of them does wakes the other one's task.
#[tokio::test(start_paused = true)]
async fn a_half_that_waits_is_woken_by_what_the_other_waits_for() {
    let _watchdog = watchdog();
    let (mut receiver, mut sender, theirs) = halves(1000);
    let (mut reader, mut writer) = tokio::io::split(theirs);
    let receiving = tokio::spawn(async move {
        let mut messages = 0;
        while let Some(message) = receiver.recv().await.unwrap() {
            messages += usize::from(message.as_bytes().len() == 5);
        }
        (messages, time::Instant::now())
    });
    let sending = tokio::spawn(async move {
        sender.send(vec![7; 50_000]).await.unwrap();
        sender.close(CloseCode::NORMAL, "").await.unwrap();
    });
    let start = time::Instant::now();
    for _ in 0..300 {
        writer.write_all(&masked(b"\x82\x05Hello")).await.unwrap();
    }
    let mut came = vec![0; frame(0x82, &vec![7; 50_000]).len() + 4];
    reader.read_exact(&mut came).await.unwrap();
    assert!(came.ends_with(b"\x88\x02\x03\xe8"));
    writer.write_all(&masked(b"\x88\x02\x03\xe8")).await.unwrap();
    writer.shutdown().await.unwrap();
    sending.await.unwrap();
    let (messages, end) = receiving.await.unwrap();
    assert_eq!((messages, end - start), (300, Duration::ZERO), "no deadline woke them");
}

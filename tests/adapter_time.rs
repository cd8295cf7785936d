//! The clock of a connection in an asynchronous adapter: it stands still while the program does something else.
#![cfg(feature = "tokio")]

mod support;
#[path = "support/watchdog.rs"]
mod watchdog;

use std::{future::poll_fn, pin::Pin, time::Duration};

use futures_core::Stream;
use futures_sink::Sink;
use sansock::{
    Config, Connection, Error as Failure, Message,
    adapter::{Error, tokio as adapter},
};
use support::masked;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::{Instant, sleep, timeout},
};
use watchdog::watchdog;

type WebSocket = adapter::WebSocket<DuplexStream>;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A server whose connection fails after 5 seconds without a message, and its peer.
fn impatient(len: usize) -> (WebSocket, DuplexStream) {
    let (ours, theirs) = duplex(len);
    let config = Config::default().keepalive(None).idle_timeout(millis(5000));
    (adapter::from_connection(ours, Connection::server(&config), Vec::new()), theirs)
}

/// Fails so, after this many milliseconds of waiting.
async fn fails_after(websocket: &mut WebSocket, failure: Failure, waits: u64) {
    let start = Instant::now();
    let end = websocket.recv().await;
    assert!(matches!(end, Err(Error::Connection(error)) if error == failure), "{end:?}");
    let waited = start.elapsed();
    assert!((millis(waits - 50)..millis(waits + 50)).contains(&waited), "{waited:?}");
}

/// The peer may have answered the Ping while the program was busy, so the rest of its time begins when the program
/// waits again; also when the program comes back just after the timer rang.
#[tokio::test(start_paused = true)]
async fn a_busy_program_does_not_blame_its_peer_for_a_ping_without_an_answer() {
    let _watchdog = watchdog();
    let (ours, _theirs) = duplex(1000);
    let mut websocket = adapter::from_connection(ours, Connection::server(&Config::default()), Vec::new());
    // The Ping leaves after 20 s, and has 20 s to be answered.
    assert!(timeout(millis(20_500), websocket.recv()).await.is_err());
    sleep(millis(20_200)).await;
    let start = Instant::now();
    let end = websocket.recv().await;
    assert!(matches!(end, Err(Error::Connection(Failure::KeepaliveTimeout))), "{end:?}");
    assert!((millis(19_490)..millis(19_510)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

/// A stream has no future to drop: the time ends with its item. No message moves the deadline of the closing handshake.
#[tokio::test(start_paused = true)]
async fn no_time_passes_between_a_message_of_a_stream_and_the_next_poll() {
    let _watchdog = watchdog();
    let (ours, mut theirs) = duplex(1000);
    let config = Config::default().keepalive(None).close_timeout(millis(5000));
    let mut websocket = adapter::from_connection(ours, Connection::server(&config), Vec::new());
    poll_fn(|cx| Pin::new(&mut websocket).poll_close(cx)).await.unwrap();
    let send = async {
        sleep(millis(500)).await;
        theirs.write_all(&masked(b"\x81\x01a")).await.unwrap();
    };
    let next = poll_fn(|cx| Pin::new(&mut websocket).poll_next(cx));
    let (message, ()) = tokio::join!(next, send);
    assert_eq!(message.unwrap().unwrap(), Message::from("a"));
    // It is 5.8 s, and 0.5 s were waited.
    sleep(millis(5300)).await;
    fails_after(&mut websocket, Failure::CloseTimeout, 4500).await;
}

#[tokio::test(start_paused = true)]
async fn no_time_passes_after_a_sink_was_flushed() {
    let _watchdog = watchdog();
    let (mut websocket, mut theirs) = impatient(10);
    Pin::new(&mut websocket).start_send(vec![7; 100].into()).unwrap();
    let take = async {
        sleep(millis(500)).await;
        theirs.read_exact(&mut [0; 102]).await.unwrap();
    };
    let flush = poll_fn(|cx| Pin::new(&mut websocket).poll_flush(cx));
    let (flushed, ()) = tokio::join!(flush, take);
    flushed.unwrap();
    // It is 5.8 s; the message was taken at 0.5 s.
    sleep(millis(5300)).await;
    fails_after(&mut websocket, Failure::IdleTimeout, 5000).await;
}

#[tokio::test(start_paused = true)]
async fn no_time_passes_after_the_sink_of_a_half_was_flushed() {
    let _watchdog = watchdog();
    let (websocket, mut theirs) = impatient(10);
    let (receiver, mut sender) = websocket.split();
    Pin::new(&mut sender).start_send(vec![7; 100].into()).unwrap();
    let take = async {
        sleep(millis(500)).await;
        theirs.read_exact(&mut [0; 102]).await.unwrap();
    };
    let flush = poll_fn(|cx| Pin::new(&mut sender).poll_flush(cx));
    let (flushed, ()) = tokio::join!(flush, take);
    flushed.unwrap();
    // It is 5.8 s; the message was taken at 0.5 s.
    sleep(millis(5300)).await;
    fails_after(&mut receiver.unite(sender).unwrap(), Failure::IdleTimeout, 5000).await;
}
